/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "key.h"

#include "xkey.h"

#define SEED_MIN 16

alksec_err alksec_derive_below(struct alksec_key *key, const struct alksec_path *path)
{
    if (path->depth > ALKSEC_PATH_MAX) {
        return ALKSEC_E_INVALID;
    }
    switch (key->curve) {
    case ALKSEC_ED25519:
        return alksec_below_ed25519(key, path);
    case ALKSEC_SECP256K1:
        return alksec_below_secp256k1(key, path);
    }
    return ALKSEC_E_INVALID;
}

alksec_err alksec_derive(struct alksec_key *key, struct alksec_bytes seed,
                         const struct alksec_path *path)
{
    if (seed.n < SEED_MIN || seed.n > ALKSEC_SEED) {
        return ALKSEC_E_INVALID;
    }
    alksec_err err = key->curve == ALKSEC_ED25519 ? alksec_master_ed25519(key, seed)
                                                  : alksec_master_secp256k1(key, seed);
    return err == ALKSEC_OK ? alksec_derive_below(key, path) : err;
}

static alksec_err key_new(const struct alksec_mem *mem, struct alksec_key **ret)
{
    alksec_err err = alksec_ready(); /* before the first sodium_malloc */
    if (err != ALKSEC_OK) {
        return err;
    }
    struct alksec_key *key = (struct alksec_key *)alksec_alloc_locked(mem, sizeof *key);
    if (key == NULL) {
        return ALKSEC_E_NOMEM;
    }
    key->mem = mem;
    *ret = key;
    return ALKSEC_OK;
}

/* Gives the key, or frees it. */
static alksec_err give(struct alksec_key *key, alksec_err err, struct alksec_key **ret)
{
    alksec_scrub_stack();
    if (err == ALKSEC_OK) {
        *ret = key;
    } else {
        alksec_key_free(key);
    }
    return err;
}

alksec_err alksec_key_derive(const struct alksec_mem *mem, enum alksec_curve curve,
                             const uint8_t *seed, size_t n, const struct alksec_path *path,
                             struct alksec_key **ret)
{
    struct alksec_key *key = NULL;
    alksec_err err = curve == ALKSEC_ED25519 || curve == ALKSEC_SECP256K1 ? key_new(mem, &key)
                                                                          : ALKSEC_E_INVALID;
    if (err == ALKSEC_OK) {
        key->curve = curve;
        err = alksec_derive(key, (struct alksec_bytes){seed, n}, path);
    }
    return give(key, err, ret);
}

alksec_err alksec_key_child(const struct alksec_mem *mem, const struct alksec_key *parent,
                            const struct alksec_path *path, struct alksec_key **ret)
{
    struct alksec_key *key = NULL;
    alksec_err err = key_new(mem, &key);
    if (err == ALKSEC_OK) {
        *key = *parent;
        key->mem = mem;
        err = alksec_derive_below(key, path);
    }
    return give(key, err, ret);
}

alksec_err alksec_key_parse(const struct alksec_mem *mem, const char *text, size_t n,
                            struct alksec_key **ret)
{
    struct alksec_key *key = NULL;
    alksec_err err = key_new(mem, &key);
    if (err == ALKSEC_OK) {
        err = alksec_xkey_read(text, n, key);
    }
    if (err == ALKSEC_OK) {
        err = alksec_check_secp256k1(key);
    }
    return give(key, err, ret);
}

void alksec_key_free(struct alksec_key *key)
{
    if (key != NULL) {
        alksec_free_locked(key->mem, key, sizeof *key);
    }
}

const uint8_t *alksec_key_private(const struct alksec_key *key)
{
    return key->is_public ? NULL : key->private_key;
}

const uint8_t *alksec_key_chain_code(const struct alksec_key *key)
{
    return key->chain_code;
}

const uint8_t *alksec_key_public(const struct alksec_key *key, size_t *ret_n)
{
    *ret_n = key->curve == ALKSEC_ED25519 ? 32 : 33;
    return key->public_key;
}

enum alksec_curve alksec_key_curve(const struct alksec_key *key)
{
    return key->curve;
}
