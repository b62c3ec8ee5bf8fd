/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/token.h"

#include "base/text.h"

#include <sodium.h>

#define TOKEN_HEAD "alk_"
enum {
    HEAD_LEN = sizeof(TOKEN_HEAD) - 1,
    SEPARATOR_AT = HEAD_LEN + ALK_TOKEN_PREFIX_LEN,
    SECRET_AT = SEPARATOR_AT + 1
};
_Static_assert(SECRET_AT + ALK_TOKEN_SECRET_LEN == ALK_TOKEN_LEN, "length of a token");

/* 0-9, A-Z, a-z, by arithmetic alone: a table would tell the secret's digits to
 * who watches the cache. v < 62. */
static char base62_char(unsigned v)
{
    unsigned is_upper = (9 - v) >> 8 & 1;  /* v > 9: the difference wraps */
    unsigned is_lower = (35 - v) >> 8 & 1; /* v > 35 */
    return (char)(v + '0' + is_upper * ('A' - '9' - 1) + is_lower * ('a' - 'Z' - 1));
}

static unsigned is_between(unsigned c, unsigned lo, unsigned hi)
{
    return ((lo - 1 - c) & (c - hi - 1)) >> 8 & 1;
}

static bool is_base62(struct alk_span s)
{
    unsigned good = 1;
    for (size_t i = 0; i < s.n; i++) {
        unsigned c = s.p[i];
        good &= is_between(c, '0', '9') | is_between(c, 'A', 'Z') | is_between(c, 'a', 'z');
    }
    return good == 1;
}

static void draw(const struct alk_rand *rand, char *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        dst[i] = base62_char((unsigned)alk_rand_below(rand, 62));
    }
}

void alk_token_generate(const struct alk_rand *rand, char ret[static ALK_TOKEN_SIZE])
{
    memcpy(ret, TOKEN_HEAD, HEAD_LEN);
    draw(rand, ret + HEAD_LEN, ALK_TOKEN_PREFIX_LEN);
    ret[SEPARATOR_AT] = '_';
    draw(rand, ret + SECRET_AT, ALK_TOKEN_SECRET_LEN);
    ret[ALK_TOKEN_LEN] = 0;
}

bool alk_token_prefix_is_valid(struct alk_span prefix)
{
    return prefix.n == ALK_TOKEN_PREFIX_LEN && is_base62(prefix);
}

bool alk_token_parse(struct alk_span text, struct alk_span *ret_prefix)
{
    if (text.n != ALK_TOKEN_LEN || !alk_span_starts(text, ALK_LIT(TOKEN_HEAD)) ||
        text.p[SEPARATOR_AT] != '_') {
        return false;
    }
    struct alk_span prefix = alk_span(text.p + HEAD_LEN, ALK_TOKEN_PREFIX_LEN);
    if (!is_base62(prefix) || !is_base62(alk_span(text.p + SECRET_AT, ALK_TOKEN_SECRET_LEN))) {
        return false;
    }
    *ret_prefix = prefix;
    return true;
}

void alk_token_hash(struct alk_span text, uint8_t ret[static ALK_TOKEN_HASH_SIZE])
{
    (void)crypto_hash_sha256(ret, text.p, text.n);
}

void alk_token_hash_print(const uint8_t hash[static ALK_TOKEN_HASH_SIZE],
                          char ret[static ALK_TOKEN_HASH_TEXT_SIZE])
{
    memcpy(ret, "sha256:", 7);
    bool fits = alk_hex(alk_span(hash, ALK_TOKEN_HASH_SIZE), ret + 7, ALK_TOKEN_HASH_TEXT_SIZE - 7);
    ALK_ASSERT(fits);
}

alk_err alk_token_hash_parse(struct alk_span text, uint8_t ret[static ALK_TOKEN_HASH_SIZE])
{
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    size_t n = 0;
    if (!alk_span_starts(text, ALK_LIT("sha256:")) ||
        alk_unhex(alk_span_tail(text, 7), hash, sizeof(hash), &n) != ALK_OK || n != sizeof(hash)) {
        return ALK_E_INVALID;
    }
    memcpy(ret, hash, sizeof(hash));
    return ALK_OK;
}
