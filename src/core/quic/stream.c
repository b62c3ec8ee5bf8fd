/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/mem.h"
#include "core/txq.h"

#define RX_SPARE ((size_t)1024) /* bytes of a receive buffer that is kept */

/* A freed stream keeps its small buffers, so that a stream per request costs no
 * allocation. */
static struct alk_qstream *take_spare(struct alk_quic *q)
{
    struct alk_qstream *s = q->spare;
    if (s == NULL) {
        return ALK_NEW(q->mem, struct alk_qstream);
    }
    uint8_t *rx = s->base.rx.p;
    size_t rx_size = s->base.rx.size;
    struct alk_chunk *tx = s->base.tx.spare;
    q->spare = s->base.ctx;
    q->spare_count--;
    memset(s, 0, sizeof *s);
    s->base.rx.p = rx;
    s->base.rx.size = rx_size;
    s->base.tx.spare = tx;
    return s;
}

static void free_buffers(struct alk_quic *q, struct alk_qstream *s)
{
    alk_free(q->mem, s->base.rx.p);
    alk_chunk_unref(s->base.tx.spare);
}

static void give_spare(struct alk_quic *q, struct alk_qstream *s)
{
    if (q->spare_count >= ALK_QSTREAMS_SPARE) {
        free_buffers(q, s);
        alk_free(q->mem, s);
        return;
    }
    s->base.ctx = q->spare;
    q->spare = s;
    q->spare_count++;
}

void alk_qstreams_spare_free(struct alk_quic *q)
{
    while (q->spare != NULL) {
        struct alk_qstream *s = q->spare;
        q->spare = s->base.ctx;
        free_buffers(q, s);
        alk_free(q->mem, s);
    }
}

/* alk_stream_init and _fini with the buffers that outlive them. */
static void init_base(struct alk_qstream *s, struct alk_qconn *c, int64_t id)
{
    uint8_t *rx = s->base.rx.p;
    size_t rx_size = s->base.rx.size;
    alk_stream_init(&s->base, &c->base, (uint64_t)id, (size_t)c->stream_window_max);
    s->base.rx.p = rx;
    s->base.rx.size = rx_size;
}

static void fini_base(struct alk_qstream *s)
{
    struct alk_buf rx = s->base.rx;
    alk_txq_clear(&s->base.tx, s->base.conn->mem);
    struct alk_chunk *tx = s->base.tx.spare;
    s->base.tx.spare = NULL;
    if (rx.size <= RX_SPARE) {
        s->base.rx.p = NULL;
    } else {
        rx.p = NULL;
        rx.size = 0;
    }
    alk_stream_fini(&s->base);
    s->base.rx.p = rx.p;
    s->base.rx.size = rx.size;
    s->base.tx.spare = tx;
}

struct alk_qstream *alk_qstream_new(struct alk_qconn *c, int64_t id, bool is_local, bool is_early)
{
    struct alk_qstream *s = take_spare(c->q);
    if (s == NULL) {
        return NULL;
    }
    s->base.is_local = is_local;
    s->base.is_early = is_early;
    s->is_known = true;
    s->needs_open = is_local;
    init_base(s, c, id);
    alk_qstream_account(s);
    return s;
}

void alk_qstream_account(struct alk_qstream *s)
{
    struct alk_qconn *c = alk_qconn(s->base.conn);
    size_t now = alk_stream_memory(&s->base);
    c->memory = c->memory - s->memory + now;
    c->q->memory = c->q->memory - s->memory + now;
    s->memory = now;
}

static void unlink_all(struct alk_qstream *s)
{
    alk_qids_remove(alk_qconn(s->base.conn), s);
    alk_list_remove(&s->sendq);
    alk_list_remove(&s->base.dirty);
}

static void give_credit(struct alk_qconn *c, struct alk_qstream *s)
{
    uint64_t n = alk_stream_take_credit(&s->base);
    if (n == 0 || c->nc == NULL) {
        return;
    }
    ngtcp2_conn_extend_max_offset(c->nc, n);
    if (s->is_known) {
        /* Fails only without memory: then the peer stalls until the next credit. */
        (void)ngtcp2_conn_extend_max_stream_offset(c->nc, (int64_t)s->base.id, n);
    }
}

void alk_qstream_free(struct alk_qstream *s)
{
    struct alk_qconn *c = alk_qconn(s->base.conn);
    struct alk_quic *q = c->q;
    size_t unread = alk_buf_len(&s->base.rx);
    unlink_all(s);
    c->memory -= s->memory;
    q->memory -= s->memory;
    if (c->nc != NULL && !c->close.is_pending && !s->is_orphan) {
        give_credit(c, s);
        ngtcp2_conn_extend_max_offset(c->nc, unread);
        if (!s->base.is_local && c->streams_lent > 0) {
            c->streams_lent--;
        } else if (!s->base.is_local) {
            ngtcp2_conn_extend_max_streams_bidi(c->nc, 1);
        }
        alk_qconn_mark(c);
    }
    fini_base(s);
    give_spare(q, s);
}

/* The handler may still have bytes to read: its last event waits until it has. */
static void tell_gone(struct alk_qstream *s)
{
    bool is_unread = alk_buf_len(&s->base.rx) > 0 && !s->base.is_detached && !s->base.is_stopped;
    if (!s->is_known && !is_unread) {
        alk_stream_gone(&s->base);
    }
}

void alk_qstream_over(struct alk_qstream *s)
{
    s->is_known = false;
    unlink_all(s);
    alk_stream_tx_done(&s->base);
    alk_qstream_account(s);
    tell_gone(s);
}

void alk_qstreams_over(struct alk_qconn *c)
{
    for (struct alk_link *e = c->base.streams.head.next; e != &c->base.streams.head; e = e->next) {
        struct alk_qstream *s = alk_qstream(ALK_CONTAINER(e, struct alk_stream, all));
        s->is_known = false;
        s->is_orphan = true;
        unlink_all(s);
    }
}

void alk_qconn_stream_dirty(struct alk_stream *stream)
{
    struct alk_qstream *s = alk_qstream(stream);
    struct alk_qconn *c = alk_qconn(stream->conn);
    if (c->phase != ALK_Q_LIVE || c->close.is_pending) {
        return;
    }
    alk_qstream_account(s);
    if (!s->is_known) {
        tell_gone(s);
    }
    alk_list_append(&c->dirty, &stream->dirty);
    alk_qconn_mark(c);
}

void alk_qconn_stream_free(struct alk_stream *stream)
{
    alk_qstream_free(alk_qstream(stream));
}

/* Resets, stops and window of one stream; then its place among those that send. */
static void flush(struct alk_qconn *c, struct alk_qstream *s)
{
    struct alk_stream *b = &s->base;
    give_credit(c, s);
    if (!s->is_known) {
        return;
    }
    if (b->is_stopped && !b->is_stop_sent) {
        b->is_stop_sent = true;
        (void)ngtcp2_conn_shutdown_stream_read(c->nc, 0, (int64_t)b->id, b->stop_code);
    }
    if (b->is_reset && !b->is_reset_sent) {
        b->is_reset_sent = true;
        alk_list_remove(&s->sendq);
        (void)ngtcp2_conn_shutdown_stream_write(c->nc, 0, (int64_t)b->id, b->reset_code);
        alk_stream_tx_done(b);
        alk_qstream_account(s);
        return;
    }
    bool has_end = b->is_finished && !b->is_fin_sent;
    if (!s->is_blocked && !b->is_reset &&
        (s->needs_open || has_end || alk_stream_tx_unsent(b) > 0)) {
        alk_list_append(&c->sendq, &s->sendq);
    }
}

void alk_qstreams_flush(struct alk_qconn *c)
{
    struct alk_link *e;
    while ((e = alk_list_pop(&c->dirty)) != NULL) {
        flush(c, alk_qstream(ALK_CONTAINER(e, struct alk_stream, dirty)));
    }
}

void alk_qstream_stopped(struct alk_qstream *s, uint64_t code)
{
    struct alk_stream *b = &s->base;
    alk_list_remove(&s->sendq);
    if (!b->is_reset && !b->is_tx_done) {
        alk_stream_peer_stop(b, code);
        alk_stream_tx_done(b);
        alk_qstream_account(s);
    }
}

void alk_qstream_sent(struct alk_qstream *s, size_t n, bool fin)
{
    s->needs_open = false;
    alk_stream_tx_sent(&s->base, n, fin);
}

alk_err alk_qconn_open_stream(struct alk_conn *conn, struct alk_stream **ret)
{
    struct alk_qconn *c = alk_qconn(conn);
    if (c->phase != ALK_Q_LIVE || c->close.is_pending) {
        return ALK_E_CLOSED;
    }
    if (ngtcp2_conn_get_streams_bidi_left(c->nc) == 0) {
        c->wants_credit = true;
        return ALK_FULL;
    }
    struct alk_qstream *s = alk_qstream_new(c, 0, true, false);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    int64_t id = -1;
    int rv = ngtcp2_conn_open_bidi_stream(c->nc, &id, s);
    if (rv != 0) {
        s->is_orphan = true;
        alk_qstream_free(s);
        c->wants_credit = rv == NGTCP2_ERR_STREAM_ID_BLOCKED;
        return c->wants_credit ? ALK_FULL : ALK_E_NOMEM;
    }
    s->base.id = (uint64_t)id;
    alk_qids_add(c, s);
    alk_list_append(&c->dirty, &s->base.dirty);
    alk_qconn_mark(c);
    *ret = &s->base;
    return ALK_OK;
}
