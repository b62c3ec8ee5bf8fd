/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Client: whether the server's key or certificate is the right one. Runs inside
 * the handshake, before our Finished. */
#include "base/ct.h"
#include "base/text.h"
#include "core/auth/fingerprint.h"
#include "core/tls/internal.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

const char *alk_tls_target_name(const struct alk_dial_options *dial)
{
    return dial->sni != NULL && dial->sni[0] != '\0' ? dial->sni : dial->host;
}

static int refuse(struct alk_tls_session *s, alk_err err, const char *text)
{
    s->verify_err = err;
    (void)snprintf(s->verify_text, sizeof s->verify_text, "%s", text);
    return GNUTLS_E_CERTIFICATE_ERROR; /* alert bad_certificate */
}

static int accept_by(struct alk_tls_session *s, enum alk_tls_rule rule)
{
    s->rule = rule;
    s->verify_err = ALK_OK;
    s->verify_text[0] = '\0';
    return 0;
}

/* Fills server_key; false when it has no name. */
static bool name_server_key(struct alk_tls_session *s, struct alk_span der)
{
    struct alk_key_names names;
    if (alk_key_names_from_tls(s->server_kind, der, &names) != ALK_OK) {
        return false;
    }
    if (s->server_kind == ALK_CERT_RAW_KEY && names.is_ed25519) {
        alk_key_address(names.ed25519, s->server_key);
        return true;
    }
    const char *prefix = s->server_kind == ALK_CERT_RAW_KEY ? "spki:" : "cert:";
    for (size_t i = 0; i < names.count; i++) {
        /* fingerprints are public */
        if (strncmp(names.name[i], prefix, 5) == 0) {
            (void)snprintf(s->server_key, sizeof s->server_key, "%s", names.name[i]);
            return true;
        }
    }
    return false;
}

static int check_pinned_key(struct alk_tls_session *s, struct alk_span der)
{
    uint8_t spki[ALK_ED25519_SPKI_SIZE];
    alk_ed25519_spki(s->dial->pinned_key, spki);
    /* a public key */
    if (s->server_kind == ALK_CERT_RAW_KEY && alk_span_equal(der, alk_span(spki, sizeof spki))) {
        return accept_by(s, ALK_TLS_RULE_KEY);
    }
    char text[sizeof s->verify_text];
    (void)snprintf(text, sizeof text,
                   "the node's key is now %.52s: if that is intended, use the new address; "
                   "otherwise this is not your node",
                   s->server_key);
    return refuse(s, ALK_E_KEY_CHANGED, text);
}

static int check_pinned_cert(struct alk_tls_session *s, struct alk_span der)
{
    uint8_t sha256[32];
    if (s->server_kind == ALK_CERT_X509 &&
        gnutls_hash_fast(GNUTLS_DIG_SHA256, der.p, der.n, sha256) >= 0 &&
        memcmp(sha256, s->dial->pinned_cert, sizeof sha256) == 0) { /* public */
        return accept_by(s, ALK_TLS_RULE_CERT);
    }
    return refuse(s, ALK_E_KEY_CHANGED,
                  "the node's certificate is not the pinned one: compare its new fingerprint "
                  "(alknet id on the node) and pin that");
}

static const char *chain_problem(unsigned status)
{
    if ((status & GNUTLS_CERT_EXPIRED) != 0) {
        return "the node's certificate has expired: renew it there, or check this clock";
    }
    if ((status & GNUTLS_CERT_NOT_ACTIVATED) != 0) {
        return "the node's certificate is not valid yet: check the clocks of both machines";
    }
    if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0) {
        return "the node's certificate is for another name: dial one of its names";
    }
    if ((status & GNUTLS_CERT_REVOKED) != 0) {
        return "the node's certificate has been revoked";
    }
    if ((status & GNUTLS_CERT_PURPOSE_MISMATCH) != 0) {
        return "the node's certificate is not made for servers";
    }
    return "the node's certificate is signed by nobody that is trusted here: use its address with "
           "the key (alknet://KEY@HOST), remember it with --trust, or name its CA";
}

/* 0: the chain leads to a trusted root and the name fits. */
static unsigned verify_chain(struct alk_tls_session *s)
{
    char name[ALK_SNI_MAX + 1];
    char purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
    (void)snprintf(name, sizeof name, "%s", alk_tls_target_name(s->dial));
    gnutls_typed_vdata_st data[2] = {
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)name, .size = 0},
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose, .size = 0},
    };
    unsigned status = GNUTLS_CERT_INVALID;
    if (gnutls_certificate_verify_peers(s->gs, data, 2, &status) < 0) {
        return GNUTLS_CERT_INVALID;
    }
    return status;
}

bool alk_tls_ask_trust(const struct alk_dial_options *dial, const char *server_key)
{
    char host_port[ALK_SNI_MAX + 16];
    unsigned port = dial->port == 0 ? 4433 : dial->port;
    bool is_v6 = strchr(dial->host, ':') != NULL;
    (void)snprintf(host_port, sizeof host_port, is_v6 ? "[%s]:%u" : "%s:%u", dial->host, port);
    return dial->trust(dial->trust_ctx, host_port, server_key);
}

static int by_trust(struct alk_tls_session *s, const char *problem)
{
    if (s->dial->trust == NULL) {
        return refuse(s, ALK_E_UNTRUSTED, problem);
    }
    if (alk_tls_ask_trust(s->dial, s->server_key)) {
        return accept_by(s, ALK_TLS_RULE_TRUST);
    }
    return refuse(s, ALK_E_UNTRUSTED,
                  "the node's key is not one that was accepted before: compare it with what "
                  "`alknet id` prints on the node");
}

static int check(struct alk_tls_session *s, struct alk_span der)
{
    if (!name_server_key(s, der)) {
        return refuse(s, ALK_E_UNTRUSTED, "the node's key or certificate cannot be read");
    }
    if (s->dial->pinned_key != NULL) {
        return check_pinned_key(s, der);
    }
    if (s->dial->pinned_cert != NULL) {
        return check_pinned_cert(s, der);
    }
    if (s->dial->is_insecure) {
        return accept_by(s, ALK_TLS_RULE_INSECURE);
    }
    if (s->server_kind == ALK_CERT_RAW_KEY) {
        return by_trust(s, "the node shows a key and no certificate: use its address with the "
                           "key (alknet://KEY@HOST), or remember it with --trust");
    }
    unsigned status = verify_chain(s);
    return status == 0 ? accept_by(s, ALK_TLS_RULE_CA) : by_trust(s, chain_problem(status));
}

/* Full handshake: after the server's CertificateVerify. A resumed one does not come
 * here; its ticket was checked before it was used. */
static int on_verify(gnutls_session_t gs)
{
    struct alk_tls_session *s = gnutls_db_get_ptr(gs);
    s->server_kind = gnutls_certificate_type_get2(gs, GNUTLS_CTYPE_PEERS) == GNUTLS_CRT_RAWPK
                         ? ALK_CERT_RAW_KEY
                         : ALK_CERT_X509;
    unsigned n = 0;
    const gnutls_datum_t *certs = gnutls_certificate_get_peers(gs, &n);
    if (certs == NULL || n == 0) {
        return refuse(s, ALK_E_UNTRUSTED, "the node showed no key at all");
    }
    return check(s, alk_span(certs[0].data, certs[0].size));
}

/* [RFC 9001 §8.1] a client that gets no answer about ALPN must not go on; the same
 * goes for TCP here, since the ALPN is the service. */
static int take_alpn(struct alk_tls_session *s)
{
    gnutls_datum_t name;
    if (gnutls_alpn_get_selected_protocol(s->gs, &name) < 0 ||
        !alk_span_cstr(alk_span(name.data, name.size), s->alpn, sizeof s->alpn)) {
        return GNUTLS_E_NO_APPLICATION_PROTOCOL;
    }
    return 0;
}

/* Before the server's Finished is read, so before ours is made. */
static int on_finished(gnutls_session_t gs, unsigned type, unsigned when, unsigned is_incoming,
                       const gnutls_datum_t *msg)
{
    struct alk_tls_session *s = gnutls_db_get_ptr(gs);
    (void)type;
    (void)when;
    (void)msg;
    return is_incoming == 0 ? 0 : take_alpn(s);
}

void alk_tls_verify_setup(struct alk_tls_session *s)
{
    gnutls_session_set_verify_function(s->gs, on_verify);
    gnutls_handshake_set_hook_function(s->gs, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_PRE,
                                       on_finished);
}
