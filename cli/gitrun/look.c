/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the operations git/... need of the disk (src/git/ops.c): one subcommand each, run as
 * host_user. Results are zero-terminated words on standard output. */
#include "gitrun.h"

#include "base/mem.h"
#include "git/proto/refname.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HIDDEN_MAX ((size_t)1 << 20)   /* bytes of a repository's hideRefs */
#define REFS_MAX   ((size_t)256 << 20) /* of all its refs, where some are hidden */

/* --- list ------------------------------------------------------------------------------ */

struct names {
    char **list;
    size_t count, size;
};

static void add_name(struct names *n, const char *name)
{
    if (n->count == GH_REPOS_MAX) {
        gh_die("more than %d repositories", GH_REPOS_MAX);
    }
    if (n->count == n->size) {
        n->size = n->size == 0 ? 64 : n->size * 2;
        n->list = alk_resize(NULL, n->list, n->size * sizeof *n->list);
    }
    char *copy = n->list == NULL ? NULL : alk_strdup_span(NULL, alk_span_str(name));
    if (copy == NULL) {
        gh_die("out of memory");
    }
    n->list[n->count++] = copy;
}

static bool is_entry(int dir, const char *name, const char *entry, mode_t type)
{
    char path[NAME_MAX + 32];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", name, entry);
    return n > 0 && (size_t)n < sizeof path && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (st.st_mode & S_IFMT) == type;
}

static void walk(int dir, const char *above, unsigned depth, struct names *names);

/* A repository, or a directory of them. */
static void look_at(int dir, const char *name, const char *above, unsigned depth,
                    struct names *names)
{
    char path[ALK_GIT_REPO_DIR_SIZE + 1];
    struct alk_git_repopath p;
    int n = snprintf(path, sizeof path, "%s%s%s", above, above[0] == '\0' ? "" : "/", name);
    if (n < 0 || (size_t)n >= sizeof path ||
        alk_git_repopath_parse(alk_span(path, (size_t)n), &p) != ALK_OK) {
        return; /* nobody could ask for it */
    }
    if (is_entry(dir, name, "HEAD", S_IFREG) && is_entry(dir, name, "objects", S_IFDIR)) {
        add_name(names, p.name);
        return;
    }
    int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub >= 0 && depth + 1 < ALK_GIT_REPO_DEPTH_MAX) {
        walk(sub, path, depth + 1, names);
    } else if (sub >= 0) {
        (void)close(sub);
    }
}

/* Takes dir. */
static void walk(int dir, const char *above, unsigned depth, struct names *names)
{
    DIR *d = fdopendir(dir);
    const struct dirent *e;
    if (d == NULL) {
        gh_die("%s: %s", above, strerror(errno));
    }
    errno = 0;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') {
            look_at(dirfd(d), e->d_name, above, depth, names);
        }
        errno = 0;
    }
    if (errno != 0) { /* half a list would pass for a whole one */
        gh_die("%s: %s", above, strerror(errno));
    }
    (void)closedir(d);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int gh_list(const struct gh_options *o)
{
    struct names names = {.count = 0};
    int dir = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        gh_die("%s: %s", o->root, strerror(errno));
    }
    walk(dir, "", 0, &names);
    if (names.count > 0) {
        qsort(names.list, names.count, sizeof *names.list, compare);
    }
    for (size_t i = 0; i < names.count; i++) {
        /* `a` and `a.git` have one name, and the first is what a request gets. */
        if (i == 0 || strcmp(names.list[i], names.list[i - 1]) != 0) {
            (void)fwrite(names.list[i], 1, strlen(names.list[i]) + 1, stdout);
        }
    }
    return 0;
}

/* --- create, delete ----------------------------------------------------------------------- */

int gh_create(const struct gh_options *o)
{
    struct alk_span path = alk_span_str(o->repo);
    gh_env_base(o);
    if (gh_repo_enter(o, path, false) != GH_MISSING) {
        return ALK_GIT_STATUS_EXISTS;
    }
    alk_err err = gh_repo_create(o, path);
    if (err == ALK_E_EXISTS) {
        return ALK_GIT_STATUS_EXISTS;
    }
    if (err != ALK_OK) {
        gh_die("%s: %s", o->repo, alk_err_text(err));
    }
    return 0;
}

int gh_delete(const struct gh_options *o)
{
    alk_err err = gh_repo_delete(o, alk_span_str(o->repo));
    if (err == ALK_E_NOENT) {
        return ALK_GIT_STATUS_MISSING;
    }
    if (err != ALK_OK) {
        gh_die("%s: %s", o->repo, alk_err_text(err));
    }
    return 0;
}

/* --- refs, log ----------------------------------------------------------------------------- */

static noreturn void become(const struct gh_options *o, const char *const *argv)
{
    (void)execv(o->git, (char *const *)(uintptr_t)argv);
    gh_die("cannot run %s: %s", o->git, strerror(errno));
}

static bool enter(const struct gh_options *o)
{
    gh_env_base(o);
    if (gh_repo_enter(o, alk_span_str(o->repo), false) != GH_FOUND) {
        return false;
    }
    static const char *const caches[2] = {NULL, NULL};
    gh_confine(o, false, caches);
    if (setenv("GIT_DIR", ".", 1) != 0 || setenv("ALKNET_GIT_PROGRAM", o->git, 1) != 0) {
        gh_die("out of memory");
    }
    return true;
}

/* The rules of alk_git_ref_is_hidden. */
static void read_hidden(struct alk_buf *ret)
{
    const char *const argv[] = {
        "git", "config", "-z", "--get-regexp", "^(transfer|uploadpack)\\.hiderefs$", NULL};
    struct alk_buf lines;
    alk_buf_init(&lines, NULL, HIDDEN_MAX);
    alk_buf_init(ret, NULL, HIDDEN_MAX);
    int status = gh_run(argv, (struct alk_span){0}, &lines);
    bool is_good = status == 0 || status == 1; /* 1: there are none [git-config] */
    struct alk_span rest = alk_buf_span(&lines);
    while (rest.n > 0) { /* name LF value NUL; without LF there is no value, which git refuses */
        struct alk_span value = alk_span_cut(&rest, 0);
        is_good = is_good && alk_span_find(value, '\n') < value.n;
        (void)alk_span_cut(&value, '\n');
        (void)alk_buf_put(ret, value);
        (void)alk_buf_put_u8(ret, 0);
    }
    if (!is_good || ret->err != ALK_OK) {
        gh_die("the repository's hideRefs cannot be read");
    }
    alk_buf_fini(&lines);
}

/* Prints what is to be seen of `refs`, at most `limit` of them; git ends each with LF. */
static void print_shown(struct alk_span refs, struct alk_span hidden, uint64_t limit)
{
    while (refs.n > 0 && limit > 0) {
        size_t n = alk_span_find(refs, '\n'); /* no name holds one */
        struct alk_span line = alk_span_head(refs, n), name = line;
        refs = alk_span_tail(refs, n + 1);
        name = alk_span_cut(&name, 0);
        if (!alk_git_ref_is_hidden(hidden, name)) {
            (void)fwrite(line.p, 1, line.n, stdout);
            limit--;
        }
    }
}

/* Three words each: name, id, and the id of what an annotated tag is of, or "". */
int gh_refs(const struct gh_options *o)
{
    char count[40] = "--count=0"; /* all */
    const char *argv[] = {"git",
                          "for-each-ref",
                          count,
                          "--format=%(refname)%00%(objectname)%00%(*objectname)%00",
                          o->ref != NULL ? o->ref : "refs/",
                          NULL};
    struct alk_buf hidden, refs;
    if (!enter(o)) {
        return ALK_GIT_STATUS_MISSING;
    }
    read_hidden(&hidden);
    if (alk_buf_len(&hidden) == 0) {
        (void)snprintf(count, sizeof count, "--count=%llu", (unsigned long long)o->limit);
        become(o, argv);
    }
    alk_buf_init(&refs, NULL, REFS_MAX);
    if (!gh_capture(argv, (struct alk_span){0}, &refs)) {
        gh_die("the refs cannot be read");
    }
    print_shown(alk_buf_span(&refs), alk_buf_span(&hidden), o->limit);
    alk_buf_fini(&refs);
    alk_buf_fini(&hidden);
    return 0;
}

static bool is_hidden(const char *ref)
{
    struct alk_buf hidden;
    read_hidden(&hidden);
    bool is_it = alk_git_ref_is_hidden(alk_buf_span(&hidden), alk_span_str(ref));
    alk_buf_fini(&hidden);
    return is_it;
}

static bool has_commit(const char *ref)
{
    const char *const argv[] = {"git", "cat-file", "commit", ref, NULL};
    struct alk_buf object;
    alk_buf_init(&object, NULL, (size_t)16 << 20);
    bool is_there = gh_capture(argv, (struct alk_span){0}, &object);
    alk_buf_fini(&object);
    return is_there;
}

/* Six words each: id, parents, author, mail, seconds, subject. */
int gh_log(const struct gh_options *o)
{
    char count[40], skip[40];
    const char *from = o->ref != NULL ? o->ref : "HEAD";
    const char *argv[] = {"git",
                          "log",
                          "-z",
                          count,
                          skip,
                          "--no-show-signature",
                          "--no-mailmap",
                          "--no-color",
                          "--no-decorate",
                          "--no-notes",
                          "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%s",
                          "--end-of-options",
                          from,
                          "--",
                          NULL};
    if (!enter(o)) {
        return ALK_GIT_STATUS_MISSING;
    }
    if (is_hidden(from)) {
        return ALK_GIT_STATUS_MISSING;
    }
    if (!has_commit(from)) { /* an empty repository has no HEAD, and no commits */
        return strcmp(from, "HEAD") == 0 ? 0 : ALK_GIT_STATUS_MISSING;
    }
    (void)snprintf(count, sizeof count, "--max-count=%llu", (unsigned long long)o->limit);
    (void)snprintf(skip, sizeof skip, "--skip=%llu", (unsigned long long)o->skip);
    become(o, argv);
}
