/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_pattern.h - regular expressions as ECMA-262 writes them (flag u),
 * put into the words of PCRE2.
 *
 * What only PCRE2 knows (inline flags, verbs, possessive quantifiers, \A, \Z, ...)
 * is refused, so that a schema means the same everywhere. Beyond flag u, escaped
 * punctuation and a lone ] or } are taken as literals. Pure.
 */
#ifndef ALK_OPS_SCHEMA_PATTERN_H
#define ALK_OPS_SCHEMA_PATTERN_H

#include "base/buf.h"

#define SCHEMA_GROUPS_MAX 64 /* groups within one another */

/* Appends the pattern to *out (NULL: only looks); *ret_repeat is the largest number
 * in one of its quantifiers. ALK_E_INVALID, *ret_what says why (static text);
 * ALK_E_NOMEM, ALK_E_TOO_BIG from the buffer. */
ALK_NODISCARD alk_err alk_schema_pattern_put(struct alk_span source, struct alk_buf *out,
                                             uint32_t *ret_repeat, const char **ret_what);

/* schema_property.c: what stands between the braces of \p{...}, in the words of
 * PCRE2; false: not of that form. Whether there is such a property PCRE2 says. */
bool alk_schema_property_put(struct alk_span name, struct alk_buf *out);

#endif
