/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/rand.h"

#include "base/assert.h"

#include <string.h>

uint64_t alk_rand_below(const struct alk_rand *r, uint64_t bound)
{
    ALK_ASSERT(bound > 0);
    /* 2^64 mod bound: draws below it would favour small results. */
    uint64_t skip = (0 - bound) % bound;
    uint64_t v = 0;
    do {
        alk_rand_fill(r, &v, sizeof(v));
    } while (v < skip);
    return v % bound;
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void alk_prng_init(struct alk_prng *g, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        g->s[i] = splitmix(&seed);
    }
}

static uint64_t rotl(uint64_t v, unsigned n)
{
    return (v << n) | (v >> (64 - n));
}

uint64_t alk_prng_next(struct alk_prng *g)
{
    uint64_t *s = g->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

static void prng_fill(void *ctx, uint8_t *p, size_t n)
{
    struct alk_prng *g = ctx;
    while (n > 0) {
        uint64_t v = alk_prng_next(g);
        size_t k = n < sizeof(v) ? n : sizeof(v);
        memcpy(p, &v, k);
        p += k;
        n -= k;
    }
}

struct alk_rand alk_prng_rand(struct alk_prng *g)
{
    return (struct alk_rand){.fill = prng_fill, .ctx = g};
}
