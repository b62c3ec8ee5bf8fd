/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/sandbox.h - what keeps a host process in its place: no_new_privs,
 * resource limits, Landlock, seccomp.
 *
 * Best effort by kernel: what could not be applied is reported, so that the log
 * and `alknet doctor` can say that hosts are not separated. Applied by a
 * single-threaded process to itself (Landlock binds the calling thread alone).
 */
#ifndef ALK_CORE_HOST_SANDBOX_H
#define ALK_CORE_HOST_SANDBOX_H

#include "base/err.h"

/* Parts of the sandbox, as bits. */
enum {
    ALK_SANDBOX_USER = 1,           /* another user than the endpoint's */
    ALK_SANDBOX_NO_NEW_PRIVS = 2,
    ALK_SANDBOX_LIMITS = 4,         /* memory, files, core dumps */
    ALK_SANDBOX_FILES = 8,          /* Landlock: the file system */
    ALK_SANDBOX_NET = 16,           /* Landlock ABI 4: TCP bind and connect */
    ALK_SANDBOX_SCOPE = 32,         /* Landlock ABI 6: signals, abstract sockets */
    ALK_SANDBOX_SYSCALLS = 64,      /* seccomp */
    ALK_SANDBOX_DATA_DIR = 128      /* data_dir cannot be reached */
};

enum { ALK_SANDBOX_READ = 1, ALK_SANDBOX_WRITE = 2, ALK_SANDBOX_EXECUTE = 4 };

struct alk_sandbox_path {
    const char *path; /* what is beneath it, too; skipped when it does not exist */
    unsigned access;  /* mask of the above */
};

struct alk_sandbox {
    const struct alk_sandbox_path *paths; /* beside the system's own (/usr, /lib, /etc, ...) */
    size_t path_count;
    const char *denied; /* not reachable, even when it lies beneath one of the paths; a path
                         * inside of it is, when it is one of them */
    uint64_t memory;    /* RLIMIT_DATA in bytes; 0: none */
    uint64_t files;     /* RLIMIT_NOFILE; 0: as it is */
    bool may_connect;   /* outgoing TCP */
    bool may_bind;
};

/* First thing in the process: what needs no settings (no_new_privs, system calls).
 * Returns which parts this kernel knows. A loop comes after it: libuv (1.45) takes
 * an io_uring where it can have one, and aborts when that is denied later on. */
unsigned alk_sandbox_begin(void);
/* Applies the other parts that this kernel knows. *ret_applied: which. Never fails
 * as a whole: a host that must have a part checks the bits. */
void alk_sandbox_enter(const struct alk_sandbox *sandbox, unsigned *ret_applied);
/* What this kernel would apply; for doctor. Changes nothing. */
unsigned alk_sandbox_probe(void);
/* Version of the kernel's Landlock ABI; 0: none. */
int alk_landlock_abi(void);
/* "files, net" for the log; dst_size >= 128. "nothing" for 0. */
void alk_sandbox_text(unsigned parts, char *dst, size_t dst_size);

#endif
