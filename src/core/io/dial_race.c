/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/dial.h"

#include "base/mem.h"
#include "core/io/sock.h"
#include "core/io/tcp_sock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void next_attempt(struct alk_dial *d, struct alk_lane *lane);

/* --- one attempt ---------------------------------------------------------- */

/* Whether somebody else may still win, so that our Finished has to wait. */
static bool has_rivals(const struct alk_dial *d)
{
    return d->addr_count > 1 || (d->lanes[0].is_used && d->lanes[1].is_used);
}

static void adopt(struct alk_attempt *a, struct alk_conn *conn)
{
    a->conn = conn;
    conn->on_unopened = alk_dial_on_unopened;
    conn->on_early_rejected = alk_dial_on_early_rejected;
    conn->on_released = alk_dial_on_released;
}

static void on_keylog(void *ctx, const char *line)
{
    (void)alk_line_file_put(ctx, alk_span_str(line));
}

static alk_err start_quic(struct alk_attempt *a)
{
    struct alk_dial *d = a->dial;
    struct alk_port *port;
    uint16_t local_port;
    struct alk_conn *conn;
    struct alk_quic_connect c = {.remote = a->remote, .dial = &d->o, .creds = d->creds};
    struct alk_buf session;
    ALK_TRY(alk_dial_route(&a->remote, d->o.bind_address, &c.local));
    ALK_TRY(alk_dialer_port(d->dialer, d->o.qlog_dir, a->remote.family, d->o.bind_address, &port,
                            &local_port));
    alk_dial_session(d, ALK_TRANSPORT_QUIC, &session);
    c.local.port = local_port;
    c.handler = &alk_dial_handler;
    c.service_state = a;
    c.session = alk_buf_span(&session);
    c.hold_finished = has_rivals(d);
    c.keylog = d->keylog == NULL ? NULL : on_keylog;
    c.keylog_ctx = d->keylog;
    alk_err err = alk_quic_connect(port->quic, &c, alk_pump_now(d->dialer->pump), &conn);
    alk_buf_fini_secret(&session);
    if (err == ALK_OK) {
        adopt(a, conn);
    }
    return err;
}

static alk_err start_tls(struct alk_attempt *a, int fd)
{
    struct alk_dial *d = a->dial;
    struct alk_conn *conn;
    struct alk_buf session;
    struct alk_tcp_connect c = {.dial = &d->o, .creds = d->creds};
    alk_dial_session(d, ALK_TRANSPORT_TLS, &session);
    c.handler = &alk_dial_handler;
    c.service_state = a;
    c.session = alk_buf_span(&session);
    c.hold_finished = has_rivals(d);
    c.keylog = d->keylog == NULL ? NULL : on_keylog;
    c.keylog_ctx = d->keylog;
    alk_err err = alk_tcp_sock_dial(d->dialer->pump, fd, &c, &conn);
    alk_buf_fini_secret(&session);
    if (err == ALK_OK) {
        adopt(a, conn);
    }
    return err;
}

static void on_connected(void *ctx, unsigned ready)
{
    struct alk_attempt *a = ctx;
    int error = 0;
    socklen_t n = sizeof error;
    int fd = a->fd;
    (void)ready;
    a->fd = -1;
    alk_watch_free(a->watch);
    a->watch = NULL;
    (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0) {
        (void)close(fd);
        alk_attempt_failed(a, alk_sock_err(error), NULL);
        return;
    }
    alk_err err = start_tls(a, fd);
    if (err != ALK_OK) {
        alk_attempt_failed(a, err, NULL);
    }
}

static alk_err start_tcp(struct alk_attempt *a)
{
    struct alk_dial *d = a->dial;
    struct sockaddr_storage to;
    struct alk_addr from;
    alk_err err = ALK_OK;
    int fd = alk_sock_open(a->remote.family, SOCK_STREAM);
    if (fd < 0) {
        return alk_sock_err(errno);
    }
    if (d->o.bind_address != NULL) {
        err = alk_dial_route(&a->remote, d->o.bind_address, &from);
        from.port = 0;
        err = err == ALK_OK ? alk_sock_bind(fd, &from) : err;
    }
    socklen_t n = alk_sockaddr_put(&a->remote, &to);
    if (err == ALK_OK && connect(fd, (const struct sockaddr *)&to, n) != 0 &&
        errno != EINPROGRESS) {
        err = alk_sock_err(errno);
    }
    if (err == ALK_OK) {
        err = alk_watch_new(d->dialer->pump->loop, fd, ALK_FD_WRITE, on_connected, a, &a->watch);
    }
    if (err != ALK_OK) {
        (void)close(fd);
        return err;
    }
    a->fd = fd;
    return ALK_OK;
}

void alk_attempt_free(struct alk_attempt *a)
{
    struct alk_dial *d = a->dial;
    ALK_ASSERT(a->conn == NULL);
    if (a->fd >= 0) {
        alk_watch_free(a->watch);
        (void)close(a->fd);
    }
    alk_list_remove(&a->in);
    alk_free(d->dialer->pump->mem, a);
    alk_dial_settle(d);
}

/* --- the race ------------------------------------------------------------- */

static bool has_live_attempt(const struct alk_dial *d, enum alk_transport transport)
{
    struct alk_link *e = alk_list_first(&d->attempts);
    for (; e != NULL; e = alk_list_next(&d->attempts, e)) {
        const struct alk_attempt *a = ALK_CONTAINER(e, struct alk_attempt, in);
        if (!a->is_over && a->transport == transport) {
            return true;
        }
    }
    return false;
}

/* No attempt runs and none will follow. */
static bool is_lane_over(const struct alk_dial *d, const struct alk_lane *lane)
{
    return !lane->is_used || (lane->is_started && lane->next >= d->addr_count &&
                              !has_live_attempt(d, lane->transport));
}

static struct alk_lane *lane_of(struct alk_dial *d, enum alk_transport transport)
{
    return &d->lanes[transport == ALK_TRANSPORT_QUIC ? 0 : 1];
}

/* A definite answer of the node itself: no other way leads elsewhere. */
static bool is_final(alk_err err)
{
    return err == ALK_E_KEY_CHANGED || err == ALK_E_UNTRUSTED || err == ALK_E_EXPIRED ||
           err == ALK_E_CRYPTO || err == ALK_E_NOMEM;
}

static void after_failure(struct alk_dial *d, struct alk_lane *lane)
{
    struct alk_lane *other = lane == &d->lanes[0] ? &d->lanes[1] : &d->lanes[0];
    if (is_final(d->err)) {
        alk_dial_fail(d, d->err);
        return;
    }
    if (lane->next < d->addr_count) {
        next_attempt(d, lane);
        return;
    }
    if (!is_lane_over(d, lane)) {
        return;
    }
    if (other->is_used && !other->is_started) {
        next_attempt(d, other);
    } else if (is_lane_over(d, other)) {
        alk_dial_fail(d, d->err);
    }
}

void alk_attempt_failed(struct alk_attempt *a, alk_err err, const char *why)
{
    struct alk_dial *d = a->dial;
    struct alk_lane *lane = lane_of(d, a->transport);
    if (a->is_over) {
        return;
    }
    a->is_over = true;
    if (d->state == ALK_DIAL_EARLY && d->winner == a) {
        d->state = ALK_DIAL_RACING;
        d->winner = NULL;
    }
    a->err = err == ALK_OK ? ALK_E_CLOSED : err;
    if (d->err == ALK_OK || alk_dial_explains_more(a->err, d->err)) {
        d->err = a->err;
        d->err_transport = a->transport;
        (void)snprintf(d->why, sizeof d->why, "%s", why == NULL ? "" : why);
    }
    if (a->conn != NULL) {
        alk_conn_close(a->conn, ALK_CODE_NONE, ALK_LIT("given up"));
    } else {
        alk_attempt_free(a);
    }
    if (d->state == ALK_DIAL_RACING || d->state == ALK_DIAL_EARLY) {
        after_failure(d, lane);
    }
}

static void next_attempt(struct alk_dial *d, struct alk_lane *lane)
{
    struct alk_loop *loop = d->dialer->pump->loop;
    alk_timer_stop(loop, &lane->timer);
    lane->is_started = true;
    if (lane->next >= d->addr_count) {
        return;
    }
    struct alk_attempt *a = ALK_NEW(d->dialer->pump->mem, struct alk_attempt);
    if (a == NULL) {
        alk_dial_fail(d, ALK_E_NOMEM);
        return;
    }
    *a = (struct alk_attempt){.dial = d, .fd = -1, .transport = lane->transport};
    a->remote = d->addrs[lane->next++];
    alk_list_append(&d->attempts, &a->in);
    if (lane->next < d->addr_count) {
        alk_timer_set(loop, &lane->timer, alk_loop_now(loop) + ALK_DIAL_STAGGER);
    }
    alk_err err = lane->transport == ALK_TRANSPORT_QUIC ? start_quic(a) : start_tcp(a);
    if (err != ALK_OK) {
        alk_attempt_failed(a, err, NULL); /* may start the next one, at most ALK_DIAL_ADDRS deep */
    }
}

static void on_lane(struct alk_timer *timer, void *ctx)
{
    struct alk_dial *d = ctx;
    struct alk_lane *lane = timer == &d->lanes[0].timer ? &d->lanes[0] : &d->lanes[1];
    next_attempt(d, lane);
}

void alk_race_start(struct alk_dial *d)
{
    struct alk_loop *loop = d->dialer->pump->loop;
    bool is_tcp_first = alk_dial_prefers_tcp(d) || !d->lanes[0].is_used;
    struct alk_lane *first = is_tcp_first && d->lanes[1].is_used ? &d->lanes[1] : &d->lanes[0];
    struct alk_lane *second = first == &d->lanes[0] ? &d->lanes[1] : &d->lanes[0];
    for (int i = 0; i < 2; i++) {
        d->lanes[i].timer = (struct alk_timer){.fn = on_lane, .ctx = d};
    }
    if (second->is_used) {
        alk_timer_set(loop, &second->timer, alk_loop_now(loop) + ALK_DIAL_STAGGER);
    }
    next_attempt(d, first);
}

void alk_race_end(struct alk_dial *d)
{
    struct alk_loop *loop = d->dialer->pump->loop;
    alk_timer_stop(loop, &d->lanes[0].timer);
    alk_timer_stop(loop, &d->lanes[1].timer);
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&d->attempts); e != NULL; e = next) {
        struct alk_attempt *a = ALK_CONTAINER(e, struct alk_attempt, in);
        next = alk_list_next(&d->attempts, e);
        if (a == d->winner || a->is_over) {
            continue;
        }
        a->is_over = true;
        if (a->conn != NULL) {
            alk_conn_close(a->conn, ALK_CODE_NONE, ALK_LIT("another way was faster"));
        } else {
            alk_attempt_free(a);
        }
    }
}

void alk_race_unreachable(struct alk_dialer *dialer, const struct alk_addr *remote)
{
    struct alk_link *next_dial;
    for (struct alk_link *l = alk_list_first(&dialer->dials); l != NULL; l = next_dial) {
        struct alk_dial *d = ALK_CONTAINER(l, struct alk_dial, all);
        next_dial = alk_list_next(&dialer->dials, l);
        bool is_racing = d->state == ALK_DIAL_RACING || d->state == ALK_DIAL_EARLY;
        struct alk_link *e = is_racing ? alk_list_first(&d->attempts) : NULL;
        for (; e != NULL; e = alk_list_next(&d->attempts, e)) {
            struct alk_attempt *a = ALK_CONTAINER(e, struct alk_attempt, in);
            if (!a->is_over && a->transport == ALK_TRANSPORT_QUIC &&
                alk_addr_equal(&a->remote, remote)) {
                alk_attempt_failed(a, ALK_E_UNREACHABLE, NULL);
                break; /* the list has changed; one attempt per address and dial */
            }
        }
    }
}
