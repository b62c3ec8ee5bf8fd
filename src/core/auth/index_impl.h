/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/index_impl.h - the inside of an index, for index.c and index_build.c.
 *
 * Nodes are allocated one by one, so that the maps can borrow their keys, and are
 * chained in order of adding.
 */
#ifndef ALK_CORE_AUTH_INDEX_IMPL_H
#define ALK_CORE_AUTH_INDEX_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "core/auth/fingerprint.h"
#include "core/auth/index.h"

#include <stdatomic.h>

/* A place, shared by the nodes that stand there one after the other. */
struct alk_index_where {
    struct alk_link link;
    char text[]; /* zero-terminated */
};

struct alk_index_peer {
    struct alk_link link;
    const struct alk_identity *identity; /* owns a reference */
    const char *where;                   /* borrows from the index */
};

/* One key under all the names that are known of it. */
struct alk_index_key {
    struct alk_link link;
    char name[ALK_KEY_NAMES_MAX][ALK_FINGERPRINT_MAX];
    size_t name_count;
    char id[ALK_ID_MAX + 1];
    const struct alk_index_peer *owner; /* set by finish */
    const char *where;
};

struct alk_index_token {
    struct alk_link link;
    char prefix[ALK_TOKEN_PREFIX_LEN + 1];
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    char id[ALK_ID_MAX + 1];
    uint64_t expires_at;
    enum alk_token_purpose purpose;
    bool is_narrowed;
    bool may_dangle;
    /* Owns a reference. Until finish: carries the scopes of a narrowed token;
     * afterwards: whom the token stands for. */
    const struct alk_identity *identity;
    const char *where;
};

struct alk_auth_index {
    atomic_size_t refs;
    const struct alk_mem *mem;
    uint64_t generation;
    struct alk_list places, peers, keys, tokens; /* own their nodes */
    struct alk_map peer_map, key_map, token_map;
    const struct alk_index_peer **by_order; /* owns; peer_map.n entries, set by finish */
};

/* Frees everything, whatever the count says. */
void alk_index_destroy(struct alk_auth_index *index);

#endif
