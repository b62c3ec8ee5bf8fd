/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The strict JSON walker: what it takes, what it refuses, its bounds. */
#include "base/json_scan.h"

#include "base/buf.h"
#include "support/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct alk_span text(const char *s)
{
    return alk_span_str(s);
}

static const struct {
    const char *in;
    alk_err want;
} judged[] = {
    {"0", ALK_OK},
    {" -0.5e+10 ", ALK_OK},
    {"1E400", ALK_OK},
    {"123456789012345678901234567890", ALK_OK},
    {"true", ALK_OK},
    {"false", ALK_OK},
    {"null", ALK_OK},
    {"\"\"", ALK_OK},
    {"\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", ALK_OK},
    {"\"\x7f\xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"", ALK_OK},
    {"[]", ALK_OK},
    {"{}", ALK_OK},
    {"[ ]", ALK_OK},
    {"{ }", ALK_OK},
    {"[1,[2,{\"a\":[{}]}],3]", ALK_OK},
    {"\t{\r\n\"a\" : 1 , \"b\" : [ true , null ] } ", ALK_OK},
    {"{\"a\":1,\"a\":2}", ALK_OK}, /* duplicates are the caller's */
    {"", ALK_E_MALFORMED},
    {" ", ALK_E_MALFORMED},
    {"+1", ALK_E_MALFORMED},
    {"01", ALK_E_MALFORMED},
    {"-", ALK_E_MALFORMED},
    {"-01", ALK_E_MALFORMED},
    {"1.", ALK_E_MALFORMED},
    {".1", ALK_E_MALFORMED},
    {"1e", ALK_E_MALFORMED},
    {"1e+", ALK_E_MALFORMED},
    {"0x1", ALK_E_MALFORMED},
    {"1 2", ALK_E_MALFORMED},
    {"NaN", ALK_E_MALFORMED},
    {"tru", ALK_E_MALFORMED},
    {"True", ALK_E_MALFORMED},
    {"nul", ALK_E_MALFORMED},
    {"'a'", ALK_E_MALFORMED},
    {"\"", ALK_E_MALFORMED},
    {"\"\\\"", ALK_E_MALFORMED},
    {"\"\\x\"", ALK_E_MALFORMED},
    {"\"\\u12g4\"", ALK_E_MALFORMED},
    {"\"\\u123\"", ALK_E_MALFORMED},
    {"\"\\ud800\"", ALK_E_MALFORMED},
    {"\"\\ud800\\u0041\"", ALK_E_MALFORMED},
    {"\"\\udc00\"", ALK_E_MALFORMED},
    {"\"\\ud800\\ud800\"", ALK_E_MALFORMED},
    {"\"\n\"", ALK_E_MALFORMED},
    {"\"\x1f\"", ALK_E_MALFORMED},
    {"\"\x80\"", ALK_E_MALFORMED},
    {"\"\xc1\xbf\"", ALK_E_MALFORMED},
    {"\"\xc3\"", ALK_E_MALFORMED},
    {"\"\xe0\x9f\xbf\"", ALK_E_MALFORMED},
    {"\"\xed\xa0\x80\"", ALK_E_MALFORMED},
    {"\"\xe2\x82\"", ALK_E_MALFORMED},
    {"\"\xf0\x8f\xbf\xbf\"", ALK_E_MALFORMED},
    {"\"\xf4\x90\x80\x80\"", ALK_E_MALFORMED},
    {"\"\xf5\x80\x80\x80\"", ALK_E_MALFORMED},
    {"[", ALK_E_MALFORMED},
    {"]", ALK_E_MALFORMED},
    {"[1", ALK_E_MALFORMED},
    {"[1,", ALK_E_MALFORMED},
    {"[1,]", ALK_E_MALFORMED},
    {"[,1]", ALK_E_MALFORMED},
    {"[1 2]", ALK_E_MALFORMED},
    {"[1}", ALK_E_MALFORMED},
    {"{\"a\":1]", ALK_E_MALFORMED},
    {"{\"a\"}", ALK_E_MALFORMED},
    {"{\"a\":}", ALK_E_MALFORMED},
    {"{\"a\":1,}", ALK_E_MALFORMED},
    {"{,\"a\":1}", ALK_E_MALFORMED},
    {"{a:1}", ALK_E_MALFORMED},
    {"{1:1}", ALK_E_MALFORMED},
    {"{\"a\":1 \"b\":2}", ALK_E_MALFORMED},
    {"[]]", ALK_E_MALFORMED},
    {"/**/1", ALK_E_MALFORMED},
    {"\xef\xbb\xbf{}", ALK_E_MALFORMED},
    {"[\f1]", ALK_E_MALFORMED},
};

static void values_are_taken_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof judged / sizeof judged[0]; i++) {
        alk_err err = alk_json_scan_check(text(judged[i].in));
        if (err != judged[i].want) {
            fail_msg("%s: %s", judged[i].in, alk_err_name(err));
        }
    }
    check_err(alk_json_scan_check(alk_span("\"a\0b\"", 5)), ALK_E_MALFORMED);
    check_err(alk_json_scan_check((struct alk_span){NULL, 0}), ALK_E_MALFORMED);
}

/* Any byte at any place of a string of any length up to some words. */
static void every_byte_at_every_place_of_a_string_is_judged_alike(void **state)
{
    (void)state;
    for (size_t n = 1; n < 44; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned c = 0; c < 256; c++) {
                uint8_t in[48];
                memset(in, 'x', sizeof in);
                in[0] = '"';
                in[n + 1] = '"';
                in[1 + at] = (uint8_t)c;
                bool is_good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                uint8_t *exact = malloc(n + 2);
                assert_non_null(exact);
                memcpy(exact, in, n + 2);
                alk_err err = alk_json_scan_check(alk_span(exact, n + 2));
                /* A backslash before a letter that is none, or before the quote. */
                assert_int_equal(err, is_good ? ALK_OK : ALK_E_MALFORMED);
                size_t plain = alk_json_plain(alk_span(exact + 1, n));
                assert_int_equal(plain, is_good && c != 0x7f ? n : at);
                free(exact);
            }
        }
    }
}

/* The walker's own reading of UTF-8 against base/span. */
static void utf8_is_what_the_span_functions_say(void **state)
{
    static const uint8_t edges[] = {0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                    0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                    0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff, 'a'};
    enum { N = sizeof edges };
    (void)state;
    for (size_t i = 0; i < (size_t)N * N * N * N; i++) {
        uint8_t in[6] = {
            '"', edges[i % N], edges[i / N % N], edges[i / N / N % N], edges[i / N / N / N], '"'};
        bool is_good = alk_json_scan_check(alk_span(in, 6)) == ALK_OK;
        assert_true(is_good == alk_span_is_utf8(alk_span(in + 1, 4)));
    }
}

static alk_err check_nested(unsigned depth, bool is_object)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, 1 << 20);
    for (unsigned i = 0; i < depth; i++) {
        (void)alk_buf_put_str(&b, !is_object ? "[" : i + 1 < depth ? "{\"a\":" : "{");
    }
    for (unsigned i = 0; i < depth; i++) {
        (void)alk_buf_put_str(&b, is_object ? "}" : "]");
    }
    alk_err err = alk_json_scan_check(alk_buf_span(&b));
    alk_buf_fini(&b);
    return err;
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    for (int is_object = 0; is_object < 2; is_object++) {
        check_err(check_nested(ALK_JSON_SCAN_DEPTH_MAX, is_object != 0), ALK_OK);
        check_err(check_nested(ALK_JSON_SCAN_DEPTH_MAX + 1, is_object != 0), ALK_E_TOO_BIG);
        check_err(check_nested(100000, is_object != 0), ALK_E_TOO_BIG);
    }
}

static alk_err check_many(unsigned n)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, 1 << 20);
    for (unsigned i = 0; i < n; i++) {
        (void)alk_buf_put_str(&b, i == 0 ? "[0" : ",0");
    }
    (void)alk_buf_put_str(&b, "]");
    alk_err err = alk_json_scan_check(alk_buf_span(&b));
    alk_buf_fini(&b);
    return err;
}

static void the_number_of_values_has_a_limit(void **state)
{
    (void)state;
    check_err(check_many(ALK_JSON_SCAN_VALUES_MAX - 1), ALK_OK); /* and the array */
    check_err(check_many(ALK_JSON_SCAN_VALUES_MAX), ALK_E_TOO_BIG);
}

static void what_stands_in_another_text_has_its_limits_from_there(void **state)
{
    static const char text[] = "[[1, {\"a\": null}]] ";
    uint32_t values = 5;
    (void)state;
    check_err(alk_json_scan_within(alk_span_str(text), ALK_JSON_SCAN_DEPTH_MAX - 3, &values),
              ALK_OK);
    assert_int_equal(values, 0);
    values = 4;
    check_err(alk_json_scan_within(alk_span_str(text), 0, &values), ALK_E_TOO_BIG);
    assert_int_equal(values, 4);
    values = 5;
    check_err(alk_json_scan_within(alk_span_str(text), ALK_JSON_SCAN_DEPTH_MAX - 2, &values),
              ALK_E_TOO_BIG);
    check_err(alk_json_scan_within(ALK_LIT("[1] 2"), 2, &values), ALK_E_MALFORMED);
    check_err(alk_json_scan_within(ALK_LIT("[1]]"), 2, &values), ALK_E_MALFORMED);
    assert_int_equal(values, 5);
}

static void every_proper_prefix_is_refused(void **state)
{
    static const char whole[] = "{\"a\":[1,-2.5e+7,\"x\\u00e9\xc3\xa9\\ud83d\\ude00\",true,false,"
                                "null,{}],\"b\":{\"c\":\"\"}}";
    (void)state;
    for (size_t n = 0; n <= sizeof whole - 1; n++) {
        uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, whole, n);
        exact = realloc(exact, n == 0 ? 1 : n);
        assert_non_null(exact);
        check_err(alk_json_scan_check(alk_span(exact, n)),
                  n == sizeof whole - 1 ? ALK_OK : ALK_E_MALFORMED);
        free(exact);
    }
}

static void walk(struct alk_span in, void *ctx)
{
    struct alk_json_scan s = alk_json_scan(in);
    struct alk_json_key key, before = {{NULL, 0}, false};
    struct alk_span value, out;
    uint8_t room[256];
    (void)ctx;
    if (alk_json_scan_enter(&s) != ALK_OK) {
        return;
    }
    while (alk_json_scan_member(&s, &key) == ALK_OK && alk_json_scan_value(&s, &value) == ALK_OK) {
        check_err(alk_json_scan_check(value), ALK_OK);
        assert_true(alk_json_key_equal(&key, &key));
        (void)alk_json_key_equal(&key, &before);
        if (alk_json_text(value, room, sizeof room, &out) == ALK_OK) {
            assert_true(alk_span_is_utf8(out));
        }
        before = key;
    }
}

static void nothing_that_is_broken_crashes_it(void **state)
{
    (void)state;
    check_mutations(ALK_LIT("{\"a\":[1,-2.5e+7,{}],\"b\\u0041\":\"x\\u00e9\xc3\xa9\\ud83d\\ude00\","
                            "\"b\":true}"),
                    walk, NULL);
}

static void members_come_one_by_one(void **state)
{
    struct alk_json_scan s = alk_json_scan(text(" { \"a\" : 1 , \"\" : {\"x\":[]} ,"
                                                "\"c\":{\"d\":\"e\" } , \"f\":\"g\" } "));
    struct alk_json_key key;
    struct alk_span value;
    (void)state;
    check_err(alk_json_scan_enter(&s), ALK_OK);
    check_err(alk_json_scan_member(&s, &key), ALK_OK);
    check_text(key.raw, "a");
    assert_false(alk_json_scan_is_object(&s));
    check_err(alk_json_scan_value(&s, &value), ALK_OK);
    check_text(value, "1");
    check_err(alk_json_scan_member(&s, &key), ALK_OK);
    check_text(key.raw, "");
    check_err(alk_json_scan_value(&s, &value), ALK_OK);
    check_text(value, "{\"x\":[]}");
    assert_true(alk_json_is_object(value));
    /* An object inside is entered, and left. */
    check_err(alk_json_scan_member(&s, &key), ALK_OK);
    assert_true(alk_json_scan_is_object(&s));
    check_err(alk_json_scan_enter(&s), ALK_OK);
    check_err(alk_json_scan_member(&s, &key), ALK_OK);
    check_text(key.raw, "d");
    check_err(alk_json_scan_value(&s, &value), ALK_OK);
    check_err(alk_json_scan_end(&s), ALK_E_MALFORMED); /* not over */
    check_err(alk_json_scan_member(&s, &key), ALK_END);
    check_err(alk_json_scan_member(&s, &key), ALK_OK);
    check_text(key.raw, "f");
    check_err(alk_json_scan_value(&s, &value), ALK_OK);
    check_err(alk_json_scan_member(&s, &key), ALK_END);
    check_err(alk_json_scan_end(&s), ALK_OK);
}

static void broken_members_are_refused(void **state)
{
    static const char *const rows[] = {"{",          "{\"a\"",     "{\"a\":",    "{\"a\":1",
                                       "{\"a\":1,",  "{\"a\":1,}", "{,\"a\":1}", "{1:2}",
                                       "{\"a\":1;}", "{\"a\" 1}",  "{\"a\":1} x"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_json_scan s = alk_json_scan(text(rows[i]));
        struct alk_json_key key;
        struct alk_span value;
        check_err(alk_json_scan_enter(&s), ALK_OK);
        alk_err err;
        while ((err = alk_json_scan_member(&s, &key)) == ALK_OK) {
            err = alk_json_scan_value(&s, &value);
            if (err != ALK_OK) {
                break;
            }
        }
        check_err(err == ALK_END ? alk_json_scan_end(&s) : err, ALK_E_MALFORMED);
    }
    struct alk_json_scan s = alk_json_scan(text("[1]"));
    check_err(alk_json_scan_enter(&s), ALK_E_MALFORMED);
}

static struct alk_json_key key_of(const char *inside)
{
    return (struct alk_json_key){text(inside), strchr(inside, '\\') != NULL};
}

static void names_are_compared_as_they_read(void **state)
{
    static const struct {
        const char *a, *b;
        bool want;
    } rows[] = {
        {"", "", true},
        {"a", "a", true},
        {"a", "b", false},
        {"a", "ab", false},
        {"\\u0061", "a", true},
        {"\\u0061", "ab", false},
        {"\\u0061b", "a\\u0062", true},
        {"\\u0061b", "a\\u0063", false},
        {"\\/", "/", true},
        {"\\n", "\\u000a", true},
        {"\\u00e9", "\xc3\xa9", true},
        {"\\u20ac", "\xe2\x82\xac", true},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80", true},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x81", false},
        {"\\u00e9", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_json_key a = key_of(rows[i].a), b = key_of(rows[i].b);
        assert_true(alk_json_key_equal(&a, &b) == rows[i].want);
        assert_true(alk_json_key_equal(&b, &a) == rows[i].want);
        assert_true((alk_json_key_hash(&a) == alk_json_key_hash(&b)) == rows[i].want);
        if (!b.has_escape) {
            assert_true(alk_json_key_is(&a, b.raw) == rows[i].want);
        }
    }
}

static void strings_are_decoded(void **state)
{
    static const char raw[] = "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\"";
    static const char want[] = "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    struct alk_span ret;
    uint8_t room[64];
    (void)state;
    check_err(alk_json_text(text(raw), room, sizeof room, &ret), ALK_OK);
    check_text(ret, want);
    for (size_t n = 0; n < sizeof want - 1; n++) {
        check_err(alk_json_text(text(raw), room, n, &ret), ALK_E_TOO_BIG);
    }
    check_err(alk_json_text(text(raw), room, sizeof want - 1, &ret), ALK_OK);
    /* Without an escape it is where it was. */
    struct alk_span plain = text("\"abc\"");
    check_err(alk_json_text(plain, NULL, 0, &ret), ALK_OK);
    assert_ptr_equal(ret.p, plain.p + 1);
    check_text(ret, "abc");
    check_err(alk_json_text(text("\"\""), NULL, 0, &ret), ALK_OK);
    assert_int_equal(ret.n, 0);
    check_err(alk_json_text(text("12"), NULL, 0, &ret), ALK_E_INVALID);
    check_err(alk_json_text(text("\"\\u0000\""), room, 1, &ret), ALK_OK);
    assert_int_equal(ret.n, 1);
    assert_int_equal(ret.p[0], 0);
}

/* --- github.com/nst/JSONTestSuite, test_parsing ------------------------------------ */

static struct alk_span read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long n = ftell(f);
    assert_true(n >= 0);
    assert_int_equal(fseek(f, 0, SEEK_SET), 0);
    uint8_t *p = malloc(n == 0 ? 1 : (size_t)n);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)n, f), (size_t)n);
    (void)fclose(f);
    return alk_span(p, (size_t)n);
}

static void the_public_test_suite_is_judged_as_it_says(void **state)
{
    static const char dir_path[] = ALK_VECTORS_DIR "/02-json/JSONTestSuite/test_parsing";
    DIR *dir = opendir(dir_path);
    unsigned seen[3] = {0};
    struct dirent *e;
    (void)state;
    if (dir == NULL) {
        print_message("skipped: no vectors\n");
        skip();
    }
    while ((e = readdir(dir)) != NULL) {
        char path[512];
        const char *kinds = "yni";
        const char *kind = strchr(kinds, e->d_name[0]);
        if (kind == NULL || e->d_name[0] == '\0' || e->d_name[1] != '_') {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", dir_path, e->d_name);
        struct alk_span in = read_file(path);
        alk_err err = alk_json_scan_check(in);
        seen[kind - kinds]++;
        if ((*kind == 'y' && err != ALK_OK) || (*kind == 'n' && err == ALK_OK)) {
            fail_msg("%s: %s", e->d_name, alk_err_name(err));
        }
        free((void *)(uintptr_t)in.p);
    }
    (void)closedir(dir);
    assert_int_equal(seen[0], 95);
    assert_int_equal(seen[1], 188);
    assert_int_equal(seen[2], 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken_or_refused),
        cmocka_unit_test(every_byte_at_every_place_of_a_string_is_judged_alike),
        cmocka_unit_test(utf8_is_what_the_span_functions_say),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(the_number_of_values_has_a_limit),
        cmocka_unit_test(what_stands_in_another_text_has_its_limits_from_there),
        cmocka_unit_test(every_proper_prefix_is_refused),
        cmocka_unit_test(nothing_that_is_broken_crashes_it),
        cmocka_unit_test(members_come_one_by_one),
        cmocka_unit_test(broken_members_are_refused),
        cmocka_unit_test(names_are_compared_as_they_read),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(the_public_test_suite_is_judged_as_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
