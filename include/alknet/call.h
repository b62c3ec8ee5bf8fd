/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/call.h - the call protocol (alknet/call): serving operations to peers, calling
 * those of a node, offering operations to a node as a worker.
 *
 *     alk_router_add(alk_endpoint_router(ep), &alk_call_handler, NULL);   a node
 *
 *     struct alk_peer *peer;                                              a client
 *     alk_peer_dial(loop, &dial_options, &peer_options, &calls, ctx, &peer);
 *     alk_peer_call(peer, &(struct alk_ask){.struct_size = sizeof(struct alk_ask),
 *                   .op = "fs/read", .input = input}, &answers, ctx, &call);
 *
 * A peer is one connection that speaks the protocol, from either side: both may call.
 * It works over any alk_conn: QUIC, TLS, WebTransport, memory. Everything belongs to
 * the connection's loop.
 */
#ifndef ALKNET_CALL_H
#define ALKNET_CALL_H

#include "alknet/client.h"
#include "alknet/handler.h"
#include "alknet/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ALK_CALL_ALPN "alknet/call"

/* Serves alk_env.ops to every peer. */
ALK_API extern const struct alk_handler alk_call_handler;

struct alk_peer;
struct alk_call;

/* --- a client ----------------------------------------------------------------- */

struct alk_peer_options {
    size_t struct_size;
    const struct alk_mem *mem;
    struct alk_ops *ops;             /* what we serve to the other side; NULL: nothing */
    const struct alk_identity *node; /* whom we take the other side for in ops' rules, once
                                      * the connection is open; NULL: nobody */
    struct alk_span auth_token;      /* sent with every call; copied, wiped on free */
};
struct alk_peer_calls {
    /* Exactly one of opened and failed comes first, as in alk_client_calls; closed comes
     * after opened, once and last; all calls under way have ended before it. */
    void (*opened)(void *ctx, struct alk_peer *peer);
    void (*failed)(void *ctx, struct alk_peer *peer, alk_err err, const char *message);
    void (*closed)(void *ctx, struct alk_peer *peer, alk_err why, uint64_t code,
                   struct alk_span reason);
};
/* Dials with ALPN alknet/call (dial->alpns is not looked at). The peer is freed with
 * alk_peer_free, in or after failed or closed, or at any time before. */
ALK_NODISCARD ALK_API alk_err alk_peer_dial(struct alk_loop *loop,
                                            const struct alk_dial_options *dial,
                                            const struct alk_peer_options *options,
                                            const struct alk_peer_calls *calls, void *ctx,
                                            struct alk_peer **ret);
/* The connection, between opened and closed; else NULL. */
ALK_API struct alk_conn *alk_peer_conn(const struct alk_peer *peer);
/* Ends everything; no further call of this peer or its calls. Allowed inside any of its
 * callbacks. */
ALK_API void alk_peer_free(struct alk_peer *peer);
/* Orderly: closes the connection; `closed` follows. */
ALK_API void alk_peer_close(struct alk_peer *peer);

/* --- calling ------------------------------------------------------------------ */

struct alk_ask {
    size_t struct_size;
    const char *op;        /* "fs/read" */
    struct alk_span input; /* JSON text; empty: none. Checked: ALK_E_MALFORMED */
    uint64_t timeout_ms;   /* 0: the answerer's; we wait a second longer */
    bool is_subscription;
    uint64_t credit;            /* of a subscription: answers in flight; the library gives more
                            * as they are taken. 0: 64. ALK_NEVER: none, the stream's own
                            * backpressure rules */
    struct alk_span auth_token; /* instead of the peer's; empty: the peer's */
    struct alk_span traceparent;
    bool wants_own_stream; /* not behind the answers of other calls. Subscriptions have one
                            * anyway; a connection with one stream has no other */
};
struct alk_answers {
    /* The answer of a call, or one of a subscription: JSON text that borrows until the
     * call returns. May be NULL. */
    void (*responded)(void *ctx, struct alk_call *call, struct alk_span output);
    /* Last, exactly once, unless alk_call_drop came first; never inside alk_peer_call.
     * code NULL: success. Codes of our own: TIMEOUT (no answer in time), UNAVAILABLE (the
     * connection or stream is gone). */
    void (*ended)(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                  bool is_retryable, struct alk_span details);
};
/* Before `opened` it waits for it. ALK_E_CLOSED; ALK_FULL: too much unsent, try again
 * when something ended; ALK_E_LIMIT; ALK_E_TOO_BIG; ALK_E_MALFORMED; ALK_E_NOMEM. */
ALK_NODISCARD ALK_API alk_err alk_peer_call(struct alk_peer *peer, const struct alk_ask *ask,
                                            const struct alk_answers *answers, void *ctx,
                                            struct alk_call **ret);
/* Asks the other side to stop; `ended` follows (ABORTED, or what was faster). */
ALK_API void alk_call_cancel(struct alk_call *call);
/* The same, and no further call for it; the handle is gone. */
ALK_API void alk_call_drop(struct alk_call *call);

/* --- offering (worker) ---------------------------------------------------------- */

/* Offers everything in the peer's ops under `namespace` that is not internal to the
 * node at the other end, and goes on serving it until the connection ends. `ended` as
 * of a call of services/offer. */
ALK_NODISCARD ALK_API alk_err alk_peer_offer(struct alk_peer *peer, const char *name_space,
                                             const struct alk_answers *answers, void *ctx,
                                             struct alk_call **ret);

#ifdef __cplusplus
}
#endif

#endif
