/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Early data: accepted once, for handlers that declare it safe, and never twice. */
#include "core/tls/replay.h"
#include "sim/pair.h"

struct early {
    struct alk_replay_db *db;
    struct pair *p;
    struct sim_request r;
};

static void setup(struct early *e, const char *alpn)
{
    static const uint8_t seed[16] = {1};
    memset(e, 0, sizeof *e);
    check_err(alk_replay_new(NULL, 0, seed, &e->db), ALK_OK);
    struct pair_options o = {.server.replay = e->db, .alpn = alpn, .client_key = 5};
    e->p = pair_new(&o);
    e->p->client.dial.want_early = true;
}

static void teardown(struct early *e)
{
    pair_free(e->p);
    alk_replay_free(e->db);
}

/* The first connection, for its ticket. */
static void learn(struct early *e)
{
    struct pair *p = e->p;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    check_err(sim_client_remember(&p->client), ALK_OK);
    pair_close(p);
    p->server.opens = 0;
    p->server.streams = 0;
    assert_int_equal(p->server.early_opens, 0);
}

static void start_early(struct sim_client *c)
{
    struct early *e = c->ctx;
    check_err(sim_request_start(&e->r, c, SIM_ECHO, 500), ALK_OK);
}

/* A second connection, whose request is on its way before the handshake is done. */
static void answer_early(struct early *e, void (*on_open)(struct sim_client *c))
{
    struct pair *p = e->p;
    learn(e);
    p->client.ctx = e;
    p->client.on_open = on_open;
    alk_time from = p->w.now;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_request_is_done, &e->r));
    assert_true(e->r.is_right);
    /* Two ways of 5 ms for the answer, two more until the end is acknowledged. */
    assert_true(p->w.now - from <= 21 * ALK_MS);
    assert_int_equal(p->server.early_streams, 1);
}

static void early_data_is_answered_in_one_round_trip(void **state)
{
    (void)state;
    struct early e;
    setup(&e, "sim/early");
    struct pair *p = e.p;
    answer_early(&e, start_early);
    assert_int_equal(p->server.early_opens, 1);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_confirmed, &p->client));
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(p->server.confirmed, 1);
    assert_false(p->client.is_early_rejected);
    assert_int_equal(pair_stats(p->c).early_accepted, 1);
    assert_int_equal(pair_stats(p->s).early_accepted, 1);
    assert_true(p->server.auth.is_resumed);
    assert_string_not_equal(p->server.auth.fingerprints[0], ""); /* the ticket holds it */
    pair_exchange(p, SIM_ECHO, 100000);
    pair_close(p);
    teardown(&e);
}

static void start_with_datagram(struct sim_client *c)
{
    static const uint8_t data[1200];
    size_t max = alk_conn_datagram_max(c->conn);
    assert_in_range(max, 1000, 1200);
    check_err(alk_conn_datagram(c->conn, alk_span(data, max)), ALK_OK);
    start_early(c);
}

/* Early packets have longer headers. */
static void an_early_datagram_fits_and_holds_nothing_up(void **state)
{
    (void)state;
    struct early e;
    setup(&e, "sim/early");
    answer_early(&e, start_with_datagram);
    assert_int_equal(e.p->server.datagrams, 1);
    pair_close(e.p);
    teardown(&e);
}

static void a_handler_that_is_not_safe_sees_nothing_early(void **state)
{
    (void)state;
    struct early e;
    setup(&e, "sim/1");
    struct pair *p = e.p;
    learn(&e);
    p->client.ctx = &e;
    p->client.on_open = start_early;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    (void)sim_run(&p->w, 5 * ALK_SECOND, sim_client_is_confirmed, &p->client);
    assert_int_equal(p->server.early_opens, 0);
    assert_int_equal(p->server.early_streams, 0);
    if (p->client.is_early_rejected || !e.r.is_right) {
        pair_exchange(p, SIM_ECHO, 500);
    }
    pair_close(p);
    teardown(&e);
}

static void rejected_early_data_is_told_and_can_be_sent_again(void **state)
{
    (void)state;
    struct early e;
    struct sim_server other;
    setup(&e, "sim/early");
    struct pair *p = e.p;
    learn(&e);
    /* As after a restart: no table of replays, so no early data. */
    struct sim_node *unused = sim_node_add(&p->w, 9, 9);
    check_err(sim_server_init(&other, unused, NULL), ALK_OK);
    alk_quic_set_server(p->s->q, other.tls);
    p->client.ctx = &e;
    p->client.on_open = start_early;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_confirmed, &p->client));
    assert_true(p->client.is_early_rejected);
    assert_true(e.r.is_done && !e.r.is_right);
    assert_int_equal(pair_stats(p->c).early_rejected, 1);
    assert_int_equal(other.early_streams, 0);
    p->client.on_open = NULL;
    pair_exchange(p, SIM_ECHO, 500);
    assert_int_equal(other.streams, 1);
    pair_close(p);
    pair_stop(p);
    sim_server_fini(&other);
    teardown(&e);
}

struct flight {
    struct pair *p;
    struct sim_node *thief;
    uint8_t data[8][2048];
    size_t n[8];
    unsigned count;
    bool swallow;
};

static bool record(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data, size_t *n)
{
    struct flight *f = ctx;
    if (from == f->p->c && to == f->p->s && f->count < 8 && *n <= sizeof f->data[0]) {
        memcpy(f->data[f->count], data, *n);
        f->n[f->count++] = *n;
        return !f->swallow;
    }
    return true;
}

/* A flight recorded on the way is given to a second machine of the same node. */
static void replay(bool original_arrives)
{
    struct early e;
    struct sim_server second;
    struct flight f = {.swallow = !original_arrives};
    setup(&e, "sim/early");
    struct pair *p = e.p;
    struct sim_node *node = sim_node_add(&p->w, 3, 4433);
    const struct sim_server_options so = {.replay = e.db};
    check_err(sim_server_init(&second, node, &so), ALK_OK);
    check_err(sim_node_start(node), ALK_OK);
    learn(&e);

    f.p = p;
    p->w.tap = record;
    p->w.tap_ctx = &f;
    p->client.ctx = &e;
    p->client.on_open = start_early;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    (void)sim_run(&p->w, 100 * ALK_MS, NULL, NULL);
    assert_true(f.count > 0);
    p->w.tap = NULL;
    for (unsigned round = 0; round < 2; round++) {
        struct alk_addr thief = p->c->addr;
        thief.port = (uint16_t)(6000 + round);
        for (unsigned i = 0; i < f.count; i++) {
            sim_inject_from(&p->w, &thief, node, f.data[i], f.n[i]);
        }
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    }
    assert_int_equal(p->server.early_streams + second.early_streams, 1);
    pair_stop(p);
    sim_server_fini(&second);
    teardown(&e);
}

static void a_replayed_flight_is_not_accepted(void **state)
{
    (void)state;
    replay(true);
}

static void of_two_copies_the_first_counts(void **state)
{
    (void)state;
    replay(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_data_is_answered_in_one_round_trip),
        cmocka_unit_test(an_early_datagram_fits_and_holds_nothing_up),
        cmocka_unit_test(a_handler_that_is_not_safe_sees_nothing_early),
        cmocka_unit_test(rejected_early_data_is_told_and_can_be_sent_again),
        cmocka_unit_test(a_replayed_flight_is_not_accepted),
        cmocka_unit_test(of_two_copies_the_first_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
