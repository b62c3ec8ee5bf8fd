/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/tls_world.h"

#include "base/mem.h"
#include "core/router.h"
#include "core/tls/tcp_impl.h"

#define STEPS_MAX 200000

const uint8_t tw_server_seed[32] = {1, 2, 3};
const uint8_t tw_client_seed[32] = {4, 5, 6};
const uint8_t tw_other_seed[32] = {7, 8, 9};

/* --- credentials ------------------------------------------------------------------- */

struct alk_tls_creds *tw_creds_new(enum tw_creds kind, const uint8_t seed[static 32],
                                   struct alk_span chain, struct alk_span key, struct alk_span ca)
{
    struct alk_tls_creds_options o = {.ca_pem = ca};
    if (((unsigned)kind & TW_RAW) != 0) {
        o.seed = seed;
    }
    if (((unsigned)kind & TW_X509) != 0) {
        o.chain_pem = chain;
        o.key_pem = key;
    }
    struct alk_tls_creds *creds = NULL;
    char why[160];
    alk_err err = alk_tls_creds_new(&o, why, sizeof why, &creds);
    if (err != ALK_OK) {
        print_message("%s\n", why);
    }
    check_err(err, ALK_OK);
    return creds;
}

void tw_certificate(const char *name, int64_t shift_s, struct alk_buf *ret_chain,
                    struct alk_buf *ret_key)
{
    const char *names[] = {name, NULL};
    alk_buf_init(ret_chain, NULL, 1 << 16);
    alk_buf_init(ret_key, NULL, 1 << 16);
    uint64_t now = (uint64_t)((int64_t)time(NULL) + shift_s); /* GnuTLS asks the clock too */
    check_err(alk_tls_self_signed(names, now, 86400, ret_chain, ret_key), ALK_OK);
}

/* --- the handler of both sides ------------------------------------------------------- */

static void say_more(struct tw_side *side)
{
    while (side->say.n > 0) {
        size_t took = 0;
        alk_err err = alk_stream_write(side->stream, side->say, &took);
        side->say = alk_span_tail(side->say, took);
        if (err != ALK_OK) {
            return; /* full: a writable event follows; or over */
        }
    }
    if (side->finish) {
        side->finish = false;
        alk_stream_finish(side->stream);
    }
}

static void echo_back(struct tw_side *side, struct alk_span have)
{
    size_t took = 0;
    alk_err err = alk_stream_write(side->stream, have, &took);
    (void)err; /* what it took is what counts */
    (void)alk_buf_put(&side->got, alk_span_head(have, took));
    alk_stream_consume(side->stream, took);
}

static void listen(struct tw_side *side)
{
    struct alk_span have;
    alk_err err = ALK_MORE;
    while (!side->mute && (err = alk_stream_peek(side->stream, &have)) == ALK_OK) {
        size_t before = alk_buf_len(&side->got);
        if (side->echo) {
            echo_back(side, have);
        } else {
            check_err(alk_buf_put(&side->got, have), ALK_OK);
            alk_stream_consume(side->stream, have.n);
        }
        if (alk_buf_len(&side->got) == before) {
            return;
        }
    }
    side->got_end = side->got_end || err == ALK_END;
    side->got_reset = side->got_reset || err == ALK_E_RESET;
    if (err == ALK_E_RESET) {
        side->got_code = alk_stream_peer_code(side->stream);
    }
    if (err == ALK_END && side->echo) {
        alk_stream_finish(side->stream);
    }
}

static void on_stream(void *ctx, struct alk_stream *s, unsigned events)
{
    struct tw_side *side = ctx;
    assert_ptr_equal(side->stream, s);
    assert_false(side->got_closed); /* CLOSED is last */
    side->got_stopped = side->got_stopped || (events & ALK_STREAM_STOPPED) != 0;
    listen(side);
    say_more(side);
    if ((events & ALK_STREAM_CLOSED) != 0) {
        side->got_closed = true;
        side->stream = NULL;
    }
}

static alk_err on_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                       void **ret_state)
{
    struct tw *w = service;
    struct tw_side *side = conn->is_server ? &w->server : &w->client;
    side->opens++;
    side->auth = *auth;
    *ret_state = side;
    if (!conn->is_server) {
        check_err(alk_conn_open_stream(conn, on_stream, side, &side->stream), ALK_OK);
        say_more(side);
    }
    return ALK_OK;
}

static alk_err on_accept(void *state, struct alk_stream *stream)
{
    struct tw_side *side = state;
    side->stream = stream;
    alk_stream_on(stream, on_stream, side);
    say_more(side);
    return ALK_OK;
}

static void on_close(void *state, alk_err why, uint64_t code)
{
    struct tw_side *side = state;
    side->closes++;
    side->close_err = why;
    side->close_code = code;
}

static void on_unopened(void *service_state, struct alk_conn *conn)
{
    struct tw *w = service_state;
    w->client.unopened++;
    w->client.close_err = conn->close_err;
    w->client.close_code = conn->close_code;
}

#define HANDLER(f)                                                                                 \
    {                                                                                              \
        .struct_size = sizeof(struct alk_handler), .abi = ALK_HANDLER_ABI, .name = "test",         \
        .flags = (f), .open = on_open, .stream = on_accept, .close = on_close,                     \
    }
static const struct alk_handler plain_handler = HANDLER(0);
static const struct alk_handler early_handler = HANDLER(ALK_HANDLER_EARLY_SAFE);

/* --- the machines' owner --------------------------------------------------------------- */

static void on_wake(void *ctx, struct alk_conn *conn)
{
    struct tw_side *side = ctx;
    (void)conn;
    side->wakes++;
}

static void on_over(void *ctx, struct alk_conn *conn)
{
    struct tw_side *side = ctx;
    assert_false(side->is_over);
    side->is_over = true;
    side->was_abort = alk_tcp_wants_abort(conn);
    if (conn->is_server && side->opens == 0) {
        side->unopened++;
        side->close_err = conn->close_err;
        side->close_code = conn->close_code;
    }
    const struct alk_tls_session *tls = alk_tcp_session(conn);
    side->verify_err = tls->verify_err;
    (void)snprintf(side->verify_text, sizeof side->verify_text, "%s", tls->verify_text);
    alk_tcp_free(conn);
    side->conn = NULL;
}

/* --- making ------------------------------------------------------------------------------ */

static alk_err add_service(struct tw *w, const struct tw_service *from)
{
    struct alk_service *s = ALK_NEW(w->mem, struct alk_service);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    w->services[w->service_count++] = s;
    atomic_init(&s->refs, 1);
    s->mem = w->mem;
    s->handler = from->early_safe ? &early_handler : &plain_handler;
    s->state = w;
    s->require = ALK_REQUIRE_NONE;
    s->alpns = ALK_NEW(w->mem, struct alk_alpn);
    if (s->alpns == NULL) {
        return ALK_E_NOMEM;
    }
    s->alpns[0] = (struct alk_alpn){from->alpn, from->transports == 0 ? (unsigned)ALK_TRANSPORT_ANY
                                                                      : from->transports};
    s->alpn_count = 1;
    return ALK_OK;
}

static alk_err add_services(struct tw *w, const struct tw_options *o)
{
    static const struct tw_service one = {.alpn = "test"};
    const struct tw_service *from = o->service_count == 0 ? &one : o->services;
    size_t n = o->service_count == 0 ? 1 : o->service_count;
    for (size_t i = 0; i < n; i++) {
        ALK_TRY(add_service(w, &from[i]));
    }
    const struct alk_service *a;
    const struct alk_service *b;
    return alk_routes_new(w->mem, w->services, w->service_count, &w->routes, &a, &b);
}

static alk_err make_creds(struct tw *w, const uint8_t *seed, struct alk_tls_creds **ret)
{
    struct alk_tls_creds_options o = {.mem = w->mem, .seed = seed};
    return alk_tls_creds_new(&o, NULL, 0, ret);
}

static alk_err make_server(struct tw *w, const struct tw_options *o)
{
    struct alk_tls_server_options so = {
        .mem = w->mem,
        .snis = o->snis,
        .sni_count = o->sni_count,
        .routes = w->routes,
        .ticket_secret = {o->secret},
        .replay = o->replay,
        .default_alpn = o->default_alpn,
        .keylog = o->keylog,
        .keylog_ctx = o->keylog_ctx,
    };
    if (o->creds != NULL) {
        so.creds = alk_tls_creds_ref(o->creds);
    } else {
        ALK_TRY(make_creds(w, tw_server_seed, &so.creds));
    }
    alk_err err = alk_tls_server_new(&so, &w->server_conf);
    alk_tls_creds_unref(so.creds);
    return err;
}

static void init_side(struct tw *w, struct tw_side *side, bool is_server)
{
    side->w = w;
    side->is_server = is_server;
    alk_hub_init(&side->hub, w->mem, is_server ? 1 : 2);
    alk_buf_init(&side->got, NULL, SIZE_MAX / 2); /* the test's, not the machine's */
    alk_buf_init(&side->wire, NULL, SIZE_MAX / 2);
}

alk_err tw_try_init(struct tw *w, const struct tw_options *options)
{
    static const char *const alpns[] = {"test", NULL};
    static uint8_t server_key[32];
    alk_key_public_of(tw_server_seed, server_key);
    *w = (struct tw){.mem = options->mem, .now = ALK_SECOND, .keep_alive = ALK_NEVER};
    init_side(w, &w->client, false);
    init_side(w, &w->server, true);
    alk_buf_init(&w->ticket, NULL, 1 << 16);
    w->dial = (struct alk_dial_options){.struct_size = sizeof w->dial,
                                        .host = "node.example",
                                        .alpns = alpns,
                                        .pinned_key = server_key};
    ALK_TRY(add_services(w, options));
    ALK_TRY(make_server(w, options));
    return alk_tls_loop_new(w->mem, options->replay, &w->loop);
}

void tw_init(struct tw *w, const struct tw_options *options)
{
    check_err(tw_try_init(w, options), ALK_OK);
}

static void reset_side(struct tw_side *side)
{
    alk_buf_fini(&side->got);
    alk_buf_fini(&side->wire);
    struct tw *w = side->w;
    struct alk_hub hub = side->hub; /* no connection links into it now */
    assert_int_equal(hub.conn_count, 0);
    alk_hub_fini(&side->hub);
    bool is_server = side->is_server;
    memset(side, 0, sizeof *side);
    init_side(w, side, is_server);
}

void tw_drop(struct tw *w)
{
    alk_tcp_free(w->client.conn);
    alk_tcp_free(w->server.conn);
    w->client.conn = NULL;
    w->server.conn = NULL;
    reset_side(&w->client);
    reset_side(&w->server);
}

void tw_fini(struct tw *w)
{
    tw_drop(w);
    alk_buf_fini(&w->client.got);
    alk_buf_fini(&w->client.wire);
    alk_buf_fini(&w->server.got);
    alk_buf_fini(&w->server.wire);
    alk_buf_fini(&w->ticket);
    alk_hub_fini(&w->client.hub);
    alk_hub_fini(&w->server.hub);
    alk_tls_creds_unref(w->client_creds);
    alk_tls_loop_free(w->loop);
    alk_tls_server_unref(w->server_conf);
    alk_routes_unref(w->routes);
    for (size_t i = 0; i < w->service_count; i++) {
        alk_service_unref(w->services[i]);
    }
}

static struct alk_tcp_options options_of(const struct tw *w, struct tw_side *side)
{
    return (struct alk_tcp_options){
        .mem = w->mem,
        .hub = &side->hub,
        .keep_alive = w->keep_alive,
        .wake = on_wake,
        .over = on_over,
        .owner = side,
        .local = {.family = 4, .ip = {127, 0, 0, 1}, .port = side->is_server ? 4433 : 5555},
        .remote = {.family = 4, .ip = {127, 0, 0, 1}, .port = side->is_server ? 5555 : 4433},
    };
}

alk_err tw_try_listen(struct tw *w)
{
    struct alk_tcp_options o = options_of(w, &w->server);
    return alk_tcp_server(&o, w->server_conf, w->loop, w->now, &w->server.conn);
}

alk_err tw_try_connect(struct tw *w)
{
    ALK_TRY(tw_try_listen(w));
    if (w->client_creds == NULL) {
        ALK_TRY(make_creds(w, NULL, &w->client_creds));
    }
    struct alk_tcp_options o = options_of(w, &w->client);
    struct alk_tcp_connect c = {
        .dial = &w->dial,
        .creds = w->client_creds,
        .handler = &plain_handler,
        .service_state = w,
        .session = alk_buf_span(&w->ticket),
        .hold_finished = w->hold_finished,
    };
    ALK_TRY(alk_tcp_client(&o, &c, w->now, &w->client.conn));
    w->client.conn->on_unopened = on_unopened;
    return ALK_OK;
}

void tw_connect(struct tw *w)
{
    check_err(tw_try_connect(w), ALK_OK);
}

/* --- moving -------------------------------------------------------------------------------- */

/* From the machine onto the wire. */
static bool emit(struct tw_side *side)
{
    size_t max = side->wire_max == 0 ? 65536 : side->wire_max;
    if (side->conn == NULL || side->is_frozen) {
        return false;
    }
    alk_tcp_flush(side->conn, side->w->now);
    bool moved = false;
    while (side->conn != NULL) {
        size_t held = alk_buf_len(&side->wire);
        struct alk_span out = alk_tcp_output(side->conn);
        out = alk_span_head(out, held < max ? max - held : 0);
        if (out.n == 0) {
            break;
        }
        check_err(alk_buf_put(&side->wire, out), ALK_OK);
        side->wire_total += out.n;
        alk_tcp_sent(side->conn, out.n);
        moved = true;
    }
    if (!side->is_shut && (side->conn == NULL || alk_tcp_wants_shutdown(side->conn))) {
        side->is_shut = true;
        moved = true;
    }
    return moved;
}

static void abort_wire(struct tw_side *from, struct tw_side *to)
{
    alk_buf_clear(&from->wire); /* RST: what was on its way is gone */
    from->is_shut = true;
    from->is_shut_told = true;
    from->is_abort_told = true;
    alk_tcp_failed(to->conn, ALK_E_RESET, to->w->now);
}

/* From the wire into the other machine. */
static bool deliver(struct tw_side *from, struct tw_side *to)
{
    if (to->conn == NULL) {
        if (to->is_over) {
            alk_buf_clear(&from->wire);
        }
        return false; /* or it is the test's own */
    }
    if (from->is_over && from->was_abort && !from->is_abort_told) {
        abort_wire(from, to);
        return true;
    }
    struct alk_span in = alk_buf_span(&from->wire);
    if (in.n > 0 && alk_tcp_wants_input(to->conn)) {
        size_t piece = to->w->piece == 0 ? 16384 : to->w->piece;
        in = alk_span_head(in, piece);
        (void)alk_tcp_feed(to->conn, in, to->w->now);
        alk_buf_consume(&from->wire, in.n);
        return true;
    }
    if (in.n == 0 && (from->is_shut || from->is_over) && !from->is_shut_told) {
        from->is_shut_told = true;
        alk_tcp_eof(to->conn, to->w->now);
        return true;
    }
    return false;
}

bool tw_step(struct tw *w)
{
    struct tw_side *c = &w->client;
    struct tw_side *s = &w->server;
    c->hub.now = w->now;
    s->hub.now = w->now;
    bool moved = alk_hub_run(&c->hub);
    moved = alk_hub_run(&s->hub) || moved;
    moved = emit(c) || moved;
    moved = emit(s) || moved;
    moved = deliver(c, s) || moved;
    moved = deliver(s, c) || moved;
    moved = !alk_list_is_empty(&c->hub.ready) || !alk_list_is_empty(&s->hub.ready) || moved;
    return moved;
}

void tw_run(struct tw *w)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        if (!tw_step(w)) {
            return;
        }
    }
    fail_msg("it never comes to rest");
}

static alk_time deadline_of(const struct tw_side *side)
{
    return side->conn == NULL ? ALK_NEVER : alk_tcp_deadline(side->conn);
}

void tw_pass(struct tw *w, alk_time t)
{
    alk_time end = w->now + t;
    tw_run(w);
    for (int i = 0; i < STEPS_MAX; i++) {
        alk_time at = deadline_of(&w->client);
        at = deadline_of(&w->server) < at ? deadline_of(&w->server) : at;
        if (at > end) {
            break;
        }
        w->now = at > w->now ? at : w->now;
        if (w->client.conn != NULL) {
            alk_tcp_tick(w->client.conn, w->now);
        }
        if (w->server.conn != NULL) {
            alk_tcp_tick(w->server.conn, w->now);
        }
        tw_run(w);
    }
    w->now = end;
}

void tw_establish(struct tw *w)
{
    tw_connect(w);
    tw_run(w);
    if (w->client.verify_text[0] != '\0') {
        print_message("client: %s\n", w->client.verify_text);
    }
    assert_int_equal(w->client.opens, 1);
    assert_int_equal(w->server.opens, 1);
}

void tw_take_ticket(struct tw *w)
{
    alk_buf_clear(&w->ticket);
    check_err(alk_tcp_client_session(w->client.conn, &w->ticket), ALK_OK);
}

size_t tw_in_flight(const struct tw *w)
{
    size_t n = alk_buf_len(&w->client.wire) + alk_buf_len(&w->server.wire);
    const struct tw_side *sides[] = {&w->client, &w->server};
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->conn != NULL) {
            const struct alk_tcp *t = alk_tcp_of(sides[i]->conn);
            n += alk_buf_len(&t->out) + alk_buf_len(&t->in);
            n += t->has_stream ? alk_stream_memory(&t->stream) : 0;
        }
    }
    return n;
}
