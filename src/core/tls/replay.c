/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/replay.h"

#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>

/* A binder: SHA-256 or SHA-384. */
enum { KEY_MIN = 32, KEY_MAX = 48 };

#define NONE UINT32_MAX

struct entry {
    uint64_t expires;
    uint32_t next; /* in its bucket; NONE at the end */
    uint8_t n;
    uint8_t key[KEY_MAX];
};

/* Entries form a ring in order of arrival, which is the order of expiry because
 * the window is one constant; buckets chain ring slots.
 *
 *     ring:  . . [head] e e e e e [head + count] . .
 */
struct alk_replay_db {
    const struct alk_mem *mem;
    pthread_mutex_t lock;
    uint64_t seed[2];
    struct entry *ring; /* size slots; owns */
    uint32_t *buckets;  /* size slots; owns */
    size_t size, head, count;
};

alk_err alk_replay_new(const struct alk_mem *mem, size_t entries, const uint8_t seed[static 16],
                       struct alk_replay_db **ret)
{
    size_t size = entries == 0 ? ALK_REPLAY_ENTRIES : entries;
    if (size >= NONE) {
        return ALK_E_INVALID;
    }
    struct alk_replay_db *db = ALK_NEW(mem, struct alk_replay_db);
    if (db == NULL) {
        return ALK_E_NOMEM;
    }
    db->mem = mem;
    db->size = size;
    memcpy(db->seed, seed, sizeof db->seed);
    db->ring = alk_zalloc(mem, size, sizeof *db->ring);
    db->buckets = alk_zalloc(mem, size, sizeof *db->buckets);
    if (db->ring == NULL || db->buckets == NULL || pthread_mutex_init(&db->lock, NULL) != 0) {
        alk_free(mem, db->ring);
        alk_free(mem, db->buckets);
        alk_free(mem, db);
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < size; i++) {
        db->buckets[i] = NONE;
    }
    *ret = db;
    return ALK_OK;
}

void alk_replay_free(struct alk_replay_db *db)
{
    if (db == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&db->lock);
    alk_free(db->mem, db->ring);
    alk_free(db->mem, db->buckets);
    alk_free(db->mem, db);
}

static uint32_t *bucket_of(struct alk_replay_db *db, struct alk_span key)
{
    return &db->buckets[alk_siphash(db->seed, key) % db->size];
}

static bool holds(const struct alk_replay_db *db, uint32_t at, struct alk_span key)
{
    for (; at != NONE; at = db->ring[at].next) {
        const struct entry *e = &db->ring[at];
        if (alk_span_equal(alk_span(e->key, e->n), key)) { /* seen on the wire: no secret */
            return true;
        }
    }
    return false;
}

static void drop_oldest(struct alk_replay_db *db)
{
    uint32_t at = (uint32_t)db->head;
    struct entry *e = &db->ring[at];
    uint32_t *link = bucket_of(db, alk_span(e->key, e->n));
    while (*link != at) {
        link = &db->ring[*link].next;
    }
    *link = e->next;
    db->head = (db->head + 1) % db->size;
    db->count--;
}

/* With the lock held. */
static alk_err add(struct alk_replay_db *db, struct alk_span key, uint64_t now, uint64_t expires)
{
    /* A second longer than GnuTLS counts, so that rounding opens no gap. */
    while (db->count > 0 && db->ring[db->head].expires + 1 < now) {
        drop_oldest(db);
    }
    uint32_t *bucket = bucket_of(db, key);
    if (holds(db, *bucket, key)) {
        return ALK_E_EXISTS;
    }
    if (db->count == db->size) {
        return ALK_E_LIMIT;
    }
    uint32_t at = (uint32_t)((db->head + db->count) % db->size);
    struct entry *e = &db->ring[at];
    *e = (struct entry){.expires = expires, .next = *bucket, .n = (uint8_t)key.n};
    memcpy(e->key, key.p, key.n);
    *bucket = at;
    db->count++;
    return ALK_OK;
}

alk_err alk_replay_add(struct alk_replay_db *db, struct alk_span key, uint64_t now,
                       uint64_t expires)
{
    struct alk_span binder = alk_span_tail(key, ALK_REPLAY_PREFIX);
    if (binder.n < KEY_MIN || binder.n > KEY_MAX || expires == UINT64_MAX) {
        return ALK_E_INVALID;
    }
    if (pthread_mutex_lock(&db->lock) != 0) {
        return ALK_E_INTERNAL;
    }
    alk_err err = add(db, binder, now, expires);
    (void)pthread_mutex_unlock(&db->lock);
    return err;
}

size_t alk_replay_count(struct alk_replay_db *db)
{
    (void)pthread_mutex_lock(&db->lock);
    size_t n = db->count;
    (void)pthread_mutex_unlock(&db->lock);
    return n;
}
