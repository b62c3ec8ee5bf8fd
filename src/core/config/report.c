/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/report.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

/* A longer source line is cut to a window around the caret. */
#define LINE_MAX_SHOWN ((size_t)160)
#define LINE_BEFORE    ((size_t)100)
/* All messages together: entries, each with a line that may expand a little. */
#define OUTPUT_MAX     ((size_t)256 * 1024)

void alk_conf_report_init(struct alk_conf_report *r, const struct alk_mem *mem,
                          struct alk_span text, const char *name)
{
    *r = (struct alk_conf_report){.mem = mem, .text = text, .name = name};
}

void alk_conf_report_fini(struct alk_conf_report *r)
{
    alk_free(r->mem, r->masks);
    r->masks = NULL;
}

ALK_PRINTF(3, 0)
static void add(struct alk_conf_report *r, size_t at, const char *fmt, va_list args)
{
    if (r->count < ALK_CONF_ERRORS_MAX) {
        struct alk_conf_report_entry *e = &r->entries[r->count];
        e->at = at;
        e->has_place = at <= r->text.n;
        /* A message that is cut off is still a message. */
        (void)vsnprintf(e->message, sizeof(e->message), fmt, args);
    }
    if (r->count < UINT32_MAX) {
        r->count++;
    }
}

void alk_conf_report_at(struct alk_conf_report *r, size_t at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(r, at, fmt, args);
    va_end(args);
}

alk_err alk_conf_report_mask(struct alk_conf_report *r, size_t from, size_t to)
{
    if (r->mask_count == r->mask_size) {
        size_t size = r->mask_size == 0 ? 16 : 2 * r->mask_size;
        size_t bytes;
        if (!alk_mul_ok(&bytes, size, sizeof(*r->masks))) {
            return ALK_E_NOMEM;
        }
        struct alk_conf_report_mask *masks = alk_resize(r->mem, r->masks, bytes);
        if (masks == NULL) {
            return ALK_E_NOMEM;
        }
        r->masks = masks;
        r->mask_size = size;
    }
    r->masks[r->mask_count++] = (struct alk_conf_report_mask){from, to};
    return ALK_OK;
}

static bool is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

static size_t line_start(struct alk_span text, size_t at)
{
    while (at > 0 && text.p[at - 1] != '\n') {
        at--;
    }
    return at;
}

static size_t line_end(struct alk_span text, size_t at)
{
    size_t start = at;
    while (at < text.n && text.p[at] != '\n') {
        at++;
    }
    return at - (at > start && text.p[at - 1] == '\r');
}

struct alk_conf_place alk_conf_place_of(struct alk_span text, size_t at)
{
    struct alk_conf_place place = {1, 1};
    at = at < text.n ? at : text.n;
    size_t start = line_start(text, at);
    for (size_t i = 0; i < start; i++) {
        place.line += text.p[i] == '\n';
    }
    for (size_t i = start; i < at; i++) {
        place.column += !is_continuation(text.p[i]);
    }
    return place;
}

size_t alk_conf_place_offset(struct alk_span text, struct alk_conf_place place)
{
    size_t at = 0;
    for (size_t line = 1; line < place.line && at < text.n; at++) {
        line += text.p[at] == '\n';
    }
    for (size_t column = 1; at < text.n && text.p[at] != '\n'; at++) {
        if (!is_continuation(text.p[at]) && column++ >= place.column) {
            break;
        }
    }
    return at;
}

static bool names_secret(struct alk_span line, const struct alk_conf_row *row)
{
    for (; row != NULL && row->name != NULL; row++) {
        if (row->is_secret && memmem(line.p, line.n, row->name, strlen(row->name)) != NULL) {
            return true;
        }
        if (names_secret(line, row->sub)) {
            return true;
        }
    }
    return false;
}

static bool is_sensitive(const struct alk_conf_report *r, size_t at)
{
    size_t start = line_start(r->text, at);
    size_t end = line_end(r->text, start);
    return names_secret(alk_span(r->text.p + start, end - start), r->table);
}

static bool is_masked(const struct alk_conf_report *r, size_t at)
{
    for (size_t i = 0; i < r->mask_count; i++) {
        if (at >= r->masks[i].from && at < r->masks[i].to) {
            return true;
        }
    }
    return false;
}

/* The part of a line that is shown: all of it, or a window around `at`. */
static void window(const struct alk_conf_report *r, size_t at, size_t *ret_from, size_t *ret_to)
{
    size_t start = line_start(r->text, at);
    size_t end = line_end(r->text, start);
    size_t from = start;
    size_t to = end;
    if (end - start > LINE_MAX_SHOWN) {
        from = at - start > LINE_BEFORE ? at - LINE_BEFORE : start;
        to = end - from > LINE_MAX_SHOWN ? from + LINE_MAX_SHOWN : end;
        while (from > start && is_continuation(r->text.p[from])) {
            from--;
        }
        while (to < end && is_continuation(r->text.p[to])) {
            to++;
        }
    }
    *ret_from = from;
    *ret_to = to;
}

/* Bytes that would move the cursor or are no text are shown as '?': they are
 * errors by themselves, and the message goes to a terminal. */
static void put_line(const struct alk_conf_report *r, struct alk_buf *b, size_t from, size_t to)
{
    bool is_utf8 = alk_span_is_utf8(alk_span(r->text.p + from, to - from));
    for (size_t i = from; i < to; i++) {
        uint8_t c = r->text.p[i];
        bool is_c1 = c == 0xc2 && i + 1 < to && r->text.p[i + 1] < 0xa0;
        if (is_masked(r, i)) {
            c = '*';
        } else if ((c < 0x20 && c != '\t') || c == 0x7f || (c >= 0x80 && !is_utf8)) {
            c = '?';
        } else if (is_c1) {
            c = '?';
            i++;
        }
        (void)alk_buf_put_u8(b, c);
    }
}

static void put_caret(const struct alk_conf_report *r, struct alk_buf *b, size_t from, size_t at)
{
    for (size_t i = from; i < at; i++) {
        if (is_masked(r, i) || !is_continuation(r->text.p[i])) {
            (void)alk_buf_put_u8(b, r->text.p[i] == '\t' ? '\t' : ' ');
        }
    }
    (void)alk_buf_put_str(b, "^\n");
}

static void put_entry(const struct alk_conf_report *r, struct alk_buf *b,
                      const struct alk_conf_report_entry *e)
{
    if (!e->has_place) {
        (void)alk_buf_printf(b, "%s: error: %s\n", r->name, e->message);
        return;
    }
    struct alk_conf_place place = alk_conf_place_of(r->text, e->at);
    (void)alk_buf_printf(b, "%s:%zu:%zu: error: %s\n", r->name, place.line, place.column,
                         e->message);
    size_t from;
    size_t to;
    window(r, e->at, &from, &to);
    if (to == from || (!r->knows_secrets && is_sensitive(r, e->at))) {
        return;
    }
    size_t start = line_start(r->text, e->at);
    const char *cut = from > start ? "..." : "";
    (void)alk_buf_put_str(b, cut);
    put_line(r, b, from, to);
    (void)alk_buf_put_str(b, to < line_end(r->text, start) ? "...\n" : "\n");
    (void)alk_buf_put_str(b, *cut == '\0' ? "" : "   ");
    put_caret(r, b, from, e->at < to ? e->at : to); /* at the line break: behind its end */
}

/* By position; entries at one place stay in the order they were found. */
static void sort(struct alk_conf_report_entry *e, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        for (unsigned k = i; k > 0 && e[k].at < e[k - 1].at; k--) {
            struct alk_conf_report_entry t = e[k];
            e[k] = e[k - 1];
            e[k - 1] = t;
        }
    }
}

alk_err alk_conf_report_write(struct alk_conf_report *r, struct alk_conf_errors *errors)
{
    unsigned kept = r->count < ALK_CONF_ERRORS_MAX ? r->count : ALK_CONF_ERRORS_MAX;
    struct alk_buf b;
    alk_buf_init(&b, r->mem, OUTPUT_MAX);
    sort(r->entries, kept);
    for (unsigned i = 0; i < kept; i++) {
        put_entry(r, &b, &r->entries[i]);
    }
    if (r->count > kept) {
        (void)alk_buf_printf(&b, "%s: and %u more errors\n", r->name, r->count - kept);
    }

    alk_err err = b.err;
    char *text = err == ALK_OK ? alk_strdup_span(r->mem, alk_buf_span(&b)) : NULL;
    if (err == ALK_OK && text == NULL) {
        err = ALK_E_NOMEM;
    }
    if (err == ALK_OK) {
        errors->text = text;
        errors->n = alk_buf_len(&b);
        errors->count = r->count;
    }
    alk_buf_fini(&b);
    return err;
}
