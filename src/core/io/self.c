/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/self.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t in_ms(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

struct alk_self alk_self_look(void)
{
    struct alk_self self = {.pid = (uint64_t)getpid(), .is_root = geteuid() == 0};
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        self.cpu_ms = in_ms(usage.ru_utime) + in_ms(usage.ru_stime);
        self.memory_max = (uint64_t)usage.ru_maxrss * 1024;
    }
    return self;
}

static bool try_at(const char *dir, const char *rest, const char *name, char *ret, size_t ret_size)
{
    int n = snprintf(ret, ret_size, "%s%s/libexec/alknet/%s", dir, rest, name);
    return n > 0 && (size_t)n < ret_size && access(ret, X_OK) == 0;
}

bool alk_self_dir(char *ret, size_t ret_size)
{
    ssize_t n = readlink("/proc/self/exe", ret, ret_size);
    if (n <= 0 || (size_t)n >= ret_size) {
        return false; /* none, or cut */
    }
    ret[n] = '\0';
    char *slash = strrchr(ret, '/');
    if (slash == NULL) {
        return false; /* "(unreachable)..." */
    }
    *slash = '\0';
    return true;
}

bool alk_self_beside(const char *name, char *ret, size_t ret_size)
{
    char dir[PATH_MAX];
    if (alk_self_dir(dir, sizeof dir) &&
        (try_at(dir, "", name, ret, ret_size) || try_at(dir, "/..", name, ret, ret_size))) {
        return true;
    }
    return try_at("/usr/local", "", name, ret, ret_size) || try_at("/usr", "", name, ret, ret_size);
}
