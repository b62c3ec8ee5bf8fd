/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/schema_pattern.h"

/* White space and line ends of ECMA-262, for the inside of a class, and the rest. */
#define SPACES                                                                                     \
    "\\x09-\\x0d\\x20\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"      \
    "\\x{3000}\\x{feff}"
#define NO_SPACES                                                                                  \
    "\\x00-\\x08\\x0e-\\x1f\\x21-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}"   \
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}"                 \
    "\\x{ff00}-\\x{10ffff}"
#define ANY "[^\\x0a\\x0d\\x{2028}\\x{2029}]"

#define REPEAT_MAX 65535 /* PCRE2's own */

enum atom { ATOM_NONE, ATOM_CHAR, ATOM_SET };

struct scan {
    struct alk_span rest;
    struct alk_buf *out;             /* NULL: only looks */
    const char *what;                /* what is wrong */
    bool can_repeat;                 /* the last thing may be followed by a quantifier */
    bool repeats[SCHEMA_GROUPS_MAX]; /* of the open groups: not a look-behind */
    size_t depth;
    uint32_t repeat; /* the largest number in a quantifier */
};

static void put(struct scan *s, const char *text)
{
    if (s->out != NULL) {
        (void)alk_buf_put_str(s->out, text);
    }
}

static void put_span(struct scan *s, struct alk_span text)
{
    if (s->out != NULL) {
        (void)alk_buf_put(s->out, text);
    }
}

static bool fail(struct scan *s, const char *what)
{
    s->what = what;
    return false;
}

static uint8_t peek(const struct scan *s, size_t at)
{
    return at < s->rest.n ? s->rest.p[at] : 0;
}

static void skip(struct scan *s, size_t n)
{
    s->rest = alk_span_tail(s->rest, n);
}

static bool starts(const struct scan *s, const char *text)
{
    return alk_span_starts(s->rest, alk_span_str(text));
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void put_code(struct scan *s, uint32_t code)
{
    if (s->out != NULL) {
        (void)alk_buf_printf(s->out, "\\x{%x}", (unsigned)code);
    }
}

/* One character as itself; punctuation is escaped whether it needs it or not. */
static void put_literal(struct scan *s)
{
    uint8_t c = peek(s, 0);
    size_t n = alk_span_utf8(s->rest);

    if (c < 0x80 && c > 0x20 && !is_letter(c) && !is_digit(c) && c != 0x7f) {
        put(s, "\\");
    }
    if (c == 0) {
        put_code(s, 0);
    } else {
        put_span(s, alk_span_head(s->rest, n == 0 ? 1 : n));
    }
    skip(s, n == 0 ? 1 : n);
}

/* --- escapes -------------------------------------------------------------------- */

/* n hexadecimal digits at `at`. */
static bool read_hex(const struct scan *s, size_t at, size_t n, uint32_t *ret)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = peek(s, at + i);
        uint8_t low = (uint8_t)(c | 0x20);
        if (!is_digit(c) && (low < 'a' || low > 'f')) {
            return false;
        }
        v = v * 16 + (uint32_t)(is_digit(c) ? c - '0' : low - 'a' + 10);
    }
    *ret = v;
    return true;
}

static bool put_point(struct scan *s, uint32_t code)
{
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return fail(s, "escapes something that is no character");
    }
    put_code(s, code);
    return true;
}

/* After "\u{". */
static bool braced_point(struct scan *s)
{
    size_t n = alk_span_find(s->rest, '}');
    uint32_t code = 0;

    if (n == 0 || n > 6 || n == s->rest.n || !read_hex(s, 0, n, &code)) {
        return fail(s, "has a bad \\u escape");
    }
    skip(s, n + 1);
    return put_point(s, code);
}

/* After "\u": also two of them that make one character. */
static bool unicode_escape(struct scan *s)
{
    uint32_t code, low;

    if (peek(s, 0) == '{') {
        skip(s, 1);
        return braced_point(s);
    }
    if (!read_hex(s, 0, 4, &code)) {
        return fail(s, "has a bad \\u escape");
    }
    skip(s, 4);
    if (code >= 0xd800 && code < 0xdc00 && starts(s, "\\u") && read_hex(s, 2, 4, &low) &&
        low >= 0xdc00 && low < 0xe000) {
        skip(s, 6);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_point(s, code);
}

/* After "\p" or "\P". */
static bool property(struct scan *s, bool is_not)
{
    size_t n = alk_span_find(s->rest, '}');

    if (peek(s, 0) != '{' || n == s->rest.n) {
        return fail(s, "has a bad \\p escape");
    }
    put(s, is_not ? "\\P{" : "\\p{");
    if (!alk_schema_property_put(alk_span(s->rest.p + 1, n - 1), s->out)) {
        return fail(s, "has a bad \\p escape");
    }
    put(s, "}");
    skip(s, n + 1);
    return true;
}

/* The escapes that mean the same in a class and outside; c has been read. */
static enum atom common_escape(struct scan *s, uint8_t c)
{
    static const char controls[] = "t\x09n\x0av\x0b"
                                   "f\x0cr\x0d";
    uint32_t code = 0;

    for (size_t i = 0; i + 1 < sizeof controls; i += 2) {
        if (c == (uint8_t)controls[i]) {
            put_code(s, (uint8_t)controls[i + 1]);
            return ATOM_CHAR;
        }
    }
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
        put_span(s, alk_span((const uint8_t[]){'\\', c}, 2));
        return ATOM_SET;
    case 'p':
    case 'P':
        return property(s, c == 'P') ? ATOM_SET : ATOM_NONE;
    case 'u':
        return unicode_escape(s) ? ATOM_CHAR : ATOM_NONE;
    case 'x':
        if (!read_hex(s, 0, 2, &code)) {
            break;
        }
        skip(s, 2);
        put_code(s, code);
        return ATOM_CHAR;
    case 'c':
        if (!is_letter(peek(s, 0))) {
            break;
        }
        put_code(s, peek(s, 0) & 31U);
        skip(s, 1);
        return ATOM_CHAR;
    case '0':
        if (is_digit(peek(s, 0))) {
            break;
        }
        put_code(s, 0);
        return ATOM_CHAR;
    default:
        break;
    }
    (void)fail(s, "has an escape that ECMA-262 does not know");
    return ATOM_NONE;
}

/* --- classes -------------------------------------------------------------------- */

static enum atom class_atom(struct scan *s)
{
    if (peek(s, 0) != '\\') {
        put_literal(s);
        return ATOM_CHAR;
    }
    skip(s, 1);
    if (s->rest.n == 0) {
        (void)fail(s, "ends in an escape");
        return ATOM_NONE;
    }
    uint8_t c = peek(s, 0);
    if (c >= 0x80 || (!is_letter(c) && !is_digit(c))) {
        put_literal(s);
        return ATOM_CHAR;
    }
    skip(s, 1);
    if (c == 's' || c == 'S') {
        put(s, c == 's' ? SPACES : NO_SPACES);
        return ATOM_SET;
    }
    if (c == 'b') {
        put_code(s, 8);
        return ATOM_CHAR;
    }
    return common_escape(s, c);
}

/* After "[". A hyphen next to a set (\d-x) is a hyphen. */
static bool class(struct scan *s)
{
    put(s, "[");
    if (peek(s, 0) == '^') {
        put(s, "^");
        skip(s, 1);
    }
    while (s->rest.n > 0 && peek(s, 0) != ']') {
        enum atom first = class_atom(s);
        if (first == ATOM_NONE) {
            return false;
        }
        if (peek(s, 0) != '-' || s->rest.n < 2 || peek(s, 1) == ']') {
            continue;
        }
        skip(s, 1);
        bool next_is_set =
            peek(s, 0) == '\\' && peek(s, 1) != 0 && strchr("dDwWsSpP", peek(s, 1)) != NULL;
        put(s, first == ATOM_SET || next_is_set ? "\\-" : "-");
        if (class_atom(s) == ATOM_NONE) {
            return false;
        }
    }
    if (s->rest.n == 0) {
        return fail(s, "has a [ without its ]");
    }
    skip(s, 1);
    put(s, "]");
    s->can_repeat = true;
    return true;
}

/* --- outside of classes --------------------------------------------------------- */

static bool back_reference(struct scan *s, uint8_t c)
{
    size_t n = 0;

    if (c == 'k') {
        n = alk_span_find(s->rest, '>');
        if (peek(s, 0) != '<' || n == s->rest.n) {
            return fail(s, "has a bad \\k");
        }
        put(s, "\\k");
        put_span(s, alk_span_head(s->rest, n + 1));
        skip(s, n + 1);
        return true;
    }
    while (is_digit(peek(s, n)) && n < 3) {
        n++;
    }
    put(s, "\\g{");
    put_span(s, alk_span(&c, 1));
    put_span(s, alk_span_head(s->rest, n));
    put(s, "}");
    skip(s, n);
    return true;
}

/* After "\". */
static bool escape(struct scan *s)
{
    if (s->rest.n == 0) {
        return fail(s, "ends in an escape");
    }
    uint8_t c = peek(s, 0);
    s->can_repeat = true;
    if (c >= 0x80 || (!is_letter(c) && !is_digit(c))) {
        put_literal(s);
        return true;
    }
    skip(s, 1);
    switch (c) {
    case 'b':
    case 'B':
        put(s, c == 'b' ? "\\b" : "\\B");
        s->can_repeat = false;
        return true;
    case 's':
        put(s, "[" SPACES "]");
        return true;
    case 'S':
        put(s, "[^" SPACES "]");
        return true;
    default:
        break;
    }
    if (c == 'k' || (c >= '1' && c <= '9')) {
        return back_reference(s, c);
    }
    return common_escape(s, c) != ATOM_NONE;
}

/* After "(?<", a name up to ">". */
static bool group_name(struct scan *s)
{
    size_t n = alk_span_find(s->rest, '>');

    for (size_t i = 0; i < n; i++) {
        uint8_t c = peek(s, i);
        if (!is_letter(c) && c != '_' && (i == 0 || !is_digit(c))) {
            return fail(s, "has a group name that is not of letters, digits and _");
        }
    }
    if (n == 0 || n == s->rest.n) {
        return fail(s, "has a group name without end");
    }
    put_span(s, alk_span_head(s->rest, n + 1));
    skip(s, n + 1);
    return true;
}

/* At "(". */
static bool open_group(struct scan *s)
{
    static const struct {
        const char *text;
        bool can_repeat;
    } kinds[] = {{"(?:", true}, {"(?=", true}, {"(?!", true}, {"(?<=", false}, {"(?<!", false}};

    if (s->depth == SCHEMA_GROUPS_MAX) {
        return fail(s, "has too many groups within one another");
    }
    s->can_repeat = false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (starts(s, kinds[i].text)) {
            put(s, kinds[i].text);
            skip(s, strlen(kinds[i].text));
            s->repeats[s->depth++] = kinds[i].can_repeat;
            return true;
        }
    }
    s->repeats[s->depth++] = true;
    if (starts(s, "(?<")) {
        put(s, "(?<");
        skip(s, 3);
        return group_name(s);
    }
    if (starts(s, "(?")) {
        return fail(s, "has a group that ECMA-262 does not know");
    }
    put(s, "(");
    skip(s, 1);
    return true;
}

static bool close_group(struct scan *s)
{
    if (s->depth == 0) {
        return fail(s, "has a ) without its (");
    }
    s->can_repeat = s->repeats[--s->depth];
    put(s, ")");
    skip(s, 1);
    return true;
}

/* Longer ones are literals: many { must not each look for their } at the far end. */
#define BRACES_MAX 32

/* The length of {n}, {n,} or {n,m} here, 0 when it is something else. */
static size_t braces(struct scan *s, bool *ret_bad)
{
    struct alk_span near = alk_span_head(s->rest, BRACES_MAX);
    size_t end = alk_span_find(near, '}');
    struct alk_span body = alk_span_head(alk_span_tail(near, 1), end - 1);
    size_t n = end + 1;
    bool has_comma = alk_span_find(body, ',') < body.n;
    struct alk_span first = alk_span_cut(&body, ',');
    uint64_t min, max;

    if (end == near.n || !alk_span_u64(first, UINT64_MAX, &min)) {
        return 0;
    }
    max = min;
    if (has_comma && body.n > 0 && !alk_span_u64(body, UINT64_MAX, &max)) {
        return 0;
    }
    *ret_bad = max < min || max > REPEAT_MAX;
    s->repeat = !*ret_bad && max > s->repeat ? (uint32_t)max : s->repeat;
    return n;
}

static bool quantifier(struct scan *s, size_t n)
{
    if (!s->can_repeat) {
        return fail(s, "has a quantifier with nothing before it");
    }
    n += peek(s, n) == '?';
    put_span(s, alk_span_head(s->rest, n));
    skip(s, n);
    s->can_repeat = false;
    return true;
}

static bool brace(struct scan *s)
{
    bool is_bad = false;
    size_t n = braces(s, &is_bad);

    if (is_bad) {
        return fail(s, "has a quantifier with bad numbers");
    }
    if (n > 0) {
        return quantifier(s, n);
    }
    put_literal(s);
    s->can_repeat = true;
    return true;
}

static bool one(struct scan *s)
{
    uint8_t c = peek(s, 0);

    switch (c) {
    case '\\':
        skip(s, 1);
        return escape(s);
    case '[':
        skip(s, 1);
        return class(s);
    case '(':
        return open_group(s);
    case ')':
        return close_group(s);
    case '{':
        return brace(s);
    case '*':
    case '+':
    case '?':
        return quantifier(s, 1);
    case '^':
    case '$':
    case '|':
        put_span(s, alk_span_head(s->rest, 1));
        skip(s, 1);
        s->can_repeat = false;
        return true;
    case '.':
        put(s, ANY);
        skip(s, 1);
        break;
    default:
        put_literal(s);
        break;
    }
    s->can_repeat = true;
    return true;
}

alk_err alk_schema_pattern_put(struct alk_span source, struct alk_buf *out, uint32_t *ret_repeat,
                               const char **ret_what)
{
    struct scan s = {.rest = source, .out = out};

    while (s.rest.n > 0) {
        if (!one(&s)) {
            *ret_what = s.what;
            return ALK_E_INVALID;
        }
    }
    if (s.depth > 0) {
        *ret_what = "has a ( without its )";
        return ALK_E_INVALID;
    }
    *ret_repeat = s.repeat;
    return out == NULL ? ALK_OK : out->err;
}
