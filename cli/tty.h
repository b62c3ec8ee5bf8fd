/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/tty.h - a secret from the person at the terminal. */
#ifndef ALK_CLI_TTY_H
#define ALK_CLI_TTY_H

#include "cli.h"

#include "base/buf.h"

/* Writes the prompt to the terminal, reads one line without echo and appends it to
 * *ret, which must have room for it: nothing grows. The terminal is put back also
 * when a signal comes. Returns a status; CLI_FAILED: there is no terminal, the
 * line does not fit, or nothing was typed before its end. */
int cli_tty_secret(struct cli *cli, const char *prompt, struct alk_buf *ret);

#endif
