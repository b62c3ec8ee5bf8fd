/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/node_impl.h - the operations node/...: what their files share. */
#ifndef ALK_OPS_NODE_IMPL_H
#define ALK_OPS_NODE_IMPL_H

#include "core/endpoint.h"
#include "core/io/log.h"
#include "ops/dispatch.h"
#include "ops/out.h"
#include "ops/part.h"

#include <pthread.h>
#include <stdatomic.h>

struct alk_node_log_line;

/* Counted: each operation, each job and each subscription holds one. */
struct alk_node {
    atomic_uint refs;
    const struct alk_mem *mem;
    struct alk_ops *ops;
    struct alk_endpoint *endpoint; /* NULL: none (tests) */
    struct alk_loop *loop;         /* the endpoint's first */

    /* node_logs.c: the last lines, and who follows them. */
    struct alk_log_tap tap;
    pthread_mutex_t lock;             /* of all below; taken inside the log's lock */
    struct alk_node_log_line **lines; /* a ring, by seq; owns */
    uint64_t next_seq;
    struct alk_list followers;
    unsigned follower_count;
};
void alk_node_unref(struct alk_node *node);

extern const struct alk_op alk_node_logs_op;
/* ALK_E_NOMEM: nothing is left. */
ALK_NODISCARD alk_err alk_node_logs_init(struct alk_node *node);
void alk_node_logs_fini(struct alk_node *node);
/* Ends all that follow, on their loops. */
void alk_node_logs_stop(struct alk_node *node);

#endif
