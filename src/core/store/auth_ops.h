/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/auth_ops.h - the operations `auth/...` on the store, as JSON in and
 * out: what the admin socket of a running node and the commands without one do
 * alike.
 *
 *     auth/token/new     {id, scopes?: [..], expires?: "7d"} -> {token, prefix, id, ...}
 *     auth/token/list    {cursor?, limit?}
 *                        -> {tokens: [{prefix, id, scopes?, expires_at?, created_at}], next?}
 *     auth/token/revoke  {prefix} -> {prefix}
 *     auth/peer/add      {id, keys: [..], scopes?: [..], add_key?: bool} -> {id}
 *     auth/peer/list     {cursor?, limit?}
 *                        -> {peers: [{id, keys, scopes, enabled, from, created_at?}], next?}
 *     auth/peer/disable  {id} -> {id}
 *     auth/peer/enable   {id} -> {id}
 *     auth/peer/remove   {id} -> {id}
 *     auth/invite/new    {id, scopes?: [..], expires?: "24h", add_key?: bool}
 *                        -> {token, prefix, id, scopes, expires_at}
 *     auth/enroll        {token, key} -> {id, scopes}; the token is used up
 *
 * Lists come in pages, each of which fits into a frame: while there is a next, that is
 * the cursor of the following page. limit: 1 to 1000 entries.
 *
 * A change is one transaction that `check` may refuse: nothing is ever stored
 * that the next start would refuse. Blocks on the disk.
 */
#ifndef ALK_CORE_STORE_AUTH_OPS_H
#define ALK_CORE_STORE_AUTH_OPS_H

#include "alknet/conf.h"
#include "base/rand.h"
#include "core/store/auth_db.h"

#include <yyjson.h>

#define ALK_AUTH_OPS_WHY 1024

struct alk_auth_ops {
    const struct alk_mem *mem;
    const struct alk_rand *rand;
    struct alk_auth_db *db;
    const struct alk_conf *auth; /* section `auth` of the configuration; NULL: none */
    uint64_t generation;         /* of the index that a change makes */
    uint64_t unix_s;
    /* A change is stored and this index is what it made: take a reference. NULL: the
     * index is dropped. */
    void (*adopt)(void *ctx, const struct alk_auth_index *index);
    void *ctx;
};

/* Whether the name (without leading slash) is one of the above. */
bool alk_auth_ops_has(const char *name);
/* Runs one. ALK_OK: *ret is the output, built in doc. Else why holds what to tell
 * the person: ALK_E_INVALID, ALK_E_NOENT, ALK_E_EXISTS, ALK_E_CONFIG, and the
 * store's. */
ALK_NODISCARD alk_err alk_auth_ops_run(const struct alk_auth_ops *ops, const char *name,
                                       struct yyjson_val *input, struct yyjson_mut_doc *doc,
                                       char *why, size_t why_size, struct yyjson_mut_val **ret);

#endif
