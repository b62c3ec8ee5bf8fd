/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/git_session.h - one Git service of one repository, on standard input and output.
 *
 * The request leaves with the connection's first flight (in 0-RTT for fetches, where
 * an earlier session is resumed). Git is told that it is connected when the node has
 * begun to answer; until then an answer that asks for credentials is answered by a
 * second connection with a token from `git credential`.
 */
#ifndef ALK_CLI_GIT_SESSION_H
#define ALK_CLI_GIT_SESSION_H

#include "cli.h"

#include "git/proto/request.h"
#include "git_url.h"

#define CLI_GIT_ALPN "alknet/git"

struct cli_git_session {
    struct cli *cli;
    const struct cli_args *args;   /* of cli_node_opts */
    const struct cli_git_url *url; /* borrows */
    const char *url_text;          /* for messages */
    enum alk_git_service service;
    unsigned version;
    unsigned verbosity;
};

/* Runs it to its end and returns the exit status; what went wrong is told. */
int cli_git_session_run(const struct cli_git_session *s);

#endif
