/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One core of the call protocol against an input that is the peer, the network and the
 * glue at once: raw bytes, whole frames, intents with good and stale handles, ends.
 *
 * The input is a list of steps: a byte that says which, a byte of argument, and for
 * those that bring bytes, their number and the bytes. */
#include "base/json_scan.h"
#include "base/wire.h"
#include "call/proto/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REFS = 32, STREAMS = 4, OUT_HARD = 2000 };

struct world {
    struct alk_call_core *core;
    struct alk_call_ref refs[REFS]; /* seen lately, live or not */
    unsigned next;
    unsigned live_in, live_out; /* that must still end */
};

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void json(struct alk_span s)
{
    must(s.n == 0 || alk_json_scan_check(s) == ALK_OK);
}

static void event(struct world *w, const struct alk_call_event *ev)
{
    w->refs[w->next++ % REFS] = ev->ref;
    switch (ev->kind) {
    case ALK_CALL_REQUESTED:
        json(ev->u.requested.input);
        json(ev->u.requested.caller);
        must(ev->u.requested.op.n > 0 && alk_span_is_utf8(ev->u.requested.auth_token));
        must(ev->u.requested.id.n > 0 && alk_call_user(w->core, ev->ref) == NULL);
        w->live_in++;
        break;
    case ALK_CALL_ABORTED:
        must(alk_span_is_utf8(ev->u.aborted.reason));
        break;
    case ALK_CALL_CREDIT:
        break;
    case ALK_CALL_RESPONDED:
        must(ev->u.responded.output.n > 0 && w->live_out > 0);
        json(ev->u.responded.output);
        w->live_out -= ev->u.responded.is_last;
        break;
    case ALK_CALL_FAILED:
        must(ev->u.failed.code.n > 0 && ev->u.failed.code.n <= 64);
        json(ev->u.failed.details);
        must(w->live_out-- > 0);
        break;
    case ALK_CALL_COMPLETED:
        must(w->live_out-- > 0);
        break;
    case ALK_CALL_LOST:
        must((ev->u.lost.is_in ? w->live_in-- : w->live_out--) > 0);
        break;
    case ALK_CALL_BROKEN:
        must(ev->u.broken.err < 0);
        break;
    }
}

static void events(struct world *w)
{
    struct alk_call_event ev;
    while (alk_call_next(w->core, &ev) == ALK_OK) {
        event(w, &ev);
    }
}

static void feed(struct world *w, unsigned stream, struct alk_span in)
{
    while (in.n > 0) {
        size_t used = 0;
        if (alk_call_feed(w->core, stream, in, &used) != ALK_OK) {
            return;
        }
        must(used <= in.n);
        events(w);
        if (used == 0 && alk_call_output(w->core, stream).n > 0) {
            return; /* no room */
        }
        in = alk_span_tail(in, used);
    }
}

static void feed_frame(struct world *w, unsigned stream, struct alk_span body)
{
    uint8_t frame[300];
    struct alk_wr wr = alk_wr(frame, sizeof(frame));
    alk_wr_block32(&wr, body);
    feed(w, stream, alk_wr_span(&wr));
}

/* What is sent is whole frames. */
static void send(struct world *w, unsigned stream, bool all)
{
    struct alk_span out = alk_call_output(w->core, stream);
    must(out.n <= OUT_HARD + 20 * 4096);
    if (all) {
        struct alk_rd r = alk_rd(out);
        while (alk_rd_left(&r) > 0) {
            must(alk_json_scan_check(alk_rd_block32(&r, ALK_CALL_FRAME_MAX)) == ALK_OK);
        }
        must(r.err == ALK_OK);
        alk_call_sent(w->core, stream, out.n);
    }
}

static void ask(struct world *w, unsigned stream, unsigned how)
{
    struct alk_call_ask a = {.op = ALK_LIT("a"),
                             .input = ALK_LIT("[]"),
                             .is_subscription = (how & 4) != 0,
                             .has_credit = (how & 8) != 0,
                             .credit = how >> 4};
    struct alk_call_ref ref;
    alk_err err = alk_call_open(w->core, stream);
    must(err == ALK_OK || err == ALK_E_EXISTS || err == ALK_E_STATE);
    if (alk_call_request(w->core, stream, &a, NULL, &ref) == ALK_OK) {
        w->refs[w->next++ % REFS] = ref;
        w->live_out++;
    }
}

/* An intent on a handle that may be of either side, live or stale. */
static void intent(struct world *w, unsigned what, unsigned arg)
{
    struct alk_call_ref ref = w->refs[arg % REFS];
    struct alk_span none = {NULL, 0};
    alk_err err = ALK_OK;
    switch (what) {
    case 0:
        err = alk_call_respond(w->core, ref, ALK_LIT("{\"x\":\"0123456789012345\"}"), false);
        must(err == ALK_OK || err == ALK_FULL || err == ALK_E_STATE);
        break;
    case 1:
        err = alk_call_respond(w->core, ref, ALK_LIT("1"), true);
        w->live_in -= err == ALK_OK || err == ALK_E_LIMIT;
        break;
    case 2:
        w->live_in -= alk_call_complete(w->core, ref) == ALK_OK;
        break;
    case 3:
        w->live_in -= alk_call_fail(w->core, ref, "ABORTED", ALK_LIT("\xff"), true, none) == ALK_OK;
        break;
    case 4:
        err = alk_call_abort(w->core, ref, ALK_LIT("r"));
        must(err == ALK_OK || err == ALK_E_STATE);
        break;
    default:
        err = alk_call_credit(w->core, ref, arg);
        must(err == ALK_OK || err == ALK_FULL || err == ALK_E_STATE);
        break;
    }
}

static void step(struct world *w, struct alk_rd *r)
{
    unsigned what = alk_rd_u8(r) % 14;
    unsigned arg = alk_rd_u8(r);
    unsigned stream = arg % STREAMS;
    if (what < 2) {
        feed(w, stream, alk_rd_block8(r));
    } else if (what < 5) {
        feed_frame(w, stream, alk_rd_block8(r));
    } else if (what < 11) {
        intent(w, what - 5, arg);
    } else if (what == 11) {
        ask(w, stream, arg);
    } else if (what == 12) {
        send(w, stream, true);
    } else if (arg % 8 < 4) {
        alk_call_eof(w->core, stream);
        events(w);
    } else {
        alk_call_close_stream(w->core, stream);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_call_options o = {.frame_max = 256,
                                 .in_max = 6,
                                 .out_max = 6,
                                 .streams_max = STREAMS,
                                 .out_high = 500,
                                 .out_hard = OUT_HARD,
                                 .partial_max = 400};
    struct world w = {0};
    struct alk_rd r = alk_rd(alk_span(data, size));
    must(alk_call_new(&o, &w.core) == ALK_OK);
    while (alk_rd_left(&r) > 0) {
        step(&w, &r);
    }
    for (unsigned s = 0; s < STREAMS; s++) {
        send(&w, s, true);
        alk_call_close_stream(w.core, s);
        must(alk_call_is_idle(w.core, s));
    }
    events(&w);
    must(w.live_in == 0 && w.live_out == 0);
    alk_call_free(w.core);
    return 0;
}
