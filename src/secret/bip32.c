/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* BIP-0032 over secp256k1, where libsecp256k1 is there. */
#include "key.h"

#ifndef ALKSEC_HAS_SECP256K1

alksec_err alksec_master_secp256k1(struct alksec_key *key, struct alksec_bytes seed)
{
    (void)key;
    (void)seed;
    return ALKSEC_E_UNSUPPORTED; /* built without libsecp256k1 */
}

alksec_err alksec_below_secp256k1(struct alksec_key *key, const struct alksec_path *path)
{
    (void)key;
    (void)path;
    return ALKSEC_E_UNSUPPORTED;
}

alksec_err alksec_check_secp256k1(struct alksec_key *key)
{
    (void)key;
    return ALKSEC_E_UNSUPPORTED;
}

#else

#include <nettle/ripemd160.h>
#include <secp256k1.h>
#include <sodium.h>
#include <string.h>

#define COMPRESSED 33
#define DEPTH_MAX  255

static secp256k1_context *context_new(void)
{
    uint8_t blind[32];
    secp256k1_context *ctx =
        secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
    if (ctx == NULL) {
        return NULL;
    }
    /* lint: system: blinds against side channels and leaves no trace in the result */
    randombytes_buf(blind, sizeof blind);
    (void)!secp256k1_context_randomize(ctx, blind); /* without it: less blind, not wrong */
    sodium_memzero(blind, sizeof blind);
    return ctx;
}

static bool put_point(const secp256k1_context *ctx, struct alksec_key *key,
                      const secp256k1_pubkey *point)
{
    size_t n = COMPRESSED;
    return secp256k1_ec_pubkey_serialize(ctx, key->public_key, &n, point,
                                         SECP256K1_EC_COMPRESSED) == 1;
}

/* serP(point(k)). False: k is zero or not below the order. */
static bool public_of(const secp256k1_context *ctx, struct alksec_key *key)
{
    secp256k1_pubkey point;
    return secp256k1_ec_pubkey_create(ctx, &point, key->private_key) == 1 &&
           put_point(ctx, key, &point);
}

/* The first four bytes of HASH160 of the public key: not secret. */
static void fingerprint(const struct alksec_key *key, uint8_t ret[4])
{
    uint8_t sha[crypto_hash_sha256_BYTES];
    struct ripemd160_ctx ctx;

    (void)crypto_hash_sha256(sha, key->public_key, COMPRESSED);
    ripemd160_init(&ctx);
    ripemd160_update(&ctx, sizeof sha, sha);
    ripemd160_digest(&ctx, 4, ret);
}

/* CKDpriv and CKDpub. An index whose left half is no scalar, or whose child is zero,
 * has no key (less than 1 in 2^127). */
static bool add(const secp256k1_context *ctx, struct alksec_key *key, const uint8_t *left)
{
    secp256k1_pubkey point;

    if (!key->is_public) {
        return secp256k1_ec_seckey_tweak_add(ctx, key->private_key, left) == 1 &&
               public_of(ctx, key);
    }
    return secp256k1_ec_pubkey_parse(ctx, &point, key->public_key, COMPRESSED) == 1 &&
           secp256k1_ec_pubkey_tweak_add(ctx, &point, left) == 1 && put_point(ctx, key, &point);
}

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
    bool is_ok = add(ctx, key, hash);
    memcpy(key->chain_code, hash + 32, 32);
    sodium_memzero(hash, sizeof hash);
    key->index = index;
    key->depth++;
    return is_ok;
}

static bool below(const secp256k1_context *ctx, struct alksec_key *key,
                  const struct alksec_path *path)
{
    bool is_ok = true;
    for (unsigned i = 0; i < path->depth && is_ok; i++) {
        if (i + 1 == path->depth) {
            fingerprint(key, key->parent);
        }
        is_ok = child(ctx, key, path->index[i]);
    }
    return is_ok;
}

alksec_err alksec_below_secp256k1(struct alksec_key *key, const struct alksec_path *path)
{
    if (path->depth > (unsigned)DEPTH_MAX - key->depth) {
        return ALKSEC_E_TOO_BIG;
    }
    for (unsigned i = 0; i < path->depth && key->is_public; i++) {
        if ((path->index[i] & ALKSEC_HARDENED) != 0) {
            return ALKSEC_E_INVALID;
        }
    }
    secp256k1_context *ctx = context_new();
    if (ctx == NULL) {
        return ALKSEC_E_NOMEM;
    }
    bool is_ok = below(ctx, key, path);
    secp256k1_context_destroy(ctx);
    return is_ok ? ALKSEC_OK : ALKSEC_E_CRYPTO;
}

alksec_err alksec_check_secp256k1(struct alksec_key *key)
{
    secp256k1_pubkey point;
    secp256k1_context *ctx = context_new();

    if (ctx == NULL) {
        return ALKSEC_E_NOMEM;
    }
    bool is_ok = key->is_public
                     ? secp256k1_ec_pubkey_parse(ctx, &point, key->public_key, COMPRESSED) == 1
                     : public_of(ctx, key);
    secp256k1_context_destroy(ctx);
    return is_ok ? ALKSEC_OK : ALKSEC_E_XKEY_VALUE;
}

alksec_err alksec_master_secp256k1(struct alksec_key *key, struct alksec_bytes seed)
{
    static const char name[] = "Bitcoin seed";
    uint8_t hash[ALKSEC_HASH];

    alksec_hmac((struct alksec_bytes){(const uint8_t *)name, sizeof name - 1}, &seed, 1, hash);
    memcpy(key->private_key, hash, 32);
    memcpy(key->chain_code, hash + 32, 32);
    sodium_memzero(hash, sizeof hash);
    alksec_err err = alksec_check_secp256k1(key);
    return err == ALKSEC_E_XKEY_VALUE ? ALKSEC_E_CRYPTO : err; /* of 1 seed in 2^127 */
}

#endif
