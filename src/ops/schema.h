/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema.h - JSON Schema 2020-12: compiled once, bounded when used.
 *
 * Compiling turns a document into an immutable program; checking walks value and
 * program together. `$ref` and `$dynamicRef` stay within the document (`$id` and
 * anchors inside it included); one that leaves it is an error of the compiler, as
 * is anything that costs too much: documents are bounded in bytes, depth and
 * subschemas, and each check has a budget of steps, so that no schema and no value
 * can keep a loop busy. `pattern` is matched with bounded effort. `format` is an
 * annotation unless `assert_format`.
 *
 * Threads: a compiled schema may be used from every thread at once.
 */
#ifndef ALK_OPS_SCHEMA_H
#define ALK_OPS_SCHEMA_H

#include "alknet/types.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct yyjson_val;

#define ALK_SCHEMA_BYTES_MAX ((size_t)1 << 20)
#define ALK_SCHEMA_NODES_MAX 8192
#define ALK_SCHEMA_STEPS     ((uint64_t)1 << 20) /* default budget of one check */

struct alk_schema;

struct alk_schema_options {
    const struct alk_mem *mem;
    bool assert_format;
    uint64_t steps; /* 0: ALK_SCHEMA_STEPS */
    /* Other documents that `$ref` may name, for test suites: {uri, text}. Closed off in
     * the product. */
    const struct alk_schema_doc *docs;
    size_t doc_count;
};
struct alk_schema_doc {
    struct alk_span uri, text;
};

/* text: a JSON document (true and false are schemas too). ALK_E_MALFORMED: not JSON
 * under our policy. ALK_E_INVALID: not a schema we can run; why holds one sentence with
 * a JSON Pointer. ALK_E_TOO_BIG: over a bound. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_schema_compile(const struct alk_schema_options *options,
                                         struct alk_span text, char *why, size_t why_size,
                                         struct alk_schema **ret);
void alk_schema_free(struct alk_schema *schema);

/* What is wrong with a value: at the most ALK_SCHEMA_ERRORS_MAX, the first ones. */
#define ALK_SCHEMA_ERRORS_MAX 8
struct alk_schema_error {
    char at[256];   /* JSON Pointer into the value; "" is the whole; cut with "..." */
    char rule[128]; /* JSON Pointer into the schema's keyword location; cut likewise */
    char what[192]; /* one sentence: `must be an integer`, `"port" is missing`, ... */
};
struct alk_schema_report {
    struct alk_schema_error errors[ALK_SCHEMA_ERRORS_MAX];
    size_t count;
};

/* ALK_OK: it fits. ALK_E_INVALID: it does not; *report (may be NULL) says how.
 * ALK_E_LIMIT: the budget of steps is used up. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_schema_check(const struct alk_schema *schema,
                                       const struct yyjson_val *value,
                                       struct alk_schema_report *report);

/* The members of an object, as texts. Both borrow from the text. */
#define ALK_SCHEMA_PARTS_MAX 8
struct alk_schema_part {
    struct alk_span name; /* without escapes */
    struct alk_span value;
};
struct alk_schema_parts {
    size_t n;
    struct alk_schema_part v[ALK_SCHEMA_PARTS_MAX];
};

/* Whether a text is certainly JSON under our policy (core/frame.h) and certainly fits,
 * found out without a tree; *ret: its members then. False: alk_schema_check knows. */
bool alk_schema_fits_text(const struct alk_schema *schema, struct alk_span text,
                          struct alk_schema_parts *ret);

#endif
