/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/key.h"

#include "base/ct.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/wire.h"

#include <sodium.h>

/* --- alk_key ------------------------------------------------------------------- */

void alk_key_public_of(const uint8_t seed[static 32], uint8_t ret[static 32])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    (void)crypto_sign_seed_keypair(ret, secret, seed); /* never fails */
    alk_wipe(secret, sizeof secret);
}

alk_err alk_key_new(const struct alk_mem *mem, const uint8_t seed[static 32], struct alk_key **ret)
{
    struct alk_key *key = ALK_NEW(mem, struct alk_key);
    if (key == NULL) {
        return ALK_E_NOMEM;
    }
    key->mem = mem;
    memcpy(key->seed, seed, sizeof key->seed);
    alk_key_public_of(seed, key->public_key);
    *ret = key;
    return ALK_OK;
}

void alk_key_free(struct alk_key *key)
{
    if (key != NULL) {
        alk_free_secret(key->mem, key, sizeof *key);
    }
}

const uint8_t *alk_key_public(const struct alk_key *key)
{
    return key->public_key;
}

/* --- PEM ------------------------------------------------------------------------- */

enum { DER_MAX = 8192 };

/* The decoded body of the first PEM block of this label. ALK_E_NOENT: none. */
static alk_err pem_body(struct alk_span text, const char *begin, const char *end, uint8_t *dst,
                        size_t dst_size, size_t *ret_n)
{
    char flat[ALK_BASE64_SIZE(DER_MAX)];
    size_t n = 0;
    bool is_inside = false;
    alk_err err = ALK_E_NOENT;
    while (text.n > 0) {
        struct alk_span line = alk_span_cut(&text, '\n');
        line = line.n > 0 && line.p[line.n - 1] == '\r' ? alk_span_head(line, line.n - 1) : line;
        line = alk_span_trim(line);
        if (!is_inside) {
            is_inside = alk_span_is(line, begin);
            err = is_inside ? ALK_E_MALFORMED : err;
            continue;
        }
        if (alk_span_is(line, end)) {
            err = alk_unbase64(alk_span(flat, n), dst, dst_size, ret_n);
            break;
        }
        if (line.n > sizeof flat - n) {
            err = ALK_E_TOO_BIG;
            break;
        }
        if (line.n > 0) {
            memcpy(flat + n, line.p, line.n);
            n += line.n;
        }
    }
    alk_wipe(flat, sizeof flat);
    return err;
}

/* --- PKCS#8 ------------------------------------------------------------------------ */

/* The content of a DER value with this tag, definite length in its shortest form. */
static struct alk_span der_take(struct alk_rd *r, uint8_t tag)
{
    if (alk_rd_u8(r) != tag) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
    size_t n = alk_rd_u8(r);
    if (n == 0x81) {
        n = alk_rd_u8(r);
        if (n < 0x80) {
            alk_rd_fail(r, ALK_E_MALFORMED);
        }
    } else if (n == 0x82) {
        n = alk_rd_u16(r);
        if (n < 0x100) {
            alk_rd_fail(r, ALK_E_MALFORMED);
        }
    } else if (n >= 0x80) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
    return alk_rd_take(r, n);
}

enum { DER_INTEGER = 0x02, DER_OCTETS = 0x04, DER_OID = 0x06, DER_SEQUENCE = 0x30 };
/* [RFC 5958 §2] publicKey [1] IMPLICIT BIT STRING */
enum { DER_PUBLIC = 0x81 };

static bool is_seed_of(const uint8_t seed[static 32], struct alk_span public_key)
{
    uint8_t own[ALK_ED25519_KEY];
    alk_key_public_of(seed, own);
    return public_key.n == sizeof own && memcmp(own, public_key.p, sizeof own) == 0; /* public */
}

/* [RFC 8410 §7] OneAsymmetricKey with id-Ed25519, version 0 or 1. */
static alk_err parse_pkcs8(struct alk_span der, uint8_t ret_seed[static 32])
{
    static const uint8_t ed25519[] = {0x2b, 0x65, 0x70};
    struct alk_rd all = alk_rd(der);
    struct alk_rd r = alk_rd(der_take(&all, DER_SEQUENCE));
    struct alk_span version = der_take(&r, DER_INTEGER);
    struct alk_rd algorithm = alk_rd(der_take(&r, DER_SEQUENCE));
    struct alk_span oid = der_take(&algorithm, DER_OID);
    struct alk_rd outer = alk_rd(der_take(&r, DER_OCTETS));
    if (all.err != ALK_OK || r.err != ALK_OK || algorithm.err != ALK_OK || alk_rd_left(&all) != 0 ||
        version.n != 1 || version.p[0] > 1) {
        return ALK_E_MALFORMED;
    }
    /* an algorithm, not secret */
    if (!alk_span_equal(oid, alk_span(ed25519, sizeof ed25519))) {
        return ALK_E_INVALID;
    }
    struct alk_span seed = der_take(&outer, DER_OCTETS);
    if (outer.err != ALK_OK || alk_rd_left(&outer) != 0 || seed.n != ALK_ED25519_SEED) {
        return ALK_E_MALFORMED;
    }
    while (alk_rd_left(&r) > 0) { /* attributes are skipped, the public key must fit */
        uint8_t tag = *r.p;
        struct alk_span v = der_take(&r, tag);
        if (r.err != ALK_OK || (tag == DER_PUBLIC && (v.n != 33 || v.p[0] != 0 ||
                                                      !is_seed_of(seed.p, alk_span_tail(v, 1))))) {
            return ALK_E_MALFORMED;
        }
    }
    memcpy(ret_seed, seed.p, ALK_ED25519_SEED);
    return ALK_OK;
}

/* --- OpenSSH ------------------------------------------------------------------------- */

/* The private section: check numbers twice, the key, a comment, padding 1 2 3 ... */
static alk_err parse_openssh_private(struct alk_span section, uint8_t ret_seed[static 32])
{
    struct alk_rd r = alk_rd(section);
    uint32_t check = alk_rd_u32(&r);
    if (alk_rd_u32(&r) != check) {
        return ALK_E_MALFORMED;
    }
    struct alk_span type = alk_rd_block32(&r, DER_MAX);
    if (r.err != ALK_OK) {
        return ALK_E_MALFORMED;
    }
    if (!alk_span_is(type, "ssh-ed25519")) {
        return ALK_E_INVALID;
    }
    struct alk_span public_key = alk_rd_block32(&r, DER_MAX);
    struct alk_span private_key = alk_rd_block32(&r, DER_MAX); /* seed, then the public key */
    (void)alk_rd_block32(&r, DER_MAX);                         /* comment */
    if (r.err != ALK_OK || public_key.n != ALK_ED25519_KEY || private_key.n != 64 ||
        /* the public key, which the format holds twice */
        !alk_span_equal(public_key, alk_span_tail(private_key, 32)) ||
        !is_seed_of(private_key.p, public_key)) {
        return ALK_E_MALFORMED;
    }
    struct alk_span padding = alk_rd_take(&r, alk_rd_left(&r));
    for (size_t i = 0; i < padding.n; i++) {
        if (padding.p[i] != (uint8_t)(i + 1)) {
            return ALK_E_MALFORMED;
        }
    }
    memcpy(ret_seed, private_key.p, ALK_ED25519_SEED);
    return ALK_OK;
}

/* openssh/PROTOCOL.key */
static alk_err parse_openssh(struct alk_span blob, uint8_t ret_seed[static 32])
{
    static const char magic[] = "openssh-key-v1"; /* its zero counts */
    struct alk_rd r = alk_rd(blob);
    struct alk_span head = alk_rd_take(&r, sizeof magic);
    struct alk_span cipher = alk_rd_block32(&r, DER_MAX);
    struct alk_span kdf = alk_rd_block32(&r, DER_MAX);
    struct alk_span kdf_options = alk_rd_block32(&r, DER_MAX);
    uint32_t count = alk_rd_u32(&r);
    /* the format's name, not secret */
    if (r.err != ALK_OK || !alk_span_equal(head, alk_span(magic, sizeof magic))) {
        return ALK_E_MALFORMED;
    }
    if (!alk_span_is(cipher, "none") || !alk_span_is(kdf, "none")) {
        return ALK_E_UNSUPPORTED;
    }
    (void)alk_rd_block32(&r, DER_MAX); /* the public key, again inside the section */
    struct alk_span section = alk_rd_block32(&r, DER_MAX);
    if (r.err != ALK_OK || kdf_options.n != 0 || count != 1 || alk_rd_left(&r) != 0) {
        return ALK_E_MALFORMED;
    }
    return parse_openssh_private(section, ret_seed);
}

/* --- files ----------------------------------------------------------------------------- */

static alk_err by_label(struct alk_span text, uint8_t *body, size_t size, uint8_t *ret_seed)
{
    static const char *const foreign[] = {
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----",
        "-----BEGIN DSA PRIVATE KEY-----",
    };
    size_t n = 0;
    alk_err err =
        pem_body(text, "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", body, size, &n);
    if (err != ALK_E_NOENT) {
        return err == ALK_OK ? parse_pkcs8(alk_span(body, n), ret_seed) : err;
    }
    err = pem_body(text, "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----",
                   body, size, &n);
    if (err != ALK_E_NOENT) {
        return err == ALK_OK ? parse_openssh(alk_span(body, n), ret_seed) : err;
    }
    if (alk_span_starts(alk_span_trim(text), ALK_LIT("-----BEGIN ENCRYPTED PRIVATE KEY-----"))) {
        return ALK_E_UNSUPPORTED;
    }
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (alk_span_starts(alk_span_trim(text), alk_span_str(foreign[i]))) {
            return ALK_E_INVALID;
        }
    }
    return ALK_E_MALFORMED;
}

alk_err alk_key_parse_seed(struct alk_span text, uint8_t ret_seed[static 32])
{
    uint8_t body[DER_MAX];
    if (text.n > ALK_KEY_FILE_MAX) {
        return ALK_E_TOO_BIG;
    }
    alk_err err = by_label(text, body, sizeof body, ret_seed);
    alk_wipe(body, sizeof body);
    return err;
}

const char *alk_key_parse_text(alk_err err)
{
    if (err == ALK_E_UNSUPPORTED) {
        return "the key is encrypted: decrypt a copy with `ssh-keygen -p -N \"\" -f FILE`";
    }
    if (err == ALK_E_INVALID) {
        return "the key is not Ed25519: make one with `ssh-keygen -t ed25519 -f FILE`";
    }
    if (err == ALK_E_TOO_BIG) {
        return "the file is too big for a private key";
    }
    if (err == ALK_E_MALFORMED) {
        return "the file is not a private key in PEM (PKCS#8) or OpenSSH format";
    }
    return alk_err_text(err);
}

alk_err alk_key_print_pem(const uint8_t seed[static 32], struct alk_buf *ret)
{
    static const uint8_t head[16] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                     0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
    uint8_t der[sizeof head + ALK_ED25519_SEED];
    char text[ALK_BASE64_SIZE(sizeof der)];
    memcpy(der, head, sizeof head);
    memcpy(der + sizeof head, seed, ALK_ED25519_SEED);
    (void)alk_base64(alk_span(der, sizeof der), text, sizeof text); /* 64 characters: one line */
    alk_err err =
        alk_buf_printf(ret, "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n", text);
    alk_wipe(der, sizeof der);
    alk_wipe(text, sizeof text);
    return err;
}
