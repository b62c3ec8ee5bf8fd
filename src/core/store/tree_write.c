/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What changes a tree. */
#include "core/store/tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES           16
#define NAME_ROOM       48
#define RENAME_NEW_ONLY 1u /* RENAME_NOREPLACE */
#define MODE_DEFAULT    0644u

/* A name of ours is made by nobody else. */
bool alk_tree_is_tmp(struct alk_span name)
{
    return alk_span_starts(name, ALK_LIT(ALK_TREE_TMP));
}

static alk_err open_new_parent(struct alk_tree *tree, struct alk_span path, int *ret_fd,
                               char ret_name[static ALK_TREE_NAME_MAX + 1])
{
    ALK_TRY(alk_tree_parent(tree, path, ret_fd, ret_name));
    if (alk_tree_is_tmp(alk_span_str(ret_name))) {
        (void)close(*ret_fd);
        return ALK_E_INVALID;
    }
    return ALK_OK;
}

/* So that names outlive a crash. Where we may not read the directory it is left to the
 * system. */
static void sync_dir(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* Keeps errno. */
static void close_quietly(int fd)
{
    int error = errno;
    (void)close(fd);
    errno = error;
}

/* --- a file that is not there yet ------------------------------------------------ */

struct draft {
    int dir, fd;
    char name[NAME_ROOM]; /* beside its place; "": it has none */
};

static void next_name(char ret[static NAME_ROOM])
{
    static atomic_uint_fast64_t counter;
    (void)snprintf(ret, NAME_ROOM, ALK_TREE_TMP "%x-%llx", (unsigned)getpid(),
                   (unsigned long long)atomic_fetch_add(&counter, 1));
}

/* Without a name it leaves nothing behind after a crash; not every file system can. */
static alk_err draft_open(struct draft *d)
{
    d->name[0] = '\0';
    d->fd = openat(d->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (d->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return d->fd >= 0 ? ALK_OK : alk_tree_err(errno);
    }
    for (unsigned i = 0; i < TRIES && d->fd < 0; i++) {
        next_name(d->name);
        d->fd = openat(d->dir, d->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (d->fd < 0 && errno != EEXIST) {
            break;
        }
    }
    return d->fd >= 0 ? ALK_OK : alk_tree_err(errno);
}

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

/* Gives it a name; false: errno. */
static bool draft_link(struct draft *d, const char *name)
{
    char self[32];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", d->fd);
    return linkat(AT_FDCWD, self, d->dir, name, AT_SYMLINK_FOLLOW) == 0;
}

static bool draft_place(struct draft *d, const char *name, bool only_new)
{
    if (d->name[0] == '\0') {
        if (only_new) {
            return draft_link(d, name);
        }
        char beside[NAME_ROOM];
        next_name(beside);
        if (!draft_link(d, beside)) {
            return false;
        }
        memcpy(d->name, beside, sizeof d->name);
    }
    if (syscall(SYS_renameat2, d->dir, d->name, d->dir, name, only_new ? RENAME_NEW_ONLY : 0u) !=
        0) {
        return false;
    }
    d->name[0] = '\0';
    return true;
}

static void draft_close(struct draft *d)
{
    if (d->fd >= 0) {
        if (d->name[0] != '\0') {
            (void)unlinkat(d->dir, d->name, 0);
        }
        (void)close(d->fd);
    }
    (void)close(d->dir);
}

/* --- writing ------------------------------------------------------------------------ */

/* What is to be replaced, and whether it may be. */
static alk_err look(struct draft *d, const char *name, const struct alk_tree_write *o,
                    unsigned *ret_mode)
{
    struct stat st;
    struct alk_tree_stat now;
    char etag[ALK_TREE_ETAG];

    if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        *ret_mode = MODE_DEFAULT;
        return errno != ENOENT ? alk_tree_err(errno) : o->if_match.n > 0 ? ALK_E_BUSY : ALK_OK;
    }
    *ret_mode = S_ISREG(st.st_mode) ? (unsigned)st.st_mode & 0777u : MODE_DEFAULT;
    if (S_ISDIR(st.st_mode)) {
        return o->only_new ? ALK_E_EXISTS : ALK_E_INVALID;
    }
    alk_tree_fill(&st, &now);
    alk_tree_etag(&now, etag);
    return o->if_match.n == 0 || alk_span_is(o->if_match, etag) ? ALK_OK : ALK_E_BUSY;
}

static alk_err place_looked(struct draft *d, const char *name, const struct alk_tree_write *o,
                            struct alk_tree_stat *ret)
{
    struct stat st;
    unsigned mode = MODE_DEFAULT;
    ALK_TRY(look(d, name, o, &mode));
    if (fchmod(d->fd, o->has_mode ? o->mode & 0777u : mode) != 0 ||
        !draft_place(d, name, o->only_new) || fstat(d->fd, &st) != 0) {
        return alk_tree_err(errno);
    }
    alk_tree_fill(&st, ret);
    return ALK_OK;
}

alk_err alk_tree_write(struct alk_tree *tree, struct alk_span path, const struct alk_tree_write *o,
                       struct alk_tree_stat *ret)
{
    char name[ALK_TREE_NAME_MAX + 1];
    struct draft d = {.fd = -1};
    struct alk_tree_stat st = {.size = 0};
    ALK_TRY(open_new_parent(tree, path, &d.dir, name));
    alk_err err = draft_open(&d);
    if (err == ALK_OK) {
        err = write_all(d.fd, o->data);
    }
    if (err == ALK_OK && fsync(d.fd) != 0) {
        err = alk_tree_err(errno);
    }
    if (err == ALK_OK) {
        (void)pthread_mutex_lock(&tree->lock);
        err = place_looked(&d, name, o, &st);
        (void)pthread_mutex_unlock(&tree->lock);
    }
    if (err == ALK_OK) {
        sync_dir(d.dir);
        *ret = st;
    }
    draft_close(&d);
    return err;
}

/* --- names --------------------------------------------------------------------------- */

/* rv of a call that changed names in dir. */
static alk_err named(int dir, int rv)
{
    alk_err err = rv == 0 ? ALK_OK : alk_tree_err(errno);
    if (err == ALK_OK) {
        sync_dir(dir);
    }
    (void)close(dir);
    return err;
}

alk_err alk_tree_mkdir(struct alk_tree *tree, struct alk_span path)
{
    char name[ALK_TREE_NAME_MAX + 1];
    int dir;
    ALK_TRY(open_new_parent(tree, path, &dir, name));
    return named(dir, mkdirat(dir, name, 0755));
}

alk_err alk_tree_remove(struct alk_tree *tree, struct alk_span path)
{
    char name[ALK_TREE_NAME_MAX + 1];
    int dir;
    ALK_TRY(alk_tree_parent(tree, path, &dir, name));
    int rv = unlinkat(dir, name, 0);
    if (rv != 0 && errno == EISDIR) {
        rv = unlinkat(dir, name, AT_REMOVEDIR);
    }
    return named(dir, rv);
}

alk_err alk_tree_rename(struct alk_tree *tree, struct alk_span from, struct alk_span to)
{
    char from_name[ALK_TREE_NAME_MAX + 1], to_name[ALK_TREE_NAME_MAX + 1];
    int from_dir, to_dir;
    ALK_TRY(alk_tree_parent(tree, from, &from_dir, from_name));
    alk_err err = open_new_parent(tree, to, &to_dir, to_name);
    if (err != ALK_OK) {
        (void)close(from_dir);
        return err;
    }
    (void)pthread_mutex_lock(&tree->lock);
    int rv = renameat(from_dir, from_name, to_dir, to_name);
    (void)pthread_mutex_unlock(&tree->lock);
    if (rv == 0) {
        sync_dir(from_dir);
    }
    close_quietly(from_dir);
    if (rv != 0 && errno == EXDEV) {
        (void)close(to_dir);
        return ALK_E_UNSUPPORTED;
    }
    return named(to_dir, rv);
}
