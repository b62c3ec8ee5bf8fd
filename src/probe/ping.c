/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/ping: bytes come back. */
#include "base/mem.h"
#include "base/span.h"
#include "core/conn.h"
#include "probe/probe.h"

struct ping {
    const struct alk_mem *mem;
    size_t used; /* bytes sent back so far */
};

static void ping_end(struct ping *p, struct alk_stream *stream, uint64_t code)
{
    alk_stream_close(stream, code);
    alk_free(p->mem, p);
}

/* Moves what has come as far as there is room. Negative: the stream is over. */
static alk_err ping_move(struct ping *p, struct alk_stream *stream)
{
    struct alk_span in;
    alk_err err;

    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        size_t took = 0;
        if (p->used + in.n > ALK_PING_STREAM_MAX) {
            return ALK_E_LIMIT;
        }
        alk_err wrote = alk_stream_write(stream, in, &took);
        alk_stream_consume(stream, took);
        p->used += took;
        if (wrote != ALK_OK) {
            return wrote; /* ALK_FULL: a writable event follows */
        }
    }
    return err;
}

static void ping_event(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct ping *p = (struct ping *)ctx;

    if ((events & ALK_STREAM_CLOSED) != 0) {
        alk_free(p->mem, p);
        return;
    }
    alk_err err = ping_move(p, stream);
    if (err == ALK_END) {
        alk_stream_finish(stream);
    } else if (err < 0) {
        ping_end(p, stream, alk_err_code(err));
    }
}

static alk_err ping_stream(void *state, struct alk_stream *stream)
{
    const struct alk_conn *conn = (const struct alk_conn *)state;
    struct ping *p = ALK_NEW(conn->mem, struct ping);
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    p->mem = conn->mem;
    alk_stream_on(stream, ping_event, p);
    return ALK_OK;
}

static alk_err ping_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    (void)service;
    (void)auth;
    *ret_state = conn;
    return ALK_OK;
}

static const struct alk_alpn ping_alpns[] = {{ALK_PING_ALPN, ALK_TRANSPORT_ANY}};

const struct alk_handler alk_ping_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "ping",
    .summary = "answers `alknet ping`: whether the node is there, and how far away",
    .alpns = ping_alpns,
    .alpn_count = 1,
    .flags = ALK_HANDLER_EARLY_SAFE | ALK_HANDLER_PUBLIC | ALK_HANDLER_DEFAULT_ON,
    .open = ping_open,
    .stream = ping_stream,
};
