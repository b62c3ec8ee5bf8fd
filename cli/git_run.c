/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 12
#define READ_SIZE 4096

extern char **environ;

struct pipes {
    int in[2], out[2]; /* of the child: [0] is read, [1] written */
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void pipes_close(struct pipes *p)
{
    for (int i = 0; i < 2; i++) {
        close_fd(&p->in[i]);
        close_fd(&p->out[i]);
    }
}

static alk_err pipes_open(struct pipes *p)
{
    *p = (struct pipes){.in = {-1, -1}, .out = {-1, -1}};
    if (pipe2(p->in, O_CLOEXEC) != 0 || pipe2(p->out, O_CLOEXEC) != 0) {
        pipes_close(p);
        return ALK_E_IO;
    }
    return ALK_OK;
}

static alk_err start(struct pipes *p, const char *const *words, pid_t *ret)
{
    const char *argv[WORDS_MAX + 2] = {"git"};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t set;

    for (size_t i = 0; i < WORDS_MAX && words[i] != NULL; i++) {
        argv[i + 1] = words[i];
    }
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return ALK_E_NOMEM;
    }
    if (posix_spawnattr_init(&attr) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return ALK_E_NOMEM;
    }
    /* What we ignore or block, git must not. */
    (void)sigemptyset(&set);
    int rc = posix_spawnattr_setsigmask(&attr, &set);
    (void)sigaddset(&set, SIGPIPE);
    rc = rc != 0 ? rc : posix_spawnattr_setsigdefault(&attr, &set);
    rc = rc != 0 ? rc
                 : posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&actions, p->in[0], STDIN_FILENO);
    rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&actions, p->out[1], STDOUT_FILENO);
    rc = rc != 0
             ? rc
             : posix_spawnp(ret, "git", &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc == 0 ? ALK_OK : (rc == ENOENT ? ALK_E_NOENT : ALK_E_IO);
}

static alk_err read_all(int fd, struct alk_buf *ret)
{
    for (;;) {
        uint8_t *to = alk_buf_reserve(ret, READ_SIZE);
        if (to == NULL) {
            return ret->err;
        }
        ssize_t n = read(fd, to, READ_SIZE);
        if (n > 0) {
            alk_buf_added(ret, (size_t)n);
        } else if (n == 0) {
            return ALK_OK;
        } else if (errno != EINTR) {
            return ALK_E_IO;
        }
    }
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

alk_err cli_git_run(const char *const *words, struct alk_span input, struct alk_buf *ret,
                    int *ret_status)
{
    struct pipes p;
    pid_t pid = -1;

    if (input.n > CLI_GIT_INPUT_MAX) {
        return ALK_E_TOO_BIG;
    }
    ALK_TRY(pipes_open(&p));
    alk_err err = start(&p, words, &pid);
    if (err != ALK_OK) {
        pipes_close(&p);
        return err;
    }
    close_fd(&p.in[0]);
    close_fd(&p.out[1]);
    /* It fits into the pipe; a git that does not read it is told by its status. */
    ssize_t sent = input.n > 0 ? write(p.in[1], input.p, input.n) : 0;
    close_fd(&p.in[1]);
    err = read_all(p.out[0], ret);
    if (err == ALK_OK && sent < 0 && errno != EPIPE) {
        err = ALK_E_IO;
    }
    if (err != ALK_OK) {
        (void)kill(pid, SIGKILL);
    }
    pipes_close(&p);
    *ret_status = wait_for(pid);
    return err;
}
