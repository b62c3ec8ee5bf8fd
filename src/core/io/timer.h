/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/timer.h - a pairing heap of struct alk_timer, earliest first.
 *
 * The links live inside the timers, so nothing is allocated and nothing can
 * fail. A timer with `at` 0 is in no heap. Pure: no clock.
 */
#ifndef ALK_CORE_IO_TIMER_H
#define ALK_CORE_IO_TIMER_H

#include "alknet/loop.h"

struct alk_timers {
    struct alk_timer *root; /* earliest, or NULL */
};

/* Inserts or moves. at: neither 0 nor ALK_NEVER. */
void alk_timers_set(struct alk_timers *h, struct alk_timer *t, alk_time at);
/* No effect on a timer that is in no heap. */
void alk_timers_remove(struct alk_timers *h, struct alk_timer *t);

#endif
