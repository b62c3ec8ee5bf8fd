/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A tree as a YAML document. Everything is written, defaults too, so that the
 * text means the same when defaults change. Maps are blocks, texts are in double
 * quotes, so nothing depends on what a plain word might mean. */
#include "core/config/tree.h"
#include "core/config/value.h"

#include "base/mem.h"

/* Larger than any tree that a document of 1 MiB gives: its texts may grow sixfold
 * by escapes, its defaults are bounded by the tables. */
#define PRINT_MAX ((size_t)64 << 20)

static uint32_t take_char(struct alk_span *s)
{
    uint8_t c = s->p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t value = n == 1 ? c : c & (0xffu >> (n + 1));
    for (size_t i = 1; i < n && i < s->n; i++) {
        value = value << 6 | (s->p[i] & 0x3fu);
    }
    *s = alk_span_tail(*s, n);
    return value;
}

/* Characters that YAML readers fold, drop or refuse inside quotes. */
static bool needs_escape(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           (c & 0xfffe) == 0xfffe;
}

static void put_quoted(struct alk_buf *b, struct alk_span s)
{
    (void)alk_buf_put_u8(b, '"');
    while (s.n > 0) {
        struct alk_span rest = s;
        uint32_t c = take_char(&rest);
        if (c == '"' || c == '\\') {
            (void)alk_buf_put_u8(b, '\\');
        }
        if (!needs_escape(c)) {
            (void)alk_buf_put(b, alk_span_head(s, s.n - rest.n));
        } else if (c < 0x100) {
            (void)alk_buf_printf(b, "\\x%02x", (unsigned)c);
        } else {
            (void)alk_buf_printf(b, c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        }
        s = rest;
    }
    (void)alk_buf_put_u8(b, '"');
}

static void put_scalar(struct alk_buf *b, const struct alk_conf *conf)
{
    char number[ALK_CONF_VALUE_SIZE];
    if (conf->type == ALK_CONF_STRING || conf->type == ALK_CONF_ENUM) {
        put_quoted(b, alk_span(conf->str, conf->n));
    } else if (conf->type == ALK_CONF_BOOL) {
        (void)alk_buf_put_str(b, conf->num != 0 ? "true" : "false");
    } else {
        alk_conf_print_number(conf->type, conf->num, number);
        (void)alk_buf_put_str(b, number);
    }
}

static bool is_simple_key(const char *key)
{
    for (const char *p = key; *p != '\0'; p++) {
        if (!((*p >= 'a' && *p <= 'z') || *p == '_')) {
            return false;
        }
    }
    /* Words that YAML 1.1 readers take for something else. */
    return *key != '\0' && strcmp(key, "null") != 0 && strcmp(key, "y") != 0 &&
           strcmp(key, "n") != 0;
}

static void indent(struct alk_buf *b, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        (void)alk_buf_put_str(b, "  ");
    }
}

/* How it is printed. */
struct style {
    unsigned depth;
    bool hides; /* what is secret */
};

static void put_value(struct alk_buf *b, const struct alk_conf *conf, struct style style);

static void put_kids(struct alk_buf *b, const struct alk_conf *conf, struct style style)
{
    for (size_t i = 0; i < conf->n; i++) {
        indent(b, style.depth);
        if (conf->type == ALK_CONF_LIST) {
            (void)alk_buf_put_str(b, "-");
        } else if (is_simple_key(conf->kids[i].key)) {
            (void)alk_buf_printf(b, "%s:", conf->kids[i].key);
        } else {
            /* The explicit form: an implicit key ends at 1024 characters. */
            (void)alk_buf_put_str(b, "? ");
            put_quoted(b, alk_span_str(conf->kids[i].key));
            (void)alk_buf_put_u8(b, '\n');
            indent(b, style.depth);
            (void)alk_buf_put_u8(b, ':');
        }
        put_value(b, &conf->kids[i], (struct style){style.depth + 1, style.hides});
    }
}

/* What follows the ':' or '-' of its parent. */
static void put_value(struct alk_buf *b, const struct alk_conf *conf, struct style style)
{
    bool is_list = conf->type == ALK_CONF_LIST;
    if (style.hides && conf->is_secret) {
        (void)alk_buf_put_str(b, " \"(hidden)\"\n");
    } else if (!is_list && conf->type != ALK_CONF_MAP && conf->type != ALK_CONF_DICT) {
        (void)alk_buf_put_u8(b, ' ');
        put_scalar(b, conf);
        (void)alk_buf_put_u8(b, '\n');
    } else if (conf->n == 0) {
        (void)alk_buf_put_str(b, is_list ? " []\n" : " {}\n");
    } else {
        (void)alk_buf_put_u8(b, '\n');
        put_kids(b, conf, style);
    }
}

static alk_err print(const struct alk_mem *mem, const struct alk_conf *conf, struct style style,
                     char **ret, size_t *ret_n)
{
    struct alk_buf b;
    alk_buf_init(&b, mem, PRINT_MAX);
    if (alk_conf_count(conf) > 0) {
        put_kids(&b, conf, style);
    } else {
        put_value(&b, conf, style);
    }
    alk_err err = b.err;
    char *text = err == ALK_OK ? alk_strdup_span(mem, alk_buf_span(&b)) : NULL;
    if (err == ALK_OK && text == NULL) {
        err = ALK_E_NOMEM;
    }
    if (err == ALK_OK) {
        *ret = text;
        *ret_n = alk_buf_len(&b);
    }
    alk_buf_fini_secret(&b);
    return err;
}

alk_err alk_conf_print(const struct alk_mem *mem, const struct alk_conf *conf, char **ret,
                       size_t *ret_n)
{
    return print(mem, conf, (struct style){.hides = false}, ret, ret_n);
}

alk_err alk_conf_print_public(const struct alk_mem *mem, const struct alk_conf *conf, char **ret,
                              size_t *ret_n)
{
    return print(mem, conf, (struct style){.hides = true}, ret, ret_n);
}
