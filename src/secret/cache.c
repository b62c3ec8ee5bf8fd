/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cache.h"

static bool is_path(const struct alksec_path *a, const struct alksec_path *b)
{
    if (a->depth != b->depth) {
        return false;
    }
    for (unsigned i = 0; i < a->depth; i++) {
        if (a->index[i] != b->index[i]) {
            return false;
        }
    }
    return true;
}

static void wipe(struct alksec_cache_entry *entry)
{
    alksec_wipe(entry, sizeof *entry);
}

const struct alksec_key *alksec_cache_get(struct alksec_cache *cache, enum alksec_curve curve,
                                          const struct alksec_path *path, uint64_t now_ns)
{
    const struct alksec_key *found = NULL;

    for (unsigned i = 0; i < cache->max; i++) {
        struct alksec_cache_entry *e = &cache->entries[i];
        if (e->used != 0 && (now_ns < e->made_ns || now_ns - e->made_ns >= cache->ttl_ns)) {
            wipe(e); /* also when the clock went back: rather derive again than keep */
        }
        if (e->used != 0 && e->key.curve == curve && is_path(&e->path, path)) {
            e->used = ++cache->uses;
            found = &e->key;
        }
    }
    return found;
}

struct alksec_key *alksec_cache_add(struct alksec_cache *cache, enum alksec_curve curve,
                                    const struct alksec_path *path, uint64_t now_ns)
{
    struct alksec_cache_entry *oldest = NULL;

    for (unsigned i = 0; i < cache->max; i++) {
        struct alksec_cache_entry *e = &cache->entries[i];
        if (oldest == NULL || e->used < oldest->used) {
            oldest = e;
        }
    }
    if (oldest == NULL) {
        return NULL;
    }
    wipe(oldest);
    oldest->path = *path;
    oldest->made_ns = now_ns;
    oldest->used = ++cache->uses;
    oldest->key.curve = curve;
    return &oldest->key;
}

void alksec_cache_drop(struct alksec_cache *cache, const struct alksec_key *key)
{
    for (unsigned i = 0; i < cache->max; i++) {
        if (&cache->entries[i].key == key) {
            wipe(&cache->entries[i]);
        }
    }
}

void alksec_cache_wipe(struct alksec_cache *cache)
{
    alksec_wipe(cache->entries, sizeof cache->entries);
    cache->uses = 0;
}

unsigned alksec_cache_count(const struct alksec_cache *cache)
{
    unsigned n = 0;
    for (unsigned i = 0; i < cache->max; i++) {
        n += cache->entries[i].used != 0;
    }
    return n;
}
