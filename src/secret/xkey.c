/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "xkey.h"

#include <sodium.h>
#include <string.h>

#define PAYLOAD  78
#define CHECKSUM 4
#define BYTES    (PAYLOAD + CHECKSUM)
#define DIGITS   (ALKSEC_XKEY_SIZE - 1) /* 82 bytes in base 58 */

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const uint8_t xprv[4] = {0x04, 0x88, 0xad, 0xe4}, xpub[4] = {0x04, 0x88, 0xb2, 0x1e};

/* --- base58 with a checksum -------------------------------------------------------------- */

static bool multiply(uint8_t bytes[BYTES], unsigned digit)
{
    unsigned carry = digit;
    for (size_t i = BYTES; i-- > 0;) {
        carry += 58U * bytes[i];
        bytes[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return carry == 0;
}

/* Each leading 1 stands for a zero byte, so that there is one text of the bytes. */
static bool from_base58(const char *text, size_t n, uint8_t ret[BYTES])
{
    size_t ones = 0, zeros = 0;

    memset(ret, 0, BYTES);
    if (n == 0 || n > DIGITS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *at = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);
        ones += ones == i && text[i] == '1';
        if (at == NULL || !multiply(ret, (unsigned)(at - alphabet))) {
            return false;
        }
    }
    while (zeros < BYTES && ret[zeros] == 0) {
        zeros++;
    }
    return ones == zeros;
}

static void to_base58(const uint8_t bytes[BYTES], char ret[ALKSEC_XKEY_SIZE])
{
    uint8_t digits[DIGITS] = {0}; /* the most significant first */
    size_t zeros = 0, at = 0, n = 0;

    for (size_t i = 0; i < BYTES; i++) {
        unsigned carry = bytes[i];
        for (size_t k = DIGITS; k-- > 0;) {
            carry += 256U * digits[k];
            digits[k] = (uint8_t)(carry % 58);
            carry /= 58;
        }
    }
    while (zeros < BYTES && bytes[zeros] == 0) {
        ret[n++] = '1';
        zeros++;
    }
    while (at < DIGITS && digits[at] == 0) {
        at++;
    }
    while (at < DIGITS) {
        ret[n++] = alphabet[digits[at++]];
    }
    ret[n] = '\0';
    sodium_memzero(digits, sizeof digits);
}

static void checksum(const uint8_t payload[PAYLOAD], uint8_t ret[CHECKSUM])
{
    uint8_t once[crypto_hash_sha256_BYTES], twice[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256(once, payload, PAYLOAD);
    (void)crypto_hash_sha256(twice, once, sizeof once);
    memcpy(ret, twice, CHECKSUM);
    sodium_memzero(once, sizeof once);
}

/* --- reading ------------------------------------------------------------------------ */

static alksec_err read_payload(const uint8_t *p, struct alksec_key *ret)
{
    static const uint8_t zeros[8];

    if (memcmp(p, xprv, 4) != 0 && memcmp(p, xpub, 4) != 0) { /* public */
        return ALKSEC_E_XKEY_VERSION;
    }
    if (p[4] == 0 && memcmp(p + 5, zeros, 8) != 0) { /* public */
        return ALKSEC_E_XKEY_ROOT;
    }
    ret->curve = ALKSEC_SECP256K1;
    ret->is_public = memcmp(p, xpub, 4) == 0; /* public */
    ret->depth = p[4];
    memcpy(ret->parent, p + 5, 4);
    ret->index = (uint32_t)p[9] << 24 | (uint32_t)p[10] << 16 | (uint32_t)p[11] << 8 | p[12];
    memcpy(ret->chain_code, p + 13, 32);
    if (ret->is_public) {
        memcpy(ret->public_key, p + 45, 33);
        return p[45] == 2 || p[45] == 3 ? ALKSEC_OK : ALKSEC_E_XKEY_VALUE;
    }
    memcpy(ret->private_key, p + 46, 32);
    return p[45] == 0 ? ALKSEC_OK : ALKSEC_E_XKEY_VALUE;
}

alksec_err alksec_xkey_read(const char *text, size_t n, struct alksec_key *ret)
{
    uint8_t bytes[BYTES], sum[CHECKSUM];
    alksec_err err = ALKSEC_E_XKEY;

    if (from_base58(text, n, bytes)) {
        checksum(bytes, sum);
        err = sodium_memcmp(sum, bytes + PAYLOAD, CHECKSUM) == 0 ? read_payload(bytes, ret)
                                                                 : ALKSEC_E_XKEY_CHECKSUM;
    }
    sodium_memzero(bytes, sizeof bytes);
    return err;
}

/* --- writing ------------------------------------------------------------------------ */

static void print(const struct alksec_key *key, bool is_public, char ret[ALKSEC_XKEY_SIZE])
{
    uint8_t bytes[BYTES] = {0};
    const uint8_t head[] = {key->depth,
                            key->parent[0],
                            key->parent[1],
                            key->parent[2],
                            key->parent[3],
                            (uint8_t)(key->index >> 24),
                            (uint8_t)(key->index >> 16),
                            (uint8_t)(key->index >> 8),
                            (uint8_t)key->index};

    memcpy(bytes, is_public ? xpub : xprv, 4);
    memcpy(bytes + 4, head, sizeof head);
    memcpy(bytes + 13, key->chain_code, 32);
    if (is_public) {
        memcpy(bytes + 45, key->public_key, 33);
    } else {
        memcpy(bytes + 46, key->private_key, 32);
    }
    checksum(bytes, bytes + PAYLOAD);
    to_base58(bytes, ret);
    sodium_memzero(bytes, sizeof bytes);
}

alksec_err alksec_key_print_xprv(const struct alksec_key *key, char ret[ALKSEC_XKEY_SIZE])
{
    if (key->curve != ALKSEC_SECP256K1 || key->is_public) {
        return ALKSEC_E_INVALID;
    }
    print(key, false, ret);
    alksec_scrub_stack();
    return ALKSEC_OK;
}

alksec_err alksec_key_print_xpub(const struct alksec_key *key, char ret[ALKSEC_XKEY_SIZE])
{
    if (key->curve != ALKSEC_SECP256K1) {
        return ALKSEC_E_INVALID;
    }
    print(key, true, ret);
    return ALKSEC_OK;
}
