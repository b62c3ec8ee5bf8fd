/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/exec_env.h"

#include "base/mem.h"
#include "base/span.h"

#define TEXT_MAX 40960

static void put(struct alk_exec_env *env, const char *name, struct alk_span value)
{
    if (value.n == 0 || alk_span_find(value, 0) < value.n) {
        return; /* unknown: unset rather than empty */
    }
    (void)alk_buf_put_str(&env->text, name);
    (void)alk_buf_put_u8(&env->text, '=');
    (void)alk_buf_put(&env->text, value);
    (void)alk_buf_put_u8(&env->text, 0);
}

static void put_variables(struct alk_exec_env *env, const struct alk_conf *variables)
{
    for (size_t i = 0; i < alk_conf_count(variables); i++) {
        const struct alk_conf *v = alk_conf_at(variables, i);
        struct alk_span value = alk_conf_span(v);
        if (alk_span_find(value, 0) == value.n) {
            (void)alk_buf_put_str(&env->text, alk_conf_key(v));
            (void)alk_buf_put_u8(&env->text, '=');
            (void)alk_buf_put(&env->text, value);
            (void)alk_buf_put_u8(&env->text, 0);
        }
    }
}

/* Scopes hold no spaces (DESIGN.md §7), so a space separates them. */
static alk_err put_scopes(struct alk_exec_env *env, const struct alk_identity *identity)
{
    struct alk_buf list;
    alk_buf_init(&list, env->mem, ALK_SCOPES_MAX * (ALK_SCOPE_MAX + 1));
    for (size_t i = 0; i < alk_identity_scope_count(identity); i++) {
        (void)alk_buf_put_str(&list, i == 0 ? "" : " ");
        (void)alk_buf_put(&list, alk_identity_scope(identity, i));
    }
    alk_err err = list.err;
    put(env, "ALKNET_PEER_SCOPES", alk_buf_span(&list));
    alk_buf_fini(&list);
    return err;
}

static alk_err put_peer(struct alk_exec_env *env, const struct alk_auth_context *auth)
{
    put(env, "ALKNET_ALPN", alk_span_str(auth->alpn));
    put(env, "ALKNET_REMOTE_ADDR", alk_span_str(auth->remote));
    put(env, "ALKNET_PEER_FINGERPRINT", alk_span_str(auth->fingerprints[0]));
    if (auth->identity == NULL) {
        return ALK_OK;
    }
    put(env, "ALKNET_PEER_ID", alk_identity_id(auth->identity));
    return put_scopes(env, auth->identity);
}

static alk_err index_words(struct alk_exec_env *env)
{
    struct alk_span text = alk_buf_span(&env->text);
    size_t count = 0;
    for (size_t i = 0; i < text.n; i++) {
        count += text.p[i] == 0;
    }
    env->words = alk_zalloc(env->mem, count + 1, sizeof(char *));
    if (env->words == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        env->words[i] = (const char *)text.p;
        text = alk_span_tail(text, alk_span_find(text, 0) + 1);
    }
    return ALK_OK;
}

alk_err alk_exec_env_init(struct alk_exec_env *env, const struct alk_mem *mem,
                          const struct alk_conf *variables, const struct alk_auth_context *auth)
{
    *env = (struct alk_exec_env){.mem = mem};
    alk_buf_init(&env->text, mem, TEXT_MAX);
    if (alk_conf_get(variables, "PATH") == NULL) {
        put(env, "PATH", ALK_LIT(ALK_EXEC_PATH));
    }
    if (alk_conf_get(variables, "LANG") == NULL) {
        put(env, "LANG", ALK_LIT("C.UTF-8"));
    }
    put_variables(env, variables);
    ALK_TRY(put_peer(env, auth));
    if (env->text.err != ALK_OK) {
        return env->text.err;
    }
    return index_words(env);
}

void alk_exec_env_fini(struct alk_exec_env *env)
{
    alk_free(env->mem, env->words);
    env->words = NULL;
    alk_buf_fini(&env->text);
}
