/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_impl.h - what the parts of the schema compiler and of the checker
 * share (docs/design/schema.md).
 *
 * A compiled schema is a graph of nodes, one for each subschema, in one arena. A
 * node holds a list of rules in the order in which they are applied; a rule is a
 * function, the kinds of values it looks at, and its operand. Everything here is
 * written by the compiler and only read afterwards.
 */
#ifndef ALK_OPS_SCHEMA_IMPL_H
#define ALK_OPS_SCHEMA_IMPL_H

#include "ops/schema.h"

#include <yyjson.h>

/* Bounds that the caller cannot set; each has a test. */
#define SCHEMA_ARENA_MAX   ((size_t)16 << 20)  /* bytes of a compiled schema */
#define SCHEMA_SCRATCH_MAX ((size_t)4 << 20)   /* bytes of one check */
#define SCHEMA_EVAL_DEPTH  512                 /* subschemas within one another, in one check */
#define SCHEMA_CHAIN_MAX   256                 /* of these, applied to one and the same value */
#define SCHEMA_EFFORT_MAX  ((uint64_t)1 << 25) /* members passed over while following pointers */
#define SCHEMA_URI_MAX     2048                /* bytes of a resolved URI */
#define SCHEMA_PATTERN_MAX 4096                /* bytes of one pattern */
#define SCHEMA_REGEX_MAX   ((size_t)1 << 20)   /* bytes of all compiled patterns */

/* --- memory ------------------------------------------------------------------- */

struct schema_chunk;
struct schema_arena {
    const struct alk_mem *mem;
    struct schema_chunk *chunks; /* owns */
    uint8_t *at, *end;
    size_t used;
    alk_err err; /* sticky: ALK_E_NOMEM, ALK_E_TOO_BIG */
};
/* Zeroed; NULL (and err) when there is none. Given back all at once. */
void *alk_schema_alloc(struct schema_arena *a, size_t count, size_t size);
void alk_schema_arena_fini(struct schema_arena *a);

/* --- text that is cut where its room ends ------------------------------------- */

struct schema_text {
    char *p;
    size_t n, size;
    bool is_cut;
};
void alk_schema_text_init(struct schema_text *t, char *dst, size_t size);
void alk_schema_put(struct schema_text *t, struct alk_span s);
void alk_schema_put_str(struct schema_text *t, const char *s);
void alk_schema_put_u64(struct schema_text *t, uint64_t n);
/* One reference token of a JSON Pointer, with its slash. */
void alk_schema_put_token(struct schema_text *t, struct alk_span token);
/* As JSON, strings escaped; arrays and objects are named only. */
void alk_schema_put_value(struct schema_text *t, yyjson_val *value);
/* Ends the text; one that was cut ends in "...", between characters. */
void alk_schema_text_end(struct schema_text *t);

/* --- the compiled schema ------------------------------------------------------ */

enum {
    KIND_NULL = 1,
    KIND_BOOL = 2,
    KIND_NUMBER = 4,
    KIND_STRING = 8,
    KIND_ARRAY = 16,
    KIND_OBJECT = 32,
    KIND_INTEGER = 64, /* in types only: a number without fraction */
    KIND_ANY = 63
};

struct schema_check;
struct schema_node;
struct schema_rule;
struct schema_frame;
/* Whether the frame's value fits. False too when the check has ended (c->err). */
typedef bool schema_rule_fn(struct schema_check *c, const struct schema_rule *r,
                            const struct schema_frame *f);

struct schema_regex {
    struct schema_regex *next;
    struct pcre2_real_code_8 *code; /* owns */
    struct alk_span source;
    uint32_t repeat; /* the largest number in a quantifier */
    bool has_references;
};

struct schema_nodes {
    struct schema_node **v;
    size_t n;
};
struct schema_values { /* const and enum; sorted by hash when there are many */
    yyjson_val **v;
    uint64_t *hashes; /* NULL: few */
    size_t n;
};
struct schema_member {
    struct alk_span name;
    struct schema_node *node;
};
struct schema_members {      /* properties, patternProperties, additionalProperties */
    struct schema_member *v; /* sorted by length, then bytes */
    size_t n;
    struct schema_regex **patterns;
    struct schema_node **pattern_nodes;
    size_t pattern_count;
    struct schema_node *rest; /* may be NULL */
};
struct schema_dependency { /* dependentRequired, dependentSchemas, dependencies */
    struct alk_span name;
    struct alk_span *required;
    size_t required_count;
    struct schema_node *node; /* may be NULL */
};

struct schema_decimal { /* m * 10^e */
    uint64_t m;
    int e;
};

struct schema_rule {
    schema_rule_fn *check;
    const char *word; /* the keyword; NULL: the rule is several of them */
    struct schema_rule *next;
    uint8_t applies; /* kinds */
    bool is_late;    /* unevaluated*: not looked at when the node has failed */
    union {
        struct schema_node *node;
        struct {
            struct schema_node *node;
            struct alk_span anchor;
        } dynamic;
        struct schema_nodes nodes;
        struct {
            struct schema_nodes prefix;
            struct schema_node *rest;
        } items;
        struct {
            struct schema_node *node;
            uint64_t min, max;
        } contains;
        struct {
            struct schema_node *cond, *yes, *no; /* yes, no: may be NULL */
        } branch;
        struct {
            struct schema_dependency *v;
            size_t n;
        } dependent;
        struct {
            struct alk_span *v;
            size_t n;
        } names;
        struct schema_members members;
        struct schema_values values;
        const struct schema_format *format;
        struct schema_regex *regex;
        struct schema_decimal divisor;
        yyjson_val *limit;
        uint64_t count;
        unsigned types;
    } u;
    yyjson_val *json; /* the keyword's value */
};

struct schema_anchor {
    struct schema_anchor *next;
    struct alk_span name;
    struct schema_node *node;
};
struct schema_resource {
    struct alk_span uri;
    struct schema_node *root;
    struct schema_anchor *dynamic; /* its $dynamicAnchor */
    unsigned vocabularies;
};

struct schema_node {
    yyjson_val *json;
    struct schema_doc *doc;
    struct schema_resource *resource;
    struct schema_rule *rules;
    struct schema_node *next; /* in the order of finding */
    /* Its place: keyword of the parent, then the name or the index in it. */
    const struct schema_node *parent;
    const char *word;
    yyjson_val *key;
    size_t index;
    bool has_index;
    struct alk_span pointer; /* instead, when no keyword of ours holds it */
    bool is_true, is_false;
    bool watches; /* has unevaluatedItems or unevaluatedProperties */
    uint8_t colour;
    uint32_t chain; /* subschemas applied to one value, one within another */
    uint64_t cost;  /* and how many of them in all */
};

struct schema_doc {
    struct schema_doc *next;
    yyjson_doc *json;           /* owns */
    struct schema_node **nodes; /* by the position of their value */
    struct schema_node *root;
};

struct schema_regexes; /* memory of the compiled patterns */
struct schema_flat;
struct alk_schema {
    const struct alk_mem *mem;
    struct schema_arena arena;
    struct schema_doc *docs;
    struct schema_node *root;
    struct schema_flat *flat; /* the same for texts; NULL: only trees can be checked */
    struct schema_regex *regexes;
    struct schema_regexes *pool;
    uint64_t steps;
};

/* JSON Pointer of a node, or of one of its keywords (word may be NULL). */
void alk_schema_put_place(struct schema_text *t, const struct schema_node *node, const char *word);

static inline struct alk_span schema_str(yyjson_val *v)
{
    return alk_span(unsafe_yyjson_get_str(v), unsafe_yyjson_get_len(v));
}

#endif
