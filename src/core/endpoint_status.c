/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A question goes to each loop by post; the last answer runs the caller's function
 * on the first loop. */
#include "core/endpoint_impl.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct part {
    struct alk_status_query *query;
    struct alk_worker *worker;
};

struct alk_status_query {
    struct alk_endpoint *ep;
    alk_endpoint_status_fn *fn;
    void *ctx;
    bool with_connections;
    struct alk_status_from from;
    size_t missing;                /* answers; first loop only */
    struct alk_loop_status *loops; /* owns; part i is worker i's until it answers */
    struct part *parts;            /* owns */
    struct alk_status_query *next;
};

static void query_free(struct alk_status_query *q)
{
    const struct alk_mem *mem = q->ep->mem;
    for (size_t i = 0; q->loops != NULL && i < q->ep->loop_count; i++) {
        alk_free(mem, q->loops[i].conns);
    }
    alk_free(mem, q->loops);
    alk_free(mem, q->parts);
    alk_free(mem, q);
}

/* --- on each loop --------------------------------------------------------- */

static void describe(const struct alk_conn *conn, struct alk_conn_status *ret)
{
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    alk_conn_stats(conn, &stats);
    *ret = (struct alk_conn_status){.transport = conn->ops->transport,
                                    .is_early = conn->auth.is_early,
                                    .is_resumed = conn->auth.is_resumed,
                                    .streams_open = conn->streams_open,
                                    .streams_total = stats.streams_opened,
                                    .bytes_in = stats.bytes_in,
                                    .bytes_out = stats.bytes_out,
                                    .packets_lost = stats.packets_lost,
                                    .rtt = stats.rtt};
    ret->age = conn->hub->now > conn->opened_at ? conn->hub->now - conn->opened_at : 0;
    memcpy(ret->log_id, conn->auth.log_id, sizeof ret->log_id);
    memcpy(ret->alpn, conn->auth.alpn, sizeof ret->alpn);
    memcpy(ret->remote, conn->auth.remote, sizeof ret->remote);
    if (conn->auth.identity != NULL) {
        (void)alk_span_cstr(alk_identity_id(conn->auth.identity), ret->id, sizeof ret->id);
    }
}

static bool comes_after(const struct alk_conn *conn, const struct alk_status_from *from)
{
    uint64_t loop = conn->hub->loop_id;
    return loop > from->loop || (loop == from->loop && conn->serial > from->serial);
}

static void list_connections(const struct alk_worker *w, const struct alk_status_from *from,
                             struct alk_loop_status *ret)
{
    size_t n = w->pump->hub.conn_count;
    n = n > ALK_STATUS_CONNS_MAX ? ALK_STATUS_CONNS_MAX : n;
    ret->conns = n == 0 ? NULL : alk_zalloc(w->ep->mem, n, sizeof *ret->conns);
    struct alk_link *e = ret->conns == NULL ? NULL : alk_list_first(&w->pump->hub.conns);
    for (; e != NULL; e = alk_list_next(&w->pump->hub.conns, e)) {
        const struct alk_conn *conn = ALK_CONTAINER(e, struct alk_conn, all);
        if (!conn->is_server || conn->conn_state != ALK_CONN_OPEN || !comes_after(conn, from)) {
            continue;
        }
        if (ret->conn_count < n) {
            describe(conn, &ret->conns[ret->conn_count++]);
        } else {
            ret->conn_more++;
        }
    }
}

static void count_bytes(struct alk_worker *w)
{
    struct alk_link *e = alk_list_first(&w->pump->hub.conns);
    for (; e != NULL; e = alk_list_next(&w->pump->hub.conns, e)) {
        struct alk_conn *conn = ALK_CONTAINER(e, struct alk_conn, all);
        if (conn->conn_state == ALK_CONN_OPEN) {
            alk_metrics_count_bytes(conn);
        }
    }
}

static void fill(struct alk_worker *w, struct alk_loop_status *ret,
                 const struct alk_status_query *q)
{
    (void)alk_pump_now(w->pump);
    ret->connections = w->pump->hub.conn_count;
    alk_quic_get_stats(w->port->quic, &ret->quic);
    ret->tcp_accepted = w->tcp_accepted;
    ret->tcp_refused = w->tcp_refused;
    ret->tcp_shed = w->tcp_shed;
    ret->strays_in = atomic_load(&w->strays_in);
    ret->strays_out = atomic_load(&w->strays_out);
    ret->strays_dropped = atomic_load(&w->strays_dropped);
    for (const struct alk_worker_listener *l = w->listeners; l != NULL; l = l->next) {
        ret->tcp_starved += l->acceptor == NULL ? 0 : alk_acceptor_starved(l->acceptor);
        ret->send_errors += l->sock == NULL ? 0 : l->sock->udp.send_errors;
    }
    count_bytes(w);
    if (q->with_connections) {
        list_connections(w, &q->from, ret);
    }
}

/* --- on the first loop ---------------------------------------------------- */

static void unlink_query(struct alk_status_query *q)
{
    struct alk_status_query **at = &q->ep->status_query;
    while (*at != NULL && *at != q) {
        at = &(*at)->next;
    }
    if (*at == q) {
        *at = q->next;
    }
}

static void answer(struct alk_status_query *q)
{
    struct alk_endpoint *ep = q->ep;
    uint64_t evicted = 0;
    struct alk_endpoint_status s = {.loops = q->loops,
                                    .loop_count = ep->loop_count,
                                    .auth_generation = ep->auth_generation,
                                    .identities = alk_auth_index_count(ep->index),
                                    .auth_failures = atomic_load(&ep->auth_failures),
                                    .reloads = ep->reloads,
                                    .reloads_failed = ep->reloads_failed,
                                    .log_dropped = alk_log_dropped(ep->log),
                                    .audit_lost = atomic_load(&ep->audit_lost)};
    s.generation = ep->snapshot->config->generation;
    alk_auth_limit_stats(ep->limit, &s.addresses_watched, &evicted);
    unlink_query(q);
    q->fn(q->ctx, &s);
    query_free(q);
}

static void on_answer(void *arg)
{
    const struct part *p = arg;
    struct alk_status_query *q = p->query;
    if (--q->missing == 0) {
        answer(q);
    }
}

static void on_ask(void *arg)
{
    struct part *p = arg;
    struct alk_worker *w = p->worker;
    if (w->port != NULL) {
        fill(w, &p->query->loops[w->id], p->query);
    }
    /* A first loop whose queue is full gets the answer when the endpoint stops. */
    alk_err err = alk_post(w->ep->workers[0].loop, on_answer, p);
    (void)err;
}

alk_err alk_endpoint_status(struct alk_endpoint *ep, const struct alk_status_from *from,
                            alk_endpoint_status_fn *fn, void *ctx)
{
    struct alk_status_query *q = ALK_NEW(ep->mem, struct alk_status_query);
    if (q == NULL) {
        return ALK_E_NOMEM;
    }
    q->ep = ep;
    q->fn = fn;
    q->ctx = ctx;
    q->with_connections = from != NULL;
    q->from = from != NULL ? *from : (struct alk_status_from){.loop = 0};
    q->loops = alk_zalloc(ep->mem, ep->loop_count, sizeof *q->loops);
    q->parts = alk_zalloc(ep->mem, ep->loop_count, sizeof *q->parts);
    if (q->loops == NULL || q->parts == NULL) {
        query_free(q);
        return ALK_E_NOMEM;
    }
    q->next = ep->status_query;
    ep->status_query = q;
    q->missing = ep->loop_count;
    for (size_t i = 0; i < ep->loop_count; i++) {
        q->parts[i] = (struct part){q, &ep->workers[i]};
        if (alk_post(ep->workers[i].loop, on_ask, &q->parts[i]) != ALK_OK) {
            q->missing--; /* that loop is too busy: its part stays empty */
        }
    }
    if (q->missing == 0) {
        ep->status_query = q->next;
        query_free(q);
        return ALK_E_LIMIT;
    }
    return ALK_OK;
}

void alk_ep_status_cancel(struct alk_endpoint *ep)
{
    while (ep->status_query != NULL) {
        answer(ep->status_query);
    }
}
