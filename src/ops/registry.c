/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/registry.h"

#include "base/mem.h"
#include "core/io/rand.h"
#include "ops/events.h"

#include <stdio.h>

/* --- providers and slots ------------------------------------------------------ */

void alk_op_slot_unref(struct alk_op_slot *slot)
{
    if (atomic_fetch_sub_explicit(&slot->refs, 1, memory_order_acq_rel) == 1) {
        alk_free(slot->mem, slot);
    }
}

void alk_ops_unref(struct alk_ops *ops)
{
    if (atomic_fetch_sub_explicit(&ops->refs, 1, memory_order_acq_rel) == 1) {
        alk_map_fini(&ops->slots);
        (void)pthread_rwlock_destroy(&ops->lock);
        alk_free(ops->mem, ops);
    }
}

static void provider_unref(struct alk_op_provider *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (p->slot != NULL) {
        alk_op_slot_unref(p->slot);
    }
    struct alk_ops *ops = p->ops;
    alk_op_copy_free(p->copy);
    alk_free(ops->mem, p);
    alk_ops_unref(ops);
}

static void provider_unuse(struct alk_op_provider *p)
{
    if (atomic_fetch_sub_explicit(&p->uses, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (p->copy->op.release != NULL) {
        p->copy->op.release(p->ctx);
    }
    provider_unref(p);
}

void alk_op_pick_drop(struct alk_op_pick pick)
{
    if (pick.provider == NULL) {
        return;
    }
    if (pick.is_ghost) {
        provider_unref(pick.provider);
    } else {
        provider_unuse(pick.provider);
    }
}

static alk_err slot_new(struct alk_ops *ops, const char *name, struct alk_op_slot **ret)
{
    size_t n = strlen(name);
    struct alk_op_slot *slot = alk_zalloc(ops->mem, 1, sizeof *slot + n + 1);
    if (slot == NULL) {
        return ALK_E_NOMEM;
    }
    slot->mem = ops->mem;
    slot->name_n = n;
    memcpy(slot->name, name, n + 1);
    atomic_store(&slot->refs, 1);
    alk_list_init(&slot->remotes);
    *ret = slot;
    return ALK_OK;
}

static struct alk_span slot_name(const struct alk_op_slot *slot)
{
    return alk_span(slot->name, slot->name_n);
}

/* --- the table: all of these with the lock held for writing -------------------- */

static void forget_ghost(struct alk_op_slot *slot)
{
    if (slot->ghost != NULL) {
        provider_unref(slot->ghost);
        slot->ghost = NULL;
    }
}

/* Takes a slot with nothing in it out of the table. */
static void prune(struct alk_ops *ops, struct alk_op_slot *slot)
{
    if (slot->local == NULL && slot->remote_count == 0 && slot->ghost == NULL) {
        (void)alk_map_remove(&ops->slots, slot_name(slot));
        alk_op_slot_unref(slot);
    }
}

/* When the table is full, a name that only stands for what has gone makes room. */
static bool evict_ghost(struct alk_ops *ops)
{
    size_t at = 0;
    struct alk_op_slot *slot;

    while ((slot = alk_map_next(&ops->slots, &at)) != NULL) {
        if (slot->ghost != NULL && slot->local == NULL && slot->remote_count == 0) {
            forget_ghost(slot);
            prune(ops, slot);
            return true;
        }
    }
    return false;
}

static alk_err find_or_add(struct alk_ops *ops, const char *name, struct alk_op_slot **ret)
{
    struct alk_op_slot *slot = alk_map_get(&ops->slots, alk_span_str(name));
    if (slot != NULL) {
        *ret = slot;
        return ALK_OK;
    }
    ALK_TRY(slot_new(ops, name, &slot));
    alk_err err = alk_map_put(&ops->slots, slot_name(slot), slot);
    if (err == ALK_E_LIMIT && evict_ghost(ops)) {
        err = alk_map_put(&ops->slots, slot_name(slot), slot);
    }
    if (err != ALK_OK) {
        alk_op_slot_unref(slot);
        return err;
    }
    *ret = slot;
    return ALK_OK;
}

static struct alk_op_provider *first_remote(const struct alk_op_slot *slot)
{
    struct alk_link *l = alk_list_first(&slot->remotes);
    return l == NULL ? NULL : ALK_CONTAINER(l, struct alk_op_provider, in);
}

static bool is_in(const struct alk_op_slot *slot, const struct alk_op_provider *p)
{
    struct alk_link *l = alk_list_first(&slot->remotes);
    for (; l != NULL; l = alk_list_next(&slot->remotes, l)) {
        if (l == &p->in) {
            return true;
        }
    }
    return false;
}

/* model: a remote provider that the new one was found equal to; NULL: there was
 * none. ALK_FULL: that has changed, compare again. */
static alk_err insert(struct alk_ops *ops, struct alk_op_provider *p,
                      const struct alk_op_provider *model)
{
    struct alk_op_slot *slot = NULL;

    ALK_TRY(find_or_add(ops, p->copy->op.name, &slot));
    if (!p->is_remote) {
        if (slot->local != NULL) {
            return ALK_E_EXISTS;
        }
        slot->local = p;
    } else {
        if (model == NULL ? slot->remote_count > 0 : !is_in(slot, model)) {
            prune(ops, slot);
            return ALK_FULL;
        }
        if (slot->remote_count >= ALK_PROVIDERS_MAX) {
            return ALK_E_LIMIT;
        }
        alk_list_append(&slot->remotes, &p->in);
        slot->remote_count++;
        forget_ghost(slot);
    }
    p->slot = slot;
    (void)atomic_fetch_add(&slot->refs, 1);
    return ALK_OK;
}

/* --- finding ------------------------------------------------------------------ */

struct rank {
    bool is_late;
    unsigned uses;
    uint64_t turn;
};

static bool is_before(const struct rank *a, const struct rank *b)
{
    if (a->is_late != b->is_late) {
        return b->is_late;
    }
    return a->uses != b->uses ? a->uses < b->uses : a->turn < b->turn;
}

static struct rank rank_of(struct alk_op_provider *p)
{
    unsigned left = atomic_load_explicit(&p->passed_over, memory_order_relaxed);
    if (left > 0) { /* two at once count as one: it is a hint */
        atomic_store_explicit(&p->passed_over, left - 1, memory_order_relaxed);
    }
    return (struct rank){.is_late = left > 0,
                         .uses = atomic_load_explicit(&p->uses, memory_order_relaxed),
                         .turn = atomic_load_explicit(&p->turn, memory_order_relaxed)};
}

/* Of those that are equally busy, the one that has waited longest. */
static struct alk_op_provider *least_busy(struct alk_op_slot *slot,
                                          const struct alk_op_provider *except)
{
    struct alk_op_provider *best = NULL;
    struct rank first = {.uses = 0};
    struct alk_link *l = alk_list_first(&slot->remotes);

    for (; l != NULL; l = alk_list_next(&slot->remotes, l)) {
        struct alk_op_provider *p = ALK_CONTAINER(l, struct alk_op_provider, in);
        struct rank rank = rank_of(p);
        if (p != except && (best == NULL || is_before(&rank, &first))) {
            best = p;
            first = rank;
        }
    }
    if (best != NULL) {
        uint64_t turn = atomic_fetch_add_explicit(&slot->turns, 1, memory_order_relaxed);
        atomic_store_explicit(&best->turn, turn + 1, memory_order_relaxed);
    }
    return best;
}

struct alk_op_pick alk_ops_pick(struct alk_ops *ops, struct alk_span name,
                                const struct alk_op_provider *except)
{
    struct alk_op_pick pick = {.provider = NULL};

    (void)pthread_rwlock_rdlock(&ops->lock);
    struct alk_op_slot *slot = alk_map_get(&ops->slots, name);
    if (slot != NULL) {
        pick.provider = slot->local != NULL ? slot->local : least_busy(slot, except);
        if (pick.provider != NULL) {
            (void)atomic_fetch_add_explicit(&pick.provider->uses, 1, memory_order_relaxed);
        } else if (slot->ghost != NULL) {
            pick.provider = slot->ghost;
            pick.is_ghost = true;
            (void)atomic_fetch_add_explicit(&pick.provider->refs, 1, memory_order_relaxed);
        }
    }
    (void)pthread_rwlock_unlock(&ops->lock);
    return pick;
}

/* --- adding ------------------------------------------------------------------- */

/* A remote provider of this name, with a use of it; NULL: none. */
static struct alk_op_provider *borrow_model(struct alk_ops *ops, const char *name)
{
    (void)pthread_rwlock_rdlock(&ops->lock);
    struct alk_op_slot *slot = alk_map_get(&ops->slots, alk_span_str(name));
    struct alk_op_provider *model = slot == NULL ? NULL : first_remote(slot);
    if (model != NULL) {
        (void)atomic_fetch_add(&model->uses, 1);
    }
    (void)pthread_rwlock_unlock(&ops->lock);
    return model;
}

/* Schemas are compared outside the lock: they may be large. */
static alk_err try_insert(struct alk_ops *ops, struct alk_op_provider *p)
{
    struct alk_op_provider *model = p->is_remote ? borrow_model(ops, p->copy->op.name) : NULL;
    alk_err err = model == NULL ? ALK_OK : alk_op_copy_equal(&model->copy->op, &p->copy->op);

    if (err == ALK_OK) {
        (void)pthread_rwlock_wrlock(&ops->lock);
        err = insert(ops, p, model);
        (void)pthread_rwlock_unlock(&ops->lock);
    }
    if (model != NULL) {
        provider_unuse(model);
    }
    return err;
}

static alk_err provider_new(struct alk_ops *ops, const struct alk_op *op, const char *source,
                            void *ctx, char *why, size_t why_size, struct alk_op_provider **ret)
{
    struct alk_op_copy *copy = NULL;
    ALK_TRY(alk_op_copy_new(ops->mem, op, ops->check_outputs, why, why_size, &copy));

    struct alk_op_provider *p = ALK_NEW(ops->mem, struct alk_op_provider);
    if (p == NULL) {
        alk_op_copy_free(copy);
        return ALK_E_NOMEM;
    }
    p->ops = ops;
    (void)atomic_fetch_add_explicit(&ops->refs, 1, memory_order_relaxed);
    p->copy = copy;
    p->ctx = ctx;
    p->is_remote = source != NULL;
    (void)snprintf(p->source, sizeof p->source, "%s", source == NULL ? "" : source);
    atomic_store(&p->uses, 1);
    atomic_store(&p->refs, 1);
    *ret = p;
    return ALK_OK;
}

alk_err alk_ops_add_provider(struct alk_ops *ops, const struct alk_op *op, const char *source,
                             void *ctx, char *why, size_t why_size, struct alk_op_provider **ret)
{
    struct alk_op_provider *p = NULL;
    ALK_TRY(provider_new(ops, op, source, ctx, why, why_size, &p));
    alk_err err;
    do {
        err = try_insert(ops, p);
    } while (err == ALK_FULL);
    if (err == ALK_E_EXISTS && why != NULL && why_size > 0) {
        (void)snprintf(why, why_size, "\"%s\" is there already%s", p->copy->op.name,
                       p->is_remote ? ", of another kind or with other schemas" : "");
    }
    if (err != ALK_OK) {
        provider_unref(p); /* release is the caller's to call */
        return err;
    }
    *ret = p;
    return ALK_OK;
}

alk_err alk_ops_add(struct alk_ops *ops, const struct alk_op *op, void *ctx, char *why,
                    size_t why_size)
{
    struct alk_op_provider *p = NULL;
    alk_err err = alk_ops_add_provider(ops, op, NULL, ctx, why, why_size, &p);
    if (err != ALK_OK && op->struct_size >= sizeof *op && op->release != NULL) {
        op->release(ctx);
    }
    return err;
}

alk_err alk_ops_remove(struct alk_ops *ops, const char *name)
{
    (void)pthread_rwlock_wrlock(&ops->lock);
    struct alk_op_slot *slot = alk_map_get(&ops->slots, alk_span_str(name));
    struct alk_op_provider *p = slot == NULL ? NULL : slot->local;
    if (p != NULL) {
        slot->local = NULL;
        prune(ops, slot);
    }
    (void)pthread_rwlock_unlock(&ops->lock);
    if (p == NULL) {
        return ALK_E_NOENT;
    }
    provider_unuse(p); /* outside the lock: release may look at the registry */
    return ALK_OK;
}

alk_err alk_ops_add_remote(struct alk_ops *ops, const struct alk_op *op, const char *source,
                           void *ctx, char *why, size_t why_size,
                           struct alk_op_provider **ret_provider)
{
    alk_err err = alk_ops_add_provider(ops, op, source, ctx, why, why_size, ret_provider);
    if (err != ALK_OK && op->struct_size >= sizeof *op && op->release != NULL) {
        op->release(ctx);
    }
    return err;
}

alk_err alk_ops_guard_remote(struct alk_ops *ops, struct alk_op_provider *old, unsigned flags,
                             const struct alk_op_access *access, void *ctx,
                             struct alk_op_provider **ret)
{
    struct alk_op op = old->copy->op;
    struct alk_op_provider *p = NULL;

    op.flags = flags;
    op.access = *access;
    ALK_TRY(provider_new(ops, &op, old->source, ctx, NULL, 0, &p));
    (void)pthread_rwlock_wrlock(&ops->lock);
    ALK_ASSERT(old->is_remote && is_in(old->slot, old));
    p->slot = old->slot;
    (void)atomic_fetch_add(&p->slot->refs, 1);
    alk_list_append(&p->slot->remotes, &p->in);
    alk_list_remove(&old->in);
    (void)pthread_rwlock_unlock(&ops->lock);
    provider_unuse(old);
    *ret = p;
    return ALK_OK;
}

void alk_ops_remove_remote(struct alk_ops *ops, struct alk_op_provider *provider)
{
    struct alk_op_slot *slot = provider->slot;

    (void)pthread_rwlock_wrlock(&ops->lock);
    ALK_ASSERT(provider->is_remote && is_in(slot, provider));
    alk_list_remove(&provider->in);
    slot->remote_count--;
    if (slot->remote_count == 0) {
        (void)atomic_fetch_add(&provider->refs, 1);
        slot->ghost = provider;
    }
    (void)pthread_rwlock_unlock(&ops->lock);
    provider_unuse(provider);
}

/* --- the registry ------------------------------------------------------------- */

alk_err alk_ops_new(const struct alk_ops_options *options, struct alk_ops **ret)
{
    struct alk_rand random = alk_rand_system();
    uint8_t seed[16];
    struct alk_ops *ops = ALK_NEW(options->mem, struct alk_ops);

    if (ops == NULL) {
        return ALK_E_NOMEM;
    }
    ops->mem = options->mem;
    atomic_store(&ops->refs, 1);
    ops->timeout_ms = options->timeout_ms == 0 ? 30000 : options->timeout_ms;
    ops->timeout_max_ms = options->timeout_max_ms == 0 ? 600000 : options->timeout_max_ms;
    ops->check_outputs = options->check_outputs;
    if (pthread_rwlock_init(&ops->lock, NULL) != 0) {
        alk_free(options->mem, ops);
        return ALK_E_NOMEM;
    }
    alk_rand_fill(&random, seed, sizeof seed);
    alk_map_init(&ops->slots, ops->mem, ALK_OPS_MAX, seed);
    alk_rand_fill(&random, &ops->id_base, sizeof ops->id_base);
    *ret = ops;
    return ALK_OK;
}

/* Empties a slot without the lock: nobody starts anything any more. */
static void clear_slot(struct alk_ops *ops, struct alk_op_slot *slot)
{
    struct alk_link *l;

    (void)alk_map_remove(&ops->slots, slot_name(slot));
    forget_ghost(slot);
    while ((l = alk_list_pop(&slot->remotes)) != NULL) {
        provider_unuse(ALK_CONTAINER(l, struct alk_op_provider, in));
    }
    if (slot->local != NULL) {
        provider_unuse(slot->local);
    }
    alk_op_slot_unref(slot);
}

void alk_ops_free(struct alk_ops *ops)
{
    if (ops == NULL) {
        return;
    }
    for (;;) {
        size_t at = 0;
        struct alk_op_slot *slot = alk_map_next(&ops->slots, &at);
        if (slot == NULL) {
            break;
        }
        clear_slot(ops, slot);
    }
    alk_ops_set_audit(ops, NULL, NULL); /* whoever listens goes with the owner */
    alk_ops_set_log(ops, NULL, NULL);
    alk_ops_set_events(ops, NULL);
    alk_ops_unref(ops);
}

/* --- hooks -------------------------------------------------------------------- */

void alk_ops_set_audit(struct alk_ops *ops, void (*fn)(void *ctx, const struct alk_ops_audit *a),
                       void *ctx)
{
    (void)pthread_rwlock_wrlock(&ops->lock);
    ops->audit = fn;
    ops->audit_ctx = ctx;
    atomic_store(&ops->is_audited, fn != NULL);
    (void)pthread_rwlock_unlock(&ops->lock);
}

void alk_ops_set_log(struct alk_ops *ops, alk_log_fn *fn, void *ctx)
{
    (void)pthread_rwlock_wrlock(&ops->lock);
    ops->log = fn;
    ops->log_ctx = ctx;
    (void)pthread_rwlock_unlock(&ops->lock);
}

void alk_ops_audit_request(struct alk_ops *ops, const struct alk_request *r, const char *code)
{
    struct alk_ops_audit a = {.request = r, .code = code};

    if (!atomic_load_explicit(&ops->is_audited, memory_order_relaxed)) {
        return;
    }
    (void)pthread_rwlock_rdlock(&ops->lock);
    if (ops->audit != NULL) {
        ops->audit(ops->audit_ctx, &a);
    }
    (void)pthread_rwlock_unlock(&ops->lock);
}

void alk_ops_complain(struct alk_ops *ops, const char *op, const char *what)
{
    char line[512];

    (void)snprintf(line, sizeof line, "%s: %s", op, what);
    (void)pthread_rwlock_rdlock(&ops->lock);
    if (ops->log != NULL) {
        ops->log(ops->log_ctx, ALK_LOG_ERROR, "ops", line);
    }
    (void)pthread_rwlock_unlock(&ops->lock);
}

void alk_ops_set_events(struct alk_ops *ops, struct alk_events *e)
{
    (void)pthread_rwlock_wrlock(&ops->lock);
    struct alk_events *old = ops->events;
    ops->events = e == NULL ? NULL : alk_events_ref(e);
    (void)pthread_rwlock_unlock(&ops->lock);
    alk_events_unref(old);
}

struct alk_events *alk_ops_events(struct alk_ops *ops)
{
    (void)pthread_rwlock_rdlock(&ops->lock);
    struct alk_events *e = ops->events == NULL ? NULL : alk_events_ref(ops->events);
    (void)pthread_rwlock_unlock(&ops->lock);
    return e;
}
