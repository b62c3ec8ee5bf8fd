/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/privileges.h"

#include "base/span.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PASSWD_TEXT_MAX 16384
#define GROUPS_MAX 256

static bool fill(const struct passwd *pw, struct alk_user *ret)
{
    struct alk_user u = {.uid = pw->pw_uid, .gid = pw->pw_gid};
    if (!alk_span_cstr(alk_span_str(pw->pw_name), u.name, sizeof u.name)) {
        return false;
    }
    (void)alk_span_cstr(alk_span_str(pw->pw_dir), u.home, sizeof u.home); /* else "" */
    *ret = u;
    return true;
}

alk_err alk_user_find(const char *name, struct alk_user *ret)
{
    struct passwd pw;
    struct passwd *found = NULL;
    char text[PASSWD_TEXT_MAX];
    if (strlen(name) >= sizeof ret->name) {
        return ALK_E_INVALID;
    }
    int rc = getpwnam_r(name, &pw, text, sizeof text, &found);
    if (found == NULL) {
        return rc == 0 || rc == ENOENT || rc == ESRCH ? ALK_E_NOENT : ALK_E_IO;
    }
    return fill(found, ret) ? ALK_OK : ALK_E_INVALID;
}

void alk_user_self(struct alk_user *ret)
{
    struct passwd pw;
    struct passwd *found = NULL;
    char text[PASSWD_TEXT_MAX];
    if (getpwuid_r(getuid(), &pw, text, sizeof text, &found) == 0 && found != NULL &&
        fill(found, ret)) {
        return;
    }
    *ret = (struct alk_user){.uid = getuid(), .gid = getgid()};
    (void)snprintf(ret->name, sizeof ret->name, "%u", (unsigned)getuid());
}

void alk_bounding_drop(void)
{
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
            return; /* no such capability any more, or not allowed: then
                     * no_new_privs closes the way to what is left */
        }
    }
}

int alk_capabilities_drop(void)
{
    alk_bounding_drop();
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)prctl(PR_SET_SECUREBITS,
                SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
                0, 0, 0);
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    memset(none, 0, sizeof none);
    return syscall(SYS_capset, &head, none) == 0 ? 0 : errno;
}

/* Whether any id is still root's, or root can be had back. */
static bool can_return(uid_t uid)
{
    uid_t r, e, s;
    if (getresuid(&r, &e, &s) != 0 || r != uid || e != uid || s != uid) {
        return true;
    }
    return uid != 0 && setuid(0) == 0;
}

int alk_user_become(const struct alk_user *user, const gid_t *groups, size_t group_count)
{
    if (geteuid() != 0) {
        return user->uid == geteuid() ? 0 : EPERM;
    }
    if (setgroups(group_count, groups) != 0 ||
        setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0) {
        return errno;
    }
    return can_return(user->uid) ? EPERM : 0;
}

alk_err alk_privileges_drop(const char *user)
{
    if (user != NULL && geteuid() == 0) {
        struct alk_user u;
        gid_t groups[GROUPS_MAX];
        int count = GROUPS_MAX;
        ALK_TRY(alk_user_find(user, &u));
        if (getgrouplist(u.name, u.gid, groups, &count) < 0) {
            return ALK_E_PERM; /* more groups than can be checked: an odd system */
        }
        if (u.uid != 0) {
            alk_bounding_drop();
        }
        if (alk_user_become(&u, groups, (size_t)count) != 0) {
            return ALK_E_PERM;
        }
    }
    if (geteuid() != 0 && alk_capabilities_drop() != 0) {
        return ALK_E_PERM;
    }
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return ALK_E_PERM;
    }
    return ALK_OK;
}
