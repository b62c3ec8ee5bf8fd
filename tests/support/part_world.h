/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/part_world.h - a part of ops/part.h on the world of ops_world.h, with settings
 * read from YAML against the part's own rows, a spawner where asked for, and the lines
 * of its log.
 *
 * Nothing sleeps: the loop runs until a condition holds, or fails the test after ten
 * seconds. */
#ifndef ALK_TEST_PART_WORLD_H
#define ALK_TEST_PART_WORLD_H

#include "alknet/conf.h"
#include "ops/part.h"
#include "support/ops_world.h"

struct part_world {
    struct ops_world w;
    const struct alk_part *part;
    const struct alk_conf_row *table; /* of a document whose only member is the section */
    struct alk_spawner *spawner;
    struct alk_env env;
    void *state;                           /* NULL: stopped */
    const struct alk_identity *root, *ann; /* scopes admin; none */
    char why[512];                         /* of the last configuration */
    char log[16384];
};

/* mem NULL: the heap; else the part may fail to start for want of it: state is NULL then.
 * As root the spawner obeys the user "daemon" too. */
void part_world_init(struct part_world *p, const struct alk_part *part,
                     const struct alk_conf_row *table, const struct alk_mem *mem, bool has_spawner);
void part_world_fini(struct part_world *p);
/* A whole reload. An error leaves what was in force, and p->why says why. */
ALK_NODISCARD alk_err part_world_try(struct part_world *p, const char *yaml);
void part_world_configure(struct part_world *p, const char *yaml);
void part_world_stop(struct part_world *p);

typedef bool part_world_cond(void *ctx);
#define part_world_until(p, cond, ctx) part_world_until_at((p), (cond), (ctx), __FILE__, __LINE__)
void part_world_until_at(struct part_world *p, part_world_cond *cond, void *ctx, const char *file,
                         int line);
/* Conditions on a struct ops_call. */
bool part_call_has_ended(void *call);
bool part_call_has_heard(void *call);
/* Starts it as root and waits for its end. */
void part_ask(struct part_world *p, struct ops_call *c, const char *op, const char *input);
/* The same, and compares all that was heard. */
#define part_check(p, op, input, want) part_check_at((p), (op), (input), (want), __FILE__, __LINE__)
void part_check_at(struct part_world *p, const char *op, const char *input, const char *want,
                   const char *file, int line);
bool part_log_has(const struct part_world *p, const char *text);

#endif
