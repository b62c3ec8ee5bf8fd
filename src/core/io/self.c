/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/self.h"

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
