/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/token.h - opaque bearer tokens.
 *
 *     alk_XXXXXXXX_YYYYYYYYYYYYYYYYYYYYYY
 *         prefix   secret: 22 base62 characters, 131 bits
 *
 * The prefix is public: it names the token in lists and in `token revoke`. The
 * secret is shown once; what is stored is the SHA-256 of the whole text. 131
 * random bits need no slow hash. Pure; randomness is passed in.
 */
#ifndef ALK_CORE_AUTH_TOKEN_H
#define ALK_CORE_AUTH_TOKEN_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/span.h"

#define ALK_TOKEN_PREFIX_LEN     8
#define ALK_TOKEN_SECRET_LEN     22
#define ALK_TOKEN_LEN            35 /* characters of the whole text */
#define ALK_TOKEN_SIZE           36 /* and a zero */
#define ALK_TOKEN_HASH_SIZE      32
#define ALK_TOKEN_HASH_TEXT_SIZE 72 /* "sha256:" + 64 hex and a zero */

/* What a token is good for. Numbers are stored: never change them. */
enum alk_token_purpose {
    ALK_TOKEN_NORMAL = 0,
    /* auth/enroll alone; they never resolve to an identity: */
    ALK_TOKEN_INVITATION = 1, /* makes a peer of its id with its scopes */
    ALK_TOKEN_ADD_KEY = 2     /* one more key for a peer that exists */
};

/* A token as it is stored: no secret in it. */
struct alk_auth_token {
    char prefix[ALK_TOKEN_PREFIX_LEN + 1];
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    struct alk_span id;            /* of its identity; borrows */
    bool is_narrowed;              /* false: all scopes of the identity */
    const struct alk_span *scopes; /* of a narrowed token; borrows */
    size_t scope_count;
    uint64_t expires_at; /* Unix seconds; 0: never */
    enum alk_token_purpose purpose;
};

/* A new token, zero-terminated. A secret: wipe it (base/ct.h) once it is shown. */
void alk_token_generate(const struct alk_rand *rand, char ret[static ALK_TOKEN_SIZE]);
/* Exactly this form, nothing around it. ret_prefix borrows from text and is the
 * 8 public characters. False: not a token. Does not depend on the secret. */
bool alk_token_parse(struct alk_span text, struct alk_span *ret_prefix);
/* Whether these are 8 base62 characters. */
bool alk_token_prefix_is_valid(struct alk_span prefix);
/* SHA-256 of the whole text. */
void alk_token_hash(struct alk_span text, uint8_t ret[static ALK_TOKEN_HASH_SIZE]);
/* "sha256:<64 hex>", as the configuration holds it. */
void alk_token_hash_print(const uint8_t hash[static ALK_TOKEN_HASH_SIZE],
                          char ret[static ALK_TOKEN_HASH_TEXT_SIZE]);
/* ALK_E_INVALID. */
ALK_NODISCARD alk_err alk_token_hash_parse(struct alk_span text,
                                           uint8_t ret[static ALK_TOKEN_HASH_SIZE]);

#endif
