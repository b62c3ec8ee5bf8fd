/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loops: posts, timers, descriptors, turn hooks, embedding. */
#include "core/io/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct alk_loop *make_loop(void)
{
    struct alk_loop *loop = NULL;
    assert_int_equal(alk_loop_new(NULL, &loop), ALK_OK);
    return loop;
}

/* --- posts ---------------------------------------------------------------- */

struct order {
    struct alk_loop *loop;
    int seen[8];
    int n;
    int cancelled;
};
struct order_post {
    struct order *order;
    int value;
};

static void on_order(void *arg)
{
    struct order_post *p = arg;
    p->order->seen[p->order->n++] = p->value;
    if (p->order->n == 3) {
        alk_loop_stop(p->order->loop);
    }
}

static void posts_run_in_order_and_never_inside_the_call(void **ctx)
{
    (void)ctx;
    struct order o = {.loop = make_loop()};
    struct order_post p[3] = {{&o, 1}, {&o, 2}, {&o, 3}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(alk_post(o.loop, on_order, &p[i]), ALK_OK);
    }
    assert_int_equal(o.n, 0);
    alk_loop_run(o.loop);
    assert_int_equal(o.n, 3);
    assert_int_equal(o.seen[0], 1);
    assert_int_equal(o.seen[1], 2);
    assert_int_equal(o.seen[2], 3);
    alk_loop_free(o.loop);
}

static void on_cancel(void *arg)
{
    struct order_post *p = arg;
    p->order->cancelled++;
}

static void posts_that_wait_when_the_loop_is_freed_are_cancelled(void **ctx)
{
    (void)ctx;
    struct order o = {.loop = make_loop()};
    struct order_post p = {&o, 1};
    assert_int_equal(alk_post_cancel(o.loop, on_order, on_cancel, &p), ALK_OK);
    assert_int_equal(alk_post(o.loop, on_order, &p), ALK_OK);
    alk_loop_free(o.loop);
    assert_int_equal(o.n, 0);
    assert_int_equal(o.cancelled, 1);
}

static void count_post(void *arg)
{
    ++*(size_t *)arg;
}

static void the_queue_of_posts_is_bounded(void **ctx)
{
    (void)ctx;
    struct alk_loop *loop = make_loop();
    size_t n = 0;
    for (size_t i = 0; i < ALK_POSTS_MAX; i++) {
        assert_int_equal(alk_post(loop, count_post, &n), ALK_OK);
    }
    assert_int_equal(alk_post(loop, count_post, &n), ALK_FULL);
    assert_true(alk_loop_run_once(loop, 0));
    assert_int_equal(n, ALK_POSTS_MAX);
    assert_int_equal(alk_post(loop, count_post, &n), ALK_OK);
    alk_loop_free(loop);
}

/* --- posts in their owner's memory ---------------------------------------- */

static struct alk_post_node node_of(struct order_post *p)
{
    return (struct alk_post_node){.fn = on_order, .cancel = on_cancel, .arg = p};
}

static void a_post_of_its_owners_waits_once_and_after_what_came_before(void **ctx)
{
    (void)ctx;
    struct order o = {.loop = make_loop()};
    struct order_post p[3] = {{&o, 1}, {&o, 2}, {&o, 3}};
    struct alk_post_node a = node_of(&p[1]), b = node_of(&p[2]);
    assert_true(alk_post_own(o.loop, &a));
    assert_int_equal(alk_post(o.loop, on_order, &p[0]), ALK_OK);
    assert_true(alk_post_own(o.loop, &b));
    assert_false(alk_post_own(o.loop, &a));
    assert_int_equal(o.n, 0);
    alk_loop_run(o.loop);
    assert_int_equal(o.n, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(o.seen[i], i + 1);
    }
    assert_true(alk_post_own(o.loop, &a)); /* it ran: it may wait again */
    alk_loop_free(o.loop);
    assert_int_equal(o.n, 3);
    assert_int_equal(o.cancelled, 1);
}

struct again {
    struct alk_loop *loop;
    struct alk_post_node node, other;
    unsigned runs;
};

static void on_again(void *arg)
{
    struct again *a = arg;
    a->runs++;
    assert_true(alk_post_own(a->loop, &a->node));
}

static void on_other(void *arg)
{
    struct again *a = arg;
    alk_loop_stop(a->loop);
}

static void a_post_made_by_a_post_comes_next_time_and_wakes_the_loop(void **ctx)
{
    (void)ctx;
    struct again a = {.loop = make_loop()};
    a.node = (struct alk_post_node){.fn = on_again, .arg = &a};
    a.other = (struct alk_post_node){.fn = on_other, .arg = &a};
    assert_true(alk_post_own(a.loop, &a.node));
    assert_true(alk_post_own(a.loop, &a.other));
    assert_false(alk_loop_run_once(a.loop, -1));
    assert_int_equal(a.runs, 1);
    assert_true(alk_loop_run_once(a.loop, -1)); /* sleeps for ever if nothing woke it */
    assert_int_equal(a.runs, 2);
    alk_loop_free(a.loop);
}

static void a_post_of_its_owners_finds_room_where_the_queue_has_none(void **ctx)
{
    (void)ctx;
    struct order o = {.loop = make_loop()};
    struct order_post p = {&o, 7};
    struct alk_post_node node = node_of(&p);
    size_t n = 0;
    for (size_t i = 0; i < ALK_POSTS_MAX; i++) {
        assert_int_equal(alk_post(o.loop, count_post, &n), ALK_OK);
    }
    assert_int_equal(alk_post(o.loop, count_post, &n), ALK_FULL);
    assert_true(alk_post_own(o.loop, &node));
    assert_true(alk_loop_run_once(o.loop, 0));
    assert_int_equal(n, ALK_POSTS_MAX);
    assert_int_equal(o.seen[0], 7);
    alk_loop_free(o.loop);
}

struct thread {
    struct alk_loop *loop;
    size_t *sum;
};
static void *post_many(void *arg)
{
    struct thread *t = arg;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(alk_post(t->loop, count_post, t->sum), ALK_OK);
    }
    return NULL;
}

static void every_post_of_several_threads_arrives(void **ctx)
{
    (void)ctx;
    size_t sum = 0;
    struct thread t = {make_loop(), &sum};
    pthread_t id[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&id[i], NULL, post_many, &t), 0);
    }
    while (sum < 4000) {
        assert_true(alk_loop_run_once(t.loop, 1000));
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(id[i], NULL), 0);
    }
    assert_int_equal(sum, 4000);
    alk_loop_free(t.loop);
}

/* --- timers --------------------------------------------------------------- */

struct tick {
    struct alk_loop *loop;
    struct alk_timer timer, other;
    alk_time fired_at;
    int n;
};

static void on_tick(struct alk_timer *timer, void *ctx)
{
    struct tick *t = ctx;
    assert_int_equal(timer->at, 0);
    t->fired_at = alk_loop_now(t->loop);
    if (++t->n < 5) {
        alk_timer_set(t->loop, timer, t->fired_at + 100 * ALK_US);
    } else {
        alk_timer_stop(t->loop, &t->other);
        alk_loop_stop(t->loop);
    }
}

static void never_called(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    (void)ctx;
    fail_msg("a stopped timer fired");
}

static void timers_fire_at_or_after_their_time_and_may_set_timers(void **ctx)
{
    (void)ctx;
    struct tick t = {.loop = make_loop()};
    t.timer = (struct alk_timer){.fn = on_tick, .ctx = &t};
    t.other = (struct alk_timer){.fn = never_called};
    alk_time start = alk_loop_now(t.loop);
    alk_timer_set(t.loop, &t.other, start + 3600 * ALK_SECOND);
    alk_timer_set(t.loop, &t.timer, start + ALK_MS);
    alk_loop_run(t.loop);
    assert_int_equal(t.n, 5);
    assert_true(t.fired_at >= start + ALK_MS + 400 * ALK_US);
    alk_loop_free(t.loop);
}

static void a_timer_set_to_never_is_stopped(void **ctx)
{
    (void)ctx;
    struct alk_loop *loop = make_loop();
    struct alk_timer t = {.fn = never_called};
    alk_timer_set(loop, &t, 1);
    alk_timer_set(loop, &t, ALK_NEVER);
    assert_true(alk_loop_run_once(loop, 0));
    alk_timer_set(loop, &t, 0);
    alk_timer_stop(loop, &t);
    assert_true(alk_loop_run_once(loop, 0));
    alk_loop_free(loop);
}

static void an_earlier_timer_overtakes_what_the_alarm_is_set_to(void **ctx)
{
    (void)ctx;
    struct tick t = {.loop = make_loop(), .n = 4};
    t.other = (struct alk_timer){.fn = never_called};
    t.timer = (struct alk_timer){.fn = on_tick, .ctx = &t};
    alk_timer_set(t.loop, &t.other, alk_loop_now(t.loop) + 3600 * ALK_SECOND);
    assert_true(alk_loop_run_once(t.loop, 0));
    alk_timer_set(t.loop, &t.timer, alk_loop_now(t.loop) + ALK_MS);
    alk_loop_run(t.loop);
    assert_int_equal(t.n, 5);
    alk_loop_free(t.loop);
}

/* --- descriptors ---------------------------------------------------------- */

struct pipe_end {
    struct alk_loop *loop;
    struct alk_watch *watch;
    int fd;
    unsigned ready;
    int n;
    bool free_inside;
};

static void on_ready(void *ctx, unsigned ready)
{
    struct pipe_end *e = ctx;
    e->ready |= ready;
    e->n++;
    if (e->free_inside) {
        alk_watch_free(e->watch);
        e->watch = NULL;
    }
}

static void a_watch_tells_what_was_asked_for_and_is_level_triggered(void **ctx)
{
    (void)ctx;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct pipe_end e = {.loop = make_loop(), .fd = fd[0]};
    assert_int_equal(alk_watch_new(e.loop, fd[0], ALK_FD_READ, on_ready, &e, &e.watch), ALK_OK);
    assert_true(alk_loop_run_once(e.loop, 0));
    assert_int_equal(e.n, 0);
    assert_int_equal(write(fd[1], "x", 1), 1);
    assert_true(alk_loop_run_once(e.loop, 1000));
    assert_true(alk_loop_run_once(e.loop, 1000));
    assert_int_equal(e.n, 2);
    assert_int_equal(e.ready, ALK_FD_READ);
    alk_watch_mask(e.watch, ALK_FD_WRITE);
    e.ready = 0;
    assert_true(alk_loop_run_once(e.loop, 1000));
    assert_int_equal(e.ready, ALK_FD_WRITE);
    alk_watch_mask(e.watch, 0);
    e.n = 0;
    assert_true(alk_loop_run_once(e.loop, 0));
    assert_int_equal(e.n, 0);
    alk_watch_free(e.watch);
    alk_loop_free(e.loop);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void a_hangup_shows_as_readable_and_a_watch_may_go_in_its_callback(void **ctx)
{
    (void)ctx;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct pipe_end e = {.loop = make_loop(), .fd = fd[0], .free_inside = true};
    assert_int_equal(alk_watch_new(e.loop, fd[0], ALK_FD_READ, on_ready, &e, &e.watch), ALK_OK);
    (void)close(fd[1]);
    assert_true(alk_loop_run_once(e.loop, 1000));
    assert_int_equal(e.ready, ALK_FD_READ);
    assert_true(alk_loop_run_once(e.loop, 0));
    assert_int_equal(e.n, 1);
    (void)close(fd[0]);
    alk_loop_free(e.loop);
}

/* --- turns and embedding -------------------------------------------------- */

struct hook {
    struct alk_turn turn;
    int runs, more;
};

static bool on_turn(void *ctx)
{
    struct hook *h = ctx;
    h->runs++;
    return h->more > 0 && h->more-- > 0;
}
static bool hook_has_work(void *ctx)
{
    const struct hook *h = ctx;
    return h->more > 0;
}

static void a_hook_that_has_more_keeps_the_loop_from_sleeping(void **ctx)
{
    (void)ctx;
    struct alk_loop *loop = make_loop();
    struct hook h = {.more = 3};
    h.turn = (struct alk_turn){.fn = on_turn, .has_work = hook_has_work, .ctx = &h};
    alk_loop_turn_add(loop, &h.turn);
    assert_int_equal(alk_loop_timeout_ms(loop), 0);
    while (h.more > 0) {
        assert_true(alk_loop_run_once(loop, -1)); /* would never return otherwise */
    }
    assert_true(h.runs >= 3);
    alk_loop_turn_remove(loop, &h.turn);
    alk_loop_free(loop);
}

static void a_foreign_poll_on_the_loops_descriptor_sees_posts_timers_and_files(void **ctx)
{
    (void)ctx;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct tick t = {.loop = make_loop(), .n = 4};
    struct pipe_end e = {.loop = t.loop, .fd = fd[0], .free_inside = true};
    t.timer = (struct alk_timer){.fn = on_tick, .ctx = &t};
    assert_int_equal(alk_watch_new(t.loop, fd[0], ALK_FD_READ, on_ready, &e, &e.watch), ALK_OK);
    alk_timer_set(t.loop, &t.timer, alk_loop_now(t.loop) + ALK_MS);
    size_t posts = 0;
    assert_int_equal(alk_post(t.loop, count_post, &posts), ALK_OK);
    assert_int_equal(write(fd[1], "x", 1), 1);

    struct pollfd p = {.fd = alk_loop_fd(t.loop), .events = POLLIN};
    while (t.n < 5 || e.n == 0 || posts == 0) {
        int timeout = alk_loop_timeout_ms(t.loop);
        assert_true(poll(&p, 1, timeout < 0 ? 5000 : timeout) == 1 || timeout == 0);
        (void)alk_loop_run_once(t.loop, 0);
    }
    assert_int_equal(t.n, 5);
    assert_int_equal(posts, 1);
    assert_int_equal(e.n, 1);
    alk_loop_free(t.loop);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

/* --- soon ------------------------------------------------------------------ */

struct chore {
    struct alk_soon soon;
    struct alk_loop *loop;
    struct chore *asks; /* asks for this one */
    char name;
    char *log; /* shared */
};

static void on_chore(void *ctx)
{
    struct chore *c = ctx;
    *strchr(c->log, '.') = c->name;
    if (c->asks != NULL) {
        struct chore *next = c->asks;
        c->asks = NULL;
        alk_loop_soon(c->loop, &next->soon);
    }
}

static bool log_turn(void *ctx)
{
    char *dot = strchr(ctx, '.');
    if (dot != NULL) {
        *dot = '|';
    }
    return false;
}

static void what_is_asked_for_soon_runs_in_order_before_the_hooks_and_the_sleep(void **ctx)
{
    struct alk_loop *loop = make_loop();
    char log[] = ".......";
    struct chore c[4];
    struct alk_turn turn = {.fn = log_turn, .ctx = log};
    (void)ctx;
    for (size_t i = 0; i < 4; i++) {
        c[i] = (struct chore){.loop = loop, .name = (char)('a' + i), .log = log};
        c[i].soon = (struct alk_soon){.fn = on_chore, .ctx = &c[i]};
    }
    alk_loop_turn_add(loop, &turn);
    c[0].asks = &c[3]; /* asked for while the others run: after the hooks */
    for (size_t i = 0; i < 3; i++) {
        alk_loop_soon(loop, &c[i].soon);
        alk_loop_soon(loop, &c[i].soon);
    }
    assert_int_equal(alk_loop_timeout_ms(loop), 0);
    alk_loop_soon_cancel(&c[1].soon);
    assert_string_equal(log, "......."); /* nothing inside the call */
    while (strchr(log, 'd') == NULL) {
        (void)alk_loop_run_once(loop, -1); /* would not return if it slept */
    }
    assert_memory_equal(log, "ac|d", 4);
    alk_loop_turn_remove(loop, &turn);
    alk_loop_soon(loop, &c[0].soon);
    alk_loop_free(loop);
    alk_loop_soon_cancel(&c[0].soon); /* dropped, and out of the list */
}

static void a_stop_before_the_run_ends_it_at_once(void **ctx)
{
    (void)ctx;
    struct alk_loop *loop = make_loop();
    alk_loop_stop(loop);
    alk_loop_run(loop);
    alk_loop_stop(loop);
    assert_false(alk_loop_run_once(loop, -1));
    assert_true(alk_loop_run_once(loop, 0));
    alk_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_in_order_and_never_inside_the_call),
        cmocka_unit_test(posts_that_wait_when_the_loop_is_freed_are_cancelled),
        cmocka_unit_test(the_queue_of_posts_is_bounded),
        cmocka_unit_test(every_post_of_several_threads_arrives),
        cmocka_unit_test(a_post_of_its_owners_waits_once_and_after_what_came_before),
        cmocka_unit_test(a_post_made_by_a_post_comes_next_time_and_wakes_the_loop),
        cmocka_unit_test(a_post_of_its_owners_finds_room_where_the_queue_has_none),
        cmocka_unit_test(timers_fire_at_or_after_their_time_and_may_set_timers),
        cmocka_unit_test(a_timer_set_to_never_is_stopped),
        cmocka_unit_test(an_earlier_timer_overtakes_what_the_alarm_is_set_to),
        cmocka_unit_test(a_watch_tells_what_was_asked_for_and_is_level_triggered),
        cmocka_unit_test(a_hangup_shows_as_readable_and_a_watch_may_go_in_its_callback),
        cmocka_unit_test(a_hook_that_has_more_keeps_the_loop_from_sleeping),
        cmocka_unit_test(a_foreign_poll_on_the_loops_descriptor_sees_posts_timers_and_files),
        cmocka_unit_test(what_is_asked_for_soon_runs_in_order_before_the_hooks_and_the_sleep),
        cmocka_unit_test(a_stop_before_the_run_ends_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
