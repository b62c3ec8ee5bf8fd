/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/rand.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        /* Fails only with arguments that we do not pass, or before Linux 3.17. */
        ALK_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

struct alk_rand alk_rand_system(void)
{
    return (struct alk_rand){.fill = fill};
}
