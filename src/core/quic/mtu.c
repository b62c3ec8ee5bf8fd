/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How large packets are. A path is taken to carry 1200 bytes; more than that only
 * when a probe of ngtcp2's came through [RFC 9000 §14.3].
 *
 * ngtcp2 1.11 never takes back what it has found. When the path comes to carry less
 * it loses and repeats the same large packets until the connection is idle. So we
 * look for streams and datagrams that do not get on, and cap the size for a while. */
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
#define BASE     ((size_t)NGTCP2_MAX_UDP_PAYLOAD_SIZE)
#define ETHERNET ((size_t)(1500 - IPV6_UDP))

/* What a connection says that needs no larger packets: a handshake, with a chain of
 * certificates, and some small answers. */
#define LITTLE ((uint64_t)8 << 10)

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
    return c->mtu.cap != 0 && c->mtu.cap < max ? c->mtu.cap : max;
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
 * or declared lost. What an Ethernet carries is tried when the connection has said more
 * than a little, or has datagrams, whose size it limits. More is of use only to
 * connections that send much: those have outgrown the first window, and a lost probe
 * takes no more than half of what is left of theirs. */
size_t alk_qmtu_offer(const struct alk_qconn *c)
{
    size_t usual = alk_qmtu_path(c);
    if (c->q->o.mtu != 0 || c->mtu.cap != 0) {
        return usual;
    }
    if (usual < ETHERNET) {
        return c->bytes_out > LITTLE || c->mtu.has_dgrams ? ETHERNET : usual;
    }
    size_t large = large_above(usual);
    bool is_wanted = large != 0 && (c->mtu.refused == 0 || large < c->mtu.refused) &&
                     ngtcp2_conn_get_cwnd_left(c->nc) >= 2 * large;
    return is_wanted ? large : usual;
}

/* --- paths that become smaller [RFC 8899 §4.4] -------------------------------------- */

#define LOOK_EVERY    (100 * ALK_MS)
/* The least time in which nothing gets on; four probe time-outs fit into six of the
 * first. */
#define PATIENCE      ALK_SECOND
#define PATIENCE_PTOS 6
/* Of the first cap; each is four times as long as the one before it, up to about the
 * ten minutes after which a path may be searched again [RFC 8899 §5.1.1]. */
#define CAP_TIME      (10 * ALK_SECOND)
#define CAPS_MAX      4u
#define CAP_TIME_MAX  (640 * ALK_SECOND)
#define DGRAMS_MIN    8u
/* Bytes that get on when packets are large again and show that these come through. */
#define PROOF         ((uint64_t)256 << 10)

static alk_time patience(const struct alk_qconn *c)
{
    alk_time t = PATIENCE_PTOS * ngtcp2_conn_get_pto(c->nc);
    return t > PATIENCE ? t : PATIENCE;
}

static void cap(struct alk_qconn *c)
{
    struct alk_qmtu *m = &c->mtu;
    alk_time now = c->q->now;
    if (m->caps > 0 && now > m->cap_until + CAP_TIME_MAX) {
        m->caps = 0; /* it has been well for long: this is something new */
    }
    m->caps += m->caps < CAPS_MAX ? 1 : 0;
    m->cap = BASE;
    m->cap_until = now + (CAP_TIME << 2 * (m->caps - 1));
    m->since = 0;
    m->dgrams = 0;
}

/* What is acknowledged at first was sent in small packets yet. */
static void uncap(struct alk_qconn *c)
{
    c->mtu.cap = 0;
    c->mtu.passed = 0;
    c->mtu.proof_from = c->q->now + patience(c);
}

/* An outage was no smaller path: the next one costs no more than the first. */
void alk_qmtu_passed(struct alk_qconn *c, uint64_t n)
{
    struct alk_qmtu *m = &c->mtu;
    if (m->caps > 0 && m->cap == 0 && c->q->now >= m->proof_from) {
        m->passed += n;
        m->caps = m->passed >= PROOF ? 0 : m->caps;
    }
}

static uint64_t in_flight(const struct alk_qstream *s)
{
    bool is_over = s->base.is_reset || s->base.is_tx_done;
    return is_over ? 0 : s->base.tx.sent - s->acked;
}

static bool is_stuck(const struct alk_qconn *c)
{
    const struct alk_qstream *s = c->mtu.since == 0 ? NULL : alk_qids_find(c, c->mtu.id);
    return s != NULL && in_flight(s) > 0 && s->acked == c->mtu.acked;
}

/* The stream with the most bytes in flight is the one to look at. */
static void choose(struct alk_qconn *c)
{
    uint64_t most = 0;
    c->mtu.since = 0;
    for (struct alk_link *e = alk_list_first(&c->base.streams); e != NULL;
         e = alk_list_next(&c->base.streams, e)) {
        const struct alk_qstream *s = alk_qstream(ALK_CONTAINER(e, struct alk_stream, all));
        uint64_t n = in_flight(s);
        if (n > most) {
            most = n;
            c->mtu.id = s->base.id;
            c->mtu.acked = s->acked;
            c->mtu.since = c->q->now;
        }
    }
}

/* Called whenever something is sent: also when ngtcp2's timer has run out because
 * nothing was acknowledged. Acknowledgements of small packets do not deceive it. A
 * peer or a network that was silent for other reasons does: that costs some time of
 * small packets. */
void alk_qmtu_watch(struct alk_qconn *c)
{
    struct alk_qmtu *m = &c->mtu;
    alk_time now = c->q->now;
    if (now < m->look_at || c->q->o.mtu != 0) {
        return;
    }
    m->look_at = now + LOOK_EVERY;
    if (m->cap != 0 && now >= m->cap_until) {
        uncap(c);
    }
    if (alk_qmtu_path(c) <= BASE) {
        return;
    }
    if (m->dgrams >= DGRAMS_MIN && now >= m->dgrams_until) {
        cap(c);
    } else if (!is_stuck(c)) {
        choose(c);
    } else if (now - m->since >= patience(c)) {
        cap(c);
    }
}

/* Lost datagrams are not repeated: small probes of ngtcp2's are acknowledged in their
 * stead, and it takes their loss for persistent congestion and forgets the round trip
 * time. So what is patient enough is decided now. */
void alk_qmtu_dgram_sent(struct alk_qconn *c)
{
    if (c->mtu.dgrams == 0) {
        c->mtu.dgrams_until = c->q->now + patience(c);
    }
    c->mtu.dgrams++;
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
        c->mtu.refused = batch->segment > ETHERNET ? batch->segment : 0;
        return;
    }
    cap(c);
    alk_qconn_mark(c);
}
