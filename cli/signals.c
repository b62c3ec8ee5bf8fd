/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static bool is_ignored(int number)
{
    struct sigaction old;
    return sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

/* What we were started to ignore stays ignored: HUP under nohup, INT in a script's
 * background. A signal in the mask would come in all the same. */
static void mask_of(sigset_t *ret)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP};

    (void)sigemptyset(ret);
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
        if (!is_ignored(watched[i])) {
            (void)sigaddset(ret, watched[i]);
        }
    }
}

static void on_ready(void *ctx, unsigned ready)
{
    struct cli_signals *s = (struct cli_signals *)ctx;
    struct signalfd_siginfo info;
    (void)ready;
    if (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        s->fn(s->ctx, (int)info.ssi_signo);
    }
}

alk_err cli_signals_open(struct alk_loop *loop, void (*fn)(void *ctx, int number), void *ctx,
                         struct cli_signals *ret)
{
    sigset_t mask;

    mask_of(&mask);
    *ret = (struct cli_signals){.fn = fn, .ctx = ctx};
    ret->fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (ret->fd < 0) {
        return ALK_E_IO;
    }
    alk_err err = alk_watch_new(loop, ret->fd, ALK_FD_READ, on_ready, ret, &ret->watch);
    if (err == ALK_OK && sigprocmask(SIG_BLOCK, &mask, NULL) != 0) {
        err = ALK_E_IO;
    }
    if (err != ALK_OK) {
        cli_signals_close(ret);
    }
    return err;
}

void cli_signals_close(struct cli_signals *s)
{
    sigset_t mask;

    if (s->watch != NULL) {
        alk_watch_free(s->watch);
        mask_of(&mask);
        (void)sigprocmask(SIG_UNBLOCK, &mask, NULL);
    }
    if (s->fn != NULL && s->fd >= 0) {
        (void)close(s->fd);
    }
    *s = (struct cli_signals){.fd = -1};
}
