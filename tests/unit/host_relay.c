/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/relay.h by itself: a memory stream on one side, a socketpair or pipes
 * that the test holds on the other. */
#include "core/host/relay.h"

#include "support/host_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

/* --- a handler that makes a relay of its one stream ----------------------- */

struct relayed {
    struct host_world w;
    struct host_peer p;
    struct alk_relay relay;
    struct alk_stream *stream;
    int far;         /* the test's end of the socketpair, or what reads out_fd */
    int far_write;   /* what in_fd reads; the same for a socketpair */
    bool is_pipe;
    unsigned told;
};

static struct relayed *current; /* of the running test */

static void on_relay(void *ctx, unsigned events)
{
    struct relayed *r = ctx;
    assert_int_equal(r->told & events, 0); /* each comes once */
    r->told |= events;
    if ((events & ALK_RELAY_CLOSED) != 0) {
        r->stream = NULL;
    }
}

static alk_err on_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                       void **ret)
{
    (void)conn;
    (void)auth;
    *ret = service;
    return ALK_OK;
}

static alk_err on_new_stream(void *state, struct alk_stream *stream)
{
    struct relayed *r = current;
    (void)state;
    int a[2], b[2];
    struct alk_relay_options o = {
        .loop = r->w.loop, .stream = stream, .is_pipe = r->is_pipe, .fn = on_relay, .ctx = r};
    if (r->is_pipe) {
        assert_int_equal(pipe2(a, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(pipe2(b, O_CLOEXEC | O_NONBLOCK), 0);
        o.out_fd = a[1];
        o.in_fd = b[0];
        r->far = a[0];
        r->far_write = b[1];
    } else {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, a), 0);
        o.out_fd = o.in_fd = a[0];
        r->far = r->far_write = a[1];
    }
    r->stream = stream;
    check_err(alk_relay_init(&r->relay, &o), ALK_OK);
    return ALK_OK;
}

static const struct alk_handler relaying = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "relaying",
    .open = on_open,
    .stream = on_new_stream,
};

static void begin(struct relayed *r, bool is_pipe)
{
    *r = (struct relayed){.is_pipe = is_pipe, .far = -1, .far_write = -1};
    current = r;
    host_world_init(&r->w, NULL, 0, NULL);
    host_world_serve(&r->w, &relaying, NULL);
    host_world_connect(&r->w);
    host_peer_open(&r->w, &r->p);
    host_world_run(&r->w, 1);
    assert_non_null(r->stream);
}

static void end(struct relayed *r)
{
    alk_relay_fini(&r->relay);
    alk_relay_fini(&r->relay); /* harmless */
    if (r->far >= 0) {
        (void)close(r->far);
    }
    if (r->far_write >= 0 && r->far_write != r->far) {
        (void)close(r->far_write);
    }
    host_world_fini(&r->w);
}

static bool was_told(void *ctx)
{
    const struct relayed *r = ctx;
    return r->told != 0;
}

static size_t drain(struct relayed *r, uint64_t *at)
{
    static uint8_t block[65536];
    size_t total = 0;
    ssize_t n;
    host_world_run(&r->w, 1);
    while ((n = read(r->far, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            uint64_t k = *at + total + (uint64_t)i;
            assert_int_equal(block[i], (uint8_t)(k * 31 + (k >> 8) + (k >> 16)));
        }
        total += (size_t)n;
    }
    *at += total;
    return total;
}

/* --- tests ---------------------------------------------------------------- */

static void bytes_go_out_in_order_and_wait_for_room(struct relayed *r)
{
    uint64_t at = 0;
    host_peer_write_pattern(&r->p, 3 << 20, true);
    host_world_run(&r->w, 20);
    assert_int_equal(r->told, 0);
    assert_true(r->p.written < 3 << 20); /* nobody reads: held back */
    while (at < 3 << 20) {
        (void)drain(r, &at);
    }
    host_world_until(&r->w, was_told, r);
    assert_int_equal(r->told, ALK_RELAY_OUT_END);
    assert_int_equal(r->relay.out_bytes, 3 << 20);
    alk_relay_end_out(&r->relay);
    char c;
    assert_int_equal(read(r->far, &c, 1), 0);
}

static void a_socket_takes_what_the_stream_gives(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    bytes_go_out_in_order_and_wait_for_room(&r);
    end(&r);
}

static void a_pipe_takes_what_the_stream_gives(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, true);
    bytes_go_out_in_order_and_wait_for_room(&r);
    end(&r);
}

static void fill(struct relayed *r, size_t total)
{
    static uint8_t block[65536];
    uint64_t at = 0;
    while (at < total) {
        size_t n = total - at < sizeof block ? total - (size_t)at : sizeof block;
        for (size_t i = 0; i < n; i++) {
            uint64_t k = at + i;
            block[i] = (uint8_t)(k * 31 + (k >> 8) + (k >> 16));
        }
        ssize_t sent = write(r->far_write, block, n);
        at += sent > 0 ? (uint64_t)sent : 0;
        host_world_run(&r->w, 0);
    }
}

static void bytes_come_in_whole(struct relayed *r)
{
    fill(r, 3 << 20);
    if (r->is_pipe) {
        (void)close(r->far_write);
        r->far_write = -1;
    } else {
        (void)shutdown(r->far, SHUT_WR);
    }
    host_world_until(&r->w, was_told, r);
    assert_int_equal(r->told, ALK_RELAY_IN_END);
    alk_stream_finish(r->stream);
    host_world_until(&r->w, host_peer_is_over, &r->p);
    assert_int_equal(r->p.total, 3 << 20);
    assert_true(r->p.sum == host_pattern_sum(3 << 20));
}

static void the_stream_takes_what_a_socket_gives(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    bytes_come_in_whole(&r);
    end(&r);
}

static void the_stream_takes_what_a_pipe_gives(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, true);
    bytes_come_in_whole(&r);
    end(&r);
}

static void a_peer_that_reads_nothing_holds_the_writer(void **state)
{
    struct relayed r;
    static uint8_t block[65536];
    size_t total = 0;
    (void)state;
    begin(&r, false);
    r.p.is_paused = true;
    for (int idle = 0; idle < 50; idle++) {
        ssize_t n = write(r.far, block, sizeof block);
        total += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle;
        host_world_run(&r.w, 0);
    }
    /* Two windows of 256 KB, the held block, and the socket's own buffer. */
    assert_true(total < 2 << 20);
    assert_true(alk_stream_memory(r.stream) <= (size_t)400 * 1024);
    host_peer_resume(&r.p);
    (void)shutdown(r.far, SHUT_WR);
    host_world_until(&r.w, was_told, &r);
    alk_stream_finish(r.stream);
    host_world_until(&r.w, host_peer_is_over, &r.p);
    assert_int_equal(r.p.total, total);
    end(&r);
}

static void so_many_bytes_are_an_end(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    alk_relay_expect(&r.relay, 5);
    assert_int_equal(write(r.far, "abc", 3), 3);
    host_world_run(&r.w, 5);
    assert_int_equal(r.told, 0);
    assert_int_equal(write(r.far, "de", 2), 2);
    host_world_until(&r.w, was_told, &r);
    assert_int_equal(r.told, ALK_RELAY_IN_END);
    end(&r);
}

static void more_than_expected_is_an_error(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    alk_relay_expect(&r.relay, 5);
    assert_int_equal(write(r.far, "abcdef", 6), 6);
    host_world_until(&r.w, was_told, &r);
    assert_int_equal(r.told, ALK_RELAY_IN_ERROR);
    assert_int_equal(r.relay.in_errno, EPROTO);
    end(&r);
}

static void an_end_before_what_was_expected_shows_the_count(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    alk_relay_expect(&r.relay, 5);
    assert_int_equal(write(r.far, "abc", 3), 3);
    (void)close(r.far);
    r.far = r.far_write = -1;
    host_world_until(&r.w, was_told, &r);
    assert_int_equal(r.told & ALK_RELAY_IN_END, ALK_RELAY_IN_END);
    assert_int_equal(r.relay.in_bytes, 3);
    end(&r);
}

static void a_reset_and_a_stop_are_told(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    alk_stream_reset(r.p.stream, 7);
    host_world_until(&r.w, was_told, &r);
    assert_int_equal(r.told, ALK_RELAY_OUT_RESET);
    assert_int_equal(alk_stream_peer_code(r.stream), 7);
    r.told = 0;
    r.relay.told = 0;
    alk_stream_stop(r.p.stream, 8);
    host_world_until(&r.w, was_told, &r);
    assert_true((r.told & ALK_RELAY_IN_STOPPED) != 0);
    end(&r);
}

/* SIGPIPE has its default disposition here: it would end the test. */
static void a_pipe_that_nobody_reads_is_refused_without_a_signal(void **state)
{
    struct relayed r;
    (void)state;
    (void)signal(SIGPIPE, SIG_DFL);
    begin(&r, true);
    (void)close(r.far);
    r.far = -1;
    host_peer_write(&r.p, "hello");
    host_world_until(&r.w, was_told, &r);
    assert_int_equal(r.told, ALK_RELAY_OUT_REFUSED);
    sigset_t pending;
    (void)sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    end(&r);
}

static void discarded_input_ends_too(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    alk_relay_discard_out(&r.relay);
    host_peer_write_pattern(&r.p, 1 << 20, true);
    host_world_until(&r.w, was_told, &r);
    assert_int_equal(r.told, ALK_RELAY_OUT_END);
    char c;
    assert_int_equal(read(r.far, &c, 1), -1);
    end(&r);
}

/* Both directions are over for the transport and the connection goes, but 200 KB
 * wait for the socket. */
static void the_rest_is_written_after_the_stream_is_gone(void **state)
{
    struct relayed r;
    uint64_t at = 0;
    (void)state;
    begin(&r, false);
    alk_stream_finish(r.stream);
    alk_relay_cut_in(&r.relay);
    host_peer_write_pattern(&r.p, 450000, true);
    host_world_run(&r.w, 20);
    assert_int_equal(r.told, 0); /* the stream stays while its bytes are unread */
    host_world_disconnect(&r.w);
    assert_int_equal(r.told, ALK_RELAY_CLOSED);
    assert_null(r.stream);
    while (at < 450000) {
        (void)drain(&r, &at);
    }
    host_world_run(&r.w, 1);
    assert_int_equal(r.told, ALK_RELAY_CLOSED | ALK_RELAY_OUT_END);
    end(&r);
}

static void a_lost_connection_is_a_reset_and_no_end(void **state)
{
    struct relayed r;
    (void)state;
    begin(&r, false);
    host_peer_write(&r.p, "half");
    host_world_run(&r.w, 5);
    host_world_disconnect(&r.w);
    assert_int_equal(r.told, ALK_RELAY_OUT_RESET | ALK_RELAY_CLOSED);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_takes_what_the_stream_gives),
        cmocka_unit_test(a_pipe_takes_what_the_stream_gives),
        cmocka_unit_test(the_stream_takes_what_a_socket_gives),
        cmocka_unit_test(the_stream_takes_what_a_pipe_gives),
        cmocka_unit_test(a_peer_that_reads_nothing_holds_the_writer),
        cmocka_unit_test(so_many_bytes_are_an_end),
        cmocka_unit_test(more_than_expected_is_an_error),
        cmocka_unit_test(an_end_before_what_was_expected_shows_the_count),
        cmocka_unit_test(a_reset_and_a_stop_are_told),
        cmocka_unit_test(a_pipe_that_nobody_reads_is_refused_without_a_signal),
        cmocka_unit_test(discarded_input_ends_too),
        cmocka_unit_test(the_rest_is_written_after_the_stream_is_gone),
        cmocka_unit_test(a_lost_connection_is_a_reset_and_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
