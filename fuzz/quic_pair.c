/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client and a server over a network, all three doing what the input says.
 *
 * Each pair of bytes is an action and its argument. Whatever happens, the machines
 * end in order, nothing is leaked, and no byte is wrong.
 */
#include "sim/lib/apps.h"

#define REQUESTS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct counted {
    struct alk_mem mem;
    size_t live;
};

static void *count_alloc(void *ctx, size_t n)
{
    struct counted *c = ctx;
    void *p = malloc(n);
    c->live += p != NULL;
    return p;
}
static void *count_resize(void *ctx, void *p, size_t n)
{
    struct counted *c = ctx;
    void *q = realloc(p, n);
    c->live += p == NULL && q != NULL;
    return q;
}
static void count_release(void *ctx, void *p)
{
    struct counted *c = ctx;
    c->live -= p != NULL;
    free(p);
}

struct game {
    struct sim_world w;
    struct sim_server server;
    struct sim_client client;
    struct sim_node *s, *c;
    struct sim_request r[REQUESTS];
    size_t next;
};

static bool is_live(const struct game *g)
{
    return g->client.conn != NULL && g->client.is_open && !g->client.is_closed;
}

static void open_stream(struct game *g, uint8_t arg)
{
    static const enum sim_op ops[] = {SIM_ECHO, SIM_PUT,   SIM_GET,  SIM_HOLD,
                                      SIM_GET,  SIM_RESET, SIM_STOP, SIM_ECHO};
    struct sim_request *r = &g->r[g->next++ % REQUESTS];
    if (!is_live(g) || r->stream != NULL) {
        return;
    }
    memset(r, 0, sizeof *r);
    r->hold = (arg & 64) != 0;
    r->keep_open = (arg & 128) != 0;
    (void)!sim_request_start(r, &g->client, ops[arg & 7], (uint64_t)((arg >> 3) & 7) * 9000);
}

static void end_stream(struct game *g, uint8_t arg)
{
    struct sim_request *r = &g->r[arg % REQUESTS];
    if (r->stream == NULL) {
        return;
    }
    switch (arg >> 5) {
    case 0:
        alk_stream_finish(r->stream);
        break;
    case 1:
        alk_stream_reset(r->stream, arg);
        break;
    case 2:
        alk_stream_stop(r->stream, arg);
        break;
    case 3:
        sim_request_resume(r);
        break;
    default:
        alk_stream_close(r->stream, arg);
        r->stream = NULL;
        break;
    }
}

static void end_servers_stream(struct game *g, uint8_t arg)
{
    if (g->server.conn == NULL || alk_list_is_empty(&g->server.conn->streams)) {
        return;
    }
    struct alk_stream *s =
        ALK_CONTAINER(g->server.conn->streams.head.next, struct alk_stream, all);
    if ((arg & 1) != 0) {
        alk_stream_reset(s, arg);
    } else {
        alk_stream_stop(s, arg);
    }
}

static void change_net(struct game *g, uint8_t arg)
{
    struct sim_net *net = &g->w.net;
    net->loss = (arg & 1) != 0 ? 100000 : 0;
    net->dup = (arg & 2) != 0 ? 200000 : 0;
    net->reorder = (arg & 4) != 0 ? 200000 : 0;
    net->corrupt = (arg & 8) != 0 ? 100000 : 0;
    net->mtu = (arg & 16) != 0 ? 1250 : 0;
    net->rate = (arg & 32) != 0 ? 1000000 : 0;
    if ((arg & 64) != 0) {
        net->hole_from = g->w.now;
        net->hole_to = g->w.now + 300 * ALK_MS;
    }
}

static void change_path(struct game *g, uint8_t arg)
{
    if ((arg & 3) == 0 || !is_live(g)) {
        sim_rebind(g->c, (arg & 4) != 0);
        return;
    }
    g->c->addr2 = g->c->addr;
    g->c->addr2.port = (uint16_t)(7000 + arg);
    (void)!alk_quic_migrate(g->client.conn, &g->c->addr2, g->w.now);
}

static void nudge(struct game *g, uint8_t arg)
{
    struct alk_conn *conn = (arg & 1) != 0 ? g->server.conn : is_live(g) ? g->client.conn : NULL;
    if (conn == NULL) {
        return;
    }
    switch ((arg >> 1) & 3) {
    case 0:
        (void)!alk_quic_update_key(conn, g->w.now);
        break;
    case 1:
        alk_quic_ping(conn);
        break;
    case 2:
        (void)!alk_conn_datagram(conn, alk_span(&arg, 1));
        break;
    default:
        alk_conn_close(conn, arg, ALK_LIT("enough"));
        break;
    }
}

static void connect_again(struct game *g, uint8_t arg)
{
    if (g->client.conn != NULL) {
        return;
    }
    memset(g->r, 0, sizeof g->r);
    g->client.connect.hold_finished = (arg & 7) == 7;
    g->client.connect.version = (arg & 8) != 0 ? 0x6b3343cf : 0;
    (void)!sim_client_connect(&g->client, g->s);
}

static void change_server(struct game *g, uint8_t arg)
{
    struct alk_quic_limits limits = {.memory = (arg & 1) != 0 ? 60000 : 0,
                                     .retry_above = (arg & 2) != 0 ? 1 : 0};
    alk_quic_set_limits(g->s->q, &limits);
    alk_quic_set_accepting(g->s->q, (arg & 4) == 0);
    if ((arg & 0xf0) == 0xf0) {
        sim_node_stop(g->s);
        ALK_ASSERT(sim_node_start(g->s) == ALK_OK);
    }
    if (g->client.connect.hold_finished && is_live(g)) {
        alk_quic_release_finished(g->client.conn);
    }
}

static void act(struct game *g, uint8_t action, uint8_t arg)
{
    switch (action % 9) {
    case 0:
        open_stream(g, arg);
        break;
    case 1:
        end_stream(g, arg);
        break;
    case 2:
        end_servers_stream(g, arg);
        break;
    case 3:
        change_net(g, arg);
        break;
    case 4:
        change_path(g, arg);
        break;
    case 5:
        nudge(g, arg);
        break;
    case 6:
        connect_again(g, arg);
        break;
    case 7:
        change_server(g, arg);
        break;
    default:
        break; /* only time passes */
    }
    (void)sim_run(&g->w, (alk_time)(action >> 4) * 3 * ALK_MS, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct counted c = {.mem = {count_alloc, count_resize, count_release, NULL}};
    c.mem.ctx = &c;
    struct game *g = calloc(1, sizeof *g);
    if (g == NULL || size > 400) {
        free(g);
        return 0;
    }
    sim_world_init(&g->w, &c.mem, 1);
    g->s = sim_node_add(&g->w, 1, 4433);
    g->c = sim_node_add(&g->w, 2, 5000);
    ALK_ASSERT(sim_server_init(&g->server, g->s, NULL) == ALK_OK);
    ALK_ASSERT(sim_client_init(&g->client, g->c, &g->server, 0, "sim/1") == ALK_OK);
    ALK_ASSERT(sim_node_start(g->s) == ALK_OK && sim_node_start(g->c) == ALK_OK);
    connect_again(g, 0);
    for (size_t i = 0; i + 1 < size; i += 2) {
        act(g, data[i], data[i + 1]);
        for (size_t k = 0; k < REQUESTS; k++) {
            ALK_ASSERT(!g->r[k].is_bad);
        }
    }
    ALK_ASSERT(g->s->uneven + g->c->uneven == 0);
    sim_world_fini(&g->w);
    sim_client_fini(&g->client);
    sim_server_fini(&g->server);
    free(g);
    ALK_ASSERT(c.live == 0);
    return 0;
}
