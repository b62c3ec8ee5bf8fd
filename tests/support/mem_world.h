/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/mem_world.h - two hubs without a loop, joined by the memory transport. */
#ifndef SUPPORT_MEM_WORLD_H
#define SUPPORT_MEM_WORLD_H

#include "core/memconn.h"
#include "core/router.h"

#include "support/check.h"

struct mem_world {
    struct alk_hub client_hub, server_hub;
    struct alk_mem_pair *pair;
};

/* options: all but the hubs. */
void mem_world_open(struct mem_world *w, struct alk_mem_options options);
/* Until both have come to rest; fails when they do not. */
void mem_world_run(struct mem_world *w);
void mem_world_close(struct mem_world *w);

#endif
