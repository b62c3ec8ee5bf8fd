/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/audit.h"

#include "base/text.h"
#include "core/auth/date.h"

/* Bytes of a peer's value that are shown. */
enum { FAILURE_VALUE_MAX = 48, AUDIT_VALUE_MAX = 256 };

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

/* Whether eight bytes are all plain; false also of some that are. */
static bool are_plain(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    /* Bit 7: not ASCII; below '!'; DEL; one of the three. */
    uint64_t odd = v | (v - ONES * '!') | (v + ONES) | ((v ^ ONES * '=') - ONES) |
                   ((v ^ ONES * '"') - ONES) | ((v ^ ONES * '\\') - ONES);
    return (odd & HIGHS) == 0;
}

/* How many of the first n bytes mean themselves. */
static size_t plain_run(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (n - i >= 8 && are_plain(p + i)) {
        i += 8;
    }
    if (n - i < 8 && n >= 8 && are_plain(p + n - 8)) {
        return n;
    }
    while (i < n && is_plain(p[i])) {
        i++;
    }
    return i;
}

/* A value as the line holds it; nothing in it can end it. */
static void put_value(struct alk_buf *b, struct alk_span s, size_t max)
{
    if (s.n == 0) {
        (void)alk_buf_put_u8(b, '-');
        return;
    }
    size_t n = s.n < max ? s.n : max;
    for (size_t i = 0; i < n; i++) {
        size_t run = plain_run(s.p + i, n - i);
        (void)alk_buf_put(b, alk_span(s.p + i, run));
        i += run;
        if (i < n) {
            (void)alk_buf_printf(b, "\\x%02x", s.p[i]);
        }
    }
    if (s.n > max) {
        (void)alk_buf_put_str(b, "...");
    }
}

/* label: " name=". */
static void put_field(struct alk_buf *b, struct alk_span label, struct alk_span value, size_t max)
{
    (void)alk_buf_put(b, label);
    put_value(b, value, max);
}

/* The one error of a sequence of appends. */
static alk_err result(const struct alk_buf *b)
{
    return b->err;
}

alk_err alk_auth_failure_line(struct alk_buf *b, const struct alk_auth_failure *failure)
{
    (void)alk_buf_put_str(b, "alknet: auth failure");
    put_field(b, ALK_LIT(" addr="), host_of(failure->remote), FAILURE_VALUE_MAX);
    put_field(b, ALK_LIT(" alpn="), failure->alpn, FAILURE_VALUE_MAX);
    put_field(b, ALK_LIT(" method="), failure->method, FAILURE_VALUE_MAX);
    put_field(b, ALK_LIT(" reason="), failure->reason, FAILURE_VALUE_MAX);
    return result(b);
}

struct field {
    struct alk_span label; /* " name=" */
    struct alk_span value;
    bool is_optional; /* left out when absent */
};

enum { FIELDS = 9 };

static void list_fields(const struct alk_audit_record *r, struct field ret[static FIELDS])
{
    const struct field fields[FIELDS] = {
        {ALK_LIT(" who="), r->who, false},
        {ALK_LIT(" authority="), r->authority, true},
        {ALK_LIT(" what="), r->what, false},
        {ALK_LIT(" target="), r->target, true},
        {ALK_LIT(" from="), alk_span_str(r->remote), false},
        {ALK_LIT(" alpn="), r->alpn, true},
        {ALK_LIT(" request="), r->request_id, true},
        {ALK_LIT(" trace="), r->trace, true},
        {ALK_LIT(" reason="), r->reason, true},
    };
    memcpy(ret, fields, sizeof(fields));
}

static void put_text(struct alk_buf *b, const char *date, const struct field *fields,
                     bool is_allowed)
{
    (void)alk_buf_put_str(b, date);
    (void)alk_buf_put_str(b, " audit");
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].value.n > 0 || !fields[i].is_optional) {
            put_field(b, fields[i].label, fields[i].value, AUDIT_VALUE_MAX);
        }
    }
    (void)alk_buf_put_str(b, is_allowed ? " allowed=yes" : " allowed=no");
}

static void put_json(struct alk_buf *b, const char *date, const struct field *fields,
                     bool is_allowed)
{
    (void)alk_buf_printf(b, "{\"time\":\"%s\"", date);
    for (size_t i = 0; i < FIELDS; i++) {
        struct alk_span name = alk_span(fields[i].label.p + 1, fields[i].label.n - 2);
        if (fields[i].value.n == 0 && fields[i].is_optional) {
            continue;
        }
        (void)alk_buf_put(b, ALK_LIT(",\""));
        (void)alk_buf_put(b, name);
        (void)alk_buf_put(b, ALK_LIT("\":"));
        if (fields[i].value.n > 0) {
            (void)alk_buf_put_json(b, alk_span_head(fields[i].value, AUDIT_VALUE_MAX));
        } else {
            (void)alk_buf_put(b, ALK_LIT("null"));
        }
    }
    (void)alk_buf_printf(b, ",\"allowed\":%s}", is_allowed ? "true" : "false");
}

alk_err alk_audit_line(struct alk_buf *b, enum alk_audit_format format,
                       const struct alk_audit_record *record)
{
    char date[ALK_DATE_SIZE];
    struct field fields[FIELDS];
    if (record->date != NULL) {
        memcpy(date, record->date, sizeof(date));
    } else {
        alk_date_format_ms(record->unix_ms, date);
    }
    list_fields(record, fields);
    switch (format) {
    case ALK_AUDIT_TEXT:
        put_text(b, date, fields, record->is_allowed);
        break;
    case ALK_AUDIT_JSON:
        put_json(b, date, fields, record->is_allowed);
        break;
    }
    return result(b);
}
