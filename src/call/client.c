/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A peer that dials. */
#include "call/peer.h"

#include "base/mem.h"

#include <string.h>

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct alk_peer *peer = (struct alk_peer *)ctx;

    alk_peer_enter(peer);
    peer->dial = NULL;
    alk_peer_attach(peer, conn, false);
    peer->client->opened(peer->client_ctx, peer);
    if (!peer->is_freed) {
        alk_peer_out_resume(peer);
    }
    (void)alk_peer_leave(peer);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct alk_peer *peer = (struct alk_peer *)ctx;

    alk_peer_enter(peer);
    peer->dial = NULL;
    peer->has_failed = true;
    alk_peer_out_detach(peer);
    if (!peer->is_freed) {
        peer->client->failed(peer->client_ctx, peer, err, message);
    }
    (void)alk_peer_leave(peer);
}

void alk_peer_on_new_stream(void *ctx, struct alk_stream *stream)
{
    struct alk_peer *peer = (struct alk_peer *)ctx;
    alk_err err = peer->is_freed ? ALK_E_CLOSED : alk_peer_on_stream(peer, stream);
    if (err != ALK_OK) {
        alk_stream_close(stream, alk_err_code(err));
    }
}

void alk_peer_on_new_credit(void *ctx)
{
    struct alk_peer *peer = (struct alk_peer *)ctx;
    if (!peer->is_freed) {
        alk_peer_on_credit(peer);
    }
}

void alk_peer_on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct alk_peer *peer = (struct alk_peer *)ctx;
    bool was_freed = peer->is_freed;

    alk_peer_enter(peer);
    peer->has_failed = true;
    alk_peer_detach(peer);
    if (!peer->is_freed && peer->client->closed != NULL) {
        peer->client->closed(peer->client_ctx, peer, why, code, reason);
    }
    if (was_freed) {
        peer->is_orphan = false; /* the connection's last call: nothing points here now */
    }
    (void)alk_peer_leave(peer);
}

static const struct alk_client_calls client_calls = {.opened = on_opened,
                                                     .failed = on_failed,
                                                     .stream = alk_peer_on_new_stream,
                                                     .credit = alk_peer_on_new_credit,
                                                     .closed = alk_peer_on_closed};

static alk_err copy_options(struct alk_peer *peer, const struct alk_peer_options *o)
{
    if (o->node != NULL) {
        peer->node = alk_identity_ref(o->node);
    }
    if (o->auth_token.n > 0) {
        peer->token = alk_strdup_span(peer->mem, o->auth_token);
        peer->token_n = o->auth_token.n;
    }
    return o->auth_token.n > 0 && peer->token == NULL ? ALK_E_NOMEM : ALK_OK;
}

alk_err alk_peer_adopt(struct alk_conn *conn, const struct alk_peer_options *options,
                       bool believes_caller, const struct alk_peer_calls *calls, void *ctx,
                       struct alk_peer **ret)
{
    const struct alk_peer_limits limits = {0};
    struct alk_peer *peer;

    ALK_TRY(alk_peer_new(options->mem, alk_conn_loop(conn), options->ops, &limits, &peer));
    peer->client = calls;
    peer->client_ctx = ctx;
    peer->believes_caller = believes_caller;
    alk_err err = copy_options(peer, options);
    if (err != ALK_OK) {
        alk_peer_free(peer);
        return err;
    }
    alk_peer_attach(peer, conn, false);
    *ret = peer;
    return ALK_OK;
}

alk_err alk_peer_dial(struct alk_loop *loop, const struct alk_dial_options *dial,
                      const struct alk_peer_options *options, const struct alk_peer_calls *calls,
                      void *ctx, struct alk_peer **ret)
{
    static const char *const alpns[] = {ALK_CALL_ALPN, NULL};
    struct alk_peer_options o = {0};
    struct alk_dial_options d = {0};
    struct alk_peer *peer;
    const struct alk_peer_limits limits = {0};

    memcpy(&o, options,
           options->struct_size == 0 || options->struct_size > sizeof o ? sizeof o
                                                                        : options->struct_size);
    memcpy(&d, dial,
           dial->struct_size == 0 || dial->struct_size > sizeof d ? sizeof d : dial->struct_size);
    d.struct_size = sizeof d;
    d.alpns = alpns;
    ALK_TRY(alk_peer_new(o.mem, loop, o.ops, &limits, &peer));
    peer->client = calls;
    peer->client_ctx = ctx;
    peer->believes_caller = d.pinned_key != NULL || d.pinned_cert != NULL;
    alk_err err = copy_options(peer, &o);
    if (err == ALK_OK) {
        err = alk_dial(loop, &d, &client_calls, peer, &peer->dial);
    }
    if (err != ALK_OK) {
        peer->has_failed = true;
        alk_peer_free(peer);
        return err;
    }
    *ret = peer;
    return ALK_OK;
}

struct alk_conn *alk_peer_conn(const struct alk_peer *peer)
{
    return peer->conn;
}

void alk_peer_close(struct alk_peer *peer)
{
    peer->is_closing = true;
    if (peer->depth == 0) {
        alk_peer_flush_now(peer);
    }
    if (peer->conn != NULL) {
        alk_conn_close(peer->conn, ALK_CODE_NONE, (struct alk_span){0});
    }
}

/* While the connection is open its last call still comes here: the memory waits for
 * that. */
void alk_peer_free(struct alk_peer *peer)
{
    if (peer == NULL || peer->is_freed) {
        return;
    }
    struct alk_conn *conn = peer->conn;
    peer->is_freed = true;
    peer->is_orphan = conn != NULL;
    if (peer->dial != NULL) {
        alk_dial_cancel(peer->dial);
        peer->dial = NULL;
    }
    alk_peer_enter(peer);
    alk_peer_detach(peer);
    if (conn != NULL) {
        alk_conn_close(conn, ALK_CODE_NONE, (struct alk_span){0});
    }
    (void)alk_peer_leave(peer);
}
