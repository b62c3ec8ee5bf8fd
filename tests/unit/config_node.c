/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The node's configuration: defaults, snapshots, and the checks over several rows. */
#include "core/config/node.h"

#include "base/mem.h"
#include "support/oom.h"

#define KEY1     "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY1_SSH "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
#define HASH     "sha256:0000000000000000000000000000000000000000000000000000000000000001"

static alk_err open_nothing(void *service, struct alk_conn *conn,
                            const struct alk_auth_context *auth, void **ret_state)
{
    (void)service;
    (void)conn;
    (void)auth;
    (void)ret_state;
    return ALK_E_UNSUPPORTED;
}

static const struct alk_alpn call_alpns[] = {{"alknet/call", ALK_TRANSPORT_ANY}};
static const struct alk_alpn http_alpns[] = {{"h3", ALK_TRANSPORT_QUIC},
                                             {"http/1.1", ALK_TRANSPORT_TLS}};
static const struct alk_conf_row git_rows[] = {
    {.name = "root", .type = ALK_CONF_STRING, .min = 1, .max = 4096, .fallback = "git"},
    {.name = NULL}};
static const struct alk_alpn git_alpns[] = {{"alknet/git", ALK_TRANSPORT_ANY}};
static const struct alk_handler call = {.struct_size = sizeof(call),
                                        .abi = ALK_HANDLER_ABI,
                                        .name = "call",
                                        .alpns = call_alpns,
                                        .alpn_count = 1,
                                        .flags = ALK_HANDLER_DEFAULT_ON | ALK_HANDLER_PUBLIC,
                                        .open = open_nothing};
static const struct alk_handler http = {.struct_size = sizeof(http),
                                        .abi = ALK_HANDLER_ABI,
                                        .name = "http",
                                        .alpns = http_alpns,
                                        .alpn_count = 2,
                                        .flags = ALK_HANDLER_PUBLIC,
                                        .open = open_nothing};
static const struct alk_handler git = {.struct_size = sizeof(git),
                                       .abi = ALK_HANDLER_ABI,
                                       .name = "git",
                                       .alpns = git_alpns,
                                       .alpn_count = 1,
                                       .settings = git_rows,
                                       .flags = ALK_HANDLER_PROCESS,
                                       .open = open_nothing};
static const struct alk_handler echo = {
    .struct_size = sizeof(echo), .abi = ALK_HANDLER_ABI, .name = "echo", .open = open_nothing};
static const struct alk_handler exec = {.struct_size = sizeof(exec),
                                        .abi = ALK_HANDLER_ABI,
                                        .name = "exec",
                                        .settings = alk_config_exec_rows,
                                        .flags = ALK_HANDLER_SPAWNS,
                                        .open = open_nothing};
static const struct alk_handler forward = {.struct_size = sizeof(forward),
                                           .abi = ALK_HANDLER_ABI,
                                           .name = "forward",
                                           .settings = alk_config_forward_rows,
                                           .open = open_nothing};
static const struct alk_handler *const handlers[] = {&call, &http, &git, &echo, &exec, &forward};

static struct alk_config_options options_for(const char *yaml)
{
    return (struct alk_config_options){
        .text = alk_span_str(yaml),
        .name = "n.yaml",
        .default_data_dir = "/var/lib/alknet",
        .handlers = handlers,
        .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    };
}

struct loaded {
    const struct alk_static_config *fixed;
    const struct alk_dynamic_config *dynamic;
};

static struct loaded load_with(const struct alk_config_options *o)
{
    struct loaded l = {NULL, NULL};
    struct alk_conf_errors errors = {0};
    alk_err err = alk_config_load(o, &errors, &l.fixed, &l.dynamic);
    if (err != ALK_OK) {
        print_error("%s: %s", alk_err_name(err), errors.text == NULL ? "\n" : errors.text);
    }
    alk_conf_errors_fini(&errors);
    assert_int_equal(err, ALK_OK);
    return l;
}

static struct loaded load(const char *yaml)
{
    struct alk_config_options o = options_for(yaml);
    return load_with(&o);
}

static void unload(struct loaded l)
{
    alk_static_config_unref(l.fixed);
    alk_dynamic_config_unref(l.dynamic);
}

/* ----------------------------------------------------------------- defaults */

static void an_empty_document_is_a_working_node(void **unused)
{
    (void)unused;
    struct loaded l = load("");
    const struct alk_dynamic_config *d = l.dynamic;
    assert_string_equal(l.fixed->data_dir, "/var/lib/alknet");
    assert_string_equal(l.fixed->node_key, "/var/lib/alknet/node.key");
    assert_string_equal(l.fixed->user, "alknet");
    assert_string_equal(l.fixed->host_user, "alknet-host");
    assert_false(l.fixed->user_is_set);
    assert_int_equal(l.fixed->loops, 0);
    assert_int_equal(d->generation, 1);
    assert_int_equal(d->listener_count, 2);
    assert_false(d->listen_is_set);
    assert_string_equal(d->listeners[0].text, "127.0.0.1:4433");
    assert_string_equal(d->listeners[1].text, "[::1]:4433");
    assert_null(d->listeners[0].default_alpn);
    assert_null(d->advertise);
    assert_int_equal(d->limits.memory, (uint64_t)512 << 20);
    assert_int_equal(d->limits.memory_per_connection, (uint64_t)16 << 20);
    assert_int_equal(d->limits.connections, 10000);
    assert_int_equal(d->limits.connections_per_ip, 100);
    assert_int_equal(d->limits.handshakes, 1000);
    assert_int_equal(d->limits.handshake_timeout, 10 * ALK_SECOND);
    assert_int_equal(d->limits.idle_timeout, 60 * ALK_SECOND);
    assert_int_equal(d->limits.streams_per_connection, 1024);
    assert_int_equal(d->limits.streams_without_identity, 8);
    assert_int_equal(d->limits.auth_failures, 6);
    assert_int_equal(d->limits.auth_failure_window, 600 * ALK_SECOND);
    assert_int_equal(d->limits.hosts, 200);
    assert_int_equal(d->drain_timeout, 2 * ALK_SECOND);
    assert_int_equal(d->log.format, ALK_CONFIG_LOG_TEXT);
    assert_int_equal(d->log.level, ALK_LOG_INFO);
    assert_string_equal(d->log.audit, "/var/lib/alknet/audit.log");
    assert_true(d->watch);
    assert_false(d->self_signed);
    assert_int_equal(d->certificate_count, 0);
    assert_int_equal(alk_conf_count(alk_conf_get(d->auth, "peers")), 0);
    /* What is on by default runs without being named. */
    assert_int_equal(d->service_count, 1);
    assert_string_equal(d->services[0].name, "call");
    unload(l);
}

static void the_documents_example_is_understood(void **unused)
{
    (void)unused;
    struct loaded l = load(
        "listen: [\"127.0.0.1:4433\", \"[::1]:4433\"]\n"
        "advertise: node.example.org:4433\n"
        "data_dir: /srv/alknet/\n"
        "user: alknet\n"
        "identity:\n"
        "  key: node.key\n"
        "  certificates: [{cert: chain.pem, key: /etc/key.pem, sni: node.example.org}]\n"
        "  self_signed: true\n"
        "auth:\n"
        "  peers:\n"
        "    - id: laptop\n"
        "      keys: [\"" KEY1_SSH " me@laptop\"]\n"
        "      scopes: [admin]\n"
        "      resources: {repo: [\"team/*\"]}\n"
        "  tokens: [{id: laptop, prefix: \"abcdefgh\", hash: \"" HASH "\",\n"
        "            expires_at: 2027-01-01}]\n"
        "limits: {memory: 512MiB, connections: 10000,\n"
        "         idle_timeout: 60s}\n"
        "drain_timeout: 2s\n"
        "log: {format: json, level: warn, levels: {quic: trace}, audit: \"\"}\n"
        "services:\n"
        "  call:\n"
        "  git: {root: /srv/git}\n"
        "  custom:\n"
        "    - {alpn: xmpp-client, forward: \"unix:/run/xmpp.sock\", require: {scopes: [xmpp]}}\n"
        "    - {alpn: my/tool, exec: [/usr/bin/tool, --stdio], memory: 256MiB}\n"
        "    - {alpn: my/motd, exec: [/bin/cat, /etc/motd], require: none}\n");
    const struct alk_dynamic_config *d = l.dynamic;
    assert_string_equal(l.fixed->data_dir, "/srv/alknet/");
    assert_string_equal(l.fixed->node_key, "/srv/alknet/node.key");
    assert_true(l.fixed->user_is_set);
    assert_true(d->listen_is_set);
    assert_string_equal(d->advertise, "node.example.org:4433");
    assert_int_equal(d->certificate_count, 1);
    assert_string_equal(d->certificates[0].cert, "/srv/alknet/chain.pem");
    assert_string_equal(d->certificates[0].key, "/etc/key.pem");
    assert_int_equal(d->certificates[0].sni_count, 1);
    assert_string_equal(d->certificates[0].sni[0], "node.example.org");
    assert_true(d->self_signed);
    assert_null(d->log.audit);
    assert_int_equal(d->log.format, ALK_CONFIG_LOG_JSON);
    assert_int_equal(alk_config_log_level(d, "quic"), ALK_LOG_TRACE);
    assert_int_equal(alk_config_log_level(d, "tls"), ALK_LOG_WARN);
    assert_int_equal(d->service_count, 5);
    assert_string_equal(alk_conf_get_str(d->services[1].conf, "root"), "/srv/git");
    assert_ptr_equal(d->services[2].handler, &forward);
    assert_true(d->services[2].is_custom);
    assert_int_equal(d->services[2].scope_count, 1);
    assert_string_equal(d->services[2].scopes[0], "xmpp");
    assert_ptr_equal(d->services[3].handler, &exec);
    assert_string_equal(d->services[3].name, "my/tool");
    assert_int_equal(alk_conf_get_uint(d->services[3].conf, "memory"), 256 << 20);
    assert_true(d->services[3].needs_identity);
    assert_false(d->services[4].needs_identity);
    unload(l);
}

/* ----------------------------------------------------------------- services */

struct service_case {
    const char *yaml, *name;
    bool is_there, needs_identity, is_process;
};

static void services_run_as_their_section_says(void **unused)
{
    static const struct service_case cases[] = {
        {"", "call", true, false, false},
        {"", "git", false, false, false},
        {"services: {call: {enabled: false}}", "call", false, false, false},
        {"services: {git: {}}", "git", true, true, true},
        {"services: {git: {isolation: in-process}}", "git", true, true, false},
        {"services: {git: {require: none}}", "git", true, false, true},
        {"services: {call: {require: identity}}", "call", true, true, false},
        {"services: {call: {require: {scopes: ops}}}", "call", true, true, false},
        {"services: {call: {isolation: process}}", "call", true, false, true},
        {"services: {echo: {alpn: x/echo}}", "echo", true, true, false},
        {"services: {custom: [{alpn: a, exec: [/a]}]}", "a", true, true, false},
        /* Each of its streams is a process already. */
        {"services: {custom: [{alpn: a, exec: [/a], isolation: process}]}", "a", true, true, false},
        {"services: {custom: [{alpn: a, forward: \"unix:/a\", isolation: process}]}", "a", true,
         true, true},
        {"services: {custom: [{alpn: a, exec: [/a], enabled: false}]}", "a", false, false, false},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load(cases[i].yaml);
        const struct alk_config_service *s = NULL;
        for (size_t k = 0; k < l.dynamic->service_count; k++) {
            if (strcmp(l.dynamic->services[k].name, cases[i].name) == 0) {
                s = &l.dynamic->services[k];
            }
        }
        assert_int_equal(s != NULL, cases[i].is_there);
        if (s != NULL) {
            assert_int_equal(s->needs_identity, cases[i].needs_identity);
            assert_int_equal(s->is_process, cases[i].is_process);
        }
        unload(l);
    }
}

static void a_service_is_found_by_alpn_and_transport(void **unused)
{
    (void)unused;
    struct loaded l = load("services: {http: {}, echo: {alpn: x/echo}, custom: [{alpn: a, "
                           "forward: \"tcp:127.0.0.1:1\"}]}");
    const struct alk_dynamic_config *d = l.dynamic;
    assert_ptr_equal(alk_config_service_find(d, ALK_LIT("h3"), ALK_TRANSPORT_QUIC)->handler, &http);
    assert_null(alk_config_service_find(d, ALK_LIT("h3"), ALK_TRANSPORT_TLS));
    assert_ptr_equal(alk_config_service_find(d, ALK_LIT("http/1.1"), ALK_TRANSPORT_TLS)->handler,
                     &http);
    assert_ptr_equal(alk_config_service_find(d, ALK_LIT("a"), ALK_TRANSPORT_TLS)->handler,
                     &forward);
    assert_ptr_equal(alk_config_service_find(d, ALK_LIT("x/echo"), ALK_TRANSPORT_QUIC)->handler,
                     &echo);
    assert_null(alk_config_service_find(d, ALK_LIT("alknet/git"), ALK_TRANSPORT_QUIC));
    assert_null(alk_config_service_find(d, ALK_LIT(""), ALK_TRANSPORT_QUIC));
    unload(l);
}

/* ------------------------------------------------------------------ options */

static void the_caller_overrides_the_document(void **unused)
{
    static const char *const listen[] = {"[2001:0db8:0::1]:0", NULL};
    struct alk_config_options o = options_for("data_dir: /a\nlisten: \"1.2.3.4:5\"\nloops: 3\n");
    (void)unused;
    o.data_dir = "/b";
    o.listen = listen;
    o.loops = 2;
    o.generation = 7;
    struct loaded l = load_with(&o);
    assert_string_equal(l.fixed->data_dir, "/b");
    assert_string_equal(l.fixed->node_key, "/b/node.key");
    assert_string_equal(l.dynamic->log.audit, "/b/audit.log");
    assert_int_equal(l.fixed->loops, 2);
    assert_int_equal(l.dynamic->listener_count, 1);
    assert_string_equal(l.dynamic->listeners[0].text, "[2001:db8::1]:0");
    assert_int_equal(l.dynamic->listeners[0].addr.family, 6);
    assert_true(l.dynamic->listen_is_set);
    assert_int_equal(l.dynamic->generation, 7);
    unload(l);
}

static void a_relative_data_dir_starts_at_the_file(void **unused)
{
    static const char *const cases[][2] = {{"data_dir: .", "/etc/alknet"},
                                           {"data_dir: x/y", "/etc/alknet/x/y"},
                                           {"data_dir: /z", "/z"}};
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        struct alk_config_options o = options_for(cases[i][0]);
        o.base_dir = "/etc/alknet";
        struct loaded l = load_with(&o);
        assert_string_equal(l.fixed->data_dir, cases[i][1]);
        unload(l);
    }
}

static void listeners_may_name_a_default_alpn_of_their_own(void **unused)
{
    (void)unused;
    struct loaded l =
        load("listen: [\"0.0.0.0:1\", {address: \"0.0.0.0:2\", default_alpn: http/1.1}]\n"
             "default_alpn: alknet/call\nservices: {http: {}}\n");
    assert_string_equal(l.dynamic->listeners[0].default_alpn, "alknet/call");
    assert_string_equal(l.dynamic->listeners[1].default_alpn, "http/1.1");
    unload(l);
}

static void services_can_wait_for_their_handlers(void **unused)
{
    struct alk_config_options o = options_for("services: {nobody: {knows: this}}\nloops: 1\n");
    (void)unused;
    o.ignore_services = true;
    o.handlers = NULL;
    o.handler_count = 0;
    struct loaded l = load_with(&o);
    assert_int_equal(l.fixed->loops, 1);
    assert_int_equal(l.dynamic->service_count, 0);
    unload(l);
}

static void wrong_options_and_handlers_are_the_callers_bug(void **unused)
{
    static const struct alk_handler nameless = {.name = NULL};
    static const struct alk_handler custom = {.name = "custom"};
    static const struct alk_conf_row clash_rows[] = {{.name = "require", .type = ALK_CONF_BOOL},
                                                     {.name = NULL}};
    static const struct alk_handler clash = {.name = "clash", .settings = clash_rows};
    static const struct alk_handler *const bad[][2] = {
        {&git, &git}, {&git, &nameless}, {&custom, &git}, {&git, &clash}};
    const struct alk_static_config *fixed = NULL;
    const struct alk_dynamic_config *dynamic = NULL;
    (void)unused;
    for (size_t i = 0; i < 4; i++) {
        struct alk_config_options o = options_for("");
        o.handlers = bad[i];
        o.handler_count = 2;
        assert_int_equal(alk_config_load(&o, NULL, &fixed, &dynamic), ALK_E_INVALID);
    }
    struct alk_config_options o = options_for("");
    o.default_data_dir = "relative";
    assert_int_equal(alk_config_load(&o, NULL, &fixed, &dynamic), ALK_E_INVALID);
    o.default_data_dir = NULL;
    assert_int_equal(alk_config_load(&o, NULL, &fixed, &dynamic), ALK_E_INVALID);
}

/* ------------------------------------------------------------------- errors */

struct error_case {
    const char *yaml, *want; /* first line of the message, after "n.yaml:" */
};

static const struct error_case error_cases[] = {
    /* listen */
    {"listen: localhost:4433", "1:9: error: this is not an IP address with a port in 0..65535 "
                               "(names are not looked up here)"},
    {"listen: \"127.0.0.1\"", "1:9: error: the port is missing: write address:port"},
    {"listen: \":4433\"", "1:9: error: the address is missing: 0.0.0.0 and [::] mean all of them"},
    {"listen: \"::1:4433\"",
     "1:9: error: the address is missing: 0.0.0.0 and [::] mean all of them"},
    {"listen: \"2001:db8::1:4433\"", "1:9: error: an IPv6 address is written [address]:port"},
    {"listen: \"127.0.0.1:65536\"", "1:9: error: this is not an IP address with a port in "
                                    "0..65535 (names are not looked up here)"},
    {"listen: []", "1:9: error: listen must have 1..16 elements, not 0"},
    {"listen: [\"1.1.1.1:1\", \"1.1.1.1:1\"]",
     "1:23: error: this address is taken by the one at n.yaml:1:10"},
    {"listen: [\"[::]:1\", \"[::1]:1\"]",
     "1:20: error: this address is taken by the one at n.yaml:1:10"},
    {"listen: [\"127.0.0.1:1\", \"0.0.0.0:1\"]",
     "1:25: error: this address is taken by the one at n.yaml:1:10"},
    {"advertise: node", "1:12: error: advertise must be name:port, address:port or [address]:port"},
    {"advertise: \"a b:1\"",
     "1:12: error: advertise must be name:port, address:port or [address]:port"},
    {"advertise: a:0", "1:12: error: advertise must be name:port, address:port or [address]:port"},
    {"default_alpn: nobody", "1:15: error: no service with this ALPN runs on TCP"},
    {"default_alpn: h3\nservices: {http: {}}",
     "1:15: error: no service with this ALPN runs on TCP"},
    {"data_dir: x", "1:11: error: data_dir must be absolute here"},
    {"data_dir: ~/x", "1:11: error: '~' has no meaning here: write the path in full"},
    {"user: \"a b\"", "1:7: error: this is not a user name"},
    {"loops: 257", "1:8: error: loops must be 0..256, not '257'"},
    {"limits: {memory: 16MiB, memory_per_connection: 17MiB}",
     "1:48: error: memory_per_connection must not be more than memory"},
    {"limits: {memory: 16MiB, memory_per_connection: 16MiB, auth_failure_windw: 1s}",
     "1:55: error: unknown key 'auth_failure_windw' in limits: did you mean "
     "'auth_failure_window'?"},
    {"log: {levels: {\"q c\": info}}", "1:15: error: this is not a component's name"},
    {"identity: {certificates: [{cert: a}]}", "1:27: error: certificates[0] needs 'key'"},
    {"identity: {certificates: [{cert: a, key: b, sni: \"a b\"}]}",
     "1:50: error: a server name must be a DNS name, or *.name"},
    /* services */
    {"services: {gti: {}}", "1:12: error: unknown key 'gti' in services: did you mean 'git'?"},
    {"services: {gopher: {}}", "1:12: error: unknown key 'gopher' in services (known: call, http, "
                               "git, echo, custom)"},
    {"services: {exec: {}}", "1:12: error: unknown key 'exec' in services (known: call, http, git, "
                             "echo, custom)"},
    {"services: {git: {rot: x}}", "1:18: error: unknown key 'rot' in git: did you mean 'root'?"},
    {"services: {git: {require: nobody}}",
     "1:27: error: mode must be identity or none, not 'nobody'"},
    {"services: {git: {require: {mode: none, scopes: [a]}}}",
     "1:27: error: scopes need an identity: mode none cannot have any"},
    {"services: {git: {isolation: thread}}",
     "1:29: error: isolation must be in-process or process, not 'thread'"},
    {"services: {echo: {}}", "1:18: error: echo needs 'alpn'"},
    {"services: {echo: {alpn: alknet/git}}", "1:25: error: this ALPN is that of the service 'git'"},
    {"services: {custom: [{alpn: a}]}",
     "1:21: error: a custom service needs one of 'exec' and 'forward'"},
    {"services: {custom: [{alpn: a, exec: [/x], forward: \"unix:/x\"}]}",
     "1:21: error: a custom service needs one of 'exec' and 'forward'"},
    {"services: {custom: [{exec: [/x]}]}", "1:21: error: custom[0] needs 'alpn'"},
    {"services: {custom: [{alpn: \"\", exec: [/x]}]}",
     "1:28: error: alpn must have 1..31 bytes, not 0"},
    {"services: {custom: [{alpn: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, exec: [/x]}]}",
     "1:28: error: alpn must have 1..31 bytes, not 32"},
    {"services: {custom: [{alpn: \"a\\n\", exec: [/x]}]}",
     "1:28: error: an ALPN must not hold control characters"},
    {"services: {custom: [{alpn: alknet/mine, exec: [/x]}]}",
     "1:28: error: names that begin with alknet/ are reserved"},
    {"services: {custom: [{alpn: alknet/git, exec: [/x]}]}",
     "1:28: error: this ALPN is that of the service 'git'"},
    {"services: {echo: {alpn: a}, custom: [{alpn: a, exec: [/x]}]}",
     "1:45: error: this ALPN is that of the service 'echo'"},
    {"services: {custom: [{alpn: a, exec: [/x]}, {alpn: a, exec: [/y]}]}",
     "1:51: error: this ALPN stands at n.yaml:1:28 already"},
    {"services: {custom: [{alpn: a, exec: []}]}",
     "1:37: error: exec must have 1..256 elements, not 0"},
    {"services: {custom: [{alpn: a, exec: [x]}]}",
     "1:37: error: the program must be given by its absolute path"},
    {"services: {custom: [{alpn: a, exec: [/x], cwd: y}]}",
     "1:48: error: the path must be absolute"},
    {"services: {custom: [{alpn: a, exec: [/x], env: {1A: y}}]}",
     "1:48: error: the name of a variable is letters, digits and _"},
    {"services: {custom: [{alpn: a, exec: [/x], env: {ALKNET_ALPN: y}}]}",
     "1:48: error: variables ALKNET_... are set by the node"},
    {"services: {custom: [{alpn: a, exec: [/x], proxy_protocol: true}]}",
     "1:43: error: proxy_protocol has no meaning without 'forward'"},
    {"services: {custom: [{alpn: a, forward: \"tcp:127.0.0.1:1\", env: {A: b}}]}",
     "1:59: error: env has no meaning without 'exec'"},
    {"services: {custom: [{alpn: a, forward: \"127.0.0.1:1\"}]}",
     "1:40: error: forward must be unix:/path or tcp:address:port"},
    {"services: {custom: [{alpn: a, forward: \"tcp:127.0.0.1:0\"}]}",
     "1:40: error: the port must be 1..65535"},
    {"services: {custom: [{alpn: a, forward: \"unix:x\"}]}",
     "1:40: error: the path of a unix socket must be absolute"},
    {"services: {custom: [{alpn: a, forward: \"unix:/"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaa\"}]}",
     "1:40: error: the path of a unix socket must have at most 107 bytes"},
    /* auth */
    {"auth: {peers: [{keys: []}]}", "1:16: error: peers[0] needs 'id'"},
    {"auth: {peers: [{id: a}, {id: a}]}", "1:30: error: this id stands at n.yaml:1:21 already"},
    {"auth: {peers: [{id: a, keys: \"" KEY1 "\"}, {id: b, keys: \"" KEY1_SSH "\"}]}",
     "1:121: error: this key stands at n.yaml:1:30 already"},
    {"auth: {tokens: [{id: a, prefix: abcdefgh, hash: \"" HASH "\"}, {id: b, prefix: abcdefgh, "
     "hash: \"" HASH "\"}]}",
     "1:141: error: this prefix stands at n.yaml:1:33 already"},
};

static void mistakes_are_told_with_their_place(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(error_cases) / sizeof(error_cases[0]); i++) {
        struct alk_config_options o = options_for(error_cases[i].yaml);
        struct alk_conf_errors errors = {0};
        struct loaded l = {NULL, NULL};
        alk_err err = alk_config_load(&o, &errors, &l.fixed, &l.dynamic);
        if (err != ALK_E_CONFIG) {
            print_error("accepted: %s\n", error_cases[i].yaml);
        }
        assert_int_equal(err, ALK_E_CONFIG);
        assert_memory_equal(errors.text, "n.yaml:", 7);
        *strchr(errors.text, '\n') = '\0';
        assert_string_equal(errors.text + 7, error_cases[i].want);
        assert_int_equal(errors.count, 1);
        alk_conf_errors_fini(&errors);
    }
}

/* Rows of auth that go to the checks of core/auth: one of each is refused. */
static void auth_rows_are_checked(void **unused)
{
    static const char *const cases[] = {
        "auth: {peers: [{id: A}]}",
        "auth: {peers: [{id: \".a\"}]}",
        "auth: {peers: [{id: a, keys: [\"ed25519:00\"]}]}",
        "auth: {peers: [{id: a, keys: [\"ssh-rsa AAAA\"]}]}",
        "auth: {peers: [{id: a, scopes: [\"a:*:b\"]}]}",
        "auth: {peers: [{id: a, scopes: [\"a:b:c:d:e\"]}]}",
        "auth: {peers: [{id: a, scopes: [\"\"]}]}",
        "auth: {peers: [{id: a, resources: {Repo: x}}]}",
        "auth: {peers: [{id: a, resources: {repo: [{name: x, actions: [READ]}]}}]}",
        "auth: {tokens: [{id: a, prefix: short, hash: \"" HASH "\"}]}",
        "auth: {tokens: [{id: a, prefix: abcdefg_, hash: \"" HASH "\"}]}",
        "auth: {tokens: [{id: a, prefix: abcdefgh, hash: \"sha256:00\"}]}",
        "auth: {tokens: [{id: a, prefix: abcdefgh, hash: \"" HASH "\", expires_at: 2027-13-01}]}",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_config_options o = options_for(cases[i]);
        struct alk_conf_errors errors = {0};
        struct loaded l = {NULL, NULL};
        if (alk_config_load(&o, &errors, &l.fixed, &l.dynamic) != ALK_E_CONFIG) {
            fail_msg("accepted: %s", cases[i]);
        }
        assert_null(strstr(errors.text, "sha256:00")); /* a hash is not shown */
        alk_conf_errors_fini(&errors);
    }
}

static void a_wrong_override_is_told_without_a_place(void **unused)
{
    static const char *const listen[] = {"nowhere", NULL};
    struct alk_config_options o = options_for("");
    struct alk_conf_errors errors = {0};
    struct loaded l = {NULL, NULL};
    (void)unused;
    o.listen = listen;
    assert_int_equal(alk_config_load(&o, &errors, &l.fixed, &l.dynamic), ALK_E_CONFIG);
    assert_string_equal(errors.text, "n.yaml: error: listen nowhere: the port is missing: write "
                                     "address:port\n");
    alk_conf_errors_fini(&errors);
}

static void custom_services_need_the_handlers_that_run_them(void **unused)
{
    struct alk_config_options o = options_for("services: {custom: [{alpn: a, exec: [/x]}]}");
    struct alk_conf_errors errors = {0};
    struct loaded l = {NULL, NULL};
    (void)unused;
    o.handler_count = 4; /* without exec and forward */
    assert_int_equal(alk_config_load(&o, &errors, &l.fixed, &l.dynamic), ALK_E_CONFIG);
    assert_non_null(strstr(errors.text, "n.yaml:1:37: error: 'exec' is not available here"));
    alk_conf_errors_fini(&errors);
}

static void forward_targets_are_taken_apart(void **unused)
{
    struct alk_config_forward f;
    char why[160];
    (void)unused;
    assert_int_equal(alk_config_forward_parse(ALK_LIT("unix:/run/x.sock"), &f, why, sizeof(why)),
                     ALK_OK);
    assert_int_equal(f.kind, ALK_CONFIG_FORWARD_UNIX);
    assert_string_equal(f.path, "/run/x.sock");
    assert_int_equal(alk_config_forward_parse(ALK_LIT("tcp:[::1]:5222"), &f, why, sizeof(why)),
                     ALK_OK);
    assert_int_equal(f.kind, ALK_CONFIG_FORWARD_TCP);
    assert_int_equal(f.addr.family, 6);
    assert_int_equal(f.addr.port, 5222);
}

/* ------------------------------------------------------------------- memory */

static alk_err load_once(const struct alk_mem *mem, void *ctx)
{
    struct alk_config_options o = options_for(ctx);
    struct alk_conf_errors errors = {0};
    struct loaded l = {NULL, NULL};
    o.mem = mem;
    alk_err err = alk_config_load(&o, &errors, &l.fixed, &l.dynamic);
    if (err == ALK_OK) {
        alk_static_config_unref(alk_static_config_ref(l.fixed));
        alk_dynamic_config_unref(alk_dynamic_config_ref(l.dynamic));
        unload(l);
    }
    alk_conf_errors_fini(&errors);
    return err;
}

static void every_failed_allocation_is_told_and_leaks_nothing(void **unused)
{
    static char yaml[] = "auth: {peers: [{id: a, keys: [\"" KEY1 "\"], resources: {repo: x}}]}\n"
                         "log: {levels: {a: info}}\n"
                         "identity: {certificates: [{cert: c, key: k, sni: x}]}\n"
                         "services: {git: {}, custom: [{alpn: a, exec: [/x], require: "
                         "{scopes: [b]}}]}\n";
    (void)unused;
    oom_sweep(load_once, yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_document_is_a_working_node),
        cmocka_unit_test(the_documents_example_is_understood),
        cmocka_unit_test(services_run_as_their_section_says),
        cmocka_unit_test(a_service_is_found_by_alpn_and_transport),
        cmocka_unit_test(the_caller_overrides_the_document),
        cmocka_unit_test(a_relative_data_dir_starts_at_the_file),
        cmocka_unit_test(listeners_may_name_a_default_alpn_of_their_own),
        cmocka_unit_test(services_can_wait_for_their_handlers),
        cmocka_unit_test(wrong_options_and_handlers_are_the_callers_bug),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(auth_rows_are_checked),
        cmocka_unit_test(a_wrong_override_is_told_without_a_place),
        cmocka_unit_test(custom_services_need_the_handlers_that_run_them),
        cmocka_unit_test(forward_targets_are_taken_apart),
        cmocka_unit_test(every_failed_allocation_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
