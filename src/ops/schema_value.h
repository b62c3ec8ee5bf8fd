/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_value.h - JSON values: their kind, equality, hash. */
#ifndef ALK_OPS_SCHEMA_VALUE_H
#define ALK_OPS_SCHEMA_VALUE_H

#include "ops/schema_check.h"

/* KIND_NULL ... KIND_OBJECT. */
static inline uint8_t schema_kind(yyjson_val *v)
{
    static const uint8_t kinds[8] = {
        [YYJSON_TYPE_NULL] = KIND_NULL,  [YYJSON_TYPE_BOOL] = KIND_BOOL,
        [YYJSON_TYPE_NUM] = KIND_NUMBER, [YYJSON_TYPE_STR] = KIND_STRING,
        [YYJSON_TYPE_ARR] = KIND_ARRAY,  [YYJSON_TYPE_OBJ] = KIND_OBJECT,
    };
    return kinds[unsafe_yyjson_get_type(v)];
}
static inline uint64_t schema_len(yyjson_val *v)
{
    return unsafe_yyjson_get_len(v);
}
/* The member of an object, or NULL; not charged to any budget. */
yyjson_val *alk_schema_member(yyjson_val *object, struct alk_span name);

/* Equality of JSON values: 1 is 1.0, members have no order. Both are charged to
 * the budget of the check; false when it has ended. */
bool alk_schema_equal(struct schema_check *c, yyjson_val *a, yyjson_val *b);
/* Equal values have equal hashes. */
uint64_t alk_schema_hash(struct schema_check *c, yyjson_val *v);

/* Whether one of the values equals v. */
bool alk_schema_values_hold(struct schema_check *c, const struct schema_values *values,
                            yyjson_val *v);

#endif
