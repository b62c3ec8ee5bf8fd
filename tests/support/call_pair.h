/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/call_pair.h - two cores of the call protocol back to back, with a driver that
 * does whatever `choose` says and a model that knows what must come of it.
 *
 * Checked: every request of ours has exactly one end; its answers come in order and
 * never beyond the credit; a request is told once and nothing of it after its end;
 * outputs keep their limits; neither side ever says that the other broke the protocol.
 *
 * For the unit test (choices from a seed) and the fuzz target (from its input). A check
 * that fails traps. All of it is one file, as fuzz targets link no test code.
 */
#ifndef ALK_TEST_CALL_PAIR_H
#define ALK_TEST_CALL_PAIR_H

#include "base/mem.h"
#include "call/proto/core.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAIR_STREAMS = 5, PAIR_REQUESTS = 24, PAIR_OUT_HIGH = 700, PAIR_OUT_HARD = 1500 };

static inline void pair_must(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "call_pair: not so: %s\n", what);
        __builtin_trap();
    }
}
#define PAIR_MUST(cond) pair_must((cond), #cond)

/* A number below n, n > 0. */
typedef unsigned pair_choose_fn(void *ctx, unsigned n);

struct pair_req {
    bool is_live;
    struct alk_call_ref ref;
    unsigned stream;
    bool is_aborted;
    /* asked by us */
    bool is_subscription, has_credit, is_forgotten;
    uint64_t credit, answers;
    /* asked by the peer */
    bool is_sub_in, is_full;
    uint64_t sent;
};

struct pair_side {
    struct alk_call_core *core;
    struct pair_req out[PAIR_REQUESTS], in[PAIR_REQUESTS];
    struct alk_buf wire[PAIR_STREAMS]; /* bytes for the other side */
    uint64_t ended, asked;
};

struct pair {
    struct pair_side side[2];
    bool is_open[PAIR_STREAMS];
    pair_choose_fn *choose;
    void *ctx;
};

static inline unsigned pair_pick(struct pair *p, unsigned n)
{
    return p->choose(p->ctx, n);
}

static inline void pair_init(struct pair *p, pair_choose_fn *choose, void *ctx)
{
    struct alk_call_options o = {
        .in_max = 12, .out_max = 16, .out_high = PAIR_OUT_HIGH, .out_hard = PAIR_OUT_HARD};
    *p = (struct pair){.choose = choose, .ctx = ctx};
    for (int i = 0; i < 2; i++) {
        PAIR_MUST(alk_call_new(&o, &p->side[i].core) == ALK_OK);
        for (int s = 0; s < PAIR_STREAMS; s++) {
            alk_buf_init(&p->side[i].wire[s], NULL, (size_t)1 << 24);
        }
    }
}

static inline void pair_fini(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        alk_call_free(p->side[i].core);
        for (int s = 0; s < PAIR_STREAMS; s++) {
            alk_buf_fini(&p->side[i].wire[s]);
        }
    }
}

/* --- events ------------------------------------------------------------------------ */

static inline uint64_t pair_number(struct alk_span json)
{
    uint64_t v = 0;
    PAIR_MUST(alk_span_u64(json, UINT64_MAX, &v));
    return v;
}

static inline void pair_requested(struct pair_side *a, const struct alk_call_event *ev)
{
    for (int i = 0; i < PAIR_REQUESTS; i++) {
        if (!a->in[i].is_live) {
            a->in[i] = (struct pair_req){.is_live = true,
                                         .ref = ev->ref,
                                         .stream = (unsigned)ev->stream,
                                         .is_sub_in = alk_span_is(ev->u.requested.op, "sub")};
            PAIR_MUST(a->in[i].is_sub_in || alk_span_is(ev->u.requested.op, "call"));
            PAIR_MUST(pair_number(ev->u.requested.input) == ev->stream);
            alk_call_set_user(a->core, ev->ref, &a->in[i]);
            return;
        }
    }
    pair_must(false, "no more requests than in_max");
}

static inline void pair_ended(struct pair_side *a, struct pair_req *r)
{
    PAIR_MUST(r->is_live && !r->is_forgotten);
    r->is_live = false;
    a->ended++;
}

static inline void pair_responded(struct pair_side *a, struct pair_req *r,
                                  const struct alk_call_event *ev)
{
    PAIR_MUST(r->is_live && !r->is_forgotten);
    PAIR_MUST(pair_number(ev->u.responded.output) == r->answers);
    r->answers++;
    PAIR_MUST(!r->is_subscription || !r->has_credit || r->answers <= r->credit);
    PAIR_MUST(ev->u.responded.is_last == !r->is_subscription);
    if (ev->u.responded.is_last) {
        pair_ended(a, r);
    }
}

static inline void pair_event(struct pair_side *a, const struct alk_call_event *ev)
{
    struct pair_req *r = ev->user;
    PAIR_MUST(ev->kind == ALK_CALL_REQUESTED || (r != NULL && r->is_live));
    PAIR_MUST(r == NULL || (r->ref.slot == ev->ref.slot && r->ref.serial == ev->ref.serial &&
                            r->stream == ev->stream));
    switch (ev->kind) {
    case ALK_CALL_REQUESTED:
        pair_requested(a, ev);
        break;
    case ALK_CALL_ABORTED:
        PAIR_MUST(!r->is_aborted);
        r->is_aborted = true;
        break;
    case ALK_CALL_CREDIT:
        PAIR_MUST(r->is_full);
        r->is_full = false;
        break;
    case ALK_CALL_RESPONDED:
        pair_responded(a, r, ev);
        break;
    case ALK_CALL_FAILED:
        /* Nothing that either core says of the other's mistakes. */
        PAIR_MUST(alk_span_is(ev->u.failed.code, "ABORTED") ||
                  alk_span_is(ev->u.failed.code, "EXHAUSTED") ||
                  alk_span_is(ev->u.failed.code, "SHUTDOWN"));
        pair_ended(a, r);
        break;
    case ALK_CALL_COMPLETED:
        PAIR_MUST(r->is_subscription);
        pair_ended(a, r);
        break;
    case ALK_CALL_LOST:
        if (ev->u.lost.is_in) {
            r->is_live = false;
        } else {
            pair_ended(a, r);
        }
        break;
    case ALK_CALL_BROKEN:
        pair_must(false, "neither breaks the protocol");
    }
}

static inline void pair_events(struct pair_side *a)
{
    struct alk_call_event ev;
    while (alk_call_next(a->core, &ev) == ALK_OK) {
        pair_event(a, &ev);
    }
}

/* --- what may be done ------------------------------------------------------------------ */

static inline void pair_ask(struct pair *p, struct pair_side *a, unsigned s)
{
    char input[8];
    int i = 0;
    while (i < PAIR_REQUESTS && a->out[i].is_live) {
        i++;
    }
    if (i == PAIR_REQUESTS || !p->is_open[s]) {
        return;
    }
    struct pair_req *r = &a->out[i];
    bool is_sub = pair_pick(p, 2) == 0;
    (void)snprintf(input, sizeof(input), "%u", s);
    struct alk_call_ask ask = {.op = is_sub ? ALK_LIT("sub") : ALK_LIT("call"),
                               .input = alk_span_str(input),
                               .is_subscription = is_sub,
                               .has_credit = is_sub && pair_pick(p, 2) == 0};
    ask.credit = ask.has_credit ? pair_pick(p, 4) : 0;
    *r = (struct pair_req){
        .stream = s, .is_subscription = is_sub, .has_credit = ask.has_credit, .credit = ask.credit};
    alk_err err = alk_call_request(a->core, s, &ask, r, &r->ref);
    PAIR_MUST(err == ALK_OK || err == ALK_FULL || err == ALK_E_LIMIT);
    r->is_live = err == ALK_OK;
    a->asked += r->is_live;
}

static inline void pair_answer(struct pair *p, struct pair_side *a, struct pair_req *r)
{
    char output[24];
    unsigned how = pair_pick(p, 8);
    alk_err err = ALK_OK;
    struct alk_span none = {NULL, 0};
    (void)snprintf(output, sizeof(output), "%llu", (unsigned long long)r->sent);
    if (r->is_aborted || how == 0) {
        err = alk_call_fail(a->core, r->ref, "ABORTED", ALK_LIT("m"), how == 1,
                            how % 2 == 0 ? none : ALK_LIT("[]"));
        r->is_live = false;
    } else if (!r->is_sub_in) {
        err = alk_call_respond(a->core, r->ref, alk_span_str(output), true);
        r->is_live = false;
        err = err == ALK_E_LIMIT ? ALK_OK : err;
    } else if (how == 2) {
        err = alk_call_complete(a->core, r->ref);
        r->is_live = false;
    } else {
        err = alk_call_respond(a->core, r->ref, alk_span_str(output), false);
        r->sent += err == ALK_OK;
        r->is_full = err == ALK_FULL;
        /* Its stream is gone, and that has not been told yet. */
        uint64_t stream;
        bool is_lost = !alk_call_stream_of(a->core, r->ref, &stream);
        PAIR_MUST((err == ALK_E_STATE) == is_lost);
        err = err == ALK_FULL || err == ALK_E_STATE ? ALK_OK : err;
    }
    PAIR_MUST(err == ALK_OK);
}

static inline void pair_change(struct pair *p, struct pair_side *a, struct pair_req *r)
{
    unsigned how = pair_pick(p, 6);
    if (how == 0) {
        PAIR_MUST(alk_call_abort(a->core, r->ref, ALK_LIT("\x01")) == ALK_OK);
    } else if (how == 1 && (r->is_aborted || pair_pick(p, 4) == 0)) {
        alk_call_forget(a->core, r->ref);
        r->is_live = false; /* nothing of it may come */
        r->is_forgotten = true;
        a->asked--;
    } else if (r->has_credit) {
        uint64_t n = pair_pick(p, 5);
        alk_err err = alk_call_credit(a->core, r->ref, n);
        PAIR_MUST(err == ALK_OK || err == ALK_FULL);
        r->credit += err == ALK_OK ? n : 0;
    }
}

/* At most n bytes of a's output onto the wire, at most m from it into b. */
static inline void pair_move(struct pair_side *a, struct pair_side *b, unsigned s, size_t n,
                             size_t m)
{
    struct alk_span out = alk_call_output(a->core, s);
    /* Beyond out_hard there are last words alone. */
    PAIR_MUST(out.n <= PAIR_OUT_HARD + 28 * 200);
    struct alk_span part = alk_span_head(out, n);
    PAIR_MUST(alk_buf_put(&a->wire[s], part) == ALK_OK);
    alk_call_sent(a->core, s, part.n);
    struct alk_span in = alk_span_head(alk_buf_span(&a->wire[s]), m);
    size_t used = 0;
    if (in.n > 0) {
        PAIR_MUST(alk_call_feed(b->core, s, in, &used) == ALK_OK && used <= in.n);
        pair_events(b);
        alk_buf_consume(&a->wire[s], used);
    }
}

static inline void pair_close(struct pair *p, unsigned s)
{
    for (int i = 0; i < 2; i++) {
        alk_call_close_stream(p->side[i].core, s);
        alk_buf_clear(&p->side[i].wire[s]);
    }
    p->is_open[s] = false;
}

static inline void pair_open(struct pair *p, unsigned s)
{
    if (!p->is_open[s]) {
        for (int i = 0; i < 2; i++) {
            PAIR_MUST(alk_call_open(p->side[i].core, s) == ALK_OK);
        }
        p->is_open[s] = true;
    }
}

/* Exactly the streams with output are told as dirty, and all of it is counted. */
static inline void pair_check_dirty(struct pair_side *a)
{
    bool is_dirty[PAIR_STREAMS] = {false};
    size_t at = 0;
    uint64_t s;
    while (alk_call_dirty(a->core, &at, &s)) {
        PAIR_MUST(s < PAIR_STREAMS && !is_dirty[s]);
        is_dirty[s] = true;
    }
    size_t bytes = 0, streams = 0, counted;
    for (s = 0; s < PAIR_STREAMS; s++) {
        size_t n = alk_call_output(a->core, s).n;
        PAIR_MUST(is_dirty[s] == (n > 0));
        bytes += n;
        streams += n > 0;
    }
    PAIR_MUST(alk_call_unsent(a->core, &counted) == bytes && counted == streams);
}

/* One thing, of any kind, at any place. */
static inline void pair_step(struct pair *p)
{
    struct pair_side *a = &p->side[pair_pick(p, 2)];
    struct pair_side *b = a == p->side ? a + 1 : a - 1;
    unsigned s = pair_pick(p, PAIR_STREAMS);
    unsigned i = pair_pick(p, PAIR_REQUESTS);
    unsigned what = pair_pick(p, 64);
    if (what == 0) {
        pair_close(p, s);
        if (pair_pick(p, 2) == 0) {
            pair_events(a); /* the other one hears of it later */
        }
    } else if (what < 8) {
        pair_open(p, s);
    } else if (what < 24) {
        pair_ask(p, a, s);
    } else if (what < 36 && a->in[i].is_live) {
        pair_answer(p, a, &a->in[i]);
    } else if (what < 44 && a->out[i].is_live) {
        pair_change(p, a, &a->out[i]);
    } else {
        pair_move(a, b, s, pair_pick(p, 400), 1 + pair_pick(p, 400));
    }
    pair_check_dirty(a);
    pair_check_dirty(b);
}

/* Everything is ended and said; then no request is left. */
static inline void pair_settle(struct pair *p)
{
    for (int round = 0; round < 40; round++) {
        for (int k = 0; k < 2; k++) {
            struct pair_side *a = &p->side[k];
            struct pair_side *b = &p->side[1 - k];
            pair_events(a);
            for (int i = 0; i < PAIR_REQUESTS; i++) {
                if (a->in[i].is_live) {
                    struct alk_span none = {NULL, 0};
                    PAIR_MUST(alk_call_fail(a->core, a->in[i].ref, "SHUTDOWN", none, false, none) ==
                              ALK_OK);
                    a->in[i].is_live = false;
                }
            }
            for (unsigned s = 0; s < PAIR_STREAMS; s++) {
                pair_move(a, b, s, SIZE_MAX, SIZE_MAX);
            }
        }
    }
    for (int k = 0; k < 2; k++) {
        for (unsigned s = 0; s < PAIR_STREAMS; s++) {
            PAIR_MUST(alk_call_is_idle(p->side[k].core, s));
            PAIR_MUST(alk_buf_len(&p->side[k].wire[s]) == 0);
        }
        PAIR_MUST(p->side[k].ended == p->side[k].asked);
    }
}

#endif
