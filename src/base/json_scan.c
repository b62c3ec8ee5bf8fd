/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/json_scan.h"

/* A walker below returns the place behind what it walked over, or NULL: malformed. */

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static inline const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

/* --- strings ------------------------------------------------------------------ */

/* A byte is plain when it means itself: ASCII, no control, not `"`, not `\`. With bit
 * 1 flipped the quote is 0x20, the first behind the controls (which stay below it, in
 * another order): one comparison finds both. */
enum { FLIP = 0x02, QUOTE_FLIPPED = '"' ^ FLIP };

/* Bit 7 of each byte that is not plain. Bytes above a hit may be wrong, the lowest one
 * never is. */
static inline uint64_t odd_bytes(uint64_t v)
{
    uint64_t flipped = v ^ (ONES * FLIP);
    uint64_t slash = v ^ (ONES * '\\');
    return (v | (flipped - ONES * (QUOTE_FLIPPED + 1)) | (slash - ONES)) & HIGHS;
}

static inline uint64_t load_le(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

#if defined(__SSE2__)
typedef signed char vector16 __attribute__((vector_size(16)));

/* The same for 16 bytes, a bit each. Signed, what is beyond ASCII is below the rest, and
 * a backslash is made to look like a control. */
static inline unsigned odd_sixteen(const uint8_t *p)
{
    vector16 v;
    memcpy(&v, p, sizeof(v));
    vector16 slash = (vector16)(v == '\\');
    vector16 plain = (vector16)(((v ^ FLIP) & ~slash) > QUOTE_FLIPPED);
    return (unsigned)__builtin_ia32_pmovmskb128((char __attribute__((vector_size(16))))plain) ^
           0xffffu;
}
#endif

/* Over words of plain bytes: stops at one that is not, or where less than a word is
 * left. */
static inline const uint8_t *skip_words(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t odd = odd_bytes(load_le(p));
        if (odd != 0) {
            return p + (unsigned)__builtin_ctzll(odd) / 8;
        }
        p += 8;
    }
    return p;
}

/* Over plain bytes: stops at one that is not. With less than a block to look at it may
 * stop at any. */
static inline const uint8_t *skip_blocks(const uint8_t *p, const uint8_t *end)
{
#if defined(__SSE2__)
    if (end - p >= 16) {
        const uint8_t *last = end - 16;
        do {
            unsigned odd = odd_sixteen(p);
            if (odd != 0) {
                return p + (unsigned)__builtin_ctz(odd);
            }
            p += 16;
        } while (p <= last);
        /* The last block, with bytes again that were plain already. */
        unsigned odd = odd_sixteen(last);
        return odd != 0 ? last + (unsigned)__builtin_ctz(odd) : end;
    }
    return p;
#else
    return skip_words(p, end);
#endif
}

/* Over all plain bytes. */
static const uint8_t *skip_plain(const uint8_t *p, const uint8_t *end)
{
    p = skip_words(skip_blocks(p, end), end);
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

static inline bool is_tail(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* One character beyond ASCII [RFC 3629 §4]. alk_span_utf8 says the same, slower. */
static const uint8_t *skip_utf8(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t c = p[0];
    if (c < 0xc2 || c > 0xf4 || left < 2 || !is_tail(p[1])) {
        return NULL;
    }
    if (c < 0xe0) {
        return p + 2;
    }
    if (left < 3 || !is_tail(p[2]) || (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f)) {
        return NULL;
    }
    if (c < 0xf0) {
        return p + 3;
    }
    bool is_good =
        left >= 4 && is_tail(p[3]) && (c != 0xf0 || p[1] >= 0x90) && (c != 0xf4 || p[1] <= 0x8f);
    return is_good ? p + 4 : NULL;
}

/* Four hex digits; -1. */
static int32_t hex4(const uint8_t *p, const uint8_t *end)
{
    int32_t v = 0;
    if (end - p < 4) {
        return -1;
    }
    for (unsigned i = 0; i < 4; i++) {
        int d = alk_hex_value(p[i]);
        if (d < 0) {
            return -1;
        }
        v = v * 16 + d;
    }
    return v;
}

static uint32_t short_escape(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return UINT32_MAX;
    }
}

/* p stands on a backslash. */
static const uint8_t *skip_escape(const uint8_t *p, const uint8_t *end, uint32_t *ret)
{
    if (end - p < 2) {
        return NULL;
    }
    if (p[1] != 'u') {
        *ret = short_escape(p[1]);
        return *ret == UINT32_MAX ? NULL : p + 2;
    }
    int32_t c = hex4(p + 2, end);
    if (c < 0 || (c >= 0xdc00 && c <= 0xdfff)) {
        return NULL; /* the second half of a pair alone */
    }
    *ret = (uint32_t)c;
    if (c < 0xd800 || c > 0xdbff) {
        return p + 6;
    }
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u') {
        return NULL;
    }
    int32_t low = hex4(p + 8, end);
    if (low < 0xdc00 || low > 0xdfff) {
        return NULL;
    }
    *ret = 0x10000 + (((uint32_t)c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return p + 12;
}

/* The rest of a string: what stopped skip_blocks, and all that follows. */
static __attribute__((noinline)) const uint8_t *skip_odd(const uint8_t *p, const uint8_t *end)
{
    for (;;) {
        uint32_t c;
        p = skip_plain(p, end);
        if (p == end || *p < 0x20) {
            return NULL;
        }
        if (*p == '"') {
            return p;
        }
        if (*p == '\\') {
            p = skip_escape(p, end, &c);
        } else {
            do {
                p = skip_utf8(p, end);
            } while (p != NULL && p < end && *p >= 0x80);
        }
        if (p == NULL) {
            return NULL;
        }
    }
}

/* p stands behind the opening quote; on the closing one. */
static inline const uint8_t *skip_string(const uint8_t *p, const uint8_t *end)
{
    p = skip_blocks(p, end);
    return p < end && *p == '"' ? p : skip_odd(p, end);
}

/* p stands behind a name; behind its colon. */
static inline const uint8_t *skip_colon(const uint8_t *p, const uint8_t *end)
{
    p = skip_space(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* Over a name and its colon. */
static const uint8_t *skip_key(const uint8_t *p, const uint8_t *end)
{
    p = skip_space(p, end);
    if (p == end || *p != '"') {
        return NULL;
    }
    p = skip_string(p + 1, end);
    return p == NULL ? NULL : skip_colon(p + 1, end);
}

/* --- numbers, words -------------------------------------------------------------- */

static const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end)
{
    if (p == end || !is_digit(*p)) {
        return NULL;
    }
    while (p < end && is_digit(*p)) {
        p++;
    }
    return p;
}

static const uint8_t *skip_number(const uint8_t *p, const uint8_t *end)
{
    if (*p == '-') {
        p++;
    }
    if (p < end && *p == '0') {
        p++;
    } else {
        p = skip_digits(p, end);
    }
    if (p != NULL && p < end && *p == '.') {
        p = skip_digits(p + 1, end);
    }
    if (p != NULL && p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        p = skip_digits(p, end);
    }
    return p;
}

static const uint8_t *skip_word(const uint8_t *p, const uint8_t *end, struct alk_span word)
{
    bool is_it = (size_t)(end - p) >= word.n && memcmp(p, word.p, word.n) == 0;
    return is_it ? p + word.n : NULL;
}

/* The rest of skip_scalar. */
static __attribute__((noinline)) const uint8_t *skip_bare(const uint8_t *p, const uint8_t *end)
{
    switch (*p) {
    case 't':
        return skip_word(p, end, ALK_LIT("true"));
    case 'f':
        return skip_word(p, end, ALK_LIT("false"));
    case 'n':
        return skip_word(p, end, ALK_LIT("null"));
    default:
        return *p == '-' || is_digit(*p) ? skip_number(p, end) : NULL;
    }
}

static inline const uint8_t *skip_scalar(const uint8_t *p, const uint8_t *end)
{
    if (*p != '"') {
        return skip_bare(p, end);
    }
    p = skip_string(p + 1, end);
    return p == NULL ? NULL : p + 1;
}

/* --- values ------------------------------------------------------------------------ */

/* Arrays and objects around the place where a walk stands. */
struct nest {
    uint64_t is_object; /* bit 0: the innermost */
    unsigned depth;
};

static inline void push(struct nest *n, bool is_object)
{
    n->is_object = n->is_object << 1 | (uint64_t)is_object;
    n->depth++;
}

static inline void pop(struct nest *n)
{
    n->is_object >>= 1;
    n->depth--;
}

/* p stands behind a value, or inside an empty one: over the ends of what it was the last
 * of, and over a comma to where the next value may start. Unless depth is down to base
 * then: all is over. */
static const uint8_t *skip_after(const uint8_t *p, const uint8_t *end, struct nest *n,
                                 unsigned base)
{
    while (n->depth > base) {
        bool in_object = (n->is_object & 1) != 0;
        p = skip_space(p, end);
        if (p == end) {
            return NULL;
        }
        if (*p == ',') {
            return in_object ? skip_key(p + 1, end) : p + 1;
        }
        if (*p != (in_object ? '}' : ']')) {
            return NULL;
        }
        p++;
        pop(n);
    }
    return p;
}

/* p stands on a bracket: to where the first value inside may start, or on the other
 * bracket when there is none. */
static const uint8_t *skip_open(const uint8_t *p, const uint8_t *end, struct nest *n,
                                bool *ret_is_empty)
{
    bool is_object = *p == '{';
    push(n, is_object);
    p = skip_space(p + 1, end);
    *ret_is_empty = p < end && *p == (is_object ? '}' : ']');
    return is_object && !*ret_is_empty ? skip_key(p, end) : p;
}

/* Any value; from stands on it. */
static __attribute__((noinline)) alk_err scan_any(struct alk_json_scan *s, const uint8_t *from,
                                                  struct alk_span *ret_raw)
{
    const uint8_t *end = s->end;
    const uint8_t *p = from;
    struct nest n = {0, s->depth};
    uint32_t values = s->values;
    do {
        bool is_whole = true; /* nothing of the value is left but its end */
        p = skip_space(p, end);
        if (p == end) {
            return ALK_E_MALFORMED;
        }
        if (values == 0) {
            return ALK_E_TOO_BIG;
        }
        values--;
        if (*p == '{' || *p == '[') {
            if (n.depth == ALK_JSON_SCAN_DEPTH_MAX) {
                return ALK_E_TOO_BIG;
            }
            p = skip_open(p, end, &n, &is_whole);
        } else {
            p = skip_scalar(p, end);
        }
        if (p != NULL && is_whole) {
            p = skip_after(p, end, &n, s->depth);
        }
        if (p == NULL) {
            return ALK_E_MALFORMED;
        }
    } while (n.depth > s->depth);
    s->p = p;
    s->values = values;
    *ret_raw = alk_span(from, (size_t)(p - from));
    return ALK_OK;
}

/* A string; to stands on its closing quote, or is NULL. */
static inline alk_err end_string(struct alk_json_scan *s, const uint8_t *from, const uint8_t *to,
                                 struct alk_span *ret_raw)
{
    if (to == NULL) {
        return ALK_E_MALFORMED;
    }
    s->p = to + 1;
    s->values--;
    *ret_raw = alk_span(from, (size_t)(to + 1 - from));
    return ALK_OK;
}

static __attribute__((noinline)) alk_err scan_odd(struct alk_json_scan *s, const uint8_t *from,
                                                  const uint8_t *odd, struct alk_span *ret_raw)
{
    return end_string(s, from, skip_odd(odd, s->end), ret_raw);
}

/* Most values, and names, are strings of plain bytes. What reads them calls nothing that
 * returns to it, so that no register needs to be saved. */
alk_err alk_json_scan_value(struct alk_json_scan *s, struct alk_span *ret_raw)
{
    const uint8_t *from = skip_space(s->p, s->end);
    if (from == s->end || *from != '"' || s->values == 0) {
        return scan_any(s, from, ret_raw);
    }
    const uint8_t *to = skip_blocks(from + 1, s->end);
    if (to == s->end || *to != '"') {
        return scan_odd(s, from, to, ret_raw);
    }
    return end_string(s, from, to, ret_raw);
}

struct alk_json_scan alk_json_scan(struct alk_span text)
{
    const uint8_t *p = text.p == NULL ? (const uint8_t *)"" : text.p;
    return (struct alk_json_scan){.p = p, .end = p + text.n, .values = ALK_JSON_SCAN_VALUES_MAX};
}

bool alk_json_scan_is_object(struct alk_json_scan *s)
{
    s->p = skip_space(s->p, s->end);
    return s->p < s->end && *s->p == '{';
}

alk_err alk_json_scan_enter(struct alk_json_scan *s)
{
    if (!alk_json_scan_is_object(s)) {
        return ALK_E_MALFORMED;
    }
    if (s->depth == ALK_JSON_SCAN_DEPTH_MAX || s->values == 0) {
        return ALK_E_TOO_BIG;
    }
    s->p++;
    s->values--;
    s->depth++;
    s->is_first = true;
    return ALK_OK;
}

/* A name that begins at from; to stands on its closing quote, or is NULL. */
static inline alk_err end_member(struct alk_json_scan *s, const uint8_t *from, const uint8_t *to,
                                 bool has_escape, struct alk_json_key *ret)
{
    const uint8_t *p = to == NULL ? NULL : skip_colon(to + 1, s->end);
    if (p == NULL) {
        return ALK_E_MALFORMED;
    }
    s->p = p;
    s->is_first = false;
    ret->raw = alk_span(from, (size_t)(to - from));
    ret->has_escape = has_escape;
    return ALK_OK;
}

static __attribute__((noinline)) alk_err member_odd(struct alk_json_scan *s, const uint8_t *from,
                                                    const uint8_t *odd, struct alk_json_key *ret)
{
    const uint8_t *to = skip_odd(odd, s->end);
    bool has_escape = to != NULL && memchr(odd, '\\', (size_t)(to - odd)) != NULL;
    return end_member(s, from, to, has_escape, ret);
}

alk_err alk_json_scan_member(struct alk_json_scan *s, struct alk_json_key *ret)
{
    const uint8_t *p = skip_space(s->p, s->end);
    ALK_ASSERT(s->depth > 0);
    if (p < s->end && *p == '}') {
        s->p = p + 1;
        s->depth--;
        s->is_first = false;
        return ALK_END;
    }
    if (!s->is_first) {
        if (p == s->end || *p != ',') {
            return ALK_E_MALFORMED;
        }
        p = skip_space(p + 1, s->end);
    }
    if (p == s->end || *p != '"') {
        return ALK_E_MALFORMED;
    }
    const uint8_t *from = p + 1;
    const uint8_t *to = skip_blocks(from, s->end);
    if (to == s->end || *to != '"') {
        return member_odd(s, from, to, ret);
    }
    return end_member(s, from, to, false, ret);
}

alk_err alk_json_scan_end(struct alk_json_scan *s)
{
    s->p = skip_space(s->p, s->end);
    return s->p == s->end && s->depth == 0 ? ALK_OK : ALK_E_MALFORMED;
}

alk_err alk_json_scan_within(struct alk_span text, uint8_t depth, uint32_t *values)
{
    struct alk_json_scan s = alk_json_scan(text);
    struct alk_span raw;

    s.depth = depth;
    s.values = *values;
    ALK_TRY(alk_json_scan_value(&s, &raw));
    s.depth = 0;
    ALK_TRY(alk_json_scan_end(&s));
    *values = s.values;
    return ALK_OK;
}

alk_err alk_json_scan_check(struct alk_span text)
{
    uint32_t values = ALK_JSON_SCAN_VALUES_MAX;
    return alk_json_scan_within(text, 0, &values);
}

/* --- simple values ------------------------------------------------------------------ */

/* Bounds of what is looked at: compared pair by pair, it costs little. */
#define SIMPLE_NAMES_MAX  32  /* of all objects around a place */
#define SIMPLE_DEPTH_MAX  16  /* of objects */
#define SIMPLE_NUMBER_MAX 300 /* digits; a double goes to 10^308 */

/* The names of all objects around a place, the innermost one's last. */
struct names {
    struct alk_span v[SIMPLE_NAMES_MAX];
    size_t n;
    size_t begins[SIMPLE_DEPTH_MAX];
    size_t depth;
};

static bool open_names(struct names *names)
{
    if (names->depth == SIMPLE_DEPTH_MAX) {
        return false;
    }
    names->begins[names->depth++] = names->n;
    return true;
}

/* One with an escape is not looked at: to decode it for each of the others would take
 * fifty times as long as the tree. */
static bool add_name(struct names *names, struct alk_span name)
{
    if (names->n == SIMPLE_NAMES_MAX || memchr(name.p, '\\', name.n) != NULL) {
        return false;
    }
    for (size_t i = names->begins[names->depth - 1]; i < names->n; i++) {
        if (alk_span_equal(names->v[i], name)) {
            return false;
        }
    }
    names->v[names->n++] = name;
    return true;
}

/* p stands on a quote. What a colon follows is a name. NULL: not simple. */
static const uint8_t *simple_string(const uint8_t *p, const uint8_t *end, struct names *names)
{
    const uint8_t *from = p + 1;
    const uint8_t *to = skip_string(from, end);
    if (to == NULL) {
        return NULL;
    }
    p = skip_space(to + 1, end);
    if (p == end || *p != ':') {
        return p;
    }
    return add_name(names, alk_span(from, (size_t)(to - from))) ? p : NULL;
}

static const uint8_t *simple_number(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *from = p;
    p = skip_number(p, end);
    if (p == NULL || p - from > SIMPLE_NUMBER_MAX) {
        return NULL;
    }
    for (const uint8_t *c = from; c < p; c++) {
        if ((*c | 0x20) == 'e') {
            return NULL;
        }
    }
    return p;
}

bool alk_json_is_simple(struct alk_span raw)
{
    struct names names; /* not zeroed: it is large */
    names.n = names.depth = 0;
    const uint8_t *p = raw.p;
    const uint8_t *end = raw.p + raw.n;
    while (p != NULL && p < end) {
        if (*p == '"') {
            p = simple_string(p, end, &names);
        } else if (*p == '-' || is_digit(*p)) {
            p = simple_number(p, end);
        } else if (*p == '{' && !open_names(&names)) {
            p = NULL;
        } else {
            if (*p == '}') {
                names.n = names.begins[--names.depth];
            }
            p++;
        }
    }
    return p != NULL;
}

/* --- what came out ------------------------------------------------------------------ */

/* The character at the front of a checked string's inside, decoded as UTF-8. */
static size_t next_char(const uint8_t **p, const uint8_t *end, uint8_t ret[static 4])
{
    uint32_t c = 0;
    if (**p != '\\') {
        ret[0] = *(*p)++;
        return 1;
    }
    *p = skip_escape(*p, end, &c);
    ALK_ASSERT(*p != NULL);
    if (c < 0x80) {
        ret[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        ret[i] = (uint8_t)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    ret[0] = (uint8_t)((0xf00u >> n & 0xf0) | c);
    return n;
}

/* Decodes into dst; false when it does not fit. */
static bool decode(struct alk_span inside, uint8_t *dst, size_t dst_size, size_t *ret_n)
{
    const uint8_t *p = inside.p;
    const uint8_t *end = inside.p + inside.n;
    size_t n = 0;
    while (p < end) {
        uint8_t c[4];
        size_t len = next_char(&p, end, c);
        if (len > dst_size - n) {
            return false;
        }
        memcpy(dst + n, c, len);
        n += len;
    }
    *ret_n = n;
    return true;
}

/* Compares a name that has escapes with plain bytes, or with another such name. */
static bool decoded_equal(struct alk_span a, struct alk_span b, bool b_has_escape)
{
    if (b.n == 0) {
        return false; /* a has one character at least */
    }
    const uint8_t *p = a.p;
    const uint8_t *q = b.p;
    const uint8_t *p_end = a.p + a.n;
    const uint8_t *q_end = b.p + b.n;
    uint8_t c[4], d[4];
    size_t c_n = 0, d_n = 0, c_at = 0, d_at = 0;
    for (;;) {
        if (c_at == c_n && p < p_end) {
            c_n = next_char(&p, p_end, c);
            c_at = 0;
        }
        if (d_at == d_n && q < q_end) {
            d_n = b_has_escape ? next_char(&q, q_end, d) : 1;
            if (!b_has_escape) {
                d[0] = *q++;
            }
            d_at = 0;
        }
        if (c_at == c_n || d_at == d_n) {
            return c_at == c_n && d_at == d_n;
        }
        if (c[c_at++] != d[d_at++]) {
            return false;
        }
    }
}

bool alk_json_key_equal(const struct alk_json_key *a, const struct alk_json_key *b)
{
    if (a->has_escape) {
        return decoded_equal(a->raw, b->raw, b->has_escape);
    }
    return b->has_escape ? decoded_equal(b->raw, a->raw, false) : alk_span_equal(a->raw, b->raw);
}

/* FNV-1a. */
uint64_t alk_json_key_hash(const struct alk_json_key *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const uint8_t *p = key->raw.p;
    const uint8_t *end = key->raw.p + key->raw.n;
    uint8_t c[4];
    while (p < end) {
        size_t n = next_char(&p, end, c);
        for (size_t i = 0; i < n; i++) {
            hash = (hash ^ c[i]) * UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

bool alk_json_key_decodes_to(const struct alk_json_key *key, struct alk_span name)
{
    return decoded_equal(key->raw, name, false);
}

alk_err alk_json_decode(struct alk_span raw, uint8_t *dst, size_t dst_size, struct alk_span *ret)
{
    size_t n = 0;
    if (!decode(alk_span(raw.p + 1, raw.n - 2), dst, dst_size, &n)) {
        return ALK_E_TOO_BIG;
    }
    *ret = alk_span(dst, n);
    return ALK_OK;
}

size_t alk_json_plain(struct alk_span s)
{
    if (s.n == 0) {
        return 0;
    }
    size_t n = (size_t)(skip_plain(s.p, s.p + s.n) - s.p);
    /* DEL may stand in a string, but some terminals erase with it. */
    const uint8_t *del = memchr(s.p, 0x7f, n);
    return del == NULL ? n : (size_t)(del - s.p);
}
