/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/addr.h - an IP address with port, without the system's sockaddr.
 *
 * Pure: parsing and printing only. IPv4-mapped IPv6 addresses are turned into
 * IPv4 by alk_addr_unmap so that limits and logs name a peer one way.
 */
#ifndef ALK_CORE_ADDR_H
#define ALK_CORE_ADDR_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/span.h"

struct alk_addr {
    uint8_t family; /* 4, 6, or 0: none */
    uint8_t ip[16]; /* network order; IPv4 in the first four bytes */
    uint16_t port;  /* host order */
    uint32_t scope; /* IPv6 zone, else 0 */
};

/* "192.0.2.1:4433", "[::1]:4433", "[fe80::1%2]:4433"; numeric zones only.
 * ALK_E_MALFORMED. */
ALK_NODISCARD alk_err alk_addr_parse(struct alk_span text, struct alk_addr *ret);
/* dst_size >= ALK_ADDR_TEXT_MAX always fits. with_port false: the bare IP. */
void alk_addr_print(const struct alk_addr *a, bool with_port, char *dst, size_t dst_size);
bool alk_addr_equal(const struct alk_addr *a, const struct alk_addr *b);
struct alk_addr alk_addr_unmap(const struct alk_addr *a);
bool alk_addr_is_loopback(const struct alk_addr *a);
/* The key under which limits count an address: IPv4 whole, IPv6 its /64.
 * Writes 1..17 bytes, returns how many. */
size_t alk_addr_limit_key(const struct alk_addr *a, uint8_t ret[static 17]);

#endif
