/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/provider.h - identity providers: over an index, and a chain of them.
 *
 * Both belong to one loop. The clock is passed in.
 */
#ifndef ALK_CORE_AUTH_PROVIDER_H
#define ALK_CORE_AUTH_PROVIDER_H

#include "core/auth/index.h"

/* Unix seconds, wall clock. */
typedef uint64_t alk_unix_fn(void *ctx);

/* Answers from an index, inside resolve. Serves the configuration, the store, or
 * both in one index (core/auth/index.h says why both is the rule).
 *
 *     alk_index_provider_init(&p, now, NULL);
 *     alk_index_provider_set(&p, index);            at each new generation
 *     alk_index_provider_vtable.resolve(&p, &query, done, ctx);
 */
struct alk_index_provider {
    const struct alk_auth_index *index; /* holds a reference; NULL: knows nobody */
    alk_unix_fn *now;
    void *now_ctx;
};
void alk_index_provider_init(struct alk_index_provider *p, alk_unix_fn *now, void *now_ctx);
void alk_index_provider_fini(struct alk_index_provider *p);
/* Takes a reference of its own, gives the old one back. NULL empties it. */
void alk_index_provider_set(struct alk_index_provider *p, const struct alk_auth_index *index);
extern const struct alk_identity_provider alk_index_provider_vtable;

/* Asks its members in order. Only "unknown" (ALK_E_AUTH) goes on to the next
 * one; expired, revoked and unavailable are answers, because a later member must
 * not hand out what an earlier one took away. Members may answer later; the
 * query is copied for that. */
struct alk_chain_member {
    const struct alk_identity_provider *vtable; /* borrows until the chain is freed */
    void *provider;
};
struct alk_chain_provider;
#define ALK_CHAIN_MAX 8
/* ALK_E_INVALID: none or more than ALK_CHAIN_MAX members. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_chain_provider_new(const struct alk_mem *mem,
                                             const struct alk_chain_member *members, size_t n,
                                             struct alk_chain_provider **ret);
/* Answers under way still come to their `done`; the last one frees. */
void alk_chain_provider_free(struct alk_chain_provider *chain);
extern const struct alk_identity_provider alk_chain_provider_vtable;

#endif
