/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests of ours, and the peer's answers. */
#include "call/proto/impl.h"

static struct alk_call_req *get(const struct alk_call_core *c, struct alk_call_ref ref)
{
    struct alk_call_req *r = alk_call_slot_get(c, ref);
    return r != NULL && r->side == ALK_CALL_SIDE_OUT ? r : NULL;
}

/* --- asking ------------------------------------------------------------------------------ */

static alk_err put_request(struct alk_call_core *c, struct alk_call_req *r,
                           const struct alk_call_ask *ask)
{
    uint8_t room[ALK_CALL_OUR_ID_MAX];
    struct alk_buf *b = &r->stream->out;
    bool was_empty = alk_buf_len(b) == 0;
    b->max = c->out_hard;
    alk_err err = alk_call_put_requested(b, alk_call_our_id(r, room), ask, ALK_CALL_BODY_MAX);
    b->max = c->out_limit;
    bool is_hopeless = was_empty || ask->input.n > ALK_CALL_BODY_MAX;
    return err == ALK_E_TOO_BIG && !is_hopeless ? ALK_FULL : err;
}

alk_err alk_call_request(struct alk_call_core *c, uint64_t stream, const struct alk_call_ask *ask,
                         void *user, struct alk_call_ref *ret)
{
    struct alk_call_stream *s = alk_call_stream_get(c, stream);
    struct alk_call_req *r;
    if (s == NULL || s->is_dead || s->has_eof) {
        return ALK_E_STATE;
    }
    if (c->out_n >= c->out_max) {
        return ALK_E_LIMIT;
    }
    if (alk_call_is_full(c, s)) {
        return ALK_FULL;
    }
    ALK_TRY(alk_call_slot_take(c, ALK_CALL_SIDE_OUT, s, &r));
    alk_err err = put_request(c, r, ask);
    if (err != ALK_OK) {
        alk_call_slot_free(c, r);
        return err;
    }
    alk_call_stream_wrote(c, s);
    r->user = user;
    r->is_subscription = ask->is_subscription;
    r->has_credit = ask->has_credit;
    r->credit = ask->credit;
    *ret = alk_call_ref_of(r);
    return ALK_OK;
}

alk_err alk_call_abort(struct alk_call_core *c, struct alk_call_ref ref, struct alk_span reason)
{
    struct alk_call_req *r = get(c, ref);
    uint8_t room[ALK_CALL_OUR_ID_MAX];
    if (r == NULL) {
        return ALK_E_STATE;
    }
    if (r->stream == NULL || r->is_aborted) {
        return ALK_OK; /* lost, and about to be told; or given up before */
    }
    ALK_TRY(
        alk_call_put_aborted(&r->stream->out, alk_call_our_id(r, room), alk_call_cut_text(reason)));
    alk_call_stream_wrote(c, r->stream);
    r->is_aborted = true;
    return ALK_OK;
}

void alk_call_forget(struct alk_call_core *c, struct alk_call_ref ref)
{
    struct alk_call_req *r = get(c, ref);
    if (r == NULL) {
        return;
    }
    r->is_forgotten = true;
    r->user = NULL;
    if (r->stream == NULL && !(c->has_event && c->event_req == r)) {
        alk_call_slot_free(c, r);
    }
}

alk_err alk_call_credit(struct alk_call_core *c, struct alk_call_ref ref, uint64_t n)
{
    struct alk_call_req *r = get(c, ref);
    uint8_t room[ALK_CALL_OUR_ID_MAX];
    if (r == NULL || !r->has_credit) {
        return ALK_E_STATE;
    }
    if (r->stream == NULL || n == 0) {
        return ALK_OK;
    }
    if (alk_buf_len(&r->stream->out) > c->out_hard) {
        return ALK_FULL;
    }
    ALK_TRY(alk_call_put_credit(&r->stream->out, alk_call_our_id(r, room), n));
    alk_call_stream_wrote(c, r->stream);
    r->credit = n > UINT64_MAX - r->credit ? UINT64_MAX : r->credit + n;
    return ALK_OK;
}

/* --- frames ------------------------------------------------------------------------------- */

/* The event of a frame that ends a request; NULL: it was forgotten, and is gone. */
static struct alk_call_event *last_event(struct alk_call_core *c, enum alk_call_event_kind kind,
                                         struct alk_call_req *r)
{
    if (r->is_forgotten) {
        alk_call_slot_free(c, r);
        return NULL;
    }
    struct alk_call_event *ev = alk_call_event_new(c, kind, r->stream, r);
    c->ends_req = true;
    return ev;
}

/* An answer that is none: to us the request has failed. A subscription is called off,
 * so that the peer does not go on for nobody. */
static alk_err bad_answer(struct alk_call_core *c, struct alk_call_req *r, const char *what)
{
    if (r->is_subscription) {
        ALK_TRY(alk_call_abort(c, alk_call_ref_of(r), alk_span_str(what)));
    }
    struct alk_call_event *ev = last_event(c, ALK_CALL_FAILED, r);
    if (ev != NULL) {
        ev->u.failed.code = ALK_LIT("INVALID_FRAME");
        ev->u.failed.message = alk_span_str(what);
        ev->u.failed.is_retryable = false;
        ev->u.failed.details = (struct alk_span){NULL, 0};
    }
    return ALK_OK;
}

static alk_err responded(struct alk_call_core *c, struct alk_call_req *r,
                         const struct alk_call_envelope *e)
{
    struct alk_span output = alk_call_envelope_get(e, ALK_CALL_NAME_OUTPUT);
    struct alk_call_event *ev = NULL;
    if (output.n == 0) {
        return bad_answer(c, r, "an answer without output");
    }
    if (!r->is_subscription) {
        ev = last_event(c, ALK_CALL_RESPONDED, r);
    } else {
        if (r->has_credit && r->credit == 0) {
            return bad_answer(c, r, "an answer without credit");
        }
        r->credit -= r->has_credit;
        if (!r->is_forgotten) {
            ev = alk_call_event_new(c, ALK_CALL_RESPONDED, r->stream, r);
        }
    }
    if (ev != NULL) {
        ev->u.responded.output = output;
        ev->u.responded.is_last = c->ends_req;
    }
    return ALK_OK;
}

static alk_err failed(struct alk_call_core *c, struct alk_call_req *r,
                      const struct alk_call_envelope *e)
{
    struct alk_span code_raw = alk_call_envelope_get(e, ALK_CALL_NAME_CODE);
    struct alk_span message_raw = alk_call_envelope_get(e, ALK_CALL_NAME_MESSAGE);
    struct alk_span code = {NULL, 0}, message = {NULL, 0};
    ALK_TRY(alk_call_text_begin(c, code_raw.n + message_raw.n));
    bool is_known = alk_call_text(c, code_raw, &code) && alk_call_code_is_valid(code);
    (void)alk_call_text(c, message_raw, &message);
    struct alk_call_event *ev = last_event(c, ALK_CALL_FAILED, r);
    if (ev != NULL) {
        struct alk_span retryable = alk_call_envelope_get(e, ALK_CALL_NAME_RETRYABLE);
        ev->u.failed.code = is_known ? code : ALK_LIT("INTERNAL");
        ev->u.failed.message = message;
        ev->u.failed.is_retryable = is_known && alk_span_is(retryable, "true");
        ev->u.failed.details = alk_call_envelope_get(e, ALK_CALL_NAME_DETAILS);
    }
    return ALK_OK;
}

alk_err alk_call_out_frame(struct alk_call_core *c, struct alk_call_stream *s,
                           const struct alk_call_envelope *e)
{
    struct alk_call_req *r = alk_call_by_our_id(c, e->id);
    if (r == NULL || r->stream != s) {
        return ALK_OK; /* over, or never there */
    }
    if (e->type == ALK_CALL_TYPE_RESPONDED) {
        return responded(c, r, e);
    }
    if (e->type == ALK_CALL_TYPE_ERROR) {
        return failed(c, r, e);
    }
    (void)last_event(c, ALK_CALL_COMPLETED, r);
    return ALK_OK;
}
