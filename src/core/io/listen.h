/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/listen.h - one address, listened on by all loops over UDP and TCP.
 *
 * The sockets are made together, before any loop uses one: either everything is
 * bound, on one port number, or nothing is. The port is taken without
 * SO_REUSEPORT first, so two nodes never share it by accident.
 */
#ifndef ALK_CORE_IO_LISTEN_H
#define ALK_CORE_IO_LISTEN_H

#include "core/addr.h"

#define ALK_LISTEN_BACKLOG 1024

struct alk_bound {
    const struct alk_mem *mem;
    struct alk_addr addr; /* with the real port */
    char text[ALK_ADDR_TEXT_MAX];
    size_t loops;
    int *udp; /* one per loop; -1: taken over by it, or none. Owns */
    int *tcp;
};

struct alk_bind_options {
    const struct alk_mem *mem;
    struct alk_addr addr; /* port 0: one number for both, `preferred` if it is free */
    uint16_t preferred;
    size_t loops;
    uint8_t cid_len;
};
/* ALK_E_BUSY, ALK_E_PERM, ALK_E_NOENT (no such local address), ALK_E_LIMIT,
 * ALK_E_IO, ALK_E_NOMEM; why gets one sentence that says what to do. */
ALK_NODISCARD alk_err alk_bound_open(const struct alk_bind_options *options, char *why,
                                     size_t why_size, struct alk_bound *ret);
/* Sockets that a service manager has bound: takes udp and tcp (-1: none). The
 * first loop gets the UDP socket, every loop a copy of the TCP one. */
ALK_NODISCARD alk_err alk_bound_adopt(const struct alk_mem *mem, size_t loops, int udp, int tcp,
                                      struct alk_bound *ret);
/* Adds the other half of an adopted address: takes udp or tcp (-1: not this).
 * ALK_E_EXISTS: there is one already. */
ALK_NODISCARD alk_err alk_bound_join(struct alk_bound *b, int udp, int tcp);
/* Closes what no loop has taken, from the end of the group. */
void alk_bound_fini(struct alk_bound *b);
/* The socket of a loop, which owns it from now on; -1: none. */
int alk_bound_take_udp(struct alk_bound *b, size_t loop);
int alk_bound_take_tcp(struct alk_bound *b, size_t loop);

/* Sockets given by the service manager (LISTEN_FDS): count, from descriptor
 * *ret_first on. 0: none. Clears the environment variables, so that children do
 * not believe they are theirs. Before threads start. */
size_t alk_listen_fds(int *ret_first);

#endif
