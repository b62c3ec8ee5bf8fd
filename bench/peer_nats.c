/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/peer_nats.c - the same work as bench/call.c through a NATS server with TLS, by
 * NATS's own C client. Built when libnats is there.
 *
 *   peer_nats responder PORT asap|buffered   answers "bench.echo"; prints a line when ready
 *   peer_nats rr PORT COUNT INFLIGHT SIZE asap|buffered
 *   peer_nats pub PORT COUNT SUBSCRIBERS SIZE AHEAD
 *                              one process publishes, another subscribes, over 10
 *                              connections at the most; AHEAD events are in flight:
 *                              published and not yet with every subscriber
 *
 * asap: each message is written at once (the better latency); buffered: by the client's
 * flusher thread (the better throughput). One line of JSON per run, as bench/call.c.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 10 };

static void must(natsStatus s, const char *what)
{
    if (s != NATS_OK) {
        (void)fprintf(stderr, "peer_nats: %s: %s\n", what, natsStatus_GetText(s));
        _exit(1);
    }
}

static natsConnection *dial(const char *port, bool is_asap)
{
    natsOptions *o = NULL;
    natsConnection *c = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "tls://127.0.0.1:%s", port);
    must(natsOptions_Create(&o), "options");
    must(natsOptions_SetURL(o, url), "url");
    must(natsOptions_SetSecure(o, true), "tls");
    must(natsOptions_SkipServerVerification(o, true), "verification");
    must(natsOptions_SetSendAsap(o, is_asap), "asap");
    must(natsConnection_Connect(&c, o), "connect");
    natsOptions_Destroy(o);
    return c;
}

static char *filling(size_t size)
{
    char *p = malloc(size);
    if (p == NULL) {
        abort();
    }
    memset(p, 'x', size);
    return p;
}

/* --- request and answer ---------------------------------------------------------------- */

static void on_request(natsConnection *c, natsSubscription *sub, natsMsg *m, void *ctx)
{
    (void)sub;
    (void)ctx;
    must(natsConnection_Publish(c, natsMsg_GetReply(m), natsMsg_GetData(m),
                                natsMsg_GetDataLength(m)),
         "answer");
    natsMsg_Destroy(m);
}

static int respond(const char *port, bool is_asap)
{
    natsSubscription *sub = NULL;
    natsConnection *c = dial(port, is_asap);
    must(natsConnection_Subscribe(&sub, c, "bench.echo", on_request, NULL), "subscribe");
    must(natsConnection_Flush(c), "flush");
    printf("ready\n");
    (void)fflush(stdout);
    (void)pause(); /* until it is killed */
    return 0;
}

/* Answers come in the order of the requests: one responder, one connection. */
struct rr {
    struct measure measure;
    uint64_t target, started, done, inflight;
    uint64_t *begun;
    char *data;
    int size;
    natsInbox *inbox;
    atomic_bool is_over;
};

static void ask_next(natsConnection *c, struct rr *r)
{
    if (r->started < r->target) {
        r->begun[r->started++ % r->inflight] = measure_now_ns();
        must(natsConnection_PublishRequest(c, "bench.echo", r->inbox, r->data, r->size), "request");
    }
}

static void on_answer(natsConnection *c, natsSubscription *sub, natsMsg *m, void *ctx)
{
    struct rr *r = ctx;
    (void)sub;
    if (natsMsg_GetDataLength(m) != r->size) {
        must(NATS_ERR, "answer of another size");
    }
    natsMsg_Destroy(m);
    measure_add(&r->measure, r->begun[r->done % r->inflight]);
    r->done++;
    ask_next(c, r);
    if (r->done == r->target) {
        atomic_store(&r->is_over, true);
    }
}

/* argv: PORT COUNT INFLIGHT SIZE asap|buffered */
static int run_rr(char **argv)
{
    struct rr r = {.target = strtoull(argv[1], NULL, 10),
                   .inflight = strtoull(argv[2], NULL, 10),
                   .size = (int)strtol(argv[3], NULL, 10)};
    natsSubscription *sub = NULL;
    natsConnection *c = dial(argv[0], strcmp(argv[4], "asap") == 0);
    r.data = filling((size_t)r.size);
    r.begun = calloc(r.inflight, sizeof r.begun[0]);
    if (r.begun == NULL) {
        abort();
    }
    must(natsInbox_Create(&r.inbox), "inbox");
    /* The first requests precede the subscription's thread: it alone asks afterwards. */
    measure_begin(&r.measure);
    must(natsConnection_SubscribeSync(&sub, c, r.inbox), "subscribe");
    for (uint64_t i = 0; i < r.inflight; i++) {
        ask_next(c, &r);
    }
    while (!atomic_load(&r.is_over)) {
        natsMsg *m = NULL;
        must(natsSubscription_NextMsg(&m, sub, 30000), "answer");
        on_answer(c, sub, m, &r);
    }
    measure_report(&r.measure, (double)r.done);
    return 0;
}

/* --- publish and subscribe --------------------------------------------------------------- */

struct shared {
    _Atomic uint64_t delivered;
    atomic_bool is_ready;
};

static void publish(char **argv, struct shared *shared)
{
    uint64_t count = strtoull(argv[1], NULL, 10), subs = strtoull(argv[2], NULL, 10);
    int size = (int)strtol(argv[3], NULL, 10);
    uint64_t ahead = strtoull(argv[4], NULL, 10);
    char *data = filling((size_t)size);
    natsConnection *c = dial(argv[0], false);
    while (!atomic_load(&shared->is_ready)) {
        (void)usleep(1000);
    }
    for (uint64_t i = 0; i < count; i++) {
        while (i - atomic_load_explicit(&shared->delivered, memory_order_relaxed) / subs >= ahead) {
            (void)usleep(1000);
        }
        must(natsConnection_Publish(c, "bench.topic", data, size), "publish");
    }
    must(natsConnection_FlushTimeout(c, 60000), "flush");
}

static void on_event(natsConnection *c, natsSubscription *sub, natsMsg *m, void *ctx)
{
    struct shared *shared = ctx;
    (void)c;
    (void)sub;
    natsMsg_Destroy(m);
    (void)atomic_fetch_add_explicit(&shared->delivered, 1, memory_order_relaxed);
}

/* argv: PORT COUNT SUBSCRIBERS SIZE AHEAD */
static int run_pub(char **argv)
{
    uint64_t subs = strtoull(argv[2], NULL, 10);
    uint64_t target = strtoull(argv[1], NULL, 10) * subs;
    uint64_t connections = subs < CONNECTIONS_MAX ? subs : CONNECTIONS_MAX;
    natsConnection *c[CONNECTIONS_MAX];
    struct measure measure;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        abort();
    }
    pid_t child = fork(); /* before the library has threads */
    if (child == 0) {
        publish(argv, shared);
        _exit(0);
    }
    /* A thread for each of 1 000 subscriptions would flatter us: the client's pool. */
    if (subs > CONNECTIONS_MAX && setenv("NATS_DEFAULT_TO_LIB_MSG_DELIVERY", "1", 1) != 0) {
        abort();
    }
    for (uint64_t i = 0; i < connections; i++) {
        c[i] = dial(argv[0], false);
    }
    for (uint64_t i = 0; i < subs; i++) {
        natsSubscription *sub = NULL;
        must(natsConnection_Subscribe(&sub, c[i % connections], "bench.topic", on_event, shared),
             "subscribe");
        must(natsSubscription_SetPendingLimits(sub, -1, -1), "limits");
    }
    for (uint64_t i = 0; i < connections; i++) {
        must(natsConnection_Flush(c[i]), "flush");
    }
    measure_begin(&measure);
    atomic_store(&shared->is_ready, true);
    while (atomic_load(&shared->delivered) < target) {
        (void)usleep(500);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        must(NATS_ERR, "publisher");
    }
    measure_report(&measure, (double)target);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc == 4 && strcmp(mode, "responder") == 0) {
        return respond(argv[2], strcmp(argv[3], "asap") == 0);
    }
    if (argc == 7 && strcmp(mode, "rr") == 0) {
        return run_rr(argv + 2);
    }
    if (argc == 7 && strcmp(mode, "pub") == 0) {
        return run_pub(argv + 2);
    }
    (void)fprintf(stderr, "usage: see the head of bench/peer_nats.c\n");
    return 2;
}
