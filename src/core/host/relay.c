/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/relay.h"

#include "base/mem.h"
#include "base/span.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

/* Reads and writes of one turn, so that one stream does not starve the others. */
#define BLOCKS_PER_TURN 8
/* From this size on a read is bulk, and the next goes straight into a chunk. */
#define BULK (ALK_RELAY_BLOCK / 2)
#define READ_MIN ((size_t)4096)

/* --- descriptors ---------------------------------------------------------- */

/* A pipe has no MSG_NOSIGNAL: a SIGPIPE that this write raised is taken back, one
 * that was pending before stays. */
static ssize_t write_pipe(int fd, struct alk_span data)
{
    sigset_t pipe_only, before, pending;
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t n = write(fd, data.p, data.n);
    int err = errno;
    if (n < 0 && err == EPIPE && !was_pending) {
        const struct timespec now = {0};
        while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return n;
}

/* ALK_OK: *ret_n bytes went. ALK_FULL. ALK_E_CLOSED: nobody reads. */
static alk_err write_some(const struct alk_relay *p, struct alk_span data, size_t *ret_n)
{
    for (;;) {
        ssize_t n = p->is_pipe ? write_pipe(p->out_fd, data)
                               : send(p->out_fd, data.p, data.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            *ret_n = (size_t)n;
            return ALK_OK;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        return n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) ? ALK_FULL
                                                                                 : ALK_E_CLOSED;
    }
}

static void update_watches(struct alk_relay *p)
{
    unsigned read = p->in_over || p->is_full || p->in_fd < 0 ? 0U : (unsigned)ALK_FD_READ;
    unsigned write = p->out_over || !p->wants_write || p->out_fd < 0 ? 0U : (unsigned)ALK_FD_WRITE;
    if (p->in_watch != NULL) {
        alk_watch_mask(p->in_watch, read);
        read = 0;
    }
    if (p->watch != NULL) {
        alk_watch_mask(p->watch, read | write);
    }
}

/* --- out: stream to descriptor -------------------------------------------- */

static void out_done(struct alk_relay *p)
{
    p->out_over = true;
    p->wants_write = false;
    alk_free(p->mem, p->rest);
    p->rest = NULL;
    p->rest_n = p->rest_at = 0;
}

/* What is to be written now: ALK_OK, or what alk_stream_peek says. */
static alk_err out_peek(struct alk_relay *p, struct alk_span *ret)
{
    if (p->stream != NULL) {
        return alk_stream_peek(p->stream, ret);
    }
    if (p->rest_n == 0) {
        return ALK_END; /* kept only when the peer had finished */
    }
    *ret = alk_span(p->rest + p->rest_at, p->rest_n);
    return ALK_OK;
}

static void out_consume(struct alk_relay *p, size_t n)
{
    p->out_bytes += n;
    if (p->stream != NULL) {
        alk_stream_consume(p->stream, n);
    } else {
        p->rest_at += n;
        p->rest_n -= n;
    }
}

static unsigned move_out(struct alk_relay *p)
{
    p->wants_write = false;
    for (int i = 0; i < BLOCKS_PER_TURN && !p->out_over; i++) {
        struct alk_span data;
        alk_err err = out_peek(p, &data);
        if (err == ALK_MORE) {
            return 0;
        }
        if (err != ALK_OK) {
            out_done(p);
            return err == ALK_END ? ALK_RELAY_OUT_END : ALK_RELAY_OUT_RESET;
        }
        size_t n = data.n;
        err = p->is_discarding ? ALK_OK : write_some(p, data, &n);
        if (err == ALK_FULL) {
            break;
        }
        if (err != ALK_OK) {
            out_done(p);
            return ALK_RELAY_OUT_REFUSED;
        }
        out_consume(p, n);
    }
    p->wants_write = !p->out_over; /* full, or the turn is over: the loop calls again */
    return 0;
}

/* --- in: descriptor to stream --------------------------------------------- */

static unsigned in_done(struct alk_relay *p, unsigned event)
{
    p->in_over = true;
    p->is_full = false;
    alk_chunk_unref(p->held);
    p->held = NULL;
    return event;
}

/* The stream takes no more: because the peer said so, or because it is over. */
static unsigned in_refused(struct alk_relay *p, alk_err err)
{
    if (err == ALK_E_NOMEM) {
        return in_done(p, ALK_RELAY_FAILED);
    }
    return in_done(p, err == ALK_E_STOPPED ? ALK_RELAY_IN_STOPPED : 0);
}

static alk_err push_held(struct alk_relay *p)
{
    alk_err err = alk_stream_write_chunk(p->stream, p->held, p->held_at, p->held_n);
    if (err != ALK_FULL) {
        alk_chunk_unref(p->held);
        p->held = NULL;
    }
    return err;
}

static alk_err hold(struct alk_relay *p, struct alk_span data)
{
    p->held = alk_chunk_new(p->mem, data.n);
    if (p->held == NULL) {
        return ALK_E_NOMEM;
    }
    memcpy(alk_chunk_data(p->held), data.p, data.n);
    p->held_at = 0;
    p->held_n = data.n;
    return ALK_FULL;
}

/* Hands n bytes to the stream, from the block or from a chunk of our own. */
static alk_err push(struct alk_relay *p, uint8_t *block, size_t n, struct alk_chunk *chunk)
{
    if (chunk != NULL) {
        p->held = alk_chunk_ref(chunk);
        p->held_at = 0;
        p->held_n = n;
        return push_held(p);
    }
    size_t took = 0;
    alk_err err = alk_stream_write(p->stream, alk_span(block, n), &took);
    return err == ALK_FULL ? hold(p, alk_span(block + took, n - took)) : err;
}

/* How much to read: what the stream has room for, but some in any case, because
 * only a stream that was offered too much tells when it has room again. */
static size_t read_size(const struct alk_relay *p)
{
    size_t room = alk_stream_room(p->stream);
    size_t n = room < READ_MIN ? READ_MIN : room;
    return n < ALK_RELAY_BLOCK ? n : ALK_RELAY_BLOCK;
}

/* One read. ALK_OK, ALK_MORE, ALK_FULL, ALK_END, or a failure; *ret_event tells
 * the owner. */
static alk_err read_one(struct alk_relay *p, unsigned *ret_event)
{
    uint8_t block[ALK_RELAY_BLOCK];
    struct alk_chunk *chunk = NULL;
    size_t size = read_size(p);
    if (p->is_bulk && size == ALK_RELAY_BLOCK) {
        chunk = alk_chunk_new(p->mem, size); /* without memory: the block will do */
    }
    ssize_t n;
    do {
        n = read(p->in_fd, chunk == NULL ? block : alk_chunk_data(chunk), size);
    } while (n < 0 && errno == EINTR);
    alk_err err = ALK_OK;
    if (n > 0) {
        p->is_bulk = (size_t)n >= BULK;
        p->in_bytes += (size_t)n;
        err = push(p, block, (size_t)n, chunk);
    } else if (n < 0 && errno == EAGAIN) {
        p->is_bulk = false;
        err = ALK_MORE;
    } else {
        p->in_errno = n == 0 ? 0 : errno;
        *ret_event = n == 0 ? ALK_RELAY_IN_END : ALK_RELAY_IN_ERROR;
        err = ALK_END;
    }
    alk_chunk_unref(chunk);
    return err;
}

static unsigned check_expected(struct alk_relay *p)
{
    if (p->in_over || p->in_bytes < p->expect || p->held != NULL) {
        return 0;
    }
    if (p->in_bytes > p->expect) {
        p->in_errno = EPROTO;
        return in_done(p, ALK_RELAY_IN_ERROR);
    }
    return in_done(p, ALK_RELAY_IN_END);
}

static unsigned move_in(struct alk_relay *p)
{
    if (p->held != NULL) {
        alk_err err = push_held(p);
        if (err != ALK_OK && err != ALK_FULL) {
            return in_refused(p, err);
        }
        p->is_full = err == ALK_FULL;
    }
    for (int i = 0; i < BLOCKS_PER_TURN && !p->is_full; i++) {
        unsigned event = check_expected(p);
        if (p->in_over) {
            return event;
        }
        alk_err err = read_one(p, &event);
        if (err == ALK_MORE) {
            return 0;
        }
        if (err == ALK_END) {
            return in_done(p, event);
        }
        if (err == ALK_FULL) {
            p->is_full = true;
        } else if (err != ALK_OK) {
            return in_refused(p, err);
        }
    }
    return check_expected(p);
}

/* --- events --------------------------------------------------------------- */

/* Does one step of work and tells the owner; p may be gone afterwards. */
static void work(struct alk_relay *p, bool has_in, unsigned events)
{
    if (p->in_work) {
        return; /* the stream's calls do not call back; a guard for the future */
    }
    p->in_work = true;
    if (!p->out_over) {
        events |= move_out(p);
    }
    if (!p->in_over && p->stream != NULL && (has_in || p->held != NULL)) {
        events |= move_in(p);
    }
    update_watches(p);
    p->in_work = false;
    events &= ~p->told;
    p->told |= events;
    if (events != 0) {
        p->fn(p->ctx, events);
    }
}

/* The stream goes away with bytes that the descriptor has not taken yet: the
 * transport is done with them, so they are ours now. */
static unsigned keep_rest(struct alk_relay *p)
{
    struct alk_span data;
    unsigned events = 0;
    alk_err err = p->out_over ? ALK_MORE : alk_stream_peek(p->stream, &data);
    if (err == ALK_OK) {
        p->rest = alk_alloc(p->mem, data.n);
        if (p->rest == NULL) {
            out_done(p);
            return ALK_RELAY_FAILED;
        }
        memcpy(p->rest, data.p, data.n);
        p->rest_n = data.n;
        alk_stream_consume(p->stream, data.n);
        err = alk_stream_peek(p->stream, &data);
    }
    if (!p->out_over && err != ALK_END) {
        out_done(p); /* without an end of its own it is an abort */
        events = ALK_RELAY_OUT_RESET;
    }
    return events;
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct alk_relay *p = ctx;
    unsigned tell = 0;
    (void)stream;
    if ((events & ALK_STREAM_STOPPED) != 0 && !p->in_over) {
        tell |= in_done(p, ALK_RELAY_IN_STOPPED);
    }
    if ((events & ALK_STREAM_WRITABLE) != 0) {
        p->is_full = false;
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        if (!p->out_over) {
            tell |= move_out(p);
        }
        tell |= keep_rest(p);
        (void)in_done(p, 0);
        p->stream = NULL;
        tell |= ALK_RELAY_CLOSED;
    }
    work(p, (events & ALK_STREAM_WRITABLE) != 0, tell);
}

static void on_fd(void *ctx, unsigned ready)
{
    work(ctx, (ready & ALK_FD_READ) != 0, 0);
}

static void on_in_fd(void *ctx, unsigned ready)
{
    (void)ready;
    work(ctx, true, 0);
}

void alk_relay_run(struct alk_relay *p)
{
    work(p, true, 0);
}

/* --- life ----------------------------------------------------------------- */

alk_err alk_relay_init(struct alk_relay *p, const struct alk_relay_options *options)
{
    *p = (struct alk_relay){
        .mem = options->mem,
        .loop = options->loop,
        .stream = options->stream,
        .fn = options->fn,
        .ctx = options->ctx,
        .out_fd = options->out_fd,
        .in_fd = options->in_fd,
        .is_pipe = options->is_pipe,
        .expect = UINT64_MAX,
    };
    bool is_one = p->out_fd == p->in_fd;
    alk_err err = alk_watch_new(p->loop, p->out_fd, is_one ? (unsigned)ALK_FD_READ : 0U, on_fd, p,
                                &p->watch);
    if (err == ALK_OK && !is_one) {
        err = alk_watch_new(p->loop, p->in_fd, ALK_FD_READ, on_in_fd, p, &p->in_watch);
    }
    if (err != ALK_OK) {
        p->stream = NULL;
        alk_relay_fini(p);
        return err;
    }
    alk_stream_on(p->stream, on_stream, p);
    return ALK_OK;
}

static void close_out(struct alk_relay *p)
{
    bool is_shared = p->out_fd == p->in_fd;
    alk_watch_free(p->watch);
    p->watch = NULL;
    if (p->out_fd >= 0) {
        (void)close(p->out_fd);
    }
    p->out_fd = -1;
    if (is_shared) {
        p->in_fd = -1;
    }
}

void alk_relay_fini(struct alk_relay *p)
{
    if (p->mem == NULL && p->loop == NULL) {
        return;
    }
    if (p->stream != NULL) {
        alk_stream_on(p->stream, NULL, NULL);
        p->stream = NULL;
    }
    close_out(p);
    alk_watch_free(p->in_watch);
    p->in_watch = NULL;
    if (p->in_fd >= 0) {
        (void)close(p->in_fd);
        p->in_fd = -1;
    }
    (void)in_done(p, 0);
    out_done(p);
    p->loop = NULL;
    p->mem = NULL;
}

void alk_relay_end_out(struct alk_relay *p)
{
    out_done(p);
    if (p->out_fd < 0) {
        return;
    }
    if (p->out_fd == p->in_fd) {
        (void)shutdown(p->out_fd, SHUT_WR);
    } else {
        close_out(p);
    }
    update_watches(p);
}

void alk_relay_cut_out(struct alk_relay *p)
{
    out_done(p);
    update_watches(p);
}

void alk_relay_cut_in(struct alk_relay *p)
{
    (void)in_done(p, 0);
    update_watches(p);
}

void alk_relay_discard_out(struct alk_relay *p)
{
    p->is_discarding = true;
    p->out_over = p->stream == NULL;
    p->wants_write = !p->out_over; /* begins in the loop's next turn */
    update_watches(p);
}

void alk_relay_expect(struct alk_relay *p, uint64_t total)
{
    p->expect = total;
}
