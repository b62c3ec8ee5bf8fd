/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of commands, the option sets they share, and how one is chosen. */
#include "commands.h"

#include "cli.h"
#include "complete.h"
#include "git_remote.h"

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>

const struct cli_command *const cli_commands[] = {&cli_init_command,
                                                  &cli_serve_command,
                                                  &cli_id_command,
                                                  &cli_status_command,
                                                  &cli_ping_command,
                                                  &cli_doctor_command,
                                                  &cli_reload_command,
                                                  &cli_dial_command,
                                                  &cli_tunnel_command,
                                                  &cli_call_command,
                                                  &cli_subscribe_command,
                                                  &cli_publish_command,
                                                  &cli_ops_command,
                                                  &cli_worker_command,
                                                  &cli_invite_command,
                                                  &cli_join_command,
                                                  &cli_token_command,
                                                  &cli_peer_command,
                                                  &cli_secret_command,
                                                  &cli_bench_command,
                                                  &cli_config_command,
                                                  &cli_completion_command,
                                                  &cli_version_command,
                                                  &cli_help_command,
                                                  &cli_man_command,
                                                  NULL};

/* --- option sets -------------------------------------------------------------- */

const struct cli_opt cli_json_opts[] = {{.name = "json", .help = "Print the result as JSON."},
                                        {.name = NULL}};

const struct cli_opt cli_state_opts[] = {
    {.name = "config",
     .letter = 'c',
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "The node's configuration. Default: alknet.yaml in the data directory, or "
             "/etc/alknet/alknet.yaml for root."},
    {.name = "dir",
     .letter = 'd',
     .value = "DIR",
     .complete = CLI_DIR,
     .help = "The node's data directory, whatever the configuration says. Default: "
             "~/.local/share/alknet, or /var/lib/alknet for root."},
    {.name = NULL}};

const struct cli_opt cli_node_opts[] = {
    {.name = "token",
     .letter = 't',
     .value = "TOKEN",
     .help = "Show this token, where the service takes one. Others may see it in the list of "
             "processes: rather set ALKNET_TOKEN or use --token-file."},
    {.name = "token-file",
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "Read the token from the first line of a file; - is standard input."},
    {.name = "identity",
     .letter = 'i',
     .value = "KEYFILE",
     .complete = CLI_FILE,
     .help = "Present this Ed25519 key (OpenSSH or PEM, without passphrase) instead of the "
             "client's own."},
    {.name = "anonymous", .help = "Present no key."},
    {.name = "tcp", .help = "Use TLS over TCP only."},
    {.name = "udp", .help = "Use QUIC over UDP only."},
    {.name = "trust",
     .help = "When the node's key is unknown, remember it and go on. A key that has changed is "
             "never accepted this way."},
    {.name = "insecure",
     .help = "Accept any key or certificate. Anybody on the way can then read and change "
             "everything: for tests only."},
    {.name = "ca",
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "Check the node's certificate against these authorities (PEM) instead of the "
             "system's."},
    {.name = "timeout",
     .value = "TIME",
     .help = "Give up when the node has not answered by then. Default: 15s."},
    {.name = "keylog",
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "Append the session's keys to this file, for Wireshark."},
    {.name = "qlog",
     .value = "DIR",
     .complete = CLI_DIR,
     .help = "Write a qlog file of the QUIC connection into this directory."},
    {.name = NULL}};

/* --- choosing ----------------------------------------------------------------- */

const struct cli_command *cli_find_command(const char *name)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (strcmp(cli_commands[i]->name, name) == 0) {
            return cli_commands[i];
        }
    }
    return NULL;
}

static int unknown_command(struct cli *cli, const char *word)
{
    const char *names[64];
    size_t n = 0;

    for (size_t i = 0; cli_commands[i] != NULL && n < 63; i++) {
        if (!cli_commands[i]->is_hidden) {
            names[n++] = cli_commands[i]->name;
        }
    }
    names[n] = NULL;
    const char *near = cli_nearest(word, names);
    if (near != NULL) {
        (void)cli_fail(cli, CLI_USAGE, "there is no command \"%s\"; did you mean \"%s\"?", word,
                       near);
    } else {
        (void)cli_fail(cli, CLI_USAGE, "there is no command \"%s\"", word);
    }
    (void)fprintf(cli->err, "Try: alknet --help\n");
    return CLI_USAGE;
}

static int run_command(struct cli *cli, const struct cli_command *command, int argc,
                       const char *const *argv)
{
    struct cli_args args;
    int rc = cli_parse(command, argc, argv, cli->err, &args);

    if (rc != CLI_OK) {
        return rc;
    }
    if (args.wants_help) {
        cli_help(cli, &args);
        return CLI_OK;
    }
    cli->is_json = cli_has(&args, "json");
    return args.command->run(cli, &args);
}

int cli_main(struct cli *cli, int argc, const char *const *argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    int rc;

    if (word == NULL) {
        struct cli errors = *cli;
        errors.out = cli->err;
        errors.has_color = false;
        cli_help_all(&errors);
        return CLI_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        cli_help_all(cli);
        rc = CLI_OK;
    } else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        rc = run_command(cli, &cli_version_command, 0, NULL);
    } else {
        const struct cli_command *command = cli_find_command(word);
        rc = command == NULL ? unknown_command(cli, word)
                             : run_command(cli, command, argc - 2, argv + 2);
    }
    return cli_finish(cli, rc);
}

/* --- help, version, man, completion ------------------------------------------- */

static int run_help(struct cli *cli, const struct cli_args *args)
{
    const char *name = cli_value(args, 0);
    const char *sub = cli_value(args, 1);
    struct cli_args of = {.command = name == NULL ? NULL : cli_find_command(name)};

    if (name == NULL) {
        cli_help_all(cli);
        return CLI_OK;
    }
    if (of.command == NULL) {
        return unknown_command(cli, name);
    }
    for (size_t i = 0;
         sub != NULL && of.command->subcommands != NULL && of.command->subcommands[i] != NULL;
         i++) {
        if (strcmp(of.command->subcommands[i]->name, sub) == 0) {
            of.parent = of.command;
            of.command = of.command->subcommands[i];
            break;
        }
    }
    cli_help(cli, &of);
    return CLI_OK;
}

static const struct cli_arg help_args[] = {
    {"COMMAND", CLI_COMMAND, .is_optional = true, .help = "The command to tell about."},
    {"SUBCOMMAND", CLI_WORD, .is_optional = true, .help = "And its part, as in `token new`."},
    {.name = NULL}};

const struct cli_command cli_help_command = {
    .name = "help",
    .summary = "tell what a command does",
    .purpose = "Prints the help of a command, as --help does, or the list of commands.",
    .args = help_args,
    .examples = (const struct cli_example[]){{"alknet help", "list the commands"},
                                             {"alknet help token new", "help on one of them"},
                                             {NULL, NULL}},
    .run = run_help};

static int run_version(struct cli *cli, const struct cli_args *args)
{
    const ngtcp2_info *quic = ngtcp2_version(0);
    (void)args;
    if (!cli->is_json) {
        (void)fprintf(cli->out, "alknet %s\n", ALK_VERSION);
        return CLI_OK;
    }
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *o = yyjson_mut_obj(doc);
    bool is_ok = yyjson_mut_obj_add_str(doc, o, "version", ALK_VERSION) &&
                 yyjson_mut_obj_add_strcpy(doc, o, "gnutls", gnutls_check_version(NULL)) &&
                 yyjson_mut_obj_add_strcpy(doc, o, "ngtcp2", quic->version_str);
    return cli_print_json(cli, doc, is_ok ? o : NULL);
}

const struct cli_command cli_version_command = {
    .name = "version",
    .summary = "print the version",
    .purpose = "Prints the version of this program; with --json also those of the libraries that "
               "do the cryptography and the transport.",
    .sets = {cli_json_opts},
    .examples = (const struct cli_example[]){{"alknet version", "print it"},
                                             {"alknet version --json", "with the libraries"},
                                             {NULL, NULL}},
    .run = run_version};

static int run_man(struct cli *cli, const struct cli_args *args)
{
    const char *name = cli_value(args, 0);
    const struct cli_command *command = name == NULL ? NULL : cli_find_command(name);

    if (name != NULL && strcmp(name, CLI_GIT_PROGRAM) == 0) {
        command = &cli_git_remote_command;
    }
    if (name != NULL && strcmp(name, "--all") != 0 && command == NULL) {
        return unknown_command(cli, name);
    }
    if (cli_has(args, "list")) {
        for (size_t i = 0; cli_commands[i] != NULL; i++) {
            if (!cli_commands[i]->is_hidden) {
                (void)fprintf(cli->out, "%s\n", cli_commands[i]->name);
            }
        }
        return CLI_OK;
    }
    return cli_man(cli->out, command) ? CLI_OK : CLI_FAILED;
}

const struct cli_command cli_man_command = {
    .name = "man",
    .is_hidden = true,
    .summary = "print a manual page in mdoc",
    .purpose = "Prints the manual page of a command, or alknet(1), in mdoc. For the build.",
    .sets = {(const struct cli_opt[]){{.name = "list", .help = "List the commands with pages."},
                                      {.name = NULL}}},
    .args =
        (const struct cli_arg[]){{"COMMAND", CLI_COMMAND, .is_optional = true, .help = "Which."},
                                 {.name = NULL}},
    .run = run_man};

static int run_completion(struct cli *cli, const struct cli_args *args)
{
    const char *what = cli_value(args, 0), *node = cli_value(args, 1), *op = cli_value(args, 2);

    if (strcmp(what, "fields") == 0) {
        return op != NULL ? cli_complete_fields(cli, args, node, op)
                          : cli_usage(cli->err, args, "of what? Say which NODE and OPERATION");
    }
    if (op != NULL) {
        return cli_usage(cli->err, args, "an OPERATION goes with `fields` alone");
    }
    if (strcmp(what, "operations") == 0) {
        return node != NULL ? cli_complete_operations(cli, args, node)
                            : cli_usage(cli->err, args, "whose operations? Say which NODE");
    }
    if (node != NULL) {
        return cli_usage(cli->err, args, "a NODE goes with `operations` and `fields`");
    }
    return strcmp(what, "nodes") == 0 ? cli_complete_nodes(cli) : cli_completion(cli, what);
}

const struct cli_command cli_completion_command = {
    .name = "completion",
    .summary = "print a completion script for a shell",
    .purpose = "Prints a script that completes commands, options, files, names of nodes and a "
               "node's operations in bash, zsh or fish, and the fields of an operation in bash. "
               "Packages install these scripts already. For operations and fields the node is "
               "asked, for two seconds at the most; its answer is good for a minute.",
    .args =
        (const struct cli_arg[]){
            {"SHELL", CLI_SHELL,
             .help = "bash, zsh or fish. `nodes`, `operations` and `fields` print what the "
                     "scripts offer: names of nodes, the operations of NODE, the fields of "
                     "OPERATION."},
            {"NODE", CLI_NODE, .is_optional = true,
             .help = "With `operations` and `fields`: whose."},
            {"OPERATION", CLI_OPERATION, .is_optional = true, .help = "With `fields`: of which."},
            {.name = NULL}},
    .examples =
        (const struct cli_example[]){
            {"source <(alknet completion bash)", "complete in this bash"},
            {"alknet completion zsh > ~/.zfunc/_alknet", "for zsh, with ~/.zfunc in fpath"},
            {"alknet completion fish > ~/.config/fish/completions/alknet.fish", "for fish"},
            {NULL, NULL}},
    .run = run_completion};
