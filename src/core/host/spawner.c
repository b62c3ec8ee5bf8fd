/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The endpoint's side of the spawner. */
#include "core/host/spawner.h"

#include "base/list.h"
#include "base/mem.h"
#include "core/host/channel.h"
#include "core/host/spawn_msg.h"
#include "core/host/spawner_main.h"
#include "core/io/loop.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PROCESSES_DEFAULT 200
#define QUEUE_MAX         ((size_t)4 << 20)
#define END_TIMEOUT_MS    3000
#define EVENTS_PER_TURN   64
#define NO_FD             255

struct alk_proc {
    const struct alk_mem *mem;
    struct spawner_client *client; /* NULL: detached */
    uint64_t id;
    alk_proc_fn *fn;
    void *ctx;
    bool is_over; /* the last event was told */
    struct alk_link in;
};

/* One loop's channel. */
struct spawner_client {
    struct alk_spawner *spawner;
    struct alk_loop *loop;
    struct alk_channel channel;
    struct alk_watch *watch;
    struct alk_list procs;
    uint64_t next_id;
    bool is_lost;
    struct alk_loop_end end;
    struct alk_link in;
};

struct alk_spawner {
    const struct alk_mem *mem;
    const struct alk_handler *const *handlers;
    size_t handler_count;
    pid_t pid;
    bool separates;
    pthread_mutex_t lock;
    struct alk_channel first; /* under the lock; ATTACH goes here */
    struct alk_list clients;  /* under the lock */
};

/* --- users ---------------------------------------------------------------- */

static alk_err add_user(const char *name, struct alk_spawn_user *ret)
{
    struct alk_spawn_user u = {0};
    ALK_TRY(alk_user_find(name, &u.user));
    if (geteuid() != 0) {
        *ret = u;
        return u.user.uid == geteuid() ? ALK_OK : ALK_E_PERM;
    }
    int count = ALK_SPAWN_GROUPS_MAX;
    if (u.user.uid == 0 || getgrouplist(u.user.name, u.user.gid, u.groups, &count) < 0) {
        return ALK_E_PERM;
    }
    u.group_count = (size_t)count;
    *ret = u;
    return ALK_OK;
}

static alk_err find_users(const struct alk_spawner_options *options, struct alk_spawn_user *users,
                          size_t *ret_count, const char **ret_user)
{
    const char *host_user = options->host_user;
    if (host_user == NULL && geteuid() == 0) {
        host_user = "nobody";
    }
    alk_err err = ALK_OK;
    if (host_user == NULL) {
        alk_user_self(&users[0].user);
    } else {
        *ret_user = host_user;
        err = add_user(host_user, &users[0]);
    }
    size_t count = 1;
    for (const char *const *u = options->exec_users; u != NULL && *u != NULL; u++) {
        if (err != ALK_OK) {
            return err;
        }
        *ret_user = *u;
        err = count == ALK_SPAWN_USERS_MAX ? ALK_E_LIMIT : add_user(*u, &users[count++]);
    }
    *ret_count = count;
    return err;
}

/* --- life ----------------------------------------------------------------- */

_Noreturn static void run_spawner(const struct alk_spawner_options *options,
                                  const struct alk_spawn_user *users, size_t user_count, int fd)
{
    struct alk_spawner_main m = {
        .mem = options->mem,
        .handlers = options->handlers,
        .handler_count = options->handler_count,
        .users = users,
        .user_count = user_count,
        .data_dir = options->data_dir,
        .processes_max = options->processes_max == 0 ? PROCESSES_DEFAULT : options->processes_max,
        .is_separate = geteuid() == 0,
        .fd = fd,
    };
    if (options->forget != NULL) {
        options->forget(options->forget_ctx);
    }
    alk_spawner_main(&m);
}

alk_err alk_spawner_start(const struct alk_spawner_options *options, const char **ret_user,
                          struct alk_spawner **ret)
{
    const char *user = NULL;
    int fds[2] = {-1, -1};
    size_t user_count = 0;
    struct alk_spawner *s = ALK_NEW(options->mem, struct alk_spawner);
    struct alk_spawn_user *users =
        alk_zalloc(options->mem, ALK_SPAWN_USERS_MAX, sizeof(struct alk_spawn_user));
    alk_err err = s == NULL || users == NULL ? ALK_E_NOMEM : ALK_OK;
    if (err == ALK_OK) {
        err = find_users(options, users, &user_count, &user);
        if (err != ALK_OK && ret_user != NULL) {
            *ret_user = user;
        }
    }
    if (err == ALK_OK) {
        err = alk_channel_pair(fds);
    }
    if (err != ALK_OK) {
        goto out;
    }
    s->mem = options->mem;
    s->handlers = options->handlers;
    s->handler_count = options->handler_count;
    s->separates = geteuid() == 0;
    s->pid = fork();
    if (s->pid == 0) {
        run_spawner(options, users, user_count, fds[1]);
    }
    if (s->pid < 0 || pthread_mutex_init(&s->lock, NULL) != 0) {
        alk_close_fds(fds, 2);
        err = ALK_E_IO;
        goto out;
    }
    (void)close(fds[1]);
    alk_channel_init(&s->first, s->mem, fds[0], QUEUE_MAX);
    alk_list_init(&s->clients);
    *ret = s;
    s = NULL;
out:
    alk_free(options->mem, users);
    alk_free(options->mem, s);
    return err;
}

/* Waits for the process, but not for ever. */
static void wait_end(pid_t pid)
{
    struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    if (p.fd < 0 || poll(&p, 1, END_TIMEOUT_MS) != 1) {
        (void)kill(pid, SIGKILL);
    }
    if (p.fd >= 0) {
        (void)close(p.fd);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

void alk_spawner_free(struct alk_spawner *spawner)
{
    if (spawner == NULL) {
        return;
    }
    ALK_ASSERT(alk_list_is_empty(&spawner->clients));
    alk_channel_fini(&spawner->first);
    wait_end(spawner->pid);
    (void)pthread_mutex_destroy(&spawner->lock);
    alk_free(spawner->mem, spawner);
}

pid_t alk_spawner_pid(const struct alk_spawner *spawner)
{
    return spawner->pid;
}

bool alk_spawner_knows(const struct alk_spawner *spawner, const struct alk_handler *handler)
{
    for (size_t i = 0; i < spawner->handler_count; i++) {
        if (spawner->handlers[i] == handler) {
            return true;
        }
    }
    return false;
}

bool alk_spawner_separates(const struct alk_spawner *spawner)
{
    return spawner->separates;
}

/* --- channels ------------------------------------------------------------- */

static void update_mask(struct spawner_client *c)
{
    unsigned write = alk_channel_has_queue(&c->channel) ? (unsigned)ALK_FD_WRITE : 0U;
    alk_watch_mask(c->watch, ALK_FD_READ | write);
}

/* Tells every owner once; they may release any process meanwhile. */
static void lose(struct spawner_client *c)
{
    struct alk_link *l;
    c->is_lost = true;
    alk_watch_mask(c->watch, 0);
    for (;;) {
        struct alk_proc *found = NULL;
        for (l = alk_list_first(&c->procs); l != NULL; l = alk_list_next(&c->procs, l)) {
            struct alk_proc *p = ALK_CONTAINER(l, struct alk_proc, in);
            if (!p->is_over) {
                found = p;
                break;
            }
        }
        if (found == NULL) {
            return;
        }
        const struct alk_proc_event e = {.what = ALK_PROC_LOST, .err = ALK_E_HOST_LOST};
        found->is_over = true;
        found->fn(found->ctx, found, &e);
    }
}

static alk_err err_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOENT:
    case ENOTDIR:
        return ALK_E_NOENT;
    case EPERM:
    case EACCES:
        return ALK_E_PERM;
    case EDQUOT:
    case EAGAIN:
    case EMFILE:
    case ENFILE:
        return ALK_E_LIMIT;
    case ENOMEM:
        return ALK_E_NOMEM;
    case EINVAL:
    case E2BIG:
        return ALK_E_INVALID;
    default:
        return ALK_E_IO;
    }
}

static struct alk_proc *find(const struct spawner_client *c, uint64_t id)
{
    struct alk_link *l = alk_list_first(&c->procs);
    for (; l != NULL; l = alk_list_next(&c->procs, l)) {
        struct alk_proc *p = ALK_CONTAINER(l, struct alk_proc, in);
        if (p->id == id) {
            return p;
        }
    }
    return NULL;
}

static void deliver(struct spawner_client *c, const struct alk_spawn_msg *m)
{
    struct alk_proc_event e = {0};
    struct alk_proc *p = find(c, m->id);
    if (p == NULL || p->is_over) {
        return; /* released meanwhile */
    }
    if (m->type == ALK_SPAWN_STARTED) {
        e.what = ALK_PROC_STARTED;
        e.pid = (pid_t)m->u.number;
    } else if (m->type == ALK_SPAWN_EXITED) {
        e.what = ALK_PROC_EXITED;
        e.status = (int)m->u.number;
        p->is_over = true;
    } else {
        e.what = ALK_PROC_FAILED;
        /* Our own limit, not the disk's: no number of the system's. */
        bool is_limit = m->u.failed.stage == ALK_STAGE_REQUEST && m->u.failed.sys_errno == EDQUOT;
        e.sys_errno = is_limit ? 0 : (int)m->u.failed.sys_errno;
        e.stage = alk_spawn_stage_text(m->u.failed.stage);
        e.err = is_limit ? ALK_E_LIMIT : err_of_errno(e.sys_errno);
        p->is_over = true;
    }
    p->fn(p->ctx, p, &e);
}

static void on_channel(void *ctx, unsigned ready)
{
    struct spawner_client *c = ctx;
    alk_err err = ALK_OK;
    if ((ready & ALK_FD_WRITE) != 0) {
        err = alk_channel_flush(&c->channel);
    }
    for (int i = 0; i < EVENTS_PER_TURN && (err == ALK_OK || err == ALK_FULL); i++) {
        uint8_t buf[64];
        int fds[1];
        size_t fd_count = 0;
        struct alk_span datagram;
        struct alk_spawn_msg m;
        err = alk_channel_recv(&c->channel, buf, sizeof buf, fds, &fd_count, &datagram);
        if (err == ALK_OK && alk_spawn_msg_parse(datagram, 0, false, &m) == ALK_OK) {
            deliver(c, &m);
        }
    }
    if (err != ALK_OK && err != ALK_MORE && err != ALK_FULL) {
        lose(c);
        return;
    }
    update_mask(c);
}

/* A message on the first channel; under the lock. Takes the descriptor. A handful
 * in a process's life: the kernel's buffer holds them. */
static alk_err send_first(struct alk_spawner *s, const struct alk_spawn_msg *m, int fd)
{
    uint8_t text[16];
    struct alk_wr w = alk_wr(text, sizeof text);
    if (alk_spawn_msg_write(&w, m) != ALK_OK) {
        alk_close_fds(&fd, 1);
        return ALK_E_INTERNAL;
    }
    alk_err err = alk_channel_send(&s->first, alk_wr_span(&w), &fd, fd < 0 ? 0 : 1, true);
    if (err == ALK_OK && alk_channel_has_queue(&s->first)) {
        struct pollfd p = {.fd = s->first.fd, .events = POLLOUT};
        err = poll(&p, 1, END_TIMEOUT_MS) == 1 ? alk_channel_flush(&s->first) : ALK_E_TIMEOUT;
    }
    return err == ALK_OK ? ALK_OK : ALK_E_HOST_LOST;
}

static alk_err attach(struct alk_spawner *s, int fd)
{
    const struct alk_spawn_msg m = {.type = ALK_SPAWN_ATTACH};
    return send_first(s, &m, fd);
}

void alk_spawner_limit(struct alk_spawner *spawner, unsigned processes_max)
{
    struct alk_spawn_msg m = {.type = ALK_SPAWN_LIMIT};
    m.u.number = processes_max == 0 ? PROCESSES_DEFAULT : processes_max;
    (void)pthread_mutex_lock(&spawner->lock);
    alk_err err = send_first(spawner, &m, -1);
    (void)err; /* the spawner is gone: every channel will tell */
    (void)pthread_mutex_unlock(&spawner->lock);
}

/* The loop is about to go: owners end first (they have hooks of their own), then
 * the channel, and with it what they left running. */
static void on_loop_end(void *ctx)
{
    struct spawner_client *c = ctx;
    struct alk_spawner *s = c->spawner;
    struct alk_link *l;
    (void)pthread_mutex_lock(&s->lock);
    alk_list_remove(&c->in);
    (void)pthread_mutex_unlock(&s->lock);
    while ((l = alk_list_pop(&c->procs)) != NULL) {
        ALK_CONTAINER(l, struct alk_proc, in)->client = NULL; /* its owner releases it */
    }
    alk_watch_free(c->watch);
    alk_channel_fini(&c->channel);
    alk_free(s->mem, c);
}

static alk_err client_new(struct alk_spawner *s, struct alk_loop *loop, struct spawner_client **ret)
{
    int fds[2];
    struct spawner_client *c = ALK_NEW(s->mem, struct spawner_client);
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    c->spawner = s;
    c->loop = loop;
    alk_list_init(&c->procs);
    alk_err err = alk_channel_pair(fds);
    if (err != ALK_OK) {
        alk_free(s->mem, c);
        return err;
    }
    alk_channel_init(&c->channel, s->mem, fds[0], QUEUE_MAX);
    err = attach(s, fds[1]);
    if (err == ALK_OK) {
        err = alk_watch_new(loop, fds[0], ALK_FD_READ, on_channel, c, &c->watch);
    }
    if (err != ALK_OK) {
        alk_channel_fini(&c->channel);
        alk_free(s->mem, c);
        return err;
    }
    c->end = (struct alk_loop_end){.fn = on_loop_end, .ctx = c};
    alk_loop_end_add(loop, &c->end);
    alk_list_append(&s->clients, &c->in);
    *ret = c;
    return ALK_OK;
}

static struct spawner_client *client_find(struct alk_spawner *s, const struct alk_loop *loop)
{
    struct alk_link *l = alk_list_first(&s->clients);
    for (; l != NULL; l = alk_list_next(&s->clients, l)) {
        struct spawner_client *c = ALK_CONTAINER(l, struct spawner_client, in);
        if (c->loop == loop) {
            return c;
        }
    }
    return NULL;
}

static alk_err client_get(struct alk_spawner *s, struct alk_loop *loop, struct spawner_client **ret)
{
    alk_err err = ALK_OK;
    (void)pthread_mutex_lock(&s->lock);
    struct spawner_client *c = client_find(s, loop);
    if (c == NULL) {
        err = client_new(s, loop, &c);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (err == ALK_OK && c->is_lost) {
        err = ALK_E_HOST_LOST;
    }
    if (err == ALK_OK) {
        *ret = c;
    }
    return err;
}

/* --- requests ------------------------------------------------------------- */

static alk_err send_message(struct spawner_client *c, const struct alk_spawn_msg *m, const int *fds,
                            size_t fd_count, bool is_urgent)
{
    struct alk_buf text;
    alk_buf_init(&text, c->spawner->mem, ALK_SPAWN_MSG_MAX);
    struct alk_wr w = alk_wr_buf(&text);
    alk_err err = alk_spawn_msg_write(&w, m);
    if (err != ALK_OK) {
        alk_close_fds(fds, fd_count);
        err = err == ALK_E_NOMEM ? err : ALK_E_INVALID;
    } else {
        err = alk_channel_send(&c->channel, alk_buf_span(&text), fds, fd_count, is_urgent);
    }
    alk_buf_fini(&text);
    update_mask(c);
    switch ((int)err) {
    case ALK_FULL:
        return ALK_E_LIMIT;
    case ALK_E_CLOSED:
        return ALK_E_HOST_LOST;
    default:
        return err;
    }
}

/* Sends a start request and makes the handle. Takes the descriptors. */
static alk_err start(struct spawner_client *c, struct alk_spawn_msg *m, const int *fds,
                     size_t fd_count, alk_proc_fn *fn, void *ctx, struct alk_proc **ret)
{
    struct alk_proc *p = ALK_NEW(c->spawner->mem, struct alk_proc);
    if (p == NULL) {
        alk_close_fds(fds, fd_count);
        return ALK_E_NOMEM;
    }
    p->mem = c->spawner->mem;
    p->client = c;
    p->id = ++c->next_id;
    p->fn = fn;
    p->ctx = ctx;
    m->id = p->id;
    alk_err err = send_message(c, m, fds, fd_count, false);
    if (err != ALK_OK) {
        alk_free(c->spawner->mem, p);
        return err;
    }
    alk_list_append(&c->procs, &p->in);
    *ret = p;
    return ALK_OK;
}

/* Appends each word with its zero byte; how many through *ret_count. */
static alk_err put_words(struct alk_buf *b, const char *const *words, uint16_t *ret_count)
{
    uint16_t count = 0;
    for (; words != NULL && words[count] != NULL; count++) {
        if (count == ALK_SPAWN_ARGS_MAX) {
            return ALK_E_TOO_BIG;
        }
        ALK_TRY(alk_buf_put(b, alk_span(words[count], strlen(words[count]) + 1)));
    }
    *ret_count = count;
    return ALK_OK;
}

static struct alk_span cstr_span(const char *text)
{
    return alk_span(text == NULL ? "" : text, text == NULL ? 1 : strlen(text) + 1);
}

/* Lists each descriptor once; index says which of them 0, 1, 2 are. */
static size_t gather_stdio(const struct alk_exec_spec *spec, int *fds, uint8_t *index)
{
    const int stdio[ALK_SPAWN_STDIO] = {spec->stdio[0], spec->stdio[1], spec->stdio[2],
                                        spec->channel > 0 ? spec->channel : -1};
    size_t count = 0;
    for (size_t i = 0; i < ALK_SPAWN_STDIO; i++) {
        index[i] = NO_FD;
        for (size_t k = 0; k < count && stdio[i] >= 0; k++) {
            if (fds[k] == stdio[i]) {
                index[i] = (uint8_t)k;
            }
        }
        if (stdio[i] >= 0 && index[i] == NO_FD) {
            index[i] = (uint8_t)count;
            fds[count++] = stdio[i];
        }
    }
    return count;
}

alk_err alk_spawner_exec(struct alk_spawner *spawner, struct alk_loop *loop,
                         const struct alk_exec_spec *spec, alk_proc_fn *fn, void *ctx,
                         struct alk_proc **ret)
{
    int fds[ALK_SPAWN_STDIO];
    struct alk_spawn_msg m = {.type = ALK_SPAWN_EXEC};
    size_t fd_count = gather_stdio(spec, fds, m.u.exec.stdio);
    struct alk_buf words;
    struct spawner_client *c = NULL;
    alk_buf_init(&words, spawner->mem, ALK_SPAWN_TEXT_MAX);
    alk_err err = client_get(spawner, loop, &c);
    if (err == ALK_OK) {
        err = put_words(&words, spec->argv, &m.u.exec.argc);
    }
    if (err == ALK_OK) {
        err = put_words(&words, spec->env, &m.u.exec.envc);
    }
    if (err == ALK_OK && m.u.exec.argc == 0) {
        err = ALK_E_INVALID;
    }
    if (err != ALK_OK) {
        alk_close_fds(fds, fd_count);
    } else {
        m.u.exec.words = alk_buf_span(&words);
        m.u.exec.cwd = cstr_span(spec->cwd);
        m.u.exec.user = cstr_span(spec->user);
        m.u.exec.memory = spec->memory;
        m.u.exec.new_privileges = spec->new_privileges;
        err = start(c, &m, fds, fd_count, fn, ctx, ret);
    }
    alk_buf_fini(&words);
    return err == ALK_E_TOO_BIG ? ALK_E_INVALID : err;
}

alk_err alk_spawner_host(struct alk_spawner *spawner, struct alk_loop *loop,
                         const struct alk_host_spec *spec, alk_proc_fn *fn, void *ctx,
                         struct alk_proc **ret)
{
    int fds[ALK_SPAWN_FDS_MAX + 1];
    struct alk_spawn_msg m = {.type = ALK_SPAWN_HOST};
    struct spawner_client *c = NULL;
    bool is_right = spec->channel_count >= 1 && spec->channel_count <= ALK_SPAWN_FDS_MAX;
    alk_err err = is_right ? client_get(spawner, loop, &c) : ALK_E_INVALID;
    if (err != ALK_OK) {
        alk_close_fds(spec->channels, spec->channel_count);
        alk_close_fds(&spec->stderr_fd, 1);
        return err;
    }
    size_t fd_count = spec->channel_count;
    memcpy(fds, spec->channels, fd_count * sizeof(int));
    if (spec->stderr_fd >= 0) {
        fds[fd_count++] = spec->stderr_fd;
    }
    m.u.host.handler = cstr_span(spec->handler);
    m.u.host.channels = (uint8_t)spec->channel_count;
    m.u.host.has_stderr = spec->stderr_fd >= 0;
    return start(c, &m, fds, fd_count, fn, ctx, ret);
}

void alk_proc_kill(struct alk_proc *proc, int sig)
{
    if (proc->client != NULL && !proc->client->is_lost) {
        struct alk_spawn_msg m = {.type = ALK_SPAWN_KILL, .id = proc->id};
        m.u.number = (uint32_t)sig;
        alk_err err = send_message(proc->client, &m, NULL, 0, true);
        (void)err; /* lost: then the kernel has killed it */
    }
}

void alk_proc_release(struct alk_proc *proc)
{
    struct spawner_client *c = proc->client;
    if (c == NULL) {
        alk_free(proc->mem, proc);
        return;
    }
    if (!c->is_lost) {
        const struct alk_spawn_msg m = {.type = ALK_SPAWN_RELEASE, .id = proc->id};
        alk_err err = send_message(c, &m, NULL, 0, true);
        (void)err;
    }
    alk_list_remove(&proc->in);
    alk_free(c->spawner->mem, proc);
}
