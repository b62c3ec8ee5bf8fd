/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/out.h - the writer behind alk_out_*: JSON text into a bounded buffer.
 * Pure; allocates only when the buffer grows.
 */
#ifndef ALK_OPS_OUT_H
#define ALK_OPS_OUT_H

#include "alknet/ops.h"
#include "base/buf.h"

#define ALK_OUT_DEPTH_MAX 64

struct alk_out {
    struct alk_buf buf;
    uint64_t is_object; /* bit i: level i is an object */
    unsigned depth;
    bool has_value; /* at this level: a comma is due */
    bool has_key;   /* a value is due */
    bool is_over;   /* one whole value stands there */
    bool is_wrong;  /* a call out of place */
};

void alk_out_init(struct alk_out *out, const struct alk_mem *mem, size_t max);
void alk_out_fini(struct alk_out *out);
void alk_out_clear(struct alk_out *out);
/* ALK_OK: *ret is one whole value ("{}" when nothing was written).
 * ALK_E_STATE: written out of place or not ended. ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_out_done(struct alk_out *out, struct alk_span *ret);

#endif
