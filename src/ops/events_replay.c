/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From what is stored to what happens now, without a gap and in order:
 *
 *   reading     pages; live events that are not durable queue up, durable ones are
 *               left to the store
 *   capturing   a page said that it was the end: from now on durable ones queue up
 *               too, and reading goes on until the next end. What was stored before
 *               capturing began has been read by then, what came later is queued, and
 *               what is in both is told by its number
 *   live        the queue alone
 */
#include "base/mem.h"
#include "ops/dispatch.h"
#include "ops/events_impl.h"

/* --- on the store's thread: patterns do not change, rows are its own ---------------- */

static bool touches(void *ctx, struct alk_span stream)
{
    const struct alk_event_replay *r = ctx;
    for (size_t i = 0; i < r->sub->pattern_count; i++) {
        if (alk_topic_overlaps(r->sub->patterns[i].text, stream)) {
            return true;
        }
    }
    return false;
}

static bool wants(void *ctx, struct alk_span topic)
{
    const struct alk_event_replay *r = ctx;
    for (size_t i = 0; i < r->sub->pattern_count; i++) {
        if (alk_topic_matches(r->sub->patterns[i].text, topic)) {
            return true;
        }
    }
    return false;
}

static alk_err row(void *ctx, const struct alk_event_record *record)
{
    struct alk_event_replay *r = ctx;
    struct alk_topic parsed;
    struct alk_event_head head;
    struct alk_event_spec spec = {.head = &head, .data = record->data};
    /* What cannot be an event was not written by us. */
    if (alk_topic_parse(record->topic, &parsed) != ALK_OK || record->data.n > ALK_EVENT_DATA_MAX ||
        record->seq > ALK_EVENT_SEQ_MAX ||
        alk_event_head_make(record->topic, &parsed, record->publisher, record->time_ms, &head) !=
            ALK_OK) {
        return ALK_E_DB;
    }
    struct alk_event *ev = alk_event_new(&r->sub->loop->hub->budget, NULL, &spec);
    if (ev == NULL) {
        return ALK_E_NOMEM;
    }
    ev->is_durable = true;
    alk_event_set_seq(ev, &r->number, record->seq);
    alk_event_queue_push(&r->rows, ev, 0);
    return ALK_OK;
}

static void page_done(void *ctx, struct alk_event_page *page, alk_err err)
{
    struct alk_event_replay *r = ctx;
    struct alk_events_loop *l = r->sub->loop;
    struct alk_events *e = l->hub;
    (void)page;
    alk_events_lock(e);
    r->err = err;
    bool is_kept = l->is_detached;
    if (!is_kept) {
        r->next = NULL;
        *l->pages_end = r;
        l->pages_end = &r->next;
        alk_events_wake(l);
    }
    alk_events_unlock(e);
    if (is_kept) {
        /* The subscription ended with its loop; nobody else knows of it. */
        r->is_reading = false;
        alk_event_sub_free(r->sub);
        alk_events_lock(e);
        bool is_last = alk_events_loop_put(l);
        alk_events_unlock(e);
        if (is_last) {
            alk_events_loop_free(l);
        }
    }
}

/* --- on the loop ------------------------------------------------------------------------ */

alk_err alk_event_replay_new(struct alk_event_sub *sub, enum alk_event_from from, uint64_t after)
{
    struct alk_event_replay *r = ALK_NEW(sub->loop->hub->mem, struct alk_event_replay);
    if (r == NULL) {
        return ALK_E_NOMEM;
    }
    r->sub = sub;
    r->page = (struct alk_event_page){.after = after,
                                      .is_earliest = from == ALK_EVENTS_EARLIEST,
                                      .touches = touches,
                                      .wants = wants,
                                      .row = row,
                                      .done = page_done,
                                      .ctx = r};
    sub->replay = r;
    return ALK_OK;
}

void alk_event_replay_free(struct alk_event_replay *r)
{
    struct alk_event *ev;
    if (r == NULL) {
        return;
    }
    ALK_ASSERT(!r->is_reading);
    while ((ev = alk_event_queue_pop(&r->rows, 0)) != NULL) {
        r->sub->bytes -= r->is_counted ? ev->text.n : 0;
        alk_event_unref(ev);
    }
    alk_free(r->sub->loop->hub->mem, r);
}

void alk_event_replay_read(struct alk_event_replay *r)
{
    struct alk_events_loop *l = r->sub->loop;
    struct alk_events *e = l->hub;
    alk_events_lock(e);
    /* Without a store the hub is stopping, and will end the subscription. */
    if (e->store != NULL && !r->is_reading) {
        r->is_reading = true;
        r->is_counted = false;
        l->refs++;
        e->store->calls->read(e->store, &r->page);
    }
    alk_events_unlock(e);
}

static void count_rows(struct alk_event_replay *r)
{
    for (const struct alk_event *ev = r->rows.first; ev != NULL; ev = ev->next[0]) {
        r->sub->bytes += ev->text.n;
    }
    r->is_counted = true;
}

void alk_event_replay_arrived(struct alk_event_replay *r)
{
    struct alk_event_sub *sub = r->sub;
    r->is_reading = false;
    if (sub->is_over) {
        alk_event_sub_free(sub);
        return;
    }
    count_rows(r);
    r->page.after = r->page.up_to;
    if (r->err == ALK_E_EXPIRED) {
        alk_event_sub_end(sub, ALK_OPS_EXPIRED, "events below `oldest` are not kept any more",
                          r->page.oldest);
        return;
    }
    if (r->err != ALK_OK) {
        alk_event_sub_end(sub, r->err == ALK_E_NOMEM ? ALK_OPS_EXHAUSTED : ALK_OPS_UNAVAILABLE,
                          "stored events cannot be read", 0);
        return;
    }
    r->is_over = r->page.is_end && r->is_capturing;
    r->is_capturing = r->is_capturing || r->page.is_end;
    alk_event_sub_pump(sub);
}

struct alk_event *alk_event_replay_peek(struct alk_event_replay *r)
{
    if (r->is_reading) {
        return NULL;
    }
    if (r->rows.first == NULL && !r->is_over) {
        alk_event_replay_read(r);
        return NULL;
    }
    return r->rows.first;
}
