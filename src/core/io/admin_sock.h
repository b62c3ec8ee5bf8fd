/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/admin_sock.h - Unix stream sockets by path, of any length: where
 * sun_path is too short, the directory is reached through /proc/self/fd.
 *
 * errno stays as the system set it.
 */
#ifndef ALK_CORE_IO_ADMIN_SOCK_H
#define ALK_CORE_IO_ADMIN_SOCK_H

#include "base/err.h"

/* A listening, non-blocking socket, mode 0600; replaces what is there when that
 * is a socket. ALK_E_EXISTS: something else is there. */
ALK_NODISCARD alk_err alk_admin_sock_listen(const char *path, int *ret_fd);
/* A connected, blocking socket. ALK_E_UNREACHABLE: no socket, or nobody
 * listens. */
ALK_NODISCARD alk_err alk_admin_sock_connect(const char *path, int *ret_fd);

#endif
