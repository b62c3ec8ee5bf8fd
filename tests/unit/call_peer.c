/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two peers over one connection in memory: calls, subscriptions, ends and limits. */
#include "support/oom.h"
#include "support/peer_world.h"

#include <stdio.h>

/* --- operations ------------------------------------------------------------------ */

static void add(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    (void)ctx;
    alk_out_i64(out, alk_input_i64(r, "a", 0) + alk_input_i64(r, "b", 0));
    check_err(alk_request_respond(r), ALK_OK);
}

static const struct alk_op add_op = {.struct_size = sizeof add_op,
                                     .name = "math/add",
                                     .summary = "adds",
                                     .kind = ALK_OP_QUERY,
                                     .flags = ALK_OP_PUBLIC,
                                     .fn = add};

/* Tells who asks. */
static void who(void *ctx, struct alk_request *r)
{
    const struct alk_identity *caller = alk_request_caller(r);
    (void)ctx;
    if (caller == NULL) {
        alk_out_null(alk_request_out(r));
    } else {
        alk_out_span(alk_request_out(r), alk_identity_id(caller));
    }
    check_err(alk_request_respond(r), ALK_OK);
}

static const struct alk_op who_op = {.struct_size = sizeof who_op,
                                     .name = "test/who",
                                     .summary = "who asks",
                                     .kind = ALK_OP_QUERY,
                                     .flags = ALK_OP_PUBLIC,
                                     .fn = who};

/* A subscription that counts to n, as fast as it may; n 0: for ever. */
struct counter {
    struct alk_request *request;
    int64_t at, n;
    size_t size; /* bytes of padding */
    unsigned begun, cancelled, full;
};

static void count_on(struct counter *c)
{
    static const char pad[16384];
    struct alk_request *r = c->request;
    while (c->n == 0 || c->at < c->n) {
        struct alk_out *out = alk_request_out(r);
        alk_out_array(out);
        alk_out_i64(out, c->at);
        if (c->size > 0) {
            alk_out_base64(out, alk_span(pad, c->size));
        }
        alk_out_end(out);
        alk_err err = alk_request_respond(r);
        c->at++;
        if (err == ALK_FULL) {
            c->full++;
            return;
        }
        check_err(err, ALK_OK);
    }
    c->request = NULL;
    alk_request_complete(r);
}

static void count_cancelled(void *ctx, struct alk_request *r)
{
    struct counter *c = (struct counter *)ctx;
    c->cancelled++;
    c->request = NULL;
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

static void count_writable(void *ctx, struct alk_request *r)
{
    struct counter *c = (struct counter *)ctx;
    if (alk_request_respond(r) == ALK_OK) { /* the one that was refused */
        count_on(c);
    }
}

static void count(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {count_cancelled, count_writable};
    struct counter *c = (struct counter *)ctx;
    c->begun++;
    c->request = r;
    c->at = 0;
    c->n = alk_input_i64(r, "n", 0);
    alk_request_on(r, &calls, c);
    count_on(c);
}

static const struct alk_op count_op = {.struct_size = sizeof count_op,
                                       .name = "test/count",
                                       .summary = "counts",
                                       .kind = ALK_OP_SUBSCRIPTION,
                                       .flags = ALK_OP_PUBLIC,
                                       .fn = count};

/* Never answers by itself. */
struct sleeper {
    struct alk_request *requests[2000];
    size_t n, cancelled;
};

static void sleep_cancelled(void *ctx, struct alk_request *r)
{
    struct sleeper *s = (struct sleeper *)ctx;
    s->cancelled++;
    for (size_t i = 0; i < s->n; i++) {
        s->requests[i] = s->requests[i] == r ? NULL : s->requests[i];
    }
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

static void doze(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {sleep_cancelled, NULL};
    struct sleeper *s = (struct sleeper *)ctx;
    assert_true(s->n < 2000);
    s->requests[s->n++] = r;
    alk_request_on(r, &calls, s);
}

static const struct alk_op doze_op = {.struct_size = sizeof doze_op,
                                      .name = "test/doze",
                                      .summary = "does nothing",
                                      .kind = ALK_OP_MUTATION,
                                      .flags = ALK_OP_PUBLIC,
                                      .fn = doze};

static void wake_all(struct sleeper *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->requests[i] != NULL) {
            check_err(alk_request_respond(s->requests[i]), ALK_OK);
        }
    }
    s->n = 0;
}

/* --- calls -------------------------------------------------------------------------- */

static void calls_are_answered_both_ways(void **state)
{
    struct peer_world w;
    struct peer_call c;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, add_op, NULL);
    ops_world_add(&w.worker, who_op, NULL);
    peer_check(&w, "math/add", "{\"a\":2,\"b\":40}", "=42.");
    peer_check(&w, "math/add", "", "=0.");
    peer_check(&w, "math/none", "{}", "!UNAUTHENTICATED");
    peer_start(&w, w.ends.server, &c, &(struct alk_ask){.op = "test/who"});
    peer_world_run(&w);
    assert_string_equal(c.heard, "=null.");
    peer_world_fini(&w);
}

static void of_an_older_caller_only_what_it_knows_is_read(void **state)
{
    /* A subscription with a token, were it read to the end. */
    struct alk_ask ask = {.struct_size = offsetof(struct alk_ask, is_subscription),
                          .op = "math/add",
                          .input = ALK_LIT("{\"a\":2,\"b\":40}"),
                          .is_subscription = true,
                          .auth_token = ALK_LIT("none of ours")};
    struct peer_world w;
    struct peer_call c;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, add_op, NULL);
    peer_start(&w, w.ends.client, &c, &ask);
    peer_world_run(&w);
    assert_string_equal(c.heard, "=42.");
    ask.struct_size = sizeof ask + 8; /* a newer one */
    ask.is_subscription = false;
    peer_start(&w, w.ends.client, &c, &ask);
    peer_world_run(&w);
    assert_string_equal(c.heard, "!UNAUTHENTICATED");
    peer_world_fini(&w);
}

static void a_thousand_calls_are_in_flight_and_come_back_in_any_order(void **state)
{
    enum { N = 1000 };
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct peer_call *calls = (struct peer_call *)calloc(N, sizeof *calls);
    (void)state;
    assert_non_null(calls);
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, doze_op, &s);
    for (size_t i = 0; i < N; i++) {
        peer_start(&w, w.ends.client, &calls[i], &(struct alk_ask){.op = "test/doze"});
    }
    peer_world_run(&w);
    assert_int_equal(s.n, N);
    /* Every other one is cancelled half-way. */
    for (size_t i = 0; i < N; i += 2) {
        alk_call_cancel(calls[i].call);
    }
    peer_world_run(&w);
    assert_int_equal(s.cancelled, N / 2);
    wake_all(&s);
    peer_world_run(&w);
    for (size_t i = 0; i < N; i++) {
        assert_string_equal(calls[i].heard, i % 2 == 0 ? "!ABORTED" : "={}.");
    }
    assert_true(alk_list_is_empty(&w.ends.server->requests));
    assert_int_equal(w.ends.server->in_bytes, 0);
    peer_world_fini(&w);
    free(calls);
}

static void too_many_requests_are_refused_and_the_rest_goes_on(void **state)
{
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct peer_call calls[5];
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.requests = 4});
    ops_world_add(&w.node, doze_op, &s);
    for (size_t i = 0; i < 5; i++) {
        peer_start(&w, w.ends.client, &calls[i], &(struct alk_ask){.op = "test/doze"});
    }
    peer_world_run(&w);
    assert_string_equal(calls[4].heard, "!EXHAUSTED");
    wake_all(&s);
    peer_world_run(&w);
    assert_string_equal(calls[3].heard, "={}.");
    peer_world_fini(&w);
}

static void bytes_of_requests_are_bounded(void **state)
{
    enum { N = 10 };
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct peer_call calls[N];
    struct alk_buf input;
    unsigned refused = 0;
    (void)state;
    alk_buf_init(&input, NULL, (size_t)1 << 20);
    (void)alk_buf_put_str(&input, "{\"x\":\"");
    while (alk_buf_len(&input) < 1000000) {
        (void)alk_buf_put_str(&input, "aaaaaaaaaaaaaaaa");
    }
    check_err(alk_buf_put_str(&input, "\"}"), ALK_OK);
    const struct alk_identity *me = ops_somebody("me", "", NULL);
    peer_world_init(&w, &(struct peer_world_options){.caller = me});
    ops_world_add(&w.node, doze_op, &s);
    for (size_t i = 0; i < N; i++) {
        peer_start(&w, w.ends.client, &calls[i],
                   &(struct alk_ask){.op = "test/doze", .input = alk_buf_span(&input)});
        peer_world_run(&w);
        assert_true(w.ends.server->in_bytes <= ALK_PEER_IN_BYTES_MAX);
    }
    for (size_t i = 0; i < N; i++) {
        refused += strcmp(calls[i].heard, "!EXHAUSTED") == 0 ? 1 : 0;
    }
    assert_int_equal(refused, 2);
    wake_all(&s);
    peer_world_run(&w);
    peer_check(&w, "test/none", "{}", "!NOT_FOUND");
    peer_world_fini(&w);
    alk_identity_unref(me);
    alk_buf_fini(&input);
}

/* Whatever travels with it is copied, too. */
static void all_bytes_of_a_request_count(void **state)
{
    enum { N = 10 };
    static char long_text[1000000];
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct peer_call calls[N];
    unsigned refused = 0;
    (void)state;
    memset(long_text, 'a', sizeof long_text);
    const struct alk_identity *me = ops_somebody("me", "", NULL);
    peer_world_init(&w, &(struct peer_world_options){.caller = me});
    ops_world_add(&w.node, doze_op, &s);
    for (size_t i = 0; i < N; i++) {
        peer_start(&w, w.ends.client, &calls[i],
                   &(struct alk_ask){.op = "test/doze",
                                     .traceparent = alk_span(long_text, sizeof long_text)});
        peer_world_run(&w);
    }
    for (size_t i = 0; i < N; i++) {
        refused += strcmp(calls[i].heard, "!EXHAUSTED") == 0 ? 1 : 0;
    }
    assert_int_equal(refused, 2);
    wake_all(&s);
    peer_world_run(&w);
    peer_world_fini(&w);
    alk_identity_unref(me);
}

static void resolve_all(void *provider, const struct alk_auth_query *query, alk_auth_done_fn *done,
                        void *ctx)
{
    (void)query;
    done(ctx, ALK_OK, (const struct alk_identity *)provider, 1);
}

static void a_token_good_for_a_request_without_memory_is_answered(void **state)
{
    static const struct alk_identity_provider provider = {
        .struct_size = sizeof provider, .name = "all", .resolve = resolve_all};
    struct peer_world w;
    struct test_mem mem;
    struct peer_call c;
    struct alk_ops *ops = NULL;
    (void)state;
    test_mem_init(&mem, 0);
    const struct alk_ops_options o = {.struct_size = sizeof o, .mem = &mem.mem};
    const struct alk_identity *me = ops_somebody("me", "", NULL);
    check_err(alk_ops_new(&o, &ops), ALK_OK);
    check_err(alk_ops_add(ops, &add_op, NULL, NULL, 0), ALK_OK);
    peer_world_init(&w, &(struct peer_world_options){.caller = me});
    w.hub.auth.provider = &provider;
    w.hub.auth.provider_ctx = (void *)(uintptr_t)me;
    struct alk_ops *own = w.ends.server->ops;
    w.ends.server->ops = ops;
    mem.fail_at = mem.allocs + 1;
    const struct alk_ask ask = {.op = "math/add", .auth_token = ALK_LIT("alk_x")};
    peer_start(&w, w.ends.client, &c, &ask);
    peer_world_run(&w);
    assert_string_equal(c.heard, "!EXHAUSTED");
    peer_start(&w, w.ends.client, &c, &ask);
    peer_world_run(&w);
    assert_string_equal(c.heard, "=0.");
    w.ends.server->ops = own;
    peer_world_fini(&w);
    alk_ops_free(ops);
    alk_identity_unref(me);
    test_mem_check(&mem);
}

static void say_trace(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_span(alk_request_out(r), alk_request_traceparent(r));
    check_err(alk_request_respond(r), ALK_OK);
}

static void a_traceparent_comes_with_a_token_and_without(void **state)
{
    static const struct alk_identity_provider provider = {
        .struct_size = sizeof provider, .name = "all", .resolve = resolve_all};
    static const struct alk_op op = {.struct_size = sizeof op,
                                     .name = "test/trace",
                                     .kind = ALK_OP_QUERY,
                                     .flags = ALK_OP_PUBLIC,
                                     .fn = say_trace};
    struct peer_world w;
    (void)state;
    const struct alk_identity *me = ops_somebody("me", "", NULL);
    peer_world_init(&w, &(struct peer_world_options){.caller = me});
    w.hub.auth.provider = &provider;
    w.hub.auth.provider_ctx = (void *)(uintptr_t)me;
    ops_world_add(&w.node, op, NULL);
    for (unsigned has_token = 0; has_token < 2; has_token++) {
        struct peer_call c;
        peer_start(
            &w, w.ends.client, &c,
            &(struct alk_ask){
                .op = "test/trace",
                .traceparent = ALK_LIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                .auth_token = has_token == 1 ? ALK_LIT("alk_x") : (struct alk_span){0}});
        peer_world_run(&w);
        assert_string_equal(c.heard,
                            "=\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\".");
    }
    peer_world_fini(&w);
    alk_identity_unref(me);
}

static void the_unknown_have_small_frames(void **state)
{
    struct peer_world w;
    struct peer_call c;
    struct alk_buf input;
    (void)state;
    alk_buf_init(&input, NULL, (size_t)1 << 20);
    (void)alk_buf_put_str(&input, "{\"x\":\"");
    while (alk_buf_len(&input) < ALK_CALL_FRAME_MAX_UNKNOWN) {
        (void)alk_buf_put_str(&input, "aaaaaaaaaaaaaaaa");
    }
    (void)alk_buf_put_str(&input, "\"}");
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, add_op, NULL);
    peer_start(&w, w.ends.client, &c,
               &(struct alk_ask){.op = "math/add", .input = alk_buf_span(&input)});
    peer_world_run(&w);
    assert_string_equal(c.heard, "!UNAVAILABLE"); /* its stream was reset */
    assert_false(w.ends.server_closed);
    peer_check(&w, "math/add", "{\"a\":1}", "=1."); /* others go on */
    peer_world_fini(&w);
    alk_buf_fini(&input);
}

static void a_call_that_nobody_answers_ends(void **state)
{
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct peer_call c;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, doze_op, &s);
    peer_start(&w, w.ends.client, &c, &(struct alk_ask){.op = "test/doze", .timeout_ms = 20});
    while (c.call != NULL) {
        (void)alk_loop_run_once(w.node.loop, 10);
        peer_world_run(&w);
    }
    assert_string_equal(c.heard, "!TIMEOUT"); /* the answerer's: ours comes a second later */
    assert_int_equal(s.cancelled, 1);
    peer_world_fini(&w);
}

/* --- subscriptions ---------------------------------------------------------------------- */

static void a_subscription_comes_whole_and_in_order(void **state)
{
    static const uint64_t credits[] = {0, 1, 2, 7, ALK_NEVER};
    struct peer_world w;
    struct counter n = {.size = 100};
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 4096});
    ops_world_add(&w.node, count_op, &n);
    for (size_t i = 0; i < sizeof credits / sizeof credits[0]; i++) {
        struct peer_call c;
        peer_start(&w, w.ends.client, &c,
                   &(struct alk_ask){.op = "test/count",
                                     .input = ALK_LIT("{\"n\":3000}"),
                                     .is_subscription = true,
                                     .credit = credits[i]});
        peer_world_run(&w);
        assert_int_equal(c.answers, 3000);
        assert_int_equal(c.ends, 1);
        assert_int_equal(strncmp(c.heard, "=[0,\"", 5), 0);
        assert_int_equal(c.heard[strlen(c.heard) - 1], '.');
    }
    peer_world_fini(&w);
}

/* A reader that takes nothing; it must still hear of the end. */
static alk_stream_fn *real_event;
static void mute(void *ctx, struct alk_stream *stream, unsigned events)
{
    if ((events & ALK_STREAM_CLOSED) != 0) {
        real_event(ctx, stream, ALK_STREAM_CLOSED);
    }
}

static struct alk_peer_stream *newest_stream(struct alk_peer *peer)
{
    assert_false(alk_list_is_empty(&peer->streams));
    return ALK_CONTAINER(peer->streams.head.next, struct alk_peer_stream, in);
}

static void who_does_not_read_stops_the_answerer(void **state)
{
    struct peer_world w;
    struct counter n = {.size = 1000};
    struct peer_call c;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 4096});
    ops_world_add(&w.node, count_op, &n);
    peer_start(&w, w.ends.client, &c,
               &(struct alk_ask){.op = "test/count", .is_subscription = true, .credit = ALK_NEVER});
    struct alk_peer_stream *ps = newest_stream(w.ends.client);
    real_event = ps->stream->fn;
    alk_stream_on(ps->stream, mute, ps);
    peer_world_run(&w);
    int64_t at = n.at;
    assert_true(at > 100 && at < 2000); /* 256 KiB here and there, and then no more */
    peer_world_run(&w);
    assert_int_equal(n.at, at);
    /* Its connection answers others meanwhile. */
    ops_world_add(&w.node, add_op, NULL);
    peer_check(&w, "math/add", "{\"a\":1}", "=1.");
    peer_world_fini(&w);
    assert_int_equal(n.cancelled, 1);
}

static void a_subscription_is_cancelled_by_its_reader(void **state)
{
    struct peer_world w;
    struct counter n = {.size = 10};
    struct peer_call c;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 4096});
    ops_world_add(&w.node, count_op, &n);
    peer_start(&w, w.ends.client, &c,
               &(struct alk_ask){.op = "test/count", .is_subscription = true, .credit = 5});
    for (unsigned i = 0; c.answers < 100; i++) {
        assert_true(i < 100000);
        (void)alk_loop_run_once(w.node.loop, 0);
        (void)alk_hub_run(&w.hub);
        (void)alk_mem_pump(w.pair);
    }
    alk_call_cancel(c.call);
    peer_world_run(&w);
    assert_int_equal(n.cancelled, 1);
    assert_int_equal(c.ends, 1);
    assert_non_null(strstr(c.heard, "!ABORTED"));
    /* Dropped: nothing is heard any more, and the answerer stops too. */
    peer_start(&w, w.ends.client, &c,
               &(struct alk_ask){.op = "test/count", .is_subscription = true, .credit = 5});
    for (unsigned i = 0; n.begun < 2; i++) {
        assert_true(i < 1000);
        (void)alk_loop_run_once(w.node.loop, 0);
        (void)alk_hub_run(&w.hub);
        (void)alk_mem_pump(w.pair);
    }
    size_t heard = c.answers;
    alk_call_drop(c.call);
    peer_world_run(&w);
    assert_int_equal(n.cancelled, 2);
    assert_int_equal(c.answers, heard);
    assert_int_equal(c.ends, 0);
    peer_world_fini(&w);
}

/* --- ends ---------------------------------------------------------------------------------- */

static void what_is_under_way_ends_with_the_connection(void **state)
{
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct peer_call c;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, doze_op, &s);
    peer_start(&w, w.ends.client, &c, &(struct alk_ask){.op = "test/doze"});
    peer_world_run(&w);
    alk_conn_close(alk_mem_client(w.pair), 0, (struct alk_span){0});
    peer_world_run(&w);
    assert_string_equal(c.heard, "!UNAVAILABLE");
    assert_int_equal(s.cancelled, 1);
    peer_world_fini(&w);
}

/* Where the end of a call is told. */
struct late {
    bool is_asking, was_inside;
    unsigned ends;
};

static void late_ended(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                       bool is_retryable, struct alk_span details)
{
    struct late *l = (struct late *)ctx;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    assert_string_equal(code, ALK_OPS_UNAVAILABLE);
    l->was_inside = l->was_inside || l->is_asking;
    l->ends++;
}

/* The other side has refused the stream, and this side has not been told yet: writing
 * fails at once. */
static void the_end_of_a_call_is_never_told_inside_alk_peer_call(void **state)
{
    static const struct alk_answers answers = {.ended = late_ended};
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct late l = {.ends = 0};
    struct peer_call c;
    struct alk_call *call;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, doze_op, &s);
    peer_start(&w, w.ends.client, &c, &(struct alk_ask){.op = "test/doze"});
    peer_world_run(&w);
    struct alk_peer_stream *ps = newest_stream(w.ends.server);
    alk_stream_stop(ps->stream, ALK_CODE_LIMIT);
    (void)alk_mem_pump(w.pair);
    l.is_asking = true;
    check_err(
        alk_peer_call(w.ends.client, &(struct alk_ask){.op = "test/doze"}, &answers, &l, &call),
        ALK_OK);
    l.is_asking = false;
    assert_false(l.was_inside);
    peer_world_run(&w);
    assert_int_equal(l.ends, 1);
    assert_string_equal(c.heard, "!UNAVAILABLE");
    peer_world_fini(&w);
}

static void a_duplicate_id_closes_the_connection(void **state)
{
    static const char frame[] = "\0\0\0\x4a{\"type\":\"call.requested\",\"id\":\"1\","
                                "\"payload\":{\"operationId\":\"/test/doze\"}} ";
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct alk_stream *stream;
    size_t took;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, doze_op, &s);
    check_err(alk_conn_open_stream(alk_mem_client(w.pair), NULL, NULL, &stream), ALK_OK);
    assert_int_equal(sizeof frame - 1 - 4, 0x4a);
    check_err(alk_stream_write(stream, alk_span(frame, sizeof frame - 1), &took), ALK_OK);
    peer_world_run(&w);
    assert_int_equal(s.n, 1);
    assert_false(w.ends.server_closed);
    check_err(alk_stream_write(stream, alk_span(frame, sizeof frame - 1), &took), ALK_OK);
    peer_world_run(&w);
    assert_true(w.ends.server_closed);
    assert_int_equal(w.ends.code, ALK_CODE_PROTOCOL);
    assert_int_equal(s.cancelled, 1);
    peer_world_fini(&w);
}

static void streams_end_when_nothing_is_under_way(void **state)
{
    struct peer_world w;
    struct counter n = {.size = 10};
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.streams = 4});
    ops_world_add(&w.node, count_op, &n);
    /* Each subscription has a stream of its own: with four at most, forty can only be
     * had if they end. */
    for (unsigned i = 0; i < 40; i++) {
        struct peer_call c;
        peer_start(&w, w.ends.client, &c,
                   &(struct alk_ask){
                       .op = "test/count", .input = ALK_LIT("{\"n\":3}"), .is_subscription = true});
        peer_world_run(&w);
        assert_int_equal(c.answers, 3);
    }
    assert_int_equal(alk_mem_server(w.pair)->streams_open, 0);
    peer_world_fini(&w);
}

/* Nobody waits for stream credit that subscriptions hold for good: neither calls nor
 * further subscriptions. What they share stays open when its first user is over. */
static void calls_go_on_when_subscriptions_hold_all_streams(void **state)
{
    struct peer_world w;
    struct sleeper held = {.n = 0};
    struct peer_call subs[6], c;
    const struct alk_ask add = {.op = "math/add", .input = ALK_LIT("{\"a\":2,\"b\":40}")};
    const struct alk_ask doze = {.op = "test/doze", .is_subscription = true};
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.streams = 4});
    ops_world_add(&w.node, doze_op, &held);
    ops_world_add(&w.node, add_op, NULL);
    for (unsigned i = 0; i < 6; i++) {
        peer_start(&w, w.ends.client, &subs[i], &doze);
    }
    peer_world_run(&w);
    assert_int_equal(held.n, 6);
    assert_int_equal(alk_mem_server(w.pair)->streams_open, 4);
    for (unsigned i = 0; i < 2; i++) {
        peer_start(&w, w.ends.client, &c, &add);
        peer_world_run(&w);
        assert_string_equal(c.heard, "=42.");
        for (unsigned k = 0; i == 0 && k < 6; k++) {
            alk_call_cancel(subs[k].call);
        }
        peer_world_run(&w);
        assert_int_equal(alk_mem_server(w.pair)->streams_open, 1);
    }
    peer_world_fini(&w);
}

static void a_call_may_have_a_stream_of_its_own(void **state)
{
    struct peer_world w;
    struct sleeper s = {.n = 0};
    struct peer_call calls[3];
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, doze_op, &s);
    for (unsigned i = 0; i < 3; i++) {
        peer_start(&w, w.ends.client, &calls[i],
                   &(struct alk_ask){.op = "test/doze", .wants_own_stream = true});
    }
    peer_world_run(&w);
    assert_int_equal(alk_mem_server(w.pair)->streams_open, 3);
    wake_all(&s);
    peer_world_run(&w);
    assert_int_equal(alk_mem_server(w.pair)->streams_open, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(calls[i].heard, "={}.");
    }
    peer_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered_both_ways),
        cmocka_unit_test(of_an_older_caller_only_what_it_knows_is_read),
        cmocka_unit_test(a_thousand_calls_are_in_flight_and_come_back_in_any_order),
        cmocka_unit_test(too_many_requests_are_refused_and_the_rest_goes_on),
        cmocka_unit_test(bytes_of_requests_are_bounded),
        cmocka_unit_test(all_bytes_of_a_request_count),
        cmocka_unit_test(a_token_good_for_a_request_without_memory_is_answered),
        cmocka_unit_test(a_traceparent_comes_with_a_token_and_without),
        cmocka_unit_test(the_unknown_have_small_frames),
        cmocka_unit_test(a_call_that_nobody_answers_ends),
        cmocka_unit_test(a_subscription_comes_whole_and_in_order),
        cmocka_unit_test(who_does_not_read_stops_the_answerer),
        cmocka_unit_test(a_subscription_is_cancelled_by_its_reader),
        cmocka_unit_test(what_is_under_way_ends_with_the_connection),
        cmocka_unit_test(the_end_of_a_call_is_never_told_inside_alk_peer_call),
        cmocka_unit_test(a_duplicate_id_closes_the_connection),
        cmocka_unit_test(streams_end_when_nothing_is_under_way),
        cmocka_unit_test(calls_go_on_when_subscriptions_hold_all_streams),
        cmocka_unit_test(a_call_may_have_a_stream_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
