/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests from start to end: answers, errors, time-outs, cancelling, streams. */
#include "ops/metrics.h"
#include "support/oom.h"
#include "support/ops_world.h"

#include <stdio.h>

/* --- operations --------------------------------------------------------------- */

static void add(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    (void)ctx;
    alk_out_object(out);
    alk_out_key(out, "sum");
    alk_out_i64(out, alk_input_i64(r, "a", 0) + alk_input_i64(r, "b", 0));
    alk_out_end(out);
    check_err(alk_request_respond(r), ALK_OK);
}

static const struct alk_op add_op = {
    .name = "math/add",
    .summary = "adds two numbers",
    .kind = ALK_OP_QUERY,
    .flags = ALK_OP_PUBLIC,
    .fn = add,
    .input = "{\"type\":\"object\",\"required\":[\"a\",\"b\"],\"properties\":"
             "{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}}}",
};

/* One that answers when it is told to, and what it heard. */
struct slow {
    struct alk_request *request;
    unsigned cancelled, writable, begun, released;
    bool ends_in_cancelled;
    const char *log; /* of the order in which they began, see begins_in_order */
    char name;
    char *order;
};

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct slow *s = ctx;
    s->cancelled++;
    assert_true(alk_request_is_cancelled(r));
    assert_null(alk_request_auth(r));
    if (s->ends_in_cancelled) {
        s->request = NULL;
        alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    }
}

static void on_writable(void *ctx, struct alk_request *r)
{
    struct slow *s = ctx;
    s->writable++;
    check_err(alk_request_respond(r), ALK_OK);
}

static void slow(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {on_cancelled, on_writable};
    struct slow *s = ctx;
    s->request = r;
    s->begun++;
    if (s->order != NULL) {
        *strchr(s->order, '.') = (char)alk_input_i64(r, "n", '?');
    }
    alk_request_on(r, &calls, s);
}

static void slow_release(void *ctx)
{
    struct slow *s = ctx;
    s->released++;
}

static const struct alk_op slow_op = {.name = "test/slow",
                                      .kind = ALK_OP_MUTATION,
                                      .flags = ALK_OP_PUBLIC,
                                      .fn = slow,
                                      .release = slow_release};
static const struct alk_op stream_op = {.name = "test/stream",
                                        .kind = ALK_OP_SUBSCRIPTION,
                                        .flags = ALK_OP_PUBLIC,
                                        .fn = slow,
                                        .release = slow_release};

/* --- answers ------------------------------------------------------------------ */

static void a_call_is_answered_once_and_not_inside_start(void **state)
{
    struct ops_world w;
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, add_op, NULL);
    ops_check(&w, NULL, "math/add", "{\"a\":2,\"b\":40}", "={\"sum\":42}");
    ops_check(&w, NULL, "math/add", "{\"a\":-1,\"b\":-1.0}",
              "={\"sum\":-2}"); /* a whole number with a fraction is an integer */
    ops_world_fini(&w);
}

static void a_call_that_is_begun_at_once_is_over_at_once(void **state)
{
    struct ops_world w;
    struct ops_call c = {.full = 0}, bad = {.full = 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, add_op, NULL);
    ops_start(&w, &c, NULL, "math/add", "{\"a\":2,\"b\":40}");
    alk_request_begin(c.request);
    assert_string_equal(c.heard, "={\"sum\":42}");
    ops_start(&w, &bad, NULL, "math/add", "{\"a\":2}");
    alk_request_begin(bad.request);
    assert_memory_equal(bad.heard, "!INVALID_INPUT", 14);
    ops_world_run(&w);
    assert_int_equal(c.ends, 1);
    assert_int_equal(bad.ends, 1);
    ops_world_fini(&w);
}

static void requests_begin_in_the_order_of_starting(void **state)
{
    struct ops_world w;
    char order[] = ".....";
    struct slow s = {.order = order};
    struct ops_call c[5] = {{.full = 0}};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, slow_op, &s);
    for (size_t i = 0; i < 5; i++) {
        char input[32];
        (void)snprintf(input, sizeof input, "{\"n\":%d}", 'a' + (int)i);
        ops_start(&w, &c[i], NULL, "test/slow", input);
    }
    alk_request_cancel(c[1].request); /* never begins */
    (void)alk_loop_run_once(w.loop, 0);
    assert_string_equal(order, "acde.");
    assert_int_equal(s.cancelled, 0);
    for (size_t i = 0; i < 5; i++) {
        if (i != 1) { /* the slow one keeps only the last: end them through their faces */
            s.ends_in_cancelled = true;
            alk_request_cancel(c[i].request);
        }
    }
    assert_int_equal(s.cancelled, 4);
    ops_world_fini(&w);
}

static void input_is_checked_and_the_mistakes_are_told(void **state)
{
    struct ops_world w;
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, add_op, NULL);
    ops_ask(&w, &c, NULL, "math/add", "{\"a\":1,\"b\":\"x\"}");
    assert_string_equal(c.heard, "!INVALID_INPUT the input does not fit: /b must be an integer "
                                 "{\"errors\":[{\"at\":\"/b\",\"rule\":\"/properties/b/type\","
                                 "\"what\":\"must be an integer\"}]}");
    ops_ask(&w, &c, NULL, "math/add", "{\"a\":1}");
    assert_memory_equal(c.heard, "!INVALID_INPUT the input does not fit: \"b\" is missing", 53);
    ops_world_fini(&w);
}

static void input_must_be_strict_json(void **state)
{
    struct ops_world w;
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, add_op, NULL);
    ops_check(&w, NULL, "math/add", "{\"a\":1,\"a\":1,\"b\":1}",
              "!INVALID_INPUT the input is not strict JSON");
    ops_check(&w, NULL, "math/add", "{\"a\":1,\"b\":1",
              "!INVALID_INPUT the input is not strict JSON");
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 99);
    deep[199] = '\0';
    ops_check(&w, NULL, "math/add", deep,
              "!INVALID_INPUT the input is too deep or has too many values");
    ops_world_fini(&w);
}

static void large_inputs_pass_up_to_the_limit(void **state)
{
    struct ops_world w;
    char *input = malloc(ALK_OPS_INPUT_MAX + 2);
    (void)state;
    assert_non_null(input);
    ops_world_init(&w, NULL);
    ops_world_add(&w, add_op, NULL);
    memset(input, ' ', ALK_OPS_INPUT_MAX + 2);
    memcpy(input, "{\"a\":1,\"b\":2}", 13);
    input[ALK_OPS_INPUT_MAX] = '\0';
    ops_check(&w, NULL, "math/add", input, "={\"sum\":3}");
    input[ALK_OPS_INPUT_MAX] = ' ';
    input[ALK_OPS_INPUT_MAX + 1] = '\0';
    ops_check(&w, NULL, "math/add", input, "!TOO_LARGE too large");
    ops_world_fini(&w);
    free(input);
}

/* --- what an operation may say ------------------------------------------------- */

static void misbehave(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    struct alk_span how = alk_input_text(r, "how", "");
    (void)ctx;
    if (alk_span_is(how, "unfinished")) {
        alk_out_object(out);
        check_err(alk_request_respond(r), ALK_OK);
    } else if (alk_span_is(how, "huge")) {
        alk_out_array(out);
        for (size_t i = 0; i < ALK_OPS_INPUT_MAX; i++) {
            alk_out_null(out);
        }
        alk_out_end(out);
        check_err(alk_request_respond(r), ALK_OK);
    } else if (alk_span_is(how, "schema")) {
        alk_out_text(out, "not an object");
        check_err(alk_request_respond(r), ALK_OK);
    } else if (alk_span_is(how, "text")) {
        alk_out_null(out); /* what was written before does not count */
        check_err(alk_request_respond_json(r, ALK_LIT("{\"a\":[1]}")), ALK_OK);
    } else if (alk_span_is(how, "wrong text")) {
        check_err(alk_request_respond_json(r, ALK_LIT("7")), ALK_OK);
    } else if (alk_span_is(how, "undeclared")) {
        alk_request_fail(r, "NEVER_HEARD", "x");
    } else if (alk_span_is(how, "declared")) {
        alk_out_i64(out, 7);
        alk_request_fail(r, "NO_PAPER", "the tray is empty");
    } else if (alk_span_is(how, "details")) {
        alk_out_text(out, "seven");
        alk_request_fail(r, "NO_PAPER", "the tray is empty");
    } else if (alk_span_is(how, "bare")) {
        alk_request_fail(r, "NO_PAPER", "the tray is empty");
    } else if (alk_span_is(how, "any")) {
        alk_out_text(out, "seven");
        alk_request_fail(r, "JAM", "pull");
    } else if (alk_span_is(how, "shared")) {
        alk_out_text(out, "seven");
        alk_request_fail(r, ALK_OPS_CONFLICT, "it differs");
    } else if (alk_span_is(how, "frame")) {
        alk_request_fail_err(r, ALK_E_PROTOCOL, "");
    } else if (alk_span_is(how, "busy")) {
        alk_request_fail_err(r, ALK_E_UNAVAILABLE, NULL);
    } else {
        check_err(alk_request_respond(r), ALK_OK);
    }
}

static void what_an_operation_says_wrongly_becomes_an_internal_error_and_a_log_line(void **state)
{
    static const struct alk_op_error errors[] = {{"JAM", "it is stuck", NULL},
                                                 {"NO_PAPER", "no paper", "{\"type\":\"integer\"}"},
                                                 {NULL, NULL, NULL}};
    static const struct {
        const char *how, *want, *log;
    } rows[] = {
        {"fine", "={}", ""},
        {"unfinished", "!INTERNAL internal error", "test/bad: its output cannot be sent"},
        {"huge", "!TOO_LARGE too large", "test/bad: its output cannot be sent"},
        {"schema", "!INTERNAL internal error", "test/bad: its output does not fit its schema"},
        {"text", "={\"a\":[1]}", ""},
        {"wrong text", "!INTERNAL internal error", "test/bad: its output does not fit its schema"},
        {"undeclared", "!INTERNAL internal error", "test/bad: it failed with a code"},
        {"declared", "!NO_PAPER the tray is empty 7", ""},
        {"details", "!INTERNAL internal error", "test/bad: its value of NO_PAPER does not fit"},
        {"bare", "!NO_PAPER the tray is empty", ""},
        {"any", "!JAM pull \"seven\"", ""},
        {"shared", "!CONFLICT it differs \"seven\"", ""},
        {"frame", "!INTERNAL ", ""},
        {"busy", "?UNAVAILABLE temporarily unavailable: try again", ""},
    };
    struct ops_world w;
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w,
                  (struct alk_op){.name = "test/bad",
                                  .kind = ALK_OP_QUERY,
                                  .flags = ALK_OP_PUBLIC,
                                  .fn = misbehave,
                                  .errors = errors,
                                  .output = "{\"type\":\"object\"}"},
                  NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char input[64];
        (void)snprintf(input, sizeof input, "{\"how\":\"%s\"}", rows[i].how);
        w.log[0] = '\0';
        ops_check(&w, NULL, "test/bad", input, rows[i].want);
        if (rows[i].log[0] == '\0') {
            assert_string_equal(w.log, "");
        } else {
            assert_memory_equal(w.log, rows[i].log, strlen(rows[i].log));
        }
    }
    ops_world_fini(&w);
}

static void outputs_are_not_checked_unless_asked_for(void **state)
{
    static const struct alk_op_error errors[] = {{"NO_PAPER", "no paper", "{\"type\":\"integer\"}"},
                                                 {NULL, NULL, NULL}};
    struct alk_ops_options options = {.struct_size = sizeof options};
    struct ops_world w;
    (void)state;
    ops_world_init(&w, &options);
    ops_world_add(&w,
                  (struct alk_op){.name = "test/bad",
                                  .kind = ALK_OP_QUERY,
                                  .flags = ALK_OP_PUBLIC,
                                  .fn = misbehave,
                                  .errors = errors,
                                  .output = "{\"type\":\"object\"}"},
                  NULL);
    ops_check(&w, NULL, "test/bad", "{\"how\":\"schema\"}", "=\"not an object\"");
    ops_check(&w, NULL, "test/bad", "{\"how\":\"text\"}", "={\"a\":[1]}");
    ops_check(&w, NULL, "test/bad", "{\"how\":\"wrong text\"}", "=7");
    ops_check(&w, NULL, "test/bad", "{\"how\":\"details\"}",
              "!NO_PAPER the tray is empty \"seven\"");
    ops_world_fini(&w);
}

static jmp_buf back;
static void on_assert(const char *file, int line, const char *what)
{
    (void)file;
    (void)line;
    (void)what;
    longjmp(back, 1);
}

static void answer_twice(void *ctx, struct alk_request *r)
{
    (void)ctx;
    check_err(alk_request_respond(r), ALK_OK);
    alk_assert_hook(on_assert);
    if (setjmp(back) == 0) {
        alk_request_fail(r, ALK_OPS_INTERNAL, NULL);
        fail_msg("a second answer was taken");
    }
    alk_assert_hook(NULL);
}

static void a_second_answer_is_a_bug(void **state)
{
    struct ops_world w;
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(
        &w,
        (struct alk_op){
            .name = "test/twice", .kind = ALK_OP_QUERY, .flags = ALK_OP_PUBLIC, .fn = answer_twice},
        NULL);
    ops_check(&w, NULL, "test/twice", "", "={}");
    ops_world_fini(&w);
}

/* --- time and cancelling ------------------------------------------------------- */

static void a_timeout_is_told_to_the_caller_and_the_operation_is_cancelled(void **state)
{
    struct alk_ops_options options = {.struct_size = sizeof options, .timeout_ms = 5};
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, &options);
    ops_world_add(&w, slow_op, &s);
    ops_ask(&w, &c, NULL, "test/slow", "");
    alk_time deadline = alk_request_deadline(s.request);
    assert_true(deadline <= alk_clock_now() + 5 * ALK_MS);
    ops_world_until(&w, deadline);
    assert_string_equal(c.heard, "?TIMEOUT no answer in time");
    assert_int_equal(s.cancelled, 1);
    alk_out_text(alk_request_out(s.request), "too late");
    check_err(alk_request_respond(s.request), ALK_OK); /* dropped */
    assert_int_equal(c.ends, 1);
    ops_world_fini(&w);
    assert_int_equal(s.released, 1);
}

static alk_time timeout_of(struct ops_world *w, const char *op, uint64_t asked_ms, struct slow *s)
{
    struct ops_call c = {.full = 0};
    struct alk_start_spec spec = {.loop = w->loop, .op = alk_span_str(op), .timeout_ms = asked_ms};
    alk_time before = alk_clock_now();
    check_err(alk_ops_start(w->ops, &spec, &ops_call_face, &c, &c.request), ALK_OK);
    ops_world_run(w);
    alk_time deadline = alk_request_deadline(s->request);
    s->ends_in_cancelled = true;
    alk_request_cancel(c.request);
    return deadline == ALK_NEVER ? ALK_NEVER : (deadline - before) / ALK_SECOND;
}

static void the_time_is_the_operations_and_the_caller_may_shorten_it(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct alk_op timed = slow_op;
    struct alk_op endless = slow_op;
    (void)state;
    timed.name = "test/timed";
    timed.timeout_ms = 100500;
    endless.name = "test/endless";
    endless.flags |= ALK_OP_NO_TIMEOUT;
    ops_world_init(&w, NULL);
    ops_world_add(&w, slow_op, &s);
    ops_world_add(&w, timed, &s);
    ops_world_add(&w, endless, &s);
    ops_world_add(&w, stream_op, &s);
    assert_int_equal(timeout_of(&w, "test/slow", 0, &s), 30);
    assert_int_equal(timeout_of(&w, "test/slow", 3500, &s), 3);
    assert_int_equal(timeout_of(&w, "test/slow", 90500, &s), 90);
    assert_int_equal(timeout_of(&w, "test/slow", UINT64_MAX, &s), 600);
    assert_int_equal(timeout_of(&w, "test/timed", 0, &s), 100);
    assert_int_equal(timeout_of(&w, "test/timed", 500500, &s), 100);
    assert_int_equal(timeout_of(&w, "test/timed", 2500, &s), 2);
    assert_true(timeout_of(&w, "test/endless", 0, &s) == ALK_NEVER);
    assert_int_equal(timeout_of(&w, "test/endless", 2500, &s), 2);
    assert_true(timeout_of(&w, "test/stream", 2500, &s) == ALK_NEVER);
    ops_world_fini(&w);
}

static void a_face_that_cancels_hears_nothing_and_the_operation_ends_when_it_likes(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, slow_op, &s);
    ops_ask(&w, &c, NULL, "test/slow", "");
    alk_request_cancel(c.request);
    assert_int_equal(s.cancelled, 1);
    check_err(alk_ops_remove(w.ops, "test/slow"), ALK_OK);
    assert_int_equal(s.released, 0); /* a request is under way */
    alk_request_fail(s.request, ALK_OPS_INTERNAL, NULL);
    assert_int_equal(s.released, 1);
    assert_string_equal(c.heard, "");
    ops_check(&w, NULL, "test/slow", "", "!UNAUTHENTICATED an identity is needed");
    ops_world_fini(&w);
}

static void a_text_that_nobody_waits_for_ends_a_call(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, slow_op, &s);
    ops_ask(&w, &c, NULL, "test/slow", "");
    alk_request_cancel(c.request);
    check_err(alk_ops_remove(w.ops, "test/slow"), ALK_OK);
    check_err(alk_request_respond_json(s.request, ALK_LIT("1")), ALK_OK);
    assert_int_equal(s.released, 1);
    assert_string_equal(c.heard, "");
    ops_world_fini(&w);
}

static void requests_under_way_outlive_the_registry(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.full = 0}, late = {.full = 0}, unknown = {.full = 0};
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, slow_op, &s);
    ops_ask(&w, &c, NULL, "test/slow", "");
    ops_start(&w, &unknown, ann, "test/unknown", "");
    ops_start(&w, &late, NULL, "test/slow", ""); /* found already, not begun */
    alk_ops_free(w.ops);
    assert_int_equal(s.released, 0);
    check_err(alk_request_respond(s.request), ALK_OK);
    assert_string_equal(c.heard, "={}");
    ops_world_run(&w);
    assert_int_equal(s.begun, 2);
    check_err(alk_request_respond(s.request), ALK_OK);
    assert_string_equal(late.heard, "={}");
    assert_memory_equal(unknown.heard, "!NOT_FOUND", 10);
    assert_int_equal(s.released, 1);
    alk_identity_unref(ann);
    w.ops = NULL;
    ops_world_fini(&w);
}

/* --- subscriptions ------------------------------------------------------------- */

static void put(struct slow *s, int64_t n)
{
    alk_out_i64(alk_request_out(s->request), n);
}

static void a_subscription_answers_often_and_waits_when_full(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.full = 1};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, stream_op, &s);
    ops_ask(&w, &c, NULL, "test/stream", "");
    put(&s, 1);
    check_err(alk_request_respond(s.request), ALK_FULL);
    assert_string_equal(c.heard, "");
    alk_request_writable(c.request); /* the same answer once more */
    assert_int_equal(s.writable, 1);
    alk_request_writable(c.request); /* nothing was refused */
    assert_int_equal(s.writable, 1);
    put(&s, 2);
    check_err(alk_request_respond(s.request), ALK_OK);
    alk_request_complete(s.request);
    assert_string_equal(c.heard, "~1~2.");
    ops_world_fini(&w);
}

static void a_face_may_cancel_while_it_is_told_an_answer(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.cancels = true};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, stream_op, &s);
    ops_ask(&w, &c, NULL, "test/stream", "");
    put(&s, 1);
    check_err(alk_request_respond(s.request), ALK_E_CLOSED);
    assert_int_equal(s.cancelled, 0); /* not inside the operation's own call */
    put(&s, 2);
    check_err(alk_request_respond(s.request), ALK_E_CLOSED);
    s.ends_in_cancelled = true;
    ops_world_run(&w);
    assert_int_equal(s.cancelled, 1);
    assert_string_equal(c.heard, "~1");
    ops_world_fini(&w);
}

static void a_refused_answer_does_not_become_the_details_of_an_error(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.full = 1};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, stream_op, &s);
    ops_ask(&w, &c, NULL, "test/stream", "");
    put(&s, 1);
    check_err(alk_request_respond(s.request), ALK_FULL);
    alk_request_fail(s.request, ALK_OPS_CONFLICT, "no more");
    assert_string_equal(c.heard, "!CONFLICT no more");
    ops_world_fini(&w);
}

static bool counts(struct ops_world *w, const char *line)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, 1 << 20);
    check_err(alk_ops_metrics_print(w->ops, &b), ALK_OK);
    bool is_there = strstr(alk_buf_cstr(&b), line) != NULL;
    alk_buf_fini(&b);
    return is_there;
}

static void requests_are_counted_by_what_their_callers_heard(void **state)
{
    struct alk_ops_options options = {.struct_size = sizeof options, .timeout_ms = 300};
    struct ops_world w;
    struct slow s = {.ends_in_cancelled = true};
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, &options);
    ops_world_add(&w, add_op, NULL);
    ops_world_add(&w, slow_op, &s);
    assert_false(counts(&w, "op=\""));
    ops_ask(&w, &c, NULL, "math/add", "{\"a\":1,\"b\":2}");
    ops_ask(&w, &c, NULL, "math/add", "{}");
    ops_ask(&w, &c, NULL, "math/none", "{}");
    assert_true(counts(&w, "alknet_op_requests_total{op=\"math/add\",code=\"OK\"} 1\n"));
    assert_true(counts(&w, "{op=\"math/add\",code=\"INVALID_INPUT\"} 1\n"));
    assert_true(counts(&w, "alknet_op_seconds_count{op=\"math/add\"} 1\n"));
    assert_true(counts(&w, "alknet_op_unknown_total 1\n"));
    ops_ask(&w, &c, NULL, "test/slow", "");
    assert_true(counts(&w, "alknet_op_active{op=\"test/slow\"} 1\n"));
    ops_world_until(&w, alk_request_deadline(s.request));
    ops_ask(&w, &c, NULL, "test/slow", "");
    alk_request_cancel(c.request);
    assert_true(counts(&w, "{op=\"test/slow\",code=\"TIMEOUT\"} 1\n"));
    assert_true(counts(&w, "{op=\"test/slow\",code=\"ABORTED\"} 1\n"));
    assert_true(counts(&w, "alknet_op_active{op=\"test/slow\"} 0\n"));
    ops_world_fini(&w);
}

static void a_broken_answer_ends_a_subscription(void **state)
{
    struct ops_world w;
    struct slow s = {.ends_in_cancelled = true};
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, stream_op, &s);
    ops_ask(&w, &c, NULL, "test/stream", "");
    alk_out_array(alk_request_out(s.request));
    check_err(alk_request_respond(s.request), ALK_E_CLOSED);
    assert_string_equal(c.heard, "!INTERNAL internal error");
    ops_world_run(&w);
    assert_int_equal(s.cancelled, 1);
    ops_world_fini(&w);
}

static void rights_that_go_end_a_subscription(void **state)
{
    struct ops_world w;
    struct slow s = {.ends_in_cancelled = true};
    struct ops_call c = {.full = 0};
    struct alk_op op = stream_op;
    const char *const scopes[] = {"fs:read", NULL};
    const struct alk_identity *ann = ops_somebody("ann", "fs:read", NULL);
    const struct alk_identity *better = ops_somebody("ann", "fs:*", NULL);
    const struct alk_identity *lesser = ops_somebody("ann", "fs:write", NULL);
    const struct alk_identity *end[] = {lesser, NULL};
    (void)state;
    op.flags = 0;
    op.access.all_scopes = scopes;
    ops_world_init(&w, NULL);
    ops_world_add(&w, op, &s);
    for (size_t i = 0; i < 2; i++) {
        ops_ask(&w, &c, ann, "test/stream", "");
        alk_request_set_caller(c.request, better);
        ops_world_run(&w);
        assert_string_equal(c.heard, "");
        alk_request_set_caller(c.request, end[i]);
        assert_string_equal(c.heard, ""); /* not inside the call */
        ops_world_run(&w);
        assert_string_equal(c.heard, "!UNAUTHENTICATED an identity is needed");
    }
    ops_start(&w, &c, ann, "test/stream", ""); /* before it has begun */
    alk_request_set_caller(c.request, NULL);
    ops_world_run(&w);
    assert_string_equal(c.heard, "!UNAUTHENTICATED an identity is needed");
    assert_int_equal(s.begun, 2);
    assert_int_equal(s.cancelled, 2);
    alk_identity_unref(ann);
    alk_identity_unref(better);
    alk_identity_unref(lesser);
    ops_world_fini(&w);
}

/* --- memory -------------------------------------------------------------------- */

static alk_err run_with(const struct alk_mem *mem, void *ctx)
{
    struct alk_ops_options options = {.struct_size = sizeof options, .mem = mem};
    struct ops_world w = {.loop = NULL};
    struct ops_call c = {.full = 0};
    struct alk_op op = add_op;
    (void)ctx;

    op.struct_size = sizeof op;
    check_err(alk_loop_new(NULL, &w.loop), ALK_OK);
    alk_err err = alk_ops_new(&options, &w.ops);
    if (err == ALK_OK) {
        err = alk_ops_add(w.ops, &op, NULL, NULL, 0);
    }
    if (err == ALK_OK) {
        struct alk_start_spec spec = {
            .loop = w.loop, .op = ALK_LIT("math/add"), .input = ALK_LIT("{\"a\":1,\"b\":2}")};
        err = alk_ops_start(w.ops, &spec, &ops_call_face, &c, &c.request);
    }
    if (err == ALK_OK) {
        ops_world_run(&w);
        assert_int_equal(c.ends, 1);
        if (strcmp(c.heard, "={\"sum\":3}") != 0) {
            assert_memory_equal(c.heard, "?EXHAUSTED", 10);
            err = ALK_E_NOMEM;
        }
    }
    alk_ops_free(w.ops);
    alk_loop_free(w.loop);
    return err;
}

static void lack_of_memory_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    oom_sweep(run_with, NULL);
}

static void a_request_may_end_after_the_registry_was_freed(void **state)
{
    struct ops_world w;
    struct slow s = {.begun = 0};
    struct ops_call c = {.full = 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, slow_op, &s);
    ops_ask(&w, &c, NULL, "test/slow", "{}");
    struct alk_request *r = s.request;
    alk_request_cancel(c.request);
    alk_ops_free(w.ops);
    w.ops = NULL;
    assert_int_equal(s.released, 0); /* the request still uses it */
    ops_world_run(&w);
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    assert_int_equal(s.released, 1);
    ops_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_may_end_after_the_registry_was_freed),
        cmocka_unit_test(a_call_is_answered_once_and_not_inside_start),
        cmocka_unit_test(a_call_that_is_begun_at_once_is_over_at_once),
        cmocka_unit_test(requests_begin_in_the_order_of_starting),
        cmocka_unit_test(input_is_checked_and_the_mistakes_are_told),
        cmocka_unit_test(input_must_be_strict_json),
        cmocka_unit_test(large_inputs_pass_up_to_the_limit),
        cmocka_unit_test(what_an_operation_says_wrongly_becomes_an_internal_error_and_a_log_line),
        cmocka_unit_test(outputs_are_not_checked_unless_asked_for),
        cmocka_unit_test(a_second_answer_is_a_bug),
        cmocka_unit_test(a_timeout_is_told_to_the_caller_and_the_operation_is_cancelled),
        cmocka_unit_test(the_time_is_the_operations_and_the_caller_may_shorten_it),
        cmocka_unit_test(a_face_that_cancels_hears_nothing_and_the_operation_ends_when_it_likes),
        cmocka_unit_test(a_text_that_nobody_waits_for_ends_a_call),
        cmocka_unit_test(requests_under_way_outlive_the_registry),
        cmocka_unit_test(a_subscription_answers_often_and_waits_when_full),
        cmocka_unit_test(a_face_may_cancel_while_it_is_told_an_answer),
        cmocka_unit_test(a_refused_answer_does_not_become_the_details_of_an_error),
        cmocka_unit_test(requests_are_counted_by_what_their_callers_heard),
        cmocka_unit_test(a_broken_answer_ends_a_subscription),
        cmocka_unit_test(rights_that_go_end_a_subscription),
        cmocka_unit_test(lack_of_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
