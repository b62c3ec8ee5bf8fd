/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/ops_world.h - a loop, a registry, people, and faces that write down what
 * they hear, for tests of src/ops. */
#ifndef ALK_TEST_OPS_WORLD_H
#define ALK_TEST_OPS_WORLD_H

#include "core/auth/identity.h"
#include "core/io/loop.h"
#include "ops/dispatch.h"
#include "support/check.h"

struct ops_world {
    struct alk_loop *loop;
    struct alk_ops *ops;
    char log[2048]; /* lines of the registry's log, each with a line break */
};

void ops_world_init(struct ops_world *w, const struct alk_ops_options *options);
void ops_world_fini(struct ops_world *w);
/* Runs what waits, without sleeping. */
void ops_world_run(struct ops_world *w);
/* Turns of the loop until the clock is past `at`. */
void ops_world_until(struct ops_world *w, alk_time at);
void ops_world_add(struct ops_world *w, struct alk_op op, void *ctx);

/* Somebody with scopes "a,b" and a grant "type:name:action" (NULL: none). */
const struct alk_identity *ops_somebody(const char *id, const char *scopes, const char *grant);

/* What one request heard, as text: "=<output>", "~<output>" for one of many, "."
 * at the end of a subscription, "!CODE message details" for an error. */
struct ops_call {
    struct alk_request *request; /* NULL: the last call came */
    char heard[4096];
    unsigned ends;  /* last calls: must not exceed one */
    unsigned full;  /* how many answers are refused with ALK_FULL */
    bool cancels;   /* cancels in the next answer */
    bool keeps_end; /* only the end of a long answer */
};
extern const struct alk_face ops_call_face;
/* Starts; *c is zeroed first, but for full and cancels. */
void ops_start(struct ops_world *w, struct ops_call *c, const struct alk_identity *caller,
               const char *op, const char *input);
/* Starts and runs what waits. */
void ops_ask(struct ops_world *w, struct ops_call *c, const struct alk_identity *caller,
             const char *op, const char *input);
/* The same, and compares all that was heard. */
#define ops_check(w, caller, op, input, want)                                                      \
    ops_check_at((w), (caller), (op), (input), (want), __FILE__, __LINE__)
void ops_check_at(struct ops_world *w, const struct alk_identity *caller, const char *op,
                  const char *input, const char *want, const char *file, int line);

#endif
