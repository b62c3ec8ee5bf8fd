/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/exec_env.h - the environment of a program: PATH and LANG, the
 * service's own variables, and who the peer is. Nothing is inherited. Pure. */
#ifndef ALK_CORE_HOST_EXEC_ENV_H
#define ALK_CORE_HOST_EXEC_ENV_H

#include "alknet/auth.h"
#include "alknet/conf.h"
#include "base/buf.h"
#include "base/err.h"

#define ALK_EXEC_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct alk_exec_env {
    const struct alk_mem *mem;
    struct alk_buf text; /* "NAME=value" words, each with its zero byte */
    const char **words;  /* NULL-terminated; owns the array */
};

/* variables: a dict of strings, may be NULL; they win over PATH and LANG. A value
 * with a zero byte is left out. ALK_E_NOMEM, ALK_E_TOO_BIG; fini also then. */
ALK_NODISCARD alk_err alk_exec_env_init(struct alk_exec_env *env, const struct alk_mem *mem,
                                        const struct alk_conf *variables,
                                        const struct alk_auth_context *auth);
void alk_exec_env_fini(struct alk_exec_env *env);

#endif
