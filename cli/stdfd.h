/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/stdfd.h - standard input and output without blocking, and left behind as
 * they were found.
 *
 * O_NONBLOCK belongs to the open file, which other processes share. A pipe or a
 * terminal is therefore opened again for us alone (through /proc/self/fd) and put
 * in its place; where that cannot be (sockets), the flag is set and taken back.
 */
#ifndef ALK_CLI_STDFD_H
#define ALK_CLI_STDFD_H

#include "alknet/types.h"

struct cli_stdfd {
    int fd;
    int flags; /* to be restored; -1: nothing to restore */
};

/* fd is 0 or 1. Regular files stay as they are: they never block. */
void cli_stdfd_open(int fd, struct cli_stdfd *ret);
void cli_stdfd_restore(const struct cli_stdfd *s);

#endif
