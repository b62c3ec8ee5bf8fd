/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/resource.h - grants: which actions on which named things.
 *
 * A grant says: on things of `type` whose name matches the glob `name`, these
 * actions are allowed; when it has refs, then only for refs that match one of
 * them. What no grant mentions is not allowed; there is no deny. Globs: `*`
 * matches any bytes but '/', `**` any bytes. All functions are pure.
 */
#ifndef ALK_CORE_AUTH_RESOURCE_H
#define ALK_CORE_AUTH_RESOURCE_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/span.h"

#define ALK_GRANTS_MAX        256 /* of one identity */
#define ALK_GRANT_NAME_MAX    255 /* bytes of a name or ref pattern, and of a name asked for */
#define ALK_GRANT_WORD_MAX    32  /* bytes of a type or an action */
#define ALK_GRANT_ACTIONS_MAX 16
#define ALK_GRANT_REFS_MAX    32

struct alk_grant {
    struct alk_span type;           /* [a-z][a-z0-9_-]* */
    struct alk_span name;           /* glob, no control bytes */
    const struct alk_span *actions; /* [a-z][a-z0-9_-]*; none given means read */
    size_t action_count;
    const struct alk_span *refs; /* globs, no spaces or control bytes */
    size_t ref_count;
};

/* ALK_E_INVALID, with one sentence in why (when why_size > 0). */
ALK_NODISCARD alk_err alk_grant_check(const struct alk_grant *grant, char *why, size_t why_size);
/* Whether this grant allows it. An empty `ref` asks about the thing as a whole
 * and is not held against the grant's refs: whoever changes refs asks for each.
 * A name longer than ALK_GRANT_NAME_MAX is never allowed. */
bool alk_grant_allows(const struct alk_grant *grant, struct alk_span type, struct alk_span name,
                      struct alk_span action, struct alk_span ref);

#endif
