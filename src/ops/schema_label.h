/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_label.h - one label of a host name, also beyond ASCII: the rules of
 * IDNA 2008 about hyphens, exceptions, contexts and directions [RFC 5891 §4.2],
 * [RFC 5892 §2.6], [RFC 5893 §2], and Punycode. The derived property of every other
 * character is not looked up: that would take Unicode's tables. Pure. */
#ifndef ALK_OPS_SCHEMA_LABEL_H
#define ALK_OPS_SCHEMA_LABEL_H

#include "base/span.h"

#define SCHEMA_LABEL_MAX 63

struct schema_label {
    uint32_t c[SCHEMA_LABEL_MAX]; /* characters, an A-label's decoded */
    size_t n;
    size_t ascii_n; /* bytes in the DNS */
};

/* Reads letters, digits and hyphens, an A-label, or (is_idn) a U-label. */
bool alk_schema_label_read(struct alk_span s, bool is_idn, struct schema_label *ret);
/* Whether some character of it is written from right to left. */
bool alk_schema_label_is_rtl(const struct schema_label *l);
/* The Bidi rule, which all labels of a name follow when one is written so. */
bool alk_schema_label_fits_bidi(const struct schema_label *l);

#endif
