/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/keyring.h - the keys that open the encrypted values of a configuration
 * (docs/adr/0016-encrypted-values.md).
 *
 * They stand in one key file (cli/secret_key.h), which must be private: --key-file, else
 * encryption.key among systemd's credentials, else encryption.key in the data
 * directory. It is read again for each value, so that a reload sees what was added;
 * when the system no longer lets us (the node has given up root), the keys of the
 * last time hold. They live in memory that is locked where the system allows, left
 * out of core dumps and of processes that are forked.
 */
#ifndef ALK_CLI_KEYRING_H
#define ALK_CLI_KEYRING_H

#include "cli.h"
#include "core/config/conf.h"

#define CLI_KEY_FILE "encryption.key"

extern const struct cli_opt cli_key_opts[]; /* --key-file */

struct cli_keyring;

/* Reads nothing. cli and args must outlive it. CLI_OK or a status; then a message
 * was written. */
int cli_keyring_new(struct cli *cli, const struct cli_args *args, struct cli_keyring **ret);
/* Wipes the keys. NULL is allowed. */
void cli_keyring_free(struct cli_keyring *ring);
/* Reads the keys now, while we may: before root is given up. A file that was named by
 * --key-file must be right; of another one that is needed the loader will tell. */
int cli_keyring_load(struct cli_keyring *ring);
/* Borrows until the ring is freed. On one thread at a time. */
const struct alk_conf_opener *cli_keyring_opener(struct cli_keyring *ring);

#endif
