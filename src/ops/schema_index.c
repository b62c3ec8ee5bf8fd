/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Finds the subschemas of a document: where keywords say that one is, and nowhere
 * else, so that an "$id" in a const names nothing. */
#include "base/mem.h"
#include "core/frame.h"
#include "ops/schema_build.h"
#include "ops/schema_uri.h"

#define DIALECT      "https://json-schema.org/draft/2020-12/schema"
#define VOCABULARIES "https://json-schema.org/draft/2020-12/vocab/"

/* Where a subschema is found, and what it inherits. */
struct place {
    struct schema_doc *doc;
    struct schema_resource *resource; /* NULL: it begins one of its own */
    struct alk_span base;             /* URI that a relative $id is seen from */
    const struct schema_node *parent;
    const char *word;
    yyjson_val *key;
    size_t index;
    bool has_index;
    struct alk_span pointer;
};

static alk_err index_node(struct schema_build *b, const struct place *place, yyjson_val *json,
                          struct schema_node **ret);

/* --- dialects ------------------------------------------------------------------- */

static unsigned vocabulary_of(struct alk_span uri)
{
    static const struct {
        const char *name;
        unsigned vocabulary;
    } rows[] = {
        {"core", VOCABULARY_CORE},
        {"applicator", VOCABULARY_APPLICATOR},
        {"unevaluated", VOCABULARY_UNEVALUATED},
        {"validation", VOCABULARY_VALIDATION},
        {"format-annotation", VOCABULARY_FORMAT_ANNOTATION},
        {"format-assertion", VOCABULARY_FORMAT_ASSERTION},
        {"meta-data", VOCABULARY_OTHERS},
        {"content", VOCABULARY_OTHERS},
    };

    if (!alk_span_starts(uri, ALK_LIT(VOCABULARIES))) {
        return 0;
    }
    struct alk_span name = alk_span_tail(uri, sizeof VOCABULARIES - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (alk_span_is(name, rows[i].name)) {
            return rows[i].vocabulary;
        }
    }
    return 0;
}

/* False: one that must be understood is not. */
static bool read_vocabularies(yyjson_val *object, unsigned *ret)
{
    unsigned found = VOCABULARY_CORE;
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        unsigned one = vocabulary_of(schema_str(key));
        if (one == 0 && yyjson_is_true(yyjson_obj_iter_get_val(key))) {
            return false;
        }
        found |= one;
    }
    *ret = found;
    return true;
}

static const struct alk_schema_doc *find_doc(const struct schema_build *b, struct alk_span uri)
{
    for (size_t i = 0; i < b->options->doc_count; i++) {
        if (alk_span_equal(b->options->docs[i].uri, uri)) {
            return &b->options->docs[i];
        }
    }
    return NULL;
}

static alk_err read_dialect(struct schema_build *b, const struct schema_node *node,
                            yyjson_val *value, unsigned *ret)
{
    if (!yyjson_is_str(value)) {
        return alk_schema_refuse(b, node, "$schema", "must be a URI");
    }
    struct alk_span uri = schema_str(value);
    if (uri.n > 0 && uri.p[uri.n - 1] == '#') {
        uri.n--;
    }
    if (alk_span_is(uri, DIALECT)) {
        *ret = VOCABULARY_STANDARD;
        return ALK_OK;
    }
    const struct alk_schema_doc *doc = find_doc(b, uri);
    if (doc == NULL) {
        return alk_schema_refuse(b, node, "$schema",
                                 "names a dialect that is not known here: use " DIALECT);
    }
    yyjson_doc *json = NULL;
    ALK_TRY(alk_json_parse(doc->text, &json));
    yyjson_val *object = yyjson_obj_get(yyjson_doc_get_root(json), "$vocabulary");
    *ret = VOCABULARY_STANDARD;
    bool is_known = object == NULL || read_vocabularies(object, ret);
    yyjson_doc_free(json);
    return is_known ? ALK_OK
                    : alk_schema_refuse(b, node, "$schema", "needs a vocabulary not known here");
}

/* --- identifiers ---------------------------------------------------------------- */

/* The URI of a resource, copied. */
static alk_err resolve_id(struct schema_build *b, const struct schema_node *node,
                          struct alk_span base, yyjson_val *id, struct alk_span *ret)
{
    char uri[SCHEMA_URI_MAX];
    size_t n = 0;
    struct alk_span fragment = {NULL, 0};

    if (!yyjson_is_str(id)) {
        return alk_schema_refuse(b, node, "$id", "must be a URI");
    }
    ALK_TRY(alk_schema_uri_resolve(base, schema_str(id), uri, sizeof uri, &n, &fragment));
    if (fragment.n > 0) {
        return alk_schema_refuse(b, node, "$id", "must not have a fragment");
    }
    uint8_t *copy = (uint8_t *)alk_schema_alloc(&b->schema->arena, n + 1, 1);
    if (copy == NULL) {
        return b->schema->arena.err;
    }
    memcpy(copy, uri, n);
    *ret = alk_span(copy, n);
    return ALK_OK;
}

static alk_err begin_resource(struct schema_build *b, struct schema_node *node,
                              const struct place *place, yyjson_val *id)
{
    struct schema_resource *r =
        (struct schema_resource *)alk_schema_alloc(&b->schema->arena, 1, sizeof *r);
    yyjson_val *dialect = yyjson_obj_get(node->json, "$schema");

    if (r == NULL) {
        return b->schema->arena.err;
    }
    r->root = node;
    r->uri = place->base;
    r->vocabularies = place->resource == NULL ? VOCABULARY_STANDARD : place->resource->vocabularies;
    node->resource = r;
    if (dialect != NULL) {
        ALK_TRY(read_dialect(b, node, dialect, &r->vocabularies));
    }
    if (id != NULL) {
        ALK_TRY(resolve_id(b, node, place->base, id, &r->uri));
    }
    return alk_schema_name_add(b, r->uri, ALK_LIT(""), node, false);
}

/* Letters, digits, - _ . after a letter or an underscore. */
static bool is_anchor(yyjson_val *v)
{
    if (!yyjson_is_str(v) || yyjson_get_len(v) == 0) {
        return false;
    }
    struct alk_span s = schema_str(v);
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_later = (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!is_letter && (i == 0 || !is_later)) {
            return false;
        }
    }
    return true;
}

static alk_err add_anchor(struct schema_build *b, struct schema_node *node, const char *word,
                          yyjson_val *value, bool is_dynamic)
{
    if (!is_anchor(value)) {
        return alk_schema_refuse(b, node, word, "must be a name of letters, digits, - _ .");
    }
    ALK_TRY(alk_schema_name_add(b, node->resource->uri, schema_str(value), node, is_dynamic));
    if (!is_dynamic) {
        return ALK_OK;
    }
    struct schema_anchor *a =
        (struct schema_anchor *)alk_schema_alloc(&b->schema->arena, 1, sizeof *a);
    if (a == NULL) {
        return b->schema->arena.err;
    }
    *a = (struct schema_anchor){node->resource->dynamic, schema_str(value), node};
    node->resource->dynamic = a;
    return ALK_OK;
}

static alk_err read_identifiers(struct schema_build *b, struct schema_node *node,
                                const struct place *place)
{
    yyjson_val *id = yyjson_obj_get(node->json, "$id");
    yyjson_val *anchor = yyjson_obj_get(node->json, "$anchor");
    yyjson_val *dynamic = yyjson_obj_get(node->json, "$dynamicAnchor");

    node->resource = place->resource;
    if (id != NULL || place->resource == NULL) {
        ALK_TRY(begin_resource(b, node, place, id));
    }
    if (anchor != NULL) {
        ALK_TRY(add_anchor(b, node, "$anchor", anchor, false));
    }
    return dynamic == NULL ? ALK_OK : add_anchor(b, node, "$dynamicAnchor", dynamic, true);
}

/* --- subschemas ----------------------------------------------------------------- */

static alk_err index_list(struct schema_build *b, struct schema_node *node, struct place *place,
                          yyjson_val *list)
{
    size_t i, n;
    yyjson_val *item;
    struct schema_node *child;

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0) {
        return alk_schema_refuse(b, node, place->word, "must be a list of one schema or more");
    }
    place->has_index = true;
    yyjson_arr_foreach(list, i, n, item)
    {
        place->index = i;
        ALK_TRY(index_node(b, place, item, &child));
    }
    return ALK_OK;
}

static alk_err index_map(struct schema_build *b, struct schema_node *node, struct place *place,
                         yyjson_val *map, bool has_names)
{
    size_t i, n;
    yyjson_val *key, *value;
    struct schema_node *child;

    if (!yyjson_is_obj(map)) {
        return alk_schema_refuse(b, node, place->word, "must be an object of schemas");
    }
    yyjson_obj_foreach(map, i, n, key, value)
    {
        place->key = key;
        if (!has_names || !yyjson_is_arr(value)) {
            ALK_TRY(index_node(b, place, value, &child));
        }
    }
    return ALK_OK;
}

static alk_err index_keyword(struct schema_build *b, struct schema_node *node,
                             enum schema_word word, yyjson_val *value)
{
    struct place place = {.doc = node->doc,
                          .resource = node->resource,
                          .base = node->resource->uri,
                          .parent = node,
                          .word = alk_schema_words[word].name};
    struct schema_node *child;

    switch (alk_schema_words[word].shape) {
    case SHAPE_NONE:
        break;
    case SHAPE_ONE:
        return index_node(b, &place, value, &child);
    case SHAPE_LIST:
        return index_list(b, node, &place, value);
    case SHAPE_MAP:
        return index_map(b, node, &place, value, false);
    case SHAPE_MAP_OR_NAMES:
        return index_map(b, node, &place, value, true);
    }
    return ALK_OK;
}

static alk_err index_children(struct schema_build *b, struct schema_node *node)
{
    size_t i, n;
    yyjson_val *key, *value;

    yyjson_obj_foreach(node->json, i, n, key, value)
    {
        enum schema_word word = alk_schema_word_find(schema_str(key), node->resource->vocabularies);
        if (word != WORD_COUNT) {
            ALK_TRY(index_keyword(b, node, word, value));
        }
    }
    return ALK_OK;
}

static alk_err add_node(struct schema_build *b, const struct place *place, yyjson_val *json,
                        struct schema_node **ret)
{
    if (b->node_count == ALK_SCHEMA_NODES_MAX) {
        return ALK_E_TOO_BIG;
    }
    struct schema_node *node =
        (struct schema_node *)alk_schema_alloc(&b->schema->arena, 1, sizeof *node);
    if (node == NULL) {
        return b->schema->arena.err;
    }
    *node = (struct schema_node){.json = json,
                                 .doc = place->doc,
                                 .parent = place->parent,
                                 .word = place->word,
                                 .key = place->key,
                                 .index = place->index,
                                 .has_index = place->has_index,
                                 .pointer = place->pointer,
                                 .is_true = yyjson_is_true(json),
                                 .is_false = yyjson_is_false(json)};
    if (b->last == NULL) {
        b->first = node;
    } else {
        b->last->next = node;
    }
    b->last = node;
    b->node_count++;
    place->doc->nodes[json - yyjson_doc_get_root(place->doc->json)] = node;
    *ret = node;
    return ALK_OK;
}

static alk_err index_node(struct schema_build *b, const struct place *place, yyjson_val *json,
                          struct schema_node **ret)
{
    *ret = alk_schema_node_of(place->doc, json);
    if (*ret != NULL) {
        return ALK_OK;
    }
    ALK_TRY(add_node(b, place, json, ret));
    if (!yyjson_is_obj(json) && !yyjson_is_bool(json)) {
        return alk_schema_refuse(b, *ret, NULL, "must be a schema: an object, true or false");
    }
    ALK_TRY(read_identifiers(b, *ret, place));
    return yyjson_is_obj(json) ? index_children(b, *ret) : ALK_OK;
}

struct schema_node *alk_schema_node_of(const struct schema_doc *doc, yyjson_val *json)
{
    return doc->nodes[json - yyjson_doc_get_root(doc->json)];
}

alk_err alk_schema_index_at(struct schema_build *b, struct schema_node *near, yyjson_val *json,
                            struct alk_span pointer, struct schema_node **ret)
{
    struct place place = {.doc = near->doc,
                          .resource = near->resource,
                          .base = near->resource->uri,
                          .parent = near,
                          .pointer = pointer};
    return index_node(b, &place, json, ret);
}

alk_err alk_schema_load(struct schema_build *b, struct alk_span uri, struct alk_span text,
                        struct schema_doc **ret)
{
    if (text.n > ALK_SCHEMA_BYTES_MAX) {
        return ALK_E_TOO_BIG;
    }
    struct schema_doc *doc =
        (struct schema_doc *)alk_schema_alloc(&b->schema->arena, 1, sizeof *doc);
    if (doc == NULL) {
        return b->schema->arena.err;
    }
    ALK_TRY(alk_json_parse(text, &doc->json));
    doc->next = b->schema->docs;
    b->schema->docs = doc;
    doc->nodes = (struct schema_node **)alk_schema_alloc(
        &b->schema->arena, yyjson_doc_get_val_count(doc->json), sizeof *doc->nodes);
    if (doc->nodes == NULL) {
        return b->schema->arena.err;
    }
    struct place place = {.doc = doc, .base = uri};
    ALK_TRY(index_node(b, &place, yyjson_doc_get_root(doc->json), &doc->root));
    *ret = doc;
    /* It is known by the address it came from, whatever it calls itself. */
    return alk_span_equal(doc->root->resource->uri, uri)
               ? ALK_OK
               : alk_schema_name_add(b, uri, ALK_LIT(""), doc->root, false);
}
