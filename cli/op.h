/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/op.h - what `token` and `peer` share: an operation on the node's peers and
 * tokens (core/store/auth_ops.h), and its answer on the screen.
 */
#ifndef ALK_CLI_OP_H
#define ALK_CLI_OP_H

#include "cli.h"

/* A document with an empty object as its root. */
struct yyjson_mut_doc *cli_op_input(struct yyjson_mut_val **ret);
/* The option's values as a list; nothing when it was not given. False: no memory. */
bool cli_op_put_many(struct yyjson_mut_doc *doc, struct yyjson_mut_val *object, const char *name,
                     const struct cli_args *args, const char *option);
/* Runs it on the node that --config and --dir mean. Takes input; gives *ret_doc,
 * into which *ret_output points. Returns a status, with the message written. */
int cli_op_run(struct cli *cli, const struct cli_args *args, const char *operation,
               struct yyjson_mut_doc *input, struct yyjson_doc **ret_doc,
               struct yyjson_val **ret_output);
/* Puts the row of one member of a list. False: out of memory. */
typedef bool cli_op_row_fn(struct cli_table *table, struct yyjson_val *one);
/* Runs one whose output is a list under `list`, which may come in pages, and prints the whole
 * of it: a table with these heads, or JSON. */
int cli_op_table(struct cli *cli, const struct cli_args *args, const char *operation,
                 const char *list, const char *const *heads, unsigned columns, cli_op_row_fn *row);
/* An operation whose input is argument 0 under `name`; prints "<done> <text>". */
int cli_op_one(struct cli *cli, const struct cli_args *args, const char *operation,
               const char *name, const char *done);
int cli_op_print(struct cli *cli, struct yyjson_val *output);
/* A member's text, or "". */
const char *cli_op_text(struct yyjson_val *object, const char *name);
/* "a, b": the entries of a list, cut where they do not fit. */
void cli_op_join(struct yyjson_val *list, char *ret, size_t ret_size);

#endif
