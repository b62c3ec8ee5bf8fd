/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/watch_file.h - tells when a file has changed.
 *
 * The directory is watched, because a watch on the file itself dies with an
 * atomic rename. Events are gathered for 200 ms; then the file's identity, size
 * and time are compared, so other files in the directory, and symbolic links that
 * are swapped, are judged by what the path shows. On the loop's thread.
 */
#ifndef ALK_CORE_IO_WATCH_FILE_H
#define ALK_CORE_IO_WATCH_FILE_H

#include "alknet/loop.h"
#include "base/err.h"

#define ALK_WATCH_FILE_DELAY (200 * ALK_MS)

struct alk_watch_file;
typedef void alk_watch_file_fn(void *ctx);
/* fn runs when the path shows a different file or content; not when it is gone
 * (a new one may follow). ALK_E_NOENT: no such directory. ALK_E_LIMIT: the system
 * has no watches left. ALK_E_NOMEM, ALK_E_IO. */
ALK_NODISCARD alk_err alk_watch_file_new(struct alk_loop *loop, const char *path,
                                         alk_watch_file_fn *fn, void *ctx,
                                         struct alk_watch_file **ret);
void alk_watch_file_free(struct alk_watch_file *w);

#endif
