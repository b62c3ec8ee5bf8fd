/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/node.h - the configuration of a node (DESIGN.md §8) as two
 * immutable, counted snapshots.
 *
 * One document gives one struct alk_static_config (what only a restart changes:
 * data directory, users, loops, node key) and one struct alk_dynamic_config (all
 * the rest, swapped as a whole by a reload, see core/config/reload.h). Both may
 * be read, referenced and released from every thread. Everything has a default:
 * an empty document is a working configuration.
 *
 * Paths are given as they are to be opened: absolute, or relative to data_dir in
 * the document and joined with it here. Nothing here touches the file system.
 */
#ifndef ALK_CORE_CONFIG_NODE_H
#define ALK_CORE_CONFIG_NODE_H

#include "alknet/auth.h"
#include "alknet/endpoint.h"
#include "alknet/handler.h"
#include "core/addr.h"
#include "core/config/conf.h"

#define ALK_CONFIG_LISTENERS_MAX 16
#define ALK_CONFIG_LOOPS_MAX     256 /* one byte of the connection ID */
#define ALK_CONFIG_CUSTOM_MAX    256

/* An address as it stands in `listen`: a literal, never a name. Port 0: any, the
 * same for UDP and TCP. */
struct alk_config_listener {
    struct alk_addr addr;
    char text[ALK_ADDR_TEXT_MAX]; /* of addr, normalised: "[::1]:4433" */
    const char *default_alpn;     /* for TCP clients that send none; NULL: alert 120 */
};

struct alk_config_certificate {
    const char *cert, *key; /* paths of PEM files */
    const char *const *sni; /* server names it is for; none: the names inside it */
    size_t sni_count;
};

struct alk_config_limits {
    uint64_t memory;                /* bytes, of all connections together */
    uint64_t memory_per_connection; /* bytes */
    uint32_t connections;
    uint32_t connections_per_ip; /* an IPv6 /64 is one address */
    uint32_t handshakes;         /* under way at one time */
    uint32_t retry_above;        /* handshakes under way from which on Retry is demanded */
    uint32_t resets_per_second;  /* stateless resets, per loop */
    alk_time handshake_timeout;
    alk_time idle_timeout;
    uint32_t streams_per_connection;
    uint32_t streams_without_identity;
    uint32_t auth_failures; /* per address and per connection within the window */
    alk_time auth_failure_window;
    uint32_t hosts; /* handler processes and exec programs */
};

enum alk_config_log_format { ALK_CONFIG_LOG_TEXT, ALK_CONFIG_LOG_JSON };

struct alk_config_log_level {
    const char *component;
    enum alk_log_level level;
};

struct alk_config_log {
    enum alk_config_log_format format;
    enum alk_log_level level;
    const struct alk_config_log_level *levels; /* per component; these win */
    size_t level_count;
    const char *audit; /* path; NULL: no audit log */
};

struct alk_config_service {
    const char *name;                  /* "call"; of a custom service its ALPN */
    const struct alk_handler *handler; /* of a custom service the one named "exec" or "forward" */
    const struct alk_alpn *alpns;
    size_t alpn_count;
    const struct alk_conf *conf; /* the service's section: a map, never NULL */
    bool is_custom;
    bool is_process;           /* isolation: process */
    bool needs_identity;       /* false: require: none */
    const char *const *scopes; /* all of them are needed */
    size_t scope_count;
};

struct alk_static_config {
    const struct alk_conf *tree; /* the whole document, owned */
    const char *data_dir;        /* absolute */
    const char *user;            /* only when started as root */
    const char *host_user;
    bool user_is_set, host_user_is_set; /* the file said so: a missing user is an error then */
    unsigned loops;                     /* 0: one per core */
    const char *node_key;               /* path */
};

struct alk_dynamic_config {
    uint64_t generation;         /* 1 for the first, then rising by one */
    const struct alk_conf *tree; /* the whole document, owned; borrow sections from it */
    const struct alk_conf *auth; /* peers, tokens: checked for syntax and duplicates */
    const struct alk_config_listener *listeners;
    size_t listener_count;
    bool listen_is_set;    /* the file or the caller said so: else an address family that the
                         * machine lacks is no error */
    const char *advertise; /* "host:port"; NULL: unknown */
    const struct alk_config_certificate *certificates;
    size_t certificate_count;
    bool self_signed;
    struct alk_config_limits limits;
    alk_time drain_timeout;
    struct alk_config_log log;
    const char *default_alpn;                  /* NULL: none; already filled into the listeners */
    bool watch;                                /* reload when the file changes */
    const struct alk_config_service *services; /* the enabled ones, in the handlers' order */
    size_t service_count;
};

struct alk_config_options {
    const struct alk_mem *mem;
    struct alk_span text;         /* the document; empty: all defaults */
    const char *name;             /* its name in messages */
    const char *base_dir;         /* absolute: a relative data_dir of the document starts here;
                                   * NULL: it must be absolute */
    const char *default_data_dir; /* absolute; when the document names none */
    const char *data_dir;         /* overrides the document; NULL: does not */
    const char *const *listen;    /* overrides the document; NULL-terminated */
    unsigned loops;               /* overrides the document; 0: does not */
    const struct alk_handler *const *handlers; /* all that may be configured; must outlive the
                                                * snapshots */
    size_t handler_count;
    bool ignore_services; /* `services` is not looked at and gives no services: for the time
                           * before handlers are registered */
    const struct alk_conf_opener *opener; /* of encrypted values; NULL: they are errors */
    uint64_t generation;                  /* 0: 1 */
};

/* Reads, checks and takes apart a document. ALK_OK: one reference each.
 * ALK_E_CONFIG: *errors (may be NULL) tells all that is wrong. ALK_E_INVALID: an
 * option or a handler's table is wrong. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_config_load(const struct alk_config_options *options,
                                      struct alk_conf_errors *errors,
                                      const struct alk_static_config **ret_static,
                                      const struct alk_dynamic_config **ret_dynamic);

/* ref returns its argument; unref takes NULL. */
const struct alk_static_config *alk_static_config_ref(const struct alk_static_config *config);
void alk_static_config_unref(const struct alk_static_config *config);
const struct alk_dynamic_config *alk_dynamic_config_ref(const struct alk_dynamic_config *config);
void alk_dynamic_config_unref(const struct alk_dynamic_config *config);

/* The service behind an ALPN on a transport (a bit of enum alk_transport), or
 * NULL. */
const struct alk_config_service *alk_config_service_find(const struct alk_dynamic_config *config,
                                                         struct alk_span alpn, unsigned transport);
/* The level of a component: its own, else the general one. */
enum alk_log_level alk_config_log_level(const struct alk_dynamic_config *config,
                                        const char *component);

/* "192.0.2.1:443" or "[2001:db8::1]:443". ALK_E_CONFIG with a sentence in why. */
ALK_NODISCARD alk_err alk_config_addr_parse(struct alk_span text, struct alk_addr *ret, char *why,
                                            size_t why_size);

/* "name:port", "192.0.2.1:443" or "[2001:db8::1]:443", with a port that is not 0. */
bool alk_config_is_host_port(struct alk_span text);

/* The settings of custom services: the tables of the handlers named "exec" and
 * "forward" (struct alk_handler.settings). Rows: exec, stdio, cwd, user, env,
 * timeout, memory, max_instances; forward, connect_timeout, proxy_protocol. */
extern const struct alk_conf_row alk_config_exec_rows[];
extern const struct alk_conf_row alk_config_forward_rows[];

/* What a `forward:` row says. */
enum alk_config_forward_kind { ALK_CONFIG_FORWARD_UNIX, ALK_CONFIG_FORWARD_TCP };
struct alk_config_forward {
    enum alk_config_forward_kind kind;
    char path[108];       /* of a unix socket, absolute */
    struct alk_addr addr; /* of tcp */
};
/* "unix:/run/x.sock", "tcp:127.0.0.1:5222". ALK_E_CONFIG with a sentence in why. */
ALK_NODISCARD alk_err alk_config_forward_parse(struct alk_span text, struct alk_config_forward *ret,
                                               char *why, size_t why_size);

#endif
