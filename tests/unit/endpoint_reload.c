/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reloads: what is live, new or needs a restart; what fails changes nothing. */
#include "support/node.h"

#include "base/text.h"
#include "core/endpoint.h"
#include "core/tls/key.h"

#include <stdio.h>

static const unsigned transports[] = {ALK_TRANSPORT_QUIC, ALK_TRANSPORT_TLS};

struct outcome {
    bool is_told;
    alk_err err;
    char message[2000];
};
static void on_reloaded(void *ctx, alk_err err, const char *message)
{
    struct outcome *o = ctx;
    o->is_told = true;
    o->err = err;
    (void)snprintf(o->message, sizeof o->message, "%s", message == NULL ? "" : message);
}
static bool is_told(void *ctx)
{
    const struct outcome *o = ctx;
    return o->is_told;
}

static struct outcome reload(struct node *n, const char *yaml)
{
    struct outcome o = {0};
    node_write_config(n, yaml);
    alk_endpoint_reload(n->ep, on_reloaded, &o);
    node_until(n, is_told, &o);
    return o;
}

static void check_ok(struct outcome o)
{
    if (o.err != ALK_OK) {
        print_error("%s\n", o.message);
    }
    assert_int_equal(o.err, ALK_OK);
}

/* --- services ------------------------------------------------------------- */

static void a_removed_service_ends_its_connections_and_a_new_one_is_served(void **ctx)
{
    (void)ctx;
    for (size_t i = 0; i < 2; i++) {
        struct node n;
        struct client gone;
        struct client stays;
        node_init(&n, "services: {echo: {}, private: {require: none}}\n");
        node_start(&n, NULL);
        client_open(&gone, &n, "test/private", transports[i], NULL);
        client_open(&stays, &n, "test/echo", transports[i], NULL);
        assert_non_null(gone.conn);
        check_ok(reload(&n, "services: {echo: {}, private: {enabled: false}}\n"));
        client_wait_closed(&gone);
        if (i == 0) { /* TLS has no codes: the connection just ends */
            assert_int_equal(gone.code, ALK_CODE_REMOVED);
        }
        client_echo(&stays, ALK_LIT("still here"));

        client_open(&gone, &n, "test/private", transports[i], NULL);
        assert_int_equal(gone.err, ALK_E_NO_ALPN);
        check_ok(reload(&n, "services: {echo: {}, private: {require: none}}\n"));
        client_open(&gone, &n, "test/private", transports[i], NULL);
        client_echo(&gone, ALK_LIT("back again"));
        client_close(&gone);
        client_close(&stays);
        node_fini(&n);
    }
}

static int starts, stops;
static const struct alk_handler *counted_handlers[2];

static alk_err counted_start(const struct alk_conf *conf, const struct alk_env *env,
                             void **ret_service)
{
    assert_non_null(env->endpoint);
    assert_string_equal(env->service, "counted");
    starts++;
    *ret_service = &starts;
    return alk_conf_get_uint(conf, "size") == 13 ? ALK_E_INVALID : ALK_OK;
}
static void counted_stop(void *service)
{
    assert_ptr_equal(service, &starts);
    stops++;
}
static const struct alk_conf_row counted_rows[] = {
    {.name = "size",
     .type = ALK_CONF_UINT,
     .max = 100,
     .fallback = "1",
     .reload = ALK_RELOAD_NEW,
     .help = "a number"},
    {.name = NULL},
};
static const struct alk_alpn counted_alpns[] = {{"test/counted", ALK_TRANSPORT_ANY}};

static struct alk_handler make_counted(void)
{
    struct alk_handler h = node_echo_handler;
    h.name = "counted";
    h.alpns = counted_alpns;
    h.settings = counted_rows;
    h.start = counted_start;
    h.stop = counted_stop;
    return h;
}

static bool has_stopped_once(void *ctx)
{
    (void)ctx;
    return stops == 1;
}

static void
a_changed_service_is_started_anew_and_the_old_one_stops_after_its_last_connection(void **ctx)
{
    (void)ctx;
    struct alk_handler handler = make_counted();
    struct node n;
    struct client old;
    struct client fresh;
    starts = 0;
    stops = 0;
    counted_handlers[0] = &handler;
    node_init(&n, "services: {counted: {size: 1}}\n");
    node_start(&n, counted_handlers);
    assert_int_equal(starts, 1);
    client_open(&old, &n, "test/counted", ALK_TRANSPORT_QUIC, NULL);
    check_ok(reload(&n, "services: {counted: {size: 1}}\nlimits: {hosts: 100}\n"));
    assert_int_equal(starts, 1); /* nothing of it has changed */
    check_ok(reload(&n, "services: {counted: {size: 2}}\n"));
    assert_int_equal(starts, 2);
    client_echo(&old, ALK_LIT("settings of the past"));
    client_open(&fresh, &n, "test/counted", ALK_TRANSPORT_QUIC, NULL);
    assert_int_equal(stops, 0);
    client_close(&old);
    node_until(&n, has_stopped_once, NULL);
    client_echo(&fresh, ALK_LIT("settings of today"));
    client_close(&fresh);
    node_fini(&n);
    assert_int_equal(stops, 2);
}

static void a_service_that_does_not_start_fails_the_reload_as_a_whole(void **ctx)
{
    (void)ctx;
    struct alk_handler handler = make_counted();
    struct node n;
    struct client c;
    starts = 0;
    stops = 0;
    counted_handlers[0] = &handler;
    node_init(&n, "services: {counted: {size: 1}, echo: {}}\n");
    node_start(&n, counted_handlers);
    struct outcome o = reload(&n, "services: {counted: {size: 13}, echo: {enabled: false}}\n");
    assert_int_equal(o.err, ALK_E_INVALID);
    assert_non_null(strstr(o.message, "alknet.yaml:1:"));
    assert_non_null(strstr(o.message, "service 'counted' does not start"));
    client_open(&c, &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    client_echo(&c, ALK_LIT("nothing has changed"));
    client_close(&c);
    client_open(&c, &n, "test/counted", ALK_TRANSPORT_TLS, NULL);
    client_echo(&c, ALK_LIT("nothing has changed"));
    client_close(&c);
    node_fini(&n);
}

static unsigned reconfigured;
static alk_err counted_reconfigure(void *service, const struct alk_conf *conf)
{
    assert_ptr_equal(service, &starts);
    uint64_t size = alk_conf_get_uint(conf, "size");
    if (size == 50) {
        return ALK_E_UNSUPPORTED;
    }
    reconfigured = (unsigned)size;
    return ALK_OK;
}

static void a_service_may_take_its_new_settings_in_place(void **ctx)
{
    (void)ctx;
    struct alk_handler handler = make_counted();
    struct node n;
    starts = 0;
    stops = 0;
    reconfigured = 0;
    handler.reconfigure = counted_reconfigure;
    counted_handlers[0] = &handler;
    node_init(&n, "services: {counted: {size: 1}}\n");
    node_start(&n, counted_handlers);
    check_ok(reload(&n, "services: {counted: {size: 7}}\n"));
    assert_int_equal(reconfigured, 7);
    assert_int_equal(starts, 1);
    check_ok(reload(&n, "services: {counted: {size: 50}}\n"));
    assert_int_equal(reconfigured, 7);
    assert_int_equal(starts, 2); /* it could not */
    node_until(&n, has_stopped_once, NULL);
    node_fini(&n);
}

/* --- files ---------------------------------------------------------------- */

static void a_bad_file_changes_nothing_and_says_where(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c;
    node_init(&n, "services: {echo: {}}\n");
    node_start(&n, NULL);
    struct outcome o = reload(&n, "services: {echo: {enabled: false}}\nlimits:\n  hosts: many\n");
    assert_int_equal(o.err, ALK_E_CONFIG);
    assert_non_null(strstr(o.message, "alknet.yaml:3:10"));
    assert_true(node_logged(&n, "the configuration is not changed"));
    client_open(&c, &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    client_echo(&c, ALK_LIT("as before"));
    client_close(&c);
    node_fini(&n);
}

static void what_needs_a_restart_is_named_and_the_rest_applies(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "drain_timeout: 1s\n");
    node_start(&n, NULL);
    struct outcome o = reload(&n, "user: somebody\ndrain_timeout: 3s\n");
    check_ok(o);
    assert_non_null(strstr(o.message, "user"));
    assert_true(alk_endpoint_config(n.ep)->drain_timeout == 3 * ALK_SECOND);
    node_fini(&n);
}

static bool has_new_timeout(void *ctx)
{
    const struct node *n = ctx;
    return alk_endpoint_config(n->ep)->drain_timeout == 5 * ALK_SECOND;
}

static void a_file_that_is_replaced_by_rename_is_read_again(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "drain_timeout: 1s\n");
    node_start(&n, NULL);
    node_write_config(&n, "drain_timeout: 5s\n");
    node_until(&n, has_new_timeout, &n);
    assert_true(node_logged(&n, "has changed"));
    node_fini(&n);
}

/* --- identity ------------------------------------------------------------- */

static void a_revoked_peer_is_closed_and_others_stay(void **ctx)
{
    (void)ctx;
    static const char text[] =
        "auth:\n  peers:\n    - {id: a, keys: [\"ed25519:%s\"]%s}\n    - {id: b, keys: "
        "[\"ed25519:%s\"]}\n";
    char yaml[600];
    char hex[2][ALK_HEX_SIZE(32)];
    struct alk_key *key[2];
    for (int i = 0; i < 2; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        assert_int_equal(alk_key_new(NULL, seed, &key[i]), ALK_OK);
        assert_true(alk_hex(alk_span(alk_key_public(key[i]), 32), hex[i], sizeof hex[i]));
    }
    for (size_t i = 0; i < 2; i++) {
        struct node n;
        struct client a;
        struct client b;
        (void)snprintf(yaml, sizeof yaml, text, hex[0], "", hex[1]);
        node_init(&n, yaml);
        node_start(&n, NULL);
        client_open(&a, &n, "test/private", transports[i], key[0]);
        client_open(&b, &n, "test/private", transports[i], key[1]);
        assert_non_null(a.conn);
        (void)snprintf(yaml, sizeof yaml, text, hex[0], ", enabled: false", hex[1]);
        check_ok(reload(&n, yaml));
        client_wait_closed(&a);
        if (i == 0) {
            assert_int_equal(a.code, ALK_CODE_REVOKED);
        }
        client_echo(&b, ALK_LIT("not me"));
        client_close(&b);
        node_fini(&n);
    }
    alk_key_free(key[0]);
    alk_key_free(key[1]);
}

/* --- listeners ------------------------------------------------------------ */

static uint16_t free_port(void)
{
    struct node n;
    node_init(&n, "");
    node_start(&n, NULL);
    uint16_t port = node_port(&n);
    node_fini(&n);
    return port;
}

static void open_at(struct client *c, struct node *n, uint16_t port, unsigned transport)
{
    const char *alpns[] = {"test/echo", NULL};
    struct alk_dial_options o = client_options(n, alpns);
    o.port = port;
    o.transports = transport;
    client_dial(c, n, &o);
    while (c->conn == NULL && !c->is_failed) {
        node_turn(n, 100);
    }
}

static void addresses_come_and_go_and_old_connections_stay(void **ctx)
{
    (void)ctx;
    char yaml[200];
    uint16_t a = free_port();
    uint16_t b = free_port();
    for (unsigned loops = 1; loops <= 2; loops++) {
        struct node n;
        struct client old[2];
        struct client fresh;
        (void)snprintf(yaml, sizeof yaml, "listen: \"127.0.0.1:%u\"\n", (unsigned)a);
        node_init(&n, yaml);
        n.loops = loops;
        n.listen_from_config = true;
        node_start(&n, NULL);
        open_at(&old[0], &n, a, ALK_TRANSPORT_QUIC);
        open_at(&old[1], &n, a, ALK_TRANSPORT_TLS);
        (void)snprintf(yaml, sizeof yaml, "listen: \"127.0.0.1:%u\"\n", (unsigned)b);
        check_ok(reload(&n, yaml));
        assert_int_equal(node_port(&n), b);
        for (size_t i = 0; i < 2; i++) {
            open_at(&fresh, &n, b, transports[i]);
            client_echo(&fresh, ALK_LIT("new address"));
            client_close(&fresh);
            client_echo(&old[i], ALK_LIT("old address"));
        }
        open_at(&fresh, &n, a, ALK_TRANSPORT_TLS);
        assert_int_equal(fresh.err, ALK_E_UNREACHABLE);
        client_close(&old[0]);
        client_close(&old[1]);
        node_fini(&n);
    }
}

static void an_address_in_use_fails_the_reload(void **ctx)
{
    (void)ctx;
    char yaml[200];
    struct node other;
    struct node n;
    struct client c;
    node_init(&other, "");
    node_start(&other, NULL);
    (void)snprintf(yaml, sizeof yaml, "listen: \"127.0.0.1:0\"\n");
    node_init(&n, yaml);
    n.listen_from_config = true;
    node_start(&n, NULL);
    (void)snprintf(yaml, sizeof yaml, "listen: [\"127.0.0.1:0\", \"127.0.0.1:%u\"]\n",
                   (unsigned)node_port(&other));
    struct outcome o = reload(&n, yaml);
    assert_int_equal(o.err, ALK_E_BUSY);
    assert_non_null(strstr(o.message, "another program uses this port"));
    client_open(&c, &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    client_echo(&c, ALK_LIT("still listening"));
    client_close(&c);
    node_fini(&n);
    node_fini(&other);
}

/* --- under load ----------------------------------------------------------- */

static bool has_answer(void *ctx)
{
    const struct client *c = ctx;
    return c->has_end || c->has_reset || c->is_closed;
}

static void connections_live_through_fifty_reloads(void **ctx)
{
    (void)ctx;
    static uint8_t data[2000000];
    char yaml[200];
    struct node n;
    struct client c[2];
    node_init(&n, "");
    n.loops = 2;
    node_start(&n, NULL);
    for (size_t i = 0; i < 2; i++) {
        client_open(&c[i], &n, "test/echo", transports[i], NULL);
        client_send(&c[i], alk_span(data, sizeof data), true);
    }
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(yaml, sizeof yaml,
                       "limits: {connections: %u, idle_timeout: %us}\nservices: {echo: {require: "
                       "%s}}\n",
                       1000 + i, 30 + i, i % 2 == 0 ? "none" : "{scopes: []}");
        check_ok(reload(&n, yaml));
        node_turn(&n, 0);
    }
    for (size_t i = 0; i < 2; i++) {
        node_until(&n, has_answer, &c[i]);
        assert_true(c[i].has_end);
        assert_int_equal(c[i].received, sizeof data);
        client_close(&c[i]);
    }
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_removed_service_ends_its_connections_and_a_new_one_is_served),
        cmocka_unit_test(
            a_changed_service_is_started_anew_and_the_old_one_stops_after_its_last_connection),
        cmocka_unit_test(a_service_that_does_not_start_fails_the_reload_as_a_whole),
        cmocka_unit_test(a_service_may_take_its_new_settings_in_place),
        cmocka_unit_test(a_bad_file_changes_nothing_and_says_where),
        cmocka_unit_test(what_needs_a_restart_is_named_and_the_rest_applies),
        cmocka_unit_test(a_file_that_is_replaced_by_rename_is_read_again),
        cmocka_unit_test(a_revoked_peer_is_closed_and_others_stay),
        cmocka_unit_test(addresses_come_and_go_and_old_connections_stay),
        cmocka_unit_test(an_address_in_use_fails_the_reload),
        cmocka_unit_test(connections_live_through_fifty_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
