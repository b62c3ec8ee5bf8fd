/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The JSON Schema validator: what it refuses, and what it says of a value. That it
 * judges as the standard wants is ops_schema_suite.c's. */
#include "core/frame.h"
#include "ops/schema.h"

#include "support/oom.h"
#include "support/schema.h"

#include <pthread.h>

/* --- what the compiler refuses ------------------------------------------------- */

static void a_schema_that_cannot_run_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *schema, *why;
    } rows[] = {
        {"3", "the schema must be a schema: an object, true or false"},
        {"{\"a\":1,\"a\":2}", "the schema is not JSON, or holds a member twice"},
        {"{\"properties\":{\"a/b\":7}}",
         "/properties/a~1b must be a schema: an object, true or false"},
        {"{\"properties\":[]}", "/properties must be an object of schemas"},
        {"{\"allOf\":[]}", "/allOf must be a list of one schema or more"},
        {"{\"allOf\":[true,{\"not\":1}]}",
         "/allOf/1/not must be a schema: an object, true or false"},
        {"{\"type\":\"int\"}", "/type must be null, boolean, integer, number, string, array or "
                               "object, or a list of these"},
        {"{\"type\":[]}", "/type must be null, boolean, integer, number, string, array or "
                          "object, or a list of these"},
        {"{\"enum\":1}", "/enum must be a list of values"},
        {"{\"minimum\":\"1\"}", "/minimum must be a number"},
        {"{\"multipleOf\":0}", "/multipleOf must be a number above 0"},
        {"{\"maxLength\":-1}", "/maxLength must be a whole number, 0 or more"},
        {"{\"maxItems\":-1e34}", "/maxItems must be a whole number, 0 or more"},
        {"{\"minItems\":1.5}", "/minItems must be a whole number, 0 or more"},
        {"{\"minContains\":\"x\"}", "/minContains must be a whole number, 0 or more"},
        {"{\"uniqueItems\":1}", "/uniqueItems must be true or false"},
        {"{\"required\":[\"a\",1]}", "/required must be a list of names"},
        {"{\"required\":\"a\"}", "/required must be a list of names"},
        {"{\"required\":[\"a\",\"b\",\"a\"]}", "/required names something twice"},
        {"{\"dependentRequired\":{\"a\":true}}",
         "/dependentRequired must be an object of lists of names"},
        {"{\"dependentRequired\":[]}", "/dependentRequired must be an object"},
        {"{\"pattern\":1}", "/pattern must be a regular expression"},
        {"{\"pattern\":\"a**\"}", "/pattern has a quantifier with nothing before it"},
        {"{\"patternProperties\":{\"(\":true}}", "/patternProperties has a ( without its )"},
        {"{\"format\":1}", "/format must be the name of a format"},
        {"{\"$ref\":1}", "/$ref must be a URI reference"},
        {"{\"$ref\":\"#/$defs/x\"}", "/$ref leads nowhere"},
        {"{\"$ref\":\"#/~2\"}", "/$ref leads nowhere"},
        {"{\"$ref\":\"#x\"}", "/$ref names an anchor that is not there"},
        {"{\"$ref\":\"#%4\"}", "/$ref has a bad escape in its fragment"},
        {"{\"$ref\":\"other.json\"}", "/$ref leaves the document"},
        {"{\"$dynamicRef\":\"https://example.com/x\"}", "/$dynamicRef leaves the document"},
        {"{\"$id\":\"#a\"}", "/$id must not have a fragment"},
        {"{\"$id\":4}", "/$id must be a URI"},
        {"{\"$anchor\":\"1a\"}", "/$anchor must be a name of letters, digits, - _ ."},
        {"{\"$anchor\":\"a\",\"$defs\":{\"x\":{\"$anchor\":\"a\"}}}",
         "/$defs/x has a name that another schema has too"},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}",
         "/$schema names a dialect that is not known here: use "
         "https://json-schema.org/draft/2020-12/schema"},
        {"{\"$schema\":1}", "/$schema must be a URI"},
        {"{\"$ref\":\"#\"}", "the schema applies itself to the same value without end"},
        {"{\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#/$defs/b\"}]},"
         "\"b\":{\"not\":{\"$ref\":\"#/$defs/a\"}}}}",
         "/$defs/a applies itself to the same value without end"},
        {"{\"if\":true,\"then\":{\"dependentSchemas\":{\"x\":{\"$ref\":\"#\"}}}}",
         "the schema applies itself to the same value without end"},
        {"{\"x\":{\"minimum\":null},\"$ref\":\"#/x\"}", "/x/minimum must be a number"},
        {"{\"not\":{\"x\":[{\"not\":5}],\"$ref\":\"#/not/x/0\"}}",
         "/not/x/0/not must be a schema: an object, true or false"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_schema_options options = {.mem = NULL};
        struct alk_schema *s = NULL;
        char why[256] = "";
        alk_err err =
            alk_schema_compile(&options, alk_span_str(rows[i].schema), why, sizeof why, &s);
        assert_string_equal(why, rows[i].why);
        assert_true(err == ALK_E_INVALID || err == ALK_E_MALFORMED);
        assert_null(s);
        /* Nobody has to listen, and little room is enough. */
        check_err(alk_schema_compile(&options, alk_span_str(rows[i].schema), NULL, 0, &s), err);
        check_err(alk_schema_compile(&options, alk_span_str(rows[i].schema), why, 8, &s), err);
        assert_true(strlen(why) <= 7);
    }
}

/* The reason is in PCRE2's words, which are others in each of its versions. */
static void what_only_pcre2_refuses_is_refused_in_its_words(void **state)
{
    static const char start[] = "/pattern is no regular expression: ";
    struct alk_schema *s = NULL;
    char why[256] = "";
    (void)state;
    check_err(alk_schema_compile(&(struct alk_schema_options){.mem = NULL},
                                 alk_span_str("{\"pattern\":\"(?<=a+)b\"}"), why, sizeof why, &s),
              ALK_E_INVALID);
    assert_null(s);
    assert_memory_equal(why, start, sizeof start - 1);
    assert_non_null(strstr(why + sizeof start - 1, "lookbehind assertion"));
}

/* --- what a check says ---------------------------------------------------------- */

static const struct {
    const char *schema, *value, *at, *rule, *what;
} wrong[] = {
    {"{\"properties\":{\"port\":{\"maximum\":65535}}}", "{\"port\":70000}", "/port",
     "/properties/port/maximum", "must be at most 65535"},
    {"{\"minimum\":0.5}", "0.25", "", "/minimum", "must be at least 0.5"},
    {"{\"exclusiveMinimum\":3}", "3", "", "/exclusiveMinimum", "must be more than 3"},
    {"{\"exclusiveMaximum\":-3}", "-3", "", "/exclusiveMaximum", "must be less than -3"},
    {"{\"multipleOf\":0.1}", "0.25", "", "/multipleOf", "must be a multiple of 0.1"},
    {"{\"type\":\"integer\"}", "1.5", "", "/type", "must be an integer"},
    {"{\"type\":[\"string\",\"null\"]}", "1", "", "/type", "must be null or a string"},
    {"{\"type\":\"boolean\"}", "1", "", "/type", "must be true or false"},
    {"{\"type\":\"number\"}", "[]", "", "/type", "must be a number"},
    {"{\"const\":\"a\\n\"}", "1", "", "/const", "must be \"a\\u000a\""},
    {"{\"const\":null}", "1", "", "/const", "must be null"},
    {"{\"enum\":[\"a\",2,true,[1],{}]}", "1", "", "/enum",
     "must be one of \"a\", 2, true, [...], {}"},
    {"{\"enum\":[]}", "1", "", "/enum", "must be one of "},
    {"{\"required\":[\"port\"]}", "{}", "", "/required", "\"port\" is missing"},
    {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", "", "/dependentRequired",
     "\"b\" is missing, which must come with \"a\""},
    {"{\"dependentSchemas\":{\"a\":{\"maxProperties\":1}}}", "{\"a\":1,\"b\":2}", "",
     "/dependentSchemas/a/maxProperties", "must have at most 1 member"},
    {"{\"minProperties\":2}", "{}", "", "/minProperties", "must have at least 2 members"},
    {"{\"additionalProperties\":false}", "{\"a/~b\":1}", "/a~1~0b", "/additionalProperties",
     "is not allowed"},
    {"{\"properties\":{\"a\":true},\"unevaluatedProperties\":false}", "{\"a\":1,\"b\":2}", "/b",
     "/unevaluatedProperties", "is not allowed"},
    {"{\"patternProperties\":{\"^x-\":{\"type\":\"string\"}}}", "{\"x-a\":1}", "/x-a",
     "/patternProperties/^x-/type", "must be a string"},
    {"{\"propertyNames\":{\"maxLength\":1}}", "{\"long\":1}", "", "/propertyNames",
     "the name \"long\" is not allowed"},
    {"{\"minLength\":2}", "\"\\u00e9\"", "", "/minLength", "must have at least 2 characters"},
    {"{\"maxLength\":1}", "\"\\u00e9\\u00e9\"", "", "/maxLength", "must have at most 1 character"},
    {"{\"pattern\":\"^[a-z]+$\"}", "\"A\"", "", "/pattern", "must match the pattern ^[a-z]+$"},
    {"{\"minItems\":1}", "[]", "", "/minItems", "must have at least 1 item"},
    {"{\"maxItems\":1}", "[1,2]", "", "/maxItems", "must have at most 1 item"},
    {"{\"uniqueItems\":true}", "[1,\"x\",1.0]", "", "/uniqueItems",
     "must not hold the same item twice: 1"},
    {"{\"uniqueItems\":true}", "[0,1,2,3,4,5,6,7,8,9,\"x\",\"x\"]", "", "/uniqueItems",
     "must not hold the same item twice: \"x\""},
    {"{\"items\":{\"type\":\"string\"}}", "[\"a\",1]", "/1", "/items/type", "must be a string"},
    {"{\"prefixItems\":[true,{\"type\":\"null\"}],\"items\":false}", "[1,null,2]", "/2", "/items",
     "is not allowed"},
    {"{\"prefixItems\":[true,{\"type\":\"null\"}]}", "[1,1]", "/1", "/prefixItems/1/type",
     "must be null"},
    {"{\"contains\":{\"const\":1}}", "[2]", "", "/contains", "must hold at least 1 item that fits"},
    {"{\"contains\":{\"const\":1},\"maxContains\":2}", "[1,1,1]", "", "/contains",
     "must hold at most 2 items that fit"},
    {"{\"prefixItems\":[true],\"unevaluatedItems\":false}", "[1,2]", "/1", "/unevaluatedItems",
     "is not allowed"},
    {"{\"anyOf\":[{\"type\":\"null\"},{\"minimum\":5}]}", "3", "", "/anyOf",
     "must fit at least one of 2 alternatives"},
    {"{\"anyOf\":[{\"type\":\"null\"}]}", "3", "", "/anyOf/0/type", "must be null"},
    {"{\"oneOf\":[{\"type\":\"null\"},{\"minimum\":5}]}", "3", "", "/oneOf",
     "must fit exactly one of 2 alternatives, but fits none"},
    {"{\"oneOf\":[{\"type\":\"null\"},{\"minimum\":1},{\"minimum\":2}]}", "3", "", "/oneOf",
     "must fit one alternative only, but fits number 2 and number 3"},
    {"{\"oneOf\":[{\"type\":\"null\"}]}", "3", "", "/oneOf/0/type", "must be null"},
    {"{\"not\":{\"type\":\"integer\"}}", "3", "", "/not", "is what it must not be"},
    {"{\"if\":{\"type\":\"integer\"},\"then\":{\"minimum\":5},\"else\":false}", "3", "",
     "/then/minimum", "must be at least 5"},
    {"{\"if\":{\"type\":\"integer\"},\"then\":{\"minimum\":5},\"else\":false}", "\"x\"", "",
     "/else", "fits nothing"},
    {"false", "1", "", "", "fits nothing"},
    {"{\"$defs\":{\"p\":{\"type\":\"integer\"}},\"properties\":{\"a\":{\"$ref\":"
     "\"#/$defs/p\"}}}",
     "{\"a\":[]}", "/a", "/$defs/p/type", "must be an integer"},
    {"{\"z\":{\"w\":[{\"type\":\"integer\"}]},\"$ref\":\"#/z/w/0\"}", "null", "", "/z/w/0/type",
     "must be an integer"},
};

static void errors_say_where_and_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct alk_schema_report report;
        struct alk_schema *s = test_schema(wrong[i].schema);
        check_err(test_schema_check(s, alk_span_str(wrong[i].value), &report), ALK_E_INVALID);
        assert_int_equal(report.count, 1);
        assert_string_equal(report.errors[0].at, wrong[i].at);
        assert_string_equal(report.errors[0].rule, wrong[i].rule);
        assert_string_equal(report.errors[0].what, wrong[i].what);
        check_err(test_schema_check(s, alk_span_str(wrong[i].value), NULL), ALK_E_INVALID);
        alk_schema_free(s);
    }
}

static void all_that_is_wrong_is_said_but_no_more_than_eight(void **state)
{
    struct alk_schema_report report;
    struct alk_schema *s = test_schema(
        "{\"required\":[\"name\",\"port\"],\"properties\":{\"host\":{\"type\":\"string\","
        "\"minLength\":1},\"tags\":{\"items\":{\"type\":\"string\"}}}}");
    (void)state;
    check_err(test_schema_check(s, alk_span_str("{\"port\":1,\"host\":\"\",\"tags\":[1,\"a\",2]}"),
                                &report),
              ALK_E_INVALID);
    assert_int_equal(report.count, 4);
    assert_string_equal(report.errors[0].what, "\"name\" is missing");
    assert_string_equal(report.errors[1].at, "/host");
    assert_string_equal(report.errors[2].at, "/tags/0");
    assert_string_equal(report.errors[3].at, "/tags/2");
    check_err(test_schema_check(s, alk_span_str("{\"tags\":[1,2,3,4,5,6,7,8,9,10]}"), &report),
              ALK_E_INVALID);
    assert_int_equal(report.count, ALK_SCHEMA_ERRORS_MAX);
    /* What an alternative lacks is not what the value lacks. */
    check_err(test_schema_check(s, alk_span_str("{\"name\":1,\"port\":2}"), &report), ALK_OK);
    assert_int_equal(report.count, 0);
    alk_schema_free(s);
}

static void long_places_and_texts_are_cut_between_characters(void **state)
{
    struct alk_schema_report report;
    struct alk_buf b;
    struct alk_schema *s = test_schema("{\"additionalProperties\":{\"enum\":[1]}}");
    (void)state;
    alk_buf_init(&b, NULL, 65536);
    (void)alk_buf_put_str(&b, "{\"");
    for (size_t i = 0; i < 400; i++) {
        (void)alk_buf_put_str(&b, "\xc3\xa9");
    }
    check_err(alk_buf_put_str(&b, "\":2}"), ALK_OK);
    check_err(test_schema_check(s, alk_buf_span(&b), &report), ALK_E_INVALID);
    size_t n = strlen(report.errors[0].at);
    assert_true(n >= sizeof report.errors[0].at - 3);
    assert_string_equal(report.errors[0].at + n - 3, "...");
    assert_true(alk_span_is_utf8(alk_span_str(report.errors[0].at)));
    alk_schema_free(s);
    alk_buf_fini(&b);
}

/* --- numbers -------------------------------------------------------------------- */

static void numbers_are_compared_by_their_value(void **state)
{
    static const struct {
        const char *schema, *value;
        alk_err want;
    } rows[] = {
        {"{\"const\":1}", "1.0", ALK_OK},
        {"{\"const\":-0.0}", "0", ALK_OK},
        {"{\"const\":9007199254740993}", "9007199254740992.0", ALK_E_INVALID},
        {"{\"const\":9007199254740992}", "9007199254740992.0", ALK_OK},
        {"{\"const\":18446744073709551615}", "18446744073709551616", ALK_E_INVALID},
        {"{\"maximum\":18446744073709551615}", "1e30", ALK_E_INVALID},
        {"{\"minimum\":-9223372036854775808}", "-1e30", ALK_E_INVALID},
        {"{\"minimum\":-9223372036854775808}", "-9223372036854775808", ALK_OK},
        {"{\"exclusiveMaximum\":3}", "2.9999999999999996", ALK_OK},
        {"{\"exclusiveMaximum\":-3}", "-3.0000000000000004", ALK_OK},
        {"{\"minimum\":-3}", "-3.0000000000000004", ALK_E_INVALID},
        {"{\"enum\":[1,2,3,4,5,6,7,8,9,10.0]}", "10", ALK_OK},
        {"{\"enum\":[1,2,3,4,5,6,7,8,9,10]}", "10.5", ALK_E_INVALID},
        {"{\"type\":\"integer\"}", "1e300", ALK_OK},
        {"{\"multipleOf\":0.01}", "19.99", ALK_OK},
        {"{\"multipleOf\":0.01}", "19.999", ALK_E_INVALID},
        {"{\"multipleOf\":0.01}", "4.35", ALK_OK},
        {"{\"multipleOf\":3}", "9007199254740993", ALK_OK},
        {"{\"multipleOf\":3}", "9007199254740994", ALK_E_INVALID},
        {"{\"multipleOf\":1e-300}", "1e300", ALK_OK},
        {"{\"multipleOf\":7e-300}", "1e300", ALK_E_INVALID},
        {"{\"multipleOf\":1e300}", "1", ALK_E_INVALID},
        {"{\"multipleOf\":1e300}", "0", ALK_OK},
        {"{\"multipleOf\":5e-324}", "1.5", ALK_OK},
        {"{\"multipleOf\":100}", "-1200.0", ALK_OK},
        {"{\"minLength\":1e300}", "\"a\"", ALK_E_INVALID},
        {"{\"maxLength\":1e300}", "\"a\"", ALK_OK},
        {"{\"maxLength\":2.0}", "\"abc\"", ALK_E_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        alk_err err = test_schema_once(rows[i].schema, rows[i].value);
        if (err != rows[i].want) {
            fail_msg("%s %s: %s", rows[i].schema, rows[i].value, alk_err_name(err));
        }
    }
}

/* --- threads, mutations, memory ------------------------------------------------- */

static const char rich[] =
    "{\"$id\":\"http://x/y/\",\"$dynamicAnchor\":\"n\",\"type\":[\"object\",\"array\"],"
    "\"properties\":{\"a\":{\"$ref\":\"z#/$defs/"
    "s\"},\"b\":{\"enum\":[1,2.5,\"x\",null,[1],{},3,4,5,"
    "6]},\"c\":{\"$dynamicRef\":\"#n\"}},\"patternProperties\":{\"^x-\\\\p{L}+$\":{\"type\":"
    "\"string\",\"format\":\"uri\"}},\"dependentRequired\":{\"a\":[\"b\"]},\"propertyNames\":"
    "{\"maxLength\":9},\"anyOf\":[{\"required\":[\"a\"]},{\"minItems\":1}],\"if\":{\"uniqueItems\":"
    "true},\"then\":{\"contains\":{\"multipleOf\":0.5},\"maxContains\":3},"
    "\"unevaluatedProperties\":"
    "false,\"unevaluatedItems\":{\"not\":{\"const\":7}},\"$defs\":{\"z\":{\"$id\":\"z\",\"$defs\":"
    "{\"s\":{\"$anchor\":\"s\",\"pattern\":\"^[a-c]{1,3}$\",\"minLength\":1}}}}}";
static const char rich_value[] = "{\"a\":\"abc\",\"b\":2.5,\"c\":[1.5,2,\"k\"],\"x-y\":\"a:b\"}";

static void look_at_schema(struct alk_span in, void *ctx)
{
    struct alk_schema_options options = {.assert_format = true, .steps = 5000};
    struct alk_schema *s = NULL;
    struct alk_schema_report report;
    char why[128] = "";
    (void)ctx;
    alk_err err = alk_schema_compile(&options, in, why, sizeof why, &s);
    if (err != ALK_OK) {
        assert_true(why[0] != '\0');
        return;
    }
    err = test_schema_check(s, alk_span_str(rich_value), &report);
    assert_true(err == ALK_OK || err == ALK_E_INVALID || err == ALK_E_LIMIT);
    alk_schema_free(s);
}

static void a_broken_schema_crashes_nothing(void **state)
{
    (void)state;
    check_mutations(alk_span_str(rich), look_at_schema, NULL);
}

static void look_at_value(struct alk_span in, void *ctx)
{
    const struct alk_schema *s = (const struct alk_schema *)ctx;
    struct alk_schema_report report;
    yyjson_doc *doc = NULL;
    if (alk_json_parse(in, &doc) == ALK_OK) {
        alk_err err = alk_schema_check(s, yyjson_doc_get_root(doc), &report);
        assert_true(err == ALK_OK || err == ALK_E_INVALID);
        assert_true((report.count > 0) == (err == ALK_E_INVALID));
        yyjson_doc_free(doc);
    }
}

static void a_broken_value_crashes_nothing(void **state)
{
    struct alk_schema *s =
        test_schema_with((struct alk_schema_options){.assert_format = true}, alk_span_str(rich));
    (void)state;
    check_err(test_schema_check(s, alk_span_str(rich_value), NULL), ALK_OK);
    check_mutations(alk_span_str(rich_value), look_at_value, s);
    alk_schema_free(s);
}

static alk_err compile_and_check(const struct alk_mem *mem, void *ctx)
{
    struct alk_schema_options options = {.mem = mem, .assert_format = true};
    struct alk_schema_report report;
    struct alk_schema *s = NULL;
    char large[1024] = "{\"a\":\"abc\",\"b\":3";
    const char *value = (const char *)ctx;
    alk_err err = alk_schema_compile(&options, alk_span_str(rich), NULL, 0, &s);
    if (err != ALK_OK) {
        return err;
    }
    if (value == NULL) { /* marks that need memory */
        size_t n = strlen(large);
        for (unsigned i = 0; i < 90; i++) {
            n += (size_t)snprintf(large + n, sizeof large - n, ",\"n%u\":1", i);
        }
        (void)snprintf(large + n, sizeof large - n, "}");
    }
    err = test_schema_check(s, alk_span_str(value == NULL ? large : value), &report);
    alk_schema_free(s);
    return err == ALK_E_INVALID ? ALK_OK : err;
}

static void failing_allocations_are_told_and_nothing_leaks(void **state)
{
    char items[] = "[1,2,3,4,5,6,7,8,9,10.5,\"x\"]";
    char value[sizeof rich_value];
    (void)state;
    memcpy(value, rich_value, sizeof value);
    oom_sweep(compile_and_check, value);
    oom_sweep(compile_and_check, items);
    oom_sweep(compile_and_check, NULL);
}

static void *check_in_a_thread(void *ctx)
{
    const struct alk_schema *s = (const struct alk_schema *)ctx;
    static const char bad[] = "{\"a\":\"x\",\"x-y\":1}";
    struct alk_schema_report report;
    for (int i = 0; i < 200; i++) {
        yyjson_doc *doc = yyjson_read(rich_value, sizeof rich_value - 1, 0);
        yyjson_doc *other = yyjson_read(bad, sizeof bad - 1, 0);
        if (doc == NULL || other == NULL ||
            alk_schema_check(s, yyjson_doc_get_root(doc), &report) != ALK_OK ||
            alk_schema_check(s, yyjson_doc_get_root(other), &report) != ALK_E_INVALID) {
            return ctx;
        }
        yyjson_doc_free(doc);
        yyjson_doc_free(other);
    }
    return NULL;
}

static void one_schema_serves_many_threads(void **state)
{
    struct alk_schema *s = test_schema(rich);
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, check_in_a_thread, s), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *failed = s;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    alk_schema_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schema_that_cannot_run_is_refused_with_its_place),
        cmocka_unit_test(what_only_pcre2_refuses_is_refused_in_its_words),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(all_that_is_wrong_is_said_but_no_more_than_eight),
        cmocka_unit_test(long_places_and_texts_are_cut_between_characters),
        cmocka_unit_test(numbers_are_compared_by_their_value),
        cmocka_unit_test(a_broken_schema_crashes_nothing),
        cmocka_unit_test(a_broken_value_crashes_nothing),
        cmocka_unit_test(failing_allocations_are_told_and_nothing_leaks),
        cmocka_unit_test(one_schema_serves_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
