/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet dial: standard input and output <-> one stream. */
#include "client.h"
#include "commands.h"
#include "signals.h"
#include "splice.h"
#include "stdfd.h"

#include <signal.h>
#include <unistd.h>

/* How long the last acknowledgements may take after everything is done. */
#define LINGER (2 * ALK_SECOND)

struct dial {
    struct cli *cli;
    struct cli_client client;
    struct cli_signals signals;
    struct alk_conn *conn;
    struct cli_splice splice;
    struct alk_timer linger;
    bool is_spliced; /* the stream is open */
    bool is_done;    /* and over */
    bool is_told;    /* the reason is on the screen; status holds */
    int status;
    int signal;
};

static void quit(struct dial *d, int status)
{
    if (!d->is_told) {
        d->is_told = true;
        d->status = status;
    }
    alk_loop_stop(d->client.loop);
}

static int judge(struct dial *d)
{
    const struct cli_splice *s = &d->splice;

    switch (s->end) {
    case CLI_SPLICE_FINISHED:
        return CLI_OK;
    case CLI_SPLICE_LOCAL:
        return cli_fail(d->cli, CLI_FAILED, "standard input or output: %s", strerror(s->error));
    case CLI_SPLICE_RESET:
    case CLI_SPLICE_OPEN:
        break;
    }
    return cli_fail(d->cli, CLI_FAILED, "the service reset the stream: %s (code %llu)",
                    alk_code_name(s->code), (unsigned long long)s->code);
}

/* --- events ------------------------------------------------------------------- */

static void on_done(void *ctx, struct cli_splice *splice)
{
    struct dial *d = (struct dial *)ctx;
    (void)splice;
    d->is_done = true;
    if (d->conn == NULL) {
        quit(d, d->is_told ? d->status : judge(d));
        return;
    }
    /* The connection's own end, if it is the cause, is told by on_closed. */
    alk_conn_close(d->conn, ALK_CODE_NONE, alk_span_str(""));
    alk_timer_set(d->client.loop, &d->linger, alk_loop_now(d->client.loop) + LINGER);
}

static void on_linger(struct alk_timer *timer, void *ctx)
{
    struct dial *d = (struct dial *)ctx;
    (void)timer;
    quit(d, judge(d));
}

static void open_stream(struct dial *d)
{
    struct alk_stream *stream = NULL;
    alk_err err = alk_conn_open_stream(d->conn, NULL, NULL, &stream);

    if (err == ALK_FULL) {
        return; /* on_credit tries again */
    }
    if (err == ALK_OK) {
        d->is_spliced = true;
        d->splice.loop = d->client.loop;
        d->splice.done = on_done;
        d->splice.ctx = d;
        err = cli_splice_start(&d->splice, stream);
    }
    if (err != ALK_OK) {
        quit(d, cli_fail_err(d->cli, err, NULL));
    }
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct dial *d = (struct dial *)ctx;
    d->conn = conn;
    open_stream(d);
}

static void on_credit(void *ctx)
{
    struct dial *d = (struct dial *)ctx;
    if (!d->is_spliced) {
        open_stream(d);
    }
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct dial *d = (struct dial *)ctx;
    quit(d, cli_client_failed(&d->client, err, message));
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct dial *d = (struct dial *)ctx;
    bool was_ours = why == ALK_OK && code == ALK_CODE_NONE;

    d->conn = NULL;
    alk_timer_stop(d->client.loop, &d->linger);
    if (d->is_done && (d->splice.end == CLI_SPLICE_FINISHED || was_ours)) {
        quit(d, judge(d));
        return;
    }
    /* Bytes that came with a stated end are still being written: they decide. */
    if (d->is_spliced && !d->is_done && d->splice.got_end) {
        return;
    }
    int status =
        was_ours && d->is_spliced ? judge(d) : cli_client_closed(&d->client, why, code, reason);
    if (d->is_done || !d->is_spliced) {
        quit(d, status);
        return;
    }
    d->is_told = true;
    d->status = status;
    cli_splice_stop(&d->splice, ALK_CODE_NONE);
    alk_loop_stop(d->client.loop);
}

static void on_signal(void *ctx, int number)
{
    struct dial *d = (struct dial *)ctx;
    d->signal = number;
    quit(d, CLI_FAILED);
}

/* --- the command -------------------------------------------------------------- */

static const struct alk_client_calls calls = {
    .opened = on_opened, .failed = on_failed, .credit = on_credit, .closed = on_closed};

static int run_loop(struct dial *d)
{
    struct cli_stdfd in, out;

    cli_stdfd_open(STDIN_FILENO, &in);
    cli_stdfd_open(STDOUT_FILENO, &out);
    alk_err err = cli_signals_open(d->client.loop, on_signal, d, &d->signals);
    if (err == ALK_OK) {
        err = cli_client_dial(&d->client, &calls, d);
    }
    if (err == ALK_OK) {
        alk_loop_run(d->client.loop);
    } else {
        d->status = cli_fail_err(d->cli, err, NULL);
    }
    cli_splice_stop(&d->splice, ALK_CODE_NONE);
    cli_signals_close(&d->signals);
    cli_stdfd_restore(&out);
    cli_stdfd_restore(&in);
    return d->status;
}

static int run_dial(struct cli *cli, const struct cli_args *args)
{
    struct dial d = {.cli = cli, .splice = {.in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO}};

    d.linger.fn = on_linger;
    d.linger.ctx = &d;
    d.splice.ends_with_peer = cli_has(args, "quit") || isatty(STDIN_FILENO) == 1;
    int rc = cli_client_open(cli, args, cli_value(args, 0), cli_value(args, 1), &d.client);
    if (rc == CLI_OK && strlen(cli_value(args, 1)) > ALK_ALPN_MAX) {
        rc = cli_usage(cli->err, args, "an ALPN has at most %d characters", ALK_ALPN_MAX);
    }
    if (rc == CLI_OK) {
        rc = run_loop(&d);
    }
    cli_client_close(&d.client);
    if (d.signal != 0) {
        (void)signal(d.signal, SIG_DFL);
        (void)raise(d.signal);
    }
    return rc;
}

static const struct cli_opt dial_opts[] = {
    {.name = "quit",
     .letter = 'q',
     .help = "Leave when the service has finished, without waiting for the end of standard input. "
             "This is so anyway when standard input is a terminal."},
    {.name = NULL}};

static const struct cli_arg dial_args[] = {
    {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
    {"ALPN", CLI_ALPN, .help = "The service: the name it is registered under."},
    {.name = NULL}};

static const struct cli_section dial_sections[] = {
    {"NOTES",
     "Both directions end for themselves: the end of standard input finishes our direction, the "
     "service's end closes standard output. Status 0 means that the service stated its end; a "
     "connection that breaks, or a program behind the service that fails, is a reset: status 1, "
     "with the code on standard error.\n\n"
     "A token that is given is not sent: raw services know their peer by its key alone. Protocols "
     "of alknet's own take it where they have a place for it."},
    {NULL, NULL}};

const struct cli_command cli_dial_command = {
    .name = "dial",
    .summary = "connect standard input and output to a service",
    .purpose =
        "Opens one stream to a service and joins it to standard input and output: for pipes, and "
        "for programs that start a command to reach the other side (ProxyCommand of ssh, sftp -D, "
        "git's ext::).",
    .sets = {cli_node_opts, dial_opts},
    .args = dial_args,
    .sections = dial_sections,
    .examples =
        (const struct cli_example[]){
            {"echo hello | alknet dial home demo/cat", "send a line and read what comes back"},
            {"sftp -D \"alknet dial home my/sftp\"", "files, over an exec service"},
            {"ssh -o ProxyCommand=\"alknet dial home my/sshd\" me@home",
             "OpenSSH through the node"},
            {"git -c protocol.ext.allow=always clone \"ext::alknet dial home my/git %G/repo\"",
             "git over an exec service"},
            {NULL, NULL}},
    .run = run_dial};
