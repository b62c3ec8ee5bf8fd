/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/lines.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>

#define READ_SIZE 4096
#define READS_PER_TURN 8

alk_err alk_lines_pipe(int ret_fds[static 2])
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return errno == EMFILE || errno == ENFILE ? ALK_E_LIMIT : ALK_E_IO;
    }
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return ALK_OK;
}

static void say(struct alk_lines *l, struct alk_span text)
{
    struct alk_buf b;
    alk_buf_init(&b, l->mem, 4 * ALK_LINE_MAX + 128);
    (void)alk_buf_put_str(&b, l->name);
    (void)alk_buf_put_str(&b, ": ");
    (void)alk_buf_put_escaped(&b, text, ALK_LINE_MAX);
    l->log(l->log_ctx, ALK_LOG_WARN, "service", alk_buf_cstr(&b));
    alk_buf_fini(&b);
}

static void tell_dropped(struct alk_lines *l)
{
    char text[64];
    if (l->dropped > 0 && l->log != NULL) {
        int n = snprintf(text, sizeof text, "%u lines dropped", l->dropped);
        say(l, alk_span(text, n > 0 ? (size_t)n : 0));
    }
    l->dropped = 0;
}

static void end_line(struct alk_lines *l)
{
    alk_time second = alk_loop_now(l->loop) / ALK_SECOND;
    if (second != l->second) {
        tell_dropped(l);
        l->second = second;
        l->in_second = 0;
    }
    if (l->in_second >= ALK_LINES_PER_SECOND) {
        l->dropped++;
    } else if (l->log != NULL && l->n > 0) {
        l->in_second++;
        say(l, alk_span(l->line, l->n));
    }
    l->n = 0;
    l->is_cut = false;
}

static void feed(struct alk_lines *l, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            end_line(l);
        } else if (l->n < sizeof l->line) {
            l->line[l->n++] = text[i];
        } else {
            l->is_cut = true;
        }
    }
}

static void end(struct alk_lines *l)
{
    alk_watch_free(l->watch);
    l->watch = NULL;
    (void)close(l->fd);
    l->fd = -1;
    if (l->n > 0) {
        end_line(l);
    }
    tell_dropped(l);
}

/* False: it has ended. */
static bool read_some(struct alk_lines *l)
{
    char block[READ_SIZE];
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = read(l->fd, block, sizeof block);
        if (n > 0) {
            feed(l, block, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else {
            return n < 0 && errno == EAGAIN;
        }
    }
    return true;
}

static void on_fd(void *ctx, unsigned ready)
{
    struct alk_lines *l = ctx;
    (void)ready;
    if (!read_some(l)) {
        end(l);
    }
}

alk_err alk_lines_init(struct alk_lines *l, int fd)
{
    l->fd = fd;
    alk_err err = alk_watch_new(l->loop, fd, ALK_FD_READ, on_fd, l, &l->watch);
    if (err != ALK_OK) {
        (void)close(fd);
        l->fd = -1;
        l->watch = NULL;
    }
    return err;
}

void alk_lines_fini(struct alk_lines *l)
{
    if (l->watch != NULL) {
        (void)read_some(l);
        end(l);
    }
}
