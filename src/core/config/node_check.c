/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/node_check.h"

#include "core/config/node_rows.h"

#define WHERE_SIZE 256
#define RESERVED   "alknet/"

const struct alk_handler *alk_config_handler(const struct alk_config_options *options,
                                             const char *name)
{
    for (size_t i = 0; i < options->handler_count; i++) {
        if (strcmp(options->handlers[i]->name, name) == 0) {
            return options->handlers[i];
        }
    }
    return NULL;
}

const char *alk_config_custom_kind(const struct alk_conf *service)
{
    bool is_exec = alk_conf_get(service, "exec") != NULL;
    bool is_forward = alk_conf_get(service, "forward") != NULL;
    if (is_exec == is_forward) {
        return NULL;
    }
    return is_exec ? "exec" : "forward";
}

/* ------------------------------------------------------------------- listen */

static bool is_any(const struct alk_addr *a)
{
    static const uint8_t zero[16] = {0};
    return memcmp(a->ip, zero, a->family == 4 ? 4 : 16) == 0;
}

/* Two listeners on one port: the same address, or one inside the other's "all
 * addresses". The kernel would give the more specific one all packets. */
static bool do_clash(const struct alk_addr *a, const struct alk_addr *b)
{
    if (a->family != b->family || a->port != b->port || a->port == 0) {
        return false;
    }
    return is_any(a) || is_any(b) || alk_addr_equal(a, b);
}

static void check_listen(const struct alk_conf *listen, struct alk_conf_report *report)
{
    struct alk_addr seen[ALK_CONFIG_LISTENERS_MAX];
    char why[160];
    size_t n = alk_conf_count(listen);
    for (size_t i = 0; i < n && i < ALK_CONFIG_LISTENERS_MAX; i++) {
        const struct alk_conf *address = alk_conf_get(alk_conf_at(listen, i), "address");
        if (alk_config_addr_parse(alk_conf_span(address), &seen[i], why, sizeof(why)) != ALK_OK) {
            alk_conf_error(report, address, "%s", why);
            return;
        }
        for (size_t k = 0; k < i; k++) {
            if (do_clash(&seen[i], &seen[k])) {
                char where[WHERE_SIZE];
                alk_conf_where(alk_conf_get(alk_conf_at(listen, k), "address"), where,
                               sizeof(where));
                alk_conf_error(report, address, "this address is taken by the one at %s", where);
                break;
            }
        }
    }
}

static void check_override(const struct alk_config_options *o, struct alk_conf_report *report)
{
    struct alk_addr addr;
    char why[160];
    size_t n = 0;
    for (; o->listen != NULL && o->listen[n] != NULL; n++) {
        struct alk_span text = alk_span_str(o->listen[n]);
        if (alk_config_addr_parse(text, &addr, why, sizeof(why)) != ALK_OK) {
            alk_conf_error(report, NULL, "listen %.60s: %s", o->listen[n], why);
        }
    }
    if (o->listen != NULL && (n == 0 || n > ALK_CONFIG_LISTENERS_MAX)) {
        alk_conf_error(report, NULL, "there must be 1..%d addresses to listen on, not %zu",
                       ALK_CONFIG_LISTENERS_MAX, n);
    }
}

/* ------------------------------------------------------------------ services */

static bool is_enabled(const struct alk_conf *service)
{
    return service != NULL && alk_conf_get_bool(service, "enabled");
}

static void check_require(const struct alk_conf *service, struct alk_conf_report *report)
{
    const struct alk_conf *require = alk_conf_get(service, "require");
    const struct alk_conf *mode = alk_conf_get(require, "mode");
    if (mode != NULL && alk_conf_uint(mode) == ALK_CONFIG_REQUIRE_NONE &&
        alk_conf_count(alk_conf_get(require, "scopes")) > 0) {
        alk_conf_error(report, require, "scopes need an identity: mode none cannot have any");
    }
}

static bool has_alpn(const struct alk_handler *handler, struct alk_span alpn, unsigned transports)
{
    for (size_t i = 0; i < handler->alpn_count; i++) {
        if (alk_span_is(alpn, handler->alpns[i].name) &&
            (handler->alpns[i].transports & transports) != 0) {
            return true;
        }
    }
    return false;
}

/* The service of another kind, or the earlier custom one, that has this ALPN. */
static void check_alpn(const struct alk_config_options *o, const struct alk_conf *services,
                       const struct alk_conf *alpn, size_t before, struct alk_conf_report *report)
{
    struct alk_span name = alk_conf_span(alpn);
    for (size_t i = 0; i < o->handler_count; i++) {
        const struct alk_handler *h = o->handlers[i];
        const struct alk_conf *section = alk_conf_get(services, h->name);
        if (has_alpn(h, name, ~0u) || (h->alpn_count == 0 && !alk_config_is_custom_handler(h) &&
                                       section != NULL && alpn != alk_conf_get(section, "alpn") &&
                                       alk_span_is(name, alk_conf_get_str(section, "alpn")))) {
            alk_conf_error(report, alpn, "this ALPN is that of the service '%s'", h->name);
            return;
        }
    }
    if (alk_span_starts(name, ALK_LIT(RESERVED))) {
        alk_conf_error(report, alpn, "names that begin with " RESERVED " are reserved");
        return;
    }
    const struct alk_conf *custom = alk_conf_get(services, "custom");
    for (size_t i = 0; i < before; i++) {
        const struct alk_conf *earlier = alk_conf_get(alk_conf_at(custom, i), "alpn");
        if (alk_span_equal(name, alk_conf_span(earlier))) {
            char where[WHERE_SIZE];
            alk_conf_where(earlier, where, sizeof(where));
            alk_conf_error(report, alpn, "this ALPN stands at %s already", where);
            return;
        }
    }
}

static void check_custom(const struct alk_config_options *o, const struct alk_conf *services,
                         size_t i, struct alk_conf_report *report)
{
    const struct alk_conf *service = alk_conf_at(alk_conf_get(services, "custom"), i);
    const char *kind = alk_config_custom_kind(service);
    check_alpn(o, services, alk_conf_get(service, "alpn"), i, report);
    check_require(service, report);
    if (kind == NULL) {
        alk_conf_error(report, service, "a custom service needs one of 'exec' and 'forward'");
        return;
    }
    if (is_enabled(service) && alk_config_handler(o, kind) == NULL) {
        alk_conf_error(report, alk_conf_get(service, kind), "'%s' is not available here", kind);
    }
}

static void check_services(const struct alk_config_options *o, const struct alk_conf *services,
                           struct alk_conf_report *report)
{
    for (size_t i = 0; i < o->handler_count; i++) {
        const struct alk_handler *h = o->handlers[i];
        const struct alk_conf *section = alk_conf_get(services, h->name);
        check_require(section, report);
        if (section != NULL && h->alpn_count == 0 && !alk_config_is_custom_handler(h)) {
            check_alpn(o, services, alk_conf_get(section, "alpn"), 0, report);
        }
    }
    size_t n = alk_conf_count(alk_conf_get(services, "custom"));
    for (size_t i = 0; i < n; i++) {
        check_custom(o, services, i, report);
    }
}

/* Whether a client on TCP may get this ALPN. */
static bool is_served(const struct alk_config_options *o, const struct alk_conf *services,
                      struct alk_span alpn)
{
    for (size_t i = 0; i < o->handler_count; i++) {
        const struct alk_handler *h = o->handlers[i];
        const struct alk_conf *section = alk_conf_get(services, h->name);
        if (is_enabled(section) &&
            (has_alpn(h, alpn, ALK_TRANSPORT_TLS) ||
             (h->alpn_count == 0 && alk_span_is(alpn, alk_conf_get_str(section, "alpn"))))) {
            return true;
        }
    }
    const struct alk_conf *custom = alk_conf_get(services, "custom");
    for (size_t i = 0; i < alk_conf_count(custom); i++) {
        const struct alk_conf *service = alk_conf_at(custom, i);
        if (is_enabled(service) && alk_span_is(alpn, alk_conf_get_str(service, "alpn"))) {
            return true;
        }
    }
    return false;
}

static void check_default_alpn(const struct alk_config_options *o, const struct alk_conf *root,
                               const struct alk_conf *alpn, struct alk_conf_report *report)
{
    const struct alk_conf *services = alk_conf_get(root, "services");
    if (alpn != NULL && !is_served(o, services, alk_conf_span(alpn))) {
        alk_conf_error(report, alpn, "no service with this ALPN runs on TCP");
    }
}

/* ----------------------------------------------------------------------- all */

static void check_data_dir(const struct alk_config_options *o, const struct alk_conf *root,
                           struct alk_conf_report *report)
{
    const struct alk_conf *dir = alk_conf_get(root, "data_dir");
    if (dir != NULL && o->data_dir == NULL && o->base_dir == NULL && alk_conf_str(dir)[0] != '/') {
        alk_conf_error(report, dir, "data_dir must be absolute here");
    }
}

static void check_limits(const struct alk_conf *limits, struct alk_conf_report *report)
{
    const struct alk_conf *one = alk_conf_get(limits, "memory_per_connection");
    const struct alk_conf *all = alk_conf_get(limits, "memory");
    if (alk_conf_uint(one) > alk_conf_uint(all)) {
        alk_conf_error(report, alk_conf_is_set(one) ? one : all,
                       "memory_per_connection must not be more than memory");
    }
}

alk_err alk_config_verify(void *ctx, const struct alk_conf *root, struct alk_conf_report *report)
{
    const struct alk_config_options *o = ctx;
    const struct alk_conf *listen = alk_conf_get(root, "listen");
    check_data_dir(o, root, report);
    check_limits(alk_conf_get(root, "limits"), report);
    check_listen(listen, report);
    check_override(o, report);
    if (!o->ignore_services) {
        check_services(o, alk_conf_get(root, "services"), report);
        check_default_alpn(o, root, alk_conf_get(root, "default_alpn"), report);
        for (size_t i = 0; i < alk_conf_count(listen); i++) {
            check_default_alpn(o, root, alk_conf_get(alk_conf_at(listen, i), "default_alpn"),
                               report);
        }
    }
    return alk_config_verify_auth(o->mem, alk_conf_get(root, "auth"), report);
}
