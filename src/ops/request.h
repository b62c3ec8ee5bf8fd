/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/request.h - one request, from start to end; for the files of src/ops alone.
 *
 *     new --soon--> begin: checks --> fn --> ... --> over --> freed
 *                     |                                ^
 *                     +--- refused: face->ended -------+
 *
 * One block of memory holds the request and its texts; while it runs another one holds
 * the parsed input, when that is not large, and the answer. `face` is NULL once the last
 * call of it was made or it cancelled; `is_over` is set once the operation has ended the
 * request. It is freed when both are so and no call of ours is on the stack (holds).
 */
#ifndef ALK_OPS_REQUEST_H
#define ALK_OPS_REQUEST_H

#include "core/io/loop.h"
#include "ops/out.h"
#include "ops/registry.h"
#include "ops/schema.h"

#include <yyjson.h>

#define ALK_REQUEST_MAGIC 0x616c6b72 /* "alkr" */
/* Room for an answer that most need not more than. */
#define ALK_REQUEST_OUT   384

/* Memory of yyjson and of the answer: a block of its own first, which is taken when the
 * request begins, then the heap. */
struct alk_request_pool {
    const struct alk_mem *mem;
    uint8_t *p; /* owns; NULL: not taken yet, or not to be had */
    size_t at, size;
};

struct alk_request {
    uint32_t magic;
    unsigned holds; /* calls of ours on the stack */
    struct alk_ops *ops;
    struct alk_loop *loop;
    struct alk_op_pick pick;
    const struct alk_op *op; /* NULL: there is none of this name */
    const struct alk_face *face;
    void *face_ctx;
    const struct alk_identity *caller; /* a reference, as those in rights.holders */
    const struct alk_auth_context *auth;
    alk_time begun, deadline;
    struct alk_soon soon;
    struct alk_timer timer;
    const struct alk_request_calls *calls;
    void *calls_ctx;
    struct alk_list children;
    struct alk_out out;
    struct yyjson_doc *doc;         /* of the input; NULL also when its text was enough */
    struct alk_schema_parts *parts; /* then, in the pool */
    struct alk_span input, traceparent;
    const char *name;    /* as asked for */
    const char *revoked; /* code to end with, soon */
    const char *stopped; /* what ended it for the caller before the operation did */
    unsigned depth;
    unsigned retries;
    bool has_begun;
    bool is_over;
    bool is_cancelled;
    bool owes_cancelled; /* the operation has not heard of it yet */
    bool is_full;        /* an answer was refused with ALK_FULL */
    bool owes_writable;
    bool is_too_large; /* the input, which was not copied */
    bool is_scanned;   /* the input, on its way here */
    bool may_see_internal;
    bool is_batched; /* subscriptions and batches are refused */
    char id[ALK_OPS_REQUEST_ID];
    size_t size; /* of the block */
    struct alk_request_pool pool;
    struct alk_mem pool_mem;  /* the same for buffers */
    struct alk_rights rights; /* last: only n of its holders are ever touched */
};

/* What the inner ways of starting add: composition and batch. */
struct alk_inner_spec {
    const struct alk_request *parent; /* whose rights, caller and connection it has */
    bool is_composed; /* its operation's authority joins; else the very same rights */
    bool is_batched;
    alk_time deadline; /* not exceeded; ALK_NEVER */
};
ALK_NODISCARD alk_err alk_request_new(struct alk_ops *ops, const struct alk_start_spec *spec,
                                      const struct alk_inner_spec *inner,
                                      const struct alk_face *face, void *ctx,
                                      struct alk_request **ret);

/* An allocator for yyjson in the request's block, and memory of it: NULL when there is
 * none, else until the request is freed. */
struct yyjson_alc alk_request_alc(struct alk_request *r);
void *alk_request_alloc(struct alk_request *r, size_t n);

/* Its input need not become a tree when the schema can do without. A rule about a resource
 * cannot: it reads the tree, now and when rights change. */
static inline bool alk_request_takes_text(const struct alk_request *r)
{
    return r->op != NULL && (r->op->flags & ALK_OP_TEXT_INPUT) != 0 &&
           r->op->access.resource_type == NULL;
}

/* Why a request may not run. */
struct alk_refusal {
    const char *message; /* NULL: the code's standard one; may point to text */
    char text[480];
};
/* request_check.c: all that precedes the operation. NULL: it may run; else the code,
 * *ret (message NULL before), and details in r->out. Parses the input. */
const char *alk_request_check(struct alk_request *r, struct alk_refusal *ret);
/* Whether its rights still allow it. Not when that cannot be told: a rule about a resource
 * that it met as it was handed on, and no tree. */
bool alk_request_is_allowed(const struct alk_request *r);

/* Frees what nobody needs any more: see above. True: it is gone. */
bool alk_request_settle(struct alk_request *r);
/* The last call of the face, if there still is one. */
void alk_request_tell_end(struct alk_request *r, const char *code, const char *message,
                          struct alk_span details);
/* The operation and the children hear that nobody waits any more; code: why, for the
 * counters. The face is gone already. */
void alk_request_stop(struct alk_request *r, const char *code);

/* compose.c. The first: the request is cancelled; children end. The second: the
 * operation is over; what is left of them is told nothing more. */
void alk_children_abort(struct alk_request *r);
void alk_children_drop(struct alk_request *r);
/* New rights reach what runs with the old ones. */
void alk_children_set_caller(struct alk_request *r, const struct alk_identity *caller);

/* batch.c: new rights reach the calls of a batch that runs, which end each for itself when
 * they may not go on. False: r is none. */
bool alk_batch_set_caller(const struct alk_request *r, const struct alk_identity *caller);

/* "there is no such operation", ...: the standard sentence of a shared code. */
const char *alk_ops_code_text(const char *code);
/* Place in the shared codes; the last one for all others. */
unsigned alk_ops_code_index(const char *code);
const char *alk_ops_code_at(unsigned index); /* "OTHER" for the last */

#endif
