/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Dialing: the race, addresses, failures, what is remembered. */
#include "support/node.h"

#include "core/io/dial.h"
#include "core/io/sock.h"
#include "core/store/session_cache.h"

#include <stdio.h>
#include <unistd.h>

static const char *const echo[] = {"test/echo", NULL};

static bool is_decided(void *ctx)
{
    const struct client *c = ctx;
    return c->conn != NULL || c->is_failed || c->is_closed;
}

static void dial(struct client *c, struct node *n, const struct alk_dial_options *o)
{
    client_dial(c, n, o);
    assert_false(is_decided(c)); /* never inside the call */
    node_until(n, is_decided, c);
}

/* --- the race ------------------------------------------------------------- */

static void quic_wins_where_both_work(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c;
    node_init(&n, "");
    node_start(&n, NULL);
    struct alk_dial_options o = client_options(&n, echo);
    dial(&c, &n, &o);
    assert_int_equal(alk_conn_transport(c.conn), ALK_TRANSPORT_QUIC);
    client_echo(&c, ALK_LIT("over quic"));
    client_close(&c);
    node_fini(&n);
}

/* A port where TCP leads to the node, and UDP into a socket that never answers:
 * a network that drops UDP; or lets the datagrams of one client pass for a while. */
struct tcp_only {
    int listener, udp;
    int back; /* UDP to the node */
    bool passes_udp;
    bool is_answered; /* with only_answer: one came, and nothing goes to the node any more */
    bool only_answer;
    struct sockaddr_storage who;
    socklen_t who_size;
    struct alk_watch *front_watch, *back_watch;
    uint16_t port;
    struct alk_addr to;
    struct alk_loop *loop;
    struct alk_watch *accept;
    struct pair {
        struct tcp_only *relay;
        int fd[2];
        struct alk_watch *watch[2];
    } pairs[4];
    size_t count;
};

static void relay(struct pair *p, int from)
{
    uint8_t buf[16384];
    ssize_t got = recv(p->fd[from], buf, sizeof buf, MSG_DONTWAIT);
    if (got > 0) {
        assert_int_equal(send(p->fd[1 - from], buf, (size_t)got, MSG_NOSIGNAL), got);
    } else if (got == 0) {
        (void)shutdown(p->fd[1 - from], SHUT_WR);
        alk_watch_mask(p->watch[from], 0);
    }
}
static void on_left(void *ctx, unsigned ready)
{
    (void)ready;
    relay(ctx, 0);
}
static void on_right(void *ctx, unsigned ready)
{
    (void)ready;
    relay(ctx, 1);
}

static void on_accept(void *ctx, unsigned ready)
{
    struct tcp_only *t = ctx;
    struct pair *p = &t->pairs[t->count++];
    struct sockaddr_storage sa;
    socklen_t size = alk_sockaddr_put(&t->to, &sa);
    (void)ready;
    p->relay = t;
    p->fd[0] = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
    p->fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->fd[0] >= 0);
    assert_int_equal(connect(p->fd[1], (const struct sockaddr *)&sa, size), 0);
    assert_int_equal(alk_watch_new(t->loop, p->fd[0], ALK_FD_READ, on_left, p, &p->watch[0]), 0);
    assert_int_equal(alk_watch_new(t->loop, p->fd[1], ALK_FD_READ, on_right, p, &p->watch[1]), 0);
}

static void on_front(void *ctx, unsigned ready)
{
    struct tcp_only *t = ctx;
    uint8_t buf[2048];
    ssize_t n;
    (void)ready;
    t->who_size = sizeof t->who;
    while ((n = recvfrom(t->udp, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&t->who,
                         &t->who_size)) >= 0) {
        if (t->passes_udp && !(t->only_answer && t->is_answered)) {
            (void)send(t->back, buf, (size_t)n, 0);
        }
    }
}

static void on_back(void *ctx, unsigned ready)
{
    struct tcp_only *t = ctx;
    uint8_t buf[2048];
    ssize_t n;
    (void)ready;
    while ((n = recv(t->back, buf, sizeof buf, MSG_DONTWAIT)) >= 0) {
        if (t->passes_udp) {
            t->is_answered = true;
            (void)sendto(t->udp, buf, (size_t)n, 0, (struct sockaddr *)&t->who, t->who_size);
        }
    }
}

static void udp_open(struct tcp_only *t)
{
    struct sockaddr_storage sa;
    socklen_t size = alk_sockaddr_put(&t->to, &sa);
    t->back = alk_sock_open(4, SOCK_DGRAM);
    assert_int_equal(connect(t->back, (const struct sockaddr *)&sa, size), 0);
    assert_int_equal(alk_watch_new(t->loop, t->udp, ALK_FD_READ, on_front, t, &t->front_watch), 0);
    assert_int_equal(alk_watch_new(t->loop, t->back, ALK_FD_READ, on_back, t, &t->back_watch), 0);
}

static void tcp_only_open(struct tcp_only *t, struct node *n)
{
    struct alk_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    *t = (struct tcp_only){.loop = n->client, .to = any, .back = -1};
    t->to.port = node_port(n);
    t->udp = alk_sock_open(4, SOCK_DGRAM);
    t->listener = alk_sock_open(4, SOCK_STREAM);
    do {
        any.port = 0;
        (void)close(t->udp);
        t->udp = alk_sock_open(4, SOCK_DGRAM);
        assert_int_equal(alk_sock_bind(t->udp, &any), ALK_OK);
        any.port = alk_sock_bound(t->udp).port;
    } while (alk_sock_bind(t->listener, &any) != ALK_OK);
    t->port = any.port;
    assert_int_equal(listen(t->listener, 8), 0);
    assert_int_equal(alk_watch_new(t->loop, t->listener, ALK_FD_READ, on_accept, t, &t->accept),
                     ALK_OK);
}

static void tcp_only_close(struct tcp_only *t)
{
    alk_watch_free(t->front_watch);
    alk_watch_free(t->back_watch);
    if (t->back >= 0) {
        (void)close(t->back);
    }
    alk_watch_free(t->accept);
    for (size_t i = 0; i < t->count; i++) {
        for (int k = 0; k < 2; k++) {
            alk_watch_free(t->pairs[i].watch[k]);
            (void)close(t->pairs[i].fd[k]);
        }
    }
    (void)close(t->listener);
    (void)close(t->udp);
}

static void tcp_wins_where_udp_is_dropped_and_is_remembered(void **ctx)
{
    (void)ctx;
    struct node n;
    struct tcp_only t;
    struct client c;
    struct alk_session_cache *cache;
    node_init(&n, "");
    node_start(&n, NULL);
    tcp_only_open(&t, &n);
    assert_int_equal(alk_session_cache_new(NULL, NULL, &cache), ALK_OK);
    struct alk_dial_options o = client_options(&n, echo);
    o.port = t.port;
    o.cache = cache;

    alk_time begin = alk_clock_now();
    dial(&c, &n, &o);
    assert_non_null(c.conn);
    assert_int_equal(alk_conn_transport(c.conn), ALK_TRANSPORT_TLS);
    assert_true(alk_clock_now() - begin >= ALK_DIAL_STAGGER);
    client_echo(&c, ALK_LIT("over tcp"));
    client_close(&c);

    /* The second time TCP goes first: no datagram is sent before it has won. */
    uint8_t byte;
    while (recv(t.udp, &byte, 1, MSG_DONTWAIT) >= 0) {
    }
    dial(&c, &n, &o);
    assert_int_equal(alk_conn_transport(c.conn), ALK_TRANSPORT_TLS);
    assert_true(recv(t.udp, &byte, 1, MSG_DONTWAIT) < 0);
    client_echo(&c, ALK_LIT("at once"));
    client_close(&c);
    tcp_only_close(&t);
    node_fini(&n);
    alk_session_cache_free(cache);
}

/* --- failures ------------------------------------------------------------- */

static uint16_t dead_port(void)
{
    /* Free on both transports when it was asked for, and nobody listens there. */
    struct alk_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    int fd = alk_sock_open(4, SOCK_STREAM);
    assert_int_equal(alk_sock_bind(fd, &any), ALK_OK);
    uint16_t port = alk_sock_bound(fd).port;
    (void)close(fd);
    return port;
}

static void a_dead_port_is_told_at_once_and_not_after_the_timeout(void **ctx)
{
    (void)ctx;
    static const unsigned masks[] = {ALK_TRANSPORT_QUIC, ALK_TRANSPORT_TLS, 0};
    struct node n;
    node_init(&n, "");
    node_start(&n, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct client c;
        struct alk_dial_options o = client_options(&n, echo);
        o.port = dead_port();
        o.transports = masks[i];
        o.connect_timeout = 3600 * ALK_SECOND;
        dial(&c, &n, &o);
        assert_int_equal(c.err, ALK_E_UNREACHABLE);
        assert_non_null(strstr(c.message, "nobody listens on 127.0.0.1:"));
    }
    node_fini(&n);
}

static void silence_ends_with_the_timeout(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c;
    struct alk_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    node_init(&n, "");
    node_start(&n, NULL);
    int fd = alk_sock_open(4, SOCK_DGRAM);
    assert_int_equal(alk_sock_bind(fd, &any), ALK_OK);
    struct alk_dial_options o = client_options(&n, echo);
    o.port = alk_sock_bound(fd).port;
    o.transports = ALK_TRANSPORT_QUIC;
    o.connect_timeout = 50 * ALK_MS;
    dial(&c, &n, &o);
    assert_int_equal(c.err, ALK_E_TIMEOUT);
    assert_non_null(strstr(c.message, "firewalls let UDP port"));
    (void)close(fd);
    node_fini(&n);
}

static void another_key_than_the_pinned_one_is_refused(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "");
    node_start(&n, NULL);
    for (unsigned transport = ALK_TRANSPORT_QUIC; transport <= ALK_TRANSPORT_TLS; transport++) {
        struct client c;
        uint8_t other[32] = {1};
        struct alk_dial_options o = client_options(&n, echo);
        o.pinned_key = other;
        o.transports = transport;
        dial(&c, &n, &o);
        assert_true(c.is_failed);
        assert_int_equal(c.err, ALK_E_KEY_CHANGED);
        assert_non_null(strstr(c.message, alk_endpoint_key(n.ep)));
    }
    node_fini(&n);
}

static bool accept_key(void *ctx, const char *host_port, const char *key)
{
    char *seen = ctx;
    (void)snprintf(seen, 200, "%s %s", host_port, key);
    return true;
}

static void an_unknown_key_is_a_question_or_a_refusal(void **ctx)
{
    (void)ctx;
    char seen[200] = "";
    char want[200];
    struct node n;
    struct client c;
    node_init(&n, "");
    node_start(&n, NULL);
    struct alk_dial_options o = client_options(&n, echo);
    o.pinned_key = NULL;
    dial(&c, &n, &o);
    assert_int_equal(c.err, ALK_E_UNTRUSTED);
    o.trust = accept_key;
    o.trust_ctx = seen;
    dial(&c, &n, &o);
    assert_non_null(c.conn);
    (void)snprintf(want, sizeof want, "127.0.0.1:%u %s", (unsigned)node_port(&n),
                   alk_endpoint_key(n.ep));
    assert_string_equal(seen, want);
    client_close(&c);
    node_fini(&n);
}

static void a_name_without_address_is_named(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c;
    node_init(&n, "");
    node_start(&n, NULL);
    struct alk_dial_options o = client_options(&n, echo);
    o.host = "no-such-host.invalid";
    dial(&c, &n, &o);
    assert_int_equal(c.err, ALK_E_NOENT);
    assert_non_null(strstr(c.message, "no-such-host.invalid"));
    node_fini(&n);
}

static void localhost_leads_to_the_address_that_answers(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c;
    /* [RFC 6761 §6.3] It listens on 127.0.0.1 alone; localhost is ::1 first. */
    node_init(&n, "");
    node_start(&n, NULL);
    struct alk_dial_options o = client_options(&n, echo);
    o.host = "localhost";
    dial(&c, &n, &o);
    assert_non_null(c.conn);
    client_echo(&c, ALK_LIT("found"));
    client_close(&c);
    node_fini(&n);
}

static void a_cancelled_dial_is_not_heard_of_again(void **ctx)
{
    (void)ctx;
    struct node n;
    node_init(&n, "");
    node_start(&n, NULL);
    for (int turns = 0; turns < 6; turns++) {
        struct client c;
        struct alk_dial_options o = client_options(&n, echo);
        o.host = turns % 2 == 0 ? "127.0.0.1" : "localhost";
        client_dial(&c, &n, &o);
        for (int i = 0; i < turns && !is_decided(&c); i++) {
            node_turn(&n, 1);
        }
        if (is_decided(&c)) {
            client_close(&c);
            continue;
        }
        alk_dial_cancel(c.dial);
        for (int i = 0; i < 20; i++) {
            node_turn(&n, 1);
        }
        assert_false(is_decided(&c));
    }
    node_fini(&n);
}

static void wrong_options_are_told_at_once(void **ctx)
{
    (void)ctx;
    static const char *const none[] = {NULL};
    static const char *const long_name[] = {"this/name/is/longer/than/31/bytes", NULL};
    static const struct alk_client_calls no_calls;
    struct node n;
    struct alk_dial *d = NULL;
    struct client c;
    node_init(&n, "");
    node_start(&n, NULL);
    struct alk_dial_options o = client_options(&n, echo);
    assert_int_equal(alk_dial(n.client, &o, &no_calls, NULL, &d), ALK_E_INVALID);
    o.alpns = none;
    assert_int_equal(alk_dial(n.client, &o, client_calls(), &c, &d), ALK_E_INVALID);
    o.alpns = long_name;
    assert_int_equal(alk_dial(n.client, &o, client_calls(), &c, &d), ALK_E_INVALID);
    assert_null(d);
    node_fini(&n);
}

/* --- what is remembered --------------------------------------------------- */

static void sessions_are_resumed_early_and_from_files(void **ctx)
{
    (void)ctx;
    char dir[128];
    struct node n;
    node_init(&n, "");
    node_start(&n, NULL);
    (void)snprintf(dir, sizeof dir, "%s/cache", n.dir);
    for (int files = 0; files < 2; files++) {
        for (unsigned t = ALK_TRANSPORT_QUIC; t <= ALK_TRANSPORT_TLS; t++) {
            struct alk_session_cache *cache;
            struct client c;
            struct alk_dial_options o = client_options(&n, echo);
            assert_int_equal(alk_session_cache_new(NULL, files == 1 ? dir : NULL, &cache), ALK_OK);
            o.cache = cache;
            o.transports = t;
            o.want_early = true;
            dial(&c, &n, &o);
            assert_false(alk_conn_auth(c.conn)->is_resumed);
            assert_false(c.was_early);
            client_send(&c, ALK_LIT("x"), false);
            while (c.received == 0) {
                node_turn(&n, 100); /* the ticket came before or with the answer */
            }
            client_close(&c);
            if (files == 1) { /* another process */
                alk_session_cache_free(cache);
                assert_int_equal(alk_session_cache_new(NULL, dir, &cache), ALK_OK);
                o.cache = cache;
            }
            dial(&c, &n, &o);
            assert_int_equal(c.was_early, t == ALK_TRANSPORT_QUIC);
            client_send(&c, ALK_LIT("again"), false);
            while (c.received < 5) {
                assert_false(c.is_closed);
                node_turn(&n, 100);
            }
            assert_true(alk_conn_auth(c.conn)->is_resumed);
            assert_false(c.was_rejected);
            client_close(&c);
            alk_session_cache_free(cache);
        }
    }
    node_fini(&n);
}

struct early {
    struct node n;
    struct tcp_only t;
    struct client c;
    struct alk_session_cache *cache;
    struct alk_dial_options o;
};

/* A session is remembered from a time when UDP still worked. */
static void early_open(struct early *e)
{
    node_init(&e->n, "");
    node_start(&e->n, NULL);
    tcp_only_open(&e->t, &e->n);
    udp_open(&e->t);
    e->t.passes_udp = true;
    e->o = client_options(&e->n, echo);
    assert_int_equal(alk_session_cache_new(NULL, NULL, &e->cache), ALK_OK);
    e->o.cache = e->cache;
    e->o.port = e->t.port;
    e->o.want_early = true;
    dial(&e->c, &e->n, &e->o);
    assert_int_equal(alk_conn_transport(e->c.conn), ALK_TRANSPORT_QUIC);
    client_send(&e->c, ALK_LIT("x"), false);
    while (e->c.received == 0) {
        node_turn(&e->n, 100);
    }
    client_close(&e->c);
    e->t.passes_udp = false;
}

static void early_close(struct early *e)
{
    tcp_only_close(&e->t);
    node_fini(&e->n);
    alk_session_cache_free(e->cache);
}

static bool is_answered(void *ctx)
{
    const struct client *c = ctx;
    return c->is_failed || c->is_closed || (c->conn != NULL && !c->was_early);
}

static void an_early_connection_that_nobody_answers_gives_way_to_tcp(void **ctx)
{
    (void)ctx;
    struct early e;
    early_open(&e);
    dial(&e.c, &e.n, &e.o);
    assert_true(e.c.was_early);
    client_send(&e.c, ALK_LIT("lost"), false);
    node_until(&e.n, is_answered, &e.c);
    assert_int_equal(e.c.opens, 2);
    assert_int_equal(alk_conn_transport(e.c.conn), ALK_TRANSPORT_TLS);
    client_echo(&e.c, ALK_LIT("over tcp"));
    client_close(&e.c);
    early_close(&e);
}

/* What was read of an answer cannot be taken back: no other way wins after it, however
 * long the node goes unheard before the handshake is confirmed. */
static void an_early_connection_that_was_answered_is_the_one(void **ctx)
{
    (void)ctx;
    struct early e;
    early_open(&e);
    e.t.passes_udp = true;
    e.t.only_answer = true;
    e.t.is_answered = false;
    dial(&e.c, &e.n, &e.o);
    assert_true(e.c.was_early);
    client_send(&e.c, ALK_LIT("x"), false);
    while (e.c.received == 0) {
        node_turn(&e.n, 100);
    }
    alk_time end = alk_loop_now(e.n.client) + 600 * ALK_MS; /* TCP would start after 250 */
    while (alk_loop_now(e.n.client) < end) {
        node_turn(&e.n, 50);
    }
    assert_int_equal(e.c.opens, 1);
    assert_int_equal(alk_conn_transport(e.c.conn), ALK_TRANSPORT_QUIC);
    e.t.only_answer = false;
    client_echo(&e.c, ALK_LIT("still"));
    client_close(&e.c);
    early_close(&e);
}

static void an_early_connection_that_nobody_answers_has_a_deadline(void **ctx)
{
    (void)ctx;
    struct early e;
    early_open(&e);
    e.o.transports = ALK_TRANSPORT_QUIC;
    e.o.connect_timeout = 50 * ALK_MS;
    dial(&e.c, &e.n, &e.o);
    assert_true(e.c.was_early);
    node_until(&e.n, is_answered, &e.c);
    assert_true(e.c.is_failed);
    assert_int_equal(e.c.err, ALK_E_TIMEOUT);
    assert_non_null(strstr(e.c.message, "firewalls let UDP port"));
    early_close(&e);
}

static void an_early_connection_to_a_dead_port_is_told_at_once(void **ctx)
{
    (void)ctx;
    struct early e;
    early_open(&e);
    e.o.transports = ALK_TRANSPORT_QUIC;
    alk_watch_free(e.t.front_watch);
    e.t.front_watch = NULL;
    (void)close(e.t.udp);
    e.t.udp = alk_sock_open(4, SOCK_DGRAM);
    dial(&e.c, &e.n, &e.o);
    node_until(&e.n, is_answered, &e.c);
    assert_int_equal(e.c.opens, 1);
    assert_true(e.c.is_failed);
    assert_int_equal(e.c.err, ALK_E_UNREACHABLE);
    early_close(&e);
}

static void an_early_connection_that_is_closed_ends_the_race(void **ctx)
{
    (void)ctx;
    struct early e;
    early_open(&e);
    dial(&e.c, &e.n, &e.o);
    assert_true(e.c.was_early);
    client_close(&e.c);
    assert_true(e.c.is_closed);
    for (int i = 0; i < 20; i++) {
        node_turn(&e.n, 20);
    }
    assert_int_equal(e.c.opens, 1);
    assert_int_equal(e.t.count, 0); /* TCP was not tried any more */
    early_close(&e);
}

/* --- pure parts ----------------------------------------------------------- */

static struct alk_addr addr(uint8_t family, uint8_t last)
{
    struct alk_addr a = {.family = family};
    a.ip[family == 6 ? 15 : 3] = last;
    return a;
}

static void families_take_turns(void **ctx)
{
    (void)ctx;
    const struct alk_addr in[] = {addr(6, 1), addr(6, 2), addr(6, 3), addr(4, 1), addr(4, 2)};
    static const uint8_t want[] = {61, 41, 62, 42, 63};
    struct alk_addr out[8];
    assert_int_equal(alk_dial_interleave(in, 5, out, 8), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(out[i].family * 10 + out[i].ip[out[i].family == 6 ? 15 : 3], want[i]);
    }
    assert_int_equal(alk_dial_interleave(in, 5, out, 2), 2);
    assert_int_equal(alk_dial_interleave(in + 3, 2, out, 8), 2);
    assert_int_equal(alk_dial_interleave(in, 0, out, 8), 0);
}

static void what_came_closest_explains_most(void **ctx)
{
    (void)ctx;
    assert_true(alk_dial_explains_more(ALK_E_NO_ALPN, ALK_E_TIMEOUT));
    assert_true(alk_dial_explains_more(ALK_E_KEY_CHANGED, ALK_E_NO_ALPN));
    assert_true(alk_dial_explains_more(ALK_E_UNREACHABLE, ALK_E_TIMEOUT));
    assert_false(alk_dial_explains_more(ALK_E_TIMEOUT, ALK_E_UNREACHABLE));
    assert_false(alk_dial_explains_more(ALK_E_TLS, ALK_E_TLS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quic_wins_where_both_work),
        cmocka_unit_test(tcp_wins_where_udp_is_dropped_and_is_remembered),
        cmocka_unit_test(a_dead_port_is_told_at_once_and_not_after_the_timeout),
        cmocka_unit_test(silence_ends_with_the_timeout),
        cmocka_unit_test(another_key_than_the_pinned_one_is_refused),
        cmocka_unit_test(an_unknown_key_is_a_question_or_a_refusal),
        cmocka_unit_test(a_name_without_address_is_named),
        cmocka_unit_test(localhost_leads_to_the_address_that_answers),
        cmocka_unit_test(a_cancelled_dial_is_not_heard_of_again),
        cmocka_unit_test(wrong_options_are_told_at_once),
        cmocka_unit_test(sessions_are_resumed_early_and_from_files),
        cmocka_unit_test(an_early_connection_that_nobody_answers_gives_way_to_tcp),
        cmocka_unit_test(an_early_connection_that_was_answered_is_the_one),
        cmocka_unit_test(an_early_connection_that_nobody_answers_has_a_deadline),
        cmocka_unit_test(an_early_connection_to_a_dead_port_is_told_at_once),
        cmocka_unit_test(an_early_connection_that_is_closed_ends_the_race),
        cmocka_unit_test(families_take_turns),
        cmocka_unit_test(what_came_closest_explains_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
