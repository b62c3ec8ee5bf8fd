/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/host_world.h"

#include "base/mem.h"

#include <signal.h>

#define DEADLINE (10 * ALK_SECOND)
#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static uint8_t pattern_at(uint64_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) + (i >> 16));
}

static uint64_t fnv(uint64_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ p[i]) * FNV_PRIME;
    }
    return sum;
}

uint64_t host_pattern_sum(uint64_t n)
{
    uint64_t sum = FNV_START;
    for (uint64_t i = 0; i < n; i++) {
        uint8_t c = pattern_at(i);
        sum = fnv(sum, &c, 1);
    }
    return sum;
}

/* --- the world ------------------------------------------------------------ */

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct host_world *w = ctx;
    (void)level;
    int n = snprintf(w->log + w->log_n, sizeof w->log - w->log_n, "%s: %s\n", component, line);
    if (n > 0 && (size_t)n < sizeof w->log - w->log_n) {
        w->log_n += (size_t)n;
    }
}

bool host_log_has(const struct host_world *w, const char *text)
{
    return strstr(w->log, text) != NULL;
}

static void on_hub_log(void *ctx, enum alk_log_level level, struct alk_conn *conn, const char *line)
{
    (void)conn;
    on_log(ctx, level, "hub", line);
}

static bool on_turn(void *ctx)
{
    struct host_world *w = ctx;
    bool has_more = false;
    w->hub.now = alk_loop_now(w->loop);
    for (int i = 0; i < 4; i++) {
        has_more = alk_hub_run(&w->hub);
        if (w->pair != NULL) {
            has_more = alk_mem_pump(w->pair) || has_more;
        }
    }
    return has_more || !alk_list_is_empty(&w->hub.ready);
}

static alk_err client_open(void *service, struct alk_conn *conn,
                           const struct alk_auth_context *auth, void **ret_state)
{
    (void)conn;
    (void)auth;
    *ret_state = service;
    return ALK_OK;
}

static void client_close(void *state, alk_err why, uint64_t code)
{
    struct host_world *w = state;
    (void)why;
    w->is_closed = true;
    w->closed_code = code;
}

static alk_err client_stream(void *state, struct alk_stream *stream)
{
    struct host_world *w = state;
    if (w->pushed_count == 2) {
        return ALK_E_LIMIT;
    }
    host_peer_take(w, &w->pushed[w->pushed_count++], stream);
    return ALK_OK;
}

static void client_datagram(void *state, struct alk_span data)
{
    struct host_world *w = state;
    (void)alk_span_cstr(data, w->datagram, sizeof w->datagram);
}

static const struct alk_handler client_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "test-client",
    .open = client_open,
    .stream = client_stream,
    .datagram = client_datagram,
    .close = client_close,
};

void host_world_init(struct host_world *w, const struct alk_handler *const *handlers,
                     size_t handler_count, const char *host_user)
{
    host_world_init_in(w, handlers, handler_count, host_user, NULL);
}

void host_world_init_in(struct host_world *w, const struct alk_handler *const *handlers,
                        size_t handler_count, const char *host_user, const char *data_dir)
{
    *w = (struct host_world){0};
    const struct alk_spawner_options options = {
        .handlers = handlers,
        .handler_count = handler_count,
        .host_user = host_user,
        .data_dir = data_dir,
    };
    check_err(alk_spawner_start(&options, NULL, &w->spawner), ALK_OK);
    check_err(alk_loop_new(NULL, &w->loop), ALK_OK);
    alk_hub_init(&w->hub, NULL, 0);
    w->hub.loop = w->loop;
    w->hub.auth.log = on_hub_log;
    w->hub.auth.ctx = w;
    w->turn = (struct alk_turn){.fn = on_turn, .ctx = w};
    alk_loop_turn_add(w->loop, &w->turn);
}

static struct alk_service *service_new(const struct alk_handler *handler, const char *yaml)
{
    struct alk_conf_errors errors = {0};
    struct alk_service *s = ALK_NEW(NULL, struct alk_service);
    assert_non_null(s);
    atomic_init(&s->refs, 1);
    s->handler = handler;
    s->require = ALK_REQUIRE_NONE;
    (void)snprintf(s->name, sizeof s->name, "test/%s", handler->name);
    if (handler->settings != NULL) {
        alk_err err = alk_conf_parse(NULL, alk_span_str(yaml), "test", handler->settings, &errors,
                                     &s->conf);
        if (err != ALK_OK) {
            fail_msg("%s", errors.text);
        }
    }
    alk_conf_errors_fini(&errors);
    return s;
}

void host_world_serve(struct host_world *w, const struct alk_handler *handler, const char *yaml)
{
    struct alk_service *s = w->service = service_new(handler, yaml);
    const struct alk_env env = {
        .struct_size = sizeof env,
        .loop = w->loop,
        .service = s->name,
        .log = on_log,
        .log_ctx = w,
        .spawner = w->spawner,
    };
    if (handler->start != NULL) {
        check_err(handler->start(s->conf, &env, &s->state), ALK_OK);
    }
    s->is_started = true;
}

void host_world_isolate(struct host_world *w, const struct alk_handler *handler, const char *yaml,
                        struct alk_isolate_options options)
{
    w->service = service_new(handler, yaml);
    options.spawner = w->spawner;
    options.loops = &w->loop;
    options.loop_count = 1;
    options.log = on_log;
    options.log_ctx = w;
    check_err(alk_isolate_service(w->service, &options), ALK_OK);
}

void host_world_connect(struct host_world *w)
{
    w->is_closed = false;
    w->auth.struct_size = sizeof w->auth;
    const struct alk_mem_options options = {
        .client_hub = &w->hub,
        .server_hub = &w->hub,
        .server_auth = &w->auth,
        .client = &client_handler,
        .client_state = w,
        .server = w->service->handler,
        .server_state = w->service->state,
        .service = w->service,
        .window = (size_t)256 * 1024,
    };
    check_err(alk_mem_pair_new(&options, &w->pair), ALK_OK);
    host_world_run(w, 0);
}

void host_world_disconnect(struct host_world *w)
{
    struct alk_mem_pair *pair = w->pair;
    w->pair = NULL;
    alk_mem_pair_free(pair);
}

void host_world_fini(struct host_world *w)
{
    host_world_disconnect(w);
    alk_service_unref(w->service);
    alk_loop_free(w->loop);
    alk_hub_fini(&w->hub);
    alk_spawner_free(w->spawner);
}

void host_world_until_at(struct host_world *w, host_world_cond *cond, void *ctx, const char *file,
                         int line)
{
    alk_time end = alk_clock_now() + DEADLINE;
    while (!cond(ctx)) {
        if (alk_clock_now() >= end) {
            print_error("%s:%d: it did not happen\n%s", file, line, w->log);
            fail();
        }
        (void)alk_loop_run_once(w->loop, 200);
    }
}

void host_world_run(struct host_world *w, unsigned ms)
{
    alk_time end = alk_clock_now() + ms * ALK_MS;
    do {
        alk_time now = alk_clock_now();
        (void)alk_loop_run_once(w->loop, now < end ? (int)((end - now) / ALK_MS) : 0);
    } while (alk_clock_now() < end);
}

/* --- the peer ------------------------------------------------------------- */

static void peer_read(struct host_peer *p)
{
    struct alk_span data;
    alk_err err = ALK_MORE;
    while (!p->is_paused && (err = alk_stream_peek(p->stream, &data)) == ALK_OK) {
        size_t room = sizeof p->text - 1;
        if (p->total < room) {
            size_t n = room - (size_t)p->total < data.n ? room - (size_t)p->total : data.n;
            memcpy(p->text + p->total, data.p, n);
            p->text[p->total + n] = '\0';
        }
        p->sum = fnv(p->sum, data.p, data.n);
        p->total += data.n;
        alk_stream_consume(p->stream, data.n);
    }
    p->has_end = p->has_end || err == ALK_END;
    if (err == ALK_E_RESET && !p->has_reset) {
        p->has_reset = true;
        p->code = alk_stream_peer_code(p->stream);
    }
}

static void peer_write(struct host_peer *p)
{
    uint8_t block[8192];
    while (p->to_write > 0) {
        size_t n = p->to_write < sizeof block ? p->to_write : sizeof block;
        for (size_t i = 0; i < n; i++) {
            block[i] = pattern_at(p->written + i);
        }
        size_t took = 0;
        alk_err err = alk_stream_write(p->stream, alk_span(block, n), &took);
        p->written += took;
        p->to_write -= took;
        if (err != ALK_OK) {
            return;
        }
    }
    if (p->finishes) {
        p->finishes = false;
        alk_stream_finish(p->stream);
    }
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct host_peer *p = ctx;
    if (stream != p->stream) {
        return; /* the test has gone on to another stream with the same peer */
    }
    if ((events & ALK_STREAM_STOPPED) != 0) {
        p->is_stopped = true;
        p->code = p->has_reset ? p->code : alk_stream_peer_code(stream);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        p->is_paused = false; /* the last chance to read */
    }
    peer_read(p);
    if ((events & ALK_STREAM_WRITABLE) != 0) {
        peer_write(p);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        p->stream = NULL;
    }
}

void host_peer_open(struct host_world *w, struct host_peer *p)
{
    *p = (struct host_peer){.world = w, .sum = FNV_START};
    check_err(alk_conn_open_stream(alk_mem_client(w->pair), on_stream, p, &p->stream), ALK_OK);
}

void host_peer_take(struct host_world *w, struct host_peer *p, struct alk_stream *stream)
{
    *p = (struct host_peer){.world = w, .sum = FNV_START, .stream = stream};
    alk_stream_on(stream, on_stream, p);
}

void host_peer_write(struct host_peer *p, const char *text)
{
    size_t took = 0;
    check_err(alk_stream_write(p->stream, alk_span_str(text), &took), ALK_OK);
    assert_int_equal(took, strlen(text));
}

void host_peer_write_pattern(struct host_peer *p, size_t n, bool finishes)
{
    p->to_write = n;
    p->finishes = finishes;
    peer_write(p);
}

void host_peer_resume(struct host_peer *p)
{
    p->is_paused = false;
    if (p->stream != NULL) {
        peer_read(p);
    }
}

bool host_peer_has_some(void *peer)
{
    const struct host_peer *p = peer;
    return p->total > 0;
}

bool host_peer_is_over(void *peer)
{
    const struct host_peer *p = peer;
    return p->has_end || p->has_reset;
}

bool host_peer_is_closed(void *peer)
{
    const struct host_peer *p = peer;
    return p->stream == NULL;
}
