/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/audit.h"

#include "base/text.h"

/* Bytes of a peer's value that are shown. */
enum { FAILURE_VALUE_MAX = 48, AUDIT_VALUE_MAX = 256 };

/* A date without its zero. */
enum { DATE_LEN = ALK_DATE_SIZE - 1 };

const char *alk_auth_reason(alk_err err)
{
    static const struct {
        alk_err err;
        const char *word;
    } words[] = {
        {ALK_E_AUTH, "unknown"},        {ALK_E_EXPIRED, "expired"},
        {ALK_E_REVOKED, "revoked"},     {ALK_E_UNAVAILABLE, "unavailable"},
        {ALK_E_LIMIT, "limit"},         {ALK_E_FORBIDDEN, "forbidden"},
        {ALK_E_MALFORMED, "malformed"},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].err == err) {
            return words[i].word;
        }
    }
    return "error";
}

/* The host of "192.0.2.1:443" or "[fe80::1%2]:443", without port, brackets and
 * zone: what a firewall rule can be made of. */
static struct alk_span host_of(const char *remote)
{
    struct alk_span s = alk_span_str(remote);
    if (s.n > 0 && s.p[0] == '[') {
        s = alk_span(s.p + 1, s.n - 1);
        s = alk_span_head(s, alk_span_find(s, ']'));
        return alk_span_head(s, alk_span_find(s, '%'));
    }
    return alk_span_head(s, alk_span_find(s, ':'));
}

static bool is_plain(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '=' && c != '"' && c != '\\';
}

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Copies eight bytes and says whether all are plain; false also of some that are. */
static bool copy_plain(uint8_t *to, const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    memcpy(to, &v, sizeof(v));
    /* Bit 7: not ASCII; below '!'; DEL; one of the three. */
    uint64_t odd = v | (v - ONES * '!') | (v + ONES) | ((v ^ ONES * '=') - ONES) |
                   ((v ^ ONES * '"') - ONES) | ((v ^ ONES * '\\') - ONES);
    return (odd & HIGHS) == 0;
}

/* The writers of text below take where to write, and return where it went on. Whoever
 * calls them has reserved room for the longest line. */

static inline uint8_t *put(uint8_t *to, struct alk_span s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

static uint8_t *put_byte(uint8_t *to, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    if (is_plain(c)) {
        *to = c;
        return to + 1;
    }
    const char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
    memcpy(to, escape, sizeof(escape));
    return to + sizeof(escape);
}

/* Bytes that a value of at most max bytes may become. */
#define VALUE_ROOM(max) (4 * (max) + 3)

/* A value as the line holds it; nothing in it can end it. */
static uint8_t *put_value(uint8_t *to, struct alk_span s, size_t max)
{
    size_t n = s.n < max ? s.n : max;
    size_t i = 0;

    if (n == 0) {
        *to = '-';
        return to + 1;
    }
    while (n - i >= 8 && copy_plain(to + i, s.p + i)) {
        i += 8;
    }
    /* The rest of a word lies in the last eight bytes. */
    if (i < n && n - i < 8 && n >= 8 && copy_plain(to + n - 8, s.p + n - 8)) {
        i = n;
    }
    to += i;
    for (; i < n; i++) {
        to = put_byte(to, s.p[i]);
    }
    return s.n > max ? put(to, ALK_LIT("...")) : to;
}

/* label: " name=". */
static inline uint8_t *put_field(uint8_t *to, struct alk_span label, struct alk_span value,
                                 size_t max)
{
    return put_value(put(to, label), value, max);
}

/* Fields of the failure line, and room for all else that is in it. */
enum { FAILURE_FIELDS = 4, FAILURE_REST = 64 };

alk_err alk_auth_failure_line(struct alk_buf *b, const struct alk_auth_failure *failure)
{
    _Static_assert(FAILURE_FIELDS * VALUE_ROOM(FAILURE_VALUE_MAX) + FAILURE_REST <=
                       ALK_AUTH_FAILURE_LINE_MAX,
                   "room for the longest");
    uint8_t *start = alk_buf_reserve(b, ALK_AUTH_FAILURE_LINE_MAX);
    if (start == NULL) {
        return b->err;
    }
    uint8_t *to = put(start, ALK_LIT("alknet: auth failure"));
    to = put_field(to, ALK_LIT(" addr="), host_of(failure->remote), FAILURE_VALUE_MAX);
    to = put_field(to, ALK_LIT(" alpn="), failure->alpn, FAILURE_VALUE_MAX);
    to = put_field(to, ALK_LIT(" method="), failure->method, FAILURE_VALUE_MAX);
    to = put_field(to, ALK_LIT(" reason="), failure->reason, FAILURE_VALUE_MAX);
    alk_buf_added(b, (size_t)(to - start));
    return ALK_OK;
}

/* Fields of the audit line, and room for all else that is in it. */
enum { AUDIT_FIELDS = 9, AUDIT_REST = 128 };
#define AUDIT_ROOM (AUDIT_FIELDS * VALUE_ROOM(AUDIT_VALUE_MAX) + AUDIT_REST)
_Static_assert(AUDIT_ROOM <= ALK_AUDIT_LINE_MAX, "room for the longest");

static inline uint8_t *put_needed(uint8_t *to, struct alk_span label, struct alk_span value)
{
    return put_field(to, label, value, AUDIT_VALUE_MAX);
}

/* Left out when it is absent. */
static inline uint8_t *put_optional(uint8_t *to, struct alk_span label, struct alk_span value)
{
    return value.n == 0 ? to : put_field(to, label, value, AUDIT_VALUE_MAX);
}

static void put_text(struct alk_buf *b, const char *date, const struct alk_audit_record *r)
{
    uint8_t *start = alk_buf_reserve(b, AUDIT_ROOM);
    if (start == NULL) {
        return;
    }
    uint8_t *to = put(start, alk_span(date, DATE_LEN));
    to = put(to, ALK_LIT(" audit"));
    to = put_needed(to, ALK_LIT(" who="), r->who);
    to = put_optional(to, ALK_LIT(" authority="), r->authority);
    to = put_needed(to, ALK_LIT(" what="), r->what);
    to = put_optional(to, ALK_LIT(" target="), r->target);
    to = put_needed(to, ALK_LIT(" from="), alk_span_str(r->remote));
    to = put_optional(to, ALK_LIT(" alpn="), r->alpn);
    to = put_optional(to, ALK_LIT(" request="), r->request_id);
    to = put_optional(to, ALK_LIT(" trace="), r->trace);
    to = put_optional(to, ALK_LIT(" reason="), r->reason);
    to = r->is_allowed ? put(to, ALK_LIT(" allowed=yes")) : put(to, ALK_LIT(" allowed=no"));
    alk_buf_added(b, (size_t)(to - start));
}

/* label: `,"name":`. */
static void json_needed(struct alk_buf *b, struct alk_span label, struct alk_span value)
{
    (void)alk_buf_put(b, label);
    if (value.n > 0) {
        (void)alk_buf_put_json(b, alk_span_head(value, AUDIT_VALUE_MAX));
    } else {
        (void)alk_buf_put(b, ALK_LIT("null"));
    }
}

static void json_optional(struct alk_buf *b, struct alk_span label, struct alk_span value)
{
    if (value.n > 0) {
        json_needed(b, label, value);
    }
}

static void put_json(struct alk_buf *b, const char *date, const struct alk_audit_record *r)
{
    (void)alk_buf_put(b, ALK_LIT("{\"time\":\""));
    (void)alk_buf_put(b, alk_span(date, DATE_LEN));
    (void)alk_buf_put(b, ALK_LIT("\""));
    json_needed(b, ALK_LIT(",\"who\":"), r->who);
    json_optional(b, ALK_LIT(",\"authority\":"), r->authority);
    json_needed(b, ALK_LIT(",\"what\":"), r->what);
    json_optional(b, ALK_LIT(",\"target\":"), r->target);
    json_needed(b, ALK_LIT(",\"from\":"), alk_span_str(r->remote));
    json_optional(b, ALK_LIT(",\"alpn\":"), r->alpn);
    json_optional(b, ALK_LIT(",\"request\":"), r->request_id);
    json_optional(b, ALK_LIT(",\"trace\":"), r->trace);
    json_optional(b, ALK_LIT(",\"reason\":"), r->reason);
    (void)alk_buf_put(b, r->is_allowed ? ALK_LIT(",\"allowed\":true}")
                                       : ALK_LIT(",\"allowed\":false}"));
}

alk_err alk_audit_line(struct alk_buf *b, enum alk_audit_format format,
                       const char date[static ALK_DATE_SIZE], const struct alk_audit_record *record)
{
    switch (format) {
    case ALK_AUDIT_TEXT:
        put_text(b, date, record);
        break;
    case ALK_AUDIT_JSON:
        put_json(b, date, record);
        break;
    }
    return b->err;
}

void alk_audit_date_set(struct alk_audit_date *date, uint64_t unix_ms)
{
    static const uint64_t max = ALK_DATE_MAX * (uint64_t)1000 + 999;
    uint64_t at = unix_ms < max ? unix_ms : max; /* as it is shown */

    if (at == date->unix_ms && date->text[0] != '\0') {
        return;
    }
    if (date->text[0] == '\0' || at / 1000 != date->unix_ms / 1000) {
        alk_date_format_ms(at, date->text);
    } else {
        char *digits = date->text + DATE_LEN - 4; /* "000Z" */
        digits[0] = (char)('0' + at / 100 % 10);
        digits[1] = (char)('0' + at / 10 % 10);
        digits[2] = (char)('0' + at % 10);
    }
    date->unix_ms = at;
}
