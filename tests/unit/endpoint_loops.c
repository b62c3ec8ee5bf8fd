/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several loops on one port: connections keep their loop, whatever the network
 * does; and the limits that all loops share. */
#include "support/node.h"

#include "core/endpoint_impl.h"
#include "core/io/sock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const echo[] = {"test/echo", NULL};
static uint8_t data[200000];

/* --- a NAT between client and node -------------------------------------------------- */

struct nat {
    struct alk_loop *loop;
    int inside, outside; /* sockets towards the client and the node */
    struct alk_watch *in_watch, *out_watch;
    struct alk_addr client, node;
    uint16_t port; /* where the client dials */
};

static struct alk_addr loopback(uint16_t port)
{
    return (struct alk_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = port};
}

static int udp_socket(void)
{
    struct alk_addr any = loopback(0);
    int fd = alk_sock_open(4, SOCK_DGRAM);
    assert_true(fd >= 0);
    assert_int_equal(alk_sock_bind(fd, &any), ALK_OK);
    return fd;
}

static void pass(int from, int to, const struct alk_addr *dst, struct alk_addr *ret_src)
{
    uint8_t buf[65536];
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    ssize_t got;
    while ((got = recvfrom(from, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&sa, &n)) > 0) {
        if (ret_src != NULL) {
            *ret_src = alk_sockaddr_get(&sa);
        }
        struct sockaddr_storage out;
        socklen_t size = alk_sockaddr_put(dst, &out);
        (void)sendto(to, buf, (size_t)got, 0, (const struct sockaddr *)&out, size);
    }
}

static void on_inside(void *ctx, unsigned ready)
{
    struct nat *nat = ctx;
    (void)ready;
    pass(nat->inside, nat->outside, &nat->node, &nat->client);
}
static void on_outside(void *ctx, unsigned ready)
{
    struct nat *nat = ctx;
    (void)ready;
    pass(nat->outside, nat->inside, &nat->client, NULL);
}

static void nat_open(struct nat *nat, struct node *n)
{
    *nat = (struct nat){.loop = n->client, .inside = udp_socket(), .outside = udp_socket()};
    nat->node = loopback(node_port(n));
    nat->port = alk_sock_bound(nat->inside).port;
    assert_int_equal(
        alk_watch_new(nat->loop, nat->inside, ALK_FD_READ, on_inside, nat, &nat->in_watch), ALK_OK);
    assert_int_equal(
        alk_watch_new(nat->loop, nat->outside, ALK_FD_READ, on_outside, nat, &nat->out_watch),
        ALK_OK);
}

/* The NAT forgets: from now on the node sees another address. */
static void nat_rebind(struct nat *nat)
{
    alk_watch_free(nat->out_watch);
    (void)close(nat->outside);
    nat->outside = udp_socket();
    assert_int_equal(
        alk_watch_new(nat->loop, nat->outside, ALK_FD_READ, on_outside, nat, &nat->out_watch),
        ALK_OK);
}

static void nat_close(struct nat *nat)
{
    alk_watch_free(nat->in_watch);
    alk_watch_free(nat->out_watch);
    (void)close(nat->inside);
    (void)close(nat->outside);
}

/* --- what the node counted -------------------------------------------------------------- */

struct counts {
    bool is_told;
    uint64_t strays_in, strays_dropped, migrations, tcp_refused, starved, shed;
    size_t loops_used;
};
static void on_status(void *ctx, const struct alk_endpoint_status *s)
{
    struct counts *c = ctx;
    c->is_told = true;
    for (size_t i = 0; i < s->loop_count; i++) {
        c->strays_in += s->loops[i].strays_in;
        c->strays_dropped += s->loops[i].strays_dropped;
        c->migrations += s->loops[i].quic.migrations;
        c->tcp_refused += s->loops[i].tcp_refused;
        c->starved += s->loops[i].tcp_starved;
        c->shed += s->loops[i].tcp_shed;
        c->loops_used += s->loops[i].quic.handshakes_done > 0 ? 1 : 0;
    }
}
static bool is_told(void *ctx)
{
    const struct counts *c = ctx;
    return c->is_told;
}
static struct counts counts_of(struct node *n)
{
    struct counts c = {0};
    assert_int_equal(alk_endpoint_status(n->ep, NULL, on_status, &c), ALK_OK);
    node_until(n, is_told, &c);
    return c;
}

/* --- steering ------------------------------------------------------------------------------ */

static bool is_decided(void *ctx)
{
    const struct client *c = ctx;
    return c->conn != NULL || c->is_failed;
}

static void a_connection_keeps_its_loop_when_its_address_changes(void **ctx)
{
    (void)ctx;
    struct node n;
    struct nat nat;
    node_init(&n, "");
    n.loops = 4;
    node_start(&n, NULL);
    nat_open(&nat, &n);
    struct alk_dial_options o = client_options(&n, echo);
    struct client c;
    o.port = nat.port;
    o.transports = ALK_TRANSPORT_QUIC;
    client_dial(&c, &n, &o);
    node_until(&n, is_decided, &c);
    for (int i = 0; i < 10; i++) {
        client_echo(&c, alk_span(data, 3000));
        nat_rebind(&nat);
    }
    client_echo(&c, alk_span(data, sizeof data));
    struct counts seen = counts_of(&n);
    assert_int_equal(seen.strays_in, 0); /* the kernel steered every datagram */
    assert_true(seen.migrations >= 1);
    client_close(&c);
    nat_close(&nat);
    node_fini(&n);
}

#define CROWD 12

static void misrouted_datagrams_are_handed_to_their_loop(void **ctx)
{
    (void)ctx;
    static struct client c[CROWD];
    struct node n;
    node_init(&n, "");
    n.loops = 2;
    node_start(&n, NULL);
    for (size_t i = 0; i < CROWD; i++) {
        client_open(&c[i], &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
        assert_non_null(c[i].conn);
    }
    assert_int_equal(counts_of(&n).loops_used, 2);
    /* As after a socket was closed: every slot holds the other loop's socket. */
    const struct alk_steer_loop swapped[2] = {{0, 1, true}, {1, 0, true}};
    int fd = n.ep->workers[0].listeners->sock->udp.fd;
    assert_int_equal(alk_steer_attach(fd, swapped, 2, ALK_QUIC_CID_LEN), ALK_OK);
    for (size_t i = 0; i < CROWD; i++) {
        client_echo(&c[i], alk_span(data, 50000));
        client_close(&c[i]);
    }
    struct counts seen = counts_of(&n);
    assert_true(seen.strays_in > 0);
    assert_int_equal(seen.strays_dropped, 0);
    node_fini(&n);
}

/* --- shared limits -------------------------------------------------------------------------- */

static bool has_answer(void *ctx)
{
    const struct client *c = ctx;
    return c->received > 0;
}

/* A place is taken when the handshake is complete at the server, a moment after the
 * client's. Its stream stays open: over TCP its end would be the connection's. */
static void take_place(struct client *c)
{
    client_send(c, ALK_LIT("in"), false);
    node_until(c->node, has_answer, c);
}

/* One number for all loops and both transports. */
static void an_address_gets_so_many_connections_and_no_more(void **ctx)
{
    (void)ctx;
    static const unsigned transports[] = {ALK_TRANSPORT_QUIC, ALK_TRANSPORT_TLS};
    for (size_t t = 0; t < 2; t++) {
        struct node n;
        struct client c[4];
        struct client late;
        node_init(&n, "limits: {connections_per_ip: 4}\n");
        n.loops = 3;
        node_start(&n, NULL);
        for (int i = 0; i < 4; i++) {
            client_open(&c[i], &n, "test/echo", transports[i % 2], NULL);
            assert_non_null(c[i].conn);
            take_place(&c[i]);
        }
        client_open(&late, &n, "test/echo", transports[t], NULL);
        assert_true(late.is_failed);
        client_close(&c[1 - t]);
        do { /* the place is free a moment later */
            client_open(&late, &n, "test/echo", transports[t], NULL);
        } while (late.conn == NULL);
        client_echo(&late, ALK_LIT("room again"));
        client_close(&late);
        client_close(&c[t]);
        client_close(&c[2]);
        client_close(&c[3]);
        node_fini(&n);
    }
}

static void the_node_gets_so_many_connections_and_no_more(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client c[4];
    struct client late;
    node_init(&n, "limits: {connections: 4}\n");
    n.loops = 3;
    node_start(&n, NULL);
    for (int i = 0; i < 4; i++) {
        unsigned transport = i == 0 ? ALK_TRANSPORT_TLS : ALK_TRANSPORT_QUIC;
        client_open(&c[i], &n, "test/echo", transport, NULL);
        assert_non_null(c[i].conn); /* also when three of them meet on one loop */
        take_place(&c[i]);
    }
    client_open(&late, &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    assert_true(late.is_failed);
    client_open(&late, &n, "test/echo", ALK_TRANSPORT_TLS, NULL);
    assert_true(late.is_failed);
    for (int i = 0; i < 4; i++) {
        client_close(&c[i]);
    }
    node_fini(&n);
}

/* A service that reads nothing. */
static alk_err hoard_stream(void *state, struct alk_stream *stream)
{
    (void)state;
    alk_stream_on(stream, NULL, NULL);
    return ALK_OK;
}

#define HOARDERS 90

static bool one_was_closed(void *ctx)
{
    const struct client *c = ctx;
    for (size_t i = 0; i < HOARDERS; i++) {
        if (c[i].is_closed) {
            return true;
        }
    }
    return false;
}

static void over_the_memory_limit_the_youngest_tls_connections_go(void **ctx)
{
    (void)ctx;
    static struct client c[HOARDERS];
    static uint8_t much[600000];
    static const struct alk_alpn alpns[] = {{"test/hoard", ALK_TRANSPORT_ANY}};
    struct alk_handler handler = node_echo_handler;
    const struct alk_handler *handlers[] = {&handler, NULL};
    struct node n;
    handler.name = "hoard";
    handler.alpns = alpns;
    handler.stream = hoard_stream;
    node_init(&n, "limits: {memory: 16MiB}\n");
    node_start(&n, handlers);
    size_t opened = 0;
    for (; opened < HOARDERS; opened++) {
        client_open(&c[opened], &n, "test/hoard", ALK_TRANSPORT_TLS, NULL);
        if (c[opened].conn == NULL) {
            break; /* on a slow machine the limit is reached meanwhile: it was the youngest */
        }
        client_send(&c[opened], alk_span(much, sizeof much), false);
    }
    assert_true(opened > 10);
    if (opened == HOARDERS) {
        node_until(&n, one_was_closed, c);
    }
    assert_true(counts_of(&n).shed > 0);
    assert_false(c[0].is_closed); /* the oldest */
    assert_true(node_logged(&n, "over the memory limit"));
    for (size_t i = 0; i < opened; i++) {
        client_close(&c[i]);
    }
    node_fini(&n);
}

static void without_descriptors_tcp_is_refused_and_quic_goes_on(void **ctx)
{
    (void)ctx;
    struct node n;
    struct client quic;
    struct rlimit old;
    int spare[256];
    size_t spares = 0;
    node_init(&n, "");
    node_start(&n, NULL);
    client_open(&quic, &n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    /* A peer whose descriptor exists already: connecting needs none. */
    int fd = alk_sock_open(4, SOCK_STREAM);
    struct sockaddr_storage sa;
    struct alk_addr to = loopback(node_port(&n));
    socklen_t size = alk_sockaddr_put(&to, &sa);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit tight = {.rlim_cur = 96, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (spares < 256 && (spare[spares] = dup(0)) >= 0) {
        spares++;
    }
    assert_true(connect(fd, (const struct sockaddr *)&sa, size) == 0 || errno == EINPROGRESS);
    while (counts_of(&n).starved == 0) {
        node_turn(&n, 100);
    }
    client_echo(&quic, alk_span(data, 10000));
    while (spares > 0) {
        (void)close(spare[--spares]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    (void)close(fd);
    struct client tcp;
    client_open(&tcp, &n, "test/echo", ALK_TRANSPORT_TLS, NULL);
    client_echo(&tcp, ALK_LIT("back to normal"));
    client_close(&tcp);
    client_close(&quic);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_keeps_its_loop_when_its_address_changes),
        cmocka_unit_test(misrouted_datagrams_are_handed_to_their_loop),
        cmocka_unit_test(an_address_gets_so_many_connections_and_no_more),
        cmocka_unit_test(the_node_gets_so_many_connections_and_no_more),
        cmocka_unit_test(over_the_memory_limit_the_youngest_tls_connections_go),
        cmocka_unit_test(without_descriptors_tcp_is_refused_and_quic_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
