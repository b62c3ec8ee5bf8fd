/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Running git from a hook, with something to read, and keeping what it says. */
#include "gitrun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

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

static bool read_all(int fd, struct alk_buf *ret)
{
    for (;;) {
        uint8_t *room = alk_buf_reserve(ret, 65536);
        if (room == NULL) {
            return false;
        }
        ssize_t n = read(fd, room, 65536);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0;
        }
        alk_buf_added(ret, (size_t)n);
    }
}

bool gh_capture(const char *const *argv, struct alk_span input, struct alk_buf *ret)
{
    const char *git = getenv("ALKNET_GIT_PROGRAM");
    int out[2], status = 0;
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
    bool is_good = pid > 0 && read_all(out[0], ret);
    (void)close(out[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return is_good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
