/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/stream.h - the state and buffers behind struct alk_stream.
 *
 * One struct for every transport: the handler's side is alknet/stream.h, this
 * is the transport's side. A transport embeds it, feeds what arrives with
 * alk_stream_rx_*, takes what is to be sent with alk_stream_tx_* and is told
 * through ops->stream_dirty that a stream has work for it. No I/O, no clock.
 *
 * Events for the handler are collected as bits and delivered by core/dispatch,
 * so a transport may call these functions from inside its library's callbacks.
 *
 *        handler                                   transport
 *   peek/consume  <- rx (contiguous buffer)  <-  alk_stream_rx
 *                    rx_credit  ------------->   opens the peer's window
 *   write/finish  -> tx (queue of chunks)    ->  alk_stream_tx_vec / _sent / _acked
 */
#ifndef ALK_CORE_STREAM_H
#define ALK_CORE_STREAM_H

#include "alknet/stream.h"
#include "base/buf.h"
#include "base/list.h"

/* Unsent bytes that a stream queues before ALK_FULL, and where writable comes. */
#define ALK_STREAM_TX_HIGH ((size_t)256 * 1024)
#define ALK_STREAM_TX_LOW  ((size_t)128 * 1024)
/* Unsent and unacknowledged bytes together. */
#define ALK_STREAM_TX_MAX  ((size_t)8 * 1024 * 1024)

struct alk_tx_seg {
    struct alk_tx_seg *next;
    struct alk_chunk *chunk; /* one reference */
    const uint8_t *p;        /* inside the chunk */
    size_t n;
};

/* Bytes [acked, end) of our direction. Segments before `sent` wait for their
 * acknowledgement, those behind it for the transport. */
struct alk_txq {
    struct alk_tx_seg *head, *tail;
    struct alk_tx_seg *cur; /* segment that holds offset `sent`; NULL at the end */
    size_t cur_at;          /* offset of `sent` inside cur */
    uint64_t acked, sent, end;
    struct alk_chunk *spare; /* an empty small chunk of our own, or NULL */
};

struct alk_stream {
    uint32_t magic;
    struct alk_conn *conn;
    uint64_t id;
    alk_stream_fn *fn;
    void *ctx;

    struct alk_buf rx;
    size_t rx_hint;     /* size that the last burst needed */
    uint64_t rx_credit; /* consumed or dropped, not yet given back as window */
    uint64_t rx_code;   /* of the peer's reset */
    struct alk_txq tx;
    uint64_t tx_peer_code;          /* of the peer's stop */
    uint64_t reset_code, stop_code; /* ours, once is_reset / is_stopped */

    alk_time announced_at; /* to a service; 0: not, or opened by this side */
    unsigned pending;      /* event bits not delivered yet */
    bool is_local;         /* opened by this side */
    bool is_early;         /* came as 0-RTT */
    bool is_announced;     /* the handler's `stream` call has been made (or we opened it) */
    bool is_detached;      /* closed by the handler: no events any more */
    bool is_gone;          /* the transport is done with it */
    bool has_fin;          /* peer's end has arrived */
    bool has_reset;        /* peer aborted */
    bool has_end_told;     /* peek returned ALK_END or ALK_E_RESET */
    bool is_finished;      /* finish was called */
    bool is_reset;         /* reset was called */
    bool is_stopped;       /* stop was called */
    bool peer_stopped;     /* peer refuses more */
    bool is_fin_sent;      /* the transport has taken the end */
    bool is_tx_done;       /* our direction is acknowledged, or reset */
    bool wants_writable;
    bool is_reset_sent, is_stop_sent; /* the transport's own marks */

    struct alk_link all;   /* conn->streams */
    struct alk_link ready; /* conn->ready: has pending events */
    struct alk_link dirty; /* the transport's list of streams with work */
};

/* Links it into the connection. The memory is the transport's, zeroed, with
 * is_local and is_early set. A stream of the peer's is announced to the handler
 * even before it has data. rx_max: the most that can arrive unconsumed (the flow
 * control window). */
void alk_stream_init(struct alk_stream *s, struct alk_conn *conn, uint64_t id, size_t rx_max);
/* Unlinks and drops everything; no events. */
void alk_stream_fini(struct alk_stream *s);

/* --- what the transport tells --------------------------------------------- */

/* Bytes in order, copied, and/or the end. When the handler has stopped or closed
 * the stream they are dropped and credited. ALK_E_TOO_BIG: more than rx_max
 * (the peer broke flow control), ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_stream_rx(struct alk_stream *s, struct alk_span data, bool fin);
void alk_stream_rx_reset(struct alk_stream *s, uint64_t code);
/* The peer refuses more (STOP_SENDING). The transport resets our direction by
 * itself where its protocol demands it. */
void alk_stream_peer_stop(struct alk_stream *s, uint64_t code);
/* The transport will never touch it again except to free it: both directions
 * are over, or the connection is. Raises ALK_STREAM_CLOSED. */
void alk_stream_gone(struct alk_stream *s);

/* --- what the transport takes ---------------------------------------------- */

/* Unsent bytes as at most `max` spans; returns how many spans. *ret_fin: the end
 * follows directly after them. */
size_t alk_stream_tx_vec(const struct alk_stream *s, struct alk_span *vec, size_t max,
                         bool *ret_fin);
/* n bytes of them (and the end) were taken; they stay in memory until acked. */
void alk_stream_tx_sent(struct alk_stream *s, size_t n, bool fin);
/* Everything below `offset` is acknowledged (or, on byte pipes, written). */
void alk_stream_tx_acked(struct alk_stream *s, uint64_t offset);
/* Our direction is completely over (end acknowledged or reset sent). */
void alk_stream_tx_done(struct alk_stream *s);
static inline uint64_t alk_stream_tx_unsent(const struct alk_stream *s)
{
    return s->tx.end - s->tx.sent;
}
/* Bytes written that the other side may still lack: unsent, or not acknowledged. On byte
 * pipes those that the transport has not taken. */
static inline uint64_t alk_stream_tx_unacked(const struct alk_stream *s)
{
    return s->tx.end - s->tx.acked;
}
/* Bytes held by both buffers: for the memory limits. */
size_t alk_stream_memory(const struct alk_stream *s);
/* Consumed bytes since the last call, to be given back as window. */
uint64_t alk_stream_take_credit(struct alk_stream *s);
/* Whether there is something to send: bytes, the end, a reset, a stop, credit. */
bool alk_stream_has_work(const struct alk_stream *s);

/* --- dispatch --------------------------------------------------------------- */

/* Marks events for delivery. */
void alk_stream_raise(struct alk_stream *s, unsigned events);

#endif
