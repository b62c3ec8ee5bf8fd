/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/refname.h"

/* [git-check-ref-format, rules 3, 4, 5 and 10] */
static bool is_good_byte(uint8_t c)
{
    return c > ' ' && c != 0x7f && strchr("~^:?*[\\", c) == NULL;
}

/* [git-check-ref-format, rules 1 and 6] */
static bool is_good_part(struct alk_span part)
{
    return part.n > 0 && part.p[0] != '.' && !alk_span_ends(part, ALK_LIT(".lock"));
}

/* Number of parts; 0: not a name. */
static size_t part_count(struct alk_span name)
{
    size_t count = 1, start = 0;
    if (name.n == 0 || name.n > ALK_GIT_REF_MAX || name.p[name.n - 1] == '.' ||
        alk_span_is(name, "@")) {
        return 0;
    }
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i], next = i + 1 < name.n ? name.p[i + 1] : 0;
        /* [git-check-ref-format, rules 3 and 8] */
        if (!is_good_byte(c) || (c == '.' && next == '.') || (c == '@' && next == '{')) {
            return 0;
        }
        if (c == '/') {
            if (!is_good_part(alk_span(name.p + start, i - start))) {
                return 0;
            }
            start = i + 1;
            count++;
        }
    }
    return is_good_part(alk_span(name.p + start, name.n - start)) ? count : 0;
}

bool alk_git_ref_is_valid(struct alk_span name)
{
    return part_count(name) >= 2;
}

bool alk_git_ref_is_valid_any(struct alk_span name)
{
    return part_count(name) >= 1;
}

bool alk_git_ref_is_pushable(struct alk_span name, bool is_delete)
{
    return alk_span_starts(name, ALK_LIT("refs/")) && part_count(name) >= (is_delete ? 2 : 3);
}

bool alk_git_ref_pattern_is_valid(struct alk_span pattern)
{
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] <= ' ' || pattern.p[i] == 0x7f) {
            return false;
        }
    }
    return pattern.n > 0 && pattern.n <= ALK_GIT_REF_PATTERN_MAX && alk_span_is_utf8(pattern);
}

bool alk_git_ref_matches(struct alk_span pattern, struct alk_span name)
{
    return name.n <= ALK_GIT_REF_MAX && alk_git_ref_pattern_is_valid(pattern) &&
           alk_span_glob(pattern, name);
}

bool alk_git_ref_matches_any(const struct alk_span *patterns, size_t n, struct alk_span name)
{
    for (size_t i = 0; i < n; i++) {
        if (alk_git_ref_matches(patterns[i], name)) {
            return true;
        }
    }
    return false;
}

static struct alk_span without_first(struct alk_span s, uint8_t c)
{
    return s.n > 0 && s.p[0] == c ? alk_span_tail(s, 1) : s;
}

bool alk_git_ref_is_hidden(struct alk_span rules, struct alk_span ref)
{
    bool is_hidden = false;
    while (rules.n > 0) {
        struct alk_span rule = alk_span_cut(&rules, 0);
        struct alk_span name = without_first(rule, '!');
        bool shows = name.n < rule.n;
        name = without_first(name, '^');
        while (name.n > 0 && name.p[name.n - 1] == '/') {
            name.n--;
        }
        if (alk_span_starts(ref, name) && (ref.n == name.n || ref.p[name.n] == '/')) {
            is_hidden = !shows;
        }
    }
    return is_hidden;
}

/* --- ids and commands ---------------------------------------------------------------- */

/* Digits at the front of s, up to one more than any id has. */
static size_t hex_run(struct alk_span s)
{
    size_t n = 0;
    while (n < s.n && n <= ALK_GIT_SHA256_HEX &&
           ((s.p[n] >= '0' && s.p[n] <= '9') || (s.p[n] >= 'a' && s.p[n] <= 'f'))) {
        n++;
    }
    return n;
}

bool alk_git_id_is_valid(struct alk_span hex)
{
    return (hex.n == ALK_GIT_SHA1_HEX || hex.n == ALK_GIT_SHA256_HEX) && hex_run(hex) == hex.n;
}

bool alk_git_id_is_zero(struct alk_span hex)
{
    for (size_t i = 0; i < hex.n; i++) {
        if (hex.p[i] != '0') {
            return false;
        }
    }
    return hex.n > 0;
}

bool alk_git_id_cut(struct alk_span *line, struct alk_span *ret)
{
    size_t n = hex_run(*line);
    if ((n != ALK_GIT_SHA1_HEX && n != ALK_GIT_SHA256_HEX) || n == line->n || line->p[n] != ' ') {
        return false;
    }
    *ret = alk_span_head(*line, n);
    *line = alk_span_tail(*line, n + 1);
    return true;
}

alk_err alk_git_command_parse(struct alk_span line, struct alk_git_command *ret)
{
    struct alk_git_command c;
    if (!alk_git_id_cut(&line, &c.old_id) || !alk_git_id_cut(&line, &c.new_id) ||
        c.old_id.n != c.new_id.n) {
        return ALK_E_MALFORMED;
    }
    c.ref = line;
    if (c.ref.n > ALK_GIT_REF_MAX) {
        return ALK_E_TOO_BIG;
    }
    bool is_delete = alk_git_command_is_delete(&c);
    if (!alk_git_ref_is_pushable(c.ref, is_delete) ||
        (is_delete && alk_git_command_is_create(&c))) {
        return ALK_E_MALFORMED;
    }
    *ret = c;
    return ALK_OK;
}
