/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/signal.h"

#include "base/mem.h"
#include "base/span.h"
#include "core/io/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

static const int watched[] = {SIGTERM, SIGINT, SIGHUP};
#define SIGNALS (sizeof watched / sizeof watched[0])

struct alk_wake {
    struct alk_loop *loop;
    alk_post_fn *fn;
    void *arg;
    uv_async_t async;
};

static void on_wake(uv_async_t *handle)
{
    struct alk_wake *wake = handle->data;
    alk_loop_enter(wake->loop);
    wake->fn(wake->arg);
}

alk_err alk_wake_new(struct alk_loop *loop, alk_post_fn *fn, void *arg, struct alk_wake **ret)
{
    struct alk_wake *wake = ALK_NEW(alk_loop_mem(loop), struct alk_wake);
    if (wake == NULL) {
        return ALK_E_NOMEM;
    }
    *wake = (struct alk_wake){.loop = loop, .fn = fn, .arg = arg};
    if (uv_async_init(alk_loop_uv(loop), &wake->async, on_wake) != 0) {
        alk_free(alk_loop_mem(loop), wake);
        return ALK_E_IO;
    }
    wake->async.data = wake;
    *ret = wake;
    return ALK_OK;
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct alk_wake *wake = handle->data;
    alk_free(alk_loop_mem(wake->loop), wake);
}

void alk_wake_free(struct alk_wake *wake)
{
    if (wake != NULL) {
        uv_close((uv_handle_t *)&wake->async, on_wake_closed);
    }
}

void alk_wake_send(struct alk_wake *wake)
{
    (void)uv_async_send(&wake->async);
}

struct alk_signals {
    struct alk_loop *loop;
    alk_signal_fn *fn;
    void *ctx;
    size_t open;
    uv_signal_t handles[SIGNALS];
};

static void on_signal(uv_signal_t *handle, int signum)
{
    struct alk_signals *s = handle->data;
    alk_loop_enter(s->loop);
    s->fn(s->ctx, signum == SIGHUP ? ALK_SIGNAL_RELOAD : ALK_SIGNAL_STOP);
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct alk_signals *s = handle->data;
    if (--s->open == 0) {
        alk_free(alk_loop_mem(s->loop), s);
    }
}

alk_err alk_signals_new(struct alk_loop *loop, alk_signal_fn *fn, void *ctx,
                        struct alk_signals **ret)
{
    struct alk_signals *s = ALK_NEW(alk_loop_mem(loop), struct alk_signals);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    *s = (struct alk_signals){.loop = loop, .fn = fn, .ctx = ctx};
    bool is_started = true;
    for (size_t i = 0; is_started && i < SIGNALS; i++) {
        is_started = uv_signal_init(alk_loop_uv(loop), &s->handles[i]) == 0;
        if (is_started) {
            s->handles[i].data = s;
            s->open++;
            is_started = uv_signal_start(&s->handles[i], on_signal, watched[i]) == 0;
        }
    }
    if (!is_started) {
        alk_signals_free(s);
        return ALK_E_IO;
    }
    *ret = s;
    return ALK_OK;
}

void alk_signals_free(struct alk_signals *s)
{
    if (s == NULL) {
        return;
    }
    if (s->open == 0) {
        alk_free(alk_loop_mem(s->loop), s);
        return;
    }
    for (size_t i = 0, n = s->open; i < n; i++) {
        uv_close((uv_handle_t *)&s->handles[i], on_signal_closed);
    }
}

void alk_signals_ignore_pipe(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void alk_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct alk_span name = alk_span_str(path);
    if (name.n < 2 || name.n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(to.sun_path, name.p, name.n);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* the abstract namespace */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.n);
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&to, n);
        (void)close(fd);
    }
}

void alk_notify_reloading(void)
{
    char text[64];
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)(alk_clock_now() / ALK_US));
    alk_notify(text);
}
