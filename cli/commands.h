/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/commands.h - the commands' tables, one file each. */
#ifndef ALK_CLI_COMMANDS_H
#define ALK_CLI_COMMANDS_H

#include "args.h"

extern const struct cli_command cli_bench_command;
extern const struct cli_command cli_call_command;
extern const struct cli_command cli_completion_command;
extern const struct cli_command cli_config_command;
extern const struct cli_command cli_dial_command;
extern const struct cli_command cli_doctor_command;
extern const struct cli_command cli_help_command;
extern const struct cli_command cli_id_command;
extern const struct cli_command cli_invite_command;
extern const struct cli_command cli_join_command;
extern const struct cli_command cli_init_command;
extern const struct cli_command cli_man_command;
extern const struct cli_command cli_peer_command;
extern const struct cli_command cli_ping_command;
extern const struct cli_command cli_publish_command;
extern const struct cli_command cli_ops_command;
extern const struct cli_command cli_reload_command;
extern const struct cli_command cli_secret_command;
extern const struct cli_command cli_serve_command;
extern const struct cli_command cli_status_command;
extern const struct cli_command cli_subscribe_command;
extern const struct cli_command cli_token_command;
extern const struct cli_command cli_tunnel_command;
extern const struct cli_command cli_version_command;
extern const struct cli_command cli_worker_command;

#endif
