/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A session's program: alknet-git, which finds the repository, shuts itself in, and becomes
 * git. Whatever a peer sent is one word behind "--repo=", checked by repopath.h. */
#include "base/mem.h"
#include "core/conn.h"
#include "core/endpoint.h"
#include "core/host/attached.h"
#include "core/host/exec_env.h"
#include "git/words.h"

#define PATIENCE (10 * ALK_SECOND) /* for a push to end well, or not, without its client */

static void put_push(struct alk_git_words *w, const struct alk_git_session *s)
{
    const struct alk_git_settings *set = s->settings;
    static const char *const signings[] = {"off", "allowed", "required"};
    alk_git_words_put(w, "--signed-push=%s", signings[s->rule->signing]);
    alk_git_words_put(w, "--max-pack=%llu", (unsigned long long)set->max_pack);
    alk_git_words_put_list(w, "require-signed", s->rule->require_signed);
    if (s->service->endpoint != NULL) {
        alk_git_words_put(w, "--key=%s", alk_endpoint_key(s->service->endpoint));
    }
    if (alk_git_session_who(s) == NULL) {
        alk_git_words_put(w, "--alone");
        alk_git_words_put_list(w, "address", set->addresses);
    }
    if (s->rule->has_hooks) {
        alk_git_words_put(w, "--hooks");
    }
    if (set->creates_on_push &&
        alk_git_may_push(alk_git_session_who(s), alk_span(s->repo.name, s->repo.n),
                         (struct alk_span){0})) {
        alk_git_words_put(w, "--create");
        alk_git_words_put(w, "--branch=%s", set->branch);
    }
}

static void put_words(struct alk_git_words *w, const struct alk_git_session *s)
{
    const struct alk_git_settings *set = s->settings;
    alk_git_words_init(w, s->service, set, "serve", s->repo.name);
    alk_git_words_put(w, "--service=%s", alk_git_service_name(s->git));
    alk_git_words_put(w, "--version=%u", s->version);
    if (s->repo.has_suffix) {
        alk_git_words_put(w, "--suffix");
    }
    alk_git_words_put_list(w, "alternates", set->alternates);
    if (s->git == ALK_GIT_RECEIVE_PACK) {
        put_push(w, s);
    } else if (s->git == ALK_GIT_UPLOAD_PACK && set->cache_size > 0) {
        alk_git_words_put(w, "--cache-size=%llu", (unsigned long long)set->cache_size);
        alk_git_words_put(w, "--cache-age=%llu", (unsigned long long)(set->cache_age / ALK_SECOND));
    }
}

/* --- what comes of it -------------------------------------------------------------------- */

static void refuse_start(struct alk_git_session *s, alk_err err)
{
    alk_git_session_refuse(s, err == ALK_E_LIMIT
                                  ? "too many requests are being served; try again later"
                                  : "the node cannot start git now");
}

static void on_message(void *ctx, struct alk_span message)
{
    alk_git_push_message(ctx, message);
}

static void on_ended(void *ctx, const struct alk_attached_end *end)
{
    struct alk_git_session *s = ctx;
    s->run = NULL;
    if (end->stream != NULL && s->gc != NULL) {
        s->stream = end->stream;
        refuse_start(s, end->err);
        return;
    }
    s->state = ALK_GIT_OVER;
    alk_git_session_free(s);
}

static alk_err start(struct alk_git_session *s, const char *const *argv)
{
    static const struct alk_attached_calls calls = {.message = on_message, .ended = on_ended};
    struct alk_git_hub *service = s->service;
    struct alk_auth_context auth = *alk_conn_auth(s->gc->conn);
    struct alk_exec_env env;
    auth.identity = alk_git_session_who(s);
    alk_err err = alk_exec_env_init(&env, service->mem, NULL, &auth);
    const struct alk_attached_spec spec = {
        .mem = service->mem,
        .spawner = service->spawner,
        .loop = s->loop,
        .stream = s->stream,
        .is_tls = auth.transport == ALK_TRANSPORT_TLS,
        .argv = argv,
        .env = env.words,
        .program = alk_git_helper(service, s->settings),
        .message_max = s->git == ALK_GIT_RECEIVE_PACK ? ALK_GIT_MESSAGE_MAX : 0,
        .timeout = s->settings->timeout,
        .stall = s->settings->stall,
        .patience = s->git == ALK_GIT_RECEIVE_PACK ? PATIENCE : 0,
        .log = service->log,
        .log_ctx = service->log_ctx,
        .name = service->name,
        .log_id = s->log_id,
        .calls = &calls,
        .ctx = s,
    };
    if (err == ALK_OK) {
        err = alk_attached_start(&spec, &s->run);
    }
    alk_exec_env_fini(&env);
    return err;
}

void alk_git_run(struct alk_git_session *s)
{
    struct alk_git_words words;
    const char *const *argv;
    put_words(&words, s);
    alk_err err = alk_git_words_argv(&words, s->service, s->log_id, &argv);
    if (err == ALK_OK) {
        err = start(s, argv);
    }
    alk_git_words_fini(&words);
    if (err != ALK_OK) {
        refuse_start(s, err);
        return;
    }
    alk_git_audit(s, alk_git_session_who(s), true, "");
    s->state = ALK_GIT_RUNNING;
    s->stream = NULL;
}
