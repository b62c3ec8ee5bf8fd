/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/dial.h"

#include "base/mem.h"
#include "core/io/qlog.h"
#include "core/io/rand.h"
#include "core/io/sock.h"
#include "core/io/tcp_sock.h"

#include <errno.h>
#include <unistd.h>

/* Open connections on one loop that clients may have; a process that wants more
 * uses more loops. */
#define CLIENTS_MAX 65536
/* Turns that the last events of a loop's clients may take. */
#define TURNS_MAX   1024

static void free_dead(struct alk_dialer *dialer)
{
    struct alk_link *e;
    while ((e = alk_list_pop(&dialer->dead)) != NULL) {
        alk_dial_free(ALK_CONTAINER(e, struct alk_dial, dead));
    }
}

static void save_fresh(struct alk_dialer *dialer)
{
    alk_time now = alk_loop_now(dialer->pump->loop);
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&dialer->fresh); e != NULL; e = next) {
        struct alk_dial *d = ALK_CONTAINER(e, struct alk_dial, fresh);
        next = alk_list_next(&dialer->fresh, e);
        alk_dial_save(d);
        if (now >= d->fresh_until) {
            alk_list_remove(&d->fresh);
        }
    }
}

static bool on_turn(void *ctx)
{
    struct alk_dialer *dialer = ctx;
    save_fresh(dialer);
    free_dead(dialer);
    return false;
}

static void dialer_free(struct alk_dialer *dialer)
{
    struct alk_pump *pump = dialer->pump;
    alk_loop_turn_remove(pump->loop, &dialer->turn);
    /* Connections that are still open hear of their end like any others. */
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&dialer->dials); e != NULL; e = next) {
        next = alk_list_next(&dialer->dials, e);
        struct alk_dial *d = ALK_CONTAINER(e, struct alk_dial, all);
        alk_dial_stay(d);
        alk_dial_cancel(d);
    }
    alk_hub_close_all(&pump->hub, NULL, ALK_CODE_NONE);
    for (int i = 0; i < TURNS_MAX && alk_pump_turn(pump); i++) {
    }
    alk_port_free(dialer->ports[0]);
    alk_port_free(dialer->ports[1]);
    alk_tcp_socks_drop_all(pump);
    free_dead(dialer);
    ALK_ASSERT(alk_list_is_empty(&dialer->dials));
    alk_free(pump->mem, dialer->qlog_dir);
    alk_free(pump->mem, dialer);
    pump->dialer = NULL;
}

alk_err alk_dialer_get(struct alk_loop *loop, struct alk_dialer **ret)
{
    struct alk_pump *pump;
    ALK_TRY(alk_pump_get(loop, &pump));
    if (pump->dialer == NULL) {
        struct alk_dialer *dialer = ALK_NEW(pump->mem, struct alk_dialer);
        if (dialer == NULL) {
            return ALK_E_NOMEM;
        }
        dialer->pump = pump;
        dialer->turn = (struct alk_turn){.fn = on_turn, .ctx = dialer};
        alk_list_init(&dialer->dials);
        alk_list_init(&dialer->fresh);
        alk_list_init(&dialer->dead);
        alk_loop_turn_add(loop, &dialer->turn);
        pump->dialer = dialer;
        pump->dialer_free = dialer_free;
    }
    *ret = pump->dialer;
    return ALK_OK;
}

/* --- the machine and its sockets ------------------------------------------ */

static void on_unreachable(void *ctx, const struct alk_addr *remote)
{
    alk_race_unreachable(ctx, remote);
}

static void on_qlog(void *ctx, struct alk_conn *conn, struct alk_span data, bool is_end)
{
    struct alk_dialer *dialer = ctx;
    alk_qlog_put(dialer->pump->mem, dialer->qlog_dir, conn, data, is_end);
}

static alk_err make_port(struct alk_dialer *dialer, bool has_qlog)
{
    struct alk_pump *pump = dialer->pump;
    struct alk_quic *quic;
    struct alk_quic_options o = {.mem = pump->mem, .rand = alk_rand_system(), .hub = &pump->hub};
    alk_rand_fill(&o.rand, o.reset_key, sizeof o.reset_key);
    alk_rand_fill(&o.rand, o.retry_key, sizeof o.retry_key);
    alk_rand_fill(&o.rand, o.token_key, sizeof o.token_key);
    o.limits.connections = CLIENTS_MAX;
    o.limits.connections_per_ip = CLIENTS_MAX;
    o.limits.handshakes = CLIENTS_MAX;
    o.limits.handshake_timeout = 60 * ALK_SECOND; /* the dial's own limit is shorter */
    if (has_qlog) {
        o.qlog = on_qlog;
        o.qlog_ctx = dialer;
    }
    ALK_TRY(alk_quic_new(&o, alk_pump_now(pump), &quic));
    ALK_TRY(alk_port_new(pump, quic, 0, &dialer->ports[has_qlog ? 1 : 0]));
    dialer->ports[has_qlog ? 1 : 0]->unreachable = on_unreachable;
    dialer->ports[has_qlog ? 1 : 0]->unreachable_ctx = dialer;
    return ALK_OK;
}

static alk_err bind_addr(uint8_t family, const char *bind_address, struct alk_addr *ret)
{
    *ret = (struct alk_addr){.family = family};
    if (bind_address == NULL) {
        return ALK_OK;
    }
    char text[ALK_ADDR_TEXT_MAX + 8];
    struct alk_buf b;
    struct alk_addr a = {0};
    alk_buf_init(&b, NULL, sizeof text);
    (void)alk_buf_printf(&b, strchr(bind_address, ':') != NULL ? "[%s]:0" : "%s:0", bind_address);
    alk_err err = b.err != ALK_OK ? b.err : alk_addr_parse(alk_buf_span(&b), &a);
    alk_buf_fini(&b);
    if (err != ALK_OK) {
        return ALK_E_INVALID;
    }
    *ret = a;
    return a.family == family ? ALK_OK : ALK_E_UNREACHABLE;
}

/* A socket of the port that is bound as wanted. */
static struct alk_port_sock *find_sock(const struct alk_port *port, const struct alk_addr *want)
{
    struct alk_link *e = alk_list_first(&port->socks);
    for (; e != NULL; e = alk_list_next(&port->socks, e)) {
        struct alk_port_sock *sock = ALK_CONTAINER(e, struct alk_port_sock, in);
        const struct alk_addr *bound = &sock->udp.bound;
        if (bound->family == want->family && memcmp(bound->ip, want->ip, sizeof bound->ip) == 0) {
            return sock;
        }
    }
    return NULL;
}

/* A copy: a connection's closing packets are logged after its dial has gone. */
static alk_err use_qlog_dir(struct alk_dialer *dialer, const char *dir)
{
    if (dialer->qlog_dir != NULL && strcmp(dialer->qlog_dir, dir) == 0) {
        return ALK_OK;
    }
    char *copy = alk_strdup_span(dialer->pump->mem, alk_span_str(dir));
    if (copy == NULL) {
        return ALK_E_NOMEM;
    }
    alk_free(dialer->pump->mem, dialer->qlog_dir);
    dialer->qlog_dir = copy;
    return ALK_OK;
}

alk_err alk_dialer_port(struct alk_dialer *dialer, const char *qlog_dir, uint8_t family,
                        const char *bind_address, struct alk_port **ret, uint16_t *ret_port)
{
    struct alk_udp_options o = {.share = ALK_SHARE_ALONE};
    bool has_qlog = qlog_dir != NULL;
    if (has_qlog) {
        ALK_TRY(use_qlog_dir(dialer, qlog_dir));
    }
    ALK_TRY(bind_addr(family, bind_address, &o.addr));
    if (dialer->ports[has_qlog ? 1 : 0] == NULL) {
        ALK_TRY(make_port(dialer, has_qlog));
    }
    struct alk_port *port = dialer->ports[has_qlog ? 1 : 0];
    struct alk_port_sock *sock = find_sock(port, &o.addr);
    if (sock == NULL) {
        struct alk_udp udp;
        ALK_TRY(alk_udp_open(&o, &udp));
        alk_udp_want_errors(&udp);
        ALK_TRY(alk_port_add(port, &udp, &sock));
    }
    *ret = port;
    *ret_port = sock->udp.bound.port;
    return ALK_OK;
}

alk_err alk_dial_route(const struct alk_addr *remote, const char *bind_address,
                       struct alk_addr *ret)
{
    struct alk_addr from;
    struct sockaddr_storage to;
    ALK_TRY(bind_addr(remote->family, bind_address, &from));
    int fd = alk_sock_open(remote->family, SOCK_DGRAM);
    if (fd < 0) {
        return alk_sock_err(errno);
    }
    /* Connecting a UDP socket sends nothing: it asks the routing table. */
    alk_err err = bind_address == NULL ? ALK_OK : alk_sock_bind(fd, &from);
    socklen_t n = alk_sockaddr_put(remote, &to);
    if (err == ALK_OK && connect(fd, (const struct sockaddr *)&to, n) != 0) {
        err = alk_sock_err(errno);
    }
    if (err == ALK_OK) {
        *ret = alk_sock_bound(fd);
    }
    (void)close(fd);
    return err;
}
