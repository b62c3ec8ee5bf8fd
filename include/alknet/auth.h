/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/auth.h - who the peer is: fingerprints, identities, scopes, resources.
 *
 * DESIGN.md §7. All structs here are immutable once they are published and hold
 * no secret. An identity is counted; rights always come from the newest
 * generation, so look it up from the connection each time, do not keep it.
 */
#ifndef ALKNET_AUTH_H
#define ALKNET_AUTH_H

#include "alknet/err.h"
#include "alknet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ALK_ID_MAX 64          /* bytes of an identity's id */
#define ALK_SCOPE_MAX 128      /* bytes of a scope */
#define ALK_SCOPES_MAX 64      /* scopes of one identity or token */
#define ALK_FINGERPRINT_MAX 80 /* "ed25519:" or "spki:" or "cert:" + 64 hex, "SHA256:" + 43 */
#define ALK_ALPN_MAX 31        /* bytes (limit of GnuTLS 3.7) */
#define ALK_ADDR_TEXT_MAX 56   /* "[v6%zone]:port" */
#define ALK_SNI_MAX 255

enum alk_transport {
    ALK_TRANSPORT_QUIC = 1, /* bits: also used as a mask */
    ALK_TRANSPORT_TLS = 2,
    ALK_TRANSPORT_WEBTRANSPORT = 4,
    ALK_TRANSPORT_MEMORY = 8,
    ALK_TRANSPORT_ANY = 15
};

enum alk_cert_kind { ALK_CERT_NONE, ALK_CERT_RAW_KEY, ALK_CERT_X509 };

/* Where an identity came from. */
enum alk_auth_source { ALK_AUTH_NONE, ALK_AUTH_TLS_KEY, ALK_AUTH_TOKEN, ALK_AUTH_HANDLER };

struct alk_identity;

/* Counted; safe from every thread. ref returns its argument; unref takes NULL. */
ALK_API const struct alk_identity *alk_identity_ref(const struct alk_identity *identity);
ALK_API void alk_identity_unref(const struct alk_identity *identity);
ALK_API struct alk_span alk_identity_id(const struct alk_identity *identity);
/* Scope i in [0, count); an empty span beyond. */
ALK_API size_t alk_identity_scope_count(const struct alk_identity *identity);
ALK_API struct alk_span alk_identity_scope(const struct alk_identity *identity, size_t i);
/* Whether the identity holds `scope`: by name, by `a:*`, or through `admin`.
 * NULL identity: false. */
ALK_API bool alk_identity_has_scope(const struct alk_identity *identity, struct alk_span scope);
/* Whether `action` on the resource `name` of `type` is granted. A `ref` must match
 * one of the grant's ref patterns where it has any; an empty one asks about the
 * thing as a whole, so whoever changes refs asks for each of them.
 * NULL identity: false. `admin` does not imply resources that are absent. */
ALK_API bool alk_identity_may(const struct alk_identity *identity, struct alk_span type,
                              struct alk_span name, struct alk_span action, struct alk_span ref);

/* What is known of the peer when the handler starts; may be partial (identity
 * NULL). Borrowed from the connection: valid during the call it is passed to;
 * alk_conn_auth always shows the current one. */
struct alk_auth_context {
    size_t struct_size;
    char alpn[ALK_ALPN_MAX + 1];
    char remote[ALK_ADDR_TEXT_MAX]; /* "192.0.2.1:443", "[::1]:443", "memory" */
    char local[ALK_ADDR_TEXT_MAX];
    char sni[ALK_SNI_MAX + 1];     /* "" when none was sent */
    char log_id[20];               /* short name of this connection in the log */
    enum alk_transport transport;
    enum alk_cert_kind cert_kind;
    /* Names of the key or certificate presented, most specific first:
     * "ed25519:...", "spki:...", "cert:...", "SHA256:...". Unused are "". */
    char fingerprints[4][ALK_FINGERPRINT_MAX];
    bool is_resumed;   /* TLS session was resumed */
    bool is_early;     /* handshake not confirmed yet: data may be a replay */
    bool is_confirmed; /* handshake complete and confirmed */
    enum alk_auth_source source;
    const struct alk_identity *identity; /* NULL: unknown */
    uint64_t generation;                 /* of the rights that were used */
};

/* A credential to resolve. Exactly one of key or token is set. */
enum alk_credential_kind { ALK_CREDENTIAL_FINGERPRINTS, ALK_CREDENTIAL_TOKEN };

struct alk_auth_query {
    enum alk_credential_kind kind;
    const struct alk_auth_context *context;        /* who asks, for rules and the log */
    const char (*fingerprints)[ALK_FINGERPRINT_MAX]; /* of ALK_CREDENTIAL_FINGERPRINTS */
    size_t fingerprint_count;
    struct alk_span token; /* of ALK_CREDENTIAL_TOKEN; borrows until resolve returns */
    const char *method;    /* "token", "ssh-key", ...: set by alk_conn_resolve */
};

/* The answer: ALK_OK with an identity (the callee takes a reference of its own
 * if it keeps it), ALK_E_AUTH (unknown), ALK_E_EXPIRED, ALK_E_REVOKED, or
 * ALK_E_UNAVAILABLE (denied, but worth another try). */
typedef void alk_auth_done_fn(void *ctx, alk_err err, const struct alk_identity *identity,
                              uint64_t generation);

/* Resolves credentials. `done` runs exactly once, on the calling loop: inside
 * the call, or later. A provider must never block. */
struct alk_identity_provider {
    size_t struct_size;
    const char *name;
    void (*resolve)(void *provider, const struct alk_auth_query *query, alk_auth_done_fn *done,
                    void *ctx);
};

#ifdef __cplusplus
}
#endif

#endif
