/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/mem.h"

#define PERIOD_MIN (3 * 10 * ALK_MS)
#define LATE_MIN 21 /* bytes of a packet that is worth an answer */

enum reaction {
    SEND, /* CONNECTION_CLOSE, closing period */
    DRAIN, /* the peer has closed: silence for a while */
    DROP  /* silence, and no more trace than the IDs for a while */
};

/* The one place where ngtcp2's errors get their meaning. What is not listed is the
 * peer's fault and is answered with the code that ngtcp2 infers. */
static const struct {
    int liberr;
    enum reaction reaction;
    alk_err err;
} reactions[] = {
    {NGTCP2_ERR_IDLE_CLOSE, DROP, ALK_E_TIMEOUT},
    {NGTCP2_ERR_HANDSHAKE_TIMEOUT, DROP, ALK_E_TIMEOUT},
    {NGTCP2_ERR_DROP_CONN, DROP, ALK_E_CLOSED},
    {NGTCP2_ERR_RECV_VERSION_NEGOTIATION, DROP, ALK_E_VERSION},
    {NGTCP2_ERR_AEAD_LIMIT_REACHED, DROP, ALK_E_CLOSED},
    {NGTCP2_ERR_PKT_NUM_EXHAUSTED, DROP, ALK_E_CLOSED},
    {NGTCP2_ERR_DRAINING, DRAIN, ALK_E_CLOSED},
    {NGTCP2_ERR_CLOSING, DRAIN, ALK_E_CLOSED},
    {NGTCP2_ERR_CRYPTO, SEND, ALK_E_TLS},
    {NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE, SEND, ALK_E_VERSION},
    {NGTCP2_ERR_NO_VIABLE_PATH, SEND, ALK_E_UNREACHABLE},
    {NGTCP2_ERR_NOMEM, SEND, ALK_E_NOMEM},
    {NGTCP2_ERR_CALLBACK_FAILURE, SEND, ALK_E_NOMEM},
    {NGTCP2_ERR_INTERNAL, SEND, ALK_E_INTERNAL},
    {NGTCP2_ERR_INVALID_ARGUMENT, SEND, ALK_E_INTERNAL},
    {NGTCP2_ERR_INVALID_STATE, SEND, ALK_E_INTERNAL},
};

/* The meaning of a transport code in the peer's CONNECTION_CLOSE. */
static alk_err transport_err(const struct alk_qconn *c, uint64_t code)
{
    if (code >= NGTCP2_CRYPTO_ERROR && code < NGTCP2_CRYPTO_ERROR + 256) {
        return alk_tls_error(&c->tls, 0, (uint8_t)(code - NGTCP2_CRYPTO_ERROR));
    }
    switch (code) {
    case NGTCP2_NO_ERROR:
    case NGTCP2_APPLICATION_ERROR: /* an application's, before it may say more */
        return ALK_E_CLOSED;
    case NGTCP2_CONNECTION_REFUSED:
        return ALK_E_UNAVAILABLE;
    case NGTCP2_VERSION_NEGOTIATION_ERROR:
        return ALK_E_VERSION;
    default:
        return ALK_E_PROTOCOL;
    }
}

static void raise_peers_close(struct alk_qconn *c)
{
    if (c->got_reset) {
        alk_conn_raise_closed(&c->base, ALK_E_RESET, ALK_CODE_NONE,
                              ALK_LIT("the peer has lost the connection"));
        return;
    }
    const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(c->nc);
    struct alk_span reason = alk_span(e->reason, e->reasonlen);
    if (e->type == NGTCP2_CCERR_TYPE_APPLICATION) {
        alk_conn_raise_closed(&c->base, ALK_E_CLOSED, e->error_code, reason);
        return;
    }
    alk_conn_raise_closed(&c->base, transport_err(c, e->error_code), ALK_CODE_NONE, reason);
}

static void plan(struct alk_qconn *c, alk_err err, uint64_t code, struct alk_span reason)
{
    alk_conn_raise_closed(&c->base, err, code, reason);
    alk_qstreams_over(c);
    alk_qconn_dgrams_clear(c);
    c->close.is_pending = true;
    alk_qconn_mark(c);
}

void alk_qconn_failed(struct alk_qconn *c, int liberr)
{
    enum reaction reaction = SEND;
    alk_err err = ALK_E_PROTOCOL;
    for (size_t i = 0; i < sizeof reactions / sizeof reactions[0]; i++) {
        if (reactions[i].liberr == liberr) {
            reaction = reactions[i].reaction;
            err = reactions[i].err;
        }
    }
    if (liberr == NGTCP2_ERR_RECV_VERSION_NEGOTIATION && alk_qclient_other_version(c)) {
        return;
    }
    switch (reaction) {
    case DRAIN:
        raise_peers_close(c);
        alk_qconn_end(c, ALK_Q_DRAINING);
        break;
    case DROP:
        alk_conn_raise_closed(&c->base, err, ALK_CODE_NONE, alk_span(NULL, 0));
        alk_qconn_end(c, c->is_handshake_done ? ALK_Q_DRAINING : ALK_Q_OVER);
        break;
    case SEND:
        if (c->is_refused) {
            c->q->stats.dropped_limit++;
            ngtcp2_ccerr_set_transport_error(&c->close.ccerr, NGTCP2_CONNECTION_REFUSED, NULL, 0);
            err = ALK_E_LIMIT;
        } else if (liberr == NGTCP2_ERR_CRYPTO) {
            uint8_t alert = ngtcp2_conn_get_tls_alert(c->nc);
            ngtcp2_ccerr_set_tls_alert(&c->close.ccerr, alert, NULL, 0);
            err = alk_tls_error(&c->tls, 0, alert);
        } else {
            ngtcp2_ccerr_set_liberr(&c->close.ccerr, liberr, NULL, 0);
        }
        /* For our own side, not the wire: why the server was refused. */
        plan(c, err, ALK_CODE_NONE, alk_span_str(c->tls.verify_text));
        return;
    }
    alk_qconn_unlink(c);
}

void alk_qconn_finish(struct alk_qconn *c, alk_err err, uint64_t code, struct alk_span reason)
{
    if (c->phase != ALK_Q_LIVE || c->close.is_pending) {
        return;
    }
    size_t n = reason.n < ALK_CONN_REASON_MAX ? reason.n : ALK_CONN_REASON_MAX;
    if (n > 0) {
        memcpy(c->close.reason, reason.p, n);
    }
    ngtcp2_ccerr_set_application_error(&c->close.ccerr, code, (const uint8_t *)c->close.reason, n);
    plan(c, err, code, reason);
}

/* [RFC 9000 §10.2] three times the probe timeout, so that late packets meet it. */
static alk_time period(const struct alk_qconn *c)
{
    alk_time t = 3 * ngtcp2_conn_get_pto(c->nc);
    return t < PERIOD_MIN ? PERIOD_MIN : t;
}

size_t alk_qconn_write_close(struct alk_qconn *c, uint8_t *buf, size_t size, ngtcp2_path *path,
                             ngtcp2_pkt_info *pi)
{
    struct alk_quic *q = c->q;
    c->close.is_pending = false;
    size_t room = size < ALK_QCLOSE_SIZE ? size : ALK_QCLOSE_SIZE;
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(c->nc, path, pi, buf, room,
                                                        &c->close.ccerr, q->now);
    if (n <= 0) {
        alk_qconn_end(c, ALK_Q_DRAINING);
        return 0;
    }
    c->close_packet = alk_alloc(q->mem, (size_t)n);
    if (c->close_packet != NULL) {
        memcpy(c->close_packet, buf, (size_t)n);
        c->close_packet_n = (size_t)n;
    }
    c->bytes_out += (size_t)n;
    alk_qconn_end(c, ALK_Q_CLOSING);
    return (size_t)n;
}

static void forget_oldest(struct alk_quic *q)
{
    struct alk_link *e = alk_list_first(&q->tombs);
    alk_qconn_bury(ALK_CONTAINER(e, struct alk_qconn, tomb));
}

static void leave_live(struct alk_qconn *c)
{
    struct alk_quic *q = c->q;
    q->live_count--;
    q->doomed -= c->doomed;
    q->serving -= c->base.is_server ? 1 : 0;
    if (c->is_handshaking) {
        c->is_handshaking = false;
        q->handshaking -= c->base.is_server ? 1 : 0;
        q->stats.handshakes_failed++;
    }
    alk_qhost_leave(c);
    alk_list_remove(&c->work);
    alk_list_remove(&c->anon);
    alk_qstreams_over(c);
    alk_qconn_dgrams_clear(c);
    alk_qtokens_clear(c);
    ngtcp2_conn_del(c->nc);
    c->nc = NULL;
    alk_tls_session_fini(&c->tls);
    alk_buf_fini(&c->new_token);
    alk_qids_fini(c);
}

void alk_qconn_end(struct alk_qconn *c, enum alk_qphase phase)
{
    struct alk_quic *q = c->q;
    if (c->phase == ALK_Q_LIVE) {
        alk_time until = c->nc == NULL ? 0 : q->now + period(c);
        leave_live(c);
        c->phase = phase;
        if (phase != ALK_Q_OVER) {
            alk_qconn_set_timer(c, until);
            alk_list_append(&q->tombs, &c->tomb);
            q->tomb_count++;
            if (q->tomb_count > ALK_QTOMBS_MAX) {
                forget_oldest(q);
            }
            return;
        }
    }
    if (alk_link_is_in(&c->tomb)) {
        alk_list_remove(&c->tomb);
        q->tomb_count--;
    }
    c->phase = ALK_Q_OVER;
    alk_qcids_clear(c);
    alk_heap_remove(&q->timers, &c->timer);
    alk_free(q->mem, c->close_packet);
    c->close_packet = NULL;
}

void alk_qconn_bury(struct alk_qconn *c)
{
    alk_qconn_end(c, ALK_Q_OVER);
    alk_qconn_unlink(c);
}

/* The close is repeated for the 1st, 2nd, 4th, 8th ... packet that comes after it
 * [RFC 9000 §10.2.1], and never grows what an attacker sends. */
void alk_qconn_late(struct alk_qconn *c, const ngtcp2_path_storage *ps, size_t size)
{
    if (c->phase != ALK_Q_CLOSING || c->close_packet == NULL || size < LATE_MIN) {
        return;
    }
    c->close_seen++;
    if ((c->close_seen & (c->close_seen - 1)) == 0 && c->close_packet_n <= 3 * size) {
        alk_qout_put(c->q, ps, alk_span(c->close_packet, c->close_packet_n));
    }
}

void alk_quic_shed(struct alk_quic *q)
{
    struct alk_link *e = q->anon.head.prev;
    if (e == &q->anon.head) {
        return;
    }
    struct alk_qconn *c = ALK_CONTAINER(e, struct alk_qconn, anon);
    alk_list_remove(&c->anon); /* once is enough */
    c->doomed = c->memory + c->nc_memory;
    q->doomed += c->doomed; /* free only when the close is sent and the hub has run */
    q->stats.shed++;
    alk_qconn_finish(c, ALK_E_LIMIT, ALK_CODE_LIMIT, ALK_LIT("out of memory"));
}
