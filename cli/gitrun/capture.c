/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Running git, with something to read, and keeping what it says. */
#include "gitrun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP ((size_t)65536)

int gh_memory_file(struct alk_span text)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    while (fd >= 0 && text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            gh_die("no memory");
        }
        text = alk_span_tail(text, (size_t)n);
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0) {
        gh_die("no memory");
    }
    return fd;
}

alk_err gh_read_all(int fd, struct alk_buf *ret)
{
    for (;;) {
        size_t left = ret->max - alk_buf_len(ret);
        size_t step = left < STEP ? left : STEP;
        uint8_t *room = step == 0 ? NULL : alk_buf_reserve(ret, step);
        if (room == NULL) {
            return step == 0 ? ALK_E_TOO_BIG : ret->err;
        }
        ssize_t n = read(fd, room, step);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? ALK_OK : ALK_E_IO;
        }
        alk_buf_added(ret, (size_t)n);
    }
}

pid_t gh_start(const char *const *argv, struct alk_span input, int *ret_from)
{
    const char *git = getenv("ALKNET_GIT_PROGRAM");
    int out[2];
    int in = gh_memory_file(input);
    if (git == NULL || pipe2(out, O_CLOEXEC) != 0) {
        gh_die("git cannot be run");
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(in, STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0) {
            (void)execv(git, (char *const *)(uintptr_t)argv);
        }
        _exit(127);
    }
    (void)close(in);
    (void)close(out[1]);
    if (pid < 0) {
        gh_die("git cannot be run: %s", strerror(errno));
    }
    *ret_from = out[0];
    return pid;
}

int gh_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int gh_run(const char *const *argv, struct alk_span input, struct alk_buf *ret)
{
    int from = -1;
    pid_t pid = gh_start(argv, input, &from);
    bool is_whole = gh_read_all(from, ret) == ALK_OK;
    (void)close(from); /* a git that has more to say ends by it */
    int status = gh_wait(pid);
    return is_whole ? status : -1;
}

bool gh_capture(const char *const *argv, struct alk_span input, struct alk_buf *ret)
{
    return gh_run(argv, input, ret) == 0;
}
