/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/events.h - pub/sub of a node: one hub for all its loops.
 *
 *     publisher --alk_events_publish--> number --+--> loop 0 --> its subscriptions
 *                          |                     +--> loop 1 --> its subscriptions
 *                       durable: disk first
 *
 * Numbers (seq) rise strictly, and every subscriber sees events in their order. An
 * event is handed to those loops alone where somebody listens to topics that begin
 * like its own; a loop is woken once per burst. Subscriptions belong to their loop.
 *
 * What waits is bounded: per subscription by count and bytes (beyond: SLOW_CONSUMER),
 * altogether by `memory` (beyond: publishers get ALK_E_LIMIT, the subscriptions that
 * hold the most are ended). Nothing is ever skipped silently.
 */
#ifndef ALK_OPS_EVENTS_H
#define ALK_OPS_EVENTS_H

#include "alknet/auth.h"
#include "alknet/loop.h"
#include "core/store/event_store.h"
#include "ops/event_rules.h"

struct alk_events;
struct alk_ops;

struct alk_events_options {
    const struct alk_mem *mem; /* safe from every thread */
    uint8_t seed[16];          /* random */
    unsigned loops_max;        /* 0: 64 */
    /* Unix nanoseconds; NULL: the system's clock. From every thread. */
    uint64_t (*now_ns)(void *ctx);
    void *now_ctx;
};

/* With the rules of an empty section. Counted. */
ALK_NODISCARD alk_err alk_events_new(const struct alk_events_options *options,
                                     struct alk_events **ret);
struct alk_events *alk_events_ref(struct alk_events *e);
void alk_events_unref(struct alk_events *e);
/* Closes the store (what waits is written first, blocking) and ends all subscriptions
 * with UNAVAILABLE on their loops. Publishing fails with ALK_E_CLOSED from now on. */
void alk_events_stop(struct alk_events *e);

/* What a store is opened with. */
struct alk_event_writer alk_events_writer(struct alk_events *e);
/* Takes the store: once, before rules that need it. Numbers go on above its last. */
void alk_events_set_store(struct alk_events *e, struct alk_event_store *store);
bool alk_events_has_store(struct alk_events *e);
/* Takes a reference. In force for publishers at once, for subscriptions as their loops
 * come to it; those that are not allowed any more end with FORBIDDEN. Durable topics
 * need a store. Never fails. */
void alk_events_set_rules(struct alk_events *e, const struct alk_event_rules *rules);
/* A reference to those in force. */
const struct alk_event_rules *alk_events_rules(struct alk_events *e);
/* The next number for alk_event_rules_new. */
uint64_t alk_events_generation(struct alk_events *e);

/* --- publishing ---------------------------------------------------------------- */

struct alk_publish {
    struct alk_span topic;
    struct alk_span data;      /* one strict JSON text */
    struct alk_span publisher; /* id of an identity; empty: none */
    struct alk_span event_id;  /* empty: none; any bytes but zero */
    /* Whose rights count; NULL: the node itself, which may publish everywhere. */
    alk_event_scope_fn *has_scope;
    void *scope_ctx;
    /* The identity whose scopes has_scope tells: the same one always has the same answers.
     * NULL: it is asked about every event. */
    const struct alk_identity *who;
};

/* From every thread; `loop` is the one that runs on it, or NULL (then done must be).
 * ALK_OK: *ret_seq; subscribers will get it. A duplicate: the first one's number.
 * ALK_MORE: durable; done (may be NULL) runs once on the loop when it is on disk or has
 * failed (ALK_E_IO: disk full and the like), never inside this call.
 * ALK_E_INVALID: topic, publisher or event_id. ALK_E_TOO_BIG: data or event_id.
 * ALK_E_FORBIDDEN. ALK_E_LIMIT: memory, numbers, the store's queue. ALK_E_NOMEM.
 * ALK_E_CLOSED. */
ALK_NODISCARD alk_err alk_events_publish(struct alk_events *e, struct alk_loop *loop,
                                         const struct alk_publish *p,
                                         void (*done)(void *ctx, alk_err err, uint64_t seq),
                                         void *ctx, uint64_t *ret_seq);

/* --- listening ------------------------------------------------------------------ */

#define ALK_EVENT_PATTERNS_MAX 64 /* of one subscription */

struct alk_event_sub;
/* Who listens. All run on the subscription's loop, never inside alk_events_subscribe. */
struct alk_event_sink {
    /* The JSON text of an event; borrows until the call returns. ALK_FULL: not taken,
     * alk_event_sub_writable follows. ALK_E_CLOSED: the sink is gone and will cancel.
     * Other failures end the subscription: nothing is left out. */
    alk_err (*event)(void *ctx, struct alk_span json);
    /* The last call: a shared code of ops/dispatch.h. oldest: of EXPIRED, else 0. */
    void (*ended)(void *ctx, const char *code, const char *message, uint64_t oldest);
    /* Rights, asked for each event. caller: to notice a change; may be NULL. */
    const struct alk_identity *(*caller)(void *ctx);
    alk_event_scope_fn *has_scope;
    bool (*may)(void *ctx, struct alk_span type, struct alk_span name, struct alk_span action);
};

enum alk_event_from { ALK_EVENTS_LATEST, ALK_EVENTS_EARLIEST, ALK_EVENTS_SEQ };

struct alk_event_listen {
    struct alk_loop *loop; /* that the calling thread runs */
    const struct alk_span *patterns;
    size_t count;
    enum alk_event_from from; /* durable topics alone can be replayed */
    uint64_t seq;             /* of ALK_EVENTS_SEQ: the first one wanted */
    const struct alk_event_sink *sink;
    void *ctx;
};
/* ALK_E_INVALID: a pattern, none, too many, or a seq that was never given.
 * ALK_E_FORBIDDEN: a pattern of which nothing may be listened to. ALK_E_LIMIT.
 * ALK_E_NOMEM. ALK_E_CLOSED. */
ALK_NODISCARD alk_err alk_events_subscribe(struct alk_events *e, const struct alk_event_listen *l,
                                           struct alk_event_sub **ret);
/* The sink has room again. */
void alk_event_sub_writable(struct alk_event_sub *sub);
/* No further call. */
void alk_event_sub_cancel(struct alk_event_sub *sub);

/* --- finding it ------------------------------------------------------------------- */

/* The hub of a registry: for services beside `call`, which publish events of their own. set
 * takes a reference, NULL forgets; the other gives one, or NULL. From every thread. */
void alk_ops_set_events(struct alk_ops *ops, struct alk_events *e);
struct alk_events *alk_ops_events(struct alk_ops *ops);

/* --- looking --------------------------------------------------------------------- */

struct alk_events_stats {
    uint64_t published, delivered, slow; /* since start; slow: subscriptions cut */
    size_t subscriptions, memory;
};
/* From every thread. */
void alk_events_stats(struct alk_events *e, struct alk_events_stats *ret);

#endif
