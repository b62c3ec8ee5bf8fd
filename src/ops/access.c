/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/identity.h"
#include "ops/registry.h"

static bool is_known(const struct alk_identity *identity)
{
    return identity != NULL && !alk_identity_is_disabled(identity);
}

bool alk_rights_have_scope(const struct alk_rights *rights, struct alk_span scope)
{
    return is_known(rights->who) && alk_identity_has_scope(rights->who, scope);
}

bool alk_rights_may(const struct alk_rights *rights, struct alk_span type, struct alk_span name,
                    struct alk_span action, struct alk_span ref)
{
    for (unsigned i = 0; i < rights->n; i++) {
        const struct alk_identity *holder = rights->holders[i];
        if (!is_known(holder) || !alk_identity_may(holder, type, name, action, ref)) {
            return false;
        }
    }
    return rights->n > 0;
}

static bool has_all(const struct alk_identity *who, const char *const *scopes)
{
    for (; scopes != NULL && *scopes != NULL; scopes++) {
        if (!alk_identity_has_scope(who, alk_span_str(*scopes))) {
            return false;
        }
    }
    return true;
}

static bool has_any(const struct alk_identity *who, const char *const *scopes)
{
    if (scopes == NULL || *scopes == NULL) {
        return true;
    }
    for (; *scopes != NULL; scopes++) {
        if (alk_identity_has_scope(who, alk_span_str(*scopes))) {
            return true;
        }
    }
    return false;
}

static bool is_visible(const struct alk_op *op, bool may_see_internal)
{
    return op != NULL && (may_see_internal || (op->flags & ALK_OP_INTERNAL) == 0);
}

const char *alk_access_check(const struct alk_op *op, bool may_see_internal,
                             const struct alk_rights *rights)
{
    bool shows = is_visible(op, may_see_internal);

    if (shows && (op->flags & ALK_OP_PUBLIC) != 0 && rights->who == NULL) {
        return NULL;
    }
    /* Also for names that are not there: nobody learns which are. */
    if (!is_known(rights->who)) {
        return ALK_OPS_UNAUTHENTICATED;
    }
    if (!shows || !has_all(rights->who, op->access.all_scopes) ||
        !has_any(rights->who, op->access.any_scopes)) {
        return ALK_OPS_NOT_FOUND;
    }
    return NULL;
}

bool alk_access_shows(const struct alk_op *op, const struct alk_identity *caller)
{
    struct alk_rights rights = {.who = caller};
    return alk_access_check(op, false, &rights) == NULL;
}
