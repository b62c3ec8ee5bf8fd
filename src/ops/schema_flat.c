/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Schemas that need no tree: an object whose members have a type and, for strings, a
 * length. Most operations have such ones. The text of a value is walked over once; all
 * that is out of the ordinary is left to the tree, and so is every refusal. */
#include "base/json_scan.h"
#include "core/frame.h"
#include "ops/schema_build.h"
#include "ops/schema_check.h"

#define FLAT_MEMBERS_MAX 32
/* A tree has ALK_JSON_VALUES_MAX values, names among them: of two bytes each at least. */
#define FLAT_TEXT_MAX    ((size_t)2 * ALK_JSON_VALUES_MAX)
#define TYPES_ALL        (KIND_ANY | KIND_INTEGER)

struct flat_member {
    struct alk_span name;
    unsigned types;
    uint64_t min, max; /* characters of a string */
};

struct schema_flat {
    uint32_t required;  /* a bit for each member */
    bool has_no_others; /* members that are not named here are refused */
    size_t n;
    struct flat_member v[]; /* FLAT_MEMBERS_MAX at the most */
};

/* --- making --------------------------------------------------------------------- */

static const struct schema_rule *find_rule(const struct schema_node *node, schema_rule_fn *check)
{
    const struct schema_rule *r = node->rules;
    while (r != NULL && r->check != check) {
        r = r->next;
    }
    return r;
}

static bool has_only(const struct schema_node *node, schema_rule_fn *a, schema_rule_fn *b,
                     schema_rule_fn *c)
{
    for (const struct schema_rule *r = node->rules; r != NULL; r = r->next) {
        if (r->check != a && r->check != b && r->check != c) {
            return false;
        }
    }
    return !node->is_false && !node->watches;
}

static bool flatten_member(const struct schema_member *m, struct flat_member *ret)
{
    *ret = (struct flat_member){.name = m->name, .types = TYPES_ALL, .max = UINT64_MAX};
    if (!has_only(m->node, alk_schema_check_type, alk_schema_check_min_length,
                  alk_schema_check_max_length)) {
        return false;
    }
    const struct schema_rule *type = find_rule(m->node, alk_schema_check_type);
    const struct schema_rule *min = find_rule(m->node, alk_schema_check_min_length);
    const struct schema_rule *max = find_rule(m->node, alk_schema_check_max_length);
    ret->types = type == NULL ? TYPES_ALL : type->u.types;
    ret->min = min == NULL ? 0 : min->u.count;
    ret->max = max == NULL ? UINT64_MAX : max->u.count;
    return true;
}

static bool require(struct schema_flat *flat, struct alk_span name)
{
    for (size_t i = 0; i < flat->n; i++) {
        if (alk_span_equal(flat->v[i].name, name)) {
            flat->required |= (uint32_t)1 << i;
            return true;
        }
    }
    return false;
}

static bool flatten(const struct schema_node *root, const struct schema_members *members,
                    struct schema_flat *ret)
{
    const struct schema_rule *type = find_rule(root, alk_schema_check_type);
    const struct schema_rule *required = find_rule(root, alk_schema_check_required);
    const struct schema_node *rest = members->rest;
    if (!has_only(root, alk_schema_check_type, alk_schema_check_required,
                  alk_schema_check_members) ||
        (type != NULL && (type->u.types & KIND_OBJECT) == 0) || members->pattern_count > 0 ||
        (rest != NULL && !rest->is_true && !rest->is_false)) {
        return false;
    }
    ret->has_no_others = rest != NULL && rest->is_false;
    ret->n = members->n;
    for (size_t i = 0; i < members->n; i++) {
        if (!flatten_member(&members->v[i], &ret->v[i])) {
            return false;
        }
    }
    for (size_t i = 0; required != NULL && i < required->u.names.n; i++) {
        if (!require(ret, required->u.names.v[i])) {
            return false;
        }
    }
    return true;
}

alk_err alk_schema_flatten(struct alk_schema *schema)
{
    const struct schema_rule *rule = find_rule(schema->root, alk_schema_check_members);
    if (rule == NULL || rule->u.members.n > FLAT_MEMBERS_MAX) {
        return ALK_OK;
    }
    size_t n = rule->u.members.n;
    struct schema_flat *flat = (struct schema_flat *)alk_schema_alloc(
        &schema->arena, 1, sizeof(*flat) + n * sizeof(flat->v[0]));
    if (flat == NULL) {
        return schema->arena.err;
    }
    schema->flat = flatten(schema->root, &rule->u.members, flat) ? flat : NULL;
    return ALK_OK;
}

/* --- walking -------------------------------------------------------------------- */

/* The types that a text is certainly of. */
static unsigned types_of(struct alk_span raw)
{
    switch (raw.p[0]) {
    case '"':
        return KIND_STRING;
    case '{':
        return KIND_OBJECT;
    case '[':
        return KIND_ARRAY;
    case 't':
    case 'f':
        return KIND_BOOL;
    case 'n':
        return KIND_NULL;
    default:
        break;
    }
    /* 1.0 is an integer, too: the tree knows. */
    bool has_point = memchr(raw.p, '.', raw.n) != NULL;
    return has_point ? KIND_NUMBER : KIND_NUMBER | KIND_INTEGER;
}

/* A character of a string takes from one byte to the twelve of an escaped pair. */
static bool has_length(struct alk_span raw, const struct flat_member *m)
{
    size_t n = raw.n - 2;
    if (n <= m->max && n / 12 >= m->min) {
        return true;
    }
    bool is_plain = alk_json_plain(alk_span(raw.p + 1, n)) == n;
    return is_plain && n <= m->max && n >= m->min;
}

static bool member_fits(const struct schema_flat *flat, const struct alk_schema_part *part,
                        uint32_t *seen)
{
    for (size_t i = 0; i < flat->n; i++) {
        const struct flat_member *m = &flat->v[i];
        if (alk_span_equal(m->name, part->name)) {
            unsigned types = types_of(part->value);
            *seen |= (uint32_t)1 << i;
            return (types & m->types) != 0 &&
                   ((types & KIND_STRING) == 0 || has_length(part->value, m));
        }
    }
    return !flat->has_no_others;
}

static bool is_new(const struct alk_schema_parts *parts, struct alk_span name)
{
    for (size_t i = 0; i < parts->n; i++) {
        if (alk_span_equal(parts->v[i].name, name)) {
            return false;
        }
    }
    return true;
}

/* False also for what is fit but not simple. */
static bool take_member(struct alk_json_scan *s, const struct alk_json_key *key,
                        struct alk_schema_parts *parts)
{
    struct alk_span raw;
    if (key->has_escape || parts->n == ALK_SCHEMA_PARTS_MAX || !is_new(parts, key->raw) ||
        alk_json_scan_value(s, &raw) != ALK_OK ||
        (!alk_json_is_string(raw) && !alk_json_is_simple(raw))) {
        return false;
    }
    parts->v[parts->n++] = (struct alk_schema_part){key->raw, raw};
    return true;
}

bool alk_schema_fits_text(const struct alk_schema *schema, struct alk_span text,
                          struct alk_schema_parts *ret)
{
    const struct schema_flat *flat = schema->flat;
    struct alk_json_scan s = alk_json_scan(text);
    struct alk_json_key key;
    uint32_t seen = 0;
    ret->n = 0;
    if (flat == NULL || text.n > FLAT_TEXT_MAX || alk_json_scan_enter(&s) != ALK_OK) {
        return false;
    }
    alk_err err;
    while ((err = alk_json_scan_member(&s, &key)) == ALK_OK) {
        if (!take_member(&s, &key, ret) || !member_fits(flat, &ret->v[ret->n - 1], &seen)) {
            return false;
        }
    }
    return err == ALK_END && alk_json_scan_end(&s) == ALK_OK &&
           (seen & flat->required) == flat->required;
}
