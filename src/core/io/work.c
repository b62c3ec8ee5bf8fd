/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/work.h"

#include "base/mem.h"
#include "core/io/loop.h"

#include <stdatomic.h>
#include <uv.h>

struct work {
    uv_work_t request; /* first */
    struct alk_loop *loop;
    alk_work_fn *run, *done;
    void *arg;
};

/* lint: globals: the pool of threads is the process's too (libuv) */
static atomic_uint under_way;

unsigned alk_work_count(void)
{
    return atomic_load(&under_way);
}

static void on_run(uv_work_t *request)
{
    struct work *w = (struct work *)request->data;
    w->run(w->arg);
}

static void on_done(uv_work_t *request, int status)
{
    struct work *w = (struct work *)request->data;
    struct work copy = *w;
    (void)status; /* it is never cancelled */

    alk_free(alk_loop_mem(copy.loop), w);
    (void)atomic_fetch_sub(&under_way, 1);
    alk_loop_enter(copy.loop);
    copy.done(copy.arg);
}

alk_err alk_work(struct alk_loop *loop, alk_work_fn *run, alk_work_fn *done, void *arg)
{
    if (atomic_fetch_add(&under_way, 1) >= ALK_WORK_MAX) {
        (void)atomic_fetch_sub(&under_way, 1);
        return ALK_FULL;
    }
    struct work *w = ALK_NEW(alk_loop_mem(loop), struct work);
    if (w == NULL) {
        (void)atomic_fetch_sub(&under_way, 1);
        return ALK_E_NOMEM;
    }
    w->request.data = w;
    w->loop = loop;
    w->run = run;
    w->done = done;
    w->arg = arg;
    if (uv_queue_work(alk_loop_uv(loop), &w->request, on_run, on_done) != 0) {
        alk_free(alk_loop_mem(loop), w);
        (void)atomic_fetch_sub(&under_way, 1);
        return ALK_E_NOMEM;
    }
    return ALK_OK;
}
