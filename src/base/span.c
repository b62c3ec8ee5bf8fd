/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/span.h"

bool alk_span_starts(struct alk_span s, struct alk_span prefix)
{
    return prefix.n <= s.n && alk_span_equal(alk_span_head(s, prefix.n), prefix);
}

bool alk_span_ends(struct alk_span s, struct alk_span suffix)
{
    return suffix.n <= s.n && alk_span_equal(alk_span_tail(s, s.n - suffix.n), suffix);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool alk_span_equal_nocase(struct alk_span a, struct alk_span b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

size_t alk_span_find(struct alk_span s, uint8_t c)
{
    const uint8_t *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);
    return at == NULL ? s.n : (size_t)(at - s.p);
}

struct alk_span alk_span_cut(struct alk_span *s, uint8_t c)
{
    size_t at = alk_span_find(*s, c);
    struct alk_span head = alk_span_head(*s, at);
    *s = at < s->n ? alk_span_tail(*s, at + 1) : (struct alk_span){NULL, 0};
    return head;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

bool alk_is_white(uint8_t c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

static inline struct alk_span without_ends(struct alk_span s, bool (*is_end)(uint8_t c))
{
    while (s.n > 0 && is_end(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_end(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

struct alk_span alk_span_trim(struct alk_span s)
{
    return without_ends(s, is_blank);
}

struct alk_span alk_span_strip(struct alk_span s)
{
    return without_ends(s, alk_is_white);
}

bool alk_span_has_control(struct alk_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

int alk_hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool alk_span_u64(struct alk_span s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) {
            return false;
        }
    }
    if (v > max) {
        return false;
    }
    *ret = v;
    return true;
}

bool alk_span_cstr(struct alk_span s, char *dst, size_t dst_size)
{
    if (dst_size == 0) {
        return false;
    }
    if (s.n >= dst_size || alk_span_find(s, 0) != s.n) {
        dst[0] = '\0';
        return false;
    }
    if (s.n > 0) {
        memcpy(dst, s.p, s.n);
    }
    dst[s.n] = '\0';
    return true;
}

/* [RFC 3629 §4] The first byte decides the length and narrows the second: no
 * overlong forms, no surrogates, nothing above U+10FFFF. */
static const struct {
    uint8_t first, last;   /* range of the first byte */
    uint8_t second, third; /* range of the second byte */
    uint8_t len;
} utf8_forms[] = {
    {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t alk_span_utf8(struct alk_span s)
{
    for (size_t i = 0; s.n > 0 && i < sizeof(utf8_forms) / sizeof(utf8_forms[0]); i++) {
        if (s.p[0] < utf8_forms[i].first || s.p[0] > utf8_forms[i].last) {
            continue;
        }
        size_t len = utf8_forms[i].len;
        if (len == 1) {
            return 1;
        }
        if (s.n < len || s.p[1] < utf8_forms[i].second || s.p[1] > utf8_forms[i].third) {
            return 0;
        }
        for (size_t k = 2; k < len; k++) {
            if ((s.p[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return len;
    }
    return 0;
}

bool alk_span_is_utf8(struct alk_span s)
{
    while (s.n > 0) {
        size_t len = alk_span_utf8(s);
        if (len == 0) {
            return false;
        }
        s = alk_span_tail(s, len);
    }
    return true;
}

/* Where to go on after a mismatch: the pattern behind a star, and the text that
 * the star will have swallowed by then. */
struct star {
    bool is_set;
    size_t pattern, text;
};

bool alk_span_glob(struct alk_span pattern, struct alk_span text)
{
    /* The last star of each kind is enough: whatever an earlier one could still
     * swallow, the later one can too (`*` as far as the next '/', which an
     * earlier `*` cannot pass either). So there is no exponential search. */
    struct star one = {0};
    struct star any = {0};
    size_t p = 0;
    size_t t = 0;
    while (t < text.n || p < pattern.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            bool is_any = p + 1 < pattern.n && pattern.p[p + 1] == '*';
            p += is_any ? 2 : 1;
            if (is_any) {
                any = (struct star){true, p, t};
                one.is_set = false;
            } else {
                one = (struct star){true, p, t};
            }
        } else if (p < pattern.n && t < text.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (one.is_set && one.text < text.n && text.p[one.text] != '/') {
            one.text++;
            p = one.pattern;
            t = one.text;
        } else if (any.is_set && any.text < text.n) {
            any.text++;
            one.is_set = false;
            p = any.pattern;
            t = any.text;
        } else {
            return false;
        }
    }
    return true;
}

/* Two digits of v < 100, which end before `end`. */
static void put_pair(uint8_t *end, uint32_t v)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    memcpy(end - 2, pairs + 2 * (size_t)v, 2);
}

/* Four of v < 10000. */
static void put_four(uint8_t *end, uint32_t v)
{
    put_pair(end, v % 100);
    put_pair(end - 2, v / 100);
}

size_t alk_digits(uint64_t v, uint8_t room[static ALK_DIGITS_MAX])
{
    uint8_t *at = room + ALK_DIGITS_MAX;
    /* Eight at a time: numbers of 32 bits are divided sooner. */
    for (; v >= 100000000; v /= 100000000, at -= 8) {
        uint32_t low = (uint32_t)(v % 100000000);
        put_four(at, low % 10000);
        put_four(at - 4, low / 10000);
    }
    uint32_t rest = (uint32_t)v;
    for (; rest >= 10; rest /= 100, at -= 2) {
        put_pair(at, rest % 100);
    }
    if (rest > 0 || at == room + ALK_DIGITS_MAX) {
        *--at = (uint8_t)('0' + rest);
    }
    return (size_t)(room + ALK_DIGITS_MAX - at);
}
