/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Our hooks. What a hook prints on standard error the pusher reads as "remote: ...". */
#include "gitrun.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINES_BYTES_MAX ((size_t)64 << 20) /* of the refs of one push */

/* Also for the audit log, once the node knows of this push. */
static bool has_begun;

noreturn void gh_decline(const char *text)
{
    char message[1024];
    int n = snprintf(message, sizeof message, "declined %s", text);
    (void)fprintf(stderr, "%s\n", text);
    if (has_begun && n > 0) {
        gh_tell(alk_span(message, strlen(message)));
    }
    gh_exit(1);
}

/* All of standard input: a line per ref. */
static void read_lines(struct alk_buf *ret)
{
    alk_buf_init(ret, NULL, LINES_BYTES_MAX);
    alk_err err = gh_read_all(STDIN_FILENO, ret);
    if (err == ALK_E_TOO_BIG) {
        gh_die("too many refs in one push");
    }
    if (err != ALK_OK) {
        gh_die("standard input: %s", alk_err_text(err));
    }
}

/* --- the repository's own hooks --------------------------------------------------------- */

/* They are git's affair alone: nothing of ours is left to them. */
static void forget_node(void)
{
    static const char *const names[] = {"ALKNET_GIT_REPO",  "ALKNET_GIT_PROGRAM",
                                        "ALKNET_GIT_KEY",   "ALKNET_GIT_REQUIRE_SIGNED",
                                        "ALKNET_GIT_ALONE", "ALKNET_GIT_HOOKS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unsetenv(names[i]);
    }
    (void)close(3);
}

int gh_own_hook(const char *name, char **argv)
{
    char path[64];
    (void)snprintf(path, sizeof path, "hooks/%s", name);
    if (gh_env("ALKNET_GIT_HOOKS")[0] == '\0' || access(path, X_OK) != 0) {
        return 0;
    }
    forget_node();
    argv[0] = path;
    (void)execv(path, argv);
    gh_die("%s: %s", path, strerror(errno));
}

/* With the lines as its standard input once more. */
static int run_own(const char *name, struct alk_span lines)
{
    char word[64];
    char *argv[] = {word, NULL};
    (void)snprintf(word, sizeof word, "%s", name);
    if (dup2(gh_memory_file(lines), STDIN_FILENO) < 0) {
        gh_die("no memory");
    }
    return gh_own_hook(name, argv);
}

/* --- post-receive ----------------------------------------------------------------------- */

int gh_post_receive(void)
{
    struct alk_buf lines;
    (void)signal(SIGPIPE, SIG_IGN); /* the pusher may have gone; what happened has happened */
    read_lines(&lines);
    gh_tell(ALK_LIT("after"));
    gh_tell_refs(alk_buf_span(&lines));
    gh_tell(ALK_LIT("end"));
    gh_cert_keep();
    int rc = run_own("post-receive", alk_buf_span(&lines));
    alk_buf_fini(&lines);
    return rc;
}

/* --- pre-receive ---------------------------------------------------------------------------- */

int gh_pre_receive(void)
{
    struct alk_buf lines;
    char text[1024];
    const char *why;
    (void)signal(SIGPIPE, SIG_IGN);
    read_lines(&lines);
    if (!gh_ask(ALK_LIT("begin"), "go", text, sizeof text, &why)) {
        gh_decline(why);
    }
    has_begun = true;
    gh_cert_check(alk_buf_span(&lines));
    gh_tell_refs(alk_buf_span(&lines));
    if (!gh_ask(ALK_LIT("check"), "ok", text, sizeof text, &why)) {
        gh_decline(why);
    }
    gh_symref_check(alk_buf_span(&lines));
    gh_signed_check(alk_buf_span(&lines));
    int rc = run_own("pre-receive", alk_buf_span(&lines));
    alk_buf_fini(&lines);
    return rc;
}
