/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/sock.h - what UDP and TCP sockets share: addresses, options, errors.
 *
 * All sockets are non-blocking and close-on-exec. IPv6 sockets carry IPv6 only,
 * so that "0.0.0.0:4433" and "[::]:4433" can both be listened on.
 */
#ifndef ALK_CORE_IO_SOCK_H
#define ALK_CORE_IO_SOCK_H

#include "core/addr.h"

#include <sys/socket.h>

/* Bytes of kernel buffer that are asked for in each direction (best effort). */
#define ALK_SOCK_BUFFER (4 * 1024 * 1024)

/* a->family must be 4 or 6. */
socklen_t alk_sockaddr_put(const struct alk_addr *a, struct sockaddr_storage *ret);
/* Family 0 for what is neither IPv4 nor IPv6. */
struct alk_addr alk_sockaddr_get(const struct sockaddr_storage *sa);
/* The address a socket is bound to. */
struct alk_addr alk_sock_bound(int fd);
struct alk_addr alk_sock_peer(int fd);
/* SOCK_STREAM, SOCK_DGRAM, ...; -1: not a socket. */
int alk_sock_type(int fd);
bool alk_addr_is_any(const struct alk_addr *a);

/* type: SOCK_DGRAM or SOCK_STREAM. -1 and errno. */
int alk_sock_open(uint8_t family, int type);
/* Sets an int option; false when the system does not know or allow it. */
bool alk_sock_set(int fd, int level, int name, int value);
/* Large kernel buffers, as far as net.core.rmem_max and wmem_max allow. */
void alk_sock_buffers(int fd);
alk_err alk_sock_bind(int fd, const struct alk_addr *a);
/* The error class of an errno: EADDRINUSE is ALK_E_BUSY, ... */
alk_err alk_sock_err(int error);

#endif
