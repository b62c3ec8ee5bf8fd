/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/replay.h - the node's one memory of 0-RTT attempts.
 *
 * GnuTLS asks it before early data is accepted. Each loop has an anti-replay
 * object of its own (GnuTLS mutates it without a lock), and its keys begin with
 * that object's start time; so the first 12 bytes are left out here, or a flight
 * sent to two loops would be accepted by both (reference/endpoint.md §6).
 *
 * Bounded: a full table refuses, which costs the client one round trip. Entries
 * stay until they expire, plus a second. Safe from every thread; no clock of its
 * own.
 */
#ifndef ALK_CORE_TLS_REPLAY_H
#define ALK_CORE_TLS_REPLAY_H

#include "base/err.h"
#include "base/span.h"

/* How long a recorded flight counts, in seconds; older tickets lose 0-RTT. */
#define ALK_REPLAY_WINDOW_S 600
#define ALK_REPLAY_ENTRIES  ((size_t)65536)
/* Bytes at the front of GnuTLS's key that name its object's start time. */
#define ALK_REPLAY_PREFIX   12

struct alk_replay_db;

/* entries: 0 is ALK_REPLAY_ENTRIES. seed: 16 random bytes, so that a peer cannot
 * choose collisions. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_replay_new(const struct alk_mem *mem, size_t entries,
                                     const uint8_t seed[static 16], struct alk_replay_db **ret);
/* No loop may use it any more. NULL is allowed. */
void alk_replay_free(struct alk_replay_db *db);

/* key: GnuTLS's key with its prefix. now, expires: unix seconds.
 * ALK_OK: new, and remembered. ALK_E_EXISTS: a replay. ALK_E_LIMIT: the table is
 * full. ALK_E_INVALID: a key of another length. Only ALK_OK permits early data. */
ALK_NODISCARD alk_err alk_replay_add(struct alk_replay_db *db, struct alk_span key, uint64_t now,
                                     uint64_t expires);
/* Entries held now, expired ones included until the next add. */
size_t alk_replay_count(struct alk_replay_db *db);

#endif
