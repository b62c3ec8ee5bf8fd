/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The frames of the call protocol: cutting, reading, writing, the JSON policy. */
#include "core/frame.h"

#include "support/check.h"

static struct alk_span text(const char *s)
{
    return alk_span_str(s);
}

/* --- JSON --------------------------------------------------------------------- */

static void json_policy_refuses_what_yyjson_accepts(void **state)
{
    static const struct {
        const char *in;
        alk_err want;
    } rows[] = {
        {"{}", ALK_OK},
        {"{\"a\":1,\"b\":{\"a\":1}}", ALK_OK}, /* the same name in another object is fine */
        {"", ALK_E_MALFORMED},
        {"{\"a\":1,\"a\":2}", ALK_E_MALFORMED},
        {"[{\"x\":{\"k\":0,\"l\":1,\"k\":2}}]", ALK_E_MALFORMED},
        {"{\"a\":1,\"\\u0061\":2}", ALK_E_MALFORMED}, /* the same name, escaped */
        {"{\"a\":1} x", ALK_E_MALFORMED},
        {"{\"a\":NaN}", ALK_E_MALFORMED},
        {"{\"a\":1,}", ALK_E_MALFORMED},
        {"{\"a\":\"\xff\"}", ALK_E_MALFORMED},
        {"{\"a\":\"\\ud800\"}", ALK_E_MALFORMED},
        {"// c\n{}", ALK_E_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct yyjson_doc *doc = NULL;
        check_err(alk_json_parse(text(rows[i].in), &doc), rows[i].want);
        yyjson_doc_free(doc);
    }
}

static alk_err parse_nested(size_t depth)
{
    char in[2 * ALK_JSON_DEPTH_MAX + 8];
    struct yyjson_doc *doc = NULL;
    memset(in, '[', depth);
    memset(in + depth, ']', depth);
    alk_err err = alk_json_parse(alk_span(in, 2 * depth), &doc);
    yyjson_doc_free(doc);
    return err;
}

static void json_depth_has_a_limit_and_strings_do_not_count(void **state)
{
    struct yyjson_doc *doc = NULL;
    char in[256];
    (void)state;
    check_err(parse_nested(ALK_JSON_DEPTH_MAX), ALK_OK);
    check_err(parse_nested(ALK_JSON_DEPTH_MAX + 1), ALK_E_TOO_BIG);
    memset(in, '[', sizeof in);
    memcpy(in, "[\"\\\"", 4);
    memcpy(in + sizeof in - 2, "\"]", 2);
    check_err(alk_json_parse(alk_span(in, sizeof in), &doc), ALK_OK);
    yyjson_doc_free(doc);
}

/* An object of n members; the last one's name is that of member `twin`. */
static alk_err parse_members(unsigned n, unsigned twin)
{
    struct alk_buf b;
    struct yyjson_doc *doc = NULL;
    alk_buf_init(&b, NULL, 1 << 20);
    for (unsigned i = 0; i < n; i++) {
        (void)alk_buf_printf(&b, "%s\"k%u\":0", i == 0 ? "{" : ",", i == n - 1 ? twin : i);
    }
    (void)alk_buf_put_u8(&b, '}');
    alk_err err = alk_json_parse(alk_buf_span(&b), &doc);
    yyjson_doc_free(doc);
    alk_buf_fini(&b);
    return err;
}

static void json_duplicates_are_found_in_large_objects_too(void **state)
{
    static const unsigned sizes[] = {2, 16, 17, 300, 5000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned n = sizes[i];
        check_err(parse_members(n, n - 1), ALK_OK);
        check_err(parse_members(n, 0), ALK_E_MALFORMED);
        check_err(parse_members(n, n / 3), ALK_E_MALFORMED);
    }
}

static void json_values_have_a_limit(void **state)
{
    struct alk_buf b;
    struct yyjson_doc *doc = NULL;
    (void)state;
    alk_buf_init(&b, NULL, 1 << 20);
    (void)alk_buf_put_u8(&b, '[');
    for (unsigned i = 0; i < ALK_JSON_VALUES_MAX; i++) {
        (void)alk_buf_put_str(&b, i == 0 ? "1" : ",1");
    }
    (void)alk_buf_put_u8(&b, ']');
    check_err(alk_json_parse(alk_buf_span(&b), &doc), ALK_E_TOO_BIG);
    alk_buf_fini(&b);
}

/* --- frames ------------------------------------------------------------------- */

static alk_err cut(struct alk_rd *r, void *ret)
{
    struct alk_span body;
    size_t used = 0;
    struct alk_span in = {r->p, alk_rd_left(r)};
    alk_err err = alk_frame_cut(in, 100, &body, &used);
    if (err == ALK_OK) {
        *(size_t *)ret = body.n;
        (void)alk_rd_take(r, used);
    }
    return err;
}

static void cut_takes_whole_frames_only(void **state)
{
    struct alk_span body;
    size_t used = 0;
    (void)state;
    check_prefixes(ALK_LIT("\0\0\0\2{}"), cut, sizeof(size_t));
    check_err(alk_frame_cut(ALK_LIT("\0\0\0\2{}tail"), 100, &body, &used), ALK_OK);
    check_text(body, "{}");
    assert_int_equal(used, 6);
    check_err(alk_frame_cut(ALK_LIT("\0\0\0\0"), 100, &body, &used), ALK_E_MALFORMED);
    /* The limit is told from the length alone, and 100 bytes still pass. */
    check_err(alk_frame_cut(ALK_LIT("\0\0\0\x65"), 100, &body, &used), ALK_E_TOO_BIG);
    check_err(alk_frame_cut(ALK_LIT("\0\0\0\x64"), 100, &body, &used), ALK_MORE);
    check_err(alk_frame_cut(ALK_LIT("\xff\xff\xff\xff"), ALK_FRAME_MAX, &body, &used),
              ALK_E_TOO_BIG);
}

static void parse_reads_the_envelope(void **state)
{
    static const struct {
        const char *in;
        alk_err want;
        enum alk_frame_type type;
        const char *id;
    } rows[] = {
        {"{\"type\":\"call.requested\",\"id\":\"a\",\"payload\":{}}", ALK_OK, ALK_FRAME_REQUESTED,
         "a"},
        {"{\"type\":\"call.completed\",\"id\":\"~!\"}", ALK_OK, ALK_FRAME_COMPLETED, "~!"},
        {"{\"id\":\"a\",\"x\":[1],\"type\":\"call.error\",\"payload\":{}}", ALK_OK, ALK_FRAME_ERROR,
         "a"},
        {"{\"type\":\"call.later\",\"id\":\"a\"}", ALK_OK, ALK_FRAME_UNKNOWN, "a"},
        {"{\"type\":\"call.later\"}", ALK_OK, ALK_FRAME_UNKNOWN, ""},
        {"{\"type\":\"call.requested\",\"id\":\"\",\"payload\":{}}", ALK_E_PROTOCOL,
         ALK_FRAME_REQUESTED, ""},
        {"{\"type\":\"call.requested\",\"id\":7,\"payload\":{}}", ALK_E_PROTOCOL,
         ALK_FRAME_REQUESTED, ""},
        {"{\"type\":\"call.requested\",\"id\":\"a b\",\"payload\":{}}", ALK_E_PROTOCOL,
         ALK_FRAME_REQUESTED, ""},
        {"{\"type\":\"call.requested\",\"id\":\"a\",\"payload\":[]}", ALK_E_PROTOCOL,
         ALK_FRAME_REQUESTED, "a"},
        {"{\"id\":\"a\",\"payload\":{}}", ALK_E_MALFORMED, ALK_FRAME_UNKNOWN, ""},
        {"{\"type\":1,\"id\":\"a\"}", ALK_E_MALFORMED, ALK_FRAME_UNKNOWN, ""},
        {"[]", ALK_E_MALFORMED, ALK_FRAME_UNKNOWN, ""},
        {"{", ALK_E_MALFORMED, ALK_FRAME_UNKNOWN, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_frame f;
        check_err(alk_frame_parse(text(rows[i].in), &f), rows[i].want);
        assert_int_equal(f.type, rows[i].type);
        assert_string_equal(f.id, rows[i].id);
        alk_frame_fini(&f);
    }
}

static void look_at(struct alk_span in, void *ctx)
{
    struct alk_frame f;
    (void)ctx;
    alk_err err = alk_frame_parse(in, &f);
    assert_true(err == ALK_OK || err < 0);
    alk_frame_fini(&f);
}

static void parse_survives_mutations(void **state)
{
    (void)state;
    check_mutations(
        ALK_LIT("{\"type\":\"call.requested\",\"id\":\"a1\",\"payload\":{\"operationId\""
                ":\"/a/b\",\"input\":[1,2.5,\"\\u00e9\"]}}"),
        look_at, NULL);
}

static void put_and_parse_agree(void **state)
{
    struct alk_buf b;
    struct alk_span body;
    struct alk_frame f;
    size_t used = 0;
    (void)state;
    alk_buf_init(&b, NULL, 1000);
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *payload = yyjson_mut_obj(doc);
    assert_true(yyjson_mut_obj_add_str(doc, payload, "k", "v\n"));
    check_err(alk_frame_put(&b, ALK_FRAME_RESPONDED, "q\"\\", payload, 500), ALK_OK);
    check_err(alk_frame_put(&b, ALK_FRAME_COMPLETED, "z", NULL, 500), ALK_OK);

    check_err(alk_frame_cut(alk_buf_span(&b), 500, &body, &used), ALK_OK);
    check_err(alk_frame_parse(body, &f), ALK_OK);
    assert_int_equal(f.type, ALK_FRAME_RESPONDED);
    assert_string_equal(f.id, "q\"\\");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(f.payload, "k")), "v\n");
    alk_frame_fini(&f);
    alk_buf_consume(&b, used);
    check_err(alk_frame_cut(alk_buf_span(&b), 500, &body, &used), ALK_OK);
    check_text(body, "{\"type\":\"call.completed\",\"id\":\"z\",\"payload\":{}}");
    yyjson_mut_doc_free(doc);
    alk_buf_fini(&b);
}

static void put_writes_all_or_nothing(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 60);
    check_err(alk_frame_put(&b, ALK_FRAME_COMPLETED, "z", NULL, 10), ALK_E_TOO_BIG);
    assert_int_equal(alk_buf_len(&b), 0);
    check_err(alk_frame_put(&b, ALK_FRAME_COMPLETED, "z", NULL, 500), ALK_OK);
    size_t n = alk_buf_len(&b);
    check_err(alk_frame_put(&b, ALK_FRAME_COMPLETED, "z", NULL, 500), ALK_E_TOO_BIG);
    assert_int_equal(alk_buf_len(&b), n);
    check_err(b.err, ALK_OK);
    alk_buf_fini(&b);
}

static void errors_have_codes(void **state)
{
    (void)state;
    assert_string_equal(alk_frame_code(ALK_E_NOENT), "NOT_FOUND");
    assert_string_equal(alk_frame_code(ALK_E_EXISTS), "CONFLICT");
    assert_string_equal(alk_frame_code(ALK_E_CRYPTO), "INTERNAL");
    assert_true(alk_frame_code_is_retryable("UNAVAILABLE"));
    assert_false(alk_frame_code_is_retryable("NOT_FOUND"));
    assert_null(alk_frame_type_name(ALK_FRAME_UNKNOWN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_policy_refuses_what_yyjson_accepts),
        cmocka_unit_test(json_depth_has_a_limit_and_strings_do_not_count),
        cmocka_unit_test(json_duplicates_are_found_in_large_objects_too),
        cmocka_unit_test(json_values_have_a_limit),
        cmocka_unit_test(cut_takes_whole_frames_only),
        cmocka_unit_test(parse_reads_the_envelope),
        cmocka_unit_test(parse_survives_mutations),
        cmocka_unit_test(put_and_parse_agree),
        cmocka_unit_test(put_writes_all_or_nothing),
        cmocka_unit_test(errors_have_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
