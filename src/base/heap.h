/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/heap.h - intrusive binary heap of deadlines, smallest first.
 *
 * Nodes live inside their elements and know their place, so set and remove are
 * O(log n). A zeroed node is in no heap. Equal keys leave in no defined order.
 */
#ifndef ALK_BASE_HEAP_H
#define ALK_BASE_HEAP_H

#include "base/err.h"

struct alk_heap_node {
    uint64_t key;
    size_t index; /* 1-based place; 0: in no heap */
};

struct alk_heap {
    const struct alk_mem *mem;
    struct alk_heap_node **nodes; /* owns the array, borrows the nodes */
    size_t n, size;
};

void alk_heap_init(struct alk_heap *h, const struct alk_mem *mem);
void alk_heap_fini(struct alk_heap *h);
/* Makes room so that the next `n` inserts cannot fail. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_heap_reserve(struct alk_heap *h, size_t n);
/* Inserts, or moves to a new key. ALK_E_NOMEM only when inserting without reserve. */
ALK_NODISCARD alk_err alk_heap_set(struct alk_heap *h, struct alk_heap_node *node, uint64_t key);
/* No effect when it is in no heap. */
void alk_heap_remove(struct alk_heap *h, struct alk_heap_node *node);
/* Smallest, or NULL; not removed. */
struct alk_heap_node *alk_heap_top(const struct alk_heap *h);

#endif
