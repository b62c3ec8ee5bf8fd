/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/hostile.c - clients that mean no good, against a node on loopback. The
 * driver (bench/run-hostile) watches the node's memory and processor time.
 *
 *   hostile deaf PORT KEY CONNS SECONDS     asks for 1 GB on 8 streams each, reads nothing
 *   hostile trickle PORT KEY CONNS SECONDS  a byte on a stream, then silence
 *   hostile churn PORT KEY COUNT            streams opened and reset at once
 *   hostile initials PORT KEY COUNT         real first flights, nobody behind them
 *   hostile forged PORT COUNT               Retry, Version Negotiation, resets, noise
 *
 * Bounded in count and time; prints one line of JSON.
 */
#include "alknet/alknet.h"
#include "base/rand.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST 64
#define STREAMS 8
#define SOURCES 64
#define DATAGRAM 1500

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "hostile: %s: %s\n", what, why == NULL ? "" : why);
    exit(1);
}

static double seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct attack {
    struct alk_loop *loop;
    struct alk_dial_options dial;
    bool is_deaf, is_trickle, is_churn;
    uint64_t count, done, opened, refused, started, inflight;
    struct alk_conn *conn;
};

/* --- connections that are opened and then misused ---------------------------------- */

static void ask(struct alk_conn *conn, uint64_t size)
{
    struct alk_stream *s;
    uint8_t request[REQUEST] = {0};
    for (size_t i = 0; i < 8; i++) {
        request[i] = (uint8_t)(size >> (56 - 8 * i));
    }
    size_t took;
    if (alk_conn_open_stream(conn, NULL, NULL, &s) == ALK_OK &&
        alk_stream_write(s, (struct alk_span){request, sizeof request}, &took) == ALK_OK) {
        alk_stream_finish(s);
    }
}

static void churn(struct attack *a)
{
    struct alk_stream *s;
    while (a->done < a->count && alk_conn_open_stream(a->conn, NULL, NULL, &s) == ALK_OK) {
        size_t took;
        if (alk_stream_write(s, (struct alk_span){(const uint8_t *)"x", 1}, &took) != ALK_OK) {
            die("churn", "write");
        }
        alk_stream_close(s, ALK_CODE_LIMIT);
        a->done++;
    }
    if (a->done == a->count) {
        alk_loop_stop(a->loop);
    }
}

static void opened(void *ctx, struct alk_conn *conn)
{
    struct attack *a = ctx;
    a->opened++;
    a->inflight--;
    if (a->is_deaf) {
        for (int i = 0; i < STREAMS; i++) {
            ask(conn, (uint64_t)1 << 30);
        }
    } else if (a->is_trickle) {
        struct alk_stream *s;
        size_t took;
        if (alk_conn_open_stream(conn, NULL, NULL, &s) == ALK_OK) {
            alk_err err = alk_stream_write(s, (struct alk_span){(const uint8_t *)"x", 1}, &took);
            (void)err;
        }
    } else {
        a->conn = conn;
        churn(a);
    }
}

static void failed(void *ctx, alk_err err, const char *message)
{
    struct attack *a = ctx;
    (void)err;
    (void)message;
    a->refused++;
    a->inflight--;
}

static void credit(void *ctx)
{
    struct attack *a = ctx;
    if (a->is_churn) {
        churn(a);
    }
}

static void closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct attack *a = ctx;
    (void)reason;
    (void)why;
    if (a->is_churn) {
        (void)fprintf(stderr, "hostile: closed with code %llu\n", (unsigned long long)code);
        alk_loop_stop(a->loop);
    }
}

static const struct alk_client_calls calls = {
    .opened = opened, .failed = failed, .credit = credit, .closed = closed};

static void dial_one(struct attack *a)
{
    struct alk_dial *d;
    if (alk_dial(a->loop, &a->dial, &calls, a, &d) != ALK_OK) {
        die("dial", NULL);
    }
    a->started++;
    a->inflight++;
}

static int run_conns(struct attack *a, double for_seconds)
{
    uint64_t conns = a->is_churn ? 1 : a->count;
    double until = seconds() + for_seconds;
    double t0 = seconds();
    while (seconds() < until && !(a->is_churn && a->done == a->count)) {
        while (a->started < conns && a->inflight < 50) {
            dial_one(a);
        }
        if (!alk_loop_run_once(a->loop, 50)) {
            break;
        }
    }
    printf("{\"opened\": %llu, \"refused\": %llu, \"done\": %llu, \"wall\": %.3f}\n",
           (unsigned long long)a->opened, (unsigned long long)a->refused,
           (unsigned long long)a->done, seconds() - t0);
    return 0;
}

/* --- datagrams ------------------------------------------------------------------------ */

static int udp_socket(struct sockaddr_in *ret)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof *ret;
    if (fd < 0 || bind(fd, (struct sockaddr *)ret, sizeof *ret) != 0 ||
        getsockname(fd, (struct sockaddr *)ret, &n) != 0) {
        die("socket", NULL);
    }
    return fd;
}

static void open_sources(int *fds)
{
    struct sockaddr_in any;
    for (size_t i = 0; i < SOURCES; i++) {
        fds[i] = udp_socket(&any);
    }
}

struct packet {
    uint8_t data[DATAGRAM];
    size_t n;
};

/* First flights: dialled into a socket of ours that never answers. */
static size_t collect(struct attack *a, struct packet *packets, size_t max)
{
    struct sockaddr_in at;
    int sink = udp_socket(&at);
    size_t n = 0;
    a->dial.port = ntohs(at.sin_port);
    a->dial.transports = ALK_TRANSPORT_QUIC;
    while (n < max) {
        struct alk_dial *d;
        if (alk_dial(a->loop, &a->dial, &calls, a, &d) != ALK_OK) {
            die("dial", NULL);
        }
        ssize_t got = -1;
        double until = seconds() + 5;
        while (got <= 0 && seconds() < until) {
            (void)alk_loop_run_once(a->loop, 1);
            got = recv(sink, packets[n].data, DATAGRAM, 0);
        }
        alk_dial_cancel(d);
        (void)alk_loop_run_once(a->loop, 0);
        if (got >= 1200) {
            packets[n++].n = (size_t)got;
        }
        uint8_t rest[DATAGRAM];
        while (recv(sink, rest, sizeof rest, 0) > 0) {
            /* the close of the attempt that was cancelled, and the like */
        }
    }
    (void)close(sink);
    return n;
}

static double blast(uint16_t port, const struct packet *packets, size_t n)
{
    int fds[SOURCES];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    open_sources(fds);
    double t0 = seconds();
    for (size_t i = 0; i < n; i++) {
        (void)sendto(fds[i % SOURCES], packets[i].data, packets[i].n, 0, (struct sockaddr *)&to,
                     sizeof to);
        if (i % 16 == 15) { /* about 30 000 a second, so that they arrive */
            struct timespec ts = {.tv_nsec = 500000};
            (void)nanosleep(&ts, NULL);
        }
    }
    double wall = seconds() - t0;
    for (size_t i = 0; i < SOURCES; i++) {
        (void)close(fds[i]);
    }
    return wall;
}

static void forge(struct alk_prng *g, struct packet *k)
{
    struct alk_rand r = alk_prng_rand(g);
    uint64_t kind = alk_rand_below(&r, 5);
    k->n = kind == 4 ? (size_t)alk_rand_below(&r, 60) + 1 : 1200;
    alk_rand_fill(&r, k->data, k->n);
    switch (kind) {
    case 0: /* Initial whose payload does not decrypt */
    case 1: /* Retry */
        k->data[0] = kind == 0 ? 0xc3 : 0xf0;
        memcpy(k->data + 1, "\0\0\0\1", 4);
        k->data[5] = 8;
        k->data[14] = 8;
        break;
    case 2: /* Version Negotiation */
        k->data[0] = 0x80;
        memcpy(k->data + 1, "\0\0\0\0", 4);
        k->data[5] = 8;
        k->data[14] = 8;
        break;
    default: /* short header: a reset, or data of an unknown connection */
        k->data[0] = (uint8_t)((k->data[0] & 0x3f) | 0x40);
        break;
    }
}

static int run_datagrams(struct attack *a, uint16_t port, bool is_forged)
{
    struct packet *packets = calloc(a->count, sizeof *packets);
    if (packets == NULL) {
        die("memory", NULL);
    }
    size_t n = a->count;
    if (is_forged) {
        struct alk_prng g;
        alk_prng_init(&g, 1);
        for (size_t i = 0; i < n; i++) {
            forge(&g, &packets[i]);
        }
    } else {
        n = collect(a, packets, n);
    }
    printf("ready\n");
    (void)fflush(stdout);
    double wall = blast(port, packets, n);
    printf("{\"sent\": %zu, \"wall\": %.3f}\n", n, wall);
    free(packets);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    static const char *const offered[] = {"load", NULL};
    static uint8_t key[32];
    struct attack a = {
        .is_deaf = strcmp(mode, "deaf") == 0 && argc == 6,
        .is_trickle = strcmp(mode, "trickle") == 0 && argc == 6,
        .is_churn = strcmp(mode, "churn") == 0 && argc == 5,
    };
    bool is_initials = strcmp(mode, "initials") == 0 && argc == 5;
    bool is_forged = strcmp(mode, "forged") == 0 && argc == 4;
    if (!(a.is_deaf || a.is_trickle || a.is_churn || is_initials || is_forged)) {
        die("usage", "see the head of bench/hostile.c");
    }
    uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
    a.count = strtoull(argv[is_forged ? 3 : 4], NULL, 10);
    if (a.count == 0 || a.count > 1000000) {
        die("count", "1 to 1000000");
    }
    if (is_forged) {
        return run_datagrams(&a, port, true);
    }
    size_t n;
    if (alk_unz32((struct alk_span){(const uint8_t *)argv[3], strlen(argv[3])}, key, sizeof key,
                  &n) != ALK_OK ||
        alk_loop_new(NULL, &a.loop) != ALK_OK) {
        die("key", argv[3]);
    }
    a.dial = (struct alk_dial_options){
        .struct_size = sizeof a.dial,
        .host = "127.0.0.1",
        .port = port,
        .alpns = offered,
        .pinned_key = key,
        .transports = ALK_TRANSPORT_QUIC,
    };
    if (is_initials) {
        return run_datagrams(&a, port, false);
    }
    return run_conns(&a, argc > 5 ? strtod(argv[5], NULL) : 60);
}
