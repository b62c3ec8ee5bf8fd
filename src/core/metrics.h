/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/metrics.h - counters as Prometheus reads them, and histograms of times.
 *
 * Histograms and the counters of a service are written by every loop with relaxed
 * atomics; the numbers of one scrape need not be of one instant. Bytes of open
 * connections are added when somebody asks (alk_metrics_count_bytes), not on the
 * way of the data.
 */
#ifndef ALK_CORE_METRICS_H
#define ALK_CORE_METRICS_H

#include "alknet/types.h"
#include "base/buf.h"

#include <stdatomic.h>

/* Upper bounds from a millisecond to an hour; the last bucket has none. */
#define ALK_HISTOGRAM_BUCKETS 11

struct alk_histogram {
    atomic_uint_fast64_t counts[ALK_HISTOGRAM_BUCKETS]; /* not cumulative */
    atomic_uint_fast64_t sum_us;
};
void alk_histogram_add(struct alk_histogram *h, alk_time time);

/* Appends the lines of one histogram of seconds: name_bucket, name_sum, name_count.
 * label is as it stands between braces, at most ALK_LABEL_SIZE bytes with the zero;
 * the lines that say what it is are the caller's. */
#define ALK_LABEL_SIZE 192
ALK_NODISCARD alk_err alk_histogram_print(struct alk_buf *b, const char *name, const char *label,
                                          const struct alk_histogram *h);

struct alk_conn;
struct alk_endpoint_status;
struct alk_routes;

/* Adds to the connection's service what it has carried since the last call. On
 * its loop. */
void alk_metrics_count_bytes(struct alk_conn *conn);

/* Appends all of it in the text format, version 0.0.4. ALK_E_TOO_BIG, ALK_E_NOMEM:
 * *b holds a part then. */
ALK_NODISCARD alk_err alk_metrics_print(const struct alk_endpoint_status *status,
                                        const struct alk_routes *routes, struct alk_buf *b);

#endif
