/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/conn.h - what all connections share, and the hub that delivers events.
 *
 * A transport embeds struct alk_conn, fills `auth`, and raises events as bits.
 * The hub (one per loop) delivers them to the handler after the transport has
 * returned, so no handler code ever runs inside a transport library's callback
 * and no two calls of one connection overlap.
 *
 *   transport --alk_conn_raise--> hub.ready --alk_hub_run--> handler
 *   handler --write/close/...--> ops->... (marks work) --> transport's flush
 *
 * A connection's life:
 *
 *   new -> [handshake] -> resolving -> open -> closed -> freed by the transport
 *
 * `resolving` waits for the identity provider; data waits in the streams. A
 * connection that closes before `open` was called gets no `close` call.
 */
#ifndef ALK_CORE_CONN_H
#define ALK_CORE_CONN_H

#include "alknet/endpoint.h"
#include "alknet/handler.h"
#include "base/map.h"
#include "core/addr.h"
#include "core/stream.h"

struct alk_hub;
struct alk_service;

/* Datagrams that wait for the handler, per connection. */
#define ALK_CONN_DATAGRAMS_MAX  64
/* And their bytes, until it is open. */
#define ALK_CONN_DATAGRAM_BYTES ((size_t)64 * 1024)
#define ALK_CONN_REASON_MAX     199 /* bytes of a close reason that are kept */

enum {
    ALK_CONN_HANDSHAKE = 1,       /* handshake complete: auth is filled */
    ALK_CONN_CONFIRMED = 2,       /* and confirmed: early data is over */
    ALK_CONN_CREDIT = 4,          /* stream credit after ALK_FULL */
    ALK_CONN_DATAGRAM = 8,        /* datagrams are queued */
    ALK_CONN_CLOSED = 16,         /* the end; close_err, close_code, close_reason are set */
    ALK_CONN_EARLY_REJECTED = 32, /* client: streams opened early are gone */
    ALK_CONN_AUTH = 64,           /* identity or rights changed */
    ALK_CONN_DRAIN = 128          /* drain with the hub's deadline */
};

/* What a transport does for its connections. All are called on the loop, outside
 * the transport's own callbacks, and only mark work: nothing is sent inside. */
struct alk_conn_ops {
    enum alk_transport transport;
    alk_err (*open_stream)(struct alk_conn *conn, struct alk_stream **ret);
    /* The stream has work: alk_stream_has_work. */
    void (*stream_dirty)(struct alk_stream *s);
    /* A stream that is gone and whose last event was delivered. */
    void (*stream_free)(struct alk_stream *s);
    alk_err (*datagram)(struct alk_conn *conn, struct alk_span data); /* NULL: none */
    size_t (*datagram_max)(const struct alk_conn *conn);              /* NULL: none */
    /* Starts closing; raises ALK_CONN_CLOSED at once, with ALK_OK. */
    void (*close)(struct alk_conn *conn, uint64_t code, struct alk_span reason);
    void (*stats)(const struct alk_conn *conn, struct alk_conn_stats *ret);
    /* auth.identity has changed: limits of the unknown may be lifted. May be NULL. */
    void (*identity_known)(struct alk_conn *conn);
    /* The hub has delivered the last call and let go of the connection: the
     * transport frees it (now, or after its closing period). */
    void (*release)(struct alk_conn *conn);
};

enum alk_conn_state {
    ALK_CONN_NEW,
    ALK_CONN_RESOLVING,
    ALK_CONN_OPEN,
    ALK_CONN_DONE /* close was delivered, or will never be */
};

struct alk_conn_datagram {
    struct alk_conn_datagram *next;
    size_t n;
    uint8_t data[];
};

struct alk_conn {
    uint32_t magic;
    const struct alk_conn_ops *ops;
    const struct alk_mem *mem;
    struct alk_hub *hub;
    struct alk_auth_context auth;
    struct alk_addr remote, local;
    uint64_t serial;
    bool is_server;

    /* Who handles it: set by the transport when the ALPN is known (server) or by
     * the dial (client). */
    const struct alk_handler *handler;
    struct alk_service *service; /* one reference; NULL for clients */
    void *service_state;         /* first argument of open */
    void *state;                 /* what open returned */
    /* Clients (core/io/dial): closed before `open`; early data was rejected. Called
     * by the hub like a handler's calls, with service_state. May be NULL. */
    void (*on_unopened)(void *service_state, struct alk_conn *conn);
    void (*on_early_rejected)(void *service_state);
    /* The transport has let go of it; last of all, nothing may be called any more. */
    void (*on_released)(void *service_state);

    enum alk_conn_state conn_state;
    unsigned pending;
    bool is_early_open; /* opened before the handshake was confirmed */
    bool is_confirmed;
    bool is_answered;   /* client, opened early: the node's part of the handshake is verified */
    bool is_closing;    /* ops->close was called or the peer closed */
    bool in_call;       /* a handler call is on the stack */
    unsigned resolving; /* questions to the provider that are under way; `end` waits */
    bool is_counted;    /* in the hub's per-address count */
    alk_err close_err;
    uint64_t close_code;
    char close_reason[ALK_CONN_REASON_MAX + 1];
    unsigned auth_failures;
    unsigned streams_open;
    alk_time made_at, opened_at;
    uint64_t counted_in, counted_out; /* bytes that the service's counters hold already */

    struct alk_list streams; /* all */
    struct alk_list ready;   /* streams with pending events */
    struct alk_conn_datagram *dgram_head, *dgram_tail;
    unsigned dgram_count;
    size_t dgram_bytes;
    uint64_t dgrams_dropped;
    uint64_t streams_opened;

    struct alk_link all;      /* hub->conns */
    struct alk_link ready_in; /* hub->ready */
};

/* The transport hands in zeroed memory. Adds it to the hub and gives it a serial
 * and a log id. */
void alk_conn_init(struct alk_conn *conn, const struct alk_conn_ops *ops, struct alk_hub *hub);
/* Frees what the shared part owns (streams must be gone) and leaves the hub. */
void alk_conn_fini(struct alk_conn *conn);
/* Marks events for delivery. */
void alk_conn_raise(struct alk_conn *conn, unsigned events);
/* The peer, the transport or a timer ended it; the first caller's reason stays. */
void alk_conn_raise_closed(struct alk_conn *conn, alk_err err, uint64_t code,
                           struct alk_span reason);
/* As alk_conn_resolve, about a credential that resolved before: a failure is no
 * failed login. */
void alk_conn_recheck(struct alk_conn *conn, const char *method, const struct alk_auth_query *query,
                      alk_auth_done_fn *done, void *ctx);
/* A credential of a handler's own kind did not resolve: counted and logged as by
 * alk_conn_resolve. */
void alk_conn_count_failure(struct alk_conn *conn, const char *method, const char *reason);
/* For the service's counter: not let in. */
void alk_conn_count_refused(struct alk_conn *conn);
/* Queues a datagram for the handler; dropped and counted when 64 wait. */
void alk_conn_rx_datagram(struct alk_conn *conn, struct alk_span data);

/* --- the hub ------------------------------------------------------------------ */

struct alk_auth_hooks {
    /* NULL: every peer is unknown. */
    const struct alk_identity_provider *provider;
    void *provider_ctx;
    /* One failed credential: the fixed log line and the counters. May be NULL. */
    void (*failed)(void *ctx, struct alk_conn *conn, const char *method, const char *reason);
    /* Lines for the audit log: opened, refused, closed. May be NULL. */
    void (*audit)(void *ctx, struct alk_conn *conn, const char *what, bool allowed);
    void (*log)(void *ctx, enum alk_log_level level, struct alk_conn *conn, const char *line);
    void *ctx;
};

/* Something to do once what is pending has been delivered: what many events add to is
 * handed on once. Zeroed but for fn and ctx; the owner takes it off its list
 * (alk_list_remove) before it goes. */
struct alk_late {
    struct alk_link in;
    void (*fn)(void *ctx);
    void *ctx;
};

struct alk_hub {
    const struct alk_mem *mem;
    struct alk_loop *loop; /* NULL in the simulation */
    uint64_t loop_id;
    alk_time now; /* set by the driver before each feed, tick and run */
    alk_time drain_deadline;
    struct alk_auth_hooks auth;
    /* Limits, from the newest configuration; 0: none. */
    unsigned streams_without_identity;
    unsigned conn_auth_failures;
    struct alk_list conns; /* all */
    struct alk_list ready; /* with pending events */
    struct alk_list late;
    struct alk_map by_serial; /* weak handles; a connection may be missing for want of memory */
    size_t conn_count;
    uint64_t next_serial;
    unsigned turn_budget; /* calls per alk_hub_run before it yields; 0: 4096 */
    bool is_draining;
};

void alk_hub_init(struct alk_hub *hub, const struct alk_mem *mem, uint64_t loop_id);
/* All connections must be gone. */
void alk_hub_fini(struct alk_hub *hub);
/* Delivers what is pending, then does what was to be done late. True: there is more. */
bool alk_hub_run(struct alk_hub *hub);
bool alk_hub_has_work(const struct alk_hub *hub);
/* In this turn, or the next when it is asked for by something late. On the hub's loop;
 * a second time before it was done makes no difference. */
void alk_hub_late(struct alk_hub *hub, struct alk_late *late);
/* A new generation of identities is in force: resolves every connection's
 * credential again; revoked ones are closed with code 8, changed ones hear
 * auth_changed. */
void alk_hub_auth_changed(struct alk_hub *hub);
/* Tells every connection to finish before `deadline`. */
void alk_hub_drain(struct alk_hub *hub, alk_time deadline);
/* Closes every connection, or those of one service (NULL: all). */
void alk_hub_close_all(struct alk_hub *hub, const struct alk_service *service, uint64_t code);
struct alk_conn *alk_hub_find(struct alk_hub *hub, uint64_t serial);

#endif
