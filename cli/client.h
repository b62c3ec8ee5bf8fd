/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/client.h - reaching a node: whose key must it have, as whom do we come, and
 * what to tell when it does not work.
 *
 *     struct cli_client c;
 *     int rc = cli_client_open(cli, args, "home", "alknet/ping", &c);
 *     if (rc == CLI_OK) { cli_client_dial(&c, &calls, ctx, NULL); alk_loop_run(c.loop); }
 *     cli_client_close(&c);
 *
 * A node that shows another key than the pinned or remembered one is asked for its
 * statements of rotation (alknet/id); when they lead from the old key to the new
 * one, the dial goes on with that, and a remembered key is replaced.
 */
#ifndef ALK_CLI_CLIENT_H
#define ALK_CLI_CLIENT_H

#include "cli.h"
#include "home.h"
#include "node.h"

#include "base/list.h"
#include "core/auth/token.h"

struct cli_client {
    struct cli *cli;
    struct alk_loop *loop; /* owns */
    struct cli_home home;
    bool has_home;
    struct cli_node node;
    const char *alpns[2];
    struct alk_dial_options options; /* a command may change it before it dials */
    struct alk_key *key;             /* ours; NULL: none */
    struct alk_session_cache *cache;
    char token[ALK_TOKEN_SIZE]; /* ""; none. Wiped by close */
    bool is_remembered;         /* node.key or known.key is from known_nodes */
    struct alk_known_node known;
    uint8_t known_cert[32];
    char trusted[ALK_KNOWN_KEY_MAX]; /* accepted by --trust in this run */
    struct alk_list dials;           /* those under way and open */
};

/* Reads the options, finds the node, loads keys. Free with cli_client_close, also
 * after a failure. Returns a status, with the message written. alpn borrows until
 * close. */
int cli_client_open(struct cli *cli, const struct cli_args *args, const char *node,
                    const char *alpn, struct cli_client *ret);
void cli_client_close(struct cli_client *c);

/* As alk_dial, over what was opened; `failed` may come much later than the first
 * attempt's failure. No call comes after cli_client_close. */
ALK_NODISCARD alk_err cli_client_dial(struct cli_client *c, const struct alk_client_calls *calls,
                                      void *ctx);
/* Writes what went wrong, with both keys where a key changed, and returns the
 * exit status. */
int cli_client_failed(struct cli_client *c, alk_err err, const char *message);
/* The same for the end of a connection that had been open. */
int cli_client_closed(struct cli_client *c, alk_err why, uint64_t code, struct alk_span reason);

/* Tells somebody whom the node does not know how to become known. */
void cli_client_tell_key(struct cli_client *c);

/* Where the connection goes and over what: "quic", "tls". Static text. */
const char *cli_transport_name(enum alk_transport transport);

#endif
