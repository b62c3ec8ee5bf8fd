/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* NFKD through libunistring, kept off the heap.
 *
 * u8_normalize writes into the buffer it is given as long as the result fits, and
 * sorts combining marks in an array on the stack as long as there are no more
 * than 64 in a row. Beyond either it would move to heap memory that nobody wipes,
 * so both are limits here.
 */
#include "phrase.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

/* The most that a text grows: U+FDFA, 3 bytes, becomes 33. */
#define GROWTH 12

static bool is_ascii(const char *text, size_t n)
{
    unsigned all = 0;
    for (size_t i = 0; i < n; i++) {
        all |= (unsigned char)text[i];
    }
    return all < 0x80;
}

/* No run of marks that would need memory. */
static bool is_sane(const uint8_t *text, size_t n)
{
    unsigned run = 0;
    for (size_t at = 0; at < n;) {
        ucs4_t c;
        int step = u8_mbtouc(&c, text + at, n - at);
        run = uc_combining_class(c) == 0 ? 0 : run + 1;
        if (step <= 0 || run > ALKSEC_MARKS_MAX) {
            return false;
        }
        at += (size_t)step;
    }
    return true;
}

alksec_err alksec_normalise(const char *text, size_t n, char ret[ALKSEC_PASSPHRASE_MAX],
                            size_t *ret_n)
{
    uint8_t room[ALKSEC_PASSPHRASE_MAX * GROWTH];
    const uint8_t *in = (const uint8_t *)text;
    size_t size = sizeof room;
    alksec_err err = ALKSEC_E_TEXT;

    if (n > ALKSEC_PASSPHRASE_MAX) {
        return ALKSEC_E_TEXT;
    }
    if (is_ascii(text, n)) {
        if (n > 0) {
            memcpy(ret, text, n);
        }
        *ret_n = n;
        return ALKSEC_OK;
    }
    if (u8_check(in, n) != NULL || !is_sane(in, n)) {
        return ALKSEC_E_TEXT;
    }
    uint8_t *out = u8_normalize(UNINORM_NFKD, in, n, room, &size);
    if (out == room && size <= ALKSEC_PASSPHRASE_MAX) {
        memcpy(ret, room, size);
        *ret_n = size;
        err = ALKSEC_OK;
    }
    if (out != NULL && out != room) {
        sodium_memzero(out, size);
        free(out);
    }
    sodium_memzero(room, sizeof room);
    return err;
}
