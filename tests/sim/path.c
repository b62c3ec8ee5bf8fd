/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connections that live on: migration, rebinding, new keys; and those that are
 * lost: stateless resets, late packets. */
#include "sim/pair.h"

static void slow_line(struct pair *p)
{
    p->w.net.rate = 4000000;
}

static void migration_in_the_middle_of_a_transfer(void **state)
{
    (void)state;
    struct pair_options o = {.tune = slow_line};
    struct pair *p = pair_new(&o);
    struct sim_request r = {.size = 0};
    pair_connect(p);
    check_err(sim_request_start(&r, &p->client, SIM_GET, 2 << 20), ALK_OK);
    (void)sim_run(&p->w, 100 * ALK_MS, NULL, NULL);
    p->c->addr2 = p->c->addr;
    p->c->addr2.port = 5999;
    check_err(alk_quic_migrate(p->client.conn, &p->c->addr2, p->w.now), ALK_OK);
    assert_true(sim_run(&p->w, 60 * ALK_SECOND, sim_request_is_done, &r));
    assert_true(r.is_right);
    assert_string_equal(p->client.conn->auth.local, "10.0.0.2:5999");
    assert_string_equal(p->server.conn->auth.remote, "10.0.0.2:5999");
    assert_true(pair_stats(p->c).migrations >= 1);
    assert_true(pair_stats(p->s).migrations >= 1);
    pair_close(p);
    pair_free(p);
}

static void a_silent_rebinding_is_followed(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    for (unsigned i = 0; i < 8; i++) {
        (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
        sim_rebind(p->c, i % 2 == 1);
        pair_exchange(p, SIM_ECHO, 20000);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
        assert_int_equal(p->server.conn->remote.port, p->c->seen_as.port);
    }
    assert_int_equal(p->server.opens, 1);
    pair_close(p);
    pair_free(p);
}

static void narrow_line(struct pair *p)
{
    p->w.net.mtu = 1200;
}

/* A download on a line that loses an eighth and gets a new address every half
 * second. The receiver's window is the smallest there is. */
static bool is_stalled(uint64_t seed)
{
    struct pair_options o = {.tune = narrow_line};
    struct pair *p = pair_new(&o);
    struct sim_request r = {.size = 0};
    pair_connect(p);
    alk_prng_init(&p->w.prng, seed);
    p->w.net.loss = 120000;
    check_err(sim_request_start(&r, &p->client, SIM_GET, 2 << 20), ALK_OK);
    for (unsigned i = 0; i < 20 && !r.is_done; i++) {
        (void)sim_run(&p->w, 500 * ALK_MS, sim_request_is_done, &r);
        sim_rebind(p->c, false);
    }
    (void)sim_run(&p->w, 300 * ALK_SECOND, sim_request_is_done, &r);
    bool is_right = r.is_right;
    assert_false(r.is_bad);
    if (!p->client.is_closed) {
        p->w.net.loss = 0;
        pair_close(p);
    }
    pair_free(p);
    return !is_right;
}

/* Its answers to the server's challenges fill that window, and ngtcp2 keeps no timer
 * for them: without alk_qpath_challenged 9 of these 24 stall. A server that has lost
 * all it had in flight may still stall on a path that it cannot validate (docs:
 * caveats), 1 in 30. */
static void a_receiver_on_a_bad_line_keeps_giving_credit(void **state)
{
    (void)state;
    unsigned stalled = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        stalled += is_stalled(seed) ? 1 : 0;
    }
    assert_true(stalled <= 3);
}

/* After the handshake a server has no TLS session any more: all of this runs
 * without one. */
static void keys_are_renewed_by_either_side(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 100000);
    for (unsigned i = 0; i < 6; i++) {
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
        struct alk_conn *conn = i % 2 == 0 ? p->client.conn : p->server.conn;
        check_err(alk_quic_update_key(conn, p->w.now), ALK_OK);
        pair_exchange(p, SIM_ECHO, 100000);
    }
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    pair_exchange(p, SIM_ECHO, 1000);
    assert_true(pair_stats(p->s).key_updates >= 6);
    assert_true(pair_stats(p->c).key_updates >= 6);
    pair_close(p);
    pair_free(p);
}

/* [RFC 9001 §6] not before the handshake is confirmed */
static void key_update_before_the_handshake_is_refused(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    check_err(alk_quic_update_key(p->client.conn, p->w.now), ALK_E_STATE);
    struct alk_addr other = p->c->addr;
    other.port++;
    check_err(alk_quic_migrate(p->client.conn, &other, p->w.now), ALK_E_STATE);
    pair_free(p);
}

/* --- stateless reset -------------------------------------------------------------------- */

/* As kill -9 and a new start with the same secret. */
static void restart_server(struct pair *p)
{
    sim_node_stop(p->s);
    check_err(sim_node_start(p->s), ALK_OK);
}

static void a_restarted_server_resets_old_connections(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.size = 0};
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    restart_server(p);
    check_err(sim_request_start(&r, &p->client, SIM_ECHO, 1000), ALK_OK);
    alk_time from = p->w.now;
    assert_true(sim_run(&p->w, 10 * ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_RESET);
    assert_true(p->w.now - from < ALK_SECOND);
    assert_int_equal(pair_stats(p->c).resets_received, 1);
    pair_free(p);
}

static bool yes(void *ctx, uint8_t loop_id)
{
    (void)ctx;
    return loop_id == 1;
}

static void another_loop(struct pair *p)
{
    p->s->options.loop_id = 1;
    p->s->options.is_loop_alive = yes;
}

static void a_stray_of_a_living_loop_is_not_reset(void **state)
{
    (void)state;
    struct pair_options o = {.tune = another_loop};
    struct pair *p = pair_new(&o);
    struct sim_request r = {.size = 0};
    pair_connect(p);
    /* The machine behind the address is now that of loop 2; loop 1 lives. */
    p->s->options.loop_id = 2;
    restart_server(p);
    check_err(sim_request_start(&r, &p->client, SIM_ECHO, 1000), ALK_OK);
    (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
    assert_false(p->client.is_closed);
    assert_int_equal(pair_stats(p->s).resets_sent, 0);
    assert_true(pair_stats(p->s).resets_suppressed > 0);
    pair_free(p);
}

static void short_packet(struct pair *p, uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        data[i] = (uint8_t)sim_random(&p->w, 256);
    }
    data[0] = (uint8_t)((data[0] & 0x3f) | 0x40);
}

struct sizes {
    struct pair *p;
    size_t trigger;
    unsigned count, too_large;
};
static bool look_at_resets(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                           size_t *n)
{
    struct sizes *s = ctx;
    (void)to;
    (void)data;
    if (from == s->p->s) {
        s->count++;
        s->too_large += *n >= s->trigger || *n < 21;
    }
    return true;
}

/* [RFC 9000 §10.3.3] smaller than what triggers it; [RFC 9000 §10.3] first byte, 4 of
 * noise, token: no less than 21 bytes */
static void resets_are_smaller_than_their_cause_and_rare(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sizes sizes = {.p = p};
    uint8_t data[1200];
    sim_node_stop(p->c); /* it would answer the resets with its own, ever smaller */
    p->w.tap = look_at_resets;
    p->w.tap_ctx = &sizes;
    for (size_t n = 17; n < 60; n++) {
        short_packet(p, data, sizeof data);
        sizes.trigger = n;
        sizes.count = 0;
        sim_inject(&p->w, p->c, p->s, data, n);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
        assert_int_equal(sizes.count, n > 21 ? 1 : 0);
        assert_int_equal(sizes.too_large, 0);
    }
    uint64_t before = pair_stats(p->s).resets_sent;
    for (unsigned i = 0; i < 2000; i++) {
        short_packet(p, data, sizeof data);
        sim_inject(&p->w, p->c, p->s, data, sizeof data);
    }
    (void)sim_run(&p->w, 10 * ALK_MS, NULL, NULL);
    assert_true(pair_stats(p->s).resets_sent - before <= 66);
    pair_free(p);
}

static uint64_t resets_in_two_seconds(uint64_t per_second)
{
    struct pair *p = pair_new(NULL);
    struct alk_quic_limits limits = {.resets_per_second = per_second};
    uint8_t data[1200];
    sim_node_stop(p->c);
    alk_quic_set_limits(p->s->q, &limits);
    for (unsigned i = 0; i < 400; i++) {
        short_packet(p, data, sizeof data);
        sim_inject(&p->w, p->c, p->s, data, sizeof data);
        (void)sim_run(&p->w, 5 * ALK_MS, NULL, NULL);
    }
    uint64_t n = pair_stats(p->s).resets_sent;
    pair_free(p);
    return n;
}

static void resets_are_as_rare_as_the_limit_says(void **state)
{
    (void)state;
    /* 64 at once, then the rate. */
    uint64_t n = resets_in_two_seconds(10);
    assert_in_range(n, 64 + 18, 64 + 21);
    n = resets_in_two_seconds(50);
    assert_in_range(n, 64 + 98, 64 + 101);
    assert_int_equal(resets_in_two_seconds(ALK_QUIC_RESETS_NONE), 0);
}

/* [RFC 9000 §10.3.1] time tells nothing of how much of a token was guessed; here only
 * that a wrong one has no effect */
static void forged_resets_change_nothing(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    uint8_t data[64];
    pair_connect(p);
    for (unsigned i = 0; i < 500; i++) {
        size_t n = 21 + sim_random(&p->w, 40);
        short_packet(p, data, n);
        sim_inject(&p->w, i % 2 == 0 ? p->s : p->c, i % 2 == 0 ? p->c : p->s, data, n);
    }
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(pair_stats(p->c).resets_received, 0);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

/* --- after the end ------------------------------------------------------------------------ */

struct last {
    struct pair *p;
    uint8_t data[2048];
    size_t n;
    unsigned answers;
};
static bool keep_last(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                      size_t *n)
{
    struct last *l = ctx;
    (void)to;
    if (from == l->p->c && (data[0] & 0x80) == 0 && *n <= sizeof l->data) {
        memcpy(l->data, data, *n);
        l->n = *n;
    }
    l->answers += from == l->p->s;
    return true;
}

/* [RFC 9000 §10.2.1] the close is repeated for late packets, ever more rarely, and
 * [RFC 9000 §10.2] for three probe time-outs */
static void late_packets_meet_the_close_a_few_times(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct last l = {.p = p};
    pair_connect(p);
    p->w.tap = keep_last;
    p->w.tap_ctx = &l;
    pair_exchange(p, SIM_ECHO, 100000);
    alk_conn_close(p->server.conn, ALK_CODE_SHUTDOWN, alk_span(NULL, 0));
    (void)sim_run(&p->w, 8 * ALK_MS, NULL, NULL);
    assert_true(l.n > 0);
    l.answers = 0;
    uint8_t late[2048];
    size_t n = l.n;
    memcpy(late, l.data, n);
    for (unsigned i = 0; i < 64; i++) {
        sim_inject(&p->w, p->c, p->s, late, n);
    }
    (void)sim_run(&p->w, 5 * ALK_MS, NULL, NULL);
    assert_in_range(l.answers, 1, 7); /* 1st, 2nd, 4th ... 64th */
    assert_int_equal(pair_stats(p->s).resets_sent, 0);
    /* When the period is over the connection is forgotten: then it is a stray. */
    (void)sim_run(&p->w, 20 * ALK_SECOND, NULL, NULL);
    sim_node_stop(p->c);
    sim_inject(&p->w, p->c, p->s, late, n);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(pair_stats(p->s).resets_sent, 1);
    pair_free(p);
}

static void datagrams_find_their_loop(void **state)
{
    (void)state;
    struct pair_options o = {.tune = another_loop};
    struct pair *p = pair_new(&o);
    uint8_t data[64] = {0x40, 1};
    struct alk_span whole = alk_span(data, sizeof data);
    assert_int_equal(alk_quic_owner(p->s->q, whole), 1);
    /* A client of loop 2 sees packets of the living loop 1, and of a dead one. */
    p->c->options.is_loop_alive = yes;
    sim_node_stop(p->c);
    check_err(sim_node_start(p->c), ALK_OK);
    assert_int_equal(alk_quic_owner(p->c->q, whole), 1);
    data[1] = 200;
    assert_int_equal(alk_quic_owner(p->c->q, whole), 2);
    assert_int_equal(alk_quic_owner(p->c->q, alk_span(data, 10)), 2);
    data[0] = 0xe0;
    data[5] = ALK_QUIC_CID_LEN;
    data[6] = 1;
    assert_int_equal(alk_quic_owner(p->c->q, whole), 1);
    data[5] = 8; /* chosen by a client */
    assert_int_equal(alk_quic_owner(p->c->q, whole), 2);
    pair_free(p);
}

static void a_path_that_refuses_large_packets_gets_small_ones(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    pair_exchange(p, SIM_GET, 1 << 20); /* the path is known to carry 1444 */
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    alk_conn_stats(p->server.conn, &stats);
    assert_true(stats.path_mtu > 1400);
    p->w.net.mtu = 1300;
    struct alk_quic_batch refused = {.segment = stats.path_mtu,
                                     .n = stats.path_mtu,
                                     .serial = p->server.conn->serial};
    alk_quic_too_big(p->s->q, &refused);
    refused.serial = p->client.conn->serial;
    alk_quic_too_big(p->c->q, &refused);
    pair_exchange(p, SIM_GET, 1 << 20);
    pair_close(p);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migration_in_the_middle_of_a_transfer),
        cmocka_unit_test(a_silent_rebinding_is_followed),
        cmocka_unit_test(a_receiver_on_a_bad_line_keeps_giving_credit),
        cmocka_unit_test(keys_are_renewed_by_either_side),
        cmocka_unit_test(key_update_before_the_handshake_is_refused),
        cmocka_unit_test(a_restarted_server_resets_old_connections),
        cmocka_unit_test(a_stray_of_a_living_loop_is_not_reset),
        cmocka_unit_test(resets_are_smaller_than_their_cause_and_rare),
        cmocka_unit_test(resets_are_as_rare_as_the_limit_says),
        cmocka_unit_test(forged_resets_change_nothing),
        cmocka_unit_test(late_packets_meet_the_close_a_few_times),
        cmocka_unit_test(datagrams_find_their_loop),
        cmocka_unit_test(a_path_that_refuses_large_packets_gets_small_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
