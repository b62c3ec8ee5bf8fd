/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/status.h - inside of `alknet status`: pages for people, from what a node says of
 * itself here (through its admin socket) or elsewhere (by calls).
 *
 * Texts go to the terminal as they are: those of a node elsewhere are made safe before.
 */
#ifndef ALK_CLI_STATUS_H
#define ALK_CLI_STATUS_H

#include "cli.h"

/* An answer of node/info or node/status: what is in it. */
void cli_status_put_node(struct cli *cli, struct yyjson_val *out);
/* The services of node/status. False: no memory. */
bool cli_status_put_services(struct cli *cli, struct yyjson_val *out);
/* Of node/connections. False: no memory. */
bool cli_status_put_connections(struct cli *cli, struct yyjson_val *out);
/* An answer of that operation, for people or as JSON. Returns a status. */
int cli_status_print(struct cli *cli, const char *operation, struct yyjson_val *out);

/* What the options ask for: "node/status", "node/connections", "node/metrics". */
const char *cli_status_operation(const struct cli_args *args);
/* status NODE. Returns a status, with the message written. */
int cli_status_node(struct cli *cli, const struct cli_args *args);

#endif
