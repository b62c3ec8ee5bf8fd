/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/say.h"

#include <stdio.h>

void alk_service_vsay(alk_log_fn *log, void *ctx, enum alk_log_level level, const char *name,
                      const char *log_id, const char *fmt, va_list args)
{
    char text[512];
    char line[640];
    if (log == NULL) {
        return;
    }
    (void)vsnprintf(text, sizeof text, fmt, args);
    (void)snprintf(line, sizeof line, "%s: %s%s%s", name, log_id, log_id[0] == '\0' ? "" : ": ",
                   text);
    log(ctx, level, "service", line);
}
