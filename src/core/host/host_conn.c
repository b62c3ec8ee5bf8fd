/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The transport of a host: what QUIC does with packets, this does with
 * socketpairs and the control channel. */
#include "core/host/host_in.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BLOCK ((size_t)65536)
#define BLOCKS_PER_TURN 8
#define VEC_MAX 32
#define SOCKET_BUFFER (4 << 20)

static struct host_conn *conn_of(const struct alk_conn *conn)
{
    return ALK_CONTAINER(conn, struct host_conn, conn);
}

static struct host_stream *stream_of(const struct alk_stream *s)
{
    return ALK_CONTAINER(s, struct host_stream, s);
}

static struct alk_span key(const uint64_t *id)
{
    return alk_span(id, sizeof *id);
}

static struct host_conn *find_conn(const struct host_chan *c, uint64_t id)
{
    return alk_map_get(&c->conns, key(&id));
}

static struct host_stream *find_stream(const struct host_chan *c, uint64_t id)
{
    return alk_map_get(&c->streams, key(&id));
}

static void say_value(struct host_stream *h, enum alk_host_type type, uint64_t value)
{
    struct alk_host_msg m = {.type = type, .conn = h->conn->id, .stream = h->id};
    m.u.value = value;
    alk_host_send(h->conn->chan, &m, -1);
}

/* --- streams: reading ----------------------------------------------------- */

static size_t rx_room(const struct host_stream *h)
{
    size_t held = alk_buf_len(&h->s.rx);
    return held < h->s.rx.max ? h->s.rx.max - held : 0;
}

static void update_watch(struct host_stream *h)
{
    if (h->watch != NULL) {
        bool reads = !h->is_rx_over && rx_room(h) > 0;
        alk_watch_mask(h->watch, (reads ? (unsigned)ALK_FD_READ : 0U) |
                                     (h->is_blocked ? (unsigned)ALK_FD_WRITE : 0U));
    }
}

static void rx_over(struct host_stream *h)
{
    h->is_rx_over = true;
    alk_list_append(&h->conn->chan->dirty, &h->s.dirty); /* it may be over as a whole */
}

static void rx_abort(struct host_stream *h, uint64_t code)
{
    if (!h->is_rx_over) {
        alk_stream_rx_reset(&h->s, code);
        rx_over(h);
    }
}

/* Bytes have come, or the end has been told: is it reached? */
static void check_expected(struct host_stream *h)
{
    if (!h->is_rx_over && h->rx_bytes == h->rx_expect) {
        alk_err err = alk_stream_rx(&h->s, alk_span(NULL, 0), true);
        (void)err; /* nothing to store: cannot fail */
        rx_over(h);
    }
}

static void read_stream(struct host_stream *h)
{
    uint8_t block[BLOCK];
    for (int i = 0; i < BLOCKS_PER_TURN && !h->is_rx_over; i++) {
        size_t size = rx_room(h);
        if (size == 0) {
            return;
        }
        ssize_t n = read(h->fd, block, size < BLOCK ? size : BLOCK);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            /* Before the stated end: what was meant comes on the channel, but
             * nothing more comes here. */
            alk_watch_free(h->watch);
            h->watch = NULL;
            return;
        }
        h->rx_bytes += (size_t)n;
        if (alk_stream_rx(&h->s, alk_span(block, (size_t)n), false) != ALK_OK) {
            say_value(h, ALK_HOST_STOP, ALK_CODE_LIMIT);
            rx_abort(h, ALK_CODE_LIMIT);
        }
        check_expected(h);
    }
}

/* --- streams: writing ----------------------------------------------------- */

static void tx_over(struct host_stream *h)
{
    h->is_tx_over = true;
    h->is_blocked = false;
    alk_stream_tx_done(&h->s);
}

/* ALK_OK: *ret_n bytes went; ALK_FULL; ALK_E_CLOSED. */
static alk_err write_vec(int fd, const struct alk_span *vec, size_t count, size_t *ret_n)
{
    struct iovec iov[VEC_MAX];
    for (size_t i = 0; i < count; i++) {
        iov[i].iov_base = (void *)(uintptr_t)vec[i].p;
        iov[i].iov_len = vec[i].n;
    }
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = count};
    for (;;) {
        ssize_t n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            *ret_n = (size_t)n;
            return ALK_OK;
        }
        if (errno != EINTR) {
            return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? ALK_FULL : ALK_E_CLOSED;
        }
    }
}

static void write_stream(struct host_stream *h)
{
    struct alk_span vec[VEC_MAX];
    bool has_fin = false;
    h->is_blocked = false;
    for (int i = 0; i < BLOCKS_PER_TURN; i++) {
        size_t count = alk_stream_tx_vec(&h->s, vec, VEC_MAX, &has_fin);
        if (count == 0) {
            break;
        }
        size_t n = 0;
        alk_err err = write_vec(h->fd, vec, count, &n);
        if (err == ALK_FULL) {
            h->is_blocked = true;
            return;
        }
        if (err != ALK_OK) {
            return; /* the endpoint has closed its end: STOP is on its way */
        }
        h->tx_bytes += n;
        alk_stream_tx_sent(&h->s, n, false);
        alk_stream_tx_acked(&h->s, h->s.tx.sent);
    }
    if (alk_stream_tx_unsent(&h->s) > 0) {
        h->is_blocked = true; /* the turn is over: the loop calls again */
    } else if (h->s.is_finished) {
        say_value(h, ALK_HOST_FINISH, h->tx_bytes);
        alk_stream_tx_sent(&h->s, 0, true);
        tx_over(h);
    }
}

/* --- streams: all wishes -------------------------------------------------- */

static void flush_stream(struct host_stream *h)
{
    struct alk_stream *s = &h->s;
    (void)alk_stream_take_credit(s);
    if (s->is_reset && !h->is_tx_over) {
        s->is_reset_sent = true;
        say_value(h, ALK_HOST_RESET, s->reset_code);
        tx_over(h);
    } else if (!h->is_tx_over) {
        write_stream(h);
    }
    if (s->is_stopped && !h->is_rx_over) {
        s->is_stop_sent = true;
        say_value(h, ALK_HOST_STOP, s->stop_code);
        h->is_rx_over = true;
    }
    bool is_read = alk_buf_len(&s->rx) == 0 || s->is_stopped || s->is_detached;
    if (h->is_rx_over && h->is_tx_over && is_read) {
        alk_watch_free(h->watch);
        h->watch = NULL;
        alk_stream_gone(s);
        return;
    }
    update_watch(h);
}

void alk_host_flush(struct host_chan *c)
{
    struct alk_link *l;
    while ((l = alk_list_pop(&c->dirty)) != NULL) {
        flush_stream(stream_of(ALK_CONTAINER(l, struct alk_stream, dirty)));
    }
}

static void on_stream_fd(void *ctx, unsigned ready)
{
    struct host_stream *h = ctx;
    if ((ready & ALK_FD_READ) != 0) {
        read_stream(h);
    }
    alk_list_append(&h->conn->chan->dirty, &h->s.dirty);
}

/* --- streams: birth and death --------------------------------------------- */

/* Takes the descriptor. NULL: no memory, or the number is in use. */
static struct host_stream *stream_new(struct host_conn *hc, uint64_t id, uint64_t shown_id, int fd,
                                      bool is_local)
{
    struct host_chan *c = hc->chan;
    struct host_stream *h = ALK_NEW(hc->conn.mem, struct host_stream);
    if (h == NULL) {
        (void)close(fd);
        return NULL;
    }
    h->conn = hc;
    h->id = id;
    h->fd = fd;
    h->rx_expect = UINT64_MAX;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    if (alk_map_put(&c->streams, key(&h->id), h) != ALK_OK) {
        (void)close(fd);
        alk_free(hc->conn.mem, h);
        return NULL;
    }
    if (alk_watch_new(c->host->loop, fd, ALK_FD_READ, on_stream_fd, h, &h->watch) != ALK_OK) {
        (void)alk_map_remove(&c->streams, key(&h->id));
        (void)close(fd);
        alk_free(hc->conn.mem, h);
        return NULL;
    }
    h->s.is_local = is_local;
    alk_stream_init(&h->s, &hc->conn, shown_id, (size_t)c->window);
    return h;
}

static void op_stream_free(struct alk_stream *s)
{
    struct host_stream *h = stream_of(s);
    struct host_conn *hc = h->conn;
    alk_watch_free(h->watch);
    alk_host_close_fd(hc->chan, h->fd);
    (void)alk_map_remove(&hc->chan->streams, key(&h->id));
    if (h->is_opening) {
        hc->opens--;
    }
    alk_stream_fini(s);
    alk_free(hc->conn.mem, h);
}

static void op_stream_dirty(struct alk_stream *s)
{
    alk_list_append(&conn_of(s->conn)->chan->dirty, &s->dirty);
}

static alk_err op_open_stream(struct alk_conn *conn, struct alk_stream **ret)
{
    struct host_conn *hc = conn_of(conn);
    struct host_chan *c = hc->chan;
    int fds[2];
    int size = SOCKET_BUFFER;
    if (conn->ops->transport == ALK_TRANSPORT_TLS && conn->streams_opened > 0) {
        return ALK_E_ONE_STREAM;
    }
    if (hc->opens >= ALK_HOST_OPENS_MAX) {
        hc->wants_credit = true;
        return ALK_FULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        return ALK_E_LIMIT;
    }
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    struct alk_host_msg m = {.type = ALK_HOST_STREAM, .conn = hc->id, .stream = c->next_stream};
    struct host_stream *h = stream_new(hc, m.stream, m.stream, fds[0], true);
    if (h == NULL) {
        (void)close(fds[1]);
        return ALK_E_NOMEM;
    }
    c->next_stream += 2;
    h->is_opening = true;
    hc->opens++;
    alk_host_send(c, &m, fds[1]);
    *ret = &h->s;
    return ALK_OK;
}

static bool is_foreign(uint64_t id)
{
    return (id & 1) == 0;
}

bool alk_host_stream_new(struct host_chan *c, struct alk_host_msg *m, int fd)
{
    struct host_conn *hc = find_conn(c, m->conn);
    if (!is_foreign(m->stream) || find_stream(c, m->stream) != NULL) {
        alk_close_fds(&fd, 1);
        return false;
    }
    if (hc == NULL || hc->conn.is_closing) { /* our CLOSE and this have crossed */
        alk_close_fds(&fd, 1);
        return true;
    }
    struct host_stream *h =
        fd < 0 ? NULL : stream_new(hc, m->stream, m->u.stream.id, fd, false);
    if (h == NULL) { /* too many descriptors here, or no memory: that stream alone */
        struct alk_host_msg no = {.conn = m->conn, .stream = m->stream};
        no.u.value = ALK_CODE_LIMIT;
        no.type = ALK_HOST_RESET;
        alk_host_send(c, &no, -1);
        no.type = ALK_HOST_STOP;
        alk_host_send(c, &no, -1);
        return true;
    }
    h->s.is_early = m->u.stream.is_early;
    return true;
}

bool alk_host_stream_opened(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_stream *h = find_stream(c, m->stream);
    if (h == NULL || !h->is_opening) {
        return h == NULL && !is_foreign(m->stream);
    }
    h->is_opening = false;
    h->conn->opens--;
    if (m->u.opened.err == ALK_OK) {
        h->s.id = m->u.opened.id;
    } else {
        uint64_t code = alk_err_code(m->u.opened.err);
        alk_stream_peer_stop(&h->s, code);
        tx_over(h);
        rx_abort(h, code);
    }
    if (h->conn->wants_credit) {
        h->conn->wants_credit = false;
        alk_conn_raise(&h->conn->conn, ALK_CONN_CREDIT);
    }
    return true;
}

bool alk_host_stream_finish(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_stream *h = find_stream(c, m->stream);
    if (h == NULL || h->is_rx_over) {
        return true;
    }
    if (h->rx_expect != UINT64_MAX || h->rx_bytes > m->u.value) {
        return false;
    }
    h->rx_expect = m->u.value;
    check_expected(h);
    return true;
}

bool alk_host_stream_reset(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_stream *h = find_stream(c, m->stream);
    if (h != NULL) {
        rx_abort(h, m->u.value);
    }
    return true;
}

bool alk_host_stream_stop(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_stream *h = find_stream(c, m->stream);
    if (h != NULL && !h->is_tx_over) {
        alk_stream_peer_stop(&h->s, m->u.value);
        tx_over(h);
        alk_list_append(&c->dirty, &h->s.dirty);
    }
    return true;
}

/* --- connections ---------------------------------------------------------- */

static alk_err op_datagram(struct alk_conn *conn, struct alk_span data)
{
    struct host_conn *hc = conn_of(conn);
    if (hc->datagram_max == 0) {
        return ALK_E_UNSUPPORTED;
    }
    if (data.n > hc->datagram_max) {
        return ALK_E_TOO_BIG;
    }
    struct alk_host_msg m = {.type = ALK_HOST_DATAGRAM, .conn = hc->id};
    m.u.bytes = data;
    if (!alk_host_try_send(hc->chan, &m)) {
        conn->dgrams_dropped++;
    }
    return ALK_OK;
}

static size_t op_datagram_max(const struct alk_conn *conn)
{
    return conn_of(conn)->datagram_max;
}

static void op_close(struct alk_conn *conn, uint64_t code, struct alk_span reason)
{
    struct host_conn *hc = conn_of(conn);
    struct alk_host_msg m = {.type = ALK_HOST_CLOSE, .conn = hc->id};
    m.u.close.code = code;
    m.u.close.reason = reason;
    alk_host_flush(hc->chan); /* what was written before goes before */
    alk_host_send(hc->chan, &m, -1);
}

static void op_release(struct alk_conn *conn)
{
    struct host_conn *hc = conn_of(conn);
    const struct alk_mem *mem = conn->mem;
    (void)alk_map_remove(&hc->chan->conns, key(&hc->id));
    alk_conn_fini(conn);
    alk_free(mem, hc);
}

#define OPS(which)                                                                                 \
    {                                                                                              \
        .transport = (which), .open_stream = op_open_stream, .stream_dirty = op_stream_dirty,      \
        .stream_free = op_stream_free, .datagram = op_datagram, .datagram_max = op_datagram_max,   \
        .close = op_close, .release = op_release,                                                  \
    }
/* One for each transport: the handler sees the one that the peer uses. */
static const struct alk_conn_ops ops[] = {OPS(ALK_TRANSPORT_QUIC), OPS(ALK_TRANSPORT_TLS),
                                          OPS(ALK_TRANSPORT_WEBTRANSPORT),
                                          OPS(ALK_TRANSPORT_MEMORY)};

static const struct alk_conn_ops *ops_of(enum alk_transport transport)
{
    size_t i = 0;
    while (i + 1 < sizeof(ops) / sizeof(ops[0]) && ops[i].transport != transport) {
        i++;
    }
    return &ops[i];
}

/* Takes the identity's reference out of the message. */
static void set_auth(struct host_conn *hc, struct alk_host_msg *m)
{
    const struct alk_identity *old = hc->conn.auth.identity;
    hc->conn.auth = m->u.auth.auth;
    hc->datagram_max = m->u.auth.datagram_max;
    m->u.auth.auth.identity = NULL;
    hc->conn.is_confirmed = hc->conn.auth.is_confirmed;
    alk_identity_unref(old);
}

/* What is no address ("memory") stays none. */
static void read_addr(const char *text, struct alk_addr *ret)
{
    struct alk_addr a;
    if (alk_addr_parse(alk_span_str(text), &a) == ALK_OK) {
        *ret = a;
    }
}

bool alk_host_conn_open(struct host_chan *c, struct alk_host_msg *m)
{
    struct alk_host *host = c->host;
    if (find_conn(c, m->conn) != NULL) {
        return false;
    }
    struct host_conn *hc = ALK_NEW(host->hub.mem, struct host_conn);
    if (hc == NULL) {
        return false;
    }
    hc->chan = c;
    hc->id = m->conn;
    if (alk_map_put(&c->conns, key(&hc->id), hc) != ALK_OK) {
        alk_free(host->hub.mem, hc);
        return false;
    }
    alk_conn_init(&hc->conn, ops_of(m->u.auth.auth.transport), &host->hub);
    hc->conn.is_server = true;
    hc->conn.handler = host->options->handler;
    hc->conn.service_state = host->service;
    set_auth(hc, m);
    read_addr(hc->conn.auth.remote, &hc->conn.remote);
    read_addr(hc->conn.auth.local, &hc->conn.local);
    /* The endpoint has resolved and admitted: nothing is left but `open`. */
    hc->conn.conn_state = ALK_CONN_RESOLVING;
    alk_conn_raise(&hc->conn, ALK_CONN_AUTH);
    return true;
}

bool alk_host_conn_auth(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_conn *hc = find_conn(c, m->conn);
    if (hc != NULL) {
        set_auth(hc, m);
        alk_conn_raise(&hc->conn, ALK_CONN_AUTH);
    }
    return true;
}

bool alk_host_conn_close(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_conn *hc = find_conn(c, m->conn);
    if (hc != NULL) {
        alk_conn_raise_closed(&hc->conn, m->u.close.err, m->u.close.code, m->u.close.reason);
    }
    return true;
}

bool alk_host_conn_drain(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_conn *hc = find_conn(c, m->conn);
    if (hc != NULL) {
        c->host->hub.drain_deadline = alk_loop_now(c->host->loop) + m->u.value;
        alk_conn_raise(&hc->conn, ALK_CONN_DRAIN);
    }
    return true;
}

bool alk_host_conn_datagram(struct host_chan *c, struct alk_host_msg *m)
{
    struct host_conn *hc = find_conn(c, m->conn);
    if (hc != NULL) {
        alk_conn_rx_datagram(&hc->conn, m->u.bytes);
    }
    return true;
}
