/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* require_signed: every commit that a push makes reachable from a protected ref is signed
 * with an SSH key of somebody known.
 *
 * New is what neither this ref nor another protected one reached before. What other refs
 * reach does not count as seen: else a commit would get in by way of an open branch. */
#include "gitrun.h"

#include "core/auth/fingerprint.h"
#include "git/proto/commit.h"
#include "git/proto/refname.h"
#include "git/sshsig_verify.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMITS_MAX 20000 /* new ones of one push */
#define OBJECTS_MAX ((size_t)256 << 20)
#define REFS_MAX    ((size_t)64 << 20)
#define KEYS_MAX    64

struct policy {
    struct alk_span patterns[ALK_GIT_LIST_MAX];
    size_t count;
    struct alk_buf revisions; /* standard input of rev-list */
    bool has_work;
    char known[KEYS_MAX][ALK_FINGERPRINT_MAX]; /* keys that the node has said yes to */
    size_t known_count;
};

static void read_patterns(struct policy *p)
{
    const char *text = getenv("ALKNET_GIT_REQUIRE_SIGNED");
    struct alk_span rest = alk_span_str(text == NULL ? "" : text);
    while (rest.n > 0 && p->count < ALK_GIT_LIST_MAX) {
        p->patterns[p->count++] = alk_span_cut(&rest, ' ');
    }
    if (rest.n > 0) {
        gh_die("too many patterns");
    }
}

static bool is_protected(const struct policy *p, struct alk_span ref)
{
    return alk_git_ref_matches_any(p->patterns, p->count, ref);
}

/* --- which commits -------------------------------------------------------------------- */

static void add_pushed(struct policy *p, struct alk_span lines)
{
    while (lines.n > 0) {
        struct alk_git_command c;
        if (alk_git_command_parse(alk_span_cut(&lines, '\n'), &c) != ALK_OK) {
            gh_die("what refs are these?");
        }
        if (is_protected(p, c.ref) && !alk_git_command_is_delete(&c)) {
            p->has_work = true;
            (void)alk_buf_printf(&p->revisions, ALK_SPAN_FMT "\n", ALK_SPAN_ARG(c.new_id));
        }
    }
}

static void add_old(struct policy *p)
{
    static const char *const argv[] = {"git", "for-each-ref", "--format=%(objectname) %(refname)",
                                       NULL};
    struct alk_buf refs;
    alk_buf_init(&refs, NULL, REFS_MAX);
    if (!gh_capture(argv, (struct alk_span){0}, &refs)) {
        gh_die("the refs cannot be read");
    }
    for (struct alk_span rest = alk_buf_span(&refs); rest.n > 0;) {
        struct alk_span line = alk_span_cut(&rest, '\n'), id;
        if (alk_git_id_cut(&line, &id) && is_protected(p, line)) {
            (void)alk_buf_printf(&p->revisions, "^" ALK_SPAN_FMT "\n", ALK_SPAN_ARG(id));
        }
    }
    alk_buf_fini(&refs);
}

static void list_commits(struct policy *p, struct alk_buf *ret)
{
    char limit[40];
    const char *const argv[] = {"git", "rev-list", limit, "--stdin", NULL};
    (void)snprintf(limit, sizeof limit, "--max-count=%d", COMMITS_MAX + 1);
    alk_buf_init(ret, NULL, (COMMITS_MAX + 2) * 65 + 65536);
    if (p->revisions.err != ALK_OK || !gh_capture(argv, alk_buf_span(&p->revisions), ret)) {
        gh_decline("the new commits cannot be listed");
    }
    size_t count = 0;
    for (struct alk_span rest = alk_buf_span(ret); rest.n > 0; count++) {
        (void)alk_span_cut(&rest, '\n');
    }
    if (count > COMMITS_MAX) {
        gh_decline("too many new commits at once for refs whose commits must be signed");
    }
}

/* --- are they signed? ------------------------------------------------------------------- */

static void decline_commit(struct alk_span id, const char *what)
{
    char text[256];
    (void)snprintf(text, sizeof text, "commit " ALK_SPAN_FMT " %s",
                   ALK_SPAN_ARG(alk_span_head(id, 12)), what);
    gh_decline(text);
}

static bool is_known(struct policy *p, const struct alk_key_names *names)
{
    struct alk_buf message;
    char answer[1024];
    for (size_t i = 0; i < p->known_count; i++) {
        if (strcmp(p->known[i], names->name[0]) == 0) {
            return true;
        }
    }
    alk_buf_init(&message, NULL, 2048);
    gh_put_names(&message, "author", names);
    bool is_yes = gh_ask(alk_buf_span(&message), "ok", answer, sizeof answer, NULL);
    alk_buf_fini(&message);
    if (is_yes && p->known_count < KEYS_MAX) {
        (void)snprintf(p->known[p->known_count++], ALK_FINGERPRINT_MAX, "%s", names->name[0]);
    }
    return is_yes;
}

static void check_commit(struct policy *p, struct alk_span id, struct alk_span object)
{
    struct alk_git_signed s;
    struct alk_key_names names = {.count = 0};
    struct alk_buf armor;
    alk_err err = alk_git_commit_split(object, id.n, &s);
    if (err != ALK_OK) {
        decline_commit(id, err == ALK_END ? "is not signed" : "cannot be understood");
    }
    alk_buf_init(&armor, NULL, 65536);
    err = alk_git_signed_armor(&s, &armor);
    if (err == ALK_OK) {
        err = alk_git_sshsig_check(NULL, alk_buf_span(&armor), s.parts, s.part_count, &names);
    }
    alk_buf_fini(&armor);
    if (err != ALK_OK) {
        decline_commit(id, "has no good signature of an SSH key");
    }
    if (!is_known(p, &names)) {
        decline_commit(id, "was signed with a key that nobody known here has");
    }
}

/* "<id> commit <size>" LF, the object, LF. */
static void check_objects(struct policy *p, struct alk_span all)
{
    while (all.n > 0) {
        struct alk_span head = alk_span_cut(&all, '\n');
        struct alk_span id = alk_span_cut(&head, ' ');
        struct alk_span type = alk_span_cut(&head, ' ');
        uint64_t size = 0;
        if (!alk_git_id_is_valid(id) || !alk_span_is(type, "commit") ||
            !alk_span_u64(head, OBJECTS_MAX, &size) || size >= all.n) {
            gh_decline("the new commits cannot be read");
        }
        check_commit(p, id, alk_span_head(all, (size_t)size));
        all = alk_span_tail(all, (size_t)size + 1);
    }
}

void gh_signed_check(struct alk_span lines)
{
    static const char *const argv[] = {"git", "cat-file", "--batch", NULL};
    struct policy p = {.count = 0};
    struct alk_buf ids, objects;
    read_patterns(&p);
    alk_buf_init(&p.revisions, NULL, REFS_MAX);
    add_pushed(&p, lines);
    if (p.has_work) {
        add_old(&p);
        list_commits(&p, &ids);
        alk_buf_init(&objects, NULL, OBJECTS_MAX);
        if (!gh_capture(argv, alk_buf_span(&ids), &objects)) {
            gh_decline("the new commits cannot be read");
        }
        check_objects(&p, alk_buf_span(&objects));
        alk_buf_fini(&objects);
        alk_buf_fini(&ids);
    }
    alk_buf_fini(&p.revisions);
}
