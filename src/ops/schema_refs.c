/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names of subschemas (URIs and anchors) and what references mean. */
#include "base/mem.h"
#include "ops/schema_build.h"
#include "ops/schema_uri.h"

/* --- names ---------------------------------------------------------------------- */

static int compare(struct alk_span a, struct alk_span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* The first name that is not less than text. */
static size_t lower_bound(const struct schema_build *b, struct alk_span text)
{
    size_t low = 0;
    size_t high = b->name_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(b->names[middle].text, text) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct schema_name *alk_schema_name_find(const struct schema_build *b, struct alk_span text)
{
    size_t at = lower_bound(b, text);

    return at < b->name_count && alk_span_equal(b->names[at].text, text) ? &b->names[at] : NULL;
}

static alk_err make_room(struct schema_build *b)
{
    if (b->name_count < b->name_size) {
        return ALK_OK;
    }
    size_t size = b->name_size == 0 ? 8 : 2 * b->name_size;
    struct schema_name *p =
        (struct schema_name *)alk_resize(b->schema->mem, b->names, size * sizeof *p);
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    b->names = p;
    b->name_size = size;
    return ALK_OK;
}

alk_err alk_schema_name_add(struct schema_build *b, struct alk_span uri, struct alk_span anchor,
                            struct schema_node *node, bool is_dynamic)
{
    struct alk_span text = uri;

    if (uri.n + anchor.n > SCHEMA_URI_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (anchor.n > 0) {
        uint8_t *p = (uint8_t *)alk_schema_alloc(&b->schema->arena, uri.n + 1 + anchor.n, 1);
        if (p == NULL) {
            return b->schema->arena.err;
        }
        if (uri.n > 0) {
            memcpy(p, uri.p, uri.n);
        }
        p[uri.n] = '#';
        memcpy(p + uri.n + 1, anchor.p, anchor.n);
        text = alk_span(p, uri.n + 1 + anchor.n);
    }
    size_t at = lower_bound(b, text);
    if (at < b->name_count && alk_span_equal(b->names[at].text, text)) {
        b->names[at].is_dynamic = b->names[at].is_dynamic || is_dynamic;
        return b->names[at].node == node
                   ? ALK_OK
                   : alk_schema_refuse(b, node, NULL, "has a name that another schema has too");
    }
    ALK_TRY(make_room(b));
    memmove(b->names + at + 1, b->names + at, (b->name_count - at) * sizeof *b->names);
    b->names[at] = (struct schema_name){text, node, is_dynamic};
    b->name_count++;
    return ALK_OK;
}

/* --- JSON Pointers -------------------------------------------------------------- */

/* Undoes ~0 and ~1 in place; false: another escape. */
static bool unescape(char *p, size_t *n)
{
    size_t to = 0;

    for (size_t i = 0; i < *n; i++) {
        if (p[i] == '~') {
            if (i + 1 == *n || (p[i + 1] != '0' && p[i + 1] != '1')) {
                return false;
            }
            p[to++] = p[++i] == '0' ? '~' : '/';
        } else {
            p[to++] = p[i];
        }
    }
    *n = to;
    return true;
}

/* [RFC 6901 §4] one step; NULL: there is no such place. */
static yyjson_val *step(yyjson_val *at, struct alk_span token)
{
    uint64_t index;

    if (yyjson_is_obj(at)) {
        return yyjson_obj_getn(at, (const char *)token.p, token.n);
    }
    if (!yyjson_is_arr(at) || (token.n > 1 && token.p[0] == '0') ||
        !alk_span_u64(token, UINT32_MAX, &index)) {
        return NULL;
    }
    return yyjson_arr_get(at, (size_t)index);
}

/* Where a pointer leads to, and the last node on the way. */
struct walk {
    struct schema_node *near;
    yyjson_val *at;
    size_t near_end; /* bytes of the pointer up to that node */
};

static bool follow(struct schema_build *b, struct walk *w, char *pointer, size_t n)
{
    char token[SCHEMA_URI_MAX];

    for (size_t i = 0; i < n;) {
        size_t len = alk_span_find(alk_span(pointer + i + 1, n - i - 1), '/');
        memcpy(token, pointer + i + 1, len);
        i += 1 + len;
        if (!unescape(token, &len)) {
            return false;
        }
        b->effort += yyjson_get_len(w->at);
        w->at = step(w->at, alk_span(token, len));
        if (w->at == NULL) {
            return false;
        }
        struct schema_node *node = alk_schema_node_of(w->near->doc, w->at);
        if (node != NULL) {
            w->near = node;
            w->near_end = i;
        }
    }
    return true;
}

static alk_err find_pointer(struct schema_build *b, struct schema_node *from, const char *word,
                            struct schema_node *root, char *pointer, size_t n,
                            struct schema_node **ret)
{
    struct walk w = {root, root->json, 0};

    bool is_there = follow(b, &w, pointer, n);
    if (b->effort > SCHEMA_EFFORT_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (!is_there) {
        return alk_schema_refuse(b, from, word, "leads nowhere");
    }
    *ret = alk_schema_node_of(root->doc, w.at);
    if (*ret != NULL) {
        return ALK_OK;
    }
    size_t rest = n - w.near_end;
    uint8_t *copy = (uint8_t *)alk_schema_alloc(&b->schema->arena, rest + 1, 1);
    if (copy == NULL) {
        return b->schema->arena.err;
    }
    memcpy(copy, pointer + w.near_end, rest);
    return alk_schema_index_at(b, w.near, w.at, alk_span(copy, rest), ret);
}

/* --- references ----------------------------------------------------------------- */

/* The root of the resource with this URI; loads a document of the caller's when
 * it is one. NULL: there is none. */
static alk_err find_resource(struct schema_build *b, struct alk_span uri, struct schema_node **ret)
{
    const struct schema_name *name = alk_schema_name_find(b, uri);
    struct schema_doc *doc = NULL;

    for (size_t i = 0; i < b->options->doc_count && name == NULL; i++) {
        const struct alk_schema_doc *d = &b->options->docs[i];
        if (alk_span_equal(d->uri, uri)) {
            ALK_TRY(alk_schema_load(b, d->uri, d->text, &doc));
            name = alk_schema_name_find(b, uri);
        }
    }
    *ret = name == NULL ? NULL : name->node;
    return ALK_OK;
}

static alk_err find_anchor(struct schema_build *b, struct schema_node *from, const char *word,
                           const struct schema_node *root, struct alk_span anchor,
                           struct schema_node **ret, struct alk_span *ret_anchor)
{
    uint8_t text[2 * SCHEMA_URI_MAX + 1];
    struct alk_span uri = root->resource->uri;

    if (uri.n > 0) {
        memcpy(text, uri.p, uri.n);
    }
    text[uri.n] = '#';
    memcpy(text + uri.n + 1, anchor.p, anchor.n);
    struct alk_span whole = alk_span(text, uri.n + 1 + anchor.n);
    const struct schema_name *name = alk_schema_name_find(b, whole);
    if (name == NULL) {
        return alk_schema_refuse(b, from, word, "names an anchor that is not there");
    }
    *ret = name->node;
    if (ret_anchor != NULL && name->is_dynamic) {
        *ret_anchor = alk_span_tail(name->text, uri.n + 1);
    }
    return ALK_OK;
}

alk_err alk_schema_resolve(struct schema_build *b, struct schema_node *node, enum schema_word word,
                           struct alk_span ref, struct schema_node **ret,
                           struct alk_span *ret_anchor)
{
    const char *name = alk_schema_words[word].name;
    char uri[SCHEMA_URI_MAX];
    char fragment[SCHEMA_URI_MAX];
    struct alk_span raw = {NULL, 0};
    struct schema_node *root = NULL;
    size_t n = 0;

    if (ref.n > SCHEMA_URI_MAX) {
        return ALK_E_TOO_BIG;
    }
    ALK_TRY(alk_schema_uri_resolve(node->resource->uri, ref, uri, sizeof uri, &n, &raw));
    ALK_TRY(find_resource(b, alk_span(uri, n), &root));
    if (root == NULL) {
        return alk_schema_refuse(b, node, name, "leaves the document");
    }
    if (!alk_schema_uri_decode(raw, fragment, &n)) {
        return alk_schema_refuse(b, node, name, "has a bad escape in its fragment");
    }
    if (n == 0) {
        *ret = root;
        return ALK_OK;
    }
    if (fragment[0] == '/') {
        return find_pointer(b, node, name, root, fragment, n, ret);
    }
    return find_anchor(b, node, name, root, alk_span(fragment, n), ret, ret_anchor);
}
