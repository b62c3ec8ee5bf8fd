/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/home.h - the client's own files: key, configuration, known nodes.
 *
 *     $XDG_CONFIG_HOME/alknet or ~/.config/alknet    key config.yaml joined.yaml known_nodes
 *     $XDG_STATE_HOME/alknet or ~/.local/state/alknet    sessions/ (TLS tickets)
 *         operations/ (for completions)
 */
#ifndef ALK_CLI_HOME_H
#define ALK_CLI_HOME_H

#include "cli.h"

#include <limits.h>

struct cli_home {
    char config_dir[PATH_MAX];
    char key[PATH_MAX];
    char config[PATH_MAX];
    char joined[PATH_MAX]; /* as config, but written by `join` alone */
    char known_nodes[PATH_MAX];
    char sessions[PATH_MAX];
    char operations[PATH_MAX];
};

/* Finds the paths; makes nothing. ALK_E_NOENT: there is no home directory. */
ALK_NODISCARD alk_err cli_home_find(struct cli_home *ret);

extern const struct alk_conf_row cli_config_rows[]; /* of config.yaml */
/* Reads config.yaml. No file: ALK_OK and *ret NULL. CLI exit status otherwise:
 * errors were printed. */
int cli_home_config(struct cli *cli, const struct cli_home *home, const struct alk_conf **ret);
/* The same of what `join` has written. */
int cli_home_joined(struct cli *cli, const struct cli_home *home, const struct alk_conf **ret);
/* Remembers a node under a name, by rename; a node of that name in the file is replaced. */
int cli_home_remember(struct cli *cli, const struct cli_home *home, const char *name,
                      const char *address);

#endif
