/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What leaves the machine: batches for segmentation offload, marks, qlog. */
#include "sim/pair.h"

#include "core/quic/internal.h"

/* --- batches ------------------------------------------------------------------------ */

static void segments_fill_batches(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    pair_exchange(p, SIM_GET, 8 << 20);
    assert_true(p->s->largest_batch > 60000); /* whole quanta, not packets */
    assert_true(p->s->segments > 5 * p->s->batches);
    pair_close(p);
    pair_free(p);
}

static void without_offload(struct pair *p)
{
    p->s->options.no_gso = true;
}

static void without_offload_a_batch_is_a_packet(void **state)
{
    (void)state;
    struct pair_options o = {.tune = without_offload};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    pair_exchange(p, SIM_GET, 1 << 20);
    assert_int_equal(p->s->segments, p->s->batches);
    assert_int_equal(p->s->largest_batch, 8848); /* a probe, which is one packet as well */
    pair_close(p);
    pair_free(p);
}

static void a_network_may_refuse_offload_at_any_time(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    pair_exchange(p, SIM_GET, 1 << 20);
    alk_quic_no_gso(p->s->q);
    uint64_t batches = p->s->batches;
    uint64_t segments = p->s->segments;
    pair_exchange(p, SIM_GET, 1 << 20);
    assert_int_equal(p->s->segments - segments, p->s->batches - batches);
    pair_close(p);
    pair_free(p);
}

/* A turn goes on when the socket was full, or others' packets came first. */
static void a_path_that_grows_in_the_middle_of_a_turn_does_not_burst_a_batch(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sim_request r = {.size = 0};
    p->w.net.mtu = 65507;
    pair_connect(p);
    for (unsigned i = 0; i < 3; i++) {
        pair_exchange(p, SIM_GET, 8 << 20); /* a large congestion window */
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    }
    struct alk_qconn *c = alk_qconn(p->server.conn);
    assert_int_equal(alk_qmtu_path(c), 16336);
    assert_true(ngtcp2_conn_get_cwnd_left(c->nc) > 2 * ALK_QUIC_BATCH);
    c->turn_left = 1500; /* enough for a packet of an Ethernet */
    check_err(sim_request_start(&r, &p->client, SIM_GET, 1 << 20), ALK_OK);
    assert_true(sim_run(&p->w, 10 * ALK_SECOND, sim_request_is_done, &r));
    assert_true(r.is_right);
    assert_int_equal(p->s->uneven, 0);
    pair_close(p);
    pair_free(p);
}

struct probes {
    struct pair *p;
    size_t larger, count;
};
static bool look_at_sizes(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                          size_t *n)
{
    struct probes *x = ctx;
    (void)to;
    (void)data;
    if (from == x->p->s) {
        x->larger += *n > 1200;
    }
    return true;
}

static void the_path_is_probed_for_larger_packets(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct probes x = {.p = p};
    p->w.tap = look_at_sizes;
    p->w.tap_ctx = &x;
    pair_connect(p);
    pair_exchange(p, SIM_GET, 4 << 20);
    assert_true(x.larger > 1000); /* found and used */
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    alk_conn_stats(p->server.conn, &stats);
    assert_in_range(stats.path_mtu, 1400, 1452);
    assert_true(stats.rtt >= 10 * ALK_MS && stats.rtt < 40 * ALK_MS);
    assert_true(stats.bytes_out > 4 << 20);
    pair_close(p);
    pair_free(p);
}

static bool count_servers(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                          size_t *n)
{
    struct probes *x = ctx;
    (void)to;
    (void)data;
    (void)n;
    x->count += from == x->p->s;
    return true;
}

static void an_answer_carries_its_acknowledgement(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct probes x = {.p = p};
    pair_connect(p);
    (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
    p->w.tap = count_servers;
    p->w.tap_ctx = &x;
    for (unsigned i = 0; i < 20; i++) {
        pair_exchange(p, SIM_ECHO, 100);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    }
    assert_in_range(x.count, 20, 65); /* 80 when each acknowledgement is a packet */
    pair_close(p);
    pair_free(p);
}

static void congestion_marks_are_sent(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct alk_quic_batch b = {.buf = test_malloc(ALK_QUIC_BATCH)};
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(alk_quic_send(p->c->q, p->w.now, &b));
    assert_int_equal(b.ecn, 2); /* ECT(0) */
    assert_true(b.serial != 0);
    assert_int_equal(b.n % b.segment, 0);
    assert_false(alk_quic_send(p->c->q, p->w.now, &b));
    assert_false(alk_quic_has_work(p->c->q));
    assert_true(alk_quic_deadline(p->c->q) < p->w.now + 5 * ALK_SECOND);
    test_free(b.buf);
    pair_free(p);
}

/* A clock that goes back is not believed. */
static void time_never_goes_back(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    alk_time now = p->w.now;
    p->w.now -= 500 * ALK_MS;
    pair_exchange(p, SIM_ECHO, 1000);
    alk_quic_tick(p->s->q, now - ALK_SECOND);
    p->w.now = now + ALK_SECOND;
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

/* --- hellos in pieces ------------------------------------------------------------------ */

struct swap {
    struct pair *p;
    uint8_t first[2048];
    size_t n;
    unsigned seen;
};
static bool second_first(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                         size_t *n)
{
    struct swap *s = ctx;
    if (from != s->p->c) {
        return true;
    }
    s->seen++;
    if (s->seen == 1) {
        memcpy(s->first, data, *n);
        s->n = *n;
        return false;
    }
    if (s->seen == 2) {
        sim_inject(&s->p->w, from, to, data, *n); /* one after the other, 1 ms away */
        sim_inject(&s->p->w, from, to, s->first, s->n);
        return false;
    }
    return true;
}

static void a_hello_in_two_pieces_in_the_wrong_order(void **state)
{
    (void)state;
    static char sni[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
                        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."
                        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc."
                        "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddd.test";
    static const char *const alpns[] = {"a111111111111111111111111111111",
                                        "b222222222222222222222222222222",
                                        "c333333333333333333333333333333",
                                        "d444444444444444444444444444444",
                                        "e555555555555555555555555555555",
                                        "f666666666666666666666666666666",
                                        "g777777777777777777777777777777",
                                        "sim/1",
                                        NULL};
    struct pair_options o = {.client_key = 4};
    struct pair *p = pair_new(&o);
    p->client.dial.sni = sni;
    p->client.dial.alpns = alpns;
    pair_connect(p); /* for a ticket, which makes the next hello longer */
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    check_err(sim_client_remember(&p->client), ALK_OK);
    pair_close(p);
    struct swap s = {.p = p};
    p->w.tap = second_first;
    p->w.tap_ctx = &s;
    pair_connect(p);
    assert_true(s.seen >= 2 && s.n >= 1200);
    assert_true(pair_stats(p->s).retries_sent <= 1);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

/* --- qlog --------------------------------------------------------------------------------- */

struct qlog {
    unsigned writes, ends, after_end;
    struct alk_conn *conn;
};
static void on_qlog(void *ctx, struct alk_conn *conn, struct alk_span data, bool is_end)
{
    struct qlog *q = ctx;
    (void)data;
    q->after_end += q->ends > 0;
    q->writes++;
    q->ends += is_end;
    q->conn = conn;
}

static struct qlog server_log;

static void with_qlog(struct pair *p)
{
    p->s->options.qlog = on_qlog;
    p->s->options.qlog_ctx = &server_log;
}

static void qlog_is_written_and_closed_once(void **state)
{
    (void)state;
    memset(&server_log, 0, sizeof server_log);
    struct pair_options o = {.tune = with_qlog};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    assert_true(server_log.writes > 10);
    assert_int_equal(server_log.ends, 0);
    pair_close(p);
    assert_int_equal(server_log.ends, 1);
    assert_int_equal(server_log.after_end, 0);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_fill_batches),
        cmocka_unit_test(without_offload_a_batch_is_a_packet),
        cmocka_unit_test(a_network_may_refuse_offload_at_any_time),
        cmocka_unit_test(a_path_that_grows_in_the_middle_of_a_turn_does_not_burst_a_batch),
        cmocka_unit_test(the_path_is_probed_for_larger_packets),
        cmocka_unit_test(an_answer_carries_its_acknowledgement),
        cmocka_unit_test(congestion_marks_are_sent),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(a_hello_in_two_pieces_in_the_wrong_order),
        cmocka_unit_test(qlog_is_written_and_closed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
