/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/wire.h"

#define BLOB_FORMAT 1
#define PARAMS_MAX 256
#define TICKET_MAX 16384
/* Longer than our own IDs, so that no steering takes it for one of a loop's. */
#define FIRST_DCID_LEN (ALK_QUIC_CID_LEN + 2)
#define KEEP_ALIVE (20 * ALK_SECOND)

/* What a server gave in an earlier connection. */
struct memory {
    struct alk_span ticket, params, token;
};

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    const struct alk_qconn *c = ref->user_data;
    return c->nc;
}

/* A blob of another format is no error: the connection goes without. */
static struct memory read_memory(struct alk_span blob)
{
    struct alk_rd r = alk_rd(blob);
    struct memory m;
    uint8_t format = alk_rd_u8(&r);
    m.ticket = alk_rd_block16(&r, TICKET_MAX);
    m.params = alk_rd_block16(&r, PARAMS_MAX);
    m.token = alk_rd_block16(&r, TICKET_MAX);
    if (r.err != ALK_OK || format != BLOB_FORMAT || alk_rd_left(&r) != 0) {
        return (struct memory){.ticket = {NULL, 0}};
    }
    return m;
}

static void first_cids(struct alk_qconn *c, ngtcp2_cid *ret_dcid, ngtcp2_cid *ret_scid)
{
    alk_qcid_make(c->q, ret_scid);
    ret_dcid->datalen = FIRST_DCID_LEN;
    alk_rand_fill(&c->q->o.rand, ret_dcid->data, FIRST_DCID_LEN);
}

static void fill(struct alk_qconn *c, const struct memory *m, ngtcp2_settings *settings,
                 ngtcp2_transport_params *params)
{
    const struct alk_dial_options *dial = c->tls.dial;
    alk_qconn_settings(c, settings);
    alk_qconn_params(c, params);
    settings->token = m->token.p;
    settings->tokenlen = m->token.n;
    settings->token_type = m->token.n > 0 ? NGTCP2_TOKEN_TYPE_NEW_TOKEN : NGTCP2_TOKEN_TYPE_UNKNOWN;
    if (c->is_version_fixed) {
        settings->available_versions = &c->version;
        settings->available_versionslen = 1;
    }
    if (dial->idle_timeout != 0) {
        params->max_idle_timeout = dial->idle_timeout == ALK_NEVER ? 0 : dial->idle_timeout;
    }
    c->keep_alive = dial->keep_alive != 0 ? dial->keep_alive : KEEP_ALIVE;
}

/* What early data needs: a ticket that allows it, and the server's limits. */
static void try_early(struct alk_qconn *c, const struct memory *m)
{
    c->is_early = c->tls.dial->want_early && c->tls.is_early_allowed && m->ticket.n > 0 &&
                  m->params.n > 0 &&
                  ngtcp2_conn_decode_and_set_0rtt_transport_params(c->nc, m->params.p,
                                                                   m->params.n) == 0;
    if (c->is_early) {
        alk_qconn_open(c, true);
    }
}

/* TLS session and ngtcp2 connection of a connection that has neither. */
static alk_err start(struct alk_qconn *c, const struct alk_dial_options *dial,
                     struct alk_tls_creds *creds, const struct memory *m)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path_storage ps;
    ngtcp2_cid dcid;
    ngtcp2_cid scid;

    ALK_TRY(alk_tls_session_client(&c->tls, dial, creds, ALK_TRANSPORT_QUIC, m->ticket));
    c->ref = (ngtcp2_crypto_conn_ref){.get_conn = get_conn, .user_data = c};
    gnutls_session_set_ptr(c->tls.gs, &c->ref);
    if (ngtcp2_crypto_gnutls_configure_client_session(c->tls.gs) != 0) {
        return ALK_E_NOMEM;
    }
    first_cids(c, &dcid, &scid);
    fill(c, m, &settings, &params);
    alk_qpath_set(&ps, &c->base.local, &c->base.remote);
    int rv = ngtcp2_conn_client_new(&c->nc, &dcid, &scid, &ps.path, c->version,
                                    &alk_qcallbacks_client, &settings, &params, &c->nmem, c);
    if (rv != 0) {
        c->nc = NULL;
        return ALK_E_NOMEM;
    }
    ngtcp2_conn_set_tls_native_handle(c->nc, c->tls.gs);
    ngtcp2_conn_set_keep_alive_timeout(c->nc, c->keep_alive);
    ALK_TRY(alk_qcids_add(c, scid.data, scid.datalen));
    try_early(c, m);
    return ALK_OK;
}

alk_err alk_quic_connect(struct alk_quic *q, const struct alk_quic_connect *options, alk_time now,
                         struct alk_conn **ret)
{
    alk_quic_clock(q, now);
    struct alk_qconn *c = alk_qconn_new(q, false, &options->local, &options->remote);
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    struct memory m = read_memory(options->session);
    c->base.handler = options->handler;
    c->base.service_state = options->service_state;
    c->tls.keylog = options->keylog;
    c->tls.keylog_ctx = options->keylog_ctx;
    c->version = options->version == 0 ? NGTCP2_PROTO_VER_V1 : options->version;
    c->is_version_fixed = options->version != 0;
    c->hold_until = options->hold_finished ? 0 : ALK_NEVER;
    alk_err err = start(c, options->dial, options->creds, &m);
    if (err != ALK_OK) {
        alk_qconn_end(c, ALK_Q_OVER);
        c->is_released = true;
        alk_conn_fini(&c->base);
        alk_qconn_unlink(c);
        return err;
    }
    alk_qconn_mark(c);
    *ret = &c->base;
    return ALK_OK;
}

bool alk_qclient_other_version(struct alk_qconn *c)
{
    if (c->base.is_server || c->is_version_fixed || c->is_early || c->original_version != 0 ||
        c->offered_version == 0) {
        return false;
    }
    const struct alk_dial_options *dial = c->tls.dial;
    struct alk_tls_creds *creds = alk_tls_creds_ref(c->tls.creds);
    const struct memory none = {.ticket = {NULL, 0}};
    ngtcp2_conn_del(c->nc);
    c->nc = NULL;
    alk_tls_session_fini(&c->tls);
    alk_qcids_clear(c);
    alk_qtokens_clear(c);
    c->original_version = c->version;
    c->version = c->offered_version;
    alk_err err = start(c, dial, creds, &none);
    alk_tls_creds_unref(creds);
    if (err != ALK_OK) {
        alk_conn_raise_closed(&c->base, err, ALK_CODE_NONE, alk_span(NULL, 0));
        alk_qconn_end(c, ALK_Q_OVER);
        return true;
    }
    alk_qconn_mark(c);
    return true;
}

void alk_quic_release_finished(struct alk_conn *conn)
{
    struct alk_qconn *c = alk_qconn(conn);
    c->hold_until = ALK_NEVER;
    if (!c->is_held || c->phase != ALK_Q_LIVE) {
        return;
    }
    c->is_held = false;
    if (c->close.is_pending) {
        return;
    }
    /* Timers stood still: what has run out meanwhile counts now. */
    alk_qconn_timeout(c);
}

/* False: the server has said too little. */
static bool put_params(struct alk_qconn *c, struct alk_wr *w)
{
    uint8_t params[PARAMS_MAX];
    ngtcp2_ssize n = ngtcp2_conn_encode_0rtt_transport_params(c->nc, params, sizeof params);
    if (n < 0) {
        return false;
    }
    alk_wr_block16(w, alk_span(params, (size_t)n));
    return true;
}

alk_err alk_quic_client_session(struct alk_conn *conn, struct alk_buf *ret)
{
    struct alk_qconn *c = alk_qconn(conn);
    if (c->phase != ALK_Q_LIVE || c->base.is_server || !c->has_session_news ||
        !c->is_handshake_done) {
        return ALK_MORE;
    }
    struct alk_buf ticket;
    alk_buf_init(&ticket, c->q->mem, TICKET_MAX);
    alk_err err = alk_tls_session_ticket(&c->tls, &ticket);
    if (err == ALK_MORE && alk_buf_len(&c->new_token) > 0) {
        err = ALK_OK; /* a token alone saves a round trip, too */
    }
    if (err == ALK_OK) {
        struct alk_wr w = alk_wr_buf(ret);
        alk_wr_u8(&w, BLOB_FORMAT);
        alk_wr_block16(&w, alk_buf_span(&ticket));
        err = put_params(c, &w) ? ALK_OK : ALK_E_STATE;
        alk_wr_block16(&w, alk_buf_span(&c->new_token));
        err = err == ALK_OK ? w.err : err;
    }
    c->has_session_news = c->has_session_news && err != ALK_OK;
    alk_buf_fini_secret(&ticket);
    return err;
}

alk_err alk_quic_migrate(struct alk_conn *conn, const struct alk_addr *local, alk_time now)
{
    struct alk_qconn *c = alk_qconn(conn);
    alk_quic_clock(c->q, now);
    if (c->phase != ALK_Q_LIVE || c->close.is_pending) {
        return ALK_E_CLOSED;
    }
    ngtcp2_path_storage ps;
    alk_qpath_set(&ps, local, &c->base.remote);
    if (ngtcp2_conn_initiate_migration(c->nc, &ps.path, c->q->now) != 0) {
        return ALK_E_STATE;
    }
    alk_qconn_mark(c);
    return ALK_OK;
}
