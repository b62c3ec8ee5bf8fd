/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connection of a node that stops: what is under way may end, nothing new begins, and
 * then the connection is closed, without waiting for a peer that asks nothing.
 *
 * drain -> nothing under way -> all that was said has arrived -> close (code 9)
 */
#include "call/peer.h"

#include "core/io/loop.h"
#include "core/stream.h"

/* Until it is asked again whether the last bytes have arrived. */
#define REST_STEP (10 * ALK_MS)

static bool is_idle(const struct alk_peer *peer)
{
    return alk_list_is_empty(&peer->requests) && alk_list_is_empty(&peer->calls) &&
           alk_list_is_empty(&peer->waiting);
}

static bool has_unsent(const struct alk_peer *peer)
{
    for (struct alk_link *e = alk_list_first(&peer->streams); e != NULL;
         e = alk_list_next(&peer->streams, e)) {
        const struct alk_peer_stream *ps = ALK_CONTAINER(e, struct alk_peer_stream, in);
        bool has_output = alk_call_output(peer->core, ps->id).n > 0;
        if (ps->stream != NULL && (has_output || alk_stream_tx_unacked(ps->stream) > 0)) {
            return true;
        }
    }
    return false;
}

static void close_peer(struct alk_peer *peer)
{
    peer->is_closing = true;
    /* Over TLS an end that is not stated would be a reset. */
    for (struct alk_link *e = alk_list_first(&peer->streams); e != NULL;
         e = alk_list_next(&peer->streams, e)) {
        struct alk_peer_stream *ps = ALK_CONTAINER(e, struct alk_peer_stream, in);
        if (ps->stream != NULL) {
            ps->is_finished = true;
            alk_stream_finish(ps->stream);
        }
    }
    alk_conn_close(peer->conn, ALK_CODE_SHUTDOWN, ALK_LIT("shutting down"));
}

static void on_rest(struct alk_timer *timer, void *ctx)
{
    struct alk_peer *peer = (struct alk_peer *)ctx;
    if (peer->conn == NULL || peer->is_closing || !is_idle(peer)) {
        return; /* if something is under way again, its end comes back here */
    }
    if (has_unsent(peer)) {
        alk_timer_set(peer->loop, timer, alk_loop_now(peer->loop) + REST_STEP);
        return;
    }
    close_peer(peer);
}

void alk_peer_drain(struct alk_peer *peer)
{
    peer->is_draining = true;
    peer->rest = (struct alk_timer){.fn = on_rest, .ctx = peer};
    alk_peer_drain_look(peer);
}

void alk_peer_drain_look(struct alk_peer *peer)
{
    if (peer->conn != NULL && peer->rest.at == 0 && is_idle(peer)) {
        alk_timer_set(peer->loop, &peer->rest, alk_loop_now(peer->loop));
    }
}
