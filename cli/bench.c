/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet bench: how fast is it, from here to a node. */
#include "bench.h"
#include "client.h"
#include "commands.h"
#include "core/io/loop.h"
#include "probe/probe.h"

#include "base/text.h"

#include <inttypes.h>
#include <sys/resource.h>

static alk_time cpu_now(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0) {
        return 0;
    }
    return (alk_time)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * ALK_SECOND +
           (alk_time)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * ALK_US;
}

/* --- one part ----------------------------------------------------------------- */

void cli_bench_end(struct cli_bench *b, int status)
{
    if (!b->is_over) {
        b->is_over = true;
        b->status = status;
        b->result.time = alk_clock_now() - b->began_at;
        b->result.cpu = cpu_now() - b->cpu_at;
        b->result.is_done = status == CLI_OK;
    }
    alk_loop_stop(b->client->loop);
}

void cli_bench_begin(struct cli_bench *b)
{
    b->began_at = alk_clock_now();
    b->cpu_at = cpu_now();
}

int cli_bench_reset(struct cli_bench *b, uint64_t code)
{
    if (code == ALK_CODE_FORBIDDEN || code == ALK_CODE_AUTH) {
        return cli_fail(b->cli, CLI_REFUSED,
                        "the node does not let this client measure; it needs the scope bench: "
                        "alknet peer add NAME KEY --scope bench");
    }
    return cli_fail(b->cli, CLI_FAILED, "the node reset the stream: %s (code %" PRIu64 ")",
                    alk_code_name(code), code);
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    b->conn = conn;
    b->transport = alk_conn_transport(conn);
    cli_bench_begin(b);
    b->part->start(b);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    cli_bench_end(b, cli_client_failed(b->client, err, message));
}

static void on_credit(void *ctx)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    if (b->part->credit != NULL && !b->is_over) {
        b->part->credit(b);
    }
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    b->conn = NULL;
    if (!b->is_over) {
        cli_bench_end(b, cli_client_closed(b->client, why, code, reason));
    }
    alk_loop_stop(b->client->loop);
}

static const struct alk_client_calls calls = {
    .opened = on_opened, .failed = on_failed, .credit = on_credit, .closed = on_closed};

alk_err cli_bench_dial(struct cli_bench *b)
{
    return cli_client_dial(b->client, &calls, b);
}

static void on_progress(struct alk_timer *timer, void *ctx)
{
    struct cli_bench *b = (struct cli_bench *)ctx;
    (void)fprintf(b->cli->err, "\r\033[Kmeasuring: %s ...", b->part->title);
    (void)fflush(b->cli->err);
    alk_timer_set(b->client->loop, timer, alk_loop_now(b->client->loop) + ALK_SECOND);
}

static int run_part(struct cli_bench *b, const struct cli_bench_part *part,
                    const struct cli_bench_options *options)
{
    struct alk_timer progress = {.fn = on_progress, .ctx = b};

    b->part = part;
    b->o = options;
    b->is_over = false;
    b->result = (struct cli_bench_result){.is_done = false};
    if (b->cli->err_is_tty) {
        alk_timer_set(b->client->loop, &progress, alk_loop_now(b->client->loop) + ALK_SECOND);
    }
    alk_err err = cli_bench_dial(b);
    if (err != ALK_OK) {
        return cli_fail_err(b->cli, err, NULL);
    }
    alk_loop_run(b->client->loop);
    if (b->conn != NULL) {
        alk_conn_close(b->conn, ALK_CODE_NONE, alk_span_str(""));
        alk_loop_run(b->client->loop); /* until on_closed */
    }
    alk_timer_stop(b->client->loop, &progress);
    if (b->cli->err_is_tty) {
        (void)fprintf(b->cli->err, "\r\033[K");
    }
    cli_bench_parts_free(b);
    return b->status;
}

/* --- results ------------------------------------------------------------------ */

/* Thousandths, so that no floating point is printed. */
static uint64_t per_second(uint64_t n, alk_time t, uint64_t scale)
{
    __extension__ unsigned __int128 v = (unsigned __int128)n * ALK_SECOND * 1000u;
    return t == 0 ? 0 : (uint64_t)(v / t / scale);
}

static void print_part(struct cli_bench *b)
{
    const struct cli_bench_result *r = &b->result;
    char cpu[32], latency[32];

    alk_text_time(r->cpu, cpu, sizeof cpu);
    if (r->bytes > 0) {
        uint64_t mb = per_second(r->bytes, r->time, 1000000);
        (void)fprintf(b->cli->out, "%-28s %6" PRIu64 ".%" PRIu64 " MB/s      processor here %s\n",
                      b->part->title, mb / 1000, mb % 1000 / 100, cpu);
    } else {
        alk_text_time(r->count == 0 ? 0 : r->latency / r->count, latency, sizeof latency);
        (void)fprintf(b->cli->out, "%-28s %8" PRIu64 " per s   mean %s, processor here %s\n",
                      b->part->title, per_second(r->count, r->time, 1000), latency, cpu);
    }
    (void)fflush(b->cli->out);
}

static bool put_part(struct cli_bench *b, struct yyjson_mut_doc *doc, struct yyjson_mut_val *list)
{
    const struct cli_bench_result *r = &b->result;
    struct yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
    return o != NULL && yyjson_mut_obj_add_str(doc, o, "name", b->part->name) &&
           yyjson_mut_obj_add_uint(doc, o, "time_us", r->time / ALK_US) &&
           yyjson_mut_obj_add_uint(doc, o, "cpu_us", r->cpu / ALK_US) &&
           yyjson_mut_obj_add_uint(doc, o, "bytes", r->bytes) &&
           yyjson_mut_obj_add_uint(doc, o, "count", r->count) &&
           yyjson_mut_obj_add_uint(doc, o, "latency_mean_us",
                                   r->count == 0 ? 0 : r->latency / r->count / ALK_US) &&
           yyjson_mut_obj_add_uint(doc, o, r->bytes > 0 ? "bytes_per_s" : "per_s",
                                   per_second(r->bytes > 0 ? r->bytes : r->count, r->time, 1000));
}

static int run_parts(struct cli_bench *b, const struct cli_bench_options *o,
                     struct yyjson_mut_doc *doc, struct yyjson_mut_val *list)
{
    bool is_ok = true;
    for (size_t i = 0; cli_bench_parts[i] != NULL && is_ok; i++) {
        const struct cli_bench_part *part = cli_bench_parts[i];
        if (part->needs_streams && b->transport == ALK_TRANSPORT_TLS) {
            continue; /* TLS carries one stream */
        }
        b->client->alpns[0] = part->alpn;
        int rc = run_part(b, part, o);
        if (rc != CLI_OK) {
            return rc;
        }
        b->client->options.transports = (unsigned)b->transport; /* the rest over the same */
        if (i == 0 && !b->cli->is_json) {
            (void)fprintf(b->cli->out, "%s over %s\n", b->client->node.host_port,
                          cli_transport_name(b->transport));
        }
        if (b->cli->is_json) {
            is_ok = put_part(b, doc, list);
        } else {
            print_part(b);
        }
    }
    return is_ok ? CLI_OK : cli_fail_err(b->cli, ALK_E_NOMEM, NULL);
}

static int run_bench(struct cli *cli, const struct cli_args *args)
{
    struct cli_client client;
    struct cli_bench b = {.cli = cli, .client = &client};
    struct cli_bench_options o = {.bytes = (uint64_t)256 << 20, .time = 2 * ALK_SECOND};

    if (!cli_get_size(args, "size", cli->err, &o.bytes) ||
        !cli_get_time(args, "time", cli->err, &o.time)) {
        return CLI_USAGE;
    }
    int rc = cli_client_open(cli, args, cli_value(args, 0), ALK_BENCH_ALPN, &client);
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *out = yyjson_mut_obj(doc);
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, out, "parts");
    client.options.cache = NULL; /* handshakes are to be full ones */
    if (rc == CLI_OK) {
        rc = run_parts(&b, &o, doc, list);
    }
    if (rc == CLI_OK && cli->is_json) {
        bool is_ok = yyjson_mut_obj_add_str(doc, out, "node", client.node.host_port) &&
                     yyjson_mut_obj_add_str(doc, out, "transport", cli_transport_name(b.transport));
        rc = cli_print_json(cli, doc, is_ok ? out : NULL);
        doc = NULL;
    }
    yyjson_mut_doc_free(doc);
    cli_client_close(&client);
    return rc;
}

static const struct cli_opt bench_opts[] = {
    {.name = "size",
     .value = "SIZE",
     .help = "Move so much each way, such as 1GiB. Default: 256MiB."},
    {.name = "time",
     .value = "TIME",
     .help = "Count requests and handshakes for so long each. Default: 2s."},
    {.name = NULL}};

static const struct cli_arg bench_args[] = {
    {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
    {.name = NULL}};

const struct cli_command cli_bench_command = {
    .name = "bench",
    .summary = "measure throughput, requests and handshakes to a node",
    .purpose =
        "Measures, one after the other: bytes from the node and to it in one stream; 64-byte "
        "requests, a stream each, one and a hundred at a time; full handshakes, one at a time. The "
        "processor time is that of this side. Over TCP what needs many streams is left out. The "
        "node lets in who holds the scope bench, by key or token.",
    .sets = {bench_opts, cli_json_opts, cli_node_opts},
    .args = bench_args,
    .examples =
        (const struct cli_example[]){
            {"alknet bench home", "over whatever connects first"},
            {"alknet bench home --tcp --size 1GiB", "over TCP, with more to move"},
            {"alknet bench home --json > before.json", "to compare later"},
            {NULL, NULL}},
    .run = run_bench};
