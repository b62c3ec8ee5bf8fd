/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/key.h - Ed25519 private keys: the text of key files, and alk_key.
 *
 * Read: PKCS#8 PEM [RFC 8410 §7] and OpenSSH's own format, both unencrypted.
 * Written: PKCS#8 PEM, as openssl and ssh-keygen -m PKCS8 read it. Pure and
 * bounded; files are core/store's affair. A seed is a secret: whoever gets one
 * wipes it.
 */
#ifndef ALK_CORE_TLS_KEY_H
#define ALK_CORE_TLS_KEY_H

#include "alknet/client.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define ALK_ED25519_SEED 32
#define ALK_ED25519_KEY  32
/* Longest key file that is read, in bytes. */
#define ALK_KEY_FILE_MAX 16384

struct alk_key {
    const struct alk_mem *mem;
    uint8_t seed[ALK_ED25519_SEED];
    uint8_t public_key[ALK_ED25519_KEY];
};

/* Copies the seed. Freed with alk_key_free (alknet/client.h). ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_key_new(const struct alk_mem *mem, const uint8_t seed[static 32],
                                  struct alk_key **ret);

/* ALK_E_UNSUPPORTED: encrypted. ALK_E_INVALID: a key of another kind than Ed25519.
 * ALK_E_MALFORMED: not a private key. ALK_E_TOO_BIG. *ret_seed changes only on
 * ALK_OK. */
ALK_NODISCARD alk_err alk_key_parse_seed(struct alk_span text, uint8_t ret_seed[static 32]);
/* What a failure of parse_seed means and what to do: a clause for messages, static
 * text. */
const char *alk_key_parse_text(alk_err err);
ALK_NODISCARD alk_err alk_key_print_pem(const uint8_t seed[static 32], struct alk_buf *ret);
void alk_key_public_of(const uint8_t seed[static 32], uint8_t ret[static 32]);

#endif
