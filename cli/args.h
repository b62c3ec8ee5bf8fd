/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/args.h - commands as tables, and the parser over them.
 *
 * One struct cli_command says everything about a command: what it is for, its
 * options and arguments, examples. Parsing, --help, completions and manual pages
 * are made from it, so that none of them can lag behind.
 *
 * Syntax: --name VALUE, --name=VALUE, -x VALUE, -xVALUE; flags may be bundled
 * (-qv); "--" ends the options; options and arguments may be mixed. "-" is an
 * argument.
 */
#ifndef ALK_CLI_ARGS_H
#define ALK_CLI_ARGS_H

#include "alknet/types.h"

#include <stdio.h>

/* Exit statuses (DESIGN.md §10). */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_REFUSED = 3, /* not permitted, or the node's key changed */
    CLI_UNREACHABLE = 4,
    CLI_PIPE = 141 /* whoever read our output has left: what a shell calls an end by SIGPIPE */
};

/* What a shell offers for a value. */
enum cli_complete {
    CLI_WORD, /* nothing */
    CLI_FILE,
    CLI_DIR,
    CLI_NODE, /* a name from the client's configuration, or a known address */
    CLI_ALPN,
    CLI_OPERATION, /* of the node named before it: the node is asked */
    CLI_COMMAND,
    CLI_SHELL
};

struct cli_opt {
    const char *name;  /* long, without dashes; NULL ends a set */
    const char *value; /* how --help names the value; NULL: a flag */
    const char *help;
    enum cli_complete complete;
    char letter;  /* 0: none */
    bool is_many; /* may be given more than once; otherwise the second is an error */
    bool is_needed; /* the command asks for it when it is missing; shown beside the arguments */
};

struct cli_arg {
    const char *name; /* NULL ends the table */
    enum cli_complete complete;
    bool is_optional, is_many; /* such an argument comes last */
    const char *help;
};

struct cli_example {
    const char *line; /* NULL ends the table */
    const char *what; /* what it does, without full stop */
};

/* A section of the manual page beyond what the tables give. Paragraphs are
 * separated by "\n\n"; `...` is set as a literal, *...* as a metavariable. */
struct cli_section {
    const char *title; /* NULL ends the table */
    const char *text;
};

struct cli;
struct cli_args;
/* Returns the exit status. */
typedef int cli_run_fn(struct cli *cli, const struct cli_args *args);

#define CLI_SETS_MAX   4
#define CLI_OPTS_MAX   64
#define CLI_ARGS_MAX   256
#define CLI_FIELDS_MAX 64

struct cli_command {
    const char *name;
    const char *summary;                      /* one line, lower case, without full stop */
    const char *purpose;                      /* for --help and the manual: a paragraph or two */
    const struct cli_opt *sets[CLI_SETS_MAX]; /* option sets; NULL: no more */
    const struct cli_arg *args;               /* NULL: none */
    const struct cli_example *examples;
    const struct cli_section *sections;           /* for the manual; NULL: none */
    const struct cli_command *const *subcommands; /* NULL-terminated; NULL: none */
    bool has_default;                             /* with subcommands: runs without one too */
    bool is_hidden;
    bool is_program;   /* called by its own name, not as a part of alknet */
    bool takes_fields; /* --NAME [VALUE] that is no option is a field: see cli_args.fields */
    cli_run_fn *run;
};

struct cli_given {
    const struct cli_opt *opt;
    const char *value; /* NULL of a flag */
};

/* Of a command that takes fields: --NAME VALUE, --NAME=VALUE, or --NAME alone before
 * another option or the end. */
struct cli_field {
    struct alk_span name;
    const char *value; /* NULL: none was given */
};

struct cli_args {
    const struct cli_command *command; /* the innermost one */
    const struct cli_command *parent;  /* of a subcommand, or NULL */
    struct cli_given given[CLI_OPTS_MAX];
    size_t given_count;
    const char *values[CLI_ARGS_MAX + 1]; /* arguments in order; NULL-terminated */
    size_t value_count;
    struct cli_field fields[CLI_FIELDS_MAX];
    size_t field_count;
    bool wants_help;
};

/* Parses what follows the command's name (argv[0] is the first word after it).
 * CLI_OK: *ret is filled. CLI_USAGE: a message was written to err. Strings borrow
 * from argv. */
int cli_parse(const struct cli_command *command, int argc, const char *const *argv, FILE *err,
              struct cli_args *ret);

bool cli_has(const struct cli_args *args, const char *name);
/* The value, or NULL. */
const char *cli_get(const struct cli_args *args, const char *name);
/* The i-th value of an option that may come many times; NULL beyond the last. */
const char *cli_nth(const struct cli_args *args, const char *name, size_t i);
/* Argument i, or NULL. */
const char *cli_value(const struct cli_args *args, size_t i);

/* The one of the candidates that a person may have meant; NULL: none is near.
 * candidates end with NULL. */
const char *cli_nearest(const char *word, const char *const *candidates);

/* "alknet token new": with the parent where there is one. */
void cli_full_name(const struct cli_args *args, char *ret, size_t ret_size);
/* Writes "alknet dial: <message>" and how to get help; returns CLI_USAGE. */
int cli_usage(FILE *err, const struct cli_args *args, const char *fmt, ...) ALK_PRINTF(3, 4);

/* All options of a command, one after the other: *at starts at 0. */
const struct cli_opt *cli_next_opt(const struct cli_command *command, size_t *at);

/* Numbers and times in option values. False: the message was written; the caller
 * returns CLI_USAGE. Absent: *ret is untouched. */
bool cli_get_u64(const struct cli_args *args, const char *name, uint64_t min, uint64_t max,
                 FILE *err, uint64_t *ret);
bool cli_get_time(const struct cli_args *args, const char *name, FILE *err, alk_time *ret);
/* Bytes: 65536, 64KiB, 10MiB, 1GiB. */
bool cli_get_size(const struct cli_args *args, const char *name, FILE *err, uint64_t *ret);

#endif
