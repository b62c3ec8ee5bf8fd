/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/err.h - the public error type plus the one macro that hides control flow. */
#ifndef ALK_BASE_ERR_H
#define ALK_BASE_ERR_H

#include "alknet/err.h"
#include "base/assert.h"

/* Returns the error of a call; only where the function owns nothing. Positive
 * values return too: use it for calls that give ALK_OK or fail. */
#define ALK_TRY(expr)                                                                              \
    do {                                                                                           \
        alk_err alk_try_err_ = (expr);                                                             \
        if (alk_try_err_ != ALK_OK) {                                                              \
            return alk_try_err_;                                                                   \
        }                                                                                          \
    } while (0)

#endif
