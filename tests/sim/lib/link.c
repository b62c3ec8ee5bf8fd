/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "sim/lib/link.h"

#include "base/mem.h"

void sim_world_init(struct sim_world *w, const struct alk_mem *mem, uint64_t seed)
{
    *w = (struct sim_world){.mem = mem, .seed = seed, .now = SIM_START};
    alk_prng_init(&w->prng, seed);
    w->batch = alk_alloc(mem, ALK_QUIC_BATCH);
    ALK_ASSERT(w->batch != NULL);
}

void sim_world_fini(struct sim_world *w)
{
    for (size_t i = 0; i < w->node_count; i++) {
        sim_node_stop(&w->nodes[i]);
    }
    for (size_t i = 0; i < w->heap_n; i++) {
        alk_free(w->mem, w->heap[i].data);
    }
    alk_free(w->mem, w->heap);
    alk_free(w->mem, w->batch);
}

uint64_t sim_random(struct sim_world *w, uint64_t below)
{
    struct alk_rand r = alk_prng_rand(&w->prng);
    return alk_rand_below(&r, below);
}

static bool happens(struct sim_world *w, uint32_t share)
{
    return share > 0 && sim_random(w, 1000000) < share;
}

/* --- nodes ----------------------------------------------------------------------- */

struct sim_node *sim_node_add(struct sim_world *w, uint8_t host, uint16_t port)
{
    ALK_ASSERT(w->node_count < SIM_NODES_MAX);
    struct sim_node *node = &w->nodes[w->node_count++];
    *node = (struct sim_node){.world = w};
    node->addr = (struct alk_addr){.family = 4, .ip = {10, 0, 0, host}, .port = port};
    node->options = (struct alk_quic_options){
        .mem = w->mem,
        .rand = alk_prng_rand(&w->prng),
        .hub = &node->hub,
        .loop_id = host,
    };
    memset(node->options.reset_key, host, 32);
    memset(node->options.retry_key, 0x52, 32);
    memset(node->options.token_key, 0x54, 32);
    return node;
}

alk_err sim_node_start(struct sim_node *node)
{
    alk_hub_init(&node->hub, node->world->mem, node->options.loop_id);
    node->hub.now = node->world->now;
    return alk_quic_new(&node->options, node->world->now, &node->q);
}

void sim_node_stop(struct sim_node *node)
{
    if (node->q == NULL) {
        return;
    }
    alk_quic_abort_all(node->q);
    while (alk_hub_run(&node->hub)) {
    }
    alk_quic_free(node->q);
    node->q = NULL;
    alk_hub_fini(&node->hub);
}

static bool has_addr(const struct sim_node *node, const struct alk_addr *a)
{
    if (node->seen_as.family != 0) {
        return alk_addr_equal(&node->seen_as, a);
    }
    return alk_addr_equal(&node->addr, a) ||
           (node->addr2.family != 0 && alk_addr_equal(&node->addr2, a));
}

static struct sim_node *find(struct sim_world *w, const struct alk_addr *a)
{
    for (size_t i = 0; i < w->node_count; i++) {
        if (has_addr(&w->nodes[i], a)) {
            return &w->nodes[i];
        }
    }
    return NULL;
}

void sim_rebind(struct sim_node *node, bool new_ip)
{
    if (node->seen_as.family == 0) {
        node->seen_as = node->addr;
    }
    node->seen_as.port++;
    if (new_ip) {
        node->seen_as.ip[2]++;
    }
}

/* --- packets on the wire ------------------------------------------------------------ */

static bool is_before(const struct sim_packet *a, const struct sim_packet *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct sim_packet *a, struct sim_packet *b)
{
    struct sim_packet t = *a;
    *a = *b;
    *b = t;
}

static void push(struct sim_world *w, struct sim_packet p)
{
    size_t i = w->heap_n++;
    w->heap[i] = p;
    while (i > 0 && is_before(&w->heap[i], &w->heap[(i - 1) / 2])) {
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static struct sim_packet pop(struct sim_world *w)
{
    struct sim_packet top = w->heap[0];
    w->heap[0] = w->heap[--w->heap_n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < w->heap_n; k++) {
            if (is_before(&w->heap[k], &w->heap[least])) {
                least = k;
            }
        }
        if (least == i) {
            return top;
        }
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

static bool has_place(struct sim_world *w)
{
    if (w->heap_n < w->heap_size) {
        return true;
    }
    size_t size = w->heap_size == 0 ? 64 : 2 * w->heap_size;
    struct sim_packet *heap =
        size > SIM_PACKETS_MAX ? NULL : alk_resize(w->mem, w->heap, size * sizeof *heap);
    if (heap == NULL) {
        return false;
    }
    w->heap = heap;
    w->heap_size = size;
    return true;
}

static void put(struct sim_world *w, const struct sim_packet *like, const uint8_t *data, size_t n,
                alk_time at)
{
    if (!has_place(w)) {
        w->lost++;
        return;
    }
    struct sim_packet p = *like;
    p.at = at;
    p.order = w->next_order++;
    p.n = n;
    p.data = alk_alloc(w->mem, n);
    if (p.data == NULL) {
        w->lost++;
        return;
    }
    memcpy(p.data, data, n);
    push(w, p);
}

/* When it arrives: the queue for the rate, the way, and what reorders. */
static alk_time arrival(struct sim_world *w, size_t direction, size_t n)
{
    const struct sim_net *net = &w->net;
    alk_time delay = net->delay == 0 ? ALK_MS : net->delay;
    alk_time out = w->now;
    if (net->rate > 0) {
        alk_time *busy = &w->busy_until[direction];
        *busy = (*busy < w->now ? w->now : *busy) + n * ALK_SECOND / net->rate;
        out = *busy;
    }
    alk_time at = out + delay + (net->jitter == 0 ? 0 : sim_random(w, net->jitter));
    if (happens(w, net->reorder)) {
        at += sim_random(w, net->reorder_delay == 0 ? 3 * delay : net->reorder_delay);
    }
    return at;
}

static bool is_swallowed(struct sim_world *w, size_t direction, size_t n)
{
    const struct sim_net *net = &w->net;
    alk_time queue = net->queue == 0 ? 100 * ALK_MS : net->queue;
    bool is_full = net->rate > 0 && w->busy_until[direction] > w->now + queue;
    return n > (net->mtu == 0 ? 1500 : net->mtu) || is_full || happens(w, net->loss) ||
           (w->now >= net->hole_from && w->now < net->hole_to);
}

static void transmit(struct sim_world *w, struct sim_node *from, const struct sim_packet *like,
                     const uint8_t *data, size_t n)
{
    uint8_t copy[65536];
    size_t direction = like->to == &w->nodes[0] ? 0 : 1;
    memcpy(copy, data, n);
    w->sent++;
    bool passes = w->tap == NULL || w->tap(w->tap_ctx, from, like->to, copy, &n);
    if (!passes || is_swallowed(w, direction, n)) {
        w->lost++;
        return;
    }
    if (n > 0 && happens(w, w->net.corrupt)) {
        copy[sim_random(w, n)] ^= (uint8_t)(1u << sim_random(w, 8));
    }
    put(w, like, copy, n, arrival(w, direction, n));
    if (happens(w, w->net.dup)) {
        put(w, like, copy, n, arrival(w, direction, n));
    }
}

static void send_segment(struct sim_node *node, const struct alk_quic_batch *b, const uint8_t *data,
                         size_t n)
{
    struct sim_world *w = node->world;
    struct sim_packet like = {.to_addr = b->remote, .from_addr = b->local, .ecn = b->ecn};
    like.to = find(w, &b->remote);
    if (node->seen_as.family != 0) {
        like.from_addr = node->seen_as;
    }
    if (like.to == NULL) {
        w->sent++;
        w->lost++; /* nobody lives there (any more) */
        return;
    }
    transmit(w, node, &like, data, n);
}

void sim_inject_from(struct sim_world *w, const struct alk_addr *from, struct sim_node *to,
                     const uint8_t *data, size_t n)
{
    struct sim_packet like = {.to = to, .from_addr = *from, .to_addr = to->addr};
    if (to->seen_as.family != 0) {
        like.to_addr = to->seen_as;
    }
    put(w, &like, data, n, w->now + ALK_MS);
}

void sim_inject(struct sim_world *w, struct sim_node *from, struct sim_node *to,
                const uint8_t *data, size_t n)
{
    sim_inject_from(w, from->seen_as.family != 0 ? &from->seen_as : &from->addr, to, data, n);
}

/* --- the run -------------------------------------------------------------------------- */

static void check_batch(struct sim_node *node, const struct alk_quic_batch *b)
{
    size_t segments = b->segment == 0 ? 0 : (b->n + b->segment - 1) / b->segment;
    node->batches++;
    node->segments += segments;
    node->largest_batch = b->n > node->largest_batch ? b->n : node->largest_batch;
    if (b->n == 0 || b->n > ALK_QUIC_BATCH || segments == 0 || segments > ALK_QUIC_BATCH_SEGMENTS) {
        node->uneven++;
    }
}

static void drain(struct sim_node *node)
{
    struct alk_quic_batch b = {.buf = node->world->batch};
    bool has_more = true;
    while (has_more) {
        has_more = alk_hub_run(&node->hub);
        while (alk_quic_send(node->q, node->world->now, &b)) {
            check_batch(node, &b);
            if (node->interface != 0 && b.segment > node->interface) {
                node->oversize++;
                alk_quic_too_big(node->q, &b);
                continue;
            }
            for (size_t at = 0; at < b.n; at += b.segment) {
                size_t left = b.n - at;
                send_segment(node, &b, b.buf + at, left < b.segment ? left : b.segment);
            }
        }
        has_more = has_more || !alk_list_is_empty(&node->hub.ready);
    }
}

static void deliver(struct sim_world *w)
{
    struct sim_packet p = pop(w);
    struct sim_node *to = p.to;
    /* A mapping that the NAT has forgotten meanwhile leads nowhere. */
    if (to->q != NULL && has_addr(to, &p.to_addr)) {
        struct alk_addr local = to->seen_as.family != 0 ? to->addr : p.to_addr;
        w->delivered++;
        to->hub.now = w->now;
        alk_quic_feed(to->q, &local, &p.from_addr, p.ecn, alk_span(p.data, p.n), w->now);
    } else {
        w->lost++;
    }
    alk_free(w->mem, p.data);
}

static void drain_all(struct sim_world *w)
{
    for (size_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].q != NULL) {
            w->nodes[i].hub.now = w->now;
            drain(&w->nodes[i]);
        }
    }
}

static alk_time next_time(const struct sim_world *w)
{
    alk_time t = w->heap_n > 0 ? w->heap[0].at : ALK_NEVER;
    for (size_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].q != NULL) {
            alk_time d = alk_quic_deadline(w->nodes[i].q);
            t = d < t ? d : t;
        }
    }
    return t;
}

static void step(struct sim_world *w)
{
    while (w->heap_n > 0 && w->heap[0].at <= w->now) {
        deliver(w);
    }
    for (size_t i = 0; i < w->node_count; i++) {
        struct sim_node *node = &w->nodes[i];
        if (node->q != NULL && alk_quic_deadline(node->q) <= w->now) {
            node->hub.now = w->now;
            alk_quic_tick(node->q, w->now);
        }
    }
}

bool sim_run(struct sim_world *w, alk_time for_at_most, sim_done_fn *done, void *ctx)
{
    alk_time end = w->now + for_at_most;
    for (;;) {
        drain_all(w);
        if (done != NULL && done(ctx)) {
            return true;
        }
        alk_time next = next_time(w);
        if (next > end) {
            w->now = end;
            return false;
        }
        w->now = next > w->now ? next : w->now;
        step(w);
    }
}
