/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams of a connection: where they begin and end, and what is to be sent on them. */
#include "call/proto/impl.h"

static struct alk_span key_of(const uint64_t *id)
{
    return alk_span(id, sizeof(*id));
}

/* Numbers of QUIC streams of one kind are four apart. */
static size_t near_at(uint64_t id)
{
    return (size_t)(id >> 2) % ALK_CALL_NEAR;
}

struct alk_call_stream *alk_call_stream_get(const struct alk_call_core *c, uint64_t id)
{
    struct alk_call_stream *s = c->near[near_at(id)];
    if (s != NULL && s->id == id) {
        return s;
    }
    return alk_map_get(&c->streams, key_of(&id));
}

/* Room in the list of dirty ones for every stream, so that writing cannot fail there. */
static alk_err grow_dirty(struct alk_call_core *c)
{
    if (c->streams.n < c->dirty_size) {
        return ALK_OK;
    }
    size_t size = c->dirty_size == 0 ? 8 : c->dirty_size * 2;
    void *p = alk_resize(c->mem, c->dirty, size * sizeof(struct alk_call_stream *));
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    c->dirty = p;
    c->dirty_size = size;
    return ALK_OK;
}

static struct alk_call_stream *take_spare(struct alk_call_core *c)
{
    struct alk_link *link = alk_list_pop(&c->spare);
    if (link == NULL) {
        return ALK_NEW(c->mem, struct alk_call_stream);
    }
    c->spare_n--;
    return ALK_CONTAINER(link, struct alk_call_stream, link);
}

static void free_stream(struct alk_call_core *c, struct alk_call_stream *s)
{
    alk_buf_fini(&s->in);
    alk_buf_fini(&s->out);
    alk_free(c->mem, s);
}

/* Cleared, and kept for the next one when there are few. */
static void put_spare(struct alk_call_core *c, struct alk_call_stream *s)
{
    if (c->spare_n >= ALK_CALL_KEEP_STREAMS || s->out.size > ALK_CALL_KEEP_BYTES ||
        s->in.size > ALK_CALL_KEEP_BYTES) {
        free_stream(c, s);
        return;
    }
    alk_buf_clear(&s->in);
    alk_buf_clear(&s->out);
    *s = (struct alk_call_stream){.in = s->in, .out = s->out};
    alk_list_append(&c->spare, &s->link);
    c->spare_n++;
}

alk_err alk_call_stream_add(struct alk_call_core *c, uint64_t id, struct alk_call_stream **ret)
{
    if (c->streams.n >= c->streams_max) {
        return ALK_E_LIMIT;
    }
    ALK_TRY(grow_dirty(c));
    struct alk_call_stream *s = take_spare(c);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    s->id = id;
    s->in.mem = c->mem;
    s->in.max = SIZE_MAX / 4; /* feed knows how long each frame is */
    s->out.mem = c->mem;
    s->out.max = c->out_limit;
    alk_list_init(&s->reqs);
    alk_err err = alk_map_put(&c->streams, key_of(&s->id), s);
    if (err != ALK_OK) {
        put_spare(c, s);
        return err;
    }
    c->near[near_at(id)] = s;
    *ret = s;
    return ALK_OK;
}

alk_err alk_call_open(struct alk_call_core *c, uint64_t stream)
{
    struct alk_call_stream *s;
    if (c->is_dead) {
        return ALK_E_STATE;
    }
    if (alk_call_stream_get(c, stream) != NULL) {
        return ALK_E_EXISTS;
    }
    return alk_call_stream_add(c, stream, &s);
}

/* Drops the bytes, and memory that is more than most frames need. */
static void empty(struct alk_buf *b)
{
    alk_buf_clear(b);
    if (b->size > ALK_CALL_KEEP_BYTES) {
        alk_buf_trim(b);
    }
}

/* --- output ---------------------------------------------------------------------- */

void alk_call_stream_wrote(struct alk_call_core *c, struct alk_call_stream *s)
{
    if (s->dirty_at == 0) {
        c->dirty[c->dirty_n++] = s;
        s->dirty_at = c->dirty_n;
    }
    c->unsent += alk_buf_len(&s->out) - s->unsent;
    s->unsent = alk_buf_len(&s->out);
}

/* The last one takes its place: what dirty() has still to come to lies below. */
static void clean(struct alk_call_core *c, struct alk_call_stream *s)
{
    if (s->dirty_at > 0) {
        struct alk_call_stream *last = c->dirty[--c->dirty_n];
        c->dirty[s->dirty_at - 1] = last;
        last->dirty_at = s->dirty_at;
        s->dirty_at = 0;
        c->unsent -= s->unsent;
        s->unsent = 0;
    }
}

struct alk_span alk_call_output(const struct alk_call_core *c, uint64_t stream)
{
    const struct alk_call_stream *s = alk_call_stream_get(c, stream);
    return s == NULL || s->dirty_at == 0 ? (struct alk_span){NULL, 0} : alk_buf_span(&s->out);
}

void alk_call_sent(struct alk_call_core *c, uint64_t stream, size_t n)
{
    struct alk_call_stream *s = alk_call_stream_get(c, stream);
    if (s == NULL || s->dirty_at == 0) {
        ALK_ASSERT(n == 0);
        return;
    }
    alk_buf_consume(&s->out, n);
    c->unsent -= n;
    s->unsent -= n;
    if (alk_buf_len(&s->out) == 0) {
        clean(c, s);
        empty(&s->out);
    }
}

bool alk_call_dirty(const struct alk_call_core *c, size_t *at, uint64_t *ret_stream)
{
    /* From the top down, because of how clean works. *at: place + 1 of the last one
     * that was told, where 0 is the start. */
    size_t left = *at == 0 || *at - 1 > c->dirty_n ? c->dirty_n : *at - 1;
    if (left == 0) {
        return false;
    }
    *ret_stream = c->dirty[left - 1]->id;
    *at = left;
    return true;
}

size_t alk_call_unsent(const struct alk_call_core *c, size_t *ret_streams)
{
    *ret_streams = c->dirty_n;
    return c->unsent;
}

bool alk_call_has_room(const struct alk_call_core *c, uint64_t stream)
{
    const struct alk_call_stream *s = alk_call_stream_get(c, stream);
    return s != NULL && !s->is_dead && !alk_call_is_full(c, s);
}

/* --- ends ------------------------------------------------------------------------- */

void alk_call_stream_drop_in(struct alk_call_core *c, struct alk_call_stream *s)
{
    c->partial -= s->reserved;
    s->reserved = 0;
    empty(&s->in);
}

/* Its requests are lost; side FREE: of both sides. */
static void lose_all(struct alk_call_core *c, struct alk_call_stream *s, enum alk_call_side side)
{
    struct alk_link *next = NULL;
    for (struct alk_link *l = alk_list_first(&s->reqs); l != NULL; l = next) {
        struct alk_call_req *r = ALK_CONTAINER(l, struct alk_call_req, link);
        next = alk_list_next(&s->reqs, l);
        if (side == ALK_CALL_SIDE_FREE || r->side == side) {
            alk_call_lose(c, r);
        }
    }
}

static void kill_stream(struct alk_call_core *c, struct alk_call_stream *s)
{
    s->is_dead = true;
    clean(c, s);
    empty(&s->out);
    lose_all(c, s, ALK_CALL_SIDE_FREE);
    if (c->held != s) {
        alk_call_stream_drop_in(c, s);
    }
}

void alk_call_break_stream(struct alk_call_core *c, struct alk_call_stream *s, alk_err why)
{
    s->why = why;
    kill_stream(c, s);
    alk_list_append(&c->broken, &s->link);
}

void alk_call_break_all(struct alk_call_core *c, alk_err why)
{
    size_t at = 0;
    struct alk_call_stream *s;
    c->is_dead = true;
    c->tells_dead = true;
    c->why = why;
    while ((s = alk_map_next(&c->streams, &at)) != NULL) {
        kill_stream(c, s);
    }
}

void alk_call_eof(struct alk_call_core *c, uint64_t stream)
{
    struct alk_call_stream *s = alk_call_stream_get(c, stream);
    if (s == NULL || s->is_dead || s->has_eof) {
        return;
    }
    s->has_eof = true;
    if (c->held != s && alk_buf_len(&s->in) > 0) {
        alk_call_break_stream(c, s, ALK_E_MALFORMED);
    } else {
        lose_all(c, s, ALK_CALL_SIDE_OUT);
    }
}

/* The event that waits may borrow from a stream that goes. What it was the end of is
 * lost instead. (A request that nobody has seen is not even told as lost.) */
static void drop_event(struct alk_call_core *c)
{
    struct alk_call_req *r = c->event_req;
    c->has_event = false;
    c->event_req = NULL;
    if (r->stream == NULL && r->is_forgotten) {
        alk_call_slot_free(c, r);
    } else if (r->stream == NULL) {
        alk_list_append(&c->lost, &r->link);
    }
}

void alk_call_close_stream(struct alk_call_core *c, uint64_t stream)
{
    struct alk_call_stream *s = alk_call_stream_get(c, stream);
    if (s == NULL) {
        return;
    }
    if (c->has_event && c->event.stream == stream && c->event.kind != ALK_CALL_REQUESTED) {
        drop_event(c);
    }
    if (c->held == s) {
        c->held = NULL;
    }
    kill_stream(c, s);
    alk_list_remove(&s->link);
    (void)alk_map_remove(&c->streams, key_of(&s->id));
    if (c->near[near_at(stream)] == s) {
        c->near[near_at(stream)] = NULL;
    }
    put_spare(c, s);
}

bool alk_call_is_idle(const struct alk_call_core *c, uint64_t stream)
{
    const struct alk_call_stream *s = alk_call_stream_get(c, stream);
    return s == NULL || s->live == 0;
}

void alk_call_streams_fini(struct alk_call_core *c)
{
    size_t at = 0;
    struct alk_call_stream *s;
    struct alk_link *link;
    while ((s = alk_map_next(&c->streams, &at)) != NULL) {
        free_stream(c, s);
    }
    while ((link = alk_list_pop(&c->spare)) != NULL) {
        free_stream(c, ALK_CONTAINER(link, struct alk_call_stream, link));
    }
    alk_map_fini(&c->streams);
    alk_free(c->mem, c->dirty);
}
