/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/node_rows.h"

#include "core/auth/conf.h"
#include "core/auth/resource.h"

#include <stdio.h>

#define KIB        ((uint64_t)1 << 10)
#define MIB        ((uint64_t)1 << 20)
#define GIB        ((uint64_t)1 << 30)
#define MINUTE     (60 * ALK_SECOND)
#define HOUR       (60 * MINUTE)
#define DAY        (24 * HOUR)
#define PATH_BYTES 4096

/* ------------------------------------------------------------------- checks */

static alk_err refuse(char *why, size_t why_size, const char *text)
{
    (void)snprintf(why, why_size, "%s", text);
    return ALK_E_CONFIG;
}

static alk_err check_listen(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_addr addr;
    return alk_config_addr_parse(alk_conf_span(value), &addr, why, why_size);
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
}

bool alk_config_is_host_port(struct alk_span text)
{
    struct alk_addr addr;
    uint64_t port = 0;
    if (alk_addr_parse(text, &addr) == ALK_OK && addr.port != 0) {
        return true;
    }
    struct alk_span host = alk_span_cut(&text, ':');
    bool is_good = host.n > 0 && host.n <= 253 && host.p[0] != '.' && host.p[0] != '-';
    for (size_t i = 0; i < host.n; i++) {
        is_good = is_good && is_name_byte(host.p[i]);
    }
    return is_good && alk_span_u64(text, 65535, &port) && port != 0;
}

static alk_err check_advertise(const struct alk_conf *value, char *why, size_t why_size)
{
    return alk_config_is_host_port(alk_conf_span(value))
               ? ALK_OK
               : refuse(why, why_size,
                        "advertise must be name:port, address:port or [address]:port");
}

static alk_err check_path(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span path = alk_conf_span(value);
    if (alk_span_has_control(path)) {
        return refuse(why, why_size, "a path must not hold control characters");
    }
    if (path.n > 0 && path.p[0] == '~') {
        return refuse(why, why_size, "'~' has no meaning here: write the path in full");
    }
    return ALK_OK;
}

static alk_err check_absolute(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span path = alk_conf_span(value);
    if (path.n == 0 || path.p[0] != '/') {
        return refuse(why, why_size, "the path must be absolute");
    }
    return check_path(value, why, why_size);
}

static alk_err check_alpn(const struct alk_conf *value, char *why, size_t why_size)
{
    if (alk_span_has_control(alk_conf_span(value))) {
        return refuse(why, why_size, "an ALPN must not hold control characters");
    }
    return ALK_OK;
}

static alk_err check_user(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span name = alk_conf_span(value);
    for (size_t i = 0; i < name.n; i++) {
        if (!is_name_byte(name.p[i]) && name.p[i] != '_') {
            return refuse(why, why_size, "this is not a user name");
        }
    }
    return ALK_OK;
}

static alk_err check_sni(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span name = alk_conf_span(value);
    if (alk_span_starts(name, ALK_LIT("*."))) {
        name = alk_span_tail(name, 2);
    }
    bool is_good = name.n > 0 && name.p[0] != '.';
    for (size_t i = 0; i < name.n; i++) {
        is_good = is_good && is_name_byte(name.p[i]);
    }
    return is_good ? ALK_OK : refuse(why, why_size, "a server name must be a DNS name, or *.name");
}

/* Keys of a dict: a letter, then letters, digits and the bytes in `more`. */
static bool are_words(const struct alk_conf *dict, const char *more)
{
    for (size_t i = 0; i < alk_conf_count(dict); i++) {
        const char *key = alk_conf_key(alk_conf_at(dict, i));
        for (size_t k = 0; k == 0 || key[k] != '\0'; k++) {
            bool is_letter = (key[k] >= 'a' && key[k] <= 'z') || (key[k] >= 'A' && key[k] <= 'Z') ||
                             key[k] == '_';
            bool is_later = (key[k] >= '0' && key[k] <= '9') ||
                            (key[k] != '\0' && strchr(more, key[k]) != NULL);
            if (!is_letter && (k == 0 || !is_later)) {
                return false;
            }
        }
    }
    return true;
}

static alk_err check_components(const struct alk_conf *value, char *why, size_t why_size)
{
    return are_words(value, "-/") ? ALK_OK
                                  : refuse(why, why_size, "this is not a component's name");
}

static alk_err check_env(const struct alk_conf *value, char *why, size_t why_size)
{
    if (!are_words(value, "")) {
        return refuse(why, why_size, "the name of a variable is letters, digits and _");
    }
    for (size_t i = 0; i < alk_conf_count(value); i++) {
        if (strncmp(alk_conf_key(alk_conf_at(value, i)), "ALKNET_", 7) == 0) {
            return refuse(why, why_size, "variables ALKNET_... are set by the node");
        }
    }
    return ALK_OK;
}

static alk_err check_exec(const struct alk_conf *value, char *why, size_t why_size)
{
    if (alk_conf_span(alk_conf_at(value, 0)).n == 0 ||
        alk_conf_str(alk_conf_at(value, 0))[0] != '/') {
        return refuse(why, why_size, "the program must be given by its absolute path");
    }
    return ALK_OK;
}

static alk_err check_forward(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_config_forward forward;
    return alk_config_forward_parse(alk_conf_span(value), &forward, why, why_size);
}

/* ------------------------------------------------------------------- tables */

/* One row per setting reads better than one line per field. */
/* clang-format off */
#define ELEMENT(row_name, row_max, row_check)                                                      \
    {{.name = (row_name), .type = ALK_CONF_STRING, .min = 1, .max = (row_max),                     \
      .check = (row_check)},                                                                       \
     {.name = NULL}}

static const struct alk_conf_row listen_rows[] = {
    {.name = "address", .type = ALK_CONF_STRING, .min = 1, .max = 64, .is_required = true,
     .check = check_listen,
     .help = "IP address and port, as 192.0.2.1:4433 or [2001:db8::1]:4433. Port 0 picks one "
             "number for UDP and TCP."},
    {.name = "default_alpn", .type = ALK_CONF_STRING, .min = 1, .max = ALK_ALPN_MAX,
     .check = check_alpn, .help = "Service for TCP clients of this listener that send no ALPN."},
    {.name = NULL}};
static const struct alk_conf_row listen_row[] = {
    {.name = "listener", .type = ALK_CONF_MAP, .sub = listen_rows, .scalar_ok = true},
    {.name = NULL}};

static const struct alk_conf_row sni_row[] = ELEMENT("name", ALK_SNI_MAX, check_sni);
static const struct alk_conf_row certificate_rows[] = {
    {.name = "cert", .type = ALK_CONF_STRING, .min = 1, .max = PATH_BYTES, .is_required = true,
     .check = check_path, .help = "PEM file with the certificate and its chain."},
    {.name = "key", .type = ALK_CONF_STRING, .min = 1, .max = PATH_BYTES, .is_required = true,
     .check = check_path, .help = "PEM file with its private key."},
    {.name = "sni", .type = ALK_CONF_LIST, .sub = sni_row, .max = 64, .fallback = "[]",
     .scalar_ok = true,
     .help = "Server names that get this certificate; without any, the names inside it."},
    {.name = NULL}};
static const struct alk_conf_row certificate_row[] = {
    {.name = "certificate", .type = ALK_CONF_MAP, .sub = certificate_rows}, {.name = NULL}};

static const struct alk_conf_row identity_rows[] = {
    {.name = "key", .type = ALK_CONF_STRING, .min = 1, .max = PATH_BYTES, .fallback = "node.key",
     .check = check_path, .reload = ALK_RELOAD_RESTART,
     .help = "File of the node's Ed25519 key: its address. Made on the first start."},
    {.name = "certificates", .type = ALK_CONF_LIST, .sub = certificate_row, .max = 64,
     .fallback = "[]", .reload = ALK_RELOAD_NEW,
     .help = "X.509 certificates for browsers, curl and others that know no raw public keys."},
    {.name = "self_signed", .type = ALK_CONF_BOOL, .fallback = "false", .reload = ALK_RELOAD_NEW,
     .help = "Make a short-lived ECDSA certificate and renew it; its SHA-256 is printed for "
             "serverCertificateHashes."},
    {.name = NULL}};

static const struct alk_conf_row scope_row[] =
    ELEMENT("scope", ALK_SCOPE_MAX, alk_auth_check_scope);
static const struct alk_conf_row key_row[] = ELEMENT("key", 1024, alk_auth_check_key);
static const struct alk_conf_row action_row[] = ELEMENT("action", ALK_GRANT_WORD_MAX, NULL);
static const struct alk_conf_row ref_row[] = ELEMENT("ref", ALK_GRANT_NAME_MAX, NULL);
static const struct alk_conf_row grant_rows[] = {
    {.name = "name", .type = ALK_CONF_STRING, .min = 1, .max = ALK_GRANT_NAME_MAX,
     .is_required = true, .help = "Pattern for names: * is anything but /, ** is anything."},
    {.name = "actions", .type = ALK_CONF_LIST, .sub = action_row, .min = 1,
     .max = ALK_GRANT_ACTIONS_MAX, .fallback = "[read]", .scalar_ok = true,
     .help = "What is allowed, as read or write."},
    {.name = "refs", .type = ALK_CONF_LIST, .sub = ref_row, .max = ALK_GRANT_REFS_MAX,
     .fallback = "[]", .scalar_ok = true,
     .help = "Patterns for Git refs; without any, all of them."},
    {.name = NULL}};
static const struct alk_conf_row grant_row[] = {
    {.name = "grant", .type = ALK_CONF_MAP, .sub = grant_rows, .scalar_ok = true}, {.name = NULL}};
static const struct alk_conf_row resource_row[] = {
    {.name = "type", .type = ALK_CONF_LIST, .sub = grant_row, .max = ALK_GRANTS_MAX,
     .scalar_ok = true},
    {.name = NULL}};

static const struct alk_conf_row peer_rows[] = {
    {.name = "id", .type = ALK_CONF_STRING, .min = 1, .max = ALK_ID_MAX, .is_required = true,
     .check = alk_auth_check_id, .help = "Name of the identity: a-z, 0-9, '.', '_' and '-'."},
    {.name = "keys", .type = ALK_CONF_LIST, .sub = key_row, .max = 64, .fallback = "[]",
     .scalar_ok = true,
     .help = "Public keys: ed25519:HEX, spki:HEX, cert:HEX, SHA256:BASE64, an ssh-ed25519 line, or "
             "the 52 characters of an address."},
    {.name = "scopes", .type = ALK_CONF_LIST, .sub = scope_row, .max = ALK_SCOPES_MAX,
     .fallback = "[]", .scalar_ok = true, .help = "What the identity may do; admin is everything."},
    {.name = "resources", .type = ALK_CONF_DICT, .sub = resource_row, .max = 32, .fallback = "{}",
     .help = "By type, the things it may act on; a bare string means read."},
    {.name = "enabled", .type = ALK_CONF_BOOL, .fallback = "true",
     .help = "false means revoked: its connections are closed too."},
    {.name = NULL}};
static const struct alk_conf_row peer_row[] = {
    {.name = "peer", .type = ALK_CONF_MAP, .sub = peer_rows}, {.name = NULL}};

static const struct alk_conf_row token_rows[] = {
    {.name = "id", .type = ALK_CONF_STRING, .min = 1, .max = ALK_ID_MAX, .is_required = true,
     .check = alk_auth_check_id, .help = "The identity that it stands for."},
    {.name = "prefix", .type = ALK_CONF_STRING, .min = 8, .max = 8, .is_required = true,
     .check = alk_auth_check_prefix, .help = "The 8 public characters of the token."},
    {.name = "hash", .type = ALK_CONF_STRING, .min = 1, .max = 71, .is_required = true,
     .is_secret = true, .check = alk_auth_check_hash, .help = "sha256:HEX of the whole token."},
    {.name = "scopes", .type = ALK_CONF_LIST, .sub = scope_row, .max = ALK_SCOPES_MAX,
     .scalar_ok = true, .help = "Fewer scopes than its identity has; absent: all of them."},
    {.name = "expires_at", .type = ALK_CONF_STRING, .min = 1, .max = 40,
     .check = alk_auth_check_date, .help = "2027-01-01, or a time of RFC 3339; absent: never."},
    {.name = NULL}};
static const struct alk_conf_row token_row[] = {
    {.name = "token", .type = ALK_CONF_MAP, .sub = token_rows}, {.name = NULL}};

static const struct alk_conf_row auth_rows[] = {
    {.name = "peers", .type = ALK_CONF_LIST, .sub = peer_row, .fallback = "[]",
     .help = "Who is known. More can be added with `alknet peer` while the node runs."},
    {.name = "tokens", .type = ALK_CONF_LIST, .sub = token_row, .fallback = "[]",
     .help = "Bearer tokens. More can be added with `alknet token` while the node runs."},
    {.name = NULL}};

static const struct alk_conf_row limit_rows[] = {
    {.name = "memory", .type = ALK_CONF_SIZE, .min = 16 * MIB, .max = 1024 * GIB,
     .fallback = "512MiB", .unit = "bytes",
     .help = "Buffers of all connections together; above it the youngest without identity go."},
    {.name = "memory_per_connection", .type = ALK_CONF_SIZE, .min = 256 * KIB, .max = 64 * GIB,
     .fallback = "16MiB", .unit = "bytes", .reload = ALK_RELOAD_NEW,
     .help = "Buffers of one connection; flow control keeps peers below it."},
    {.name = "connections", .type = ALK_CONF_UINT, .min = 1, .max = 10000000, .fallback = "10000",
     .unit = "connections", .help = "Connections open at one time."},
    {.name = "connections_per_ip", .type = ALK_CONF_UINT, .min = 1, .max = 10000000,
     .fallback = "100", .unit = "connections",
     .help = "Connections from one address; an IPv6 /64 counts as one."},
    {.name = "handshakes", .type = ALK_CONF_UINT, .min = 1, .max = 1000000, .fallback = "1000",
     .unit = "handshakes", .help = "Handshakes under way at one time."},
    {.name = "retry_above", .type = ALK_CONF_UINT, .max = 1000000, .fallback = "100",
     .unit = "handshakes",
     .help = "From so many handshakes under way on, QUIC clients must show by a Retry that their "
             "address is theirs. 0: always."},
    {.name = "resets_per_second", .type = ALK_CONF_UINT, .max = 1000000, .fallback = "100",
     .unit = "packets", .help = "Stateless resets sent by one loop. 0: none."},
    {.name = "handshake_timeout", .type = ALK_CONF_DURATION, .min = 100 * ALK_MS,
     .max = 10 * MINUTE, .fallback = "10s", .reload = ALK_RELOAD_NEW,
     .help = "Time in which a handshake must be complete."},
    {.name = "idle_timeout", .type = ALK_CONF_DURATION, .min = ALK_SECOND, .max = DAY,
     .fallback = "60s", .reload = ALK_RELOAD_NEW,
     .help = "Time after which a silent connection is closed."},
    {.name = "streams_per_connection", .type = ALK_CONF_UINT, .min = 1, .max = 65536,
     .fallback = "1024", .unit = "streams", .reload = ALK_RELOAD_NEW,
     .help = "Streams that a peer may have open at one time."},
    {.name = "streams_without_identity", .type = ALK_CONF_UINT, .min = 1, .max = 65536,
     .fallback = "8", .unit = "streams", .reload = ALK_RELOAD_NEW,
     .help = "Streams of a peer, while it is not known who it is."},
    {.name = "auth_failures", .type = ALK_CONF_UINT, .min = 1, .max = 10000, .fallback = "6",
     .unit = "failures",
     .help = "Credentials that do not resolve, per address and per connection, before the peer is "
             "refused until the window ends."},
    {.name = "auth_failure_window", .type = ALK_CONF_DURATION, .min = ALK_SECOND, .max = DAY,
     .fallback = "10m", .help = "How long failures count."},
    {.name = "hosts", .type = ALK_CONF_UINT, .min = 1, .max = 10000, .fallback = "200",
     .unit = "processes", .help = "Handler processes and programs of exec services together."},
    {.name = NULL}};

static const char *const log_formats[] = {"text", "json", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", "trace", NULL};
static const struct alk_conf_row level_row[] = {
    {.name = "level", .type = ALK_CONF_ENUM, .values = log_levels}, {.name = NULL}};
static const struct alk_conf_row log_rows[] = {
    {.name = "format", .type = ALK_CONF_ENUM, .values = log_formats, .fallback = "text",
     .help = "Of the log and of the audit log."},
    {.name = "level", .type = ALK_CONF_ENUM, .values = log_levels, .fallback = "info",
     .help = "What is logged."},
    {.name = "levels", .type = ALK_CONF_DICT, .sub = level_row, .max = 64, .fallback = "{}",
     .check = check_components, .help = "By component, as {quic: debug}; wins over level."},
    {.name = "audit", .type = ALK_CONF_STRING, .max = PATH_BYTES, .fallback = "audit.log",
     .check = check_path, .help = "File for who did what, from where, allowed or not. \"\": none."},
    {.name = NULL}};

static const char *const require_modes[] = {"identity", "none", NULL};
static const struct alk_conf_row require_rows[] = {
    {.name = "mode", .type = ALK_CONF_ENUM, .values = require_modes, .reload = ALK_RELOAD_NEW,
     .help = "identity: the peer must be known. none: everybody may come, and the service looks at "
             "each request. Default: identity; none for call, http, git and dns."},
    {.name = "scopes", .type = ALK_CONF_LIST, .sub = scope_row, .max = ALK_SCOPES_MAX,
     .fallback = "[]", .scalar_ok = true, .reload = ALK_RELOAD_NEW,
     .help = "Scopes that the peer must hold, all of them."},
    {.name = NULL}};
static const char *const isolations[] = {"in-process", "process", NULL};

const struct alk_conf_row alk_config_common_rows[] = {
    {.name = "enabled", .type = ALK_CONF_BOOL, .fallback = "true",
     .help = "false: as though the service were not there."},
    {.name = "require", .type = ALK_CONF_MAP, .sub = require_rows, .scalar_ok = true,
     .fallback = "{}", .reload = ALK_RELOAD_NEW,
     .help = "Who may open a connection: none, identity, or {scopes: [...]}."},
    {.name = "isolation", .type = ALK_CONF_ENUM, .values = isolations, .reload = ALK_RELOAD_NEW,
     .help = "Whether it runs in the node's process or in one of its own. Default: the service's "
             "own choice."},
    {.name = NULL}};
static const struct alk_conf_row alpn_rows[] = {
    {.name = "alpn", .type = ALK_CONF_STRING, .min = 1, .max = ALK_ALPN_MAX, .is_required = true,
     .check = check_alpn, .help = "The string that clients ask for."},
    {.name = NULL}};

static const char *const stdio_kinds[] = {"socket", "pipe", NULL};
static const struct alk_conf_row argument_row[] = {
    {.name = "argument", .type = ALK_CONF_STRING, .max = PATH_BYTES}, {.name = NULL}};
static const struct alk_conf_row variable_row[] = {
    {.name = "variable", .type = ALK_CONF_STRING, .max = 32 * KIB}, {.name = NULL}};

#define OF_EXEC    .reload = ALK_RELOAD_NEW, .only_with = "exec"
#define OF_FORWARD .reload = ALK_RELOAD_NEW, .only_with = "forward"

const struct alk_conf_row alk_config_exec_rows[] = {
    {.name = "exec", .type = ALK_CONF_LIST, .sub = argument_row, .min = 1, .max = 256,
     .check = check_exec, .reload = ALK_RELOAD_NEW,
     .help = "Program and arguments, run once per stream; the stream is its standard input and "
             "output."},
    {.name = "stdio", .type = ALK_CONF_ENUM, .values = stdio_kinds, .fallback = "socket", OF_EXEC,
     .help = "One socket for both directions, or two pipes for programs that open /dev/stdin."},
    {.name = "cwd", .type = ALK_CONF_STRING, .min = 1, .max = PATH_BYTES, .check = check_absolute,
     OF_EXEC, .help = "Working directory. Default: /."},
    {.name = "user", .type = ALK_CONF_STRING, .min = 1, .max = 64, .check = check_user, OF_EXEC,
     .help = "User to run as, when the node was started as root; never root. A user that no "
             "service had at the start needs a restart. Default: host_user."},
    {.name = "env", .type = ALK_CONF_DICT, .sub = variable_row, .max = 256, .fallback = "{}",
     .check = check_env, OF_EXEC,
     .help = "Environment, beside the ALKNET_ variables; nothing is inherited."},
    {.name = "timeout", .type = ALK_CONF_DURATION, .max = 365 * DAY, .fallback = "0", OF_EXEC,
     .help = "Time after which the program is ended. 0: never."},
    {.name = "memory", .type = ALK_CONF_SIZE, .max = 1024 * GIB, .fallback = "0", .unit = "bytes",
     OF_EXEC, .help = "Memory of one process, for its data and heap (RLIMIT_DATA). 0: no limit."},
    {.name = "max_instances", .type = ALK_CONF_UINT, .min = 1, .max = 10000, .fallback = "64",
     .unit = "processes", OF_EXEC, .help = "Programs of this service that run at one time."},
    {.name = NULL}};

const struct alk_conf_row alk_config_forward_rows[] = {
    {.name = "forward", .type = ALK_CONF_STRING, .min = 1, .max = 256, .check = check_forward,
     .reload = ALK_RELOAD_NEW,
     .help = "Local service that each stream is connected to: unix:/path or tcp:address:port."},
    {.name = "connect_timeout", .type = ALK_CONF_DURATION, .min = 100 * ALK_MS, .max = 10 * MINUTE,
     .fallback = "5s", OF_FORWARD,
     .help = "Time in which the local service must accept the connection."},
    {.name = "proxy_protocol", .type = ALK_CONF_BOOL, .fallback = "false", OF_FORWARD,
     .help = "Send a PROXY v2 header first, with the peer's address."},
    {.name = NULL}};

static const struct alk_conf_row custom_list = {
    .name = "custom",
    .type = ALK_CONF_LIST,
    .max = ALK_CONFIG_CUSTOM_MAX,
    .fallback = "[]",
    .help = "Programs and local services behind an ALPN of their own."};

static const struct alk_conf_row node_rows[] = {
    {.name = "listen", .type = ALK_CONF_LIST, .sub = listen_row, .min = 1,
     .max = ALK_CONFIG_LISTENERS_MAX, .fallback = "[\"127.0.0.1:4433\", \"[::1]:4433\"]",
     .scalar_ok = true, .help = "Addresses, each for UDP (QUIC) and TCP (TLS 1.3)."},
    {.name = "advertise", .type = ALK_CONF_STRING, .min = 1, .max = 260, .check = check_advertise,
     .help = "host:port under which others reach this node; goes into invitations."},
    {.name = "default_alpn", .type = ALK_CONF_STRING, .min = 1, .max = ALK_ALPN_MAX,
     .check = check_alpn,
     .help = "Service for TCP clients that send no ALPN; for listeners that name none of their "
             "own. Default: such clients are refused."},
    {.name = "data_dir", .type = ALK_CONF_STRING, .min = 1, .max = PATH_BYTES, .check = check_path,
     .reload = ALK_RELOAD_RESTART,
     .help = "Directory for the node key, secrets, tickets, stores and admin.sock; relative to the "
             "configuration file. Relative paths of other settings start here. Default: "
             "/var/lib/alknet as root, else ~/.local/share/alknet."},
    {.name = "user", .type = ALK_CONF_STRING, .min = 1, .max = 64, .check = check_user,
     .fallback = "alknet", .reload = ALK_RELOAD_RESTART,
     .help = "User that the node becomes when it is started as root."},
    {.name = "host_user", .type = ALK_CONF_STRING, .min = 1, .max = 64, .check = check_user,
     .fallback = "alknet-host", .reload = ALK_RELOAD_RESTART,
     .help = "User of handler processes and programs when the node is started as root."},
    {.name = "loops", .type = ALK_CONF_UINT, .max = ALK_CONFIG_LOOPS_MAX, .fallback = "0",
     .unit = "threads", .reload = ALK_RELOAD_RESTART, .help = "Event loops. 0: one per core."},
    {.name = "watch", .type = ALK_CONF_BOOL, .fallback = "true",
     .help = "Read the configuration again when its file changes."},
    {.name = "drain_timeout", .type = ALK_CONF_DURATION, .max = HOUR, .fallback = "2s",
     .help = "How long connections may finish their work when the node stops."},
    {.name = "identity", .type = ALK_CONF_MAP, .sub = identity_rows, .fallback = "{}",
     .help = "Keys and certificates that the node shows."},
    {.name = "auth", .type = ALK_CONF_MAP, .sub = auth_rows, .fallback = "{}",
     .help = "Who is known and what they may do."},
    {.name = "limits", .type = ALK_CONF_MAP, .sub = limit_rows, .fallback = "{}",
     .help = "What peers may take."},
    {.name = "log", .type = ALK_CONF_MAP, .sub = log_rows, .fallback = "{}",
     .help = "What is written down."},
    {.name = "services", .type = ALK_CONF_MAP, .fallback = "{}",
     .help = "What is served. A service that stands here runs, with its defaults as {}."}};
/* clang-format on */

#define NODE_ROWS (sizeof(node_rows) / sizeof(node_rows[0]))

/* ------------------------------------------------------------------ services */

bool alk_config_is_custom_handler(const struct alk_handler *handler)
{
    return strcmp(handler->name, "exec") == 0 || strcmp(handler->name, "forward") == 0;
}

static size_t count_rows(const struct alk_conf_row *rows)
{
    size_t n = 0;
    while (rows != NULL && rows[n].name != NULL) {
        n++;
    }
    return n;
}

static bool has_row(const struct alk_conf_row *rows, const char *name)
{
    for (; rows != NULL && rows->name != NULL; rows++) {
        if (strcmp(rows->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_clash(const struct alk_conf_row *settings)
{
    for (const struct alk_conf_row *row = alk_config_common_rows; row->name != NULL; row++) {
        if (has_row(settings, row->name)) {
            return true;
        }
    }
    return has_row(settings, alpn_rows[0].name);
}

bool alk_config_is_common_row(const char *name)
{
    return has_row(alk_config_common_rows, name);
}

#define PARTS_MAX 4

/* Several tables as one. */
static alk_err concat(struct alk_arena *arena, const struct alk_conf_row *const *parts,
                      const struct alk_conf_row **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < PARTS_MAX; i++) {
        n += count_rows(parts[i]);
    }
    struct alk_conf_row *rows = alk_arena_alloc(arena, n + 1, sizeof(*rows));
    if (rows == NULL) {
        return ALK_E_NOMEM;
    }
    *ret = rows;
    for (size_t i = 0; i < PARTS_MAX; i++) {
        n = count_rows(parts[i]);
        if (n > 0) {
            memcpy(rows, parts[i], n * sizeof(*rows));
            rows += n;
        }
    }
    return ALK_OK;
}

static alk_err service_row(struct alk_arena *arena, const struct alk_handler *handler,
                           struct alk_conf_row *ret)
{
    const struct alk_conf_row *const parts[PARTS_MAX] = {
        alk_config_common_rows, handler->alpn_count == 0 ? alpn_rows : NULL, handler->settings};
    *ret = (struct alk_conf_row){
        .name = handler->name, .type = ALK_CONF_MAP, .help = handler->summary};
    ret->fallback = (handler->flags & ALK_HANDLER_DEFAULT_ON) != 0 ? "{}" : NULL;
    return concat(arena, parts, &ret->sub);
}

static alk_err custom_service_row(struct alk_arena *arena, struct alk_conf_row *ret)
{
    const struct alk_conf_row *const parts[PARTS_MAX] = {
        alpn_rows, alk_config_exec_rows, alk_config_forward_rows, alk_config_common_rows};
    struct alk_conf_row *element = alk_arena_alloc(arena, 2, sizeof(*element));
    if (element == NULL) {
        return ALK_E_NOMEM;
    }
    element->name = "service";
    element->type = ALK_CONF_MAP;
    *ret = custom_list;
    ret->sub = element;
    return concat(arena, parts, &element->sub);
}

static bool is_good_handler(const struct alk_handler *handler, const struct alk_conf_row *rows)
{
    return handler->name != NULL && handler->name[0] != '\0' &&
           strcmp(handler->name, custom_list.name) != 0 && !has_row(rows, handler->name) &&
           (alk_config_is_custom_handler(handler) || !has_clash(handler->settings));
}

static alk_err services_table(struct alk_arena *arena, const struct alk_handler *const *handlers,
                              size_t handler_count, const struct alk_conf_row **ret)
{
    struct alk_conf_row *rows = alk_arena_alloc(arena, handler_count + 2, sizeof(*rows));
    size_t n = 0;
    if (rows == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < handler_count; i++) {
        if (!is_good_handler(handlers[i], rows)) {
            return ALK_E_INVALID;
        }
        if (!alk_config_is_custom_handler(handlers[i])) {
            ALK_TRY(service_row(arena, handlers[i], &rows[n++]));
        }
    }
    ALK_TRY(custom_service_row(arena, &rows[n]));
    *ret = rows;
    return ALK_OK;
}

alk_err alk_config_table(struct alk_arena *arena, const struct alk_handler *const *handlers,
                         size_t handler_count, const struct alk_conf_row **ret)
{
    struct alk_conf_row *rows = alk_arena_alloc(arena, NODE_ROWS + 1, sizeof(*rows));
    if (rows == NULL) {
        return ALK_E_NOMEM;
    }
    memcpy(rows, node_rows, sizeof(node_rows));
    if (handlers != NULL) {
        /* `services` stands last. */
        ALK_TRY(services_table(arena, handlers, handler_count, &rows[NODE_ROWS - 1].sub));
    }
    *ret = rows;
    return ALK_OK;
}
