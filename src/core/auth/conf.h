/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/conf.h - checks for the rows of the configuration's `auth` section,
 * so that mistakes are shown where they stand, with a caret.
 */
#ifndef ALK_CORE_AUTH_CONF_H
#define ALK_CORE_AUTH_CONF_H

#include "alknet/conf.h"

/* Each is an alk_conf_check_fn for a string. */
alk_err alk_auth_check_id(const struct alk_conf *value, char *why, size_t why_size);
alk_err alk_auth_check_key(const struct alk_conf *value, char *why, size_t why_size);
alk_err alk_auth_check_scope(const struct alk_conf *value, char *why, size_t why_size);
alk_err alk_auth_check_prefix(const struct alk_conf *value, char *why, size_t why_size);
alk_err alk_auth_check_hash(const struct alk_conf *value, char *why, size_t why_size);
alk_err alk_auth_check_date(const struct alk_conf *value, char *why, size_t why_size);

#endif
