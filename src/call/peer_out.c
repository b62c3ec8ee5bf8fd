/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Our calls to the other side. */
#include "call/peer.h"

#include "base/json_scan.h"
#include "base/mem.h"
#include "core/io/loop.h"

#include <stddef.h>
#include <string.h>

/* We wait longer than the answerer, so that its TIMEOUT arrives. */
#define GRACE_MS           1000
#define TIMEOUT_DEFAULT_MS 30000
/* Bytes of calls that wait to be sent, each. */
#define WAITING_BYTES      (ALK_CALL_FRAME_MAX + 4096)

/* --- ending ---------------------------------------------------------------------- */

static void call_free(struct alk_call *call)
{
    struct alk_peer *peer = call->peer;
    alk_buf_fini_secret(&call->text);
    alk_blocks_give(alk_loop_blocks(peer->loop), peer->mem, call, sizeof(*call));
}

static void leave_lists(struct alk_call *call)
{
    if (call->state == ALK_CALL_WAITING) {
        call->peer->waiting_count--;
    }
    alk_list_remove(&call->in);
    alk_timer_stop(call->peer->loop, &call->timer);
    call->state = ALK_CALL_OVER;
}

/* The last word to the caller, and the end of the handle. */
static void end_call(struct alk_call *call, const char *code, struct alk_span message,
                     bool is_retryable, struct alk_span details)
{
    struct alk_peer *peer = call->peer;
    leave_lists(call);
    alk_peer_enter(peer);
    call->is_busy = true;
    call->answers->ended(call->ctx, call, code, message, is_retryable, details);
    call_free(call);
    (void)alk_peer_leave(peer);
}

static void end_lost(struct alk_call *call, const char *message)
{
    end_call(call, ALK_OPS_UNAVAILABLE, alk_span_str(message), true, (struct alk_span){0});
}

static void on_timer(struct alk_timer *timer, void *ctx)
{
    struct alk_call *call = (struct alk_call *)ctx;
    struct alk_peer *peer = call->peer;
    (void)timer;

    alk_peer_enter(peer);
    if (call->is_cancelled && call->state == ALK_CALL_WAITING) {
        end_call(call, ALK_OPS_ABORTED, ALK_LIT("aborted"), false, (struct alk_span){0});
    } else {
        if (call->state == ALK_CALL_ASKED) {
            alk_err err = alk_call_abort(peer->core, call->ref, ALK_LIT("timeout"));
            (void)err;
            alk_call_forget(peer->core, call->ref);
            alk_peer_flush(peer);
        }
        end_call(call, ALK_OPS_TIMEOUT, ALK_LIT("no answer came in time"), true,
                 (struct alk_span){0});
    }
    (void)alk_peer_leave(peer);
}

/* --- asking ---------------------------------------------------------------------- */

static void start_timer(struct alk_call *call)
{
    uint64_t ms = call->timeout_ms;
    if (ms == 0 && call->is_subscription) {
        return;
    }
    ms = (ms == 0 ? TIMEOUT_DEFAULT_MS : ms) + GRACE_MS;
    alk_timer_set(call->peer->loop, &call->timer,
                  alk_loop_now(call->peer->loop) + (alk_time)ms * ALK_MS);
}

/* ALK_FULL: no stream, or too much unsent. */
static alk_err send_now(struct alk_call *call, const struct alk_call_ask *ask)
{
    struct alk_peer *peer = call->peer;
    struct alk_peer_stream *ps = NULL;

    ALK_TRY(alk_peer_out_stream(peer, call->has_own_stream, &ps));
    alk_err err = alk_call_request(peer->core, ps->id, ask, call, &call->ref);
    if (err == ALK_OK) {
        call->state = ALK_CALL_ASKED;
        call->was_sent = true;
        alk_list_append(&peer->calls, &call->in);
        alk_peer_flush(peer);
    } else if (ps->is_ours && !ps->is_shared) {
        alk_peer_stream_rest(peer, ps->id); /* opened for nothing */
    }
    return err;
}

static alk_err keep(struct alk_buf *text, struct alk_span *span)
{
    size_t at = alk_buf_len(text);
    alk_err err = alk_buf_put(text, *span);
    /* Offsets for now: the buffer may still move. */
    span->p = (const uint8_t *)(uintptr_t)at;
    return err;
}

static void point(const struct alk_buf *text, struct alk_span *span)
{
    span->p = span->n == 0 ? NULL : alk_buf_span(text).p + (uintptr_t)span->p;
}

static alk_err wait_turn(struct alk_call *call, const struct alk_call_ask *ask)
{
    struct alk_peer *peer = call->peer;
    struct alk_span *spans[] = {&call->ask.op, &call->ask.input, &call->ask.auth_token,
                                &call->ask.traceparent, &call->ask.caller};
    if (peer->waiting_count >= ALK_PEER_WAITING_MAX) {
        return ALK_FULL;
    }
    call->ask = *ask;
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        ALK_TRY(keep(&call->text, spans[i]));
    }
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        point(&call->text, spans[i]);
    }
    call->state = ALK_CALL_WAITING;
    alk_list_append(&peer->waiting, &call->in);
    peer->waiting_count++;
    return ALK_OK;
}

static void fill_ask(const struct alk_peer *peer, const struct alk_ask *ask,
                     const struct alk_ask_more *more, struct alk_call *call,
                     struct alk_call_ask *ret)
{
    bool has_token = ask->auth_token.n > 0;
    call->is_subscription = ask->is_subscription;
    call->has_credit = ask->is_subscription && ask->credit != ALK_NEVER;
    call->credit = ask->credit == 0 ? ALK_PEER_CREDIT : ask->credit;
    call->is_manual = more->manual_credit;
    call->has_own_stream = ask->is_subscription || ask->wants_own_stream;
    call->timeout_ms = ask->timeout_ms;
    *ret = (struct alk_call_ask){.op = alk_span_str(ask->op),
                                 .input = ask->input,
                                 .auth_token = ask->auth_token,
                                 .traceparent = ask->traceparent,
                                 .caller = more->caller,
                                 .timeout_ms = ask->timeout_ms,
                                 .credit = call->credit,
                                 .has_credit = call->has_credit,
                                 .is_subscription = ask->is_subscription};
    if (!has_token && !more->without_token) {
        ret->auth_token = alk_span(peer->token, peer->token_n);
    }
}

/* One of a caller that knows fewer members than we do is completed in *room. */
static const struct alk_ask *read_ask(const struct alk_ask *ask, struct alk_ask *room)
{
    size_t n = ask->struct_size;
    if (n == 0 || n >= sizeof *room) {
        return ask;
    }
    *room = (struct alk_ask){0};
    memcpy(room, ask, n);
    return room;
}

/* NULL without memory. */
static struct alk_call *call_new(struct alk_peer *peer, const struct alk_answers *answers,
                                 void *ctx)
{
    struct alk_call *call =
        (struct alk_call *)alk_blocks_take(alk_loop_blocks(peer->loop), peer->mem, sizeof(*call));
    if (call == NULL) {
        return NULL;
    }
    /* Not `ask`, which is written when it is to wait: most go out at once. */
    memset(call, 0, offsetof(struct alk_call, ask));
    call->peer = peer;
    call->answers = answers;
    call->ctx = ctx;
    call->timer.fn = on_timer;
    call->timer.ctx = call;
    alk_buf_init(&call->text, peer->mem, WAITING_BYTES);
    return call;
}

alk_err alk_peer_ask(struct alk_peer *peer, const struct alk_ask *ask,
                     const struct alk_ask_more *more, const struct alk_answers *answers, void *ctx,
                     struct alk_call **ret)
{
    struct alk_ask room;
    const struct alk_ask *a = read_ask(ask, &room);
    struct alk_call_ask wire;

    if (peer->is_freed || peer->is_closing || peer->has_failed ||
        (peer->conn == NULL && peer->dial == NULL)) {
        return ALK_E_CLOSED;
    }
    if (a->op == NULL || a->op[0] == '\0' || strlen(a->op) > ALK_OP_NAME_MAX) {
        return ALK_E_INVALID;
    }
    if (a->input.n > 0 && alk_json_scan_check(a->input) != ALK_OK) {
        return ALK_E_MALFORMED;
    }
    struct alk_call *call = call_new(peer, answers, ctx);
    if (call == NULL) {
        return ALK_E_NOMEM;
    }
    fill_ask(peer, a, more, call, &wire);
    alk_peer_enter(peer);
    alk_err err = peer->conn == NULL ? ALK_FULL : send_now(call, &wire);
    /* For the connection or a stream it can wait; for a reader that is too slow it is
     * the caller who has to. */
    bool may_wait = peer->conn == NULL || alk_list_is_empty(&peer->calls) || peer->lacks_stream;
    if (err == ALK_FULL && may_wait) {
        err = wait_turn(call, &wire);
    }
    if (err == ALK_OK) {
        start_timer(call);
        *ret = call;
    } else {
        call_free(call);
    }
    (void)alk_peer_leave(peer);
    return err;
}

alk_err alk_peer_call(struct alk_peer *peer, const struct alk_ask *ask,
                      const struct alk_answers *answers, void *ctx, struct alk_call **ret)
{
    static const struct alk_ask_more none;
    return alk_peer_ask(peer, ask, &none, answers, ctx, ret);
}

void alk_peer_out_resume(struct alk_peer *peer)
{
    struct alk_link *e;
    while (peer->conn != NULL && !peer->is_freed && (e = alk_list_first(&peer->waiting)) != NULL) {
        struct alk_call *call = ALK_CONTAINER(e, struct alk_call, in);
        alk_list_remove(&call->in);
        peer->waiting_count--;
        alk_err err = send_now(call, &call->ask);
        if (err == ALK_OK) {
            alk_buf_fini_secret(&call->text);
            continue;
        }
        alk_list_prepend(&peer->waiting, &call->in);
        peer->waiting_count++;
        if (err == ALK_FULL) {
            return;
        }
        end_lost(call, alk_err_text(err));
    }
}

/* --- answers ----------------------------------------------------------------------- */

void alk_call_more(struct alk_call *call, uint64_t n)
{
    struct alk_peer *peer = call->peer;
    if (call->state == ALK_CALL_ASKED && call->has_credit && peer->conn != NULL) {
        alk_err err = alk_call_credit(peer->core, call->ref, n);
        (void)err; /* its stream is gone */
        alk_peer_flush(peer);
    }
}

/* Half of the window at a time, so that credit frames are rare. */
static void renew_credit(struct alk_call *call)
{
    if (!call->has_credit || call->is_manual) {
        return;
    }
    call->taken++;
    if (call->taken * 2 >= call->credit) {
        uint64_t n = call->taken;
        call->taken = 0;
        alk_call_more(call, n);
    }
}

static void on_responded(struct alk_call *call, const struct alk_call_event *e)
{
    bool is_last = e->u.responded.is_last;

    call->is_busy = true;
    if (call->answers->responded != NULL) {
        call->answers->responded(call->ctx, call, e->u.responded.output);
    }
    call->is_busy = false;
    if (call->is_dropped) {
        call_free(call);
    } else if (is_last) {
        end_call(call, NULL, (struct alk_span){0}, false, (struct alk_span){0});
    } else {
        renew_credit(call);
    }
}

static void on_failed(struct alk_call *call, const struct alk_call_event *e)
{
    char code[ALK_OP_CODE_MAX + 1];
    if (!alk_span_cstr(e->u.failed.code, code, sizeof code)) {
        (void)alk_span_cstr(ALK_LIT(ALK_OPS_INTERNAL), code, sizeof code);
    }
    end_call(call, code, e->u.failed.message, e->u.failed.is_retryable, e->u.failed.details);
}

void alk_peer_out_event(struct alk_peer *peer, const struct alk_call_event *e)
{
    struct alk_call *call = (struct alk_call *)e->user;
    uint64_t stream = e->stream;

    if (call != NULL) {
        switch ((int)e->kind) {
        case ALK_CALL_RESPONDED:
            on_responded(call, e);
            break;
        case ALK_CALL_COMPLETED:
            end_call(call, NULL, (struct alk_span){0}, false, (struct alk_span){0});
            break;
        case ALK_CALL_FAILED:
            on_failed(call, e);
            break;
        default:
            end_lost(call, "whoever was to answer has gone; it may have run");
            break;
        }
    }
    if (peer->conn != NULL && !peer->is_freed) {
        alk_peer_stream_rest(peer, stream);
        alk_peer_out_resume(peer);
    }
}

/* --- giving up ------------------------------------------------------------------------ */

void alk_call_cancel(struct alk_call *call)
{
    struct alk_peer *peer = call->peer;
    if (call->state == ALK_CALL_OVER || call->is_cancelled) {
        return;
    }
    call->is_cancelled = true;
    if (call->state == ALK_CALL_WAITING) {
        alk_timer_set(peer->loop, &call->timer, alk_loop_now(peer->loop));
        return;
    }
    alk_err err = alk_call_abort(peer->core, call->ref, (struct alk_span){0});
    (void)err; /* its stream is gone: that is told */
    alk_timer_set(peer->loop, &call->timer,
                  alk_loop_now(peer->loop) + (alk_time)GRACE_MS * 5 * ALK_MS);
    alk_peer_flush(peer);
}

void alk_call_drop(struct alk_call *call)
{
    struct alk_peer *peer = call->peer;
    if (call->is_dropped || (call->state == ALK_CALL_OVER && call->is_busy)) {
        return; /* inside `ended`: it is gone anyway */
    }
    alk_peer_enter(peer);
    if (call->state == ALK_CALL_ASKED && peer->conn != NULL) {
        alk_err err = alk_call_abort(peer->core, call->ref, (struct alk_span){0});
        (void)err;
        alk_call_forget(peer->core, call->ref);
        alk_peer_flush(peer);
    }
    leave_lists(call);
    call->is_dropped = true;
    if (!call->is_busy) {
        call_free(call);
    }
    (void)alk_peer_leave(peer);
}

static void end_all(struct alk_list *list, bool is_silent)
{
    struct alk_link *e;
    while ((e = alk_list_first(list)) != NULL) {
        struct alk_call *call = ALK_CONTAINER(e, struct alk_call, in);
        if (is_silent) {
            alk_call_drop(call);
        } else {
            end_lost(call, "the connection is gone");
        }
    }
}

void alk_peer_out_detach(struct alk_peer *peer)
{
    end_all(&peer->calls, peer->is_freed);
    end_all(&peer->waiting, peer->is_freed);
}
