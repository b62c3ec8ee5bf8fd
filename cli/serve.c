/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet serve: the node itself. */
#include "commands.h"
#include "ident.h"
#include "keyring.h"
#include "node.h"
#include "node_ops.h"
#include "state.h"

#include "alknet/ops.h"
#include "base/text.h"
#include "core/auth/date.h"
#include "core/io/signal.h"
#include "core/store/file.h"
#include "ops/node_build.h"
#include "probe/probe.h"

#define LISTEN_MAX 16

struct serve {
    struct cli *cli;
    char config[PATH_MAX];
    char dir[PATH_MAX];
    const char *listen[LISTEN_MAX + 1];
    struct alk_ops *ops; /* of all services */
    struct alk_endpoint *ep;
    struct alk_admin *admin;
    struct cli_keyring *keys;
};

/* The keys of encrypted values are read before root is given up. */
static int read_keys(struct serve *s, const struct cli_args *args)
{
    int rc = cli_keyring_new(s->cli, args, &s->keys);
    return rc == CLI_OK ? cli_keyring_load(s->keys) : rc;
}

static int read_options(struct serve *s, const struct cli_args *args,
                        struct alk_endpoint_options *o)
{
    uint64_t loops = 0;
    int rc = cli_config_file(s->cli, args, s->config, sizeof s->config);

    if (rc == CLI_OK) {
        rc = read_keys(s, args);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    if (!cli_get_u64(args, "loops", 1, ALK_CONFIG_LOOPS_MAX, s->cli->err, &loops)) {
        return CLI_USAGE;
    }
    size_t n = 0;
    while (cli_nth(args, "listen", n) != NULL) {
        if (n == LISTEN_MAX) {
            return cli_usage(s->cli->err, args, "at most %d addresses to listen on", LISTEN_MAX);
        }
        s->listen[n] = cli_nth(args, "listen", n);
        n++;
    }
    *o = (struct alk_endpoint_options){.struct_size = sizeof *o,
                                       .config_file = s->config[0] != '\0' ? s->config : NULL,
                                       .data_dir = cli_get(args, "dir"),
                                       .listen = n > 0 ? s->listen : NULL,
                                       .loops = (unsigned)loops,
                                       .watch_config = true,
                                       .opener = cli_keyring_opener(s->keys),
                                       .keylog_file = cli_get(args, "keylog"),
                                       .qlog_dir = cli_get(args, "qlog")};
    const struct alk_ops_options ops = {.struct_size = sizeof ops};
    if (alk_ops_new(&ops, &s->ops) != ALK_OK) {
        return cli_fail_err(s->cli, ALK_E_NOMEM, NULL);
    }
    o->ops = s->ops;
    return CLI_OK;
}

static int fail_message(struct serve *s, alk_err err, char *message)
{
    int rc;
    if (message != NULL && strchr(message, '\n') != NULL) {
        (void)fprintf(s->cli->err, "%s%s", message,
                      message[strlen(message) - 1] == '\n' ? "" : "\n");
        rc = CLI_FAILED;
    } else {
        rc = cli_fail(s->cli, CLI_FAILED, "%s", message != NULL ? message : alk_err_text(err));
    }
    free(message);
    return rc;
}

static int start_node(struct serve *s, const struct alk_endpoint_options *o)
{
    char *message = NULL;
    size_t n;
    const struct alk_handler *const *handlers = cli_handlers(&n);

    alk_err err = alk_endpoint_new(o, &message, &s->ep);
    if (err != ALK_OK) {
        return fail_message(s, err, message);
    }
    for (size_t i = 0; i < n && err == ALK_OK; i++) {
        err = alk_router_add(alk_endpoint_router(s->ep), handlers[i], NULL);
        if (err == ALK_E_EXISTS) {
            err = ALK_OK; /* the endpoint brings exec and forward itself */
        }
    }
    if (err == ALK_OK) {
        err = alk_endpoint_start(s->ep, &message);
    }
    if (err == ALK_OK) {
        err = alk_endpoint_handle_signals(s->ep);
    }
    return err == ALK_OK ? CLI_OK : fail_message(s, err, message);
}

static int start_admin(struct serve *s)
{
    const struct alk_datadir *dir = alk_endpoint_datadir(s->ep);
    char path[PATH_MAX], why[PATH_MAX + 128] = "";

    if (!alk_datadir_path(dir, ALK_DATADIR_ADMIN, path, sizeof path)) {
        return cli_fail(s->cli, CLI_FAILED, "the path %s is too long", dir->path);
    }
    const struct alk_admin_options o = {.loop = alk_endpoint_loop(s->ep),
                                        .path = path,
                                        .ops = cli_node_ops,
                                        .ctx = s->ep,
                                        .has_owner = dir->uid != 0,
                                        .uid = dir->uid,
                                        .gid = dir->gid};
    alk_err err = alk_admin_new(&o, why, sizeof why, &s->admin);
    return err == ALK_OK ? CLI_OK : cli_fail_err(s->cli, err, why);
}

/* --- what a person sees ------------------------------------------------------- */

static void put_service(struct cli *cli, const char *address, const struct alk_service *s)
{
    char alpns[256] = "";
    size_t used = 0;
    const char *program = cli->program == NULL ? "alknet" : cli->program;

    for (size_t i = 0; i < s->alpn_count && used < sizeof alpns; i++) {
        int n = snprintf(alpns + used, sizeof alpns - used, "%s%s", i == 0 ? "" : ", ",
                         s->alpns[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    (void)fprintf(cli->out, "  %-24s ", alpns);
    if (strcmp(s->name, "ping") == 0) {
        (void)fprintf(cli->out, "%s ping %s\n", program, address);
    } else if (strcmp(s->name, "call") == 0) {
        (void)fprintf(cli->out, "%s ops %s\n", program, address);
    } else if (strcmp(s->name, "git") == 0) {
        (void)fprintf(cli->out, "git clone %s/REPOSITORY\n", address);
    } else if (strcmp(s->name, "bench") == 0) {
        (void)fprintf(cli->out, "%s bench %s\n", program, address);
    } else if (s->alpn_count > 0) {
        (void)fprintf(cli->out, "%s dial %s %s\n", program, address, s->alpns[0].name);
    }
}

static void greet(struct serve *s)
{
    struct cli *cli = s->cli;
    const char *advertise = alk_endpoint_config(s->ep)->advertise;
    const char *listening;
    char address[600] = "", host[300], hex[65], date[ALK_DATE_SIZE];
    uint64_t not_after = 0;

    for (size_t i = 0; (listening = alk_endpoint_address(s->ep, i)) != NULL; i++) {
        char one[600];
        cli_public_host(i == 0 ? advertise : NULL, listening, host, sizeof host);
        cli_node_print(alk_endpoint_key(s->ep), host, one, sizeof one);
        (void)fprintf(cli->out, "%s\n", one);
        if (i == 0) {
            (void)snprintf(address, sizeof address, "%s", one);
        }
    }
    if (alk_node_certificate_hex(s->ep, hex, &not_after)) {
        alk_date_format(not_after, date);
        (void)fprintf(cli->out, "certificate sha256 %s until %s\n", hex, date);
    }
    const struct alk_routes *routes = alk_endpoint_routes(s->ep);
    (void)fprintf(cli->out, "%zu services; to try them:\n", routes->service_count);
    for (size_t i = 0; i < routes->service_count; i++) {
        put_service(cli, address, routes->services[i]);
    }
    (void)fflush(cli->out);
}

static int run_serve(struct cli *cli, const struct cli_args *args)
{
    struct serve s = {.cli = cli};
    struct alk_endpoint_options o;

    int rc = read_options(&s, args, &o);
    if (rc == CLI_OK) {
        rc = start_node(&s, &o);
    }
    if (rc == CLI_OK) {
        rc = start_admin(&s);
    }
    if (rc == CLI_OK) {
        greet(&s);
        /* Not before the other commands find admin.sock. */
        alk_notify("READY=1\nSTATUS=serving");
        alk_endpoint_run(s.ep);
    }
    alk_admin_free(s.admin);
    alk_endpoint_free(s.ep);
    cli_keyring_free(s.keys);
    alk_ops_free(s.ops);
    return rc;
}

static const struct cli_opt serve_opts[] = {
    {.name = "listen",
     .letter = 'l',
     .value = "ADDRESS:PORT",
     .is_many = true,
     .help = "Listen there, on UDP and TCP, whatever the configuration says. Port 0 picks a free "
             "number, the same for both."},
    {.name = "loops", .value = "N", .help = "Run N event loops. Default: one per processor core."},
    {.name = "keylog",
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "Append the keys of all sessions to this file, for Wireshark. Who reads it can read "
             "all traffic."},
    {.name = "qlog",
     .value = "DIR",
     .complete = CLI_DIR,
     .help = "Write a qlog file for each QUIC connection into this directory."},
    {.name = NULL}};

static const struct cli_section serve_sections[] = {
    {"SIGNALS",
     "TERM and INT stop the node: it accepts nothing new, tells its services to finish, waits "
     "`drain_timeout` and closes the rest. A second one stops it at once.\n\n"
     "HUP makes it read its configuration again, as does a change of the file."},
    {"FILES",
     "In the data directory: `node.key`, the node's private key; `node.secret`; `alknet.db`, peers "
     "and tokens; `rotations`, statements of key rotation; `admin.sock`, through which the other "
     "commands talk to the node; `lock`, held while it runs; `encryption.key`, if there is one, "
     "the keys of encrypted values."},
    {NULL, NULL}};

const struct cli_command cli_serve_command = {
    .name = "serve",
    .summary = "run the node",
    .purpose =
        "Runs the node in the foreground until it is stopped. It listens on one port number, on "
        "UDP "
        "and TCP; the ALPN that a client names decides which service it gets. Without any "
        "configuration it makes a key and serves on 127.0.0.1:4433. On standard output it prints "
        "its address and one line per service to try; the log goes to standard error.",
    .sets = {cli_state_opts, cli_key_opts, serve_opts},
    .sections = serve_sections,
    .examples =
        (const struct cli_example[]){
            {"alknet serve", "a node that only this machine can reach"},
            {"alknet serve --listen 0.0.0.0:4433 --listen '[::]:4433'", "one that all can reach"},
            {"alknet serve --dir ./node --listen 127.0.0.1:0",
             "one to play with, on any free port"},
            {NULL, NULL}},
    .run = run_serve};
