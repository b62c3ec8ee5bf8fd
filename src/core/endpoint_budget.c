/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The memory budget of TLS connections. QUIC machines shed by themselves; TLS
 * connections are looked at twice a second while there are any: when both together
 * hold more than this loop's share, the youngest without identity go first. */
#include "core/endpoint_impl.h"

#define LOOK (500 * ALK_MS)

static size_t memory_of(const struct alk_tcp_sock *s)
{
    size_t n = alk_tcp_output(s->conn).n;
    struct alk_link *e = alk_list_first(&s->conn->streams);
    for (; e != NULL; e = alk_list_next(&s->conn->streams, e)) {
        n += alk_stream_memory(ALK_CONTAINER(e, struct alk_stream, all));
    }
    return n;
}

/* Whether a goes before b. */
static bool goes_first(const struct alk_conn *a, const struct alk_conn *b)
{
    bool a_known = a->auth.identity != NULL;
    bool b_known = b->auth.identity != NULL;
    return a_known != b_known ? b_known : a->serial > b->serial;
}

static struct alk_tcp_sock *pick(const struct alk_pump *pump)
{
    struct alk_tcp_sock *found = NULL;
    struct alk_link *e = alk_list_first(&pump->tcp);
    for (; e != NULL; e = alk_list_next(&pump->tcp, e)) {
        struct alk_tcp_sock *s = ALK_CONTAINER(e, struct alk_tcp_sock, all);
        if (s->conn->is_server && !s->conn->is_closing && memory_of(s) > 0 &&
            (found == NULL || goes_first(s->conn, found->conn))) {
            found = s;
        }
    }
    return found;
}

static void shed(struct alk_worker *w, size_t total, size_t most)
{
    struct alk_tcp_sock *s;
    while (total > most && (s = pick(w->pump)) != NULL) {
        size_t n = memory_of(s);
        alk_ep_log(w->ep, ALK_LOG_WARN, "over the memory limit: closing %s (%s)",
                   s->conn->auth.log_id, s->conn->auth.remote);
        alk_conn_close(s->conn, ALK_CODE_LIMIT, ALK_LIT("the node is short of memory"));
        w->tcp_shed++;
        total = n < total ? total - n : 0;
    }
}

static void on_look(struct alk_timer *timer, void *ctx)
{
    struct alk_worker *w = ctx;
    struct alk_quic_stats quic;
    (void)alk_pump_now(w->pump);
    alk_quic_get_stats(w->port->quic, &quic);
    size_t total = quic.memory;
    struct alk_link *e = alk_list_first(&w->pump->tcp);
    for (; e != NULL; e = alk_list_next(&w->pump->tcp, e)) {
        total += memory_of(ALK_CONTAINER(e, struct alk_tcp_sock, all));
    }
    shed(w, total, alk_worker_share(w, w->snapshot->config->limits.memory));
    if (!alk_list_is_empty(&w->pump->tcp)) {
        alk_timer_set(w->loop, timer, alk_loop_now(w->loop) + LOOK);
    }
}

void alk_worker_watch_budget(struct alk_worker *w)
{
    if (w->budget.at == 0) {
        w->budget.fn = on_look;
        w->budget.ctx = w;
        alk_timer_set(w->loop, &w->budget, alk_loop_now(w->loop) + LOOK);
    }
}
