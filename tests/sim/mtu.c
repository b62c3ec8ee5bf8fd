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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_of_each_usual_path_is_found),
        cmocka_unit_test(large_probes_are_for_those_that_send_much),
        cmocka_unit_test(a_lost_probe_is_no_congestion),
        cmocka_unit_test(a_probe_that_the_system_refuses_is_not_repeated),
        cmocka_unit_test(an_interface_of_a_tunnel_is_found_as_its_path_is),
        cmocka_unit_test(large_packets_need_no_offload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
