/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Workers: a request of one connection carried to another, on one loop and on two. */
#include "support/relay_bots.h"

/* --- one loop, then two --------------------------------------------------- */

static void answers_and_errors_come_through(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct relay_world w;
        struct bot b = {.number = 1};
        struct peer_call c;
        relay_begin(&w, &b, side);
        relay_ask(&w.link[0], &c, "t/ask", "{\"x\":1}");
        assert_int_equal(b.n, 1);
        check_text(alk_request_input(b.waiting[0]), "{\"x\":1}");
        bot_answer_all(&b);
        relay_world_run(&w);
        assert_string_equal(c.heard, "=1.");
        relay_check(&w.link[0], "t/fail", "{\"code\":\"BROKEN\"}", "!BROKEN");
        relay_check(&w.link[0], "t/fail", "{\"code\":\"CONFLICT\"}", "!CONFLICT");
        relay_check(&w.link[0], "t/fail", "{\"code\":\"UNKNOWN\"}", "!INTERNAL");
        relay_check(&w.link[0], "t/none", "{}", "!NOT_FOUND");
        relay_world_fini(&w);
    }
}

static void a_subscription_comes_whole_and_waits_for_its_reader(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct relay_world w;
        struct bot b = {.number = 1};
        struct peer_call c = {.ends = 0};
        const struct alk_ask endless = {.op = "t/count", .is_subscription = true, .credit = 5};
        const struct alk_ask some = {
            .op = "t/count", .input = ALK_LIT("{\"n\":3000}"), .is_subscription = true};
        const struct alk_ask_more manual = {.manual_credit = true};
        relay_begin(&w, &b, side);
        check_err(alk_peer_call(w.link[0].ends.client, &some, &peer_answers, &c, &c.call), ALK_OK);
        relay_world_run(&w);
        assert_int_equal(c.answers, 3000);
        assert_int_equal(c.ends, 1);
        assert_memory_equal(c.heard, "=0=1=2=3=4=5=6=7=8=9=10=", 24);
        memset(&c, 0, sizeof c);
        check_err(
            alk_peer_ask(w.link[0].ends.client, &endless, &manual, &peer_answers, &c, &c.call),
            ALK_OK);
        relay_world_run(&w);
        assert_int_equal(c.answers, 5); /* what the reader asked for, and not one more */
        alk_call_more(c.call, 7);
        relay_world_run(&w);
        assert_int_equal(c.answers, 12);
        assert_string_equal(c.heard, "=0=1=2=3=4=5=6=7=8=9=10=11");
        assert_int_equal(c.ends, 0);
        alk_call_cancel(c.call);
        relay_world_run(&w);
        assert_int_equal(c.ends, 1);
        relay_world_fini(&w);
    }
}

static void a_cancel_reaches_the_worker(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct relay_world w;
        struct bot b = {.number = 1};
        struct peer_call c, d;
        relay_begin(&w, &b, side);
        relay_ask(&w.link[0], &c, "t/ask", "{}");
        relay_ask(&w.link[0], &d, "t/do", "{}");
        assert_int_equal(b.n, 2);
        alk_call_cancel(c.call);
        relay_world_run(&w);
        assert_string_equal(c.heard, "!ABORTED");
        assert_int_equal(b.cancelled, 1);
        relay_leave(&w.link[0]); /* who asked goes away */
        relay_world_run(&w);
        assert_int_equal(b.cancelled, 2);
        assert_int_equal(b.n, 0);
        relay_world_fini(&w);
    }
}

/* --- leaving -------------------------------------------------------------- */

static void a_worker_that_leaves_ends_what_it_may_have_begun(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct relay_world w;
        struct bot b = {.number = 1}, b2 = {.number = 2};
        struct peer_call c[3] = {{.ends = 0}};
        const struct alk_ask sub = {.op = "t/count", .is_subscription = true, .credit = 5};
        const struct alk_ask_more manual = {.manual_credit = true};
        relay_begin(&w, &b, side);
        relay_ask(&w.link[0], &c[0], "t/ask", "{}");
        relay_ask(&w.link[0], &c[1], "t/do", "{}");
        check_err(
            alk_peer_ask(w.link[0].ends.client, &sub, &manual, &peer_answers, &c[2], &c[2].call),
            ALK_OK);
        relay_world_run(&w);
        bot_add_all(relay_connect(&w, 2, side, w.worker, (struct relay_link_options){0}), &b2);
        bot_offer(&w.link[2], "={\"offered\":5}.");
        relay_leave(&w.link[1]);
        relay_world_run(&w);
        assert_string_equal(c[1].heard, "!UNAVAILABLE"); /* it may have been done */
        assert_int_equal(c[2].ends, 0); /* first what it has answered, as there is credit */
        alk_call_more(c[2].call, 100);
        relay_world_run(&w);
        assert_memory_equal(c[2].heard, "=0=1=2=3=4=5=6=", 15);
        assert_non_null(strstr(c[2].heard, "!UNAVAILABLE"));
        assert_int_equal(b2.begun, 1); /* the query alone was asked again */
        bot_answer_all(&b2);
        relay_world_run(&w);
        assert_string_equal(c[0].heard, "=2.");
        relay_leave(&w.link[2]);
        relay_world_run(&w);
        relay_check(&w.link[0], "t/ask", "{}", "!UNAVAILABLE");
        relay_world_fini(&w);
    }
}

/* The first worker lets nobody open a stream to it: the mutation waits, and was never
 * written when it leaves. */
static void a_mutation_that_was_never_written_goes_to_another(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1}, b2 = {.number = 2};
    struct alk_stream *taken = NULL;
    struct peer_call c;
    (void)state;
    relay_world_init(&w, "{}");
    relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){0});
    bot_add_all(relay_connect(&w, 1, 0, w.worker, (struct relay_link_options){.streams = 1}), &b);
    bot_offer(&w.link[1], "={\"offered\":5}.");
    check_err(alk_conn_open_stream(alk_mem_server(w.link[1].pair), NULL, NULL, &taken), ALK_OK);
    relay_ask(&w.link[0], &c, "t/do", "{}");
    assert_int_equal(b.begun, 0);
    bot_add_all(relay_connect(&w, 2, 0, w.worker, (struct relay_link_options){0}), &b2);
    bot_offer(&w.link[2], "={\"offered\":5}.");
    relay_leave(&w.link[1]);
    relay_world_run(&w);
    assert_int_equal(b2.begun, 1);
    bot_answer_all(&b2);
    relay_world_run(&w);
    assert_string_equal(c.heard, "=2.");
    relay_world_fini(&w);
}

/* One that was written, on the only stream and behind a subscription, does not: it may
 * have been done. */
static void a_mutation_behind_a_subscription_was_written(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1}, b2 = {.number = 2};
    struct peer_call sub = {.ends = 0}, c;
    const struct alk_ask endless = {.op = "t/count", .is_subscription = true, .credit = 1};
    const struct alk_ask_more manual = {.manual_credit = true};
    (void)state;
    relay_world_init(&w, "{}");
    relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){0});
    bot_add_all(relay_connect(&w, 1, 0, w.worker, (struct relay_link_options){.streams = 1}), &b);
    bot_offer(&w.link[1], "={\"offered\":5}.");
    check_err(
        alk_peer_ask(w.link[0].ends.client, &endless, &manual, &peer_answers, &sub, &sub.call),
        ALK_OK);
    relay_world_run(&w);
    assert_string_equal(sub.heard, "=0");
    relay_ask(&w.link[0], &c, "t/do", "{}");
    assert_int_equal(b.begun, 1);
    bot_add_all(relay_connect(&w, 2, 0, w.worker, (struct relay_link_options){0}), &b2);
    bot_offer(&w.link[2], "={\"offered\":5}.");
    relay_leave(&w.link[1]);
    relay_world_run(&w);
    assert_int_equal(b2.begun, 0);
    assert_string_equal(c.heard, "!UNAVAILABLE");
    alk_call_more(sub.call, 100);
    relay_world_run(&w);
    assert_non_null(strstr(sub.heard, "!UNAVAILABLE"));
    relay_world_fini(&w);
}

/* Not one stream is open where the call waits: nothing but the connection's own end tells
 * of it. */
static void a_call_that_waits_for_a_stream_hears_of_the_connections_end(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1};
    struct alk_stream *taken = NULL;
    struct peer_call c;
    (void)state;
    relay_world_init(&w, "{}");
    relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){0});
    bot_add_all(relay_connect(&w, 1, 0, w.worker, (struct relay_link_options){.streams = 1}), &b);
    bot_offer(&w.link[1], "={\"offered\":5}.");
    check_err(alk_conn_open_stream(alk_mem_server(w.link[1].pair), NULL, NULL, &taken), ALK_OK);
    relay_ask(&w.link[0], &c, "t/do", "{}");
    assert_int_equal(b.begun, 0);
    relay_leave(&w.link[1]);
    relay_world_run(&w);
    assert_string_equal(c.heard, "!UNAVAILABLE");
    relay_world_fini(&w);
}

/* --- who offers what ------------------------------------------------------ */

static void workers_share_the_calls(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1}, b2 = {.number = 2};
    static struct peer_call c[100];
    (void)state;
    relay_begin(&w, &b, 0);
    bot_add_all(relay_connect(&w, 2, 1, w.worker, (struct relay_link_options){0}), &b2);
    bot_offer(&w.link[2], "={\"offered\":5}.");
    for (unsigned i = 0; i < 100; i++) {
        relay_ask(&w.link[0], &c[i], "t/do", "{}");
    }
    assert_int_equal(b.n, 50);
    assert_int_equal(b2.n, 50);
    bot_answer_all(&b);
    bot_answer_all(&b2);
    relay_world_run(&w);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(c[i].ends, 1);
        assert_true(strcmp(c[i].heard, "=1.") == 0 || strcmp(c[i].heard, "=2.") == 0);
    }
    relay_world_fini(&w);
}

static void unequal_schemas_conflict_and_the_nodes_own_operation_wins(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1};
    struct relay_link *l;
    struct alk_op other = BOT_OP("t/who", ALK_OP_QUERY, bot_who);
    struct alk_op local = BOT_OP("t/mine", ALK_OP_QUERY, bot_who);
    char why[256] = "";
    (void)state;
    relay_begin(&w, &b, 0);
    l = relay_connect(&w, 2, 0, w.worker, (struct relay_link_options){0});
    bot_add(l, (struct alk_op)BOT_OP("t/extra", ALK_OP_QUERY, bot_who), NULL);
    other.input = "{\"type\":\"object\"}";
    bot_add(l, other, NULL);
    bot_offer(l, "!CONFLICT");
    relay_check(&w.link[0], "t/extra", "{}", "!UNAVAILABLE"); /* taken back with the rest */
    relay_check(&w.link[0], "t/who", "{}", "=[\"ann\",\"tools\",\"b\"].");
    /* Here it would be who asks; there, nobody. */
    check_err(alk_ops_add(w.ops, &local, NULL, why, sizeof why), ALK_OK);
    l = relay_connect(&w, 3, 0, w.worker, (struct relay_link_options){0});
    bot_add(l, (struct alk_op)BOT_OP("t/mine", ALK_OP_QUERY, bot_wait), &b);
    struct peer_call c = {.ends = 0};
    check_err(alk_peer_offer(l->ends.client, "t", &peer_answers, &c, &c.call), ALK_OK);
    relay_world_run(&w);
    assert_int_equal(c.ends, 1);
    relay_check(&w.link[0], "t/mine", "{}", "=[\"ann\",\"tools\",\"b\"].");
    assert_int_equal(b.begun, 0);
    relay_world_fini(&w);
}

static void who_may_not_offer_is_refused(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1};
    struct peer_call c = {.ends = 0};
    (void)state;
    relay_world_init(&w, "{}");
    bot_add_all(relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){0}), &b);
    bot_offer(&w.link[0], "!FORBIDDEN");
    struct relay_link *l = relay_connect(&w, 1, 0, w.worker, (struct relay_link_options){0});
    bot_add(l, (struct alk_op)BOT_OP("fs/read", ALK_OP_QUERY, bot_who), NULL);
    check_err(alk_peer_offer(l->ends.client, "fs", &peer_answers, &c, &c.call), ALK_OK);
    relay_world_run(&w);
    assert_string_equal(c.heard, "!FORBIDDEN");
    relay_world_fini(&w);
}

/* --- who asks ------------------------------------------------------------- */

static void caller_is_believed_from_a_pinned_node_alone(void **state)
{
    (void)state;
    for (unsigned distrusts = 0; distrusts < 2; distrusts++) {
        struct relay_world w;
        struct bot b = {.number = 1};
        relay_world_init(&w, "{}");
        relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){0});
        bot_add_all(relay_connect(&w, 1, 1, w.worker,
                                  (struct relay_link_options){.is_distrustful = distrusts == 1}),
                    &b);
        bot_offer(&w.link[1], "={\"offered\":5}.");
        relay_check(&w.link[0], "t/who", "{}",
                    distrusts == 1 ? "=[\"the-node\"]." : "=[\"ann\",\"tools\",\"b\"].");
        relay_world_fini(&w);
    }
}

/* Nobody is not the node: a worker that grants the node something grants it to nobody
 * whom the node does not know. */
static void nobody_stays_nobody_at_a_worker_that_pinned_the_node(void **state)
{
    (void)state;
    for (unsigned distrusts = 0; distrusts < 2; distrusts++) {
        struct relay_world w;
        struct bot b = {.number = 1};
        struct peer_call c = {.ends = 0};
        relay_world_init(&w, "workers: [{namespace: t, require: none}]\n");
        relay_connect(&w, 0, 0, NULL, (struct relay_link_options){0});
        bot_add_all(relay_connect(&w, 1, 1, w.worker,
                                  (struct relay_link_options){.is_distrustful = distrusts == 1}),
                    &b);
        bot_offer(&w.link[1], "={\"offered\":5}.");
        relay_check(&w.link[0], "t/who", "{}", distrusts == 1 ? "=[\"the-node\"]." : "=[].");
        /* What the node asks for itself says nothing of a caller. */
        check_err(alk_peer_call(w.link[1].ends.server, &(struct alk_ask){.op = "t/who"},
                                &peer_answers, &c, &c.call),
                  ALK_OK);
        relay_world_run(&w);
        assert_string_equal(c.heard, "=[\"the-node\"].");
        relay_world_fini(&w);
    }
}

/* A worker takes no tokens: one that came with a call would fail it. */
static void no_token_is_passed_on(void **state)
{
    static char token[] = "alk_abcdefgh_0123456789012345678901";
    struct relay_world w;
    struct bot b = {.number = 1};
    struct peer_call c = {.ends = 0};
    (void)state;
    relay_begin(&w, &b, 0);
    struct alk_peer *to_worker = w.link[1].ends.server;
    to_worker->token = token;
    to_worker->token_n = sizeof token - 1;
    relay_check(&w.link[0], "t/who", "{}", "=[\"ann\",\"tools\",\"b\"].");
    check_err(
        alk_peer_call(to_worker, &(struct alk_ask){.op = "t/who"}, &peer_answers, &c, &c.call),
        ALK_OK);
    relay_world_run(&w);
    assert_string_equal(c.heard, "!UNAUTHENTICATED"); /* so it is seen when it comes */
    to_worker->token = NULL;
    to_worker->token_n = 0;
    relay_world_fini(&w);
}

static void say_trace(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_span(alk_request_out(r), alk_request_traceparent(r));
    check_err(alk_request_respond(r), ALK_OK);
}

static void a_traceparent_reaches_the_worker(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct relay_world w;
        struct peer_call c = {.ends = 0};
        const struct alk_ask ask = {
            .op = "t/trace",
            .traceparent = ALK_LIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")};
        relay_world_init(&w, "{}");
        relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){0});
        relay_connect(&w, 1, side, w.worker, (struct relay_link_options){0});
        bot_add(&w.link[1], (struct alk_op)BOT_OP("t/trace", ALK_OP_QUERY, say_trace), NULL);
        bot_offer(&w.link[1], "={\"offered\":1}.");
        check_err(alk_peer_call(w.link[0].ends.client, &ask, &peer_answers, &c, &c.call), ALK_OK);
        relay_world_run(&w);
        assert_string_equal(c.heard,
                            "=\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\".");
        relay_check(&w.link[0], "t/trace", "{}", "=\"\".");
        relay_world_fini(&w);
    }
}

static void the_nodes_rule_is_who_may_call(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1};
    (void)state;
    relay_world_init(&w, "workers: [{namespace: t, require: {scopes: [special]}}]\n");
    relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){0});
    const struct alk_identity *special = ops_somebody("eve", "special", NULL);
    relay_connect(&w, 2, 0, special, (struct relay_link_options){0});
    bot_add_all(relay_connect(&w, 1, 0, w.worker, (struct relay_link_options){0}),
                &b); /* all public there */
    bot_offer(&w.link[1], "={\"offered\":5}.");
    relay_check(&w.link[0], "t/who", "{}", "!NOT_FOUND");
    relay_check(&w.link[1], "t/who", "{}", "!NOT_FOUND"); /* not even the worker itself */
    relay_check(&w.link[2], "t/who", "{}", "=[\"eve\",\"special\"].");
    relay_world_fini(&w);
    alk_identity_unref(special);
}

/* --- two threads ---------------------------------------------------------- */

enum { EACH = 1500, FLIGHT = 24 };

struct caller {
    struct relay_world *w;
    struct relay_link *link;
    struct alk_soon soon;
    struct slot {
        struct caller *of;
        struct alk_call *call;
        size_t answers, wants;
    } slot[FLIGHT];
    unsigned started, ended, cancelled, unavailable, aborted;
    bool is_wrong;
};

static void more_calls(void *ctx);

static void got(void *ctx, struct alk_call *call, struct alk_span output)
{
    struct slot *s = (struct slot *)ctx;
    uint64_t v = 0;
    s->of->is_wrong |= !alk_span_u64(output, UINT64_MAX, &v);
    if (s->wants > 1) { /* a subscription: in order, none missing */
        s->of->is_wrong |= v != s->answers;
        if (s->of->started % 3 == 0 && s->answers == 10) {
            alk_call_cancel(call);
        }
    }
    s->answers++;
}

static void over(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                 bool is_retryable, struct alk_span details)
{
    struct slot *s = (struct slot *)ctx;
    struct caller *c = s->of;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    s->call = NULL;
    c->ended++;
    if (code == NULL) {
        c->is_wrong |= s->answers != s->wants;
    } else if (strcmp(code, "UNAVAILABLE") == 0) {
        c->unavailable++;
    } else {
        c->is_wrong |= strcmp(code, "ABORTED") != 0;
        c->aborted++;
    }
    alk_loop_soon(c->link->side->loop, &c->soon);
}

static const struct alk_answers thread_answers = {.responded = got, .ended = over};

static void more_calls(void *ctx)
{
    struct caller *c = (struct caller *)ctx;
    for (unsigned i = 0; i < FLIGHT && c->started < EACH; i++) {
        struct slot *s = &c->slot[i];
        if (s->call != NULL) {
            continue;
        }
        bool is_sub = c->started % 5 == 0;
        struct alk_ask ask = {.op = is_sub ? "t/count" : "t/now",
                              .input = is_sub ? ALK_LIT("{\"n\":100}") : ALK_LIT("{}"),
                              .is_subscription = is_sub};
        *s = (struct slot){.of = c, .wants = is_sub ? 100 : 1};
        if (alk_peer_call(c->link->ends.client, &ask, &thread_answers, s, &s->call) != ALK_OK) {
            c->is_wrong = true;
        }
        c->started++;
        if (c->started % 7 == 0 && s->call != NULL) {
            alk_call_cancel(s->call);
        }
    }
    if (c->ended == EACH) {
        alk_loop_stop(c->link->side->loop);
    }
}

static void now_op(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_i64(alk_request_out(r), 1);
    check_err(alk_request_respond(r), ALK_OK);
}

static void *thread_main(void *arg)
{
    alk_loop_run(((struct relay_side *)arg)->loop);
    return NULL;
}

static void post_leave(void *arg)
{
    relay_leave((struct relay_link *)arg);
}

static void post_stop(void *arg)
{
    alk_loop_stop(((struct relay_side *)arg)->loop);
}

static void two_loops_carry_calls_while_a_worker_leaves(void **state)
{
    static struct relay_world w;
    static struct caller c;
    static struct bot bots[3];
    (void)state;
    relay_world_init(&w, "{}");
    relay_connect(&w, 0, 0, w.ann, (struct relay_link_options){.window = 4096});
    for (unsigned i = 0; i < 3; i++) {
        struct relay_link *l =
            relay_connect(&w, 1 + i, i == 2 ? 0 : 1, w.worker, (struct relay_link_options){0});
        bot_add(l, (struct alk_op)BOT_OP("t/count", ALK_OP_SUBSCRIPTION, bot_count), NULL);
        bot_add(l, (struct alk_op)BOT_OP("t/now", ALK_OP_QUERY, now_op), &bots[i]);
        bot_offer(l, "={\"offered\":2}.");
    }
    c = (struct caller){.w = &w, .link = &w.link[0]};
    c.soon = (struct alk_soon){.fn = more_calls, .ctx = &c};
    alk_loop_soon(w.side[0].loop, &c.soon);
    for (unsigned i = 0; i < RELAY_SIDES; i++) {
        assert_int_equal(pthread_create(&w.side[i].thread, NULL, thread_main, &w.side[i]), 0);
    }
    check_err(alk_post(w.side[1].loop, post_leave, &w.link[1]), ALK_OK);
    assert_int_equal(pthread_join(w.side[0].thread, NULL), 0);
    check_err(alk_post(w.side[1].loop, post_stop, &w.side[1]), ALK_OK);
    assert_int_equal(pthread_join(w.side[1].thread, NULL), 0);
    assert_int_equal(c.ended, EACH);
    assert_false(c.is_wrong);
    assert_true(c.aborted > 0 && c.aborted + c.unavailable < EACH / 2);
    relay_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_errors_come_through),
        cmocka_unit_test(a_subscription_comes_whole_and_waits_for_its_reader),
        cmocka_unit_test(a_cancel_reaches_the_worker),
        cmocka_unit_test(a_worker_that_leaves_ends_what_it_may_have_begun),
        cmocka_unit_test(a_mutation_that_was_never_written_goes_to_another),
        cmocka_unit_test(a_mutation_behind_a_subscription_was_written),
        cmocka_unit_test(a_call_that_waits_for_a_stream_hears_of_the_connections_end),
        cmocka_unit_test(workers_share_the_calls),
        cmocka_unit_test(unequal_schemas_conflict_and_the_nodes_own_operation_wins),
        cmocka_unit_test(who_may_not_offer_is_refused),
        cmocka_unit_test(caller_is_believed_from_a_pinned_node_alone),
        cmocka_unit_test(nobody_stays_nobody_at_a_worker_that_pinned_the_node),
        cmocka_unit_test(no_token_is_passed_on),
        cmocka_unit_test(a_traceparent_reaches_the_worker),
        cmocka_unit_test(the_nodes_rule_is_who_may_call),
        cmocka_unit_test(two_loops_carry_calls_while_a_worker_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
