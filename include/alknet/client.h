/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/client.h - connections to a node, by its key.
 *
 * QUIC is tried first and TCP 250 ms later, or first where it is remembered to
 * be what works; the loser is closed before its Finished. The callbacks are the
 * handler's, seen from the other side.
 */
#ifndef ALKNET_CLIENT_H
#define ALKNET_CLIENT_H

#include "alknet/conn.h"
#include "alknet/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a client hears of its connection; same promises as struct alk_handler.
 * `opened` or `failed` comes first, exactly one of them; after `opened`, `closed`
 * comes once and last. NULL members are allowed, except opened and failed.
 *
 * With want_early `opened` may come before the node has answered (is_early in its
 * alk_conn_auth). Until its part of the handshake has come the other ways and the
 * deadline go on: `opened` may come again, with another connection, or `failed`, and
 * is then the last. The connection before that is gone, and its streams hear so. */
struct alk_client_calls {
    void (*opened)(void *ctx, struct alk_conn *conn);
    /* message: one sentence for a person, with what to do next. */
    void (*failed)(void *ctx, alk_err err, const char *message);
    void (*stream)(void *ctx, struct alk_stream *stream);
    void (*datagram)(void *ctx, struct alk_span data);
    void (*credit)(void *ctx);
    /* Early data was rejected: streams opened early are gone, start again. */
    void (*early_rejected)(void *ctx);
    void (*closed)(void *ctx, alk_err why, uint64_t code, struct alk_span reason);
};

/* Decides about a key or certificate that no rule covers (trust on first use):
 * true accepts. Runs during the handshake, on the loop, and must not block.
 * key: z-base-32 of an Ed25519 key, or "cert:<hex>". */
typedef bool alk_trust_fn(void *ctx, const char *host_port, const char *key);

/* Keeps TLS tickets, tokens and which transport worked, between connections.
 * Thread safe; one can serve many dials. */
struct alk_session_cache;
/* dir NULL: in memory only. Files are 0600 in a 0700 directory. */
ALK_NODISCARD ALK_API alk_err alk_session_cache_new(const struct alk_mem *mem, const char *dir,
                                                    struct alk_session_cache **ret);
ALK_API void alk_session_cache_free(struct alk_session_cache *cache);

/* An Ed25519 key pair of ours. */
struct alk_key;
/* Reads OpenSSH (unencrypted) or PKCS#8 PEM. */
ALK_NODISCARD ALK_API alk_err alk_key_load(const struct alk_mem *mem, const char *path,
                                           struct alk_key **ret);
/* As load, but makes a new key (0600, written by rename) when there is none.
 * ret_is_new may be NULL. */
ALK_NODISCARD ALK_API alk_err alk_key_load_or_create(const struct alk_mem *mem, const char *path,
                                                     struct alk_key **ret, bool *ret_is_new);
ALK_API void alk_key_free(struct alk_key *key);
/* The public key: 32 bytes that live as long as the key. */
ALK_API const uint8_t *alk_key_public(const struct alk_key *key);

struct alk_dial_options {
    size_t struct_size;
    const struct alk_mem *mem;
    const char *host;              /* name or address; no brackets */
    uint16_t port;                 /* 0: 4433 */
    const char *const *alpns;      /* NULL-terminated, in order of preference */
    const uint8_t *pinned_key;     /* 32 bytes Ed25519; NULL: certificate rules below */
    const uint8_t *pinned_cert;    /* 32 bytes SHA-256 of the DER certificate; NULL: none */
    const char *ca_file;           /* PEM; NULL: the system's */
    const char *sni;               /* NULL: host, unless a key is pinned or it is an address */
    const struct alk_key *key;     /* our identity; NULL: none. Borrows until the end */
    const char *cert_file, *cert_key_file; /* X.509 identity instead of key */
    struct alk_session_cache *cache;       /* may be NULL. Borrows until the end */
    unsigned transports;           /* mask of enum alk_transport; 0: both, racing */
    bool is_insecure;              /* accept any server; only for tests */
    bool want_early;               /* open as soon as 0-RTT is possible */
    alk_trust_fn *trust;           /* NULL: unknown keys are refused */
    void *trust_ctx;
    alk_time connect_timeout;      /* 0: 15 s */
    alk_time idle_timeout;         /* 0: 60 s */
    alk_time keep_alive;           /* 0: 20 s; ALK_NEVER: none */
    const char *qlog_dir;          /* a file per QUIC connection; the newest dial's on this loop */
    const char *keylog_file;       /* session keys are appended, for Wireshark */
    const char *bind_address;      /* local address; NULL: any */
};

/* Starts a connection on the loop; ctx goes to the calls. ALK_OK: `opened` or
 * `failed` follows, never inside this call. The attempt can be ended with
 * alk_dial_cancel until then. */
struct alk_dial;
ALK_NODISCARD ALK_API alk_err alk_dial(struct alk_loop *loop,
                                       const struct alk_dial_options *options,
                                       const struct alk_client_calls *calls, void *ctx,
                                       struct alk_dial **ret);
/* No further call for this dial. Not after `failed` or `closed`; after `opened` it
 * ends an early connection and does nothing to others. */
ALK_API void alk_dial_cancel(struct alk_dial *dial);

#ifdef __cplusplus
}
#endif

#endif
