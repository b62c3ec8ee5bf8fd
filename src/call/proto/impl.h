/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call/proto/impl.h - the inside of struct alk_call_core, for the files of this folder.
 *
 *     feed.c     bytes -> frames -> in.c or out.c
 *     in.c       requests of the peer     out.c   requests of ours
 *     slots.c    the table of requests    streams.c   streams and their output
 *     core.c     making, events
 *
 * A request sits in a slot from call.requested to its terminal frame. Slots live in
 * chunks that never move, so the map of the peer's ids borrows from them. Our ids are
 * "slot.serial" in hex and need no map.
 *
 * A frame that concerns the glue becomes c->event; feed stops there until next has
 * taken it. Requests whose stream is gone wait in c->lost, broken streams in
 * c->broken, each for its turn in next.
 */
#ifndef ALK_CALL_IMPL_H
#define ALK_CALL_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "call/proto/core.h"
#include "call/proto/envelope.h"
#include "call/proto/write.h"

/* Messages and reasons that we write, in bytes before escaping. */
#define ALK_CALL_TEXT_MAX     ((size_t)512)
/* A call.error without details, a call.aborted: what may follow out_hard per request. */
#define ALK_CALL_LAST_MAX     ((size_t)4096)
/* Largest body that any peer must take. */
#define ALK_CALL_BODY_MAX     ALK_CALL_FRAME_MAX
/* An emptied buffer keeps this much, and a core this many unused streams. */
#define ALK_CALL_KEEP_BYTES   ((size_t)16384)
#define ALK_CALL_KEEP_STREAMS 16
#define ALK_CALL_NEAR         64
/* Codes are [A-Z][A-Z0-9_]*, so long at most. */
#define ALK_CALL_CODE_MAX     64
/* "ffffffff.ffffffff" */
#define ALK_CALL_OUR_ID_MAX   17

enum alk_call_side { ALK_CALL_SIDE_FREE, ALK_CALL_SIDE_IN, ALK_CALL_SIDE_OUT };

struct alk_call_req {
    struct alk_link link;           /* of its stream, or of the core's lost ones */
    struct alk_call_stream *stream; /* NULL: lost */
    uint64_t stream_id;
    void *user;
    uint64_t credit; /* answers that may still come; with has_credit */
    uint32_t slot, serial;
    uint32_t next_free; /* slot + 1; 0: none */
    enum alk_call_side side;
    bool has_credit;
    bool is_starved;      /* in: respond met the end of the credit */
    bool is_aborted;      /* call.aborted came, or went */
    bool is_subscription; /* out */
    bool is_forgotten;    /* out */
    uint8_t id_n;
    uint8_t id[ALK_CALL_ID_MAX]; /* in */
    uint64_t id_hash;            /* in; of the core's in_ids */
};

struct alk_call_stream {
    struct alk_link link; /* of the core's broken ones, or of the spare ones */
    uint64_t id;
    struct alk_list reqs;
    unsigned live;     /* of reqs */
    struct alk_buf in; /* a frame that has not arrived whole, with its length */
    size_t reserved;   /* counted in the core's partial */
    struct alk_buf out;
    size_t dirty_at; /* place in the core's dirty ones + 1; 0: nothing unsent */
    size_t unsent;   /* of out, as counted in the core's unsent */
    alk_err why;     /* of a broken one */
    bool is_dead;
    bool has_eof;
};

struct alk_call_core {
    const struct alk_mem *mem;
    size_t frame_max, partial_max;
    unsigned in_max, out_max, streams_max;
    size_t out_high, out_hard, out_limit;

    struct alk_map streams; /* by id */
    /* A shortcut past the map: the stream added last of those with the same place. */
    struct alk_call_stream *near[ALK_CALL_NEAR];
    struct alk_list spare;
    unsigned spare_n;
    struct alk_call_stream **dirty; /* owns the array; room for all streams */
    size_t dirty_n, dirty_size;
    size_t unsent;  /* bytes of output of all streams */
    size_t partial; /* lengths of the frames that are being put together */

    struct alk_call_req **chunks; /* owns; and each chunk */
    size_t chunk_n, chunk_size;
    uint32_t free_slot; /* slot + 1; 0: none */
    struct alk_map in_ids;
    unsigned in_n, out_n;

    struct alk_call_event event;
    bool has_event;
    struct alk_call_req *event_req; /* of the event */
    bool ends_req;                  /* the event is its last */
    struct alk_call_stream *held;   /* the event borrows from its `in` */
    struct alk_buf text;            /* decoded strings of the event */
    struct alk_list lost, broken;
    alk_err why; /* of a broken connection */
    bool is_dead, tells_dead;
};

/* --- slots.c */
ALK_NODISCARD alk_err alk_call_slot_take(struct alk_call_core *c, enum alk_call_side side,
                                         struct alk_call_stream *s, struct alk_call_req **ret);
void alk_call_slot_free(struct alk_call_core *c, struct alk_call_req *r);
/* NULL: stale. */
struct alk_call_req *alk_call_slot_get(const struct alk_call_core *c, struct alk_call_ref ref);
void alk_call_slots_fini(struct alk_call_core *c);
static inline struct alk_call_ref alk_call_ref_of(const struct alk_call_req *r)
{
    return (struct alk_call_ref){r->slot, r->serial};
}
/* Our id of a request, and the request of such an id. */
struct alk_span alk_call_our_id(const struct alk_call_req *r,
                                uint8_t room[static ALK_CALL_OUR_ID_MAX]);
struct alk_call_req *alk_call_by_our_id(const struct alk_call_core *c, struct alk_span id);
/* Off its stream, to be told as ALK_CALL_LOST. */
void alk_call_lose(struct alk_call_core *c, struct alk_call_req *r);

/* --- streams.c */
struct alk_call_stream *alk_call_stream_get(const struct alk_call_core *c, uint64_t id);
ALK_NODISCARD alk_err alk_call_stream_add(struct alk_call_core *c, uint64_t id,
                                          struct alk_call_stream **ret);
void alk_call_streams_fini(struct alk_call_core *c);
/* After bytes were appended. */
void alk_call_stream_wrote(struct alk_call_core *c, struct alk_call_stream *s);
/* Forgets the bytes of the frame in s->in. */
void alk_call_stream_drop_in(struct alk_call_core *c, struct alk_call_stream *s);
void alk_call_break_stream(struct alk_call_core *c, struct alk_call_stream *s, alk_err why);
void alk_call_break_all(struct alk_call_core *c, alk_err why);
static inline bool alk_call_is_full(const struct alk_call_core *c, const struct alk_call_stream *s)
{
    return alk_buf_len(&s->out) > c->out_high;
}

/* --- in.c, out.c: one frame. ALK_E_NOMEM: as if it had not come. */
ALK_NODISCARD alk_err alk_call_in_frame(struct alk_call_core *c, struct alk_call_stream *s,
                                        const struct alk_call_envelope *e);
ALK_NODISCARD alk_err alk_call_out_frame(struct alk_call_core *c, struct alk_call_stream *s,
                                         const struct alk_call_envelope *e);
/* call.requested whose JSON is over a bound. */
ALK_NODISCARD alk_err alk_call_in_too_large(struct alk_call_core *c, struct alk_call_stream *s,
                                            const struct alk_call_envelope *e);
bool alk_call_code_is_valid(struct alk_span code);
/* Answers a frame with call.error; when a live request of the peer on this stream has
 * that id, it is over. */
ALK_NODISCARD alk_err alk_call_refuse(struct alk_call_core *c, struct alk_call_stream *s,
                                      struct alk_span id, const char *code, const char *message,
                                      bool is_retryable);
/* At most ALK_CALL_TEXT_MAX bytes of a text, whole characters. */
struct alk_span alk_call_cut_text(struct alk_span text);

/* --- core.c */
/* Room in c->text for n decoded bytes; until then nothing may be decoded. */
ALK_NODISCARD alk_err alk_call_text_begin(struct alk_call_core *c, size_t n);
/* The decoded text of a JSON string. False: not a string (raw empty: "" and true). */
bool alk_call_decode(struct alk_call_core *c, struct alk_span raw, struct alk_span *ret);
static inline bool alk_call_text(struct alk_call_core *c, struct alk_span raw, struct alk_span *ret)
{
    *ret = (struct alk_span){NULL, 0};
    return raw.n == 0 || alk_call_decode(c, raw, ret);
}
/* Forgets the frame that the last event borrowed from, unless it still waits. */
void alk_call_drop_held(struct alk_call_core *c);
/* The event of a frame, to be filled in. */
struct alk_call_event *alk_call_event_new(struct alk_call_core *c, enum alk_call_event_kind kind,
                                          struct alk_call_stream *s, struct alk_call_req *r);

#endif
