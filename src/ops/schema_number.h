/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_number.h - JSON numbers: compared by their mathematical value,
 * whether yyjson holds them as integers or as doubles, and divided as the
 * decimals that were written. Pure. */
#ifndef ALK_OPS_SCHEMA_NUMBER_H
#define ALK_OPS_SCHEMA_NUMBER_H

#include "ops/schema_impl.h"

#define SCHEMA_NUMBER_SIZE 40

/* Less than, equal to or greater than 0. Both are numbers. */
int alk_schema_compare(yyjson_val *a, yyjson_val *b);
bool alk_schema_is_integral(yyjson_val *v);
/* The same for equal numbers. */
uint64_t alk_schema_number_hash(yyjson_val *v);
/* The number's absolute value; for a double the shortest decimal that reads back
 * as the same double. */
struct schema_decimal alk_schema_decimal(yyjson_val *v);
/* Whether a is a whole multiple of b; b is not zero. */
bool alk_schema_divides(struct schema_decimal a, struct schema_decimal b);
/* A count written as JSON number: 3 or 3.0. False: negative, a fraction, or not a
 * number; what is too large for uint64_t is UINT64_MAX. */
bool alk_schema_count(yyjson_val *v, uint64_t *ret);
void alk_schema_number_text(yyjson_val *v, char dst[SCHEMA_NUMBER_SIZE]);

#endif
