/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/host_in.h"

#include "base/ct.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/host/sandbox.h"

#include <errno.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <sys/stat.h>

#define QUEUE_MAX         ((size_t)16 << 20)
#define MESSAGES_PER_TURN 256
#define PATHS_MAX         256
#define FILES_MAX         65536
#define HUB_SEED_SIZE     16

/* Exit statuses: for the log of the endpoint. */
enum { EXIT_ORDERLY = 0, EXIT_CHANNEL = 1, EXIT_PROTOCOL = 2, EXIT_START = 3, EXIT_MEMORY = 4 };

struct query {
    uint64_t id;
    alk_auth_done_fn *done;
    void *ctx;
    struct alk_link in;
};

/* Ends the process. The kernel closes the channels: the endpoint resets what was
 * not stated. No exit handlers: they are those of the endpoint's program. */
_Noreturn static void leave(int status)
{
    _exit(status);
}

/* --- sending -------------------------------------------------------------- */

static void update_mask(struct host_chan *c)
{
    bool reads = c->index == 0 || c->host->is_started;
    alk_watch_mask(c->watch, (reads ? (unsigned)ALK_FD_READ : 0U) |
                                 (alk_channel_has_queue(&c->ch) ? (unsigned)ALK_FD_WRITE : 0U));
}

static alk_err send_msg(struct host_chan *c, const struct alk_host_msg *m, int fd, bool is_urgent)
{
    uint8_t text[ALK_HOST_MSG_MAX];
    struct alk_wr w = alk_wr(text, sizeof text);
    if (alk_host_msg_write(&w, m) != ALK_OK) {
        alk_close_fds(&fd, 1);
        return ALK_E_TOO_BIG;
    }
    alk_err err = alk_channel_send(&c->ch, alk_wr_span(&w), &fd, fd < 0 ? 0 : 1, is_urgent);
    if (m->type == ALK_HOST_RESOLVE) {
        alk_wipe(text, alk_wr_span(&w).n); /* a token */
    }
    if (alk_channel_has_queue(&c->ch)) {
        update_mask(c);
    }
    return err;
}

void alk_host_send(struct host_chan *c, const struct alk_host_msg *m, int fd)
{
    alk_err err = send_msg(c, m, fd, true);
    if (err != ALK_OK || c->ch.queued > QUEUE_MAX) {
        leave(err == ALK_E_CLOSED ? EXIT_CHANNEL : EXIT_MEMORY);
    }
}

void alk_host_close_fd(struct host_chan *c, int fd)
{
    struct host_late *late =
        alk_channel_has_queue(&c->ch) ? ALK_NEW(c->host->hub.mem, struct host_late) : NULL;
    if (late == NULL) {
        (void)close(fd);
        return;
    }
    late->fd = fd;
    late->next = c->late;
    c->late = late;
}

static void close_late(struct host_chan *c)
{
    while (c->late != NULL) {
        struct host_late *late = c->late;
        c->late = late->next;
        (void)close(late->fd);
        alk_free(c->host->hub.mem, late);
    }
}

bool alk_host_try_send(struct host_chan *c, const struct alk_host_msg *m)
{
    return send_msg(c, m, -1, false) == ALK_OK;
}

static void say(struct alk_host *host, enum alk_log_level level, const char *line)
{
    struct alk_host_msg m = {.type = ALK_HOST_LOG};
    m.u.log.level = level;
    m.u.log.text = alk_span_str(line);
    (void)alk_host_try_send(&host->chans[0], &m); /* a log that is not read is dropped */
}

static void on_env_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    (void)component; /* the endpoint names the service */
    say(ctx, level, line);
}

static void on_hub_log(void *ctx, enum alk_log_level level, struct alk_conn *conn, const char *line)
{
    char text[ALK_HOST_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s: %s", conn->auth.log_id, line);
    say(ctx, level, text);
}

/* --- credentials ---------------------------------------------------------- */

static void resolve(void *provider, const struct alk_auth_query *query, alk_auth_done_fn *done,
                    void *ctx)
{
    struct alk_host *host = provider;
    /* alk_conn_resolve has put the connection's own context there. */
    const struct alk_conn *conn =
        ALK_CONTAINER((uintptr_t)query->context, const struct alk_conn, auth);
    const struct host_conn *hc = ALK_CONTAINER((uintptr_t)conn, const struct host_conn, conn);
    struct host_chan *c = hc->chan;
    struct query *q =
        c->query_count < ALK_HOST_QUERIES_MAX ? ALK_NEW(host->hub.mem, struct query) : NULL;
    if (q == NULL) {
        done(ctx, ALK_E_UNAVAILABLE, NULL, 0);
        return;
    }
    struct alk_host_msg m = {.type = ALK_HOST_RESOLVE, .conn = hc->id};
    q->id = m.u.resolve.query = ++c->next_query;
    q->done = done;
    q->ctx = ctx;
    m.u.resolve.kind = query->kind;
    m.u.resolve.method = alk_span_str(query->method);
    m.u.resolve.token = query->token;
    for (size_t i = 0; i < query->fingerprint_count && i < 4; i++) {
        m.u.resolve.fingerprints[i] = alk_span_str(query->fingerprints[i]);
        m.u.resolve.fingerprint_count++;
    }
    if (query->token.n > ALK_HOST_TEXT_MAX) {
        m.u.resolve.token = alk_span(NULL, 0); /* no token is that long: unknown */
    }
    alk_list_append(&c->queries, &q->in);
    c->query_count++;
    alk_host_send(c, &m, -1);
}

static const struct alk_identity_provider provider_vtable = {
    .struct_size = sizeof(struct alk_identity_provider),
    .name = "endpoint",
    .resolve = resolve,
};

static bool on_resolved(struct host_chan *c, struct alk_host_msg *m)
{
    struct alk_link *l = alk_list_first(&c->queries);
    for (; l != NULL; l = alk_list_next(&c->queries, l)) {
        struct query *q = ALK_CONTAINER(l, struct query, in);
        if (q->id == m->u.resolved.query) {
            alk_list_remove(&q->in);
            c->query_count--;
            c->host->is_answering = true;
            q->done(q->ctx, m->u.resolved.err, m->u.resolved.identity, m->u.resolved.generation);
            c->host->is_answering = false;
            alk_free(c->host->hub.mem, q);
            return true;
        }
    }
    return false;
}

/* A failed resolve was counted by the endpoint already; a denial was not. */
static void on_auth_failed(void *ctx, struct alk_conn *conn, const char *method, const char *reason)
{
    struct alk_host *host = ctx;
    const struct host_conn *hc = ALK_CONTAINER(conn, struct host_conn, conn);
    if (!host->is_answering) {
        struct alk_host_msg m = {.type = ALK_HOST_DENY, .conn = hc->id};
        m.u.deny.method = alk_span_str(method);
        m.u.deny.reason = alk_span_str(reason);
        alk_host_send(hc->chan, &m, -1);
    }
}

/* --- start ---------------------------------------------------------------- */

struct path_list {
    struct alk_sandbox_path paths[PATHS_MAX];
    size_t count;
};

/* Every absolute path in the settings: they name what the service may reach. */
static void collect_paths(const struct alk_conf *conf, struct path_list *list)
{
    struct stat st;
    for (size_t i = 0; i < alk_conf_count(conf); i++) {
        collect_paths(alk_conf_at(conf, i), list);
    }
    const char *text = alk_conf_str(conf);
    if (text[0] != '/' || list->count == PATHS_MAX || stat(text, &st) != 0) {
        return;
    }
    bool is_program = S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
    unsigned access = ALK_SANDBOX_READ |
                      (is_program ? (unsigned)ALK_SANDBOX_EXECUTE : (unsigned)ALK_SANDBOX_WRITE);
    list->paths[list->count++] = (struct alk_sandbox_path){.path = text, .access = access};
}

static void enter_sandbox(struct alk_host *host)
{
    const struct alk_handler *handler = host->options->handler;
    struct path_list *list = alk_zalloc(host->hub.mem, 1, sizeof *list);
    if (list == NULL) {
        leave(EXIT_MEMORY);
    }
    collect_paths(host->conf, list);
    const struct alk_sandbox sandbox = {
        .paths = list->paths,
        .path_count = list->count,
        .denied = host->options->data_dir,
        .memory = host->memory,
        .files = FILES_MAX,
        .may_connect = (handler->flags & ALK_HANDLER_CONNECTS) != 0,
    };
    unsigned applied = 0;
    alk_sandbox_enter(&sandbox, &applied);
    host->sandbox |= applied;
    alk_free(host->hub.mem, list);
}

_Noreturn static void fail_start(struct alk_host *host, alk_err err, const char *text)
{
    struct alk_host_msg m = {.type = ALK_HOST_ERROR};
    m.u.error.err = err;
    m.u.error.text = alk_span_str(text);
    alk_host_send(&host->chans[0], &m, -1);
    leave(EXIT_START);
}

static void read_settings(struct alk_host *host)
{
    struct alk_conf_errors errors = {0};
    const struct alk_handler *handler = host->options->handler;
    if (handler->settings == NULL) {
        return;
    }
    alk_err err = alk_conf_parse(host->hub.mem, alk_buf_span(&host->settings), "settings",
                                 handler->settings, &errors, &host->conf);
    alk_buf_fini_secret(&host->settings);
    if (err != ALK_OK) {
        fail_start(host, err, errors.text == NULL ? alk_err_text(err) : errors.text);
    }
}

static void say_ready(struct host_chan *c)
{
    struct alk_host_msg m = {.type = ALK_HOST_READY};
    m.u.ready.version = ALK_HOST_VERSION;
    m.u.ready.sandbox = c->host->sandbox;
    alk_host_send(c, &m, -1);
}

/* All settings are here. */
static void start(struct alk_host *host)
{
    const struct alk_handler *handler = host->options->handler;
    read_settings(host);
    enter_sandbox(host);
    if (handler->start != NULL) {
        alk_err err = handler->start(host->conf, &host->env, &host->service);
        if (err != ALK_OK) {
            fail_start(host, err, alk_err_text(err));
        }
    }
    host->is_started = true;
    host->chans[0].state = ALK_HOST_SERVING;
    say_ready(&host->chans[0]);
    for (size_t i = 1; i < host->chan_count; i++) {
        update_mask(&host->chans[i]);
    }
}

static bool on_hello(struct host_chan *c, struct alk_host_msg *m)
{
    struct alk_host *host = c->host;
    if (m->u.hello.version != ALK_HOST_VERSION || m->u.hello.channel != c->index ||
        (c->index != 0 && m->u.hello.settings_len != 0)) {
        return false;
    }
    c->window = m->u.hello.window;
    if (c->index != 0) {
        c->state = ALK_HOST_SERVING;
        say_ready(c);
        return true;
    }
    host->memory = m->u.hello.memory;
    host->settings_len = m->u.hello.settings_len;
    (void)alk_span_cstr(m->u.hello.service, host->service_name, sizeof host->service_name);
    c->state = ALK_HOST_LOADING;
    if (host->settings_len == 0) {
        start(host);
    }
    return true;
}

static bool on_settings(struct host_chan *c, struct alk_host_msg *m)
{
    struct alk_host *host = c->host;
    if (alk_buf_len(&host->settings) + m->u.bytes.n > host->settings_len) {
        return false;
    }
    if (alk_buf_put(&host->settings, m->u.bytes) != ALK_OK) {
        leave(EXIT_MEMORY);
    }
    if (alk_buf_len(&host->settings) == host->settings_len) {
        start(host);
    }
    return true;
}

/* --- messages ------------------------------------------------------------- */

static bool on_ping(struct host_chan *c, struct alk_host_msg *m)
{
    struct alk_host_msg pong = {.type = ALK_HOST_PONG};
    pong.u.value = m->u.value;
    alk_host_send(c, &pong, -1);
    return true;
}

static bool on_quit(struct host_chan *c, struct alk_host_msg *m)
{
    struct alk_host *host = c->host;
    (void)m;
    if (host->is_started && host->options->handler->stop != NULL) {
        host->options->handler->stop(host->service);
    }
    leave(EXIT_ORDERLY);
}

static bool (*const calls[])(struct host_chan *c, struct alk_host_msg *m) = {
    [ALK_HOST_HELLO] = on_hello,
    [ALK_HOST_SETTINGS] = on_settings,
    [ALK_HOST_PING] = on_ping,
    [ALK_HOST_OPEN] = alk_host_conn_open,
    [ALK_HOST_CLOSE] = alk_host_conn_close,
    [ALK_HOST_AUTH] = alk_host_conn_auth,
    [ALK_HOST_DRAIN] = alk_host_conn_drain,
    [ALK_HOST_DATAGRAM] = alk_host_conn_datagram,
    [ALK_HOST_OPENED] = alk_host_stream_opened,
    [ALK_HOST_FINISH] = alk_host_stream_finish,
    [ALK_HOST_RESET] = alk_host_stream_reset,
    [ALK_HOST_STOP] = alk_host_stream_stop,
    [ALK_HOST_RESOLVED] = on_resolved,
    [ALK_HOST_QUIT] = on_quit,
};

static bool dispatch(struct host_chan *c, struct alk_span datagram, int fd)
{
    struct alk_host_msg m;
    if (alk_host_msg_parse(c->host->hub.mem, datagram, fd < 0 ? 0 : 1, c->state, &m) != ALK_OK) {
        return false;
    }
    bool is_right;
    if (m.type == ALK_HOST_STREAM) {
        is_right = alk_host_stream_new(c, &m, fd);
    } else {
        size_t count = sizeof(calls) / sizeof(calls[0]);
        is_right = m.type < count && calls[m.type] != NULL && calls[m.type](c, &m);
    }
    alk_host_msg_fini(&m);
    return is_right;
}

static void on_channel(void *ctx, unsigned ready)
{
    struct host_chan *c = ctx;
    uint8_t buf[ALK_HOST_MSG_MAX];
    if ((ready & ALK_FD_WRITE) != 0) {
        alk_err err = alk_channel_flush(&c->ch);
        if (err != ALK_OK && err != ALK_FULL) {
            leave(EXIT_CHANNEL);
        }
        if (err == ALK_OK) {
            close_late(c);
        }
    }
    for (int i = 0; (ready & ALK_FD_READ) != 0 && i < MESSAGES_PER_TURN; i++) {
        int fd = -1;
        size_t fd_count = 1;
        struct alk_span datagram;
        alk_err err = alk_channel_recv(&c->ch, buf, sizeof buf, &fd, &fd_count, &datagram);
        if (err == ALK_MORE) {
            break;
        }
        if (err != ALK_OK) {
            leave(err == ALK_END ? EXIT_ORDERLY : EXIT_CHANNEL);
        }
        if (!dispatch(c, datagram, fd_count == 1 ? fd : -1)) {
            leave(EXIT_PROTOCOL);
        }
    }
    update_mask(c);
}

/* --- the process ---------------------------------------------------------- */

static bool on_turn(void *ctx)
{
    struct alk_host *host = ctx;
    host->hub.now = alk_loop_now(host->loop);
    bool has_more = alk_hub_run(&host->hub);
    for (size_t i = 0; i < host->chan_count; i++) {
        alk_host_flush(&host->chans[i]);
    }
    /* A flush can end streams: their last events are work for the next turn. */
    return has_more || alk_hub_has_work(&host->hub);
}

/* Standard error is the endpoint's log. */
static void on_assert(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "assertion failed: %s:%d: %s\n", file, line, what);
    (void)fflush(stderr);
    __builtin_trap();
}

static void chan_init(struct alk_host *host, unsigned index)
{
    static const uint8_t seed[HUB_SEED_SIZE] = {0}; /* ids are counted by us, not by peers */
    struct host_chan *c = &host->chans[index];
    c->host = host;
    c->index = index;
    c->state = ALK_HOST_NEW;
    c->next_stream = 1;
    alk_list_init(&c->dirty);
    alk_list_init(&c->queries);
    alk_map_init(&c->conns, host->hub.mem, ALK_HOST_CONNS_MAX, seed);
    alk_map_init(&c->streams, host->hub.mem, ALK_HOST_CONNS_MAX, seed);
    alk_channel_init(&c->ch, host->hub.mem, host->options->channels[index], QUEUE_MAX);
    if (alk_watch_new(host->loop, c->ch.fd, index == 0 ? (unsigned)ALK_FD_READ : 0U, on_channel, c,
                      &c->watch) != ALK_OK) {
        leave(EXIT_MEMORY);
    }
}

int alk_host_run(const struct alk_host_options *options)
{
    alk_assert_hook(on_assert);
#if defined(__GLIBC__)
    /* The heap's top comes and goes with every 256 KB that a stream queues: handed
     * back to the kernel each time, it is faulted in again page by page. */
    (void)mallopt(M_TRIM_THRESHOLD, 8 << 20);
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
#endif
    struct alk_host *host = ALK_NEW(NULL, struct alk_host);
    if (host == NULL) {
        return EXIT_MEMORY;
    }
    host->options = options;
    host->sandbox = options->sandbox | alk_sandbox_begin();
    if (alk_loop_new(NULL, &host->loop) != ALK_OK) {
        return EXIT_MEMORY;
    }
    alk_hub_init(&host->hub, NULL, 0);
    host->hub.loop = host->loop;
    host->hub.auth.provider = &provider_vtable;
    host->hub.auth.provider_ctx = host;
    host->hub.auth.failed = on_auth_failed;
    host->hub.auth.log = on_hub_log;
    host->hub.auth.ctx = host;
    alk_loop_set_hub(host->loop, &host->hub);
    alk_buf_init(&host->settings, NULL, ALK_HOST_SETTINGS_MAX);
    host->env = (struct alk_env){.struct_size = sizeof host->env,
                                 .loop = host->loop,
                                 .service = host->service_name,
                                 .is_host = true,
                                 .log = on_env_log,
                                 .log_ctx = host};
    host->chans = alk_zalloc(NULL, options->channel_count, sizeof(struct host_chan));
    if (host->chans == NULL) {
        return EXIT_MEMORY;
    }
    host->chan_count = options->channel_count;
    for (unsigned i = 0; i < options->channel_count; i++) {
        chan_init(host, i);
    }
    host->turn = (struct alk_turn){.fn = on_turn, .ctx = host};
    alk_loop_turn_add(host->loop, &host->turn);
    alk_loop_run(host->loop); /* ends by leave() alone */
    return EXIT_CHANNEL;
}
