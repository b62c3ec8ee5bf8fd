/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/tunnel_listen.h - a listening TCP or Unix socket from what --listen says. */
#ifndef ALK_CLI_TUNNEL_LISTEN_H
#define ALK_CLI_TUNNEL_LISTEN_H

#include "base/err.h"

#include <limits.h>

struct cli_listener {
    int fd;              /* -1: none */
    char name[PATH_MAX]; /* "127.0.0.1:6379", with the real port; or "unix:PATH" */
    bool is_unix;
    bool is_public; /* others than this machine can reach it */
};

/* "ADDRESS:PORT" or "unix:PATH". A stale socket at the path is replaced, one that
 * somebody listens on is not. ALK_E_INVALID: not such a text. ALK_E_BUSY,
 * ALK_E_PERM, ALK_E_IO. Always one sentence in why. */
ALK_NODISCARD alk_err cli_listener_open(const char *text, struct cli_listener *ret, char *why,
                                        size_t why_size);
/* The next connection, non-blocking; -1: none now. */
int cli_listener_accept(const struct cli_listener *l);
/* Also removes the Unix socket. fd -1 is allowed. */
void cli_listener_close(struct cli_listener *l);

#endif
