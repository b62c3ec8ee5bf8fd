/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A link is one forwarded stream. It may outlive its stream by the bytes that the
 * local service has not taken yet, for at most REST_TIME. */
#include "core/host/forward.h"

#include "base/mem.h"
#include "core/config/node.h"
#include "core/host/proxy2.h"
#include "core/host/relay.h"
#include "core/io/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#define REST_TIME     (30 * ALK_SECOND)
#define SAY_EVERY     (60 * ALK_SECOND)
#define LINKS_MAX     4096 /* open at one time, per service */
#define BACKLOG_RETRY (10 * ALK_MS)

struct target {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } addr;
    socklen_t addr_len;
};

struct forward_service {
    atomic_size_t refs;
    const struct alk_mem *mem;
    alk_log_fn *log;
    void *log_ctx;
    char *name;
    char *text; /* the target as it was written, for the log */
    struct target target;
    alk_time connect_timeout;
    bool has_proxy_header;
    atomic_uint links;
    atomic_uint_fast64_t said_at; /* when the target's failure was logged last; 0: never */
    atomic_uint failures;         /* since then */
};

struct forward_conn {
    struct forward_service *service;
    struct alk_conn *conn;
};

struct link {
    struct forward_service *service;
    struct alk_loop *loop;
    struct alk_stream *stream; /* NULL: gone */
    int fd;                    /* while connecting; then the relay's */
    struct alk_watch *watch;   /* while connecting */
    struct alk_timer timer;    /* connecting; later: of the rest */
    struct alk_timer retry;    /* while a Unix target's backlog is full */
    struct alk_relay relay;
    struct alk_loop_end end;
    bool is_tls;
    bool in_ended, out_ended;
    uint8_t head[ALK_PROXY2_MAX];
    size_t head_n;
};

/* --- service -------------------------------------------------------------- */

static void service_unref(struct forward_service *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        alk_free(s->mem, s->name);
        alk_free(s->mem, s->text);
        alk_free(s->mem, s);
    }
}

static alk_err take_target(const char *text, struct target *ret)
{
    struct alk_config_forward f;
    struct target t = {0};
    char why[128];
    ALK_TRY(alk_config_forward_parse(alk_span_str(text), &f, why, sizeof why));
    if (f.kind == ALK_CONFIG_FORWARD_UNIX) {
        t.addr.un.sun_family = AF_UNIX;
        if (!alk_span_cstr(alk_span_str(f.path), t.addr.un.sun_path, sizeof t.addr.un.sun_path)) {
            return ALK_E_INVALID;
        }
        t.addr_len = sizeof t.addr.un;
    } else if (f.addr.family == 4) {
        t.addr.in.sin_family = AF_INET;
        t.addr.in.sin_port = htons(f.addr.port);
        memcpy(&t.addr.in.sin_addr, f.addr.ip, 4);
        t.addr_len = sizeof t.addr.in;
    } else {
        t.addr.in6.sin6_family = AF_INET6;
        t.addr.in6.sin6_port = htons(f.addr.port);
        t.addr.in6.sin6_scope_id = f.addr.scope;
        memcpy(&t.addr.in6.sin6_addr, f.addr.ip, 16);
        t.addr_len = sizeof t.addr.in6;
    }
    *ret = t;
    return ALK_OK;
}

static alk_err forward_start(const struct alk_conf *conf, const struct alk_env *env,
                             void **ret_service)
{
    const char *text = alk_conf_get_str(conf, "forward");
    struct target target;
    ALK_TRY(take_target(text, &target));
    struct forward_service *s = ALK_NEW(env->mem, struct forward_service);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&s->refs, 1);
    s->mem = env->mem;
    s->log = env->log;
    s->log_ctx = env->log_ctx;
    s->target = target;
    s->connect_timeout = alk_conf_get_uint(conf, "connect_timeout");
    s->has_proxy_header = alk_conf_get_bool(conf, "proxy_protocol");
    s->name = alk_strdup_span(s->mem, alk_span_str(env->service));
    bool is_hidden = alk_conf_is_secret(alk_conf_get(conf, "forward"));
    s->text = alk_strdup_span(s->mem, alk_span_str(is_hidden ? "the hidden target" : text));
    if (s->name == NULL || s->text == NULL) {
        service_unref(s);
        return ALK_E_NOMEM;
    }
    *ret_service = s;
    return ALK_OK;
}

static void forward_stop(void *service)
{
    service_unref(service);
}

/* Once per interval, with how many there were: a target that is down is asked
 * for by every stream. */
static void say_down(struct forward_service *s, alk_time now, const char *why)
{
    char line[512];
    uint64_t before = atomic_load_explicit(&s->said_at, memory_order_relaxed);
    unsigned count = atomic_fetch_add_explicit(&s->failures, 1, memory_order_relaxed) + 1;
    if (s->log == NULL || (before != 0 && now - before < SAY_EVERY) ||
        !atomic_compare_exchange_strong(&s->said_at, &before, now)) {
        return;
    }
    (void)atomic_fetch_sub_explicit(&s->failures, count, memory_order_relaxed);
    (void)snprintf(line, sizeof line, "%s: cannot reach %s: %s (%u stream%s)", s->name, s->text,
                   why, count, count == 1 ? "" : "s");
    s->log(s->log_ctx, ALK_LOG_ERROR, "service", line);
}

/* --- the end of a link ---------------------------------------------------- */

static void link_free(struct link *l)
{
    struct forward_service *s = l->service;
    alk_timer_stop(l->loop, &l->timer);
    alk_timer_stop(l->loop, &l->retry);
    alk_loop_end_remove(&l->end);
    alk_watch_free(l->watch);
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    alk_relay_fini(&l->relay);
    (void)atomic_fetch_sub_explicit(&s->links, 1, memory_order_relaxed);
    alk_free(s->mem, l);
    service_unref(s);
}

/* A TCP target hears of an abort by a RST: an end would look like success. */
static void abort_target(const struct link *l)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    int fd = l->fd >= 0 ? l->fd : l->relay.loop != NULL ? l->relay.out_fd : -1;
    if (fd >= 0 && l->service->target.addr.any.sa_family != AF_UNIX) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
}

static void abort_link(struct link *l, uint64_t code)
{
    abort_target(l);
    if (l->stream != NULL) {
        alk_stream_close(l->stream, code);
        l->stream = NULL;
        l->relay.stream = NULL;
    }
    link_free(l);
}

static void on_loop_end(void *ctx)
{
    abort_link(ctx, ALK_CODE_SHUTDOWN);
}

/* --- relaying ------------------------------------------------------------- */

static void check_end(struct link *l)
{
    if (l->in_ended && l->out_ended) {
        if (l->stream != NULL) {
            alk_stream_close(l->stream, ALK_CODE_NONE); /* both ends are stated */
            l->stream = NULL;
            l->relay.stream = NULL;
        }
        link_free(l);
    }
}

static void on_relay(void *ctx, unsigned events)
{
    struct link *l = ctx;
    if ((events & ALK_RELAY_FAILED) != 0) {
        abort_link(l, ALK_CODE_LIMIT);
        return;
    }
    /* The peer aborted, or the local service did: so does the other side. */
    if ((events & (ALK_RELAY_OUT_RESET | ALK_RELAY_IN_ERROR)) != 0) {
        abort_link(l, ALK_CODE_INTERNAL);
        return;
    }
    if ((events & ALK_RELAY_OUT_END) != 0) {
        alk_relay_end_out(&l->relay);
        l->out_ended = true;
    }
    if ((events & ALK_RELAY_OUT_REFUSED) != 0 && l->stream != NULL) {
        if (l->is_tls) {
            alk_relay_discard_out(&l->relay);
        } else {
            alk_stream_stop(l->stream, ALK_CODE_NONE);
            l->out_ended = true;
        }
    }
    if ((events & ALK_RELAY_IN_STOPPED) != 0) {
        l->in_ended = true;
    }
    if ((events & ALK_RELAY_IN_END) != 0) {
        alk_stream_finish(l->stream);
        l->in_ended = true;
    }
    if ((events & ALK_RELAY_CLOSED) != 0) {
        l->stream = NULL;
        l->in_ended = true;
        l->out_ended = l->out_ended || l->relay.out_over;
        alk_timer_set(l->loop, &l->timer, alk_loop_now(l->loop) + REST_TIME);
    }
    check_end(l);
}

static void start_relay(struct link *l)
{
    alk_timer_stop(l->loop, &l->retry);
    const struct alk_relay_options options = {
        .mem = l->service->mem,
        .loop = l->loop,
        .stream = l->stream,
        .out_fd = l->fd,
        .in_fd = l->fd,
        .fn = on_relay,
        .ctx = l,
    };
    l->fd = -1;
    alk_timer_stop(l->loop, &l->timer);
    if (alk_relay_init(&l->relay, &options) != ALK_OK) {
        abort_link(l, ALK_CODE_LIMIT);
    } else {
        alk_relay_run(&l->relay); /* what came while connecting was told before */
    }
}

/* --- connecting ----------------------------------------------------------- */

/* A fresh socket takes the header in one piece, or the machine has no memory. */
static bool send_head(struct link *l)
{
    return l->head_n == 0 ||
           send(l->fd, l->head, l->head_n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)l->head_n;
}

static void connected(struct link *l)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error == 0 && !send_head(l)) {
        error = EPIPE;
    }
    if (error != 0) {
        say_down(l->service, alk_loop_now(l->loop), strerror(error));
        abort_link(l, ALK_CODE_INTERNAL);
        return;
    }
    start_relay(l);
}

static void on_connect(void *ctx, unsigned ready)
{
    struct link *l = ctx;
    (void)ready;
    alk_watch_free(l->watch);
    l->watch = NULL;
    connected(l);
}

static void on_timer(struct alk_timer *timer, void *ctx)
{
    struct link *l = ctx;
    (void)timer;
    if (l->fd >= 0) {
        say_down(l->service, alk_loop_now(l->loop), "it does not answer");
        abort_link(l, ALK_CODE_TIMEOUT);
    } else {
        abort_link(l, ALK_CODE_NONE); /* the rest was not taken */
    }
}

/* Until the target answers: the stream may end. */
static void on_early(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct link *l = ctx;
    struct alk_span data;
    bool is_reset =
        (events & ALK_STREAM_READABLE) != 0 && alk_stream_peek(stream, &data) == ALK_E_RESET;
    if ((events & ALK_STREAM_CLOSED) != 0) {
        l->stream = NULL;
        link_free(l);
    } else if (is_reset) {
        abort_link(l, ALK_CODE_NONE);
    }
}

/* ALK_OK: connected. ALK_MORE: later. */
static alk_err try_connect(struct link *l)
{
    const struct target *t = &l->service->target;
    if (connect(l->fd, &t->addr.any, t->addr_len) == 0) {
        return ALK_OK;
    }
    if (errno == EAGAIN) { /* the backlog of a Unix socket is full: no event tells */
        alk_timer_set(l->loop, &l->retry, alk_loop_now(l->loop) + BACKLOG_RETRY);
        return ALK_MORE;
    }
    if (errno != EINPROGRESS) {
        say_down(l->service, alk_loop_now(l->loop), strerror(errno));
        return ALK_E_IO;
    }
    ALK_TRY(alk_watch_new(l->loop, l->fd, ALK_FD_WRITE, on_connect, l, &l->watch));
    return ALK_MORE;
}

static void on_retry(struct alk_timer *timer, void *ctx)
{
    struct link *l = ctx;
    (void)timer;
    alk_err err = try_connect(l);
    if (err == ALK_OK) {
        connected(l);
    } else if (err != ALK_MORE) {
        abort_link(l, alk_err_code(err));
    }
}

static alk_err link_connect(struct link *l)
{
    int family = l->service->target.addr.any.sa_family;
    int one = 1;
    l->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return errno == EMFILE || errno == ENFILE ? ALK_E_LIMIT : ALK_E_IO;
    }
    if (family != AF_UNIX) {
        (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    alk_err err = try_connect(l);
    if (err == ALK_MORE) {
        alk_timer_set(l->loop, &l->timer, alk_loop_now(l->loop) + l->service->connect_timeout);
    }
    return err;
}

static struct link *link_new(struct forward_conn *c, struct alk_stream *stream)
{
    struct forward_service *s = c->service;
    struct link *l = ALK_NEW(s->mem, struct link);
    if (l == NULL) {
        return NULL;
    }
    l->service = s;
    (void)atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    l->loop = alk_conn_loop(c->conn);
    l->stream = stream;
    l->fd = -1;
    l->is_tls = alk_conn_transport(c->conn) == ALK_TRANSPORT_TLS;
    l->timer = (struct alk_timer){.fn = on_timer, .ctx = l};
    l->retry = (struct alk_timer){.fn = on_retry, .ctx = l};
    l->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = l};
    alk_loop_end_add(l->loop, &l->end);
    return l;
}

static alk_err forward_stream(void *state, struct alk_stream *stream)
{
    struct forward_conn *c = state;
    struct forward_service *s = c->service;
    if (atomic_fetch_add_explicit(&s->links, 1, memory_order_relaxed) >= LINKS_MAX) {
        (void)atomic_fetch_sub_explicit(&s->links, 1, memory_order_relaxed);
        return ALK_E_LIMIT;
    }
    struct link *l = link_new(c, stream);
    if (l == NULL) {
        (void)atomic_fetch_sub_explicit(&s->links, 1, memory_order_relaxed);
        return ALK_E_NOMEM;
    }
    alk_err err = ALK_OK;
    if (s->has_proxy_header) {
        struct alk_wr w = alk_wr(l->head, sizeof l->head);
        err = alk_proxy2_write(&w, alk_conn_auth(c->conn));
        l->head_n = alk_wr_span(&w).n;
    }
    if (err == ALK_OK) {
        err = link_connect(l);
    }
    if (err == ALK_MORE) {
        alk_stream_on(stream, on_early, l);
        return ALK_OK;
    }
    if (err != ALK_OK) {
        l->stream = NULL; /* the dispatcher resets it */
        link_free(l);
        return err;
    }
    connected(l);
    return ALK_OK;
}

/* --- connections ---------------------------------------------------------- */

static alk_err forward_open(void *service, struct alk_conn *conn,
                            const struct alk_auth_context *auth, void **ret_state)
{
    struct forward_service *s = service;
    struct forward_conn *c = ALK_NEW(s->mem, struct forward_conn);
    (void)auth;
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    c->service = s;
    c->conn = conn;
    *ret_state = c;
    return ALK_OK;
}

static void forward_close(void *state, alk_err why, uint64_t code)
{
    struct forward_conn *c = state;
    (void)why;
    (void)code;
    if (c != NULL) {
        alk_free(c->service->mem, c);
    }
}

const struct alk_handler alk_forward_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "forward",
    .summary = "each stream to a local service",
    .flags = ALK_HANDLER_CONNECTS,
    .settings = alk_config_forward_rows,
    .start = forward_start,
    .stop = forward_stop,
    .open = forward_open,
    .stream = forward_stream,
    .close = forward_close,
};
