/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/chunk.h"

#include "base/mem.h"

struct alk_chunk *alk_chunk_new(const struct alk_mem *mem, size_t n)
{
    size_t total;
    if (!alk_add_ok(&total, sizeof(struct alk_chunk), n)) {
        return NULL;
    }
    struct alk_chunk *c = alk_alloc(mem, total);
    if (c == NULL) {
        return NULL;
    }
    *c = (struct alk_chunk){.mem = mem, .p = (uint8_t *)(c + 1), .n = n};
    atomic_init(&c->refs, 1);
    return c;
}

struct alk_chunk *alk_chunk_wrap(const struct alk_mem *mem, const uint8_t *p, size_t n,
                                 void (*done)(void *ctx), void *ctx)
{
    struct alk_chunk *c = ALK_NEW(mem, struct alk_chunk);
    if (c == NULL) {
        return NULL;
    }
    /* Wrapped memory is only ever read: the const is restored by every reader. */
    union {
        const uint8_t *in;
        uint8_t *out;
    } view = {.in = p};
    *c = (struct alk_chunk){.mem = mem, .p = view.out, .n = n, .done = done, .ctx = ctx};
    atomic_init(&c->refs, 1);
    return c;
}

uint8_t *alk_chunk_data(struct alk_chunk *chunk)
{
    return chunk->p;
}

size_t alk_chunk_size(const struct alk_chunk *chunk)
{
    return chunk->n;
}

struct alk_chunk *alk_chunk_ref(struct alk_chunk *chunk)
{
    (void)atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
    return chunk;
}

void alk_chunk_unref(struct alk_chunk *chunk)
{
    if (chunk == NULL ||
        atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (chunk->done != NULL) {
        chunk->done(chunk->ctx);
    }
    alk_free(chunk->mem, chunk);
}
