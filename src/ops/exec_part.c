/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The part `operations`: programs of the configuration, their settings and reloads. */
#include "base/json_scan.h"
#include "base/mem.h"
#include "core/auth/conf.h"
#include "ops/dispatch.h"
#include "ops/exec_op.h"
#include "ops/part.h"

#include <stdio.h>
#include <string.h>
#include <yyjson.h>

/* --- settings -------------------------------------------------------------- */

/* Arrays and objects around a schema in the answer of services/schema. */
#define SCHEMA_DEPTH 4

/* Where a text is no JSON: ": <why>, in its line 3"; "" when the parser would take it. */
static void where_broken(struct alk_span text, char *ret, size_t ret_size)
{
    yyjson_read_err why = {0};
    size_t line = 1;

    struct yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, 0, NULL, &why);
    ret[0] = '\0';
    if (doc == NULL) {
        for (size_t i = 0; i < why.pos && i < text.n; i++) {
            line += text.p[i] == '\n';
        }
        (void)snprintf(ret, ret_size, ": %s, in its line %zu", why.msg, line);
    }
    yyjson_doc_free(doc);
}

static alk_err check_schema(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span text = alk_conf_span(value);
    uint32_t values = ALK_JSON_SCAN_VALUES_MAX;
    char where[160];

    alk_err err = alk_json_scan_within(text, SCHEMA_DEPTH, &values);
    if (err == ALK_E_TOO_BIG) {
        (void)snprintf(why, why_size, "this schema is deeper than %d levels",
                       ALK_JSON_SCAN_DEPTH_MAX - SCHEMA_DEPTH);
        return ALK_E_CONFIG;
    }
    if (err != ALK_OK) {
        where_broken(text, where, sizeof where);
        (void)snprintf(why, why_size, "must be a JSON Schema, written as JSON in a string%s",
                       where);
        return ALK_E_CONFIG;
    }
    return ALK_OK;
}

static alk_err check_program(const struct alk_conf *value, char *why, size_t why_size)
{
    if (alk_conf_str(alk_conf_at(value, 0))[0] != '/') {
        (void)snprintf(why, why_size, "the program must be an absolute path");
        return ALK_E_CONFIG;
    }
    return ALK_OK;
}

static alk_err check_name(const struct alk_conf *value, char *why, size_t why_size)
{
    static const char *const reserved[] = {"services/", "node/", "events/", "fs/",
                                           "auth/",     "git/",  "secret/", "call/"};
    struct alk_span name = alk_conf_span(value);
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (alk_span_starts(name, alk_span_str(reserved[i]))) {
            (void)snprintf(why, why_size, "%s... belongs to the node itself", reserved[i]);
            return ALK_E_CONFIG;
        }
    }
    if (alk_span_find(name, '/') == name.n) {
        (void)snprintf(why, why_size, "must be NAMESPACE/NAME");
        return ALK_E_CONFIG;
    }
    return ALK_OK;
}

#define WORD_ROW(word, bytes, checked)                                                             \
    {                                                                                              \
        {.name = word, .type = ALK_CONF_STRING, .max = bytes, .check = checked},                   \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }
static const struct alk_conf_row argument_row[] = WORD_ROW("argument", 4096, NULL);
static const struct alk_conf_row scope_row[] =
    WORD_ROW("scope", ALK_SCOPE_MAX, alk_auth_check_scope);
static const struct alk_conf_row variable_row[] = WORD_ROW("value", 4096, NULL);
static const char *const kinds[] = {"query", "mutation", "subscription", NULL};
static const struct alk_conf_row error_rows[] = {
    {.name = "code",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = ALK_OP_CODE_MAX,
     .is_required = true,
     .help = "As in `{\"error\": {\"code\": ...}}`: A-Z 0-9 and _."},
    {.name = "summary", .type = ALK_CONF_STRING, .max = 200, .help = "What it means."},
    {.name = NULL}};
static const struct alk_conf_row error_row[] = {
    {.name = "error", .type = ALK_CONF_MAP, .sub = error_rows}, {.name = NULL}};

static const struct alk_conf_row op_rows[] = {
    {.name = "name",
     .type = ALK_CONF_STRING,
     .min = 3,
     .max = ALK_OP_NAME_MAX,
     .is_required = true,
     .check = check_name,
     .help = "NAMESPACE/NAME, of a-z 0-9 _ and -."},
    {.name = "exec",
     .type = ALK_CONF_LIST,
     .sub = argument_row,
     .min = 1,
     .max = ALK_EXEC_ARGS_MAX,
     .is_required = true,
     .check = check_program,
     .help = "Program and arguments. No shell: nothing of the input becomes an argument."},
    {.name = "summary", .type = ALK_CONF_STRING, .max = 200, .help = "One line about it."},
    {.name = "help", .type = ALK_CONF_STRING, .max = 4096, .help = "More about it."},
    {.name = "kind",
     .type = ALK_CONF_ENUM,
     .values = kinds,
     .fallback = "mutation",
     .help = "query: has no effect and may be repeated; mutation; subscription: each line of its "
             "output is an answer."},
    {.name = "input",
     .type = ALK_CONF_STRING,
     .max = 65536,
     .check = check_schema,
     .help = "JSON Schema of the input, as JSON in a string."},
    {.name = "output",
     .type = ALK_CONF_STRING,
     .max = 65536,
     .check = check_schema,
     .help = "JSON Schema of the answer."},
    {.name = "errors",
     .type = ALK_CONF_LIST,
     .sub = error_row,
     .max = 32,
     .fallback = "[]",
     .help = "Codes of its own, beside those that all operations share. A program that ends with "
             "status 1 and `{\"error\": {\"code\", \"message\"}}` as its last line answers with "
             "one of them."},
    {.name = "scopes",
     .type = ALK_CONF_LIST,
     .sub = scope_row,
     .max = 16,
     .fallback = "[]",
     .scalar_ok = true,
     .help = "Scopes that the caller needs, all of them. Default: any known peer may call it."},
    {.name = "public", .type = ALK_CONF_BOOL, .fallback = "false", .help = "Anybody may call it."},
    {.name = "timeout",
     .type = ALK_CONF_DURATION,
     .min = ALK_MS,
     .max = 86400 * ALK_SECOND,
     .help = "How long it may run; then TIMEOUT. Default: 30s; a subscription: no limit."},
    {.name = "user",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = 64,
     .help = "Started as root: run the program as this user. Default: host_user. A new user needs "
             "a restart."},
    {.name = "memory",
     .type = ALK_CONF_SIZE,
     .fallback = "0",
     .unit = "bytes",
     .help = "Memory of one process, for its data and heap. 0: no limit."},
    {.name = "max_instances",
     .type = ALK_CONF_UINT,
     .min = 1,
     .max = 10000,
     .fallback = "16",
     .unit = "processes",
     .help = "Programs of this operation that run at one time; one more is EXHAUSTED."},
    {.name = "cwd", .type = ALK_CONF_STRING, .min = 1, .max = 4096, .help = "Working directory."},
    {.name = "env",
     .type = ALK_CONF_DICT,
     .sub = variable_row,
     .max = 256,
     .fallback = "{}",
     .help = "Environment, beside the ALKNET_ variables; nothing is inherited."},
    {.name = NULL}};

const struct alk_conf_row alk_exec_op_rows[] = {
    {.name = "operation", .type = ALK_CONF_MAP, .sub = op_rows}, {.name = NULL}};

/* --- one operation --------------------------------------------------------- */

void alk_exec_op_release(void *ctx)
{
    struct alk_exec_op *op = (struct alk_exec_op *)ctx;
    if (op != NULL && atomic_fetch_sub(&op->refs, 1) == 1) {
        alk_conf_unref(op->conf);
        alk_free(op->mem, op);
    }
}

/* --- the part -------------------------------------------------------------- */

struct exec_part {
    const struct alk_mem *mem;
    struct alk_ops *ops;
    const struct alk_env *env;
    const struct alk_conf *conf; /* in force; a reference */
};

static alk_err exec_start(const struct alk_part_env *env, char *why, size_t why_size, void **ret)
{
    struct exec_part *p = ALK_NEW(env->mem, struct exec_part);
    (void)why;
    (void)why_size;
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    p->mem = env->mem;
    p->ops = env->ops;
    p->env = env->env;
    *ret = p;
    return ALK_OK;
}

static void fill_errors(struct alk_exec_op *op, const struct alk_conf *list)
{
    for (size_t i = 0; i < alk_conf_count(list) && i < ALK_EXEC_ERRORS_MAX; i++) {
        const struct alk_conf *e = alk_conf_at(list, i);
        op->errors[i] = (struct alk_op_error){.code = alk_conf_get_str(e, "code"),
                                              .summary = alk_conf_get_str(e, "summary")};
    }
}

static struct alk_exec_op *op_new(const struct exec_part *p, const struct alk_conf *conf)
{
    const struct alk_conf *argv = alk_conf_get(conf, "exec");
    const struct alk_conf *scopes = alk_conf_get(conf, "scopes");
    struct alk_exec_op *op = ALK_NEW(p->mem, struct alk_exec_op);
    if (op == NULL) {
        return NULL;
    }
    atomic_init(&op->refs, 1);
    op->mem = p->mem;
    op->env = p->env;
    op->conf = alk_conf_ref(conf);
    op->instances_max = (unsigned)alk_conf_get_uint(conf, "max_instances");
    for (size_t i = 0; i < alk_conf_count(argv) && i < ALK_EXEC_ARGS_MAX; i++) {
        op->argv[i] = alk_conf_str(alk_conf_at(argv, i));
    }
    for (size_t i = 0; i < alk_conf_count(scopes) && i < ALK_EXEC_SCOPES_MAX; i++) {
        op->scopes[i] = alk_conf_str(alk_conf_at(scopes, i));
    }
    fill_errors(op, alk_conf_get(conf, "errors"));
    return op;
}

static const char *text_or_null(const struct alk_conf *conf, const char *name)
{
    const struct alk_conf *v = alk_conf_get(conf, name);
    return v == NULL ? NULL : alk_conf_str(v);
}

static alk_err add_op(const struct exec_part *p, struct alk_ops *ops, const struct alk_conf *conf,
                      char *why, size_t why_size)
{
    struct alk_exec_op *x = op_new(p, conf);
    if (x == NULL) {
        return ALK_E_NOMEM;
    }
    const struct alk_op op = {.struct_size = sizeof op,
                              .name = alk_conf_get_str(conf, "name"),
                              .summary = alk_conf_get_str(conf, "summary"),
                              .help = text_or_null(conf, "help"),
                              .kind = (enum alk_op_kind)alk_conf_get_uint(conf, "kind"),
                              .flags = ALK_OP_TEXT_INPUT |
                                       (alk_conf_get_bool(conf, "public") ? ALK_OP_PUBLIC : 0u),
                              .input = text_or_null(conf, "input"),
                              .output = text_or_null(conf, "output"),
                              .errors = x->errors,
                              .access = {.all_scopes = x->scopes[0] == NULL ? NULL : x->scopes},
                              .timeout_ms = alk_conf_get_uint(conf, "timeout") / ALK_MS,
                              .fn = alk_exec_op_run,
                              .release = alk_exec_op_release};
    return alk_ops_add(ops, &op, x, why, why_size);
}

static void name_place(const struct alk_conf *conf, const char *what, char *why, size_t why_size)
{
    char where[512], text[512];
    alk_conf_where(conf, where, sizeof where);
    (void)snprintf(text, sizeof text, "%s", what);
    (void)snprintf(why, why_size, "%s: %s", where, text);
}

/* Everything is tried on a registry that is thrown away. */
static alk_err exec_prepare(void *part, const struct alk_conf *section, char *why, size_t why_size,
                            void **ret_next)
{
    const struct exec_part *p = (const struct exec_part *)part;
    const struct alk_ops_options o = {.struct_size = sizeof o, .mem = p->mem};
    struct alk_ops *trial = NULL;
    char text[256] = "";

    if (alk_conf_count(section) > 0 && p->env->spawner == NULL) {
        (void)snprintf(why, why_size, "services.call.operations: no programs can be started here");
        return ALK_E_UNSUPPORTED;
    }
    ALK_TRY(alk_ops_new(&o, &trial));
    alk_err err = ALK_OK;
    for (size_t i = 0; i < alk_conf_count(section) && err == ALK_OK; i++) {
        err = add_op(p, trial, alk_conf_at(section, i), text, sizeof text);
        if (err != ALK_OK) {
            name_place(alk_conf_at(section, i), text[0] == '\0' ? alk_err_text(err) : text, why,
                       why_size);
        }
    }
    alk_ops_free(trial);
    if (err == ALK_OK) {
        /* A tree is never written to: the cast only takes it through `void *`. */
        *ret_next = (void *)(uintptr_t)alk_conf_ref(section);
    }
    return err;
}

/* The member of the same name with the same settings; NULL: there is none. */
static const struct alk_conf *find_equal(const struct alk_conf *list, const struct alk_conf *conf)
{
    for (size_t i = 0; i < alk_conf_count(list); i++) {
        if (alk_conf_equal(alk_conf_at(list, i), conf)) {
            return alk_conf_at(list, i);
        }
    }
    return NULL;
}

/* All that `next` does not have just so; NULL: all. */
static void remove_others(const struct exec_part *p, const struct alk_conf *next)
{
    for (size_t i = 0; i < alk_conf_count(p->conf); i++) {
        const struct alk_conf *conf = alk_conf_at(p->conf, i);
        if (find_equal(next, conf) == NULL) {
            (void)alk_ops_remove(p->ops, alk_conf_get_str(conf, "name"));
        }
    }
}

static void add_logged(const struct exec_part *p, const struct alk_conf *conf)
{
    char why[256] = "", line[512];
    alk_err err = add_op(p, p->ops, conf, why, sizeof why);
    if (err != ALK_OK && p->env->log != NULL) {
        (void)snprintf(line, sizeof line, "%s is not offered: %s", alk_conf_get_str(conf, "name"),
                       why[0] == '\0' ? alk_err_text(err) : why);
        p->env->log(p->env->log_ctx, ALK_LOG_ERROR, "operation", line);
    }
}

/* What has not changed stays: nobody on another loop misses it for a moment, and
 * max_instances counts on. */
static void exec_commit(void *part, void *next)
{
    struct exec_part *p = (struct exec_part *)part;
    const struct alk_conf *old = p->conf;
    const struct alk_conf *list = (const struct alk_conf *)next;

    remove_others(p, list);
    for (size_t i = 0; i < alk_conf_count(list); i++) {
        if (find_equal(old, alk_conf_at(list, i)) == NULL) {
            add_logged(p, alk_conf_at(list, i));
        }
    }
    p->conf = list;
    alk_conf_unref(old);
}

static void exec_drop(void *part, void *next)
{
    (void)part;
    alk_conf_unref((const struct alk_conf *)next);
}

static void exec_stop(void *part)
{
    struct exec_part *p = (struct exec_part *)part;
    remove_others(p, NULL);
    alk_conf_unref(p->conf);
    alk_free(p->mem, p);
}

const struct alk_part alk_exec_part = {.section = "operations",
                                       .start = exec_start,
                                       .prepare = exec_prepare,
                                       .commit = exec_commit,
                                       .drop = exec_drop,
                                       .stop = exec_stop};
