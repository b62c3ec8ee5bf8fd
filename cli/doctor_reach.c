/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The way to a node: UDP, TCP, and how large a packet may be. */
#include "client.h"
#include "doctor.h"
#include "probe/probe.h"

#include "base/text.h"

/* Path MTU discovery takes a few round trips after the handshake. */
#define MTU_TIME    (1500 * ALK_MS)
#define MTU_GOOD    1350u
#define WAY_TIMEOUT (5 * ALK_SECOND)

struct way {
    struct cli_client client;
    struct alk_conn *conn;
    struct alk_timer timer;
    struct alk_conn_stats stats;
    alk_time mtu_time;
    alk_err err;
    char message[512];
};

static void on_timer(struct alk_timer *timer, void *ctx)
{
    struct way *w = (struct way *)ctx;
    (void)timer;
    if (w->conn != NULL) {
        alk_conn_stats(w->conn, &w->stats);
    }
    alk_loop_stop(w->client.loop);
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct way *w = (struct way *)ctx;
    w->conn = conn;
    w->timer.fn = on_timer;
    w->timer.ctx = w;
    alk_timer_set(w->client.loop, &w->timer, alk_loop_now(w->client.loop) + w->mtu_time);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct way *w = (struct way *)ctx;
    w->err = err;
    (void)snprintf(w->message, sizeof w->message, "%s", message);
    alk_loop_stop(w->client.loop);
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct way *w = (struct way *)ctx;
    (void)code;
    (void)reason;
    w->conn = NULL;
    if (why != ALK_OK && w->stats.rtt == 0) {
        w->err = why;
        (void)snprintf(w->message, sizeof w->message, "the connection was lost: %s",
                       alk_err_text(why));
    }
    alk_loop_stop(w->client.loop);
}

/* CLI_OK: w->err tells how it went. */
static int try_way(struct cli_doctor *d, const char *node, enum alk_transport transport,
                   struct way *w)
{
    static const struct alk_client_calls calls = {
        .opened = on_opened, .failed = on_failed, .closed = on_closed};

    *w = (struct way){.err = ALK_OK, .stats = {.struct_size = sizeof w->stats}};
    w->mtu_time = transport == ALK_TRANSPORT_QUIC ? MTU_TIME : 0;
    int rc = cli_client_open(d->cli, d->args, node, ALK_PING_ALPN, &w->client);
    if (rc == CLI_OK) {
        w->client.options.transports = (unsigned)transport;
        w->client.options.cache = NULL;
        w->client.options.key = NULL; /* the way is the question, not who we are */
        if (w->client.options.connect_timeout == 0) {
            w->client.options.connect_timeout = WAY_TIMEOUT;
        }
        alk_err err = cli_client_dial(&w->client, &calls, w);
        if (err == ALK_OK) {
            alk_loop_run(w->client.loop);
        } else {
            rc = cli_fail_err(d->cli, err, NULL);
        }
    }
    if (w->conn != NULL) {
        alk_conn_close(w->conn, ALK_CODE_NONE, alk_span_str(""));
        (void)alk_loop_run_once(w->client.loop, 0);
    }
    return rc;
}

static void report(struct cli_doctor *d, const struct way *w, const char *name)
{
    char rtt[32];
    if (w->err == ALK_OK) {
        alk_text_time(w->stats.rtt, rtt, sizeof rtt);
        (void)cli_found(d, CLI_WELL, name, "%s answers over %s%s%s", w->client.node.host_port, name,
                        w->stats.rtt != 0 ? ", round trip " : "", w->stats.rtt != 0 ? rtt : "");
        return;
    }
    struct cli_finding *f = cli_found(d, CLI_ILL, name, "%s", w->message);
    if (w->err == ALK_E_TIMEOUT || w->err == ALK_E_UNREACHABLE) {
        bool is_udp = strcmp(name, "UDP") == 0;
        cli_repair(f, "sudo ufw allow %u/%s    # on the node, and whatever firewall is before it",
                   (unsigned)w->client.node.port, is_udp ? "udp" : "tcp");
    }
}

static void report_mtu(struct cli_doctor *d, const struct way *w)
{
    if (w->err != ALK_OK || w->stats.path_mtu == 0) {
        return;
    }
    bool is_good = w->stats.path_mtu >= MTU_GOOD;
    struct cli_finding *f =
        cli_found(d, is_good ? CLI_WELL : CLI_WEAK, "packets",
                  "datagrams of %u bytes come through%s", (unsigned)w->stats.path_mtu,
                  is_good ? "" : "; a tunnel or VPN on the way makes them smaller than usual");
    if (!is_good) {
        cli_repair(f, "ip route get %s    # then look at the MTU of that device",
                   w->client.node.host);
    }
}

void cli_doctor_reach(struct cli_doctor *d, const char *node)
{
    struct way udp, tcp;

    if (d->cli->err_is_tty) {
        (void)fprintf(d->cli->err, "looking at the way to %s ...", node);
    }
    int rc = try_way(d, node, ALK_TRANSPORT_QUIC, &udp);
    if (rc == CLI_OK) {
        report(d, &udp, "UDP");
        report_mtu(d, &udp);
    }
    bool is_udp_up = rc == CLI_OK && udp.err == ALK_OK;
    alk_err udp_err = udp.err;
    cli_client_close(&udp.client);
    if (rc != CLI_OK) {
        d->status = rc;
        return;
    }
    rc = try_way(d, node, ALK_TRANSPORT_TLS, &tcp);
    if (d->cli->err_is_tty) {
        (void)fprintf(d->cli->err, "\r\033[K");
    }
    if (rc == CLI_OK) {
        report(d, &tcp, "TCP");
    }
    bool is_tcp_up = rc == CLI_OK && tcp.err == ALK_OK;
    cli_client_close(&tcp.client);
    if (!is_udp_up && !is_tcp_up) {
        d->status = rc != CLI_OK ? rc : cli_status_of(udp_err);
    }
}
