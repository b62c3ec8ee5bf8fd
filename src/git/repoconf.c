/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/repoconf.h"

#include <stdio.h>

#define NAME_MAX_BYTES 96 /* "section.key" in lower case; what is longer is not known */
#define VALUE_MAX      64 /* of those whose value matters */

/* --- what is let pass ------------------------------------------------------------------ */

/* "section.key"; "section.*": every key of it. Subsections do not count. */
static const char *const passed[] = {
    "core.repositoryformatversion",
    "core.filemode",
    "core.bare",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.protecthfs",
    "core.protectntfs",
    "core.symlinks",
    "core.logallrefupdates",
    "core.sharedrepository",
    "core.compression",
    "core.loosecompression",
    "core.bigfilethreshold",
    "core.deltabasecachelimit",
    "core.packedgitlimit",
    "core.packedgitwindowsize",
    "core.packedrefstimeout",
    "core.filesreflocktimeout",
    "core.fsync",
    "core.fsyncmethod",
    "core.fsyncobjectfiles",
    "core.commitgraph",
    "core.multipackindex",
    "core.warnambiguousrefs",
    "core.maxtreedepth",
    "extensions.objectformat",
    "extensions.compatobjectformat",
    "extensions.refstorage",
    "extensions.noop",
    "extensions.preciousobjects",
    "receive.*",
    "uploadpack.allowfilter",
    "uploadpack.allowtipsha1inwant",
    "uploadpack.allowreachablesha1inwant",
    "uploadpack.allowanysha1inwant",
    "uploadpack.allowrefinwant",
    "uploadpack.hiderefs",
    "uploadpack.keepalive",
    "uploadpackfilter.*",
    "uploadarchive.allowunreachable",
    "transfer.*",
    "lsrefs.unborn",
    "pack.*",
    "repack.*",
    "fetch.*",
    "fsck.*",
    "gc.auto",
    "gc.autopacklimit",
    "gc.bigpackthreshold",
    "gc.pruneexpire",
    "gc.reflogexpire",
    "gc.reflogexpireunreachable",
    "gc.cruftpacks",
    "gc.writecommitgraph",
    "gc.packrefs",
    "maintenance.*",
    "commitgraph.*",
    "index.*",
    "user.*",
    "http.receivepack",
    "http.uploadpack",
    "gitweb.*",
    "cgit.*",
    "branch.*",
    "init.defaultbranch",
    "remote.url",
    "remote.pushurl",
    "remote.fetch",
    "remote.push",
    "remote.mirror",
    "remote.tagopt",
    "remote.prune",
};

static bool is_passed(struct alk_span name)
{
    size_t dot = alk_span_find(name, '.');
    if (alk_span_ends(name, ALK_LIT(".skiplist"))) {
        return false; /* of fsck.* and receive.fsck.*: the name of a file, whose lines git tells */
    }
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        struct alk_span p = alk_span_str(passed[i]);
        bool is_all = alk_span_ends(p, ALK_LIT(".*"));
        if (is_all ? alk_span_equal(alk_span_head(name, dot + 1), alk_span_head(p, p.n - 1))
                   : alk_span_equal(name, p)) {
            return true;
        }
    }
    return false;
}

/* --- reading, as config.c of git does ------------------------------------------------------ */

struct reader {
    struct alk_span in;
    char name[NAME_MAX_BYTES]; /* section, '.', key */
    size_t section_n, name_n;
    char value[VALUE_MAX];
    size_t value_n;
    bool is_long; /* the value did not fit */
    bool has_sub; /* the section has a subsection */
};

/* -1: the end. A CR before a LF is not there. */
static int next_byte(struct reader *r)
{
    if (r->in.n >= 2 && r->in.p[0] == '\r' && r->in.p[1] == '\n') {
        r->in = alk_span_tail(r->in, 1);
    }
    if (r->in.n == 0) {
        return -1;
    }
    int c = r->in.p[0];
    r->in = alk_span_tail(r->in, 1);
    return c;
}

static bool is_name_byte(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static bool add_name(struct reader *r, int c)
{
    if (r->name_n + 1 >= sizeof r->name) {
        return false;
    }
    r->name[r->name_n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return true;
}

/* Behind the name of a section: "anything" ] */
static bool skip_subsection(struct reader *r)
{
    int c;
    do {
        c = next_byte(r);
    } while (c == ' ' || c == '\t');
    if (c != '"') {
        return false;
    }
    while ((c = next_byte(r)) != '"') {
        if (c == '\\') {
            c = next_byte(r);
        }
        if (c < 0 || c == '\n' || c == 0) {
            return false;
        }
    }
    return next_byte(r) == ']';
}

static bool end_section(struct reader *r)
{
    bool has_name = r->name_n > 0 && add_name(r, '.');
    r->section_n = r->name_n;
    return has_name;
}

/* [section], [section "sub"], [section.sub] */
static bool read_section(struct reader *r)
{
    bool is_sub = false;
    int c;
    r->name_n = 0;
    while ((c = next_byte(r)) != ']') {
        if (c == ' ' || c == '\t') {
            r->has_sub = true;
            return end_section(r) && skip_subsection(r);
        }
        if (c != '.' && !is_name_byte(c)) {
            return false;
        }
        is_sub = is_sub || c == '.';
        if (!is_sub && !add_name(r, c)) {
            return false;
        }
    }
    r->has_sub = is_sub;
    return end_section(r);
}

static void add_value(struct reader *r, int c)
{
    if (r->value_n < sizeof r->value) {
        r->value[r->value_n++] = (char)c;
    } else {
        r->is_long = true;
    }
}

static bool skip_comment(struct reader *r)
{
    int c;
    do {
        c = next_byte(r);
        if (c == 0) {
            return false;
        }
    } while (c >= 0 && c != '\n');
    return true;
}

/* Up to the end of its line, lines that are continued included. */
static bool read_value(struct reader *r)
{
    bool is_quoted = false;
    for (;;) {
        int c = next_byte(r);
        if (c < 0 || c == '\n') {
            return !is_quoted;
        }
        if (c == 0) {
            return false;
        }
        if (!is_quoted && (c == '#' || c == ';')) {
            return skip_comment(r);
        }
        if (c == '"') {
            is_quoted = !is_quoted;
        } else if (c == '\\') {
            c = next_byte(r);
            if (c == '\n') {
                continue;
            }
            if (c < 0 || c == 0 || strchr("tbn\\\"", c) == NULL) {
                return false;
            }
            add_value(r, c);
        } else {
            add_value(r, c);
        }
    }
}

/* key [= value] */
static bool read_setting(struct reader *r, int c)
{
    r->name_n = r->section_n;
    r->value_n = 0;
    r->is_long = false;
    while (is_name_byte(c)) {
        if (!add_name(r, c)) {
            return false;
        }
        c = next_byte(r);
    }
    while (c == ' ' || c == '\t') {
        c = next_byte(r);
    }
    if (c < 0 || c == '\n') {
        add_value(r, '1'); /* a key alone is true */
        return true;
    }
    return c == '=' && read_value(r);
}

/* --- judging ---------------------------------------------------------------------------------- */

static alk_err refuse(char *why, size_t why_size, alk_err err, const char *what)
{
    (void)snprintf(why, why_size, "%s", what);
    return err;
}

static alk_err refuse_setting(char *why, size_t why_size, const struct reader *r)
{
    (void)snprintf(why, why_size, "its config must not set %.*s", (int)r->name_n, r->name);
    return ALK_E_FORBIDDEN;
}

static struct alk_span value_of(const struct reader *r)
{
    return alk_span_trim(alk_span(r->value, r->value_n));
}

static bool is_true(struct alk_span v)
{
    return alk_span_equal_nocase(v, ALK_LIT("true")) || alk_span_equal_nocase(v, ALK_LIT("yes")) ||
           alk_span_equal_nocase(v, ALK_LIT("on")) || alk_span_is(v, "1");
}

/* One line, beginning with c; false: it cannot be read. */
static bool read_line(struct reader *r, int c, bool *ret_is_setting)
{
    if (c == '#' || c == ';') {
        return skip_comment(r);
    }
    if (c == '[') {
        return read_section(r);
    }
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    *ret_is_setting = true;
    return is_letter && r->section_n > 0 && read_setting(r, c);
}

alk_err alk_git_repoconf_check(struct alk_span text, char *why, size_t why_size)
{
    struct reader r = {.in = text};
    bool is_bare = false;
    if (text.n > ALK_GIT_REPOCONF_MAX) {
        return refuse(why, why_size, ALK_E_FORBIDDEN, "its config is too long");
    }
    for (int c; (c = next_byte(&r)) >= 0;) {
        bool is_setting = false;
        if (c == '\n' || c == ' ' || c == '\t') {
            continue;
        }
        if (!read_line(&r, c, &is_setting)) {
            return refuse(why, why_size, ALK_E_MALFORMED, "its config cannot be read");
        }
        struct alk_span name = alk_span(r.name, r.name_n);
        if (is_setting && !is_passed(name)) {
            return refuse_setting(why, why_size, &r);
        }
        if (is_setting && !r.has_sub && alk_span_is(name, "core.bare")) {
            is_bare = !r.is_long && is_true(value_of(&r));
        }
    }
    return is_bare ? ALK_OK : refuse(why, why_size, ALK_E_FORBIDDEN, "it is not bare");
}
