/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/commit.h - the signature of a commit or a tag, and what is signed: the object
 * without it.
 *
 * A commit carries it in the header `gpgsig` (in a SHA-256 repository `gpgsig-sha256`),
 * folded: each further line begins with a space. Every header whose name begins with
 * "gpgsig" is left out of what is signed. A tag has it at the end of its text.
 *
 * Objects are given without git's own "commit <size>\0". Pure; borrows; no allocation but in
 * the given buffer.
 */
#ifndef ALK_GIT_COMMIT_H
#define ALK_GIT_COMMIT_H

#include "base/buf.h"
#include "base/err.h"

#define ALK_GIT_SIGNED_PARTS_MAX 4

struct alk_git_signed {
    /* Joined, these are the bytes that are signed. */
    struct alk_span parts[ALK_GIT_SIGNED_PARTS_MAX];
    size_t part_count;
    bool is_folded;            /* of a commit: lines begin with a space, but the first */
    struct alk_span signature; /* as it is in the object */
};

/* id_hex 40 or 64: which header counts in a commit. ALK_END: there is no signature.
 * ALK_E_MALFORMED: no object of that kind, or two signatures. *ret is filled only on
 * ALK_OK. */
ALK_NODISCARD alk_err alk_git_commit_split(struct alk_span object, size_t id_hex,
                                           struct alk_git_signed *ret);
/* The signature at the end; one in a header is left out of what is signed. */
ALK_NODISCARD alk_err alk_git_tag_split(struct alk_span object, struct alk_git_signed *ret);
/* Appends the armor, unfolded. ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_git_signed_armor(const struct alk_git_signed *s, struct alk_buf *b);

#endif
