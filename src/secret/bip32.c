/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* BIP-0032 over secp256k1, where libsecp256k1 is there. */
#include "key.h"

#ifndef ALKSEC_HAS_SECP256K1

alksec_err alksec_derive_secp256k1(struct alksec_key *key, struct alksec_bytes seed,
                                   const struct alksec_path *path)
{
    (void)key;
    (void)seed;
    (void)path;
    return ALKSEC_E_UNSUPPORTED; /* built without libsecp256k1 */
}

#else

#include <secp256k1.h>
#include <sodium.h>
#include <string.h>

#define COMPRESSED 33

/* serP(point(k)). False: k is zero or not below the order. */
static bool public_of(const secp256k1_context *ctx, struct alksec_key *key)
{
    secp256k1_pubkey point;
    size_t n = COMPRESSED;
    return secp256k1_ec_pubkey_create(ctx, &point, key->private_key) == 1 &&
           secp256k1_ec_pubkey_serialize(ctx, key->public_key, &n, &point,
                                         SECP256K1_EC_COMPRESSED) == 1;
}

/* CKDpriv [BIP-0032]. An index whose left half is no scalar, or whose child is zero,
 * has no key (less than 1 in 2^127). */
static bool child(const secp256k1_context *ctx, struct alksec_key *key, uint32_t index)
{
    const uint8_t zero = 0;
    const uint8_t number[4] = {(uint8_t)(index >> 24), (uint8_t)(index >> 16),
                               (uint8_t)(index >> 8), (uint8_t)index};
    const struct alksec_bytes hardened[] = {{&zero, 1}, {key->private_key, 32}, {number, 4}};
    const struct alksec_bytes normal[] = {{key->public_key, COMPRESSED}, {number, 4}};
    bool is_hardened = (index & ALKSEC_HARDENED) != 0;
    uint8_t hash[ALKSEC_HASH];

    alksec_hmac((struct alksec_bytes){key->chain_code, 32}, is_hardened ? hardened : normal,
                is_hardened ? 3 : 2, hash);
    bool is_ok = secp256k1_ec_seckey_tweak_add(ctx, key->private_key, hash) == 1;
    memcpy(key->chain_code, hash + 32, 32);
    sodium_memzero(hash, sizeof hash);
    return is_ok && public_of(ctx, key);
}

static bool derive(const secp256k1_context *ctx, struct alksec_key *key, struct alksec_bytes seed,
                   const struct alksec_path *path)
{
    static const char name[] = "Bitcoin seed";
    uint8_t hash[ALKSEC_HASH];

    alksec_hmac((struct alksec_bytes){(const uint8_t *)name, sizeof name - 1}, &seed, 1, hash);
    memcpy(key->private_key, hash, 32);
    memcpy(key->chain_code, hash + 32, 32);
    sodium_memzero(hash, sizeof hash);
    bool is_ok = public_of(ctx, key);
    for (unsigned i = 0; i < path->depth && is_ok; i++) {
        is_ok = child(ctx, key, path->index[i]);
    }
    return is_ok;
}

alksec_err alksec_derive_secp256k1(struct alksec_key *key, struct alksec_bytes seed,
                                   const struct alksec_path *path)
{
    uint8_t blind[32];
    secp256k1_context *ctx = secp256k1_context_create(SECP256K1_CONTEXT_SIGN);
    if (ctx == NULL) {
        return ALKSEC_E_NOMEM;
    }
    /* lint: system: blinds against side channels and leaves no trace in the result */
    randombytes_buf(blind, sizeof blind);
    bool is_ok = secp256k1_context_randomize(ctx, blind) == 1 && derive(ctx, key, seed, path);
    secp256k1_context_destroy(ctx);
    sodium_memzero(blind, sizeof blind);
    return is_ok ? ALKSEC_OK : ALKSEC_E_CRYPTO;
}

#endif
