/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Accepting TCP connections: admission, and what happens without descriptors. */
#include "core/io/listen.h"
#include "core/io/loop.h"
#include "core/io/sock.h"
#include "core/io/tcp_sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

struct server {
    struct alk_loop *loop;
    struct alk_acceptor *acceptor;
    struct alk_addr addr;
    bool admits, frees;
    alk_err refusal; /* 0: ALK_E_LIMIT */
    int accepted, refused;
    int fds[8];
};

static alk_err on_admit(void *ctx, const struct alk_addr *remote)
{
    struct server *s = ctx;
    assert_true(alk_addr_is_loopback(remote));
    s->refused += s->admits ? 0 : 1;
    alk_err refusal = s->refusal == ALK_OK ? ALK_E_LIMIT : s->refusal;
    return s->admits ? ALK_OK : refusal;
}

static void on_accepted(void *ctx, int fd, const struct alk_addr *remote)
{
    struct server *s = ctx;
    assert_int_equal(alk_sock_peer(fd).port, remote->port);
    s->fds[s->accepted++] = fd;
    if (s->frees) {
        alk_acceptor_free(s->acceptor);
        s->acceptor = NULL;
    }
}

static void start(struct server *s)
{
    struct alk_bind_options o = {.loops = 1, .cid_len = 16};
    struct alk_bound b;
    char why[200];
    assert_int_equal(alk_addr_parse(ALK_LIT("127.0.0.1:0"), &o.addr), ALK_OK);
    assert_int_equal(alk_bound_open(&o, why, sizeof why, &b), ALK_OK);
    assert_int_equal(alk_loop_new(NULL, &s->loop), ALK_OK);
    assert_int_equal(alk_acceptor_new(s->loop, alk_bound_take_tcp(&b, 0), on_admit, on_accepted, s,
                                      &s->acceptor),
                     ALK_OK);
    s->addr = b.addr;
    alk_bound_fini(&b);
}

static void stop(struct server *s)
{
    for (int i = 0; i < s->accepted; i++) {
        (void)close(s->fds[i]);
    }
    alk_acceptor_free(s->acceptor);
    alk_loop_free(s->loop);
}

static int dial(const struct server *s)
{
    struct sockaddr_storage sa;
    socklen_t n = alk_sockaddr_put(&s->addr, &sa);
    int fd = alk_sock_open(4, SOCK_STREAM);
    assert_true(fd >= 0);
    assert_true(connect(fd, (const struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS);
    return fd;
}

static bool is_closed(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t byte;
    assert_int_equal(poll(&p, 1, 5000), 1);
    return recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void connections_are_accepted_without_waiting_for_each_other(void **ctx)
{
    (void)ctx;
    struct server s = {.admits = true};
    start(&s);
    int fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(&s);
    }
    while (s.accepted < 3) {
        assert_true(alk_loop_run_once(s.loop, 5000));
    }
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(fcntl(s.fds[i], F_GETFL) & O_NONBLOCK, 0);
        assert_int_not_equal(fcntl(s.fds[i], F_GETFD) & FD_CLOEXEC, 0);
        (void)close(fd[i]);
    }
    stop(&s);
}

static void what_is_not_admitted_is_closed_at_once(void **ctx)
{
    (void)ctx;
    struct server s = {.admits = false};
    start(&s);
    int fd = dial(&s);
    while (s.refused < 1) {
        assert_true(alk_loop_run_once(s.loop, 5000));
    }
    assert_true(is_closed(fd));
    assert_int_equal(s.accepted, 0);
    (void)close(fd);
    stop(&s);
}

static void who_is_locked_out_is_told_with_an_alert(void **ctx)
{
    (void)ctx;
    static const uint8_t want[] = {21, 3, 3, 0, 2, 2, 49};
    uint8_t got[16];
    struct server s = {.admits = false, .refusal = ALK_E_FORBIDDEN};
    start(&s);
    int fd = dial(&s);
    while (s.refused < 1) {
        assert_true(alk_loop_run_once(s.loop, 5000));
    }
    assert_int_equal(recv(fd, got, sizeof got, 0), sizeof want);
    assert_memory_equal(got, want, sizeof want);
    assert_true(is_closed(fd));
    (void)close(fd);
    stop(&s);
}

static void an_acceptor_may_be_freed_by_the_connection_it_hands_over(void **ctx)
{
    (void)ctx;
    struct server s = {.admits = true, .frees = true};
    start(&s);
    int a = dial(&s);
    int b = dial(&s);
    while (s.accepted < 1) {
        assert_true(alk_loop_run_once(s.loop, 5000));
    }
    assert_int_equal(s.accepted, 1);
    assert_null(s.acceptor);
    (void)close(a);
    (void)close(b);
    stop(&s);
}

static void without_free_descriptors_peers_are_refused_and_the_loop_sleeps(void **ctx)
{
    (void)ctx;
    struct server s = {.admits = true};
    start(&s);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(&s);
    }
    /* Every descriptor number below the new limit is in use. */
    int spare[256];
    size_t spares = 0;
    struct rlimit tight = {.rlim_cur = 64, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (spares < 256 && (spare[spares] = dup(0)) >= 0) {
        spares++;
    }
    while (alk_acceptor_starved(s.acceptor) < 3) {
        assert_true(alk_loop_run_once(s.loop, 5000));
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(s.accepted, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(is_closed(fd[i]));
        (void)close(fd[i]);
    }
    /* Nothing is left that would wake the loop. */
    struct pollfd p = {.fd = alk_loop_fd(s.loop), .events = POLLIN};
    assert_true(alk_loop_run_once(s.loop, 0));
    assert_int_equal(poll(&p, 1, 0), 0);
    while (spares > 0) {
        (void)close(spare[--spares]);
    }
    int again = dial(&s);
    while (s.accepted < 1) {
        assert_true(alk_loop_run_once(s.loop, 5000));
    }
    (void)close(again);
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_accepted_without_waiting_for_each_other),
        cmocka_unit_test(what_is_not_admitted_is_closed_at_once),
        cmocka_unit_test(who_is_locked_out_is_told_with_an_alert),
        cmocka_unit_test(an_acceptor_may_be_freed_by_the_connection_it_hands_over),
        cmocka_unit_test(without_free_descriptors_peers_are_refused_and_the_loop_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
