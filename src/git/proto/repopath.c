/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/repopath.h"

/* Characters that HFS+ leaves out when it compares names (git's utf8.c, is_hfs_dotgit):
 * U+200C..200F, 202A..202E, 206A..206F, FEFF. */
static bool is_ignored_char(const uint8_t *p, size_t n)
{
    if (n != 3) {
        return false;
    }
    if (p[0] == 0xef) {
        return p[1] == 0xbb && p[2] == 0xbf;
    }
    return p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0x8c && p[2] <= 0x8f) ||
                            (p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
                            (p[1] == 0x81 && p[2] >= 0xaa && p[2] <= 0xaf));
}

/* No control byte, backslash or colon; UTF-8 that every file system takes for what it is. */
static bool has_good_bytes(struct alk_span s)
{
    while (s.n > 0) {
        size_t n = alk_span_utf8(s);
        uint8_t c = s.p[0];
        if (n == 0 || c < 0x20 || c == 0x7f || c == '\\' || c == ':' || is_ignored_char(s.p, n)) {
            return false;
        }
        s = alk_span_tail(s, n);
    }
    return true;
}

static bool ends_in_git(struct alk_span part)
{
    return part.n >= 4 && alk_span_equal_nocase(alk_span_tail(part, part.n - 4), ALK_LIT(".git"));
}

/* A leading '.' takes in `.`, `..`, `.git` and every hidden file. */
static bool is_good_part(struct alk_span part)
{
    if (part.n == 0) {
        return false;
    }
    uint8_t first = part.p[0], last = part.p[part.n - 1];
    return first != '.' && first != '-' && first != '~' && last != '.' && last != ' ' &&
           !alk_span_equal_nocase(part, ALK_LIT("git~1"));
}

/* name: without slashes around it and without its ".git". */
static alk_err check_parts(struct alk_span name)
{
    size_t depth = 0;
    for (bool is_last = false; !is_last;) {
        size_t n = alk_span_find(name, '/');
        struct alk_span part = alk_span_head(name, n);
        is_last = n == name.n;
        name = alk_span_tail(name, n + 1);
        if (!is_good_part(part) || ends_in_git(part)) {
            return ALK_E_MALFORMED;
        }
        if (++depth > ALK_GIT_REPO_DEPTH_MAX || part.n > ALK_GIT_REPO_PART_MAX) {
            return ALK_E_TOO_BIG;
        }
    }
    return ALK_OK;
}

alk_err alk_git_repopath_parse(struct alk_span path, struct alk_git_repopath *ret)
{
    struct alk_span name = path;
    if (name.n > 0 && name.p[0] == '/') {
        name = alk_span_tail(name, 1);
    }
    if (name.n > 0 && name.p[name.n - 1] == '/') {
        name = alk_span_head(name, name.n - 1);
    }
    bool has_suffix = alk_span_ends(name, ALK_LIT(".git"));
    if (has_suffix) {
        name = alk_span_head(name, name.n - 4);
    }
    if (name.n > ALK_GIT_REPO_NAME_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (!has_good_bytes(name)) {
        return ALK_E_MALFORMED;
    }
    ALK_TRY(check_parts(name));
    *ret = (struct alk_git_repopath){.n = name.n, .has_suffix = has_suffix};
    memcpy(ret->name, name.p, name.n);
    return ALK_OK;
}

bool alk_git_repopath_dir(const struct alk_git_repopath *p, unsigned number,
                          char ret[static ALK_GIT_REPO_DIR_SIZE])
{
    if (number > (p->has_suffix ? 0U : 1U)) {
        return false;
    }
    bool is_bare_name = number == 0 && !p->has_suffix;
    memcpy(ret, p->name, p->n);
    memcpy(ret + p->n, is_bare_name ? "" : ".git", is_bare_name ? 1 : 5);
    return true;
}
