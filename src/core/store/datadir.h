/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/datadir.h - a node's data directory: whose it is, who uses it, and
 * the keys in it.
 *
 *     node.key         Ed25519 private key, PKCS#8 PEM           0600
 *     node.secret      32 random bytes: reset, Retry, tickets    0600
 *     rotations        statements of key rotation, one a line    0600
 *     alknet.db        peers and tokens (core/store/auth_db.h)   0600
 *     admin.sock       core/io/admin.h                           0600
 *     lock             held while a node or a command uses it    0600
 *
 * The directory is 0700 and belongs to the user that the node runs as. Root may
 * use the directory of another user; whatever root makes in it is given to that
 * user, or the node could not read it after it has dropped its privileges.
 *
 * Blocks on the disk; one thread at a time.
 */
#ifndef ALK_CORE_STORE_DATADIR_H
#define ALK_CORE_STORE_DATADIR_H

#include "base/err.h"
#include "base/rand.h"
#include "base/span.h"
#include "core/auth/rotation.h"

#include <sys/types.h>

#define ALK_DATADIR_KEY       "node.key"
#define ALK_DATADIR_SECRET    "node.secret"
#define ALK_DATADIR_ROTATIONS "rotations"
#define ALK_DATADIR_ADMIN     "admin.sock"
#define ALK_DATADIR_LOCK      "lock"
#define ALK_DATADIR_CONFIG    "alknet.yaml"
#define ALK_DATADIR_WHY       512 /* room for every message */

struct alk_datadir {
    const struct alk_mem *mem;
    char *path;  /* absolute; owns */
    int lock_fd; /* -1: not locked */
    uid_t uid;   /* whose it is */
    gid_t gid;
};

struct alk_datadir_options {
    const struct alk_mem *mem;
    const char *path; /* relative ones start at the working directory */
    bool is_create;   /* make it (0700) when there is none */
    bool is_locked;   /* take the lock, or fail: a node, or a command without one */
    bool has_owner;   /* started as root for another user: give the directory to */
    uid_t uid;        /* this one */
    gid_t gid;
};

/* Opens. On failure why (why_size > 0) holds one sentence that names the path and
 * says what to do.
 * ALK_E_NOENT: there is none. ALK_E_PERM: not ours, or open to others.
 * ALK_E_BUSY: another process holds the lock; why names its pid.
 * ALK_E_IO, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_datadir_open(const struct alk_datadir_options *options, char *why,
                                       size_t why_size, struct alk_datadir **ret);
/* Gives the lock back, and as root gives what was made to the directory's owner.
 * NULL is allowed. The lock goes with its file descriptor: a forked process that
 * stays (the spawner) must close lock_fd, or the directory stays locked. */
void alk_datadir_close(struct alk_datadir *dir);

/* Where the data directory is when nobody says: /var/lib/alknet for root, else
 * $XDG_DATA_HOME/alknet or ~/.local/share/alknet. ALK_E_NOENT: no home. */
ALK_NODISCARD alk_err alk_datadir_default(char *ret, size_t ret_size);

/* The path of a file in it; false when it does not fit. Absolute names stay. */
bool alk_datadir_path(const struct alk_datadir *dir, const char *name, char *ret, size_t ret_size);

/* As root: gives every file in the directory that root owns to its owner. For
 * after the stores are opened and before privileges are dropped. */
ALK_NODISCARD alk_err alk_datadir_give(const struct alk_datadir *dir);

/* The node's key from `file` (ALK_DATADIR_KEY, or what identity.key says); made
 * when there is none and rand is not NULL (else ALK_E_NOENT). Finishes a rotation
 * that a crash cut in two. *ret_seed is the caller's to wipe.
 * ALK_E_PERM: open to others. ALK_E_MALFORMED: not a key. */
ALK_NODISCARD alk_err alk_datadir_key(const struct alk_datadir *dir, const char *file,
                                      const struct alk_rand *rand, uint8_t ret_seed[static 32],
                                      bool *ret_is_new, char *why, size_t why_size);
/* The node's secret, made when there is none. The caller wipes it. */
ALK_NODISCARD alk_err alk_datadir_secret(const struct alk_datadir *dir, const struct alk_rand *rand,
                                         uint8_t ret[static 32], char *why, size_t why_size);

/* Makes a new key, a statement about it signed by the old one, and puts both in
 * their places; the key takes effect at the next start. The old key is
 * overwritten. Only the newest ALK_ROTATION_CHAIN_MAX statements are kept. */
ALK_NODISCARD alk_err alk_datadir_rotate(const struct alk_datadir *dir, const char *file,
                                         const struct alk_rand *rand, uint64_t unix_s,
                                         struct alk_rotation *ret, char *why, size_t why_size);
/* The statements, oldest first; *ret_n is 0 when there are none. */
ALK_NODISCARD alk_err alk_datadir_rotations(const struct alk_datadir *dir,
                                            struct alk_rotation ret[static ALK_ROTATION_CHAIN_MAX],
                                            size_t *ret_n, char *why, size_t why_size);

#endif
