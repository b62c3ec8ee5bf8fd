/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A run is one program. It outlives its stream: after the peer has gone the
 * program is still to be ended and reaped.
 *
 *   stream open ----------- relay: stream <-> socketpair ----------- program
 *        |                                                             |
 *        |<-- finish: output ended AND status 0; else reset 7 <--------| exits
 *        |--- reset, stop, gone: TERM, 2 s, KILL --------------------->| */
#include "core/host/exec.h"

#include "base/mem.h"
#include "core/config/node.h"
#include "core/host/channel.h"
#include "core/host/exec_env.h"
#include "core/host/lines.h"
#include "core/host/relay.h"
#include "core/host/spawner.h"
#include "core/io/loop.h"
#include "core/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GRACE (2 * ALK_SECOND)
#define LINGER ALK_SECOND       /* for output that stands before a reset */
#define LINGER_STEP (5 * ALK_MS)
#define SOCKET_BUFFER (4 << 20)

struct exec_service {
    atomic_size_t refs;
    const struct alk_mem *mem;
    const struct alk_conf *conf;
    struct alk_spawner *spawner;
    alk_log_fn *log;
    void *log_ctx;
    char *name;
    const char **argv; /* owns the array; words borrow from conf */
    atomic_uint instances;
    unsigned instances_max;
    alk_time timeout; /* 0: none */
    bool is_pipe;
};

struct exec_conn {
    struct exec_service *service;
    struct alk_conn *conn;
};

struct run {
    struct exec_service *service;
    struct alk_loop *loop;
    struct alk_stream *stream; /* NULL: over for the peer */
    struct alk_proc *proc;     /* NULL: released */
    struct alk_relay relay;
    struct alk_lines lines;
    struct alk_timer timeout, grace, linger;
    alk_time linger_end; /* 0: not lingering */
    struct alk_loop_end end;
    bool is_tls;
    bool has_ended;  /* its output */
    bool has_exited; /* status is valid */
    bool is_killed;
    int status;
    char log_id[20];
};

/* --- service -------------------------------------------------------------- */

static void service_unref(struct exec_service *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        alk_conf_unref(s->conf);
        alk_free(s->mem, s->argv);
        alk_free(s->mem, s->name);
        alk_free(s->mem, s);
    }
}

ALK_PRINTF(4, 5)
static void say(const struct exec_service *s, enum alk_log_level level, const char *log_id,
                const char *fmt, ...)
{
    char text[512];
    char line[640];
    va_list args;
    if (s->log == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)snprintf(line, sizeof line, "%s: %s%s%s", s->name, log_id, log_id[0] == '\0' ? "" : ": ",
                   text);
    s->log(s->log_ctx, level, "service", line);
}

static alk_err take_argv(struct exec_service *s)
{
    const struct alk_conf *words = alk_conf_get(s->conf, "exec");
    size_t count = alk_conf_count(words);
    if (count == 0 || count > ALK_SPAWN_ARGS_MAX) {
        return ALK_E_INVALID;
    }
    s->argv = alk_zalloc(s->mem, count + 1, sizeof(char *));
    if (s->argv == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        s->argv[i] = alk_conf_str(alk_conf_at(words, i));
    }
    return ALK_OK;
}

static alk_err exec_start(const struct alk_conf *conf, const struct alk_env *env,
                          void **ret_service)
{
    if (env->spawner == NULL) {
        return ALK_E_UNSUPPORTED;
    }
    struct exec_service *s = ALK_NEW(env->mem, struct exec_service);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&s->refs, 1);
    s->mem = env->mem;
    s->conf = alk_conf_ref(conf);
    s->spawner = env->spawner;
    s->log = env->log;
    s->log_ctx = env->log_ctx;
    s->name = alk_strdup_span(s->mem, alk_span_str(env->service));
    s->timeout = alk_conf_get_uint(conf, "timeout");
    s->instances_max = (unsigned)alk_conf_get_uint(conf, "max_instances");
    s->is_pipe = alk_conf_get_uint(conf, "stdio") == 1;
    alk_err err = s->name == NULL ? ALK_E_NOMEM : take_argv(s);
    if (err != ALK_OK) {
        service_unref(s);
        return err;
    }
    *ret_service = s;
    return ALK_OK;
}

static void exec_stop(void *service)
{
    service_unref(service);
}

/* --- the end of a run ----------------------------------------------------- */

static void run_free(struct run *r)
{
    struct exec_service *s = r->service;
    alk_timer_stop(r->loop, &r->timeout);
    alk_timer_stop(r->loop, &r->grace);
    alk_timer_stop(r->loop, &r->linger);
    alk_loop_end_remove(&r->end);
    if (r->stream != NULL) {
        alk_stream_close(r->stream, ALK_CODE_HOST_LOST);
        r->relay.stream = NULL;
    }
    alk_relay_fini(&r->relay);
    alk_lines_fini(&r->lines);
    if (r->proc != NULL) {
        alk_proc_release(r->proc);
    }
    (void)atomic_fetch_sub_explicit(&s->instances, 1, memory_order_relaxed);
    alk_free(s->mem, r);
    service_unref(s);
}

/* Lets go of the stream: aborted with a code, or finished before. */
static void drop_stream(struct run *r, uint64_t code)
{
    if (r->stream != NULL) {
        alk_stream_close(r->stream, code);
        r->stream = NULL;
        r->relay.stream = NULL;
    }
    alk_relay_fini(&r->relay);
}

static void kill_run(struct run *r)
{
    if (!r->is_killed && r->proc != NULL) {
        r->is_killed = true;
        alk_proc_kill(r->proc, SIGTERM);
        alk_timer_set(r->loop, &r->grace, alk_loop_now(r->loop) + GRACE);
    }
}

/* The peer's part is over; the program's follows. */
static void abandon(struct run *r, uint64_t code)
{
    drop_stream(r, code);
    if (r->has_exited) {
        run_free(r); /* and with it what is left of its group */
        return;
    }
    kill_run(r);
}

static void say_status(const struct run *r)
{
    if (WIFSIGNALED(r->status)) {
        say(r->service, ALK_LOG_INFO, r->log_id, "%s was ended by signal %d",
            r->service->argv[0], WTERMSIG(r->status));
    } else if (WEXITSTATUS(r->status) != 0) {
        say(r->service, ALK_LOG_INFO, r->log_id, "%s exited with status %d", r->service->argv[0],
            WEXITSTATUS(r->status));
    }
}

/* A reset drops what is unsent. What a program printed before it failed is most
 * likely why: it gets a moment to arrive. */
static bool must_linger(struct run *r)
{
    const struct alk_stream *s = r->stream;
    alk_time now = alk_loop_now(r->loop);
    if (r->linger_end == 0) {
        say_status(r);
        r->linger_end = now + LINGER;
    }
    if (s->tx.acked == s->tx.end || now >= r->linger_end) {
        return false;
    }
    alk_timer_set(r->loop, &r->linger, now + LINGER_STEP);
    return true;
}

/* Finished only when the output has ended and the status is known to be 0. */
static void check_end(struct run *r)
{
    bool is_good = WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0;
    if (!r->has_exited || (r->stream != NULL && !r->has_ended)) {
        return;
    }
    if (r->stream != NULL && !is_good && must_linger(r)) {
        return;
    }
    if (r->stream != NULL && is_good) {
        alk_stream_finish(r->stream);
    }
    drop_stream(r, is_good ? ALK_CODE_NONE : ALK_CODE_EXIT);
    run_free(r);
}

static void on_linger(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    check_end(ctx);
}

static void on_timeout(struct alk_timer *timer, void *ctx)
{
    struct run *r = ctx;
    (void)timer;
    say(r->service, ALK_LOG_INFO, r->log_id, "time-out");
    abandon(r, ALK_CODE_TIMEOUT);
}

static void on_grace(struct alk_timer *timer, void *ctx)
{
    struct run *r = ctx;
    (void)timer;
    alk_proc_kill(r->proc, SIGKILL);
}

/* The loop is about to go. */
static void on_loop_end(void *ctx)
{
    run_free(ctx);
}

/* --- events --------------------------------------------------------------- */

static void refuse_input(struct run *r)
{
    if (r->is_tls) {
        alk_relay_discard_out(&r->relay);
    } else if (r->stream != NULL) {
        alk_stream_stop(r->stream, ALK_CODE_NONE);
    }
}

static void on_relay(void *ctx, unsigned events)
{
    struct run *r = ctx;
    if ((events & ALK_RELAY_CLOSED) != 0) {
        r->stream = NULL;
        abandon(r, ALK_CODE_NONE);
        return;
    }
    if ((events & (ALK_RELAY_OUT_RESET | ALK_RELAY_IN_STOPPED)) != 0) {
        abandon(r, ALK_CODE_EXIT);
        return;
    }
    if ((events & ALK_RELAY_FAILED) != 0) {
        abandon(r, ALK_CODE_LIMIT);
        return;
    }
    if ((events & ALK_RELAY_OUT_END) != 0) {
        alk_relay_end_out(&r->relay);
    }
    if ((events & ALK_RELAY_OUT_REFUSED) != 0) {
        refuse_input(r);
    }
    /* A program that leaves input unread ends its output with ECONNRESET, behind all
     * that it wrote. Whether it went well is what its status says. */
    if ((events & (ALK_RELAY_IN_END | ALK_RELAY_IN_ERROR)) != 0) {
        r->has_ended = true;
        check_end(r);
    }
}

static void say_failed(const struct run *r, const struct alk_proc_event *e)
{
    const struct exec_service *s = r->service;
    if (e->err == ALK_E_LIMIT && e->sys_errno == 0) {
        say(s, ALK_LOG_WARN, r->log_id, "limits.hosts is reached");
    } else if (strcmp(e->stage, "user") == 0) {
        const char *user = alk_conf_get_str(s->conf, "user");
        say(s, ALK_LOG_ERROR, r->log_id,
            "cannot become user '%s': %s (a new user needs a restart of the node)",
            user[0] == '\0' ? "host_user" : user, strerror(e->sys_errno));
    } else {
        const char *what = strcmp(e->stage, "chdir") == 0 ? alk_conf_get_str(s->conf, "cwd")
                                                           : s->argv[0];
        say(s, ALK_LOG_ERROR, r->log_id, "cannot start %s: %s: %s", what, e->stage,
            strerror(e->sys_errno));
    }
}

static void on_proc(void *ctx, struct alk_proc *proc, const struct alk_proc_event *e)
{
    struct run *r = ctx;
    (void)proc;
    switch (e->what) {
    case ALK_PROC_STARTED:
        return;
    case ALK_PROC_EXITED:
        r->status = e->status;
        r->has_exited = true;
        check_end(r);
        return;
    case ALK_PROC_FAILED:
        say_failed(r, e);
        drop_stream(r, e->err == ALK_E_LIMIT ? ALK_CODE_LIMIT : ALK_CODE_INTERNAL);
        break;
    case ALK_PROC_LOST:
        say(r->service, ALK_LOG_ERROR, r->log_id, "the spawner is gone; restart the node");
        drop_stream(r, ALK_CODE_HOST_LOST);
        break;
    }
    run_free(r);
}

/* --- the start of a run --------------------------------------------------- */

/* Descriptors of one program: ours, and those that become 0, 1, 2. */
struct plumbing {
    int out, in;  /* ours: to its input, from its output */
    int stdio[3]; /* its */
    int err;      /* ours: from its standard error */
};

static alk_err err_of_fds(void)
{
    return errno == EMFILE || errno == ENFILE ? ALK_E_LIMIT : ALK_E_IO;
}

static alk_err plumb_socket(struct plumbing *p)
{
    int fds[2];
    int size = SOCKET_BUFFER;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return err_of_fds();
    }
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK); /* ours alone: programs expect to block */
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    p->out = p->in = fds[0];
    p->stdio[0] = p->stdio[1] = fds[1];
    return ALK_OK;
}

/* A program that opens /dev/stdin or /dev/stderr asks for the right to the pipe as
 * the user it runs as. Nobody else can get at it: there is no name to open. */
static void let_open(int fd)
{
    (void)fchmod(fd, 0666);
}

static alk_err plumb_pipes(struct plumbing *p)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0) {
        return err_of_fds();
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        alk_err err = err_of_fds();
        alk_close_fds(in, 2);
        return err;
    }
    let_open(in[0]);
    let_open(out[1]);
    (void)fcntl(in[1], F_SETFL, O_NONBLOCK);
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    p->stdio[0] = in[0];
    p->out = in[1];
    p->in = out[0];
    p->stdio[1] = out[1];
    return ALK_OK;
}

static alk_err plumb(bool is_pipe, struct plumbing *ret)
{
    struct plumbing p;
    int err_fds[2];
    ALK_TRY(alk_lines_pipe(err_fds));
    alk_err err = is_pipe ? plumb_pipes(&p) : plumb_socket(&p);
    if (err != ALK_OK) {
        alk_close_fds(err_fds, 2);
        return err;
    }
    let_open(err_fds[1]);
    p.err = err_fds[0];
    p.stdio[2] = err_fds[1];
    *ret = p;
    return ALK_OK;
}

static alk_err spawn(struct run *r, const struct alk_auth_context *auth, const int stdio[3])
{
    const struct exec_service *s = r->service;
    struct alk_exec_env env;
    alk_err err = alk_exec_env_init(&env, s->mem, alk_conf_get(s->conf, "env"), auth);
    const struct alk_conf *cwd = alk_conf_get(s->conf, "cwd");
    const struct alk_conf *user = alk_conf_get(s->conf, "user");
    struct alk_exec_spec spec = {
        .argv = s->argv,
        .env = env.words,
        .cwd = cwd == NULL ? NULL : alk_conf_str(cwd),
        .user = user == NULL ? NULL : alk_conf_str(user),
        .memory = alk_conf_get_uint(s->conf, "memory"),
        .stdio = {stdio[0], stdio[1], stdio[2]},
    };
    if (err == ALK_OK) {
        err = alk_spawner_exec(s->spawner, r->loop, &spec, on_proc, r, &r->proc);
    } else {
        bool is_same = stdio[0] == stdio[1];
        alk_close_fds(is_same ? stdio + 1 : stdio, is_same ? 2 : 3);
    }
    alk_exec_env_fini(&env);
    return err;
}

/* Everything that can fail before the program is asked for. */
static alk_err run_connect(struct run *r, const struct plumbing *p)
{
    struct exec_service *s = r->service;
    const struct alk_relay_options relay = {
        .mem = s->mem,
        .loop = r->loop,
        .stream = r->stream,
        .out_fd = p->out,
        .in_fd = p->in,
        .is_pipe = s->is_pipe,
        .fn = on_relay,
        .ctx = r,
    };
    alk_err err = alk_relay_init(&r->relay, &relay);
    r->lines = (struct alk_lines){.mem = s->mem,
                                  .loop = r->loop,
                                  .log = s->log,
                                  .log_ctx = s->log_ctx,
                                  .name = s->name,
                                  .fd = -1};
    if (err != ALK_OK) {
        (void)close(p->err);
        return err;
    }
    return alk_lines_init(&r->lines, p->err);
}

static struct run *run_new(struct exec_conn *c, struct alk_stream *stream)
{
    struct exec_service *s = c->service;
    struct run *r = ALK_NEW(s->mem, struct run);
    if (r == NULL) {
        return NULL;
    }
    r->service = s;
    (void)atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    r->loop = alk_conn_loop(c->conn);
    r->stream = stream;
    r->is_tls = alk_conn_transport(c->conn) == ALK_TRANSPORT_TLS;
    r->timeout = (struct alk_timer){.fn = on_timeout, .ctx = r};
    r->grace = (struct alk_timer){.fn = on_grace, .ctx = r};
    r->linger = (struct alk_timer){.fn = on_linger, .ctx = r};
    r->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = r};
    memcpy(r->log_id, alk_conn_auth(c->conn)->log_id, sizeof r->log_id);
    alk_loop_end_add(r->loop, &r->end);
    return r;
}

static alk_err exec_stream(void *state, struct alk_stream *stream)
{
    struct exec_conn *c = state;
    struct exec_service *s = c->service;
    if (atomic_fetch_add_explicit(&s->instances, 1, memory_order_relaxed) >= s->instances_max) {
        (void)atomic_fetch_sub_explicit(&s->instances, 1, memory_order_relaxed);
        say(s, ALK_LOG_WARN, alk_conn_auth(c->conn)->log_id, "max_instances is reached");
        return ALK_E_LIMIT;
    }
    struct plumbing p;
    struct run *r = run_new(c, stream);
    if (r == NULL) {
        (void)atomic_fetch_sub_explicit(&s->instances, 1, memory_order_relaxed);
        return ALK_E_NOMEM;
    }
    alk_err err = plumb(s->is_pipe, &p);
    if (err == ALK_OK) {
        err = run_connect(r, &p);
        if (err == ALK_OK) {
            err = spawn(r, alk_conn_auth(c->conn), p.stdio);
        } else {
            alk_close_fds(&p.stdio[1], 2);
            alk_close_fds(p.stdio, s->is_pipe ? 1 : 0);
        }
    }
    if (err != ALK_OK) {
        say(s, ALK_LOG_ERROR, r->log_id, "cannot start %s: %s", s->argv[0], alk_err_text(err));
        r->stream = NULL; /* the dispatcher resets it */
        r->relay.stream = NULL;
        alk_stream_on(stream, NULL, NULL);
        run_free(r);
        return err;
    }
    if (s->timeout != 0) {
        alk_timer_set(r->loop, &r->timeout, alk_loop_now(r->loop) + s->timeout);
    }
    return ALK_OK;
}

/* --- connections ---------------------------------------------------------- */

static alk_err exec_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    struct exec_service *s = service;
    struct exec_conn *c = ALK_NEW(s->mem, struct exec_conn);
    (void)auth;
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    c->service = s;
    c->conn = conn;
    *ret_state = c;
    return ALK_OK;
}

static void exec_close(void *state, alk_err why, uint64_t code)
{
    struct exec_conn *c = state;
    (void)why;
    (void)code;
    if (c != NULL) { /* NULL: open had failed */
        alk_free(c->service->mem, c);
    }
}

const struct alk_handler alk_exec_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "exec",
    .summary = "a program per stream",
    .settings = alk_config_exec_rows,
    .flags = ALK_HANDLER_SPAWNS,
    .start = exec_start,
    .stop = exec_stop,
    .open = exec_open,
    .stream = exec_stream,
    .close = exec_close,
};
