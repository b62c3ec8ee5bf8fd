/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Finding and making repositories. Names are resolved by the kernel, beneath the root,
 * without symbolic links; once the directory is the working directory everything is looked
 * at from there, so nobody can exchange it in between. */
#include "gitrun.h"

#include "core/store/file.h"
#include "core/store/tree_impl.h"
#include "git/repoconf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX     ((size_t)4096) /* bytes of objects/info/alternates */
#define LEFTOVER_AGE  3600           /* seconds */
#define TMP_NAME_SIZE 64

static struct alk_tree *open_root(const struct gh_options *o)
{
    struct alk_tree *tree;
    alk_err err = alk_tree_open(NULL, o->root, true, &tree);
    if (err != ALK_OK) {
        gh_die("the root %s: %s", o->root, alk_err_text(err));
    }
    return tree;
}

/* --- is it one? -------------------------------------------------------------------------- */

static bool is_there(const char *name, mode_t type)
{
    struct stat st;
    return fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == type;
}

static bool exists(const char *name)
{
    struct stat st;
    return fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* A regular file that is smaller than ret holds, read without following a link. */
static bool read_small(const char *name, struct alk_buf *ret)
{
    struct stat st;
    int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool is_good =
        fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && gh_read_all(fd, ret) == ALK_OK;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_good;
}

static bool is_allowed_alternate(const struct gh_options *o, struct alk_span line)
{
    char path[4096], real[4096];
    if (line.n == 0 || line.p[0] == '#') {
        return true;
    }
    if (!alk_span_cstr(line, path, sizeof path) || path[0] != '/' || realpath(path, real) == NULL) {
        return false;
    }
    for (size_t i = 0; i < o->alternate_count; i++) {
        char dir[4096];
        if (realpath(o->alternates[i], dir) == NULL) {
            continue;
        }
        size_t n = strlen(dir);
        if (strncmp(real, dir, n) == 0 && (real[n] == '/' || real[n] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool has_fit_alternates(const struct gh_options *o)
{
    static const char name[] = "objects/info/alternates";
    struct alk_buf text;
    if (!exists(name)) {
        return true;
    }
    alk_buf_init(&text, NULL, LINES_MAX + 1);
    bool is_good = read_small(name, &text);
    struct alk_span lines = alk_buf_span(&text);
    while (is_good && lines.n > 0) {
        is_good = is_allowed_alternate(o, alk_span_cut(&lines, '\n'));
    }
    alk_buf_fini(&text);
    return is_good;
}

static bool has_fit_config(char *why, size_t why_size)
{
    struct alk_buf text;
    alk_buf_init(&text, NULL, ALK_GIT_REPOCONF_MAX + 1);
    bool is_good = read_small("config", &text);
    if (!is_good) {
        (void)snprintf(why, why_size, "its config cannot be read");
    } else {
        is_good = alk_git_repoconf_check(alk_buf_span(&text), why, why_size) == ALK_OK;
    }
    alk_buf_fini(&text);
    return is_good;
}

/* The working directory: a bare repository, all of it here. git looks for .git in it first,
 * and follows gitdir, commondir and config.worktree elsewhere. */
static bool is_fit(const struct gh_options *o, char *why, size_t why_size)
{
    static const char *const elsewhere[] = {".git", "gitdir", "commondir", "config.worktree"};
    if (!is_there("HEAD", S_IFREG) || !is_there("objects", S_IFDIR) || !is_there("refs", S_IFDIR)) {
        (void)snprintf(why, why_size, "it is no bare repository");
        return false;
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        if (exists(elsewhere[i])) {
            (void)snprintf(why, why_size, "there is a %s in it", elsewhere[i]);
            return false;
        }
    }
    if (!has_fit_alternates(o)) {
        (void)snprintf(why, why_size, "its alternates are not among services.git.alternates");
        return false;
    }
    return has_fit_config(why, why_size);
}

static bool is_no_folder(const char *name)
{
    return exists(name) && !is_there(name, S_IFDIR);
}

/* The working directory holds repositories of others. Who may make those needs no right to
 * its own name, so only what he cannot put there counts: files, and names with a dot. */
static bool is_folder(void)
{
    return !is_no_folder("HEAD") && !is_no_folder("config") && !exists(".git");
}

/* Makes the directory the working directory. False: there is none, or no repository. */
static bool enter_one(struct alk_tree *root, const char *dir)
{
    int fd = -1;
    if (alk_tree_at(root, alk_span_str(dir), O_RDONLY | O_DIRECTORY, &fd) != ALK_OK) {
        return false;
    }
    if (fchdir(fd) != 0) {
        gh_die("%s: %s", dir, strerror(errno));
    }
    (void)close(fd);
    return !is_folder();
}

enum gh_found gh_repo_enter(const struct gh_options *o, struct alk_span path, bool has_suffix)
{
    struct alk_git_repopath p;
    char dir[ALK_GIT_REPO_DIR_SIZE], why[256] = "";
    bool is_found = false;
    if (alk_git_repopath_parse(path, &p) != ALK_OK) {
        return GH_MISSING;
    }
    p.has_suffix = has_suffix;
    struct alk_tree *root = open_root(o);
    for (unsigned i = 0; !is_found && alk_git_repopath_dir(&p, i, dir); i++) {
        is_found = enter_one(root, dir);
    }
    alk_tree_unref(root);
    if (!is_found) {
        return GH_MISSING;
    }
    if (!is_fit(o, why, sizeof why)) {
        (void)fprintf(stderr, "%s is not served: %s\n", dir, why);
        return GH_UNFIT;
    }
    return GH_FOUND;
}

/* --- making one -------------------------------------------------------------------------- */

/* Is there a repository? A directory of the name HEAD may be a folder of others. */
static alk_err look_for_head(struct alk_tree *root, struct alk_span dir)
{
    char head[ALK_GIT_REPO_DIR_SIZE + 8];
    struct alk_tree_stat st;
    int n = snprintf(head, sizeof head, ALK_SPAN_FMT "/HEAD", ALK_SPAN_ARG(dir));
    if (n < 0 || (size_t)n >= sizeof head) {
        return ALK_E_TOO_BIG;
    }
    ALK_TRY(alk_tree_stat(root, alk_span(head, (size_t)n), &st));
    return st.type == ALK_TREE_DIR ? ALK_E_NOENT : ALK_OK;
}

/* The directories above it; none of them may be a repository itself. */
static alk_err make_parents(struct alk_tree *root, struct alk_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != '/') {
            continue;
        }
        alk_err err = alk_tree_mkdir(root, alk_span_head(name, i));
        if (err != ALK_OK && err != ALK_E_EXISTS) {
            return err;
        }
        if (look_for_head(root, alk_span_head(name, i)) != ALK_E_NOENT) {
            return ALK_E_FORBIDDEN;
        }
    }
    return ALK_OK;
}

/* A name that nobody can ask for. */
static alk_err make_tmp_name(char ret[static TMP_NAME_SIZE])
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        return ALK_E_IO;
    }
    (void)snprintf(ret, TMP_NAME_SIZE, ALK_TREE_TMP "%016llx", (unsigned long long)number);
    return ALK_OK;
}

/* Runs a program in that directory; what it says is for the log. False: it failed. */
static bool run_in(int dir, const char *program, const char *const *argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (fchdir(dir) == 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) {
            (void)execv(program, (char *const *)(uintptr_t)argv);
        }
        _exit(127);
    }
    return pid > 0 && gh_wait(pid) == 0;
}

static bool init_in(const struct gh_options *o, int dir)
{
    char branch[300];
    const char *const argv[] = {"git",         "init", "--quiet", "--bare",
                                "--template=", branch, ".",       NULL};
    int n = snprintf(branch, sizeof branch, "--initial-branch=%s", o->branch);
    return n >= 0 && (size_t)n < sizeof branch && run_in(dir, o->git, argv);
}

static void remove_leftovers(int parent, const char *name)
{
    const char *const argv[] = {"rm", "-rf", "--", name, NULL};
    (void)run_in(parent, "/bin/rm", argv);
}

/* What a create or delete that was killed has left in this directory. One that is at work
 * loses nothing: what it makes is newer, and what it takes away it would remove itself. */
static void remove_old(int parent)
{
    DIR *d = gh_open_dir(parent, ".");
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        struct stat st;
        if (alk_tree_is_tmp(alk_span_str(e->d_name)) &&
            fstatat(parent, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
            time(NULL) - st.st_mtime > LEFTOVER_AGE) {
            remove_leftovers(parent, e->d_name);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static alk_err init_beside(const struct gh_options *o, int parent, const char *name)
{
    char tmp[TMP_NAME_SIZE];
    ALK_TRY(make_tmp_name(tmp));
    if (mkdirat(parent, tmp, 0755) != 0) {
        return alk_file_err(errno);
    }
    int dir = openat(parent, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    alk_err err = dir >= 0 && init_in(o, dir) ? ALK_OK : ALK_E_IO;
    if (dir >= 0) {
        (void)fsync(dir);
        (void)close(dir);
    }
    if (err == ALK_OK && renameat2(parent, tmp, parent, name, RENAME_NOREPLACE) != 0) {
        err = errno == EEXIST ? ALK_E_EXISTS : alk_file_err(errno);
    }
    if (err == ALK_OK) {
        (void)fsync(parent); /* a file system that cannot keeps names some other way */
    } else {
        remove_leftovers(parent, tmp);
    }
    return err;
}

static void close_both(int a, int b)
{
    if (a >= 0) {
        (void)close(a);
    }
    if (b >= 0) {
        (void)close(b);
    }
}

alk_err gh_repo_create(const struct gh_options *o, struct alk_span path)
{
    struct alk_git_repopath p;
    char dir[ALK_GIT_REPO_DIR_SIZE], last[ALK_TREE_NAME_MAX + 1];
    int parent = -1, opened = -1;
    ALK_TRY(alk_git_repopath_parse(path, &p));
    (void)snprintf(dir, sizeof dir, "%s.git", p.name);
    struct alk_tree *root = open_root(o);
    alk_err err = make_parents(root, alk_span_str(dir));
    if (err == ALK_OK) {
        err = alk_tree_parent(root, alk_span_str(dir), &parent, last);
    }
    if (err == ALK_OK) { /* O_PATH will not do for mkdirat's fsync and fchdir's reader */
        opened = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        err = opened < 0 ? alk_file_err(errno) : init_beside(o, opened, last);
    }
    if (opened >= 0) {
        remove_old(opened);
    }
    close_both(opened, parent);
    alk_tree_unref(root);
    return err;
}

/* --- taking one away --------------------------------------------------------------------- */

alk_err gh_repo_delete(const struct gh_options *o, struct alk_span path)
{
    struct alk_git_repopath p;
    char dir[ALK_GIT_REPO_DIR_SIZE], last[ALK_TREE_NAME_MAX + 1], tmp[TMP_NAME_SIZE];
    int parent = -1, opened = -1;
    ALK_TRY(alk_git_repopath_parse(path, &p));
    ALK_TRY(make_tmp_name(tmp));
    struct alk_tree *root = open_root(o);
    alk_err err = ALK_E_NOENT;
    for (unsigned i = 0; err == ALK_E_NOENT && alk_git_repopath_dir(&p, i, dir); i++) {
        err = look_for_head(root, alk_span_str(dir));
    }
    if (err == ALK_OK) {
        err = alk_tree_parent(root, alk_span_str(dir), &parent, last);
    }
    if (err == ALK_OK) {
        opened = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        err =
            opened >= 0 && renameat(opened, last, opened, tmp) == 0 ? ALK_OK : alk_file_err(errno);
    }
    if (err == ALK_OK) {
        remove_leftovers(opened, tmp);
        remove_old(opened);
    }
    close_both(opened, parent);
    alk_tree_unref(root);
    return err;
}
