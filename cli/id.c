/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet id [rotate] */
#include "commands.h"
#include "home.h"
#include "ident.h"
#include "node.h"
#include "state.h"
#include "who.h"

#include "base/ct.h"
#include "core/auth/fingerprint.h"
#include "core/io/loop.h"
#include "core/io/rand.h"
#include "core/store/file.h"
#include "core/tls/key.h"

#include <unistd.h>

static const char *member(struct yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text != NULL ? text : "";
}

static struct yyjson_val *certificate_of(const struct cli_who *who)
{
    struct yyjson_val *root = yyjson_doc_get_root(who->info);
    return yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(root, "payload"), "output"), "certificate");
}

static int print_who(struct cli *cli, const struct cli_who *who)
{
    char key[ALK_Z32_ADDRESS_SIZE], address[600];
    struct yyjson_val *cert = certificate_of(who);

    alk_key_address(who->key, key);
    cli_node_print(key, who->host_port, address, sizeof address);
    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = yyjson_mut_obj_add_str(doc, o, "address", address) &&
                     cli_put_key(doc, o, who->key, "alknet") &&
                     (cert == NULL || yyjson_mut_obj_add_val(doc, o, "certificate",
                                                             yyjson_val_mut_copy(doc, cert)));
        return cli_print_json(cli, doc, is_ok ? o : NULL);
    }
    (void)fprintf(cli->out, "%s\n", address);
    cli_print_key(cli, who->key, "alknet");
    if (cert != NULL) {
        (void)fprintf(cli->out, "certificate  %s until %s\n", member(cert, "sha256"),
                      member(cert, "not_after"));
    }
    return CLI_OK;
}

/* The client's own key, made on first use. */
static int run_client(struct cli *cli)
{
    struct cli_home home;
    struct alk_key *key = NULL;
    bool is_new = false;
    char host[128] = "";

    if (cli_home_find(&home) != ALK_OK) {
        return cli_fail(cli, CLI_FAILED, "no home directory: HOME is not set");
    }
    alk_err err = alk_file_make_dirs(home.config_dir, 0700);
    if (err == ALK_OK) {
        err = alk_key_load_or_create(NULL, home.key, &key, &is_new);
    }
    if (err != ALK_OK) {
        return cli_fail(cli, CLI_FAILED, "cannot use the key %s: %s", home.key, alk_err_text(err));
    }
    (void)gethostname(host, sizeof host - 1);
    int rc = CLI_OK;
    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = cli_put_key(doc, o, alk_key_public(key), host) &&
                     yyjson_mut_obj_add_str(doc, o, "file", home.key);
        rc = cli_print_json(cli, doc, is_ok ? o : NULL);
    } else {
        char address[ALK_Z32_ADDRESS_SIZE];
        alk_key_address(alk_key_public(key), address);
        (void)fprintf(cli->out, "%s\n", address);
        cli_print_key(cli, alk_key_public(key), host);
        (void)fprintf(cli->out, "file         %s\n", home.key);
    }
    alk_key_free(key);
    return rc;
}

static int run_id(struct cli *cli, const struct cli_args *args)
{
    struct cli_state state;
    struct cli_who who = {.info = NULL};

    if (cli_has(args, "client")) {
        return run_client(cli);
    }
    int rc = cli_state_open(cli, args, false, &state);
    if (rc == CLI_OK) {
        rc = cli_who_find(&state, &who);
    }
    if (rc == CLI_OK) {
        rc = print_who(cli, &who);
    }
    cli_who_fini(&who);
    cli_state_close(&state);
    return rc;
}

/* --- rotate ------------------------------------------------------------------- */

static int rotate_files(const struct cli_state *state, char *key, char *statement)
{
    struct alk_rand rand = alk_rand_system();
    struct alk_datadir *dir = NULL;
    struct alk_rotation rotation;
    char why[ALK_DATADIR_WHY] = "";

    int rc = cli_state_datadir(state, &dir);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_err err = alk_datadir_rotate(dir, state->fixed->node_key, &rand, alk_clock_unix(),
                                     &rotation, why, sizeof why);
    alk_datadir_close(dir);
    if (err != ALK_OK) {
        return cli_fail_err(state->cli, err, why);
    }
    alk_key_address(rotation.new_key, key);
    alk_rotation_print(&rotation, statement);
    return CLI_OK;
}

static int rotate(const struct cli_state *state, char *key, char *statement, bool *ret_is_running)
{
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *out = NULL;
    char why[512] = "";

    alk_err err =
        cli_state_ask(state, "node/rotate", alk_span_str(""), why, sizeof why, &doc, &out);
    if (err == ALK_E_UNREACHABLE) {
        return rotate_files(state, key, statement);
    }
    if (err != ALK_OK) {
        return cli_fail_err(state->cli, err, why);
    }
    (void)snprintf(key, ALK_Z32_ADDRESS_SIZE, "%s", member(out, "key"));
    (void)snprintf(statement, ALK_ROTATION_TEXT_SIZE, "%s", member(out, "statement"));
    *ret_is_running = true;
    yyjson_doc_free(doc);
    return CLI_OK;
}

static int run_rotate(struct cli *cli, const struct cli_args *args)
{
    struct cli_state state;
    char key[ALK_Z32_ADDRESS_SIZE] = "", statement[ALK_ROTATION_TEXT_SIZE] = "";
    bool is_running = false;

    int rc = cli_state_open(cli, args, false, &state);
    if (rc == CLI_OK) {
        rc = rotate(&state, key, statement, &is_running);
    }
    if (rc == CLI_OK && cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = yyjson_mut_obj_add_str(doc, o, "key", key) &&
                     yyjson_mut_obj_add_str(doc, o, "statement", statement) &&
                     yyjson_mut_obj_add_bool(doc, o, "needs_restart", is_running);
        rc = cli_print_json(cli, doc, is_ok ? o : NULL);
    } else if (rc == CLI_OK) {
        (void)fprintf(cli->out, "%s\n%s\n", key, statement);
        if (is_running) {
            (void)fprintf(cli->err, "The node goes on with its old key until it is restarted.\n");
        }
    }
    cli_state_close(&state);
    return rc;
}

static const struct cli_command id_rotate = {
    .name = "rotate",
    .summary = "give the node a new key, signed by the old one",
    .purpose =
        "Makes a new key for the node and a statement about it that the old key signs. Clients "
        "that "
        "pinned or remembered the old key accept the statement and go on with the new one. A node "
        "that runs takes the new key at its next start. The first line is the new key, the second "
        "the statement. The old key is overwritten.",
    .sets = {cli_state_opts, cli_json_opts},
    .examples = (const struct cli_example[]){{"alknet id rotate && systemctl restart alknet",
                                              "change the key of a service"},
                                             {NULL, NULL}},
    .run = run_rotate};

static const struct cli_command *const id_commands[] = {&id_rotate, NULL};

const struct cli_command cli_id_command = {
    .name = "id",
    .summary = "print the node's address and key",
    .purpose =
        "Prints who the node is: its address alone on the first line, then its key in the forms "
        "that other programs know, and the fingerprint of its certificate while it runs. With "
        "--client it is this user's own key, the one that `peer add` on a node wants; it is made "
        "when there is none.",
    .sets = {(const struct cli_opt[]){
                 {.name = "client", .help = "Print the client's own key instead."}, {.name = NULL}},
             cli_state_opts, cli_json_opts},
    .examples =
        (const struct cli_example[]){{"alknet id | head -n 1", "the address alone, for scripts"},
                                     {"alknet id --client", "the key to add on a node"},
                                     {NULL, NULL}},
    .subcommands = id_commands,
    .has_default = true,
    .run = run_id};
