/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "state.h"

#include "alknet/call.h"
#include "base/buf.h"
#include "core/frame.h"
#include "core/host/exec.h"
#include "core/host/forward.h"
#include "core/host/privileges.h"
#include "core/io/admin.h"
#include "core/io/loop.h"
#include "core/io/rand.h"
#include "core/store/auth_ops.h"
#include "core/store/file.h"
#include "git/git.h"
#include "keyring.h"
#include "probe/probe.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_CONFIG "/etc/alknet/alknet.yaml"

const struct alk_handler *const *cli_handlers(size_t *ret_n)
{
    static const struct alk_handler *const handlers[] = {
        &alk_call_handler, &alk_git_handler,  &alk_ping_handler,   &alk_bench_handler,
        &alk_id_handler,   &alk_exec_handler, &alk_forward_handler};
    *ret_n = sizeof handlers / sizeof handlers[0];
    return handlers;
}

/* --- which node --------------------------------------------------------------- */

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool cli_path_here(const char *path, char *ret, size_t ret_size)
{
    char cwd[PATH_MAX];

    while (path[0] == '.' && (path[1] == '/' || path[1] == '\0')) {
        path += path[1] == '/' ? 2 : 1;
    }
    if (path[0] == '/') {
        return alk_file_join("", path, ret, ret_size);
    }
    if (getcwd(cwd, sizeof cwd) == NULL) {
        return false;
    }
    return path[0] == '\0' ? alk_span_cstr(alk_span_str(cwd), ret, ret_size)
                           : alk_file_join(cwd, path, ret, ret_size);
}

static int put_path(struct cli *cli, const char *dir, const char *name, char *ret, size_t ret_size)
{
    if (dir[0] != '/' && name[0] != '/') {
        char there[PATH_MAX];
        bool is_ok = strcmp(dir, ".") == 0 ? cli_path_here(name, ret, ret_size)
                                           : cli_path_here(dir, there, sizeof there) &&
                                                 alk_file_join(there, name, ret, ret_size);
        if (!is_ok) {
            return cli_fail(cli, CLI_FAILED, "the path %s is too long", dir);
        }
        return CLI_OK;
    }
    return alk_file_join(dir, name, ret, ret_size)
               ? CLI_OK
               : cli_fail(cli, CLI_FAILED, "the path %s is too long", dir);
}

int cli_config_file(struct cli *cli, const struct cli_args *args, char *ret, size_t ret_size)
{
    const char *file = cli_get(args, "config");
    const char *dir = cli_get(args, "dir");
    char fallback[PATH_MAX];

    ret[0] = '\0';
    if (file != NULL) {
        int rc = put_path(cli, ".", file, ret, ret_size);
        if (rc == CLI_OK && !exists(ret)) {
            rc = cli_fail(cli, CLI_FAILED, "cannot read %s: %s", file, strerror(errno));
        }
        return rc;
    }
    if (dir == NULL && geteuid() == 0 && exists(SYSTEM_CONFIG)) {
        return put_path(cli, "/", SYSTEM_CONFIG, ret, ret_size);
    }
    if (dir == NULL) {
        if (alk_datadir_default(fallback, sizeof fallback) != ALK_OK) {
            return cli_fail(cli, CLI_FAILED, "no home directory: say --dir DIR or --config FILE");
        }
        dir = fallback;
    }
    int rc = put_path(cli, dir, ALK_DATADIR_CONFIG, ret, ret_size);
    if (rc == CLI_OK && !exists(ret)) {
        ret[0] = '\0';
    }
    return rc;
}

struct how {
    bool with_services, is_quiet;
    const struct alk_conf_opener *opener;
};

static int load(struct cli_state *s, const struct cli_args *args, const struct how *how,
                struct alk_span text)
{
    struct alk_conf_errors errors = {.text = NULL};
    char base[PATH_MAX], fallback[PATH_MAX], dir[PATH_MAX];
    const char *given = cli_get(args, "dir");
    const char *slash = strrchr(s->config_file, '/');

    if (given != NULL) {
        int rc = put_path(s->cli, given, "", dir, sizeof dir);
        if (rc != CLI_OK) {
            return rc;
        }
        dir[strlen(dir) - 1] = '\0'; /* the slash before the empty name */
    }
    if (slash != NULL) {
        (void)alk_span_cstr(alk_span(s->config_file, (size_t)(slash - s->config_file)), base,
                            sizeof base);
    }
    bool has_fallback = alk_datadir_default(fallback, sizeof fallback) == ALK_OK;
    struct alk_config_options o = {
        .text = text,
        .name = s->config_file[0] != '\0' ? s->config_file : "the built-in configuration",
        .base_dir = slash != NULL && slash != s->config_file ? base : "/",
        .default_data_dir = has_fallback ? fallback : "/var/lib/alknet",
        .data_dir = given != NULL ? dir : NULL,
        .ignore_services = !how->with_services,
        .opener = how->opener};
    o.handlers = cli_handlers(&o.handler_count);
    alk_err err = alk_config_load(&o, &errors, &s->fixed, &s->config);
    int rc = err == ALK_OK ? CLI_OK : CLI_FAILED;
    if (err == ALK_E_CONFIG && errors.text != NULL && !how->is_quiet) {
        (void)fprintf(s->cli->err, "%s", errors.text);
    } else if (err != ALK_OK && !how->is_quiet) {
        rc = cli_fail_err(s->cli, err, NULL);
    }
    alk_conf_errors_fini(&errors);
    return rc;
}

static int open_state(struct cli *cli, const struct cli_args *args, struct how how,
                      struct cli_state *ret)
{
    struct cli_keyring *ring = NULL;
    struct alk_buf text;

    *ret = (struct cli_state){.cli = cli};
    int rc = cli_config_file(cli, args, ret->config_file, sizeof ret->config_file);
    if (rc == CLI_OK) {
        rc = cli_keyring_new(cli, args, &ring);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    alk_buf_init(&text, NULL, ALK_CONF_TEXT_MAX);
    if (ret->config_file[0] != '\0' &&
        alk_file_read(ret->config_file, ALK_CONF_TEXT_MAX, &text) != ALK_OK) {
        rc = cli_fail(cli, CLI_FAILED, "cannot read %s: %s", ret->config_file,
                      errno != 0 ? strerror(errno) : "it is larger than 1 MiB");
    } else {
        how.opener = cli_keyring_opener(ring);
        rc = load(ret, args, &how, alk_buf_span(&text));
    }
    alk_buf_fini(&text);
    cli_keyring_free(ring);
    return rc;
}

int cli_state_open(struct cli *cli, const struct cli_args *args, bool with_services,
                   struct cli_state *ret)
{
    return open_state(cli, args, (struct how){.with_services = with_services}, ret);
}

int cli_state_try(struct cli *cli, const struct cli_args *args, struct cli_state *ret)
{
    return open_state(cli, args, (struct how){.is_quiet = true}, ret);
}

/* The line of a top-level data_dir, to be read as a configuration of its own. */
static struct alk_span data_dir_line(struct alk_span text)
{
    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p) + 1;
        if (alk_span_starts(text, ALK_LIT("data_dir:"))) {
            return alk_span_head(text, n);
        }
        text = alk_span_tail(text, n);
    }
    return text;
}

bool cli_state_where(struct cli *cli, const struct cli_args *args, struct cli_state *ret)
{
    const struct how how = {.is_quiet = true};
    struct alk_buf text;

    *ret = (struct cli_state){.cli = cli};
    alk_buf_init(&text, NULL, ALK_CONF_TEXT_MAX);
    bool is_known = cli_config_file(cli, args, ret->config_file, sizeof ret->config_file) == CLI_OK;
    if (is_known && ret->config_file[0] != '\0') {
        is_known = alk_file_read(ret->config_file, ALK_CONF_TEXT_MAX, &text) == ALK_OK;
    }
    is_known = is_known && load(ret, args, &how, data_dir_line(alk_buf_span(&text))) == CLI_OK;
    alk_buf_fini(&text);
    return is_known;
}

void cli_state_close(struct cli_state *state)
{
    alk_dynamic_config_unref(state->config);
    alk_static_config_unref(state->fixed);
    state->config = NULL;
    state->fixed = NULL;
}

int cli_become_owner(struct cli *cli, const char *dir)
{
    struct stat st;

    if (geteuid() != 0 || stat(dir, &st) != 0 || st.st_uid == 0) {
        return CLI_OK; /* what is wrong with the directory is told where it is opened */
    }
    const struct alk_user owner = {.uid = st.st_uid, .gid = st.st_gid};
    int error = alk_user_become(&owner, &owner.gid, 1);
    return error == 0 ? CLI_OK
                      : cli_fail(cli, CLI_FAILED, "cannot become the owner of %s: %s", dir,
                                 strerror(error));
}

int cli_state_datadir(const struct cli_state *state, struct alk_datadir **ret)
{
    const struct alk_datadir_options o = {.path = state->fixed->data_dir, .is_locked = true};
    char why[ALK_DATADIR_WHY] = "";
    int rc = cli_become_owner(state->cli, o.path);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_err err = alk_datadir_open(&o, why, sizeof why, ret);
    return err == ALK_OK ? CLI_OK : cli_fail_err(state->cli, err, why);
}

/* --- operations --------------------------------------------------------------- */

alk_err cli_state_ask(const struct cli_state *state, const char *operation, struct alk_span input,
                      char *why, size_t why_size, struct yyjson_doc **ret_doc,
                      struct yyjson_val **ret_output)
{
    char path[PATH_MAX];
    if (!alk_file_join(state->fixed->data_dir, ALK_DATADIR_ADMIN, path, sizeof path)) {
        return ALK_E_INVALID;
    }
    const struct alk_admin_ask ask = {.path = path, .operation = operation, .input = input};
    return alk_admin_ask(&ask, why, why_size, ret_doc, ret_output);
}

alk_err cli_store_auth(const struct cli_state *state, const char *operation,
                       struct yyjson_val *input, char *why, size_t why_size,
                       struct yyjson_doc **ret_doc)
{
    struct alk_rand rand = alk_rand_system();
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *out = NULL;
    struct alk_auth_ops ops = {
        .rand = &rand, .auth = state->config->auth, .generation = 1, .unix_s = alk_clock_unix()};
    char message[ALK_DB_MESSAGE_SIZE] = "";

    alk_err err = alk_auth_db_open(NULL, state->fixed->data_dir, message, &ops.db);
    if (err != ALK_OK) {
        (void)snprintf(why, why_size, "%s", message);
    } else {
        err = alk_auth_ops_run(&ops, operation, input, doc, why, why_size, &out);
    }
    if (err == ALK_OK) {
        *ret_doc = yyjson_mut_val_imut_copy(out, NULL);
        err = *ret_doc == NULL ? ALK_E_NOMEM : ALK_OK;
    }
    alk_auth_db_close(ops.db);
    yyjson_mut_doc_free(doc);
    return err;
}

/* No node runs: the lock says so for as long as we hold it. */
static int auth_offline(const struct cli_state *state, const char *operation, struct alk_span text,
                        struct yyjson_doc **ret_doc)
{
    struct alk_datadir *dir = NULL;
    struct yyjson_doc *input = NULL;
    char why[ALK_AUTH_OPS_WHY] = "";

    int rc = cli_state_datadir(state, &dir);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_err err = alk_json_parse(text, &input);
    if (err == ALK_OK) {
        err =
            cli_store_auth(state, operation, yyjson_doc_get_root(input), why, sizeof why, ret_doc);
    }
    yyjson_doc_free(input);
    alk_datadir_close(dir);
    return err == ALK_OK ? CLI_OK : cli_fail_err(state->cli, err, why);
}

int cli_state_auth(const struct cli_state *state, const char *operation,
                   struct yyjson_mut_doc *input, struct yyjson_doc **ret_doc,
                   struct yyjson_val **ret_output)
{
    char why[ALK_AUTH_OPS_WHY] = "";
    struct alk_buf text;

    alk_buf_init(&text, NULL, ALK_FRAME_MAX);
    alk_err err = alk_json_put(&text, yyjson_mut_doc_get_root(input), false);
    yyjson_mut_doc_free(input);
    if (err == ALK_OK) {
        err = cli_state_ask(state, operation, alk_buf_span(&text), why, sizeof why, ret_doc,
                            ret_output);
    }
    int rc = CLI_OK;
    if (err == ALK_E_UNREACHABLE) {
        rc = auth_offline(state, operation, alk_buf_span(&text), ret_doc);
        if (rc == CLI_OK) {
            *ret_output = yyjson_doc_get_root(*ret_doc);
        }
    } else if (err != ALK_OK) {
        rc = cli_fail_err(state->cli, err, why);
    }
    alk_buf_fini_secret(&text);
    return rc;
}
