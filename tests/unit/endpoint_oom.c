/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Memory that runs out while a node starts, reloads or dials: an error, no leak. */
#include "support/node.h"
#include "support/oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct node place;
static struct test_mem mem;

static const char config[] = "identity: {self_signed: true}\n"
                             "listen: [\"127.0.0.1:0\", \"[::1]:0\"]\n"
                             "auth: {peers: [{id: a, keys: [], scopes: [x]}]}\n"
                             "services: {echo: {}, private: {require: {scopes: [x]}}}\n";

static void quiet(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    (void)ctx;
    (void)level;
    (void)component;
    (void)line;
}

static void ignore_outcome(void *ctx, alk_err err, const char *message)
{
    alk_err *ret = ctx;
    (void)message;
    *ret = err;
}

/* A node that starts, reloads and is freed. */
static alk_err live(bool reloads)
{
    char data[96];
    char *message = NULL;
    struct alk_endpoint *ep = NULL;
    (void)snprintf(data, sizeof data, "%s/data", place.dir);
    struct alk_endpoint_options o = {.struct_size = sizeof o,
                                     .mem = &mem.mem,
                                     .config_file = place.config,
                                     .data_dir = data,
                                     .loops = 1,
                                     .no_spawner = true,
                                     .log = quiet};
    alk_err err = alk_endpoint_new(&o, &message, &ep);
    if (err == ALK_OK) {
        err = alk_router_add(alk_endpoint_router(ep), &node_echo_handler, NULL);
        err = err == ALK_OK ? alk_router_add(alk_endpoint_router(ep), &node_private_handler, NULL)
                            : err;
        err = err == ALK_OK ? alk_endpoint_start(ep, &message) : err;
    }
    if (err == ALK_OK && reloads) {
        alk_err reloaded = ALK_OK;
        alk_endpoint_reload(ep, ignore_outcome, &reloaded);
        for (int i = 0; i < 5; i++) {
            (void)alk_loop_run_once(alk_endpoint_loop(ep), 0);
        }
        alk_endpoint_free(ep);
        ep = NULL;
        err = reloaded;
    }
    alk_endpoint_free(ep);
    free(message);
    return err;
}

/* Each allocation fails once, or every step-th where there are many. */
static void sweep(bool reloads)
{
    test_mem_init(&mem, 0);
    assert_int_equal(live(reloads), ALK_OK);
    test_mem_check(&mem);
    size_t count = mem.allocs;
    size_t step = count / 400 + 1;
    size_t failures = 0;
    for (size_t at = 1; at <= count; at += step) {
        test_mem_init(&mem, at);
        failures += live(reloads) != ALK_OK ? 1 : 0;
        test_mem_check(&mem);
    }
    assert_true(failures > 0);
}

static void a_start_without_memory_leaves_nothing_behind(void **ctx)
{
    (void)ctx;
    sweep(false);
}

static void a_reload_without_memory_leaves_nothing_behind(void **ctx)
{
    (void)ctx;
    sweep(true);
}

/* --- the other side ------------------------------------------------------------- */

static bool is_over(void *ctx)
{
    const struct client *c = ctx;
    return c->has_end || c->has_reset || c->is_closed || c->is_failed;
}
static bool is_decided(void *ctx)
{
    const struct client *c = ctx;
    return c->conn != NULL || c->is_failed || c->is_closed;
}

/* One connection whose loop has this memory; what fails must end, not hang. */
static void talk(struct node *n, unsigned transport)
{
    static const char *const alpns[] = {"test/echo", NULL};
    struct client c = {.node = n};
    struct alk_dial_options o = client_options(n, alpns);
    if (alk_loop_new(&mem.mem, &n->client) != ALK_OK) {
        n->client = NULL;
        return;
    }
    o.transports = transport;
    o.connect_timeout = 300 * ALK_MS;
    o.idle_timeout = 300 * ALK_MS;
    if (alk_dial(n->client, &o, client_calls(), &c, &c.dial) == ALK_OK) {
        node_until(n, is_decided, &c);
        if (c.conn != NULL && client_try_send(&c, ALK_LIT("some bytes"), true) == ALK_OK) {
            node_until(n, is_over, &c);
        }
        client_close(&c);
    }
    alk_loop_free(n->client);
    n->client = NULL;
}

static void a_client_without_memory_fails_and_does_not_hang(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "");
    struct alk_loop *own = n.client;
    node_start(&n, NULL);
    for (unsigned transport = ALK_TRANSPORT_QUIC; transport <= ALK_TRANSPORT_TLS; transport++) {
        test_mem_init(&mem, 0);
        talk(&n, transport);
        test_mem_check(&mem);
        size_t count = mem.allocs;
        size_t step = count / 200 + 1;
        for (size_t at = 1; at <= count; at += step) {
            test_mem_init(&mem, at);
            talk(&n, transport);
            test_mem_check(&mem);
        }
    }
    n.client = own;
    node_fini(&n);
}

static int setup(void **ctx)
{
    (void)ctx;
    node_init(&place, config);
    return 0;
}
static int teardown(void **ctx)
{
    (void)ctx;
    node_fini(&place);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_without_memory_leaves_nothing_behind),
        cmocka_unit_test(a_reload_without_memory_leaves_nothing_behind),
        cmocka_unit_test(a_client_without_memory_fails_and_does_not_hang),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
