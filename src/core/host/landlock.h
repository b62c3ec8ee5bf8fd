/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/landlock.h - the Landlock part of the sandbox. */
#ifndef ALK_CORE_HOST_LANDLOCK_H
#define ALK_CORE_HOST_LANDLOCK_H

#include "core/host/sandbox.h"

/* Restricts the calling thread. Returns the parts in force: ALK_SANDBOX_FILES,
 * _NET, _SCOPE, _DATA_DIR. no_new_privs must be set (or CAP_SYS_ADMIN held). */
unsigned alk_landlock_enter(const struct alk_sandbox *sandbox);

#endif
