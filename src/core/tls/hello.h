/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/hello.h - what we read of a ClientHello: versions, ALPN list, SNI.
 *
 * GnuTLS holds at most 8 ALPN names and accepts a client that sends none, so the
 * choice is ours, made before GnuTLS reads the message. Pure parsing.
 */
#ifndef ALK_CORE_TLS_HELLO_H
#define ALK_CORE_TLS_HELLO_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/wire.h"

struct alk_tls_hello {
    bool has_tls13; /* offered in supported_versions */
    bool has_alpn;
    struct alk_span alpns;     /* list of names behind 1-byte lengths; borrows from the input */
    char sni[ALK_SNI_MAX + 1]; /* lower case; "": none, an address, or no host name */
};

/* body: the handshake message without its 4-byte header [RFC 8446 §4.1.2].
 * ALK_E_MALFORMED: lengths that do not fit, an empty name, or one of our
 * extensions twice. A server name with characters no host has counts as none. */
ALK_NODISCARD alk_err alk_tls_hello_parse(struct alk_span body, struct alk_tls_hello *ret);

/* Steps through the list: *at starts as alk_rd(hello.alpns); false at the end. */
bool alk_tls_hello_next(struct alk_rd *at, struct alk_span *ret_name);

/* Whether a TLS name pattern ("a.example", "*.example": one label) covers a name
 * in lower case. */
bool alk_tls_name_matches(const char *pattern, const char *name);

#endif
