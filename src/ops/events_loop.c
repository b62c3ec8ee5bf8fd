/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "ops/dispatch.h"
#include "ops/events_impl.h"

/* What one pass delivers, so that the loop sends and receives in between. */
#define PASS_COUNT  256
#define PASS_BYTES  ((size_t)256 << 10)
#define PASS_CUT    8
#define READY_COUNT 256

/* --- taking what came ------------------------------------------------------------- */

struct mail {
    struct alk_event_wait *acks;
    struct alk_event_replay *pages;
};

/* The inbox is taken only when nothing of the one before is left. */
static void take(struct alk_events_loop *l, struct mail *mail)
{
    struct alk_events *e = l->hub;
    alk_events_lock(e);
    if (l->work.first == NULL) {
        l->work = l->inbox;
        l->inbox = (struct alk_event_queue){0};
    }
    *mail = (struct mail){l->acks, l->pages};
    l->acks = NULL;
    l->acks_end = &l->acks;
    l->pages = NULL;
    l->pages_end = &l->pages;
    l->is_awake = false;
    alk_events_unlock(e);
}

static void put(struct alk_events_loop *l)
{
    alk_events_lock(l->hub);
    bool is_last = alk_events_loop_put(l);
    alk_events_unlock(l->hub);
    ALK_ASSERT(!is_last); /* whoever runs this has one */
}

static void tell_publishers(struct alk_events_loop *l, struct alk_event_wait *acks)
{
    while (acks != NULL) {
        struct alk_event_wait *wait = acks;
        acks = wait->next;
        if (wait->done != NULL) {
            wait->done(wait->ctx, wait->err, wait->entry.seq);
        }
        alk_event_unref(wait->event);
        put(l);
    }
}

static void take_pages(struct alk_events_loop *l, struct alk_event_replay *pages)
{
    while (pages != NULL) {
        struct alk_event_replay *r = pages;
        pages = r->next;
        alk_event_replay_arrived(r);
        put(l);
    }
}

/* --- delivering -------------------------------------------------------------------- */

static void on_hit(void *ctx, struct alk_topic_entry *entry)
{
    struct alk_events_loop *l = ctx;
    struct alk_event_sub *sub = ALK_CONTAINER(entry, struct alk_event_pattern, entry)->sub;
    /* Once, however many of its patterns match. */
    if (sub->stamp != l->stamp) {
        sub->stamp = l->stamp;
        l->hits[l->hit_count++] = sub;
    }
}

static void find_hits(struct alk_events_loop *l, struct alk_span topic,
                      const struct alk_topic *parsed)
{
    l->stamp++;
    l->hit_count = 0;
    alk_topic_index_find(&l->index, topic, parsed, on_hit, l);
    memcpy(l->found, topic.p, topic.n);
    l->found_n = topic.n;
}

static void deliver(struct alk_events_loop *l, struct alk_event *ev)
{
    struct alk_span topic = alk_event_topic(ev);
    size_t rule = ev->generation == alk_event_rules_generation(l->rules)
                      ? ev->rule
                      : alk_event_rules_find(l->rules, topic, &ev->parsed);
    if (!alk_span_equal(topic, alk_span(l->found, l->found_n))) {
        find_hits(l, topic, &ev->parsed);
    }
    for (size_t i = 0; i < l->hit_count; i++) {
        alk_event_sub_offer(l->hits[i], ev, rule);
    }
}

static void deliver_work(struct alk_events_loop *l)
{
    struct alk_event *ev;
    size_t count = 0, bytes = 0;
    while (count < PASS_COUNT && bytes < PASS_BYTES &&
           (ev = alk_event_queue_pop(&l->work, l->slot)) != NULL) {
        deliver(l, ev);
        count++;
        bytes += ev->text.n * (l->hit_count + 1);
        alk_event_unref_to(ev, alk_loop_blocks(l->loop));
    }
}

/* Those that wait for their turn; who joins meanwhile comes next time. */
static void pump_ready(struct alk_events_loop *l)
{
    for (size_t i = 0; i < READY_COUNT; i++) {
        struct alk_link *link = alk_list_pop(&l->ready);
        if (link == NULL) {
            return;
        }
        alk_event_sub_pump(ALK_CONTAINER(link, struct alk_event_sub, ready));
    }
}

/* --- rules, memory ------------------------------------------------------------------ */

static void take_rules(struct alk_events_loop *l)
{
    struct alk_events *e = l->hub;
    if (atomic_load_explicit(&e->rules_generation, memory_order_acquire) ==
        alk_event_rules_generation(l->rules)) {
        return;
    }
    alk_event_rules_unref(l->rules);
    l->rules = alk_events_rules(e);
    /* The end of one may cancel others: no place in the list is kept meanwhile. */
    struct alk_list all;
    struct alk_link *link;
    alk_list_init(&all);
    while ((link = alk_list_pop(&l->subs)) != NULL) {
        alk_list_append(&all, link);
    }
    while ((link = alk_list_pop(&all)) != NULL) {
        alk_list_append(&l->subs, link);
        (void)alk_event_sub_recheck(ALK_CONTAINER(link, struct alk_event_sub, in));
    }
}

static struct alk_event_sub *heaviest(const struct alk_events_loop *l)
{
    struct alk_event_sub *worst = NULL;
    struct alk_link *link = alk_list_first(&l->subs);
    for (; link != NULL; link = alk_list_next(&l->subs, link)) {
        struct alk_event_sub *sub = ALK_CONTAINER(link, struct alk_event_sub, in);
        if (sub->is_blocked && sub->bytes > (worst == NULL ? 0 : worst->bytes)) {
            worst = sub;
        }
    }
    return worst;
}

/* Above three quarters of the memory those that hold the most and take nothing go. */
static void relieve(struct alk_events_loop *l)
{
    size_t max = atomic_load_explicit(&l->hub->memory_max, memory_order_relaxed);
    for (int i = 0; i < PASS_CUT; i++) {
        size_t live = atomic_load_explicit(&l->hub->budget.live, memory_order_relaxed);
        struct alk_event_sub *sub = live > max / 4 * 3 ? heaviest(l) : NULL;
        if (sub == NULL) {
            return;
        }
        (void)atomic_fetch_add_explicit(&l->slow, 1, memory_order_relaxed);
        alk_event_sub_end(sub, ALK_OPS_SLOW_CONSUMER, "the node needs the memory of what waits", 0);
    }
}

/* --- the pass ------------------------------------------------------------------------ */

static void bury(struct alk_events_loop *l)
{
    struct alk_link *link;
    while ((link = alk_list_pop(&l->graves)) != NULL) {
        alk_event_sub_free(ALK_CONTAINER(link, struct alk_event_sub, in));
    }
}

/* What came while the inbox before was still being worked off. */
static bool has_mail(struct alk_events_loop *l)
{
    alk_events_lock(l->hub);
    bool has = l->inbox.first != NULL;
    alk_events_unlock(l->hub);
    return has;
}

void alk_events_run(void *loop_state)
{
    struct alk_events_loop *l = loop_state;
    struct mail mail;
    if (l->is_dead) {
        return;
    }
    take(l, &mail);
    l->is_delivering = true;
    tell_publishers(l, mail.acks);
    take_pages(l, mail.pages);
    take_rules(l);
    deliver_work(l);
    pump_ready(l);
    relieve(l);
    l->is_delivering = false;
    bury(l);
    if (l->work.first != NULL || !alk_list_is_empty(&l->ready) || has_mail(l)) {
        alk_loop_soon(l->loop, &l->soon);
    }
}

bool alk_events_turn(void *loop_state)
{
    struct alk_events_loop *l = loop_state;
    if (atomic_load_explicit(&l->is_missed, memory_order_relaxed)) {
        atomic_store_explicit(&l->is_missed, false, memory_order_relaxed);
        alk_events_run(l);
    }
    return false; /* what is left was asked for by itself */
}

static void drop_queue(struct alk_events_loop *l, struct alk_event_queue *q)
{
    struct alk_event *ev;
    while ((ev = alk_event_queue_pop(q, l->slot)) != NULL) {
        alk_event_unref(ev);
    }
}

static void end_all(struct alk_events_loop *l)
{
    struct alk_link *link;
    l->is_delivering = true;
    while ((link = alk_list_first(&l->subs)) != NULL) {
        alk_event_sub_end(ALK_CONTAINER(link, struct alk_event_sub, in), ALK_OPS_UNAVAILABLE,
                          "the node is stopping", 0);
    }
    l->is_delivering = false;
    bury(l);
}

void alk_events_detach(struct alk_events_loop *l)
{
    struct alk_events *e = l->hub;
    struct mail mail;
    if (l->is_dead) {
        return;
    }
    alk_events_lock(e);
    l->is_dead = true;
    e->loops[l->slot] = NULL;
    atomic_store_explicit(&e->keys[l->slot], 0, memory_order_relaxed);
    alk_events_unlock(e);
    alk_loop_soon_cancel(&l->soon);
    alk_loop_turn_remove(l->loop, &l->turn);
    alk_loop_end_remove(&l->end);
    end_all(l);
    /* Until here the store's thread may have brought something; from here on it keeps
     * what it brings. */
    alk_events_lock(e);
    l->is_detached = true;
    alk_events_unlock(e);
    take(l, &mail);
    tell_publishers(l, mail.acks);
    take_pages(l, mail.pages);
    drop_queue(l, &l->work);
    drop_queue(l, &l->inbox);
    alk_events_lock(e);
    bool is_last = alk_events_loop_put(l);
    alk_events_unlock(e);
    if (is_last) {
        alk_events_loop_free(l);
    }
}
