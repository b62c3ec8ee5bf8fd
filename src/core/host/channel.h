/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/channel.h - one end of a SOCK_SEQPACKET channel: whole messages, some
 * with descriptors.
 *
 * Sending never blocks: what the kernel does not take waits in a queue with a
 * cap. Owns its descriptor and those in the queue. Belongs to one thread.
 */
#ifndef ALK_CORE_HOST_CHANNEL_H
#define ALK_CORE_HOST_CHANNEL_H

#include "base/err.h"
#include "base/span.h"

struct alk_packet;

struct alk_channel {
    const struct alk_mem *mem;
    int fd; /* -1: none */
    struct alk_packet *head, *tail;
    size_t queued; /* bytes */
    size_t max;    /* bytes that may wait; urgent messages may exceed it once over */
};

/* A connected pair, non-blocking, close-on-exec, with larger buffers where the
 * system allows. ALK_E_IO, ALK_E_LIMIT (too many descriptors). */
ALK_NODISCARD alk_err alk_channel_pair(int ret_fds[static 2]);

/* Takes the descriptor. */
void alk_channel_init(struct alk_channel *c, const struct alk_mem *mem, int fd, size_t max);
/* A zeroed channel is not open: set fd to -1. Idempotent. */
void alk_channel_fini(struct alk_channel *c);

/* Sends one message, now or from the queue. Takes the descriptors, also on
 * failure. ALK_OK; ALK_FULL: nothing was sent, the queue is full (never when
 * is_urgent, which is for small messages whose number is bounded otherwise);
 * ALK_E_CLOSED: the other end is gone; ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_channel_send(struct alk_channel *c, struct alk_span message,
                                       const int *fds, size_t fd_count, bool is_urgent);
/* Sends what waits. ALK_OK: the queue is empty. ALK_FULL: call again when the
 * descriptor is writable. ALK_E_CLOSED. */
ALK_NODISCARD alk_err alk_channel_flush(struct alk_channel *c);
static inline bool alk_channel_has_queue(const struct alk_channel *c)
{
    return c->head != NULL;
}

/* The next message, into buf; *ret has at least one byte. Descriptors (at most
 * *fd_count; *fd_count says how many came) are the caller's, close-on-exec.
 * ALK_OK; ALK_MORE: none now; ALK_END: the other end is gone; ALK_E_TOO_BIG: it
 * did not fit and is lost (descriptors closed); ALK_E_IO. */
ALK_NODISCARD alk_err alk_channel_recv(struct alk_channel *c, uint8_t *buf, size_t size, int *fds,
                                       size_t *fd_count, struct alk_span *ret);

void alk_close_fds(const int *fds, size_t count);

#endif
