/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How large packets get: what the path carries is found, and costs little to find. */
#include "sim/pair.h"

static size_t path_mtu(struct alk_conn *conn)
{
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    alk_conn_stats(conn, &stats);
    return stats.path_mtu;
}

static struct pair *pair_on(size_t mtu)
{
    struct pair *p = pair_new(NULL);
    p->w.net.mtu = mtu;
    pair_connect(p);
    return p;
}

static void the_size_of_each_usual_path_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t mtu, want;
    } paths[] = {
        {"the least", 1200, 1200},      {"IPv6's least", 1232, 1232},
        {"a tunnel", 1342, 1342},       {"WireGuard", 1372, 1372},
        {"VXLAN", 1402, 1402},          {"fibre", 1406, 1402},
        {"PPPoE", 1444, 1444},          {"Ethernet", 1452, 1452},
        {"IPv4", 1472, 1452},           {"jumbo frames", 8952, 8848},
        {"a large cloud", 8848, 8848},  {"less than jumbo", 4000, 1452},
        {"the loopback", 65507, 16336},
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct pair *p = pair_on(paths[i].mtu);
        for (unsigned k = 0; k < 3; k++) {
            pair_exchange(p, SIM_GET, 1 << 20);
            (void)sim_run(&p->w, 2 * ALK_SECOND, NULL, NULL);
        }
        if (path_mtu(p->server.conn) != paths[i].want) {
            print_error("%s\n", paths[i].name);
        }
        assert_int_equal(path_mtu(p->server.conn), paths[i].want);
        pair_close(p);
        pair_free(p);
    }
}

struct sizes {
    struct pair *p;
    unsigned server, client; /* packets of more than an Ethernet carries */
};
static bool count_large(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                        size_t *n)
{
    struct sizes *x = ctx;
    (void)to;
    (void)data;
    x->server += from == x->p->s && *n > 1452;
    x->client += from == x->p->c && *n > 1452;
    return true;
}

static void probes_are_for_those_that_say_more_than_a_little(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
    assert_int_equal(path_mtu(p->server.conn), 1200);
    assert_int_equal(path_mtu(p->client.conn), 1200);
    pair_exchange(p, SIM_ECHO, 20000);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(path_mtu(p->server.conn), 1452);
    assert_int_equal(path_mtu(p->client.conn), 1452);
    pair_close(p);
    pair_free(p);
}

static void large_probes_are_for_those_that_send_much(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct sizes x = {.p = p};
    p->w.tap = count_large;
    p->w.tap_ctx = &x;
    pair_connect(p);
    for (unsigned i = 0; i < 20; i++) {
        pair_exchange(p, SIM_ECHO, 1000);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    }
    assert_int_equal(path_mtu(p->server.conn), 1452);
    assert_int_equal(path_mtu(p->client.conn), 1452);
    assert_int_equal(x.server + x.client, 0);
    pair_exchange(p, SIM_GET, 8 << 20);
    (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
    pair_exchange(p, SIM_GET, 8 << 20);
    assert_int_equal(x.server, 3); /* the first large one, and nothing after it */
    assert_int_equal(x.client, 0);
    pair_close(p);
    pair_free(p);
}

/* Time of a download, and the packets that were lost. */
static alk_time download(size_t mtu, size_t fixed, uint64_t *ret_lost)
{
    struct pair *p = pair_new(NULL);
    p->w.net.mtu = mtu;
    p->w.net.rate = 20000000;
    if (fixed != 0) {
        p->s->options.mtu = fixed;
        sim_node_stop(p->s);
        check_err(sim_node_start(p->s), ALK_OK);
    }
    pair_connect(p);
    uint64_t lost = p->w.lost;
    alk_time from = p->w.now;
    pair_exchange(p, SIM_GET, 8 << 20);
    from = p->w.now - from;
    *ret_lost = p->w.lost - lost;
    pair_close(p);
    pair_free(p);
    return from;
}

/* ngtcp2 does not take the loss of a probe for congestion: a download is as fast as
 * one that never probes. */
static void a_lost_probe_is_no_congestion(void **state)
{
    (void)state;
    uint64_t lost = 0;
    uint64_t lost_fixed = 0;
    alk_time fixed = download(1452, 1452, &lost_fixed);
    alk_time probing = download(1452, 0, &lost);
    assert_true(lost <= lost_fixed + 3);
    assert_true(probing < fixed + fixed / 10);
}

static void a_probe_that_the_system_refuses_is_not_repeated(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->s->interface = 1472;
    p->c->interface = 1472;
    p->w.net.mtu = 1472;
    pair_connect(p);
    pair_exchange(p, SIM_GET, 8 << 20);
    (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
    pair_exchange(p, SIM_GET, 8 << 20);
    assert_int_equal(p->s->oversize, 1);
    assert_int_equal(p->c->oversize, 0);
    assert_int_equal(path_mtu(p->server.conn), 1452);
    pair_close(p);
    pair_free(p);
}

/* A refused small probe has others behind it, which must be tried. */
static void an_interface_of_a_tunnel_is_found_as_its_path_is(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->s->interface = 1372;
    p->c->interface = 1372;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 100 << 10);
    (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
    pair_exchange(p, SIM_ECHO, 1000);
    assert_int_equal(path_mtu(p->server.conn), 1372);
    assert_int_equal(path_mtu(p->client.conn), 1372);
    pair_close(p);
    pair_free(p);
}

static void without_offload(struct pair *p)
{
    p->s->options.no_gso = true;
    p->c->options.no_gso = true;
}

static void large_packets_need_no_offload(void **state)
{
    (void)state;
    struct pair_options o = {.tune = without_offload};
    struct pair *p = pair_new(&o);
    p->w.net.mtu = 65507;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 8 << 20);
    assert_int_equal(path_mtu(p->server.conn), 16336);
    assert_int_equal(path_mtu(p->client.conn), 16336);
    assert_int_equal(p->s->largest_batch, 16336);
    pair_close(p);
    pair_free(p);
}

/* --- paths that get smaller ---------------------------------------------------------- */

/* Past the first cap, and any look. */
#define CAP_TIME (11 * ALK_SECOND)

/* Two seconds of no progress at the most, and what the rest takes in small packets. */
#define NOTICED (3 * ALK_SECOND)

static void a_path_that_gets_smaller_is_noticed(void **state)
{
    (void)state;
    static const struct {
        size_t from, to;
        enum sim_op op;
    } paths[] = {
        {1452, 1232, SIM_GET}, {1452, 1232, SIM_PUT},  {8848, 1452, SIM_GET},
        {8848, 1452, SIM_PUT}, {8848, 1200, SIM_ECHO}, {16336, 1452, SIM_GET},
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct pair *p = pair_on(paths[i].from);
        struct sim_request r = {.size = 0};
        p->w.net.rate = 20000000;
        pair_exchange(p, SIM_ECHO, 4 << 20);
        struct alk_conn *sender = paths[i].op == SIM_GET ? p->server.conn : p->client.conn;
        assert_int_equal(path_mtu(sender), paths[i].from);
        check_err(sim_request_start(&r, &p->client, paths[i].op, 4 << 20), ALK_OK);
        (void)sim_run(&p->w, 50 * ALK_MS, NULL, NULL);
        assert_false(r.is_done);
        p->w.net.mtu = paths[i].to;
        assert_true(sim_run(&p->w, NOTICED, sim_request_is_done, &r));
        assert_true(r.is_right);
        assert_int_equal(path_mtu(sender), 1200);
        pair_close(p);
        pair_free(p);
    }
}

/* Their acknowledgements keep ngtcp2's timer from running out. */
static void small_packets_that_pass_do_not_hide_it(void **state)
{
    (void)state;
    struct pair *p = pair_on(1452);
    struct sim_request r = {.size = 0};
    p->w.net.rate = 20000000;
    pair_exchange(p, SIM_GET, 4 << 20);
    check_err(sim_request_start(&r, &p->client, SIM_PUT, 4 << 20), ALK_OK);
    (void)sim_run(&p->w, 50 * ALK_MS, NULL, NULL);
    p->w.net.mtu = 1232;
    for (unsigned i = 0; i < 100 && !r.is_done; i++) {
        pair_exchange(p, SIM_ECHO, 100);
        (void)sim_run(&p->w, 20 * ALK_MS, sim_request_is_done, &r);
    }
    assert_true(r.is_right);
    pair_close(p);
    pair_free(p);
}

static void a_path_that_grows_again_is_used_again(void **state)
{
    (void)state;
    struct pair *p = pair_on(1452);
    pair_exchange(p, SIM_GET, 4 << 20);
    p->w.net.mtu = 1232;
    pair_exchange(p, SIM_GET, 4 << 20);
    assert_int_equal(path_mtu(p->server.conn), 1200);
    p->w.net.mtu = 1452;
    (void)sim_run(&p->w, CAP_TIME, NULL, NULL);
    pair_exchange(p, SIM_GET, 4 << 20);
    assert_int_equal(path_mtu(p->server.conn), 1452);
    pair_close(p);
    pair_free(p);
}

/* Larger ones are tried after 10, 40, 160 and 640 seconds, and cost each time what
 * the first time cost. */
static void a_path_that_stays_small_is_disturbed_ever_more_rarely(void **state)
{
    (void)state;
    struct pair *p = pair_on(1452);
    pair_exchange(p, SIM_GET, 4 << 20);
    p->w.net.mtu = 1200;
    p->w.net.rate = 100000;
    alk_time from = p->w.now;
    pair_exchange(p, SIM_GET, 8 << 20); /* 84 s at this rate */
    assert_true(p->w.now - from < 120 * ALK_SECOND);
    assert_int_equal(path_mtu(p->server.conn), 1200);
    pair_close(p);
    pair_free(p);
}

struct lifts {
    struct sim_request r;
    struct alk_conn *conn;
    size_t was;
    unsigned count;
};
static bool count_lifts(void *ctx)
{
    struct lifts *x = ctx;
    size_t n = path_mtu(x->conn);
    x->count += n > x->was && x->was == 1200;
    x->was = n;
    return sim_request_is_done(&x->r);
}

/* However much is on its way in small packets when that happens. */
static void nor_is_a_fast_one_disturbed_more_often(void **state)
{
    (void)state;
    struct pair *p = pair_on(1452);
    struct lifts x = {.conn = p->server.conn};
    pair_exchange(p, SIM_GET, 4 << 20);
    p->w.net.mtu = 1200;
    p->w.net.delay = 100 * ALK_MS;
    p->w.net.rate = 4000000;
    p->w.net.queue = ALK_SECOND;
    check_err(sim_request_start(&x.r, &p->client, SIM_GET, 100 << 20), ALK_OK);
    (void)sim_run(&p->w, 40 * ALK_SECOND, count_lifts, &x);
    assert_int_equal(x.count, 1);
    pair_free(p);
}

static void an_outage_is_mistaken_for_it_only_for_a_while(void **state)
{
    (void)state;
    struct pair *p = pair_on(8848);
    struct sim_request r = {.size = 0};
    p->w.net.rate = 20000000;
    pair_exchange(p, SIM_GET, 4 << 20);
    check_err(sim_request_start(&r, &p->client, SIM_GET, 4 << 20), ALK_OK);
    (void)sim_run(&p->w, 50 * ALK_MS, NULL, NULL);
    p->w.net.hole_from = p->w.now;
    p->w.net.hole_to = p->w.now + 4 * ALK_SECOND;
    assert_true(sim_run(&p->w, 20 * ALK_SECOND, sim_request_is_done, &r));
    assert_true(r.is_right);
    (void)sim_run(&p->w, CAP_TIME, NULL, NULL);
    pair_exchange(p, SIM_GET, 1 << 20);
    assert_int_equal(path_mtu(p->server.conn), 8848);
    pair_close(p);
    pair_free(p);
}

/* As long as large packets came through between them. */
static void each_outage_costs_no_more_than_the_first(void **state)
{
    (void)state;
    struct pair *p = pair_on(8848);
    p->w.net.rate = 20000000;
    pair_exchange(p, SIM_GET, 4 << 20);
    for (unsigned i = 0; i < 4; i++) {
        struct sim_request r = {.size = 0};
        check_err(sim_request_start(&r, &p->client, SIM_GET, 4 << 20), ALK_OK);
        (void)sim_run(&p->w, 50 * ALK_MS, NULL, NULL);
        p->w.net.hole_from = p->w.now;
        p->w.net.hole_to = p->w.now + 4 * ALK_SECOND;
        assert_true(sim_run(&p->w, 20 * ALK_SECOND, sim_request_is_done, &r));
        assert_int_equal(path_mtu(p->server.conn), 1200);
        (void)sim_run(&p->w, CAP_TIME, NULL, NULL);
        for (unsigned k = 0; k < 4; k++) {
            pair_exchange(p, SIM_GET, 1 << 20);
            (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
        }
        assert_int_equal(path_mtu(p->server.conn), 8848);
    }
    pair_close(p);
    pair_free(p);
}

/* Behind a NAT a new path has the old one's ID, and ngtcp2 takes its size over. */
static void a_rebinding_to_a_smaller_path_is_noticed(void **state)
{
    (void)state;
    struct pair *p = pair_on(8848);
    struct sim_request r = {.size = 0};
    p->w.net.rate = 20000000;
    pair_exchange(p, SIM_ECHO, 4 << 20);
    check_err(sim_request_start(&r, &p->client, SIM_ECHO, 4 << 20), ALK_OK);
    (void)sim_run(&p->w, 50 * ALK_MS, NULL, NULL);
    p->w.net.mtu = 1452;
    sim_rebind(p->c, true);
    assert_true(sim_run(&p->w, 2 * NOTICED, sim_request_is_done, &r));
    assert_true(r.is_right);
    pair_close(p);
    pair_free(p);
}

/* A new local address is a new path with a new ID: it starts at 1200 again. */
static void a_migration_to_a_smaller_path_starts_anew(void **state)
{
    (void)state;
    struct pair *p = pair_on(8848);
    pair_exchange(p, SIM_ECHO, 4 << 20);
    assert_int_equal(path_mtu(p->server.conn), 8848);
    p->w.net.mtu = 1372;
    p->c->addr2 = p->c->addr;
    p->c->addr2.ip[2]++;
    check_err(alk_quic_migrate(p->client.conn, &p->c->addr2, p->w.now), ALK_OK);
    alk_time from = p->w.now;
    pair_exchange(p, SIM_ECHO, 1 << 20);
    assert_true(p->w.now - from < ALK_SECOND);
    (void)sim_run(&p->w, 5 * ALK_SECOND, NULL, NULL);
    pair_exchange(p, SIM_ECHO, 1000);
    assert_int_equal(path_mtu(p->server.conn), 1372);
    assert_int_equal(path_mtu(p->client.conn), 1372);
    pair_close(p);
    pair_free(p);
}

static void an_interface_that_shrinks_is_noticed_at_once(void **state)
{
    (void)state;
    struct pair *p = pair_on(1452);
    pair_exchange(p, SIM_GET, 4 << 20);
    p->s->interface = 1232;
    alk_time from = p->w.now;
    pair_exchange(p, SIM_GET, 1 << 20);
    assert_true(p->w.now - from < ALK_SECOND);
    assert_in_range(p->s->oversize, 1, 2);
    assert_int_equal(path_mtu(p->server.conn), 1200);
    pair_close(p);
    pair_free(p);
}

/* --- paths that stay as they are ------------------------------------------------------- */

struct steady {
    struct pair *p;
    size_t least; /* that the path was held to carry, at any time */
};
static bool look_at_path(void *ctx)
{
    struct steady *x = ctx;
    size_t n = path_mtu(x->p->server.conn);
    size_t m = path_mtu(x->p->client.conn);
    x->least = n < x->least ? n : x->least;
    x->least = m < x->least ? m : x->least;
    return false;
}

static struct pair *pair_on_ethernet(void)
{
    struct pair *p = pair_on(1452);
    for (unsigned i = 0; i < 3; i++) {
        pair_exchange(p, SIM_ECHO, 20000);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    }
    return p;
}

/* A block of what is sent takes longer than anything should have to wait. */
static void a_slow_path_is_not_taken_for_a_smaller_one(void **state)
{
    (void)state;
    struct pair *p = pair_on_ethernet();
    struct steady x = {.p = p, .least = SIZE_MAX};
    struct sim_request r = {.size = 0};
    p->w.net.rate = 20000;
    p->w.net.queue = 150 * ALK_MS;
    check_err(sim_request_start(&r, &p->client, SIM_GET, 400000), ALK_OK);
    (void)sim_run(&p->w, 30 * ALK_SECOND, look_at_path, &x);
    assert_true(r.is_right);
    assert_int_equal(x.least, 1452);
    pair_close(p);
    pair_free(p);
}

/* A session that always has something under way, and little of it. */
static void a_stream_of_small_writes_is_not_taken_for_a_stuck_one(void **state)
{
    (void)state;
    static const uint8_t text[80];
    struct pair *p = pair_on_ethernet();
    struct steady x = {.p = p, .least = SIZE_MAX};
    struct sim_request r = {.keep_open = true};
    p->w.net.delay = 100 * ALK_MS;
    check_err(sim_request_start(&r, &p->client, SIM_HOLD, 0), ALK_OK);
    for (unsigned i = 0; i < 600; i++) {
        size_t took = 0;
        check_err(alk_stream_write(r.stream, alk_span(text, sizeof text), &took), ALK_OK);
        (void)sim_run(&p->w, 20 * ALK_MS, look_at_path, &x);
    }
    assert_int_equal(x.least, 1452);
    pair_close(p);
    pair_free(p);
}

/* --- datagrams ------------------------------------------------------------------------- */

/* Also one that has been refused: it is what waits for the larger size. */
static void a_datagram_asks_for_what_the_path_carries(void **state)
{
    (void)state;
    static const uint8_t data[1400];
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, sizeof data)), ALK_E_TOO_BIG);
    pair_exchange(p, SIM_ECHO, 10);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, sizeof data)), ALK_OK);
    assert_int_equal(path_mtu(p->server.conn), 1200);
    pair_close(p);
    pair_free(p);
}

static void datagrams_that_do_not_come_through_get_smaller(void **state)
{
    (void)state;
    static const uint8_t data[16336];
    struct pair *p = pair_on(8848);
    pair_exchange(p, SIM_ECHO, 4 << 20);
    size_t max = alk_conn_datagram_max(p->client.conn);
    assert_in_range(max, 8700, 8848);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, max)), ALK_OK);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, max + 1)), ALK_E_TOO_BIG);
    p->w.net.mtu = 1452;
    for (unsigned i = 0; i < 60 && alk_conn_datagram_max(p->client.conn) == max; i++) {
        check_err(alk_conn_datagram(p->client.conn, alk_span(data, max)), ALK_OK);
        (void)sim_run(&p->w, 50 * ALK_MS, NULL, NULL);
    }
    assert_in_range(alk_conn_datagram_max(p->client.conn), 1100, 1200);
    pair_close(p);
    pair_free(p);
}

/* Many small ones share a packet: it is the packet that does not come through. */
static void small_datagrams_in_large_packets_are_looked_after_too(void **state)
{
    (void)state;
    static const uint8_t data[400];
    struct pair *p = pair_on(8848);
    p->w.net.delay = 36 * ALK_MS;
    pair_exchange(p, SIM_ECHO, 4 << 20);
    assert_int_equal(path_mtu(p->client.conn), 8848);
    p->w.net.mtu = 1452;
    for (unsigned i = 0; i < 30 && path_mtu(p->client.conn) != 1200; i++) {
        for (unsigned k = 0; k < 10; k++) {
            check_err(alk_conn_datagram(p->client.conn, alk_span(data, sizeof data)), ALK_OK);
        }
        (void)sim_run(&p->w, 100 * ALK_MS, NULL, NULL);
    }
    assert_int_equal(path_mtu(p->client.conn), 1200);
    uint64_t before = p->server.datagrams;
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, sizeof data)), ALK_OK);
    (void)sim_run(&p->w, 100 * ALK_MS, NULL, NULL);
    assert_true(p->server.datagrams > before);
    pair_close(p);
    pair_free(p);
}

static void waiting_datagrams_are_bounded_in_bytes_too(void **state)
{
    (void)state;
    static const uint8_t data[16000];
    struct pair *p = pair_on(65507);
    pair_exchange(p, SIM_ECHO, 8 << 20);
    for (unsigned i = 0; i < 64; i++) {
        check_err(alk_conn_datagram(p->client.conn, alk_span(data, sizeof data)), ALK_OK);
    }
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    alk_conn_stats(p->client.conn, &stats);
    assert_int_equal(stats.datagrams_dropped, 64 - 128 * 1024 / sizeof data);
    pair_close(p);
    pair_free(p);
}

static void waiting_datagrams_count_as_memory(void **state)
{
    (void)state;
    static const uint8_t data[16000];
    struct pair *p = pair_on(65507);
    pair_exchange(p, SIM_ECHO, 8 << 20);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    size_t before = pair_stats(p->c).memory;
    for (unsigned i = 0; i < 8; i++) {
        check_err(alk_conn_datagram(p->client.conn, alk_span(data, sizeof data)), ALK_OK);
    }
    assert_int_equal(pair_stats(p->c).memory, before + 8 * sizeof data);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_true(pair_stats(p->c).memory <= before);
    check_err(alk_conn_datagram(p->client.conn, alk_span(data, sizeof data)), ALK_OK);
    pair_close(p);
    assert_int_equal(pair_stats(p->c).memory, 0);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_of_each_usual_path_is_found),
        cmocka_unit_test(probes_are_for_those_that_say_more_than_a_little),
        cmocka_unit_test(large_probes_are_for_those_that_send_much),
        cmocka_unit_test(a_lost_probe_is_no_congestion),
        cmocka_unit_test(a_probe_that_the_system_refuses_is_not_repeated),
        cmocka_unit_test(an_interface_of_a_tunnel_is_found_as_its_path_is),
        cmocka_unit_test(large_packets_need_no_offload),
        cmocka_unit_test(a_path_that_gets_smaller_is_noticed),
        cmocka_unit_test(small_packets_that_pass_do_not_hide_it),
        cmocka_unit_test(a_path_that_grows_again_is_used_again),
        cmocka_unit_test(a_path_that_stays_small_is_disturbed_ever_more_rarely),
        cmocka_unit_test(nor_is_a_fast_one_disturbed_more_often),
        cmocka_unit_test(an_outage_is_mistaken_for_it_only_for_a_while),
        cmocka_unit_test(each_outage_costs_no_more_than_the_first),
        cmocka_unit_test(a_rebinding_to_a_smaller_path_is_noticed),
        cmocka_unit_test(a_migration_to_a_smaller_path_starts_anew),
        cmocka_unit_test(an_interface_that_shrinks_is_noticed_at_once),
        cmocka_unit_test(a_datagram_asks_for_what_the_path_carries),
        cmocka_unit_test(a_slow_path_is_not_taken_for_a_smaller_one),
        cmocka_unit_test(a_stream_of_small_writes_is_not_taken_for_a_stuck_one),
        cmocka_unit_test(datagrams_that_do_not_come_through_get_smaller),
        cmocka_unit_test(small_datagrams_in_large_packets_are_looked_after_too),
        cmocka_unit_test(waiting_datagrams_are_bounded_in_bytes_too),
        cmocka_unit_test(waiting_datagrams_count_as_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
