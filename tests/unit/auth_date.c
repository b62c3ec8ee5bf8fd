/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/date.h"

#include "support/check.h"

static void dates(void **state)
{
    /* Seconds by `date -u -d ... +%s`. */
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {
        {"1970-01-01", 0},
        {"2027-01-01", 1798761600},
        {"2000-02-29", 951782400},
        {"2024-02-29T23:59:59Z", 1709251199},
        {"2100-03-01", 4107542400},
        {"9999-12-31T23:59:59Z", 253402300799},
        {"2027-01-01T12:30:15Z", 1798806615},
        {"2027-01-01t12:30:15z", 1798806615},
        {"2027-01-01 12:30:15Z", 1798806615},
        {"2027-01-01T12:30:15.987654321Z", 1798806615},
        {"2027-01-01T12:30:15+02:00", 1798799415},
        {"2027-01-01T12:30:15-05:30", 1798826415},
        {"1970-01-01T01:00:00+01:00", 0},
        {" 2027-01-01 ", 1798761600},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t got = 1;
        print_message("%s\n", cases[i].text);
        check_err(alk_date_parse(alk_span_str(cases[i].text), &got), ALK_OK);
        assert_int_equal(got, cases[i].want);
    }
}

static void what_is_no_date(void **state)
{
    static const char *const cases[] = {
        "",
        "2027",
        "2027-1-1",
        "2027-13-01",
        "2027-00-01",
        "2027-01-00",
        "2027-01-32",
        "2027-04-31",
        "2027-02-29",
        "2100-02-29",
        "1969-12-31",
        "1970-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "10000-01-01",
        "2027-01-01T",
        "2027-01-01T12",
        "2027-01-01T12:30Z",
        "2027-01-01T12:30:15",
        "2027-01-01T24:00:00Z",
        "2027-01-01T12:60:00Z",
        "2027-01-01T12:30:60Z",
        "2027-01-01T12:30:15.Z",
        "2027-01-01T12:30:15ZZ",
        "2027-01-01T12:30:15+24:00",
        "2027-01-01T12:30:15+02:60",
        "2027-01-01T12:30:15+0200",
        "2027-01-01x",
        "2027/01/01",
        "+027-01-01",
        "2027-01- 1",
        "tomorrow",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t got = 77;
        print_message("'%s'\n", cases[i]);
        check_err(alk_date_parse(alk_span_str(cases[i]), &got), ALK_E_INVALID);
        assert_int_equal(got, 77);
    }
}

static void expiries(void **state)
{
    enum { NOW = 1798761600 }; /* 2027-01-01 */
    static const struct {
        const char *text;
        alk_err err;
        uint64_t want;
    } cases[] = {
        {"never", ALK_OK, 0},
        {"1s", ALK_OK, NOW + 1},
        {"30m", ALK_OK, NOW + 1800},
        {"24h", ALK_OK, NOW + 86400},
        {"7d", ALK_OK, NOW + 7 * 86400},
        {"2w", ALK_OK, NOW + 14 * 86400},
        {"2027-01-02", ALK_OK, NOW + 86400},
        {"2027-01-01T00:00:01Z", ALK_OK, NOW + 1},
        {"2027-01-01", ALK_E_INVALID, 0},
        {"2026-12-31", ALK_E_INVALID, 0},
        {"0d", ALK_E_INVALID, 0},
        {"d", ALK_E_INVALID, 0},
        {"1", ALK_E_INVALID, 0},
        {"1y", ALK_E_INVALID, 0},
        {"1.5d", ALK_E_INVALID, 0},
        {"-1d", ALK_E_INVALID, 0},
        {"1 d", ALK_E_INVALID, 0},
        {"", ALK_E_INVALID, 0},
        {"99999999999999999999d", ALK_E_INVALID, 0},
        {"253402300799s", ALK_E_INVALID, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t got = 0;
        print_message("'%s'\n", cases[i].text);
        check_err(alk_date_parse_expiry(alk_span_str(cases[i].text), NOW, &got), cases[i].err);
        assert_int_equal(got, cases[i].want);
    }
}

static void printed(void **state)
{
    char text[ALK_DATE_SIZE];
    (void)state;
    alk_date_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    alk_date_format(951782400, text);
    assert_string_equal(text, "2000-02-29T00:00:00Z");
    alk_date_format(1798806615, text);
    assert_string_equal(text, "2027-01-01T12:30:15Z");
    alk_date_format(ALK_DATE_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    alk_date_format(UINT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    alk_date_format_ms(1798806615042, text);
    assert_string_equal(text, "2027-01-01T12:30:15.042Z");
    alk_date_format_ms(UINT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void every_day_there_and_back(void **state)
{
    (void)state;
    for (uint64_t day = 0; day <= ALK_DATE_MAX / 86400; day += 7) {
        char text[ALK_DATE_SIZE];
        uint64_t back = 0;
        alk_date_format(day * 86400 + day % 86400, text);
        check_err(alk_date_parse(alk_span_str(text), &back), ALK_OK);
        assert_int_equal(back, day * 86400 + day % 86400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(what_is_no_date),
        cmocka_unit_test(expiries),
        cmocka_unit_test(printed),
        cmocka_unit_test(every_day_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
