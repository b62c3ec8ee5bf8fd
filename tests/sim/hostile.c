/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Peers and networks that mean harm: nothing crashes, leaks or runs away. */
#include "sim/pair.h"

static void noise(struct pair *p, uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        data[i] = (uint8_t)sim_random(&p->w, 256);
    }
}

static void garbage_is_counted_and_dropped(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    uint8_t data[2048];
    pair_connect(p);
    for (unsigned i = 0; i < 3000; i++) {
        size_t n = sim_random(&p->w, sizeof data);
        noise(p, data, n);
        if (i % 3 == 0 && n > 6) { /* looks like a first packet of ours */
            data[0] = (uint8_t)(0xc0 | (data[0] & 0x0f));
            memcpy(data + 1, "\0\0\0\1", 4);
            data[5] = 8;
        }
        sim_inject(&p->w, p->c, p->s, data, n);
        (void)sim_run(&p->w, ALK_MS, NULL, NULL);
    }
    struct alk_quic_stats stats = pair_stats(p->s);
    assert_true(stats.dropped_garbage > 100);
    assert_int_equal(stats.connections, 1);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

/* Real packets, changed in every way; a copy, so that the connection goes on. */
struct mangle {
    struct pair *p;
    unsigned depth;
};
static bool mangle(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data, size_t *n)
{
    struct mangle *m = ctx;
    uint8_t copy[2048];
    if (*n > sizeof copy) {
        return true;
    }
    memcpy(copy, data, *n);
    size_t size = *n;
    struct sim_world *w = &m->p->w;
    switch (sim_random(w, 5)) {
    case 0:
        copy[sim_random(w, size)] ^= (uint8_t)(1 + sim_random(w, 255));
        break;
    case 1:
        size = 1 + sim_random(w, size);
        break;
    case 2:
        copy[sim_random(w, size < 40 ? size : 40)] = (uint8_t)sim_random(w, 256);
        break;
    case 3:
        copy[0] ^= 0x80;
        break;
    default:
        break; /* an exact copy */
    }
    sim_inject(w, from, to, copy, size);
    return true;
}

static void mangled_copies_of_every_packet_do_no_harm(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct mangle m = {.p = p};
    p->w.tap = mangle;
    p->w.tap_ctx = &m;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 300000);
    pair_exchange(p, SIM_PUT, 300000);
    pair_close(p);
    pair_free(p);
}

/* A Retry and a version negotiation that nobody asked for. */
static void forged_retry_and_versions_change_nothing(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    uint8_t data[200];
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    for (unsigned i = 0; i < 200; i++) {
        noise(p, data, sizeof data);
        data[0] = (uint8_t)(0xf0 | (i & 0x0f)); /* Retry */
        memcpy(data + 1, i % 2 == 0 ? "\0\0\0\1" : "\0\0\0\0", 4);
        data[5] = ALK_QUIC_CID_LEN;
        sim_inject(&p->w, p->s, p->c, data, sizeof data);
    }
    assert_true(sim_run(&p->w, 5 * ALK_SECOND, sim_client_is_confirmed, &p->client));
    assert_false(p->client.is_closed);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

/* Initials from many addresses, none of which ever answers. */
static bool only_to_server(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                           size_t *n)
{
    struct pair *p = ctx;
    (void)from;
    (void)data;
    (void)n;
    return to == p->s;
}

struct grab {
    struct pair *p;
    uint8_t data[2048];
    size_t n;
};
static bool grab_first(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                       size_t *n)
{
    struct grab *g = ctx;
    (void)to;
    if (from == g->p->c && g->n == 0 && *n <= sizeof g->data) {
        memcpy(g->data, data, *n);
        g->n = *n;
    }
    return true;
}

static void a_flood_of_initials_is_bounded(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct grab g = {.p = p};
    p->w.tap = grab_first;
    p->w.tap_ctx = &g;
    pair_connect(p);
    assert_true(g.n >= 1200);
    pair_close(p);
    p->w.tap = only_to_server;
    p->w.tap_ctx = p;
    size_t most = 0;
    for (unsigned i = 0; i < 5000; i++) {
        struct alk_addr a = {.family = 4,
                             .ip = {172, 16, (uint8_t)(i >> 8), (uint8_t)i},
                             .port = (uint16_t)(1024 + i)};
        g.data[6] ^= (uint8_t)i; /* the keys are the ID's: these do not decrypt */
        sim_inject_from(&p->w, &a, p->s, g.data, g.n);
        if (i % 50 == 0) {
            (void)sim_run(&p->w, 2 * ALK_MS, NULL, NULL);
        }
        size_t now = pair_stats(p->s).memory;
        most = now > most ? now : most;
    }
    (void)sim_run(&p->w, 60 * ALK_SECOND, NULL, NULL);
    assert_true(most < ((size_t)32 << 20));
    assert_int_equal(pair_stats(p->s).connections, 0);
    p->w.tap = NULL;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

static void eight_per_address(struct pair *p)
{
    p->s->options.limits.connections_per_ip = 8;
}

/* Nothing reaches the second node: its first packets are somebody's who only claims
 * its address. */
static bool not_to_third(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                         size_t *n)
{
    const struct pair *p = ctx;
    (void)from;
    (void)data;
    (void)n;
    return to != &p->w.nodes[2];
}

static void forged_initials_leave_an_address_all_its_places(void **state)
{
    (void)state;
    struct pair_options o = {.tune = eight_per_address};
    struct pair *p = pair_new(&o);
    struct sim_client forged[10];
    struct sim_node *x = sim_node_add(&p->w, 2, 6000); /* the victim's address */
    check_err(sim_node_start(x), ALK_OK);
    p->w.tap = not_to_third;
    p->w.tap_ctx = p;
    for (size_t i = 0; i < 10; i++) {
        check_err(sim_client_init(&forged[i], x, &p->server, 0, "sim/1"), ALK_OK);
        check_err(sim_client_connect(&forged[i], p->s), ALK_OK);
    }
    (void)sim_run(&p->w, 100 * ALK_MS, NULL, NULL);
    assert_int_equal(pair_stats(p->s).handshaking, 4);
    assert_true(pair_stats(p->s).retries_sent >= 6);
    pair_connect(p); /* through a Retry, as are all while that lasts */
    for (size_t i = 0; i < 8; i++) {
        (void)pair_more(p);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
        assert_true(p->more[i].is_closed == (i == 7)); /* the ninth is one too many */
    }
    assert_int_equal(pair_stats(p->s).handshaking, 4);
    assert_int_equal(p->server.opens, 8);
    (void)sim_run(&p->w, 20 * ALK_SECOND, NULL, NULL);
    assert_int_equal(pair_stats(p->s).handshaking, 0);
    pair_stop(p);
    for (size_t i = 0; i < 10; i++) {
        sim_client_fini(&forged[i]);
    }
    pair_free(p);
}

/* --- memory that runs out ------------------------------------------------------------ */

/* A whole life with allocation number fail_at failing; ends well or with an error,
 * but in order. Returns how many allocations there were. */
static size_t life(size_t fail_at)
{
    struct test_mem mem;
    struct sim_world w;
    struct sim_server server = {.tls = NULL};
    struct sim_client client = {.node = NULL};
    test_mem_init(&mem, 0);
    sim_world_init(&w, &mem.mem, 1);
    struct sim_node *s = sim_node_add(&w, 1, 4433);
    struct sim_node *c = sim_node_add(&w, 2, 5000);
    check_err(sim_server_init(&server, s, NULL), ALK_OK);
    check_err(sim_client_init(&client, c, &server, 3, "sim/1"), ALK_OK);
    check_err(sim_node_start(s), ALK_OK);
    check_err(sim_node_start(c), ALK_OK);
    size_t before = mem.allocs;
    mem.fail_at = fail_at == 0 ? 0 : before + fail_at;
    struct sim_request r = {.size = 0};
    if (sim_client_connect(&client, s) == ALK_OK) {
        (void)sim_run(&w, 2 * ALK_SECOND, sim_client_is_confirmed, &client);
    }
    if (client.is_open && !client.is_closed &&
        sim_request_start(&r, &client, SIM_ECHO, 3000) == ALK_OK) {
        (void)sim_run(&w, 2 * ALK_SECOND, sim_request_is_done, &r);
    }
    if (client.is_open && !client.is_closed) {
        (void)!alk_conn_datagram(client.conn, ALK_LIT("x"));
        alk_conn_close(client.conn, 0, alk_span(NULL, 0));
    }
    (void)sim_run(&w, 20 * ALK_SECOND, NULL, NULL);
    size_t used = mem.allocs - before;
    mem.fail_at = 0;
    sim_world_fini(&w);
    sim_client_fini(&client);
    sim_server_fini(&server);
    test_mem_check(&mem);
    return used;
}

static void no_allocation_is_trusted(void **state)
{
    (void)state;
    size_t n = life(0);
    assert_true(n > 100);
    for (size_t i = 1; i <= n; i++) {
        (void)life(i);
    }
}

/* --- amplification ---------------------------------------------------------------------- */

/* Whoever lives at the address that a packet claims to come from hears what the server
 * answers, and says nothing. */
struct victim {
    struct pair *p;
    unsigned allow; /* packets in its name that still reach the server */
    uint64_t in, out;
};
static bool in_its_name(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                        size_t *n)
{
    struct victim *v = ctx;
    (void)to;
    (void)data;
    if (from == v->p->c) {
        bool passes = v->allow > 0;
        v->allow -= passes ? 1 : 0;
        v->in += passes ? *n : 0;
        return passes;
    }
    v->out += v->in > 0 ? *n : 0;
    return false;
}

/* [RFC 9000 §8.1] no more than three times what came from an address that is not
 * validated */
static void an_initial_is_answered_with_three_times_its_size_at_most(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost", NULL};
    for (unsigned i = 0; i < 2; i++) {
        struct pair_options o = {.server.names = i == 0 ? NULL : names};
        struct pair *p = pair_new(&o);
        struct victim v = {.p = p, .allow = 1};
        p->w.net.mtu = 65507;
        p->w.tap = in_its_name;
        p->w.tap_ctx = &v;
        check_err(sim_client_connect(&p->client, p->s), ALK_OK);
        (void)sim_run(&p->w, 60 * ALK_SECOND, NULL, NULL);
        assert_int_equal(v.in, 1200);
        assert_in_range(v.out, 1, 3 * v.in);
        pair_free(p);
    }
}

/* [RFC 9000 §9.3.1] nor to the address that a connection seems to move to: neither
 * probes nor large packets */
static void a_move_in_a_foreign_name_brings_it_three_times_its_size_at_most(void **state)
{
    (void)state;
    static const enum sim_op ops[] = {SIM_GET, SIM_PUT, SIM_ECHO};
    for (unsigned i = 0; i < 24; i++) {
        struct pair *p = pair_new(NULL);
        struct sim_request r = {.size = 0};
        struct victim v = {.p = p, .allow = 1 + i / 6};
        p->w.net.mtu = i % 2 == 0 ? 65507 : 1452;
        p->w.net.rate = 20000000;
        pair_connect(p);
        pair_exchange(p, SIM_ECHO, 4 << 20);
        check_err(sim_request_start(&r, &p->client, ops[i / 2 % 3], 4 << 20), ALK_OK);
        (void)sim_run(&p->w, 50 * ALK_MS, NULL, NULL);
        p->w.tap = in_its_name;
        p->w.tap_ctx = &v;
        sim_rebind(p->c, i % 4 < 2);
        (void)sim_run(&p->w, 50 * ALK_SECOND, NULL, NULL);
        assert_true(v.in > 0);
        assert_true(v.out <= 3 * v.in);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_is_counted_and_dropped),
        cmocka_unit_test(mangled_copies_of_every_packet_do_no_harm),
        cmocka_unit_test(forged_retry_and_versions_change_nothing),
        cmocka_unit_test(a_flood_of_initials_is_bounded),
        cmocka_unit_test(forged_initials_leave_an_address_all_its_places),
        cmocka_unit_test(no_allocation_is_trusted),
        cmocka_unit_test(an_initial_is_answered_with_three_times_its_size_at_most),
        cmocka_unit_test(a_move_in_a_foreign_name_brings_it_three_times_its_size_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
