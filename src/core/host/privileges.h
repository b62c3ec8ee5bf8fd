/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/privileges.h - giving up root, for good. */
#ifndef ALK_CORE_HOST_PRIVILEGES_H
#define ALK_CORE_HOST_PRIVILEGES_H

#include "base/err.h"

#include <sys/types.h>

struct alk_user {
    uid_t uid;
    gid_t gid;
    char name[64];
    char home[256];
};

/* Looks a user up in the system's database. ALK_E_NOENT; ALK_E_INVALID: the name
 * is too long; ALK_E_IO: the database cannot be asked. */
ALK_NODISCARD alk_err alk_user_find(const char *name, struct alk_user *ret);
/* The user we run as; its name may be the number. */
void alk_user_self(struct alk_user *ret);

/* For the endpoint, after what needs root (binding, locking data_dir) and after
 * alk_spawner_start: becomes `user` with its groups, drops every capability, and
 * proves that there is no way back. user NULL or not root: changes no user but
 * still does the rest. Afterwards the process is not dumpable (PR_SET_DUMPABLE 0),
 * makes no core files and gains no privileges by exec. Before threads: it binds
 * the calling thread alone where the system has per-thread credentials.
 * ALK_E_NOENT: no such user. ALK_E_PERM: the system refused. */
ALK_NODISCARD alk_err alk_privileges_drop(const char *user);

/* The last step alone, for a child about to run other code: groups, user,
 * capabilities. Async-signal-safe. 0 or an errno. */
int alk_user_become(const struct alk_user *user, const gid_t *groups, size_t group_count);
/* Empties the bounding set: only with CAP_SETPCAP, so before alk_user_become. */
void alk_bounding_drop(void);
/* All capability sets empty; securebits locked where allowed. 0 or an errno. */
int alk_capabilities_drop(void);

#endif
