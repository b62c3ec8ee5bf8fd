/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe's writing end is never readable: it is told as that when no reader is left. */
static void on_left(void *ctx, unsigned ready)
{
    struct cli_reader *r = (struct cli_reader *)ctx;
    (void)ready;
    alk_watch_mask(r->watch, 0);
    r->fn(r->ctx);
}

/* Opened once more, since watching makes it non-blocking, and stdio wants it as it is. */
static int open_again(FILE *out)
{
    struct stat st;
    char name[40];
    int fd = fileno(out);

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode)) {
        return -1;
    }
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    return open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

void cli_reader_open(struct cli *cli, struct alk_loop *loop, void (*fn)(void *ctx), void *ctx,
                     struct cli_reader *ret)
{
    *ret = (struct cli_reader){.fn = fn, .ctx = ctx, .fd = open_again(cli->out)};
    if (ret->fd >= 0 &&
        alk_watch_new(loop, ret->fd, ALK_FD_READ, on_left, ret, &ret->watch) != ALK_OK) {
        cli_reader_close(ret);
    }
}

void cli_reader_close(struct cli_reader *r)
{
    if (r->fn != NULL) {
        alk_watch_free(r->watch);
        if (r->fd >= 0) {
            (void)close(r->fd);
        }
    }
    *r = (struct cli_reader){.fd = -1};
}
