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

/* version, key, addresses, advertise, certificate; with_process: pid as well. */
void alk_node_put_info(struct alk_out *out, struct alk_endpoint *ep, bool with_process);
/* protocols: wire versions of the services' own ALPNs. */
void alk_node_put_protocols(struct alk_out *out, struct alk_endpoint *ep);
/* All of `alknet status` but info. */
void alk_node_put_status(struct alk_out *out, struct alk_endpoint *ep,
                         const struct alk_endpoint_status *st);
/* connections, at most ALK_STATUS_CONNS_MAX of them, and how many there are beside as
 * `more` (absent: none). */
void alk_node_put_connections(struct alk_out *out, const struct alk_endpoint_status *st);
/* text: Prometheus; ops NULL: without operations. ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_node_put_metrics(struct alk_out *out, struct alk_endpoint *ep,
                                           struct alk_ops *ops,
                                           const struct alk_endpoint_status *st);

/* SHA-256 of the node's X.509 certificate as 64 hex digits. False: there is none. */
bool alk_node_certificate_hex(const struct alk_endpoint *ep, char ret[static 65],
                              uint64_t *ret_not_after);

#endif
