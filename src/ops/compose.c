/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations that call operations: the child is a request of its own whose face is
 * the parent. */
#include "base/mem.h"
#include "ops/request.h"

#define CHILD_MAGIC 0x616c6b63 /* "alkc" */

struct alk_child {
    uint32_t magic;
    struct alk_request *request; /* NULL: ended, or aborted */
    const struct alk_child_calls *calls;
    void *ctx;
    const struct alk_mem *mem;
    struct alk_link in;   /* the parent's children; in no list: the parent is over */
    struct alk_soon soon; /* tells that it was aborted */
    bool goes_on;
    bool is_busy; /* a call of the parent's is on the stack */
    bool is_dead; /* no further call; freed when not busy */
};

/* No further call for it. */
static void child_drop(struct alk_child *c)
{
    struct alk_request *request = c->request;

    c->request = NULL;
    c->is_dead = true;
    alk_list_remove(&c->in);
    alk_loop_soon_cancel(&c->soon);
    if (request != NULL) {
        alk_request_cancel(request);
    }
    if (!c->is_busy) {
        c->magic = 0;
        alk_free(c->mem, c);
    }
}

/* --- the child's face --------------------------------------------------------- */

static void tell_ended(struct alk_child *c, const struct alk_outcome *o)
{
    c->request = NULL;
    c->is_busy = true;
    if (c->calls->ended != NULL) {
        c->calls->ended(c->ctx, c, o->code, o->message, o->is_retryable, o->details);
    }
    c->is_busy = false;
    child_drop(c);
}

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    static const struct alk_outcome success = {.message = ""};
    struct alk_child *c = ctx;
    (void)r;

    if (is_last) {
        c->request = NULL;
    }
    c->is_busy = true;
    if (c->calls->responded != NULL) {
        c->calls->responded(c->ctx, c, output);
    }
    c->is_busy = false;
    if (c->is_dead) {
        child_drop(c);
        return ALK_E_CLOSED;
    }
    if (is_last) {
        tell_ended(c, &success);
    }
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *outcome)
{
    (void)r;
    tell_ended(ctx, outcome);
}

static const struct alk_face child_face = {on_responded, on_ended};

static void on_aborted(void *ctx)
{
    struct alk_outcome outcome = {.code = ALK_OPS_ABORTED,
                                  .message = alk_ops_code_text(ALK_OPS_ABORTED)};
    tell_ended(ctx, &outcome);
}

/* --- the parent's side -------------------------------------------------------- */

static bool names(const char *const *calls, const char *op)
{
    for (; calls != NULL && *calls != NULL; calls++) {
        if (strcmp(*calls, op) == 0) {
            return true;
        }
    }
    return false;
}

static alk_err child_start(struct alk_request *r, const struct alk_child_options *o,
                           struct alk_child *c)
{
    struct alk_start_spec spec = {
        .loop = r->loop,
        .op = alk_span_str(o->op),
        .input = o->input,
        .caller = r->caller,
        .auth = o->continue_running ? NULL : r->auth, /* it may outlive the connection */
        .timeout_ms = o->timeout_ms,
        .traceparent = r->traceparent,
        .may_see_internal = true,
        .depth = r->depth + 1,
    };
    struct alk_inner_spec inner = {
        .parent = r,
        .is_composed = true,
        .deadline = o->continue_running ? ALK_NEVER : r->deadline,
    };
    return alk_request_new(r->ops, &spec, &inner, &child_face, c, &c->request);
}

alk_err alk_request_call(struct alk_request *r, const struct alk_child_options *options,
                         const struct alk_child_calls *calls, void *ctx, struct alk_child **ret)
{
    struct alk_child_options o = {.struct_size = 0};

    ALK_ASSERT(r->magic == ALK_REQUEST_MAGIC && r->has_begun && !r->is_over);
    memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    if (!names(r->op->calls, o.op)) {
        return ALK_E_FORBIDDEN;
    }
    if (r->depth >= ALK_OPS_DEPTH_MAX) {
        return ALK_E_LIMIT;
    }
    struct alk_child *c = ALK_NEW(r->ops->mem, struct alk_child);
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    *c = (struct alk_child){.magic = CHILD_MAGIC,
                            .calls = calls,
                            .ctx = ctx,
                            .mem = r->ops->mem,
                            .soon = {.fn = on_aborted, .ctx = c},
                            .goes_on = o.continue_running};
    if (r->is_cancelled && !o.continue_running) {
        alk_loop_soon(r->loop, &c->soon); /* nobody waits for it: it never begins */
    } else {
        alk_err err = child_start(r, &o, c);
        if (err != ALK_OK) {
            alk_free(c->mem, c);
            return err;
        }
    }
    alk_list_append(&r->children, &c->in);
    *ret = c;
    return ALK_OK;
}

void alk_child_cancel(struct alk_child *child)
{
    ALK_ASSERT(child->magic == CHILD_MAGIC);
    child_drop(child);
}

void alk_children_abort(struct alk_request *r)
{
    struct alk_link *l = alk_list_first(&r->children);

    while (l != NULL) {
        struct alk_child *c = ALK_CONTAINER(l, struct alk_child, in);
        struct alk_request *request = c->request;
        l = alk_list_next(&r->children, l);
        if (!c->goes_on && request != NULL) {
            c->request = NULL;
            alk_loop_soon(r->loop, &c->soon);
            alk_request_cancel(request);
        }
    }
}

void alk_children_drop(struct alk_request *r)
{
    struct alk_link *l;

    while ((l = alk_list_pop(&r->children)) != NULL) {
        struct alk_child *c = ALK_CONTAINER(l, struct alk_child, in);
        if (!c->goes_on) {
            child_drop(c);
        }
    }
}

void alk_children_set_caller(struct alk_request *r, const struct alk_identity *caller)
{
    struct alk_link *l = alk_list_first(&r->children);

    for (; l != NULL; l = alk_list_next(&r->children, l)) {
        struct alk_child *c = ALK_CONTAINER(l, struct alk_child, in);
        if (c->request != NULL) {
            alk_request_set_caller(c->request, caller);
        }
    }
}
