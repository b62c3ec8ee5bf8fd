/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet init: a key, a commented configuration, and the first token. */
#include "commands.h"
#include "ident.h"
#include "secret_input.h"
#include "secret_key.h"
#include "state.h"

#include "base/buf.h"
#include "base/ct.h"
#include "core/config/reference.h"
#include "core/frame.h"
#include "core/io/rand.h"
#include "core/store/auth_ops.h"
#include "core/store/file.h"
#include "core/tls/key.h"

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#define SYSTEM_DIR "/etc/alknet"
#define ADMIN      "admin"
#define HOST_KEY   "ssh_host_ed25519_key"

struct init {
    struct cli *cli;
    char dir[PATH_MAX];
    char config[PATH_MAX];
    struct alk_datadir *datadir;
    uint8_t key[32];
    struct cli_state state; /* of the configuration that was written */
    struct yyjson_doc *token;
    struct alksec_key *identity, *host_key; /* --from-mnemonic; else NULL */
};

/* Where things go: with --dir all in there; root without it keeps its files apart. */
static int find_paths(struct init *in, const struct cli_args *args)
{
    const char *dir = cli_get(args, "dir");

    if (dir == NULL && alk_datadir_default(in->dir, sizeof in->dir) != ALK_OK) {
        return cli_fail(in->cli, CLI_FAILED, "no home directory: say --dir DIR");
    }
    if (dir != NULL && !cli_path_here(dir, in->dir, sizeof in->dir)) {
        return cli_fail(in->cli, CLI_FAILED, "the path %s is too long", dir);
    }
    const char *beside = dir == NULL && geteuid() == 0 ? SYSTEM_DIR : in->dir;
    if (!alk_file_join(beside, ALK_DATADIR_CONFIG, in->config, sizeof in->config)) {
        return cli_fail(in->cli, CLI_FAILED, "the path %s is too long", beside);
    }
    return CLI_OK;
}

static int refuse_existing(struct init *in)
{
    char key[PATH_MAX];

    if (access(in->config, F_OK) == 0) {
        return cli_fail(in->cli, CLI_FAILED, "%s exists already: nothing was changed", in->config);
    }
    for (size_t i = 0; i < 2; i++) {
        if (alk_file_join(in->dir, i == 0 ? ALK_DATADIR_KEY : HOST_KEY, key, sizeof key) &&
            access(key, F_OK) == 0) {
            return cli_fail(in->cli, CLI_FAILED, "%s exists already: nothing was changed", key);
        }
    }
    return CLI_OK;
}

/* Root makes the directory for the user that the node will run as. */
static void find_owner(struct alk_datadir_options *o)
{
    struct passwd *user = geteuid() == 0 ? getpwnam("alknet") : NULL;
    if (user != NULL) {
        o->has_owner = true;
        o->uid = user->pw_uid;
        o->gid = user->pw_gid;
    }
}

static int make_dir(struct init *in)
{
    struct alk_datadir_options o = {.path = in->dir, .is_create = true, .is_locked = true};
    char why[ALK_DATADIR_WHY] = "";

    find_owner(&o);
    alk_err err = alk_datadir_open(&o, why, sizeof why, &in->datadir);
    return err == ALK_OK ? CLI_OK : cli_fail_err(in->cli, err, why);
}

/* The phrase is asked for before anything is written. */
static int derive_keys(struct init *in, const struct cli_args *args)
{
    struct cli_secret s;
    struct alksec_path identity, host_key;
    uint64_t node = 0;

    if (!cli_has(args, "from-mnemonic")) {
        return cli_has(args, "node")
                   ? cli_usage(in->cli->err, args, "--node goes with --from-mnemonic")
                   : CLI_OK;
    }
    if (!cli_get_u64(args, "node", 0, ALKSEC_HARDENED - 1, in->cli->err, &node)) {
        return CLI_USAGE;
    }
    int rc = cli_secret_open(in->cli, &s);
    if (rc == CLI_OK) {
        rc = cli_secret_unlock(&s, args);
    }
    if (rc == CLI_OK) {
        alksec_err err = alksec_path_identity((uint32_t)node, &identity);
        err = err == ALKSEC_OK ? alksec_path_host_key((uint32_t)node, &host_key) : err;
        if (err == ALKSEC_OK) {
            err = alksec_vault_derive(s.vault, 0, ALKSEC_ED25519, &identity, &in->identity);
        }
        if (err == ALKSEC_OK) {
            err = alksec_vault_derive(s.vault, 0, ALKSEC_ED25519, &host_key, &in->host_key);
        }
        rc = err == ALKSEC_OK ? CLI_OK : cli_secret_fail(in->cli, err);
    }
    cli_secret_close(&s);
    return rc;
}

static int write_key(struct init *in, const char *name, const struct alksec_key *key, bool is_ssh)
{
    char path[PATH_MAX];
    struct alk_buf text;

    alk_buf_init(&text, NULL, 4096);
    alk_err err = alk_buf_reserve(&text, 4096) == NULL ? ALK_E_NOMEM : ALK_OK;
    if (err == ALK_OK) {
        err = is_ssh ? cli_key_print_openssh(alksec_key_private(key), "alknet", &text)
                     : alk_key_print_pem(alksec_key_private(key), &text);
    }
    if (err == ALK_OK) {
        err = alk_file_join(in->dir, name, path, sizeof path)
                  ? alk_file_create(path, alk_buf_span(&text), 0600)
                  : ALK_E_INVALID;
    }
    alk_buf_fini_secret(&text);
    return err == ALK_OK ? CLI_OK
                         : cli_fail(in->cli, CLI_FAILED, "cannot write %s/%s: %s", in->dir, name,
                                    alk_err_text(err));
}

/* node.key and the SSH host key, where they come from a phrase. */
static int write_derived(struct init *in)
{
    if (in->identity == NULL) {
        return CLI_OK;
    }
    int rc = write_key(in, ALK_DATADIR_KEY, in->identity, false);
    return rc == CLI_OK ? write_key(in, HOST_KEY, in->host_key, true) : rc;
}

static int make_keys(struct init *in)
{
    struct alk_rand rand = alk_rand_system();
    char why[ALK_DATADIR_WHY] = "";
    uint8_t seed[32] = {0}, secret[32] = {0};

    alk_err err = alk_datadir_key(in->datadir, ALK_DATADIR_KEY, &rand, seed, NULL, why, sizeof why);
    if (err == ALK_OK) {
        alk_key_public_of(seed, in->key);
        err = alk_datadir_secret(in->datadir, &rand, secret, why, sizeof why);
    }
    alk_wipe(seed, sizeof seed);
    alk_wipe(secret, sizeof secret);
    return err == ALK_OK ? CLI_OK : cli_fail_err(in->cli, err, why);
}

static int write_config(struct init *in)
{
    size_t n;
    const struct alk_handler *const *handlers = cli_handlers(&n);
    bool is_beside = strncmp(in->config, SYSTEM_DIR "/", strlen(SYSTEM_DIR) + 1) == 0;
    struct alk_buf text;

    alk_buf_init(&text, NULL, ALK_CONF_TEXT_MAX);
    alk_err err = alk_config_example(NULL, handlers, n, in->dir, &text);
    if (err == ALK_OK && is_beside) {
        err = alk_file_make_dirs(SYSTEM_DIR, 0755);
    }
    if (err == ALK_OK) {
        /* /etc/alknet is read again by the node's own user. */
        err = alk_file_create(in->config, alk_buf_span(&text), is_beside ? 0644 : 0600);
    }
    alk_buf_fini(&text);
    return err == ALK_OK ? CLI_OK
                         : cli_fail(in->cli, CLI_FAILED, "cannot write %s: %s", in->config,
                                    err == ALK_E_NOMEM ? "out of memory" : strerror(errno));
}

static alk_err run_json(struct init *in, const char *operation, const char *text, char *why,
                        size_t why_size, struct yyjson_doc **ret)
{
    struct yyjson_doc *input = NULL;
    ALK_TRY(alk_json_parse(alk_span_str(text), &input));
    alk_err err =
        cli_store_auth(&in->state, operation, yyjson_doc_get_root(input), why, why_size, ret);
    yyjson_doc_free(input);
    return err;
}

/* A peer without key that holds everything, and a token for it. */
static int make_token(struct init *in, const struct cli_args *args)
{
    struct yyjson_doc *added = NULL;
    char why[ALK_AUTH_OPS_WHY] = "";

    int rc = cli_state_open(in->cli, args, false, &in->state);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_err err =
        run_json(in, "auth/peer/add", "{\"id\":\"" ADMIN "\",\"keys\":[],\"scopes\":[\"admin\"]}",
                 why, sizeof why, &added);
    yyjson_doc_free(added);
    if (err == ALK_OK) {
        err = run_json(in, "auth/token/new", "{\"id\":\"" ADMIN "\"}", why, sizeof why, &in->token);
    }
    return err == ALK_OK ? CLI_OK : cli_fail_err(in->cli, err, why);
}

static int tell(struct init *in)
{
    struct cli *cli = in->cli;
    struct yyjson_val *root = yyjson_doc_get_root(in->token);
    const char *token = yyjson_get_str(yyjson_obj_get(root, "token"));

    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = cli_put_key(doc, o, in->key, "alknet") &&
                     yyjson_mut_obj_add_str(doc, o, "dir", in->dir) &&
                     yyjson_mut_obj_add_str(doc, o, "config", in->config) &&
                     yyjson_mut_obj_add_str(doc, o, "peer", ADMIN) &&
                     yyjson_mut_obj_add_strcpy(doc, o, "token", token);
        return cli_print_json(cli, doc, is_ok ? o : NULL);
    }
    cli_print_key(cli, in->key, "alknet");
    (void)fprintf(cli->out,
                  "data         %s\nconfig       %s\n"
                  "token        %s\n",
                  in->dir, in->config, token);
    (void)fprintf(cli->err,
                  "\nThe token is shown this once; it is the peer \"" ADMIN "\", who may do "
                  "everything.\nNow run: alknet serve --config %s\n",
                  in->config);
    return CLI_OK;
}

static int run_init(struct cli *cli, const struct cli_args *args)
{
    struct init in = {.cli = cli};

    int rc = find_paths(&in, args);
    if (rc == CLI_OK) {
        rc = refuse_existing(&in);
    }
    if (rc == CLI_OK) {
        rc = derive_keys(&in, args);
    }
    if (rc == CLI_OK) {
        rc = make_dir(&in);
    }
    if (rc == CLI_OK) {
        rc = write_config(&in); /* the last that needs root */
    }
    if (rc == CLI_OK) {
        rc = cli_become_owner(cli, in.dir);
    }
    if (rc == CLI_OK) {
        rc = write_derived(&in);
    }
    if (rc == CLI_OK) {
        rc = make_keys(&in);
    }
    if (rc == CLI_OK) {
        rc = make_token(&in, args);
    }
    if (rc == CLI_OK) {
        rc = tell(&in);
    }
    cli_state_close(&in.state);
    yyjson_doc_free(in.token);
    alk_datadir_close(in.datadir);
    alksec_key_free(in.identity);
    alksec_key_free(in.host_key);
    return rc;
}

const struct cli_command cli_init_command = {
    .name = "init",
    .summary = "make a node: key, configuration, first token",
    .purpose =
        "Makes a data directory with the node's key, a configuration in which every setting is "
        "explained, and a token with all rights, which is shown once. It overwrites nothing. A "
        "node also starts without: `alknet serve` makes what is missing.",
    .sets = {(const struct cli_opt[]){
                 {.name = "dir",
                  .letter = 'd',
                  .value = "DIR",
                  .complete = CLI_DIR,
                  .help = "Put everything in there. Default: ~/.local/share/alknet; for root "
                          "/var/lib/alknet, with the configuration in /etc/alknet."},
                 {.name = "from-mnemonic",
                  .help = "Take the node's key and its SSH host key (ssh_host_ed25519_key in the "
                          "data directory) from a phrase: a lost node is made again with the same "
                          "address."},
                 {.name = "node",
                  .value = "N",
                  .help = "Which node of the phrase this is. Default: 0, the first."},
                 {.name = NULL}},
             cli_secret_opts, cli_json_opts},
    .examples =
        (const struct cli_example[]){
            {"alknet init", "a node of this user"},
            {"alknet init --dir ./node && alknet serve --dir ./node", "one to play with"},
            {"alknet init --from-mnemonic --node 1", "the second node of a phrase, or that again"},
            {NULL, NULL}},
    .run = run_init};
