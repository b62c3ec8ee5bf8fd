/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/run.h - a program that gets some bytes and gives some back.
 *
 * Its standard input is a file in memory that holds all of them, so it may read, seek
 * or open /dev/stdin; its standard output is a pipe that is read as fast as the user of
 * this takes it; its standard error goes to the log line by line. A run outlives its
 * user: after alk_run_cancel the program's group gets TERM and, two seconds later, KILL.
 *
 * Threads: a run belongs to its loop.
 */
#ifndef ALK_CORE_HOST_RUN_H
#define ALK_CORE_HOST_RUN_H

#include "alknet/handler.h"
#include "alknet/loop.h"
#include "base/err.h"
#include "base/span.h"

struct alk_spawner;
struct alk_run;

/* How a program ended, by waitpid's status: what it exited with, or -1: a signal ended it,
 * alk_run_signal. Without the system's header, for users outside of the host's layer. */
static inline int alk_run_exit_code(int status)
{
    return (status & 0x7f) == 0 ? (status >> 8) & 0xff : -1;
}

static inline int alk_run_signal(int status)
{
    return status & 0x7f;
}

struct alk_run_calls {
    /* Bytes of its output. False: no more for now, see alk_run_resume. */
    bool (*output)(void *ctx, struct alk_span bytes);
    /* Its output is over and it has exited; the last call. err ALK_OK: `status` as of
     * waitpid. ALK_E_LIMIT: too many programs run. ALK_E_HOST_LOST: the spawner is gone.
     * Anything else: it could not be started, message says why. */
    void (*ended)(void *ctx, alk_err err, int status, const char *message);
};

struct alk_run_spec {
    const struct alk_mem *mem;
    struct alk_spawner *spawner;
    struct alk_loop *loop;
    const char *const *argv; /* NULL-terminated */
    const char *const *env;  /* "NAME=value", NULL-terminated */
    const char *cwd;         /* NULL: / */
    const char *user;        /* NULL: the spawner's host_user */
    uint64_t memory;         /* bytes; 0: no limit */
    struct alk_span input;   /* copied */
    alk_log_fn *log;
    void *log_ctx;
    const char *name; /* for the log; borrows until the run is over */
    /* The program is no more, however that came: also after alk_run_cancel, and before
     * `ended`. Not called when alk_run_start fails. May be NULL. */
    void (*gone)(void *ctx);
    void *gone_ctx;
};
/* ALK_OK: `ended` follows, never inside this call. Else as alk_spawner_exec. */
ALK_NODISCARD alk_err alk_run_start(const struct alk_run_spec *spec,
                                    const struct alk_run_calls *calls, void *ctx,
                                    struct alk_run **ret);
void alk_run_resume(struct alk_run *run);
/* Ends the program. No further call; the handle is gone. */
void alk_run_cancel(struct alk_run *run);

#endif
