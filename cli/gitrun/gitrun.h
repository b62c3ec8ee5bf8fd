/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/gitrun/gitrun.h - alknet-git: the program between the node and git.
 *
 *     node --spawner--> alknet-git serve --exec--> git receive-pack
 *                                                     `--> alknet-git, as pre-receive ...
 *
 * `serve` finds the repository beneath the root, looks whether it may be served, shuts
 * itself in (no new privileges, system calls, files, memory) and becomes git. As a hook it
 * looks into the repository and asks the node on descriptor 3 (src/git/push.c). All of it
 * runs as host_user, one process per request, and ends with it.
 */
#ifndef ALK_CLI_GITRUN_GITRUN_H
#define ALK_CLI_GITRUN_GITRUN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "git/helper.h"
#include "git/proto/repopath.h"
#include "git/proto/request.h"

#include <dirent.h>
#include <stdnoreturn.h>
#include <sys/types.h>

/* The options of `serve` and of the operations. Texts borrow from argv; NULL: not given. */
struct gh_options {
    const char *root, *git, *branch, *denied, *key;
    const char *service, *repo, *signed_push;
    const char *alternates[ALK_GIT_LIST_MAX], *require_signed[ALK_GIT_LIST_MAX],
        *addresses[ALK_GIT_LIST_MAX];
    size_t alternate_count, require_count, address_count;
    uint64_t version, max_pack, memory, cache_size, cache_age;
    uint64_t skip, limit; /* of lists */
    const char *ref;      /* of refs: where they begin; of log: where it does */
    bool has_suffix, has_hooks, creates;
    bool is_alone; /* nobody is known but by a certificate, which must name this node */
};
/* Ends the process with a message when something is unknown. */
void gh_options_read(int argc, char **argv, struct gh_options *ret);

noreturn void gh_exit(int status);
/* What goes wrong: one line on standard error, for the node's log, and status 1. */
ALK_PRINTF(1, 2) noreturn void gh_die(const char *fmt, ...);
/* For the peer: an ERR packet on standard output, and status 0. */
ALK_PRINTF(1, 2) noreturn void gh_refuse(const char *fmt, ...);
/* The directory of this name beneath at, itself no link; NULL: see errno. */
DIR *gh_open_dir(int at, const char *name);

/* --- repo.c -------------------------------------------------------------------------- */

enum gh_found { GH_FOUND, GH_MISSING, GH_UNFIT };
/* Makes the repository's directory the working directory: beneath the root, no symbolic
 * link on the way. GH_UNFIT: there is something, but nothing that may be served; said on
 * standard error. */
enum gh_found gh_repo_enter(const struct gh_options *o, struct alk_span path, bool has_suffix);
/* Makes one, whole or not at all. ALK_E_EXISTS: there is one now. */
alk_err gh_repo_create(const struct gh_options *o, struct alk_span path);

/* Takes it out of sight at once, and then away. ALK_E_NOENT. */
alk_err gh_repo_delete(const struct gh_options *o, struct alk_span path);

/* --- sandbox.c ------------------------------------------------------------------------ */

/* Confines this process and all it starts to the working directory, and to the cache's
 * directories (gh_cache_prepare; NULL: none). */
void gh_confine(const struct gh_options *o, bool may_write, const char *const caches[2]);

/* --- environment.c --------------------------------------------------------------------- */

/* Variables and settings that git gets whatever it runs. */
void gh_env_base(const struct gh_options *o);
/* One more setting; its text is copied. */
void gh_env_config(const char *key, const char *value);
/* What a hook of ours must know. */
void gh_env_hook(const struct gh_options *o);
/* A variable, or "". */
const char *gh_env(const char *name);
/* Directory of this program's file, without a slash at its end. */
const char *gh_own_dir(void);

/* --- capture.c: running git ------------------------------------------------------------- */

/* A file in memory with this text, to be read from its beginning. */
int gh_memory_file(struct alk_span text);
/* Appends all that fd gives. ALK_E_TOO_BIG: not less than ret holds. ALK_E_IO, ALK_E_NOMEM. */
alk_err gh_read_all(int fd, struct alk_buf *ret);
/* Starts git with this input; *ret_from is what it prints. Ends the process when that cannot
 * be done. */
pid_t gh_start(const char *const *argv, struct alk_span input, int *ret_from);
/* Waits for its end: what it exited with; -1: something else ended it. */
int gh_wait(pid_t pid);
/* Runs git with this input and appends what it prints to ret. What it exited with; -1: it did
 * not, or said more than ret holds. */
int gh_run(const char *const *argv, struct alk_span input, struct alk_buf *ret);
/* The same; true: it exited with 0. */
bool gh_capture(const char *const *argv, struct alk_span input, struct alk_buf *ret);

/* --- for hooks: hook.c, cert.c, symref.c, signed.c ---------------------------------------- */

/* Refuses the push: the text is for the pusher. */
noreturn void gh_decline(const char *text);
/* The certificate of this push; false: it has none. ret: fini in any case. */
bool gh_cert_read(struct alk_buf *ret);
/* Declines the push when it has a certificate that is not right; lines: "old new ref" LF of
 * all refs that it would change. */
void gh_cert_check(struct alk_span lines);
/* Declines the push when it would change a ref by way of a symbolic one. */
void gh_symref_check(struct alk_span lines);
/* Appends the certificate to the repository's file of them. */
void gh_cert_keep(void);
/* Declines the push when a commit on a protected ref is not signed. */
void gh_signed_check(struct alk_span lines);
struct alk_key_names;
/* "word name name ..." */
void gh_put_names(struct alk_buf *b, const char *word, const struct alk_key_names *names);

/* --- subcommands ------------------------------------------------------------------------ */

#define GH_REPOS_MAX 100000

int gh_serve(const struct gh_options *o);
int gh_list(const struct gh_options *o);
int gh_create(const struct gh_options *o);
int gh_delete(const struct gh_options *o);
int gh_refs(const struct gh_options *o);
int gh_log(const struct gh_options *o);
int gh_pre_receive(void);
int gh_post_receive(void);
/* update, post-update: the repository's own. */
int gh_own_hook(const char *name, char **argv);

/* --- node.c: what hooks and the node say to each other (src/git/push.c) ------------------- */

/* Ends the process when the node is gone. */
void gh_tell(struct alk_span message);
/* Waits for the answer; zero-terminated, cut at ret_size. True: it is `yes`, or begins with
 * it and a space; *ret_rest (may be NULL) is what follows. */
bool gh_ask(struct alk_span message, const char *yes, char *ret, size_t ret_size,
            const char **ret_rest);
/* Sends lines "old new ref", as many to a message as fit. */
void gh_tell_refs(struct alk_span lines);

#endif
