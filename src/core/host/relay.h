/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/relay.h - moves bytes between a stream and a file descriptor.
 *
 *     peer --stream--> out_fd     "out": what leaves to the descriptor
 *     peer <--stream-- in_fd      "in": what comes in from the descriptor
 *
 * Backpressure goes both ways: the stream is not consumed while the descriptor is
 * full, and the descriptor is not read while the stream is full. Bytes move in
 * blocks of up to 64 KB, a bulk transfer without a copy in between, and no memory
 * is held while nothing moves. The two directions end separately; the owner
 * decides what an end means (finish, reset, stop) and calls the stream itself.
 *
 * Owns the descriptors, borrows the stream until ALK_RELAY_CLOSED. Belongs to the
 * stream's loop.
 */
#ifndef ALK_CORE_HOST_RELAY_H
#define ALK_CORE_HOST_RELAY_H

#include "alknet/loop.h"
#include "alknet/stream.h"
#include "base/err.h"

#define ALK_RELAY_BLOCK ((size_t)65536)

/* What happened, as bits; each comes once. */
enum {
    ALK_RELAY_OUT_END = 1,     /* the peer finished, and all of it has been written */
    ALK_RELAY_OUT_RESET = 2,   /* the peer aborted its direction: alk_stream_peer_code */
    ALK_RELAY_OUT_REFUSED = 4, /* nobody reads out_fd any more */
    ALK_RELAY_IN_END = 8,      /* in_fd ended, or `expect` bytes came; the stream has all */
    ALK_RELAY_IN_ERROR = 16,   /* in_fd failed; `in_errno` says how */
    ALK_RELAY_IN_STOPPED = 32, /* the peer takes no more: alk_stream_peer_code */
    ALK_RELAY_CLOSED = 64,     /* the stream is gone; `out` may still have bytes to write */
    ALK_RELAY_FAILED = 128     /* no memory */
};
/* The owner may call anything here, alk_relay_fini too. */
typedef void alk_relay_fn(void *ctx, unsigned events);

struct alk_chunk;

struct alk_relay {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    struct alk_stream *stream; /* NULL once it is gone */
    alk_relay_fn *fn;
    void *ctx;
    int out_fd, in_fd; /* may be the same; -1: closed */
    bool is_pipe;      /* write, not send */
    struct alk_watch *watch, *in_watch; /* in_watch: only with two descriptors */
    bool out_over, in_over;             /* nothing more moves that way */
    bool is_discarding;                 /* out: taken from the stream and dropped */
    bool is_full;                       /* waits for the stream's writable event */
    bool is_bulk;                       /* the last read filled the block */
    bool wants_write;                   /* waits for out_fd */
    bool in_work;                       /* no re-entry */
    unsigned told;                      /* events told so far */
    int in_errno;
    struct alk_chunk *held; /* read, and the stream had no room for it */
    size_t held_at, held_n;
    uint8_t *rest; /* what the stream held when it went away; owns */
    size_t rest_at, rest_n;
    uint64_t out_bytes, in_bytes; /* moved so far */
    uint64_t expect;              /* in: this many and no more; UINT64_MAX: to the end */
};

struct alk_relay_options {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    struct alk_stream *stream;
    int out_fd, in_fd; /* non-blocking; takes, also on failure */
    bool is_pipe;
    alk_relay_fn *fn;
    void *ctx;
};

/* Starts; fn is not called inside. ALK_E_NOMEM, ALK_E_IO. */
ALK_NODISCARD alk_err alk_relay_init(struct alk_relay *p, const struct alk_relay_options *options);
/* Closes the descriptors and lets go of the stream without ending it. Zeroed and
 * finished relays are allowed. */
void alk_relay_fini(struct alk_relay *p);
/* Ends out_fd: shutdown, or close of a pipe. */
void alk_relay_end_out(struct alk_relay *p);
/* Nothing more is taken from the stream, or read from in_fd. */
void alk_relay_cut_out(struct alk_relay *p);
void alk_relay_cut_in(struct alk_relay *p);
/* What the peer sends is dropped from now on, up to its end: for transports on
 * which refusing it would end both directions. */
void alk_relay_discard_out(struct alk_relay *p);
/* in: the end comes after this many bytes in all. More than that: IN_ERROR with
 * EPROTO. */
void alk_relay_expect(struct alk_relay *p, uint64_t total);
/* Moves what can be moved now; for an owner that knows of news. May call fn. */
void alk_relay_run(struct alk_relay *p);

#endif
