/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules that hand the same value to other subschemas: references, combinations,
 * conditions; and those that look at any kind of value: type, enum, const. */
#include "ops/schema_number.h"
#include "ops/schema_value.h"

/* --- any kind ------------------------------------------------------------------- */

static const struct {
    unsigned type;
    const char *name;
} type_names[] = {
    {KIND_NULL, "null"},        {KIND_BOOL, "true or false"}, {KIND_INTEGER, "an integer"},
    {KIND_NUMBER, "a number"},  {KIND_STRING, "a string"},    {KIND_ARRAY, "an array"},
    {KIND_OBJECT, "an object"},
};

static bool fail_type(struct schema_check *c, const struct schema_rule *r,
                      const struct schema_frame *f)
{
    struct schema_text t;

    if (!alk_schema_blame(c, f, r->word, &t)) {
        return false;
    }
    const char *before = "must be ";
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if ((r->u.types & type_names[i].type) != 0) {
            alk_schema_put_str(&t, before);
            alk_schema_put_str(&t, type_names[i].name);
            before = " or ";
        }
    }
    alk_schema_text_end(&t);
    return false;
}

bool alk_schema_check_type(struct schema_check *c, const struct schema_rule *r,
                           const struct schema_frame *f)
{
    uint8_t kind = schema_kind(f->value);

    if ((r->u.types & kind) != 0 || (kind == KIND_NUMBER && (r->u.types & KIND_INTEGER) != 0 &&
                                     alk_schema_is_integral(f->value))) {
        return true;
    }
    return fail_type(c, r, f);
}

bool alk_schema_check_enum(struct schema_check *c, const struct schema_rule *r,
                           const struct schema_frame *f)
{
    struct schema_text t;

    if (alk_schema_values_hold(c, &r->u.values, f->value)) {
        return true;
    }
    if (alk_schema_blame(c, f, r->word, &t)) {
        yyjson_val *item = unsafe_yyjson_get_first(r->json);
        alk_schema_put_str(&t, "must be one of ");
        for (size_t i = 0; i < r->u.values.n && !t.is_cut; i++) {
            alk_schema_put_str(&t, i == 0 ? "" : ", ");
            alk_schema_put_value(&t, item);
            item = unsafe_yyjson_get_next(item);
        }
        alk_schema_text_end(&t);
    }
    return false;
}

bool alk_schema_check_const(struct schema_check *c, const struct schema_rule *r,
                            const struct schema_frame *f)
{
    return alk_schema_equal(c, r->json, f->value) || alk_schema_fail_value(c, f, r, "must be ", "");
}

/* --- references ----------------------------------------------------------------- */

bool alk_schema_check_ref(struct schema_check *c, const struct schema_rule *r,
                          const struct schema_frame *f)
{
    return alk_schema_eval(c, r->u.node, f, f->marks);
}

static const struct schema_node *find_anchor(const struct schema_resource *resource,
                                             struct alk_span name)
{
    for (const struct schema_anchor *a = resource->dynamic; a != NULL; a = a->next) {
        if (alk_span_equal(a->name, name)) {
            return a->node;
        }
    }
    return NULL;
}

/* The outermost resource that has such a dynamic anchor decides. */
bool alk_schema_check_dynamic_ref(struct schema_check *c, const struct schema_rule *r,
                                  const struct schema_frame *f)
{
    const struct schema_node *target = r->u.dynamic.node;

    for (const struct schema_scope *s = f->scope; s != NULL; s = s->up) {
        const struct schema_node *found = find_anchor(s->resource, r->u.dynamic.anchor);
        target = found == NULL ? target : found;
        if (!schema_spend(c, 1)) {
            return false;
        }
    }
    return alk_schema_eval(c, target, f, f->marks);
}

/* --- combinations --------------------------------------------------------------- */

/* Evaluates what may fail: errors are not collected, and marks count only when it
 * fits. */
static bool try_node(struct schema_check *c, const struct schema_node *node,
                     const struct schema_frame *f)
{
    struct alk_schema_report *report = schema_hush(c);
    bool fits = false;

    if (f->marks == NULL) {
        fits = alk_schema_eval(c, node, f, NULL);
    } else {
        struct schema_marks own;
        if (alk_schema_marks_init(c, &own, f->value)) {
            fits = alk_schema_eval(c, node, f, &own);
            if (fits) {
                alk_schema_marks_merge(f->marks, &own);
            }
            alk_schema_marks_fini(c, &own);
        }
    }
    c->report = report;
    return fits;
}

bool alk_schema_check_all(struct schema_check *c, const struct schema_rule *r,
                          const struct schema_frame *f)
{
    bool fits = true;

    for (size_t i = 0; i < r->u.nodes.n; i++) {
        if (!alk_schema_eval(c, r->u.nodes.v[i], f, f->marks)) {
            fits = false;
            if (c->report == NULL || c->err != ALK_OK) {
                return false;
            }
        }
    }
    return fits;
}

/* Of an only alternative, which did not fit, the errors are the errors. Silently it
 * must not run twice: within one another that doubles each time. */
static bool say_why(struct schema_check *c, const struct schema_node *node,
                    const struct schema_frame *f)
{
    return c->report != NULL && alk_schema_eval(c, node, f, NULL);
}

bool alk_schema_check_any(struct schema_check *c, const struct schema_rule *r,
                          const struct schema_frame *f)
{
    bool fits = false;

    /* Without marks the first that fits is enough. */
    for (size_t i = 0; i < r->u.nodes.n && (!fits || f->marks != NULL); i++) {
        fits = try_node(c, r->u.nodes.v[i], f) || fits;
        if (c->err != ALK_OK) {
            return false;
        }
    }
    if (fits) {
        return true;
    }
    if (r->u.nodes.n == 1) {
        return say_why(c, r->u.nodes.v[0], f);
    }
    return alk_schema_fail_count(c, f, r->word, "must fit at least one of ", r->u.nodes.n, "",
                                 " alternatives");
}

bool alk_schema_check_one(struct schema_check *c, const struct schema_rule *r,
                          const struct schema_frame *f)
{
    size_t first = 0;
    size_t fits = 0;

    for (size_t i = 0; i < r->u.nodes.n; i++) {
        if (!try_node(c, r->u.nodes.v[i], f)) {
            if (c->err != ALK_OK) {
                return false;
            }
            continue;
        }
        if (++fits == 2) {
            struct schema_text t;
            if (alk_schema_blame(c, f, r->word, &t)) {
                alk_schema_put_str(&t, "must fit one alternative only, but fits number ");
                alk_schema_put_u64(&t, first + 1);
                alk_schema_put_str(&t, " and number ");
                alk_schema_put_u64(&t, i + 1);
                alk_schema_text_end(&t);
            }
            return false;
        }
        first = i;
    }
    if (fits == 1) {
        return true;
    }
    if (r->u.nodes.n == 1) {
        return say_why(c, r->u.nodes.v[0], f);
    }
    return alk_schema_fail_count(c, f, r->word, "must fit exactly one of ", r->u.nodes.n, "",
                                 " alternatives, but fits none");
}

bool alk_schema_check_not(struct schema_check *c, const struct schema_rule *r,
                          const struct schema_frame *f)
{
    struct alk_schema_report *report = schema_hush(c);
    bool fits = alk_schema_eval(c, r->u.node, f, NULL);

    c->report = report;
    if (c->err != ALK_OK) {
        return false;
    }
    return !fits || alk_schema_fail(c, f, r->word, "is what it must not be");
}

bool alk_schema_check_if(struct schema_check *c, const struct schema_rule *r,
                         const struct schema_frame *f)
{
    bool fits = try_node(c, r->u.branch.cond, f);

    if (c->err != ALK_OK) {
        return false;
    }
    const struct schema_node *next = fits ? r->u.branch.yes : r->u.branch.no;
    return next == NULL || alk_schema_eval(c, next, f, f->marks);
}
