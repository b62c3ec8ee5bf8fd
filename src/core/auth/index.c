/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/index.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/auth/index_impl.h"
#include "core/auth/why.h"

void alk_index_destroy(struct alk_auth_index *index)
{
    struct alk_link *at;
    while ((at = alk_list_pop(&index->tokens)) != NULL) {
        struct alk_index_token *token = ALK_CONTAINER(at, struct alk_index_token, link);
        alk_identity_unref(token->identity);
        alk_free(index->mem, token);
    }
    while ((at = alk_list_pop(&index->keys)) != NULL) {
        alk_free(index->mem, ALK_CONTAINER(at, struct alk_index_key, link));
    }
    while ((at = alk_list_pop(&index->peers)) != NULL) {
        struct alk_index_peer *peer = ALK_CONTAINER(at, struct alk_index_peer, link);
        alk_identity_unref(peer->identity);
        alk_free(index->mem, peer);
    }
    while ((at = alk_list_pop(&index->places)) != NULL) {
        alk_free(index->mem, ALK_CONTAINER(at, struct alk_index_where, link));
    }
    alk_map_fini(&index->peer_map);
    alk_map_fini(&index->key_map);
    alk_map_fini(&index->token_map);
    alk_free(index->mem, index->by_order);
    alk_free(index->mem, index);
}

/* The count is the only part of an index that changes after it is made. */
static struct alk_auth_index *writable(const struct alk_auth_index *index)
{
    return (struct alk_auth_index *)(uintptr_t)index;
}

const struct alk_auth_index *alk_auth_index_ref(const struct alk_auth_index *index)
{
    if (index != NULL) {
        atomic_fetch_add_explicit(&writable(index)->refs, 1, memory_order_relaxed);
    }
    return index;
}

void alk_auth_index_unref(const struct alk_auth_index *index)
{
    if (index != NULL &&
        atomic_fetch_sub_explicit(&writable(index)->refs, 1, memory_order_acq_rel) == 1) {
        alk_index_destroy(writable(index));
    }
}

uint64_t alk_auth_index_generation(const struct alk_auth_index *index)
{
    return index == NULL ? 0 : index->generation;
}

size_t alk_auth_index_count(const struct alk_auth_index *index)
{
    return index == NULL ? 0 : index->peer_map.n;
}

const struct alk_identity *alk_auth_index_at(const struct alk_auth_index *index, size_t i)
{
    ALK_ASSERT(i < alk_auth_index_count(index));
    return index->by_order[i]->identity;
}

static const struct alk_index_peer *peer_of(const struct alk_auth_index *index, struct alk_span id)
{
    return index == NULL ? NULL : alk_map_get(&index->peer_map, id);
}

const struct alk_identity *alk_auth_index_find(const struct alk_auth_index *index,
                                               struct alk_span id)
{
    const struct alk_index_peer *peer = peer_of(index, id);
    return peer == NULL ? NULL : peer->identity;
}

const char *alk_auth_index_where(const struct alk_auth_index *index, struct alk_span id)
{
    const struct alk_index_peer *peer = peer_of(index, id);
    return peer == NULL ? NULL : peer->where;
}

struct alk_span alk_auth_index_key_owner(const struct alk_auth_index *index,
                                         struct alk_span key_name)
{
    const struct alk_index_key *key = index == NULL ? NULL : alk_map_get(&index->key_map, key_name);
    return key == NULL ? (struct alk_span){NULL, 0} : alk_identity_id(key->owner->identity);
}

alk_err alk_auth_index_by_keys(const struct alk_auth_index *index,
                               const char (*fingerprints)[ALK_FINGERPRINT_MAX], size_t count,
                               const struct alk_identity **ret)
{
    const struct alk_index_peer *owner = NULL;
    for (size_t i = 0; index != NULL && i < count; i++) {
        struct alk_span name = alk_span_str(fingerprints[i]);
        const struct alk_index_key *key = name.n == 0 ? NULL : alk_map_get(&index->key_map, name);
        if (key == NULL) {
            continue;
        }
        /* One key that is two people's (a certificate pinned for one, its key for
         * another) is nobody's: choosing would be a guess about rights. */
        if (owner != NULL && owner != key->owner) {
            return ALK_E_AUTH;
        }
        owner = key->owner;
    }
    if (owner == NULL) {
        return ALK_E_AUTH;
    }
    if (alk_identity_is_disabled(owner->identity)) {
        return ALK_E_REVOKED;
    }
    *ret = owner->identity;
    return ALK_OK;
}

alk_err alk_auth_index_by_token(const struct alk_auth_index *index, struct alk_span token,
                                uint64_t now, const struct alk_identity **ret)
{
    static const uint8_t nobody[ALK_TOKEN_HASH_SIZE];

    struct alk_span prefix;
    if (index == NULL || !alk_token_parse(token, &prefix)) {
        return ALK_E_AUTH;
    }
    /* Hash and comparison are done for an unknown prefix too: the answer must not
     * tell by its delay which prefixes exist. */
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    alk_token_hash(token, hash);
    const struct alk_index_token *found = alk_map_get(&index->token_map, prefix);
    bool is_same = alk_equal_ct(hash, found == NULL ? nobody : found->hash, sizeof(hash));
    alk_wipe(hash, sizeof(hash));
    if (found == NULL || !is_same || found->purpose != ALK_TOKEN_NORMAL) {
        return ALK_E_AUTH;
    }
    if (alk_identity_is_disabled(found->identity)) {
        return ALK_E_REVOKED;
    }
    if (found->expires_at != 0 && now >= found->expires_at) {
        return ALK_E_EXPIRED;
    }
    *ret = found->identity;
    return ALK_OK;
}

alk_err alk_auth_resolve_sync(const struct alk_auth_index *index,
                              const struct alk_auth_query *query, uint64_t now,
                              const struct alk_identity **ret)
{
    switch (query->kind) {
    case ALK_CREDENTIAL_FINGERPRINTS:
        return alk_auth_index_by_keys(index, query->fingerprints, query->fingerprint_count, ret);
    case ALK_CREDENTIAL_TOKEN:
        return alk_auth_index_by_token(index, query->token, now, ret);
    }
    return ALK_E_AUTH;
}

static bool peers_overlap(const struct alk_auth_index *a, const struct alk_auth_index *b, char *why,
                          size_t why_size)
{
    size_t at = 0;
    const struct alk_index_peer *peer;
    while ((peer = alk_map_next(&a->peer_map, &at)) != NULL) {
        struct alk_span id = alk_identity_id(peer->identity);
        const char *where = alk_auth_index_where(b, id);
        if (where != NULL) {
            (void)alk_why(why, why_size, "the peer '" ALK_SPAN_FMT "' is defined in %s and in %s",
                          ALK_SPAN_ARG(id), peer->where, where);
            return true;
        }
    }
    return false;
}

static bool keys_overlap(const struct alk_auth_index *a, const struct alk_auth_index *b, char *why,
                         size_t why_size)
{
    size_t at = 0;
    const struct alk_index_key *key;
    while ((key = alk_map_next(&a->key_map, &at)) != NULL) {
        for (size_t i = 0; i < key->name_count; i++) {
            const struct alk_index_key *other =
                alk_map_get(&b->key_map, alk_span_str(key->name[i]));
            if (other != NULL) {
                (void)alk_why(why, why_size, "the key %s belongs to '%s' in %s and to '%s' in %s",
                              key->name[i], key->id, key->where, other->id, other->where);
                return true;
            }
        }
    }
    return false;
}

static bool tokens_overlap(const struct alk_auth_index *a, const struct alk_auth_index *b,
                           char *why, size_t why_size)
{
    size_t at = 0;
    const struct alk_index_token *token;
    while ((token = alk_map_next(&a->token_map, &at)) != NULL) {
        const struct alk_index_token *other =
            alk_map_get(&b->token_map, alk_span_str(token->prefix));
        if (other != NULL) {
            (void)alk_why(why, why_size, "the token %s is defined in %s and in %s", token->prefix,
                          token->where, other->where);
            return true;
        }
    }
    return false;
}

bool alk_auth_index_overlaps(const struct alk_auth_index *a, const struct alk_auth_index *b,
                             char *why, size_t why_size)
{
    if (a == NULL || b == NULL) {
        return false;
    }
    return peers_overlap(a, b, why, why_size) || keys_overlap(a, b, why, why_size) ||
           tokens_overlap(a, b, why, why_size);
}
