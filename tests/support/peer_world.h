/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/peer_world.h - two peers of the call protocol joined by a connection in
 * memory, each with a registry of its own, on one loop.
 */
#ifndef ALK_TEST_PEER_WORLD_H
#define ALK_TEST_PEER_WORLD_H

#include "core/memconn.h"
#include "support/ops_world.h"
#include "support/peer_ends.h"

struct peer_world {
    struct ops_world node, worker; /* the same loop; the worker's registry is the client's */
    struct alk_hub hub;
    struct alk_mem_pair *pair;
    struct peer_ends ends;
    const struct alk_identity *caller; /* whom the node takes the client for; NULL: nobody */
};

/* window: bytes of a stream on their way; 0: 64 KiB. streams: at once; 0: 100. */
struct peer_world_options {
    const struct alk_identity *caller;
    const struct alk_identity *node; /* whom the client takes the node for */
    size_t window;
    unsigned streams, requests;
    bool believes_caller;
};
void peer_world_init(struct peer_world *w, const struct peer_world_options *options);
void peer_world_fini(struct peer_world *w);
/* Moves everything that can move without waiting. */
void peer_world_run(struct peer_world *w);

/* What one call heard: as in ops_world.h. */
struct peer_call {
    struct alk_call *call; /* NULL: over */
    char heard[8192];
    size_t answers; /* also those that heard has no room for */
    unsigned ends;
};
extern const struct alk_answers peer_answers;
void peer_start(struct peer_world *w, struct alk_peer *peer, struct peer_call *c,
                const struct alk_ask *ask);
/* From the client: starts, runs, compares all that was heard. */
#define peer_check(w, op, input, want) peer_check_at((w), (op), (input), (want), __FILE__, __LINE__)
void peer_check_at(struct peer_world *w, const char *op, const char *input, const char *want,
                   const char *file, int line);

#endif
