/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/file.h"

#include "core/store/why.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP ((size_t)16 * 1024)

alk_err alk_file_err(int error)
{
    switch (error) {
    case 0:
        return ALK_OK;
    case ENOENT:
    case ENOTDIR:
        return ALK_E_NOENT;
    case EEXIST:
        return ALK_E_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP: /* O_NOFOLLOW met a symbolic link */
        return ALK_E_PERM;
    case ENOMEM:
        return ALK_E_NOMEM;
    case EAGAIN:
    case EBUSY:
    case ETXTBSY:
        return ALK_E_BUSY;
    case ENAMETOOLONG:
        return ALK_E_INVALID;
    default:
        return ALK_E_IO;
    }
}

/* Closes without losing the errno of what failed before. */
static void close_keep(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static alk_err read_all(int fd, size_t max, struct alk_buf *ret)
{
    size_t left = least(max, alk_buf_room(ret));

    for (;;) {
        uint8_t spare; /* one byte more than allowed shows that there is more */
        size_t want = least(left, READ_STEP);
        uint8_t *p = want == 0 ? &spare : alk_buf_reserve(ret, want);
        if (p == NULL) {
            return ALK_E_NOMEM;
        }
        ssize_t n = read(fd, p, want == 0 ? 1 : want);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? alk_file_err(errno) : ALK_OK;
        }
        if (want == 0) {
            return ALK_E_TOO_BIG;
        }
        alk_buf_added(ret, (size_t)n);
        left -= (size_t)n;
    }
}

static alk_err read_fd(int fd, size_t max, struct alk_buf *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return alk_file_err(errno);
    }
    if (!S_ISREG(st.st_mode)) {
        return ALK_E_INVALID;
    }

    size_t before = alk_buf_len(ret);
    alk_err err = ret->err != ALK_OK ? ret->err : read_all(fd, max, ret);
    if (err != ALK_OK) {
        ret->end = ret->at + before;
    }
    return err;
}

alk_err alk_file_read(const char *path, size_t max, struct alk_buf *ret)
{
    /* O_NONBLOCK: opening a FIFO must not wait; it is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return alk_file_err(errno);
    }
    alk_err err = read_fd(fd, max, ret);
    close_keep(fd);
    return err;
}

static alk_err check_fd(int fd, const char *path, char *why, size_t why_size)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return alk_say((struct alk_why){why, why_size}, alk_file_err(errno),
                       "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return alk_say((struct alk_why){why, why_size}, ALK_E_PERM, "%s is not a regular file",
                       path);
    }
    if (st.st_uid != geteuid() && geteuid() != 0) {
        return alk_say((struct alk_why){why, why_size}, ALK_E_PERM,
                       "%s belongs to another user (uid %lu)", path, (unsigned long)st.st_uid);
    }
    if ((st.st_mode & 077) != 0) {
        return alk_say((struct alk_why){why, why_size}, ALK_E_PERM,
                       "%s holds a secret but others may read or change it; run: chmod 600 %s",
                       path, path);
    }
    return ALK_OK;
}

static alk_err open_private(const char *path, char *why, size_t why_size, int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return alk_say((struct alk_why){why, why_size}, alk_file_err(errno), "cannot open %s: %s",
                       path, errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    }
    alk_err err = check_fd(fd, path, why, why_size);
    if (err != ALK_OK) {
        close_keep(fd);
        return err;
    }
    *ret_fd = fd;
    return ALK_OK;
}

alk_err alk_file_check_private(const char *path, char *why, size_t why_size)
{
    int fd = -1;
    ALK_TRY(open_private(path, why, why_size, &fd));
    close_keep(fd);
    return ALK_OK;
}

alk_err alk_file_read_private(const char *path, size_t max, struct alk_buf *ret, char *why,
                              size_t why_size)
{
    int fd = -1;
    ALK_TRY(open_private(path, why, why_size, &fd));
    alk_err err = read_fd(fd, max, ret);
    close_keep(fd);
    if (err != ALK_OK) {
        return alk_say((struct alk_why){why, why_size}, err, "cannot read %s: %s", path,
                       alk_err_text(err));
    }
    return ALK_OK;
}

/* --- writing ------------------------------------------------------------------ */

/* The directory of a path, "." when it has none. False: too long. */
static bool dir_of(const char *path, char *ret, size_t ret_size)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);

    if (slash == path) {
        return alk_span_cstr(ALK_LIT("/"), ret, ret_size);
    }
    return n == 0 ? alk_span_cstr(ALK_LIT("."), ret, ret_size)
                  : alk_span_cstr(alk_span(path, n), ret, ret_size);
}

static alk_err write_all(int fd, struct alk_span bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return alk_file_err(errno);
        }
        bytes = alk_span_tail(bytes, (size_t)n);
    }
    return ALK_OK;
}

/* Root makes files for the directory's owner: a node that drops its privileges
 * must be able to read them. */
static alk_err give_to_owner(int fd, const char *dir)
{
    struct stat st;
    if (geteuid() != 0) {
        return ALK_OK;
    }
    if (stat(dir, &st) != 0) {
        return alk_file_err(errno);
    }
    if (st.st_uid != 0 && fchown(fd, st.st_uid, st.st_gid) != 0) {
        return alk_file_err(errno);
    }
    return ALK_OK;
}

static alk_err fill(int fd, const char *dir, struct alk_span bytes, unsigned mode)
{
    if (fchmod(fd, (mode_t)mode) != 0) {
        return alk_file_err(errno);
    }
    ALK_TRY(give_to_owner(fd, dir));
    ALK_TRY(write_all(fd, bytes));
    return fsync(fd) != 0 ? alk_file_err(errno) : ALK_OK;
}

static alk_err sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return alk_file_err(errno);
    }
    /* Some file systems cannot sync a directory and say EINVAL. */
    alk_err err = fsync(fd) != 0 && errno != EINVAL ? alk_file_err(errno) : ALK_OK;
    close_keep(fd);
    return err;
}

/* rename replaces; link refuses when the name is taken. */
static alk_err put_in_place(const char *from, const char *to, bool is_new)
{
    if (!is_new) {
        return rename(from, to) != 0 ? alk_file_err(errno) : ALK_OK;
    }
    if (link(from, to) != 0) {
        return alk_file_err(errno);
    }
    (void)unlink(from);
    return ALK_OK;
}

static alk_err write_file(const char *path, struct alk_span bytes, unsigned mode, bool is_new)
{
    char dir[PATH_MAX];
    char temp[PATH_MAX];
    int len = snprintf(temp, sizeof temp, "%s.XXXXXX", path);

    if (len < 0 || (size_t)len >= sizeof temp || !dir_of(path, dir, sizeof dir)) {
        errno = ENAMETOOLONG;
        return ALK_E_INVALID;
    }
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        return alk_file_err(errno);
    }

    alk_err err = fill(fd, dir, bytes, mode);
    close_keep(fd);
    if (err == ALK_OK) {
        err = put_in_place(temp, path, is_new);
    }
    if (err != ALK_OK) {
        int saved = errno;
        (void)unlink(temp);
        errno = saved;
        return err;
    }
    return sync_dir(dir);
}

alk_err alk_file_write(const char *path, struct alk_span bytes, unsigned mode)
{
    return write_file(path, bytes, mode, false);
}

alk_err alk_file_create(const char *path, struct alk_span bytes, unsigned mode)
{
    return write_file(path, bytes, mode, true);
}

/* --- directories and names ---------------------------------------------------- */

static alk_err make_dir(const char *path, unsigned mode)
{
    struct stat st;
    if (mkdir(path, (mode_t)mode) == 0) {
        /* The umask must not take more away than was asked for. */
        return chmod(path, (mode_t)mode) != 0 ? alk_file_err(errno) : ALK_OK;
    }
    if (errno != EEXIST) {
        return alk_file_err(errno);
    }
    if (stat(path, &st) != 0) {
        return alk_file_err(errno);
    }
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return ALK_E_INVALID;
    }
    return ALK_OK;
}

alk_err alk_file_make_dirs(const char *path, unsigned mode)
{
    char part[PATH_MAX];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof part) {
        errno = n == 0 ? ENOENT : ENAMETOOLONG;
        return ALK_E_INVALID;
    }
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        ALK_TRY(make_dir(part, mode));
    }
    return ALK_OK;
}

bool alk_file_join(const char *dir, const char *name, char *ret, size_t ret_size)
{
    bool has_slash = dir[0] != '\0' && dir[strlen(dir) - 1] == '/';
    int n = name[0] == '/' ? snprintf(ret, ret_size, "%s", name)
                           : snprintf(ret, ret_size, "%s%s%s", dir, has_slash ? "" : "/", name);

    if (n < 0 || (size_t)n >= ret_size) {
        if (ret_size > 0) {
            ret[0] = '\0';
        }
        return false;
    }
    return true;
}
