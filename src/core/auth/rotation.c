/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/rotation.h"

#include "base/ct.h"
#include "base/text.h"
#include "base/wire.h"

#include <sodium.h>

#define MAGIC "alknet-rotate-1\n"
#define ARMOR "alknet-rotation:"
enum { MAGIC_LEN = sizeof(MAGIC) - 1, ARMOR_LEN = sizeof(ARMOR) - 1, SIGNED_LEN = 88 };
_Static_assert(MAGIC_LEN + 32 + 32 + 8 == SIGNED_LEN, "what the signature covers");
_Static_assert(SIGNED_LEN + crypto_sign_BYTES == ALK_ROTATION_SIZE, "size of a statement");

void alk_rotation_encode(const struct alk_rotation *rotation, uint8_t ret[static ALK_ROTATION_SIZE])
{
    struct alk_wr w = alk_wr(ret, ALK_ROTATION_SIZE);
    alk_wr_bytes(&w, ALK_LIT(MAGIC));
    alk_wr_bytes(&w, alk_span(rotation->old_key, 32));
    alk_wr_bytes(&w, alk_span(rotation->new_key, 32));
    alk_wr_u64(&w, rotation->unix_s);
    alk_wr_bytes(&w, alk_span(rotation->signature, 64));
    ALK_ASSERT(w.err == ALK_OK);
}

alk_err alk_rotation_decode(struct alk_span bytes, struct alk_rotation *ret)
{
    struct alk_rd r = alk_rd(bytes);
    struct alk_span magic = alk_rd_take(&r, MAGIC_LEN);
    struct alk_rotation out;
    alk_rd_bytes(&r, out.old_key, sizeof(out.old_key));
    alk_rd_bytes(&r, out.new_key, sizeof(out.new_key));
    out.unix_s = alk_rd_u64(&r);
    alk_rd_bytes(&r, out.signature, sizeof(out.signature));
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || !alk_span_is(magic, MAGIC) ||
        /* public keys */
        alk_span_equal(alk_span(out.old_key, 32), alk_span(out.new_key, 32))) {
        return ALK_E_MALFORMED;
    }
    *ret = out;
    return ALK_OK;
}

alk_err alk_rotation_sign(const uint8_t seed[static 32], const uint8_t new_key[static 32],
                          uint64_t unix_s, struct alk_rotation *ret)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    struct alk_rotation out = {.unix_s = unix_s};
    (void)crypto_sign_seed_keypair(out.old_key, secret, seed);
    memcpy(out.new_key, new_key, sizeof(out.new_key));

    uint8_t bytes[ALK_ROTATION_SIZE];
    alk_rotation_encode(&out, bytes);
    (void)crypto_sign_detached(out.signature, NULL, bytes, SIGNED_LEN, secret);
    alk_wipe(secret, sizeof(secret));
    /* public keys */
    if (alk_span_equal(alk_span(out.old_key, 32), alk_span(out.new_key, 32))) {
        return ALK_E_INVALID;
    }
    *ret = out;
    return ALK_OK;
}

alk_err alk_rotation_verify(const struct alk_rotation *rotation)
{
    uint8_t bytes[ALK_ROTATION_SIZE];
    alk_rotation_encode(rotation, bytes);
    int bad =
        crypto_sign_verify_detached(rotation->signature, bytes, SIGNED_LEN, rotation->old_key);
    return bad ? ALK_E_AUTH : ALK_OK;
}

void alk_rotation_print(const struct alk_rotation *rotation,
                        char ret[static ALK_ROTATION_TEXT_SIZE])
{
    uint8_t bytes[ALK_ROTATION_SIZE];
    alk_rotation_encode(rotation, bytes);
    memcpy(ret, ARMOR, ARMOR_LEN);
    bool fits = alk_base64_bare(alk_span(bytes, sizeof(bytes)), ret + ARMOR_LEN,
                                ALK_ROTATION_TEXT_SIZE - ARMOR_LEN);
    ALK_ASSERT(fits);
}

/* Without spaces, tabs and line breaks at both ends. */
static struct alk_span trim_line(struct alk_span s)
{
    while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r')) {
        s.n--;
    }
    return alk_span_trim(s);
}

alk_err alk_rotation_parse(struct alk_span text, struct alk_rotation *ret)
{
    uint8_t bytes[ALK_ROTATION_SIZE];
    size_t n = 0;
    struct alk_span s = trim_line(text);
    if (!alk_span_starts(s, ALK_LIT(ARMOR)) ||
        alk_unbase64(alk_span_tail(s, ARMOR_LEN), bytes, sizeof(bytes), &n) != ALK_OK) {
        return ALK_E_MALFORMED;
    }
    return alk_rotation_decode(alk_span(bytes, n), ret);
}

alk_err alk_rotation_parse_list(struct alk_span text,
                                struct alk_rotation ret[static ALK_ROTATION_CHAIN_MAX],
                                size_t *ret_n)
{
    struct alk_rotation list[ALK_ROTATION_CHAIN_MAX];
    size_t n = 0;
    while (text.n > 0) {
        struct alk_span line = trim_line(alk_span_cut(&text, '\n'));
        if (line.n == 0 || line.p[0] == '#') {
            continue;
        }
        if (n == ALK_ROTATION_CHAIN_MAX) {
            return ALK_E_LIMIT;
        }
        ALK_TRY(alk_rotation_parse(line, &list[n]));
        n++;
    }
    if (n > 0) {
        memcpy(ret, list, n * sizeof(list[0]));
    }
    *ret_n = n;
    return ALK_OK;
}

static bool is_key(const uint8_t a[static 32], const uint8_t b[static 32])
{
    return alk_span_equal(alk_span(a, 32), alk_span(b, 32)); /* public keys */
}

alk_err alk_rotation_follow(const struct alk_rotation *chain, size_t n,
                            const uint8_t pinned[static 32], const uint8_t presented[static 32])
{
    if (n > ALK_ROTATION_CHAIN_MAX) {
        return ALK_E_LIMIT;
    }
    const uint8_t *key = pinned;
    uint64_t since = 0;
    for (size_t i = 0; i < n && !is_key(key, presented); i++) {
        if (!is_key(chain[i].old_key, key)) {
            continue;
        }
        /* A statement older than the one that made its key is out of order. */
        if (chain[i].unix_s < since) {
            return ALK_E_KEY_CHANGED;
        }
        ALK_TRY(alk_rotation_verify(&chain[i]));
        key = chain[i].new_key;
        since = chain[i].unix_s;
    }
    return is_key(key, presented) ? ALK_OK : ALK_E_KEY_CHANGED;
}
