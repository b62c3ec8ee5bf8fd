/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/session.h"

#include "base/mem.h"
#include "core/auth/fingerprint.h"
#include "core/tls/internal.h"

#define CIPHERS                                                                                    \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"       \
    ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:-CTYPE-ALL"

/* QUIC clients must see exactly this where early data is possible [RFC 9001 §4.6.1] */
#define EARLY_DATA_QUIC ((size_t)0xffffffff)
enum { ALPNS_MAX = 8 }; /* GnuTLS 3.7: lib/ext/alpn.h */

static alk_err from_gnutls(int rv)
{
    if (rv >= 0) {
        return ALK_OK;
    }
    return rv == GNUTLS_E_MEMORY_ERROR ? ALK_E_NOMEM : ALK_E_CRYPTO;
}

static unsigned common_flags(enum alk_transport transport, bool has_early)
{
    /* Without ENABLE_RAWPK the certificate types are silently ignored. */
    unsigned flags = GNUTLS_ENABLE_RAWPK | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
    if (transport == ALK_TRANSPORT_QUIC) {
        flags |= GNUTLS_NO_END_OF_EARLY_DATA;
        flags |= has_early ? (unsigned)GNUTLS_ENABLE_EARLY_DATA : 0u;
    }
    return flags;
}

static void setup_common(struct alk_tls_session *s)
{
    gnutls_db_set_ptr(s->gs, s);
    gnutls_handshake_set_max_packet_length(s->gs, ALK_TLS_HANDSHAKE_MAX);
    alk_tls_keylog_setup(s);
}

/* --- server ----------------------------------------------------------------- */

static int setup_server(struct alk_tls_session *s)
{
    const struct alk_tls_server *server = s->server;
    bool is_quic = s->transport == ALK_TRANSPORT_QUIC;
    setup_common(s);
    int rv = gnutls_priority_set(s->gs, is_quic ? server->priority_quic : server->priority_tls);
    if (rv >= 0) {
        rv = gnutls_credentials_set(s->gs, GNUTLS_CRD_CERTIFICATE,
                                    alk_tls_creds_handle(server->creds));
    }
    if (rv >= 0 && is_quic && server->has_early) {
        /* Into every ticket: which service it will be is not known yet, and GnuTLS
         * cannot leave it out later. Services that are not early-safe refuse. */
        rv = gnutls_record_set_max_early_data_size(s->gs, EARLY_DATA_QUIC);
    }
    gnutls_certificate_server_set_request(s->gs, GNUTLS_CERT_REQUEST);
    gnutls_handshake_set_hook_function(s->gs, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE,
                                       alk_tls_on_client_hello);
    return rv;
}

alk_err alk_tls_session_server(struct alk_tls_session *s, struct alk_tls_server *server,
                               struct alk_tls_loop *loop, enum alk_transport transport)
{
    unsigned flags =
        GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET | common_flags(transport, server->has_early);
    s->is_server = true;
    s->transport = transport;
    s->loop = loop;
    s->keylog = server->keylog;
    s->keylog_ctx = server->keylog_ctx;
    alk_err err = from_gnutls(gnutls_init(&s->gs, flags));
    if (err != ALK_OK) {
        s->gs = NULL;
        return err;
    }
    s->server = alk_tls_server_ref(server);
    err = from_gnutls(setup_server(s));
    if (err != ALK_OK) {
        alk_tls_session_fini(s);
    }
    return err;
}

/* --- client ----------------------------------------------------------------- */

static const char *server_types(const struct alk_dial_options *dial)
{
    if (dial->pinned_key != NULL) {
        return ":+CTYPE-SRV-RAWPK";
    }
    if (dial->pinned_cert != NULL) {
        return ":+CTYPE-SRV-X509";
    }
    if (dial->trust != NULL || dial->is_insecure) {
        return ":+CTYPE-SRV-RAWPK:+CTYPE-SRV-X509";
    }
    return ":+CTYPE-SRV-X509:+CTYPE-SRV-RAWPK";
}

static const char *client_types(const struct alk_tls_creds *creds)
{
    if (alk_tls_creds_has_raw_key(creds)) {
        return alk_tls_creds_has_x509(creds) ? ":+CTYPE-CLI-RAWPK:+CTYPE-CLI-X509"
                                             : ":+CTYPE-CLI-RAWPK";
    }
    return ":+CTYPE-CLI-X509";
}

static int set_client_priority(struct alk_tls_session *s)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s%s%s%s",
                     s->transport == ALK_TRANSPORT_QUIC ? "%DISABLE_TLS13_COMPAT_MODE:" : "",
                     CIPHERS, server_types(s->dial), client_types(s->creds));
    if (n < 0 || (size_t)n >= sizeof text) {
        return GNUTLS_E_INTERNAL_ERROR;
    }
    return gnutls_priority_set_direct(s->gs, text, NULL);
}

static int set_client_alpns(struct alk_tls_session *s)
{
    gnutls_datum_t names[ALPNS_MAX];
    char copies[ALPNS_MAX][ALK_ALPN_MAX + 1];
    unsigned n = 0;
    for (; s->dial->alpns[n] != NULL; n++) {
        names[n].data = (unsigned char *)copies[n];
        names[n].size = (unsigned)snprintf(copies[n], sizeof copies[n], "%s", s->dial->alpns[n]);
    }
    return gnutls_alpn_set_protocols(s->gs, names, n, GNUTLS_ALPN_MANDATORY);
}

static alk_err check_alpns(const struct alk_dial_options *dial)
{
    size_t n = 0;
    while (dial->alpns != NULL && dial->alpns[n] != NULL) {
        size_t len = strlen(dial->alpns[n]);
        n++;
        if (n > ALPNS_MAX || len == 0 || len > ALK_ALPN_MAX) {
            return ALK_E_INVALID;
        }
    }
    return n == 0 ? ALK_E_INVALID : ALK_OK;
}

bool alk_tls_is_address(const char *host)
{
    return strchr(host, ':') != NULL || strspn(host, "0123456789.") == strlen(host);
}

/* The name that goes on the wire, or NULL. */
static const char *sni_of(const struct alk_dial_options *dial)
{
    const char *name = dial->sni;
    if (name == NULL) {
        name = dial->pinned_key == NULL ? dial->host : NULL;
    }
    /* [RFC 6066 §3] literal addresses are not permitted */
    return name == NULL || name[0] == '\0' || alk_tls_is_address(name) ? NULL : name;
}

static alk_err set_client_name(struct alk_tls_session *s)
{
    const char *name = sni_of(s->dial);
    if (name == NULL) {
        return ALK_OK;
    }
    if (!alk_span_cstr(alk_span_str(name), s->sni, sizeof s->sni)) {
        return ALK_E_INVALID;
    }
    int rv = gnutls_server_name_set(s->gs, GNUTLS_NAME_DNS, name, strlen(name));
    return rv == GNUTLS_E_MEMORY_ERROR ? ALK_E_NOMEM : rv < 0 ? ALK_E_INVALID : ALK_OK;
}

static alk_err setup_client(struct alk_tls_session *s, const struct alk_tls_ticket *ticket)
{
    setup_common(s);
    ALK_TRY(from_gnutls(set_client_priority(s)));
    ALK_TRY(from_gnutls(
        gnutls_credentials_set(s->gs, GNUTLS_CRD_CERTIFICATE, alk_tls_creds_handle(s->creds))));
    ALK_TRY(from_gnutls(set_client_alpns(s)));
    ALK_TRY(set_client_name(s));
    alk_tls_verify_setup(s);
    if (ticket != NULL && gnutls_session_set_data(s->gs, ticket->data.p, ticket->data.n) >= 0) {
        s->server_kind = ticket->kind;
        s->rule = ticket->rule;
        (void)alk_span_cstr(ticket->server_key, s->server_key, sizeof s->server_key);
        s->is_early_allowed = s->is_early_allowed && ticket->has_early;
        /* Early data is sent under the ticket's ALPN. */
        (void)alk_span_cstr(ticket->alpn, s->alpn, sizeof s->alpn);
    } else {
        s->is_early_allowed = false;
    }
    return ALK_OK;
}

alk_err alk_tls_session_client(struct alk_tls_session *s, const struct alk_dial_options *dial,
                               struct alk_tls_creds *creds, enum alk_transport transport,
                               struct alk_span ticket)
{
    ALK_TRY(check_alpns(dial));
    s->transport = transport;
    s->dial = dial;
    s->creds = alk_tls_creds_ref(creds);
    struct alk_tls_ticket t;
    bool has_ticket =
        ticket.n > 0 && alk_tls_ticket_read(ticket, &t) == ALK_OK && alk_tls_ticket_fits(s, &t);
    bool wants_early =
        has_ticket && dial->want_early && t.has_early && transport == ALK_TRANSPORT_QUIC;
    /* One key share, of X25519, which every node takes; a server that does not says so
     * and is asked again. A second share is computed for nothing. */
    unsigned flags = GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP | common_flags(transport, wants_early);
    alk_err err = from_gnutls(gnutls_init(&s->gs, flags));
    if (err != ALK_OK) {
        s->gs = NULL;
        alk_tls_session_fini(s);
        return err;
    }
    s->is_early_allowed = wants_early;
    err = setup_client(s, has_ticket ? &t : NULL);
    if (err != ALK_OK) {
        alk_tls_session_fini(s);
    }
    return err;
}

/* --- both --------------------------------------------------------------------- */

void alk_tls_session_drop(struct alk_tls_session *s)
{
    if (s->gs != NULL) {
        gnutls_deinit(s->gs);
        s->gs = NULL;
    }
}

void alk_tls_session_fini(struct alk_tls_session *s)
{
    alk_tls_session_drop(s);
    alk_service_unref(s->service);
    alk_tls_creds_unref(s->creds);
    alk_tls_server_unref(s->server);
    s->service = NULL;
    s->creds = NULL;
    s->server = NULL;
    s->dial = NULL;
    s->loop = NULL;
}

static void describe_peer(const struct alk_tls_session *s, struct alk_auth_context *ret)
{
    unsigned n = 0;
    const gnutls_datum_t *certs = gnutls_certificate_get_peers(s->gs, &n);
    if (certs == NULL || n == 0) {
        return; /* none was shown; GnuTLS still names a type then */
    }
    enum alk_cert_kind kind = ALK_CERT_X509;
    if (s->is_server ? gnutls_certificate_type_get2(s->gs, GNUTLS_CTYPE_PEERS) == GNUTLS_CRT_RAWPK
                     : s->server_kind == ALK_CERT_RAW_KEY) {
        kind = ALK_CERT_RAW_KEY;
    }
    struct alk_key_names names;
    if (alk_key_names_from_tls(kind, alk_span(certs[0].data, certs[0].size), &names) != ALK_OK) {
        return; /* a key without a name is nobody's */
    }
    ret->cert_kind = kind;
    for (size_t i = 0; i < names.count && i < ALK_KEY_NAMES_MAX; i++) {
        (void)snprintf(ret->fingerprints[i], sizeof ret->fingerprints[i], "%s", names.name[i]);
    }
}

void alk_tls_session_describe(struct alk_tls_session *s, struct alk_auth_context *ret)
{
    ret->cert_kind = ALK_CERT_NONE;
    memset(ret->fingerprints, 0, sizeof ret->fingerprints);
    if (s->gs != NULL) {
        s->is_resumed = gnutls_session_is_resumed(s->gs) != 0;
        describe_peer(s, ret);
    }
    ret->is_resumed = s->is_resumed;
    (void)snprintf(ret->alpn, sizeof ret->alpn, "%s", s->alpn);
    (void)snprintf(ret->sni, sizeof ret->sni, "%s", s->sni);
}

alk_err alk_tls_session_send_ticket(struct alk_tls_session *s)
{
    if (!s->is_server || s->gs == NULL || s->service == NULL) {
        return ALK_E_STATE;
    }
    int rv = gnutls_session_ticket_send(s->gs, 1, 0);
    return rv >= 0 ? ALK_OK : rv == GNUTLS_E_MEMORY_ERROR ? ALK_E_NOMEM : ALK_E_TLS;
}

alk_err alk_tls_session_ticket(struct alk_tls_session *s, struct alk_buf *ret)
{
    if (s->gs == NULL || s->is_server) {
        return ALK_E_STATE;
    }
    if ((gnutls_session_get_flags(s->gs) & GNUTLS_SFLAGS_SESSION_TICKET) == 0) {
        return ALK_MORE;
    }
    gnutls_datum_t data = {NULL, 0};
    ALK_TRY(from_gnutls(gnutls_session_get_data2(s->gs, &data)));
    struct alk_tls_ticket t = {
        .transport = s->transport,
        .rule = (enum alk_tls_rule)s->rule,
        .kind = s->server_kind,
        .has_early = s->transport == ALK_TRANSPORT_QUIC &&
                     gnutls_record_get_max_early_data_size(s->gs) == EARLY_DATA_QUIC,
        .alpn = alk_span_str(s->alpn),
        .name = alk_span_str(alk_tls_target_name(s->dial)),
        .server_key = alk_span_str(s->server_key),
        .data = alk_span(data.data, data.size),
    };
    memcpy(t.roots, alk_tls_creds_roots(s->creds), sizeof t.roots);
    alk_err err = alk_tls_ticket_write(&t, ret);
    gnutls_memset(data.data, 0, data.size);
    gnutls_free(data.data);
    return err;
}

uint8_t alk_tls_alert(const struct alk_tls_session *s, int gnutls_err)
{
    (void)s;
    int level = 0;
    return (uint8_t)gnutls_error_to_alert(gnutls_err, &level);
}

alk_err alk_tls_error(const struct alk_tls_session *s, int gnutls_err, uint8_t alert)
{
    if (s->verify_err != ALK_OK) {
        return s->verify_err;
    }
    if (gnutls_err == GNUTLS_E_MEMORY_ERROR) {
        return ALK_E_NOMEM;
    }
    if (alert == GNUTLS_A_NO_APPLICATION_PROTOCOL ||
        gnutls_err == GNUTLS_E_NO_APPLICATION_PROTOCOL) {
        return ALK_E_NO_ALPN;
    }
    if (alert == GNUTLS_A_CERTIFICATE_REQUIRED || gnutls_err == GNUTLS_E_CERTIFICATE_REQUIRED) {
        return ALK_E_AUTH;
    }
    if (alert == ALK_TLS_ALERT_ACCESS_DENIED) {
        return ALK_E_FORBIDDEN;
    }
    return alert == GNUTLS_A_PROTOCOL_VERSION ? ALK_E_VERSION : ALK_E_TLS;
}
