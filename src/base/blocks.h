/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/blocks.h - blocks of memory that are kept for the next who asks.
 *
 * For what is made and dropped with every request: the block that was given back last
 * is still in the cache of the processor, and the heap would split and join blocks of
 * such sizes each time. Sizes are 256, 384, 512, 768 and so on to 4096 bytes; what is
 * larger comes from the heap and goes back there. At most `keep` of each size are kept;
 * all are memory of `mem`. One thread, but a block may be given to another one's.
 */
#ifndef ALK_BASE_BLOCKS_H
#define ALK_BASE_BLOCKS_H

#include "alknet/types.h"

#define ALK_BLOCKS_SIZES 9

struct alk_blocks_free;

struct alk_blocks {
    const struct alk_mem *mem;
    unsigned keep;
    struct {
        struct alk_blocks_free *first; /* owns the list */
        unsigned n;
    } sizes[ALK_BLOCKS_SIZES];
};

void alk_blocks_init(struct alk_blocks *b, const struct alk_mem *mem, unsigned keep);
void alk_blocks_fini(struct alk_blocks *b);
/* How many bytes a block that was asked for with n has. */
size_t alk_blocks_size(size_t n);
/* n bytes, uninitialised; NULL without memory. Memory of another owner (mem) passes
 * through, and all of it when b is NULL. */
void *alk_blocks_take(struct alk_blocks *b, const struct alk_mem *mem, size_t n);
/* With the mem and the n that it was taken with; p may be NULL. */
void alk_blocks_give(struct alk_blocks *b, const struct alk_mem *mem, void *p, size_t n);

#endif
