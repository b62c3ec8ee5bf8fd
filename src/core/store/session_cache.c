/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/session_cache.h"

#include "base/ct.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/wire.h"
#include "core/io/rand.h"
#include "core/store/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_SIZE 32
#define NAME_SIZE ALK_HEX_SIZE(HASH_SIZE)
#define PATH_SIZE 4096
/* In front of a value in its file: format, then unix seconds (8 bytes). */
#define MAGIC     "ALKS0001"
#define HEAD_SIZE 16

struct entry {
    uint8_t hash[HASH_SIZE];
    uint64_t stored_at;
    size_t n;
    struct alk_link lru; /* least recently used first */
    uint8_t value[];
};

struct alk_session_cache {
    const struct alk_mem *mem;
    char *dir; /* owns; NULL: in memory */
    pthread_mutex_t lock;
    struct alk_map map;
    struct alk_list lru;
};

/* --- life ----------------------------------------------------------------- */

alk_err alk_session_cache_new(const struct alk_mem *mem, const char *dir,
                              struct alk_session_cache **ret)
{
    uint8_t seed[16];
    struct alk_rand rand = alk_rand_system();
    struct alk_session_cache *cache = ALK_NEW(mem, struct alk_session_cache);
    if (cache == NULL) {
        return ALK_E_NOMEM;
    }
    cache->mem = mem;
    if (dir != NULL) {
        alk_err err = alk_file_make_dirs(dir, 0700);
        cache->dir = err == ALK_OK ? alk_strdup_span(mem, alk_span_str(dir)) : NULL;
        if (cache->dir == NULL) {
            alk_free(mem, cache);
            return err == ALK_OK ? ALK_E_NOMEM : err;
        }
    }
    alk_rand_fill(&rand, seed, sizeof seed);
    alk_map_init(&cache->map, mem, ALK_SESSION_CACHE_MAX + 1, seed);
    alk_list_init(&cache->lru);
    (void)pthread_mutex_init(&cache->lock, NULL);
    *ret = cache;
    return ALK_OK;
}

static void entry_free(struct alk_session_cache *cache, struct entry *e)
{
    if (e != NULL) {
        (void)alk_map_remove(&cache->map, alk_span(e->hash, sizeof e->hash));
        alk_list_remove(&e->lru);
        alk_free_secret(cache->mem, e, sizeof *e + e->n);
    }
}

void alk_session_cache_free(struct alk_session_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    struct alk_link *l;
    while ((l = alk_list_first(&cache->lru)) != NULL) {
        entry_free(cache, ALK_CONTAINER(l, struct entry, lru));
    }
    alk_map_fini(&cache->map);
    (void)pthread_mutex_destroy(&cache->lock);
    alk_free(cache->mem, cache->dir);
    alk_free(cache->mem, cache);
}

static void hash_of(struct alk_span key, uint8_t ret[static HASH_SIZE])
{
    (void)crypto_hash_sha256(ret, key.p, key.n); /* never fails */
}

static bool is_fresh(uint64_t stored_at, uint64_t now)
{
    return stored_at <= now && now - stored_at <= ALK_SESSION_AGE_MAX_S;
}

/* --- in memory ------------------------------------------------------------ */

static alk_err memory_get(struct alk_session_cache *cache, const uint8_t *hash, uint64_t now,
                          struct alk_buf *ret)
{
    struct entry *e = alk_map_get(&cache->map, alk_span(hash, HASH_SIZE));
    if (e == NULL || !is_fresh(e->stored_at, now)) {
        return ALK_E_NOENT;
    }
    alk_list_remove(&e->lru);
    alk_list_append(&cache->lru, &e->lru);
    return alk_buf_put(ret, alk_span(e->value, e->n));
}

static void memory_put(struct alk_session_cache *cache, const uint8_t *hash, uint64_t now,
                       struct alk_span value)
{
    entry_free(cache, alk_map_get(&cache->map, alk_span(hash, HASH_SIZE)));
    struct entry *e = alk_zalloc(cache->mem, 1, sizeof *e + value.n);
    if (e == NULL) {
        return;
    }
    memcpy(e->hash, hash, HASH_SIZE);
    memcpy(e->value, value.p, value.n);
    e->n = value.n;
    e->stored_at = now;
    if (alk_map_put(&cache->map, alk_span(e->hash, HASH_SIZE), e) != ALK_OK) {
        alk_free_secret(cache->mem, e, sizeof *e + e->n);
        return;
    }
    alk_list_append(&cache->lru, &e->lru);
    if (cache->map.n > ALK_SESSION_CACHE_MAX) {
        entry_free(cache, ALK_CONTAINER(alk_list_first(&cache->lru), struct entry, lru));
    }
}

/* --- in files ------------------------------------------------------------- */

static bool path_of(const struct alk_session_cache *cache, const uint8_t *hash, char *ret)
{
    char name[NAME_SIZE];
    return alk_hex(alk_span(hash, HASH_SIZE), name, sizeof name) &&
           alk_file_join(cache->dir, name, ret, PATH_SIZE);
}

static alk_err file_get(const struct alk_session_cache *cache, const uint8_t *hash, uint64_t now,
                        struct alk_buf *ret)
{
    char path[PATH_SIZE];
    struct alk_buf file;
    alk_buf_init(&file, cache->mem, HEAD_SIZE + ALK_SESSION_VALUE_MAX);
    alk_err err = ALK_E_NOENT;
    if (path_of(cache, hash, path) &&
        alk_file_read_private(path, HEAD_SIZE + ALK_SESSION_VALUE_MAX, &file, NULL, 0) == ALK_OK) {
        struct alk_rd r = alk_rd(alk_buf_span(&file));
        struct alk_span magic = alk_rd_take(&r, sizeof MAGIC - 1);
        uint64_t stored_at = alk_rd_u64(&r);
        struct alk_span value = alk_rd_take(&r, alk_rd_left(&r));
        if (r.err == ALK_OK && alk_span_is(magic, MAGIC) && is_fresh(stored_at, now)) {
            err = alk_buf_put(ret, value);
        }
    }
    alk_buf_fini_secret(&file);
    return err;
}

/* Removes the oldest file when there are too many. */
static void file_evict(const struct alk_session_cache *cache)
{
    DIR *dir = opendir(cache->dir);
    char oldest[NAME_SIZE] = "";
    time_t oldest_at = 0;
    size_t n = 0;
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct stat st;
        if (strlen(entry->d_name) != NAME_SIZE - 1 ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (n++ == 0 || st.st_mtim.tv_sec < oldest_at) {
            oldest_at = st.st_mtim.tv_sec;
            memcpy(oldest, entry->d_name, NAME_SIZE);
        }
    }
    if (n > ALK_SESSION_CACHE_MAX) {
        (void)unlinkat(dirfd(dir), oldest, 0);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void file_put(const struct alk_session_cache *cache, const uint8_t *hash, uint64_t now,
                     struct alk_span value)
{
    char path[PATH_SIZE];
    struct alk_buf file;
    alk_buf_init(&file, cache->mem, HEAD_SIZE + ALK_SESSION_VALUE_MAX);
    struct alk_wr w = alk_wr_buf(&file);
    alk_wr_bytes(&w, ALK_LIT(MAGIC));
    alk_wr_u64(&w, now);
    alk_wr_bytes(&w, value);
    if (w.err == ALK_OK && path_of(cache, hash, path)) {
        bool is_new = access(path, F_OK) != 0;
        alk_err err = alk_file_write(path, alk_buf_span(&file), 0600);
        if (err == ALK_OK && is_new) {
            file_evict(cache);
        }
    }
    alk_buf_fini_secret(&file);
}

/* --- both ----------------------------------------------------------------- */

alk_err alk_session_cache_get(struct alk_session_cache *cache, struct alk_span key, uint64_t now,
                              struct alk_buf *ret)
{
    uint8_t hash[HASH_SIZE];
    hash_of(key, hash);
    (void)pthread_mutex_lock(&cache->lock);
    alk_err err =
        cache->dir != NULL ? file_get(cache, hash, now, ret) : memory_get(cache, hash, now, ret);
    (void)pthread_mutex_unlock(&cache->lock);
    return err == ALK_OK ? ALK_OK : ALK_E_NOENT;
}

void alk_session_cache_put(struct alk_session_cache *cache, struct alk_span key, uint64_t now,
                           struct alk_span value)
{
    uint8_t hash[HASH_SIZE];
    if (value.n > ALK_SESSION_VALUE_MAX) {
        return;
    }
    hash_of(key, hash);
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->dir != NULL) {
        file_put(cache, hash, now, value);
    } else {
        memory_put(cache, hash, now, value);
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

void alk_session_cache_drop(struct alk_session_cache *cache, struct alk_span key)
{
    uint8_t hash[HASH_SIZE];
    char path[PATH_SIZE];
    hash_of(key, hash);
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->dir != NULL) {
        if (path_of(cache, hash, path)) {
            (void)unlink(path);
        }
    } else {
        entry_free(cache, alk_map_get(&cache->map, alk_span(hash, HASH_SIZE)));
    }
    (void)pthread_mutex_unlock(&cache->lock);
}
