/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/schema.h - schemas and values of tests, from texts. */
#ifndef ALK_TEST_SCHEMA_H
#define ALK_TEST_SCHEMA_H

#include "ops/schema.h"
#include "support/check.h"

/* The schema must compile. Gives. */
struct alk_schema *test_schema_with(struct alk_schema_options options, struct alk_span schema);
struct alk_schema *test_schema(const char *schema);
/* The value is read without our policy: it may be deeper and longer. */
alk_err test_schema_check(const struct alk_schema *schema, struct alk_span value,
                          struct alk_schema_report *report);
alk_err test_schema_once(const char *schema, const char *value);
/* A new buffer with begin, then part n times with its number for each #, then end. */
void test_schema_series(struct alk_buf *b, const char *begin, const char *part, size_t n,
                        const char *end);

#endif
