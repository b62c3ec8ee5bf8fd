/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The pairing heap of timers, against a plain sorted scan. */
#include "core/io/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT 500

static uint64_t state = 42;
static uint64_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

static alk_time earliest(const struct alk_timer *t, size_t n)
{
    alk_time min = ALK_NEVER;
    for (size_t i = 0; i < n; i++) {
        if (t[i].at != 0 && t[i].at < min) {
            min = t[i].at;
        }
    }
    return min;
}

static void random_sets_and_removes_keep_the_earliest_on_top(void **ctx)
{
    (void)ctx;
    static struct alk_timer timers[COUNT];
    struct alk_timers heap = {0};
    for (int i = 0; i < 20000; i++) {
        struct alk_timer *t = &timers[next_random() % COUNT];
        if (next_random() % 3 == 0) {
            alk_timers_remove(&heap, t);
            assert_int_equal(t->at, 0);
        } else {
            alk_timers_set(&heap, t, 1 + next_random() % 1000);
        }
        alk_time want = earliest(timers, COUNT);
        assert_true((heap.root == NULL ? ALK_NEVER : heap.root->at) == want);
    }
}

static void removing_the_top_gives_all_in_order(void **ctx)
{
    (void)ctx;
    static struct alk_timer timers[COUNT];
    struct alk_timers heap = {0};
    for (size_t i = 0; i < COUNT; i++) {
        alk_timers_set(&heap, &timers[i], 1 + next_random() % 100000);
    }
    alk_time last = 0;
    size_t n = 0;
    while (heap.root != NULL) {
        assert_true(heap.root->at >= last);
        last = heap.root->at;
        alk_timers_remove(&heap, heap.root);
        n++;
    }
    assert_int_equal(n, COUNT);
}

static void removing_a_timer_that_does_not_run_is_harmless(void **ctx)
{
    (void)ctx;
    struct alk_timer t = {0};
    struct alk_timers heap = {0};
    alk_timers_remove(&heap, &t);
    alk_timers_set(&heap, &t, 5);
    alk_timers_remove(&heap, &t);
    alk_timers_remove(&heap, &t);
    assert_null(heap.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sets_and_removes_keep_the_earliest_on_top),
        cmocka_unit_test(removing_the_top_gives_all_in_order),
        cmocka_unit_test(removing_a_timer_that_does_not_run_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
