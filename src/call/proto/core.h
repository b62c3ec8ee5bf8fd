/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call/proto/core.h - the call protocol of one connection [DESIGN.md §9], both ways,
 * as a value machine: bytes of many streams in, events out, bytes of many streams out.
 *
 *     alk_call_feed(c, stream, bytes, &used)   what arrived on a stream
 *     alk_call_next(c, &event)                 ALK_MORE: nothing more from that feed
 *     alk_call_request / respond / ...         intents; they append to a stream's output
 *     alk_call_output(c, stream)               what to send; then alk_call_sent
 *
 * It calls nobody, reads no clock, draws no randomness: time-outs are the glue's,
 * which sends alk_call_fail(TIMEOUT) or alk_call_abort. Pure: builds for wasm32.
 *
 * A stream exists from alk_call_open (by us) or the first feed (by the peer) until
 * alk_call_close_stream. Each direction has its own space of ids: `in` are requests
 * of the peer, `out` are ours. A request is named by a handle that is stale once the
 * request is over; a stale handle in an intent is ALK_E_STATE and does nothing.
 *
 * Peer mistakes: what belongs to one request is answered on the wire by the core
 * itself (INVALID_FRAME, EXHAUSTED, TOO_LARGE); what breaks a stream or the connection is told
 * as ALK_CALL_BROKEN, once, and that stream (or everything) is dead from then on.
 *
 * Limits: frame_max per frame, in_max and out_max live requests, out_high and out_hard
 * bytes of unsent output per stream. While a stream's output is above out_high its
 * input is not used (feed takes nothing), so a peer that does not read cannot ask.
 */
#ifndef ALK_CALL_CORE_H
#define ALK_CALL_CORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define ALK_CALL_FRAME_MAX         ((size_t)1 << 20)
#define ALK_CALL_FRAME_MAX_UNKNOWN ((size_t)65536) /* peer without identity */
#define ALK_CALL_ID_MAX            64
#define ALK_CALL_CREDIT_MAX        ((uint64_t)1 << 32)

struct alk_call_core;

struct alk_call_options {
    const struct alk_mem *mem;
    size_t frame_max;     /* of frames that we accept; 0: ALK_CALL_FRAME_MAX */
    unsigned in_max;      /* live requests of the peer; 0: 1024 */
    unsigned out_max;     /* live requests of ours; 0: 4096 */
    unsigned streams_max; /* 0: 1100 */
    size_t out_high;      /* 0: 256 KiB */
    size_t out_hard;      /* 0: 4 MiB; at least out_high */
    size_t partial_max;   /* bytes of frames that have not arrived whole, of all streams
                           * together; 0: 16 MiB. A frame beyond breaks its stream */
    uint8_t seed[16];     /* of the hash tables */
};
ALK_NODISCARD alk_err alk_call_new(const struct alk_call_options *options,
                                   struct alk_call_core **ret);
void alk_call_free(struct alk_call_core *c);
/* The peer's identity has become known or was lost. */
void alk_call_set_frame_max(struct alk_call_core *c, size_t frame_max);

/* --- streams ------------------------------------------------------------------ */

/* Before the first request on a stream of ours. `stream` is any number that is
 * unique on this connection. ALK_E_EXISTS, ALK_E_LIMIT, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_call_open(struct alk_call_core *c, uint64_t stream);
/* The peer ended its direction, and all it sent was fed: a frame that is cut short
 * breaks the stream; its requests go on, but ours on it that wait for answers are lost
 * (ALK_CALL_LOST each). */
void alk_call_eof(struct alk_call_core *c, uint64_t stream);
/* The stream is gone both ways (reset, stop, closed): its live requests are lost, one
 * ALK_CALL_LOST event each, both directions. Until that event comes the handle is good
 * for respond (the last), complete, fail and forget: they succeed, send nothing, and
 * the event does not come. */
void alk_call_close_stream(struct alk_call_core *c, uint64_t stream);
/* No live request of either side on it: whoever opened it may finish it. */
bool alk_call_is_idle(const struct alk_call_core *c, uint64_t stream);

/* Feeds bytes. *ret_used: how many were taken; the rest must be offered again, with
 * more behind it, after events were taken, or when output was sent. At most one frame
 * becomes an event at a time: call next until ALK_MORE before feeding again.
 * ALK_OK; ALK_E_STATE: the stream is dead, or its end was told; ALK_E_LIMIT: a new one,
 * above streams_max; ALK_E_NOMEM: nothing was taken, try again or close it. */
ALK_NODISCARD alk_err alk_call_feed(struct alk_call_core *c, uint64_t stream, struct alk_span in,
                                    size_t *ret_used);

/* --- events --------------------------------------------------------------------- */

/* A request: slot and generation. {0, 0} is none. */
struct alk_call_ref {
    uint32_t slot, serial;
};

enum alk_call_event_kind {
    ALK_CALL_REQUESTED, /* the peer asks: answer with respond, complete, fail */
    ALK_CALL_ABORTED,   /* the peer gave up `ref`: still to be ended by fail(ABORTED) */
    ALK_CALL_CREDIT,    /* `ref` (the peer's) may answer more: room was used up before */
    ALK_CALL_RESPONDED, /* an answer to `ref` (ours); is_last: of a call, now over */
    ALK_CALL_COMPLETED, /* the subscription `ref` (ours) is over */
    ALK_CALL_FAILED,    /* `ref` (ours) is over: call.error, or an answer that is none */
    ALK_CALL_LOST,      /* `ref` is over without a word: its stream is gone; or (the
                         * peer's) it was refused because of a later frame */
    ALK_CALL_BROKEN     /* the peer broke the protocol */
};

/* Spans borrow from the bytes that were fed, or from the core: until the next call of
 * next or feed. JSON spans are text that has been checked: one strict UTF-8 value of
 * bounded depth. Strings are decoded. */
struct alk_call_event {
    enum alk_call_event_kind kind;
    uint64_t stream;
    struct alk_call_ref ref;
    void *user; /* what the glue set for ref */
    union {
        struct {
            struct alk_span id;          /* for logs */
            struct alk_span op;          /* without its slash */
            struct alk_span input;       /* JSON; empty: absent */
            struct alk_span auth_token;  /* empty: absent. Secret */
            struct alk_span traceparent; /* empty: absent */
            struct alk_span caller;      /* JSON: {"id", "scopes"} or null; empty: absent */
            uint64_t timeout_ms;         /* 0: absent */
            bool has_credit;
        } requested;
        struct {
            struct alk_span reason;
        } aborted;
        struct {
            struct alk_span output; /* JSON */
            bool is_last;
        } responded;
        struct {
            struct alk_span code, message;
            bool is_retryable;
            struct alk_span details; /* JSON; empty: absent */
        } failed;
        struct {
            bool is_in; /* the peer's request, else ours */
        } lost;
        struct {
            alk_err err;        /* ALK_E_MALFORMED, ALK_E_TOO_BIG, ALK_E_PROTOCOL */
            bool is_connection; /* close the connection; else reset the stream */
        } broken;
    } u;
};
/* ALK_OK: *ret. ALK_MORE: none waiting. */
ALK_NODISCARD alk_err alk_call_next(struct alk_call_core *c, struct alk_call_event *ret);

void alk_call_set_user(struct alk_call_core *c, struct alk_call_ref ref, void *user);
void *alk_call_user(const struct alk_call_core *c, struct alk_call_ref ref);
/* The stream of a live request, either way. False: stale. */
bool alk_call_stream_of(const struct alk_call_core *c, struct alk_call_ref ref, uint64_t *ret);

/* --- answering the peer's requests -------------------------------------------------- */

/* One answer. The output is JSON text that is known to be one strict value.
 * is_last (of a call): ends the request; taken also above out_high, as long as out_hard
 * allows, else the request is ended with EXHAUSTED instead (ALK_E_LIMIT).
 * A subscription's: ALK_FULL without credit or above out_high, nothing was written;
 * ALK_CALL_CREDIT or the stream's output falling below out_high / 2 says when to try
 * again. ALK_E_TOO_BIG: larger than the peer's frames may be (1 MiB), or than out_hard;
 * the request goes on. ALK_E_NOMEM: likewise. */
ALK_NODISCARD alk_err alk_call_respond(struct alk_call_core *c, struct alk_call_ref ref,
                                       struct alk_span output, bool is_last);
ALK_NODISCARD alk_err alk_call_complete(struct alk_call_core *c, struct alk_call_ref ref);
/* code: [A-Z][A-Z0-9_]{0,63}, else INTERNAL is sent; message: any text, cut at 512 bytes;
 * details: JSON or empty (left out when the frame would be too large, or above out_hard).
 * Never ALK_FULL: room for one such frame per live request is kept beyond out_hard. */
ALK_NODISCARD alk_err alk_call_fail(struct alk_call_core *c, struct alk_call_ref ref,
                                    const char *code, struct alk_span message, bool is_retryable,
                                    struct alk_span details);

/* --- asking ---------------------------------------------------------------------- */

struct alk_call_ask {
    struct alk_span op;    /* without slash */
    struct alk_span input; /* JSON text known to be strict; empty: left out */
    struct alk_span auth_token, traceparent;
    struct alk_span caller; /* JSON; empty: left out */
    uint64_t timeout_ms;    /* 0: left out */
    uint64_t credit;        /* with has_credit */
    bool has_credit;
    bool is_subscription; /* any number of answers; else one ends it */
};
/* Writes call.requested with an id of the core's choice. ALK_FULL: above out_high.
 * ALK_E_LIMIT: out_max live. ALK_E_TOO_BIG: over 1 MiB. ALK_E_STATE: no such stream, or
 * the peer has ended it. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_call_request(struct alk_call_core *c, uint64_t stream,
                                       const struct alk_call_ask *ask, void *user,
                                       struct alk_call_ref *ret);
/* Gives up a request of ours; its terminal frame still comes, as an event. reason may be
 * empty, and is cut at 512 bytes. Never ALK_FULL; a second time nothing happens. */
ALK_NODISCARD alk_err alk_call_abort(struct alk_call_core *c, struct alk_call_ref ref,
                                     struct alk_span reason);
/* Wants no event of it any more; the frames that come are dropped. */
void alk_call_forget(struct alk_call_core *c, struct alk_call_ref ref);
/* n answers more to a request that was sent with credit (ALK_E_STATE: without).
 * ALK_FULL: above out_hard. An answer beyond the credit fails the request. */
ALK_NODISCARD alk_err alk_call_credit(struct alk_call_core *c, struct alk_call_ref ref, uint64_t n);

/* --- output ---------------------------------------------------------------------- */

/* Unsent bytes of a stream; borrows until the next intent, feed, next or sent. */
struct alk_span alk_call_output(const struct alk_call_core *c, uint64_t stream);
void alk_call_sent(struct alk_call_core *c, uint64_t stream, size_t n);
/* Streams with unsent bytes: *at starts at 0; false at the end. Allowed to call sent
 * between, but no intent. */
bool alk_call_dirty(const struct alk_call_core *c, size_t *at, uint64_t *ret_stream);
/* Bytes of output, of all streams together; and of how many. */
size_t alk_call_unsent(const struct alk_call_core *c, size_t *ret_streams);
/* Whether subscriptions on this stream may write (below out_high). */
bool alk_call_has_room(const struct alk_call_core *c, uint64_t stream);

#endif
