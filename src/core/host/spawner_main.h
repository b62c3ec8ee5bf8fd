/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/spawner_main.h - the spawner process itself. */
#ifndef ALK_CORE_HOST_SPAWNER_MAIN_H
#define ALK_CORE_HOST_SPAWNER_MAIN_H

#include "core/host/privileges.h"
#include "core/host/spawner.h"

#define ALK_SPAWN_GROUPS_MAX 256

/* A user that processes may run under, with its groups. */
struct alk_spawn_user {
    struct alk_user user;
    gid_t groups[ALK_SPAWN_GROUPS_MAX];
    size_t group_count;
};

struct alk_spawner_main {
    const struct alk_mem *mem;
    const struct alk_handler *const *handlers;
    size_t handler_count;
    const struct alk_spawn_user *users; /* the first is host_user */
    size_t user_count;
    const char *data_dir;
    unsigned processes_max;
    bool is_separate; /* host_user is not the endpoint's */
    int fd;           /* the first channel */
};

/* Runs in the freshly forked process and ends it. */
_Noreturn void alk_spawner_main(const struct alk_spawner_main *options);

#endif
