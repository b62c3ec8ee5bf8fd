/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/session.h - GnuTLS sessions as QUIC and TLS over TCP both use them.
 *
 * Everything about identity, ALPN, tickets and early data is here once; the two
 * transports only move the bytes. Recipes: reference/quic.md §§1-3, endpoint.md
 * §§4 and 6.
 *
 * A struct alk_tls_server is immutable and counted: credentials, routes and keys
 * of one configuration generation. A session holds a reference until it is
 * freed, because GnuTLS reads credentials during a handshake. The one mutable
 * part, the anti-replay object, belongs to the loop (struct alk_tls_loop).
 *
 * gnutls_session_set_ptr belongs to the transport: ngtcp2's helpers read their
 * ngtcp2_crypto_conn_ref from it. Hooks find the struct alk_tls_session with
 * gnutls_db_get_ptr, which TLS 1.3 tickets do not use. The one handshake hook
 * (gnutls_handshake_set_hook_function) is this part's; transports leave it alone.
 * A struct alk_tls_session must not move while gs exists.
 *
 * What a client accepts, in this order: the pinned key (raw keys only are offered,
 * no SNI), the pinned certificate (X.509 only), anything when is_insecure, a chain
 * to a trusted root for the name, and else what the trust callback accepts. With a
 * callback raw keys are preferred, without one X.509. A ticket goes through the
 * same check, on the key that it remembers, before it is used; so early data goes
 * to nobody who would not be accepted. Only a chain is not verified again: its
 * tickets count for the same name and the same roots, and live for 6 hours.
 */
#ifndef ALK_CORE_TLS_SESSION_H
#define ALK_CORE_TLS_SESSION_H

#include "alknet/client.h"
#include "core/router.h"
#include "core/tls/creds.h"

#include <gnutls/gnutls.h>

#define ALK_TLS_ALERT_ACCESS_DENIED 49 /* GNUTLS_A_ACCESS_DENIED */

struct alk_replay_db; /* core/tls/replay.h: one per node, shared by all loops */

struct alk_tls_server_options {
    const struct alk_mem *mem;
    struct alk_tls_creds *creds;    /* the raw key and/or the default certificate */
    const struct alk_tls_sni *snis; /* certificates by server name; copied, creds ref'd */
    size_t sni_count;
    struct alk_routes *routes;    /* a reference is taken */
    uint8_t ticket_secret[32];    /* derives one ticket key per ALPN; same on all loops */
    struct alk_replay_db *replay; /* NULL: no early data */
    const char *default_alpn;     /* TCP clients that send none; NULL: alert 120 */
    void (*keylog)(void *ctx, const char *line); /* NSS format; NULL: none */
    void *keylog_ctx;
};

struct alk_tls_server;
ALK_NODISCARD alk_err alk_tls_server_new(const struct alk_tls_server_options *options,
                                         struct alk_tls_server **ret);
struct alk_tls_server *alk_tls_server_ref(struct alk_tls_server *server);
void alk_tls_server_unref(struct alk_tls_server *server);
struct alk_routes *alk_tls_server_routes(struct alk_tls_server *server);

/* Per loop: the anti-replay object (GnuTLS mutates it without a lock). */
struct alk_tls_loop;
ALK_NODISCARD alk_err alk_tls_loop_new(const struct alk_mem *mem, struct alk_replay_db *replay,
                                       struct alk_tls_loop **ret);
void alk_tls_loop_free(struct alk_tls_loop *loop);

/* Zero-initialised, then in place until fini. */
struct alk_tls_session {
    gnutls_session_t gs;                 /* NULL before init and after fini */
    struct alk_tls_server *server;       /* server: one reference */
    const struct alk_dial_options *dial; /* client: borrowed until fini */
    struct alk_tls_creds *creds;         /* client: one reference */
    struct alk_service *service;         /* server: chosen in the ClientHello hook; one reference */
    enum alk_transport transport;
    char alpn[ALK_ALPN_MAX + 1];
    char sni[ALK_SNI_MAX + 1];
    bool is_server;
    bool is_resumed;       /* as of the last describe */
    bool is_early_allowed; /* 0-RTT may be used on this session */
    /* Key log lines, NSS format; set before alk_tls_session_client. Servers take
     * theirs from the options. NULL: none. */
    void (*keylog)(void *ctx, const char *line);
    void *keylog_ctx;
    struct alk_tls_loop *loop;      /* server: borrowed; may be NULL */
    enum alk_cert_kind server_kind; /* client: what the server showed */
    unsigned rule;                  /* client: enum alk_tls_rule, why it was accepted */
    bool is_client_secret_logged, is_server_secret_logged;
    alk_err verify_err;                   /* client: why the server's key was refused */
    char verify_text[200];                /* client: one sentence about it */
    char server_key[ALK_FINGERPRINT_MAX]; /* client: z32 key, or "cert:<hex>" */
};

/* *s is zeroed by the caller, but for keylog. On failure it needs no fini.
 * ALK_E_NOMEM, ALK_E_CRYPTO.
 *
 * A server session without ALPN; the ClientHello hook chooses SNI credentials,
 * the service, the ticket key and early data. */
ALK_NODISCARD alk_err alk_tls_session_server(struct alk_tls_session *s,
                                             struct alk_tls_server *server,
                                             struct alk_tls_loop *loop,
                                             enum alk_transport transport);
/* ALK_E_INVALID: no ALPN, more than 8, one of other than 1-31 bytes, or a name that
 * cannot be sent. A ticket that does not fit is ignored.
 *
 * A client session: ALPN list, SNI, credentials, pinning and verification (during
 * the handshake, before our Finished) as the dial options say. ticket: what
 * alk_tls_session_ticket gave earlier for the same node and ALPN; may be empty. */
ALK_NODISCARD alk_err alk_tls_session_client(struct alk_tls_session *s,
                                             const struct alk_dial_options *dial,
                                             struct alk_tls_creds *creds,
                                             enum alk_transport transport, struct alk_span ticket);
void alk_tls_session_fini(struct alk_tls_session *s);
/* Drops the GnuTLS session after the handshake to save 10 kB per idle
 * connection; what auth needs was copied by alk_tls_session_describe. */
void alk_tls_session_drop(struct alk_tls_session *s);

/* Fills alpn, sni, cert_kind, fingerprints and is_resumed of *ret. Valid from the
 * ClientHello on (early data) and after the handshake. */
void alk_tls_session_describe(struct alk_tls_session *s, struct alk_auth_context *ret);
/* Server, after the handshake: sends one session ticket where the service and the
 * transport allow it. */
ALK_NODISCARD alk_err alk_tls_session_send_ticket(struct alk_tls_session *s);
/* Client: serialised session for a later resumption, appended to *ret. ALK_MORE: no
 * ticket has come (yet). */
ALK_NODISCARD alk_err alk_tls_session_ticket(struct alk_tls_session *s, struct alk_buf *ret);
/* The TLS alert that says best why it failed (for close codes and TCP alerts). */
uint8_t alk_tls_alert(const struct alk_tls_session *s, int gnutls_err);
/* The verify error if there is one; ALK_E_NO_ALPN for alert 120, ALK_E_AUTH for
 * certificate_required, ALK_E_FORBIDDEN for access_denied (locked out after failed
 * logins), ALK_E_VERSION for protocol_version, ALK_E_NOMEM, else ALK_E_TLS. */
alk_err alk_tls_error(const struct alk_tls_session *s, int gnutls_err, uint8_t alert);

#endif
