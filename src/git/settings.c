/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/settings.h"

#include "base/list.h"
#include "base/mem.h"
#include "core/config/node.h"
#include "git/helper.h"
#include "git/proto/refname.h"

#include <stdatomic.h>
#include <stdio.h>

#define MINUTE (60 * ALK_SECOND)
#define GIB    ((uint64_t)1 << 30)
#define PATHS  4096

/* --- rows -------------------------------------------------------------------------- */

static alk_err refuse(char *why, size_t why_size, const char *text)
{
    (void)snprintf(why, why_size, "%s", text);
    return ALK_E_CONFIG;
}

static alk_err check_path(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span path = alk_conf_span(value);
    if (path.n == 0 || path.p[0] != '/' || alk_span_has_control(path)) {
        return refuse(why, why_size, "the path must be absolute, without control characters");
    }
    return ALK_OK;
}

static alk_err check_match(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span match = alk_conf_span(value);
    if (alk_span_has_control(match) || !alk_span_is_utf8(match)) {
        return refuse(why, why_size, "a pattern must not hold control characters");
    }
    if (alk_span_ends(match, ALK_LIT(".git"))) {
        return refuse(why, why_size, "repositories are named without .git here");
    }
    return ALK_OK;
}

static alk_err check_pattern(const struct alk_conf *value, char *why, size_t why_size)
{
    if (!alk_git_ref_pattern_is_valid(alk_conf_span(value))) {
        return refuse(why, why_size, "this is no pattern of refs, such as refs/heads/*");
    }
    return ALK_OK;
}

static alk_err check_branch(const struct alk_conf *value, char *why, size_t why_size)
{
    char name[300];
    int n = snprintf(name, sizeof name, "refs/heads/%s", alk_conf_str(value));
    if (n < 0 || (size_t)n >= sizeof name || name[11] == '-' ||
        !alk_git_ref_is_valid(alk_span(name, (size_t)n))) {
        return refuse(why, why_size, "this is no name of a branch");
    }
    return ALK_OK;
}

static alk_err check_address(const struct alk_conf *value, char *why, size_t why_size)
{
    return alk_config_is_host_port(alk_conf_span(value))
               ? ALK_OK
               : refuse(why, why_size, "an address is name:port, address:port or [address]:port");
}

static const struct alk_conf_row pattern_row[] = {{.name = "pattern",
                                                   .type = ALK_CONF_STRING,
                                                   .min = 1,
                                                   .max = ALK_GIT_REF_PATTERN_MAX,
                                                   .check = check_pattern},
                                                  {.name = NULL}};
static const struct alk_conf_row path_row[] = {
    {.name = "path", .type = ALK_CONF_STRING, .min = 1, .max = PATHS, .check = check_path},
    {.name = NULL}};
static const struct alk_conf_row address_row[] = {
    {.name = "address", .type = ALK_CONF_STRING, .min = 3, .max = 300, .check = check_address},
    {.name = NULL}};
static const char *const signings[] = {"off", "allowed", "required", NULL};

#define HELP_PUBLIC    "Anybody may read it, without an identity too."
#define HELP_READ_ONLY "Nobody may push to it: a mirror that something else keeps up to date."
#define HELP_SIGNED                                                                                \
    "Push certificates (`git push --signed`, SSH keys): off: none is asked for; allowed: one "     \
    "that is shown must be right; required: no push without, and to a public "                     \
    "repository somebody unknown may come with one."
#define HELP_REQUIRE_SIGNED                                                                        \
    "Patterns of refs. Each commit that is new on such a ref must be signed with an SSH key of "   \
    "a known identity."
#define HELP_HOOKS                                                                                 \
    "Run the repository's own hooks (pre-receive, update, post-receive, post-update), after "      \
    "ours. Whoever may write into its directory then runs programs as host_user."

static const struct alk_conf_row rule_rows[] = {
    {.name = "match",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = 255,
     .is_required = true,
     .check = check_match,
     .help = "Names of repositories, without .git: `*` any bytes but a slash, `**` any."},
    {.name = "public", .type = ALK_CONF_BOOL, .help = HELP_PUBLIC},
    {.name = "read_only", .type = ALK_CONF_BOOL, .help = HELP_READ_ONLY},
    {.name = "signed_push", .type = ALK_CONF_ENUM, .values = signings, .help = HELP_SIGNED},
    {.name = "require_signed",
     .type = ALK_CONF_LIST,
     .sub = pattern_row,
     .max = ALK_GIT_LIST_MAX,
     .scalar_ok = true,
     .help = HELP_REQUIRE_SIGNED},
    {.name = "hooks", .type = ALK_CONF_BOOL, .help = HELP_HOOKS},
    {.name = NULL}};
static const struct alk_conf_row rule_row[] = {
    {.name = "repository", .type = ALK_CONF_MAP, .sub = rule_rows}, {.name = NULL}};

static const struct alk_conf_row cache_rows[] = {
    {.name = "size",
     .type = ALK_CONF_SIZE,
     .max = 1024 * GIB,
     .fallback = "256MiB",
     .unit = "bytes",
     .help = "Disk for packs that several fetches share, beneath the root. 0: no cache."},
    {.name = "age",
     .type = ALK_CONF_DURATION,
     .min = ALK_SECOND,
     .max = 60 * MINUTE,
     .fallback = "60s",
     .help = "How long a pack is kept after it was made."},
    {.name = NULL}};

const struct alk_conf_row alk_git_rows[] = {
    {.name = "root",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = PATHS,
     .is_required = true,
     .check = check_path,
     .help = "Directory that holds the repositories, all of them bare; git runs as host_user and "
             "needs to read and write there."},
    {.name = "create_on_push",
     .type = ALK_CONF_BOOL,
     .fallback = "false",
     .help = "A push to a repository that is not there makes it, for whom the grant `write` on "
             "that name allows it."},
    {.name = "default_branch",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = 200,
     .fallback = "main",
     .check = check_branch,
     .help = "HEAD of repositories that the node makes."},
    {.name = "public", .type = ALK_CONF_BOOL, .fallback = "false", .help = HELP_PUBLIC},
    {.name = "read_only", .type = ALK_CONF_BOOL, .fallback = "false", .help = HELP_READ_ONLY},
    {.name = "signed_push",
     .type = ALK_CONF_ENUM,
     .values = signings,
     .fallback = "allowed",
     .help = HELP_SIGNED},
    {.name = "require_signed",
     .type = ALK_CONF_LIST,
     .sub = pattern_row,
     .max = ALK_GIT_LIST_MAX,
     .fallback = "[]",
     .scalar_ok = true,
     .help = HELP_REQUIRE_SIGNED},
    {.name = "hooks", .type = ALK_CONF_BOOL, .fallback = "false", .help = HELP_HOOKS},
    {.name = "repositories",
     .type = ALK_CONF_LIST,
     .sub = rule_row,
     .max = ALK_GIT_RULES_MAX,
     .fallback = "[]",
     .help = "Exceptions by name; the first that matches counts, and what it does not say is as "
             "the section says."},
    {.name = "alternates",
     .type = ALK_CONF_LIST,
     .sub = path_row,
     .max = 16,
     .fallback = "[]",
     .scalar_ok = true,
     .help = "Directories in which the objects of repositories may lie, as their "
             "objects/info/alternates says. Any other is refused."},
    {.name = "addresses",
     .type = ALK_CONF_LIST,
     .sub = address_row,
     .max = 16,
     .fallback = "[]",
     .scalar_ok = true,
     .help = "host:port under which clients know this node. The push certificate of somebody "
             "unknown must have been made for one of them; without any, none of his is taken."},
    {.name = "max_pack",
     .type = ALK_CONF_SIZE,
     .max = 1024 * GIB,
     .fallback = "2GiB",
     .unit = "bytes",
     .help = "Largest pack of one push. 0: no limit."},
    {.name = "memory",
     .type = ALK_CONF_SIZE,
     .max = 1024 * GIB,
     .fallback = "1GiB",
     .unit = "bytes",
     .help = "Memory of one process of git, for its data and heap (RLIMIT_DATA). 0: no limit."},
    {.name = "timeout",
     .type = ALK_CONF_DURATION,
     .max = 1440 * MINUTE,
     .fallback = "1h",
     .help = "Longest time of one request. 0: no limit."},
    {.name = "stall_timeout",
     .type = ALK_CONF_DURATION,
     .max = 1440 * MINUTE,
     .fallback = "5m",
     .help = "Time without a byte in either direction after which a request ends. 0: no limit."},
    {.name = "request_timeout",
     .type = ALK_CONF_DURATION,
     .min = 100 * ALK_MS,
     .max = 10 * MINUTE,
     .fallback = "10s",
     .help = "Time in which the first packet of a stream must have come."},
    {.name = "max_instances",
     .type = ALK_CONF_UINT,
     .min = 1,
     .max = 10000,
     .fallback = "64",
     .unit = "requests",
     .help = "Requests served at one time; peers without identity get at most half of them."},
    {.name = "cache",
     .type = ALK_CONF_MAP,
     .sub = cache_rows,
     .fallback = "{}",
     .help = "Identical fetches within a short time share one pack."},
    {.name = "git",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = PATHS,
     .fallback = "/usr/bin/git",
     .check = check_path,
     .help = "The program git, 2.39 or later."},
    {.name = "helper",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = PATHS,
     .check = check_path,
     .help = "The program alknet-git, which starts git and is its hooks. Default: the one that was "
             "installed with this node."},
    {.name = NULL}};

/* --- the settings ------------------------------------------------------------------- */

struct counted {
    atomic_size_t refs;
    const struct alk_mem *mem;
    const struct alk_conf *conf;
    struct alk_git_settings settings;
    struct alk_git_rule rules[];
};

static struct counted *counted_of(const struct alk_git_settings *s)
{
    return ALK_CONTAINER(s, struct counted, settings);
}

const struct alk_git_settings *alk_git_settings_ref(const struct alk_git_settings *s)
{
    (void)atomic_fetch_add_explicit(&counted_of(s)->refs, 1, memory_order_relaxed);
    return s;
}

void alk_git_settings_unref(const struct alk_git_settings *s)
{
    if (s == NULL) {
        return;
    }
    struct counted *c = counted_of(s);
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        alk_conf_unref(c->conf);
        alk_free(c->mem, c);
    }
}

static const struct alk_conf *get(const struct alk_conf *conf, const struct alk_conf *outer,
                                  const char *name)
{
    const struct alk_conf *v = alk_conf_get(conf, name);
    return v != NULL ? v : alk_conf_get(outer, name);
}

static void fill_rule(struct alk_git_rule *r, const struct alk_conf *conf,
                      const struct alk_conf *outer)
{
    r->is_public = alk_conf_bool(get(conf, outer, "public"));
    r->is_read_only = alk_conf_bool(get(conf, outer, "read_only"));
    r->has_hooks = alk_conf_bool(get(conf, outer, "hooks"));
    r->signing = (enum alk_git_signing)alk_conf_uint(get(conf, outer, "signed_push"));
    r->require_signed = get(conf, outer, "require_signed");
}

static void fill(struct alk_git_settings *s, const struct alk_conf *conf)
{
    const struct alk_conf *cache = alk_conf_get(conf, "cache");
    s->root = alk_conf_get_str(conf, "root");
    s->git = alk_conf_get_str(conf, "git");
    s->helper = alk_conf_get_str(conf, "helper");
    s->branch = alk_conf_get_str(conf, "default_branch");
    s->alternates = alk_conf_get(conf, "alternates");
    s->addresses = alk_conf_get(conf, "addresses");
    s->creates_on_push = alk_conf_get_bool(conf, "create_on_push");
    s->memory = alk_conf_get_uint(conf, "memory");
    s->max_pack = alk_conf_get_uint(conf, "max_pack");
    s->cache_size = alk_conf_get_uint(cache, "size");
    s->cache_age = alk_conf_get_uint(cache, "age");
    s->timeout = alk_conf_get_uint(conf, "timeout");
    s->stall = alk_conf_get_uint(conf, "stall_timeout");
    s->request_timeout = alk_conf_get_uint(conf, "request_timeout");
    s->instances_max = (unsigned)alk_conf_get_uint(conf, "max_instances");
    fill_rule(&s->section, conf, NULL);
}

alk_err alk_git_settings_new(const struct alk_mem *mem, const struct alk_conf *conf,
                             const struct alk_git_settings **ret)
{
    const struct alk_conf *list = alk_conf_get(conf, "repositories");
    size_t count = alk_conf_count(list);
    struct counted *c = alk_zalloc(mem, 1, sizeof *c + count * sizeof(struct alk_git_rule));
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&c->refs, 1);
    c->mem = mem;
    c->conf = alk_conf_ref(conf);
    fill(&c->settings, conf);
    for (size_t i = 0; i < count; i++) {
        fill_rule(&c->rules[i], alk_conf_at(list, i), conf);
        c->rules[i].match = alk_conf_span(alk_conf_get(alk_conf_at(list, i), "match"));
    }
    c->settings.rules = c->rules;
    c->settings.rule_count = count;
    *ret = &c->settings;
    return ALK_OK;
}

const struct alk_git_rule *alk_git_settings_rule(const struct alk_git_settings *s,
                                                 struct alk_span name)
{
    for (size_t i = 0; i < s->rule_count; i++) {
        if (alk_span_glob(s->rules[i].match, name)) {
            return &s->rules[i];
        }
    }
    return &s->section;
}
