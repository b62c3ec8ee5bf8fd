/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/channel.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FDS_MAX 253 /* SCM_MAX_FD of the kernel */
#define BUFFER_WANTED (1 << 20)

struct alk_packet {
    struct alk_packet *next;
    size_t n;
    size_t fd_count;
    int *fds; /* behind the data */
    uint8_t data[];
};

void alk_close_fds(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

alk_err alk_channel_pair(int ret_fds[static 2])
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        return errno == EMFILE || errno == ENFILE ? ALK_E_LIMIT : ALK_E_IO;
    }
    int size = BUFFER_WANTED; /* less is granted where net.core.wmem_max is smaller */
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return ALK_OK;
}

void alk_channel_init(struct alk_channel *c, const struct alk_mem *mem, int fd, size_t max)
{
    *c = (struct alk_channel){.mem = mem, .fd = fd, .max = max};
}

static void drop_head(struct alk_channel *c)
{
    struct alk_packet *p = c->head;
    c->head = p->next;
    if (c->head == NULL) {
        c->tail = NULL;
    }
    c->queued -= p->n;
    alk_close_fds(p->fds, p->fd_count);
    alk_free(c->mem, p);
}

void alk_channel_fini(struct alk_channel *c)
{
    while (c->head != NULL) {
        drop_head(c);
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

/* ALK_OK, ALK_FULL, ALK_E_CLOSED. */
static alk_err send_now(int fd, struct alk_span message, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr head;
        uint8_t space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)message.p, .iov_len = message.n};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > 0) {
        memset(&control, 0, CMSG_SPACE(fd_count * sizeof(int)));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
        mh.msg_control = &control;
        mh.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    }
    for (;;) {
        ssize_t n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            return ALK_OK;
        }
        if (errno == EINTR) {
            continue;
        }
        /* ETOOMANYREFS: more descriptors under way than RLIMIT_NOFILE; ENOBUFS: no
         * memory for the message now. Both pass when the other side reads. */
        bool is_full = errno == EAGAIN || errno == ETOOMANYREFS ||
                       errno == ENOBUFS || errno == ENOMEM;
        return is_full ? ALK_FULL : ALK_E_CLOSED;
    }
}

static alk_err enqueue(struct alk_channel *c, struct alk_span message, const int *fds,
                       size_t fd_count)
{
    size_t fds_at = (message.n + sizeof(int) - 1) / sizeof(int) * sizeof(int);
    struct alk_packet *p =
        alk_alloc(c->mem, sizeof *p + fds_at + fd_count * sizeof(int));
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    p->next = NULL;
    p->n = message.n;
    p->fd_count = fd_count;
    p->fds = (int *)(void *)(p->data + fds_at);
    memcpy(p->data, message.p, message.n);
    if (fd_count > 0) {
        memcpy(p->fds, fds, fd_count * sizeof(int));
    }
    if (c->tail == NULL) {
        c->head = p;
    } else {
        c->tail->next = p;
    }
    c->tail = p;
    c->queued += p->n;
    return ALK_OK;
}

alk_err alk_channel_send(struct alk_channel *c, struct alk_span message, const int *fds,
                         size_t fd_count, bool is_urgent)
{
    ALK_ASSERT(message.n > 0 && fd_count <= FDS_MAX);
    alk_err err = c->fd < 0 ? ALK_E_CLOSED : ALK_FULL;
    if (err == ALK_FULL && c->head == NULL) {
        err = send_now(c->fd, message, fds, fd_count);
    }
    if (err == ALK_FULL && (is_urgent || c->queued + message.n <= c->max)) {
        err = enqueue(c, message, fds, fd_count);
        if (err == ALK_OK) {
            return ALK_OK; /* the queue owns the descriptors now */
        }
    }
    alk_close_fds(fds, fd_count);
    return err;
}

alk_err alk_channel_flush(struct alk_channel *c)
{
    while (c->head != NULL) {
        struct alk_packet *p = c->head;
        ALK_TRY(send_now(c->fd, alk_span(p->data, p->n), p->fds, p->fd_count));
        drop_head(c);
    }
    return ALK_OK;
}

/* Takes the descriptors out of a received message; closes what exceeds max. */
static size_t take_fds(struct msghdr *mh, int *fds, size_t max)
{
    size_t count = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h != NULL; h = CMSG_NXTHDR(mh, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
            if (count < max) {
                fds[count++] = fd;
            } else {
                (void)close(fd);
            }
        }
    }
    return count;
}

alk_err alk_channel_recv(struct alk_channel *c, uint8_t *buf, size_t size, int *fds,
                         size_t *fd_count, struct alk_span *ret)
{
    union {
        struct cmsghdr head;
        uint8_t space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    size_t max = *fd_count;
    *fd_count = 0;
    /* A peer that ended with unread messages of ours leaves one ECONNRESET in front
     * of what it sent before; that is still to be read. */
    bool was_reset = false;
    for (;;) {
        struct iovec iov = {.iov_base = buf, .iov_len = size};
        struct msghdr mh = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
        ssize_t n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || (errno == ECONNRESET && !was_reset))) {
            was_reset = was_reset || errno == ECONNRESET;
            continue;
        }
        if (n < 0) {
            bool is_empty = errno == EAGAIN;
            return is_empty ? ALK_MORE : errno == ECONNRESET ? ALK_END : ALK_E_IO;
        }
        size_t got = take_fds(&mh, fds, max);
        if (n == 0) { /* our messages are never empty */
            alk_close_fds(fds, got);
            return ALK_END;
        }
        if ((mh.msg_flags & MSG_TRUNC) != 0) {
            alk_close_fds(fds, got);
            return ALK_E_TOO_BIG;
        }
        *fd_count = got;
        *ret = alk_span(buf, (size_t)n);
        return ALK_OK;
    }
}
