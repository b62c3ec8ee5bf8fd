/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Manual pages in mdoc(7), from the tables. */
#include "cli.h"

#include "base/assert.h"
#include "base/span.h"

#include <ctype.h>

/* Of the last change to the interface; a page must be the same on every day. */
#define PAGE_DATE "November 23, 2026"

/* Text lines: a leading dot or quote would be a request, a backslash an escape.
 * Words in `...` are literal, in *...* metavariables. */
static void put_plain(FILE *out, struct alk_span s, bool at_start)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = (char)s.p[i];
        if (at_start && i == 0 && (c == '.' || c == '\'')) {
            (void)fprintf(out, "\\&");
        }
        if (c == '\\') {
            (void)fprintf(out, "\\e");
        } else if (c == '-' && i + 1 < s.n && s.p[i + 1] == '-') {
            (void)fprintf(out, "\\-");
        } else {
            (void)fputc(c, out);
        }
    }
}

/* A macro's argument: quoted, with its own quotes doubled. */
static void put_quoted(FILE *out, struct alk_span s)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') {
            (void)fprintf(out, "\\(dq");
        } else if (s.p[i] == '\\') {
            (void)fprintf(out, "\\e");
        } else {
            (void)fputc(s.p[i], out);
        }
    }
    (void)fputc('"', out);
}

static size_t mark_end(struct alk_span s)
{
    struct alk_span rest = {s.p + 1, s.n - 1};
    size_t n = alk_span_find(rest, s.p[0]);
    return n == 0 || n == rest.n || rest.p[0] == ' ' ? 0 : n;
}

static bool is_mark(struct alk_span s)
{
    return s.n > 2 && s.p != NULL && (s.p[0] == '`' || s.p[0] == '*') && mark_end(s) > 0;
}

/* One marked word as a macro line, with the punctuation that sticks to it. */
static struct alk_span put_mark(FILE *out, struct alk_span s)
{
    ALK_ASSERT(s.p != NULL && is_mark(s));
    size_t n = mark_end(s);
    (void)fprintf(out, s.p[0] == '`' ? ".Ql " : ".Ar ");
    put_quoted(out, alk_span(s.p + 1, n));
    s = alk_span_tail(s, n + 2);
    while (s.n > 0 && strchr(".,;:)!?", s.p[0]) != NULL) {
        (void)fprintf(out, " %c", s.p[0]);
        s = alk_span_tail(s, 1);
    }
    (void)fputc('\n', out);
    while (s.n > 0 && s.p[0] == ' ') {
        s = alk_span_tail(s, 1);
    }
    return s;
}

static size_t next_mark(struct alk_span s)
{
    size_t i = 0;
    while (i < s.n &&
           !(is_mark(alk_span_tail(s, i)) && (i == 0 || s.p[i - 1] == ' ' || s.p[i - 1] == '('))) {
        i++;
    }
    return i;
}

/* A sentence ends a line, as mdoc wants it. */
static size_t sentence(struct alk_span s)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (strchr(".?!", s.p[i]) != NULL && s.p[i + 1] == ' ' && i > 1 &&
            (i + 2 < s.n && (isupper(s.p[i + 2]) != 0 || s.p[i + 2] == '`' || s.p[i + 2] == '-'))) {
            return i + 1;
        }
    }
    return s.n;
}

static void put_paragraph(FILE *out, struct alk_span s)
{
    while (s.n > 0) {
        size_t mark = next_mark(s);
        if (mark == 0) {
            s = put_mark(out, s);
            continue;
        }
        size_t n = sentence(alk_span_head(s, mark));
        struct alk_span line = alk_span_trim(alk_span_head(s, n));
        bool opens = line.n > 1 && line.p[line.n - 1] == '(' && n == mark;
        if (opens) {
            line.n--;
            line = alk_span_trim(line);
        }
        if (line.n > 0) {
            put_plain(out, line, true);
            (void)fputc('\n', out);
        }
        if (opens) {
            (void)fprintf(out, ".Po\n");
            s = put_mark(out, alk_span_tail(s, n));
            (void)fprintf(out, ".Pc\n");
            continue;
        }
        s = alk_span_trim(alk_span_tail(s, n));
    }
}

static void put_text(FILE *out, const char *text)
{
    struct alk_span rest = alk_span_str(text);
    bool is_first = true;

    while (rest.n > 0) {
        struct alk_span line = alk_span_cut(&rest, '\n');
        if (line.n == 0) {
            continue;
        }
        if (!is_first) {
            (void)fprintf(out, ".Pp\n");
        }
        put_paragraph(out, line);
        is_first = false;
    }
}

/* --- parts -------------------------------------------------------------------- */

static void put_title(FILE *out, const char *page, const char *summary)
{
    (void)fprintf(out, ".\\\" SPDX-License-Identifier: MIT OR Apache-2.0\n"
                       ".\\\" Made by `make docs` from the tables in cli/.\n"
                       ".Dd " PAGE_DATE "\n.Dt ");
    for (const char *c = page; *c != '\0'; c++) {
        (void)fputc(toupper((unsigned char)*c), out);
    }
    (void)fprintf(out, " 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", page, summary);
}

static void put_option_line(FILE *out, const char *macro, const struct cli_opt *o)
{
    (void)fprintf(out, "%s ", macro);
    if (o->letter != 0) {
        (void)fprintf(out, "Fl %c , ", o->letter);
    }
    (void)fprintf(out, "Fl \\-%s", o->name);
    if (o->value != NULL) {
        (void)fprintf(out, " Ar %s", o->value);
    }
    (void)fputc('\n', out);
}

static void put_synopsis(FILE *out, const struct cli_command *c, const struct cli_command *parent)
{
    const struct cli_opt *o;
    size_t at = 0;

    (void)fprintf(out, ".Nm %s%s%s%s\n", c->is_program ? "" : "alknet ",
                  parent != NULL ? parent->name : "", parent != NULL ? " " : "", c->name);
    for (const struct cli_arg *a = c->args; a != NULL && a->name != NULL; a++) {
        (void)fprintf(out, ".%sAr %s%s\n", a->is_optional ? "Op " : "", a->name,
                      a->is_many ? " ..." : "");
    }
    while ((o = cli_next_opt(c, &at)) != NULL) {
        (void)fprintf(out, ".%sFl \\-%s", o->is_needed ? "" : "Op ", o->name);
        if (o->value != NULL) {
            (void)fprintf(out, " Ar %s", o->value);
        }
        (void)fputc('\n', out);
    }
}

static void put_arguments(FILE *out, const struct cli_command *c)
{
    const struct cli_opt *o;
    size_t at = 0;

    (void)fprintf(out, ".Bl -tag -width Ds\n");
    for (const struct cli_arg *a = c->args; a != NULL && a->name != NULL; a++) {
        (void)fprintf(out, ".It Ar %s\n", a->name);
        put_text(out, a->help);
    }
    while ((o = cli_next_opt(c, &at)) != NULL) {
        put_option_line(out, ".It", o);
        put_text(out, o->help);
        if (o->is_many) {
            (void)fprintf(out, "May be given more than once.\n");
        }
    }
    (void)fprintf(out, ".It Fl h , Fl \\-help\nShow a short help.\n.El\n");
}

static void put_examples(FILE *out, const struct cli_command *c, bool *is_first)
{
    for (const struct cli_example *e = c->examples; e != NULL && e->line != NULL; e++) {
        char first = (char)toupper((unsigned char)e->what[0]);
        (void)fprintf(out, "%s%c", *is_first ? "" : ".Pp\n", first);
        *is_first = false;
        put_plain(out, alk_span_str(e->what + 1), false);
        (void)fprintf(out, ":\n.Bd -literal -offset indent\n");
        put_plain(out, alk_span_str(e->line), true);
        (void)fprintf(out, "\n.Ed\n");
    }
}

static bool has_examples(const struct cli_command *c)
{
    bool has = c->examples != NULL;
    for (size_t i = 0; c->subcommands != NULL && c->subcommands[i] != NULL; i++) {
        has = has || c->subcommands[i]->examples != NULL;
    }
    return has;
}

static void put_exit_status(FILE *out)
{
    (void)fprintf(out, ".Sh EXIT STATUS\n"
                       ".Bl -tag -width Ds -compact\n"
                       ".It 0\nIt worked.\n"
                       ".It 1\nIt failed.\n"
                       ".It 2\nThe command line is wrong.\n"
                       ".It 3\nRefused: not permitted, or the node's key is not the expected one.\n"
                       ".It 4\nThe node cannot be reached.\n"
                       ".It 141\nWhoever read the output left before its end, as in\n"
                       ".Ql | head -1 .\n"
                       ".El\n");
}

static void put_sections(FILE *out, const struct cli_command *c)
{
    for (const struct cli_section *s = c->sections; s != NULL && s->title != NULL; s++) {
        (void)fprintf(out, ".Sh %s\n", s->title);
        put_text(out, s->text);
    }
}

static void put_subcommands(FILE *out, const struct cli_command *c)
{
    for (size_t i = 0; c->subcommands != NULL && c->subcommands[i] != NULL; i++) {
        const struct cli_command *s = c->subcommands[i];
        (void)fprintf(out, ".Ss alknet %s %s\n", c->name, s->name);
        put_text(out, s->purpose);
        put_arguments(out, s);
    }
}

static bool put_command(FILE *out, const struct cli_command *c)
{
    char page[64];
    bool is_first = true; /* example */

    (void)snprintf(page, sizeof page, "%s%s", c->is_program ? "" : "alknet-", c->name);
    put_title(out, page, c->summary);
    (void)fprintf(out, ".Sh SYNOPSIS\n");
    if (c->subcommands == NULL || c->has_default) {
        put_synopsis(out, c, NULL);
    }
    for (size_t i = 0; c->subcommands != NULL && c->subcommands[i] != NULL; i++) {
        put_synopsis(out, c->subcommands[i], c);
    }
    (void)fprintf(out, ".Sh DESCRIPTION\n");
    put_text(out, c->purpose);
    if (c->subcommands == NULL || c->has_default) {
        put_arguments(out, c);
    }
    put_subcommands(out, c);
    put_sections(out, c);
    put_exit_status(out);
    if (has_examples(c)) {
        (void)fprintf(out, ".Sh EXAMPLES\n");
        put_examples(out, c, &is_first);
        for (size_t i = 0; c->subcommands != NULL && c->subcommands[i] != NULL; i++) {
            put_examples(out, c->subcommands[i], &is_first);
        }
    }
    (void)fprintf(out, ".Sh SEE ALSO\n.Xr alknet 1 ,\n.Xr alknet-config 5\n");
    return ferror(out) == 0;
}

/* --- alknet(1) ---------------------------------------------------------------- */

static const struct cli_section overview[] = {
    {"NODES",
     "Where a command takes a *NODE* it is one of:\n\n"
     "`alknet://KEY@HOST:PORT/PATH`: an address with the node's key, 52 characters; nothing else "
     "is needed to know that it is the right node. *KEY* and *PORT* may be left out; the port is "
     "4433 then.\n\n"
     "`HOST:PORT`: the node is known by a certificate of the system's authorities, or by a key "
     "that was remembered with `--trust`.\n\n"
     "A name from `nodes:` in the client's configuration."},
    {"ENVIRONMENT", "`ALKNET_TOKEN`: a token, where a command takes `--token`.\n\n"
                    "`NO_COLOR`: no colours.\n\n"
                    "`XDG_CONFIG_HOME`, `XDG_STATE_HOME`, `HOME`: where the client's files are."},
    {"FILES",
     "`~/.config/alknet/key`: the client's own key, made on first use.\n\n"
     "`~/.config/alknet/config.yaml`: the client's configuration: `nodes:` gives names to "
     "addresses, as in `nodes: {home: \"alknet://KEY@home.example.org\"}`.\n\n"
     "`~/.config/alknet/known_nodes`: keys of nodes that were trusted on first use, one line "
     "each: `host:port key first-seen`.\n\n"
     "`/etc/alknet/alknet.yaml`, `/var/lib/alknet`: configuration and data of the node that root "
     "runs. Other users have both in `~/.local/share/alknet`."},
    {NULL, NULL}};

/* The visible command that follows `last` in the alphabet, or NULL. */
static const char *next_name(const char *last)
{
    const char *found = NULL;
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const char *name = cli_commands[i]->name;
        if (!cli_commands[i]->is_hidden && strcmp(name, last) > 0 &&
            (found == NULL || strcmp(name, found) < 0)) {
            found = name;
        }
    }
    return found;
}

static bool put_overview(FILE *out)
{
    static const struct cli_command page = {.name = "", .sections = overview};

    put_title(out, "alknet", "services behind one port, by name");
    (void)fprintf(out, ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar argument ...\n.Op Ar option ...\n"
                       ".Sh DESCRIPTION\n");
    put_text(out,
             "alknet puts shell, files, repositories and any program behind one port number with "
             "one identity. A service is an ALPN: the name that is negotiated in the TLS "
             "handshake, over QUIC (UDP) or TLS (TCP), decides which program gets the "
             "connection.\n\n"
             "The commands:");
    (void)fprintf(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (!cli_commands[i]->is_hidden) {
            (void)fprintf(out, ".It Xr alknet-%s 1\n", cli_commands[i]->name);
            put_paragraph(out, alk_span_str(cli_commands[i]->summary));
        }
    }
    (void)fprintf(out, ".El\n");
    put_sections(out, &page);
    put_exit_status(out);
    (void)fprintf(out, ".Sh SEE ALSO\n");
    const char *last = "";
    for (const char *name; (name = next_name(last)) != NULL; last = name) {
        (void)fprintf(out, "%s.Xr alknet-%s 1", last[0] == '\0' ? "" : " ,\n", name);
    }
    (void)fprintf(out, " ,\n.Xr git-remote-alknet 1 ,\n.Xr alknet-config 5\n");
    return ferror(out) == 0;
}

bool cli_man(FILE *out, const struct cli_command *command)
{
    return command == NULL ? put_overview(out) : put_command(out, command);
}
