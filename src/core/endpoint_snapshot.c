/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct alk_snapshot *alk_snapshot_ref(struct alk_snapshot *s)
{
    (void)atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void alk_snapshot_unref(struct alk_snapshot *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < s->server_count; i++) {
        alk_tls_server_unref(s->servers[i].server);
    }
    alk_tls_server_unref(s->quic_server);
    alk_tls_creds_unref(s->creds);
    alk_routes_unref(s->routes);
    alk_dynamic_config_unref(s->config);
    alk_free(s->mem, s);
}

static bool is_same_alpn(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

struct alk_tls_server *alk_snapshot_server_at(const struct alk_snapshot *s, const char *address)
{
    const char *alpn = s->config->default_alpn;
    for (size_t i = 0; i < s->config->listener_count; i++) {
        if (strcmp(s->config->listeners[i].text, address) == 0) {
            alpn = s->config->listeners[i].default_alpn;
        }
    }
    for (size_t i = 0; i < s->server_count; i++) {
        if (is_same_alpn(s->servers[i].default_alpn, alpn)) {
            return s->servers[i].server;
        }
    }
    return s->quic_server; /* no default ALPN */
}

static void on_keylog(void *ctx, const char *line)
{
    (void)alk_line_file_put(ctx, alk_span_str(line));
}

static alk_err make_server(struct alk_endpoint *ep, const struct alk_snapshot *s,
                           const struct alk_ep_certs *certs, const char *default_alpn,
                           struct alk_tls_server **ret)
{
    struct alk_tls_server_options o = {.mem = ep->mem,
                                       .creds = certs->creds,
                                       .snis = certs->snis,
                                       .sni_count = certs->sni_count,
                                       .routes = s->routes,
                                       .replay = ep->replay,
                                       .default_alpn = default_alpn};
    memcpy(o.ticket_secret, ep->secrets.ticket_key, sizeof o.ticket_secret);
    if (ep->keylog != NULL) {
        o.keylog = on_keylog;
        o.keylog_ctx = ep->keylog;
    }
    return alk_tls_server_new(&o, ret);
}

static bool has_server(const struct alk_snapshot *s, const char *alpn)
{
    for (size_t i = 0; i < s->server_count; i++) {
        if (is_same_alpn(s->servers[i].default_alpn, alpn)) {
            return true;
        }
    }
    return false;
}

static alk_err make_servers(struct alk_endpoint *ep, struct alk_snapshot *s,
                            const struct alk_ep_certs *certs)
{
    const struct alk_dynamic_config *c = s->config;
    ALK_TRY(make_server(ep, s, certs, NULL, &s->quic_server));
    for (size_t i = 0; i <= c->listener_count; i++) {
        const char *alpn = i < c->listener_count ? c->listeners[i].default_alpn : c->default_alpn;
        if (alpn == NULL || has_server(s, alpn)) {
            continue;
        }
        struct alk_snapshot_server *at = &s->servers[s->server_count];
        ALK_TRY(make_server(ep, s, certs, alpn, &at->server));
        at->default_alpn = alpn;
        s->server_count++;
    }
    return ALK_OK;
}

alk_err alk_ep_snapshot_make(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                             const struct alk_ep_services *services,
                             const struct alk_ep_certs *certs, char *why, size_t why_size,
                             struct alk_snapshot **ret)
{
    const struct alk_service *a = NULL;
    const struct alk_service *b = NULL;
    struct alk_snapshot *s = ALK_NEW(ep->mem, struct alk_snapshot);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    s->mem = ep->mem;
    atomic_init(&s->refs, 1);
    s->config = alk_dynamic_config_ref(config);
    alk_err err = alk_routes_new(ep->mem, services->list, services->count, &s->routes, &a, &b);
    if (err == ALK_E_EXISTS) {
        (void)snprintf(why, why_size, "services '%s' and '%s' claim the same ALPN", a->name,
                       b->name);
        err = ALK_E_CONFIG;
    }
    if (err == ALK_OK) {
        s->creds = alk_tls_creds_ref(certs->creds);
        err = make_servers(ep, s, certs);
    }
    if (err != ALK_OK) {
        alk_snapshot_unref(s);
        return err;
    }
    *ret = s;
    return ALK_OK;
}

void alk_ep_snapshot_publish(struct alk_endpoint *ep, struct alk_snapshot *s)
{
    struct alk_snapshot *old = ep->snapshot;
    ep->snapshot = s;
    alk_snapshot_unref(old);
    for (size_t i = 0; i < ep->worker_count; i++) {
        alk_mail_snapshot(&ep->workers[i], s);
    }
}
