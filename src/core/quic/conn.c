/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/mem.h"

/* Enough for migration; each costs memory on both sides. */
#define CID_LIMIT 4

static void stats(const struct alk_conn *conn, struct alk_conn_stats *ret)
{
    const struct alk_qconn *c = alk_qconn(conn);
    *ret = (struct alk_conn_stats){.struct_size = sizeof *ret,
                                   .bytes_in = c->bytes_in,
                                   .bytes_out = c->bytes_out,
                                   .streams_opened = conn->streams_opened,
                                   .datagrams_dropped = conn->dgrams_dropped};
    if (c->nc != NULL) {
        ngtcp2_conn_info info;
        ngtcp2_conn_get_conn_info(c->nc, &info);
        bool has_rtt = info.min_rtt != UINT64_MAX;
        ret->rtt = has_rtt ? info.smoothed_rtt : 0;
        ret->min_rtt = has_rtt ? info.min_rtt : 0;
        ret->path_mtu = (uint32_t)alk_qmtu_path(c);
    }
}

static void release(struct alk_conn *conn)
{
    struct alk_qconn *c = alk_qconn(conn);
    ALK_ASSERT(!c->is_released);
    c->is_released = true;
    c->tls.keylog = NULL; /* whoever writes it may go away now */
    alk_conn_fini(conn);
    alk_qconn_unlink(c);
}

static void ops_close(struct alk_conn *conn, uint64_t code, struct alk_span reason)
{
    alk_qconn_finish(alk_qconn(conn), ALK_OK, code, reason);
}

static void identity_known(struct alk_conn *conn)
{
    alk_qconn_check_identity(alk_qconn(conn));
}

const struct alk_conn_ops alk_qconn_ops = {
    .transport = ALK_TRANSPORT_QUIC,
    .open_stream = alk_qconn_open_stream,
    .stream_dirty = alk_qconn_stream_dirty,
    .stream_free = alk_qconn_stream_free,
    .datagram = alk_qconn_datagram,
    .datagram_max = alk_qconn_datagram_max,
    .close = ops_close,
    .stats = stats,
    .identity_known = identity_known,
    .release = release,
};

static void link_in(struct alk_qconn *c)
{
    struct alk_quic *q = c->q;
    alk_list_append(&q->all, &c->all);
    q->live_count++;
    c->is_handshaking = true;
    if (c->base.is_server) {
        q->serving++;
        q->handshaking++;
        alk_list_append(&q->anon, &c->anon);
    }
}

struct alk_qconn *alk_qconn_new(struct alk_quic *q, bool is_server, const struct alk_addr *local,
                                const struct alk_addr *remote)
{
    if (alk_heap_reserve(&q->timers, 1) != ALK_OK) {
        return NULL;
    }
    struct alk_qconn *c = ALK_NEW(q->mem, struct alk_qconn);
    if (c == NULL) {
        return NULL;
    }
    c->q = q;
    c->base.mem = q->mem;
    c->base.is_server = is_server;
    c->base.local = *local;
    c->base.remote = *remote;
    c->hold_until = ALK_NEVER;
    c->keep_alive = q->limits.keep_alive;
    alk_qmem_init(c);
    alk_list_init(&c->dirty);
    alk_list_init(&c->sendq);
    alk_buf_init(&c->new_token, q->mem, 512);
    alk_conn_init(&c->base, &alk_qconn_ops, q->o.hub);
    c->base.auth.struct_size = sizeof c->base.auth;
    c->base.auth.transport = ALK_TRANSPORT_QUIC;
    alk_addr_print(local, true, c->base.auth.local, sizeof c->base.auth.local);
    alk_addr_print(remote, true, c->base.auth.remote, sizeof c->base.auth.remote);
    link_in(c);
    alk_qconn_set_timer(c, ALK_NEVER);
    return c;
}

static void write_qlog(void *user, uint32_t flags, const void *data, size_t n)
{
    struct alk_qconn *c = user;
    c->q->o.qlog(c->q->o.qlog_ctx, &c->base, alk_span(data, n),
                 (flags & NGTCP2_QLOG_WRITE_FLAG_FIN) != 0);
}

static const uint32_t v1_first[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};
static const uint32_t v2_first[] = {NGTCP2_PROTO_VER_V2, NGTCP2_PROTO_VER_V1};

static void set_versions(const struct alk_qconn *c, ngtcp2_settings *s)
{
    uint32_t first = c->base.is_server ? c->q->o.prefer_version : c->version;
    const uint32_t *list = first == NGTCP2_PROTO_VER_V2 ? v2_first : v1_first;
    s->preferred_versions = list;
    s->preferred_versionslen = 2;
    s->available_versions = list;
    s->available_versionslen = 2;
    s->original_version = c->original_version;
}

/* Ack-eliciting packets after which an acknowledgement is due. It rides with an answer
 * only if it is due by then, and costs a packet of its own, an eighth of a round trip
 * later, if not. So a server, which answers, takes one; a client takes the two that
 * [RFC 9000 §13.2.2] recommends to save the way up, of which a loopback has plenty. */
static size_t ack_after(const struct alk_qconn *c)
{
    return c->base.is_server || alk_addr_is_loopback(&c->base.remote) ? 1 : 2;
}

void alk_qconn_settings(struct alk_qconn *c, ngtcp2_settings *ret)
{
    const struct alk_quic *q = c->q;
    c->conn_window = q->limits.conn_window;
    c->stream_window_max = q->limits.stream_window_max;
    ngtcp2_settings_default(ret);
    ret->initial_ts = q->now;
    ret->cc_algo = NGTCP2_CC_ALGO_CUBIC;
    ret->handshake_timeout = q->limits.handshake_timeout;
    ret->max_window = q->limits.conn_window;
    ret->max_stream_window = q->limits.stream_window_max;
    ret->rand_ctx.native_handle = c->q;
    ret->qlog_write = q->o.qlog == NULL ? NULL : write_qlog;
    set_versions(c, ret);
    alk_qmtu_settings(q, ret);
    ret->ack_thresh = ack_after(c);
}

void alk_qconn_params(struct alk_qconn *c, ngtcp2_transport_params *ret)
{
    const struct alk_quic_limits *l = &c->q->limits;
    c->streams_full = l->streams;
    c->streams_base = c->base.is_server ? l->streams_without_identity : l->streams;
    ngtcp2_transport_params_default(ret);
    ret->initial_max_stream_data_bidi_local = l->stream_window;
    ret->initial_max_stream_data_bidi_remote = l->stream_window;
    ret->initial_max_data = l->conn_window;
    ret->initial_max_streams_bidi = c->streams_base;
    ret->max_idle_timeout = l->idle_timeout == ALK_NEVER ? 0 : l->idle_timeout;
    ret->active_connection_id_limit = CID_LIMIT;
    ret->max_datagram_frame_size = l->datagram_max <= 1 ? 0 : l->datagram_max;
    ret->grease_quic_bit = 1;
}

void alk_qconn_describe(struct alk_qconn *c)
{
    struct alk_conn *conn = &c->base;
    alk_tls_session_describe(&c->tls, &conn->auth);
    if (conn->service == NULL && c->tls.service != NULL) {
        conn->service = alk_service_ref(c->tls.service);
        conn->handler = conn->service->handler;
        conn->service_state = conn->service->state;
    }
}

void alk_qconn_open(struct alk_qconn *c, bool is_early)
{
    if (c->is_open_raised) {
        return;
    }
    c->is_open_raised = true;
    alk_qconn_describe(c);
    c->base.auth.is_early = is_early;
    alk_conn_raise(&c->base, ALK_CONN_HANDSHAKE);
}

void alk_qconn_confirm(struct alk_qconn *c)
{
    c->base.auth.is_early = false;
    c->base.auth.is_confirmed = true;
    alk_conn_raise(&c->base, ALK_CONN_CONFIRMED);
}

void alk_qconn_check_identity(struct alk_qconn *c)
{
    if (!alk_link_is_in(&c->anon) || c->base.auth.identity == NULL) {
        return;
    }
    alk_list_remove(&c->anon);
    if (c->nc != NULL && c->streams_full > c->streams_base) {
        ngtcp2_conn_extend_max_streams_bidi(c->nc, (size_t)(c->streams_full - c->streams_base));
        alk_qconn_mark(c);
    }
}

void alk_qconn_unlink(struct alk_qconn *c)
{
    struct alk_quic *q = c->q;
    if (!c->is_released || c->phase != ALK_Q_OVER) {
        return;
    }
    ALK_ASSERT(c->nc == NULL && !alk_link_is_in(&c->work));
    alk_list_remove(&c->all);
    alk_heap_remove(&q->timers, &c->timer);
    alk_free(q->mem, c);
}

void alk_qconn_arm(struct alk_qconn *c)
{
    if (c->phase != ALK_Q_LIVE) {
        return;
    }
    alk_qconn_set_timer(c, c->is_held ? c->hold_until : ngtcp2_conn_get_expiry(c->nc));
}

void alk_qconn_timeout(struct alk_qconn *c)
{
    if (c->phase != ALK_Q_LIVE) {
        alk_qconn_bury(c);
        return;
    }
    if (c->close.is_pending) {
        return; /* waits for its turn to send */
    }
    if (c->is_held) {
        alk_qconn_failed(c, NGTCP2_ERR_HANDSHAKE_TIMEOUT);
        return;
    }
    int rv = ngtcp2_conn_handle_expiry(c->nc, c->q->now);
    if (rv != 0) {
        alk_qconn_failed(c, rv);
        return;
    }
    alk_qconn_mark(c);
}

void alk_quic_ping(struct alk_conn *conn)
{
    struct alk_qconn *c = alk_qconn(conn);
    c->wants_ping = true;
    alk_qconn_mark(c);
}

alk_err alk_quic_update_key(struct alk_conn *conn, alk_time now)
{
    struct alk_qconn *c = alk_qconn(conn);
    alk_quic_clock(c->q, now);
    if (c->phase != ALK_Q_LIVE || c->close.is_pending) {
        return ALK_E_CLOSED;
    }
    if (!c->base.auth.is_confirmed) {
        return ALK_E_STATE; /* [RFC 9001 §6] not before the handshake is confirmed */
    }
    c->wants_new_keys = true;
    alk_qconn_mark(c);
    return ALK_OK;
}
