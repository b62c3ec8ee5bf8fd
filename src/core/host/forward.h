/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/forward.h - the generic service `forward`: each stream is connected
 * to a local service.
 *
 *     - {alpn: xmpp-client, forward: "unix:/run/xmpp.sock"}
 *     - {alpn: redis, forward: "tcp:127.0.0.1:6379", proxy_protocol: true}
 *
 * The target comes from the configuration alone. Directions end separately, both
 * ways. A target that cannot be reached resets the stream with code 1 and is
 * logged once per minute with a count; one that does not answer within
 * `connect_timeout` resets it with code 11. With proxy_protocol a PROXY v2 header goes first:
 * addresses, ALPN, server name, and the connection's log id as unique id.
 * Settings: alk_config_forward_rows.
 */
#ifndef ALK_CORE_HOST_FORWARD_H
#define ALK_CORE_HOST_FORWARD_H

#include "alknet/handler.h"

extern const struct alk_handler alk_forward_handler; /* name "forward" */

#endif
