/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How an operation reads its input: values of a tree, members as texts. */
#include "support/ops_world.h"

static void look(void *ctx, struct alk_request *r)
{
    (void)ctx;
    assert_true(alk_input_has(r, "/a/b/1"));
    assert_int_equal(alk_input_i64(r, "/a/b/1", 0), -5);
    assert_int_equal(alk_input_u64(r, "/a/b/1", 9), 9); /* negative */
    assert_int_equal(alk_input_u64(r, "/a/b/0", 0), UINT64_MAX);
    assert_int_equal(alk_input_i64(r, "/a/b/0", 9), 9); /* too large */
    assert_false(alk_input_has(r, "/a/b/2"));
    assert_false(alk_input_has(r, "/a/b/01"));
    assert_false(alk_input_has(r, "/a/b/-"));
    assert_false(alk_input_has(r, "/a/b/1/0"));
    check_text(alk_input_text(r, "/x~1y/m~0n", ""), "deep");
    assert_false(alk_input_has(r, "/x~1y/m~2n"));
    assert_false(alk_input_has(r, "/x~1y/m~"));
    check_text(alk_input_text(r, "/", ""), "empty name");
    check_text(alk_input_text(r, "s", "fallback"), "text");
    check_text(alk_input_text(r, "a", "fallback"), "fallback");
    assert_int_equal(alk_input_count(r, "a"), 1);
    assert_int_equal(alk_input_count(r, "/a/b"), 2);
    assert_int_equal(alk_input_count(r, "s"), 0);
    assert_true(alk_input_bool(r, "t", false));
    assert_true(alk_input_bool(r, "s", true));
    assert_true(alk_input_real(r, "d", 0) == 2.5);
    assert_int_equal(alk_input_i64(r, "d", 3), 3);
    assert_int_equal(alk_input_i64(r, "whole", 3), 1000);
    assert_int_equal(alk_input_i64(r, "big", 3), 3);
    check_text(alk_input_text(r, "missing", NULL), "");
    check_err(alk_request_respond(r), ALK_OK);
}

static void values_are_found_by_name_and_by_json_pointer(void **state)
{
    struct ops_world w;
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(
        &w,
        (struct alk_op){
            .name = "test/look", .kind = ALK_OP_QUERY, .flags = ALK_OP_PUBLIC, .fn = look},
        NULL);
    ops_check(
        &w, NULL, "test/look",
        "{\"a\":{\"b\":[18446744073709551615,-5]},\"x/y\":{\"m~n\":\"deep\"},"
        "\"\":\"empty name\",\"s\":\"text\",\"t\":true,\"d\":2.5,\"whole\":1e3,\"big\":1e300}",
        "={}");
    ops_world_fini(&w);
}

static void tell_texts(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    (void)ctx;
    alk_out_object(out);
    alk_out_key(out, "has_tree");
    alk_out_bool(out, alk_request_value(r) != NULL);
    if (alk_input_json(r, "a").n > 0) {
        alk_out_key(out, "a");
        alk_out_json(out, alk_input_json(r, "a"));
    }
    assert_int_equal(alk_input_json(r, "none").n, 0);
    alk_out_end(out);
    check_err(alk_request_respond(r), ALK_OK);
}

/* What the text cannot tell is parsed, and refused with the same words. */
static void an_operation_that_reads_texts_gets_a_tree_only_where_one_is_needed(void **state)
{
    static const char schema[] = "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{"
                                 "\"a\":{\"type\":[\"string\",\"object\",\"number\"]}}}";
    static const struct {
        const char *input, *heard;
    } rows[] = {
        {"{\"a\":\"x\"}", "={\"has_tree\":false,\"a\":\"x\"}"},
        {"{\"b\":1,\"a\":{\"c\":[1,2]}}", "={\"has_tree\":false,\"a\":{\"c\":[1,2]}}"},
        {"{\"a\":1e3}", "={\"has_tree\":true,\"a\":1e3}"},
        {"{\"b\":[1],\"\\u0061\":\"x\"}", "={\"has_tree\":true,\"a\":\"x\"}"},
        {"{\"a\":{\"c\":1,\"c\":1}}", "!INVALID_INPUT the input is not strict JSON"},
        {"{\"a\":\"x\",\"a\":\"x\"}", "!INVALID_INPUT the input is not strict JSON"},
        {"{\"a\":1e999}", "!INVALID_INPUT the input is not strict JSON"},
        {"{\"a\":\"x\"", "!INVALID_INPUT the input is not strict JSON"},
    };
    struct alk_op op = {.name = "test/text",
                        .kind = ALK_OP_QUERY,
                        .flags = ALK_OP_PUBLIC | ALK_OP_TEXT_INPUT,
                        .input = schema,
                        .fn = tell_texts};
    const struct alk_identity *ann = ops_somebody("ann", "", "repo:x:read");
    struct ops_world w;
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, op, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ops_check(&w, NULL, "test/text", rows[i].input, rows[i].heard);
    }
    ops_ask(&w, &c, NULL, "test/text", "{\"a\":true}");
    assert_non_null(strstr(c.heard, "!INVALID_INPUT the input does not fit: /a must be"));
    /* The rule about a resource reads the tree. */
    op.name = "test/rule";
    op.flags = ALK_OP_TEXT_INPUT;
    op.access = (struct alk_op_access){
        .resource_type = "repo", .resource_action = "read", .resource_member = "a"};
    ops_world_add(&w, op, NULL);
    ops_check(&w, ann, "test/rule", "{\"a\":\"x\"}", "={\"has_tree\":true,\"a\":\"x\"}");
    ops_check(&w, ann, "test/rule", "{\"a\":\"y\"}", "!FORBIDDEN this is not permitted");
    /* So does who wants one. */
    op.name = "test/tree";
    op.flags = 0;
    op.access = (struct alk_op_access){0};
    ops_world_add(&w, op, NULL);
    ops_check(&w, ann, "test/tree", "{\"a\":\"x\"}", "={\"has_tree\":true,\"a\":\"x\"}");
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_name_and_by_json_pointer),
        cmocka_unit_test(an_operation_that_reads_texts_gets_a_tree_only_where_one_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
