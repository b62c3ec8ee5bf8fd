/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/rand.h"

#include "support/check.h"

static void a_seed_gives_the_same_numbers_again(void **state)
{
    (void)state;
    struct alk_prng a;
    struct alk_prng b;
    struct alk_prng c;
    alk_prng_init(&a, 42);
    alk_prng_init(&b, 42);
    alk_prng_init(&c, 43);
    size_t same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = alk_prng_next(&a);
        assert_true(v == alk_prng_next(&b));
        same += v == alk_prng_next(&c);
    }
    assert_int_equal(same, 0);
}

/* xoshiro256** from its authors' reference code, state 1 2 3 4. */
static void the_generator_is_xoshiro256(void **state)
{
    (void)state;
    static const uint64_t want[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240),
                                    UINT64_C(1216172134540287360)};
    struct alk_prng g = {.s = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_true(alk_prng_next(&g) == want[i]);
    }
}

static void fills_of_any_length_stay_within(void **state)
{
    (void)state;
    struct alk_prng g;
    alk_prng_init(&g, 1);
    struct alk_rand r = alk_prng_rand(&g);
    for (size_t n = 0; n < 40; n++) {
        uint8_t bytes[41];
        memset(bytes, 0xee, sizeof(bytes));
        alk_rand_fill(&r, bytes, n);
        assert_int_equal(bytes[n], 0xee);
        assert_int_equal(bytes[40], 0xee);
    }
}

static void draws_below_a_bound_are_even(void **state)
{
    (void)state;
    enum { BOUND = 7, DRAWS = 70000 };
    struct alk_prng g;
    size_t count[BOUND] = {0};
    alk_prng_init(&g, 9);
    struct alk_rand r = alk_prng_rand(&g);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = alk_rand_below(&r, BOUND);
        assert_true(v < BOUND);
        count[v]++;
    }
    for (size_t i = 0; i < BOUND; i++) {
        assert_in_range(count[i], DRAWS / BOUND - 500, DRAWS / BOUND + 500);
    }
    assert_int_equal(alk_rand_below(&r, 1), 0);
}

struct script {
    uint64_t values[3];
    size_t at;
};

static void scripted(void *ctx, uint8_t *p, size_t n)
{
    struct script *s = ctx;
    assert_int_equal(n, 8);
    assert_true(s->at < 3);
    memcpy(p, &s->values[s->at++], n);
}

static void a_draw_that_would_favour_small_numbers_is_repeated(void **state)
{
    (void)state;
    /* 2^64 mod 3 is 1: the value 0 is one too many. */
    struct script s = {.values = {0, 5, 7}};
    struct alk_rand r = {scripted, &s};
    assert_int_equal(alk_rand_below(&r, 3), 2);
    assert_int_equal(s.at, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_numbers_again),
        cmocka_unit_test(the_generator_is_xoshiro256),
        cmocka_unit_test(fills_of_any_length_stay_within),
        cmocka_unit_test(draws_below_a_bound_are_even),
        cmocka_unit_test(a_draw_that_would_favour_small_numbers_is_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
