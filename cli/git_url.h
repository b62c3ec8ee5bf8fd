/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/git_url.h - where a repository is: `alknet://KEY@HOST:PORT/REPO`,
 * `alknet://HOST:PORT/REPO`, `alknet://NAME/REPO`. Pure.
 */
#ifndef ALK_CLI_GIT_URL_H
#define ALK_CLI_GIT_URL_H

#include "git/proto/request.h"
#include "node.h"

struct cli_git_url {
    char node[CLI_NODE_MAX + 1];             /* for cli_client_open: an address or a name */
    char path[ALK_GIT_REQUEST_PATH_MAX + 1]; /* with its slash, percent-decoded */
};

/* The scheme may be missing, as git leaves it out of `alknet::NAME/REPO`. A host with
 * neither key nor dot nor colon is a name. ALK_E_INVALID with one sentence in why;
 * what the node's address must look like is left to cli_node_parse. */
ALK_NODISCARD alk_err cli_git_url_parse(const char *text, struct cli_git_url *ret, char *why,
                                        size_t why_size);

#endif
