/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/sshsig.h"

#include "base/text.h"
#include "base/wire.h"

#define MAGIC "SSHSIG"

enum {
    FORMAT_VERSION = 1,
    STRING_MAX = ALK_GIT_SSHSIG_BLOB_MAX,
    ED25519_KEY = 32,
    ED25519_VALUE = 64,
    P256_POINT = 65,
    P256_NUMBER = 32,
    SHA256_SIZE = 32,
    SHA512_SIZE = 64,
    /* Largest armor: base64 with an LF after each character, and the two lines. */
    TEXT_MAX = 4 * ALK_GIT_SSHSIG_BLOB_MAX
};

/* --- armor --------------------------------------------------------------------------- */

/* The base64 text between the two lines. */
static alk_err armor_body(struct alk_span text, struct alk_span *ret)
{
    const struct alk_span begin = ALK_LIT(ALK_GIT_SSHSIG_BEGIN), end = ALK_LIT(ALK_GIT_SSHSIG_END);
    text = alk_span_strip(text);
    if (text.n > TEXT_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (!alk_span_starts(text, begin) || !alk_span_ends(text, end) ||
        text.n < begin.n + end.n + 2) {
        return ALK_E_MALFORMED;
    }
    text = alk_span(text.p + begin.n, text.n - begin.n - end.n);
    /* Each marker has its line to itself. */
    if ((text.p[0] != '\n' && text.p[0] != '\r') || text.p[text.n - 1] != '\n') {
        return ALK_E_MALFORMED;
    }
    *ret = text;
    return ALK_OK;
}

alk_err alk_git_sshsig_unarmor(struct alk_span text, struct alk_buf *blob)
{
    struct alk_span body = {0};
    uint8_t plain[ALK_BASE64_SIZE(ALK_GIT_SSHSIG_BLOB_MAX)];
    size_t n = 0;
    ALK_TRY(armor_body(text, &body));
    for (size_t i = 0; i < body.n; i++) {
        if (alk_is_white(body.p[i])) {
            continue;
        }
        if (n == sizeof(plain)) {
            return ALK_E_TOO_BIG;
        }
        plain[n++] = body.p[i];
    }
    /* Just what the digits make, so that a buffer of the blob's size will do. */
    size_t digits = n, used = 0;
    while (digits > 0 && n - digits < 2 && plain[digits - 1] == '=') {
        digits--;
    }
    if (digits == 0) {
        return ALK_E_MALFORMED;
    }
    size_t room = digits * 3 / 4;
    uint8_t *dst = alk_buf_reserve(blob, room);
    if (dst == NULL) {
        return blob->err;
    }
    ALK_TRY(alk_unbase64(alk_span(plain, n), dst, room, &used));
    if (used > ALK_GIT_SSHSIG_BLOB_MAX) {
        return ALK_E_TOO_BIG;
    }
    alk_buf_added(blob, used);
    return ALK_OK;
}

/* --- numbers ------------------------------------------------------------------------- */

/* A positive multiple-precision integer [RFC 4251 §5] without its leading zero. */
static struct alk_span read_number(struct alk_rd *r, size_t max)
{
    struct alk_span s = alk_rd_block32(r, max + 1);
    bool is_padded = s.n > 1 && s.p[0] == 0 && s.p[1] < 0x80;
    if (s.n == 0 || s.p[0] >= 0x80 || is_padded || (s.n == 1 && s.p[0] == 0)) {
        alk_rd_fail(r, ALK_E_MALFORMED);
        return (struct alk_span){0};
    }
    s = s.p[0] == 0 ? alk_span_tail(s, 1) : s;
    if (s.n > max) {
        alk_rd_fail(r, ALK_E_TOO_BIG);
    }
    return s;
}

/* Everything of r is read, and nothing is missing. */
static alk_err read_end(const struct alk_rd *r)
{
    if (r->err == ALK_MORE || (r->err == ALK_OK && alk_rd_left(r) > 0)) {
        return ALK_E_MALFORMED;
    }
    return r->err;
}

/* --- key and signature --------------------------------------------------------------- */

static alk_err read_key(struct alk_git_sshsig *s)
{
    struct alk_rd r = alk_rd(s->key);
    struct alk_span type = alk_rd_block32(&r, STRING_MAX);
    if (alk_span_is(type, "ssh-ed25519")) {
        s->key_kind = ALK_GIT_SSHSIG_ED25519;
        s->ed25519 = alk_rd_block32(&r, ED25519_KEY);
        return s->ed25519.n == ED25519_KEY ? read_end(&r) : ALK_E_MALFORMED;
    }
    if (alk_span_is(type, "ecdsa-sha2-nistp256")) {
        s->key_kind = ALK_GIT_SSHSIG_P256;
        struct alk_span curve = alk_rd_block32(&r, STRING_MAX);
        s->point = alk_rd_block32(&r, P256_POINT);
        bool is_good =
            alk_span_is(curve, "nistp256") && s->point.n == P256_POINT && s->point.p[0] == 4;
        return is_good ? read_end(&r) : ALK_E_MALFORMED;
    }
    if (alk_span_is(type, "ssh-rsa")) {
        s->key_kind = ALK_GIT_SSHSIG_RSA;
        s->rsa_e = read_number(&r, 8);
        s->rsa_n = read_number(&r, STRING_MAX);
        return read_end(&r);
    }
    s->key_kind = ALK_GIT_SSHSIG_OTHER;
    return type.n > 0 ? ALK_OK : ALK_E_MALFORMED;
}

static alk_err read_ecdsa(struct alk_git_sshsig *s, struct alk_span value)
{
    struct alk_rd r = alk_rd(value);
    s->ecdsa_r = read_number(&r, P256_NUMBER);
    s->ecdsa_s = read_number(&r, P256_NUMBER);
    return read_end(&r);
}

static alk_err read_signature(struct alk_git_sshsig *s, struct alk_span blob)
{
    struct alk_rd r = alk_rd(blob);
    struct alk_span type = alk_rd_block32(&r, STRING_MAX);
    s->value = alk_rd_block32(&r, STRING_MAX);
    ALK_TRY(read_end(&r));
    switch (s->key_kind) {
    case ALK_GIT_SSHSIG_ED25519:
        return alk_span_is(type, "ssh-ed25519") && s->value.n == ED25519_VALUE ? ALK_OK
                                                                               : ALK_E_MALFORMED;
    case ALK_GIT_SSHSIG_P256:
        return alk_span_is(type, "ecdsa-sha2-nistp256") ? read_ecdsa(s, s->value) : ALK_E_MALFORMED;
    case ALK_GIT_SSHSIG_RSA:
        s->rsa_hash =
            alk_span_is(type, "rsa-sha2-512") ? ALK_GIT_SSHSIG_SHA512 : ALK_GIT_SSHSIG_SHA256;
        if (s->rsa_hash == ALK_GIT_SSHSIG_SHA256 && !alk_span_is(type, "rsa-sha2-256")) {
            return ALK_E_MALFORMED;
        }
        return s->value.n == s->rsa_n.n ? ALK_OK : ALK_E_MALFORMED;
    case ALK_GIT_SSHSIG_OTHER:
        break;
    }
    s->value = (struct alk_span){0};
    return ALK_OK;
}

static const char *const hash_names[] = {
    [ALK_GIT_SSHSIG_SHA256] = "sha256",
    [ALK_GIT_SSHSIG_SHA512] = "sha512",
};

static bool read_hash(struct alk_span name, enum alk_git_sshsig_hash *ret)
{
    *ret = alk_span_is(name, hash_names[ALK_GIT_SSHSIG_SHA512]) ? ALK_GIT_SSHSIG_SHA512
                                                                : ALK_GIT_SSHSIG_SHA256;
    return alk_span_is(name, hash_names[*ret]);
}

alk_err alk_git_sshsig_parse(struct alk_span blob, struct alk_git_sshsig *ret)
{
    struct alk_git_sshsig s = {0};
    struct alk_rd r = alk_rd(blob);
    if (blob.n > ALK_GIT_SSHSIG_BLOB_MAX) {
        return ALK_E_TOO_BIG;
    }
    struct alk_span magic = alk_rd_take(&r, sizeof(MAGIC) - 1);
    uint32_t version = alk_rd_u32(&r);
    if (r.err || !alk_span_is(magic, MAGIC)) {
        return ALK_E_MALFORMED;
    }
    if (version != FORMAT_VERSION) {
        return version > FORMAT_VERSION ? ALK_E_VERSION : ALK_E_MALFORMED;
    }
    s.key = alk_rd_block32(&r, STRING_MAX);
    s.ns = alk_rd_block32(&r, STRING_MAX);
    s.reserved = alk_rd_block32(&r, STRING_MAX);
    struct alk_span hash = alk_rd_block32(&r, STRING_MAX);
    struct alk_span signature = alk_rd_block32(&r, STRING_MAX);
    ALK_TRY(read_end(&r));
    if (s.ns.n > ALK_GIT_SSHSIG_NS_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (s.ns.n == 0 || !read_hash(hash, &s.hash)) {
        return ALK_E_MALFORMED;
    }
    ALK_TRY(read_key(&s));
    ALK_TRY(read_signature(&s, signature));
    *ret = s;
    return ALK_OK;
}

size_t alk_git_sshsig_hash_size(enum alk_git_sshsig_hash hash)
{
    return hash == ALK_GIT_SSHSIG_SHA512 ? SHA512_SIZE : SHA256_SIZE;
}

alk_err alk_git_sshsig_put_signed(struct alk_buf *b, const struct alk_git_sshsig *sig,
                                  struct alk_span message_hash)
{
    struct alk_wr w = alk_wr_buf(b);
    if (message_hash.n != alk_git_sshsig_hash_size(sig->hash)) {
        return ALK_E_INVALID;
    }
    alk_wr_bytes(&w, ALK_LIT(MAGIC));
    alk_wr_block32(&w, sig->ns);
    alk_wr_block32(&w, sig->reserved);
    alk_wr_block32(&w, alk_span_str(hash_names[sig->hash]));
    alk_wr_block32(&w, message_hash);
    return w.err;
}
