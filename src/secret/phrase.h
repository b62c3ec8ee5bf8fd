/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/phrase.h - parts of a phrase's way to its seed. */
#ifndef ALKSEC_PHRASE_H
#define ALKSEC_PHRASE_H

#include "alknet-secret/secret.h"

/* A right phrase in lower case with single spaces; the rest of ret is zero. Errors as
 * alksec_phrase_check. A secret. */
ALKSEC_NODISCARD alksec_err alksec_phrase_canonical(const char *phrase, size_t n,
                                                    char ret[ALKSEC_PHRASE_SIZE]);

/* NFKD of UTF-8 text, without any copy of it left on the heap. ALKSEC_E_TEXT: not
 * UTF-8, longer than ALKSEC_PASSPHRASE_MAX before or after, or more than
 * ALKSEC_MARKS_MAX combining marks in a row. The text is a secret. */
#define ALKSEC_MARKS_MAX 30
ALKSEC_NODISCARD alksec_err alksec_normalise(const char *text, size_t n,
                                             char ret[ALKSEC_PASSPHRASE_MAX], size_t *ret_n);

#endif
