/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Addresses, URIs and IRIs, URI templates. */
#include "ops/schema_format.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

/* --- addresses ------------------------------------------------------------------ */

bool alk_schema_is_ipv4(struct alk_span s)
{
    for (int i = 0; i < 4; i++) {
        size_t n = alk_span_find(s, '.');
        uint64_t v;
        if ((i < 3) != (n < s.n) || n > 3 || (n > 1 && s.p[0] == '0') ||
            !alk_span_u64(alk_span_head(s, n), 255, &v)) {
            return false;
        }
        s = alk_span_tail(s, n + 1);
    }
    return true;
}

/* [RFC 4291 §2.2] groups of up to four digits, one gap, IPv4 at the end. */
bool alk_schema_is_ipv6(struct alk_span s)
{
    int groups = 0;
    bool has_gap = false;

    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
        has_gap = true;
        s = alk_span_tail(s, 2);
    }
    while (s.n > 0) {
        size_t n = 0;
        while (n < s.n && is_hex(s.p[n])) {
            n++;
        }
        if (n < s.n && s.p[n] == '.') {
            groups += 2;
            return alk_schema_is_ipv4(s) && (has_gap ? groups < 8 : groups == 8);
        }
        if (n == 0 || n > 4 || ++groups > 8) {
            return false;
        }
        s = alk_span_tail(s, n);
        if (s.n == 0) {
            break;
        }
        if (s.p[0] != ':' || s.n == 1) {
            return false;
        }
        s = alk_span_tail(s, 1);
        if (s.p[0] == ':') {
            if (has_gap) {
                return false;
            }
            has_gap = true;
            s = alk_span_tail(s, 1);
        }
    }
    return has_gap ? groups < 8 : groups == 8;
}

/* --- URIs ----------------------------------------------------------------------- */

/* Characters of a component: unreserved, sub-delims, `more`, escapes; for IRIs
 * also what [RFC 3987 §2.2] adds beyond ASCII. */
struct charset {
    const char *more;
    bool is_iri;
    bool is_query; /* private characters too */
};

static uint32_t decode(struct alk_span s, size_t n)
{
    uint32_t v = n == 1 ? s.p[0] : s.p[0] & (0xffU >> (n + 1));

    for (size_t i = 1; i < n; i++) {
        v = v << 6 | (s.p[i] & 0x3fU);
    }
    return v;
}

static bool is_ucschar(uint32_t c, bool is_query)
{
    bool is_private = (c >= 0xe000 && c <= 0xf8ff) || c >= 0xf0000;

    if (is_private) {
        return is_query && (c & 0xfffe) != 0xfffe;
    }
    return (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xf900 && c <= 0xfdcf) ||
           (c >= 0xfdf0 && c <= 0xffef) ||
           (c >= 0x10000 && c < 0xf0000 && (c & 0xfffe) != 0xfffe &&
            !(c >= 0xe0000 && c < 0xe1000));
}

static bool is_component(struct alk_span s, struct charset set)
{
    while (s.n > 0) {
        uint8_t c = s.p[0];
        size_t n = 1;
        if (c == '%') {
            n = 3;
            if (s.n < 3 || !is_hex(s.p[1]) || !is_hex(s.p[2])) {
                return false;
            }
        } else if (c >= 0x80) {
            n = set.is_iri ? alk_span_utf8(s) : 0;
            if (n == 0 || !is_ucschar(decode(s, n), set.is_query)) {
                return false;
            }
        } else if (!is_alpha(c) && !is_digit(c) && !is_one_of(c, "-._~!$&'()*+,;=") &&
                   !is_one_of(c, set.more)) {
            return false;
        }
        s = alk_span_tail(s, n);
    }
    return true;
}

/* [RFC 3986 §3.2.2] what stands between the brackets. */
static bool is_ip_literal(struct alk_span s)
{
    if (s.n > 1 && (s.p[0] | 0x20) == 'v') {
        size_t dot = alk_span_find(s, '.');
        for (size_t i = 1; i < dot && dot < s.n; i++) {
            if (!is_hex(s.p[i])) {
                return false;
            }
        }
        struct alk_span rest = alk_span_tail(s, dot + 1);
        return dot > 1 && rest.n > 0 && alk_span_find(rest, '%') == rest.n &&
               is_component(rest, (struct charset){.more = ":"});
    }
    return alk_schema_is_ipv6(s);
}

static bool is_port(struct alk_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
    }
    return true;
}

static bool is_authority(struct alk_span s, bool is_iri)
{
    size_t at = alk_span_find(s, '@');

    if (at < s.n) {
        if (!is_component(alk_span_head(s, at), (struct charset){.more = ":", .is_iri = is_iri})) {
            return false;
        }
        s = alk_span_tail(s, at + 1);
    }
    if (s.n > 0 && s.p[0] == '[') {
        size_t end = alk_span_find(s, ']');
        if (end == s.n || !is_ip_literal(alk_span(s.p + 1, end - 1))) {
            return false;
        }
        s = alk_span_tail(s, end + 1);
        return s.n == 0 || (s.p[0] == ':' && is_port(alk_span_tail(s, 1)));
    }
    size_t colon = alk_span_find(s, ':');
    return is_component(alk_span_head(s, colon), (struct charset){.more = "", .is_iri = is_iri}) &&
           is_port(alk_span_tail(s, colon + 1));
}

static size_t scheme_len(struct alk_span s)
{
    size_t i = 0;

    if (s.n == 0 || !is_alpha(s.p[0])) {
        return 0;
    }
    while (i < s.n && (is_alpha(s.p[i]) || is_digit(s.p[i]) || is_one_of(s.p[i], "+-."))) {
        i++;
    }
    return i < s.n && s.p[i] == ':' ? i + 1 : 0;
}

/* [RFC 3986 §3], [RFC 3987 §2.2] */
static bool is_reference(struct alk_span s, bool is_iri, bool needs_scheme)
{
    size_t n = scheme_len(s);
    struct charset path = {.more = ":@/", .is_iri = is_iri};
    struct charset query = {.more = ":@/?", .is_iri = is_iri, .is_query = true};
    struct charset fragment = {.more = ":@/?", .is_iri = is_iri};

    if (needs_scheme && n == 0) {
        return false;
    }
    bool is_relative = n == 0;
    s = alk_span_tail(s, n);
    n = alk_span_find(s, '#');
    if (!is_component(alk_span_tail(s, n + 1), fragment)) {
        return false;
    }
    s = alk_span_head(s, n);
    n = alk_span_find(s, '?');
    if (!is_component(alk_span_tail(s, n + 1), query)) {
        return false;
    }
    s = alk_span_head(s, n);
    if (alk_span_starts(s, ALK_LIT("//"))) {
        s = alk_span_tail(s, 2);
        n = alk_span_find(s, '/');
        return is_authority(alk_span_head(s, n), is_iri) && is_component(alk_span_tail(s, n), path);
    }
    /* A colon in the first segment would make a scheme. */
    bool has_colon =
        alk_span_find(alk_span_head(s, alk_span_find(s, '/')), ':') < alk_span_find(s, '/');
    return !(is_relative && has_colon) && is_component(s, path);
}

bool alk_schema_is_uri(struct alk_span s)
{
    return is_reference(s, false, true);
}

bool alk_schema_is_uri_reference(struct alk_span s)
{
    return is_reference(s, false, false);
}

bool alk_schema_is_iri(struct alk_span s)
{
    return is_reference(s, true, true);
}

bool alk_schema_is_iri_reference(struct alk_span s)
{
    return is_reference(s, true, false);
}

/* --- URI templates -------------------------------------------------------------- */

/* [RFC 6570 §2.3] varname with its modifier. */
static bool is_varspec(struct alk_span s)
{
    bool after_dot = true;

    if (s.n > 0 && s.p[s.n - 1] == '*') {
        s.n--;
    }
    size_t colon = alk_span_find(s, ':');
    struct alk_span length = alk_span_tail(s, colon + 1);
    uint64_t n;
    if (colon < s.n &&
        (length.n > 4 || length.n == 0 || length.p[0] == '0' || !alk_span_u64(length, 9999, &n))) {
        return false;
    }
    s = alk_span_head(s, colon);
    while (s.n > 0) {
        bool is_escape = s.p[0] == '%' && s.n >= 3 && is_hex(s.p[1]) && is_hex(s.p[2]);
        bool is_name = is_alpha(s.p[0]) || is_digit(s.p[0]) || s.p[0] == '_';
        if (!is_escape && !is_name && (s.p[0] != '.' || after_dot)) {
            return false;
        }
        after_dot = s.p[0] == '.';
        s = alk_span_tail(s, is_escape ? 3 : 1);
    }
    return !after_dot;
}

/* [RFC 6570 §2.2] what stands between the braces. */
static bool is_expression(struct alk_span s)
{
    if (s.n > 0 && is_one_of(s.p[0], "+#./;?&=,!@|")) {
        s = alk_span_tail(s, 1);
    }
    for (bool is_last = false; !is_last;) {
        size_t n = alk_span_find(s, ',');
        is_last = n == s.n;
        if (!is_varspec(alk_span_head(s, n))) {
            return false;
        }
        s = alk_span_tail(s, n + 1);
    }
    return true;
}

bool alk_schema_is_uri_template(struct alk_span s)
{
    while (s.n > 0) {
        uint8_t c = s.p[0];
        size_t n = 1;
        if (c == '{') {
            n = alk_span_find(s, '}');
            if (n == s.n || !is_expression(alk_span(s.p + 1, n - 1))) {
                return false;
            }
            n++;
        } else if (c == '%') {
            n = 3;
            if (s.n < 3 || !is_hex(s.p[1]) || !is_hex(s.p[2])) {
                return false;
            }
        } else if (c >= 0x80) {
            n = alk_span_utf8(s);
            if (n == 0 || !is_ucschar(decode(s, n), true)) {
                return false;
            }
        } else if (c <= 0x20 || c == 0x7f || is_one_of(c, "\"<>\\^`|}")) {
            return false;
        }
        s = alk_span_tail(s, n);
    }
    return true;
}
