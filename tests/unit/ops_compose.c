/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations that call operations: declared ones, eight deep, aborts that cascade. */
#include "support/oom.h"
#include "support/ops_world.h"

#include <stdio.h>

/* A node of a tree of calls: what its operation does and what it heard. */
struct knot {
    const char *calls; /* the operation that it composes; NULL: it waits */
    struct knot *next; /* of that operation */
    struct alk_request *request;
    struct alk_child *child;
    bool goes_on, cancels_child, ends_in_cancelled, ends_first;
    unsigned cancelled, ended;
    char heard[128];
    alk_err called;
};

static void on_child_responded(void *ctx, struct alk_child *child, struct alk_span output)
{
    struct knot *k = ctx;
    size_t n = strlen(k->heard);
    (void)child;
    (void)snprintf(k->heard + n, sizeof k->heard - n, "~" ALK_SPAN_FMT, ALK_SPAN_ARG(output));
    if (k->cancels_child) {
        alk_child_cancel(child);
        k->child = NULL;
    }
    if (k->ends_first && k->request != NULL) {
        struct alk_request *r = k->request;
        k->request = NULL;
        check_err(alk_request_respond(r), ALK_OK);
    }
}

static void on_child_ended(void *ctx, struct alk_child *child, const char *code,
                           const char *message, bool is_retryable, struct alk_span details)
{
    struct knot *k = ctx;
    size_t n = strlen(k->heard);
    (void)message;
    (void)is_retryable;
    (void)details;
    assert_ptr_equal(child, k->child);
    (void)snprintf(k->heard + n, sizeof k->heard - n, "%s", code == NULL ? "." : code);
    k->child = NULL;
    k->ended++;
    if (k->request != NULL) {
        struct alk_request *r = k->request;
        k->request = NULL;
        check_err(alk_request_respond(r), ALK_OK);
    }
}

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct knot *k = ctx;
    k->cancelled++;
    if (k->ends_in_cancelled) {
        k->request = NULL;
        alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    }
}

static const struct alk_child_calls child_calls = {on_child_responded, on_child_ended};

static void tie(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {.cancelled = on_cancelled};
    struct knot *k = ctx;
    k->request = r;
    alk_request_on(r, &calls, k);
    if (k->calls != NULL) {
        struct alk_child_options o = {
            .struct_size = sizeof o, .op = k->calls, .continue_running = k->goes_on};
        k->called = alk_request_call(r, &o, &child_calls, k, &k->child);
        if (k->called != ALK_OK) {
            k->request = NULL;
            alk_request_fail_err(r, k->called, NULL);
        }
    }
}

/* top -> mid -> leaf; the leaf waits. */
struct tree {
    struct ops_world w;
    struct knot top, mid, leaf;
};

static void add_knot(struct tree *t, const char *name, enum alk_op_kind kind, struct knot *k)
{
    static const char *const calls[] = {"t/mid", "t/leaf", NULL};
    ops_world_add(&t->w,
                  (struct alk_op){.name = name,
                                  .kind = kind,
                                  .flags = ALK_OP_PUBLIC,
                                  .fn = tie,
                                  .calls = calls,
                                  .timeout_ms = 20000},
                  k);
}

static void tree_begin(struct tree *t, enum alk_op_kind leaf)
{
    ops_world_init(&t->w, NULL);
    t->top.calls = t->top.calls == NULL ? "t/mid" : t->top.calls;
    t->mid.calls = "t/leaf";
    add_knot(t, "t/top", ALK_OP_MUTATION, &t->top);
    add_knot(t, "t/mid", ALK_OP_MUTATION, &t->mid);
    add_knot(t, "t/leaf", leaf, &t->leaf);
}

static void answer_leaf(struct tree *t)
{
    struct alk_request *r = t->leaf.request;
    t->leaf.request = NULL;
    alk_out_i64(alk_request_out(r), 7);
    check_err(alk_request_respond(r), ALK_OK);
}

static void what_a_composed_operation_answers_reaches_the_one_that_composed_it(void **state)
{
    struct tree t = {.top = {.calls = NULL}};
    struct ops_call c = {.full = 0};
    (void)state;
    tree_begin(&t, ALK_OP_QUERY);
    ops_ask(&t.w, &c, NULL, "t/top", "");
    assert_ptr_equal(alk_request_caller(t.leaf.request), NULL);
    assert_true(alk_request_deadline(t.leaf.request) <= alk_request_deadline(t.top.request));
    answer_leaf(&t);
    assert_string_equal(t.mid.heard, "~7.");
    assert_string_equal(t.top.heard, "~{}.");
    assert_string_equal(c.heard, "={}");
    ops_world_fini(&t.w);
}

static void only_declared_operations_may_be_composed(void **state)
{
    struct tree t = {.top = {.calls = "t/other"}};
    (void)state;
    tree_begin(&t, ALK_OP_QUERY);
    ops_check(&t.w, NULL, "t/top", "", "!FORBIDDEN not permitted");
    check_err(t.top.called, ALK_E_FORBIDDEN);
    ops_world_fini(&t.w);
}

struct well {
    unsigned n;
    struct knot knots[ALK_OPS_DEPTH_MAX + 2];
};

static void dig(void *ctx, struct alk_request *r)
{
    struct well *well = ctx;
    struct knot *k = &well->knots[well->n++];
    k->calls = "t/dig";
    tie(k, r);
}

static void composition_goes_eight_deep_and_no_further(void **state)
{
    static const char *const calls[] = {"t/dig", NULL};
    struct well well = {.n = 0};
    struct ops_world w;
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w,
                  (struct alk_op){.name = "t/dig",
                                  .kind = ALK_OP_MUTATION,
                                  .flags = ALK_OP_PUBLIC,
                                  .fn = dig,
                                  .calls = calls},
                  &well);
    ops_check(&w, NULL, "t/dig", "", "={}");
    assert_int_equal(well.n, ALK_OPS_DEPTH_MAX + 1); /* the first is not composed */
    check_err(well.knots[ALK_OPS_DEPTH_MAX].called, ALK_E_LIMIT);
    assert_string_equal(well.knots[ALK_OPS_DEPTH_MAX - 1].heard, "EXHAUSTED");
    assert_string_equal(well.knots[0].heard, "~{}.");
    ops_world_fini(&w);
}

static void an_abort_reaches_everything_that_the_request_has_started(void **state)
{
    struct tree t = {.top = {.calls = NULL}};
    struct ops_call c = {.full = 0};
    (void)state;
    tree_begin(&t, ALK_OP_QUERY);
    ops_ask(&t.w, &c, NULL, "t/top", "");
    t.leaf.ends_in_cancelled = true;
    alk_request_cancel(c.request);
    assert_int_equal(t.top.cancelled, 1);
    assert_int_equal(t.mid.cancelled, 1);
    assert_int_equal(t.leaf.cancelled, 1);
    assert_int_equal(t.top.ended, 0); /* later, not inside the abort */
    ops_world_run(&t.w);
    assert_string_equal(t.mid.heard, "ABORTED"); /* each is told, and ends itself */
    assert_string_equal(t.top.heard, "ABORTED");
    assert_null(t.top.request);
    assert_string_equal(c.heard, "");
    ops_world_fini(&t.w);
}

static void an_operation_that_ends_drops_what_it_has_started(void **state)
{
    struct tree t = {.top = {.ends_in_cancelled = true}, .mid = {.ends_in_cancelled = true}};
    struct ops_call c = {.full = 0};
    (void)state;
    t.leaf.ends_in_cancelled = true;
    tree_begin(&t, ALK_OP_QUERY);
    ops_ask(&t.w, &c, NULL, "t/top", "");
    struct alk_request *r = t.top.request;
    t.top.request = NULL;
    check_err(alk_request_respond(r), ALK_OK);
    assert_int_equal(t.leaf.cancelled, 1);
    ops_world_run(&t.w);
    assert_int_equal(t.top.ended, 0); /* no further call for it */
    assert_string_equal(c.heard, "={}");
    ops_world_fini(&t.w);
}

static void a_call_that_goes_on_outlives_the_abort_and_the_operation(void **state)
{
    struct tree t = {.top = {.goes_on = true, .ends_in_cancelled = true}};
    struct ops_call c = {.full = 0};
    (void)state;
    tree_begin(&t, ALK_OP_QUERY);
    ops_ask(&t.w, &c, NULL, "t/top", "");
    alk_request_cancel(c.request);
    ops_world_run(&t.w);
    assert_int_equal(t.top.cancelled, 1);
    assert_null(t.top.request);
    assert_int_equal(t.mid.cancelled, 0);
    answer_leaf(&t);
    assert_string_equal(t.top.heard, "~{}.");
    ops_world_fini(&t.w);
}

static void a_child_may_be_cancelled_and_the_parent_end_while_it_is_told_an_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct tree t = {.top = {.calls = NULL}};
        struct ops_call c = {.full = 0};
        t.mid.cancels_child = (i & 1) != 0;
        t.mid.ends_first = (i & 2) != 0;
        t.leaf.ends_in_cancelled = true;
        tree_begin(&t, ALK_OP_SUBSCRIPTION);
        ops_ask(&t.w, &c, NULL, "t/top", "");
        struct alk_request *r = t.leaf.request;
        alk_out_i64(alk_request_out(r), 1);
        check_err(alk_request_respond(r), i == 0 ? ALK_OK : ALK_E_CLOSED);
        if (i == 0) {
            alk_request_complete(r);
        }
        ops_world_run(&t.w);
        assert_string_equal(t.mid.heard, i == 0 ? "~1." : "~1");
        assert_int_equal(t.leaf.cancelled, i == 0 ? 0 : 1);
        if (c.request != NULL) { /* cancelled without an end: the middle waits for ever */
            t.mid.ends_in_cancelled = true;
            alk_request_cancel(c.request);
        }
        ops_world_fini(&t.w);
    }
}

static void what_is_composed_after_a_cancel_never_begins(void **state)
{
    struct tree t = {.top = {.calls = NULL}};
    struct ops_call c = {.full = 0};
    (void)state;
    tree_begin(&t, ALK_OP_QUERY);
    ops_ask(&t.w, &c, NULL, "t/top", "");
    t.leaf.ends_in_cancelled = true;
    alk_request_cancel(c.request);
    struct knot late = {.calls = NULL};
    struct alk_child_options o = {.struct_size = sizeof o, .op = "t/leaf"};
    t.leaf.request = NULL;
    check_err(alk_request_call(t.top.request, &o, &child_calls, &late, &late.child), ALK_OK);
    struct alk_request *r = t.top.request;
    t.top.request = NULL; /* not ended by what it hears of its first child */
    ops_world_run(&t.w);
    assert_string_equal(t.top.heard, "ABORTED");
    assert_string_equal(late.heard, "ABORTED");
    assert_null(t.leaf.request);
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    ops_world_fini(&t.w);
}

static void composed_calls_time_out_with_their_parent(void **state)
{
    struct tree t = {.top = {.ends_in_cancelled = true}, .mid = {.ends_in_cancelled = true}};
    struct ops_call c = {.full = 0};
    struct alk_start_spec spec = {.op = ALK_LIT("t/top"), .timeout_ms = 5};
    (void)state;
    t.leaf.ends_in_cancelled = true;
    tree_begin(&t, ALK_OP_QUERY);
    spec.loop = t.w.loop;
    check_err(alk_ops_start(t.w.ops, &spec, &ops_call_face, &c, &c.request), ALK_OK);
    ops_world_run(&t.w);
    alk_time deadline = alk_request_deadline(t.top.request);
    assert_true(alk_request_deadline(t.leaf.request) == deadline);
    ops_world_until(&t.w, deadline);
    assert_string_equal(c.heard, "?TIMEOUT no answer in time");
    assert_int_equal(t.top.cancelled + t.mid.cancelled, 2);
    assert_int_equal(t.leaf.cancelled, 1);
    ops_world_fini(&t.w);
}

/* --- many ------------------------------------------------------------------------ */

/* Waits, and ends itself when it is cancelled. */
static void crowd_cancelled(void *ctx, struct alk_request *r)
{
    unsigned *cancelled = ctx;
    ++*cancelled;
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

static void crowd_wait(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {.cancelled = crowd_cancelled};
    alk_request_on(r, &calls, ctx);
}

static void crowd_call(void *ctx, struct alk_request *r)
{
    static const struct alk_child_calls none = {.ended = NULL};
    struct alk_child_options o = {.struct_size = sizeof o, .op = "t/wait"};
    struct alk_child *child = NULL;
    crowd_wait(ctx, r);
    check_err(alk_request_call(r, &o, &none, NULL, &child), ALK_OK);
}

static void a_thousand_calls_cancelled_half_way_leave_nothing(void **state)
{
    enum { N = 1000 };
    static const char *const calls[] = {"t/wait", NULL};
    static struct ops_call c[N];
    struct test_mem t;
    unsigned parents = 0, children = 0;
    struct ops_world w = {.loop = NULL};
    (void)state;
    test_mem_init(&t, 0);
    struct alk_ops_options options = {.struct_size = sizeof options, .mem = &t.mem};
    ops_world_init(&w, &options);
    ops_world_add(&w, (struct alk_op){.name = "t/wait", .flags = ALK_OP_PUBLIC, .fn = crowd_wait},
                  &children);
    ops_world_add(
        &w,
        (struct alk_op){.name = "t/call", .flags = ALK_OP_PUBLIC, .fn = crowd_call, .calls = calls},
        &parents);
    size_t before = t.live;
    for (size_t i = 0; i < N; i++) {
        ops_start(&w, &c[i], NULL, "t/call", "{\"some\":[\"input\"]}");
        if (i == N / 2) {
            ops_world_run(&w); /* the first half has children, the second has not begun */
        }
    }
    assert_true(t.live <= before + 4 * N); /* two requests, a child, a timer's none */
    for (size_t i = 0; i < N; i++) {
        alk_request_cancel(c[i].request);
        assert_string_equal(c[i].heard, "");
    }
    ops_world_run(&w);
    assert_int_equal(parents, N / 2 + 1);
    assert_int_equal(children, N / 2 + 1);
    assert_int_equal(t.live, before);
    ops_world_fini(&w);
    test_mem_check(&t);
}

/* --- memory --------------------------------------------------------------------- */

static alk_err compose_with(const struct alk_mem *mem, void *ctx)
{
    struct alk_ops_options options = {.struct_size = sizeof options, .mem = mem};
    struct tree t = {.top = {.calls = "t/leaf"}};
    struct alk_op op = {.struct_size = sizeof op, .kind = ALK_OP_QUERY, .flags = ALK_OP_PUBLIC};
    static const char *const calls[] = {"t/leaf", NULL};
    struct ops_call c = {.full = 0};
    (void)ctx;

    check_err(alk_loop_new(NULL, &t.w.loop), ALK_OK);
    alk_err err = alk_ops_new(&options, &t.w.ops);
    op.fn = tie;
    op.calls = calls;
    op.name = "t/top";
    err = err == ALK_OK ? alk_ops_add(t.w.ops, &op, &t.top, NULL, 0) : err;
    op.name = "t/leaf";
    err = err == ALK_OK ? alk_ops_add(t.w.ops, &op, &t.leaf, NULL, 0) : err;
    struct alk_start_spec spec = {.loop = t.w.loop, .op = ALK_LIT("t/top")};
    err = err == ALK_OK ? alk_ops_start(t.w.ops, &spec, &ops_call_face, &c, &c.request) : err;
    if (err == ALK_OK) {
        ops_world_run(&t.w);
        if (t.leaf.request != NULL) {
            answer_leaf(&t);
        }
        ops_world_run(&t.w);
        assert_int_equal(c.ends, 1);
        err = strcmp(c.heard, "={}") == 0 && strcmp(t.top.heard, "~7.") == 0 ? ALK_OK : ALK_E_NOMEM;
    }
    alk_ops_free(t.w.ops);
    alk_loop_free(t.w.loop);
    return err;
}

static void lack_of_memory_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    oom_sweep(compose_with, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_composed_operation_answers_reaches_the_one_that_composed_it),
        cmocka_unit_test(only_declared_operations_may_be_composed),
        cmocka_unit_test(composition_goes_eight_deep_and_no_further),
        cmocka_unit_test(an_abort_reaches_everything_that_the_request_has_started),
        cmocka_unit_test(an_operation_that_ends_drops_what_it_has_started),
        cmocka_unit_test(a_call_that_goes_on_outlives_the_abort_and_the_operation),
        cmocka_unit_test(a_child_may_be_cancelled_and_the_parent_end_while_it_is_told_an_answer),
        cmocka_unit_test(what_is_composed_after_a_cancel_never_begins),
        cmocka_unit_test(composed_calls_time_out_with_their_parent),
        cmocka_unit_test(a_thousand_calls_cancelled_half_way_leave_nothing),
        cmocka_unit_test(lack_of_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
