/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "call/peer.h"

#include "base/mem.h"
#include "core/io/loop.h"
#include "core/io/rand.h"

/* More than any transport grants at once. */
#define STREAMS_MAX   2048
/* Output is handed on when a stream has about so many bytes, or when the turn ends. Less
 * than ALK_CALL_KEEP_BYTES, so that buffers are not made anew; and of not more streams
 * than so many is there that much. */
#define FLUSH_BYTES   ((size_t)12288)
#define FLUSH_STREAMS ((size_t)32)

static void abort_broken(void *ctx);
static void flush_late(void *ctx);

/* --- life ----------------------------------------------------------------------- */

alk_err alk_peer_new(const struct alk_mem *mem, struct alk_loop *loop, struct alk_ops *ops,
                     const struct alk_peer_limits *limits, struct alk_peer **ret)
{
    struct alk_peer *peer = ALK_NEW(mem, struct alk_peer);
    if (peer == NULL) {
        return ALK_E_NOMEM;
    }
    peer->mem = mem;
    peer->loop = loop;
    peer->ops = ops;
    peer->frame_max = limits->frame_max == 0 ? ALK_CALL_FRAME_MAX : limits->frame_max;
    alk_list_init(&peer->streams);
    alk_list_init(&peer->dead);
    alk_list_init(&peer->requests);
    alk_list_init(&peer->calls);
    alk_list_init(&peer->waiting);
    peer->soon = (struct alk_soon){.fn = abort_broken, .ctx = peer};
    peer->late = (struct alk_late){.fn = flush_late, .ctx = peer};
    struct alk_call_options o = {
        .mem = mem, .frame_max = peer->frame_max, .in_max = limits->requests};
    struct alk_rand rand = alk_rand_system();
    alk_rand_fill(&rand, o.seed, sizeof o.seed);
    alk_map_init(&peer->by_id, mem, STREAMS_MAX, o.seed);
    alk_err err = alk_call_new(&o, &peer->core);
    if (err != ALK_OK) {
        alk_free(mem, peer);
        return err;
    }
    *ret = peer;
    return ALK_OK;
}

static void release(struct alk_peer *peer)
{
    alk_loop_soon_cancel(&peer->soon);
    if (peer->rest.at != 0) {
        alk_timer_stop(peer->loop, &peer->rest);
    }
    alk_call_free(peer->core);
    alk_map_fini(&peer->by_id);
    alk_identity_unref(peer->node);
    if (peer->token != NULL) {
        alk_free_secret(peer->mem, peer->token, peer->token_n);
    }
    alk_free(peer->mem, peer);
}

void alk_peer_enter(struct alk_peer *peer)
{
    peer->depth++;
}

static void drop_streams(struct alk_peer *peer)
{
    struct alk_link *e;
    while ((e = alk_list_first(&peer->dead)) != NULL) {
        struct alk_peer_stream *ps = ALK_CONTAINER(e, struct alk_peer_stream, dead);
        alk_list_remove(&ps->dead);
        alk_list_remove(&ps->in);
        alk_free(peer->mem, ps);
    }
}

static void flush_all(struct alk_peer *peer);

static bool is_much_unsent(const struct alk_peer *peer)
{
    size_t streams;
    size_t n = alk_call_unsent(peer->core, &streams);
    return n >= FLUSH_BYTES * (streams < FLUSH_STREAMS ? streams : FLUSH_STREAMS);
}

bool alk_peer_leave(struct alk_peer *peer)
{
    if (peer->depth == 1 && peer->needs_flush && peer->conn != NULL) {
        alk_hub_late(peer->conn->hub, &peer->late);
        if (is_much_unsent(peer)) {
            flush_all(peer); /* may start more work: still on the stack */
        }
    }
    if (peer->depth == 1 && peer->is_draining) {
        alk_peer_drain_look(peer);
    }
    ALK_ASSERT(peer->depth > 0);
    if (--peer->depth > 0) {
        return true;
    }
    drop_streams(peer);
    if (peer->is_freed && !peer->is_orphan) {
        release(peer);
        return false;
    }
    return true;
}

void alk_peer_attach(struct alk_peer *peer, struct alk_conn *conn, bool is_server)
{
    peer->conn = conn;
    peer->is_server = is_server;
    peer->loop = conn->hub->loop != NULL ? conn->hub->loop : peer->loop;
    alk_peer_on_auth(peer);
}

void alk_peer_on_auth(struct alk_peer *peer)
{
    size_t max = peer->frame_max;
    if (peer->conn == NULL) {
        return;
    }
    if (peer->is_server && alk_conn_auth(peer->conn)->identity == NULL &&
        max > ALK_CALL_FRAME_MAX_UNKNOWN) {
        max = ALK_CALL_FRAME_MAX_UNKNOWN;
    }
    alk_call_set_frame_max(peer->core, max);
    alk_peer_enter(peer);
    alk_peer_in_auth(peer);
    alk_offers_recheck(peer);
    (void)alk_peer_leave(peer);
}

static void forget_stream(struct alk_peer_stream *ps);

void alk_peer_detach(struct alk_peer *peer)
{
    alk_peer_enter(peer);
    peer->conn = NULL;
    alk_list_remove(&peer->late.in);
    for (struct alk_link *e = alk_list_first(&peer->streams); e != NULL;
         e = alk_list_next(&peer->streams, e)) {
        struct alk_peer_stream *ps = ALK_CONTAINER(e, struct alk_peer_stream, in);
        if (ps->stream != NULL) {
            alk_stream_on(ps->stream, NULL, NULL);
            forget_stream(ps);
        }
    }
    alk_offers_end(peer); /* first: no request is sent back to who has just left */
    alk_peer_in_detach(peer);
    alk_peer_out_detach(peer);
    (void)alk_peer_leave(peer);
}

void alk_peer_end(struct alk_peer *peer)
{
    alk_peer_enter(peer);
    alk_peer_detach(peer);
    peer->is_freed = true;
    (void)alk_peer_leave(peer);
}

/* --- streams -------------------------------------------------------------------- */

struct alk_peer_stream *alk_peer_find_stream(struct alk_peer *peer, uint64_t id)
{
    if (peer->recent == NULL || peer->recent->id != id) {
        peer->recent =
            (struct alk_peer_stream *)alk_map_get(&peer->by_id, alk_span(&id, sizeof id));
    }
    return peer->recent;
}

static void forget_stream(struct alk_peer_stream *ps)
{
    ps->stream = NULL;
    alk_list_append(&ps->peer->dead, &ps->dead);
    ps->peer->recent = NULL;
    (void)alk_map_remove(&ps->peer->by_id, alk_span(&ps->id, sizeof ps->id));
}

static void take_events(struct alk_peer *peer);

/* Nothing of it is used any more; what was under way on it is lost. */
static void stream_gone(struct alk_peer *peer, struct alk_peer_stream *ps)
{
    forget_stream(ps);
    alk_call_close_stream(peer->core, ps->id);
    take_events(peer);
}

static void stream_abort(struct alk_peer *peer, struct alk_peer_stream *ps, alk_err err)
{
    struct alk_stream *stream = ps->stream;
    if (stream != NULL) {
        stream_gone(peer, ps);
        alk_stream_close(stream, alk_err_code(err));
    }
}

void alk_peer_stream_rest(struct alk_peer *peer, uint64_t id)
{
    struct alk_peer_stream *ps = alk_peer_find_stream(peer, id);
    if (ps == NULL || ps->is_finished || !alk_call_is_idle(peer->core, id) ||
        alk_call_output(peer->core, id).n > 0) {
        return;
    }
    /* Ours ends with its last request, all others after they have ended it. */
    if (ps->has_end || (ps->is_ours && !ps->is_shared)) {
        ps->is_finished = true;
        alk_stream_finish(ps->stream);
    }
}

static void broken(struct alk_peer *peer, const struct alk_call_event *e)
{
    if (e->u.broken.is_connection) {
        if (peer->conn != NULL) {
            alk_conn_close(peer->conn, alk_err_code(e->u.broken.err),
                           alk_span_str(alk_err_text(e->u.broken.err)));
        }
        return;
    }
    struct alk_peer_stream *ps = alk_peer_find_stream(peer, e->stream);
    if (ps != NULL) {
        stream_abort(peer, ps, e->u.broken.err);
    }
}

static void take_event(struct alk_peer *peer, const struct alk_call_event *e)
{
    switch (e->kind) {
    case ALK_CALL_REQUESTED:
        alk_peer_in_requested(peer, e);
        break;
    case ALK_CALL_ABORTED:
        alk_peer_in_aborted(peer, e);
        break;
    case ALK_CALL_CREDIT:
        alk_peer_in_credit(peer, e);
        break;
    case ALK_CALL_LOST:
        if (e->u.lost.is_in) {
            alk_peer_in_lost(peer, e);
        } else {
            alk_peer_out_event(peer, e);
        }
        break;
    case ALK_CALL_RESPONDED:
    case ALK_CALL_COMPLETED:
    case ALK_CALL_FAILED:
        alk_peer_out_event(peer, e);
        break;
    case ALK_CALL_BROKEN:
        broken(peer, e);
        break;
    }
}

static void take_events(struct alk_peer *peer)
{
    struct alk_call_event e;
    while (!peer->is_freed && alk_call_next(peer->core, &e) == ALK_OK) {
        take_event(peer, &e);
    }
}

/* Moves what has arrived into the core. */
static void stream_read(struct alk_peer *peer, struct alk_peer_stream *ps)
{
    struct alk_span in;
    alk_err err = ALK_MORE;

    ps->is_paused = false;
    while (ps->stream != NULL && !peer->is_freed &&
           (err = alk_stream_peek(ps->stream, &in)) == ALK_OK) {
        size_t used = 0;
        if (alk_call_feed(peer->core, ps->id, in, &used) != ALK_OK) {
            stream_abort(peer, ps, ALK_E_NOMEM);
            return;
        }
        take_events(peer);
        if (ps->stream != NULL && used > 0) {
            alk_stream_consume(ps->stream, used);
        }
        if (used == 0) {
            ps->is_paused = true; /* until our output has been sent */
            return;
        }
    }
    if (ps->stream == NULL || peer->is_freed) {
        return;
    }
    if (err == ALK_END && !ps->has_end) {
        ps->has_end = true;
        alk_call_eof(peer->core, ps->id);
        take_events(peer);
        alk_peer_stream_rest(peer, ps->id);
    } else if (err == ALK_E_RESET) {
        stream_abort(peer, ps, ALK_E_STOPPED);
    }
}

/* Gives the transport what the core has for this stream. Nobody is called. */
static void stream_push(struct alk_peer *peer, struct alk_peer_stream *ps)
{
    struct alk_span out;
    if (ps->broken != ALK_OK) {
        return;
    }
    ps->is_full = false;
    while (ps->stream != NULL && (out = alk_call_output(peer->core, ps->id)).n > 0) {
        size_t took = 0;
        alk_err err = alk_stream_write(ps->stream, out, &took);
        if (took > 0) {
            alk_call_sent(peer->core, ps->id, took);
        }
        if (err == ALK_FULL) {
            ps->is_full = true;
            break;
        }
        if (err != ALK_OK) {
            /* Somebody who asks may be on the stack, and must not hear of an end in there. */
            ps->broken = err;
            ps->is_full = true;
            alk_loop_soon(peer->loop, &peer->soon);
            return;
        }
    }
}

static void stream_write(struct alk_peer *peer, struct alk_peer_stream *ps)
{
    stream_push(peer, ps);
    if (ps->broken != ALK_OK) {
        return;
    }
    if (ps->stream != NULL && !alk_list_is_empty(&ps->stuck) &&
        alk_call_has_room(peer->core, ps->id)) {
        alk_peer_in_room(peer, ps);
    }
}

static void abort_broken(void *ctx)
{
    struct alk_peer *peer = (struct alk_peer *)ctx;
    alk_peer_enter(peer); /* streams stay in the list until it is left */
    for (struct alk_link *e = alk_list_first(&peer->streams); e != NULL;
         e = alk_list_next(&peer->streams, e)) {
        struct alk_peer_stream *ps = ALK_CONTAINER(e, struct alk_peer_stream, in);
        if (ps->broken != ALK_OK) {
            stream_abort(peer, ps, ps->broken);
        }
    }
    (void)alk_peer_leave(peer);
}

static void flush_all(struct alk_peer *peer)
{
    uint64_t id;
    /* Bounded: what is answered meanwhile waits for the transport or the next event. */
    for (unsigned round = 0; round < 16 && peer->needs_flush && !peer->is_freed; round++) {
        size_t at = 0;
        peer->needs_flush = false;
        while (!peer->is_freed && alk_call_dirty(peer->core, &at, &id)) {
            struct alk_peer_stream *ps = alk_peer_find_stream(peer, id);
            if (ps == NULL || ps->is_full) {
                continue;
            }
            stream_write(peer, ps);
            if (ps->stream != NULL && ps->is_paused && alk_call_has_room(peer->core, id)) {
                stream_read(peer, ps);
            }
            alk_peer_stream_rest(peer, id);
        }
    }
}

void alk_peer_flush_now(struct alk_peer *peer)
{
    if (peer->conn != NULL) {
        alk_peer_enter(peer);
        flush_all(peer);
        (void)alk_peer_leave(peer);
    }
}

static void flush_late(void *ctx)
{
    alk_peer_flush_now((struct alk_peer *)ctx);
}

/* So that an answerer meets the transport's limit and not ours, however deep in the
 * stack it is. */
static void push_all(struct alk_peer *peer)
{
    size_t at = 0;
    uint64_t id;
    while (alk_call_dirty(peer->core, &at, &id)) {
        struct alk_peer_stream *ps = alk_peer_find_stream(peer, id);
        if (ps != NULL && !ps->is_full) {
            stream_push(peer, ps);
        }
    }
}

void alk_peer_flush(struct alk_peer *peer)
{
    peer->needs_flush = true;
    if (peer->conn == NULL) {
        return;
    }
    if (peer->depth == 0) {
        alk_peer_enter(peer);
        (void)alk_peer_leave(peer);
    } else if (is_much_unsent(peer)) {
        push_all(peer);
    }
}

static void on_event(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct alk_peer_stream *ps = (struct alk_peer_stream *)ctx;
    struct alk_peer *peer = ps->peer;
    (void)stream;

    if (ps->stream == NULL) {
        return;
    }
    alk_peer_enter(peer);
    if ((events & ALK_STREAM_WRITABLE) != 0) {
        ps->is_full = false;
        peer->needs_flush = true;
    }
    if ((events & ALK_STREAM_READABLE) != 0) {
        stream_read(peer, ps);
        peer->needs_flush = true;
    }
    if (ps->stream != NULL && (events & ALK_STREAM_CLOSED) != 0) {
        stream_gone(peer, ps);
    } else if (ps->stream != NULL && (events & ALK_STREAM_STOPPED) != 0) {
        stream_abort(peer, ps, ALK_E_STOPPED); /* nobody would read the answers */
    }
    (void)alk_peer_leave(peer);
}

static alk_err stream_add(struct alk_peer *peer, struct alk_stream *stream, bool is_ours,
                          bool is_shared, struct alk_peer_stream **ret)
{
    struct alk_peer_stream *ps = ALK_NEW(peer->mem, struct alk_peer_stream);
    if (ps == NULL) {
        return ALK_E_NOMEM;
    }
    ps->peer = peer;
    ps->stream = stream;
    ps->id = alk_stream_id(stream);
    ps->is_ours = is_ours;
    ps->is_shared = is_shared;
    alk_list_init(&ps->stuck);
    alk_err err = alk_map_put(&peer->by_id, alk_span(&ps->id, sizeof ps->id), ps);
    if (err == ALK_OK) {
        err = alk_call_open(peer->core, ps->id);
        if (err != ALK_OK) {
            (void)alk_map_remove(&peer->by_id, alk_span(&ps->id, sizeof ps->id));
        }
    }
    if (err != ALK_OK) {
        alk_free(peer->mem, ps);
        return err;
    }
    alk_list_prepend(&peer->streams, &ps->in); /* the newest are looked for most */
    alk_stream_on(stream, on_event, ps);
    *ret = ps;
    return ALK_OK;
}

alk_err alk_peer_on_stream(struct alk_peer *peer, struct alk_stream *stream)
{
    struct alk_peer_stream *ps;
    return stream_add(peer, stream, false, false, &ps);
}

static struct alk_peer_stream *shared_stream(struct alk_peer *peer, bool any)
{
    for (struct alk_link *e = alk_list_first(&peer->streams); e != NULL;
         e = alk_list_next(&peer->streams, e)) {
        struct alk_peer_stream *ps = ALK_CONTAINER(e, struct alk_peer_stream, in);
        if (ps->stream != NULL && !ps->is_finished && !ps->has_end && (any || ps->is_shared)) {
            return ps;
        }
    }
    return NULL;
}

/* Stream credit is out, and none is for all calls yet: from now on one of ours is, best
 * one whose reader keeps up. */
static struct alk_peer_stream *share_one(struct alk_peer *peer)
{
    struct alk_peer_stream *best = NULL;
    for (struct alk_link *e = alk_list_first(&peer->streams); e != NULL;
         e = alk_list_next(&peer->streams, e)) {
        struct alk_peer_stream *ps = ALK_CONTAINER(e, struct alk_peer_stream, in);
        bool fits = ps->stream != NULL && ps->is_ours && !ps->is_finished && !ps->has_end &&
                    ps->broken == ALK_OK;
        if (fits && (best == NULL || (best->is_full && !ps->is_full))) {
            best = ps;
        }
    }
    if (best != NULL) {
        best->is_shared = true;
    }
    return best;
}

alk_err alk_peer_out_stream(struct alk_peer *peer, bool wants_own, struct alk_peer_stream **ret)
{
    bool is_single = alk_conn_transport(peer->conn) == ALK_TRANSPORT_TLS;
    struct alk_peer_stream *ps = is_single || !wants_own ? shared_stream(peer, is_single) : NULL;
    struct alk_stream *stream;

    if (ps != NULL) {
        *ret = ps;
        return ALK_OK;
    }
    alk_err err = alk_conn_open_stream(peer->conn, NULL, NULL, &stream);
    peer->lacks_stream = err == ALK_FULL;
    if (err != ALK_OK) {
        /* Behind another's answers is better than not at all: subscriptions may hold all
         * streams for good. */
        ps = err == ALK_FULL ? shared_stream(peer, false) : NULL;
        ps = err == ALK_FULL && ps == NULL ? share_one(peer) : ps;
        *ret = ps == NULL ? *ret : ps;
        return ps == NULL ? err : ALK_OK;
    }
    err = stream_add(peer, stream, true, is_single || !wants_own, &ps);
    if (err != ALK_OK) {
        alk_stream_close(stream, ALK_CODE_INTERNAL);
        return err;
    }
    *ret = ps;
    return ALK_OK;
}

void alk_peer_on_credit(struct alk_peer *peer)
{
    alk_peer_enter(peer);
    alk_peer_out_resume(peer);
    (void)alk_peer_leave(peer);
}
