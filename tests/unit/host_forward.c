/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of core/host/forward.h, against small servers of our own on
 * sockets in a temporary directory and on loopback. */
#include "core/host/forward.h"

#include "core/host/proxy2.h"
#include "support/host_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A listening socket; its connections are served by the test itself. */
struct target {
    int fd;
    char dir[32];
    char path[64];
    char text[96]; /* for `forward:` */
};

static void listen_unix(struct target *t)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(t->dir, sizeof t->dir, "/tmp/alk-forward-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    (void)snprintf(t->path, sizeof t->path, "%s/s", t->dir);
    (void)snprintf(t->text, sizeof t->text, "unix:%s", t->path);
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", t->path);
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(t->fd, (const struct sockaddr *)(const void *)&addr, sizeof addr), 0);
    assert_int_equal(listen(t->fd, 16), 0);
}

static void listen_tcp(struct target *t)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof addr;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    t->path[0] = '\0';
    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(t->fd, (const struct sockaddr *)(const void *)&addr, sizeof addr), 0);
    assert_int_equal(getsockname(t->fd, (struct sockaddr *)(void *)&addr, &len), 0);
    assert_int_equal(listen(t->fd, 16), 0);
    (void)snprintf(t->text, sizeof t->text, "tcp:127.0.0.1:%d", ntohs(addr.sin_port));
}

static void target_close(struct target *t)
{
    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    if (t->path[0] != '\0') {
        (void)unlink(t->path);
        (void)rmdir(t->dir);
    }
}

static void begin(struct host_world *w, const struct target *t, const char *more)
{
    char yaml[256];
    (void)snprintf(yaml, sizeof yaml, "forward: '%s'\n%s", t->text, more);
    host_world_init(w, NULL, 0, NULL);
    host_world_serve(w, &alk_forward_handler, yaml);
    host_world_connect(w);
}

/* The server's side of the next connection; it is there once the world ran. */
static int accept_one(struct host_world *w, const struct target *t)
{
    host_world_run(w, 20);
    int fd = accept(t->fd, NULL, NULL);
    assert_true(fd >= 0);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Reads what has come. -1: nothing; 0: the end. */
static ssize_t read_text(struct host_world *w, int fd, char *text, size_t size)
{
    host_world_run(w, 20);
    ssize_t n = read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    return n;
}

static void directions_end_separately(struct target *t)
{
    struct host_world w;
    struct host_peer p;
    char text[64];
    begin(&w, t, "");
    host_peer_open(&w, &p);
    host_peer_write(&p, "question");
    int fd = accept_one(&w, t);
    assert_int_equal(read_text(&w, fd, text, sizeof text), 8);
    assert_string_equal(text, "question");
    alk_stream_finish(p.stream);
    assert_int_equal(read_text(&w, fd, text, sizeof text), 0); /* the peer's end */
    assert_false(p.has_end);
    assert_int_equal(write(fd, "answer", 6), 6); /* ours is still open */
    host_world_run(&w, 20);
    assert_string_equal(p.text, "answer");
    (void)close(fd);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    host_world_until(&w, host_peer_is_closed, &p);

    host_peer_open(&w, &p); /* and the other way round */
    fd = accept_one(&w, t);
    assert_int_equal(write(fd, "banner", 6), 6);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    host_peer_write(&p, "late");
    assert_int_equal(read_text(&w, fd, text, sizeof text), 4);
    alk_stream_finish(p.stream);
    assert_int_equal(read_text(&w, fd, text, sizeof text), 0);
    (void)close(fd);
    host_world_until(&w, host_peer_is_closed, &p);
    host_world_fini(&w);
}

static void a_unix_target_gets_half_closes_both_ways(void **state)
{
    struct target t;
    (void)state;
    listen_unix(&t);
    directions_end_separately(&t);
    target_close(&t);
}

static void a_tcp_target_gets_half_closes_both_ways(void **state)
{
    struct target t;
    (void)state;
    listen_tcp(&t);
    directions_end_separately(&t);
    target_close(&t);
}

/* The last bytes wait in the relay when the stream is gone already. */
static void the_last_bytes_outlive_the_stream(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    char block[65536];
    size_t total = 0;
    (void)state;
    listen_unix(&t);
    begin(&w, &t, "");
    host_peer_open(&w, &p);
    int fd = accept_one(&w, &t);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    host_world_until(&w, host_peer_is_over, &p);
    host_peer_write_pattern(&p, 400000, true); /* more than the socket's buffer */
    host_world_run(&w, 50);
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) != 0) {
        total += n > 0 ? (size_t)n : 0;
        host_world_run(&w, 1);
    }
    assert_int_equal(total, 400000);
    (void)close(fd);
    host_world_fini(&w);
    target_close(&t);
}

static void bulk_with_a_slow_target_is_held_back(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    (void)state;
    listen_unix(&t);
    begin(&w, &t, "");
    host_peer_open(&w, &p);
    int fd = accept_one(&w, &t);
    host_peer_write_pattern(&p, 64 << 20, false);
    host_world_run(&w, 100);
    uint64_t before = p.written;
    host_world_run(&w, 50);
    assert_int_equal(p.written, before);
    assert_true(before < 8 << 20);
    (void)close(fd);
    host_world_until(&w, host_peer_is_over, &p);
    host_world_fini(&w);
    target_close(&t);
}

static void a_target_that_is_down_resets_with_code_1_and_is_logged_once(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    (void)state;
    listen_unix(&t);
    (void)close(t.fd);
    t.fd = -1;
    begin(&w, &t, "");
    for (int i = 0; i < 3; i++) {
        host_peer_open(&w, &p);
        host_world_until(&w, host_peer_is_over, &p);
        assert_true(p.has_reset);
        assert_int_equal(p.code, ALK_CODE_INTERNAL);
        host_world_until(&w, host_peer_is_closed, &p);
    }
    const char *first = strstr(w.log, "cannot reach unix:");
    assert_non_null(first);
    assert_non_null(strstr(first, "Connection refused (1 stream)"));
    assert_null(strstr(first + 1, "cannot reach"));
    host_world_fini(&w);
    target_close(&t);
}

static void a_refusing_tcp_target_resets_with_code_1(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    (void)state;
    listen_tcp(&t);
    (void)close(t.fd);
    t.fd = -1;
    begin(&w, &t, "");
    host_peer_open(&w, &p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_int_equal(p.code, ALK_CODE_INTERNAL);
    host_world_fini(&w);
}

/* A listener whose queue is full answers no one: SYNs are dropped. */
static void a_target_that_does_not_answer_resets_with_code_11(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    int fill[8];
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    (void)state;
    listen_tcp(&t);
    assert_int_equal(listen(t.fd, 0), 0);
    assert_int_equal(getsockname(t.fd, (struct sockaddr *)(void *)&addr, &len), 0);
    for (size_t i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (const struct sockaddr *)(const void *)&addr, sizeof addr);
    }
    begin(&w, &t, "connect_timeout: 100ms\n");
    host_peer_open(&w, &p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_int_equal(p.code, ALK_CODE_TIMEOUT);
    assert_true(host_log_has(&w, "it does not answer"));
    host_world_fini(&w);
    for (size_t i = 0; i < 8; i++) {
        (void)close(fill[i]);
    }
    target_close(&t);
}

static void a_full_unix_backlog_is_waited_for(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p[4];
    int fds[4];
    (void)state;
    listen_unix(&t);
    assert_int_equal(listen(t.fd, 0), 0);
    begin(&w, &t, "");
    for (size_t i = 0; i < 4; i++) {
        host_peer_open(&w, &p[i]);
    }
    host_world_run(&w, 50);
    for (size_t i = 0; i < 4; i++) {
        fds[i] = accept_one(&w, &t);
        assert_false(host_peer_is_over(&p[i]));
        host_world_run(&w, 50);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
    host_world_fini(&w);
    target_close(&t);
}

/* A TCP target must not take an abort for an end. */
static void an_abort_reaches_a_tcp_target_as_an_abort(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    char text[64];
    (void)state;
    listen_tcp(&t);
    begin(&w, &t, "");
    host_peer_open(&w, &p);
    host_peer_write(&p, "half a fi");
    int fd = accept_one(&w, &t);
    alk_stream_close(p.stream, 5);
    host_world_run(&w, 20);
    ssize_t n = read(fd, text, sizeof text);
    assert_true(n == 9 || (n == -1 && errno == ECONNRESET));
    if (n == 9) {
        assert_int_equal(read(fd, text, sizeof text), -1);
        assert_int_equal(errno, ECONNRESET);
    }
    (void)close(fd);
    host_world_fini(&w);
    target_close(&t);
}

static void a_lost_connection_closes_the_target(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    char text[64];
    (void)state;
    listen_unix(&t);
    begin(&w, &t, "");
    host_peer_open(&w, &p);
    int fd = accept_one(&w, &t);
    host_world_disconnect(&w);
    assert_int_equal(read_text(&w, fd, text, sizeof text), 0);
    (void)close(fd);
    host_world_fini(&w);
    target_close(&t);
}

/* --- the PROXY header ----------------------------------------------------- */

static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n";

static void the_proxy_header_comes_first(void **state)
{
    struct target t;
    struct host_world w;
    struct host_peer p;
    char text[600];
    (void)state;
    listen_unix(&t);
    begin(&w, &t, "proxy_protocol: true\n");
    host_peer_open(&w, &p);
    host_peer_write(&p, "HELO");
    int fd = accept_one(&w, &t);
    ssize_t n = read_text(&w, fd, text, sizeof text);
    assert_true(n > 20);
    assert_memory_equal(text, signature, 12);
    assert_memory_equal(text + n - 4, "HELO", 4);
    (void)close(fd);
    host_world_fini(&w);
    target_close(&t);
}

/* [proxy-protocol §2.2] written out by hand */
static void the_proxy_header_holds_addresses_and_names(void **state)
{
    static const uint8_t want[] = {
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, /* signature */
        0x21, 0x11, 0x00, 0x36,                                                 /* PROXY, TCP4 */
        192,  0,    2,    1,    127,  0,    0,    1,    0x1f, 0x90, 0x11, 0x51, /* addresses */
        0x01, 0x00, 0x07, 'm',  'y',  '/',  't',  'o',  'o',  'l',              /* ALPN */
        0x02, 0x00, 0x04, 'n',  'o',  'd',  'e',                                /* AUTHORITY */
        0x05, 0x00, 0x04, '0',  '-',  '1',  'f',                                /* UNIQUE_ID */
        0x20, 0x00, 0x0f, 0x03, 0x00, 0x00, 0x00, 0x01,                         /* SSL, CERT_CONN */
        0x21, 0x00, 0x07, 'T',  'L',  'S',  'v',  '1',  '.',  '3',              /* VERSION */
    };
    struct alk_auth_context auth = {.struct_size = sizeof auth, .cert_kind = ALK_CERT_RAW_KEY};
    uint8_t got[ALK_PROXY2_MAX];
    struct alk_wr w = alk_wr(got, sizeof got);
    (void)state;
    (void)snprintf(auth.remote, sizeof auth.remote, "192.0.2.1:8080");
    (void)snprintf(auth.local, sizeof auth.local, "127.0.0.1:4433");
    (void)snprintf(auth.alpn, sizeof auth.alpn, "my/tool");
    (void)snprintf(auth.sni, sizeof auth.sni, "node");
    (void)snprintf(auth.log_id, sizeof auth.log_id, "0-1f");
    check_err(alk_proxy2_write(&w, &auth), ALK_OK);
    assert_int_equal(alk_wr_span(&w).n, sizeof want);
    assert_memory_equal(got, want, sizeof want);
}

static void the_proxy_header_fits_the_longest_names(void **state)
{
    struct alk_auth_context auth = {.struct_size = sizeof auth};
    uint8_t got[ALK_PROXY2_MAX];
    struct alk_wr w = alk_wr(got, sizeof got);
    (void)state;
    (void)snprintf(auth.remote, sizeof auth.remote, "[2001:db8::1]:8080");
    (void)snprintf(auth.local, sizeof auth.local, "[::1]:4433");
    memset(auth.alpn, 'a', sizeof auth.alpn - 1);
    memset(auth.sni, 's', sizeof auth.sni - 1);
    memset(auth.log_id, 'i', sizeof auth.log_id - 1);
    check_err(alk_proxy2_write(&w, &auth), ALK_OK);
    assert_int_equal(got[13], 0x21);
}

static void an_unknown_address_is_unspec(void **state)
{
    struct alk_auth_context auth = {.struct_size = sizeof auth};
    uint8_t got[ALK_PROXY2_MAX];
    struct alk_wr w = alk_wr(got, sizeof got);
    (void)state;
    (void)snprintf(auth.remote, sizeof auth.remote, "memory");
    (void)snprintf(auth.local, sizeof auth.local, "[::1]:4433");
    check_err(alk_proxy2_write(&w, &auth), ALK_OK);
    assert_int_equal(got[13], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_target_gets_half_closes_both_ways),
        cmocka_unit_test(a_tcp_target_gets_half_closes_both_ways),
        cmocka_unit_test(the_last_bytes_outlive_the_stream),
        cmocka_unit_test(bulk_with_a_slow_target_is_held_back),
        cmocka_unit_test(a_target_that_is_down_resets_with_code_1_and_is_logged_once),
        cmocka_unit_test(a_refusing_tcp_target_resets_with_code_1),
        cmocka_unit_test(a_target_that_does_not_answer_resets_with_code_11),
        cmocka_unit_test(a_full_unix_backlog_is_waited_for),
        cmocka_unit_test(an_abort_reaches_a_tcp_target_as_an_abort),
        cmocka_unit_test(a_lost_connection_closes_the_target),
        cmocka_unit_test(the_proxy_header_comes_first),
        cmocka_unit_test(the_proxy_header_holds_addresses_and_names),
        cmocka_unit_test(the_proxy_header_fits_the_longest_names),
        cmocka_unit_test(an_unknown_address_is_unspec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
