/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/spawn_child.h - between fork and the new program or host. */
#ifndef ALK_CORE_HOST_SPAWN_CHILD_H
#define ALK_CORE_HOST_SPAWN_CHILD_H

#include "core/host/spawn_msg.h"
#include "core/host/spawner_main.h"

/* Becomes the program. On failure writes struct alk_spawn_failure to status_fd
 * and ends; on success that descriptor closes by itself. */
_Noreturn void alk_spawn_exec_child(const struct alk_spawn_msg *m,
                                    const struct alk_spawn_user *user, const int *fds,
                                    int status_fd);
struct alk_spawn_failure {
    int sys_errno;
    unsigned stage;
};

/* Becomes the handler host. */
_Noreturn void alk_spawn_host_child(const struct alk_spawn_msg *m,
                                    const struct alk_spawner_main *options,
                                    const struct alk_handler *handler, int *fds, size_t fd_count,
                                    int status_fd);

/* Which descriptors above 2 a process is to lose.
 *
 * fork() runs handlers of libraries in the child, and libuv's closes two numbers
 * that it remembers and makes a new pipe. So numbers that were open at the first
 * fork must stay taken in the spawner, or the handler would close ours; and a
 * host, which uses libuv, keeps the pipe that the handler has made. */
enum alk_spawn_fds {
    ALK_SPAWN_FDS_BLANK, /* spawner: become /dev/null */
    ALK_SPAWN_FDS_CLOSE, /* program: closed */
    ALK_SPAWN_FDS_HOST   /* host: closed, but not pipes */
};
void alk_spawn_lose_fds(enum alk_spawn_fds how, const int *keep, size_t count);

#endif
