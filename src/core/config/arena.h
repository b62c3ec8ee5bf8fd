/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/arena.h - memory that is released as one: many small pieces of one
 * lifetime. Pieces are zeroed, aligned for every type, and wiped on release,
 * because a configuration may hold secrets.
 */
#ifndef ALK_CORE_CONFIG_ARENA_H
#define ALK_CORE_CONFIG_ARENA_H

#include "base/span.h"

struct alk_arena_chunk;

struct alk_arena {
    const struct alk_mem *mem;
    struct alk_arena_chunk *head; /* owns the chain */
};

/* Allocates nothing. */
void alk_arena_init(struct alk_arena *a, const struct alk_mem *mem);
void alk_arena_fini(struct alk_arena *a);
/* count * size zeroed bytes, or NULL. */
void *alk_arena_alloc(struct alk_arena *a, size_t count, size_t size);
/* A zero-terminated copy, or NULL. */
char *alk_arena_dup(struct alk_arena *a, struct alk_span s);

#endif
