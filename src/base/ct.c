/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/ct.h"

#include <string.h>

bool alk_equal_ct(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t differs = 0;
    for (size_t i = 0; i < n; i++) {
        differs = (uint8_t)(differs | (x[i] ^ y[i]));
    }
    return differs == 0;
}

void alk_wipe(void *p, size_t n)
{
    if (n == 0) {
        return;
    }
    memset(p, 0, n);
    /* The compiler must believe that somebody reads the zeros. */
    __asm__ volatile("" : : "r"(p) : "memory");
}
