/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/value.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>

/* Longer words are not compared: they are no slip of the pen. */
#define SUGGEST_MAX 40

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the printers take the first that divides. */
static const struct unit size_units[] = {
    {"GiB", (uint64_t)1 << 30}, {"MiB", (uint64_t)1 << 20}, {"KiB", 1024}, {"", 1}};
static const struct unit time_units[] = {{"d", 86400 * ALK_SECOND},
                                         {"h", 3600 * ALK_SECOND},
                                         {"m", 60 * ALK_SECOND},
                                         {"s", ALK_SECOND},
                                         {"ms", ALK_MS}};
#define SIZE_UNITS (sizeof(size_units) / sizeof(size_units[0]))
#define TIME_UNITS (sizeof(time_units) / sizeof(time_units[0]))

/* Cuts the digits off the front of *text. */
static alk_err take_digits(struct alk_span *text, uint64_t *ret)
{
    size_t n = 0;
    uint64_t value = 0;
    bool is_big = false;
    for (; n < text->n && text->p[n] >= '0' && text->p[n] <= '9'; n++) {
        is_big = is_big || __builtin_mul_overflow(value, 10, &value) ||
                 __builtin_add_overflow(value, (uint64_t)(text->p[n] - '0'), &value);
    }
    if (n == 0) {
        return ALK_E_MALFORMED;
    }
    *text = alk_span_tail(*text, n);
    *ret = value;
    return is_big ? ALK_E_TOO_BIG : ALK_OK;
}

static alk_err read_with_unit(struct alk_span text, const struct unit *units, size_t n,
                              uint64_t *ret)
{
    uint64_t value = 0;
    alk_err err = take_digits(&text, &value);
    if (err == ALK_E_MALFORMED) {
        return err;
    }
    for (size_t i = 0; i < n; i++) {
        if (alk_span_is(text, units[i].name)) {
            if (err != ALK_OK || __builtin_mul_overflow(value, units[i].factor, &value)) {
                return ALK_E_TOO_BIG;
            }
            *ret = value;
            return ALK_OK;
        }
    }
    return ALK_E_MALFORMED;
}

alk_err alk_conf_read_uint(struct alk_span text, uint64_t *ret)
{
    static const struct unit none[] = {{"", 1}};
    return read_with_unit(text, none, 1, ret);
}

alk_err alk_conf_read_size(struct alk_span text, uint64_t *ret)
{
    return read_with_unit(text, size_units, SIZE_UNITS, ret);
}

alk_err alk_conf_read_duration(struct alk_span text, uint64_t *ret)
{
    if (alk_span_is(text, "0")) {
        *ret = 0;
        return ALK_OK;
    }
    return read_with_unit(text, time_units, TIME_UNITS, ret);
}

static void print_with_unit(uint64_t value, const struct unit *units, size_t n,
                            char ret[static ALK_CONF_VALUE_SIZE])
{
    size_t i = 0;
    while (i + 1 < n && (value == 0 || value % units[i].factor != 0)) {
        i++;
    }
    (void)snprintf(ret, ALK_CONF_VALUE_SIZE, "%" PRIu64 "%s", value / units[i].factor,
                   units[i].name);
}

void alk_conf_print_size(uint64_t bytes, char ret[static ALK_CONF_VALUE_SIZE])
{
    print_with_unit(bytes, size_units, SIZE_UNITS, ret);
}

void alk_conf_print_duration(uint64_t ns, char ret[static ALK_CONF_VALUE_SIZE])
{
    if (ns < ALK_MS) {
        (void)snprintf(ret, ALK_CONF_VALUE_SIZE, "0");
        return;
    }
    print_with_unit(ns, time_units, TIME_UNITS, ret);
}

void alk_conf_print_number(enum alk_conf_type type, uint64_t value,
                           char ret[static ALK_CONF_VALUE_SIZE])
{
    if (type == ALK_CONF_SIZE) {
        alk_conf_print_size(value, ret);
    } else if (type == ALK_CONF_DURATION) {
        alk_conf_print_duration(value, ret);
    } else {
        (void)snprintf(ret, ALK_CONF_VALUE_SIZE, "%" PRIu64, value);
    }
}

void alk_conf_print_bounds(const struct alk_conf_row *row, char ret[static 3 * ALK_CONF_VALUE_SIZE])
{
    const size_t size = (size_t)3 * ALK_CONF_VALUE_SIZE;
    char min[ALK_CONF_VALUE_SIZE];
    char max[ALK_CONF_VALUE_SIZE];
    ret[0] = '\0';
    if (row->min == 0 && row->max == 0) {
        return;
    }
    alk_conf_print_number(row->type, row->min, min);
    alk_conf_print_number(row->type, row->max, max);
    if (row->max == UINT64_MAX) {
        (void)snprintf(ret, size, "at least %s", min);
    } else if (row->min == row->max) {
        (void)snprintf(ret, size, "%s", min);
    } else {
        (void)snprintf(ret, size, "%s..%s", min, max);
    }
}

/* Optimal string alignment: an exchange of neighbours counts as one slip. */
static size_t distance(struct alk_span a, struct alk_span b)
{
    size_t rows[3][SUGGEST_MAX + 1];
    for (size_t k = 0; k <= b.n; k++) {
        rows[0][k] = k;
        rows[2][k] = 0;
    }
    for (size_t i = 1; i <= a.n; i++) {
        const size_t *up = rows[(i - 1) % 3];
        const size_t *up2 = rows[(i + 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            size_t best = up[k - 1] + (a.p[i - 1] != b.p[k - 1]);
            best = up[k] + 1 < best ? up[k] + 1 : best;
            best = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
            bool is_swap = i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1];
            if (is_swap && up2[k - 2] + 1 < best) {
                best = up2[k - 2] + 1;
            }
            row[k] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

const char *alk_conf_suggest(struct alk_span word, const char *const *candidates, size_t n)
{
    const char *found = NULL;
    /* One slip in three letters, three at most. */
    size_t limit = word.n / 3 < 3 ? word.n / 3 : 3;
    limit = limit == 0 ? 1 : limit;
    if (word.n < 2 || word.n > SUGGEST_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        struct alk_span c = alk_span_str(candidates[i]);
        size_t d = c.n <= SUGGEST_MAX ? distance(word, c) : SIZE_MAX;
        if (d <= limit) {
            found = candidates[i];
            limit = d - (d > 0); /* only a nearer one replaces it */
            if (d == 0) {
                break;
            }
        }
    }
    return found;
}
