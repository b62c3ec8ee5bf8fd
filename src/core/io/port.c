/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/port.h"

#include "base/mem.h"

/* Bytes received per wake-up and socket before what was fed is answered, and
 * batches of 64 KB sent per flush before sockets are read again. Small: a sender
 * that reads acknowledgements between its batches keeps the peer busy, where long
 * bursts make both sides wait for each other in turn. */
#define RECEIVE_BUDGET ((size_t)128 * 1024)
#define SEND_BUDGET 2

/* --- in ------------------------------------------------------------------- */

/* A new connection's first packet [RFC 9000 §17.2.2], [RFC 9369 §3.2]; or one
 * that we cannot read. Clients choose IDs of other lengths than ours. */
static bool may_open(struct alk_span data)
{
    bool is_long = data.n > 5 && (data.p[0] & 0x80) != 0;
    return is_long && data.p[5] != ALK_QUIC_CID_LEN;
}

void alk_port_feed(struct alk_port *port, const struct alk_udp_msg *msg)
{
    alk_quic_feed(port->quic, &msg->local, &msg->remote, msg->ecn, msg->data,
                  alk_pump_now(port->pump));
}

struct intake {
    struct alk_port_sock *sock;
    alk_time now;
    size_t bytes;
};

static void on_msg(void *ctx, const struct alk_udp_msg *msg)
{
    struct intake *in = ctx;
    struct alk_port *port = in->sock->port;
    in->bytes += msg->data.n;
    if (in->sock->is_retired && may_open(msg->data)) {
        return;
    }
    if (port->stray != NULL) {
        /* Also within one GRO batch: the kernel steers it by its first segment. */
        uint8_t owner = alk_quic_owner(port->quic, msg->data);
        if (owner != port->loop_id) {
            port->stray(port->stray_ctx, owner, msg);
            return;
        }
    }
    alk_quic_feed(port->quic, &msg->local, &msg->remote, msg->ecn, msg->data, in->now);
}

static void on_ready(void *ctx, unsigned ready)
{
    struct alk_port_sock *sock = ctx;
    struct alk_port *port = sock->port;
    struct intake in = {.sock = sock, .now = alk_pump_now(port->pump)};
    if ((ready & ALK_FD_WRITE) != 0) {
        alk_watch_mask(sock->watch, ALK_FD_READ);
        port->blocked = port->blocked == sock ? NULL : port->blocked;
    }
    if ((ready & ALK_FD_READ) != 0) {
        while (alk_udp_recv(&sock->udp, port->pump->rx, on_msg, &in) && in.bytes < RECEIVE_BUDGET) {
        }
    }
    if (port->unreachable != NULL) {
        alk_udp_errors(&sock->udp, port->unreachable, port->unreachable_ctx);
    }
}

static void on_deadline(struct alk_timer *timer, void *ctx)
{
    struct alk_port *port = ctx;
    (void)timer;
    alk_quic_tick(port->quic, alk_pump_now(port->pump));
}

/* --- out ------------------------------------------------------------------ */

static bool can_send(const struct alk_port_sock *sock, const struct alk_quic_batch *batch)
{
    const struct alk_addr *bound = &sock->udp.bound;
    if (bound->family != batch->remote.family) {
        return false;
    }
    if (batch->local.family == 0) {
        return true;
    }
    return bound->port == batch->local.port &&
           (sock->udp.is_any || memcmp(bound->ip, batch->local.ip, sizeof bound->ip) == 0);
}

static struct alk_port_sock *find_sock(const struct alk_port *port,
                                       const struct alk_quic_batch *batch)
{
    struct alk_link *e = alk_list_first(&port->socks);
    for (; e != NULL; e = alk_list_next(&port->socks, e)) {
        struct alk_port_sock *sock = ALK_CONTAINER(e, struct alk_port_sock, in);
        if (can_send(sock, batch)) {
            return sock;
        }
    }
    return NULL;
}

/* False: the socket is full; the batch is kept. */
static bool send_batch(struct alk_port *port)
{
    struct alk_quic_batch *batch = &port->batch;
    struct alk_port_sock *sock = find_sock(port, batch);
    if (sock == NULL) {
        port->no_socket++;
        return true;
    }
    struct alk_udp_out out = {.local = batch->local, .remote = batch->remote, .ecn = batch->ecn};
    out.segment = batch->segment;
    out.data = alk_span(batch->buf, batch->n);
    alk_err err = alk_udp_send(&sock->udp, &out, &port->batch_done);
    if (err == ALK_FULL) {
        port->blocked = sock;
        alk_watch_mask(sock->watch, ALK_FD_READ | ALK_FD_WRITE);
        return false;
    }
    if (err == ALK_E_TOO_BIG) {
        alk_quic_too_big(port->quic, batch);
    }
    return true;
}

bool alk_port_flush(struct alk_port *port)
{
    alk_time now = port->pump->hub.now;
    bool has_more = false;
    for (int i = 0; port->blocked == NULL; i++) {
        if (!port->has_batch) {
            if (i >= SEND_BUDGET) {
                has_more = alk_quic_has_work(port->quic);
                break;
            }
            port->batch.buf = port->buf;
            port->batch_done = 0;
            port->has_batch = alk_quic_send(port->quic, now, &port->batch);
            if (!port->has_batch) {
                break;
            }
        }
        if (send_batch(port)) {
            port->has_batch = false;
        }
    }
    alk_timer_set(port->pump->loop, &port->timer, alk_quic_deadline(port->quic));
    return has_more;
}

bool alk_port_has_work(const struct alk_port *port)
{
    return port->blocked == NULL && (port->has_batch || alk_quic_has_work(port->quic));
}

/* --- life ----------------------------------------------------------------- */

alk_err alk_port_new(struct alk_pump *pump, struct alk_quic *quic, uint8_t loop_id,
                     struct alk_port **ret)
{
    struct alk_port *port = ALK_NEW(pump->mem, struct alk_port);
    uint8_t *buf = alk_alloc(pump->mem, ALK_QUIC_BATCH);
    if (port == NULL || buf == NULL) {
        alk_free(pump->mem, port);
        alk_free(pump->mem, buf);
        alk_quic_free(quic);
        return ALK_E_NOMEM;
    }
    *port = (struct alk_port){.pump = pump, .quic = quic, .loop_id = loop_id, .buf = buf};
    port->timer = (struct alk_timer){.fn = on_deadline, .ctx = port};
    alk_list_init(&port->socks);
    alk_list_append(&pump->ports, &port->in);
    *ret = port;
    return ALK_OK;
}

void alk_port_free(struct alk_port *port)
{
    if (port == NULL) {
        return;
    }
    struct alk_link *e;
    while ((e = alk_list_first(&port->socks)) != NULL) {
        alk_port_remove(ALK_CONTAINER(e, struct alk_port_sock, in));
    }
    alk_timer_stop(port->pump->loop, &port->timer);
    alk_list_remove(&port->in);
    alk_quic_free(port->quic);
    alk_free(port->pump->mem, port->buf);
    alk_free(port->pump->mem, port);
}

alk_err alk_port_add(struct alk_port *port, struct alk_udp *udp, struct alk_port_sock **ret)
{
    struct alk_port_sock *sock = ALK_NEW(port->pump->mem, struct alk_port_sock);
    if (sock == NULL) {
        alk_udp_close(udp);
        return ALK_E_NOMEM;
    }
    *sock = (struct alk_port_sock){.port = port, .udp = *udp};
    alk_err err =
        alk_watch_new(port->pump->loop, udp->fd, ALK_FD_READ, on_ready, sock, &sock->watch);
    if (err != ALK_OK) {
        alk_udp_close(udp);
        alk_free(port->pump->mem, sock);
        return err;
    }
    if (!udp->has_gso) {
        alk_quic_no_gso(port->quic);
    }
    alk_list_append(&port->socks, &sock->in);
    *ret = sock;
    return ALK_OK;
}

void alk_port_remove(struct alk_port_sock *sock)
{
    struct alk_port *port = sock->port;
    port->blocked = port->blocked == sock ? NULL : port->blocked;
    alk_list_remove(&sock->in);
    alk_watch_free(sock->watch);
    alk_udp_close(&sock->udp);
    alk_free(port->pump->mem, sock);
}
