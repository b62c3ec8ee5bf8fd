/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "call/proto/write.h"

#include "base/mem.h"
#include "base/text.h"

/* A frame while it is written: where it began. */
struct frame {
    struct alk_buf *b;
    size_t len; /* of the buffer before it */
};

/* Enough for all that is not text or JSON of the caller's. */
enum { FIXED_MAX = 192 };

static void put(struct frame *f, struct alk_span s)
{
    (void)alk_buf_put(f->b, s);
}

#define PUT(f, text) put((f), ALK_LIT(text))

static void put_text(struct frame *f, struct alk_span text)
{
    (void)alk_buf_put_json(f->b, text);
}

static void put_number(struct frame *f, uint64_t v)
{
    (void)alk_buf_put_u64(f->b, v);
}

static bool needs_escape(uint8_t c)
{
    return c == '"' || c == '\\';
}

/* How many bytes of an id need a backslash: most have none, those of other programs may. */
static size_t count_escapes(struct alk_span id)
{
    size_t n = 0;
    if (memchr(id.p, '"', id.n) == NULL && memchr(id.p, '\\', id.n) == NULL) {
        return 0;
    }
    for (size_t i = 0; i < id.n; i++) {
        n += needs_escape(id.p[i]);
    }
    return n;
}

static uint8_t *copy(uint8_t *p, struct alk_span s)
{
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    return p + s.n;
}

static uint8_t *copy_escaped(uint8_t *p, struct alk_span id)
{
    for (size_t i = 0; i < id.n; i++) {
        if (needs_escape(id.p[i])) {
            *p++ = '\\';
        }
        *p++ = id.p[i];
    }
    return p;
}

static void put_id(struct frame *f, struct alk_span id)
{
    if (count_escapes(id) > 0) {
        put_text(f, id);
        return;
    }
    PUT(f, "\"");
    put(f, id);
    PUT(f, "\"");
}

/* Length, type, id, and the payload's opening brace. more: bytes that will follow,
 * so that a large frame makes the buffer grow once. */
static struct frame begin(struct alk_buf *b, struct alk_span type, struct alk_span id, size_t more)
{
    struct frame f = {b, alk_buf_len(b)};
    if (more <= alk_buf_room(b) && FIXED_MAX <= alk_buf_room(b) - more) {
        (void)alk_buf_reserve(b, more + FIXED_MAX);
    }
    PUT(&f, "\0\0\0\0{\"type\":\"call.");
    put(&f, type);
    PUT(&f, "\",\"id\":");
    put_id(&f, id);
    PUT(&f, ",\"payload\":{");
    return f;
}

static void write_length(uint8_t *p, size_t body)
{
    p[0] = (uint8_t)(body >> 24);
    p[1] = (uint8_t)(body >> 16);
    p[2] = (uint8_t)(body >> 8);
    p[3] = (uint8_t)body;
}

/* Ends the frame, or takes all of it back. */
static alk_err end(struct frame *f, size_t body_max)
{
    struct alk_buf *b = f->b;
    PUT(f, "}}");
    alk_err err = b->err;
    size_t body = alk_buf_len(b) - f->len - 4;
    if (err == ALK_OK && (body > body_max || body > UINT32_MAX)) {
        err = ALK_E_TOO_BIG;
    }
    if (err != ALK_OK) {
        b->end = b->at + f->len;
        b->err = ALK_OK;
        return err;
    }
    write_length(b->p + b->at + f->len, body);
    return ALK_OK;
}

alk_err alk_call_put_requested(struct alk_buf *b, struct alk_span id,
                               const struct alk_call_ask *ask, size_t body_max)
{
    struct frame f = begin(b, ALK_LIT("requested"), id, ask->input.n + ask->op.n);
    PUT(&f, "\"operationId\":\"");
    size_t slash = alk_buf_len(b);
    put_text(&f, ask->op);
    if (b->err == ALK_OK) {
        b->p[b->at + slash] = '/'; /* for the quote that put_text began with */
    }
    if (ask->auth_token.n > 0) {
        PUT(&f, ",\"auth_token\":");
        put_text(&f, ask->auth_token);
    }
    if (ask->timeout_ms > 0) {
        PUT(&f, ",\"timeout_ms\":");
        put_number(&f, ask->timeout_ms);
    }
    if (ask->has_credit) {
        PUT(&f, ",\"credit\":");
        put_number(&f, ask->credit);
    }
    if (ask->traceparent.n > 0) {
        PUT(&f, ",\"traceparent\":");
        put_text(&f, ask->traceparent);
    }
    if (ask->caller.n > 0) {
        PUT(&f, ",\"caller\":");
        put(&f, ask->caller);
    }
    if (ask->input.n > 0) {
        PUT(&f, ",\"input\":");
        put(&f, ask->input);
    }
    return end(&f, body_max);
}

/* What a node sends most, so it is written in one go. */
alk_err alk_call_put_responded(struct alk_buf *b, struct alk_span id, struct alk_span output,
                               size_t body_max)
{
    const struct alk_span front = ALK_LIT("{\"type\":\"call.responded\",\"id\":\"");
    const struct alk_span middle = ALK_LIT("\",\"payload\":{\"output\":");
    const struct alk_span back = ALK_LIT("}}");
    size_t escapes = count_escapes(id);
    size_t body = front.n + id.n + escapes + middle.n + back.n;
    if (!alk_add_ok(&body, body, output.n) || body > body_max || body > UINT32_MAX - 4) {
        return ALK_E_TOO_BIG;
    }
    uint8_t *p = alk_buf_reserve(b, 4 + body);
    if (p == NULL) {
        alk_err err = b->err;
        b->err = ALK_OK;
        return err;
    }
    write_length(p, body);
    p = copy(p + 4, front);
    p = escapes > 0 ? copy_escaped(p, id) : copy(p, id);
    p = copy(p, middle);
    p = copy(p, output);
    (void)copy(p, back);
    alk_buf_added(b, 4 + body);
    return ALK_OK;
}

alk_err alk_call_put_completed(struct alk_buf *b, struct alk_span id)
{
    struct frame f = begin(b, ALK_LIT("completed"), id, 0);
    return end(&f, SIZE_MAX);
}

alk_err alk_call_put_error(struct alk_buf *b, struct alk_span id, const char *code,
                           struct alk_span message, bool is_retryable, struct alk_span details,
                           size_t body_max)
{
    struct frame f = begin(b, ALK_LIT("error"), id, message.n + details.n);
    PUT(&f, "\"code\":\"");
    put(&f, alk_span_str(code));
    PUT(&f, "\",\"message\":");
    put_text(&f, message);
    PUT(&f, ",\"retryable\":");
    put(&f, is_retryable ? ALK_LIT("true") : ALK_LIT("false"));
    if (details.n > 0) {
        PUT(&f, ",\"details\":");
        put(&f, details);
    }
    return end(&f, body_max);
}

alk_err alk_call_put_aborted(struct alk_buf *b, struct alk_span id, struct alk_span reason)
{
    struct frame f = begin(b, ALK_LIT("aborted"), id, reason.n);
    if (reason.n > 0) {
        PUT(&f, "\"reason\":");
        put_text(&f, reason);
    }
    return end(&f, SIZE_MAX);
}

alk_err alk_call_put_credit(struct alk_buf *b, struct alk_span id, uint64_t n)
{
    struct frame f = begin(b, ALK_LIT("credit"), id, 0);
    PUT(&f, "\"n\":");
    put_number(&f, n);
    return end(&f, SIZE_MAX);
}
