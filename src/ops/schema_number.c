/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/schema_number.h"

#include <float.h>
#include <math.h>

#define TWO_64 18446744073709551616.0

/* An integer as sign and size: -1, 0, 1. */
struct whole {
    int sign;
    uint64_t size;
};

static struct whole whole_of(yyjson_val *v)
{
    if (unsafe_yyjson_is_uint(v)) {
        uint64_t u = unsafe_yyjson_get_uint(v);
        return (struct whole){u > 0, u};
    }
    int64_t i = unsafe_yyjson_get_sint(v);
    return i < 0 ? (struct whole){-1, 0 - (uint64_t)i} : (struct whole){i > 0, (uint64_t)i};
}

static int compare_size(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_whole(struct whole a, struct whole b)
{
    if (a.sign != b.sign) {
        return a.sign - b.sign;
    }
    return a.sign * compare_size(a.size, b.size);
}

/* An integer against a double, exactly: a conversion would round. */
static int compare_mixed(struct whole a, double d)
{
    int sign = (d > 0) - (d < 0);

    if (a.sign != sign || sign == 0) {
        return a.sign - sign;
    }
    double size = fabs(d);
    if (size >= TWO_64) {
        return -sign;
    }
    double floored = floor(size);
    int order = compare_size(a.size, (uint64_t)floored);
    if (order == 0 && size > floored) {
        order = -1;
    }
    return sign * order;
}

int alk_schema_compare(yyjson_val *a, yyjson_val *b)
{
    bool a_real = unsafe_yyjson_is_real(a);
    bool b_real = unsafe_yyjson_is_real(b);

    if (a_real && b_real) {
        double x = unsafe_yyjson_get_real(a);
        double y = unsafe_yyjson_get_real(b);
        return (x > y) - (x < y);
    }
    if (a_real) {
        return -compare_mixed(whole_of(b), unsafe_yyjson_get_real(a));
    }
    if (b_real) {
        return compare_mixed(whole_of(a), unsafe_yyjson_get_real(b));
    }
    return compare_whole(whole_of(a), whole_of(b));
}

bool alk_schema_is_integral(yyjson_val *v)
{
    if (!unsafe_yyjson_is_real(v)) {
        return true;
    }
    double d = unsafe_yyjson_get_real(v);
    return isfinite(d) && floor(d) == d;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

uint64_t alk_schema_number_hash(yyjson_val *v)
{
    if (!unsafe_yyjson_is_real(v)) {
        struct whole w = whole_of(v);
        return mix(w.size + (w.sign < 0));
    }
    double d = unsafe_yyjson_get_real(v);
    if (fabs(d) < TWO_64 && floor(d) == d) {
        return mix((uint64_t)fabs(d) + (d < 0));
    }
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return mix(bits);
}

/* Reads "1.2345e-07" as printf writes it, whatever the locale's decimal point. */
static struct schema_decimal read_scientific(const char *text)
{
    struct schema_decimal ret = {0, 0};
    int digits = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9') {
            ret.m = ret.m * 10 + (uint64_t)(*text - '0');
            digits++;
        }
    }
    bool is_negative = text[0] == 'e' && text[1] == '-';
    int e = 0;
    for (; *text != '\0'; text++) {
        if (*text >= '0' && *text <= '9') {
            e = e * 10 + (*text - '0');
        }
    }
    ret.e = (is_negative ? -e : e) - (digits - 1);
    return ret;
}

/* The shortest text that reads back as the same double: all have 15 digits to
 * spare but those next to zero. */
static void print_shortest(double d, char *dst, size_t size)
{
    for (int digits = d < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        (void)snprintf(dst, size, "%.*e", digits - 1, d);
        double again = strtod(dst, NULL);
        if (again >= d && again <= d) {
            return;
        }
    }
}

static struct schema_decimal normal(struct schema_decimal d)
{
    while (d.m != 0 && d.m % 10 == 0) {
        d.m /= 10;
        d.e++;
    }
    return d;
}

struct schema_decimal alk_schema_decimal(yyjson_val *v)
{
    char text[SCHEMA_NUMBER_SIZE];

    if (!unsafe_yyjson_is_real(v)) {
        return (struct schema_decimal){whole_of(v).size, 0};
    }
    double d = fabs(unsafe_yyjson_get_real(v));
    if (d < 1e15 && floor(d) == d) {
        return (struct schema_decimal){(uint64_t)d, 0};
    }
    print_shortest(d, text, sizeof text);
    return normal(read_scientific(text));
}

__extension__ typedef unsigned __int128 wide;

static uint64_t mul_mod(uint64_t a, uint64_t b, uint64_t m)
{
    return (uint64_t)((wide)a * b % m);
}

bool alk_schema_divides(struct schema_decimal a, struct schema_decimal b)
{
    b = normal(b);
    if (a.m == 0) {
        return true;
    }
    /* a.m * 10^a.e = k * b.m * 10^b.e for a whole k */
    for (; a.e < b.e; a.e++) {
        if (a.m % 10 != 0) {
            return false;
        }
        a.m /= 10;
    }
    uint64_t rest = a.m % b.m;
    for (int e = b.e; e < a.e && rest != 0; e++) {
        rest = mul_mod(rest, 10, b.m);
    }
    return rest == 0;
}

bool alk_schema_count(yyjson_val *v, uint64_t *ret)
{
    if (!yyjson_is_num(v) || !alk_schema_is_integral(v)) {
        return false;
    }
    if (!unsafe_yyjson_is_real(v)) {
        struct whole w = whole_of(v);
        *ret = w.size;
        return w.sign >= 0;
    }
    double d = unsafe_yyjson_get_real(v);
    if (d < 0) {
        return false; /* of any size, so it must not be converted */
    }
    *ret = d >= TWO_64 ? UINT64_MAX : (uint64_t)d;
    return true;
}

void alk_schema_number_text(yyjson_val *v, char dst[SCHEMA_NUMBER_SIZE])
{
    if (!unsafe_yyjson_is_real(v)) {
        struct whole w = whole_of(v);
        (void)snprintf(dst, SCHEMA_NUMBER_SIZE, "%s%llu", w.sign < 0 ? "-" : "",
                       (unsigned long long)w.size);
        return;
    }
    double d = unsafe_yyjson_get_real(v);
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(dst, SCHEMA_NUMBER_SIZE, "%.*g", digits, d);
        double again = strtod(dst, NULL);
        if (again >= d && again <= d) {
            break;
        }
    }
    for (char *c = dst; *c != '\0'; c++) {
        *c = *c == ',' ? '.' : *c; /* some locales' decimal point */
    }
}
