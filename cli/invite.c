/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet invite, join */
#include "caller.h"
#include "commands.h"
#include "op.h"
#include "state.h"

#include "base/ct.h"
#include "base/text.h"
#include "core/addr.h"
#include "core/auth/identity.h"
#include "core/auth/token.h"
#include "who.h"

#include <errno.h>
#include <unistd.h>

#define LINK_MAX_BYTES (CLI_NODE_MAX + ALK_TOKEN_SIZE + 80)

/* --- invite -------------------------------------------------------------------------- */

static int ask_for_token(struct cli *cli, const struct cli_args *args, struct yyjson_doc **ret_doc,
                         struct yyjson_val **ret)
{
    struct yyjson_mut_val *input;
    struct yyjson_mut_doc *doc = cli_op_input(&input);
    const char *expires = cli_get(args, "expires");

    bool is_ok = yyjson_mut_obj_add_str(doc, input, "id", cli_get(args, "id")) &&
                 cli_op_put_many(doc, input, "scopes", args, "scope") &&
                 yyjson_mut_obj_add_bool(doc, input, "add_key", cli_has(args, "add-key")) &&
                 (expires == NULL || yyjson_mut_obj_add_str(doc, input, "expires", expires));
    if (!is_ok) {
        yyjson_mut_doc_free(doc);
        return cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    return cli_op_run(cli, args, "auth/invite/new", doc, ret_doc, ret);
}

static int print_link(struct cli *cli, const struct cli_args *args, const struct cli_who *who,
                      struct yyjson_val *out)
{
    char address[CLI_NODE_MAX + 64], link[LINK_MAX_BYTES];
    const char *host = cli_get(args, "host") != NULL ? cli_get(args, "host") : who->host_port;
    struct alk_addr addr;

    cli_node_print(who->text, host, address, sizeof address);
    if (alk_addr_parse(alk_span_str(host), &addr) == ALK_OK && alk_addr_is_loopback(&addr)) {
        (void)fprintf(cli->err,
                      "alknet: warning: %s is this machine alone: for others say --host HOST:PORT, "
                      "or `advertise:` in the configuration\n",
                      host);
    }
    (void)snprintf(link, sizeof link, "%s/join#%s", address, cli_op_text(out, "token"));
    int rc = CLI_OK;
    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok =
            yyjson_mut_obj_add_strcpy(doc, o, "link", link) &&
            yyjson_mut_obj_add_strcpy(doc, o, "id", cli_op_text(out, "id")) &&
            yyjson_mut_obj_add_strcpy(doc, o, "prefix", cli_op_text(out, "prefix")) &&
            yyjson_mut_obj_add_strcpy(doc, o, "expires_at", cli_op_text(out, "expires_at"));
        rc = cli_print_json(cli, doc, is_ok ? o : NULL);
    } else {
        (void)fprintf(cli->out, "%s\n", link);
        if (cli->err_is_tty) {
            (void)fprintf(cli->err,
                          "On the other machine: alknet join LINK. It is good once, until %s; to "
                          "take it back: alknet token revoke %s\n",
                          cli_op_text(out, "expires_at"), cli_op_text(out, "prefix"));
        }
    }
    alk_wipe(link, sizeof link);
    return rc;
}

static int run_invite(struct cli *cli, const struct cli_args *args)
{
    struct cli_state state;
    struct cli_who who = {.info = NULL};
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *out = NULL;

    if (cli_get(args, "id") == NULL) {
        return cli_usage(cli->err, args, "whom? Say --id ID");
    }
    int rc = cli_state_open(cli, args, false, &state);
    if (rc == CLI_OK) {
        rc = cli_who_find(&state, &who);
    }
    cli_state_close(&state);
    if (rc == CLI_OK) {
        rc = ask_for_token(cli, args, &doc, &out);
    }
    if (rc == CLI_OK) {
        rc = print_link(cli, args, &who, out);
    }
    yyjson_doc_free(doc);
    cli_who_fini(&who);
    return rc;
}

/* --- join ------------------------------------------------------------------------------ */

static alk_err read_link(char *ret, size_t ret_size)
{
    size_t n = 0;
    while (n + 1 < ret_size) {
        ssize_t got = read(STDIN_FILENO, ret + n, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || ret[n] == '\n') {
            ret[n] = '\0';
            return got < 0 ? ALK_E_IO : ALK_OK;
        }
        n++;
    }
    return ALK_E_TOO_BIG;
}

struct link {
    char address[CLI_NODE_MAX + 1];
    char token[ALK_TOKEN_SIZE];
};

/* alknet://KEY@HOST:PORT/join#TOKEN */
static int parse_link(struct cli *cli, const struct cli_args *args, const char *text,
                      struct link *ret)
{
    struct alk_span rest = alk_span_trim(alk_span_str(text)), prefix;
    struct alk_span address = alk_span_cut(&rest, '#');
    struct cli_node node;
    char why[256] = "";

    if (alk_span_ends(address, ALK_LIT("/join"))) {
        address.n -= 5;
    }
    bool is_ok = alk_token_parse(rest, &prefix) &&
                 alk_span_cstr(rest, ret->token, sizeof ret->token) &&
                 alk_span_cstr(address, ret->address, sizeof ret->address) &&
                 cli_node_parse(ret->address, &node, why, sizeof why) == ALK_OK && node.has_key;
    return is_ok ? CLI_OK
                 : cli_usage(cli->err, args,
                             "that is no invitation: they look like "
                             "alknet://KEY@HOST:PORT/join#alk_...%s%s",
                             why[0] == '\0' ? "" : "; ", why);
}

/* What the node is called here: --name, or its host's first part. */
static int find_name(struct cli *cli, const struct cli_args *args, const char *host, char *ret,
                     size_t ret_size)
{
    const char *name = cli_get(args, "name");
    struct alk_span rest = alk_span_str(host);
    struct alk_span first = alk_span_cut(&rest, '.');
    uint64_t number;

    if (name == NULL && (alk_span_u64(first, UINT64_MAX, &number) ||
                         alk_span_find(alk_span_str(host), ':') < strlen(host))) {
        first = ALK_LIT("node"); /* an address makes no name */
    }
    if (name != NULL) {
        first = alk_span_str(name);
    }
    if (!alk_identity_id_is_valid(first) || alk_span_find(first, '.') < first.n ||
        !alk_span_cstr(first, ret, ret_size)) {
        return cli_usage(cli->err, args,
                         "--name is of a-z 0-9 _ - and begins with a letter or digit");
    }
    return CLI_OK;
}

static int enroll(struct cli *cli, struct cli_caller *caller, const struct link *link,
                  struct yyjson_doc **ret_doc)
{
    const struct alk_ask ask = {.struct_size = sizeof ask,
                                .op = "auth/enroll",
                                .input = ALK_LIT("{}"),
                                .auth_token = alk_span_str(link->token)};
    struct cli_answer answer = {0};
    int rc = cli_caller_ask(caller, &ask, &answer);
    if (rc == CLI_OK) {
        rc = cli_caller_tell(caller, "join", &answer);
    }
    if (rc == CLI_OK) {
        *ret_doc = yyjson_read((const char *)alk_buf_span(&answer.output).p,
                               alk_buf_len(&answer.output), 0);
        rc = *ret_doc != NULL ? CLI_OK : cli_fail_err(cli, ALK_E_PROTOCOL, NULL);
    }
    cli_answer_fini(&answer);
    return rc;
}

static int tell_joined(struct cli *cli, const char *name, const struct link *link,
                       struct yyjson_val *out)
{
    char id[100], scopes[512];
    cli_safe(alk_span_str(cli_op_text(out, "id")), id, sizeof id);
    cli_op_join(yyjson_obj_get(out, "scopes"), scopes, sizeof scopes);
    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_val_mut_copy(doc, out);
        bool is_ok = yyjson_mut_obj_add_str(doc, o, "name", name) &&
                     yyjson_mut_obj_add_str(doc, o, "address", link->address);
        return cli_print_json(cli, doc, is_ok ? o : NULL);
    }
    (void)fprintf(cli->out, "joined %s as %s%s%s\n", name, id,
                  scopes[0] == '\0' ? "" : ", with the scopes ", scopes);
    if (cli->err_is_tty) {
        (void)fprintf(cli->err, "To see what can be called there: alknet ops %s\n", name);
    }
    return CLI_OK;
}

static int join(struct cli *cli, const struct cli_args *args, const struct link *link)
{
    struct cli_caller caller;
    struct yyjson_doc *doc = NULL;
    char name[ALK_ID_MAX + 1];

    int rc = cli_caller_open(cli, args, link->address, NULL, &caller);
    if (rc == CLI_OK && !caller.client.has_home) {
        rc =
            cli_fail(cli, CLI_FAILED, "no home directory to remember the node in: HOME is not set");
    }
    if (rc == CLI_OK) {
        rc = find_name(cli, args, caller.client.node.host, name, sizeof name);
    }
    if (rc == CLI_OK) {
        rc = enroll(cli, &caller, link, &doc);
    }
    if (rc == CLI_OK) {
        rc = cli_home_remember(cli, &caller.client.home, name, link->address);
    }
    if (rc == CLI_OK) {
        rc = tell_joined(cli, name, link, yyjson_doc_get_root(doc));
    }
    yyjson_doc_free(doc);
    cli_caller_close(&caller);
    return rc;
}

static int run_join(struct cli *cli, const struct cli_args *args)
{
    char text[LINK_MAX_BYTES];
    struct link link;
    alk_err err = ALK_OK;

    if (strcmp(cli_value(args, 0), "-") == 0) {
        err = read_link(text, sizeof text);
    } else if (!alk_span_cstr(alk_span_str(cli_value(args, 0)), text, sizeof text)) {
        err = ALK_E_TOO_BIG;
    }
    if (err != ALK_OK) {
        return cli_fail(cli, CLI_FAILED, "cannot read the invitation: %s", alk_err_text(err));
    }
    int rc = parse_link(cli, args, text, &link);
    if (rc == CLI_OK) {
        rc = join(cli, args, &link);
    }
    alk_wipe(text, sizeof text);
    alk_wipe(&link, sizeof link);
    return rc;
}

/* --- the commands -------------------------------------------------------------------------- */

const struct cli_command cli_invite_command = {
    .name = "invite",
    .summary = "make a link that lets another machine in",
    .purpose = "Makes an invitation and prints it as a link. Whoever opens it first with `alknet "
               "join` becomes the peer of that name, known by the key of his machine. It is good "
               "once and ends after a day if nothing else is said.",
    .sets = {(const struct cli_opt[]){
                 {.name = "id",
                  .value = "ID",
                  .is_needed = true,
                  .help = "What the new peer is called on this node."},
                 {.name = "scope",
                  .letter = 's',
                  .value = "SCOPE",
                  .is_many = true,
                  .help = "What it may do: admin is everything. Default: no scope."},
                 {.name = "expires",
                  .letter = 'e',
                  .value = "TIME",
                  .help = "Until when the link is good: 1h, 24h, 7d. Default: 24h."},
                 {.name = "add-key",
                  .help = "The peer is there already: the link gives it one more key."},
                 {.name = "host",
                  .value = "HOST:PORT",
                  .help = "Under what address the other machine finds this node. Default: "
                          "`advertise` of the configuration."},
                 {.name = NULL}},
             cli_json_opts, cli_state_opts},
    .examples =
        (const struct cli_example[]){
            {"alknet invite --id laptop --scope admin", "for another machine of yours"},
            {"alknet invite --id guest --expires 1h", "for somebody who may do little"},
            {NULL, NULL}},
    .run = run_invite};

const struct cli_command cli_join_command = {
    .name = "join",
    .summary = "accept an invitation to a node",
    .purpose =
        "Shows the invitation to the node together with this user's key, which it knows from "
        "then on, and remembers the node under a name for all commands.",
    .sets = {(const struct cli_opt[]){
                 {.name = "name",
                  .value = "NAME",
                  .help = "What the node is called here. Default: the first part of its host name, "
                          "or \"node\"."},
                 {.name = NULL}},
             cli_json_opts, cli_node_opts},
    .args = (const struct cli_arg[]){{"LINK", CLI_WORD,
                                      .help = "The link; - reads it from standard input, where the "
                                              "list of processes does not show it."},
                                     {.name = NULL}},
    .examples =
        (const struct cli_example[]){{"alknet join - --name home", "paste the link"}, {NULL, NULL}},
    .run = run_join};
