/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/session_cache.h - what a client remembers of nodes: named values.
 *
 * A value is a TLS session with its QUIC parameters, or which transport worked
 * (core/io/dial.c). In memory, least recently used first out; or as files named
 * by the SHA-256 of the key, 0600, written by rename, oldest first out, in a 0700
 * directory. Values are secrets (resumption keys) and older than a day are none.
 * Thread safe.
 */
#ifndef ALK_CORE_STORE_SESSION_CACHE_H
#define ALK_CORE_STORE_SESSION_CACHE_H

#include "alknet/client.h"
#include "base/buf.h"
#include "base/err.h"

#define ALK_SESSION_CACHE_MAX 256
#define ALK_SESSION_VALUE_MAX 16384
#define ALK_SESSION_AGE_MAX_S 86400u

/* Appends the value to *ret. ALK_E_NOENT: none (or too old, or unreadable: a cache
 * never fails a connection). now: unix seconds. */
ALK_NODISCARD alk_err alk_session_cache_get(struct alk_session_cache *cache, struct alk_span key,
                                            uint64_t now, struct alk_buf *ret);
/* Replaces. What cannot be kept is forgotten. */
void alk_session_cache_put(struct alk_session_cache *cache, struct alk_span key, uint64_t now,
                           struct alk_span value);
void alk_session_cache_drop(struct alk_session_cache *cache, struct alk_span key);

#endif
