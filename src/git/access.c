/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/service.h"

bool alk_git_may_read(const struct alk_git_rule *rule, const struct alk_identity *who,
                      struct alk_span name)
{
    return rule->is_public ||
           alk_identity_may(who, ALK_LIT("repo"), name, ALK_LIT("read"), (struct alk_span){0});
}

bool alk_git_may_push(const struct alk_identity *who, struct alk_span name, struct alk_span ref)
{
    return alk_identity_may(who, ALK_LIT("repo"), name, ALK_LIT("write"), ref);
}

enum alk_git_verdict alk_git_access(const struct alk_git_rule *rule, const struct alk_identity *who,
                                    struct alk_span name, enum alk_git_service service)
{
    bool may_read = alk_git_may_read(rule, who, name);
    bool may_push = alk_git_may_push(who, name, (struct alk_span){0});
    if (service != ALK_GIT_RECEIVE_PACK) {
        return may_read ? ALK_GIT_MAY : ALK_GIT_HIDDEN;
    }
    if (!may_read && !may_push) {
        return ALK_GIT_HIDDEN;
    }
    if (rule->is_read_only) {
        return ALK_GIT_MIRROR;
    }
    bool may_sign = who == NULL && rule->is_public && rule->signing == ALK_GIT_SIGNING_REQUIRED;
    return may_push || may_sign ? ALK_GIT_MAY : ALK_GIT_FORBIDDEN;
}
