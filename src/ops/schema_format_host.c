/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Host names: labels with dots between them. */
#include "ops/schema_format.h"
#include "ops/schema_label.h"

#define NAME_BYTES_MAX 253

/* The length of the dot at the front: ASCII's, or one of three others that
 * [RFC 3490 §3.1] knows. 0: none. */
static size_t dot_len(struct alk_span s, bool is_idn)
{
    if (s.p[0] == '.') {
        return 1;
    }
    bool is_wide = alk_span_starts(s, ALK_LIT("\xe3\x80\x82")) ||
                   alk_span_starts(s, ALK_LIT("\xef\xbc\x8e")) ||
                   alk_span_starts(s, ALK_LIT("\xef\xbd\xa1"));
    return is_wide && is_idn ? 3 : 0;
}

/* What labels are asked for, and what they are together. */
struct name {
    bool is_idn;
    bool is_bidi; /* in: all must follow the Bidi rule */
    bool has_rtl;
    size_t ascii_n;
};

static bool look(struct alk_span s, struct name *name)
{
    struct schema_label l;

    if (!alk_schema_label_read(s, name->is_idn, &l) ||
        (name->is_bidi && !alk_schema_label_fits_bidi(&l))) {
        return false;
    }
    name->has_rtl = name->has_rtl || alk_schema_label_is_rtl(&l);
    name->ascii_n += l.ascii_n + 1;
    return name->ascii_n - 1 <= NAME_BYTES_MAX;
}

static bool look_at_all(struct alk_span s, struct name *name)
{
    size_t from = 0;

    for (size_t i = 0; i < s.n; i++) {
        size_t dot = dot_len(alk_span_tail(s, i), name->is_idn);
        if (dot > 0) {
            if (!look(alk_span(s.p + from, i - from), name)) {
                return false;
            }
            i += dot - 1;
            from = i + 1;
        }
    }
    return look(alk_span_tail(s, from), name);
}

static bool is_host(struct alk_span s, bool is_idn)
{
    struct name first = {.is_idn = is_idn};
    struct name again = {.is_idn = is_idn, .is_bidi = true};

    return look_at_all(s, &first) && (!first.has_rtl || look_at_all(s, &again));
}

bool alk_schema_is_hostname(struct alk_span s)
{
    return is_host(s, false);
}

bool alk_schema_is_idn_hostname(struct alk_span s)
{
    return is_host(s, true);
}
