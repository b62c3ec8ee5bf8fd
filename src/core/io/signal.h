/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/signal.h - waking a loop from signal handlers, and signals on a loop.
 *
 * struct alk_wake is alk_post for places where nothing may be locked or
 * allocated: any number of sends before the loop gets there count as one.
 */
#ifndef ALK_CORE_IO_SIGNAL_H
#define ALK_CORE_IO_SIGNAL_H

#include "alknet/loop.h"
#include "base/err.h"

struct alk_wake;
ALK_NODISCARD alk_err alk_wake_new(struct alk_loop *loop, alk_post_fn *fn, void *arg,
                                   struct alk_wake **ret);
/* On the loop. No send may be under way or follow. */
void alk_wake_free(struct alk_wake *wake);
/* From every thread and from signal handlers. */
void alk_wake_send(struct alk_wake *wake);

/* fn on the loop for SIGTERM and SIGINT (stop) and SIGHUP (reload). Takes over
 * their disposition until freed. */
enum alk_signal { ALK_SIGNAL_STOP, ALK_SIGNAL_RELOAD };
struct alk_signals;
typedef void alk_signal_fn(void *ctx, enum alk_signal what);
ALK_NODISCARD alk_err alk_signals_new(struct alk_loop *loop, alk_signal_fn *fn, void *ctx,
                                      struct alk_signals **ret);
void alk_signals_free(struct alk_signals *signals);
/* A peer that goes away must not kill the process. */
void alk_signals_ignore_pipe(void);

/* Tells the service manager ("READY=1", "STOPPING=1", ...); without one
 * (NOTIFY_SOCKET) nothing. */
void alk_notify(const char *state);
/* "RELOADING=1" with the time, as Type=notify-reload wants it. */
void alk_notify_reloading(void);

#endif
