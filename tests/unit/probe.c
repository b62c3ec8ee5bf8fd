/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/ping and alknet/bench over the memory transport. */
#include "probe/probe.h"

#include "base/wire.h"
#include "core/auth/identity.h"
#include "core/memconn.h"
#include "support/check.h"

#define TOKEN "alk_abcdefgh_0123456789012345678901"

struct world {
    struct alk_hub hub;
    struct alk_mem_pair *pair;
    struct alk_conn *conn; /* the client's */
    struct alk_auth_context server_auth, client_auth;
    const struct alk_identity *with_scope, *without;
    const struct alk_identity *peer; /* whose the client's key is; NULL: no key */
    unsigned failures;               /* counted credentials */
    unsigned held;                   /* answers of the provider that are kept back */
    alk_auth_done_fn *done;          /* one of them */
    void *done_ctx;
    bool is_slow;
    bool is_closed;
    uint64_t close_code;
};

static alk_err client_open(void *service, struct alk_conn *conn,
                           const struct alk_auth_context *auth, void **ret_state)
{
    struct world *w = (struct world *)service;
    (void)auth;
    w->conn = conn;
    *ret_state = w;
    return ALK_OK;
}

static void client_close(void *state, alk_err why, uint64_t code)
{
    struct world *w = (struct world *)state;
    (void)why;
    w->is_closed = true;
    w->close_code = code;
}

static const struct alk_handler client = {.struct_size = sizeof(struct alk_handler),
                                          .abi = ALK_HANDLER_ABI,
                                          .name = "client",
                                          .open = client_open,
                                          .close = client_close};

static void resolve(void *provider, const struct alk_auth_query *query, alk_auth_done_fn *done,
                    void *ctx)
{
    struct world *w = (struct world *)provider;
    if (w->is_slow) {
        w->held++;
        w->done = done;
        w->done_ctx = ctx;
    } else if (query->kind == ALK_CREDENTIAL_TOKEN && alk_span_is(query->token, TOKEN)) {
        done(ctx, ALK_OK, w->with_scope, 1);
    } else if (query->kind == ALK_CREDENTIAL_FINGERPRINTS && w->peer != NULL) {
        done(ctx, ALK_OK, w->peer, 1);
    } else {
        done(ctx, ALK_E_AUTH, NULL, 1);
    }
}

static const struct alk_identity_provider provider = {
    .struct_size = sizeof provider, .name = "test", .resolve = resolve};

static void failed(void *ctx, struct alk_conn *conn, const char *method, const char *reason)
{
    (void)conn;
    (void)method;
    (void)reason;
    ((struct world *)ctx)->failures++;
}

static const struct alk_identity *identity(const char *id, const char *scope)
{
    const struct alk_identity *ret = NULL;
    struct alk_span scopes[1] = {alk_span_str(scope)};
    const struct alk_identity_spec spec = {
        .id = alk_span_str(id), .scopes = scopes, .scope_count = 1};
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &ret), ALK_OK);
    return ret;
}

static void settle(struct world *w)
{
    for (int i = 0; i < 100000; i++) {
        bool more = alk_hub_run(&w->hub);
        if (!alk_mem_pump(w->pair) && !more && alk_list_is_empty(&w->hub.ready)) {
            return;
        }
    }
    fail_msg("the world does not come to rest");
}

static void start(struct world *w, const struct alk_handler *server)
{
    const struct alk_mem_options o = {.client_hub = &w->hub,
                                      .server_hub = &w->hub,
                                      .window = 16384,
                                      .server_auth = &w->server_auth,
                                      .client_auth = &w->client_auth,
                                      .client = &client,
                                      .client_state = w,
                                      .server = server};
    if (w->peer != NULL) {
        w->server_auth.cert_kind = ALK_CERT_RAW_KEY;
        (void)snprintf(w->server_auth.fingerprints[0], ALK_FINGERPRINT_MAX, "ed25519:00");
    }
    alk_hub_init(&w->hub, NULL, 0);
    w->hub.auth = (struct alk_auth_hooks){
        .provider = &provider, .provider_ctx = w, .failed = failed, .ctx = w};
    check_err(alk_mem_pair_new(&o, &w->pair), ALK_OK);
    settle(w);
    assert_non_null(w->conn);
}

static void stop(struct world *w)
{
    alk_mem_pair_free(w->pair);
    alk_hub_fini(&w->hub);
    alk_identity_unref(w->with_scope);
    alk_identity_unref(w->without);
}

/* --- a client's stream -------------------------------------------------------- */

struct side {
    struct alk_stream *stream;
    uint64_t got; /* bytes received */
    uint8_t first[64];
    alk_err end; /* ALK_MORE until it is over */
    uint64_t code;
    bool is_closed;
};

static void on_side(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct side *s = (struct side *)ctx;
    struct alk_span in;
    alk_err err;
    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        for (size_t i = 0; i < in.n && s->got + i < sizeof s->first; i++) {
            s->first[s->got + i] = in.p[i];
        }
        s->got += in.n;
        alk_stream_consume(stream, in.n);
    }
    if (err == ALK_END || err == ALK_E_RESET) {
        s->end = err;
        s->code = alk_stream_peer_code(stream);
    }
    s->is_closed = s->is_closed || (events & ALK_STREAM_CLOSED) != 0;
}

static void open_side(struct world *w, struct side *s)
{
    *s = (struct side){.end = ALK_MORE};
    check_err(alk_conn_open_stream(w->conn, on_side, s, &s->stream), ALK_OK);
}

/* Sends all of it, however small the window. */
static void put(struct world *w, struct side *s, struct alk_span data)
{
    while (data.n > 0) {
        size_t took = 0;
        alk_err err = alk_stream_write(s->stream, data, &took);
        assert_true(err == ALK_OK || err == ALK_FULL);
        data = alk_span_tail(data, took);
        settle(w);
    }
}

static void put_request(struct world *w, struct side *s, char letter, uint64_t n)
{
    uint8_t head[ALK_BENCH_HEAD];
    struct alk_wr out = alk_wr(head, sizeof head);
    alk_wr_u8(&out, (uint8_t)letter);
    alk_wr_u64(&out, n);
    put(w, s, alk_wr_span(&out));
}

/* --- ping --------------------------------------------------------------------- */

static void ping_gives_bytes_back(void **state)
{
    struct world w = {.is_closed = false};
    struct side s;
    (void)state;
    start(&w, &alk_ping_handler);
    open_side(&w, &s);
    put(&w, &s, ALK_LIT("0123"));
    assert_int_equal(s.got, 4);
    put(&w, &s, ALK_LIT("4567"));
    assert_memory_equal(s.first, "01234567", 8);
    assert_int_equal(s.end, ALK_MORE);
    alk_stream_finish(s.stream);
    settle(&w);
    assert_int_equal(s.end, ALK_END);
    assert_true(s.is_closed);
    stop(&w);
}

static void ping_has_an_end(void **state)
{
    static uint8_t data[ALK_PING_STREAM_MAX];
    struct world w = {.is_closed = false};
    struct side s;
    (void)state;
    start(&w, &alk_ping_handler);
    open_side(&w, &s);
    put(&w, &s, alk_span(data, sizeof data));
    assert_int_equal(s.got, sizeof data);
    assert_int_equal(s.end, ALK_MORE);
    put(&w, &s, ALK_LIT("x"));
    assert_int_equal(s.end, ALK_E_RESET);
    assert_int_equal(s.code, ALK_CODE_LIMIT);
    assert_false(w.is_closed);
    stop(&w);
}

static void ping_survives_a_reset_and_a_lost_connection(void **state)
{
    struct world w = {.is_closed = false};
    struct side a, b;
    (void)state;
    start(&w, &alk_ping_handler);
    open_side(&w, &a);
    open_side(&w, &b);
    put(&w, &a, ALK_LIT("x"));
    put(&w, &b, ALK_LIT("y"));
    alk_stream_reset(a.stream, 7);
    settle(&w);
    assert_int_equal(a.end, ALK_E_RESET);
    assert_int_equal(b.end, ALK_MORE);
    alk_conn_close(w.conn, 0, ALK_LIT(""));
    settle(&w);
    assert_true(w.is_closed);
    stop(&w);
}

/* --- bench -------------------------------------------------------------------- */

static void bench_sends_takes_and_echoes(void **state)
{
    static uint8_t data[300000];
    struct world w = {.with_scope = identity("a", "bench")};
    struct side s;
    (void)state;
    w.peer = w.with_scope;
    start(&w, &alk_bench_handler);

    open_side(&w, &s);
    put_request(&w, &s, 'S', 1000001);
    assert_int_equal(s.got, 1000001);
    assert_int_equal(s.end, ALK_END);
    alk_stream_finish(s.stream);
    settle(&w);
    assert_true(s.is_closed);

    open_side(&w, &s);
    put_request(&w, &s, 'K', 0);
    put(&w, &s, alk_span(data, sizeof data));
    assert_int_equal(s.got, 0);
    alk_stream_finish(s.stream);
    settle(&w);
    struct alk_rd r = alk_rd(alk_span(s.first, 8));
    assert_int_equal(s.got, 8);
    assert_int_equal(alk_rd_u64(&r), sizeof data);
    assert_int_equal(s.end, ALK_END);

    open_side(&w, &s);
    put_request(&w, &s, 'E', 0);
    put(&w, &s, ALK_LIT("hello"));
    assert_memory_equal(s.first, "hello", 5);
    alk_stream_finish(s.stream);
    settle(&w);
    assert_int_equal(s.end, ALK_END);
    stop(&w);
}

static void bench_is_for_who_may(void **state)
{
    struct world w = {.without = identity("b", "repo:read")};
    struct side s;
    (void)state;
    w.peer = w.without;
    start(&w, &alk_bench_handler);
    open_side(&w, &s);
    put_request(&w, &s, 'S', 5);
    assert_int_equal(s.end, ALK_E_RESET);
    assert_int_equal(s.code, ALK_CODE_FORBIDDEN);
    assert_int_equal(s.got, 0);
    assert_false(w.is_closed);
    stop(&w);

    struct world nobody = {.is_closed = false};
    start(&nobody, &alk_bench_handler);
    open_side(&nobody, &s);
    put_request(&nobody, &s, 'S', 5);
    assert_true(nobody.is_closed);
    assert_int_equal(nobody.close_code, ALK_CODE_AUTH);
    assert_int_equal(nobody.failures, 1);
    assert_int_equal(s.got, 0);
    stop(&nobody);
}

#define AS_BLOCK(token) "T\x23" token

static void a_token_in_front_opens_one_stream(void **state)
{
    struct world w = {.with_scope = identity("a", "bench"), .without = identity("b", "x")};
    struct side s, other;
    (void)state;
    assert_int_equal(strlen(TOKEN), 0x23);
    w.peer = w.without;
    start(&w, &alk_bench_handler);
    open_side(&w, &s);
    /* Byte by byte: nothing is decided before all of it is there. */
    for (size_t i = 0; i < sizeof AS_BLOCK(TOKEN) - 1; i++) {
        put(&w, &s, alk_span(&AS_BLOCK(TOKEN)[i], 1));
        assert_int_equal(s.end, ALK_MORE);
    }
    put_request(&w, &s, 'S', 5);
    assert_int_equal(s.got, 5);
    assert_int_equal(s.end, ALK_END);
    /* The connection's identity has not changed. */
    open_side(&w, &other);
    put_request(&w, &other, 'S', 5);
    assert_int_equal(other.code, ALK_CODE_FORBIDDEN);
    assert_int_equal(w.failures, 0);

    open_side(&w, &s);
    put(&w, &s, ALK_LIT("T\5wrong"));
    assert_int_equal(s.end, ALK_E_RESET);
    assert_int_equal(s.code, ALK_CODE_AUTH);
    assert_int_equal(w.failures, 1);
    /* Two tokens on one stream make no sense. */
    open_side(&w, &s);
    put(&w, &s, ALK_LIT(AS_BLOCK(TOKEN) AS_BLOCK(TOKEN)));
    assert_int_equal(s.code, ALK_CODE_PROTOCOL);
    stop(&w);
}

static void an_answer_may_come_after_the_stream_has_gone(void **state)
{
    struct world w = {.with_scope = identity("a", "bench"), .without = identity("b", "x")};
    struct side s;
    (void)state;
    w.peer = w.without;
    start(&w, &alk_bench_handler);
    w.is_slow = true;
    open_side(&w, &s);
    put(&w, &s, ALK_LIT(AS_BLOCK(TOKEN)));
    assert_int_equal(w.held, 1);
    alk_stream_close(s.stream, 0);
    settle(&w);
    w.done(w.done_ctx, ALK_OK, w.with_scope, 1);
    settle(&w);

    open_side(&w, &s);
    put(&w, &s, ALK_LIT(AS_BLOCK(TOKEN)));
    put_request(&w, &s, 'S', 5); /* waits behind the token */
    assert_int_equal(s.got, 0);
    w.done(w.done_ctx, ALK_OK, w.with_scope, 1);
    settle(&w);
    assert_int_equal(s.got, 5);
    stop(&w);
}

static void requests_that_are_none_are_reset(void **state)
{
    struct world w = {.with_scope = identity("a", "admin")};
    struct side s;
    (void)state;
    w.peer = w.with_scope;
    start(&w, &alk_bench_handler);
    open_side(&w, &s);
    put_request(&w, &s, 'X', 0);
    assert_int_equal(s.code, ALK_CODE_PROTOCOL);
    open_side(&w, &s);
    put(&w, &s, ALK_LIT("S\0"));
    alk_stream_finish(s.stream);
    settle(&w);
    assert_int_equal(s.end, ALK_E_RESET);
    assert_int_equal(s.code, ALK_CODE_PROTOCOL);
    stop(&w);
}

/* A reader that stops stops the source: no more than buffers and window move. */
static void lazy(void *ctx, struct alk_stream *stream, unsigned events)
{
    (void)ctx;
    (void)stream;
    (void)events;
}

static void a_source_waits_for_its_reader(void **state)
{
    struct world w = {.with_scope = identity("a", "bench")};
    struct side s;
    struct alk_span in;
    (void)state;
    w.peer = w.with_scope;
    start(&w, &alk_bench_handler);
    open_side(&w, &s);
    alk_stream_on(s.stream, lazy, NULL);
    put_request(&w, &s, 'S', (uint64_t)1 << 40);
    check_err(alk_stream_peek(s.stream, &in), ALK_OK);
    assert_true(in.n <= 16384);
    alk_stream_consume(s.stream, in.n);
    settle(&w);
    check_err(alk_stream_peek(s.stream, &in), ALK_OK);
    alk_stream_close(s.stream, 0);
    settle(&w);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_gives_bytes_back),
        cmocka_unit_test(ping_has_an_end),
        cmocka_unit_test(ping_survives_a_reset_and_a_lost_connection),
        cmocka_unit_test(bench_sends_takes_and_echoes),
        cmocka_unit_test(bench_is_for_who_may),
        cmocka_unit_test(a_token_in_front_opens_one_stream),
        cmocka_unit_test(an_answer_may_come_after_the_stream_has_gone),
        cmocka_unit_test(requests_that_are_none_are_reset),
        cmocka_unit_test(a_source_waits_for_its_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
