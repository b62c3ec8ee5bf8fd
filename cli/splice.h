/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/splice.h - a stream joined to local file descriptors, both ways.
 *
 *   in_fd  --read--> stream --> peer       the end of in_fd finishes the stream
 *   out_fd <--write- stream <-- peer       the peer's end ends out_fd: shutdown of a
 *                                          socket, close of anything else
 *
 * Each direction ends for itself, and only a stated end is passed on as an end:
 * a reset is a reset on the other side too (`end` tells). At most 64 KiB are held
 * per direction here; everything else waits in the stream's window or with the
 * local writer. Descriptors are non-blocking; regular files are always ready.
 */
#ifndef ALK_CLI_SPLICE_H
#define ALK_CLI_SPLICE_H

#include "alknet/alknet.h"

#define CLI_SPLICE_BLOCK ((size_t)64 * 1024)

enum cli_splice_end {
    CLI_SPLICE_OPEN,     /* it goes on */
    CLI_SPLICE_FINISHED, /* the peer stated its end and all of it was written */
    CLI_SPLICE_RESET,    /* the peer reset its direction, or the connection broke: code */
    CLI_SPLICE_LOCAL     /* a local read or write failed: error */
};

struct cli_splice;
/* Once, when both directions are over and everything is written; the stream is
 * gone (with ends_with_reader it may be left to its connection). Descriptors stay
 * open. The splice may be freed inside. */
typedef void cli_splice_fn(void *ctx, struct cli_splice *splice);

struct cli_splice {
    /* Set by the caller, the rest zero. */
    struct alk_loop *loop;
    int in_fd, out_fd;   /* may be the same socket */
    bool ends_with_peer; /* when the peer has finished, in_fd is not waited for */
    /* When in_fd has ended and out_fd, a pipe, has lost its reader, both directions are
     * over at once: nobody is there to whom the peer's end would matter. */
    bool ends_with_reader;
    cli_splice_fn *done;
    void *ctx;
    /* For the caller to read in done. */
    enum cli_splice_end end;
    uint64_t code;
    int error;                    /* errno */
    uint64_t bytes_in, bytes_out; /* read from in_fd, written to out_fd */
    /* Private. */
    struct alk_stream *stream;
    struct alk_watch *in_watch, *out_watch; /* the same one for one socket */
    struct alk_timer kick;                  /* for descriptors that cannot be watched */
    bool in_is_file, out_is_file;
    struct alk_chunk *block; /* read, not taken by the stream yet: [0, block_n) */
    size_t block_n;
    struct alk_chunk *tail; /* what the stream still held when it closed */
    size_t tail_at;
    bool in_over;  /* no more reading */
    bool in_ended; /* by its own end */
    bool is_leaving;
    bool out_over; /* no more writing */
    bool got_end;  /* the peer finished */
    bool is_full;  /* the stream takes no more now */
    bool is_done;  /* done was called, or stop */
    unsigned mask; /* of one socket's watch, or of in_watch; out in bit 2 */
};

/* Joins; takes the stream (its callbacks are the splice's from now on). *s must
 * stay where it is until done, or until stop. ALK_E_NOMEM, ALK_E_IO: the stream
 * was closed and done will not come. */
ALK_NODISCARD alk_err cli_splice_start(struct cli_splice *s, struct alk_stream *stream);
/* Lets go of everything at once, resetting the stream; done does not come. No
 * effect after done or before start. */
void cli_splice_stop(struct cli_splice *s, uint64_t code);

#endif
