/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How large packets are. A path is taken to carry 1200 bytes; more than that only
 * when a probe of ngtcp2's came through [RFC 9000 §14.3]. */
#include "core/quic/internal.h"

#define IPV6_UDP 48u /* bytes of both headers */

/* What is tried, in this order. ngtcp2 sends each up to three times, leaves out what
 * is not above the largest that came through, and what is not below the smallest that
 * did not: so Ethernet takes two probes, and those behind the large ones are for paths
 * that even one of the first two is too large for. */
static const uint16_t probes[] = {
    1450 - IPV6_UDP,  /* VXLAN within 1500; 1454 and 1460 are met as well */
    1500 - IPV6_UDP,  /* Ethernet */
    8896 - IPV6_UDP,  /* jumbo frames of 9000, with room for a tunnel */
    16384 - IPV6_UDP, /* loopback: four of them are one batch */
    1492 - IPV6_UDP,  /* PPPoE */
    1420 - IPV6_UDP,  /* WireGuard */
    1390 - IPV6_UDP,  /* other tunnels */
    1280 - IPV6_UDP,  /* the least that IPv6 allows */
};
#define ETHERNET ((size_t)(1500 - IPV6_UDP))

void alk_qmtu_settings(const struct alk_quic *q, ngtcp2_settings *ret)
{
    if (q->o.mtu != 0) {
        ret->no_pmtud = 1;
        ret->max_tx_udp_payload_size = q->o.mtu;
        ret->no_tx_udp_payload_size_shaping = 1;
        return;
    }
    ret->pmtud_probes = probes;
    ret->pmtud_probeslen = sizeof probes / sizeof probes[0];
    ret->max_tx_udp_payload_size = ALK_QMTU_MAX;
}

size_t alk_qmtu_path(const struct alk_qconn *c)
{
    size_t max = ngtcp2_conn_get_path_max_tx_udp_payload_size(c->nc);
    return c->mtu_cap != 0 && c->mtu_cap < max ? c->mtu_cap : max;
}

/* The next of the large ones; 0: none. */
static size_t large_above(size_t size)
{
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (probes[i] > ETHERNET && probes[i] > size) {
            return probes[i];
        }
    }
    return 0;
}

/* ngtcp2 sends a probe as soon as it is offered room for it, unless the congestion
 * window is full; then the probe counts against the window until it is acknowledged
 * or declared lost. What an Ethernet carries is tried at once. More is of use only to
 * connections that send much: those have outgrown the first window, and a lost probe
 * takes no more than half of what is left of theirs. */
size_t alk_qmtu_offer(const struct alk_qconn *c)
{
    size_t usual = alk_qmtu_path(c);
    if (c->q->o.mtu != 0 || c->mtu_cap != 0) {
        return usual;
    }
    if (usual < ETHERNET) {
        return ETHERNET;
    }
    size_t large = large_above(usual);
    bool is_wanted = large != 0 && (c->mtu_refused == 0 || large < c->mtu_refused) &&
                     ngtcp2_conn_get_cwnd_left(c->nc) >= 2 * large;
    return is_wanted ? large : usual;
}

void alk_quic_too_big(struct alk_quic *q, const struct alk_quic_batch *batch)
{
    struct alk_conn *conn = batch->serial == 0 ? NULL : alk_hub_find(q->o.hub, batch->serial);
    if (conn == NULL || conn->ops != &alk_qconn_ops) {
        return;
    }
    struct alk_qconn *c = alk_qconn(conn);
    if (c->q != q || c->phase != ALK_Q_LIVE) {
        return;
    }
    if (batch->segment > ngtcp2_conn_get_path_max_tx_udp_payload_size(c->nc)) {
        /* A probe: ngtcp2 takes its loss for the answer. A large one need not be
         * refused twice more; the small ones have others behind them. */
        c->mtu_refused = batch->segment > ETHERNET ? batch->segment : 0;
        return;
    }
    c->mtu_cap = NGTCP2_MAX_UDP_PAYLOAD_SIZE;
    alk_qconn_mark(c);
}
