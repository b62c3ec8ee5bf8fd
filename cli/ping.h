/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/ping.h - inside of `alknet ping`: what is counted and told, whichever way the node
 * is asked: by the operation node/ping (ping.c) or by alknet/ping (ping_probe.c).
 */
#ifndef ALK_CLI_PING_H
#define ALK_CLI_PING_H

#include "cli.h"
#include "node.h"

struct cli_ping {
    struct cli *cli;
    const struct cli_args *args;
    uint64_t count;
    alk_time interval, patience;
    /* What came of it. */
    const char *via; /* "node/ping", "alknet/ping" */
    char host_port[sizeof((struct cli_node *)0)->host_port];
    const char *transport; /* "none": there was no connection at the end */
    bool is_ready, is_early, is_resumed;
    alk_time ready_after;
    uint64_t sent, got;
    alk_time min, max, sum;
    struct alk_conn_stats stats;
    struct yyjson_mut_doc *doc; /* of the answer with --json */
    struct yyjson_mut_val *times;
};

/* The node has answered for the first time, so long after we began to dial. */
void cli_ping_ready(struct cli_ping *p, const struct alk_conn *conn, alk_time after);
/* One that was sent (p->sent counts it) was answered, or was not in time. */
void cli_ping_answered(struct cli_ping *p, alk_time rtt);
void cli_ping_missed(struct cli_ping *p);
/* The connection at the end; NULL: it is gone. */
void cli_ping_look(struct cli_ping *p, const struct alk_conn *conn);

/* Asks alknet/ping, early where a session is remembered. Returns the status, with the
 * message written. */
int cli_ping_probe(struct cli_ping *p);

#endif
