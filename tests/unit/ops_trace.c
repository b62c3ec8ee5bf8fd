/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* W3C Trace Context: what is a traceparent. */
#include "ops/trace.h"
#include "support/check.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

/* [W3C Trace Context §3.2.2] */
static void traceparents_are_taken_or_treated_as_absent(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"00-" TRACE "-" PARENT "-01", true},
        {"00-" TRACE "-" PARENT "-00", true},
        {"00-" TRACE "-" PARENT "-ff", true},
        {"cc-" TRACE "-" PARENT "-01", true},
        {"cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like", true},
        {"", false},
        {"00", false},
        {"ff-" TRACE "-" PARENT "-01", false},
        {"0x-" TRACE "-" PARENT "-01", false},
        {"00-" TRACE "-" PARENT "-01-", false},
        {"00-" TRACE "-" PARENT "-01-more", false},
        {"cc-" TRACE "-" PARENT "-01.more", false},
        {"cc-" TRACE "-" PARENT "-01-not printable", false},
        {"00-4BF92F3577b34da6a3ce929d0e0e4736-" PARENT "-01", false},
        {"00-" TRACE "-00F067aa0ba902b7-01", false},
        {"00-" TRACE "-" PARENT "-0A", false},
        {"00-" TRACE "-" PARENT "-0.", false},
        {"00-00000000000000000000000000000000-" PARENT "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00_" TRACE "-" PARENT "-01", false},
        {"00-" TRACE "_" PARENT "-01", false},
        {"00-" TRACE "-" PARENT "_01", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (alk_traceparent_is_valid(alk_span_str(rows[i].text)) != rows[i].want) {
            fail_msg("%s", rows[i].text);
        }
    }
}

static void no_prefix_is_one_and_the_length_is_bounded(void **state)
{
    static const char whole[] = "cc-" TRACE "-" PARENT "-01-";
    uint8_t text[ALK_TRACEPARENT_MAX + 1];
    (void)state;
    for (size_t n = 0; n < 55; n++) {
        assert_false(alk_traceparent_is_valid(alk_span((const uint8_t *)whole, n)));
    }
    memset(text, 'x', sizeof text);
    memcpy(text, whole, sizeof whole - 1);
    assert_true(alk_traceparent_is_valid(alk_span(text, ALK_TRACEPARENT_MAX)));
    assert_false(alk_traceparent_is_valid(alk_span(text, ALK_TRACEPARENT_MAX + 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traceparents_are_taken_or_treated_as_absent),
        cmocka_unit_test(no_prefix_is_one_and_the_length_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
