/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/std.h - the pieces of alk_ops_add_standard (ops/dispatch.h). */
#ifndef ALK_OPS_STD_H
#define ALK_OPS_STD_H

#include "alknet/ops.h"

#define ALK_BATCH_MAX 100 /* calls of one batch */

extern const struct alk_op alk_batch_op;

#endif
