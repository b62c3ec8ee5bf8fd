/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/client_dial.h - inside of cli/client.h: one dial with all that may go on
 * around it (progress, a key to be remembered, a rotation to be followed).
 */
#ifndef ALK_CLI_CLIENT_DIAL_H
#define ALK_CLI_CLIENT_DIAL_H

#include "base/buf.h"
#include "client.h"

struct cli_dial {
    struct alk_link in; /* client->dials */
    struct cli_client *client;
    struct alk_client_calls calls; /* the command's */
    void *ctx;
    struct alk_dial *dial; /* until opened or failed */
    struct alk_timer progress;
    bool has_progress; /* a line is on the screen */
    bool is_mute;      /* the client is being closed */
    /* A rotation that is being asked for. */
    alk_err first_err;
    char first_message[512];
    char presented[ALK_KNOWN_KEY_MAX];
    struct alk_conn *asked;
    struct alk_stream *stream;
    struct alk_buf statements;
};

/* Cancels what is under way; nobody is called any more. Before the loop is freed. */
void cli_dials_mute(struct cli_client *c);
/* Frees what is left, after the loop was freed. */
void cli_dials_free(struct cli_client *c);
/* Starts (again) with the client's options. */
ALK_NODISCARD alk_err cli_dial_start(struct cli_dial *d);
/* Tells the command that it failed, and frees. */
void cli_dial_fail(struct cli_dial *d, alk_err err, const char *message);
/* Asks the node why its key changed. False: it cannot be asked. */
bool cli_rotation_ask(struct cli_dial *d);

#endif
