/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_format.h - the `format` keyword's values. Pure; each looks at a text
 * in time linear in its length. */
#ifndef ALK_OPS_SCHEMA_FORMAT_H
#define ALK_OPS_SCHEMA_FORMAT_H

#include "base/span.h"

typedef bool schema_format_fn(struct alk_span s);

struct schema_format {
    const char *name;
    const char *what; /* "a date": for `must be ...` */
    schema_format_fn *is_valid;
    uint8_t price; /* steps for 8 bytes */
};

/* NULL: not known, and so no assertion. */
const struct schema_format *alk_schema_format_find(struct alk_span name);

schema_format_fn alk_schema_is_ipv4, alk_schema_is_ipv6, alk_schema_is_hostname,
    alk_schema_is_idn_hostname, alk_schema_is_uri, alk_schema_is_uri_reference, alk_schema_is_iri,
    alk_schema_is_iri_reference, alk_schema_is_uri_template, alk_schema_is_regex;

#endif
