/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/conn.h - one negotiated connection: QUIC (many streams and datagrams),
 * TLS over TCP (one stream), a WebTransport session, or memory (tests).
 *
 * Threads: belongs to one loop; call from there only. To reach a connection
 * from elsewhere keep an alk_conn_handle and post to its loop.
 */
#ifndef ALKNET_CONN_H
#define ALKNET_CONN_H

#include "alknet/auth.h"
#include "alknet/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

struct alk_loop;

/* What is known of the peer (borrows until the next event of the connection),
 * the loop that the connection belongs to, and what carries it. */
ALK_API const struct alk_auth_context *alk_conn_auth(const struct alk_conn *conn);
ALK_API struct alk_loop *alk_conn_loop(const struct alk_conn *conn);
ALK_API enum alk_transport alk_conn_transport(const struct alk_conn *conn);

/* Opens a stream; the peer sees it at once, before any byte is written.
 * ALK_OK: *ret, whose events go to fn. ALK_FULL: no stream credit now; the
 * connection's `credit` call follows when there is some. ALK_E_ONE_STREAM on TLS
 * once the one stream exists. ALK_E_CLOSED, ALK_E_NOMEM, ALK_E_LIMIT. */
ALK_NODISCARD ALK_API alk_err alk_conn_open_stream(struct alk_conn *conn, alk_stream_fn *fn,
                                                   void *ctx, struct alk_stream **ret);

/* Largest datagram that fits now; 0 where there are none. */
ALK_API size_t alk_conn_datagram_max(const struct alk_conn *conn);
/* Sends an unreliable datagram. Dropped, and counted, when the queue is full:
 * that is ALK_OK too. ALK_E_UNSUPPORTED where there are none, ALK_E_TOO_BIG. */
ALK_NODISCARD ALK_API alk_err alk_conn_datagram(struct alk_conn *conn, struct alk_span data);

/* Closes the connection with a code the peer sees; streams end with
 * ALK_E_CLOSED. Deferred: allowed inside any callback; `close` follows once. */
ALK_API void alk_conn_close(struct alk_conn *conn, uint64_t code, struct alk_span reason);

/* Asks the endpoint's identity provider about a credential that the handler's
 * own protocol shows (a token, an SSH key). On success the connection's identity
 * is NOT changed: a request's identity is the handler's affair. Failures count
 * against the peer's address and this connection, and are logged. query->context
 * and ->method are filled in. */
ALK_API void alk_conn_resolve(struct alk_conn *conn, const char *method,
                              const struct alk_auth_query *query, alk_auth_done_fn *done,
                              void *ctx);
/* A credential that was needed and not shown: the auth-failure line is written,
 * the failure counted, and the connection closed with code 3. */
ALK_API void alk_conn_deny(struct alk_conn *conn, const char *method, const char *reason);

/* A weak name for a connection, safe to keep for ever and to pass between
 * threads; resolves on the connection's own loop, to NULL once it is gone. */
struct alk_conn_handle {
    uint64_t loop;
    uint64_t serial;
};
ALK_API struct alk_conn_handle alk_conn_handle(const struct alk_conn *conn);
ALK_API struct alk_conn *alk_conn_lookup(struct alk_loop *loop, struct alk_conn_handle handle);

/* Bytes and packets, as far as the transport knows them. */
struct alk_conn_stats {
    size_t struct_size;
    uint64_t bytes_in, bytes_out;     /* on the wire */
    uint64_t streams_opened;          /* both directions */
    uint64_t datagrams_dropped;       /* ours, for want of room */
    uint64_t packets_lost;            /* 0 on TLS */
    alk_time rtt, min_rtt;            /* 0 when unknown */
    uint32_t path_mtu;                /* UDP payload bytes; 0 on TLS */
};
ALK_API void alk_conn_stats(const struct alk_conn *conn, struct alk_conn_stats *ret);

#ifdef __cplusplus
}
#endif

#endif
