/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Any order of calls on streams and connections, over the memory transport: the
 * promises of alknet/handler.h hold, bytes arrive in order, nothing leaks. */
#include "core/memconn.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS = 8 };

/* One side: what it has seen, and the streams it may still use. */
struct side {
    struct alk_stream *streams[STREAMS];
    uint8_t next_in[STREAMS], next_out[STREAMS]; /* bytes count upwards */
    unsigned depth, opens, closes;
};

static struct side client_side, server_side;

static void require(bool cond)
{
    if (!cond) {
        __builtin_trap();
    }
}

static size_t find(const struct side *s, const struct alk_stream *stream)
{
    for (size_t i = 0; i < STREAMS; i++) {
        if (s->streams[i] == stream) {
            return i;
        }
    }
    return STREAMS;
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct side *s = ctx;
    size_t i = find(s, stream);
    require(s->depth == 0 && s->closes == 0 && i < STREAMS);
    if ((events & ALK_STREAM_CLOSED) != 0) {
        s->streams[i] = NULL;
    }
}

static alk_err side_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    struct side *s = service;
    (void)conn;
    (void)auth;
    require(s->opens == 0);
    s->opens++;
    *ret_state = s;
    return ALK_OK;
}

static alk_err side_stream(void *state, struct alk_stream *stream)
{
    struct side *s = state;
    size_t i = find(s, NULL);
    require(s->opens == 1 && s->closes == 0);
    if (i == STREAMS) {
        return ALK_E_LIMIT;
    }
    s->streams[i] = stream;
    s->next_in[i] = 0;
    s->next_out[i] = 0;
    alk_stream_on(stream, on_stream, s);
    return ALK_OK;
}

static void side_close(void *state, alk_err why, uint64_t code)
{
    struct side *s = state;
    (void)why;
    (void)code;
    require(s->opens == 1 && s->closes == 0);
    s->closes++;
    for (size_t i = 0; i < STREAMS; i++) {
        require(s->streams[i] == NULL); /* each heard its end before */
    }
}

static const struct alk_handler side_handler = {
    .struct_size = sizeof side_handler,
    .abi = ALK_HANDLER_ABI,
    .name = "side",
    .open = side_open,
    .stream = side_stream,
    .close = side_close,
};

static void read_some(struct side *s, size_t i, size_t most)
{
    struct alk_span have;
    if (alk_stream_peek(s->streams[i], &have) != ALK_OK) {
        return;
    }
    have = alk_span_head(have, most);
    for (size_t k = 0; k < have.n; k++) {
        require(have.p[k] == s->next_in[i]);
        s->next_in[i]++;
    }
    alk_stream_consume(s->streams[i], have.n);
}

static void write_some(struct side *s, size_t i, size_t n, bool as_chunk)
{
    struct alk_chunk *c = alk_chunk_new(NULL, n);
    require(c != NULL);
    for (size_t k = 0; k < n; k++) {
        alk_chunk_data(c)[k] = (uint8_t)(s->next_out[i] + k);
    }
    size_t took = 0;
    alk_err err;
    if (as_chunk) {
        err = alk_stream_write_chunk(s->streams[i], c, 0, n);
        took = err == ALK_OK ? n : 0;
    } else {
        err = alk_stream_write(s->streams[i], alk_span(alk_chunk_data(c), n), &took);
    }
    require(took <= n && (err != ALK_OK || took == n));
    s->next_out[i] = (uint8_t)(s->next_out[i] + took);
    alk_chunk_unref(c);
}

static void open_one(struct side *s, struct alk_conn *conn)
{
    size_t i = find(s, NULL);
    struct alk_stream *stream;
    if (conn == NULL || s->opens == 0 || s->closes != 0 || i == STREAMS ||
        alk_conn_open_stream(conn, on_stream, s, &stream) != ALK_OK) {
        return;
    }
    s->streams[i] = stream;
    s->next_in[i] = 0;
    s->next_out[i] = 0;
}

static void act(struct side *s, struct alk_conn *conn, uint8_t op, uint8_t arg)
{
    size_t i = arg % STREAMS;
    if (op % 12 == 0) {
        open_one(s, conn);
        return;
    }
    if (op % 12 == 1 && arg > 250 && conn != NULL && s->opens == 1) {
        alk_conn_close(conn, arg, alk_span(NULL, 0));
        return;
    }
    if (s->streams[i] == NULL) {
        return;
    }
    switch (op % 12) {
    case 2:
    case 3:
        write_some(s, i, (size_t)arg * 257, op % 12 == 3);
        break;
    case 4:
        alk_stream_finish(s->streams[i]);
        break;
    case 5:
        alk_stream_reset(s->streams[i], arg);
        break;
    case 6:
        alk_stream_stop(s->streams[i], arg);
        break;
    case 7:
        if (arg > 200) {
            struct alk_stream *stream = s->streams[i];
            s->streams[i] = NULL;
            alk_stream_close(stream, arg);
        }
        break;
    default:
        read_some(s, i, (size_t)arg * 1031);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_hub client_hub;
    struct alk_hub server_hub;
    struct alk_mem_pair *pair;
    client_side = (struct side){0};
    server_side = (struct side){0};
    alk_hub_init(&client_hub, NULL, 0);
    alk_hub_init(&server_hub, NULL, 1);
    const struct alk_mem_options o = {
        .client_hub = &client_hub,
        .server_hub = &server_hub,
        .window = size > 0 ? (size_t)data[0] * 97 + 1 : 1,
        .streams = 4,
        .client = &side_handler,
        .server = &side_handler,
        .client_state = &client_side,
        .server_state = &server_side,
    };
    require(alk_mem_pair_new(&o, &pair) == ALK_OK);
    for (size_t i = 1; i + 1 < size && i < 4096; i += 2) {
        uint8_t op = data[i] & 0x0f;
        bool is_server = (data[i] & 0x80) != 0;
        if ((data[i] & 0x10) != 0) {
            (void)alk_hub_run(is_server ? &server_hub : &client_hub);
        } else if ((data[i] & 0x20) != 0) {
            (void)alk_mem_pump(pair);
        } else if (is_server) {
            act(&server_side, alk_mem_server(pair), op, data[i + 1]);
        } else {
            act(&client_side, alk_mem_client(pair), op, data[i + 1]);
        }
    }
    alk_mem_pair_free(pair);
    require(client_side.opens == client_side.closes && server_side.opens == server_side.closes);
    alk_hub_fini(&client_hub);
    alk_hub_fini(&server_hub);
    return 0;
}
