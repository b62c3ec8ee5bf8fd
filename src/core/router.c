/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/router.h"

#include "base/mem.h"

#include <stdlib.h>

struct alk_service *alk_service_ref(struct alk_service *service)
{
    (void)atomic_fetch_add_explicit(&service->refs, 1, memory_order_relaxed);
    return service;
}

void alk_service_free(struct alk_service *service)
{
    if (service == NULL) {
        return;
    }
    const struct alk_mem *mem = service->mem;
    alk_conf_unref(service->conf);
    alk_free(mem, service->scopes);
    alk_free(mem, service->alpns);
    alk_free(mem, service);
}

void alk_service_unref(struct alk_service *service)
{
    if (service == NULL ||
        atomic_fetch_sub_explicit(&service->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (service->retire != NULL) {
        service->retire(service, service->retire_ctx);
        return;
    }
    if (service->is_started && service->handler->stop != NULL) {
        service->handler->stop(service->state);
    }
    alk_service_free(service);
}

/* Lengths first: cheaper than bytes, and any total order serves. */
static int compare(struct alk_span a, struct alk_span b)
{
    if (a.n != b.n) {
        return a.n < b.n ? -1 : 1;
    }
    return a.n == 0 ? 0 : memcmp(a.p, b.p, a.n); /* not secret */
}

static int compare_routes(const void *a, const void *b)
{
    const struct alk_route *x = a;
    const struct alk_route *y = b;
    return compare(x->alpn, y->alpn);
}

static alk_err fill(struct alk_routes *r, struct alk_service *const *services, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += services[i]->alpn_count;
    }
    r->services = alk_zalloc(r->mem, count + 1, sizeof *r->services);
    r->routes = alk_zalloc(r->mem, total + 1, sizeof *r->routes);
    if (r->services == NULL || r->routes == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        r->services[r->service_count++] = alk_service_ref(services[i]);
        for (size_t k = 0; k < services[i]->alpn_count; k++) {
            const struct alk_alpn *a = &services[i]->alpns[k];
            r->routes[r->route_count++] = (struct alk_route){
                .alpn = alk_span_str(a->name),
                .transports = a->transports,
                .service = services[i],
            };
        }
    }
    if (r->route_count > 1) {
        qsort(r->routes, r->route_count, sizeof *r->routes, compare_routes);
    }
    return ALK_OK;
}

/* Two routes for one name may stand side by side when their transports differ. */
static const struct alk_route *conflict(const struct alk_routes *r, size_t i)
{
    for (size_t k = i + 1; k < r->route_count; k++) {
        if (compare(r->routes[i].alpn, r->routes[k].alpn) != 0) {
            break;
        }
        if ((r->routes[i].transports & r->routes[k].transports) != 0) {
            return &r->routes[k];
        }
    }
    return NULL;
}

alk_err alk_routes_new(const struct alk_mem *mem, struct alk_service *const *services,
                       size_t count, struct alk_routes **ret, const struct alk_service **ret_a,
                       const struct alk_service **ret_b)
{
    struct alk_routes *r = ALK_NEW(mem, struct alk_routes);
    if (r == NULL) {
        return ALK_E_NOMEM;
    }
    r->mem = mem;
    atomic_init(&r->refs, 1);
    alk_err err = fill(r, services, count);
    for (size_t i = 0; err == ALK_OK && i < r->route_count; i++) {
        const struct alk_route *other = conflict(r, i);
        if (other != NULL) {
            *ret_a = r->routes[i].service;
            *ret_b = other->service;
            err = ALK_E_EXISTS;
        }
    }
    if (err != ALK_OK) {
        alk_routes_unref(r);
        return err;
    }
    *ret = r;
    return ALK_OK;
}

struct alk_routes *alk_routes_ref(struct alk_routes *routes)
{
    (void)atomic_fetch_add_explicit(&routes->refs, 1, memory_order_relaxed);
    return routes;
}

void alk_routes_unref(struct alk_routes *routes)
{
    if (routes == NULL ||
        atomic_fetch_sub_explicit(&routes->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < routes->service_count; i++) {
        alk_service_unref(routes->services[i]);
    }
    alk_free(routes->mem, routes->services);
    alk_free(routes->mem, routes->routes);
    alk_free(routes->mem, routes);
}

struct alk_service *alk_routes_find(const struct alk_routes *routes, struct alk_span alpn,
                                    enum alk_transport transport)
{
    size_t lo = 0;
    size_t hi = routes->route_count;
    while (lo < hi) { /* first route whose name is not smaller */
        size_t mid = lo + (hi - lo) / 2;
        if (compare(routes->routes[mid].alpn, alpn) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    for (; lo < routes->route_count && compare(routes->routes[lo].alpn, alpn) == 0; lo++) {
        if ((routes->routes[lo].transports & (unsigned)transport) != 0) {
            return routes->routes[lo].service;
        }
    }
    return NULL;
}
