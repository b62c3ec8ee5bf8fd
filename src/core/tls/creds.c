/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/creds.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/auth/fingerprint.h"
#include "core/tls/internal.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <limits.h>

/* [RFC 8410 §7] version 0, id-Ed25519, OCTET STRING of an OCTET STRING */
static const uint8_t pkcs8_head[16] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                       0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

/* A PEM file of this size holds hundreds of certificates. */
#define PEM_MAX ((size_t)4 << 20)

struct alk_tls_creds {
    atomic_size_t refs;
    const struct alk_mem *mem;
    gnutls_certificate_credentials_t handle;
    bool has_raw_key, has_x509;
    uint8_t cert_sha256[32];
    uint64_t not_before, not_after;
    uint8_t roots[32];
};

static void explain(char *why, size_t why_size, const char *what, const char *detail)
{
    if (why != NULL && why_size > 0) {
        (void)snprintf(why, why_size, "%s: %s", what, detail);
    }
}

static alk_err from_gnutls(int rv)
{
    return rv == GNUTLS_E_MEMORY_ERROR ? ALK_E_NOMEM : ALK_E_CRYPTO;
}

static gnutls_datum_t datum(struct alk_span s)
{
    /* GnuTLS takes no const; it only reads. */
    union {
        const uint8_t *in;
        uint8_t *out;
    } p = {.in = s.p};
    return (gnutls_datum_t){.data = p.out, .size = (unsigned)s.n};
}

static alk_err add_raw_key(struct alk_tls_creds *c, const uint8_t seed[static 32], char *why,
                           size_t why_size)
{
    uint8_t pkcs8[sizeof pkcs8_head + ALK_ED25519_SEED];
    uint8_t public_key[ALK_ED25519_KEY];
    uint8_t spki[ALK_ED25519_SPKI_SIZE];
    memcpy(pkcs8, pkcs8_head, sizeof pkcs8_head);
    memcpy(pkcs8 + sizeof pkcs8_head, seed, ALK_ED25519_SEED);
    alk_key_public_of(seed, public_key);
    alk_ed25519_spki(public_key, spki);

    gnutls_datum_t pub = {.data = spki, .size = sizeof spki};
    gnutls_datum_t priv = {.data = pkcs8, .size = sizeof pkcs8};
    int rv = gnutls_certificate_set_rawpk_key_mem(c->handle, &pub, &priv, GNUTLS_X509_FMT_DER, NULL,
                                                  0, NULL, 0, 0);
    alk_wipe(pkcs8, sizeof pkcs8);
    if (rv < 0) {
        explain(why, why_size, "the node key cannot be used", gnutls_strerror(rv));
        return from_gnutls(rv);
    }
    c->has_raw_key = true;
    return ALK_OK;
}

/* What describes the leaf certificate. */
static int read_leaf(struct alk_tls_creds *c, unsigned index)
{
    gnutls_datum_t der;
    gnutls_x509_crt_t crt = NULL;
    int rv = gnutls_certificate_get_crt_raw(c->handle, index, 0, &der);
    if (rv < 0) {
        return rv;
    }
    rv = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, c->cert_sha256);
    if (rv < 0) {
        return rv;
    }
    rv = gnutls_x509_crt_init(&crt);
    if (rv < 0) {
        return rv;
    }
    rv = gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER);
    if (rv >= 0) {
        time_t from = gnutls_x509_crt_get_activation_time(crt);
        time_t to = gnutls_x509_crt_get_expiration_time(crt);
        c->not_before = from < 0 ? 0 : (uint64_t)from;
        c->not_after = to < 0 ? 0 : (uint64_t)to;
    }
    gnutls_x509_crt_deinit(crt);
    return rv;
}

static alk_err add_x509(struct alk_tls_creds *c, struct alk_span chain, struct alk_span key,
                        char *why, size_t why_size)
{
    if (key.n == 0 || chain.n > PEM_MAX || key.n > PEM_MAX) {
        explain(why, why_size, "the certificate cannot be used",
                key.n == 0 ? "its private key is missing" : "the file is too big");
        return ALK_E_CRYPTO;
    }
    gnutls_datum_t cert_pem = datum(chain);
    gnutls_datum_t key_pem = datum(key);
    int rv = gnutls_certificate_set_x509_key_mem2(c->handle, &cert_pem, &key_pem,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rv >= 0) {
        /* With API_V2 the result is the index of what was added. */
        rv = read_leaf(c, (unsigned)rv);
    }
    if (rv < 0) {
        explain(why, why_size, "the certificate cannot be used",
                rv == GNUTLS_E_CERTIFICATE_KEY_MISMATCH
                    ? "its private key belongs to another certificate"
                    : gnutls_strerror(rv));
        return from_gnutls(rv);
    }
    c->has_x509 = true;
    return ALK_OK;
}

static alk_err name_roots(struct alk_tls_creds *c, const struct alk_tls_creds_options *o)
{
    gnutls_hash_hd_t hash;
    int rv = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);
    if (rv < 0) {
        return from_gnutls(rv);
    }
    uint8_t system = o->use_system_ca ? 1 : 0;
    rv = gnutls_hash(hash, &system, 1);
    if (rv >= 0 && o->ca_pem.n > 0) {
        rv = gnutls_hash(hash, o->ca_pem.p, o->ca_pem.n);
    }
    gnutls_hash_deinit(hash, c->roots);
    return rv < 0 ? from_gnutls(rv) : ALK_OK;
}

static alk_err add_roots(struct alk_tls_creds *c, const struct alk_tls_creds_options *o, char *why,
                         size_t why_size)
{
    if (o->use_system_ca) {
        int rv = gnutls_certificate_set_x509_system_trust(c->handle);
        /* A machine without any is told so when a certificate is checked. */
        if (rv < 0 && rv != GNUTLS_E_UNIMPLEMENTED_FEATURE && rv != GNUTLS_E_FILE_ERROR) {
            explain(why, why_size, "the system's certificates cannot be read", gnutls_strerror(rv));
            return from_gnutls(rv);
        }
    }
    if (o->ca_pem.n > 0) {
        gnutls_datum_t pem = datum(alk_span_head(o->ca_pem, PEM_MAX));
        int rv = gnutls_certificate_set_x509_trust_mem(c->handle, &pem, GNUTLS_X509_FMT_PEM);
        if (rv <= 0) {
            explain(why, why_size, "the CA file cannot be used",
                    rv == 0 ? "it holds no certificate" : gnutls_strerror(rv));
            return rv == 0 ? ALK_E_CRYPTO : from_gnutls(rv);
        }
    }
    return ALK_OK;
}

static alk_err fill(struct alk_tls_creds *c, const struct alk_tls_creds_options *o, char *why,
                    size_t why_size)
{
    int rv = gnutls_certificate_allocate_credentials(&c->handle);
    if (rv < 0) {
        return from_gnutls(rv);
    }
    gnutls_certificate_set_flags(c->handle, GNUTLS_CERTIFICATE_API_V2);
    if (o->seed != NULL) {
        ALK_TRY(add_raw_key(c, o->seed, why, why_size));
    }
    if (o->chain_pem.n > 0) {
        ALK_TRY(add_x509(c, o->chain_pem, o->key_pem, why, why_size));
    }
    ALK_TRY(name_roots(c, o));
    return add_roots(c, o, why, why_size);
}

alk_err alk_tls_creds_new(const struct alk_tls_creds_options *options, char *why, size_t why_size,
                          struct alk_tls_creds **ret)
{
    explain(why, why_size, "the credentials cannot be loaded", "out of memory");
    struct alk_tls_creds *c = ALK_NEW(options->mem, struct alk_tls_creds);
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    c->mem = options->mem;
    atomic_init(&c->refs, 1);
    alk_err err = fill(c, options, why, why_size);
    if (err != ALK_OK) {
        alk_tls_creds_unref(c);
        return err;
    }
    if (why != NULL && why_size > 0) {
        why[0] = '\0';
    }
    *ret = c;
    return ALK_OK;
}

struct alk_tls_creds *alk_tls_creds_ref(struct alk_tls_creds *creds)
{
    (void)atomic_fetch_add_explicit(&creds->refs, 1, memory_order_relaxed);
    return creds;
}

void alk_tls_creds_unref(struct alk_tls_creds *creds)
{
    if (creds == NULL || atomic_fetch_sub_explicit(&creds->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (creds->handle != NULL) {
        gnutls_certificate_free_credentials(creds->handle);
    }
    alk_free(creds->mem, creds);
}

bool alk_tls_creds_has_raw_key(const struct alk_tls_creds *creds)
{
    return creds->has_raw_key;
}

bool alk_tls_creds_has_x509(const struct alk_tls_creds *creds)
{
    return creds->has_x509;
}

bool alk_tls_creds_cert(const struct alk_tls_creds *creds, uint8_t ret_sha256[static 32],
                        uint64_t *ret_not_before, uint64_t *ret_not_after)
{
    if (!creds->has_x509) {
        return false;
    }
    memcpy(ret_sha256, creds->cert_sha256, sizeof creds->cert_sha256);
    *ret_not_before = creds->not_before;
    *ret_not_after = creds->not_after;
    return true;
}

const uint8_t *alk_tls_creds_roots(const struct alk_tls_creds *creds)
{
    return creds->roots;
}

gnutls_certificate_credentials_t alk_tls_creds_handle(const struct alk_tls_creds *creds)
{
    return creds->handle;
}
