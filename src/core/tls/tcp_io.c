/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes between GnuTLS, the socket's buffers and the stream. */
#include "core/tls/tcp_impl.h"

#include <errno.h>
#include <sys/uio.h> /* lint: system: struct iovec, no calls */

/* --- GnuTLS's transport ---------------------------------------------------------- */

static size_t pull_from(struct alk_span s, void *dst, size_t n)
{
    size_t k = s.n < n ? s.n : n;
    if (k > 0) {
        memcpy(dst, s.p, k);
    }
    return k;
}

static ssize_t on_pull(gnutls_transport_ptr_t ptr, void *dst, size_t n)
{
    struct alk_tcp *t = ptr;
    size_t k = pull_from(alk_buf_span(&t->in), dst, n);
    if (k > 0) {
        alk_buf_consume(&t->in, k);
        return (ssize_t)k;
    }
    k = pull_from(t->feed, dst, n);
    if (k > 0) {
        t->feed = alk_span_tail(t->feed, k);
        return (ssize_t)k;
    }
    if (t->is_eof) {
        return 0;
    }
    gnutls_transport_set_errno(t->tls.gs, EAGAIN);
    return -1;
}

static int on_pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
    const struct alk_tcp *t = ptr;
    (void)ms; /* never waits */
    return alk_tcp_has_input(t) || t->is_eof ? 1 : 0;
}

/* Never EAGAIN: GnuTLS's retry can send a record twice (reference/endpoint.md §5). */
static ssize_t on_push(gnutls_transport_ptr_t ptr, const giovec_t *iov, int count)
{
    struct alk_tcp *t = ptr;
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        alk_err err = alk_buf_put(&t->out, alk_span(iov[i].iov_base, iov[i].iov_len));
        if (err != ALK_OK) {
            t->push_err = err == ALK_E_TOO_BIG ? ALK_E_LIMIT : err;
            gnutls_transport_set_errno(t->tls.gs, EPIPE);
            return -1;
        }
        n += iov[i].iov_len;
    }
    return (ssize_t)n;
}

void alk_tcp_setup_io(struct alk_tcp *t)
{
    gnutls_transport_set_ptr(t->tls.gs, t);
    gnutls_transport_set_pull_function(t->tls.gs, on_pull);
    gnutls_transport_set_pull_timeout_function(t->tls.gs, on_pull_timeout);
    gnutls_transport_set_vec_push_function(t->tls.gs, on_push);
}

/* --- in ----------------------------------------------------------------------------- */

static bool wants_records(const struct alk_tcp *t)
{
    return t->state == ALK_TCP_OPEN && t->has_stream && !t->is_rx_done &&
           alk_buf_len(&t->stream.rx) < ALK_TCP_RX_HIGH;
}

/* One record. False: nothing more can be read now. */
static bool read_record(struct alk_tcp *t)
{
    gnutls_packet_t packet = NULL;
    size_t before = alk_buf_len(&t->in) + t->feed.n;
    ssize_t n = gnutls_record_recv_packet(t->tls.gs, &packet);
    if (n > 0) {
        gnutls_datum_t data;
        gnutls_packet_get(packet, &data, NULL);
        alk_err err = alk_stream_rx(&t->stream, alk_span(data.data, data.size), false);
        gnutls_packet_deinit(packet);
        if (err != ALK_OK) {
            alk_tcp_abort(t, err, alk_err_code(err), alk_span_str(alk_err_text(err)));
        }
        return err == ALK_OK;
    }
    if (packet != NULL) {
        gnutls_packet_deinit(packet);
    }
    if (n == 0) { /* close_notify */
        t->is_rx_done = true;
        alk_err err = alk_stream_rx(&t->stream, alk_span(NULL, 0), true);
        (void)err; /* an end needs no room */
        return false;
    }
    if (gnutls_error_is_fatal((int)n) != 0) {
        alk_tcp_break(t, (int)n);
        return false;
    }
    /* EAGAIN also stands for an empty record and for handshake messages, with more
     * input behind them: until nothing is taken any more. */
    return alk_buf_len(&t->in) + t->feed.n < before;
}

void alk_tcp_read(struct alk_tcp *t)
{
    while (wants_records(t) && read_record(t)) {
    }
}

/* --- out ---------------------------------------------------------------------------- */

static bool may_encrypt(const struct alk_tcp *t)
{
    return t->state == ALK_TCP_OPEN && t->has_stream && !t->is_tx_done && !t->stream.is_reset &&
           !t->stream.peer_stopped && alk_buf_len(&t->out) < ALK_TCP_OUT_HIGH;
}

/* Up to one record of plain text, in place if it is contiguous, else gathered. */
static struct alk_span gather(const struct alk_tcp *t, uint8_t *dst, bool *ret_fin)
{
    struct alk_span vec[16];
    bool has_end = false;
    size_t count = alk_stream_tx_vec(&t->stream, vec, sizeof vec / sizeof vec[0], &has_end);
    *ret_fin = has_end && count == 0;
    if (count == 0) {
        return alk_span(NULL, 0);
    }
    if (count == 1 || vec[0].n >= ALK_TCP_RECORD) {
        return alk_span_head(vec[0], ALK_TCP_RECORD);
    }
    size_t n = 0;
    for (size_t i = 0; i < count && n < ALK_TCP_RECORD; i++) {
        struct alk_span part = alk_span_head(vec[i], ALK_TCP_RECORD - n);
        memcpy(dst + n, part.p, part.n);
        n += part.n;
    }
    return alk_span(dst, n);
}

static void touch_keep_alive(struct alk_tcp *t)
{
    t->keep_alive_at = t->keep_alive == ALK_NEVER ? ALK_NEVER : t->now + t->keep_alive;
}

/* False: nothing to send, or broken. */
static bool write_record(struct alk_tcp *t)
{
    uint8_t record[ALK_TCP_RECORD];
    bool is_end = false;
    struct alk_span data = gather(t, record, &is_end);
    if (data.n > 0) {
        ssize_t n = gnutls_record_send(t->tls.gs, data.p, data.n);
        if (n <= 0) {
            alk_tcp_break(t, n == 0 ? GNUTLS_E_INTERNAL_ERROR : (int)n);
            return false;
        }
        alk_stream_tx_sent(&t->stream, (size_t)n, false);
        alk_stream_tx_acked(&t->stream, t->stream.tx.sent); /* it was copied */
        touch_keep_alive(t);
        return true;
    }
    if (!is_end) {
        return false;
    }
    int rv = gnutls_bye(t->tls.gs, GNUTLS_SHUT_WR);
    if (rv < 0) {
        alk_tcp_break(t, rv);
        return false;
    }
    t->is_tx_done = true;
    alk_stream_tx_sent(&t->stream, 0, true);
    return false;
}

void alk_tcp_write(struct alk_tcp *t)
{
    while (may_encrypt(t) && write_record(t)) {
    }
}

void alk_tcp_send_empty(struct alk_tcp *t)
{
    if (may_encrypt(t)) {
        /* A key update that the peer asked for goes first and then refuses to be
         * followed by nothing; it is a sign of life too. */
        ssize_t n = gnutls_record_send2(t->tls.gs, "", 0, 1, 0);
        if (n < 0 && n != GNUTLS_E_INVALID_REQUEST && gnutls_error_is_fatal((int)n) != 0) {
            alk_tcp_break(t, (int)n);
        }
    }
    touch_keep_alive(t);
}
