/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 0-RTT as QUIC uses it: sessions of one node's loops, joined message by message.
 * A flight counts once, whichever loop it reaches, and only for a service that
 * says it is safe. */
#include "core/tls/session.h"

#include "core/tls/internal.h"
#include "support/tls_world.h"

enum { MESSAGES_MAX = 32, MESSAGE_MAX = 4096 };

struct message {
    gnutls_record_encryption_level_t level;
    size_t n;
    uint8_t data[MESSAGE_MAX];
};

struct end {
    struct alk_tls_session tls;
    struct message out[MESSAGES_MAX];
    size_t sent, taken;
    bool is_done;
};

static int on_message(gnutls_session_t gs, gnutls_record_encryption_level_t level,
                      gnutls_handshake_description_t type, const void *data, size_t n)
{
    struct end *e = gnutls_session_get_ptr(gs);
    if (type == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC) {
        return 0;
    }
    assert_true(e->sent < MESSAGES_MAX && n <= MESSAGE_MAX);
    struct message *m = &e->out[e->sent++];
    m->level = level;
    m->n = n;
    memcpy(m->data, data, n);
    return 0;
}

static void attach(struct end *e)
{
    gnutls_session_set_ptr(e->tls.gs, e);
    gnutls_handshake_set_read_function(e->tls.gs, on_message);
}

static void think(struct end *e)
{
    if (!e->is_done) {
        int rv = gnutls_handshake(e->tls.gs);
        assert_true(rv == 0 || gnutls_error_is_fatal(rv) == 0);
        e->is_done = rv == 0;
    }
}

static bool carry(struct end *from, struct end *to)
{
    bool moved = false;
    while (from->taken < from->sent) {
        const struct message *m = &from->out[from->taken++];
        assert_int_equal(gnutls_handshake_write(to->tls.gs, m->level, m->data, m->n), 0);
        think(to);
        moved = true;
    }
    return moved;
}

/* --- a node of two loops --------------------------------------------------------------- */

static const struct tw_service services[] = {{.alpn = "safe", .early_safe = true},
                                             {.alpn = "other"}};
static const char *const safe_alpn[] = {"safe", NULL};
static const char *const other_alpn[] = {"other", NULL};

struct node {
    struct tw w; /* for the server's configuration */
    struct alk_replay_db *db;
    struct alk_tls_loop *loops[2];
    struct alk_buf ticket;
};

static void node_init(struct node *n)
{
    static const uint8_t seed[16] = {5};
    check_err(alk_replay_new(NULL, 0, seed, &n->db), ALK_OK);
    tw_init(&n->w, &(struct tw_options){
                       .services = services, .service_count = 2, .replay = n->db, .secret = 9});
    for (size_t i = 0; i < 2; i++) {
        check_err(alk_tls_loop_new(NULL, n->db, &n->loops[i]), ALK_OK);
    }
    alk_buf_init(&n->ticket, NULL, 1 << 16);
    struct alk_tls_creds_options o = {.seed = tw_client_seed};
    check_err(alk_tls_creds_new(&o, NULL, 0, &n->w.client_creds), ALK_OK);
    n->w.dial.alpns = safe_alpn;
    n->w.dial.want_early = true;
}

static void node_fini(struct node *n)
{
    alk_tls_loop_free(n->loops[0]);
    alk_tls_loop_free(n->loops[1]);
    tw_fini(&n->w);
    alk_replay_free(n->db);
    alk_buf_fini(&n->ticket);
}

static void start_server(struct node *n, struct end *e, struct alk_tls_loop *loop)
{
    memset(e, 0, sizeof *e);
    check_err(alk_tls_session_server(&e->tls, n->w.server_conf, loop, ALK_TRANSPORT_QUIC), ALK_OK);
    attach(e);
}

static void start_client(struct node *n, struct end *e)
{
    memset(e, 0, sizeof *e);
    check_err(alk_tls_session_client(&e->tls, &n->w.dial, n->w.client_creds, ALK_TRANSPORT_QUIC,
                                     alk_buf_span(&n->ticket)),
              ALK_OK);
    attach(e);
    think(e);
}

static void converse(struct end *client, struct end *server)
{
    while (carry(client, server) || carry(server, client)) {
    }
    assert_true(client->is_done && server->is_done);
}

static bool is_early(const struct end *e)
{
    return (gnutls_session_get_flags(e->tls.gs) & GNUTLS_SFLAGS_EARLY_DATA) != 0;
}

/* A whole conversation on this loop; the client keeps its ticket. */
static void visit(struct node *n, struct alk_tls_loop *loop, bool want_resumed, bool want_early)
{
    static struct end client, server;
    start_client(n, &client);
    start_server(n, &server, loop);
    converse(&client, &server);
    struct alk_auth_context auth = {.alpn = ""};
    alk_tls_session_describe(&server.tls, &auth);
    assert_int_equal(auth.is_resumed, want_resumed);
    assert_int_equal(auth.cert_kind, ALK_CERT_RAW_KEY); /* also after resumption */
    assert_int_equal(is_early(&client), want_early);
    assert_int_equal(is_early(&server), want_early);
    check_err(alk_tls_session_ticket(&client.tls, &n->ticket), ALK_MORE);
    check_err(alk_tls_session_send_ticket(&server.tls), ALK_OK);
    (void)carry(&server, &client);
    alk_buf_clear(&n->ticket);
    check_err(alk_tls_session_ticket(&client.tls, &n->ticket), ALK_OK);
    alk_tls_session_fini(&client.tls);
    alk_tls_session_fini(&server.tls);
}

static void a_ticket_gives_early_data_on_any_loop(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    visit(&n, n.loops[0], false, false);
    visit(&n, n.loops[1], true, true);
    visit(&n, n.loops[0], true, true);
    assert_int_equal(alk_replay_count(n.db), 2);
    node_fini(&n);
}

/* The client's first flight given to two servers, as an attacker would. */
static void replay(struct node *n, struct alk_tls_loop *first, struct alk_tls_loop *second,
                   bool want_first, bool want_second)
{
    static struct end client, server, copy;
    start_client(n, &client);
    assert_true(client.tls.is_early_allowed);
    start_server(n, &server, first);
    start_server(n, &copy, second);
    (void)carry(&client, &server);
    client.taken = 0;
    (void)carry(&client, &copy);
    assert_int_equal(is_early(&server), want_first);
    assert_int_equal(is_early(&copy), want_second);
    alk_tls_session_fini(&client.tls);
    alk_tls_session_fini(&server.tls);
    alk_tls_session_fini(&copy.tls);
}

static void a_flight_is_early_once_on_one_loop_and_on_two(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    visit(&n, n.loops[0], false, false);
    replay(&n, n.loops[0], n.loops[0], true, false);
    visit(&n, n.loops[0], true, true);
    replay(&n, n.loops[0], n.loops[1], true, false);
    node_fini(&n);
}

static void a_service_that_is_not_safe_refuses_early_data(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    n.w.dial.alpns = other_alpn;
    visit(&n, n.loops[0], false, false);
    visit(&n, n.loops[0], true, false); /* resumed, one round trip later */
    assert_int_equal(alk_replay_count(n.db), 0);
    node_fini(&n);
}

static void a_ticket_of_another_alpn_gives_nothing(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    n.w.dial.alpns = other_alpn;
    visit(&n, n.loops[0], false, false);
    n.w.dial.alpns = safe_alpn;
    visit(&n, n.loops[0], false, false);
    node_fini(&n);
}

static void a_node_that_started_later_gives_older_tickets_no_early_data(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    visit(&n, n.loops[0], false, false);
    struct alk_tls_loop *restarted = NULL;
    check_err(alk_tls_loop_new(NULL, n.db, &restarted), ALK_OK);
    visit(&n, restarted, true, false);
    visit(&n, restarted, true, true);
    alk_tls_loop_free(restarted);
    node_fini(&n);
}

static void without_a_replay_table_nothing_is_early(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    struct alk_tls_loop *bare = NULL;
    check_err(alk_tls_loop_new(NULL, NULL, &bare), ALK_OK);
    visit(&n, bare, false, false);
    visit(&n, bare, true, false);
    visit(&n, NULL, true, false);
    alk_tls_loop_free(bare);
    node_fini(&n);
}

static void a_client_that_does_not_want_it_offers_none(void **state)
{
    (void)state;
    struct node n;
    node_init(&n);
    visit(&n, n.loops[0], false, false);
    n.w.dial.want_early = false;
    visit(&n, n.loops[0], true, false);
    node_fini(&n);
}

static void the_peers_key_is_known_before_the_handshake_ends(void **state)
{
    (void)state;
    struct node n;
    static struct end client, server;
    node_init(&n);
    visit(&n, n.loops[0], false, false);
    start_client(&n, &client);
    start_server(&n, &server, n.loops[0]);
    (void)carry(&client, &server);
    assert_false(server.is_done);
    struct alk_auth_context auth = {.alpn = ""};
    alk_tls_session_describe(&server.tls, &auth);
    assert_string_equal(auth.alpn, "safe");
    assert_true(auth.is_resumed);
    assert_int_equal(auth.cert_kind, ALK_CERT_RAW_KEY);
    assert_true(strncmp(auth.fingerprints[0], "ed25519:", 8) == 0);
    alk_tls_session_fini(&client.tls);
    alk_tls_session_fini(&server.tls);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_gives_early_data_on_any_loop),
        cmocka_unit_test(a_flight_is_early_once_on_one_loop_and_on_two),
        cmocka_unit_test(a_service_that_is_not_safe_refuses_early_data),
        cmocka_unit_test(a_ticket_of_another_alpn_gives_nothing),
        cmocka_unit_test(a_node_that_started_later_gives_older_tickets_no_early_data),
        cmocka_unit_test(without_a_replay_table_nothing_is_early),
        cmocka_unit_test(a_client_that_does_not_want_it_offers_none),
        cmocka_unit_test(the_peers_key_is_known_before_the_handshake_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
