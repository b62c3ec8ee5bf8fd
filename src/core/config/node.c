/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/node.h"

#include "core/config/arena.h"
#include "core/config/node_check.h"
#include "core/config/node_rows.h"

#include "base/mem.h"

#include <stdatomic.h>

struct snapshot_static {
    struct alk_static_config config; /* first: what others see */
    const struct alk_mem *mem;
    atomic_size_t refs;
    struct alk_arena arena;
};

struct snapshot_dynamic {
    struct alk_dynamic_config config; /* first: what others see */
    const struct alk_mem *mem;
    atomic_size_t refs;
    struct alk_arena arena;
    const char *data_dir; /* absolute, from the arena */
};

/* The count is the one thing that changes in an immutable snapshot. */
static struct snapshot_static *static_of(const struct alk_static_config *config)
{
    union {
        const struct alk_static_config *in;
        struct snapshot_static *out;
    } u = {config};
    return u.out;
}

static struct snapshot_dynamic *dynamic_of(const struct alk_dynamic_config *config)
{
    union {
        const struct alk_dynamic_config *in;
        struct snapshot_dynamic *out;
    } u = {config};
    return u.out;
}

const struct alk_static_config *alk_static_config_ref(const struct alk_static_config *config)
{
    atomic_fetch_add_explicit(&static_of(config)->refs, 1, memory_order_relaxed);
    return config;
}

void alk_static_config_unref(const struct alk_static_config *config)
{
    struct snapshot_static *s = static_of(config);
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        alk_conf_unref(s->config.tree);
        alk_arena_fini(&s->arena);
        alk_free(s->mem, s);
    }
}

const struct alk_dynamic_config *alk_dynamic_config_ref(const struct alk_dynamic_config *config)
{
    atomic_fetch_add_explicit(&dynamic_of(config)->refs, 1, memory_order_relaxed);
    return config;
}

void alk_dynamic_config_unref(const struct alk_dynamic_config *config)
{
    struct snapshot_dynamic *s = dynamic_of(config);
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        alk_conf_unref(s->config.tree);
        alk_arena_fini(&s->arena);
        alk_free(s->mem, s);
    }
}

/* -------------------------------------------------------------------- paths */

/* dir + "/" + path, or path where it is absolute. NULL without memory. */
static const char *join(struct alk_arena *arena, const char *dir, const char *path)
{
    if (path[0] == '/' || dir == NULL) {
        return alk_arena_dup(arena, alk_span_str(path));
    }
    size_t dir_n = strlen(dir);
    while (dir_n > 1 && dir[dir_n - 1] == '/') {
        dir_n--;
    }
    size_t path_n = strlen(path);
    char *joined = alk_arena_alloc(arena, dir_n + path_n + 2, 1);
    if (joined != NULL) {
        size_t gap = dir[dir_n - 1] != '/';
        memcpy(joined, dir, dir_n);
        joined[dir_n] = '/';
        memcpy(joined + dir_n + gap, path, path_n);
    }
    return joined;
}

static const char *data_dir_of(struct alk_arena *arena, const struct alk_config_options *o,
                               const struct alk_conf *tree)
{
    const struct alk_conf *row = alk_conf_get(tree, "data_dir");
    if (o->data_dir != NULL) {
        return alk_arena_dup(arena, alk_span_str(o->data_dir));
    }
    if (row == NULL) {
        return alk_arena_dup(arena, alk_span_str(o->default_data_dir));
    }
    /* `data_dir: .` is the directory of the configuration file. */
    const char *path = alk_conf_str(row);
    return join(arena, o->base_dir,
                strcmp(path, ".") == 0 && o->base_dir != NULL ? o->base_dir : path);
}

/* A text of the tree, or NULL when it is not there. */
static const char *text_of(const struct alk_conf *conf)
{
    return conf == NULL ? NULL : alk_conf_str(conf);
}

/* ------------------------------------------------------------------- static */

static alk_err fill_static(struct snapshot_static *s, const struct alk_config_options *o,
                           const struct alk_conf *tree)
{
    struct alk_static_config *c = &s->config;
    const struct alk_conf *user = alk_conf_get(tree, "user");
    const struct alk_conf *host_user = alk_conf_get(tree, "host_user");
    c->tree = alk_conf_ref(tree);
    c->data_dir = data_dir_of(&s->arena, o, tree);
    if (c->data_dir == NULL) {
        return ALK_E_NOMEM;
    }
    c->user = alk_conf_str(user);
    c->host_user = alk_conf_str(host_user);
    c->user_is_set = alk_conf_is_set(user);
    c->host_user_is_set = alk_conf_is_set(host_user);
    c->loops = o->loops != 0 ? o->loops : (unsigned)alk_conf_get_uint(tree, "loops");
    c->node_key =
        join(&s->arena, c->data_dir, alk_conf_get_str(alk_conf_get(tree, "identity"), "key"));
    return c->node_key == NULL ? ALK_E_NOMEM : ALK_OK;
}

static alk_err new_static(const struct alk_config_options *o, const struct alk_conf *tree,
                          const struct alk_static_config **ret)
{
    struct snapshot_static *s = ALK_NEW(o->mem, struct snapshot_static);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    s->mem = o->mem;
    atomic_init(&s->refs, 1);
    alk_arena_init(&s->arena, o->mem);
    alk_err err = fill_static(s, o, tree);
    if (err != ALK_OK) {
        alk_static_config_unref(&s->config);
        return err;
    }
    *ret = &s->config;
    return ALK_OK;
}

/* ------------------------------------------------------------------ dynamic */

static alk_err fill_listener(struct alk_config_listener *l, struct alk_span address,
                             const char *default_alpn)
{
    char why[160];
    ALK_TRY(alk_config_addr_parse(address, &l->addr, why, sizeof(why)));
    alk_addr_print(&l->addr, true, l->text, sizeof(l->text));
    l->default_alpn = default_alpn;
    return ALK_OK;
}

static alk_err fill_listeners(struct snapshot_dynamic *s, const struct alk_config_options *o)
{
    struct alk_dynamic_config *c = &s->config;
    const struct alk_conf *listen = alk_conf_get(c->tree, "listen");
    size_t n = alk_conf_count(listen);
    if (o->listen != NULL) {
        for (n = 0; o->listen[n] != NULL; n++) {
        }
    }
    struct alk_config_listener *l = alk_arena_alloc(&s->arena, n, sizeof(*l));
    if (l == NULL) {
        return ALK_E_NOMEM;
    }
    c->listeners = l;
    c->listen_is_set = o->listen != NULL || alk_conf_is_set(listen);
    for (size_t i = 0; i < n; i++) {
        if (o->listen != NULL) {
            ALK_TRY(fill_listener(&l[i], alk_span_str(o->listen[i]), c->default_alpn));
        } else {
            const struct alk_conf *row = alk_conf_at(listen, i);
            const char *own = text_of(alk_conf_get(row, "default_alpn"));
            ALK_TRY(fill_listener(&l[i], alk_conf_span(alk_conf_get(row, "address")),
                                  own != NULL ? own : c->default_alpn));
        }
    }
    c->listener_count = n;
    return ALK_OK;
}

/* The texts of a list; they borrow from the tree. */
static alk_err fill_texts(struct alk_arena *arena, const struct alk_conf *list,
                          const char *const **ret, size_t *ret_n)
{
    size_t n = alk_conf_count(list);
    const char **texts = alk_arena_alloc(arena, n == 0 ? 1 : n, sizeof(*texts));
    if (texts == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        texts[i] = alk_conf_str(alk_conf_at(list, i));
    }
    *ret = texts;
    *ret_n = n;
    return ALK_OK;
}

static alk_err fill_identity(struct snapshot_dynamic *s)
{
    struct alk_dynamic_config *c = &s->config;
    const struct alk_conf *identity = alk_conf_get(c->tree, "identity");
    const struct alk_conf *list = alk_conf_get(identity, "certificates");
    size_t n = alk_conf_count(list);
    struct alk_config_certificate *certs =
        alk_arena_alloc(&s->arena, n == 0 ? 1 : n, sizeof(*certs));
    if (certs == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const struct alk_conf *row = alk_conf_at(list, i);
        certs[i].cert = join(&s->arena, s->data_dir, alk_conf_get_str(row, "cert"));
        certs[i].key = join(&s->arena, s->data_dir, alk_conf_get_str(row, "key"));
        if (certs[i].cert == NULL || certs[i].key == NULL) {
            return ALK_E_NOMEM;
        }
        ALK_TRY(
            fill_texts(&s->arena, alk_conf_get(row, "sni"), &certs[i].sni, &certs[i].sni_count));
    }
    c->certificates = certs;
    c->certificate_count = n;
    c->self_signed = alk_conf_get_bool(identity, "self_signed");
    return ALK_OK;
}

static void fill_limits(struct alk_dynamic_config *c)
{
    const struct alk_conf *l = alk_conf_get(c->tree, "limits");
    c->limits = (struct alk_config_limits){
        .memory = alk_conf_get_uint(l, "memory"),
        .memory_per_connection = alk_conf_get_uint(l, "memory_per_connection"),
        .connections = (uint32_t)alk_conf_get_uint(l, "connections"),
        .connections_per_ip = (uint32_t)alk_conf_get_uint(l, "connections_per_ip"),
        .handshakes = (uint32_t)alk_conf_get_uint(l, "handshakes"),
        .retry_above = (uint32_t)alk_conf_get_uint(l, "retry_above"),
        .resets_per_second = (uint32_t)alk_conf_get_uint(l, "resets_per_second"),
        .handshake_timeout = alk_conf_get_uint(l, "handshake_timeout"),
        .idle_timeout = alk_conf_get_uint(l, "idle_timeout"),
        .streams_per_connection = (uint32_t)alk_conf_get_uint(l, "streams_per_connection"),
        .streams_without_identity = (uint32_t)alk_conf_get_uint(l, "streams_without_identity"),
        .auth_failures = (uint32_t)alk_conf_get_uint(l, "auth_failures"),
        .auth_failure_window = alk_conf_get_uint(l, "auth_failure_window"),
        .hosts = (uint32_t)alk_conf_get_uint(l, "hosts"),
    };
}

static alk_err fill_log(struct snapshot_dynamic *s)
{
    struct alk_config_log *log = &s->config.log;
    const struct alk_conf *row = alk_conf_get(s->config.tree, "log");
    const struct alk_conf *levels = alk_conf_get(row, "levels");
    size_t n = alk_conf_count(levels);
    struct alk_config_log_level *l = alk_arena_alloc(&s->arena, n == 0 ? 1 : n, sizeof(*l));
    if (l == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const struct alk_conf *level = alk_conf_at(levels, i);
        l[i] = (struct alk_config_log_level){alk_conf_key(level),
                                             (enum alk_log_level)alk_conf_uint(level)};
    }
    log->levels = l;
    log->level_count = n;
    log->format = (enum alk_config_log_format)alk_conf_get_uint(row, "format");
    log->level = (enum alk_log_level)alk_conf_get_uint(row, "level");
    const char *audit = alk_conf_get_str(row, "audit");
    if (audit[0] != '\0') {
        log->audit = join(&s->arena, s->data_dir, audit);
        return log->audit == NULL ? ALK_E_NOMEM : ALK_OK;
    }
    return ALK_OK;
}

/* ----------------------------------------------------------------- services */

static alk_err fill_service(struct snapshot_dynamic *s, const struct alk_handler *handler,
                            const struct alk_conf *conf, struct alk_config_service *ret)
{
    const struct alk_conf *require = alk_conf_get(conf, "require");
    const struct alk_conf *mode = alk_conf_get(require, "mode");
    const struct alk_conf *isolation = alk_conf_get(conf, "isolation");
    ret->handler = handler;
    ret->conf = conf;
    ALK_TRY(
        fill_texts(&s->arena, alk_conf_get(require, "scopes"), &ret->scopes, &ret->scope_count));
    ret->is_process = (handler->flags & ALK_HANDLER_SPAWNS) == 0 &&
                      (isolation == NULL
                           ? (handler->flags & ALK_HANDLER_PROCESS) != 0
                           : alk_conf_uint(isolation) == ALK_CONFIG_ISOLATION_PROCESS);
    /* Scopes are somebody's: asking for them is asking for an identity. */
    ret->needs_identity = mode != NULL
                              ? alk_conf_uint(mode) == ALK_CONFIG_REQUIRE_IDENTITY
                              : ret->scope_count > 0 || (handler->flags & ALK_HANDLER_PUBLIC) == 0;
    if (handler->alpn_count > 0) {
        ret->name = handler->name;
        ret->alpns = handler->alpns;
        ret->alpn_count = handler->alpn_count;
        return ALK_OK;
    }
    struct alk_alpn *alpn = alk_arena_alloc(&s->arena, 1, sizeof(*alpn));
    if (alpn == NULL) {
        return ALK_E_NOMEM;
    }
    *alpn = (struct alk_alpn){alk_conf_get_str(conf, "alpn"), ALK_TRANSPORT_ANY};
    ret->is_custom = alk_config_is_custom_handler(handler);
    ret->name = ret->is_custom ? alpn->name : handler->name;
    ret->alpns = alpn;
    ret->alpn_count = 1;
    return ALK_OK;
}

static alk_err fill_services(struct snapshot_dynamic *s, const struct alk_config_options *o)
{
    const struct alk_conf *services = alk_conf_get(s->config.tree, "services");
    const struct alk_conf *custom = alk_conf_get(services, "custom");
    size_t max = o->handler_count + alk_conf_count(custom) + 1;
    size_t n = 0;
    struct alk_config_service *list = alk_arena_alloc(&s->arena, max, sizeof(*list));
    if (list == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < o->handler_count; i++) {
        const struct alk_conf *conf = alk_conf_get(services, o->handlers[i]->name);
        if (conf != NULL && alk_conf_get_bool(conf, "enabled")) {
            ALK_TRY(fill_service(s, o->handlers[i], conf, &list[n++]));
        }
    }
    for (size_t i = 0; i < alk_conf_count(custom); i++) {
        const struct alk_conf *conf = alk_conf_at(custom, i);
        if (alk_conf_get_bool(conf, "enabled")) {
            const struct alk_handler *h = alk_config_handler(o, alk_config_custom_kind(conf));
            ALK_TRY(fill_service(s, h, conf, &list[n++]));
        }
    }
    s->config.services = list;
    s->config.service_count = n;
    return ALK_OK;
}

static alk_err fill_dynamic(struct snapshot_dynamic *s, const struct alk_config_options *o,
                            const struct alk_conf *tree)
{
    struct alk_dynamic_config *c = &s->config;
    c->tree = alk_conf_ref(tree);
    c->generation = o->generation == 0 ? 1 : o->generation;
    c->auth = alk_conf_get(tree, "auth");
    c->advertise = text_of(alk_conf_get(tree, "advertise"));
    c->default_alpn = text_of(alk_conf_get(tree, "default_alpn"));
    c->drain_timeout = alk_conf_get_uint(tree, "drain_timeout");
    c->watch = alk_conf_get_bool(tree, "watch");
    s->data_dir = data_dir_of(&s->arena, o, tree);
    if (s->data_dir == NULL) {
        return ALK_E_NOMEM;
    }
    fill_limits(c);
    ALK_TRY(fill_listeners(s, o));
    ALK_TRY(fill_identity(s));
    ALK_TRY(fill_log(s));
    return o->ignore_services ? ALK_OK : fill_services(s, o);
}

static alk_err new_dynamic(const struct alk_config_options *o, const struct alk_conf *tree,
                           const struct alk_dynamic_config **ret)
{
    struct snapshot_dynamic *s = ALK_NEW(o->mem, struct snapshot_dynamic);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    s->mem = o->mem;
    atomic_init(&s->refs, 1);
    alk_arena_init(&s->arena, o->mem);
    alk_err err = fill_dynamic(s, o, tree);
    if (err != ALK_OK) {
        alk_dynamic_config_unref(&s->config);
        return err;
    }
    *ret = &s->config;
    return ALK_OK;
}

/* --------------------------------------------------------------------- load */

static bool is_absolute(const char *path)
{
    return path == NULL || path[0] == '/';
}

static bool are_options_good(const struct alk_config_options *o)
{
    return (o->handlers != NULL || o->handler_count == 0) && is_absolute(o->base_dir) &&
           is_absolute(o->data_dir) && is_absolute(o->default_data_dir) &&
           (o->data_dir != NULL || o->default_data_dir != NULL) && o->loops <= ALK_CONFIG_LOOPS_MAX;
}

static alk_err load_tree(const struct alk_config_options *o, struct alk_conf_errors *errors,
                         const struct alk_conf **ret)
{
    static const struct alk_handler *const none[] = {NULL};
    const struct alk_handler *const *handlers = o->handlers == NULL ? none : o->handlers;
    struct alk_config_options options = *o;
    struct alk_conf_source source = {
        .text = o->text,
        .name = o->name,
        .opener = o->opener,
        .verify = alk_config_verify,
        .verify_ctx = &options,
    };
    struct alk_arena tables;
    alk_arena_init(&tables, o->mem);
    alk_err err = alk_config_table(&tables, o->ignore_services ? NULL : handlers, o->handler_count,
                                   &source.table);
    if (err == ALK_OK) {
        err = alk_conf_load(o->mem, &source, errors, ret);
    }
    alk_arena_fini(&tables);
    return err;
}

alk_err alk_config_load(const struct alk_config_options *options, struct alk_conf_errors *errors,
                        const struct alk_static_config **ret_static,
                        const struct alk_dynamic_config **ret_dynamic)
{
    const struct alk_conf *tree = NULL;
    const struct alk_static_config *fixed = NULL;
    const struct alk_dynamic_config *dynamic = NULL;
    if (!are_options_good(options)) {
        return ALK_E_INVALID;
    }
    ALK_TRY(load_tree(options, errors, &tree));
    alk_err err = new_static(options, tree, &fixed);
    if (err == ALK_OK) {
        err = new_dynamic(options, tree, &dynamic);
    }
    alk_conf_unref(tree);
    if (err != ALK_OK) {
        alk_static_config_unref(fixed);
        return err;
    }
    *ret_static = fixed;
    *ret_dynamic = dynamic;
    return ALK_OK;
}

const struct alk_config_service *alk_config_service_find(const struct alk_dynamic_config *config,
                                                         struct alk_span alpn, unsigned transport)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct alk_config_service *s = &config->services[i];
        for (size_t k = 0; k < s->alpn_count; k++) {
            if ((s->alpns[k].transports & transport) != 0 && alk_span_is(alpn, s->alpns[k].name)) {
                return s;
            }
        }
    }
    return NULL;
}

enum alk_log_level alk_config_log_level(const struct alk_dynamic_config *config,
                                        const char *component)
{
    for (size_t i = 0; i < config->log.level_count; i++) {
        if (strcmp(config->log.levels[i].component, component) == 0) {
            return config->log.levels[i].level;
        }
    }
    return config->log.level;
}
