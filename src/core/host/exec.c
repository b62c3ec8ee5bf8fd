/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/exec.h"

#include "base/mem.h"
#include "core/config/node.h"
#include "core/host/attached.h"
#include "core/host/exec_env.h"
#include "core/host/say.h"
#include "core/host/spawner.h"

#include <stdatomic.h>

struct exec_service {
    atomic_size_t refs;
    const struct alk_mem *mem;
    const struct alk_conf *conf;
    struct alk_spawner *spawner;
    alk_log_fn *log;
    void *log_ctx;
    char *name;
    const char **argv; /* owns the array; words borrow from conf */
    atomic_uint instances;
    unsigned instances_max;
    alk_time timeout; /* 0: none */
    bool is_pipe;
};

struct exec_conn {
    struct exec_service *service;
    struct alk_conn *conn;
};

struct run {
    struct exec_service *service;
    char log_id[20];
};

/* --- service -------------------------------------------------------------- */

static void service_unref(struct exec_service *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        alk_conf_unref(s->conf);
        alk_free(s->mem, s->argv);
        alk_free(s->mem, s->name);
        alk_free(s->mem, s);
    }
}

ALK_PRINTF(4, 5)
static void say(const struct exec_service *s, enum alk_log_level level, const char *log_id,
                const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    alk_service_vsay(s->log, s->log_ctx, level, s->name, log_id, fmt, args);
    va_end(args);
}

static alk_err take_argv(struct exec_service *s)
{
    const struct alk_conf *words = alk_conf_get(s->conf, "exec");
    size_t count = alk_conf_count(words);
    if (count == 0 || count > ALK_SPAWN_ARGS_MAX) {
        return ALK_E_INVALID;
    }
    s->argv = alk_zalloc(s->mem, count + 1, sizeof(char *));
    if (s->argv == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        s->argv[i] = alk_conf_str(alk_conf_at(words, i));
    }
    return ALK_OK;
}

static alk_err exec_start(const struct alk_conf *conf, const struct alk_env *env,
                          void **ret_service)
{
    if (env->spawner == NULL) {
        return ALK_E_UNSUPPORTED;
    }
    struct exec_service *s = ALK_NEW(env->mem, struct exec_service);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&s->refs, 1);
    s->mem = env->mem;
    s->conf = alk_conf_ref(conf);
    s->spawner = env->spawner;
    s->log = env->log;
    s->log_ctx = env->log_ctx;
    s->name = alk_strdup_span(s->mem, alk_span_str(env->service));
    s->timeout = alk_conf_get_uint(conf, "timeout");
    s->instances_max = (unsigned)alk_conf_get_uint(conf, "max_instances");
    s->is_pipe = alk_conf_get_uint(conf, "stdio") == 1;
    alk_err err = s->name == NULL ? ALK_E_NOMEM : take_argv(s);
    if (err != ALK_OK) {
        service_unref(s);
        return err;
    }
    *ret_service = s;
    return ALK_OK;
}

static void exec_stop(void *service)
{
    service_unref(service);
}

/* --- a program per stream --------------------------------------------------- */

static void run_free(struct run *r)
{
    struct exec_service *s = r->service;
    (void)atomic_fetch_sub_explicit(&s->instances, 1, memory_order_relaxed);
    alk_free(s->mem, r);
    service_unref(s);
}

static void on_ended(void *ctx, const struct alk_attached_end *end)
{
    if (end->stream != NULL) {
        alk_stream_close(end->stream, end->err == ALK_E_LIMIT ? ALK_CODE_LIMIT : ALK_CODE_INTERNAL);
    }
    run_free(ctx);
}

static const char *text_or_null(const struct alk_conf *conf, const char *name)
{
    const struct alk_conf *v = alk_conf_get(conf, name);
    return v == NULL ? NULL : alk_conf_str(v);
}

static alk_err spawn(struct run *r, struct exec_conn *c, struct alk_stream *stream)
{
    static const struct alk_attached_calls calls = {.ended = on_ended};
    const struct exec_service *s = r->service;
    struct alk_attached *attached;
    struct alk_exec_env env;
    alk_err err =
        alk_exec_env_init(&env, s->mem, alk_conf_get(s->conf, "env"), alk_conn_auth(c->conn));
    const struct alk_attached_spec spec = {
        .mem = s->mem,
        .spawner = s->spawner,
        .loop = alk_conn_loop(c->conn),
        .stream = stream,
        .is_tls = alk_conn_transport(c->conn) == ALK_TRANSPORT_TLS,
        .argv = s->argv,
        .env = env.words,
        .program = s->argv[0],
        .cwd = text_or_null(s->conf, "cwd"),
        .user = text_or_null(s->conf, "user"),
        .memory = alk_conf_get_uint(s->conf, "memory"),
        .is_pipe = s->is_pipe,
        .timeout = s->timeout,
        .log = s->log,
        .log_ctx = s->log_ctx,
        .name = s->name,
        .log_id = r->log_id,
        .calls = &calls,
        .ctx = r,
    };
    if (err == ALK_OK) {
        err = alk_attached_start(&spec, &attached);
    }
    alk_exec_env_fini(&env);
    return err;
}

static alk_err exec_stream(void *state, struct alk_stream *stream)
{
    struct exec_conn *c = state;
    struct exec_service *s = c->service;
    if (atomic_fetch_add_explicit(&s->instances, 1, memory_order_relaxed) >= s->instances_max) {
        (void)atomic_fetch_sub_explicit(&s->instances, 1, memory_order_relaxed);
        say(s, ALK_LOG_WARN, alk_conn_auth(c->conn)->log_id, "max_instances is reached");
        return ALK_E_LIMIT;
    }
    struct run *r = ALK_NEW(s->mem, struct run);
    if (r == NULL) {
        (void)atomic_fetch_sub_explicit(&s->instances, 1, memory_order_relaxed);
        return ALK_E_NOMEM;
    }
    r->service = s;
    (void)atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    memcpy(r->log_id, alk_conn_auth(c->conn)->log_id, sizeof r->log_id);
    alk_err err = spawn(r, c, stream);
    if (err != ALK_OK) {
        run_free(r); /* the dispatcher resets the stream */
    }
    return err;
}

/* --- connections ---------------------------------------------------------- */

static alk_err exec_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    struct exec_service *s = service;
    struct exec_conn *c = ALK_NEW(s->mem, struct exec_conn);
    (void)auth;
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    c->service = s;
    c->conn = conn;
    *ret_state = c;
    return ALK_OK;
}

static void exec_close(void *state, alk_err why, uint64_t code)
{
    struct exec_conn *c = state;
    (void)why;
    (void)code;
    if (c != NULL) { /* NULL: open had failed */
        alk_free(c->service->mem, c);
    }
}

const struct alk_handler alk_exec_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "exec",
    .summary = "a program per stream",
    .settings = alk_config_exec_rows,
    .flags = ALK_HANDLER_SPAWNS,
    .start = exec_start,
    .stop = exec_stop,
    .open = exec_open,
    .stream = exec_stream,
    .close = exec_close,
};
