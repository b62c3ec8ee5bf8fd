/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "core/auth/identity.h"
#include "ops/events_impl.h"

/* Numbers left free below a batch: what is published while it is written gets them. */
#define GAP_MIN ((uint64_t)1024)
#define GAP_MAX ((uint64_t)1 << 22)

/* --- numbering and linking: under the lock ------------------------------------- */

static void link_event(struct alk_events *e, struct alk_event *ev,
                       const struct alk_events_loop *own)
{
    e->last = ev->seq;
    e->published++;
    for (unsigned i = 0; i < e->budget.loops; i++) {
        struct alk_events_loop *l = e->loops[i];
        if (l == NULL || (l->mask & ev->bit) == 0) {
            continue;
        }
        alk_event_queue_push(&l->inbox, alk_event_ref(ev), i);
        if (l != own) {
            alk_events_wake(l);
        }
    }
}

/* Gives a number and hands it on, or holds it until the batch is over. */
static void number_event(struct alk_events *e, struct alk_event *ev,
                         const struct alk_events_loop *own)
{
    if (!e->is_writing || e->last + 1 < e->base) {
        alk_event_set_seq(ev, &e->number, e->last + 1);
        link_event(e, ev, own);
        return;
    }
    alk_event_set_seq(ev, &e->number, ++e->end);
    alk_event_queue_push(&e->held, alk_event_ref(ev), 0);
}

static uint64_t on_number(void *ctx, size_t n)
{
    struct alk_events *e = ctx;
    uint64_t now_us = e->now_ns(e->now_ctx) / 1000;
    alk_events_lock(e);
    uint64_t gap = now_us > e->last ? now_us - e->last : 0;
    gap = gap < GAP_MIN ? GAP_MIN : gap > GAP_MAX ? GAP_MAX : gap;
    e->is_writing = true;
    e->base = e->last + gap;
    e->end = e->base + n - 1;
    uint64_t base = e->base;
    alk_events_unlock(e);
    return base;
}

/* Hands an outcome to the publisher's loop. False: nobody waits for it any more. */
static bool hand_back(struct alk_event_wait *wait, alk_err err)
{
    struct alk_events_loop *l = wait->loop;
    if (l == NULL || l->is_detached) {
        return false;
    }
    wait->err = err;
    wait->next = NULL;
    *l->acks_end = wait;
    l->acks_end = &wait->next;
    alk_events_wake(l);
    return true;
}

/* Loops that ended while their publishers waited. */
struct gone {
    struct alk_events_loop *list[ALK_EVENTS_LOOPS_MAX];
    size_t count;
};

static void outcome(struct alk_events *e, struct alk_event_wait *wait, alk_err err,
                    struct gone *gone)
{
    struct alk_event *ev = wait->event;
    struct alk_events_loop *l = wait->loop;
    if (err == ALK_OK && !wait->entry.is_duplicate) {
        alk_event_set_seq(ev, &e->number, wait->entry.seq);
        link_event(e, ev, NULL);
    }
    if (hand_back(wait, err)) {
        return;
    }
    if (l != NULL && alk_events_loop_put(l)) {
        gone->list[gone->count++] = l;
    }
    alk_event_unref(ev);
}

/* What was written goes to the loops, then what was held because of it. A batch that
 * failed changes nothing for anybody but its publishers. */
static void on_written(void *ctx, struct alk_event_entry *batch, alk_err err)
{
    struct alk_events *e = ctx;
    struct gone gone = {.count = 0};
    struct alk_event *ev;
    alk_events_lock(e);
    while (batch != NULL) {
        struct alk_event_wait *wait = ALK_CONTAINER(batch, struct alk_event_wait, entry);
        batch = batch->next;
        outcome(e, wait, err, &gone);
    }
    while ((ev = alk_event_queue_pop(&e->held, 0)) != NULL) {
        link_event(e, ev, NULL);
        alk_event_unref(ev);
    }
    e->is_writing = false;
    alk_events_unlock(e);
    while (gone.count > 0) {
        alk_events_loop_free(gone.list[--gone.count]);
    }
}

struct alk_event_writer alk_events_writer(struct alk_events *e)
{
    return (struct alk_event_writer){on_number, on_written, e};
}

/* --- publishing ------------------------------------------------------------------- */

/* Everybody gets the chance to let go of what nobody takes. */
static alk_err refuse_memory(struct alk_events *e)
{
    alk_events_lock(e);
    for (size_t i = 0; i < e->budget.loops; i++) {
        if (e->loops[i] != NULL) {
            alk_events_wake(e->loops[i]);
        }
    }
    alk_events_unlock(e);
    return ALK_E_LIMIT;
}

/* What differs from one event of a burst to the next. */
static alk_err check(const struct alk_publish *p)
{
    if (p->event_id.n > 0 && alk_span_find(p->event_id, 0) < p->event_id.n) {
        return ALK_E_INVALID;
    }
    bool is_big = p->data.n > ALK_EVENT_DATA_MAX || p->event_id.n > ALK_EVENT_ID_MAX;
    return is_big ? ALK_E_TOO_BIG : ALK_OK;
}

static bool is_allowed(const struct alk_publish *p, const struct alk_event_rule *rule)
{
    return p->has_scope == NULL || alk_event_who_allows(&rule->publish, p->has_scope, p->scope_ctx);
}

/* Whether it has the rights that the last one had. */
static bool is_same(const struct alk_event_passed *last, const struct alk_publish *p)
{
    return p->has_scope == NULL ? last->is_node : p->who != NULL && p->who == last->who;
}

static bool has_passed(const struct alk_event_passed *last, const struct alk_event_rules *rules,
                       const struct alk_publish *p)
{
    return last->generation == alk_event_rules_generation(rules) && is_same(last, p) &&
           alk_span_equal(p->topic, alk_event_head_topic(&last->head)) &&
           alk_span_equal(p->publisher, alk_event_head_publisher(&last->head));
}

static void note_passed(struct alk_event_passed *last, const struct alk_event_rules *rules,
                        const struct alk_publish *p, size_t rule)
{
    const struct alk_identity *before = last->who;
    last->is_node = p->has_scope == NULL;
    last->who = last->is_node ? NULL : alk_identity_ref(p->who);
    alk_identity_unref(before);
    last->generation = alk_event_rules_generation(rules);
    last->rule = rule;
}

/* Whether it may be published: *last says whose rule it falls under and how its text
 * begins. */
static alk_err admit(struct alk_event_passed *last, const struct alk_event_rules *rules,
                     const struct alk_publish *p, uint64_t now_ms)
{
    struct alk_topic parsed;
    if (has_passed(last, rules, p)) {
        ALK_TRY(check(p));
        parsed = last->head.parsed;
        return last->head.time_ms == now_ms
                   ? ALK_OK
                   : alk_event_head_make(p->topic, &parsed, p->publisher, now_ms, &last->head);
    }
    ALK_TRY(alk_topic_parse(p->topic, &parsed));
    if (p->publisher.n > 0 && !alk_identity_id_is_valid(p->publisher)) {
        return ALK_E_INVALID;
    }
    ALK_TRY(check(p));
    size_t rule = alk_event_rules_find(rules, p->topic, &parsed);
    if (!is_allowed(p, alk_event_rules_at(rules, rule))) {
        return ALK_E_FORBIDDEN;
    }
    ALK_TRY(alk_event_head_make(p->topic, &parsed, p->publisher, now_ms, &last->head));
    note_passed(last, rules, p, rule);
    return ALK_OK;
}

/* Under the lock. ALK_OK: *ret_seq. */
static alk_err publish_now(struct alk_events *e, struct alk_events_loop *own,
                           const struct alk_publish *p, struct alk_event *ev, uint64_t now_ms,
                           uint64_t *ret_seq)
{
    uint64_t *number = NULL;
    if (e->is_stopped) {
        return ALK_E_CLOSED;
    }
    if ((e->is_writing ? e->end : e->last) >= ALK_EVENT_SEQ_MAX) {
        return ALK_E_LIMIT;
    }
    if (p->event_id.n > 0) {
        alk_err err = alk_event_dedup_note(&e->dedup, p->publisher, p->topic, p->event_id, now_ms,
                                           ret_seq, &number);
        if (err != ALK_END) {
            return err;
        }
    }
    number_event(e, ev, own);
    if (number != NULL) {
        *number = ev->seq;
    }
    *ret_seq = ev->seq;
    return ALK_OK;
}

/* Under the lock. The store has the event's one reference when it is ALK_MORE. */
static alk_err publish_durable(struct alk_events *e, struct alk_events_loop *own,
                               struct alk_event *ev, alk_events_done_fn *done, void *ctx)
{
    struct alk_event_wait *wait = ev->wait;
    if (e->is_stopped || e->store == NULL) {
        return ALK_E_CLOSED;
    }
    if (e->last >= ALK_EVENT_SEQ_MAX - GAP_MAX * 2) {
        return ALK_E_LIMIT;
    }
    wait->loop = own;
    wait->done = done;
    wait->ctx = ctx;
    alk_err err = e->store->calls->append(e->store, &wait->entry);
    if (err != ALK_OK) {
        return err == ALK_FULL ? ALK_E_LIMIT : err;
    }
    if (own != NULL) {
        own->refs++;
    }
    return ALK_MORE;
}

/* Read once in a turn of the loop: what is published in one has one time. */
static uint64_t unix_ms(struct alk_events *e, struct alk_events_loop *own)
{
    if (own == NULL || !alk_loop_in_turn(own->loop)) {
        return e->now_ns(e->now_ctx) / 1000000;
    }
    alk_time now = alk_loop_now(own->loop);
    if (own->read_at != now) {
        own->read_at = now;
        own->unix_ms = e->now_ns(e->now_ctx) / 1000000;
    }
    return own->unix_ms;
}

/* What was admitted: `way` says how. */
static alk_err publish_admitted(struct alk_events *e, struct alk_events_loop *own,
                                const struct alk_event_passed *way,
                                const struct alk_event_rule *rule, const struct alk_publish *p,
                                alk_events_done_fn *done, void *ctx, uint64_t *ret_seq)
{
    struct alk_event_spec spec = {.head = &way->head,
                                  .data = p->data,
                                  .event_id = p->event_id,
                                  .stream = rule->match,
                                  .is_durable = rule->is_durable};
    struct alk_blocks *blocks = own == NULL ? NULL : alk_loop_blocks(own->loop);
    if (atomic_load_explicit(&e->budget.live, memory_order_relaxed) + p->data.n >
        atomic_load_explicit(&e->memory_max, memory_order_relaxed)) {
        return refuse_memory(e);
    }
    struct alk_event *ev = alk_event_new(&e->budget, blocks, &spec);
    if (ev == NULL) {
        return ALK_E_NOMEM;
    }
    ev->generation = way->generation;
    ev->rule = (uint32_t)way->rule;
    alk_events_lock(e);
    alk_err err = rule->is_durable ? publish_durable(e, own, ev, done, ctx)
                                   : publish_now(e, own, p, ev, way->head.time_ms, ret_seq);
    bool has_mail = own != NULL && own->inbox.first != NULL;
    alk_events_unlock(e);
    if (has_mail) {
        alk_loop_soon(own->loop, &own->soon);
    }
    if (err != ALK_MORE) {
        alk_event_unref_to(ev, blocks);
    }
    return err;
}

static alk_err publish_with(struct alk_events *e, struct alk_events_loop *own,
                            const struct alk_event_rules *rules, const struct alk_publish *p,
                            alk_events_done_fn *done, void *ctx, uint64_t *ret_seq)
{
    struct alk_event_passed once; /* without a loop; not zeroed: the text in it is large */
    once.generation = 0;
    once.who = NULL;
    struct alk_event_passed *way = own == NULL ? &once : &own->passed;
    alk_err err = admit(way, rules, p, unix_ms(e, own));
    if (err == ALK_OK) {
        const struct alk_event_rule *rule = alk_event_rules_at(rules, way->rule);
        err = publish_admitted(e, own, way, rule, p, done, ctx, ret_seq);
    }
    alk_identity_unref(once.who);
    return err;
}

alk_err alk_events_publish(struct alk_events *e, struct alk_loop *loop, const struct alk_publish *p,
                           alk_events_done_fn *done, void *ctx, uint64_t *ret_seq)
{
    struct alk_events_loop *own = NULL;
    ALK_ASSERT(loop != NULL || done == NULL);
    if (loop != NULL) {
        ALK_TRY(alk_events_loop_of(e, loop, &own));
        if (atomic_load_explicit(&e->rules_generation, memory_order_acquire) ==
            alk_event_rules_generation(own->rules)) {
            return publish_with(e, own, own->rules, p, done, ctx, ret_seq);
        }
        /* It has not come to the new rules yet: they hold here all the same. */
    }
    const struct alk_event_rules *rules = alk_events_rules(e);
    alk_err err = publish_with(e, own, rules, p, done, ctx, ret_seq);
    alk_event_rules_unref(rules);
    return err;
}
