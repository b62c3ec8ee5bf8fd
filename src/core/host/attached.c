/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A run is one program. It outlives its stream: after the peer has gone the
 * program is still to be ended and reaped.
 *
 *   stream open ----------- relay: stream <-> socketpair ----------- program
 *        |                                                             |
 *        |<-- finish: output ended AND status 0; else reset 7 <--------| exits
 *        |--- reset, stop, gone: TERM, 2 s, KILL --------------------->| */
#include "core/host/attached.h"

#include "base/mem.h"
#include "core/host/channel.h"
#include "core/host/lines.h"
#include "core/host/relay.h"
#include "core/host/say.h"
#include "core/host/spawner.h"
#include "core/io/loop.h"
#include "core/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GRACE             (2 * ALK_SECOND)
#define LINGER            ALK_SECOND /* for output that stands before a reset */
#define LINGER_STEP       (5 * ALK_MS)
#define SOCKET_BUFFER     (4 << 20)
#define CHANNEL_QUEUE     ((size_t)64 << 10)
#define MESSAGES_PER_TURN 16
#define REST_MAX          4096

struct alk_attached {
    struct alk_attached_spec spec;
    struct alk_loop *loop;
    struct alk_stream *stream; /* NULL: over for the peer */
    struct alk_proc *proc;     /* NULL: released */
    struct alk_relay relay;
    struct alk_lines lines;
    struct alk_channel channel;
    struct alk_watch *channel_watch;
    struct alk_timer timeout, stall, grace, linger;
    alk_time linger_end;    /* 0: not lingering */
    uint64_t stalled_bytes; /* moved when the stall timer last looked */
    struct alk_loop_end end;
    bool has_ended;  /* its output */
    bool has_exited; /* status is valid */
    bool is_killed;
    bool in_message; /* the owner is being told: freeing waits */
    bool is_over;    /* to be freed after that */
    int status;
};

ALK_PRINTF(3, 4)
static void say(const struct alk_attached *r, enum alk_log_level level, const char *fmt, ...)
{
    const struct alk_attached_spec *s = &r->spec;
    va_list args;
    va_start(args, fmt);
    alk_service_vsay(s->log, s->log_ctx, level, s->name, s->log_id, fmt, args);
    va_end(args);
}

/* --- the end of a run ----------------------------------------------------- */

static void close_channel(struct alk_attached *r)
{
    alk_watch_free(r->channel_watch);
    r->channel_watch = NULL;
    alk_channel_fini(&r->channel);
}

static void release(struct alk_attached *r)
{
    alk_timer_stop(r->loop, &r->timeout);
    alk_timer_stop(r->loop, &r->stall);
    alk_timer_stop(r->loop, &r->grace);
    alk_timer_stop(r->loop, &r->linger);
    alk_loop_end_remove(&r->end);
    if (r->stream != NULL) {
        alk_stream_close(r->stream, ALK_CODE_HOST_LOST);
        r->relay.stream = NULL;
    }
    alk_relay_fini(&r->relay);
    close_channel(r);
    alk_lines_fini(&r->lines);
    if (r->proc != NULL) {
        alk_proc_release(r->proc);
    }
    alk_free(r->spec.mem, r);
}

static void run_end(struct alk_attached *r, const struct alk_attached_end *end)
{
    const struct alk_attached_calls *calls = r->spec.calls;
    void *ctx = r->spec.ctx;
    if (r->in_message) {
        r->is_over = true;
        return;
    }
    release(r);
    calls->ended(ctx, end);
}

static void run_over(struct alk_attached *r)
{
    const struct alk_attached_end end = {
        .err = ALK_OK, .has_status = r->has_exited && !r->is_killed, .status = r->status};
    run_end(r, &end);
}

/* Lets go of the stream: aborted with a code, or finished before. */
static void drop_stream(struct alk_attached *r, uint64_t code)
{
    if (r->stream != NULL) {
        alk_stream_close(r->stream, code);
        r->stream = NULL;
        r->relay.stream = NULL;
    }
    alk_relay_fini(&r->relay);
}

/* In three steps: its input and output are gone, TERM, KILL. */
static void on_grace(struct alk_timer *timer, void *ctx)
{
    struct alk_attached *r = ctx;
    alk_proc_kill(r->proc, r->is_killed ? SIGKILL : SIGTERM);
    if (!r->is_killed) {
        r->is_killed = true;
        alk_timer_set(r->loop, timer, alk_loop_now(r->loop) + GRACE);
    }
}

static void kill_run(struct alk_attached *r)
{
    if (r->is_killed || r->grace.at != 0 || r->proc == NULL) {
        return;
    }
    if (r->spec.patience != 0) {
        alk_timer_set(r->loop, &r->grace, alk_loop_now(r->loop) + r->spec.patience);
        return;
    }
    on_grace(&r->grace, r);
}

/* What it said before it ended is heard, however the two came in. */
static void hear_rest(struct alk_attached *r);

/* The peer's part is over; the program's follows. */
void alk_attached_abandon(struct alk_attached *run, uint64_t code)
{
    drop_stream(run, code);
    if (run->has_exited) {
        hear_rest(run);
        run_over(run); /* and with it what is left of its group */
        return;
    }
    kill_run(run);
}

static void say_status(const struct alk_attached *r)
{
    if (WIFSIGNALED(r->status)) {
        say(r, ALK_LOG_INFO, "%s was ended by signal %d", r->spec.program, WTERMSIG(r->status));
    } else if (WEXITSTATUS(r->status) != 0) {
        say(r, ALK_LOG_INFO, "%s exited with status %d", r->spec.program, WEXITSTATUS(r->status));
    }
}

/* A reset drops what is unsent. What a program printed before it failed is most
 * likely why: it gets a moment to arrive. */
static bool must_linger(struct alk_attached *r)
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
static void check_end(struct alk_attached *r)
{
    bool is_good = WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0;
    if (!r->has_exited || (r->stream != NULL && !r->has_ended)) {
        return;
    }
    if (r->stream != NULL && !is_good && must_linger(r)) {
        return;
    }
    hear_rest(r);
    if (r->stream != NULL && is_good) {
        alk_stream_finish(r->stream);
    }
    drop_stream(r, is_good ? ALK_CODE_NONE : ALK_CODE_EXIT);
    run_over(r);
}

static void on_linger(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    check_end(ctx);
}

static void on_timeout(struct alk_timer *timer, void *ctx)
{
    struct alk_attached *r = ctx;
    (void)timer;
    say(r, ALK_LOG_INFO, "time-out");
    alk_attached_abandon(r, ALK_CODE_TIMEOUT);
}

static void on_stall(struct alk_timer *timer, void *ctx)
{
    struct alk_attached *r = ctx;
    uint64_t bytes = r->relay.in_bytes + r->relay.out_bytes;
    if (r->stream == NULL) {
        return;
    }
    if (bytes == r->stalled_bytes) {
        say(r, ALK_LOG_INFO, "nothing has moved for too long");
        alk_attached_abandon(r, ALK_CODE_TIMEOUT);
        return;
    }
    r->stalled_bytes = bytes;
    alk_timer_set(r->loop, timer, alk_loop_now(r->loop) + r->spec.stall);
}

/* The loop is about to go. */
static void on_loop_end(void *ctx)
{
    run_over(ctx);
}

/* --- events --------------------------------------------------------------- */

static void refuse_input(struct alk_attached *r)
{
    if (r->spec.is_tls) {
        alk_relay_discard_out(&r->relay);
    } else if (r->stream != NULL) {
        alk_stream_stop(r->stream, ALK_CODE_NONE);
    }
}

static void on_relay(void *ctx, unsigned events)
{
    struct alk_attached *r = ctx;
    if ((events & ALK_RELAY_CLOSED) != 0) {
        r->stream = NULL;
        alk_attached_abandon(r, ALK_CODE_NONE);
        return;
    }
    if ((events & (ALK_RELAY_OUT_RESET | ALK_RELAY_IN_STOPPED)) != 0) {
        alk_attached_abandon(r, ALK_CODE_EXIT);
        return;
    }
    if ((events & ALK_RELAY_FAILED) != 0) {
        alk_attached_abandon(r, ALK_CODE_LIMIT);
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

static void say_failed(const struct alk_attached *r, const struct alk_proc_event *e)
{
    const struct alk_attached_spec *s = &r->spec;
    if (e->err == ALK_E_LIMIT && e->sys_errno == 0) {
        say(r, ALK_LOG_WARN, "limits.hosts is reached");
    } else if (strcmp(e->stage, "user") == 0) {
        say(r, ALK_LOG_ERROR,
            "cannot become user '%s': %s (a new user needs a restart of the node)",
            s->user == NULL || s->user[0] == '\0' ? "host_user" : s->user, strerror(e->sys_errno));
    } else {
        bool is_cwd = strcmp(e->stage, "chdir") == 0 && s->cwd != NULL;
        say(r, ALK_LOG_ERROR, "cannot start %s: %s: %s", is_cwd ? s->cwd : s->program, e->stage,
            strerror(e->sys_errno));
    }
}

static void on_proc(void *ctx, struct alk_proc *proc, const struct alk_proc_event *e)
{
    struct alk_attached *r = ctx;
    struct alk_attached_end end = {.err = e->err};
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
        break;
    case ALK_PROC_LOST:
        say(r, ALK_LOG_ERROR, "the spawner is gone; restart the node");
        drop_stream(r, ALK_CODE_HOST_LOST);
        break;
    }
    end.stream = r->stream;
    r->stream = NULL;
    if (end.stream != NULL) {
        alk_stream_on(end.stream, NULL, NULL);
        r->relay.stream = NULL;
    }
    run_end(r, &end);
}

/* --- the channel ------------------------------------------------------------ */

static void update_channel(struct alk_attached *r)
{
    if (r->channel_watch != NULL) {
        unsigned write = alk_channel_has_queue(&r->channel) ? (unsigned)ALK_FD_WRITE : 0U;
        alk_watch_mask(r->channel_watch, ALK_FD_READ | write);
    }
}

/* One message; false: no more now. */
static bool hear_one(struct alk_attached *r)
{
    uint8_t text[8192];
    size_t fd_count = 0;
    int no_fds[1];
    struct alk_span message;
    size_t max = r->spec.message_max < sizeof text ? r->spec.message_max : sizeof text;
    alk_err err = alk_channel_recv(&r->channel, text, max, no_fds, &fd_count, &message);
    if (err == ALK_MORE) {
        return false;
    }
    if (err != ALK_OK) { /* closed by all who had it, or broken: nothing more is said */
        close_channel(r);
        return false;
    }
    r->in_message = true;
    r->spec.calls->message(r->spec.ctx, message);
    r->in_message = false;
    return !r->is_over && r->channel_watch != NULL;
}

static void hear_rest(struct alk_attached *r)
{
    for (int i = 0; i < REST_MAX && r->channel_watch != NULL && !r->in_message; i++) {
        if (!hear_one(r)) {
            break;
        }
    }
}

static void on_channel(void *ctx, unsigned ready)
{
    struct alk_attached *r = ctx;
    if ((ready & ALK_FD_WRITE) != 0 && alk_channel_flush(&r->channel) == ALK_E_CLOSED) {
        close_channel(r);
    }
    for (int i = 0; i < MESSAGES_PER_TURN && r->channel_watch != NULL && hear_one(r); i++) {
    }
    if (r->is_over) {
        run_over(r);
        return;
    }
    update_channel(r);
}

alk_err alk_attached_say(struct alk_attached *run, struct alk_span message)
{
    if (run->channel_watch == NULL) {
        return ALK_E_CLOSED;
    }
    alk_err err = alk_channel_send(&run->channel, message, NULL, 0, false);
    update_channel(run);
    return err;
}

/* --- the start of a run --------------------------------------------------- */

/* Descriptors of one program: ours, and those that become 0, 1, 2 and the channel. */
struct plumbing {
    int out, in;  /* ours: to its input, from its output */
    int stdio[3]; /* its */
    int err;      /* ours: from its standard error */
    int talk[2];  /* the channel: ours, its; -1: none */
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

/* What is the program's. */
static void close_its(const struct alk_attached_spec *spec, const struct plumbing *p)
{
    alk_close_fds(&p->stdio[1], 2);
    alk_close_fds(p->stdio, spec->is_pipe ? 1 : 0);
    alk_close_fds(&p->talk[1], p->talk[1] < 0 ? 0 : 1);
}

static alk_err plumb(const struct alk_attached_spec *spec, struct plumbing *ret)
{
    struct plumbing p = {.talk = {-1, -1}};
    int err_fds[2];
    ALK_TRY(alk_lines_pipe(err_fds));
    alk_err err = spec->message_max == 0 ? ALK_OK : alk_channel_pair(p.talk);
    if (err == ALK_OK) {
        err = spec->is_pipe ? plumb_pipes(&p) : plumb_socket(&p);
        if (err != ALK_OK && p.talk[0] >= 0) {
            alk_close_fds(p.talk, 2);
        }
    }
    if (err != ALK_OK) {
        alk_close_fds(err_fds, 2);
        return err;
    }
    if (p.talk[1] >= 0) {
        (void)fcntl(p.talk[1], F_SETFL, 0); /* it waits for answers */
    }
    let_open(err_fds[1]);
    p.err = err_fds[0];
    p.stdio[2] = err_fds[1];
    *ret = p;
    return ALK_OK;
}

/* Everything that can fail before the program is asked for. Takes what is ours. */
static alk_err run_connect(struct alk_attached *r, const struct plumbing *p)
{
    const struct alk_attached_spec *s = &r->spec;
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
    r->lines = (struct alk_lines){.mem = s->mem,
                                  .loop = r->loop,
                                  .log = s->log,
                                  .log_ctx = s->log_ctx,
                                  .name = s->name,
                                  .fd = -1};
    alk_channel_init(&r->channel, s->mem, p->talk[0], CHANNEL_QUEUE);
    alk_err err = alk_relay_init(&r->relay, &relay);
    if (err != ALK_OK) {
        (void)close(p->err);
        return err;
    }
    ALK_TRY(alk_lines_init(&r->lines, p->err));
    return p->talk[0] < 0
               ? ALK_OK
               : alk_watch_new(r->loop, p->talk[0], ALK_FD_READ, on_channel, r, &r->channel_watch);
}

static alk_err spawn(struct alk_attached *r, const struct alk_attached_spec *s,
                     const struct plumbing *p)
{
    const struct alk_exec_spec exec = {
        .argv = s->argv,
        .env = s->env,
        .cwd = s->cwd,
        .user = s->user,
        .memory = s->memory,
        .stdio = {p->stdio[0], p->stdio[1], p->stdio[2]},
        .channel = p->talk[1] < 0 ? 0 : p->talk[1],
    };
    return alk_spawner_exec(s->spawner, r->loop, &exec, on_proc, r, &r->proc);
}

static struct alk_attached *run_new(const struct alk_attached_spec *spec)
{
    struct alk_attached *r = ALK_NEW(spec->mem, struct alk_attached);
    if (r == NULL) {
        return NULL;
    }
    r->spec = *spec;
    r->loop = spec->loop;
    r->stream = spec->stream;
    r->channel.fd = -1;
    r->timeout = (struct alk_timer){.fn = on_timeout, .ctx = r};
    r->stall = (struct alk_timer){.fn = on_stall, .ctx = r};
    r->grace = (struct alk_timer){.fn = on_grace, .ctx = r};
    r->linger = (struct alk_timer){.fn = on_linger, .ctx = r};
    r->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = r};
    alk_loop_end_add(r->loop, &r->end);
    return r;
}

static alk_err connect_and_spawn(struct alk_attached *r)
{
    struct plumbing p;
    ALK_TRY(plumb(&r->spec, &p));
    alk_err err = run_connect(r, &p);
    if (err != ALK_OK) {
        close_its(&r->spec, &p);
        return err;
    }
    return spawn(r, &r->spec, &p);
}

alk_err alk_attached_start(const struct alk_attached_spec *spec, struct alk_attached **ret)
{
    struct alk_attached *r = run_new(spec);
    if (r == NULL) {
        return ALK_E_NOMEM;
    }
    alk_err err = connect_and_spawn(r);
    if (err != ALK_OK) {
        say(r, ALK_LOG_ERROR, "cannot start %s: %s", spec->program, alk_err_text(err));
        r->stream = NULL; /* the caller's again */
        r->relay.stream = NULL;
        alk_stream_on(spec->stream, NULL, NULL);
        release(r);
        return err;
    }
    r->spec.argv = r->spec.env = NULL;
    if (spec->timeout != 0) {
        alk_timer_set(r->loop, &r->timeout, alk_loop_now(r->loop) + spec->timeout);
    }
    if (spec->stall != 0) {
        alk_timer_set(r->loop, &r->stall, alk_loop_now(r->loop) + spec->stall);
    }
    *ret = r;
    return ALK_OK;
}
