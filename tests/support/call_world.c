/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/call_world.h"

#include "base/json_scan.h"

void call_world_init(struct call_world *w, const struct alk_call_options *options)
{
    struct alk_call_options none = {0};
    *w = (struct call_world){0};
    alk_buf_init(&w->said, NULL, (size_t)1 << 26);
    check_err(alk_call_new(options == NULL ? &none : options, &w->core), ALK_OK);
}

void call_world_fini(struct call_world *w)
{
    alk_call_free(w->core);
    alk_buf_fini(&w->said);
}

void call_frame(struct alk_buf *b, struct alk_span body)
{
    struct alk_wr wr = alk_wr_buf(b);
    alk_wr_block32(&wr, body);
    check_err(wr.err, ALK_OK);
}

static void put_requested(const struct alk_call_event *ev, struct alk_buf *b)
{
    (void)alk_buf_printf(b, "requested s%d id=" ALK_SPAN_FMT " op=" ALK_SPAN_FMT, (int)ev->stream,
                         ALK_SPAN_ARG(ev->u.requested.id), ALK_SPAN_ARG(ev->u.requested.op));
    const struct {
        const char *name;
        struct alk_span text;
    } rows[] = {{"input", ev->u.requested.input},
                {"token", ev->u.requested.auth_token},
                {"trace", ev->u.requested.traceparent},
                {"caller", ev->u.requested.caller}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].text.n > 0) {
            (void)alk_buf_printf(b, " %s=" ALK_SPAN_FMT, rows[i].name, ALK_SPAN_ARG(rows[i].text));
        }
    }
    if (ev->u.requested.timeout_ms > 0) {
        (void)alk_buf_printf(b, " timeout=%llu", (unsigned long long)ev->u.requested.timeout_ms);
    }
    (void)alk_buf_put_str(b, ev->u.requested.has_credit ? " credit" : "");
}

void call_event_text(const struct alk_call_event *ev, struct alk_buf *b)
{
    int s = (int)ev->stream;
    switch (ev->kind) {
    case ALK_CALL_REQUESTED:
        put_requested(ev, b);
        break;
    case ALK_CALL_ABORTED:
        (void)alk_buf_printf(b, "aborted s%d " ALK_SPAN_FMT, s, ALK_SPAN_ARG(ev->u.aborted.reason));
        break;
    case ALK_CALL_CREDIT:
        (void)alk_buf_printf(b, "credit s%d", s);
        break;
    case ALK_CALL_RESPONDED:
        (void)alk_buf_printf(b, "responded s%d " ALK_SPAN_FMT "%s", s,
                             ALK_SPAN_ARG(ev->u.responded.output),
                             ev->u.responded.is_last ? " last" : "");
        break;
    case ALK_CALL_COMPLETED:
        (void)alk_buf_printf(b, "completed s%d", s);
        break;
    case ALK_CALL_FAILED:
        (void)alk_buf_printf(b, "failed s%d " ALK_SPAN_FMT " '" ALK_SPAN_FMT "'%s%s" ALK_SPAN_FMT,
                             s, ALK_SPAN_ARG(ev->u.failed.code), ALK_SPAN_ARG(ev->u.failed.message),
                             ev->u.failed.is_retryable ? " retryable" : "",
                             ev->u.failed.details.n > 0 ? " " : "",
                             ALK_SPAN_ARG(ev->u.failed.details));
        break;
    case ALK_CALL_LOST:
        (void)alk_buf_printf(b, "lost s%d %s", s, ev->u.lost.is_in ? "in" : "out");
        break;
    case ALK_CALL_BROKEN:
        (void)alk_buf_printf(b, "broken s%d %s%s", s, alk_err_name(ev->u.broken.err),
                             ev->u.broken.is_connection ? " connection" : "");
        break;
    }
    (void)alk_buf_put_str(b, "\n");
}

void call_world_events(struct call_world *w)
{
    struct alk_call_event ev;
    while (alk_call_next(w->core, &ev) == ALK_OK) {
        call_event_text(&ev, &w->said);
        w->event = ev;
        if (ev.kind != ALK_CALL_BROKEN) {
            w->last = ev.ref;
        }
    }
}

bool call_world_feed(struct call_world *w, uint64_t stream, struct alk_span in)
{
    while (in.n > 0) {
        size_t used = 0;
        alk_err err = alk_call_feed(w->core, stream, in, &used);
        if (err == ALK_E_STATE) {
            return true;
        }
        check_err(err, ALK_OK);
        assert_true(used <= in.n);
        in = alk_span_tail(in, used);
        size_t before = w->said.end;
        call_world_events(w);
        if (used == 0 && w->said.end == before) {
            return false;
        }
    }
    return true;
}

void call_says(struct call_world *w, uint64_t stream, const char *body)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, (size_t)1 << 22);
    call_frame(&b, alk_span_str(body));
    assert_true(call_world_feed(w, stream, alk_buf_span(&b)));
    alk_buf_fini(&b);
}

void call_check_at(struct call_world *w, const char *want, const char *file, int line)
{
    check_text_at(alk_buf_span(&w->said), want, file, line);
    alk_buf_clear(&w->said);
}

void call_check_out_at(struct call_world *w, uint64_t stream, const char *want, const char *file,
                       int line)
{
    struct alk_buf b;
    struct alk_span out = alk_call_output(w->core, stream);
    struct alk_rd r = alk_rd(out);
    alk_buf_init(&b, NULL, (size_t)1 << 26);
    while (alk_rd_left(&r) > 0) {
        (void)alk_buf_put(&b, alk_rd_block32(&r, SIZE_MAX));
        (void)alk_buf_put_str(&b, "\n");
        check_err_at(r.err, ALK_OK, file, line);
    }
    check_text_at(alk_buf_span(&b), want, file, line);
    alk_buf_fini(&b);
    alk_call_sent(w->core, stream, out.n);
}

size_t call_count_out(struct call_world *w, uint64_t stream)
{
    struct alk_span out = alk_call_output(w->core, stream);
    struct alk_rd r = alk_rd(out);
    size_t n = 0;
    for (; alk_rd_left(&r) > 0; n++) {
        check_err(alk_json_scan_check(alk_rd_block32(&r, ALK_CALL_FRAME_MAX)), ALK_OK);
        check_err(r.err, ALK_OK);
    }
    alk_call_sent(w->core, stream, out.n);
    return n;
}
