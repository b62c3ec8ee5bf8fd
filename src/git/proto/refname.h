/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/refname.h - names of refs, patterns of refs, object ids as text.
 *
 * Names: git-check-ref-format's rules. Patterns are those of grants
 * (core/auth/resource.h): `*` matches any bytes but '/', `**` any bytes, everything else
 * itself; the whole name must match. refs/heads/dev/<star> is one level below dev/, with two
 * stars everything below. Pure, no allocation.
 */
#ifndef ALK_GIT_REFNAME_H
#define ALK_GIT_REFNAME_H

#include "base/err.h"
#include "base/span.h"

#define ALK_GIT_REF_MAX         1024 /* bytes of a name */
#define ALK_GIT_REF_PATTERN_MAX 255
#define ALK_GIT_SHA1_HEX        40
#define ALK_GIT_SHA256_HEX      64

/* Well-formed, with at least two parts ("refs/heads/main"). */
bool alk_git_ref_is_valid(struct alk_span name);
/* As above, or one part ("HEAD", "FETCH_HEAD"). */
bool alk_git_ref_is_valid_any(struct alk_span name);
/* What a push may name: valid, beginning with "refs/", three parts or more; to delete, two
 * are enough, as in git-receive-pack. */
bool alk_git_ref_is_pushable(struct alk_span name, bool is_delete);

/* 1 to ALK_GIT_REF_PATTERN_MAX bytes, no space and no control byte, UTF-8. */
bool alk_git_ref_pattern_is_valid(struct alk_span pattern);
/* A name over ALK_GIT_REF_MAX and a pattern that is not valid match nothing. */
bool alk_git_ref_matches(struct alk_span pattern, struct alk_span name);
bool alk_git_ref_matches_any(const struct alk_span *patterns, size_t n, struct alk_span name);

/* Whether these rules hide the ref: the values of transfer.hideRefs and uploadpack.hideRefs in
 * the order of the config, a zero byte behind each. The last one that fits decides, `!` shows
 * again; `^` is for namespaces, of which there are none here. [git-config, transfer.hideRefs] */
bool alk_git_ref_is_hidden(struct alk_span rules, struct alk_span ref);

/* 40 or 64 lower-case hex digits. */
bool alk_git_id_is_valid(struct alk_span hex);
/* All zeros: no object. */
bool alk_git_id_is_zero(struct alk_span hex);

/* Takes "<id> SP" from the front of *line. False: there is no id; *line is unchanged. */
bool alk_git_id_cut(struct alk_span *line, struct alk_span *ret);

/* Old and new id of one ref, as pushes, certificates and hooks' standard input have it. */
struct alk_git_command {
    struct alk_span old_id, new_id; /* hex, equally long */
    struct alk_span ref;
};
/* "old SP new SP ref" without LF. Spans borrow from line.
 * ALK_E_MALFORMED: not that, or a ref that is not pushable, or both ids zero.
 * ALK_E_TOO_BIG: a ref over ALK_GIT_REF_MAX. *ret is unchanged then. */
ALK_NODISCARD alk_err alk_git_command_parse(struct alk_span line, struct alk_git_command *ret);
static inline bool alk_git_command_is_create(const struct alk_git_command *c)
{
    return alk_git_id_is_zero(c->old_id);
}
static inline bool alk_git_command_is_delete(const struct alk_git_command *c)
{
    return alk_git_id_is_zero(c->new_id);
}

#endif
