/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What ngtcp2 tells. Nothing here calls a handler or ngtcp2's read and write. */
#include "core/quic/internal.h"

static int fail_if(alk_err err)
{
    return err == ALK_OK ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static void fill_rand(uint8_t *dest, size_t n, const ngtcp2_rand_ctx *ctx)
{
    const struct alk_quic *q = ctx->native_handle;
    alk_rand_fill(&q->o.rand, dest, n);
}

static int path_challenge(ngtcp2_conn *nc, uint8_t *data, void *user)
{
    const struct alk_qconn *c = user;
    (void)nc;
    alk_rand_fill(&c->q->o.rand, data, NGTCP2_PATH_CHALLENGE_DATALEN);
    return 0;
}

/* --- handshake ----------------------------------------------------------------- */

static int recv_crypto(ngtcp2_conn *nc, ngtcp2_encryption_level level, uint64_t offset,
                       const uint8_t *data, size_t n, void *user)
{
    struct alk_qconn *c = user;
    if (c->base.is_server && c->tls.gs == NULL) {
        if (c->is_handshake_done) {
            /* The session is dropped, and a client has nothing to say after its
             * Finished [RFC 9001 §6] [RFC 9001 §8.3]. 10: unexpected_message. */
            ngtcp2_conn_set_tls_alert(nc, 10);
            return NGTCP2_ERR_CRYPTO;
        }
        if (alk_qserver_tls(c) != ALK_OK) {
            return NGTCP2_ERR_CALLBACK_FAILURE;
        }
    }
    if (level == NGTCP2_ENCRYPTION_LEVEL_1RTT) {
        c->has_session_news = true;
    }
    return ngtcp2_crypto_recv_crypto_data_cb(nc, level, offset, data, n, user);
}

static void done(struct alk_qconn *c)
{
    c->is_handshake_done = true;
    if (c->is_handshaking) {
        c->is_handshaking = false;
        c->q->handshaking -= c->base.is_server ? 1 : 0;
    }
    c->q->stats.handshakes_done++;
}

static void give_new_token(struct alk_qconn *c)
{
    struct alk_quic *q = c->q;
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    const ngtcp2_path *path = ngtcp2_conn_get_path(c->nc);
    ngtcp2_ssize n =
        ngtcp2_crypto_generate_regular_token(token, q->o.token_key, sizeof q->o.token_key,
                                             path->remote.addr, path->remote.addrlen, q->now);
    if (n > 0) {
        /* Without memory the client merely goes without. */
        (void)ngtcp2_conn_submit_new_token(c->nc, token, (size_t)n);
    }
}

static int server_done(ngtcp2_conn *nc, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    done(c);
    if (alk_qhost_prove(c) != ALK_OK) {
        c->is_refused = true;
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if ((gnutls_session_get_flags(c->tls.gs) & GNUTLS_SFLAGS_EARLY_DATA) != 0) {
        c->q->stats.early_accepted++;
    }
    alk_qconn_open(c, false);
    alk_qconn_describe(c);
    alk_qconn_confirm(c); /* [RFC 9001 §4.1.2] a server's is confirmed when complete */
    if (alk_tls_session_send_ticket(&c->tls) != ALK_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    give_new_token(c);
    c->is_session_due = true;
    return 0;
}

/* A server that closes sooner than we would say something hears from us sooner. */
static void fit_keep_alive(struct alk_qconn *c)
{
    const ngtcp2_transport_params *params = ngtcp2_conn_get_remote_transport_params(c->nc);
    if (c->keep_alive == ALK_NEVER || params == NULL || params->max_idle_timeout == 0) {
        return;
    }
    alk_time half = params->max_idle_timeout / 2;
    if (half < c->keep_alive) {
        c->keep_alive = half;
        ngtcp2_conn_set_keep_alive_timeout(c->nc, half);
    }
}

static int client_done(ngtcp2_conn *nc, void *user)
{
    struct alk_qconn *c = user;
    done(c);
    fit_keep_alive(c);
    bool has_early = (gnutls_session_get_flags(c->tls.gs) & GNUTLS_SFLAGS_EARLY_DATA) != 0;
    if (c->is_early && !has_early) {
        /* The helper does not tell ngtcp2: without this the streams are sent again
         * in 1-RTT by accident. */
        if (ngtcp2_conn_tls_early_data_rejected(nc) != 0) {
            return NGTCP2_ERR_CALLBACK_FAILURE;
        }
    } else if (c->is_early) {
        c->q->stats.early_accepted++;
    }
    if (c->hold_until != ALK_NEVER) {
        c->is_held = true;
        c->hold_until = c->q->now + c->q->limits.handshake_timeout;
    }
    if (c->is_open_raised) {
        alk_qconn_describe(c);
        c->base.is_answered = true;
        alk_conn_raise(&c->base, ALK_CONN_AUTH);
    }
    alk_qconn_open(c, false);
    return 0;
}

static int early_rejected(ngtcp2_conn *nc, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    c->q->stats.early_rejected++;
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&c->base.streams); e != NULL; e = next) {
        next = alk_list_next(&c->base.streams, e);
        struct alk_qstream *s = alk_qstream(ALK_CONTAINER(e, struct alk_stream, all));
        s->is_orphan = true;
        alk_stream_rx_reset(&s->base, ALK_CODE_NONE);
        alk_qstream_over(s);
    }
    alk_conn_raise(&c->base, ALK_CONN_EARLY_REJECTED);
    return 0;
}

static int client_confirmed(ngtcp2_conn *nc, void *user)
{
    (void)nc;
    alk_qconn_confirm(user);
    return 0;
}

/* A server that does not speak our version: ngtcp2 gives up after this. */
static int recv_versions(ngtcp2_conn *nc, const ngtcp2_pkt_hd *hd, const uint32_t *versions,
                         size_t n, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    (void)hd;
    for (size_t i = 0; i < n; i++) {
        bool is_known = versions[i] == NGTCP2_PROTO_VER_V1 || versions[i] == NGTCP2_PROTO_VER_V2;
        if (is_known && versions[i] != c->version && c->offered_version == 0) {
            c->offered_version = versions[i];
        }
    }
    return 0;
}

static int recv_new_token(ngtcp2_conn *nc, const uint8_t *token, size_t n, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    alk_buf_clear(&c->new_token);
    /* Too long or no memory: we go without. */
    if (alk_buf_put(&c->new_token, alk_span(token, n)) == ALK_OK) {
        c->has_session_news = true;
    }
    return 0;
}

/* --- streams -------------------------------------------------------------------- */

static int stream_open(ngtcp2_conn *nc, int64_t id, void *user)
{
    struct alk_qconn *c = user;
    bool is_early = c->base.is_server && ngtcp2_conn_get_handshake_completed(nc) == 0;
    struct alk_qstream *s = alk_qstream_new(c, id, false, is_early);
    if (s == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    alk_qids_add(c, s);
    int rv = ngtcp2_conn_set_stream_user_data(nc, id, s);
    ALK_ASSERT(rv == 0);
    if (is_early) {
        alk_qconn_open(c, true);
    }
    return 0;
}

/* Memory is over the limit: this stream is the one that grows. */
static void shed_stream(struct alk_qconn *c, struct alk_qstream *s)
{
    c->q->stats.shed++;
    alk_stream_stop(&s->base, ALK_CODE_LIMIT);
    alk_stream_reset(&s->base, ALK_CODE_LIMIT);
}

static int recv_stream_data(ngtcp2_conn *nc, uint32_t flags, int64_t id, uint64_t offset,
                            const uint8_t *data, size_t n, void *user, void *stream_user)
{
    struct alk_qconn *c = user;
    struct alk_qstream *s = stream_user;
    (void)nc;
    (void)id;
    (void)offset;
    if (s == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    bool is_over = c->q->memory > c->q->limits.memory || c->memory > 2 * (size_t)c->conn_window;
    if (is_over && n > 0) {
        shed_stream(c, s);
    }
    alk_err err =
        alk_stream_rx(&s->base, alk_span(data, n), (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    if (err == ALK_E_NOMEM) {
        shed_stream(c, s);
        err = alk_stream_rx(&s->base, alk_span(data, n), false);
    }
    alk_qstream_account(s);
    return fail_if(err);
}

static int acked(ngtcp2_conn *nc, int64_t id, uint64_t offset, uint64_t n, void *user,
                 void *stream_user)
{
    struct alk_qstream *s = stream_user;
    (void)nc;
    (void)id;
    alk_qmtu_passed(user, n);
    if (s != NULL && !s->base.is_tx_done) {
        s->acked = offset + n;
        alk_stream_tx_acked(&s->base, offset + n);
        alk_qstream_account(s);
    }
    return 0;
}

static int stream_reset(ngtcp2_conn *nc, int64_t id, uint64_t final_size, uint64_t code, void *user,
                        void *stream_user)
{
    struct alk_qstream *s = stream_user;
    (void)nc;
    (void)id;
    (void)final_size;
    if (s != NULL) {
        struct alk_qconn *c = user;
        alk_stream_rx_reset(&s->base, code);
        alk_qstream_account(s);
        alk_list_append(&c->dirty, &s->base.dirty); /* what was dropped is credit */
    }
    return 0;
}

static int stream_close(ngtcp2_conn *nc, uint32_t flags, int64_t id, uint64_t code, void *user,
                        void *stream_user)
{
    struct alk_qstream *s = stream_user;
    (void)nc;
    (void)id;
    (void)user;
    if (s == NULL) {
        return 0;
    }
    struct alk_stream *b = &s->base;
    uint64_t stop = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0 ? code : 0;
    if (!b->is_reset && !b->is_fin_sent) {
        alk_stream_peer_stop(b, stop); /* nothing else ends our direction without us */
    }
    if (b->peer_stopped && b->tx_peer_code == 0) {
        b->tx_peer_code = stop;
    }
    alk_qstream_over(s);
    return 0;
}

static int more_streams(ngtcp2_conn *nc, uint64_t max, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    (void)max;
    if (c->wants_credit) {
        c->wants_credit = false;
        alk_conn_raise(&c->base, ALK_CONN_CREDIT);
    }
    return 0;
}

static int more_stream_data(ngtcp2_conn *nc, int64_t id, uint64_t max, void *user,
                            void *stream_user)
{
    struct alk_qconn *c = user;
    struct alk_qstream *s = stream_user;
    (void)nc;
    (void)id;
    (void)max;
    if (s != NULL && s->is_blocked) {
        s->is_blocked = false;
        alk_list_append(&c->dirty, &s->base.dirty);
    }
    return 0;
}

static int recv_datagram(ngtcp2_conn *nc, uint32_t flags, const uint8_t *data, size_t n, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    (void)flags;
    alk_conn_rx_datagram(&c->base, alk_span(data, n));
    return 0;
}

/* id: whether it was in a large packet */
static int acked_datagram(ngtcp2_conn *nc, uint64_t id, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    if (id != 0) {
        c->mtu.dgrams = 0;
        alk_qmtu_passed(c, NGTCP2_MAX_UDP_PAYLOAD_SIZE);
    }
    return 0;
}

/* --- IDs, paths, keys -------------------------------------------------------------- */

static int new_cid(ngtcp2_conn *nc, ngtcp2_cid *cid, uint8_t *token, size_t n, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    ALK_ASSERT(n == ALK_QUIC_CID_LEN);
    alk_qcid_make(c->q, cid);
    alk_qcid_token(c->q, cid->data, cid->datalen, token);
    return fail_if(alk_qcids_add(c, cid->data, cid->datalen));
}

static int old_cid(ngtcp2_conn *nc, const ngtcp2_cid *cid, void *user)
{
    (void)nc;
    alk_qcids_remove(user, cid->data, cid->datalen);
    return 0;
}

static int dcid_status(ngtcp2_conn *nc, ngtcp2_connection_id_status_type type, uint64_t seq,
                       const ngtcp2_cid *cid, const uint8_t *token, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    (void)seq;
    (void)cid;
    if (token == NULL) {
        return 0;
    }
    if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_DEACTIVATE) {
        alk_qtokens_remove(c, token);
        return 0;
    }
    /* A peer that repeats another's token loses only its own resets. */
    alk_err err = alk_qtokens_add(c, token);
    return err == ALK_E_EXISTS ? 0 : fail_if(err);
}

static int recv_reset(ngtcp2_conn *nc, const ngtcp2_pkt_stateless_reset *sr, void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    (void)sr;
    c->got_reset = true;
    c->q->stats.resets_received++;
    return 0;
}

static int path_validated(ngtcp2_conn *nc, uint32_t flags, const ngtcp2_path *path,
                          const ngtcp2_path *old_path, ngtcp2_path_validation_result res,
                          void *user)
{
    struct alk_qconn *c = user;
    (void)nc;
    (void)old_path;
    if (res != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
        return 0;
    }
    c->q->stats.migrations++;
    alk_qpath_adopt(c, path);
    if (c->base.is_server && (flags & NGTCP2_PATH_VALIDATION_FLAG_NEW_TOKEN) != 0) {
        give_new_token(c);
    }
    return 0;
}

static int update_key(ngtcp2_conn *nc, uint8_t *rx_secret, uint8_t *tx_secret,
                      ngtcp2_crypto_aead_ctx *rx_ctx, uint8_t *rx_iv,
                      ngtcp2_crypto_aead_ctx *tx_ctx, uint8_t *tx_iv, const uint8_t *old_rx,
                      const uint8_t *old_tx, size_t n, void *user)
{
    struct alk_qconn *c = user;
    /* The next keys are made ahead: the first ones when the handshake ends. */
    c->q->stats.key_updates += c->has_next_keys ? 1 : 0;
    c->has_next_keys = true;
    return ngtcp2_crypto_update_key_cb(nc, rx_secret, tx_secret, rx_ctx, rx_iv, tx_ctx, tx_iv,
                                       old_rx, old_tx, n, user);
}

#define COMMON                                                                                     \
    .recv_crypto_data = recv_crypto, .encrypt = ngtcp2_crypto_encrypt_cb,                          \
    .decrypt = alk_qstops_decrypt, .hp_mask = ngtcp2_crypto_hp_mask_cb,                            \
    .recv_stream_data = recv_stream_data, .acked_stream_data_offset = acked,                       \
    .stream_open = stream_open, .stream_close = stream_close, .recv_stateless_reset = recv_reset,  \
    .extend_max_local_streams_bidi = more_streams, .rand = fill_rand,                              \
    .get_new_connection_id = new_cid, .remove_connection_id = old_cid, .update_key = update_key,   \
    .path_validation = path_validated, .stream_reset = stream_reset,                               \
    .extend_max_stream_data = more_stream_data, .dcid_status = dcid_status,                        \
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,                             \
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,                         \
    .ack_datagram = acked_datagram, .recv_datagram = recv_datagram,                                \
    .get_path_challenge_data = path_challenge,                                                     \
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb

const ngtcp2_callbacks alk_qcallbacks_server = {
    COMMON,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .handshake_completed = server_done,
};

const ngtcp2_callbacks alk_qcallbacks_client = {
    COMMON,
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .recv_version_negotiation = recv_versions,
    .handshake_completed = client_done,
    .handshake_confirmed = client_confirmed,
    .recv_new_token = recv_new_token,
    .tls_early_data_rejected = early_rejected,
};
