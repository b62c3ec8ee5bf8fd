/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One loop's share of an isolated service: a channel, its connections. */
#include "core/host/isolate_in.h"

#include "base/ct.h"
#include "base/mem.h"
#include "base/text.h"

#define QUEUE_SOFT ((size_t)4 << 20)
#define QUEUE_HARD ((size_t)32 << 20)
#define MESSAGES_PER_TURN 256
#define LOGS_PER_SECOND 50
#define IDS_MAX ((size_t)1 << 20)

static void condemn(struct shard *s)
{
    if (s->index == 0) {
        s->iso->status.is_ready = false; /* its exit is told later */
    }
    alk_isolate_condemn(s->iso, s->epoch);
    alk_shard_drop(s);
}

static void update_mask(struct shard *s)
{
    if (s->watch != NULL) {
        bool writes = alk_channel_has_queue(&s->channel);
        alk_watch_mask(s->watch, ALK_FD_READ | (writes ? (unsigned)ALK_FD_WRITE : 0U));
    }
}

alk_err alk_shard_send(struct shard *s, const struct alk_host_msg *m, int fd, bool is_urgent)
{
    uint8_t text[ALK_HOST_MSG_MAX];
    struct alk_wr w = alk_wr(text, sizeof text);
    if (s->channel.fd < 0 || alk_host_msg_write(&w, m) != ALK_OK) {
        alk_close_fds(&fd, 1);
        return s->channel.fd < 0 ? ALK_E_CLOSED : ALK_E_TOO_BIG;
    }
    if (s->channel.queued > QUEUE_HARD) {
        alk_close_fds(&fd, 1);
        return ALK_FULL; /* it does not read: the next PING finds out */
    }
    bool had_queue = alk_channel_has_queue(&s->channel);
    alk_err err = alk_channel_send(&s->channel, alk_wr_span(&w), &fd, fd < 0 ? 0 : 1, is_urgent);
    if (!had_queue && alk_channel_has_queue(&s->channel)) {
        update_mask(s);
    }
    return err;
}

/* --- messages from the host ----------------------------------------------- */

static struct shard_conn *find_conn(const struct shard *s, uint64_t id)
{
    return alk_map_get(&s->conn_ids, alk_span(&id, sizeof id));
}

static bool on_ready(struct shard *s, struct alk_host_msg *m)
{
    if (m->u.ready.version != ALK_HOST_VERSION) {
        return false;
    }
    s->state = ALK_HOST_RUNNING;
    if (s->index == 0) {
        alk_isolate_ready(s->iso, m->u.ready.sandbox);
    }
    return true;
}

/* A line of the host's, bounded in number: it is not ours. */
static void say_foreign(struct shard *s, enum alk_log_level level, struct alk_span text)
{
    alk_time second = alk_loop_now(s->loop) / ALK_SECOND;
    if (second != s->log_second) {
        s->log_second = second;
        s->log_count = 0;
    }
    if (s->log_count++ >= LOGS_PER_SECOND) {
        return;
    }
    struct alk_buf b;
    alk_buf_init(&b, s->iso->mem, 4 * ALK_HOST_TEXT_MAX + 16);
    (void)alk_buf_put_escaped(&b, text, ALK_HOST_TEXT_MAX);
    alk_isolate_say(s->iso, level, "%s", alk_buf_cstr(&b));
    alk_buf_fini(&b);
}

static bool on_log(struct shard *s, struct alk_host_msg *m)
{
    say_foreign(s, m->u.log.level, m->u.log.text);
    return true;
}

static bool on_error(struct shard *s, struct alk_host_msg *m)
{
    say_foreign(s, ALK_LOG_ERROR, m->u.error.text);
    return true;
}

static bool on_pong(struct shard *s, struct alk_host_msg *m)
{
    (void)m;
    if (s->index == 0) {
        alk_isolate_pong(s->iso);
    }
    return true;
}

static bool on_close(struct shard *s, struct alk_host_msg *m)
{
    struct shard_conn *c = find_conn(s, m->conn);
    if (c != NULL) {
        alk_conn_close(c->conn, m->u.close.code, m->u.close.reason);
    }
    return true;
}

static bool on_datagram(struct shard *s, struct alk_host_msg *m)
{
    struct shard_conn *c = find_conn(s, m->conn);
    if (c != NULL) {
        alk_err err = alk_conn_datagram(c->conn, m->u.bytes);
        (void)err; /* unreliable; it may have shrunk since the host was told */
    }
    return true;
}

static bool on_deny(struct shard *s, struct alk_host_msg *m)
{
    struct shard_conn *c = find_conn(s, m->conn);
    char method[32];
    char reason[64];
    if (c != NULL) {
        (void)alk_span_cstr(alk_span_head(m->u.deny.method, sizeof method - 1), method,
                            sizeof method);
        (void)alk_span_cstr(alk_span_head(m->u.deny.reason, sizeof reason - 1), reason,
                            sizeof reason);
        alk_conn_deny(c->conn, method, reason);
    }
    return true;
}

/* The connection does not end before its answers, so the pointer stays good. */
struct question {
    struct shard_conn *conn;
    uint64_t query, epoch;
};

static void answered(void *ctx, alk_err err, const struct alk_identity *identity,
                     uint64_t generation)
{
    struct question *q = ctx;
    struct shard_conn *c = q->conn;
    struct shard *s = c->shard;
    struct alk_host_msg m = {.type = ALK_HOST_RESOLVED, .conn = c->id};
    m.u.resolved.query = q->query;
    m.u.resolved.err = err;
    m.u.resolved.generation = generation;
    m.u.resolved.identity = err == ALK_OK ? identity : NULL;
    c->query_count--;
    if (q->epoch == s->epoch) {
        alk_err sent = alk_shard_send(s, &m, -1, true);
        if (sent == ALK_E_TOO_BIG) {
            m.u.resolved.err = ALK_E_UNAVAILABLE;
            m.u.resolved.identity = NULL;
            sent = alk_shard_send(s, &m, -1, true);
        }
        (void)sent;
    }
    alk_free(s->iso->mem, q);
}

static bool on_resolve(struct shard *s, struct alk_host_msg *m)
{
    struct shard_conn *c = find_conn(s, m->conn);
    char fingerprints[4][ALK_FINGERPRINT_MAX] = {{0}};
    char method[32];
    if (c == NULL) {
        return true;
    }
    struct question *q =
        c->query_count < ALK_SHARD_QUERIES_MAX ? ALK_NEW(s->iso->mem, struct question) : NULL;
    if (q == NULL) {
        return false; /* the host has a lower limit itself */
    }
    *q = (struct question){.conn = c, .query = m->u.resolve.query, .epoch = s->epoch};
    c->query_count++;
    for (size_t i = 0; i < m->u.resolve.fingerprint_count; i++) {
        (void)alk_span_cstr(m->u.resolve.fingerprints[i], fingerprints[i],
                            sizeof fingerprints[i]);
    }
    (void)alk_span_cstr(alk_span_head(m->u.resolve.method, sizeof method - 1), method,
                        sizeof method);
    const struct alk_auth_query query = {
        .kind = m->u.resolve.kind,
        .fingerprints = (const char(*)[ALK_FINGERPRINT_MAX])fingerprints,
        .fingerprint_count = m->u.resolve.fingerprint_count,
        .token = m->u.resolve.token,
    };
    alk_conn_resolve(c->conn, method, &query, answered, q);
    return true;
}

static bool (*const calls[])(struct shard *s, struct alk_host_msg *m) = {
    [ALK_HOST_READY] = on_ready,
    [ALK_HOST_ERROR] = on_error,
    [ALK_HOST_LOG] = on_log,
    [ALK_HOST_PONG] = on_pong,
    [ALK_HOST_CLOSE] = on_close,
    [ALK_HOST_DATAGRAM] = on_datagram,
    [ALK_HOST_FINISH] = alk_shard_on_finish,
    [ALK_HOST_RESET] = alk_shard_on_reset,
    [ALK_HOST_STOP] = alk_shard_on_stop,
    [ALK_HOST_RESOLVE] = on_resolve,
    [ALK_HOST_DENY] = on_deny,
};

static bool dispatch(struct shard *s, struct alk_span datagram, int fd)
{
    struct alk_host_msg m;
    alk_err err = alk_host_msg_parse(s->iso->mem, datagram, fd < 0 ? 0 : 1, s->state, &m);
    if (err != ALK_OK) {
        alk_close_fds(&fd, 1);
        alk_isolate_say(s->iso, ALK_LOG_ERROR, "its process broke the protocol (%s)",
                        alk_err_text(err));
        return false;
    }
    bool is_right;
    if (m.type == ALK_HOST_STREAM) {
        is_right = alk_shard_on_stream(s, &m, fd);
    } else {
        size_t count = sizeof(calls) / sizeof(calls[0]);
        is_right = m.type < count && calls[m.type] != NULL && calls[m.type](s, &m);
    }
    if (!is_right) {
        alk_isolate_say(s->iso, ALK_LOG_ERROR, "its process broke the protocol (%s)",
                        alk_host_type_name(m.type));
    }
    alk_host_msg_fini(&m);
    return is_right;
}

/* One message. ALK_OK, ALK_MORE: none; else the host is to be given up. */
static alk_err read_one(struct shard *s, uint8_t *buf)
{
    int fd = -1;
    size_t fd_count = 1;
    struct alk_span datagram;
    ALK_TRY(alk_channel_recv(&s->channel, buf, ALK_HOST_MSG_MAX, &fd, &fd_count, &datagram));
    bool is_right = dispatch(s, datagram, fd_count == 1 ? fd : -1);
    if (datagram.n > 0) {
        alk_wipe(buf, datagram.n); /* it can hold a token */
    }
    return is_right ? ALK_OK : ALK_E_PROTOCOL;
}

static void read_some(struct shard *s, int max)
{
    uint8_t buf[ALK_HOST_MSG_MAX];
    if (s->in_read) {
        return;
    }
    s->in_read = true;
    alk_err err = ALK_OK;
    uint64_t epoch = s->epoch;
    for (int i = 0; i < max && err == ALK_OK && s->channel.fd >= 0 && s->epoch == epoch; i++) {
        err = read_one(s, buf);
    }
    s->in_read = false;
    if (err != ALK_OK && err != ALK_MORE) {
        condemn(s);
    }
}

void alk_shard_read(struct shard *s)
{
    read_some(s, INT32_MAX);
}

static void on_channel(void *ctx, unsigned ready)
{
    struct shard *s = ctx;
    if ((ready & ALK_FD_WRITE) != 0) {
        alk_err err = alk_channel_flush(&s->channel);
        if (err != ALK_OK && err != ALK_FULL) {
            /* Its last words may still stand in the channel: read to the end. */
            alk_shard_read(s);
            if (s->channel.fd >= 0) {
                condemn(s);
            }
            return;
        }
    }
    if ((ready & ALK_FD_READ) != 0) {
        read_some(s, MESSAGES_PER_TURN);
    }
    update_mask(s);
}

static void on_verdict(struct alk_timer *timer, void *ctx)
{
    struct shard *s = ctx;
    (void)timer;
    alk_shard_read(s);
    alk_shard_verdicts(s);
}

/* --- a host comes and goes ------------------------------------------------ */

static void on_loop_end(void *ctx)
{
    alk_shard_fini(ctx);
}

void alk_shard_init(struct shard *s, struct isolate *iso, unsigned index)
{
    static const uint8_t seed[16] = {0}; /* numbers are ours, not the peers' */
    s->iso = alk_isolate_ref(iso);
    s->loop = iso->options.loops[index];
    s->index = index;
    s->channel.fd = -1;
    s->next_stream = 2;
    alk_list_init(&s->conns);
    alk_list_init(&s->verdicts);
    alk_map_init(&s->conn_ids, iso->mem, IDS_MAX, seed);
    alk_map_init(&s->stream_ids, iso->mem, IDS_MAX, seed);
    s->verdict_timer = (struct alk_timer){.fn = on_verdict, .ctx = s};
    s->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = s};
}

static alk_err send_hello(struct shard *s)
{
    const struct isolate *iso = s->iso;
    struct alk_host_msg m = {.type = ALK_HOST_HELLO};
    bool is_first = s->index == 0;
    m.u.hello.version = ALK_HOST_VERSION;
    m.u.hello.channel = (uint16_t)s->index;
    m.u.hello.settings_len = is_first ? (uint32_t)iso->settings_n : 0;
    m.u.hello.window = ALK_HOST_WINDOW;
    m.u.hello.memory = iso->memory;
    m.u.hello.service = alk_span_str(iso->name);
    ALK_TRY(alk_shard_send(s, &m, -1, true));
    struct alk_span rest = alk_span(iso->settings, is_first ? iso->settings_n : 0);
    while (rest.n > 0) {
        m = (struct alk_host_msg){.type = ALK_HOST_SETTINGS};
        m.u.bytes = alk_span_head(rest, ALK_HOST_PIECE_MAX);
        rest = alk_span_tail(rest, m.u.bytes.n);
        ALK_TRY(alk_shard_send(s, &m, -1, true));
    }
    return ALK_OK;
}

void alk_shard_adopt(struct shard *s, int fd, uint64_t epoch)
{
    alk_shard_drop(s);
    alk_channel_init(&s->channel, s->iso->mem, fd, QUEUE_SOFT);
    s->state = ALK_HOST_STARTING;
    s->epoch = epoch;
    if (!alk_link_is_in(&s->end.in)) {
        alk_loop_end_add(s->loop, &s->end);
    }
    alk_err err = alk_watch_new(s->loop, fd, ALK_FD_READ, on_channel, s, &s->watch);
    if (err == ALK_OK) {
        err = send_hello(s);
    }
    if (err != ALK_OK) {
        condemn(s);
        return;
    }
    struct alk_link *l = alk_list_first(&s->conns);
    for (; l != NULL; l = alk_list_next(&s->conns, l)) {
        /* One that does not fit now is introduced with its first stream. */
        err = alk_shard_introduce(ALK_CONTAINER(l, struct shard_conn, in));
    }
    (void)err;
    update_mask(s);
}

static void drop_waiting(struct shard_conn *c)
{
    struct alk_link *l;
    while ((l = alk_list_pop(&c->waiting)) != NULL) {
        struct shard_waiting *w = ALK_CONTAINER(l, struct shard_waiting, in);
        (void)close(w->fd);
        alk_free(c->shard->iso->mem, w);
    }
    c->waiting_count = 0;
}

/* Each stream is moved out of the way first: some stay until their bytes have
 * gone, all others free themselves. */
static void lose_streams(struct shard_conn *c)
{
    struct alk_list old;
    struct alk_link *l;
    alk_list_init(&old);
    while ((l = alk_list_pop(&c->streams)) != NULL) {
        alk_list_append(&old, l);
    }
    while ((l = alk_list_pop(&old)) != NULL) {
        alk_list_append(&c->streams, l);
        alk_shard_stream_lose(ALK_CONTAINER(l, struct shard_stream, in));
    }
}

void alk_shard_drop(struct shard *s)
{
    alk_watch_free(s->watch);
    s->watch = NULL;
    if (s->channel.fd < 0) {
        return;
    }
    alk_channel_fini(&s->channel);
    s->state = ALK_HOST_DEAD;
    struct alk_link *l = alk_list_first(&s->conns);
    for (; l != NULL; l = alk_list_next(&s->conns, l)) {
        struct shard_conn *c = ALK_CONTAINER(l, struct shard_conn, in);
        c->is_open = false;
        drop_waiting(c);
        lose_streams(c);
    }
}

void alk_shard_fini(struct shard *s)
{
    if (s->iso == NULL) {
        return;
    }
    alk_shard_drop(s);
    alk_timer_stop(s->loop, &s->verdict_timer);
    alk_loop_end_remove(&s->end);
    alk_map_fini(&s->conn_ids);
    alk_map_fini(&s->stream_ids);
    struct isolate *iso = s->iso;
    s->iso = NULL;
    alk_isolate_unref(iso);
}

/* --- connections ---------------------------------------------------------- */

static alk_err send_auth(struct shard_conn *c, enum alk_host_type type)
{
    struct alk_host_msg m = {.type = type, .conn = c->id};
    size_t max = alk_conn_datagram_max(c->conn);
    m.u.auth.auth = *alk_conn_auth(c->conn); /* borrows the identity */
    m.u.auth.datagram_max = (uint32_t)(max < ALK_HOST_BODY_MAX ? max : ALK_HOST_BODY_MAX);
    return alk_shard_send(c->shard, &m, -1, type == ALK_HOST_AUTH);
}

alk_err alk_shard_introduce(struct shard_conn *c)
{
    if (c->is_open) {
        return ALK_OK;
    }
    alk_err err = send_auth(c, ALK_HOST_OPEN);
    c->is_open = err == ALK_OK;
    switch ((int)err) {
    case ALK_FULL:
        return ALK_E_LIMIT;
    case ALK_E_CLOSED:
        return ALK_E_HOST_LOST;
    default:
        return err;
    }
}

void alk_shard_auth_changed(struct shard_conn *c)
{
    /* Without a host, or with one that does not know the connection yet, the next
     * OPEN carries what is new. */
    if (c->is_open && send_auth(c, ALK_HOST_AUTH) == ALK_E_TOO_BIG) {
        alk_conn_close(c->conn, ALK_CODE_LIMIT, ALK_LIT("identity too large"));
    }
}

static struct shard *shard_of(struct isolate *iso, const struct alk_loop *loop)
{
    for (size_t i = 0; i < iso->shard_count; i++) {
        if (iso->shards[i].loop == loop) {
            return &iso->shards[i];
        }
    }
    return NULL;
}

alk_err alk_shard_open(struct isolate *iso, struct alk_conn *conn, void **ret_state)
{
    struct shard *s = shard_of(iso, alk_conn_loop(conn));
    struct shard_conn *c = s == NULL ? NULL : ALK_NEW(iso->mem, struct shard_conn);
    if (c == NULL) {
        return s == NULL ? ALK_E_INVALID : ALK_E_NOMEM;
    }
    c->shard = s;
    c->conn = conn;
    c->id = ++s->next_conn;
    alk_list_init(&c->streams);
    alk_list_init(&c->waiting);
    alk_err err = alk_map_put(&s->conn_ids, alk_span(&c->id, sizeof c->id), c);
    if (err != ALK_OK) {
        alk_free(iso->mem, c);
        return err;
    }
    alk_list_append(&s->conns, &c->in);
    *ret_state = c;
    err = alk_shard_introduce(c);
    /* Without a host the connection waits: its streams fail until there is one. */
    return err == ALK_E_HOST_LOST ? ALK_OK : err;
}

void alk_shard_close(struct shard_conn *c, alk_err why, uint64_t code)
{
    struct shard *s = c->shard;
    struct alk_link *l;
    while ((l = alk_list_first(&c->streams)) != NULL) {
        alk_shard_stream_free(ALK_CONTAINER(l, struct shard_stream, in));
    }
    drop_waiting(c);
    if (c->is_open) {
        struct alk_host_msg m = {.type = ALK_HOST_CLOSE, .conn = c->id};
        m.u.close.err = why;
        m.u.close.code = code;
        alk_err err = alk_shard_send(s, &m, -1, true);
        (void)err;
    }
    (void)alk_map_remove(&s->conn_ids, alk_span(&c->id, sizeof c->id));
    alk_list_remove(&c->in);
    alk_free(s->iso->mem, c);
}

