/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet reload, alknet config check|reference */
#include "commands.h"
#include "keyring.h"
#include "state.h"

#include "base/buf.h"
#include "core/config/reference.h"

#include <inttypes.h>

static int say_refused(struct cli *cli, const char *why)
{
    (void)fprintf(cli->err, "%s%s", why, why[0] != '\0' && strchr(why, '\n') != NULL ? "" : "\n");
    return cli_fail(cli, CLI_FAILED, "the configuration was not changed");
}

/* The file has mistakes. The node reads it, too, and writes into its log and its audit
 * log that a reload has failed, and why. */
static int reload_broken(struct cli *cli, const struct cli_args *args)
{
    struct cli_state state;
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *out = NULL;
    char why[65536] = "";

    bool is_known = cli_state_where(cli, args, &state);
    alk_err err = is_known ? cli_state_ask(&state, "node/reload", alk_span_str(""), why, sizeof why,
                                           &doc, &out)
                           : ALK_E_UNREACHABLE;
    yyjson_doc_free(doc);
    cli_state_close(&state);
    if (err != ALK_OK && err != ALK_E_UNREACHABLE) {
        return say_refused(cli, why);
    }
    (void)cli_state_open(cli, args, true, &state); /* it tells the mistakes */
    cli_state_close(&state);
    return cli_fail(cli, CLI_FAILED, "%s",
                    err == ALK_OK ? "the node has another configuration, and has read that again"
                                  : "the configuration was not changed");
}

static int run_reload(struct cli *cli, const struct cli_args *args)
{
    struct cli_state state;
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *out = NULL;
    char why[65536] = "";

    /* Where the node is stands in the file. What is wrong with the rest, the node tells:
     * encrypted values of its services may be none of ours to open. */
    int rc = cli_state_try(cli, args, &state);
    if (rc != CLI_OK) {
        cli_state_close(&state);
        return state.config_file[0] == '\0' ? rc : reload_broken(cli, args);
    }
    alk_err err =
        cli_state_ask(&state, "node/reload", alk_span_str(""), why, sizeof why, &doc, &out);
    if (err == ALK_E_UNREACHABLE) {
        rc = cli_fail(cli, CLI_UNREACHABLE, "no node runs in %s", state.fixed->data_dir);
    } else if (err != ALK_OK) {
        rc = say_refused(cli, why);
    } else if (cli->is_json) {
        struct yyjson_mut_doc *copy = yyjson_mut_doc_new(NULL);
        rc = cli_print_json(cli, copy, yyjson_val_mut_copy(copy, out));
    } else {
        const char *note = yyjson_get_str(yyjson_obj_get(out, "note"));
        (void)fprintf(cli->out, "reloaded; generation %" PRIu64 "\n",
                      yyjson_get_uint(yyjson_obj_get(out, "generation")));
        if (note != NULL && note[0] != '\0') {
            (void)fprintf(cli->out, "%s\n", note);
        }
    }
    yyjson_doc_free(doc);
    cli_state_close(&state);
    return rc;
}

const struct cli_command cli_reload_command = {
    .name = "reload",
    .summary = "make a running node read its configuration again",
    .purpose =
        "Makes the node that runs here read its configuration again. No connection is lost, but "
        "those of peers and services that are gone. When anything is wrong, nothing changes: the "
        "errors are printed with file, line and column, and the exit status is 1. Settings that "
        "only a restart can change are named. SIGHUP does the same.",
    .sets = {cli_state_opts, cli_json_opts},
    .examples =
        (const struct cli_example[]){{"alknet reload", "after a change of the configuration"},
                                     {"alknet config check && alknet reload", "look first"},
                                     {NULL, NULL}},
    .run = run_reload};

/* --- config ------------------------------------------------------------------- */

static int tell_right(struct cli *cli, const struct cli_state *state)
{
    size_t listeners = state->config->listener_count, services = state->config->service_count;
    const char *file = state->config_file[0] != '\0' ? state->config_file : NULL;

    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = (file == NULL || yyjson_mut_obj_add_str(doc, o, "file", file)) &&
                     yyjson_mut_obj_add_uint(doc, o, "listeners", listeners) &&
                     yyjson_mut_obj_add_uint(doc, o, "services", services);
        return cli_print_json(cli, doc, is_ok ? o : NULL);
    }
    (void)fprintf(cli->out, "%s is right: %zu listener%s, %zu service%s\n",
                  file != NULL ? file : "the built-in configuration", listeners,
                  listeners == 1 ? "" : "s", services, services == 1 ? "" : "s");
    return CLI_OK;
}

static int run_check(struct cli *cli, const struct cli_args *args)
{
    struct cli_state state;
    int rc = cli_state_open(cli, args, true, &state);

    if (rc == CLI_OK) {
        rc = tell_right(cli, &state);
    }
    cli_state_close(&state);
    return rc;
}

static int run_reference(struct cli *cli, const struct cli_args *args)
{
    size_t n;
    const struct alk_handler *const *handlers = cli_handlers(&n);
    struct alk_buf text;
    const char *format = cli_get(args, "format");

    if (format != NULL && strcmp(format, "markdown") != 0 && strcmp(format, "man") != 0 &&
        strcmp(format, "yaml") != 0) {
        return cli_usage(cli->err, args, "--format is one of: markdown, man, yaml");
    }
    alk_buf_init(&text, NULL, (size_t)4 << 20);
    alk_err err;
    if (format != NULL && strcmp(format, "yaml") == 0) {
        err = alk_config_example(NULL, handlers, n, NULL, &text);
    } else {
        bool is_man = format != NULL && strcmp(format, "man") == 0;
        err = alk_config_reference(NULL, is_man ? ALK_CONFIG_MAN : ALK_CONFIG_MARKDOWN, handlers, n,
                                   &text);
    }
    if (err == ALK_OK) {
        struct alk_span s = alk_buf_span(&text);
        (void)fwrite(s.p, 1, s.n, cli->out);
    }
    alk_buf_fini(&text);
    return err == ALK_OK ? CLI_OK : cli_fail_err(cli, err, NULL);
}

static const struct cli_command config_check = {
    .name = "check",
    .summary = "look for mistakes in the configuration",
    .purpose = "Reads the configuration as the node would and prints every mistake with its line "
               "and a caret below the place. Certificates and addresses are not tried.",
    .sets = {cli_state_opts, cli_key_opts, cli_json_opts},
    .examples = (const struct cli_example[]){{"alknet config check --config new.yaml",
                                              "before it is put in its place"},
                                             {NULL, NULL}},
    .run = run_check};

static const struct cli_command config_reference = {
    .name = "reference",
    .summary = "print what all settings mean",
    .purpose = "Prints the list of settings with types, limits, defaults and meaning, made from "
               "the tables that the node itself reads its configuration with.",
    .sets = {(const struct cli_opt[]){
        {.name = "format", .value = "FORMAT", .help = "markdown (default), man or yaml."},
        {.name = NULL}}},
    .examples = (const struct cli_example[]){{"alknet config reference | less", "read it"},
                                             {"alknet config reference --format yaml > alknet.yaml",
                                              "a commented file to start from"},
                                             {NULL, NULL}},
    .run = run_reference};

static const struct cli_command *const config_commands[] = {&config_check, &config_reference, NULL};

const struct cli_command cli_config_command = {
    .name = "config",
    .summary = "check the configuration, or explain its settings",
    .purpose = "Works on the configuration of the node alone; no node needs to run.",
    .subcommands = config_commands};
