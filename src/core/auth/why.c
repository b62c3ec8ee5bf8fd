/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/why.h"

#include <stdarg.h>
#include <stdio.h>

alk_err alk_why(char *why, size_t why_size, const char *fmt, ...)
{
    if (why_size > 0) {
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(why, why_size, fmt, ap);
        va_end(ap);
    }
    return ALK_E_INVALID;
}
