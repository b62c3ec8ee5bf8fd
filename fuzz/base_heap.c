/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The input is a list of sets and removes, two bytes each; the smallest key of
 * what is in, found by looking at all, is the model. */
#include "base/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 64 };

static void check_top(const struct alk_heap *h, const struct alk_heap_node *nodes)
{
    const struct alk_heap_node *top = alk_heap_top(h);
    size_t n = 0;
    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].index != 0) {
            n++;
            if (top == NULL || top->key > nodes[i].key) {
                __builtin_trap();
            }
        }
    }
    if (n != h->n) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_heap h;
    struct alk_heap_node nodes[NODES] = {{0}};
    alk_heap_init(&h, NULL);
    for (size_t i = 0; i + 1 < size; i += 2) {
        struct alk_heap_node *node = &nodes[data[i] % NODES];
        if (data[i] & 0x80) {
            alk_heap_remove(&h, node);
        } else if (alk_heap_set(&h, node, data[i + 1]) != ALK_OK) {
            break;
        }
        check_top(&h, nodes);
    }
    uint64_t last = 0;
    for (struct alk_heap_node *top; (top = alk_heap_top(&h)) != NULL;) {
        if (top->key < last) {
            __builtin_trap();
        }
        last = top->key;
        alk_heap_remove(&h, top);
    }
    alk_heap_fini(&h);
    return 0;
}
