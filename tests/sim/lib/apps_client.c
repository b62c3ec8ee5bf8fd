/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/text.h"
#include "base/wire.h"
#include "sim/lib/apps.h"

/* --- requests ---------------------------------------------------------------------- */

static uint64_t to_send(const struct sim_request *r)
{
    return r->op == SIM_ECHO || r->op == SIM_PUT || r->op == SIM_HOLD ? r->size : 0;
}

static void feed_stream(struct sim_request *r)
{
    uint8_t buf[16384];
    size_t took = 0;
    while (r->head_sent < SIM_REQUEST) {
        struct alk_span rest = alk_span_tail(alk_span(r->head, SIM_REQUEST), r->head_sent);
        alk_err err = alk_stream_write(r->stream, rest, &took);
        r->head_sent += took;
        if (err != ALK_OK) {
            return;
        }
    }
    while (r->sent < to_send(r)) {
        uint64_t left = to_send(r) - r->sent;
        size_t n = left < sizeof buf ? (size_t)left : sizeof buf;
        sim_pattern(r->seed, r->sent, buf, n);
        alk_err err = alk_stream_write(r->stream, alk_span(buf, n), &took);
        r->sent += took;
        if (err != ALK_OK) {
            return;
        }
    }
    if (!r->keep_open) {
        alk_stream_finish(r->stream);
    }
}

static void look(struct sim_request *r, struct alk_span have)
{
    if (r->op == SIM_PUT) {
        r->is_bad = r->is_bad || have.n != 1 || have.p[0] != 1;
    } else {
        r->is_bad = r->is_bad || !sim_pattern_ok(r->seed, r->got, have.p, have.n);
    }
    r->got += have.n;
}

static void read_stream(struct sim_request *r)
{
    struct alk_span have;
    alk_err err;
    while ((err = alk_stream_peek(r->stream, &have)) == ALK_OK) {
        look(r, have);
        alk_stream_consume(r->stream, have.n);
    }
    if (err == ALK_END) {
        uint64_t want = r->op == SIM_PUT ? 1 : r->size;
        r->has_end = true;
        r->is_right = !r->is_bad && r->got == want;
    }
    if (err == ALK_E_RESET) {
        r->is_refused = true;
        r->peer_code = alk_stream_peer_code(r->stream);
    }
}

static void on_stream(void *ctx, struct alk_stream *s, unsigned events)
{
    struct sim_request *r = ctx;
    (void)s;
    if ((events & ALK_STREAM_STOPPED) != 0) {
        r->was_stopped = true;
        r->stop_code = alk_stream_peer_code(r->stream);
    }
    if (!r->hold) {
        read_stream(r);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        r->is_done = true;
        r->peer_code = alk_stream_peer_code(r->stream);
        r->stream = NULL;
        return;
    }
    feed_stream(r);
}

alk_err sim_request_start(struct sim_request *r, struct sim_client *c, enum sim_op op,
                          uint64_t size)
{
    bool hold = r->hold;
    bool keep_open = r->keep_open;
    *r = (struct sim_request){
        .client = c, .op = op, .size = size, .hold = hold, .keep_open = keep_open};
    r->seed = sim_random(c->node->world, UINT64_MAX);
    struct alk_wr w = alk_wr(r->head, sizeof r->head);
    alk_wr_u8(&w, (uint8_t)op);
    alk_wr_u64(&w, r->seed);
    alk_wr_u64(&w, size);
    ALK_TRY(alk_conn_open_stream(c->conn, on_stream, r, &r->stream));
    feed_stream(r);
    return ALK_OK;
}

void sim_request_resume(struct sim_request *r)
{
    r->hold = false;
    if (r->stream != NULL) {
        read_stream(r);
    }
}

/* --- connections --------------------------------------------------------------------- */

static alk_err h_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                      void **ret_state)
{
    struct sim_client *c = service;
    c->is_open = true;
    c->opens++;
    c->conn = conn;
    c->auth = *auth;
    *ret_state = c;
    if (c->on_open != NULL) {
        c->on_open(c);
    }
    return ALK_OK;
}

static void on_their_stream(void *ctx, struct alk_stream *s, unsigned events)
{
    struct alk_span have;
    (void)ctx;
    (void)events;
    while (alk_stream_peek(s, &have) == ALK_OK) {
        alk_stream_consume(s, have.n);
    }
    alk_stream_finish(s);
}

static alk_err h_stream(void *state, struct alk_stream *stream)
{
    (void)state;
    alk_stream_on(stream, on_their_stream, NULL);
    alk_stream_finish(stream);
    return ALK_OK;
}

static void h_datagram(void *state, struct alk_span data)
{
    struct sim_client *c = state;
    c->datagrams++;
    c->last_datagram = data.n > 0 ? data.p[0] : 0;
}

static void h_auth_changed(void *state)
{
    struct sim_client *c = state;
    c->auth = *alk_conn_auth(c->conn);
}

static void h_credit(void *state)
{
    struct sim_client *c = state;
    c->credits++;
    if (c->on_credit != NULL) {
        c->on_credit(c);
    }
}

static void h_close(void *state, alk_err why, uint64_t code)
{
    struct sim_client *c = state;
    c->is_closed = true;
    c->closes++;
    c->close_err = why;
    c->close_code = code;
    (void)snprintf(c->reason, sizeof c->reason, "%s", c->conn->close_reason);
    c->conn = NULL;
}

static void on_unopened(void *service_state, struct alk_conn *conn)
{
    struct sim_client *c = service_state;
    c->is_closed = true;
    c->close_err = conn->close_err;
    c->close_code = conn->close_code;
    (void)snprintf(c->reason, sizeof c->reason, "%s", conn->close_reason);
    c->conn = NULL;
}

static void on_early_rejected(void *service_state)
{
    struct sim_client *c = service_state;
    c->is_early_rejected = true;
}

static const struct alk_handler handler = {
    .struct_size = sizeof handler,
    .abi = ALK_HANDLER_ABI,
    .name = "sim-client",
    .flags = ALK_HANDLER_EARLY_SAFE,
    .open = h_open,
    .stream = h_stream,
    .datagram = h_datagram,
    .auth_changed = h_auth_changed,
    .credit = h_credit,
    .close = h_close,
};

alk_err sim_client_init(struct sim_client *c, struct sim_node *node,
                        const struct sim_server *server, uint8_t key_seed, const char *alpn)
{
    const struct alk_mem *mem = node->world->mem;
    uint8_t seed[32];
    memset(seed, key_seed, sizeof seed);
    *c = (struct sim_client){.node = node};
    c->alpns[0] = alpn;
    c->dial = (struct alk_dial_options){
        .struct_size = sizeof c->dial,
        .mem = mem,
        .host = "sim.test",
        .alpns = c->alpns,
        .pinned_key = server->key,
    };
    alk_buf_init(&c->session, mem, 65536);
    struct alk_tls_creds_options creds = {.mem = mem, .seed = key_seed == 0 ? NULL : seed};
    return alk_tls_creds_new(&creds, NULL, 0, &c->creds);
}

alk_err sim_client_use_x509(struct sim_client *c, uint8_t key_seed,
                            char ret_name[static ALK_FINGERPRINT_MAX])
{
    static const char *const names[] = {"client.test", NULL};
    const struct alk_mem *mem = c->node->world->mem;
    uint8_t seed[32], sha256[32];
    uint64_t from, to;
    struct alk_buf chain, key;
    memset(seed, key_seed, sizeof seed);
    alk_buf_init(&chain, mem, 8192);
    alk_buf_init(&key, mem, 8192);
    alk_err err = alk_tls_self_signed(names, 1700000000, 86400, &chain, &key);
    struct alk_tls_creds_options creds = {.mem = mem, .seed = key_seed == 0 ? NULL : seed};
    creds.chain_pem = alk_buf_span(&chain);
    creds.key_pem = alk_buf_span(&key);
    if (err == ALK_OK) {
        alk_tls_creds_unref(c->creds);
        c->creds = NULL;
        err = alk_tls_creds_new(&creds, NULL, 0, &c->creds);
    }
    if (err == ALK_OK && alk_tls_creds_cert(c->creds, sha256, &from, &to)) {
        (void)snprintf(ret_name, ALK_FINGERPRINT_MAX, "cert:");
        (void)alk_hex(alk_span(sha256, 32), ret_name + 5, ALK_FINGERPRINT_MAX - 5);
    }
    alk_buf_fini(&chain);
    alk_buf_fini_secret(&key);
    return err;
}

void sim_client_fini(struct sim_client *c)
{
    alk_tls_creds_unref(c->creds);
    alk_buf_fini_secret(&c->session);
}

alk_err sim_client_connect(struct sim_client *c, const struct sim_node *to)
{
    c->is_open = false;
    c->is_closed = false;
    c->is_early_rejected = false;
    c->connect.local = c->node->addr;
    c->connect.remote = to->addr;
    c->connect.dial = &c->dial;
    c->connect.creds = c->creds;
    c->connect.handler = &handler;
    c->connect.service_state = c;
    c->connect.session = alk_buf_span(&c->session);
    ALK_TRY(alk_quic_connect(c->node->q, &c->connect, c->node->world->now, &c->conn));
    c->conn->on_unopened = on_unopened;
    c->conn->on_early_rejected = on_early_rejected;
    return ALK_OK;
}

alk_err sim_client_remember(struct sim_client *c)
{
    struct alk_buf next;
    alk_buf_init(&next, c->node->world->mem, 65536);
    alk_err err = alk_quic_client_session(c->conn, &next);
    if (err == ALK_OK) {
        alk_buf_fini_secret(&c->session);
        c->session = next;
        return ALK_OK;
    }
    alk_buf_fini(&next);
    return err;
}

bool sim_client_is_open(void *client)
{
    const struct sim_client *c = client;
    return c->is_open || c->is_closed;
}

bool sim_client_is_closed(void *client)
{
    const struct sim_client *c = client;
    return c->is_closed;
}

bool sim_client_is_confirmed(void *client)
{
    const struct sim_client *c = client;
    return c->is_closed || (c->conn != NULL && alk_conn_auth(c->conn)->is_confirmed);
}

bool sim_request_is_done(void *request)
{
    const struct sim_request *r = request;
    return r->is_done || r->client->is_closed;
}
