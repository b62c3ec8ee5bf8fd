/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/memconn.h - two connections joined in memory: the fourth transport.
 *
 * For tests of handlers and for programs that talk to a service of their own
 * process. Streams, ends, resets, stops, datagrams, windows and closes behave as
 * over QUIC, without loss and without time. Both ends must be used from one
 * thread; they may have hubs of their own.
 *
 * Nothing moves by itself: alk_mem_pump carries what is queued, as far as the
 * windows allow. Alternate it with alk_hub_run until it says that nothing moved.
 */
#ifndef ALK_CORE_MEMCONN_H
#define ALK_CORE_MEMCONN_H

#include "core/conn.h"

struct alk_mem_options {
    struct alk_hub *client_hub, *server_hub; /* may be the same */
    size_t window;       /* bytes unconsumed per stream; 0: 64 KiB */
    unsigned streams;    /* open at once per side; 0: 100 */
    size_t datagram_max; /* 0: 1200; 1: no datagrams */
    /* Copied into the ends' auth contexts; may be NULL. */
    const struct alk_auth_context *client_auth, *server_auth;
    const struct alk_handler *client, *server;
    void *client_state, *server_state;  /* first argument of open */
    struct alk_service *service;        /* the server's; a reference is taken; may be NULL */
};

struct alk_mem_pair;
/* Both ends have finished their "handshake" and open on the next hub run. */
ALK_NODISCARD alk_err alk_mem_pair_new(const struct alk_mem_options *options,
                                       struct alk_mem_pair **ret);
struct alk_conn *alk_mem_client(struct alk_mem_pair *pair); /* NULL once it ended */
struct alk_conn *alk_mem_server(struct alk_mem_pair *pair);
/* True: something moved, so run the hubs again. */
bool alk_mem_pump(struct alk_mem_pair *pair);
/* Ends what is still open (hubs are run for the last calls) and frees. */
void alk_mem_pair_free(struct alk_mem_pair *pair);

#endif
