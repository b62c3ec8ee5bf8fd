/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/dispatch.h - how a face (call, HTTP, batch, composition, worker) runs an
 * operation.
 *
 *     face --alk_ops_start--> access, schema, timer --> op.fn(ctx, request)
 *     request --alk_request_respond/fail--> face.responded / face.ended
 *
 * Everything a request needs is its own: its texts are copied, so what the face
 * received may be consumed at once. It belongs to the loop it was started on. A
 * face that loses interest cancels; then it is told nothing more, and the request
 * lives on until the operation ends it.
 *
 * Order of checks, and what each failure says:
 *
 *   1. is there such an operation, and is it visible here   NOT_FOUND
 *   2. identity, unless public                              UNAUTHENTICATED
 *   3. scopes                                               NOT_FOUND
 *   4. input is JSON under the policy, and fits the schema  INVALID_INPUT
 *   5. resource                                             FORBIDDEN
 *
 * Whoever has no identity gets UNAUTHENTICATED for every name that is not a public
 * operation, whether it exists or not; whoever lacks a scope cannot tell a
 * forbidden operation from a missing one. All failures come through face->ended.
 *
 * Nothing runs inside alk_ops_start: neither the operation nor the face. Requests
 * of one loop begin in the order of starting, in the same turn of the loop if it
 * is one, before the loop sleeps or sends.
 */
#ifndef ALK_OPS_DISPATCH_H
#define ALK_OPS_DISPATCH_H

#include "alknet/handler.h"
#include "alknet/ops.h"
#include "base/err.h"
#include "base/span.h"

/* Shared codes (DESIGN.md §9). Static text. */
#define ALK_OPS_NOT_FOUND       "NOT_FOUND"
#define ALK_OPS_FORBIDDEN       "FORBIDDEN"
#define ALK_OPS_UNAUTHENTICATED "UNAUTHENTICATED"
#define ALK_OPS_INVALID_INPUT   "INVALID_INPUT"
#define ALK_OPS_INVALID_FRAME   "INVALID_FRAME"
#define ALK_OPS_TIMEOUT         "TIMEOUT"
#define ALK_OPS_ABORTED         "ABORTED"
#define ALK_OPS_UNAVAILABLE     "UNAVAILABLE"
#define ALK_OPS_EXHAUSTED       "EXHAUSTED"
#define ALK_OPS_TOO_LARGE       "TOO_LARGE"
#define ALK_OPS_CONFLICT        "CONFLICT"
#define ALK_OPS_SLOW_CONSUMER   "SLOW_CONSUMER"
#define ALK_OPS_EXPIRED         "EXPIRED"
#define ALK_OPS_INTERNAL        "INTERNAL"
bool alk_ops_code_is_retryable(const char *code);

#define ALK_OPS_INPUT_MAX  ((size_t)1 << 20) /* bytes of one input or output */
#define ALK_OPS_DEPTH_MAX  8                 /* of composition */
#define ALK_OPS_REQUEST_ID 20                /* bytes with the zero */

/* How a request ended. code NULL: success. Texts borrow until the call returns. */
struct alk_outcome {
    const char *code;
    const char *message;
    bool is_retryable;
    struct alk_span details; /* JSON text; empty: none */
};

/* What a face does with answers. ctx is the request's. None may be NULL. */
struct alk_face {
    /* One answer. For a query or mutation it is the last call: ALK_OK whatever
     * happens. For a subscription ALK_FULL: nothing was taken, alk_request_writable
     * will be called. */
    alk_err (*responded)(void *ctx, struct alk_request *r, struct alk_span output, bool is_last);
    /* The end of a subscription, or a failure of any request. The last call. */
    void (*ended)(void *ctx, struct alk_request *r, const struct alk_outcome *outcome);
};

struct alk_start_spec {
    struct alk_loop *loop;
    struct alk_span op;                   /* "fs/read", without the slash of the wire */
    struct alk_span input;                /* JSON text; empty: {} */
    bool is_scanned;                      /* a value that alk_json_scan went over */
    const struct alk_identity *caller;    /* a reference is taken; NULL: nobody */
    const struct alk_identity *authority; /* NULL: the caller */
    const struct alk_auth_context *auth;  /* borrows until the request is cancelled or over */
    uint64_t timeout_ms;                  /* 0: the operation's */
    struct alk_span traceparent;          /* what is none (ops/trace.h) is left out */
    bool may_see_internal;                /* composition */
    unsigned depth;                       /* of composition */
};

/* Starts a request. ALK_OK: *ret, and exactly one last call of the face follows
 * unless it is cancelled first; *ret is valid until then. ALK_E_NOMEM: nothing was
 * started. */
ALK_NODISCARD alk_err alk_ops_start(struct alk_ops *ops, const struct alk_start_spec *spec,
                                    const struct alk_face *face, void *ctx,
                                    struct alk_request **ret);
/* Begins it now instead of at the end of the turn: the face may be called, and r be gone,
 * before this returns. Right after alk_ops_start alone. What many of them use is then
 * used by one after the other, and does not leave the processor's cache. */
void alk_request_begin(struct alk_request *r);
/* The face has room or credit again. Without effect when no answer was refused. */
void alk_request_writable(struct alk_request *r);
/* The face lost interest (abort, connection gone): no further call of it. The
 * operation hears `cancelled`, children are cancelled too. r is not the face's any more. */
void alk_request_cancel(struct alk_request *r);
/* For long subscriptions: rights have changed. NULL or disabled identity, or one that
 * may not call this operation any more: ends it with UNAUTHENTICATED. */
void alk_request_set_caller(struct alk_request *r, const struct alk_identity *caller);

/* The face that started it and that face's ctx; NULL once it was cancelled. */
const struct alk_face *alk_request_face(const struct alk_request *r, void **ret_ctx);

/* One answer from text that is there: one strict JSON value, which the registry does not
 * copy. As alk_request_respond, but after ALK_FULL nothing is kept. */
alk_err alk_request_respond_json(struct alk_request *r, struct alk_span json);

/* Internal views for operations in this tree. */
struct yyjson_val;
/* Whose scopes alk_request_has_scope tells: the caller, or the authority of an operation
 * that calls another. NULL: nobody's. */
const struct alk_identity *alk_request_who(const struct alk_request *r);
struct yyjson_val *alk_request_value(const struct alk_request *r); /* parsed input */
enum alk_op_kind alk_request_kind(const struct alk_request *r);

/* --- looking at the registry -------------------------------------------------- */

/* What is known of an operation; borrows until fn returns. */
struct alk_op_info {
    const struct alk_op *op; /* the copy: schemas as text, rules, errors */
    const char *source;      /* "" local, else the worker's identity id */
    unsigned providers;      /* 1, or how many workers share it */
};
/* False: no more are wanted. */
typedef bool alk_ops_each_fn(void *ctx, const struct alk_op_info *info);
/* Calls fn for each operation that `caller` may call, by name, from the first that
 * comes after `after`. An empty prefix, an empty after: all. ALK_E_NOMEM: not called at
 * all. */
ALK_NODISCARD alk_err alk_ops_each(struct alk_ops *ops, const struct alk_identity *caller,
                                   struct alk_span prefix, struct alk_span after,
                                   alk_ops_each_fn *fn, void *ctx);
/* All that a worker can offer: local, not internal, whoever may call it. Likewise. */
ALK_NODISCARD alk_err alk_ops_each_offered(struct alk_ops *ops, struct alk_span prefix,
                                           alk_ops_each_fn *fn, void *ctx);
/* One of them; false: missing, or not visible to the caller. */
bool alk_ops_find(struct alk_ops *ops, const struct alk_identity *caller, struct alk_span name,
                  void (*fn)(void *ctx, const struct alk_op_info *info), void *ctx);

/* An operation of a worker: as alk_ops_add, but it may be added beside others of the
 * same name and source kind when kind, schemas and errors are equal (else
 * ALK_E_EXISTS); a local operation always wins. Requests go to the one with the
 * fewest under way. When the last one is removed the name stays known for as long as
 * the registry lives and answers UNAVAILABLE to those who could call it.
 * *ret_provider is what remove takes. */
struct alk_op_provider;
ALK_NODISCARD alk_err alk_ops_add_remote(struct alk_ops *ops, const struct alk_op *op,
                                         const char *source, void *ctx, char *why, size_t why_size,
                                         struct alk_op_provider **ret_provider);
void alk_ops_remove_remote(struct alk_ops *ops, struct alk_op_provider *provider);
/* In the place of a provider the same operation with other flags, access and ctx, so
 * that no request falls between the two: provider is released as by remove, *ret is
 * what remove takes. Requests under way go on. A failure changes nothing, and ctx is
 * the caller's to release. */
ALK_NODISCARD alk_err alk_ops_guard_remote(struct alk_ops *ops, struct alk_op_provider *provider,
                                           unsigned flags, const struct alk_op_access *access,
                                           void *ctx, struct alk_op_provider **ret);
/* A remote operation could not carry the request: gives it to another provider of the
 * same name, whose fn is called in here. ALK_OK: it is that one's affair now.
 * ALK_E_NOENT: there is no other, or it went around 4 times: end it. */
ALK_NODISCARD alk_err alk_request_retry(struct alk_request *r);
/* Its provider has said something: it is there, whatever timed out before. */
void alk_request_heard(const struct alk_request *r);

/* Lines for the audit log and the log; set once, before requests. May stay unset. One
 * when a request begins or is refused, and one more when the operation itself says
 * FORBIDDEN. */
struct alk_ops_audit {
    const struct alk_request *request;
    const char *code; /* NULL: allowed */
};
struct alk_audit_record;
/* What it says, as a record of the audit log; borrows from the request. */
void alk_ops_audit_fill(const struct alk_ops_audit *a, struct alk_audit_record *ret);
/* fn must not add, remove or find operations. After setting NULL it runs no more; the
 * same holds for the log. */
void alk_ops_set_audit(struct alk_ops *ops, void (*fn)(void *ctx, const struct alk_ops_audit *a),
                       void *ctx);

/* What goes wrong inside (an output that does not fit its schema, a code that was not
 * declared) is told here, component "ops"; set once, before requests. May stay unset. */
void alk_ops_set_log(struct alk_ops *ops, alk_log_fn *fn, void *ctx);

/* The operations services/list, services/schema, call/batch. */
ALK_NODISCARD alk_err alk_ops_add_standard(struct alk_ops *ops);

#endif
