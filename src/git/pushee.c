/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/pushee.h"

#include "base/text.h"
#include "git/proto/repopath.h"

#define DEFAULT_PORT ":4433" /* of an address that names none */

/* alknet://[key@]host[:port]/path, taken apart. False: not that. */
static bool split(struct alk_span pushee, struct alk_span *key, struct alk_span *host,
                  struct alk_span *path)
{
    if (!alk_span_starts(pushee, ALK_LIT("alknet://"))) {
        return false;
    }
    *path = alk_span_tail(pushee, 9);
    *host = alk_span_cut(path, '/');
    size_t at = alk_span_find(*host, '@');
    *key = (struct alk_span){0};
    if (at < host->n) {
        *key = alk_span_head(*host, at);
        *host = alk_span_tail(*host, at + 1);
        return key->n > 0 && host->n > 0;
    }
    return host->n > 0;
}

bool alk_git_pushee_is(struct alk_span pushee, struct alk_span name, struct alk_span key)
{
    uint8_t text[ALK_GIT_REPO_DIR_SIZE + 2];
    size_t n = 0;
    struct alk_git_repopath p;
    struct alk_span its_key, host, path;
    return split(pushee, &its_key, &host, &path) &&
           (its_key.n == 0 || alk_span_equal(its_key, key)) &&
           alk_percent_decode(path, text, sizeof text, &n) == ALK_OK &&
           alk_git_repopath_parse(alk_span(text, n), &p) == ALK_OK &&
           alk_span_equal(alk_span(p.name, p.n), name);
}

bool alk_git_pushee_is_at(struct alk_span pushee, struct alk_span address, struct alk_span key)
{
    struct alk_span its_key, host, path;
    if (!split(pushee, &its_key, &host, &path)) {
        return false;
    }
    if (its_key.n > 0) {
        return alk_span_equal(its_key, key);
    }
    return alk_span_equal_nocase(host, address) ||
           (alk_span_equal_nocase(host, alk_span_head(address, host.n)) &&
            alk_span_equal(alk_span_tail(address, host.n), ALK_LIT(DEFAULT_PORT)));
}
