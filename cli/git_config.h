/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/git_config.h - what the user has set in git's configuration for us.
 *
 * `alknet.NAME` holds for all remotes, `remote.REMOTE.alknetNAME` for one and wins.
 * Each becomes an option of cli_node_opts, so that it means what it means for every
 * other command. Pure.
 */
#ifndef ALK_CLI_GIT_CONFIG_H
#define ALK_CLI_GIT_CONFIG_H

#include "cli.h"

enum cli_git_setting {
    CLI_GIT_IDENTITY,
    CLI_GIT_ANONYMOUS,
    CLI_GIT_TOKEN_FILE,
    CLI_GIT_TRANSPORT,
    CLI_GIT_TRUST,
    CLI_GIT_CA,
    CLI_GIT_TIMEOUT,
    CLI_GIT_SETTING_COUNT
};

/* The keys to ask git for: `git config -z --get-regexp CLI_GIT_CONFIG_KEYS`. */
#define CLI_GIT_CONFIG_KEYS "^(alknet\\..*|remote\\..*\\.alknet.*|protocol\\.version)$"

struct cli_git_config {
    const char *value[CLI_GIT_SETTING_COUNT]; /* NULL: not set */
    unsigned version;                         /* of git's protocol: 0, 1, 2 */
};

/* Reads what git has printed (-z: KEY LF VALUE NUL, or KEY NUL). Values borrow from
 * text, which must end in NUL or be empty. Unknown keys are passed over. */
void cli_git_config_read(struct alk_span text, const char *remote, struct cli_git_config *ret);

/* "version=N", alone or among others after colons, as in GIT_PROTOCOL; what is not
 * there changes nothing. */
void cli_git_config_protocol(const char *text, unsigned *version);

/* The settings as words for cli_parse; at most CLI_GIT_WORDS_MAX. A path that begins
 * with ~/ is one of `home` (NULL: stays). Words borrow from *c and from room.
 * ALK_E_INVALID with a sentence in why: a value is none that the setting can have. */
#define CLI_GIT_WORDS_MAX 16
#define CLI_GIT_ROOM      (4 * 4096)
ALK_NODISCARD alk_err cli_git_config_words(const struct cli_git_config *c, const char *home,
                                           char room[static CLI_GIT_ROOM],
                                           const char *ret[static CLI_GIT_WORDS_MAX],
                                           int *ret_count, char *why, size_t why_size);

#endif
