/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/node_build.h - what a node says of itself, as JSON: the one piece behind the
 * operations node/... and those of the admin socket.
 *
 * Members are written into an object that is open in *out. On the endpoint's first
 * loop.
 */
#ifndef ALK_OPS_NODE_BUILD_H
#define ALK_OPS_NODE_BUILD_H

#include "alknet/ops.h"
#include "core/endpoint.h"

struct yyjson_val;

/* version, key, addresses, advertise, certificate; with_process: pid as well. */
void alk_node_put_info(struct alk_out *out, struct alk_endpoint *ep, bool with_process);
/* protocols: wire versions of the services' own ALPNs. */
void alk_node_put_protocols(struct alk_out *out, struct alk_endpoint *ep);
/* All of `alknet status` but info. */
void alk_node_put_status(struct alk_out *out, struct alk_endpoint *ep,
                         const struct alk_endpoint_status *st);
/* Which part of the connections is asked for. */
struct alk_node_page {
    struct alk_status_from from;
    size_t limit; /* 1 to ALK_STATUS_CONNS_MAX */
};
/* Reads {cursor?, limit?}; input NULL: the first page. False: it is something else. */
bool alk_node_read_page(struct yyjson_val *input, struct alk_node_page *ret);
/* connections, at most `limit` of them; when there are others beside, how many as `more`,
 * and the next page's cursor as `next`. */
void alk_node_put_connections(struct alk_out *out, const struct alk_endpoint_status *st,
                              size_t limit);
/* text: Prometheus; ops NULL: without operations. ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_node_put_metrics(struct alk_out *out, struct alk_endpoint *ep,
                                           struct alk_ops *ops,
                                           const struct alk_endpoint_status *st);

/* SHA-256 of the node's X.509 certificate as 64 hex digits. False: there is none. */
bool alk_node_certificate_hex(const struct alk_endpoint *ep, char ret[static 65],
                              uint64_t *ret_not_after);

#endif
