/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/post.h - the bounded queue of posts behind alk_post.
 *
 * put from every thread, run on the loop's. Order of posting is kept; a post in its
 * owner's memory (struct alk_post_node) runs after all that were put before it.
 */
#ifndef ALK_CORE_IO_POST_H
#define ALK_CORE_IO_POST_H

#include "alknet/loop.h"
#include "base/list.h"

#include <pthread.h>

struct alk_post_entry {
    alk_post_fn *fn;
    alk_post_fn *cancel; /* NULL: nothing to do when it is dropped */
    void *arg;
};

struct alk_post_node;

struct alk_posts {
    const struct alk_mem *mem;
    pthread_mutex_t lock;
    struct alk_post_entry *queue; /* owns */
    size_t n, size;
    struct alk_list nodes; /* each in its owner's memory */
    size_t node_count;
    bool is_woken;                /* since the last run */
    struct alk_post_entry *spare; /* memory of the batch that ran last; owns */
    size_t spare_size;
};

void alk_posts_init(struct alk_posts *q, const struct alk_mem *mem);
/* What waits is cancelled. */
void alk_posts_fini(struct alk_posts *q);
/* *ret_is_first: the first since the last run, so the loop must be woken. ALK_FULL,
 * ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_posts_put(struct alk_posts *q, alk_post_fn *fn, alk_post_fn *cancel,
                                    void *arg, bool *ret_is_first);
/* False: it waits already. *ret_is_first as above, false then. */
bool alk_posts_put_node(struct alk_posts *q, struct alk_post_node *node, bool *ret_is_first);
/* Runs what was queued when it was called; what those post comes next time. */
void alk_posts_run(struct alk_posts *q);

#endif
