/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* UDP in batches and the steering of a group, on loopback sockets. */
#include "base/mem.h"
#include "core/io/listen.h"
#include "core/io/sock.h"
#include "core/io/steer.h"
#include "core/io/udp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CID_LEN 16

static struct alk_addr loopback(uint8_t family)
{
    struct alk_addr a = {0};
    assert_int_equal(alk_addr_parse(family == 6 ? ALK_LIT("[::1]:0") : ALK_LIT("127.0.0.1:0"), &a),
                     ALK_OK);
    return a;
}

static struct alk_udp open_alone(const char *text)
{
    struct alk_udp_options o = {.share = ALK_SHARE_ALONE};
    struct alk_udp u;
    assert_int_equal(alk_addr_parse(alk_span_str(text), &o.addr), ALK_OK);
    assert_int_equal(alk_udp_open(&o, &u), ALK_OK);
    return u;
}

/* Waits until the socket has something; a loopback datagram is there at once. */
static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
}

struct seen {
    size_t count, bytes;
    uint8_t first[64]; /* first byte of each datagram */
    uint8_t ecn;
    struct alk_addr local, remote;
};
static void on_msg(void *ctx, const struct alk_udp_msg *msg)
{
    struct seen *s = ctx;
    if (s->count < sizeof s->first) {
        s->first[s->count] = msg->data.p[0];
    }
    s->count++;
    s->bytes += msg->data.n;
    s->ecn = msg->ecn;
    s->local = msg->local;
    s->remote = msg->remote;
}

static struct alk_udp_rx *make_rx(void)
{
    struct alk_udp_rx *rx = NULL;
    assert_int_equal(alk_udp_rx_new(NULL, &rx), ALK_OK);
    return rx;
}

static void receive_all(struct alk_udp *u, struct alk_udp_rx *rx, size_t bytes, struct seen *s)
{
    while (s->bytes < bytes) {
        wait_readable(u->fd);
        (void)alk_udp_recv(u, rx, on_msg, s);
    }
}

/* --- batches -------------------------------------------------------------- */

static void a_batch_arrives_in_its_segments(struct alk_udp *from, struct alk_udp *to,
                                            struct alk_udp_rx *rx)
{
    static uint8_t data[10 * 1200 + 7];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i / 1200);
    }
    struct alk_udp_out out = {.remote = to->bound, .ecn = 2, .segment = 1200};
    out.data = alk_span(data, sizeof data);
    size_t done = 0;
    struct seen s = {0};
    assert_int_equal(alk_udp_send(from, &out, &done), ALK_OK);
    assert_int_equal(done, sizeof data);
    receive_all(to, rx, sizeof data, &s);
    assert_int_equal(s.count, 11);
    for (size_t i = 0; i < s.count; i++) {
        assert_int_equal(s.first[i], i);
    }
    assert_int_equal(s.ecn, 2);
    assert_true(alk_addr_equal(&s.remote, &from->bound));
    assert_true(alk_addr_equal(&s.local, &to->bound));
}

static void batches_go_out_with_gso_without_it_and_over_ipv6(void **ctx)
{
    (void)ctx;
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};
    struct alk_udp_rx *rx = make_rx();
    for (size_t i = 0; i < 2; i++) {
        for (int gso = 0; gso < 2; gso++) {
            struct alk_udp a = open_alone(addresses[i]);
            struct alk_udp b = open_alone(addresses[i]);
            a.has_gso = a.has_gso && gso == 1;
            a_batch_arrives_in_its_segments(&a, &b, rx);
            alk_udp_close(&a);
            alk_udp_close(&b);
        }
    }
    alk_udp_rx_free(rx);
}

static void a_wildcard_socket_tells_and_uses_the_local_address(void **ctx)
{
    (void)ctx;
    struct alk_udp_rx *rx = make_rx();
    struct alk_udp any = open_alone("0.0.0.0:0");
    struct alk_udp peer = open_alone("127.0.0.1:0");
    struct alk_udp_out out = {.remote = any.bound, .segment = 1, .data = ALK_LIT("q")};
    struct seen s = {0};
    size_t done = 0;
    assert_true(any.is_any);
    assert_int_equal(alk_addr_parse(ALK_LIT("127.0.0.7:0"), &out.remote), ALK_OK);
    out.remote.port = any.bound.port;
    assert_int_equal(alk_udp_send(&peer, &out, &done), ALK_OK);
    receive_all(&any, rx, 1, &s);
    assert_true(alk_addr_equal(&s.local, &out.remote));

    /* The answer comes from the address that was asked. */
    struct alk_udp_out answer = {.local = s.local, .remote = s.remote, .segment = 1};
    answer.data = ALK_LIT("a");
    struct seen back = {0};
    done = 0;
    assert_int_equal(alk_udp_send(&any, &answer, &done), ALK_OK);
    receive_all(&peer, rx, 1, &back);
    assert_true(alk_addr_equal(&back.remote, &out.remote));
    alk_udp_close(&any);
    alk_udp_close(&peer);
    alk_udp_rx_free(rx);
}

static void a_datagram_over_the_mtu_is_told_and_a_closed_peer_is_a_loss(void **ctx)
{
    (void)ctx;
    static uint8_t huge[65527]; /* more than fits: 65507 over IPv4 */
    struct alk_udp a = open_alone("127.0.0.1:0");
    struct alk_udp b = open_alone("127.0.0.1:0");
    struct alk_udp_out out = {.remote = b.bound, .segment = sizeof huge};
    out.data = alk_span(huge, sizeof huge);
    size_t done = 0;
    assert_int_equal(alk_udp_send(&a, &out, &done), ALK_E_TOO_BIG);
    alk_udp_close(&b);
    out.segment = 1;
    out.data = alk_span(huge, 1);
    for (int i = 0; i < 4; i++) {
        done = 0;
        assert_int_equal(alk_udp_send(&a, &out, &done), ALK_OK);
        assert_int_equal(done, 1);
    }
    alk_udp_close(&a);
}

/* One socket serves all connections of a loop's clients. */
static void an_error_of_one_peer_costs_another_nothing(void **ctx)
{
    (void)ctx;
    struct alk_udp a = open_alone("127.0.0.1:0");
    struct alk_udp gone = open_alone("127.0.0.1:0");
    struct alk_udp there = open_alone("127.0.0.1:0");
    struct alk_udp_rx *rx = make_rx();
    struct seen seen = {0};
    alk_udp_want_errors(&a);
    alk_udp_close(&gone);
    for (size_t i = 1; i <= 3; i++) {
        struct alk_udp_out out = {.remote = gone.bound, .segment = 1, .data = ALK_LIT("x")};
        size_t done = 0;
        assert_int_equal(alk_udp_send(&a, &out, &done), ALK_OK);
        out.remote = there.bound;
        done = 0;
        assert_int_equal(alk_udp_send(&a, &out, &done), ALK_OK);
        receive_all(&there, rx, i, &seen);
    }
    alk_udp_close(&a);
    alk_udp_close(&there);
    alk_udp_rx_free(rx);
}

static uint16_t checksum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    }
    while (sum > 0xffff) {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    return (uint16_t)~sum;
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* "Fragmentation needed", as anybody can forge it who guesses two ports. */
static void tell_too_big(const struct alk_udp *from, const struct alk_udp *to)
{
    uint8_t icmp[8 + 20 + 8] = {3, 4};
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    assert_true(fd >= 0);
    put16(icmp + 6, 1000); /* the MTU of the next hop */
    icmp[8] = 0x45;
    put16(icmp + 10, 20 + 8 + 1200);
    icmp[16] = 64;
    icmp[17] = IPPROTO_UDP;
    memcpy(icmp + 20, from->bound.ip, 4);
    memcpy(icmp + 24, to->bound.ip, 4);
    put16(icmp + 28, from->bound.port);
    put16(icmp + 30, to->bound.port);
    put16(icmp + 32, 8 + 1200);
    put16(icmp + 2, checksum(icmp, sizeof icmp));
    ssize_t n = sendto(fd, icmp, sizeof icmp, 0, (const struct sockaddr *)&sa, sizeof sa);
    (void)close(fd);
    assert_int_equal(n, sizeof icmp);
}

/* A network of the test's own with a loopback: the system notes for ten minutes what the
 * message says, for all who send there. Returns the one before it; -1: that takes
 * privileges. */
static int enter_network(void)
{
    struct ifreq lo = {.ifr_name = "lo"};
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0 || unshare(CLONE_NEWNET) != 0) {
        (void)close(home);
        return -1;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &lo), 0);
    lo.ifr_flags |= IFF_UP;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    (void)close(fd);
    return home;
}

static void leave_network(int home)
{
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    (void)close(home);
}

/* [RFC 9000 §14.2.1] an endpoint ignores an ICMP message that it cannot validate */
static void a_forged_icmp_message_makes_no_datagram_too_big(void **ctx)
{
    (void)ctx;
    static const uint8_t data[1200];
    int home = enter_network();
    if (home < 0) {
        skip();
    }
    struct alk_udp a = open_alone("127.0.0.1:0");
    struct alk_udp b = open_alone("127.0.0.1:0");
    struct alk_udp_out out = {.remote = b.bound, .segment = sizeof data};
    size_t done = 0;
    out.data = alk_span(data, sizeof data);
    alk_udp_want_errors(&a);
    tell_too_big(&a, &b);
    struct pollfd p = {.fd = a.fd};
    assert_int_equal(poll(&p, 1, 5000), 1); /* the error is pending */
    assert_int_equal(alk_udp_send(&a, &out, &done), ALK_OK);
    assert_int_equal(done, sizeof data);
    wait_readable(b.fd);
    alk_udp_close(&a);
    alk_udp_close(&b);
    leave_network(home);
}

/* --- groups --------------------------------------------------------------- */

static struct alk_bound bind_group(const char *text, size_t loops)
{
    struct alk_bind_options o = {.loops = loops, .cid_len = CID_LEN};
    struct alk_bound b;
    char why[200];
    assert_int_equal(alk_addr_parse(alk_span_str(text), &o.addr), ALK_OK);
    assert_int_equal(alk_bound_open(&o, why, sizeof why, &b), ALK_OK);
    return b;
}

static void adopt_all(struct alk_bound *b, struct alk_udp *ret)
{
    for (size_t i = 0; i < b->loops; i++) {
        alk_udp_adopt(alk_bound_take_udp(b, i), &ret[i]);
    }
}

static size_t received_by(struct alk_udp *u, struct alk_udp_rx *rx)
{
    struct seen s = {0};
    while (recv(u->fd, &(uint8_t){0}, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
        (void)alk_udp_recv(u, rx, on_msg, &s);
    }
    return s.count;
}

/* A datagram whose connection ID begins with `id`. */
static void send_cid(const struct alk_udp *to, bool is_long, uint8_t dcid_len, const uint8_t *cid)
{
    uint8_t packet[64] = {0};
    struct alk_udp from = open_alone(to->bound.family == 6 ? "[::1]:0" : "127.0.0.1:0");
    if (is_long) {
        packet[0] = 0xc0;
        packet[5] = dcid_len;
        memcpy(packet + 6, cid, dcid_len);
    } else {
        packet[0] = 0x40;
        memcpy(packet + 1, cid, dcid_len);
    }
    struct alk_udp_out out = {.remote = to->bound, .segment = sizeof packet};
    out.data = alk_span(packet, sizeof packet);
    size_t done = 0;
    assert_int_equal(alk_udp_send(&from, &out, &done), ALK_OK);
    alk_udp_close(&from);
}

static void each_connection_id_reaches_its_loop_from_any_address(void **ctx)
{
    (void)ctx;
    struct alk_udp_rx *rx = make_rx();
    struct alk_bound b = bind_group("127.0.0.1:0", 4);
    struct alk_udp u[4];
    adopt_all(&b, u);
    uint8_t cid[20] = {0};
    for (uint8_t i = 0; i < 200; i++) {
        cid[0] = i % 4;
        memset(cid + 1, i * 37, sizeof cid - 1);
        send_cid(&u[0], i % 2 == 0, CID_LEN, cid);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(received_by(&u[i], rx), 50);
    }
    for (size_t i = 0; i < 4; i++) {
        alk_udp_close(&u[3 - i]);
    }
    alk_bound_fini(&b);
    alk_udp_rx_free(rx);
}

static void a_client_chosen_id_always_reaches_the_same_accepting_loop(void **ctx)
{
    (void)ctx;
    struct alk_udp_rx *rx = make_rx();
    struct alk_bound b = bind_group("[::1]:0", 4);
    struct alk_udp u[4];
    adopt_all(&b, u);
    const struct alk_steer_loop steer[4] = {
        {0, 0, true}, {1, 1, false}, {2, 2, true}, {3, 3, true}};
    assert_int_equal(alk_steer_attach(u[3].fd, steer, 4, CID_LEN), ALK_OK);
    size_t used = 0;
    for (uint8_t i = 0; i < 100; i++) {
        uint8_t cid[18];
        size_t got[4];
        memset(cid, i * 41 + 7, sizeof cid);
        cid[3] = i;
        send_cid(&u[0], true, sizeof cid, cid);
        send_cid(&u[0], true, sizeof cid, cid);
        for (size_t k = 0; k < 4; k++) {
            got[k] = received_by(&u[k], rx);
            assert_true(got[k] == 0 || got[k] == 2);
            used |= got[k] == 2 ? (size_t)1 << k : 0;
        }
        assert_int_equal(got[1], 0);
    }
    assert_int_equal(used, 1 | 4 | 8);
    for (size_t i = 0; i < 4; i++) {
        alk_udp_close(&u[3 - i]);
    }
    alk_bound_fini(&b);
    alk_udp_rx_free(rx);
}

static void the_largest_table_is_accepted_by_the_system(void **ctx)
{
    (void)ctx;
    static struct alk_steer_loop steer[ALK_STEER_MAX];
    static struct sock_filter code[ALK_STEER_CODE(ALK_STEER_MAX)];
    for (size_t i = 0; i < ALK_STEER_MAX; i++) {
        steer[i] = (struct alk_steer_loop){(uint8_t)i, (uint8_t)i, true};
    }
    assert_true(alk_steer_program(steer, ALK_STEER_MAX, CID_LEN, code) <=
                ALK_STEER_CODE(ALK_STEER_MAX));
    int fd = alk_sock_open(4, SOCK_DGRAM);
    assert_true(fd >= 0);
    assert_true(alk_sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1));
    assert_int_equal(alk_steer_attach(fd, steer, ALK_STEER_MAX, CID_LEN), ALK_OK);
    (void)close(fd);
}

static void udp_and_tcp_share_one_number_and_nobody_else_gets_it(void **ctx)
{
    (void)ctx;
    for (size_t loops = 1; loops <= 2; loops++) {
        struct alk_bound b = bind_group("127.0.0.1:0", loops);
        struct alk_bind_options again = {.addr = b.addr, .loops = loops, .cid_len = CID_LEN};
        struct alk_bound other;
        char why[200];
        assert_int_not_equal(b.addr.port, 0);
        for (size_t i = 0; i < loops; i++) {
            assert_int_equal(alk_sock_bound(b.udp[i]).port, b.addr.port);
            assert_int_equal(alk_sock_bound(b.tcp[i]).port, b.addr.port);
        }
        assert_int_equal(alk_bound_open(&again, why, sizeof why, &other), ALK_E_BUSY);
        assert_non_null(strstr(why, "another program uses this port"));

        /* Also when one half only is taken. */
        (void)close(alk_bound_take_udp(&b, loops - 1));
        (void)close(loops == 2 ? alk_bound_take_udp(&b, 0) : -1);
        assert_int_equal(alk_bound_open(&again, why, sizeof why, &other), ALK_E_BUSY);
        alk_bound_fini(&b);
        assert_int_equal(alk_bound_open(&again, why, sizeof why, &other), ALK_OK);
        alk_bound_fini(&other);
    }
}

static void a_preferred_number_is_used_when_it_is_free(void **ctx)
{
    (void)ctx;
    struct alk_bound b4 = bind_group("127.0.0.1:0", 1);
    struct alk_bind_options o = {.addr = loopback(6), .preferred = b4.addr.port, .loops = 2};
    struct alk_bound b6;
    char why[200];
    o.cid_len = CID_LEN;
    assert_int_equal(alk_bound_open(&o, why, sizeof why, &b6), ALK_OK);
    assert_int_equal(b6.addr.port, b4.addr.port);
    o.addr = loopback(4);
    struct alk_bound other;
    assert_int_equal(alk_bound_open(&o, why, sizeof why, &other), ALK_OK);
    assert_int_not_equal(other.addr.port, b4.addr.port);
    alk_bound_fini(&other);
    alk_bound_fini(&b6);
    alk_bound_fini(&b4);
}

static void an_address_that_is_not_ours_is_named(void **ctx)
{
    (void)ctx;
    struct alk_bind_options o = {.loops = 1, .cid_len = CID_LEN};
    struct alk_bound b;
    char why[200];
    assert_int_equal(alk_addr_parse(ALK_LIT("192.0.2.77:4433"), &o.addr), ALK_OK);
    assert_int_equal(alk_bound_open(&o, why, sizeof why, &b), ALK_E_NOENT);
    assert_string_equal(why, "cannot listen on 192.0.2.77:4433: "
                             "this machine does not have this address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_go_out_with_gso_without_it_and_over_ipv6),
        cmocka_unit_test(a_wildcard_socket_tells_and_uses_the_local_address),
        cmocka_unit_test(a_datagram_over_the_mtu_is_told_and_a_closed_peer_is_a_loss),
        cmocka_unit_test(an_error_of_one_peer_costs_another_nothing),
        cmocka_unit_test(a_forged_icmp_message_makes_no_datagram_too_big),
        cmocka_unit_test(each_connection_id_reaches_its_loop_from_any_address),
        cmocka_unit_test(a_client_chosen_id_always_reaches_the_same_accepting_loop),
        cmocka_unit_test(the_largest_table_is_accepted_by_the_system),
        cmocka_unit_test(udp_and_tcp_share_one_number_and_nobody_else_gets_it),
        cmocka_unit_test(a_preferred_number_is_used_when_it_is_free),
        cmocka_unit_test(an_address_that_is_not_ours_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
