/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/mem.h"
#include "core/host/isolate.h"

#include <stdio.h>
#include <string.h>

/* --- retiring ------------------------------------------------------------- */

static void stop_and_free(struct alk_ep_service *es)
{
    struct alk_service *service = es->service;
    const struct alk_mem *mem = es->ep->mem;
    if (service->is_started && service->handler->stop != NULL) {
        service->handler->stop(service->state);
    }
    alk_ep_log(es->ep, ALK_LOG_DEBUG, "service '%s' has ended", es->name);
    alk_service_free(service);
    alk_free(mem, es);
}

void alk_ep_services_reap(struct alk_endpoint *ep)
{
    for (;;) {
        (void)pthread_mutex_lock(&ep->retired_lock);
        struct alk_ep_service *es = ep->retired;
        ep->retired = es == NULL ? NULL : es->next;
        (void)pthread_mutex_unlock(&ep->retired_lock);
        if (es == NULL) {
            return;
        }
        stop_and_free(es);
    }
}

static void on_reap(void *ep)
{
    alk_ep_services_reap(ep);
}

/* On whichever thread dropped the last reference. A full queue of posts is no
 * harm: the next reload or the stop reaps too. */
static void on_retire(struct alk_service *service, void *ctx)
{
    struct alk_ep_service *es = ctx;
    struct alk_endpoint *ep = es->ep;
    (void)service;
    (void)pthread_mutex_lock(&ep->retired_lock);
    es->next = ep->retired;
    ep->retired = es;
    (void)pthread_mutex_unlock(&ep->retired_lock);
    if (!ep->is_loop_gone) {
        alk_err err = alk_post(ep->workers[0].loop, on_reap, ep);
        (void)err;
    }
}

/* --- making --------------------------------------------------------------- */

static alk_err copy_alpns(struct alk_service *s, const struct alk_alpn *alpns, size_t n)
{
    size_t bytes = n * sizeof *alpns;
    for (size_t i = 0; i < n; i++) {
        bytes += strlen(alpns[i].name) + 1;
    }
    s->alpns = alk_zalloc(s->mem, 1, bytes == 0 ? 1 : bytes);
    if (s->alpns == NULL) {
        return ALK_E_NOMEM;
    }
    char *text = (char *)(s->alpns + n);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(alpns[i].name) + 1;
        memcpy(text, alpns[i].name, len);
        s->alpns[i] = (struct alk_alpn){.name = text, .transports = alpns[i].transports};
        text += len;
    }
    s->alpn_count = n;
    return ALK_OK;
}

static alk_err copy_scopes(struct alk_service *s, const struct alk_config_service *c)
{
    s->require = c->needs_identity ? ALK_REQUIRE_IDENTITY : ALK_REQUIRE_NONE;
    if (c->scope_count == 0) {
        return ALK_OK;
    }
    s->require = ALK_REQUIRE_SCOPES;
    s->scopes = alk_zalloc(s->mem, c->scope_count, sizeof *s->scopes);
    if (s->scopes == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < c->scope_count; i++) {
        (void)snprintf(s->scopes[i], sizeof s->scopes[i], "%s", c->scopes[i]);
    }
    s->scope_count = c->scope_count;
    return ALK_OK;
}

static alk_err service_new(struct alk_endpoint *ep, const struct alk_config_service *c,
                           struct alk_service **ret)
{
    struct alk_service *s = ALK_NEW(ep->mem, struct alk_service);
    struct alk_ep_service *es = ALK_NEW(ep->mem, struct alk_ep_service);
    if (s == NULL || es == NULL) {
        alk_free(ep->mem, s);
        alk_free(ep->mem, es);
        return ALK_E_NOMEM;
    }
    atomic_init(&s->refs, 1);
    s->mem = ep->mem;
    s->handler = c->handler;
    s->conf = alk_conf_ref(c->conf);
    (void)snprintf(s->name, sizeof s->name, "%s", c->name);
    (void)snprintf(es->name, sizeof es->name, "%s", c->name);
    es->service = s;
    es->ep = ep;
    es->env = (struct alk_env){.struct_size = sizeof es->env,
                               .mem = ep->mem,
                               .endpoint = ep,
                               .loop = ep->workers[0].loop,
                               .service = es->name,
                               .log = alk_log_line,
                               .log_ctx = ep->log,
                               .spawner = ep->spawner,
                               .ops = ep->ops};
    s->retire = on_retire;
    s->retire_ctx = es;
    alk_err err = copy_alpns(s, c->alpns, c->alpn_count);
    if (err == ALK_OK) {
        err = copy_scopes(s, c);
    }
    if (err != ALK_OK) {
        alk_service_free(s);
        alk_free(ep->mem, es);
        return err;
    }
    *ret = s;
    return ALK_OK;
}

static alk_err isolate(struct alk_endpoint *ep, struct alk_service *s)
{
    struct alk_loop *loops[ALK_CONFIG_LOOPS_MAX];
    struct alk_isolate_options o = {.spawner = ep->spawner, .loops = loops};
    for (size_t i = 0; i < ep->worker_count; i++) {
        loops[i] = ep->workers[i].loop;
    }
    o.loop_count = ep->worker_count;
    o.log = alk_log_line;
    o.log_ctx = ep->log;
    return alk_isolate_service(s, &o);
}

static alk_err service_start(struct alk_endpoint *ep, struct alk_service *s, bool is_process)
{
    const struct alk_ep_service *es = s->retire_ctx;
    if (is_process && ep->spawner != NULL) {
        return isolate(ep, s);
    }
    if (s->handler->start != NULL) {
        ALK_TRY(s->handler->start(s->conf, &es->env, &s->state));
    }
    s->is_started = true;
    return ALK_OK;
}

static alk_err make_one(struct alk_endpoint *ep, const struct alk_config_service *c, char *why,
                        size_t why_size, struct alk_service **ret)
{
    struct alk_service *s;
    alk_err err = service_new(ep, c, &s);
    if (err == ALK_OK) {
        err = service_start(ep, s, c->is_process);
        if (err != ALK_OK) {
            alk_service_unref(s);
        }
    }
    if (err != ALK_OK) {
        char where[128];
        alk_conf_where(c->conf, where, sizeof where);
        (void)snprintf(why, why_size, "%s: service '%s' does not start: %s", where, c->name,
                       alk_err_text(err));
        return err;
    }
    *ret = s;
    return ALK_OK;
}

/* A handler with settings of the program's own. */
static struct alk_config_service own_service(const struct alk_router *router, size_t i)
{
    const struct alk_handler *h = router->handlers[i];
    return (struct alk_config_service){.name = h->name,
                                       .handler = h,
                                       .alpns = h->alpns,
                                       .alpn_count = h->alpn_count,
                                       .conf = router->confs[i],
                                       .is_process = (h->flags & ALK_HANDLER_PROCESS) != 0,
                                       .needs_identity = (h->flags & ALK_HANDLER_PUBLIC) == 0};
}

static bool is_changed(const struct alk_config_diff *diff, const char *name)
{
    for (size_t i = 0; diff != NULL && i < diff->changed_count; i++) {
        if (strcmp(diff->changed[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static struct alk_service *find(const struct alk_routes *routes, const char *name)
{
    for (size_t i = 0; routes != NULL && i < routes->service_count; i++) {
        if (strcmp(routes->services[i]->name, name) == 0) {
            return routes->services[i];
        }
    }
    return NULL;
}

/* --- settings in place ---------------------------------------------------- */

static bool has_same_alpns(const struct alk_service *s, const struct alk_config_service *c)
{
    bool is_same = s->alpn_count == c->alpn_count;
    for (size_t i = 0; is_same && i < s->alpn_count; i++) {
        is_same = strcmp(s->alpns[i].name, c->alpns[i].name) == 0 &&
                  s->alpns[i].transports == c->alpns[i].transports;
    }
    return is_same;
}

static bool has_same_access(const struct alk_service *s, const struct alk_config_service *c)
{
    bool is_same = s->scope_count == c->scope_count &&
                   (s->require == ALK_REQUIRE_NONE) == (!c->needs_identity && c->scope_count == 0);
    for (size_t i = 0; is_same && i < s->scope_count; i++) {
        is_same = strcmp(s->scopes[i], c->scopes[i]) == 0;
    }
    return is_same;
}

/* Whether nothing but the handler's own settings has changed, and it can take
 * new ones. */
static bool may_reconfigure(const struct alk_service *s, const struct alk_config_service *c)
{
    return s->handler == c->handler && s->handler->reconfigure != NULL && !s->is_isolated &&
           !c->is_process && has_same_alpns(s, c) && has_same_access(s, c);
}

/* What is to take new settings once everything else has succeeded. */
struct change {
    size_t at; /* in the list of services */
    const struct alk_config_service *to;
    bool is_done;
};
struct changes {
    struct change list[ALK_CONFIG_CUSTOM_MAX + ALK_ENDPOINT_HANDLERS_MAX];
    size_t count;
};

static void take_back(const struct alk_ep_services *services, const struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        struct alk_service *s = services->list[changes->list[i].at];
        if (changes->list[i].is_done) {
            (void)s->handler->reconfigure(s->state, s->conf); /* it has run with them before */
        }
    }
}

static alk_err reconfigure_all(struct alk_endpoint *ep, struct changes *changes, char *why,
                               size_t why_size, struct alk_ep_services *services)
{
    for (size_t i = 0; i < changes->count; i++) {
        struct change *ch = &changes->list[i];
        struct alk_service *s = services->list[ch->at];
        struct alk_service *fresh = NULL;
        alk_err err = s->handler->reconfigure(s->state, ch->to->conf);
        ch->is_done = err == ALK_OK;
        if (err == ALK_E_UNSUPPORTED) {
            err = make_one(ep, ch->to, why, why_size, &fresh);
        } else if (err != ALK_OK) {
            (void)snprintf(why, why_size, "service '%s' refuses its new settings: %s", ch->to->name,
                           alk_err_text(err));
        }
        if (err != ALK_OK) {
            take_back(services, changes);
            return err;
        }
        if (fresh != NULL) {
            services->list[ch->at] = fresh;
            alk_service_unref(s);
        }
    }
    for (size_t i = 0; i < changes->count; i++) {
        struct alk_service *s = services->list[changes->list[i].at];
        if (changes->list[i].is_done) {
            const struct alk_conf *old = s->conf;
            s->conf = alk_conf_ref(changes->list[i].to->conf);
            alk_conf_unref(old);
        }
    }
    return ALK_OK;
}

/* --- the services of a configuration -------------------------------------- */

static alk_err add(struct alk_endpoint *ep, const struct alk_config_service *c,
                   struct alk_service *old, struct changes *changes, char *why, size_t why_size,
                   struct alk_ep_services *ret)
{
    struct alk_service *s = old;
    if (old == NULL) {
        ALK_TRY(make_one(ep, c, why, why_size, &s));
    } else {
        s = alk_service_ref(old);
        if (changes != NULL) {
            changes->list[changes->count++] = (struct change){.at = ret->count, .to = c};
        }
    }
    ret->list[ret->count++] = s;
    return ALK_OK;
}

static alk_err add_configured(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                              const struct alk_routes *old, const struct alk_config_diff *diff,
                              struct changes *changes, char *why, size_t why_size,
                              struct alk_ep_services *ret)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct alk_config_service *c = &config->services[i];
        struct alk_service *s = find(old, c->name);
        bool has_changed = s != NULL && is_changed(diff, c->name);
        if (has_changed && !may_reconfigure(s, c)) {
            s = NULL;
        }
        ALK_TRY(add(ep, c, s, has_changed ? changes : NULL, why, why_size, ret));
    }
    return ALK_OK;
}

alk_err alk_ep_services_make(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                             const struct alk_routes *old, const struct alk_config_diff *diff,
                             char *why, size_t why_size, struct alk_ep_services *ret)
{
    size_t max = config->service_count + ep->router.count;
    struct changes *changes = ALK_NEW(ep->mem, struct changes);
    *ret = (struct alk_ep_services){.count = 0};
    ret->list = alk_zalloc(ep->mem, max + 1, sizeof *ret->list);
    alk_err err = ret->list == NULL || changes == NULL ? ALK_E_NOMEM : ALK_OK;
    if (err == ALK_OK) {
        err = add_configured(ep, config, old, diff, changes, why, why_size, ret);
    }
    for (size_t i = 0; err == ALK_OK && i < ep->router.count; i++) {
        if (ep->router.confs[i] != NULL) {
            struct alk_config_service own = own_service(&ep->router, i);
            err = add(ep, &own, find(old, own.name), NULL, why, why_size, ret);
        }
    }
    if (err == ALK_OK) {
        err = reconfigure_all(ep, changes, why, why_size, ret);
    }
    alk_free(ep->mem, changes);
    if (err != ALK_OK) {
        alk_ep_services_release(ep, ret);
    }
    return err;
}

void alk_ep_services_release(struct alk_endpoint *ep, struct alk_ep_services *services)
{
    for (size_t i = 0; i < services->count; i++) {
        alk_service_unref(services->list[i]);
    }
    alk_free(ep->mem, services->list);
    *services = (struct alk_ep_services){.count = 0};
}
