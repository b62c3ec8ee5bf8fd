/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/limit.h - how often a peer may fail to authenticate.
 *
 * Failures count per address (an IPv6 /64 is one, an IPv4-mapped address is its
 * IPv4 address) and per connection. With the max-th failure within a window the
 * address is refused until the window, which began with its first failure, ends.
 * A success does not forgive: whoever holds one valid credential must not buy
 * guesses at another with it.
 *
 * What counts is a credential that did not resolve, and a service that needs an
 * identity and got none. A TLS key that nobody knows, shown to a service that
 * does not ask, is no failure: clients show their key everywhere.
 *
 * The table is shared by all loops: one mutex around a few instructions. It is
 * bounded; when it is full the oldest window is forgotten. Time is passed in.
 */
#ifndef ALK_CORE_AUTH_LIMIT_H
#define ALK_CORE_AUTH_LIMIT_H

#include "base/err.h"
#include "base/rand.h"
#include "base/span.h"
#include "core/addr.h"

#define ALK_AUTH_FAILURES_DEFAULT      6
#define ALK_AUTH_WINDOW_DEFAULT        (600 * ALK_SECOND)
#define ALK_AUTH_LIMIT_ENTRIES_DEFAULT 65536

/* An address as it is counted. Zeroed: none, never counted (memory, unix). */
struct alk_limit_key {
    uint8_t b[17];
    uint8_t n;
};
/* family 0: none. */
struct alk_limit_key alk_limit_key(const struct alk_addr *addr);
/* From alk_auth_context.remote, "192.0.2.1:443" or "[::1]:443"; none for what is
 * no address. */
struct alk_limit_key alk_limit_key_from_text(const char *remote);

struct alk_auth_limit;
struct alk_auth_limit_options {
    unsigned max;    /* failures; 0: the default */
    alk_time window; /* 0: the default */
    size_t entries;  /* addresses remembered; 0: the default */
};
/* options NULL: defaults. ALK_E_NOMEM. The table's memory is taken here, once. */
ALK_NODISCARD alk_err alk_auth_limit_new(const struct alk_mem *mem, const struct alk_rand *rand,
                                         const struct alk_auth_limit_options *options,
                                         struct alk_auth_limit **ret);
/* Nobody else uses it any more. */
void alk_auth_limit_free(struct alk_auth_limit *limit);
/* After a reload: max and window of what comes from now on (0: defaults).
 * Windows that are running keep their start. */
void alk_auth_limit_set(struct alk_auth_limit *limit, unsigned max, alk_time window);
/* Whether the address is refused now. limit NULL: false. */
bool alk_auth_limit_is_over(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                            alk_time now);
/* Counts a failure; true: the address is refused from now on. */
bool alk_auth_limit_fail(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                         alk_time now);
/* When the address may come again; 0: it is not refused. */
alk_time alk_auth_limit_until(struct alk_auth_limit *limit, const struct alk_limit_key *key,
                              alk_time now);
/* Addresses remembered at present, and windows forgotten because it was full. */
void alk_auth_limit_stats(struct alk_auth_limit *limit, size_t *ret_entries, uint64_t *ret_evicted);

/* One connection's account. Belongs to its loop. */
struct alk_auth_meter {
    struct alk_auth_limit *limit; /* borrows; NULL: no count per address */
    struct alk_limit_key key;
    unsigned max; /* failures of this connection; 0: the default */
    unsigned failures;
};
/* Counts a failure for the connection and its address. True: over the limit,
 * close with ALK_CODE_AUTH. */
bool alk_auth_meter_fail(struct alk_auth_meter *meter, alk_time now);
/* Whether connection or address are over the limit: check before resolving. */
bool alk_auth_meter_is_over(const struct alk_auth_meter *meter, alk_time now);

#endif
