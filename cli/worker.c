/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet worker: operations of this machine, offered through a node. */
#include "caller.h"
#include "commands.h"
#include "state.h"

#include "core/host/spawner.h"
#include "core/store/file.h"
#include "ops/dispatch.h"
#include "ops/part.h"

#include <errno.h>
#include <unistd.h>

#define FILE_MAX       ((size_t)1 << 20)
#define NAMESPACES_MAX 32
/* Between attempts to reach the node again. */
#define WAIT_MIN       (1 * ALK_SECOND)
#define WAIT_MAX       (30 * ALK_SECOND)

static const struct alk_conf_row file_rows[] = {
    {.name = "operations",
     .type = ALK_CONF_LIST,
     .min = 1,
     .max = 256,
     .sub = alk_exec_op_rows,
     .is_required = true,
     .help = "Programs that are operations, as in services.call.operations of a node."},
    {.name = NULL}};

struct worker {
    struct cli *cli;
    const struct cli_args *args;
    const struct alk_conf *conf;
    struct alk_spawner *spawner;
    struct alk_ops *ops;
    struct alk_env env;
    void *part; /* alk_exec_part's */
    char namespaces[NAMESPACES_MAX][ALK_OP_NAME_MAX + 1];
    size_t namespace_count;
    alk_time wait;
};

/* --- what is offered ---------------------------------------------------------------- */

static int read_offer(struct worker *w)
{
    const char *path = cli_get(w->args, "offer");
    struct alk_conf_errors errors = {.text = NULL};
    struct alk_buf text;

    alk_buf_init(&text, NULL, FILE_MAX);
    errno = 0;
    alk_err err = alk_file_read(path, FILE_MAX, &text);
    int rc = CLI_OK;
    if (err != ALK_OK) {
        rc = cli_fail(w->cli, CLI_FAILED, "cannot read %s: %s", path,
                      errno != 0 ? strerror(errno) : alk_err_text(err));
    } else if (alk_conf_parse(NULL, alk_buf_span(&text), path, file_rows, &errors, &w->conf) !=
               ALK_OK) {
        (void)fprintf(w->cli->err, "%s", errors.text != NULL ? errors.text : "");
        rc = cli_fail(w->cli, CLI_FAILED, "%s is wrong", path);
    }
    alk_conf_errors_fini(&errors);
    alk_buf_fini(&text);
    return rc;
}

static int find_namespaces(struct worker *w)
{
    const struct alk_conf *list = alk_conf_get(w->conf, "operations");
    for (size_t i = 0; i < alk_conf_count(list); i++) {
        struct alk_span rest = alk_span_str(alk_conf_get_str(alk_conf_at(list, i), "name"));
        struct alk_span first = alk_span_cut(&rest, '/');
        bool is_known = false;
        for (size_t k = 0; k < w->namespace_count; k++) {
            is_known = is_known || alk_span_is(first, w->namespaces[k]);
        }
        if (is_known) {
            continue;
        }
        if (w->namespace_count == NAMESPACES_MAX ||
            !alk_span_cstr(first, w->namespaces[w->namespace_count], ALK_OP_NAME_MAX + 1)) {
            return cli_fail(w->cli, CLI_FAILED, "at most %d namespaces can be offered",
                            NAMESPACES_MAX);
        }
        w->namespace_count++;
    }
    return CLI_OK;
}

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct worker *w = (struct worker *)ctx;
    (void)level;
    (void)fprintf(w->cli->err, "%s: %s\n", component, line);
}

static int start_ops(struct worker *w)
{
    const struct alk_ops_options o = {.struct_size = sizeof o};
    char why[512] = "";
    void *next = NULL;

    w->env = (struct alk_env){.struct_size = sizeof w->env,
                              .service = "worker",
                              .log = on_log,
                              .log_ctx = w,
                              .spawner = w->spawner};
    alk_err err = alk_ops_new(&o, &w->ops);
    if (err == ALK_OK) {
        const struct alk_part_env env = {.ops = w->ops, .env = &w->env};
        err = alk_exec_part.start(&env, why, sizeof why, &w->part);
    }
    if (err == ALK_OK) {
        err = alk_exec_part.prepare(w->part, alk_conf_get(w->conf, "operations"), why, sizeof why,
                                    &next);
    }
    if (err != ALK_OK) {
        return cli_fail_err(w->cli, err, why);
    }
    alk_exec_part.commit(w->part, next);
    return CLI_OK;
}

/* Before anything else runs: it forks. */
static int start_spawner(struct worker *w)
{
    const struct alk_spawner_options o = {.host_user = cli_get(w->args, "user")};
    const char *user = NULL;

    alk_err err = alk_spawner_start(&o, &user, &w->spawner);
    if (err == ALK_OK) {
        return CLI_OK;
    }
    const char *why = user == NULL         ? alk_err_text(err)
                      : err == ALK_E_NOENT ? "there is no such user"
                      : err != ALK_E_PERM  ? alk_err_text(err)
                      : geteuid() == 0     ? "programs never run as root"
                                           : "only root can become another user";
    return cli_fail(w->cli, CLI_FAILED, "cannot start programs as %s: %s",
                    user == NULL ? "this user" : user, why);
}

/* --- one connection ------------------------------------------------------------------- */

static void on_offered(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                       bool is_retryable, struct alk_span details)
{
    struct cli_answer *a = (struct cli_answer *)ctx;
    (void)call;
    (void)is_retryable;
    (void)details;
    a->is_over = true;
    (void)alk_span_cstr(alk_span_str(code == NULL ? "" : code), a->code, sizeof a->code);
    cli_safe(message, a->message, sizeof a->message);
    alk_loop_stop(a->caller->client.loop);
}

static const struct alk_answers offer_answers = {.ended = on_offered};

static int offer_one(struct worker *w, struct cli_caller *caller, const char *name_space)
{
    struct cli_answer answer = {.caller = caller};
    struct alk_call *call;

    alk_err err = alk_peer_offer(caller->peer, name_space, &offer_answers, &answer, &call);
    if (err != ALK_OK) {
        return cli_fail_err(w->cli, err, NULL);
    }
    int rc = cli_caller_wait(caller, &answer.is_over);
    if (rc == CLI_OK) {
        rc = cli_caller_tell(caller, name_space, &answer);
    } else if (!answer.is_over) {
        alk_call_drop(call);
    }
    return rc;
}

static void tell_ready(struct worker *w)
{
    size_t n = alk_conf_count(alk_conf_get(w->conf, "operations"));

    if (w->cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = yyjson_mut_obj_add_uint(doc, o, "offering", n);
        (void)cli_print_json(w->cli, doc, is_ok ? o : NULL);
    } else {
        (void)fprintf(w->cli->out, "offering %zu operation%s\n", n, n == 1 ? "" : "s");
    }
    (void)fflush(w->cli->out);
}

/* Serves until the connection ends. *ret_is_final: trying again would not help. */
static int serve_once(struct worker *w, bool *ret_is_final)
{
    static const bool never = false;
    struct cli_caller caller;

    int rc = cli_caller_open(w->cli, w->args, cli_value(w->args, 0), w->ops, &caller);
    *ret_is_final = rc == CLI_USAGE || rc == CLI_REFUSED;
    for (size_t i = 0; i < w->namespace_count && rc == CLI_OK; i++) {
        rc = offer_one(w, &caller, w->namespaces[i]);
        *ret_is_final = rc != CLI_OK && caller.is_open;
    }
    if (rc == CLI_OK) {
        w->wait = WAIT_MIN;
        tell_ready(w);
        rc = cli_caller_wait(&caller, &never);
        *ret_is_final = rc == CLI_REFUSED;
    }
    cli_caller_close(&caller); /* a signal ends the process here */
    return rc;
}

/* A pause that a signal may end as it ends any program. */
static void pause_for(alk_time t)
{
    struct alk_loop *loop = NULL;
    if (alk_loop_new(NULL, &loop) == ALK_OK) {
        alk_time until = alk_loop_now(loop) + t;
        while (alk_loop_now(loop) < until) {
            (void)alk_loop_run_once(loop, (int)((until - alk_loop_now(loop)) / ALK_MS) + 1);
        }
        alk_loop_free(loop);
    }
}

static int serve(struct worker *w)
{
    bool is_final = false;
    int rc;

    w->wait = WAIT_MIN;
    for (;;) {
        rc = serve_once(w, &is_final);
        if (is_final || cli_has(w->args, "once")) {
            return rc;
        }
        (void)fprintf(w->cli->err, "alknet: trying again in %u s\n",
                      (unsigned)(w->wait / ALK_SECOND));
        pause_for(w->wait);
        w->wait = w->wait * 2 > WAIT_MAX ? WAIT_MAX : w->wait * 2;
    }
}

static int run_worker(struct cli *cli, const struct cli_args *args)
{
    struct worker w = {.cli = cli, .args = args};

    if (cli_get(args, "offer") == NULL) {
        return cli_usage(cli->err, args, "what? Say --offer FILE");
    }
    int rc = read_offer(&w);
    if (rc == CLI_OK) {
        rc = find_namespaces(&w);
    }
    if (rc == CLI_OK) {
        rc = start_spawner(&w);
    }
    if (rc == CLI_OK) {
        rc = start_ops(&w);
    }
    if (rc == CLI_OK) {
        rc = serve(&w);
    }
    if (w.part != NULL) {
        alk_exec_part.stop(w.part);
    }
    if (w.ops != NULL) {
        alk_ops_free(w.ops);
    }
    alk_spawner_free(w.spawner);
    alk_conf_unref(w.conf);
    return rc;
}

static const struct cli_section worker_sections[] = {
    {"FILE", "operations:\n"
             "  - name: media/probe\n"
             "    summary: what is in a media file\n"
             "    kind: query\n"
             "    exec: [/usr/bin/ffprobe, -v, quiet, -of, json, -show_format, /dev/stdin]\n\n"
             "The settings are those of services.call.operations in alknet-config(5)."},
    {"NOTES",
     "The worker connects outward: nothing listens on this machine, and it may stand behind a "
     "router. Its key needs the scope offer:NAMESPACE on the node for the first part of each "
     "name. Who may call the operations is said by the node's configuration "
     "(services.call.workers), not by the worker. When the connection breaks, the worker comes "
     "back by itself; it ends with status 3 when the node does not want it. While the "
     "scope is taken away nothing is offered; it is again when the scope comes back. Calls that "
     "are under way when a worker ends fail as UNAVAILABLE."},
    {NULL, NULL}};

const struct cli_command cli_worker_command = {
    .name = "worker",
    .summary = "offer operations of this machine through a node",
    .purpose = "Connects to a node and offers operations there that run here: programs that read "
               "JSON and write JSON. Everybody who may call them on the node reaches them, under "
               "the node's address. Several workers with the same operation share its calls.",
    .sets = {(const struct cli_opt[]){
                 {.name = "offer",
                  .letter = 'o',
                  .value = "FILE",
                  .complete = CLI_FILE,
                  .is_needed = true,
                  .help = "The operations, in YAML: `operations:`, as in the section `services: "
                          "call:` of a node's configuration."},
                 {.name = "user",
                  .value = "USER",
                  .help = "Started as root: run the programs as this user. Default: nobody."},
                 {.name = "once", .help = "End with the connection instead of coming back."},
                 {.name = NULL}},
             cli_json_opts, cli_node_opts},
    .args =
        (const struct cli_arg[]){
            {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
            {.name = NULL}},
    .sections = worker_sections,
    .examples =
        (const struct cli_example[]){{"alknet worker home --offer media.yaml", "until stopped"},
                                     {NULL, NULL}},
    .run = run_worker};
