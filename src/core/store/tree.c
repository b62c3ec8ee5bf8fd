/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/tree.h"

#include "base/mem.h"
#include "core/store/file.h"
#include "core/store/tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* openat2 says EAGAIN when a rename raced with it [openat2(2)]. */
#define TRIES 16

/* --- the root ------------------------------------------------------------------- */

alk_err alk_tree_err(int error)
{
    switch (error) {
    case EXDEV: /* out of the root */
    case ELOOP:
        return ALK_E_FORBIDDEN;
    case ENOTDIR:
    case EISDIR:
    case EINVAL:
    case ENXIO:
        return ALK_E_INVALID;
    case ENAMETOOLONG:
        return ALK_E_TOO_BIG;
    case ENOTEMPTY:
        return ALK_E_BUSY;
    case EEXIST:
        return ALK_E_EXISTS;
    default:
        return alk_file_err(error);
    }
}

static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (unsigned i = 0; i < TRIES; i++) {
        long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) {
            return (int)fd;
        }
    }
    return -1;
}

alk_err alk_tree_open(const struct alk_mem *mem, const char *path, struct alk_tree **ret)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return alk_tree_err(errno);
    }
    int probe = open_beneath(fd, ".", O_PATH);
    if (probe < 0) {
        alk_err err = errno == ENOSYS ? ALK_E_UNSUPPORTED : alk_tree_err(errno);
        (void)close(fd);
        return err;
    }
    (void)close(probe);
    struct alk_tree *tree = ALK_NEW(mem, struct alk_tree);
    if (tree == NULL) {
        (void)close(fd);
        return ALK_E_NOMEM;
    }
    atomic_init(&tree->refs, 1);
    tree->mem = mem;
    tree->root = fd;
    *ret = tree;
    return ALK_OK;
}

struct alk_tree *alk_tree_ref(struct alk_tree *tree)
{
    (void)atomic_fetch_add(&tree->refs, 1);
    return tree;
}

void alk_tree_unref(struct alk_tree *tree)
{
    if (tree != NULL && atomic_fetch_sub(&tree->refs, 1) == 1) {
        (void)close(tree->root);
        alk_free(tree->mem, tree);
    }
}

/* --- paths ------------------------------------------------------------------------ */

/* Zero-terminated; the kernel judges the rest. */
static alk_err text_of(struct alk_span path, char ret[static ALK_TREE_PATH_MAX + 1])
{
    if (path.n > ALK_TREE_PATH_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (path.n == 0) {
        path = ALK_LIT(".");
    }
    if (path.p[0] == '/') {
        return ALK_E_FORBIDDEN;
    }
    return alk_span_cstr(path, ret, ALK_TREE_PATH_MAX + 1) ? ALK_OK : ALK_E_INVALID;
}

alk_err alk_tree_at(struct alk_tree *tree, struct alk_span path, int flags, int *ret_fd)
{
    char text[ALK_TREE_PATH_MAX + 1];
    ALK_TRY(text_of(path, text));
    int fd = open_beneath(tree->root, text, flags);
    if (fd < 0) {
        return alk_tree_err(errno);
    }
    *ret_fd = fd;
    return ALK_OK;
}

/* The directory that holds the last part, opened, and that part's name. */
static alk_err open_parent(struct alk_tree *tree, struct alk_span path, int *ret_fd,
                           char ret_name[static ALK_TREE_NAME_MAX + 1])
{
    while (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    size_t slash = path.n;
    while (slash > 0 && path.p[slash - 1] != '/') {
        slash--;
    }
    struct alk_span name = alk_span_tail(path, slash);
    struct alk_span dir = alk_span_head(path, slash);
    if (name.n > ALK_TREE_NAME_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (name.n == 0 || alk_span_is(name, ".") || alk_span_is(name, "..") ||
        !alk_span_cstr(name, ret_name, ALK_TREE_NAME_MAX + 1)) {
        return ALK_E_INVALID;
    }
    return alk_tree_at(tree, dir, O_PATH | O_DIRECTORY, ret_fd);
}

/* --- stat --------------------------------------------------------------------------- */

const char *alk_tree_type_name(enum alk_tree_type type)
{
    static const char *const names[] = {"file", "dir", "link", "other"};
    return names[type];
}

void alk_tree_fill(const struct stat *st, struct alk_tree_stat *ret)
{
    *ret = (struct alk_tree_stat){.type = S_ISREG(st->st_mode)   ? ALK_TREE_FILE
                                          : S_ISDIR(st->st_mode) ? ALK_TREE_DIR
                                          : S_ISLNK(st->st_mode) ? ALK_TREE_LINK
                                                                 : ALK_TREE_OTHER,
                                  .size = st->st_size > 0 ? (uint64_t)st->st_size : 0,
                                  .mtime_ms = st->st_mtim.tv_sec > 0
                                                  ? (uint64_t)st->st_mtim.tv_sec * 1000 +
                                                        (uint64_t)st->st_mtim.tv_nsec / 1000000
                                                  : 0,
                                  .mode = (unsigned)st->st_mode & 07777u};
}

alk_err alk_tree_stat(struct alk_tree *tree, struct alk_span path, struct alk_tree_stat *ret)
{
    struct stat st;
    int fd;
    ALK_TRY(alk_tree_at(tree, path, O_PATH, &fd));
    int rv = fstat(fd, &st);
    alk_err err = rv == 0 ? ALK_OK : alk_tree_err(errno);
    (void)close(fd);
    if (err == ALK_OK) {
        alk_tree_fill(&st, ret);
    }
    return err;
}

/* --- reading --------------------------------------------------------------------------- */

alk_err alk_tree_open_file(struct alk_tree *tree, struct alk_span path, int *ret_fd,
                           struct alk_tree_stat *ret_stat)
{
    struct stat st;
    int fd;
    /* O_NONBLOCK: a FIFO without a writer, a device that waits. */
    ALK_TRY(alk_tree_at(tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd));
    alk_err err = fstat(fd, &st) == 0 ? ALK_OK : alk_tree_err(errno);
    if (err == ALK_OK && !S_ISREG(st.st_mode)) {
        err = ALK_E_INVALID;
    }
    if (err != ALK_OK) {
        (void)close(fd);
        return err;
    }
    alk_tree_fill(&st, ret_stat);
    *ret_fd = fd;
    return ALK_OK;
}

alk_err alk_tree_read(int fd, uint64_t offset, uint8_t *dst, size_t n, size_t *ret_n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(fd, dst + got, n - got, (off_t)(offset + got));
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0) {
            return alk_tree_err(errno);
        }
        if (k == 0) {
            break;
        }
        got += (size_t)k;
    }
    *ret_n = got;
    return ALK_OK;
}

void alk_tree_close_file(int fd)
{
    (void)close(fd);
}

/* --- writing ----------------------------------------------------------------------------- */

static alk_err write_all(int fd, struct alk_span data)
{
    while (data.n > 0) {
        ssize_t k = write(fd, data.p, data.n);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0) {
            return alk_tree_err(errno);
        }
        data = alk_span_tail(data, (size_t)k);
    }
    return ALK_OK;
}

/* A name for what is not finished: hidden, and nobody's after a crash. */
static int open_beside(int dir, char ret_name[static 32])
{
    static atomic_uint_fast64_t counter;
    for (unsigned i = 0; i < TRIES; i++) {
        (void)snprintf(ret_name, 32, ".alk-%x-%llx", (unsigned)getpid(),
                       (unsigned long long)atomic_fetch_add(&counter, 1));
        int fd = openat(dir, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    return -1;
}

static alk_err fill_beside(int fd, struct alk_span data, unsigned mode)
{
    alk_err err = write_all(fd, data);
    if (err == ALK_OK && (fchmod(fd, mode & 0777u) != 0 || fsync(fd) != 0)) {
        err = alk_tree_err(errno);
    }
    return err;
}

static alk_err put_in_place(int dir, const char *from, const char *to, bool only_new)
{
    unsigned flags = only_new ? 1u /* RENAME_NOREPLACE */ : 0u;
    long rv = syscall(SYS_renameat2, dir, from, dir, to, flags);
    return rv == 0 ? ALK_OK : alk_tree_err(errno);
}

alk_err alk_tree_write(struct alk_tree *tree, struct alk_span path, struct alk_span data,
                       unsigned mode, bool only_new)
{
    char name[ALK_TREE_NAME_MAX + 1], beside[32];
    int dir;
    ALK_TRY(open_parent(tree, path, &dir, name));
    struct stat old;
    if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(old.st_mode)) {
        mode = (unsigned)old.st_mode; /* what was closed to others stays closed */
    }
    int fd = open_beside(dir, beside);
    alk_err err = fd >= 0 ? fill_beside(fd, data, mode) : alk_tree_err(errno);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (err == ALK_OK) {
        err = put_in_place(dir, beside, name, only_new);
    }
    if (err != ALK_OK && fd >= 0) {
        (void)unlinkat(dir, beside, 0);
    }
    (void)close(dir);
    return err;
}

alk_err alk_tree_mkdir(struct alk_tree *tree, struct alk_span path)
{
    char name[ALK_TREE_NAME_MAX + 1];
    int dir;
    ALK_TRY(open_parent(tree, path, &dir, name));
    alk_err err = mkdirat(dir, name, 0755) == 0 ? ALK_OK : alk_tree_err(errno);
    (void)close(dir);
    return err;
}

alk_err alk_tree_remove(struct alk_tree *tree, struct alk_span path)
{
    char name[ALK_TREE_NAME_MAX + 1];
    int dir;
    ALK_TRY(open_parent(tree, path, &dir, name));
    int rv = unlinkat(dir, name, 0);
    if (rv != 0 && (errno == EISDIR || errno == EPERM)) {
        rv = unlinkat(dir, name, AT_REMOVEDIR);
    }
    alk_err err = rv == 0 ? ALK_OK : alk_tree_err(errno);
    (void)close(dir);
    return err;
}

alk_err alk_tree_rename(struct alk_tree *tree, struct alk_span from, struct alk_span to)
{
    char from_name[ALK_TREE_NAME_MAX + 1], to_name[ALK_TREE_NAME_MAX + 1];
    int from_dir, to_dir;
    ALK_TRY(open_parent(tree, from, &from_dir, from_name));
    alk_err err = open_parent(tree, to, &to_dir, to_name);
    if (err == ALK_OK) {
        int rv = renameat(from_dir, from_name, to_dir, to_name);
        err = rv == 0 ? ALK_OK : alk_tree_err(errno);
        (void)close(to_dir);
    }
    (void)close(from_dir);
    return err;
}
