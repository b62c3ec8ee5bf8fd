/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/tree.h"

#include "base/mem.h"
#include "core/store/file.h"
#include "core/store/tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
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

static int open_beneath(int root, bool is_plain, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    how.resolve |= is_plain ? RESOLVE_NO_SYMLINKS : 0u;
    for (unsigned i = 0; i < TRIES; i++) {
        long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) {
            return (int)fd;
        }
    }
    return -1;
}

alk_err alk_tree_open(const struct alk_mem *mem, const char *path, bool is_plain,
                      struct alk_tree **ret)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return alk_tree_err(errno);
    }
    int probe = open_beneath(fd, false, ".", O_PATH);
    if (probe < 0) {
        alk_err err = errno == ENOSYS ? ALK_E_UNSUPPORTED : alk_tree_err(errno);
        (void)close(fd);
        return err;
    }
    (void)close(probe);
    struct alk_tree *tree = ALK_NEW(mem, struct alk_tree);
    if (tree == NULL || pthread_mutex_init(&tree->lock, NULL) != 0) {
        (void)close(fd);
        alk_free(mem, tree);
        return ALK_E_NOMEM;
    }
    atomic_init(&tree->refs, 1);
    tree->mem = mem;
    tree->root = fd;
    tree->is_plain = is_plain;
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
        (void)pthread_mutex_destroy(&tree->lock);
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

/* One spelling: "a/b", or "" or "." for the root. */
static bool is_canonical(struct alk_span path)
{
    if (path.n == 0 || alk_span_is(path, ".")) {
        return true;
    }
    if (path.p[path.n - 1] == '/') {
        return false;
    }
    while (path.n > 0) {
        struct alk_span part = alk_span_cut(&path, '/');
        if (part.n == 0 || alk_span_is(part, ".") || alk_span_is(part, "..")) {
            return false;
        }
    }
    return true;
}

alk_err alk_tree_at(struct alk_tree *tree, struct alk_span path, int flags, int *ret_fd)
{
    char text[ALK_TREE_PATH_MAX + 1];
    ALK_TRY(text_of(path, text));
    if (tree->is_plain && !is_canonical(path)) {
        return ALK_E_INVALID;
    }
    int fd = open_beneath(tree->root, tree->is_plain, text, flags);
    if (fd < 0) {
        return alk_tree_err(errno);
    }
    *ret_fd = fd;
    return ALK_OK;
}

alk_err alk_tree_parent(struct alk_tree *tree, struct alk_span path, int *ret_fd,
                        char ret_name[static ALK_TREE_NAME_MAX + 1])
{
    if (path.n > ALK_TREE_PATH_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (path.n > 1 && path.p[0] == '/') {
        return ALK_E_FORBIDDEN;
    }
    if (tree->is_plain && !is_canonical(path)) {
        return ALK_E_INVALID;
    }
    while (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    size_t slash = path.n;
    while (slash > 0 && path.p[slash - 1] != '/') {
        slash--;
    }
    struct alk_span name = alk_span_tail(path, slash);
    struct alk_span dir = alk_span_head(path, tree->is_plain && slash > 0 ? slash - 1 : slash);
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
    *ret = (struct alk_tree_stat){
        .type = S_ISREG(st->st_mode)   ? ALK_TREE_FILE
                : S_ISDIR(st->st_mode) ? ALK_TREE_DIR
                : S_ISLNK(st->st_mode) ? ALK_TREE_LINK
                                       : ALK_TREE_OTHER,
        .size = st->st_size > 0 ? (uint64_t)st->st_size : 0,
        .mtime_ms = st->st_mtim.tv_sec > 0 ? (uint64_t)st->st_mtim.tv_sec * 1000 +
                                                 (uint64_t)st->st_mtim.tv_nsec / 1000000
                                           : 0,
        .mode = (unsigned)st->st_mode & 07777u,
        .ino = (uint64_t)st->st_ino,
        .ctime_ns = (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec};
}

void alk_tree_etag(const struct alk_tree_stat *stat, char ret[static ALK_TREE_ETAG])
{
    (void)snprintf(ret, ALK_TREE_ETAG, "%llx-%llx-%llx", (unsigned long long)stat->ino,
                   (unsigned long long)stat->ctime_ns, (unsigned long long)stat->size);
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
    struct alk_tree_stat before;
    struct stat st;
    int fd;
    /* To open a FIFO lets its writer go on, to open a tape rewinds it. */
    ALK_TRY(alk_tree_stat(tree, path, &before));
    if (before.type != ALK_TREE_FILE) {
        return ALK_E_INVALID;
    }
    /* It may have become one meanwhile: O_NONBLOCK, and another look. */
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
