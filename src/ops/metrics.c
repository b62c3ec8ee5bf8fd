/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/metrics.h"

#include "base/mem.h"
#include "ops/request.h"

#include <stdio.h>

/* More than the lines of one operation in one family. */
#define ENTRY_MAX ((size_t)8 << 10)

struct rows {
    struct alk_op_slot **slots; /* a reference each */
    size_t n;
};

static uint64_t get(const atomic_uint_fast64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static bool was_called(const struct alk_op_slot *slot)
{
    uint64_t n = get(&slot->stats.ok) + get(&slot->stats.active);
    for (unsigned i = 0; i < ALK_OPS_CODES; i++) {
        n += get(&slot->stats.errors[i]);
    }
    return n > 0;
}

static int compare(const void *a, const void *b)
{
    const struct alk_op_slot *const *x = a;
    const struct alk_op_slot *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static alk_err gather(struct alk_ops *ops, struct rows *ret)
{
    struct alk_op_slot *slot;
    size_t at = 0;

    ret->n = 0;
    ret->slots = (struct alk_op_slot **)alk_zalloc(ops->mem, ALK_OPS_MAX, sizeof *ret->slots);
    if (ret->slots == NULL) {
        return ALK_E_NOMEM;
    }
    (void)pthread_rwlock_rdlock(&ops->lock);
    while ((slot = alk_map_next(&ops->slots, &at)) != NULL) {
        if (was_called(slot)) {
            (void)atomic_fetch_add_explicit(&slot->refs, 1, memory_order_relaxed);
            ret->slots[ret->n++] = slot;
        }
    }
    (void)pthread_rwlock_unlock(&ops->lock);
    qsort(ret->slots, ret->n, sizeof(struct alk_op_slot *), compare);
    return ALK_OK;
}

static void put_requests(struct alk_buf *b, const struct alk_op_slot *slot)
{
    uint64_t ok = get(&slot->stats.ok);

    if (ok > 0) {
        (void)alk_buf_printf(b, "alknet_op_requests_total{op=\"%s\",code=\"OK\"} %llu\n",
                             slot->name, (unsigned long long)ok);
    }
    for (unsigned i = 0; i < ALK_OPS_CODES; i++) {
        uint64_t n = get(&slot->stats.errors[i]);
        if (n > 0) {
            (void)alk_buf_printf(b, "alknet_op_requests_total{op=\"%s\",code=\"%s\"} %llu\n",
                                 slot->name, alk_ops_code_at(i), (unsigned long long)n);
        }
    }
}

static void put_active(struct alk_buf *b, const struct alk_op_slot *slot)
{
    (void)alk_buf_printf(b, "alknet_op_active{op=\"%s\"} %llu\n", slot->name,
                         (unsigned long long)get(&slot->stats.active));
}

static void put_times(struct alk_buf *b, const struct alk_op_slot *slot)
{
    char label[ALK_LABEL_SIZE];
    uint64_t n = 0;

    for (unsigned i = 0; i < ALK_HISTOGRAM_BUCKETS; i++) {
        n += get(&slot->stats.time.counts[i]);
    }
    if (n == 0) {
        return; /* it was never let run */
    }
    (void)snprintf(label, sizeof label, "op=\"%s\"", slot->name);
    alk_err err = alk_histogram_print(b, "op_seconds", label, &slot->stats.time);
    (void)err; /* sticks to the buffer */
}

static void put_family(struct alk_buf *b, const struct rows *rows, const char *name,
                       const char *type, const char *help,
                       void (*put)(struct alk_buf *, const struct alk_op_slot *))
{
    if (alk_buf_room(b) < ENTRY_MAX) {
        return;
    }
    (void)alk_buf_printf(b, "# HELP alknet_%s %s\n# TYPE alknet_%s %s\n", name, help, name, type);
    for (size_t i = 0; i < rows->n; i++) {
        if (alk_buf_room(b) < ENTRY_MAX) {
            (void)alk_buf_printf(b, "# %zu operations are left out\n", rows->n - i);
            return;
        }
        put(b, rows->slots[i]);
    }
}

alk_err alk_ops_metrics_print(struct alk_ops *ops, struct alk_buf *b)
{
    struct rows rows;

    ALK_TRY(gather(ops, &rows));
    put_family(b, &rows, "op_requests_total", "counter", "Requests that ended, by code.",
               put_requests);
    put_family(b, &rows, "op_active", "gauge", "Requests under way.", put_active);
    put_family(b, &rows, "op_seconds", "histogram", "How long requests took.", put_times);
    if (alk_buf_room(b) >= ENTRY_MAX) {
        (void)alk_buf_printf(b,
                             "# HELP alknet_op_unknown_total Requests for what is not there.\n"
                             "# TYPE alknet_op_unknown_total counter\n"
                             "alknet_op_unknown_total %llu\n",
                             (unsigned long long)get(&ops->unknown));
    }
    for (size_t i = 0; i < rows.n; i++) {
        alk_op_slot_unref(rows.slots[i]);
    }
    alk_free(ops->mem, rows.slots);
    return b->err;
}
