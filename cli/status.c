/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet status */
#include "status.h"
#include "commands.h"
#include "pages.h"
#include "state.h"

static int ask(const struct cli_state *state, const char *operation, struct alk_span input,
               struct yyjson_doc **ret_doc, struct yyjson_val **ret_output)
{
    char why[1024] = "";
    alk_err err = cli_state_ask(state, operation, input, why, sizeof why, ret_doc, ret_output);

    if (err == ALK_E_UNREACHABLE) {
        (void)cli_fail(state->cli, CLI_UNREACHABLE, "no node runs in %s", state->fixed->data_dir);
        (void)fprintf(state->cli->err,
                      "alknet: one of another directory: --dir DIR; one elsewhere: "
                      "alknet status NODE; to start one: alknet serve\n");
        return CLI_UNREACHABLE;
    }
    return err == ALK_OK ? CLI_OK : cli_fail_err(state->cli, err, why);
}

static int ask_page(void *ctx, struct alk_span input, struct yyjson_doc **ret_doc,
                    struct yyjson_val **ret_output)
{
    const struct cli_state *state = (const struct cli_state *)ctx;
    return ask(state, "node/connections", input, ret_doc, ret_output);
}

static int status_here(struct cli *cli, const struct cli_args *args)
{
    struct cli_state state;
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *out = NULL;
    const char *operation = cli_status_operation(args);

    int rc = cli_state_open(cli, args, false, &state);
    if (rc == CLI_OK && strcmp(operation, "node/connections") == 0) {
        rc = cli_pages_read(cli, "connections", ask_page, &state, &doc);
        out = yyjson_doc_get_root(doc);
    } else if (rc == CLI_OK) {
        rc = ask(&state, operation, alk_span_str(""), &doc, &out);
    }
    if (rc == CLI_OK) {
        rc = cli_status_print(cli, operation, out);
    }
    yyjson_doc_free(doc);
    cli_state_close(&state);
    return rc;
}

/* --- the command -------------------------------------------------------------- */

const char *cli_status_operation(const struct cli_args *args)
{
    return cli_has(args, "metrics")       ? "node/metrics"
           : cli_has(args, "connections") ? "node/connections"
                                          : "node/status";
}

/* The first option given that is one of the set; NULL: none. */
static const char *given_of(const struct cli_args *args, const struct cli_opt *set)
{
    for (const struct cli_opt *o = set; o->name != NULL; o++) {
        if (cli_has(args, o->name)) {
            return o->name;
        }
    }
    return NULL;
}

static int run_status(struct cli *cli, const struct cli_args *args)
{
    const char *node = cli_value(args, 0);
    const char *wrong = given_of(args, node == NULL ? cli_node_opts : cli_state_opts);

    if (cli_has(args, "metrics") && cli_has(args, "connections")) {
        return cli_usage(cli->err, args, "--metrics and --connections cannot both hold");
    }
    if (wrong != NULL && node == NULL) {
        return cli_usage(cli->err, args, "--%s is about the way to a node: say which NODE", wrong);
    }
    if (wrong != NULL) {
        return cli_usage(cli->err, args,
                         "--%s is about the node that runs here, and NODE is another way to one",
                         wrong);
    }
    return node == NULL ? status_here(cli, args) : cli_status_node(cli, args);
}

static const struct cli_arg status_args[] = {
    {"NODE", CLI_NODE, .is_optional = true,
     .help = "A node elsewhere: alknet://KEY@HOST:PORT, HOST:PORT or a name. Absent: the one that "
             "runs here."},
    {.name = NULL}};

static const struct cli_section status_sections[] = {
    {"RIGHTS",
     "The node that runs here is asked through the socket in its data directory, which belongs to "
     "its user. A node elsewhere is asked by calls, and shows what you may see: to everybody that "
     "it is there, its clock, and how many operations may be called; to peers that it knows its "
     "version, addresses and protocols (node/info); to those with the scope admin everything "
     "(node/status, node/connections, node/metrics). What is hidden is told."},
    {NULL, NULL}};

const struct cli_command cli_status_command = {
    .name = "status",
    .summary = "show how a node is doing",
    .purpose = "Shows the node that runs on this machine, or with NODE one elsewhere: since when, "
               "where it listens, which configuration it uses, its services with their counters, "
               "and what it has used. Exit status 4 when none runs, or it cannot be reached; 3 "
               "when you may not see what you asked for.",
    .sets = {(const struct cli_opt[]){
                 {.name = "connections", .help = "List the connections instead."},
                 {.name = "metrics",
                  .help = "Print counters and histograms in Prometheus' text format instead, for "
                          "node_exporter's textfile collector or a scraper of your own. With "
                          "--json the text is a member."},
                 {.name = NULL}},
             cli_json_opts, cli_state_opts, cli_node_opts},
    .args = status_args,
    .sections = status_sections,
    .examples =
        (const struct cli_example[]){{"alknet status", "how it is doing"},
                                     {"alknet status home", "the same of a node elsewhere"},
                                     {"alknet status --connections", "who is connected"},
                                     {"alknet status --json | jq .services", "for a program"},
                                     {"alknet status --metrics", "for Prometheus"},
                                     {NULL, NULL}},
    .run = run_status};
