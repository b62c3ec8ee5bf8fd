/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/events_world.h - a hub, one loop, and listeners that write down what they
 * hear, for tests of pub/sub. Waiting is for a condition, never for a time. */
#ifndef ALK_TEST_EVENTS_WORLD_H
#define ALK_TEST_EVENTS_WORLD_H

#include "core/io/loop.h"
#include "core/store/event_log.h"
#include "ops/event.h"
#include "ops/events.h"
#include "support/check.h"

struct events_world {
    struct alk_loop *loop;
    struct alk_events *hub;
    char dir[64]; /* "": no store */
    atomic_uint_fast64_t now_ns;
};

struct listener {
    struct alk_event_sub *sub; /* NULL: ended, or never begun */
    const char *scopes;        /* "a,b"; NULL: all of them */
    const char *names;         /* of resources that it may read: "x,y" */
    const struct alk_identity *caller;
    unsigned room; /* how many more it takes; UINT_MAX: without end */
    size_t count;  /* of events */
    uint64_t last, first;
    bool is_out_of_order;
    bool cancels;                 /* in the next event */
    struct listener *takes_along; /* whose subscription it cancels when it ends */
    alk_err fails;                /* what the next event is answered with; 0: taken */
    char heard[512];              /* topic=data of each, as far as there is room */
    char code[32];                /* how it ended */
    uint64_t oldest;
};

/* rules: a YAML section, NULL: none. With a store when it says durable. */
void events_world_init(struct events_world *w, const struct alk_mem *mem, const char *rules);
void events_world_fini(struct events_world *w);
alk_err events_try_init(struct events_world *w, const struct alk_mem *mem, const char *rules);
alk_err events_rules(struct events_world *w, const char *yaml, char *why, size_t why_size);
void events_open_store(struct events_world *w);

/* Turns of the loop until nothing waits to be delivered on it. */
void events_run(struct events_world *w);
typedef bool events_cond(void *ctx);
void events_until(struct events_world *w, events_cond *cond, void *ctx);

/* With the rights of everybody; waits for durable ones. */
alk_err events_try_publish(struct events_world *w, const char *topic, const char *data,
                           const char *id, uint64_t *ret_seq);
uint64_t events_publish(struct events_world *w, const char *topic, const char *data);

/* patterns: "a.b c.*"; from: as of struct alk_event_listen. */
alk_err events_try_listen(struct events_world *w, struct listener *l, const char *patterns,
                          enum alk_event_from from, uint64_t seq);
void events_listen(struct events_world *w, struct listener *l, const char *patterns);
/* Takes n more. */
void events_take(struct events_world *w, struct listener *l, unsigned n);
extern const struct alk_event_sink events_sink;

#endif
