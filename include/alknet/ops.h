/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/ops.h - operations: structured, discoverable, two-way calls.
 *
 * An operation has a name, schemas for what goes in and comes out, a rule about
 * who may call it, and a function. It is offered by every face of a node: the call
 * protocol (alknet/call), HTTP, `call/batch`, other operations.
 *
 *     static void add(void *ctx, struct alk_request *r)
 *     {
 *         struct alk_out *out = alk_request_out(r);
 *         alk_out_object(out);
 *         alk_out_key(out, "sum");
 *         alk_out_i64(out, alk_input_i64(r, "a", 0) + alk_input_i64(r, "b", 0));
 *         alk_out_end(out);
 *         alk_request_respond(r);
 *     }
 *     ...
 *     static const struct alk_op op = {.struct_size = sizeof op, .name = "math/add",
 *         .summary = "adds two numbers", .kind = ALK_OP_QUERY, .fn = add,
 *         .input = "{\"type\":\"object\",\"required\":[\"a\",\"b\"],\"properties\":"
 *                  "{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}}}"};
 *     alk_ops_add(ops, &op, NULL);
 *
 * Promises to every operation:
 *
 *  1. The input has passed access control and the input schema when fn is called.
 *  2. A request belongs to one loop: fn, and what is told by alk_request_calls, run
 *     there, never overlap and never re-enter. Different requests may run on
 *     different loops at the same time: what they share must be synchronised.
 *  3. A request lives until the operation has ended it: with the one
 *     alk_request_respond of a query or mutation, with alk_request_complete of a
 *     subscription, or with alk_request_fail. Exactly one of these, exactly once,
 *     also after it was cancelled; what is answered then is dropped.
 *  4. Ending it may happen inside fn or any time later, on its loop. From another
 *     thread: alk_post to alk_request_loop, then answer there.
 */
#ifndef ALKNET_OPS_H
#define ALKNET_OPS_H

#include "alknet/auth.h"
#include "alknet/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ALK_OP_NAME_MAX 128 /* bytes of "namespace/name" */
#define ALK_OP_CODE_MAX 64  /* bytes of an error code */

struct alk_ops;
struct alk_request;
struct alk_out;

enum alk_op_kind {
    ALK_OP_QUERY,       /* no effect: may be called again, cached, retried */
    ALK_OP_MUTATION,    /* has an effect */
    ALK_OP_SUBSCRIPTION /* any number of answers, then an end */
};

enum {
    ALK_OP_PUBLIC = 1,        /* needs no identity */
    ALK_OP_INTERNAL = 2,      /* for composition alone: NOT_FOUND from every face */
    ALK_OP_OWN_AUTHORITY = 4, /* what it composes has its own rights, not the intersection */
    ALK_OP_NO_TIMEOUT = 8,    /* a query or mutation that may take as long as it likes */
    /* fn reads the input with alk_request_input and alk_input_json alone, the other
     * alk_input_* may find nothing: spares a tree where the schema needs none. */
    ALK_OP_TEXT_INPUT = 16
};

/* An error of the operation's own, beside those that all share (DESIGN.md §9). */
struct alk_op_error {
    const char *code; /* [A-Z][A-Z0-9_]{0,63}; NULL ends a table */
    const char *summary;
    const char *details; /* JSON Schema of the details, where there are any; NULL: no rule */
};

/* Who may call it, beyond "any identity". Lists end with NULL; NULL: no such rule. */
struct alk_op_access {
    const char *const *all_scopes; /* all of them are needed */
    const char *const *any_scopes; /* and one of these */
    /* A grant on a resource whose name stands in the input. */
    const char *resource_type;   /* "repo" */
    const char *resource_action; /* "read" */
    const char *resource_member; /* member of the input, or a JSON Pointer: "/target/repo" */
};

typedef void alk_op_fn(void *ctx, struct alk_request *request);

struct alk_op {
    size_t struct_size;
    const char *name;    /* "namespace/name", 2-4 segments of [a-z0-9_-]+ */
    const char *summary; /* one line, lower case, without full stop */
    const char *help;    /* a paragraph or two; NULL: none */
    enum alk_op_kind kind;
    unsigned flags;
    const char *input, *output; /* JSON Schema 2020-12 as text; NULL: input {} , output anything */
    const struct alk_op_error *errors;
    struct alk_op_access access;
    /* Operations that fn may compose (alk_request_call); NULL-terminated; NULL: none. */
    const char *const *calls;
    /* On whose scopes composed calls run; NULL: the caller's own. A reference is taken. */
    const struct alk_identity *authority;
    uint64_t timeout_ms; /* 0: the registry's default; the caller's may be shorter */
    alk_op_fn *fn;
    /* The registry lets go of it (removed and no request left, or freed); may be NULL.
     * From any thread. */
    void (*release)(void *ctx);
};

/* A registry; safe from every thread. The endpoint's is handed to services in
 * alk_env.ops. */
struct alk_ops_options {
    size_t struct_size;
    const struct alk_mem *mem;
    uint64_t timeout_ms;     /* default of a call; 0: 30 000 */
    uint64_t timeout_max_ms; /* 0: 600 000 */
    bool check_outputs;      /* outputs, and details of errors, against their schemas too: for
                              * debug builds */
};
ALK_NODISCARD ALK_API alk_err alk_ops_new(const struct alk_ops_options *options,
                                          struct alk_ops **ret);
/* Nothing can be started any more; requests that are under way go on until their
 * operations end them, and the log and audit hooks are not called for them. NULL is
 * allowed. */
ALK_API void alk_ops_free(struct alk_ops *ops);

/* Copies *op with all its texts; `release(ctx)` is called also when it fails.
 * ALK_E_INVALID: name, schema or a rule is wrong; why (may be NULL) says what, with
 * a JSON Pointer for a schema. ALK_E_EXISTS, ALK_E_LIMIT (4 096 operations),
 * ALK_E_NOMEM. */
ALK_NODISCARD ALK_API alk_err alk_ops_add(struct alk_ops *ops, const struct alk_op *op, void *ctx,
                                          char *why, size_t why_size);
/* New requests find it no more; those under way go on. ALK_E_NOENT. */
ALK_API alk_err alk_ops_remove(struct alk_ops *ops, const char *name);

/* --- a request -------------------------------------------------------------- */

ALK_API const char *alk_request_op(const struct alk_request *r); /* "math/add" */
/* For logs: unique in this process for a long time; also in the audit log. */
ALK_API const char *alk_request_id(const struct alk_request *r);
/* W3C trace context of who asked, as it came; also in the audit log. Empty: none. What it
 * composes and a worker to whom it goes have the same. Borrows until the request ends. */
ALK_API struct alk_span alk_request_traceparent(const struct alk_request *r);
ALK_API struct alk_loop *alk_request_loop(const struct alk_request *r);
/* Who asks; NULL: nobody known. For a composed request the first caller. Borrows
 * until the request ends. */
ALK_API const struct alk_identity *alk_request_caller(const struct alk_request *r);
/* Whether the rights of this request allow it (caller and authority: DESIGN.md §9). */
ALK_API bool alk_request_has_scope(const struct alk_request *r, const char *scope);
ALK_API bool alk_request_may(const struct alk_request *r, struct alk_span type,
                             struct alk_span name, struct alk_span action, struct alk_span ref);
/* The connection that it came by; NULL where there is none (admin socket, composition
 * of a timer). Borrows until the call returns. */
ALK_API const struct alk_auth_context *alk_request_auth(const struct alk_request *r);
/* When it will be cancelled, on the loop's clock; ALK_NEVER. */
ALK_API alk_time alk_request_deadline(const struct alk_request *r);
/* Nobody waits for the answer any more: stop, free, and end the request. */
ALK_API bool alk_request_is_cancelled(const struct alk_request *r);

/* What an operation that does not answer inside fn listens to. Both may be NULL. */
struct alk_request_calls {
    /* The caller aborted, timed out or left: once at the most. Ending the request in
     * here is allowed. */
    void (*cancelled)(void *ctx, struct alk_request *r);
    /* A subscription that got ALK_FULL may answer again. */
    void (*writable)(void *ctx, struct alk_request *r);
};
ALK_API void alk_request_on(struct alk_request *r, const struct alk_request_calls *calls,
                            void *ctx);

/* The whole input as JSON text; borrows until the request ends. */
ALK_API struct alk_span alk_request_input(const struct alk_request *r);
/* One member of it, likewise, as it came: a string is in its quotes. Empty: absent. */
ALK_API struct alk_span alk_input_json(const struct alk_request *r, const char *name);
/* Values in it, by member name or by JSON Pointer [RFC 6901] when it starts with '/';
 * the fallback when it is absent or of another type. */
ALK_API bool alk_input_has(const struct alk_request *r, const char *at);
ALK_API struct alk_span alk_input_text(const struct alk_request *r, const char *at,
                                       const char *fallback);
ALK_API int64_t alk_input_i64(const struct alk_request *r, const char *at, int64_t fallback);
ALK_API uint64_t alk_input_u64(const struct alk_request *r, const char *at, uint64_t fallback);
ALK_API double alk_input_real(const struct alk_request *r, const char *at, double fallback);
ALK_API bool alk_input_bool(const struct alk_request *r, const char *at, bool fallback);
/* Elements of an array, members of an object; 0 for anything else. */
ALK_API size_t alk_input_count(const struct alk_request *r, const char *at);

/* Where the answer is written; empty after each answer. Also the details of an error. */
ALK_API struct alk_out *alk_request_out(struct alk_request *r);

/* Sends what was written to alk_request_out ({} when nothing was).
 * Query, mutation: the request is over (ALK_OK always). Subscription: one answer;
 * ALK_FULL: not taken and still in alk_request_out, `writable` follows;
 * ALK_E_CLOSED: cancelled, dropped. */
ALK_API alk_err alk_request_respond(struct alk_request *r);
/* Ends a subscription. The request is over. */
ALK_API void alk_request_complete(struct alk_request *r);
/* Ends any request with an error: a shared code or a declared one; message: one
 * sentence for a person, NULL: a standard one. What was written to alk_request_out
 * are the details. The request is over. */
ALK_API void alk_request_fail(struct alk_request *r, const char *code, const char *message);
/* The same from an error of the library. */
ALK_API void alk_request_fail_err(struct alk_request *r, alk_err err, const char *message);

/* --- composition ------------------------------------------------------------ */

struct alk_child;
/* What came of a composed call. output and details borrow until the call returns. */
struct alk_child_calls {
    /* The answer of a call, or one of a subscription. May be NULL. */
    void (*responded)(void *ctx, struct alk_child *child, struct alk_span output);
    /* Last, exactly once; not after alk_child_cancel. code NULL: success. Never inside
     * alk_request_call. */
    void (*ended)(void *ctx, struct alk_child *child, const char *code, const char *message,
                  bool is_retryable, struct alk_span details);
};
struct alk_child_options {
    size_t struct_size;
    const char *op;
    struct alk_span input; /* JSON text; empty: {} */
    uint64_t timeout_ms;   /* 0: the operation's; the parent's is never exceeded */
    bool continue_running; /* goes on when the parent is cancelled or ends */
};
/* Runs another operation that alk_op.calls names, with this request's rights.
 * ALK_OK: `ended` follows; *ret until then. ALK_E_FORBIDDEN: not among `calls`.
 * ALK_E_LIMIT: 8 deep. ALK_E_NOMEM. What the other operation says (NOT_FOUND, ...)
 * comes through `ended`. */
ALK_NODISCARD ALK_API alk_err alk_request_call(struct alk_request *r,
                                               const struct alk_child_options *options,
                                               const struct alk_child_calls *calls, void *ctx,
                                               struct alk_child **ret);
/* No further call for it. */
ALK_API void alk_child_cancel(struct alk_child *child);

/* --- writing JSON ------------------------------------------------------------ */

/* Values are written in order; commas and colons come by themselves. Errors (no
 * memory, over 1 MiB, a call out of place) stick and fail the answer. Text that is
 * not UTF-8 becomes U+FFFD. */
ALK_API void alk_out_object(struct alk_out *out);
ALK_API void alk_out_array(struct alk_out *out);
ALK_API void alk_out_end(struct alk_out *out); /* of the innermost object or array */
ALK_API void alk_out_key(struct alk_out *out, const char *name);
ALK_API void alk_out_key_span(struct alk_out *out, struct alk_span name);
ALK_API void alk_out_text(struct alk_out *out, const char *text); /* NULL: null */
ALK_API void alk_out_span(struct alk_out *out, struct alk_span text);
ALK_API void alk_out_i64(struct alk_out *out, int64_t v);
ALK_API void alk_out_u64(struct alk_out *out, uint64_t v);
ALK_API void alk_out_real(struct alk_out *out, double v); /* not finite: null */
ALK_API void alk_out_bool(struct alk_out *out, bool v);
ALK_API void alk_out_null(struct alk_out *out);
ALK_API void alk_out_base64(struct alk_out *out, struct alk_span bytes);
/* JSON text that is known to be one strict value. */
ALK_API void alk_out_json(struct alk_out *out, struct alk_span json);

#ifdef __cplusplus
}
#endif

#endif
