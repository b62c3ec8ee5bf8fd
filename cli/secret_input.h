/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/secret_input.h - where `alknet secret` gets the phrase from, and what it
 * works on.
 *
 * The phrase comes from --phrase-file (mode 0600), else from the first line of
 * standard input when that is no terminal, else from a prompt without echo on the
 * terminal: never from an argument or the environment. What follows on standard
 * input is the command's input.
 */
#ifndef ALK_CLI_SECRET_INPUT_H
#define ALK_CLI_SECRET_INPUT_H

#include "cli.h"

#include "alknet-secret/secret.h"
#include "base/buf.h"

extern const struct cli_opt cli_secret_opts[]; /* --phrase-file, --passphrase, ... */

struct cli_secret {
    struct cli *cli;
    struct alksec_vault *vault;
    struct alk_buf input; /* a secret */
};

/* Makes a locked vault. Free with close, also after a failure. The process leaves
 * no core dumps from here on. */
int cli_secret_open(struct cli *cli, struct cli_secret *ret);
/* Unlocks it. A wrong phrase is explained. Returns a status. */
int cli_secret_unlock(struct cli_secret *s, const struct cli_args *args);
/* The passphrase alone, for a phrase that is to be made: asked for twice. */
int cli_secret_passphrase(struct cli_secret *s, const struct cli_args *args, bool is_new,
                          struct alk_buf *ret);
/* Fills s->input: from FILE when that is not NULL, else what is left of standard
 * input, else asks with this prompt. A line break at the end is dropped. */
int cli_secret_read(struct cli_secret *s, const char *file, const char *prompt);
void cli_secret_close(struct cli_secret *s);

int cli_secret_fail(struct cli *cli, alksec_err err);

#endif
