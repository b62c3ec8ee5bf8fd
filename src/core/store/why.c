/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/why.h"

#include "core/store/file.h"

#include <errno.h>
#include <stdarg.h>

alk_err alk_say(struct alk_why why, alk_err err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (why.size > 0) {
        (void)vsnprintf(why.text, why.size, fmt, args);
    }
    va_end(args);
    return err;
}

alk_err alk_say_errno(struct alk_why why, const char *what, const char *path)
{
    int error = errno;
    return alk_say(why, alk_file_err(error), "cannot %s %s: %s", what, path, strerror(error));
}
