/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/topic.h"

static bool is_token_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static bool is_rest(struct alk_span token)
{
    return token.n == 1 && token.p[0] == '>';
}

static bool is_any(struct alk_span token)
{
    return token.n == 1 && token.p[0] == '*';
}

static alk_err parse(struct alk_span text, bool is_pattern, struct alk_topic *ret)
{
    struct alk_topic t = {0};
    size_t start = 0;
    if (text.n == 0 || text.n > ALK_TOPIC_MAX) {
        return ALK_E_INVALID;
    }
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && is_token_byte(text.p[i])) {
            continue;
        }
        if (i < text.n && text.p[i] != '.') {
            /* A wildcard is a whole token, and nothing comes after the rest. */
            uint8_t c = text.p[i];
            bool is_last = i + 1 == text.n;
            if (!is_pattern || i != start || (c != '*' && c != '>') ||
                (c == '>' ? !is_last : !is_last && text.p[i + 1] != '.')) {
                return ALK_E_INVALID;
            }
            t.has_wildcard = true;
            continue;
        }
        if (i == start || t.count == ALK_TOPIC_TOKENS_MAX) {
            return ALK_E_INVALID;
        }
        t.end[t.count++] = (uint8_t)i;
        start = i + 1;
    }
    *ret = t;
    return ALK_OK;
}

alk_err alk_topic_parse(struct alk_span text, struct alk_topic *ret)
{
    return parse(text, false, ret);
}

alk_err alk_topic_parse_pattern(struct alk_span text, struct alk_topic *ret)
{
    return parse(text, true, ret);
}

struct alk_span alk_topic_token(struct alk_span text, const struct alk_topic *topic, size_t i)
{
    size_t start = i == 0 ? 0 : topic->end[i - 1] + 1u;
    return alk_span(text.p + start, topic->end[i] - start);
}

bool alk_topic_covers(struct alk_span wide, struct alk_span narrow)
{
    struct alk_topic w, n;
    if (parse(wide, true, &w) != ALK_OK || parse(narrow, true, &n) != ALK_OK) {
        return false;
    }
    for (size_t i = 0; i < w.count && i < n.count; i++) {
        struct alk_span a = alk_topic_token(wide, &w, i);
        struct alk_span b = alk_topic_token(narrow, &n, i);
        if (is_rest(a)) {
            return true;
        }
        /* The rest is more than any one token. */
        if (is_rest(b) || (!is_any(a) && !alk_span_equal(a, b))) {
            return false;
        }
    }
    return w.count == n.count;
}

bool alk_topic_matches(struct alk_span pattern, struct alk_span topic)
{
    struct alk_topic t;
    return parse(topic, false, &t) == ALK_OK && alk_topic_covers(pattern, topic);
}

bool alk_topic_overlaps(struct alk_span a, struct alk_span b)
{
    struct alk_topic ta, tb;
    if (parse(a, true, &ta) != ALK_OK || parse(b, true, &tb) != ALK_OK) {
        return false;
    }
    for (size_t i = 0; i < ta.count && i < tb.count; i++) {
        struct alk_span x = alk_topic_token(a, &ta, i);
        struct alk_span y = alk_topic_token(b, &tb, i);
        if (is_rest(x) || is_rest(y)) {
            return true;
        }
        if (!is_any(x) && !is_any(y) && !alk_span_equal(x, y)) {
            return false;
        }
    }
    return ta.count == tb.count;
}
