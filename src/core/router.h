/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/router.h - services and the table from ALPN to service.
 *
 * A service is a handler with its settings. It is counted: routing tables hold
 * one reference and each of its connections one, so a service that a reload
 * removes or replaces lives on until its last connection has gone, and is then
 * stopped on the loop that started it. A routing table is immutable and counted;
 * a reload makes a new one. No limit on how many ALPNs there are.
 */
#ifndef ALK_CORE_ROUTER_H
#define ALK_CORE_ROUTER_H

#include "alknet/handler.h"
#include "base/err.h"
#include "base/span.h"
#include "core/metrics.h"

#include <stdatomic.h>

enum alk_require { ALK_REQUIRE_IDENTITY, ALK_REQUIRE_NONE, ALK_REQUIRE_SCOPES };

struct alk_service {
    atomic_size_t refs;
    const struct alk_mem *mem;
    char name[ALK_ID_MAX + 1];           /* "sftp", or the ALPN of a custom service */
    const struct alk_handler *handler;   /* what connections are given to */
    const struct alk_handler *inner;     /* of an isolated service: the one in the host */
    const struct alk_conf *conf;         /* one reference */
    void *state;                         /* what start returned */
    bool is_started;
    bool is_isolated;
    enum alk_require require;
    char (*scopes)[ALK_SCOPE_MAX + 1];   /* all of them are needed; owns */
    size_t scope_count;
    struct alk_alpn *alpns; /* owns, names too */
    size_t alpn_count;
    /* Runs once, on whichever thread drops the last reference; posts the stop to
     * the first loop and frees there. NULL: stop and free at once. */
    void (*retire)(struct alk_service *service, void *ctx);
    void *retire_ctx;
    atomic_uint_fast64_t conns_now, conns_total, streams_total, refused_total;
    atomic_uint_fast64_t bytes_in, bytes_out; /* see alk_metrics_count_bytes */
    struct alk_histogram conn_times, stream_times;
};

struct alk_service *alk_service_ref(struct alk_service *service);
void alk_service_unref(struct alk_service *service);
/* Frees without stopping: for retire, and for services that never started. */
void alk_service_free(struct alk_service *service);

struct alk_route {
    struct alk_span alpn; /* inside the service */
    unsigned transports;
    struct alk_service *service;
};

struct alk_routes {
    atomic_size_t refs;
    const struct alk_mem *mem;
    struct alk_service **services; /* a reference each */
    size_t service_count;
    struct alk_route *routes; /* sorted by ALPN */
    size_t route_count;
};

/* Takes a reference to each service. ALK_E_EXISTS: two services claim one ALPN
 * on one transport; *ret_a and *ret_b name them. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_routes_new(const struct alk_mem *mem, struct alk_service *const *services,
                                     size_t count, struct alk_routes **ret,
                                     const struct alk_service **ret_a,
                                     const struct alk_service **ret_b);
struct alk_routes *alk_routes_ref(struct alk_routes *routes);
void alk_routes_unref(struct alk_routes *routes);
/* NULL: none, or not on this transport. */
struct alk_service *alk_routes_find(const struct alk_routes *routes, struct alk_span alpn,
                                    enum alk_transport transport);

#endif
