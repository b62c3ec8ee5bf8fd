/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/addr.h"

static alk_err parse_v4(struct alk_span text, uint8_t ip[static 4])
{
    for (size_t i = 0; i < 4; i++) {
        struct alk_span part = i < 3 ? alk_span_cut(&text, '.') : text;
        uint64_t v;
        bool has_leading_zero = part.n > 1 && part.p[0] == '0'; /* octal elsewhere: refuse */
        if (part.n == 0 || part.n > 3 || has_leading_zero || !alk_span_u64(part, 255, &v)) {
            return ALK_E_MALFORMED;
        }
        ip[i] = (uint8_t)v;
    }
    return ALK_OK;
}

static bool parse_group(struct alk_span text, uint16_t *ret)
{
    uint32_t v = 0;
    if (text.n == 0 || text.n > 4) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        uint32_t d;
        if (c >= '0' && c <= '9') {
            d = c - (uint32_t)'0';
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            d = (c | 0x20u) - (uint32_t)'a' + 10;
        } else {
            return false;
        }
        v = v * 16 + d;
    }
    *ret = (uint16_t)v;
    return true;
}

/* Groups of one side of "::" (or all of them) into out; how many bytes. */
static alk_err parse_groups(struct alk_span text, uint8_t out[static 16], size_t *ret_n)
{
    size_t n = 0;
    while (text.n > 0) {
        bool is_last = alk_span_find(text, ':') == text.n;
        struct alk_span part = alk_span_cut(&text, ':');
        if (is_last && alk_span_find(part, '.') < part.n) {
            if (n > 12 || parse_v4(part, out + n) != ALK_OK) {
                return ALK_E_MALFORMED;
            }
            n += 4;
            break;
        }
        uint16_t v;
        if (n > 14 || !parse_group(part, &v) || (!is_last && text.n == 0)) {
            return ALK_E_MALFORMED;
        }
        out[n++] = (uint8_t)(v >> 8);
        out[n++] = (uint8_t)v;
    }
    *ret_n = n;
    return ALK_OK;
}

static alk_err parse_v6(struct alk_span text, struct alk_addr *a)
{
    size_t zone = alk_span_find(text, '%');
    if (zone < text.n) {
        uint64_t scope;
        struct alk_span z = alk_span_tail(text, zone + 1);
        if (!alk_span_u64(z, UINT32_MAX, &scope)) {
            return ALK_E_MALFORMED;
        }
        a->scope = (uint32_t)scope;
        text = alk_span_head(text, zone);
    }
    size_t gap = text.n;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] == ':' && text.p[i + 1] == ':') {
            gap = i;
            break;
        }
    }
    uint8_t left[16] = {0};
    uint8_t right[16] = {0};
    size_t left_n = 0;
    size_t right_n = 0;
    ALK_TRY(parse_groups(alk_span_head(text, gap), left, &left_n));
    if (gap == text.n) {
        if (left_n != 16) {
            return ALK_E_MALFORMED;
        }
    } else {
        ALK_TRY(parse_groups(alk_span_tail(text, gap + 2), right, &right_n));
        if (left_n + right_n > 14) {
            return ALK_E_MALFORMED;
        }
    }
    memcpy(a->ip, left, left_n);
    memcpy(a->ip + 16 - right_n, right, right_n);
    return ALK_OK;
}

alk_err alk_addr_parse(struct alk_span text, struct alk_addr *ret)
{
    struct alk_addr a = {0};
    struct alk_span host;
    if (text.n > 0 && text.p[0] == '[') {
        text = alk_span_tail(text, 1);
        size_t close = alk_span_find(text, ']');
        if (close + 1 >= text.n || text.p[close + 1] != ':') {
            return ALK_E_MALFORMED;
        }
        host = alk_span_head(text, close);
        text = alk_span_tail(text, close + 2);
        a.family = 6;
        ALK_TRY(parse_v6(host, &a));
    } else {
        host = alk_span_cut(&text, ':');
        a.family = 4;
        ALK_TRY(parse_v4(host, a.ip));
    }
    uint64_t port;
    if (text.n == 0 || text.n > 5 || !alk_span_u64(text, 65535, &port)) {
        return ALK_E_MALFORMED;
    }
    a.port = (uint16_t)port;
    *ret = a;
    return ALK_OK;
}

/* --- printing -------------------------------------------------------------------- */

struct out {
    char *p;
    size_t n, size;
};

static void put(struct out *o, char c)
{
    if (o->n + 1 < o->size) {
        o->p[o->n++] = c;
        o->p[o->n] = '\0';
    }
}

static void put_number(struct out *o, uint32_t v, uint32_t base)
{
    char digits[10];
    size_t n = 0;
    do {
        digits[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v > 0);
    while (n > 0) {
        put(o, digits[--n]);
    }
}

static void put_v6(struct out *o, const uint8_t ip[static 16])
{
    uint16_t g[8];
    size_t best = 8;
    size_t best_n = 1; /* [RFC 5952 §4.2.2] one zero group is not shortened */
    for (size_t i = 0; i < 8; i++) {
        g[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
    }
    for (size_t i = 0; i < 8; i++) {
        size_t n = 0;
        while (i + n < 8 && g[i + n] == 0) {
            n++;
        }
        if (n > best_n) {
            best = i;
            best_n = n;
        }
    }
    for (size_t i = 0; i < 8; i++) {
        if (i == best) {
            put(o, ':');
            put(o, ':');
            i += best_n - 1;
            continue;
        }
        if (i > 0 && i != best + best_n) {
            put(o, ':');
        }
        put_number(o, g[i], 16);
    }
}

void alk_addr_print(const struct alk_addr *a, bool with_port, char *dst, size_t dst_size)
{
    struct out o = {.p = dst, .size = dst_size};
    if (dst_size > 0) {
        dst[0] = '\0';
    }
    if (a->family == 0) {
        put(&o, '-');
        return;
    }
    if (a->family == 4) {
        for (size_t i = 0; i < 4; i++) {
            if (i > 0) {
                put(&o, '.');
            }
            put_number(&o, a->ip[i], 10);
        }
    } else {
        if (with_port) {
            put(&o, '[');
        }
        put_v6(&o, a->ip);
        if (a->scope != 0) {
            put(&o, '%');
            put_number(&o, a->scope, 10);
        }
        if (with_port) {
            put(&o, ']');
        }
    }
    if (with_port) {
        put(&o, ':');
        put_number(&o, a->port, 10);
    }
}

/* --- questions --------------------------------------------------------------------- */

static size_t ip_size(const struct alk_addr *a)
{
    return a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
}

bool alk_addr_equal(const struct alk_addr *a, const struct alk_addr *b)
{
    return a->family == b->family && a->port == b->port && a->scope == b->scope &&
           alk_span_equal(alk_span(a->ip, ip_size(a)), alk_span(b->ip, ip_size(b)));
}

struct alk_addr alk_addr_unmap(const struct alk_addr *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct alk_addr r = *a;
    if (a->family == 6 && alk_span_equal(alk_span(a->ip, 12), alk_span(mapped, 12))) {
        r = (struct alk_addr){.family = 4, .port = a->port};
        memcpy(r.ip, a->ip + 12, 4);
    }
    return r;
}

bool alk_addr_is_loopback(const struct alk_addr *a)
{
    struct alk_addr u = alk_addr_unmap(a);
    static const uint8_t one[16] = {[15] = 1};
    return u.family == 4 ? u.ip[0] == 127
                         : u.family == 6 && alk_span_equal(alk_span(u.ip, 16), alk_span(one, 16));
}

size_t alk_addr_limit_key(const struct alk_addr *a, uint8_t ret[static 17])
{
    struct alk_addr u = alk_addr_unmap(a);
    size_t n = u.family == 4 ? 4 : u.family == 6 ? 8 : 0;
    ret[0] = u.family;
    memcpy(ret + 1, u.ip, n);
    return n + 1;
}
