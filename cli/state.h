/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/state.h - a node's own state, for the commands that work on it: through its
 * admin socket while it runs, else on its files under the data directory's lock.
 *
 * Which node: --dir D, or data_dir of the configuration (--config F, or the file
 * that `serve` would take), or the default.
 */
#ifndef ALK_CLI_STATE_H
#define ALK_CLI_STATE_H

#include "cli.h"
#include "core/config/node.h"
#include "core/store/datadir.h"

#include <limits.h>

struct cli_state {
    struct cli *cli;
    char config_file[PATH_MAX]; /* ""; no file: the defaults */
    const struct alk_static_config *fixed;
    const struct alk_dynamic_config *config;
};

/* All handlers that this program serves; *ret_n of them. Static. */
const struct alk_handler *const *cli_handlers(size_t *ret_n);

/* The absolute path, without "./" before it; ret_size is PATH_MAX at the most. False: it
 * does not fit. */
bool cli_path_here(const char *path, char *ret, size_t ret_size);

/* The configuration file that holds for these options: --config, <--dir>/alknet.yaml,
 * /etc/alknet/alknet.yaml (root), <default data_dir>/alknet.yaml; "" when there
 * is none. CLI_OK or a status; then a message was written. */
int cli_config_file(struct cli *cli, const struct cli_args *args, char *ret, size_t ret_size);

/* Reads the configuration (services are not looked at when !with_services).
 * Free with cli_state_close, also after a failure. */
int cli_state_open(struct cli *cli, const struct cli_args *args, bool with_services,
                   struct cli_state *ret);
/* The same without services, and without a word about mistakes in the file. */
int cli_state_try(struct cli *cli, const struct cli_args *args, struct cli_state *ret);
/* Where the node is, whatever else is wrong with the file: its data_dir alone is
 * read, and nothing printed. False: not even that. */
bool cli_state_where(struct cli *cli, const struct cli_args *args, struct cli_state *ret);
void cli_state_close(struct cli_state *state);

/* Asks the running node. ALK_E_UNREACHABLE: none runs. As alk_admin_ask. */
ALK_NODISCARD alk_err cli_state_ask(const struct cli_state *state, const char *operation,
                                    struct alk_span input, char *why, size_t why_size,
                                    struct yyjson_doc **ret_doc, struct yyjson_val **ret_output);
/* An operation auth/...: the running node's, else on the store. Takes input (a
 * document with its root set). Returns a status, after printing what is wrong. */
int cli_state_auth(const struct cli_state *state, const char *operation,
                   struct yyjson_mut_doc *input, struct yyjson_doc **ret_doc,
                   struct yyjson_val **ret_output);
/* The same without asking a node, on a directory that is locked already. */
ALK_NODISCARD alk_err cli_store_auth(const struct cli_state *state, const char *operation,
                                     struct yyjson_val *input, char *why, size_t why_size,
                                     struct yyjson_doc **ret_doc);
/* Root becomes the user whose directory that is, for good: whatever that user may
 * have planted there (a link where SQLite puts its journal) then reaches no further
 * than the user itself. No effect for others, and for root's own directories. */
int cli_become_owner(struct cli *cli, const char *dir);
/* Opens the data directory under its lock, for as long as no node runs; as its
 * owner. */
int cli_state_datadir(const struct cli_state *state, struct alk_datadir **ret);

#endif
