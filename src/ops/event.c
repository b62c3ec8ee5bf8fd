/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/event.h"

#include "base/blocks.h"
#include "base/mem.h"

/* Where the number will stand. */
#define SEQ_ROOM "                "
_Static_assert(sizeof(SEQ_ROOM) - 1 == ALK_EVENT_SEQ_DIGITS, "room for every number");

/* What stands between them is shorter than 96. */
_Static_assert(ALK_TOPIC_MAX + ALK_ID_MAX + ALK_EVENT_SEQ_DIGITS + ALK_DIGITS_MAX + 96 <=
                   ALK_EVENT_HEAD_MAX,
               "the longest front of an event");

struct pen {
    uint8_t *base;
    size_t n;
};

static void put(struct pen *w, struct alk_span s)
{
    if (s.n > 0) {
        memcpy(w->base + w->n, s.p, s.n);
        w->n += s.n;
    }
}

static void put_number(struct pen *w, uint64_t v)
{
    uint8_t room[ALK_DIGITS_MAX];
    size_t n = alk_digits(v, room);
    put(w, alk_span(room + sizeof(room) - n, n));
}

alk_err alk_event_head_make(struct alk_span topic, const struct alk_topic *parsed,
                            struct alk_span publisher, uint64_t time_ms, struct alk_event_head *ret)
{
    struct pen w = {.base = ret->text};
    if (publisher.n > ALK_ID_MAX) {
        return ALK_E_TOO_BIG;
    }
    ret->parsed = *parsed;
    ret->bit = alk_event_bit(alk_topic_token(topic, parsed, 0));
    ret->time_ms = time_ms;
    put(&w, ALK_LIT("{\"topic\":\""));
    ret->topic_at = (uint16_t)w.n;
    put(&w, topic);
    put(&w, ALK_LIT("\",\"seq\":"));
    ret->seq_at = (uint16_t)w.n;
    put(&w, ALK_LIT(SEQ_ROOM ",\"time\":"));
    put_number(&w, time_ms);
    put(&w, publisher.n > 0 ? ALK_LIT(",\"publisher\":\"") : ALK_LIT(",\"publisher\":null"));
    ret->publisher_at = (uint16_t)w.n;
    ret->publisher_n = (uint16_t)publisher.n;
    put(&w, publisher);
    put(&w, publisher.n > 0 ? ALK_LIT("\",\"data\":") : ALK_LIT(",\"data\":"));
    ret->n = (uint16_t)w.n;
    return ALK_OK;
}

static void put_text(struct alk_event *ev, struct pen *w, const struct alk_event_spec *spec)
{
    const struct alk_event_head *head = spec->head;
    put(w, alk_span(head->text, head->n));
    put(w, spec->data);
    put(w, ALK_LIT("}"));
    ev->topic_at = head->topic_at;
    ev->seq_at = head->seq_at;
    ev->data_at = head->n;
    ev->data_n = (uint32_t)spec->data.n;
    ev->text = alk_span(w->base, w->n);
}

/* What the store needs beside the text: behind it what that has not. */
static void fill_wait(struct alk_event *ev, struct pen *w, const struct alk_event_spec *spec)
{
    struct alk_event_wait *wait = ev->wait;
    struct alk_span publisher = alk_event_head_publisher(spec->head);
    size_t at = w->n;
    put(w, spec->event_id);
    put(w, spec->stream);
    const uint8_t *texts = w->base + at;
    *wait = (struct alk_event_wait){
        .event = ev,
        .entry = {.topic = alk_event_topic(ev),
                  .data = alk_event_data(ev),
                  .publisher = alk_span(w->base + spec->head->publisher_at, publisher.n),
                  .event_id = alk_span(texts, spec->event_id.n),
                  .stream = alk_span(texts + spec->event_id.n, spec->stream.n),
                  .time_ms = spec->head->time_ms}};
}

struct alk_event *alk_event_new(struct alk_event_budget *budget, struct alk_blocks *blocks,
                                const struct alk_event_spec *spec)
{
    size_t links = budget->loops * sizeof(struct alk_event *);
    size_t head = sizeof(struct alk_event) + links;
    size_t wait = spec->is_durable ? sizeof(struct alk_event_wait) : 0;
    size_t text = spec->head->n + spec->data.n + sizeof("}");
    size_t size = head + wait + text + (wait == 0 ? 0 : spec->event_id.n + spec->stream.n);
    struct alk_event *ev = alk_blocks_take(blocks, budget->mem, size);
    if (ev == NULL) {
        return NULL;
    }
    uint8_t *block = (uint8_t *)ev;
    *ev = (struct alk_event){.budget = budget,
                             .size = size,
                             .bit = spec->head->bit,
                             .parsed = spec->head->parsed,
                             .is_durable = spec->is_durable};
    atomic_init(&ev->refs, 1);
    memset(ev->next, 0, links);
    struct pen w = {.base = block + head + wait};
    put_text(ev, &w, spec);
    if (wait != 0) {
        /* Whole structs before it: aligned as they are. */
        ev->wait = (struct alk_event_wait *)(void *)(block + head);
        fill_wait(ev, &w, spec);
    }
    (void)atomic_fetch_add_explicit(&budget->live, size, memory_order_relaxed);
    return ev;
}

/* The number after it. It ends at a digit that is no 9: ALK_EVENT_SEQ_MAX has some. */
static void count_on(struct alk_event_number *n)
{
    size_t i = sizeof(n->text) - 1;
    while (n->text[i] == '9') {
        n->text[i--] = '0';
    }
    n->text[i] = n->text[i] == ' ' ? '1' : (uint8_t)(n->text[i] + 1);
}

static void write_anew(struct alk_event_number *n, uint64_t seq)
{
    uint8_t room[ALK_DIGITS_MAX];
    size_t len = alk_digits(seq, room);
    memset(n->text, ' ', sizeof(n->text));
    memcpy(n->text + sizeof(n->text) - len, room + sizeof(room) - len, len);
}

void alk_event_set_seq(struct alk_event *ev, struct alk_event_number *last, uint64_t seq)
{
    ALK_ASSERT(seq <= ALK_EVENT_SEQ_MAX);
    if (last->seq > 0 && seq == last->seq + 1) {
        count_on(last);
    } else {
        write_anew(last, seq);
    }
    last->seq = seq;
    ev->seq = seq;
    uint8_t *text = (uint8_t *)ev + (ev->text.p - (const uint8_t *)ev);
    memcpy(text + ev->seq_at, last->text, sizeof(last->text));
}

struct alk_event *alk_event_ref(struct alk_event *ev)
{
    (void)atomic_fetch_add_explicit(&ev->refs, 1, memory_order_relaxed);
    return ev;
}

void alk_event_unref(struct alk_event *ev)
{
    alk_event_unref_to(ev, NULL);
}

void alk_event_unref_to(struct alk_event *ev, struct alk_blocks *blocks)
{
    if (ev == NULL || atomic_fetch_sub_explicit(&ev->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct alk_event_budget *budget = ev->budget;
    (void)atomic_fetch_sub_explicit(&budget->live, ev->size, memory_order_relaxed);
    alk_blocks_give(blocks, budget->mem, ev, ev->size);
}

uint64_t alk_event_bit(struct alk_span token)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < token.n; i++) {
        h = (h ^ token.p[i]) * 0x100000001b3u;
    }
    return (uint64_t)1 << (h >> 58);
}
