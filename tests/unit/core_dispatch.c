/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of alknet/handler.h and alknet/stream.h, over the memory transport. */
#include "support/mem_world.h"

/* --- a handler that writes down what it hears ---------------------------------- */

struct recorder {
    char log[4096];
    size_t n;
    unsigned depth; /* of calls on the stack: never above 1 */
    unsigned opens, closes, streams;
    alk_err open_result, stream_result;
    struct alk_conn *conn;
    struct alk_stream *last;
    uint64_t close_code;
    bool echo, close_in_stream, close_conn_in_open, mute;
};

static void note(struct recorder *r, const char *word)
{
    int n = snprintf(r->log + r->n, sizeof r->log - r->n, "%s ", word);
    r->n += n > 0 && (size_t)n < sizeof r->log - r->n ? (size_t)n : 0;
}

static void enter(struct recorder *r)
{
    assert_int_equal(r->depth, 0);  /* never re-entered */
    assert_int_equal(r->closes, 0); /* close is last */
    r->depth++;
}

static void leave(struct recorder *r)
{
    r->depth--;
}

static void echo(struct recorder *r, struct alk_stream *s)
{
    struct alk_span have;
    alk_err err;
    while ((err = alk_stream_peek(s, &have)) == ALK_OK) {
        size_t took;
        alk_err w = alk_stream_write(s, have, &took);
        alk_stream_consume(s, took);
        if (w != ALK_OK) {
            return;
        }
    }
    if (err == ALK_END) {
        note(r, "end");
        alk_stream_finish(s);
    } else if (err == ALK_E_RESET) {
        alk_stream_reset(s, 0);
    }
}

static void note_reset(struct recorder *r, struct alk_stream *s)
{
    struct alk_span have;
    if (alk_stream_peek(s, &have) == ALK_E_RESET) {
        char word[32];
        (void)snprintf(word, sizeof word, "reset-%u", (unsigned)alk_stream_peer_code(s));
        note(r, word);
    }
}

static void on_stream(void *ctx, struct alk_stream *s, unsigned events)
{
    struct recorder *r = ctx;
    enter(r);
    if (r->close_in_stream) {
        alk_stream_close(s, ALK_CODE_LIMIT);
        leave(r);
        return;
    }
    if ((events & ALK_STREAM_STOPPED) != 0) {
        note(r, "stopped");
    }
    if ((events & ALK_STREAM_WRITABLE) != 0) {
        note(r, "writable");
    }
    if ((events & ALK_STREAM_READABLE) != 0) {
        note_reset(r, s);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        note(r, "closed");
        r->last = NULL;
    } else if (r->echo) {
        echo(r, s);
    }
    leave(r);
}

static alk_err rec_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                        void **ret_state)
{
    struct recorder *r = service;
    enter(r);
    assert_ptr_equal(auth, alk_conn_auth(conn));
    note(r, auth->is_early ? "open-early" : "open");
    r->opens++;
    r->conn = conn;
    *ret_state = r;
    if (r->close_conn_in_open) {
        alk_conn_close(conn, ALK_CODE_LIMIT, alk_span_str("no"));
        assert_int_equal(r->closes, 0); /* deferred */
    }
    leave(r);
    return r->open_result;
}

static alk_err rec_stream(void *state, struct alk_stream *s)
{
    struct recorder *r = state;
    enter(r);
    note(r, "stream");
    r->streams++;
    r->last = s;
    if (!r->mute) {
        alk_stream_on(s, on_stream, r);
    }
    leave(r);
    return r->stream_result;
}

static void rec_auth(void *state)
{
    struct recorder *r = state;
    enter(r);
    note(r, r->conn != NULL && alk_conn_auth(r->conn)->is_confirmed ? "auth-confirmed" : "auth");
    leave(r);
}

static void rec_credit(void *state)
{
    struct recorder *r = state;
    enter(r);
    note(r, "credit");
    leave(r);
}

static void rec_drain(void *state, alk_time deadline)
{
    struct recorder *r = state;
    enter(r);
    assert_int_equal(deadline, 77);
    note(r, "drain");
    leave(r);
}

static void rec_close(void *state, alk_err why, uint64_t code)
{
    (void)why;
    struct recorder *r = state;
    enter(r);
    note(r, "close");
    r->closes++;
    r->close_code = code;
    r->conn = NULL;
    leave(r);
}

static const struct alk_alpn test_alpns[] = {{"test/rec", ALK_TRANSPORT_ANY}};
#define HANDLER(extra_flags)                                                                       \
    {                                                                                              \
        .struct_size = sizeof(struct alk_handler), .abi = ALK_HANDLER_ABI, .name = "rec",          \
        .alpns = test_alpns, .alpn_count = 1, .flags = (extra_flags), .open = rec_open,            \
        .stream = rec_stream, .auth_changed = rec_auth, .credit = rec_credit, .drain = rec_drain,  \
        .close = rec_close                                                                         \
    }
static const struct alk_handler recorder_handler = HANDLER(0);
static const struct alk_handler early_handler = HANDLER(ALK_HANDLER_EARLY_SAFE);

/* --- a pair to play with --------------------------------------------------------- */

struct world {
    struct mem_world m;
    struct recorder client, server;
};

static void world_open(struct world *w, struct alk_mem_options o)
{
    o.client = o.client == NULL ? &recorder_handler : o.client;
    o.server = o.server == NULL ? &recorder_handler : o.server;
    o.client_state = &w->client;
    o.server_state = &w->server;
    mem_world_open(&w->m, o);
}

static struct alk_stream *open_stream(struct world *w)
{
    struct alk_stream *s = NULL;
    assert_int_equal(alk_conn_open_stream(alk_mem_client(w->m.pair), on_stream, &w->client, &s),
                     ALK_OK);
    return s;
}

static void write_all(struct alk_stream *s, const char *text)
{
    size_t took;
    assert_int_equal(alk_stream_write(s, alk_span_str(text), &took), ALK_OK);
    assert_int_equal(took, strlen(text));
}

/* --- tests -------------------------------------------------------------------------- */

static void a_stream_echoes_and_ends_on_both_sides(void **state)
{
    (void)state;
    struct world w = {.server = {.echo = true}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    write_all(s, "hello");
    mem_world_run(&w.m);
    struct alk_span have;
    assert_int_equal(alk_stream_peek(s, &have), ALK_OK);
    assert_true(alk_span_is(have, "hello"));
    alk_stream_consume(s, 2);
    assert_int_equal(alk_stream_peek(s, &have), ALK_OK);
    assert_true(alk_span_is(have, "llo"));
    alk_stream_consume(s, 3);
    assert_int_equal(alk_stream_peek(s, &have), ALK_MORE);
    alk_stream_finish(s);
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open stream end closed ");
    assert_string_equal(w.client.log, "open closed ");
    mem_world_close(&w.m);
    assert_int_equal(w.server.closes, 1);
    assert_int_equal(w.client.closes, 1);
}

static void the_last_event_waits_for_a_slow_reader(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    write_all(s, "the whole of it");
    alk_stream_finish(s);
    mem_world_run(&w.m);
    alk_stream_finish(w.server.last); /* both directions are over now */
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open stream ");
    struct alk_span have;
    assert_int_equal(alk_stream_peek(w.server.last, &have), ALK_OK);
    assert_true(alk_span_is(have, "the whole of it"));
    alk_stream_consume(w.server.last, 4);
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open stream ");
    alk_stream_consume(w.server.last, have.n - 4);
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open stream closed ");
    mem_world_close(&w.m);
}

static void opening_a_stream_is_visible_before_any_byte(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open stream ");
    write_all(w.server.last, "220 ready"); /* a server that speaks first */
    mem_world_run(&w.m);
    struct alk_span have;
    assert_int_equal(alk_stream_peek(s, &have), ALK_OK);
    mem_world_close(&w.m);
}

static void a_reset_reaches_the_peer_and_ends_writing(void **state)
{
    (void)state;
    struct world w = {.server = {.echo = true}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    mem_world_run(&w.m);
    alk_stream_reset(s, 41);
    size_t took;
    assert_int_equal(alk_stream_write(s, alk_span_str("x"), &took), ALK_E_STATE);
    assert_int_equal(took, 0);
    mem_world_run(&w.m);
    assert_non_null(strstr(w.server.log, "reset-41"));
    mem_world_close(&w.m);
}

static void a_stop_shows_at_the_next_write(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    mem_world_run(&w.m);
    alk_stream_stop(w.server.last, 5);
    mem_world_run(&w.m);
    size_t took;
    assert_non_null(strstr(w.client.log, "stopped"));
    alk_err err = alk_stream_write(s, alk_span_str("x"), &took);
    assert_true(err == ALK_E_STOPPED || err == ALK_E_STATE); /* the transport may reset first */
    assert_int_equal(alk_stream_peer_code(s), 5);
    mem_world_close(&w.m);
}

static void a_reader_that_stops_stops_the_writer_with_bounded_memory(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){.window = 10000});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    static const uint8_t block[8192];
    uint64_t total = 0;
    alk_err err = ALK_OK;
    for (int i = 0; i < 1000 && err == ALK_OK; i++) {
        size_t took;
        err = alk_stream_write(s, alk_span(block, sizeof block), &took);
        total += took;
        mem_world_run(&w.m);
    }
    assert_int_equal(err, ALK_FULL);
    assert_int_equal(total, 10000 + ALK_STREAM_TX_HIGH);
    assert_true(alk_stream_memory(s) <= ALK_STREAM_TX_HIGH + 65536);
    assert_null(strstr(w.client.log, "writable"));

    /* The reader goes on: exactly one writable event, at the low-water mark. */
    uint64_t read = 0;
    while (read < total) {
        struct alk_span have;
        assert_int_equal(alk_stream_peek(w.server.last, &have), ALK_OK);
        assert_true(have.n <= 10000);
        alk_stream_consume(w.server.last, have.n);
        read += have.n;
        mem_world_run(&w.m);
        bool is_below_low = alk_stream_tx_unsent(s) <= ALK_STREAM_TX_LOW;
        assert_int_equal(strstr(w.client.log, "writable") != NULL, is_below_low);
    }
    const char *first = strstr(w.client.log, "writable");
    assert_non_null(first);
    assert_null(strstr(first + 1, "writable"));
    assert_int_equal(read, total);
    mem_world_close(&w.m);
}

static void chunks_are_sent_without_copying(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    struct alk_chunk *c = alk_chunk_new(NULL, 5000);
    memset(alk_chunk_data(c), 'c', 5000);
    assert_int_equal(alk_stream_write_chunk(s, c, 1000, 3000), ALK_OK);
    write_all(s, "tail");
    struct alk_span vec[4];
    bool fin;
    assert_int_equal(alk_stream_tx_vec(s, vec, 4, &fin), 2);
    assert_ptr_equal(vec[0].p, alk_chunk_data(c) + 1000);
    assert_false(fin);
    alk_chunk_unref(c); /* the stream keeps a reference of its own */
    mem_world_run(&w.m);
    struct alk_span have;
    assert_int_equal(alk_stream_peek(w.server.last, &have), ALK_OK);
    assert_int_equal(have.n, 3004);
    assert_int_equal(have.p[2999], 'c');
    assert_int_equal(have.p[3000], 't');
    mem_world_close(&w.m);
}

static void early_data_waits_unless_the_handler_declares_it_safe(void **state)
{
    (void)state;
    const struct alk_auth_context early = {.struct_size = sizeof early, .is_early = true};
    for (int is_safe = 0; is_safe < 2; is_safe++) {
        struct world w = {0};
        world_open(
            &w, (struct alk_mem_options){.server_auth = &early,
                                         .server = is_safe ? &early_handler : &recorder_handler});
        mem_world_run(&w.m);
        write_all(open_stream(&w), "early");
        mem_world_run(&w.m);
        assert_string_equal(w.server.log, is_safe ? "open-early stream " : "");
        alk_conn_raise(alk_mem_server(w.m.pair), ALK_CONN_CONFIRMED);
        mem_world_run(&w.m);
        assert_string_equal(w.server.log,
                            is_safe ? "open-early stream auth-confirmed " : "open stream ");
        mem_world_close(&w.m);
    }
}

static void an_open_that_fails_closes_the_connection_once(void **state)
{
    (void)state;
    struct world w = {.server = {.open_result = ALK_E_LIMIT}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open close ");
    assert_int_equal(w.client.closes, 1);
    assert_int_equal(w.client.close_code, ALK_CODE_LIMIT);
    mem_world_close(&w.m);
}

static void a_close_inside_a_call_is_deferred(void **state)
{
    (void)state;
    struct world w = {.server = {.close_conn_in_open = true}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open close ");
    assert_int_equal(w.client.close_code, ALK_CODE_LIMIT);
    mem_world_close(&w.m);

    struct world v = {.server = {.close_in_stream = true}};
    world_open(&v, (struct alk_mem_options){0});
    mem_world_run(&v.m);
    struct alk_stream *s = open_stream(&v);
    write_all(s, "x");
    mem_world_run(&v.m);
    assert_string_equal(v.client.log, "open stopped reset-5 closed ");
    mem_world_close(&v.m);
}

static void a_stream_error_leaves_the_connection_open(void **state)
{
    (void)state;
    struct world w = {.server = {.stream_result = ALK_E_FORBIDDEN}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    (void)open_stream(&w);
    mem_world_run(&w.m);
    assert_string_equal(w.client.log, "open stopped reset-4 closed ");
    struct alk_span have;
    w.server.stream_result = ALK_OK;
    w.server.echo = true;
    struct alk_stream *good = open_stream(&w);
    write_all(good, "ok");
    mem_world_run(&w.m);
    assert_int_equal(alk_stream_peek(good, &have), ALK_OK);
    assert_int_equal(w.server.closes, 0);
    mem_world_close(&w.m);
}

static void every_stream_hears_closed_before_the_connection_closes(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    for (int i = 0; i < 3; i++) {
        (void)open_stream(&w);
    }
    mem_world_run(&w.m);
    alk_conn_close(alk_mem_client(w.m.pair), 9, alk_span_str("bye"));
    mem_world_run(&w.m);
    assert_string_equal(
        w.server.log,
        "open stream stream stream reset-9 closed reset-9 closed reset-9 closed close ");
    assert_int_equal(w.server.close_code, 9);
    assert_string_equal(w.client.log, "open reset-9 closed reset-9 closed reset-9 closed close ");
    mem_world_close(&w.m);
}

static void events_wait_until_somebody_listens(void **state)
{
    (void)state;
    struct world w = {.server = {.mute = true, .echo = true}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    write_all(s, "later");
    mem_world_run(&w.m);
    struct alk_span have;
    assert_int_equal(alk_stream_peek(s, &have), ALK_MORE);
    alk_stream_on(w.server.last, on_stream, &w.server);
    mem_world_run(&w.m);
    assert_int_equal(alk_stream_peek(s, &have), ALK_OK);
    mem_world_close(&w.m);
}

static void stream_credit_returns_with_an_event(void **state)
{
    (void)state;
    struct world w = {.server = {.echo = true}};
    world_open(&w, (struct alk_mem_options){.streams = 2});
    mem_world_run(&w.m);
    struct alk_stream *a = open_stream(&w);
    (void)open_stream(&w);
    struct alk_stream *none = NULL;
    assert_int_equal(alk_conn_open_stream(alk_mem_client(w.m.pair), on_stream, &w.client, &none),
                     ALK_FULL);
    assert_null(none);
    alk_stream_finish(a);
    mem_world_run(&w.m);
    assert_non_null(strstr(w.client.log, "credit"));
    (void)open_stream(&w);
    mem_world_close(&w.m);
}

static void a_full_turn_yields_and_goes_on(void **state)
{
    (void)state;
    struct world w = {.server = {.echo = true}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    for (int i = 0; i < 50; i++) {
        write_all(open_stream(&w), "x");
    }
    (void)alk_mem_pump(w.m.pair);
    w.m.server_hub.turn_budget = 10;
    assert_true(alk_hub_run(&w.m.server_hub));
    assert_true(w.server.streams >= 1 && w.server.streams <= 10);
    mem_world_run(&w.m);
    assert_int_equal(w.server.streams, 50);
    mem_world_close(&w.m);
}

static void drain_comes_before_close(void **state)
{
    (void)state;
    struct world w = {.server = {.echo = true}};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_stream *s = open_stream(&w);
    mem_world_run(&w.m);
    alk_hub_drain(&w.m.server_hub, 77);
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open stream drain ");
    write_all(s, "last words");
    alk_stream_finish(s);
    mem_world_run(&w.m);
    struct alk_span have;
    if (alk_mem_client(w.m.pair) != NULL && alk_stream_peek(s, &have) == ALK_OK) {
        alk_stream_consume(s, have.n);
    }
    mem_world_run(&w.m);
    assert_string_equal(w.server.log, "open stream drain end closed close ");
    assert_int_equal(w.client.close_code, ALK_CODE_SHUTDOWN);
    mem_world_close(&w.m);
}

static void weak_handles_resolve_until_the_end(void **state)
{
    (void)state;
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    mem_world_run(&w.m);
    struct alk_conn_handle h = alk_conn_handle(alk_mem_server(w.m.pair));
    assert_ptr_equal(alk_hub_find(&w.m.server_hub, h.serial), alk_mem_server(w.m.pair));
    alk_conn_close(alk_mem_server(w.m.pair), 0, alk_span(NULL, 0));
    mem_world_run(&w.m);
    assert_null(alk_hub_find(&w.m.server_hub, h.serial));
    mem_world_close(&w.m);
}

/* --- who may come in ------------------------------------------------------------------ */

struct fake_provider {
    alk_err answer;
    bool is_slow;
    alk_auth_done_fn *done; /* of the question that waits */
    void *ctx;
    unsigned failures, answers;
};

static void fake_resolve(void *provider, const struct alk_auth_query *query, alk_auth_done_fn *done,
                         void *ctx)
{
    struct fake_provider *p = provider;
    assert_true(query->kind == ALK_CREDENTIAL_TOKEN || query->fingerprint_count > 0);
    if (p->is_slow) {
        p->done = done;
        p->ctx = ctx;
        return;
    }
    done(ctx, p->answer, NULL, 1);
}

static void fake_failed(void *ctx, struct alk_conn *conn, const char *method, const char *reason)
{
    (void)conn;
    (void)method;
    (void)reason;
    ((struct fake_provider *)ctx)->failures++;
}

static void count_answer(void *ctx, alk_err err, const struct alk_identity *identity,
                         uint64_t generation)
{
    (void)generation;
    assert_int_equal(err, ALK_E_EXPIRED);
    assert_null(identity);
    ((struct fake_provider *)ctx)->answers++;
}

static const struct alk_identity_provider fake = {
    .struct_size = sizeof fake, .name = "fake", .resolve = fake_resolve};

static void hook(struct world *w, struct fake_provider *p)
{
    w->m.server_hub.auth = (struct alk_auth_hooks){
        .provider = &fake, .provider_ctx = p, .failed = fake_failed, .ctx = p};
}

static struct alk_service *closed_service(enum alk_require require)
{
    struct alk_service *s = calloc(1, sizeof *s);
    assert_non_null(s);
    atomic_init(&s->refs, 1);
    s->handler = &recorder_handler;
    s->require = require;
    return s;
}

static void a_closed_service_needs_an_identity(void **state)
{
    (void)state;
    static const struct {
        enum alk_require require;
        bool has_key;
        alk_err answer;
        unsigned opens;
        uint64_t code;
        unsigned failures;
    } table[] = {
        {ALK_REQUIRE_IDENTITY, false, ALK_E_AUTH, 0, ALK_CODE_AUTH, 1},
        {ALK_REQUIRE_IDENTITY, true, ALK_E_AUTH, 0, ALK_CODE_AUTH, 1},
        {ALK_REQUIRE_IDENTITY, true, ALK_E_REVOKED, 0, ALK_CODE_AUTH, 1},
        {ALK_REQUIRE_NONE, true, ALK_E_REVOKED, 0, ALK_CODE_AUTH, 1}, /* nothing falls back */
        {ALK_REQUIRE_NONE, true, ALK_E_UNAVAILABLE, 0, ALK_CODE_AUTH, 1},
        {ALK_REQUIRE_NONE, true, ALK_E_AUTH, 1, 0, 0},
        {ALK_REQUIRE_NONE, false, ALK_E_AUTH, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct fake_provider p = {.answer = table[i].answer};
        struct alk_auth_context auth = {.struct_size = sizeof auth};
        if (table[i].has_key) {
            auth.cert_kind = ALK_CERT_RAW_KEY;
            memcpy(auth.fingerprints[0], "ed25519:00", 11);
        }
        struct alk_service *service = closed_service(table[i].require);
        struct world w = {0};
        world_open(&w, (struct alk_mem_options){.server_auth = &auth, .service = service});
        alk_mem_server(w.m.pair)->auth.identity = NULL;
        hook(&w, &p);
        mem_world_run(&w.m);
        assert_int_equal(w.server.opens, table[i].opens);
        assert_int_equal(p.failures, table[i].failures);
        assert_int_equal(w.client.close_code, table[i].code);
        mem_world_close(&w.m);
        assert_int_equal(atomic_load(&service->refs), 1);
        alk_service_unref(service);
    }
}

static void a_slow_provider_holds_the_opening_and_the_end(void **state)
{
    (void)state;
    for (int closes_first = 0; closes_first < 2; closes_first++) {
        struct fake_provider p = {.answer = ALK_E_AUTH, .is_slow = true};
        struct alk_auth_context auth = {.struct_size = sizeof auth};
        memcpy(auth.fingerprints[0], "ed25519:00", 11);
        struct world w = {0};
        world_open(&w, (struct alk_mem_options){.server_auth = &auth});
        hook(&w, &p);
        mem_world_run(&w.m);
        write_all(open_stream(&w), "waits");
        mem_world_run(&w.m);
        assert_int_equal(w.server.opens, 0);
        if (closes_first) {
            alk_conn_close(alk_mem_client(w.m.pair), 0, alk_span(NULL, 0));
            mem_world_run(&w.m);
            assert_non_null(alk_mem_server(w.m.pair)); /* still waiting for the answer */
        }
        p.done(p.ctx, ALK_E_AUTH, NULL, 1);
        mem_world_run(&w.m);
        assert_int_equal(w.server.opens, closes_first ? 0 : 1);
        assert_int_equal(w.server.streams, closes_first ? 0 : 1);
        if (closes_first) {
            assert_null(alk_mem_server(w.m.pair));
        }
        mem_world_close(&w.m);
    }
}

static void failures_over_the_limit_close_the_connection(void **state)
{
    (void)state;
    struct fake_provider p = {.answer = ALK_E_EXPIRED};
    struct world w = {0};
    world_open(&w, (struct alk_mem_options){0});
    w.m.server_hub.conn_auth_failures = 3;
    hook(&w, &p);
    mem_world_run(&w.m);
    struct alk_conn *c = alk_mem_server(w.m.pair);
    struct alk_auth_query q = {.kind = ALK_CREDENTIAL_TOKEN, .token = alk_span_str("alk_x")};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(w.server.closes, 0);
        alk_conn_resolve(c, "token", &q, count_answer, &p);
        assert_int_equal(p.answers, i + 1);
    }
    mem_world_run(&w.m);
    assert_int_equal(p.failures, 3);
    assert_int_equal(w.server.closes, 1);
    assert_int_equal(w.client.close_code, ALK_CODE_AUTH);
    mem_world_close(&w.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_echoes_and_ends_on_both_sides),
        cmocka_unit_test(the_last_event_waits_for_a_slow_reader),
        cmocka_unit_test(opening_a_stream_is_visible_before_any_byte),
        cmocka_unit_test(a_reset_reaches_the_peer_and_ends_writing),
        cmocka_unit_test(a_stop_shows_at_the_next_write),
        cmocka_unit_test(a_reader_that_stops_stops_the_writer_with_bounded_memory),
        cmocka_unit_test(chunks_are_sent_without_copying),
        cmocka_unit_test(early_data_waits_unless_the_handler_declares_it_safe),
        cmocka_unit_test(an_open_that_fails_closes_the_connection_once),
        cmocka_unit_test(a_close_inside_a_call_is_deferred),
        cmocka_unit_test(a_stream_error_leaves_the_connection_open),
        cmocka_unit_test(every_stream_hears_closed_before_the_connection_closes),
        cmocka_unit_test(events_wait_until_somebody_listens),
        cmocka_unit_test(stream_credit_returns_with_an_event),
        cmocka_unit_test(a_full_turn_yields_and_goes_on),
        cmocka_unit_test(drain_comes_before_close),
        cmocka_unit_test(weak_handles_resolve_until_the_end),
        cmocka_unit_test(a_closed_service_needs_an_identity),
        cmocka_unit_test(a_slow_provider_holds_the_opening_and_the_end),
        cmocka_unit_test(failures_over_the_limit_close_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
