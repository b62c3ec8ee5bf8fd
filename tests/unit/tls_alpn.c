/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The ALPN decides, before any byte is read; and a ticket belongs to one ALPN. */
#include "core/tls/session.h"

#include "support/tls_world.h"

#include <errno.h>

static const struct tw_service many[] = {
    {.alpn = "alknet/call"},
    {.alpn = "alknet/ssh"},
    {.alpn = "alknet/sftp"},
    {.alpn = "alknet/git"},
    {.alpn = "alknet/msg"},
    {.alpn = "alknet/http"},
    {.alpn = "alknet/dns"},
    {.alpn = "h2", .transports = ALK_TRANSPORT_TLS},
    {.alpn = "http/1.1", .transports = ALK_TRANSPORT_TLS},
    {.alpn = "my/tool"},
    {.alpn = "my/motd"},
    {.alpn = "dot"},
    {.alpn = "h3", .transports = ALK_TRANSPORT_QUIC},
    {.alpn = "a-name-of-thirty-one-bytes-long"},
};
enum { MANY = sizeof many / sizeof many[0] };

static void every_one_of_fourteen_services_is_reached(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        const char *alpns[] = {many[i].alpn, NULL};
        struct tw w;
        tw_init(&w, &(struct tw_options){.services = many, .service_count = MANY});
        w.dial.alpns = alpns;
        if (many[i].transports == ALK_TRANSPORT_QUIC) {
            tw_connect(&w);
            tw_pass(&w, 10 * ALK_SECOND);
            check_err(w.client.close_err, ALK_E_NO_ALPN); /* the mask does not fit */
            assert_int_equal(w.server.opens, 0);
        } else {
            tw_establish(&w);
            assert_string_equal(w.server.auth.alpn, many[i].alpn);
            assert_string_equal(w.client.auth.alpn, many[i].alpn);
            assert_ptr_equal(w.server.conn->service, w.services[i]);
        }
        tw_fini(&w);
    }
}

static void the_clients_order_wins(void **state)
{
    (void)state;
    static const char *const alpns[] = {"nobody", "h3", "my/motd", "h2", NULL};
    struct tw w;
    tw_init(&w, &(struct tw_options){.services = many, .service_count = MANY});
    w.dial.alpns = alpns;
    tw_establish(&w);
    assert_string_equal(w.server.auth.alpn, "my/motd");
    assert_string_equal(w.client.auth.alpn, "my/motd");
    tw_fini(&w);
}

static void a_client_offers_one_to_eight_names_of_one_to_31_bytes(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    static const char *const empty[] = {"", NULL};
    static const char *const longer[] = {"a-name-of-thirty-two-bytes-long!", NULL};
    static const char *const nine[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
    static const char *const eight[] = {"1", "2", "3", "4", "5", "6", "7", "test", NULL};
    static const char *const *const bad[] = {NULL, none, empty, longer, nine};
    struct tw w;
    tw_init(&w, &(struct tw_options){.secret = 0});
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        w.dial.alpns = bad[i];
        check_err(tw_try_connect(&w), ALK_E_INVALID);
        tw_drop(&w);
    }
    w.dial.alpns = eight;
    tw_establish(&w);
    tw_fini(&w);
}

/* --- a client that is not ours ------------------------------------------------------ */

struct foreign {
    gnutls_session_t gs;
    gnutls_certificate_credentials_t creds;
    struct tw *w;
    int alert; /* of the server; -1: none */
    bool is_done;
};

static ssize_t foreign_pull(gnutls_transport_ptr_t ptr, void *dst, size_t n)
{
    struct foreign *f = ptr;
    struct tw_side *server = &f->w->server;
    (void)tw_step(f->w);
    struct alk_span in = alk_span_head(alk_buf_span(&server->wire), n);
    if (in.n == 0) {
        gnutls_transport_set_errno(f->gs, EAGAIN);
        return -1;
    }
    memcpy(dst, in.p, in.n);
    alk_buf_consume(&server->wire, in.n);
    return (ssize_t)in.n;
}

static ssize_t foreign_push(gnutls_transport_ptr_t ptr, const void *p, size_t n)
{
    struct foreign *f = ptr;
    if (f->w->server.conn != NULL) {
        (void)alk_tcp_feed(f->w->server.conn, alk_span(p, n), f->w->now);
    }
    return (ssize_t)n;
}

static void foreign_run(struct foreign *f, struct tw *w, const char *const *alpns,
                        const char *priority)
{
    *f = (struct foreign){.w = w, .alert = -1};
    unsigned flags = GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_KEY_SHARE_TOP;
    assert_int_equal(gnutls_init(&f->gs, flags), 0);
    assert_int_equal(gnutls_priority_set_direct(f->gs, priority, NULL), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&f->creds), 0);
    assert_int_equal(gnutls_credentials_set(f->gs, GNUTLS_CRD_CERTIFICATE, f->creds), 0);
    gnutls_transport_set_ptr(f->gs, f);
    gnutls_transport_set_pull_function(f->gs, foreign_pull);
    gnutls_transport_set_push_function(f->gs, foreign_push);
    char copies[2][32];
    gnutls_datum_t names[2];
    unsigned n = 0;
    for (; alpns != NULL && alpns[n] != NULL; n++) {
        names[n].data = (unsigned char *)copies[n];
        names[n].size = (unsigned)snprintf(copies[n], sizeof copies[n], "%s", alpns[n]);
    }
    if (n > 0) {
        assert_int_equal(gnutls_alpn_set_protocols(f->gs, names, n, 0), 0);
    }
    check_err(tw_try_listen(w), ALK_OK);
    for (int i = 0; i < 50 && !f->is_done && f->alert < 0; i++) {
        int rv = gnutls_handshake(f->gs);
        f->is_done = rv == 0;
        if (rv == GNUTLS_E_FATAL_ALERT_RECEIVED) {
            f->alert = (int)gnutls_alert_get(f->gs);
        }
    }
    for (int i = 0; i < 10; i++) {
        (void)tw_step(w);
    }
}

static void foreign_fini(struct foreign *f)
{
    gnutls_deinit(f->gs);
    gnutls_certificate_free_credentials(f->creds);
}

static void priority_case(const char *priority, const char *const *alpns, const char *default_alpn,
                          int want_alert, const char *want_alpn)
{
    struct alk_buf chain, key;
    tw_certificate("node.example", 0, &chain, &key);
    struct alk_tls_creds *creds = tw_creds_new(TW_BOTH, tw_server_seed, alk_buf_span(&chain),
                                               alk_buf_span(&key), alk_span(NULL, 0));
    struct tw w;
    struct foreign f;
    tw_init(&w, &(struct tw_options){.services = many,
                                     .service_count = MANY,
                                     .creds = creds,
                                     .default_alpn = default_alpn});
    foreign_run(&f, &w, alpns, priority);
    assert_int_equal(f.alert, want_alert);
    assert_int_equal(f.is_done, want_alert < 0);
    assert_int_equal(w.server.opens, want_alert < 0 ? 1 : 0);
    if (want_alpn != NULL) {
        assert_string_equal(w.server.auth.alpn, want_alpn);
        assert_int_equal(w.server.auth.cert_kind, ALK_CERT_NONE);
    }
    foreign_fini(&f);
    tw_fini(&w);
    alk_tls_creds_unref(creds);
    alk_buf_fini(&chain);
    alk_buf_fini(&key);
}

static void foreign_case(const char *const *alpns, const char *default_alpn, int want_alert,
                         const char *want_alpn)
{
    priority_case("NORMAL:-VERS-ALL:+VERS-TLS1.3", alpns, default_alpn, want_alert, want_alpn);
}

static void a_second_hello_is_asked_for_and_read(void **state)
{
    (void)state;
    static const char *const ours[] = {"nobody", "dot", NULL};
    static const char *const none_of_ours[] = {"nobody", NULL};
    /* Its key share is for a group we do not have: HelloRetryRequest. */
    static const char retry[] =
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X448:+GROUP-SECP256R1";
    priority_case(retry, ours, NULL, -1, "dot");
    priority_case(retry, none_of_ours, NULL, 120, NULL);
}

static void older_versions_get_alert_70(void **state)
{
    (void)state;
    static const char *const ours[] = {"dot", NULL};
    priority_case("NORMAL:-VERS-ALL:+VERS-TLS1.2", ours, NULL, 70, NULL);
    priority_case("NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL, NULL, 70, NULL);
}

static void without_a_common_alpn_the_alert_is_120(void **state)
{
    (void)state;
    static const char *const ours[] = {"http/1.1", NULL};
    static const char *const none_of_ours[] = {"spdy/1", "h3", NULL};
    foreign_case(ours, NULL, -1, "http/1.1");
    foreign_case(none_of_ours, NULL, 120, NULL);
    foreign_case(NULL, NULL, 120, NULL); /* no ALPN at all */
}

static void a_default_alpn_stands_in_for_none_and_only_for_none(void **state)
{
    (void)state;
    static const char *const none_of_ours[] = {"spdy/1", NULL};
    foreign_case(NULL, "http/1.1", -1, "http/1.1");
    foreign_case(none_of_ours, "http/1.1", 120, NULL);
    foreign_case(NULL, "h3", 120, NULL); /* not on this transport */
    foreign_case(NULL, "nobody", 120, NULL);
}

static void a_server_that_answers_no_alpn_is_left(void **state)
{
    (void)state;
    /* Our client against a server whose hook is taken away: it then says nothing
     * about ALPN. */
    struct tw w;
    tw_init(&w, &(struct tw_options){.default_alpn = "test"});
    tw_connect(&w);
    gnutls_handshake_set_hook_function(alk_tcp_session(w.server.conn)->gs,
                                       GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE, NULL);
    tw_pass(&w, 10 * ALK_SECOND);
    assert_int_equal(w.client.opens, 0);
    check_err(w.client.close_err, ALK_E_NO_ALPN);
    tw_fini(&w);
}

/* --- tickets ------------------------------------------------------------------------- */

static struct alk_tls_creds *raw_client(void)
{
    return tw_creds_new(TW_RAW, tw_client_seed, alk_span(NULL, 0), alk_span(NULL, 0),
                        alk_span(NULL, 0));
}

static void a_ticket_resumes_and_keeps_the_identity(void **state)
{
    (void)state;
    struct tw w;
    tw_init(&w, &(struct tw_options){.secret = 1});
    w.client_creds = raw_client();
    tw_establish(&w);
    assert_false(w.server.auth.is_resumed);
    char name[ALK_FINGERPRINT_MAX];
    (void)snprintf(name, sizeof name, "%s", w.server.auth.fingerprints[0]);
    tw_take_ticket(&w);
    for (int i = 0; i < 3; i++) { /* and a resumed session gives tickets again */
        tw_drop(&w);
        tw_establish(&w);
        assert_true(w.server.auth.is_resumed);
        assert_true(w.client.auth.is_resumed);
        assert_int_equal(w.server.auth.cert_kind, ALK_CERT_RAW_KEY);
        assert_string_equal(w.server.auth.fingerprints[0], name);
        assert_int_equal(w.client.auth.cert_kind, ALK_CERT_RAW_KEY);
        assert_string_equal(w.server.auth.alpn, "test");
        tw_take_ticket(&w);
    }
    tw_fini(&w);
}

static void x509_survives_resumption_and_is_checked_again(void **state)
{
    (void)state;
    struct alk_buf chain, key;
    tw_certificate("node.example", 0, &chain, &key);
    struct alk_tls_creds *creds = tw_creds_new(TW_X509, tw_server_seed, alk_buf_span(&chain),
                                               alk_buf_span(&key), alk_span(NULL, 0));
    struct tw w;
    tw_init(&w, &(struct tw_options){.creds = creds});
    w.dial.pinned_key = NULL;
    w.client_creds = tw_creds_new(TW_X509, tw_client_seed, alk_buf_span(&chain), alk_buf_span(&key),
                                  alk_buf_span(&chain));
    tw_establish(&w);
    tw_take_ticket(&w);
    tw_drop(&w);
    tw_establish(&w);
    assert_true(w.client.auth.is_resumed);
    assert_int_equal(w.client.auth.cert_kind, ALK_CERT_X509);
    assert_int_equal(w.server.auth.cert_kind, ALK_CERT_X509);
    tw_drop(&w);
    /* The CA is not trusted any more: the ticket is no way around that. */
    alk_tls_creds_unref(w.client_creds);
    w.client_creds = tw_creds_new(TW_NONE, tw_client_seed, alk_span(NULL, 0), alk_span(NULL, 0),
                                  alk_span(NULL, 0));
    tw_connect(&w);
    tw_pass(&w, 10 * ALK_SECOND);
    assert_int_equal(w.client.opens + w.server.opens, 0);
    check_err(w.client.close_err, ALK_E_UNTRUSTED);
    tw_fini(&w);
    alk_tls_creds_unref(creds);
    alk_buf_fini(&chain);
    alk_buf_fini(&key);
}

static bool count_trust(void *ctx, const char *host_port, const char *shown)
{
    unsigned *asked = ctx;
    (void)host_port;
    (void)shown;
    return (*asked)++ < 2;
}

static void trust_is_asked_again_on_resumption(void **state)
{
    (void)state;
    unsigned asked = 0;
    struct tw w;
    tw_init(&w, &(struct tw_options){.secret = 1});
    w.dial.pinned_key = NULL;
    w.dial.trust = count_trust;
    w.dial.trust_ctx = &asked;
    tw_establish(&w);
    tw_take_ticket(&w);
    tw_drop(&w);
    tw_establish(&w);
    assert_true(w.client.auth.is_resumed);
    assert_int_equal(asked, 2);
    tw_drop(&w);
    tw_connect(&w);
    tw_pass(&w, 10 * ALK_SECOND);
    assert_int_equal(asked, 4); /* about the ticket, and then about the key */
    check_err(w.client.close_err, ALK_E_UNTRUSTED);
    assert_int_equal(w.server.opens, 0);
    tw_fini(&w);
}

static const char *const call_alpn[] = {"alknet/call", NULL};
static const char *const ssh_alpn[] = {"alknet/ssh", NULL};
static const char *const both_alpns[] = {"alknet/ssh", "alknet/call", NULL};

/* Takes a ticket under alknet/call and comes again. */
static void ticket_case(void (*change)(struct tw *w), bool want_resumed)
{
    struct tw w;
    tw_init(&w, &(struct tw_options){.services = many, .service_count = MANY, .secret = 1});
    w.dial.alpns = call_alpn;
    tw_establish(&w);
    tw_take_ticket(&w);
    tw_drop(&w);
    change(&w);
    tw_establish(&w);
    assert_int_equal(w.server.auth.is_resumed, want_resumed);
    assert_int_equal(w.client.auth.is_resumed, want_resumed);
    tw_fini(&w);
}

static void change_nothing(struct tw *w)
{
    (void)w;
}

static void change_alpn(struct tw *w)
{
    w->dial.alpns = ssh_alpn;
}

/* The ticket fits what is offered, and the server chooses the other. */
static void change_order(struct tw *w)
{
    w->dial.alpns = both_alpns;
}

/* The client lies about what its ticket is for: the server's key is another. */
static void forge_alpn(struct tw *w)
{
    w->dial.alpns = ssh_alpn;
    struct alk_buf forged;
    alk_buf_init(&forged, NULL, 1 << 16);
    struct alk_span old = alk_buf_span(&w->ticket);
    check_err(alk_buf_put(&forged, alk_span_head(old, 37)), ALK_OK);
    check_err(alk_buf_put(&forged, ALK_LIT("\x0a"
                                           "alknet/ssh")),
              ALK_OK);
    check_err(alk_buf_put(&forged, alk_span_tail(old, 37 + 1 + 11)), ALK_OK);
    alk_buf_fini(&w->ticket);
    w->ticket = forged;
}

static void change_secret(struct tw *w)
{
    struct alk_tls_creds_options co = {.seed = tw_server_seed};
    struct alk_tls_server_options so = {.routes = w->routes, .ticket_secret = {2}};
    check_err(alk_tls_creds_new(&co, NULL, 0, &so.creds), ALK_OK);
    alk_tls_server_unref(w->server_conf);
    check_err(alk_tls_server_new(&so, &w->server_conf), ALK_OK);
    alk_tls_creds_unref(so.creds);
}

/* Another generation of the configuration with the same secret. */
static void reload(struct tw *w)
{
    struct alk_tls_creds_options co = {.seed = tw_server_seed};
    struct alk_tls_server_options so = {.routes = w->routes, .ticket_secret = {1}};
    check_err(alk_tls_creds_new(&co, NULL, 0, &so.creds), ALK_OK);
    alk_tls_server_unref(w->server_conf);
    check_err(alk_tls_server_new(&so, &w->server_conf), ALK_OK);
    alk_tls_creds_unref(so.creds);
}

static void cut_ticket(struct tw *w)
{
    w->ticket.end -= 1;
}

static void loosen(struct tw *w)
{
    w->dial.pinned_key = NULL;
    w->dial.is_insecure = true;
    w->dial.host = "elsewhere.example";
}

static void a_ticket_counts_only_for_its_alpn_secret_and_rule(void **state)
{
    (void)state;
    ticket_case(change_nothing, true);
    ticket_case(reload, true);
    ticket_case(change_alpn, false);
    ticket_case(change_order, false);
    ticket_case(forge_alpn, false);
    ticket_case(change_secret, false);
    ticket_case(cut_ticket, false);
    ticket_case(loosen, false);
}

static void a_ticket_is_no_way_around_another_pin(void **state)
{
    (void)state;
    uint8_t other[32];
    alk_key_public_of(tw_other_seed, other);
    struct tw w;
    tw_init(&w, &(struct tw_options){.secret = 1});
    tw_establish(&w);
    tw_take_ticket(&w);
    tw_drop(&w);
    w.dial.pinned_key = other;
    tw_connect(&w);
    tw_pass(&w, 10 * ALK_SECOND);
    assert_int_equal(w.client.opens + w.server.opens, 0);
    check_err(w.client.close_err, ALK_E_KEY_CHANGED);
    assert_non_null(strstr(w.client.verify_text, "key"));
    tw_fini(&w);
}

static void before_a_ticket_comes_there_is_none(void **state)
{
    (void)state;
    struct tw w;
    tw_init(&w, &(struct tw_options){.secret = 1});
    tw_connect(&w);
    check_err(alk_tcp_client_session(w.client.conn, &w.ticket), ALK_MORE);
    check_err(alk_tls_session_ticket(alk_tcp_session(w.server.conn), &w.ticket), ALK_E_STATE);
    check_err(alk_tls_session_send_ticket(alk_tcp_session(w.client.conn)), ALK_E_STATE);
    tw_run(&w);
    check_err(alk_tcp_client_session(w.client.conn, &w.ticket), ALK_OK);
    alk_tls_session_drop(alk_tcp_session(w.client.conn));
    check_err(alk_tcp_client_session(w.client.conn, &w.ticket), ALK_E_STATE);
    tw_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_one_of_fourteen_services_is_reached),
        cmocka_unit_test(the_clients_order_wins),
        cmocka_unit_test(a_client_offers_one_to_eight_names_of_one_to_31_bytes),
        cmocka_unit_test(a_second_hello_is_asked_for_and_read),
        cmocka_unit_test(older_versions_get_alert_70),
        cmocka_unit_test(without_a_common_alpn_the_alert_is_120),
        cmocka_unit_test(a_default_alpn_stands_in_for_none_and_only_for_none),
        cmocka_unit_test(a_server_that_answers_no_alpn_is_left),
        cmocka_unit_test(a_ticket_resumes_and_keeps_the_identity),
        cmocka_unit_test(x509_survives_resumption_and_is_checked_again),
        cmocka_unit_test(trust_is_asked_again_on_resumption),
        cmocka_unit_test(a_ticket_counts_only_for_its_alpn_secret_and_rule),
        cmocka_unit_test(a_ticket_is_no_way_around_another_pin),
        cmocka_unit_test(before_a_ticket_comes_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
