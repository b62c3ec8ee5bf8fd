/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What `alknet bench` measures. */
#include "bench.h"

#include "base/mem.h"
#include "base/wire.h"
#include "core/io/loop.h"
#include "probe/probe.h"

#define BLOCK   ((size_t)64 * 1024)
#define REQUEST ((size_t)64)

/* A request's beginning, with the token in front when there is one. */
static alk_err put_head(struct cli_bench *b, struct alk_stream *stream, char letter, uint64_t n)
{
    uint8_t head[2 + ALK_TOKEN_SIZE + ALK_BENCH_HEAD];
    struct alk_wr w = alk_wr(head, sizeof head);
    size_t took = 0;

    if (b->client->token[0] != '\0') {
        alk_wr_u8(&w, 'T');
        alk_wr_block8(&w, alk_span_str(b->client->token));
    }
    alk_wr_u8(&w, (uint8_t)letter);
    alk_wr_u64(&w, n);
    return alk_stream_write(stream, alk_wr_span(&w), &took);
}

static void fail(struct cli_bench *b, alk_err err)
{
    cli_bench_end(b, cli_fail_err(b->cli, err, NULL));
}

void cli_bench_parts_free(struct cli_bench *b)
{
    if (b->block != NULL) {
        alk_chunk_unref(b->block);
        b->block = NULL;
    }
    b->stream = NULL;
    b->open = 0;
    b->wants_more = false;
}

/* A reset; where it comes with the connection's end this tells it first. */
static void ended(struct cli_bench *b, struct alk_stream *stream, alk_err err)
{
    uint64_t code = alk_stream_peer_code(stream);
    if (err == ALK_E_RESET && !b->is_over) {
        cli_bench_end(b, cli_bench_reset(b, code));
    }
}

/* --- bulk, from the node ------------------------------------------------------ */

static void on_down(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    struct alk_span in;
    alk_err err;
    (void)events;

    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        b->result.bytes += in.n;
        alk_stream_consume(stream, in.n);
    }
    if (err == ALK_END) {
        bool is_whole = b->result.bytes == b->o->bytes;
        cli_bench_end(b, is_whole ? CLI_OK : cli_fail(b->cli, CLI_FAILED, "bytes are missing"));
        return;
    }
    ended(b, stream, err);
}

static void start_down(struct cli_bench *b)
{
    alk_err err = alk_conn_open_stream(b->conn, on_down, b, &b->stream);
    if (err == ALK_OK) {
        err = put_head(b, b->stream, 'S', b->o->bytes);
    }
    if (err != ALK_OK) {
        fail(b, err);
        return;
    }
    /* On TLS the end of our side is the end of what the node may say. */
    if (b->transport == ALK_TRANSPORT_QUIC) {
        alk_stream_finish(b->stream);
    }
}

/* --- bulk, to the node -------------------------------------------------------- */

static void push_up(struct cli_bench *b)
{
    while (b->left > 0) {
        size_t n = b->left < BLOCK ? (size_t)b->left : BLOCK;
        alk_err err = alk_stream_write_chunk(b->stream, b->block, 0, n);
        if (err != ALK_OK) {
            return; /* full, or over: an event follows */
        }
        b->left -= n;
    }
    alk_stream_finish(b->stream);
}

static void on_up(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    struct alk_span in;
    alk_err err;

    if ((events & ALK_STREAM_WRITABLE) != 0) {
        push_up(b);
    }
    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        for (size_t i = 0; i < in.n && b->answer_n < sizeof b->answer; i++) {
            b->answer[b->answer_n++] = in.p[i];
        }
        alk_stream_consume(stream, in.n);
    }
    if (err == ALK_END) {
        struct alk_rd r = alk_rd(alk_span(b->answer, b->answer_n));
        b->result.bytes = alk_rd_u64(&r);
        bool is_whole = b->result.bytes == b->o->bytes;
        cli_bench_end(b, is_whole ? CLI_OK : cli_fail(b->cli, CLI_FAILED, "bytes are missing"));
        return;
    }
    ended(b, stream, err);
}

static void start_up(struct cli_bench *b)
{
    b->block = alk_chunk_new(NULL, BLOCK);
    if (b->block == NULL) {
        fail(b, ALK_E_NOMEM);
        return;
    }
    memset(alk_chunk_data(b->block), 0, BLOCK);
    b->left = b->o->bytes;
    b->answer_n = 0;
    alk_err err = alk_conn_open_stream(b->conn, on_up, b, &b->stream);
    if (err == ALK_OK) {
        err = put_head(b, b->stream, 'K', 0);
    }
    if (err != ALK_OK) {
        fail(b, err);
        return;
    }
    push_up(b);
}

/* --- requests, a stream each -------------------------------------------------- */

struct request {
    struct cli_bench *b;
    alk_time sent_at;
    size_t got;
    bool is_counted;
};

static void fill_requests(struct cli_bench *b);

static bool is_time_over(const struct cli_bench *b)
{
    return alk_clock_now() - b->began_at >= b->o->time;
}

static void count(struct request *r)
{
    struct cli_bench *b = r->b;
    r->is_counted = true;
    b->open--;
    b->result.count++;
    b->result.latency += alk_clock_now() - r->sent_at;
    fill_requests(b);
}

static void on_request(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct request *r = (struct request *)ctx;
    struct alk_span in;
    alk_err err;

    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        r->got += in.n;
        alk_stream_consume(stream, in.n);
    }
    if (err == ALK_END && !r->is_counted && r->got == REQUEST) {
        count(r);
    } else if (!r->is_counted) {
        ended(r->b, stream, err);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        alk_free(NULL, r);
    }
}

/* ALK_FULL: no stream credit now. */
static alk_err send_request(struct cli_bench *b)
{
    static const uint8_t zeros[REQUEST];
    struct alk_stream *stream = NULL;
    size_t took = 0;
    struct request *r = ALK_NEW(NULL, struct request);

    if (r == NULL) {
        return ALK_E_NOMEM;
    }
    r->b = b;
    r->sent_at = alk_clock_now();
    alk_err err = alk_conn_open_stream(b->conn, on_request, r, &stream);
    if (err != ALK_OK) {
        alk_free(NULL, r);
        return err;
    }
    b->open++;
    err = put_head(b, stream, 'E', 0);
    if (err == ALK_OK) {
        err = alk_stream_write(stream, alk_span(zeros, REQUEST), &took);
    }
    alk_stream_finish(stream);
    return err;
}

static void fill_requests(struct cli_bench *b)
{
    while (!b->is_over && b->open < b->part->in_flight && !is_time_over(b)) {
        alk_err err = send_request(b);
        if (err == ALK_FULL) {
            return; /* credit comes back here */
        }
        if (err != ALK_OK) {
            fail(b, err);
        }
    }
    if (!b->is_over && b->open == 0) {
        cli_bench_end(b, CLI_OK);
    }
}

/* --- requests on one stream, for TLS ------------------------------------------ */

static void send_turn(struct cli_bench *b)
{
    static const uint8_t zeros[REQUEST];
    size_t took = 0;
    b->dialed_at = alk_clock_now();
    b->left = REQUEST;
    alk_err err = alk_stream_write(b->stream, alk_span(zeros, REQUEST), &took);
    if (err != ALK_OK) {
        fail(b, err);
    }
}

static void on_turn(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    struct alk_span in;
    alk_err err;
    (void)events;

    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        b->left -= in.n < b->left ? in.n : b->left;
        alk_stream_consume(stream, in.n);
    }
    ended(b, stream, err);
    if (b->left > 0 || b->is_over) {
        return;
    }
    b->result.count++;
    b->result.latency += alk_clock_now() - b->dialed_at;
    if (is_time_over(b)) {
        cli_bench_end(b, CLI_OK);
    } else {
        send_turn(b);
    }
}

static void start_requests(struct cli_bench *b)
{
    if (b->transport == ALK_TRANSPORT_QUIC) {
        fill_requests(b);
        return;
    }
    alk_err err = alk_conn_open_stream(b->conn, on_turn, b, &b->stream);
    if (err == ALK_OK) {
        err = put_head(b, b->stream, 'E', 0);
    }
    if (err != ALK_OK) {
        fail(b, err);
        return;
    }
    send_turn(b);
}

/* --- handshakes --------------------------------------------------------------- */

static void next_shake(struct cli_bench *b);

static void on_shaken(void *ctx, struct alk_conn *conn)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    b->result.count++;
    b->result.latency += alk_clock_now() - b->dialed_at;
    alk_conn_close(conn, ALK_CODE_NONE, alk_span_str(""));
}

static void on_not_shaken(void *ctx, alk_err err, const char *message)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    cli_bench_end(b, cli_client_failed(b->client, err, message));
}

static void on_let_go(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    (void)why;
    (void)code;
    (void)reason;
    next_shake((struct cli_bench *)ctx);
}

static void next_shake(struct cli_bench *b)
{
    static const struct alk_client_calls calls = {
        .opened = on_shaken, .failed = on_not_shaken, .closed = on_let_go};

    if (b->is_over || is_time_over(b)) {
        cli_bench_end(b, CLI_OK);
        return;
    }
    b->dialed_at = alk_clock_now();
    alk_err err = cli_client_dial(b->client, &calls, b);
    if (err != ALK_OK) {
        fail(b, err);
    }
}

/* The first connection only told that the node is there. */
static void start_shakes(struct cli_bench *b)
{
    next_shake(b);
}

/* --- the table ---------------------------------------------------------------- */

static const struct cli_bench_part down = {.name = "bulk_down",
                                           .title = "from the node, one stream",
                                           .alpn = ALK_BENCH_ALPN,
                                           .start = start_down};
static const struct cli_bench_part up = {.name = "bulk_up",
                                         .title = "to the node, one stream",
                                         .alpn = ALK_BENCH_ALPN,
                                         .start = start_up};
static const struct cli_bench_part requests_1 = {.name = "requests_1",
                                                 .title = "64-byte requests, 1 at once",
                                                 .alpn = ALK_BENCH_ALPN,
                                                 .in_flight = 1,
                                                 .start = start_requests,
                                                 .credit = fill_requests};
static const struct cli_bench_part requests_100 = {.name = "requests_100",
                                                   .title = "64-byte requests, 100 at once",
                                                   .alpn = ALK_BENCH_ALPN,
                                                   .needs_streams = true,
                                                   .in_flight = 100,
                                                   .start = start_requests,
                                                   .credit = fill_requests};
static const struct cli_bench_part handshakes = {.name = "handshakes",
                                                 .title = "full handshakes, 1 at once",
                                                 .alpn = ALK_PING_ALPN,
                                                 .start = start_shakes};

const struct cli_bench_part *const cli_bench_parts[] = {&down,         &up,         &requests_1,
                                                        &requests_100, &handshakes, NULL};
