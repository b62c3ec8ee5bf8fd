/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/signals.h - signals as events of a loop, for commands that must tidy up. */
#ifndef ALK_CLI_SIGNALS_H
#define ALK_CLI_SIGNALS_H

#include "alknet/loop.h"

struct cli_signals {
    int fd;
    struct alk_watch *watch;
    void (*fn)(void *ctx, int number);
    void *ctx;
};

/* INT, TERM and HUP come to fn from now on, on the loop; not those that the process was
 * started to ignore. */
ALK_NODISCARD alk_err cli_signals_open(struct alk_loop *loop, void (*fn)(void *ctx, int number),
                                       void *ctx, struct cli_signals *ret);
/* Back to the default; before the loop is freed. A zeroed one is allowed. */
void cli_signals_close(struct cli_signals *s);

#endif
