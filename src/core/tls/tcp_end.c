/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How a TLS-over-TCP connection ends.
 *
 * TLS has no application codes. A connection closed with a code after which the
 * peer can do something sends an alert that the other side turns back into the
 * code; all others end in RST, which is a reset without a code. An orderly end is
 * two close_notify, and nothing else is one. */
#include "core/tls/tcp_impl.h"

static const struct {
    uint64_t code;
    gnutls_alert_description_t alert;
    alk_err err;
} code_alerts[] = {
    {ALK_CODE_AUTH, GNUTLS_A_CERTIFICATE_REQUIRED, ALK_E_AUTH},
    {ALK_CODE_FORBIDDEN, GNUTLS_A_ACCESS_DENIED, ALK_E_FORBIDDEN},
    {ALK_CODE_REVOKED, GNUTLS_A_CERTIFICATE_REVOKED, ALK_E_REVOKED},
    {ALK_CODE_INTERNAL, GNUTLS_A_INTERNAL_ERROR, ALK_E_RESET},
    {ALK_CODE_REMOVED, GNUTLS_A_NO_APPLICATION_PROTOCOL, ALK_E_NO_ALPN},
};
enum { CODE_ALERTS = sizeof code_alerts / sizeof code_alerts[0] };

static bool is_live(const struct alk_tcp *t)
{
    return t->state == ALK_TCP_HANDSHAKE || t->state == ALK_TCP_OPEN;
}

/* The stream hears of the end at once; the connection through the hub. */
static void end_stream(struct alk_tcp *t, uint64_t code)
{
    if (t->has_stream) {
        alk_stream_rx_reset(&t->stream, code);
        alk_stream_gone(&t->stream);
    }
}

static void drain(struct alk_tcp *t)
{
    t->state = ALK_TCP_DRAINING;
    t->linger_end = t->now + ALK_TCP_LINGER;
    alk_buf_clear(&t->in);
    t->feed = alk_span(NULL, 0);
    if (t->is_holding) { /* lost the race: these bytes never leave */
        t->out.end = t->out.at + t->shown;
        t->is_holding = false;
    }
}

static void over(struct alk_tcp *t)
{
    t->state = ALK_TCP_OVER;
    alk_buf_fini(&t->in);
    alk_buf_fini(&t->out);
    t->feed = alk_span(NULL, 0);
    t->is_holding = false;
}

void alk_tcp_abort(struct alk_tcp *t, alk_err err, uint64_t code, struct alk_span reason)
{
    if (!is_live(t)) {
        return;
    }
    t->is_abort = true;
    over(t);
    end_stream(t, code);
    alk_conn_raise_closed(&t->conn, err, code, reason);
}

/* --- errors of GnuTLS -------------------------------------------------------------- */

static bool is_truncation(int rv)
{
    return rv == GNUTLS_E_PREMATURE_TERMINATION || rv == GNUTLS_E_UNEXPECTED_PACKET_LENGTH ||
           rv == GNUTLS_E_PULL_ERROR;
}

static unsigned alert_of(const struct alk_tcp *t, int rv)
{
    bool is_alert = rv == GNUTLS_E_FATAL_ALERT_RECEIVED;
    return is_alert ? (unsigned)gnutls_alert_get(t->tls.gs) : ALK_TCP_ALERT_NONE;
}

void alk_tcp_fail_handshake(struct alk_tcp *t, int rv)
{
    if (!is_live(t)) {
        return;
    }
    if (t->push_err != ALK_OK) {
        alk_tcp_abort(t, t->push_err, alk_err_code(t->push_err), alk_span(NULL, 0));
        return;
    }
    if (t->is_eof && is_truncation(rv) && t->tls.verify_err == ALK_OK) {
        alk_tcp_abort(t, ALK_E_RESET, 0, ALK_LIT("closed during the handshake"));
        return;
    }
    unsigned alert = alert_of(t, rv);
    uint8_t said = alert == ALK_TCP_ALERT_NONE ? alk_tls_alert(&t->tls, rv) : (uint8_t)alert;
    alk_err err = alk_tls_error(&t->tls, rv, said);
    const char *why = t->tls.verify_err == ALK_OK ? gnutls_strerror(rv) : t->tls.verify_text;
    if (alert == ALK_TCP_ALERT_NONE) {
        (void)gnutls_alert_send(t->tls.gs, GNUTLS_AL_FATAL, (gnutls_alert_description_t)said);
    } else {
        const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
        why = name == NULL ? why : name;
    }
    drain(t);
    alk_conn_raise_closed(&t->conn, err, alk_err_code(err), alk_span_str(why));
}

static void break_by_alert(struct alk_tcp *t, unsigned alert)
{
    const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
    for (size_t i = 0; i < CODE_ALERTS; i++) {
        if ((unsigned)code_alerts[i].alert == alert) {
            alk_tcp_abort(t, code_alerts[i].err, code_alerts[i].code, alk_span_str(name));
            return;
        }
    }
    alk_tcp_abort(t, ALK_E_RESET, 0, alk_span_str(name));
}

void alk_tcp_break(struct alk_tcp *t, int rv)
{
    if (t->push_err != ALK_OK) {
        alk_tcp_abort(t, t->push_err, alk_err_code(t->push_err),
                      alk_span_str(alk_err_text(t->push_err)));
        return;
    }
    unsigned alert = alert_of(t, rv);
    if (alert != ALK_TCP_ALERT_NONE) {
        break_by_alert(t, alert);
        return;
    }
    if (t->is_eof && is_truncation(rv)) {
        /* [RFC 8446 §6.1] without close_notify it is no end */
        alk_tcp_abort(t, ALK_E_RESET, 0, ALK_LIT("cut off"));
        return;
    }
    if (!is_live(t)) {
        return;
    }
    (void)gnutls_alert_send(t->tls.gs, GNUTLS_AL_FATAL,
                            (gnutls_alert_description_t)alk_tls_alert(&t->tls, rv));
    drain(t);
    end_stream(t, ALK_CODE_PROTOCOL);
    alk_err err = rv == GNUTLS_E_MEMORY_ERROR ? ALK_E_NOMEM : ALK_E_TLS;
    alk_conn_raise_closed(&t->conn, err, ALK_CODE_PROTOCOL, alk_span_str(gnutls_strerror(rv)));
}

/* --- the stream's wishes and its end ------------------------------------------------- */

static void check_reset(struct alk_tcp *t)
{
    struct alk_stream *s = &t->stream;
    if (s->is_reset && !s->is_tx_done) {
        s->is_reset_sent = true;
        alk_tcp_abort(t, ALK_OK, s->reset_code, ALK_LIT("reset"));
    } else if (s->is_stopped && !s->is_finished && !s->has_fin && !s->has_reset) {
        s->is_stop_sent = true;
        alk_tcp_abort(t, ALK_OK, s->stop_code, ALK_LIT("stopped"));
    } else if (s->is_stopped && !s->is_stop_sent && !t->is_rx_done) {
        /* Finished, and wants no more: what is queued still arrives, and what the
         * peer goes on to send is dropped for a while. */
        s->is_stop_sent = true;
        t->linger_end = t->now + ALK_TCP_LINGER;
    }
}

static bool is_consumed(const struct alk_stream *s)
{
    return alk_buf_len(&s->rx) == 0 || s->is_stopped || s->is_detached;
}

void alk_tcp_check_end(struct alk_tcp *t)
{
    struct alk_stream *s = &t->stream;
    if (t->state != ALK_TCP_OPEN || !t->has_stream) {
        return;
    }
    (void)alk_stream_take_credit(s); /* reading goes on by itself */
    check_reset(t);
    if (t->state != ALK_TCP_OPEN) {
        return;
    }
    bool is_tx_over = t->is_tx_done && alk_buf_len(&t->out) == 0;
    if (is_tx_over && !s->is_tx_done) {
        alk_stream_tx_done(s);
    }
    /* Data that waits for a slow handler keeps the stream. */
    if (!t->is_rx_done || !is_consumed(s)) {
        return;
    }
    if (t->late_err != ALK_OK) {
        alk_tcp_abort(t, t->late_err, 0, ALK_LIT("cut off"));
    } else if (is_tx_over) {
        drain(t);
        alk_stream_gone(s);
        alk_conn_raise_closed(&t->conn, ALK_OK, 0, alk_span(NULL, 0));
    }
}

/* --- the connection's end ------------------------------------------------------------- */

static bool send_code(struct alk_tcp *t, uint64_t code)
{
    for (size_t i = 0; i < CODE_ALERTS; i++) {
        if (code_alerts[i].code == code) {
            return gnutls_alert_send(t->tls.gs, GNUTLS_AL_FATAL, code_alerts[i].alert) >= 0;
        }
    }
    return false;
}

void alk_tcp_op_close(struct alk_conn *conn, uint64_t code, struct alk_span reason)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    (void)reason;
    if (t->state == ALK_TCP_HANDSHAKE) {
        over(t);
    } else if (t->state == ALK_TCP_OPEN) {
        if (t->has_stream && t->stream.is_finished) {
            alk_tcp_write(t); /* finish and close in one call: an end, where it fits */
        }
        if (t->state != ALK_TCP_OPEN) {
            return; /* writing broke it */
        }
        if (t->is_tx_done || (!t->hold_finished && send_code(t, code))) {
            drain(t);
        } else {
            t->is_abort = !t->hold_finished;
            over(t);
        }
    }
    if (t->options.wake != NULL) {
        t->options.wake(t->options.owner, conn);
    }
}

void alk_tcp_settle(struct alk_tcp *t)
{
    if (t->state == ALK_TCP_DRAINING && alk_buf_len(&t->out) == 0 && (t->is_eof || t->is_rx_done)) {
        over(t);
    }
    if (t->state == ALK_TCP_OVER && t->is_released && !t->is_told_over) {
        t->is_told_over = true;
        if (t->options.over != NULL) {
            t->options.over(t->options.owner, &t->conn);
        }
    }
}

void alk_tcp_op_release(struct alk_conn *conn)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    t->is_released = true;
    alk_tcp_settle(t);
}
