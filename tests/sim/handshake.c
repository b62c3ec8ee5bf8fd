/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How connections begin, or do not: certificates, ALPN, versions, Retry, tokens,
 * limits and time-outs. */
#include "sim/pair.h"

#include <ngtcp2/ngtcp2.h>

/* --- certificates ------------------------------------------------------------------ */

static const char *const names[] = {"sim.test", NULL};

static bool accept_any(void *ctx, const char *host_port, const char *key)
{
    (void)ctx;
    (void)host_port;
    (void)key;
    return true;
}

static void check_peer(const struct alk_auth_context *auth, enum alk_cert_kind kind)
{
    assert_int_equal(auth->cert_kind, kind);
    assert_int_equal(auth->fingerprints[0][0] != '\0', kind != ALK_CERT_NONE);
    assert_string_equal(auth->alpn, "sim/1");
    assert_int_equal(auth->transport, ALK_TRANSPORT_QUIC);
}

static bool has_name(const struct alk_auth_context *auth, const char *name)
{
    for (size_t i = 0; i < 4; i++) {
        if (name[0] != '\0' && strcmp(auth->fingerprints[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Both kinds of server, pinned or not, and clients with either kind, both or none.
 * A client that has both shows the kind that the server would take first. */
static void every_kind_of_certificate_meets_every_other(void **state)
{
    (void)state;
    static const struct {
        bool server_x509, client_pins, client_key, client_x509;
        enum alk_cert_kind server_kind, client_kind;
    } table[] = {
        {false, true, false, false, ALK_CERT_RAW_KEY, ALK_CERT_NONE},
        {false, true, true, false, ALK_CERT_RAW_KEY, ALK_CERT_RAW_KEY},
        {false, true, false, true, ALK_CERT_RAW_KEY, ALK_CERT_X509},
        {false, true, true, true, ALK_CERT_RAW_KEY, ALK_CERT_RAW_KEY},
        {true, true, false, false, ALK_CERT_RAW_KEY, ALK_CERT_NONE},
        {true, true, true, false, ALK_CERT_RAW_KEY, ALK_CERT_RAW_KEY},
        {true, true, false, true, ALK_CERT_RAW_KEY, ALK_CERT_X509},
        {true, false, false, false, ALK_CERT_X509, ALK_CERT_NONE},
        {true, false, true, false, ALK_CERT_X509, ALK_CERT_RAW_KEY},
        {true, false, false, true, ALK_CERT_X509, ALK_CERT_X509},
        {true, false, true, true, ALK_CERT_X509, ALK_CERT_RAW_KEY},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char name[ALK_FINGERPRINT_MAX] = "";
        uint8_t client_key = table[i].client_key ? 9 : 0;
        struct pair_options o = {.server.names = table[i].server_x509 ? names : NULL,
                                 .server.no_raw_key = !table[i].client_pins,
                                 .client_key = client_key};
        struct pair *p = pair_new(&o);
        if (table[i].client_x509) {
            check_err(sim_client_use_x509(&p->client, client_key, name), ALK_OK);
        }
        if (!table[i].client_pins) {
            p->client.dial.pinned_key = NULL;
            p->client.dial.trust = accept_any;
        }
        pair_connect(p);
        check_peer(&p->client.auth, table[i].server_kind);
        check_peer(&p->server.auth, table[i].client_kind);
        assert_true(has_name(&p->server.auth, name) == (table[i].client_kind == ALK_CERT_X509));
        pair_exchange(p, SIM_ECHO, 1000);
        pair_close(p);
        assert_int_equal(p->server.closes, 1);
        pair_free(p);
    }
}

static void a_wrong_key_is_refused(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    uint8_t other[32];
    memset(other, 3, sizeof other);
    p->client.dial.pinned_key = other;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, 10 * ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_KEY_CHANGED);
    assert_false(p->client.is_open);
    (void)sim_run(&p->w, 20 * ALK_SECOND, NULL, NULL);
    assert_int_equal(p->server.opens, 0);
    assert_int_equal(pair_stats(p->s).handshakes_failed, 1);
    pair_free(p);
}

static void no_common_alpn_is_alert_120(void **state)
{
    (void)state;
    struct pair_options o = {.alpn = "nobody/serves-this"};
    struct pair *p = pair_new(&o);
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, 10 * ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_NO_ALPN);
    assert_int_equal(p->server.opens, 0);
    pair_free(p);
}

/* --- versions ----------------------------------------------------------------------- */

static void second_version_works(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->client.connect.version = NGTCP2_PROTO_VER_V2;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 10000);
    pair_close(p);
    pair_free(p);
}

static void prefer_v2(struct pair *p)
{
    p->s->options.prefer_version = NGTCP2_PROTO_VER_V2;
}

static bool saw_v2;
static bool look_for_v2(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                        size_t *n)
{
    struct pair *p = ctx;
    (void)to;
    if (from == p->s && *n > 5 && (data[0] & 0x80) != 0 && data[1] == 0x6b && data[2] == 0x33) {
        saw_v2 = true;
    }
    return true;
}

static void server_may_upgrade_a_compatible_client(void **state)
{
    (void)state;
    struct pair_options o = {.tune = prefer_v2};
    struct pair *p = pair_new(&o);
    p->w.tap = look_for_v2;
    p->w.tap_ctx = p;
    saw_v2 = false;
    pair_connect(p);
    assert_true(saw_v2);
    pair_exchange(p, SIM_ECHO, 10000);
    pair_close(p);
    pair_free(p);
}

/* Collects what a node is sent. */
struct catch
{
    uint8_t data[2048];
    size_t n;
    unsigned count;
    struct sim_node *to;
};
static bool catch_packet(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                         size_t *n)
{
    struct catch *c = ctx;
    (void)from;
    if (to == c->to && *n <= sizeof c->data) {
        memcpy(c->data, data, *n);
        c->n = *n;
        c->count++;
    }
    return true;
}

static void unknown_versions_are_answered_with_ours(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    struct catch got = {.to = p->c};
    uint8_t hello[1200] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8};
    memset(hello + 6, 0xaa, 8);
    hello[14] = 4;
    p->w.tap = catch_packet;
    p->w.tap_ctx = &got;
    sim_inject(&p->w, p->c, p->s, hello, sizeof hello);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(got.count, 1);
    assert_int_equal(pair_stats(p->s).versions_sent, 1);
    assert_true(got.n < 64 && (got.data[0] & 0x80) != 0);
    assert_memory_equal(got.data + 1, "\0\0\0\0", 4); /* version 0: negotiation */
    /* [RFC 9000 §6.1] only to what could be a first packet, so never larger than it */
    sim_inject(&p->w, p->c, p->s, hello, 1199);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_int_equal(got.count, 1);
    pair_free(p);
}

/* Answers the first Initial as a server would that speaks v2 only. */
static bool offer_v2(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                     size_t *n)
{
    struct pair *p = ctx;
    uint8_t vn[64];
    bool is_v1 = *n > 30 && (data[0] & 0x80) != 0 && memcmp(data + 1, "\0\0\0\1", 4) == 0;
    if (from != p->c || !is_v1) {
        return true;
    }
    size_t dcid_n = data[5];
    const uint8_t *dcid = data + 6;
    size_t scid_n = dcid[dcid_n];
    const uint8_t *scid = dcid + dcid_n + 1;
    const uint32_t v2 = NGTCP2_PROTO_VER_V2;
    ngtcp2_ssize size =
        ngtcp2_pkt_write_version_negotiation(vn, sizeof vn, 7, scid, scid_n, dcid, dcid_n, &v2, 1);
    assert_true(size > 0);
    sim_inject(&p->w, to, from, vn, (size_t)size);
    return false;
}

static void client_follows_version_negotiation(void **state)
{
    (void)state;
    struct pair_options o = {.tune = prefer_v2};
    struct pair *p = pair_new(&o);
    p->w.tap = offer_v2;
    p->w.tap_ctx = p;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    assert_int_equal(p->client.opens, 1);
    pair_close(p);
    pair_free(p);
}

static void a_fixed_version_is_not_changed(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->w.tap = offer_v2;
    p->w.tap_ctx = p;
    p->client.connect.version = NGTCP2_PROTO_VER_V1;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, 10 * ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_VERSION);
    pair_free(p);
}

/* --- address validation ----------------------------------------------------------------- */

static void retry_always(struct pair *p)
{
    p->s->options.limits.retry_above = ALK_QUIC_RETRY_ALWAYS;
}

static void retry_is_followed(void **state)
{
    (void)state;
    struct pair_options o = {.tune = retry_always};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    assert_int_equal(pair_stats(p->s).retries_sent, 1);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

static void a_token_spares_the_retry(void **state)
{
    (void)state;
    struct pair_options o = {.tune = retry_always};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    check_err(sim_client_remember(&p->client), ALK_OK);
    check_err(sim_client_remember(&p->client), ALK_MORE); /* nothing new since */
    pair_close(p);
    pair_connect(p);
    assert_int_equal(pair_stats(p->s).retries_sent, 1);
    assert_true(p->client.auth.is_resumed);
    pair_close(p);
    /* From elsewhere the token proves nothing. */
    p->c->seen_as = p->c->addr;
    p->c->seen_as.ip[3] = 99;
    pair_connect(p);
    assert_int_equal(pair_stats(p->s).retries_sent, 2);
    pair_close(p);
    pair_free(p);
}

/* Moves the answer to a Retry to another address. */
static bool move_retry(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                       size_t *n)
{
    struct pair *p = ctx;
    (void)to;
    (void)data;
    if (from == p->c && pair_stats(p->s).retries_sent == 1 && p->c->seen_as.family == 0) {
        struct alk_addr thief = p->c->addr;
        thief.ip[3] = 77;
        sim_inject_from(&p->w, &thief, p->s, data, *n);
        return false;
    }
    return true;
}

static void a_retry_token_of_another_address_is_refused(void **state)
{
    (void)state;
    struct pair_options o = {.tune = retry_always};
    struct pair *p = pair_new(&o);
    p->w.tap = move_retry;
    p->w.tap_ctx = p;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    (void)sim_run(&p->w, 2 * ALK_SECOND, NULL, NULL);
    assert_true(pair_stats(p->s).retry_bad_token >= 1);
    assert_int_equal(pair_stats(p->s).connections, 0);
    pair_free(p);
}

static void few_handshakes(struct pair *p)
{
    p->s->options.limits.handshakes = 4;
    p->s->options.limits.retry_above = 2;
}

/* Only the first packet of each connection passes. */
static bool first_only(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                       size_t *n)
{
    struct pair *p = ctx;
    (void)to;
    (void)data;
    (void)n;
    return from == p->c && p->w.now < SIM_START + 10 * ALK_MS;
}

static void load_asks_for_retry_and_then_drops(void **state)
{
    (void)state;
    struct pair_options o = {.tune = few_handshakes};
    struct pair *p = pair_new(&o);
    p->w.tap = first_only;
    p->w.tap_ctx = p;
    for (size_t i = 0; i < 10; i++) {
        (void)pair_more(p);
    }
    (void)sim_run(&p->w, 2 * ALK_SECOND, NULL, NULL);
    assert_int_equal(pair_stats(p->s).handshaking, 2);
    assert_true(pair_stats(p->s).retries_sent >= 8);
    (void)sim_run(&p->w, 30 * ALK_SECOND, NULL, NULL);
    assert_int_equal(pair_stats(p->s).handshaking, 0); /* timed out */
    assert_int_equal(pair_stats(p->s).connections, 0);
    for (size_t i = 0; i < 10; i++) {
        assert_true(p->more[i].is_closed);
        check_err(p->more[i].close_err, ALK_E_TIMEOUT);
    }
    pair_free(p);
}

/* --- limits ------------------------------------------------------------------------------- */

static void two_connections(struct pair *p)
{
    p->s->options.limits.connections = 2;
}
static void one_per_address(struct pair *p)
{
    p->s->options.limits.connections_per_ip = 1;
}
static void two_per_address(struct pair *p)
{
    p->s->options.limits.connections_per_ip = 2;
}

static void third_is_refused(void (*tune)(struct pair *p))
{
    struct pair_options o = {.tune = tune};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    for (size_t i = 0; i < 2; i++) {
        (void)pair_more(p);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    }
    assert_true(p->more[0].is_open && !p->more[0].is_closed);
    assert_true(p->more[1].is_closed);
    check_err(p->more[1].close_err, ALK_E_UNAVAILABLE);
    assert_int_equal(pair_stats(p->s).dropped_limit, 1);
    /* One that goes makes room. */
    pair_close(p);
    check_err(sim_client_connect(&p->more[1], p->s), ALK_OK);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_true(p->more[1].is_open && !p->more[1].is_closed);
    pair_free(p);
}

static void too_many_connections_are_refused(void **state)
{
    (void)state;
    third_is_refused(two_connections);
}

static void too_many_of_one_address_are_refused(void **state)
{
    (void)state;
    third_is_refused(two_per_address);
}

/* The slow one began before the others, but has proved its address last. */
static void a_slow_handshake_holds_no_place(void **state)
{
    (void)state;
    struct pair_options o = {.tune = two_per_address};
    struct pair *p = pair_new(&o);
    p->client.connect.hold_finished = true;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        (void)pair_more(p);
        (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
        assert_true(p->more[i].is_open && !p->more[i].is_closed);
    }
    assert_int_equal(pair_stats(p->s).retries_sent, 2);
    alk_quic_release_finished(p->client.conn);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_UNAVAILABLE);
    assert_int_equal(p->server.opens, 2);
    assert_int_equal(pair_stats(p->s).dropped_limit, 1);
    pair_free(p);
}

static void a_single_place_goes_to_a_proved_address(void **state)
{
    (void)state;
    struct pair_options o = {.tune = one_per_address};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    assert_int_equal(pair_stats(p->s).retries_sent, 1);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

static alk_err lock_out(void *ctx, const struct alk_addr *remote)
{
    (void)remote;
    return *(const alk_err *)ctx;
}

static void who_may_not_come_in_hears_why(void **state)
{
    (void)state;
    static const alk_err table[][2] = {{ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
                                       {ALK_E_LIMIT, ALK_E_UNAVAILABLE}};
    for (size_t i = 0; i < 2; i++) {
        alk_err why = ALK_OK;
        struct pair *p = pair_new(NULL);
        sim_node_stop(p->s);
        p->s->options.admit = lock_out;
        p->s->options.admit_ctx = &why;
        check_err(sim_node_start(p->s), ALK_OK);
        pair_connect(p);
        pair_close(p);
        why = table[i][0];
        check_err(sim_client_connect(&p->client, p->s), ALK_OK);
        assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_closed, &p->client));
        check_err(p->client.close_err, table[i][1]);
        assert_int_equal(p->server.opens, 1);
        pair_free(p);
    }
}

static void draining_refuses_new_connections(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    alk_quic_set_accepting(p->s->q, false);
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_UNAVAILABLE);
    pair_free(p);
}

/* --- racing ---------------------------------------------------------------------------------- */

static void held_finished_opens_nothing_at_the_server(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->client.connect.hold_finished = true;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_true(p->client.is_open);
    assert_int_equal(p->server.opens, 0);
    alk_quic_release_finished(p->client.conn);
    assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_confirmed, &p->client));
    assert_int_equal(p->server.opens, 1);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

static void the_loser_of_a_race_was_never_there(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->client.connect.hold_finished = true;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    pair_close(p);
    assert_int_equal(p->server.opens, 0);
    assert_int_equal(pair_stats(p->s).connections, 0);
    pair_free(p);
}

static void a_hold_that_nobody_releases_ends(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->client.connect.hold_finished = true;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, 15 * ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_TIMEOUT);
    pair_free(p);
}

/* --- time-outs ------------------------------------------------------------------------------- */

static void a_silent_server_is_a_time_out(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->w.net.hole_to = ALK_NEVER;
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, 11 * ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_TIMEOUT);
    assert_true(p->w.now >= SIM_START + 10 * ALK_SECOND);
    pair_free(p);
}

static void an_idle_connection_times_out(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->client.dial.keep_alive = ALK_NEVER;
    pair_connect(p);
    alk_time from = p->w.now;
    assert_true(sim_run(&p->w, 70 * ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_TIMEOUT);
    assert_true(p->w.now - from >= 59 * ALK_SECOND);
    (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
    assert_int_equal(p->server.closes, 1);
    check_err(p->server.close_err, ALK_E_TIMEOUT);
    pair_free(p);
}

static void keep_alive_keeps_it(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    (void)sim_run(&p->w, 600 * ALK_SECOND, NULL, NULL);
    assert_false(p->client.is_closed);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

static void short_idle(struct pair *p)
{
    p->s->options.limits.idle_timeout = 3 * ALK_SECOND;
}

static void keep_alive_fits_the_servers_idle_timeout(void **state)
{
    (void)state;
    struct pair_options o = {.tune = short_idle};
    struct pair *p = pair_new(&o);
    pair_connect(p);
    (void)sim_run(&p->w, 60 * ALK_SECOND, NULL, NULL);
    assert_false(p->client.is_closed);
    pair_exchange(p, SIM_ECHO, 1000);
    pair_close(p);
    pair_free(p);
}

static void a_ping_is_answered(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    p->client.dial.keep_alive = ALK_NEVER;
    pair_connect(p);
    (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
    uint64_t before = pair_stats(p->c).datagrams_in;
    alk_quic_ping(p->client.conn);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_true(pair_stats(p->c).datagrams_in > before);
    pair_close(p);
    pair_free(p);
}

/* [RFC 9001 §4.1.2] a server's is confirmed when complete */
static void a_server_is_confirmed_at_once(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    assert_true(alk_conn_auth(p->server.conn)->is_confirmed);
    assert_false(p->server.auth.is_early);
    pair_close(p);
    pair_free(p);
}

static void the_peer_sees_code_and_reason(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL);
    pair_connect(p);
    alk_conn_close(p->server.conn, ALK_CODE_REVOKED, ALK_LIT("key withdrawn"));
    assert_true(sim_run(&p->w, ALK_SECOND, sim_client_is_closed, &p->client));
    check_err(p->client.close_err, ALK_E_CLOSED);
    assert_int_equal(p->client.close_code, ALK_CODE_REVOKED);
    assert_string_equal(p->client.reason, "key withdrawn");
    assert_int_equal(p->server.closes, 1);
    assert_int_equal(p->server.close_code, ALK_CODE_REVOKED);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_certificate_meets_every_other),
        cmocka_unit_test(a_wrong_key_is_refused),
        cmocka_unit_test(no_common_alpn_is_alert_120),
        cmocka_unit_test(second_version_works),
        cmocka_unit_test(server_may_upgrade_a_compatible_client),
        cmocka_unit_test(unknown_versions_are_answered_with_ours),
        cmocka_unit_test(client_follows_version_negotiation),
        cmocka_unit_test(a_fixed_version_is_not_changed),
        cmocka_unit_test(retry_is_followed),
        cmocka_unit_test(a_token_spares_the_retry),
        cmocka_unit_test(a_retry_token_of_another_address_is_refused),
        cmocka_unit_test(load_asks_for_retry_and_then_drops),
        cmocka_unit_test(too_many_connections_are_refused),
        cmocka_unit_test(too_many_of_one_address_are_refused),
        cmocka_unit_test(a_slow_handshake_holds_no_place),
        cmocka_unit_test(a_single_place_goes_to_a_proved_address),
        cmocka_unit_test(who_may_not_come_in_hears_why),
        cmocka_unit_test(draining_refuses_new_connections),
        cmocka_unit_test(held_finished_opens_nothing_at_the_server),
        cmocka_unit_test(the_loser_of_a_race_was_never_there),
        cmocka_unit_test(a_hold_that_nobody_releases_ends),
        cmocka_unit_test(a_silent_server_is_a_time_out),
        cmocka_unit_test(an_idle_connection_times_out),
        cmocka_unit_test(keep_alive_keeps_it),
        cmocka_unit_test(keep_alive_fits_the_servers_idle_timeout),
        cmocka_unit_test(a_ping_is_answered),
        cmocka_unit_test(a_server_is_confirmed_at_once),
        cmocka_unit_test(the_peer_sees_code_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
