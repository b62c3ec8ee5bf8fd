/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/fs.h - inside of the operations fs/...: files beneath one directory.
 *
 * The disk is never touched on a loop: every step runs on core/io/work.h. A request
 * holds its own reference to the tree, so a reload that changes the root leaves those
 * under way with the old one.
 */
#ifndef ALK_OPS_FS_H
#define ALK_OPS_FS_H

#include "alknet/ops.h"
#include "core/io/work.h"
#include "core/store/tree.h"

#define ALK_FS_CHUNK       ((size_t)49152) /* bytes of one answer of fs/read: 64 KiB as base64 */
#define ALK_FS_WRITE_MAX   ((size_t)720 * 1024) /* of one fs/write: what fits a frame as base64 */
#define ALK_FS_LIST_MAX    2000                 /* entries of one answer of fs/list */
#define ALK_FS_LIST_BYTES  ((size_t)768 * 1024) /* after which it is continued */
/* In the node, whoever asks; one more is EXHAUSTED. */
#define ALK_FS_READ_MAX    256                /* files open for fs/read */
#define ALK_FS_WATCH_MAX   64                 /* of the 128 that systems usually allow a user */
#define ALK_FS_WRITING_MAX ((size_t)32 << 20) /* bytes of fs/write under way */
#define ALK_FS_CHANGES_MAX 128                /* names that one fs/watch holds back */
#define ALK_FS_WATCH_DELAY (50 * ALK_MS)      /* in which changes of one name become one */

/* The ctx of the operations: a tree, which a reload may exchange, and rules. */
struct alk_fs_root;
/* Gives a reference to the tree that is in force. */
struct alk_tree *alk_fs_tree(struct alk_fs_root *root);
const struct alk_mem *alk_fs_mem(const struct alk_fs_root *root);
/* Whether this path may be touched, where grants decide. False: the request has been
 * ended. action: "read" or "write". */
bool alk_fs_may(const struct alk_fs_root *root, struct alk_request *r, struct alk_span path,
                const char *action);

/* Ends a request with the code for an error of the tree. */
void alk_fs_fail(struct alk_request *r, alk_err err);

/* The operations; ctx is a struct alk_fs_root. */
void alk_fs_list(void *ctx, struct alk_request *r);
void alk_fs_stat(void *ctx, struct alk_request *r);
void alk_fs_write(void *ctx, struct alk_request *r);
void alk_fs_mkdir(void *ctx, struct alk_request *r);
void alk_fs_remove(void *ctx, struct alk_request *r);
void alk_fs_rename(void *ctx, struct alk_request *r);
void alk_fs_read(void *ctx, struct alk_request *r);
void alk_fs_watch(void *ctx, struct alk_request *r);

#endif
