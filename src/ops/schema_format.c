/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Dates and times, mail addresses, UUIDs, JSON Pointers, and the table of all
 * formats. */
#include "ops/schema_format.h"

#include "ops/schema_impl.h"
#include "ops/schema_pattern.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* --- dates and times ------------------------------------------------------------ */

/* Cuts n digits off the front. */
static bool digits(struct alk_span *s, size_t n, unsigned *ret)
{
    unsigned v = 0;

    if (s->n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s->p[i])) {
            return false;
        }
        v = v * 10 + (unsigned)(s->p[i] - '0');
    }
    *s = alk_span_tail(*s, n);
    *ret = v;
    return true;
}

static bool cut(struct alk_span *s, char c)
{
    if (s->n == 0 || s->p[0] != (uint8_t)c) {
        return false;
    }
    *s = alk_span_tail(*s, 1);
    return true;
}

static bool cut_date(struct alk_span *s)
{
    static const uint8_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;

    if (!digits(s, 4, &year) || !cut(s, '-') || !digits(s, 2, &month) || !cut(s, '-') ||
        !digits(s, 2, &day) || month < 1 || month > 12 || day < 1 || day > lengths[month - 1]) {
        return false;
    }
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month != 2 || day < 29 || is_leap;
}

/* [RFC 3339 §5.6] a leap second is one at the end of a day in UTC. */
static bool cut_time(struct alk_span *s)
{
    unsigned hour, minute, second, off_hour = 0, off_minute = 0;

    if (!digits(s, 2, &hour) || !cut(s, ':') || !digits(s, 2, &minute) || !cut(s, ':') ||
        !digits(s, 2, &second) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    if (cut(s, '.')) {
        size_t n = 0;
        while (n < s->n && is_digit(s->p[n])) {
            n++;
        }
        *s = alk_span_tail(*s, n);
        if (n == 0) {
            return false;
        }
    }
    bool is_west = s->n > 0 && s->p[0] == '-';
    if (cut(s, '+') || cut(s, '-')) {
        if (!digits(s, 2, &off_hour) || !cut(s, ':') || !digits(s, 2, &off_minute) ||
            off_hour > 23 || off_minute > 59) {
            return false;
        }
    } else if (!cut(s, 'Z') && !cut(s, 'z')) {
        return false;
    }
    unsigned off = off_hour * 60 + off_minute;
    unsigned utc = (hour * 60 + minute + (is_west ? off : 24 * 60 - off)) % (24 * 60);
    return second < 60 || utc == 23 * 60 + 59;
}

static bool is_date(struct alk_span s)
{
    return cut_date(&s) && s.n == 0;
}

static bool is_time(struct alk_span s)
{
    return cut_time(&s) && s.n == 0;
}

static bool is_date_time(struct alk_span s)
{
    return cut_date(&s) && (cut(&s, 'T') || cut(&s, 't')) && cut_time(&s) && s.n == 0;
}

/* Components in the order of `units`, without gaps: 1Y2D lacks its months. Returns
 * how many there are, or -1. */
static int cut_components(struct alk_span *s, const char *units)
{
    int count = 0;
    const char *next = NULL;

    while (s->n > 0 && is_digit(s->p[0])) {
        size_t n = 0;
        while (n < s->n && is_digit(s->p[n])) {
            n++;
        }
        const char *unit = n < s->n && s->p[n] != 0 ? strchr(units, s->p[n]) : NULL;
        if (unit == NULL || (next != NULL && unit != next)) {
            return -1;
        }
        next = unit + 1;
        *s = alk_span_tail(*s, n + 1);
        count++;
    }
    return count;
}

/* [RFC 3339 §A] */
static bool is_duration(struct alk_span s)
{
    struct alk_span weeks = s;

    if (!cut(&s, 'P')) {
        return false;
    }
    weeks = s;
    if (cut_components(&weeks, "W") == 1 && weeks.n == 0) {
        return true;
    }
    int days = cut_components(&s, "YMD");
    if (days < 0 || s.n == 0) {
        return days > 0;
    }
    return cut(&s, 'T') && cut_components(&s, "HMS") > 0 && s.n == 0;
}

/* --- mail ----------------------------------------------------------------------- */

/* [RFC 5321 §4.1.2] Quoted-string; returns its length, 0 when it is none. */
static size_t quoted_len(struct alk_span s, bool is_idn)
{
    size_t i = 1;

    if (s.n == 0 || s.p[0] != '"') {
        return 0;
    }
    while (i < s.n && s.p[i] != '"') {
        if (s.p[i] == '\\') {
            i++;
        }
        if (i == s.n || s.p[i] < 0x20 || s.p[i] == 0x7f || (s.p[i] > 0x7f && !is_idn)) {
            return 0;
        }
        i++;
    }
    return i < s.n ? i + 1 : 0;
}

/* Dot-string: atoms with dots between them. */
static size_t dotted_len(struct alk_span s, bool is_idn)
{
    size_t i = 0;
    bool after_dot = true;

    for (; i < s.n && s.p[i] != '@'; i++) {
        uint8_t c = s.p[i];
        bool is_atom = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c > 0x7f && is_idn) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
        if (!is_atom && (c != '.' || after_dot)) {
            return 0;
        }
        after_dot = c == '.';
    }
    return after_dot ? 0 : i;
}

static bool is_domain(struct alk_span s, bool is_idn)
{
    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
        struct alk_span inner = alk_span(s.p + 1, s.n - 2);
        if (alk_span_starts(inner, ALK_LIT("IPv6:"))) {
            return alk_schema_is_ipv6(alk_span_tail(inner, 5));
        }
        return alk_schema_is_ipv4(inner);
    }
    return is_idn ? alk_schema_is_idn_hostname(s) : alk_schema_is_hostname(s);
}

static bool is_mail(struct alk_span s, bool is_idn)
{
    size_t n = quoted_len(s, is_idn);

    n = n == 0 ? dotted_len(s, is_idn) : n;
    /* [RFC 5321 §4.5.3.1.1] 64 octets */
    return n > 0 && n <= 64 && n < s.n && s.p[n] == '@' &&
           is_domain(alk_span_tail(s, n + 1), is_idn);
}

static bool is_email(struct alk_span s)
{
    return is_mail(s, false);
}

static bool is_idn_email(struct alk_span s)
{
    return is_mail(s, true);
}

/* --- others --------------------------------------------------------------------- */

static bool is_uuid(struct alk_span s)
{
    if (s.n != 36) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool is_hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        bool is_hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (is_hyphen ? c != '-' : !is_hex) {
            return false;
        }
    }
    return true;
}

/* [RFC 6901 §3] */
static bool is_pointer(struct alk_span s)
{
    if (s.n > 0 && s.p[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '~' && (i + 1 == s.n || (s.p[i + 1] != '0' && s.p[i + 1] != '1'))) {
            return false;
        }
    }
    return true;
}

static bool is_relative_pointer(struct alk_span s)
{
    size_t n = 0;

    while (n < s.n && is_digit(s.p[n])) {
        n++;
    }
    if (n == 0 || (n > 1 && s.p[0] == '0')) {
        return false;
    }
    s = alk_span_tail(s, n);
    return alk_span_is(s, "#") || is_pointer(s);
}

bool alk_schema_is_regex(struct alk_span s)
{
    const char *what = NULL;
    uint32_t repeat = 0;

    return s.n <= SCHEMA_PATTERN_MAX && alk_schema_pattern_put(s, NULL, &repeat, &what) == ALK_OK;
}

/* Host names compare each character with tables. */
static const struct schema_format formats[] = {
    {"date-time", "a date and time with its zone, as 2024-05-31T12:00:00Z", is_date_time, 1},
    {"date", "a date, as 2024-05-31", is_date, 1},
    {"time", "a time with its zone, as 12:00:00Z", is_time, 1},
    {"duration", "a duration, as P1DT12H", is_duration, 1},
    {"email", "a mail address", is_email, 32},
    {"idn-email", "a mail address", is_idn_email, 32},
    {"hostname", "a host name", alk_schema_is_hostname, 32},
    {"idn-hostname", "a host name", alk_schema_is_idn_hostname, 32},
    {"ipv4", "an IPv4 address", alk_schema_is_ipv4, 1},
    {"ipv6", "an IPv6 address", alk_schema_is_ipv6, 1},
    {"uri", "a URI", alk_schema_is_uri, 1},
    {"uri-reference", "a URI or a relative reference", alk_schema_is_uri_reference, 1},
    {"iri", "an IRI", alk_schema_is_iri, 1},
    {"iri-reference", "an IRI or a relative reference", alk_schema_is_iri_reference, 1},
    {"uri-template", "a URI template", alk_schema_is_uri_template, 1},
    {"uuid", "a UUID", is_uuid, 1},
    {"json-pointer", "a JSON Pointer", is_pointer, 1},
    {"relative-json-pointer", "a relative JSON Pointer", is_relative_pointer, 1},
    {"regex", "a regular expression", alk_schema_is_regex, 4},
};

const struct schema_format *alk_schema_format_find(struct alk_span name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (alk_span_is(name, formats[i].name)) {
            return &formats[i];
        }
    }
    return NULL;
}
