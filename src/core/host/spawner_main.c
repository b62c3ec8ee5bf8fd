/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One epoll loop over channels, pidfds and the status sockets of starting
 * children. One event is handled per wait, so nothing can be freed under an event
 * that was fetched with it.
 *
 *     STARTING --closed--------> RUNNING --pidfd--> EXITED --RELEASE--> reaped
 *        `-----------errno---> FAILED, reaped
 *
 * A child that exited stays a zombie until the endpoint releases it: its number,
 * which is the group's, cannot be given to anybody else meanwhile, so the group
 * can be signalled safely. */
#include "core/host/spawner_main.h"

#include "base/list.h"
#include "base/mem.h"
#include "core/host/channel.h"
#include "core/host/spawn_child.h"
#include "core/host/spawn_msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define QUEUE_MAX ((size_t)1 << 20)

enum source_kind { SOURCE_CHANNEL, SOURCE_PIDFD, SOURCE_STATUS };
struct source {
    enum source_kind kind;
    int fd; /* -1: not watched */
    void *owner;
};

struct client {
    struct spawner *spawner;
    struct alk_channel channel;
    struct source source;
    struct alk_list children;
    bool is_first; /* its end is the end of all */
    struct alk_link in;
};

enum child_state { CHILD_STARTING, CHILD_RUNNING, CHILD_EXITED };
struct child {
    struct client *client; /* NULL: nobody waits for it any more */
    uint64_t id;
    pid_t pid;
    enum child_state state;
    struct source pidfd, status;
    struct alk_link in;
};

struct spawner {
    const struct alk_spawner_main *options;
    const struct alk_mem *mem;
    int epoll;
    struct alk_list clients;
    struct alk_list orphans; /* children whose client is gone or has released them */
    unsigned count, max;
    uint8_t buf[ALK_SPAWN_MSG_MAX];
};

/* --- watching ------------------------------------------------------------- */

static bool watch(struct spawner *s, struct source *src, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = src};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, src->fd, &e) == 0;
}

static void unwatch(struct spawner *s, struct source *src)
{
    if (src->fd >= 0) {
        (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, src->fd, NULL);
        (void)close(src->fd);
        src->fd = -1;
    }
}

static void answer(struct client *c, const struct alk_spawn_msg *m)
{
    uint8_t text[64];
    struct alk_wr w = alk_wr(text, sizeof text);
    if (alk_spawn_msg_write(&w, m) != ALK_OK) {
        return;
    }
    bool had_queue = alk_channel_has_queue(&c->channel);
    /* A failure shows as the channel's end in the next turn. */
    alk_err err = alk_channel_send(&c->channel, alk_wr_span(&w), NULL, 0, true);
    if (err == ALK_OK && !had_queue && alk_channel_has_queue(&c->channel)) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = &c->source};
        (void)epoll_ctl(c->spawner->epoll, EPOLL_CTL_MOD, c->source.fd, &e);
    }
}

static void answer_failed(struct client *c, uint64_t id, unsigned stage, int sys_errno)
{
    struct alk_spawn_msg m = {.type = ALK_SPAWN_FAILED, .id = id};
    m.u.failed.stage = (uint8_t)stage;
    m.u.failed.sys_errno = (uint32_t)sys_errno;
    answer(c, &m);
}

static void answer_number(struct client *c, uint64_t id, enum alk_spawn_type type, uint32_t n)
{
    struct alk_spawn_msg m = {.type = type, .id = id};
    m.u.number = n;
    answer(c, &m);
}

/* --- children ------------------------------------------------------------- */

static void child_reap(struct spawner *s, struct child *ch)
{
    unwatch(s, &ch->pidfd);
    unwatch(s, &ch->status);
    while (waitpid(ch->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    alk_list_remove(&ch->in);
    s->count--;
    alk_free(s->mem, ch);
}

/* Nobody will ask about it again. */
static void child_abandon(struct spawner *s, struct child *ch)
{
    ch->client = NULL;
    (void)kill(-ch->pid, SIGKILL);
    if (ch->state == CHILD_EXITED) {
        child_reap(s, ch);
        return;
    }
    alk_list_remove(&ch->in);
    alk_list_append(&s->orphans, &ch->in);
}

static void child_exited(struct spawner *s, struct child *ch)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)ch->pid, &info, WEXITED | WNOWAIT | WNOHANG) != 0 ||
        info.si_pid == 0) {
        return;
    }
    ch->state = CHILD_EXITED;
    unwatch(s, &ch->pidfd);
    if (ch->client == NULL) {
        (void)kill(-ch->pid, SIGKILL); /* what it started since */
        child_reap(s, ch);
        return;
    }
    /* The wait status as waitpid would give it: waitid splits it. */
    unsigned status = info.si_code == CLD_EXITED ? ((unsigned)info.si_status & 0xff) << 8
                                                 : ((unsigned)info.si_status & 0x7f);
    status |= info.si_code == CLD_DUMPED ? 0x80U : 0U;
    answer_number(ch->client, ch->id, ALK_SPAWN_EXITED, status);
}

/* The status socket speaks: closed means that the program runs. */
static void child_status(struct spawner *s, struct child *ch)
{
    struct alk_spawn_failure f = {0};
    ssize_t n = read(ch->status.fd, &f, sizeof f);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    unwatch(s, &ch->status);
    if (n == (ssize_t)sizeof f) {
        if (ch->client != NULL) {
            answer_failed(ch->client, ch->id, f.stage, f.sys_errno);
        }
        child_reap(s, ch); /* it ends right after writing */
        return;
    }
    ch->state = CHILD_RUNNING;
    if (!watch(s, &ch->pidfd, EPOLLIN)) {
        (void)kill(-ch->pid, SIGKILL);
        if (ch->client != NULL) {
            answer_failed(ch->client, ch->id, ALK_STAGE_FORK, ENOMEM);
        }
        child_reap(s, ch);
    } else if (ch->client != NULL) {
        answer_number(ch->client, ch->id, ALK_SPAWN_STARTED, (uint32_t)ch->pid);
    }
}

static struct child *child_find(struct client *c, uint64_t id)
{
    struct alk_link *l = alk_list_first(&c->children);
    for (; l != NULL; l = alk_list_next(&c->children, l)) {
        struct child *ch = ALK_CONTAINER(l, struct child, in);
        if (ch->id == id) {
            return ch;
        }
    }
    return NULL;
}

/* --- requests ------------------------------------------------------------- */

static const struct alk_spawn_user *find_user(const struct spawner *s, const char *name)
{
    if (name[0] == '\0') {
        return &s->options->users[0];
    }
    for (size_t i = 0; i < s->options->user_count; i++) {
        if (strcmp(s->options->users[i].user.name, name) == 0) {
            return &s->options->users[i];
        }
    }
    return NULL;
}

static const struct alk_handler *find_handler(const struct spawner *s, const char *name)
{
    for (size_t i = 0; i < s->options->handler_count; i++) {
        if (strcmp(s->options->handlers[i]->name, name) == 0) {
            return s->options->handlers[i];
        }
    }
    return NULL;
}

/* In the parent: the record of a child. False: it was killed again. */
static bool child_track(struct client *c, uint64_t id, pid_t pid, int status_fd)
{
    struct spawner *s = c->spawner;
    struct child *ch = ALK_NEW(s->mem, struct child);
    int pidfd = ch == NULL ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        (void)close(status_fd);
        (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        alk_free(s->mem, ch);
        return false;
    }
    (void)fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    *ch = (struct child){.client = c, .id = id, .pid = pid, .state = CHILD_STARTING};
    ch->pidfd = (struct source){SOURCE_PIDFD, pidfd, ch};
    ch->status = (struct source){SOURCE_STATUS, status_fd, ch};
    alk_list_append(&c->children, &ch->in);
    s->count++;
    /* The pidfd is watched once the program runs: what failed is not an exit. */
    return watch(s, &ch->status, EPOLLIN);
}

static void start(struct client *c, const struct alk_spawn_msg *m, int *fds, size_t fd_count)
{
    struct spawner *s = c->spawner;
    bool is_host = m->type == ALK_SPAWN_HOST;
    const struct alk_spawn_user *user =
        is_host ? &s->options->users[0] : find_user(s, (const char *)m->u.exec.user.p);
    const struct alk_handler *handler =
        is_host ? find_handler(s, (const char *)m->u.host.handler.p) : NULL;
    int status[2];
    if (user == NULL) {
        answer_failed(c, m->id, ALK_STAGE_USER, EPERM);
        return;
    }
    if ((is_host && handler == NULL) || child_find(c, m->id) != NULL) {
        answer_failed(c, m->id, ALK_STAGE_REQUEST, EINVAL);
        return;
    }
    if (s->count >= s->max) {
        answer_failed(c, m->id, ALK_STAGE_REQUEST, EDQUOT);
        return;
    }
    /* Not a pipe: see enum alk_spawn_fds. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, status) != 0) {
        answer_failed(c, m->id, ALK_STAGE_FORK, errno);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (is_host) {
            alk_spawn_host_child(m, s->options, handler, fds, fd_count, status[1]);
        }
        alk_spawn_exec_child(m, user, fds, status[1]);
    }
    int fork_errno = errno;
    (void)close(status[1]);
    if (pid < 0) {
        (void)close(status[0]);
        answer_failed(c, m->id, ALK_STAGE_FORK, fork_errno);
        return;
    }
    (void)setpgid(pid, pid); /* both sides do it: whoever is first */
    if (!child_track(c, m->id, pid, status[0])) {
        answer_failed(c, m->id, ALK_STAGE_FORK, ENOMEM);
    }
}

static bool client_add(struct spawner *s, int fd, bool is_first)
{
    struct client *c = ALK_NEW(s->mem, struct client);
    if (c == NULL) {
        (void)close(fd);
        return false;
    }
    c->spawner = s;
    c->is_first = is_first;
    c->source = (struct source){SOURCE_CHANNEL, fd, c};
    alk_channel_init(&c->channel, s->mem, fd, QUEUE_MAX);
    alk_list_init(&c->children);
    alk_list_append(&s->clients, &c->in);
    return watch(s, &c->source, EPOLLIN);
}

static void client_free(struct client *c)
{
    struct spawner *s = c->spawner;
    struct alk_link *l;
    while ((l = alk_list_first(&c->children)) != NULL) {
        child_abandon(s, ALK_CONTAINER(l, struct child, in));
    }
    alk_list_remove(&c->in);
    /* A child that has not come to exec yet, or whoever sent the descriptor, may hold it
     * too: to close ours alone would leave epoll watching. */
    (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->source.fd, NULL);
    alk_channel_fini(&c->channel);
    alk_free(s->mem, c);
}

/* Returns false when the channel must be closed. Takes the descriptors. */
static bool request(struct client *c, struct alk_span datagram, int *fds, size_t fd_count)
{
    struct alk_spawn_msg m;
    if (alk_spawn_msg_parse(datagram, fd_count, true, &m) != ALK_OK) {
        alk_close_fds(fds, fd_count);
        return false;
    }
    if (m.type == ALK_SPAWN_ATTACH) {
        (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
        return client_add(c->spawner, fds[0], false);
    }
    if (m.type == ALK_SPAWN_EXEC || m.type == ALK_SPAWN_HOST) {
        start(c, &m, fds, fd_count);
        alk_close_fds(fds, fd_count);
        return true;
    }
    if (m.type == ALK_SPAWN_LIMIT) {
        c->spawner->max = m.u.number;
        return true;
    }
    struct child *ch = child_find(c, m.id);
    if (ch != NULL && m.type == ALK_SPAWN_RELEASE) {
        child_abandon(c->spawner, ch);
    } else if (ch != NULL && m.u.number >= 1 && m.u.number < (uint32_t)NSIG) {
        (void)kill(-ch->pid, (int)m.u.number);
    }
    return true;
}

/* False: the channel is over. */
static bool client_ready(struct client *c, uint32_t events)
{
    struct spawner *s = c->spawner;
    if ((events & EPOLLOUT) != 0) {
        alk_err err = alk_channel_flush(&c->channel);
        if (err == ALK_OK) {
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = &c->source};
            (void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->source.fd, &e);
        } else if (err != ALK_FULL) {
            return false;
        }
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) {
        return true;
    }
    int fds[ALK_SPAWN_FDS_MAX + 1];
    size_t fd_count = sizeof(fds) / sizeof(fds[0]);
    struct alk_span datagram;
    alk_err err = alk_channel_recv(&c->channel, s->buf, sizeof s->buf, fds, &fd_count, &datagram);
    if (err == ALK_MORE) {
        return true;
    }
    return err == ALK_OK && request(c, datagram, fds, fd_count);
}

/* --- the process ---------------------------------------------------------- */

/* Keeps what starting and signalling needs, nothing else. */
static void keep_few_capabilities(void)
{
    if (geteuid() != 0) {
        (void)alk_capabilities_drop();
        return;
    }
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
    memset(caps, 0, sizeof caps);
    caps[0].permitted = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_KILL | 1U << CAP_SETPCAP;
    caps[0].effective = caps[0].permitted;
    (void)syscall(SYS_capset, &head, caps);
}

static void settle(int fd)
{
    (void)setsid(); /* the terminal's signals are the endpoint's affair */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0) { /* standard error stays, for assertions */
        (void)dup2(null_fd, 0);
        (void)dup2(null_fd, 1);
    }
    if (null_fd > 2) {
        (void)close(null_fd);
    }
    alk_spawn_lose_fds(ALK_SPAWN_FDS_BLANK, &fd, 1);
    (void)prctl(PR_SET_NAME, "alknet-spawner", 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    keep_few_capabilities();
}

static void dispatch(struct spawner *s, struct source *src, uint32_t events)
{
    struct client *c;
    switch (src->kind) {
    case SOURCE_CHANNEL:
        c = src->owner;
        if (!client_ready(c, events)) {
            if (c->is_first) {
                /* The endpoint is gone. */
                struct alk_link *l;
                while ((l = alk_list_first(&s->clients)) != NULL) {
                    client_free(ALK_CONTAINER(l, struct client, in));
                }
                while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
                }
                _exit(0);
            }
            client_free(c);
        }
        return;
    case SOURCE_PIDFD:
        child_exited(s, src->owner);
        return;
    case SOURCE_STATUS:
        child_status(s, src->owner);
        return;
    }
}

_Noreturn void alk_spawner_main(const struct alk_spawner_main *options)
{
    settle(options->fd);
    struct spawner *s = ALK_NEW(options->mem, struct spawner);
    if (s == NULL) {
        _exit(1);
    }
    s->options = options;
    s->mem = options->mem;
    s->max = options->processes_max;
    alk_list_init(&s->clients);
    alk_list_init(&s->orphans);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0 || !client_add(s, options->fd, true)) {
        _exit(1);
    }
    for (;;) {
        struct epoll_event e;
        int n = epoll_wait(s->epoll, &e, 1, -1);
        if (n == 1) {
            dispatch(s, e.data.ptr, e.events);
        } else if (n < 0 && errno != EINTR) {
            _exit(1);
        }
    }
}
