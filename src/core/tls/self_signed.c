/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/ct.h"
#include "base/mem.h"
#include "core/addr.h"
#include "core/tls/creds.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#define DAY_S          ((uint64_t)86400)
/* Browsers refuse serverCertificateHashes beyond 14 days, both ends included. */
#define LIFETIME_MAX_S (14 * DAY_S - 1)
/* Clocks of other machines may be behind ours. */
#define BACKDATE_S     ((uint64_t)3600)

static alk_err from_gnutls(int rv)
{
    if (rv >= 0) {
        return ALK_OK;
    }
    return rv == GNUTLS_E_MEMORY_ERROR ? ALK_E_NOMEM : ALK_E_CRYPTO;
}

/* "192.0.2.1" or "2001:db8::1" as an address; alk_addr_parse wants a port. */
static bool parse_ip(const char *name, struct alk_addr *ret)
{
    char text[ALK_ADDR_TEXT_MAX + 4];
    bool is_v6 = strchr(name, ':') != NULL;
    int n = snprintf(text, sizeof text, is_v6 ? "[%s]:1" : "%s:1", name);
    return n > 0 && (size_t)n < sizeof text && alk_addr_parse(alk_span_str(text), ret) == ALK_OK;
}

static alk_err add_name(gnutls_x509_crt_t crt, const char *name)
{
    struct alk_addr ip;
    if (parse_ip(name, &ip)) {
        return from_gnutls(gnutls_x509_crt_set_subject_alt_name(
            crt, GNUTLS_SAN_IPADDRESS, ip.ip, ip.family == 4 ? 4 : 16, GNUTLS_FSAN_APPEND));
    }
    size_t n = strlen(name);
    if (n == 0 || n > 253) {
        return ALK_E_INVALID;
    }
    return from_gnutls(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
                                                            (unsigned)n, GNUTLS_FSAN_APPEND));
}

static int set_serial(gnutls_x509_crt_t crt)
{
    uint8_t serial[16];
    /* lint: system: the key of the certificate is drawn by GnuTLS too */
    int rv = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    if (rv < 0) {
        return rv;
    }
    /* [RFC 5280 §4.1.2.2] positive, and not zero */
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
    return gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
}

static int set_fields(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, uint64_t now,
                      uint64_t lifetime_s)
{
    static const char cn[] = "alknet";
    uint64_t from = now > BACKDATE_S ? now - BACKDATE_S : 0;
    uint64_t length =
        lifetime_s > LIFETIME_MAX_S - BACKDATE_S ? LIFETIME_MAX_S : lifetime_s + BACKDATE_S;
    int rv = gnutls_x509_crt_set_version(crt, 3);
    rv = rv < 0 ? rv : gnutls_x509_crt_set_key(crt, key);
    rv = rv < 0 ? rv : set_serial(crt);
    rv = rv < 0 ? rv : gnutls_x509_crt_set_activation_time(crt, (time_t)from);
    rv = rv < 0 ? rv : gnutls_x509_crt_set_expiration_time(crt, (time_t)(from + length));
    rv = rv < 0 ? rv
                : gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
                                                sizeof cn - 1);
    rv = rv < 0 ? rv : gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    rv = rv < 0 ? rv : gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    return rv < 0 ? rv : gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
}

static alk_err take_text(int rv, gnutls_datum_t *text, struct alk_buf *ret)
{
    if (rv < 0) {
        return from_gnutls(rv);
    }
    alk_err err = alk_buf_put(ret, alk_span(text->data, text->size));
    alk_wipe(text->data, text->size);
    gnutls_free(text->data);
    return err;
}

static alk_err make(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *const *names,
                    uint64_t now, uint64_t lifetime_s, struct alk_buf *ret_chain,
                    struct alk_buf *ret_key)
{
    unsigned bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
    ALK_TRY(from_gnutls(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, bits, 0)));
    ALK_TRY(from_gnutls(set_fields(crt, key, now, lifetime_s)));
    for (size_t i = 0; names[i] != NULL; i++) {
        ALK_TRY(add_name(crt, names[i]));
    }
    ALK_TRY(from_gnutls(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0)));
    gnutls_datum_t text = {NULL, 0};
    ALK_TRY(take_text(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &text), &text, ret_chain));
    return take_text(
        gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &text),
        &text, ret_key);
}

alk_err alk_tls_self_signed(const char *const *names, uint64_t now, uint64_t lifetime_s,
                            struct alk_buf *ret_chain_pem, struct alk_buf *ret_key_pem)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_x509_privkey_t key = NULL;
    alk_err err = from_gnutls(gnutls_x509_crt_init(&crt));
    if (err == ALK_OK) {
        err = from_gnutls(gnutls_x509_privkey_init(&key));
    }
    if (err == ALK_OK) {
        err = make(crt, key, names, now, lifetime_s, ret_chain_pem, ret_key_pem);
    }
    if (key != NULL) {
        gnutls_x509_privkey_deinit(key);
    }
    if (crt != NULL) {
        gnutls_x509_crt_deinit(crt);
    }
    return err;
}
