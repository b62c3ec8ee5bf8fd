/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/sshsig_verify.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <sodium.h>

enum { HASH_MAX = 64, SIGNED_MAX = 16384 };

static gnutls_datum_t datum(struct alk_span s)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)s.p, .size = (unsigned)s.n};
}

static alk_err hash_parts(enum alk_git_sshsig_hash kind, const struct alk_span *parts, size_t count,
                          uint8_t ret[static HASH_MAX])
{
    gnutls_hash_hd_t hash;
    int rv = gnutls_hash_init(&hash, kind == ALK_GIT_SSHSIG_SHA512 ? GNUTLS_DIG_SHA512
                                                                   : GNUTLS_DIG_SHA256);
    if (rv < 0) {
        return ALK_E_CRYPTO;
    }
    for (size_t i = 0; i < count && rv >= 0; i++) {
        rv = parts[i].n == 0 ? 0 : gnutls_hash(hash, parts[i].p, parts[i].n);
    }
    gnutls_hash_deinit(hash, ret);
    return rv < 0 ? ALK_E_CRYPTO : ALK_OK;
}

/* Both of these are given an initialised key. */
static alk_err verify_p256(gnutls_pubkey_t key, const struct alk_git_sshsig *sig,
                           const gnutls_datum_t *data)
{
    gnutls_datum_t x = datum(alk_span(sig->point.p + 1, 32));
    gnutls_datum_t y = datum(alk_span(sig->point.p + 33, 32));
    gnutls_datum_t r = datum(sig->ecdsa_r), s = datum(sig->ecdsa_s), value = {0};
    /* A point that is not on the curve is a bad signature too. */
    if (gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_SECP256R1, &x, &y) < 0) {
        return ALK_E_AUTH;
    }
    if (gnutls_encode_rs_value(&value, &r, &s) < 0) {
        return ALK_E_NOMEM;
    }
    int rv = gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, data, &value);
    gnutls_free(value.data);
    return rv < 0 ? ALK_E_AUTH : ALK_OK;
}

static alk_err verify_rsa(gnutls_pubkey_t key, const struct alk_git_sshsig *sig,
                          const gnutls_datum_t *data)
{
    gnutls_datum_t n = datum(sig->rsa_n), e = datum(sig->rsa_e), value = datum(sig->value);
    bool is_512 = sig->rsa_hash == ALK_GIT_SSHSIG_SHA512;
    if (gnutls_pubkey_import_rsa_raw(key, &n, &e) < 0) {
        return ALK_E_AUTH;
    }
    return gnutls_pubkey_verify_data2(key, is_512 ? GNUTLS_SIGN_RSA_SHA512 : GNUTLS_SIGN_RSA_SHA256,
                                      0, data, &value) < 0
               ? ALK_E_AUTH
               : ALK_OK;
}

static alk_err verify_signed(const struct alk_git_sshsig *sig, struct alk_span signed_bytes)
{
    if (sig->key_kind == ALK_GIT_SSHSIG_ED25519) {
        return crypto_sign_verify_detached(sig->value.p, signed_bytes.p, signed_bytes.n,
                                           sig->ed25519.p) == 0
                   ? ALK_OK
                   : ALK_E_AUTH;
    }
    gnutls_datum_t data = datum(signed_bytes);
    gnutls_pubkey_t key;
    if (gnutls_pubkey_init(&key) < 0) {
        return ALK_E_NOMEM;
    }
    alk_err err = sig->key_kind == ALK_GIT_SSHSIG_P256 ? verify_p256(key, sig, &data)
                                                       : verify_rsa(key, sig, &data);
    gnutls_pubkey_deinit(key);
    return err;
}

/* Larger RSA keys would cost more than they are worth. */
static bool is_supported(const struct alk_git_sshsig *sig)
{
    size_t bits = 8 * sig->rsa_n.n;
    return sig->key_kind != ALK_GIT_SSHSIG_OTHER &&
           (sig->key_kind != ALK_GIT_SSHSIG_RSA ||
            (bits >= ALK_GIT_SSHSIG_RSA_MIN && bits <= ALK_GIT_SSHSIG_RSA_MAX));
}

alk_err alk_git_sshsig_verify(const struct alk_mem *mem, const struct alk_git_sshsig *sig,
                              const char *ns, const struct alk_span *parts, size_t part_count)
{
    uint8_t hash[HASH_MAX];
    struct alk_buf b;
    if (!alk_span_is(sig->ns, ns)) {
        return ALK_E_AUTH;
    }
    if (!is_supported(sig)) {
        return ALK_E_UNSUPPORTED;
    }
    ALK_TRY(hash_parts(sig->hash, parts, part_count, hash));
    alk_buf_init(&b, mem, SIGNED_MAX);
    alk_err err =
        alk_git_sshsig_put_signed(&b, sig, alk_span(hash, alk_git_sshsig_hash_size(sig->hash)));
    if (err == ALK_OK) {
        err = verify_signed(sig, alk_buf_span(&b));
    }
    alk_buf_fini(&b);
    return err;
}

alk_err alk_git_sshsig_check(const struct alk_mem *mem, struct alk_span armor,
                             const struct alk_span *parts, size_t part_count,
                             struct alk_key_names *ret)
{
    struct alk_git_sshsig sig;
    struct alk_buf blob;
    alk_buf_init(&blob, mem, ALK_GIT_SSHSIG_BLOB_MAX);
    alk_err err = alk_git_sshsig_unarmor(armor, &blob);
    if (err == ALK_OK) {
        err = alk_git_sshsig_parse(alk_buf_span(&blob), &sig);
    }
    if (err == ALK_OK) {
        err = alk_git_sshsig_verify(mem, &sig, ALK_GIT_SSHSIG_NS, parts, part_count);
    }
    if (err == ALK_OK) {
        err = alk_key_names_from_ssh(sig.key, ret);
    }
    alk_buf_fini(&blob);
    return err;
}
