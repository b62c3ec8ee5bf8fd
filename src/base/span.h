/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/span.h - borrowed bytes by value. All functions are pure. */
#ifndef ALK_BASE_SPAN_H
#define ALK_BASE_SPAN_H

#include "alknet/types.h"

#include <string.h>

/* A string literal as a span, without its terminating zero. */
#define ALK_LIT(text)   ((struct alk_span){(const uint8_t *)("" text), sizeof(text) - 1})
#define ALK_SPAN_FMT    "%.*s"
#define ALK_SPAN_ARG(s) (int)(s).n, (const char *)(s).p

static inline struct alk_span alk_span(const void *p, size_t n)
{
    return (struct alk_span){(const uint8_t *)p, n};
}
static inline struct alk_span alk_span_str(const char *text)
{
    return (struct alk_span){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}
/* The first n bytes (all, when there are fewer), and what follows them. */
static inline struct alk_span alk_span_head(struct alk_span s, size_t n)
{
    return (struct alk_span){s.p, n < s.n ? n : s.n};
}
static inline struct alk_span alk_span_tail(struct alk_span s, size_t n)
{
    return n < s.n ? (struct alk_span){s.p + n, s.n - n} : (struct alk_span){NULL, 0};
}
/* Not for secrets: see base/ct.h. */
static inline bool alk_span_equal(struct alk_span a, struct alk_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool alk_span_is(struct alk_span a, const char *text)
{
    return alk_span_equal(a, alk_span_str(text));
}
bool alk_span_starts(struct alk_span s, struct alk_span prefix);
bool alk_span_ends(struct alk_span s, struct alk_span suffix);
/* ASCII case-insensitive. */
bool alk_span_equal_nocase(struct alk_span a, struct alk_span b);
/* Index of the first byte c, or s.n. */
size_t alk_span_find(struct alk_span s, uint8_t c);
/* Cuts *s at the first byte c: returns what precedes it and leaves what follows
 * it in *s (empty when c is not there). */
struct alk_span alk_span_cut(struct alk_span *s, uint8_t c);
/* Without leading and trailing spaces and tabs. */
struct alk_span alk_span_trim(struct alk_span s);
/* White space as JSON, YAML and mail have it: space, tab, CR, LF. */
bool alk_is_white(uint8_t c);
/* Without it at either end. */
struct alk_span alk_span_strip(struct alk_span s);
/* Whether a byte is below 0x20, or DEL. */
bool alk_span_has_control(struct alk_span s);
/* Of a hex digit in either case; -1. Not for secrets: base/text.h. */
int alk_hex_value(uint8_t c);
/* Decimal digits only, no sign, in [0, max]; false for anything else. */
bool alk_span_u64(struct alk_span s, uint64_t max, uint64_t *ret);
/* Copies into dst as a zero-terminated string; false (and "") when it does not
 * fit or holds a zero byte. */
bool alk_span_cstr(struct alk_span s, char *dst, size_t dst_size);
/* Length of the well-formed UTF-8 character at the front, 0 when there is none. */
size_t alk_span_utf8(struct alk_span s);
/* Well-formed UTF-8 [RFC 3629 §4]: no surrogates, no overlong forms. */
bool alk_span_is_utf8(struct alk_span s);
/* The decimal digits of v, at the end of the room, of which nothing else is touched: how
 * many they are. */
#define ALK_DIGITS_MAX 20
size_t alk_digits(uint64_t v, uint8_t room[static ALK_DIGITS_MAX]);
/* Glob: `*` matches within the text any bytes except '/', `**` any bytes. */
bool alk_span_glob(struct alk_span pattern, struct alk_span text);

#endif
