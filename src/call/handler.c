/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The service alknet/call: one registry, its parts with their settings, a peer per
 * connection. */
#include "call/peer.h"

#include "base/mem.h"
#include "core/auth/identity.h"
#include "core/endpoint.h"
#include "ops/part.h"

#include <stdio.h>
#include <string.h>

#define WHY_MAX 512

static const struct alk_part *const parts[] = {&alk_node_part, &alk_events_part,  &alk_fs_part,
                                               &alk_exec_part, &alk_workers_part, &alk_enroll_part};
#define PARTS (sizeof parts / sizeof parts[0])

/* Debug builds hold operations to what they say of their answers. */
#ifdef ALK_DEBUG
static const bool is_debug = true;
#else
static const bool is_debug = false;
#endif

struct call_service {
    const struct alk_mem *mem;
    const struct alk_env *env;
    struct alk_ops *ops;
    bool owns_ops;
    void *part[PARTS];
    bool is_started[PARTS];
    atomic_size_t frame_max, requests;
};

/* --- settings -------------------------------------------------------------------- */

static const struct alk_conf_row call_rows[] = {
    {.name = "max_frame",
     .type = ALK_CONF_SIZE,
     .min = 1024,
     .max = ALK_CALL_FRAME_MAX,
     .fallback = "1MiB",
     .reload = ALK_RELOAD_NEW,
     .unit = "bytes",
     .help = "Largest frame taken from a known peer. Peers without identity are held to 64KiB."},
    {.name = "max_requests",
     .type = ALK_CONF_UINT,
     .min = 1,
     .max = 65536,
     .fallback = "1024",
     .reload = ALK_RELOAD_NEW,
     .unit = "requests",
     .help = "Requests that one connection may have under way; one more is EXHAUSTED."},
    {.name = "events",
     .type = ALK_CONF_MAP,
     .fallback = "{}",
     .sub = alk_events_rows,
     .reload = ALK_RELOAD_LIVE,
     .help = "Publish and subscribe: which topics are kept on disk, and who may use them."},
    {.name = "fs",
     .type = ALK_CONF_MAP,
     .sub = alk_fs_rows,
     .reload = ALK_RELOAD_LIVE,
     .help = "The operations fs/...: files beneath one directory. Absent: there are none."},
    {.name = "operations",
     .type = ALK_CONF_LIST,
     .max = 256,
     .sub = alk_exec_op_rows,
     .reload = ALK_RELOAD_LIVE,
     .help = "Programs that are operations: JSON on standard input, JSON on standard output."},
    {.name = "workers",
     .type = ALK_CONF_LIST,
     .max = 256,
     .sub = alk_workers_rows,
     .reload = ALK_RELOAD_LIVE,
     .help = "Who may call what workers offer. A namespace that is not listed is open to every "
             "known peer."},
    {.name = NULL}};

static void say(const struct call_service *s, const char *why)
{
    if (s->env->log != NULL && why[0] != '\0') {
        s->env->log(s->env->log_ctx, ALK_LOG_ERROR, "call", why);
    }
}

static const struct alk_conf *section(const struct alk_conf *conf, size_t i)
{
    return parts[i]->section == NULL ? NULL : alk_conf_get(conf, parts[i]->section);
}

/* Everything that can fail, then everything that cannot. */
static alk_err apply(struct call_service *s, const struct alk_conf *conf)
{
    char why[WHY_MAX] = "";
    void *next[PARTS] = {NULL};
    size_t n = 0;
    alk_err err = ALK_OK;

    for (; n < PARTS && err == ALK_OK; n++) {
        if (parts[n]->section != NULL) {
            err = parts[n]->prepare(s->part[n], section(conf, n), why, sizeof why, &next[n]);
        }
    }
    if (err != ALK_OK) {
        say(s, why);
        for (size_t i = 0; i + 1 < n; i++) {
            if (parts[i]->section != NULL) {
                parts[i]->drop(s->part[i], next[i]);
            }
        }
        return err;
    }
    for (size_t i = 0; i < PARTS; i++) {
        if (parts[i]->section != NULL) {
            parts[i]->commit(s->part[i], next[i]);
        }
    }
    atomic_store(&s->frame_max, (size_t)alk_conf_get_uint(conf, "max_frame"));
    atomic_store(&s->requests, (size_t)alk_conf_get_uint(conf, "max_requests"));
    return ALK_OK;
}

static alk_err call_reconfigure(void *service, const struct alk_conf *conf)
{
    return apply((struct call_service *)service, conf);
}

/* --- start and stop ----------------------------------------------------------------- */

static void on_audit(void *ctx, const struct alk_ops_audit *a)
{
    const struct call_service *s = (const struct call_service *)ctx;
    struct alk_audit_record record;
    alk_ops_audit_fill(a, &record);
    alk_endpoint_audit_soon(s->env->endpoint, &record);
}

static void call_stop(void *service)
{
    struct call_service *s = (struct call_service *)service;
    for (size_t i = PARTS; i-- > 0;) {
        if (s->is_started[i]) {
            parts[i]->stop(s->part[i]);
        }
    }
    alk_ops_set_audit(s->ops, NULL, NULL);
    alk_ops_set_log(s->ops, NULL, NULL);
    if (s->owns_ops) {
        alk_ops_free(s->ops);
    }
    alk_free(s->mem, s);
}

static alk_err start_parts(struct call_service *s)
{
    char why[WHY_MAX] = "";
    const struct alk_part_env env = {.mem = s->mem, .ops = s->ops, .env = s->env};
    alk_err err = alk_ops_add_standard(s->ops);

    for (size_t i = 0; i < PARTS && err == ALK_OK; i++) {
        err = parts[i]->start(&env, why, sizeof why, &s->part[i]);
        s->is_started[i] = err == ALK_OK;
    }
    if (err != ALK_OK) {
        say(s, why);
    }
    return err;
}

static alk_err call_start(const struct alk_conf *conf, const struct alk_env *env,
                          void **ret_service)
{
    struct call_service *s = ALK_NEW(env->mem, struct call_service);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    s->mem = env->mem;
    s->env = env;
    s->ops = env->ops;
    alk_err err = ALK_OK;
    if (s->ops == NULL) {
        const struct alk_ops_options o = {
            .struct_size = sizeof o, .mem = env->mem, .check_outputs = is_debug};
        err = alk_ops_new(&o, &s->ops);
        s->owns_ops = err == ALK_OK;
    }
    if (err != ALK_OK) {
        alk_free(s->mem, s);
        return err;
    }
    alk_ops_set_log(s->ops, env->log, env->log_ctx);
    if (env->endpoint != NULL) {
        alk_ops_set_audit(s->ops, on_audit, s);
    }
    err = start_parts(s);
    if (err == ALK_OK) {
        err = apply(s, conf);
    }
    if (err != ALK_OK) {
        call_stop(s);
        return err;
    }
    *ret_service = s;
    return ALK_OK;
}

/* --- connections --------------------------------------------------------------------- */

static alk_err call_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    struct call_service *s = (struct call_service *)service;
    const struct alk_peer_limits limits = {.frame_max = atomic_load(&s->frame_max),
                                           .requests = (unsigned)atomic_load(&s->requests)};
    struct alk_peer *peer;
    (void)auth;

    ALK_TRY(alk_peer_new(s->mem, alk_conn_loop(conn), s->ops, &limits, &peer));
    alk_peer_attach(peer, conn, true);
    *ret_state = peer;
    return ALK_OK;
}

static alk_err call_stream(void *state, struct alk_stream *stream)
{
    return alk_peer_on_stream((struct alk_peer *)state, stream);
}

static void call_auth_changed(void *state)
{
    alk_peer_on_auth((struct alk_peer *)state);
}

static void call_credit(void *state)
{
    alk_peer_on_credit((struct alk_peer *)state);
}

static void call_drain(void *state, alk_time deadline)
{
    (void)deadline; /* what is under way then is ended by the endpoint */
    alk_peer_drain((struct alk_peer *)state);
}

static void call_close(void *state, alk_err why, uint64_t code)
{
    struct alk_peer *peer = (struct alk_peer *)state;
    if (peer == NULL) {
        return; /* `open` failed */
    }
    (void)why;
    (void)code;
    alk_peer_end(peer);
}

static const struct alk_alpn call_alpns[] = {{ALK_CALL_ALPN, ALK_TRANSPORT_ANY}};

const struct alk_handler alk_call_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "call",
    .summary = "operations: structured, discoverable, two-way calls with pub/sub",
    .alpns = call_alpns,
    .alpn_count = 1,
    .settings = call_rows,
    .flags = ALK_HANDLER_PUBLIC | ALK_HANDLER_DEFAULT_ON,
    .start = call_start,
    .reconfigure = call_reconfigure,
    .stop = call_stop,
    .open = call_open,
    .stream = call_stream,
    .auth_changed = call_auth_changed,
    .credit = call_credit,
    .drain = call_drain,
    .close = call_close,
};
