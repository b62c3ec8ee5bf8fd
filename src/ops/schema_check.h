/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_check.h - the state of one check, and what the rules share.
 *
 * A check runs twice at the most: first silently, which ends at the first thing
 * that is wrong, then, when something was, once more to collect the errors. Both
 * draw on one budget of steps.
 */
#ifndef ALK_OPS_SCHEMA_CHECK_H
#define ALK_OPS_SCHEMA_CHECK_H

#include "ops/schema_impl.h"

struct schema_matcher;

struct schema_check {
    const struct alk_schema *schema;
    uint64_t steps; /* left */
    size_t scratch; /* bytes in use */
    unsigned depth;
    alk_err err; /* sticky: ALK_E_LIMIT, ALK_E_NOMEM; all rules answer false then */
    struct alk_schema_report *report; /* NULL: silent */
    struct schema_matcher *matcher;   /* memory for patterns, made when first needed */
};

/* Where in the value: innermost first. */
struct schema_where {
    const struct schema_where *up;
    yyjson_val *key; /* NULL: index */
    size_t index;
};
/* The resources entered, innermost first. */
struct schema_scope {
    const struct schema_scope *up;
    const struct schema_resource *resource;
};
/* Members or items that a subschema has looked at, for unevaluated*. */
struct schema_marks {
    size_t n;
    bool all;
    uint64_t *bits;
    uint64_t few[2];
};
struct schema_frame {
    const struct schema_node *node;
    yyjson_val *value;
    const struct schema_where *where;
    const struct schema_scope *scope;
    struct schema_marks *marks; /* NULL: nobody asks */
};

/* Takes n steps; false (and err) when there are not so many left. */
static inline bool schema_spend(struct schema_check *c, uint64_t n)
{
    if (c->steps < n || c->err != ALK_OK) {
        c->steps = 0;
        c->err = c->err == ALK_OK ? ALK_E_LIMIT : c->err;
        return false;
    }
    c->steps -= n;
    return true;
}

/* Zeroed; NULL (and err). */
void *alk_schema_scratch(struct schema_check *c, size_t n);
void alk_schema_scratch_free(struct schema_check *c, void *p, size_t n);

bool alk_schema_eval(struct schema_check *c, const struct schema_node *node,
                     const struct schema_frame *from, struct schema_marks *marks);
/* The same for a member (key) or an item of the frame's value. */
bool alk_schema_eval_member(struct schema_check *c, const struct schema_node *node,
                            const struct schema_frame *from, yyjson_val *key, yyjson_val *value);
bool alk_schema_eval_item(struct schema_check *c, const struct schema_node *node,
                          const struct schema_frame *from, size_t index, yyjson_val *value);

/* Errors are collected from here on / were before: for what may fail. */
static inline struct alk_schema_report *schema_hush(struct schema_check *c)
{
    struct alk_schema_report *report = c->report;
    c->report = NULL;
    return report;
}

/* Begins an error: fills its places and gives the text to write what into. False
 * when nobody collects errors. End with alk_schema_text_end. */
bool alk_schema_blame(struct schema_check *c, const struct schema_frame *f, const char *word,
                      struct schema_text *ret);
/* A whole error; always false. */
bool alk_schema_fail(struct schema_check *c, const struct schema_frame *f, const char *word,
                     const char *what);
/* before, the keyword's value, after. Always false. */
bool alk_schema_fail_value(struct schema_check *c, const struct schema_frame *f,
                           const struct schema_rule *r, const char *before, const char *after);
/* before, n, and one or many after it. Always false. */
bool alk_schema_fail_count(struct schema_check *c, const struct schema_frame *f, const char *word,
                           const char *before, uint64_t n, const char *one, const char *many);

bool alk_schema_marks_init(struct schema_check *c, struct schema_marks *m, yyjson_val *value);
void alk_schema_marks_fini(struct schema_check *c, struct schema_marks *m);
void alk_schema_marks_add(struct schema_marks *m, size_t i);
bool alk_schema_marks_has(const struct schema_marks *m, size_t i);
void alk_schema_marks_merge(struct schema_marks *into, const struct schema_marks *from);

/* Whether the pattern matches somewhere in the text. */
bool alk_schema_match(struct schema_check *c, const struct schema_regex *regex,
                      struct alk_span text);
void alk_schema_matcher_free(struct schema_check *c);

/* The rules. */
schema_rule_fn alk_schema_check_type, alk_schema_check_enum, alk_schema_check_const,
    alk_schema_check_multiple, alk_schema_check_max, alk_schema_check_less, alk_schema_check_min,
    alk_schema_check_more, alk_schema_check_max_length, alk_schema_check_min_length,
    alk_schema_check_pattern, alk_schema_check_format, alk_schema_check_max_items,
    alk_schema_check_min_items, alk_schema_check_unique, alk_schema_check_contains,
    alk_schema_check_items, alk_schema_check_max_members, alk_schema_check_min_members,
    alk_schema_check_required, alk_schema_check_dependent, alk_schema_check_names,
    alk_schema_check_members, alk_schema_check_ref, alk_schema_check_dynamic_ref,
    alk_schema_check_all, alk_schema_check_any, alk_schema_check_one, alk_schema_check_not,
    alk_schema_check_if, alk_schema_check_other_items, alk_schema_check_other_members;

#endif
