/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "call/relay.h"

#include "base/mem.h"
#include "core/frame.h"
#include "core/io/loop.h"
#include "ops/out.h"

#include <string.h>

/* Answers of a subscription on their way or waiting at the requester. */
#define RELAY_CREDIT 16

enum note_kind { NOTE_ANSWER, NOTE_END };

struct relay;

/* From B to A. Needs nothing more to get there. */
struct note {
    struct alk_link in;  /* relay->pending */
    struct relay *relay; /* a reference, on its way */
    struct alk_post_node post;
    enum note_kind kind;
    bool is_error, was_written;
    char code[ALK_OP_CODE_MAX + 1];
    size_t message_n, body_n; /* the message, then output or details */
    uint8_t text[];
};

struct relay {
    atomic_size_t refs;
    const struct alk_mem *mem;
    struct alk_offers *offers; /* a reference */
    struct alk_loop *a, *b;
    bool is_subscription, is_query;
    uint64_t timeout_ms;
    char *op, *input, *caller; /* own; until asked */
    char *traceparent;         /* the same; NULL: none */
    size_t input_n, caller_n, traceparent_n;

    /* Loop A. */
    struct alk_request *request; /* NULL: over */
    struct alk_list pending;     /* notes that the requester had no room for */
    bool is_full;

    /* Orders from A to B: what is to be told, and the post that says to look. */
    atomic_uint_fast64_t owed; /* credit that B has not taken yet */
    atomic_bool wants_cancel;
    struct alk_post_node order;

    /* Loop B. */
    struct alk_call *call; /* NULL: over, or not asked yet */
    struct note *last;     /* made in advance, for the end without memory */
};

static void relay_unref(struct relay *rl)
{
    if (atomic_fetch_sub(&rl->refs, 1) != 1) {
        return;
    }
    struct alk_link *e;
    while ((e = alk_list_pop(&rl->pending)) != NULL) {
        alk_free(rl->mem, ALK_CONTAINER(e, struct note, in));
    }
    alk_offers_unref(rl->offers);
    alk_free(rl->mem, rl->last);
    alk_free(rl->mem, rl->op);
    alk_free(rl->mem, rl->input);
    alk_free(rl->mem, rl->caller);
    alk_free(rl->mem, rl->traceparent);
    alk_free(rl->mem, rl);
}

static struct relay *relay_ref(struct relay *rl)
{
    (void)atomic_fetch_add(&rl->refs, 1);
    return rl;
}

/* --- loop A: the requester ------------------------------------------------- */

static void on_order(void *arg);

static void drop_ref(void *arg)
{
    relay_unref((struct relay *)arg);
}

/* Tells loop B to look at what it was not told yet. Never lost: it needs no memory and
 * no room, and what is added while it waits goes with it. */
static void send_order(struct relay *rl)
{
    (void)relay_ref(rl); /* the order's */
    if (rl->a == rl->b) {
        on_order(rl);
    } else if (!alk_post_own(rl->b, &rl->order)) {
        relay_unref(rl);
    }
}

static void give_credit(struct relay *rl, uint64_t n)
{
    (void)atomic_fetch_add(&rl->owed, n);
    send_order(rl);
}

static struct alk_span note_body(const struct note *n)
{
    return alk_span(n->text + n->message_n, n->body_n);
}

/* Whether details fit in a frame that says more than the worker's may have. A value takes two
 * bytes, so that short ones need no look. */
static bool fits(struct alk_span details)
{
    return details.n < (size_t)2 * (ALK_JSON_VALUES_MAX - ALK_FRAME_VALUES) ||
           alk_frame_takes(details) == ALK_OK;
}

/* The end, on A. */
static void end_request(struct relay *rl, const struct note *n)
{
    struct alk_request *r = rl->request;
    char message[256];

    if (n->is_error && !n->was_written && strcmp(n->code, ALK_OPS_UNAVAILABLE) == 0 &&
        alk_request_retry(r) == ALK_OK) {
        rl->request = NULL;
        relay_unref(rl);
        return;
    }
    rl->request = NULL;
    if (!n->is_error) {
        alk_request_complete(r);
    } else {
        (void)alk_span_cstr(alk_span_head(alk_span(n->text, n->message_n), sizeof message - 1),
                            message, sizeof message);
        if (n->body_n > 0 && fits(note_body(n))) {
            alk_out_json(alk_request_out(r), note_body(n));
        }
        alk_request_fail(r, n->code, message);
    }
    relay_unref(rl);
}

/* True: the note is done with. False: the requester has no room. */
static bool take_note(struct relay *rl, const struct note *n)
{
    if (n->kind == NOTE_ANSWER || strcmp(n->code, ALK_OPS_UNAVAILABLE) != 0) {
        alk_request_heard(rl->request);
    }
    if (n->kind == NOTE_END) {
        end_request(rl, n);
        return true;
    }
    alk_out_json(alk_request_out(rl->request), note_body(n));
    if (!rl->is_subscription) {
        struct alk_request *r = rl->request;
        rl->request = NULL;
        (void)alk_request_respond(r);
        relay_unref(rl);
        return true;
    }
    return alk_request_respond(rl->request) != ALK_FULL;
}

static void take_pending(struct relay *rl)
{
    struct alk_link *e;
    uint64_t taken = 0;

    (void)relay_ref(rl);
    while (rl->request != NULL && !rl->is_full && (e = alk_list_first(&rl->pending)) != NULL) {
        struct note *n = ALK_CONTAINER(e, struct note, in);
        bool is_answer = n->kind == NOTE_ANSWER;
        alk_list_remove(e);
        /* A note that finds no room stays in the request's own buffer. */
        rl->is_full = !take_note(rl, n);
        taken += is_answer && !rl->is_full ? 1 : 0;
        alk_free(rl->mem, n);
    }
    if (taken > 0 && rl->request != NULL && rl->is_subscription) {
        give_credit(rl, taken);
    }
    relay_unref(rl);
}

static void on_writable(void *ctx, struct alk_request *r)
{
    struct relay *rl = (struct relay *)ctx;
    if (rl->is_full) {
        if (alk_request_respond(r) == ALK_FULL) {
            return;
        }
        rl->is_full = false;
        give_credit(rl, 1);
    }
    take_pending(rl);
}

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct relay *rl = (struct relay *)ctx;
    rl->request = NULL;
    atomic_store(&rl->wants_cancel, true);
    send_order(rl);
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    relay_unref(rl);
}

static const struct alk_request_calls request_calls = {.cancelled = on_cancelled,
                                                       .writable = on_writable};

/* --- from B to A ----------------------------------------------------------- */

static void on_note(void *arg)
{
    struct note *n = (struct note *)arg;
    struct relay *rl = n->relay;

    if (rl->request == NULL) {
        alk_free(rl->mem, n);
    } else {
        alk_list_append(&rl->pending, &n->in);
        take_pending(rl);
    }
    relay_unref(rl);
}

/* Its loop has gone. */
static void drop_note(void *arg)
{
    struct note *n = (struct note *)arg;
    struct relay *rl = n->relay;
    alk_free(rl->mem, n);
    relay_unref(rl);
}

static struct note *note_new(struct relay *rl, enum note_kind kind, struct alk_span message,
                             struct alk_span body)
{
    struct note *n = (struct note *)alk_zalloc(rl->mem, 1, sizeof *n + message.n + body.n);
    if (n != NULL) {
        n->kind = kind;
        n->message_n = message.n;
        n->body_n = body.n;
        memcpy(n->text, message.n > 0 ? message.p : (const uint8_t *)"", message.n);
        memcpy(n->text + message.n, body.n > 0 ? body.p : (const uint8_t *)"", body.n);
    }
    return n;
}

static void send_note(struct relay *rl, struct note *n)
{
    n->relay = relay_ref(rl);
    n->post = (struct alk_post_node){.fn = on_note, .cancel = drop_note, .arg = n};
    if (rl->a == rl->b) {
        on_note(n);
    } else {
        (void)alk_post_own(rl->a, &n->post); /* it waits for nothing else */
    }
}

/* --- loop B: the worker ---------------------------------------------------- */

static void tell_end(struct relay *rl, const char *code, struct alk_span message,
                     struct alk_span details, bool was_written)
{
    struct note *n = note_new(rl, NOTE_END, message, details);
    if (n == NULL) {
        n = rl->last; /* made in advance */
    } else {
        alk_free(rl->mem, rl->last);
    }
    rl->last = NULL;
    n->kind = NOTE_END;
    n->is_error = code != NULL;
    n->was_written = was_written;
    (void)alk_span_cstr(alk_span_str(code == NULL ? "" : code), n->code, sizeof n->code);
    send_note(rl, n);
}

/* The call is given up, without a word of its own. */
static void drop_call(struct relay *rl)
{
    struct alk_call *call = rl->call;
    if (call != NULL) {
        rl->call = NULL;
        alk_call_drop(call);
        relay_unref(rl); /* the call's */
    }
}

static void on_answer(void *ctx, struct alk_call *call, struct alk_span output)
{
    struct relay *rl = (struct relay *)ctx;
    struct note *n = note_new(rl, NOTE_ANSWER, (struct alk_span){0}, output);
    (void)call;
    if (n != NULL) {
        send_note(rl, n);
        return;
    }
    /* Nothing is left out silently. */
    tell_end(rl, ALK_OPS_EXHAUSTED, ALK_LIT("out of memory"), (struct alk_span){0}, true);
    drop_call(rl);
}

static void on_end(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                   bool is_retryable, struct alk_span details)
{
    (void)is_retryable; /* follows from the code */
    struct relay *rl = (struct relay *)ctx;

    rl->call = NULL;
    /* The answer of a call was its end. */
    if (rl->is_subscription || code != NULL) {
        tell_end(rl, code, message, details, call->was_sent && !rl->is_query);
    }
    relay_unref(rl);
}

static const struct alk_answers answers = {.responded = on_answer, .ended = on_end};

static void on_order(void *arg)
{
    struct relay *rl = (struct relay *)arg;
    uint64_t credit = atomic_exchange(&rl->owed, 0);

    if (atomic_load(&rl->wants_cancel)) {
        drop_call(rl);
    } else if (credit > 0 && rl->call != NULL) {
        alk_call_more(rl->call, credit);
    }
    relay_unref(rl);
}

/* The request reaches the worker's loop. */
static void on_ask(void *arg)
{
    struct relay *rl = (struct relay *)arg;
    struct alk_peer *peer = rl->offers->peer;
    const struct alk_ask ask = {.struct_size = sizeof ask,
                                .op = rl->op,
                                .input = alk_span(rl->input, rl->input_n),
                                .traceparent = alk_span(rl->traceparent, rl->traceparent_n),
                                .timeout_ms = rl->timeout_ms,
                                .is_subscription = rl->is_subscription,
                                .credit = RELAY_CREDIT};
    const struct alk_ask_more more = {
        .caller = alk_span(rl->caller, rl->caller_n), .without_token = true, .manual_credit = true};
    alk_err err = ALK_E_CLOSED;

    if (atomic_load(&rl->wants_cancel)) {
        relay_unref(rl);
        return;
    }
    if (peer != NULL) {
        (void)relay_ref(rl); /* the call's */
        err = alk_peer_ask(peer, &ask, &more, &answers, rl, &rl->call);
        if (err != ALK_OK) {
            relay_unref(rl);
        }
    }
    if (err != ALK_OK) {
        tell_end(rl, ALK_OPS_UNAVAILABLE, ALK_LIT("the worker cannot take it now"),
                 (struct alk_span){0}, false);
    }
    relay_unref(rl);
}

/* --- starting -------------------------------------------------------------- */

static char *copy(const struct alk_mem *mem, struct alk_span s, size_t *ret_n)
{
    *ret_n = s.n;
    return alk_strdup_span(mem, s);
}

/* {"id", "scopes"}: who asks, for the worker. null: nobody known, and that is said: without
 * a word it would be the node itself that asks. */
static char *caller_json(const struct alk_mem *mem, const struct alk_identity *caller,
                         size_t *ret_n)
{
    struct alk_out out;
    struct alk_span text = {0};
    char *ret = NULL;

    *ret_n = 0;
    if (caller == NULL) {
        return copy(mem, ALK_LIT("null"), ret_n);
    }
    alk_out_init(&out, mem, 65536);
    alk_out_object(&out);
    alk_out_key(&out, "id");
    alk_out_span(&out, alk_identity_id(caller));
    alk_out_key(&out, "scopes");
    alk_out_array(&out);
    for (size_t i = 0; i < alk_identity_scope_count(caller); i++) {
        alk_out_span(&out, alk_identity_scope(caller, i));
    }
    alk_out_end(&out);
    alk_out_end(&out);
    if (alk_out_done(&out, &text) == ALK_OK) {
        ret = copy(mem, text, ret_n);
    }
    alk_out_fini(&out);
    return ret;
}

static uint64_t time_left_ms(const struct alk_request *r)
{
    alk_time deadline = alk_request_deadline(r);
    alk_time now = alk_loop_now(alk_request_loop(r));
    if (deadline == ALK_NEVER) {
        return 0;
    }
    return deadline > now + ALK_MS ? (deadline - now) / ALK_MS : 1;
}

static struct relay *relay_new(struct alk_offer_op *op, struct alk_request *r)
{
    const struct alk_mem *mem = op->offers->mem;
    struct relay *rl = ALK_NEW(mem, struct relay);
    size_t n;
    if (rl == NULL) {
        return NULL;
    }
    atomic_init(&rl->refs, 1);
    rl->mem = mem;
    rl->offers = alk_offers_ref(op->offers);
    rl->a = alk_request_loop(r);
    rl->b = op->offers->loop;
    rl->is_subscription = alk_request_kind(r) == ALK_OP_SUBSCRIPTION;
    rl->is_query = alk_request_kind(r) == ALK_OP_QUERY;
    rl->timeout_ms = time_left_ms(r);
    atomic_init(&rl->owed, 0);
    atomic_init(&rl->wants_cancel, false);
    rl->order = (struct alk_post_node){.fn = on_order, .cancel = drop_ref, .arg = rl};
    alk_list_init(&rl->pending);
    rl->op = copy(mem, alk_span_str(alk_request_op(r)), &n);
    rl->input = copy(mem, alk_request_input(r), &rl->input_n);
    rl->caller = caller_json(mem, alk_request_caller(r), &rl->caller_n);
    rl->last = note_new(rl, NOTE_END, ALK_LIT("out of memory"), (struct alk_span){0});
    struct alk_span trace = alk_request_traceparent(r);
    rl->traceparent = trace.n == 0 ? NULL : copy(mem, trace, &rl->traceparent_n);
    if (rl->op == NULL || rl->input == NULL || rl->caller == NULL || rl->last == NULL ||
        (trace.n > 0 && rl->traceparent == NULL)) {
        relay_unref(rl);
        return NULL;
    }
    rl->request = r;
    return rl;
}

void alk_relay_start(void *ctx, struct alk_request *request)
{
    struct relay *rl = relay_new((struct alk_offer_op *)ctx, request);
    if (rl == NULL) {
        alk_request_fail(request, ALK_OPS_EXHAUSTED, NULL);
        return;
    }
    alk_request_on(request, &request_calls, rl);
    (void)relay_ref(rl); /* B's */
    if (rl->a == rl->b) {
        on_ask(rl);
    } else if (alk_post_cancel(rl->b, on_ask, drop_ref, rl) != ALK_OK) {
        relay_unref(rl);
        rl->request = NULL;
        alk_request_fail(request, ALK_OPS_EXHAUSTED, "the worker's loop is overloaded");
        relay_unref(rl);
    }
}
