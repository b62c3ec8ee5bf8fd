/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/pages.h - a list that is answered in pages, as one: asks with the `next` of each
 * answer as the cursor of the following question until there is none.
 */
#ifndef ALK_CLI_PAGES_H
#define ALK_CLI_PAGES_H

#include "cli.h"

/* More than this many, of a frame each, are no list of ours: a node that never ends it is
 * not followed. */
#define CLI_PAGES_MAX 256

/* Asks with that input, an object's text. Returns a status, with the message written;
 * CLI_OK: *ret_doc is the caller's to free and *ret_output in it. */
typedef int cli_page_fn(void *ctx, struct alk_span input, struct yyjson_doc **ret_doc,
                        struct yyjson_val **ret_output);
/* All pages as one answer: an object with the member `list`, and `more` when the node
 * says at the end that it left some out. *ret is the caller's to free. Returns a status,
 * with the message written. */
int cli_pages_read(struct cli *cli, const char *list, cli_page_fn *fn, void *ctx,
                   struct yyjson_doc **ret);

#endif
