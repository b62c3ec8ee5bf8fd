/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* probe/probe.h - the handlers behind `alknet ping`, `alknet bench`, and clients
 * that meet a node whose key is not the one they know.
 *
 * alknet/ping   open to everybody, safe in early data: a stream's bytes come back
 *               as they are, at most ALK_PING_STREAM_MAX of them; more is reset
 *               with code 5. What comes back is never more than what came.
 *
 * alknet/bench  needs an identity with the scope `bench` (or admin), shown by key
 *               or by a token in front. A stream begins with a request:
 *
 *                 [ 'T' u8 length, token ]   optional
 *                 'S' u64 n    source: n bytes come back, then the end
 *                 'K' u64 n    sink: bytes are taken until the end (n is not used);
 *                              their number comes back as u64
 *                 'E' u64 n    echo: bytes come back until the end (n is not used)
 *
 * alknet/id     open to everybody: a stream brings the node's statements of key
 *               rotation (core/auth/rotation.h), a line each, and ends. What the
 *               peer sends is not looked at. Read when the service starts.
 *
 * All run in process.
 */
#ifndef ALK_PROBE_PROBE_H
#define ALK_PROBE_PROBE_H

#include "alknet/handler.h"

#define ALK_PING_ALPN       "alknet/ping"
#define ALK_BENCH_ALPN      "alknet/bench"
#define ALK_ID_ALPN         "alknet/id"
#define ALK_BENCH_SCOPE     "bench"
#define ALK_PING_STREAM_MAX ((size_t)65536)
#define ALK_BENCH_HEAD      9 /* bytes of a request: letter and u64, big-endian */

extern const struct alk_handler alk_ping_handler;  /* name "ping" */
extern const struct alk_handler alk_bench_handler; /* name "bench" */
extern const struct alk_handler alk_id_handler;    /* name "id" */

#endif
