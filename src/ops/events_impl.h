/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/events_impl.h - the inside of the hub, for events*.c alone.
 *
 * One lock, held for numbering and linking; no call out of this folder is made under
 * it but the store's append, alk_post and alk_free. Lock order: hub, then store.
 *
 * Numbers. While a durable batch [base, end] is written, events that are not durable
 * get numbers below base: it was chosen with a gap. When the gap is used up they get
 * numbers above end and are held until the batch is over. So each loop receives
 * events in the order of their numbers, and the disk rarely makes anybody wait.
 */
#ifndef ALK_OPS_EVENTS_IMPL_H
#define ALK_OPS_EVENTS_IMPL_H

#include "core/io/loop.h"
#include "ops/event.h"
#include "ops/event_dedup.h"
#include "ops/events.h"
#include "ops/topic_index.h"

#include <pthread.h>

#define ALK_EVENTS_LOOPS_MAX 64

/* A singly linked queue of events through next[slot]. */
struct alk_event_queue {
    struct alk_event *first, *last;
};

/* What was let through last on a loop: the next event mostly has the same topic and the
 * same publisher. True as long as the rules are those of `generation`; an identity never
 * changes, and one whose rights do is replaced by another. */
struct alk_event_passed {
    struct alk_event_head head;
    uint64_t generation; /* 0: nothing is remembered */
    size_t rule;
    bool is_node;                   /* it was published with no rights but the node's */
    const struct alk_identity *who; /* a reference; NULL: the node, or nobody known */
};

struct alk_events_loop {
    struct alk_events *hub; /* a reference */
    struct alk_loop *loop;
    unsigned slot;
    /* --- under the hub's lock */
    struct alk_event_queue inbox;
    struct alk_event_wait *acks, **acks_end;
    struct alk_event_replay *pages, **pages_end; /* read by the store */
    uint64_t mask;                               /* of first tokens that somebody listens to */
    unsigned refs;                               /* the loop's own, posts, waits, pages */
    bool is_awake;                               /* a post is under way */
    bool is_dead;                                /* the loop or the hub ends: nothing new comes */
    bool is_detached;                            /* nobody looks into it any more */
    /* --- of the loop's thread */
    struct alk_event_queue work; /* taken from the inbox, not delivered yet */
    struct alk_soon soon;
    struct alk_turn turn; /* makes up for a post that was refused */
    struct alk_event_passed passed;
    alk_time read_at; /* the loop's time when unix_ms was read */
    uint64_t unix_ms;
    struct alk_loop_end end;
    const struct alk_event_rules *rules;
    struct alk_topic_index index;
    struct alk_list subs;
    struct alk_list ready; /* have something to send and were not blocked */
    size_t sub_count;
    struct alk_event_sub **hits; /* room for sub_count */
    size_t hit_count, hits_size;
    uint8_t found[ALK_TOPIC_MAX]; /* the topic that hits are of; the next has mostly the same */
    size_t found_n;               /* 0: none, or patterns have come or gone since */
    uint64_t stamp;
    uint32_t bits[64]; /* how many patterns per bit of mask */
    uint32_t wild;     /* how many that begin with a wildcard */
    bool is_delivering;
    struct alk_list graves; /* subscriptions that ended meanwhile */
    atomic_uint_fast64_t delivered, slow;
    atomic_bool is_missed; /* by any thread: a post was refused */
};

struct alk_events {
    atomic_uint refs;
    const struct alk_mem *mem;
    uint8_t seed[16];
    uint64_t (*now_ns)(void *ctx);
    void *now_ctx;
    struct alk_event_budget budget;
    atomic_size_t memory_max;
    atomic_size_t subscriptions;
    atomic_uint_fast64_t rules_generation;       /* of `rules` */
    atomic_uintptr_t keys[ALK_EVENTS_LOOPS_MAX]; /* address of the loop of loops[i]; 0: none */
    pthread_mutex_t lock;                        /* of all below */
    const struct alk_event_rules *rules;
    struct alk_event_store *store; /* owns; NULL: none */
    struct alk_events_loop *loops[ALK_EVENTS_LOOPS_MAX];
    struct alk_event_dedup dedup;
    uint64_t last;                  /* highest number that was linked */
    struct alk_event_number number; /* the one that was given last */
    bool is_writing;                /* a batch has numbers */
    uint64_t base, end;             /* of it; end moves on with what is held */
    struct alk_event_queue held;    /* through next[0] */
    uint64_t generation, published;
    bool is_stopped;
};

struct alk_event_pattern {
    struct alk_topic_entry entry;
    struct alk_event_sub *sub;
    struct alk_span text; /* behind the subscription */
};

/* Reading what is stored, for one subscription. */
struct alk_event_replay {
    struct alk_event_page page;
    struct alk_event_sub *sub;
    struct alk_event_replay *next;  /* in loop->pages */
    struct alk_event_queue rows;    /* through next[0]; the store's while is_reading */
    struct alk_event_number number; /* of the last row; likewise */
    alk_err err;
    bool is_reading;
    bool is_counted;   /* rows are in sub->bytes */
    bool is_capturing; /* durable events are queued too: the next end is the end */
    bool is_over;      /* nothing more to read */
};

struct alk_event_sub {
    struct alk_events_loop *loop;
    struct alk_link in;    /* loop->subs, or loop->graves */
    struct alk_link ready; /* loop->ready */
    const struct alk_event_sink *sink;
    void *ctx;
    uint64_t after;                    /* the highest number that was sent, or where it starts */
    uint64_t stamp;                    /* of the event that it was found for last */
    uint64_t generation;               /* of the rules behind mask */
    const struct alk_identity *caller; /* a reference: whose rights mask holds */
    uint64_t mask[ALK_EVENT_RULE_MASK];
    struct alk_event **ring; /* owns; references */
    uint32_t ring_size, head, count;
    size_t bytes;                    /* in ring and rows */
    struct alk_event_replay *replay; /* owns; NULL: live */
    bool is_blocked, is_over;
    uint32_t pattern_count;
    struct alk_event_pattern patterns[];
};

static inline void alk_event_queue_push(struct alk_event_queue *q, struct alk_event *ev,
                                        unsigned slot)
{
    ev->next[slot] = NULL;
    if (q->first == NULL) {
        q->first = ev;
    } else {
        q->last->next[slot] = ev;
    }
    q->last = ev;
}
static inline struct alk_event *alk_event_queue_pop(struct alk_event_queue *q, unsigned slot)
{
    struct alk_event *ev = q->first;
    if (ev != NULL) {
        q->first = ev->next[slot];
    }
    return ev;
}

/* events.c */
void alk_events_lock(struct alk_events *e);
void alk_events_unlock(struct alk_events *e);
/* The state of a loop, made when it is asked for first. On its thread. */
ALK_NODISCARD alk_err alk_events_loop_of(struct alk_events *e, struct alk_loop *loop,
                                         struct alk_events_loop **ret);
/* Under the lock: the loop will look at its inbox. */
void alk_events_wake(struct alk_events_loop *l);
/* Gives back a reference of a wait or page. Under the lock; true: free it without. */
bool alk_events_loop_put(struct alk_events_loop *l);
void alk_events_loop_free(struct alk_events_loop *l);

/* events_loop.c */
void alk_events_run(void *loop_state);
/* The loop's turn hook. */
bool alk_events_turn(void *loop_state);
/* Ends everything on it; on its thread, or when that does not run any more. */
void alk_events_detach(struct alk_events_loop *l);

/* events_sub.c */
void alk_event_sub_offer(struct alk_event_sub *sub, struct alk_event *ev, size_t rule);
/* Sends what waits, a bounded number of events. */
void alk_event_sub_pump(struct alk_event_sub *sub);
/* Tells the sink and lets go of it. */
void alk_event_sub_end(struct alk_event_sub *sub, const char *code, const char *message,
                       uint64_t oldest);
/* Looks whether it is still allowed after a change of rules or caller. False: ended. */
bool alk_event_sub_recheck(struct alk_event_sub *sub);
/* Whether it may see the event; ends it when its patterns are not allowed any more. */
bool alk_event_sub_may(struct alk_event_sub *sub, const struct alk_event *ev, size_t rule);
void alk_event_sub_free(struct alk_event_sub *sub);

/* events_replay.c */
ALK_NODISCARD alk_err alk_event_replay_new(struct alk_event_sub *sub, enum alk_event_from from,
                                           uint64_t seq);
void alk_event_replay_free(struct alk_event_replay *r);
/* Asks for the next page unless one is under way. */
void alk_event_replay_read(struct alk_event_replay *r);
/* A page has come back; on the loop. */
void alk_event_replay_arrived(struct alk_event_replay *r);
/* The first row that has come, or NULL: then more is asked for, or it is over. */
struct alk_event *alk_event_replay_peek(struct alk_event_replay *r);

#endif
