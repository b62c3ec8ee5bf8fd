/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules of numbers and strings. */
#include "ops/schema_format.h"
#include "ops/schema_number.h"
#include "ops/schema_value.h"

bool alk_schema_check_max(struct schema_check *c, const struct schema_rule *r,
                          const struct schema_frame *f)
{
    return alk_schema_compare(f->value, r->json) <= 0 ||
           alk_schema_fail_value(c, f, r, "must be at most ", "");
}

bool alk_schema_check_less(struct schema_check *c, const struct schema_rule *r,
                           const struct schema_frame *f)
{
    return alk_schema_compare(f->value, r->json) < 0 ||
           alk_schema_fail_value(c, f, r, "must be less than ", "");
}

bool alk_schema_check_min(struct schema_check *c, const struct schema_rule *r,
                          const struct schema_frame *f)
{
    return alk_schema_compare(f->value, r->json) >= 0 ||
           alk_schema_fail_value(c, f, r, "must be at least ", "");
}

bool alk_schema_check_more(struct schema_check *c, const struct schema_rule *r,
                           const struct schema_frame *f)
{
    return alk_schema_compare(f->value, r->json) > 0 ||
           alk_schema_fail_value(c, f, r, "must be more than ", "");
}

bool alk_schema_check_multiple(struct schema_check *c, const struct schema_rule *r,
                               const struct schema_frame *f)
{
    /* Up to three conversions of a double to text and back. */
    if (!schema_spend(c, unsafe_yyjson_is_real(f->value) ? 16 : 0)) {
        return false;
    }
    return alk_schema_divides(alk_schema_decimal(f->value), r->u.divisor) ||
           alk_schema_fail_value(c, f, r, "must be a multiple of ", "");
}

/* Characters, not bytes: those that do not continue another. */
static uint64_t count_characters(struct alk_span s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        n += (s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

bool alk_schema_check_max_length(struct schema_check *c, const struct schema_rule *r,
                                 const struct schema_frame *f)
{
    struct alk_span s = schema_str(f->value);

    if (s.n <= r->u.count) {
        return true;
    }
    return schema_spend(c, s.n / 64) &&
           (count_characters(s) <= r->u.count ||
            alk_schema_fail_count(c, f, r->word, "must have at most ", r->u.count, " character",
                                  " characters"));
}

bool alk_schema_check_min_length(struct schema_check *c, const struct schema_rule *r,
                                 const struct schema_frame *f)
{
    struct alk_span s = schema_str(f->value);

    if (s.n / 4 >= r->u.count) {
        return true;
    }
    return schema_spend(c, s.n / 64) &&
           (count_characters(s) >= r->u.count ||
            alk_schema_fail_count(c, f, r->word, "must have at least ", r->u.count, " character",
                                  " characters"));
}

bool alk_schema_check_pattern(struct schema_check *c, const struct schema_rule *r,
                              const struct schema_frame *f)
{
    struct schema_text t;

    if (alk_schema_match(c, r->u.regex, schema_str(f->value))) {
        return true;
    }
    if (alk_schema_blame(c, f, r->word, &t)) {
        alk_schema_put_str(&t, "must match the pattern ");
        alk_schema_put(&t, r->u.regex->source);
        alk_schema_text_end(&t);
    }
    return false;
}

bool alk_schema_check_format(struct schema_check *c, const struct schema_rule *r,
                             const struct schema_frame *f)
{
    struct alk_span s = schema_str(f->value);
    struct schema_text t;

    if (!schema_spend(c, s.n / 8 * r->u.format->price)) {
        return false;
    }
    if (r->u.format->is_valid(s)) {
        return true;
    }
    if (alk_schema_blame(c, f, r->word, &t)) {
        alk_schema_put_str(&t, "must be ");
        alk_schema_put_str(&t, r->u.format->what);
        alk_schema_text_end(&t);
    }
    return false;
}
