/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/udp.h - a UDP socket in batches: recvmmsg with GRO in, sendmsg with GSO
 * out, ECN both ways, and the local address on sockets bound to a wildcard.
 *
 * Nothing is allocated per datagram: one struct alk_udp_rx per loop holds the
 * receive buffers of all its sockets.
 */
#ifndef ALK_CORE_IO_UDP_H
#define ALK_CORE_IO_UDP_H

#include "core/addr.h"
#include "core/io/steer.h"

/* Messages of one recvmmsg, each room for one GRO super-packet. */
#define ALK_UDP_SLOTS     8
#define ALK_UDP_SLOT_SIZE ((size_t)65536)

struct alk_udp {
    int fd; /* owns; -1: closed */
    struct alk_addr bound;
    bool is_any;  /* bound to a wildcard: the local address is told per datagram */
    bool has_gso; /* the kernel and, so far, the network interfaces do UDP_SEGMENT */
    bool has_gro;
    uint64_t send_errors; /* datagrams that the system refused to send */
};

/* How a socket shares its port. FIRST takes the port alone, so that a second node
 * never joins by accident, and then lets NEXT ones of ours join. */
enum alk_share { ALK_SHARE_ALONE, ALK_SHARE_FIRST, ALK_SHARE_NEXT };

struct alk_udp_options {
    struct alk_addr addr; /* port 0: any */
    enum alk_share share;
    /* Of FIRST: steering of the group, in force before the first datagram. */
    const struct alk_steer_loop *steer;
    size_t steer_count;
    uint8_t cid_len;
};
/* ALK_E_BUSY: the port is taken. ALK_E_PERM, ALK_E_NOENT: no such local address,
 * ALK_E_LIMIT, ALK_E_IO. */
ALK_NODISCARD alk_err alk_udp_open(const struct alk_udp_options *options, struct alk_udp *ret);
/* A bound socket made elsewhere (socket activation): takes fd. */
void alk_udp_adopt(int fd, struct alk_udp *ret);
void alk_udp_close(struct alk_udp *u);

/* One datagram as the peer sent it. data may be changed in place. */
struct alk_udp_msg {
    struct alk_addr local, remote;
    uint8_t ecn;
    struct alk_span data;
};
typedef void alk_udp_fn(void *ctx, const struct alk_udp_msg *msg);

struct alk_udp_rx;
/* ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_udp_rx_new(const struct alk_mem *mem, struct alk_udp_rx **ret);
void alk_udp_rx_free(struct alk_udp_rx *rx);
/* Room that other readers of the same loop may use between receives:
 * ALK_UDP_SLOT_SIZE bytes. */
uint8_t *alk_udp_rx_scratch(struct alk_udp_rx *rx);
/* Receives one batch. False: less came than fits, so the socket is empty. */
bool alk_udp_recv(struct alk_udp *u, struct alk_udp_rx *rx, alk_udp_fn *fn, void *ctx);

/* Clients: ask to be told of destinations that cannot be reached (ICMP). */
void alk_udp_want_errors(struct alk_udp *u);
/* Calls fn for each destination that was told since. Unauthenticated: only good
 * for giving up an attempt that has not met its peer yet. */
typedef void alk_udp_error_fn(void *ctx, const struct alk_addr *remote);
void alk_udp_errors(struct alk_udp *u, alk_udp_error_fn *fn, void *ctx);

struct alk_udp_out {
    struct alk_addr local, remote; /* local.family 0: the system's choice */
    uint8_t ecn;
    size_t segment; /* all datagrams but the last have this size */
    struct alk_span data;
};
/* Sends a batch, or what is left of it: *done bytes have been sent before and are
 * left out; it is advanced.
 *
 * ALK_OK: all sent, or dropped as a network would (unreachable, no buffers).
 * ALK_FULL: wait until the socket is writable. ALK_E_TOO_BIG: a segment is larger
 * than the path's MTU; the batch is dropped. Where UDP_SEGMENT is refused the
 * batch goes out one by one and has_gso becomes false. */
ALK_NODISCARD alk_err alk_udp_send(struct alk_udp *u, const struct alk_udp_out *out, size_t *done);

#endif
