/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/file.h - small files, whole: read with a cap, written by rename.
 *
 * Everything opens with O_CLOEXEC, never follows a symbolic link in the last
 * component where it says "private", and leaves errno as the system set it when
 * it fails, so that a caller may add strerror to its message. Blocks on the disk.
 */
#ifndef ALK_CORE_STORE_FILE_H
#define ALK_CORE_STORE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* The class of a system error: ENOENT is ALK_E_NOENT, EACCES is ALK_E_PERM, ...;
 * what has no class of its own is ALK_E_IO. */
alk_err alk_file_err(int error);

/* Appends the whole file to *ret. ALK_E_TOO_BIG: more than max bytes, or than
 * the buffer holds. ALK_E_INVALID: not a regular file. ALK_E_NOENT, ALK_E_PERM,
 * ALK_E_IO, ALK_E_NOMEM. After a failure *ret holds what it held before. */
ALK_NODISCARD alk_err alk_file_read(const char *path, size_t max, struct alk_buf *ret);

/* Whether a file holds a secret well enough: a regular file, no symbolic link,
 * owned by us (or read by root), nothing for group and others. ALK_E_PERM with
 * one sentence that says how to repair it in why; ALK_E_NOENT. */
ALK_NODISCARD alk_err alk_file_check_private(const char *path, char *why, size_t why_size);
/* As alk_file_read, after that check on the very file that is read. */
ALK_NODISCARD alk_err alk_file_read_private(const char *path, size_t max, struct alk_buf *ret,
                                            char *why, size_t why_size);

/* Puts a file of these bytes at path: written beside it, synced, renamed, and the
 * directory synced, so that after a crash there is the old file or the new one.
 * mode: permission bits, whatever the umask says. A new file belongs to
 * whoever owns the directory when we are root. */
ALK_NODISCARD alk_err alk_file_write(const char *path, struct alk_span bytes, unsigned mode);
/* As write, but only where there is none yet: ALK_E_EXISTS. */
ALK_NODISCARD alk_err alk_file_create(const char *path, struct alk_span bytes, unsigned mode);

/* mkdir -p with this mode for what is made. ALK_OK also when it is there. */
ALK_NODISCARD alk_err alk_file_make_dirs(const char *path, unsigned mode);

/* "dir/name" zero-terminated (name alone when it is absolute); false and ""
 * when it does not fit. */
bool alk_file_join(const char *dir, const char *name, char *ret, size_t ret_size);

#endif
