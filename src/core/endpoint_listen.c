/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/mem.h"
#include "core/io/sock.h"

#include <stdio.h>
#include <string.h>

struct alk_group *alk_group_ref(struct alk_group *g)
{
    (void)atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void alk_group_unref(struct alk_group *g)
{
    if (g != NULL && atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1) {
        alk_bound_fini(&g->bound);
        alk_free(g->mem, g);
    }
}

static struct alk_group *group_new(struct alk_endpoint *ep, const char *config_text)
{
    struct alk_group *g = ALK_NEW(ep->mem, struct alk_group);
    if (g != NULL) {
        g->mem = ep->mem;
        atomic_init(&g->refs, 1);
        (void)snprintf(g->config_text, sizeof g->config_text, "%s", config_text);
    }
    return g;
}

void alk_ep_groups_release(struct alk_ep_groups *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        alk_group_unref(groups->list[i]);
    }
    groups->count = 0;
}

static struct alk_group *find(const struct alk_endpoint *ep, const char *config_text)
{
    for (size_t i = 0; i < ep->group_count; i++) {
        if (strcmp(ep->groups[i]->config_text, config_text) == 0) {
            return ep->groups[i];
        }
    }
    return NULL;
}

/* Ours hold a wildcard of the port (or the reverse): while they do, the system
 * lets nobody else in, us included. */
static bool is_shadowed(const struct alk_endpoint *ep, const struct alk_addr *addr)
{
    for (size_t i = 0; i < ep->group_count; i++) {
        const struct alk_addr *a = &ep->groups[i]->bound.addr;
        if (addr->port != 0 && a->port == addr->port && a->family == addr->family &&
            (alk_addr_is_any(a) || alk_addr_is_any(addr))) {
            return true;
        }
    }
    return false;
}

static alk_err bind_one(struct alk_endpoint *ep, const struct alk_config_listener *listener,
                        uint16_t preferred, char *why, size_t why_size, struct alk_group **ret)
{
    struct alk_bind_options o = {.mem = ep->mem, .preferred = preferred};
    struct alk_group *g = group_new(ep, listener->text);
    if (g == NULL) {
        return ALK_E_NOMEM;
    }
    o.loops = ep->loop_count;
    o.cid_len = ALK_QUIC_CID_LEN;
    o.addr = listener->addr;
    alk_err err = alk_bound_open(&o, why, why_size, &g->bound);
    if (err == ALK_E_BUSY && is_shadowed(ep, &o.addr)) {
        (void)snprintf(why, why_size,
                       "cannot listen on %s while the node listens on another address of the same "
                       "port: restart it, or choose another port",
                       listener->text);
    }
    if (err != ALK_OK) {
        alk_free(ep->mem, g);
        return err;
    }
    *ret = g;
    return ALK_OK;
}

/* Of our own list, not of one that somebody wrote down. */
static bool is_missing_family(const struct alk_dynamic_config *config, alk_err err)
{
    return !config->listen_is_set && (err == ALK_E_NOENT || err == ALK_E_UNREACHABLE);
}

alk_err alk_ep_groups_make(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                           char *why, size_t why_size, struct alk_ep_groups *ret)
{
    uint16_t preferred = 0;
    alk_err missing = ALK_OK;
    *ret = (struct alk_ep_groups){.count = 0};
    if (ep->group_count > 0 && ep->groups[0]->is_inherited) {
        /* The service manager decides where we listen. */
        for (size_t i = 0; i < ep->group_count; i++) {
            ret->list[ret->count++] = alk_group_ref(ep->groups[i]);
        }
        return ALK_OK;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct alk_config_listener *listener = &config->listeners[i];
        struct alk_group *g = find(ep, listener->text);
        alk_err err = ALK_OK;
        if (g != NULL) {
            g = alk_group_ref(g);
        } else {
            err = bind_one(ep, listener, preferred, why, why_size, &g);
        }
        if (is_missing_family(config, err)) {
            alk_ep_log(ep, ALK_LOG_INFO, "%s", why);
            missing = err;
            continue;
        }
        if (err != ALK_OK) {
            alk_ep_groups_release(ret);
            return err;
        }
        preferred = listener->addr.port == 0 ? g->bound.addr.port : preferred;
        ret->list[ret->count++] = g;
    }
    return ret->count == 0 ? missing : ALK_OK;
}

static struct alk_group *find_bound(const struct alk_endpoint *ep, const struct alk_addr *addr)
{
    for (size_t i = 0; i < ep->group_count; i++) {
        if (alk_addr_equal(&ep->groups[i]->bound.addr, addr)) {
            return ep->groups[i];
        }
    }
    return NULL;
}

static alk_err inherit(struct alk_endpoint *ep, int fd)
{
    bool is_stream = alk_sock_type(fd) == SOCK_STREAM;
    struct alk_addr addr = alk_sock_bound(fd);
    struct alk_group *g = addr.family == 0 ? NULL : find_bound(ep, &addr);
    if (addr.family == 0 || (g == NULL && ep->group_count == ALK_CONFIG_LISTENERS_MAX)) {
        return ALK_E_INVALID;
    }
    if (g != NULL) {
        return alk_bound_join(&g->bound, is_stream ? -1 : fd, is_stream ? fd : -1);
    }
    g = group_new(ep, "");
    if (g == NULL) {
        return ALK_E_NOMEM;
    }
    g->is_inherited = true;
    alk_err err = alk_bound_adopt(ep->mem, ep->loop_count, is_stream ? -1 : fd, is_stream ? fd : -1,
                                  &g->bound);
    if (err != ALK_OK) {
        alk_free(ep->mem, g);
        return err;
    }
    memcpy(g->config_text, g->bound.text, sizeof g->config_text);
    ep->groups[ep->group_count++] = g;
    return ALK_OK;
}

alk_err alk_ep_groups_inherit(struct alk_endpoint *ep, char *why, size_t why_size)
{
    int first = 0;
    size_t n = ep->no_spawner ? 0 : alk_listen_fds(&first);
    for (size_t i = 0; i < n; i++) {
        alk_err err = inherit(ep, first + (int)i);
        if (err != ALK_OK) {
            (void)snprintf(why, why_size, "socket %zu of the service manager cannot be used: %s", i,
                           alk_err_text(err));
            return err;
        }
    }
    return ALK_OK;
}

void alk_ep_groups_publish(struct alk_endpoint *ep, struct alk_ep_groups *groups)
{
    struct alk_ep_groups old = {.count = ep->group_count};
    memcpy(old.list, ep->groups, sizeof old.list);
    memcpy(ep->groups, groups->list, sizeof ep->groups);
    ep->group_count = groups->count;
    groups->count = 0;
    alk_ep_groups_release(&old);
    for (size_t i = 0; i < ep->worker_count; i++) {
        alk_mail_groups(&ep->workers[i], ep->groups, ep->group_count);
    }
}
