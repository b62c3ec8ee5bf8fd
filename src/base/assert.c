/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/assert.h"

#include <stddef.h>

/* The one piece of mutable global state of the library: assertions must work
 * where no object is at hand. Set once at start, before any thread exists.
 * lint: globals: see above */
static alk_assert_fn *hook;

void alk_assert_hook(alk_assert_fn *fn)
{
    hook = fn;
}

_Noreturn void alk_assert_failed(const char *file, int line, const char *what)
{
    if (hook != NULL) {
        hook(file, line, what);
    }
    __builtin_trap();
}
