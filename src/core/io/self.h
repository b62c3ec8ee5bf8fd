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

#endif
