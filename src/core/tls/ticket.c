/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Client tickets as they are kept between connections. */
#include "base/text.h"
#include "base/wire.h"
#include "core/tls/internal.h"

enum { TICKET_VERSION = 1 };

alk_err alk_tls_ticket_read(struct alk_span blob, struct alk_tls_ticket *ret)
{
    struct alk_rd r = alk_rd(blob);
    uint8_t version = alk_rd_u8(&r);
    uint8_t transport = alk_rd_u8(&r);
    uint8_t rule = alk_rd_u8(&r);
    uint8_t kind = alk_rd_u8(&r);
    uint8_t has_early = alk_rd_u8(&r);
    uint8_t roots[32];
    alk_rd_bytes(&r, roots, sizeof roots);
    struct alk_span alpn = alk_rd_block8(&r);
    struct alk_span name = alk_rd_block8(&r);
    struct alk_span server_key = alk_rd_block8(&r);
    struct alk_span data = alk_rd_block16(&r, UINT16_MAX);
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || version != TICKET_VERSION ||
        (transport != ALK_TRANSPORT_QUIC && transport != ALK_TRANSPORT_TLS) ||
        rule == ALK_TLS_RULE_NONE || rule >= ALK_TLS_RULE_COUNT || kind > ALK_CERT_X509 ||
        has_early > 1 || data.n == 0) {
        return ALK_E_MALFORMED;
    }
    *ret = (struct alk_tls_ticket){.transport = (enum alk_transport)transport,
                                   .rule = (enum alk_tls_rule)rule,
                                   .kind = (enum alk_cert_kind)kind,
                                   .has_early = has_early == 1,
                                   .alpn = alpn,
                                   .name = name,
                                   .server_key = server_key,
                                   .data = data};
    memcpy(ret->roots, roots, sizeof ret->roots);
    return ALK_OK;
}

alk_err alk_tls_ticket_write(const struct alk_tls_ticket *t, struct alk_buf *ret)
{
    struct alk_wr w = alk_wr_buf(ret);
    alk_wr_u8(&w, TICKET_VERSION);
    alk_wr_u8(&w, (uint8_t)t->transport);
    alk_wr_u8(&w, (uint8_t)t->rule);
    alk_wr_u8(&w, (uint8_t)t->kind);
    alk_wr_u8(&w, t->has_early ? 1 : 0);
    alk_wr_bytes(&w, alk_span(t->roots, sizeof t->roots));
    alk_wr_block8(&w, t->alpn);
    alk_wr_block8(&w, t->name);
    alk_wr_block8(&w, t->server_key);
    alk_wr_block16(&w, t->data);
    return w.err;
}

static bool offers(const struct alk_dial_options *dial, struct alk_span alpn)
{
    for (size_t i = 0; dial->alpns[i] != NULL; i++) {
        if (alk_span_is(alpn, dial->alpns[i])) {
            return true;
        }
    }
    return false;
}

static bool is_pinned_key(const uint8_t key[static 32], struct alk_span text)
{
    char z32[ALK_Z32_SIZE(32)];
    return alk_z32(alk_span(key, 32), z32, sizeof z32) && alk_span_is(text, z32);
}

static bool is_pinned_cert(const uint8_t sha256[static 32], struct alk_span text)
{
    char hex[ALK_HEX_SIZE(32)];
    return alk_hex(alk_span(sha256, 32), hex, sizeof hex) &&
           alk_span_starts(text, ALK_LIT("cert:")) && alk_span_is(alk_span_tail(text, 5), hex);
}

bool alk_tls_ticket_fits(const struct alk_tls_session *s, const struct alk_tls_ticket *t)
{
    const struct alk_dial_options *dial = s->dial;
    if (t->transport != s->transport || !offers(dial, t->alpn)) {
        return false;
    }
    if (dial->pinned_key != NULL) {
        return t->kind == ALK_CERT_RAW_KEY && is_pinned_key(dial->pinned_key, t->server_key);
    }
    if (dial->pinned_cert != NULL) {
        return t->kind == ALK_CERT_X509 && is_pinned_cert(dial->pinned_cert, t->server_key);
    }
    /* Without a pin the name is what counts, and the rule must still be in force. A
     * chain is not verified again while its tickets live (6 hours at most). */
    if (!alk_span_is(t->name, alk_tls_target_name(dial))) {
        return false;
    }
    if (dial->is_insecure) {
        return true;
    }
    if (t->rule == ALK_TLS_RULE_CA) {
        return memcmp(t->roots, alk_tls_creds_roots(s->creds), sizeof t->roots) == 0; /* public */
    }
    char key[ALK_FINGERPRINT_MAX];
    return t->rule == ALK_TLS_RULE_TRUST && dial->trust != NULL &&
           alk_span_cstr(t->server_key, key, sizeof key) && alk_tls_ask_trust(dial, key);
}
