/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/peer_ends.h"

static alk_err server_open(void *service, struct alk_conn *conn,
                           const struct alk_auth_context *auth, void **ret_state)
{
    struct peer_ends *w = (struct peer_ends *)service;
    (void)auth;
    alk_peer_attach(w->server, conn, true);
    *ret_state = w;
    return ALK_OK;
}

static alk_err client_open(void *service, struct alk_conn *conn,
                           const struct alk_auth_context *auth, void **ret_state)
{
    struct peer_ends *w = (struct peer_ends *)service;
    (void)auth;
    alk_peer_attach(w->client, conn, false);
    *ret_state = w;
    return ALK_OK;
}

static alk_err server_stream(void *state, struct alk_stream *stream)
{
    return alk_peer_on_stream(((struct peer_ends *)state)->server, stream);
}

static alk_err client_stream(void *state, struct alk_stream *stream)
{
    return alk_peer_on_stream(((struct peer_ends *)state)->client, stream);
}

static void server_credit(void *state)
{
    alk_peer_on_credit(((struct peer_ends *)state)->server);
}

static void client_credit(void *state)
{
    alk_peer_on_credit(((struct peer_ends *)state)->client);
}

static void server_drain(void *state, alk_time deadline)
{
    (void)deadline;
    alk_peer_drain(((struct peer_ends *)state)->server);
}

static void end(struct alk_peer **peer)
{
    struct alk_peer *p = *peer;
    *peer = NULL;
    alk_peer_end(p);
}

static void server_close(void *state, alk_err why, uint64_t code)
{
    struct peer_ends *w = (struct peer_ends *)state;
    (void)why;
    w->server_closed = true;
    w->code = w->code == 0 ? code : w->code;
    end(&w->server);
}

static void client_close(void *state, alk_err why, uint64_t code)
{
    struct peer_ends *w = (struct peer_ends *)state;
    (void)why;
    w->client_closed = true;
    w->code = w->code == 0 ? code : w->code;
    end(&w->client);
}

const struct alk_handler peer_server_end = {.struct_size = sizeof peer_server_end,
                                            .abi = ALK_HANDLER_ABI,
                                            .name = "server",
                                            .open = server_open,
                                            .stream = server_stream,
                                            .credit = server_credit,
                                            .drain = server_drain,
                                            .close = server_close};
const struct alk_handler peer_client_end = {.struct_size = sizeof peer_client_end,
                                            .abi = ALK_HANDLER_ABI,
                                            .name = "client",
                                            .open = client_open,
                                            .stream = client_stream,
                                            .credit = client_credit,
                                            .close = client_close};
