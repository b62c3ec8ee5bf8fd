/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pipe.h"

#include "stdfd.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* How long the last acknowledgements may take after everything is done. */
#define LINGER (2 * ALK_SECOND)

void cli_pipe_quit(struct cli_pipe *p, int status)
{
    if (!p->is_told) {
        p->is_told = true;
        p->status = status;
    }
    alk_loop_stop(p->client->loop);
}

static int judge(struct cli_pipe *p)
{
    const struct cli_splice *s = &p->splice;

    switch (s->end) {
    case CLI_SPLICE_FINISHED:
        return CLI_OK;
    case CLI_SPLICE_LOCAL:
        if (p->ends_with_reader && s->error == EPIPE) {
            return CLI_FAILED; /* who has left knows why */
        }
        return cli_fail(p->client->cli, CLI_FAILED, "standard input or output: %s",
                        strerror(s->error));
    case CLI_SPLICE_RESET:
    case CLI_SPLICE_OPEN:
        break;
    }
    return cli_fail(p->client->cli, CLI_FAILED, "the service reset the stream: %s (code %llu)",
                    alk_code_name(s->code), (unsigned long long)s->code);
}

/* --- events ------------------------------------------------------------------- */

static void on_done(void *ctx, struct cli_splice *splice)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    (void)splice;
    p->is_done = true;
    if (p->conn == NULL) {
        cli_pipe_quit(p, p->is_told ? p->status : judge(p));
        return;
    }
    /* The connection's own end, if it is the cause, is told by on_closed. */
    alk_conn_close(p->conn, ALK_CODE_NONE, alk_span_str(""));
    alk_timer_set(p->client->loop, &p->linger, alk_loop_now(p->client->loop) + LINGER);
}

static void on_linger(struct alk_timer *timer, void *ctx)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    (void)timer;
    cli_pipe_quit(p, judge(p));
}

void cli_pipe_join(struct cli_pipe *p, struct alk_stream *stream)
{
    p->is_joined = true;
    p->splice.loop = p->client->loop;
    p->splice.in_fd = STDIN_FILENO;
    p->splice.out_fd = STDOUT_FILENO;
    p->splice.ends_with_peer = p->ends_with_peer;
    p->splice.ends_with_reader = p->ends_with_reader;
    p->splice.done = on_done;
    p->splice.ctx = p;
    alk_err err = cli_splice_start(&p->splice, stream);
    if (err != ALK_OK) {
        cli_pipe_quit(p, cli_fail_err(p->client->cli, err, NULL));
    }
}

static void open_stream(struct cli_pipe *p)
{
    struct alk_stream *stream = NULL;
    alk_err err = alk_conn_open_stream(p->conn, NULL, NULL, &stream);

    if (err == ALK_FULL) {
        return; /* on_credit tries again */
    }
    if (err != ALK_OK) {
        cli_pipe_quit(p, cli_fail_err(p->client->cli, err, NULL));
        return;
    }
    p->has_stream = true;
    if (p->stream != NULL) {
        p->stream(p->ctx, stream);
    } else {
        cli_pipe_join(p, stream);
    }
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    p->conn = conn;
    p->has_stream = false;
    p->is_early = alk_conn_auth(conn)->is_early;
    open_stream(p);
}

static void on_early_rejected(void *ctx)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    p->is_early = false;
    open_stream(p);
}

static void on_credit(void *ctx)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    if (!p->has_stream) {
        open_stream(p);
    }
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    p->conn = NULL; /* an early one has come to nothing */
    cli_pipe_quit(p, cli_client_failed(p->client, err, message));
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    bool was_ours = why == ALK_OK && code == ALK_CODE_NONE;

    p->conn = NULL;
    alk_timer_stop(p->client->loop, &p->linger);
    if (p->is_done && (p->splice.end == CLI_SPLICE_FINISHED || was_ours)) {
        cli_pipe_quit(p, judge(p));
        return;
    }
    /* Bytes that came with a stated end are still being written: they decide. */
    if (p->is_joined && !p->is_done && p->splice.got_end) {
        return;
    }
    if (!p->is_joined && p->closed != NULL && p->closed(p->ctx, code)) {
        return;
    }
    int status =
        was_ours && p->is_joined ? judge(p) : cli_client_closed(p->client, why, code, reason);
    if (p->is_done || !p->is_joined) {
        cli_pipe_quit(p, status);
        return;
    }
    p->is_told = true;
    p->status = status;
    cli_splice_stop(&p->splice, ALK_CODE_NONE);
    alk_loop_stop(p->client->loop);
}

static void on_signal(void *ctx, int number)
{
    struct cli_pipe *p = (struct cli_pipe *)ctx;
    p->signal = number;
    cli_pipe_quit(p, CLI_FAILED);
}

/* --- the run ------------------------------------------------------------------ */

static const struct alk_client_calls calls = {.opened = on_opened,
                                              .failed = on_failed,
                                              .credit = on_credit,
                                              .early_rejected = on_early_rejected,
                                              .closed = on_closed};

int cli_pipe_run(struct cli_pipe *p)
{
    struct cli_stdfd in, out;

    p->linger.fn = on_linger;
    p->linger.ctx = p;
    cli_stdfd_open(STDIN_FILENO, &in);
    cli_stdfd_open(STDOUT_FILENO, &out);
    alk_err err = cli_signals_open(p->client->loop, on_signal, p, &p->signals);
    if (err == ALK_OK) {
        err = cli_client_dial(p->client, &calls, p);
    }
    if (err == ALK_OK) {
        alk_loop_run(p->client->loop);
    } else {
        p->status = cli_fail_err(p->client->cli, err, NULL);
    }
    cli_splice_stop(&p->splice, ALK_CODE_NONE);
    cli_signals_close(&p->signals);
    cli_stdfd_restore(&out);
    cli_stdfd_restore(&in);
    return p->status;
}

void cli_pipe_raise(const struct cli_pipe *p)
{
    if (p->signal != 0) {
        (void)signal(p->signal, SIG_DFL);
        (void)raise(p->signal);
    }
}
