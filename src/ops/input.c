/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/input.h"

#include "base/json_scan.h"
#include "ops/request.h"

/* --- JSON Pointer ------------------------------------------------------------- */

/* Whether the token, with ~0 and ~1 taken back, is this name. [RFC 6901 §4] */
static bool token_is(struct alk_span token, const char *name, size_t name_n)
{
    size_t at = 0;

    for (size_t i = 0; i < token.n; i++, at++) {
        uint8_t c = token.p[i];
        if (c == '~') {
            i++;
            if (i == token.n || (token.p[i] != '0' && token.p[i] != '1')) {
                return false;
            }
            c = token.p[i] == '0' ? '~' : '/';
        }
        if (at >= name_n || (uint8_t)name[at] != c) {
            return false;
        }
    }
    return at == name_n;
}

static struct yyjson_val *find_member(struct yyjson_val *object, struct alk_span token)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    struct yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        if (token_is(token, yyjson_get_str(key), yyjson_get_len(key))) {
            return yyjson_obj_iter_get_val(key);
        }
    }
    return NULL;
}

/* [RFC 6901 §4] an index is 0 or digits without a leading zero; "-" is no element */
static struct yyjson_val *find_element(struct yyjson_val *array, struct alk_span token)
{
    uint64_t index = 0;
    if ((token.n > 1 && token.p[0] == '0') || !alk_span_u64(token, UINT32_MAX, &index)) {
        return NULL;
    }
    return yyjson_arr_get(array, (size_t)index);
}

struct yyjson_val *alk_input_find(struct yyjson_val *root, const char *at)
{
    if (at[0] == '\0') {
        return root;
    }
    if (at[0] != '/') {
        return yyjson_obj_get(root, at);
    }
    struct alk_span rest = alk_span_str(at + 1);
    struct yyjson_val *v = root;
    bool is_last = false;
    while (v != NULL && !is_last) {
        is_last = alk_span_find(rest, '/') == rest.n;
        struct alk_span token = alk_span_cut(&rest, '/');
        if (yyjson_is_obj(v)) {
            v = find_member(v, token);
        } else {
            v = yyjson_is_arr(v) ? find_element(v, token) : NULL;
        }
    }
    return v;
}

/* --- the public readers ------------------------------------------------------- */

static struct yyjson_val *value_at(const struct alk_request *r, const char *at)
{
    return alk_input_find(alk_request_value(r), at);
}

bool alk_input_has(const struct alk_request *r, const char *at)
{
    return value_at(r, at) != NULL;
}

struct alk_span alk_input_text(const struct alk_request *r, const char *at, const char *fallback)
{
    struct yyjson_val *v = value_at(r, at);
    return yyjson_is_str(v) ? alk_span(yyjson_get_str(v), yyjson_get_len(v))
                            : alk_span_str(fallback);
}

/* Numbers without fraction may be written with one (3.0): JSON Schema takes those
 * for integers. 2^53 is where doubles cease to hold every integer. */
static bool whole_of(struct yyjson_val *v, double *ret)
{
    double d = yyjson_is_real(v) ? yyjson_get_real(v) : 0.5;
    *ret = d;
    return d >= -9007199254740992.0 && d <= 9007199254740992.0 && d == (double)(int64_t)d;
}

int64_t alk_input_i64(const struct alk_request *r, const char *at, int64_t fallback)
{
    struct yyjson_val *v = value_at(r, at);
    double d;

    if (yyjson_is_sint(v)) {
        return yyjson_get_sint(v);
    }
    if (yyjson_is_uint(v)) {
        return yyjson_get_uint(v) <= INT64_MAX ? (int64_t)yyjson_get_uint(v) : fallback;
    }
    return whole_of(v, &d) ? (int64_t)d : fallback;
}

uint64_t alk_input_u64(const struct alk_request *r, const char *at, uint64_t fallback)
{
    struct yyjson_val *v = value_at(r, at);
    double d;

    if (yyjson_is_uint(v)) {
        return yyjson_get_uint(v);
    }
    return whole_of(v, &d) && d >= 0 ? (uint64_t)d : fallback;
}

double alk_input_real(const struct alk_request *r, const char *at, double fallback)
{
    struct yyjson_val *v = value_at(r, at);
    return yyjson_is_num(v) ? yyjson_get_num(v) : fallback;
}

bool alk_input_bool(const struct alk_request *r, const char *at, bool fallback)
{
    struct yyjson_val *v = value_at(r, at);
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

size_t alk_input_count(const struct alk_request *r, const char *at)
{
    struct yyjson_val *v = value_at(r, at);
    return yyjson_is_arr(v) ? yyjson_arr_size(v) : yyjson_is_obj(v) ? yyjson_obj_size(v) : 0;
}

/* --- members as texts ---------------------------------------------------------- */

static struct alk_span find_part(const struct alk_schema_parts *parts, struct alk_span wanted)
{
    for (size_t i = 0; i < parts->n; i++) {
        if (alk_span_equal(parts->v[i].name, wanted)) {
            return parts->v[i].value;
        }
    }
    return alk_span(NULL, 0);
}

struct alk_span alk_input_json(const struct alk_request *r, const char *name)
{
    struct alk_json_scan s = alk_json_scan(r->input);
    struct alk_span value, wanted = alk_span_str(name);
    struct alk_json_key key;
    if (r->parts != NULL) {
        return find_part(r->parts, wanted);
    }
    alk_err err = alk_json_scan_enter(&s);
    while (err == ALK_OK && alk_json_scan_member(&s, &key) == ALK_OK) {
        err = alk_json_scan_value(&s, &value);
        if (err == ALK_OK && alk_json_key_is(&key, wanted)) {
            return value;
        }
    }
    return alk_span(NULL, 0);
}
