/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/spawner.h - the process that starts processes.
 *
 * A small single-threaded process, forked before any key, thread or network byte
 * exists. When the node is started as root it is all that keeps privilege. It
 * starts the programs of `exec` services and forks handler hosts, watches them
 * through pidfds, tells when they end, and signals whole process groups. It obeys
 * only what it was told at the fork: programs and hosts run under `host_user` or
 * one of `exec_users`, never under another user.
 *
 *     endpoint loop 0 --SEQPACKET--\
 *     endpoint loop 1 --SEQPACKET---+-- spawner --fork--> host, program, ...
 *     endpoint loop n --SEQPACKET--/
 *
 * Each loop has a channel of its own (made on first use), so nothing is locked
 * but the list of channels. A process belongs to the loop that started it; when
 * that loop is freed, its processes are killed. When the endpoint dies
 * the spawner kills every group it started and ends; when the spawner dies the
 * kernel kills its children.
 *
 * Threads: start before any thread; exec and host from the loop they name; free
 * after all loops have been freed.
 */
#ifndef ALK_CORE_HOST_SPAWNER_H
#define ALK_CORE_HOST_SPAWNER_H

#include "alknet/handler.h"
#include "base/err.h"
#include "base/span.h"

#include <sys/types.h>

#define ALK_SPAWN_FDS_MAX   250   /* descriptors of one process (kernel's limit: 253) */
#define ALK_SPAWN_ARGS_MAX  1024  /* words of argv and of env, each */
#define ALK_SPAWN_TEXT_MAX  49152 /* bytes of argv, env and paths together */
#define ALK_SPAWN_USERS_MAX 64
#define ALK_SPAWN_STDIO     4 /* 0, 1, 2 and the channel */
#define ALK_SPAWN_CHANNEL   3 /* the number that a program knows it by */

struct alk_spawner;
struct alk_loop;

struct alk_spawner_options {
    const struct alk_mem *mem;
    const struct alk_handler *const *handlers; /* what hosts may run; must outlive the process */
    size_t handler_count;
    const char *host_user;         /* of hosts and programs; as root needed, else must be us.
                                    * NULL: as root "nobody", else us */
    const char *const *exec_users; /* NULL-terminated: further users that programs may name */
    const char *data_dir;          /* what hosts must not reach; NULL: nothing */
    unsigned processes_max;        /* limits.hosts; 0: 200 */
    /* Called first in the new process: it wipes what that one must not know, and
     * nothing of these options. NULL: nothing. */
    void (*forget)(void *ctx);
    void *forget_ctx;
};

/* Forks. ALK_E_NOENT: a user does not exist. ALK_E_PERM: a user is named that is
 * not us, and we are not root; or a host_user that is root. *ret_user (may be
 * NULL) then names it. ALK_E_IO, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_spawner_start(const struct alk_spawner_options *options,
                                        const char **ret_user, struct alk_spawner **ret);
/* Ends the process (it kills what it started) and frees. NULL is allowed. */
void alk_spawner_free(struct alk_spawner *spawner);
pid_t alk_spawner_pid(const struct alk_spawner *spawner);
/* A new processes_max, for what is started from now on; 0: 200. From every thread. */
void alk_spawner_limit(struct alk_spawner *spawner, unsigned processes_max);
/* Whether it is one of options.handlers. */
bool alk_spawner_knows(const struct alk_spawner *spawner, const struct alk_handler *handler);
/* Whether hosts run under a user other than the endpoint's. */
bool alk_spawner_separates(const struct alk_spawner *spawner);

/* --- processes ------------------------------------------------------------ */

struct alk_proc;

enum alk_proc_what {
    ALK_PROC_STARTED, /* pid */
    ALK_PROC_FAILED,  /* err, sys_errno, stage: never started; the last event */
    ALK_PROC_EXITED,  /* status as of waitpid; the last event */
    ALK_PROC_LOST     /* the spawner is gone, and the process with it; the last event */
};

struct alk_proc_event {
    enum alk_proc_what what;
    pid_t pid;
    int status;        /* see WIFEXITED, WTERMSIG */
    alk_err err;       /* ALK_E_NOENT, ALK_E_PERM, ALK_E_LIMIT, ALK_E_INVALID, ALK_E_IO */
    int sys_errno;     /* 0 when the system was not asked */
    const char *stage; /* "exec", "chdir", "user", ...; static text */
};
/* On the loop, never inside alk_spawner_exec or _host. */
typedef void alk_proc_fn(void *ctx, struct alk_proc *proc, const struct alk_proc_event *event);

struct alk_exec_spec {
    const char *const *argv; /* NULL-terminated; argv[0] absolute, or looked up in env's PATH */
    const char *const *env;  /* "NAME=value", NULL-terminated; all there is */
    const char *cwd;         /* NULL: "/" */
    const char *user;        /* NULL: host_user */
    uint64_t memory;         /* RLIMIT_DATA in bytes; 0: none */
    bool new_privileges;     /* the program may gain privileges by setuid files */
    int stdio[3];            /* takes, also on failure; one may stand twice; -1: /dev/null */
    int channel;             /* takes likewise: its descriptor 3; 0: none */
};
/* Starts a program in a process group of its own. It sees 0, 1, 2, the
 * channel, and no other descriptors, default signal dispositions, no core dumps.
 * ALK_OK: events follow.
 * ALK_E_INVALID, ALK_E_LIMIT (requests waiting), ALK_E_HOST_LOST (the spawner is
 * gone), ALK_E_NOMEM, ALK_E_IO. */
ALK_NODISCARD alk_err alk_spawner_exec(struct alk_spawner *spawner, struct alk_loop *loop,
                                       const struct alk_exec_spec *spec, alk_proc_fn *fn, void *ctx,
                                       struct alk_proc **ret);

struct alk_host_spec {
    const char *handler; /* name of one of options.handlers */
    const int *channels; /* control channels, one per loop; takes the descriptors */
    size_t channel_count;
    int stderr_fd; /* where its standard error goes; takes; -1: /dev/null */
};
/* Forks a handler host: core/host/host.h runs there. Errors as alk_spawner_exec. */
ALK_NODISCARD alk_err alk_spawner_host(struct alk_spawner *spawner, struct alk_loop *loop,
                                       const struct alk_host_spec *spec, alk_proc_fn *fn, void *ctx,
                                       struct alk_proc **ret);

/* Signals the whole process group, also after its leader has exited. */
void alk_proc_kill(struct alk_proc *proc, int sig);
/* No further events; the handle is gone. What still runs in the group is killed
 * (KILL). Required once for each process, also after its last event. */
void alk_proc_release(struct alk_proc *proc);

#endif
