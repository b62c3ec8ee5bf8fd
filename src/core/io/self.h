/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/self.h - what the system says of this process. Any thread. */
#ifndef ALK_CORE_IO_SELF_H
#define ALK_CORE_IO_SELF_H

#include "alknet/types.h"

struct alk_self {
    uint64_t pid;
    bool is_root;
    uint64_t cpu_ms;     /* user and system; 0: unknown */
    uint64_t memory_max; /* bytes, most that were ever resident; 0: unknown */
};
struct alk_self alk_self_look(void);

/* Directory of the running program's file, without a slash at its end. False: unknown. */
bool alk_self_dir(char *ret, size_t ret_size);
/* Where a program of ours lies that others start: libexec/alknet/NAME beside the running
 * program, beside its directory, or where packages put it. False: nowhere. */
bool alk_self_beside(const char *name, char *ret, size_t ret_size);

#endif
