/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/why.h - one sentence for the user beside ALK_E_INVALID. */
#ifndef ALK_CORE_AUTH_WHY_H
#define ALK_CORE_AUTH_WHY_H

#include "base/err.h"

/* Writes the sentence, cut to why_size (0: nowhere), and returns ALK_E_INVALID. */
alk_err alk_why(char *why, size_t why_size, const char *fmt, ...) ALK_PRINTF(3, 4);

#endif
