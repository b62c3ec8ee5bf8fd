/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/node_ops.h - the operations that a running node offers on its admin socket
 * (core/io/admin.h lists them).
 */
#ifndef ALK_CLI_NODE_OPS_H
#define ALK_CLI_NODE_OPS_H

#include "core/endpoint.h"
#include "core/io/admin.h"

/* Operations; their ctx is a struct alk_endpoint. */
extern const struct alk_admin_op cli_node_ops[];

#endif
