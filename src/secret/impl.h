/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/impl.h - what the parts of the library share: memory, hashes, hygiene.
 *
 * Secrets on the stack are wiped by whoever declared them; what the libraries
 * beneath leave on it is overwritten by alksec_scrub_stack, which every public
 * function calls last that let one of them see a secret.
 */
#ifndef ALKSEC_IMPL_H
#define ALKSEC_IMPL_H

#include "alknet-secret/secret.h"

#define ALKSEC_HASH 64 /* bytes of SHA-512 */

void *alksec_alloc(const struct alksec_mem *mem, size_t n);
void *alksec_resize(const struct alksec_mem *mem, void *p, size_t n);
void alksec_free(const struct alksec_mem *mem, void *p);
/* Zeroed, locked and left out of core dumps where the system allows. */
void *alksec_alloc_locked(const struct alksec_mem *mem, size_t n);
/* Wipes the n bytes first. NULL is allowed. */
void alksec_free_locked(const struct alksec_mem *mem, void *p, size_t n);

void alksec_random_fill(const struct alksec_random *random, uint8_t *p, size_t n);
/* libsodium's own set-up; ALKSEC_E_CRYPTO. Safe to call at any time. */
ALKSEC_NODISCARD alksec_err alksec_ready(void);

/* Overwrites what lies below the caller's frame. */
void alksec_scrub_stack(void);

struct alksec_bytes {
    const uint8_t *p;
    size_t n;
};
/* HMAC-SHA-512 over up to three pieces. */
void alksec_hmac(struct alksec_bytes key, const struct alksec_bytes *pieces, size_t count,
                 uint8_t ret[ALKSEC_HASH]);
/* PBKDF2 with HMAC-SHA-512, one block of 64 bytes [RFC 8018 §5.2]. */
void alksec_pbkdf2(struct alksec_bytes password, const struct alksec_bytes *salt, size_t count,
                   unsigned rounds, uint8_t ret[ALKSEC_HASH]);

#endif
