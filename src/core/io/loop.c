/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/loop.h"

#include "base/mem.h"
#include "core/io/post.h"
#include "core/io/timer.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

/* Timers fired per turn before descriptors get their turn again. */
#define TIMERS_PER_TURN 4096
/* Blocks of each size that are kept; none where AddressSanitizer watches their use. */
#if defined(__SANITIZE_ADDRESS__)
#define BLOCKS_KEPT 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define BLOCKS_KEPT 0
#endif
#endif
#ifndef BLOCKS_KEPT
#define BLOCKS_KEPT 256
#endif

struct alk_loop {
    const struct alk_mem *mem;
    uint64_t id;
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active: do not sleep */
    uv_poll_t alarm;
    int alarm_fd;
    alk_time alarm_at; /* what the timerfd is set to; ALK_NEVER: not set */
    struct alk_timers timers;
    struct alk_posts posts;
    struct alk_blocks blocks;
    struct alk_list turns;
    struct alk_list soon;
    struct alk_list ends;
    struct alk_hub *hub;
    void *extra;
    void (*extra_release)(void *extra);
    alk_time now;
    bool in_turn;
    bool is_dirty; /* changed outside a turn: run before sleeping in a foreign poll */
    atomic_bool is_stopping;
};

struct alk_watch {
    struct alk_loop *loop;
    alk_watch_fn *fn;
    void *ctx;
    unsigned mask;
    bool is_freed;
    uv_poll_t poll;
};

/* --- clocks --------------------------------------------------------------- */

static alk_time clock_read(clockid_t id)
{
    struct timespec ts = {0};
    (void)clock_gettime(id, &ts);
    return (alk_time)ts.tv_sec * ALK_SECOND + (alk_time)ts.tv_nsec;
}

alk_time alk_clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

alk_time alk_clock_unix_ns(void)
{
    return clock_read(CLOCK_REALTIME);
}

uint64_t alk_clock_unix(void)
{
    return alk_clock_unix_ns() / ALK_SECOND;
}

void alk_loop_enter(struct alk_loop *loop)
{
    if (!loop->in_turn) {
        loop->in_turn = true;
        loop->now = alk_clock_now();
    }
}

alk_time alk_loop_now(const struct alk_loop *loop)
{
    return loop->in_turn ? loop->now : alk_clock_now();
}

/* --- timers --------------------------------------------------------------- */

void alk_timer_set(struct alk_loop *loop, struct alk_timer *timer, alk_time at)
{
    loop->is_dirty = true;
    if (at == ALK_NEVER) {
        alk_timers_remove(&loop->timers, timer);
        return;
    }
    alk_timers_set(&loop->timers, timer, at == 0 ? 1 : at);
}

void alk_timer_stop(struct alk_loop *loop, struct alk_timer *timer)
{
    alk_timers_remove(&loop->timers, timer);
}

static void run_timers(struct alk_loop *loop)
{
    for (int i = 0; i < TIMERS_PER_TURN; i++) {
        struct alk_timer *t = loop->timers.root;
        if (t == NULL || t->at > loop->now) {
            return;
        }
        alk_timers_remove(&loop->timers, t);
        t->fn(t, t->ctx);
    }
}

/* Sets the timerfd when the earliest deadline is before what it is set to. A
 * deadline that moved away costs one empty wake-up instead of a system call
 * each time. */
static void arm(struct alk_loop *loop)
{
    const struct alk_timer *t = loop->timers.root;
    if (t == NULL || t->at >= loop->alarm_at) {
        return;
    }
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(t->at / ALK_SECOND),
                                           .tv_nsec = (long)(t->at % ALK_SECOND)}};
    (void)timerfd_settime(loop->alarm_fd, TFD_TIMER_ABSTIME, &when, NULL);
    loop->alarm_at = t->at;
}

static void on_alarm(uv_poll_t *handle, int status, int events)
{
    struct alk_loop *loop = handle->data;
    uint64_t fired;
    (void)status;
    (void)events;
    alk_loop_enter(loop);
    if (read(loop->alarm_fd, &fired, sizeof fired) == (ssize_t)sizeof fired) {
        loop->alarm_at = ALK_NEVER;
    }
}

/* --- the turn ------------------------------------------------------------- */

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static void set_busy(struct alk_loop *loop, bool is_busy)
{
    if (is_busy) {
        (void)uv_idle_start(&loop->idle, on_idle);
    } else {
        (void)uv_idle_stop(&loop->idle);
    }
}

/* What is asked for meanwhile waits for the next pass, so that descriptors get
 * their turn. */
static void run_soon(struct alk_loop *loop)
{
    struct alk_soon mark = {.fn = NULL};
    struct alk_link *e;

    if (alk_list_is_empty(&loop->soon)) {
        return;
    }
    alk_list_append(&loop->soon, &mark.in);
    while ((e = alk_list_pop(&loop->soon)) != &mark.in) {
        struct alk_soon *soon = ALK_CONTAINER(e, struct alk_soon, in);
        soon->fn(soon->ctx);
    }
}

static void end_turn(struct alk_loop *loop)
{
    bool has_more = false;
    run_soon(loop);
    struct alk_link *e = alk_list_first(&loop->turns);
    while (e != NULL) {
        struct alk_turn *turn = ALK_CONTAINER(e, struct alk_turn, in);
        e = alk_list_next(&loop->turns, e);
        has_more = turn->fn(turn->ctx) || has_more;
    }
    if (!alk_list_is_empty(&loop->soon) ||
        (loop->timers.root != NULL && loop->timers.root->at <= loop->now)) {
        has_more = true;
    } else {
        arm(loop);
    }
    set_busy(loop, has_more);
    loop->is_dirty = false;
    loop->in_turn = false;
}

static void on_prepare(uv_prepare_t *handle)
{
    struct alk_loop *loop = handle->data;
    alk_loop_enter(loop);
    end_turn(loop);
}

static void on_check(uv_check_t *handle)
{
    struct alk_loop *loop = handle->data;
    alk_loop_enter(loop);
    run_timers(loop);
    end_turn(loop);
}

void alk_loop_turn_add(struct alk_loop *loop, struct alk_turn *turn)
{
    alk_list_append(&loop->turns, &turn->in);
    loop->is_dirty = true;
}

void alk_loop_turn_remove(struct alk_loop *loop, struct alk_turn *turn)
{
    (void)loop;
    alk_list_remove(&turn->in);
}

void alk_loop_soon(struct alk_loop *loop, struct alk_soon *soon)
{
    alk_list_append(&loop->soon, &soon->in);
    loop->is_dirty = true;
}

void alk_loop_soon_cancel(struct alk_soon *soon)
{
    alk_list_remove(&soon->in);
}

void alk_loop_end_add(struct alk_loop *loop, struct alk_loop_end *end)
{
    alk_list_append(&loop->ends, &end->in);
}

void alk_loop_end_remove(struct alk_loop_end *end)
{
    alk_list_remove(&end->in);
}

/* --- posts ---------------------------------------------------------------- */

static void on_wake(uv_async_t *handle)
{
    struct alk_loop *loop = handle->data;
    alk_loop_enter(loop);
    alk_posts_run(&loop->posts);
}

alk_err alk_post_cancel(struct alk_loop *loop, alk_post_fn *fn, alk_post_fn *cancel, void *arg)
{
    bool is_first = false;
    ALK_TRY(alk_posts_put(&loop->posts, fn, cancel, arg, &is_first));
    if (is_first) {
        (void)uv_async_send(&loop->wake);
    }
    return ALK_OK;
}

bool alk_post_own(struct alk_loop *loop, struct alk_post_node *node)
{
    bool is_first = false;
    bool is_new = alk_posts_put_node(&loop->posts, node, &is_first);
    if (is_first) {
        (void)uv_async_send(&loop->wake);
    }
    return is_new;
}

alk_err alk_post(struct alk_loop *loop, alk_post_fn *fn, void *arg)
{
    return alk_post_cancel(loop, fn, NULL, arg);
}

/* --- life ----------------------------------------------------------------- */

static bool init_handles(struct alk_loop *loop)
{
    uv_loop_t *uv = &loop->uv;
    if (uv_async_init(uv, &loop->wake, on_wake) != 0) {
        return false;
    }
    loop->wake.data = loop;
    if (uv_poll_init(uv, &loop->alarm, loop->alarm_fd) != 0) {
        uv_close((uv_handle_t *)&loop->wake, NULL);
        return false;
    }
    loop->alarm.data = loop;
    /* These cannot fail: they only link into the loop. */
    (void)uv_prepare_init(uv, &loop->prepare);
    (void)uv_check_init(uv, &loop->check);
    (void)uv_idle_init(uv, &loop->idle);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->idle.data = loop;
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    (void)uv_check_start(&loop->check, on_check);
    (void)uv_poll_start(&loop->alarm, UV_READABLE, on_alarm);
    return true;
}

static void close_uv(struct alk_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    /* Busy: the owner of a watch or request did not end it first. */
    ALK_ASSERT(uv_loop_close(&loop->uv) == 0);
}

alk_err alk_loop_new(const struct alk_mem *mem, struct alk_loop **ret)
{
    struct alk_loop *loop = ALK_NEW(mem, struct alk_loop);
    if (loop == NULL) {
        return ALK_E_NOMEM;
    }
    loop->mem = mem;
    loop->alarm_at = ALK_NEVER;
    alk_list_init(&loop->turns);
    alk_list_init(&loop->soon);
    alk_list_init(&loop->ends);
    alk_err err = ALK_E_IO;
    loop->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->alarm_fd < 0) {
        goto out_free;
    }
    if (uv_loop_init(&loop->uv) != 0) {
        goto out_fd;
    }
    if (!init_handles(loop)) {
        goto out_uv;
    }
    alk_posts_init(&loop->posts, mem);
    alk_blocks_init(&loop->blocks, mem, BLOCKS_KEPT);
    *ret = loop;
    return ALK_OK;

out_uv:
    close_uv(loop);
out_fd:
    (void)close(loop->alarm_fd);
out_free:
    alk_free(mem, loop);
    return err;
}

void alk_loop_free(struct alk_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    struct alk_link *l;
    while ((l = alk_list_pop(&loop->ends)) != NULL) {
        struct alk_loop_end *end = ALK_CONTAINER(l, struct alk_loop_end, in);
        end->fn(end->ctx);
    }
    while (alk_list_pop(&loop->soon) != NULL) { /* unlinked: it may be asked about later */
    }
    if (loop->extra != NULL) {
        loop->extra_release(loop->extra);
        loop->extra = NULL;
    }
    alk_posts_fini(&loop->posts);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    close_uv(loop);
    (void)close(loop->alarm_fd);
    alk_blocks_fini(&loop->blocks);
    alk_free(loop->mem, loop);
}

void alk_loop_run(struct alk_loop *loop)
{
    while (!atomic_exchange(&loop->is_stopping, false)) {
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
    }
}

static void on_timeout(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    (void)ctx;
}

bool alk_loop_run_once(struct alk_loop *loop, int timeout_ms)
{
    struct alk_timer timeout = {.fn = on_timeout};
    if (atomic_exchange(&loop->is_stopping, false)) {
        return false;
    }
    if (timeout_ms > 0) {
        alk_timer_set(loop, &timeout, alk_clock_now() + (alk_time)timeout_ms * ALK_MS);
    }
    (void)uv_run(&loop->uv, timeout_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    alk_timer_stop(loop, &timeout);
    return !atomic_exchange(&loop->is_stopping, false);
}

void alk_loop_stop(struct alk_loop *loop)
{
    atomic_store(&loop->is_stopping, true);
    (void)uv_async_send(&loop->wake);
}

int alk_loop_fd(const struct alk_loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

int alk_loop_timeout_ms(const struct alk_loop *loop)
{
    if (loop->is_dirty || uv_is_active((const uv_handle_t *)&loop->idle)) {
        return 0;
    }
    struct alk_link *e = alk_list_first(&loop->turns);
    for (; e != NULL; e = alk_list_next(&loop->turns, e)) {
        const struct alk_turn *turn = ALK_CONTAINER(e, struct alk_turn, in);
        if (turn->has_work != NULL && turn->has_work(turn->ctx)) {
            return 0;
        }
    }
    /* Deadlines are a descriptor too: the loop's fd is readable when one is due. */
    return uv_backend_timeout(&loop->uv);
}

/* --- small things --------------------------------------------------------- */

uint64_t alk_loop_id(const struct alk_loop *loop)
{
    return loop->id;
}

void alk_loop_set_id(struct alk_loop *loop, uint64_t id)
{
    loop->id = id;
}

struct alk_hub *alk_loop_hub(const struct alk_loop *loop)
{
    return loop->hub;
}

void alk_loop_set_hub(struct alk_loop *loop, struct alk_hub *hub)
{
    loop->hub = hub;
}

void *alk_loop_extra(const struct alk_loop *loop)
{
    return loop->extra;
}

void alk_loop_set_extra(struct alk_loop *loop, void *extra, void (*release)(void *extra))
{
    loop->extra = extra;
    loop->extra_release = release;
}

struct uv_loop_s *alk_loop_uv(struct alk_loop *loop)
{
    loop->is_dirty = true;
    return &loop->uv;
}

struct alk_blocks *alk_loop_blocks(struct alk_loop *loop)
{
    return &loop->blocks;
}

const struct alk_mem *alk_loop_mem(const struct alk_loop *loop)
{
    return loop->mem;
}

bool alk_loop_in_turn(const struct alk_loop *loop)
{
    return loop->in_turn;
}

/* --- watches -------------------------------------------------------------- */

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch_start(struct alk_watch *w)
{
    int events = ((w->mask & ALK_FD_READ) != 0 ? UV_READABLE : 0) |
                 ((w->mask & ALK_FD_WRITE) != 0 ? UV_WRITABLE : 0);
    w->loop->is_dirty = true;
    if (events == 0) {
        (void)uv_poll_stop(&w->poll);
    } else {
        (void)uv_poll_start(&w->poll, events, on_poll);
    }
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct alk_watch *w = handle->data;
    unsigned ready = 0;
    alk_loop_enter(w->loop);
    if (status < 0) {
        /* An error on the descriptor: libuv has stopped watching. The owner finds
         * the error when it reads or writes, and may go on after it (UDP does). */
        watch_start(w);
        ready = w->mask;
    } else {
        ready |= (events & UV_READABLE) != 0 ? ALK_FD_READ : 0U;
        ready |= (events & UV_WRITABLE) != 0 ? ALK_FD_WRITE : 0U;
    }
    if ((ready & w->mask) != 0) {
        w->fn(w->ctx, ready & w->mask);
    }
}

alk_err alk_watch_new(struct alk_loop *loop, int fd, unsigned mask, alk_watch_fn *fn, void *ctx,
                      struct alk_watch **ret)
{
    struct alk_watch *w = ALK_NEW(loop->mem, struct alk_watch);
    if (w == NULL) {
        return ALK_E_NOMEM;
    }
    *w = (struct alk_watch){.loop = loop, .fn = fn, .ctx = ctx, .mask = mask};
    if (uv_poll_init(&loop->uv, &w->poll, fd) != 0) {
        alk_free(loop->mem, w);
        return ALK_E_IO;
    }
    w->poll.data = w;
    watch_start(w);
    *ret = w;
    return ALK_OK;
}

void alk_watch_mask(struct alk_watch *watch, unsigned mask)
{
    if (watch->mask != mask) {
        watch->mask = mask;
        watch_start(watch);
    }
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct alk_watch *w = handle->data;
    alk_free(w->loop->mem, w);
}

void alk_watch_free(struct alk_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    ALK_ASSERT(!watch->is_freed);
    watch->is_freed = true;
    watch->loop->is_dirty = true;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}
