/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/rand.h - randomness is passed in: a core draws none by itself.
 *
 * The source is the system's in a node (core/io/rand.h) and a seeded generator
 * in tests and the simulation, so that every run can be replayed.
 */
#ifndef ALK_BASE_RAND_H
#define ALK_BASE_RAND_H

#include "alknet/types.h"

struct alk_rand {
    void (*fill)(void *ctx, uint8_t *p, size_t n); /* never fails */
    void *ctx;
};

static inline void alk_rand_fill(const struct alk_rand *r, void *p, size_t n)
{
    r->fill(r->ctx, (uint8_t *)p, n);
}
/* Uniform in [0, bound); bound > 0. */
uint64_t alk_rand_below(const struct alk_rand *r, uint64_t bound);

/* xoshiro256**, for tests and jitter only: not for keys. */
struct alk_prng {
    uint64_t s[4];
};
void alk_prng_init(struct alk_prng *g, uint64_t seed);
uint64_t alk_prng_next(struct alk_prng *g);
/* A source over *g, which must outlive it. */
struct alk_rand alk_prng_rand(struct alk_prng *g);

#endif
