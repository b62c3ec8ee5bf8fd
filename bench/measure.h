/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/measure.h - what the call benchmarks have in common, in C and C++: clocks,
 * latencies and the line of JSON that bench/run reads. One client per process. */
#ifndef ALK_BENCH_MEASURE_H
#define ALK_BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* Latencies that are kept: the first ones of a run. */
#define MEASURE_KEEP ((size_t)1 << 20)

struct measure {
    double begun;
    uint32_t *ns; /* room for MEASURE_KEEP */
    size_t count;
};

static inline uint64_t measure_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline double measure_seconds(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

/* CPU seconds of this process and of the children that it has waited for. */
static inline double measure_cpu(void)
{
    struct rusage own, children;
    (void)getrusage(RUSAGE_SELF, &own);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    return measure_seconds(&own) + measure_seconds(&children);
}

static inline void measure_begin(struct measure *m)
{
    m->ns = (uint32_t *)calloc(MEASURE_KEEP, sizeof(uint32_t));
    if (m->ns == NULL) {
        abort();
    }
    m->count = 0;
    m->begun = (double)measure_now_ns() / 1e9;
}

static inline void measure_add(struct measure *m, uint64_t begun_ns)
{
    if (m->count < MEASURE_KEEP) {
        uint64_t ns = measure_now_ns() - begun_ns;
        m->ns[m->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    }
}

static inline int measure_order(const void *a, const void *b)
{
    const uint32_t *x = (const uint32_t *)a, *y = (const uint32_t *)b;
    return (*x > *y) - (*x < *y);
}

static inline double measure_us(const struct measure *m, double part)
{
    return m->count == 0 ? 0 : m->ns[(size_t)((double)(m->count - 1) * part)] / 1e3;
}

/* The line of JSON; amount: calls, or deliveries. */
static inline void measure_report(struct measure *m, double amount)
{
    double wall = (double)measure_now_ns() / 1e9 - m->begun;
    double cpu = measure_cpu();
    qsort(m->ns, m->count, sizeof m->ns[0], measure_order);
    printf(
        "{\"wall\": %.4f, \"cpu\": %.3f, \"amount\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
        wall, cpu, amount, measure_us(m, 0.5), measure_us(m, 0.99));
    (void)fflush(stdout);
    free(m->ns);
}

#endif
