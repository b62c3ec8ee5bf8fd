/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"

#include "base/ct.h"

#include <stdlib.h>
#include <string.h>

void *alk_alloc(const struct alk_mem *mem, size_t n)
{
    if (n == 0) {
        n = 1;
    }
    return mem == NULL ? malloc(n) : mem->alloc(mem->ctx, n);
}

void *alk_zalloc(const struct alk_mem *mem, size_t count, size_t size)
{
    size_t n = 0;
    if (!alk_mul_ok(&n, count, size)) {
        return NULL;
    }
    void *p = alk_alloc(mem, n);
    if (p != NULL) {
        memset(p, 0, n);
    }
    return p;
}

void *alk_resize(const struct alk_mem *mem, void *p, size_t n)
{
    if (n == 0) {
        n = 1;
    }
    return mem == NULL ? realloc(p, n) : mem->resize(mem->ctx, p, n);
}

void alk_free(const struct alk_mem *mem, void *p)
{
    if (mem == NULL) {
        free(p);
    } else {
        mem->release(mem->ctx, p);
    }
}

void alk_free_secret(const struct alk_mem *mem, void *p, size_t n)
{
    if (p != NULL) {
        alk_wipe(p, n);
    }
    alk_free(mem, p);
}

char *alk_strdup_span(const struct alk_mem *mem, struct alk_span s)
{
    size_t n = 0;
    if (!alk_add_ok(&n, s.n, 1)) {
        return NULL;
    }
    char *text = alk_alloc(mem, n);
    if (text != NULL) {
        if (s.n > 0) {
            memcpy(text, s.p, s.n);
        }
        text[s.n] = '\0';
    }
    return text;
}
