/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The ClientHello hook: everything a server decides before GnuTLS reads the
 * message: service, certificate by name, ticket key, early data. */
#include "base/ct.h"
#include "core/tls/hello.h"
#include "core/tls/internal.h"

#include <gnutls/crypto.h>

/* The client's first ALPN that a service of ours takes on this transport. */
static struct alk_service *choose(const struct alk_tls_session *s,
                                  const struct alk_tls_hello *hello, struct alk_span *ret_alpn)
{
    const struct alk_tls_server *server = s->server;
    if (!hello->has_alpn) {
        if (s->transport != ALK_TRANSPORT_TLS || server->default_alpn[0] == '\0') {
            return NULL;
        }
        *ret_alpn = alk_span_str(server->default_alpn);
        return alk_routes_find(server->routes, *ret_alpn, s->transport);
    }
    struct alk_rd at = alk_rd(hello->alpns);
    struct alk_span name;
    while (alk_tls_hello_next(&at, &name)) {
        struct alk_service *service = NULL;
        if (name.n <= ALK_ALPN_MAX) {
            service = alk_routes_find(server->routes, name, s->transport);
        }
        if (service != NULL) {
            *ret_alpn = name;
            return service;
        }
    }
    return NULL;
}

static const struct alk_tls_creds *creds_for(const struct alk_tls_server *server, const char *name)
{
    const struct alk_tls_creds *wild = NULL;
    for (size_t i = 0; name[0] != '\0' && i < server->sni_count; i++) {
        const struct alk_tls_sni *sni = &server->snis[i];
        if (!alk_tls_name_matches(sni->name, name)) {
            continue;
        }
        if (sni->name[0] != '*') {
            return sni->creds;
        }
        wild = wild == NULL ? sni->creds : wild;
    }
    return wild == NULL ? server->creds : wild;
}

/* One ticket key per ALPN and transport: a ticket of another one does not open,
 * and the handshake is a full one. */
static int enable_tickets(struct alk_tls_session *s)
{
    uint8_t info[1 + ALK_ALPN_MAX];
    uint8_t prk[32];
    uint8_t key[64];
    size_t n = strlen(s->alpn);
    info[0] = (uint8_t)s->transport;
    memcpy(info + 1, s->alpn, n);
    memcpy(prk, s->server->ticket_prk, sizeof prk);
    gnutls_datum_t secret = {.data = prk, .size = sizeof prk};
    gnutls_datum_t label = {.data = info, .size = (unsigned)(1 + n)};
    int rv = gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &secret, &label, key, sizeof key);
    if (rv >= 0) {
        gnutls_datum_t ticket_key = {.data = key, .size = sizeof key};
        rv = gnutls_session_ticket_enable_server(s->gs, &ticket_key);
    }
    alk_wipe(prk, sizeof prk);
    alk_wipe(key, sizeof key);
    return rv;
}

static int set_alpn(struct alk_tls_session *s, const struct alk_tls_hello *hello)
{
    if (!hello->has_alpn) {
        return 0; /* default_alpn: a client that does not know ALPN gets no answer about it */
    }
    /* Once per session: a second call appends (GnuTLS 3.7). */
    gnutls_datum_t name = {.data = (unsigned char *)s->alpn, .size = (unsigned)strlen(s->alpn)};
    return gnutls_alpn_set_protocols(s->gs, &name, 1,
                                     GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE);
}

/* Without the anti-replay object GnuTLS refuses early data. */
static void allow_early(struct alk_tls_session *s)
{
    if (s->transport == ALK_TRANSPORT_QUIC && s->server->has_early && s->loop != NULL &&
        s->loop->anti_replay != NULL &&
        (s->service->handler->flags & ALK_HANDLER_EARLY_SAFE) != 0) {
        gnutls_anti_replay_enable(s->gs, s->loop->anti_replay);
        s->is_early_allowed = true;
    }
}

/* [RFC 8446 §4.1.2] the second ClientHello after HelloRetryRequest is the same in
 * what we read of it */
static int check_again(const struct alk_tls_session *s, const struct alk_tls_hello *hello,
                       struct alk_span alpn)
{
    /* on the wire in clear: not secret */
    bool is_same = alk_span_is(alpn, s->alpn) && strcmp(hello->sni, s->sni) == 0;
    return is_same ? 0 : GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
}

int alk_tls_on_client_hello(gnutls_session_t gs, unsigned type, unsigned when, unsigned is_incoming,
                            const gnutls_datum_t *msg)
{
    struct alk_tls_session *s = gnutls_db_get_ptr(gs);
    (void)type;
    (void)when;
    if (is_incoming == 0) {
        return 0;
    }
    struct alk_tls_hello hello;
    struct alk_span alpn = {NULL, 0};
    if (alk_tls_hello_parse(alk_span(msg->data, msg->size), &hello) != ALK_OK) {
        return GNUTLS_E_UNEXPECTED_PACKET_LENGTH; /* alert decode_error */
    }
    if (!hello.has_tls13) {
        return GNUTLS_E_UNSUPPORTED_VERSION_PACKET; /* alert protocol_version */
    }
    struct alk_service *service = choose(s, &hello, &alpn);
    if (s->service != NULL) {
        return check_again(s, &hello, alpn);
    }
    if (service == NULL || !alk_span_cstr(alpn, s->alpn, sizeof s->alpn)) {
        s->alpn[0] = '\0';
        return GNUTLS_E_NO_APPLICATION_PROTOCOL; /* [RFC 9001 §8.1] alert 120 */
    }
    s->service = alk_service_ref(service);
    (void)snprintf(s->sni, sizeof s->sni, "%s", hello.sni);
    const struct alk_tls_creds *creds = creds_for(s->server, s->sni);
    int rv = 0;
    if (creds != s->server->creds) {
        rv = gnutls_credentials_set(gs, GNUTLS_CRD_CERTIFICATE, alk_tls_creds_handle(creds));
    }
    if (rv >= 0) {
        rv = set_alpn(s, &hello);
    }
    if (rv >= 0) {
        rv = enable_tickets(s);
    }
    allow_early(s);
    return rv < 0 ? rv : 0;
}
