/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "stdfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* False: it cannot be opened a second time. */
static bool reopen(int fd)
{
    char name[40];
    int mode = fcntl(fd, F_GETFL);

    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int ours = mode < 0 ? -1 : open(name, (mode & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (ours < 0) {
        return false;
    }
    bool is_ok = dup2(ours, fd) == fd;
    (void)close(ours);
    return is_ok;
}

void cli_stdfd_open(int fd, struct cli_stdfd *ret)
{
    struct stat st;

    *ret = (struct cli_stdfd){.fd = fd, .flags = -1};
    if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode)) {
        return;
    }
    if ((S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) && reopen(fd)) {
        return;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) {
        ret->flags = flags;
    }
}

void cli_stdfd_restore(const struct cli_stdfd *s)
{
    if (s->flags >= 0) {
        (void)fcntl(s->fd, F_SETFL, s->flags);
    }
}
