/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/secret_key.h - files with derived keys.
 *
 * A key file, with which a node opens the encrypted values of its configuration, has
 * one key per line, each version once; lines that are empty or begin with # are left
 * out:
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

#define CLI_KEYS_MAX     64
#define CLI_KEY_FILE_MAX ((size_t)16 << 10) /* bytes */

/* Secrets: wiped by whoever has them. */
struct cli_keys {
    size_t count;
    struct {
        uint32_t version;
        uint8_t key[32];
    } keys[CLI_KEYS_MAX];
};

/* Reads the text of a key file. ALK_E_MALFORMED with one sentence in why, which
 * names the line and nothing of what stands there; *ret is wiped then. */
ALK_NODISCARD alk_err cli_keys_parse(struct alk_span text, struct cli_keys *ret, char *why,
                                     size_t why_size);
/* The key of a version, or NULL. Borrows. */
const uint8_t *cli_keys_find(const struct cli_keys *keys, uint32_t version);

#endif
