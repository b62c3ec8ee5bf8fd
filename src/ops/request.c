/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/request.h"

#include "base/mem.h"
#include "ops/trace.h"

/* Inputs up to here are parsed into the request's own memory; above, a block of four
 * times the size would cost more than two calls of the heap. */
#define POOL_INPUT_MAX ((size_t)16 << 10)

/* Providers that a request is handed to after the first. */
#define RETRIES_MAX 4

/* --- memory of what it parses and writes --------------------------------------- */

static bool is_in_pool(const struct alk_request_pool *pool, const void *p)
{
    return (uintptr_t)p >= (uintptr_t)pool->p && (uintptr_t)p < (uintptr_t)pool->p + pool->size;
}

/* The block is taken when it is needed first: of requests that wait for their turn
 * none has one, and the next of them gets the one that the last has warmed. */
static void open_pool(struct alk_request *r)
{
    struct alk_request_pool *pool = &r->pool;
    if (pool->p == NULL && pool->size > 0) {
        pool->p = alk_blocks_take(alk_loop_blocks(r->loop), pool->mem, pool->size);
        pool->size = pool->p == NULL ? 0 : alk_blocks_size(pool->size);
    }
}

static void *pool_alloc(void *ctx, size_t n)
{
    struct alk_request_pool *pool = ctx;
    open_pool(ALK_CONTAINER(pool, struct alk_request, pool));
    size_t at = (pool->at + 15) & ~(size_t)15;

    if (at <= pool->size && n <= pool->size - at) {
        pool->at = at + n;
        return pool->p + at;
    }
    return alk_alloc(pool->mem, n);
}

static void pool_free(void *ctx, void *p)
{
    struct alk_request_pool *pool = ctx;
    if (!is_in_pool(pool, p)) {
        alk_free(pool->mem, p);
    }
}

static void *pool_resize(void *ctx, void *p, size_t old, size_t n)
{
    struct alk_request_pool *pool = ctx;

    if (!is_in_pool(pool, p)) {
        return alk_resize(pool->mem, p, n);
    }
    void *to = pool_alloc(pool, n);
    if (to != NULL) {
        memcpy(to, p, old < n ? old : n);
    }
    return to;
}

/* As pool_resize, for who does not say how large the old one was: nothing of the pool
 * lies behind the place that was given last. */
static void *pool_mem_resize(void *ctx, void *p, size_t n)
{
    struct alk_request_pool *pool = ctx;
    if (p == NULL) {
        return pool_alloc(pool, n);
    }
    size_t most = is_in_pool(pool, p) ? pool->at - (size_t)((uint8_t *)p - pool->p) : 0;
    return pool_resize(ctx, p, most, n);
}

/* yyjson copies it into the document. */
struct yyjson_alc alk_request_alc(struct alk_request *r)
{
    return (struct yyjson_alc){pool_alloc, pool_resize, pool_free, &r->pool};
}

/* Of the request's own only what lies in its block: that is given back with it. */
void *alk_request_alloc(struct alk_request *r, size_t n)
{
    void *p = pool_alloc(&r->pool, n);
    if (p != NULL && !is_in_pool(&r->pool, p)) {
        alk_free(r->pool.mem, p);
        p = NULL;
    }
    return p;
}

/* yyjson takes a copy of the text and 16 bytes for each six of it, and some; the rest
 * is for the answer. */
static size_t pool_size(const struct alk_request *r)
{
    if (alk_request_takes_text(r)) {
        return sizeof(struct alk_schema_parts) + ALK_REQUEST_OUT;
    }
    return r->input.n > POOL_INPUT_MAX ? 0 : r->input.n * 4 + 384 + ALK_REQUEST_OUT;
}

/* --- making ------------------------------------------------------------------- */

static void on_soon(void *ctx);
static void on_timer(struct alk_timer *timer, void *ctx);

static void hold_right(struct alk_request *r, const struct alk_identity *who)
{
    r->rights.holders[r->rights.n++] = who == NULL ? NULL : alk_identity_ref(who);
}

static void set_rights(struct alk_request *r, const struct alk_start_spec *spec)
{
    r->rights.who = spec->authority != NULL ? spec->authority : spec->caller;
    hold_right(r, spec->caller);
    if (spec->authority != NULL) {
        hold_right(r, spec->authority);
    }
}

/* Composed: scopes are the authority's; resources what both of them may touch,
 * unless the operation that composes says otherwise. */
static void inherit_rights(struct alk_request *r, const struct alk_request *parent,
                           bool is_composed)
{
    const struct alk_identity *authority = is_composed ? parent->op->authority : NULL;
    bool is_own = authority != NULL && (parent->op->flags & ALK_OP_OWN_AUTHORITY) != 0;

    r->rights.who = authority != NULL ? authority : parent->rights.who;
    for (unsigned i = 0; !is_own && i < parent->rights.n; i++) {
        hold_right(r, parent->rights.holders[i]);
    }
    if (authority != NULL) {
        hold_right(r, authority);
    }
}

static alk_time from_ms(uint64_t ms)
{
    return ms > UINT64_MAX / 4 / ALK_MS ? UINT64_MAX / 4 : ms * ALK_MS;
}

static alk_time deadline_of(const struct alk_request *r, uint64_t asked_ms)
{
    const struct alk_op *op = r->op;
    alk_time asked = from_ms(asked_ms);
    alk_time limit = from_ms(r->ops->timeout_ms);

    if (op == NULL || op->kind == ALK_OP_SUBSCRIPTION) {
        return ALK_NEVER;
    }
    if (op->timeout_ms > 0) {
        limit = from_ms(op->timeout_ms);
    }
    if ((op->flags & ALK_OP_NO_TIMEOUT) != 0) {
        limit = asked > 0 ? asked : ALK_NEVER;
    } else if (asked > 0) {
        /* An operation that sets a time of its own means it. */
        limit = op->timeout_ms > 0 && limit < asked ? limit : asked;
        alk_time most = from_ms(r->ops->timeout_max_ms);
        limit = limit < most ? limit : most;
    }
    return limit == ALK_NEVER ? ALK_NEVER : r->begun + limit;
}

static char *put_text(uint8_t **at, struct alk_span s)
{
    char *to = (char *)*at;
    if (s.n > 0) {
        memcpy(to, s.p, s.n);
    }
    to[s.n] = '\0';
    *at += s.n + 1;
    return to;
}

/* Texts behind the struct. */
static void fill_block(struct alk_request *r, struct alk_span name, struct alk_span trace,
                       struct alk_span input)
{
    uint8_t *at = (uint8_t *)(r + 1);

    r->name = put_text(&at, name);
    r->traceparent = alk_span(put_text(&at, trace), trace.n);
    r->input = alk_span(put_text(&at, input), input.n);
}

static void init_pool(struct alk_request *r)
{
    r->pool = (struct alk_request_pool){.mem = r->ops->mem, .size = pool_size(r)};
    r->pool_mem = (struct alk_mem){pool_alloc, pool_mem_resize, pool_free, &r->pool};
}

alk_err alk_request_new(struct alk_ops *ops, const struct alk_start_spec *spec,
                        const struct alk_inner_spec *inner, const struct alk_face *face, void *ctx,
                        struct alk_request **ret)
{
    bool is_too_large = spec->input.n > ALK_OPS_INPUT_MAX;
    struct alk_span input = is_too_large || spec->input.n == 0 ? ALK_LIT("{}") : spec->input;
    /* What is longer cannot be there; it is cut for the log. */
    struct alk_span name = alk_span_head(spec->op, ALK_OP_NAME_MAX);
    struct alk_span trace = spec->traceparent;
    if (trace.n > 0 && !alk_traceparent_is_valid(trace)) {
        trace.n = 0;
    }
    size_t n = sizeof(struct alk_request) + name.n + trace.n + input.n + 3;
    struct alk_request *r = alk_blocks_take(alk_loop_blocks(spec->loop), ops->mem, n);

    if (r == NULL) {
        return ALK_E_NOMEM;
    }
    memset(r, 0, offsetof(struct alk_request, rights) + offsetof(struct alk_rights, holders));
    r->rights.n = 0;
    r->magic = ALK_REQUEST_MAGIC;
    r->size = n;
    r->ops = ops;
    r->loop = spec->loop;
    fill_block(r, name, trace, input);
    if (name.n == spec->op.n) {
        r->pick = alk_ops_pick(ops, name, NULL);
    }
    if (r->pick.provider != NULL) {
        r->op = &r->pick.provider->copy->op; /* which keeps the registry, too */
    } else {
        alk_ops_ref(ops);
    }
    init_pool(r);
    r->face = face;
    r->face_ctx = ctx;
    r->auth = spec->auth;
    r->caller = spec->caller == NULL ? NULL : alk_identity_ref(spec->caller);
    r->may_see_internal = spec->may_see_internal;
    r->depth = spec->depth;
    r->is_too_large = is_too_large;
    r->is_scanned = spec->is_scanned;
    if (inner == NULL) {
        set_rights(r, spec);
    } else {
        inherit_rights(r, inner->parent, inner->is_composed);
        r->is_batched = inner->is_batched;
    }
    r->begun = alk_loop_now(r->loop);
    r->deadline = deadline_of(r, spec->timeout_ms);
    if (inner != NULL && inner->deadline < r->deadline) {
        r->deadline = inner->deadline;
    }
    alk_out_init(&r->out, &r->pool_mem, ALK_OPS_INPUT_MAX);
    alk_list_init(&r->children);
    r->timer = (struct alk_timer){.fn = on_timer, .ctx = r};
    r->soon = (struct alk_soon){.fn = on_soon, .ctx = r};
    alk_loop_soon(r->loop, &r->soon);
    *ret = r;
    return ALK_OK;
}

alk_err alk_ops_start(struct alk_ops *ops, const struct alk_start_spec *spec,
                      const struct alk_face *face, void *ctx, struct alk_request **ret)
{
    return alk_request_new(ops, spec, NULL, face, ctx, ret);
}

static void request_free(struct alk_request *r)
{
    const struct alk_mem *mem = r->ops->mem;
    struct alk_blocks *blocks = alk_loop_blocks(r->loop);

    ALK_ASSERT(alk_list_is_empty(&r->children));
    alk_loop_soon_cancel(&r->soon);
    alk_timer_stop(r->loop, &r->timer);
    yyjson_doc_free(r->doc);
    alk_out_fini(&r->out);
    if (r->pick.provider != NULL) {
        alk_op_pick_drop(r->pick); /* the registry may go with it */
    } else {
        alk_ops_unref(r->ops);
    }
    for (unsigned i = 0; i < r->rights.n; i++) {
        alk_identity_unref(r->rights.holders[i]);
    }
    alk_identity_unref(r->caller);
    alk_blocks_give(blocks, mem, r->pool.p, r->pool.size);
    r->magic = 0;
    alk_blocks_give(blocks, mem, r, r->size);
}

bool alk_request_settle(struct alk_request *r)
{
    if (r->face != NULL || !r->is_over || r->holds > 0) {
        return false;
    }
    request_free(r);
    return true;
}

/* --- running ------------------------------------------------------------------ */

static void count_refused(struct alk_request *r, const char *code)
{
    if (r->op == NULL) {
        (void)atomic_fetch_add_explicit(&r->ops->unknown, 1, memory_order_relaxed);
    } else {
        struct alk_op_stats *stats = &r->pick.provider->slot->stats;
        (void)atomic_fetch_add_explicit(&stats->errors[alk_ops_code_index(code)], 1,
                                        memory_order_relaxed);
    }
}

static void run_op(struct alk_request *r)
{
    r->holds++;
    r->op->fn(r->pick.provider->ctx, r);
    r->holds--;
    if (alk_request_settle(r)) {
        return;
    }
    /* Only who did not answer at once needs the timer. */
    if (!r->is_over && !r->is_cancelled && r->deadline != ALK_NEVER) {
        alk_timer_set(r->loop, &r->timer, r->deadline);
    }
}

static void begin(struct alk_request *r)
{
    struct alk_refusal refusal; /* not zeroed: the text is large */
    refusal.message = NULL;
    const char *code = r->revoked != NULL ? r->revoked : alk_request_check(r, &refusal);

    r->has_begun = true;
    r->revoked = NULL;
    alk_ops_audit_request(r->ops, r, code);
    if (code == NULL) {
        (void)atomic_fetch_add_explicit(&r->pick.provider->slot->stats.active, 1,
                                        memory_order_relaxed);
        run_op(r);
        return;
    }
    struct alk_span details = {NULL, 0};
    if (r->out.is_over && alk_out_done(&r->out, &details) != ALK_OK) {
        details = (struct alk_span){NULL, 0};
    }
    count_refused(r, code);
    r->is_over = true;
    r->holds++;
    alk_request_tell_end(r, code, refusal.message, details);
    r->holds--;
    (void)alk_request_settle(r);
}

void alk_request_begin(struct alk_request *r)
{
    ALK_ASSERT(!r->has_begun);
    alk_loop_soon_cancel(&r->soon);
    begin(r);
}

static void on_soon(void *ctx)
{
    struct alk_request *r = ctx;

    if (!r->has_begun) {
        begin(r);
        return;
    }
    if (r->revoked != NULL) {
        const char *code = r->revoked;
        r->revoked = NULL;
        r->holds++;
        alk_request_tell_end(r, code, NULL, (struct alk_span){NULL, 0});
        r->holds--;
        alk_request_stop(r, code);
        return;
    }
    if (r->owes_cancelled) {
        alk_request_stop(r, r->stopped);
    } else if (r->owes_writable) {
        r->owes_writable = false;
        alk_request_writable(r);
    }
}

static void on_timer(struct alk_timer *timer, void *ctx)
{
    struct alk_request *r = ctx;
    (void)timer;
    r->holds++;
    atomic_store_explicit(&r->pick.provider->passed_over, ALK_PASSED_OVER, memory_order_relaxed);
    alk_request_tell_end(r, ALK_OPS_TIMEOUT, NULL, (struct alk_span){NULL, 0});
    r->holds--;
    alk_request_stop(r, ALK_OPS_TIMEOUT);
}

void alk_request_heard(const struct alk_request *r)
{
    struct alk_op_provider *p = r->pick.provider;
    if (atomic_load_explicit(&p->passed_over, memory_order_relaxed) != 0) {
        atomic_store_explicit(&p->passed_over, 0, memory_order_relaxed);
    }
}

alk_err alk_request_retry(struct alk_request *r)
{
    ALK_ASSERT(r->magic == ALK_REQUEST_MAGIC && r->has_begun && !r->is_over);
    if (r->retries == RETRIES_MAX || r->is_cancelled) {
        return ALK_E_NOENT;
    }
    struct alk_op_pick pick = alk_ops_pick(r->ops, alk_span_str(r->name), r->pick.provider);
    if (pick.provider == NULL || pick.is_ghost || !pick.provider->is_remote) {
        alk_op_pick_drop(pick);
        return ALK_E_NOENT;
    }
    r->retries++;
    (void)atomic_fetch_sub_explicit(&r->pick.provider->slot->stats.active, 1, memory_order_relaxed);
    alk_op_pick_drop(r->pick);
    r->pick = pick;
    r->op = &pick.provider->copy->op;
    r->calls = NULL;
    alk_out_clear(&r->out);
    (void)atomic_fetch_add_explicit(&pick.provider->slot->stats.active, 1, memory_order_relaxed);
    run_op(r);
    return ALK_OK;
}

void alk_request_tell_end(struct alk_request *r, const char *code, const char *message,
                          struct alk_span details)
{
    const struct alk_face *face = r->face;
    if (face == NULL) {
        return;
    }
    struct alk_outcome outcome = {
        .code = code,
        .message = message != NULL ? message
                   : code == NULL  ? ""
                                   : alk_ops_code_text(code),
        .is_retryable = code != NULL && alk_ops_code_is_retryable(code),
        .details = details,
    };
    r->face = NULL;
    face->ended(r->face_ctx, r, &outcome);
}

void alk_request_stop(struct alk_request *r, const char *code)
{
    ALK_ASSERT(r->face == NULL);
    if (!r->is_cancelled) {
        r->is_cancelled = true;
        r->owes_cancelled = true;
        r->stopped = code;
        r->auth = NULL;
        alk_timer_stop(r->loop, &r->timer);
        alk_children_abort(r);
    }
    if (r->holds > 0) {
        alk_loop_soon(r->loop, &r->soon); /* the operation may be on the stack */
        return;
    }
    bool is_due = r->owes_cancelled && !r->is_over;
    r->owes_cancelled = false;
    if (is_due && r->calls != NULL && r->calls->cancelled != NULL) {
        r->holds++;
        r->calls->cancelled(r->calls_ctx, r);
        r->holds--;
    }
    (void)alk_request_settle(r);
}
