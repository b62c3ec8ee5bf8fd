/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/io/path.h"
#include "core/io/rand.h"
#include "core/store/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_MAX_BYTES 4096
#define STDERR_FD      2

/* --- small things --------------------------------------------------------- */

alk_err alk_ep_message_text(char **ret_message, alk_err err, const char *text)
{
    if (ret_message != NULL) {
        free(*ret_message);
        *ret_message = strdup(text); /* the caller's to free(); NULL reads as "no message" */
    }
    return err;
}

alk_err alk_ep_message(char **ret_message, alk_err err, const char *fmt, ...)
{
    char text[ALK_ENDPOINT_WHY];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return alk_ep_message_text(ret_message, err, text);
}

void alk_ep_free_message(char *message)
{
    free(message);
}

void alk_ep_log(struct alk_endpoint *ep, enum alk_log_level level, const char *fmt, ...)
{
    char text[ALK_ENDPOINT_WHY];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    alk_log_line(ep->log, level, "endpoint", text);
}

void alk_endpoint_log(struct alk_endpoint *ep, enum alk_log_level level, const char *component,
                      const char *fmt, ...)
{
    char text[ALK_ENDPOINT_WHY];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    alk_log_line(ep->log, level, component, text);
}

void alk_endpoint_tap_log(struct alk_endpoint *ep, struct alk_log_tap *tap)
{
    alk_log_tap_add(ep->log, tap);
}

void alk_endpoint_untap_log(struct alk_endpoint *ep, struct alk_log_tap *tap)
{
    alk_log_tap_remove(ep->log, tap);
}

alk_err alk_ep_read_config(struct alk_endpoint *ep, struct alk_buf *ret)
{
    if (ep->config_file != NULL) {
        return alk_file_read(ep->config_file, ALK_CONF_TEXT_MAX, ret);
    }
    return alk_buf_put(ret, alk_span(ep->config_text, ep->config_text_n));
}

/* --- options -------------------------------------------------------------- */

static bool copy_text(struct alk_endpoint *ep, char **dst, const char *text)
{
    if (text == NULL) {
        return true;
    }
    *dst = alk_strdup_span(ep->mem, alk_span_str(text));
    return *dst != NULL;
}

static bool copy_listen(struct alk_endpoint *ep, const char *const *listen)
{
    size_t n = 0;
    if (listen == NULL) {
        return true;
    }
    while (listen[n] != NULL) {
        n++;
    }
    ep->listen = alk_zalloc(ep->mem, n + 1, sizeof *ep->listen);
    for (size_t i = 0; ep->listen != NULL && i < n; i++) {
        if (!copy_text(ep, &ep->listen[i], listen[i])) {
            return false;
        }
    }
    return ep->listen != NULL;
}

/* A relative data_dir in the file starts where the file is. */
static bool find_base_dir(struct alk_endpoint *ep)
{
    char path[PATH_MAX_BYTES];
    char dir[PATH_MAX_BYTES];
    const char *slash = ep->config_file == NULL ? NULL : strrchr(ep->config_file, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - ep->config_file);
    if (slash == ep->config_file && slash != NULL) {
        n = 1;
    }
    if (!alk_span_cstr(n == 0 ? ALK_LIT(".") : alk_span(ep->config_file, n), dir, sizeof dir) ||
        !alk_path_absolute(dir, path, sizeof path)) {
        return false;
    }
    return copy_text(ep, &ep->base_dir, path);
}

static bool find_data_dirs(struct alk_endpoint *ep, const char *option)
{
    char path[PATH_MAX_BYTES];
    if (alk_datadir_default(path, sizeof path) != ALK_OK) {
        path[0] = '\0'; /* no home: the configuration has to say */
    }
    if (!copy_text(ep, &ep->default_dir, path[0] == '\0' ? "/var/lib/alknet" : path)) {
        return false;
    }
    if (option == NULL) {
        return true;
    }
    return alk_path_absolute(option, path, sizeof path) &&
           copy_text(ep, &ep->data_dir_option, path);
}

static bool copy_options(struct alk_endpoint *ep, const struct alk_endpoint_options *o)
{
    ep->loops_option = o->loops;
    ep->no_spawner = o->no_spawner;
    ep->watch_option = o->watch_config;
    ep->ops = o->ops;
    ep->config_text_n = o->config_file == NULL ? o->config_text.n : 0;
    if (ep->config_text_n > 0) {
        ep->config_text = alk_strdup_span(ep->mem, o->config_text);
        if (ep->config_text == NULL) {
            return false;
        }
    }
    return copy_text(ep, &ep->config_file, o->config_file) &&
           copy_text(ep, &ep->keylog_path, o->keylog_file) &&
           copy_text(ep, &ep->qlog_dir, o->qlog_dir) && copy_listen(ep, o->listen) &&
           find_base_dir(ep) && find_data_dirs(ep, o->data_dir);
}

static void fill_config_options(struct alk_endpoint *ep, const struct alk_conf_opener *opener)
{
    ep->config_options = (struct alk_config_options){
        .mem = ep->mem,
        .name = ep->config_file == NULL ? "configuration" : ep->config_file,
        .base_dir = ep->base_dir,
        .default_data_dir = ep->default_dir,
        .data_dir = ep->data_dir_option,
        .listen = (const char *const *)(void *)ep->listen,
        .loops = ep->loops_option,
        .handlers = ep->router.configured,
        .opener = opener,
    };
}

/* --- new and free --------------------------------------------------------- */

/* The first reading: handlers are not known yet, so services are not looked at. */
static alk_err read_static(struct alk_endpoint *ep, char **ret_message)
{
    const struct alk_static_config *config = NULL;
    const struct alk_dynamic_config *dynamic = NULL;
    struct alk_conf_errors errors = {0};
    struct alk_config_options o = ep->config_options;
    struct alk_buf text;
    alk_buf_init(&text, ep->mem, ALK_CONF_TEXT_MAX + 1);
    alk_err err = alk_ep_read_config(ep, &text);
    if (err != ALK_OK) {
        err = alk_ep_message(ret_message, err, "cannot read %s: %s", o.name, alk_err_text(err));
    } else {
        o.text = alk_buf_span(&text);
        o.ignore_services = true;
        err = alk_config_load(&o, &errors, &config, &dynamic);
        if (err != ALK_OK) {
            err = alk_ep_message_text(ret_message, err,
                                      errors.text != NULL ? errors.text : alk_err_text(err));
        }
    }
    if (err == ALK_OK) {
        alk_log_configure(ep->log, dynamic);
        err = alk_ep_datadir_open(ep, config, ret_message);
    }
    alk_static_config_unref(config);
    alk_dynamic_config_unref(dynamic);
    alk_conf_errors_fini(&errors);
    alk_buf_fini_secret(&text);
    return err;
}

alk_err alk_endpoint_new(const struct alk_endpoint_options *options, char **ret_message,
                         struct alk_endpoint **ret)
{
    struct alk_endpoint_options o = {0};
    size_t n = options->struct_size;
    memcpy(&o, options, n == 0 || n > sizeof o ? sizeof o : n);
    if (ret_message != NULL) {
        *ret_message = NULL;
    }
    struct alk_endpoint *ep = ALK_NEW(o.mem, struct alk_endpoint);
    if (ep == NULL) {
        return ALK_E_NOMEM;
    }
    ep->mem = o.mem;
    ep->rand = alk_rand_system();
    ep->router.ep = ep;
    (void)pthread_mutex_init(&ep->retired_lock, NULL);
    (void)pthread_mutex_init(&ep->audit_lock, NULL);
    alk_err err = ALK_E_NOMEM;
    if (copy_options(ep, &o)) {
        fill_config_options(ep, o.opener);
        err = alk_log_new(ep->mem, STDERR_FD, o.log, o.log_ctx, &ep->log);
    }
    if (err == ALK_OK) {
        err = read_static(ep, ret_message);
    }
    if (err != ALK_OK) {
        alk_endpoint_free(ep);
        return err;
    }
    *ret = ep;
    return ALK_OK;
}

void alk_endpoint_free(struct alk_endpoint *ep)
{
    if (ep == NULL) {
        return;
    }
    alk_ep_teardown(ep);
    for (size_t i = 0; i < ep->router.count; i++) {
        alk_conf_unref(ep->router.confs[i]);
    }
    for (size_t i = 0; ep->listen != NULL && ep->listen[i] != NULL; i++) {
        alk_free(ep->mem, ep->listen[i]);
    }
    alk_free(ep->mem, ep->listen);
    alk_free(ep->mem, ep->config_file);
    alk_free_secret(ep->mem, ep->config_text, ep->config_text_n);
    alk_free(ep->mem, ep->data_dir_option);
    alk_free(ep->mem, ep->keylog_path);
    alk_free(ep->mem, ep->qlog_dir);
    alk_free(ep->mem, ep->base_dir);
    alk_free(ep->mem, ep->default_dir);
    alk_datadir_close(ep->datadir);
    alk_log_free(ep->log);
    (void)pthread_mutex_destroy(&ep->retired_lock);
    (void)pthread_mutex_destroy(&ep->audit_lock);
    alk_free_secret(ep->mem, ep, sizeof *ep);
}

/* --- router --------------------------------------------------------------- */

struct alk_router *alk_endpoint_router(struct alk_endpoint *ep)
{
    return &ep->router;
}

static bool is_valid(const struct alk_handler *handler)
{
    if (handler->abi != ALK_HANDLER_ABI || handler->struct_size < sizeof *handler ||
        handler->name == NULL || strlen(handler->name) > ALK_ID_MAX || handler->name[0] == '\0' ||
        handler->open == NULL) {
        return false;
    }
    for (size_t i = 0; i < handler->alpn_count; i++) {
        size_t n = strlen(handler->alpns[i].name);
        if (n == 0 || n > ALK_ALPN_MAX || (handler->alpns[i].transports & ALK_TRANSPORT_ANY) == 0) {
            return false;
        }
    }
    return true;
}

alk_err alk_router_add(struct alk_router *router, const struct alk_handler *handler,
                       const struct alk_conf *conf)
{
    if (!is_valid(handler)) {
        return ALK_E_INVALID;
    }
    if (router->ep->state != ALK_EP_NEW) {
        return ALK_E_STATE;
    }
    for (size_t i = 0; i < router->count; i++) {
        if (strcmp(router->handlers[i]->name, handler->name) == 0) {
            return ALK_E_EXISTS;
        }
    }
    if (router->count == ALK_ENDPOINT_HANDLERS_MAX) {
        return ALK_E_LIMIT;
    }
    router->handlers[router->count] = handler;
    router->confs[router->count++] = conf == NULL ? NULL : alk_conf_ref(conf);
    if (conf == NULL) {
        router->configured[router->configured_count++] = handler;
    }
    return ALK_OK;
}

/* --- questions ------------------------------------------------------------ */

struct alk_loop *alk_endpoint_loop(struct alk_endpoint *ep)
{
    return ep->worker_count == 0 ? NULL : ep->workers[0].loop;
}

const char *alk_endpoint_address(const struct alk_endpoint *ep, size_t i)
{
    return i < ep->group_count ? ep->groups[i]->bound.text : NULL;
}

const char *alk_endpoint_key(const struct alk_endpoint *ep)
{
    return ep->key_text;
}

const struct alk_static_config *alk_endpoint_static(const struct alk_endpoint *ep)
{
    return alk_config_reload_static(ep->config);
}

const struct alk_dynamic_config *alk_endpoint_config(const struct alk_endpoint *ep)
{
    return ep->snapshot->config;
}

const struct alk_routes *alk_endpoint_routes(const struct alk_endpoint *ep)
{
    return ep->snapshot->routes;
}

const struct alk_datadir *alk_endpoint_datadir(const struct alk_endpoint *ep)
{
    return ep->datadir;
}

struct alk_spawner *alk_endpoint_spawner(const struct alk_endpoint *ep)
{
    return ep->spawner;
}

const char *alk_endpoint_config_file(const struct alk_endpoint *ep)
{
    return ep->config_file;
}

size_t alk_endpoint_loop_count(const struct alk_endpoint *ep)
{
    return ep->loop_count;
}

uint64_t alk_endpoint_started_at(const struct alk_endpoint *ep)
{
    return ep->started_at;
}

bool alk_endpoint_is_stopping(const struct alk_endpoint *ep)
{
    return ep->state >= ALK_EP_STOPPING;
}

bool alk_endpoint_certificate(const struct alk_endpoint *ep, uint8_t ret_sha256[static 32],
                              uint64_t *ret_not_after)
{
    uint64_t not_before;
    return alk_tls_creds_cert(ep->snapshot->creds, ret_sha256, &not_before, ret_not_after);
}
