/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/heap.h"

#include "base/mem.h"

/* First allocation, in nodes. */
enum { SIZE_MIN = 16 };

void alk_heap_init(struct alk_heap *h, const struct alk_mem *mem)
{
    *h = (struct alk_heap){.mem = mem};
}

void alk_heap_fini(struct alk_heap *h)
{
    for (size_t i = 0; i < h->n; i++) {
        h->nodes[i]->index = 0;
    }
    alk_free(h->mem, h->nodes);
    *h = (struct alk_heap){.mem = h->mem};
}

alk_err alk_heap_reserve(struct alk_heap *h, size_t n)
{
    size_t need = 0;
    size_t bytes = 0;
    if (!alk_add_ok(&need, h->n, n)) {
        return ALK_E_NOMEM;
    }
    if (need <= h->size) {
        return ALK_OK;
    }
    size_t size = h->size < SIZE_MIN ? SIZE_MIN : h->size;
    while (size < need) {
        if (!alk_mul_ok(&size, size, 2)) {
            return ALK_E_NOMEM;
        }
    }
    if (!alk_mul_ok(&bytes, size, sizeof(struct alk_heap_node *))) {
        return ALK_E_NOMEM;
    }
    struct alk_heap_node **nodes = alk_resize(h->mem, h->nodes, bytes);
    if (nodes == NULL) {
        return ALK_E_NOMEM;
    }
    h->nodes = nodes;
    h->size = size;
    return ALK_OK;
}

/* Places are 1-based, as in the textbook: children of i are 2i and 2i+1. */
static void place(struct alk_heap *h, struct alk_heap_node *node, size_t i)
{
    h->nodes[i - 1] = node;
    node->index = i;
}

static void sift_up(struct alk_heap *h, struct alk_heap_node *node, size_t i)
{
    while (i > 1 && h->nodes[i / 2 - 1]->key > node->key) {
        place(h, h->nodes[i / 2 - 1], i);
        i /= 2;
    }
    place(h, node, i);
}

static void sift_down(struct alk_heap *h, struct alk_heap_node *node, size_t i)
{
    for (size_t child = 2 * i; child <= h->n; child = 2 * i) {
        if (child < h->n && h->nodes[child]->key < h->nodes[child - 1]->key) {
            child++;
        }
        if (h->nodes[child - 1]->key >= node->key) {
            break;
        }
        place(h, h->nodes[child - 1], i);
        i = child;
    }
    place(h, node, i);
}

static void sift(struct alk_heap *h, struct alk_heap_node *node, size_t i)
{
    if (i > 1 && h->nodes[i / 2 - 1]->key > node->key) {
        sift_up(h, node, i);
    } else {
        sift_down(h, node, i);
    }
}

alk_err alk_heap_set(struct alk_heap *h, struct alk_heap_node *node, uint64_t key)
{
    if (node->index == 0) {
        ALK_TRY(alk_heap_reserve(h, 1));
        h->n++;
        node->key = key;
        sift_up(h, node, h->n);
        return ALK_OK;
    }
    ALK_ASSERT(node->index <= h->n && h->nodes[node->index - 1] == node);
    node->key = key;
    sift(h, node, node->index);
    return ALK_OK;
}

void alk_heap_remove(struct alk_heap *h, struct alk_heap_node *node)
{
    size_t i = node->index;
    if (i == 0) {
        return;
    }
    ALK_ASSERT(i <= h->n && h->nodes[i - 1] == node);
    struct alk_heap_node *last = h->nodes[h->n - 1];
    h->n--;
    node->index = 0;
    if (last != node) {
        sift(h, last, i);
    }
}

struct alk_heap_node *alk_heap_top(const struct alk_heap *h)
{
    return h->n == 0 ? NULL : h->nodes[0];
}
