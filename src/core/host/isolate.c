/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The service as a whole and its process, on the first loop:
 *
 *   start -> starting --READY--> running --QUIT--> over
 *     ^          |                  |
 *     |      exit, error,       exit, hang, broken protocol
 *     |          v                  v
 *     `------ waiting <-------------'      100 ms, doubling to 30 s */
#include "core/host/isolate_in.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/host/sandbox.h"
#include "core/host/settings.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#define PING_EVERY (5 * ALK_SECOND)
#define PING_TIMEOUT (15 * ALK_SECOND)
#define RETRY_MIN (100 * ALK_MS)
#define RETRY_MAX (30 * ALK_SECOND)
#define STABLE_AFTER (60 * ALK_SECOND)

#define QUIT_TIME (2 * ALK_SECOND)

static void start_host(struct isolate *iso);

/* --- counting, talking ---------------------------------------------------- */

struct isolate *alk_isolate_ref(struct isolate *iso)
{
    (void)atomic_fetch_add_explicit(&iso->refs, 1, memory_order_relaxed);
    return iso;
}

void alk_isolate_unref(struct isolate *iso)
{
    if (atomic_fetch_sub_explicit(&iso->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (iso->settings != NULL) {
        alk_wipe(iso->settings, iso->settings_n);
    }
    alk_free(iso->mem, iso->settings);
    alk_free(iso->mem, iso->name);
    alk_free(iso->mem, iso->shards);
    alk_free(iso->mem, (void *)(uintptr_t)iso->options.loops);
    alk_free(iso->mem, iso);
}

void alk_isolate_say(const struct isolate *iso, enum alk_log_level level, const char *fmt, ...)
{
    char text[1200];
    char line[1400];
    va_list args;
    if (iso->options.log == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)snprintf(line, sizeof line, "%s: %s", iso->name, text);
    iso->options.log(iso->options.log_ctx, level, "host", line);
}

static alk_time now(const struct isolate *iso)
{
    return alk_loop_now(iso->options.loops[0]);
}

/* --- work for other loops ------------------------------------------------- */

struct errand {
    struct isolate *iso; /* a reference */
    struct shard *shard;
    int fd;
    uint64_t epoch;
};

static struct errand *errand_new(struct isolate *iso, struct shard *shard, int fd, uint64_t epoch)
{
    struct errand *e = ALK_NEW(iso->mem, struct errand);
    if (e != NULL) {
        *e = (struct errand){.iso = alk_isolate_ref(iso), .shard = shard, .fd = fd, .epoch = epoch};
    }
    return e;
}

static void errand_free(struct errand *e)
{
    struct isolate *iso = e->iso;
    alk_close_fds(&e->fd, 1);
    alk_free(iso->mem, e);
    alk_isolate_unref(iso);
}

static void errand_cancel(void *arg)
{
    errand_free(arg);
}

/* Takes e, which may be NULL. */
static void errand_post(struct alk_loop *loop, struct errand *e, alk_post_fn *fn)
{
    if (e != NULL && alk_post_cancel(loop, fn, errand_cancel, e) != ALK_OK) {
        errand_free(e); /* the loop is full or gone: its share stays without a host */
    }
}

static void do_adopt(void *arg)
{
    struct errand *e = arg;
    if (e->shard->iso != NULL) {
        alk_shard_adopt(e->shard, e->fd, e->epoch);
        e->fd = -1;
    }
    errand_free(e);
}

static void do_fini(void *arg)
{
    struct errand *e = arg;
    alk_shard_fini(e->shard);
    errand_free(e);
}

/* --- the process's end ---------------------------------------------------- */

static void stop_timers(struct isolate *iso)
{
    alk_timer_stop(iso->options.loops[0], &iso->retry_timer);
    alk_timer_stop(iso->options.loops[0], &iso->ping_timer);
    alk_timer_stop(iso->options.loops[0], &iso->quit_timer);
}

/* Gives the process up, whatever its state: what is left of it is killed. */
static void drop_host(struct isolate *iso)
{
    stop_timers(iso);
    iso->status.pid = 0;
    iso->status.is_ready = false;
    iso->status.sandbox = 0;
    alk_shard_drop(&iso->shards[0]); /* the others see their channels end */
    alk_lines_fini(&iso->lines);
    if (iso->proc != NULL) {
        alk_proc_release(iso->proc);
        iso->proc = NULL;
    }
}

/* The service is over, and so is the first loop's part of it. */
static void finish_stop(struct isolate *iso)
{
    drop_host(iso);
    alk_shard_fini(&iso->shards[0]);
    alk_loop_end_remove(&iso->end);
    alk_isolate_unref(iso);
}

static void on_quit_time(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    finish_stop(ctx);
}

/* QUIT has been sent, and the loop does not run any more: the host's `stop` may
 * take its time all the same. Its channel ends with it. */
static void wait_quit(struct isolate *iso)
{
    const alk_time end = alk_clock_now() + QUIT_TIME;
    uint8_t buf[ALK_HOST_MSG_MAX];
    struct alk_channel *c = &iso->shards[0].channel;
    alk_err err = c->fd < 0 ? ALK_END : alk_channel_flush(c);
    while (err == ALK_OK || err == ALK_FULL || err == ALK_MORE) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        alk_time t = alk_clock_now();
        int fds[1];
        size_t fd_count = 0;
        struct alk_span last_words;
        if (t >= end || poll(&p, 1, (int)((end - t) / ALK_MS) + 1) <= 0) {
            return;
        }
        err = alk_channel_recv(c, buf, sizeof buf, fds, &fd_count, &last_words);
    }
}

/* The first loop is about to go; `stop` has been called, or still comes. */
static void on_loop_end(void *ctx)
{
    struct isolate *iso = ctx;
    if (iso->is_stopping) {
        wait_quit(iso);
        finish_stop(iso);
    } else {
        drop_host(iso);
        alk_shard_fini(&iso->shards[0]);
        iso->is_over = true;
    }
}

static void retry_later(struct isolate *iso)
{
    const struct alk_isolate_options *o = &iso->options;
    bool was_stable = iso->started_at != 0 && now(iso) - iso->started_at >= o->stable_after;
    iso->retry_delay = was_stable || iso->retry_delay == 0 ? o->retry_min : iso->retry_delay * 2;
    if (iso->retry_delay > o->retry_max) {
        iso->retry_delay = o->retry_max;
    }
    iso->status.restarts++;
    iso->started_at = 0;
    alk_timer_set(o->loops[0], &iso->retry_timer, now(iso) + iso->retry_delay);
}

static void lose_host(struct isolate *iso, const char *why)
{
    if (iso->is_stopping) {
        finish_stop(iso);
        return;
    }
    drop_host(iso);
    retry_later(iso);
    alk_isolate_say(iso, ALK_LOG_ERROR, "its process %s; the next one in %u ms", why,
                    (unsigned)(iso->retry_delay / ALK_MS));
}

static void on_retry(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    start_host(ctx);
}

static void on_proc(void *ctx, struct alk_proc *proc, const struct alk_proc_event *e)
{
    struct isolate *iso = ctx;
    char why[96];
    (void)proc;
    switch (e->what) {
    case ALK_PROC_STARTED:
        iso->status.pid = e->pid;
        return;
    case ALK_PROC_FAILED:
        (void)snprintf(why, sizeof why, "could not be started: %s: %s", e->stage,
                       e->sys_errno == 0 ? alk_err_text(e->err) : strerror(e->sys_errno));
        break;
    case ALK_PROC_EXITED:
        if (WIFSIGNALED(e->status)) {
            (void)snprintf(why, sizeof why, "was ended by signal %d", WTERMSIG(e->status));
        } else {
            (void)snprintf(why, sizeof why, "exited with status %d", WEXITSTATUS(e->status));
        }
        break;
    case ALK_PROC_LOST:
        alk_isolate_say(iso, ALK_LOG_ERROR, "the spawner is gone; restart the node");
        if (iso->is_stopping) {
            finish_stop(iso);
        } else {
            drop_host(iso);
        }
        return;
    }
    lose_host(iso, why);
}

static void do_condemn(void *arg)
{
    struct errand *e = arg;
    /* Its exit may have been told already; a later host is none of this errand's. */
    if (e->epoch == e->iso->epoch && e->iso->proc != NULL && !e->iso->is_stopping) {
        alk_proc_kill(e->iso->proc, SIGKILL);
    }
    errand_free(e);
}

void alk_isolate_condemn(struct isolate *iso, uint64_t epoch)
{
    errand_post(iso->options.loops[0], errand_new(iso, NULL, -1, epoch), do_condemn);
}

/* --- is it alive? --------------------------------------------------------- */

static void on_ping(struct alk_timer *timer, void *ctx)
{
    struct isolate *iso = ctx;
    (void)timer;
    if (now(iso) - iso->heard_at >= iso->options.ping_timeout) {
        lose_host(iso, iso->status.is_ready ? "does not answer" : "did not get ready");
        return;
    }
    if (iso->status.is_ready) {
        struct alk_host_msg m = {.type = ALK_HOST_PING};
        m.u.value = iso->epoch;
        alk_err err = alk_shard_send(&iso->shards[0], &m, -1, true);
        (void)err; /* its silence will tell */
    }
    alk_timer_set(iso->options.loops[0], &iso->ping_timer, now(iso) + iso->options.ping_every);
}

void alk_isolate_pong(struct isolate *iso)
{
    iso->heard_at = now(iso);
}

void alk_isolate_ready(struct isolate *iso, unsigned sandbox)
{
    char missing[160];
    unsigned all = 2 * ALK_SANDBOX_DATA_DIR - 1;
    iso->heard_at = now(iso);
    iso->status.is_ready = true;
    iso->status.sandbox = sandbox;
    alk_sandbox_text(all & ~sandbox, missing, sizeof missing);
    bool is_separate = (sandbox & (ALK_SANDBOX_USER | ALK_SANDBOX_DATA_DIR)) != 0;
    alk_isolate_say(iso, is_separate ? ALK_LOG_INFO : ALK_LOG_WARN,
                    is_separate ? "its process is ready; sandbox without: %s"
                                : "its process is ready, but NOT separated from the node's keys; "
                                  "sandbox without: %s",
                    missing);
}

/* --- the process's start -------------------------------------------------- */

/* One channel per shard; ours and theirs. */
static alk_err make_channels(struct isolate *iso, int *ours, int *theirs)
{
    for (size_t i = 0; i < iso->shard_count; i++) {
        int pair[2];
        alk_err err = alk_channel_pair(pair);
        if (err != ALK_OK) {
            alk_close_fds(ours, i);
            alk_close_fds(theirs, i);
            return err;
        }
        ours[i] = pair[0];
        theirs[i] = pair[1];
    }
    return ALK_OK;
}

static alk_err ask_spawner(struct isolate *iso, const int *theirs)
{
    int err_fds[2] = {-1, -1};
    alk_err err = alk_lines_pipe(err_fds);
    if (err == ALK_OK) {
        iso->lines = (struct alk_lines){.mem = iso->mem,
                                        .loop = iso->options.loops[0],
                                        .log = iso->options.log,
                                        .log_ctx = iso->options.log_ctx,
                                        .name = iso->name};
        err = alk_lines_init(&iso->lines, err_fds[0]);
    }
    if (err != ALK_OK) {
        alk_close_fds(theirs, iso->shard_count);
        alk_close_fds(&err_fds[1], 1);
        return err;
    }
    const struct alk_host_spec spec = {
        .handler = iso->inner->name,
        .channels = theirs,
        .channel_count = iso->shard_count,
        .stderr_fd = err_fds[1],
    };
    err = alk_spawner_host(iso->options.spawner, iso->options.loops[0], &spec, on_proc, iso,
                           &iso->proc);
    if (err != ALK_OK) {
        alk_lines_fini(&iso->lines);
    }
    return err;
}

static alk_err try_start(struct isolate *iso)
{
    int ours[ALK_SPAWN_FDS_MAX];
    int theirs[ALK_SPAWN_FDS_MAX];
    ALK_TRY(make_channels(iso, ours, theirs));
    alk_err err = ask_spawner(iso, theirs);
    if (err != ALK_OK) {
        alk_close_fds(ours, iso->shard_count);
        return err;
    }
    iso->epoch++;
    iso->started_at = iso->heard_at = now(iso);
    alk_timer_set(iso->options.loops[0], &iso->ping_timer, now(iso) + iso->options.ping_every);
    alk_shard_adopt(&iso->shards[0], ours[0], iso->epoch);
    for (size_t i = 1; i < iso->shard_count; i++) {
        struct errand *e = errand_new(iso, &iso->shards[i], ours[i], iso->epoch);
        if (e == NULL) {
            (void)close(ours[i]);
        }
        errand_post(iso->options.loops[i], e, do_adopt);
    }
    return ALK_OK;
}

static void start_host(struct isolate *iso)
{
    alk_err err = try_start(iso);
    if (err == ALK_E_HOST_LOST) {
        alk_isolate_say(iso, ALK_LOG_ERROR, "the spawner is gone; restart the node");
    } else if (err != ALK_OK) {
        retry_later(iso);
        alk_isolate_say(iso, ALK_LOG_ERROR, "its process could not be started: %s",
                        alk_err_text(err));
    }
}

/* --- the proxy ------------------------------------------------------------ */

static alk_err proxy_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                          void **ret_state)
{
    (void)auth;
    return alk_shard_open(service, conn, ret_state);
}

static alk_err proxy_stream(void *state, struct alk_stream *stream)
{
    return alk_shard_stream_new(state, stream);
}

static void proxy_datagram(void *state, struct alk_span data)
{
    struct shard_conn *c = state;
    struct alk_host_msg m = {.type = ALK_HOST_DATAGRAM, .conn = c->id};
    m.u.bytes = data;
    if (alk_shard_introduce(c) == ALK_OK) {
        alk_err err = alk_shard_send(c->shard, &m, -1, false);
        (void)err; /* unreliable */
    }
}

static void proxy_auth_changed(void *state)
{
    alk_shard_auth_changed(state);
}

static void proxy_credit(void *state)
{
    alk_shard_credit(state);
}

static void proxy_drain(void *state, alk_time deadline)
{
    struct shard_conn *c = state;
    struct alk_host_msg m = {.type = ALK_HOST_DRAIN, .conn = c->id};
    alk_time t = alk_loop_now(c->shard->loop);
    m.u.value = deadline > t ? deadline - t : 0;
    if (c->is_open) {
        alk_err err = alk_shard_send(c->shard, &m, -1, true);
        (void)err;
    }
}

static void proxy_close(void *state, alk_err why, uint64_t code)
{
    if (state != NULL) { /* NULL: open had failed before there was anything */
        alk_shard_close(state, why, code);
    }
}

static void proxy_stop(void *service)
{
    struct isolate *iso = service;
    struct alk_host_msg m = {.type = ALK_HOST_QUIT};
    iso->is_stopping = true;
    if (iso->is_over) {
        alk_isolate_unref(iso);
        return;
    }
    for (size_t i = 1; i < iso->shard_count; i++) {
        struct shard *s = &iso->shards[i];
        if (s->iso != NULL) {
            errand_post(s->loop, errand_new(iso, s, -1, 0), do_fini);
        }
    }
    stop_timers(iso);
    /* It gets time to run its own `stop`; then its group is killed. */
    if (iso->status.is_ready && alk_shard_send(&iso->shards[0], &m, -1, true) == ALK_OK) {
        alk_timer_set(iso->options.loops[0], &iso->quit_timer, now(iso) + QUIT_TIME);
    } else {
        finish_stop(iso);
    }
}

/* --- making --------------------------------------------------------------- */

static void fill_defaults(struct alk_isolate_options *o)
{
    o->ping_every = o->ping_every == 0 ? PING_EVERY : o->ping_every;
    o->ping_timeout = o->ping_timeout == 0 ? PING_TIMEOUT : o->ping_timeout;
    o->retry_min = o->retry_min == 0 ? RETRY_MIN : o->retry_min;
    o->retry_max = o->retry_max == 0 ? RETRY_MAX : o->retry_max;
    o->stable_after = o->stable_after == 0 ? STABLE_AFTER : o->stable_after;
}

static alk_err isolate_new(struct alk_service *service, const struct alk_isolate_options *options,
                           struct isolate **ret)
{
    const struct alk_mem *mem = service->mem;
    struct isolate *iso = ALK_NEW(mem, struct isolate);
    if (iso == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&iso->refs, 1);
    iso->mem = mem;
    iso->inner = service->handler;
    iso->options = *options;
    fill_defaults(&iso->options);
    struct alk_loop **loops = alk_zalloc(mem, options->loop_count, sizeof(struct alk_loop *));
    iso->options.loops = loops;
    iso->shards = alk_zalloc(mem, options->loop_count, sizeof(struct shard));
    iso->name = alk_strdup_span(mem, alk_span_str(service->name));
    alk_err err = loops == NULL || iso->shards == NULL || iso->name == NULL ? ALK_E_NOMEM : ALK_OK;
    if (err == ALK_OK) {
        err = alk_host_settings(mem, service->conf, service->handler->settings, &iso->settings,
                                &iso->settings_n);
    }
    if (err == ALK_OK && iso->settings_n > ALK_HOST_SETTINGS_MAX) {
        err = ALK_E_TOO_BIG;
    }
    if (err != ALK_OK) {
        alk_isolate_unref(iso);
        return err;
    }
    memcpy(loops, options->loops, options->loop_count * sizeof(struct alk_loop *));
    iso->memory = alk_conf_get_uint(service->conf, "memory");
    iso->retry_timer = (struct alk_timer){.fn = on_retry, .ctx = iso};
    iso->ping_timer = (struct alk_timer){.fn = on_ping, .ctx = iso};
    iso->quit_timer = (struct alk_timer){.fn = on_quit_time, .ctx = iso};
    iso->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = iso};
    *ret = iso;
    return ALK_OK;
}

/* What the endpoint looks at is the real handler's; the calls are ours. */
static void make_proxy(struct isolate *iso)
{
    const struct alk_handler *inner = iso->inner;
    iso->handler = (struct alk_handler){
        .struct_size = sizeof(struct alk_handler),
        .abi = ALK_HANDLER_ABI,
        .name = inner->name,
        .summary = inner->summary,
        .alpns = inner->alpns,
        .alpn_count = inner->alpn_count,
        .settings = inner->settings,
        .flags = inner->flags,
        .stop = proxy_stop,
        .open = proxy_open,
        .stream = inner->stream == NULL ? NULL : proxy_stream,
        .datagram = inner->datagram == NULL ? NULL : proxy_datagram,
        .auth_changed = proxy_auth_changed,
        .credit = proxy_credit,
        .drain = proxy_drain,
        .close = proxy_close,
    };
}

alk_err alk_isolate_service(struct alk_service *service, const struct alk_isolate_options *options)
{
    struct isolate *iso = NULL;
    if (service->is_started || options->loop_count == 0 ||
        options->loop_count > ALK_SPAWN_FDS_MAX ||
        !alk_spawner_knows(options->spawner, service->handler)) {
        return ALK_E_INVALID;
    }
    ALK_TRY(isolate_new(service, options, &iso));
    ALK_ASSERT(iso != NULL);
    make_proxy(iso);
    iso->shard_count = options->loop_count;
    for (unsigned i = 0; i < iso->shard_count; i++) {
        alk_shard_init(&iso->shards[i], iso, i);
    }
    alk_loop_end_add(iso->options.loops[0], &iso->end);
    alk_err err = try_start(iso);
    if (err != ALK_OK) {
        for (size_t i = 1; i < iso->shard_count; i++) {
            alk_shard_fini(&iso->shards[i]); /* no other loop has seen it yet */
        }
        finish_stop(iso);
        return err;
    }
    service->inner = service->handler;
    service->handler = &iso->handler;
    service->state = iso;
    service->is_started = true;
    service->is_isolated = true;
    return ALK_OK;
}

void alk_isolate_status(const struct alk_service *service, struct alk_isolate_status *ret)
{
    ALK_ASSERT(service->is_isolated);
    const struct isolate *iso = service->state;
    *ret = iso->status;
}
