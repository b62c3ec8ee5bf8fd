/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who accepts whom: the matrix of keys and certificates, pinning and CAs. */
#include "core/tls/session.h"

#include "core/auth/fingerprint.h"
#include "support/tls_world.h"

static struct alk_buf chain, key, other_chain, other_key, client_chain, client_key;

static int make_certificates(void **state)
{
    (void)state;
    tw_certificate("node.example", 0, &chain, &key);
    tw_certificate("other.example", 0, &other_chain, &other_key);
    tw_certificate("client.example", 0, &client_chain, &client_key);
    return 0;
}

static int free_certificates(void **state)
{
    (void)state;
    struct alk_buf *all[] = {&chain, &key, &other_chain, &other_key, &client_chain, &client_key};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        alk_buf_fini(all[i]);
    }
    return 0;
}

static struct alk_tls_creds *server_creds(enum tw_creds kind)
{
    return tw_creds_new(kind, tw_server_seed, alk_buf_span(&chain), alk_buf_span(&key),
                        alk_span(NULL, 0));
}

static struct alk_tls_creds *client_creds(enum tw_creds kind, bool trusts_node)
{
    return tw_creds_new(kind, tw_client_seed, alk_buf_span(&client_chain),
                        alk_buf_span(&client_key),
                        trusts_node ? alk_buf_span(&chain) : alk_span(NULL, 0));
}

enum rule { PIN_KEY, PIN_CERT, CA, TRUST, INSECURE, PIN_WRONG_KEY, PIN_WRONG_CERT };

static bool accept_any(void *ctx, const char *host_port, const char *shown)
{
    char *seen = ctx;
    (void)snprintf(seen, 160, "%s %s", host_port, shown);
    return true;
}

static bool accept_none(void *ctx, const char *host_port, const char *shown)
{
    (void)host_port;
    (void)shown;
    unsigned *asked = ctx;
    (*asked)++;
    return false;
}

static void cert_hash(struct alk_tls_creds *creds, uint8_t ret[static 32])
{
    uint64_t from, to;
    assert_true(alk_tls_creds_cert(creds, ret, &from, &to));
}

static void set_rule(struct tw *w, enum rule rule, uint8_t hash[static 32], char *seen)
{
    static uint8_t wrong_key[32];
    alk_key_public_of(tw_other_seed, wrong_key);
    const uint8_t *pinned = w->dial.pinned_key;
    w->dial.pinned_key = NULL;
    switch (rule) {
    case PIN_KEY:
        w->dial.pinned_key = pinned;
        break;
    case PIN_WRONG_KEY:
        w->dial.pinned_key = wrong_key;
        break;
    case PIN_WRONG_CERT:
        hash[0] ^= 1;
        w->dial.pinned_cert = hash;
        break;
    case PIN_CERT:
        w->dial.pinned_cert = hash;
        break;
    case CA:
        break;
    case TRUST:
        w->dial.trust = accept_any;
        w->dial.trust_ctx = seen;
        break;
    case INSECURE:
        w->dial.is_insecure = true;
        break;
    }
}

/* --- the matrix ------------------------------------------------------------------- */

struct row {
    const char *name;
    enum tw_creds server;
    enum rule rule;
    enum tw_creds client;
    enum alk_cert_kind want_server; /* what the client was shown */
    enum alk_cert_kind want_client; /* what the server was shown */
    alk_err want_client_err;        /* ALK_OK: both open */
    alk_err want_server_err;
};

static const struct row matrix[] = {
    {"raw server, pinned key, no client key", TW_RAW, PIN_KEY, TW_NONE, ALK_CERT_RAW_KEY,
     ALK_CERT_NONE, ALK_OK, ALK_OK},
    {"raw server, pinned key, raw client key", TW_RAW, PIN_KEY, TW_RAW, ALK_CERT_RAW_KEY,
     ALK_CERT_RAW_KEY, ALK_OK, ALK_OK},
    {"raw server, pinned key, X.509 client", TW_RAW, PIN_KEY, TW_X509, ALK_CERT_RAW_KEY,
     ALK_CERT_X509, ALK_OK, ALK_OK},
    {"both on the server, pinned key", TW_BOTH, PIN_KEY, TW_RAW, ALK_CERT_RAW_KEY, ALK_CERT_RAW_KEY,
     ALK_OK, ALK_OK},
    {"both on the server, CA", TW_BOTH, CA, TW_RAW, ALK_CERT_X509, ALK_CERT_RAW_KEY, ALK_OK,
     ALK_OK},
    {"both on the server, pinned certificate", TW_BOTH, PIN_CERT, TW_NONE, ALK_CERT_X509,
     ALK_CERT_NONE, ALK_OK, ALK_OK},
    {"both on the server, trust on first use prefers the key", TW_BOTH, TRUST, TW_NONE,
     ALK_CERT_RAW_KEY, ALK_CERT_NONE, ALK_OK, ALK_OK},
    {"both on the server, insecure", TW_BOTH, INSECURE, TW_NONE, ALK_CERT_RAW_KEY, ALK_CERT_NONE,
     ALK_OK, ALK_OK},
    {"X.509 server, CA, no client key", TW_X509, CA, TW_NONE, ALK_CERT_X509, ALK_CERT_NONE, ALK_OK,
     ALK_OK},
    {"X.509 server, CA, X.509 client", TW_X509, CA, TW_X509, ALK_CERT_X509, ALK_CERT_X509, ALK_OK,
     ALK_OK},
    {"X.509 server, pinned certificate, raw client key", TW_X509, PIN_CERT, TW_RAW, ALK_CERT_X509,
     ALK_CERT_RAW_KEY, ALK_OK, ALK_OK},
    {"X.509 server, trust on first use", TW_X509, TRUST, TW_NONE, ALK_CERT_X509, ALK_CERT_NONE,
     ALK_OK, ALK_OK},
    {"a client with both shows its key", TW_RAW, PIN_KEY, TW_BOTH, ALK_CERT_RAW_KEY,
     ALK_CERT_RAW_KEY, ALK_OK, ALK_OK},
    {"raw server, trust on first use", TW_RAW, TRUST, TW_NONE, ALK_CERT_RAW_KEY, ALK_CERT_NONE,
     ALK_OK, ALK_OK},
    {"another key than the pinned one", TW_RAW, PIN_WRONG_KEY, TW_RAW, ALK_CERT_RAW_KEY,
     ALK_CERT_NONE, ALK_E_KEY_CHANGED, ALK_E_TLS},
    {"another certificate than the pinned one", TW_X509, PIN_WRONG_CERT, TW_NONE, ALK_CERT_X509,
     ALK_CERT_NONE, ALK_E_KEY_CHANGED, ALK_E_TLS},
    {"a pinned key and a server with X.509 alone", TW_X509, PIN_KEY, TW_NONE, ALK_CERT_NONE,
     ALK_CERT_NONE, ALK_E_TLS, ALK_E_TLS},
    {"a pinned certificate and a server with a raw key alone", TW_RAW, PIN_CERT, TW_NONE,
     ALK_CERT_NONE, ALK_CERT_NONE, ALK_E_TLS, ALK_E_TLS},
    {"a raw key without pin or trust", TW_RAW, CA, TW_NONE, ALK_CERT_RAW_KEY, ALK_CERT_NONE,
     ALK_E_UNTRUSTED, ALK_E_TLS},
};

static void check_names(const struct alk_auth_context *auth, enum alk_cert_kind kind,
                        const uint8_t seed[static 32])
{
    if (kind == ALK_CERT_NONE) {
        assert_string_equal(auth->fingerprints[0], "");
        return;
    }
    if (kind == ALK_CERT_X509) {
        assert_non_null(strstr(auth->fingerprints[0], ":"));
        return;
    }
    uint8_t public_key[32];
    struct alk_key_names names;
    alk_key_public_of(seed, public_key);
    alk_key_names_from_ed25519(public_key, &names);
    for (size_t i = 0; i < names.count; i++) {
        assert_string_equal(auth->fingerprints[i], names.name[i]);
    }
}

static void check_row(const struct row *row)
{
    print_message("  %s\n", row->name);
    struct alk_tls_creds *creds = server_creds(row->server);
    uint8_t hash[32] = {0};
    if (alk_tls_creds_has_x509(creds)) {
        cert_hash(creds, hash);
    }
    char seen[160] = "";
    struct tw w;
    tw_init(&w, &(struct tw_options){.creds = creds});
    alk_tls_creds_unref(creds);
    w.client_creds = client_creds(row->client, true);
    if (row->rule == TRUST) { /* nothing else may vouch for it */
        alk_tls_creds_unref(w.client_creds);
        w.client_creds = client_creds(row->client, false);
    }
    set_rule(&w, row->rule, hash, seen);
    if (row->want_client_err == ALK_OK) {
        tw_establish(&w);
        assert_int_equal(w.client.auth.cert_kind, row->want_server);
        assert_int_equal(w.server.auth.cert_kind, row->want_client);
        check_names(&w.client.auth, row->want_server, tw_server_seed);
        check_names(&w.server.auth, row->want_client, tw_client_seed);
        assert_string_equal(w.server.auth.alpn, "test");
        assert_string_equal(w.client.auth.alpn, "test");
        assert_string_equal(w.server.auth.sni, row->rule == PIN_KEY ? "" : "node.example");
        assert_true(row->rule != TRUST || strncmp(seen, "node.example:4433 ", 18) == 0);
    } else {
        tw_connect(&w);
        tw_run(&w);
        tw_pass(&w, 10 * ALK_SECOND);
        assert_int_equal(w.client.opens, 0);
        assert_int_equal(w.server.opens, 0);
        check_err(w.client.close_err, row->want_client_err);
        check_err(w.server.close_err, row->want_server_err);
        assert_true(row->want_client_err == ALK_E_TLS || strlen(w.client.verify_text) > 20);
    }
    tw_fini(&w);
}

static void every_pair_of_key_and_certificate_meets_its_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matrix / sizeof matrix[0]; i++) {
        check_row(&matrix[i]);
    }
}

/* --- certificates by rule ------------------------------------------------------------ */

static void refused_certificate(const char *cert_name, int64_t shift_s, bool is_trusted,
                                const char *want_text)
{
    struct alk_buf c, k;
    tw_certificate(cert_name, shift_s, &c, &k);
    struct tw w;
    struct alk_tls_creds *creds = tw_creds_new(TW_X509, tw_server_seed, alk_buf_span(&c),
                                               alk_buf_span(&k), alk_span(NULL, 0));
    tw_init(&w, &(struct tw_options){.creds = creds});
    alk_tls_creds_unref(creds);
    w.dial.pinned_key = NULL;
    w.client_creds = tw_creds_new(TW_NONE, tw_client_seed, alk_span(NULL, 0), alk_span(NULL, 0),
                                  is_trusted ? alk_buf_span(&c) : alk_span(NULL, 0));
    tw_connect(&w);
    tw_pass(&w, 10 * ALK_SECOND);
    assert_int_equal(w.client.opens + w.server.opens, 0);
    check_err(w.client.close_err, ALK_E_UNTRUSTED);
    if (strstr(w.client.verify_text, want_text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", want_text, w.client.verify_text);
    }
    tw_fini(&w);
    alk_buf_fini(&c);
    alk_buf_fini(&k);
}

static void a_refused_certificate_says_why(void **state)
{
    (void)state;
    refused_certificate("node.example", 0, false, "signed by nobody");
    refused_certificate("other.example", 0, true, "another name");
    refused_certificate("node.example", -30 * 86400, true, "has expired");
    refused_certificate("node.example", 30 * 86400, true, "not valid yet");
}

static void trust_is_asked_only_where_no_rule_covers(void **state)
{
    (void)state;
    unsigned asked = 0;
    for (int i = 0; i < 2; i++) {
        struct tw w;
        struct alk_tls_creds *creds = server_creds(TW_X509);
        tw_init(&w, &(struct tw_options){.creds = creds});
        alk_tls_creds_unref(creds);
        w.dial.pinned_key = NULL;
        w.dial.trust = accept_none;
        w.dial.trust_ctx = &asked;
        w.client_creds = client_creds(TW_NONE, i == 0);
        tw_connect(&w);
        tw_pass(&w, 10 * ALK_SECOND);
        assert_int_equal(w.client.opens, i == 0 ? 1 : 0); /* the CA covers the first */
        assert_int_equal(asked, (unsigned)i);
        tw_fini(&w);
    }
}

static void addresses_are_checked_as_names_and_never_sent(void **state)
{
    (void)state;
    static const char *const hosts[] = {"192.0.2.7", "2001:db8::7"};
    for (size_t i = 0; i < 2; i++) {
        struct alk_buf c, k;
        tw_certificate(hosts[i], 0, &c, &k);
        struct tw w;
        struct alk_tls_creds *creds = tw_creds_new(TW_X509, tw_server_seed, alk_buf_span(&c),
                                                   alk_buf_span(&k), alk_span(NULL, 0));
        tw_init(&w, &(struct tw_options){.creds = creds});
        alk_tls_creds_unref(creds);
        w.dial.pinned_key = NULL;
        w.dial.host = hosts[i];
        w.client_creds = tw_creds_new(TW_NONE, tw_client_seed, alk_span(NULL, 0), alk_span(NULL, 0),
                                      alk_buf_span(&c));
        tw_establish(&w);
        assert_string_equal(w.server.auth.sni, "");
        tw_fini(&w);
        alk_buf_fini(&c);
        alk_buf_fini(&k);
    }
}

static void the_server_name_chooses_the_certificate(void **state)
{
    (void)state;
    struct alk_buf wild_chain, wild_key;
    tw_certificate("*.wild.example", 0, &wild_chain, &wild_key);
    struct alk_tls_creds *creds = server_creds(TW_BOTH);
    struct alk_tls_sni snis[2] = {
        {"*.wild.example", tw_creds_new(TW_X509, tw_server_seed, alk_buf_span(&wild_chain),
                                        alk_buf_span(&wild_key), alk_span(NULL, 0))},
        {"Other.example", tw_creds_new(TW_X509, tw_server_seed, alk_buf_span(&other_chain),
                                       alk_buf_span(&other_key), alk_span(NULL, 0))},
    };
    static const struct {
        const char *host;
        int want; /* index of snis; -1: the default */
    } rows[] = {{"other.example", 1},   {"a.wild.example", 0}, {"a.b.wild.example", -1},
                {"wild.example", -1},   {"node.example", -1},  {"OTHER.example", 1},
                {"another.example", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tw w;
        uint8_t hash[32];
        tw_init(&w, &(struct tw_options){.creds = creds, .snis = snis, .sni_count = 2});
        cert_hash(rows[i].want < 0 ? creds : snis[rows[i].want].creds, hash);
        w.dial.host = rows[i].host;
        w.dial.pinned_key = NULL;
        w.dial.pinned_cert = hash;
        tw_establish(&w);
        tw_fini(&w);
    }
    alk_tls_creds_unref(creds);
    alk_tls_creds_unref(snis[0].creds);
    alk_tls_creds_unref(snis[1].creds);
    alk_buf_fini(&wild_chain);
    alk_buf_fini(&wild_key);
}

static void credentials_may_go_while_a_session_uses_them(void **state)
{
    (void)state;
    struct tw w;
    tw_init(&w, &(struct tw_options){.secret = 1});
    tw_connect(&w);
    /* A reload in the middle of the handshake: the session holds what it needs. */
    alk_tls_server_unref(w.server_conf);
    w.server_conf = NULL;
    tw_run(&w);
    assert_int_equal(w.server.opens, 1);
    assert_int_equal(w.client.opens, 1);
    tw_fini(&w);
}

static char keylog_text[4096];

static void take_line(void *ctx, const char *line)
{
    unsigned *lines = ctx;
    (*lines)++;
    size_t n = strlen(keylog_text);
    (void)snprintf(keylog_text + n, sizeof keylog_text - n, "%s\n", line);
}

static void key_log_lines_go_where_they_are_asked_for(void **state)
{
    (void)state;
    unsigned lines = 0;
    keylog_text[0] = '\0';
    struct tw w;
    tw_init(&w, &(struct tw_options){.keylog = take_line, .keylog_ctx = &lines});
    tw_establish(&w);
    assert_int_equal(lines, 5);
    assert_non_null(strstr(keylog_text, "SERVER_HANDSHAKE_TRAFFIC_SECRET "));
    assert_non_null(strstr(keylog_text, "CLIENT_TRAFFIC_SECRET_0 "));
    struct alk_tls_session *s = alk_tcp_session(w.server.conn);
    assert_int_equal(gnutls_session_key_update(s->gs, 0), 0);
    assert_int_equal(lines, 5); /* one line for a label */
    tw_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_key_and_certificate_meets_its_rule),
        cmocka_unit_test(a_refused_certificate_says_why),
        cmocka_unit_test(trust_is_asked_only_where_no_rule_covers),
        cmocka_unit_test(addresses_are_checked_as_names_and_never_sent),
        cmocka_unit_test(the_server_name_chooses_the_certificate),
        cmocka_unit_test(credentials_may_go_while_a_session_uses_them),
        cmocka_unit_test(key_log_lines_go_where_they_are_asked_for),
    };
    return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
