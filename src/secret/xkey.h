/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/xkey.h - an extended key's text: 78 bytes and four of a checksum, in
 * base58.
 *
 *     version 4 | depth 1 | parent 4 | index 4 | chain code 32 | key 33
 */
#ifndef ALKSEC_XKEY_H
#define ALKSEC_XKEY_H

#include "key.h"

/* Fills all of a wiped key but mem, and the public key of a private one. Errors as
 * alksec_key_parse; what is in it after a failure is to be wiped. */
ALKSEC_NODISCARD alksec_err alksec_xkey_read(const char *text, size_t n, struct alksec_key *ret);

#endif
