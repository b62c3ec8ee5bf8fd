/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git_url.h"

#include "base/text.h"
#include "core/store/why.h"

#define SCHEME "alknet://"

static bool has_any(struct alk_span s, const char *chars)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr(chars, s.p[i]) != NULL) { /* also for a zero byte */
            return true;
        }
    }
    return false;
}

/* False: no two hex digits behind a %, a zero byte, or too long. */
static bool decode(struct alk_span s, char *dst, size_t size)
{
    size_t n = 0;
    if (alk_percent_decode(s, (uint8_t *)dst, size - 1, &n) != ALK_OK) {
        return false;
    }
    dst[n] = '\0';
    return strlen(dst) == n;
}

alk_err cli_git_url_parse(const char *text, struct cli_git_url *ret, char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    struct alk_span s = alk_span_str(text);

    if (alk_span_starts(s, ALK_LIT(SCHEME))) {
        s = alk_span_tail(s, strlen(SCHEME));
    }
    size_t slash = alk_span_find(s, '/');
    struct alk_span node = alk_span_head(s, slash);
    struct alk_span path = alk_span_tail(s, slash);
    bool is_name = !has_any(node, "@.:[");

    /* Such bytes are in no name that somebody has typed, and the first thing that an
     * address from elsewhere would try. */
    if (alk_span_has_control(s)) {
        return alk_say(note, ALK_E_INVALID, "a control character or a newline is forbidden in it");
    }
    if (node.n == 0) {
        return alk_say(note, ALK_E_INVALID, "there is no node in it: " SCHEME "NODE/REPOSITORY");
    }
    if (path.n < 2) {
        return alk_say(note, ALK_E_INVALID,
                       "there is no repository in it: " SCHEME "NODE/REPOSITORY");
    }
    if (node.n + strlen(SCHEME) > CLI_NODE_MAX) {
        return alk_say(note, ALK_E_INVALID, "that is no address of a node");
    }
    if (!decode(path, ret->path, sizeof ret->path)) {
        return alk_say(note, ALK_E_INVALID,
                       "the path is too long, or a %% in it is not followed by two hex digits");
    }
    (void)snprintf(ret->node, sizeof ret->node, "%s%.*s", is_name ? "" : SCHEME, (int)node.n,
                   (const char *)node.p);
    return ALK_OK;
}
