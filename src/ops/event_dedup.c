/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/event_dedup.h"

#include "base/mem.h"
#include "core/store/event_store.h"
#include "ops/topic.h"

struct seen {
    struct alk_link in;
    uint64_t seq, time_ms;
    size_t n;
    uint8_t key[]; /* publisher, topic, event_id, a zero byte behind each */
};

void alk_event_dedup_init(struct alk_event_dedup *d, const struct alk_mem *mem,
                          const uint8_t seed[static 16])
{
    *d = (struct alk_event_dedup){.mem = mem};
    alk_map_init(&d->ids, mem, ALK_EVENT_DEDUP_MAX, seed);
    alk_list_init(&d->ages);
}

static void drop(struct alk_event_dedup *d, struct seen *s)
{
    alk_list_remove(&s->in);
    (void)alk_map_remove(&d->ids, alk_span(s->key, s->n));
    alk_free(d->mem, s);
}

void alk_event_dedup_fini(struct alk_event_dedup *d)
{
    struct alk_link *l;
    while ((l = alk_list_first(&d->ages)) != NULL) {
        drop(d, ALK_CONTAINER(l, struct seen, in));
    }
    alk_map_fini(&d->ids);
}

static bool is_old(const struct seen *s, uint64_t now_ms)
{
    if (s->time_ms <= now_ms) {
        return now_ms - s->time_ms >= ALK_EVENT_DEDUP_MS;
    }
    /* A clock that was set back makes them old too: better twice than never. */
    return s->time_ms - now_ms > ALK_EVENT_DEDUP_AHEAD_MS;
}

static void drop_old(struct alk_event_dedup *d, uint64_t now_ms)
{
    struct alk_link *l;
    while ((l = alk_list_first(&d->ages)) != NULL) {
        struct seen *s = ALK_CONTAINER(l, struct seen, in);
        if (!is_old(s, now_ms)) {
            return;
        }
        drop(d, s);
    }
}

static void put(struct seen *s, struct alk_span part)
{
    if (part.n > 0) {
        memcpy(s->key + s->n, part.p, part.n);
    }
    s->n += part.n;
    s->key[s->n++] = 0;
}

alk_err alk_event_dedup_note(struct alk_event_dedup *d, struct alk_span publisher,
                             struct alk_span topic, struct alk_span id, uint64_t now_ms,
                             uint64_t *ret_seq, uint64_t **ret_number)
{
    drop_old(d, now_ms);
    struct seen *s = alk_zalloc(d->mem, 1, sizeof(*s) + publisher.n + topic.n + id.n + 3);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    put(s, publisher);
    put(s, topic);
    put(s, id);
    const struct seen *known = alk_map_get(&d->ids, alk_span(s->key, s->n));
    if (known != NULL) {
        *ret_seq = known->seq;
        alk_free(d->mem, s);
        return ALK_OK;
    }
    alk_err err = alk_map_put(&d->ids, alk_span(s->key, s->n), s);
    if (err != ALK_OK) {
        alk_free(d->mem, s);
        return err;
    }
    s->time_ms = now_ms;
    alk_list_append(&d->ages, &s->in);
    *ret_number = &s->seq;
    return ALK_END;
}
