/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/ct.h"
#include "base/mem.h"

#define KIB           ((uint64_t)1024)
#define MIB           (KIB * KIB)
#define WINDOW_MAX    ((uint64_t)1 << 40)
#define STREAMS_MAX   ((uint64_t)1 << 32)
#define CIDS_PER_CONN 16 /* more than ngtcp2 ever keeps for one connection */

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value == 0 ? fallback : value;
}

/* ngtcp2 asserts what fits into its integers. */
static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* Of a stream's window and its connection's, autotuning grows each for itself: a
 * stream that nobody reads could come to hold the whole of its connection's, and
 * all others would stand still behind it. So the connection has its largest window
 * from the beginning, and a stream no more than half of that. */
static void leave_room_for_others(struct alk_quic_limits *l)
{
    l->stream_window = at_most(l->stream_window, l->conn_window / 2);
    l->stream_window_max = at_most(l->stream_window_max, l->conn_window / 2);
}

static void fit_windows(struct alk_quic_limits *l)
{
    l->streams = at_most(l->streams, STREAMS_MAX);
    l->stream_window = at_most(l->stream_window, WINDOW_MAX);
    l->conn_window = at_most(l->conn_window, WINDOW_MAX);
    l->stream_window_max = at_most(l->stream_window_max, WINDOW_MAX);
    l->datagram_max = (size_t)at_most(l->datagram_max, 65535);
    /* Autotuning only grows windows. */
    if (l->stream_window_max < l->stream_window) {
        l->stream_window_max = l->stream_window;
    }
    leave_room_for_others(l);
    if (l->streams_without_identity > l->streams) {
        l->streams_without_identity = l->streams;
    }
}

static void fill_limits(struct alk_quic_limits *l, const struct alk_quic_limits *from)
{
    *l = *from;
    l->connections = (size_t)or_default(l->connections, 10000);
    l->connections_per_ip = (size_t)or_default(l->connections_per_ip, 100);
    l->handshakes = (size_t)or_default(l->handshakes, 1000);
    l->retry_above = (size_t)or_default(l->retry_above, l->handshakes / 4 + 1);
    l->resets_per_second = or_default(l->resets_per_second, 100);
    l->handshake_timeout = or_default(l->handshake_timeout, 10 * ALK_SECOND);
    l->idle_timeout = or_default(l->idle_timeout, 60 * ALK_SECOND);
    l->keep_alive = or_default(l->keep_alive, ALK_NEVER);
    l->streams = or_default(l->streams, 1024);
    l->streams_without_identity = or_default(l->streams_without_identity, 8);
    l->stream_window = or_default(l->stream_window, 256 * KIB);
    l->conn_window = or_default(l->conn_window, 16 * MIB);
    l->stream_window_max = or_default(l->stream_window_max, 6 * MIB);
    l->datagram_max = (size_t)or_default(l->datagram_max, 65535);
    l->memory = (size_t)or_default(l->memory, 512 * MIB);
    fit_windows(l);
}

static void init_maps(struct alk_quic *q)
{
    uint8_t seed[16];
    size_t max = SIZE_MAX / CIDS_PER_CONN; /* connections are limited, not their IDs */
    alk_rand_fill(&q->o.rand, seed, sizeof seed);
    alk_map_init(&q->cids, q->mem, max, seed);
    alk_map_init(&q->tokens, q->mem, max, seed);
    alk_map_init(&q->hosts, q->mem, max, seed);
    alk_heap_init(&q->timers, q->mem);
    alk_list_init(&q->all);
    alk_list_init(&q->work);
    alk_list_init(&q->tombs);
    alk_list_init(&q->anon);
}

alk_err alk_quic_new(const struct alk_quic_options *options, alk_time now, struct alk_quic **ret)
{
    ALK_ASSERT(options->hub != NULL && options->rand.fill != NULL);
    struct alk_quic *q = ALK_NEW(options->mem, struct alk_quic);
    if (q == NULL) {
        return ALK_E_NOMEM;
    }
    q->mem = options->mem;
    q->o = *options;
    q->now = now;
    q->is_accepting = true;
    q->resets_left = ALK_QRESETS_BURST;
    q->resets_at = now;
    fill_limits(&q->limits, &options->limits);
    init_maps(q);
    q->odd_size = options->mtu > ALK_QMTU_MAX ? options->mtu : ALK_QMTU_MAX;
    q->odd.buf = alk_alloc(q->mem, q->odd_size);
    q->out = alk_zalloc(q->mem, ALK_QOUT_MAX, sizeof *q->out);
    q->stops = alk_zalloc(q->mem, ALK_QSTOPS_MAX, sizeof *q->stops);
    if (q->odd.buf == NULL || q->out == NULL || q->stops == NULL) {
        q->o.server = NULL;
        alk_quic_free(q);
        return ALK_E_NOMEM;
    }
    if (q->o.server != NULL) {
        q->o.server = alk_tls_server_ref(q->o.server);
    }
    *ret = q;
    return ALK_OK;
}

void alk_quic_free(struct alk_quic *q)
{
    if (q == NULL) {
        return;
    }
    struct alk_link *e;
    while ((e = alk_list_first(&q->all)) != NULL) {
        struct alk_qconn *c = ALK_CONTAINER(e, struct alk_qconn, all);
        if (c->phase == ALK_Q_LIVE) {
            alk_conn_raise_closed(&c->base, ALK_E_CLOSED, ALK_CODE_SHUTDOWN, alk_span(NULL, 0));
        }
        alk_qconn_end(c, ALK_Q_OVER);
        while ((e = alk_list_first(&c->base.streams)) != NULL) {
            alk_qstream_free(alk_qstream(ALK_CONTAINER(e, struct alk_stream, all)));
        }
        if (!c->is_released) {
            c->is_released = true;
            alk_conn_fini(&c->base);
        }
        alk_qconn_unlink(c);
    }
    alk_qstreams_spare_free(q);
    alk_map_fini(&q->cids);
    alk_map_fini(&q->tokens);
    alk_map_fini(&q->hosts);
    alk_heap_fini(&q->timers);
    alk_tls_server_unref(q->o.server);
    alk_free(q->mem, q->odd.buf);
    alk_free(q->mem, q->out);
    alk_free(q->mem, q->stops);
    const struct alk_mem *mem = q->mem;
    alk_wipe(q, sizeof *q);
    alk_free(mem, q);
}

void alk_quic_abort_all(struct alk_quic *q)
{
    for (struct alk_link *e = alk_list_first(&q->all), *next; e != NULL; e = next) {
        struct alk_qconn *c = ALK_CONTAINER(e, struct alk_qconn, all);
        next = alk_list_next(&q->all, e);
        if (c->phase == ALK_Q_LIVE) {
            alk_conn_raise_closed(&c->base, ALK_E_CLOSED, ALK_CODE_SHUTDOWN, alk_span(NULL, 0));
            alk_qconn_end(c, ALK_Q_OVER);
        }
    }
}

void alk_quic_set_server(struct alk_quic *q, struct alk_tls_server *server)
{
    struct alk_tls_server *old = q->o.server;
    q->o.server = server == NULL ? NULL : alk_tls_server_ref(server);
    alk_tls_server_unref(old);
}

void alk_quic_set_limits(struct alk_quic *q, const struct alk_quic_limits *limits)
{
    fill_limits(&q->limits, limits);
}

void alk_quic_set_accepting(struct alk_quic *q, bool is_accepting)
{
    q->is_accepting = is_accepting;
}

void alk_quic_clock(struct alk_quic *q, alk_time now)
{
    q->now = now > q->now ? now : q->now;
}

void alk_qconn_set_timer(struct alk_qconn *c, alk_time at)
{
    alk_err err = alk_heap_set(&c->q->timers, &c->timer, at);
    ALK_ASSERT(err == ALK_OK); /* its place was reserved when it was made */
}

void alk_qconn_mark(struct alk_qconn *c)
{
    if (c->phase == ALK_Q_LIVE && (!c->is_held || c->close.is_pending)) {
        alk_list_append(&c->q->work, &c->work);
    }
}

bool alk_quic_has_work(const struct alk_quic *q)
{
    return q->has_odd || q->out_count > 0 || !alk_list_is_empty(&q->work);
}

alk_time alk_quic_deadline(const struct alk_quic *q)
{
    const struct alk_heap_node *top = alk_heap_top(&q->timers);
    return top == NULL ? ALK_NEVER : top->key;
}

void alk_quic_tick(struct alk_quic *q, alk_time now)
{
    alk_quic_clock(q, now);
    struct alk_heap_node *top;
    while ((top = alk_heap_top(&q->timers)) != NULL && top->key <= q->now) {
        struct alk_qconn *c = ALK_CONTAINER(top, struct alk_qconn, timer);
        alk_qconn_set_timer(c, ALK_NEVER);
        alk_qconn_timeout(c);
    }
}

void alk_quic_no_gso(struct alk_quic *q)
{
    q->o.no_gso = true;
}

void alk_quic_get_stats(const struct alk_quic *q, struct alk_quic_stats *ret)
{
    *ret = q->stats;
    ret->connections = q->live_count;
    ret->handshaking = q->handshaking;
    ret->memory = q->memory;
}
