/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of core/io/work.h. Threads are held with a gate, not with time. */
#include "core/io/work.h"

#include "core/io/loop.h"
#include "support/oom.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
};

static void gate_wait(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    while (!g->is_open) {
        (void)pthread_cond_wait(&g->opened, &g->lock);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->is_open = true;
    (void)pthread_cond_broadcast(&g->opened);
    (void)pthread_mutex_unlock(&g->lock);
}

struct task {
    struct gate *gate; /* NULL: does not wait */
    struct alk_loop *loop, *again;
    pthread_t ran_on, done_on;
    unsigned runs, dones; /* no atomics: the promise orders them */
    atomic_uint *started;
};

static void run(void *arg)
{
    struct task *t = arg;
    if (t->started != NULL) {
        (void)atomic_fetch_add(t->started, 1);
    }
    if (t->gate != NULL) {
        gate_wait(t->gate);
    }
    t->ran_on = pthread_self();
    t->runs++;
}

static void done(void *arg)
{
    struct task *t = arg;
    assert_int_equal(t->runs, t->dones + 1);
    t->done_on = pthread_self();
    t->dones++;
    if (t->again != NULL) {
        struct alk_loop *loop = t->again;
        t->again = NULL;
        check_err(alk_work(loop, run, done, t), ALK_OK);
    }
}

static void until_idle(struct alk_loop *loop)
{
    alk_time end = alk_clock_now() + 10 * ALK_SECOND;
    while (alk_work_count() > 0) {
        assert_true(alk_clock_now() < end);
        (void)alk_loop_run_once(loop, 100);
    }
}

static void it_runs_elsewhere_and_is_done_on_the_loop(void **state)
{
    struct alk_loop *loop = NULL;
    struct task t = {.runs = 0};
    (void)state;
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    t.again = loop; /* and once more from inside done */
    check_err(alk_work(loop, run, done, &t), ALK_OK);
    assert_int_equal(t.dones, 0);
    until_idle(loop);
    assert_int_equal(t.runs, 2);
    assert_int_equal(t.dones, 2);
    assert_false(pthread_equal(t.ran_on, pthread_self()));
    assert_true(pthread_equal(t.done_on, pthread_self()));
    alk_loop_free(loop);
}

static void a_loop_that_waits_for_work_still_turns(void **state)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct alk_loop *loop = NULL;
    struct task t = {.gate = &gate};
    (void)state;
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    check_err(alk_work(loop, run, done, &t), ALK_OK);
    for (int i = 0; i < 3; i++) {
        (void)alk_loop_run_once(loop, 0);
    }
    assert_int_equal(t.dones, 0);
    gate_open(&gate);
    until_idle(loop);
    assert_int_equal(t.dones, 1);
    alk_loop_free(loop);
}

static void one_more_than_the_limit_is_full_and_then_there_is_room_again(void **state)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct alk_loop *loop = NULL;
    static struct task t[ALK_WORK_MAX + 1];
    (void)state;
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    for (size_t i = 0; i < ALK_WORK_MAX; i++) {
        t[i] = (struct task){.gate = &gate};
        check_err(alk_work(loop, run, done, &t[i]), ALK_OK);
    }
    check_err(alk_work(loop, run, done, &t[ALK_WORK_MAX]), ALK_FULL);
    assert_int_equal(alk_work_count(), ALK_WORK_MAX);
    gate_open(&gate);
    until_idle(loop);
    for (size_t i = 0; i < ALK_WORK_MAX; i++) {
        assert_int_equal(t[i].dones, 1);
    }
    assert_int_equal(t[ALK_WORK_MAX].runs, 0);
    check_err(alk_work(loop, run, done, &t[ALK_WORK_MAX]), ALK_OK);
    until_idle(loop);
    assert_int_equal(t[ALK_WORK_MAX].dones, 1);
    alk_loop_free(loop);
}

static void *open_later(void *arg)
{
    struct task *t = arg;
    while (atomic_load(t[0].started) == 0) {
        (void)sched_yield();
    }
    gate_open(t[0].gate);
    return NULL;
}

/* What has begun and what only waits: both are done before the loop is gone. */
static void a_loop_that_is_freed_waits_and_everything_is_done_once(void **state)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    atomic_uint started = 0;
    struct alk_loop *loop = NULL;
    static struct task t[64];
    pthread_t other;
    (void)state;
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    for (size_t i = 0; i < 64; i++) {
        t[i] = (struct task){.gate = &gate, .started = &started};
        check_err(alk_work(loop, run, done, &t[i]), ALK_OK);
    }
    assert_int_equal(pthread_create(&other, NULL, open_later, t), 0);
    alk_loop_free(loop);
    assert_int_equal(pthread_join(other, NULL), 0);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(t[i].dones, 1);
        assert_true(pthread_equal(t[i].done_on, pthread_self()));
    }
    assert_int_equal(alk_work_count(), 0);
}

struct side {
    struct alk_loop *loop;
    struct task tasks[200];
    bool is_full;
};

static bool is_done(const struct side *s)
{
    for (size_t k = 0; k < 200; k++) {
        if (s->tasks[k].dones == 0) {
            return false;
        }
    }
    return true;
}

static void *one_loop(void *arg)
{
    struct side *s = arg;
    for (size_t i = 0; i < 200; i++) {
        s->is_full = alk_work(s->loop, run, done, &s->tasks[i]) != ALK_OK || s->is_full;
        (void)alk_loop_run_once(s->loop, 0);
    }
    while (!s->is_full && !is_done(s)) {
        (void)alk_loop_run_once(s->loop, 100);
    }
    return NULL;
}

/* The loops are made and freed here: libuv closes descriptors behind the back of
 * ThreadSanitizer, which then takes a number that is used again for a race. */
static void several_loops_share_the_threads_and_hear_of_their_own(void **state)
{
    static struct side sides[4];
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        check_err(alk_loop_new(NULL, &sides[i].loop), ALK_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, one_loop, &sides[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(sides[i].is_full);
        for (size_t k = 0; k < 200; k++) {
            assert_int_equal(sides[i].tasks[k].dones, 1);
            assert_true(pthread_equal(sides[i].tasks[k].done_on, threads[i]));
        }
        alk_loop_free(sides[i].loop);
    }
}

static alk_err one_task(const struct alk_mem *mem, void *ctx)
{
    struct alk_loop *loop = NULL;
    struct task t = {.runs = 0};
    (void)ctx;
    ALK_TRY(alk_loop_new(mem, &loop));
    alk_err err = alk_work(loop, run, done, &t);
    alk_loop_free(loop);
    assert_int_equal(t.dones, err == ALK_OK ? 1 : 0);
    assert_int_equal(alk_work_count(), 0);
    return err;
}

static void memory_that_runs_out_starts_nothing(void **state)
{
    (void)state;
    oom_sweep(one_task, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_elsewhere_and_is_done_on_the_loop),
        cmocka_unit_test(a_loop_that_waits_for_work_still_turns),
        cmocka_unit_test(one_more_than_the_limit_is_full_and_then_there_is_room_again),
        cmocka_unit_test(a_loop_that_is_freed_waits_and_everything_is_done_once),
        cmocka_unit_test(several_loops_share_the_threads_and_hear_of_their_own),
        cmocka_unit_test(memory_that_runs_out_starts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
