/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Symbolic refs. git would change what one points to, under a name that nobody was asked
 * about: a grant for refs/heads/dev/<star> would reach whatever an alias in there stands for.
 * Nobody can push one, so what is seen here still holds when git moves the refs. */
#include "gitrun.h"

#include "git/proto/refname.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A symbolic ref is never packed: it is a file, or a link. One that points to nothing, which
 * for-each-ref does not tell, is one too. */
static bool begins_ref(const char *path)
{
    char text[4];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return n < 0 || (n == (ssize_t)sizeof text && memcmp(text, "ref:", sizeof text) == 0);
}

/* Also when one of the directories on the way is a link. */
static bool is_symbolic_file(char *ref)
{
    struct stat st = {.st_mode = 0};
    for (char *end = strchr(ref, '/');; end = strchr(end + 1, '/')) {
        if (end != NULL) {
            *end = '\0';
        }
        int rc = fstatat(AT_FDCWD, ref, &st, AT_SYMLINK_NOFOLLOW);
        if (rc != 0 || S_ISLNK(st.st_mode)) {
            return rc == 0 || (errno != ENOENT && errno != ENOTDIR);
        }
        if (end == NULL) {
            return S_ISREG(st.st_mode) && begins_ref(ref);
        }
        *end = '/';
    }
}

/* In a store that only git can read. */
static bool is_symbolic_elsewhere(const char *ref)
{
    const char *const argv[] = {"git", "symbolic-ref", "--quiet", ref, NULL};
    struct alk_buf target;
    alk_buf_init(&target, NULL, (size_t)1 << 20);
    int status = gh_run(argv, (struct alk_span){0}, &target);
    alk_buf_fini(&target);
    return status != 1; /* 1: it is none [git-symbolic-ref]; what cannot be told may be one */
}

void gh_symref_check(struct alk_span lines)
{
    struct stat st;
    bool has_table = fstatat(AT_FDCWD, "reftable", &st, AT_SYMLINK_NOFOLLOW) == 0;
    while (lines.n > 0) {
        char ref[ALK_GIT_REF_MAX + 1], text[ALK_GIT_REF_MAX + 96];
        struct alk_git_command c;
        if (alk_git_command_parse(alk_span_cut(&lines, '\n'), &c) != ALK_OK ||
            !alk_span_cstr(c.ref, ref, sizeof ref)) {
            gh_die("what refs are these?");
        }
        if (has_table ? is_symbolic_elsewhere(ref) : is_symbolic_file(ref)) {
            (void)snprintf(text, sizeof text,
                           ALK_SPAN_FMT " is a symbolic ref here: push to what it points to",
                           ALK_SPAN_ARG(c.ref));
            gh_decline(text);
        }
    }
}
