/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What goes to a terminal: texts of others, and tables. */
#include "cli.h"

#include "support/check.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void texts_keep_what_people_read_and_lose_what_terminals_obey(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {"\"path\" is missing", "\"path\" is missing"},
        {"z\xc3\xa4hlt \xe6\x97\xa5 \xf0\x9f\x98\x80",
         "z\xc3\xa4hlt \xe6\x97\xa5 \xf0\x9f\x98\x80"},
        {"a\\b", "a\\b"},
        {"\x1b[31mred", "\\x1b[31mred"},
        {"a\tb\nc\rd\x7f", "a\\tb\\nc\\x0dd\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},                                         /* C1: CSI */
        {"\xff\xc3", "\\xff\\xc3"},                                /* not UTF-8 */
        {"user\xe2\x80\xaegnp.exe", "user\\xe2\\x80\\xaegnp.exe"}, /* right to left */
        {"a\xe2\x80\x8b"
         "b\xef\xbb\xbf",
         "a\\xe2\\x80\\x8bb\\xef\\xbb\\xbf"},
        {"\xe2\x80\xa6", "\xe2\x80\xa6"}, /* an ellipsis is no control */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        cli_safe(alk_span_str(rows[i].in), text, sizeof text);
        assert_string_equal(text, rows[i].want);
    }
}

static void output_that_is_lost_is_a_failure_unless_its_reader_has_left(void **state)
{
    char *text = NULL;
    size_t n = 0;
    int ends[2];
    struct cli cli = {.err = open_memstream(&text, &n)};
    (void)state;

    cli.out = fopen("/dev/full", "w");
    assert_non_null(cli.out);
    (void)fputs("lost", cli.out);
    assert_int_equal(cli_finish(&cli, CLI_OK), CLI_FAILED);
    (void)fclose(cli.out);
    (void)fflush(cli.err);
    assert_string_equal(text, "alknet: cannot write the result: No space left on device\n");

    assert_int_equal(pipe(ends), 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(ends[0]);
    cli.out = fdopen(ends[1], "w");
    (void)fputs("lost", cli.out);
    assert_int_not_equal(fflush(cli.out), 0); /* whose errno is forgotten */
    assert_int_equal(cli_finish(&cli, CLI_OK), CLI_PIPE);
    assert_int_equal(cli_finish(&cli, CLI_REFUSED), CLI_REFUSED);
    (void)fclose(cli.out);
    (void)fclose(cli.err);
    assert_string_equal(text, "alknet: cannot write the result: No space left on device\n");
    free(text);
}

static void a_long_text_is_cut_and_says_so(void **state)
{
    static const uint8_t bad[300] = {0};
    char text[64];
    (void)state;
    cli_safe(alk_span_str("0123456789abcdefghij"), text, 21);
    assert_string_equal(text, "0123456789abcdefghij");
    cli_safe(alk_span_str("0123456789abcdefghij"), text, 20);
    assert_string_equal(text, "0123456789abcdef...");
    cli_safe(alk_span_str("01234567\xc3\xa4\xc3\xa4\xc3\xa4"), text, 13); /* no half of one */
    assert_string_equal(text, "01234567...");
    cli_safe(alk_span_str("0123\x1b\x1b\x1b"), text, 13);
    assert_string_equal(text, "0123\\x1b...");
    for (size_t size = 1; size < sizeof text; size++) {
        memset(text, 'x', sizeof text);
        cli_safe(alk_span(bad, sizeof bad), text, size);
        assert_true(strlen(text) < size);
    }
}

static void json_on_a_terminal_has_no_controls(void **state)
{
    static const char json[] = "[\"a\xc2\x9b\x7f\xc3\xa4\",\"\xe2\x82\xac\"]";
    (void)state;
    for (int is_tty = 0; is_tty < 2; is_tty++) {
        char *text = NULL;
        size_t n = 0;
        struct cli cli = {.out = open_memstream(&text, &n), .out_is_tty = is_tty != 0};
        assert_true(cli_put_json(&cli, alk_span_str(json)));
        (void)fclose(cli.out);
        assert_string_equal(text, is_tty != 0 ? "[\"a\\u009b\\u007f\xc3\xa4\",\"\xe2\x82\xac\"]\n"
                                              : "[\"a\xc2\x9b\x7f\xc3\xa4\",\"\xe2\x82\xac\"]\n");
        free(text);
    }
}

static void a_table_has_no_spaces_after_the_last_word(void **state)
{
    static const char *const rows[][3] = {
        {"NAME", "B", "FROM"}, {"a", "bbb", ""}, {"caf\xc3\xa9", "", "x"}, {"", "", ""}};
    struct cli_table table = {.columns = 3};
    char *text = NULL;
    size_t n = 0;
    struct cli cli = {.out = open_memstream(&text, &n)};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(cli_table_row(&table, rows[i]));
    }
    cli_table_print(&cli, &table);
    cli_table_free(&table);
    (void)fclose(cli.out);
    assert_string_equal(text, "NAME  B    FROM\n"
                              "a     bbb\n"
                              "caf\xc3\xa9       x\n"
                              "\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_keep_what_people_read_and_lose_what_terminals_obey),
        cmocka_unit_test(output_that_is_lost_is_a_failure_unless_its_reader_has_left),
        cmocka_unit_test(a_long_text_is_cut_and_says_so),
        cmocka_unit_test(json_on_a_terminal_has_no_controls),
        cmocka_unit_test(a_table_has_no_spaces_after_the_last_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
