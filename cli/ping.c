/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet ping */
#include "client.h"
#include "commands.h"
#include "signals.h"

#include "base/text.h"
#include "base/wire.h"
#include "probe/probe.h"

#include <inttypes.h>

#define PAYLOAD 16

struct ping {
    struct cli *cli;
    struct cli_client client;
    struct cli_signals signals;
    struct alk_conn *conn;
    struct alk_conn_handle handle; /* of conn: nothing tells the end of an early one */
    struct alk_stream *stream;
    struct alk_timer timer; /* the next one, or the answer is late */
    uint64_t count;
    alk_time interval, patience;
    alk_time dialed_at, opened_at;
    bool is_early, is_resumed;
    bool is_announced; /* the node has answered, and that was told */
    /* The one that is under way. */
    uint64_t sent, got;
    alk_time sent_at;
    size_t arrived; /* bytes of its answer */
    uint8_t expected[PAYLOAD];
    bool is_waiting, is_over;
    bool is_reset;
    uint64_t reset_code;
    alk_time min, max, sum;
    struct yyjson_mut_doc *doc;
    struct yyjson_mut_val *times;
    int status;
};

static void quit(struct ping *p, int status)
{
    if (!p->is_over) {
        p->is_over = true;
        p->status = status;
    }
    alk_loop_stop(p->client.loop);
}

static void schedule(struct ping *p, alk_time at)
{
    alk_timer_set(p->client.loop, &p->timer, at);
}

static void send_one(struct ping *p)
{
    size_t took = 0;
    struct alk_wr w = alk_wr(p->expected, PAYLOAD);

    p->sent_at = alk_loop_now(p->client.loop);
    alk_wr_u64(&w, ++p->sent);
    alk_wr_u64(&w, p->sent_at);
    p->arrived = 0;
    p->is_waiting = true;
    alk_err err = alk_stream_write(p->stream, alk_wr_span(&w), &took);
    if (err < 0) {
        quit(p, cli_fail_err(p->cli, err, NULL));
        return;
    }
    schedule(p, p->sent_at + p->patience);
}

/* With early data the first answer is the first that is heard of the node. */
static void announce(struct ping *p)
{
    const struct alk_auth_context *auth = alk_conn_auth(p->conn);
    char text[32];

    p->is_announced = true;
    p->opened_at = alk_loop_now(p->client.loop);
    p->is_resumed = auth->is_resumed;
    if (!p->cli->is_json) {
        alk_text_time(p->opened_at - p->dialed_at, text, sizeof text);
        (void)fprintf(p->cli->out, "%s over %s: ready after %s%s\n", auth->remote,
                      cli_transport_name(alk_conn_transport(p->conn)), text,
                      p->is_early ? ", early data" : (p->is_resumed ? ", resumed" : ""));
        (void)fflush(p->cli->out);
    }
}

static void count_one(struct ping *p, alk_time rtt)
{
    char text[32];

    if (!p->is_announced) {
        announce(p);
    }
    p->got++;
    p->sum += rtt;
    p->min = p->got == 1 || rtt < p->min ? rtt : p->min;
    p->max = rtt > p->max ? rtt : p->max;
    if (p->cli->is_json) {
        (void)yyjson_mut_arr_add_uint(p->doc, p->times, rtt / ALK_US);
        return;
    }
    alk_text_time(rtt, text, sizeof text);
    (void)fprintf(p->cli->out, "%" PRIu64 ": %s\n", p->sent, text);
    (void)fflush(p->cli->out);
}

static void next_or_end(struct ping *p)
{
    if (p->sent >= p->count) {
        quit(p, p->got > 0 ? CLI_OK : CLI_UNREACHABLE);
        return;
    }
    alk_time at = p->sent_at + p->interval;
    alk_time now = alk_loop_now(p->client.loop);
    schedule(p, at > now ? at : now);
}

static void on_timer(struct alk_timer *timer, void *ctx)
{
    struct ping *p = (struct ping *)ctx;
    (void)timer;
    p->conn = p->conn == NULL ? NULL : alk_conn_lookup(p->client.loop, p->handle);
    if (p->conn == NULL) {
        return; /* it was early: `opened` or `failed` is still to come */
    }
    if (p->is_reset) {
        quit(p, cli_fail(p->cli, CLI_FAILED, "the node reset the stream: %s (code %" PRIu64 ")",
                         alk_code_name(p->reset_code), p->reset_code));
        return;
    }
    if (!p->is_waiting) {
        send_one(p);
        return;
    }
    if (!p->is_announced && alk_conn_auth(p->conn)->is_early) {
        schedule(p, alk_loop_now(p->client.loop) + p->patience); /* the dial has a deadline */
        return;
    }
    p->is_waiting = false;
    (void)fprintf(p->cli->err, "%" PRIu64 ": no answer\n", p->sent);
    next_or_end(p);
}

/* Answers come in order: the bytes of a late one are passed over. */
static void on_bytes(struct ping *p, struct alk_span in)
{
    for (size_t i = 0; i < in.n && p->is_waiting; i++) {
        p->arrived = in.p[i] == p->expected[p->arrived] ? p->arrived + 1 : 0;
        if (p->arrived == PAYLOAD) {
            p->is_waiting = false;
            count_one(p, alk_loop_now(p->client.loop) - p->sent_at);
            next_or_end(p);
        }
    }
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct ping *p = (struct ping *)ctx;
    struct alk_span in;
    alk_err err;

    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        on_bytes(p, in);
        alk_stream_consume(stream, in.n);
    }
    if (err == ALK_E_RESET && !p->is_over && p->conn != NULL && stream == p->stream) {
        /* With the connection's end on_closed tells more: it follows in this turn. */
        p->reset_code = alk_stream_peer_code(stream);
        p->is_waiting = false;
        p->is_reset = true;
        schedule(p, alk_loop_now(p->client.loop) + 10 * ALK_MS);
    }
    if ((events & ALK_STREAM_CLOSED) != 0 && stream == p->stream) {
        p->stream = NULL;
    }
}

static void start_pings(struct ping *p)
{
    alk_err err = alk_conn_open_stream(p->conn, on_stream, p, &p->stream);
    if (err != ALK_OK) {
        quit(p, cli_fail_err(p->cli, err, NULL));
        return;
    }
    send_one(p);
}

/* From the beginning, on the connection that there is now. */
static void begin(struct ping *p)
{
    p->sent = 0;
    p->is_waiting = false;
    p->is_reset = false;
    start_pings(p);
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct ping *p = (struct ping *)ctx;
    p->conn = conn;
    p->handle = alk_conn_handle(conn);
    p->is_early = alk_conn_auth(conn)->is_early;
    if (!p->is_early) {
        announce(p);
    }
    begin(p);
}

static void on_early_rejected(void *ctx)
{
    struct ping *p = (struct ping *)ctx;
    p->is_early = false;
    begin(p);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct ping *p = (struct ping *)ctx;
    p->conn = NULL;
    p->stream = NULL;
    quit(p, cli_client_failed(&p->client, err, message));
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct ping *p = (struct ping *)ctx;
    p->conn = NULL;
    if (!p->is_over) {
        quit(p, cli_client_closed(&p->client, why, code, reason));
    }
    alk_loop_stop(p->client.loop);
}

static void on_signal(void *ctx, int number)
{
    struct ping *p = (struct ping *)ctx;
    (void)number;
    quit(p, p->got > 0 ? CLI_OK : CLI_UNREACHABLE);
}

/* --- the command -------------------------------------------------------------- */

static void put_json(struct ping *p, const struct alk_conn_stats *stats, const char *transport)
{
    struct yyjson_mut_val *o = yyjson_mut_obj(p->doc);
    bool is_ok =
        yyjson_mut_obj_add_str(p->doc, o, "node", p->client.node.host_port) &&
        yyjson_mut_obj_add_str(p->doc, o, "transport", transport) &&
        yyjson_mut_obj_add_bool(p->doc, o, "resumed", p->is_resumed) &&
        yyjson_mut_obj_add_bool(p->doc, o, "early_data", p->is_early) &&
        yyjson_mut_obj_add_uint(p->doc, o, "handshake_us",
                                (p->opened_at - p->dialed_at) / ALK_US) &&
        yyjson_mut_obj_add_uint(p->doc, o, "sent", p->sent) &&
        yyjson_mut_obj_add_uint(p->doc, o, "received", p->got) &&
        yyjson_mut_obj_add_val(p->doc, o, "rtt_us", p->times) &&
        yyjson_mut_obj_add_uint(p->doc, o, "min_us", p->min / ALK_US) &&
        yyjson_mut_obj_add_uint(p->doc, o, "avg_us", p->got > 0 ? p->sum / p->got / ALK_US : 0) &&
        yyjson_mut_obj_add_uint(p->doc, o, "max_us", p->max / ALK_US) &&
        yyjson_mut_obj_add_uint(p->doc, o, "path_mtu", stats->path_mtu) &&
        yyjson_mut_obj_add_uint(p->doc, o, "packets_lost", stats->packets_lost);
    (void)cli_print_json(p->cli, p->doc, is_ok ? o : NULL);
    p->doc = NULL;
}

static void tell(struct ping *p)
{
    struct alk_conn_stats stats = {.struct_size = sizeof stats};
    const char *transport = "none";
    char min[32], avg[32], max[32];

    if (p->conn != NULL) {
        alk_conn_stats(p->conn, &stats);
        transport = cli_transport_name(alk_conn_transport(p->conn));
    }
    if (p->cli->is_json) {
        put_json(p, &stats, transport);
        return;
    }
    if (p->got == 0) {
        return;
    }
    alk_text_time(p->min, min, sizeof min);
    alk_text_time(p->sum / p->got, avg, sizeof avg);
    alk_text_time(p->max, max, sizeof max);
    (void)fprintf(p->cli->out, "%" PRIu64 " of %" PRIu64 " answered; min %s, avg %s, max %s\n",
                  p->got, p->sent, min, avg, max);
}

static const struct alk_client_calls calls = {.opened = on_opened,
                                              .failed = on_failed,
                                              .early_rejected = on_early_rejected,
                                              .closed = on_closed};

static int run_loop(struct ping *p)
{
    p->timer.fn = on_timer;
    p->timer.ctx = p;
    p->client.options.want_early = true;
    p->dialed_at = alk_loop_now(p->client.loop);
    alk_err err = cli_signals_open(p->client.loop, on_signal, p, &p->signals);
    if (err == ALK_OK) {
        err = cli_client_dial(&p->client, &calls, p);
    }
    if (err != ALK_OK) {
        return cli_fail_err(p->cli, err, NULL);
    }
    alk_loop_run(p->client.loop);
    p->conn = p->conn == NULL ? NULL : alk_conn_lookup(p->client.loop, p->handle);
    if (p->opened_at != 0) {
        tell(p);
    }
    if (p->conn != NULL) { /* an orderly end, so that the node need not wait for us */
        alk_conn_close(p->conn, ALK_CODE_NONE, alk_span_str(""));
        (void)alk_loop_run_once(p->client.loop, 0);
    }
    return p->status;
}

static int run_ping(struct cli *cli, const struct cli_args *args)
{
    struct ping p = {.cli = cli, .count = 4, .interval = ALK_SECOND, .patience = 5 * ALK_SECOND};

    if (!cli_get_u64(args, "count", 1, 4096, cli->err, &p.count) ||
        !cli_get_time(args, "interval", cli->err, &p.interval)) {
        return CLI_USAGE;
    }
    int rc = cli_client_open(cli, args, cli_value(args, 0), ALK_PING_ALPN, &p.client);
    p.doc = yyjson_mut_doc_new(NULL);
    p.times = yyjson_mut_arr(p.doc);
    if (rc == CLI_OK) {
        rc = run_loop(&p);
    }
    cli_signals_close(&p.signals);
    yyjson_mut_doc_free(p.doc);
    cli_client_close(&p.client);
    return rc;
}

static const struct cli_opt ping_opts[] = {
    {.name = "count", .letter = 'n', .value = "N", .help = "Ask N times. Default: 4."},
    {.name = "interval", .value = "TIME", .help = "Wait so long in between. Default: 1s."},
    {.name = NULL}};

static const struct cli_arg ping_args[] = {
    {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
    {.name = NULL}};

const struct cli_command cli_ping_command = {
    .name = "ping",
    .summary = "see whether a node is there, and how far away",
    .purpose = "Connects to a node, checks its key, and measures how long a few bytes take there "
               "and back. "
               "Every node answers, to everybody. It shows which transport was used, how long the "
               "handshake took, and whether an earlier session was resumed.",
    .sets = {cli_node_opts, ping_opts, cli_json_opts},
    .args = ping_args,
    .examples =
        (const struct cli_example[]){
            {"alknet ping alknet://KEY@home.example.org", "is it there, and is it the right one?"},
            {"alknet ping home --tcp -n 1", "over TCP, once"},
            {"alknet ping 192.0.2.7:4433 --trust", "remember its key for the next time"},
            {NULL, NULL}},
    .run = run_ping};
