/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet ping --probe: bytes that alknet/ping sends back. */
#include "client.h"
#include "ping.h"
#include "signals.h"

#include "base/wire.h"
#include "probe/probe.h"

#include <inttypes.h>

#define PAYLOAD 16

struct probe {
    struct cli *cli;
    struct cli_ping *told;
    struct cli_client client;
    struct cli_signals signals;
    struct alk_conn *conn;
    struct alk_conn_handle handle; /* of conn: nothing tells the end of an early one */
    struct alk_stream *stream;
    struct alk_timer timer; /* the next one, or the answer is late */
    alk_time dialed_at;
    /* The one that is under way. */
    alk_time sent_at;
    size_t arrived; /* bytes of its answer */
    uint8_t expected[PAYLOAD];
    bool is_waiting, is_over;
    bool is_reset;
    uint64_t reset_code;
    int status;
};

static void quit(struct probe *p, int status)
{
    if (!p->is_over) {
        p->is_over = true;
        p->status = status;
    }
    alk_loop_stop(p->client.loop);
}

static void schedule(struct probe *p, alk_time at)
{
    alk_timer_set(p->client.loop, &p->timer, at);
}

static void send_one(struct probe *p)
{
    size_t took = 0;
    struct alk_wr w = alk_wr(p->expected, PAYLOAD);

    p->sent_at = alk_loop_now(p->client.loop);
    alk_wr_u64(&w, ++p->told->sent);
    alk_wr_u64(&w, p->sent_at);
    p->arrived = 0;
    p->is_waiting = true;
    alk_err err = alk_stream_write(p->stream, alk_wr_span(&w), &took);
    if (err < 0) {
        quit(p, cli_fail_err(p->cli, err, NULL));
        return;
    }
    schedule(p, p->sent_at + p->told->patience);
}

/* With early data the first answer is the first that is heard of the node. */
static void announce(struct probe *p)
{
    cli_ping_ready(p->told, p->conn, alk_loop_now(p->client.loop) - p->dialed_at);
}

static void count_one(struct probe *p, alk_time rtt)
{
    if (!p->told->is_ready) {
        announce(p);
    }
    cli_ping_answered(p->told, rtt);
}

static void next_or_end(struct probe *p)
{
    if (p->told->sent >= p->told->count) {
        quit(p, p->told->got > 0 ? CLI_OK : CLI_UNREACHABLE);
        return;
    }
    alk_time at = p->sent_at + p->told->interval;
    alk_time now = alk_loop_now(p->client.loop);
    schedule(p, at > now ? at : now);
}

static void on_timer(struct alk_timer *timer, void *ctx)
{
    struct probe *p = (struct probe *)ctx;
    (void)timer;
    p->conn = p->conn == NULL ? NULL : alk_conn_lookup(p->client.loop, p->handle);
    if (p->conn == NULL) {
        return; /* it was early: `opened` or `failed` is still to come */
    }
    if (p->is_reset) {
        quit(p, cli_fail(p->cli, CLI_FAILED, "the node reset the stream: %s (code %" PRIu64 ")",
                         alk_code_name(p->reset_code), p->reset_code));
        return;
    }
    if (!p->is_waiting) {
        send_one(p);
        return;
    }
    if (!p->told->is_ready && alk_conn_auth(p->conn)->is_early) {
        schedule(p, alk_loop_now(p->client.loop) + p->told->patience); /* the dial has a deadline */
        return;
    }
    p->is_waiting = false;
    cli_ping_missed(p->told);
    next_or_end(p);
}

/* Answers come in order: the bytes of a late one are passed over. */
static void on_bytes(struct probe *p, struct alk_span in)
{
    for (size_t i = 0; i < in.n && p->is_waiting; i++) {
        p->arrived = in.p[i] == p->expected[p->arrived] ? p->arrived + 1 : 0;
        if (p->arrived == PAYLOAD) {
            p->is_waiting = false;
            count_one(p, alk_loop_now(p->client.loop) - p->sent_at);
            next_or_end(p);
        }
    }
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct probe *p = (struct probe *)ctx;
    struct alk_span in;
    alk_err err;

    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        on_bytes(p, in);
        alk_stream_consume(stream, in.n);
    }
    if (err == ALK_E_RESET && !p->is_over && p->conn != NULL && stream == p->stream) {
        /* With the connection's end on_closed tells more: it follows in this turn. */
        p->reset_code = alk_stream_peer_code(stream);
        p->is_waiting = false;
        p->is_reset = true;
        schedule(p, alk_loop_now(p->client.loop) + 10 * ALK_MS);
    }
    if ((events & ALK_STREAM_CLOSED) != 0 && stream == p->stream) {
        p->stream = NULL;
    }
}

static void start_pings(struct probe *p)
{
    alk_err err = alk_conn_open_stream(p->conn, on_stream, p, &p->stream);
    if (err != ALK_OK) {
        quit(p, cli_fail_err(p->cli, err, NULL));
        return;
    }
    send_one(p);
}

/* From the beginning, on the connection that there is now. */
static void begin(struct probe *p)
{
    p->told->sent = 0;
    p->is_waiting = false;
    p->is_reset = false;
    start_pings(p);
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct probe *p = (struct probe *)ctx;
    p->conn = conn;
    p->handle = alk_conn_handle(conn);
    p->told->is_early = alk_conn_auth(conn)->is_early;
    if (!p->told->is_early) {
        announce(p);
    }
    begin(p);
}

static void on_early_rejected(void *ctx)
{
    struct probe *p = (struct probe *)ctx;
    p->told->is_early = false;
    begin(p);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct probe *p = (struct probe *)ctx;
    p->conn = NULL;
    p->stream = NULL;
    quit(p, cli_client_failed(&p->client, err, message));
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct probe *p = (struct probe *)ctx;
    p->conn = NULL;
    if (!p->is_over) {
        quit(p, cli_client_closed(&p->client, why, code, reason));
    }
    alk_loop_stop(p->client.loop);
}

static void on_signal(void *ctx, int number)
{
    struct probe *p = (struct probe *)ctx;
    (void)number;
    quit(p, p->told->got > 0 ? CLI_OK : CLI_UNREACHABLE);
}

/* --- running ------------------------------------------------------------------ */

static const struct alk_client_calls calls = {.opened = on_opened,
                                              .failed = on_failed,
                                              .early_rejected = on_early_rejected,
                                              .closed = on_closed};

static int run_loop(struct probe *p)
{
    p->timer.fn = on_timer;
    p->timer.ctx = p;
    p->client.options.want_early = true;
    p->dialed_at = alk_loop_now(p->client.loop);
    alk_err err = cli_signals_open(p->client.loop, on_signal, p, &p->signals);
    if (err == ALK_OK) {
        err = cli_client_dial(&p->client, &calls, p);
    }
    if (err != ALK_OK) {
        return cli_fail_err(p->cli, err, NULL);
    }
    alk_loop_run(p->client.loop);
    p->conn = p->conn == NULL ? NULL : alk_conn_lookup(p->client.loop, p->handle);
    cli_ping_look(p->told, p->conn);
    if (p->conn != NULL) { /* an orderly end, so that the node need not wait for us */
        alk_conn_close(p->conn, ALK_CODE_NONE, alk_span_str(""));
        (void)alk_loop_run_once(p->client.loop, 0);
    }
    return p->status;
}

int cli_ping_probe(struct cli_ping *told)
{
    struct probe p = {.cli = told->cli, .told = told};

    told->via = ALK_PING_ALPN;
    int rc =
        cli_client_open(told->cli, told->args, cli_value(told->args, 0), ALK_PING_ALPN, &p.client);
    (void)snprintf(told->host_port, sizeof told->host_port, "%s", p.client.node.host_port);
    if (rc == CLI_OK) {
        rc = run_loop(&p);
    }
    cli_signals_close(&p.signals);
    cli_client_close(&p.client);
    return rc;
}
