/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/post.h"

#include "base/mem.h"
#include "core/io/loop.h"

/* A queue that grew beyond this gives its memory back after use. */
#define SPARE_MAX 1024

void alk_posts_init(struct alk_posts *q, const struct alk_mem *mem)
{
    *q = (struct alk_posts){.mem = mem};
    alk_list_init(&q->nodes);
    (void)pthread_mutex_init(&q->lock, NULL);
}

void alk_posts_fini(struct alk_posts *q)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->queue[i].cancel != NULL) {
            q->queue[i].cancel(q->queue[i].arg);
        }
    }
    struct alk_link *e;
    while ((e = alk_list_pop(&q->nodes)) != NULL) {
        struct alk_post_node *node = ALK_CONTAINER(e, struct alk_post_node, in);
        if (node->cancel != NULL) {
            node->cancel(node->arg);
        }
    }
    alk_free(q->mem, q->queue);
    alk_free(q->mem, q->spare);
    (void)pthread_mutex_destroy(&q->lock);
}

static alk_err make_room(struct alk_posts *q)
{
    if (q->n < q->size) {
        return ALK_OK;
    }
    if (q->n >= ALK_POSTS_MAX) {
        return ALK_FULL;
    }
    size_t size = q->size == 0 ? 64 : q->size * 2;
    struct alk_post_entry *queue = alk_resize(q->mem, q->queue, size * sizeof *queue);
    if (queue == NULL) {
        return ALK_E_NOMEM;
    }
    q->queue = queue;
    q->size = size;
    return ALK_OK;
}

static bool is_first(struct alk_posts *q)
{
    bool was_woken = q->is_woken;
    q->is_woken = true;
    return !was_woken;
}

alk_err alk_posts_put(struct alk_posts *q, alk_post_fn *fn, alk_post_fn *cancel, void *arg,
                      bool *ret_is_first)
{
    (void)pthread_mutex_lock(&q->lock);
    alk_err err = make_room(q);
    if (err == ALK_OK) {
        *ret_is_first = is_first(q);
        q->queue[q->n++] = (struct alk_post_entry){fn, cancel, arg};
    }
    (void)pthread_mutex_unlock(&q->lock);
    return err;
}

bool alk_posts_put_node(struct alk_posts *q, struct alk_post_node *node, bool *ret_is_first)
{
    (void)pthread_mutex_lock(&q->lock);
    bool is_new = !alk_link_is_in(&node->in);
    if (is_new) {
        alk_list_append(&q->nodes, &node->in);
        q->node_count++;
    }
    *ret_is_first = is_new && is_first(q);
    (void)pthread_mutex_unlock(&q->lock);
    return is_new;
}

/* One at a time: a node may be put again while others still wait. */
static void run_nodes(struct alk_posts *q, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)pthread_mutex_lock(&q->lock);
        struct alk_link *e = alk_list_pop(&q->nodes);
        q->node_count--;
        (void)pthread_mutex_unlock(&q->lock);

        struct alk_post_node *node = ALK_CONTAINER(e, struct alk_post_node, in);
        node->fn(node->arg);
    }
}

void alk_posts_run(struct alk_posts *q)
{
    (void)pthread_mutex_lock(&q->lock);
    struct alk_post_entry *batch = q->queue;
    size_t n = q->n;
    size_t size = q->size;
    size_t nodes = q->node_count;
    q->is_woken = false;
    q->queue = q->spare;
    q->size = q->spare_size;
    q->n = 0;
    q->spare = NULL;
    q->spare_size = 0;
    (void)pthread_mutex_unlock(&q->lock);

    for (size_t i = 0; i < n; i++) {
        batch[i].fn(batch[i].arg);
    }
    run_nodes(q, nodes);
    if (size > SPARE_MAX) {
        alk_free(q->mem, batch);
        return;
    }
    (void)pthread_mutex_lock(&q->lock);
    q->spare = batch;
    q->spare_size = size;
    (void)pthread_mutex_unlock(&q->lock);
}
