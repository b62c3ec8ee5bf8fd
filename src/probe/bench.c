/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/bench: source, sink and echo, for who may. */
#include "base/mem.h"
#include "base/span.h"
#include "base/wire.h"
#include "core/conn.h"
#include "probe/probe.h"

#define BLOCK     ((size_t)64 * 1024)
#define TOKEN_MAX 64

struct bench;

struct bench_conn {
    struct alk_conn *conn;
    struct alk_chunk *block; /* zeros: what sources send */
    struct bench *resolving; /* the one stream whose token is being looked up, or NULL */
};

enum bench_step { BENCH_HEAD, BENCH_RESOLVING, BENCH_SOURCE, BENCH_SINK, BENCH_ECHO };

struct bench {
    struct bench_conn *bc;
    struct alk_stream *stream; /* NULL once it has closed */
    enum bench_step step;
    bool is_allowed; /* the stream's token holds the scope */
    bool is_told;    /* a sink has sent its count */
    uint64_t n;      /* of a source: still to be sent; of a sink: taken so far */
    size_t head_n;   /* bytes of a request that has not come whole */
    uint8_t head[2 + TOKEN_MAX];
};

static void run(struct bench *b);

static bool has_scope(const struct alk_identity *identity)
{
    return alk_identity_has_scope(identity, ALK_LIT(ALK_BENCH_SCOPE));
}

/* Ends the stream, unless it has ended by itself, and frees. */
static void drop(struct bench *b, uint64_t code)
{
    if (b->stream != NULL) {
        alk_stream_close(b->stream, code);
    }
    alk_free_secret(b->bc->conn->mem, b, sizeof *b); /* a token was in it */
}

/* --- the request -------------------------------------------------------------- */

static void on_resolved(void *ctx, alk_err err, const struct alk_identity *identity,
                        uint64_t generation)
{
    struct bench *b = (struct bench *)ctx;
    (void)generation;

    b->bc->resolving = NULL;
    if (err != ALK_OK || !has_scope(identity) || b->stream == NULL) {
        drop(b, err != ALK_OK ? (uint64_t)ALK_CODE_AUTH : (uint64_t)ALK_CODE_FORBIDDEN);
        return;
    }
    b->is_allowed = true;
    b->step = BENCH_HEAD;
    run(b);
}

/* A token in front: one lookup at a time on a connection. On ALK_FULL b may be
 * gone already: the answer goes on from there. */
static alk_err take_token(struct bench *b)
{
    const struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN,
                                         .context = alk_conn_auth(b->bc->conn),
                                         .token = alk_span(b->head + 2, b->head_n - 2)};
    if (b->is_allowed || b->bc->resolving != NULL) {
        return ALK_E_PROTOCOL;
    }
    b->head_n = 0;
    b->step = BENCH_RESOLVING;
    b->bc->resolving = b;
    alk_conn_resolve(b->bc->conn, "token", &query, on_resolved, b);
    return ALK_FULL;
}

static alk_err check_identity(struct bench *b)
{
    const struct alk_auth_context *auth = alk_conn_auth(b->bc->conn);
    bool has_key = auth->cert_kind != ALK_CERT_NONE;

    if (b->is_allowed || has_scope(auth->identity)) {
        return ALK_OK;
    }
    if (auth->identity == NULL) {
        alk_conn_deny(b->bc->conn, has_key ? "key" : "none", has_key ? "unknown" : "no-credential");
        return ALK_E_AUTH;
    }
    return ALK_E_FORBIDDEN;
}

/* How many bytes the request has, as far as what is there tells. */
static size_t head_size(const struct bench *b)
{
    if (b->head_n == 0 || b->head[0] != 'T') {
        return b->head_n == 0 ? 1 : ALK_BENCH_HEAD;
    }
    return b->head_n < 2 ? 2 : 2 + (size_t)b->head[1];
}

/* Gathers the request: an end in the middle of it must be seen as an end. */
static alk_err gather(struct bench *b)
{
    while (b->head_n < head_size(b)) {
        struct alk_span in;
        if (head_size(b) > sizeof b->head) {
            return ALK_E_PROTOCOL;
        }
        ALK_TRY(alk_stream_peek(b->stream, &in));
        in = alk_span_head(in, head_size(b) - b->head_n);
        memcpy(b->head + b->head_n, in.p, in.n);
        b->head_n += in.n;
        alk_stream_consume(b->stream, in.n);
    }
    return ALK_OK;
}

static alk_err take_head(struct bench *b)
{
    ALK_TRY(gather(b));
    if (b->head[0] == 'T') {
        return b->head_n > 2 ? take_token(b) : ALK_E_PROTOCOL;
    }
    struct alk_rd r = alk_rd(alk_span(b->head, ALK_BENCH_HEAD));
    uint8_t letter = alk_rd_u8(&r);
    ALK_TRY(check_identity(b));
    b->step = letter == 'S' ? BENCH_SOURCE : (letter == 'K' ? BENCH_SINK : BENCH_ECHO);
    b->n = letter == 'S' ? alk_rd_u64(&r) : 0;
    return letter == 'S' || letter == 'K' || letter == 'E' ? ALK_OK : ALK_E_PROTOCOL;
}

/* --- the work: ALK_OK when the stream has been finished ------------------------ */

static alk_err source(struct bench *b)
{
    while (b->n > 0) {
        size_t n = b->n < BLOCK ? (size_t)b->n : BLOCK;
        ALK_TRY(alk_stream_write_chunk(b->stream, b->bc->block, 0, n));
        b->n -= n;
    }
    alk_stream_finish(b->stream);
    return ALK_OK;
}

static alk_err sink(struct bench *b)
{
    struct alk_span in;
    alk_err err;

    while ((err = alk_stream_peek(b->stream, &in)) == ALK_OK) {
        b->n += in.n;
        alk_stream_consume(b->stream, in.n);
    }
    if (err != ALK_END) {
        return err;
    }
    uint8_t count[8];
    struct alk_wr w = alk_wr(count, sizeof count);
    size_t took = 0;
    alk_wr_u64(&w, b->n);
    if (!b->is_told) {
        ALK_TRY(alk_stream_write(b->stream, alk_wr_span(&w), &took));
        b->is_told = true;
    }
    alk_stream_finish(b->stream);
    return ALK_OK;
}

static alk_err echo(struct bench *b)
{
    struct alk_span in;
    alk_err err;

    while ((err = alk_stream_peek(b->stream, &in)) == ALK_OK) {
        size_t took = 0;
        alk_err wrote = alk_stream_write(b->stream, in, &took);
        alk_stream_consume(b->stream, took);
        ALK_TRY(wrote);
    }
    if (err == ALK_END) {
        alk_stream_finish(b->stream);
        return ALK_OK;
    }
    return err;
}

static void run(struct bench *b)
{
    alk_err err = ALK_OK;

    if (b->step == BENCH_HEAD) {
        err = take_head(b);
        if (err == ALK_FULL) {
            return;
        }
    }
    if (err == ALK_OK) {
        switch (b->step) {
        case BENCH_SOURCE:
            err = source(b);
            break;
        case BENCH_SINK:
            err = sink(b);
            break;
        case BENCH_ECHO:
            err = echo(b);
            break;
        case BENCH_HEAD:
        case BENCH_RESOLVING:
            break;
        }
    }
    /* An end where a request was due is nobody's fault, but it is no request. */
    if (err < 0 || err == ALK_END) {
        drop(b, err == ALK_END ? (uint64_t)ALK_CODE_PROTOCOL : alk_err_code(err));
    }
}

static void on_event(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct bench *b = (struct bench *)ctx;
    (void)stream;

    if ((events & ALK_STREAM_CLOSED) == 0) {
        run(b);
        return;
    }
    b->stream = NULL;
    if (b->bc->resolving != b) { /* else the answer frees it */
        drop(b, 0);
    }
}

/* --- the handler -------------------------------------------------------------- */

static alk_err bench_stream(void *state, struct alk_stream *stream)
{
    struct bench_conn *bc = (struct bench_conn *)state;
    struct bench *b = ALK_NEW(bc->conn->mem, struct bench);
    if (b == NULL) {
        return ALK_E_NOMEM;
    }
    b->bc = bc;
    b->stream = stream;
    alk_stream_on(stream, on_event, b);
    return ALK_OK;
}

static alk_err bench_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                          void **ret_state)
{
    struct bench_conn *bc = ALK_NEW(conn->mem, struct bench_conn);
    (void)service;
    (void)auth;
    if (bc == NULL) {
        return ALK_E_NOMEM;
    }
    bc->conn = conn;
    bc->block = alk_chunk_new(conn->mem, BLOCK);
    if (bc->block == NULL) {
        alk_free(conn->mem, bc);
        return ALK_E_NOMEM;
    }
    memset(alk_chunk_data(bc->block), 0, BLOCK);
    *ret_state = bc;
    return ALK_OK;
}

static void bench_close(void *state, alk_err why, uint64_t code)
{
    struct bench_conn *bc = (struct bench_conn *)state;
    (void)why;
    (void)code;
    if (bc != NULL) { /* open failed */
        alk_chunk_unref(bc->block);
        alk_free(bc->conn->mem, bc);
    }
}

static const struct alk_alpn bench_alpns[] = {{ALK_BENCH_ALPN, ALK_TRANSPORT_ANY}};

const struct alk_handler alk_bench_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "bench",
    .summary = "answers `alknet bench`, for who holds the scope bench",
    .alpns = bench_alpns,
    .alpn_count = 1,
    .flags = ALK_HANDLER_PUBLIC | ALK_HANDLER_DEFAULT_ON,
    .open = bench_open,
    .stream = bench_stream,
    .close = bench_close,
};
