/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a git that was killed has left in the repositories that this node serves. */
#include "doctor.h"

#include "alknet/conf.h"
#include "core/io/loop.h"

#include <errno.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#define STALE_MINUTES 60 /* no git moves refs for that long */
#define ENTRIES_MAX   1000000u
#define REPOS_MAX     8u /* that are named */

struct look {
    struct cli_doctor *d;
    char repo[PATH_MAX]; /* the one that is walked */
    char lock[PATH_MAX]; /* its first old one */
    int level;           /* of the repository; 0: outside of all */
    unsigned locks;      /* in it */
    unsigned repos;      /* that have some */
    bool is_partial;
};

/* Whether a shell reads it as one word in single quotes: whoever git was taken over by may
 * have made directories of any name. */
static bool is_quotable(const char *path)
{
    for (; *path != '\0'; path++) {
        if (*path == '\'' || (unsigned char)*path < ' ' || *path == 0x7f) {
            return false;
        }
    }
    return true;
}

static void leave_repo(struct look *l)
{
    if (l->locks > 0 && l->repos++ < REPOS_MAX) {
        char name[400];
        cli_safe(alk_span_str(l->lock), name, sizeof name);
        struct cli_finding *f =
            cli_found(l->d, CLI_WEAK, "git", "%u lock file%s older than an hour: %s", l->locks,
                      l->locks == 1 ? "," : "s, all", name);
        if (is_quotable(l->repo) && strlen(l->repo) < 400) {
            cli_repair(f,
                       "find '%s' -name '*.lock' -type f -mmin +%d -delete    # if ps has no git",
                       l->repo, STALE_MINUTES);
        }
    }
    l->level = 0;
    l->locks = 0;
}

/* Only in a repository is a name with this ending always a lock. */
static bool is_repo(const char *path)
{
    static const char *const marks[] = {"HEAD", "objects", "refs"};
    char file[PATH_MAX];
    for (size_t i = 0; i < 3; i++) {
        int n = snprintf(file, sizeof file, "%s/%s", path, marks[i]);
        if (n < 0 || (size_t)n >= sizeof file || access(file, F_OK) != 0) {
            return false;
        }
    }
    return true;
}

static bool is_old_lock(const FTSENT *e, uint64_t now)
{
    uint64_t age = (uint64_t)STALE_MINUTES * 60;
    return e->fts_info == FTS_F && alk_span_ends(alk_span_str(e->fts_name), ALK_LIT(".lock")) &&
           (uint64_t)e->fts_statp->st_mtime + age < now;
}

static void enter(struct look *l, FTS *fts, FTSENT *e)
{
    if (l->level == 0 && e->fts_level > 0 && is_repo(e->fts_path)) {
        (void)snprintf(l->repo, sizeof l->repo, "%s", e->fts_path);
        l->level = e->fts_level;
    } else if (l->level != 0 && e->fts_level == l->level + 1 &&
               strcmp(e->fts_name, "objects") == 0) {
        (void)fts_set(fts, e, FTS_SKIP); /* many, and no lock there keeps a push out */
    }
}

static void look_at(struct look *l, FTS *fts, FTSENT *e, uint64_t now)
{
    if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) {
        l->is_partial = true;
    } else if (e->fts_info == FTS_D) {
        enter(l, fts, e);
    } else if (l->level == 0) {
        return;
    } else if (e->fts_info == FTS_DP && e->fts_level == l->level) {
        leave_repo(l);
    } else if (is_old_lock(e, now)) {
        if (l->locks == 0) {
            (void)snprintf(l->lock, sizeof l->lock, "%s", e->fts_path);
        }
        l->locks++;
    }
}

static void walk(struct look *l, const char *root)
{
    char path[PATH_MAX];
    char *const paths[] = {path, NULL};
    uint64_t now = alk_clock_unix();
    unsigned entries = 0;
    FTSENT *e = NULL;
    int n = snprintf(path, sizeof path, "%s", root);
    FTS *fts = n < 0 || (size_t)n >= sizeof path
                   ? NULL
                   : fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    l->is_partial = fts == NULL;
    while (fts != NULL && entries++ < ENTRIES_MAX && (e = fts_read(fts)) != NULL) {
        look_at(l, fts, e, now);
    }
    l->is_partial = l->is_partial || e != NULL;
    leave_repo(l);
    if (fts != NULL) {
        (void)fts_close(fts);
    }
}

void cli_doctor_git(struct cli_doctor *d, const char *root)
{
    struct look l = {.d = d};
    if (access(root, F_OK) != 0) {
        (void)cli_found(d, CLI_WEAK, "git", "%s cannot be looked into: %s", root, strerror(errno));
        return;
    }
    walk(&l, root);
    if (l.repos > REPOS_MAX) {
        (void)cli_found(d, CLI_WEAK, "git", "%u more repositories have old lock files",
                        l.repos - REPOS_MAX);
    }
    if (l.is_partial) {
        (void)cli_found(d, CLI_WEAK, "git", "not all of %s could be looked at", root);
    } else if (l.repos == 0) {
        (void)cli_found(d, CLI_WELL, "git", "no push has left a lock file in %s", root);
    }
}
