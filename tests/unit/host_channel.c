/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/channel.h: whole messages with descriptors, a queue with a cap, and
 * what is still readable after the other end has died. */
#include "core/host/channel.h"

#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MAX ((size_t)256 * 1024)

static void pair(struct alk_channel *a, struct alk_channel *b)
{
    int fds[2];
    check_err(alk_channel_pair(fds), ALK_OK);
    alk_channel_init(a, NULL, fds[0], MAX);
    alk_channel_init(b, NULL, fds[1], MAX);
}

static struct alk_span receive(struct alk_channel *c, uint8_t *buf, size_t size)
{
    struct alk_span got = {NULL, 0};
    size_t count = 0;
    check_err(alk_channel_recv(c, buf, size, NULL, &count, &got), ALK_OK);
    return got;
}

static void messages_keep_their_borders(void **state)
{
    struct alk_channel a, b;
    uint8_t buf[64];
    struct alk_span got;
    size_t count = 0;
    (void)state;
    pair(&a, &b);
    check_err(alk_channel_send(&a, ALK_LIT("one"), NULL, 0, false), ALK_OK);
    check_err(alk_channel_send(&a, ALK_LIT("three"), NULL, 0, false), ALK_OK);
    check_text(receive(&b, buf, sizeof buf), "one");
    check_text(receive(&b, buf, sizeof buf), "three");
    check_err(alk_channel_recv(&b, buf, sizeof buf, NULL, &count, &got), ALK_MORE);
    alk_channel_fini(&a);
    alk_channel_fini(&a); /* harmless */
    check_err(alk_channel_recv(&b, buf, sizeof buf, NULL, &count, &got), ALK_END);
    check_err(alk_channel_send(&b, ALK_LIT("x"), NULL, 0, false), ALK_E_CLOSED);
    check_err(alk_channel_send(&a, ALK_LIT("x"), NULL, 0, true), ALK_E_CLOSED);
    alk_channel_fini(&b);
}

static void descriptors_travel_and_are_close_on_exec(void **state)
{
    struct alk_channel a, b;
    uint8_t buf[64];
    struct alk_span got;
    int p[2];
    int fds[4];
    size_t count = 4;
    char c = 0;
    (void)state;
    pair(&a, &b);
    assert_int_equal(pipe(p), 0);
    check_err(alk_channel_send(&a, ALK_LIT("fd"), p, 1, false), ALK_OK); /* takes p[0] */
    assert_int_equal(fcntl(p[0], F_GETFD), -1);
    check_err(alk_channel_recv(&b, buf, sizeof buf, fds, &count, &got), ALK_OK);
    assert_int_equal(count, 1);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(p[1], "z", 1), 1);
    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_int_equal(c, 'z');
    alk_close_fds(fds, 1);
    (void)close(p[1]);
    alk_channel_fini(&a);
    alk_channel_fini(&b);
}

static void descriptors_nobody_asked_for_are_closed(void **state)
{
    struct alk_channel a, b;
    uint8_t buf[64];
    struct alk_span got;
    int p[2];
    size_t count = 0;
    char c;
    (void)state;
    pair(&a, &b);
    assert_int_equal(pipe(p), 0);
    check_err(alk_channel_send(&a, ALK_LIT("fd"), p + 1, 1, false), ALK_OK);
    check_err(alk_channel_recv(&b, buf, sizeof buf, NULL, &count, &got), ALK_OK);
    assert_int_equal(count, 0);
    assert_int_equal(read(p[0], &c, 1), 0); /* its last writer is gone */
    (void)close(p[0]);
    alk_channel_fini(&a);
    alk_channel_fini(&b);
}

static void a_message_that_does_not_fit_is_lost_whole(void **state)
{
    struct alk_channel a, b;
    uint8_t buf[4];
    struct alk_span got;
    size_t count = 0;
    (void)state;
    pair(&a, &b);
    check_err(alk_channel_send(&a, ALK_LIT("toolong"), NULL, 0, false), ALK_OK);
    check_err(alk_channel_send(&a, ALK_LIT("ok"), NULL, 0, false), ALK_OK);
    check_err(alk_channel_recv(&b, buf, sizeof buf, NULL, &count, &got), ALK_E_TOO_BIG);
    check_text(receive(&b, buf, sizeof buf), "ok");
    alk_channel_fini(&a);
    alk_channel_fini(&b);
}

/* Fills kernel and queue, then reads: order and number are kept. */
static void the_queue_has_a_cap_and_keeps_the_order(void **state)
{
    static uint8_t text[8192];
    static uint8_t buf[8192];
    struct alk_channel a, b;
    unsigned sent = 0;
    alk_err err;
    int p[2];
    (void)state;
    pair(&a, &b);
    do {
        memcpy(text, &sent, sizeof sent);
        err = alk_channel_send(&a, alk_span(text, sizeof text), NULL, 0, false);
        sent += err == ALK_OK;
    } while (err == ALK_OK);
    check_err(err, ALK_FULL);
    assert_true(a.queued <= MAX && a.queued > MAX - sizeof text);
    assert_int_equal(pipe(p), 0);
    check_err(alk_channel_send(&a, alk_span(text, sizeof text), p, 1, false), ALK_FULL);
    assert_int_equal(fcntl(p[0], F_GETFD), -1); /* taken all the same */
    memcpy(text, &sent, sizeof sent);
    check_err(alk_channel_send(&a, alk_span(text, sizeof text), p + 1, 1, true), ALK_OK);
    sent++;
    check_err(alk_channel_flush(&a), ALK_FULL);
    for (unsigned i = 0; i < sent; i++) {
        unsigned n;
        int fd = -1;
        size_t count = 1;
        struct alk_span got;
        err = alk_channel_recv(&b, buf, sizeof buf, &fd, &count, &got);
        check_err(err, ALK_OK);
        memcpy(&n, got.p, sizeof n);
        assert_int_equal(n, i);
        assert_int_equal(count, i + 1 == sent ? 1 : 0);
        alk_close_fds(&fd, 1);
        err = alk_channel_flush(&a);
        assert_true(err == ALK_OK || err == ALK_FULL);
    }
    assert_false(alk_channel_has_queue(&a));
    assert_int_equal(a.queued, 0);
    alk_channel_fini(&a);
    alk_channel_fini(&b);
}

/* The dead end had not read what we sent: the kernel reports a reset first. */
static void last_words_are_read_after_the_end(void **state)
{
    struct alk_channel a, b;
    uint8_t buf[64];
    struct alk_span got;
    size_t count = 0;
    (void)state;
    pair(&a, &b);
    check_err(alk_channel_send(&a, ALK_LIT("unread"), NULL, 0, false), ALK_OK);
    check_err(alk_channel_send(&b, ALK_LIT("last words"), NULL, 0, false), ALK_OK);
    alk_channel_fini(&b);
    check_text(receive(&a, buf, sizeof buf), "last words");
    check_err(alk_channel_recv(&a, buf, sizeof buf, NULL, &count, &got), ALK_END);
    alk_channel_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_their_borders),
        cmocka_unit_test(descriptors_travel_and_are_close_on_exec),
        cmocka_unit_test(descriptors_nobody_asked_for_are_closed),
        cmocka_unit_test(a_message_that_does_not_fit_is_lost_whole),
        cmocka_unit_test(the_queue_has_a_cap_and_keeps_the_order),
        cmocka_unit_test(last_words_are_read_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
