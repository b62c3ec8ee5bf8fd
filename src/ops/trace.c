/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/trace.h"

enum { LEN = 55 }; /* of version 00 */

static bool is_hex(struct alk_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool is_digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!is_digit && (s.p[i] < 'a' || s.p[i] > 'f')) {
            return false;
        }
    }
    return true;
}

/* An id of zeros alone is none. */
static bool is_id(struct alk_span s)
{
    bool is_zero = true;
    for (size_t i = 0; i < s.n; i++) {
        is_zero = is_zero && s.p[i] == '0';
    }
    return !is_zero && is_hex(s);
}

static bool is_printable(struct alk_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

bool alk_traceparent_is_valid(struct alk_span s)
{
    if (s.n < LEN || s.n > ALK_TRACEPARENT_MAX || s.p[2] != '-' || s.p[35] != '-' ||
        s.p[52] != '-') {
        return false;
    }
    struct alk_span version = alk_span_head(s, 2);
    if (!is_hex(version) || alk_span_is(version, "ff")) {
        return false;
    }
    if (!is_id(alk_span(s.p + 3, 32)) || !is_id(alk_span(s.p + 36, 16)) ||
        !is_hex(alk_span(s.p + 53, 2))) {
        return false;
    }
    /* Later versions may have more, after a dash. */
    return s.n == LEN ||
           (!alk_span_is(version, "00") && s.p[LEN] == '-' && is_printable(alk_span_tail(s, LEN)));
}
