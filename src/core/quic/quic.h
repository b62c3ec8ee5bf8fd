/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/quic/quic.h - all QUIC connections of one loop as a value machine.
 *
 * Datagrams and time in; datagrams, events (through the hub) and a deadline out.
 * No sockets, no clock, no randomness of its own, so that client and server run
 * against each other in one process in virtual time. Server and client
 * connections share it; ngtcp2 does the protocol, GnuTLS the handshake
 * (core/tls/session). Recipes and traps: reference/quic.md §§4-9.
 *
 * Connection IDs are ALK_QUIC_CID_LEN bytes; the first names the loop, the rest
 * is random. Unknown IDs of living loops are never answered with a reset.
 */
#ifndef ALK_CORE_QUIC_QUIC_H
#define ALK_CORE_QUIC_QUIC_H

#include "base/rand.h"
#include "core/conn.h"
#include "core/tls/session.h"

#define ALK_QUIC_CID_LEN        16
#define ALK_QUIC_BATCH ((size_t)65507) /* bytes of one GSO batch: UDP over IPv4 has no more */
#define ALK_QUIC_BATCH_SEGMENTS 64
/* Of limits whose 0 means the default. */
#define ALK_QUIC_RETRY_ALWAYS   SIZE_MAX
#define ALK_QUIC_RESETS_NONE    UINT64_MAX

/* Changed by a reload; new connections use the new values. 0: the default. */
struct alk_quic_limits {
    size_t connections;         /* established, per loop */
    size_t connections_per_ip;  /* of a proved address (IPv6 /64), per loop; from half as
                                   * many unproved ones on Retry is asked */
    size_t handshakes;          /* unfinished, per loop */
    size_t retry_above;         /* unfinished handshakes from which Retry is asked, or
                                   * ALK_QUIC_RETRY_ALWAYS */
    uint64_t resets_per_second; /* stateless resets, or ALK_QUIC_RESETS_NONE */
    alk_time handshake_timeout;
    alk_time idle_timeout;
    alk_time keep_alive; /* ALK_NEVER: none (servers) */
    uint64_t streams;    /* concurrent, per connection, opened by the peer */
    uint64_t streams_without_identity;
    uint64_t stream_window;     /* initial; autotuned up to the maximum */
    uint64_t stream_window_max; /* at most half of the connection's */
    uint64_t conn_window;       /* from the start: limits.memory_per_connection */
    size_t datagram_max;        /* 0: 65535; 1: no datagrams */
    size_t memory;              /* all buffers of this loop; shed above */
};

struct alk_quic_options {
    const struct alk_mem *mem;
    struct alk_rand rand;
    struct alk_hub *hub;
    uint8_t loop_id;
    /* Derived from the node secret with the same labels on every loop. */
    uint8_t reset_key[32], retry_key[32], token_key[32];
    struct alk_tls_server *server; /* NULL: client only */
    struct alk_tls_loop *tls_loop; /* borrowed */
    struct alk_quic_limits limits;
    size_t mtu;              /* fixed UDP payload size (tests); 0: what the path carries,
                                    * found by probes, from 1200 to 16336 */
    uint32_t prefer_version; /* server: 0: QUIC v1 before v2 */
    bool no_gso;             /* one packet per batch */
    /* qlog of each connection; NULL: none. write with is_end closes it. */
    void (*qlog)(void *ctx, struct alk_conn *conn, struct alk_span data, bool is_end);
    void *qlog_ctx;
    /* Whether an address may connect; NULL: all may. Asked for each first packet. Not
     * ALK_OK: refused; ALK_E_FORBIDDEN (locked out after failed logins) is said with
     * the TLS alert access_denied. */
    alk_err (*admit)(void *ctx, const struct alk_addr *remote);
    void *admit_ctx;
    /* Places that are shared with other loops and transports: enter for each
     * connection of a peer's that has proved its address, by a token or the handshake
     * (false: none is left), leave once for each true. NULL: our own limits alone. */
    bool (*enter)(void *ctx, const struct alk_addr *remote);
    void (*leave)(void *ctx, const struct alk_addr *remote);
    void *gate_ctx;
    /* Whether the loop of that id (not ours) still lives; NULL: none does. */
    bool (*is_loop_alive)(void *ctx, uint8_t loop_id);
    void *loops_ctx;
};

struct alk_quic;
ALK_NODISCARD alk_err alk_quic_new(const struct alk_quic_options *options, alk_time now,
                                   struct alk_quic **ret);
/* Drops every connection silently; streams and handlers get their last calls
 * first if the hub is run after alk_quic_abort_all. */
void alk_quic_free(struct alk_quic *q);
/* Ends every connection silently with ALK_CODE_SHUTDOWN; run the hub afterwards. */
void alk_quic_abort_all(struct alk_quic *q);

/* For new connections from now on; the old server is unreferenced. */
void alk_quic_set_server(struct alk_quic *q, struct alk_tls_server *server);
void alk_quic_set_limits(struct alk_quic *q, const struct alk_quic_limits *limits);
/* false: Initials of unknown connections get CONNECTION_REFUSED (drain). */
void alk_quic_set_accepting(struct alk_quic *q, bool is_accepting);

/* One UDP datagram (one segment of a GRO super-packet), as it arrived. `data` may
 * be changed in place. ecn: the two bits. */
void alk_quic_feed(struct alk_quic *q, const struct alk_addr *local, const struct alk_addr *remote,
                   uint8_t ecn, struct alk_span data, alk_time now);
/* The loop whose connection ID the datagram carries: ours (also for IDs chosen by
 * a client and for what cannot be told), or that of the loop to hand it to. */
uint8_t alk_quic_owner(const struct alk_quic *q, struct alk_span datagram);

struct alk_quic_batch {
    struct alk_addr local, remote;
    uint8_t ecn;
    size_t segment;  /* all packets but the last have this size */
    size_t n;        /* bytes in buf */
    uint64_t serial; /* of the connection; 0: none. For alk_quic_too_big */
    uint8_t *buf;    /* the caller's, ALK_QUIC_BATCH bytes */
};
/* Makes the next batch to send; false: nothing to send now. Call until false, or
 * until the socket is full (then keep the batch and call again later). */
bool alk_quic_send(struct alk_quic *q, alk_time now, struct alk_quic_batch *ret);
/* Whether alk_quic_send may have something: connections with work. */
bool alk_quic_has_work(const struct alk_quic *q);
/* The system said EMSGSIZE for a batch of this segment size to this address. */
void alk_quic_too_big(struct alk_quic *q, const struct alk_quic_batch *batch);
/* A network that refuses GSO (EIO): one packet per batch from now on. */
void alk_quic_no_gso(struct alk_quic *q);

/* ALK_NEVER: none. */
alk_time alk_quic_deadline(const struct alk_quic *q);
void alk_quic_tick(struct alk_quic *q, alk_time now);

/* Starts a client connection. dial borrows until the connection is released.
 * handler, service_state: who gets its calls. session: what
 * alk_quic_client_session gave earlier, or empty. */
struct alk_quic_connect {
    struct alk_addr local, remote;
    const struct alk_dial_options *dial;
    struct alk_tls_creds *creds;
    const struct alk_handler *handler;
    void *service_state;
    struct alk_span session;
    uint32_t version;                            /* 0: QUIC v1 */
    void (*keylog)(void *ctx, const char *line); /* NSS format; NULL: none. Until released */
    void *keylog_ctx;
    bool hold_finished; /* race: do not send Finished before alk_quic_release_finished */
};
ALK_NODISCARD alk_err alk_quic_connect(struct alk_quic *q, const struct alk_quic_connect *options,
                                       alk_time now, struct alk_conn **ret);
void alk_quic_release_finished(struct alk_conn *conn);
/* Client: ticket, transport parameters and NEW_TOKEN for the next connection.
 * ALK_MORE: nothing (more) has come from the server. */
ALK_NODISCARD alk_err alk_quic_client_session(struct alk_conn *conn, struct alk_buf *ret);
/* Client: another local address, path validation by ngtcp2. ALK_E_STATE: the
 * handshake is not confirmed, or no spare connection ID is left now. */
ALK_NODISCARD alk_err alk_quic_migrate(struct alk_conn *conn, const struct alk_addr *local,
                                       alk_time now);
/* New packet keys as soon as the last ones are old enough. ALK_E_STATE: the
 * handshake is not confirmed. */
ALK_NODISCARD alk_err alk_quic_update_key(struct alk_conn *conn, alk_time now);
/* Sends a PING now; the next ACK is a sign of life (NAT, `alknet ping`). */
void alk_quic_ping(struct alk_conn *conn);

/* Counters for status and metrics; monotonic unless said otherwise. */
struct alk_quic_stats {
    uint64_t datagrams_in, bytes_in, packets_out, bytes_out;
    uint64_t initials, handshakes_done, handshakes_failed;
    uint64_t retries_sent, retry_bad_token, versions_sent;
    uint64_t resets_sent, resets_suppressed, resets_received;
    uint64_t dropped_limit, dropped_garbage, shed;
    uint64_t early_accepted, early_rejected, migrations, key_updates;
    size_t connections, handshaking, memory; /* now */
};
void alk_quic_get_stats(const struct alk_quic *q, struct alk_quic_stats *ret);

#endif
