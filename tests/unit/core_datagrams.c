/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams of the memory transport: what a full queue drops is counted, and what waits for
 * the opening is bounded. */
#include "support/mem_world.h"

static alk_err hear_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    (void)conn;
    (void)auth;
    *ret_state = service;
    return ALK_OK;
}

static alk_err hear_stream(void *state, struct alk_stream *s)
{
    (void)state;
    (void)s;
    return ALK_E_UNSUPPORTED;
}

static void hear_datagram(void *state, struct alk_span data)
{
    size_t *count = (size_t *)state;
    *count += data.n > 0;
}

static void hear_close(void *state, alk_err why, uint64_t code)
{
    (void)state;
    (void)why;
    (void)code;
}

static const struct alk_alpn alpns[] = {{"test/datagram", ALK_TRANSPORT_ANY}};
static const struct alk_handler handler = {.struct_size = sizeof handler,
                                           .abi = ALK_HANDLER_ABI,
                                           .name = "hear",
                                           .alpns = alpns,
                                           .alpn_count = 1,
                                           .open = hear_open,
                                           .stream = hear_stream,
                                           .datagram = hear_datagram,
                                           .close = hear_close};

struct world {
    struct mem_world m;
    size_t client, server; /* datagrams that came */
};

static void world_open(struct world *w, struct alk_mem_options o)
{
    o.client = &handler;
    o.server = &handler;
    o.client_state = &w->client;
    o.server_state = &w->server;
    mem_world_open(&w->m, o);
}

static void send_some(struct world *w, unsigned count, struct alk_span data)
{
    for (unsigned i = 0; i < count; i++) {
        check_err(alk_conn_datagram(alk_mem_client(w->m.pair), data), ALK_OK);
    }
    mem_world_run(&w->m);
}

static void they_are_dropped_and_counted_when_full(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    assert_int_equal(alk_conn_datagram_max(alk_mem_client(w.m.pair)), 1200);
    send_some(&w, 100, ALK_LIT("d"));
    assert_int_equal(w.server, ALK_CONN_DATAGRAMS_MAX);
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    alk_conn_stats(alk_mem_server(w.m.pair), &stats);
    assert_int_equal(stats.datagrams_dropped, 100 - ALK_CONN_DATAGRAMS_MAX);
    mem_world_close(&w.m);
}

/* A peer may leave its handshake half done, and many may. */
static void those_that_wait_for_the_opening_are_bounded_in_bytes(void **state)
{
    (void)state;
    static const uint8_t data[16000];
    const struct alk_auth_context early = {.struct_size = sizeof early, .is_early = true};
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){.server_auth = &early, .datagram_max = sizeof data});
    mem_world_run(&w.m);
    send_some(&w, 10, alk_span(data, sizeof data));
    assert_int_equal(w.server, 0);
    alk_conn_raise(alk_mem_server(w.m.pair), ALK_CONN_CONFIRMED);
    mem_world_run(&w.m);
    assert_int_equal(w.server, ALK_CONN_DATAGRAM_BYTES / sizeof data);
    send_some(&w, 10, alk_span(data, sizeof data));
    assert_int_equal(w.server, ALK_CONN_DATAGRAM_BYTES / sizeof data + 10);
    mem_world_close(&w.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_dropped_and_counted_when_full),
        cmocka_unit_test(those_that_wait_for_the_opening_are_bounded_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
