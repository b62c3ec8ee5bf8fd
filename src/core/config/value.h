/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/value.h - the text of single values: numbers, sizes, lengths of
 * time. What is printed reads back as the same value. Pure.
 */
#ifndef ALK_CORE_CONFIG_VALUE_H
#define ALK_CORE_CONFIG_VALUE_H

#include "alknet/conf.h"
#include "base/span.h"

#define ALK_CONF_VALUE_SIZE 32

/* Each takes the whole text or gives ALK_E_MALFORMED; ALK_E_TOO_BIG: beyond 64
 * bits. size: digits, then KiB, MiB, GiB or nothing. duration: digits, then ms, s,
 * m, h or d; "0" needs no unit; nanoseconds. */
ALK_NODISCARD alk_err alk_conf_read_uint(struct alk_span text, uint64_t *ret);
ALK_NODISCARD alk_err alk_conf_read_size(struct alk_span text, uint64_t *ret);
ALK_NODISCARD alk_err alk_conf_read_duration(struct alk_span text, uint64_t *ret);

/* In the largest unit that divides the value. A duration is cut to whole ms. */
void alk_conf_print_size(uint64_t bytes, char ret[static ALK_CONF_VALUE_SIZE]);
void alk_conf_print_duration(uint64_t ns, char ret[static ALK_CONF_VALUE_SIZE]);
/* A value or bound of a UINT, SIZE or DURATION row as it would be written. */
void alk_conf_print_number(enum alk_conf_type type, uint64_t value,
                           char ret[static ALK_CONF_VALUE_SIZE]);
/* "1..100", "at least 1", "at most 255"; "" when the row has no bounds. */
void alk_conf_print_bounds(const struct alk_conf_row *row,
                           char ret[static 3 * ALK_CONF_VALUE_SIZE]);

/* The candidate nearest to `word`, or NULL when none is near: for "did you mean". */
const char *alk_conf_suggest(struct alk_span word, const char *const *candidates, size_t n);

#endif
