/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

/* What the token of an Initial proves. */
struct proof {
    ngtcp2_token_type type;
    ngtcp2_cid odcid; /* with NGTCP2_TOKEN_TYPE_RETRY */
    bool is_valid;
    bool is_bad; /* a Retry token that is not ours, expired, or of another address */
};

static struct proof check_token(struct alk_quic *q, const ngtcp2_path_storage *ps,
                                const ngtcp2_pkt_hd *hd)
{
    struct proof p = {.type = NGTCP2_TOKEN_TYPE_UNKNOWN};
    const ngtcp2_addr *remote = &ps->path.remote;
    if (hd->tokenlen == 0) {
        return p;
    }
    if (hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2) {
        p.type = NGTCP2_TOKEN_TYPE_RETRY;
        p.is_valid = ngtcp2_crypto_verify_retry_token2(
                         &p.odcid, hd->token, hd->tokenlen, q->o.retry_key, sizeof q->o.retry_key,
                         hd->version, remote->addr, remote->addrlen, &hd->dcid, ALK_QRETRY_VALID,
                         q->now) == 0;
        p.is_bad = !p.is_valid;
    } else if (hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR) {
        p.type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
        p.is_valid = ngtcp2_crypto_verify_regular_token(
                         hd->token, hd->tokenlen, q->o.token_key, sizeof q->o.token_key,
                         remote->addr, remote->addrlen, ALK_QTOKEN_VALID, q->now) == 0;
    }
    return p;
}

/* Parameters that depend on the first packet. */
static void fill_first(struct alk_qconn *c, const ngtcp2_pkt_hd *hd, const struct proof *p,
                       const ngtcp2_cid *scid, ngtcp2_settings *settings,
                       ngtcp2_transport_params *params)
{
    alk_qconn_settings(c, settings);
    alk_qconn_params(c, params);
    params->original_dcid = hd->dcid;
    params->original_dcid_present = 1;
    if (p->is_valid) {
        settings->token = hd->token;
        settings->tokenlen = hd->tokenlen;
        settings->token_type = p->type;
    }
    if (p->is_valid && p->type == NGTCP2_TOKEN_TYPE_RETRY) {
        params->original_dcid = p->odcid;
        params->retry_scid = hd->dcid;
        params->retry_scid_present = 1;
    }
    alk_qcid_token(c->q, scid->data, scid->datalen, params->stateless_reset_token);
    params->stateless_reset_token_present = 1;
}

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    const struct alk_qconn *c = ref->user_data;
    return c->nc;
}

/* The TLS session is made when the first CRYPTO data could be decrypted, so that
 * garbage that looks like an Initial stays cheap. */
alk_err alk_qserver_tls(struct alk_qconn *c)
{
    struct alk_quic *q = c->q;
    if (q->o.server == NULL) {
        return ALK_E_CLOSED; /* taken away meanwhile */
    }
    ALK_TRY(alk_tls_session_server(&c->tls, q->o.server, q->o.tls_loop, ALK_TRANSPORT_QUIC));
    c->ref = (ngtcp2_crypto_conn_ref){.get_conn = get_conn, .user_data = c};
    gnutls_session_set_ptr(c->tls.gs, &c->ref);
    if (ngtcp2_crypto_gnutls_configure_server_session(c->tls.gs) != 0) {
        return ALK_E_NOMEM;
    }
    ngtcp2_conn_set_tls_native_handle(c->nc, c->tls.gs);
    return ALK_OK;
}

static alk_err start(struct alk_qconn *c, const ngtcp2_path_storage *ps, const ngtcp2_pkt_hd *hd,
                     const struct proof *p)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid scid;

    alk_qcid_make(c->q, &scid);
    fill_first(c, hd, p, &scid, &settings, &params);
    int rv = ngtcp2_conn_server_new(&c->nc, &hd->scid, &scid, &ps->path, hd->version,
                                    &alk_qcallbacks_server, &settings, &params, &c->nmem, c);
    if (rv != 0) {
        c->nc = NULL;
        return ALK_E_NOMEM;
    }
    ngtcp2_conn_set_keep_alive_timeout(c->nc, c->keep_alive);
    ALK_TRY(alk_qcids_add(c, scid.data, scid.datalen));
    return alk_qcids_add(c, hd->dcid.data, hd->dcid.datalen);
}

static void create(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_info *pi,
                   const ngtcp2_pkt_hd *hd, const struct proof *p, struct alk_span data)
{
    struct alk_addr local, remote;
    alk_qpath_get(&ps->path, &local, &remote);
    struct alk_qconn *c = alk_qconn_new(q, true, &local, &remote);
    if (c == NULL) {
        q->stats.dropped_limit++;
        return;
    }
    alk_err err = alk_qhost_enter(c, &remote, p->is_valid);
    if (err == ALK_OK) {
        err = start(c, ps, hd, p);
    }
    if (err != ALK_OK) {
        q->stats.dropped_limit++;
        alk_conn_raise_closed(&c->base, err, ALK_CODE_NONE, alk_span(NULL, 0));
        alk_qconn_end(c, ALK_Q_OVER);
        alk_qconn_unlink(c);
        return;
    }
    q->stats.initials++;
    alk_qconn_read(c, ps, pi, data);
}

/* Under load, and before Initials with a forged source fill an address's places. */
static bool asks_retry(const struct alk_quic *q, const struct alk_addr *remote)
{
    return q->limits.retry_above == ALK_QUIC_RETRY_ALWAYS ||
           q->handshaking >= q->limits.retry_above || alk_qhost_wants_proof(q, remote);
}

/* ALK_OK, or why a first packet of that address is refused. */
static alk_err may_enter(struct alk_quic *q, const struct alk_addr *remote)
{
    if (!q->is_accepting) {
        return ALK_E_CLOSED;
    }
    alk_err err = q->o.admit == NULL ? ALK_OK : q->o.admit(q->o.admit_ctx, remote);
    bool is_full = q->serving - q->handshaking >= q->limits.connections ||
                   alk_qhost_is_full(q, remote);
    return err == ALK_OK && is_full ? ALK_E_LIMIT : err;
}

/* Admission, before the handshake costs anything. */
void alk_qaccept(struct alk_quic *q, const ngtcp2_path_storage *ps, const ngtcp2_pkt_info *pi,
                 struct alk_span data)
{
    ngtcp2_pkt_hd hd;
    if (q->o.server == NULL || ngtcp2_accept(&hd, data.p, data.n) != 0) {
        q->stats.dropped_garbage++;
        return;
    }
    struct alk_addr local, remote;
    alk_qpath_get(&ps->path, &local, &remote);
    alk_err err = may_enter(q, &remote);
    if (err != ALK_OK) {
        q->stats.dropped_limit += err != ALK_E_CLOSED;
        alk_qstray_refuse(q, ps, &hd,
                          err == ALK_E_FORBIDDEN ? NGTCP2_CRYPTO_ERROR | ALK_TLS_ALERT_ACCESS_DENIED
                                                 : NGTCP2_CONNECTION_REFUSED);
        return;
    }
    struct proof p = check_token(q, ps, &hd);
    if (p.is_bad) {
        q->stats.retry_bad_token++;
        alk_qstray_refuse(q, ps, &hd, NGTCP2_INVALID_TOKEN);
        return;
    }
    if (!p.is_valid && asks_retry(q, &remote)) {
        alk_qstray_retry(q, ps, &hd);
        return;
    }
    if (q->handshaking >= q->limits.handshakes) {
        q->stats.dropped_limit++;
        return;
    }
    create(q, ps, pi, &hd, &p, data);
}
