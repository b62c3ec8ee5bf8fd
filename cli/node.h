/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/node.h - what NODE on the command line means. Pure. */
#ifndef ALK_CLI_NODE_H
#define ALK_CLI_NODE_H

#include "base/err.h"
#include "base/span.h"
#include "core/store/known_nodes.h"

#define CLI_PORT     4433
#define CLI_NODE_MAX 600 /* bytes of an address */

struct cli_node {
    char host[256]; /* lower case, without brackets */
    uint16_t port;
    bool has_key;
    uint8_t key[32];
    char path[256];                     /* behind the port, with its slash; or "" */
    char host_port[ALK_KNOWN_HOST_MAX]; /* "host:port", "[v6]:port" */
    bool is_name; /* a name to be looked up: it is in host, the rest is empty */
};

/* Reads `alknet://[key@]host[:port][/path]`, `host:port`, or a name (no dot, no
 * colon). A host with a dot may go without port. ALK_E_INVALID with one sentence
 * in why; a bare key is one: finding nodes by key alone is for later. */
ALK_NODISCARD alk_err cli_node_parse(const char *text, struct cli_node *ret, char *why,
                                     size_t why_size);

/* "alknet://KEY@HOST:PORT"; key NULL: without. host_port as above. */
void cli_node_print(const char *key, const char *host_port, char *ret, size_t ret_size);

#endif
