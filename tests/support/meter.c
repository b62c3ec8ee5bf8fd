/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/meter.h"

#include <malloc.h>
#include <stdlib.h>

static void *meter_alloc(void *ctx, size_t n)
{
    struct meter *m = ctx;
    void *p = malloc(n);
    m->live += p == NULL ? 0 : malloc_usable_size(p);
    return p;
}

static void meter_release(void *ctx, void *p)
{
    struct meter *m = ctx;
    m->live -= p == NULL ? 0 : malloc_usable_size(p);
    free(p);
}

static void *meter_resize(void *ctx, void *p, size_t n)
{
    struct meter *m = ctx;
    m->live -= p == NULL ? 0 : malloc_usable_size(p);
    void *q = realloc(p, n);
    m->live += q != NULL ? malloc_usable_size(q) : p == NULL ? 0 : malloc_usable_size(p);
    return q;
}

void meter_init(struct meter *m)
{
    *m = (struct meter){.mem = {meter_alloc, meter_resize, meter_release, m}};
}
