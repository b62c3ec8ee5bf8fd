/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/complete.h - what completion scripts ask for while somebody types: words, one per
 * line. Nothing is told of failures: there is just nothing to offer.
 */
#ifndef ALK_CLI_COMPLETE_H
#define ALK_CLI_COMPLETE_H

#include "cli.h"

/* For so many seconds an answer is offered again without asking; after a failure the
 * node is left alone for so many. */
#define CLI_COMPLETE_FRESH 60
#define CLI_COMPLETE_RETRY 10

/* Those of the client's configuration, those that were joined, known addresses. */
int cli_complete_nodes(struct cli *cli);
/* Those that the node lets us call. It is dialled with patience for two seconds, or is
 * not asked at all when the last answer is fresh; when it does not answer, what it said
 * last is offered. args: of the command, for its usage. */
int cli_complete_operations(struct cli *cli, const struct cli_args *args, const char *node);

/* The fields of one of them, as --NAME, in the same way. Those of a topic: none. */
int cli_complete_fields(struct cli *cli, const struct cli_args *args, const char *node,
                        const char *op);

/* --- the file behind it: "<unix seconds> <node>" or "<unix seconds> <node> <operation>",
 * then a name per line. Pure. */

/* Reads such a text; *ret_names borrows from it. False: it is of another node, or none. */
bool cli_complete_read(struct alk_span text, const char *node, uint64_t *ret_at,
                       struct alk_span *ret_names);

#endif
