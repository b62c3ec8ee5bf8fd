/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Looking at the registry: what there is, for whom. */
#include "base/mem.h"
#include "ops/registry.h"

typedef bool wants_fn(const struct alk_op_provider *p, const struct alk_identity *caller);

static bool is_shown(const struct alk_op_provider *p, const struct alk_identity *caller)
{
    return alk_access_shows(&p->copy->op, caller);
}

static bool is_offered(const struct alk_op_provider *p, const struct alk_identity *caller)
{
    (void)caller;
    return !p->is_remote && (p->copy->op.flags & ALK_OP_INTERNAL) == 0;
}

/* With the lock. NULL: nobody serves it now. */
static struct alk_op_provider *front_of(const struct alk_op_slot *slot)
{
    struct alk_link *l = alk_list_first(&slot->remotes);
    if (slot->local != NULL || l == NULL) {
        return slot->local;
    }
    return ALK_CONTAINER(l, struct alk_op_provider, in);
}

struct row {
    struct alk_op_provider *provider; /* a use of it */
    unsigned count;
};

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    return strcmp(x->provider->copy->op.name, y->provider->copy->op.name);
}

struct range {
    struct alk_span prefix, after;
};

/* In the order of compare_rows. */
static bool comes_after(struct alk_span name, struct alk_span after)
{
    size_t n = name.n < after.n ? name.n : after.n;
    int order = n == 0 ? 0 : memcmp(name.p, after.p, n);
    return order > 0 || (order == 0 && name.n > after.n);
}

static bool is_within(const struct range *range, struct alk_span name)
{
    return alk_span_starts(name, range->prefix) && comes_after(name, range->after);
}

static size_t gather(struct alk_ops *ops, const struct alk_identity *caller,
                     const struct range *range, wants_fn *wants, struct row *rows)
{
    struct alk_op_slot *slot;
    size_t at = 0;
    size_t n = 0;

    (void)pthread_rwlock_rdlock(&ops->lock);
    while ((slot = alk_map_next(&ops->slots, &at)) != NULL) {
        struct alk_op_provider *p = front_of(slot);
        if (p != NULL && is_within(range, alk_span(slot->name, slot->name_n)) && wants(p, caller)) {
            (void)atomic_fetch_add_explicit(&p->uses, 1, memory_order_relaxed);
            rows[n++] = (struct row){p, slot->local != NULL ? 1 : slot->remote_count};
        }
    }
    (void)pthread_rwlock_unlock(&ops->lock);
    return n;
}

static struct alk_op_info info_of(const struct row *row)
{
    return (struct alk_op_info){&row->provider->copy->op, row->provider->source, row->count};
}

static alk_err each(struct alk_ops *ops, const struct alk_identity *caller,
                    const struct range *range, wants_fn *wants, alk_ops_each_fn *fn, void *ctx)
{
    struct row *rows = alk_zalloc(ops->mem, ALK_OPS_MAX, sizeof *rows);
    bool goes_on = true;

    if (rows == NULL) {
        return ALK_E_NOMEM;
    }
    size_t n = gather(ops, caller, range, wants, rows);
    qsort(rows, n, sizeof *rows, compare_rows);
    for (size_t i = 0; i < n; i++) {
        struct alk_op_info info = info_of(&rows[i]);
        goes_on = goes_on && fn(ctx, &info);
        alk_op_pick_drop((struct alk_op_pick){.provider = rows[i].provider});
    }
    alk_free(ops->mem, rows);
    return ALK_OK;
}

alk_err alk_ops_each(struct alk_ops *ops, const struct alk_identity *caller, struct alk_span prefix,
                     struct alk_span after, alk_ops_each_fn *fn, void *ctx)
{
    const struct range range = {prefix, after};
    return each(ops, caller, &range, is_shown, fn, ctx);
}

alk_err alk_ops_each_offered(struct alk_ops *ops, struct alk_span prefix, alk_ops_each_fn *fn,
                             void *ctx)
{
    const struct range range = {.prefix = prefix};
    return each(ops, NULL, &range, is_offered, fn, ctx);
}

bool alk_ops_find(struct alk_ops *ops, const struct alk_identity *caller, struct alk_span name,
                  void (*fn)(void *ctx, const struct alk_op_info *info), void *ctx)
{
    struct row row = {NULL, 0};

    (void)pthread_rwlock_rdlock(&ops->lock);
    struct alk_op_slot *slot = alk_map_get(&ops->slots, name);
    struct alk_op_provider *p = slot == NULL ? NULL : front_of(slot);
    if (p != NULL && is_shown(p, caller)) {
        (void)atomic_fetch_add_explicit(&p->uses, 1, memory_order_relaxed);
        row = (struct row){p, slot->local != NULL ? 1 : slot->remote_count};
    }
    (void)pthread_rwlock_unlock(&ops->lock);
    if (row.provider == NULL) {
        return false;
    }
    struct alk_op_info info = info_of(&row);
    fn(ctx, &info);
    alk_op_pick_drop((struct alk_op_pick){.provider = row.provider});
    return true;
}
