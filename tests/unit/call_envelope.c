/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frame bodies: what is read of them, what is refused, and what we write. */
#include "call/proto/envelope.h"

#include "call/proto/write.h"
#include "support/check.h"

#include <stdio.h>

static struct alk_span text(const char *s)
{
    return alk_span_str(s);
}

static const struct {
    const char *in;
    alk_err want;
    enum alk_call_type type;
    const char *id;
} bodies[] = {
    {"{\"type\":\"call.requested\",\"id\":\"1\",\"payload\":{}}", ALK_OK, ALK_CALL_TYPE_REQUESTED,
     "1"},
    {" {\"payload\" : {} , \"id\":\"~!\" , \"type\":\"call.responded\"} ", ALK_OK,
     ALK_CALL_TYPE_RESPONDED, "~!"},
    {"{\"type\":\"call.completed\",\"id\":\"\\u0061\\\"\",\"x\":[1,{\"y\":1,\"y\":2}]}", ALK_OK,
     ALK_CALL_TYPE_COMPLETED, "a\""},
    {"{\"\\u0074ype\":\"call.\\u0065rror\",\"id\":\"1\"}", ALK_OK, ALK_CALL_TYPE_ERROR, "1"},
    {"{\"type\":\"call.aborted\",\"id\":\"1\",\"payload\":null}", ALK_OK, ALK_CALL_TYPE_ABORTED,
     "1"},
    {"{\"type\":\"call.credit\",\"id\":\"1\",\"payload\":[]}", ALK_OK, ALK_CALL_TYPE_CREDIT, "1"},
    {"{\"type\":\"call.other\",\"id\":\"1\"}", ALK_OK, ALK_CALL_TYPE_UNKNOWN, "1"},
    {"{\"type\":\"call.requestedx\",\"id\":\"1\"}", ALK_OK, ALK_CALL_TYPE_UNKNOWN, "1"},
    {"{\"type\":\"requested\",\"id\":\"1\"}", ALK_OK, ALK_CALL_TYPE_UNKNOWN, "1"},
    {"{\"type\":7,\"id\":\"1\"}", ALK_OK, ALK_CALL_TYPE_UNKNOWN, "1"},
    {"{\"id\":\"1\"}", ALK_OK, ALK_CALL_TYPE_UNKNOWN, "1"},
    {"{}", ALK_OK, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"type\":\"call.error\",\"id\":1}", ALK_OK, ALK_CALL_TYPE_ERROR, ""},
    {"{\"type\":\"call.error\",\"id\":\"\"}", ALK_OK, ALK_CALL_TYPE_ERROR, ""},
    {"{\"type\":\"call.error\",\"id\":\"a b\"}", ALK_OK, ALK_CALL_TYPE_ERROR, ""},
    {"{\"type\":\"call.error\",\"id\":\"\xc3\xa9\"}", ALK_OK, ALK_CALL_TYPE_ERROR, ""},
    {"{\"type\":\"call.error\",\"id\":\"\\u0000\"}", ALK_OK, ALK_CALL_TYPE_ERROR, ""},
    {"{\"type\":\"call.error\",\"id\":null}", ALK_OK, ALK_CALL_TYPE_ERROR, ""},
    {"", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"[]", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"null", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{} {}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"type\":\"call.error\",\"id\":\"1\",}", ALK_E_MALFORMED, ALK_CALL_TYPE_ERROR, "1"},
    {"{\"type\":\"call.error\",\"type\":\"call.error\"}", ALK_E_MALFORMED, ALK_CALL_TYPE_ERROR, ""},
    {"{\"x\":1,\"\\u0078\":1}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"payload\":{\"input\":1,\"input\":2}}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"payload\":{\"input\":1,\"inp\\u0075t\":2}}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"payload\":{\"x\":1,\"input\":2,\"\\u0078\":3}}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN,
     ""},
    {"{\"payload\":{\"\\u0078y\":1,\"z\":2,\"x\\u0079\":3}}", ALK_E_MALFORMED,
     ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"payload\":{\"\\u0078y\":1,\"xz\":2,\"x\\u007a!\":3}}", ALK_OK, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"payload\":{},\"payload\":{}}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"payload\":{\"input\":{\"a\":}}}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
    {"{\"payload\":{\"input\":\"\xff\"}}", ALK_E_MALFORMED, ALK_CALL_TYPE_UNKNOWN, ""},
};

static void bodies_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct alk_call_envelope e;
        alk_err err = alk_call_envelope_read(text(bodies[i].in), &e);
        if (err != bodies[i].want || e.type != bodies[i].type || !alk_span_is(e.id, bodies[i].id)) {
            fail_msg("%s: %s, type %d, id " ALK_SPAN_FMT, bodies[i].in, alk_err_name(err), e.type,
                     ALK_SPAN_ARG(e.id));
        }
    }
}

static const struct {
    enum alk_call_name name;
    const char *text;
} names[] = {
#define X(name, text) {ALK_CALL_NAME_##name, text},
    ALK_CALL_NAMES(X)
#undef X
};

/* Reads {"payload": {NAME: 7}}; the name's first byte as an escape on demand. */
static void read_name(const char *name, bool is_escaped, struct alk_call_envelope *ret)
{
    static char body[100]; /* the values borrow from it */
    int n = is_escaped ? snprintf(body, sizeof body, "{\"payload\":{\"\\u%04x%s\" : 7 }}",
                                  (unsigned)name[0], name + 1)
                       : snprintf(body, sizeof body, "{\"payload\":{\"%s\" : 7 }}", name);
    assert_in_range(n, 1, sizeof body - 1);
    check_err(alk_call_envelope_read(text(body), ret), ALK_OK);
    assert_true(ret->has_payload);
    assert_int_equal(ret->count, 1);
}

static void members_of_the_payload_are_found_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ALK_CALL_NAME_COUNT; i++) {
        struct alk_call_envelope e;
        read_name(names[i / 2].text, i % 2 != 0, &e);
        for (size_t k = 0; k < ALK_CALL_NAME_COUNT; k++) {
            check_text(alk_call_envelope_get(&e, names[k].name), k == i / 2 ? "7" : "");
        }
    }
}

static void a_name_that_differs_in_one_byte_is_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALK_CALL_NAME_COUNT; i++) {
        char name[16];
        size_t n = strlen(names[i].text);
        for (size_t at = 0; at <= n; at++) {
            struct alk_call_envelope e;
            memcpy(name, names[i].text, n + 1);
            name[at] = name[at] == '\0' ? 's' : (char)(name[at] ^ 0x20);
            name[n + 1] = '\0';
            read_name(name, false, &e);
            assert_int_equal(e.has, 0);
            read_name(name, true, &e);
            assert_int_equal(e.has, 0);
        }
    }
}

static void a_payload_that_is_no_object_has_no_members(void **state)
{
    struct alk_call_envelope e;
    (void)state;
    check_err(alk_call_envelope_read(text("{\"payload\":\"{}\"}"), &e), ALK_OK);
    assert_false(e.has_payload);
    assert_int_equal(alk_call_envelope_get(&e, ALK_CALL_NAME_INPUT).n, 0);
    check_err(alk_call_envelope_read(
                  text("{\"payload\":{ \"input\" : [1, 2] ,\"x\":\"x\", \"output\":{} }}"), &e),
              ALK_OK);
    assert_true(e.has_payload);
    assert_int_equal(e.count, 3);
    check_text(alk_call_envelope_get(&e, ALK_CALL_NAME_INPUT), "[1, 2]");
    check_text(alk_call_envelope_get(&e, ALK_CALL_NAME_OUTPUT), "{}");
}

static void ids_have_one_to_64_bytes(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 70; n++) {
        struct alk_buf b;
        struct alk_call_envelope e;
        alk_buf_init(&b, NULL, 1 << 12);
        (void)alk_buf_put_str(&b, "{\"id\":\"");
        for (size_t i = 0; i < n; i++) {
            (void)alk_buf_put_str(&b, i % 2 == 0 ? "x" : "\\u0079");
        }
        (void)alk_buf_put_str(&b, "\"}");
        check_err(alk_call_envelope_read(alk_buf_span(&b), &e), ALK_OK);
        assert_int_equal(e.id.n, n <= ALK_CALL_ID_MAX ? n : 0);
        alk_buf_fini(&b);
    }
}

/* An object of n members, in front of or inside an envelope; one is known. */
static alk_err read_members(unsigned n, bool in_payload)
{
    struct alk_buf b;
    struct alk_call_envelope e;
    alk_buf_init(&b, NULL, 1 << 16);
    (void)alk_buf_put_str(&b, in_payload ? "{\"payload\":{\"input\":0" : "{\"type\":0");
    for (unsigned i = 1; i < n; i++) {
        (void)alk_buf_printf(&b, ",\"m%u\":%u", i, i);
    }
    (void)alk_buf_put_str(&b, in_payload ? "}}" : "}");
    alk_err err = alk_call_envelope_read(alk_buf_span(&b), &e);
    if (in_payload && err == ALK_OK) {
        assert_int_equal(e.count, n);
    }
    alk_buf_fini(&b);
    return err;
}

static void the_number_of_members_has_a_limit(void **state)
{
    (void)state;
    for (int in_payload = 0; in_payload < 2; in_payload++) {
        check_err(read_members(ALK_CALL_MEMBERS_MAX, in_payload != 0), ALK_OK);
        check_err(read_members(ALK_CALL_MEMBERS_MAX + 1, in_payload != 0), ALK_E_TOO_BIG);
        check_err(read_members(1000, in_payload != 0), ALK_E_TOO_BIG);
    }
}

static void depth_is_counted_from_the_envelope(void **state)
{
    (void)state;
    for (unsigned depth = ALK_JSON_SCAN_DEPTH_MAX - 2; depth <= ALK_JSON_SCAN_DEPTH_MAX; depth++) {
        struct alk_buf b;
        struct alk_call_envelope e;
        alk_buf_init(&b, NULL, 1 << 12);
        (void)alk_buf_put_str(&b,
                              "{\"type\":\"call.requested\",\"id\":\"7\",\"payload\":{\"input\":");
        for (unsigned i = 0; i < 2 * depth; i++) {
            (void)alk_buf_put_str(&b, i < depth ? "[" : "]");
        }
        (void)alk_buf_put_str(&b, "}}");
        bool is_good = depth + 2 <= ALK_JSON_SCAN_DEPTH_MAX;
        check_err(alk_call_envelope_read(alk_buf_span(&b), &e), is_good ? ALK_OK : ALK_E_TOO_BIG);
        /* Whom to tell is known all the same. */
        assert_int_equal(e.type, ALK_CALL_TYPE_REQUESTED);
        check_text(e.id, "7");
        alk_buf_fini(&b);
    }
}

static const char whole[] =
    "{\"type\":\"call.requested\",\"id\":\"a\\u0031\",\"payload\":{\"operationId\":\"/x/y\","
    "\"input\":{\"a\":[1,2,{}]},\"timeout_ms\":5}}";

static void every_proper_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct alk_call_envelope e;
        uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, whole, n);
        check_err(alk_call_envelope_read(alk_span(exact, n), &e), ALK_E_MALFORMED);
        free(exact);
    }
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_call_envelope e;
    (void)ctx;
    if (alk_call_envelope_read(in, &e) == ALK_OK) {
        assert_true(e.id.n == 0 || alk_call_id_is_valid(e.id));
        (void)alk_call_envelope_get(&e, ALK_CALL_NAME_INPUT);
    }
}

static void nothing_that_is_broken_crashes_it(void **state)
{
    (void)state;
    check_mutations(text(whole), look, NULL);
}

/* --- writing ------------------------------------------------------------------------ */

static void check_frame(struct alk_buf *b, const char *want)
{
    struct alk_rd r = alk_rd(alk_buf_span(b));
    struct alk_span body = alk_rd_block32(&r, SIZE_MAX);
    struct alk_call_envelope e;
    check_err(r.err, ALK_OK);
    assert_int_equal(alk_rd_left(&r), 0);
    check_text(body, want);
    check_err(alk_call_envelope_read(body, &e), ALK_OK);
    alk_buf_clear(b);
}

static void frames_are_written_as_the_page_shows_them(void **state)
{
    struct alk_buf b;
    struct alk_span none = {NULL, 0};
    struct alk_call_ask ask = {.op = ALK_LIT("fs/read"), .input = ALK_LIT("{\"path\":\"x\"}")};
    struct alk_call_ask all = {.op = ALK_LIT("a\"b"),
                               .auth_token = ALK_LIT("t\n"),
                               .traceparent = ALK_LIT("00-1"),
                               .caller = ALK_LIT("{\"id\":\"x\"}"),
                               .timeout_ms = UINT64_MAX,
                               .has_credit = true};
    (void)state;
    alk_buf_init(&b, NULL, 1 << 16);
    check_err(alk_call_put_requested(&b, ALK_LIT("1"), &ask, 1000), ALK_OK);
    check_frame(&b, "{\"type\":\"call.requested\",\"id\":\"1\",\"payload\":{\"operationId\":"
                    "\"/fs/read\",\"input\":{\"path\":\"x\"}}}");
    check_err(alk_call_put_requested(&b, ALK_LIT("1"), &all, 1000), ALK_OK);
    check_frame(&b, "{\"type\":\"call.requested\",\"id\":\"1\",\"payload\":{\"operationId\":"
                    "\"/a\\\"b\",\"auth_token\":\"t\\u000a\",\"timeout_ms\":18446744073709551615,"
                    "\"credit\":0,\"traceparent\":\"00-1\",\"caller\":{\"id\":\"x\"}}}");
    check_err(alk_call_put_responded(&b, ALK_LIT("q\"\\"), ALK_LIT("[1]"), 1000), ALK_OK);
    check_frame(&b,
                "{\"type\":\"call.responded\",\"id\":\"q\\\"\\\\\",\"payload\":{\"output\":[1]}}");
    check_err(alk_call_put_completed(&b, ALK_LIT("1")), ALK_OK);
    check_frame(&b, "{\"type\":\"call.completed\",\"id\":\"1\",\"payload\":{}}");
    check_err(alk_call_put_error(&b, ALK_LIT("1"), "NOT_FOUND", ALK_LIT("no\xff"), true,
                                 ALK_LIT("{}"), 1000),
              ALK_OK);
    check_frame(&b, "{\"type\":\"call.error\",\"id\":\"1\",\"payload\":{\"code\":\"NOT_FOUND\","
                    "\"message\":\"no\xef\xbf\xbd\",\"retryable\":true,\"details\":{}}}");
    check_err(alk_call_put_error(&b, ALK_LIT("1"), "X", none, false, none, 1000), ALK_OK);
    check_frame(&b, "{\"type\":\"call.error\",\"id\":\"1\",\"payload\":{\"code\":\"X\","
                    "\"message\":\"\",\"retryable\":false}}");
    check_err(alk_call_put_aborted(&b, ALK_LIT("1"), none), ALK_OK);
    check_frame(&b, "{\"type\":\"call.aborted\",\"id\":\"1\",\"payload\":{}}");
    check_err(alk_call_put_aborted(&b, ALK_LIT("1"), ALK_LIT("no")), ALK_OK);
    check_frame(&b, "{\"type\":\"call.aborted\",\"id\":\"1\",\"payload\":{\"reason\":\"no\"}}");
    check_err(alk_call_put_credit(&b, ALK_LIT("1"), 120), ALK_OK);
    check_frame(&b, "{\"type\":\"call.credit\",\"id\":\"1\",\"payload\":{\"n\":120}}");
    alk_buf_fini(&b);
}

static void a_frame_is_written_whole_or_not_at_all(void **state)
{
    static const char want[] =
        "{\"type\":\"call.responded\",\"id\":\"1\",\"payload\":{\"output\":[1]}}";
    (void)state;
    for (size_t max = 0; max < sizeof want + 20; max++) {
        bool fits = max >= 3 + 4 + sizeof want - 1;
        struct alk_buf b;
        alk_buf_init(&b, NULL, max);
        if (max >= 3) {
            check_err(alk_buf_put_str(&b, "abc"), ALK_OK);
        }
        check_err(alk_call_put_responded(&b, ALK_LIT("1"), ALK_LIT("[1]"), SIZE_MAX),
                  fits ? ALK_OK : ALK_E_TOO_BIG);
        assert_int_equal(alk_buf_len(&b), fits ? 3 + 4 + sizeof want - 1 : max >= 3 ? 3 : 0);
        check_err(b.err, ALK_OK);
        alk_buf_fini(&b);
    }
    for (size_t body = sizeof want - 3; body < sizeof want + 2; body++) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, 1000);
        check_err(alk_call_put_responded(&b, ALK_LIT("1"), ALK_LIT("[1]"), body),
                  body >= sizeof want - 1 ? ALK_OK : ALK_E_TOO_BIG);
        assert_int_equal(alk_buf_len(&b), body >= sizeof want - 1 ? 4 + sizeof want - 1 : 0);
        alk_buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_read_or_refused),
        cmocka_unit_test(members_of_the_payload_are_found_by_name),
        cmocka_unit_test(a_name_that_differs_in_one_byte_is_another),
        cmocka_unit_test(a_payload_that_is_no_object_has_no_members),
        cmocka_unit_test(ids_have_one_to_64_bytes),
        cmocka_unit_test(the_number_of_members_has_a_limit),
        cmocka_unit_test(depth_is_counted_from_the_envelope),
        cmocka_unit_test(every_proper_prefix_is_refused),
        cmocka_unit_test(nothing_that_is_broken_crashes_it),
        cmocka_unit_test(frames_are_written_as_the_page_shows_them),
        cmocka_unit_test(a_frame_is_written_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
