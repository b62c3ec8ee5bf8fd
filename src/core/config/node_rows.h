/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/node_rows.h - the tables of the node's configuration.
 *
 * The fixed rows are constant; the row `services` is made from the handlers that
 * are there, each with its own settings after the rows that all services share.
 */
#ifndef ALK_CORE_CONFIG_NODE_ROWS_H
#define ALK_CORE_CONFIG_NODE_ROWS_H

#include "core/config/arena.h"
#include "core/config/node.h"

/* Index of the members of require.mode. */
enum { ALK_CONFIG_REQUIRE_IDENTITY, ALK_CONFIG_REQUIRE_NONE };
enum { ALK_CONFIG_ISOLATION_IN_PROCESS, ALK_CONFIG_ISOLATION_PROCESS };

/* The rows that every service has: enabled, require, isolation. */
extern const struct alk_conf_row alk_config_common_rows[];
bool alk_config_is_common_row(const char *name);

/* Whether the handler belongs under services.custom instead of having a section
 * of its own. */
bool alk_config_is_custom_handler(const struct alk_handler *handler);

/* The whole table, from the arena. handlers NULL: `services` takes anything and
 * keeps nothing. ALK_E_INVALID: a handler's name is missing or taken, or its
 * settings use a name that all services have. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_config_table(struct alk_arena *arena,
                                       const struct alk_handler *const *handlers,
                                       size_t handler_count, const struct alk_conf_row **ret);

#endif
