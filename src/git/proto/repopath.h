/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/repopath.h - the path of a request becomes the name of a repository.
 *
 * A name is 1 to ALK_GIT_REPO_DEPTH_MAX parts joined by '/', relative, without ".git" at its
 * end: what rights, events and logs call it ("team/site"). The directory beneath the root is
 * the name itself or the name and ".git", tried in this order; a path that says ".git"
 * means that one alone. A repository that is made anew is called name.git.
 *
 * Refused, and never repaired: an empty part, `.`, `..`, a part that begins with '.', '-' or
 * '~' or ends with '.' or a space; backslash, colon, control bytes, anything but UTF-8; the
 * characters that some file systems ignore (U+200C..200F, 202A..202E, 206A..206F, FEFF);
 * `git~1`; ".git" at the end of a part that is not the last (a place inside a repository),
 * or twice at the end. One '/' at either end is dropped. Pure, no allocation.
 */
#ifndef ALK_GIT_REPOPATH_H
#define ALK_GIT_REPOPATH_H

#include "base/err.h"
#include "base/span.h"

/* Bytes of a name: as many as a grant can speak of (core/auth/resource.h). */
#define ALK_GIT_REPO_NAME_MAX  255
#define ALK_GIT_REPO_DEPTH_MAX 16
#define ALK_GIT_REPO_PART_MAX  240 /* so that ".git" and ".lock" fit behind it on a disk */
#define ALK_GIT_REPO_DIR_SIZE  (ALK_GIT_REPO_NAME_MAX + 5) /* name, ".git" and a zero */

struct alk_git_repopath {
    char name[ALK_GIT_REPO_NAME_MAX + 1]; /* zero-terminated */
    size_t n;
    bool has_suffix; /* the path said ".git" */
};

/* path: decoded (struct alk_git_request), a zero byte is refused too.
 * ALK_E_MALFORMED: one of the above. ALK_E_TOO_BIG: too long or too deep. *ret is unchanged
 * then. */
ALK_NODISCARD alk_err alk_git_repopath_parse(struct alk_span path, struct alk_git_repopath *ret);
/* The directories to try, relative to the root: 0, then 1; false: there is no such one. */
bool alk_git_repopath_dir(const struct alk_git_repopath *p, unsigned number,
                          char ret[static ALK_GIT_REPO_DIR_SIZE]);

#endif
