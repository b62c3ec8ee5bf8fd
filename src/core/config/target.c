/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Addresses to listen on and targets to forward to. */
#include "core/config/node.h"

#include <stdarg.h>
#include <stdio.h>

ALK_PRINTF(3, 4)
static alk_err refuse(char *why, size_t why_size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, why_size, fmt, args);
    va_end(args);
    return ALK_E_CONFIG;
}

alk_err alk_config_addr_parse(struct alk_span text, struct alk_addr *ret, char *why,
                              size_t why_size)
{
    struct alk_addr addr;
    if (alk_addr_parse(text, &addr) == ALK_OK) {
        *ret = addr;
        return ALK_OK;
    }
    size_t colon = alk_span_find(text, ':');
    if (colon == text.n) {
        return refuse(why, why_size, "the port is missing: write address:port");
    }
    if (colon == 0) {
        return refuse(why, why_size, "the address is missing: 0.0.0.0 and [::] mean all of them");
    }
    if (text.p[0] != '[' &&
        alk_span_find(alk_span_tail(text, colon + 1), ':') < text.n - colon - 1) {
        return refuse(why, why_size, "an IPv6 address is written [address]:port");
    }
    return refuse(why, why_size,
                  "this is not an IP address with a port in 0..65535 (names are not "
                  "looked up here)");
}

static alk_err parse_unix(struct alk_span path, struct alk_config_forward *ret, char *why,
                          size_t why_size)
{
    if (path.n == 0 || path.p[0] != '/') {
        return refuse(why, why_size, "the path of a unix socket must be absolute");
    }
    if (!alk_span_cstr(path, ret->path, sizeof(ret->path))) {
        return refuse(why, why_size, "the path of a unix socket must have at most %zu bytes",
                      sizeof(ret->path) - 1);
    }
    ret->kind = ALK_CONFIG_FORWARD_UNIX;
    return ALK_OK;
}

alk_err alk_config_forward_parse(struct alk_span text, struct alk_config_forward *ret, char *why,
                                 size_t why_size)
{
    struct alk_config_forward forward = {.kind = ALK_CONFIG_FORWARD_TCP};
    if (alk_span_starts(text, ALK_LIT("unix:"))) {
        ALK_TRY(parse_unix(alk_span_tail(text, 5), &forward, why, why_size));
    } else if (alk_span_starts(text, ALK_LIT("tcp:"))) {
        ALK_TRY(alk_config_addr_parse(alk_span_tail(text, 4), &forward.addr, why, why_size));
        if (forward.addr.port == 0) {
            return refuse(why, why_size, "the port must be 1..65535");
        }
    } else {
        return refuse(why, why_size, "forward must be unix:/path or tcp:address:port");
    }
    *ret = forward;
    return ALK_OK;
}
