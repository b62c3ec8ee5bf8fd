/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet dial: standard input and output <-> one stream. */
#include "commands.h"
#include "pipe.h"

#include <unistd.h>

static int run_dial(struct cli *cli, const struct cli_args *args)
{
    struct cli_client client;
    struct cli_pipe pipe = {.client = &client,
                            .ends_with_peer = cli_has(args, "quit") || isatty(STDIN_FILENO) == 1};

    int rc = cli_client_open(cli, args, cli_value(args, 0), cli_value(args, 1), &client);
    if (rc == CLI_OK && strlen(cli_value(args, 1)) > ALK_ALPN_MAX) {
        rc = cli_usage(cli->err, args, "an ALPN has at most %d characters", ALK_ALPN_MAX);
    }
    if (rc == CLI_OK) {
        rc = cli_pipe_run(&pipe);
    }
    cli_client_close(&client);
    cli_pipe_raise(&pipe);
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
    .sets = {dial_opts, cli_node_opts},
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
