/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call/peer.h - one connection that speaks the call protocol: glue between alk_conn,
 * the pure core (call/proto/core.h) and the registry (ops/dispatch.h).
 *
 *   alk_stream --bytes--> core --events--> peer_in.c   requests of the other side
 *                                          peer_out.c  answers to ours
 *   alk_stream <--bytes-- core <--intents- both
 *
 * Callbacks of users may free the peer, drop calls, or make new ones: `depth` counts
 * how many frames of ours are on the stack, and freeing waits until it is zero.
 *
 * Threads: everything runs on the connection's loop.
 */
#ifndef ALK_CALL_PEER_H
#define ALK_CALL_PEER_H

#include "alknet/call.h"
#include "base/list.h"
#include "base/map.h"
#include "call/proto/core.h"
#include "core/conn.h"
#include "core/io/loop.h"
#include "ops/dispatch.h"
#include "ops/part.h"

/* Input bytes of live requests that one connection may hold here. */
#define ALK_PEER_IN_BYTES_MAX ((size_t)8 << 20)
/* Asked before `opened`, or waiting for stream credit. */
#define ALK_PEER_WAITING_MAX  1024
#define ALK_PEER_CREDIT       64

struct alk_peer_stream {
    struct alk_link in, dead; /* peer->streams, peer->dead */
    struct alk_peer *peer;
    struct alk_stream *stream; /* NULL: over, kept until nobody is on the stack */
    uint64_t id;
    struct alk_list stuck; /* requests of the other side that got ALK_FULL */
    bool is_ours;
    bool is_shared;   /* for all calls that do not want one of their own */
    bool has_end;     /* the other side has finished */
    bool is_finished; /* we have */
    bool is_paused;   /* the core did not take what is there */
    bool is_full;     /* the transport did not take our output */
    alk_err broken;   /* nor ever will: it is aborted soon. ALK_OK: not so */
};

/* A request of the other side. */
struct alk_peer_request {
    struct alk_link in;    /* peer->requests */
    struct alk_link stuck; /* stream->stuck; off-list when it is not waiting */
    struct alk_peer *peer;
    struct alk_call_ref ref;
    struct alk_request *request; /* NULL: its credential is being looked up */
    size_t bytes;                /* counted in peer->in_bytes */
    bool is_stuck;
    bool is_resolving;
    bool is_enrolling; /* its token is an invitation */
    bool is_over;      /* the wire has its terminal frame; kept until `resolve` has answered */
    /* The credential it came with, kept as long as the request may outlive a change of
     * rights. Secret. */
    char *token;
    size_t token_n;
    /* Copies, only while the credential is being looked up. */
    char *op;
    size_t op_n;
    char *input;
    size_t input_n;
    char *traceparent;
    size_t traceparent_n;
    uint64_t timeout_ms;
};

enum alk_call_state { ALK_CALL_WAITING, ALK_CALL_ASKED, ALK_CALL_OVER };

/* A call of ours. */
struct alk_call {
    struct alk_link in; /* peer->calls, or peer->waiting */
    struct alk_peer *peer;
    enum alk_call_state state;
    struct alk_call_ref ref;
    const struct alk_answers *answers;
    void *ctx;
    struct alk_timer timer;
    uint64_t credit, taken; /* window of a subscription; answers since it was last renewed */
    uint64_t timeout_ms;
    bool is_subscription, has_credit, has_own_stream;
    bool is_manual;    /* credit is renewed with alk_call_more alone */
    bool was_sent;     /* the request is in the core: it may reach the other side */
    bool is_cancelled; /* the other side was asked to stop */
    bool is_busy;      /* a call of its user is on the stack */
    bool is_dropped;   /* meanwhile: free it when the stack unwinds */
    /* Copies, only while waiting. */
    struct alk_call_ask ask;
    struct alk_buf text;
};

struct alk_peer {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    struct alk_conn *conn; /* NULL: not open yet, or closed */
    struct alk_call_core *core;
    struct alk_ops *ops;             /* NULL: serves nothing */
    const struct alk_identity *node; /* clients: a reference */
    struct alk_list streams, requests, calls, waiting;
    struct alk_list dead;           /* those streams that are over */
    struct alk_map by_id;           /* streams */
    struct alk_peer_stream *recent; /* of by_id, found last; or NULL */
    size_t waiting_count;
    size_t in_bytes;
    size_t frame_max;
    unsigned depth;
    bool is_server;
    bool is_freed;
    bool is_orphan; /* freed, and the connection has still to tell its end */
    bool is_closing;
    bool believes_caller; /* the other side was pinned: its `caller` is who asks */
    bool is_draining;     /* the node stops: nothing new is taken */
    bool needs_flush;
    struct alk_late late;  /* the flush, when what is pending has been delivered */
    bool lacks_stream;     /* stream credit is used up */
    struct alk_timer rest; /* looks whether a draining one can be closed */
    struct alk_soon soon;  /* aborts streams that are broken, with none of our users on the stack */

    char *token; /* of options; secret */
    size_t token_n;
    /* Clients. */
    struct alk_dial *dial;
    const struct alk_peer_calls *client;
    void *client_ctx;
    bool has_failed;
    /* What the other side offers here (offer.c); NULL: nothing. */
    struct alk_offers *offers;
};

/* --- peer.c -------------------------------------------------------------------- */

struct alk_peer_limits {
    size_t frame_max; /* with identity; without: ALK_CALL_FRAME_MAX_UNKNOWN at the most */
    unsigned requests;
};
/* conn may be NULL until alk_peer_attach. */
ALK_NODISCARD alk_err alk_peer_new(const struct alk_mem *mem, struct alk_loop *loop,
                                   struct alk_ops *ops, const struct alk_peer_limits *limits,
                                   struct alk_peer **ret);
void alk_peer_attach(struct alk_peer *peer, struct alk_conn *conn, bool is_server);
/* The connection's calls. */
alk_err alk_peer_on_stream(struct alk_peer *peer, struct alk_stream *stream);
void alk_peer_on_credit(struct alk_peer *peer);
void alk_peer_on_auth(struct alk_peer *peer);
/* Everything under way is lost; no use of the connection afterwards. */
void alk_peer_detach(struct alk_peer *peer);
/* The last call of a connection that this peer serves: the same, then it is freed. Its
 * calls hear of it. */
void alk_peer_end(struct alk_peer *peer);

/* A frame of ours goes on the stack, and off; off may free the peer: false then. */
void alk_peer_enter(struct alk_peer *peer);
bool alk_peer_leave(struct alk_peer *peer);
/* After intents: sends what the core has, together with what else comes in this turn.
 * Now: before the connection is closed. */
void alk_peer_flush(struct alk_peer *peer);
void alk_peer_flush_now(struct alk_peer *peer);
struct alk_peer_stream *alk_peer_find_stream(struct alk_peer *peer, uint64_t id);
/* The stream for a new call; without stream credit one of ours that others use. ALK_FULL:
 * nor is there one. */
ALK_NODISCARD alk_err alk_peer_out_stream(struct alk_peer *peer, bool wants_own,
                                          struct alk_peer_stream **ret);
/* Ends a stream that nothing is under way on. */
void alk_peer_stream_rest(struct alk_peer *peer, uint64_t id);

/* --- peer_drain.c --------------------------------------------------------------- */

/* The node stops: requests that come now are UNAVAILABLE, those under way may end, and the
 * connection is closed with code 9 when the last has and its answer has arrived. */
void alk_peer_drain(struct alk_peer *peer);
/* Something may have ended, of a draining one. */
void alk_peer_drain_look(struct alk_peer *peer);

/* --- client.c ------------------------------------------------------------------- */

/* A connection that somebody else has dialed: he passes on its calls to the three below
 * (ctx is the peer); calls->opened and ->failed are not used. */
ALK_NODISCARD alk_err alk_peer_adopt(struct alk_conn *conn, const struct alk_peer_options *options,
                                     bool believes_caller, const struct alk_peer_calls *calls,
                                     void *ctx, struct alk_peer **ret);
void alk_peer_on_new_stream(void *ctx, struct alk_stream *stream);
void alk_peer_on_new_credit(void *ctx);
void alk_peer_on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason);

/* --- peer_in.c ------------------------------------------------------------------ */

void alk_peer_in_requested(struct alk_peer *peer, const struct alk_call_event *e);
void alk_peer_in_aborted(struct alk_peer *peer, const struct alk_call_event *e);
void alk_peer_in_credit(struct alk_peer *peer, const struct alk_call_event *e);
void alk_peer_in_lost(struct alk_peer *peer, const struct alk_call_event *e);
/* The stream has room again. */
void alk_peer_in_room(struct alk_peer *peer, struct alk_peer_stream *ps);
void alk_peer_in_auth(struct alk_peer *peer);
void alk_peer_in_detach(struct alk_peer *peer);
/* The peer behind a request; NULL: it came another way. */
struct alk_peer *alk_peer_of_request(const struct alk_request *r);
/* The auth_token that a request came with; empty: it is the connection's. Secret;
 * borrows until the request is over. */
struct alk_span alk_peer_credential_of_request(const struct alk_request *r);
/* The auth_token of a request to auth/enroll, which is not resolved; else empty. */
struct alk_span alk_peer_token_of_request(const struct alk_request *r);

/* --- peer_out.c ----------------------------------------------------------------- */

void alk_peer_out_event(struct alk_peer *peer, const struct alk_call_event *e);
/* Sends what waited. */
void alk_peer_out_resume(struct alk_peer *peer);
void alk_peer_out_detach(struct alk_peer *peer);
/* As alk_peer_call, with what the public call does not have. */
struct alk_ask_more {
    struct alk_span caller; /* JSON; empty: none */
    bool without_token;     /* never the peer's own */
    bool manual_credit;     /* renewed with alk_call_more alone */
};
void alk_call_more(struct alk_call *call, uint64_t n);
ALK_NODISCARD alk_err alk_peer_ask(struct alk_peer *peer, const struct alk_ask *ask,
                                   const struct alk_ask_more *more,
                                   const struct alk_answers *answers, void *ctx,
                                   struct alk_call **ret);

/* --- offer.c -------------------------------------------------------------------- */

/* services/offer, with the rules of services.call.workers. */
extern const struct alk_conf_row alk_workers_rows[];
extern const struct alk_part alk_workers_part;
/* auth/enroll and auth/invite (enroll.c). */
extern const struct alk_part alk_enroll_part;
/* Identities or rules have changed: what may not be offered any more vanishes, and the
 * rest is open to whom the rules say now. */
void alk_offers_recheck(struct alk_peer *peer);
/* The worker has gone: its operations vanish. */
void alk_offers_end(struct alk_peer *peer);

#endif
