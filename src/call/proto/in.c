/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests of the peer: its frames, and our answers. */
#include "call/proto/impl.h"

struct alk_span alk_call_cut_text(struct alk_span text)
{
    if (text.n <= ALK_CALL_TEXT_MAX) {
        return text;
    }
    size_t n = ALK_CALL_TEXT_MAX;
    while (n > ALK_CALL_TEXT_MAX - 4 && (text.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return alk_span_head(text, n);
}

/* The live request of that id, when it is on this stream. */
static struct alk_call_req *find(const struct alk_call_core *c, const struct alk_call_stream *s,
                                 struct alk_span id)
{
    struct alk_call_req *r = alk_map_get(&c->in_ids, id);
    return r != NULL && r->stream == s ? r : NULL;
}

alk_err alk_call_refuse(struct alk_call_core *c, struct alk_call_stream *s, struct alk_span id,
                        const char *code, const char *message, bool is_retryable)
{
    struct alk_span none = {NULL, 0};
    if (alk_call_put_error(&s->out, id, code, alk_span_str(message), is_retryable, none,
                           SIZE_MAX) != ALK_OK) {
        return ALK_E_NOMEM;
    }
    alk_call_stream_wrote(c, s);
    struct alk_call_req *r = find(c, s, id);
    if (r != NULL) {
        alk_call_lose(c, r);
    }
    return ALK_OK;
}

/* --- frames --------------------------------------------------------------------------- */

/* What a payload asks for, apart from the event. */
struct asked {
    uint64_t credit;
    bool has_empty_token;
};

/* An optional number; false: something else. */
static bool read_number(const struct alk_call_envelope *e, enum alk_call_name name, uint64_t *ret,
                        bool *ret_has)
{
    struct alk_span raw = alk_call_envelope_get(e, name);
    *ret_has = raw.n > 0;
    *ret = 0;
    return raw.n == 0 || alk_span_u64(raw, UINT64_MAX, ret);
}

/* Reads the payload of call.requested. NULL, or what is wrong with it. */
static const char *read_request(struct alk_call_core *c, const struct alk_call_envelope *e,
                                struct alk_call_event *ev, struct asked *asked)
{
    struct alk_span op = {NULL, 0};
    struct alk_span token = alk_call_envelope_get(e, ALK_CALL_NAME_AUTH_TOKEN);
    bool has_timeout;
    ev->u.requested.input = alk_call_envelope_get(e, ALK_CALL_NAME_INPUT);
    ev->u.requested.caller = alk_call_envelope_get(e, ALK_CALL_NAME_CALLER);
    if (!e->has_payload) {
        return "payload must be an object";
    }
    if (!alk_call_text(c, alk_call_envelope_get(e, ALK_CALL_NAME_OPERATION_ID), &op) || op.n < 2 ||
        op.p[0] != '/') {
        return "operationId must be a string that starts with a slash";
    }
    ev->u.requested.op = alk_span_tail(op, 1);
    if (!alk_call_text(c, token, &ev->u.requested.auth_token)) {
        return "auth_token must be a string";
    }
    if (!alk_call_text(c, alk_call_envelope_get(e, ALK_CALL_NAME_TRACEPARENT),
                       &ev->u.requested.traceparent)) {
        return "traceparent must be a string";
    }
    if (ev->u.requested.caller.n > 0 && !alk_json_is_object(ev->u.requested.caller) &&
        !alk_span_is(ev->u.requested.caller, "null")) {
        return "caller must be an object or null";
    }
    if (!read_number(e, ALK_CALL_NAME_TIMEOUT_MS, &ev->u.requested.timeout_ms, &has_timeout)) {
        return "timeout_ms must be a whole number";
    }
    if (!read_number(e, ALK_CALL_NAME_CREDIT, &asked->credit, &ev->u.requested.has_credit)) {
        return "credit must be a whole number";
    }
    asked->has_empty_token = token.n > 0 && ev->u.requested.auth_token.n == 0;
    return NULL;
}

static uint64_t add_credit(uint64_t a, uint64_t b)
{
    b = b > ALK_CALL_CREDIT_MAX ? ALK_CALL_CREDIT_MAX : b;
    return a + b > ALK_CALL_CREDIT_MAX ? ALK_CALL_CREDIT_MAX : a + b;
}

/* A slot for the request, findable by its id. ALK_E_EXISTS: the id is live. */
static alk_err add(struct alk_call_core *c, struct alk_call_stream *s, struct alk_span id,
                   struct alk_call_req **ret)
{
    struct alk_call_req *r;
    ALK_TRY(alk_call_slot_take(c, ALK_CALL_SIDE_IN, s, &r));
    memcpy(r->id, id.p, id.n);
    r->id_n = (uint8_t)id.n;
    r->id_hash = alk_siphash(c->in_ids.seed, id);
    alk_err err = alk_map_put_hashed(&c->in_ids, alk_span(r->id, r->id_n), r->id_hash, r);
    if (err != ALK_OK) {
        r->id_n = 0; /* there is no such key: nothing is removed */
        alk_call_slot_free(c, r);
        return err;
    }
    *ret = r;
    return ALK_OK;
}

/* [DESIGN.md §9] An id that is live already: neither side can tell any more whose
 * answers are whose. */
static alk_err break_by_twin(struct alk_call_core *c)
{
    alk_call_break_all(c, ALK_E_PROTOCOL);
    return ALK_OK;
}

/* A call.requested that becomes no request. */
static alk_err turn_away(struct alk_call_core *c, struct alk_call_stream *s, struct alk_span id,
                         const char *code, const char *message, bool is_retryable)
{
    if (alk_map_get(&c->in_ids, id) != NULL) {
        return break_by_twin(c);
    }
    return alk_call_refuse(c, s, id, code, message, is_retryable);
}

static alk_err requested(struct alk_call_core *c, struct alk_call_stream *s,
                         const struct alk_call_envelope *e)
{
    struct alk_call_event *ev = &c->event; /* free: none is waiting */
    struct asked asked = {0};
    struct alk_call_req *r;
    if (c->in_n >= c->in_max) {
        return turn_away(c, s, e->id, "EXHAUSTED", "too many requests at once", true);
    }
    ALK_TRY(alk_call_text_begin(c, alk_call_envelope_get(e, ALK_CALL_NAME_OPERATION_ID).n +
                                       alk_call_envelope_get(e, ALK_CALL_NAME_AUTH_TOKEN).n +
                                       alk_call_envelope_get(e, ALK_CALL_NAME_TRACEPARENT).n));
    const char *wrong = read_request(c, e, ev, &asked);
    if (wrong != NULL) {
        return turn_away(c, s, e->id, "INVALID_FRAME", wrong, false);
    }
    if (asked.has_empty_token) {
        /* [DESIGN.md §7] A credential that was presented never counts as none. */
        return turn_away(c, s, e->id, "UNAUTHENTICATED", "auth_token is empty", false);
    }
    alk_err err = add(c, s, e->id, &r);
    if (err == ALK_E_EXISTS) {
        return break_by_twin(c);
    }
    ALK_TRY(err);
    r->has_credit = ev->u.requested.has_credit;
    r->credit = add_credit(0, asked.credit);
    ev->u.requested.id = alk_span(r->id, r->id_n);
    (void)alk_call_event_new(c, ALK_CALL_REQUESTED, s, r);
    return ALK_OK;
}

static alk_err aborted(struct alk_call_core *c, struct alk_call_stream *s,
                       const struct alk_call_envelope *e)
{
    struct alk_call_req *r = find(c, s, e->id);
    struct alk_span raw = alk_call_envelope_get(e, ALK_CALL_NAME_REASON);
    struct alk_span reason = {NULL, 0};
    if (r == NULL || r->is_aborted) {
        return ALK_OK;
    }
    ALK_TRY(alk_call_text_begin(c, raw.n));
    (void)alk_call_text(c, raw, &reason);
    r->is_aborted = true;
    alk_call_event_new(c, ALK_CALL_ABORTED, s, r)->u.aborted.reason = reason;
    return ALK_OK;
}

static alk_err credit(struct alk_call_core *c, struct alk_call_stream *s,
                      const struct alk_call_envelope *e)
{
    struct alk_call_req *r = find(c, s, e->id);
    uint64_t n = 0;
    if (r == NULL || r->is_aborted) {
        return ALK_OK;
    }
    if (!alk_span_u64(alk_call_envelope_get(e, ALK_CALL_NAME_N), UINT64_MAX, &n)) {
        return alk_call_refuse(c, s, e->id, "INVALID_FRAME", "n must be a whole number", false);
    }
    if (!r->has_credit || n == 0) {
        return ALK_OK;
    }
    r->credit = add_credit(r->credit, n);
    if (r->is_starved) {
        r->is_starved = false;
        (void)alk_call_event_new(c, ALK_CALL_CREDIT, s, r);
    }
    return ALK_OK;
}

alk_err alk_call_in_frame(struct alk_call_core *c, struct alk_call_stream *s,
                          const struct alk_call_envelope *e)
{
    switch (e->type) {
    case ALK_CALL_TYPE_REQUESTED:
        return requested(c, s, e);
    case ALK_CALL_TYPE_ABORTED:
        return aborted(c, s, e);
    case ALK_CALL_TYPE_CREDIT:
        return credit(c, s, e);
    case ALK_CALL_TYPE_UNKNOWN:
    case ALK_CALL_TYPE_RESPONDED:
    case ALK_CALL_TYPE_COMPLETED:
    case ALK_CALL_TYPE_ERROR:
        break;
    }
    ALK_UNREACHABLE();
}

alk_err alk_call_in_too_large(struct alk_call_core *c, struct alk_call_stream *s,
                              const struct alk_call_envelope *e)
{
    return turn_away(c, s, e->id, "TOO_LARGE", "too deep, or too many values", false);
}

/* --- answers ---------------------------------------------------------------------------- */

static struct alk_call_req *get(const struct alk_call_core *c, struct alk_call_ref ref)
{
    struct alk_call_req *r = alk_call_slot_get(c, ref);
    return r != NULL && r->side == ALK_CALL_SIDE_IN ? r : NULL;
}

/* A request whose loss has not been told yet needs no answer, and no telling then. */
static bool is_lost(struct alk_call_core *c, struct alk_call_req *r)
{
    if (r->stream != NULL) {
        return false;
    }
    alk_call_slot_free(c, r);
    return true;
}

/* call.error without anything that could be too large. */
static alk_err put_failure(struct alk_call_core *c, struct alk_call_req *r, const char *code,
                           struct alk_span message, bool is_retryable)
{
    struct alk_span id = alk_span(r->id, r->id_n);
    struct alk_span none = {NULL, 0};
    ALK_TRY(alk_call_put_error(&r->stream->out, id, code, alk_call_cut_text(message), is_retryable,
                               none, SIZE_MAX));
    alk_call_stream_wrote(c, r->stream);
    alk_call_slot_free(c, r);
    return ALK_OK;
}

/* Puts call.responded below out_hard. */
static alk_err put_answer(struct alk_call_core *c, struct alk_call_req *r, struct alk_span output)
{
    struct alk_buf *b = &r->stream->out;
    size_t before = alk_buf_len(b);
    if (output.n > ALK_CALL_BODY_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (before > c->out_hard) {
        return ALK_FULL;
    }
    b->max = c->out_hard;
    alk_err err = alk_call_put_responded(b, alk_span(r->id, r->id_n), output, ALK_CALL_BODY_MAX);
    b->max = c->out_limit;
    if (err == ALK_OK) {
        alk_call_stream_wrote(c, r->stream);
    }
    return err == ALK_E_TOO_BIG && before > 0 ? ALK_FULL : err;
}

static alk_err respond_last(struct alk_call_core *c, struct alk_call_req *r, struct alk_span output)
{
    alk_err err = put_answer(c, r, output);
    if (err == ALK_OK) {
        alk_call_slot_free(c, r);
    }
    if (err != ALK_FULL) {
        return err;
    }
    ALK_TRY(
        put_failure(c, r, "EXHAUSTED", ALK_LIT("too many answers are waiting to be read"), true));
    return ALK_E_LIMIT;
}

alk_err alk_call_respond(struct alk_call_core *c, struct alk_call_ref ref, struct alk_span output,
                         bool is_last)
{
    struct alk_call_req *r = get(c, ref);
    if (r == NULL || (r->stream == NULL && !is_last)) {
        return ALK_E_STATE;
    }
    if (is_last) {
        return is_lost(c, r) ? ALK_OK : respond_last(c, r, output);
    }
    if (r->has_credit && r->credit == 0) {
        r->is_starved = true;
        return ALK_FULL;
    }
    if (alk_call_is_full(c, r->stream)) {
        return ALK_FULL;
    }
    ALK_TRY(put_answer(c, r, output));
    if (r->has_credit) {
        r->credit--;
    }
    return ALK_OK;
}

alk_err alk_call_complete(struct alk_call_core *c, struct alk_call_ref ref)
{
    struct alk_call_req *r = get(c, ref);
    if (r == NULL) {
        return ALK_E_STATE;
    }
    if (is_lost(c, r)) {
        return ALK_OK;
    }
    ALK_TRY(alk_call_put_completed(&r->stream->out, alk_span(r->id, r->id_n)));
    alk_call_stream_wrote(c, r->stream);
    alk_call_slot_free(c, r);
    return ALK_OK;
}

bool alk_call_code_is_valid(struct alk_span code)
{
    if (code.n == 0 || code.n > ALK_CALL_CODE_MAX || code.p[0] < 'A' || code.p[0] > 'Z') {
        return false;
    }
    for (size_t i = 1; i < code.n; i++) {
        uint8_t x = code.p[i];
        if (!(x >= 'A' && x <= 'Z') && !(x >= '0' && x <= '9') && x != '_') {
            return false;
        }
    }
    return true;
}

alk_err alk_call_fail(struct alk_call_core *c, struct alk_call_ref ref, const char *code,
                      struct alk_span message, bool is_retryable, struct alk_span details)
{
    struct alk_call_req *r = get(c, ref);
    if (r == NULL) {
        return ALK_E_STATE;
    }
    if (is_lost(c, r)) {
        return ALK_OK;
    }
    if (!alk_call_code_is_valid(alk_span_str(code))) {
        code = "INTERNAL";
    }
    struct alk_buf *b = &r->stream->out;
    if (details.n > 0 && alk_buf_len(b) <= c->out_hard) {
        b->max = c->out_hard;
        alk_err err =
            alk_call_put_error(b, alk_span(r->id, r->id_n), code, alk_call_cut_text(message),
                               is_retryable, details, ALK_CALL_BODY_MAX);
        b->max = c->out_limit;
        if (err == ALK_OK) {
            alk_call_stream_wrote(c, r->stream);
            alk_call_slot_free(c, r);
            return ALK_OK;
        }
    }
    return put_failure(c, r, code, message, is_retryable);
}
