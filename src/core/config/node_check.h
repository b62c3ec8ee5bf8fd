/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/node_check.h - what tables cannot say: checks over several rows of
 * the node's configuration. They report and go on.
 */
#ifndef ALK_CORE_CONFIG_NODE_CHECK_H
#define ALK_CORE_CONFIG_NODE_CHECK_H

#include "core/config/node.h"

/* An alk_conf_verify_fn; ctx is the struct alk_config_options. */
alk_err alk_config_verify(void *ctx, const struct alk_conf *root, struct alk_conf_report *report);
/* The part about `auth`: ids, keys and tokens that stand there twice, grants. */
ALK_NODISCARD alk_err alk_config_verify_auth(const struct alk_mem *mem, const struct alk_conf *auth,
                                             struct alk_conf_report *report);

/* What services and their checks both need. */

/* The handler of a custom service, by what stands in it: "exec" or "forward";
 * NULL: neither, or both. */
const char *alk_config_custom_kind(const struct alk_conf *service);
const struct alk_handler *alk_config_handler(const struct alk_config_options *options,
                                             const char *name);

#endif
