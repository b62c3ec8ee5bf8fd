/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/tree.h - files beneath one directory, whatever names a peer sends.
 *
 * Every path is resolved by the kernel with openat2 and RESOLVE_BENEATH: `..`, absolute
 * names and symbolic links may go anywhere beneath the root and nowhere else. Magic
 * links are not followed. What is read is a regular file; a FIFO or device is not even
 * opened. A file is written without a name, or beside its place, and then put there, so
 * that a reader sees the old or the new one. The names that are used for that begin with
 * ALK_TREE_TMP: they are not listed, not told as changes, and nobody can make them.
 *
 * Paths are relative to the root, with '/' between parts; "" and "." are the root.
 * All calls block on the disk: for core/io/work.h, never on a loop. A tree is counted
 * and may be used from every thread.
 */
#ifndef ALK_CORE_STORE_TREE_H
#define ALK_CORE_STORE_TREE_H

#include "base/err.h"
#include "base/span.h"

#define ALK_TREE_PATH_MAX    4095  /* bytes of a path */
#define ALK_TREE_NAME_MAX    255   /* bytes of a part */
#define ALK_TREE_ENTRIES_MAX 65536 /* of a directory that is listed */
#define ALK_TREE_TMP         ".alknet-tmp-"
#define ALK_TREE_ETAG        52 /* bytes of an etag with its zero */

struct alk_tree;
/* path: absolute. is_plain: paths have one spelling (no empty part, `.` or `..`) and
 * no symbolic link is followed, so that a rule about names is a rule about files;
 * another spelling is ALK_E_INVALID, a link ALK_E_FORBIDDEN. ALK_E_NOENT, ALK_E_PERM,
 * ALK_E_INVALID (no directory), ALK_E_UNSUPPORTED (a kernel before 5.6), ALK_E_IO,
 * ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_tree_open(const struct alk_mem *mem, const char *path, bool is_plain,
                                    struct alk_tree **ret);
struct alk_tree *alk_tree_ref(struct alk_tree *tree);
void alk_tree_unref(struct alk_tree *tree); /* NULL is allowed */

enum alk_tree_type { ALK_TREE_FILE, ALK_TREE_DIR, ALK_TREE_LINK, ALK_TREE_OTHER };
const char *alk_tree_type_name(enum alk_tree_type type); /* "file", "dir", "link", "other" */

struct alk_tree_stat {
    enum alk_tree_type type;
    uint64_t size;     /* bytes */
    uint64_t mtime_ms; /* Unix time */
    unsigned mode;     /* permission bits */
    uint64_t ino, ctime_ns;
};
/* Differs whenever the file or its contents do, as far as the file system's clock can
 * tell: a text without meaning. */
void alk_tree_etag(const struct alk_tree_stat *stat, char ret[static ALK_TREE_ETAG]);

/* Errors of all that take a path: ALK_E_NOENT; ALK_E_FORBIDDEN: it leads out of the
 * root; ALK_E_INVALID: not a path, or not the kind of thing it must be; ALK_E_PERM;
 * ALK_E_TOO_BIG: too long; ALK_E_IO. */

/* Follows symbolic links that stay beneath the root. */
ALK_NODISCARD alk_err alk_tree_stat(struct alk_tree *tree, struct alk_span path,
                                    struct alk_tree_stat *ret);

typedef alk_err alk_tree_entry_fn(void *ctx, struct alk_span name,
                                  const struct alk_tree_stat *stat);
/* Calls fn for at most `limit` entries whose names come after `after`, by bytes; links
 * are told as links. Names that are not UTF-8 are left out and counted. *ret_more: there
 * are more. ALK_E_TOO_BIG: over ALK_TREE_ENTRIES_MAX entries. fn returns ALK_FULL: not
 * this one, and no more (*ret_more is true); anything else but ALK_OK is the result. */
ALK_NODISCARD alk_err alk_tree_list(struct alk_tree *tree, struct alk_span path,
                                    struct alk_span after, size_t limit, alk_tree_entry_fn *fn,
                                    void *ctx, bool *ret_more, uint64_t *ret_left_out);

/* A regular file for reading: the descriptor is the caller's to close. */
ALK_NODISCARD alk_err alk_tree_open_file(struct alk_tree *tree, struct alk_span path, int *ret_fd,
                                         struct alk_tree_stat *ret_stat);
/* Up to n bytes at an offset; *ret_n less than n: the end of the file. */
ALK_NODISCARD alk_err alk_tree_read(int fd, uint64_t offset, uint8_t *dst, size_t n, size_t *ret_n);
void alk_tree_close_file(int fd);

struct alk_tree_write {
    struct alk_span data;
    bool has_mode; /* else the mode of the file that is replaced, or 0644 */
    unsigned mode; /* permission bits, whatever the umask says */
    bool only_new; /* ALK_E_EXISTS when there is something already */
    /* Not empty: ALK_E_BUSY unless the file there has this etag. Of several that write
     * through this tree with one etag, one succeeds. */
    struct alk_span if_match;
};
/* Puts a file there, synced with its directory. What is there is replaced: a link
 * itself, not what it leads to. ALK_E_INVALID: a directory. */
ALK_NODISCARD alk_err alk_tree_write(struct alk_tree *tree, struct alk_span path,
                                     const struct alk_tree_write *options,
                                     struct alk_tree_stat *ret);
ALK_NODISCARD alk_err alk_tree_mkdir(struct alk_tree *tree, struct alk_span path);
/* A file, a link, or an empty directory. ALK_E_BUSY: not empty. */
ALK_NODISCARD alk_err alk_tree_remove(struct alk_tree *tree, struct alk_span path);
/* Replaces a file of that name, atomically. ALK_E_UNSUPPORTED: onto another file system. */
ALK_NODISCARD alk_err alk_tree_rename(struct alk_tree *tree, struct alk_span from,
                                      struct alk_span to);

/* An inotify descriptor that watches a directory; *ret_fd is the caller's to close. */
ALK_NODISCARD alk_err alk_tree_watch(struct alk_tree *tree, struct alk_span path, int *ret_fd);
/* One change. name borrows until fn returns; empty with is_overflow: some were lost. */
struct alk_tree_change {
    const char *what; /* "created", "changed", "removed", "overflow". Static text */
    struct alk_span name;
    bool is_gone; /* the directory itself: no more will come */
};
/* Reads what is there, without blocking. Changes of a file that is called "#" and digits
 * are not told, other than that it is created or removed: the system names files without
 * a name like this. */
ALK_NODISCARD alk_err alk_tree_watch_read(int fd,
                                          void (*fn)(void *ctx, const struct alk_tree_change *c),
                                          void *ctx);

#endif
