/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules only ever allow, so what is to be denied is what no rule names: a path
 * above `denied` is allowed entry by entry, all but the one that leads there. A
 * path that lies inside `denied` is allowed: whoever names it, means it. */
#include "core/host/landlock.h"

#include "base/span.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Our own names and layouts: Debian 12's header ends with ABI 2. */
struct ruleset_attr {
    uint64_t fs;
    uint64_t net;   /* ABI 4 */
    uint64_t scope; /* ABI 6 */
};
struct beneath_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

#define CREATE_VERSION 1u
#define RULE_BENEATH 1
#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_BIND (UINT64_C(1) << 0)
#define NET_CONNECT (UINT64_C(1) << 1)
#define SCOPE_ALL UINT64_C(3) /* abstract sockets, signals */
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

int alk_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    return abi > 0 && abi < INT_MAX ? (int)abi : 0;
}

/* All file rights that the ABI knows. */
static uint64_t fs_known(int abi)
{
    unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
    return (UINT64_C(1) << bits) - 1;
}

static uint64_t fs_wanted(unsigned access, uint64_t known)
{
    uint64_t fs = 0;
    fs |= (access & ALK_SANDBOX_READ) != 0 ? FS_READ_FILE | FS_READ_DIR : 0;
    fs |= (access & ALK_SANDBOX_EXECUTE) != 0 ? FS_EXECUTE : 0;
    fs |= (access & ALK_SANDBOX_WRITE) != 0 ? known & ~(FS_EXECUTE | FS_IOCTL_DEV) : 0;
    return fs & known;
}

struct rules {
    int fd;
    uint64_t known;
    const char *denied; /* resolved, "" none */
};

static void allow_fd(const struct rules *rules, int fd, unsigned access)
{
    struct stat st;
    uint64_t fs = fs_wanted(access, rules->known);
    if (fstat(fd, &st) != 0) {
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        fs &= FS_OF_FILES;
    }
    struct beneath_attr attr = {.allowed = fs, .parent_fd = fd};
    (void)syscall(SYS_landlock_add_rule, rules->fd, RULE_BENEATH, &attr, 0);
}

static void allow_path(const struct rules *rules, const char *path, unsigned access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0) {
        allow_fd(rules, fd, access);
        (void)close(fd);
    }
}

/* Whether `path` is `dir` or lies beneath it. Both absolute and resolved. */
static bool is_beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (n == 1) { /* "/" */
        return true;
    }
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Allows what lies in `dir` except the one entry on the way to `denied`. */
static void allow_entries(const struct rules *rules, const char *dir, const char *but,
                          unsigned access)
{
    DIR *d = opendir(dir);
    if (d == NULL) {
        return;
    }
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, but) == 0) {
            continue;
        }
        int fd = openat(dirfd(d), e->d_name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISLNK(st.st_mode)) {
            allow_fd(rules, fd, access);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    (void)closedir(d);
}

/* Walks down from `path` to `denied`, allowing what lies beside the way. */
static void allow_around(const struct rules *rules, const char *path, unsigned access)
{
    char at[PATH_MAX];
    if (!alk_span_cstr(alk_span_str(path), at, sizeof at)) {
        return;
    }
    size_t n = strcmp(at, "/") == 0 ? 0 : strlen(at);
    while (rules->denied[n] != '\0') {
        const char *name = rules->denied + n + 1;
        size_t name_len = strcspn(name, "/");
        char but[NAME_MAX + 1];
        if (!alk_span_cstr(alk_span(name, name_len), but, sizeof but)) {
            return;
        }
        at[n] = '\0';
        allow_entries(rules, n == 0 ? "/" : at, but, access);
        if (n + 1 + name_len >= sizeof at) {
            return;
        }
        at[n] = '/';
        memcpy(at + n + 1, name, name_len);
        n += 1 + name_len;
        at[n] = '\0';
    }
}

static void allow(const struct rules *rules, const char *path, unsigned access)
{
    char real[PATH_MAX];
    if (realpath(path, real) == NULL) {
        return; /* does not exist: nothing to allow */
    }
    if (rules->denied[0] == '\0') {
        allow_path(rules, real, access);
    } else if (strcmp(real, rules->denied) == 0) {
        return;
    } else if (is_beneath(rules->denied, real)) {
        allow_around(rules, real, access);
    } else {
        allow_path(rules, real, access);
    }
}

/* What every program needs to run at all, and nothing that anyone keeps secret
 * behind file modes that a user of its own does not pass. */
static const struct alk_sandbox_path system_paths[] = {
    {"/usr", ALK_SANDBOX_READ | ALK_SANDBOX_EXECUTE},
    {"/lib", ALK_SANDBOX_READ | ALK_SANDBOX_EXECUTE},
    {"/lib32", ALK_SANDBOX_READ | ALK_SANDBOX_EXECUTE},
    {"/lib64", ALK_SANDBOX_READ | ALK_SANDBOX_EXECUTE},
    {"/bin", ALK_SANDBOX_READ | ALK_SANDBOX_EXECUTE},
    {"/sbin", ALK_SANDBOX_READ | ALK_SANDBOX_EXECUTE},
    {"/etc/ld.so.cache", ALK_SANDBOX_READ},
    {"/etc/ld.so.preload", ALK_SANDBOX_READ},
    {"/etc/alternatives", ALK_SANDBOX_READ},
    {"/etc/passwd", ALK_SANDBOX_READ},
    {"/etc/group", ALK_SANDBOX_READ},
    {"/etc/nsswitch.conf", ALK_SANDBOX_READ},
    {"/etc/hosts", ALK_SANDBOX_READ},
    {"/etc/resolv.conf", ALK_SANDBOX_READ},
    {"/etc/gai.conf", ALK_SANDBOX_READ},
    {"/etc/localtime", ALK_SANDBOX_READ},
    {"/etc/ssl/certs", ALK_SANDBOX_READ},
    {"/dev/null", ALK_SANDBOX_READ | ALK_SANDBOX_WRITE},
    {"/dev/zero", ALK_SANDBOX_READ},
    {"/dev/urandom", ALK_SANDBOX_READ},
    {"/dev/random", ALK_SANDBOX_READ},
};

static void add_rules(int ruleset, uint64_t known, const char *denied,
                      const struct alk_sandbox *sandbox)
{
    const struct rules rules = {.fd = ruleset, .known = known, .denied = denied};
    for (size_t i = 0; i < sizeof(system_paths) / sizeof(system_paths[0]); i++) {
        allow(&rules, system_paths[i].path, system_paths[i].access);
    }
    for (size_t i = 0; i < sandbox->path_count; i++) {
        allow(&rules, sandbox->paths[i].path, sandbox->paths[i].access);
    }
}

unsigned alk_landlock_enter(const struct alk_sandbox *sandbox)
{
    int abi = alk_landlock_abi();
    if (abi < 1) {
        return 0;
    }
    struct ruleset_attr attr = {.fs = fs_known(abi)};
    if (abi >= 4) {
        attr.net = (sandbox->may_bind ? 0 : NET_BIND) | (sandbox->may_connect ? 0 : NET_CONNECT);
    }
    attr.scope = abi >= 6 ? SCOPE_ALL : 0;
    size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? offsetof(struct ruleset_attr, scope)
                                                    : offsetof(struct ruleset_attr, net);
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0u);
    if (fd < 0) {
        return 0;
    }
    char denied[PATH_MAX];
    bool has_denied = sandbox->denied != NULL && realpath(sandbox->denied, denied) != NULL &&
                      strcmp(denied, "/") != 0;
    add_rules(fd, attr.fs, has_denied ? denied : "", sandbox);
    bool is_entered = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                      syscall(SYS_landlock_restrict_self, fd, 0u) == 0;
    (void)close(fd);
    if (!is_entered) {
        return 0;
    }
    unsigned parts = ALK_SANDBOX_FILES | (abi >= 4 ? ALK_SANDBOX_NET : 0U) |
                     (abi >= 6 ? ALK_SANDBOX_SCOPE : 0U);
    return parts | (has_denied ? ALK_SANDBOX_DATA_DIR : 0U);
}
