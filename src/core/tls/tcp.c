/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/tcp.h"

#include "base/mem.h"
#include "core/tls/tcp_impl.h"

#define HANDSHAKE_DEFAULT  (10 * ALK_SECOND)
#define IDLE_DEFAULT       (60 * ALK_SECOND)
#define KEEP_ALIVE_DEFAULT (20 * ALK_SECOND)

/* --- the hub's side ------------------------------------------------------------------ */

static alk_err op_open_stream(struct alk_conn *conn, struct alk_stream **ret)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    if (t->state != ALK_TCP_OPEN) {
        return t->state == ALK_TCP_HANDSHAKE ? ALK_E_STATE : ALK_E_CLOSED;
    }
    if (conn->is_server || t->was_opened || !t->has_stream) {
        return ALK_E_ONE_STREAM;
    }
    t->was_opened = true;
    *ret = &t->stream;
    return ALK_OK;
}

static void op_stream_dirty(struct alk_stream *s)
{
    struct alk_tcp *t = alk_tcp_of(s->conn);
    if (t->options.wake != NULL) {
        t->options.wake(t->options.owner, &t->conn);
    }
}

static void op_stream_free(struct alk_stream *s)
{
    struct alk_tcp *t = alk_tcp_of(s->conn);
    t->has_stream = false;
    alk_stream_fini(s);
}

static void op_stats(const struct alk_conn *conn, struct alk_conn_stats *ret)
{
    const struct alk_tcp *t = alk_tcp_of(conn);
    ret->bytes_in = t->bytes_in;
    ret->bytes_out = t->bytes_out;
}

static const struct alk_conn_ops ops = {
    .transport = ALK_TRANSPORT_TLS,
    .open_stream = op_open_stream,
    .stream_dirty = op_stream_dirty,
    .stream_free = op_stream_free,
    .close = alk_tcp_op_close,
    .stats = op_stats,
    .release = alk_tcp_op_release,
};

/* --- making and freeing --------------------------------------------------------------- */

static alk_time or_default(alk_time t, alk_time otherwise)
{
    return t == 0 ? otherwise : t;
}

static alk_time after(alk_time now, alk_time t)
{
    return t == ALK_NEVER ? ALK_NEVER : now + t;
}

static struct alk_tcp *make(const struct alk_tcp_options *options, alk_time now)
{
    struct alk_tcp *t = ALK_NEW(options->mem, struct alk_tcp);
    if (t == NULL) {
        return NULL;
    }
    t->options = *options;
    t->options.handshake_timeout = or_default(options->handshake_timeout, HANDSHAKE_DEFAULT);
    t->options.idle_timeout = or_default(options->idle_timeout, IDLE_DEFAULT);
    t->now = now;
    t->handshake_end = after(now, t->options.handshake_timeout);
    t->idle_end = after(now, t->options.idle_timeout);
    t->linger_end = ALK_NEVER;
    t->keep_alive = ALK_NEVER;
    t->keep_alive_at = ALK_NEVER;
    alk_buf_init(&t->in, options->mem, 2 * ALK_TCP_FEED_MAX);
    alk_buf_init(&t->out, options->mem, ALK_TCP_OUT_MAX);
    return t;
}

/* Last, when nothing can fail any more: the hub knows it from here on. */
static struct alk_conn *join(struct alk_tcp *t, bool is_server)
{
    alk_conn_init(&t->conn, &ops, t->options.hub);
    t->conn.is_server = is_server;
    t->conn.local = t->options.local;
    t->conn.remote = t->options.remote;
    alk_addr_print(&t->conn.local, true, t->conn.auth.local, sizeof t->conn.auth.local);
    alk_addr_print(&t->conn.remote, true, t->conn.auth.remote, sizeof t->conn.auth.remote);
    alk_tcp_setup_io(t);
    return &t->conn;
}

alk_err alk_tcp_server(const struct alk_tcp_options *options, struct alk_tls_server *server,
                       struct alk_tls_loop *loop, alk_time now, struct alk_conn **ret)
{
    struct alk_tcp *t = make(options, now);
    if (t == NULL) {
        return ALK_E_NOMEM;
    }
    alk_err err = alk_tls_session_server(&t->tls, server, loop, ALK_TRANSPORT_TLS);
    if (err != ALK_OK) {
        alk_free(options->mem, t);
        return err;
    }
    *ret = join(t, true);
    return ALK_OK;
}

alk_err alk_tcp_client(const struct alk_tcp_options *options, const struct alk_tcp_connect *connect,
                       alk_time now, struct alk_conn **ret)
{
    struct alk_tcp *t = make(options, now);
    if (t == NULL) {
        return ALK_E_NOMEM;
    }
    t->keep_alive = or_default(options->keep_alive, KEEP_ALIVE_DEFAULT);
    t->hold_finished = connect->hold_finished;
    t->tls.keylog = connect->keylog;
    t->tls.keylog_ctx = connect->keylog_ctx;
    alk_err err = alk_tls_session_client(&t->tls, connect->dial, connect->creds, ALK_TRANSPORT_TLS,
                                         connect->session);
    if (err != ALK_OK) {
        alk_free(options->mem, t);
        return err;
    }
    *ret = join(t, false);
    t->conn.handler = connect->handler;
    t->conn.service_state = connect->service_state;
    alk_tcp_handshake(t); /* makes the ClientHello */
    return ALK_OK;
}

void alk_tcp_free(struct alk_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    struct alk_tcp *t = alk_tcp_of(conn);
    if (t->has_stream) {
        op_stream_free(&t->stream);
    }
    const struct alk_mem *mem = t->options.mem;
    alk_conn_fini(conn);
    alk_tls_session_fini(&t->tls);
    alk_buf_fini(&t->in);
    alk_buf_fini(&t->out);
    alk_free_secret(mem, t, sizeof *t);
}

void *alk_tcp_owner(const struct alk_conn *conn)
{
    return alk_tcp_of(conn)->options.owner;
}

struct alk_tls_session *alk_tcp_session(struct alk_conn *conn)
{
    return &alk_tcp_of(conn)->tls;
}

/* --- turns ----------------------------------------------------------------------------- */

static void run(struct alk_tcp *t)
{
    if (t->state == ALK_TCP_HANDSHAKE) {
        alk_tcp_handshake(t);
    }
    alk_tcp_read(t);
    alk_tcp_write(t);
    alk_tcp_check_end(t);
}

bool alk_tcp_wants_input(const struct alk_conn *conn)
{
    const struct alk_tcp *t = alk_tcp_of(conn);
    if (t->is_eof || t->state == ALK_TCP_OVER) {
        return false;
    }
    if (t->state != ALK_TCP_OPEN || !t->has_stream) {
        return true;
    }
    return alk_buf_len(&t->in) == 0 && alk_buf_len(&t->stream.rx) < ALK_TCP_RX_HIGH;
}

alk_err alk_tcp_feed(struct alk_conn *conn, struct alk_span in, alk_time now)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    t->now = now;
    t->bytes_in += in.n;
    if (t->state == ALK_TCP_HANDSHAKE || t->state == ALK_TCP_OPEN) {
        t->idle_end = after(now, t->options.idle_timeout);
        t->feed = in;
        run(t);
        struct alk_span rest = t->feed;
        t->feed = alk_span(NULL, 0);
        /* After close_notify nothing counts [RFC 8446 §6.1] */
        if (rest.n > 0 && !t->is_rx_done && alk_buf_put(&t->in, rest) != ALK_OK) {
            alk_tcp_abort(t, ALK_E_LIMIT, ALK_CODE_LIMIT, ALK_LIT("fed beyond its room"));
        }
    }
    return alk_tcp_wants_input(conn) ? ALK_OK : ALK_FULL;
}

void alk_tcp_eof(struct alk_conn *conn, alk_time now)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    t->now = now;
    t->is_eof = true;
    run(t);
    alk_tcp_settle(t);
}

void alk_tcp_failed(struct alk_conn *conn, alk_err err, alk_time now)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    t->now = now;
    t->is_eof = true;
    bool is_tx_over = t->is_tx_done && alk_buf_len(&t->out) == 0;
    alk_buf_clear(&t->out); /* nobody will take it */
    t->is_holding = false;
    if (t->state == ALK_TCP_OPEN && t->has_stream && t->is_rx_done) {
        /* The peer's direction has ended well; only ours is broken. */
        if (!is_tx_over) {
            t->late_err = err;
            alk_stream_peer_stop(&t->stream, 0);
        }
        alk_tcp_check_end(t);
    } else {
        alk_tcp_abort(t, err, 0, alk_span_str(alk_err_text(err)));
    }
    alk_tcp_settle(t);
}

void alk_tcp_flush(struct alk_conn *conn, alk_time now)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    t->now = now;
    run(t);
    alk_tcp_settle(t);
}

struct alk_span alk_tcp_output(const struct alk_conn *conn)
{
    const struct alk_tcp *t = alk_tcp_of(conn);
    struct alk_span all = alk_buf_span(&t->out);
    return t->is_holding ? alk_span_head(all, t->shown) : all;
}

void alk_tcp_sent(struct alk_conn *conn, size_t n)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    ALK_ASSERT(!t->is_holding || n <= t->shown);
    alk_buf_consume(&t->out, n);
    t->shown -= t->is_holding ? n : 0;
    t->bytes_out += n;
    if (alk_buf_len(&t->out) == 0) {
        alk_buf_trim(&t->out);
    }
    if (n > 0) {
        t->idle_end = after(t->now, t->options.idle_timeout);
    }
    if (alk_buf_len(&t->out) <= ALK_TCP_OUT_LOW) {
        alk_tcp_write(t);
        alk_tcp_check_end(t);
    }
    alk_tcp_settle(t);
}

bool alk_tcp_wants_shutdown(const struct alk_conn *conn)
{
    const struct alk_tcp *t = alk_tcp_of(conn);
    return alk_buf_len(&t->out) == 0 && !t->is_abort &&
           (t->is_tx_done || t->state == ALK_TCP_DRAINING);
}

bool alk_tcp_wants_abort(const struct alk_conn *conn)
{
    return alk_tcp_of(conn)->is_abort;
}

void alk_tcp_release_finished(struct alk_conn *conn)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    t->hold_finished = false;
    if (t->is_holding) {
        t->is_holding = false;
        if (t->options.wake != NULL) {
            t->options.wake(t->options.owner, conn);
        }
    }
}

alk_err alk_tcp_client_session(struct alk_conn *conn, struct alk_buf *ret)
{
    return alk_tls_session_ticket(&alk_tcp_of(conn)->tls, ret);
}

/* --- time -------------------------------------------------------------------------------- */

static alk_time earlier(alk_time a, alk_time b)
{
    return a < b ? a : b;
}

alk_time alk_tcp_deadline(const struct alk_conn *conn)
{
    const struct alk_tcp *t = alk_tcp_of(conn);
    switch (t->state) {
    case ALK_TCP_HANDSHAKE:
        return t->handshake_end;
    case ALK_TCP_OPEN:
        return earlier(t->linger_end, earlier(t->idle_end, t->keep_alive_at));
    case ALK_TCP_DRAINING:
        return t->linger_end;
    case ALK_TCP_OVER:
        break;
    }
    return ALK_NEVER;
}

static void tick_open(struct alk_tcp *t)
{
    if (t->now >= t->linger_end) {
        alk_tcp_abort(t, ALK_OK, t->stream.stop_code, ALK_LIT("the peer went on sending"));
    } else if (t->now >= t->idle_end && !alk_tcp_wants_input(&t->conn)) {
        /* We are the ones who do not read; that says nothing about the peer. */
        t->idle_end = after(t->now, t->options.idle_timeout);
    } else if (t->now >= t->idle_end) {
        alk_tcp_abort(t, ALK_E_TIMEOUT, ALK_CODE_TIMEOUT, ALK_LIT("idle"));
    } else if (t->now >= t->keep_alive_at) {
        alk_tcp_send_empty(t);
    }
}

void alk_tcp_tick(struct alk_conn *conn, alk_time now)
{
    struct alk_tcp *t = alk_tcp_of(conn);
    t->now = now;
    if (t->state == ALK_TCP_HANDSHAKE && now >= t->handshake_end) {
        alk_tcp_abort(t, ALK_E_TIMEOUT, ALK_CODE_TIMEOUT, ALK_LIT("handshake took too long"));
    } else if (t->state == ALK_TCP_OPEN) {
        tick_open(t);
    } else if (t->state == ALK_TCP_DRAINING && now >= t->linger_end) {
        t->is_abort = true;
        alk_buf_clear(&t->out);
        t->is_eof = true;
    }
    alk_tcp_settle(t);
}
