/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/settings.h - the section services.git, and which rule a repository falls under.
 *
 * Immutable and counted: a request keeps those it began with. A repository belongs to the
 * first of `repositories` whose `match` fits its name (without ".git"); what that one does
 * not say, and where none fits, is what the section says itself.
 */
#ifndef ALK_GIT_SETTINGS_H
#define ALK_GIT_SETTINGS_H

#include "alknet/conf.h"
#include "base/err.h"
#include "base/span.h"

#define ALK_GIT_RULES_MAX 256

enum alk_git_signing { ALK_GIT_SIGNING_OFF, ALK_GIT_SIGNING_ALLOWED, ALK_GIT_SIGNING_REQUIRED };

struct alk_git_rule {
    struct alk_span match; /* glob over names; empty: the section itself */
    bool is_public;        /* anybody may read */
    bool is_read_only;     /* nobody may push */
    bool has_hooks;        /* the repository's own hooks run */
    enum alk_git_signing signing;
    const struct alk_conf *require_signed; /* ref patterns, a list */
};

struct alk_git_settings {
    const char *root, *git, *helper; /* helper "": beside the program */
    const char *branch;              /* HEAD of what is created */
    const struct alk_conf *alternates;
    const struct alk_conf *addresses; /* "host:port" of this node, a list */
    bool creates_on_push;
    uint64_t memory, max_pack;
    uint64_t cache_size; /* bytes; 0: none */
    alk_time cache_age;
    alk_time timeout, stall, request_timeout;
    unsigned instances_max;
    size_t rule_count;
    struct alk_git_rule section;
    const struct alk_git_rule *rules;
};

extern const struct alk_conf_row alk_git_rows[];

/* conf: the section, checked against alk_git_rows; a reference is kept. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_git_settings_new(const struct alk_mem *mem, const struct alk_conf *conf,
                                           const struct alk_git_settings **ret);
const struct alk_git_settings *alk_git_settings_ref(const struct alk_git_settings *s);
void alk_git_settings_unref(const struct alk_git_settings *s); /* NULL is allowed */

/* name: without ".git". Borrows from the settings. */
const struct alk_git_rule *alk_git_settings_rule(const struct alk_git_settings *s,
                                                 struct alk_span name);

#endif
