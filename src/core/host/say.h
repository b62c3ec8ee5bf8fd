/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/say.h - a line about a service in the log. Any thread. */
#ifndef ALK_CORE_HOST_SAY_H
#define ALK_CORE_HOST_SAY_H

#include "alknet/handler.h"

#include <stdarg.h>

/* "NAME: LOG_ID: text", without LOG_ID when it is "". At most 511 bytes of text; the rest is
 * cut. log NULL: nothing. */
ALK_PRINTF(6, 0)
void alk_service_vsay(alk_log_fn *log, void *ctx, enum alk_log_level level, const char *name,
                      const char *log_id, const char *fmt, va_list args);

#endif
