/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/handler.h - the vtable behind an ALPN.
 *
 * A service is an ALPN: a handler with its settings. Adding one is one line,
 *
 *     alk_router_add(alk_endpoint_router(ep), &my_handler, NULL);
 *
 * Promises to every handler (each has a test in tests/unit/core_dispatch.c):
 *
 *  1. All calls for one connection run on that connection's loop, never overlap
 *     and never re-enter: a call that causes another event returns first.
 *  2. `open` comes first, at the first stream data or at the end of the
 *     handshake, whichever is earlier; `close` comes exactly once and last, also
 *     when `open` fails. Nothing is called for a connection that never opened.
 *  3. A service that is not ALK_HANDLER_EARLY_SAFE sees nothing before the
 *     handshake is confirmed.
 *  4. Freeing or closing a connection or stream inside a call is allowed; it
 *     takes effect after the call.
 *  5. `drain` comes before shutdown, with a deadline; `close` follows.
 *  6. `start` and `stop` run once per service on the endpoint's first loop;
 *     `open` and what follows may run on any loop, so what they share through
 *     the service object must be immutable or synchronised.
 */
#ifndef ALKNET_HANDLER_H
#define ALKNET_HANDLER_H

#include "alknet/conf.h"
#include "alknet/conn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ALK_HANDLER_ABI 1

struct alk_alpn {
    const char *name;    /* 1-31 bytes */
    unsigned transports; /* mask of enum alk_transport */
};

enum {
    ALK_HANDLER_EARLY_SAFE = 1, /* may see 0-RTT data; holds back effects itself */
    ALK_HANDLER_PROCESS = 2,    /* runs in a process of its own unless configured otherwise */
    ALK_HANDLER_PUBLIC = 4,     /* accepts peers without identity and guards each request */
    ALK_HANDLER_DEFAULT_ON = 8, /* runs also when the config does not name it */
    ALK_HANDLER_CONNECTS = 16,  /* its process may open outgoing TCP connections */
    ALK_HANDLER_SPAWNS = 32     /* each stream is a process of its own already: the handler
                                 * stays in the node's, whatever `isolation` says */
};

enum alk_log_level { ALK_LOG_ERROR, ALK_LOG_WARN, ALK_LOG_INFO, ALK_LOG_DEBUG, ALK_LOG_TRACE };
/* One finished line without line break; from every thread. */
typedef void alk_log_fn(void *ctx, enum alk_log_level level, const char *component,
                        const char *line);

struct alk_spawner;
struct alk_ops;

/* What a service may use besides its settings. Valid until `stop` returns. */
struct alk_env {
    size_t struct_size;
    const struct alk_mem *mem;
    struct alk_endpoint *endpoint; /* NULL in a host process */
    struct alk_loop *loop;         /* the loop that start runs on */
    const char *service;           /* name for the log */
    bool is_host;                  /* running in a handler process */
    alk_log_fn *log;               /* NULL: nobody listens */
    void *log_ctx;
    struct alk_spawner *spawner;   /* starts programs; NULL: none (embedding, hosts) */
    struct alk_ops *ops;           /* alk_endpoint_options.ops; NULL: none */
};

typedef alk_err alk_start_fn(const struct alk_conf *conf, const struct alk_env *env,
                             void **ret_service);
/* Takes changed settings in place. ALK_E_UNSUPPORTED (or no such call): a new
 * service is started for new connections and the old one is stopped when its
 * last connection has gone. */
typedef alk_err alk_reconfigure_fn(void *service, const struct alk_conf *conf);
typedef void alk_stop_fn(void *service);
/* A failure closes the connection with alk_err_code(err). `auth` borrows until
 * the call returns. */
typedef alk_err alk_open_fn(void *service, struct alk_conn *conn,
                            const struct alk_auth_context *auth, void **ret_state);
/* The peer opened a stream: call alk_stream_on in here. A failure resets that
 * stream with alk_err_code(err); the connection's other streams go on. */
typedef alk_err alk_accept_stream_fn(void *state, struct alk_stream *stream);
typedef void alk_datagram_fn(void *state, struct alk_span data);
/* Identity, scopes or confirmation changed: see alk_conn_auth. */
typedef void alk_auth_changed_fn(void *state);
/* Stream credit is back after ALK_FULL from alk_conn_open_stream. */
typedef void alk_credit_fn(void *state);
/* Finish what is under way before `deadline`; no new streams will come. */
typedef void alk_drain_fn(void *state, alk_time deadline);
/* Exactly once, last. `why` is ALK_OK for an orderly end. Streams still open are
 * invalid when it returns. */
typedef void alk_close_fn(void *state, alk_err why, uint64_t code);

/* Only `open` is required. */
struct alk_handler {
    size_t struct_size;
    uint32_t abi; /* ALK_HANDLER_ABI */
    const char *name;
    const char *summary; /* one line for `alknet status` and the manual */
    const struct alk_alpn *alpns;
    size_t alpn_count; /* 0: the ALPN comes from the config (custom services) */
    const struct alk_conf_row *settings;
    uint32_t flags;
    alk_start_fn *start;
    alk_reconfigure_fn *reconfigure;
    alk_stop_fn *stop;
    alk_open_fn *open;
    alk_accept_stream_fn *stream;
    alk_datagram_fn *datagram;
    alk_auth_changed_fn *auth_changed;
    alk_credit_fn *credit;
    alk_drain_fn *drain;
    alk_close_fn *close;
};

struct alk_router;
/* Registers a handler; it must outlive the endpoint. Its service runs with
 * `conf` (copied reference), or, when conf is NULL, with the section
 * services.<name> of the endpoint's configuration. Before the endpoint starts.
 * ALK_E_EXISTS: name taken. ALK_E_INVALID: ABI, name or an ALPN is wrong. */
ALK_NODISCARD ALK_API alk_err alk_router_add(struct alk_router *router,
                                             const struct alk_handler *handler,
                                             const struct alk_conf *conf);

#ifdef __cplusplus
}
#endif

#endif
