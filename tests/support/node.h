/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/node.h - a real endpoint and real clients on loopback, in one process.
 *
 * The endpoint's first loop and the client's loop are both driven by node_until on
 * the test's thread; further loops have threads of their own. Waiting is always
 * for a condition, with a limit that only a broken test reaches.
 *
 * Services of every test node: "test/echo" (returns what it gets, per stream, and
 * finishes when the peer does; public), "test/private" (the same, needs an
 * identity), and whatever the test adds.
 */
#ifndef ALK_TEST_NODE_H
#define ALK_TEST_NODE_H

#include "support/check.h"

#include "alknet/alknet.h"

#define NODE_LIMIT_S 30

struct node {
    struct alk_endpoint *ep;
    struct alk_loop *client;     /* for dials */
    char dir[64];                /* temporary; data_dir is dir/data */
    char config[96];             /* dir/alknet.yaml */
    unsigned loops;              /* 0: 1 */
    const char *extra_listen[3]; /* instead of 127.0.0.1:0 */
    bool listen_from_config;
    const char *keylog_file, *qlog_dir;
    bool is_stopped;    /* the endpoint's first loop has ended */
    struct alk_buf log; /* lines of the node, from every thread */
};

/* Makes the directory and writes the configuration; does not start. */
void node_init(struct node *n, const char *yaml);
/* Starts with the two services above and `handlers` (NULL-terminated, may be NULL).
 * The result is that of new or start; *ret_message (malloc'd) may be NULL. */
alk_err node_try_start(struct node *n, const struct alk_handler *const *handlers,
                       char **ret_message);
void node_start(struct node *n, const struct alk_handler *const *handlers);
/* Replaces the configuration file by rename. */
void node_write_config(struct node *n, const char *yaml);
/* Stops in order when it runs, frees everything, removes the directory. */
void node_fini(struct node *n);
/* Whether a line of the log so far holds the text. */
bool node_logged(struct node *n, const char *text);
uint16_t node_port(const struct node *n);

typedef bool node_cond(void *ctx);
/* Drives both loops until cond(ctx); fails the test when it takes too long. */
void node_until(struct node *n, node_cond *cond, void *ctx);
/* One turn of each loop, waiting at most wait_ms. */
void node_turn(struct node *n, int wait_ms);

/* --- a client connection that keeps what it hears ------------------------- */

struct client {
    struct node *node;
    struct alk_dial *dial;
    struct alk_conn *conn; /* NULL before opened and after closed */
    unsigned opens; /* more than one: the first was early */
    bool is_failed, is_closed, was_early, was_rejected;
    alk_err err; /* of failed or closed */
    uint64_t code;
    char message[600]; /* of failed; the reason of closed */
    /* The stream of client_send. */
    struct alk_stream *stream;
    struct alk_span rest; /* of what is to be written */
    bool is_finishing;
    size_t sent, received;
    uint8_t first[64]; /* of what came */
    bool has_end, has_reset, stream_gone;
    uint64_t reset_code;
};

/* Options with host 127.0.0.1, the node's port and key, and one ALPN. */
struct alk_dial_options client_options(const struct node *n, const char *const *alpns);
const struct alk_client_calls *client_calls(void);
/* Starts a dial; nothing is waited for. */
void client_dial(struct client *c, struct node *n, const struct alk_dial_options *options);
/* Dials ALPN with the node's key pinned and waits until it is open or failed. */
void client_open(struct client *c, struct node *n, const char *alpn, unsigned transports,
                 const struct alk_key *key);
/* Opens a stream, writes all of data (borrowed until it is over), finishes. */
void client_send(struct client *c, struct alk_span data, bool finish);
/* The same, but it may fail. */
alk_err client_try_send(struct client *c, struct alk_span data, bool finish);
/* client_send, waits for the peer's end, and checks that as much came back. */
void client_echo(struct client *c, struct alk_span data);
/* Closes and waits until it is closed. */
void client_close(struct client *c);
void client_wait_closed(struct client *c);

extern const struct alk_handler node_echo_handler, node_private_handler;

#endif
