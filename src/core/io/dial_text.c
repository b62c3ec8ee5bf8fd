/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/dial.h"

#include "base/text.h"

#include <stdio.h>

/* The later in the table, the closer the attempt came to its goal. */
static int weight(alk_err err)
{
    static const alk_err order[] = {
        ALK_OK,       ALK_E_CLOSED,    ALK_E_TIMEOUT, ALK_E_UNREACHABLE, ALK_E_RESET,
        ALK_E_LIMIT,  ALK_E_VERSION,   ALK_E_TLS,     ALK_E_NO_ALPN,     ALK_E_AUTH,
        ALK_E_FORBIDDEN, ALK_E_CRYPTO, ALK_E_UNTRUSTED, ALK_E_EXPIRED, ALK_E_KEY_CHANGED};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (order[i] == err) {
            return (int)i;
        }
    }
    return 1;
}

bool alk_dial_explains_more(alk_err a, alk_err b)
{
    return weight(a) > weight(b);
}

static const char *transports_of(const struct alk_dial *d)
{
    switch (d->o.transports & (ALK_TRANSPORT_QUIC | ALK_TRANSPORT_TLS)) {
    case ALK_TRANSPORT_QUIC:
        return "UDP";
    case ALK_TRANSPORT_TLS:
        return "TCP";
    default:
        return "UDP and TCP";
    }
}

static void explain_alpn(const struct alk_dial *d, const char *node, char *ret, size_t n)
{
    (void)snprintf(ret, n,
                   "%s does not serve '%s' on %s: 'alknet status' there lists its services, and a "
                   "service may be limited to one transport",
                   node, d->o.alpns[0], transports_of(d));
}

static void explain_silence(const struct alk_dial *d, const char *node, char *ret, size_t n)
{
    char time[24];
    alk_text_time(d->o.connect_timeout, time, sizeof time);
    (void)snprintf(ret, n,
                   "no answer from %s within %s: check that the node runs and that firewalls let "
                   "%s port %u through",
                   node, time, transports_of(d), (unsigned)d->o.port);
}

void alk_dial_explain(const struct alk_dial *d, alk_err err, char *ret, size_t ret_size)
{
    char node[ALK_SNI_MAX + 16];
    const char *why = d->why[0] != '\0' && (err == d->err || d->err == ALK_OK) ? d->why : NULL;
    (void)snprintf(node, sizeof node, strchr(d->o.host, ':') != NULL ? "[%s]:%u" : "%s:%u",
                   d->o.host, (unsigned)d->o.port);
    switch ((int)err) {
    case ALK_E_NO_ALPN:
        explain_alpn(d, node, ret, ret_size);
        return;
    case ALK_E_TIMEOUT:
        explain_silence(d, node, ret, ret_size);
        return;
    case ALK_E_UNREACHABLE:
        (void)snprintf(ret, ret_size,
                       "nobody listens on %s (%s): check address and port, and that the node runs",
                       node, transports_of(d));
        return;
    case ALK_E_NOENT:
        (void)snprintf(ret, ret_size,
                       "the name '%s' has no address: check its spelling and the "
                       "resolver of this machine",
                       d->o.host);
        return;
    case ALK_E_AUTH:
        (void)snprintf(ret, ret_size,
                       "%s does not know this client's key: have it added there with 'alknet peer "
                       "add', or use a token",
                       node);
        return;
    case ALK_E_FORBIDDEN:
        (void)snprintf(ret, ret_size,
                       "%s lets nobody in from this address for a while: too many logins from it "
                       "have failed",
                       node);
        return;
    default:
        (void)snprintf(ret, ret_size, "%s: %s", node, why != NULL ? why : alk_err_text(err));
        return;
    }
}
