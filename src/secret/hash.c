/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HMAC-SHA-512 and PBKDF2 over it, with every intermediate state wiped. */
#include "impl.h"

#include <sodium.h>

static void start(crypto_auth_hmacsha512_state *st, const struct alksec_bytes *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)crypto_auth_hmacsha512_update(st, pieces[i].p, pieces[i].n);
    }
}

void alksec_hmac(struct alksec_bytes key, const struct alksec_bytes *pieces, size_t count,
                 uint8_t ret[ALKSEC_HASH])
{
    crypto_auth_hmacsha512_state st;

    (void)crypto_auth_hmacsha512_init(&st, key.p, key.n);
    start(&st, pieces, count);
    (void)crypto_auth_hmacsha512_final(&st, ret);
    sodium_memzero(&st, sizeof st);
}

void alksec_pbkdf2(struct alksec_bytes password, const struct alksec_bytes *salt, size_t count,
                   unsigned rounds, uint8_t ret[ALKSEC_HASH])
{
    static const uint8_t block_1[4] = {0, 0, 0, 1};
    crypto_auth_hmacsha512_state keyed, st;
    uint8_t u[ALKSEC_HASH];

    (void)crypto_auth_hmacsha512_init(&keyed, password.p, password.n);
    st = keyed;
    start(&st, salt, count);
    (void)crypto_auth_hmacsha512_update(&st, block_1, sizeof block_1);
    (void)crypto_auth_hmacsha512_final(&st, u);
    for (size_t i = 0; i < sizeof u; i++) {
        ret[i] = u[i];
    }
    for (unsigned round = 1; round < rounds; round++) {
        st = keyed;
        (void)crypto_auth_hmacsha512_update(&st, u, sizeof u);
        (void)crypto_auth_hmacsha512_final(&st, u);
        for (size_t i = 0; i < sizeof u; i++) {
            ret[i] ^= u[i];
        }
    }
    sodium_memzero(&keyed, sizeof keyed);
    sodium_memzero(&st, sizeof st);
    sodium_memzero(u, sizeof u);
}
