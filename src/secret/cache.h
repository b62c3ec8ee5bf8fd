/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/cache.h - derived keys of a vault, for a while.
 *
 * A fixed number of places in the vault's own locked memory; nothing is
 * allocated. A key goes when it is older than the time to live, or as the least
 * recently used one when a place is needed. Whatever goes is wiped. The vault's
 * lock guards it.
 */
#ifndef ALKSEC_CACHE_H
#define ALKSEC_CACHE_H

#include "key.h"

#define ALKSEC_CACHE_MAX 64

struct alksec_cache_entry {
    struct alksec_path path;
    struct alksec_key key;
    uint64_t made_ns;
    uint64_t used; /* rises with each use; 0: free */
};

struct alksec_cache {
    struct alksec_cache_entry entries[ALKSEC_CACHE_MAX];
    uint64_t uses;
    uint64_t ttl_ns;
    unsigned max; /* places in use, at most ALKSEC_CACHE_MAX */
};

/* The key, or NULL. Wipes all that are too old at `now`. Borrows until the next call. */
const struct alksec_key *alksec_cache_get(struct alksec_cache *cache, enum alksec_curve curve,
                                          const struct alksec_path *path, uint64_t now_ns);
/* A wiped place for the key of a path, which the caller fills; with alksec_cache_drop
 * after a failure. NULL: the cache has no places. */
struct alksec_key *alksec_cache_add(struct alksec_cache *cache, enum alksec_curve curve,
                                    const struct alksec_path *path, uint64_t now_ns);
void alksec_cache_drop(struct alksec_cache *cache, const struct alksec_key *key);
void alksec_cache_wipe(struct alksec_cache *cache);
unsigned alksec_cache_count(const struct alksec_cache *cache);

#endif
