/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A TLS client and server over pipes in memory, for the fuzz targets tls_*.c.
 *
 * Both write a pattern that names each byte's place, so that whatever the script
 * does, what arrives must be a prefix of what was written, and an end is believed
 * only after all of it. */
#ifndef ALK_FUZZ_TLS_PAIR_H
#define ALK_FUZZ_TLS_PAIR_H

#include "base/mem.h"
#include "core/tls/tcp.h"

/* Says which promise was broken: traps are merged by the compiler. */
#define must(holds) must_at((holds), #holds)
static inline void must_at(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "broken: %s\n", what);
        __builtin_trap();
    }
}

struct side {
    struct alk_hub hub;
    struct alk_conn *conn;
    struct alk_stream *stream;
    struct side *peer;
    struct alk_buf wire;
    uint64_t written, read;
    unsigned opens, closes;
    bool has_finished, has_stopped, got_end, got_closed, is_over, is_mute;
};

struct pair {
    struct side client, server;
    struct alk_dial_options dial;
    struct alk_tls_server *server_conf;
    struct alk_tls_creds *client_creds;
    alk_time now;
    bool is_held; /* the client's Finished must not be seen */
};

static inline uint8_t pattern_at(uint64_t at)
{
    return (uint8_t)((at * 2654435761u) >> 13);
}

static inline void pair_read(struct side *s, size_t max)
{
    struct alk_span have;
    alk_err err = ALK_MORE;
    while (max > 0 && s->stream != NULL && (err = alk_stream_peek(s->stream, &have)) == ALK_OK) {
        have = alk_span_head(have, max);
        for (size_t i = 0; i < have.n; i++) {
            must(have.p[i] == pattern_at(s->read + i));
        }
        s->read += have.n;
        max -= have.n;
        must(s->read <= s->peer->written);
        alk_stream_consume(s->stream, have.n);
    }
    if (err == ALK_END) {
        must(s->peer->has_finished && (s->has_stopped || s->read == s->peer->written));
        s->got_end = true;
    }
}

static inline void pair_write(struct side *s, size_t n)
{
    uint8_t buf[4096];
    n = n < sizeof buf ? n : sizeof buf;
    for (size_t i = 0; i < n; i++) {
        buf[i] = pattern_at(s->written + i);
    }
    size_t took = 0;
    if (s->stream != NULL) {
        alk_err err = alk_stream_write(s->stream, alk_span(buf, n), &took);
        must(err == ALK_OK || took < n || n == 0);
        s->written += took;
    }
}

static inline void pair_on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct side *s = ctx;
    must(stream == s->stream && !s->got_closed);
    if (!s->is_mute) {
        pair_read(s, SIZE_MAX);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        s->got_closed = true;
        s->stream = NULL;
    }
}

static inline alk_err pair_on_open(void *service, struct alk_conn *conn,
                                   const struct alk_auth_context *auth, void **ret_state)
{
    struct pair *p = service;
    struct side *s = conn->is_server ? &p->server : &p->client;
    must(s->opens == 0 && s->closes == 0 && auth->alpn[0] != '\0');
    s->opens++;
    *ret_state = s;
    if (!conn->is_server) {
        must(alk_conn_open_stream(conn, pair_on_stream, s, &s->stream) == ALK_OK);
    }
    return ALK_OK;
}

static inline alk_err pair_on_accept(void *state, struct alk_stream *stream)
{
    struct side *s = state;
    must(s->closes == 0);
    s->stream = stream;
    alk_stream_on(stream, pair_on_stream, s);
    return ALK_OK;
}

static inline void pair_on_close(void *state, alk_err why, uint64_t code)
{
    struct side *s = state;
    (void)why;
    (void)code;
    must(s->opens == 1);
    s->closes++;
    must(s->closes == 1);
    s->stream = NULL;
}

static inline void pair_on_over(void *owner, struct alk_conn *conn)
{
    struct side *s = owner;
    must(!s->is_over && s->conn == conn);
    s->is_over = true;
    s->conn = NULL;
    s->stream = NULL;
    alk_tcp_free(conn);
}

static const struct alk_handler pair_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "fuzz",
    .open = pair_on_open,
    .stream = pair_on_accept,
    .close = pair_on_close,
};

static const uint8_t pair_seed[32] = {42};

/* One service "fuzz" whose state is *p; only the routes live on. */
static inline struct alk_tls_server *pair_server(struct pair *p)
{
    struct alk_service *service = ALK_NEW(NULL, struct alk_service);
    struct alk_tls_creds_options co = {.seed = pair_seed};
    struct alk_tls_server_options so = {.ticket_secret = {1}};
    struct alk_tls_server *ret = NULL;
    const struct alk_service *a;
    const struct alk_service *b;
    must(service != NULL);
    atomic_init(&service->refs, 1);
    service->handler = &pair_handler;
    service->state = p;
    service->require = ALK_REQUIRE_NONE;
    service->alpns = ALK_NEW(NULL, struct alk_alpn);
    must(service->alpns != NULL);
    service->alpns[0] = (struct alk_alpn){"fuzz", ALK_TRANSPORT_ANY};
    service->alpn_count = 1;
    must(alk_routes_new(NULL, &service, 1, &so.routes, &a, &b) == ALK_OK);
    must(alk_tls_creds_new(&co, NULL, 0, &so.creds) == ALK_OK);
    must(alk_tls_server_new(&so, &ret) == ALK_OK);
    alk_tls_creds_unref(so.creds);
    alk_routes_unref(so.routes);
    alk_service_unref(service);
    return ret;
}

static inline struct alk_tcp_options pair_options(struct side *s)
{
    return (struct alk_tcp_options){.hub = &s->hub, .over = pair_on_over, .owner = s};
}

static inline void pair_init(struct pair *p, bool has_client, bool has_server, bool is_racing)
{
    static const char *const alpns[] = {"fuzz", NULL};
    static uint8_t key[32];
    *p = (struct pair){.now = ALK_SECOND, .is_held = is_racing};
    alk_key_public_of(pair_seed, key);
    p->dial = (struct alk_dial_options){.host = "x", .alpns = alpns, .pinned_key = key};
    struct side *sides[] = {&p->client, &p->server};
    for (size_t i = 0; i < 2; i++) {
        alk_hub_init(&sides[i]->hub, NULL, i);
        alk_buf_init(&sides[i]->wire, NULL, SIZE_MAX / 2);
        sides[i]->peer = sides[1 - i];
    }
    p->server_conf = pair_server(p);
    struct alk_tls_creds_options co = {.seed = pair_seed};
    must(alk_tls_creds_new(&co, NULL, 0, &p->client_creds) == ALK_OK);
    if (has_server) {
        struct alk_tcp_options o = pair_options(&p->server);
        must(alk_tcp_server(&o, p->server_conf, NULL, p->now, &p->server.conn) == ALK_OK);
    }
    if (has_client) {
        struct alk_tcp_options o = pair_options(&p->client);
        struct alk_tcp_connect c = {.dial = &p->dial,
                                    .creds = p->client_creds,
                                    .handler = &pair_handler,
                                    .service_state = p,
                                    .hold_finished = is_racing};
        must(alk_tcp_client(&o, &c, p->now, &p->client.conn) == ALK_OK);
    }
}

static inline void pair_fini(struct pair *p)
{
    struct side *sides[] = {&p->client, &p->server};
    for (size_t i = 0; i < 2; i++) {
        alk_tcp_free(sides[i]->conn);
        alk_hub_fini(&sides[i]->hub);
        alk_buf_fini(&sides[i]->wire);
    }
    alk_tls_server_unref(p->server_conf);
    alk_tls_creds_unref(p->client_creds);
}

static inline void pair_run_hub(struct pair *p, struct side *s)
{
    s->hub.now = p->now;
    while (alk_hub_run(&s->hub)) {
    }
}

/* At most n bytes of output onto the wire. */
static inline void pair_emit(struct pair *p, struct side *s, size_t n)
{
    if (s->conn == NULL) {
        return;
    }
    alk_tcp_flush(s->conn, p->now);
    if (s->conn != NULL) {
        struct alk_span out = alk_span_head(alk_tcp_output(s->conn), n);
        must(alk_tcp_output(s->conn).n <= ALK_TCP_OUT_HIGH + 65536);
        must(alk_buf_put(&s->wire, out) == ALK_OK);
        alk_tcp_sent(s->conn, out.n);
    }
}

/* At most n bytes from the wire into the other machine. */
static inline void pair_deliver(struct pair *p, struct side *from, size_t n)
{
    struct alk_span in = alk_span_head(alk_buf_span(&from->wire), n);
    in = alk_span_head(in, ALK_TCP_FEED_MAX);
    struct side *to = from->peer;
    if (to->conn != NULL && alk_tcp_wants_input(to->conn) && in.n > 0) {
        (void)alk_tcp_feed(to->conn, in, p->now);
        alk_buf_consume(&from->wire, in.n);
    }
}

/* Everything, a few times: enough for a handshake. */
static inline void pair_settle(struct pair *p)
{
    for (int i = 0; i < 8; i++) {
        pair_emit(p, &p->client, SIZE_MAX);
        pair_deliver(p, &p->client, SIZE_MAX);
        pair_run_hub(p, &p->server);
        pair_emit(p, &p->server, SIZE_MAX);
        pair_deliver(p, &p->server, SIZE_MAX);
        pair_run_hub(p, &p->client);
    }
}

#endif
