/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/hello.h"

enum {
    EXT_SERVER_NAME = 0,
    EXT_ALPN = 16,
    EXT_VERSIONS = 43,
    TLS13 = 0x0304,
    NAME_HOST = 0,
    RANDOM_LEN = 32,
    SESSION_ID_MAX = 32
};

static bool is_host_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* "192.0.2.1" and everything else that is digits and dots; IPv6 has colons and
 * falls out by its characters. [RFC 6066 §3] literal addresses are not permitted */
static bool is_address(const char *name)
{
    return strspn(name, "0123456789.") == strlen(name);
}

static void set_sni(struct alk_tls_hello *h, struct alk_span name)
{
    if (name.n == 0 || name.n > ALK_SNI_MAX) {
        return;
    }
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
        if (!is_host_char(c)) {
            h->sni[0] = '\0';
            return;
        }
        h->sni[i] = (char)c;
    }
    h->sni[name.n] = '\0';
    if (is_address(h->sni)) {
        h->sni[0] = '\0';
    }
}

static alk_err parse_server_name(struct alk_span ext, struct alk_tls_hello *h)
{
    struct alk_rd r = alk_rd(ext);
    struct alk_rd list = alk_rd(alk_rd_block16(&r, UINT16_MAX));
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || alk_rd_left(&list) == 0) {
        return ALK_E_MALFORMED;
    }
    while (alk_rd_left(&list) > 0) {
        uint8_t type = alk_rd_u8(&list);
        struct alk_span name = alk_rd_block16(&list, UINT16_MAX);
        if (list.err != ALK_OK) {
            return ALK_E_MALFORMED;
        }
        if (type == NAME_HOST && h->sni[0] == '\0') {
            set_sni(h, name);
        }
    }
    return ALK_OK;
}

static alk_err parse_alpn(struct alk_span ext, struct alk_tls_hello *h)
{
    struct alk_rd r = alk_rd(ext);
    struct alk_span list = alk_rd_block16(&r, UINT16_MAX);
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || list.n == 0) {
        return ALK_E_MALFORMED;
    }
    struct alk_rd names = alk_rd(list);
    while (alk_rd_left(&names) > 0) {
        struct alk_span name = alk_rd_block8(&names);
        if (names.err != ALK_OK || name.n == 0) {
            return ALK_E_MALFORMED; /* [RFC 7301 §3.1] empty strings must not be included */
        }
    }
    h->has_alpn = true;
    h->alpns = list;
    return ALK_OK;
}

static alk_err parse_versions(struct alk_span ext, struct alk_tls_hello *h)
{
    struct alk_rd r = alk_rd(ext);
    struct alk_rd list = alk_rd(alk_rd_block8(&r));
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || alk_rd_left(&list) == 0 ||
        alk_rd_left(&list) % 2 != 0) {
        return ALK_E_MALFORMED;
    }
    while (alk_rd_left(&list) > 0) {
        h->has_tls13 = alk_rd_u16(&list) == TLS13 || h->has_tls13;
    }
    return ALK_OK;
}

static alk_err parse_one(uint16_t type, struct alk_span ext, struct alk_tls_hello *h)
{
    if (type == EXT_SERVER_NAME) {
        return parse_server_name(ext, h);
    }
    if (type == EXT_ALPN) {
        return parse_alpn(ext, h);
    }
    return type == EXT_VERSIONS ? parse_versions(ext, h) : ALK_OK;
}

static unsigned bit_of(uint16_t type)
{
    switch (type) {
    case EXT_SERVER_NAME:
        return 1;
    case EXT_ALPN:
        return 2;
    case EXT_VERSIONS:
        return 4;
    default:
        return 0;
    }
}

static alk_err parse_extensions(struct alk_span exts, struct alk_tls_hello *h)
{
    struct alk_rd r = alk_rd(exts);
    unsigned seen = 0;
    while (alk_rd_left(&r) > 0) {
        uint16_t type = alk_rd_u16(&r);
        struct alk_span ext = alk_rd_block16(&r, UINT16_MAX);
        if (r.err != ALK_OK) {
            return ALK_E_MALFORMED;
        }
        /* [RFC 8446 §4.2] not more than one extension of the same type */
        if ((seen & bit_of(type)) != 0) {
            return ALK_E_MALFORMED;
        }
        seen |= bit_of(type);
        ALK_TRY(parse_one(type, ext, h));
    }
    return ALK_OK;
}

alk_err alk_tls_hello_parse(struct alk_span body, struct alk_tls_hello *ret)
{
    struct alk_tls_hello h = {.has_alpn = false};
    struct alk_rd r = alk_rd(body);
    (void)alk_rd_u16(&r); /* legacy_version */
    (void)alk_rd_take(&r, RANDOM_LEN);
    struct alk_span session_id = alk_rd_block8(&r);
    struct alk_span suites = alk_rd_block16(&r, UINT16_MAX);
    struct alk_span compressions = alk_rd_block8(&r);
    if (r.err != ALK_OK || session_id.n > SESSION_ID_MAX || suites.n == 0 || compressions.n == 0) {
        return ALK_E_MALFORMED;
    }
    if (alk_rd_left(&r) > 0) { /* before TLS 1.3 extensions may be absent */
        struct alk_span exts = alk_rd_block16(&r, UINT16_MAX);
        if (r.err != ALK_OK || alk_rd_left(&r) != 0) {
            return ALK_E_MALFORMED;
        }
        ALK_TRY(parse_extensions(exts, &h));
    }
    *ret = h;
    return ALK_OK;
}

bool alk_tls_hello_next(struct alk_rd *at, struct alk_span *ret_name)
{
    if (alk_rd_left(at) == 0) {
        return false;
    }
    struct alk_span name = alk_rd_block8(at);
    if (at->err != ALK_OK) {
        return false;
    }
    *ret_name = name;
    return true;
}

bool alk_tls_name_matches(const char *pattern, const char *name)
{
    struct alk_span p = alk_span_str(pattern);
    struct alk_span n = alk_span_str(name);
    if (p.n > 2 && p.p[0] == '*' && p.p[1] == '.') {
        /* [RFC 6125 §6.4.3] the asterisk is one label, the leftmost */
        (void)alk_span_cut(&n, '.');
        p = alk_span_tail(p, 2);
    }
    return n.n > 0 && alk_span_equal_nocase(p, n);
}
