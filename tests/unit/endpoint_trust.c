/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a node shows of itself (certificates) and what it knows of others (the
 * store), while it runs; and what it writes down about it. */
#include "support/node.h"

#include "base/text.h"
#include "core/endpoint.h"
#include "core/io/loop.h"
#include "core/store/file.h"
#include "core/tls/key.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

static const unsigned transports[] = {ALK_TRANSPORT_QUIC, ALK_TRANSPORT_TLS};
static const char *const echo[] = {"test/echo", NULL};

static bool is_decided(void *ctx)
{
    const struct client *c = ctx;
    return c->conn != NULL || c->is_failed || c->is_closed;
}

/* Whether the node, asked by this name, shows this certificate. */
static bool shows(struct node *n, const char *sni, const uint8_t *sha256, unsigned transport)
{
    struct client c;
    struct alk_dial_options o = client_options(n, echo);
    o.pinned_key = NULL;
    o.pinned_cert = sha256;
    o.sni = sni;
    o.transports = transport;
    client_dial(&c, n, &o);
    node_until(n, is_decided, &c);
    bool is_shown = c.conn != NULL;
    assert_true(is_shown || c.err == ALK_E_KEY_CHANGED);
    client_close(&c);
    return is_shown;
}

static bool has_raw_key(struct node *n)
{
    struct client c;
    client_open(&c, n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    bool is_open = c.conn != NULL;
    client_close(&c);
    return is_open;
}

/* --- certificates ------------------------------------------------------------------- */

static void a_self_signed_certificate_stands_beside_the_raw_key_and_is_kept(void **ctx)
{
    (void)ctx;
    uint8_t first[32];
    uint8_t second[32];
    uint64_t not_after;
    struct node n;
    node_init(&n, "identity: {self_signed: true}\nadvertise: node.example.org:4433\n");
    node_start(&n, NULL);
    assert_true(alk_endpoint_certificate(n.ep, first, &not_after));
    assert_true(not_after <= alk_clock_unix() + 14 * 86400);
    assert_true(not_after > alk_clock_unix() + 10 * 86400);
    for (size_t i = 0; i < 2; i++) {
        assert_true(shows(&n, NULL, first, transports[i]));
        assert_true(shows(&n, "node.example.org", first, transports[i]));
    }
    assert_true(has_raw_key(&n));
    alk_endpoint_free(n.ep);
    n.ep = NULL;
    node_start(&n, NULL);
    assert_true(alk_endpoint_certificate(n.ep, second, &not_after));
    assert_memory_equal(first, second, 32);
    node_fini(&n);
}

/* A certificate for one name in dir/name.pem and dir/name.key. */
static void make_certificate(const struct node *n, const char *name, uint8_t *ret_sha256)
{
    const char *names[] = {name, NULL};
    char path[128];
    struct alk_buf chain;
    struct alk_buf key;
    struct alk_tls_creds *creds;
    uint64_t ignored;
    alk_buf_init(&chain, NULL, 65536);
    alk_buf_init(&key, NULL, 65536);
    assert_int_equal(alk_tls_self_signed(names, alk_clock_unix(), 86400, &chain, &key), ALK_OK);
    (void)snprintf(path, sizeof path, "%s/%s.pem", n->dir, name);
    assert_int_equal(alk_file_write(path, alk_buf_span(&chain), 0644), ALK_OK);
    (void)snprintf(path, sizeof path, "%s/%s.key", n->dir, name);
    assert_int_equal(alk_file_write(path, alk_buf_span(&key), 0600), ALK_OK);
    struct alk_tls_creds_options o = {.chain_pem = alk_buf_span(&chain),
                                      .key_pem = alk_buf_span(&key)};
    assert_int_equal(alk_tls_creds_new(&o, NULL, 0, &creds), ALK_OK);
    assert_true(alk_tls_creds_cert(creds, ret_sha256, &ignored, &ignored));
    alk_tls_creds_unref(creds);
    alk_buf_fini(&chain);
    alk_buf_fini(&key);
}

static void reload_ok(struct node *n, const char *yaml);

static void each_name_has_its_certificate_and_a_reload_renews_it(void **ctx)
{
    (void)ctx;
    static const char row[] = "{cert: \"%s/%s.pem\", key: \"%s/%s.key\"%s}";
    char yaml[800];
    char rows[2][300];
    uint8_t a[32];
    uint8_t b[32];
    uint8_t fresh[32];
    struct node n;
    struct client old;
    node_init(&n, "");
    make_certificate(&n, "a.test", a);
    make_certificate(&n, "b.test", b);
    (void)snprintf(rows[0], sizeof rows[0], row, n.dir, "a.test", n.dir, "a.test", "");
    (void)snprintf(rows[1], sizeof rows[1], row, n.dir, "b.test", n.dir, "b.test",
                   ", sni: [other.test, \"*.b.test\"]");
    (void)snprintf(yaml, sizeof yaml, "identity:\n  certificates:\n    - %s\n    - %s\n", rows[0],
                   rows[1]);
    node_write_config(&n, yaml);
    node_start(&n, NULL);
    for (size_t i = 0; i < 2; i++) {
        assert_true(shows(&n, NULL, a, transports[i])); /* the first is the default */
        assert_true(shows(&n, "a.test", a, transports[i]));
        assert_true(shows(&n, "other.test", b, transports[i]));
        assert_true(shows(&n, "x.b.test", b, transports[i]));
        assert_true(shows(&n, "b.test", a, transports[i])); /* not among the names given */
    }
    assert_true(has_raw_key(&n));
    client_open(&old, &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    make_certificate(&n, "a.test", fresh);
    reload_ok(&n, yaml);
    assert_true(shows(&n, "a.test", fresh, ALK_TRANSPORT_QUIC));
    assert_false(shows(&n, "a.test", a, ALK_TRANSPORT_TLS));
    client_echo(&old, ALK_LIT("old credentials"));
    client_close(&old);
    node_fini(&n);
}

static void a_certificate_that_cannot_be_read_fails_the_start_with_its_name(void **ctx)
{
    (void)ctx;
    char *message = NULL;
    struct node n;
    node_init(&n, "identity: {certificates: [{cert: /nowhere/c.pem, key: /nowhere/k.pem}]}\n");
    assert_int_equal(node_try_start(&n, NULL, &message), ALK_E_NOENT);
    assert_non_null(strstr(message, "/nowhere/c.pem"));
    free(message);
    node_fini(&n);
}

/* --- the store ----------------------------------------------------------------------- */

static alk_err auth_op(struct node *n, const char *name, const char *input, char *why, size_t size)
{
    yyjson_doc *in = yyjson_read(input, strlen(input), 0);
    yyjson_mut_doc *out = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *value = NULL;
    assert_non_null(in);
    alk_err err =
        alk_endpoint_auth_op(n->ep, name, yyjson_doc_get_root(in), out, why, size, &value);
    yyjson_doc_free(in);
    yyjson_mut_doc_free(out);
    return err;
}

static void a_peer_is_added_and_disabled_while_the_node_runs(void **ctx)
{
    (void)ctx;
    char why[1024];
    char input[300];
    char hex[ALK_HEX_SIZE(32)];
    uint8_t seed[32] = {7};
    struct alk_key *key;
    assert_int_equal(alk_key_new(NULL, seed, &key), ALK_OK);
    assert_true(alk_hex(alk_span(alk_key_public(key), 32), hex, sizeof hex));
    for (size_t i = 0; i < 2; i++) {
        struct node n;
        struct client c;
        node_init(&n, "auth: {peers: [{id: fixed, keys: []}]}\n");
        n.loops = 2;
        node_start(&n, NULL);
        client_open(&c, &n, "test/private", transports[i], key);
        client_wait_closed(&c);
        (void)snprintf(input, sizeof input, "{\"id\": \"laptop\", \"keys\": [\"ed25519:%s\"]}",
                       hex);
        assert_int_equal(auth_op(&n, "auth/peer/add", input, why, sizeof why), ALK_OK);
        do { /* every loop has the new generation a moment later */
            client_open(&c, &n, "test/private", transports[i], key);
            if (c.conn != NULL) {
                client_send(&c, ALK_LIT("x"), false);
                while (c.received == 0 && !c.is_closed) {
                    node_turn(&n, 100);
                }
            }
        } while (c.conn == NULL);
        assert_int_equal(auth_op(&n, "auth/peer/disable", "{\"id\": \"laptop\"}", why, sizeof why),
                         ALK_OK);
        client_wait_closed(&c);
        if (i == 0) {
            assert_int_equal(c.code, ALK_CODE_REVOKED);
        }
        /* What the configuration holds cannot be taken by the store. */
        assert_int_not_equal(
            auth_op(&n, "auth/peer/add", "{\"id\": \"fixed\", \"keys\": []}", why, sizeof why),
            ALK_OK);
        node_fini(&n);
    }
    alk_key_free(key);
}

/* --- files ------------------------------------------------------------------------------ */

static bool file_holds(const char *path, const char *text)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, (size_t)1 << 20);
    assert_int_equal(alk_file_read(path, (size_t)1 << 20, &b), ALK_OK);
    bool is_there = strstr(alk_buf_cstr(&b), text) != NULL;
    alk_buf_fini(&b);
    return is_there;
}

static bool has_file_that_ends(const char *dir, const char *end)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    bool is_there = false;
    while (d != NULL && (e = readdir(d)) != NULL) {
        is_there = is_there || alk_span_ends(alk_span_str(e->d_name), alk_span_str(end));
    }
    (void)closedir(d);
    return is_there;
}

static void audit_key_log_and_qlog_are_written_where_they_were_asked_for(void **ctx)
{
    (void)ctx;
    char audit[128];
    char keylog[128];
    struct node n;
    struct client c;
    node_init(&n, "log: {audit: audit.log}\n");
    (void)snprintf(audit, sizeof audit, "%s/data/audit.log", n.dir);
    (void)snprintf(keylog, sizeof keylog, "%s/keys.log", n.dir);
    n.keylog_file = keylog;
    n.qlog_dir = n.dir;
    node_start(&n, NULL);
    for (size_t i = 0; i < 2; i++) {
        client_open(&c, &n, "test/echo", transports[i], NULL);
        client_echo(&c, ALK_LIT("noted"));
        client_close(&c);
    }
    client_open(&c, &n, "test/private", ALK_TRANSPORT_QUIC, NULL);
    client_wait_closed(&c);
    assert_true(file_holds(audit, "what=login"));
    assert_true(file_holds(audit, "alpn=test/echo"));
    assert_true(file_holds(keylog, "CLIENT_TRAFFIC_SECRET_0 "));
    assert_true(has_file_that_ends(n.dir, ".sqlog"));
    node_fini(&n);
}

struct outcome {
    bool is_told;
    alk_err err;
};
static void on_reloaded(void *ctx, alk_err err, const char *message)
{
    struct outcome *o = ctx;
    if (err != ALK_OK) {
        print_error("%s\n", message == NULL ? "" : message);
    }
    *o = (struct outcome){true, err};
}
static bool is_told(void *ctx)
{
    const struct outcome *o = ctx;
    return o->is_told;
}
static void reload_ok(struct node *n, const char *yaml)
{
    struct outcome o = {0};
    node_write_config(n, yaml);
    alk_endpoint_reload(n->ep, on_reloaded, &o);
    node_until(n, is_told, &o);
    assert_int_equal(o.err, ALK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_self_signed_certificate_stands_beside_the_raw_key_and_is_kept),
        cmocka_unit_test(each_name_has_its_certificate_and_a_reload_renews_it),
        cmocka_unit_test(a_certificate_that_cannot_be_read_fails_the_start_with_its_name),
        cmocka_unit_test(a_peer_is_added_and_disabled_while_the_node_runs),
        cmocka_unit_test(audit_key_log_and_qlog_are_written_where_they_were_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
