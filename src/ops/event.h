/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/event.h - one event: its JSON text, written once and shared by all who get it.
 *
 *     {"topic":"a.b","seq":1764150000000000,"time":1764150000123,"publisher":"id","data":...}
 *
 * One block of memory, counted, immutable once it has its number. Besides the text it
 * holds a link per loop, so that handing it to a loop can neither fail nor allocate.
 */
#ifndef ALK_OPS_EVENT_H
#define ALK_OPS_EVENT_H

#include "alknet/auth.h"
#include "core/store/event_store.h"
#include "ops/topic.h"

#include <stdatomic.h>

/* Bytes of the data as JSON: leaves room for the rest of an event within an output of
 * ALK_OPS_INPUT_MAX. */
#define ALK_EVENT_DATA_MAX (((size_t)1 << 20) - 4096)
/* Numbers stay below 2^53, so that every JSON reader keeps them. */
#define ALK_EVENT_SEQ_MAX  (((uint64_t)1 << 53) - 1)

/* As many as ALK_EVENT_SEQ_MAX has. */
#define ALK_EVENT_SEQ_DIGITS 16

/* A number and its digits, right-aligned; spaces, which JSON allows, before them. */
struct alk_event_number {
    uint64_t seq;
    uint8_t text[ALK_EVENT_SEQ_DIGITS];
};

/* Bytes of an event's text before its data. */
#define ALK_EVENT_HEAD_MAX 512

/* The front of an event's text, up to its data; the number is not there yet. All that one
 * publisher says on one topic within a millisecond begins like this. */
struct alk_event_head {
    struct alk_topic parsed;                                 /* the topic's tokens */
    uint64_t bit;                                            /* alk_event_bit of the first */
    uint64_t time_ms;                                        /* unix */
    uint16_t n, topic_at, seq_at, publisher_at, publisher_n; /* in text */
    uint8_t text[ALK_EVENT_HEAD_MAX];
};

/* Bytes of all events that live; the hub's. */
struct alk_event_budget {
    const struct alk_mem *mem; /* safe from every thread */
    atomic_size_t live;
    unsigned loops; /* links of an event */
};

struct alk_blocks;
struct alk_events_loop;
typedef void alk_events_done_fn(void *ctx, alk_err err, uint64_t seq);

/* A durable event between its publisher and the disk. */
struct alk_event_wait {
    struct alk_event_entry entry;
    struct alk_event *event;
    struct alk_event_wait *next;  /* among those that are over */
    struct alk_events_loop *loop; /* NULL: nobody waits */
    alk_events_done_fn *done;
    void *ctx;
    alk_err err;
};

struct alk_event {
    atomic_uint refs;
    struct alk_event_budget *budget;
    size_t size; /* of the block */
    uint64_t seq;
    uint64_t generation; /* of the rules that `rule` is an index into */
    uint32_t rule;
    uint32_t topic_at, data_at, seq_at, data_n; /* in text */
    uint64_t bit;                               /* alk_event_bit of the topic's first token */
    struct alk_topic parsed;
    bool is_durable;
    struct alk_span text;
    struct alk_event_wait *wait; /* of a durable one that is published here */
    struct alk_event *next[];    /* by loop */
};

struct alk_event_spec {
    const struct alk_event_head *head;
    struct alk_span data;     /* JSON text, at most ALK_EVENT_DATA_MAX */
    struct alk_span event_id; /* empty: none */
    struct alk_span stream;   /* of a durable one */
    bool is_durable;          /* with a struct alk_event_wait */
};

/* topic: a valid one, `parsed`. publisher: an identity's id; empty: null. ALK_E_TOO_BIG:
 * one that no identity has. */
ALK_NODISCARD alk_err alk_event_head_make(struct alk_span topic, const struct alk_topic *parsed,
                                          struct alk_span publisher, uint64_t time_ms,
                                          struct alk_event_head *ret);
static inline struct alk_span alk_event_head_topic(const struct alk_event_head *head)
{
    return alk_span(head->text + head->topic_at, head->parsed.end[head->parsed.count - 1]);
}
static inline struct alk_span alk_event_head_publisher(const struct alk_event_head *head)
{
    return alk_span(head->text + head->publisher_at, head->publisher_n);
}

/* One reference; NULL without memory. The memory is one of the loop's blocks; NULL: of
 * the heap. */
struct alk_event *alk_event_new(struct alk_event_budget *budget, struct alk_blocks *blocks,
                                const struct alk_event_spec *spec);
/* Once, before it is shared. seq <= ALK_EVENT_SEQ_MAX. last: what was written for the event
 * before, which most follow at once; zero-initialised for the first. */
void alk_event_set_seq(struct alk_event *ev, struct alk_event_number *last, uint64_t seq);
struct alk_event *alk_event_ref(struct alk_event *ev);
void alk_event_unref(struct alk_event *ev);
/* The same on a loop that keeps the block. */
void alk_event_unref_to(struct alk_event *ev, struct alk_blocks *blocks);

static inline struct alk_span alk_event_topic(const struct alk_event *ev)
{
    return alk_span(ev->text.p + ev->topic_at, ev->parsed.end[ev->parsed.count - 1]);
}
static inline struct alk_span alk_event_data(const struct alk_event *ev)
{
    return alk_span(ev->text.p + ev->data_at, ev->data_n);
}
/* A bit of 64 for the topic's first token, to tell loops apart that want none of it. */
uint64_t alk_event_bit(struct alk_span token);

#endif
