/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/trace.h - the `traceparent` of W3C Trace Context: what may be one. Pure.
 *
 *     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *     version, trace-id, parent-id, flags: lower-case hex
 *
 * It is carried as it came; nothing of it is interpreted.
 */
#ifndef ALK_OPS_TRACE_H
#define ALK_OPS_TRACE_H

#include "base/span.h"

/* Of a version that we do not know; ours have 55 bytes. */
#define ALK_TRACEPARENT_MAX 256

/* False: it is to be treated as absent [W3C Trace Context §3.2.2]. */
bool alk_traceparent_is_valid(struct alk_span s);

#endif
