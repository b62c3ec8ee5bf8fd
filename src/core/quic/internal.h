/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/quic/internal.h - what the parts of the QUIC machine share.
 *
 * One alk_quic per loop owns its connections (alk_qconn), which own their
 * streams (alk_qstream). ngtcp2's callbacks only mark state and raise events;
 * bytes leave in alk_quic_send alone.
 *
 *   feed.c  datagram -> connection, or stray.c / accept.c
 *   work    connections with something to send, round robin, each at most once
 *   timers  one heap: ngtcp2's expiry, or the end of a closing period
 *
 * A connection's phases:
 *
 *   LIVE --close--> CLOSING (the CONNECTION_CLOSE is repeated for late packets)
 *        --peer---> DRAINING (silent)
 *        --drop---> OVER
 *
 * Only a LIVE connection has an ngtcp2_conn and a TLS session. What remains of
 * the others (IDs, so that late packets meet silence and not a stateless reset)
 * goes when the period ends and the hub has let go of it.
 */
#ifndef ALK_CORE_QUIC_INTERNAL_H
#define ALK_CORE_QUIC_INTERNAL_H

#include "base/heap.h"
#include "base/map.h"
#include "core/quic/quic.h"

#include <netinet/in.h> /* lint: system: address types, no calls */
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#define ALK_QOUT_MAX         64                   /* stateless packets waiting, per loop */
#define ALK_QOUT_SIZE        512                  /* bytes of one */
#define ALK_QCLOSE_SIZE      1280                 /* a CONNECTION_CLOSE packet */
#define ALK_QTOMBS_MAX       4096                 /* closed connections remembered, per loop */
#define ALK_QSTREAMS_SPARE   256                  /* freed streams kept for reuse, per loop */
#define ALK_QDGRAMS_MAX      64                   /* datagrams waiting to be sent, per connection */
#define ALK_QDGRAM_BYTES_MAX ((size_t)128 * 1024) /* and their bytes */
#define ALK_QSTOPS_MAX       512                  /* STOP_SENDING frames noticed in one datagram */
#define ALK_QMTU_MAX         ((size_t)16336)      /* UDP payload of the largest packets sent */
#define ALK_QVECS            16                   /* spans of one stream given to ngtcp2 at once */
#define ALK_QRETRY_VALID     (10 * ALK_SECOND)
#define ALK_QTOKEN_VALID     (3600 * ALK_SECOND)
#define ALK_QRESETS_BURST    64 /* stateless resets at once */

enum alk_qphase { ALK_Q_LIVE, ALK_Q_CLOSING, ALK_Q_DRAINING, ALK_Q_OVER };

/* One of our connection IDs, or a reset token of the peer's. */
struct alk_qcid {
    struct alk_qconn *conn;
    struct alk_qcid *next;
    uint8_t n;
    uint8_t data[NGTCP2_MAX_CIDLEN];
};

/* Connections of one address (alk_addr_limit_key). */
struct alk_qhost {
    size_t count;    /* that have proved to be there: these have the address's places */
    size_t unproved; /* handshakes that anybody may have begun in its name */
    uint8_t n;
    uint8_t key[17];
};

struct alk_qdgram {
    struct alk_qdgram *next;
    size_t n;
    uint8_t data[];
};

struct alk_qstream {
    struct alk_stream base;
    struct alk_link sendq;       /* conn->sendq: has bytes or its end to send */
    struct alk_qstream *next_id; /* in conn->ids */
    size_t memory;               /* accounted */
    uint64_t acked;              /* bytes from its begin; base.tx lets go of whole blocks */
    bool needs_open;             /* ours: the peer has not heard of it yet */
    bool is_blocked;             /* out of stream credit: waits for extend_max_stream_data */
    bool is_known;               /* ngtcp2 has a stream of this id */
    bool is_orphan;              /* its credit belongs to nobody: early data was rejected */
};

struct alk_qstop {
    uint64_t id, code;
};

/* What is known of the path's size, beside what ngtcp2 knows. */
struct alk_qmtu {
    size_t cap;         /* 0: none; larger packets do not come through, or are refused */
    alk_time cap_until; /* when they are tried again */
    unsigned caps;      /* there have been, since large packets last came through */
    uint64_t passed;    /* bytes acknowledged since the last one; counted from: */
    alk_time proof_from;
    size_t refused;  /* 0: none; a probe that the system did not send */
    bool has_dgrams; /* somebody wanted to send one, of whatever size */
    /* A stream with bytes in flight, how far it was acknowledged then, and when that
     * was; since 0: none. */
    uint64_t id, acked;
    alk_time since;
    alk_time look_at; /* at its progress, next */
    /* Datagrams sent in large packets since one was acknowledged, and until when one
     * should have been. */
    unsigned dgrams;
    alk_time dgrams_until;
};

/* Why and how a connection ends. */
struct alk_qclose {
    bool is_pending; /* the packet is still to be written */
    ngtcp2_ccerr ccerr;
    char reason[ALK_CONN_REASON_MAX + 1];
};

struct alk_qconn {
    struct alk_conn base;
    struct alk_quic *q;
    ngtcp2_conn *nc;
    ngtcp2_mem nmem; /* charges what ngtcp2 allocates to this connection */
    ngtcp2_crypto_conn_ref ref;
    struct alk_tls_session tls;
    struct alk_qcid *cids;   /* owns */
    struct alk_qcid *tokens; /* owns */
    struct alk_qhost *host;  /* counted there */
    struct alk_addr entered; /* has a place as this address; family 0: none */
    enum alk_qphase phase;
    struct alk_heap_node timer;
    struct alk_link work, all, anon, tomb;
    struct alk_list dirty;    /* alk_stream.dirty: resets, stops, credit, new data */
    struct alk_list sendq;    /* alk_qstream.sendq */
    struct alk_qstream **ids; /* by ID, chained; owns the array */
    size_t ids_size;          /* a power of two, or 0 */
    struct alk_qdgram *dgram_head, *dgram_tail;
    unsigned dgram_count;
    size_t dgram_bytes;
    size_t turn_left; /* bytes of the send quantum left; 0: not in a turn */
    struct alk_qmtu mtu;
    size_t memory;       /* of its streams */
    size_t nc_memory;    /* of ngtcp2 */
    size_t doomed;       /* its part of q->doomed */
    alk_time hold_until; /* client: ALK_NEVER: not held */
    alk_time keep_alive; /* ALK_NEVER: none */
    uint64_t bytes_in, bytes_out;
    uint64_t streams_base;                   /* stream credit without identity */
    uint64_t streams_full;                   /* and with it */
    uint64_t streams_lent;                   /* beyond either: alk_qpath_challenged */
    uint64_t stream_window_max, conn_window; /* those it was made with */
    struct alk_buf new_token;                /* client: what the server gave */
    /* Client: in use, that of a first attempt (0: this is it), that a server named. */
    uint32_t version, original_version, offered_version;
    struct alk_qclose close;
    uint8_t *close_packet; /* owns; of the closing period */
    size_t close_packet_n;
    uint64_t close_seen; /* packets that came since */
    bool is_handshaking; /* counted in q->handshaking */
    bool is_unproved;    /* counted in host->unproved */
    bool has_place;      /* counted in host->count */
    bool is_refused;     /* server: proved, but its address has no place left */
    bool is_handshake_done;
    bool is_released;      /* the hub has let go */
    bool is_open_raised;   /* ALK_CONN_HANDSHAKE has been raised */
    bool is_conn_blocked;  /* out of connection credit: until the next datagram */
    bool is_held;          /* client: Finished is held back */
    bool is_session_due;   /* server: the TLS session can be dropped */
    bool is_early;         /* client: has what early data needs */
    bool is_version_fixed; /* client: the caller's choice */
    bool has_next_keys;
    bool has_session_news; /* client: ticket or token since the last look */
    bool wants_credit;     /* open_stream said ALK_FULL */
    bool wants_ping;
    bool wants_new_keys;
    bool got_reset; /* a stateless reset came */
};

struct alk_qout {
    struct alk_addr local, remote;
    size_t n;
    uint8_t data[ALK_QOUT_SIZE];
};

struct alk_quic {
    const struct alk_mem *mem;
    struct alk_quic_options o; /* server and limits inside are the current ones */
    struct alk_quic_limits limits;
    struct alk_quic_stats stats;
    alk_time now;          /* never goes back: ngtcp2 asserts that */
    struct alk_map cids;   /* our connection IDs -> alk_qcid */
    struct alk_map tokens; /* peers' stateless reset tokens -> alk_qcid */
    struct alk_map hosts;  /* -> alk_qhost */
    struct alk_heap timers;
    struct alk_list all, work, tombs;
    struct alk_list anon; /* live ones without identity, oldest first */
    size_t tomb_count;
    size_t live_count;           /* with an ngtcp2_conn, either role */
    size_t serving, handshaking; /* of those, server's; and unfinished ones of these */
    size_t memory;               /* streams, waiting datagrams and ngtcp2 */
    size_t doomed;               /* of that, what connections hold that are being shed */
    struct alk_qstream *spare;   /* free list over base.conn */
    size_t spare_count;
    struct alk_qstop *stops; /* of the datagram that is being read */
    size_t stop_count;
    bool is_challenged;   /* it had a PATH_CHALLENGE */
    struct alk_qout *out; /* ring of ALK_QOUT_MAX */
    size_t out_at, out_count;
    /* A packet that could not join its batch. */
    struct alk_quic_batch odd;
    size_t odd_size;
    bool has_odd;
    alk_time resets_at; /* token bucket of stateless resets */
    unsigned resets_left;
    bool is_accepting;
};

static inline struct alk_qconn *alk_qconn(const struct alk_conn *conn)
{
    return ALK_CONTAINER(conn, struct alk_qconn, base);
}
static inline struct alk_qstream *alk_qstream(const struct alk_stream *s)
{
    return ALK_CONTAINER(s, struct alk_qstream, base);
}

/* quic.c */
void alk_quic_clock(struct alk_quic *q, alk_time now);
/* Moves the timer of a connection that is in the heap. */
void alk_qconn_set_timer(struct alk_qconn *c, alk_time at);
/* Marks work: it will get a turn in alk_quic_send. Idempotent. */
void alk_qconn_mark(struct alk_qconn *c);

/* path.c: addresses as ngtcp2 wants them */
void alk_qpath_set(ngtcp2_path_storage *ps, const struct alk_addr *local,
                   const struct alk_addr *remote);
void alk_qpath_get(const ngtcp2_path *path, struct alk_addr *ret_local,
                   struct alk_addr *ret_remote);
/* A PATH_CHALLENGE has been read: its answer shall not stall the connection. */
void alk_qpath_challenged(struct alk_qconn *c);
/* Takes a connection's current path over into its public part. */
void alk_qpath_adopt(struct alk_qconn *c, const ngtcp2_path *path);

/* cids.c */
void alk_qcid_make(struct alk_quic *q, ngtcp2_cid *ret);
void alk_qcid_token(const struct alk_quic *q, const uint8_t *cid, size_t n,
                    uint8_t ret[static NGTCP2_STATELESS_RESET_TOKENLEN]);
ALK_NODISCARD alk_err alk_qcids_add(struct alk_qconn *c, const uint8_t *data, size_t n);
void alk_qcids_remove(struct alk_qconn *c, const uint8_t *data, size_t n);
ALK_NODISCARD alk_err alk_qtokens_add(struct alk_qconn *c, const uint8_t *data);
void alk_qtokens_remove(struct alk_qconn *c, const uint8_t *data);
void alk_qcids_clear(struct alk_qconn *c);
void alk_qtokens_clear(struct alk_qconn *c);
struct alk_qconn *alk_qcids_find(const struct alk_quic *q, const uint8_t *data, size_t n);
struct alk_qconn *alk_qtokens_find(const struct alk_quic *q, const uint8_t *data);
/* Counts a new connection of that address. is_proved: a token says that the address
 * is its own. ALK_E_LIMIT: it is, and there are too many. */
ALK_NODISCARD alk_err alk_qhost_enter(struct alk_qconn *c, const struct alk_addr *remote,
                                      bool is_proved);
/* Its handshake has proved the address. ALK_E_LIMIT: no place is left. */
ALK_NODISCARD alk_err alk_qhost_prove(struct alk_qconn *c);
void alk_qhost_leave(struct alk_qconn *c);
bool alk_qhost_is_full(const struct alk_quic *q, const struct alk_addr *remote);
/* Whether a connection without a token has to prove the address first: unproved ones
 * may be half as many as the address may have. */
bool alk_qhost_wants_proof(const struct alk_quic *q, const struct alk_addr *remote);

/* stray.c: packets that belong to no connection */
void alk_qstray_versions(struct alk_quic *q, const ngtcp2_path_storage *ps,
                         const ngtcp2_version_cid *vc, size_t size);
void alk_qstray_short(struct alk_quic *q, const ngtcp2_path_storage *ps, struct alk_span data);
void alk_qstray_retry(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_hd *hd);
void alk_qstray_refuse(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_hd *hd,
                       uint64_t code);
/* Queues a stateless packet; dropped when 64 wait. */
void alk_qout_put(struct alk_quic *q, const ngtcp2_path_storage *ps, struct alk_span data);
bool alk_qout_take(struct alk_quic *q, struct alk_quic_batch *ret);

/* accept.c */
void alk_qaccept(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_info *pi,
                 struct alk_span data);
ALK_NODISCARD alk_err alk_qserver_tls(struct alk_qconn *c);

/* feed.c */
void alk_qconn_read(struct alk_qconn *c, const ngtcp2_path_storage *ps, const ngtcp2_pkt_info *pi,
                    struct alk_span data);

/* mem.c: allocation for ngtcp2, counted against the limits */
void alk_qmem_init(struct alk_qconn *c);

/* conn.c */
extern const struct alk_conn_ops alk_qconn_ops;
/* A connection that the hub knows, without ngtcp2_conn. NULL without memory. */
struct alk_qconn *alk_qconn_new(struct alk_quic *q, bool is_server, const struct alk_addr *local,
                                const struct alk_addr *remote);
void alk_qconn_settings(struct alk_qconn *c, ngtcp2_settings *ret);
void alk_qconn_params(struct alk_qconn *c, ngtcp2_transport_params *ret);
/* Copies what TLS knows of the peer into base.auth. */
void alk_qconn_describe(struct alk_qconn *c);
/* Raises ALK_CONN_HANDSHAKE once. */
void alk_qconn_open(struct alk_qconn *c, bool is_early);
void alk_qconn_confirm(struct alk_qconn *c);
/* The hub may have learned who the peer is: the full stream credit. */
void alk_qconn_check_identity(struct alk_qconn *c);
/* Frees it when nothing refers to it any more. */
void alk_qconn_unlink(struct alk_qconn *c);
/* Sets the timer from ngtcp2's expiry. */
void alk_qconn_arm(struct alk_qconn *c);
void alk_qconn_timeout(struct alk_qconn *c);

/* mtu.c: how large packets are */
void alk_qmtu_settings(const struct alk_quic *q, ngtcp2_settings *ret);
/* UDP payload that the path is known to carry. */
size_t alk_qmtu_path(const struct alk_qconn *c);
/* At the begin of a turn: has the path become smaller? */
void alk_qmtu_watch(struct alk_qconn *c);
/* So many bytes of a stream have got on. */
void alk_qmtu_passed(struct alk_qconn *c, uint64_t n);
/* A datagram in a packet of more than 1200 bytes was sent. */
void alk_qmtu_dgram_sent(struct alk_qconn *c);
/* Room for the first packet of a batch: more than the path is known to carry when a
 * probe may go out now. */
size_t alk_qmtu_offer(const struct alk_qconn *c);

/* callbacks.c */
extern const ngtcp2_callbacks alk_qcallbacks_server, alk_qcallbacks_client;

/* stream.c */
struct alk_qstream *alk_qstream_new(struct alk_qconn *c, int64_t id, bool is_local, bool is_early);
void alk_qstream_free(struct alk_qstream *s);
void alk_qstream_account(struct alk_qstream *s);
void alk_qstreams_spare_free(struct alk_quic *q);
void alk_qstream_over(struct alk_qstream *s); /* ngtcp2 has dropped it */
void alk_qstreams_over(struct alk_qconn *c);  /* all of them */
void alk_qstreams_flush(struct alk_qconn *c); /* control work of dirty streams */
void alk_qstream_sent(struct alk_qstream *s, size_t n, bool fin);
void alk_qstream_stopped(struct alk_qstream *s, uint64_t code);
alk_err alk_qconn_open_stream(struct alk_conn *conn, struct alk_stream **ret);
void alk_qconn_stream_dirty(struct alk_stream *stream);
void alk_qconn_stream_free(struct alk_stream *stream);

/* stops.c: what ngtcp2 does not tell */
/* STOP_SENDING frames of a decrypted packet, at most max of them; *ret_challenged
 * becomes true when a PATH_CHALLENGE is before the last of them. */
size_t alk_qstops_scan(struct alk_span payload, struct alk_qstop *ret, size_t max,
                       bool *ret_challenged);
/* Around ngtcp2_conn_read_pkt. */
void alk_qstops_begin(struct alk_qconn *c);
void alk_qstops_end(struct alk_qconn *c, bool is_alive);
int alk_qstops_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                       const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *in, size_t n,
                       const uint8_t *nonce, size_t nonce_n, const uint8_t *aad, size_t aad_n);
void alk_qids_add(struct alk_qconn *c, struct alk_qstream *s);
void alk_qids_remove(struct alk_qconn *c, struct alk_qstream *s);
struct alk_qstream *alk_qids_find(const struct alk_qconn *c, uint64_t id);
void alk_qids_fini(struct alk_qconn *c);

/* datagram.c */
alk_err alk_qconn_datagram(struct alk_conn *conn, struct alk_span data);
size_t alk_qconn_datagram_max(const struct alk_conn *conn);
void alk_qconn_dgrams_clear(struct alk_qconn *c);
/* Whether so many bytes of datagrams take a packet of more than 1200, or nearly. */
bool alk_qdgram_is_large(size_t n);
void alk_qconn_dgram_pop(struct alk_qconn *c);

/* close.c */
/* A call into ngtcp2 failed: the end of the connection, as its code demands. */
void alk_qconn_failed(struct alk_qconn *c, int liberr);
/* As ops->close, with an error for the handler. */
void alk_qconn_finish(struct alk_qconn *c, alk_err err, uint64_t code, struct alk_span reason);
/* Writes the CONNECTION_CLOSE and enters the closing period. 0: nothing to send. */
size_t alk_qconn_write_close(struct alk_qconn *c, uint8_t *buf, size_t size, ngtcp2_path *path,
                             ngtcp2_pkt_info *pi);
/* Enters a phase other than LIVE: streams go, ngtcp2 and TLS are freed. */
void alk_qconn_end(struct alk_qconn *c, enum alk_qphase phase);
/* A packet for a connection that is not LIVE. */
void alk_qconn_late(struct alk_qconn *c, const ngtcp2_path_storage *ps, size_t size);
/* The end of a closing or draining period. */
void alk_qconn_bury(struct alk_qconn *c);
/* Memory is over the limit: ends the youngest connection without identity. */
void alk_quic_shed(struct alk_quic *q);

/* client.c */
/* The server offered versions: starts again with the other one. False: it has been
 * tried, or the server does not speak it either. */
bool alk_qclient_other_version(struct alk_qconn *c);

#endif
