/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet doctor */
#include "doctor.h"
#include "commands.h"
#include "keyring.h"

#include <stdarg.h>

struct cli_finding *cli_found(struct cli_doctor *d, enum cli_health health, const char *name,
                              const char *fmt, ...)
{
    va_list args;

    if (d->count == CLI_FINDINGS_MAX) {
        return NULL;
    }
    struct cli_finding *f = &d->findings[d->count++];
    *f = (struct cli_finding){.name = name, .health = health};
    va_start(args, fmt);
    (void)vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
    return f;
}

void cli_repair(struct cli_finding *f, const char *fmt, ...)
{
    va_list args;
    if (f == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(f->repair, sizeof f->repair, fmt, args);
    va_end(args);
}

static const char *health_name(enum cli_health health)
{
    switch (health) {
    case CLI_WELL:
        return "ok";
    case CLI_WEAK:
        return "weak";
    case CLI_ILL:
        return "ill";
    }
    return "ill";
}

static const char *health_color(enum cli_health health)
{
    switch (health) {
    case CLI_WELL:
        return CLI_GREEN;
    case CLI_WEAK:
        return CLI_YELLOW;
    case CLI_ILL:
        return CLI_RED;
    }
    return CLI_RED;
}

static void print_findings(struct cli_doctor *d)
{
    struct cli *cli = d->cli;
    for (size_t i = 0; i < d->count; i++) {
        const struct cli_finding *f = &d->findings[i];
        (void)fprintf(cli->out, "%s%-4s%s  %-14s ", cli_color(cli, health_color(f->health)),
                      health_name(f->health), cli_color(cli, CLI_RESET), f->name);
        cli_wrap(cli->out, f->text, 21, 21, 100);
        if (f->repair[0] != '\0') {
            (void)fprintf(cli->out, "%21srepair: %s\n", "", f->repair);
        }
    }
}

static int print_json(struct cli_doctor *d)
{
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *out = yyjson_mut_obj(doc);
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, out, "findings");
    bool is_ok = list != NULL;

    for (size_t i = 0; i < d->count && is_ok; i++) {
        const struct cli_finding *f = &d->findings[i];
        struct yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        is_ok = o != NULL && yyjson_mut_obj_add_str(doc, o, "name", f->name) &&
                yyjson_mut_obj_add_str(doc, o, "health", health_name(f->health)) &&
                yyjson_mut_obj_add_str(doc, o, "text", f->text) &&
                (f->repair[0] == '\0' || yyjson_mut_obj_add_str(doc, o, "repair", f->repair));
    }
    return cli_print_json(d->cli, doc, is_ok ? out : NULL);
}

static int run_doctor(struct cli *cli, const struct cli_args *args)
{
    struct cli_doctor d = {.cli = cli, .args = args};
    struct cli_state state;
    const char *node = cli_value(args, 0);

    cli_doctor_system(&d);
    int rc = cli_state_open(cli, args, true, &state);
    if (rc == CLI_OK) {
        cli_doctor_node(&d, &state);
    } else {
        cli_repair(cli_found(&d, CLI_ILL, "configuration", "it has mistakes: see above"),
                   "alknet config check");
    }
    cli_state_close(&state);
    if (node != NULL) {
        cli_doctor_reach(&d, node);
    }
    rc = CLI_OK;
    if (cli->is_json) {
        rc = print_json(&d);
    } else {
        print_findings(&d);
    }
    for (size_t i = 0; i < d.count && rc == CLI_OK; i++) {
        rc = d.findings[i].health == CLI_ILL ? CLI_FAILED : CLI_OK;
    }
    return d.status != CLI_OK ? d.status : rc;
}

static const struct cli_arg doctor_args[] = {
    {"NODE", CLI_NODE, .is_optional = true,
     .help = "Also look at the way to this node: UDP, TCP and the size of packets."},
    {.name = NULL}};

const struct cli_command cli_doctor_command = {
    .name = "doctor",
    .summary = "look for what keeps alknet from working well here",
    .purpose =
        "Looks at this machine as alknet needs it: socket buffers, packet offload, file "
        "descriptors, clock, the separation of handler processes, the node's data, key, "
        "certificate, ports and repositories; and with NODE the way there. For everything that is "
        "not well it prints the command that repairs it. `weak` works, only worse; `ill` does not, "
        "and makes the exit status 1. It changes nothing.",
    .sets = {cli_state_opts, cli_key_opts, cli_node_opts, cli_json_opts},
    .args = doctor_args,
    .examples = (const struct cli_example[]){{"alknet doctor", "is this machine in order?"},
                                             {"alknet doctor alknet://KEY@home.example.org",
                                              "and the way to that node?"},
                                             {NULL, NULL}},
    .run = run_doctor};
