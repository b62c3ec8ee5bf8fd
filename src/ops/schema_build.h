/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_build.h - the state of the schema compiler.
 *
 *   index    finds the subschemas of a document, with their $id and anchors
 *   rules    turns the keywords of each node into rules, resolving references
 *   graph    refuses loops without progress and costs out of all proportion
 */
#ifndef ALK_OPS_SCHEMA_BUILD_H
#define ALK_OPS_SCHEMA_BUILD_H

#include "ops/schema_impl.h"

enum schema_word {
    WORD_ID,
    WORD_SCHEMA,
    WORD_ANCHOR,
    WORD_DYNAMIC_ANCHOR,
    WORD_REF,
    WORD_DYNAMIC_REF,
    WORD_DEFS,
    WORD_TYPE,
    WORD_ENUM,
    WORD_CONST,
    WORD_MULTIPLE_OF,
    WORD_MAXIMUM,
    WORD_EXCLUSIVE_MAXIMUM,
    WORD_MINIMUM,
    WORD_EXCLUSIVE_MINIMUM,
    WORD_MAX_LENGTH,
    WORD_MIN_LENGTH,
    WORD_PATTERN,
    WORD_FORMAT,
    WORD_MAX_ITEMS,
    WORD_MIN_ITEMS,
    WORD_UNIQUE_ITEMS,
    WORD_MAX_CONTAINS,
    WORD_MIN_CONTAINS,
    WORD_MAX_PROPERTIES,
    WORD_MIN_PROPERTIES,
    WORD_REQUIRED,
    WORD_DEPENDENT_REQUIRED,
    WORD_DEPENDENT_SCHEMAS,
    WORD_DEPENDENCIES,
    WORD_PREFIX_ITEMS,
    WORD_ITEMS,
    WORD_CONTAINS,
    WORD_PROPERTIES,
    WORD_PATTERN_PROPERTIES,
    WORD_ADDITIONAL_PROPERTIES,
    WORD_PROPERTY_NAMES,
    WORD_ALL_OF,
    WORD_ANY_OF,
    WORD_ONE_OF,
    WORD_NOT,
    WORD_IF,
    WORD_THEN,
    WORD_ELSE,
    WORD_UNEVALUATED_ITEMS,
    WORD_UNEVALUATED_PROPERTIES,
    WORD_COUNT
};

enum {
    VOCABULARY_CORE = 1,
    VOCABULARY_APPLICATOR = 2,
    VOCABULARY_UNEVALUATED = 4,
    VOCABULARY_VALIDATION = 8,
    VOCABULARY_FORMAT_ANNOTATION = 16,
    VOCABULARY_FORMAT_ASSERTION = 32,
    VOCABULARY_OTHERS = 64, /* meta-data, content: nothing to do */
    VOCABULARY_STANDARD = 95
};

/* How subschemas lie in a keyword's value. */
enum schema_shape { SHAPE_NONE, SHAPE_ONE, SHAPE_LIST, SHAPE_MAP, SHAPE_MAP_OR_NAMES };

struct schema_word_row {
    const char *name;
    enum schema_shape shape;
    unsigned vocabulary;
};
extern const struct schema_word_row alk_schema_words[WORD_COUNT];
/* The keyword of this name that the node's dialect has; WORD_COUNT: none. */
enum schema_word alk_schema_word_find(struct alk_span name, unsigned vocabularies);

/* A URI, or URI#anchor, and the node it names. */
struct schema_name {
    struct alk_span text;
    struct schema_node *node;
    bool is_dynamic;
};

struct schema_build {
    struct alk_schema *schema; /* gives */
    const struct alk_schema_options *options;
    struct schema_name *names; /* owns; sorted by text */
    size_t name_count, name_size;
    struct schema_node *first, *last; /* all nodes */
    size_t node_count;
    uint64_t effort; /* members passed over while following pointers */
    char *why;
    size_t why_size;
};

/* Writes `<place> <what>` into why. Always ALK_E_INVALID. */
alk_err alk_schema_refuse(struct schema_build *b, const struct schema_node *node, const char *word,
                          const char *what);

/* schema_index.c */
/* Reads a document of the caller's: the schema itself (uri empty), or one of
 * options->docs. */
ALK_NODISCARD alk_err alk_schema_load(struct schema_build *b, struct alk_span uri,
                                      struct alk_span text, struct schema_doc **ret);
/* The node of a value that no keyword of ours holds, found by a reference. */
ALK_NODISCARD alk_err alk_schema_index_at(struct schema_build *b, struct schema_node *near,
                                          yyjson_val *json, struct alk_span pointer,
                                          struct schema_node **ret);
/* NULL: this value is not a subschema. */
struct schema_node *alk_schema_node_of(const struct schema_doc *doc, yyjson_val *json);

/* schema_refs.c */
ALK_NODISCARD alk_err alk_schema_name_add(struct schema_build *b, struct alk_span uri,
                                          struct alk_span anchor, struct schema_node *node,
                                          bool is_dynamic);
const struct schema_name *alk_schema_name_find(const struct schema_build *b, struct alk_span text);
/* The node that a reference of `node` means; *ret_anchor (may be NULL) is its name
 * when that is a dynamic anchor, else empty. */
ALK_NODISCARD alk_err alk_schema_resolve(struct schema_build *b, struct schema_node *node,
                                         enum schema_word word, struct alk_span ref,
                                         struct schema_node **ret, struct alk_span *ret_anchor);

/* schema_rules.c: all nodes, also those that references find on the way. */
ALK_NODISCARD alk_err alk_schema_build_rules(struct schema_build *b);
/* schema_graph.c */
ALK_NODISCARD alk_err alk_schema_check_graph(struct schema_build *b);

/* schema_flat.c: notes what can be checked without a tree. */
ALK_NODISCARD alk_err alk_schema_flatten(struct alk_schema *schema);

/* schema_regex.c */
ALK_NODISCARD alk_err alk_schema_regex_new(struct schema_build *b, const struct schema_node *node,
                                           const char *word, struct alk_span source,
                                           struct schema_regex **ret);
void alk_schema_regexes_free(struct alk_schema *schema);

#endif
