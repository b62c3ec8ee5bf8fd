/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/mem.h"
#include "core/io/qlog.h"

/* While draining, and while retired sockets wait for their last connection. */
#define TICK_DRAIN   (20 * ALK_MS)
#define TICK_RETIRED (2 * ALK_SECOND)
/* After the closing packets: until peers' streams and TCP buffers are let go. */
#define CLOSE_TIME   (1 * ALK_SECOND)

/* --- limits --------------------------------------------------------------- */

size_t alk_worker_share(const struct alk_worker *w, uint64_t whole)
{
    size_t loops = w->ep->loop_count;
    uint64_t part = (whole + loops - 1) / loops;
    return part == 0 ? 1 : (size_t)part;
}

static struct alk_quic_limits limits_of(const struct alk_worker *w,
                                        const struct alk_config_limits *c)
{
    return (struct alk_quic_limits){
        /* Of all loops and TCP together: the gate counts. */
        .connections = c->connections,
        .connections_per_ip = c->connections_per_ip,
        .handshakes = alk_worker_share(w, c->handshakes),
        .retry_above =
            c->retry_above == 0 ? ALK_QUIC_RETRY_ALWAYS : alk_worker_share(w, c->retry_above),
        .resets_per_second =
            c->resets_per_second == 0 ? ALK_QUIC_RESETS_NONE : c->resets_per_second,
        .handshake_timeout = c->handshake_timeout,
        .idle_timeout = c->idle_timeout,
        .keep_alive = ALK_NEVER,
        .streams = c->streams_per_connection,
        .streams_without_identity = c->streams_without_identity,
        .conn_window = c->memory_per_connection,
        .memory = alk_worker_share(w, c->memory),
    };
}

/* --- listeners ------------------------------------------------------------ */

static alk_err on_admit(void *ctx, const struct alk_addr *remote)
{
    struct alk_worker_listener *l = ctx;
    struct alk_worker *w = l->worker;
    alk_err err = alk_ep_is_locked_out(w->ep, remote)    ? ALK_E_FORBIDDEN
                  : !alk_gate_enter(w->ep->gate, remote) ? ALK_E_LIMIT
                                                         : ALK_OK;
    w->tcp_refused += err != ALK_OK;
    return err;
}

static void on_gone(void *ctx, const struct alk_addr *remote)
{
    struct alk_worker *w = ctx;
    alk_gate_leave(w->ep->gate, remote);
}

static void on_accepted(void *ctx, int fd, const struct alk_addr *remote)
{
    struct alk_worker_listener *l = ctx;
    struct alk_worker *w = l->worker;
    const struct alk_config_limits *limits = &w->snapshot->config->limits;
    struct alk_tcp_accept how = {
        .server = alk_snapshot_server_at(w->snapshot, l->group->config_text),
        .tls_loop = w->tls_loop,
        .handshake_timeout = limits->handshake_timeout,
        .idle_timeout = limits->idle_timeout,
        .on_gone = on_gone,
        .gone_ctx = w,
    };
    if (alk_tcp_sock_serve(w->pump, fd, &how) == ALK_OK) {
        w->tcp_accepted++;
        alk_worker_watch_budget(w);
    } else {
        w->tcp_refused++;
        alk_gate_leave(w->ep->gate, remote);
    }
}

static alk_err listener_open(struct alk_worker *w, struct alk_worker_listener *l)
{
    int udp_fd = alk_bound_take_udp(&l->group->bound, w->id);
    int tcp_fd = alk_bound_take_tcp(&l->group->bound, w->id);
    alk_err err = ALK_OK;
    if (udp_fd >= 0) {
        struct alk_udp udp;
        alk_udp_adopt(udp_fd, &udp);
        err = alk_port_add(w->port, &udp, &l->sock);
    }
    if (tcp_fd >= 0) {
        alk_err tcp_err = alk_acceptor_new(w->loop, tcp_fd, on_admit, on_accepted, l, &l->acceptor);
        err = err == ALK_OK ? tcp_err : err;
    }
    return err;
}

static void listener_add(struct alk_worker *w, struct alk_group *group)
{
    struct alk_worker_listener *l = ALK_NEW(w->ep->mem, struct alk_worker_listener);
    alk_err err = ALK_E_NOMEM;
    if (l != NULL) {
        *l = (struct alk_worker_listener){.worker = w, .next = w->listeners};
        l->group = alk_group_ref(group);
        w->listeners = l;
        err = listener_open(w, l);
    }
    if (err != ALK_OK) {
        alk_ep_log(w->ep, ALK_LOG_ERROR, "loop %zu does not listen on %s: %s", w->id,
                   group->bound.text, alk_err_text(err));
    }
}

static void listener_retire(struct alk_worker *w, struct alk_worker_listener *l)
{
    alk_acceptor_free(l->acceptor);
    l->acceptor = NULL;
    if (l->sock != NULL && !l->sock->is_retired) {
        l->sock->is_retired = true;
        alk_timer_set(w->loop, &w->tick, alk_loop_now(w->loop) + TICK_RETIRED);
    }
}

static void listener_free(struct alk_worker *w, struct alk_worker_listener **at)
{
    struct alk_worker_listener *l = *at;
    *at = l->next;
    alk_acceptor_free(l->acceptor);
    if (l->sock != NULL) {
        alk_port_remove(l->sock);
    }
    alk_group_unref(l->group);
    alk_free(w->ep->mem, l);
}

static bool is_wanted(const struct alk_group *group, struct alk_group *const *groups, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

void alk_worker_use_groups(struct alk_worker *w, struct alk_group *const *groups, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_known = false;
        for (const struct alk_worker_listener *l = w->listeners; l != NULL; l = l->next) {
            is_known = is_known || l->group == groups[i];
        }
        if (!is_known) {
            listener_add(w, groups[i]);
        }
    }
    for (struct alk_worker_listener *l = w->listeners; l != NULL; l = l->next) {
        if (!is_wanted(l->group, groups, n)) {
            listener_retire(w, l);
        }
    }
}

/* Whether a QUIC connection still lives on the socket. */
static bool is_used(const struct alk_worker *w, const struct alk_port_sock *sock)
{
    struct alk_link *e = alk_list_first(&w->pump->hub.conns);
    for (; e != NULL; e = alk_list_next(&w->pump->hub.conns, e)) {
        const struct alk_conn *conn = ALK_CONTAINER(e, struct alk_conn, all);
        const struct alk_addr *bound = &sock->udp.bound;
        if (conn->is_server && conn->ops->transport == ALK_TRANSPORT_QUIC &&
            conn->local.port == bound->port && conn->local.family == bound->family &&
            (sock->udp.is_any || memcmp(conn->local.ip, bound->ip, sizeof bound->ip) == 0)) {
            return true;
        }
    }
    return false;
}

static bool close_retired(struct alk_worker *w)
{
    bool is_waiting = false;
    struct alk_worker_listener **at = &w->listeners;
    while (*at != NULL) {
        struct alk_worker_listener *l = *at;
        bool is_retired = l->acceptor == NULL && (l->sock == NULL || l->sock->is_retired);
        if (is_retired && (l->sock == NULL || !is_used(w, l->sock))) {
            listener_free(w, at);
            continue;
        }
        is_waiting = is_waiting || is_retired;
        at = &l->next;
    }
    return is_waiting;
}

/* --- a new generation ----------------------------------------------------- */

static bool has_service(const struct alk_routes *routes, const char *name)
{
    for (size_t i = 0; i < routes->service_count; i++) {
        if (strcmp(routes->services[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Connections of a service that is served no more end in order; those of one that
 * has changed keep what they began with. */
static void close_removed(struct alk_worker *w)
{
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&w->pump->hub.conns); e != NULL; e = next) {
        struct alk_conn *conn = ALK_CONTAINER(e, struct alk_conn, all);
        next = alk_list_next(&w->pump->hub.conns, e);
        if (conn->is_server && conn->service != NULL && conn->conn_state != ALK_CONN_DONE &&
            !has_service(w->snapshot->routes, conn->service->name)) {
            alk_conn_close(conn, ALK_CODE_REMOVED, ALK_LIT("service removed"));
        }
    }
}

void alk_worker_use_snapshot(struct alk_worker *w, struct alk_snapshot *s)
{
    const struct alk_config_limits *c = &s->config->limits;
    struct alk_quic_limits limits = limits_of(w, c);
    alk_snapshot_unref(w->snapshot);
    w->snapshot = s;
    alk_quic_set_server(w->port->quic, s->quic_server);
    alk_quic_set_limits(w->port->quic, &limits);
    w->pump->hub.streams_without_identity = c->streams_without_identity;
    w->pump->hub.conn_auth_failures = c->auth_failures;
    close_removed(w);
}

/* --- datagrams for other loops -------------------------------------------- */

struct stray {
    struct alk_worker *to;
    struct alk_addr local, remote;
    uint8_t ecn;
    size_t n;
    uint8_t data[];
};

static void stray_free(struct stray *s)
{
    (void)atomic_fetch_sub(&s->to->strays_waiting, 1);
    alk_free(s->to->ep->mem, s);
}

static void on_stray(void *arg)
{
    struct stray *s = arg;
    struct alk_udp_msg msg = {.local = s->local, .remote = s->remote, .ecn = s->ecn};
    msg.data = alk_span(s->data, s->n);
    (void)atomic_fetch_add_explicit(&s->to->strays_in, 1, memory_order_relaxed);
    if (s->to->port != NULL) {
        alk_port_feed(s->to->port, &msg);
    }
    stray_free(s);
}

static void on_stray_cancel(void *arg)
{
    stray_free(arg);
}

static void drop_stray(struct alk_worker *w)
{
    (void)atomic_fetch_add_explicit(&w->strays_dropped, 1, memory_order_relaxed);
}

static void hand_over(void *ctx, uint8_t loop_id, const struct alk_udp_msg *msg)
{
    struct alk_worker *w = ctx;
    struct alk_worker *to = &w->ep->workers[loop_id];
    if (atomic_fetch_add(&to->strays_waiting, 1) >= ALK_STRAYS_MAX) {
        (void)atomic_fetch_sub(&to->strays_waiting, 1);
        drop_stray(w);
        return;
    }
    struct stray *s = alk_alloc(w->ep->mem, sizeof *s + msg->data.n);
    if (s == NULL) {
        (void)atomic_fetch_sub(&to->strays_waiting, 1);
        drop_stray(w);
        return;
    }
    *s = (struct stray){.to = to, .local = msg->local, .remote = msg->remote, .ecn = msg->ecn};
    s->n = msg->data.n;
    memcpy(s->data, msg->data.p, s->n);
    if (alk_post_cancel(to->loop, on_stray, on_stray_cancel, s) != ALK_OK) {
        stray_free(s);
        drop_stray(w);
        return;
    }
    (void)atomic_fetch_add_explicit(&w->strays_out, 1, memory_order_relaxed);
}

/* Loops live as long as the endpoint does: their number is a restart row. */
static bool is_loop_alive(void *ctx, uint8_t loop_id)
{
    const struct alk_worker *w = ctx;
    return loop_id < w->ep->loop_count;
}

/* --- draining ------------------------------------------------------------- */

/* Nothing is under way on it, and its handler has nothing to say at the end. */
static bool is_idle(const struct alk_conn *conn)
{
    return conn->is_server && conn->conn_state == ALK_CONN_OPEN && conn->streams_open == 0 &&
           conn->handler->drain == NULL && !conn->is_closing;
}

static void close_idle(struct alk_worker *w)
{
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&w->pump->hub.conns); e != NULL; e = next) {
        struct alk_conn *conn = ALK_CONTAINER(e, struct alk_conn, all);
        next = alk_list_next(&w->pump->hub.conns, e);
        if (is_idle(conn)) {
            alk_conn_close(conn, ALK_CODE_SHUTDOWN, ALK_LIT("shutting down"));
        }
    }
}

/* All that is left is over for its handlers; a peer over TCP may take its time to agree. */
static bool has_only_closing(const struct alk_worker *w)
{
    const struct alk_hub *hub = &w->pump->hub;
    for (struct alk_link *e = alk_list_first(&hub->conns); e != NULL;
         e = alk_list_next(&hub->conns, e)) {
        if (!ALK_CONTAINER(e, struct alk_conn, all)->is_closing) {
            return false;
        }
    }
    return true;
}

static void start_drain(struct alk_worker *w, alk_time deadline)
{
    alk_worker_use_groups(w, NULL, 0);
    alk_quic_set_accepting(w->port->quic, false);
    alk_hub_drain(&w->pump->hub, deadline);
}

void alk_worker_use_mode(struct alk_worker *w, unsigned flags, alk_time deadline)
{
    unsigned fresh = flags & ~w->mode;
    alk_time now = alk_loop_now(w->loop);
    w->mode |= flags;
    if ((fresh & ALK_MAIL_DRAIN) != 0) {
        start_drain(w, deadline);
    }
    if ((fresh & ALK_MAIL_CLOSE) != 0) {
        alk_hub_close_all(&w->pump->hub, NULL, ALK_CODE_SHUTDOWN);
        w->close_until = now + CLOSE_TIME;
    }
    if ((fresh & ALK_MAIL_DROP) != 0) {
        w->close_until = now;
    }
    alk_timer_set(w->loop, &w->tick, now);
}

static void tell_done(struct alk_worker *w)
{
    if (!w->is_done && alk_post(w->ep->workers[0].loop, alk_ep_worker_done, w) == ALK_OK) {
        w->is_done = true;
    }
}

void alk_worker_tick(struct alk_worker *w)
{
    alk_time now = alk_loop_now(w->loop);
    bool is_closing = (w->mode & (ALK_MAIL_CLOSE | ALK_MAIL_DROP)) != 0;
    if (w->mode == 0) {
        if (close_retired(w)) {
            alk_timer_set(w->loop, &w->tick, now + TICK_RETIRED);
        }
        return;
    }
    if (!is_closing) {
        close_idle(w);
        if (w->pump->hub.conn_count > 0 && has_only_closing(w)) {
            alk_worker_use_mode(w, ALK_MAIL_CLOSE, now); /* no need to wait for drain_timeout */
        }
    }
    if (w->pump->hub.conn_count == 0 || (is_closing && now >= w->close_until)) {
        tell_done(w);
    }
    if (!w->is_done) {
        alk_timer_set(w->loop, &w->tick, now + TICK_DRAIN);
    }
}

/* --- life ----------------------------------------------------------------- */

static void on_tick(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    alk_worker_tick(ctx);
}

static void on_qlog(void *ctx, struct alk_conn *conn, struct alk_span data, bool is_end)
{
    struct alk_worker *w = ctx;
    alk_qlog_put(w->ep->mem, w->ep->qlog_dir, conn, data, is_end);
}

static alk_err on_quic_admit(void *ctx, const struct alk_addr *remote)
{
    struct alk_worker *w = ctx;
    if (alk_ep_is_locked_out(w->ep, remote)) {
        return ALK_E_FORBIDDEN;
    }
    return alk_gate_is_full(w->ep->gate, remote) ? ALK_E_LIMIT : ALK_OK;
}

static bool on_quic_enter(void *ctx, const struct alk_addr *remote)
{
    struct alk_worker *w = ctx;
    return alk_gate_enter(w->ep->gate, remote);
}

static alk_err make_quic(struct alk_worker *w)
{
    struct alk_endpoint *ep = w->ep;
    struct alk_quic *quic;
    struct alk_quic_options o = {.mem = ep->mem, .rand = ep->rand, .hub = &w->pump->hub};
    o.loop_id = (uint8_t)w->id;
    o.tls_loop = w->tls_loop;
    o.is_loop_alive = is_loop_alive;
    o.loops_ctx = w;
    o.admit = on_quic_admit;
    o.admit_ctx = w;
    o.enter = on_quic_enter;
    o.leave = on_gone;
    o.gate_ctx = w;
    o.limits = limits_of(w, &alk_config_reload_current(ep->config)->limits);
    memcpy(o.reset_key, ep->secrets.reset_key, sizeof o.reset_key);
    memcpy(o.retry_key, ep->secrets.retry_key, sizeof o.retry_key);
    memcpy(o.token_key, ep->secrets.token_key, sizeof o.token_key);
    if (ep->qlog_dir != NULL) {
        o.qlog = on_qlog;
        o.qlog_ctx = w;
    }
    ALK_TRY(alk_quic_new(&o, alk_pump_now(w->pump), &quic));
    ALK_TRY(alk_port_new(w->pump, quic, (uint8_t)w->id, &w->port));
    if (ep->loop_count > 1) {
        w->port->stray = hand_over;
        w->port->stray_ctx = w;
    }
    return ALK_OK;
}

static bool on_turn(void *ctx)
{
    struct alk_worker *w = ctx;
    alk_ep_audit_flush(w->ep);
    return false;
}

alk_err alk_worker_make(struct alk_endpoint *ep, size_t id)
{
    struct alk_worker *w = &ep->workers[id];
    w->ep = ep;
    w->id = id;
    w->tick = (struct alk_timer){.fn = on_tick, .ctx = w};
    alk_mail_init(&w->mail);
    ep->worker_count++; /* from here on free undoes it */
    ALK_TRY(alk_loop_new(ep->mem, &w->loop));
    alk_loop_set_id(w->loop, id);
    w->turn = (struct alk_turn){.fn = on_turn, .ctx = w};
    alk_loop_turn_add(w->loop, &w->turn); /* before the pump's, which sends */
    ALK_TRY(alk_pump_get(w->loop, &w->pump));
    ALK_TRY(alk_tls_loop_new(ep->mem, ep->replay, &w->tls_loop));
    alk_ep_auth_hooks(w);
    return make_quic(w);
}

void alk_worker_close(struct alk_worker *w)
{
    if (w->pump == NULL) {
        return;
    }
    /* Handlers hear of the end of connections that did not make it in time. */
    alk_hub_close_all(&w->pump->hub, NULL, ALK_CODE_SHUTDOWN);
    (void)alk_pump_turn(w->pump);
    if (w->port != NULL) {
        alk_quic_abort_all(w->port->quic);
        (void)alk_pump_turn(w->pump);
    }
    while (w->listeners != NULL) {
        listener_free(w, &w->listeners);
    }
    alk_tcp_socks_drop_all(w->pump);
    alk_port_free(w->port);
    w->port = NULL;
    alk_timer_stop(w->loop, &w->tick);
    alk_timer_stop(w->loop, &w->budget);
    alk_snapshot_unref(w->snapshot);
    w->snapshot = NULL;
    alk_index_provider_fini(&w->provider);
}

void alk_worker_free(struct alk_worker *w)
{
    alk_loop_free(w->loop);
    alk_tls_loop_free(w->tls_loop);
    alk_mail_fini(&w->mail);
}
