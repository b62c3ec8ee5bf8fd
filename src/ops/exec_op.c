/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations of the configuration: a program gets the input as JSON on standard input
 * and answers with JSON on standard output; a subscription answers line by line. */
#include "base/buf.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "core/auth/conf.h"
#include "core/frame.h"
#include "core/host/exec_env.h"
#include "core/host/run.h"
#include "ops/dispatch.h"
#include "ops/part.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* How waitpid's status is taken apart, without the system's header. */
#define EXITED(status)      (((status)&0x7f) == 0)
#define EXIT_STATUS(status) (((status) >> 8) & 0xff)

#define ARGS_MAX 256

/* --- settings -------------------------------------------------------------- */

static alk_err check_schema(const struct alk_conf *value, char *why, size_t why_size)
{
    if (alk_json_scan_check(alk_conf_span(value)) != ALK_OK) {
        (void)snprintf(why, why_size, "must be a JSON Schema, written as JSON in a string");
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
     .max = ARGS_MAX,
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
     .help = "Codes of its own. A program that ends with status 1 and "
             "`{\"error\": {\"code\", \"message\"}}` as its last line answers with one of them."},
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
     .help = "How long an answer may take. Default: 30s; a subscription: no limit."},
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

/* The ctx of the registry's entry; counted, because runs may outlive it. */
struct exec_op {
    atomic_size_t refs;
    const struct alk_mem *mem;
    const struct alk_env *env;
    const struct alk_conf *conf; /* a reference */
    const char *argv[ARGS_MAX + 1];
    const char *scopes[17];
    struct alk_op_error errors[33];
    atomic_uint instances;
    unsigned instances_max;
};

static void op_release(void *ctx)
{
    struct exec_op *op = (struct exec_op *)ctx;
    if (op != NULL && atomic_fetch_sub(&op->refs, 1) == 1) {
        alk_conf_unref(op->conf);
        alk_free(op->mem, op);
    }
}

/* A program of it is no more. It counts until then, also when nobody waits for it: or
 * whoever aborts his calls could have any number that are slow to end. */
static void program_gone(void *ctx)
{
    struct exec_op *op = (struct exec_op *)ctx;
    (void)atomic_fetch_sub(&op->instances, 1);
    op_release(op);
}

/* --- one run --------------------------------------------------------------- */

struct exec_call {
    struct exec_op *op;          /* a reference */
    struct alk_request *request; /* NULL: over */
    struct alk_run *run;         /* NULL: over */
    struct alk_buf out;          /* what is not told yet */
    bool is_lines;               /* a subscription */
    bool is_full;                /* the answer in the request was refused */
    bool is_paused;              /* the program has to wait */
    bool has_ended;              /* the program; the rest is to be told */
    alk_err err;
    int status;
    char message[256];
};

static void call_free(struct exec_call *c)
{
    struct exec_op *op = c->op;
    alk_buf_fini(&c->out);
    alk_free(op->mem, c);
    op_release(op); /* the last, when it was removed meanwhile */
}

static void say(const struct exec_op *op, const char *text)
{
    char line[512];
    if (op->env->log != NULL) {
        (void)snprintf(line, sizeof line, "%s: %s", alk_conf_get_str(op->conf, "name"), text);
        op->env->log(op->env->log_ctx, ALK_LOG_WARN, "operation", line);
    }
}

/* The program is not wanted any more. */
static void stop_program(struct exec_call *c)
{
    struct alk_run *run = c->run;
    c->run = NULL;
    if (run != NULL) {
        alk_run_cancel(run);
    }
}

static void fail(struct exec_call *c, const char *code, const char *message)
{
    struct alk_request *r = c->request;
    c->request = NULL;
    stop_program(c);
    alk_request_fail(r, code, message);
}

/* --- answers --------------------------------------------------------------- */

/* {"error": {"code", "message", "details"?}} as the last thing a program says. */
static bool tell_error(struct exec_call *c, struct alk_span last)
{
    struct yyjson_doc *doc = NULL;
    bool is_told = false;
    if (alk_json_parse(last, &doc) != ALK_OK) {
        return false;
    }
    struct yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(doc), "error");
    const char *code = yyjson_get_str(yyjson_obj_get(error, "code"));
    const char *message = yyjson_get_str(yyjson_obj_get(error, "message"));
    struct yyjson_val *details = yyjson_obj_get(error, "details");
    if (code != NULL) {
        size_t n = 0;
        char *text = details == NULL ? NULL : yyjson_val_write(details, 0, &n);
        if (text != NULL) {
            alk_out_json(alk_request_out(c->request), alk_span(text, n));
        }
        fail(c, code, message);
        free(text);
        is_told = true;
    }
    yyjson_doc_free(doc);
    return is_told;
}

/* One answer; false: the request is over, or must wait. */
static bool tell_line(struct exec_call *c, struct alk_span line)
{
    if (alk_json_scan_check(line) != ALK_OK) {
        say(c->op, "a line of its output is not JSON");
        fail(c, ALK_OPS_INTERNAL, "the program answered with something that is not JSON");
        return false;
    }
    alk_out_json(alk_request_out(c->request), line);
    alk_err err = alk_request_respond(c->request);
    c->is_full = err == ALK_FULL;
    return err == ALK_OK;
}

/* Without blanks and line ends around it. */
static struct alk_span trim(struct alk_span s)
{
    static const uint8_t blanks[] = " \t\r\n";
    while (s.n > 0 && memchr(blanks, s.p[0], 4) != NULL) {
        s = alk_span_tail(s, 1);
    }
    while (s.n > 0 && memchr(blanks, s.p[s.n - 1], 4) != NULL) {
        s.n--;
    }
    return s;
}

/* An object with a member `error`. */
static bool may_be_error(struct alk_span line)
{
    struct alk_json_scan s = alk_json_scan(line);
    struct alk_json_key key;
    struct alk_span value;
    alk_err err = alk_json_scan_enter(&s);
    while (err == ALK_OK && (err = alk_json_scan_member(&s, &key)) == ALK_OK) {
        if (alk_json_key_is(&key, ALK_LIT("error"))) {
            return true;
        }
        err = alk_json_scan_value(&s, &value);
    }
    return false;
}

/* Lines that are whole, as long as there is room. A last line that may be why the
 * program fails waits until it is known whether it has. */
static void tell_lines(struct exec_call *c)
{
    while (c->request != NULL && !c->is_full) {
        struct alk_span have = alk_buf_span(&c->out);
        size_t end = alk_span_find(have, '\n');
        struct alk_span line = trim(alk_span_head(have, end));
        bool is_last = trim(alk_span_tail(have, end)).n == 0;
        bool is_good = c->has_ended && c->status == 0 && c->err == ALK_OK;
        if (is_last && !is_good && (end >= have.n || may_be_error(line))) {
            return;
        }
        if (have.n == 0) {
            return;
        }
        bool goes_on = line.n == 0 || tell_line(c, line);
        alk_buf_consume(&c->out, end < have.n ? end + 1 : have.n);
        if (!goes_on) {
            return;
        }
    }
}

/* How a program that has not succeeded ends its request. */
static void tell_failure(struct exec_call *c)
{
    struct alk_span text = trim(alk_buf_span(&c->out));
    size_t start = text.n;
    while (start > 0 && text.p[start - 1] != '\n') {
        start--;
    }
    if (c->err == ALK_E_LIMIT) {
        fail(c, ALK_OPS_EXHAUSTED, "too many programs are running");
    } else if (c->err != ALK_OK) {
        say(c->op, c->message);
        fail(c, ALK_OPS_INTERNAL, "the program could not be run");
    } else if (!EXITED(c->status) || EXIT_STATUS(c->status) != 1 ||
               !tell_error(c, alk_span_tail(text, start))) {
        (void)snprintf(c->message, sizeof c->message,
                       EXITED(c->status) ? "ended with status %d" : "was ended by signal %d",
                       EXITED(c->status) ? EXIT_STATUS(c->status) : c->status & 0x7f);
        say(c->op, c->message);
        fail(c, ALK_OPS_INTERNAL, "the program failed");
    }
}

static void tell_output(struct exec_call *c)
{
    struct alk_request *r = c->request;
    struct alk_span text = trim(alk_buf_span(&c->out));
    if (text.n > 0 && alk_json_scan_check(text) != ALK_OK) {
        say(c->op, "its output is not JSON");
        fail(c, ALK_OPS_INTERNAL, "the program answered with something that is not JSON");
        return;
    }
    if (text.n > 0) {
        alk_out_json(alk_request_out(r), text);
    }
    c->request = NULL;
    (void)alk_request_respond(r);
}

/* After the program: what is left, then the end. */
static void finish(struct exec_call *c)
{
    bool is_good = c->err == ALK_OK && c->status == 0;
    if (c->request != NULL && c->is_lines) {
        tell_lines(c);
        if (c->request != NULL && c->is_full) {
            return; /* `writable` follows */
        }
    }
    if (c->request != NULL && !is_good) {
        tell_failure(c);
    } else if (c->request != NULL && c->is_lines) {
        struct alk_request *r = c->request;
        c->request = NULL;
        alk_request_complete(r);
    } else if (c->request != NULL) {
        tell_output(c);
    }
    call_free(c);
}

/* --- events ---------------------------------------------------------------- */

static bool on_output(void *ctx, struct alk_span bytes)
{
    struct exec_call *c = (struct exec_call *)ctx;
    if (alk_buf_put(&c->out, bytes) != ALK_OK) {
        fail(c, ALK_OPS_TOO_LARGE, "the program's answer is larger than 1 MiB");
        call_free(c);
        return false;
    }
    if (!c->is_lines) {
        return true;
    }
    tell_lines(c);
    if (c->request == NULL) {
        call_free(c);
        return false;
    }
    c->is_paused = c->is_full;
    return !c->is_full;
}

static void on_ended(void *ctx, alk_err err, int status, const char *message)
{
    struct exec_call *c = (struct exec_call *)ctx;
    c->run = NULL;
    c->has_ended = true;
    c->err = err;
    c->status = status;
    (void)snprintf(c->message, sizeof c->message, "%s", message);
    if (!c->is_full) {
        finish(c);
    }
}

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct exec_call *c = (struct exec_call *)ctx;
    c->request = NULL;
    stop_program(c);
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    call_free(c);
}

static void on_writable(void *ctx, struct alk_request *r)
{
    struct exec_call *c = (struct exec_call *)ctx;
    if (c->is_full) {
        alk_err err = alk_request_respond(r);
        if (err == ALK_FULL) {
            return;
        }
        c->is_full = false;
    }
    if (c->has_ended) {
        finish(c);
        return;
    }
    tell_lines(c);
    if (c->request == NULL) {
        call_free(c);
    } else if (c->is_paused && !c->is_full) {
        c->is_paused = false;
        alk_run_resume(c->run);
    }
}

static const struct alk_run_calls run_calls = {on_output, on_ended};
static const struct alk_request_calls request_calls = {on_cancelled, on_writable};

/* --- starting -------------------------------------------------------------- */

static alk_err start_program(struct exec_call *c)
{
    struct exec_op *op = c->op;
    const struct alk_auth_context *auth = alk_request_auth(c->request);
    struct alk_auth_context who = {.struct_size = sizeof who};
    const struct alk_conf *cwd = alk_conf_get(op->conf, "cwd");
    struct alk_exec_env env;

    if (auth != NULL) {
        who = *auth;
    }
    who.identity = alk_request_caller(c->request); /* whom the request is for */
    alk_err err = alk_exec_env_init(&env, op->mem, alk_conf_get(op->conf, "env"), &who);
    if (err == ALK_OK) {
        const struct alk_run_spec spec = {.mem = op->mem,
                                          .spawner = op->env->spawner,
                                          .loop = alk_request_loop(c->request),
                                          .argv = op->argv,
                                          .env = env.words,
                                          .cwd = cwd == NULL ? NULL : alk_conf_str(cwd),
                                          .memory = alk_conf_get_uint(op->conf, "memory"),
                                          .input = alk_request_input(c->request),
                                          .log = op->env->log,
                                          .log_ctx = op->env->log_ctx,
                                          .name = alk_conf_get_str(op->conf, "name"),
                                          .gone = program_gone,
                                          .gone_ctx = op};
        err = alk_run_start(&spec, &run_calls, c, &c->run);
    }
    alk_exec_env_fini(&env);
    return err;
}

static void run_op(void *ctx, struct alk_request *r)
{
    struct exec_op *op = (struct exec_op *)ctx;
    if (atomic_fetch_add(&op->instances, 1) >= op->instances_max) {
        (void)atomic_fetch_sub(&op->instances, 1);
        alk_request_fail(r, ALK_OPS_EXHAUSTED, "this operation runs as often as it may already");
        return;
    }
    struct exec_call *c = ALK_NEW(op->mem, struct exec_call);
    if (c == NULL) {
        (void)atomic_fetch_sub(&op->instances, 1);
        alk_request_fail(r, ALK_OPS_EXHAUSTED, NULL);
        return;
    }
    (void)atomic_fetch_add(&op->refs, 2); /* the call's and the program's */
    c->op = op;
    c->request = r;
    c->is_lines = alk_request_kind(r) == ALK_OP_SUBSCRIPTION;
    alk_buf_init(&c->out, op->mem, ALK_OPS_INPUT_MAX + 65536);
    alk_request_on(r, &request_calls, c);
    alk_err err = start_program(c);
    if (err != ALK_OK) {
        program_gone(op);
        c->err = err;
        (void)snprintf(c->message, sizeof c->message, "cannot be started: %s", alk_err_text(err));
        finish(c);
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

static void fill_errors(struct exec_op *op, const struct alk_conf *list)
{
    for (size_t i = 0; i < alk_conf_count(list) && i < 32; i++) {
        const struct alk_conf *e = alk_conf_at(list, i);
        op->errors[i] = (struct alk_op_error){.code = alk_conf_get_str(e, "code"),
                                              .summary = alk_conf_get_str(e, "summary")};
    }
}

static struct exec_op *op_new(const struct exec_part *p, const struct alk_conf *conf)
{
    const struct alk_conf *argv = alk_conf_get(conf, "exec");
    const struct alk_conf *scopes = alk_conf_get(conf, "scopes");
    struct exec_op *op = ALK_NEW(p->mem, struct exec_op);
    if (op == NULL) {
        return NULL;
    }
    atomic_init(&op->refs, 1);
    op->mem = p->mem;
    op->env = p->env;
    op->conf = alk_conf_ref(conf);
    op->instances_max = (unsigned)alk_conf_get_uint(conf, "max_instances");
    for (size_t i = 0; i < alk_conf_count(argv) && i < ARGS_MAX; i++) {
        op->argv[i] = alk_conf_str(alk_conf_at(argv, i));
    }
    for (size_t i = 0; i < alk_conf_count(scopes) && i < 16; i++) {
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
    struct exec_op *x = op_new(p, conf);
    if (x == NULL) {
        return ALK_E_NOMEM;
    }
    const struct alk_op op = {.struct_size = sizeof op,
                              .name = alk_conf_get_str(conf, "name"),
                              .summary = alk_conf_get_str(conf, "summary"),
                              .help = text_or_null(conf, "help"),
                              .kind = (enum alk_op_kind)alk_conf_get_uint(conf, "kind"),
                              .flags = alk_conf_get_bool(conf, "public") ? ALK_OP_PUBLIC : 0u,
                              .input = text_or_null(conf, "input"),
                              .output = text_or_null(conf, "output"),
                              .errors = x->errors,
                              .access = {.all_scopes = x->scopes[0] == NULL ? NULL : x->scopes},
                              .timeout_ms = alk_conf_get_uint(conf, "timeout") / ALK_MS,
                              .fn = run_op,
                              .release = op_release};
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

static void remove_all(struct exec_part *p)
{
    for (size_t i = 0; i < alk_conf_count(p->conf); i++) {
        (void)alk_ops_remove(p->ops, alk_conf_get_str(alk_conf_at(p->conf, i), "name"));
    }
    alk_conf_unref(p->conf);
    p->conf = NULL;
}

static void exec_commit(void *part, void *next)
{
    struct exec_part *p = (struct exec_part *)part;
    char why[256] = "";

    remove_all(p);
    p->conf = (const struct alk_conf *)next;
    for (size_t i = 0; i < alk_conf_count(p->conf); i++) {
        const struct alk_conf *conf = alk_conf_at(p->conf, i);
        alk_err err = add_op(p, p->ops, conf, why, sizeof why);
        if (err != ALK_OK && p->env->log != NULL) {
            char line[400];
            (void)snprintf(line, sizeof line, "%s is not offered: %s",
                           alk_conf_get_str(conf, "name"),
                           why[0] == '\0' ? alk_err_text(err) : why);
            p->env->log(p->env->log_ctx, ALK_LOG_ERROR, "operation", line);
        }
    }
}

static void exec_drop(void *part, void *next)
{
    (void)part;
    alk_conf_unref((const struct alk_conf *)next);
}

static void exec_stop(void *part)
{
    struct exec_part *p = (struct exec_part *)part;
    remove_all(p);
    alk_free(p->mem, p);
}

const struct alk_part alk_exec_part = {.section = "operations",
                                       .start = exec_start,
                                       .prepare = exec_prepare,
                                       .commit = exec_commit,
                                       .drop = exec_drop,
                                       .stop = exec_stop};
