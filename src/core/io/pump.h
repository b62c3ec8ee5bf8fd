/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/pump.h - carries bytes between the sockets of one loop and the
 * connections that live there: the hub, QUIC machines with their UDP sockets
 * (struct alk_port), TLS connections with their TCP sockets (core/io/tcp_sock.h).
 *
 *   socket readable -> recvmmsg / recv -> feed -> events in the hub
 *   end of the turn -> hub delivers -> flush: sendmsg / send -> timers set
 *
 * The hub and the flush run once per wake-up; both have a budget, so no peer and
 * no handler starves the others. There is one pump per loop; it is found through
 * the loop. Everything belongs to the loop's thread.
 */
#ifndef ALK_CORE_IO_PUMP_H
#define ALK_CORE_IO_PUMP_H

#include "core/conn.h"
#include "core/io/loop.h"
#include "core/io/udp.h"
#include "core/quic/quic.h"

struct alk_dialer;

struct alk_pump {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    struct alk_hub hub;
    struct alk_turn turn;
    struct alk_udp_rx *rx; /* owns */
    struct alk_list ports; /* struct alk_port */
    struct alk_list tcp;   /* struct alk_tcp_sock, all */
    struct alk_list tcp_dirty, tcp_over;
    struct alk_dialer *dialer; /* of core/io/dial.c; owns */
    void (*dialer_free)(struct alk_dialer *dialer);
};

/* The loop's pump, made on first use; it goes with the loop. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_pump_get(struct alk_loop *loop, struct alk_pump **ret);
/* NULL: there is none yet. */
struct alk_pump *alk_pump_of(const struct alk_loop *loop);
/* Sets the hub's clock; first thing of every callback that feeds connections. */
alk_time alk_pump_now(struct alk_pump *pump);
/* Delivers and flushes now, as the end of a turn does. True: there is more. */
bool alk_pump_turn(struct alk_pump *pump);

/* --- QUIC ----------------------------------------------------------------- */

struct alk_port;
struct alk_port_sock {
    struct alk_port *port;
    struct alk_udp udp;
    struct alk_watch *watch;
    bool is_retired; /* no longer listened on: serves its old connections only */
    struct alk_link in;
};

/* A datagram for another loop: copy it and hand it over. */
typedef void alk_stray_fn(void *ctx, uint8_t loop_id, const struct alk_udp_msg *msg);

struct alk_port {
    struct alk_pump *pump;
    struct alk_quic *quic; /* owns */
    struct alk_list socks; /* struct alk_port_sock */
    alk_stray_fn *stray;   /* NULL: there are no other loops */
    void *stray_ctx;
    alk_udp_error_fn *unreachable; /* clients; NULL: nobody asks */
    void *unreachable_ctx;
    uint8_t loop_id;
    struct alk_timer timer;
    struct alk_quic_batch batch; /* being sent */
    size_t batch_done;
    struct alk_port_sock *blocked; /* the socket that has to become writable; or NULL */
    uint8_t *buf;                  /* owns: ALK_QUIC_BATCH */
    bool has_batch;
    uint64_t no_socket; /* packets dropped because no socket has their address */
    struct alk_link in;
};

/* Takes quic, also on failure. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_port_new(struct alk_pump *pump, struct alk_quic *quic, uint8_t loop_id,
                                   struct alk_port **ret);
/* Frees the machine with all its connections, and closes the sockets. */
void alk_port_free(struct alk_port *port);
/* Takes udp, also on failure. ALK_E_NOMEM, ALK_E_IO. */
ALK_NODISCARD alk_err alk_port_add(struct alk_port *port, struct alk_udp *udp,
                                   struct alk_port_sock **ret);
void alk_port_remove(struct alk_port_sock *sock);
/* A datagram that another loop received for us. */
void alk_port_feed(struct alk_port *port, const struct alk_udp_msg *msg);

#endif
