/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/scope.h - scopes: their syntax and what holds what.
 *
 * A scope is 1-4 segments [a-z0-9_.-]+ joined by ':', at most ALK_SCOPE_MAX
 * bytes; a '*' may stand as the last segment and covers whatever follows there,
 * but not the name before it: a:* covers a:b and a:b:c, not a. "admin" covers
 * everything, and so does a lone "*". All functions are pure.
 */
#ifndef ALK_CORE_AUTH_SCOPE_H
#define ALK_CORE_AUTH_SCOPE_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/span.h"

bool alk_scope_is_valid(struct alk_span scope);
/* Whether somebody who holds `held` holds `wanted`. `wanted` may be a pattern
 * itself: then all of it must be covered. Neither need be valid; what is not
 * covers nothing and is covered by nothing. */
bool alk_scope_covers(struct alk_span held, struct alk_span wanted);
/* Whether one of the n scopes covers `wanted`. */
bool alk_scopes_hold(const struct alk_span *scopes, size_t n, struct alk_span wanted);
/* The same of scopes that are known to be valid: only `wanted` need not be. Each request
 * asks what an identity holds, and whoever makes one has looked at its scopes. */
bool alk_scopes_valid_hold(const struct alk_span *scopes, size_t n, struct alk_span wanted);

/* Most results that alk_scopes_intersect can give. */
#define ALK_SCOPES_NARROWED_MAX (2 * ALK_SCOPES_MAX)
/* What is covered by both lists (a token narrows its identity), without
 * duplicates and without scopes that another result covers. Results borrow from
 * the inputs; ret has room for a_n + b_n. Returns how many. */
size_t alk_scopes_intersect(const struct alk_span *a, size_t a_n, const struct alk_span *b,
                            size_t b_n, struct alk_span *ret);

/* The vocabulary: what alknet itself asks for. The manual prints it. Ends with a
 * row whose name is NULL. A name in capitals is a placeholder for a segment. */
struct alk_scope_word {
    const char *name;
    const char *help;
};
const struct alk_scope_word *alk_scope_vocabulary(void);

#endif
