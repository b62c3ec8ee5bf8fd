/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules of objects and arrays. */
#include "ops/schema_value.h"

/* --- objects -------------------------------------------------------------------- */

static int compare_names(struct alk_span a, struct alk_span b)
{
    if (a.n != b.n) {
        return a.n < b.n ? -1 : 1;
    }
    return memcmp(a.p, b.p, a.n);
}

static const struct schema_node *find_property(const struct schema_members *m, struct alk_span name)
{
    size_t low = 0;
    size_t high = m->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(m->v[middle].name, name);
        if (order == 0) {
            return m->v[middle].node;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* All that the schema says of one member; *ret_known: it says something. */
static bool check_member(struct schema_check *c, const struct schema_members *m,
                         const struct schema_frame *f, yyjson_val *key, bool *ret_known)
{
    struct alk_span name = schema_str(key);
    const struct schema_node *node = find_property(m, name);
    bool fits = true;

    *ret_known = node != NULL;
    if (node != NULL) {
        fits = alk_schema_eval_member(c, node, f, key, key + 1);
    }
    for (size_t i = 0; i < m->pattern_count && c->err == ALK_OK; i++) {
        if (alk_schema_match(c, m->patterns[i], name)) {
            *ret_known = true;
            fits = alk_schema_eval_member(c, m->pattern_nodes[i], f, key, key + 1) && fits;
        }
    }
    if (!*ret_known && m->rest != NULL) {
        *ret_known = true;
        fits = alk_schema_eval_member(c, m->rest, f, key, key + 1);
    }
    return fits && c->err == ALK_OK;
}

bool alk_schema_check_members(struct schema_check *c, const struct schema_rule *r,
                              const struct schema_frame *f)
{
    size_t n = (size_t)schema_len(f->value);
    yyjson_val *key = unsafe_yyjson_get_first(f->value);
    bool fits = true;

    for (size_t i = 0; i < n; i++) {
        bool is_known;
        if (!schema_spend(c, 1)) {
            return false;
        }
        if (!check_member(c, &r->u.members, f, key, &is_known)) {
            fits = false;
            if (c->report == NULL || c->err != ALK_OK) {
                return false;
            }
        }
        if (is_known && f->marks != NULL) {
            alk_schema_marks_add(f->marks, i);
        }
        key = unsafe_yyjson_get_next(key + 1);
    }
    return fits;
}

bool alk_schema_check_other_members(struct schema_check *c, const struct schema_rule *r,
                                    const struct schema_frame *f)
{
    size_t n = (size_t)schema_len(f->value);
    yyjson_val *key = unsafe_yyjson_get_first(f->value);
    bool fits = true;

    for (size_t i = 0; i < n && c->err == ALK_OK; i++) {
        if (!alk_schema_marks_has(f->marks, i) &&
            !alk_schema_eval_member(c, r->u.node, f, key, key + 1)) {
            fits = false;
            if (c->report == NULL) {
                return false;
            }
        }
        key = unsafe_yyjson_get_next(key + 1);
    }
    f->marks->all = true;
    return fits && schema_spend(c, n / 16);
}

static bool has_member(struct schema_check *c, yyjson_val *object, struct alk_span name)
{
    return schema_spend(c, schema_len(object) / 8) && alk_schema_member(object, name) != NULL;
}

static bool fail_missing(struct schema_check *c, const struct schema_frame *f, const char *word,
                         struct alk_span name, const struct alk_span *because)
{
    struct schema_text t;

    if (alk_schema_blame(c, f, word, &t)) {
        alk_schema_put_str(&t, "\"");
        alk_schema_put(&t, name);
        alk_schema_put_str(&t, "\" is missing");
        if (because != NULL) {
            alk_schema_put_str(&t, ", which must come with \"");
            alk_schema_put(&t, *because);
            alk_schema_put_str(&t, "\"");
        }
        alk_schema_text_end(&t);
    }
    return false;
}

static bool check_names(struct schema_check *c, const struct schema_frame *f, const char *word,
                        const struct alk_span *names, size_t n, const struct alk_span *because)
{
    bool fits = true;

    for (size_t i = 0; i < n; i++) {
        if (!has_member(c, f->value, names[i])) {
            fits = fail_missing(c, f, word, names[i], because);
            if (c->report == NULL || c->err != ALK_OK) {
                return false;
            }
        }
    }
    return fits;
}

bool alk_schema_check_required(struct schema_check *c, const struct schema_rule *r,
                               const struct schema_frame *f)
{
    return check_names(c, f, r->word, r->u.names.v, r->u.names.n, NULL);
}

bool alk_schema_check_dependent(struct schema_check *c, const struct schema_rule *r,
                                const struct schema_frame *f)
{
    bool fits = true;

    for (size_t i = 0; i < r->u.dependent.n; i++) {
        const struct schema_dependency *d = &r->u.dependent.v[i];
        if (!schema_spend(c, 1)) {
            return false;
        }
        if (!has_member(c, f->value, d->name)) {
            continue;
        }
        fits = check_names(c, f, r->word, d->required, d->required_count, &d->name) && fits;
        fits = (d->node == NULL || alk_schema_eval(c, d->node, f, f->marks)) && fits;
        if (!fits && c->report == NULL) {
            return false;
        }
    }
    return fits && c->err == ALK_OK;
}

/* The name itself is the value that is looked at. */
static bool check_name(struct schema_check *c, const struct schema_rule *r,
                       const struct schema_frame *f, yyjson_val *key)
{
    struct alk_schema_report *report = schema_hush(c);
    bool fits = alk_schema_eval_member(c, r->u.node, f, key, key);
    struct schema_text t;

    c->report = report;
    if (!fits && alk_schema_blame(c, f, r->word, &t)) {
        alk_schema_put_str(&t, "the name ");
        alk_schema_put_value(&t, key);
        alk_schema_put_str(&t, " is not allowed");
        alk_schema_text_end(&t);
    }
    return fits;
}

bool alk_schema_check_names(struct schema_check *c, const struct schema_rule *r,
                            const struct schema_frame *f)
{
    yyjson_val *key = unsafe_yyjson_get_first(f->value);
    bool fits = true;

    for (uint64_t n = schema_len(f->value); n > 0; n--) {
        if (!check_name(c, r, f, key)) {
            fits = false;
            if (c->report == NULL || c->err != ALK_OK) {
                return false;
            }
        }
        key = unsafe_yyjson_get_next(key + 1);
    }
    return fits;
}

bool alk_schema_check_max_members(struct schema_check *c, const struct schema_rule *r,
                                  const struct schema_frame *f)
{
    return schema_len(f->value) <= r->u.count ||
           alk_schema_fail_count(c, f, r->word, "must have at most ", r->u.count, " member",
                                 " members");
}

bool alk_schema_check_min_members(struct schema_check *c, const struct schema_rule *r,
                                  const struct schema_frame *f)
{
    return schema_len(f->value) >= r->u.count ||
           alk_schema_fail_count(c, f, r->word, "must have at least ", r->u.count, " member",
                                 " members");
}

/* --- arrays --------------------------------------------------------------------- */

bool alk_schema_check_max_items(struct schema_check *c, const struct schema_rule *r,
                                const struct schema_frame *f)
{
    return schema_len(f->value) <= r->u.count ||
           alk_schema_fail_count(c, f, r->word, "must have at most ", r->u.count, " item",
                                 " items");
}

bool alk_schema_check_min_items(struct schema_check *c, const struct schema_rule *r,
                                const struct schema_frame *f)
{
    return schema_len(f->value) >= r->u.count ||
           alk_schema_fail_count(c, f, r->word, "must have at least ", r->u.count, " item",
                                 " items");
}

bool alk_schema_check_items(struct schema_check *c, const struct schema_rule *r,
                            const struct schema_frame *f)
{
    const struct schema_nodes *prefix = &r->u.items.prefix;
    size_t n = (size_t)schema_len(f->value);
    yyjson_val *item = unsafe_yyjson_get_first(f->value);
    bool fits = true;

    for (size_t i = 0; i < n; i++) {
        const struct schema_node *node = i < prefix->n ? prefix->v[i] : r->u.items.rest;
        if (node == NULL) {
            break;
        }
        if (!alk_schema_eval_item(c, node, f, i, item)) {
            fits = false;
            if (c->report == NULL || c->err != ALK_OK) {
                return false;
            }
        }
        if (f->marks != NULL) {
            alk_schema_marks_add(f->marks, i);
        }
        item = unsafe_yyjson_get_next(item);
    }
    return fits;
}

bool alk_schema_check_other_items(struct schema_check *c, const struct schema_rule *r,
                                  const struct schema_frame *f)
{
    size_t n = (size_t)schema_len(f->value);
    yyjson_val *item = unsafe_yyjson_get_first(f->value);
    bool fits = true;

    for (size_t i = 0; i < n && c->err == ALK_OK; i++) {
        if (!alk_schema_marks_has(f->marks, i) && !alk_schema_eval_item(c, r->u.node, f, i, item)) {
            fits = false;
            if (c->report == NULL) {
                return false;
            }
        }
        item = unsafe_yyjson_get_next(item);
    }
    f->marks->all = true;
    return fits && schema_spend(c, n / 16);
}

bool alk_schema_check_contains(struct schema_check *c, const struct schema_rule *r,
                               const struct schema_frame *f)
{
    size_t n = (size_t)schema_len(f->value);
    yyjson_val *item = unsafe_yyjson_get_first(f->value);
    struct alk_schema_report *report = schema_hush(c);
    bool counts_all = f->marks != NULL || r->u.contains.max != UINT64_MAX;
    uint64_t found = 0;

    for (size_t i = 0; i < n && c->err == ALK_OK; i++) {
        if (!counts_all && found >= r->u.contains.min) {
            break;
        }
        if (alk_schema_eval_item(c, r->u.contains.node, f, i, item)) {
            found++;
            if (f->marks != NULL) {
                alk_schema_marks_add(f->marks, i);
            }
        }
        item = unsafe_yyjson_get_next(item);
    }
    c->report = report;
    if (c->err != ALK_OK) {
        return false;
    }
    if (found < r->u.contains.min) {
        return alk_schema_fail_count(c, f, r->word, "must hold at least ", r->u.contains.min,
                                     " item that fits", " items that fit");
    }
    return found <= r->u.contains.max ||
           alk_schema_fail_count(c, f, r->word, "must hold at most ", r->u.contains.max,
                                 " item that fits", " items that fit");
}

/* --- uniqueItems ---------------------------------------------------------------- */

/* Fewer items than this are compared pair by pair. */
#define PAIRWISE_MAX 8

struct slot {
    yyjson_val *item; /* NULL: empty */
    uint64_t hash;
};

static bool fail_twice(struct schema_check *c, const struct schema_rule *r,
                       const struct schema_frame *f, yyjson_val *item)
{
    struct schema_text t;

    if (alk_schema_blame(c, f, r->word, &t)) {
        alk_schema_put_str(&t, "must not hold the same item twice: ");
        alk_schema_put_value(&t, item);
        alk_schema_text_end(&t);
    }
    return false;
}

static bool check_pairs(struct schema_check *c, const struct schema_rule *r,
                        const struct schema_frame *f, size_t n)
{
    yyjson_val *a = unsafe_yyjson_get_first(f->value);

    for (size_t i = 0; i < n; i++) {
        yyjson_val *b = a;
        for (size_t k = i + 1; k < n; k++) {
            b = unsafe_yyjson_get_next(b);
            if (alk_schema_equal(c, a, b)) {
                return fail_twice(c, r, f, a);
            }
        }
        a = unsafe_yyjson_get_next(a);
    }
    return c->err == ALK_OK;
}

/* Puts the item into the table; false: it is there, or the check has ended. */
static bool insert(struct schema_check *c, struct slot *slots, size_t mask, yyjson_val *item)
{
    uint64_t hash = alk_schema_hash(c, item);

    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        if (!schema_spend(c, 1)) {
            return false;
        }
        if (slots[at].item == NULL) {
            slots[at] = (struct slot){item, hash};
            return true;
        }
        if (slots[at].hash == hash && alk_schema_equal(c, slots[at].item, item)) {
            return false;
        }
    }
}

bool alk_schema_check_unique(struct schema_check *c, const struct schema_rule *r,
                             const struct schema_frame *f)
{
    size_t n = (size_t)schema_len(f->value);
    size_t size = 4 * PAIRWISE_MAX;
    bool fits = true;

    if (n < PAIRWISE_MAX) {
        return check_pairs(c, r, f, n);
    }
    while (size / 2 < n && size < SCHEMA_SCRATCH_MAX) {
        size *= 2;
    }
    struct slot *slots = (struct slot *)alk_schema_scratch(c, size * sizeof *slots);
    yyjson_val *item = unsafe_yyjson_get_first(f->value);
    for (size_t i = 0; i < n && slots != NULL && fits; i++) {
        fits = insert(c, slots, size - 1, item);
        if (!fits && c->err == ALK_OK) {
            (void)fail_twice(c, r, f, item);
        }
        item = unsafe_yyjson_get_next(item);
    }
    alk_schema_scratch_free(c, slots, size * sizeof *slots);
    return fits && c->err == ALK_OK;
}
