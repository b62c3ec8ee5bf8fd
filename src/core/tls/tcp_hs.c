/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The handshake, until the stream exists. */
#include "core/tls/tcp_impl.h"

/* Warnings that are skipped in one call; each was a record of the peer's. */
enum { WARNINGS_MAX = 16 };

static void start_stream(struct alk_tcp *t)
{
    /* The server's side of it is announced to the handler at once, so that a
     * protocol in which the server speaks first works. */
    t->stream.is_local = !t->conn.is_server;
    alk_stream_init(&t->stream, &t->conn, 0, ALK_TCP_RX_MAX);
    t->has_stream = true;
}

static alk_err take_service(struct alk_tcp *t)
{
    struct alk_conn *conn = &t->conn;
    if (!conn->is_server) {
        return ALK_OK;
    }
    if (t->tls.service == NULL) {
        return ALK_E_INTERNAL;
    }
    conn->service = alk_service_ref(t->tls.service);
    conn->handler = conn->service->handler;
    conn->service_state = conn->service->state;
    return alk_tls_session_send_ticket(&t->tls);
}

static void complete(struct alk_tcp *t)
{
    alk_err err = take_service(t);
    if (err != ALK_OK) {
        alk_tcp_abort(t, err, alk_err_code(err), alk_span_str(alk_err_text(err)));
        return;
    }
    alk_tls_session_describe(&t->tls, &t->conn.auth);
    t->conn.auth.is_confirmed = true;
    t->state = ALK_TCP_OPEN;
    t->handshake_end = ALK_NEVER;
    t->keep_alive_at = t->keep_alive == ALK_NEVER ? ALK_NEVER : t->now + t->keep_alive;
    start_stream(t);
    alk_conn_raise(&t->conn, ALK_CONN_HANDSHAKE | ALK_CONN_CONFIRMED);
}

void alk_tcp_handshake(struct alk_tcp *t)
{
    for (int i = 0; i < WARNINGS_MAX && t->state == ALK_TCP_HANDSHAKE; i++) {
        size_t before = alk_buf_len(&t->out);
        int rv = gnutls_handshake(t->tls.gs);
        if (rv == GNUTLS_E_SUCCESS) {
            /* What the last step of a client made is its Finished (and its
             * certificate): a racing connection shows it only when it has won. */
            t->is_holding = t->hold_finished;
            t->shown = before;
            complete(t);
            return;
        }
        if (rv == GNUTLS_E_AGAIN || rv == GNUTLS_E_INTERRUPTED) {
            return;
        }
        if (gnutls_error_is_fatal(rv) != 0) {
            alk_tcp_fail_handshake(t, rv);
            return;
        }
    }
    if (t->state == ALK_TCP_HANDSHAKE) {
        alk_tcp_fail_handshake(t, GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS);
    }
}
