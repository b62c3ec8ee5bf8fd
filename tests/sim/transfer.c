/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Transfers over a bad network: whatever it does, the bytes are equal.
 *
 *   sim_transfer                one seed of each impairment
 *   sim_transfer --soak         200 seeds of 4 MiB, then 1 GiB; so does ALK_SOAK=1
 *   ALK_SEED=n sim_transfer     that seed
 */
#include "sim/lib/apps.h"
#include "support/oom.h"

#define MIB ((uint64_t)1024 * 1024)

static bool is_soak;

static uint64_t first_seed(void)
{
    const char *text = getenv("ALK_SEED");
    uint64_t seed = 1;
    if (text != NULL) {
        (void)alk_span_u64(alk_span_str(text), UINT64_MAX, &seed);
    }
    return seed;
}

struct plan {
    const char *name;
    struct sim_net net;
    alk_time rebind_every; /* 0: never */
    bool has_new_ip, has_fixed_mtu;
};

static const struct plan plans[] = {
    {"a clean line", {.delay = 5 * ALK_MS}, 0, false, false},
    {"loss of 1 %", {.loss = 10000, .delay = 5 * ALK_MS}, 0, false, false},
    {"loss of 5 %", {.loss = 50000, .delay = 2 * ALK_MS}, 0, false, false},
    {"loss of 15 %", {.loss = 150000, .delay = 2 * ALK_MS}, 0, false, false},
    {"reordering", {.reorder = 100000, .delay = 5 * ALK_MS}, 0, false, false},
    {"duplication", {.dup = 100000, .delay = 5 * ALK_MS}, 0, false, false},
    {"corruption", {.corrupt = 20000, .delay = 5 * ALK_MS}, 0, false, false},
    {"a rate of 2 MB/s and a short queue",
     {.rate = 2000000, .queue = 20 * ALK_MS, .delay = 10 * ALK_MS},
     0,
     false,
     false},
    {"jitter", {.jitter = 20 * ALK_MS, .delay = 10 * ALK_MS}, 0, false, false},
    {"a path of 1200 bytes", {.mtu = 1200, .delay = 5 * ALK_MS}, 0, false, true},
    {"a path of 1200 bytes that must be found out",
     {.mtu = 1200, .delay = 5 * ALK_MS},
     0,
     false,
     false},
    {"ports that change", {.delay = 5 * ALK_MS, .rate = 2000000}, 100 * ALK_MS, false, false},
    {"addresses that change", {.delay = 5 * ALK_MS, .rate = 2000000}, 100 * ALK_MS, true, false},
    {"a second of silence",
     {.delay = 5 * ALK_MS,
      .hole_from = SIM_START + 60 * ALK_MS,
      .hole_to = SIM_START + 1060 * ALK_MS},
     0,
     false,
     false},
    {"everything at once",
     {.loss = 30000,
      .dup = 30000,
      .reorder = 50000,
      .corrupt = 5000,
      .jitter = 5 * ALK_MS,
      .delay = 10 * ALK_MS,
      .rate = 8000000},
     700 * ALK_MS,
     true,
     false},
};

struct setup {
    struct test_mem mem;
    struct sim_world world;
    struct sim_server server;
    struct sim_client client;
    struct sim_request up, down;
};

static void open_both(struct sim_client *c)
{
    struct setup *t = c->ctx;
    check_err(sim_request_start(&t->up, c, SIM_PUT, t->up.size), ALK_OK);
    check_err(sim_request_start(&t->down, c, SIM_GET, t->down.size), ALK_OK);
}

static bool both_done(void *ctx)
{
    struct setup *t = ctx;
    return t->client.is_closed || (t->up.is_done && t->down.is_done);
}

/* One connection, size bytes up and size bytes down at the same time. */
static void transfer(const struct plan *plan, uint64_t seed, uint64_t size)
{
    struct setup *t = test_calloc(1, sizeof *t);
    test_mem_init(&t->mem, 0);
    sim_world_init(&t->world, &t->mem.mem, seed);
    t->world.net = plan->net;
    struct sim_node *s = sim_node_add(&t->world, 1, 4433);
    struct sim_node *c = sim_node_add(&t->world, 2, 5000);
    check_err(sim_server_init(&t->server, s, NULL), ALK_OK);
    s->options.mtu = plan->has_fixed_mtu ? 1200 : 0;
    c->options.mtu = s->options.mtu;
    check_err(sim_node_start(s), ALK_OK);
    check_err(sim_node_start(c), ALK_OK);
    check_err(sim_client_init(&t->client, c, &t->server, 7, "sim/1"), ALK_OK);
    t->client.ctx = t;
    t->client.on_open = open_both;
    t->up.size = size;
    t->down.size = size;
    check_err(sim_client_connect(&t->client, s), ALK_OK);

    unsigned rebinds = 0;
    alk_time step = plan->rebind_every == 0 ? 3600 * ALK_SECOND : plan->rebind_every;
    bool done = false;
    for (unsigned i = 0; !done && i < 2000; i++) {
        done = sim_run(&t->world, step, both_done, t);
        /* [RFC 9000 §9] nobody may move before the handshake is confirmed */
        if (plan->rebind_every != 0 && !done && i < 20 && t->client.is_confirmed) {
            sim_rebind(c, plan->has_new_ip);
            rebinds++;
        }
        if (plan->rebind_every == 0) {
            break;
        }
    }
    if (!t->up.is_right || !t->down.is_right) {
        print_error("%s, seed %llu: closed %d (%s), up %llu, down %llu of %llu, at %llu ms\n",
                    plan->name, (unsigned long long)seed, t->client.is_closed,
                    alk_err_name(t->client.close_err), (unsigned long long)t->up.sent,
                    (unsigned long long)t->down.got, (unsigned long long)size,
                    (unsigned long long)((t->world.now - SIM_START) / ALK_MS));
    }
    if (getenv("ALK_VERBOSE") != NULL) {
        print_message("%-45s %6llu ms, %5llu packets, %4llu lost, largest batch %zu\n", plan->name,
                      (unsigned long long)((t->world.now - SIM_START) / ALK_MS),
                      (unsigned long long)t->world.sent, (unsigned long long)t->world.lost,
                      s->largest_batch);
    }
    assert_true(t->up.is_right && t->down.is_right);
    assert_int_equal(s->uneven + c->uneven, 0);
    if (rebinds > 0) {
        struct alk_quic_stats stats;
        alk_quic_get_stats(s->q, &stats);
        assert_true(stats.migrations > 0);
    }
    sim_world_fini(&t->world);
    sim_client_fini(&t->client);
    sim_server_fini(&t->server);
    test_mem_check(&t->mem);
    test_free(t);
}

static void bytes_arrive_over_any_network(void **state)
{
    (void)state;
    uint64_t seed = first_seed();
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        transfer(&plans[i], seed + i, is_soak ? 4 * MIB : MIB);
    }
}

/* 200 seeds, each with a plan of its own made from the seed. */
static void two_hundred_seeds(void **state)
{
    (void)state;
    if (!is_soak) {
        skip();
    }
    uint64_t seed = first_seed();
    for (uint64_t i = 0; i < 200; i++) {
        struct alk_prng g;
        alk_prng_init(&g, seed + i);
        struct alk_rand r = alk_prng_rand(&g);
        struct plan p = {.name = "random"};
        p.net.loss = (uint32_t)alk_rand_below(&r, 150001);
        p.net.dup = (uint32_t)alk_rand_below(&r, 50001);
        p.net.reorder = (uint32_t)alk_rand_below(&r, 100001);
        p.net.delay = (1 + alk_rand_below(&r, 40)) * ALK_MS;
        p.net.jitter = alk_rand_below(&r, 10) * ALK_MS + 1;
        p.net.mtu = alk_rand_below(&r, 3) == 0 ? 1200 : 1500;
        p.rebind_every = alk_rand_below(&r, 3) == 0 ? 500 * ALK_MS : 0;
        p.has_new_ip = alk_rand_below(&r, 2) == 0;
        transfer(&p, seed + i, 4 * MIB);
    }
}

static void a_gibibyte(void **state)
{
    (void)state;
    if (!is_soak) {
        skip();
    }
    struct plan p = {.name = "1 GiB", .net = {.loss = 1000, .delay = 5 * ALK_MS}};
    transfer(&p, first_seed(), 1024 * MIB);
}

int main(int argc, char **argv)
{
    is_soak = getenv("ALK_SOAK") != NULL || (argc > 1 && strcmp(argv[1], "--soak") == 0);
    print_message("seed %llu\n", (unsigned long long)first_seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_over_any_network),
        cmocka_unit_test(two_hundred_seeds),
        cmocka_unit_test(a_gibibyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
