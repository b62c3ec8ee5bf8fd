/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/peer_ends.h - both ends of a connection in memory as peers of the call
 * protocol: handlers for struct alk_mem_options, whose states are a struct peer_ends. */
#ifndef ALK_TEST_PEER_ENDS_H
#define ALK_TEST_PEER_ENDS_H

#include "call/peer.h"

/* Made before the connection; each is freed, and NULL, when its end has closed. */
struct peer_ends {
    struct alk_peer *server, *client;
    bool server_closed, client_closed;
    uint64_t code; /* that the connection was closed with */
};
extern const struct alk_handler peer_server_end, peer_client_end;

#endif
