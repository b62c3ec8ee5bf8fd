/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One run of a program that is an operation: the input as JSON on standard input, the
 * answer as JSON on standard output; a subscription answers line by line. */
#include "ops/exec_op.h"

#include "base/buf.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "core/auth/identity.h"
#include "core/frame.h"
#include "core/host/exec_env.h"
#include "core/host/run.h"
#include "ops/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* --- one run --------------------------------------------------------------- */

struct exec_call {
    struct alk_exec_op *op; /* a reference */
    struct alk_loop *loop;
    struct alk_request *request; /* NULL: over */
    struct alk_run *run;         /* NULL: over */
    struct alk_buf out;          /* what is not told yet */
    bool is_lines;               /* a subscription */
    bool is_full;                /* the answer in the request was refused */
    bool is_paused;              /* the program has to wait */
    bool has_ended;              /* the program; the rest is to be told */
    struct alk_timer timeout;    /* of a subscription; the registry times the others */
    alk_err err;
    int status;
    char message[256];
};

static void call_free(struct exec_call *c)
{
    struct alk_exec_op *op = c->op;
    alk_timer_stop(c->loop, &c->timeout);
    alk_buf_fini(&c->out);
    alk_free(op->mem, c);
    alk_exec_op_release(op); /* the last, when it was removed meanwhile */
}

/* A program of it is no more. It counts until then, also when nobody waits for it: or
 * whoever aborts his calls could have any number that are slow to end. */
static void program_gone(void *ctx)
{
    struct alk_exec_op *op = (struct alk_exec_op *)ctx;
    (void)atomic_fetch_sub(&op->instances, 1);
    alk_exec_op_release(op);
}

static void say(const struct alk_exec_op *op, const char *text)
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

/* What a frame may carry: strict JSON, and no deeper or fuller than frames may be. One that
 * is not would break the stream, with the calls of others on it. */
static alk_err check_answer(struct alk_span text)
{
    struct yyjson_doc *doc = NULL;

    ALK_TRY(alk_frame_takes(text));
    if (alk_json_is_simple(text)) {
        return ALK_OK;
    }
    alk_err err = alk_json_parse(text, &doc);
    yyjson_doc_free(doc);
    return err;
}

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
        if (text != NULL && check_answer(alk_span(text, n)) == ALK_OK) {
            alk_out_json(alk_request_out(c->request), alk_span(text, n));
        }
        fail(c, code, message);
        free(text);
        is_told = true;
    }
    yyjson_doc_free(doc);
    return is_told;
}

/* False: the request is over. */
static bool is_answer(struct exec_call *c, struct alk_span text)
{
    alk_err err = check_answer(text);

    if (err == ALK_E_TOO_BIG) {
        fail(c, ALK_OPS_TOO_LARGE, "the program's answer is too deep, or has too many values");
    } else if (err == ALK_E_NOMEM) {
        fail(c, ALK_OPS_EXHAUSTED, NULL);
    } else if (err != ALK_OK) {
        say(c->op, c->is_lines ? "a line of its output is not JSON" : "its output is not JSON");
        fail(c, ALK_OPS_INTERNAL, "the program answered with something that is not JSON");
    }
    return err == ALK_OK;
}

/* One answer; false: the request is over, or must wait. */
static bool tell_line(struct exec_call *c, struct alk_span line)
{
    if (!is_answer(c, line)) {
        return false;
    }
    alk_out_json(alk_request_out(c->request), line);
    alk_err err = alk_request_respond(c->request);
    c->is_full = err == ALK_FULL;
    return err == ALK_OK;
}

static bool is_good(const struct exec_call *c)
{
    return c->has_ended && c->err == ALK_OK && c->status == 0;
}

/* Cuts the next answer off what is there; false: there is none yet. What may be an
 * error and is the last thing so far waits until more comes, or the program has ended:
 * it may be why. */
static bool next_line(struct exec_call *c, struct alk_span *ret, size_t *ret_used)
{
    struct alk_span have = alk_buf_span(&c->out);
    size_t end = alk_span_find(have, '\n');
    bool is_whole = end < have.n;
    if (have.n == 0 || (!is_whole && !is_good(c))) {
        return false;
    }
    *ret = alk_span_strip(alk_span_head(have, end));
    *ret_used = is_whole ? end + 1 : have.n;
    return is_good(c) || alk_span_strip(alk_span_tail(have, *ret_used)).n > 0 ||
           !may_be_error(*ret);
}

/* Answers, as long as there is room. */
static void tell_lines(struct exec_call *c)
{
    struct alk_span line;
    size_t used = 0;
    while (c->request != NULL && !c->is_full && next_line(c, &line, &used)) {
        bool goes_on = line.n == 0 || tell_line(c, line);
        alk_buf_consume(&c->out, used);
        if (!goes_on) {
            return;
        }
    }
}

/* How a program that has not succeeded ends its request. */
static void tell_failure(struct exec_call *c)
{
    struct alk_span text = alk_span_strip(alk_buf_span(&c->out));
    size_t start = text.n;
    while (start > 0 && text.p[start - 1] != '\n') {
        start--;
    }
    if (c->err == ALK_E_LIMIT) {
        fail(c, ALK_OPS_EXHAUSTED, "too many programs are running");
    } else if (c->err != ALK_OK) {
        say(c->op, c->message);
        fail(c, ALK_OPS_INTERNAL, "the program could not be run");
    } else if (alk_run_exit_code(c->status) != 1 || !tell_error(c, alk_span_tail(text, start))) {
        int code = alk_run_exit_code(c->status);
        (void)snprintf(c->message, sizeof c->message,
                       code >= 0 ? "ended with status %d" : "was ended by signal %d",
                       code >= 0 ? code : alk_run_signal(c->status));
        say(c->op, c->message);
        fail(c, ALK_OPS_INTERNAL, "the program failed");
    }
}

static void tell_output(struct exec_call *c)
{
    struct alk_request *r = c->request;
    struct alk_span text = alk_span_strip(alk_buf_span(&c->out));
    if (text.n > 0 && !is_answer(c, text)) {
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
    if (c->request != NULL && c->is_lines) {
        tell_lines(c);
        if (c->request != NULL && c->is_full) {
            return; /* `writable` follows */
        }
    }
    if (c->request != NULL && !is_good(c)) {
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
    alk_err err = alk_buf_put(&c->out, bytes);
    if (err != ALK_OK) {
        bool is_long = err == ALK_E_TOO_BIG;
        fail(c, is_long ? ALK_OPS_TOO_LARGE : ALK_OPS_EXHAUSTED,
             is_long ? "the program's answer is larger than 1 MiB" : NULL);
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

static void on_timeout(struct alk_timer *timer, void *ctx)
{
    struct exec_call *c = (struct exec_call *)ctx;
    (void)timer;
    fail(c, ALK_OPS_TIMEOUT, NULL);
    call_free(c);
}

static const struct alk_run_calls run_calls = {on_output, on_ended};
static const struct alk_request_calls request_calls = {on_cancelled, on_writable};

/* --- starting -------------------------------------------------------------- */

/* The caller, who may be another than whom the connection belongs to: then its keys
 * are not his. */
static struct alk_auth_context who_asks(const struct alk_request *r)
{
    const struct alk_auth_context *auth = alk_request_auth(r);
    const struct alk_identity *caller = alk_request_caller(r);
    struct alk_auth_context who = {.struct_size = sizeof who};
    if (auth != NULL) {
        who = *auth;
    }
    bool is_same = who.identity == NULL || caller == NULL
                       ? who.identity == caller
                       : alk_span_equal(alk_identity_id(who.identity), alk_identity_id(caller));
    if (!is_same) {
        memset(who.fingerprints, 0, sizeof who.fingerprints);
    }
    who.identity = caller;
    return who;
}

static alk_err start_program(struct exec_call *c)
{
    struct alk_exec_op *op = c->op;
    const struct alk_conf *cwd = alk_conf_get(op->conf, "cwd");
    const struct alk_conf *user = alk_conf_get(op->conf, "user");
    struct alk_auth_context who = who_asks(c->request);
    struct alk_exec_env env;

    alk_err err = alk_exec_env_init(&env, op->mem, alk_conf_get(op->conf, "env"), &who);
    if (err == ALK_OK) {
        const struct alk_run_spec spec = {.mem = op->mem,
                                          .spawner = op->env->spawner,
                                          .loop = c->loop,
                                          .argv = op->argv,
                                          .env = env.words,
                                          .cwd = cwd == NULL ? NULL : alk_conf_str(cwd),
                                          .user = user == NULL ? NULL : alk_conf_str(user),
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

void alk_exec_op_run(void *ctx, struct alk_request *r)
{
    struct alk_exec_op *op = (struct alk_exec_op *)ctx;
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
    c->loop = alk_request_loop(r);
    c->timeout = (struct alk_timer){.fn = on_timeout, .ctx = c};
    c->is_lines = alk_request_kind(r) == ALK_OP_SUBSCRIPTION;
    alk_buf_init(&c->out, op->mem, ALK_OPS_INPUT_MAX + 65536);
    alk_request_on(r, &request_calls, c);
    alk_err err = start_program(c);
    if (err != ALK_OK) {
        program_gone(op);
        c->has_ended = true;
        c->err = err;
        (void)snprintf(c->message, sizeof c->message, "cannot be started: %s", alk_err_text(err));
        finish(c);
        return;
    }
    alk_time most = alk_conf_get_uint(op->conf, "timeout");
    if (c->is_lines && most > 0) {
        alk_timer_set(c->loop, &c->timeout, alk_loop_now(c->loop) + most);
    }
}
