/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/stream.h"

#include "base/assert.h"
#include "core/conn.h"
#include "core/txq.h"

#define RX_KEEP ((size_t)4096)
#define STREAM_MAGIC 0x414c4b53u /* "ALKS" */

static const struct alk_mem *mem_of(const struct alk_stream *s)
{
    return s->conn->mem;
}

static void tell_closed(struct alk_stream *s);

static void dirty(struct alk_stream *s)
{
    if (!s->is_gone) {
        s->conn->ops->stream_dirty(s);
    }
}

void alk_stream_init(struct alk_stream *s, struct alk_conn *conn, uint64_t id, size_t rx_max)
{
    s->magic = STREAM_MAGIC;
    s->conn = conn;
    s->id = id;
    alk_buf_init(&s->rx, conn->mem, rx_max);
    alk_list_append(&conn->streams, &s->all);
    conn->streams_open++;
    conn->streams_opened++;
    s->is_announced = s->is_local;
    if (!s->is_local) {
        alk_list_append(&conn->ready, &s->ready);
        alk_conn_raise(conn, 0);
    }
}

void alk_stream_fini(struct alk_stream *s)
{
    ALK_ASSERT(s->magic == STREAM_MAGIC);
    alk_list_remove(&s->all);
    alk_list_remove(&s->ready);
    alk_list_remove(&s->dirty);
    s->conn->streams_open--;
    alk_txq_fini(&s->tx, mem_of(s));
    alk_buf_fini(&s->rx);
    s->magic = 0;
}

void alk_stream_raise(struct alk_stream *s, unsigned events)
{
    s->pending |= events;
    alk_list_append(&s->conn->ready, &s->ready);
    alk_conn_raise(s->conn, 0);
}

/* --- the handler's side ----------------------------------------------------- */

void alk_stream_on(struct alk_stream *stream, alk_stream_fn *fn, void *ctx)
{
    ALK_ASSERT(stream->magic == STREAM_MAGIC);
    stream->fn = fn;
    stream->ctx = ctx;
    if (fn != NULL && stream->pending != 0) {
        alk_stream_raise(stream, 0);
    }
}

void *alk_stream_ctx(const struct alk_stream *stream)
{
    return stream->ctx;
}

struct alk_conn *alk_stream_conn(const struct alk_stream *stream)
{
    return stream->conn;
}

uint64_t alk_stream_id(const struct alk_stream *stream)
{
    return stream->id;
}

uint64_t alk_stream_peer_code(const struct alk_stream *stream)
{
    return stream->has_reset ? stream->rx_code : stream->tx_peer_code;
}

bool alk_stream_is_early(const struct alk_stream *stream)
{
    return stream->is_early && !stream->conn->is_confirmed;
}

alk_err alk_stream_peek(struct alk_stream *stream, struct alk_span *ret)
{
    ALK_ASSERT(stream->magic == STREAM_MAGIC);
    struct alk_span have = alk_buf_span(&stream->rx);
    if (have.n > 0) {
        *ret = have;
        return ALK_OK;
    }
    if (stream->has_reset) {
        return ALK_E_RESET;
    }
    if (stream->has_fin) {
        return ALK_END;
    }
    return stream->is_stopped ? ALK_E_STATE : ALK_MORE;
}

/* An empty buffer keeps little: an idle stream must not hold what a bulk transfer
 * once needed. The size is remembered, so that the next burst grows in one step. */
static void trim_rx(struct alk_stream *s)
{
    if (alk_buf_len(&s->rx) == 0 && s->rx.size > RX_KEEP) {
        s->rx_hint = s->rx.size;
        alk_buf_trim(&s->rx);
    }
}

void alk_stream_consume(struct alk_stream *stream, size_t n)
{
    ALK_ASSERT(n <= alk_buf_len(&stream->rx));
    if (n == 0) {
        return;
    }
    alk_buf_consume(&stream->rx, n);
    trim_rx(stream);
    stream->rx_credit += n;
    dirty(stream);
    tell_closed(stream);
}

static alk_err may_write(const struct alk_stream *s)
{
    ALK_ASSERT(s->magic == STREAM_MAGIC);
    if (s->is_finished || s->is_reset) {
        return ALK_E_STATE;
    }
    if (s->peer_stopped) {
        return ALK_E_STOPPED;
    }
    return s->is_gone || s->conn->is_closing ? ALK_E_CLOSED : ALK_OK;
}

static size_t room(const struct alk_stream *s)
{
    uint64_t unsent = alk_txq_unsent(&s->tx);
    uint64_t held = s->tx.end - s->tx.acked;
    uint64_t high = unsent < ALK_STREAM_TX_HIGH ? ALK_STREAM_TX_HIGH - unsent : 0;
    uint64_t most = held < ALK_STREAM_TX_MAX ? ALK_STREAM_TX_MAX - held : 0;
    return (size_t)(high < most ? high : most);
}

size_t alk_stream_room(const struct alk_stream *stream)
{
    return may_write(stream) == ALK_OK ? room(stream) : 0;
}

alk_err alk_stream_write(struct alk_stream *stream, struct alk_span data, size_t *ret_took)
{
    *ret_took = 0;
    ALK_TRY(may_write(stream));
    struct alk_span part = alk_span_head(data, room(stream));
    if (part.n > 0) {
        ALK_TRY(alk_txq_copy(&stream->tx, mem_of(stream), part));
        *ret_took = part.n;
        dirty(stream);
    }
    if (part.n < data.n) {
        stream->wants_writable = true;
        return ALK_FULL;
    }
    return ALK_OK;
}

alk_err alk_stream_write_chunk(struct alk_stream *stream, struct alk_chunk *chunk, size_t at,
                               size_t n)
{
    ALK_ASSERT(at <= alk_chunk_size(chunk) && n <= alk_chunk_size(chunk) - at);
    ALK_TRY(may_write(stream));
    if (n == 0) {
        return ALK_OK;
    }
    if (n > room(stream) && stream->tx.end != stream->tx.acked) {
        stream->wants_writable = true;
        return ALK_FULL;
    }
    ALK_TRY(alk_txq_link(&stream->tx, mem_of(stream), chunk, at, n));
    dirty(stream);
    return ALK_OK;
}

void alk_stream_finish(struct alk_stream *stream)
{
    ALK_ASSERT(stream->magic == STREAM_MAGIC);
    if (!stream->is_finished && !stream->is_reset) {
        stream->is_finished = true;
        stream->wants_writable = false;
        dirty(stream);
    }
}

void alk_stream_reset(struct alk_stream *stream, uint64_t code)
{
    ALK_ASSERT(stream->magic == STREAM_MAGIC);
    if (stream->is_reset || stream->is_tx_done) {
        return;
    }
    stream->is_reset = true;
    stream->reset_code = code;
    stream->wants_writable = false;
    dirty(stream);
}

static void drop_rx(struct alk_stream *s)
{
    size_t n = alk_buf_len(&s->rx);
    s->rx_credit += n;
    alk_buf_consume(&s->rx, n);
    trim_rx(s);
}

void alk_stream_stop(struct alk_stream *stream, uint64_t code)
{
    ALK_ASSERT(stream->magic == STREAM_MAGIC);
    if (stream->is_stopped) {
        return;
    }
    drop_rx(stream);
    stream->is_stopped = true;
    stream->stop_code = code;
    dirty(stream);
    tell_closed(stream);
}

void alk_stream_close(struct alk_stream *stream, uint64_t code)
{
    if (!stream->is_finished) {
        alk_stream_reset(stream, code);
    }
    if (!stream->has_fin && !stream->has_reset) {
        alk_stream_stop(stream, code);
    } else {
        drop_rx(stream);
    }
    stream->is_detached = true;
    stream->is_announced = true;
    stream->fn = NULL;
    stream->ctx = NULL;
    stream->pending &= (unsigned)ALK_STREAM_CLOSED;
    dirty(stream);
    tell_closed(stream);
}

/* --- the transport's side ---------------------------------------------------- */

alk_err alk_stream_rx(struct alk_stream *s, struct alk_span data, bool fin)
{
    if (s->has_fin || s->has_reset) {
        return ALK_OK;
    }
    if (s->is_stopped || s->is_detached) {
        s->rx_credit += data.n;
        if (data.n > 0) {
            dirty(s);
        }
    } else if (data.n > 0) {
        if (s->rx.size == 0 && s->rx_hint > data.n) {
            (void)alk_buf_reserve(&s->rx, s->rx_hint); /* only a hint: put tries again */
            s->rx.err = ALK_OK;
        }
        alk_err err = alk_buf_put(&s->rx, data);
        if (err != ALK_OK) {
            s->rx.err = ALK_OK; /* the transport decides; the buffer stays usable */
            return err;
        }
    }
    s->has_fin = fin;
    if (data.n > 0 || fin) {
        alk_stream_raise(s, ALK_STREAM_READABLE);
    }
    return ALK_OK;
}

void alk_stream_rx_reset(struct alk_stream *s, uint64_t code)
{
    if (s->has_reset || s->has_fin) {
        return; /* [RFC 9000 §3.2] after all data a reset may be ignored */
    }
    drop_rx(s);
    s->has_reset = true;
    s->rx_code = code;
    alk_stream_raise(s, ALK_STREAM_READABLE);
}

void alk_stream_peer_stop(struct alk_stream *s, uint64_t code)
{
    if (s->peer_stopped || s->is_tx_done) {
        return;
    }
    s->peer_stopped = true;
    s->tx_peer_code = code;
    s->wants_writable = false;
    alk_stream_raise(s, ALK_STREAM_STOPPED);
}

/* What has arrived, up to a stated end, is the handler's: its last event waits
 * until that has been read. */
static void tell_closed(struct alk_stream *s)
{
    bool is_unread = alk_buf_len(&s->rx) > 0 && !s->has_reset && !s->is_stopped && !s->is_detached;
    if (s->is_gone && !is_unread) {
        alk_stream_raise(s, ALK_STREAM_CLOSED);
    }
}

void alk_stream_gone(struct alk_stream *s)
{
    if (!s->is_gone) {
        s->is_gone = true;
        alk_list_remove(&s->dirty);
        tell_closed(s);
    }
}

size_t alk_stream_tx_vec(const struct alk_stream *s, struct alk_span *vec, size_t max,
                         bool *ret_fin)
{
    size_t count = alk_txq_vec(&s->tx, vec, max);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += vec[i].n;
    }
    *ret_fin = s->is_finished && !s->is_fin_sent && n == alk_txq_unsent(&s->tx);
    return count;
}

static void maybe_writable(struct alk_stream *s)
{
    if (s->wants_writable && alk_txq_unsent(&s->tx) <= ALK_STREAM_TX_LOW &&
        s->tx.end - s->tx.acked < ALK_STREAM_TX_MAX) {
        s->wants_writable = false;
        alk_stream_raise(s, ALK_STREAM_WRITABLE);
    }
}

void alk_stream_tx_sent(struct alk_stream *s, size_t n, bool fin)
{
    alk_txq_sent(&s->tx, n);
    s->is_fin_sent = s->is_fin_sent || fin;
    maybe_writable(s);
}

void alk_stream_tx_acked(struct alk_stream *s, uint64_t offset)
{
    alk_txq_acked(&s->tx, mem_of(s), offset);
    maybe_writable(s);
}

void alk_stream_tx_done(struct alk_stream *s)
{
    s->is_tx_done = true;
    alk_txq_clear(&s->tx, mem_of(s));
}

size_t alk_stream_memory(const struct alk_stream *s)
{
    return s->rx.size + (size_t)(s->tx.end - s->tx.acked);
}

uint64_t alk_stream_take_credit(struct alk_stream *s)
{
    uint64_t n = s->rx_credit;
    s->rx_credit = 0;
    return n;
}

bool alk_stream_has_work(const struct alk_stream *s)
{
    if (s->is_gone) {
        return s->rx_credit > 0;
    }
    bool has_tx =
        !s->is_reset && (alk_txq_unsent(&s->tx) > 0 || (s->is_finished && !s->is_fin_sent));
    return s->rx_credit > 0 || has_tx || (s->is_reset && !s->is_reset_sent && !s->is_tx_done) ||
           (s->is_stopped && !s->is_stop_sent && !s->has_fin && !s->has_reset);
}
