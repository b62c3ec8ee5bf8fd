/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/attached.h - a program whose standard input and output are a stream.
 *
 *     peer == stream -- relay -- socketpair (or two pipes) -- program
 *                                 [channel] messages both ways, when asked for
 *
 * The peer's end becomes the end of the program's input. Our direction is finished only
 * after its output has ended AND it exited with status 0; else the stream is reset, with
 * ALK_CODE_EXIT after a moment for what it printed last. When the peer resets, stops or
 * leaves, the program's group gets TERM and, two seconds later, KILL. Its standard error
 * goes to the log line by line. A run outlives its stream: the program is still to be
 * ended and reaped.
 *
 * Threads: a run belongs to the stream's loop.
 */
#ifndef ALK_CORE_HOST_ATTACHED_H
#define ALK_CORE_HOST_ATTACHED_H

#include "alknet/handler.h"
#include "alknet/loop.h"
#include "base/err.h"
#include "base/span.h"

struct alk_spawner;
struct alk_attached;

/* How it ended. */
struct alk_attached_end {
    /* Not NULL: the program was never started; the stream is the owner's again. */
    struct alk_stream *stream;
    alk_err err;     /* then: ALK_E_LIMIT, ALK_E_NOENT, ...; else ALK_OK */
    bool has_status; /* it exited by itself */
    int status;      /* as of waitpid */
};

struct alk_attached_calls {
    /* A message of the program; borrows until the call returns. alk_attached_abandon is
     * allowed in here. NULL: with message_max 0. */
    void (*message)(void *ctx, struct alk_span message);
    /* The last call; never inside alk_attached_start. Nothing of the spec is used
     * afterwards. Also when the loop ends. */
    void (*ended)(void *ctx, const struct alk_attached_end *end);
};

/* Everything borrows until `ended`, argv and env until start returns. */
struct alk_attached_spec {
    const struct alk_mem *mem;
    struct alk_spawner *spawner;
    struct alk_loop *loop;
    struct alk_stream *stream;
    bool is_tls;             /* to refuse input would end both directions */
    const char *const *argv; /* NULL-terminated */
    const char *const *env;
    const char *program;    /* for the log */
    const char *cwd, *user; /* NULL: / and the spawner's host_user */
    uint64_t memory;        /* bytes; 0: no limit */
    bool is_pipe;           /* two pipes: the program may open /dev/stdin */
    size_t message_max;     /* bytes of a message on the channel; 0: no channel */
    alk_time timeout;       /* 0: none */
    alk_time stall;         /* without a byte in either direction; 0: none */
    alk_time patience;      /* what it has to end by itself once the stream has gone; 0: none */
    alk_log_fn *log;
    void *log_ctx;
    const char *name;   /* of the service, for the log */
    const char *log_id; /* of the connection */
    const struct alk_attached_calls *calls;
    void *ctx;
};

/* Takes the stream over, when it succeeds: what it holds unconsumed is the program's
 * first input. ALK_E_LIMIT, ALK_E_NOMEM, ALK_E_IO, ALK_E_HOST_LOST: it is said in the
 * log, the stream has no callback, and `ended` does not come. */
ALK_NODISCARD alk_err alk_attached_start(const struct alk_attached_spec *spec,
                                         struct alk_attached **ret);
/* A message to the program. ALK_FULL: it reads too slowly. ALK_E_CLOSED, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_attached_say(struct alk_attached *run, struct alk_span message);
/* Aborts the stream with a code and ends the program; `ended` follows when it is no more,
 * possibly inside this call. */
void alk_attached_abandon(struct alk_attached *run, uint64_t code);

#endif
