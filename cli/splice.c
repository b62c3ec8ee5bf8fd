/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "splice.h"

#include "base/span.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Blocks moved in one turn, so that one splice does not starve the others. */
#define TURN_BLOCKS 32

static void work(struct cli_splice *s);

/* --- waiting ------------------------------------------------------------------ */

static bool wants_in(const struct cli_splice *s)
{
    return !s->in_over && !s->is_full;
}

static void set_masks(struct cli_splice *s, bool wants_out)
{
    unsigned in = wants_in(s) ? (unsigned)ALK_FD_READ : 0u;
    unsigned out = wants_out ? (unsigned)ALK_FD_WRITE : 0u;
    unsigned mask = in | out << 2;

    if (mask == s->mask) {
        return;
    }
    s->mask = mask;
    if (s->in_watch != NULL && s->in_watch == s->out_watch) {
        alk_watch_mask(s->in_watch, in | out);
        return;
    }
    if (s->in_watch != NULL) {
        alk_watch_mask(s->in_watch, in);
    }
    if (s->out_watch != NULL) {
        alk_watch_mask(s->out_watch, out);
    }
}

static void drop_watches(struct cli_splice *s)
{
    if (s->out_watch != NULL && s->out_watch != s->in_watch) {
        alk_watch_free(s->out_watch);
    }
    if (s->in_watch != NULL) {
        alk_watch_free(s->in_watch);
    }
    s->in_watch = NULL;
    s->out_watch = NULL;
    alk_timer_stop(s->loop, &s->kick);
    if (s->block != NULL) {
        alk_chunk_unref(s->block);
        s->block = NULL;
    }
    if (s->tail != NULL) {
        alk_chunk_unref(s->tail);
        s->tail = NULL;
    }
}

/* --- local to peer ------------------------------------------------------------ */

static void fail_local(struct cli_splice *s, int error)
{
    if (s->end == CLI_SPLICE_OPEN) {
        s->end = CLI_SPLICE_LOCAL;
        s->error = error;
    }
}

/* The stream takes what was read; false: it is full, or over. */
static bool push_block(struct cli_splice *s)
{
    alk_err err = alk_stream_write_chunk(s->stream, s->block, 0, s->block_n);
    if (err == ALK_FULL) {
        s->is_full = true;
        return false;
    }
    alk_chunk_unref(s->block);
    s->block = NULL;
    if (err != ALK_OK) {
        s->in_over = true; /* the peer takes no more: its own end tells why */
    }
    return err == ALK_OK;
}

/* One read; false: nothing more now. */
static bool pull_block(struct cli_splice *s)
{
    s->block = alk_chunk_new(NULL, CLI_SPLICE_BLOCK);
    if (s->block == NULL) {
        fail_local(s, ENOMEM);
        alk_stream_reset(s->stream, ALK_CODE_INTERNAL);
        s->in_over = true;
        return false;
    }
    ssize_t n = read(s->in_fd, alk_chunk_data(s->block), CLI_SPLICE_BLOCK);
    if (n > 0) {
        s->block_n = (size_t)n;
        s->bytes_in += (size_t)n;
        return true;
    }
    int error = errno;
    alk_chunk_unref(s->block);
    s->block = NULL;
    if (n == 0) {
        alk_stream_finish(s->stream);
        s->in_over = true;
        s->in_ended = true;
    } else if (error != EAGAIN && error != EINTR) {
        fail_local(s, error);
        alk_stream_reset(s->stream, ALK_CODE_INTERNAL);
        s->in_over = true;
    }
    return false;
}

/* True: there is more to do at once. */
static bool move_in(struct cli_splice *s)
{
    for (unsigned i = 0; i < TURN_BLOCKS; i++) {
        if (s->block != NULL && !push_block(s)) {
            return false;
        }
        if (s->in_over || !pull_block(s)) {
            return false;
        }
    }
    return true;
}

/* --- peer to local ------------------------------------------------------------ */

static void end_out(struct cli_splice *s)
{
    struct stat st;

    s->out_over = true;
    if (fstat(s->out_fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)shutdown(s->out_fd, SHUT_WR);
        return;
    }
    if (s->out_fd == s->in_fd) {
        return;
    }
    if (s->out_watch != NULL) {
        alk_watch_free(s->out_watch);
        s->out_watch = NULL;
    }
    /* The reader sees the end now, and the number stays taken. */
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, s->out_fd);
        (void)close(null);
    }
}

static void on_peer_end(struct cli_splice *s)
{
    s->got_end = true;
    end_out(s);
    if (s->ends_with_peer && !s->in_over && s->stream != NULL) {
        s->in_over = true;
        alk_stream_finish(s->stream);
    }
}

static void on_peer_reset(struct cli_splice *s)
{
    s->out_over = true;
    if (s->end == CLI_SPLICE_OPEN) {
        s->end = CLI_SPLICE_RESET;
        s->code = s->stream != NULL ? alk_stream_peer_code(s->stream) : s->code;
    }
    if (!s->in_over) {
        s->in_over = true;
        alk_stream_reset(s->stream, s->code);
    }
}

/* What is to be written next: from the stream, or from what it left. */
static alk_err next_out(struct cli_splice *s, struct alk_span *ret)
{
    if (s->stream != NULL) {
        return alk_stream_peek(s->stream, ret);
    }
    if (s->tail != NULL && s->tail_at < alk_chunk_size(s->tail)) {
        *ret = alk_span(alk_chunk_data(s->tail) + s->tail_at, alk_chunk_size(s->tail) - s->tail_at);
        return ALK_OK;
    }
    return s->got_end ? ALK_END : ALK_E_RESET;
}

static void took_out(struct cli_splice *s, size_t n)
{
    s->bytes_out += n;
    if (s->stream != NULL) {
        alk_stream_consume(s->stream, n);
    } else {
        s->tail_at += n;
    }
}

static void fail_out(struct cli_splice *s, int error)
{
    fail_local(s, error);
    s->out_over = true;
    if (s->stream != NULL) {
        alk_stream_stop(s->stream, ALK_CODE_NONE);
    }
}

/* True: the local side takes no more now. */
static bool move_out(struct cli_splice *s)
{
    struct alk_span in;
    alk_err err = ALK_MORE;

    while (!s->out_over && (err = next_out(s, &in)) == ALK_OK) {
        ssize_t n = write(s->out_fd, in.p, in.n);
        if (n > 0) {
            took_out(s, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            return true;
        } else if (n == 0 || errno != EINTR) {
            fail_out(s, n < 0 ? errno : EIO);
        }
    }
    if (!s->out_over && err == ALK_END) {
        on_peer_end(s);
    } else if (!s->out_over && err < 0) {
        on_peer_reset(s);
    }
    return false;
}

/* The stream's last event: what it holds and the local side has not taken yet is
 * kept, because the stream is gone when we return. */
static void save_tail(struct cli_splice *s)
{
    struct alk_span in;

    if (s->out_over || alk_stream_peek(s->stream, &in) != ALK_OK) {
        return;
    }
    s->tail = alk_chunk_new(NULL, in.n);
    if (s->tail == NULL) {
        fail_local(s, ENOMEM);
        s->out_over = true;
        return;
    }
    memcpy(alk_chunk_data(s->tail), in.p, in.n);
    alk_stream_consume(s->stream, in.n);
    s->got_end = alk_stream_peek(s->stream, &in) == ALK_END;
    s->code = alk_stream_peer_code(s->stream);
}

/* --- both --------------------------------------------------------------------- */

static void finish(struct cli_splice *s)
{
    drop_watches(s);
    if (s->end == CLI_SPLICE_OPEN) {
        s->end = s->got_end ? CLI_SPLICE_FINISHED : CLI_SPLICE_RESET;
    }
    s->is_done = true;
    s->done(s->ctx, s);
}

static bool lost_reader(const struct cli_splice *s)
{
    struct pollfd p = {.fd = s->out_fd};
    return s->ends_with_reader && s->in_ended && poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

/* One turn later: the end that was stated to the peer goes out first. */
static void leave(struct cli_splice *s)
{
    if (!s->is_leaving) {
        s->is_leaving = true;
        alk_timer_set(s->loop, &s->kick, alk_loop_now(s->loop));
        return;
    }
    s->out_over = true;
    s->got_end = true;
    alk_stream_on(s->stream, NULL, NULL); /* the end of the connection ends it */
    s->stream = NULL;
}

static void work(struct cli_splice *s)
{
    bool wants_out = move_out(s);
    bool has_more = !s->in_over && !s->is_full && move_in(s);

    if (s->stream != NULL && lost_reader(s)) {
        leave(s);
    }
    if (s->stream == NULL && s->out_over) {
        finish(s);
        return;
    }
    set_masks(s, wants_out);
    bool in_spins = s->in_is_file && wants_in(s);
    if (has_more || in_spins || (s->out_is_file && wants_out)) {
        alk_timer_set(s->loop, &s->kick, alk_loop_now(s->loop));
    }
}

static void on_kick(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    work((struct cli_splice *)ctx);
}

static void on_fd(void *ctx, unsigned ready)
{
    (void)ready; /* the calls themselves tell what is possible */
    work((struct cli_splice *)ctx);
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct cli_splice *s = (struct cli_splice *)ctx;

    if ((events & ALK_STREAM_WRITABLE) != 0) {
        s->is_full = false;
    }
    if ((events & ALK_STREAM_STOPPED) != 0 && !s->in_over) {
        s->in_over = true;
        alk_stream_reset(stream, alk_stream_peer_code(stream));
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        (void)move_out(s);
        save_tail(s);
        s->in_over = true;
        if (!s->out_over && s->tail == NULL) {
            on_peer_reset(s); /* it closed without a word about its end */
        }
        s->stream = NULL;
    }
    work(s);
}

static alk_err watch(struct cli_splice *s, int fd, struct alk_watch **ret, bool *ret_is_file)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *ret_is_file = true;
        return ALK_OK;
    }
    alk_err err = alk_watch_new(s->loop, fd, 0, on_fd, s, ret);
    if (err != ALK_OK && err != ALK_E_NOMEM) {
        *ret_is_file = true; /* /dev/null and its like are always ready */
        return ALK_OK;
    }
    return err;
}

alk_err cli_splice_start(struct cli_splice *s, struct alk_stream *stream)
{
    s->stream = stream;
    s->kick.fn = on_kick;
    s->kick.ctx = s;
    alk_err err = watch(s, s->in_fd, &s->in_watch, &s->in_is_file);
    if (err == ALK_OK && s->out_fd == s->in_fd) {
        s->out_watch = s->in_watch;
        s->out_is_file = s->in_is_file;
    } else if (err == ALK_OK) {
        err = watch(s, s->out_fd, &s->out_watch, &s->out_is_file);
    }
    if (err != ALK_OK) {
        cli_splice_stop(s, ALK_CODE_INTERNAL);
        return err;
    }
    alk_stream_on(stream, on_stream, s);
    alk_timer_set(s->loop, &s->kick, alk_loop_now(s->loop));
    return ALK_OK;
}

void cli_splice_stop(struct cli_splice *s, uint64_t code)
{
    if (s->done == NULL || s->is_done) {
        return;
    }
    s->is_done = true;
    drop_watches(s);
    if (s->stream != NULL) {
        alk_stream_close(s->stream, code);
        s->stream = NULL;
    }
}
