/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "call/proto/impl.h"

enum { CHUNK = 16 };

static struct alk_call_req *at(const struct alk_call_core *c, uint32_t slot)
{
    return &c->chunks[slot / CHUNK][slot % CHUNK];
}

/* One chunk more, its slots on the free list with the lowest first. */
static alk_err grow(struct alk_call_core *c)
{
    if (c->chunk_n == c->chunk_size) {
        size_t size = c->chunk_size == 0 ? 4 : c->chunk_size * 2;
        void *p = alk_resize(c->mem, c->chunks, size * sizeof(struct alk_call_req *));
        if (p == NULL) {
            return ALK_E_NOMEM;
        }
        c->chunks = p;
        c->chunk_size = size;
    }
    struct alk_call_req *chunk = alk_zalloc(c->mem, CHUNK, sizeof(*chunk));
    if (chunk == NULL) {
        return ALK_E_NOMEM;
    }
    uint32_t first = (uint32_t)(c->chunk_n * CHUNK);
    for (uint32_t i = CHUNK; i-- > 0;) {
        chunk[i].slot = first + i;
        chunk[i].serial = 1;
        chunk[i].next_free = c->free_slot;
        c->free_slot = first + i + 1;
    }
    c->chunks[c->chunk_n++] = chunk;
    return ALK_OK;
}

alk_err alk_call_slot_take(struct alk_call_core *c, enum alk_call_side side,
                           struct alk_call_stream *s, struct alk_call_req **ret)
{
    if (c->free_slot == 0) {
        ALK_TRY(grow(c));
    }
    struct alk_call_req *r = at(c, c->free_slot - 1);
    c->free_slot = r->next_free;
    r->side = side;
    r->stream = s;
    r->stream_id = s->id;
    alk_list_append(&s->reqs, &r->link);
    s->live++;
    if (side == ALK_CALL_SIDE_IN) {
        c->in_n++;
    } else {
        c->out_n++;
    }
    *ret = r;
    return ALK_OK;
}

/* Off the list of its stream, and its id is free again. */
static void unlink_req(struct alk_call_core *c, struct alk_call_req *r)
{
    alk_list_remove(&r->link);
    if (r->stream == NULL) {
        return;
    }
    r->stream->live--;
    r->stream = NULL;
    if (r->side == ALK_CALL_SIDE_IN) {
        (void)alk_map_remove_hashed(&c->in_ids, alk_span(r->id, r->id_n), r->id_hash);
        c->in_n--;
    } else {
        c->out_n--;
    }
}

void alk_call_slot_free(struct alk_call_core *c, struct alk_call_req *r)
{
    unlink_req(c, r);
    if (c->event_req == r) {
        c->event_req = NULL;
        c->has_event = false;
    }
    uint32_t serial = r->serial == UINT32_MAX ? 1 : r->serial + 1;
    *r = (struct alk_call_req){.slot = r->slot, .serial = serial, .next_free = c->free_slot};
    c->free_slot = r->slot + 1;
}

void alk_call_lose(struct alk_call_core *c, struct alk_call_req *r)
{
    bool is_waiting = c->has_event && c->event_req == r;
    if (r->is_forgotten || (is_waiting && c->event.kind == ALK_CALL_REQUESTED)) {
        alk_call_slot_free(c, r);
        return;
    }
    unlink_req(c, r);
    if (!is_waiting || !c->ends_req) { /* else the event that waits is its end */
        alk_list_append(&c->lost, &r->link);
    }
}

struct alk_call_req *alk_call_slot_get(const struct alk_call_core *c, struct alk_call_ref ref)
{
    if (ref.slot / CHUNK >= c->chunk_n) {
        return NULL;
    }
    struct alk_call_req *r = at(c, ref.slot);
    return r->side != ALK_CALL_SIDE_FREE && r->serial == ref.serial ? r : NULL;
}

void alk_call_slots_fini(struct alk_call_core *c)
{
    for (size_t i = 0; i < c->chunk_n; i++) {
        alk_free(c->mem, c->chunks[i]);
    }
    alk_free(c->mem, c->chunks);
}

/* --- our ids --------------------------------------------------------------------- */

static size_t put_hex(uint32_t v, uint8_t *end)
{
    size_t n = 0;
    do {
        end[-(ptrdiff_t)++n] = (uint8_t) "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v != 0);
    return n;
}

struct alk_span alk_call_our_id(const struct alk_call_req *r,
                                uint8_t room[static ALK_CALL_OUR_ID_MAX])
{
    uint8_t *end = room + ALK_CALL_OUR_ID_MAX;
    size_t n = put_hex(r->serial, end);
    end[-(ptrdiff_t)++n] = '.';
    n += put_hex(r->slot, end - n);
    return alk_span(end - n, n);
}

/* Lower case, no leading zero: an id has one spelling. */
static bool get_hex(struct alk_span s, uint32_t *ret)
{
    uint32_t v = 0;
    if (s.n == 0 || s.n > 8 || (s.p[0] == '0' && s.n > 1)) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        uint8_t d = s.p[i];
        if (d >= '0' && d <= '9') {
            d = (uint8_t)(d - '0');
        } else if (d >= 'a' && d <= 'f') {
            d = (uint8_t)(d - 'a' + 10);
        } else {
            return false;
        }
        v = v << 4 | d;
    }
    *ret = v;
    return true;
}

struct alk_call_req *alk_call_by_our_id(const struct alk_call_core *c, struct alk_span id)
{
    struct alk_call_ref ref;
    struct alk_span slot = alk_span_cut(&id, '.');
    if (!get_hex(slot, &ref.slot) || !get_hex(id, &ref.serial)) {
        return NULL;
    }
    struct alk_call_req *r = alk_call_slot_get(c, ref);
    return r != NULL && r->side == ALK_CALL_SIDE_OUT && r->stream != NULL ? r : NULL;
}
