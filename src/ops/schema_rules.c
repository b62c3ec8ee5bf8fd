/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Turns the keywords of each node into rules. The order here is the order in which
 * they are applied: what is cheap first, unevaluated* last. */
#include "base/mem.h"
#include "ops/schema_build.h"
#include "ops/schema_check.h"
#include "ops/schema_format.h"
#include "ops/schema_number.h"
#include "ops/schema_value.h"

/* One node being built: its keywords by number, and its rules. */
struct maker {
    struct schema_build *b;
    struct schema_node *node;
    yyjson_val *words[WORD_COUNT]; /* NULL: absent */
    struct schema_rule **end;
};

static alk_err refuse(const struct maker *m, enum schema_word word, const char *what)
{
    return alk_schema_refuse(m->b, m->node, alk_schema_words[word].name, what);
}

static void *alloc(const struct maker *m, size_t count, size_t size)
{
    return alk_schema_alloc(&m->b->schema->arena, count, size);
}

static alk_err arena_err(const struct maker *m)
{
    return m->b->schema->arena.err;
}

static struct schema_node *node_of(const struct maker *m, yyjson_val *json)
{
    return json == NULL ? NULL : alk_schema_node_of(m->node->doc, json);
}

/* Appends a rule; NULL: see arena_err. */
static struct schema_rule *add(struct maker *m, schema_rule_fn *check, uint8_t applies,
                               enum schema_word word)
{
    struct schema_rule *r = (struct schema_rule *)alloc(m, 1, sizeof *r);

    if (r != NULL) {
        r->check = check;
        r->applies = applies;
        r->word = word == WORD_COUNT ? NULL : alk_schema_words[word].name;
        r->json = word == WORD_COUNT ? NULL : m->words[word];
        *m->end = r;
        m->end = &r->next;
    }
    return r;
}

/* --- lists ---------------------------------------------------------------------- */

static alk_err make_nodes(const struct maker *m, yyjson_val *list, struct schema_nodes *ret)
{
    size_t i, n;
    yyjson_val *item;

    ret->n = yyjson_arr_size(list);
    ret->v = (struct schema_node **)alloc(m, ret->n, sizeof *ret->v);
    if (ret->v == NULL) {
        return arena_err(m);
    }
    yyjson_arr_foreach(list, i, n, item)
    {
        ret->v[i] = node_of(m, item);
    }
    return ALK_OK;
}

static int compare_spans(const void *a, const void *b)
{
    const struct alk_span *x = (const struct alk_span *)a;
    const struct alk_span *y = (const struct alk_span *)b;

    if (x->n != y->n) {
        return x->n < y->n ? -1 : 1;
    }
    return x->n == 0 ? 0 : memcmp(x->p, y->p, x->n);
}

/* A list of different strings, in the order of the text. */
static alk_err make_names(const struct maker *m, enum schema_word word, yyjson_val *list,
                          struct alk_span **ret_v, size_t *ret_n)
{
    size_t i, n;
    yyjson_val *item;
    size_t count = yyjson_arr_size(list);
    struct alk_span *v = (struct alk_span *)alloc(m, count, sizeof *v);
    struct alk_span *sorted = (struct alk_span *)alloc(m, count, sizeof *v);

    if (v == NULL || sorted == NULL) {
        return arena_err(m);
    }
    yyjson_arr_foreach(list, i, n, item)
    {
        if (!yyjson_is_str(item)) {
            return refuse(m, word, "must be a list of names");
        }
        v[i] = sorted[i] = schema_str(item);
    }
    qsort(sorted, count, sizeof *sorted, compare_spans);
    for (i = 1; i < count; i++) {
        if (compare_spans(&sorted[i - 1], &sorted[i]) == 0) {
            return refuse(m, word, "names something twice");
        }
    }
    *ret_v = v;
    *ret_n = count;
    return ALK_OK;
}

/* --- type, enum, const ---------------------------------------------------------- */

static unsigned type_of(yyjson_val *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } rows[] = {
        {"null", KIND_NULL},       {"boolean", KIND_BOOL},  {"number", KIND_NUMBER | KIND_INTEGER},
        {"integer", KIND_INTEGER}, {"string", KIND_STRING}, {"array", KIND_ARRAY},
        {"object", KIND_OBJECT},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && yyjson_is_str(name); i++) {
        if (alk_span_is(schema_str(name), rows[i].name)) {
            return rows[i].type;
        }
    }
    return 0;
}

static alk_err make_type(struct maker *m, enum schema_word word, yyjson_val *value)
{
    static const char what[] = "must be null, boolean, integer, number, string, array or object, "
                               "or a list of these";
    unsigned types = type_of(value);
    size_t i, n;
    yyjson_val *item;

    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, i, n, item)
        {
            if (type_of(item) == 0) {
                return refuse(m, word, what);
            }
            types |= type_of(item);
        }
    }
    if (types == 0) {
        return refuse(m, word, what);
    }
    struct schema_rule *r = add(m, alk_schema_check_type, KIND_ANY, word);
    if (r == NULL) {
        return arena_err(m);
    }
    /* A number may be an integer: one word says both. */
    r->u.types = (types & KIND_NUMBER) != 0 ? types & ~(unsigned)KIND_INTEGER : types;
    return ALK_OK;
}

/* More values than this are found by their hash. */
#define FEW_VALUES 8

struct hashed {
    uint64_t hash;
    yyjson_val *value;
};

static int compare_hashes(const void *a, const void *b)
{
    const struct hashed *x = (const struct hashed *)a;
    const struct hashed *y = (const struct hashed *)b;

    return (x->hash > y->hash) - (x->hash < y->hash);
}

static alk_err sort_by_hash(const struct maker *m, struct schema_values *values)
{
    /* The whole document is bounded, so its values may be hashed without a budget. */
    struct schema_check c = {.schema = m->b->schema, .steps = UINT64_MAX};
    struct hashed *v = (struct hashed *)alloc(m, values->n, sizeof *v);

    values->hashes = (uint64_t *)alloc(m, values->n, sizeof *values->hashes);
    if (v == NULL || values->hashes == NULL) {
        return arena_err(m);
    }
    for (size_t i = 0; i < values->n; i++) {
        v[i] = (struct hashed){alk_schema_hash(&c, values->v[i]), values->v[i]};
    }
    qsort(v, values->n, sizeof *v, compare_hashes);
    for (size_t i = 0; i < values->n; i++) {
        values->hashes[i] = v[i].hash;
        values->v[i] = v[i].value;
    }
    return ALK_OK;
}

static alk_err make_enum(struct maker *m, enum schema_word word, yyjson_val *value)
{
    size_t i, n;
    yyjson_val *item;

    if (!yyjson_is_arr(value)) {
        return refuse(m, word, "must be a list of values");
    }
    struct schema_rule *r = add(m, alk_schema_check_enum, KIND_ANY, word);
    if (r == NULL) {
        return arena_err(m);
    }
    struct schema_values *values = &r->u.values;
    values->n = yyjson_arr_size(value);
    values->v = (yyjson_val **)alloc(m, values->n, sizeof *values->v);
    if (values->v == NULL) {
        return arena_err(m);
    }
    yyjson_arr_foreach(value, i, n, item)
    {
        values->v[i] = item;
    }
    return values->n <= FEW_VALUES ? ALK_OK : sort_by_hash(m, values);
}

static alk_err make_const(struct maker *m, enum schema_word word, yyjson_val *value)
{
    (void)value;
    return add(m, alk_schema_check_const, KIND_ANY, word) == NULL ? arena_err(m) : ALK_OK;
}

/* --- numbers and counts --------------------------------------------------------- */

static alk_err make_limit(struct maker *m, enum schema_word word, yyjson_val *value)
{
    schema_rule_fn *check = word == WORD_MAXIMUM             ? alk_schema_check_max
                            : word == WORD_EXCLUSIVE_MAXIMUM ? alk_schema_check_less
                            : word == WORD_MINIMUM           ? alk_schema_check_min
                                                             : alk_schema_check_more;
    if (!yyjson_is_num(value)) {
        return refuse(m, word, "must be a number");
    }
    return add(m, check, KIND_NUMBER, word) == NULL ? arena_err(m) : ALK_OK;
}

static alk_err make_multiple(struct maker *m, enum schema_word word, yyjson_val *value)
{
    if (!yyjson_is_num(value) || yyjson_get_num(value) <= 0) {
        return refuse(m, word, "must be a number above 0");
    }
    struct schema_rule *r = add(m, alk_schema_check_multiple, KIND_NUMBER, word);
    if (r == NULL) {
        return arena_err(m);
    }
    r->u.divisor = alk_schema_decimal(value);
    return ALK_OK;
}

static alk_err make_count(struct maker *m, enum schema_word word, yyjson_val *value)
{
    static const struct {
        enum schema_word word;
        schema_rule_fn *check;
        uint8_t applies;
    } rows[] = {
        {WORD_MAX_LENGTH, alk_schema_check_max_length, KIND_STRING},
        {WORD_MIN_LENGTH, alk_schema_check_min_length, KIND_STRING},
        {WORD_MAX_ITEMS, alk_schema_check_max_items, KIND_ARRAY},
        {WORD_MIN_ITEMS, alk_schema_check_min_items, KIND_ARRAY},
        {WORD_MAX_PROPERTIES, alk_schema_check_max_members, KIND_OBJECT},
        {WORD_MIN_PROPERTIES, alk_schema_check_min_members, KIND_OBJECT},
    };
    uint64_t count;

    if (!alk_schema_count(value, &count)) {
        return refuse(m, word, "must be a whole number, 0 or more");
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].word == word) {
            struct schema_rule *r = add(m, rows[i].check, rows[i].applies, word);
            if (r == NULL) {
                return arena_err(m);
            }
            r->u.count = count;
        }
    }
    return ALK_OK; /* minContains and maxContains belong to contains */
}

/* --- strings -------------------------------------------------------------------- */

static alk_err make_pattern(struct maker *m, enum schema_word word, yyjson_val *value)
{
    if (!yyjson_is_str(value)) {
        return refuse(m, word, "must be a regular expression");
    }
    struct schema_rule *r = add(m, alk_schema_check_pattern, KIND_STRING, word);
    if (r == NULL) {
        return arena_err(m);
    }
    return alk_schema_regex_new(m->b, m->node, alk_schema_words[word].name, schema_str(value),
                                &r->u.regex);
}

static alk_err make_format(struct maker *m, enum schema_word word, yyjson_val *value)
{
    bool asserts = m->b->options->assert_format ||
                   (m->node->resource->vocabularies & VOCABULARY_FORMAT_ASSERTION) != 0;

    if (!yyjson_is_str(value)) {
        return refuse(m, word, "must be the name of a format");
    }
    const struct schema_format *format = alk_schema_format_find(schema_str(value));
    if (!asserts || format == NULL) {
        return ALK_OK;
    }
    struct schema_rule *r = add(m, alk_schema_check_format, KIND_STRING, word);
    if (r == NULL) {
        return arena_err(m);
    }
    r->u.format = format;
    return ALK_OK;
}

/* --- arrays --------------------------------------------------------------------- */

static alk_err make_unique(struct maker *m, enum schema_word word, yyjson_val *value)
{
    if (!yyjson_is_bool(value)) {
        return refuse(m, word, "must be true or false");
    }
    if (yyjson_is_false(value)) {
        return ALK_OK;
    }
    return add(m, alk_schema_check_unique, KIND_ARRAY, word) == NULL ? arena_err(m) : ALK_OK;
}

static alk_err make_contains(struct maker *m, enum schema_word word, yyjson_val *value)
{
    struct schema_rule *r = add(m, alk_schema_check_contains, KIND_ARRAY, word);

    if (r == NULL) {
        return arena_err(m);
    }
    r->u.contains.node = node_of(m, value);
    r->u.contains.min = 1;
    r->u.contains.max = UINT64_MAX;
    /* Both have been looked at before. */
    (void)alk_schema_count(m->words[WORD_MIN_CONTAINS], &r->u.contains.min);
    (void)alk_schema_count(m->words[WORD_MAX_CONTAINS], &r->u.contains.max);
    return ALK_OK;
}

static alk_err make_items(struct maker *m)
{
    if (m->words[WORD_ITEMS] == NULL && m->words[WORD_PREFIX_ITEMS] == NULL) {
        return ALK_OK;
    }
    struct schema_rule *r = add(m, alk_schema_check_items, KIND_ARRAY, WORD_COUNT);
    if (r == NULL) {
        return arena_err(m);
    }
    r->u.items.rest = node_of(m, m->words[WORD_ITEMS]);
    return m->words[WORD_PREFIX_ITEMS] == NULL
               ? ALK_OK
               : make_nodes(m, m->words[WORD_PREFIX_ITEMS], &r->u.items.prefix);
}

/* --- objects -------------------------------------------------------------------- */

static alk_err make_required(struct maker *m, enum schema_word word, yyjson_val *value)
{
    if (!yyjson_is_arr(value)) {
        return refuse(m, word, "must be a list of names");
    }
    struct schema_rule *r = add(m, alk_schema_check_required, KIND_OBJECT, word);
    if (r == NULL) {
        return arena_err(m);
    }
    return make_names(m, word, value, &r->u.names.v, &r->u.names.n);
}

/* dependentRequired, dependentSchemas, and dependencies, which were both. */
static alk_err make_dependent(struct maker *m, enum schema_word word, yyjson_val *value)
{
    size_t i, n;
    yyjson_val *key, *item;

    if (!yyjson_is_obj(value)) {
        return refuse(m, word, "must be an object");
    }
    struct schema_rule *r = add(m, alk_schema_check_dependent, KIND_OBJECT, word);
    if (r == NULL) {
        return arena_err(m);
    }
    r->u.dependent.n = yyjson_obj_size(value);
    r->u.dependent.v =
        (struct schema_dependency *)alloc(m, r->u.dependent.n, sizeof *r->u.dependent.v);
    if (r->u.dependent.v == NULL) {
        return arena_err(m);
    }
    yyjson_obj_foreach(value, i, n, key, item)
    {
        struct schema_dependency *d = &r->u.dependent.v[i];
        d->name = schema_str(key);
        if (yyjson_is_arr(item)) {
            ALK_TRY(make_names(m, word, item, &d->required, &d->required_count));
        } else if (word == WORD_DEPENDENT_REQUIRED) {
            return refuse(m, word, "must be an object of lists of names");
        } else {
            d->node = node_of(m, item);
        }
    }
    return ALK_OK;
}

static alk_err make_properties(const struct maker *m, struct schema_members *members)
{
    size_t i, n;
    yyjson_val *key, *value;

    members->n = yyjson_obj_size(m->words[WORD_PROPERTIES]);
    members->v = (struct schema_member *)alloc(m, members->n, sizeof *members->v);
    if (members->v == NULL) {
        return arena_err(m);
    }
    yyjson_obj_foreach(m->words[WORD_PROPERTIES], i, n, key, value)
    {
        members->v[i] = (struct schema_member){schema_str(key), node_of(m, value)};
    }
    /* The name is the first in struct schema_member. */
    qsort(members->v, members->n, sizeof *members->v, compare_spans);
    return ALK_OK;
}

static alk_err make_pattern_properties(const struct maker *m, struct schema_members *members)
{
    size_t i, n;
    yyjson_val *key, *value;
    size_t count = yyjson_obj_size(m->words[WORD_PATTERN_PROPERTIES]);

    members->pattern_count = count;
    members->patterns = (struct schema_regex **)alloc(m, count, sizeof *members->patterns);
    members->pattern_nodes = (struct schema_node **)alloc(m, count, sizeof *members->pattern_nodes);
    if (members->patterns == NULL || members->pattern_nodes == NULL) {
        return arena_err(m);
    }
    yyjson_obj_foreach(m->words[WORD_PATTERN_PROPERTIES], i, n, key, value)
    {
        members->pattern_nodes[i] = node_of(m, value);
        ALK_TRY(alk_schema_regex_new(m->b, m->node, "patternProperties", schema_str(key),
                                     &members->patterns[i]));
    }
    return ALK_OK;
}

static alk_err make_members(struct maker *m)
{
    if (m->words[WORD_PROPERTIES] == NULL && m->words[WORD_PATTERN_PROPERTIES] == NULL &&
        m->words[WORD_ADDITIONAL_PROPERTIES] == NULL) {
        return ALK_OK;
    }
    struct schema_rule *r = add(m, alk_schema_check_members, KIND_OBJECT, WORD_COUNT);
    if (r == NULL) {
        return arena_err(m);
    }
    r->u.members.rest = node_of(m, m->words[WORD_ADDITIONAL_PROPERTIES]);
    if (m->words[WORD_PROPERTIES] != NULL) {
        ALK_TRY(make_properties(m, &r->u.members));
    }
    return m->words[WORD_PATTERN_PROPERTIES] == NULL ? ALK_OK
                                                     : make_pattern_properties(m, &r->u.members);
}

/* --- in place ------------------------------------------------------------------- */

static alk_err make_list(struct maker *m, enum schema_word word, yyjson_val *value)
{
    schema_rule_fn *check = word == WORD_ALL_OF   ? alk_schema_check_all
                            : word == WORD_ANY_OF ? alk_schema_check_any
                                                  : alk_schema_check_one;
    struct schema_rule *r = add(m, check, KIND_ANY, word);

    return r == NULL ? arena_err(m) : make_nodes(m, value, &r->u.nodes);
}

static alk_err make_one(struct maker *m, enum schema_word word, yyjson_val *value)
{
    bool is_not = word == WORD_NOT;
    struct schema_rule *r = add(m, is_not ? alk_schema_check_not : alk_schema_check_names,
                                is_not ? KIND_ANY : KIND_OBJECT, word);
    if (r == NULL) {
        return arena_err(m);
    }
    r->u.node = node_of(m, value);
    return ALK_OK;
}

static alk_err make_if(struct maker *m, enum schema_word word, yyjson_val *value)
{
    struct schema_rule *r = add(m, alk_schema_check_if, KIND_ANY, word);

    if (r == NULL) {
        return arena_err(m);
    }
    r->u.branch.cond = node_of(m, value);
    r->u.branch.yes = node_of(m, m->words[WORD_THEN]);
    r->u.branch.no = node_of(m, m->words[WORD_ELSE]);
    return ALK_OK;
}

static alk_err make_ref(struct maker *m, enum schema_word word, yyjson_val *value)
{
    struct schema_node *target = NULL;
    struct alk_span anchor = {NULL, 0};

    if (!yyjson_is_str(value)) {
        return refuse(m, word, "must be a URI reference");
    }
    ALK_TRY(alk_schema_resolve(m->b, m->node, word, schema_str(value), &target,
                               word == WORD_DYNAMIC_REF ? &anchor : NULL));
    bool is_dynamic = anchor.n > 0;
    struct schema_rule *r =
        add(m, is_dynamic ? alk_schema_check_dynamic_ref : alk_schema_check_ref, KIND_ANY, word);
    if (r == NULL) {
        return arena_err(m);
    }
    if (is_dynamic) {
        r->u.dynamic.node = target;
        r->u.dynamic.anchor = anchor;
    } else {
        r->u.node = target;
    }
    return ALK_OK;
}

static alk_err make_unevaluated(struct maker *m, enum schema_word word, yyjson_val *value)
{
    bool is_items = word == WORD_UNEVALUATED_ITEMS;
    struct schema_rule *r =
        add(m, is_items ? alk_schema_check_other_items : alk_schema_check_other_members,
            is_items ? KIND_ARRAY : KIND_OBJECT, word);
    if (r == NULL) {
        return arena_err(m);
    }
    r->u.node = node_of(m, value);
    r->is_late = true;
    m->node->watches = true;
    return ALK_OK;
}

/* --- a node --------------------------------------------------------------------- */

typedef alk_err make_fn(struct maker *m, enum schema_word word, yyjson_val *value);

static const struct {
    enum schema_word word;
    make_fn *make;
} makers[] = {
    {WORD_TYPE, make_type},
    {WORD_CONST, make_const},
    {WORD_ENUM, make_enum},
    {WORD_MINIMUM, make_limit},
    {WORD_EXCLUSIVE_MINIMUM, make_limit},
    {WORD_MAXIMUM, make_limit},
    {WORD_EXCLUSIVE_MAXIMUM, make_limit},
    {WORD_MULTIPLE_OF, make_multiple},
    {WORD_MIN_LENGTH, make_count},
    {WORD_MAX_LENGTH, make_count},
    {WORD_MIN_ITEMS, make_count},
    {WORD_MAX_ITEMS, make_count},
    {WORD_MIN_PROPERTIES, make_count},
    {WORD_MAX_PROPERTIES, make_count},
    {WORD_MIN_CONTAINS, make_count},
    {WORD_MAX_CONTAINS, make_count},
    {WORD_FORMAT, make_format},
    {WORD_PATTERN, make_pattern},
    {WORD_REQUIRED, make_required},
    {WORD_DEPENDENT_REQUIRED, make_dependent},
    {WORD_PROPERTY_NAMES, make_one},
    {WORD_UNIQUE_ITEMS, make_unique},
    {WORD_CONTAINS, make_contains},
    {WORD_REF, make_ref},
    {WORD_DYNAMIC_REF, make_ref},
    {WORD_ALL_OF, make_list},
    {WORD_ANY_OF, make_list},
    {WORD_ONE_OF, make_list},
    {WORD_NOT, make_one},
    {WORD_IF, make_if},
    {WORD_DEPENDENT_SCHEMAS, make_dependent},
    {WORD_DEPENDENCIES, make_dependent},
};

static alk_err make_rules(struct schema_build *b, struct schema_node *node)
{
    struct maker m = {.b = b, .node = node, .end = &node->rules};
    size_t i, n;
    yyjson_val *key, *value;

    yyjson_obj_foreach(node->json, i, n, key, value)
    {
        enum schema_word word = alk_schema_word_find(schema_str(key), node->resource->vocabularies);
        if (word != WORD_COUNT) {
            m.words[word] = value;
        }
    }
    for (i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        if (m.words[makers[i].word] != NULL) {
            ALK_TRY(makers[i].make(&m, makers[i].word, m.words[makers[i].word]));
        }
    }
    ALK_TRY(make_items(&m));
    ALK_TRY(make_members(&m));
    for (i = WORD_UNEVALUATED_ITEMS; i <= WORD_UNEVALUATED_PROPERTIES; i++) {
        if (m.words[i] != NULL) {
            ALK_TRY(make_unevaluated(&m, (enum schema_word)i, m.words[i]));
        }
    }
    return ALK_OK;
}

alk_err alk_schema_build_rules(struct schema_build *b)
{
    /* References may add nodes at the end of the list. */
    for (struct schema_node *node = b->first; node != NULL; node = node->next) {
        if (yyjson_is_obj(node->json)) {
            ALK_TRY(make_rules(b, node));
        }
    }
    return ALK_OK;
}
