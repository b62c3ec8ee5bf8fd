/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "json_text.h"

#include "support/check.h"

#include <stdio.h>

static void what_is_wrong_is_told_with_its_place(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"{\"a\": [1, true, null, \"x\"]}", ""},
        {"1", ""},
        {"", "alknet: it is empty; it must be JSON\n"},
        {" \n\t", "alknet: it is empty; it must be JSON\n"},
        {"{\"a\": 1", "alknet: it is not JSON: unexpected end of data, at its end\n"},
        {"{\"a\": 1,\n \"b\" 2}",
         "alknet: it is not JSON: line 2: unexpected character, expected a "
         "colon after object key, at: 2}\n"},
        {"{\"a\": 1, \"a\": 2}",
         "alknet: it is not JSON that a node takes: an object has a member twice\n"},
        {"{a: 012345678901234567890123456789}",
         "alknet: it is not JSON: unexpected character, expected a string for object key, at: "
         "a: 012345678901234567890...\n"},
        {"[\x1b[31m]", "alknet: it is not JSON: unexpected character, expected a valid JSON value, "
                       "at: \\x1b[31m]\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        size_t n = 0;
        struct cli cli = {.err = open_memstream(&text, &n)};
        int status = cli_json_check(&cli, alk_span_str(rows[i].in), "it");
        assert_int_equal(fclose(cli.err), 0);
        assert_string_equal(text, rows[i].want);
        assert_int_equal(status, rows[i].want[0] == '\0' ? CLI_OK : CLI_USAGE);
        free(text);
    }
}

static void depth_has_a_limit(void **state)
{
    char deep[300], *text = NULL;
    size_t n = 0;
    struct cli cli = {.err = open_memstream(&text, &n)};
    (void)state;
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    assert_int_equal(cli_json_check(&cli, alk_span(deep, 200), "it"), CLI_USAGE);
    assert_int_equal(fclose(cli.err), 0);
    assert_string_equal(text,
                        "alknet: it is not JSON that a node takes: it is too deep, or has too "
                        "many values\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_wrong_is_told_with_its_place),
                                       cmocka_unit_test(depth_has_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
