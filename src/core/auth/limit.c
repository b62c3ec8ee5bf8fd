/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/limit.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>

/* An address with a window. Windows are all of one length and begin when the
 * entry is (re)appended, so the list is sorted by start: the first is the oldest. */
struct entry {
    struct alk_link link;
    struct alk_limit_key key;
    alk_time start;
    unsigned failures;
};

struct alk_auth_limit {
    const struct alk_mem *mem;
    pthread_mutex_t mutex; /* guards everything below */
    struct alk_map map;
    struct alk_list used, spare; /* of entries */
    struct entry *entries;       /* owns */
    unsigned max;
    alk_time window;
    uint64_t evicted;
};

struct alk_limit_key alk_limit_key(const struct alk_addr *addr)
{
    struct alk_limit_key key = {.n = 0};
    if (addr->family != 0) {
        struct alk_addr plain = alk_addr_unmap(addr);
        key.n = (uint8_t)alk_addr_limit_key(&plain, key.b);
    }
    return key;
}

struct alk_limit_key alk_limit_key_from_text(const char *remote)
{
    struct alk_addr addr;
    if (alk_addr_parse(alk_span_str(remote), &addr) != ALK_OK) {
        return (struct alk_limit_key){.n = 0};
    }
    return alk_limit_key(&addr);
}

static void set_options(struct alk_auth_limit *limit, unsigned max, alk_time window)
{
    limit->max = max == 0 ? ALK_AUTH_FAILURES_DEFAULT : max;
    limit->window = window == 0 ? ALK_AUTH_WINDOW_DEFAULT : window;
}

alk_err alk_auth_limit_new(const struct alk_mem *mem, const struct alk_rand *rand,
                           const struct alk_auth_limit_options *options,
                           struct alk_auth_limit **ret)
{
    static const struct alk_auth_limit_options defaults;

    options = options == NULL ? &defaults : options;
    size_t n = options->entries == 0 ? ALK_AUTH_LIMIT_ENTRIES_DEFAULT : options->entries;
    struct alk_auth_limit *limit = ALK_NEW(mem, struct alk_auth_limit);
    struct entry *entries = alk_zalloc(mem, n, sizeof(*entries));
    if (limit == NULL || entries == NULL || pthread_mutex_init(&limit->mutex, NULL) != 0) {
        alk_free(mem, entries);
        alk_free(mem, limit);
        return ALK_E_NOMEM;
    }
    uint8_t seed[16];
    alk_rand_fill(rand, seed, sizeof(seed));
    limit->mem = mem;
    limit->entries = entries;
    alk_map_init(&limit->map, mem, n, seed);
    alk_list_init(&limit->used);
    alk_list_init(&limit->spare);
    for (size_t i = 0; i < n; i++) {
        alk_list_append(&limit->spare, &entries[i].link);
    }
    set_options(limit, options->max, options->window);
    *ret = limit;
    return ALK_OK;
}

void alk_auth_limit_free(struct alk_auth_limit *limit)
{
    if (limit == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&limit->mutex);
    alk_map_fini(&limit->map);
    alk_free(limit->mem, limit->entries);
    alk_free(limit->mem, limit);
}

static void lock(struct alk_auth_limit *limit)
{
    int failed = pthread_mutex_lock(&limit->mutex);
    ALK_ASSERT(failed == 0);
}

static void unlock(struct alk_auth_limit *limit)
{
    int failed = pthread_mutex_unlock(&limit->mutex);
    ALK_ASSERT(failed == 0);
}

void alk_auth_limit_set(struct alk_auth_limit *limit, unsigned max, alk_time window)
{
    lock(limit);
    set_options(limit, max, window);
    unlock(limit);
}

static struct alk_span span_of(const struct alk_limit_key *key)
{
    return alk_span(key->b, key->n);
}

/* When the entry's window ends, even if the sum wraps. */
static alk_time end_of(const struct alk_auth_limit *limit, const struct entry *e)
{
    return limit->window > ALK_NEVER - e->start ? ALK_NEVER : e->start + limit->window;
}

static void forget(struct alk_auth_limit *limit, struct entry *e)
{
    (void)alk_map_remove(&limit->map, span_of(&e->key));
    alk_list_remove(&e->link);
    alk_list_append(&limit->spare, &e->link);
}

/* The running window of an address, or NULL. */
static struct entry *find(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                          alk_time now)
{
    struct entry *e = alk_map_get(&limit->map, span_of(key));
    if (e != NULL && now >= end_of(limit, e)) {
        forget(limit, e);
        return NULL;
    }
    return e;
}

static void make_room(struct alk_auth_limit *limit, alk_time now)
{
    struct alk_link *first = alk_list_first(&limit->used);
    if (!alk_list_is_empty(&limit->spare) || first == NULL) {
        return;
    }
    struct entry *oldest = ALK_CONTAINER(first, struct entry, link);
    if (now < end_of(limit, oldest)) {
        limit->evicted++;
    }
    forget(limit, oldest);
}

/* A new window; NULL when the map cannot grow. */
static struct entry *begin(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                           alk_time now)
{
    make_room(limit, now);
    struct alk_link *spare = alk_list_pop(&limit->spare);
    if (spare == NULL) {
        return NULL;
    }
    struct entry *e = ALK_CONTAINER(spare, struct entry, link);
    e->key = *key;
    e->start = now;
    e->failures = 0;
    if (alk_map_put(&limit->map, span_of(&e->key), e) != ALK_OK) {
        alk_list_append(&limit->spare, &e->link);
        return NULL;
    }
    alk_list_append(&limit->used, &e->link);
    return e;
}

bool alk_auth_limit_fail(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                         alk_time now)
{
    if (limit == NULL || key->n == 0) {
        return false;
    }
    lock(limit);
    struct entry *e = find(limit, key, now);
    if (e == NULL) {
        e = begin(limit, key, now);
    }
    bool is_over = false;
    if (e != NULL) {
        e->failures += e->failures < UINT32_MAX ? 1 : 0;
        is_over = e->failures >= limit->max;
    }
    unlock(limit);
    return is_over;
}

alk_time alk_auth_limit_until(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                              alk_time now)
{
    if (limit == NULL || key->n == 0) {
        return 0;
    }
    lock(limit);
    const struct entry *e = find(limit, key, now);
    alk_time until = e != NULL && e->failures >= limit->max ? end_of(limit, e) : 0;
    unlock(limit);
    return until;
}

bool alk_auth_limit_is_over(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                            alk_time now)
{
    return alk_auth_limit_until(limit, key, now) != 0;
}

void alk_auth_limit_stats(struct alk_auth_limit *limit, size_t *ret_entries, uint64_t *ret_evicted)
{
    lock(limit);
    *ret_entries = limit->map.n;
    *ret_evicted = limit->evicted;
    unlock(limit);
}

static bool meter_is_full(const struct alk_auth_meter *meter)
{
    return meter->failures >= (meter->max == 0 ? ALK_AUTH_FAILURES_DEFAULT : meter->max);
}

bool alk_auth_meter_fail(struct alk_auth_meter *meter, alk_time now)
{
    meter->failures += meter->failures < UINT32_MAX ? 1 : 0;
    bool is_over = alk_auth_limit_fail(meter->limit, &meter->key, now);
    return is_over || meter_is_full(meter);
}

bool alk_auth_meter_is_over(const struct alk_auth_meter *meter, alk_time now)
{
    return meter_is_full(meter) || alk_auth_limit_is_over(meter->limit, &meter->key, now);
}
