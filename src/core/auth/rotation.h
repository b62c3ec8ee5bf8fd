/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/rotation.h - "this node's key is now that one", signed by the old.
 *
 * `alknet id rotate` makes a statement; a client that pinned the old key and
 * meets the new one accepts it when statements lead from one to the other. 152
 * bytes (docs/protocol/rotation.md):
 *
 *     magic   16  "alknet-rotate-1\n"
 *     old     32  Ed25519 public key that is given up
 *     new     32  Ed25519 public key that takes its place
 *     time     8  Unix seconds, big-endian
 *     sig     64  Ed25519 by old over the 88 bytes before it
 *
 * As text, on one line: "alknet-rotation:" and base64 without padding. Pure;
 * libsodium, which refuses small-order keys and non-canonical signatures.
 */
#ifndef ALK_CORE_AUTH_ROTATION_H
#define ALK_CORE_AUTH_ROTATION_H

#include "base/err.h"
#include "base/span.h"

#define ALK_ROTATION_SIZE      152
#define ALK_ROTATION_TEXT_SIZE 220 /* 16 + 203 characters and a zero */
#define ALK_ROTATION_CHAIN_MAX 8

struct alk_rotation {
    uint8_t old_key[32];
    uint8_t new_key[32];
    uint64_t unix_s;
    uint8_t signature[64];
};

/* seed: the old key's 32-byte private seed. ALK_E_INVALID: the new key is the
 * old one. The seed is not kept; temporary copies are wiped. */
ALK_NODISCARD alk_err alk_rotation_sign(const uint8_t seed[static 32],
                                        const uint8_t new_key[static 32], uint64_t unix_s,
                                        struct alk_rotation *ret);
/* Whether the old key signed it. ALK_E_AUTH: no. */
ALK_NODISCARD alk_err alk_rotation_verify(const struct alk_rotation *rotation);

void alk_rotation_encode(const struct alk_rotation *rotation,
                         uint8_t ret[static ALK_ROTATION_SIZE]);
/* Exactly ALK_ROTATION_SIZE bytes; the signature is not checked here.
 * ALK_E_MALFORMED. */
ALK_NODISCARD alk_err alk_rotation_decode(struct alk_span bytes, struct alk_rotation *ret);
void alk_rotation_print(const struct alk_rotation *rotation,
                        char ret[static ALK_ROTATION_TEXT_SIZE]);
/* One line, spaces and a line break around it allowed. ALK_E_MALFORMED. */
ALK_NODISCARD alk_err alk_rotation_parse(struct alk_span text, struct alk_rotation *ret);
/* A file of statements, one per line, oldest first; empty lines and lines that
 * begin with '#' are skipped. *ret_n <= ALK_ROTATION_CHAIN_MAX, else ALK_E_LIMIT.
 * ALK_E_MALFORMED. */
ALK_NODISCARD alk_err alk_rotation_parse_list(struct alk_span text,
                                              struct alk_rotation ret[static 8], size_t *ret_n);

/* Whether the statements, oldest first, lead from the pinned key to the one that
 * was presented; statements before the pinned key are skipped. Every statement on
 * the way is verified and none may be older than the one before it.
 * ALK_OK; ALK_E_KEY_CHANGED: they do not lead there; ALK_E_AUTH: a signature on
 * the way is wrong; ALK_E_LIMIT: n > ALK_ROTATION_CHAIN_MAX. */
ALK_NODISCARD alk_err alk_rotation_follow(const struct alk_rotation *chain, size_t n,
                                          const uint8_t pinned[static 32],
                                          const uint8_t presented[static 32]);

#endif
