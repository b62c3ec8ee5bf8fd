/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client that is not ours: ngtcp2 and GnuTLS alone, so that it can say what our
 * own never says. */
#include "sim/pair.h"

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#define NO_APPLICATION_PROTOCOL 120
#define QUEUE                   32
#define ANY_SIZE                NGTCP2_DEFAULT_MAX_RECV_UDP_PAYLOAD_SIZE

struct bare {
    struct pair *p;
    ngtcp2_conn *nc;
    ngtcp2_crypto_conn_ref ref;
    gnutls_session_t gs;
    gnutls_certificate_credentials_t creds;
    ngtcp2_path_storage path;
    uint8_t in[QUEUE][2048]; /* what the server sent */
    size_t in_n[QUEUE];
    size_t in_count;
    size_t largest; /* of what the server sent */
    int rv;         /* of the last read */
};

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    const struct bare *b = ref->user_data;
    return b->nc;
}

static void fill_rand(uint8_t *dest, size_t n, const ngtcp2_rand_ctx *ctx)
{
    (void)ctx;
    memset(dest, 7, n);
}

static int new_cid(ngtcp2_conn *nc, ngtcp2_cid *cid, uint8_t *token, size_t n, void *user)
{
    static uint8_t next;
    (void)nc;
    (void)user;
    cid->datalen = n;
    memset(cid->data, ++next, n);
    memset(token, next, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

static int challenge(ngtcp2_conn *nc, uint8_t *data, void *user)
{
    (void)nc;
    (void)user;
    memset(data, 5, NGTCP2_PATH_CHALLENGE_DATALEN);
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .rand = fill_rand,
    .get_new_connection_id = new_cid,
    .get_path_challenge_data = challenge,
};

static void start_tls(struct bare *b, const char *alpn)
{
    assert_int_equal(gnutls_init(&b->gs, GNUTLS_CLIENT | GNUTLS_ENABLE_RAWPK), 0);
    assert_int_equal(gnutls_priority_set_direct(b->gs,
                                                "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:"
                                                "+VERS-TLS1.3:-CTYPE-ALL:+CTYPE-SRV-RAWPK:"
                                                "+CTYPE-CLI-X509",
                                                NULL),
                     0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&b->creds), 0);
    assert_int_equal(gnutls_credentials_set(b->gs, GNUTLS_CRD_CERTIFICATE, b->creds), 0);
    if (alpn != NULL) {
        gnutls_datum_t name = {.data = (unsigned char *)(uintptr_t)alpn,
                               .size = (unsigned)strlen(alpn)};
        assert_int_equal(gnutls_alpn_set_protocols(b->gs, &name, 1, GNUTLS_ALPN_MANDATORY), 0);
    }
    b->ref = (ngtcp2_crypto_conn_ref){.get_conn = get_conn, .user_data = b};
    gnutls_session_set_ptr(b->gs, &b->ref);
    assert_int_equal(ngtcp2_crypto_gnutls_configure_client_session(b->gs), 0);
}

static void set_addr(ngtcp2_addr *a, const struct alk_addr *from)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(from->port)};
    memcpy(&in.sin_addr, from->ip, 4);
    memcpy(a->addr, &in, sizeof in);
    a->addrlen = sizeof in;
}

static void start(struct bare *b, const char *alpn, size_t takes)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid dcid, scid;
    uint8_t data[18] = {0x42, 0x43, 0x44};
    ngtcp2_cid_init(&dcid, data, 18);
    data[0] = 9;
    ngtcp2_cid_init(&scid, data, 8);
    ngtcp2_path_storage_zero(&b->path);
    set_addr(&b->path.path.local, &b->p->c->addr);
    set_addr(&b->path.path.remote, &b->p->s->addr);
    ngtcp2_settings_default(&settings);
    settings.initial_ts = b->p->w.now;
    ngtcp2_transport_params_default(&params);
    params.initial_max_data = 65536;
    params.max_udp_payload_size = takes;
    params.max_datagram_frame_size = 65535;
    start_tls(b, alpn);
    assert_int_equal(ngtcp2_conn_client_new(&b->nc, &dcid, &scid, &b->path.path,
                                            NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params,
                                            NULL, b),
                     0);
    ngtcp2_conn_set_tls_native_handle(b->nc, b->gs);
}

/* Keeps what the server sends to the place where this client is. */
static bool keep(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data, size_t *n)
{
    struct bare *b = ctx;
    b->largest = from == b->p->s && *n > b->largest ? *n : b->largest;
    if (from == b->p->s && to == b->p->c && b->in_count < QUEUE && *n <= sizeof b->in[0]) {
        memcpy(b->in[b->in_count], data, *n);
        b->in_n[b->in_count++] = *n;
    }
    return false;
}

static void speak(struct bare *b)
{
    uint8_t out[1452];
    ngtcp2_ssize n;
    while ((n = ngtcp2_conn_writev_stream(b->nc, NULL, NULL, out, sizeof out, NULL, 0, -1, NULL, 0,
                                          b->p->w.now)) > 0) {
        sim_inject(&b->p->w, b->p->c, b->p->s, out, (size_t)n);
    }
}

static void listen_to_it(struct bare *b)
{
    ngtcp2_pkt_info pi = {0};
    for (size_t i = 0; i < b->in_count && b->rv == 0; i++) {
        b->rv = ngtcp2_conn_read_pkt(b->nc, &b->path.path, &pi, b->in[i], b->in_n[i], b->p->w.now);
    }
    b->in_count = 0;
}

/* Until the server closes, or for a second. */
static void go_on(struct bare *b)
{
    for (unsigned i = 0; i < 50 && b->rv == 0; i++) {
        speak(b);
        (void)sim_run(&b->p->w, 20 * ALK_MS, NULL, NULL);
        listen_to_it(b);
    }
}

/* takes: bytes of what UDP carries. */
static void converse(struct bare *b, const char *alpn, size_t takes)
{
    memset(b, 0, sizeof *b);
    b->p = pair_new(NULL);
    b->p->w.tap = keep;
    b->p->w.tap_ctx = b;
    start(b, alpn, takes);
    go_on(b);
}

static void leave(struct bare *b)
{
    ngtcp2_conn_del(b->nc);
    gnutls_deinit(b->gs);
    gnutls_certificate_free_credentials(b->creds);
    b->p->w.tap = NULL;
    pair_free(b->p);
}

static void check_refusal(const char *alpn)
{
    struct bare b;
    converse(&b, alpn, ANY_SIZE);
    assert_int_equal(b.rv, NGTCP2_ERR_DRAINING);
    const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(b.nc);
    assert_int_equal(e->type, NGTCP2_CCERR_TYPE_TRANSPORT);
    /* [RFC 9001 §8.1] no application protocol is no_application_protocol */
    assert_int_equal(e->error_code, NGTCP2_CRYPTO_ERROR | NO_APPLICATION_PROTOCOL);
    assert_int_equal(b.p->server.opens, 0);
    assert_int_equal(b.p->server.streams, 0);
    leave(&b);
}

static void no_alpn_at_all_is_alert_120(void **state)
{
    (void)state;
    check_refusal(NULL);
}

static void an_alpn_that_nobody_serves_is_alert_120(void **state)
{
    (void)state;
    check_refusal("h3");
}

/* The same client with an ALPN that is served: nothing else was wrong with it. */
static void an_alpn_that_is_served_opens(void **state)
{
    (void)state;
    struct bare b;
    converse(&b, "sim/1", ANY_SIZE);
    assert_int_equal(b.rv, 0);
    assert_true(ngtcp2_conn_get_handshake_completed(b.nc) != 0);
    assert_int_equal(b.p->server.opens, 1);
    assert_string_equal(b.p->server.auth.alpn, "sim/1");
    leave(&b);
}

/* [RFC 9000 §18.2] max_udp_payload_size is what the peer is willing to receive */
static void no_packet_is_larger_than_the_peer_takes(void **state)
{
    (void)state;
    static const size_t takes[] = {ANY_SIZE, 1452, 1372, 1350, 1200};
    static const size_t largest[] = {1452, 1452, 1372, 1342, 1200};
    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++) {
        struct bare b;
        converse(&b, "sim/1", takes[i]);
        check_err(alk_conn_datagram(b.p->server.conn, ALK_LIT("more")), ALK_OK); /* and probe */
        go_on(&b);
        assert_int_equal(b.rv, 0);
        assert_int_equal(b.largest, largest[i]);
        leave(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_alpn_at_all_is_alert_120),
        cmocka_unit_test(an_alpn_that_nobody_serves_is_alert_120),
        cmocka_unit_test(an_alpn_that_is_served_opens),
        cmocka_unit_test(no_packet_is_larger_than_the_peer_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
