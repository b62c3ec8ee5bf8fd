/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/event_store.h - where durable events are kept, behind a vtable: one
 * SQLite file (core/store/event_log.h) today, a cluster's log another day.
 *
 * A store has a thread of its own. Events that are appended gather in a queue; the
 * thread takes what is there as one batch, asks for numbers, writes, waits until it
 * is on disk, and tells the outcome of the whole batch:
 *
 *     append* --queue--> number(n) -> disk -> written(batch, err)
 *
 * While one batch is written the next one gathers (group commit). Reads are done by
 * the same thread between batches, page by page.
 */
#ifndef ALK_CORE_STORE_EVENT_STORE_H
#define ALK_CORE_STORE_EVENT_STORE_H

#include "base/err.h"
#include "base/span.h"

#define ALK_EVENT_ID_MAX         64  /* bytes of an event_id */
#define ALK_EVENT_STREAM_MAX     255 /* bytes of a stream's name */
#define ALK_EVENT_DEDUP_MS       120000
/* What was noted further ahead is of a clock that was set back: it is forgotten, too. A loop
 * reads the clock once in a turn: so far it may be behind another. */
#define ALK_EVENT_DEDUP_AHEAD_MS 10000

/* An event on its way to the disk: the caller's memory, until `written` has it back. */
struct alk_event_entry {
    struct alk_event_entry *next;
    struct alk_span stream; /* the rule it belongs to: what retention counts */
    struct alk_span topic, publisher, data;
    struct alk_span event_id; /* empty: none */
    uint64_t time_ms;         /* unix */
    uint64_t seq;             /* filled in; of a duplicate: the first one's */
    bool is_duplicate;        /* same publisher, topic and event_id within two minutes */
};

/* Both run on the store's thread, no lock held, never overlapping. */
struct alk_event_writer {
    /* The first of n numbers that will be written now: consecutive, above all before. */
    uint64_t (*number)(void *ctx, size_t n);
    /* The batch in order of appending. ALK_OK: all of it is on disk; else nothing is. */
    void (*written)(void *ctx, struct alk_event_entry *batch, alk_err err);
    void *ctx;
};

/* One stored event; borrows until the call returns. */
struct alk_event_record {
    uint64_t seq, time_ms;
    struct alk_span topic, publisher, data;
};

/* A read: the caller's memory until `done`. The calls run on the store's thread. */
struct alk_event_page {
    struct alk_event_page *next;
    uint64_t after;   /* events with a higher seq */
    bool is_earliest; /* start wherever the log starts now; cleared by the first page */
    uint64_t base;    /* the store's, from page to page; 0 at first */
    /* Which streams the reader asks about: when retention has removed events above
     * `after` from one of them, the read fails with ALK_E_EXPIRED. */
    bool (*touches)(void *ctx, struct alk_span stream);
    /* Whether it wants events of this topic. */
    bool (*wants)(void *ctx, struct alk_span topic);
    /* A failure ends the page with that error. */
    alk_err (*row)(void *ctx, const struct alk_event_record *record);
    /* ALK_OK: events up to up_to have been looked at; is_end: there are no more.
     * ALK_E_EXPIRED: `oldest` is where a reader can start. Others: of the disk. */
    void (*done)(void *ctx, struct alk_event_page *page, alk_err err);
    void *ctx;
    uint64_t up_to, oldest;
    bool is_end;
};

/* How much of a stream is kept; 0: no such limit. */
struct alk_event_retain {
    struct alk_span stream;
    uint64_t count, size; /* bytes */
    uint64_t age_ms;
};

/* Rules in force: the list stays as it is until release(ctx), which comes from any
 * thread; NULL: it stays for ever. */
struct alk_event_retention {
    const struct alk_event_retain *list;
    size_t count;
    void (*release)(void *ctx);
    void *ctx;
};

struct alk_event_store;
struct alk_event_store_calls {
    /* From every thread; may be called under the caller's locks. Takes nothing but the
     * entry's place in the queue. ALK_FULL: too much waits already. */
    alk_err (*append)(struct alk_event_store *store, struct alk_event_entry *entry);
    void (*read)(struct alk_event_store *store, struct alk_event_page *page);
    /* Takes the rules; those before are released. A stream without one is kept as it
     * is. Never fails. */
    void (*retain)(struct alk_event_store *store, const struct alk_event_retention *rules);
    /* The highest seq that was ever stored; 0: none. As of opening. */
    uint64_t (*last)(const struct alk_event_store *store);
    /* Writes what waits, ends reads with ALK_E_CLOSED, stops the thread, frees. */
    void (*close)(struct alk_event_store *store);
};
/* The first member of every store. */
struct alk_event_store {
    const struct alk_event_store_calls *calls;
};

#endif
