/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests of the other side: whose are they, start them, carry their answers. */
#include "call/peer.h"

#include "base/mem.h"
#include "core/auth/identity.h"
#include "core/frame.h"
#include "core/io/loop.h"

#include <string.h>
#include <yyjson.h>

/* --- life ----------------------------------------------------------------------- */

static void free_texts(struct alk_peer_request *pr)
{
    const struct alk_mem *mem = pr->peer->mem;
    alk_free(mem, pr->op);
    alk_free(mem, pr->input);
    alk_free(mem, pr->traceparent);
    pr->op = NULL;
    pr->input = NULL;
    pr->traceparent = NULL;
}

/* The wire knows of its end. Kept while a credential of it is being looked up. */
static void finish(struct alk_peer_request *pr)
{
    struct alk_peer *peer = pr->peer;
    if (!pr->is_over) {
        pr->is_over = true;
        pr->request = NULL;
        peer->in_bytes -= pr->bytes;
        alk_list_remove(&pr->in);
        alk_list_remove(&pr->stuck);
    }
    if (pr->is_resolving) {
        return;
    }
    if (pr->token_n > 0) { /* without a credential nothing is copied */
        free_texts(pr);
        alk_free_secret(peer->mem, pr->token, pr->token_n);
    }
    alk_blocks_give(alk_loop_blocks(peer->loop), peer->mem, pr, sizeof(*pr));
}

/* Ends it on the wire with an error. */
static void fail(struct alk_peer_request *pr, const char *code, const char *message)
{
    struct alk_peer *peer = pr->peer;
    struct alk_call_ref ref = pr->ref;
    uint64_t stream = 0;
    bool has_stream = alk_call_stream_of(peer->core, ref, &stream);

    finish(pr);
    alk_err err = alk_call_fail(peer->core, ref, code, alk_span_str(message),
                                alk_ops_code_is_retryable(code), (struct alk_span){0});
    (void)err; /* stale: its stream is gone */
    alk_peer_flush(peer);
    if (has_stream) {
        alk_peer_stream_rest(peer, stream);
    }
}

static void cancel(struct alk_peer_request *pr)
{
    struct alk_request *r = pr->request;
    pr->request = NULL;
    if (r != NULL) {
        alk_request_cancel(r);
    }
}

/* --- the face ------------------------------------------------------------------- */

static void wait_for_room(struct alk_peer_request *pr)
{
    uint64_t id;
    struct alk_peer_stream *ps = alk_call_stream_of(pr->peer->core, pr->ref, &id)
                                     ? alk_peer_find_stream(pr->peer, id)
                                     : NULL;
    if (ps != NULL) {
        alk_list_append(&ps->stuck, &pr->stuck);
    }
}

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct alk_peer_request *pr = (struct alk_peer_request *)ctx;
    struct alk_peer *peer = pr->peer;
    (void)r;

    alk_peer_enter(peer);
    alk_err err = alk_call_respond(peer->core, pr->ref, output, is_last);
    if (is_last && err == ALK_E_TOO_BIG) {
        fail(pr, ALK_OPS_TOO_LARGE, "the answer is larger than a frame may be");
    } else if (is_last) {
        finish(pr);
        alk_peer_flush(peer); /* after which its stream may rest */
    } else if (err == ALK_FULL) {
        wait_for_room(pr);
    } else {
        alk_peer_flush(peer);
    }
    (void)alk_peer_leave(peer);
    return is_last ? ALK_OK : err;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *outcome)
{
    struct alk_peer_request *pr = (struct alk_peer_request *)ctx;
    struct alk_peer *peer = pr->peer;
    struct alk_call_ref ref = pr->ref;
    uint64_t stream = 0;
    (void)r;

    alk_peer_enter(peer);
    bool has_stream = alk_call_stream_of(peer->core, ref, &stream);
    finish(pr);
    alk_err err = outcome->code == NULL ? alk_call_complete(peer->core, ref)
                                        : alk_call_fail(peer->core, ref, outcome->code,
                                                        alk_span_str(outcome->message),
                                                        outcome->is_retryable, outcome->details);
    (void)err; /* stale: its stream is gone, and nobody waits */
    alk_peer_flush(peer);
    if (has_stream) {
        alk_peer_stream_rest(peer, stream);
    }
    (void)alk_peer_leave(peer);
}

static const struct alk_face call_face = {.responded = on_responded, .ended = on_ended};

struct alk_peer *alk_peer_of_request(const struct alk_request *r)
{
    void *ctx = NULL;
    return alk_request_face(r, &ctx) == &call_face ? ((struct alk_peer_request *)ctx)->peer : NULL;
}

struct alk_span alk_peer_credential_of_request(const struct alk_request *r)
{
    void *ctx = NULL;
    const struct alk_face *face = alk_request_face(r, &ctx);
    const struct alk_peer_request *pr = (const struct alk_peer_request *)ctx;
    return face == &call_face ? alk_span(pr->token, pr->token_n) : (struct alk_span){0};
}

struct alk_span alk_peer_token_of_request(const struct alk_request *r)
{
    void *ctx = NULL;
    const struct alk_face *face = alk_request_face(r, &ctx);
    const struct alk_peer_request *pr = (const struct alk_peer_request *)ctx;
    return face == &call_face && pr->is_enrolling ? alk_span(pr->token, pr->token_n)
                                                  : (struct alk_span){0};
}

/* --- who asks --------------------------------------------------------------------- */

/* {"id", "scopes"} of a node that we pinned, or null: nobody. ALK_E_MALFORMED: not that. */
static alk_err read_caller(struct alk_peer *peer, struct alk_span text,
                           const struct alk_identity **ret)
{
    struct alk_span scopes[ALK_SCOPES_MAX];
    struct yyjson_doc *doc = NULL;
    size_t n = 0, i, max;
    struct yyjson_val *one;

    if (alk_span_is(text, "null")) {
        *ret = NULL;
        return ALK_OK;
    }
    ALK_TRY(alk_json_parse(text, &doc));
    struct yyjson_val *root = yyjson_doc_get_root(doc);
    struct yyjson_val *id = yyjson_obj_get(root, "id");
    struct yyjson_val *list = yyjson_obj_get(root, "scopes");
    yyjson_arr_foreach(list, i, max, one)
    {
        if (n < ALK_SCOPES_MAX && yyjson_is_str(one)) {
            scopes[n++] = alk_span(yyjson_get_str(one), yyjson_get_len(one));
        }
    }
    struct alk_identity_spec spec = {
        .id = alk_span(yyjson_get_str(id), yyjson_get_len(id)), .scopes = scopes, .scope_count = n};
    alk_err err = alk_identity_new(peer->mem, &spec, NULL, 0, ret);
    yyjson_doc_free(doc);
    return err == ALK_E_NOMEM ? err : err == ALK_OK ? ALK_OK : ALK_E_MALFORMED;
}

/* Who the other side says that asks. False: what it says does not count. */
static bool names_caller(const struct alk_peer *peer, const struct alk_call_event *e)
{
    return !peer->is_server && peer->believes_caller && e->u.requested.caller.n > 0;
}

/* --- starting --------------------------------------------------------------------- */

/* False: it has failed, and pr is gone. */
static bool start(struct alk_peer_request *pr, const struct alk_identity *caller,
                  struct alk_span op, struct alk_span input, uint64_t timeout_ms,
                  struct alk_span traceparent)
{
    struct alk_peer *peer = pr->peer;
    const struct alk_start_spec spec = {.loop = peer->loop,
                                        .op = op,
                                        .input = input,
                                        .is_scanned = true, /* by the core */
                                        .caller = caller,
                                        .auth = alk_conn_auth(peer->conn),
                                        .timeout_ms = timeout_ms,
                                        .traceparent = traceparent};
    if (alk_ops_start(peer->ops, &spec, &call_face, pr, &pr->request) != ALK_OK) {
        fail(pr, ALK_OPS_EXHAUSTED, "out of memory");
        return false;
    }
    return true;
}

/* The one rule: a credential that does not resolve fails the request. */
static void on_resolved(void *ctx, alk_err err, const struct alk_identity *identity,
                        uint64_t generation)
{
    struct alk_peer_request *pr = (struct alk_peer_request *)ctx;
    struct alk_peer *peer = pr->peer;
    (void)generation;

    alk_peer_enter(peer);
    pr->is_resolving = false;
    if (pr->is_over || peer->conn == NULL) {
        finish(pr);
    } else if (err == ALK_OK) {
        if (start(pr, identity, alk_span(pr->op, pr->op_n), alk_span(pr->input, pr->input_n),
                  pr->timeout_ms, alk_span(pr->traceparent, pr->traceparent_n))) {
            free_texts(pr);
        }
    } else if (err == ALK_E_UNAVAILABLE) {
        fail(pr, ALK_OPS_UNAVAILABLE, "the token cannot be checked now");
    } else {
        fail(pr, ALK_OPS_UNAUTHENTICATED, "the token is not valid");
    }
    (void)alk_peer_leave(peer);
}

static bool keep_texts(struct alk_peer_request *pr, const struct alk_call_event *e)
{
    const struct alk_mem *mem = pr->peer->mem;
    pr->op = alk_strdup_span(mem, e->u.requested.op);
    pr->op_n = e->u.requested.op.n;
    pr->input = alk_strdup_span(mem, e->u.requested.input);
    pr->input_n = e->u.requested.input.n;
    pr->token = alk_strdup_span(mem, e->u.requested.auth_token);
    pr->token_n = e->u.requested.auth_token.n;
    pr->timeout_ms = e->u.requested.timeout_ms;
    pr->traceparent = alk_strdup_span(mem, e->u.requested.traceparent);
    pr->traceparent_n = e->u.requested.traceparent.n;
    return pr->op != NULL && pr->input != NULL && pr->token != NULL && pr->traceparent != NULL;
}

static void start_as_peer(struct alk_peer_request *pr, const struct alk_call_event *e);

static void start_with_token(struct alk_peer_request *pr, const struct alk_call_event *e)
{
    struct alk_peer *peer = pr->peer;
    if (!peer->is_server) {
        fail(pr, ALK_OPS_UNAUTHENTICATED, "tokens are not taken here");
        return;
    }
    if (!keep_texts(pr, e)) {
        fail(pr, ALK_OPS_EXHAUSTED, "out of memory");
        return;
    }
    if (alk_span_is(e->u.requested.op, "auth/enroll")) {
        pr->is_enrolling = true; /* an invitation is no identity */
        start_as_peer(pr, e);
        return;
    }
    const struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN,
                                         .token = alk_span(pr->token, pr->token_n)};
    pr->is_resolving = true;
    alk_conn_resolve(peer->conn, "token", &query, on_resolved, pr);
}

static void start_as_peer(struct alk_peer_request *pr, const struct alk_call_event *e)
{
    struct alk_peer *peer = pr->peer;
    const struct alk_identity *named = NULL, *caller;
    alk_err err = ALK_OK;

    if (names_caller(peer, e)) {
        err = read_caller(peer, e->u.requested.caller, &named);
        caller = named;
    } else {
        caller = peer->is_server ? alk_conn_auth(peer->conn)->identity : peer->node;
    }
    if (err != ALK_OK) {
        fail(pr, err == ALK_E_NOMEM ? ALK_OPS_EXHAUSTED : ALK_OPS_UNAUTHENTICATED,
             err == ALK_E_NOMEM ? "out of memory" : "\"caller\" is not an identity");
        return;
    }
    if (start(pr, caller, e->u.requested.op, e->u.requested.input, e->u.requested.timeout_ms,
              e->u.requested.traceparent)) {
        alk_request_begin(pr->request); /* after which pr may be gone, and caller */
    }
    alk_identity_unref(named);
}

/* Without memory for the request itself. */
static void refuse(struct alk_peer *peer, struct alk_call_ref ref, const char *code,
                   const char *message)
{
    alk_err err = alk_call_fail(peer->core, ref, code, alk_span_str(message),
                                alk_ops_code_is_retryable(code), (struct alk_span){0});
    (void)err;
    alk_peer_flush(peer);
}

void alk_peer_in_requested(struct alk_peer *peer, const struct alk_call_event *e)
{
    /* All that is copied and lives as long as it does. */
    size_t bytes = e->u.requested.input.n + e->u.requested.op.n + e->u.requested.auth_token.n +
                   e->u.requested.traceparent.n + sizeof(struct alk_peer_request);

    if (peer->ops == NULL || peer->conn == NULL) {
        refuse(peer, e->ref, ALK_OPS_NOT_FOUND, "nothing is offered here");
        return;
    }
    if (peer->is_draining) {
        refuse(peer, e->ref, ALK_OPS_UNAVAILABLE, "the node is stopping");
        return;
    }
    if (peer->in_bytes + bytes > ALK_PEER_IN_BYTES_MAX) {
        refuse(peer, e->ref, ALK_OPS_EXHAUSTED, "too many bytes of requests are under way");
        return;
    }
    struct alk_peer_request *pr = (struct alk_peer_request *)alk_blocks_take(
        alk_loop_blocks(peer->loop), peer->mem, sizeof(*pr));
    if (pr == NULL) {
        refuse(peer, e->ref, ALK_OPS_EXHAUSTED, "out of memory");
        return;
    }
    *pr = (struct alk_peer_request){.peer = peer, .ref = e->ref, .bytes = bytes};
    peer->in_bytes += bytes;
    alk_list_append(&peer->requests, &pr->in);
    alk_call_set_user(peer->core, e->ref, pr);
    if (e->u.requested.auth_token.n > 0) {
        start_with_token(pr, e);
    } else {
        start_as_peer(pr, e);
    }
}

/* --- what else the wire tells -------------------------------------------------------- */

void alk_peer_in_aborted(struct alk_peer *peer, const struct alk_call_event *e)
{
    struct alk_peer_request *pr = (struct alk_peer_request *)e->user;
    (void)peer;
    if (pr != NULL) {
        cancel(pr);
        fail(pr, ALK_OPS_ABORTED, "aborted");
    }
}

void alk_peer_in_lost(struct alk_peer *peer, const struct alk_call_event *e)
{
    struct alk_peer_request *pr = (struct alk_peer_request *)e->user;
    (void)peer;
    if (pr != NULL) {
        cancel(pr);
        finish(pr);
    }
}

void alk_peer_in_credit(struct alk_peer *peer, const struct alk_call_event *e)
{
    struct alk_peer_request *pr = (struct alk_peer_request *)e->user;
    (void)peer;
    if (pr != NULL && pr->request != NULL) {
        alk_list_remove(&pr->stuck);
        alk_request_writable(pr->request);
    }
}

void alk_peer_in_room(struct alk_peer *peer, struct alk_peer_stream *ps)
{
    struct alk_list now;
    struct alk_link *e;

    alk_list_init(&now);
    while ((e = alk_list_pop(&ps->stuck)) != NULL) {
        alk_list_append(&now, e);
    }
    /* Each may answer, be stuck again, or be over when its turn comes. */
    while ((e = alk_list_pop(&now)) != NULL) {
        struct alk_peer_request *pr = ALK_CONTAINER(e, struct alk_peer_request, stuck);
        if (pr->request != NULL && !peer->is_freed) {
            alk_request_writable(pr->request);
        }
    }
}

/* --- rights have changed --------------------------------------------------------------- */

static void on_rechecked(void *ctx, alk_err err, const struct alk_identity *identity,
                         uint64_t generation)
{
    struct alk_peer_request *pr = (struct alk_peer_request *)ctx;
    struct alk_peer *peer = pr->peer;
    (void)generation;

    alk_peer_enter(peer);
    pr->is_resolving = false;
    if (pr->is_over) {
        finish(pr);
    } else if (err != ALK_E_UNAVAILABLE && pr->request != NULL) {
        alk_request_set_caller(pr->request, err == ALK_OK ? identity : NULL);
    }
    (void)alk_peer_leave(peer);
}

static void recheck(struct alk_peer_request *pr)
{
    struct alk_peer *peer = pr->peer;
    if (pr->token == NULL || pr->is_enrolling) {
        alk_request_set_caller(pr->request, alk_conn_auth(peer->conn)->identity);
        return;
    }
    const struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN,
                                         .token = alk_span(pr->token, pr->token_n)};
    pr->is_resolving = true;
    alk_conn_recheck(peer->conn, "token", &query, on_rechecked, pr);
}

void alk_peer_in_auth(struct alk_peer *peer)
{
    struct alk_link *next;
    for (struct alk_link *e = peer->is_server ? alk_list_first(&peer->requests) : NULL; e != NULL;
         e = next) {
        struct alk_peer_request *pr = ALK_CONTAINER(e, struct alk_peer_request, in);
        next = alk_list_next(&peer->requests, e);
        if (pr->request != NULL && !pr->is_resolving) {
            recheck(pr);
        }
    }
}

void alk_peer_in_detach(struct alk_peer *peer)
{
    struct alk_link *e;
    while ((e = alk_list_first(&peer->requests)) != NULL) {
        struct alk_peer_request *pr = ALK_CONTAINER(e, struct alk_peer_request, in);
        cancel(pr);
        finish(pr);
    }
}
