/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How requests are answered, ended and cancelled, and what may be asked of them. */
#include "core/auth/audit.h"
#include "core/auth/identity.h"
#include "core/frame.h"
#include "ops/request.h"

#include <stdio.h>

/* A request that the operation may still end: anything else is a bug of its. */
static void check_live(const struct alk_request *r)
{
    ALK_ASSERT(r->magic == ALK_REQUEST_MAGIC && r->has_begun && !r->is_over);
}

/* --- answers ------------------------------------------------------------------ */

/* The operation has ended the request. code NULL: success. */
static void over(struct alk_request *r, const char *code)
{
    struct alk_op_stats *stats = &r->pick.provider->slot->stats;
    code = r->stopped != NULL ? r->stopped : code;
    atomic_uint_fast64_t *count =
        code == NULL ? &stats->ok : &stats->errors[alk_ops_code_index(code)];

    r->is_over = true;
    alk_timer_stop(r->loop, &r->timer);
    (void)atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(&stats->active, 1, memory_order_relaxed);
    alk_time now = alk_clock_now(); /* the turn's clock does not see what fn took */
    alk_histogram_add(&stats->time, now > r->begun ? now - r->begun : 0);
    if (!alk_list_is_empty(&r->children)) {
        alk_children_drop(r);
    }
}

/* Ends it with an error that is not the operation's own. */
static void fail_broken(struct alk_request *r, const char *code, const char *what)
{
    alk_ops_complain(r->ops, r->name, what);
    alk_out_clear(&r->out);
    over(r, code);
    r->holds++;
    alk_request_tell_end(r, code, NULL, (struct alk_span){NULL, 0});
    r->holds--;
    (void)alk_request_settle(r);
}

/* The report is large: not on the stack of those that have no schema. */
static __attribute__((noinline)) const char *check_schema(const struct alk_schema *schema,
                                                          struct alk_span text, const char *what,
                                                          char *why, size_t why_size)
{
    struct alk_schema_report report = {.count = 0};
    struct yyjson_doc *doc = NULL;

    alk_err err = alk_json_parse(text, &doc);
    if (err == ALK_OK) {
        err = alk_schema_check(schema, yyjson_doc_get_root(doc), &report);
    }
    yyjson_doc_free(doc);
    if (err == ALK_OK) {
        return NULL;
    }
    (void)snprintf(why, why_size, "its %s does not fit its schema: at \"%s\": %s", what,
                   report.errors[0].at,
                   report.count > 0 ? report.errors[0].what : alk_err_text(err));
    return err == ALK_E_NOMEM ? ALK_OPS_EXHAUSTED : ALK_OPS_INTERNAL;
}

/* NULL: it may go out. what: whose schema it is. */
static const char *check_text(const struct alk_schema *schema, struct alk_span text,
                              const char *what, char *why, size_t why_size)
{
    return schema == NULL ? NULL : check_schema(schema, text, what, why, why_size);
}

/* What was written, or why it cannot go out. NULL: *ret is set. */
static const char *take_output(struct alk_request *r, struct alk_span *ret, char *why,
                               size_t why_size)
{
    alk_err err = alk_out_done(&r->out, ret);
    if (err == ALK_OK) {
        return check_text(r->pick.provider->copy->output, *ret, "output", why, why_size);
    }
    (void)snprintf(why, why_size, "its output cannot be sent: %s", alk_err_text(err));
    if (err == ALK_E_TOO_BIG) {
        return ALK_OPS_TOO_LARGE;
    }
    return err == ALK_E_NOMEM ? ALK_OPS_EXHAUSTED : ALK_OPS_INTERNAL;
}

static alk_err respond_once(struct alk_request *r, struct alk_span output)
{
    const struct alk_face *face = r->face;

    over(r, NULL);
    r->face = NULL;
    if (face != NULL) {
        r->holds++;
        (void)face->responded(r->face_ctx, r, output, true);
        r->holds--;
    }
    (void)alk_request_settle(r);
    return ALK_OK;
}

static alk_err respond_many(struct alk_request *r, struct alk_span output)
{
    r->holds++;
    alk_err err = r->face->responded(r->face_ctx, r, output, false);
    r->holds--;
    r->is_full = err == ALK_FULL;
    if (r->face == NULL) {
        err = ALK_E_CLOSED; /* it cancelled in there; `cancelled` follows soon */
    }
    if (err != ALK_FULL) {
        alk_out_clear(&r->out);
    }
    return err;
}

alk_err alk_request_respond(struct alk_request *r)
{
    struct alk_span output = {NULL, 0};
    char why[512];

    why[0] = '\0'; /* all of it would cost more than the rest of an answer */
    check_live(r);
    bool is_stream = r->op->kind == ALK_OP_SUBSCRIPTION;
    if (r->face == NULL) {
        if (!is_stream) {
            return respond_once(r, output);
        }
        alk_out_clear(&r->out);
        return ALK_E_CLOSED;
    }
    const char *code = take_output(r, &output, why, sizeof why);
    if (code == NULL) {
        return is_stream ? respond_many(r, output) : respond_once(r, output);
    }
    if (!is_stream) {
        fail_broken(r, code, why);
        return ALK_OK;
    }
    /* The subscription ends for the caller; the operation hears `cancelled`. */
    alk_ops_complain(r->ops, r->name, why);
    alk_out_clear(&r->out);
    r->holds++;
    alk_request_tell_end(r, code, NULL, (struct alk_span){NULL, 0});
    alk_request_stop(r, code);
    r->holds--;
    return ALK_E_CLOSED;
}

alk_err alk_request_respond_json(struct alk_request *r, struct alk_span json)
{
    check_live(r);
    bool is_stream = r->op->kind == ALK_OP_SUBSCRIPTION;
    if (r->face == NULL && is_stream) {
        return ALK_E_CLOSED;
    }
    if (r->face == NULL || r->pick.provider->copy->output == NULL) {
        return is_stream ? respond_many(r, json) : respond_once(r, json);
    }
    /* Outputs are checked: the usual way. */
    alk_out_clear(&r->out);
    alk_out_json(&r->out, json);
    alk_err err = alk_request_respond(r);
    if (err == ALK_FULL) {
        alk_out_clear(&r->out);
    }
    return err;
}

void alk_request_complete(struct alk_request *r)
{
    check_live(r);
    ALK_ASSERT(r->op->kind == ALK_OP_SUBSCRIPTION);
    over(r, NULL);
    r->holds++;
    alk_request_tell_end(r, NULL, NULL, (struct alk_span){NULL, 0});
    r->holds--;
    (void)alk_request_settle(r);
}

/* Place in the operation's errors; SIZE_MAX: it did not declare the code. */
static size_t error_index(const struct alk_op *op, const char *code)
{
    const struct alk_op_error *e = op->errors;
    for (size_t i = 0; e != NULL && e[i].code != NULL; i++) {
        if (strcmp(e[i].code, code) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* What was written as details. NULL: *ret is set, empty when there are none. */
static const char *take_details(struct alk_request *r, size_t error, struct alk_span *ret,
                                char *why, size_t why_size)
{
    const struct alk_op_copy *copy = r->pick.provider->copy;

    /* Details that are not whole are left out: the code matters more. */
    if (!r->out.is_over || alk_out_done(&r->out, ret) != ALK_OK) {
        *ret = (struct alk_span){NULL, 0};
        return NULL;
    }
    if (copy->details == NULL || error == SIZE_MAX) {
        return NULL;
    }
    char what[ALK_OP_CODE_MAX + 16];
    (void)snprintf(what, sizeof what, "value of %s", copy->op.errors[error].code);
    return check_text(copy->details[error], *ret, what, why, why_size);
}

void alk_request_fail(struct alk_request *r, const char *code, const char *message)
{
    struct alk_span details = {NULL, 0};
    char why[512];

    check_live(r);
    if (r->is_full) {
        alk_out_clear(&r->out); /* an answer that was refused, no details */
    }
    size_t error = error_index(r->op, code);
    if (alk_ops_code_index(code) == ALK_OPS_CODES - 1 && error == SIZE_MAX) {
        (void)snprintf(why, sizeof why, "it failed with a code that it did not declare: %.*s",
                       ALK_OP_CODE_MAX, code);
        fail_broken(r, ALK_OPS_INTERNAL, why);
        return;
    }
    const char *broken = take_details(r, error, &details, why, sizeof why);
    if (broken != NULL) {
        fail_broken(r, broken, why);
        return;
    }
    if (strcmp(code, ALK_OPS_FORBIDDEN) == 0) {
        /* It was allowed to ask: of a topic, a path or a ref only the operation knows. */
        alk_ops_audit_request(r->ops, r, code);
    }
    over(r, code);
    r->holds++;
    alk_request_tell_end(r, code, message, details);
    r->holds--;
    (void)alk_request_settle(r);
}

void alk_request_fail_err(struct alk_request *r, alk_err err, const char *message)
{
    const char *code = alk_frame_code(err);

    if (strcmp(code, ALK_OPS_INVALID_FRAME) == 0) {
        code = ALK_OPS_INTERNAL; /* no frame of the caller's was wrong */
    }
    alk_request_fail(r, code, message != NULL ? message : alk_err_text(err));
}

/* --- the face's side ---------------------------------------------------------- */

void alk_request_writable(struct alk_request *r)
{
    if (r->holds > 0) { /* the operation may be on the stack */
        r->owes_writable = true;
        alk_loop_soon(r->loop, &r->soon);
        return;
    }
    if (!r->is_full || r->is_cancelled) {
        return; /* nobody waits for it */
    }
    r->is_full = false;
    if (r->calls != NULL && r->calls->writable != NULL) {
        r->holds++;
        r->calls->writable(r->calls_ctx, r);
        r->holds--;
        (void)alk_request_settle(r);
    }
}

void alk_request_cancel(struct alk_request *r)
{
    ALK_ASSERT(r->magic == ALK_REQUEST_MAGIC);
    r->face = NULL;
    r->revoked = NULL;
    if (!r->has_begun) {
        r->is_over = true;
        (void)alk_request_settle(r);
        return;
    }
    alk_request_stop(r, ALK_OPS_ABORTED);
}

static void replace(const struct alk_identity **at, const struct alk_identity *to)
{
    const struct alk_identity *old = *at;
    *at = to == NULL ? NULL : alk_identity_ref(to);
    alk_identity_unref(old);
}

void alk_request_set_caller(struct alk_request *r, const struct alk_identity *caller)
{
    const struct alk_identity *old = r->caller;
    bool was_nobody = old == NULL;

    if (old == caller || r->face == NULL) {
        return;
    }
    /* The others are authorities, which are the node's. */
    bool was_who = r->rights.who == old;
    for (unsigned i = 0; i < r->rights.n; i++) {
        if (r->rights.holders[i] == old) {
            replace(&r->rights.holders[i], caller);
        }
    }
    if (was_who) {
        r->rights.who = caller;
    }
    alk_children_set_caller(r, caller);
    bool is_batch = alk_batch_set_caller(r, caller);
    replace(&r->caller, caller);
    if (is_batch) {
        return;
    }
    bool is_gone = caller == NULL ? !was_nobody : alk_identity_is_disabled(caller);
    if (is_gone || (r->has_begun && !alk_request_is_allowed(r))) {
        r->revoked = ALK_OPS_UNAUTHENTICATED;
        alk_loop_soon(r->loop, &r->soon);
    }
}

/* --- views -------------------------------------------------------------------- */

const char *alk_request_op(const struct alk_request *r)
{
    return r->name;
}

enum { REQUEST_ID_LEN = 16 };
_Static_assert(REQUEST_ID_LEN < ALK_OPS_REQUEST_ID, "an id and its zero");

/* Eight hex digits. */
static inline void put_hex(char *dst, uint32_t v)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t d = v; /* a digit in each byte: halves, then halves of these, move apart */
    d = (d | d << 16) & UINT64_C(0x0000ffff0000ffff);
    d = (d | d << 8) & UINT64_C(0x00ff00ff00ff00ff);
    d = (d | d << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t letters = (d + ones * 6) >> 4 & ones; /* 1 for each from 10 on */
    d += ones * '0' + letters * ('a' - 10 - '0');
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    d = __builtin_bswap64(d); /* the highest comes first */
#endif
    memcpy(dst, &d, sizeof d);
}

const char *alk_request_id(const struct alk_request *r)
{
    if (r->id[0] == '\0') {
        /* Given when it is first asked for: most requests are never named. The
         * request belongs to one loop, so nobody else writes here. */
        struct alk_request *own = (struct alk_request *)(uintptr_t)r;
        uint64_t n = atomic_fetch_add_explicit(&r->ops->id_next, 1, memory_order_relaxed);
        n += r->ops->id_base;
        put_hex(own->id, (uint32_t)(n >> 32));
        put_hex(own->id + REQUEST_ID_LEN / 2, (uint32_t)n);
    }
    return r->id;
}

struct alk_loop *alk_request_loop(const struct alk_request *r)
{
    return r->loop;
}

const struct alk_identity *alk_request_caller(const struct alk_request *r)
{
    return r->caller;
}

bool alk_request_has_scope(const struct alk_request *r, const char *scope)
{
    return alk_rights_have_scope(&r->rights, alk_span_str(scope));
}

const struct alk_identity *alk_request_who(const struct alk_request *r)
{
    return r->rights.who;
}

bool alk_request_may(const struct alk_request *r, struct alk_span type, struct alk_span name,
                     struct alk_span action, struct alk_span ref)
{
    return alk_rights_may(&r->rights, type, name, action, ref);
}

const struct alk_auth_context *alk_request_auth(const struct alk_request *r)
{
    return r->auth;
}

alk_time alk_request_deadline(const struct alk_request *r)
{
    return r->deadline;
}

bool alk_request_is_cancelled(const struct alk_request *r)
{
    return r->is_cancelled;
}

void alk_request_on(struct alk_request *r, const struct alk_request_calls *calls, void *ctx)
{
    r->calls = calls;
    r->calls_ctx = ctx;
}

struct alk_span alk_request_input(const struct alk_request *r)
{
    return r->input;
}

struct alk_out *alk_request_out(struct alk_request *r)
{
    /* One allocation for most answers instead of four that double. */
    if (r->out.buf.p == NULL) {
        (void)alk_buf_reserve(&r->out.buf, ALK_REQUEST_OUT);
    }
    return &r->out;
}

struct yyjson_val *alk_request_value(const struct alk_request *r)
{
    return yyjson_doc_get_root(r->doc);
}

enum alk_op_kind alk_request_kind(const struct alk_request *r)
{
    return r->op == NULL ? ALK_OP_QUERY : r->op->kind;
}

struct alk_span alk_request_traceparent(const struct alk_request *r)
{
    return r->traceparent;
}

const struct alk_face *alk_request_face(const struct alk_request *r, void **ret_ctx)
{
    if (r->face != NULL) {
        *ret_ctx = r->face_ctx;
    }
    return r->face;
}

void alk_ops_audit_fill(const struct alk_ops_audit *a, struct alk_audit_record *ret)
{
    const struct alk_request *r = a->request;
    const struct alk_identity *rights = r->rights.who == r->caller ? NULL : r->rights.who;
    const struct alk_auth_context *auth = r->auth;

    /* All that must be asked for first: the record is then made in its place. */
    struct alk_span who = alk_identity_id(r->caller);
    struct alk_span authority = alk_identity_id(rights);
    struct alk_span target = alk_span_str(r->name);
    struct alk_span alpn = alk_span_str(auth == NULL ? NULL : auth->alpn);
    struct alk_span id = alk_span(alk_request_id(r), REQUEST_ID_LEN);
    struct alk_span trace = r->traceparent;
    struct alk_span reason = alk_span_str(a->code);
    *ret = (struct alk_audit_record){
        .who = who,
        .authority = authority,
        .what = ALK_LIT("call"),
        .target = target,
        .remote = auth == NULL ? NULL : auth->remote,
        .alpn = alpn,
        .request_id = id,
        .trace = trace,
        .reason = reason,
        .is_allowed = a->code == NULL,
    };
}
