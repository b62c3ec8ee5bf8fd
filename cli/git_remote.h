/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/git_remote.h - git-remote-alknet: the same program under another name. */
#ifndef ALK_CLI_GIT_REMOTE_H
#define ALK_CLI_GIT_REMOTE_H

#include "cli.h"

#define CLI_GIT_PROGRAM "git-remote-alknet"

extern const struct cli_command cli_git_remote_command;
/* The whole program; returns the exit status. */
int cli_git_main(struct cli *cli, int argc, const char *const *argv);

#endif
