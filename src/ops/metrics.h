/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/metrics.h - what a registry counts, as Prometheus reads it. Any thread. */
#ifndef ALK_OPS_METRICS_H
#define ALK_OPS_METRICS_H

#include "base/buf.h"
#include "base/err.h"

struct alk_ops;

/* Appends counters and histograms of every operation that was ever called, text
 * format 0.0.4. When *b runs full the rest is left out, and a comment says so.
 * ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_ops_metrics_print(struct alk_ops *ops, struct alk_buf *b);

#endif
