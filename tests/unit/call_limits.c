/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Each limit of the call protocol, met and passed. */
#include "call/proto/core.h"

#include "support/call_world.h"
#include "support/oom.h"

#include <stdio.h>

static const struct alk_span none;

static void says_request(struct call_world *w, uint64_t stream, unsigned id, const char *more)
{
    char body[200];
    (void)snprintf(
        body, sizeof body,
        "{\"type\":\"call.requested\",\"id\":\"%u\",\"payload\":{\"operationId\":\"/s\"%s}}", id,
        more);
    call_says(w, stream, body);
}

static void ten_thousand_subscriptions_are_cut_at_the_limit(void **state)
{
    struct test_mem m;
    struct call_world w;
    unsigned taken = 0;
    (void)state;
    test_mem_init(&m, 0);
    struct alk_call_options o = {.mem = &m.mem};
    call_world_init(&w, &o);
    size_t live = m.live;
    for (unsigned i = 0; i < 10000; i++) {
        says_request(&w, i % 1000, i, "");
        taken += w.said.end > 0;
        alk_buf_clear(&w.said);
        if (i == 1024) {
            call_check_out(&w, i % 1000,
                           "{\"type\":\"call.error\",\"id\":\"1024\",\"payload\":{\"code\":"
                           "\"EXHAUSTED\",\"message\":\"too many requests at once\","
                           "\"retryable\":true}}\n");
        }
        (void)call_count_out(&w, i % 1000);
    }
    assert_int_equal(taken, 1024);
    assert_true(m.live > live);
    /* One that ends makes room for one. */
    check_err(alk_call_complete(w.core, w.last), ALK_OK);
    says_request(&w, 0, 77777, "");
    call_check(&w, "requested s0 id=77777 op=s\n");
    says_request(&w, 0, 77778, "");
    call_check(&w, "");
    call_world_fini(&w);
    test_mem_check(&m);
}

static void our_own_requests_have_a_limit(void **state)
{
    struct call_world w;
    struct alk_call_ask ask = {.op = ALK_LIT("s")};
    struct alk_call_ref ref;
    struct alk_call_options o = {.out_max = 10};
    (void)state;
    call_world_init(&w, &o);
    check_err(alk_call_open(w.core, 0), ALK_OK);
    for (int i = 0; i < 10; i++) {
        check_err(alk_call_request(w.core, 0, &ask, NULL, &ref), ALK_OK);
    }
    check_err(alk_call_request(w.core, 0, &ask, NULL, &ref), ALK_E_LIMIT);
    /* What was given up or forgotten still counts, until the peer ends it. */
    check_err(alk_call_abort(w.core, ref, none), ALK_OK);
    alk_call_forget(w.core, ref);
    check_err(alk_call_request(w.core, 0, &ask, NULL, &ref), ALK_E_LIMIT);
    call_says(&w, 0, "{\"type\":\"call.error\",\"id\":\"9.1\",\"payload\":{}}");
    call_check(&w, "");
    check_err(alk_call_request(w.core, 0, &ask, NULL, &ref), ALK_OK);
    call_world_fini(&w);
}

static void streams_have_a_limit(void **state)
{
    struct call_world w;
    size_t used = 0;
    struct alk_call_options o = {.streams_max = 4};
    (void)state;
    call_world_init(&w, &o);
    for (uint64_t s = 0; s < 4; s++) {
        check_err(alk_call_open(w.core, s), ALK_OK);
    }
    check_err(alk_call_open(w.core, 4), ALK_E_LIMIT);
    check_err(alk_call_feed(w.core, 4, ALK_LIT("\0"), &used), ALK_E_LIMIT);
    alk_call_close_stream(w.core, 1);
    check_err(alk_call_feed(w.core, 4, ALK_LIT("\0"), &used), ALK_OK);
    check_err(alk_call_open(w.core, 1), ALK_E_LIMIT);
    call_world_fini(&w);
}

static void a_thousand_calls_are_aborted_half_way(void **state)
{
    enum { N = 1000 };
    struct test_mem m;
    struct call_world w;
    struct alk_call_ref refs[N];
    (void)state;
    test_mem_init(&m, 0);
    struct alk_call_options o = {.mem = &m.mem};
    call_world_init(&w, &o);
    for (unsigned i = 0; i < N; i++) {
        says_request(&w, i % 7, i, "");
        refs[i] = w.last;
        if (i % 2 == 0) {
            check_err(alk_call_respond(w.core, w.last, ALK_LIT("1"), false), ALK_OK);
        }
    }
    alk_buf_clear(&w.said);
    for (unsigned i = 0; i < N; i++) {
        char body[100];
        (void)snprintf(body, sizeof body, "{\"type\":\"call.aborted\",\"id\":\"%u\"}", i);
        call_says(&w, i % 7, body);
        assert_int_equal(w.last.slot, refs[i].slot);
        assert_int_equal(w.last.serial, refs[i].serial);
    }
    for (unsigned i = 0; i < N; i++) {
        check_err(alk_call_fail(w.core, refs[i], "ABORTED", none, false, none), ALK_OK);
    }
    size_t frames = 0;
    for (uint64_t s = 0; s < 7; s++) {
        frames += call_count_out(&w, s);
        assert_true(alk_call_is_idle(w.core, s));
    }
    assert_int_equal(frames, N / 2 + N);
    call_world_fini(&w);
    test_mem_check(&m);
}

/* --- a peer that does not read -------------------------------------------------------- */

static void whoever_does_not_read_cannot_ask(void **state)
{
    struct alk_call_options o = {.out_high = 1000, .out_hard = 3000};
    struct call_world w;
    struct alk_buf b;
    unsigned taken = 0;
    (void)state;
    call_world_init(&w, &o);
    alk_buf_init(&b, NULL, 1 << 20);
    for (int i = 0; i < 500; i++) {
        call_frame(&b, ALK_LIT("{\"type\":\"call.paused\",\"id\":\"1\"}"));
    }
    struct alk_span in = alk_buf_span(&b);
    while (in.n > 0) {
        size_t used = 0;
        check_err(alk_call_feed(w.core, 0, in, &used), ALK_OK);
        in = alk_span_tail(in, used);
        assert_true(alk_call_output(w.core, 0).n < 1200);
        if (used == 0) {
            assert_false(alk_call_has_room(w.core, 0));
            alk_call_sent(w.core, 0, alk_call_output(w.core, 0).n);
            assert_true(alk_call_has_room(w.core, 0));
            taken++;
        }
    }
    assert_true(taken > 40);
    alk_buf_fini(&b);
    call_world_fini(&w);
}

static void answers_wait_for_room(void **state)
{
    struct alk_call_options o = {.out_high = 1000, .out_hard = 3000};
    struct call_world w;
    char big[1500];
    (void)state;
    memset(big, '1', sizeof big);
    call_world_init(&w, &o);
    says_request(&w, 0, 1, "");
    struct alk_call_ref sub = w.last;
    says_request(&w, 0, 2, "");
    struct alk_call_ref call = w.last;
    says_request(&w, 0, 3, "");
    struct alk_call_ref other = w.last;
    says_request(&w, 0, 4, "");
    /* Larger than could ever wait. */
    check_err(alk_call_respond(w.core, sub, alk_span(big, 2999), false), ALK_E_TOO_BIG);
    check_err(alk_call_respond(w.core, call, alk_span(big, 2999), true), ALK_E_TOO_BIG);
    check_err(alk_call_respond(w.core, sub, alk_span(big, 1500), false), ALK_OK);
    size_t one = alk_call_output(w.core, 0).n;
    check_err(alk_call_respond(w.core, sub, ALK_LIT("1"), false), ALK_FULL);
    assert_int_equal(alk_call_output(w.core, 0).n, one);
    /* The answer of a call may go above, up to out_hard. */
    check_err(alk_call_respond(w.core, call, alk_span(big, 1000), true), ALK_OK);
    check_err(alk_call_respond(w.core, other, alk_span(big, 1000), true), ALK_E_LIMIT);
    check_err(alk_call_respond(w.core, other, alk_span(big, 1000), true), ALK_E_STATE);
    /* A failure always goes; details only below out_hard. */
    assert_int_equal(alk_call_output(w.core, 0).n < 3000, true);
    check_err(alk_call_fail(w.core, sub, "SLOW_CONSUMER", none, true, alk_span(big, 1500)), ALK_OK);
    assert_true(alk_call_output(w.core, 0).n < 3000 + 300);
    check_err(alk_call_complete(w.core, w.last), ALK_OK);
    assert_int_equal(call_count_out(&w, 0), 5);
    call_world_fini(&w);
}

static void what_we_ask_waits_for_room(void **state)
{
    struct alk_call_options o = {.out_high = 1000, .out_hard = 2500};
    struct call_world w;
    char big[3000];
    struct alk_call_ref ref, first;
    (void)state;
    memset(big, '1', sizeof big);
    struct alk_call_ask ask = {.op = ALK_LIT("s"), .input = alk_span(big, 900), .has_credit = true};
    struct alk_call_ask large = {.op = ALK_LIT("s"), .input = alk_span(big, 1700)};
    struct alk_call_ask huge = {.op = ALK_LIT("s"), .input = alk_span(big, 3000)};
    call_world_init(&w, &o);
    check_err(alk_call_open(w.core, 0), ALK_OK);
    check_err(alk_call_request(w.core, 0, &huge, NULL, &ref), ALK_E_TOO_BIG);
    assert_true(alk_call_is_idle(w.core, 0));
    check_err(alk_call_request(w.core, 0, &ask, NULL, &first), ALK_OK);
    check_err(alk_call_request(w.core, 0, &large, NULL, &ref), ALK_FULL);
    check_err(alk_call_request(w.core, 0, &ask, NULL, &ref), ALK_OK);
    check_err(alk_call_request(w.core, 0, &ask, NULL, &ref), ALK_FULL);
    /* Giving up always goes; credit up to out_hard. */
    alk_err err = ALK_OK;
    for (int i = 0; i < 100 && err == ALK_OK; i++) {
        err = alk_call_credit(w.core, first, 1);
    }
    check_err(err, ALK_FULL);
    check_err(alk_call_abort(w.core, first, alk_span(big, 3000)), ALK_OK);
    check_err(alk_call_abort(w.core, ref, alk_span(big, 3000)), ALK_OK);
    assert_true(alk_call_output(w.core, 0).n < 2600 + 1300);
    assert_true(call_count_out(&w, 0) > 4);
    call_world_fini(&w);
}

static void frames_of_ours_are_never_larger_than_a_mebibyte(void **state)
{
    struct call_world w;
    struct alk_buf big;
    struct alk_call_ref ref;
    (void)state;
    alk_buf_init(&big, NULL, (size_t)2 << 20);
    uint8_t *p = alk_buf_reserve(&big, (size_t)2 << 20);
    assert_non_null(p);
    memset(p, '1', (size_t)2 << 20);
    call_world_init(&w, NULL);
    says_request(&w, 0, 1, "");
    /* The envelope around it has 68 bytes. */
    size_t fits = ALK_CALL_FRAME_MAX -
                  strlen("{\"type\":\"call.responded\",\"id\":\"1\",\"payload\":{\"output\":}}");
    check_err(alk_call_respond(w.core, w.last, alk_span(p, fits + 1), true), ALK_E_TOO_BIG);
    check_err(alk_call_respond(w.core, w.last, alk_span(p, fits), true), ALK_OK);
    assert_int_equal(alk_call_output(w.core, 0).n, ALK_CALL_FRAME_MAX + 4);
    (void)call_count_out(&w, 0);
    says_request(&w, 0, 1, "");
    check_err(alk_call_fail(w.core, w.last, "X", none, false, alk_span(p, (size_t)1 << 20)),
              ALK_OK);
    assert_true(alk_call_output(w.core, 0).n < 200);
    (void)call_count_out(&w, 0);
    struct alk_call_ask ask = {.op = ALK_LIT("s"), .input = alk_span(p, (size_t)1 << 20)};
    check_err(alk_call_request(w.core, 0, &ask, NULL, &ref), ALK_E_TOO_BIG);
    alk_buf_fini(&big);
    call_world_fini(&w);
}

static void long_messages_are_cut_at_a_character(void **state)
{
    struct call_world w;
    struct alk_buf text;
    (void)state;
    alk_buf_init(&text, NULL, 1 << 16);
    (void)alk_buf_put_str(&text, "x");
    for (int i = 0; i < 400; i++) {
        (void)alk_buf_put_str(&text, "\xe2\x82\xac");
    }
    call_world_init(&w, NULL);
    says_request(&w, 0, 1, "");
    check_err(alk_call_fail(w.core, w.last, "X", alk_buf_span(&text), false, none), ALK_OK);
    struct alk_span out = alk_call_output(w.core, 0);
    size_t euros = 0;
    for (size_t i = 0; i < out.n; i++) {
        euros += out.p[i] == 0xe2;
        assert_int_not_equal(out.p[i], 0xef); /* of U+FFFD */
    }
    assert_int_equal(euros, 170);
    /* Worst of all: bytes that need six. */
    says_request(&w, 0, 2, "");
    memset(text.p, 1, 1000);
    check_err(alk_call_fail(w.core, w.last, "X", alk_span(text.p, 1000), false, none), ALK_OK);
    assert_true(alk_call_output(w.core, 0).n - out.n < 4096);
    assert_int_equal(call_count_out(&w, 0), 2);
    alk_buf_fini(&text);
    call_world_fini(&w);
}

static void a_request_too_deep_is_answered_too_large(void **state)
{
    struct call_world w;
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 1 << 12);
    (void)alk_buf_put_str(&b, "{\"type\":\"call.requested\",\"id\":\"5\",\"payload\":{\"input\":");
    for (int i = 0; i < 200; i++) {
        (void)alk_buf_put_str(&b, i < 100 ? "[" : "]");
    }
    (void)alk_buf_put_str(&b, ",\"operationId\":\"/a\"}}");
    call_world_init(&w, NULL);
    call_says(&w, 0, alk_buf_cstr(&b));
    call_check(&w, "");
    call_check_out(&w, 0,
                   "{\"type\":\"call.error\",\"id\":\"5\",\"payload\":{\"code\":\"TOO_LARGE\","
                   "\"message\":\"too deep, or too many values\",\"retryable\":false}}\n");
    /* It is no way around the rule on ids. */
    says_request(&w, 0, 5, "");
    call_says(&w, 0, alk_buf_cstr(&b));
    call_check(&w, "requested s0 id=5 op=s\nbroken s0 ALK_E_PROTOCOL connection\nlost s0 in\n");
    call_world_fini(&w);
    /* An answer that is too deep: nobody knows whose it is. */
    call_world_init(&w, NULL);
    (void)memcpy(b.p + b.at, "{\"type\":\"call.responded\",", 25);
    call_says(&w, 0, alk_buf_cstr(&b));
    call_check(&w, "broken s0 ALK_E_TOO_BIG\n");
    alk_buf_fini(&b);
    call_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_subscriptions_are_cut_at_the_limit),
        cmocka_unit_test(our_own_requests_have_a_limit),
        cmocka_unit_test(streams_have_a_limit),
        cmocka_unit_test(a_thousand_calls_are_aborted_half_way),
        cmocka_unit_test(whoever_does_not_read_cannot_ask),
        cmocka_unit_test(answers_wait_for_room),
        cmocka_unit_test(what_we_ask_waits_for_room),
        cmocka_unit_test(frames_of_ours_are_never_larger_than_a_mebibyte),
        cmocka_unit_test(long_messages_are_cut_at_a_character),
        cmocka_unit_test(a_request_too_deep_is_answered_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
