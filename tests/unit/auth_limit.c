/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/limit.h"

#include "support/oom.h"

#include <pthread.h>

static struct alk_prng g_seed;

static struct alk_auth_limit *make(const struct alk_auth_limit_options *options)
{
    struct alk_auth_limit *limit = NULL;
    alk_prng_init(&g_seed, 11);
    struct alk_rand rand = alk_prng_rand(&g_seed);
    check_err(alk_auth_limit_new(NULL, &rand, options, &limit), ALK_OK);
    return limit;
}

static bool miss(struct alk_auth_limit *limit, const char *remote, alk_time now)
{
    struct alk_limit_key key = alk_limit_key_from_text(remote);
    return alk_auth_limit_fail(limit, &key, now);
}

static bool is_over(struct alk_auth_limit *limit, const char *remote, alk_time now)
{
    struct alk_limit_key key = alk_limit_key_from_text(remote);
    return alk_auth_limit_is_over(limit, &key, now);
}

static size_t entries(struct alk_auth_limit *limit, uint64_t *ret_evicted)
{
    size_t n = 0;
    alk_auth_limit_stats(limit, &n, ret_evicted);
    return n;
}

static void addresses_that_count_as_one(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_same;
    } cases[] = {
        {"192.0.2.1:1", "192.0.2.1:65535", true},
        {"192.0.2.1:1", "192.0.2.2:1", false},
        {"[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:2", true},
        {"[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
        {"[::ffff:192.0.2.1]:1", "192.0.2.1:1", true},
        {"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
        {"0.0.0.0:1", "[::]:1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_limit_key a = alk_limit_key_from_text(cases[i].a);
        struct alk_limit_key b = alk_limit_key_from_text(cases[i].b);
        print_message("%s and %s\n", cases[i].a, cases[i].b);
        assert_int_not_equal(a.n, 0);
        assert_int_not_equal(b.n, 0);
        assert_int_equal(a.n == b.n && memcmp(a.b, b.b, a.n) == 0, cases[i].is_same);
    }
}

static void what_is_no_address_never_counts(void **state)
{
    static const char *const cases[] = {"memory",        "",    "admin", "192.0.2.1",
                                        "example.org:1", "[]:1"};
    (void)state;
    struct alk_auth_limit *limit = make(NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int k = 0; k < 20; k++) {
            assert_false(miss(limit, cases[i], 1));
        }
        assert_false(is_over(limit, cases[i], 1));
    }
    struct alk_addr none = {.family = 0};
    assert_int_equal(alk_limit_key(&none).n, 0);
    uint64_t evicted = 0;
    assert_int_equal(entries(limit, &evicted), 0);
    alk_auth_limit_free(limit);
}

static void the_sixth_failure_refuses_until_the_window_ends(void **state)
{
    (void)state;
    const char *a = "192.0.2.1:1000", *b = "192.0.2.2:1000";
    const alk_time start = 5 * ALK_SECOND, end = start + 600 * ALK_SECOND;
    struct alk_auth_limit *limit = make(NULL);
    struct alk_limit_key key = alk_limit_key_from_text(a);
    for (alk_time i = 0; i < 5; i++) {
        assert_false(is_over(limit, a, start + i));
        assert_false(miss(limit, a, start + i));
    }
    assert_int_equal(alk_auth_limit_until(limit, &key, start + 5), 0);
    assert_true(miss(limit, a, start + 5));
    assert_true(is_over(limit, a, start + 6));
    assert_true(is_over(limit, "192.0.2.1:9", end - 1));
    assert_int_equal(alk_auth_limit_until(limit, &key, start + 6), end);
    /* A failure while refused neither helps nor prolongs. */
    assert_true(miss(limit, a, end - 1));
    assert_false(is_over(limit, a, end));
    assert_false(is_over(limit, b, start + 6));
    /* And then it begins anew. */
    for (alk_time i = 0; i < 5; i++) {
        assert_false(miss(limit, a, end + i));
    }
    assert_true(miss(limit, a, end + 5));
    alk_auth_limit_free(limit);
}

static void failures_of_different_windows_do_not_add_up(void **state)
{
    (void)state;
    struct alk_auth_limit *limit = make(&(struct alk_auth_limit_options){.max = 2, .window = 10});
    for (alk_time t = 0; t < 1000; t += 10) {
        assert_false(miss(limit, "192.0.2.1:1", t));
    }
    assert_true(miss(limit, "192.0.2.1:1", 999));
    alk_auth_limit_free(limit);
}

static void a_reload_changes_the_limit_at_once(void **state)
{
    (void)state;
    struct alk_auth_limit *limit = make(&(struct alk_auth_limit_options){.max = 10, .window = 100});
    for (int i = 0; i < 3; i++) {
        assert_false(miss(limit, "192.0.2.1:1", 0));
    }
    alk_auth_limit_set(limit, 3, 100);
    assert_true(is_over(limit, "192.0.2.1:1", 50));
    alk_auth_limit_set(limit, 3, 20);
    assert_false(is_over(limit, "192.0.2.1:1", 50));
    alk_auth_limit_set(limit, 0, 0); /* the defaults: 6 in 10 minutes */
    for (int i = 0; i < 5; i++) {
        assert_false(miss(limit, "192.0.2.9:1", 60));
    }
    assert_true(miss(limit, "192.0.2.9:1", 60 + 599 * ALK_SECOND));
    alk_auth_limit_free(limit);
}

static void a_window_that_never_ends_does_not_wrap(void **state)
{
    (void)state;
    struct alk_auth_limit *limit =
        make(&(struct alk_auth_limit_options){.max = 1, .window = ALK_NEVER});
    assert_true(miss(limit, "192.0.2.1:1", 1000));
    assert_true(is_over(limit, "192.0.2.1:1", ALK_NEVER - 1));
    alk_auth_limit_free(limit);
}

static void text_of(unsigned i, char ret[32])
{
    (void)snprintf(ret, 32, "10.%u.%u.%u:1", i >> 16 & 255, i >> 8 & 255, i & 255);
}

static void a_full_table_forgets_the_oldest(void **state)
{
    (void)state;
    enum { N = 64 };
    struct alk_auth_limit *limit =
        make(&(struct alk_auth_limit_options){.max = 1, .window = 1000, .entries = N});
    char text[32];
    uint64_t evicted = 0;
    for (unsigned i = 0; i < N; i++) {
        text_of(i, text);
        assert_true(miss(limit, text, i));
    }
    assert_int_equal(entries(limit, &evicted), N);
    assert_int_equal(evicted, 0);
    assert_true(miss(limit, "192.0.2.1:1", N));
    assert_int_equal(entries(limit, &evicted), N);
    assert_int_equal(evicted, 1);
    text_of(0, text);
    assert_false(is_over(limit, text, N));
    text_of(1, text);
    assert_true(is_over(limit, text, N));
    assert_true(is_over(limit, "192.0.2.1:1", N));
    alk_auth_limit_free(limit);
}

static void windows_that_are_over_make_room_without_being_counted(void **state)
{
    (void)state;
    enum { N = 8 };
    struct alk_auth_limit *limit =
        make(&(struct alk_auth_limit_options){.max = 1, .window = 10, .entries = N});
    char text[32];
    uint64_t evicted = 0;
    for (unsigned i = 0; i < 1000; i++) {
        text_of(i, text);
        assert_true(miss(limit, text, (alk_time)i * 10));
    }
    assert_true(entries(limit, &evicted) <= N);
    assert_int_equal(evicted, 0);
    alk_auth_limit_free(limit);
}

static void a_connection_has_a_count_of_its_own(void **state)
{
    (void)state;
    struct alk_auth_limit *limit = make(&(struct alk_auth_limit_options){.max = 100, .window = 10});
    struct alk_auth_meter meter = {
        .limit = limit, .key = alk_limit_key_from_text("192.0.2.1:1"), .max = 3};
    assert_false(alk_auth_meter_is_over(&meter, 0));
    assert_false(alk_auth_meter_fail(&meter, 0));
    assert_false(alk_auth_meter_fail(&meter, 1));
    assert_true(alk_auth_meter_fail(&meter, 2));
    assert_true(alk_auth_meter_is_over(&meter, ALK_NEVER));

    /* Many connections of one address: the address is what counts. */
    bool was_over = false;
    for (int i = 0; i < 97; i++) {
        assert_false(was_over);
        struct alk_auth_meter next = {
            .limit = limit, .key = alk_limit_key_from_text("192.0.2.1:1"), .max = 3};
        was_over = alk_auth_meter_fail(&next, 3);
    }
    assert_true(was_over);
    struct alk_auth_meter fresh = {.limit = limit, .key = meter.key, .max = 3};
    assert_true(alk_auth_meter_is_over(&fresh, 4));
    assert_false(alk_auth_meter_is_over(&fresh, 10));

    /* Without a shared table, and with the default. */
    struct alk_auth_meter alone = {.max = 0};
    for (int i = 0; i < 5; i++) {
        assert_false(alk_auth_meter_fail(&alone, 0));
    }
    assert_true(alk_auth_meter_fail(&alone, 0));
    alk_auth_limit_free(limit);
}

enum { THREADS = 4, ROUNDS = 20000 };

struct work {
    struct alk_auth_limit *limit;
    unsigned id;
    unsigned was_over;
};

static void *work(void *arg)
{
    struct work *w = arg;
    struct alk_limit_key shared = alk_limit_key_from_text("192.0.2.1:1");
    for (unsigned i = 0; i < ROUNDS; i++) {
        char text[32];
        text_of(w->id << 16 | (i & 0x3ff), text);
        struct alk_limit_key own = alk_limit_key_from_text(text);
        (void)alk_auth_limit_fail(w->limit, &own, i);
        w->was_over += alk_auth_limit_is_over(w->limit, &shared, 0) ? 1 : 0;
        (void)alk_auth_limit_fail(w->limit, &shared, 0);
    }
    return NULL;
}

static void four_loops_share_one_table(void **state)
{
    (void)state;
    struct alk_auth_limit *limit = make(&(struct alk_auth_limit_options){
        .max = ROUNDS, .window = 1000 * ALK_SECOND, .entries = 8192});
    struct work works[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        works[i] = (struct work){.limit = limit, .id = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &works[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    uint64_t evicted = 0;
    assert_int_equal(entries(limit, &evicted), THREADS * 1024 + 1);
    assert_int_equal(evicted, 0);
    assert_true(is_over(limit, "192.0.2.1:1", 1));
    unsigned was_over = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        was_over += works[i].was_over;
    }
    /* Each look comes before a failure. 20 000 looks come before the 20 000th
     * failure, and at most one more per thread may be on its way then. */
    assert_in_range(was_over, (THREADS - 1) * ROUNDS - THREADS, (THREADS - 1) * ROUNDS);
    alk_auth_limit_free(limit);
}

static alk_err body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_auth_limit *limit = NULL;
    struct alk_rand rand = alk_prng_rand(&g_seed);
    ALK_TRY(
        alk_auth_limit_new(mem, &rand, &(struct alk_auth_limit_options){.entries = 100}, &limit));
    alk_auth_limit_free(limit);
    return ALK_OK;
}

static void without_memory(void **state)
{
    (void)state;
    oom_sweep(body, NULL);
    alk_auth_limit_free(NULL);
    struct alk_limit_key key = alk_limit_key_from_text("192.0.2.1:1");
    assert_false(alk_auth_limit_fail(NULL, &key, 0));
    assert_false(alk_auth_limit_is_over(NULL, &key, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_count_as_one),
        cmocka_unit_test(what_is_no_address_never_counts),
        cmocka_unit_test(the_sixth_failure_refuses_until_the_window_ends),
        cmocka_unit_test(failures_of_different_windows_do_not_add_up),
        cmocka_unit_test(a_reload_changes_the_limit_at_once),
        cmocka_unit_test(a_window_that_never_ends_does_not_wrap),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
        cmocka_unit_test(windows_that_are_over_make_room_without_being_counted),
        cmocka_unit_test(a_connection_has_a_count_of_its_own),
        cmocka_unit_test(four_loops_share_one_table),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
