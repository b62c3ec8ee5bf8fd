/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/types.h - the few types that every other header speaks in.
 *
 * Spans borrow, errors are alk_err, times are nanoseconds, memory comes from a
 * struct alk_mem that the caller hands in. Nothing here allocates.
 *
 * Ownership words used in all headers: owns; borrows until ...; copies; takes
 * (the callee frees, even on failure); gives (the caller frees). A span that is
 * passed to a call is borrowed until the call returns unless it says otherwise.
 */
#ifndef ALKNET_TYPES_H
#define ALKNET_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALK_VERSION_MAJOR 0
#define ALK_VERSION_MINOR 1
#define ALK_VERSION_PATCH 0
#define ALK_VERSION "0.1.0"

#if defined(__GNUC__)
#define ALK_API __attribute__((visibility("default")))
#define ALK_NODISCARD __attribute__((warn_unused_result))
#define ALK_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#else
#define ALK_API
#define ALK_NODISCARD
#define ALK_PRINTF(fmt_at, args_at)
#endif

/* Borrowed bytes. {NULL, 0} is the empty span; text is a span too, without a
 * terminating zero. */
struct alk_span {
    const uint8_t *p;
    size_t n;
};

/* A point on the monotonic clock, or a length of time: nanoseconds. */
typedef uint64_t alk_time;

#define ALK_NEVER UINT64_MAX
#define ALK_US ((alk_time)1000)
#define ALK_MS ((alk_time)1000000)
#define ALK_SECOND ((alk_time)1000000000)

/* The one memory seam. alloc returns NULL when there is none; resize behaves as
 * realloc (p may be NULL); release accepts NULL. Both must be safe to call from
 * every thread that uses objects made with this seam. A NULL struct alk_mem
 * pointer in an options struct means the C library's heap. */
struct alk_mem {
    void *(*alloc)(void *ctx, size_t n);
    void *(*resize)(void *ctx, void *p, size_t n);
    void (*release)(void *ctx, void *p);
    void *ctx;
};

#ifdef __cplusplus
}
#endif

#endif
