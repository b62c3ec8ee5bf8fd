/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* --help, from the tables. */
#include "cli.h"

#include "base/span.h"

#define WIDTH  80
#define COLUMN 28 /* where the text beside an option starts */

void cli_wrap(FILE *out, const char *text, unsigned at, unsigned indent, unsigned width)
{
    const char *p = text;
    bool is_first = true; /* word of its line */

    while (*p != '\0') {
        if (*p == '\n') {
            (void)fputc('\n', out);
            at = 0;
            is_first = true;
            p++;
            continue;
        }
        if (*p == ' ') {
            p++;
            continue;
        }
        unsigned n = (unsigned)strcspn(p, " \n");
        if (!is_first && at + 1 + n > width) {
            (void)fputc('\n', out);
            at = 0;
            is_first = true;
        }
        for (; at < indent; at++) {
            (void)fputc(' ', out);
        }
        at += (unsigned)fprintf(out, "%s%.*s", is_first ? "" : " ", (int)n, p);
        is_first = false;
        p += n;
    }
    (void)fputc('\n', out);
}

static void put_synopsis(struct cli *cli, const char *name, const struct cli_command *command)
{
    const struct cli_opt *o;
    size_t at = 0;

    (void)fprintf(cli->out, "%s", name);
    if (command->subcommands != NULL) {
        (void)fprintf(cli->out, command->has_default ? " [" : " ");
        for (size_t i = 0; command->subcommands[i] != NULL; i++) {
            (void)fprintf(cli->out, "%s%s", i == 0 ? "" : "|", command->subcommands[i]->name);
        }
        (void)fprintf(cli->out, command->has_default ? "]" : "");
    }
    for (const struct cli_arg *a = command->args; a != NULL && a->name != NULL; a++) {
        (void)fprintf(cli->out, a->is_optional ? " [%s]%s" : " %s%s", a->name,
                      a->is_many ? "..." : "");
    }
    while ((o = cli_next_opt(command, &at)) != NULL) {
        if (o->is_needed) {
            (void)fprintf(cli->out, " --%s %s", o->name, o->value);
        }
    }
    at = 0;
    if (cli_next_opt(command, &at) != NULL) {
        (void)fprintf(cli->out, " [OPTION]...");
    }
    (void)fputc('\n', cli->out);
}

static void put_heading(struct cli *cli, const char *text)
{
    (void)fprintf(cli->out, "\n%s%s%s\n", cli_color(cli, CLI_BOLD), text,
                  cli_color(cli, CLI_RESET));
}

static void put_row(struct cli *cli, const char *left, const char *right)
{
    int at = fprintf(cli->out, "  %s", left);
    if (at >= COLUMN - 1) {
        (void)fputc('\n', cli->out);
        at = 0;
    }
    cli_wrap(cli->out, right, at < 0 ? 0 : (unsigned)at, COLUMN, WIDTH);
}

static void put_options(struct cli *cli, const struct cli_command *command)
{
    const struct cli_opt *o;
    size_t at = 0;
    char left[96];

    put_heading(cli, "Options:");
    while ((o = cli_next_opt(command, &at)) != NULL) {
        char letter[8] = "    ";
        if (o->letter != 0) {
            (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
        }
        (void)snprintf(left, sizeof left, "%s--%s%s%s%s", letter, o->name,
                       o->value != NULL ? " " : "", o->value != NULL ? o->value : "",
                       o->is_many ? "..." : "");
        put_row(cli, left, o->help);
    }
    put_row(cli, "-h, --help", "Show this help.");
}

static void put_examples(struct cli *cli, const struct cli_command *command)
{
    if (command->examples == NULL) {
        return;
    }
    put_heading(cli, "Examples:");
    for (const struct cli_example *e = command->examples; e->line != NULL; e++) {
        (void)fprintf(cli->out, "  %s# %s%s\n  %s\n", cli_color(cli, CLI_DIM), e->what,
                      cli_color(cli, CLI_RESET), e->line);
    }
}

/* What is meant by `call NODE OPERATION --help`: the fields are the operation's. */
static void put_page_of(struct cli *cli, const struct cli_args *args)
{
    char op[300];

    if (args->command->takes_fields && args->value_count > 1 &&
        strchr(cli_value(args, 1), '/') != NULL) {
        cli_safe(alk_span_str(cli_value(args, 1)), op, sizeof op);
        (void)fprintf(cli->out, "Fields of %s: alknet ops %s %s\n", op, cli_value(args, 0), op);
    }
}

void cli_help(struct cli *cli, const struct cli_args *args)
{
    const struct cli_command *command = args->command;
    char name[128];

    cli_full_name(args, name, sizeof name);
    (void)fprintf(cli->out, "Usage: ");
    put_synopsis(cli, name, command);
    (void)fputc('\n', cli->out);
    cli_wrap(cli->out, command->purpose, 0, 0, WIDTH);
    if (command->args != NULL) {
        put_heading(cli, "Arguments:");
        for (const struct cli_arg *a = command->args; a->name != NULL; a++) {
            put_row(cli, a->name, a->help);
        }
    }
    if (command->subcommands != NULL) {
        put_heading(cli, "Commands:");
        for (size_t i = 0; command->subcommands[i] != NULL; i++) {
            put_row(cli, command->subcommands[i]->name, command->subcommands[i]->summary);
        }
    }
    if (command->subcommands == NULL || command->has_default) {
        put_options(cli, command);
    }
    put_examples(cli, command);
    (void)fprintf(cli->out, "\nManual: man %s%s\n", command->is_program ? "" : "alknet-",
                  args->parent != NULL ? args->parent->name : command->name);
    put_page_of(cli, args);
}

void cli_help_all(struct cli *cli)
{
    (void)fprintf(cli->out, "Usage: alknet COMMAND [ARGUMENT]... [OPTION]...\n\n");
    cli_wrap(
        cli->out,
        "alknet puts shell, files, repositories and any program of yours behind one port with "
        "one identity. A service is an ALPN: the name that is negotiated in the TLS handshake, "
        "over QUIC or TCP, decides which program gets the connection.",
        0, 0, WIDTH);
    put_heading(cli, "Commands:");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (!cli_commands[i]->is_hidden) {
            put_row(cli, cli_commands[i]->name, cli_commands[i]->summary);
        }
    }
    put_heading(cli, "First steps:");
    static const struct cli_example steps[] = {
        {"alknet init", "make a key, a commented configuration and an admin token"},
        {"alknet serve", "run the node; it prints its address"},
        {"alknet ping alknet://KEY@HOST:4433", "from elsewhere: is it there?"},
        {"alknet peer add laptop KEY --scope admin", "let another machine's key in"},
        {NULL, NULL}};
    for (const struct cli_example *e = steps; e->line != NULL; e++) {
        (void)fprintf(cli->out, "  %s\n      %s%s%s\n", e->line, cli_color(cli, CLI_DIM), e->what,
                      cli_color(cli, CLI_RESET));
    }
    (void)fprintf(cli->out, "\nHelp on a command: alknet COMMAND --help. Manual: man alknet\n");
}
