/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One host process for connections on two loops, each with its own thread. */
#include "base/mem.h"
#include "support/host_handler.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* The second loop: a thread with a hub and a connection of its own, which asks
 * its question again and again. */
struct second {
    struct alk_loop *loop;
    struct alk_hub hub;
    struct alk_turn turn;
    struct alk_mem_pair *pair;
    struct alk_service *service;
    struct alk_timer timer;
    pthread_t thread;
    struct alk_stream *stream;
    atomic_uint answers, lost, wrong;
    char text[16];
    size_t text_n;
    bool is_ending;
};

static void ask_again(struct second *s);

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct second *s = ctx;
    struct alk_span data;
    alk_err err;
    while ((err = alk_stream_peek(stream, &data)) == ALK_OK) {
        for (size_t i = 0; i < data.n && s->text_n < sizeof s->text - 1; i++) {
            s->text[s->text_n++] = (char)data.p[i];
        }
        alk_stream_consume(stream, data.n);
    }
    if (err == ALK_END && s->text_n > 0) {
        s->text[s->text_n] = '\0';
        (void)atomic_fetch_add(strcmp(s->text, "hello") == 0 ? &s->answers : &s->wrong, 1);
        s->text_n = 0;
    } else if (err == ALK_E_RESET && s->text_n < sizeof s->text) {
        bool is_lost = alk_stream_peer_code(stream) == ALK_CODE_HOST_LOST;
        (void)atomic_fetch_add(is_lost ? &s->lost : &s->wrong, 1);
        s->text_n = sizeof s->text; /* counted */
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        s->stream = NULL;
        if (!s->is_ending) {
            alk_timer_set(s->loop, &s->timer, alk_loop_now(s->loop) + ALK_MS);
        }
    }
}

static void ask_again(struct second *s)
{
    size_t took;
    struct alk_conn *conn = alk_mem_client(s->pair);
    s->text_n = 0;
    if (conn == NULL || alk_conn_open_stream(conn, on_stream, s, &s->stream) != ALK_OK ||
        alk_stream_write(s->stream, ALK_LIT("greet"), &took) != ALK_OK) {
        (void)atomic_fetch_add(&s->wrong, 1);
        return;
    }
    alk_stream_finish(s->stream);
}

static void on_timer(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    ask_again(ctx);
}

static bool on_turn(void *ctx)
{
    struct second *s = ctx;
    bool has_more = false;
    s->hub.now = alk_loop_now(s->loop);
    for (int i = 0; i < 4; i++) {
        has_more = alk_hub_run(&s->hub);
        has_more = (s->pair != NULL && alk_mem_pump(s->pair)) || has_more;
    }
    return has_more || !alk_list_is_empty(&s->hub.ready);
}

static alk_err client_open(void *service, struct alk_conn *conn,
                           const struct alk_auth_context *auth, void **ret)
{
    (void)conn;
    (void)auth;
    *ret = service;
    return ALK_OK;
}

static const struct alk_handler client = {.struct_size = sizeof client,
                                          .abi = ALK_HANDLER_ABI,
                                          .name = "client",
                                          .open = client_open};

static void *run(void *arg)
{
    struct second *s = arg;
    alk_loop_run(s->loop);
    /* As an endpoint does: connections end on their loop, before it does. */
    s->is_ending = true;
    alk_timer_stop(s->loop, &s->timer);
    struct alk_mem_pair *pair = s->pair;
    s->pair = NULL;
    alk_mem_pair_free(pair);
    return NULL;
}

static void start_second(struct second *s, struct alk_service *service)
{
    alk_hub_init(&s->hub, NULL, 1);
    s->hub.loop = s->loop;
    s->service = service;
    s->timer = (struct alk_timer){.fn = on_timer, .ctx = s};
    s->turn = (struct alk_turn){.fn = on_turn, .ctx = s};
    alk_loop_turn_add(s->loop, &s->turn);
    const struct alk_mem_options options = {
        .client_hub = &s->hub,
        .server_hub = &s->hub,
        .client = &client,
        .client_state = s,
        .server = service->handler,
        .server_state = service->state,
        .service = service,
    };
    check_err(alk_mem_pair_new(&options, &s->pair), ALK_OK);
    alk_timer_set(s->loop, &s->timer, 1);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

static struct alk_service *service_on(struct host_world *w, struct alk_loop *second)
{
    static const char text[] = "{}";
    struct alk_loop *loops[2] = {w->loop, second};
    struct alk_conf_errors errors = {0};
    struct alk_service *s = ALK_NEW(NULL, struct alk_service);
    assert_non_null(s);
    atomic_init(&s->refs, 1);
    s->handler = &host_handler;
    s->require = ALK_REQUIRE_NONE;
    (void)snprintf(s->name, sizeof s->name, "two-loops");
    check_err(alk_conf_parse(NULL, alk_span_str(text), "test", host_handler.settings, &errors,
                             &s->conf),
              ALK_OK);
    struct alk_isolate_options options = host_patient;
    options.spawner = w->spawner;
    options.loops = loops; /* copied */
    options.loop_count = 2;
    check_err(alk_isolate_service(s, &options), ALK_OK);
    return s;
}

struct want {
    atomic_uint *count;
    unsigned least;
};

static bool has_count(void *ctx)
{
    const struct want *x = ctx;
    return atomic_load(x->count) >= x->least;
}

static void until_count(struct host_world *w, atomic_uint *count, unsigned more)
{
    struct want x = {count, atomic_load(count) + more};
    host_world_until(w, has_count, &x);
}

static void one_host_serves_two_loops_and_comes_back_for_both(void **state)
{
    static const struct alk_handler *const handlers[] = {&host_handler};
    struct host_world w;
    struct second s = {0};
    struct host_peer p;
    (void)state;
    host_world_init(&w, handlers, 1, NULL);
    check_err(alk_loop_new(NULL, &s.loop), ALK_OK);
    w.service = service_on(&w, s.loop);
    start_second(&s, w.service);
    host_world_connect(&w);
    host_check_answer(&w, "greet", "hello");
    until_count(&w, &s.answers, 20);
    for (int i = 0; i < 3; i++) {
        host_world_until(&w, host_is_ready, &w);
        pid_t before = host_pid(&w);
        host_ask(&w, &p, "crash");
        host_world_until(&w, host_peer_is_over, &p);
        assert_int_equal(p.code, ALK_CODE_HOST_LOST);
        host_until_other(&w, before);
        until_count(&w, &s.answers, 20); /* the other loop has the new one, too */
        host_check_answer(&w, "greet", "hello");
    }
    assert_true(atomic_load(&s.lost) > 0);
    assert_int_equal(atomic_load(&s.wrong), 0);
    alk_loop_stop(s.loop);
    assert_int_equal(pthread_join(s.thread, NULL), 0);
    host_world_disconnect(&w);
    alk_service_unref(w.service); /* the last reference: `stop` posts to the second loop */
    w.service = NULL;
    alk_loop_free(s.loop);
    alk_hub_fini(&s.hub);
    host_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_host_serves_two_loops_and_comes_back_for_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
