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

/* HIGHS in it: of eight bytes not all are plain, or there is a '!'. */
static inline uint64_t odd_of(uint64_t v)
{
    /* Bit 7: below '#' or far beyond ASCII; DEL and beyond; one of the two. */
    return (v - ONES * '#') | (v + ONES) | ((v ^ ONES * '=') - ONES) | ((v ^ ONES * '\\') - ONES);
}

static inline uint64_t copy_word(uint8_t *to, const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    memcpy(to, &v, sizeof(v));
    return odd_of(v);
}

/* Copies n bytes. False: not all of them are plain, or it does not know; what it has
 * written means nothing then. */
static inline bool copy_plain(uint8_t *to, const uint8_t *p, size_t n)
{
    if (n >= 8) {
        /* Both ends, which may overlap, and what is between them. */
        uint64_t odd = copy_word(to, p) | copy_word(to + n - 8, p + n - 8);
        for (size_t i = 8; i + 8 < n; i += 8) {
            odd |= copy_word(to + i, p + i);
        }
        return (odd & HIGHS) == 0;
    }
    if (n >= 4) {
        uint32_t front;
        uint32_t back;
        memcpy(&front, p, 4);
        memcpy(&back, p + n - 4, 4);
        memcpy(to, &front, 4);
        memcpy(to + n - 4, &back, 4);
        return (odd_of(front | (uint64_t)back << 32) & HIGHS) == 0;
    }
    return false;
}

/* Writes n bytes, those that are not plain as \xNN, and returns where it went on. Apart,
 * for it is rare. */
static __attribute__((noinline)) uint8_t *put_bytes(uint8_t *to, const uint8_t *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        if (is_plain(p[i])) {
            *to++ = p[i];
        } else {
            const char escape[4] = {'\\', 'x', hex[p[i] >> 4], hex[p[i] & 15]};
            memcpy(to, escape, sizeof(escape));
            to += sizeof(escape);
        }
    }
    return to;
}

/* A value as the line holds it; nothing in it can end it. */
static inline uint8_t *put_value(uint8_t *to, struct alk_span s, size_t max)
{
    size_t n = s.n < max ? s.n : max;

    if (n == 0) {
        *to = '-';
        return to + 1;
    }
    to = copy_plain(to, s.p, n) ? to + n : put_bytes(to, s.p, n);
    if (s.n > max) {
        memcpy(to, "...", 3);
        to += 3;
    }
    return to;
}

enum { LABEL_MAX = 12 };

struct field {
    char label[LABEL_MAX]; /* " name=" */
    uint8_t label_n;
    bool is_optional; /* left out when it is absent */
};
#define FIELD(label, is_optional)                                                                  \
    {                                                                                              \
        label, sizeof(label) - 1, is_optional                                                      \
    }

/* Bytes that `count` fields with values cut at max bytes take at most. */
#define FIELDS_ROOM(count, max) ((count) * (LABEL_MAX + 4 * (max) + 3))

/* Where there is FIELDS_ROOM; returns where it went on. */
static inline uint8_t *put_fields(uint8_t *to, const struct field *fields,
                                  const struct alk_span *values, size_t count, size_t max)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i].n > 0 || !fields[i].is_optional) {
            memcpy(to, fields[i].label, LABEL_MAX); /* all, for that is two moves */
            to = put_value(to + fields[i].label_n, values[i], max);
        }
    }
    return to;
}

static inline uint8_t *put(uint8_t *to, struct alk_span s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

/* What is in a line apart from its fields. */
enum { REST_ROOM = 64 };

enum { FAILURE_FIELDS = 4 };
#define FAILURE_ROOM (FIELDS_ROOM(FAILURE_FIELDS, FAILURE_VALUE_MAX) + REST_ROOM)

alk_err alk_auth_failure_line(struct alk_buf *b, const struct alk_auth_failure *failure)
{
    static const struct field fields[FAILURE_FIELDS] = {
        FIELD(" addr=", false), FIELD(" alpn=", false), FIELD(" method=", false),
        FIELD(" reason=", false)};
    const struct alk_span values[FAILURE_FIELDS] = {host_of(failure->remote), failure->alpn,
                                                    failure->method, failure->reason};
    uint8_t *start = alk_buf_reserve(b, FAILURE_ROOM);
    if (start == NULL) {
        return b->err;
    }
    uint8_t *to = put(start, ALK_LIT("alknet: auth failure"));
    to = put_fields(to, fields, values, FAILURE_FIELDS, FAILURE_VALUE_MAX);
    alk_buf_added(b, (size_t)(to - start));
    return ALK_OK;
}

enum { AUDIT_FIELDS = 9 };
#define AUDIT_ROOM (FIELDS_ROOM(AUDIT_FIELDS, AUDIT_VALUE_MAX) + REST_ROOM)
_Static_assert(FAILURE_ROOM <= ALK_AUDIT_LINE_MAX && AUDIT_ROOM <= ALK_AUDIT_LINE_MAX,
               "as the header promises");

static const struct field audit_fields[AUDIT_FIELDS] = {
    FIELD(" who=", false),    FIELD(" authority=", true), FIELD(" what=", false),
    FIELD(" target=", true),  FIELD(" from=", false),     FIELD(" alpn=", true),
    FIELD(" request=", true), FIELD(" trace=", true),     FIELD(" reason=", true),
};

static void put_text(struct alk_buf *b, const char *date, const struct alk_span *values,
                     bool is_allowed)
{
    uint8_t *start = alk_buf_reserve(b, AUDIT_ROOM);
    if (start == NULL) {
        return;
    }
    uint8_t *to = put(start, alk_span(date, DATE_LEN));
    to = put(to, ALK_LIT(" audit"));
    to = put_fields(to, audit_fields, values, AUDIT_FIELDS, AUDIT_VALUE_MAX);
    to = is_allowed ? put(to, ALK_LIT(" allowed=yes")) : put(to, ALK_LIT(" allowed=no"));
    alk_buf_added(b, (size_t)(to - start));
}

static void put_json(struct alk_buf *b, const char *date, const struct alk_span *values,
                     bool is_allowed)
{
    (void)alk_buf_put(b, ALK_LIT("{\"time\":\""));
    (void)alk_buf_put(b, alk_span(date, DATE_LEN));
    (void)alk_buf_put(b, ALK_LIT("\""));
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        const struct field *f = &audit_fields[i];
        if (values[i].n == 0 && f->is_optional) {
            continue;
        }
        (void)alk_buf_put(b, ALK_LIT(",\""));
        (void)alk_buf_put(b, alk_span(f->label + 1, (size_t)f->label_n - 2));
        (void)alk_buf_put(b, ALK_LIT("\":"));
        if (values[i].n > 0) {
            (void)alk_buf_put_json(b, alk_span_head(values[i], AUDIT_VALUE_MAX));
        } else {
            (void)alk_buf_put(b, ALK_LIT("null"));
        }
    }
    (void)alk_buf_put(b,
                      is_allowed ? ALK_LIT(",\"allowed\":true}") : ALK_LIT(",\"allowed\":false}"));
}

alk_err alk_audit_line(struct alk_buf *b, enum alk_audit_format format,
                       const char date[static ALK_DATE_SIZE], const struct alk_audit_record *record)
{
    const struct alk_span values[AUDIT_FIELDS] = {
        record->who,
        record->authority,
        record->what,
        record->target,
        alk_span_str(record->remote),
        record->alpn,
        record->request_id,
        record->trace,
        record->reason,
    };
    switch (format) {
    case ALK_AUDIT_TEXT:
        put_text(b, date, values, record->is_allowed);
        break;
    case ALK_AUDIT_JSON:
        put_json(b, date, values, record->is_allowed);
        break;
    }
    return b->err;
}

void alk_audit_date_renew(struct alk_audit_date *date, uint64_t unix_ms)
{
    static const uint64_t max = ALK_DATE_MAX * (uint64_t)1000 + 999;
    uint64_t at = unix_ms < max ? unix_ms : max; /* as it is shown */

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
