/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/relay_world.h - a node with two loops and some connections in memory to it,
 * of callers and of workers; for tests of what goes from one to another. */
#ifndef ALK_TEST_RELAY_WORLD_H
#define ALK_TEST_RELAY_WORLD_H

#include "call/relay.h"
#include "support/peer_ends.h"
#include "support/peer_world.h"

#include <pthread.h>

enum { RELAY_LINKS = 5, RELAY_SIDES = 2 };

struct relay_world;

/* One connection to the node; what it may offer is `ops`. */
struct relay_link {
    struct relay_world *w;
    struct relay_side *side;
    struct alk_mem_pair *pair; /* NULL: none */
    struct peer_ends ends;
    struct alk_ops *ops;
};

struct relay_side {
    struct alk_loop *loop;
    struct alk_hub hub;
    struct alk_turn turn;
    struct relay_world *w;
    bool has_moved; /* in its last turn */
    pthread_t thread;
};

struct relay_world {
    struct alk_ops *ops; /* the node's */
    void *part;
    struct relay_side side[RELAY_SIDES];
    struct relay_link link[RELAY_LINKS];
    const struct alk_identity *ann, *worker, *node;
};

/* Starts the part of workers. rules: YAML with `workers`. */
void relay_world_init(struct relay_world *w, const char *rules);
/* Ends every connection first. */
void relay_world_fini(struct relay_world *w);
/* The same, and no loop runs any more: what waits between them is dropped. */
void relay_world_drop(struct relay_world *w);
/* Everything that can move without waiting, on both loops. */
void relay_world_run(struct relay_world *w);

struct relay_link_options {
    unsigned streams;
    size_t window;
    bool is_distrustful; /* does not believe `caller` */
};
/* A new connection of `who` (NULL: nobody) in place `number`, on the loop `side`. */
struct relay_link *relay_connect(struct relay_world *w, unsigned number, unsigned side,
                                 const struct alk_identity *who, struct relay_link_options o);
/* Ends the connection and what belongs to it; the place is free. */
void relay_disconnect(struct relay_link *l);
/* The client's side goes. */
void relay_leave(struct relay_link *l);

#endif
