/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/reference.h"

#include "core/config/node_rows.h"
#include "core/config/value.h"

#include <stdio.h>

#define NAME_MAX_BYTES 192
/* The date that mdoc wants; changed when the intro below is. */
#define MAN_DATE       "November 23, 2026"

/* How a page is written. */
struct page {
    const struct alk_config_format_ops *ops;
    struct alk_buf *b;
    const char *section; /* first word of the names that come now */
};

struct alk_config_format_ops {
    const char *intro, *outro;
    void (*section)(struct page *p, const char *name, const char *help);
    void (*row)(struct page *p, const char *name, const struct alk_conf_row *row,
                enum alk_conf_reload reload);
    void (*end)(struct page *p);
};

/* -------------------------------------------------------------------- words */

static void append(char *dst, size_t size, const char *text)
{
    size_t n = strlen(dst);
    (void)snprintf(dst + n, size - n, "%s", text);
}

static void append_number(const struct alk_conf_row *row, char *dst, size_t size)
{
    char bounds[3 * ALK_CONF_VALUE_SIZE];
    alk_conf_print_bounds(row, bounds);
    if (row->type == ALK_CONF_UINT) {
        append(dst, size, bounds[0] == '\0' ? "number" : bounds);
        append(dst, size, row->unit == NULL ? "" : " ");
        append(dst, size, row->unit == NULL ? "" : row->unit);
        return;
    }
    append(dst, size, row->type == ALK_CONF_SIZE ? "size" : "duration");
    if (bounds[0] != '\0') {
        append(dst, size, ", ");
        append(dst, size, bounds);
    }
}

static void append_string(const struct alk_conf_row *row, char *dst, size_t size)
{
    char bounds[3 * ALK_CONF_VALUE_SIZE];
    const struct alk_conf_row plain = {.type = ALK_CONF_UINT, .min = row->min, .max = row->max};
    append(dst, size, "text");
    if (row->max != 0) {
        alk_conf_print_bounds(&plain, bounds);
        append(dst, size, ", ");
        append(dst, size, bounds);
        append(dst, size, " bytes");
    }
}

static void append_enum(const struct alk_conf_row *row, char *dst, size_t size)
{
    for (size_t i = 0; row->values[i] != NULL; i++) {
        append(dst, size, i == 0 ? "" : row->values[i + 1] == NULL ? " or " : ", ");
        append(dst, size, row->values[i]);
    }
}

static bool is_scalar(const struct alk_conf_row *row)
{
    return row->type != ALK_CONF_LIST && row->type != ALK_CONF_MAP && row->type != ALK_CONF_DICT;
}

static void append_type(const struct alk_conf_row *row, char *dst, size_t size)
{
    switch (row->type) {
    case ALK_CONF_BOOL:
        append(dst, size, "true or false");
        break;
    case ALK_CONF_UINT:
    case ALK_CONF_SIZE:
    case ALK_CONF_DURATION:
        append_number(row, dst, size);
        break;
    case ALK_CONF_STRING:
        append_string(row, dst, size);
        break;
    case ALK_CONF_ENUM:
        append_enum(row, dst, size);
        break;
    case ALK_CONF_LIST:
        append(dst, size, row->scalar_ok ? "one or a list of: " : "list of: ");
        append(dst, size, is_scalar(row->sub) ? "" : row->sub->name);
        if (is_scalar(row->sub)) {
            append_type(row->sub, dst, size);
        }
        break;
    case ALK_CONF_MAP:
        append(dst, size, row->scalar_ok ? "map, or its first member alone" : "map");
        break;
    case ALK_CONF_DICT:
        append(dst, size, "names, each with: ");
        append_type(row->sub, dst, size);
        break;
    }
}

void alk_config_type_text(const struct alk_conf_row *row, char ret[static ALK_CONFIG_TYPE_TEXT_MAX])
{
    ret[0] = '\0';
    append_type(row, ret, ALK_CONFIG_TYPE_TEXT_MAX);
}

static const char *reload_text(enum alk_conf_reload reload)
{
    switch (reload) {
    case ALK_RELOAD_LIVE:
        return "at once";
    case ALK_RELOAD_NEW:
        return "new connections";
    case ALK_RELOAD_RESTART:
        return "restart";
    }
    return "";
}

static const char *default_text(const struct alk_conf_row *row)
{
    if (row->is_required) {
        return "required";
    }
    return row->fallback == NULL ? "-" : row->fallback;
}

/* ----------------------------------------------------------------- Markdown */

static const char md_intro[] =
    "<!-- Made by tools/gen-docs from src/core/config/node_rows.c: do not edit. -->\n"
    "# Configuration\n\n"
    "The file is YAML. Everything has a default: an empty file, or none, is a working node.\n"
    "Unknown keys, wrong types and values out of range are errors, with file, line and column;\n"
    "a file with an error changes nothing, at start and at a reload (`alknet reload`, SIGHUP, or\n"
    "saving the file while `watch` is on).\n\n"
    "- Lengths of time: a number with `ms`, `s`, `m`, `h` or `d`. Sizes: a number with `KiB`,\n"
    "  `MiB`, `GiB` or nothing. Booleans are `true` and `false`, and nothing else.\n"
    "- Relative paths start at `data_dir`; `data_dir` itself at the directory of the file.\n"
    "- Anchors, aliases and tags are refused, but for one: `token: !encrypted {...}`, with what\n"
    "  `alknet secret encrypt --context services.x.token` has printed, is opened at start and at\n"
    "  each reload with the node's key file ([how](secret.md)). The context is the full name of\n"
    "  the value, with the numbers of list elements, as `services.custom[0].exec[1]`.\n"
    "- *Changes*: when a changed value counts: at once, for new connections, or after a restart.\n"
    "- `[]` in a name stands for each element of a list, `NAME` for a name of your own.\n";

static void md_text(struct alk_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        (void)alk_buf_put_str(b, *text == '|' || *text == '<' || *text == '*' ? "\\" : "");
        (void)alk_buf_put_u8(b, (uint8_t)*text);
    }
}

static void md_section(struct page *p, const char *name, const char *help)
{
    (void)alk_buf_printf(p->b, "\n## %s\n\n", name);
    if (help != NULL) {
        md_text(p->b, help);
        (void)alk_buf_put_str(p->b, "\n\n");
    }
    (void)alk_buf_put_str(p->b, "| name | value | default | changes | meaning |\n"
                                "|---|---|---|---|---|\n");
}

static void md_row(struct page *p, const char *name, const struct alk_conf_row *row,
                   enum alk_conf_reload reload)
{
    char type[ALK_CONFIG_TYPE_TEXT_MAX];
    alk_config_type_text(row, type);
    (void)alk_buf_printf(p->b, "| `%s` | ", name);
    md_text(p->b, type);
    bool is_text = row->is_required || row->fallback == NULL;
    (void)alk_buf_printf(p->b, is_text ? " | %s | " : " | `%s` | ", default_text(row));
    (void)alk_buf_printf(p->b, "%s | ", reload_text(reload));
    md_text(p->b, row->help == NULL ? "" : row->help);
    if (row->only_with != NULL) {
        (void)alk_buf_printf(p->b, " Only with `%s`.", row->only_with);
    }
    (void)alk_buf_put_str(p->b, " |\n");
}

static void md_end(struct page *p)
{
    (void)p;
}

/* --------------------------------------------------------------------- mdoc */

static const char man_intro[] =
    ".\\\" SPDX-License-Identifier: MIT OR Apache-2.0\n"
    ".\\\" Made by tools/gen-docs from src/core/config/node_rows.c: do not edit.\n"
    ".Dd " MAN_DATE "\n"
    ".Dt ALKNET-CONFIG 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm alknet-config\n"
    ".Nd configuration of an alknet node\n"
    ".Sh DESCRIPTION\n"
    "The file is YAML.\n"
    "Everything has a default: an empty file, or none, is a working node.\n"
    "Unknown keys, wrong types and values out of range are errors, with file, line and column;\n"
    "a file with an error changes nothing, at start and at a reload\n"
    ".Po Ic alknet reload ,\n"
    ".Dv SIGHUP ,\n"
    "or saving the file while\n"
    ".Cm watch\n"
    "is on\n"
    ".Pc .\n"
    ".Pp\n"
    "Lengths of time are a number with\n"
    ".Cm ms , s , m , h\n"
    "or\n"
    ".Cm d .\n"
    "Sizes are a number with\n"
    ".Cm KiB , MiB , GiB\n"
    "or nothing.\n"
    "Booleans are\n"
    ".Cm true\n"
    "and\n"
    ".Cm false ,\n"
    "and nothing else.\n"
    "Relative paths start at\n"
    ".Cm data_dir ;\n"
    ".Cm data_dir\n"
    "itself at the directory of the file.\n"
    "Anchors, aliases and tags are refused, but for one:\n"
    ".Cm token: !encrypted No {...} ,\n"
    "with what\n"
    ".Ql alknet secret encrypt --context services.x.token\n"
    "has printed, is opened at start and at each reload with the node's key file\n"
    ".Pq Fl -key-file , Xr alknet-serve 1 .\n"
    "The context is the full name of the value, with the numbers of list elements, as\n"
    ".Cm services.custom[0].exec[1] .\n"
    ".Pp\n"
    "In the names below,\n"
    ".Cm []\n"
    "stands for each element of a list and\n"
    ".Cm NAME\n"
    "for a name of your own.\n"
    "Each entry tells what it takes, its default, and when a change counts:\n"
    "at once, for new connections, or after a restart.\n";

static const char man_outro[] =
    ".Sh EXAMPLES\n"
    ".Bd -literal -offset indent\n"
    "listen: [\"0.0.0.0:4433\", \"[::]:4433\"]\n"
    "advertise: node.example.org:4433\n"
    "auth:\n"
    "  peers:\n"
    "    - {id: laptop, keys: [\"ssh-ed25519 AAAA...\"], scopes: [admin]}\n"
    "services:\n"
    "  custom:\n"
    "    - {alpn: my/redis, forward: \"tcp:127.0.0.1:6379\"}\n"
    "    - {alpn: my/motd, exec: [/bin/cat, /etc/motd], require: none}\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr alknet 1\n";

/* Text where a line must not begin with a request and a backslash is itself. */
static void man_text(struct alk_buf *b, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool is_line_start = at == text;
        if (is_line_start && (*at == '.' || *at == '\'')) {
            (void)alk_buf_put_str(b, "\\&");
        }
        if (*at == '\\') {
            (void)alk_buf_put_str(b, "\\e");
        } else if (at[0] == '.' && at[1] == ' ') {
            /* New sentence, new line. */
            (void)alk_buf_put_str(b, ".\n");
            at++;
            if (at[1] == '.' || at[1] == '\'') {
                (void)alk_buf_put_str(b, "\\&");
            }
        } else {
            (void)alk_buf_put_u8(b, (uint8_t)*at);
        }
    }
    (void)alk_buf_put_u8(b, '\n');
}

static void man_end(struct page *p)
{
    if (p->section != NULL) {
        (void)alk_buf_put_str(p->b, ".El\n");
    }
}

static void man_section(struct page *p, const char *name, const char *help)
{
    man_end(p);
    (void)alk_buf_printf(p->b, ".Ss %s\n", name);
    if (help != NULL) {
        man_text(p->b, help);
    }
    (void)alk_buf_put_str(p->b, ".Bl -tag -width Ds\n");
}

/* An argument of a macro: what mdoc would take for a word of its own is not. */
static void man_word(struct alk_buf *b, const char *text)
{
    (void)alk_buf_put_u8(b, '"');
    for (; *text != '\0'; text++) {
        (void)alk_buf_put_str(b, *text == '"' ? "\"" : "");
        (void)alk_buf_put_u8(b, (uint8_t)*text);
    }
    (void)alk_buf_put_u8(b, '"');
}

static void man_row(struct page *p, const char *name, const struct alk_conf_row *row,
                    enum alk_conf_reload reload)
{
    char type[ALK_CONFIG_TYPE_TEXT_MAX];
    alk_config_type_text(row, type);
    (void)alk_buf_printf(p->b, ".It Cm %s\n", name);
    if (row->help != NULL) {
        man_text(p->b, row->help);
    }
    (void)alk_buf_put_str(p->b, ".br\nValue: ");
    (void)alk_buf_put_str(p->b, type);
    (void)alk_buf_put_str(p->b, row->is_required ? ".\nRequired.\n" : ".\n");
    if (row->fallback != NULL) {
        (void)alk_buf_put_str(p->b, "Default:\n.Li ");
        man_word(p->b, row->fallback);
        (void)alk_buf_put_str(p->b, " .\n");
    }
    if (row->only_with != NULL) {
        (void)alk_buf_printf(p->b, "Only with\n.Cm %s .\n", row->only_with);
    }
    (void)alk_buf_printf(p->b, "Changes: %s.\n", reload_text(reload));
}

static const struct alk_config_format_ops formats[] = {
    [ALK_CONFIG_MARKDOWN] = {md_intro, "", md_section, md_row, md_end},
    [ALK_CONFIG_MAN] = {man_intro, man_outro, man_section, man_row, man_end},
};

/* --------------------------------------------------------------------- walk */

/* What the rows below a place have in common: their name so far, and how late a
 * change of their parents counts. */
struct place {
    const char *name;
    enum alk_conf_reload reload;
};

static void walk(struct page *p, struct place in, const struct alk_conf_row *row);

static void walk_members(struct page *p, struct place in, const struct alk_conf_row *rows)
{
    for (; rows != NULL && rows->name != NULL; rows++) {
        walk(p, in, rows);
    }
}

/* The members of a map, with "[]" for the elements of a list and "NAME" for those
 * of a dict. */
static void walk_below(struct page *p, struct place at, const struct alk_conf_row *row)
{
    char below[NAME_MAX_BYTES];
    if (row->type == ALK_CONF_MAP) {
        walk_members(p, at, row->sub);
    } else if (!is_scalar(row)) {
        (void)snprintf(below, sizeof(below), "%s%s", at.name,
                       row->type == ALK_CONF_LIST ? "[]" : ".NAME");
        walk_below(p, (struct place){below, at.reload}, row->sub);
    }
}

static void walk(struct page *p, struct place in, const struct alk_conf_row *row)
{
    char name[NAME_MAX_BYTES];
    struct place at = {name, row->reload > in.reload ? row->reload : in.reload};
    (void)snprintf(name, sizeof(name), "%s%s%s", in.name, in.name[0] == '\0' ? "" : ".", row->name);
    p->ops->row(p, name, row, at.reload);
    walk_below(p, at, row);
}

static void begin(struct page *p, const char *section, const char *help)
{
    p->ops->section(p, section, help);
    p->section = section;
}

/* All but the large maps, which have sections of their own. */
static bool is_general(const struct alk_conf_row *row)
{
    return row->type != ALK_CONF_MAP;
}

static void walk_services(struct page *p, const struct alk_conf_row *services)
{
    begin(p, "services", services->help);
    walk_members(p, (struct place){"services.NAME", ALK_RELOAD_LIVE}, alk_config_common_rows);
    for (const struct alk_conf_row *row = services->sub; row->name != NULL; row++) {
        if (row->type == ALK_CONF_LIST) {
            walk(p, (struct place){"services", ALK_RELOAD_LIVE}, row);
            continue;
        }
        /* The rows that all services share were listed once. */
        char name[NAME_MAX_BYTES];
        (void)snprintf(name, sizeof(name), "services.%s", row->name);
        p->ops->row(p, name, row, row->reload);
        for (const struct alk_conf_row *own = row->sub; own->name != NULL; own++) {
            if (!alk_config_is_common_row(own->name)) {
                walk(p, (struct place){name, row->reload}, own);
            }
        }
    }
}

static void walk_table(struct page *p, const struct alk_conf_row *table)
{
    begin(p, "general", NULL);
    for (const struct alk_conf_row *row = table; row->name != NULL; row++) {
        if (is_general(row)) {
            walk(p, (struct place){"", ALK_RELOAD_LIVE}, row);
        }
    }
    for (const struct alk_conf_row *row = table; row->name != NULL; row++) {
        if (strcmp(row->name, "services") == 0) {
            walk_services(p, row);
        } else if (!is_general(row)) {
            begin(p, row->name, row->help);
            walk_members(p, (struct place){row->name, row->reload}, row->sub);
        }
    }
    p->ops->end(p);
}

alk_err alk_config_reference(const struct alk_mem *mem, enum alk_config_format format,
                             const struct alk_handler *const *handlers, size_t handler_count,
                             struct alk_buf *ret)
{
    static const struct alk_handler *const none[] = {NULL};
    const struct alk_conf_row *table = NULL;
    struct page p = {.ops = &formats[format], .b = ret};
    struct alk_arena arena;
    alk_arena_init(&arena, mem);
    alk_err err =
        alk_config_table(&arena, handlers == NULL ? none : handlers, handler_count, &table);
    if (err == ALK_OK) {
        (void)alk_buf_put_str(ret, p.ops->intro);
        walk_table(&p, table);
        (void)alk_buf_put_str(ret, p.ops->outro);
        err = ret->err;
    }
    alk_arena_fini(&arena);
    return err;
}
