/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The writer of answers: commas, nesting, text of any bytes, limits. */
#include "ops/out.h"

#include "base/text.h"
#include "core/frame.h"
#include "support/check.h"
#include "support/oom.h"

#include <math.h>

static void check_out(struct alk_out *out, const char *want)
{
    struct alk_span got = {0};
    struct yyjson_doc *doc = NULL;
    check_err(alk_out_done(out, &got), ALK_OK);
    check_text(got, want);
    check_err(alk_json_parse(got, &doc), ALK_OK); /* what we write, we would take */
    yyjson_doc_free(doc);
    alk_out_clear(out);
}

static void write_everything(struct alk_out *out)
{
    alk_out_object(out);
    alk_out_key(out, "text");
    alk_out_text(out, "a\"b\n");
    alk_out_key(out, "none");
    alk_out_text(out, NULL);
    alk_out_key_span(out, ALK_LIT("k\0"));
    alk_out_i64(out, INT64_MIN);
    alk_out_key(out, "list");
    alk_out_array(out);
    alk_out_u64(out, UINT64_MAX);
    alk_out_bool(out, true);
    alk_out_bool(out, false);
    alk_out_null(out);
    alk_out_object(out);
    alk_out_end(out);
    alk_out_array(out);
    alk_out_end(out);
    alk_out_json(out, ALK_LIT("{\"x\":[1]}"));
    alk_out_end(out);
    alk_out_key(out, "bytes");
    alk_out_base64(out, ALK_LIT("\xff\x00"));
    alk_out_end(out);
}

#define EVERYTHING                                                                                 \
    "{\"text\":\"a\\\"b\\n\",\"none\":null,\"k\\u0000\":-9223372036854775808,"                     \
    "\"list\":[18446744073709551615,true,false,null,{},[],{\"x\":[1]}],\"bytes\":\"/wA=\"}"

static void commas_and_colons_come_by_themselves(void **state)
{
    struct alk_out out;
    (void)state;
    alk_out_init(&out, NULL, 4096);
    for (int i = 0; i < 2; i++) { /* a cleared writer is as a new one */
        write_everything(&out);
        alk_out_clear(&out);
    }
    write_everything(&out);
    struct alk_span got = {0};
    check_err(alk_out_done(&out, &got), ALK_OK);
    /* \n becomes an escape of some form: compare what reads back. */
    struct yyjson_doc *a = NULL, *b = NULL;
    check_err(alk_json_parse(got, &a), ALK_OK);
    check_err(alk_json_parse(ALK_LIT(EVERYTHING), &b), ALK_OK);
    assert_true(yyjson_equals(yyjson_doc_get_root(a), yyjson_doc_get_root(b)));
    yyjson_doc_free(a);
    yyjson_doc_free(b);
    alk_out_fini(&out);
}

static void nothing_written_is_an_empty_object_and_a_bare_value_is_whole(void **state)
{
    struct alk_out out;
    (void)state;
    alk_out_init(&out, NULL, 64);
    check_out(&out, "{}");
    alk_out_i64(&out, -1);
    check_out(&out, "-1");
    alk_out_text(&out, "");
    check_out(&out, "\"\"");
    alk_out_base64(&out, (struct alk_span){0});
    check_out(&out, "\"\"");
    alk_out_fini(&out);
}

static void numbers_read_back_as_they_were(void **state)
{
    static const double values[] = {0,     -0.0, 0.1,     1.5, 1e308, 5e-324, 123456789.125,
                                    -1e21, 3,    1.0 / 3, 1e-7};
    struct alk_out out;
    (void)state;
    alk_out_init(&out, NULL, 64);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct alk_span got = {0};
        struct yyjson_doc *doc = NULL;
        alk_out_real(&out, values[i]);
        check_err(alk_out_done(&out, &got), ALK_OK);
        check_err(alk_json_parse(got, &doc), ALK_OK);
        double back = yyjson_get_num(yyjson_doc_get_root(doc));
        assert_memory_equal(&back, &values[i], sizeof back);
        yyjson_doc_free(doc);
        alk_out_clear(&out);
    }
    alk_out_array(&out);
    alk_out_real(&out, (double)NAN);
    alk_out_real(&out, (double)INFINITY);
    alk_out_real(&out, -(double)INFINITY);
    alk_out_end(&out);
    check_out(&out, "[null,null,null]");
    alk_out_fini(&out);
}

static void text_that_is_not_utf8_becomes_replacement_characters(void **state)
{
    struct alk_out out;
    (void)state;
    alk_out_init(&out, NULL, 64);
    alk_out_span(&out, ALK_LIT("a\xff\xc3z\xed\xa0\x80"));
    check_out(&out, "\"a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    alk_out_fini(&out);
}

/* One letter per call: { [ end key value. */
static void play(struct alk_out *out, const char *calls)
{
    for (; *calls != '\0'; calls++) {
        switch (*calls) {
        case '{':
            alk_out_object(out);
            break;
        case '[':
            alk_out_array(out);
            break;
        case 'e':
            alk_out_end(out);
            break;
        case 'k':
            alk_out_key(out, "k");
            break;
        default:
            alk_out_bool(out, true);
            break;
        }
    }
}

static void a_call_out_of_place_fails_the_answer_for_good(void **state)
{
    static const struct {
        const char *calls;
        alk_err want;
    } rows[] = {
        {"{e", ALK_OK},        {"{kv", ALK_E_STATE},   {"{v", ALK_E_STATE},
        {"{kke", ALK_E_STATE}, {"{ke", ALK_E_STATE},   {"[k", ALK_E_STATE},
        {"e", ALK_E_STATE},    {"k", ALK_E_STATE},     {"vv", ALK_E_STATE},
        {"{e{e", ALK_E_STATE}, {"[v", ALK_E_STATE},    {"[{e", ALK_E_STATE},
        {"[vve", ALK_OK},      {"{k{kvee", ALK_OK},    {"{k[{kvevvee", ALK_OK},
        {"{eee", ALK_E_STATE}, {"{vkve", ALK_E_STATE}, {"{k[ee", ALK_OK},
    };
    struct alk_out out;
    (void)state;
    alk_out_init(&out, NULL, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_span got = {0};
        play(&out, rows[i].calls);
        check_err(alk_out_done(&out, &got), rows[i].want);
        alk_out_clear(&out);
    }
    alk_out_fini(&out);
}

static void depth_has_a_limit(void **state)
{
    struct alk_out out;
    struct alk_span got = {0};
    (void)state;
    for (unsigned depth = ALK_OUT_DEPTH_MAX; depth <= ALK_OUT_DEPTH_MAX + 1; depth++) {
        alk_out_init(&out, NULL, 4096);
        for (unsigned i = 0; i < depth; i++) {
            alk_out_array(&out);
        }
        for (unsigned i = 0; i < depth; i++) {
            alk_out_end(&out);
        }
        check_err(alk_out_done(&out, &got), depth == ALK_OUT_DEPTH_MAX ? ALK_OK : ALK_E_STATE);
        alk_out_fini(&out);
    }
}

static void what_is_too_big_fails_and_stays_failed(void **state)
{
    struct alk_out out;
    struct alk_span got = {0};
    uint8_t bytes[1000];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    alk_out_init(&out, NULL, 1002);
    alk_out_span(&out, alk_span(bytes, sizeof bytes));
    check_err(alk_out_done(&out, &got), ALK_OK);
    assert_int_equal(got.n, 1002);
    alk_out_clear(&out);
    alk_out_array(&out);
    alk_out_span(&out, alk_span(bytes, sizeof bytes));
    alk_out_end(&out);
    check_err(alk_out_done(&out, &got), ALK_E_TOO_BIG);
    alk_out_clear(&out);
    alk_out_base64(&out, alk_span(bytes, sizeof bytes));
    check_err(alk_out_done(&out, &got), ALK_E_TOO_BIG);
    alk_out_clear(&out);
    alk_out_base64(&out, alk_span(bytes, 750));
    check_err(alk_out_done(&out, &got), ALK_OK);
    assert_int_equal(got.n, 1002);
    alk_out_fini(&out);
}

static void base64_is_that_of_the_constant_time_encoder(void **state)
{
    static uint8_t bytes[2000];
    static char want[ALK_BASE64_SIZE(sizeof bytes)];
    struct alk_out out;
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    alk_out_init(&out, NULL, 4096);
    for (size_t n = sizeof bytes - 4; n <= sizeof bytes; n++) {
        struct alk_span got = {0};
        assert_true(alk_base64(alk_span(bytes, n), want, sizeof want));
        alk_out_base64(&out, alk_span(bytes, n));
        check_err(alk_out_done(&out, &got), ALK_OK);
        assert_int_equal(got.n, strlen(want) + 2);
        assert_memory_equal(got.p + 1, want, strlen(want));
        alk_out_clear(&out);
    }
    alk_out_fini(&out);
}

static alk_err write_with(const struct alk_mem *mem, void *ctx)
{
    struct alk_out out;
    struct alk_span got = {0};
    (void)ctx;
    alk_out_init(&out, mem, 4096);
    write_everything(&out);
    alk_err err = alk_out_done(&out, &got);
    alk_out_fini(&out);
    return err;
}

static void lack_of_memory_fails_the_answer(void **state)
{
    (void)state;
    oom_sweep(write_with, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_and_colons_come_by_themselves),
        cmocka_unit_test(nothing_written_is_an_empty_object_and_a_bare_value_is_whole),
        cmocka_unit_test(numbers_read_back_as_they_were),
        cmocka_unit_test(text_that_is_not_utf8_becomes_replacement_characters),
        cmocka_unit_test(a_call_out_of_place_fails_the_answer_for_good),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(what_is_too_big_fails_and_stays_failed),
        cmocka_unit_test(base64_is_that_of_the_constant_time_encoder),
        cmocka_unit_test(lack_of_memory_fails_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
