/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/mem.h - allocation through struct alk_mem, with overflow checks.
 *
 * `mem` NULL means the C library's heap everywhere. Secrets are released with
 * alk_free_secret, which wipes first.
 */
#ifndef ALK_BASE_MEM_H
#define ALK_BASE_MEM_H

#include "alknet/types.h"

/* n bytes, uninitialised; NULL without memory. n 0 gives a unique pointer. */
void *alk_alloc(const struct alk_mem *mem, size_t n);
/* count * size zeroed bytes; NULL without memory or when the product overflows. */
void *alk_zalloc(const struct alk_mem *mem, size_t count, size_t size);
/* As realloc; on NULL the old block is still there. */
void *alk_resize(const struct alk_mem *mem, void *p, size_t n);
void alk_free(const struct alk_mem *mem, void *p);
void alk_free_secret(const struct alk_mem *mem, void *p, size_t n);
/* A zero-terminated copy of a span; NULL without memory. */
char *alk_strdup_span(const struct alk_mem *mem, struct alk_span s);

/* Sum and product that tell of overflow instead of wrapping. */
static inline bool alk_add_ok(size_t *sum, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, sum);
}
static inline bool alk_mul_ok(size_t *product, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* One T from mem, zeroed. */
#define ALK_NEW(mem, T) ((T *)alk_zalloc((mem), 1, sizeof(T)))

#endif
