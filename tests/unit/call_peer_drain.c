/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connections of a node that stops. */
#include "support/peer_world.h"

/* Waits until somebody answers it. */
static void doze(void *ctx, struct alk_request *r)
{
    *(struct alk_request **)ctx = r;
}

static void echo(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_json(alk_request_out(r), alk_request_input(r));
    check_err(alk_request_respond(r), ALK_OK);
}

enum { MANY = 200, EACH = 1000 };

static void many(void *ctx, struct alk_request *r)
{
    static const uint8_t pad[EACH];
    (void)ctx;
    for (unsigned i = 0; i < MANY; i++) {
        alk_out_base64(alk_request_out(r), alk_span(pad, sizeof pad));
        check_err(alk_request_respond(r), ALK_OK);
    }
    alk_request_complete(r);
}

#define OP(text, how, function)                                                                    \
    {                                                                                              \
        .struct_size = sizeof(struct alk_op), .name = text, .summary = "", .kind = how,            \
        .flags = ALK_OP_PUBLIC, .fn = function                                                     \
    }
static const struct alk_op doze_op = OP("t/doze", ALK_OP_QUERY, doze);
static const struct alk_op echo_op = OP("t/echo", ALK_OP_QUERY, echo);
static const struct alk_op many_op = OP("t/many", ALK_OP_SUBSCRIPTION, many);

/* The clock goes on a little between. */
static void run(struct peer_world *w)
{
    for (unsigned i = 0; i < 3; i++) {
        peer_world_run(w);
        ops_world_until(&w->node, alk_loop_now(w->node.loop) + 11 * ALK_MS);
    }
    peer_world_run(w);
}

static void drain(struct peer_world *w)
{
    alk_hub_drain(&w->hub, alk_loop_now(w->node.loop) + 3600 * ALK_SECOND);
    run(w);
}

static void an_idle_connection_ends_though_a_stream_is_open(void **state)
{
    struct peer_world w;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, echo_op, NULL);
    peer_check(&w, "t/echo", "[1]", "=[1].");
    assert_int_equal(alk_mem_server(w.pair)->streams_open, 1);
    drain(&w);
    assert_true(w.ends.client_closed);
    assert_int_equal(w.ends.code, ALK_CODE_SHUTDOWN);
    peer_world_fini(&w);
}

static void what_is_under_way_ends_first_and_nothing_new_begins(void **state)
{
    struct peer_world w;
    struct alk_request *ours = NULL, *theirs = NULL;
    struct peer_call calls[3];
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 0});
    ops_world_add(&w.node, doze_op, &ours);
    ops_world_add(&w.node, echo_op, NULL);
    ops_world_add(&w.worker, doze_op, &theirs);
    peer_start(&w, w.ends.client, &calls[0], &(struct alk_ask){.op = "t/doze"});
    peer_start(&w, w.ends.server, &calls[1], &(struct alk_ask){.op = "t/doze"});
    peer_world_run(&w);
    assert_true(ours != NULL && theirs != NULL);
    drain(&w);
    peer_start(&w, w.ends.client, &calls[2], &(struct alk_ask){.op = "t/echo"});
    run(&w);
    assert_string_equal(calls[2].heard, "!UNAVAILABLE");
    check_err(alk_request_respond(ours), ALK_OK);
    run(&w);
    assert_string_equal(calls[0].heard, "={}.");
    assert_false(w.ends.client_closed); /* the node has asked something itself */
    check_err(alk_request_respond(theirs), ALK_OK);
    run(&w);
    assert_string_equal(calls[1].heard, "={}.");
    assert_true(w.ends.client_closed);
    assert_int_equal(w.ends.code, ALK_CODE_SHUTDOWN);
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

static void answers_that_are_not_read_yet_come_whole(void **state)
{
    struct peer_world w;
    struct peer_call c;
    (void)state;
    peer_world_init(&w, &(struct peer_world_options){.window = 4096});
    ops_world_add(&w.node, many_op, NULL);
    peer_start(&w, w.ends.client, &c,
               &(struct alk_ask){.op = "t/many", .is_subscription = true, .credit = ALK_NEVER});
    assert_false(alk_list_is_empty(&w.ends.client->streams));
    struct alk_peer_stream *ps =
        ALK_CONTAINER(w.ends.client->streams.head.next, struct alk_peer_stream, in);
    real_event = ps->stream->fn;
    alk_stream_on(ps->stream, mute, ps);
    peer_world_run(&w);
    drain(&w);
    assert_true(alk_list_is_empty(&w.ends.server->requests));
    assert_false(w.ends.client_closed);
    alk_stream_on(ps->stream, real_event, ps);
    real_event(ps, ps->stream, ALK_STREAM_READABLE);
    run(&w);
    assert_int_equal(c.answers, MANY);
    assert_int_equal(c.ends, 1);
    assert_null(strchr(c.heard, '!'));
    assert_true(w.ends.client_closed);
    peer_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_ends_though_a_stream_is_open),
        cmocka_unit_test(what_is_under_way_ends_first_and_nothing_new_begins),
        cmocka_unit_test(answers_that_are_not_read_yet_come_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
