/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/tree_impl.h - what tree.c and tree_list.c share. */
#ifndef ALK_CORE_STORE_TREE_IMPL_H
#define ALK_CORE_STORE_TREE_IMPL_H

#include "core/store/tree.h"

#include <stdatomic.h>

struct stat;

struct alk_tree {
    atomic_size_t refs;
    const struct alk_mem *mem;
    int root;
};

alk_err alk_tree_err(int error);
void alk_tree_fill(const struct stat *st, struct alk_tree_stat *ret);
/* Opens beneath the root. */
ALK_NODISCARD alk_err alk_tree_at(struct alk_tree *tree, struct alk_span path, int flags,
                                  int *ret_fd);

#endif
