/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call/proto/write.h - frames of the call protocol, appended to a buffer.
 *
 * Pure. JSON spans (input, output, details, caller) are put as they are: the caller
 * knows that each is one strict value. Text spans are escaped, what is not UTF-8 in
 * them becomes U+FFFD. id: 1-64 printable ASCII bytes.
 *
 * All: ALK_E_TOO_BIG: the body would be longer than body_max, or the buffer full.
 * ALK_E_NOMEM. On failure the buffer is as it was and has no sticky error.
 */
#ifndef ALK_CALL_WRITE_H
#define ALK_CALL_WRITE_H

#include "base/buf.h"
#include "call/proto/core.h"

ALK_NODISCARD alk_err alk_call_put_requested(struct alk_buf *b, struct alk_span id,
                                             const struct alk_call_ask *ask, size_t body_max);
ALK_NODISCARD alk_err alk_call_put_responded(struct alk_buf *b, struct alk_span id,
                                             struct alk_span output, size_t body_max);
ALK_NODISCARD alk_err alk_call_put_completed(struct alk_buf *b, struct alk_span id);
/* details empty: left out. */
ALK_NODISCARD alk_err alk_call_put_error(struct alk_buf *b, struct alk_span id, const char *code,
                                         struct alk_span message, bool is_retryable,
                                         struct alk_span details, size_t body_max);
/* reason empty: left out. */
ALK_NODISCARD alk_err alk_call_put_aborted(struct alk_buf *b, struct alk_span id,
                                           struct alk_span reason);
ALK_NODISCARD alk_err alk_call_put_credit(struct alk_buf *b, struct alk_span id, uint64_t n);

#endif
