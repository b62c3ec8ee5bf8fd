/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/endpoint.h - sockets, transports, loops, router and limits of a node.
 *
 *     struct alk_endpoint *ep;
 *     alk_endpoint_new(&(struct alk_endpoint_options){.struct_size = sizeof o, ...}, &ep);
 *     alk_router_add(alk_endpoint_router(ep), &my_handler, NULL);
 *     alk_endpoint_start(ep);      binds, starts services and loops
 *     alk_endpoint_run(ep);        until alk_endpoint_stop; or drive alk_endpoint_loop
 *     alk_endpoint_free(ep);
 */
#ifndef ALKNET_ENDPOINT_H
#define ALKNET_ENDPOINT_H

#include "alknet/handler.h"
#include "alknet/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct alk_endpoint;
struct alk_ops;         /* alknet/ops.h */
struct alk_conf_opener; /* the command's; not part of the library's interface yet */

struct alk_endpoint_options {
    size_t struct_size;
    const struct alk_mem *mem;
    const char *config_file;    /* NULL: config_text, or the defaults */
    struct alk_span config_text; /* used when config_file is NULL */
    const char *data_dir;       /* overrides the config */
    const char *const *listen;  /* overrides the config; NULL-terminated "addr:port" */
    unsigned loops;             /* 0: one per core */
    bool no_spawner;            /* no process isolation, no exec (embedding) */
    bool watch_config;          /* reload when the file changes */
    const char *keylog_file;    /* NSS key log; NULL: none */
    const char *qlog_dir;       /* one qlog file per QUIC connection; NULL: none */
    alk_log_fn *log;            /* NULL: the log goes to standard error as configured */
    void *log_ctx;
    /* Opens `!encrypted` values of the configuration; NULL: they are errors. Borrows
     * until the endpoint is freed. */
    const struct alk_conf_opener *opener;
    struct alk_ops *ops; /* what services offer as operations (alk_env.ops); NULL: the handler
                          * `call` makes a registry of its own. Must outlive the endpoint */
};

/* Reads and checks the configuration and locks the data directory, but binds
 * nothing. On ALK_E_CONFIG *ret_message (may be NULL; caller frees with free())
 * tells all that is wrong. */
ALK_NODISCARD ALK_API alk_err alk_endpoint_new(const struct alk_endpoint_options *options,
                                               char **ret_message, struct alk_endpoint **ret);
ALK_API struct alk_router *alk_endpoint_router(struct alk_endpoint *endpoint);
/* Binds the listeners, starts services and loop threads. Forks the spawner first
 * (unless no_spawner), so call it before other threads are started. */
ALK_NODISCARD ALK_API alk_err alk_endpoint_start(struct alk_endpoint *endpoint, char **ret_message);
/* Runs the first loop on the calling thread until the endpoint has stopped. */
ALK_API void alk_endpoint_run(struct alk_endpoint *endpoint);
/* Orderly: stop accepting, drain, close with code 9. From every thread and from
 * signal handlers; a second call closes at once. */
ALK_API void alk_endpoint_stop(struct alk_endpoint *endpoint);
/* After run returned (or start was never called or failed). */
ALK_API void alk_endpoint_free(struct alk_endpoint *endpoint);
/* The first loop, to be driven by an embedding program. */
ALK_API struct alk_loop *alk_endpoint_loop(struct alk_endpoint *endpoint);

/* Reads the configuration again; `done` (may be NULL) runs later on the first
 * loop: with ALK_OK once the new one is in force on all loops, and notes about
 * what needs a restart in message, or with the error and the old configuration
 * still in force. When the endpoint is freed first, it runs then. On the first
 * loop only. */
typedef void alk_reload_fn(void *ctx, alk_err err, const char *message);
ALK_API void alk_endpoint_reload(struct alk_endpoint *endpoint, alk_reload_fn *done, void *ctx);

/* Address `i` that is really bound ("127.0.0.1:4433"); NULL beyond the last.
 * Valid until the next reload or stop. */
ALK_API const char *alk_endpoint_address(const struct alk_endpoint *endpoint, size_t i);
/* The node's public key, 52 z-base-32 characters, zero-terminated. */
ALK_API const char *alk_endpoint_key(const struct alk_endpoint *endpoint);

#ifdef __cplusplus
}
#endif

#endif
