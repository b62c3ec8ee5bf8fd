/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/reader.h - hears that whoever reads our output has left, before there is anything
 * to write: `alknet subscribe ... | head -1` ends then, and not with the next event.
 *
 * Of pipes only; for all else nothing is ever heard.
 */
#ifndef ALK_CLI_READER_H
#define ALK_CLI_READER_H

#include "cli.h"

struct cli_reader {
    void (*fn)(void *ctx);
    void *ctx;
    int fd; /* owns: the pipe opened once more; -1: none */
    struct alk_watch *watch;
};

/* fn is called at most once, on the loop. Close it before the loop is freed. */
void cli_reader_open(struct cli *cli, struct alk_loop *loop, void (*fn)(void *ctx), void *ctx,
                     struct cli_reader *ret);
/* Does nothing for one that is zeroed or closed. */
void cli_reader_close(struct cli_reader *r);

#endif
