/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocking work on threads of its own: once, on the right thread, bounded. */
#include "core/io/work.h"

#include "core/io/loop.h"
#include "support/oom.h"

#include <pthread.h>
#include <stdatomic.h>

struct job {
    struct alk_loop *loop;
    pthread_t loop_thread;
    atomic_uint ran; /* seen by two threads */
    unsigned done;
    bool ran_elsewhere, done_here, in_turn;
};

static void run(void *arg)
{
    struct job *j = (struct job *)arg;
    j->ran_elsewhere = pthread_equal(pthread_self(), j->loop_thread) == 0;
    (void)atomic_fetch_add(&j->ran, 1);
}

static void done(void *arg)
{
    struct job *j = (struct job *)arg;
    j->done_here = pthread_equal(pthread_self(), j->loop_thread) != 0;
    j->in_turn = alk_loop_in_turn(j->loop);
    j->done++;
}

static void begin(struct job *j, struct alk_loop *loop)
{
    *j = (struct job){.loop = loop, .loop_thread = pthread_self()};
}

static void work_runs_on_another_thread_and_ends_on_the_loop(void **state)
{
    struct alk_loop *loop;
    struct job j;
    (void)state;
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    begin(&j, loop);
    check_err(alk_work(loop, run, done, &j), ALK_OK);
    assert_int_equal(j.done, 0); /* never inside the call */
    assert_int_equal(alk_work_count(), 1);
    while (j.done == 0) {
        (void)alk_loop_run_once(loop, 1000);
    }
    assert_int_equal(atomic_load(&j.ran), 1);
    assert_true(j.ran_elsewhere);
    assert_true(j.done_here);
    assert_true(j.in_turn);
    assert_int_equal(alk_work_count(), 0);
    alk_loop_free(loop);
    assert_int_equal(j.done, 1);
}

/* What holds every thread of the pool. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
    unsigned ran, done; /* ran: under the lock */
};

static void pass(void *arg)
{
    struct gate *g = (struct gate *)arg;
    (void)pthread_mutex_lock(&g->lock);
    while (!g->is_open) {
        (void)pthread_cond_wait(&g->opened, &g->lock);
    }
    g->ran++;
    (void)pthread_mutex_unlock(&g->lock);
}

static void passed(void *arg)
{
    ((struct gate *)arg)->done++;
}

static void open_gate(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->is_open = true;
    (void)pthread_cond_broadcast(&g->opened);
    (void)pthread_mutex_unlock(&g->lock);
}

static void one_more_than_the_limit_is_full_and_all_the_others_end(void **state)
{
    struct gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct alk_loop *loop;
    (void)state;
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    for (unsigned i = 0; i < ALK_WORK_MAX; i++) {
        check_err(alk_work(loop, pass, passed, &g), ALK_OK);
    }
    check_err(alk_work(loop, pass, passed, &g), ALK_FULL);
    check_err(alk_work(loop, pass, passed, &g), ALK_FULL);
    assert_int_equal(alk_work_count(), ALK_WORK_MAX);
    open_gate(&g);
    while (g.done < ALK_WORK_MAX) {
        (void)alk_loop_run_once(loop, 1000);
    }
    assert_int_equal(g.ran, ALK_WORK_MAX);
    check_err(alk_work(loop, pass, passed, &g), ALK_OK); /* there is room again */
    alk_loop_free(loop);
    assert_int_equal(g.done, ALK_WORK_MAX + 1);
}

static void *open_later(void *arg)
{
    open_gate((struct gate *)arg);
    return NULL;
}

/* More than there are threads: what had not begun is done all the same. */
static void freeing_the_loop_waits_for_what_is_under_way(void **state)
{
    struct gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct alk_loop *loop;
    pthread_t opener;
    (void)state;
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    for (unsigned i = 0; i < 100; i++) {
        check_err(alk_work(loop, pass, passed, &g), ALK_OK);
    }
    assert_int_equal(pthread_create(&opener, NULL, open_later, &g), 0);
    alk_loop_free(loop);
    assert_int_equal(g.ran, 100);
    assert_int_equal(g.done, 100);
    assert_int_equal(alk_work_count(), 0);
    assert_int_equal(pthread_join(opener, NULL), 0);
}

/* Work that asks for more when it ends. */
struct chain {
    struct alk_loop *loop;
    unsigned left, ended;
    unsigned steps; /* the threads' */
};

static void step(void *arg)
{
    ((struct chain *)arg)->steps++; /* one at a time: the hand-over orders it */
}

static void step_done(void *arg)
{
    struct chain *c = (struct chain *)arg;
    c->ended++;
    if (c->left > 0) {
        c->left--;
        check_err(alk_work(c->loop, step, step_done, c), ALK_OK);
    }
}

static void the_end_of_work_may_ask_for_more(void **state)
{
    struct chain c = {.left = 200};
    (void)state;
    check_err(alk_loop_new(NULL, &c.loop), ALK_OK);
    check_err(alk_work(c.loop, step, step_done, &c), ALK_OK);
    while (c.ended < 201) {
        (void)alk_loop_run_once(c.loop, 1000);
    }
    assert_int_equal(c.steps, 201);
    alk_loop_free(c.loop);
    assert_int_equal(alk_work_count(), 0);
}

static void *two_loops(void *arg)
{
    struct chain c = {.left = 500};
    (void)arg;
    check_err(alk_loop_new(NULL, &c.loop), ALK_OK);
    check_err(alk_work(c.loop, step, step_done, &c), ALK_OK);
    while (c.left > 0) {
        (void)alk_loop_run_once(c.loop, 1000);
    }
    alk_loop_free(c.loop);
    return NULL;
}

static void loops_share_the_threads_without_meeting(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, two_loops, NULL), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(alk_work_count(), 0);
}

static alk_err start_once(const struct alk_mem *mem, void *ctx)
{
    struct alk_loop *loop = NULL;
    struct job j;
    (void)ctx;
    ALK_TRY(alk_loop_new(mem, &loop));
    begin(&j, loop);
    alk_err err = alk_work(loop, run, done, &j);
    alk_loop_free(loop);
    assert_int_equal(j.done, err == ALK_OK ? 1 : 0);
    assert_int_equal(atomic_load(&j.ran), err == ALK_OK ? 1 : 0);
    assert_int_equal(alk_work_count(), 0);
    return err;
}

static void without_memory_nothing_runs_and_nothing_leaks(void **state)
{
    (void)state;
    oom_sweep(start_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_on_another_thread_and_ends_on_the_loop),
        cmocka_unit_test(one_more_than_the_limit_is_full_and_all_the_others_end),
        cmocka_unit_test(freeing_the_loop_waits_for_what_is_under_way),
        cmocka_unit_test(the_end_of_work_may_ask_for_more),
        cmocka_unit_test(loops_share_the_threads_without_meeting),
        cmocka_unit_test(without_memory_nothing_runs_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
