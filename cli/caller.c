/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "caller.h"

#include "base/text.h"
#include "call/peer.h"
#include "core/frame.h"

#include <signal.h>

#define OUTPUT_MAX ((size_t)2 << 20)

/* --- the connection ------------------------------------------------------------- */

static void quit(struct cli_caller *c, int status)
{
    if (!c->is_over) {
        c->is_over = true;
        c->status = status;
    }
    alk_loop_stop(c->client.loop);
}

static void on_peer_closed(void *ctx, struct alk_peer *peer, alk_err why, uint64_t code,
                           struct alk_span reason)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    (void)peer;
    c->is_open = false;
    quit(c, cli_client_closed(&c->client, why, code, reason));
}

static const struct alk_peer_calls peer_calls = {.closed = on_peer_closed};

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    const struct alk_peer_options o = {
        .struct_size = sizeof o, .ops = c->ops, .auth_token = alk_span_str(c->client.token)};
    bool is_pinned = c->client.options.pinned_key != NULL || c->client.options.pinned_cert != NULL;

    c->conn = alk_conn_handle(conn);
    c->opened_at = alk_clock_now();
    alk_err err = alk_peer_adopt(conn, &o, is_pinned, &peer_calls, c, &c->peer);
    if (err != ALK_OK) {
        quit(c, cli_fail_err(c->cli, err, NULL));
        return;
    }
    c->is_open = true;
    alk_loop_stop(c->client.loop);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    c->is_absent = c->may_be_absent && err == ALK_E_NO_ALPN;
    quit(c, c->is_absent ? CLI_OK : cli_client_failed(&c->client, err, message));
}

static void on_stream(void *ctx, struct alk_stream *stream)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    if (c->peer != NULL) {
        alk_peer_on_new_stream(c->peer, stream);
    } else {
        alk_stream_close(stream, ALK_CODE_INTERNAL);
    }
}

static void on_credit(void *ctx)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    if (c->peer != NULL) {
        alk_peer_on_new_credit(c->peer);
    }
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    if (c->peer != NULL) {
        alk_peer_on_closed(c->peer, why, code, reason);
    } else {
        quit(c, cli_client_closed(&c->client, why, code, reason));
    }
}

static const struct alk_client_calls calls = {.opened = on_opened,
                                              .failed = on_failed,
                                              .stream = on_stream,
                                              .credit = on_credit,
                                              .closed = on_closed};

static void on_signal(void *ctx, int number)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    c->signal = number;
    quit(c, CLI_FAILED);
}

int cli_caller_wait(struct cli_caller *c, const bool *is_done)
{
    while (!c->is_over && !*is_done) {
        alk_loop_run(c->client.loop);
    }
    return *is_done ? CLI_OK : c->status;
}

int cli_caller_turn(struct cli_caller *c)
{
    if (!c->is_over) {
        alk_loop_run(c->client.loop);
    }
    return c->is_over ? c->status : CLI_OK;
}

static int open_caller(struct cli_caller *ret, const struct cli_args *args, const char *node)
{
    struct cli *cli = ret->cli;
    ret->name = node;
    int rc = cli_client_open(cli, args, node, ALK_CALL_ALPN, &ret->client);
    if (rc != CLI_OK) {
        return rc;
    }
    ret->dialed_at = alk_clock_now();
    alk_err err = cli_signals_open(ret->client.loop, on_signal, ret, &ret->signals);
    if (err == ALK_OK) {
        err = cli_client_dial(&ret->client, &calls, ret);
    }
    if (err != ALK_OK) {
        return cli_fail_err(cli, err, NULL);
    }
    return cli_caller_wait(ret, &ret->is_open);
}

int cli_caller_open(struct cli *cli, const struct cli_args *args, const char *node,
                    struct alk_ops *ops, struct cli_caller *ret)
{
    *ret = (struct cli_caller){.cli = cli, .ops = ops};
    return open_caller(ret, args, node);
}

int cli_caller_try(struct cli *cli, const struct cli_args *args, const char *node,
                   struct cli_caller *ret, bool *ret_is_absent)
{
    *ret = (struct cli_caller){.cli = cli, .may_be_absent = true};
    int rc = open_caller(ret, args, node);
    *ret_is_absent = ret->is_absent;
    return rc;
}

struct alk_conn *cli_caller_conn(const struct cli_caller *c)
{
    return c->is_open ? alk_conn_lookup(c->client.loop, c->conn) : NULL;
}

void cli_caller_close(struct cli_caller *c)
{
    /* In order, so that the node does not wait for our idle time-out. */
    alk_peer_free(c->peer);
    if (c->is_open) {
        (void)alk_loop_run_once(c->client.loop, 0);
    }
    cli_signals_close(&c->signals);
    cli_client_close(&c->client);
    if (c->signal != 0) {
        (void)fflush(c->cli->out);
        (void)signal(c->signal, SIG_DFL);
        (void)raise(c->signal);
    }
}

/* --- calls ------------------------------------------------------------------------- */

void cli_answer_fini(struct cli_answer *answer)
{
    if (answer->call != NULL && !answer->is_over) {
        alk_call_drop(answer->call);
    }
    alk_buf_fini(&answer->output);
    alk_buf_fini(&answer->details);
    answer->call = NULL;
}

static void on_responded(void *ctx, struct alk_call *call, struct alk_span output)
{
    struct cli_answer *a = (struct cli_answer *)ctx;
    (void)call;
    if (a->each != NULL) {
        a->each(a->ctx, output);
        if (a->is_enough) {
            alk_loop_stop(a->caller->client.loop);
        }
        return;
    }
    alk_buf_clear(&a->output);
    (void)alk_buf_put(&a->output, output);
}

static void on_ended(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                     bool is_retryable, struct alk_span details)
{
    struct cli_answer *a = (struct cli_answer *)ctx;
    (void)call;
    (void)is_retryable;
    a->is_over = true;
    a->call = NULL;
    (void)alk_span_cstr(alk_span_str(code == NULL ? "" : code), a->code, sizeof a->code);
    cli_safe(message, a->message, sizeof a->message);
    (void)alk_buf_put(&a->details, details);
    alk_loop_stop(a->caller->client.loop);
}

static const struct alk_answers answers = {.responded = on_responded, .ended = on_ended};

alk_err cli_caller_start(struct cli_caller *c, const struct alk_ask *ask, struct cli_answer *answer)
{
    answer->caller = c;
    alk_buf_init(&answer->output, NULL, OUTPUT_MAX);
    alk_buf_init(&answer->details, NULL, OUTPUT_MAX);
    return alk_peer_call(c->peer, ask, &answers, answer, &answer->call);
}

int cli_caller_ask(struct cli_caller *c, const struct alk_ask *ask, struct cli_answer *answer)
{
    if (c->is_over) {
        return c->status; /* the connection has ended, and why was told */
    }
    alk_err err = cli_caller_start(c, ask, answer);
    if (err != ALK_OK) {
        return cli_fail_err(c->cli, err,
                            err == ALK_E_MALFORMED ? "the input is not JSON"
                            : err == ALK_E_TOO_BIG
                                ? "the input is too large: a request may have 1 MiB"
                                : NULL);
    }
    while (!c->is_over && !answer->is_over && !answer->is_enough) {
        alk_loop_run(c->client.loop);
    }
    return answer->is_over || answer->is_enough ? CLI_OK : c->status;
}

void cli_schema_input(struct alk_buf *ret, const char *op)
{
    alk_buf_init(ret, NULL, 4096);
    (void)alk_buf_put_str(ret, "{\"name\":");
    (void)alk_buf_put_json(ret, alk_span_str(op));
    (void)alk_buf_put_str(ret, "}");
}

int cli_caller_schema(struct cli_caller *c, const char *op, struct cli_answer *answer)
{
    struct alk_buf input;
    cli_schema_input(&input, op);
    const struct alk_ask ask = {
        .struct_size = sizeof ask, .op = "services/schema", .input = alk_buf_span(&input)};
    int rc = cli_caller_ask(c, &ask, answer);
    alk_buf_fini(&input);
    return rc;
}

/* --- asking and telling --------------------------------------------------------- */

const char *cli_operation(const struct cli_args *args)
{
    const char *name = cli_value(args, 1);
    return name != NULL && name[0] == '/' ? name + 1 : name;
}

int cli_caller_get_of(struct cli_caller *c, const char *op, const char *about,
                      struct alk_span input, struct yyjson_doc **ret_doc)
{
    const struct alk_ask ask = {.struct_size = sizeof ask, .op = op, .input = input};
    struct cli_answer answer = {0};

    int rc = cli_caller_ask(c, &ask, &answer);
    if (rc == CLI_OK) {
        rc = cli_caller_tell(c, about, &answer);
    }
    if (rc == CLI_OK) {
        alk_err err = alk_json_parse(alk_buf_span(&answer.output), ret_doc);
        rc = err == ALK_OK ? CLI_OK : cli_fail_err(c->cli, err, "the node's answer is not JSON");
    }
    cli_answer_fini(&answer);
    return rc;
}

int cli_caller_get(struct cli_caller *c, const char *op, struct alk_span input,
                   struct yyjson_doc **ret_doc)
{
    return cli_caller_get_of(c, op, op, input, ret_doc);
}
