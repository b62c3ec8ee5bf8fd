/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Listing and watching directories. */
#include "base/buf.h"
#include "base/mem.h"
#include "core/store/tree_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- listing ---------------------------------------------------------------------- */

/* Names of a directory: zero-terminated texts one after the other. */
struct names {
    const struct alk_mem *mem;
    struct alk_buf text;
    const char **list;
    size_t count;
    uint64_t left_out;
};

static alk_err read_names(DIR *dir, struct names *names)
{
    const struct dirent *e;
    for (;;) {
        errno = 0;
        e = readdir(dir);
        if (e == NULL) {
            return errno == 0 ? ALK_OK : alk_tree_err(errno);
        }
        struct alk_span name = alk_span_str(e->d_name);
        if (alk_span_is(name, ".") || alk_span_is(name, "..")) {
            continue;
        }
        if (alk_tree_is_tmp(name)) {
            continue;
        }
        if (!alk_span_is_utf8(name)) {
            names->left_out++;
            continue;
        }
        if (names->count >= ALK_TREE_ENTRIES_MAX) {
            return ALK_E_TOO_BIG;
        }
        ALK_TRY(alk_buf_put(&names->text, alk_span(e->d_name, name.n + 1)));
        names->count++;
    }
}

static int compare(const void *a, const void *b)
{
    const char *const *x = (const char *const *)a;
    const char *const *y = (const char *const *)b;
    return strcmp(*x, *y);
}

static alk_err sort_names(struct names *names)
{
    names->list = (const char **)alk_zalloc(names->mem, names->count + 1, sizeof *names->list);
    if (names->list == NULL) {
        return ALK_E_NOMEM;
    }
    const char *at = (const char *)alk_buf_span(&names->text).p;
    for (size_t i = 0; i < names->count; i++) {
        names->list[i] = at;
        at += strlen(at) + 1;
    }
    qsort(names->list, names->count, sizeof *names->list, compare);
    return ALK_OK;
}

static alk_err tell(int dir, const struct names *names, struct alk_span after, size_t limit,
                    alk_tree_entry_fn *fn, void *ctx, bool *ret_more)
{
    size_t told = 0;
    *ret_more = false;
    for (size_t i = 0; i < names->count; i++) {
        struct alk_span name = alk_span_str(names->list[i]);
        struct alk_tree_stat stat;
        struct stat st;
        size_t n = name.n < after.n ? name.n : after.n;
        int order = n == 0 ? 0 : memcmp(name.p, after.p, n); /* public */
        if (order < 0 || (order == 0 && name.n <= after.n && after.n > 0)) {
            continue;
        }
        if (told == limit) {
            *ret_more = true;
            return ALK_OK;
        }
        if (fstatat(dir, names->list[i], &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue; /* gone meanwhile */
        }
        alk_tree_fill(&st, &stat);
        alk_err err = fn(ctx, name, &stat);
        if (err == ALK_FULL) {
            *ret_more = true;
            return ALK_OK;
        }
        ALK_TRY(err);
        told++;
    }
    return ALK_OK;
}

alk_err alk_tree_list(struct alk_tree *tree, struct alk_span path, struct alk_span after,
                      size_t limit, alk_tree_entry_fn *fn, void *ctx, bool *ret_more,
                      uint64_t *ret_left_out)
{
    struct names names = {.mem = tree->mem};
    int fd;
    ALK_TRY(alk_tree_at(tree, path, O_RDONLY | O_DIRECTORY, &fd));
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        alk_err err = alk_tree_err(errno);
        (void)close(fd);
        return err;
    }
    alk_buf_init(&names.text, tree->mem, (size_t)ALK_TREE_ENTRIES_MAX * (ALK_TREE_NAME_MAX + 1));
    alk_err err = read_names(dir, &names);
    if (err == ALK_OK) {
        err = sort_names(&names);
    }
    if (err == ALK_OK) {
        err = tell(dirfd(dir), &names, after, limit, fn, ctx, ret_more);
    }
    *ret_left_out = names.left_out;
    alk_free(tree->mem, names.list);
    alk_buf_fini(&names.text);
    (void)closedir(dir);
    return err;
}

/* --- watching ---------------------------------------------------------------------- */

#define WATCHED                                                                                    \
    (IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_MODIFY | IN_ATTRIB |                 \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

alk_err alk_tree_watch(struct alk_tree *tree, struct alk_span path, int *ret_fd)
{
    char link[32];
    int dir;
    ALK_TRY(alk_tree_at(tree, path, O_PATH | O_DIRECTORY, &dir));
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    /* By the descriptor: what the path means may have changed since it was resolved. */
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    int wd = fd < 0 ? -1 : inotify_add_watch(fd, link, WATCHED);
    alk_err err = wd >= 0                              ? ALK_OK
                  : errno == ENOSPC || errno == EMFILE ? ALK_E_LIMIT
                                                       : alk_tree_err(errno);
    (void)close(dir);
    if (err != ALK_OK) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    *ret_fd = fd;
    return ALK_OK;
}

static const char *what_of(uint32_t mask)
{
    if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
        return "created";
    }
    return (mask & (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0
               ? "removed"
               : "changed";
}

/* What the kernel calls a file without a name (O_TMPFILE): "#" and its number. */
static bool is_nameless(struct alk_span name)
{
    uint64_t ino;
    return name.n > 1 && name.p[0] == '#' && alk_span_u64(alk_span_tail(name, 1), UINT64_MAX, &ino);
}

static void tell_change(const struct inotify_event *e, const char *name,
                        void (*fn)(void *ctx, const struct alk_tree_change *c), void *ctx)
{
    struct alk_tree_change c = {.what = what_of(e->mask)};
    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        c.what = "overflow";
    } else if ((e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
        c.is_gone = true;
    } else {
        c.name = alk_span_str(name);
        if (c.name.n == 0 || !alk_span_is_utf8(c.name) || alk_tree_is_tmp(c.name)) {
            return; /* the directory's own attributes; a name that cannot be told; ours */
        }
        if (is_nameless(c.name) && strcmp(c.what, "changed") == 0) {
            return;
        }
    }
    fn(ctx, &c);
}

alk_err alk_tree_watch_read(int fd, void (*fn)(void *ctx, const struct alk_tree_change *c),
                            void *ctx)
{
    uint8_t bytes[16384];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? ALK_MORE : alk_tree_err(errno);
    }
    for (size_t at = 0; at + sizeof(struct inotify_event) <= (size_t)n;) {
        struct inotify_event e;
        char name[ALK_TREE_NAME_MAX + 1] = "";
        memcpy(&e, bytes + at, sizeof e);
        at += sizeof e;
        if (e.len > (size_t)n - at) {
            return ALK_E_IO;
        }
        if (e.len > 0) { /* padded with zeros */
            size_t len = strnlen((const char *)bytes + at, e.len);
            (void)alk_span_cstr(alk_span(bytes + at, len), name, sizeof name);
        }
        at += e.len;
        tell_change(&e, name, fn, ctx);
    }
    return ALK_OK;
}
