/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Schemas that are checked on the text: what fits there fits as a tree, too, and what is
 * simple is not left to the tree. */
#include "ops/schema_impl.h"

#include "base/json_scan.h"
#include "core/frame.h"
#include "support/schema.h"

static bool fits_as_tree(const struct alk_schema *s, struct alk_span text)
{
    struct yyjson_doc *doc = NULL;
    bool fits = alk_json_parse(text, &doc) == ALK_OK &&
                alk_schema_check(s, yyjson_doc_get_root(doc), NULL) == ALK_OK;
    yyjson_doc_free(doc);
    return fits;
}

#define EVENT                                                                                      \
    "{\"type\":\"object\",\"required\":[\"topic\",\"data\"],\"properties\":{\"topic\":{\"type\":"  \
    "\"string\",\"maxLength\":8,\"description\":\"x\"},\"data\":true,\"id\":{\"type\":\"string\"," \
    "\"minLength\":2},\"n\":{\"type\":[\"integer\",\"null\"]},\"f\":{\"type\":\"number\"},\"b\":"  \
    "{\"type\":\"boolean\"},\"o\":{\"type\":\"object\"},\"a\":{\"type\":\"array\"}}"

static const char *const SCHEMAS[] = {
    EVENT "}",
    EVENT ",\"additionalProperties\":false}",
    EVENT ",\"additionalProperties\":true}",
    "{\"properties\":{\"data\":{}}}",
};
#define SCHEMA_COUNT (sizeof(SCHEMAS) / sizeof(SCHEMAS[0]))

static void what_is_simple_is_told_from_the_text(void **state)
{
    static const struct {
        const char *text;
        const char *fits; /* with each of the schemas: '1' said on the text, 't' by the tree */
    } rows[] = {
        {"{\"topic\":\"t\",\"data\":1}", "1111"},
        {" { \"data\" : [ 1 , {\"x\":{}} ] , \"topic\" : \"12345678\" } ", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"more\":2}", "1011"},
        {"{\"topic\":\"t\"}", "0001"},
        {"{\"data\":null}", "0001"},
        {"{}", "0001"},
        {"{\"topic\":\"123456789\",\"data\":1}", "0001"},
        {"{\"topic\":\"\\u00e4\\u00e4\\u00e4\\u00e4\",\"data\":1}", "ttt1"},
        {"{\"topic\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\",\"data\":1}", "1111"},
        {"{\"topic\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\",\"data\":1}", "ttt1"},
        {"{\"topic\":1,\"data\":1}", "0001"},
        {"{\"topic\":\"t\",\"data\":1,\"id\":\"ab\"}", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"id\":\"a\"}", "0001"},
        {"{\"topic\":\"t\",\"data\":1,\"id\":\"\\u0061\"}",
         "0001"}, /* one character of six bytes */
        {"{\"topic\":\"t\",\"data\":1,\"id\":\"\\ud83d\\ude00\"}", "0001"},
        {"{\"topic\":\"t\",\"data\":1,\"id\":\"\\ud83d\\ude00\\ud83d\\ude00\"}", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"n\":-12}", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"n\":null}", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"n\":1.0}", "ttt1"},
        {"{\"topic\":\"t\",\"data\":1,\"n\":1.5}", "0001"},
        {"{\"topic\":\"t\",\"data\":1,\"n\":1e2}", "tttt"},
        {"{\"topic\":\"t\",\"data\":1,\"n\":true}", "0001"},
        {"{\"topic\":\"t\",\"data\":1,\"f\":1.5}", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"b\":false}", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"o\":{},\"a\":[]}", "1111"},
        {"{\"topic\":\"t\",\"data\":1,\"o\":[],\"a\":{}}", "0001"},
        {"{\"topic\":\"t\",\"data\":1,\"data\":1}", "0000"},
        {"{\"topic\":\"t\",\"data\":{\"a\":1,\"b\":[{\"a\":1},{\"a\":1}]}}", "1111"},
        {"{\"topic\":\"t\",\"data\":{\"a\":1,\"a\":1}}", "0000"},
        {"{\"topic\":\"t\",\"data\":[{\"a\":1,\"\\u0061\":1}]}", "0000"},
        {"{\"topic\":\"t\",\"data\":1e999}", "0000"},
        {"{\"t\\u006fpic\":\"t\",\"data\":1}", "tttt"},
        {"{\"topic\":\"t\",\"data\":1,\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1}", "1011"},
        {"{\"topic\":\"t\",\"data\":1,\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1}",
         "t0tt"},
        {"[]", "000t"},
        {"1", "000t"},
        {"", "0000"},
        {"{\"topic\":\"t\",\"data\":1}x", "0000"},
        {"{\"topic\":\"t\",\"data\":1,}", "0000"},
        {"{\"topic\":\"t\",\"data\":\"\xff\"}", "0000"},
    };
    struct alk_schema_parts parts;
    (void)state;
    for (size_t k = 0; k < SCHEMA_COUNT; k++) {
        struct alk_schema *s = test_schema(SCHEMAS[k]);
        assert_non_null(s->flat);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct alk_span text = alk_span_str(rows[i].text);
            char got = alk_schema_fits_text(s, text, &parts) ? '1'
                       : fits_as_tree(s, text)               ? 't'
                                                             : '0';
            if (got != rows[i].fits[k] || (got == '1' && !fits_as_tree(s, text))) {
                print_error("schema %zu, %s: '%c'\n", k, rows[i].text, got);
            }
            assert_int_equal(got, rows[i].fits[k]);
            assert_true(got != '1' || fits_as_tree(s, text));
        }
        alk_schema_free(s);
    }
}

static void members_are_noted_as_they_came(void **state)
{
    struct alk_schema *s = test_schema(SCHEMAS[0]);
    struct alk_schema_parts parts;
    (void)state;
    assert_true(alk_schema_fits_text(
        s, alk_span_str("{\"data\": {\"a\" : 1} ,\"x\":\"\\n\",\"topic\":\"t\"}"), &parts));
    assert_int_equal(parts.n, 3);
    check_text(parts.v[0].name, "data");
    check_text(parts.v[0].value, "{\"a\" : 1}");
    check_text(parts.v[1].name, "x");
    check_text(parts.v[1].value, "\"\\n\"");
    check_text(parts.v[2].name, "topic");
    check_text(parts.v[2].value, "\"t\"");
    alk_schema_free(s);
}

/* Whatever the text, only what fits as a tree is said to fit. */
static void look(struct alk_span in, void *ctx)
{
    const struct alk_schema *s = (const struct alk_schema *)ctx;
    struct alk_schema_parts parts;
    if (alk_schema_fits_text(s, in, &parts)) {
        assert_true(fits_as_tree(s, in));
    }
}

static void nothing_broken_is_said_to_fit(void **state)
{
    (void)state;
    for (size_t k = 0; k < SCHEMA_COUNT; k++) {
        struct alk_schema *s = test_schema(SCHEMAS[k]);
        check_mutations(alk_span_str("{\"topic\":\"a.\\u0062\",\"data\":{\"k\":[1,-2.5e3,null,"
                                     "{\"k\":\"\xc3\xa4\"}],\"l\":{}},\"id\":\"xy\",\"n\":10}"),
                        look, s);
        alk_schema_free(s);
    }
}

static void what_needs_more_than_types_and_lengths_needs_the_tree(void **state)
{
    static const char *const texts[] = {
        "true",
        "false",
        "{\"type\":\"object\"}",
        "{\"type\":\"string\",\"properties\":{\"a\":true}}",
        "{\"properties\":{\"a\":{\"pattern\":\"x\"}}}",
        "{\"properties\":{\"a\":{\"enum\":[1]}}}",
        "{\"properties\":{\"a\":{\"minimum\":1}}}",
        "{\"properties\":{\"a\":{\"properties\":{\"b\":true}}}}",
        "{\"properties\":{\"a\":{\"items\":{\"type\":\"string\"}}}}",
        "{\"properties\":{\"a\":{\"$ref\":\"#\"}}}",
        "{\"properties\":{\"a\":false}}",
        "{\"properties\":{\"a\":true},\"required\":[\"b\"]}",
        "{\"properties\":{\"a\":true},\"patternProperties\":{\"^b\":true}}",
        "{\"properties\":{\"a\":true},\"additionalProperties\":{\"type\":\"string\"}}",
        "{\"properties\":{\"a\":true},\"unevaluatedProperties\":false}",
        "{\"properties\":{\"a\":true},\"minProperties\":1}",
        "{\"properties\":{\"a\":true},\"propertyNames\":{\"maxLength\":3}}",
        "{\"properties\":{\"a\":true},\"dependentRequired\":{\"a\":[\"b\"]}}",
        "{\"properties\":{\"a\":true},\"allOf\":[{\"required\":[\"b\"]}]}",
        "{\"properties\":{\"a\":true},\"not\":{\"required\":[\"a\"]}}",
        "{\"properties\":{\"a\":true},\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{}}}",
    };
    struct alk_schema_parts parts;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct alk_schema *s = test_schema(texts[i]);
        if (s->flat != NULL) {
            print_error("%s\n", texts[i]);
        }
        assert_null(s->flat);
        assert_false(alk_schema_fits_text(s, alk_span_str("{\"a\":1}"), &parts));
        alk_schema_free(s);
    }
}

static void as_many_properties_as_it_has_bits_are_looked_at(void **state)
{
    (void)state;
    for (size_t n = 31; n <= 32; n++) {
        struct alk_schema_options options = {.mem = NULL};
        struct alk_buf b;
        test_schema_series(&b, "{\"required\":[\"x\"],\"properties\":{\"x\":true", ",\"#\":{}", n,
                           "}}");
        struct alk_schema *s = test_schema_with(options, alk_buf_span(&b));
        assert_int_equal(s->flat != NULL, n == 31);
        alk_schema_free(s);
        alk_buf_fini(&b);
    }
}

/* "data" has n members that are objects of one name. */
static char judge_many(const struct alk_schema *s, size_t n)
{
    struct alk_schema_parts parts;
    struct alk_buf b;
    test_schema_series(&b, "{\"topic\":\"t\",\"data\":[0", ",{\"a\":1}", n, "]}");
    check_err(alk_json_scan_check(alk_buf_span(&b)), ALK_OK);
    char got = alk_schema_fits_text(s, alk_buf_span(&b), &parts) ? '1'
               : fits_as_tree(s, alk_buf_span(&b))               ? 't'
                                                                 : '0';
    alk_buf_fini(&b);
    return got;
}

/* A name is a value of the tree's, but none of the walk's. */
static void more_values_than_a_tree_may_have_do_not_fit(void **state)
{
    struct alk_schema *s = test_schema(SCHEMAS[0]);
    (void)state;
    assert_int_equal(judge_many(s, 10000), '1');
    assert_int_equal(judge_many(s, 20000), 't');
    assert_int_equal(judge_many(s, 30000), '0');
    alk_schema_free(s);
}

static bool is_simple(const char *text)
{
    return alk_json_is_simple(alk_span_str(text));
}

/* An object of n names. */
static bool series_is_simple(size_t n)
{
    struct alk_buf b;
    test_schema_series(&b, "{\"x\":1", ",\"#\":1", n - 1, "}");
    check_err(alk_json_scan_check(alk_buf_span(&b)), ALK_OK);
    bool is_it = alk_json_is_simple(alk_buf_span(&b));
    alk_buf_fini(&b);
    return is_it;
}

static void what_takes_long_to_look_at_is_not_simple(void **state)
{
    char digits[304];
    (void)state;
    assert_true(series_is_simple(32));
    assert_false(series_is_simple(33));
    assert_true(is_simple("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
                          "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}}}}}}}}"));
    assert_false(is_simple("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
                           "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}}}}}}}}}"));
    memset(digits, '9', sizeof(digits));
    assert_true(alk_json_is_simple(alk_span(digits, 300)));
    assert_false(alk_json_is_simple(alk_span(digits, 301)));
    assert_false(is_simple("[1,2E1]"));
    assert_false(is_simple("{\"a\":1,\"\\n\":\"\\n\"}"));
    assert_true(is_simple("{\"a\":1,\"b\":\"\\n\"}"));
    assert_true(is_simple("[\"e\",\"2e1\",true,false]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_simple_is_told_from_the_text),
        cmocka_unit_test(members_are_noted_as_they_came),
        cmocka_unit_test(nothing_broken_is_said_to_fit),
        cmocka_unit_test(what_needs_more_than_types_and_lengths_needs_the_tree),
        cmocka_unit_test(as_many_properties_as_it_has_bits_are_looked_at),
        cmocka_unit_test(more_values_than_a_tree_may_have_do_not_fit),
        cmocka_unit_test(what_takes_long_to_look_at_is_not_simple),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
