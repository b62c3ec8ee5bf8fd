/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A stream joined to a socket: ends, resets, slow readers, and what must not be
 * lost when the connection goes. */
#include "splice.h"

#include "core/memconn.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
    struct alk_loop *loop;
    struct alk_hub hub;
    struct alk_mem_pair *pair;
    struct alk_conn *conn;     /* the client's */
    struct alk_stream *stream; /* the client's, joined */
    struct alk_stream *peer;   /* the server's, played by the test; NULL once closed */
    struct cli_splice splice;
    int local;  /* our end of the socket pair */
    int joined; /* the splice's */
    bool is_done;
};

static alk_err client_open(void *service, struct alk_conn *conn,
                           const struct alk_auth_context *auth, void **ret_state)
{
    (void)auth;
    ((struct world *)service)->conn = conn;
    *ret_state = service;
    return ALK_OK;
}

static const struct alk_handler client = {.struct_size = sizeof(struct alk_handler),
                                          .abi = ALK_HANDLER_ABI,
                                          .name = "client",
                                          .open = client_open};

static alk_err server_open(void *service, struct alk_conn *conn,
                           const struct alk_auth_context *auth, void **ret_state)
{
    (void)conn;
    (void)auth;
    *ret_state = service;
    return ALK_OK;
}

static void on_peer(void *ctx, struct alk_stream *stream, unsigned events)
{
    (void)stream;
    if ((events & ALK_STREAM_CLOSED) != 0) {
        ((struct world *)ctx)->peer = NULL;
    }
}

static alk_err server_stream(void *state, struct alk_stream *stream)
{
    ((struct world *)state)->peer = stream;
    alk_stream_on(stream, on_peer, state);
    return ALK_OK;
}

static const struct alk_handler server = {.struct_size = sizeof(struct alk_handler),
                                          .abi = ALK_HANDLER_ABI,
                                          .name = "server",
                                          .open = server_open,
                                          .stream = server_stream};

static void settle(struct world *w)
{
    for (int quiet = 0; quiet < 4;) {
        bool more = alk_hub_run(&w->hub);
        bool moved = alk_mem_pump(w->pair);
        (void)alk_loop_run_once(w->loop, 0);
        quiet = more || moved || !alk_list_is_empty(&w->hub.ready) ? 0 : quiet + 1;
    }
}

static void on_done(void *ctx, struct cli_splice *splice)
{
    struct world *w = (struct world *)ctx;
    (void)splice;
    assert_false(w->is_done); /* once */
    w->is_done = true;
}

static int setup(void **state)
{
    struct world *w = (struct world *)calloc(1, sizeof *w);
    int fds[2];
    assert_non_null(w);
    check_err(alk_loop_new(NULL, &w->loop), ALK_OK);
    alk_hub_init(&w->hub, NULL, 0);
    const struct alk_mem_options o = {.client_hub = &w->hub,
                                      .server_hub = &w->hub,
                                      .window = 1 << 20,
                                      .client = &client,
                                      .client_state = w,
                                      .server = &server,
                                      .server_state = w};
    check_err(alk_mem_pair_new(&o, &w->pair), ALK_OK);
    settle(w);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    w->local = fds[0];
    w->joined = fds[1];
    check_err(alk_conn_open_stream(w->conn, NULL, NULL, &w->stream), ALK_OK);
    w->splice = (struct cli_splice){
        .loop = w->loop, .in_fd = fds[1], .out_fd = fds[1], .done = on_done, .ctx = w};
    *state = w;
    return 0;
}

static void begin(struct world *w)
{
    check_err(cli_splice_start(&w->splice, w->stream), ALK_OK);
    settle(w);
    assert_non_null(w->peer);
}

static int teardown(void **state)
{
    struct world *w = (struct world *)*state;
    cli_splice_stop(&w->splice, 0);
    alk_mem_pair_free(w->pair);
    alk_hub_fini(&w->hub);
    alk_loop_free(w->loop);
    if (w->local >= 0) {
        (void)close(w->local);
    }
    (void)close(w->joined);
    free(w);
    return 0;
}

/* The server sends n bytes, each its offset's low byte. */
static void peer_puts(struct world *w, size_t n)
{
    uint8_t block[4096];
    for (size_t at = 0; at < n;) {
        size_t k = n - at < sizeof block ? n - at : sizeof block, took = 0;
        for (size_t i = 0; i < k; i++) {
            block[i] = (uint8_t)(at + i);
        }
        alk_err err = alk_stream_write(w->peer, alk_span(block, k), &took);
        assert_true(err == ALK_OK || err == ALK_FULL);
        at += took;
        if (took < k) {
            settle(w);
        }
    }
}

/* What the local side reads until its end; -1: no end, nothing more now. */
static ssize_t local_gets(struct world *w, size_t *ret_n)
{
    uint8_t block[65536];
    *ret_n = 0;
    for (;;) {
        ssize_t n = read(w->local, block, sizeof block);
        if (n < 0 && errno == EAGAIN) {
            size_t before = *ret_n;
            settle(w);
            n = read(w->local, block, sizeof block);
            if (n < 0 && *ret_n == before) {
                return -1;
            }
        }
        if (n <= 0) {
            return n;
        }
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(block[i], (uint8_t)(*ret_n + (size_t)i));
        }
        *ret_n += (size_t)n;
    }
}

static void both_directions_end_for_themselves(void **state)
{
    struct world *w = (struct world *)*state;
    struct alk_span in;
    size_t n;
    begin(w);
    assert_int_equal(write(w->local, "hello", 5), 5);
    settle(w);
    check_err(alk_stream_peek(w->peer, &in), ALK_OK);
    check_text(in, "hello");
    alk_stream_consume(w->peer, in.n);
    assert_int_equal(shutdown(w->local, SHUT_WR), 0);
    settle(w);
    check_err(alk_stream_peek(w->peer, &in), ALK_END);
    assert_false(w->is_done);
    peer_puts(w, 300000);
    alk_stream_finish(w->peer);
    assert_int_equal(local_gets(w, &n), 0);
    assert_int_equal(n, 300000);
    settle(w);
    assert_true(w->is_done);
    assert_int_equal(w->splice.end, CLI_SPLICE_FINISHED);
    assert_int_equal(w->splice.bytes_in, 5);
    assert_int_equal(w->splice.bytes_out, 300000);
}

static void a_reset_is_no_end(void **state)
{
    struct world *w = (struct world *)*state;
    size_t n;
    begin(w);
    peer_puts(w, 10);
    settle(w);
    alk_stream_close(w->peer, ALK_CODE_EXIT);
    w->peer = NULL;
    settle(w);
    assert_true(w->is_done);
    assert_int_equal(w->splice.end, CLI_SPLICE_RESET);
    assert_int_equal(w->splice.code, ALK_CODE_EXIT);
    assert_int_equal(local_gets(w, &n), -1); /* the socket was not shut down */
}

/* The node says its end and closes the connection, while the local side does not
 * read: everything still comes through. */
static void what_came_with_an_end_is_kept(void **state)
{
    struct world *w = (struct world *)*state;
    size_t n;
    begin(w);
    peer_puts(w, 900000);
    alk_stream_finish(w->peer);
    settle(w);
    alk_conn_close(alk_stream_conn(w->peer), 0, ALK_LIT(""));
    settle(w);
    assert_null(w->peer);
    assert_false(w->is_done);
    assert_int_equal(local_gets(w, &n), 0);
    assert_int_equal(n, 900000);
    settle(w);
    assert_true(w->is_done);
    assert_int_equal(w->splice.end, CLI_SPLICE_FINISHED);
}

static void a_connection_that_breaks_is_no_end(void **state)
{
    struct world *w = (struct world *)*state;
    size_t n;
    begin(w);
    peer_puts(w, 1000);
    settle(w);
    alk_conn_close(alk_stream_conn(w->peer), ALK_CODE_SHUTDOWN, ALK_LIT(""));
    settle(w);
    assert_true(w->is_done);
    assert_int_equal(w->splice.end, CLI_SPLICE_RESET);
    assert_int_equal(w->splice.code, ALK_CODE_SHUTDOWN);
    assert_int_equal(local_gets(w, &n), -1);
}

/* The local side goes: the node is told to stop, and the splice ends. */
static void a_local_side_that_goes_stops_the_peer(void **state)
{
    struct world *w = (struct world *)*state;
    size_t took = 0;
    begin(w);
    (void)close(w->local);
    w->local = -1;
    settle(w);
    check_err(alk_stream_write(w->peer, ALK_LIT("x"), &took), ALK_OK);
    settle(w);
    if (w->peer != NULL) { /* else both its directions are over already */
        check_err(alk_stream_write(w->peer, ALK_LIT("x"), &took), ALK_E_STOPPED);
        alk_stream_close(w->peer, 0);
        w->peer = NULL;
        settle(w);
    }
    assert_true(w->is_done);
    assert_int_equal(w->splice.end, CLI_SPLICE_LOCAL);
    assert_int_equal(w->splice.error, EPIPE);
}

static void a_slow_local_side_holds_the_peer_back(void **state)
{
    struct world *w = (struct world *)*state;
    uint8_t block[4096] = {0};
    size_t sent = 0, took = 0;
    begin(w);
    for (unsigned i = 0;
         i < 4000 && alk_stream_write(w->peer, alk_span(block, sizeof block), &took) == ALK_OK;
         i++) {
        sent += took;
        settle(w);
    }
    /* The window, the queue of the sender and the socket: not 16 MiB. */
    assert_true(sent < (size_t)3 << 20);
    assert_false(w->is_done);
}

static void with_ends_with_peer_the_input_is_not_waited_for(void **state)
{
    struct world *w = (struct world *)*state;
    struct alk_span in;
    size_t n;
    w->splice.ends_with_peer = true;
    begin(w);
    alk_stream_finish(w->peer);
    settle(w);
    assert_int_equal(local_gets(w, &n), 0);
    settle(w);
    if (w->peer != NULL) {
        check_err(alk_stream_peek(w->peer, &in), ALK_END);
        settle(w);
    }
    assert_true(w->is_done);
    assert_int_equal(w->splice.end, CLI_SPLICE_FINISHED);
}

static void files_are_read_without_waiting(void **state)
{
    struct world *w = (struct world *)*state;
    struct alk_span in;
    char path[] = "/tmp/alk-splice-XXXXXX";
    static uint8_t zeros[500000];
    uint64_t got = 0;
    alk_err err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    w->splice.in_fd = fd;
    begin(w);
    while ((err = alk_stream_peek(w->peer, &in)) != ALK_END) {
        if (err == ALK_OK) {
            got += in.n;
            alk_stream_consume(w->peer, in.n);
        }
        settle(w);
    }
    assert_int_equal(got, sizeof zeros);
    cli_splice_stop(&w->splice, 0);
    (void)close(fd);
}

/* git has what it wanted: it closes both of its ends and waits for us. */
static void with_ends_with_reader_the_peer_is_not_waited_for(void **state)
{
    struct world *w = (struct world *)*state;
    struct alk_span in;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    w->splice.out_fd = fds[1];
    w->splice.ends_with_reader = true;
    begin(w);
    assert_int_equal(write(w->local, "0000", 4), 4);
    assert_int_equal(shutdown(w->local, SHUT_WR), 0);
    settle(w);
    assert_false(w->is_done); /* somebody still reads */
    peer_puts(w, 10);
    settle(w);
    assert_int_equal(read(fds[0], (char[16]){0}, 16), 10);
    assert_false(w->is_done);
    check_err(alk_stream_peek(w->peer, &in), ALK_OK);
    check_text(in, "0000");
    alk_stream_consume(w->peer, in.n);
    check_err(alk_stream_peek(w->peer, &in), ALK_END);
    (void)close(fds[0]);
    peer_puts(w, 10);
    settle(w);
    assert_true(w->is_done);
    (void)close(fds[1]);
}

static void with_ends_with_reader_the_end_is_still_stated(void **state)
{
    struct world *w = (struct world *)*state;
    struct alk_span in;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    w->splice.out_fd = fds[1];
    w->splice.ends_with_reader = true;
    begin(w);
    (void)close(fds[0]);
    assert_int_equal(write(w->local, "0000", 4), 4);
    settle(w);
    assert_false(w->is_done); /* there may be more to say */
    assert_int_equal(shutdown(w->local, SHUT_WR), 0);
    settle(w);
    assert_true(w->is_done);
    assert_int_equal(w->splice.end, CLI_SPLICE_FINISHED);
    check_err(alk_stream_peek(w->peer, &in), ALK_OK);
    check_text(in, "0000");
    alk_stream_consume(w->peer, in.n);
    check_err(alk_stream_peek(w->peer, &in), ALK_END);
    (void)close(fds[1]);
}

static void stop_lets_go_without_a_word(void **state)
{
    struct world *w = (struct world *)*state;
    begin(w);
    peer_puts(w, 100);
    cli_splice_stop(&w->splice, ALK_CODE_NONE);
    cli_splice_stop(&w->splice, ALK_CODE_NONE);
    settle(w);
    assert_false(w->is_done);
    assert_int_equal(fcntl(w->joined, F_GETFD) >= 0, 1); /* descriptors stay open */
}

#define SPLICE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPLICE_TEST(both_directions_end_for_themselves),
        SPLICE_TEST(a_reset_is_no_end),
        SPLICE_TEST(what_came_with_an_end_is_kept),
        SPLICE_TEST(a_connection_that_breaks_is_no_end),
        SPLICE_TEST(a_local_side_that_goes_stops_the_peer),
        SPLICE_TEST(a_slow_local_side_holds_the_peer_back),
        SPLICE_TEST(with_ends_with_peer_the_input_is_not_waited_for),
        SPLICE_TEST(with_ends_with_reader_the_peer_is_not_waited_for),
        SPLICE_TEST(with_ends_with_reader_the_end_is_still_stated),
        SPLICE_TEST(files_are_read_without_waiting),
        SPLICE_TEST(stop_lets_go_without_a_word),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
