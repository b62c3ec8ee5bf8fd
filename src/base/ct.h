/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/ct.h - constant-time comparison and wiping. */
#ifndef ALK_BASE_CT_H
#define ALK_BASE_CT_H

#include "alknet/types.h"

/* Time depends on the lengths only. */
bool alk_equal_ct(const void *a, const void *b, size_t n);
/* Overwrites with zeros; never optimised away. p may be NULL when n is 0. */
void alk_wipe(void *p, size_t n);

#endif
