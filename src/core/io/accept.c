/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "core/io/sock.h"
#include "core/io/tcp_sock.h"
#include "core/tls/session.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Connections accepted per wake-up before the others get their turn. */
#define ACCEPTS_MAX 64
/* How long listening pauses when the system has no descriptors left at all. */
#define PAUSE       (100 * ALK_MS)

struct alk_acceptor {
    struct alk_loop *loop;
    int fd;      /* owns */
    int reserve; /* a descriptor to give up when there are no others; -1: none. Owns */
    struct alk_watch *watch;
    struct alk_timer pause;
    alk_admit_fn *admit;
    alk_accepted_fn *accepted;
    void *ctx;
    uint64_t starved;
    bool in_callback, is_freed;
};

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors: a connection that stays in the queue would wake us for
 * ever. One is given up to take it, close it, and so tell the peer. */
static bool refuse_one(struct alk_acceptor *a)
{
    a->starved++;
    if (a->reserve >= 0) {
        (void)close(a->reserve);
        int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
        }
        a->reserve = open_reserve();
        return fd >= 0;
    }
    a->reserve = open_reserve();
    return false;
}

static void on_pause_over(struct alk_timer *timer, void *ctx)
{
    struct alk_acceptor *a = ctx;
    (void)timer;
    alk_watch_mask(a->watch, ALK_FD_READ);
}

static void pause_listening(struct alk_acceptor *a)
{
    alk_watch_mask(a->watch, 0);
    alk_timer_set(a->loop, &a->pause, alk_loop_now(a->loop) + PAUSE);
}

static void refuse(int fd, alk_err why)
{
    /* [RFC 8446 §6] before any key: a record of its own, alert, fatal */
    static const uint8_t denied[] = {21, 3, 3, 0, 2, 2, ALK_TLS_ALERT_ACCESS_DENIED};
    if (why == ALK_E_FORBIDDEN) {
        (void)!send(fd, denied, sizeof denied, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    (void)close(fd);
}

/* False: nothing more to accept now. */
static bool accept_one(struct alk_acceptor *a)
{
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    int fd = accept4(a->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        if (error == EMFILE || error == ENFILE) {
            if (refuse_one(a)) {
                return true;
            }
            pause_listening(a);
            return false;
        }
        if (error == ENOBUFS || error == ENOMEM) {
            a->starved++;
            pause_listening(a);
            return false;
        }
        return error != EAGAIN; /* the rest are errors of that connection */
    }
    struct alk_addr remote = alk_sockaddr_get(&sa);
    alk_err err = a->admit(a->ctx, &remote);
    if (err != ALK_OK) {
        refuse(fd, err);
        return true;
    }
    a->accepted(a->ctx, fd, &remote);
    return !a->is_freed;
}

static void acceptor_release(struct alk_acceptor *a)
{
    alk_timer_stop(a->loop, &a->pause);
    alk_watch_free(a->watch);
    (void)close(a->fd);
    if (a->reserve >= 0) {
        (void)close(a->reserve);
    }
    alk_free(alk_loop_mem(a->loop), a);
}

static void on_ready(void *ctx, unsigned ready)
{
    struct alk_acceptor *a = ctx;
    (void)ready;
    a->in_callback = true;
    for (int i = 0; i < ACCEPTS_MAX && accept_one(a); i++) {
    }
    a->in_callback = false;
    if (a->is_freed) {
        acceptor_release(a);
    }
}

alk_err alk_acceptor_new(struct alk_loop *loop, int fd, alk_admit_fn *admit,
                         alk_accepted_fn *accepted, void *ctx, struct alk_acceptor **ret)
{
    struct alk_acceptor *a = ALK_NEW(alk_loop_mem(loop), struct alk_acceptor);
    if (a == NULL) {
        (void)close(fd);
        return ALK_E_NOMEM;
    }
    *a = (struct alk_acceptor){.loop = loop, .fd = fd, .reserve = open_reserve()};
    a->admit = admit;
    a->accepted = accepted;
    a->ctx = ctx;
    a->pause = (struct alk_timer){.fn = on_pause_over, .ctx = a};
    alk_err err = alk_watch_new(loop, fd, ALK_FD_READ, on_ready, a, &a->watch);
    if (err != ALK_OK) {
        (void)close(fd);
        if (a->reserve >= 0) {
            (void)close(a->reserve);
        }
        alk_free(alk_loop_mem(loop), a);
        return err;
    }
    *ret = a;
    return ALK_OK;
}

void alk_acceptor_free(struct alk_acceptor *a)
{
    if (a == NULL) {
        return;
    }
    if (a->in_callback) {
        a->is_freed = true;
        return;
    }
    acceptor_release(a);
}

uint64_t alk_acceptor_starved(const struct alk_acceptor *a)
{
    return a->starved;
}
