/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "status.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const char *text_in(struct yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text != NULL ? text : "";
}

static uint64_t number_in(struct yyjson_val *object, const char *name)
{
    return yyjson_get_uint(yyjson_obj_get(object, name));
}

static void put_uptime(struct cli *cli, uint64_t s)
{
    (void)fprintf(cli->out,
                  "up           %" PRIu64 " d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "\n",
                  s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

static void put_head(struct cli *cli, struct yyjson_val *out)
{
    struct yyjson_val *addresses = yyjson_obj_get(out, "addresses");
    struct yyjson_val *cert = yyjson_obj_get(out, "certificate");

    (void)fprintf(cli->out, "alknet       %s", text_in(out, "version"));
    if (yyjson_obj_get(out, "pid") != NULL) {
        (void)fprintf(cli->out, ", process %" PRIu64, number_in(out, "pid"));
    }
    (void)fprintf(cli->out, "%s\n",
                  yyjson_get_bool(yyjson_obj_get(out, "stopping")) ? ", stopping" : "");
    if (yyjson_obj_get(out, "uptime_s") != NULL) {
        put_uptime(cli, number_in(out, "uptime_s"));
    }
    (void)fprintf(cli->out, "key          %s\n", text_in(out, "key"));
    for (size_t i = 0; i < yyjson_arr_size(addresses); i++) {
        const char *address = yyjson_get_str(yyjson_arr_get(addresses, i));
        (void)fprintf(cli->out, "%s%s\n", i == 0 ? "listening    " : "             ",
                      address != NULL ? address : "");
    }
    if (cert != NULL) {
        (void)fprintf(cli->out, "certificate  %s until %s\n", text_in(cert, "sha256"),
                      text_in(cert, "not_after"));
    }
}

static void put_protocols(struct cli *cli, struct yyjson_val *protocols)
{
    size_t i, max;
    struct yyjson_val *name, *version;

    yyjson_obj_foreach(protocols, i, max, name, version)
    {
        (void)fprintf(cli->out, "%s%s", i == 0 ? "speaks       " : ", ", yyjson_get_str(name));
    }
    if (max > 0) {
        (void)fputc('\n', cli->out);
    }
}

void cli_status_put_node(struct cli *cli, struct yyjson_val *out)
{
    struct yyjson_val *auth = yyjson_obj_get(out, "auth");
    char memory[32];

    put_head(cli, out);
    if (yyjson_obj_get(out, "uptime_s") == NULL) { /* no more than node/info */
        put_protocols(cli, yyjson_obj_get(out, "protocols"));
        return;
    }
    alk_text_size(number_in(out, "memory_max"), memory, sizeof memory);
    (void)fprintf(
        cli->out,
        "config       %s, generation %" PRIu64 ", %" PRIu64 " reloads failed\n"
        "data         %s\n"
        "loops        %zu\n"
        "connections  %" PRIu64 "\n"
        "peers        %" PRIu64 "; failed logins: %" PRIu64 "\n"
        "used         %" PRIu64 ".%03" PRIu64 " s of processor time, at most %s of memory\n",
        yyjson_obj_get(out, "config") != NULL ? text_in(out, "config") : "built in",
        number_in(out, "generation"), number_in(out, "reloads_failed"), text_in(out, "data_dir"),
        yyjson_arr_size(yyjson_obj_get(out, "loops")), number_in(out, "connections"),
        number_in(auth, "identities"), number_in(auth, "failures"), number_in(out, "cpu_ms") / 1000,
        number_in(out, "cpu_ms") % 1000, memory);
}

bool cli_status_put_services(struct cli *cli, struct yyjson_val *out)
{
    struct yyjson_val *services = yyjson_obj_get(out, "services");
    static const char *const head[] = {"SERVICE", "ALPN",  "RUNS",    "NEEDS",
                                       "NOW",     "TOTAL", "STREAMS", "REFUSED"};
    struct cli_table table = {.columns = 8};
    bool is_ok = cli_table_row(&table, head);

    for (size_t i = 0; is_ok && i < yyjson_arr_size(services); i++) {
        struct yyjson_val *s = yyjson_arr_get(services, i);
        static const char *const names[] = {"connections", "connections_total", "streams_total",
                                            "refused_total"};
        char numbers[4][24];
        for (size_t k = 0; k < 4; k++) {
            (void)snprintf(numbers[k], sizeof numbers[k], "%" PRIu64, number_in(s, names[k]));
        }
        const char *alpn = yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(s, "alpns")));
        const char *const cells[] = {text_in(s, "name"),
                                     alpn != NULL ? alpn : "",
                                     text_in(s, "isolation"),
                                     text_in(s, "require"),
                                     numbers[0],
                                     numbers[1],
                                     numbers[2],
                                     numbers[3]};
        is_ok = cli_table_row(&table, cells);
    }
    if (is_ok) {
        (void)fputc('\n', cli->out);
        cli_table_print(cli, &table);
    }
    cli_table_free(&table);
    return is_ok;
}

bool cli_status_put_connections(struct cli *cli, struct yyjson_val *answer)
{
    struct yyjson_val *connections = yyjson_obj_get(answer, "connections");
    uint64_t more = number_in(answer, "more");
    static const char *const head[] = {"REMOTE",  "PEER", "ALPN", "OVER",
                                       "STREAMS", "IN",   "OUT",  "RTT"};
    struct cli_table table = {.columns = 8};
    bool is_ok = cli_table_row(&table, head);

    for (size_t i = 0; is_ok && i < yyjson_arr_size(connections); i++) {
        struct yyjson_val *c = yyjson_arr_get(connections, i);
        char streams[24], in[32], out[32], rtt[32], alpn[4 * ALK_ALPN_MAX + 1];
        (void)snprintf(streams, sizeof streams, "%" PRIu64, number_in(c, "streams"));
        alk_text_size(number_in(c, "bytes_in"), in, sizeof in);
        alk_text_size(number_in(c, "bytes_out"), out, sizeof out);
        alk_text_time(number_in(c, "rtt_us") * ALK_US, rtt, sizeof rtt);
        cli_safe(alk_span_str(text_in(c, "alpn")), alpn, sizeof alpn);
        const char *const cells[] = {text_in(c, "remote"),
                                     yyjson_obj_get(c, "id") != NULL ? text_in(c, "id") : "-",
                                     alpn,
                                     text_in(c, "transport"),
                                     streams,
                                     in,
                                     out,
                                     rtt};
        is_ok = cli_table_row(&table, cells);
    }
    if (is_ok) {
        cli_table_print(cli, &table);
    }
    if (is_ok && more > 0) {
        (void)fprintf(cli->out, "and %" PRIu64 " more\n", more);
    }
    cli_table_free(&table);
    return is_ok;
}

int cli_status_print(struct cli *cli, const char *operation, struct yyjson_val *out)
{
    bool is_ok;

    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        return cli_print_json(cli, doc, yyjson_val_mut_copy(doc, out));
    }
    if (strcmp(operation, "node/metrics") == 0) {
        (void)fputs(text_in(out, "text"), cli->out);
        return CLI_OK;
    }
    if (strcmp(operation, "node/connections") == 0) {
        is_ok = cli_status_put_connections(cli, out);
    } else {
        cli_status_put_node(cli, out);
        is_ok = cli_status_put_services(cli, out);
    }
    return is_ok ? CLI_OK : cli_fail_err(cli, ALK_E_NOMEM, NULL);
}
