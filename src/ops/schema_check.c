/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Walks value and program together: the budget, the places, the marks of what has
 * been looked at, and the way from one subschema into another. */
#include "ops/schema_check.h"

#include "base/mem.h"
#include "ops/schema_value.h"

/* --- memory --------------------------------------------------------------------- */

void *alk_schema_scratch(struct schema_check *c, size_t n)
{
    if (n > SCHEMA_SCRATCH_MAX - c->scratch || !schema_spend(c, n / 256)) {
        c->err = c->err == ALK_OK ? ALK_E_LIMIT : c->err;
        return NULL;
    }
    void *p = alk_zalloc(c->schema->mem, n, 1);
    if (p == NULL) {
        c->err = ALK_E_NOMEM;
        return NULL;
    }
    c->scratch += n;
    return p;
}

void alk_schema_scratch_free(struct schema_check *c, void *p, size_t n)
{
    if (p != NULL) {
        c->scratch -= n;
        alk_free(c->schema->mem, p);
    }
}

/* --- marks ---------------------------------------------------------------------- */

static size_t words_of(size_t n)
{
    return (n + 63) / 64;
}

bool alk_schema_marks_init(struct schema_check *c, struct schema_marks *m, yyjson_val *value)
{
    bool has_parts = (schema_kind(value) & (KIND_ARRAY | KIND_OBJECT)) != 0;

    *m = (struct schema_marks){.n = has_parts ? (size_t)schema_len(value) : 0};
    size_t words = words_of(m->n);
    if (words <= sizeof m->few / sizeof m->few[0]) {
        m->bits = m->few;
        return true;
    }
    m->bits = (uint64_t *)alk_schema_scratch(c, words * sizeof *m->bits);
    return m->bits != NULL;
}

void alk_schema_marks_fini(struct schema_check *c, struct schema_marks *m)
{
    if (m->bits != m->few) {
        alk_schema_scratch_free(c, m->bits, words_of(m->n) * sizeof *m->bits);
    }
}

void alk_schema_marks_add(struct schema_marks *m, size_t i)
{
    m->bits[i / 64] |= (uint64_t)1 << (i % 64);
}

bool alk_schema_marks_has(const struct schema_marks *m, size_t i)
{
    return m->all || (m->bits[i / 64] >> (i % 64) & 1) != 0;
}

void alk_schema_marks_merge(struct schema_marks *into, const struct schema_marks *from)
{
    into->all = into->all || from->all;
    for (size_t i = 0; i < words_of(into->n); i++) {
        into->bits[i] |= from->bits[i];
    }
}

/* --- errors --------------------------------------------------------------------- */

static void put_where(struct schema_text *t, const struct schema_where *where)
{
    const struct schema_where *chain[SCHEMA_EVAL_DEPTH];
    size_t n = 0;

    for (; where != NULL && where->up != NULL && n < SCHEMA_EVAL_DEPTH; where = where->up) {
        chain[n++] = where;
    }
    while (n-- > 0) {
        if (chain[n]->key != NULL) {
            alk_schema_put_token(t, schema_str(chain[n]->key));
        } else {
            alk_schema_put_str(t, "/");
            alk_schema_put_u64(t, chain[n]->index);
        }
    }
}

bool alk_schema_blame(struct schema_check *c, const struct schema_frame *f, const char *word,
                      struct schema_text *ret)
{
    if (c->report == NULL || c->err != ALK_OK || c->report->count == ALK_SCHEMA_ERRORS_MAX) {
        return false;
    }
    struct alk_schema_error *e = &c->report->errors[c->report->count++];
    struct schema_text t;
    alk_schema_text_init(&t, e->at, sizeof e->at);
    put_where(&t, f->where);
    alk_schema_text_end(&t);
    alk_schema_text_init(&t, e->rule, sizeof e->rule);
    alk_schema_put_place(&t, f->node, word);
    alk_schema_text_end(&t);
    alk_schema_text_init(ret, e->what, sizeof e->what);
    return true;
}

bool alk_schema_fail(struct schema_check *c, const struct schema_frame *f, const char *word,
                     const char *what)
{
    struct schema_text t;

    if (alk_schema_blame(c, f, word, &t)) {
        alk_schema_put_str(&t, what);
        alk_schema_text_end(&t);
    }
    return false;
}

bool alk_schema_fail_value(struct schema_check *c, const struct schema_frame *f,
                           const struct schema_rule *r, const char *before, const char *after)
{
    struct schema_text t;

    if (alk_schema_blame(c, f, r->word, &t)) {
        alk_schema_put_str(&t, before);
        alk_schema_put_value(&t, r->json);
        alk_schema_put_str(&t, after);
        alk_schema_text_end(&t);
    }
    return false;
}

bool alk_schema_fail_count(struct schema_check *c, const struct schema_frame *f, const char *word,
                           const char *before, uint64_t n, const char *one, const char *many)
{
    struct schema_text t;

    if (alk_schema_blame(c, f, word, &t)) {
        alk_schema_put_str(&t, before);
        alk_schema_put_u64(&t, n);
        alk_schema_put_str(&t, n == 1 ? one : many);
        alk_schema_text_end(&t);
    }
    return false;
}

/* --- evaluation ----------------------------------------------------------------- */

static bool run_rules(struct schema_check *c, const struct schema_frame *f)
{
    uint8_t kind = schema_kind(f->value);
    bool fits = true;

    for (const struct schema_rule *r = f->node->rules; r != NULL; r = r->next) {
        if ((r->applies & kind) == 0 || (r->is_late && !fits)) {
            continue;
        }
        if (!schema_spend(c, 1)) {
            return false;
        }
        if (!r->check(c, r, f)) {
            fits = false;
            if (c->report == NULL || c->err != ALK_OK) {
                return false;
            }
        }
    }
    return fits;
}

/* A node that watches has marks of its own: what its cousins looked at does not
 * count for it, but what it looked at counts for its parent. */
static bool run_watching(struct schema_check *c, struct schema_frame *f)
{
    struct schema_marks own;
    struct schema_marks *outer = f->marks;

    if (!alk_schema_marks_init(c, &own, f->value)) {
        return false;
    }
    f->marks = &own;
    bool fits = run_rules(c, f);
    if (fits && outer != NULL) {
        alk_schema_marks_merge(outer, &own);
    }
    alk_schema_marks_fini(c, &own);
    return fits;
}

static bool run(struct schema_check *c, struct schema_frame *f)
{
    const struct schema_node *node = f->node;

    if (!schema_spend(c, 1) || node->is_true) {
        return c->err == ALK_OK;
    }
    if (node->is_false) {
        return alk_schema_fail(c, f, NULL,
                               f->where->up == NULL ? "fits nothing" : "is not allowed");
    }
    if (c->depth >= SCHEMA_EVAL_DEPTH) {
        c->err = ALK_E_LIMIT;
        return false;
    }
    struct schema_scope entered = {f->scope, node->resource};
    if (f->scope == NULL || f->scope->resource != node->resource) {
        f->scope = &entered;
    }
    c->depth++;
    bool fits = node->watches ? run_watching(c, f) : run_rules(c, f);
    c->depth--;
    return fits;
}

bool alk_schema_eval(struct schema_check *c, const struct schema_node *node,
                     const struct schema_frame *from, struct schema_marks *marks)
{
    struct schema_frame f = {node, from->value, from->where, from->scope, marks};
    return run(c, &f);
}

bool alk_schema_eval_member(struct schema_check *c, const struct schema_node *node,
                            const struct schema_frame *from, yyjson_val *key, yyjson_val *value)
{
    struct schema_where where = {from->where, key, 0};
    struct schema_frame f = {node, value, &where, from->scope, NULL};
    return run(c, &f);
}

bool alk_schema_eval_item(struct schema_check *c, const struct schema_node *node,
                          const struct schema_frame *from, size_t index, yyjson_val *value)
{
    struct schema_where where = {from->where, NULL, index};
    struct schema_frame f = {node, value, &where, from->scope, NULL};
    return run(c, &f);
}

static bool run_root(struct schema_check *c, yyjson_val *value)
{
    struct schema_where whole = {NULL, NULL, 0};
    struct schema_frame f = {c->schema->root, value, &whole, NULL, NULL};
    return run(c, &f);
}

/* The value is known not to fit. When the budget ends before the place is found,
 * that is still the answer. */
static void collect(struct schema_check *c, yyjson_val *value, struct alk_schema_report *report)
{
    c->report = report;
    (void)run_root(c, value);
    if (report->count == 0 && c->err != ALK_E_NOMEM) {
        struct schema_where whole = {NULL, NULL, 0};
        struct schema_frame f = {c->schema->root, value, &whole, NULL, NULL};
        c->err = ALK_OK;
        (void)alk_schema_fail(c, &f, NULL, "does not fit; it costs too much to say where");
    }
}

alk_err alk_schema_check(const struct alk_schema *schema, const struct yyjson_val *value,
                         struct alk_schema_report *report)
{
    struct schema_check c = {.schema = schema, .steps = schema->steps};
    yyjson_val *v = (yyjson_val *)(uintptr_t)value; /* yyjson has no const readers */

    if (report != NULL) {
        report->count = 0;
    }
    bool fits = run_root(&c, v);
    alk_err err = c.err != ALK_OK ? c.err : fits ? ALK_OK : ALK_E_INVALID;
    if (err == ALK_E_INVALID && report != NULL) {
        collect(&c, v, report);
        if (c.err == ALK_E_NOMEM) {
            report->count = 0;
            err = ALK_E_NOMEM;
        }
    }
    alk_schema_matcher_free(&c);
    return err;
}
