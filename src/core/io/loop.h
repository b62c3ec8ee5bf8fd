/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/loop.h - the inner side of struct alk_loop, for core and cli.
 *
 * A turn of the loop: callbacks of ready descriptors, posts, due timers; then
 * the turn hooks, which deliver events and send what was queued; then sleep.
 * The hooks also run before the sleep of the first turn, so what was queued
 * outside a turn (a dial, a write of an embedding program) is not left lying.
 */
#ifndef ALK_CORE_IO_LOOP_H
#define ALK_CORE_IO_LOOP_H

#include "alknet/loop.h"
#include "base/blocks.h"
#include "base/err.h"
#include "base/list.h"

struct alk_hub;
struct uv_loop_s;

/* Posts that may wait. */
#define ALK_POSTS_MAX 65536

/* Work at the end of each turn. */
struct alk_turn {
    bool (*fn)(void *ctx);       /* true: there is more, do not sleep */
    bool (*has_work)(void *ctx); /* whether fn would do anything; NULL: cannot tell */
    void *ctx;
    struct alk_link in; /* the loop's */
};
/* On the loop's thread, or before it runs. Hooks run in the order of adding; a
 * hook may remove itself. */
void alk_loop_turn_add(struct alk_loop *loop, struct alk_turn *turn);
void alk_loop_turn_remove(struct alk_loop *loop, struct alk_turn *turn);

/* Work of the loop's own thread that must not run where it is asked for. fn runs
 * once, soon: at the end of this turn or at the beginning of the next, before the
 * turn hooks and before the loop sleeps, in the order of asking. Allocates nothing
 * and never fails; asking twice is harmless. Dropped when the loop is freed. */
struct alk_soon {
    void (*fn)(void *ctx);
    void *ctx;
    struct alk_link in; /* the loop's */
};
void alk_loop_soon(struct alk_loop *loop, struct alk_soon *soon);
/* No effect when it waits for nothing. */
void alk_loop_soon_cancel(struct alk_soon *soon);

/* As alk_post; when the loop is freed before fn ran, cancel(arg) runs instead. */
ALK_NODISCARD alk_err alk_post_cancel(struct alk_loop *loop, alk_post_fn *fn, alk_post_fn *cancel,
                                      void *arg);

/* A post in its owner's memory: it needs none and finds no queue full, and waits once
 * however often it is posted, so its owner first writes down what is to be told, then
 * posts. Zero-initialise, then set fn, cancel (may be NULL) and arg. The memory stays
 * until fn or cancel is called, and may go in there. As many may wait as there are
 * owners: for what exists in bounded numbers. */
struct alk_post_node {
    alk_post_fn *fn, *cancel;
    void *arg;
    struct alk_link in; /* the loop's, under its lock */
};
/* From every thread; as alk_post_cancel. False: it waits already, and fn will see what
 * was written before this call. */
bool alk_post_own(struct alk_loop *loop, struct alk_post_node *node);

/* What must be undone before the loop goes: objects that outlive their connection
 * (a program being ended, a forwarded stream's last bytes) hold one each. fn runs
 * once, first thing in alk_loop_free, when the loop does not run any more; it is
 * out of the list then. */
struct alk_loop_end {
    void (*fn)(void *ctx);
    void *ctx;
    struct alk_link in; /* the loop's */
};
void alk_loop_end_add(struct alk_loop *loop, struct alk_loop_end *end);
/* No effect when it is in no list. */
void alk_loop_end_remove(struct alk_loop_end *end);

/* Which loop of the endpoint this is; before it runs. */
void alk_loop_set_id(struct alk_loop *loop, uint64_t id);
/* The hub that delivers events on this loop; NULL: none yet. */
struct alk_hub *alk_loop_hub(const struct alk_loop *loop);
void alk_loop_set_hub(struct alk_loop *loop, struct alk_hub *hub);
/* One slot for what the loop's clients share (core/io/dial.c): a value and the
 * function that frees it when the loop is freed. */
void *alk_loop_extra(const struct alk_loop *loop);
void alk_loop_set_extra(struct alk_loop *loop, void *extra, void (*release)(void *extra));

/* For what libuv does itself: processes, name resolution, file events. */
struct uv_loop_s *alk_loop_uv(struct alk_loop *loop);
const struct alk_mem *alk_loop_mem(const struct alk_loop *loop);
/* Kept blocks of that memory; on the loop's thread. */
struct alk_blocks *alk_loop_blocks(struct alk_loop *loop);
/* True while a callback of the loop runs (on its own thread). */
bool alk_loop_in_turn(const struct alk_loop *loop);
/* Callbacks that libuv makes directly call this first: it refreshes the clock. */
void alk_loop_enter(struct alk_loop *loop);

/* The system's clocks: monotonic ns, and unix seconds / ns. */
alk_time alk_clock_now(void);
uint64_t alk_clock_unix(void);
alk_time alk_clock_unix_ns(void);

#endif
