/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/settings.h - a service's settings as a document that its own table
 * reads. Pure. */
#ifndef ALK_CORE_HOST_SETTINGS_H
#define ALK_CORE_HOST_SETTINGS_H

#include "alknet/conf.h"
#include "base/err.h"

/* The members of conf that `rows` (may be NULL: none) names; others, like
 * `require`, are the endpoint's. Secrets included: wipe it. The text is the
 * caller's, zero-terminated. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_host_settings(const struct alk_mem *mem, const struct alk_conf *conf,
                                        const struct alk_conf_row *rows, char **ret,
                                        size_t *ret_n);

#endif
