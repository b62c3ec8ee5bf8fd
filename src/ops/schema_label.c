/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/schema_label.h"

static bool is_in(uint32_t c, const uint32_t (*ranges)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c >= ranges[i][0] && c <= ranges[i][1]) {
            return true;
        }
    }
    return false;
}
#define IN(c, ranges) is_in((c), (ranges), sizeof(ranges) / sizeof((ranges)[0]))

/* Marks that stand above, below or after another character. */
static const uint32_t marks[][2] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
    {0x0900, 0x0903}, {0x093a, 0x093c}, {0x093e, 0x094f}, {0x0981, 0x0983}, {0x09be, 0x09cd},
    {0x0e31, 0x0e31}, {0x0e34, 0x0e3a}, {0x1dc0, 0x1dff}, {0x20d0, 0x20f0}, {0x302a, 0x302f},
    {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};
/* [RFC 5892 §2.6] DISALLOWED; and what is no letter, digit or mark. */
static const uint32_t refused[][2] = {
    {0x0000, 0x002c}, {0x002e, 0x002f}, {0x003a, 0x0060}, {0x007b, 0x00b6}, {0x00b8, 0x00de},
    {0x00d7, 0x00d7}, {0x00f7, 0x00f7}, {0x0640, 0x0640}, {0x07fa, 0x07fa}, {0x2000, 0x200b},
    {0x200e, 0x20ff}, {0x302e, 0x302f}, {0x3031, 0x3035}, {0x303b, 0x303b}, {0x2160, 0x2183},
    {0x2190, 0x2bff}, {0x3000, 0x3004}, {0x3008, 0x3020}, {0xe000, 0xf8ff}, {0xfe00, 0xfe0f},
    {0xff00, 0xffef},
};
static const uint32_t greek[][2] = {{0x0370, 0x03ff}, {0x1f00, 0x1fff}};
static const uint32_t hebrew[][2] = {{0x0591, 0x05f4}, {0xfb1d, 0xfb4f}};
static const uint32_t kana_han[][2] = {{0x3005, 0x3007},  {0x3041, 0x309f}, {0x30a1, 0x30fa},
                                       {0x30fc, 0x30ff},  {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
                                       {0x20000, 0x323af}};
static const uint32_t viramas[][2] = {
    {0x094d, 0x094d}, {0x09cd, 0x09cd}, {0x0a4d, 0x0a4d}, {0x0acd, 0x0acd}, {0x0b4d, 0x0b4d},
    {0x0bcd, 0x0bcd}, {0x0c4d, 0x0c4d}, {0x0ccd, 0x0ccd}, {0x0d4d, 0x0d4d}, {0x0dca, 0x0dca},
    {0x0e3a, 0x0e3a}, {0x0f84, 0x0f84}, {0x1039, 0x103a}, {0x17d2, 0x17d2},
};
static const uint32_t arabic[][2] = {{0x0620, 0x063f}, {0x0641, 0x064a}, {0x066e, 0x06d3}};
static const uint32_t digits[][2] = {{0x0660, 0x0669}};
static const uint32_t extended_digits[][2] = {{0x06f0, 0x06f9}};

static bool has(const struct schema_label *l, const uint32_t (*ranges)[2], size_t n)
{
    for (size_t i = 0; i < l->n; i++) {
        if (is_in(l->c[i], ranges, n)) {
            return true;
        }
    }
    return false;
}
#define HAS(l, ranges) has((l), (ranges), sizeof(ranges) / sizeof((ranges)[0]))

static uint32_t at(const struct schema_label *l, size_t i)
{
    return i < l->n ? l->c[i] : 0;
}

/* [RFC 5892 §A] the rules that look at neighbours; i - 1 wraps to nothing. */
static bool fits_context(const struct schema_label *l, size_t i)
{
    uint32_t before = i == 0 ? 0 : at(l, i - 1);
    uint32_t after = at(l, i + 1);

    switch (l->c[i]) {
    case 0x00b7:
        return before == 'l' && after == 'l';
    case 0x0375:
        return IN(after, greek);
    case 0x05f3:
    case 0x05f4:
        return IN(before, hebrew);
    case 0x30fb:
        return HAS(l, kana_han);
    case 0x200d:
        return IN(before, viramas);
    case 0x200c:
        return IN(before, viramas) || (IN(before, arabic) && IN(after, arabic));
    default:
        return !IN(l->c[i], refused);
    }
}

static bool is_u_label(const struct schema_label *l)
{
    if (l->n == 0 || l->c[0] == '-' || l->c[l->n - 1] == '-' || IN(l->c[0], marks) ||
        (at(l, 2) == '-' && at(l, 3) == '-')) {
        return false;
    }
    for (size_t i = 0; i < l->n; i++) {
        if (!fits_context(l, i)) {
            return false;
        }
    }
    return !(HAS(l, digits) && HAS(l, extended_digits));
}

/* --- Punycode ------------------------------------------------------------------- */

static uint32_t adapt(uint32_t delta, uint32_t count, bool is_first)
{
    uint32_t k = 0;

    delta = is_first ? delta / 700 : delta / 2;
    delta += delta / count;
    for (; delta > 455; k += 36) {
        delta /= 35;
    }
    return k + 36 * delta / (delta + 38);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
    return k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
}

static bool insert(struct schema_label *l, size_t where, uint32_t c)
{
    if (l->n == SCHEMA_LABEL_MAX || c < 0x80 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        return false;
    }
    memmove(l->c + where + 1, l->c + where, (l->n - where) * sizeof l->c[0]);
    l->c[where] = c;
    l->n++;
    return true;
}

/* One variable-length number [RFC 3492 §6.2]. */
static bool cut_delta(struct alk_span *s, uint32_t bias, uint32_t *ret)
{
    uint32_t weight = 1;
    uint32_t sum = 0;

    for (uint32_t k = 36; s->n > 0; k += 36) {
        uint8_t c = (uint8_t)(s->p[0] | 0x20);
        bool is_digit = s->p[0] >= '0' && s->p[0] <= '9';
        if (!is_digit && (c < 'a' || c > 'z')) {
            return false;
        }
        uint32_t digit = is_digit ? s->p[0] - '0' + 26U : c - 'a' + 0U;
        uint32_t t = threshold(k, bias);
        *s = alk_span_tail(*s, 1);
        /* No label of 63 characters needs more than 28 bits. */
        if (weight > (1U << 28) || digit > (1U << 28) / weight) {
            return false;
        }
        sum += digit * weight;
        if (digit < t) {
            *ret = sum;
            return true;
        }
        weight *= 36 - t;
    }
    return false;
}

/* [RFC 3492 §6.2] what follows "xn--". */
static bool decode_punycode(struct alk_span s, struct schema_label *ret)
{
    size_t basic = s.n;
    uint32_t c = 128, bias = 72, i = 0, delta = 0;

    while (basic > 0 && s.p[basic - 1] != '-') {
        basic--;
    }
    ret->n = basic == 0 ? 0 : basic - 1;
    for (size_t k = 0; k < ret->n; k++) {
        ret->c[k] = s.p[k];
    }
    s = alk_span_tail(s, basic);
    if (s.n == 0) {
        return false;
    }
    for (bool is_first = true; s.n > 0; is_first = false) {
        if (!cut_delta(&s, bias, &delta)) {
            return false;
        }
        uint32_t count = (uint32_t)ret->n + 1;
        bias = adapt(delta, count, is_first);
        i += delta;
        c += i / count;
        i %= count;
        if (!insert(ret, i++, c)) {
            return false;
        }
    }
    return true;
}

/* What is being written, with its end. */
struct code {
    uint8_t *p;
    size_t n, size;
};

static bool put(struct code *out, uint32_t digit)
{
    if (out->n == out->size) {
        return false;
    }
    out->p[out->n++] = (uint8_t)(digit < 26 ? 'a' + digit : '0' + (digit - 26));
    return true;
}

static bool put_delta(struct code *out, uint32_t delta, uint32_t bias)
{
    for (uint32_t k = 36;; k += 36) {
        uint32_t t = threshold(k, bias);
        if (delta < t) {
            return put(out, delta);
        }
        if (!put(out, t + (delta - t) % (36 - t))) {
            return false;
        }
        delta = (delta - t) / (36 - t);
    }
}

/* The characters of ASCII first, and a hyphen after them. */
static bool put_basic(struct code *out, const struct schema_label *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->c[i] < 0x80) {
            if (out->n == out->size) {
                return false;
            }
            out->p[out->n++] = (uint8_t)l->c[i];
        }
    }
    if (out->n == 0) {
        return true;
    }
    if (out->n == out->size) {
        return false;
    }
    out->p[out->n++] = '-';
    return true;
}

static uint32_t next_character(const struct schema_label *l, uint32_t from)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < l->n; i++) {
        least = l->c[i] >= from && l->c[i] < least ? l->c[i] : least;
    }
    return least;
}

/* [RFC 3492 §6.3]; false: longer than dst. 63 characters below 2^21 cannot overflow. */
static bool encode_punycode(const struct schema_label *l, uint8_t *dst, size_t dst_size,
                            size_t *ret_n)
{
    struct code out = {.p = dst, .size = dst_size};
    uint32_t c = 128, bias = 72, delta = 0;

    if (!put_basic(&out, l)) {
        return false;
    }
    uint32_t basic = out.n == 0 ? 0 : (uint32_t)out.n - 1;
    for (uint32_t done = basic; done < l->n; delta++, c++) {
        uint32_t next = next_character(l, c);
        delta += (next - c) * (done + 1);
        c = next;
        for (size_t i = 0; i < l->n; i++) {
            delta += l->c[i] < c;
            if (l->c[i] == c) {
                if (!put_delta(&out, delta, bias)) {
                    return false;
                }
                done++;
                bias = adapt(delta, done, done == basic + 1);
                delta = 0;
            }
        }
    }
    *ret_n = out.n;
    return true;
}

/* --- labels --------------------------------------------------------------------- */

static bool is_ldh(struct alk_span s)
{
    if (s.n == 0 || s.n > SCHEMA_LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) {
            return false;
        }
    }
    return true;
}

/* An A-label must be what its characters are written as, and nothing else. */
static bool is_a_label(struct alk_span s, struct schema_label *ret)
{
    struct alk_span code = alk_span_tail(s, 4);
    uint8_t again[SCHEMA_LABEL_MAX];
    size_t n = 0;

    return alk_span_equal_nocase(alk_span_head(s, 4), ALK_LIT("xn--")) &&
           decode_punycode(code, ret) && is_u_label(ret) &&
           encode_punycode(ret, again, sizeof again, &n) &&
           alk_span_equal_nocase(alk_span(again, n), code);
}

static bool read_ascii(struct alk_span s, struct schema_label *ret)
{
    if (!is_ldh(s)) {
        return false;
    }
    ret->ascii_n = s.n;
    /* [RFC 5890 §2.3.1] two hyphens there promise an A-label */
    if (s.n >= 4 && s.p[2] == '-' && s.p[3] == '-') {
        return is_a_label(s, ret);
    }
    ret->n = s.n;
    for (size_t i = 0; i < s.n; i++) {
        ret->c[i] = s.p[i];
    }
    return true;
}

static bool read_characters(struct alk_span s, struct schema_label *ret)
{
    ret->n = 0;
    while (s.n > 0) {
        size_t n = alk_span_utf8(s);
        if (n == 0 || ret->n == SCHEMA_LABEL_MAX) {
            return false;
        }
        uint32_t c = n == 1 ? s.p[0] : s.p[0] & (0xffU >> (n + 1));
        for (size_t i = 1; i < n; i++) {
            c = c << 6 | (s.p[i] & 0x3fU);
        }
        ret->c[ret->n++] = c;
        s = alk_span_tail(s, n);
    }
    return true;
}

static bool read_u_label(struct alk_span s, struct schema_label *ret)
{
    uint8_t code[SCHEMA_LABEL_MAX];
    size_t n = 0;

    if (!read_characters(s, ret) || !is_u_label(ret) ||
        !encode_punycode(ret, code, sizeof code, &n)) {
        return false;
    }
    ret->ascii_n = 4 + n;
    return ret->ascii_n <= SCHEMA_LABEL_MAX;
}

bool alk_schema_label_read(struct alk_span s, bool is_idn, struct schema_label *ret)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 0x80) {
            return is_idn && read_u_label(s, ret);
        }
    }
    return read_ascii(s, ret);
}

/* --- directions ----------------------------------------------------------------- */

/* Scripts that run from right to left, their marks and digits apart. */
static const uint32_t right_to_left[][2] = {
    {0x0590, 0x08ff}, {0xfb1d, 0xfdff}, {0xfe70, 0xfefe}, {0x10800, 0x10fff}, {0x1e800, 0x1efff},
};

enum direction { LEFT, RIGHT, EUROPEAN, ARABIC, MARK, NEUTRAL };

static enum direction direction_of(uint32_t c)
{
    if ((c >= '0' && c <= '9') || IN(c, extended_digits)) {
        return EUROPEAN;
    }
    if (c == '-' || c == 0x00b7 || c == 0x0375 || c == 0x200c || c == 0x200d || c == 0x30fb) {
        return NEUTRAL;
    }
    if (IN(c, digits)) {
        return ARABIC;
    }
    if (IN(c, marks)) {
        return MARK;
    }
    return IN(c, right_to_left) ? RIGHT : LEFT;
}

bool alk_schema_label_is_rtl(const struct schema_label *l)
{
    for (size_t i = 0; i < l->n; i++) {
        enum direction d = direction_of(l->c[i]);
        if (d == RIGHT || d == ARABIC) {
            return true;
        }
    }
    return false;
}

bool alk_schema_label_fits_bidi(const struct schema_label *l)
{
    enum direction first = direction_of(l->c[0]);
    enum direction last = first;
    bool seen[NEUTRAL + 1] = {false};

    for (size_t i = 0; i < l->n; i++) {
        enum direction d = direction_of(l->c[i]);
        seen[d] = true;
        last = d == MARK ? last : d;
    }
    if (first == RIGHT) {
        return !seen[LEFT] && !(seen[EUROPEAN] && seen[ARABIC]) && last != NEUTRAL;
    }
    return first == LEFT && !seen[RIGHT] && !seen[ARABIC] && last != NEUTRAL;
}
