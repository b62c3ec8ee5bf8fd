/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/secret_key.h - files with derived keys.
 *
 * A file of encryption keys has one key per line, "# ..." and empty lines besides:
 *
 *     alknet-encryption-key VERSION BASE64
 */
#ifndef ALK_CLI_SECRET_KEY_H
#define ALK_CLI_SECRET_KEY_H

#include "cli.h"

#include "alknet-secret/secret.h"
#include "base/buf.h"

/* An Ed25519 key as OpenSSH's own private key file, without encryption. */
ALK_NODISCARD alk_err cli_key_print_openssh(const uint8_t seed[static 32], const char *comment,
                                            struct alk_buf *ret);
ALK_NODISCARD alk_err cli_key_print_encryption(uint32_t version, const uint8_t key[static 32],
                                               struct alk_buf *ret);

#endif
