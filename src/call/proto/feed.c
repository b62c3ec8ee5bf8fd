/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes of a stream become frames, and each frame goes to whom it concerns. */
#include "call/proto/impl.h"

enum { HEAD = 4 };

/* A frame at the front of the input, or being put together in s->in. */
struct cut {
    struct alk_span body;
    size_t used; /* bytes of the input that were taken */
    bool is_own; /* the body is in s->in */
};

/* Copies at most n bytes of *in into s->in. */
static alk_err stash(struct alk_call_stream *s, struct alk_span *in, size_t n, struct cut *cut)
{
    struct alk_span part = alk_span_head(*in, n);
    if (part.n == 0) {
        return ALK_OK;
    }
    if (alk_buf_put(&s->in, part) != ALK_OK) {
        s->in.err = ALK_OK; /* it may go better the next time */
        return ALK_E_NOMEM;
    }
    *in = alk_span_tail(*in, part.n);
    cut->used += part.n;
    return ALK_OK;
}

/* The body's length. A wrong one breaks the stream; false then. */
static bool read_length(struct alk_call_core *c, struct alk_call_stream *s, const uint8_t *p,
                        size_t *ret)
{
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n == 0) {
        alk_call_break_stream(c, s, ALK_E_MALFORMED);
        return false;
    }
    if (n > c->frame_max) {
        alk_call_break_stream(c, s, ALK_E_TOO_BIG);
        return false;
    }
    *ret = n;
    return true;
}

/* Counts a frame that must be put together. */
static bool reserve(struct alk_call_core *c, struct alk_call_stream *s, size_t n)
{
    if (s->reserved > 0) {
        return true;
    }
    /* One frame is always let in, however low the limit is. */
    if (c->partial > 0 && n > c->partial_max - c->partial) {
        alk_call_break_stream(c, s, ALK_E_TOO_BIG);
        return false;
    }
    s->reserved = n;
    c->partial += n;
    return true;
}

/* ALK_OK: *cut is a whole frame. ALK_MORE: all of `in` was taken, or the stream broke. */
static alk_err next_frame(struct alk_call_core *c, struct alk_call_stream *s, struct alk_span in,
                          struct cut *cut)
{
    size_t n = 0;
    *cut = (struct cut){.is_own = alk_buf_len(&s->in) > 0};
    if (!cut->is_own && in.n >= HEAD) {
        if (!read_length(c, s, in.p, &n)) {
            return ALK_MORE;
        }
        if (in.n - HEAD >= n) {
            cut->body = alk_span(in.p + HEAD, n);
            cut->used = HEAD + n;
            return ALK_OK;
        }
    }
    cut->is_own = true;
    if (alk_buf_len(&s->in) < HEAD) {
        ALK_TRY(stash(s, &in, HEAD - alk_buf_len(&s->in), cut));
        if (alk_buf_len(&s->in) < HEAD) {
            return ALK_MORE;
        }
    }
    if (!read_length(c, s, alk_buf_span(&s->in).p, &n) || !reserve(c, s, HEAD + n)) {
        return ALK_MORE;
    }
    ALK_TRY(stash(s, &in, HEAD + n - alk_buf_len(&s->in), cut));
    if (alk_buf_len(&s->in) < HEAD + n) {
        return ALK_MORE;
    }
    cut->body = alk_span_tail(alk_buf_span(&s->in), HEAD);
    return ALK_OK;
}

/* ALK_E_NOMEM: as if it had not come. */
static alk_err take_frame(struct alk_call_core *c, struct alk_call_stream *s, struct alk_span body)
{
    struct alk_call_envelope e;
    alk_err err = alk_call_envelope_read(body, &e);
    if (err == ALK_E_TOO_BIG && e.type == ALK_CALL_TYPE_REQUESTED && e.id.n > 0) {
        return alk_call_in_too_large(c, s, &e);
    }
    if (err == ALK_OK && e.id.n == 0) {
        err = ALK_E_PROTOCOL; /* nobody whom it could be answered to */
    }
    if (err != ALK_OK) {
        alk_call_break_stream(c, s, err);
        return ALK_OK;
    }
    switch (e.type) {
    case ALK_CALL_TYPE_REQUESTED:
    case ALK_CALL_TYPE_ABORTED:
    case ALK_CALL_TYPE_CREDIT:
        return alk_call_in_frame(c, s, &e);
    case ALK_CALL_TYPE_RESPONDED:
    case ALK_CALL_TYPE_COMPLETED:
    case ALK_CALL_TYPE_ERROR:
        return alk_call_out_frame(c, s, &e);
    case ALK_CALL_TYPE_UNKNOWN:
        break;
    }
    return alk_call_refuse(c, s, e.id, "INVALID_FRAME", "unknown type of frame", false);
}

/* One frame, or what has arrived of it. ALK_MORE: nothing more to be had. */
static alk_err step(struct alk_call_core *c, struct alk_call_stream *s, struct alk_span in,
                    size_t *used)
{
    struct cut cut;
    alk_err err = next_frame(c, s, in, &cut);
    if (err != ALK_OK) {
        *used += cut.used;
        return err;
    }
    if (!cut.is_own) {
        ALK_TRY(take_frame(c, s, cut.body));
        *used += cut.used;
        return ALK_OK;
    }
    *used += cut.used;
    c->held = s; /* the body stays where it is, whatever becomes of the stream */
    err = take_frame(c, s, cut.body);
    if (err != ALK_OK) {
        c->held = NULL; /* whole as it is, for the next time */
        return err;
    }
    alk_call_drop_held(c);
    return ALK_OK;
}

alk_err alk_call_feed(struct alk_call_core *c, uint64_t stream, struct alk_span in,
                      size_t *ret_used)
{
    struct alk_call_stream *s = alk_call_stream_get(c, stream);
    size_t used = 0;
    alk_err err = ALK_OK;
    if (c->is_dead || (s != NULL && (s->is_dead || s->has_eof))) {
        return ALK_E_STATE;
    }
    if (s == NULL) {
        ALK_TRY(alk_call_stream_add(c, stream, &s));
    }
    alk_call_drop_held(c);
    while (err == ALK_OK && !c->has_event && !s->is_dead && !alk_call_is_full(c, s)) {
        err = step(c, s, alk_span_tail(in, used), &used);
    }
    if (err < 0 && used == 0) {
        return err; /* else what was used counts, and the failure comes back */
    }
    *ret_used = s->is_dead ? in.n : used;
    return ALK_OK;
}
