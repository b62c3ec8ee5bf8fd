/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The vault: one block of locked memory with the seed and the cache in it. */
#include "blob.h"
#include "cache.h"

#include <pthread.h>
#include <string.h>

#define HOUR_NS (UINT64_C(3600) * 1000000000)

struct secrets {
    bool is_unlocked;
    uint8_t seed[ALKSEC_SEED];
    struct alksec_cache cache;
    struct alksec_key scratch; /* of a vault without cache */
};

struct alksec_vault {
    const struct alksec_mem *mem;
    const struct alksec_random *random;
    pthread_mutex_t lock;
    struct secrets *secrets; /* locked memory; owns */
};

alksec_err alksec_vault_new(const struct alksec_vault_options *options, struct alksec_vault **ret)
{
    static const struct alksec_vault_options defaults;
    const struct alksec_vault_options *o = options == NULL ? &defaults : options;

    if (o->cache > ALKSEC_CACHE_MAX) {
        return ALKSEC_E_INVALID;
    }
    alksec_err err = alksec_ready();
    if (err != ALKSEC_OK) {
        return err;
    }
    struct alksec_vault *v = (struct alksec_vault *)alksec_alloc(o->mem, sizeof *v);
    if (v == NULL) {
        return ALKSEC_E_NOMEM;
    }
    v->mem = o->mem;
    v->random = o->random;
    v->secrets = (struct secrets *)alksec_alloc_locked(o->mem, sizeof *v->secrets);
    if (v->secrets == NULL || pthread_mutex_init(&v->lock, NULL) != 0) {
        alksec_free_locked(o->mem, v->secrets, sizeof *v->secrets);
        alksec_free(o->mem, v);
        return ALKSEC_E_NOMEM;
    }
    v->secrets->cache.ttl_ns = o->ttl_ns == 0 ? HOUR_NS : o->ttl_ns;
    v->secrets->cache.max = o->cache == 0 ? ALKSEC_CACHE_MAX : o->cache;
    if (o->has_no_cache) {
        v->secrets->cache.max = 0;
    }
    *ret = v;
    return ALKSEC_OK;
}

void alksec_vault_free(struct alksec_vault *v)
{
    if (v != NULL) {
        (void)pthread_mutex_destroy(&v->lock);
        alksec_free_locked(v->mem, v->secrets, sizeof *v->secrets);
        alksec_free(v->mem, v);
    }
}

/* --- lock and unlock ------------------------------------------------------------------ */

static void enter(struct alksec_vault *v)
{
    (void)pthread_mutex_lock(&v->lock);
}

static void leave(struct alksec_vault *v)
{
    (void)pthread_mutex_unlock(&v->lock);
}

alksec_err alksec_vault_unlock(struct alksec_vault *v, struct alksec_span phrase,
                               struct alksec_span passphrase)
{
    alksec_err err = ALKSEC_E_STATE;

    enter(v);
    if (!v->secrets->is_unlocked) {
        err = alksec_phrase_seed((const char *)phrase.p, phrase.n, (const char *)passphrase.p,
                                 passphrase.n, v->secrets->seed);
        v->secrets->is_unlocked = err == ALKSEC_OK;
    }
    leave(v);
    return err;
}

alksec_err alksec_vault_unlock_new(struct alksec_vault *v, unsigned words,
                                   struct alksec_span passphrase,
                                   char ret_phrase[ALKSEC_PHRASE_SIZE])
{
    char phrase[ALKSEC_PHRASE_SIZE];

    alksec_err err = alksec_phrase_new(words, v->random, phrase);
    if (err == ALKSEC_OK) {
        err = alksec_vault_unlock(v, (struct alksec_span){phrase, strlen(phrase)}, passphrase);
    }
    if (err == ALKSEC_OK) {
        memcpy(ret_phrase, phrase, sizeof phrase);
    }
    alksec_wipe(phrase, sizeof phrase);
    return err;
}

void alksec_vault_lock(struct alksec_vault *v)
{
    enter(v);
    v->secrets->is_unlocked = false;
    alksec_wipe(v->secrets->seed, sizeof v->secrets->seed);
    alksec_wipe(&v->secrets->scratch, sizeof v->secrets->scratch);
    alksec_cache_wipe(&v->secrets->cache);
    leave(v);
}

bool alksec_vault_is_unlocked(struct alksec_vault *v)
{
    enter(v);
    bool is_unlocked = v->secrets->is_unlocked;
    leave(v);
    return is_unlocked;
}

unsigned alksec_vault_cached(struct alksec_vault *v)
{
    enter(v);
    unsigned n = alksec_cache_count(&v->secrets->cache);
    leave(v);
    return n;
}

/* --- keys ----------------------------------------------------------------------------- */

/* The key of a path, inside the lock; borrows until the lock is left. */
static alksec_err find_key(struct alksec_vault *v, uint64_t now_ns, enum alksec_curve curve,
                           const struct alksec_path *path, const struct alksec_key **ret)
{
    struct secrets *s = v->secrets;

    if (!s->is_unlocked) {
        return ALKSEC_E_LOCKED;
    }
    *ret = alksec_cache_get(&s->cache, curve, path, now_ns);
    if (*ret != NULL) {
        return ALKSEC_OK;
    }
    struct alksec_key *key = alksec_cache_add(&s->cache, curve, path, now_ns);
    if (key == NULL) {
        key = &s->scratch;
        key->curve = curve;
    }
    key->mem = v->mem;
    alksec_err err = alksec_derive(key, (struct alksec_bytes){s->seed, ALKSEC_SEED}, path);
    alksec_scrub_stack();
    if (err != ALKSEC_OK) {
        alksec_cache_drop(&s->cache, key);
        alksec_wipe(&s->scratch, sizeof s->scratch);
        return err;
    }
    *ret = key;
    return ALKSEC_OK;
}

static void put_back(struct alksec_vault *v)
{
    alksec_wipe(&v->secrets->scratch, sizeof v->secrets->scratch);
}

alksec_err alksec_vault_derive(struct alksec_vault *v, uint64_t now_ns, enum alksec_curve curve,
                               const struct alksec_path *path, struct alksec_key **ret)
{
    const struct alksec_key *key = NULL;
    struct alksec_key *copy = NULL;

    if (path->depth > ALKSEC_PATH_MAX) {
        return ALKSEC_E_INVALID;
    }
    enter(v);
    alksec_err err = find_key(v, now_ns, curve, path, &key);
    if (err == ALKSEC_OK) {
        copy = (struct alksec_key *)alksec_alloc_locked(v->mem, sizeof *copy);
        err = copy == NULL ? ALKSEC_E_NOMEM : ALKSEC_OK;
    }
    if (err == ALKSEC_OK) {
        *copy = *key;
        *ret = copy;
    }
    put_back(v);
    leave(v);
    alksec_scrub_stack();
    return err;
}

static alksec_err find_encryption(struct alksec_vault *v, uint64_t now_ns, uint32_t version,
                                  const struct alksec_key **ret)
{
    struct alksec_path path;
    alksec_err err = alksec_path_encryption(version, &path);
    return err == ALKSEC_OK ? find_key(v, now_ns, ALKSEC_ED25519, &path, ret) : err;
}

/* --- values --------------------------------------------------------------------------- */

alksec_err alksec_vault_encrypt(struct alksec_vault *v, uint64_t now_ns, uint32_t version,
                                struct alksec_span plain, struct alksec_span context, char *ret,
                                size_t ret_size, size_t *ret_n)
{
    const struct alksec_key *key = NULL;

    enter(v);
    alksec_err err = find_encryption(v, now_ns, version, &key);
    if (err == ALKSEC_OK) {
        err = alksec_blob_seal(v->mem, v->random, version, key->private_key, plain, context, ret,
                               ret_size, ret_n);
    }
    put_back(v);
    leave(v);
    return err;
}

alksec_err alksec_vault_decrypt(struct alksec_vault *v, uint64_t now_ns, struct alksec_span text,
                                struct alksec_span context, uint8_t *ret, size_t ret_size,
                                size_t *ret_n)
{
    const struct alksec_key *key = NULL;
    struct alksec_blob blob;

    alksec_err err = alksec_blob_read(v->mem, text, &blob);
    enter(v);
    if (err == ALKSEC_OK) {
        err = find_encryption(v, now_ns, blob.version, &key);
    }
    if (err == ALKSEC_OK) {
        err = alksec_blob_unseal(v->mem, &blob, key->private_key, context, ret, ret_size, ret_n);
    }
    put_back(v);
    leave(v);
    alksec_blob_fini(&blob);
    return err;
}

alksec_err alksec_vault_rotate(struct alksec_vault *v, uint64_t now_ns, uint32_t version,
                               struct alksec_span text, char *ret, size_t ret_size, size_t *ret_n)
{
    struct alksec_blob blob;
    uint8_t *plain = NULL;
    size_t plain_n = 0, room = text.n;

    alksec_err err = alksec_blob_read(v->mem, text, &blob);
    if (err == ALKSEC_OK) {
        plain = (uint8_t *)alksec_alloc_locked(v->mem, room);
        err = plain == NULL ? ALKSEC_E_NOMEM : ALKSEC_OK;
    }
    const struct alksec_span context = {blob.context.p, blob.context.n};
    if (err == ALKSEC_OK) {
        err = alksec_vault_decrypt(v, now_ns, text, context, plain, room, &plain_n);
    }
    if (err == ALKSEC_OK) {
        err = alksec_vault_encrypt(v, now_ns, version, (struct alksec_span){plain, plain_n},
                                   context, ret, ret_size, ret_n);
    }
    alksec_free_locked(v->mem, plain, room);
    alksec_blob_fini(&blob);
    return err;
}
