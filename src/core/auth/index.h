/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/index.h - everybody whom the node knows, in memory.
 *
 * An index is one generation of identities, keys and tokens: immutable and
 * atomically counted, so each loop holds a reference and lookups take no lock
 * and allocate nothing. A change (reload, `alknet peer`, `alknet token`) builds a
 * new index and swaps it in.
 *
 * The configuration and the store are added to ONE builder, so that a token in
 * the store may belong to a peer in the file, and that the same id or key in both
 * is an error that names both places.
 *
 * The one rule (DESIGN.md §7): a credential that is presented and does not
 * resolve fails. Nothing here falls back to another credential, and rights of two
 * identities are never united: a key whose names belong to two identities belongs
 * to neither.
 */
#ifndef ALK_CORE_AUTH_INDEX_H
#define ALK_CORE_AUTH_INDEX_H

#include "alknet/auth.h"
#include "alknet/conf.h"
#include "base/err.h"
#include "base/rand.h"
#include "core/auth/identity.h"
#include "core/auth/token.h"

#define ALK_AUTH_IDENTITIES_MAX 65536
#define ALK_AUTH_KEYS_MAX       262144
#define ALK_AUTH_TOKENS_MAX     262144

struct alk_auth_index;
struct alk_auth_builder;

/* A builder belongs to one thread. rand keys its hash tables. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_auth_builder_new(const struct alk_mem *mem, const struct alk_rand *rand,
                                           struct alk_auth_builder **ret);
void alk_auth_builder_free(struct alk_auth_builder *b);
const struct alk_mem *alk_auth_builder_mem(const struct alk_auth_builder *b);
/* `where` is the place for messages: "alknet.yaml:12:7", "store". All copy their
 * arguments. After ALK_E_CONFIG (wrong or duplicate) the builder goes on, so that
 * all mistakes can be told at once, but finish will refuse. ALK_E_NOMEM,
 * ALK_E_LIMIT. Identities may come after their keys and tokens. */
alk_err alk_auth_builder_add_identity(struct alk_auth_builder *b,
                                      const struct alk_identity_spec *spec, const char *where);
/* text: any form of alk_key_parse. The other names that an Ed25519 key has are
 * taken with it, so the same key in two forms is a duplicate. */
alk_err alk_auth_builder_add_key(struct alk_auth_builder *b, struct alk_span id,
                                 struct alk_span text, const char *where);
/* A token of an identity that does not exist is a mistake, unless may_dangle:
 * then it is left out (a store's token whose peer left the configuration). */
alk_err alk_auth_builder_add_token(struct alk_auth_builder *b, const struct alk_auth_token *token,
                                   bool may_dangle, const char *where);
/* The `auth` section of the configuration: peers and tokens, at their places.
 * NULL: none. ALK_OK also when there were mistakes: finish tells. ALK_E_NOMEM,
 * ALK_E_LIMIT. */
ALK_NODISCARD alk_err alk_auth_builder_add_conf(struct alk_auth_builder *b,
                                                const struct alk_conf *auth);
/* What is wrong so far, one "where: sentence" per line, zero-terminated; "" if
 * nothing is. Until the next call on the builder. */
const char *alk_auth_builder_message(struct alk_auth_builder *b);
/* Gives an index with one reference; afterwards the builder can only be freed.
 * ALK_E_CONFIG: see the message. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_auth_builder_finish(struct alk_auth_builder *b, uint64_t generation,
                                              const struct alk_auth_index **ret);

/* Counted; safe from every thread. unref takes NULL. */
const struct alk_auth_index *alk_auth_index_ref(const struct alk_auth_index *index);
void alk_auth_index_unref(const struct alk_auth_index *index);
uint64_t alk_auth_index_generation(const struct alk_auth_index *index);
size_t alk_auth_index_count(const struct alk_auth_index *index);
/* Identity i < count, in order of adding; borrows from the index. */
const struct alk_identity *alk_auth_index_at(const struct alk_auth_index *index, size_t i);
/* The identity with this id (also a disabled one), or NULL; and where it was
 * defined (NULL: unknown). Both borrow from the index. */
const struct alk_identity *alk_auth_index_find(const struct alk_auth_index *index,
                                               struct alk_span id);
const char *alk_auth_index_where(const struct alk_auth_index *index, struct alk_span id);
/* The identity id that holds a canonical key name, or an empty span. */
struct alk_span alk_auth_index_key_owner(const struct alk_auth_index *index,
                                         struct alk_span key_name);

/* Resolves one credential. now: Unix seconds. *ret borrows from the index.
 *
 * ALK_OK: the identity, narrowed to the token's scopes.
 * ALK_E_AUTH: unknown, not a token, wrong secret, ambiguous, no credential in the
 *   query, or an invitation. An unknown prefix costs as much as a wrong secret.
 * ALK_E_EXPIRED, ALK_E_REVOKED (identity disabled): only to who holds the
 *   credential.
 * index NULL: ALK_E_AUTH. *ret is untouched on failure. */
ALK_NODISCARD alk_err alk_auth_resolve_sync(const struct alk_auth_index *index,
                                            const struct alk_auth_query *query, uint64_t now,
                                            const struct alk_identity **ret);
ALK_NODISCARD alk_err alk_auth_index_by_keys(const struct alk_auth_index *index,
                                             const char (*fingerprints)[ALK_FINGERPRINT_MAX],
                                             size_t count, const struct alk_identity **ret);
ALK_NODISCARD alk_err alk_auth_index_by_token(const struct alk_auth_index *index,
                                              struct alk_span token, uint64_t now,
                                              const struct alk_identity **ret);

/* Whether two indexes share an id, a key or a token prefix; then *why holds one
 * sentence that names both places. For a chain of separate providers. */
bool alk_auth_index_overlaps(const struct alk_auth_index *a, const struct alk_auth_index *b,
                             char *why, size_t why_size);

#endif
