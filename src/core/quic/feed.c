/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

/* Offset of the destination ID in a long header: first byte, version, length. */
#define LONG_DCID_AT 6
#define LONG_DCIDLEN_AT 5

static bool is_long(struct alk_span d)
{
    return d.n > 0 && (d.p[0] & 0x80) != 0;
}

/* The part of the datagram that could be one of our IDs; empty: none. */
static struct alk_span own_cid(struct alk_span d)
{
    if (!is_long(d)) {
        return alk_span_head(alk_span_tail(d, 1), ALK_QUIC_CID_LEN);
    }
    if (d.n < LONG_DCID_AT + ALK_QUIC_CID_LEN || d.p[LONG_DCIDLEN_AT] != ALK_QUIC_CID_LEN) {
        return alk_span(NULL, 0);
    }
    return alk_span(d.p + LONG_DCID_AT, ALK_QUIC_CID_LEN);
}

uint8_t alk_quic_owner(const struct alk_quic *q, struct alk_span datagram)
{
    struct alk_span cid = own_cid(datagram);
    if (cid.n != ALK_QUIC_CID_LEN || cid.p[0] == q->o.loop_id || q->o.is_loop_alive == NULL ||
        !q->o.is_loop_alive(q->o.loops_ctx, cid.p[0])) {
        return q->o.loop_id;
    }
    /* A client's random ID may look like another loop's; a known one is ours. */
    return alk_qcids_find(q, cid.p, cid.n) != NULL ? q->o.loop_id : cid.p[0];
}

/* A ClientHello in pieces, from an address that nobody has proved: ngtcp2 wants to
 * forget it and ask for a Retry. */
static void retry_instead(struct alk_qconn *c, const ngtcp2_path_storage *ps, struct alk_span data)
{
    ngtcp2_pkt_hd hd;
    if (ngtcp2_accept(&hd, data.p, data.n) == 0) {
        alk_qstray_retry(c->q, ps, &hd);
    }
    alk_conn_raise_closed(&c->base, ALK_E_CLOSED, ALK_CODE_NONE, alk_span(NULL, 0));
    alk_qconn_end(c, ALK_Q_OVER);
    alk_qconn_unlink(c);
}

void alk_qconn_read(struct alk_qconn *c, const ngtcp2_path_storage *ps, const ngtcp2_pkt_info *pi,
                    struct alk_span data)
{
    struct alk_quic *q = c->q;
    c->bytes_in += data.n;
    if (c->phase != ALK_Q_LIVE) {
        alk_qconn_late(c, ps, data.n);
        return;
    }
    if (c->close.is_pending) {
        return; /* its streams are gone: no callback may run any more */
    }
    alk_qstops_begin(c);
    int rv = ngtcp2_conn_read_pkt(c->nc, &ps->path, pi, data.p, data.n, q->now);
    alk_qstops_end(c, rv == 0);
    if (rv == NGTCP2_ERR_RETRY) {
        retry_instead(c, ps, data);
        return;
    }
    if (rv != 0) {
        alk_qconn_failed(c, rv);
        return;
    }
    c->is_conn_blocked = false;
    if (c->is_session_due) {
        c->is_session_due = false;
        alk_tls_session_drop(&c->tls);
        ngtcp2_conn_set_tls_native_handle(c->nc, NULL);
    }
    if (c->is_held) {
        alk_list_remove(&c->work);
        alk_qconn_arm(c);
        return;
    }
    alk_qconn_mark(c);
}

static void stray(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_info *pi,
                  struct alk_span data)
{
    if (is_long(data)) {
        alk_qaccept(q, ps, pi, data);
        return;
    }
    alk_qstray_short(q, ps, data);
}

void alk_quic_feed(struct alk_quic *q, const struct alk_addr *local, const struct alk_addr *remote,
                   uint8_t ecn, struct alk_span data, alk_time now)
{
    ngtcp2_path_storage ps;
    ngtcp2_version_cid vc;
    ngtcp2_pkt_info pi = {.ecn = ecn & NGTCP2_ECN_MASK};

    alk_quic_clock(q, now);
    q->stats.datagrams_in++;
    q->stats.bytes_in += data.n;
    if (data.n == 0) {
        q->stats.dropped_garbage++;
        return;
    }
    alk_qpath_set(&ps, local, remote);
    int rv = ngtcp2_pkt_decode_version_cid(&vc, data.p, data.n, ALK_QUIC_CID_LEN);
    if (rv == NGTCP2_ERR_VERSION_NEGOTIATION) {
        alk_qstray_versions(q, &ps, &vc, data.n);
        return;
    }
    if (rv != 0 || vc.dcidlen > NGTCP2_MAX_CIDLEN) {
        q->stats.dropped_garbage++;
        return;
    }
    struct alk_qconn *c = alk_qcids_find(q, vc.dcid, vc.dcidlen);
    if (c == NULL) {
        stray(q, &ps, &pi, data);
    } else {
        alk_qconn_read(c, &ps, &pi, data);
    }
    if (q->memory > q->limits.memory + q->doomed) {
        alk_quic_shed(q);
    }
}
