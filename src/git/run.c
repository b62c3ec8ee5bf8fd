/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A session's program: alknet-git, which finds the repository, shuts itself in, and becomes
 * git. Whatever a peer sent is one word behind "--repo=", checked by repopath.h. */
#include "base/mem.h"
#include "core/conn.h"
#include "core/endpoint.h"
#include "core/host/attached.h"
#include "core/host/exec_env.h"
#include "core/store/datadir.h"
#include "git/service.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 96
#define TEXT_MAX  24576
#define PATIENCE  (10 * ALK_SECOND) /* for a push to end well, or not, without its client */

/* Words of argv, one after the other. */
struct words {
    struct alk_buf text;
    size_t count;
};

ALK_PRINTF(2, 3)
static void put(struct words *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)alk_buf_vprintf(&w->text, fmt, args);
    va_end(args);
    (void)alk_buf_put_u8(&w->text, 0);
    w->count++;
}

static void put_list(struct words *w, const char *option, const struct alk_conf *list)
{
    for (size_t i = 0; i < alk_conf_count(list); i++) {
        put(w, "--%s=%s", option, alk_conf_str(alk_conf_at(list, i)));
    }
}

static void put_push(struct words *w, const struct alk_git_session *s)
{
    const struct alk_git_settings *set = s->settings;
    static const char *const signings[] = {"off", "allowed", "required"};
    put(w, "--signed-push=%s", signings[s->rule->signing]);
    put(w, "--max-pack=%llu", (unsigned long long)set->max_pack);
    put_list(w, "require-signed", s->rule->require_signed);
    if (s->service->endpoint != NULL) {
        put(w, "--key=%s", alk_endpoint_key(s->service->endpoint));
    }
    if (alk_git_session_who(s) == NULL) {
        put(w, "--alone");
        put_list(w, "address", set->addresses);
    }
    if (s->rule->has_hooks) {
        put(w, "--hooks");
    }
    if (set->creates_on_push &&
        alk_git_may_push(alk_git_session_who(s), alk_span(s->repo.name, s->repo.n),
                         (struct alk_span){0})) {
        put(w, "--create");
        put(w, "--branch=%s", set->branch);
    }
}

static const char *helper_of(const struct alk_git_session *s)
{
    return s->settings->helper[0] != '\0' ? s->settings->helper : s->service->helper;
}

static void put_words(struct words *w, const struct alk_git_session *s)
{
    const struct alk_git_settings *set = s->settings;
    put(w, "%s", helper_of(s));
    put(w, "serve");
    put(w, "--service=%s", alk_git_service_name(s->git));
    put(w, "--root=%s", set->root);
    put(w, "--git=%s", set->git);
    put(w, "--repo=%s", s->repo.name);
    put(w, "--version=%u", s->version);
    put(w, "--memory=%llu", (unsigned long long)set->memory);
    if (s->repo.has_suffix) {
        put(w, "--suffix");
    }
    put_list(w, "alternates", set->alternates);
    if (s->service->endpoint != NULL) {
        put(w, "--denied=%s", alk_endpoint_datadir(s->service->endpoint)->path);
    }
    if (s->git == ALK_GIT_RECEIVE_PACK) {
        put_push(w, s);
    } else if (s->git == ALK_GIT_UPLOAD_PACK && set->cache_size > 0) {
        put(w, "--cache-size=%llu", (unsigned long long)set->cache_size);
        put(w, "--cache-age=%llu", (unsigned long long)(set->cache_age / ALK_SECOND));
    }
}

/* argv over the text of w, which must not change any more. */
static bool index_words(struct words *w, const char *argv[static WORDS_MAX + 1])
{
    const char *at = alk_buf_cstr(&w->text);
    if (w->text.err != ALK_OK || w->count > WORDS_MAX) {
        return false;
    }
    for (size_t i = 0; i < w->count; i++) {
        argv[i] = at;
        at += strlen(at) + 1;
    }
    argv[w->count] = NULL;
    return true;
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
        .program = helper_of(s),
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
    const char *argv[WORDS_MAX + 1];
    struct words words = {.count = 0};
    alk_buf_init(&words.text, s->service->mem, TEXT_MAX);
    put_words(&words, s);
    alk_err err = index_words(&words, argv) ? start(s, argv) : ALK_E_TOO_BIG;
    alk_buf_fini(&words.text);
    if (err != ALK_OK) {
        refuse_start(s, err);
        return;
    }
    alk_git_audit(s, alk_git_session_who(s), true, "");
    s->state = ALK_GIT_RUNNING;
    s->stream = NULL;
}
