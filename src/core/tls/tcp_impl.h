/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/tcp_impl.h - the state of a TLS-over-TCP machine, for tcp*.c only.
 *
 *   HANDSHAKE --Finished--> OPEN --both ends / close--> DRAINING --flushed--> OVER
 *       |                     |                            ^
 *       +------ failed -------+------ reset, truncated ----+--- abort: OVER at once
 *
 * DRAINING writes what is encrypted (close_notify or an alert), shuts our side and
 * discards what still comes until the peer's end of file or a few seconds are over:
 * a socket closed over unread bytes sends RST, which can destroy what we wrote last.
 */
#ifndef ALK_CORE_TLS_TCP_IMPL_H
#define ALK_CORE_TLS_TCP_IMPL_H

#include "core/tls/internal.h"
#include "core/tls/tcp.h"

#define ALK_TCP_RECORD     ((size_t)16384)
/* Above HIGH: one record, and handshake messages and alerts that answer the peer. */
#define ALK_TCP_OUT_MAX    (ALK_TCP_OUT_HIGH + 4 * ALK_TCP_RECORD)
#define ALK_TCP_RX_MAX     (ALK_TCP_RX_HIGH + ALK_TCP_RECORD)
#define ALK_TCP_LINGER     (5 * ALK_SECOND)
#define ALK_TCP_ALERT_NONE 256u

enum alk_tcp_state { ALK_TCP_HANDSHAKE, ALK_TCP_OPEN, ALK_TCP_DRAINING, ALK_TCP_OVER };

struct alk_tcp {
    struct alk_conn conn; /* first: an alk_conn * is an alk_tcp * */
    struct alk_tls_session tls;
    struct alk_stream stream;
    struct alk_tcp_options options;
    enum alk_tcp_state state;
    alk_time now;

    struct alk_buf in;    /* from the socket, not read by GnuTLS yet */
    struct alk_span feed; /* the same, of the call that is running; after `in` */
    struct alk_buf out;   /* for the socket */
    size_t shown;         /* while is_holding: bytes at the front of out that may leave */
    alk_err push_err;     /* why the push function failed */

    alk_time handshake_end, idle_end, linger_end, keep_alive_at;
    alk_time keep_alive; /* ALK_NEVER: none */
    uint64_t bytes_in, bytes_out;

    bool has_stream;    /* it exists; false again when the hub has freed it */
    bool was_opened;    /* client: open_stream was called */
    bool hold_finished; /* client: not released yet */
    bool is_holding;    /* our Finished is in `out`, behind `shown` */
    bool is_eof;        /* the socket's end of file was told */
    bool is_rx_done;    /* close_notify was read */
    bool is_tx_done;    /* close_notify is encrypted */
    bool is_abort;      /* close the socket with RST */
    bool is_released;   /* the hub has let go */
    bool is_told_over;
    alk_err late_err; /* our direction broke after the peer's end; told when rx is consumed */
};

static inline struct alk_tcp *alk_tcp_of(const struct alk_conn *conn)
{
    union {
        const struct alk_conn *in;
        struct alk_tcp *out;
    } p = {.in = conn};
    return p.out;
}

/* tcp_io.c */
void alk_tcp_setup_io(struct alk_tcp *t);
static inline bool alk_tcp_has_input(const struct alk_tcp *t)
{
    return alk_buf_len(&t->in) > 0 || t->feed.n > 0;
}
/* Reads records while the stream has room. */
void alk_tcp_read(struct alk_tcp *t);
/* Encrypts what the stream has queued while there is room, its end included. */
void alk_tcp_write(struct alk_tcp *t);
/* An empty record: activity that the peer's idle timer sees. */
void alk_tcp_send_empty(struct alk_tcp *t);

/* tcp_hs.c */
void alk_tcp_handshake(struct alk_tcp *t);

/* tcp_end.c: each leaves HANDSHAKE or OPEN and tells the hub; later calls are
 * no-ops. */
void alk_tcp_fail_handshake(struct alk_tcp *t, int gnutls_err);
/* A fatal error of GnuTLS after the handshake: truncation, alert, broken record. */
void alk_tcp_break(struct alk_tcp *t, int gnutls_err);
/* The socket or a timer: no alert, RST. */
void alk_tcp_abort(struct alk_tcp *t, alk_err err, uint64_t code, struct alk_span reason);
/* Sees whether a direction has ended and whether the stream and connection have. */
void alk_tcp_check_end(struct alk_tcp *t);
/* OVER where nothing is left to do, and `over` when the hub has let go. The
 * connection may be freed inside: call last. */
void alk_tcp_settle(struct alk_tcp *t);
void alk_tcp_op_close(struct alk_conn *conn, uint64_t code, struct alk_span reason);
void alk_tcp_op_release(struct alk_conn *conn);

#endif
