/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/spawn_msg.h - what the endpoint and the spawner say to each other,
 * one message per datagram. Pure.
 *
 * The spawner keeps privilege and the endpoint faces the network, so requests
 * are parsed as a stranger's: bounded, exact, and never a number that means more
 * than it says (users and handlers go by name, from a list fixed at the fork).
 */
#ifndef ALK_CORE_HOST_SPAWN_MSG_H
#define ALK_CORE_HOST_SPAWN_MSG_H

#include "base/err.h"
#include "base/span.h"
#include "base/wire.h"
#include "core/host/spawner.h"

#define ALK_SPAWN_MSG_MAX (ALK_SPAWN_TEXT_MAX + 8192)

enum alk_spawn_type {
    ALK_SPAWN_ATTACH = 1, /* fd: a further channel */
    ALK_SPAWN_EXEC,       /* fds: those of stdio and the channel */
    ALK_SPAWN_HOST,       /* fds: channels, then standard error if it is not -1 */
    ALK_SPAWN_KILL,
    ALK_SPAWN_RELEASE,
    ALK_SPAWN_LIMIT,   /* processes at one time */
    ALK_SPAWN_STARTED, /* answers */
    ALK_SPAWN_FAILED,
    ALK_SPAWN_EXITED
};

/* Where a start failed: index of alk_spawn_stage_text. */
enum alk_spawn_stage {
    ALK_STAGE_REQUEST,
    ALK_STAGE_FORK,
    ALK_STAGE_USER,
    ALK_STAGE_LIMITS,
    ALK_STAGE_CWD,
    ALK_STAGE_STDIO,
    ALK_STAGE_EXEC,
    ALK_STAGE_COUNT
};
const char *alk_spawn_stage_text(unsigned stage);

struct alk_spawn_msg {
    enum alk_spawn_type type;
    uint64_t id; /* of the process; 0 with ATTACH and LIMIT */
    union {
        struct {
            struct alk_span words; /* argv then env, each with its zero byte */
            uint16_t argc, envc;
            struct alk_span cwd, user; /* with their zero byte; "": none */
            uint64_t memory;
            bool new_privileges;
            /* Index of the descriptor; 255: /dev/null, and for the last, the channel, none. */
            uint8_t stdio[ALK_SPAWN_STDIO];
        } exec;
        struct {
            struct alk_span handler; /* with its zero byte */
            uint8_t channels;
            bool has_stderr;
        } host;
        uint32_t number; /* KILL: signal; LIMIT; STARTED: pid; EXITED: wait status */
        struct {
            uint32_t sys_errno;
            uint8_t stage;
        } failed;
    } u;
};

ALK_NODISCARD alk_err alk_spawn_msg_write(struct alk_wr *w, const struct alk_spawn_msg *m);
/* to_spawner: only requests are allowed, else only answers. Spans borrow. fds: how
 * many descriptors came; the numbers in the message fit them. ALK_E_MALFORMED. */
ALK_NODISCARD alk_err alk_spawn_msg_parse(struct alk_span datagram, size_t fds, bool to_spawner,
                                          struct alk_spawn_msg *ret);

#endif
