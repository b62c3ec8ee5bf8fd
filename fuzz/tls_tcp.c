/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random intents, deliveries and times on a client and a server that talk to each
 * other: what arrives is a prefix of what was written, an end is a true end, calls
 * come in their order, and the buffers keep their bounds. */
#include "tls_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum op {
    OP_EMIT,
    OP_DELIVER,
    OP_WRITE,
    OP_READ,
    OP_HUB,
    OP_FINISH,
    OP_RESET,
    OP_STOP,
    OP_CLOSE_STREAM,
    OP_CLOSE_CONN,
    OP_EOF,
    OP_FAILED,
    OP_TIME,
    OP_KEY_UPDATE,
    OP_EMPTY,
    OP_FLIP,
    OP_MUTE,
    OP_SETTLE,
    OP_RELEASE,
    OP_COUNT
};

static void on_stream_of(struct side *s, enum op op, uint8_t arg)
{
    struct alk_stream *stream = s->stream;
    if (stream == NULL) {
        return;
    }
    if (op == OP_FINISH) {
        alk_stream_finish(stream);
        s->has_finished = true;
    } else if (op == OP_RESET) {
        alk_stream_reset(stream, arg);
    } else if (op == OP_STOP) {
        alk_stream_stop(stream, arg);
        s->has_stopped = true;
    } else if (op == OP_CLOSE_STREAM) {
        alk_stream_close(stream, arg);
        s->stream = NULL;
    }
}

static void on_conn_of(struct pair *p, struct side *s, enum op op, uint8_t arg)
{
    if (s->conn == NULL) {
        return;
    }
    gnutls_session_t gs = alk_tcp_session(s->conn)->gs;
    if (op == OP_CLOSE_CONN) {
        alk_conn_close(s->conn, arg, ALK_LIT("fuzz"));
    } else if (op == OP_EOF) {
        alk_tcp_eof(s->conn, p->now);
    } else if (op == OP_FAILED) {
        alk_tcp_failed(s->conn, ALK_E_RESET, p->now);
    } else if (op == OP_RELEASE) {
        alk_tcp_release_finished(s->conn);
        p->is_held = p->is_held && s != &p->client;
    } else if (s->opens == 0 || s->closes > 0) {
        return; /* GnuTLS has nothing to update before the handshake is over */
    } else if (op == OP_KEY_UPDATE) {
        (void)gnutls_session_key_update(gs, (arg & 1) == 0 ? 0 : GNUTLS_KU_PEER);
    } else if (op == OP_EMPTY) {
        (void)gnutls_record_send2(gs, "", 0, 1u + arg % 32, 0);
    }
}

static void pass(struct pair *p, uint8_t arg)
{
    p->now += (alk_time)arg * ALK_SECOND / 4;
    struct side *sides[] = {&p->client, &p->server};
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->conn != NULL && alk_tcp_deadline(sides[i]->conn) <= p->now) {
            alk_tcp_tick(sides[i]->conn, p->now);
        }
    }
}

static void flip(struct side *s, uint8_t arg)
{
    size_t n = alk_buf_len(&s->wire);
    if (n > 0) {
        s->wire.p[s->wire.at + (size_t)arg * 7 % n] ^= (uint8_t)(arg | 1);
    }
}

static void step(struct pair *p, enum op op, struct side *s, uint8_t arg)
{
    switch (op) {
    case OP_EMIT:
        pair_emit(p, s, (size_t)arg * 64);
        break;
    case OP_DELIVER:
        pair_deliver(p, s, (size_t)arg * arg);
        break;
    case OP_WRITE:
        pair_write(s, (size_t)arg * 16);
        break;
    case OP_READ:
        pair_read(s, (size_t)arg * 64);
        break;
    case OP_HUB:
        pair_run_hub(p, s);
        break;
    case OP_FINISH:
    case OP_RESET:
    case OP_STOP:
    case OP_CLOSE_STREAM:
        on_stream_of(s, op, arg);
        break;
    case OP_CLOSE_CONN:
    case OP_EOF:
    case OP_FAILED:
    case OP_KEY_UPDATE:
    case OP_EMPTY:
    case OP_RELEASE:
        on_conn_of(p, s, op, arg);
        break;
    case OP_TIME:
        pass(p, arg);
        break;
    case OP_FLIP:
        flip(s, arg);
        break;
    case OP_MUTE:
        s->is_mute = (arg & 1) != 0;
        break;
    case OP_SETTLE:
        pair_settle(p);
        break;
    case OP_COUNT:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pair p;
    if (size < 1 || size > 1200) {
        return 0;
    }
    pair_init(&p, true, true, (data[0] & 1) != 0);
    if ((data[0] & 2) != 0) {
        pair_settle(&p);
    }
    for (size_t i = 1; i + 1 < size; i += 2) {
        struct side *s = (data[i] & 0x80) != 0 ? &p.server : &p.client;
        step(&p, (enum op)((data[i] & 0x7f) % OP_COUNT), s, data[i + 1]);
        must(!p.is_held || p.server.opens == 0);
    }
    pair_settle(&p);
    must(!p.is_held || p.server.opens == 0);
    pair_fini(&p);
    return 0;
}
