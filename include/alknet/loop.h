/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/loop.h - event loops: clock, posts, timers, file descriptors.
 *
 * One loop is one thread; an object belongs to one loop. Crossing goes through
 * alk_post alone. A loop can be run by the library (endpoint, client), or be
 * driven inside the program's own event loop: poll alk_loop_fd for reading and
 * call alk_loop_run_once whenever it is readable or alk_loop_timeout_ms is over.
 */
#ifndef ALKNET_LOOP_H
#define ALKNET_LOOP_H

#include "alknet/err.h"
#include "alknet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct alk_loop;

/* An idle loop; mem NULL is the C library's heap. ALK_E_NOMEM, ALK_E_IO. */
ALK_NODISCARD ALK_API alk_err alk_loop_new(const struct alk_mem *mem, struct alk_loop **ret);
/* Not while it runs. Watches must be gone; posts that wait are dropped. */
ALK_API void alk_loop_free(struct alk_loop *loop);
/* Runs until alk_loop_stop. */
ALK_API void alk_loop_run(struct alk_loop *loop);
/* Handles what is ready, waiting at most timeout_ms (negative: without limit).
 * False: alk_loop_stop was called. */
ALK_API bool alk_loop_run_once(struct alk_loop *loop, int timeout_ms);
/* From every thread and from signal handlers. */
ALK_API void alk_loop_stop(struct alk_loop *loop);
ALK_API int alk_loop_fd(const struct alk_loop *loop);
ALK_API int alk_loop_timeout_ms(const struct alk_loop *loop);
/* Number of the loop within its endpoint; 0 for a loop of its own. */
ALK_API uint64_t alk_loop_id(const struct alk_loop *loop);
/* Monotonic time as of this turn of the loop. */
ALK_API alk_time alk_loop_now(const struct alk_loop *loop);

/* Runs fn(arg) on the loop, soon, in the order of posting. From every thread.
 * ALK_OK; ALK_FULL: 65 536 posts are waiting already; ALK_E_CLOSED; ALK_E_NOMEM.
 * Only on ALK_OK will fn run; it never runs inside the call. */
typedef void alk_post_fn(void *arg);
ALK_NODISCARD ALK_API alk_err alk_post(struct alk_loop *loop, alk_post_fn *fn, void *arg);

/* A one-shot timer in the caller's memory. Zero-initialise, then set fn and ctx.
 * fn may set or stop any timer. */
struct alk_timer;
typedef void alk_timer_fn(struct alk_timer *timer, void *ctx);
struct alk_timer {
    alk_timer_fn *fn;
    void *ctx;
    alk_time at; /* read only; 0 when not running */
    struct alk_timer *child, *next, *prev; /* the loop's */
};
/* (Re)starts: fires once when alk_loop_now reaches `at`; ALK_NEVER stops. Never
 * fails: the links are inside the timer. */
ALK_API void alk_timer_set(struct alk_loop *loop, struct alk_timer *timer, alk_time at);
ALK_API void alk_timer_stop(struct alk_loop *loop, struct alk_timer *timer);

/* Watches a file descriptor that the caller owns and keeps open until unwatch.
 * fn hears of ALK_FD_* (level triggered) among those asked for; hang-up and
 * errors are told as readable and writable. Setting a new mask is cheap. */
enum { ALK_FD_READ = 1, ALK_FD_WRITE = 2 };
struct alk_watch;
typedef void alk_watch_fn(void *ctx, unsigned ready);
ALK_NODISCARD ALK_API alk_err alk_watch_new(struct alk_loop *loop, int fd, unsigned mask,
                                            alk_watch_fn *fn, void *ctx, struct alk_watch **ret);
ALK_API void alk_watch_mask(struct alk_watch *watch, unsigned mask);
/* Allowed inside its own callback; fn is not called again. */
ALK_API void alk_watch_free(struct alk_watch *watch);

#ifdef __cplusplus
}
#endif

#endif
