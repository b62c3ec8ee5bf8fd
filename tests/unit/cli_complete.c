/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a node said last, as it is kept for completions. */
#include "complete.h"

#include "base/span.h"
#include "support/check.h"

static void what_was_kept_is_read_again(void **state)
{
    static const struct {
        const char *text, *names;
        uint64_t at;
    } rows[] = {
        {"1790000000 home\nfs/list\nfs/read\n", "fs/list\nfs/read\n", 1790000000},
        {"0 home\n", "", 0},
        {"7 home", "", 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t at = 1;
        struct alk_span names = ALK_LIT("unset");
        assert_true(cli_complete_read(alk_span_str(rows[i].text), "home", &at, &names));
        assert_int_equal(at, rows[i].at);
        check_text(names, rows[i].names);
    }
}

static void what_is_of_another_node_or_no_such_text_is_not_used(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "home\nfs/list\n",
        "1790000000\nfs/list\n",
        "x home\n",
        "-1 home\n",
        "1790000000 hom\n",
        "1790000000 homes\n",
        " home\n",
        "1  home\n",
        "9999999999999999999999 home\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t at = 1;
        struct alk_span names = ALK_LIT("unset");
        assert_false(cli_complete_read(alk_span_str(texts[i]), "home", &at, &names));
        assert_int_equal(at, 1);
        check_text(names, "unset");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_is_read_again),
        cmocka_unit_test(what_is_of_another_node_or_no_such_text_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
