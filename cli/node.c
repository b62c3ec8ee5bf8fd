/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "node.h"

#include "base/text.h"
#include "core/auth/fingerprint.h"
#include "core/store/why.h"

#define SCHEME "alknet://"

static bool is_key(struct alk_span s)
{
    uint8_t key[32];
    return s.n == ALK_Z32_KEY && alk_key_from_address(s, key) == ALK_OK;
}

static bool host_is_valid(struct alk_span host, bool is_v6)
{
    if (host.n == 0) {
        return false;
    }
    for (size_t i = 0; i < host.n; i++) {
        uint8_t c = host.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        if (!is_plain && !(is_v6 && (c == ':' || c == '%'))) {
            return false;
        }
    }
    return true;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text = (char)(*text - 'A' + 'a');
        }
    }
}

/* host[:port] or [v6][:port] */
static alk_err parse_host(struct alk_span s, struct cli_node *ret, struct alk_why why)
{
    struct alk_span host, rest;
    uint64_t port = CLI_PORT;
    bool is_v6 = s.n > 0 && s.p[0] == '[';

    if (is_v6) {
        size_t close = alk_span_find(s, ']');
        if (close == s.n) {
            return alk_say(why, ALK_E_INVALID, "the bracket of the IPv6 address is not closed");
        }
        host = alk_span(s.p + 1, close - 1);
        rest = alk_span_tail(s, close + 1);
        if (rest.n > 0 && rest.p[0] != ':') {
            return alk_say(why, ALK_E_INVALID, "after ] comes :PORT");
        }
        rest = rest.n > 0 ? alk_span(rest.p + 1, rest.n - 1) : rest;
    } else {
        rest = s;
        host = alk_span_cut(&rest, ':');
        if (alk_span_find(rest, ':') < rest.n) {
            return alk_say(why, ALK_E_INVALID, "an IPv6 address needs brackets, as in [::1]:4433");
        }
    }
    bool has_port = host.n + (is_v6 ? 2u : 0u) < s.n;
    if (has_port && (!alk_span_u64(rest, 65535, &port) || port == 0)) {
        return alk_say(why, ALK_E_INVALID, "the port must be a number from 1 to 65535");
    }
    if (!host_is_valid(host, is_v6) || !alk_span_cstr(host, ret->host, sizeof ret->host)) {
        return alk_say(why, ALK_E_INVALID, "that is no host name or address");
    }
    lower(ret->host);
    ret->port = (uint16_t)port;
    (void)snprintf(ret->host_port, sizeof ret->host_port, is_v6 ? "[%s]:%u" : "%s:%u", ret->host,
                   (unsigned)ret->port);
    return ALK_OK;
}

static alk_err parse_url(struct alk_span s, struct cli_node *ret, struct alk_why why)
{
    size_t slash = alk_span_find(s, '/');
    struct alk_span authority = alk_span_head(s, slash);
    struct alk_span path = alk_span_tail(s, slash);
    size_t at = alk_span_find(authority, '@');

    if (!alk_span_cstr(path, ret->path, sizeof ret->path)) {
        return alk_say(why, ALK_E_INVALID, "the path is too long");
    }
    if (at < authority.n) {
        if (alk_key_from_address(alk_span_head(authority, at), ret->key) != ALK_OK) {
            return alk_say(why, ALK_E_INVALID,
                           "what stands before @ must be the node's key, 52 characters as "
                           "`alknet id` prints them");
        }
        ret->has_key = true;
        authority = alk_span(authority.p + at + 1, authority.n - at - 1);
    }
    if (is_key(authority)) {
        return alk_say(why, ALK_E_INVALID,
                       "finding a node by its key alone is not possible yet: write "
                       "alknet://KEY@HOST:PORT");
    }
    return parse_host(authority, ret, why);
}

alk_err cli_node_parse(const char *text, struct cli_node *ret, char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    struct alk_span s = alk_span_str(text);
    struct cli_node node = {.port = 0};

    if (s.n == 0 || s.n > CLI_NODE_MAX) {
        return alk_say(note, ALK_E_INVALID, "that is no address of a node");
    }
    if (alk_span_starts(s, ALK_LIT(SCHEME))) {
        ALK_TRY(parse_url(alk_span_tail(s, strlen(SCHEME)), &node, note));
    } else if (is_key(s)) {
        return alk_say(note, ALK_E_INVALID,
                       "finding a node by its key alone is not possible yet: write "
                       "alknet://KEY@HOST:PORT");
    } else if (alk_span_find(s, '/') < s.n) {
        return alk_say(note, ALK_E_INVALID, "an address with a path begins with " SCHEME);
    } else if (alk_span_find(s, '@') < s.n) {
        return alk_say(note, ALK_E_INVALID, "an address with a key begins with " SCHEME);
    } else if (alk_span_find(s, '.') == s.n && alk_span_find(s, ':') == s.n) {
        if (!host_is_valid(s, false) || !alk_span_cstr(s, node.host, sizeof node.host)) {
            return alk_say(note, ALK_E_INVALID, "that is no name of a node");
        }
        node.is_name = true;
    } else {
        ALK_TRY(parse_host(s, &node, note));
    }
    *ret = node;
    return ALK_OK;
}

void cli_node_print(const char *key, const char *host_port, char *ret, size_t ret_size)
{
    (void)snprintf(ret, ret_size, SCHEME "%s%s%s", key != NULL ? key : "", key != NULL ? "@" : "",
                   host_port);
}
