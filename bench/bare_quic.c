/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/bare_quic.c - the peer that benchmarks compare with: GnuTLS and ngtcp2 in
 * one bare loop, with the same socket options (GSO, GRO, batching), the same
 * cipher and the same windows, and nothing else: no router, no identity, no
 * limits, no handler. Not an example of how to write a server.
 * lint: size: whole file: what is measured against is best read in one piece
 *
 *   bare_quic server                    prints its port; CPU seconds at SIGTERM
 *   bare_quic bulk PORT BYTES           one stream, server to client
 *   bare_quic rr PORT COUNT INFLIGHT    64-byte requests, a stream each
 *   bare_quic hs PORT COUNT PARALLEL M  full handshakes; M 1: client key too
 *   bare_quic idle PORT COUNT           connections; prints, then waits for stdin
 *
 * One line of JSON with wall and CPU seconds per run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/udp.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CID_LEN 8
#define TABLE ((size_t)1 << 17)
#define BATCH ((size_t)65536)
#define SEGMENTS ((size_t)44) /* 44 * 1452 < 64 KiB */
#define RECV 16
#define PRIORITY                                                                                   \
    "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"          \
    "+AES-256-GCM:-GROUP-ALL:+GROUP-X25519:-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-RAWPK"

struct stream {
    int64_t id;
    uint64_t left; /* bytes still to send */
    uint64_t got;
    uint8_t head[64];
    size_t head_n;
    bool is_queued, is_fin_sent, is_active;
    struct stream *next;
};

struct conn {
    ngtcp2_conn *qc;
    gnutls_session_t gs;
    ngtcp2_crypto_conn_ref ref;
    struct sockaddr_in remote;
    struct stream *queue_head, *queue_tail;
    bool is_dirty, is_done, is_closed;
    struct conn *next_dirty;
    ngtcp2_tstamp expiry;
    size_t heap_at;
    struct conn *next_free;
};

static struct {
    int fd;
    bool is_server;
    struct sockaddr_in local;
    gnutls_certificate_credentials_t creds;
    gnutls_priority_t priority;
    struct {
        uint64_t key;
        struct conn *conn;
    } *table;
    struct conn *dirty_head, *dirty_tail;
    struct conn **heap;
    size_t heap_n, heap_size;
    uint8_t secret[32];
    /* the client's run */
    uint64_t target, done, started, inflight, max_inflight;
    bool is_rr, is_bulk, is_hs, with_key;
    uint64_t handshakes;
    struct conn *main;
} g;

static volatile sig_atomic_t stop_now;

static void die(const char *what)
{
    (void)fprintf(stderr, "bare_quic: %s\n", what);
    exit(1);
}

static ngtcp2_tstamp now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NGTCP2_SECONDS + (uint64_t)ts.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* --- connection ids and deadlines ---------------------------------------------- */

static uint64_t key_of(const uint8_t *cid, size_t n)
{
    uint64_t k = 0;
    memcpy(&k, cid, n < 8 ? n : 8);
    return k == 0 ? 1 : k;
}

static size_t slot_of(uint64_t key)
{
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & (TABLE - 1);
    while (g.table[i].key != 0 && g.table[i].key != key) {
        i = (i + 1) & (TABLE - 1);
    }
    return i;
}

static void map_put(const uint8_t *cid, size_t n, struct conn *c)
{
    uint64_t key = key_of(cid, n);
    size_t i = slot_of(key);
    g.table[i].key = key;
    g.table[i].conn = c; /* NULL: a tombstone that keeps its probe chain */
}

static struct conn *map_get(const uint8_t *cid, size_t n)
{
    return g.table[slot_of(key_of(cid, n))].conn;
}

static void heap_swap(size_t a, size_t b)
{
    struct conn *t = g.heap[a];
    g.heap[a] = g.heap[b];
    g.heap[b] = t;
    g.heap[a]->heap_at = a;
    g.heap[b]->heap_at = b;
}

static void heap_fix(size_t i)
{
    while (i > 0 && g.heap[i]->expiry < g.heap[(i - 1) / 2]->expiry) {
        heap_swap(i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t m = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < g.heap_n; k++) {
            m = g.heap[k]->expiry < g.heap[m]->expiry ? k : m;
        }
        if (m == i) {
            return;
        }
        heap_swap(i, m);
        i = m;
    }
}

static void heap_add(struct conn *c)
{
    if (g.heap_n == g.heap_size) {
        g.heap_size = g.heap_size == 0 ? 1024 : g.heap_size * 2;
        g.heap = realloc(g.heap, g.heap_size * sizeof(struct conn *));
    }
    c->heap_at = g.heap_n;
    g.heap[g.heap_n++] = c;
    heap_fix(c->heap_at);
}

static void heap_remove(struct conn *c)
{
    size_t i = c->heap_at;
    heap_swap(i, g.heap_n - 1);
    g.heap_n--;
    if (i < g.heap_n) {
        heap_fix(i);
    }
}

static void mark(struct conn *c)
{
    if (!c->is_dirty) {
        c->is_dirty = true;
        c->next_dirty = NULL;
        if (g.dirty_tail == NULL) {
            g.dirty_head = c;
        } else {
            g.dirty_tail->next_dirty = c;
        }
        g.dirty_tail = c;
    }
}

static void queue(struct conn *c, struct stream *s)
{
    if (!s->is_queued) {
        s->is_queued = true;
        s->next = NULL;
        if (c->queue_tail == NULL) {
            c->queue_head = s;
        } else {
            c->queue_tail->next = s;
        }
        c->queue_tail = s;
    }
    mark(c);
}

/* --- callbacks -------------------------------------------------------------------- */

static ngtcp2_conn *ref_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct conn *)ref->user_data)->qc;
}

static void cb_rand(uint8_t *p, size_t n, const ngtcp2_rand_ctx *ctx)
{
    (void)ctx;
    (void)gnutls_rnd(GNUTLS_RND_NONCE, p, n);
}

static int cb_new_cid(ngtcp2_conn *qc, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
    (void)qc;
    (void)gnutls_rnd(GNUTLS_RND_NONCE, cid->data, len);
    cid->datalen = len;
    map_put(cid->data, len, user);
    return ngtcp2_crypto_generate_stateless_reset_token(token, g.secret, sizeof g.secret, cid);
}

static int cb_remove_cid(ngtcp2_conn *qc, const ngtcp2_cid *cid, void *user)
{
    (void)qc;
    (void)user;
    map_put(cid->data, cid->datalen, NULL);
    return 0;
}

static struct stream *stream_new(ngtcp2_conn *qc, int64_t id)
{
    struct stream *s = calloc(1, sizeof *s);
    s->id = id;
    (void)ngtcp2_conn_set_stream_user_data(qc, id, s);
    return s;
}

static void start_requests(struct conn *c)
{
    while (g.is_rr && g.started < g.target && g.inflight < g.max_inflight) {
        int64_t id;
        if (ngtcp2_conn_open_bidi_stream(c->qc, &id, NULL) != 0) {
            return;
        }
        struct stream *s = stream_new(c->qc, id);
        s->left = 64;
        g.started++;
        g.inflight++;
        queue(c, s);
    }
}

static int cb_stream_data(ngtcp2_conn *qc, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *data, size_t n, void *user, void *stream_user)
{
    (void)offset;
    struct conn *c = user;
    struct stream *s = stream_user == NULL ? stream_new(qc, id) : stream_user;
    s->got += n;
    (void)ngtcp2_conn_extend_max_stream_offset(qc, id, n);
    ngtcp2_conn_extend_max_offset(qc, n);
    if (g.is_server) {
        for (size_t i = 0; i < n && s->head_n < sizeof s->head; i++) {
            s->head[s->head_n++] = data[i];
        }
        if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) {
            uint64_t want = 0;
            for (size_t i = 0; i < 8; i++) {
                want = want << 8 | s->head[i];
            }
            s->left = s->head_n == 8 ? want : s->head_n; /* 8 bytes: a size; else echo */
            queue(c, s);
        }
    } else if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0 && g.is_bulk) {
        g.done = s->got;
        c->is_done = true;
    }
    mark(c);
    return 0;
}

static int cb_stream_close(ngtcp2_conn *qc, uint32_t flags, int64_t id, uint64_t code, void *user,
                           void *stream_user)
{
    (void)flags;
    (void)code;
    struct conn *c = user;
    struct stream *s = stream_user;
    if (g.is_server) {
        ngtcp2_conn_extend_max_streams_bidi(qc, 1);
    } else if (g.is_rr) {
        g.done++;
        g.inflight--;
        start_requests(c);
    }
    (void)id;
    if (s != NULL && !s->is_queued) {
        free(s);
    } else if (s != NULL) {
        s->is_active = false;
        s->left = 0;
        s->is_fin_sent = true; /* freed when the queue is walked */
        s->id = -1;
    }
    return 0;
}

static int cb_handshake(ngtcp2_conn *qc, void *user)
{
    (void)qc;
    struct conn *c = user;
    g.handshakes++;
    if (!g.is_server && g.is_rr) {
        start_requests(c);
    }
    mark(c);
    return 0;
}

/* A handshake counts when the server has confirmed it. */
static int cb_confirmed(ngtcp2_conn *qc, void *user)
{
    (void)qc;
    struct conn *c = user;
    if (!g.is_server && g.is_hs) {
        c->is_done = true;
        mark(c);
    }
    return 0;
}

static int cb_extend_streams(ngtcp2_conn *qc, uint64_t max, void *user)
{
    (void)qc;
    (void)max;
    start_requests(user);
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = cb_handshake,
    .handshake_confirmed = cb_confirmed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = cb_stream_data,
    .stream_close = cb_stream_close,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .extend_max_local_streams_bidi = cb_extend_streams,
    .rand = cb_rand,
    .get_new_connection_id = cb_new_cid,
    .remove_connection_id = cb_remove_cid,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

/* --- connections -------------------------------------------------------------------- */

static int hello_hook(gnutls_session_t gs, unsigned type, unsigned when, unsigned incoming,
                      const gnutls_datum_t *msg)
{
    (void)type;
    (void)when;
    (void)incoming;
    (void)msg;
    (void)gs;
    return 0;
}

static void tls_init(struct conn *c)
{
    unsigned flags = GNUTLS_ENABLE_RAWPK | GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_AUTO_SEND_TICKET;
    (void)gnutls_init(&c->gs, flags | (g.is_server ? GNUTLS_SERVER : GNUTLS_CLIENT));
    (void)gnutls_priority_set(c->gs, g.priority);
    (void)gnutls_credentials_set(c->gs, GNUTLS_CRD_CERTIFICATE, g.creds);
    c->ref.get_conn = ref_conn;
    c->ref.user_data = c;
    gnutls_session_set_ptr(c->gs, &c->ref);
    gnutls_datum_t alpn = {(unsigned char *)(uintptr_t) "bare", 4};
    (void)gnutls_alpn_set_protocols(c->gs, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    if (g.is_server) {
        (void)ngtcp2_crypto_gnutls_configure_server_session(c->gs);
        gnutls_certificate_server_set_request(c->gs, GNUTLS_CERT_REQUEST);
        gnutls_handshake_set_hook_function(c->gs, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE,
                                           hello_hook);
    } else {
        (void)ngtcp2_crypto_gnutls_configure_client_session(c->gs);
    }
}

static void settings_init(ngtcp2_settings *st, ngtcp2_transport_params *tp, ngtcp2_tstamp ts)
{
    ngtcp2_settings_default(st);
    st->initial_ts = ts;
    st->max_window = 16 << 20;
    st->max_stream_window = 16 << 20;
    st->handshake_timeout = 10 * NGTCP2_SECONDS;
    ngtcp2_transport_params_default(tp);
    tp->initial_max_data = 16 << 20;
    tp->initial_max_stream_data_bidi_local = 16 << 20;
    tp->initial_max_stream_data_bidi_remote = 16 << 20;
    tp->initial_max_streams_bidi = 1024;
    tp->max_idle_timeout = 60 * NGTCP2_SECONDS;
}

static ngtcp2_path path_of(struct conn *c)
{
    return (ngtcp2_path){
        .local = {(ngtcp2_sockaddr *)&g.local, sizeof g.local},
        .remote = {(ngtcp2_sockaddr *)&c->remote, sizeof c->remote},
    };
}

static struct conn *conn_server(const ngtcp2_pkt_hd *hd, const struct sockaddr_in *from,
                                ngtcp2_tstamp ts)
{
    struct conn *c = calloc(1, sizeof *c);
    c->remote = *from;
    ngtcp2_settings st;
    ngtcp2_transport_params tp;
    settings_init(&st, &tp, ts);
    tp.original_dcid = hd->dcid;
    tp.original_dcid_present = 1;
    ngtcp2_cid scid = {.datalen = CID_LEN};
    (void)gnutls_rnd(GNUTLS_RND_NONCE, scid.data, CID_LEN);
    ngtcp2_path path = path_of(c);
    if (ngtcp2_conn_server_new(&c->qc, &hd->scid, &scid, &path, hd->version, &callbacks, &st, &tp,
                               NULL, c) != 0) {
        die("server_new");
    }
    map_put(scid.data, CID_LEN, c);
    map_put(hd->dcid.data, hd->dcid.datalen, c);
    tls_init(c);
    ngtcp2_conn_set_tls_native_handle(c->qc, c->gs);
    c->expiry = UINT64_MAX;
    heap_add(c);
    return c;
}

static struct conn *conn_client(uint16_t port)
{
    struct conn *c = calloc(1, sizeof *c);
    c->remote = (struct sockaddr_in){.sin_family = AF_INET,
                                     .sin_port = htons(port),
                                     .sin_addr = {htonl(INADDR_LOOPBACK)}};
    ngtcp2_settings st;
    ngtcp2_transport_params tp;
    settings_init(&st, &tp, now());
    ngtcp2_cid scid = {.datalen = CID_LEN};
    ngtcp2_cid dcid = {.datalen = 18};
    (void)gnutls_rnd(GNUTLS_RND_NONCE, scid.data, CID_LEN);
    (void)gnutls_rnd(GNUTLS_RND_NONCE, dcid.data, dcid.datalen);
    ngtcp2_path path = path_of(c);
    if (ngtcp2_conn_client_new(&c->qc, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks, &st,
                               &tp, NULL, c) != 0) {
        die("client_new");
    }
    map_put(scid.data, CID_LEN, c);
    tls_init(c);
    ngtcp2_conn_set_tls_native_handle(c->qc, c->gs);
    c->expiry = UINT64_MAX;
    heap_add(c);
    mark(c);
    return c;
}

static void conn_free(struct conn *c)
{
    ngtcp2_cid cids[32];
    size_t n = ngtcp2_conn_get_scid(c->qc, NULL);
    n = n > 32 ? 32 : n;
    (void)ngtcp2_conn_get_scid(c->qc, cids);
    for (size_t i = 0; i < n; i++) {
        map_put(cids[i].data, cids[i].datalen, NULL);
    }
    const ngtcp2_cid *odcid = ngtcp2_conn_get_client_initial_dcid(c->qc);
    if (g.is_server && odcid != NULL) {
        map_put(odcid->data, odcid->datalen, NULL);
    }
    heap_remove(c);
    c->is_closed = true;
    ngtcp2_conn_del(c->qc);
    gnutls_deinit(c->gs);
    c->qc = NULL;
}

/* --- sending ---------------------------------------------------------------------------- */

static void send_batch(struct conn *c, const uint8_t *buf, size_t n, size_t segment)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    union {
        char buf[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } ctl;
    memset(&ctl, 0, sizeof ctl);
    struct msghdr m = {.msg_name = &c->remote,
                       .msg_namelen = sizeof c->remote,
                       .msg_iov = &iov,
                       .msg_iovlen = 1};
    if (n > segment) {
        m.msg_control = ctl.buf;
        m.msg_controllen = sizeof ctl.buf;
        struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
        cm->cmsg_level = SOL_UDP;
        cm->cmsg_type = UDP_SEGMENT;
        cm->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t s = (uint16_t)segment;
        memcpy(CMSG_DATA(cm), &s, sizeof s);
    }
    while (sendmsg(g.fd, &m, 0) < 0 && (errno == EAGAIN || errno == EINTR)) {
        struct pollfd p = {.fd = g.fd, .events = POLLOUT};
        (void)poll(&p, 1, 10);
    }
}

static uint8_t zeros[65536];

/* One packet. <0: failed; 0: nothing more now. */
static ngtcp2_ssize write_packet(struct conn *c, uint8_t *p, size_t size, ngtcp2_tstamp ts)
{
    ngtcp2_path_storage ps;
    ngtcp2_path_storage_zero(&ps);
    for (;;) {
        struct stream *s = c->queue_head;
        while (s != NULL && s->id < 0) { /* closed while it was queued */
            c->queue_head = s->next;
            free(s);
            s = c->queue_head;
        }
        if (s == NULL) {
            c->queue_tail = NULL;
        }
        ngtcp2_vec vec = {zeros, 0};
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
        int64_t id = -1;
        if (s != NULL && ngtcp2_conn_get_max_data_left(c->qc) > 0) {
            id = s->id;
            uint8_t *src = g.is_server && s->head_n != 8 ? s->head : zeros;
            vec.base = src;
            vec.len = s->left < sizeof zeros ? (size_t)s->left : sizeof zeros;
            if (!g.is_server && g.is_bulk) {
                vec.base = s->head;
                vec.len = (size_t)s->left;
            }
            if (vec.len == s->left) {
                flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
            }
        }
        ngtcp2_ssize taken = -1;
        ngtcp2_ssize n = ngtcp2_conn_writev_stream(c->qc, &ps.path, NULL, p, size, &taken, flags,
                                                   id, &vec, id < 0 ? 0 : 1, ts);
        if (s != NULL && id >= 0 && taken >= 0) {
            s->left -= (uint64_t)taken;
            if (s->left == 0) {
                s->is_queued = false;
                c->queue_head = s->next;
                if (c->queue_head == NULL) {
                    c->queue_tail = NULL;
                }
            }
        }
        if (n == NGTCP2_ERR_WRITE_MORE) {
            continue;
        }
        if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR) {
            s->is_queued = false;
            c->queue_head = s->next;
            if (c->queue_head == NULL) {
                c->queue_tail = NULL;
            }
            s->is_active = true; /* parked: comes back with max_stream_data */
            continue;
        }
        return n;
    }
}

static void write_conn(struct conn *c, ngtcp2_tstamp ts)
{
    static uint8_t buf[BATCH + 2048];
    size_t n = 0;
    size_t segment = 0;
    size_t quantum = ngtcp2_conn_get_send_quantum(c->qc);
    size_t max = ngtcp2_conn_get_max_tx_udp_payload_size(c->qc);
    size_t path_max = ngtcp2_conn_get_path_max_tx_udp_payload_size(c->qc);
    bool is_more = false;
    quantum = quantum > BATCH ? BATCH : quantum;
    for (size_t i = 0; i < SEGMENTS; i++) {
        size_t room = BATCH - n >= max ? max : path_max;
        ngtcp2_ssize w = write_packet(c, buf + n, room, ts);
        if (w < 0) {
            c->is_done = true;
            break;
        }
        if (w == 0) {
            break;
        }
        size_t len = (size_t)w;
        if (segment == 0) {
            segment = len;
            n = len;
        } else if (len > segment) {
            send_batch(c, buf, n, segment);
            memmove(buf, buf + n, len);
            segment = len;
            n = len;
            is_more = true;
            break;
        } else {
            n += len;
        }
        if (len < segment || n + path_max > quantum) {
            is_more = true;
            break;
        }
    }
    if (n > 0) {
        send_batch(c, buf, n, segment);
        ngtcp2_conn_update_pkt_tx_time(c->qc, ts);
    }
    if (is_more) {
        mark(c);
    }
    c->expiry = ngtcp2_conn_get_expiry(c->qc);
    heap_fix(c->heap_at);
}

static void close_conn(struct conn *c, ngtcp2_tstamp ts)
{
    uint8_t buf[1452];
    ngtcp2_path_storage ps;
    ngtcp2_path_storage_zero(&ps);
    ngtcp2_ccerr err;
    ngtcp2_ccerr_default(&err);
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(c->qc, &ps.path, NULL, buf, sizeof buf,
                                                        &err, ts);
    if (n > 0) {
        send_batch(c, buf, (size_t)n, (size_t)n);
    }
}

/* --- receiving ---------------------------------------------------------------------------- */

static void feed(uint8_t *p, size_t n, const struct sockaddr_in *from, ngtcp2_tstamp ts)
{
    ngtcp2_version_cid vc;
    if (ngtcp2_pkt_decode_version_cid(&vc, p, n, CID_LEN) != 0) {
        return;
    }
    struct conn *c = map_get(vc.dcid, vc.dcidlen);
    if (c == NULL) {
        ngtcp2_pkt_hd hd;
        if (!g.is_server || ngtcp2_accept(&hd, p, n) != 0) {
            return;
        }
        c = conn_server(&hd, from, ts);
    }
    ngtcp2_path path = path_of(c);
    int rv = ngtcp2_conn_read_pkt(c->qc, &path, NULL, p, n, ts);
    if (rv != 0) {
        c->is_done = true;
        if (rv != NGTCP2_ERR_DRAINING) {
            close_conn(c, ts);
        }
    }
    mark(c);
}

static void receive(void)
{
    static uint8_t bufs[RECV][BATCH];
    static struct mmsghdr msgs[RECV];
    static struct iovec iovs[RECV];
    static struct sockaddr_in from[RECV];
    static union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ctl[RECV];
    for (size_t i = 0; i < RECV; i++) {
        iovs[i] = (struct iovec){bufs[i], BATCH};
        msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                          .msg_namelen = sizeof from[i],
                                          .msg_iov = &iovs[i],
                                          .msg_iovlen = 1,
                                          .msg_control = ctl[i].buf,
                                          .msg_controllen = sizeof ctl[i].buf};
    }
    int got = recvmmsg(g.fd, msgs, RECV, MSG_DONTWAIT, NULL);
    ngtcp2_tstamp ts = now();
    for (int i = 0; i < got; i++) {
        size_t n = msgs[i].msg_len;
        size_t segment = n;
        for (struct cmsghdr *cm = CMSG_FIRSTHDR(&msgs[i].msg_hdr); cm != NULL;
             cm = CMSG_NXTHDR(&msgs[i].msg_hdr, cm)) {
            if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_GRO) {
                int s;
                memcpy(&s, CMSG_DATA(cm), sizeof s);
                segment = (size_t)s;
            }
        }
        for (size_t at = 0; at < n; at += segment) {
            feed(bufs[i] + at, n - at < segment ? n - at : segment, &from[i], ts);
        }
    }
}

static void turn(int wait_ms)
{
    ngtcp2_tstamp ts = now();
    if (g.dirty_head == NULL && g.heap_n > 0) {
        ngtcp2_tstamp t = g.heap[0]->expiry;
        uint64_t ms = t <= ts ? 0 : (t - ts) / NGTCP2_MILLISECONDS + 1;
        wait_ms = ms < (uint64_t)wait_ms ? (int)ms : wait_ms;
    } else if (g.dirty_head != NULL) {
        wait_ms = 0;
    }
    struct pollfd p = {.fd = g.fd, .events = POLLIN};
    if (poll(&p, 1, wait_ms) > 0) {
        receive();
    }
    ts = now();
    while (g.heap_n > 0 && g.heap[0]->expiry <= ts) {
        struct conn *c = g.heap[0];
        if (ngtcp2_conn_handle_expiry(c->qc, ts) != 0) {
            c->is_done = true;
        }
        c->expiry = ts + NGTCP2_MILLISECONDS;
        heap_fix(0);
        mark(c);
    }
    struct conn *list = g.dirty_head;
    g.dirty_head = NULL;
    g.dirty_tail = NULL;
    while (list != NULL) {
        struct conn *c = list;
        list = c->next_dirty;
        c->is_dirty = false;
        if (c->is_closed) { /* was marked again before it ended */
            free(c);
            continue;
        }
        if (!c->is_done || !g.is_server) {
            write_conn(c, ts);
        }
        if (c->is_done && c != g.main) {
            if (!g.is_server) {
                close_conn(c, ts);
                g.done++;
                g.inflight--;
            }
            conn_free(c);
            if (!c->is_dirty) {
                free(c);
            }
        }
    }
}

/* --- set-up ------------------------------------------------------------------------------- */

static void make_creds(void)
{
    gnutls_privkey_t key;
    gnutls_pubkey_t pub;
    gnutls_x509_privkey_t x;
    gnutls_datum_t priv_pem;
    gnutls_datum_t pub_pem;
    (void)gnutls_x509_privkey_init(&x);
    (void)gnutls_x509_privkey_generate(x, GNUTLS_PK_EDDSA_ED25519, 256, 0);
    (void)gnutls_x509_privkey_export2_pkcs8(x, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                            &priv_pem);
    (void)gnutls_privkey_init(&key);
    (void)gnutls_privkey_import_x509(key, x, 0);
    (void)gnutls_pubkey_init(&pub);
    (void)gnutls_pubkey_import_privkey(pub, key, 0, 0);
    (void)gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_PEM, &pub_pem);
    (void)gnutls_certificate_allocate_credentials(&g.creds);
    if ((g.is_server || g.with_key) &&
        gnutls_certificate_set_rawpk_key_mem(g.creds, &pub_pem, &priv_pem, GNUTLS_X509_FMT_PEM,
                                             NULL, 0, NULL, 0, 0) < 0) {
        die("raw key");
    }
    if (gnutls_priority_init(&g.priority, PRIORITY, NULL) != 0) {
        die("priority");
    }
}

static void open_socket(void)
{
    g.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int size = 4 << 20;
    int on = 1;
    (void)setsockopt(g.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(g.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(g.fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    g.local = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof g.local;
    if (bind(g.fd, (struct sockaddr *)&g.local, sizeof g.local) != 0 ||
        getsockname(g.fd, (struct sockaddr *)&g.local, &n) != 0) {
        die("bind");
    }
}

static void on_term(int sig)
{
    (void)sig;
    stop_now = 1;
}

static int serve(void)
{
    struct sigaction sa = {.sa_handler = on_term};
    (void)sigaction(SIGTERM, &sa, NULL);
    printf("%u\n", ntohs(g.local.sin_port));
    (void)fflush(stdout);
    while (!stop_now) {
        turn(1000);
    }
    printf("{\"cpu\": %.3f, \"handshakes\": %llu}\n", cpu_seconds(),
           (unsigned long long)g.handshakes);
    return 0;
}

static void report(double wall, double amount)
{
    printf("{\"wall\": %.4f, \"cpu\": %.3f, \"amount\": %.0f}\n", wall, cpu_seconds(), amount);
}

static int run_main(uint16_t port)
{
    ngtcp2_tstamp t0 = now();
    ngtcp2_tstamp limit = t0 + 120 * NGTCP2_SECONDS;
    g.main = conn_client(port);
    if (g.is_bulk) {
        struct stream *s = NULL;
        while (s == NULL && now() < limit) {
            turn(100);
            int64_t id;
            if (ngtcp2_conn_get_handshake_completed(g.main->qc) &&
                ngtcp2_conn_open_bidi_stream(g.main->qc, &id, NULL) == 0) {
                s = stream_new(g.main->qc, id);
                for (size_t i = 0; i < 8; i++) {
                    s->head[i] = (uint8_t)(g.target >> (56 - 8 * i));
                }
                s->left = 8;
                queue(g.main, s);
            }
        }
        t0 = now();
    }
    while (g.done < g.target && now() < limit && !(g.main->is_done && !g.is_bulk)) {
        turn(100);
    }
    if (g.done < g.target) {
        die("the run did not end");
    }
    report((double)(now() - t0) / 1e9, (double)g.done);
    close_conn(g.main, now());
    return 0;
}

static int run_handshakes(uint16_t port)
{
    ngtcp2_tstamp t0 = now();
    while (g.done < g.target && now() < t0 + 300 * NGTCP2_SECONDS) {
        while (g.started < g.target && g.inflight < g.max_inflight) {
            (void)conn_client(port);
            g.started++;
            g.inflight++;
        }
        turn(100);
    }
    report((double)(now() - t0) / 1e9, (double)g.done);
    return g.done == g.target ? 0 : 1;
}

static int run_idle(uint16_t port)
{
    uint64_t started = 0;
    while (g.handshakes < g.target) {
        while (started < g.target && started - g.handshakes < 50) {
            (void)conn_client(port);
            started++;
        }
        turn(100);
    }
    ngtcp2_tstamp t0 = now();
    while (now() < t0 + NGTCP2_SECONDS) {
        turn(50);
    }
    printf("{\"connections\": %llu}\n", (unsigned long long)g.handshakes);
    (void)fflush(stdout);
    char c;
    return read(0, &c, 1) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    g.is_server = strcmp(mode, "server") == 0;
    g.is_bulk = strcmp(mode, "bulk") == 0;
    g.is_rr = strcmp(mode, "rr") == 0;
    g.is_hs = strcmp(mode, "hs") == 0;
    bool is_idle = strcmp(mode, "idle") == 0;
    if (!(g.is_server || (g.is_bulk && argc == 4) || (g.is_rr && argc == 5) ||
          (g.is_hs && argc == 6) || (is_idle && argc == 4))) {
        die("usage: see the head of bench/bare_quic.c");
    }
    g.with_key = g.is_hs && strcmp(argv[5], "1") == 0;
    g.table = calloc(TABLE, sizeof *g.table);
    (void)gnutls_rnd(GNUTLS_RND_KEY, g.secret, sizeof g.secret);
    make_creds();
    open_socket();
    if (g.is_server) {
        return serve();
    }
    uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
    g.target = strtoull(argv[3], NULL, 10);
    g.max_inflight = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    if (is_idle) {
        return run_idle(port);
    }
    return g.is_hs ? run_handshakes(port) : run_main(port);
}
