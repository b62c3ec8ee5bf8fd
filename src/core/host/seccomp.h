/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/seccomp.h - the system call filter of the sandbox. */
#ifndef ALK_CORE_HOST_SECCOMP_H
#define ALK_CORE_HOST_SECCOMP_H

#include <stdbool.h>

/* Installs the filter on all threads of the process, for good. What a service has
 * no business with fails with EPERM; ptrace and foreign architectures kill.
 * False: not available. Sets no_new_privs. */
bool alk_seccomp_enter(void);

#endif
