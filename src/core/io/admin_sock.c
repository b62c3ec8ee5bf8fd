/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/admin_sock.h"

#include "base/span.h"
#include "core/store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

/* Where sun_path is too short, *ret_dir is a descriptor of the directory that
 * must stay open while the address is used; else -1. */
static alk_err address_of(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_dir = -1;
    if (alk_span_cstr(alk_span_str(path), ret->sun_path, sizeof ret->sun_path)) {
        return ALK_OK;
    }
    errno = ENAMETOOLONG;
    if (slash == NULL || !alk_span_cstr(alk_span(path, (size_t)(slash - path)), dir, sizeof dir)) {
        return ALK_E_INVALID;
    }
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return alk_file_err(errno);
    }
    int n = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d%s", fd, slash);
    if (n < 0 || (size_t)n >= sizeof ret->sun_path) {
        (void)close(fd);
        errno = ENAMETOOLONG;
        return ALK_E_INVALID;
    }
    *ret_dir = fd;
    return ALK_OK;
}

static void close_keep(int fd)
{
    int saved = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = saved;
}

static alk_err remove_old(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? ALK_OK : alk_file_err(errno);
    }
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return ALK_E_EXISTS;
    }
    return unlink(path) != 0 ? alk_file_err(errno) : ALK_OK;
}

alk_err alk_admin_sock_listen(const char *path, int *ret_fd)
{
    struct sockaddr_un addr;
    int dir = -1;

    ALK_TRY(remove_old(path));
    ALK_TRY(address_of(path, &addr, &dir));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode is the socket's own from its first moment: bind takes it over. */
    bool is_ok = fd >= 0 && fchmod(fd, 0600) == 0 &&
                 bind(fd, (const struct sockaddr *)&addr, sizeof addr) == 0 &&
                 listen(fd, BACKLOG) == 0;
    alk_err err = is_ok ? ALK_OK : alk_file_err(errno);
    close_keep(dir);
    if (!is_ok) {
        close_keep(fd);
        return err;
    }
    *ret_fd = fd;
    return ALK_OK;
}

alk_err alk_admin_sock_connect(const char *path, int *ret_fd)
{
    struct sockaddr_un addr;
    int dir = -1;

    alk_err err = address_of(path, &addr, &dir);
    if (err != ALK_OK) {
        return err == ALK_E_NOENT ? ALK_E_UNREACHABLE : err;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_ok = fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0;
    bool is_gone = errno == ECONNREFUSED || errno == ENOENT;
    err = is_ok ? ALK_OK : (is_gone ? ALK_E_UNREACHABLE : alk_file_err(errno));
    close_keep(dir);
    if (!is_ok) {
        close_keep(fd);
        return err;
    }
    *ret_fd = fd;
    return ALK_OK;
}
