/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Memory, randomness, wiping. */
#include "impl.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than PBKDF2, Ed25519, libsecp256k1 and GnuTLS go. */
#define SCRUB_BYTES ((size_t)32 * 1024)

void *alksec_alloc(const struct alksec_mem *mem, size_t n)
{
    return mem == NULL ? malloc(n) : mem->alloc(mem->ctx, n);
}

void *alksec_resize(const struct alksec_mem *mem, void *p, size_t n)
{
    return mem == NULL ? realloc(p, n) : mem->resize(mem->ctx, p, n);
}

void alksec_free(const struct alksec_mem *mem, void *p)
{
    if (mem == NULL) {
        free(p);
    } else {
        mem->release(mem->ctx, p);
    }
}

void *alksec_alloc_locked(const struct alksec_mem *mem, size_t n)
{
    /* sodium_malloc locks, sets MADV_DONTDUMP and puts guard pages around; it
     * also gives memory when the system refuses to lock it. */
    void *p = mem == NULL ? sodium_malloc(n) : mem->alloc_locked(mem->ctx, n);
    if (p != NULL) {
        sodium_memzero(p, n);
    }
    return p;
}

void alksec_free_locked(const struct alksec_mem *mem, void *p, size_t n)
{
    if (p == NULL) {
        return;
    }
    sodium_memzero(p, n);
    if (mem == NULL) {
        sodium_free(p);
    } else {
        mem->release_locked(mem->ctx, p);
    }
}

void alksec_random_fill(const struct alksec_random *random, uint8_t *p, size_t n)
{
    if (random == NULL) {
        randombytes_buf(p, n); /* lint: system: the default of the random source passed in */
    } else {
        random->fill(random->ctx, p, n);
    }
}

alksec_err alksec_ready(void)
{
    return sodium_init() < 0 ? ALKSEC_E_CRYPTO : ALKSEC_OK;
}

void alksec_wipe(void *p, size_t n)
{
    if (p != NULL) {
        sodium_memzero(p, n);
    }
}

void alksec_scrub_stack(void)
{
    sodium_stackzero(SCRUB_BYTES);
}

const char *alksec_err_text(alksec_err err)
{
#define ROW(name, number, text)                                                                    \
    case ALKSEC_##name:                                                                            \
        return text;
    switch (err) {
        ALKSEC_ERR_MAP(ROW)
    }
#undef ROW
    return "unknown error";
}
