/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Windows, limits, budgets and fairness: what is bounded stays so. */
#include "core/auth/identity.h"
#include "sim/pair.h"

#define MIB ((uint64_t)1024 * 1024)

/* --- readers that stop ------------------------------------------------------------ */

static void a_server_that_does_not_read_stops_the_client(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.size = 0};
    pair_connect(p);
    check_err(sim_request_start(&r, &p->client, SIM_HOLD, 64 * MIB), ALK_OK);
    (void)sim_run(&p->w, 30 * ALK_SECOND, NULL, NULL);
    uint64_t sent = r.sent;
    (void)sim_run(&p->w, 30 * ALK_SECOND, NULL, NULL);
    assert_int_equal(r.sent, sent); /* stands still */
    /* The window of a stream nobody reads is the initial one, and never grows. */
    assert_true(pair_stats(p->s).memory < MIB);
    assert_true(pair_stats(p->c).memory < MIB);
    assert_true(sent < MIB);
    pair_close(p);
    pair_free(p);
}

static void a_client_that_does_not_read_stops_the_server(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.hold = true};
    pair_connect(p);
    check_err(sim_request_start(&r, &p->client, SIM_GET, 16 * MIB), ALK_OK);
    (void)sim_run(&p->w, 30 * ALK_SECOND, NULL, NULL);
    assert_int_equal(r.got, 0);
    assert_true(pair_stats(p->s).memory < MIB);
    assert_true(pair_stats(p->c).memory < MIB);
    sim_request_resume(&r);
    assert_true(sim_run(&p->w, 60 * ALK_SECOND, sim_request_is_done, &r));
    assert_true(r.is_right);
    pair_close(p);
    pair_free(p);
}

static void other_streams_go_on_beside_one_that_is_not_read(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.size = 0};
    pair_connect(p);
    check_err(sim_request_start(&r, &p->client, SIM_HOLD, 64 * MIB), ALK_OK);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    pair_exchange(p, SIM_ECHO, 4 * MIB);
    pair_close(p);
    pair_free(p);
}

struct stop_at {
    struct sim_request r;
    uint64_t n;
};

static bool has_come_to_stop(void *ctx)
{
    const struct stop_at *s = ctx;
    return s->r.got >= s->n;
}

/* Also when windows had grown while it was read, wherever it stops. */
static void other_streams_go_on_beside_a_fast_one_that_stops(void **state)
{
    (void)state;
    for (uint64_t n = MIB / 2; n <= 16 * MIB; n *= 2) {
        struct pair *p = pair_new(NULL);
        struct stop_at s = {.n = n};
        pair_connect(p);
        check_err(sim_request_start(&s.r, &p->client, SIM_GET, 64 * MIB), ALK_OK);
        assert_true(sim_run(&p->w, 60 * ALK_SECOND, has_come_to_stop, &s));
        s.r.hold = true;
        (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
        pair_exchange(p, SIM_ECHO, MIB);
        s.r.hold = false;
        sim_request_resume(&s.r);
        assert_true(sim_run(&p->w, 60 * ALK_SECOND, sim_request_is_done, &s.r));
        assert_true(s.r.is_right);
        pair_close(p);
        pair_free(p);
    }
}

static void what_is_unread_survives_the_end_of_the_stream(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.hold = true};
    pair_connect(p);
    check_err(sim_request_start(&r, &p->client, SIM_GET, 100000), ALK_OK);
    (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
    assert_false(r.is_done); /* all is here and acknowledged, but not read */
    sim_request_resume(&r);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_request_is_done, &r));
    assert_true(r.is_right);
    pair_close(p);
    pair_free(p);
}

/* A path of 100 ms carries more than a quarter of a mebibyte per round trip only if
 * the window grows. */
static void windows_grow_with_the_path(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->w.net.delay = 50 * ALK_MS;
    pair_connect(p);
    alk_time from = p->w.now;
    pair_exchange(p, SIM_GET, 32 * MIB);
    alk_time took = p->w.now - from;
    assert_true(took < (32 * MIB / (256 * 1024)) * 100 * ALK_MS / 2);
    pair_close(p);
    pair_free(p);
}

/* A reload does not touch what connections were promised. */
static void new_limits_are_for_new_connections(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->w.net.delay = 50 * ALK_MS;
    pair_connect(p);
    struct alk_quic_limits small = {.stream_window = 5000,
                                    .stream_window_max = 5000,
                                    .conn_window = 10000,
                                    .streams = UINT64_MAX,
                                    .idle_timeout = ALK_NEVER};
    alk_quic_set_limits(p->s->q, &small);
    pair_exchange(p, SIM_PUT, 16 * MIB);
    struct sim_client *late = pair_more(p);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_confirmed, late));
    struct sim_request r = {.size = 0};
    check_err(sim_request_start(&r, late, SIM_HOLD, MIB), ALK_OK);
    size_t before = pair_stats(p->s).memory;
    (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
    assert_true(pair_stats(p->s).memory < before + 20000);
    pair_close(p);
    pair_free(p);
}

/* --- streams -------------------------------------------------------------------------- */

static void strangers_get_few_streams_and_credit_comes_back(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r[9];
    memset(r, 0, sizeof r);
    pair_connect(p);
    for (size_t i = 0; i < 8; i++) {
        r[i].keep_open = true;
        check_err(sim_request_start(&r[i], &p->client, SIM_ECHO, 10), ALK_OK);
    }
    check_err(sim_request_start(&r[8], &p->client, SIM_ECHO, 10), ALK_FULL);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(p->client.credits, 0);
    alk_stream_finish(r[3].stream);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_request_is_done, &r[3]));
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(p->client.credits, 1);
    check_err(sim_request_start(&r[8], &p->client, SIM_ECHO, 10), ALK_OK);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_request_is_done, &r[8]));
    assert_true(r[8].is_right);
    pair_close(p);
    pair_free(p);
}

static void known_peers_get_all_streams(void **state)
{
    (void)state;
    struct pair_options o = {.client_key = 3};
    struct pair *p = pair_new(&o);
    struct alk_span scope = ALK_LIT("admin");
    struct alk_identity_spec spec = {.id = ALK_LIT("somebody"), .scopes = &scope, .scope_count = 1};
    check_err(alk_identity_new(&p->mem.mem, &spec, NULL, 0, &p->server.identity), ALK_OK);
    p->s->hub.auth.provider = &p->server.provider;
    p->s->hub.auth.provider_ctx = &p->server;
    pair_connect(p);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    struct sim_request *r = test_calloc(1024, sizeof *r);
    for (size_t i = 0; i < 1024; i++) {
        r[i].keep_open = true;
        check_err(sim_request_start(&r[i], &p->client, SIM_ECHO, 64), ALK_OK);
    }
    struct sim_request one_more = {.size = 0};
    check_err(sim_request_start(&one_more, &p->client, SIM_ECHO, 64), ALK_FULL);
    (void)sim_run(&p->w, 2 * ALK_SECOND, NULL, NULL);
    assert_int_equal(p->server.streams, 1024);
    for (size_t i = 0; i < 1024; i++) {
        assert_int_equal(r[i].got, 64);
        alk_stream_finish(r[i].stream);
    }
    (void)sim_run(&p->w, 2 * ALK_SECOND, NULL, NULL);
    for (size_t i = 0; i < 1024; i++) {
        assert_true(r[i].is_done && r[i].is_right);
    }
    test_free(r);
    pair_close(p);
    pair_stop(p);
    alk_identity_unref(p->server.identity);
    pair_free(p);
}

struct many {
    struct pair *p;
    struct sim_request r[100];
    unsigned started, done, right;
};

static bool keep_going(void *ctx)
{
    struct many *m = ctx;
    for (size_t i = 0; i < 100; i++) {
        struct sim_request *r = &m->r[i];
        if (r->is_done) {
            m->done++;
            m->right += r->is_right;
            r->is_done = false;
            r->client = NULL;
        }
        if (r->client == NULL && m->started < 5000 &&
            sim_request_start(r, &m->p->client, SIM_ECHO, 64) == ALK_OK) {
            m->started++;
        } else if (r->stream == NULL) {
            r->client = NULL; /* no credit yet: again when something has come */
        }
    }
    return m->done == 5000;
}

static void many_streams(struct pair *p)
{
    p->s->options.limits.streams_without_identity = 200;
}

static void thousands_of_small_requests(void **state)
{
    (void)state;
    struct pair_options o = {.tune = many_streams};
    struct many *m = test_calloc(1, sizeof *m);
    m->p = pair_new(&o);
    m->p->w.net.loss = 10000;
    pair_connect(m->p);
    assert_true(sim_run(&m->p->w, 120 * ALK_SECOND, keep_going, m));
    assert_int_equal(m->right, 5000);
    /* Seventeen and more fit into one packet. */
    assert_true(pair_stats(m->p->c).packets_out < 2500);
    pair_close(m->p);
    pair_free(m->p);
    test_free(m);
}

static void both_sides_open_streams(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->server.open_back = true;
    pair_connect(p);
    for (unsigned i = 0; i < 50; i++) {
        pair_exchange(p, SIM_ECHO, 500);
    }
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(p->client.conn->streams_open, 0);
    assert_int_equal(p->server.conn->streams_open, 0);
    pair_close(p);
    pair_free(p);
}

/* --- the ends of directions --------------------------------------------------------------- */

static void resets_and_stops_carry_their_codes(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.size = 0};
    pair_connect(p);
    r.keep_open = true;
    check_err(sim_request_start(&r, &p->client, SIM_RESET, 0), ALK_OK);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_request_is_done, &r));
    assert_true(r.is_refused && r.was_stopped);
    assert_int_equal(r.peer_code, 77);

    memset(&r, 0, sizeof r);
    r.keep_open = true;
    check_err(sim_request_start(&r, &p->client, SIM_STOP, 1000), ALK_OK);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_request_is_done, &r));
    assert_true(r.was_stopped && r.is_right);
    assert_int_equal(r.stop_code, 78);
    assert_int_equal(r.peer_code, 78);
    pair_close(p);
    pair_free(p);
}

static void a_stop_reaches_a_writer_with_much_to_say(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.keep_open = true};
    pair_connect(p);
    check_err(sim_request_start(&r, &p->client, SIM_HOLD, 64 * MIB), ALK_OK);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    struct alk_link *e = alk_list_first(&p->server.conn->streams);
    alk_stream_stop(ALK_CONTAINER(e, struct alk_stream, all), 9);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_true(r.was_stopped);
    size_t took = 0;
    check_err(alk_stream_write(r.stream, ALK_LIT("x"), &took), ALK_E_STOPPED);
    pair_exchange(p, SIM_ECHO, 2 * MIB); /* the dropped bytes were given back */
    pair_close(p);
    pair_free(p);
}

/* The handler need not write to hear of it. */
static void one_stop_among_many_idle_streams_is_heard_at_once(void **state)
{
    (void)state;
    struct pair_options o = {.tune = many_streams};
    struct pair *p = pair_new(&o);
    struct sim_request *r = test_calloc(150, sizeof *r);
    pair_connect(p);
    for (size_t i = 0; i < 150; i++) {
        r[i].keep_open = true;
        check_err(sim_request_start(&r[i], &p->client, SIM_ECHO, 10), ALK_OK);
    }
    (void)sim_run(&p->w, 2 * ALK_SECOND, NULL, NULL);
    struct alk_link *e = alk_list_first(&p->server.conn->streams);
    for (size_t i = 0; i < 97; i++) {
        e = alk_list_next(&p->server.conn->streams, e);
    }
    struct alk_stream *s = ALK_CONTAINER(e, struct alk_stream, all);
    uint64_t id = alk_stream_id(s);
    alk_stream_stop(s, 1234567);
    (void)sim_run(&p->w, 6 * ALK_MS, NULL, NULL);
    for (size_t i = 0; i < 150; i++) {
        bool is_it = alk_stream_id(r[i].stream) == id;
        assert_int_equal(r[i].was_stopped, is_it);
        assert_int_equal(r[i].stop_code, is_it ? 1234567 : 0);
    }
    pair_close(p);
    pair_free(p);
    test_free(r);
}

/* 10 000 streams opened and reset, in bursts: nothing is left of them. */
static void a_storm_of_resets_leaves_nothing(void **state)
{
    (void)state;
    struct pair_options o = {.tune = many_streams};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    struct sim_request *r = test_calloc(100, sizeof *r);
    size_t after_first = 0;
    for (unsigned round = 0; round < 100; round++) {
        for (size_t i = 0; i < 100; i++) {
            memset(&r[i], 0, sizeof r[i]);
            r[i].keep_open = true;
            check_err(sim_request_start(&r[i], &p->client, SIM_HOLD, 2000), ALK_OK);
            if (i % 2 == 0) {
                (void)sim_run(&p->w, 0, NULL, NULL);
            }
            alk_stream_close(r[i].stream, 4);
        }
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
        if (round == 0) {
            after_first = pair_stats(p->s).memory;
        }
    }
    assert_int_equal(p->client.conn->streams_open, 0);
    assert_int_equal(p->server.conn->streams_open, 0);
    assert_true(pair_stats(p->s).memory <= after_first + 16384);
    pair_exchange(p, SIM_ECHO, 4 * MIB); /* no window has leaked */
    test_free(r);
    pair_close(p);
    pair_free(p);
}

/* --- datagrams ------------------------------------------------------------------------------ */

static void datagrams_go_both_ways(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    p->server.echo_datagrams = true;
    size_t max = alk_conn_datagram_max(p->client.conn);
    assert_in_range(max, 1100, 1500);
    uint8_t data[1500];
    memset(data, 42, sizeof data);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, max)), ALK_OK);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, max + 1)), ALK_E_TOO_BIG);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, 0)), ALK_OK);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(p->server.datagrams, 2);
    assert_int_equal(p->client.datagrams, 2);
    pair_close(p);
    pair_free(p);
}

static void a_full_queue_drops_and_counts(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    for (unsigned i = 0; i < 200; i++) {
        check_err(alk_conn_datagram(p->client.conn, ALK_LIT("hello")), ALK_OK);
    }
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    alk_conn_stats(p->client.conn, &stats);
    assert_int_equal(stats.datagrams_dropped, 200 - 64);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(p->server.datagrams, 64);
    pair_close(p);
    pair_free(p);
}

static void no_datagrams(struct pair *p)
{
    p->s->options.limits.datagram_max = 1;
}

static void a_peer_without_datagrams_gets_none(void **state)
{
    (void)state;
    struct pair_options o = {.tune = no_datagrams};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    assert_int_equal(alk_conn_datagram_max(p->client.conn), 0);
    check_err(alk_conn_datagram(p->client.conn, ALK_LIT("x")), ALK_E_UNSUPPORTED);
    pair_close(p);
    pair_free(p);
}

/* --- budgets ------------------------------------------------------------------ */

static void little_memory(struct pair *p)
{
    p->s->options.limits.memory = 600000;
    p->s->options.limits.stream_window = 200000;
    p->s->options.limits.connections_per_ip = 100;
}

static void over_the_budget_streams_go_then_strangers(void **state)
{
    (void)state;
    struct pair_options o = {.tune = little_memory};
    struct pair *p = pair_new(&o);
    struct sim_request r[8];
    memset(r, 0, sizeof r);
    pair_connect(p);
    for (size_t i = 0; i < 8; i++) {
        r[i].keep_open = true;
        check_err(sim_request_start(&r[i], &p->client, SIM_HOLD, MIB), ALK_OK);
    }
    (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
    assert_true(pair_stats(p->s).shed > 0);
    assert_true(pair_stats(p->s).memory < 800000);
    unsigned shed = 0;
    for (size_t i = 0; i < 8; i++) {
        shed += r[i].is_refused || r[i].was_stopped || r[i].is_done;
    }
    assert_true(shed > 0);
    /* The youngest strangers go when connections alone are too much. */
    while (p->more_n < 10) {
        (void)pair_more(p);
    }
    (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
    assert_true(pair_stats(p->s).memory < 800000);
    pair_free(p);
}

static void room_for_ten(struct pair *p)
{
    p->s->options.limits.memory = 10 * 40000;
}

/* A burst that comes in before anything could be freed costs one connection, not
 * one for each of its packets. */
static void shedding_counts_what_it_has_shed(void **state)
{
    (void)state;
    struct pair_options o = {.tune = room_for_ten};
    struct pair *p = pair_new(&o);
    while (p->more_n < 8) {
        (void)pair_more(p);
    }
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(pair_stats(p->s).shed, 0);
    struct alk_quic_limits tight = {.memory = pair_stats(p->s).memory - 1};
    alk_quic_set_limits(p->s->q, &tight);
    uint8_t noise[100] = {0x40};
    for (unsigned i = 0; i < 20; i++) {
        alk_quic_feed(p->s->q, &p->s->addr, &p->c->addr, 0, alk_span(noise, sizeof noise),
                      p->w.now);
    }
    assert_int_equal(pair_stats(p->s).shed, 1);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_true(p->more[7].is_closed); /* the youngest */
    check_err(p->more[7].close_err, ALK_E_CLOSED);
    assert_int_equal(p->more[7].close_code, ALK_CODE_LIMIT);
    assert_false(p->more[6].is_closed);
    pair_free(p);
}

/* --- fairness ----------------------------------------------------------------- */

static bool first_of_two(void *ctx)
{
    struct sim_request *r = ctx;
    return r[0].is_done || r[1].is_done;
}

static void narrow(struct pair *p)
{
    p->w.net.rate = 2000000;
}

static void two_streams_share_alike(void **state)
{
    (void)state;
    struct pair_options o = {.tune = narrow};
    struct pair *p = pair_new(&o);
    struct sim_request r[2];
    memset(r, 0, sizeof r);
    pair_connect(p);
    check_err(sim_request_start(&r[0], &p->client, SIM_GET, 2 * MIB), ALK_OK);
    check_err(sim_request_start(&r[1], &p->client, SIM_GET, 2 * MIB), ALK_OK);
    assert_true(sim_run(&p->w, 60 * ALK_SECOND, first_of_two, r));
    assert_true(r[0].got > 2 * MIB * 8 / 10 && r[1].got > 2 * MIB * 8 / 10);
    pair_close(p);
    pair_free(p);
}

static void a_small_request_is_not_behind_a_large_one(void **state)
{
    (void)state;
    struct pair_options o = {.tune = narrow};
    struct pair *p = pair_new(&o);
    struct sim_request bulk = {.size = 0};
    pair_connect(p);
    check_err(sim_request_start(&bulk, &p->client, SIM_GET, 16 * MIB), ALK_OK);
    (void)sim_run(&p->w, 500 * ALK_MS, NULL, NULL);
    alk_time from = p->w.now;
    pair_exchange(p, SIM_ECHO, 64);
    assert_false(bulk.is_done);
    assert_true(p->w.now - from < 500 * ALK_MS); /* the line's queue, not the stream's */
    pair_close(p);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_does_not_read_stops_the_client),
        cmocka_unit_test(a_client_that_does_not_read_stops_the_server),
        cmocka_unit_test(other_streams_go_on_beside_one_that_is_not_read),
        cmocka_unit_test(other_streams_go_on_beside_a_fast_one_that_stops),
        cmocka_unit_test(what_is_unread_survives_the_end_of_the_stream),
        cmocka_unit_test(windows_grow_with_the_path),
        cmocka_unit_test(new_limits_are_for_new_connections),
        cmocka_unit_test(strangers_get_few_streams_and_credit_comes_back),
        cmocka_unit_test(known_peers_get_all_streams),
        cmocka_unit_test(thousands_of_small_requests),
        cmocka_unit_test(both_sides_open_streams),
        cmocka_unit_test(resets_and_stops_carry_their_codes),
        cmocka_unit_test(a_stop_reaches_a_writer_with_much_to_say),
        cmocka_unit_test(one_stop_among_many_idle_streams_is_heard_at_once),
        cmocka_unit_test(a_storm_of_resets_leaves_nothing),
        cmocka_unit_test(datagrams_go_both_ways),
        cmocka_unit_test(a_full_queue_drops_and_counts),
        cmocka_unit_test(a_peer_without_datagrams_gets_none),
        cmocka_unit_test(over_the_budget_streams_go_then_strangers),
        cmocka_unit_test(shedding_counts_what_it_has_shed),
        cmocka_unit_test(two_streams_share_alike),
        cmocka_unit_test(a_small_request_is_not_behind_a_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
