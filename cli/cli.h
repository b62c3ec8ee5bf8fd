/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/cli.h - what all commands share: streams, exit statuses, option sets.
 *
 * Results go to `out`, everything for the person at the keyboard (errors,
 * progress, hints) to `err`. With --json what is on `out` is one JSON value, or
 * one per line where a command says so; errors stay text on `err`.
 */
#ifndef ALK_CLI_H
#define ALK_CLI_H

#include "alknet/alknet.h"
#include "args.h"

#include <yyjson.h>

struct cli {
    FILE *out, *err;
    const char *program; /* how we were called, for lines to copy: "build/alknet" */
    bool is_json;
    bool is_git; /* as git's helper: messages begin with "fatal:", hints are for git's user */
    bool out_is_tty, err_is_tty;
    bool has_color; /* out is a terminal and NO_COLOR is not set */
};

extern const struct cli_command *const cli_commands[]; /* NULL-terminated */
/* The whole command: runs it and returns the exit status. */
int cli_main(struct cli *cli, int argc, const char *const *argv);
const struct cli_command *cli_find_command(const char *name);

/* Option sets. */
extern const struct cli_opt cli_json_opts[];  /* --json */
extern const struct cli_opt cli_state_opts[]; /* --config, --dir */
extern const struct cli_opt cli_node_opts[];  /* how to reach a node, and as whom */

/* Writes "alknet: <message>" ("fatal: <message>" as git's helper) to err and returns
 * `status`. */
int cli_fail(struct cli *cli, int status, const char *fmt, ...) ALK_PRINTF(3, 4);
/* The exit status for an error of the library. */
int cli_status_of(alk_err err);
/* Writes "alknet: <message>" and, for an empty message, the error's own text;
 * returns cli_status_of(err). */
int cli_fail_err(struct cli *cli, alk_err err, const char *message);

/* Writing to out has failed with this errno (0: it is not known). A reader that has left
 * (`| head`) has all that it wants: CLI_PIPE, without a word. CLI_FAILED, with the message
 * written, for all else, first of all a full disk. */
int cli_write_failed(struct cli *cli, int error);
/* Writes out what stdio still holds; output that is lost must not look like success.
 * Returns status, or that of cli_write_failed. */
int cli_finish(struct cli *cli, int status);

/* --help of a command, and of alknet as a whole. */
void cli_help(struct cli *cli, const struct cli_args *args);
void cli_help_all(struct cli *cli);
/* A manual page in mdoc; command NULL: alknet(1). False: out of memory or I/O. */
bool cli_man(FILE *out, const struct cli_command *command);
/* A completion script; CLI_USAGE for an unknown shell. */
int cli_completion(struct cli *cli, const char *shell);

/* Prints text broken at `width` columns, each line after `indent` spaces; the first
 * line starts at column `at`. "\n" ends a line. */
void cli_wrap(FILE *out, const char *text, unsigned at, unsigned indent, unsigned width);

#define CLI_BOLD   "\033[1m"
#define CLI_DIM    "\033[2m"
#define CLI_RED    "\033[31m"
#define CLI_GREEN  "\033[32m"
#define CLI_YELLOW "\033[33m"
#define CLI_RESET  "\033[0m"
/* The sequence, or "" without colours. */
const char *cli_color(const struct cli *cli, const char *sequence);

/* --- JSON output (cli/out.c) --------------------------------------------------- */

/* Writes a JSON text and the end of the line; on a terminal what a terminal would obey is
 * escaped. False: it cannot be written. */
bool cli_put_json(struct cli *cli, struct alk_span json);
/* Prints a value: indented on a terminal, else on one line. Takes doc. Returns
 * CLI_OK or CLI_FAILED. */
int cli_print_json(struct cli *cli, struct yyjson_mut_doc *doc, struct yyjson_mut_val *value);

/* A table for people: cells are copied, columns as wide as their longest cell. */
#define CLI_COLUMNS_MAX 8
struct cli_table {
    unsigned columns;
    char **cells; /* owns, row by row */
    size_t count, size;
};
/* Adds a row; the first one is the heading. Absent cells are "". False: no memory. */
bool cli_table_row(struct cli_table *table, const char *const *cells);
void cli_table_print(struct cli *cli, const struct cli_table *table);
void cli_table_free(struct cli_table *table);

/* Bytes from peers and files, made safe for a terminal; dst always ends in zero. What does
 * not fit is cut between characters, with "..." behind. */
void cli_safe(struct alk_span text, char *dst, size_t dst_size);

#endif
