/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/steer.h - the classic-BPF program that hands each QUIC datagram to the
 * socket of the loop its connection ID names.
 *
 * The sockets of a SO_REUSEPORT group have slots in the order of binding; the
 * first byte of a connection ID is a loop's logical id, never the slot
 * (reference/endpoint.md §3). The program is a generated table:
 *
 *   short header           CID byte 0 known: its slot
 *   long header, our       CID byte 0 known: its slot
 *     CID length
 *   anything else          32 bits of the ID, modulo the loops that accept
 *
 * so that a client-chosen ID always reaches the same accepting loop whatever
 * address it comes from. Closing a socket moves the last one into its slot:
 * close from the end of the group only. Needs no privilege.
 */
#ifndef ALK_CORE_IO_STEER_H
#define ALK_CORE_IO_STEER_H

#include "base/err.h"

#include <linux/filter.h>

#define ALK_STEER_MAX     256
/* Instructions of a table of n loops: three lists of two each, and a frame. */
#define ALK_STEER_CODE(n) (6 * (n) + 12)

struct alk_steer_loop {
    uint8_t id;        /* first byte of its connection IDs */
    uint8_t slot;      /* place of its socket in the group */
    bool is_accepting; /* takes new connections */
};

/* Pure. Writes at most ALK_STEER_CODE(n) instructions and returns how many.
 * n is 1..ALK_STEER_MAX; at least one loop must accept. */
size_t alk_steer_program(const struct alk_steer_loop *loops, size_t n, uint8_t cid_len,
                         struct sock_filter *ret);
/* Puts the program on the group of the socket, before the first bind (SO_REUSEPORT
 * must be set) or, replacing the one in force, at any time. */
ALK_NODISCARD alk_err alk_steer_attach(int fd, const struct alk_steer_loop *loops, size_t n,
                                       uint8_t cid_len);

#endif
