/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/work.h - what would block a loop, on threads of their own.
 *
 * run(arg) runs on one of a few threads and touches nothing that belongs to a loop;
 * done(arg) follows on the loop, exactly once, also when the loop is freed first: then
 * inside alk_loop_free, which waits for it.
 */
#ifndef ALK_CORE_IO_WORK_H
#define ALK_CORE_IO_WORK_H

#include "alknet/loop.h"
#include "base/err.h"

/* Under way or waiting, in the process. */
#define ALK_WORK_MAX 1024

typedef void alk_work_fn(void *arg);

/* On the loop's thread. ALK_FULL: ALK_WORK_MAX are under way; ALK_E_NOMEM. Only after
 * ALK_OK will run and done be called. */
ALK_NODISCARD alk_err alk_work(struct alk_loop *loop, alk_work_fn *run, alk_work_fn *done,
                               void *arg);
/* How many are under way. Any thread. */
unsigned alk_work_count(void);

#endif
