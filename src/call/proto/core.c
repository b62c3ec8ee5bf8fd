/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "call/proto/impl.h"

enum { IN_MAX = 1024, OUT_MAX = 4096, STREAMS_MAX = 1100 };
#define OUT_HIGH    ((size_t)262144)
#define OUT_HARD    ((size_t)4 << 20)
#define PARTIAL_MAX ((size_t)16 << 20)

static size_t or_default(size_t v, size_t otherwise)
{
    return v == 0 ? otherwise : v;
}

static void set_limits(struct alk_call_core *c, const struct alk_call_options *o)
{
    c->frame_max = or_default(o->frame_max, ALK_CALL_FRAME_MAX);
    c->partial_max = or_default(o->partial_max, PARTIAL_MAX);
    c->in_max = (unsigned)or_default(o->in_max, IN_MAX);
    c->out_max = (unsigned)or_default(o->out_max, OUT_MAX);
    c->streams_max = (unsigned)or_default(o->streams_max, STREAMS_MAX);
    c->out_high = or_default(o->out_high, OUT_HIGH);
    c->out_hard = or_default(o->out_hard, OUT_HARD);
    if (c->out_hard < c->out_high) {
        c->out_hard = c->out_high;
    }
    /* Beyond out_hard come the last words of requests alone: one frame for each, and
     * one for a request that was refused. */
    uint64_t last = ((uint64_t)c->in_max + c->out_max + 1) * ALK_CALL_LAST_MAX;
    uint64_t limit = last + c->out_hard;
    c->out_limit = limit > SIZE_MAX / 4 ? SIZE_MAX / 4 : (size_t)limit;
}

alk_err alk_call_new(const struct alk_call_options *options, struct alk_call_core **ret)
{
    struct alk_call_core *c = ALK_NEW(options->mem, struct alk_call_core);
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    c->mem = options->mem;
    set_limits(c, options);
    alk_map_init(&c->streams, c->mem, c->streams_max, options->seed);
    alk_map_init(&c->in_ids, c->mem, c->in_max, options->seed);
    alk_buf_init(&c->text, c->mem, SIZE_MAX / 4);
    alk_list_init(&c->spare);
    alk_list_init(&c->lost);
    alk_list_init(&c->broken);
    *ret = c;
    return ALK_OK;
}

void alk_call_free(struct alk_call_core *c)
{
    if (c == NULL) {
        return;
    }
    alk_call_streams_fini(c);
    alk_call_slots_fini(c);
    alk_map_fini(&c->in_ids);
    alk_buf_fini_secret(&c->text); /* tokens */
    alk_free(c->mem, c);
}

void alk_call_set_frame_max(struct alk_call_core *c, size_t frame_max)
{
    c->frame_max = or_default(frame_max, ALK_CALL_FRAME_MAX);
}

/* --- events ------------------------------------------------------------------------ */

alk_err alk_call_text_begin(struct alk_call_core *c, size_t n)
{
    alk_buf_clear(&c->text);
    if (c->text.size > ALK_CALL_KEEP_BYTES && n <= ALK_CALL_KEEP_BYTES) {
        alk_buf_trim(&c->text);
    }
    if (n <= c->text.size) {
        return ALK_OK;
    }
    return alk_buf_reserve(&c->text, n) == NULL ? ALK_E_NOMEM : ALK_OK;
}

bool alk_call_decode(struct alk_call_core *c, struct alk_span raw, struct alk_span *ret)
{
    struct alk_buf *b = &c->text;
    uint8_t *room = b->p + b->end;
    if (alk_json_text(raw, room, b->size - b->end, ret) != ALK_OK) {
        return false;
    }
    if (ret->p == room) {
        alk_buf_added(b, ret->n);
    }
    return true;
}

struct alk_call_event *alk_call_event_new(struct alk_call_core *c, enum alk_call_event_kind kind,
                                          struct alk_call_stream *s, struct alk_call_req *r)
{
    ALK_ASSERT(!c->has_event);
    c->has_event = true;
    c->event_req = r;
    c->ends_req = false;
    c->event.kind = kind;
    c->event.stream = s->id;
    c->event.ref = alk_call_ref_of(r);
    return &c->event;
}

/* The event of a frame. False: nobody wants it any more. */
static bool take_event(struct alk_call_core *c, struct alk_call_event *ret)
{
    struct alk_call_req *r = c->event_req;
    bool is_wanted = !r->is_forgotten;
    if (is_wanted) {
        *ret = c->event;
        ret->user = r->user;
    }
    c->has_event = false;
    c->event_req = NULL;
    if (c->ends_req) {
        alk_call_slot_free(c, r);
    }
    return is_wanted;
}

/* False: nothing broke. */
static bool take_broken(struct alk_call_core *c, struct alk_call_event *ret)
{
    if (c->tells_dead) {
        c->tells_dead = false;
        *ret = (struct alk_call_event){.kind = ALK_CALL_BROKEN,
                                       .u.broken = {.err = c->why, .is_connection = true}};
        return true;
    }
    struct alk_link *l = alk_list_pop(&c->broken);
    if (l == NULL) {
        return false;
    }
    const struct alk_call_stream *s = ALK_CONTAINER(l, struct alk_call_stream, link);
    *ret = (struct alk_call_event){
        .kind = ALK_CALL_BROKEN, .stream = s->id, .u.broken = {.err = s->why}};
    return true;
}

/* False: nothing was lost. */
static bool take_lost(struct alk_call_core *c, struct alk_call_event *ret)
{
    struct alk_link *l = alk_list_pop(&c->lost);
    if (l == NULL) {
        return false;
    }
    struct alk_call_req *r = ALK_CONTAINER(l, struct alk_call_req, link);
    *ret = (struct alk_call_event){.kind = ALK_CALL_LOST,
                                   .stream = r->stream_id,
                                   .ref = alk_call_ref_of(r),
                                   .user = r->user,
                                   .u.lost.is_in = r->side == ALK_CALL_SIDE_IN};
    alk_call_slot_free(c, r);
    return true;
}

void alk_call_drop_held(struct alk_call_core *c)
{
    if (c->held != NULL && !c->has_event) {
        alk_call_stream_drop_in(c, c->held);
        c->held = NULL;
    }
}

alk_err alk_call_next(struct alk_call_core *c, struct alk_call_event *ret)
{
    if (c->has_event && take_event(c, ret)) {
        return ALK_OK;
    }
    alk_call_drop_held(c);
    if (take_broken(c, ret) || take_lost(c, ret)) {
        return ALK_OK;
    }
    return ALK_MORE;
}

/* --- requests ----------------------------------------------------------------------- */

void alk_call_set_user(struct alk_call_core *c, struct alk_call_ref ref, void *user)
{
    struct alk_call_req *r = alk_call_slot_get(c, ref);
    if (r != NULL) {
        r->user = user;
    }
}

void *alk_call_user(const struct alk_call_core *c, struct alk_call_ref ref)
{
    const struct alk_call_req *r = alk_call_slot_get(c, ref);
    return r == NULL ? NULL : r->user;
}

bool alk_call_stream_of(const struct alk_call_core *c, struct alk_call_ref ref, uint64_t *ret)
{
    const struct alk_call_req *r = alk_call_slot_get(c, ref);
    if (r == NULL || r->stream == NULL) {
        return false;
    }
    *ret = r->stream_id;
    return true;
}
