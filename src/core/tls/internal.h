/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/internal.h - what the files of core/tls share and nobody else sees. */
#ifndef ALK_CORE_TLS_INTERNAL_H
#define ALK_CORE_TLS_INTERNAL_H

#include "core/tls/session.h"

#include <stdatomic.h>

/* ClientHello and Certificate messages above this end the handshake. */
#define ALK_TLS_HANDSHAKE_MAX 65536

struct alk_tls_server {
    atomic_size_t refs;
    const struct alk_mem *mem;
    struct alk_tls_creds *creds;
    struct alk_tls_sni *snis; /* owns, names too */
    size_t sni_count;
    struct alk_routes *routes;
    struct alk_replay_db *replay;
    gnutls_priority_t priority_quic, priority_tls;
    uint8_t ticket_prk[32];
    char default_alpn[ALK_ALPN_MAX + 1];
    bool has_early; /* a service may see early data over QUIC */
    void (*keylog)(void *ctx, const char *line);
    void *keylog_ctx;
};

struct alk_tls_loop {
    const struct alk_mem *mem;
    gnutls_anti_replay_t anti_replay; /* NULL without a replay table */
    struct alk_replay_db *replay;
};

gnutls_certificate_credentials_t alk_tls_creds_handle(const struct alk_tls_creds *creds);
/* Names the set of roots that a client trusts. 32 bytes, as long as creds live. */
const uint8_t *alk_tls_creds_roots(const struct alk_tls_creds *creds);

/* The ClientHello hook of server sessions (server_hello.c). */
int alk_tls_on_client_hello(gnutls_session_t gs, unsigned type, unsigned when, unsigned is_incoming,
                            const gnutls_datum_t *msg);

/* Client: installs the checks of the server's key (verify.c). */
void alk_tls_verify_setup(struct alk_tls_session *s);

/* Key log lines in NSS form go to s->keylog; without one nothing is written, not
 * even where SSLKEYLOGFILE says (keylog.c). */
void alk_tls_keylog_setup(struct alk_tls_session *s);

/* How the server's key was accepted; kept with a ticket, so that a ticket counts
 * only under a rule that would accept its key again. */
enum alk_tls_rule {
    ALK_TLS_RULE_NONE,
    ALK_TLS_RULE_KEY,  /* the pinned raw key */
    ALK_TLS_RULE_CERT, /* the pinned certificate */
    ALK_TLS_RULE_CA,
    ALK_TLS_RULE_TRUST, /* the callback */
    ALK_TLS_RULE_INSECURE,
    ALK_TLS_RULE_COUNT
};

/* A client's ticket with what must be known before it is used (ticket.c). All
 * spans borrow from the input. */
struct alk_tls_ticket {
    enum alk_transport transport;
    enum alk_tls_rule rule;
    enum alk_cert_kind kind;
    bool has_early;
    uint8_t roots[32]; /* alk_tls_creds_roots */
    struct alk_span alpn, name, server_key, data;
};
ALK_NODISCARD alk_err alk_tls_ticket_read(struct alk_span blob, struct alk_tls_ticket *ret);
ALK_NODISCARD alk_err alk_tls_ticket_write(const struct alk_tls_ticket *t, struct alk_buf *ret);
/* Whether this dial may resume with it: the checks of the server's key, on the key
 * that the ticket remembers, before anything is sent. The trust callback is asked. */
bool alk_tls_ticket_fits(const struct alk_tls_session *s, const struct alk_tls_ticket *t);

/* The name that the server's certificate must have: the SNI, else the host. */
const char *alk_tls_target_name(const struct alk_dial_options *dial);
bool alk_tls_is_address(const char *host);
bool alk_tls_ask_trust(const struct alk_dial_options *dial, const char *server_key);

#endif
