/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/git_credential.h - tokens that git's credential helpers keep, or ask for.
 *
 * The password of `protocol=alknet, host=HOST:PORT, path=KEY, username=token` is an alknet
 * token; one for all repositories of a node. A node whose key is pinned is meant by it: else
 * an address with another key would get the token of the host that it names.
 */
#ifndef ALK_CLI_GIT_CREDENTIAL_H
#define ALK_CLI_GIT_CREDENTIAL_H

#include "cli.h"

#include "base/buf.h"
#include "base/text.h"
#include "core/auth/token.h"
#include "core/store/known_nodes.h"

#define CLI_GIT_USERNAME "token"

/* Of which node: "host:port", and its pinned key in z-base-32; "": none. */
struct cli_git_place {
    char host_port[ALK_KNOWN_HOST_MAX];
    char key[ALK_Z32_KEY + 1];
};

/* What git reads and writes: one key=value a line. */
ALK_NODISCARD alk_err cli_git_credential_put(struct alk_buf *b, const struct cli_git_place *place,
                                             const char *token);
/* The password in what git has printed; ALK_E_NOENT: none, ALK_E_MALFORMED: no token. */
ALK_NODISCARD alk_err cli_git_credential_get(struct alk_span text, char ret[static ALK_TOKEN_SIZE]);

/* `git credential fill`, which may ask at the terminal. ALK_E_NOENT: nobody has one. */
ALK_NODISCARD alk_err cli_git_credential_fill(const struct cli_git_place *place,
                                              char ret[static ALK_TOKEN_SIZE]);
/* Tells the helpers that it was good, or was not. What they make of it is theirs. */
void cli_git_credential_tell(const struct cli_git_place *place, const char *token, bool is_good);

#endif
