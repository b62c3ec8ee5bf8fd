/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/run.h"

#include "base/mem.h"
#include "core/host/channel.h"
#include "core/host/lines.h"
#include "core/host/spawner.h"
#include "core/io/loop.h"
#include "core/store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRACE     (2 * ALK_SECOND)
#define READ_STEP ((size_t)65536)

struct alk_run {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    const struct alk_run_calls *calls; /* NULL: nobody wants to hear of it */
    void *ctx;
    struct alk_proc *proc; /* NULL: released */
    struct alk_lines lines;
    int out; /* its output; -1: over */
    struct alk_watch *watch;
    struct alk_timer grace;
    struct alk_loop_end end;
    bool is_paused, has_exited, in_call;
    int status;
    void (*gone)(void *ctx);
    void *gone_ctx;
    char name[128];
};

/* --- the end ---------------------------------------------------------------------- */

static void close_output(struct alk_run *run)
{
    alk_watch_free(run->watch);
    run->watch = NULL;
    if (run->out >= 0) {
        (void)close(run->out);
        run->out = -1;
    }
}

static void run_free(struct alk_run *run)
{
    alk_timer_stop(run->loop, &run->grace);
    alk_loop_end_remove(&run->end);
    close_output(run);
    alk_lines_fini(&run->lines);
    if (run->proc != NULL) {
        alk_proc_release(run->proc); /* with what is left of its group */
    }
    if (run->gone != NULL) {
        run->gone(run->gone_ctx);
    }
    alk_free(run->mem, run);
}

static void tell_end(struct alk_run *run, alk_err err, const char *message)
{
    const struct alk_run_calls *calls = run->calls;
    void *ctx = run->ctx;
    int status = run->status;
    run_free(run);
    if (calls != NULL) {
        calls->ended(ctx, err, status, message);
    }
}

static void check_end(struct alk_run *run)
{
    if (run->has_exited && run->out < 0 && !run->in_call) {
        tell_end(run, ALK_OK, "");
    }
}

static void on_grace(struct alk_timer *timer, void *ctx)
{
    struct alk_run *run = (struct alk_run *)ctx;
    (void)timer;
    if (run->proc != NULL) {
        alk_proc_kill(run->proc, SIGKILL);
    }
}

static void on_loop_end(void *ctx)
{
    struct alk_run *run = (struct alk_run *)ctx;
    run->status = SIGKILL;
    tell_end(run, ALK_E_HOST_LOST, "the loop has ended");
}

void alk_run_cancel(struct alk_run *run)
{
    run->calls = NULL;
    close_output(run);
    if (run->in_call) {
        return; /* the rest when it returns */
    }
    if (run->has_exited) {
        run_free(run);
        return;
    }
    alk_proc_kill(run->proc, SIGTERM);
    alk_timer_set(run->loop, &run->grace, alk_loop_now(run->loop) + GRACE);
}

/* --- output ----------------------------------------------------------------------- */

/* True: there may be more at once. */
static bool read_some(struct alk_run *run)
{
    uint8_t bytes[READ_STEP];
    ssize_t n = read(run->out, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        close_output(run);
        return false;
    }
    run->is_paused = !run->calls->output(run->ctx, alk_span(bytes, (size_t)n));
    return run->calls != NULL && !run->is_paused && (size_t)n == sizeof bytes;
}

static void read_output(struct alk_run *run)
{
    run->in_call = true;
    for (unsigned i = 0; i < 4 && run->out >= 0 && run->calls != NULL; i++) {
        if (!read_some(run)) {
            break;
        }
    }
    run->in_call = false;
    if (run->calls == NULL) {
        alk_run_cancel(run); /* it was, inside */
        return;
    }
    if (run->watch != NULL) {
        alk_watch_mask(run->watch, run->is_paused ? 0 : ALK_FD_READ);
    }
    check_end(run);
}

static void on_output(void *ctx, unsigned ready)
{
    (void)ready;
    read_output((struct alk_run *)ctx);
}

void alk_run_resume(struct alk_run *run)
{
    run->is_paused = false;
    if (run->watch != NULL) {
        alk_watch_mask(run->watch, ALK_FD_READ);
    }
}

/* --- the process ------------------------------------------------------------------- */

static void on_proc(void *ctx, struct alk_proc *proc, const struct alk_proc_event *e)
{
    struct alk_run *run = (struct alk_run *)ctx;
    char message[256];
    (void)proc;

    switch (e->what) {
    case ALK_PROC_STARTED:
        return;
    case ALK_PROC_EXITED:
        run->status = e->status;
        run->has_exited = true;
        if (run->calls == NULL) {
            run_free(run);
        } else {
            check_end(run);
        }
        return;
    case ALK_PROC_FAILED:
        (void)snprintf(message, sizeof message, "%s: %s", e->stage,
                       e->sys_errno != 0 ? strerror(e->sys_errno) : alk_err_text(e->err));
        tell_end(run, e->err, message);
        return;
    case ALK_PROC_LOST:
        tell_end(run, ALK_E_HOST_LOST, "the spawner is gone; restart the node");
        return;
    }
}

/* --- starting ------------------------------------------------------------------------ */

/* What it reads: all of it is there before it starts. */
static alk_err make_input(struct alk_span input, int *ret)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0) {
        return alk_file_err(errno);
    }
    while (input.n > 0) {
        ssize_t n = write(fd, input.p, input.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            alk_err err = alk_file_err(errno);
            (void)close(fd);
            return err;
        }
        input = alk_span_tail(input, (size_t)n);
    }
    /* A program that opens /dev/stdin asks for the right as the user it runs as. */
    if (lseek(fd, 0, SEEK_SET) != 0 || fchmod(fd, 0444) != 0) {
        (void)close(fd);
        return ALK_E_IO;
    }
    *ret = fd;
    return ALK_OK;
}

/* stdio: what becomes 0, 1, 2 of the program; ours: the other ends of 1 and 2. */
static alk_err plumb(struct alk_span input, int stdio[static 3], int ours[static 2])
{
    int out[2], err_fds[2];
    ALK_TRY(make_input(input, &stdio[0]));
    if (pipe2(out, O_CLOEXEC) != 0) {
        alk_err err = alk_file_err(errno);
        (void)close(stdio[0]);
        return err;
    }
    alk_err err = alk_lines_pipe(err_fds);
    if (err != ALK_OK) {
        (void)close(stdio[0]);
        alk_close_fds(out, 2);
        return err;
    }
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    (void)fchmod(out[1], 0666);
    (void)fchmod(err_fds[1], 0666);
    stdio[1] = out[1];
    stdio[2] = err_fds[1];
    ours[0] = out[0];
    ours[1] = err_fds[0];
    return ALK_OK;
}

static struct alk_run *run_new(const struct alk_run_spec *spec, const struct alk_run_calls *calls,
                               void *ctx)
{
    struct alk_run *run = ALK_NEW(spec->mem, struct alk_run);
    if (run != NULL) {
        run->mem = spec->mem;
        run->loop = spec->loop;
        run->calls = calls;
        run->ctx = ctx;
        run->out = -1;
        run->grace = (struct alk_timer){.fn = on_grace, .ctx = run};
        run->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = run};
        (void)snprintf(run->name, sizeof run->name, "%s", spec->name);
        run->lines = (struct alk_lines){.mem = spec->mem,
                                        .loop = spec->loop,
                                        .log = spec->log,
                                        .log_ctx = spec->log_ctx,
                                        .name = run->name,
                                        .fd = -1};
    }
    return run;
}

static alk_err connect_and_spawn(struct alk_run *run, const struct alk_run_spec *spec,
                                 const int stdio[static 3], const int ours[static 2])
{
    run->out = ours[0];
    alk_err err = alk_lines_init(&run->lines, ours[1]);
    if (err == ALK_OK) {
        err = alk_watch_new(run->loop, run->out, ALK_FD_READ, on_output, run, &run->watch);
    }
    if (err != ALK_OK) {
        alk_close_fds(stdio, 3);
        return err;
    }
    const struct alk_exec_spec exec = {.argv = spec->argv,
                                       .env = spec->env,
                                       .cwd = spec->cwd,
                                       .user = spec->user,
                                       .memory = spec->memory,
                                       .stdio = {stdio[0], stdio[1], stdio[2]}};
    return alk_spawner_exec(spec->spawner, run->loop, &exec, on_proc, run, &run->proc);
}

alk_err alk_run_start(const struct alk_run_spec *spec, const struct alk_run_calls *calls, void *ctx,
                      struct alk_run **ret)
{
    int stdio[3] = {-1, -1, -1}, ours[2] = {-1, -1};
    struct alk_run *run = run_new(spec, calls, ctx);
    if (run == NULL) {
        return ALK_E_NOMEM;
    }
    alk_err err = plumb(spec->input, stdio, ours);
    if (err == ALK_OK) {
        err = connect_and_spawn(run, spec, stdio, ours);
    }
    if (err != ALK_OK) {
        run->calls = NULL;
        run_free(run);
        return err;
    }
    alk_loop_end_add(run->loop, &run->end);
    run->gone = spec->gone;
    run->gone_ctx = spec->gone_ctx;
    *ret = run;
    return ALK_OK;
}
