/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "ops/events_impl.h"

/* Above the highest stored number after a restart: as many events that were not
 * durable may have had numbers that nobody remembers. */
#define JUMP      ((uint64_t)1 << 32)
/* Nodes of a loop's index: patterns times tokens are far more. */
#define NODES_MAX ((size_t)1 << 21)

void alk_events_lock(struct alk_events *e)
{
    int failed = pthread_mutex_lock(&e->lock);
    ALK_ASSERT(failed == 0);
}

void alk_events_unlock(struct alk_events *e)
{
    int failed = pthread_mutex_unlock(&e->lock);
    ALK_ASSERT(failed == 0);
}

static uint64_t system_ns(void *ctx)
{
    (void)ctx;
    return alk_clock_unix_ns();
}

alk_err alk_events_new(const struct alk_events_options *options, struct alk_events **ret)
{
    struct alk_events *e = ALK_NEW(options->mem, struct alk_events);
    if (e == NULL) {
        return ALK_E_NOMEM;
    }
    e->mem = options->mem;
    memcpy(e->seed, options->seed, sizeof(e->seed));
    e->now_ns = options->now_ns == NULL ? system_ns : options->now_ns;
    e->now_ctx = options->now_ctx;
    e->budget = (struct alk_event_budget){.mem = e->mem, .loops = ALK_EVENTS_LOOPS_MAX};
    if (options->loops_max > 0 && options->loops_max < ALK_EVENTS_LOOPS_MAX) {
        e->budget.loops = options->loops_max;
    }
    e->generation = 1;
    alk_err err = alk_event_rules_new(e->mem, NULL, 1, NULL, 0, &e->rules);
    if (err == ALK_OK && pthread_mutex_init(&e->lock, NULL) != 0) {
        alk_event_rules_unref(e->rules);
        err = ALK_E_NOMEM;
    }
    if (err != ALK_OK) {
        alk_free(e->mem, e);
        return err;
    }
    atomic_init(&e->refs, 1);
    atomic_init(&e->budget.live, 0);
    atomic_init(&e->subscriptions, 0);
    atomic_init(&e->memory_max, alk_event_rules_limits(e->rules)->memory);
    atomic_init(&e->rules_generation, 1);
    alk_event_dedup_init(&e->dedup, e->mem, e->seed);
    /* Microseconds since 1970: above whatever a node gave out before it was started
     * again, as long as it gave out less than a million a second. */
    e->last = e->now_ns(e->now_ctx) / 1000;
    *ret = e;
    return ALK_OK;
}

struct alk_events *alk_events_ref(struct alk_events *e)
{
    (void)atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void alk_events_unref(struct alk_events *e)
{
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    ALK_ASSERT(e->store == NULL);
    ALK_ASSERT(e->held.first == NULL);
    alk_event_dedup_fini(&e->dedup);
    alk_event_rules_unref(e->rules);
    (void)pthread_mutex_destroy(&e->lock);
    alk_free(e->mem, e);
}

/* --- store and rules ------------------------------------------------------------ */

void alk_events_set_store(struct alk_events *e, struct alk_event_store *store)
{
    uint64_t last = store->calls->last(store);
    alk_events_lock(e);
    ALK_ASSERT(e->store == NULL);
    e->store = store;
    if (last > 0 && e->last < last + JUMP) {
        e->last = last + JUMP;
    }
    alk_events_unlock(e);
}

bool alk_events_has_store(struct alk_events *e)
{
    alk_events_lock(e);
    bool has = e->store != NULL;
    alk_events_unlock(e);
    return has;
}

uint64_t alk_events_generation(struct alk_events *e)
{
    alk_events_lock(e);
    uint64_t generation = ++e->generation;
    alk_events_unlock(e);
    return generation;
}

const struct alk_event_rules *alk_events_rules(struct alk_events *e)
{
    alk_events_lock(e);
    const struct alk_event_rules *rules = alk_event_rules_ref(e->rules);
    alk_events_unlock(e);
    return rules;
}

void alk_events_set_rules(struct alk_events *e, const struct alk_event_rules *rules)
{
    alk_events_lock(e);
    const struct alk_event_rules *before = e->rules;
    ALK_ASSERT(e->store != NULL || e->is_stopped || !alk_event_rules_are_durable(rules));
    if (e->store != NULL) {
        struct alk_event_retention retention = alk_event_rules_retention(rules);
        e->store->calls->retain(e->store, &retention);
    }
    e->rules = alk_event_rules_ref(rules);
    atomic_store(&e->memory_max, alk_event_rules_limits(rules)->memory);
    atomic_store(&e->rules_generation, alk_event_rules_generation(rules));
    for (size_t i = 0; i < e->budget.loops; i++) {
        if (e->loops[i] != NULL) {
            alk_events_wake(e->loops[i]);
        }
    }
    alk_events_unlock(e);
    alk_event_rules_unref(before);
}

/* --- loops ------------------------------------------------------------------------ */

/* Gives back a post's reference. */
static void post_over(void *arg)
{
    struct alk_events_loop *l = arg;
    struct alk_events *e = l->hub;
    alk_events_lock(e);
    bool is_last = alk_events_loop_put(l);
    alk_events_unlock(e);
    if (is_last) {
        alk_events_loop_free(l);
    }
}

static void on_post(void *arg)
{
    struct alk_events_loop *l = arg;
    alk_events_run(l);
    post_over(l);
}

static void on_stop(void *arg)
{
    struct alk_events_loop *l = arg;
    alk_events_detach(l);
    post_over(l);
}

/* Under the lock. A post that the loop drops when it is freed gives its reference
 * back too. */
static bool post(struct alk_events_loop *l, alk_post_fn *fn)
{
    bool is_sent = !l->is_dead && alk_post_cancel(l->loop, fn, post_over, l) == ALK_OK;
    l->refs += is_sent;
    return is_sent;
}

void alk_events_wake(struct alk_events_loop *l)
{
    /* A loop that takes no more posts turns all the same, and looks for itself. */
    if (!l->is_awake) {
        l->is_awake = post(l, on_post);
        atomic_store_explicit(&l->is_missed, !l->is_awake, memory_order_relaxed);
    }
}

bool alk_events_loop_put(struct alk_events_loop *l)
{
    return --l->refs == 0;
}

void alk_events_loop_free(struct alk_events_loop *l)
{
    struct alk_events *e = l->hub;
    ALK_ASSERT(l->sub_count == 0);
    alk_topic_index_fini(&l->index);
    alk_event_rules_unref(l->rules);
    alk_identity_unref(l->passed.who);
    alk_free(e->mem, l->hits);
    alk_free(e->mem, l);
    alk_events_unref(e);
}

static void on_loop_end(void *ctx)
{
    alk_events_detach(ctx);
}

static alk_err loop_new(struct alk_events *e, struct alk_loop *loop, struct alk_events_loop **ret)
{
    struct alk_events_loop *l = ALK_NEW(e->mem, struct alk_events_loop);
    if (l == NULL) {
        return ALK_E_NOMEM;
    }
    l->loop = loop;
    l->refs = 1;
    l->acks_end = &l->acks;
    l->pages_end = &l->pages;
    l->soon = (struct alk_soon){.fn = alk_events_run, .ctx = l};
    l->turn = (struct alk_turn){.fn = alk_events_turn, .ctx = l};
    l->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = l};
    alk_list_init(&l->subs);
    alk_list_init(&l->ready);
    alk_list_init(&l->graves);
    alk_topic_index_init(&l->index, e->mem, NODES_MAX, e->seed);
    alk_events_lock(e);
    unsigned slot = 0;
    while (slot < e->budget.loops && e->loops[slot] != NULL) {
        slot++;
    }
    alk_err err = e->is_stopped ? ALK_E_CLOSED : slot == e->budget.loops ? ALK_E_LIMIT : ALK_OK;
    if (err == ALK_OK) {
        l->slot = slot;
        l->hub = alk_events_ref(e);
        l->rules = alk_event_rules_ref(e->rules);
        e->loops[slot] = l;
        atomic_store_explicit(&e->keys[slot], (uintptr_t)loop, memory_order_relaxed);
    }
    alk_events_unlock(e);
    if (err != ALK_OK) {
        alk_free(e->mem, l);
        return err;
    }
    alk_loop_turn_add(loop, &l->turn);
    alk_loop_end_add(loop, &l->end);
    *ret = l;
    return ALK_OK;
}

alk_err alk_events_loop_of(struct alk_events *e, struct alk_loop *loop,
                           struct alk_events_loop **ret)
{
    /* Its own slot is changed by nobody else while a loop runs: no lock is needed. */
    for (size_t i = 0; i < e->budget.loops; i++) {
        if (atomic_load_explicit(&e->keys[i], memory_order_relaxed) == (uintptr_t)loop) {
            *ret = e->loops[i];
            return ALK_OK;
        }
    }
    return loop_new(e, loop, ret);
}

void alk_events_stop(struct alk_events *e)
{
    alk_events_lock(e);
    struct alk_event_store *store = e->store;
    e->store = NULL;
    e->is_stopped = true;
    alk_events_unlock(e);
    if (store != NULL) {
        store->calls->close(store);
    }
    alk_events_lock(e);
    for (size_t i = 0; i < e->budget.loops; i++) {
        if (e->loops[i] != NULL) {
            /* A loop that takes no posts ends them itself when it is freed. */
            (void)post(e->loops[i], on_stop);
        }
    }
    alk_events_unlock(e);
}

void alk_events_stats(struct alk_events *e, struct alk_events_stats *ret)
{
    *ret = (struct alk_events_stats){
        .subscriptions = atomic_load_explicit(&e->subscriptions, memory_order_relaxed),
        .memory = atomic_load_explicit(&e->budget.live, memory_order_relaxed)};
    alk_events_lock(e);
    ret->published = e->published;
    for (size_t i = 0; i < e->budget.loops; i++) {
        if (e->loops[i] != NULL) {
            ret->delivered += atomic_load_explicit(&e->loops[i]->delivered, memory_order_relaxed);
            ret->slow += atomic_load_explicit(&e->loops[i]->slow, memory_order_relaxed);
        }
    }
    alk_events_unlock(e);
}
