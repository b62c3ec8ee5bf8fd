/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A node that serves: both transports, ALPNs, identities, loops, addresses. */
#include "support/node.h"

#include "base/text.h"
#include "core/endpoint.h"
#include "core/tls/key.h"

#include <stdio.h>
#include <stdlib.h>

static const unsigned transports[] = {ALK_TRANSPORT_QUIC, ALK_TRANSPORT_TLS};
static uint8_t data[300000];

static int fill_data(void **ctx)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    return 0;
}

static void a_stream_comes_back_over_both_transports(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "");
    node_start(&n, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        client_open(&c, &n, "test/echo", transports[i], NULL);
        assert_non_null(c.conn);
        assert_int_equal(alk_conn_transport(c.conn), transports[i]);
        client_echo(&c, alk_span(data, sizeof data));
        client_close(&c);
    }
    node_fini(&n);
}

/* --- ALPNs ---------------------------------------------------------------- */

#define MANY 20

static void twenty_services_are_told_apart_and_no_other_is_served(void **ctx)
{
    (void)ctx;
    static struct alk_alpn alpns[MANY];
    static struct alk_handler handlers[MANY];
    static char names[MANY][32];
    const struct alk_handler *list[MANY + 1] = {NULL};
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "many%zu", i);
        alpns[i] = (struct alk_alpn){names[i], ALK_TRANSPORT_ANY};
        handlers[i] = node_echo_handler;
        handlers[i].name = names[i];
        handlers[i].alpns = &alpns[i];
        list[i] = &handlers[i];
    }
    alpns[3].transports = ALK_TRANSPORT_QUIC;
    struct node n;
    node_init(&n, "");
    node_start(&n, list);
    for (size_t i = 0; i < MANY; i++) {
        struct client c;
        client_open(&c, &n, names[i], ALK_TRANSPORT_QUIC, NULL);
        assert_string_equal(alk_conn_auth(c.conn)->alpn, names[i]);
        client_close(&c);
        client_open(&c, &n, names[i], ALK_TRANSPORT_TLS, NULL);
        assert_int_equal(c.is_failed, i == 3);
        client_close(&c);
    }
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        client_open(&c, &n, "nobody/serves-this", transports[i], NULL);
        assert_true(c.is_failed);
        assert_int_equal(c.err, ALK_E_NO_ALPN);
        assert_non_null(strstr(c.message, "does not serve 'nobody/serves-this'"));
    }
    node_fini(&n);
}

/* --- ends ----------------------------------------------------------------- */

/* Writes, and breaks off once the peer has finished. */
static void on_broken(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct alk_span in;
    (void)ctx;
    (void)events;
    while (alk_stream_peek(stream, &in) == ALK_OK) {
        size_t took = 0;
        assert_int_equal(alk_stream_write(stream, in, &took), ALK_OK);
        alk_stream_consume(stream, in.n);
        alk_stream_reset(stream, ALK_CODE_EXIT);
    }
}
static alk_err broken_stream(void *state, struct alk_stream *stream)
{
    (void)state;
    alk_stream_on(stream, on_broken, NULL);
    return ALK_OK;
}

static bool has_outcome(void *ctx)
{
    const struct client *c = ctx;
    return c->has_end || c->has_reset || c->is_closed;
}

static void what_is_broken_off_is_never_taken_for_an_end(void **ctx)
{
    (void)ctx;
    static const struct alk_alpn alpns[] = {{"test/broken", ALK_TRANSPORT_ANY}};
    struct alk_handler handler = node_echo_handler;
    const struct alk_handler *handlers[] = {&handler, NULL};
    struct node n;
    handler.name = "broken";
    handler.alpns = alpns;
    handler.stream = broken_stream;
    node_init(&n, "");
    node_start(&n, handlers);
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        client_open(&c, &n, "test/broken", transports[i], NULL);
        client_send(&c, alk_span(data, 1000), true);
        node_until(&n, has_outcome, &c);
        assert_false(c.has_end);
        assert_true(c.has_reset || (c.is_closed && c.err != ALK_OK));
        if (i == 0) {
            assert_int_equal(c.reset_code, ALK_CODE_EXIT);
        }
        client_close(&c);
    }
    node_fini(&n);
}

/* --- identity ------------------------------------------------------------- */

static struct alk_key *make_key(uint8_t first)
{
    uint8_t seed[32] = {first};
    struct alk_key *key = NULL;
    assert_int_equal(alk_key_new(NULL, seed, &key), ALK_OK);
    return key;
}

static void write_peer(char *yaml, size_t size, const struct alk_key *key, const char *more)
{
    char hex[ALK_HEX_SIZE(32)];
    assert_true(alk_hex(alk_span(alk_key_public(key), 32), hex, sizeof hex));
    (void)snprintf(yaml, size, "auth:\n  peers:\n    - {id: friend, keys: [\"ed25519:%s\"]%s}\n",
                   hex, more);
}

static void a_known_key_opens_what_others_do_not_get(void **ctx)
{
    (void)ctx;
    char yaml[400];
    struct alk_key *friend = make_key(1);
    struct alk_key *stranger = make_key(2);
    struct node n;
    write_peer(yaml, sizeof yaml, friend, "");
    node_init(&n, yaml);
    node_start(&n, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        client_open(&c, &n, "test/private", transports[i], friend);
        client_echo(&c, alk_span(data, 1000));
        client_close(&c);

        client_open(&c, &n, "test/private", transports[i], stranger);
        client_wait_closed(&c);
        assert_int_equal(c.code, ALK_CODE_AUTH);
        client_open(&c, &n, "test/private", transports[i], NULL);
        client_wait_closed(&c);
        assert_int_equal(c.code, ALK_CODE_AUTH);
    }
    assert_true(node_logged(&n, "alknet: auth failure addr=127.0.0.1 alpn=test/private method=key "
                                "reason=unknown"));
    assert_true(node_logged(&n, "method=none reason=no-credential"));
    node_fini(&n);
    alk_key_free(friend);
    alk_key_free(stranger);
}

static void an_address_that_failed_too_often_is_refused_on_both_transports(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "limits: {auth_failures: 3}\n");
    node_start(&n, NULL);
    struct client c;
    for (int i = 0; i < 3; i++) {
        client_open(&c, &n, "test/private", ALK_TRANSPORT_QUIC, NULL);
        client_wait_closed(&c);
        assert_int_equal(c.code, ALK_CODE_AUTH);
    }
    for (size_t i = 0; i < 2; i++) {
        client_open(&c, &n, "test/echo", transports[i], NULL);
        assert_true(c.is_failed);
    }
    node_fini(&n);
}

/* --- addresses ------------------------------------------------------------ */

static void ipv6_and_ipv4_share_one_number_that_was_free(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "");
    n.extra_listen[0] = "127.0.0.1:0";
    n.extra_listen[1] = "[::1]:0";
    node_start(&n, NULL);
    char want[64];
    (void)snprintf(want, sizeof want, "[::1]:%u", (unsigned)node_port(&n));
    assert_string_equal(alk_endpoint_address(n.ep, 1), want);
    assert_null(alk_endpoint_address(n.ep, 2));
    for (size_t i = 0; i < 2; i++) {
        const char *alpns[] = {"test/echo", NULL};
        struct alk_dial_options o = client_options(&n, alpns);
        struct client c;
        o.host = "::1";
        o.transports = transports[i];
        client_dial(&c, &n, &o);
        while (c.conn == NULL && !c.is_failed) {
            node_turn(&n, 100);
        }
        assert_non_null(strstr(alk_conn_auth(c.conn)->remote, "[::1]:"));
        client_echo(&c, alk_span(data, 5000));
        client_close(&c);
    }
    node_fini(&n);
}

static void two_nodes_never_share_a_port_or_a_directory(void **ctx)
{
    (void)ctx;
    struct node a;
    struct node b;
    char *message = NULL;
    node_init(&a, "");
    node_start(&a, NULL);
    node_init(&b, "");
    b.extra_listen[0] = alk_endpoint_address(a.ep, 0);
    for (b.loops = 1; b.loops <= 2; b.loops++) {
        assert_int_equal(node_try_start(&b, NULL, &message), ALK_E_BUSY);
        assert_non_null(strstr(message, "another program uses this port"));
        free(message);
    }
    struct node same = a;
    same.ep = NULL;
    assert_int_equal(node_try_start(&same, NULL, &message), ALK_E_BUSY);
    free(message);
    node_fini(&b);
    node_fini(&a);
}

/* --- loops ---------------------------------------------------------------- */

#define CROWD 24

static bool all_open(void *ctx)
{
    const struct client *c = ctx;
    for (int i = 0; i < CROWD; i++) {
        assert_false(c[i].is_failed);
        if (c[i].conn == NULL) {
            return false;
        }
    }
    return true;
}

struct seen {
    bool is_told;
    size_t loops_used, connections;
    uint64_t quic, tcp;
    char ids[CROWD][20]; /* of the connections, in their order */
};
static void on_status(void *ctx, const struct alk_endpoint_status *status)
{
    struct seen *seen = ctx;
    assert_int_equal(status->loop_count, 3);
    for (size_t i = 0; i < status->loop_count; i++) {
        const struct alk_loop_status *l = &status->loops[i];
        seen->quic += l->quic.handshakes_done;
        seen->tcp += l->tcp_accepted;
        seen->loops_used += l->quic.handshakes_done + l->tcp_accepted > 0 ? 1 : 0;
        for (size_t k = 0; k < l->conn_count; k++) {
            (void)snprintf(seen->ids[seen->connections + k], 20, "%s", l->conns[k].log_id);
        }
        seen->connections += l->conn_count;
    }
    seen->is_told = true;
}
static bool is_told(void *ctx)
{
    const struct seen *seen = ctx;
    return seen->is_told;
}

static void look(struct node *n, const struct alk_status_from *from, struct seen *seen)
{
    *seen = (struct seen){0};
    assert_int_equal(alk_endpoint_status(n->ep, from, on_status, seen), ALK_OK);
    node_until(n, is_told, seen);
}

/* The list goes on after each of its entries, over all loops. */
static void check_pages(struct node *n)
{
    const struct alk_status_from first = {.loop = 0};
    struct seen all, rest;
    do { /* the last Finished may still be on its way */
        look(n, &first, &all);
    } while (all.connections < CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        struct alk_status_from from;
        char *end = NULL;
        from.loop = strtoull(all.ids[i], &end, 16);
        assert_int_equal(*end, '-');
        from.serial = strtoull(end + 1, &end, 16);
        look(n, &from, &rest);
        assert_int_equal(rest.connections, CROWD - 1 - i);
        assert_memory_equal(rest.ids, all.ids + i + 1, (CROWD - 1 - i) * sizeof all.ids[0]);
    }
    look(n, NULL, &rest);
    assert_int_equal(rest.connections, 0);
}

static void connections_spread_over_three_loops(void **ctx)
{
    (void)ctx;
    static struct client c[CROWD];
    const char *alpns[] = {"test/echo", NULL};
    struct node n;
    node_init(&n, "");
    n.loops = 3;
    node_start(&n, NULL);
    struct alk_dial_options o = client_options(&n, alpns);
    struct seen seen = {0};
    for (size_t i = 0; i < CROWD; i++) {
        o.transports = transports[i % 2];
        client_dial(&c[i], &n, &o);
    }
    node_until(&n, all_open, c);
    check_pages(&n);
    for (size_t i = 0; i < CROWD; i++) {
        client_echo(&c[i], alk_span(data, 20000 + i));
        client_close(&c[i]);
    }
    const struct alk_status_from from = {.loop = 0};
    do { /* a loop hears of the end of its connections a moment later */
        look(&n, &from, &seen);
    } while (seen.connections > 0);
    assert_int_equal(seen.quic, CROWD / 2);
    assert_int_equal(seen.tcp, CROWD / 2);
    assert_true(seen.loops_used > 1);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_comes_back_over_both_transports),
        cmocka_unit_test(twenty_services_are_told_apart_and_no_other_is_served),
        cmocka_unit_test(what_is_broken_off_is_never_taken_for_an_end),
        cmocka_unit_test(a_known_key_opens_what_others_do_not_get),
        cmocka_unit_test(an_address_that_failed_too_often_is_refused_on_both_transports),
        cmocka_unit_test(ipv6_and_ipv4_share_one_number_that_was_free),
        cmocka_unit_test(two_nodes_never_share_a_port_or_a_directory),
        cmocka_unit_test(connections_spread_over_three_loops),
    };
    return cmocka_run_group_tests(tests, fill_data, NULL);
}
