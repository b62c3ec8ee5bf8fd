/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/map.h - hash map from byte strings to pointers.
 *
 * Keys are borrowed: they must live inside the element (or outlive it) and not
 * change while in the map. SipHash-1-3 under a key given at init, so that a peer
 * cannot choose collisions. Open addressing, at most 3/4 full, up to `max`
 * entries.
 */
#ifndef ALK_BASE_MAP_H
#define ALK_BASE_MAP_H

#include "base/err.h"
#include "base/span.h"

struct alk_map_entry {
    struct alk_span key;
    void *value; /* NULL: empty slot */
    uint64_t hash;
};

struct alk_map {
    const struct alk_mem *mem;
    struct alk_map_entry *slots; /* owns */
    size_t n, size, max;
    uint64_t seed[2];
};

/* seed: 16 random bytes. Allocates nothing. */
void alk_map_init(struct alk_map *m, const struct alk_mem *mem, size_t max,
                  const uint8_t seed[static 16]);
void alk_map_fini(struct alk_map *m);
/* NULL when absent. */
void *alk_map_get(const struct alk_map *m, struct alk_span key);
/* value must not be NULL. ALK_E_EXISTS: the key is there (unchanged);
 * ALK_E_LIMIT: max entries; ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_map_put(struct alk_map *m, struct alk_span key, void *value);
/* The value that was there, or NULL. */
void *alk_map_remove(struct alk_map *m, struct alk_span key);
/* As put and remove, for a caller who keeps alk_siphash(m->seed, key) beside the key. */
ALK_NODISCARD alk_err alk_map_put_hashed(struct alk_map *m, struct alk_span key, uint64_t hash,
                                         void *value);
void *alk_map_remove_hashed(struct alk_map *m, struct alk_span key, uint64_t hash);
/* Iteration: *at starts at 0; NULL at the end. No put or remove meanwhile. */
void *alk_map_next(const struct alk_map *m, size_t *at);

/* SipHash-1-3 of s under seed. */
uint64_t alk_siphash(const uint64_t seed[static 2], struct alk_span s);

#endif
