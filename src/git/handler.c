/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The service, its connections, and a session up to the moment when git is started. */
#include "git/git.h"

#include "base/mem.h"
#include "core/auth/audit.h"
#include "core/conn.h"
#include "core/endpoint.h"
#include "core/host/say.h"
#include "core/io/loop.h"
#include "core/io/self.h"
#include "git/ops.h"
#include "git/service.h"

#include <stdio.h>

#define REQUEST_MAX   ((size_t)4096)    /* bytes of the first packet */
#define ANSWERED_TIME (10 * ALK_SECOND) /* for a refused peer to end the stream */

/* --- the service ------------------------------------------------------------------------- */

struct alk_git_hub *alk_git_hub_ref(struct alk_git_hub *s)
{
    (void)atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void alk_git_hub_unref(struct alk_git_hub *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        (void)pthread_mutex_destroy(&s->lock);
        alk_git_settings_unref(s->settings);
        alk_free(s->mem, s->name);
        alk_free(s->mem, s);
    }
}

const struct alk_git_settings *alk_git_hub_settings(struct alk_git_hub *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const struct alk_git_settings *settings = alk_git_settings_ref(s->settings);
    (void)pthread_mutex_unlock(&s->lock);
    return settings;
}

/* Peers without identity cannot take everything. */
bool alk_git_hub_take(struct alk_git_hub *s, unsigned max, bool is_anonymous)
{
    unsigned open_max = (max + 1) / 2;
    if (is_anonymous &&
        atomic_fetch_add_explicit(&s->anonymous, 1, memory_order_relaxed) >= open_max) {
        (void)atomic_fetch_sub_explicit(&s->anonymous, 1, memory_order_relaxed);
        return false;
    }
    if (atomic_fetch_add_explicit(&s->instances, 1, memory_order_relaxed) >= max) {
        alk_git_hub_give(s, is_anonymous);
        return false;
    }
    return true;
}

void alk_git_hub_give(struct alk_git_hub *s, bool is_anonymous)
{
    (void)atomic_fetch_sub_explicit(&s->instances, 1, memory_order_relaxed);
    if (is_anonymous) {
        (void)atomic_fetch_sub_explicit(&s->anonymous, 1, memory_order_relaxed);
    }
}

void alk_git_say(const struct alk_git_hub *s, enum alk_log_level level, const char *log_id,
                 const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    alk_service_vsay(s->log, s->log_ctx, level, s->name, log_id, fmt, args);
    va_end(args);
}

static void git_stop(void *service)
{
    alk_git_ops_remove(service);
    alk_git_hub_unref(service);
}

static alk_err git_reconfigure(void *service, const struct alk_conf *conf)
{
    struct alk_git_hub *s = service;
    const struct alk_git_settings *next = NULL;
    ALK_TRY(alk_git_settings_new(s->mem, conf, &next));
    (void)pthread_mutex_lock(&s->lock);
    const struct alk_git_settings *old = s->settings;
    s->settings = next;
    (void)pthread_mutex_unlock(&s->lock);
    alk_git_settings_unref(old);
    return ALK_OK;
}

static struct alk_git_hub *service_new(const struct alk_conf *conf, const struct alk_env *env)
{
    struct alk_git_hub *s = ALK_NEW(env->mem, struct alk_git_hub);
    if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
        alk_free(env->mem, s);
        return NULL;
    }
    atomic_init(&s->refs, 1);
    s->mem = env->mem;
    s->spawner = env->spawner;
    s->endpoint = env->endpoint;
    s->ops = env->ops;
    s->log = env->log;
    s->log_ctx = env->log_ctx;
    s->name = alk_strdup_span(s->mem, alk_span_str(env->service));
    if (s->name == NULL || alk_git_settings_new(s->mem, conf, &s->settings) != ALK_OK) {
        alk_git_hub_unref(s);
        return NULL;
    }
    return s;
}

static alk_err git_start(const struct alk_conf *conf, const struct alk_env *env, void **ret_service)
{
    if (env->spawner == NULL) {
        return ALK_E_UNSUPPORTED;
    }
    struct alk_git_hub *s = service_new(conf, env);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    if (!alk_self_beside(ALK_GIT_HELPER, s->helper, sizeof s->helper) &&
        s->settings->helper[0] == '\0') {
        alk_git_say(s, ALK_LOG_ERROR, "",
                    "the program %s is not installed; see services.git.helper", ALK_GIT_HELPER);
        alk_git_hub_unref(s);
        return ALK_E_NOENT;
    }
    alk_err err = alk_git_ops_add(s);
    if (err != ALK_OK) {
        alk_git_hub_unref(s);
        return err;
    }
    *ret_service = s;
    return ALK_OK;
}

/* --- a session's life -------------------------------------------------------------------- */

void alk_git_session_free(struct alk_git_session *s)
{
    struct alk_git_hub *service = s->service;
    s->is_freed = true;
    alk_timer_stop(s->loop, &s->timer);
    alk_list_remove(&s->in);
    s->gc = NULL;
    if (s->stream != NULL) {
        alk_stream_close(s->stream, ALK_CODE_NONE);
        s->stream = NULL;
    }
    if (s->is_resolving) {
        return; /* the rest when the answer comes */
    }
    if (s->holds_instance) {
        alk_git_hub_give(service, s->is_anonymous);
    }
    alk_git_pkt_reader_fini(&s->reader);
    alk_git_push_fini(s);
    alk_identity_unref(s->identity);
    if (s->token != NULL) {
        alk_free_secret(service->mem, s->token, s->token_n);
    }
    alk_git_settings_unref(s->settings);
    alk_free(service->mem, s);
    alk_git_hub_unref(service);
}

bool alk_git_session_resolved(struct alk_git_session *s)
{
    s->is_resolving = false;
    if (s->is_freed) {
        alk_git_session_free(s);
        return false;
    }
    return true;
}

const struct alk_identity *alk_git_session_who(const struct alk_git_session *s)
{
    if (s->token != NULL) {
        return s->identity; /* or nothing: a token replaces what the connection shows */
    }
    return s->gc == NULL ? NULL : alk_conn_auth(s->gc->conn)->identity;
}

void alk_git_audit(const struct alk_git_session *s, const struct alk_identity *who, bool is_allowed,
                   const char *reason)
{
    static const char *const what[] = {"git.fetch", "git.push", "git.archive"};
    const struct alk_audit_record record = {
        .who = who == NULL ? (struct alk_span){0} : alk_identity_id(who),
        .what = alk_span_str(what[s->git]),
        .target = alk_span(s->repo.name, s->repo.n),
        .remote = s->remote,
        .alpn = ALK_LIT(ALK_GIT_ALPN),
        .reason = alk_span_str(reason),
        .is_allowed = is_allowed,
    };
    if (s->service->endpoint != NULL) {
        alk_endpoint_audit_soon(s->service->endpoint, &record);
    }
}

static void on_answered(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct alk_git_session *s = ctx;
    struct alk_span rest;
    if ((events & ALK_STREAM_CLOSED) != 0) {
        s->stream = NULL;
        alk_git_session_free(s);
        return;
    }
    while (alk_stream_peek(stream, &rest) == ALK_OK) {
        alk_stream_consume(stream, rest.n);
    }
}

/* Git closes its side when it has read the message. */
void alk_git_session_refuse(struct alk_git_session *s, const char *text)
{
    struct alk_buf packet;
    size_t took = 0;
    s->state = ALK_GIT_ANSWERED;
    alk_buf_init(&packet, s->service->mem, 2048);
    alk_err err = alk_git_pkt_put_err(&packet, alk_span_str(text));
    if (err == ALK_OK) {
        err = alk_stream_write(s->stream, alk_buf_span(&packet), &took);
    }
    alk_buf_fini(&packet);
    if (err != ALK_OK) {
        alk_stream_close(s->stream, ALK_CODE_LIMIT);
        s->stream = NULL;
        alk_git_session_free(s);
        return;
    }
    alk_stream_finish(s->stream);
    alk_timer_set(s->loop, &s->timer, alk_loop_now(s->loop) + ANSWERED_TIME);
    alk_stream_on(s->stream, on_answered, s);
}

/* --- may he? ----------------------------------------------------------------------------- */

static void refuse_verdict(struct alk_git_session *s, enum alk_git_verdict verdict)
{
    char text[ALK_GIT_REPO_NAME_MAX + 96];
    const char *name = s->repo.name;
    /* Whoever is known already is what he is; the rest may have a token. */
    const char *wants = alk_git_session_who(s) == NULL ? ALK_GIT_WANTS_CREDENTIAL "required: " : "";
    if (verdict == ALK_GIT_MIRROR) {
        (void)snprintf(text, sizeof text, "repository '%s' is read-only here", name);
    } else if (verdict == ALK_GIT_FORBIDDEN) {
        (void)snprintf(text, sizeof text, "%syou may not push to repository '%s'", wants, name);
    } else {
        (void)snprintf(text, sizeof text, "%srepository '%s' not found, or access denied", wants,
                       name);
    }
    alk_git_audit(s, alk_git_session_who(s), false,
                  verdict == ALK_GIT_MIRROR ? "read-only" : "no grant");
    alk_git_session_refuse(s, text);
}

static void decide(struct alk_git_session *s)
{
    const struct alk_identity *who = alk_git_session_who(s);
    s->rule = alk_git_settings_rule(s->settings, alk_span(s->repo.name, s->repo.n));
    enum alk_git_verdict verdict =
        alk_git_access(s->rule, who, alk_span(s->repo.name, s->repo.n), s->git);
    if (verdict != ALK_GIT_MAY) {
        refuse_verdict(s, verdict);
        return;
    }
    s->is_anonymous = who == NULL;
    s->holds_instance = alk_git_hub_take(s->service, s->settings->instances_max, s->is_anonymous);
    if (!s->holds_instance) {
        alk_git_say(s->service, ALK_LOG_WARN, s->log_id, "max_instances is reached");
        alk_git_session_refuse(s, "too many requests are being served; try again later");
        return;
    }
    alk_git_run(s);
}

/* A push has an effect, so it waits until it cannot be a replay. */
static void proceed(struct alk_git_session *s)
{
    if (s->git == ALK_GIT_RECEIVE_PACK && alk_conn_auth(s->gc->conn)->is_early) {
        s->state = ALK_GIT_HELD;
        return;
    }
    decide(s);
}

static void on_resolved(void *ctx, alk_err err, const struct alk_identity *identity,
                        uint64_t generation)
{
    struct alk_git_session *s = ctx;
    (void)generation;
    if (!alk_git_session_resolved(s)) {
        return;
    }
    if (err == ALK_OK) {
        s->identity = alk_identity_ref(identity);
        proceed(s);
        return;
    }
    alk_git_audit(s, NULL, false, alk_auth_reason(err));
    alk_git_session_refuse(s, err == ALK_E_UNAVAILABLE ? "the token cannot be checked now"
                                                       : ALK_GIT_WANTS_CREDENTIAL
                                  "failed: the token is not valid");
}

/* --- the request ------------------------------------------------------------------------- */

/* What is kept of a request; everything in it borrows. */
static alk_err keep_request(struct alk_git_session *s, const struct alk_git_request *r)
{
    s->git = r->service;
    s->version = r->version;
    ALK_TRY(alk_git_repopath_parse(r->path, &s->repo));
    if (r->has_token) {
        s->token = alk_strdup_span(s->service->mem, r->token);
        s->token_n = r->token.n;
        return s->token == NULL ? ALK_E_NOMEM : ALK_OK;
    }
    return ALK_OK;
}

static void resolve(struct alk_git_session *s)
{
    const struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN,
                                         .token = alk_span(s->token, s->token_n)};
    s->state = ALK_GIT_RESOLVING;
    s->is_resolving = true;
    alk_conn_resolve(s->gc->conn, "token", &query, on_resolved, s);
}

static void on_request(struct alk_git_session *s, const struct alk_git_pkt *pkt, size_t used)
{
    struct alk_git_request r;
    enum alk_git_request_why why = ALK_GIT_REQUEST_NO_COMMAND;
    const char *text = alk_git_request_why_text(why);
    alk_err err = ALK_E_MALFORMED;
    if (pkt->kind == ALK_GIT_PKT_DATA) {
        err = alk_git_request_parse(pkt->data, &r, &why);
        text = alk_git_request_why_text(why);
    }
    if (err == ALK_OK) {
        err = keep_request(s, &r);
        text = err == ALK_E_NOMEM ? "out of memory" : "this is no name of a repository";
    }
    alk_stream_consume(s->stream, used);
    alk_git_pkt_reader_fini(&s->reader);
    alk_timer_stop(s->loop, &s->timer);
    if (err != ALK_OK) {
        alk_git_say(s->service, ALK_LOG_DEBUG, s->log_id, "refused: %s", text);
        alk_git_session_refuse(s, text);
    } else if (s->token != NULL) {
        resolve(s);
    } else {
        proceed(s);
    }
}

/* Parses what has arrived; what follows the request stays in the stream for git. */
static void read_request(struct alk_git_session *s)
{
    struct alk_span all;
    struct alk_git_pkt pkt;
    alk_err err;
    while ((err = alk_stream_peek(s->stream, &all)) == ALK_OK) {
        struct alk_span in = all;
        err = alk_git_pkt_reader_next(&s->reader, &in, &pkt);
        if (err == ALK_OK) {
            on_request(s, &pkt, all.n - in.n);
            return;
        }
        if (err != ALK_MORE) {
            alk_stream_consume(s->stream, all.n);
            alk_git_session_refuse(s, err == ALK_E_TOO_BIG ? "the request is too long"
                                                           : "this is not Git's protocol");
            return;
        }
        alk_stream_consume(s->stream, all.n);
    }
    if (err != ALK_MORE) { /* it ended before it said what it wants */
        alk_stream_close(s->stream, ALK_CODE_PROTOCOL);
        s->stream = NULL;
        alk_git_session_free(s);
    }
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct alk_git_session *s = ctx;
    (void)stream;
    if ((events & ALK_STREAM_CLOSED) != 0) {
        s->stream = NULL;
        alk_git_session_free(s);
    } else if (s->state == ALK_GIT_READING) {
        read_request(s);
    }
}

static void on_time(struct alk_timer *timer, void *ctx)
{
    struct alk_git_session *s = ctx;
    (void)timer;
    if (s->state == ALK_GIT_READING) {
        alk_git_say(s->service, ALK_LOG_DEBUG, s->log_id, "no request came in time");
    }
    alk_stream_close(s->stream, s->state == ALK_GIT_READING ? ALK_CODE_TIMEOUT : ALK_CODE_NONE);
    s->stream = NULL;
    alk_git_session_free(s);
}

/* --- connections ------------------------------------------------------------------------- */

static alk_err git_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                        void **ret_state)
{
    struct alk_git_hub *s = service;
    struct alk_git_conn *gc = ALK_NEW(s->mem, struct alk_git_conn);
    (void)auth;
    if (gc == NULL) {
        return ALK_E_NOMEM;
    }
    gc->service = s;
    gc->conn = conn;
    alk_list_init(&gc->sessions);
    *ret_state = gc;
    return ALK_OK;
}

static alk_err git_stream(void *state, struct alk_stream *stream)
{
    struct alk_git_conn *gc = state;
    struct alk_git_hub *service = gc->service;
    const struct alk_auth_context *auth = alk_conn_auth(gc->conn);
    struct alk_git_session *s = ALK_NEW(service->mem, struct alk_git_session);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    s->service = alk_git_hub_ref(service);
    s->settings = alk_git_hub_settings(service);
    s->loop = alk_conn_loop(gc->conn);
    s->gc = gc;
    s->stream = stream;
    s->timer = (struct alk_timer){.fn = on_time, .ctx = s};
    alk_git_pkt_reader_init(&s->reader, service->mem, REQUEST_MAX);
    (void)snprintf(s->log_id, sizeof s->log_id, "%s", auth->log_id);
    (void)snprintf(s->remote, sizeof s->remote, "%s", auth->remote);
    alk_list_append(&gc->sessions, &s->in);
    alk_timer_set(s->loop, &s->timer, alk_loop_now(s->loop) + s->settings->request_timeout);
    alk_stream_on(stream, on_stream, s);
    return ALK_OK;
}

static void git_auth_changed(void *state)
{
    struct alk_git_conn *gc = state;
    struct alk_link *next;
    if (alk_conn_auth(gc->conn)->is_early) {
        return;
    }
    for (struct alk_link *l = alk_list_first(&gc->sessions); l != NULL; l = next) {
        struct alk_git_session *s = ALK_CONTAINER(l, struct alk_git_session, in);
        next = alk_list_next(&gc->sessions, l);
        if (s->state == ALK_GIT_HELD) {
            decide(s);
        }
    }
}

static void git_close(void *state, alk_err why, uint64_t code)
{
    struct alk_git_conn *gc = state;
    struct alk_link *l;
    (void)why;
    (void)code;
    if (gc == NULL) { /* open had failed */
        return;
    }
    while ((l = alk_list_pop(&gc->sessions)) != NULL) {
        struct alk_git_session *s = ALK_CONTAINER(l, struct alk_git_session, in);
        s->gc = NULL;
        if (s->state != ALK_GIT_RUNNING) {
            alk_git_session_free(s);
        }
    }
    alk_free(gc->service->mem, gc);
}

static const struct alk_alpn git_alpns[] = {{ALK_GIT_ALPN, ALK_TRANSPORT_ANY}};

const struct alk_handler alk_git_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "git",
    .summary = "Git repositories: clone, fetch, push",
    .alpns = git_alpns,
    .alpn_count = 1,
    .settings = alk_git_rows,
    .flags = ALK_HANDLER_EARLY_SAFE | ALK_HANDLER_PUBLIC | ALK_HANDLER_SPAWNS,
    .start = git_start,
    .reconfigure = git_reconfigure,
    .stop = git_stop,
    .open = git_open,
    .stream = git_stream,
    .auth_changed = git_auth_changed,
    .close = git_close,
};
