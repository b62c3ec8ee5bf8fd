/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/proxy2.h"

#include "core/addr.h"

/* [proxy-protocol §2.2] version 2, command PROXY */
#define VERSION_PROXY 0x21
#define UNSPEC 0x00
#define TCP4 0x11
#define TCP6 0x21

/* [proxy-protocol §2.2.] PP2_TYPE_ */
enum { TYPE_ALPN = 0x01, TYPE_AUTHORITY = 0x02, TYPE_UNIQUE_ID = 0x05, TYPE_SSL = 0x20 };
enum { SSL_VERSION = 0x21 };
enum { CLIENT_SSL = 0x01, CLIENT_CERT_CONN = 0x02 };

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static void put_tlv(struct alk_wr *w, uint8_t type, const char *text)
{
    if (text[0] != '\0') {
        alk_wr_u8(w, type);
        alk_wr_block16(w, alk_span_str(text));
    }
}

/* Every connection of ours is TLS 1.3. `verify` is 0 only for a peer whose key is
 * known: that is what a certificate check means to the receiver. */
static void put_ssl(struct alk_wr *w, const struct alk_auth_context *auth)
{
    alk_wr_u8(w, TYPE_SSL);
    size_t length = alk_wr_hole(w, 2);
    alk_wr_u8(w, auth->cert_kind == ALK_CERT_NONE ? CLIENT_SSL : CLIENT_SSL | CLIENT_CERT_CONN);
    alk_wr_u32(w, auth->identity == NULL);
    put_tlv(w, SSL_VERSION, "TLSv1.3");
    alk_wr_fill(w, length, 2);
}

static uint8_t put_addresses(struct alk_wr *w, const struct alk_auth_context *auth)
{
    struct alk_addr from, to;
    if (alk_addr_parse(alk_span_str(auth->remote), &from) != ALK_OK ||
        alk_addr_parse(alk_span_str(auth->local), &to) != ALK_OK) {
        return UNSPEC;
    }
    from = alk_addr_unmap(&from);
    to = alk_addr_unmap(&to);
    if (from.family != to.family) {
        return UNSPEC;
    }
    size_t n = from.family == 4 ? 4 : 16;
    alk_wr_bytes(w, alk_span(from.ip, n));
    alk_wr_bytes(w, alk_span(to.ip, n));
    alk_wr_u16(w, from.port);
    alk_wr_u16(w, to.port);
    return from.family == 4 ? TCP4 : TCP6;
}

alk_err alk_proxy2_write(struct alk_wr *w, const struct alk_auth_context *auth)
{
    uint8_t body[ALK_PROXY2_MAX];
    struct alk_wr b = alk_wr(body, sizeof body);
    uint8_t family = put_addresses(&b, auth);
    put_tlv(&b, TYPE_ALPN, auth->alpn);
    put_tlv(&b, TYPE_AUTHORITY, auth->sni);
    put_tlv(&b, TYPE_UNIQUE_ID, auth->log_id);
    put_ssl(&b, auth);
    ALK_TRY(b.err);
    alk_wr_bytes(w, alk_span(signature, sizeof signature));
    alk_wr_u8(w, VERSION_PROXY);
    alk_wr_u8(w, family);
    alk_wr_block16(w, alk_wr_span(&b));
    return w->err;
}
