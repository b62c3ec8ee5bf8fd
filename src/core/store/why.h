/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/why.h - one sentence for a person beside an error.
 *
 *     return alk_say(why, ALK_E_PERM, "%s is open to others; run: chmod 600 %s", p, p);
 */
#ifndef ALK_CORE_STORE_WHY_H
#define ALK_CORE_STORE_WHY_H

#include "base/err.h"

/* Where the sentence goes; size 0: nobody wants it. Borrows. */
struct alk_why {
    char *text;
    size_t size;
};

/* Writes the sentence (cut where it does not fit) and returns err. */
alk_err alk_say(struct alk_why why, alk_err err, const char *fmt, ...) ALK_PRINTF(3, 4);
/* "cannot <what> <path>: <the system's reason>" with the class of errno. */
alk_err alk_say_errno(struct alk_why why, const char *what, const char *path);

#endif
