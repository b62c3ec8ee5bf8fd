/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/tcp_sock.h - TCP sockets under TLS connections, and listening for them.
 *
 * A socket is closed with RST where its connection was aborted, so that a cut is
 * never taken for an end; output is sent at the end of the turn, with TCP_NODELAY.
 */
#ifndef ALK_CORE_IO_TCP_SOCK_H
#define ALK_CORE_IO_TCP_SOCK_H

#include "core/io/pump.h"
#include "core/tls/tcp.h"

struct alk_tcp_sock {
    struct alk_pump *pump;
    int fd; /* owns */
    struct alk_watch *watch;
    struct alk_conn *conn; /* owns */
    struct alk_timer timer;
    void (*on_gone)(void *ctx, const struct alk_addr *remote); /* accounting; may be NULL */
    void *gone_ctx;
    struct alk_addr remote;
    bool has_eof, is_shut, wants_write;
    struct alk_link all, dirty, over;
};

struct alk_tcp_accept {
    struct alk_tls_server *server;
    struct alk_tls_loop *tls_loop;
    alk_time handshake_timeout, idle_timeout;
    void (*on_gone)(void *ctx, const struct alk_addr *remote);
    void *gone_ctx;
};
/* Serves a connected socket. Takes fd, also on failure (then on_gone is not
 * called). */
ALK_NODISCARD alk_err alk_tcp_sock_serve(struct alk_pump *pump, int fd,
                                         const struct alk_tcp_accept *how);
/* A client on a connected socket. Takes fd, also on failure. */
ALK_NODISCARD alk_err alk_tcp_sock_dial(struct alk_pump *pump, int fd,
                                        const struct alk_tcp_connect *connect,
                                        struct alk_conn **ret);

/* For the pump: sends what dirty connections have; frees those that are over. */
void alk_tcp_socks_flush(struct alk_pump *pump);
void alk_tcp_socks_reap(struct alk_pump *pump);
/* Drops every connection of the pump without ceremony (RST). */
void alk_tcp_socks_drop_all(struct alk_pump *pump);

/* --- listening ------------------------------------------------------------ */

/* Asked for each connection before anything is spent on it. Not ALK_OK: refused;
 * ALK_E_FORBIDDEN is said with a TLS alert (access_denied). */
typedef alk_err alk_admit_fn(void *ctx, const struct alk_addr *remote);
/* A connected socket that was admitted: takes fd. */
typedef void alk_accepted_fn(void *ctx, int fd, const struct alk_addr *remote);

struct alk_acceptor;
/* Takes fd, a listening socket, also on failure. ALK_E_NOMEM, ALK_E_IO. */
ALK_NODISCARD alk_err alk_acceptor_new(struct alk_loop *loop, int fd, alk_admit_fn *admit,
                                       alk_accepted_fn *accepted, void *ctx,
                                       struct alk_acceptor **ret);
/* Stops listening. Inside `accepted` too. */
void alk_acceptor_free(struct alk_acceptor *a);
/* Connections refused because no descriptor was free. */
uint64_t alk_acceptor_starved(const struct alk_acceptor *a);

#endif
