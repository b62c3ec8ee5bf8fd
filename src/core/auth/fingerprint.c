/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/fingerprint.h"

#include "base/text.h"
#include "base/wire.h"
#include "core/auth/why.h"

#include <sodium.h>

/* The head of every Ed25519 SubjectPublicKeyInfo [RFC 8410 §4]: the algorithm
 * has no parameters and the key is 32 bytes, so all that varies is the key. */
static const uint8_t ED25519_SPKI_HEAD[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                            0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_VERSION = 0xa0 /* [0] EXPLICIT */
};

/* Length octets in their only DER form [X.690 §10.1]: definite and shortest. A
 * second form would let two parsers see two different keys in one certificate. */
static size_t der_length(struct alk_rd *r)
{
    uint8_t first = alk_rd_u8(r);
    if (first < 0x80) {
        return first;
    }
    size_t octets = (size_t)first & 0x7f;
    if (octets == 0 || octets > 3) {
        alk_rd_fail(r, ALK_E_MALFORMED);
        return 0;
    }
    size_t len = 0;
    for (size_t i = 0; i < octets; i++) {
        len = len << 8 | alk_rd_u8(r);
    }
    if (len < 0x80 || (len >> 8 * (octets - 1)) == 0) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
    return len;
}

/* The content of the next element, which must have this tag. */
static struct alk_span der_take(struct alk_rd *r, uint8_t tag)
{
    if (alk_rd_u8(r) != tag) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
    size_t len = der_length(r);
    return alk_rd_take(r, len);
}

/* The next element with its head. */
static struct alk_span der_take_whole(struct alk_rd *r, uint8_t tag)
{
    const uint8_t *start = r->p;
    (void)der_take(r, tag);
    return r->err ? (struct alk_span){NULL, 0} : alk_span(start, (size_t)(r->p - start));
}

static alk_err der_check_end(const struct alk_rd *r)
{
    /* What is cut off is as wrong as what is too long: the input is whole. */
    return r->err != ALK_OK || alk_rd_left(r) != 0 ? ALK_E_MALFORMED : ALK_OK;
}

static alk_err spki_check(struct alk_span spki)
{
    struct alk_rd r = alk_rd(spki);
    struct alk_span body = der_take(&r, DER_SEQUENCE);
    ALK_TRY(der_check_end(&r));

    struct alk_rd in = alk_rd(body);
    struct alk_span algorithm = der_take(&in, DER_SEQUENCE);
    struct alk_span bits = der_take(&in, DER_BIT_STRING);
    ALK_TRY(der_check_end(&in));

    struct alk_rd a = alk_rd(algorithm);
    struct alk_span oid = der_take(&a, DER_OID);
    /* At least the count of unused bits and one byte of key. */
    return a.err != ALK_OK || oid.n == 0 || bits.n < 2 ? ALK_E_MALFORMED : ALK_OK;
}

/* TBSCertificate [RFC 5280 §4.1]: the key is the seventh field, or the sixth of
 * a version 1 certificate, which has no version. */
static alk_err tbs_spki(struct alk_span tbs, struct alk_span *ret)
{
    struct alk_rd r = alk_rd(tbs);
    if (tbs.n > 0 && tbs.p[0] == DER_VERSION) {
        (void)der_take(&r, DER_VERSION);
    }
    (void)der_take(&r, DER_INTEGER);  /* serialNumber */
    (void)der_take(&r, DER_SEQUENCE); /* signature */
    (void)der_take(&r, DER_SEQUENCE); /* issuer */
    (void)der_take(&r, DER_SEQUENCE); /* validity */
    (void)der_take(&r, DER_SEQUENCE); /* subject */
    struct alk_span spki = der_take_whole(&r, DER_SEQUENCE);
    if (r.err != ALK_OK) {
        return ALK_E_MALFORMED;
    }
    ALK_TRY(spki_check(spki));
    *ret = spki;
    return ALK_OK;
}

alk_err alk_x509_spki(struct alk_span der, struct alk_span *ret)
{
    if (der.n > ALK_KEY_DER_MAX) {
        return ALK_E_TOO_BIG;
    }
    struct alk_rd r = alk_rd(der);
    struct alk_span cert = der_take(&r, DER_SEQUENCE);
    ALK_TRY(der_check_end(&r));

    struct alk_rd in = alk_rd(cert);
    struct alk_span tbs = der_take(&in, DER_SEQUENCE);
    (void)der_take(&in, DER_SEQUENCE);   /* signatureAlgorithm */
    (void)der_take(&in, DER_BIT_STRING); /* signature */
    ALK_TRY(der_check_end(&in));
    return tbs_spki(tbs, ret);
}

bool alk_spki_ed25519(struct alk_span spki, uint8_t ret[static ALK_ED25519_SIZE])
{
    if (spki.n != ALK_ED25519_SPKI_SIZE || /* a public key */
        !alk_span_equal(alk_span_head(spki, sizeof(ED25519_SPKI_HEAD)),
                        alk_span(ED25519_SPKI_HEAD, sizeof(ED25519_SPKI_HEAD)))) {
        return false;
    }
    memcpy(ret, spki.p + sizeof(ED25519_SPKI_HEAD), ALK_ED25519_SIZE);
    return true;
}

void alk_ed25519_spki(const uint8_t key[static ALK_ED25519_SIZE],
                      uint8_t ret[static ALK_ED25519_SPKI_SIZE])
{
    memcpy(ret, ED25519_SPKI_HEAD, sizeof(ED25519_SPKI_HEAD));
    memcpy(ret + sizeof(ED25519_SPKI_HEAD), key, ALK_ED25519_SIZE);
}

/* The next free name: a prefix and the hex of 32 bytes. */
static void add_hex(struct alk_key_names *names, const char *prefix, const uint8_t bytes[static 32])
{
    char *dst = names->name[names->count++];
    size_t n = strlen(prefix);
    memcpy(dst, prefix, n);
    bool fits = alk_hex(alk_span(bytes, 32), dst + n, ALK_FINGERPRINT_MAX - n);
    ALK_ASSERT(fits);
}

static void add_hash(struct alk_key_names *names, const char *prefix, struct alk_span of)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, of.p, of.n);
    add_hex(names, prefix, hash);
}

/* OpenSSH's name of a public key blob. */
static void add_ssh(struct alk_key_names *names, struct alk_span blob)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, blob.p, blob.n);
    char *dst = names->name[names->count++];
    memcpy(dst, "SHA256:", 7);
    bool fits = alk_base64_bare(alk_span(hash, sizeof(hash)), dst + 7, ALK_FINGERPRINT_MAX - 7);
    ALK_ASSERT(fits);
}

/* The SSH wire form [RFC 8709 §4]: string "ssh-ed25519", string key. */
enum { SSH_ED25519_SIZE = 4 + 11 + 4 + ALK_ED25519_SIZE };

static void ed25519_ssh_blob(const uint8_t key[static ALK_ED25519_SIZE],
                             uint8_t ret[static SSH_ED25519_SIZE])
{
    struct alk_wr w = alk_wr(ret, SSH_ED25519_SIZE);
    alk_wr_block32(&w, ALK_LIT("ssh-ed25519"));
    alk_wr_block32(&w, alk_span(key, ALK_ED25519_SIZE));
    ALK_ASSERT(w.err == ALK_OK);
}

/* All names, with the certificate's between, as the context lists them. */
static void name_key(struct alk_span spki, struct alk_span cert, struct alk_key_names *ret)
{
    struct alk_key_names names = {.count = 0};
    names.is_ed25519 = alk_spki_ed25519(spki, names.ed25519);
    if (names.is_ed25519) {
        add_hex(&names, "ed25519:", names.ed25519);
    }
    add_hash(&names, "spki:", spki);
    if (cert.n > 0) {
        add_hash(&names, "cert:", cert);
    }
    if (names.is_ed25519) {
        uint8_t blob[SSH_ED25519_SIZE];
        ed25519_ssh_blob(names.ed25519, blob);
        add_ssh(&names, alk_span(blob, sizeof(blob)));
    }
    *ret = names;
}

void alk_key_names_from_ed25519(const uint8_t key[static ALK_ED25519_SIZE],
                                struct alk_key_names *ret)
{
    uint8_t spki[ALK_ED25519_SPKI_SIZE];
    alk_ed25519_spki(key, spki);
    name_key(alk_span(spki, sizeof(spki)), alk_span(NULL, 0), ret);
}

alk_err alk_key_names_from_tls(enum alk_cert_kind kind, struct alk_span der,
                               struct alk_key_names *ret)
{
    if (der.n > ALK_KEY_DER_MAX) {
        return ALK_E_TOO_BIG;
    }
    struct alk_span spki = der, cert = {NULL, 0};
    switch (kind) {
    case ALK_CERT_NONE:
        return ALK_E_INVALID;
    case ALK_CERT_RAW_KEY:
        ALK_TRY(spki_check(spki));
        break;
    case ALK_CERT_X509:
        cert = der;
        ALK_TRY(alk_x509_spki(der, &spki));
        break;
    }
    name_key(spki, cert, ret);
    return ALK_OK;
}

/* The raw key of an ssh-ed25519 blob; false for every other blob. */
static bool ssh_blob_ed25519(struct alk_span blob, uint8_t ret[static ALK_ED25519_SIZE])
{
    struct alk_rd r = alk_rd(blob);
    struct alk_span kind = alk_rd_block32(&r, 64);
    struct alk_span key = alk_rd_block32(&r, ALK_ED25519_SIZE);
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || !alk_span_is(kind, "ssh-ed25519") ||
        key.n != ALK_ED25519_SIZE) {
        return false;
    }
    memcpy(ret, key.p, ALK_ED25519_SIZE);
    return true;
}

alk_err alk_key_names_from_ssh(struct alk_span blob, struct alk_key_names *ret)
{
    if (blob.n > ALK_KEY_DER_MAX) {
        return ALK_E_TOO_BIG;
    }
    uint8_t key[ALK_ED25519_SIZE];
    if (ssh_blob_ed25519(blob, key)) {
        alk_key_names_from_ed25519(key, ret);
        return ALK_OK;
    }
    struct alk_rd r = alk_rd(blob);
    struct alk_span kind = alk_rd_block32(&r, 64);
    /* A blob that calls itself ssh-ed25519 and is none has no name. */
    if (r.err != ALK_OK || kind.n == 0 || alk_rd_left(&r) == 0 ||
        alk_span_is(kind, "ssh-ed25519")) {
        return ALK_E_MALFORMED;
    }
    struct alk_key_names names = {.count = 0};
    add_ssh(&names, blob);
    *ret = names;
    return ALK_OK;
}

void alk_key_address(const uint8_t key[static ALK_ED25519_SIZE],
                     char ret[static ALK_Z32_ADDRESS_SIZE])
{
    bool fits = alk_z32(alk_span(key, ALK_ED25519_SIZE), ret, ALK_Z32_ADDRESS_SIZE);
    ALK_ASSERT(fits);
}

alk_err alk_key_from_address(struct alk_span text, uint8_t ret[static ALK_ED25519_SIZE])
{
    uint8_t key[ALK_ED25519_SIZE];
    size_t n = 0;
    if (text.n != ALK_Z32_KEY || alk_unz32(text, key, sizeof(key), &n) != ALK_OK ||
        n != sizeof(key)) {
        return ALK_E_INVALID;
    }
    memcpy(ret, key, sizeof(key));
    return ALK_OK;
}

/* 64 hex digits, either case. */
static bool unhex_32(struct alk_span text, uint8_t ret[static 32])
{
    size_t n = 0;
    return text.n == 64 && alk_unhex(text, ret, 32, &n) == ALK_OK && n == 32;
}

static alk_err parse_hex(struct alk_span hex, const char *prefix,
                         char ret[static ALK_FINGERPRINT_MAX], char *why, size_t why_size)
{
    uint8_t bytes[32];
    if (!unhex_32(hex, bytes)) {
        return alk_why(why, why_size, "'%s' is followed by 64 hexadecimal digits", prefix);
    }
    struct alk_key_names names = {.count = 0};
    add_hex(&names, prefix, bytes);
    memcpy(ret, names.name[0], ALK_FINGERPRINT_MAX);
    return ALK_OK;
}

static alk_err parse_sha256(struct alk_span b64, char ret[static ALK_FINGERPRINT_MAX], char *why,
                            size_t why_size)
{
    uint8_t bytes[32];
    size_t n = 0;
    if (alk_unbase64(b64, bytes, sizeof(bytes), &n) != ALK_OK || n != sizeof(bytes)) {
        return alk_why(why, why_size,
                       "'SHA256:' is followed by 43 base64 characters, as ssh-keygen -l prints");
    }
    char name[ALK_FINGERPRINT_MAX] = "SHA256:";
    bool fits = alk_base64_bare(alk_span(bytes, sizeof(bytes)), name + 7, sizeof(name) - 7);
    ALK_ASSERT(fits);
    memcpy(ret, name, sizeof(name));
    return ALK_OK;
}

static void print_ed25519(const uint8_t key[static ALK_ED25519_SIZE],
                          char ret[static ALK_FINGERPRINT_MAX])
{
    struct alk_key_names names = {.count = 0};
    add_hex(&names, "ed25519:", key);
    memcpy(ret, names.name[0], ALK_FINGERPRINT_MAX);
}

/* "ssh-ed25519 AAAA... comment": the comment is ignored, options before the type
 * are not taken, because alknet would not honour them. */
static alk_err parse_ssh_line(struct alk_span rest, char ret[static ALK_FINGERPRINT_MAX], char *why,
                              size_t why_size)
{
    rest = alk_span_trim(rest);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != ' ' && rest.p[end] != '\t') {
        end++;
    }
    uint8_t blob[SSH_ED25519_SIZE], key[ALK_ED25519_SIZE];
    size_t n = 0;
    if (alk_unbase64(alk_span_head(rest, end), blob, sizeof(blob), &n) != ALK_OK ||
        !ssh_blob_ed25519(alk_span(blob, n), key)) {
        return alk_why(why, why_size,
                       "'ssh-ed25519' is followed by the base64 of an Ed25519 public key");
    }
    print_ed25519(key, ret);
    return ALK_OK;
}

alk_err alk_key_parse(struct alk_span text, char ret[static ALK_FINGERPRINT_MAX], char *why,
                      size_t why_size)
{
    static const char *const hex_prefixes[] = {"ed25519:", "spki:", "cert:"};

    text = alk_span_trim(text);
    for (size_t i = 0; i < sizeof(hex_prefixes) / sizeof(hex_prefixes[0]); i++) {
        struct alk_span prefix = alk_span_str(hex_prefixes[i]);
        if (alk_span_starts(text, prefix)) {
            return parse_hex(alk_span_tail(text, prefix.n), hex_prefixes[i], ret, why, why_size);
        }
    }
    if (alk_span_starts(text, ALK_LIT("SHA256:"))) {
        return parse_sha256(alk_span_tail(text, 7), ret, why, why_size);
    }
    if (alk_span_starts(text, ALK_LIT("ssh-ed25519 ")) ||
        alk_span_starts(text, ALK_LIT("ssh-ed25519\t"))) {
        return parse_ssh_line(alk_span_tail(text, 12), ret, why, why_size);
    }
    uint8_t key[ALK_ED25519_SIZE];
    if (alk_key_from_address(text, key) == ALK_OK) {
        print_ed25519(key, ret);
        return ALK_OK;
    }
    if (alk_span_starts(text, ALK_LIT("ssh-")) || alk_span_starts(text, ALK_LIT("ecdsa-")) ||
        alk_span_starts(text, ALK_LIT("sk-"))) {
        return alk_why(why, why_size,
                       "only ssh-ed25519 lines are taken; name other keys by SHA256:...");
    }
    return alk_why(why, why_size,
                   "not a key: ed25519:, spki: or cert: with 64 hex digits, SHA256:..., "
                   "ssh-ed25519 AAAA..., or an address of 52 characters");
}

bool alk_key_name_ed25519(const char *name, uint8_t ret[static ALK_ED25519_SIZE])
{
    struct alk_span s = alk_span_str(name);
    uint8_t key[ALK_ED25519_SIZE];
    if (!alk_span_starts(s, ALK_LIT("ed25519:")) || !unhex_32(alk_span_tail(s, 8), key)) {
        return false;
    }
    memcpy(ret, key, sizeof(key));
    return true;
}
