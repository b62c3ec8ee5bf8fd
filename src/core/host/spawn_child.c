/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The spawner has one thread, so everything is allowed here, not only what is
 * async-signal-safe. */
#include "core/host/spawn_child.h"

#include "core/host/channel.h"
#include "core/host/host.h"
#include "core/host/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define NULL_FD 255

_Noreturn static void fail(int status_fd, unsigned stage, int sys_errno)
{
    struct alk_spawn_failure f = {.sys_errno = sys_errno, .stage = stage};
    ssize_t n = write(status_fd, &f, sizeof f); /* one packet */
    _exit(n == (ssize_t)sizeof f ? 127 : 126);
}

static bool is_kept(int fd, const int *keep, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (keep[i] == fd) {
            return true;
        }
    }
    return false;
}

static void lose_fd(enum alk_spawn_fds how, int fd, int null_fd)
{
    struct stat st;
    switch (how) {
    case ALK_SPAWN_FDS_BLANK:
        (void)dup3(null_fd, fd, O_CLOEXEC);
        return;
    case ALK_SPAWN_FDS_HOST:
        if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
            return;
        }
        break;
    case ALK_SPAWN_FDS_CLOSE:
        break;
    }
    (void)close(fd);
}

void alk_spawn_lose_fds(enum alk_spawn_fds how, const int *keep, size_t count)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) { /* no /proc: ask for each number */
        long most = sysconf(_SC_OPEN_MAX);
        for (int fd = 3; fd < most; fd++) {
            if (fd != null_fd && fcntl(fd, F_GETFD) >= 0 && !is_kept(fd, keep, count)) {
                lose_fd(how, fd, null_fd);
            }
        }
    } else {
        const struct dirent *e;
        while ((e = readdir(dir)) != NULL) {
            uint64_t fd;
            if (alk_span_u64(alk_span_str(e->d_name), INT_MAX, &fd) && fd > 2 &&
                (int)fd != dirfd(dir) && (int)fd != null_fd && !is_kept((int)fd, keep, count)) {
                lose_fd(how, (int)fd, null_fd);
            }
        }
        (void)closedir(dir);
    }
    (void)close(null_fd);
}

static void default_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++) {
        (void)signal(sig, SIG_DFL); /* fails for KILL and STOP, and libc's own */
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* When the spawner dies, so do we: also when it died before this call. */
static void die_with(pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) {
        _exit(126);
    }
}

/* Points 0, 1, 2 at the given descriptors, all above 2. */
static int set_stdio(const uint8_t index[3], const int *fds)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0) {
        return errno;
    }
    for (int i = 0; i < 3; i++) {
        int from = index[i] == NULL_FD ? null_fd : fds[index[i]];
        if (dup2(from, i) < 0) {
            return errno;
        }
    }
    return 0;
}

static int set_limits(uint64_t memory)
{
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        return errno;
    }
    if (memory != 0) {
        struct rlimit data = {(rlim_t)memory, (rlim_t)memory};
        if (setrlimit(RLIMIT_DATA, &data) != 0) {
            return errno;
        }
    }
    return 0;
}

/* Out of the way of the numbers that a program knows. */
static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, ALK_SPAWN_STDIO);
    return moved < 0 ? fd : moved;
}

static int set_channel(uint8_t index, const int *fds)
{
    if (index == NULL_FD) {
        return 0;
    }
    if (fds[index] == ALK_SPAWN_CHANNEL) { /* dup2 would leave FD_CLOEXEC there */
        return fcntl(ALK_SPAWN_CHANNEL, F_SETFD, 0) == 0 ? 0 : errno;
    }
    return dup2(fds[index], ALK_SPAWN_CHANNEL) < 0 ? errno : 0;
}

/* The words stand in the spawner's buffer, which is the child's own copy. */
static void split(struct alk_span words, char **argv, size_t argc, char **env, size_t envc)
{
    char *at = (char *)(uintptr_t)words.p;
    for (size_t i = 0; i < argc + envc; i++) {
        *(i < argc ? &argv[i] : &env[i - argc]) = at;
        at += strlen(at) + 1;
    }
    argv[argc] = NULL;
    env[envc] = NULL;
}

_Noreturn void alk_spawn_exec_child(const struct alk_spawn_msg *m,
                                    const struct alk_spawn_user *user, const int *fds,
                                    int status_fd)
{
    char *argv[ALK_SPAWN_ARGS_MAX + 1];
    char *env[ALK_SPAWN_ARGS_MAX + 1];
    pid_t parent = getppid();
    (void)setpgid(0, 0);
    default_signals();
    if (!m->u.exec.new_privileges) {
        alk_bounding_drop();
    }
    int rc = alk_user_become(&user->user, user->groups, user->group_count);
    if (rc == 0 && !m->u.exec.new_privileges) {
        rc = alk_capabilities_drop();
        if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
            rc = errno;
        }
    }
    if (rc != 0) {
        fail(status_fd, ALK_STAGE_USER, rc);
    }
    die_with(parent); /* after the user: changing it clears the request */
    const char *cwd = (const char *)m->u.exec.cwd.p;
    if (chdir(cwd[0] == '\0' ? "/" : cwd) != 0) {
        fail(status_fd, ALK_STAGE_CWD, errno);
    }
    uint8_t channel = m->u.exec.stdio[ALK_SPAWN_CHANNEL];
    status_fd = move_up(status_fd);
    rc = set_stdio(m->u.exec.stdio, fds);
    if (rc == 0) {
        rc = set_channel(channel, fds);
    }
    if (rc != 0) {
        fail(status_fd, ALK_STAGE_STDIO, rc);
    }
    split(m->u.exec.words, argv, m->u.exec.argc, env, m->u.exec.envc);
    const int keep[] = {status_fd, ALK_SPAWN_CHANNEL};
    alk_spawn_lose_fds(ALK_SPAWN_FDS_CLOSE, keep, channel == NULL_FD ? 1 : 2);
    (void)umask(022);
    environ = env;                     /* execvpe looks for PATH here */
    rc = set_limits(m->u.exec.memory); /* last: it is the program's, not ours */
    if (rc != 0) {
        fail(status_fd, ALK_STAGE_LIMITS, rc);
    }
    (void)execvpe(argv[0], argv, env);
    fail(status_fd, ALK_STAGE_EXEC, errno);
}

_Noreturn void alk_spawn_host_child(const struct alk_spawn_msg *m,
                                    const struct alk_spawner_main *options,
                                    const struct alk_handler *handler, int *fds, size_t fd_count,
                                    int status_fd)
{
    static const uint8_t stdio_none[3] = {NULL_FD, NULL_FD, NULL_FD};
    pid_t parent = getppid();
    (void)setpgid(0, 0);
    default_signals();
    /* The service manager may signal all processes of the node; hosts end when the
     * endpoint has drained them. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    alk_bounding_drop();
    int rc = alk_user_become(&options->users[0].user, options->users[0].groups,
                             options->users[0].group_count);
    if (rc != 0 || (rc = alk_capabilities_drop()) != 0) {
        fail(status_fd, ALK_STAGE_USER, rc);
    }
    die_with(parent);
    uint8_t stdio[3];
    memcpy(stdio, stdio_none, sizeof stdio);
    if (m->u.host.has_stderr) {
        stdio[2] = (uint8_t)(fd_count - 1);
    }
    rc = set_stdio(stdio, fds);
    if (rc != 0 || chdir("/") != 0) {
        fail(status_fd, ALK_STAGE_STDIO, rc != 0 ? rc : errno);
    }
    (void)prctl(PR_SET_NAME, "alknet-host", 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    static char *no_environment[] = {NULL};
    environ = no_environment;
    size_t channels = m->u.host.channels;
    alk_close_fds(fds + channels, fd_count - channels);    /* 2 is its copy */
    alk_spawn_lose_fds(ALK_SPAWN_FDS_HOST, fds, channels); /* status_fd too: started */
    const struct alk_host_options host = {
        .handler = handler,
        .channels = fds,
        .channel_count = channels,
        .data_dir = options->data_dir,
        .sandbox = options->is_separate ? (unsigned)ALK_SANDBOX_USER : 0U,
    };
    _exit(alk_host_run(&host));
}
