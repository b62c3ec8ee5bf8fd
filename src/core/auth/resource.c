/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/resource.h"

#include "core/auth/why.h"

/* [a-z][a-z0-9_-]* */
static bool is_word(struct alk_span s)
{
    if (s.n == 0 || s.n > ALK_GRANT_WORD_MAX || s.p[0] < 'a' || s.p[0] > 'z') {
        return false;
    }
    for (size_t i = 1; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

/* Printable, bounded; `lowest` is the first byte allowed. */
static bool is_pattern(struct alk_span s, uint8_t lowest)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < lowest || s.p[i] == 0x7f) {
            return false;
        }
    }
    return s.n > 0 && s.n <= ALK_GRANT_NAME_MAX && alk_span_is_utf8(s);
}

alk_err alk_grant_check(const struct alk_grant *grant, char *why, size_t why_size)
{
    if (!is_word(grant->type)) {
        return alk_why(why, why_size, "a resource type is a word of [a-z0-9_-], at most %d bytes",
                       ALK_GRANT_WORD_MAX);
    }
    if (!is_pattern(grant->name, ' ')) {
        return alk_why(why, why_size, "a resource name is 1 to %d printable bytes",
                       ALK_GRANT_NAME_MAX);
    }
    if (grant->action_count > ALK_GRANT_ACTIONS_MAX || grant->ref_count > ALK_GRANT_REFS_MAX) {
        return alk_why(why, why_size, "a resource has at most %d actions and %d refs",
                       ALK_GRANT_ACTIONS_MAX, ALK_GRANT_REFS_MAX);
    }
    for (size_t i = 0; i < grant->action_count; i++) {
        if (!is_word(grant->actions[i])) {
            return alk_why(why, why_size, "an action is a word of [a-z0-9_-], such as read");
        }
    }
    for (size_t i = 0; i < grant->ref_count; i++) {
        /* Git forbids spaces in refs; the store separates refs by them. */
        if (!is_pattern(grant->refs[i], '!')) {
            return alk_why(why, why_size, "a ref is 1 to %d printable bytes without spaces",
                           ALK_GRANT_NAME_MAX);
        }
    }
    return ALK_OK;
}

static bool has_action(const struct alk_grant *grant, struct alk_span action)
{
    if (grant->action_count == 0) {
        return alk_span_is(action, "read");
    }
    for (size_t i = 0; i < grant->action_count; i++) {
        /* a name, not secret */
        if (alk_span_equal(grant->actions[i], action)) {
            return true;
        }
    }
    return false;
}

static bool has_ref(const struct alk_grant *grant, struct alk_span ref)
{
    if (grant->ref_count == 0 || ref.n == 0) {
        return true;
    }
    for (size_t i = 0; i < grant->ref_count; i++) {
        if (alk_span_glob(grant->refs[i], ref)) {
            return true;
        }
    }
    return false;
}

bool alk_grant_allows(const struct alk_grant *grant, struct alk_span type, struct alk_span name,
                      struct alk_span action, struct alk_span ref)
{
    if (name.n == 0 || name.n > ALK_GRANT_NAME_MAX || ref.n > ALK_GRANT_NAME_MAX) {
        return false;
    }
    /* a name, not secret */
    return alk_span_equal(grant->type, type) && has_action(grant, action) &&
           alk_span_glob(grant->name, name) && has_ref(grant, ref);
}
