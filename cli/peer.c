/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet peer add|list|disable|enable|remove */
#include "commands.h"
#include "op.h"

static int run_add(struct cli *cli, const struct cli_args *args)
{
    struct yyjson_mut_val *input;
    struct yyjson_mut_doc *doc = cli_op_input(&input);
    struct yyjson_doc *answer = NULL;
    struct yyjson_val *output = NULL;
    struct yyjson_mut_val *keys = yyjson_mut_obj_add_arr(doc, input, "keys");
    bool is_ok = keys != NULL && yyjson_mut_obj_add_str(doc, input, "id", cli_value(args, 0)) &&
                 cli_op_put_many(doc, input, "scopes", args, "scope") &&
                 yyjson_mut_obj_add_bool(doc, input, "add_key", cli_has(args, "add-key"));

    for (size_t i = 1; is_ok && cli_value(args, i) != NULL; i++) {
        is_ok = yyjson_mut_arr_add_str(doc, keys, cli_value(args, i));
    }
    if (!is_ok) {
        yyjson_mut_doc_free(doc);
        return cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    int rc = cli_op_run(cli, args, "auth/peer/add", doc, &answer, &output);
    if (rc == CLI_OK && cli->is_json) {
        rc = cli_op_print(cli, output);
    } else if (rc == CLI_OK) {
        (void)fprintf(cli->out, "added %s\n", cli_op_text(output, "id"));
    }
    yyjson_doc_free(answer);
    return rc;
}

static bool put_row(struct cli_table *table, struct yyjson_val *p)
{
    char scopes[512], keys[1024];
    cli_op_join(yyjson_obj_get(p, "scopes"), scopes, sizeof scopes);
    cli_op_join(yyjson_obj_get(p, "keys"), keys, sizeof keys);
    const char *const cells[] = {
        cli_op_text(p, "id"), yyjson_get_bool(yyjson_obj_get(p, "enabled")) ? "yes" : "no",
        scopes[0] == '\0' ? "-" : scopes, cli_op_text(p, "from"), keys[0] == '\0' ? "-" : keys};
    return cli_table_row(table, cells);
}

static int run_peers(struct cli *cli, const struct cli_args *args)
{
    static const char *const heads[] = {"ID", "ENABLED", "SCOPES", "FROM", "KEYS"};
    return cli_op_table(cli, args, "auth/peer/list", "peers", heads, 5, put_row);
}

static int run_disable(struct cli *cli, const struct cli_args *args)
{
    return cli_op_one(cli, args, "auth/peer/disable", "id", "disabled");
}

static int run_enable(struct cli *cli, const struct cli_args *args)
{
    return cli_op_one(cli, args, "auth/peer/enable", "id", "enabled");
}

static int run_remove(struct cli *cli, const struct cli_args *args)
{
    return cli_op_one(cli, args, "auth/peer/remove", "id", "removed");
}

static const struct cli_arg id_args[] = {{"ID", CLI_WORD, .help = "The peer."}, {.name = NULL}};

static const struct cli_command peer_add = {
    .name = "add",
    .summary = "let a key in, under a name",
    .purpose = "Adds a peer: a name, its keys and what it may. A key is what `alknet id --client` "
               "prints on the other machine, a line of an OpenSSH public key file, or a "
               "fingerprint.",
    .sets = {(const struct cli_opt[]){
                 {.name = "scope",
                  .letter = 's',
                  .value = "SCOPE",
                  .is_many = true,
                  .help = "What it may: admin for everything, or names such as repo:read or "
                          "bench."},
                 {.name = "add-key", .help = "The peer exists: give it one more key."},
                 {.name = NULL}},
             cli_state_opts, cli_json_opts},
    .args =
        (const struct cli_arg[]){{"ID", CLI_WORD, .help = "A name for it: a-z 0-9 . _ - up to 64."},
                                 {"KEY", CLI_WORD, .is_optional = true, .is_many = true,
                                  .help = "A key: 52 characters, an ssh-ed25519 line in quotes, "
                                          "or ed25519:, spki:, cert: or SHA256: and a "
                                          "fingerprint. None: the peer has tokens only."},
                                 {.name = NULL}},
    .examples =
        (const struct cli_example[]){
            {"alknet peer add laptop \"$(cat laptop.pub)\" --scope admin",
             "an OpenSSH key, with all rights"},
            {"alknet peer add phone KEY --scope repo:read --scope call:read", "with a few rights"},
            {NULL, NULL}},
    .run = run_add};

static const struct cli_command peer_list = {
    .name = "list",
    .summary = "list the peers",
    .purpose = "Lists everybody whom the node knows, and from where: the store, or a line of the "
               "configuration.",
    .sets = {cli_state_opts, cli_json_opts},
    .examples = (const struct cli_example[]){{"alknet peer list", "list them"}, {NULL, NULL}},
    .run = run_peers};

static const struct cli_command peer_disable = {
    .name = "disable",
    .summary = "keep a peer out for now",
    .purpose = "Takes all rights from a peer and its tokens. Its open connections are closed at "
               "once.",
    .sets = {cli_state_opts, cli_json_opts},
    .args = id_args,
    .examples =
        (const struct cli_example[]){{"alknet peer disable laptop", "lost it?"}, {NULL, NULL}},
    .run = run_disable};

static const struct cli_command peer_enable = {
    .name = "enable",
    .summary = "let a disabled peer in again",
    .purpose = "Undoes `peer disable`.",
    .sets = {cli_state_opts, cli_json_opts},
    .args = id_args,
    .examples =
        (const struct cli_example[]){{"alknet peer enable laptop", "found again"}, {NULL, NULL}},
    .run = run_enable};

static const struct cli_command peer_remove = {
    .name = "remove",
    .summary = "forget a peer, its keys and its tokens",
    .purpose = "Removes a peer with its keys and tokens. Its open connections are closed at once.",
    .sets = {cli_state_opts, cli_json_opts},
    .args = id_args,
    .examples =
        (const struct cli_example[]){{"alknet peer remove laptop", "for good"}, {NULL, NULL}},
    .run = run_remove};

static const struct cli_command *const peer_commands[] = {&peer_add,    &peer_list,   &peer_disable,
                                                          &peer_enable, &peer_remove, NULL};

const struct cli_command cli_peer_command = {
    .name = "peer",
    .summary = "say who may use the node",
    .purpose = "A peer is somebody whom the node knows by a key: a person, a machine, a program. "
               "Services let in peers alone, unless they say otherwise. Peers can stand in the "
               "configuration too; those are changed there. Changes hold at once, in a node that "
               "runs and in one that does not.",
    .subcommands = peer_commands};
