/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/replay.h"

#include "support/oom.h"

#include <pthread.h>
#include <stdatomic.h>

static const uint8_t seed[16] = {1, 2, 3};

struct key {
    uint8_t p[ALK_REPLAY_PREFIX + 32];
};

static struct key key_of(uint32_t n, uint8_t start_time)
{
    struct key k;
    memset(k.p, start_time, ALK_REPLAY_PREFIX);
    memset(k.p + ALK_REPLAY_PREFIX, 0x77, 32);
    memcpy(k.p + ALK_REPLAY_PREFIX, &n, sizeof n);
    return k;
}

static alk_err add(struct alk_replay_db *db, uint32_t n, uint64_t now)
{
    struct key k = key_of(n, 0);
    return alk_replay_add(db, alk_span(k.p, sizeof k.p), now, now + ALK_REPLAY_WINDOW_S);
}

static struct alk_replay_db *make(size_t entries)
{
    struct alk_replay_db *db = NULL;
    check_err(alk_replay_new(NULL, entries, seed, &db), ALK_OK);
    return db;
}

static void a_flight_counts_once(void **state)
{
    (void)state;
    struct alk_replay_db *db = make(0);
    check_err(add(db, 1, 1000), ALK_OK);
    check_err(add(db, 1, 1000), ALK_E_EXISTS);
    check_err(add(db, 2, 1000), ALK_OK);
    check_err(add(db, 1, 1599), ALK_E_EXISTS);
    alk_replay_free(db);
    alk_replay_free(NULL);
}

static void the_start_time_of_a_loop_makes_no_difference(void **state)
{
    (void)state;
    struct alk_replay_db *db = make(0);
    struct key a = key_of(1, 11);
    struct key b = key_of(1, 22);
    check_err(alk_replay_add(db, alk_span(a.p, sizeof a.p), 1, 601), ALK_OK);
    check_err(alk_replay_add(db, alk_span(b.p, sizeof b.p), 1, 601), ALK_E_EXISTS);
    alk_replay_free(db);
}

static void entries_stay_until_they_expire_and_a_second(void **state)
{
    (void)state;
    struct alk_replay_db *db = make(0);
    check_err(add(db, 1, 1000), ALK_OK);
    check_err(add(db, 2, 1001), ALK_OK);
    check_err(add(db, 1, 1601), ALK_E_EXISTS);
    check_err(add(db, 1, 1602), ALK_OK); /* the first is gone */
    check_err(add(db, 2, 1602), ALK_E_EXISTS);
    assert_int_equal(alk_replay_count(db), 2);
    alk_replay_free(db);
}

static void a_full_table_refuses_until_there_is_room(void **state)
{
    (void)state;
    struct alk_replay_db *db = make(100);
    for (uint32_t i = 0; i < 100; i++) {
        check_err(add(db, i, 1000 + i), ALK_OK);
    }
    check_err(add(db, 1000, 1100), ALK_E_LIMIT);
    check_err(add(db, 5, 1100), ALK_E_EXISTS); /* and forgets nobody */
    assert_int_equal(alk_replay_count(db), 100);
    check_err(add(db, 1000, 1000 + 602), ALK_OK);
    check_err(add(db, 1001, 1000 + 602), ALK_E_LIMIT);
    alk_replay_free(db);
}

static void the_ring_goes_round_many_times(void **state)
{
    (void)state;
    struct alk_replay_db *db = make(64);
    uint64_t now = 1;
    for (uint32_t i = 0; i < 10000; i++, now += 10) { /* 60 live at any time */
        check_err(add(db, i, now), ALK_OK);
        check_err(add(db, i, now), ALK_E_EXISTS);
        if (i >= 50) {
            check_err(add(db, i - 50, now), ALK_E_EXISTS);
        }
    }
    assert_true(alk_replay_count(db) <= 64);
    alk_replay_free(db);
}

static void keys_of_another_length_are_refused(void **state)
{
    (void)state;
    struct alk_replay_db *db = make(0);
    uint8_t k[100] = {0};
    static const size_t bad[] = {0, 11, 12, 43, 61, 100};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_err(alk_replay_add(db, alk_span(k, bad[i]), 1, 2), ALK_E_INVALID);
    }
    check_err(alk_replay_add(db, alk_span(k, 60), 1, 2), ALK_OK); /* SHA-384 */
    check_err(alk_replay_add(db, alk_span(k, 44), 1, 2), ALK_OK);
    check_err(alk_replay_add(db, alk_span(k, 50), 1, UINT64_MAX), ALK_E_INVALID);
    alk_replay_free(db);
}

/* --- threads -------------------------------------------------------------------------- */

enum { THREADS = 4, FLIGHTS = 5000 };

struct shared {
    struct alk_replay_db *db;
    atomic_uint accepted[FLIGHTS];
};

static void *replay_all(void *arg)
{
    struct shared *s = arg;
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        if (add(s->db, i, 1000 + i / 100) == ALK_OK) {
            (void)atomic_fetch_add(&s->accepted[i], 1u);
        }
    }
    return NULL;
}

static void four_loops_accept_each_flight_once(void **state)
{
    (void)state;
    static struct shared s;
    s.db = make(FLIGHTS);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, replay_all, &s), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (size_t i = 0; i < FLIGHTS; i++) {
        assert_int_equal(atomic_load(&s.accepted[i]), 1);
    }
    assert_int_equal(alk_replay_count(s.db), FLIGHTS);
    alk_replay_free(s.db);
}

static alk_err make_one(const struct alk_mem *mem, void *ctx)
{
    struct alk_replay_db *db = NULL;
    (void)ctx;
    ALK_TRY(alk_replay_new(mem, 10, seed, &db));
    check_err(add(db, 1, 1), ALK_OK);
    alk_replay_free(db);
    return ALK_OK;
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    oom_sweep(make_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flight_counts_once),
        cmocka_unit_test(the_start_time_of_a_loop_makes_no_difference),
        cmocka_unit_test(entries_stay_until_they_expire_and_a_second),
        cmocka_unit_test(a_full_table_refuses_until_there_is_room),
        cmocka_unit_test(the_ring_goes_round_many_times),
        cmocka_unit_test(keys_of_another_length_are_refused),
        cmocka_unit_test(four_loops_accept_each_flight_once),
        cmocka_unit_test(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
