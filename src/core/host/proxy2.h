/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/proxy2.h - the PROXY protocol, version 2: a header in front of a
 * forwarded stream that tells who the peer is. Pure.
 * [https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt §2.2] */
#ifndef ALK_CORE_HOST_PROXY2_H
#define ALK_CORE_HOST_PROXY2_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/wire.h"

#define ALK_PROXY2_MAX 536 /* what a receiver must be able to take in one piece */

/* Addresses, ALPN, server name, unique id (the connection's log id) and TLS with
 * its version; of an unknown address: UNSPEC. Always fits ALK_PROXY2_MAX. */
ALK_NODISCARD alk_err alk_proxy2_write(struct alk_wr *w, const struct alk_auth_context *auth);

#endif
