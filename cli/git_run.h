/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/git_run.h - a git command run to its end: no shell, input and output in memory.
 *
 * Blocks, also while git asks somebody for a password: only where no connection is
 * waiting.
 */
#ifndef ALK_CLI_GIT_RUN_H
#define ALK_CLI_GIT_RUN_H

#include "base/buf.h"

#define CLI_GIT_INPUT_MAX 4096 /* bytes: what a pipe takes at once */

/* words: what follows "git", NULL-terminated. input: at most CLI_GIT_INPUT_MAX. What
 * git prints is appended to *ret; its errors go to our standard error. ALK_OK:
 * *ret_status is its exit status (128 and more: a signal). ALK_E_TOO_BIG: it prints
 * more than *ret may hold, and was killed. ALK_E_IO, ALK_E_NOENT (there is no git). */
ALK_NODISCARD alk_err cli_git_run(const char *const *words, struct alk_span input,
                                  struct alk_buf *ret, int *ret_status);

#endif
