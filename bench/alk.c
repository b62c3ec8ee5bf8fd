/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/alk.c - libalknet under load, through its public interface: a node with a
 * real handler behind an ALPN on one side, alk_dial on the other. The same work as
 * bench/bare_quic.c and bench/bare_tls.c do without it.
 *
 *   alk server LOOPS MODE                 MODE: in-process or process; prints
 *                                         "PORT KEY"; stops at SIGTERM;
 *                                         ALKNET_BENCH_LIMITS: the limits
 *   alk bulk PORT KEY BYTES TRANSPORT [STREAMS]  server to client; udp or tcp
 *   alk rr PORT KEY COUNT INFLIGHT TRANSPORT
 *   alk hs PORT KEY COUNT PARALLEL M      M 1: with a client key
 *   alk idle PORT KEY COUNT               connections; prints, then waits for stdin
 *
 * One line of JSON with wall and CPU seconds per run.
 */
#include "alknet/alknet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CHUNK ((size_t)65536)
#define REQUEST 64
/* Limits that are out of the way; ALKNET_BENCH_LIMITS replaces them. */
#define WIDE                                                                                       \
    "connections: 20000, connections_per_ip: 20000, handshakes: 20000, "                          \
    "streams_without_identity: 1024"

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench/alk: %s: %s\n", what, why == NULL ? "" : why);
    exit(1);
}

static double seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(double wall, double amount)
{
    printf("{\"wall\": %.4f, \"cpu\": %.3f, \"amount\": %.0f}\n", wall, cpu_seconds(), amount);
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* --- the service ------------------------------------------------------------------- */

/* A request is 64 bytes: a size to send (then the end), or zero for an echo. */
struct job {
    uint64_t left;
    bool is_started;
};

struct work {
    struct alk_chunk *block; /* zeros that every stream sends from */
};

static struct work the_work; /* of this process: the benchmark runs one service */

static void send_more(struct work *w, struct alk_stream *s, struct job *job)
{
    while (job->left > 0) {
        size_t n = job->left < CHUNK ? (size_t)job->left : CHUNK;
        if (alk_stream_write_chunk(s, w->block, 0, n) != ALK_OK) {
            return;
        }
        job->left -= n;
    }
    alk_stream_finish(s);
}

static void on_request(void *ctx, struct alk_stream *s, unsigned events)
{
    struct job *job = ctx;
    if ((events & ALK_STREAM_CLOSED) != 0) {
        free(job);
        return;
    }
    if (job->is_started) {
        if (job->left > 0) {
            send_more(&the_work, s, job);
        }
        return;
    }
    struct alk_span have;
    if (alk_stream_peek(s, &have) != ALK_OK || have.n < REQUEST) {
        return;
    }
    job->is_started = true;
    job->left = get64(have.p);
    if (job->left > 0) {
        alk_stream_consume(s, REQUEST);
        send_more(&the_work, s, job);
        return;
    }
    size_t took;
    if (alk_stream_write(s, (struct alk_span){have.p, REQUEST}, &took) != ALK_OK) {
        alk_stream_close(s, ALK_CODE_INTERNAL);
        free(job);
        return;
    }
    alk_stream_consume(s, REQUEST);
    alk_stream_finish(s);
}

static alk_err load_start(const struct alk_conf *conf, const struct alk_env *env, void **ret)
{
    (void)conf;
    the_work.block = alk_chunk_new(env->mem, CHUNK);
    if (the_work.block == NULL) {
        return ALK_E_NOMEM;
    }
    memset(alk_chunk_data(the_work.block), 0, CHUNK);
    *ret = &the_work;
    return ALK_OK;
}

static void load_stop(void *service)
{
    alk_chunk_unref(((struct work *)service)->block);
}

static alk_err load_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    (void)conn;
    (void)auth;
    *ret_state = service;
    return ALK_OK;
}

static alk_err load_stream(void *state, struct alk_stream *s)
{
    (void)state;
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return ALK_E_NOMEM;
    }
    alk_stream_on(s, on_request, job);
    return ALK_OK;
}

static const struct alk_alpn alpns[] = {{"load", ALK_TRANSPORT_QUIC | ALK_TRANSPORT_TLS}};
static const struct alk_handler load_handler = {
    .struct_size = sizeof load_handler,
    .abi = ALK_HANDLER_ABI,
    .name = "load",
    .summary = "work for benchmarks",
    .alpns = alpns,
    .alpn_count = 1,
    .flags = ALK_HANDLER_PUBLIC | ALK_HANDLER_DEFAULT_ON,
    .start = load_start,
    .stop = load_stop,
    .open = load_open,
    .stream = load_stream,
};

static struct alk_endpoint *node;

static void on_term(int sig)
{
    (void)sig;
    alk_endpoint_stop(node);
}

static int serve(unsigned loops, const char *mode)
{
    char dir[] = "/tmp/alk-bench-XXXXXX";
    if (mkdtemp(dir) == NULL) {
        die("mkdtemp", NULL);
    }
    char config[1024];
    const char *limits = getenv("ALKNET_BENCH_LIMITS");
    int n = snprintf(config, sizeof config,
                     "listen: [\"127.0.0.1:0\"]\n"
                     "limits: {%s}\n"
                     "log: {level: error}\n"
                     "services:\n  load: {isolation: %s, require: none}\n",
                     limits == NULL ? WIDE : limits, mode);
    struct alk_endpoint_options o = {
        .struct_size = sizeof o,
        .config_text = {(const uint8_t *)config, (size_t)n},
        .data_dir = dir,
        .loops = loops,
        .no_spawner = strcmp(mode, "process") != 0,
    };
    char *message = NULL;
    if (alk_endpoint_new(&o, &message, &node) != ALK_OK) {
        die("endpoint", message);
    }
    if (alk_router_add(alk_endpoint_router(node), &load_handler, NULL) != ALK_OK ||
        alk_endpoint_start(node, &message) != ALK_OK) {
        die("start", message);
    }
    struct sigaction sa = {.sa_handler = on_term};
    (void)sigaction(SIGTERM, &sa, NULL);
    const char *address = alk_endpoint_address(node, 0);
    printf("%s %s\n", strrchr(address, ':') + 1, alk_endpoint_key(node));
    (void)fflush(stdout);
    alk_endpoint_run(node);
    printf("{\"cpu\": %.3f}\n", cpu_seconds());
    alk_endpoint_free(node);
    return 0;
}

/* --- the client ----------------------------------------------------------------------- */

struct client {
    struct alk_loop *loop;
    struct alk_dial_options dial;
    struct alk_conn *conn;
    uint64_t target, done, started, inflight, max_inflight;
    uint64_t streams;
    bool is_bulk, is_rr, is_hs, is_idle;
    double t0;
    uint8_t request[REQUEST];
};

static void start_requests(struct client *c);

static void on_answer(void *ctx, struct alk_stream *s, unsigned events)
{
    struct client *c = ctx;
    struct alk_span have;
    alk_err err = ALK_MORE;
    while ((events & ALK_STREAM_CLOSED) == 0 && (err = alk_stream_peek(s, &have)) == ALK_OK) {
        c->done += c->is_bulk ? have.n : 0;
        alk_stream_consume(s, have.n);
    }
    if (err == ALK_E_RESET) {
        die("stream", "reset");
    }
    if ((events & ALK_STREAM_CLOSED) != 0 && c->is_rr) {
        c->done++;
        c->inflight--;
        start_requests(c);
    }
    if (c->done >= c->target) {
        alk_loop_stop(c->loop);
    }
}

static bool request(struct client *c, uint64_t size)
{
    struct alk_stream *s;
    if (alk_conn_open_stream(c->conn, on_answer, c, &s) != ALK_OK) {
        return false;
    }
    for (size_t i = 0; i < 8; i++) {
        c->request[i] = (uint8_t)(size >> (56 - 8 * i));
    }
    size_t took;
    if (alk_stream_write(s, (struct alk_span){c->request, REQUEST}, &took) != ALK_OK) {
        die("write", NULL);
    }
    if (alk_conn_transport(c->conn) == ALK_TRANSPORT_QUIC) {
        alk_stream_finish(s);
    }
    return true;
}

static void start_requests(struct client *c)
{
    while (c->started < c->target && c->inflight < c->max_inflight && request(c, 0)) {
        c->started++;
        c->inflight++;
    }
}

static void start_dials(struct client *c);

/* A handshake counts when the server has confirmed it: a close any earlier would
 * spare the server our Finished. */
struct wait {
    struct alk_timer timer;
    struct client *client;
    struct alk_conn *conn;
};

static void on_wait(struct alk_timer *timer, void *ctx)
{
    struct wait *w = ctx;
    if (!alk_conn_auth(w->conn)->is_confirmed) {
        alk_timer_set(w->client->loop, timer, alk_loop_now(w->client->loop) + ALK_MS);
        return;
    }
    alk_conn_close(w->conn, 0, (struct alk_span){NULL, 0});
    free(w);
}

static void wait_confirmed(struct client *c, struct alk_conn *conn)
{
    struct wait *w = calloc(1, sizeof *w);
    if (w == NULL) {
        die("memory", NULL);
    }
    *w = (struct wait){.timer = {.fn = on_wait, .ctx = w}, .client = c, .conn = conn};
    alk_timer_set(c->loop, &w->timer, alk_loop_now(c->loop) + ALK_MS);
}

static void opened(void *ctx, struct alk_conn *conn)
{
    struct client *c = ctx;
    if (c->is_hs) {
        wait_confirmed(c, conn);
        return;
    }
    if (c->is_idle) {
        c->done++;
        c->inflight--;
        start_dials(c);
        if (c->done == c->target) {
            alk_loop_stop(c->loop);
        }
        return;
    }
    c->conn = conn;
    c->t0 = seconds();
    if (c->is_rr) {
        start_requests(c);
        return;
    }
    for (uint64_t i = 0; i < c->streams; i++) {
        if (!request(c, c->target / c->streams)) {
            die("open stream", NULL);
        }
    }
}

static void failed(void *ctx, alk_err err, const char *message)
{
    (void)ctx;
    die(alk_err_name(err), message);
}

static void credit(void *ctx)
{
    struct client *c = ctx;
    if (c->is_rr) {
        start_requests(c);
    }
}

static void closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    (void)why;
    (void)code;
    (void)reason;
    struct client *c = ctx;
    if (!c->is_hs) {
        die("closed", alk_err_text(why));
    }
    c->done++;
    c->inflight--;
    start_dials(c);
    if (c->done == c->target) {
        alk_loop_stop(c->loop);
    }
}

static const struct alk_client_calls calls = {
    .opened = opened, .failed = failed, .credit = credit, .closed = closed};

static void start_dials(struct client *c)
{
    while (c->started < c->target && c->inflight < c->max_inflight) {
        struct alk_dial *dial;
        if (alk_dial(c->loop, &c->dial, &calls, c, &dial) != ALK_OK) {
            die("dial", NULL);
        }
        c->started++;
        c->inflight++;
    }
}

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

static int run(struct client *c, int argc, char **argv)
{
    static uint8_t key[32];
    static const char *const offered[] = {"load", NULL};
    decode_key(argv[3], key);
    c->target = strtoull(argv[4], NULL, 10);
    c->streams = 1;
    c->max_inflight = 64;
    c->dial = (struct alk_dial_options){
        .struct_size = sizeof c->dial,
        .host = "127.0.0.1",
        .port = (uint16_t)strtoul(argv[2], NULL, 10),
        .alpns = offered,
        .pinned_key = key,
        .transports = ALK_TRANSPORT_QUIC,
    };
    const char *transport = c->is_bulk ? argv[5] : c->is_rr ? argv[6] : "udp";
    if (strcmp(transport, "tcp") == 0) {
        c->dial.transports = ALK_TRANSPORT_TLS;
    }
    if (c->is_bulk && argc > 6) {
        c->streams = strtoull(argv[6], NULL, 10);
    }
    if (c->is_rr || c->is_hs) {
        c->max_inflight = strtoull(argv[5], NULL, 10);
    }
    struct alk_key *own = NULL;
    bool is_new;
    char path[] = "/tmp/alk-bench-key-XXXXXX";
    if (c->is_hs && strcmp(argv[6], "1") == 0) {
        int fd = mkstemp(path);
        if (fd < 0 || close(fd) != 0 || unlink(path) != 0 ||
            alk_key_load_or_create(NULL, path, &own, &is_new) != ALK_OK) {
            die("key", path);
        }
        (void)unlink(path);
        c->dial.key = own;
    }
    c->t0 = seconds();
    if (c->is_bulk || c->is_rr) {
        struct alk_dial *dial;
        if (alk_dial(c->loop, &c->dial, &calls, c, &dial) != ALK_OK) {
            die("dial", NULL);
        }
    } else {
        start_dials(c);
    }
    alk_loop_run(c->loop);
    if (c->is_idle) {
        double until = seconds() + 1;
        while (seconds() < until) {
            (void)alk_loop_run_once(c->loop, 50);
        }
        printf("{\"connections\": %llu}\n", (unsigned long long)c->done);
        (void)fflush(stdout);
        char byte;
        return read(0, &byte, 1) < 0 ? 1 : 0;
    }
    report(seconds() - c->t0, (double)c->done);
    return 0; /* the process ends: so do its connections */
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc == 4 && strcmp(mode, "server") == 0) {
        return serve((unsigned)strtoul(argv[2], NULL, 10), argv[3]);
    }
    struct client c = {
        .is_bulk = strcmp(mode, "bulk") == 0 && argc >= 6,
        .is_rr = strcmp(mode, "rr") == 0 && argc == 7,
        .is_hs = strcmp(mode, "hs") == 0 && argc == 7,
        .is_idle = strcmp(mode, "idle") == 0 && argc == 5,
    };
    if (!(c.is_bulk || c.is_rr || c.is_hs || c.is_idle)) {
        die("usage", "see the head of bench/alk.c");
    }
    if (alk_loop_new(NULL, &c.loop) != ALK_OK) {
        die("loop", NULL);
    }
    return run(&c, argc, argv);
}
