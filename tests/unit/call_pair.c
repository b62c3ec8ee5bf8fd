/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two cores talk to each other in random order; the model of support/call_pair.h says
 * what must come of it. ALK_SEED replays one run. */
#include "support/call_pair.h"

#include "base/rand.h"
#include "support/check.h"

enum { RUNS = 200, STEPS = 4000 };

static unsigned choose(void *ctx, unsigned n)
{
    return (unsigned)(alk_prng_next(ctx) % n);
}

static uint64_t run(uint64_t seed)
{
    struct alk_prng g;
    struct pair *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    alk_prng_init(&g, seed);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    (void)fflush(stdout); /* a failed check traps */
    pair_init(p, choose, &g);
    for (int i = 0; i < STEPS; i++) {
        pair_step(p);
    }
    pair_settle(p);
    uint64_t ended = p->side[0].ended + p->side[1].ended;
    pair_fini(p);
    free(p);
    return ended;
}

static void every_request_has_one_end_whatever_the_order(void **state)
{
    const char *seed = getenv("ALK_SEED");
    uint64_t ended = 0;
    (void)state;
    if (seed != NULL) {
        (void)run(strtoull(seed, NULL, 10));
        return;
    }
    for (uint64_t i = 1; i <= RUNS; i++) {
        ended += run(i);
    }
    assert_true(ended > (uint64_t)RUNS * 100); /* they did talk */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_has_one_end_whatever_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
