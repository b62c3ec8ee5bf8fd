/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/ident.h - a node's names: its key in all forms, and addresses for people. */
#ifndef ALK_CLI_IDENT_H
#define ALK_CLI_IDENT_H

#include "cli.h"
#include "core/config/node.h"

#define CLI_SSH_LINE_MAX 128

/* "ssh-ed25519 AAAA... <comment>" */
void cli_ssh_line(const uint8_t key[static 32], const char *comment,
                  char ret[static CLI_SSH_LINE_MAX]);

/* The address that somebody else could use: `advertise`, else the listening
 * address, with this machine's name where it is a wildcard. */
void cli_public_host(const char *advertise, const char *listening, char *ret, size_t ret_size);

/* Adds key, hex, openssh and sha256 to an object. False: no memory. */
bool cli_put_key(struct yyjson_mut_doc *doc, struct yyjson_mut_val *object,
                 const uint8_t key[static 32], const char *comment);
/* The same as lines for people. */
void cli_print_key(struct cli *cli, const uint8_t key[static 32], const char *comment);

#endif
