/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "ops/dispatch.h"
#include "ops/events_impl.h"

#define RING_MIN   8
#define PUMP_COUNT 64

/* --- which topics a loop listens to ------------------------------------------------ */

static bool is_wild(struct alk_span text)
{
    return text.p[0] == '*' || text.p[0] == '>';
}

/* Adds a pattern to what the loop listens to, or takes it away. Under the lock: events
 * numbered from now on come. */
static void listen_to(struct alk_events_loop *l, struct alk_span text, bool is_on)
{
    uint64_t bit = alk_event_bit(alk_span_head(text, alk_span_find(text, '.')));
    uint32_t *count = is_wild(text) ? &l->wild : &l->bits[__builtin_ctzll(bit)];
    *count = is_on ? *count + 1 : *count - 1;
    l->found_n = 0;
    l->mask = 0;
    for (unsigned i = 0; i < 64; i++) {
        l->mask |= (uint64_t)(l->bits[i] > 0 || l->wild > 0) << i;
    }
}

/* --- its queue ----------------------------------------------------------------------- */

static struct alk_event *ring_head(const struct alk_event_sub *sub)
{
    return sub->count == 0 ? NULL : sub->ring[sub->head];
}

static void ring_pop(struct alk_event_sub *sub)
{
    struct alk_event *ev = sub->ring[sub->head];
    sub->head = (sub->head + 1) % sub->ring_size;
    sub->count--;
    sub->bytes -= ev->text.n;
    alk_event_unref_to(ev, alk_loop_blocks(sub->loop->loop));
}

static bool ring_grow(struct alk_event_sub *sub)
{
    const struct alk_mem *mem = sub->loop->hub->mem;
    uint32_t size = sub->ring_size == 0 ? RING_MIN : sub->ring_size * 2;
    struct alk_event **ring = alk_alloc(mem, size * sizeof(struct alk_event *));
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < sub->count; i++) {
        ring[i] = sub->ring[(sub->head + i) % sub->ring_size];
    }
    alk_free(mem, sub->ring);
    sub->ring = ring;
    sub->ring_size = size;
    sub->head = 0;
    return true;
}

static void ring_push(struct alk_event_sub *sub, struct alk_event *ev)
{
    const struct alk_event_limits *limits = alk_event_rules_limits(sub->loop->rules);
    bool is_full = sub->count >= limits->queue_count ||
                   (sub->count > 0 && sub->bytes + ev->text.n > limits->queue_bytes);
    if (is_full) {
        (void)atomic_fetch_add_explicit(&sub->loop->slow, 1, memory_order_relaxed);
        alk_event_sub_end(sub, ALK_OPS_SLOW_CONSUMER, "events came faster than they were taken", 0);
        return;
    }
    if (sub->count == sub->ring_size && !ring_grow(sub)) {
        alk_event_sub_end(sub, ALK_OPS_EXHAUSTED, NULL, 0);
        return;
    }
    sub->ring[(sub->head + sub->count) % sub->ring_size] = alk_event_ref(ev);
    sub->count++;
    sub->bytes += ev->text.n;
}

/* --- rights --------------------------------------------------------------------------- */

static bool is_allowed(const struct alk_event_sub *sub, const struct alk_event_rules *rules)
{
    for (size_t i = 0; i < sub->pattern_count; i++) {
        if (!alk_event_rules_allow(rules, sub->patterns[i].text, sub->mask)) {
            return false;
        }
    }
    return true;
}

static void take_rights(struct alk_event_sub *sub, const struct alk_event_rules *rules,
                        const struct alk_identity *caller)
{
    const struct alk_identity *before = sub->caller;
    sub->caller = caller == NULL ? NULL : alk_identity_ref(caller);
    alk_identity_unref(before);
    sub->generation = alk_event_rules_generation(rules);
    alk_event_rules_mask(rules, sub->sink->has_scope, sub->ctx, sub->mask);
}

bool alk_event_sub_recheck(struct alk_event_sub *sub)
{
    const struct alk_event_rules *rules = sub->loop->rules;
    const struct alk_identity *caller = sub->sink->caller(sub->ctx);
    if (caller == sub->caller && sub->generation == alk_event_rules_generation(rules)) {
        return true;
    }
    take_rights(sub, rules, caller);
    if (!is_allowed(sub, rules)) {
        alk_event_sub_end(sub, ALK_OPS_FORBIDDEN, "it may not be listened to any more", 0);
        return false;
    }
    return true;
}

bool alk_event_sub_may(struct alk_event_sub *sub, const struct alk_event *ev, size_t rule)
{
    if (!alk_event_sub_recheck(sub) || (sub->mask[rule / 64] >> (rule % 64) & 1) == 0) {
        return false;
    }
    const struct alk_event_rule *r = alk_event_rules_at(sub->loop->rules, rule);
    struct alk_span name;
    return r->type.n == 0 || alk_event_rule_is_open(r, alk_event_data(ev)) ||
           (alk_event_rule_resource(r, alk_event_topic(ev), &ev->parsed, alk_event_data(ev),
                                    &name) &&
            sub->sink->may(sub->ctx, r->type, name, r->action));
}

/* --- sending ---------------------------------------------------------------------------- */

/* Whether it was taken. */
static bool send_event(struct alk_event_sub *sub, const struct alk_event *ev)
{
    struct alk_events_loop *l = sub->loop;
    alk_err err = sub->sink->event(sub->ctx, ev->text);
    if (err == ALK_FULL || err == ALK_E_CLOSED) {
        sub->is_blocked = true;
        return false;
    }
    if (err != ALK_OK) {
        alk_event_sub_end(sub, err == ALK_E_TOO_BIG ? ALK_OPS_TOO_LARGE : ALK_OPS_EXHAUSTED,
                          "an event could not be sent", 0);
        return false;
    }
    sub->after = ev->seq;
    /* One writer: no locked instruction is needed. */
    uint64_t n = atomic_load_explicit(&l->delivered, memory_order_relaxed);
    atomic_store_explicit(&l->delivered, n + 1, memory_order_relaxed);
    return true;
}

void alk_event_sub_offer(struct alk_event_sub *sub, struct alk_event *ev, size_t rule)
{
    /* Until it has nearly caught up, a replay finds the durable ones in the store. */
    bool is_read_later = sub->replay != NULL && ev->is_durable && !sub->replay->is_capturing;
    if (sub->is_over || ev->seq <= sub->after || is_read_later ||
        !alk_event_sub_may(sub, ev, rule)) {
        return;
    }
    bool is_direct = sub->replay == NULL && sub->count == 0 && !sub->is_blocked;
    if (!is_direct || (!send_event(sub, ev) && !sub->is_over)) {
        ring_push(sub, ev);
    }
}

/* What comes next: the lower number of the queue's first and the replay's. */
static struct alk_event *peek(struct alk_event_sub *sub, bool *ret_is_row)
{
    struct alk_event *head = ring_head(sub);
    *ret_is_row = false;
    if (sub->replay == NULL) {
        return head;
    }
    struct alk_event *row = alk_event_replay_peek(sub->replay);
    if (row != NULL) {
        *ret_is_row = head == NULL || row->seq <= head->seq;
        return *ret_is_row ? row : head;
    }
    if (!sub->replay->is_over) {
        return NULL;
    }
    alk_event_replay_free(sub->replay);
    sub->replay = NULL;
    return head;
}

static void drop(struct alk_event_sub *sub, bool is_row)
{
    if (!is_row) {
        ring_pop(sub);
        return;
    }
    struct alk_event *row = alk_event_queue_pop(&sub->replay->rows, 0);
    sub->bytes -= row->text.n;
    alk_event_unref(row);
}

static bool may_now(struct alk_event_sub *sub, const struct alk_event *ev)
{
    const struct alk_event_rules *rules = sub->loop->rules;
    size_t rule = ev->generation == alk_event_rules_generation(rules)
                      ? ev->rule
                      : alk_event_rules_find(rules, alk_event_topic(ev), &ev->parsed);
    return alk_event_sub_may(sub, ev, rule);
}

static void pump(struct alk_event_sub *sub)
{
    for (size_t i = 0; i < PUMP_COUNT; i++) {
        bool is_row;
        struct alk_event *ev = peek(sub, &is_row);
        if (ev == NULL) {
            return;
        }
        /* A number that was sent already was read and queued as well. */
        bool is_wanted = ev->seq > sub->after && may_now(sub, ev);
        if (sub->is_over || (is_wanted && !send_event(sub, ev)) || sub->is_over) {
            return;
        }
        drop(sub, is_row);
    }
    alk_list_append(&sub->loop->ready, &sub->ready);
    alk_loop_soon(sub->loop->loop, &sub->loop->soon);
}

void alk_event_sub_pump(struct alk_event_sub *sub)
{
    struct alk_events_loop *l = sub->loop;
    bool was_delivering = l->is_delivering;
    if (sub->is_over || sub->is_blocked) {
        return;
    }
    l->is_delivering = true; /* so that it is still here if it ends */
    pump(sub);
    l->is_delivering = was_delivering;
    if (!was_delivering && !alk_list_is_empty(&l->graves)) {
        alk_loop_soon(l->loop, &l->soon);
    }
}

void alk_event_sub_writable(struct alk_event_sub *sub)
{
    sub->is_blocked = false;
    alk_event_sub_pump(sub);
}

/* --- life -------------------------------------------------------------------------------- */

void alk_event_sub_free(struct alk_event_sub *sub)
{
    struct alk_events *e = sub->loop->hub;
    alk_event_replay_free(sub->replay);
    while (sub->count > 0) {
        ring_pop(sub);
    }
    alk_identity_unref(sub->caller);
    alk_free(e->mem, sub->ring);
    alk_free(e->mem, sub);
}

/* Out of every list; what it holds goes now, it itself when nothing looks at it. */
static void leave(struct alk_event_sub *sub)
{
    struct alk_events_loop *l = sub->loop;
    sub->is_over = true;
    alk_list_remove(&sub->in);
    alk_list_remove(&sub->ready);
    alk_events_lock(l->hub);
    for (size_t i = 0; i < sub->pattern_count; i++) {
        if (sub->patterns[i].entry.node != NULL) {
            alk_topic_index_remove(&l->index, &sub->patterns[i].entry);
            listen_to(l, sub->patterns[i].text, false);
        }
    }
    alk_events_unlock(l->hub);
    l->sub_count--;
    (void)atomic_fetch_sub_explicit(&l->hub->subscriptions, 1, memory_order_relaxed);
    while (sub->count > 0 && !l->is_delivering) {
        ring_pop(sub);
    }
    if (sub->replay != NULL && sub->replay->is_reading) {
        return; /* the page brings it to its end */
    }
    if (l->is_delivering) {
        alk_list_append(&l->graves, &sub->in);
    } else {
        alk_event_sub_free(sub);
    }
}

void alk_event_sub_cancel(struct alk_event_sub *sub)
{
    if (!sub->is_over) {
        leave(sub);
    }
}

void alk_event_sub_end(struct alk_event_sub *sub, const char *code, const char *message,
                       uint64_t oldest)
{
    const struct alk_event_sink *sink = sub->sink;
    void *ctx = sub->ctx;
    if (!sub->is_over) {
        leave(sub);
        sink->ended(ctx, code, message, oldest);
    }
}

static struct alk_event_sub *sub_new(struct alk_events_loop *l, const struct alk_event_listen *o)
{
    size_t texts = 0;
    for (size_t i = 0; i < o->count; i++) {
        texts += o->patterns[i].n;
    }
    struct alk_event_sub *sub = alk_zalloc(
        l->hub->mem, 1, sizeof(*sub) + o->count * sizeof(struct alk_event_pattern) + texts);
    if (sub == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)&sub->patterns[o->count];
    for (size_t i = 0; i < o->count; i++) {
        memcpy(at, o->patterns[i].p, o->patterns[i].n);
        sub->patterns[i].sub = sub;
        sub->patterns[i].text = alk_span(at, o->patterns[i].n);
        at += o->patterns[i].n;
    }
    sub->pattern_count = (uint32_t)o->count;
    sub->loop = l;
    sub->sink = o->sink;
    sub->ctx = o->ctx;
    return sub;
}

/* Delivery must not fail for lack of room: it is made here. */
static alk_err reserve_hits(struct alk_events_loop *l)
{
    if (l->sub_count < l->hits_size) {
        return ALK_OK;
    }
    size_t size = l->hits_size == 0 ? 16 : l->hits_size * 2;
    struct alk_event_sub **hits = alk_resize(l->hub->mem, l->hits, size * sizeof(*hits));
    if (hits == NULL) {
        return ALK_E_NOMEM;
    }
    l->hits = hits;
    l->hits_size = size;
    return ALK_OK;
}

static alk_err count_in(struct alk_events *e, const struct alk_event_limits *limits)
{
    size_t before = atomic_fetch_add_explicit(&e->subscriptions, 1, memory_order_relaxed);
    if (before >= limits->subscriptions) {
        (void)atomic_fetch_sub_explicit(&e->subscriptions, 1, memory_order_relaxed);
        return ALK_E_LIMIT;
    }
    return ALK_OK;
}

/* From here on it hears of everything numbered. */
static alk_err join(struct alk_event_sub *sub, const struct alk_event_listen *o)
{
    struct alk_events_loop *l = sub->loop;
    struct alk_events *e = l->hub;
    alk_err err = ALK_OK;
    alk_events_lock(e);
    uint64_t highest = e->is_writing ? e->end : e->last;
    if (o->from == ALK_EVENTS_SEQ && o->seq > highest + 1) {
        err = ALK_E_INVALID;
    }
    for (size_t i = 0; i < o->count && err == ALK_OK; i++) {
        err = alk_topic_index_add(&l->index, sub->patterns[i].text, &sub->patterns[i].entry);
        if (err == ALK_OK) {
            listen_to(l, sub->patterns[i].text, true);
        }
    }
    bool is_replay = e->store != NULL && o->from != ALK_EVENTS_LATEST;
    sub->after = is_replay && o->from == ALK_EVENTS_SEQ ? o->seq - (o->seq > 0) : e->last;
    if (is_replay && o->from == ALK_EVENTS_EARLIEST) {
        sub->after = 0;
    }
    alk_events_unlock(e);
    if (err == ALK_OK && is_replay) {
        err = alk_event_replay_new(sub, o->from, sub->after);
    }
    return err;
}

alk_err alk_events_subscribe(struct alk_events *e, const struct alk_event_listen *o,
                             struct alk_event_sub **ret)
{
    struct alk_events_loop *l;
    struct alk_topic parsed;
    if (o->count == 0 || o->count > ALK_EVENT_PATTERNS_MAX) {
        return ALK_E_INVALID;
    }
    for (size_t i = 0; i < o->count; i++) {
        ALK_TRY(alk_topic_parse_pattern(o->patterns[i], &parsed));
    }
    ALK_TRY(alk_events_loop_of(e, o->loop, &l));
    ALK_TRY(reserve_hits(l));
    struct alk_event_sub *sub = sub_new(l, o);
    if (sub == NULL) {
        return ALK_E_NOMEM;
    }
    take_rights(sub, l->rules, o->sink->caller(o->ctx));
    alk_err err =
        is_allowed(sub, l->rules) ? count_in(e, alk_event_rules_limits(l->rules)) : ALK_E_FORBIDDEN;
    if (err != ALK_OK) {
        alk_event_sub_free(sub);
        return err;
    }
    l->sub_count++;
    alk_list_append(&l->subs, &sub->in);
    err = join(sub, o);
    if (err != ALK_OK) {
        alk_event_sub_cancel(sub);
        return err;
    }
    if (sub->replay != NULL) {
        /* The first page is asked for outside this call. */
        alk_list_append(&l->ready, &sub->ready);
        alk_loop_soon(l->loop, &l->soon);
    }
    *ret = sub;
    return ALK_OK;
}
