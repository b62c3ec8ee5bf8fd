/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/auth_db.h - peers and tokens that are managed by command, in
 * <data_dir>/alknet.db.
 *
 * Every change is one transaction; several can be joined with begin and commit.
 * The way of `alknet peer add` in a running node: begin, peer_add, build an index
 * of configuration and store (alk_auth_db_build), commit if that succeeds, swap
 * the index in; else rollback and show the message. So nothing is ever stored
 * that the next start would refuse.
 *
 * Blocks on the disk: for a worker, the admin socket or the CLI, never during
 * packet handling. One thread at a time. No secret is stored: of a token only
 * prefix and SHA-256.
 */
#ifndef ALK_CORE_STORE_AUTH_DB_H
#define ALK_CORE_STORE_AUTH_DB_H

#include "core/auth/index.h"
#include "core/store/db.h"

#define ALK_AUTH_DB_FILE "alknet.db"

struct alk_auth_db;

/* Opens or creates <data_dir>/alknet.db. Errors and message as alk_db_open. */
ALK_NODISCARD alk_err alk_auth_db_open(const struct alk_mem *mem, const char *data_dir,
                                       char *message, struct alk_auth_db **ret);
void alk_auth_db_close(struct alk_auth_db *db);
/* One sentence about the last failure, for the operator. */
const char *alk_auth_db_message(const struct alk_auth_db *db);

/* As alk_db_begin and its kin: they nest, and a commit that fails has rolled back. */
ALK_NODISCARD alk_err alk_auth_db_begin(struct alk_auth_db *db);
ALK_NODISCARD alk_err alk_auth_db_commit(struct alk_auth_db *db);
void alk_auth_db_rollback(struct alk_auth_db *db);

/* now: Unix seconds. keys in any form of alk_key_parse. ALK_E_INVALID: id, key,
 * scope or grant is wrong. ALK_E_EXISTS: id or key is in the store already; the
 * message names the owner. ALK_E_DB, ALK_E_IO, ALK_E_BUSY, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_auth_db_peer_add(struct alk_auth_db *db,
                                           const struct alk_identity_spec *spec,
                                           const struct alk_span *keys, size_t key_count,
                                           uint64_t now);
/* One more key for a peer. ALK_E_NOENT: no such peer in the store. */
ALK_NODISCARD alk_err alk_auth_db_key_add(struct alk_auth_db *db, struct alk_span id,
                                          struct alk_span key, uint64_t now);
/* `peer disable`, `peer enable`. ALK_E_NOENT. */
ALK_NODISCARD alk_err alk_auth_db_peer_enable(struct alk_auth_db *db, struct alk_span id,
                                              bool is_enabled);
/* With its keys, grants and tokens. ALK_E_NOENT. */
ALK_NODISCARD alk_err alk_auth_db_peer_remove(struct alk_auth_db *db, struct alk_span id);

/* A peer as it is listed; borrows until fn returns. */
struct alk_auth_db_peer {
    struct alk_identity_spec spec;
    const struct alk_span *keys; /* canonical names */
    size_t key_count;
    uint64_t created_at; /* Unix seconds */
};
/* Calls fn for each, by id, from the first after `after` (empty: from the beginning); what
 * fn returns but ALK_OK ends the walk and is returned. */
typedef alk_err alk_auth_db_peer_fn(void *ctx, const struct alk_auth_db_peer *peer);
ALK_NODISCARD alk_err alk_auth_db_peer_list(struct alk_auth_db *db, struct alk_span after,
                                            alk_auth_db_peer_fn *fn, void *ctx);

struct alk_auth_db_token_spec {
    struct alk_span id;
    bool is_known; /* id stands in the configuration; otherwise it must be in the store */
    bool is_narrowed;
    const struct alk_span *scopes;
    size_t scope_count;
    uint64_t expires_at; /* Unix seconds; 0: never */
    /* Of an invitation, scopes are what the new peer gets, and id need not exist. */
    enum alk_token_purpose purpose;
};
/* A new token: ret is its text, shown once and then wiped by the caller; it is
 * stored nowhere. ALK_E_NOENT: no such id. ALK_E_INVALID: a scope is wrong, or
 * expires_at is not after now. */
ALK_NODISCARD alk_err alk_auth_db_token_new(struct alk_auth_db *db, const struct alk_rand *rand,
                                            const struct alk_auth_db_token_spec *spec, uint64_t now,
                                            char ret[static ALK_TOKEN_SIZE]);
/* By its 8 public characters; the whole token and "alk_" + prefix are taken too.
 * ALK_E_NOENT; ALK_E_INVALID. */
ALK_NODISCARD alk_err alk_auth_db_token_revoke(struct alk_auth_db *db, struct alk_span prefix);
/* Where a token lies in the store. */
struct alk_auth_db_place {
    uint64_t created_at; /* Unix seconds */
    uint64_t row;        /* rises with each that is made; never 0 */
};
/* By creation, from the first after that row (0: from the beginning). Expired ones too.
 * What fn returns but ALK_OK ends the walk and is returned. */
typedef alk_err alk_auth_db_token_fn(void *ctx, const struct alk_auth_token *token,
                                     const struct alk_auth_db_place *place);
ALK_NODISCARD alk_err alk_auth_db_token_list(struct alk_auth_db *db, uint64_t after_row,
                                             alk_auth_db_token_fn *fn, void *ctx);

/* The one with this prefix, expired or not. ALK_E_NOENT, or what fn returned. */
ALK_NODISCARD alk_err alk_auth_db_token_find(struct alk_auth_db *db, struct alk_span prefix,
                                             alk_auth_db_token_fn *fn, void *ctx);

/* Adds everything to a builder, with the place "store". */
ALK_NODISCARD alk_err alk_auth_db_load(struct alk_auth_db *db, struct alk_auth_builder *b);
/* Configuration (section `auth`, may be NULL) and store in one index. db NULL: the
 * configuration alone. ALK_E_CONFIG: *ret_message (gives, from mem; may be NULL)
 * tells all that is wrong, one per line. */
ALK_NODISCARD alk_err alk_auth_db_build(struct alk_auth_db *db, const struct alk_conf *auth,
                                        const struct alk_mem *mem, const struct alk_rand *rand,
                                        uint64_t generation, char **ret_message,
                                        const struct alk_auth_index **ret);

#endif
