/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/pushee.h"

#include "base/text.h"
#include "git/proto/repopath.h"

/* Once, as for a request. */
static bool decode(struct alk_span in, char *dst, size_t size, size_t *ret_n)
{
    size_t n = 0;
    while (in.n > 0) {
        uint8_t c = in.p[0];
        size_t used = 1, got = 0;
        if (n == size) {
            return false;
        }
        if (c == '%') {
            if (in.n < 3 || alk_unhex(alk_span(in.p + 1, 2), &c, 1, &got) != ALK_OK) {
                return false;
            }
            used = 3;
        }
        dst[n++] = (char)c;
        in = alk_span_tail(in, used);
    }
    *ret_n = n;
    return true;
}

bool alk_git_pushee_is(struct alk_span pushee, struct alk_span name, struct alk_span key)
{
    char path[ALK_GIT_REPO_DIR_SIZE + 2];
    size_t n = 0;
    struct alk_git_repopath p;
    if (!alk_span_starts(pushee, ALK_LIT("alknet://"))) {
        return false;
    }
    struct alk_span rest = alk_span_tail(pushee, 9);
    struct alk_span host = alk_span_cut(&rest, '/');
    size_t at = alk_span_find(host, '@');
    if (at < host.n && !alk_span_equal(alk_span_head(host, at), key)) {
        return false;
    }
    return host.n > 0 && decode(rest, path, sizeof path, &n) &&
           alk_git_repopath_parse(alk_span(path, n), &p) == ALK_OK &&
           alk_span_equal(alk_span(p.name, p.n), name);
}
