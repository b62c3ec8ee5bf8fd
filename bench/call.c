/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/call.c - the call protocol under load: a node with an operation of its own on
 * one side, alk_peer_dial on the other, each in a process of its own. Every call passes
 * access control (a scope that the client's key has) and the input's schema.
 *
 *   call server LOOPS DIR      prints "PORT KEY"; keeps its state and the client's key in
 *                              DIR; stops at SIGTERM
 *   call rr PORT KEY DIR TRANSPORT COUNT INFLIGHT SIZE shared|own
 *                              bench/echo with SIZE bytes of input; own: a stream per call
 *   call pub PORT KEY DIR TRANSPORT COUNT SUBSCRIBERS SIZE AHEAD
 *                              events/publish of SIZE bytes by one process, received in
 *                              another, over 10 connections at the most; AHEAD events are
 *                              in flight: published and not yet with every subscriber, or
 *                              not acknowledged
 *
 * TRANSPORT: udp or tcp. One line of JSON per run; of rr the amount are calls, of pub
 * deliveries.
 */
#define _GNU_SOURCE
#include "alknet/alknet.h"
#include "measure.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 10, /* of subscribers */
    SIZE_MAX_ASKED = 65536
};

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench/call: %s: %s\n", what, why == NULL ? "" : why);
    _exit(1);
}

static void must(alk_err err, const char *what)
{
    if (err != ALK_OK) {
        die(what, alk_err_text(err));
    }
}

/* --- the node ---------------------------------------------------------------------- */

static void echo(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    (void)ctx;
    alk_out_object(out);
    alk_out_key(out, "text");
    alk_out_span(out, alk_input_text(r, "text", ""));
    alk_out_end(out);
    must(alk_request_respond(r), "respond");
}

static const char *const scopes[] = {"bench", NULL};

static const struct alk_op echo_op = {
    .struct_size = sizeof echo_op,
    .name = "bench/echo",
    .summary = "says what it was told",
    .kind = ALK_OP_QUERY,
    .fn = echo,
    .access = {.all_scopes = scopes},
    .input = "{\"type\":\"object\",\"required\":[\"text\"],\"properties\":{\"text\":"
             "{\"type\":\"string\",\"maxLength\":65536}},\"additionalProperties\":false}",
    .output = "{\"type\":\"object\",\"required\":[\"text\"]}",
};

static struct alk_endpoint *node;

static void on_term(int sig)
{
    (void)sig;
    alk_endpoint_stop(node);
}

static struct alk_key *client_key(const char *dir)
{
    char path[4096];
    struct alk_key *key = NULL;
    bool is_new;
    (void)snprintf(path, sizeof path, "%s/client.key", dir);
    must(alk_key_load_or_create(NULL, path, &key, &is_new), path);
    return key;
}

static size_t write_config(char *config, size_t size, const char *dir)
{
    struct alk_key *key = client_key(dir);
    char hex[65];
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", alk_key_public(key)[i]);
    }
    alk_key_free(key);
    /* As much may wait for a subscriber as the NATS server lets wait. */
    int n = snprintf(config, size,
                     "listen: [\"127.0.0.1:0\"]\n"
                     "log: {level: error}\n"
                     "auth: {peers: [{id: bench, keys: [\"ed25519:%s\"],\n"
                     "  scopes: [bench, \"events:publish\", \"events:subscribe\"]}]}\n"
                     "services:\n"
                     "  call: {max_requests: 8192, events: {memory: 256MiB, queue: {bytes: 64MiB, "
                     "count: 262144}}}\n",
                     hex);
    return (size_t)n;
}

static int serve(unsigned loops, const char *dir)
{
    char config[2048], why[512] = "";
    struct alk_ops_options ops_options = {.struct_size = sizeof ops_options};
    struct alk_endpoint_options o = {.struct_size = sizeof o, .data_dir = dir, .loops = loops};
    char *message = NULL;

    o.config_text.p = (const uint8_t *)config;
    o.config_text.n = write_config(config, sizeof config, dir);
    must(alk_ops_new(&ops_options, &o.ops), "registry");
    must(alk_ops_add(o.ops, &echo_op, NULL, why, sizeof why), why);
    o.no_spawner = true;
    if (alk_endpoint_new(&o, &message, &node) != ALK_OK) {
        die("endpoint", message);
    }
    if (alk_router_add(alk_endpoint_router(node), &alk_call_handler, NULL) != ALK_OK ||
        alk_endpoint_start(node, &message) != ALK_OK) {
        die("start", message);
    }
    struct sigaction sa = {.sa_handler = on_term};
    (void)sigaction(SIGTERM, &sa, NULL);
    printf("%s %s\n", strrchr(alk_endpoint_address(node, 0), ':') + 1, alk_endpoint_key(node));
    (void)fflush(stdout);
    alk_endpoint_run(node);
    alk_endpoint_free(node);
    alk_ops_free(o.ops);
    return 0;
}

/* --- a client ------------------------------------------------------------------------ */

struct target {
    uint8_t key[32];
    struct alk_dial_options dial;
};

/* The node's key is 52 characters of z-base-32. */
static void decode_key(const char *text, uint8_t key[32])
{
    static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";
    uint32_t bits = 0;
    unsigned n = 0;
    size_t at = 0;
    for (; *text != '\0' && at < 32; text++) {
        const char *p = strchr(alphabet, *text);
        if (p == NULL) {
            die("key", text);
        }
        bits = bits << 5 | (uint32_t)(p - alphabet);
        n += 5;
        if (n >= 8) {
            n -= 8;
            key[at++] = (uint8_t)(bits >> n);
        }
    }
}

/* argv: PORT KEY DIR TRANSPORT */
static void read_target(char **argv, struct target *t)
{
    decode_key(argv[1], t->key);
    t->dial = (struct alk_dial_options){
        .struct_size = sizeof t->dial,
        .host = "127.0.0.1",
        .port = (uint16_t)strtoul(argv[0], NULL, 10),
        .pinned_key = t->key,
        .key = client_key(argv[2]),
        .transports =
            strcmp(argv[3], "tcp") == 0 ? ALK_TRANSPORT_TLS : (unsigned)ALK_TRANSPORT_QUIC,
    };
}

static void on_failed(void *ctx, struct alk_peer *peer, alk_err err, const char *message)
{
    (void)ctx;
    (void)peer;
    die(alk_err_name(err), message);
}

/* Connections of this process that are still there when the work is done. */
static struct alk_peer *peers[CONNECTIONS_MAX];
static size_t peer_count, open_count;
static bool is_done;

static void on_closed(void *ctx, struct alk_peer *peer, alk_err why, uint64_t code,
                      struct alk_span reason)
{
    (void)ctx;
    if (is_done) {
        open_count--;
        return;
    }
    (void)peer;
    (void)code;
    (void)reason;
    die("closed", alk_err_text(why));
}

static struct alk_peer *dial(const struct target *t, struct alk_loop *loop,
                             const struct alk_peer_calls *calls, void *ctx)
{
    struct alk_peer_options o = {.struct_size = sizeof o};
    struct alk_peer *peer = NULL;
    must(alk_peer_dial(loop, &t->dial, &o, calls, ctx, &peer), "dial");
    peers[peer_count++] = peer;
    return peer;
}

/* So that the node does not go on publishing for nobody. */
static void close_all(struct alk_loop *loop)
{
    is_done = true;
    open_count = peer_count;
    for (size_t i = 0; i < peer_count; i++) {
        alk_peer_close(peers[i]);
    }
    for (int i = 0; i < 1000 && open_count > 0; i++) {
        (void)alk_loop_run_once(loop, 10);
    }
}

static struct alk_loop *new_loop(void)
{
    struct alk_loop *loop = NULL;
    must(alk_loop_new(NULL, &loop), "loop");
    return loop;
}

/* {MEMBERS"text":"xxx"} or so, of `size` bytes: head, filling, tail. */
static struct alk_span fill(char *room, const char *head, const char *tail, size_t size)
{
    size_t at = strlen(head), end = strlen(tail);
    if (size < at + end || size > SIZE_MAX_ASKED) {
        die("size", "too small or too large");
    }
    memset(room, 'x', size);
    memcpy(room, head, at);
    memcpy(room + size - end, tail, end);
    return (struct alk_span){(const uint8_t *)room, size};
}

/* --- request and answer ----------------------------------------------------------------- */

struct rr;

/* One of those that are in flight. */
struct place {
    struct rr *run;
    uint64_t begun;
};

struct rr {
    struct alk_loop *loop;
    struct alk_peer *peer;
    struct alk_ask ask;
    struct measure measure;
    uint64_t target, started, done;
    size_t inflight;
    struct place *places;
};

static void ask_next(struct rr *r, struct place *place);

static void rr_responded(void *ctx, struct alk_call *call, struct alk_span output)
{
    const struct place *place = ctx;
    (void)call;
    if (output.n != place->run->ask.input.n) {
        die("answer", "of another size");
    }
}

static void rr_ended(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                     bool is_retryable, struct alk_span details)
{
    struct place *place = ctx;
    struct rr *r = place->run;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    if (code != NULL) {
        die("call", code);
    }
    measure_add(&r->measure, place->begun);
    r->done++;
    if (r->done == r->target) {
        alk_loop_stop(r->loop);
    }
    ask_next(r, place);
}

static const struct alk_answers rr_answers = {.responded = rr_responded, .ended = rr_ended};

static void ask_next(struct rr *r, struct place *place)
{
    struct alk_call *call;
    if (r->started == r->target) {
        return;
    }
    r->started++;
    place->begun = measure_now_ns();
    must(alk_peer_call(r->peer, &r->ask, &rr_answers, place, &call), "call");
}

static void rr_opened(void *ctx, struct alk_peer *peer)
{
    struct rr *r = ctx;
    (void)peer;
    measure_begin(&r->measure);
    for (size_t i = 0; i < r->inflight; i++) {
        r->places[i].run = r;
        ask_next(r, &r->places[i]);
    }
}

static const struct alk_peer_calls rr_calls = {
    .opened = rr_opened, .failed = on_failed, .closed = on_closed};

/* argv: COUNT INFLIGHT SIZE shared|own */
static int run_rr(const struct target *t, char **argv)
{
    static char input[SIZE_MAX_ASKED];
    struct rr r = {.loop = new_loop(),
                   .target = strtoull(argv[0], NULL, 10),
                   .inflight = strtoull(argv[1], NULL, 10)};
    r.places = calloc(r.inflight, sizeof r.places[0]);
    if (r.places == NULL || r.inflight == 0) {
        die("in flight", argv[1]);
    }
    r.ask = (struct alk_ask){
        .struct_size = sizeof r.ask,
        .op = "bench/echo",
        .input = fill(input, "{\"text\":\"", "\"}", strtoull(argv[2], NULL, 10)),
        .wants_own_stream = strcmp(argv[3], "own") == 0,
    };
    r.peer = dial(t, r.loop, &rr_calls, &r);
    alk_loop_run(r.loop);
    measure_report(&r.measure, (double)r.done);
    close_all(r.loop);
    return 0;
}

/* --- publish and subscribe --------------------------------------------------------------- */

/* What both processes see. */
struct shared {
    _Atomic uint64_t delivered, published;
    atomic_bool is_ready;
    _Atomic uint64_t subscribed;
};

struct publisher {
    struct alk_loop *loop;
    struct alk_peer *peer;
    struct alk_ask ask;
    struct alk_timer timer;
    struct shared *shared;
    uint64_t target, started, inflight, subscribers, ahead;
};

static void publish_more(struct publisher *p);

static void published(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                      bool is_retryable, struct alk_span details)
{
    struct publisher *p = ctx;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    if (code != NULL) {
        die("publish", code);
    }
    p->inflight--;
    if (p->inflight == 0 && p->started == p->target) {
        alk_loop_stop(p->loop);
    }
    publish_more(p);
}

static const struct alk_answers publish_answers = {.ended = published};

/* No further ahead of the subscribers, and of the answers, than it may be. */
static void publish_more(struct publisher *p)
{
    struct alk_call *call;
    uint64_t seen = atomic_load(&p->shared->delivered) / p->subscribers;
    while (p->started < p->target && p->inflight < p->ahead) {
        if (p->started - seen >= p->ahead) {
            alk_timer_set(p->loop, &p->timer, alk_loop_now(p->loop) + ALK_MS);
            return;
        }
        alk_err err = alk_peer_call(p->peer, &p->ask, &publish_answers, p, &call);
        if (err == ALK_FULL) {
            return; /* too much unsent: the next answer comes back here */
        }
        must(err, "publish");
        p->started++;
        p->inflight++;
    }
}

static void on_publish_timer(struct alk_timer *timer, void *ctx)
{
    struct publisher *p = ctx;
    (void)timer;
    if (!atomic_load(&p->shared->is_ready)) {
        alk_timer_set(p->loop, &p->timer, alk_loop_now(p->loop) + ALK_MS);
        return;
    }
    publish_more(p);
}

static void publisher_opened(void *ctx, struct alk_peer *peer)
{
    struct publisher *p = ctx;
    (void)peer;
    on_publish_timer(&p->timer, p);
}

static const struct alk_peer_calls publisher_calls = {
    .opened = publisher_opened, .failed = on_failed, .closed = on_closed};

static void run_publisher(char **argv, struct shared *shared)
{
    static char input[SIZE_MAX_ASKED + 64];
    struct target t;
    struct publisher p = {.loop = new_loop(),
                          .shared = shared,
                          .target = strtoull(argv[4], NULL, 10),
                          .subscribers = strtoull(argv[5], NULL, 10)};
    static const char head[] = "{\"topic\":\"bench.topic\",\"data\":\"";
    size_t size = strtoull(argv[6], NULL, 10);
    read_target(argv, &t);
    p.ahead = strtoull(argv[7], NULL, 10);
    p.timer = (struct alk_timer){.fn = on_publish_timer, .ctx = &p};
    p.ask = (struct alk_ask){.struct_size = sizeof p.ask,
                             .op = "events/publish",
                             .input = fill(input, head, "\"}", size + sizeof head - 2)};
    p.peer = dial(&t, p.loop, &publisher_calls, &p);
    alk_loop_run(p.loop);
    close_all(p.loop);
}

struct ping {
    struct subscriber *subscriber;
    struct alk_peer *peer;
};

struct subscriber {
    struct ping pings[CONNECTIONS_MAX];
    size_t opened;
    struct alk_loop *loop;
    struct shared *shared;
    uint64_t target, subscriptions, per_peer, delivered;
    size_t size;
    struct measure measure;
};

static void on_event(void *ctx, struct alk_call *call, struct alk_span output)
{
    struct subscriber *s = ctx;
    (void)call;
    if (output.n <= s->size) {
        die("event", "too short");
    }
    s->delivered++;
    atomic_store_explicit(&s->shared->delivered, s->delivered, memory_order_relaxed);
    if (s->delivered == s->target) {
        alk_loop_stop(s->loop);
    }
}

static void on_cut(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                   bool is_retryable, struct alk_span details)
{
    (void)ctx;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    if (!is_done) {
        die("subscription", code);
    }
}

static const struct alk_answers event_answers = {.responded = on_event, .ended = on_cut};

static void begin_subscriptions(struct subscriber *s, struct alk_peer *peer);

/* The first one has opened the stream for calls, before subscriptions take the rest. */
static void on_ready(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                     bool is_retryable, struct alk_span details)
{
    const struct ping *ping = ctx;
    struct subscriber *s = ping->subscriber;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    if (code != NULL) {
        die("ping", code);
    }
    begin_subscriptions(s, ping->peer);
}

static const struct alk_answers ready_answers = {.ended = on_ready};

/* Asked after the subscriptions of this connection. */
static void on_pinged(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                      bool is_retryable, struct alk_span details)
{
    struct subscriber *s = ctx;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    if (code != NULL) {
        die("ping", code);
    }
    if (atomic_fetch_add(&s->shared->subscribed, s->per_peer) + s->per_peer == s->subscriptions) {
        measure_begin(&s->measure);
        atomic_store(&s->shared->is_ready, true);
    }
}

static const struct alk_answers ping_answers = {.ended = on_pinged};

static void begin_subscriptions(struct subscriber *s, struct alk_peer *peer)
{
    struct alk_call *call;
    static const char topics[] = "{\"topics\":[\"bench.topic\"]}";
    struct alk_ask ask = {.struct_size = sizeof ask,
                          .op = "events/subscribe",
                          .input = {(const uint8_t *)topics, sizeof topics - 1},
                          .is_subscription = true,
                          .credit = ALK_NEVER};
    struct alk_ask ping = {.struct_size = sizeof ping, .op = "node/ping"};
    for (uint64_t i = 0; i < s->per_peer; i++) {
        must(alk_peer_call(peer, &ask, &event_answers, s, &call), "subscribe");
    }
    must(alk_peer_call(peer, &ping, &ping_answers, s, &call), "ping");
}

static void subscriber_opened(void *ctx, struct alk_peer *peer)
{
    struct subscriber *s = ctx;
    struct alk_call *call;
    struct alk_ask ask = {.struct_size = sizeof ask, .op = "node/ping"};
    struct ping *ping = &s->pings[s->opened++];
    *ping = (struct ping){.subscriber = s, .peer = peer};
    must(alk_peer_call(peer, &ask, &ready_answers, ping, &call), "ping");
}

static const struct alk_peer_calls subscriber_calls = {
    .opened = subscriber_opened, .failed = on_failed, .closed = on_closed};

static int run_pub(char **argv)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        die("mmap", NULL);
    }
    pid_t child = fork(); /* before anything of the library lives */
    if (child == 0) {
        run_publisher(argv, shared);
        _exit(0);
    }
    struct target t;
    struct subscriber s = {.loop = new_loop(),
                           .shared = shared,
                           .subscriptions = strtoull(argv[5], NULL, 10),
                           .size = strtoull(argv[6], NULL, 10)};
    read_target(argv, &t);
    uint64_t connections = s.subscriptions < CONNECTIONS_MAX ? s.subscriptions : CONNECTIONS_MAX;
    s.per_peer = s.subscriptions / connections;
    if (s.per_peer * connections != s.subscriptions) {
        die("subscribers", "more than 10 and not a multiple of 10");
    }
    s.target = strtoull(argv[4], NULL, 10) * s.subscriptions;
    for (uint64_t i = 0; i < connections; i++) {
        (void)dial(&t, s.loop, &subscriber_calls, &s);
    }
    alk_loop_run(s.loop);
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        die("publisher", "failed");
    }
    measure_report(&s.measure, (double)s.delivered);
    close_all(s.loop);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc == 4 && strcmp(mode, "server") == 0) {
        return serve((unsigned)strtoul(argv[2], NULL, 10), argv[3]);
    }
    if (argc == 10 && strcmp(mode, "rr") == 0) {
        struct target t;
        read_target(argv + 2, &t);
        return run_rr(&t, argv + 6);
    }
    if (argc == 10 && strcmp(mode, "pub") == 0) {
        return run_pub(argv + 2);
    }
    (void)fprintf(stderr, "usage: see the head of bench/call.c\n");
    return 2;
}
