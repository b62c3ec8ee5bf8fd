/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/scope.h"

enum { SEGMENTS_MAX = 4 };

static bool is_scope_byte(uint8_t c)
{
    /* a-z, 0-9, '_', '.', '-': looked up, because each request is asked for its scopes. */
    static const uint32_t bytes[8] = {0, 0x03ff6000, 0x80000000, 0x07fffffe};
    return (bytes[c >> 5] >> (c & 31) & 1) != 0;
}

bool alk_scope_is_valid(struct alk_span scope)
{
    size_t segments = 1, len = 0;
    bool has_star = false; /* nothing may follow it */
    if (scope.n > ALK_SCOPE_MAX) {
        return false;
    }
    for (size_t i = 0; i < scope.n; i++) {
        uint8_t c = scope.p[i];
        if (has_star || (c == ':' && len == 0) || (c == '*' && len > 0)) {
            return false;
        }
        if (c == ':') {
            segments++;
            len = 0;
            continue;
        }
        if (c != '*' && !is_scope_byte(c)) {
            return false;
        }
        has_star = c == '*';
        len++;
    }
    return len > 0 && segments <= SEGMENTS_MAX;
}

/* "a:*" -> "a:", "*" -> "". False: no pattern. */
static bool pattern_prefix(struct alk_span scope, struct alk_span *ret)
{
    if (scope.n == 0 || scope.p[scope.n - 1] != '*') {
        return false;
    }
    *ret = alk_span_head(scope, scope.n - 1);
    return true;
}

/* Whether `held` is one that means more than itself, and `wanted` among it. Of valid ones. */
static bool is_wider(struct alk_span held, struct alk_span wanted)
{
    struct alk_span prefix;
    return alk_span_is(held, "admin") || /* not secret */
           (pattern_prefix(held, &prefix) && alk_span_starts(wanted, prefix));
}

bool alk_scope_covers(struct alk_span held, struct alk_span wanted)
{
    if (alk_span_equal(held, wanted)) { /* a name, not secret */
        return alk_scope_is_valid(held);
    }
    /* Last: most scopes of a list are others, whatever they look like. */
    return is_wider(held, wanted) && alk_scope_is_valid(held) && alk_scope_is_valid(wanted);
}

bool alk_scopes_hold(const struct alk_span *scopes, size_t n, struct alk_span wanted)
{
    for (size_t i = 0; i < n; i++) {
        if (alk_scope_covers(scopes[i], wanted)) {
            return true;
        }
    }
    return false;
}

bool alk_scopes_valid_hold(const struct alk_span *scopes, size_t n, struct alk_span wanted)
{
    bool has_wider = false;
    for (size_t i = 0; i < n; i++) {
        if (alk_span_equal(scopes[i], wanted)) { /* not secret; as valid as the one held */
            return true;
        }
        has_wider = has_wider || is_wider(scopes[i], wanted);
    }
    return has_wider && alk_scope_is_valid(wanted);
}

/* Adds a scope unless a result covers it, and drops results that it covers. */
static size_t add_widest(struct alk_span *ret, size_t n, struct alk_span scope)
{
    if (alk_scopes_hold(ret, n, scope)) {
        return n;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!alk_scope_covers(scope, ret[i])) {
            ret[kept++] = ret[i];
        }
    }
    ret[kept] = scope;
    return kept + 1;
}

size_t alk_scopes_intersect(const struct alk_span *a, size_t a_n, const struct alk_span *b,
                            size_t b_n, struct alk_span *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < a_n; i++) {
        if (alk_scopes_hold(b, b_n, a[i])) {
            n = add_widest(ret, n, a[i]);
        }
    }
    for (size_t i = 0; i < b_n; i++) {
        if (alk_scopes_hold(a, a_n, b[i])) {
            n = add_widest(ret, n, b[i]);
        }
    }
    return n;
}

static const struct alk_scope_word VOCABULARY[] = {
    {"admin", "Holds every scope there is or will be; not resources that are not granted."},
    {"bench", "Measure the node with `alknet bench` (alknet/bench)."},
    {"events:publish", "Publish events on topics whose rule does not say who may."},
    {"events:subscribe", "Listen to events on topics whose rule does not say who may."},
    {"offer:NAMESPACE", "Offer operations under a namespace as a worker (services/offer)."},
    {NULL, NULL},
};

const struct alk_scope_word *alk_scope_vocabulary(void)
{
    return VOCABULARY;
}
