/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Key files. */
#include "secret_key.h"

#include "support/check.h"

#define ONES "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define TWOS "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define LINE "alknet-encryption-key "

static alk_err parse(const char *text, struct cli_keys *ret, char why[static 128])
{
    why[0] = '\0';
    return cli_keys_parse(alk_span_str(text), ret, why, 128);
}

static void keys_come_by_version(void **state)
{
    uint8_t ones[32], twos[32];
    struct cli_keys keys;
    char why[128];
    (void)state;
    memset(ones, 1, sizeof ones);
    memset(twos, 2, sizeof twos);
    check_err(parse("# of node 3\n\n" LINE "2 " ONES "\r\n" LINE "17 " TWOS, &keys, why), ALK_OK);
    assert_int_equal(keys.count, 2);
    assert_memory_equal(cli_keys_find(&keys, 2), ones, 32);
    assert_memory_equal(cli_keys_find(&keys, 17), twos, 32);
    assert_null(cli_keys_find(&keys, 3));
    assert_null(cli_keys_find(&keys, 0));
}

static void what_is_printed_is_read(void **state)
{
    static const uint32_t versions[] = {2, 3, 2147483649};
    uint8_t key[32];
    struct cli_keys keys;
    struct alk_buf text;
    char why[128] = "";
    (void)state;
    alk_buf_init(&text, NULL, 4096);
    for (size_t i = 0; i < 3; i++) {
        memset(key, (int)i + 7, sizeof key);
        check_err(cli_key_print_encryption(versions[i], key, &text), ALK_OK);
    }
    check_err(cli_keys_parse(alk_buf_span(&text), &keys, why, sizeof why), ALK_OK);
    for (size_t i = 0; i < 3; i++) {
        memset(key, (int)i + 7, sizeof key);
        assert_memory_equal(cli_keys_find(&keys, versions[i]), key, 32);
    }
    alk_buf_fini(&text);
}

static void mistakes_are_told_by_their_line(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "there is no key in it"},
        {"# nothing\n\n", "there is no key in it"},
        {"\n" LINE "2\n", "line 2 is not: " LINE "VERSION KEY"},
        {ONES "\n", "line 1 is not: " LINE "VERSION KEY"},
        {"alknet-encryption-kez 2 " ONES, "line 1 is not: " LINE "VERSION KEY"},
        {" " LINE "2 " ONES, "line 1 is not: " LINE "VERSION KEY"},
        {LINE "2  " ONES, "line 1 is not: " LINE "VERSION KEY"},
        {LINE "2 " ONES " ", "line 1 is not: " LINE "VERSION KEY"},
        {LINE "2 " ONES "\n" LINE "two " ONES, "line 2 is not: " LINE "VERSION KEY"},
        {LINE "02 " ONES, "line 1 is not: " LINE "VERSION KEY"},
        {LINE "4294967296 " ONES, "line 1 is not: " LINE "VERSION KEY"},
        {LINE "-2 " ONES, "line 1 is not: " LINE "VERSION KEY"},
        {LINE "1 " ONES, "line 1 has a version that no key can have"},
        {LINE "2147483650 " ONES, "line 1 has a version that no key can have"},
        {LINE "2 " ONES "\n" LINE "2 " TWOS, "line 2 has a version that stands there twice"},
        {LINE "2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQF=", "line 1 has no key in base64"},
        {LINE "2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", "line 1 has no key in base64"},
        {LINE "2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==", "line 1 has no key in base64"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cli_keys keys;
        static const struct cli_keys wiped;
        char why[128];
        memset(&keys, 1, sizeof keys);
        check_err(parse(rows[i].text, &keys, why), ALK_E_MALFORMED);
        assert_string_equal(why, rows[i].why);
        assert_null(strstr(why, "AQEB"));
        assert_memory_equal(&keys, &wiped, sizeof keys);
    }
}

static void there_is_room_for_64_keys(void **state)
{
    static struct cli_keys keys;
    char why[128] = "", text[8192];
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; i < CLI_KEYS_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, LINE "%u " ONES "\n", i + 2);
    }
    check_err(parse(text, &keys, why), ALK_OK);
    assert_int_equal(keys.count, CLI_KEYS_MAX);
    assert_non_null(cli_keys_find(&keys, CLI_KEYS_MAX + 1));
    (void)snprintf(text + n, sizeof text - n, LINE "99 " ONES "\n");
    check_err(parse(text, &keys, why), ALK_E_MALFORMED);
    assert_string_equal(why, "line 65 is one key too many");
}

static void look(struct alk_span in, void *ctx)
{
    struct cli_keys keys;
    char why[128] = "";
    (void)ctx;
    alk_err err = cli_keys_parse(in, &keys, why, sizeof why);
    assert_true((err == ALK_OK) == (keys.count > 0) && (err == ALK_OK) == (why[0] == '\0'));
}

static void no_text_breaks_the_reader(void **state)
{
    (void)state;
    check_mutations(ALK_LIT("# k\n" LINE "2 " ONES "\n" LINE "3 " TWOS "\n"), look, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_by_version),
        cmocka_unit_test(what_is_printed_is_read),
        cmocka_unit_test(mistakes_are_told_by_their_line),
        cmocka_unit_test(there_is_room_for_64_keys),
        cmocka_unit_test(no_text_breaks_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
