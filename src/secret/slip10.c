/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SLIP-0010 for Ed25519: hardened indices only. */
#include "key.h"

#include <sodium.h>
#include <string.h>

static void take(struct alksec_key *key, const uint8_t hash[ALKSEC_HASH])
{
    memcpy(key->private_key, hash, 32);
    memcpy(key->chain_code, hash + 32, 32);
}

static void child(struct alksec_key *key, uint32_t index)
{
    const uint8_t zero = 0;
    const uint8_t number[4] = {(uint8_t)(index >> 24), (uint8_t)(index >> 16),
                               (uint8_t)(index >> 8), (uint8_t)index};
    const struct alksec_bytes pieces[] = {{&zero, 1}, {key->private_key, 32}, {number, 4}};
    uint8_t hash[ALKSEC_HASH];

    alksec_hmac((struct alksec_bytes){key->chain_code, 32}, pieces, 3, hash);
    take(key, hash);
    sodium_memzero(hash, sizeof hash);
}

static alksec_err public_of(struct alksec_key *key)
{
    uint8_t pair[crypto_sign_SECRETKEYBYTES];
    int rc = crypto_sign_seed_keypair(key->public_key, pair, key->private_key);
    sodium_memzero(pair, sizeof pair);
    return rc == 0 ? ALKSEC_OK : ALKSEC_E_CRYPTO;
}

alksec_err alksec_master_ed25519(struct alksec_key *key, struct alksec_bytes seed)
{
    static const char name[] = "ed25519 seed";
    uint8_t hash[ALKSEC_HASH];

    alksec_hmac((struct alksec_bytes){(const uint8_t *)name, sizeof name - 1}, &seed, 1, hash);
    take(key, hash);
    sodium_memzero(hash, sizeof hash);
    return ALKSEC_OK;
}

alksec_err alksec_below_ed25519(struct alksec_key *key, const struct alksec_path *path)
{
    for (unsigned i = 0; i < path->depth; i++) {
        if ((path->index[i] & ALKSEC_HARDENED) == 0) {
            return ALKSEC_E_HARDENED;
        }
    }
    for (unsigned i = 0; i < path->depth; i++) {
        child(key, path->index[i]);
    }
    return public_of(key);
}
