/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stopping: drain, close, and no waiting for nothing. */
#include "support/node.h"

#include "core/endpoint.h"
#include "core/io/loop.h"

#include <signal.h>
#include <unistd.h>

static const unsigned transports[] = {ALK_TRANSPORT_QUIC, ALK_TRANSPORT_TLS};

static bool has_begun(void *ctx)
{
    const struct client *c = ctx;
    return c->received > 0;
}
static bool has_end(void *ctx)
{
    const struct client *c = ctx;
    return c->has_end || c->is_closed;
}
static bool is_stopped(void *ctx)
{
    const struct node *n = ctx;
    return n->is_stopped;
}

static void idle_connections_are_closed_with_code_9_without_waiting(void **ctx)
{
    (void)ctx;
    for (unsigned loops = 1; loops <= 2; loops++) {
        struct node n;
        struct client c[2];
        node_init(&n, "drain_timeout: 1h\n");
        n.loops = loops;
        node_start(&n, NULL);
        client_open(&c[0], &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
        client_open(&c[1], &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
        alk_endpoint_stop(n.ep);
        client_wait_closed(&c[0]);
        client_wait_closed(&c[1]);
        assert_int_equal(c[0].code, ALK_CODE_SHUTDOWN);
        node_until(&n, is_stopped, &n);
        node_fini(&n);
    }
}

static void what_is_under_way_may_finish_and_nothing_new_comes_in(void **ctx)
{
    (void)ctx;
    for (size_t i = 0; i < 2; i++) {
        struct node n;
        struct client c;
        struct client late;
        node_init(&n, "drain_timeout: 1h\n");
        node_start(&n, NULL);
        client_open(&c, &n, "test/echo", transports[i], NULL);
        client_send(&c, ALK_LIT("first half, "), false);
        node_until(&n, has_begun, &c);
        alk_endpoint_stop(n.ep);
        while (!alk_endpoint_is_stopping(n.ep)) {
            node_turn(&n, 100);
        }
        client_open(&late, &n, "test/echo", transports[i], NULL);
        assert_true(late.is_failed);
        assert_false(c.is_closed);
        size_t took;
        assert_int_equal(alk_stream_write(c.stream, ALK_LIT("second half"), &took), ALK_OK);
        alk_stream_finish(c.stream);
        node_until(&n, has_end, &c);
        assert_true(c.has_end);
        assert_int_equal(c.received, strlen("first half, second half"));
        client_wait_closed(&c);
        node_until(&n, is_stopped, &n);
        node_fini(&n);
    }
}

static void what_does_not_finish_in_time_is_closed_with_code_9(void **ctx)
{
    (void)ctx;
    for (size_t i = 0; i < 2; i++) {
        struct node n;
        struct client c;
        node_init(&n, "drain_timeout: 50ms\n");
        node_start(&n, NULL);
        client_open(&c, &n, "test/echo", transports[i], NULL);
        client_send(&c, ALK_LIT("never finished"), false);
        node_until(&n, has_begun, &c);
        alk_endpoint_stop(n.ep);
        client_wait_closed(&c);
        if (i == 0) {
            assert_int_equal(c.code, ALK_CODE_SHUTDOWN);
        }
        node_until(&n, is_stopped, &n);
        node_fini(&n);
    }
}

static void a_second_stop_does_not_wait(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c;
    node_init(&n, "drain_timeout: 1h\n");
    n.loops = 2;
    node_start(&n, NULL);
    client_open(&c, &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    client_send(&c, ALK_LIT("never finished"), false);
    node_until(&n, has_begun, &c);
    alk_endpoint_stop(n.ep);
    node_turn(&n, 100);
    alk_endpoint_stop(n.ep);
    node_until(&n, is_stopped, &n);
    client_wait_closed(&c);
    node_fini(&n);
}

static void a_node_that_never_ran_is_freed(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "");
    n.loops = 2;
    node_start(&n, NULL);
    alk_endpoint_free(n.ep);
    n.ep = NULL;
    node_fini(&n);
}

static void a_node_is_freed_with_connections_open(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c[2];
    node_init(&n, "");
    node_start(&n, NULL);
    for (size_t i = 0; i < 2; i++) {
        client_open(&c[i], &n, "test/echo", transports[i], NULL);
        client_send(&c[i], ALK_LIT("never finished"), false);
        node_until(&n, has_begun, &c[i]);
    }
    alk_endpoint_free(n.ep);
    n.ep = NULL;
    client_wait_closed(&c[1]); /* TCP tells at once */
    node_fini(&n);             /* the client's loop ends with the other one open */
}

static void a_client_on_the_nodes_own_loop_ends_with_it(void **ctx)
{
    (void)ctx;
    static const char *const alpns[] = {"test/echo", NULL};
    struct node n;
    struct client c = {0};
    node_init(&n, "drain_timeout: 1h\n");
    node_start(&n, NULL);
    struct alk_dial_options o = client_options(&n, alpns);
    c.node = &n;
    assert_int_equal(alk_dial(alk_endpoint_loop(n.ep), &o, client_calls(), &c, &c.dial), ALK_OK);
    while (c.conn == NULL) {
        assert_false(c.is_failed);
        node_turn(&n, 100);
    }
    client_echo(&c, ALK_LIT("to myself"));
    alk_endpoint_stop(n.ep);
    client_wait_closed(&c);
    assert_int_equal(c.code, ALK_CODE_SHUTDOWN);
    node_until(&n, is_stopped, &n);
    node_fini(&n);
}

static bool has_reloaded(void *ctx)
{
    struct node *n = ctx;
    return node_logged(n, "configuration 2 is in force");
}

static void signals_reload_and_stop(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "");
    node_start(&n, NULL);
    assert_int_equal(alk_endpoint_handle_signals(n.ep), ALK_OK);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    node_until(&n, has_reloaded, &n);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    node_until(&n, is_stopped, &n);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connections_are_closed_with_code_9_without_waiting),
        cmocka_unit_test(what_is_under_way_may_finish_and_nothing_new_comes_in),
        cmocka_unit_test(what_does_not_finish_in_time_is_closed_with_code_9),
        cmocka_unit_test(a_second_stop_does_not_wait),
        cmocka_unit_test(a_node_that_never_ran_is_freed),
        cmocka_unit_test(a_node_is_freed_with_connections_open),
        cmocka_unit_test(a_client_on_the_nodes_own_loop_ends_with_it),
        cmocka_unit_test(signals_reload_and_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
