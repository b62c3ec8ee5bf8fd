/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/schema_uri.h"

#include "base/text.h"

struct parts {
    struct alk_span scheme, authority, path, query;
    bool has_scheme, has_authority, has_query;
};

static bool is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t scheme_len(struct alk_span s)
{
    size_t i = 0;

    if (s.n == 0 || !is_alpha(s.p[0])) {
        return 0;
    }
    while (i < s.n && (is_alpha(s.p[i]) || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '+' ||
                       s.p[i] == '-' || s.p[i] == '.')) {
        i++;
    }
    return i < s.n && s.p[i] == ':' ? i : 0;
}

/* [RFC 3986 §3] the text has no fragment any more. */
static struct parts split(struct alk_span s)
{
    struct parts ret = {.has_scheme = false};
    size_t n = scheme_len(s);

    if (n > 0) {
        ret.has_scheme = true;
        ret.scheme = alk_span_head(s, n);
        s = alk_span_tail(s, n + 1);
    }
    if (s.n >= 2 && s.p[0] == '/' && s.p[1] == '/') {
        s = alk_span_tail(s, 2);
        n = 0;
        while (n < s.n && s.p[n] != '/' && s.p[n] != '?') {
            n++;
        }
        ret.has_authority = true;
        ret.authority = alk_span_head(s, n);
        s = alk_span_tail(s, n);
    }
    n = alk_span_find(s, '?');
    ret.path = alk_span_head(s, n);
    ret.has_query = n < s.n;
    ret.query = alk_span_tail(s, n + 1);
    return ret;
}

struct out {
    char *p;
    size_t n, size;
    alk_err err;
};

static void put(struct out *o, struct alk_span s)
{
    if (s.n > o->size - o->n) {
        o->err = ALK_E_TOO_BIG;
        return;
    }
    if (s.n > 0) {
        memcpy(o->p + o->n, s.p, s.n);
        o->n += s.n;
    }
}

/* Takes the segment at the end back, with the slash before it. */
static void drop_segment(struct out *o, size_t start)
{
    while (o->n > start && o->p[o->n - 1] != '/') {
        o->n--;
    }
    if (o->n > start) {
        o->n--;
    }
}

/* [RFC 3986 §5.2.4] dot segments, segment by segment; each is put with the slash
 * before it. */
static void put_path(struct out *o, struct alk_span path)
{
    size_t start = o->n;
    bool is_first = true;

    while (path.n > 0 || is_first) {
        bool has_slash = path.n > 0 && path.p[0] == '/';
        struct alk_span rest = has_slash ? alk_span_tail(path, 1) : path;
        size_t n = alk_span_find(rest, '/');
        struct alk_span segment = alk_span_head(rest, n);
        bool is_last = n == rest.n;
        if (alk_span_is(segment, "..")) {
            drop_segment(o, start);
            put(o, is_last ? ALK_LIT("/") : ALK_LIT(""));
        } else if (alk_span_is(segment, ".")) {
            put(o, is_last ? ALK_LIT("/") : ALK_LIT(""));
        } else {
            put(o, has_slash ? ALK_LIT("/") : ALK_LIT(""));
            put(o, segment);
        }
        path = alk_span_tail(rest, n);
        is_first = false;
    }
}

/* [RFC 3986 §5.2.3] all of the base's path but its last segment, then the
 * reference's. */
static void merge(struct out *o, struct parts base, struct alk_span path)
{
    size_t keep = base.path.n;

    while (keep > 0 && base.path.p[keep - 1] != '/') {
        keep--;
    }
    if (base.has_authority && base.path.n == 0) {
        put(o, ALK_LIT("/"));
    }
    put(o, alk_span_head(base.path, keep));
    put(o, path);
}

static void put_query(struct out *o, struct parts p)
{
    if (p.has_query) {
        put(o, ALK_LIT("?"));
        put(o, p.query);
    }
}

static void put_origin(struct out *o, struct parts p)
{
    if (p.has_scheme) {
        put(o, p.scheme);
        put(o, ALK_LIT(":"));
    }
    if (p.has_authority) {
        put(o, ALK_LIT("//"));
        put(o, p.authority);
    }
}

alk_err alk_schema_uri_resolve(struct alk_span base_text, struct alk_span ref, char *dst,
                               size_t dst_size, size_t *ret_n, struct alk_span *ret_fragment)
{
    struct out o = {.p = dst, .size = dst_size};
    size_t hash = alk_span_find(ref, '#');
    struct parts r = split(alk_span_head(ref, hash));
    struct parts base = split(base_text);
    char merged[4096];
    struct out m = {.p = merged, .size = sizeof merged};

    if (r.has_scheme || r.has_authority) {
        base.scheme = r.has_scheme ? r.scheme : base.scheme;
        base.has_scheme = base.has_scheme || r.has_scheme;
        base.authority = r.authority;
        base.has_authority = r.has_authority;
        put_origin(&o, base);
        put_path(&o, r.path);
        put_query(&o, r);
    } else if (r.path.n == 0) {
        put_origin(&o, base);
        put(&o, base.path);
        put_query(&o, r.has_query ? r : base);
    } else {
        put_origin(&o, base);
        if (r.path.p[0] == '/') {
            put(&m, r.path);
        } else {
            merge(&m, base, r.path);
        }
        put_path(&o, alk_span(merged, m.n));
        put_query(&o, r);
    }
    if (o.err != ALK_OK || m.err != ALK_OK) {
        return ALK_E_TOO_BIG;
    }
    *ret_n = o.n;
    *ret_fragment = alk_span_tail(ref, hash + 1);
    return ALK_OK;
}

bool alk_schema_uri_decode(struct alk_span text, char *dst, size_t *ret_n)
{
    return alk_percent_decode(text, (uint8_t *)dst, text.n, ret_n) == ALK_OK;
}
