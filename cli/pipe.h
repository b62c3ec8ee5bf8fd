/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/pipe.h - standard input and output joined to one stream of a node.
 *
 *     struct cli_pipe pipe = {.client = &client, .ends_with_peer = false};
 *     int status = cli_pipe_run(&pipe);
 *
 * It dials, opens one stream, joins it (cli/splice.h) and runs the loop until both
 * directions are over and the last acknowledgements are in; what went wrong is told
 * on the way. Who has to say something on the stream before it is joined sets
 * `stream`, and calls cli_pipe_join when the time has come.
 */
#ifndef ALK_CLI_PIPE_H
#define ALK_CLI_PIPE_H

#include "client.h"
#include "signals.h"
#include "splice.h"

struct cli_pipe {
    /* Set by the caller, the rest zero. */
    struct cli_client *client;             /* open; its options may be changed before */
    bool ends_with_peer, ends_with_reader; /* as in struct cli_splice */
    /* NULL: the stream is joined as soon as it is open. Else it is this one's until
     * cli_pipe_join. Comes again, with another stream, when an early connection has
     * come to nothing; the stream before that hears ALK_STREAM_CLOSED first. */
    void (*stream)(void *ctx, struct alk_stream *stream);
    /* NULL, or: the connection has closed before the stream was joined. True: it is
     * dealt with (cli_pipe_quit was called); false: the end is told as usual. */
    bool (*closed)(void *ctx, uint64_t code);
    void *ctx;
    /* For the caller to read. */
    struct alk_conn *conn; /* NULL before it is open and when it has closed */
    struct cli_splice splice;
    bool is_early; /* the newest stream was opened in early data */
    bool is_joined;
    int signal; /* that ended it, or 0 */
    /* Private. */
    struct cli_signals signals;
    struct alk_timer linger;
    bool has_stream; /* it was opened */
    bool is_done;    /* both directions are over */
    bool is_told;    /* the reason is on the screen; status holds */
    int status;
};

/* Returns the exit status. Standard input and output are as they were before. */
int cli_pipe_run(struct cli_pipe *pipe);
/* Joins the stream; what it has already received goes to standard output first. */
void cli_pipe_join(struct cli_pipe *pipe, struct alk_stream *stream);
/* Ends the run with this status, unless the end was told already. */
void cli_pipe_quit(struct cli_pipe *pipe, int status);
/* After a run that a signal has ended, and when all is freed: ends the process by
 * that signal. Returns when there was none. */
void cli_pipe_raise(const struct cli_pipe *pipe);

#endif
