/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "base/wire.h"
#include "sim/lib/apps.h"

/* splitmix64 of the word's number: any offset at the price of one word. */
static uint64_t word(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void sim_pattern(uint64_t seed, uint64_t at, uint8_t *p, size_t n)
{
    uint64_t w = word(seed, at / 8);
    for (size_t i = 0; i < n; i++, at++) {
        if (at % 8 == 0) {
            w = word(seed, at / 8);
        }
        p[i] = (uint8_t)(w >> (8 * (at % 8)));
    }
}

bool sim_pattern_ok(uint64_t seed, uint64_t at, const uint8_t *p, size_t n)
{
    uint8_t want[512];
    while (n > 0) {
        size_t k = n < sizeof want ? n : sizeof want;
        sim_pattern(seed, at, want, k);
        if (memcmp(want, p, k) != 0) {
            return false;
        }
        at += k;
        p += k;
        n -= k;
    }
    return true;
}

/* --- streams ------------------------------------------------------------------------ */

struct answer {
    struct sim_server *server;
    enum sim_op op;
    uint64_t seed, size, at;
    bool has_request, is_bad, is_ended;
};

static bool read_request(struct answer *a, struct alk_stream *s)
{
    struct alk_span have;
    if (alk_stream_peek(s, &have) != ALK_OK || have.n < SIM_REQUEST) {
        return false;
    }
    struct alk_rd r = alk_rd(alk_span_head(have, SIM_REQUEST));
    a->op = (enum sim_op)alk_rd_u8(&r);
    a->seed = alk_rd_u64(&r);
    a->size = alk_rd_u64(&r);
    a->has_request = true;
    alk_stream_consume(s, SIM_REQUEST);
    return true;
}

static void echo(struct alk_stream *s)
{
    struct alk_span have;
    alk_err err;
    while ((err = alk_stream_peek(s, &have)) == ALK_OK) {
        size_t took = 0;
        alk_err w = alk_stream_write(s, have, &took);
        alk_stream_consume(s, took);
        if (w != ALK_OK) {
            return;
        }
    }
    if (err == ALK_END) {
        alk_stream_finish(s);
    }
}

static void swallow(struct answer *a, struct alk_stream *s)
{
    struct alk_span have;
    alk_err err;
    while ((err = alk_stream_peek(s, &have)) == ALK_OK) {
        a->is_bad = a->is_bad || !sim_pattern_ok(a->seed, a->at, have.p, have.n);
        a->at += have.n;
        alk_stream_consume(s, have.n);
    }
    if (err == ALK_END && !a->is_ended) {
        uint8_t right = !a->is_bad && a->at == a->size;
        size_t took = 0;
        a->is_ended = true;
        a->server->bad += right ? 0 : 1;
        (void)!alk_stream_write(s, alk_span(&right, 1), &took);
        alk_stream_finish(s);
    }
}

static void produce(struct answer *a, struct alk_stream *s)
{
    uint8_t buf[16384];
    while (a->at < a->size) {
        uint64_t left = a->size - a->at;
        size_t n = left < sizeof buf ? (size_t)left : sizeof buf;
        size_t took = 0;
        sim_pattern(a->seed, a->at, buf, n);
        alk_err err = alk_stream_write(s, alk_span(buf, n), &took);
        a->at += took;
        if (err != ALK_OK) {
            return;
        }
    }
    alk_stream_finish(s);
    struct alk_span rest;
    while (alk_stream_peek(s, &rest) == ALK_OK) {
        alk_stream_consume(s, rest.n);
    }
}

static void work(struct answer *a, struct alk_stream *s)
{
    switch (a->op) {
    case SIM_ECHO:
        echo(s);
        break;
    case SIM_PUT:
        swallow(a, s);
        break;
    case SIM_GET:
        produce(a, s);
        break;
    case SIM_HOLD:
        break;
    case SIM_RESET:
        alk_stream_reset(s, 77);
        alk_stream_stop(s, 78);
        break;
    case SIM_STOP:
        alk_stream_stop(s, 78);
        produce(a, s);
        break;
    }
}

static void on_stream(void *ctx, struct alk_stream *s, unsigned events)
{
    struct answer *a = ctx;
    if (a->has_request || read_request(a, s)) {
        work(a, s);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        free(a);
    }
}

static void on_own_stream(void *ctx, struct alk_stream *s, unsigned events)
{
    struct alk_span have;
    (void)ctx;
    (void)events;
    while (alk_stream_peek(s, &have) == ALK_OK) {
        alk_stream_consume(s, have.n);
    }
}

/* --- the handler ----------------------------------------------------------------------- */

static alk_err h_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                      void **ret_state)
{
    struct sim_server *s = service;
    s->opens++;
    s->early_opens += auth->is_early;
    s->conn = conn;
    s->auth = *auth;
    *ret_state = s;
    return ALK_OK;
}

static alk_err h_stream(void *state, struct alk_stream *stream)
{
    struct sim_server *s = state;
    struct answer *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return ALK_E_NOMEM;
    }
    a->server = s;
    s->streams++;
    s->early_streams += alk_stream_is_early(stream);
    alk_stream_on(stream, on_stream, a);
    if (s->open_back) {
        struct alk_stream *mine;
        if (alk_conn_open_stream(alk_stream_conn(stream), on_own_stream, NULL, &mine) == ALK_OK) {
            alk_stream_finish(mine);
        }
    }
    return ALK_OK;
}

static void h_datagram(void *state, struct alk_span data)
{
    struct sim_server *s = state;
    s->datagrams++;
    if (s->echo_datagrams && s->conn != NULL) {
        (void)!alk_conn_datagram(s->conn, data);
    }
}

static void h_auth_changed(void *state)
{
    struct sim_server *s = state;
    s->confirmed++;
}

static void h_close(void *state, alk_err why, uint64_t code)
{
    struct sim_server *s = state;
    s->closes++;
    s->close_err = why;
    s->close_code = code;
    s->conn = NULL;
}

static const struct alk_handler plain = {
    .struct_size = sizeof plain,
    .abi = ALK_HANDLER_ABI,
    .name = "sim",
    .open = h_open,
    .stream = h_stream,
    .datagram = h_datagram,
    .auth_changed = h_auth_changed,
    .close = h_close,
};
static const struct alk_handler early = {
    .struct_size = sizeof early,
    .abi = ALK_HANDLER_ABI,
    .name = "sim-early",
    .flags = ALK_HANDLER_EARLY_SAFE,
    .open = h_open,
    .stream = h_stream,
    .datagram = h_datagram,
    .auth_changed = h_auth_changed,
    .close = h_close,
};

/* --- setting it up ------------------------------------------------------------------------ */

static void resolve(void *provider, const struct alk_auth_query *query, alk_auth_done_fn *done,
                    void *ctx)
{
    struct sim_server *s = provider;
    const struct alk_identity *identity = s->accepted == NULL ? s->identity : NULL;
    s->resolved++;
    for (size_t i = 0; s->accepted != NULL && i < query->fingerprint_count; i++) {
        if (strcmp(query->fingerprints[i], s->accepted) == 0) {
            identity = s->identity;
        }
    }
    done(ctx, identity != NULL ? ALK_OK : ALK_E_AUTH, identity, 1);
}

static struct alk_service *make_service(struct sim_server *s, const struct alk_handler *handler,
                                        const char *alpn)
{
    const struct alk_mem *mem = s->node->world->mem;
    struct alk_service *service = ALK_NEW(mem, struct alk_service);
    if (service == NULL) {
        return NULL;
    }
    service->refs = 1;
    service->mem = mem;
    service->handler = handler;
    service->state = s;
    service->require = ALK_REQUIRE_NONE;
    service->alpns = alk_zalloc(mem, 1, sizeof *service->alpns);
    if (service->alpns == NULL) {
        alk_service_unref(service);
        return NULL;
    }
    service->alpns[0] = (struct alk_alpn){.name = alpn, .transports = ALK_TRANSPORT_ANY};
    service->alpn_count = 1;
    return service;
}

static alk_err make_creds(struct sim_server *s, const struct sim_server_options *o)
{
    const struct alk_mem *mem = s->node->world->mem;
    uint8_t seed[32];
    struct alk_buf chain, key;
    memset(seed, 0x11, sizeof seed);
    alk_key_public_of(seed, s->key);
    alk_buf_init(&chain, mem, 8192);
    alk_buf_init(&key, mem, 8192);
    alk_err err = ALK_OK;
    if (o->names != NULL) {
        err = alk_tls_self_signed(o->names, 1700000000, 86400, &chain, &key);
    }
    struct alk_tls_creds_options creds = {
        .mem = mem,
        .seed = o->no_raw_key ? NULL : seed,
        .chain_pem = alk_buf_span(&chain),
        .key_pem = alk_buf_span(&key),
    };
    if (err == ALK_OK) {
        err = alk_tls_creds_new(&creds, NULL, 0, &s->creds);
    }
    alk_buf_fini(&chain);
    alk_buf_fini_secret(&key);
    return err;
}

static alk_err make_tls(struct sim_server *s, const struct sim_server_options *o)
{
    const struct alk_mem *mem = s->node->world->mem;
    const struct alk_service *a = NULL;
    const struct alk_service *b = NULL;
    s->services[0] = make_service(s, &plain, "sim/1");
    s->services[1] = make_service(s, &early, "sim/early");
    if (s->services[0] == NULL || s->services[1] == NULL) {
        return ALK_E_NOMEM;
    }
    ALK_TRY(alk_routes_new(mem, s->services, 2, &s->routes, &a, &b));
    ALK_TRY(alk_tls_loop_new(mem, o->replay, &s->node->tls_loop));
    struct alk_tls_server_options tls = {
        .mem = mem,
        .creds = s->creds,
        .routes = s->routes,
        .replay = o->replay,
    };
    memset(tls.ticket_secret, 0x77, sizeof tls.ticket_secret);
    return alk_tls_server_new(&tls, &s->tls);
}

alk_err sim_server_init(struct sim_server *s, struct sim_node *node,
                        const struct sim_server_options *options)
{
    static const struct sim_server_options none = {.names = NULL};
    const struct sim_server_options *o = options == NULL ? &none : options;
    *s = (struct sim_server){.node = node};
    ALK_TRY(make_creds(s, o));
    ALK_TRY(make_tls(s, o));
    s->provider = (struct alk_identity_provider){
        .struct_size = sizeof s->provider, .name = "sim", .resolve = resolve};
    node->options.server = s->tls;
    node->options.tls_loop = node->tls_loop;
    return ALK_OK;
}

void sim_server_fini(struct sim_server *s)
{
    alk_tls_server_unref(s->tls);
    alk_routes_unref(s->routes);
    alk_service_unref(s->services[0]);
    alk_service_unref(s->services[1]);
    alk_tls_creds_unref(s->creds);
    alk_tls_loop_free(s->node->tls_loop);
    s->node->tls_loop = NULL;
}
