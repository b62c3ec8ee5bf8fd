/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#define RESET_MIN ((size_t)21) /* [RFC 9000 §10.3] first byte, 4 of noise, token */
#define RESET_SIZE ((size_t)43)

void alk_qout_put(struct alk_quic *q, const ngtcp2_path_storage *ps, struct alk_span data)
{
    if (q->out_count == ALK_QOUT_MAX || data.n == 0 || data.n > ALK_QOUT_SIZE) {
        return;
    }
    struct alk_qout *o = &q->out[(q->out_at + q->out_count) % ALK_QOUT_MAX];
    q->out_count++;
    alk_qpath_get(&ps->path, &o->local, &o->remote);
    o->n = data.n;
    memcpy(o->data, data.p, data.n);
}

bool alk_qout_take(struct alk_quic *q, struct alk_quic_batch *ret)
{
    if (q->out_count == 0) {
        return false;
    }
    const struct alk_qout *o = &q->out[q->out_at];
    q->out_at = (q->out_at + 1) % ALK_QOUT_MAX;
    q->out_count--;
    memcpy(ret->buf, o->data, o->n);
    ret->local = o->local;
    ret->remote = o->remote;
    ret->ecn = 0;
    ret->segment = o->n;
    ret->n = o->n;
    ret->serial = 0;
    q->stats.packets_out++;
    q->stats.bytes_out += o->n;
    return true;
}

void alk_qstray_versions(struct alk_quic *q, const ngtcp2_path_storage *ps,
                         const ngtcp2_version_cid *vc, size_t size)
{
    /* [RFC 9000 §6.1] only to what could be a first packet, so never larger than it */
    if (q->o.server == NULL || size < NGTCP2_MAX_UDP_PAYLOAD_SIZE) {
        q->stats.dropped_garbage++;
        return;
    }
    const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};
    uint8_t buf[ALK_QOUT_SIZE * 2]; /* IDs of unknown versions may have 255 bytes */
    uint8_t noise = 0;
    alk_rand_fill(&q->o.rand, &noise, 1);
    ngtcp2_ssize n =
        ngtcp2_pkt_write_version_negotiation(buf, sizeof buf, noise, vc->scid, vc->scidlen,
                                             vc->dcid, vc->dcidlen, versions, 2);
    if (n > 0) {
        q->stats.versions_sent++;
        alk_qout_put(q, ps, alk_span(buf, (size_t)n));
    }
}

static bool may_reset(struct alk_quic *q)
{
    uint64_t rate = q->limits.resets_per_second;
    if (rate == ALK_QUIC_RESETS_NONE) {
        return false;
    }
    alk_time every = rate >= ALK_SECOND ? 1 : ALK_SECOND / rate;
    alk_time passed = q->now - q->resets_at;
    uint64_t more = passed / every;
    if (more > 0) {
        q->resets_at += more * every;
        more += q->resets_left;
        q->resets_left = more > ALK_QRESETS_BURST ? ALK_QRESETS_BURST : (unsigned)more;
    }
    if (q->resets_left == 0) {
        return false;
    }
    q->resets_left--;
    return true;
}

static bool is_neighbours(const struct alk_quic *q, uint8_t loop_id)
{
    return loop_id != q->o.loop_id && q->o.is_loop_alive != NULL &&
           q->o.is_loop_alive(q->o.loops_ctx, loop_id);
}

static void send_reset(struct alk_quic *q, const ngtcp2_path_storage *ps, struct alk_span data)
{
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    uint8_t noise[RESET_SIZE];
    uint8_t buf[RESET_SIZE];
    /* [RFC 9000 §10.3.3] smaller than what triggers it, so that two endpoints cannot
     * answer each other for ever. */
    size_t size = data.n - 1 < RESET_SIZE ? data.n - 1 : RESET_SIZE;
    if (size < RESET_MIN || is_neighbours(q, data.p[1]) || !may_reset(q)) {
        q->stats.resets_suppressed++;
        return;
    }
    alk_qcid_token(q, data.p + 1, ALK_QUIC_CID_LEN, token);
    alk_rand_fill(&q->o.rand, noise, sizeof noise);
    ngtcp2_ssize n = ngtcp2_pkt_write_stateless_reset(buf, size, token, noise,
                                                      size - NGTCP2_STATELESS_RESET_TOKENLEN);
    if (n > 0) {
        q->stats.resets_sent++;
        alk_qout_put(q, ps, alk_span(buf, (size_t)n));
    }
}

/* feed has seen to it that a whole connection ID is there. */
void alk_qstray_short(struct alk_quic *q, const ngtcp2_path_storage *ps, struct alk_span data)
{
    if (data.n >= RESET_MIN) {
        const uint8_t *token = data.p + data.n - NGTCP2_STATELESS_RESET_TOKENLEN;
        struct alk_qconn *c = alk_qtokens_find(q, token);
        if (c != NULL) {
            ngtcp2_pkt_info pi = {.ecn = 0};
            alk_qconn_read(c, ps, &pi, data);
            return;
        }
    }
    send_reset(q, ps, data);
}

void alk_qstray_retry(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_hd *hd)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
    uint8_t buf[ALK_QOUT_SIZE];
    ngtcp2_cid scid;
    alk_qcid_make(q, &scid);
    ngtcp2_ssize n = ngtcp2_crypto_generate_retry_token2(
        token, q->o.retry_key, sizeof q->o.retry_key, hd->version, ps->path.remote.addr,
        ps->path.remote.addrlen, &scid, &hd->dcid, q->now);
    if (n < 0) {
        return;
    }
    n = ngtcp2_crypto_write_retry(buf, sizeof buf, hd->version, &hd->scid, &scid, &hd->dcid, token,
                                  (size_t)n);
    if (n > 0) {
        q->stats.retries_sent++;
        alk_qout_put(q, ps, alk_span(buf, (size_t)n));
    }
}

void alk_qstray_refuse(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_hd *hd,
                       uint64_t code)
{
    uint8_t buf[ALK_QOUT_SIZE];
    ngtcp2_ssize n = ngtcp2_crypto_write_connection_close(buf, sizeof buf, hd->version, &hd->scid,
                                                          &hd->dcid, code, NULL, 0);
    if (n > 0) {
        alk_qout_put(q, ps, alk_span(buf, (size_t)n));
    }
}
