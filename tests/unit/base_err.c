/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/err.h"

#include "support/check.h"

static void every_error_has_a_name_a_text_and_the_class_of_its_number(void **state)
{
    (void)state;
    static const struct {
        alk_err err;
        const char *name, *text;
    } all[] = {
#define ROW(name, number, text) {ALK_##name, "ALK_" #name, text},
        ALK_ERR_MAP(ROW)
#undef ROW
    };
    static const enum alk_err_class classes[] = {ALK_CLASS_NONE,     ALK_CLASS_USAGE,
                                                 ALK_CLASS_RESOURCE, ALK_CLASS_PEER,
                                                 ALK_CLASS_DENIED,   ALK_CLASS_SYSTEM};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_string_equal(alk_err_name(all[i].err), all[i].name);
        assert_string_equal(alk_err_text(all[i].err), all[i].text);
        int number = (int)all[i].err;
        assert_int_equal(alk_err_class(all[i].err),
                         number >= 0 ? ALK_CLASS_NONE : classes[-number / 100]);
    }
}

static void a_foreign_number_is_named_as_such(void **state)
{
    (void)state;
    assert_string_equal(alk_err_name((alk_err)-9999), "ALK_E_?");
    assert_string_equal(alk_err_text((alk_err)-9999), "unknown error");
    assert_int_equal(alk_err_class((alk_err)-9999), ALK_CLASS_USAGE);
}

static void the_code_to_close_with_follows_error_and_class(void **state)
{
    (void)state;
    static const struct {
        alk_err err;
        uint64_t code;
    } rows[] = {
        {ALK_OK, ALK_CODE_NONE},
        {ALK_MORE, ALK_CODE_NONE},
        {ALK_E_INVALID, ALK_CODE_INTERNAL},
        {ALK_E_NOMEM, ALK_CODE_LIMIT},
        {ALK_E_LIMIT, ALK_CODE_LIMIT},
        {ALK_E_MALFORMED, ALK_CODE_PROTOCOL},
        {ALK_E_TOO_BIG, ALK_CODE_LIMIT},
        {ALK_E_PROTOCOL, ALK_CODE_PROTOCOL},
        {ALK_E_TIMEOUT, ALK_CODE_TIMEOUT},
        {ALK_E_AUTH, ALK_CODE_AUTH},
        {ALK_E_FORBIDDEN, ALK_CODE_FORBIDDEN},
        {ALK_E_REVOKED, ALK_CODE_REVOKED},
        {ALK_E_HOST_LOST, ALK_CODE_HOST_LOST},
        {ALK_E_IO, ALK_CODE_INTERNAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(alk_err_code(rows[i].err), rows[i].code);
    }
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (uint64_t code = ALK_CODE_NONE; code <= ALK_CODE_TIMEOUT; code++) {
        assert_string_not_equal(alk_code_name(code), "?");
        for (uint64_t other = ALK_CODE_NONE; other < code; other++) {
            assert_string_not_equal(alk_code_name(code), alk_code_name(other));
        }
    }
    assert_string_equal(alk_code_name(ALK_CODE_TIMEOUT + 1), "?");
    assert_string_equal(alk_code_name(UINT64_MAX), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_a_text_and_the_class_of_its_number),
        cmocka_unit_test(a_foreign_number_is_named_as_such),
        cmocka_unit_test(the_code_to_close_with_follows_error_and_class),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
