/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/schema_value.h"

#include "base/map.h"
#include "ops/schema_number.h"

/* Of a value that is compared or hashed; those we parse ourselves are at most 64. */
#define DEPTH_MAX 128

yyjson_val *alk_schema_member(yyjson_val *object, struct alk_span name)
{
    yyjson_val *key = unsafe_yyjson_get_first(object);

    for (size_t n = unsafe_yyjson_get_len(object); n > 0; n--) {
        if (unsafe_yyjson_get_len(key) == name.n &&
            memcmp(unsafe_yyjson_get_str(key), name.p, name.n) == 0) {
            return key + 1;
        }
        key = unsafe_yyjson_get_next(key + 1);
    }
    return NULL;
}

static bool enter(struct schema_check *c, unsigned depth)
{
    if (depth > DEPTH_MAX) {
        c->err = c->err == ALK_OK ? ALK_E_LIMIT : c->err;
        return false;
    }
    return schema_spend(c, 1);
}

/* --- equality ------------------------------------------------------------------- */

static bool equal(struct schema_check *c, yyjson_val *a, yyjson_val *b, unsigned depth);

static bool equal_arrays(struct schema_check *c, yyjson_val *a, yyjson_val *b, unsigned depth)
{
    yyjson_val *x = unsafe_yyjson_get_first(a);
    yyjson_val *y = unsafe_yyjson_get_first(b);

    for (size_t n = unsafe_yyjson_get_len(a); n > 0; n--) {
        if (!equal(c, x, y, depth)) {
            return false;
        }
        x = unsafe_yyjson_get_next(x);
        y = unsafe_yyjson_get_next(y);
    }
    return true;
}

static bool equal_objects(struct schema_check *c, yyjson_val *a, yyjson_val *b, unsigned depth)
{
    size_t len = unsafe_yyjson_get_len(a);
    yyjson_val *key = unsafe_yyjson_get_first(a);

    for (size_t n = len; n > 0; n--) {
        if (!schema_spend(c, len / 8)) {
            return false;
        }
        yyjson_val *other = alk_schema_member(b, schema_str(key));
        if (other == NULL || !equal(c, key + 1, other, depth)) {
            return false;
        }
        key = unsafe_yyjson_get_next(key + 1);
    }
    return true;
}

static bool equal(struct schema_check *c, yyjson_val *a, yyjson_val *b, unsigned depth)
{
    uint8_t kind = schema_kind(a);

    if (kind == 0 || kind != schema_kind(b) || !enter(c, depth)) {
        return false;
    }
    if (kind == KIND_NUMBER) {
        return alk_schema_compare(a, b) == 0;
    }
    if (kind == KIND_BOOL) {
        return unsafe_yyjson_get_bool(a) == unsafe_yyjson_get_bool(b);
    }
    if (kind == KIND_NULL) {
        return true;
    }
    if (unsafe_yyjson_get_len(a) != unsafe_yyjson_get_len(b)) {
        return false;
    }
    if (kind == KIND_STRING) {
        return schema_spend(c, unsafe_yyjson_get_len(a) / 64) &&
               alk_span_equal(schema_str(a), schema_str(b));
    }
    return kind == KIND_ARRAY ? equal_arrays(c, a, b, depth + 1)
                              : equal_objects(c, a, b, depth + 1);
}

bool alk_schema_equal(struct schema_check *c, yyjson_val *a, yyjson_val *b)
{
    return equal(c, a, b, 0);
}

/* --- hash ----------------------------------------------------------------------- */

/* Not secret: whoever makes collisions pays for them with his own budget. */
static uint64_t hash_bytes(uint64_t salt, struct alk_span s)
{
    const uint64_t seed[2] = {salt, 0};
    return alk_siphash(seed, s);
}

static uint64_t hash(struct schema_check *c, yyjson_val *v, unsigned depth);

static uint64_t hash_array(struct schema_check *c, yyjson_val *v, unsigned depth)
{
    uint64_t sum = KIND_ARRAY;
    yyjson_val *item = unsafe_yyjson_get_first(v);

    for (size_t n = unsafe_yyjson_get_len(v); n > 0 && c->err == ALK_OK; n--) {
        sum = (sum ^ hash(c, item, depth)) * 0x9e3779b97f4a7c15ULL;
        sum ^= sum >> 29;
        item = unsafe_yyjson_get_next(item);
    }
    return sum;
}

static uint64_t hash_object(struct schema_check *c, yyjson_val *v, unsigned depth)
{
    uint64_t sum = KIND_OBJECT;
    yyjson_val *key = unsafe_yyjson_get_first(v);

    /* A sum, so that the order of members does not matter. */
    for (size_t n = unsafe_yyjson_get_len(v); n > 0 && c->err == ALK_OK; n--) {
        sum += hash_bytes(hash(c, key + 1, depth), schema_str(key));
        key = unsafe_yyjson_get_next(key + 1);
    }
    return sum;
}

static uint64_t hash(struct schema_check *c, yyjson_val *v, unsigned depth)
{
    if (!enter(c, depth)) {
        return 0;
    }
    switch (schema_kind(v)) {
    case KIND_NUMBER:
        return alk_schema_number_hash(v);
    case KIND_STRING:
        (void)schema_spend(c, unsafe_yyjson_get_len(v) / 64);
        return hash_bytes(KIND_STRING, schema_str(v));
    case KIND_ARRAY:
        return hash_array(c, v, depth + 1);
    case KIND_OBJECT:
        return hash_object(c, v, depth + 1);
    default:
        return 1 + (uint64_t)yyjson_is_null(v) + 2 * (uint64_t)yyjson_is_true(v);
    }
}

uint64_t alk_schema_hash(struct schema_check *c, yyjson_val *v)
{
    return hash(c, v, 0);
}

/* --- sets ----------------------------------------------------------------------- */

bool alk_schema_values_hold(struct schema_check *c, const struct schema_values *values,
                            yyjson_val *v)
{
    if (values->hashes == NULL) {
        for (size_t i = 0; i < values->n; i++) {
            if (alk_schema_equal(c, values->v[i], v)) {
                return true;
            }
        }
        return false;
    }
    uint64_t want = alk_schema_hash(c, v);
    size_t low = 0;
    size_t high = values->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values->hashes[middle] < want) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < values->n && values->hashes[low] == want; low++) {
        if (alk_schema_equal(c, values->v[low], v)) {
            return true;
        }
    }
    return false;
}
