/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/caller.h - a node reached for calls: what call, subscribe, publish, ops, worker,
 * join and status NODE share.
 *
 *     struct cli_caller c;
 *     int rc = cli_caller_open(cli, args, "home", NULL, &c);
 *     if (rc == CLI_OK) { rc = cli_caller_ask(&c, &ask, &answer); }
 *     cli_caller_close(&c);
 *
 * Waiting runs the loop; INT, TERM and HUP end it.
 */
#ifndef ALK_CLI_CALLER_H
#define ALK_CLI_CALLER_H

#include "alknet/call.h"
#include "base/buf.h"
#include "client.h"
#include "signals.h"

struct cli_caller {
    struct cli *cli;
    const char *name;              /* of the node, as it was given; borrows */
    struct alk_conn_handle conn;   /* once open */
    alk_time dialed_at, opened_at; /* of the clock: how long the way there took */
    bool may_be_absent, is_absent; /* see cli_caller_try */
    struct cli_client client;
    struct alk_peer *peer;
    struct alk_ops *ops; /* borrows: what we serve; NULL: nothing */
    struct cli_signals signals;
    int signal; /* that ended it; 0: none */
    bool is_open, is_over;
    int status; /* once is_over */
};

/* Finds the node, dials alknet/call and waits until it is open. Returns a status, with
 * the message written. Close it in any case. */
int cli_caller_open(struct cli *cli, const struct cli_args *args, const char *node,
                    struct alk_ops *ops, struct cli_caller *ret);
/* The same; but that the node has no call service is no failure: then *ret_is_absent is
 * true, nothing was written, and the status is CLI_OK. Close it in any case. */
int cli_caller_try(struct cli *cli, const struct cli_args *args, const char *node,
                   struct cli_caller *ret, bool *ret_is_absent);
/* The connection; NULL: it has ended. */
struct alk_conn *cli_caller_conn(const struct cli_caller *c);
/* After a signal the process ends by that signal. */
void cli_caller_close(struct cli_caller *c);
/* Runs the loop until *is_done, the connection's end or a signal. Returns CLI_OK, or the
 * status with the message written. */
int cli_caller_wait(struct cli_caller *c, const bool *is_done);
/* Runs the loop until an answer is over or somebody stops it. CLI_OK, or the status as
 * above. */
int cli_caller_turn(struct cli_caller *c);

/* What came of one call. Zero-initialise; free with cli_answer_fini. */
struct cli_answer {
    struct cli_caller *caller;
    struct alk_call *call;
    /* Each answer of a subscription, and the one of a call; NULL: kept in `output`. */
    void (*each)(void *ctx, struct alk_span output);
    void *ctx;
    struct alk_buf output; /* the last answer */
    bool is_over;
    bool is_enough;                 /* `each` sets it: nothing more is wanted */
    char code[ALK_OP_CODE_MAX + 1]; /* "": success */
    char message[512];              /* safe for a terminal */
    struct alk_buf details;
};
void cli_answer_fini(struct cli_answer *answer);
/* Starts a call; the answer stays where it is until it is over. */
ALK_NODISCARD alk_err cli_caller_start(struct cli_caller *c, const struct alk_ask *ask,
                                       struct cli_answer *answer);
/* Starts it and waits until it is over or enough. CLI_OK: it was answered, with success or
 * not: see code. */
int cli_caller_ask(struct cli_caller *c, const struct alk_ask *ask, struct cli_answer *answer);
/* The same for services/schema of one operation. */
int cli_caller_schema(struct cli_caller *c, const char *op, struct cli_answer *answer);
/* What that takes, {"name": op}, into *ret, which is made here and is the caller's. */
void cli_schema_input(struct alk_buf *ret, const char *op);
/* Tells what the node answered, with the places of an INVALID_INPUT and what to do next
 * (cli/caller_tell.c); may ask the node for that. Returns the exit status for its code,
 * CLI_OK for success. */
int cli_caller_tell(struct cli_caller *c, const char *op, const struct cli_answer *answer);
/* All operations of the node, for hints and completion: what goes wrong on the way is not
 * told. *ret_doc, the caller's to free: {"operations": [{"name", ...}]}. */
int cli_caller_operations(struct cli_caller *c, struct yyjson_doc **ret_doc);
/* Argument 1, the name of an operation. The slash before it that the wire has is taken
 * off. */
const char *cli_operation(const struct cli_args *args);
/* Asks and tells; the output parsed. *ret_doc is the caller's to free. */
int cli_caller_get(struct cli_caller *c, const char *op, struct alk_span input,
                   struct yyjson_doc **ret_doc);
/* The same; what goes wrong is told of `about`, not of op. */
int cli_caller_get_of(struct cli_caller *c, const char *op, const char *about,
                      struct alk_span input, struct yyjson_doc **ret_doc);

#endif
