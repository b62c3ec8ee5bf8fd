/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet token new|list|revoke */
#include "commands.h"
#include "op.h"

static int run_new(struct cli *cli, const struct cli_args *args)
{
    struct yyjson_mut_val *input;
    struct yyjson_mut_doc *doc = cli_op_input(&input);
    struct yyjson_doc *answer = NULL;
    struct yyjson_val *output = NULL;
    const char *id = cli_get(args, "id");
    const char *expires = cli_get(args, "expires");

    if (id == NULL) {
        yyjson_mut_doc_free(doc);
        return cli_usage(cli->err, args, "whose token? Say --id ID");
    }
    bool is_ok = yyjson_mut_obj_add_str(doc, input, "id", id) &&
                 cli_op_put_many(doc, input, "scopes", args, "scope") &&
                 (expires == NULL || yyjson_mut_obj_add_str(doc, input, "expires", expires));
    if (!is_ok) {
        yyjson_mut_doc_free(doc);
        return cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    int rc = cli_op_run(cli, args, "auth/token/new", doc, &answer, &output);
    if (rc == CLI_OK && cli->is_json) {
        rc = cli_op_print(cli, output);
    } else if (rc == CLI_OK) {
        (void)fprintf(cli->out, "%s\n", cli_op_text(output, "token"));
        if (cli->err_is_tty) {
            (void)fprintf(cli->err,
                          "It is shown this once. To take it back: alknet token revoke "
                          "%s\n",
                          cli_op_text(output, "prefix"));
        }
    }
    yyjson_doc_free(answer);
    return rc;
}

static bool put_row(struct cli_table *table, struct yyjson_val *t)
{
    struct yyjson_val *list = yyjson_obj_get(t, "scopes");
    bool is_old = yyjson_get_bool(yyjson_obj_get(t, "expired"));
    char scopes[512], expires[64];
    cli_op_join(list, scopes, sizeof scopes);
    (void)snprintf(expires, sizeof expires, "%s%s", cli_op_text(t, "expires_at"),
                   is_old ? " (over)" : "");
    bool is_invitation = strcmp(cli_op_text(t, "purpose"), "invitation") == 0;
    const char *const cells[] = {cli_op_text(t, "prefix"),
                                 cli_op_text(t, "id"),
                                 is_invitation ? "invitation" : "token",
                                 list == NULL ? "(all of the peer's)" : scopes,
                                 expires[0] == '\0' ? "never" : expires,
                                 cli_op_text(t, "created_at")};
    return cli_table_row(table, cells);
}

static int run_list(struct cli *cli, const struct cli_args *args)
{
    static const char *const heads[] = {"PREFIX", "ID", "KIND", "SCOPES", "EXPIRES", "CREATED"};
    return cli_op_table(cli, args, "auth/token/list", "tokens", heads, 6, put_row);
}

static int run_revoke(struct cli *cli, const struct cli_args *args)
{
    return cli_op_one(cli, args, "auth/token/revoke", "prefix", "revoked");
}

static const struct cli_opt new_opts[] = {
    {.name = "id", .value = "ID", .is_needed = true, .help = "The peer that the token stands for."},
    {.name = "scope",
     .letter = 's',
     .value = "SCOPE",
     .is_many = true,
     .help = "A scope of the token. What the peer itself may not is not given by it. Default: all "
             "scopes of the peer."},
    {.name = "expires",
     .letter = 'e',
     .value = "TIME",
     .help = "When it ends: 24h, 30d, 2027-01-01 or never. Default: never."},
    {.name = NULL}};

static const struct cli_command token_new = {
    .name = "new",
    .summary = "make a token and print it, once",
    .purpose = "Makes a token for a peer and prints it alone on a line. It is stored as a hash: it "
               "cannot be shown again.",
    .sets = {new_opts, cli_state_opts, cli_json_opts},
    .examples =
        (const struct cli_example[]){
            {"alknet token new --id laptop", "a token with all rights of the peer laptop"},
            {"alknet token new --id ci --scope repo:write --expires 30d",
             "one that can only write to repositories, for a month"},
            {NULL, NULL}},
    .run = run_new};

static const struct cli_command token_list = {
    .name = "list",
    .summary = "list the tokens, without their secrets",
    .purpose = "Lists the tokens that were made with `token new`, and the invitations that nobody "
               "has accepted yet: prefix, peer, scopes, expiry. Tokens that stand in the "
               "configuration are not listed.",
    .sets = {cli_state_opts, cli_json_opts},
    .examples = (const struct cli_example[]){{"alknet token list", "list them"}, {NULL, NULL}},
    .run = run_list};

static const struct cli_command token_revoke = {
    .name = "revoke",
    .summary = "take a token back",
    .purpose = "Removes a token, or an invitation. From then on it is refused, also by a node that "
               "runs.",
    .sets = {cli_state_opts, cli_json_opts},
    .args = (const struct cli_arg[]){{"PREFIX", CLI_WORD,
                                      .help = "The 8 characters behind alk_, as `token list` shows "
                                              "them."},
                                     {.name = NULL}},
    .examples = (const struct cli_example[]){{"alknet token revoke 3kTz9QaB", "take one back"},
                                             {NULL, NULL}},
    .run = run_revoke};

static const struct cli_command *const token_commands[] = {&token_new, &token_list, &token_revoke,
                                                           NULL};

const struct cli_command cli_token_command = {
    .name = "token",
    .summary = "make, list and revoke tokens",
    .purpose =
        "A token lets in who holds it, as the peer that it was made for, where no key can be "
        "shown: in a Bearer header, in a call, for a program that runs unattended. Changes "
        "hold at once, in a node that runs and in one that does not.",
    .subcommands = token_commands};
