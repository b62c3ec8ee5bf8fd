/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/mem.h"

/* Short header with a 20-byte ID and a 4-byte number, tag, frame type and length:
 * what a packet spends before a datagram's first byte. */
#define OVERHEAD       ((size_t)(1 + NGTCP2_MAX_CIDLEN + 4 + 16 + 1 + 4))
/* In early data a long header: version, both IDs and their lengths, its own length. */
#define OVERHEAD_EARLY (OVERHEAD + 4 + 1 + 1 + NGTCP2_MAX_CIDLEN + 4)

bool alk_qdgram_is_large(size_t n)
{
    return n > NGTCP2_MAX_UDP_PAYLOAD_SIZE - OVERHEAD;
}

static bool can(const struct alk_qconn *c)
{
    return c->phase == ALK_Q_LIVE && !c->close.is_pending &&
           ngtcp2_conn_get_remote_transport_params(c->nc) != NULL;
}

size_t alk_qconn_datagram_max(const struct alk_conn *conn)
{
    const struct alk_qconn *c = alk_qconn(conn);
    if (!can(c)) {
        return 0;
    }
    uint64_t peer = ngtcp2_conn_get_remote_transport_params(c->nc)->max_datagram_frame_size;
    bool is_early = !conn->is_server && !c->is_handshake_done;
    size_t path = alk_qmtu_path(c) - (is_early ? OVERHEAD_EARLY : OVERHEAD);
    if (peer <= 5) {
        return 0;
    }
    return peer - 5 < path ? (size_t)(peer - 5) : path;
}

void alk_qconn_dgram_pop(struct alk_qconn *c)
{
    struct alk_qdgram *d = c->dgram_head;
    c->dgram_head = d->next;
    if (c->dgram_head == NULL) {
        c->dgram_tail = NULL;
    }
    c->dgram_count--;
    c->dgram_bytes -= d->n;
    c->q->memory -= d->n;
    alk_free(c->q->mem, d);
}

void alk_qconn_dgrams_clear(struct alk_qconn *c)
{
    while (c->dgram_head != NULL) {
        alk_qconn_dgram_pop(c);
    }
}

alk_err alk_qconn_datagram(struct alk_conn *conn, struct alk_span data)
{
    struct alk_qconn *c = alk_qconn(conn);
    if (c->phase != ALK_Q_LIVE || c->close.is_pending) {
        return ALK_E_CLOSED;
    }
    size_t max = alk_qconn_datagram_max(conn);
    if (max == 0) {
        return ALK_E_UNSUPPORTED;
    }
    c->mtu.has_dgrams = true;
    if (data.n > max) {
        return ALK_E_TOO_BIG;
    }
    struct alk_qdgram *d = NULL;
    if (c->dgram_count < ALK_QDGRAMS_MAX && c->dgram_bytes + data.n <= ALK_QDGRAM_BYTES_MAX) {
        d = alk_alloc(c->q->mem, sizeof *d + data.n);
    }
    if (d == NULL) {
        conn->dgrams_dropped++;
        return ALK_OK;
    }
    d->next = NULL;
    d->n = data.n;
    if (data.n > 0) {
        memcpy(d->data, data.p, data.n);
    }
    if (c->dgram_tail == NULL) {
        c->dgram_head = d;
    } else {
        c->dgram_tail->next = d;
    }
    c->dgram_tail = d;
    c->dgram_count++;
    c->dgram_bytes += d->n;
    c->q->memory += d->n;
    alk_qconn_mark(c);
    return ALK_OK;
}
