/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/stream.h - a bidirectional byte stream with backpressure.
 *
 * The same type over QUIC, TLS, WebTransport, a socketpair and memory; a handler
 * never knows which. The two directions end separately: ours with
 * alk_stream_finish (clean) or alk_stream_reset (abort), the peer's with
 * ALK_END or ALK_E_RESET from alk_stream_peek.
 *
 * Threads: a stream belongs to its connection's loop; call from there only.
 *
 * Lifetime: a stream is valid until its callback has returned from the event
 * ALK_STREAM_CLOSED, which comes exactly once and last, or until
 * alk_stream_close. Data that arrives while nobody consumes it is kept up to the
 * flow control window; then the peer's writer stops.
 */
#ifndef ALKNET_STREAM_H
#define ALKNET_STREAM_H

#include "alknet/err.h"
#include "alknet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct alk_conn;
struct alk_stream;

/* Bits of the callback's `events`. They are edges: look at the stream, not at
 * the number of events. */
enum {
    ALK_STREAM_READABLE = 1, /* peek has news: data, the end, or a reset */
    ALK_STREAM_WRITABLE = 2, /* once after ALK_FULL, at the low-water mark */
    ALK_STREAM_STOPPED = 4,  /* the peer refuses more: writes fail from now on */
    ALK_STREAM_CLOSED = 8    /* both directions are over; the last event */
};

/* Runs on the loop, never re-entered for the same connection. */
typedef void alk_stream_fn(void *ctx, struct alk_stream *stream, unsigned events);

/* Who hears of this stream. May be called at any time; events that were pending
 * before the first call are delivered after it. fn NULL: nobody; data then waits
 * in the window. */
ALK_API void alk_stream_on(struct alk_stream *stream, alk_stream_fn *fn, void *ctx);
ALK_API void *alk_stream_ctx(const struct alk_stream *stream);
ALK_API struct alk_conn *alk_stream_conn(const struct alk_stream *stream);
/* Transport's number of the stream (QUIC stream id); unique per connection. */
ALK_API uint64_t alk_stream_id(const struct alk_stream *stream);

/* Everything that has arrived and is not consumed, as one contiguous span that
 * is valid until the next consume on this stream or until the callback returns.
 *
 * ALK_OK: *ret has at least one byte.
 * ALK_MORE: nothing here now.
 * ALK_END: the peer finished and everything has been consumed.
 * ALK_E_RESET: the peer aborted; alk_stream_peer_code says why. What arrived
 * before but was not consumed is gone.
 * *ret changes only on ALK_OK. */
ALK_NODISCARD ALK_API alk_err alk_stream_peek(struct alk_stream *stream, struct alk_span *ret);
/* Releases the first n bytes of what peek shows and opens the peer's window by
 * as much. n beyond that is our bug. */
ALK_API void alk_stream_consume(struct alk_stream *stream, size_t n);

/* Queues bytes, copied. *ret_took says how many.
 *
 * ALK_OK: all of them. ALK_FULL: fewer (maybe none); one ALK_STREAM_WRITABLE
 * follows. ALK_E_STOPPED: the peer refuses more. ALK_E_STATE: after finish or
 * reset. ALK_E_CLOSED: the connection is gone. ALK_E_NOMEM. */
ALK_NODISCARD ALK_API alk_err alk_stream_write(struct alk_stream *stream, struct alk_span data,
                                               size_t *ret_took);

/* A counted, immutable block that streams send from without copying. */
struct alk_chunk;
/* A block of n writable bytes with one reference; NULL without memory. Thread
 * safe counting: one chunk may be written to streams of several loops. */
ALK_API struct alk_chunk *alk_chunk_new(const struct alk_mem *mem, size_t n);
/* A block around memory of the caller's: `done(ctx)` runs when the last
 * reference goes, on whichever thread that happens. */
ALK_API struct alk_chunk *alk_chunk_wrap(const struct alk_mem *mem, const uint8_t *p, size_t n,
                                         void (*done)(void *ctx), void *ctx);
ALK_API uint8_t *alk_chunk_data(struct alk_chunk *chunk);
ALK_API size_t alk_chunk_size(const struct alk_chunk *chunk);
ALK_API struct alk_chunk *alk_chunk_ref(struct alk_chunk *chunk);
ALK_API void alk_chunk_unref(struct alk_chunk *chunk);

/* Queues bytes [at, at + n) of the chunk without copying. The stream takes a
 * reference of its own and keeps it until the peer has acknowledged the bytes.
 * All or nothing: ALK_OK, or ALK_FULL and the errors of alk_stream_write. A
 * chunk larger than the queue's cap is accepted when the queue is empty. */
ALK_NODISCARD ALK_API alk_err alk_stream_write_chunk(struct alk_stream *stream,
                                                     struct alk_chunk *chunk, size_t at, size_t n);
/* Bytes that the next write would take now; 0 also when writing is over. */
ALK_API size_t alk_stream_room(const struct alk_stream *stream);

/* Ends our direction after what is queued. Idempotent. On TLS: close_notify. */
ALK_API void alk_stream_finish(struct alk_stream *stream);
/* Aborts our direction: what is unsent is dropped, the peer sees `code`. On TLS
 * the TCP connection is aborted without close_notify. No effect after a reset or
 * once everything incl. the end was acknowledged. */
ALK_API void alk_stream_reset(struct alk_stream *stream, uint64_t code);
/* Refuses more from the peer; what has arrived is dropped. On TLS as reset. */
ALK_API void alk_stream_stop(struct alk_stream *stream, uint64_t code);
/* reset + stop of what is still open, and no further events. The handle is
 * invalid afterwards; allowed inside any callback. */
ALK_API void alk_stream_close(struct alk_stream *stream, uint64_t code);

/* The code of the peer's reset, or else of its stop; 0 if neither came. */
ALK_API uint64_t alk_stream_peer_code(const struct alk_stream *stream);
/* Whether bytes now readable came as early data that can be a replay. */
ALK_API bool alk_stream_is_early(const struct alk_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
