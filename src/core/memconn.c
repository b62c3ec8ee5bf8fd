/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/memconn.h"

#include "base/assert.h"
#include "base/mem.h"
#include "core/router.h"

#define DEFAULT_WINDOW ((size_t)64 * 1024)
#define DEFAULT_STREAMS 100u
#define DEFAULT_DATAGRAM ((size_t)1200)
#define VEC_MAX 16

struct end {
    struct alk_conn conn; /* first: ends are passed as connections */
    struct alk_mem_pair *pair;
    struct end *peer;
    struct alk_list dirty;
    unsigned opened_here; /* streams of ours that are still open */
    bool wants_credit;
};

struct mem_stream {
    struct alk_stream s; /* first */
    struct mem_stream *peer;
};

struct alk_mem_pair {
    const struct alk_mem *mem;
    struct end ends[2]; /* client, server */
    bool is_alive[2];
    size_t window, datagram_max;
    unsigned streams;
};

static struct end *end_of(const struct alk_conn *conn)
{
    return ALK_CONTAINER(conn, struct end, conn);
}

static void op_dirty(struct alk_stream *s)
{
    alk_list_append(&end_of(s->conn)->dirty, &s->dirty);
}

static struct mem_stream *stream_new(struct end *e, uint64_t id, bool is_local)
{
    struct mem_stream *m = ALK_NEW(e->conn.mem, struct mem_stream);
    if (m != NULL) {
        m->s.is_local = is_local;
        alk_stream_init(&m->s, &e->conn, id, e->pair->window);
    }
    return m;
}

static void op_free(struct alk_stream *s)
{
    struct mem_stream *m = ALK_CONTAINER(s, struct mem_stream, s);
    struct end *e = end_of(s->conn);
    if (m->peer != NULL) {
        m->peer->peer = NULL;
    }
    if (s->is_local) {
        e->opened_here--;
        if (e->wants_credit) {
            e->wants_credit = false;
            alk_conn_raise(&e->conn, ALK_CONN_CREDIT);
        }
    }
    alk_stream_fini(s);
    alk_free(e->conn.mem, m);
}

static alk_err op_open(struct alk_conn *conn, struct alk_stream **ret)
{
    struct end *e = end_of(conn);
    if (e->opened_here >= e->pair->streams) {
        e->wants_credit = true;
        return ALK_FULL;
    }
    uint64_t id = conn->streams_opened;
    struct mem_stream *here = stream_new(e, id, true);
    if (here == NULL) {
        return ALK_E_NOMEM;
    }
    e->opened_here++;
    here->peer = stream_new(e->peer, id, false);
    if (here->peer == NULL) {
        op_free(&here->s);
        return ALK_E_NOMEM;
    }
    here->peer->peer = here;
    *ret = &here->s;
    return ALK_OK;
}

static size_t op_datagram_max(const struct alk_conn *conn)
{
    size_t n = end_of(conn)->pair->datagram_max;
    return n == 1 ? 0 : n;
}

static alk_err op_datagram(struct alk_conn *conn, struct alk_span data)
{
    size_t max = op_datagram_max(conn);
    if (max == 0) {
        return ALK_E_UNSUPPORTED;
    }
    if (data.n > max) {
        return ALK_E_TOO_BIG;
    }
    alk_conn_rx_datagram(&end_of(conn)->peer->conn, data);
    return ALK_OK;
}

static void op_close(struct alk_conn *conn, uint64_t code, struct alk_span reason)
{
    struct end *peer = end_of(conn)->peer;
    if (peer->pair->is_alive[peer == &peer->pair->ends[1]]) {
        alk_conn_raise_closed(&peer->conn, ALK_E_CLOSED, code, reason);
    }
}

static void op_release(struct alk_conn *conn)
{
    struct end *e = end_of(conn);
    e->pair->is_alive[e == &e->pair->ends[1]] = false;
    alk_conn_fini(conn);
}

static const struct alk_conn_ops mem_ops = {
    .transport = ALK_TRANSPORT_MEMORY,
    .open_stream = op_open,
    .stream_dirty = op_dirty,
    .stream_free = op_free,
    .datagram = op_datagram,
    .datagram_max = op_datagram_max,
    .close = op_close,
    .release = op_release,
};

static void init_end(struct alk_mem_pair *pair, bool is_server, const struct alk_mem_options *o)
{
    struct end *e = &pair->ends[is_server];
    const struct alk_auth_context *auth = is_server ? o->server_auth : o->client_auth;
    e->pair = pair;
    e->peer = &pair->ends[!is_server];
    alk_list_init(&e->dirty);
    alk_conn_init(&e->conn, &mem_ops, is_server ? o->server_hub : o->client_hub);
    if (auth != NULL) {
        char log_id[sizeof e->conn.auth.log_id];
        memcpy(log_id, e->conn.auth.log_id, sizeof log_id);
        e->conn.auth = *auth;
        memcpy(e->conn.auth.log_id, log_id, sizeof log_id);
        e->conn.auth.transport = ALK_TRANSPORT_MEMORY;
        if (auth->identity != NULL) {
            (void)alk_identity_ref(auth->identity);
        }
    }
    memcpy(e->conn.auth.remote, "memory", sizeof "memory");
    memcpy(e->conn.auth.local, "memory", sizeof "memory");
    e->conn.is_server = is_server;
    e->conn.handler = is_server ? o->server : o->client;
    e->conn.service_state = is_server ? o->server_state : o->client_state;
    if (is_server && o->service != NULL) {
        e->conn.service = alk_service_ref(o->service);
    }
    pair->is_alive[is_server] = true;
    unsigned events = ALK_CONN_HANDSHAKE;
    if (!e->conn.auth.is_early) {
        events |= ALK_CONN_CONFIRMED;
    }
    alk_conn_raise(&e->conn, events);
}

alk_err alk_mem_pair_new(const struct alk_mem_options *options, struct alk_mem_pair **ret)
{
    const struct alk_mem *mem = options->server_hub->mem;
    struct alk_mem_pair *pair = ALK_NEW(mem, struct alk_mem_pair);
    if (pair == NULL) {
        return ALK_E_NOMEM;
    }
    pair->mem = mem;
    pair->window = options->window == 0 ? DEFAULT_WINDOW : options->window;
    pair->streams = options->streams == 0 ? DEFAULT_STREAMS : options->streams;
    pair->datagram_max = options->datagram_max == 0 ? DEFAULT_DATAGRAM : options->datagram_max;
    init_end(pair, false, options);
    init_end(pair, true, options);
    *ret = pair;
    return ALK_OK;
}

struct alk_conn *alk_mem_client(struct alk_mem_pair *pair)
{
    return pair->is_alive[0] ? &pair->ends[0].conn : NULL;
}

struct alk_conn *alk_mem_server(struct alk_mem_pair *pair)
{
    return pair->is_alive[1] ? &pair->ends[1].conn : NULL;
}

/* Bytes and the end, as far as the receiver's window allows. */
static bool move_data(struct mem_stream *from, struct mem_stream *to)
{
    struct alk_span vec[VEC_MAX];
    bool fin;
    size_t count = alk_stream_tx_vec(&from->s, vec, VEC_MAX, &fin);
    size_t room = alk_buf_room(&to->s.rx);
    size_t sent = 0;
    bool is_all = true;
    for (size_t i = 0; i < count && is_all; i++) {
        struct alk_span part = alk_span_head(vec[i], room - sent);
        is_all = part.n == vec[i].n;
        if (part.n > 0 && alk_stream_rx(&to->s, part, false) != ALK_OK) {
            is_all = false;
            break;
        }
        sent += part.n;
    }
    fin = fin && is_all;
    if (fin && alk_stream_rx(&to->s, alk_span(NULL, 0), true) != ALK_OK) {
        fin = false;
    }
    if (sent > 0 || fin) {
        alk_stream_tx_sent(&from->s, sent, fin);
        alk_stream_tx_acked(&from->s, from->s.tx.sent);
    }
    if (fin) {
        alk_stream_tx_done(&from->s);
    }
    return sent > 0 || fin;
}

static bool is_rx_over(const struct alk_stream *s)
{
    return s->has_fin || s->has_reset;
}

/* Everything that `from` has for its peer. */
static bool move(struct mem_stream *from)
{
    struct mem_stream *to = from->peer;
    bool has_moved = alk_stream_take_credit(&from->s) > 0;
    if (to == NULL) {
        return false;
    }
    if (has_moved && alk_stream_has_work(&to->s)) {
        op_dirty(&to->s); /* our window opened: the peer's writer may go on */
    }
    if (from->s.is_reset && !from->s.is_reset_sent && !from->s.is_tx_done) {
        from->s.is_reset_sent = true;
        alk_stream_rx_reset(&to->s, from->s.reset_code);
        alk_stream_tx_done(&from->s);
        has_moved = true;
    } else if (!from->s.is_reset && !from->s.is_tx_done) {
        has_moved = move_data(from, to) || has_moved;
    }
    if (from->s.is_stopped && !from->s.is_stop_sent) {
        from->s.is_stop_sent = true;
        has_moved = true;
        alk_stream_peer_stop(&to->s, from->s.stop_code);
        if (!to->s.is_tx_done) { /* as QUIC: a stop is answered by a reset */
            alk_stream_reset(&to->s, from->s.stop_code);
        }
    }
    return has_moved;
}

static void end_if_over(struct mem_stream *m)
{
    if (m != NULL && m->s.is_tx_done && is_rx_over(&m->s)) {
        alk_stream_gone(&m->s);
    }
}

static bool pump_end(struct end *e)
{
    struct alk_list batch;
    alk_list_init(&batch);
    struct alk_link *l;
    while ((l = alk_list_pop(&e->dirty)) != NULL) {
        alk_list_append(&batch, l);
    }
    bool has_moved = false;
    while ((l = alk_list_pop(&batch)) != NULL) {
        struct mem_stream *m = ALK_CONTAINER(l, struct mem_stream, s.dirty);
        struct mem_stream *peer = m->peer;
        has_moved = move(m) || has_moved;
        end_if_over(m);
        end_if_over(peer);
    }
    return has_moved;
}

bool alk_mem_pump(struct alk_mem_pair *pair)
{
    bool has_moved = false;
    if (pair->is_alive[0] && pair->is_alive[1]) {
        has_moved = pump_end(&pair->ends[0]);
        has_moved = pump_end(&pair->ends[1]) || has_moved;
    }
    return has_moved;
}

void alk_mem_pair_free(struct alk_mem_pair *pair)
{
    if (pair == NULL) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        struct end *e = &pair->ends[i];
        struct alk_hub *hub = e->conn.hub;
        if (pair->is_alive[i]) {
            alk_conn_raise_closed(&e->conn, ALK_E_CLOSED, ALK_CODE_NONE, alk_span(NULL, 0));
        }
        while (pair->is_alive[i]) {
            (void)alk_hub_run(hub);
        }
    }
    alk_free(pair->mem, pair);
}
