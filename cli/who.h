/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/who.h - the key and the address of the node that --config and --dir mean. */
#ifndef ALK_CLI_WHO_H
#define ALK_CLI_WHO_H

#include "core/auth/fingerprint.h"
#include "state.h"

struct cli_who {
    uint8_t key[32];
    char text[ALK_Z32_ADDRESS_SIZE]; /* the key, as in addresses */
    char host_port[300];
    struct yyjson_doc *info; /* node/info of a running node, or NULL */
};

/* Asks the running node, whose port may not be the configured one; else reads its
 * files. Zero-initialise; free with fini in any case. A status, with the message
 * written. */
int cli_who_find(const struct cli_state *state, struct cli_who *who);
void cli_who_fini(struct cli_who *who);

#endif
