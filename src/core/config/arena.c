/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/arena.h"

#include "base/mem.h"

#define CHUNK_SIZE ((size_t)8192)
#define ALIGN      (_Alignof(max_align_t))

struct alk_arena_chunk {
    struct alk_arena_chunk *next;
    size_t used, size; /* of the bytes behind this header */
    _Alignas(max_align_t) uint8_t bytes[];
};

void alk_arena_init(struct alk_arena *a, const struct alk_mem *mem)
{
    *a = (struct alk_arena){.mem = mem};
}

void alk_arena_fini(struct alk_arena *a)
{
    while (a->head != NULL) {
        struct alk_arena_chunk *chunk = a->head;
        a->head = chunk->next;
        alk_free_secret(a->mem, chunk, sizeof(*chunk) + chunk->size);
    }
}

static struct alk_arena_chunk *add_chunk(struct alk_arena *a, size_t need)
{
    size_t size = need > CHUNK_SIZE ? need : CHUNK_SIZE;
    size_t total;
    if (!alk_add_ok(&total, size, sizeof(struct alk_arena_chunk))) {
        return NULL;
    }
    struct alk_arena_chunk *chunk = alk_zalloc(a->mem, 1, total);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->size = size;
    chunk->next = a->head;
    a->head = chunk;
    return chunk;
}

void *alk_arena_alloc(struct alk_arena *a, size_t count, size_t size)
{
    size_t n;
    if (!alk_mul_ok(&n, count, size) || !alk_add_ok(&n, n, ALIGN - 1)) {
        return NULL;
    }
    n -= n % ALIGN;

    struct alk_arena_chunk *chunk = a->head;
    if (chunk == NULL || chunk->size - chunk->used < n) {
        chunk = add_chunk(a, n);
        if (chunk == NULL) {
            return NULL;
        }
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += n;
    return p;
}

char *alk_arena_dup(struct alk_arena *a, struct alk_span s)
{
    char *copy = alk_arena_alloc(a, s.n + 1, 1);
    if (copy != NULL && s.n > 0) {
        memcpy(copy, s.p, s.n);
    }
    return copy;
}
