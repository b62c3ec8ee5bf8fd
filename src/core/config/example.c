/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The commented configuration file of `alknet init`. */
#include "core/config/node_rows.h"
#include "core/config/reference.h"

#include "base/text.h"

#define WIDTH ((size_t)78)

static const char intro[] =
    "## Configuration of an alknet node. Prose begins with ##; a setting behind a single #\n"
    "## shows its default. Everything has one. The whole list: man 5 alknet-config.\n";

/* Rows whose default shows nothing of how they are written. */
static const struct sample {
    const char *name, *text;
} samples[] = {
    {"advertise", "advertise: node.example.org:4433\n"},
    {"default_alpn", "default_alpn: http/1.1\n"},
    {"data_dir", "data_dir: /var/lib/alknet\n"},
    {"certificates", "certificates: [{cert: chain.pem, key: key.pem}]\n"},
    {"peers", "peers:\n"
              "  - id: laptop\n"
              "    keys: [\"ssh-ed25519 AAAA...\", \"ed25519:...\"]\n"
              "    scopes: [admin]\n"
              "    resources: {repo: [\"team/*\"]}\n"},
    {"tokens",
     "tokens: [{id: laptop, prefix: ..., hash: \"sha256:...\", expires_at: 2027-01-01}]\n"},
    {"levels", "levels: {quic: debug}\n"},
    {"topics", "topics:\n"
               "  - {match: \"builds.>\", durable: true, retain: {age: 7d}, publish: [ci]}\n"},
    {"fs", "fs: {root: /srv/files}\n"},
    {"operations", "operations:\n"
                   "  - name: text/upper\n"
                   "    kind: query\n"
                   "    exec: [/usr/bin/python3, /usr/local/lib/upper.py]\n"
                   "    input: '{\"type\": \"object\", \"required\": [\"text\"]}'\n"},
    {"workers", "workers: [{namespace: text, require: {scopes: [texts]}}]\n"},
    {"git", "git: {root: /srv/git, create_on_push: true}\n"},
    {"custom", "custom:\n"
               "  - {alpn: xmpp-client, forward: \"unix:/run/xmpp.sock\"}\n"
               "  - {alpn: my/tool, exec: [/usr/bin/tool, --stdio], memory: 256MiB}\n"
               "  - {alpn: my/motd, exec: [/bin/cat, /etc/motd], require: none}\n"},
};

static void put_prefix(struct alk_buf *b, const char *mark, unsigned depth)
{
    (void)alk_buf_put_str(b, mark);
    for (unsigned i = 0; i < depth; i++) {
        (void)alk_buf_put_str(b, "  ");
    }
}

/* Prose, wrapped. */
static void put_prose(struct alk_buf *b, unsigned depth, const char *text)
{
    struct alk_span rest = alk_span_str(text);
    const size_t width = WIDTH - 3 - (size_t)2 * depth;
    while (rest.n > 0) {
        size_t n = rest.n;
        if (n > width) {
            n = width;
            while (n > 0 && rest.p[n] != ' ') {
                n--;
            }
            n = n == 0 ? alk_span_find(rest, ' ') : n;
        }
        put_prefix(b, "## ", depth);
        (void)alk_buf_put(b, alk_span_head(rest, n));
        (void)alk_buf_put_u8(b, '\n');
        rest = alk_span_tail(rest, n < rest.n ? n + 1 : n);
    }
}

/* A map's members, or what the row takes. */
static void put_shape(struct alk_buf *b, const struct alk_conf_row *row)
{
    char type[ALK_CONFIG_TYPE_TEXT_MAX];

    if (row->type != ALK_CONF_MAP) {
        alk_config_type_text(row, type);
        (void)alk_buf_printf(b, "%s: (%s)\n", row->name, type);
        return;
    }
    (void)alk_buf_printf(b, "%s: {", row->name);
    for (const struct alk_conf_row *r = row->sub; r->name != NULL; r++) {
        (void)alk_buf_printf(b, "%s%s: ...", r == row->sub ? "" : ", ", r->name);
    }
    (void)alk_buf_put_str(b, "}\n");
}

/* How the row is written: the sample; without one its name and what it takes. */
static void put_sample(struct alk_buf *b, unsigned depth, const struct alk_conf_row *row)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        if (strcmp(samples[i].name, row->name) != 0) {
            continue;
        }
        struct alk_span rest = alk_span_str(samples[i].text);
        while (rest.n > 0) {
            struct alk_span line = alk_span_cut(&rest, '\n');
            put_prefix(b, "##   ", depth);
            (void)alk_buf_put(b, line);
            (void)alk_buf_put_u8(b, '\n');
        }
        return;
    }
    if (row->fallback == NULL) {
        put_prefix(b, "##   ", depth);
        put_shape(b, row);
    }
}

static void put_rows(struct alk_buf *b, unsigned depth, const struct alk_conf_row *rows);

static void put_row(struct alk_buf *b, unsigned depth, const struct alk_conf_row *row)
{
    if (depth == 0) {
        (void)alk_buf_put_u8(b, '\n');
    }
    if (row->help != NULL) {
        put_prose(b, depth, row->help);
    }
    put_sample(b, depth, row);
    if (row->fallback == NULL) {
        return;
    }
    put_prefix(b, "#", depth);
    if (row->type == ALK_CONF_MAP) {
        (void)alk_buf_printf(b, "%s:\n", row->name);
        put_rows(b, depth + 1, row->sub);
        return;
    }
    bool is_text = row->type == ALK_CONF_STRING;
    (void)alk_buf_printf(b, is_text ? "%s: \"%s\"\n" : "%s: %s\n", row->name, row->fallback);
}

static void put_rows(struct alk_buf *b, unsigned depth, const struct alk_conf_row *rows)
{
    for (; rows->name != NULL; rows++) {
        put_row(b, depth, rows);
    }
}

alk_err alk_config_example(const struct alk_mem *mem, const struct alk_handler *const *handlers,
                           size_t handler_count, const char *data_dir, struct alk_buf *ret)
{
    static const struct alk_handler *const none[] = {NULL};
    const struct alk_conf_row *table = NULL;
    struct alk_arena arena;
    alk_arena_init(&arena, mem);
    alk_err err =
        alk_config_table(&arena, handlers == NULL ? none : handlers, handler_count, &table);
    if (err == ALK_OK) {
        (void)alk_buf_put_str(ret, intro);
        for (const struct alk_conf_row *row = table; row->name != NULL; row++) {
            put_row(ret, 0, row);
            if (data_dir != NULL && strcmp(row->name, "data_dir") == 0) {
                (void)alk_buf_put_str(ret, "data_dir: ");
                (void)alk_buf_put_json(ret, alk_span_str(data_dir));
                (void)alk_buf_put_u8(ret, '\n');
            }
        }
        err = ret->err;
    }
    alk_arena_fini(&arena);
    return err;
}
