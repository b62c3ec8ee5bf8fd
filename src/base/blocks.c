/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/blocks.h"

#include "base/mem.h"

static const uint16_t SIZES[ALK_BLOCKS_SIZES] = {256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096};

struct alk_blocks_free {
    struct alk_blocks_free *next;
};

void alk_blocks_init(struct alk_blocks *b, const struct alk_mem *mem, unsigned keep)
{
    *b = (struct alk_blocks){.mem = mem, .keep = keep};
}

void alk_blocks_fini(struct alk_blocks *b)
{
    for (unsigned i = 0; i < ALK_BLOCKS_SIZES; i++) {
        while (b->sizes[i].first != NULL) {
            struct alk_blocks_free *f = b->sizes[i].first;
            b->sizes[i].first = f->next;
            alk_free(b->mem, f);
        }
        b->sizes[i].n = 0;
    }
}

/* ALK_BLOCKS_SIZES: larger than all. */
static unsigned index_of(size_t n)
{
    /* By the number of the last 256 bytes that are begun; 384 alone lies between. */
    static const uint8_t of[16] = {0, 2, 3, 4, 5, 5, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8};
    if (n > SIZES[0] && n <= SIZES[1]) {
        return 1;
    }
    return n > SIZES[ALK_BLOCKS_SIZES - 1] ? ALK_BLOCKS_SIZES : of[n == 0 ? 0 : (n - 1) / 256];
}

size_t alk_blocks_size(size_t n)
{
    unsigned i = index_of(n);
    return i == ALK_BLOCKS_SIZES ? n : SIZES[i];
}

void *alk_blocks_take(struct alk_blocks *b, const struct alk_mem *mem, size_t n)
{
    unsigned i = index_of(n);
    if (i == ALK_BLOCKS_SIZES) {
        return alk_alloc(mem, n);
    }
    bool is_own = b != NULL && b->mem == mem;
    struct alk_blocks_free *f = is_own ? b->sizes[i].first : NULL;
    if (f == NULL) {
        return alk_alloc(mem, SIZES[i]);
    }
    b->sizes[i].first = f->next;
    b->sizes[i].n--;
    return f;
}

void alk_blocks_give(struct alk_blocks *b, const struct alk_mem *mem, void *p, size_t n)
{
    unsigned i = index_of(n);
    if (p == NULL || b == NULL || mem != b->mem || i == ALK_BLOCKS_SIZES ||
        b->sizes[i].n >= b->keep) {
        alk_free(mem, p);
        return;
    }
    struct alk_blocks_free *f = (struct alk_blocks_free *)p;
    f->next = b->sizes[i].first;
    b->sizes[i].first = f;
    b->sizes[i].n++;
}
