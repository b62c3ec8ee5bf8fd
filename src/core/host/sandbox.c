/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/sandbox.h"

#include "base/span.h"
#include "core/host/landlock.h"
#include "core/host/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Sanitizers map terabytes of shadow: a memory limit would end the process. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||                         \
    __has_feature(thread_sanitizer)
#define HAS_SHADOW 1
#endif
#endif
#ifndef HAS_SHADOW
#define HAS_SHADOW 0
#endif

static bool set_limit(int what, uint64_t value)
{
    struct rlimit old;
    if (getrlimit((__rlimit_resource_t)what, &old) != 0) {
        return false;
    }
    rlim_t v = (rlim_t)value < old.rlim_max ? (rlim_t)value : old.rlim_max;
    struct rlimit lim = {.rlim_cur = v, .rlim_max = v};
    return setrlimit((__rlimit_resource_t)what, &lim) == 0;
}

/* RLIMIT_DATA and not RLIMIT_AS: it counts what a process writes to, and not what
 * run-time systems reserve. No RLIMIT_NPROC: it counts all processes of the user,
 * other hosts and programs among them. */
static bool set_limits(const struct alk_sandbox *sandbox)
{
    bool is_set = set_limit(RLIMIT_CORE, 0);
    if (sandbox->files != 0) {
        is_set = set_limit(RLIMIT_NOFILE, sandbox->files) && is_set;
    }
    if (sandbox->memory != 0 && !HAS_SHADOW) {
        is_set = set_limit(RLIMIT_DATA, sandbox->memory) && is_set;
    }
    return is_set;
}

unsigned alk_sandbox_begin(void)
{
    unsigned applied = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        applied |= ALK_SANDBOX_NO_NEW_PRIVS;
    }
    if (alk_seccomp_enter()) {
        applied |= ALK_SANDBOX_SYSCALLS;
    }
    return applied;
}

void alk_sandbox_enter(const struct alk_sandbox *sandbox, unsigned *ret_applied)
{
    unsigned applied = 0;
    if (set_limits(sandbox)) {
        applied |= ALK_SANDBOX_LIMITS;
    }
    applied |= alk_landlock_enter(sandbox);
    *ret_applied = applied;
}

unsigned alk_sandbox_probe(void)
{
    int abi = alk_landlock_abi();
    unsigned parts = ALK_SANDBOX_NO_NEW_PRIVS | ALK_SANDBOX_LIMITS;
    parts |= abi >= 1 ? ALK_SANDBOX_FILES | ALK_SANDBOX_DATA_DIR : 0U;
    parts |= abi >= 4 ? (unsigned)ALK_SANDBOX_NET : 0U;
    parts |= abi >= 6 ? (unsigned)ALK_SANDBOX_SCOPE : 0U;
    uint32_t action = SECCOMP_RET_ERRNO;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
        parts |= ALK_SANDBOX_SYSCALLS;
    }
    if (geteuid() == 0) {
        parts |= ALK_SANDBOX_USER;
    }
    return parts;
}

void alk_sandbox_text(unsigned parts, char *dst, size_t dst_size)
{
    static const char *const names[] = {"user",  "no-new-privs", "limits",   "files",
                                        "net",   "scope",        "syscalls", "data-dir"};
    size_t n = 0;
    (void)snprintf(dst, dst_size, "nothing");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((parts & (1U << i)) == 0) {
            continue;
        }
        int k = snprintf(dst + n, dst_size - n, "%s%s", n == 0 ? "" : ", ", names[i]);
        if (k < 0 || (size_t)k >= dst_size - n) {
            return;
        }
        n += (size_t)k;
    }
}
