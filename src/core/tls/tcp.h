/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/tcp.h - one TLS 1.3 connection over TCP as a value machine.
 *
 * Bytes and time in; bytes, events (through the hub) and a deadline out. It is a
 * struct alk_conn with one stream. GnuTLS never sees EAGAIN on output: its push
 * function appends to our own bounded buffer (reference/endpoint.md §5).
 * A server opens nothing before the client's Finished. An end without
 * close_notify is a reset.
 *
 * What the peer sees: finish is close_notify; both of them are the orderly end.
 * Resetting, stopping and closing abort the connection without close_notify, and
 * the peer's stream ends with ALK_E_RESET. Codes do not travel, but for five that
 * have an alert (3 certificate_required, 4 access_denied, 8 certificate_revoked,
 * 1 internal_error, 10 no_application_protocol) when a connection is closed with
 * them. Closing a connection whose stream is finished and fits the output buffer is
 * orderly. Stopping or closing a stream that was finished first still delivers what
 * was written; what comes from the peer is then dropped for up to 5 s.
 *
 * Order of a turn: feed / eof / tick, alk_hub_run, flush, then write the output.
 * The owner holds the connection until `over`.
 */
#ifndef ALK_CORE_TLS_TCP_H
#define ALK_CORE_TLS_TCP_H

#include "base/rand.h"
#include "core/conn.h"
#include "core/tls/session.h"

#define ALK_TCP_OUT_HIGH ((size_t)256 * 1024) /* encrypted bytes before we stop encrypting */
#define ALK_TCP_OUT_LOW  ((size_t)64 * 1024)
#define ALK_TCP_RX_HIGH  ((size_t)256 * 1024) /* unconsumed plain text before we stop reading */
#define ALK_TCP_FEED_MAX ((size_t)64 * 1024)  /* bytes of one feed */

struct alk_tcp_options {
    const struct alk_mem *mem;
    struct alk_hub *hub;
    struct alk_addr local, remote;
    alk_time handshake_timeout, idle_timeout; /* 0: 10 s, 60 s */
    /* Client: an empty record this often, so that the server's idle time-out does
     * not end a quiet session. 0: 20 s; ALK_NEVER: none. Finding dead peers is the
     * socket's affair. */
    alk_time keep_alive;
    /* Called when output or a deadline appeared outside feed/tick, so that the
     * owner flushes it before it sleeps. Must not call back. */
    void (*wake)(void *ctx, struct alk_conn *conn);
    /* The connection is over and no longer used: the owner closes the socket
     * (abort: with RST) and calls alk_tcp_free, here or later. */
    void (*over)(void *ctx, struct alk_conn *conn);
    void *owner;
};

ALK_NODISCARD alk_err alk_tcp_server(const struct alk_tcp_options *options,
                                     struct alk_tls_server *server, struct alk_tls_loop *loop,
                                     alk_time now, struct alk_conn **ret);
struct alk_tcp_connect {
    const struct alk_dial_options *dial; /* borrows until freed */
    struct alk_tls_creds *creds;
    const struct alk_handler *handler;
    void *service_state;
    struct alk_span session; /* from alk_tcp_client_session; may be empty */
    bool hold_finished;      /* race: see core/quic; HANDSHAKE is raised all the same */
    void (*keylog)(void *ctx, const char *line); /* NSS format; NULL: none */
    void *keylog_ctx;
};
ALK_NODISCARD alk_err alk_tcp_client(const struct alk_tcp_options *options,
                                     const struct alk_tcp_connect *connect, alk_time now,
                                     struct alk_conn **ret);
/* After `over`, or to drop it without ceremony. */
void alk_tcp_free(struct alk_conn *conn);
void *alk_tcp_owner(const struct alk_conn *conn);

void alk_tcp_release_finished(struct alk_conn *conn);
/* ALK_MORE: no ticket has come yet. */
ALK_NODISCARD alk_err alk_tcp_client_session(struct alk_conn *conn, struct alk_buf *ret);
/* For verify_err, verify_text and server_key; borrows until free. */
struct alk_tls_session *alk_tcp_session(struct alk_conn *conn);

/* At most ALK_TCP_FEED_MAX bytes from the socket; all are taken. ALK_FULL: stop
 * reading the socket until alk_tcp_wants_input (a feed that was under way is still
 * taken; more ends the connection). Errors raise `closed` through the hub by
 * themselves. */
alk_err alk_tcp_feed(struct alk_conn *conn, struct alk_span in, alk_time now);
bool alk_tcp_wants_input(const struct alk_conn *conn);
/* The socket's end of file or error. */
void alk_tcp_eof(struct alk_conn *conn, alk_time now);
void alk_tcp_failed(struct alk_conn *conn, alk_err err, alk_time now);
/* Reads what waited for room in the stream, encrypts what the stream has queued. */
void alk_tcp_flush(struct alk_conn *conn, alk_time now);
/* What to write to the socket; borrows until the next call. */
struct alk_span alk_tcp_output(const struct alk_conn *conn);
/* May call `over`. */
void alk_tcp_sent(struct alk_conn *conn, size_t n);
/* After output is empty: shut the socket's write side (TLS close_notify sent). */
bool alk_tcp_wants_shutdown(const struct alk_conn *conn);
/* Close the socket with RST (reset, stop, limits). */
bool alk_tcp_wants_abort(const struct alk_conn *conn);
alk_time alk_tcp_deadline(const struct alk_conn *conn);
void alk_tcp_tick(struct alk_conn *conn, alk_time now);

#endif
