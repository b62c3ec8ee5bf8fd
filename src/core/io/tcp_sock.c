/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/tcp_sock.h"

#include "base/mem.h"
#include "core/io/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Per wake-up and connection, so that one peer cannot hold the loop. */
#define READS_MAX  8
#define WRITES_MAX 8

static void set_dirty(struct alk_tcp_sock *s)
{
    alk_list_append(&s->pump->tcp_dirty, &s->dirty);
}

/* A peer whose machine is gone is noticed after a minute and a half. */
#define PROBE_AFTER_S 45
#define PROBE_EVERY_S 15
#define PROBES        3

/* --- in ------------------------------------------------------------------- */

static void read_some(struct alk_tcp_sock *s, alk_time now)
{
    uint8_t *buf = alk_udp_rx_scratch(s->pump->rx);
    for (int i = 0; i < READS_MAX && alk_tcp_wants_input(s->conn); i++) {
        ssize_t n = recv(s->fd, buf, ALK_UDP_SLOT_SIZE, MSG_DONTWAIT);
        if (n == 0) {
            s->has_eof = true;
            alk_tcp_eof(s->conn, now);
            return;
        }
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                s->has_eof = true;
                alk_tcp_failed(s->conn, alk_sock_err(errno), now);
            }
            return;
        }
        if (alk_tcp_feed(s->conn, alk_span(buf, (size_t)n), now) != ALK_OK ||
            (size_t)n < ALK_UDP_SLOT_SIZE) {
            return;
        }
    }
}

static void on_ready(void *ctx, unsigned ready)
{
    struct alk_tcp_sock *s = ctx;
    alk_time now = alk_pump_now(s->pump);
    if ((ready & ALK_FD_WRITE) != 0) {
        s->wants_write = false;
    }
    if ((ready & ALK_FD_READ) != 0 && !s->has_eof) {
        read_some(s, now);
    }
    set_dirty(s);
}

static void on_deadline(struct alk_timer *timer, void *ctx)
{
    struct alk_tcp_sock *s = ctx;
    (void)timer;
    alk_tcp_tick(s->conn, alk_pump_now(s->pump));
    set_dirty(s);
}

/* --- out ------------------------------------------------------------------ */

/* False: an error ended the connection. */
static bool write_some(struct alk_tcp_sock *s, alk_time now)
{
    for (int i = 0; i < WRITES_MAX; i++) {
        alk_tcp_flush(s->conn, now);
        struct alk_span out = alk_tcp_output(s->conn);
        if (out.n == 0) {
            return true;
        }
        ssize_t n = send(s->fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            alk_tcp_sent(s->conn, (size_t)n);
        } else if (errno == EAGAIN) {
            s->wants_write = true;
            return true;
        } else if (errno != EINTR) {
            alk_tcp_failed(s->conn, alk_sock_err(errno), now);
            return false;
        }
    }
    set_dirty(s); /* more next time */
    return true;
}

static void close_fd(struct alk_tcp_sock *s)
{
    if (s->fd < 0) {
        return;
    }
    if (alk_tcp_wants_abort(s->conn)) {
        struct linger rst = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
    }
    alk_watch_free(s->watch);
    s->watch = NULL;
    (void)close(s->fd);
    s->fd = -1;
}

static void set_mask(struct alk_tcp_sock *s)
{
    unsigned mask = s->wants_write ? ALK_FD_WRITE : 0;
    if (!s->has_eof && alk_tcp_wants_input(s->conn)) {
        mask |= ALK_FD_READ;
    }
    alk_watch_mask(s->watch, mask);
}

static void flush(struct alk_tcp_sock *s)
{
    if (s->fd >= 0 && s->wants_write) {
        /* The socket takes nothing, but what waited for room may be read now: two
         * peers that both wait to write would else wait for ever. */
        alk_tcp_flush(s->conn, s->pump->hub.now);
    } else if (s->fd >= 0) {
        (void)write_some(s, s->pump->hub.now);
    }
    if (s->fd >= 0 && alk_tcp_wants_abort(s->conn)) {
        close_fd(s);
    }
    if (s->fd >= 0 && !s->is_shut && alk_tcp_output(s->conn).n == 0 &&
        alk_tcp_wants_shutdown(s->conn)) {
        s->is_shut = true;
        (void)shutdown(s->fd, SHUT_WR);
    }
    if (s->fd >= 0) {
        set_mask(s);
    }
    alk_timer_set(s->pump->loop, &s->timer, alk_tcp_deadline(s->conn));
}

void alk_tcp_socks_flush(struct alk_pump *pump)
{
    /* Those that are dirty now: what turns dirty meanwhile waits a round. */
    struct alk_link mark = {0};
    alk_list_append(&pump->tcp_dirty, &mark);
    struct alk_link *e;
    while ((e = alk_list_pop(&pump->tcp_dirty)) != &mark) {
        flush(ALK_CONTAINER(e, struct alk_tcp_sock, dirty));
    }
}

/* --- life ----------------------------------------------------------------- */

static void on_wake(void *ctx, struct alk_conn *conn)
{
    (void)conn;
    set_dirty(ctx);
}

static void on_over(void *ctx, struct alk_conn *conn)
{
    struct alk_tcp_sock *s = ctx;
    (void)conn;
    alk_list_append(&s->pump->tcp_over, &s->over);
}

static void sock_free(struct alk_tcp_sock *s)
{
    close_fd(s);
    alk_timer_stop(s->pump->loop, &s->timer);
    alk_list_remove(&s->all);
    alk_list_remove(&s->dirty);
    alk_list_remove(&s->over);
    alk_tcp_free(s->conn);
    if (s->on_gone != NULL) {
        s->on_gone(s->gone_ctx, &s->remote);
    }
    alk_free(s->pump->mem, s);
}

void alk_tcp_socks_reap(struct alk_pump *pump)
{
    struct alk_link *e;
    while ((e = alk_list_first(&pump->tcp_over)) != NULL) {
        sock_free(ALK_CONTAINER(e, struct alk_tcp_sock, over));
    }
}

void alk_tcp_socks_drop_all(struct alk_pump *pump)
{
    struct alk_link *e;
    while ((e = alk_list_first(&pump->tcp)) != NULL) {
        sock_free(ALK_CONTAINER(e, struct alk_tcp_sock, all));
    }
}

/* Everything but the connection. */
static struct alk_tcp_sock *sock_new(struct alk_pump *pump, int fd)
{
    struct alk_tcp_sock *s = ALK_NEW(pump->mem, struct alk_tcp_sock);
    if (s == NULL) {
        return NULL;
    }
    *s = (struct alk_tcp_sock){.pump = pump, .fd = fd, .remote = alk_sock_peer(fd)};
    s->timer = (struct alk_timer){.fn = on_deadline, .ctx = s};
    if (alk_watch_new(pump->loop, fd, ALK_FD_READ, on_ready, s, &s->watch) != ALK_OK) {
        alk_free(pump->mem, s);
        return NULL;
    }
    (void)alk_sock_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)alk_sock_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S);
    (void)alk_sock_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EVERY_S);
    (void)alk_sock_set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
    (void)alk_sock_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    return s;
}

static void sock_abandon(struct alk_tcp_sock *s)
{
    alk_watch_free(s->watch);
    (void)close(s->fd);
    alk_free(s->pump->mem, s);
}

static struct alk_tcp_options options_of(struct alk_tcp_sock *s)
{
    return (struct alk_tcp_options){.mem = s->pump->mem,
                                    .hub = &s->pump->hub,
                                    .local = alk_sock_bound(s->fd),
                                    .remote = s->remote,
                                    .wake = on_wake,
                                    .over = on_over,
                                    .owner = s};
}

static void sock_start(struct alk_tcp_sock *s)
{
    alk_list_append(&s->pump->tcp, &s->all);
    set_dirty(s);
}

alk_err alk_tcp_sock_serve(struct alk_pump *pump, int fd, const struct alk_tcp_accept *how)
{
    struct alk_tcp_sock *s = sock_new(pump, fd);
    if (s == NULL) {
        (void)close(fd);
        return ALK_E_NOMEM;
    }
    struct alk_tcp_options o = options_of(s);
    o.handshake_timeout = how->handshake_timeout;
    o.idle_timeout = how->idle_timeout;
    alk_err err = alk_tcp_server(&o, how->server, how->tls_loop, alk_pump_now(pump), &s->conn);
    if (err != ALK_OK) {
        sock_abandon(s);
        return err;
    }
    s->on_gone = how->on_gone;
    s->gone_ctx = how->gone_ctx;
    sock_start(s);
    return ALK_OK;
}

alk_err alk_tcp_sock_dial(struct alk_pump *pump, int fd, const struct alk_tcp_connect *connect,
                          struct alk_conn **ret)
{
    struct alk_tcp_sock *s = sock_new(pump, fd);
    if (s == NULL) {
        (void)close(fd);
        return ALK_E_NOMEM;
    }
    struct alk_tcp_options o = options_of(s);
    o.handshake_timeout = connect->dial->connect_timeout;
    o.idle_timeout = connect->dial->idle_timeout;
    o.keep_alive = connect->dial->keep_alive;
    alk_err err = alk_tcp_client(&o, connect, alk_pump_now(pump), &s->conn);
    if (err != ALK_OK) {
        sock_abandon(s);
        return err;
    }
    sock_start(s);
    *ret = s->conn;
    return ALK_OK;
}
