/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/identity.h - making identities; reading them is alknet/auth.h.
 *
 * An identity is one block of memory, immutable and atomically counted, so it
 * may be shared by all loops. It holds no secret. Its scopes are valid: what is
 * not is refused when it is made, and covers nothing.
 */
#ifndef ALK_CORE_AUTH_IDENTITY_H
#define ALK_CORE_AUTH_IDENTITY_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/span.h"
#include "base/wire.h"
#include "core/auth/resource.h"

/* Bytes of an identity on the wire: 40 KiB as it is written down, and 24 KiB more
 * for what narrowing can add. Keeps it within one message to a host. */
#define ALK_IDENTITY_SPEC_MAX ((size_t)40 << 10)
#define ALK_IDENTITY_WIRE_MAX ((size_t)64 << 10)

/* What an identity is made from; everything borrows until the call returns. */
struct alk_identity_spec {
    struct alk_span id;
    const struct alk_span *scopes;
    size_t scope_count;
    const struct alk_grant *grants;
    size_t grant_count;
    bool is_disabled; /* `enabled: false`: revoked */
};

/* Whether id is [a-z0-9][a-z0-9._-]{0,63}. */
bool alk_identity_id_is_valid(struct alk_span id);

/* Copies everything. ALK_E_INVALID: id, a scope or a grant is wrong, or there
 * are too many; why (when why_size > 0) holds one sentence. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_identity_new(const struct alk_mem *mem,
                                       const struct alk_identity_spec *spec, char *why,
                                       size_t why_size, const struct alk_identity **ret);
/* The same identity with the scopes it shares with `scopes` (a token's). Keeps a
 * reference of its own to base. ALK_E_NOMEM; ALK_E_INVALID: more than
 * ALK_SCOPES_MAX. */
ALK_NODISCARD alk_err alk_identity_narrow(const struct alk_mem *mem,
                                          const struct alk_identity *base,
                                          const struct alk_span *scopes, size_t scope_count,
                                          const struct alk_identity **ret);
bool alk_identity_is_disabled(const struct alk_identity *identity);
size_t alk_identity_grant_count(const struct alk_identity *identity);
/* Grant i, i < count; borrows from the identity. */
const struct alk_grant *alk_identity_grant(const struct alk_identity *identity, size_t i);

/* Across the control channel to a host process: one block32 that get reads back.
 * Errors stick to the writer. get: ALK_MORE, ALK_E_TOO_BIG, ALK_E_NOMEM, and
 * ALK_E_MALFORMED for anything that alk_identity_new would refuse; *r changes
 * only on ALK_OK. */
void alk_identity_put(struct alk_wr *w, const struct alk_identity *identity);
ALK_NODISCARD alk_err alk_identity_get(const struct alk_mem *mem, struct alk_rd *r,
                                       const struct alk_identity **ret);

#endif
