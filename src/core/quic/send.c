/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets out: connections take turns, each turn is one send quantum, cut into
 * batches of packets of one size for the system's segmentation offload. */
#include "core/quic/internal.h"

/* One packet being filled. */
struct packet {
    uint8_t *p;
    size_t size;
    size_t dgrams; /* bytes of the datagrams in it */
    ngtcp2_path_storage ps;
    ngtcp2_pkt_info pi;
};

/* --- one packet ------------------------------------------------------------------ */

/* Puts the oldest datagram into the packet. WRITE_MORE: there may be room for
 * more; otherwise as ngtcp2 says. */
static ngtcp2_ssize put_datagram(struct alk_qconn *c, struct packet *k)
{
    struct alk_qdgram *d = c->dgram_head;
    const ngtcp2_vec vec = {.base = d->data, .len = d->n};
    int accepted = 0;
    if (d->n > alk_qconn_datagram_max(&c->base)) {
        c->base.dgrams_dropped++; /* the path has shrunk since it was queued */
        alk_qconn_dgram_pop(c);
        return NGTCP2_ERR_WRITE_MORE;
    }
    bool is_large = alk_qdgram_is_large(k->dgrams + d->n);
    ngtcp2_ssize n = ngtcp2_conn_writev_datagram(c->nc, &k->ps.path, &k->pi, k->p, k->size,
                                                 &accepted, NGTCP2_WRITE_DATAGRAM_FLAG_MORE,
                                                 is_large, &vec, d->n > 0 ? 1 : 0, c->q->now);
    if (accepted != 0) {
        k->dgrams += d->n;
        if (is_large) {
            alk_qmtu_dgram_sent(c);
        }
        alk_qconn_dgram_pop(c);
    } else if (n == NGTCP2_ERR_INVALID_ARGUMENT || n == NGTCP2_ERR_INVALID_STATE) {
        c->base.dgrams_dropped++;
        alk_qconn_dgram_pop(c);
        return NGTCP2_ERR_WRITE_MORE;
    }
    return n;
}

static size_t fill_vec(const struct alk_qstream *s, ngtcp2_vec *vec, bool *ret_fin)
{
    struct alk_span spans[ALK_QVECS];
    size_t count = alk_stream_tx_vec(&s->base, spans, ALK_QVECS, ret_fin);
    for (size_t i = 0; i < count; i++) {
        /* ngtcp2 only reads; its struct is iovec's. */
        vec[i] = (ngtcp2_vec){.base = (uint8_t *)(uintptr_t)spans[i].p, .len = spans[i].n};
    }
    return count;
}

/* What has been taken of s: done, to the end of the line, or still in front. */
static void after_write(struct alk_qconn *c, struct alk_qstream *s, size_t taken, bool fin)
{
    alk_qstream_sent(s, taken, fin);
    alk_list_remove(&s->sendq);
    bool has_end = s->base.is_finished && !s->base.is_fin_sent;
    if (alk_stream_tx_unsent(&s->base) > 0 || has_end) {
        alk_list_append(&c->sendq, &s->sendq);
    }
}

/* Puts bytes of the first stream in line into the packet; without one, finishes
 * the packet. */
static ngtcp2_ssize put_stream(struct alk_qconn *c, struct packet *k)
{
    struct alk_link *e = c->is_conn_blocked ? NULL : alk_list_first(&c->sendq);
    if (e == NULL) {
        return ngtcp2_conn_writev_stream(c->nc, &k->ps.path, &k->pi, k->p, k->size, NULL, 0, -1,
                                         NULL, 0, c->q->now);
    }
    struct alk_qstream *s = ALK_CONTAINER(e, struct alk_qstream, sendq);
    ngtcp2_vec vec[ALK_QVECS];
    bool fin = false;
    ngtcp2_ssize taken = -1;
    size_t count = fill_vec(s, vec, &fin);
    size_t offered = 0;
    for (size_t i = 0; i < count; i++) {
        offered += vec[i].len;
    }
    uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0u);
    ngtcp2_ssize n = ngtcp2_conn_writev_stream(c->nc, &k->ps.path, &k->pi, k->p, k->size, &taken,
                                               flags, (int64_t)s->base.id, vec, count, c->q->now);
    if (taken >= 0) {
        after_write(c, s, (size_t)taken, fin && (size_t)taken == offered);
    }
    switch (n) {
    case NGTCP2_ERR_STREAM_DATA_BLOCKED:
        if (ngtcp2_conn_get_max_data_left(c->nc) == 0) {
            c->is_conn_blocked = true;
        } else {
            s->is_blocked = true;
            alk_list_remove(&s->sendq);
        }
        return NGTCP2_ERR_WRITE_MORE;
    case NGTCP2_ERR_STREAM_SHUT_WR:
        alk_qstream_stopped(s, 0); /* not seen: the code comes with the stream's end */
        return NGTCP2_ERR_WRITE_MORE;
    case NGTCP2_ERR_STREAM_NOT_FOUND:
        alk_list_remove(&s->sendq);
        return NGTCP2_ERR_WRITE_MORE;
    default:
        return n;
    }
}

/* Bytes written; 0: nothing to send, or not now; negative: the connection failed. */
static ngtcp2_ssize write_packet(struct alk_qconn *c, struct packet *k)
{
    ngtcp2_ssize n;
    do {
        n = c->dgram_head != NULL ? put_datagram(c, k) : put_stream(c, k);
    } while (n == NGTCP2_ERR_WRITE_MORE);
    return n;
}

/* --- turns -------------------------------------------------------------------------- */

static void begin_turn(struct alk_qconn *c)
{
    alk_qmtu_watch(c);
    size_t quantum = ngtcp2_conn_get_send_quantum(c->nc);
    size_t least = alk_qmtu_path(c);
    c->turn_left = quantum < least ? least : quantum;
    if (c->wants_ping) {
        /* ngtcp2 has no call for it: a keep-alive that is due at once is a PING. */
        ngtcp2_conn_set_keep_alive_timeout(c->nc, 1);
    }
}

static void end_turn(struct alk_qconn *c, bool has_more)
{
    c->turn_left = 0;
    if (c->wants_ping) {
        c->wants_ping = false;
        ngtcp2_conn_set_keep_alive_timeout(c->nc, c->keep_alive);
    }
    if (c->wants_new_keys && ngtcp2_conn_initiate_key_update(c->nc, c->q->now) == 0) {
        /* Otherwise the last update is too young: tried again in the next turn. */
        c->wants_new_keys = false;
        c->wants_ping = true;
        has_more = true;
    }
    ngtcp2_conn_update_pkt_tx_time(c->nc, c->q->now);
    alk_list_remove(&c->work);
    if (has_more) {
        alk_qconn_mark(c);
    }
    alk_qconn_arm(c);
}

static void fill_meta(struct alk_qconn *c, const struct packet *k, size_t n,
                      struct alk_quic_batch *ret)
{
    alk_qpath_get(&k->ps.path, &ret->local, &ret->remote);
    ret->ecn = k->pi.ecn;
    ret->segment = n;
    ret->n = n;
    ret->serial = c->base.serial;
}

/* It is written already, but of another size, path or mark: a batch of its own. */
static void keep_odd(struct alk_qconn *c, const struct packet *k, size_t n)
{
    struct alk_quic *q = c->q;
    uint8_t *buf = q->odd.buf;
    ALK_ASSERT(!q->has_odd && n <= q->odd_size);
    memcpy(buf, k->p, n);
    fill_meta(c, k, n, &q->odd);
    q->odd.buf = buf;
    q->has_odd = true;
}

static bool take_odd(struct alk_quic *q, struct alk_quic_batch *ret)
{
    if (!q->has_odd) {
        return false;
    }
    uint8_t *buf = ret->buf;
    memcpy(buf, q->odd.buf, q->odd.n);
    *ret = q->odd;
    ret->buf = buf;
    q->has_odd = false;
    return true;
}

static bool fits(const struct packet *k, const struct packet *first, size_t n, size_t segment)
{
    return n <= segment && k->pi.ecn == first->pi.ecn &&
           ngtcp2_path_eq(&k->ps.path, &first->ps.path) != 0;
}

static void count_out(struct alk_qconn *c, size_t n)
{
    c->q->stats.packets_out++;
    c->q->stats.bytes_out += n;
    c->bytes_out += n;
}

enum turn { TURN_GOES_ON, TURN_OVER, TURN_IDLE };

/* Fills ret with packets of c. *ret_n bytes, 0: none. */
static enum turn fill_batch(struct alk_qconn *c, struct alk_quic_batch *ret, size_t *ret_n)
{
    size_t usual = alk_qmtu_path(c);
    size_t room = c->turn_left < ALK_QUIC_BATCH ? c->turn_left : ALK_QUIC_BATCH;
    unsigned most = c->q->o.no_gso ? 1 : ALK_QUIC_BATCH_SEGMENTS;
    struct packet first;
    size_t segment = 0;
    size_t at = 0;

    *ret_n = 0;
    ngtcp2_path_storage_zero(&first.ps);
    /* The first packet may be larger than the room: a probe is, and so is one of a path
     * that was found to carry more since the turn began. */
    for (unsigned i = 0; i < most && (i == 0 || at + usual <= room); i++) {
        struct packet k = {.p = ret->buf + at};
        ngtcp2_path_storage_zero(&k.ps);
        k.size = i == 0 ? alk_qmtu_offer(c) : usual;
        ngtcp2_ssize n = write_packet(c, &k);
        if (n < 0) {
            alk_qconn_failed(c, (int)n);
            return TURN_IDLE;
        }
        if (n == 0) {
            return TURN_IDLE;
        }
        size_t size = (size_t)n;
        count_out(c, size);
        c->turn_left -= size < c->turn_left ? size : c->turn_left;
        if (i == 0) {
            fill_meta(c, &k, size, ret);
            ngtcp2_path_copy(&first.ps.path, &k.ps.path);
            first.pi = k.pi;
            segment = size;
        } else if (!fits(&k, &first, size, segment)) {
            keep_odd(c, &k, size);
            break;
        }
        at += size;
        *ret_n = at;
        ret->n = at;
        if (size != segment || segment > usual) {
            break; /* the short one, or a probe of the path, is the last */
        }
    }
    return c->turn_left < usual ? TURN_OVER : TURN_GOES_ON;
}

static bool send_close(struct alk_qconn *c, struct alk_quic_batch *ret)
{
    struct packet k = {.p = ret->buf};
    ngtcp2_path_storage_zero(&k.ps);
    alk_list_remove(&c->work);
    size_t n = alk_qconn_write_close(c, k.p, ALK_QUIC_BATCH, &k.ps.path, &k.pi);
    if (n == 0) {
        return false;
    }
    c->q->stats.packets_out++;
    c->q->stats.bytes_out += n;
    fill_meta(c, &k, n, ret);
    return true;
}

/* One batch of c; false: it has nothing. */
static bool send_conn(struct alk_qconn *c, struct alk_quic_batch *ret)
{
    size_t n = 0;
    if (c->close.is_pending) {
        return send_close(c, ret);
    }
    if (c->is_held) {
        alk_list_remove(&c->work);
        return false;
    }
    alk_qconn_check_identity(c);
    alk_qstreams_flush(c);
    if (c->turn_left == 0) {
        begin_turn(c);
    }
    enum turn turn = fill_batch(c, ret, &n);
    if (c->phase != ALK_Q_LIVE) {
        return n > 0; /* it failed on the way, and left the work list */
    }
    if (c->close.is_pending) {
        c->turn_left = 0;
        return n > 0;
    }
    if (turn != TURN_GOES_ON) {
        end_turn(c, turn == TURN_OVER || !alk_list_is_empty(&c->dirty));
    }
    return n > 0;
}

bool alk_quic_send(struct alk_quic *q, alk_time now, struct alk_quic_batch *ret)
{
    alk_quic_clock(q, now);
    if (take_odd(q, ret) || alk_qout_take(q, ret)) {
        return true;
    }
    struct alk_link *e;
    while ((e = alk_list_first(&q->work)) != NULL) {
        struct alk_qconn *c = ALK_CONTAINER(e, struct alk_qconn, work);
        if (send_conn(c, ret)) {
            return true;
        }
        if (q->has_odd) {
            return take_odd(q, ret);
        }
    }
    return false;
}
