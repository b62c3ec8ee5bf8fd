/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/tree_impl.h - what tree.c and tree_list.c share. */
#ifndef ALK_CORE_STORE_TREE_IMPL_H
#define ALK_CORE_STORE_TREE_IMPL_H

#include "core/store/tree.h"

#include <pthread.h>
#include <stdatomic.h>

struct stat;

struct alk_tree {
    atomic_size_t refs;
    const struct alk_mem *mem;
    int root;
    bool is_plain;
    pthread_mutex_t lock; /* between looking at what is replaced and replacing it */
};

alk_err alk_tree_err(int error);
void alk_tree_fill(const struct stat *st, struct alk_tree_stat *ret);
/* Opens beneath the root. */
ALK_NODISCARD alk_err alk_tree_at(struct alk_tree *tree, struct alk_span path, int flags,
                                  int *ret_fd);

/* The directory that holds the last part, opened with O_PATH, and that part's name. */
ALK_NODISCARD alk_err alk_tree_parent(struct alk_tree *tree, struct alk_span path, int *ret_fd,
                                      char ret_name[static ALK_TREE_NAME_MAX + 1]);
bool alk_tree_is_tmp(struct alk_span name);

#endif
