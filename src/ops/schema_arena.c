/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/schema_impl.h"

#include "base/mem.h"

struct schema_chunk {
    struct schema_chunk *next;
};

/* Small first, so that a small schema is a small object. */
#define CHUNK_MIN ((size_t)2048)
#define CHUNK_MAX ((size_t)65536)
#define ALIGN     (sizeof(max_align_t))

static bool add_chunk(struct schema_arena *a, size_t need)
{
    size_t size = a->used < CHUNK_MIN ? CHUNK_MIN : a->used;

    size = size > CHUNK_MAX ? CHUNK_MAX : size;
    size = size < need ? need : size;
    if (size > SCHEMA_ARENA_MAX - a->used) {
        a->err = ALK_E_TOO_BIG;
        return false;
    }
    uint8_t *p = (uint8_t *)alk_alloc(a->mem, ALIGN + size);
    if (p == NULL) {
        a->err = ALK_E_NOMEM;
        return false;
    }
    struct schema_chunk *chunk = (struct schema_chunk *)(void *)p;
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->at = p + ALIGN;
    a->end = a->at + size;
    a->used += size;
    return true;
}

void *alk_schema_alloc(struct schema_arena *a, size_t count, size_t size)
{
    size_t n;

    if (a->err != ALK_OK) {
        return NULL;
    }
    if (!alk_mul_ok(&n, count, size) || n > SCHEMA_ARENA_MAX) {
        a->err = ALK_E_TOO_BIG;
        return NULL;
    }
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    if ((size_t)(a->end - a->at) < n && !add_chunk(a, n)) {
        return NULL;
    }
    void *p = a->at;
    a->at += n;
    memset(p, 0, n);
    return p;
}

void alk_schema_arena_fini(struct schema_arena *a)
{
    while (a->chunks != NULL) {
        struct schema_chunk *next = a->chunks->next;
        alk_free(a->mem, a->chunks);
        a->chunks = next;
    }
}
