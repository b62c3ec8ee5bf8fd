/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "key.h"

#define SEED_MIN 16

alksec_err alksec_derive(struct alksec_key *key, struct alksec_bytes seed,
                         const struct alksec_path *path)
{
    if (seed.n < SEED_MIN || seed.n > ALKSEC_SEED || path->depth > ALKSEC_PATH_MAX) {
        return ALKSEC_E_INVALID;
    }
    alksec_err err = alksec_ready();
    if (err != ALKSEC_OK) {
        return err;
    }
    switch (key->curve) {
    case ALKSEC_ED25519:
        return alksec_derive_ed25519(key, seed, path);
    case ALKSEC_SECP256K1:
        return alksec_derive_secp256k1(key, seed, path);
    }
    return ALKSEC_E_INVALID;
}

alksec_err alksec_key_derive(const struct alksec_mem *mem, enum alksec_curve curve,
                             const uint8_t *seed, size_t n, const struct alksec_path *path,
                             struct alksec_key **ret)
{
    struct alksec_key *key = NULL;
    alksec_err err = alksec_ready(); /* before the first sodium_malloc */

    if (err == ALKSEC_OK) {
        key = (struct alksec_key *)alksec_alloc_locked(mem, sizeof *key);
        err = key == NULL ? ALKSEC_E_NOMEM : ALKSEC_OK;
    }
    if (err == ALKSEC_OK) {
        key->mem = mem;
        key->curve = curve;
        err = alksec_derive(key, (struct alksec_bytes){seed, n}, path);
    }
    alksec_scrub_stack();
    if (err != ALKSEC_OK) {
        alksec_key_free(key);
        return err;
    }
    *ret = key;
    return ALKSEC_OK;
}

void alksec_key_free(struct alksec_key *key)
{
    if (key != NULL) {
        alksec_free_locked(key->mem, key, sizeof *key);
    }
}

const uint8_t *alksec_key_private(const struct alksec_key *key)
{
    return key->private_key;
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
