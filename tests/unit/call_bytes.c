/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The call protocol and its bytes: cut anywhere, broken anywhere, without memory. */
#include "call/proto/core.h"

#include "support/call_world.h"
#include "support/oom.h"

#include <stdio.h>

/* A conversation of the peer's: requests, a subscription with credit, an abort, answers
 * to ours, an unknown type. */
static const char *const script[] = {
    "{\"type\":\"call.requested\",\"id\":\"1\",\"payload\":{\"operationId\":\"/a\",\"input\":"
    "{\"x\":[1,2,3]},\"auth_token\":\"se\\u0063ret\"}}",
    "{\"type\":\"call.requested\",\"id\":\"2\",\"payload\":{\"operationId\":\"/b\\/c\","
    "\"credit\":1}}",
    "{\"type\":\"call.credit\",\"id\":\"2\",\"payload\":{\"n\":2}}",
    "{\"type\":\"call.responded\",\"id\":\"0.1\",\"payload\":{\"output\":{\"y\":\"z\"}}}",
    "{\"type\":\"call.aborted\",\"id\":\"2\",\"payload\":{\"reason\":\"\\u00e9\"}}",
    "{\"type\":\"call.other\",\"id\":\"3\",\"payload\":{}}",
    "{\"type\":\"call.error\",\"id\":\"1.1\",\"payload\":{\"code\":\"X\",\"message\":\"\\n\"}}",
    "{\"type\":\"call.completed\",\"id\":\"2.1\"}",
};

static void put_script(struct alk_buf *b)
{
    for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
        call_frame(b, alk_span_str(script[i]));
    }
}

/* Three requests of ours, so that the answers mean something. */
static alk_err ask_three(struct alk_call_core *c)
{
    ALK_TRY(alk_call_open(c, 0));
    for (int i = 0; i < 3; i++) {
        struct alk_call_ask ask = {.op = ALK_LIT("q"), .is_subscription = i == 2};
        struct alk_call_ref ref;
        ALK_TRY(alk_call_request(c, 0, &ask, NULL, &ref));
    }
    return ALK_OK;
}

/* Takes events; answers what can be answered. */
static alk_err take_events(struct alk_call_core *c, struct alk_buf *trace)
{
    struct alk_call_event ev;
    while (alk_call_next(c, &ev) == ALK_OK) {
        if (trace != NULL) {
            call_event_text(&ev, trace);
        }
        if (ev.kind == ALK_CALL_REQUESTED && ev.u.requested.has_credit) {
            /* As many as the credit allows; what was changed may allow none. */
            for (int i = 0; i < 2; i++) {
                alk_err err = alk_call_respond(c, ev.ref, ALK_LIT("0"), false);
                if (err != ALK_FULL && err != ALK_OK) {
                    return err;
                }
            }
        } else if (ev.kind == ALK_CALL_REQUESTED) {
            ALK_TRY(alk_call_respond(c, ev.ref, ALK_LIT("{}"), true));
        } else if (ev.kind == ALK_CALL_ABORTED) {
            ALK_TRY(alk_call_fail(c, ev.ref, "ABORTED", ALK_LIT("m"), false, ALK_LIT("[]")));
        }
    }
    return ALK_OK;
}

static alk_err feed_all(struct alk_call_core *c, struct alk_span in, struct alk_buf *trace)
{
    while (in.n > 0) {
        size_t used = 0;
        alk_err err = alk_call_feed(c, 0, in, &used);
        if (err == ALK_E_STATE) {
            return ALK_OK;
        }
        ALK_TRY(err);
        ALK_TRY(take_events(c, trace));
        in = alk_span_tail(in, used);
    }
    return ALK_OK;
}

static void feed_pieces(const struct alk_span *pieces, size_t n, struct alk_buf *trace, void *ctx)
{
    struct alk_call_options o = {0};
    struct alk_call_core *c = NULL;
    (void)ctx;
    check_err(alk_call_new(&o, &c), ALK_OK);
    check_err(ask_three(c), ALK_OK);
    for (size_t i = 0; i < n; i++) {
        check_err(feed_all(c, pieces[i], trace), ALK_OK);
    }
    (void)alk_buf_put(trace, alk_call_output(c, 0));
    alk_call_free(c);
}

static void the_stream_may_be_cut_anywhere(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 1 << 16);
    put_script(&b);
    check_splits(alk_buf_span(&b), feed_pieces, NULL);
    alk_buf_fini(&b);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_buf trace;
    alk_buf_init(&trace, NULL, 1 << 20);
    feed_pieces(&in, 1, &trace, ctx);
    alk_buf_fini(&trace);
}

static void nothing_that_is_broken_crashes_it(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 1 << 16);
    put_script(&b);
    check_mutations(alk_buf_span(&b), look, NULL);
    alk_buf_fini(&b);
}

/* --- without memory ---------------------------------------------------------------------- */

static alk_err converse(const struct alk_mem *mem, void *ctx)
{
    struct alk_call_options o = {.mem = mem};
    struct alk_call_core *c = NULL;
    struct alk_span whole = *(struct alk_span *)ctx;
    ALK_TRY(alk_call_new(&o, &c));
    alk_err err = ask_three(c);
    /* In two parts of a frame, so that one is put together. */
    for (size_t at = 0; err == ALK_OK && at < whole.n; at += 150) {
        err = feed_all(c, alk_span_head(alk_span_tail(whole, at), 150), NULL);
    }
    struct alk_call_event ev;
    alk_call_close_stream(c, 0);
    while (alk_call_next(c, &ev) == ALK_OK) {
        assert_int_equal(ev.kind, ALK_CALL_LOST);
    }
    alk_call_free(c);
    return err;
}

static void a_lack_of_memory_is_told_and_leaks_nothing(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 1 << 16);
    put_script(&b);
    struct alk_span whole = alk_buf_span(&b);
    oom_sweep(converse, &whole);
    alk_buf_fini(&b);
}

/* When memory fails once, the same bytes are taken the next time and nothing was lost. */
static void what_failed_for_lack_of_memory_can_be_tried_again(void **state)
{
    struct alk_buf b, want, got;
    (void)state;
    alk_buf_init(&b, NULL, 1 << 16);
    alk_buf_init(&want, NULL, 1 << 16);
    alk_buf_init(&got, NULL, 1 << 16);
    for (int i = 0; i < 40; i++) {
        char body[200];
        (void)snprintf(body, sizeof body,
                       "{\"type\":\"call.requested\",\"id\":\"%d\",\"payload\":"
                       "{\"operationId\":\"/%d\",\"auth_token\":\"\\u0041\"}}",
                       i, i);
        call_frame(&b, alk_span_str(body));
    }
    for (size_t fail_at = 0; fail_at < 40; fail_at++) {
        for (size_t step = 7; step < 4000; step *= 8) {
            struct test_mem m;
            test_mem_init(&m, 0);
            struct alk_call_options o = {.mem = &m.mem};
            struct alk_call_core *c = NULL;
            check_err(alk_call_new(&o, &c), ALK_OK);
            m.fail_at = fail_at == 0 ? 0 : m.allocs + fail_at;
            alk_buf_clear(&got);
            struct alk_span in = alk_buf_span(&b);
            while (in.n > 0) {
                size_t used = 0;
                struct alk_call_event ev;
                alk_err err = alk_call_feed(c, 0, alk_span_head(in, step), &used);
                assert_true(err == ALK_OK || err == ALK_E_NOMEM);
                while (alk_call_next(c, &ev) == ALK_OK) {
                    call_event_text(&ev, &got);
                }
                in = alk_span_tail(in, used);
            }
            if (want.end == 0) {
                check_err(alk_buf_put(&want, alk_buf_span(&got)), ALK_OK);
            }
            assert_true(alk_span_equal(alk_buf_span(&want), alk_buf_span(&got)));
            alk_call_free(c);
            test_mem_check(&m);
        }
    }
    assert_int_equal(alk_span_find(alk_buf_span(&want), '\n') > 0, true);
    alk_buf_fini(&b);
    alk_buf_fini(&want);
    alk_buf_fini(&got);
}

/* --- frames put together ------------------------------------------------------------------ */

static void frames_that_are_put_together_have_a_limit_in_all(void **state)
{
    struct alk_call_options o = {.partial_max = 1000, .frame_max = 700};
    struct call_world w;
    uint8_t head[8] = {0, 0, 2, 0, '{', '"', 'a', '"'}; /* of 512 bytes */
    (void)state;
    call_world_init(&w, &o);
    assert_true(call_world_feed(&w, 0, alk_span(head, 8)));
    assert_true(call_world_feed(&w, 4, alk_span(head, 3))); /* no length yet */
    call_check(&w, "");
    assert_true(call_world_feed(&w, 4, alk_span(head + 3, 5)));
    call_check(&w, "broken s4 ALK_E_TOO_BIG\n");
    /* What goes makes room. */
    alk_call_close_stream(w.core, 0);
    assert_true(call_world_feed(&w, 8, alk_span(head, 8)));
    call_check(&w, "");
    assert_true(call_world_feed(&w, 12, alk_span(head, 8)));
    call_check(&w, "broken s12 ALK_E_TOO_BIG\n");
    call_world_fini(&w);
}

static void a_length_alone_costs_no_memory(void **state)
{
    struct test_mem m;
    (void)state;
    test_mem_init(&m, 0);
    struct alk_call_options o = {.mem = &m.mem};
    struct call_world w;
    static const uint8_t head[] = {0, 0x10, 0, 0, '{'};
    call_world_init(&w, &o);
    assert_true(call_world_feed(&w, 0, alk_span(head, sizeof head)));
    size_t before = m.allocs;
    for (int i = 0; i < 50; i++) {
        assert_true(call_world_feed(&w, 0, ALK_LIT(" ")));
    }
    assert_int_equal(m.allocs, before); /* 64 bytes are enough so far */
    call_world_fini(&w);
    test_mem_check(&m);
}

/* In steady state nothing is allocated, whether frames come whole or in parts. */
static void requests_cost_no_allocation_once_it_runs(void **state)
{
    struct test_mem m;
    struct alk_buf b;
    struct call_world w;
    (void)state;
    test_mem_init(&m, 0);
    struct alk_call_options o = {.mem = &m.mem};
    call_world_init(&w, &o);
    alk_buf_init(&b, NULL, 1 << 16);
    call_frame(&b, alk_span_str(script[0]));
    size_t before = 0;
    for (int i = 0; i < 1000; i++) {
        struct alk_call_ask ask = {.op = ALK_LIT("q"), .input = ALK_LIT("[1]")};
        struct alk_call_ref ref;
        uint64_t stream = (uint64_t)i * 4; /* a stream per call */
        struct alk_span in = alk_buf_span(&b);
        alk_buf_clear(&w.said);
        assert_true(call_world_feed(&w, stream, alk_span_head(in, (size_t)i % in.n)));
        assert_true(call_world_feed(&w, stream, alk_span_tail(in, (size_t)i % in.n)));
        check_err(alk_call_respond(w.core, w.last, ALK_LIT("{}"), true), ALK_OK);
        check_err(alk_call_request(w.core, stream, &ask, NULL, &ref), ALK_OK);
        assert_int_equal(call_count_out(&w, stream), 2);
        alk_call_close_stream(w.core, stream);
        call_world_events(&w);
        if (i == 300) {
            before = m.allocs;
        }
    }
    assert_int_equal(m.allocs, before);
    alk_buf_fini(&b);
    call_world_fini(&w);
    test_mem_check(&m);
}

static void large_answers_leave_no_large_buffers_behind(void **state)
{
    struct call_world w;
    struct test_mem m;
    (void)state;
    test_mem_init(&m, 0);
    struct alk_call_options o = {.mem = &m.mem};
    call_world_init(&w, &o);
    call_says(&w, 0, script[0]);
    size_t live = m.live;
    struct alk_buf big;
    alk_buf_init(&big, NULL, 1 << 20);
    (void)alk_buf_put_u8(&big, '"');
    for (int i = 0; i < 100000; i++) {
        (void)alk_buf_put_u8(&big, 'x');
    }
    (void)alk_buf_put_u8(&big, '"');
    check_err(alk_call_respond(w.core, w.last, alk_buf_span(&big), true), ALK_OK);
    assert_int_equal(m.live, live + 1);
    (void)call_count_out(&w, 0);
    assert_int_equal(m.live, live);
    alk_buf_fini(&big);
    call_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_may_be_cut_anywhere),
        cmocka_unit_test(nothing_that_is_broken_crashes_it),
        cmocka_unit_test(a_lack_of_memory_is_told_and_leaks_nothing),
        cmocka_unit_test(what_failed_for_lack_of_memory_can_be_tried_again),
        cmocka_unit_test(frames_that_are_put_together_have_a_limit_in_all),
        cmocka_unit_test(a_length_alone_costs_no_memory),
        cmocka_unit_test(requests_cost_no_allocation_once_it_runs),
        cmocka_unit_test(large_answers_leave_no_large_buffers_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
