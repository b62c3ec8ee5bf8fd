/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/bare_tls.c - the peer that benchmarks compare with: TLS 1.3 over TCP with
 * GnuTLS, blocking sockets, 64 KB writes, an Ed25519 raw key and nothing else.
 *
 *   bare_tls server            prints its port; one connection after the other
 *   bare_tls bulk PORT BYTES   the server sends BYTES, the client reads them
 *   bare_tls rr PORT COUNT     64-byte echoes, one in flight
 *   bare_tls hs PORT COUNT     full handshakes, one after the other
 *
 * One line of JSON with wall and CPU seconds per run; the server's at SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY                                                                                   \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:-GROUP-ALL:"             \
    "+GROUP-X25519:-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-RAWPK"

static gnutls_certificate_credentials_t creds;
static gnutls_priority_t priority;
static uint8_t block[65536];
static volatile sig_atomic_t stop_now;

static void die(const char *what)
{
    (void)fprintf(stderr, "bare_tls: %s\n", what);
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

static void set_up(bool is_server)
{
    gnutls_x509_privkey_t x;
    gnutls_privkey_t key;
    gnutls_pubkey_t pub;
    gnutls_datum_t priv_pem;
    gnutls_datum_t pub_pem;
    (void)gnutls_certificate_allocate_credentials(&creds);
    if (gnutls_priority_init(&priority, PRIORITY, NULL) != 0) {
        die("priority");
    }
    if (!is_server) {
        return;
    }
    (void)gnutls_x509_privkey_init(&x);
    (void)gnutls_x509_privkey_generate(x, GNUTLS_PK_EDDSA_ED25519, 256, 0);
    (void)gnutls_x509_privkey_export2_pkcs8(x, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                            &priv_pem);
    (void)gnutls_privkey_init(&key);
    (void)gnutls_privkey_import_x509(key, x, 0);
    (void)gnutls_pubkey_init(&pub);
    (void)gnutls_pubkey_import_privkey(pub, key, 0, 0);
    (void)gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_PEM, &pub_pem);
    if (gnutls_certificate_set_rawpk_key_mem(creds, &pub_pem, &priv_pem, GNUTLS_X509_FMT_PEM, NULL,
                                             0, NULL, 0, 0) < 0) {
        die("raw key");
    }
}

/* A connected socket with a finished handshake. */
static gnutls_session_t session(int fd, bool is_server)
{
    gnutls_session_t s;
    unsigned flags = GNUTLS_ENABLE_RAWPK | GNUTLS_NO_AUTO_SEND_TICKET;
    (void)gnutls_init(&s, flags | (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT));
    (void)gnutls_priority_set(s, priority);
    (void)gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, creds);
    gnutls_transport_set_int(s, fd);
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int rv;
    do {
        rv = gnutls_handshake(s);
    } while (rv < 0 && gnutls_error_is_fatal(rv) == 0);
    if (rv < 0) {
        gnutls_deinit(s);
        return NULL;
    }
    return s;
}

static bool read_all(gnutls_session_t s, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t got = gnutls_record_recv(s, p, n);
        if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static bool write_all(gnutls_session_t s, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t put = gnutls_record_send(s, p, n > 16384 ? 16384 : n);
        if (put == GNUTLS_E_AGAIN || put == GNUTLS_E_INTERRUPTED) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        p += put;
        n -= (size_t)put;
    }
    return true;
}

/* Requests of 64 bytes: the first eight are a size to send, or zero for an echo. */
static void answer(gnutls_session_t s)
{
    uint8_t head[64];
    while (read_all(s, head, sizeof head)) {
        uint64_t want = 0;
        for (size_t i = 0; i < 8; i++) {
            want = want << 8 | head[i];
        }
        if (want == 0 && !write_all(s, head, sizeof head)) {
            return;
        }
        while (want > 0) {
            size_t n = want < sizeof block ? (size_t)want : sizeof block;
            if (!write_all(s, block, n)) {
                return;
            }
            want -= n;
        }
    }
}

static void on_term(int sig)
{
    (void)sig;
    stop_now = 1;
}

static int serve(void)
{
    struct sigaction sa = {.sa_handler = on_term}; /* no SA_RESTART: accept returns */
    (void)sigaction(SIGTERM, &sa, NULL);
    int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    if (bind(lfd, (struct sockaddr *)&a, sizeof a) != 0 || listen(lfd, 64) != 0 ||
        getsockname(lfd, (struct sockaddr *)&a, &n) != 0) {
        die("bind");
    }
    printf("%u\n", ntohs(a.sin_port));
    (void)fflush(stdout);
    while (!stop_now) {
        int fd = accept(lfd, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        gnutls_session_t s = session(fd, true);
        if (s != NULL) {
            answer(s);
            gnutls_deinit(s);
        }
        (void)close(fd);
    }
    printf("{\"cpu\": %.3f}\n", cpu_seconds());
    return 0;
}

static gnutls_session_t dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        die("connect");
    }
    gnutls_session_t s = session(fd, false);
    if (s == NULL) {
        die("handshake");
    }
    return s;
}

static void hang_up(gnutls_session_t s)
{
    int fd = gnutls_transport_get_int(s);
    gnutls_deinit(s);
    (void)close(fd);
}

static uint64_t run_bulk(gnutls_session_t s, uint64_t target)
{
    uint8_t head[64] = {0};
    for (size_t i = 0; i < 8; i++) {
        head[i] = (uint8_t)(target >> (56 - 8 * i));
    }
    uint64_t got = 0;
    if (!write_all(s, head, sizeof head)) {
        return 0;
    }
    while (got < target) {
        ssize_t n = gnutls_record_recv(s, block, sizeof block);
        if (n <= 0 && n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED) {
            break;
        }
        got += n > 0 ? (uint64_t)n : 0;
    }
    return got;
}

static uint64_t run_rr(gnutls_session_t s, uint64_t target)
{
    uint8_t head[64] = {0};
    uint64_t done = 0;
    while (done < target && write_all(s, head, sizeof head) && read_all(s, head, sizeof head)) {
        done++;
    }
    return done;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    bool is_server = argc == 2 && strcmp(argv[1], "server") == 0;
    if (!is_server && argc != 4) {
        die("usage: see the head of bench/bare_tls.c");
    }
    set_up(is_server);
    if (is_server) {
        return serve();
    }
    uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
    uint64_t target = strtoull(argv[3], NULL, 10);
    uint64_t done = 0;
    double t0 = seconds();
    if (strcmp(argv[1], "hs") == 0) {
        for (; done < target; done++) {
            hang_up(dial(port));
        }
    } else {
        gnutls_session_t s = dial(port);
        t0 = seconds();
        done = strcmp(argv[1], "rr") == 0 ? run_rr(s, target) : run_bulk(s, target);
        hang_up(s);
    }
    printf("{\"wall\": %.4f, \"cpu\": %.3f, \"amount\": %.0f}\n", seconds() - t0, cpu_seconds(),
           (double)done);
    return done == target ? 0 : 1;
}
