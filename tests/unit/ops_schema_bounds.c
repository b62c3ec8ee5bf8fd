/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The JSON Schema validator: every bound, of schemas and of checks. */
#include "core/frame.h"
#include "ops/schema_impl.h"
#include "ops/schema_pattern.h"

#include "support/schema.h"

/* --- bounds of the compiler ----------------------------------------------------- */

/* begin, then part n times, then end. */
static alk_err compile_series(const char *begin, const char *part, size_t n, const char *end)
{
    struct alk_schema_options options = {.mem = NULL};
    struct alk_schema *s = NULL;
    struct alk_buf b;
    test_schema_series(&b, begin, part, n, end);
    alk_err err = alk_schema_compile(&options, alk_buf_span(&b), NULL, 0, &s);
    alk_schema_free(s); /* NULL when it failed */
    alk_buf_fini(&b);
    return err;
}

static void bytes_subschemas_and_depth_have_limits(void **state)
{
    struct alk_schema_options options = {.mem = NULL};
    struct alk_schema *s = NULL;
    (void)state;
    /* One root and as many properties. */
    check_err(compile_series("{\"properties\":{\"x\":1", "", 0, "}}"), ALK_E_INVALID);
    check_err(
        compile_series("{\"properties\":{\"x\":true", ",\"#\":{}", ALK_SCHEMA_NODES_MAX - 2, "}}"),
        ALK_OK);
    check_err(
        compile_series("{\"properties\":{\"x\":true", ",\"#\":{}", ALK_SCHEMA_NODES_MAX - 1, "}}"),
        ALK_E_TOO_BIG);
    /* 64 levels of JSON are 64 schemas within one another. */
    check_err(compile_series("", "{\"not\":", ALK_JSON_DEPTH_MAX - 1,
                             "{}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}"),
              ALK_OK);
    check_err(compile_series("", "{\"not\":", ALK_JSON_DEPTH_MAX,
                             "{}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}"),
              ALK_E_TOO_BIG);
    uint8_t *large = (uint8_t *)malloc(ALK_SCHEMA_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, ' ', ALK_SCHEMA_BYTES_MAX + 1);
    large[0] = '{';
    large[1] = '}';
    check_err(alk_schema_compile(&options, alk_span(large, ALK_SCHEMA_BYTES_MAX), NULL, 0, &s),
              ALK_OK);
    alk_schema_free(s);
    check_err(alk_schema_compile(&options, alk_span(large, ALK_SCHEMA_BYTES_MAX + 1), NULL, 0, &s),
              ALK_E_TOO_BIG);
    free(large);
}

static void schema_bombs_are_refused(void **state)
{
    (void)state;
    struct alk_buf b;
    struct alk_schema_options options = {.mem = NULL};
    struct alk_schema *s = NULL;
    /* Each applies the next one twice: 2^n in all. */
    for (size_t levels = 10; levels <= 40; levels += 30) {
        alk_buf_init(&b, NULL, 65536);
        (void)alk_buf_put_str(&b, "{\"$defs\":{");
        for (size_t i = 0; i < levels; i++) {
            (void)alk_buf_printf(&b,
                                 "\"d%zu\":{\"allOf\":[{\"$ref\":\"#/$defs/d%zu\"},"
                                 "{\"$ref\":\"#/$defs/d%zu\"}]},",
                                 i, i + 1, i + 1);
        }
        check_err(alk_buf_printf(&b, "\"d%zu\":{\"type\":\"null\"}}}", levels), ALK_OK);
        check_err(alk_schema_compile(&options, alk_buf_span(&b), NULL, 0, &s),
                  levels == 10 ? ALK_OK : ALK_E_TOO_BIG);
        if (levels == 10) {
            alk_schema_free(s);
        }
        alk_buf_fini(&b);
    }
}

/* d0 -> d1 -> ... : n references applied to one value, then end. */
static alk_err compile_chain(size_t n)
{
    struct alk_buf b;
    struct alk_schema_options options = {.mem = NULL};
    struct alk_schema *s = NULL;
    alk_buf_init(&b, NULL, 65536);
    (void)alk_buf_put_str(&b, "{\"$defs\":{");
    for (size_t i = 0; i < n; i++) {
        (void)alk_buf_printf(&b, "\"d%zu\":{\"$ref\":\"#/$defs/d%zu\"},", i, i + 1);
    }
    check_err(alk_buf_printf(&b, "\"d%zu\":{}}}", n), ALK_OK);
    alk_err err = alk_schema_compile(&options, alk_buf_span(&b), NULL, 0, &s);
    if (err == ALK_OK) {
        alk_schema_free(s);
    }
    alk_buf_fini(&b);
    return err;
}

static void references_have_limits(void **state)
{
    (void)state;
    check_err(compile_chain(SCHEMA_CHAIN_MAX - 1), ALK_OK);
    check_err(compile_chain(SCHEMA_CHAIN_MAX), ALK_E_TOO_BIG);
    /* Long URIs, and many long ones below them. */
    check_err(compile_series("{\"$id\":\"http://x/", "a", 2000, "\"}"), ALK_OK);
    check_err(compile_series("{\"$id\":\"http://x/", "a", SCHEMA_URI_MAX, "\"}"), ALK_E_TOO_BIG);
    check_err(compile_series("{\"$ref\":\"", "a", SCHEMA_URI_MAX + 1, "\"}"), ALK_E_TOO_BIG);
    /* Pointers into an object of many members, time and again. */
    struct alk_buf b;
    struct alk_schema_options options = {.mem = NULL};
    struct alk_schema *s = NULL;
    alk_buf_init(&b, NULL, (size_t)1 << 20);
    (void)alk_buf_put_str(&b, "{\"x\":{");
    for (size_t i = 0; i < 20000; i++) {
        (void)alk_buf_printf(&b, "\"%zu\":0,", i);
    }
    (void)alk_buf_put_str(&b, "\"y\":{}},\"prefixItems\":[true");
    for (size_t i = 0; i < 8000; i++) {
        (void)alk_buf_put_str(&b, ",{\"$ref\":\"#/x/y\"}");
    }
    check_err(alk_buf_put_str(&b, "]}"), ALK_OK);
    check_err(alk_schema_compile(&options, alk_buf_span(&b), NULL, 0, &s), ALK_E_TOO_BIG);
    alk_buf_fini(&b);
}

static void patterns_have_limits(void **state)
{
    (void)state;
    check_err(compile_series("{\"pattern\":\"", "a", SCHEMA_PATTERN_MAX, "\"}"), ALK_OK);
    check_err(compile_series("{\"pattern\":\"", "a", SCHEMA_PATTERN_MAX + 1, "\"}"), ALK_E_TOO_BIG);
    check_err(compile_series("{\"pattern\":\"", "(", SCHEMA_GROUPS_MAX + 1, "a\"}"), ALK_E_INVALID);
    check_err(compile_series("{\"pattern\":\"", "((a{1000}){1000}){1000}", 1, "\"}"),
              ALK_E_INVALID);
    /* Each of these compiles to more than ten kilobytes. */
    check_err(compile_series("{\"anyOf\":[true", ",{\"pattern\":\"((?:ab){500}){3}\"}", 20, "]}"),
              ALK_OK);
    check_err(compile_series("{\"anyOf\":[true", ",{\"pattern\":\"((?:ab){500}){3}\"}", 2000, "]}"),
              ALK_E_TOO_BIG);
}

/* --- bounds of a check ---------------------------------------------------------- */

static alk_err check_many(const struct alk_schema *s, const char *begin, const char *part, size_t n,
                          const char *end)
{
    struct alk_buf b;
    test_schema_series(&b, begin, part, n, end);
    alk_err err = test_schema_check(s, alk_buf_span(&b), NULL);
    alk_buf_fini(&b);
    return err;
}

static void a_check_ends_when_its_steps_are_used_up(void **state)
{
    struct alk_schema *s = test_schema_with((struct alk_schema_options){.steps = 100},
                                            alk_span_str("{\"items\":{\"type\":\"integer\"}}"));
    struct alk_schema_report report;
    (void)state;
    check_err(check_many(s, "[0", ",#", 40, "]"), ALK_OK);
    check_err(check_many(s, "[0", ",#", 60, "]"), ALK_E_LIMIT);
    /* Known not to fit, but not at what price. */
    check_err(check_many(s, "[\"x\"", ",#", 1000, "]"), ALK_E_INVALID);
    check_err(test_schema_check(s, alk_span_str("[\"x\",1,2,3,4,5,6,7,8,9]"), &report),
              ALK_E_INVALID);
    assert_int_equal(report.count, 1);
    alk_schema_free(s);
}

static void a_dynamic_loop_ends(void **state)
{
    struct alk_schema *s =
        test_schema("{\"$dynamicAnchor\":\"a\",\"allOf\":[{\"$dynamicRef\":\"#a\"}]}");
    (void)state;
    check_err(test_schema_check(s, alk_span_str("1"), NULL), ALK_E_LIMIT);
    alk_schema_free(s);
    s = test_schema("{\"$dynamicAnchor\":\"a\",\"not\":{\"$dynamicRef\":\"#a\"}}");
    check_err(test_schema_check(s, alk_span_str("1"), NULL), ALK_E_LIMIT);
    alk_schema_free(s);
    s = test_schema("{\"$dynamicAnchor\":\"a\",\"anyOf\":[{\"$dynamicRef\":\"#a\"},"
                    "{\"$dynamicRef\":\"#a\"}]}");
    check_err(test_schema_check(s, alk_span_str("1"), NULL), ALK_E_LIMIT);
    alk_schema_free(s);
}

static alk_err check_nested(const struct alk_schema *s, size_t depth)
{
    uint8_t *p = (uint8_t *)malloc(2 * depth);
    assert_non_null(p);
    memset(p, '[', depth);
    memset(p + depth, ']', depth);
    alk_err err = test_schema_check(s, alk_span(p, 2 * depth), NULL);
    free(p);
    return err;
}

static void values_may_be_deep_but_not_without_end(void **state)
{
    struct alk_schema *s = test_schema("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}");
    (void)state;
    check_err(check_nested(s, 64), ALK_OK);
    check_err(check_nested(s, 200), ALK_OK);
    check_err(check_nested(s, 1000), ALK_E_LIMIT);
    alk_schema_free(s);
    s = test_schema("{\"enum\":[[],1,2,3,4,5,6,7,8,9]}"); /* hashed */
    check_err(check_nested(s, 100), ALK_E_INVALID);
    check_err(check_nested(s, 1000), ALK_E_LIMIT);
    alk_schema_free(s);
}

static void unique_items_are_found_faster_than_pair_by_pair(void **state)
{
    struct alk_schema *s = test_schema("{\"uniqueItems\":true}");
    (void)state;
    check_err(check_many(s, "[-1", ",#", 60000, "]"), ALK_OK);
    check_err(check_many(s, "[7", ",#", 60000, "]"), ALK_E_INVALID);
    check_err(check_many(s, "[[]", ",{\"a\":[#,\"x\"],\"b\":{}}", 20000, "]"), ALK_OK);
    check_err(check_many(s, "[[]", ",{\"a\":[#,\"x\"],\"b\":{}}", 20000,
                         ",{\"b\":{},\"a\":[777.0,\"x\"]}]"),
              ALK_E_INVALID);
    /* More than a check may hold in memory. */
    check_err(check_many(s, "[-1", ",#", 300000, "]"), ALK_E_LIMIT);
    alk_schema_free(s);
}

static void a_large_enum_is_found_by_hash(void **state)
{
    struct alk_schema_options options = {.steps = 200000};
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, (size_t)1 << 20);
    (void)alk_buf_put_str(&b, "{\"items\":{\"enum\":[{}");
    for (size_t i = 0; i < 20000; i++) {
        (void)alk_buf_printf(&b, ",\"v%zu\"", i);
    }
    check_err(alk_buf_put_str(&b, "]}}"), ALK_OK);
    struct alk_schema *s = test_schema_with(options, alk_buf_span(&b));
    check_err(check_many(s, "[{}", ",\"v#\"", 20000, "]"), ALK_OK);
    check_err(check_many(s, "[{}", ",\"v#\"", 20001, "]"), ALK_E_INVALID);
    alk_schema_free(s);
    alk_buf_fini(&b);
}

static void patterns_are_matched_with_bounded_effort(void **state)
{
    static const struct {
        const char *pattern;
        size_t n; /* letters a, then an exclamation mark */
        alk_err want;
    } rows[] = {
        {"^(a+)+$", 10, ALK_E_INVALID},
        {"^(a+)+$", 60, ALK_E_LIMIT},
        {"^(a|a)*$", 60, ALK_E_LIMIT},
        {"^(a|aa)+$", 60, ALK_E_LIMIT},
        {"(.*)(.*)(.*)(.*)(.*)(.*)\\\\d", 200, ALK_E_LIMIT},
        {"^[a!]*$", 1000000, ALK_OK},
        {"^(a|!)*$", 4000, ALK_OK},
        {"a*b", 20000, ALK_E_INVALID},
        {"foo", 1000000, ALK_E_INVALID},
        {"a*\\\\d", 20000, ALK_E_LIMIT},
        {"a{1000}\\\\d", 1000000, ALK_E_LIMIT},
        {"^(a*)\\\\1b?!?$", 1000, ALK_OK},
        {"(a*)\\\\1\\\\d", 100000, ALK_E_LIMIT},
    };
    char schema[128];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(schema, sizeof schema, "{\"pattern\":\"%s\"}", rows[i].pattern);
        struct alk_schema *s = test_schema(schema);
        alk_err err = check_many(s, "\"", "a", rows[i].n, "!\"");
        if (err != rows[i].want) {
            fail_msg("%s: %s", rows[i].pattern, alk_err_name(err));
        }
        alk_schema_free(s);
    }
}

static void formats_and_decimals_cost_what_they_take(void **state)
{
    static const struct {
        const char *schema, *value;
        alk_err want;
    } rows[] = {
        {"{\"format\":\"uri\"}", "\"http://a/bcdefghijklmnopqrstuvwxyz/bcdefghijklmnopqr\"",
         ALK_OK},
        {"{\"format\":\"hostname\"}", "\"abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz\"",
         ALK_E_LIMIT},
        {"{\"items\":{\"multipleOf\":0.5}}", "[1,2,3,4,5,6,7,8,9,10,11,12]", ALK_OK},
        {"{\"items\":{\"multipleOf\":0.5}}", "[1.5,2.5,3.5,4.5,5.5,6.5]", ALK_E_LIMIT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_schema_options options = {.steps = 100, .assert_format = true};
        struct alk_schema *s = test_schema_with(options, alk_span_str(rows[i].schema));
        check_err(test_schema_check(s, alk_span_str(rows[i].value), NULL), rows[i].want);
        alk_schema_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_subschemas_and_depth_have_limits),
        cmocka_unit_test(schema_bombs_are_refused),
        cmocka_unit_test(references_have_limits),
        cmocka_unit_test(patterns_have_limits),
        cmocka_unit_test(a_check_ends_when_its_steps_are_used_up),
        cmocka_unit_test(a_dynamic_loop_ends),
        cmocka_unit_test(values_may_be_deep_but_not_without_end),
        cmocka_unit_test(unique_items_are_found_faster_than_pair_by_pair),
        cmocka_unit_test(a_large_enum_is_found_by_hash),
        cmocka_unit_test(patterns_are_matched_with_bounded_effort),
        cmocka_unit_test(formats_and_decimals_cost_what_they_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
