/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sim/pair.h - what most simulation tests start from: one server, one client, a
 * clean line of 5 ms, memory that counts. */
#ifndef ALK_SIM_PAIR_H
#define ALK_SIM_PAIR_H

#include "sim/lib/apps.h"
#include "support/oom.h"

struct pair {
    struct test_mem mem;
    struct sim_world w;
    struct sim_server server;
    struct sim_client client;
    struct sim_client more[10]; /* further clients on the same machine */
    size_t more_n;
    bool is_stopped;
    struct sim_node *s, *c;
};

struct pair_options {
    struct sim_server_options server;
    uint8_t client_key; /* 0: none */
    const char *alpn;   /* NULL: "sim/1" */
    void (*tune)(struct pair *p); /* after init, before the machines start */
};

static inline uint64_t pair_seed(void)
{
    const char *text = getenv("ALK_SEED");
    uint64_t seed = 1;
    if (text != NULL) {
        (void)alk_span_u64(alk_span_str(text), UINT64_MAX, &seed);
    }
    return seed;
}

static inline struct pair *pair_new(const struct pair_options *o)
{
    static const struct pair_options none = {.client_key = 0};
    o = o == NULL ? &none : o;
    struct pair *p = test_calloc(1, sizeof *p);
    test_mem_init(&p->mem, 0);
    sim_world_init(&p->w, &p->mem.mem, pair_seed());
    p->w.net.delay = 5 * ALK_MS;
    p->s = sim_node_add(&p->w, 1, 4433);
    p->c = sim_node_add(&p->w, 2, 5000);
    check_err(sim_server_init(&p->server, p->s, &o->server), ALK_OK);
    check_err(sim_client_init(&p->client, p->c, &p->server, o->client_key,
                              o->alpn == NULL ? "sim/1" : o->alpn),
              ALK_OK);
    p->client.ctx = p;
    if (o->tune != NULL) {
        o->tune(p);
    }
    check_err(sim_node_start(p->s), ALK_OK);
    check_err(sim_node_start(p->c), ALK_OK);
    return p;
}

/* Stops the machines; before credentials of further servers are freed. */
static inline void pair_stop(struct pair *p)
{
    assert_int_equal(p->s->uneven + p->c->uneven, 0);
    sim_world_fini(&p->w);
    p->is_stopped = true;
}

static inline void pair_free(struct pair *p)
{
    if (!p->is_stopped) {
        pair_stop(p);
    }
    sim_client_fini(&p->client);
    for (size_t i = 0; i < p->more_n; i++) {
        sim_client_fini(&p->more[i]);
    }
    sim_server_fini(&p->server);
    test_mem_check(&p->mem);
    test_free(p);
}

/* Connects and waits until the handshake is confirmed on both sides. */
static inline void pair_connect(struct pair *p)
{
    check_err(sim_client_connect(&p->client, p->s), ALK_OK);
    assert_true(sim_run(&p->w, 30 * ALK_SECOND, sim_client_is_confirmed, &p->client));
    check_err(p->client.close_err, ALK_OK);
    assert_false(p->client.is_closed);
}

static inline struct sim_client *pair_more(struct pair *p)
{
    struct sim_client *c = &p->more[p->more_n++];
    check_err(sim_client_init(c, p->c, &p->server, 0, "sim/1"), ALK_OK);
    check_err(sim_client_connect(c, p->s), ALK_OK);
    return c;
}

/* One request, there and back; everything must be right. */
static inline void pair_exchange(struct pair *p, enum sim_op op, uint64_t size)
{
    struct sim_request r = {.size = 0};
    check_err(sim_request_start(&r, &p->client, op, size), ALK_OK);
    assert_true(sim_run(&p->w, 300 * ALK_SECOND, sim_request_is_done, &r));
    if (!r.is_right) {
        print_error("request %c: sent %llu, got %llu of %llu, end %d, closed %s\n", (char)op,
                    (unsigned long long)r.sent, (unsigned long long)r.got,
                    (unsigned long long)size, r.has_end, alk_err_name(p->client.close_err));
    }
    assert_true(r.is_right);
}

static inline void pair_close(struct pair *p)
{
    alk_conn_close(p->client.conn, ALK_CODE_NONE, alk_span(NULL, 0));
    assert_true(sim_run(&p->w, 10 * ALK_SECOND, sim_client_is_closed, &p->client));
    /* Past every closing period. */
    (void)sim_run(&p->w, 10 * ALK_SECOND, NULL, NULL);
}

static inline struct alk_quic_stats pair_stats(const struct sim_node *node)
{
    struct alk_quic_stats stats;
    alk_quic_get_stats(node->q, &stats);
    return stats;
}

#endif
