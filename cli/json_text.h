/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/json_text.h - JSON that a person wrote: whether a node would take it, and if not,
 * what is wrong with it and where.
 */
#ifndef ALK_CLI_JSON_TEXT_H
#define ALK_CLI_JSON_TEXT_H

#include "base/span.h"
#include "cli.h"

/* Reads what a node would take, numbers as they are written (yyjson's raw values): none loses
 * a digit on its way through. *ret is freed with yyjson_doc_free. ALK_E_MALFORMED,
 * ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err cli_json_read(struct alk_span text, struct yyjson_doc **ret);

/* CLI_OK; else CLI_USAGE (or CLI_FAILED without memory) with "<what> is not JSON: ..."
 * written: the reason and the text from that place on. */
int cli_json_check(struct cli *cli, struct alk_span text, const char *what);

#endif
