/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet ping */
#include "ping.h"

#include "base/text.h"
#include "caller.h"
#include "commands.h"
#include "core/frame.h"
#include "core/io/loop.h"

#include <inttypes.h>
#include <signal.h>

/* --- telling ------------------------------------------------------------------ */

void cli_ping_ready(struct cli_ping *p, const struct alk_conn *conn, alk_time after)
{
    const struct alk_auth_context *auth = alk_conn_auth(conn);
    char text[32];

    p->is_ready = true;
    p->ready_after = after;
    p->is_resumed = auth->is_resumed;
    if (!p->cli->is_json) {
        alk_text_time(after, text, sizeof text);
        (void)fprintf(p->cli->out, "%s over %s: ready after %s%s\n", auth->remote,
                      cli_transport_name(alk_conn_transport(conn)), text,
                      p->is_early ? ", early data" : (p->is_resumed ? ", resumed" : ""));
        (void)fflush(p->cli->out);
    }
}

void cli_ping_answered(struct cli_ping *p, alk_time rtt)
{
    char text[32];

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

void cli_ping_missed(struct cli_ping *p)
{
    (void)fprintf(p->cli->err, "%" PRIu64 ": no answer\n", p->sent);
}

void cli_ping_look(struct cli_ping *p, const struct alk_conn *conn)
{
    if (conn != NULL) {
        alk_conn_stats(conn, &p->stats);
        p->transport = cli_transport_name(alk_conn_transport(conn));
    }
}

static void put_json(struct cli_ping *p)
{
    struct yyjson_mut_val *o = yyjson_mut_obj(p->doc);
    bool is_ok =
        yyjson_mut_obj_add_str(p->doc, o, "node", p->host_port) &&
        yyjson_mut_obj_add_str(p->doc, o, "via", p->via) &&
        yyjson_mut_obj_add_str(p->doc, o, "transport", p->transport) &&
        yyjson_mut_obj_add_bool(p->doc, o, "resumed", p->is_resumed) &&
        yyjson_mut_obj_add_bool(p->doc, o, "early_data", p->is_early) &&
        yyjson_mut_obj_add_uint(p->doc, o, "handshake_us", p->ready_after / ALK_US) &&
        yyjson_mut_obj_add_uint(p->doc, o, "sent", p->sent) &&
        yyjson_mut_obj_add_uint(p->doc, o, "received", p->got) &&
        yyjson_mut_obj_add_val(p->doc, o, "rtt_us", p->times) &&
        yyjson_mut_obj_add_uint(p->doc, o, "min_us", p->min / ALK_US) &&
        yyjson_mut_obj_add_uint(p->doc, o, "avg_us", p->got > 0 ? p->sum / p->got / ALK_US : 0) &&
        yyjson_mut_obj_add_uint(p->doc, o, "max_us", p->max / ALK_US) &&
        yyjson_mut_obj_add_uint(p->doc, o, "path_mtu", p->stats.path_mtu) &&
        yyjson_mut_obj_add_uint(p->doc, o, "packets_lost", p->stats.packets_lost);
    (void)cli_print_json(p->cli, p->doc, is_ok ? o : NULL);
    p->doc = NULL;
}

static void tell(struct cli_ping *p)
{
    char min[32], avg[32], max[32];

    if (p->cli->is_json) {
        put_json(p);
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

/* --- by calls ----------------------------------------------------------------- */

struct ping {
    struct cli_ping *p;
    struct cli_caller caller;
    struct cli_answer answer; /* of the one that is under way */
    struct alk_timer timer;
    bool is_rung;
    alk_time sent_at, answered_at;
    bool is_echo; /* the answer holds what was sent */
};

static void on_timer(struct alk_timer *timer, void *ctx)
{
    struct ping *g = (struct ping *)ctx;
    (void)timer;
    g->is_rung = true;
    alk_loop_stop(g->caller.client.loop);
}

static void on_answer(void *ctx, struct alk_span output)
{
    struct ping *g = (struct ping *)ctx;
    struct yyjson_doc *doc = NULL;

    g->answered_at = alk_clock_now();
    if (alk_json_parse(output, &doc) == ALK_OK) {
        struct yyjson_val *payload = yyjson_obj_get(yyjson_doc_get_root(doc), "payload");
        g->is_echo = yyjson_is_uint(payload) && yyjson_get_uint(payload) == g->p->sent;
    }
    yyjson_doc_free(doc);
}

/* Sends one and waits for its answer, or the end of patience. */
static int ping_once(struct ping *g)
{
    struct alk_loop *loop = g->caller.client.loop;
    char input[64];
    int rc = CLI_OK;

    (void)snprintf(input, sizeof input, "{\"payload\":%" PRIu64 "}", ++g->p->sent);
    const struct alk_ask ask = {
        .struct_size = sizeof ask, .op = "node/ping", .input = alk_span_str(input)};
    g->answer = (struct cli_answer){.each = on_answer, .ctx = g};
    g->is_rung = g->is_echo = false;
    g->sent_at = alk_clock_now();
    alk_err err = cli_caller_start(&g->caller, &ask, &g->answer);
    if (err != ALK_OK) {
        return cli_fail_err(g->p->cli, err, NULL);
    }
    alk_timer_set(loop, &g->timer, g->sent_at + g->p->patience);
    while (rc == CLI_OK && !g->answer.is_over && !g->is_rung) {
        rc = cli_caller_turn(&g->caller);
    }
    alk_timer_stop(loop, &g->timer);
    if (g->answer.is_over && g->answer.code[0] != '\0') {
        return rc != CLI_OK ? rc : cli_caller_tell(&g->caller, "node/ping", &g->answer);
    }
    if (g->answer.is_over && !g->is_echo) {
        return cli_fail(g->p->cli, CLI_FAILED, "node/ping: the answer is another one's");
    }
    if (g->answer.is_over) {
        cli_ping_answered(g->p, g->answered_at - g->sent_at);
    } else if (rc == CLI_OK) {
        cli_ping_missed(g->p);
    }
    return rc;
}

static int wait_until(struct ping *g, alk_time at)
{
    int rc = CLI_OK;

    g->is_rung = false;
    alk_timer_set(g->caller.client.loop, &g->timer, at);
    while (rc == CLI_OK && !g->is_rung) {
        rc = cli_caller_turn(&g->caller);
    }
    alk_timer_stop(g->caller.client.loop, &g->timer);
    return rc;
}

static int ping_all(struct ping *g)
{
    struct cli_ping *p = g->p;
    int rc = CLI_OK;

    cli_ping_ready(p, cli_caller_conn(&g->caller), g->caller.opened_at - g->caller.dialed_at);
    g->timer = (struct alk_timer){.fn = on_timer, .ctx = g};
    for (uint64_t i = 0; rc == CLI_OK && i < p->count; i++) {
        rc = i == 0 ? CLI_OK : wait_until(g, g->sent_at + p->interval);
        if (rc == CLI_OK) {
            rc = ping_once(g);
            cli_answer_fini(&g->answer);
        }
    }
    if (g->caller.signal != 0) { /* a person has seen enough */
        g->caller.signal = 0;
        rc = CLI_OK;
    }
    cli_ping_look(p, cli_caller_conn(&g->caller));
    return rc == CLI_OK && p->got == 0 ? CLI_UNREACHABLE : rc;
}

static int ping_by_calls(struct cli_ping *p, bool *ret_is_absent)
{
    struct ping g = {.p = p};

    p->via = "node/ping";
    int rc = cli_caller_try(p->cli, p->args, cli_value(p->args, 0), &g.caller, ret_is_absent);
    (void)snprintf(p->host_port, sizeof p->host_port, "%s", g.caller.client.node.host_port);
    if (rc == CLI_OK && !*ret_is_absent) {
        rc = ping_all(&g);
    }
    cli_caller_close(&g.caller);
    return rc;
}

/* --- the command -------------------------------------------------------------- */

static int run_ping(struct cli *cli, const struct cli_args *args)
{
    struct cli_ping p = {.cli = cli,
                         .args = args,
                         .count = 4,
                         .interval = ALK_SECOND,
                         .patience = 5 * ALK_SECOND,
                         .transport = "none",
                         .stats = {.struct_size = sizeof p.stats}};
    bool is_absent = cli_has(args, "probe");
    int rc = CLI_OK;

    if (!cli_get_u64(args, "count", 1, 4096, cli->err, &p.count) ||
        !cli_get_time(args, "interval", cli->err, &p.interval)) {
        return CLI_USAGE;
    }
    p.doc = yyjson_mut_doc_new(NULL);
    p.times = yyjson_mut_arr(p.doc);
    if (!is_absent) {
        rc = ping_by_calls(&p, &is_absent);
        if (is_absent) {
            (void)fprintf(cli->err,
                          "alknet: %s has no call service (alknet/call): asking its "
                          "alknet/ping instead\n",
                          p.host_port);
        }
    }
    if (is_absent) {
        rc = cli_ping_probe(&p);
    }
    if (p.is_ready) {
        tell(&p);
    }
    yyjson_mut_doc_free(p.doc);
    return rc;
}

static const struct cli_opt ping_opts[] = {
    {.name = "count", .letter = 'n', .value = "N", .help = "Ask N times. Default: 4."},
    {.name = "interval", .value = "TIME", .help = "Wait so long in between. Default: 1s."},
    {.name = "probe",
     .help = "Ask the service alknet/ping, which sends bytes back and nothing else, instead of the "
             "operation node/ping: this can go as early data, in the first packet of a session "
             "that is resumed."},
    {.name = NULL}};

static const struct cli_arg ping_args[] = {
    {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
    {.name = NULL}};

const struct cli_command cli_ping_command = {
    .name = "ping",
    .summary = "see whether a node is there, and how far away",
    .purpose = "Connects to a node, checks its key, and measures how long a call takes there and "
               "back: the operation node/ping, which every node answers to everybody. It shows "
               "which transport was used, how long the handshake took, and whether an earlier "
               "session was resumed. A node without the service alknet/call is asked by "
               "alknet/ping.",
    .sets = {ping_opts, cli_json_opts, cli_node_opts},
    .args = ping_args,
    .examples =
        (const struct cli_example[]){
            {"alknet ping alknet://KEY@home.example.org", "is it there, and is it the right one?"},
            {"alknet ping home --tcp -n 1", "over TCP, once"},
            {"alknet ping 192.0.2.7:4433 --trust", "remember its key for the next time"},
            {NULL, NULL}},
    .run = run_ping};
