/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The `auth` section of the configuration as entries of an index. */
#include "core/auth/date.h"
#include "core/auth/index.h"

#include "base/mem.h"

enum { WHERE_SIZE = 256 };

/* What one peer is read into: too large for the stack. */
struct scratch {
    struct alk_span scopes[ALK_SCOPES_MAX + 1];
    struct alk_grant grants[ALK_GRANTS_MAX + 1];
    struct alk_span words[ALK_GRANTS_MAX + 1][ALK_GRANT_ACTIONS_MAX + ALK_GRANT_REFS_MAX + 2];
    char where[WHERE_SIZE];
};

/* The strings of a list (or of one that stands for it), at most max: with one
 * more, what is too long is refused by the count's check instead of cut. */
static size_t read_list(const struct alk_conf *list, struct alk_span *ret, size_t max)
{
    size_t n = alk_conf_count(list);
    n = n < max ? n : max;
    for (size_t i = 0; i < n; i++) {
        ret[i] = alk_conf_span(alk_conf_at(list, i));
    }
    return n;
}

/* A bare name, or {name, actions, refs}. */
static struct alk_grant read_grant(const struct alk_conf *at, struct alk_span type,
                                   struct alk_span *words)
{
    struct alk_grant grant = {.type = type, .name = alk_conf_span(at)};
    const struct alk_conf *name = alk_conf_get(at, "name");
    if (name != NULL) {
        grant.name = alk_conf_span(name);
        grant.actions = words;
        grant.action_count =
            read_list(alk_conf_get(at, "actions"), words, ALK_GRANT_ACTIONS_MAX + 1);
        grant.refs = words + grant.action_count;
        grant.ref_count =
            read_list(alk_conf_get(at, "refs"), words + grant.action_count, ALK_GRANT_REFS_MAX + 1);
    }
    return grant;
}

static size_t read_grants(const struct alk_conf *resources, struct scratch *tmp)
{
    size_t n = 0;
    for (size_t i = 0; i < alk_conf_count(resources); i++) {
        const struct alk_conf *of_type = alk_conf_at(resources, i);
        struct alk_span type = alk_span_str(alk_conf_key(of_type));
        for (size_t k = 0; k < alk_conf_count(of_type) && n <= ALK_GRANTS_MAX; k++) {
            tmp->grants[n] = read_grant(alk_conf_at(of_type, k), type, tmp->words[n]);
            n++;
        }
    }
    return n;
}

/* Mistakes are in the builder's message; only what ends the work comes back. */
static alk_err unless_mistake(alk_err err)
{
    return err == ALK_E_CONFIG ? ALK_OK : err;
}

static alk_err add_peer(struct alk_auth_builder *b, const struct alk_conf *peer,
                        struct scratch *tmp)
{
    const struct alk_conf *enabled = alk_conf_get(peer, "enabled");
    struct alk_identity_spec spec = {
        .id = alk_conf_span(alk_conf_get(peer, "id")),
        .scopes = tmp->scopes,
        .scope_count = read_list(alk_conf_get(peer, "scopes"), tmp->scopes, ALK_SCOPES_MAX + 1),
        .grants = tmp->grants,
        .grant_count = read_grants(alk_conf_get(peer, "resources"), tmp),
        .is_disabled = enabled != NULL && !alk_conf_bool(enabled),
    };
    alk_conf_where(peer, tmp->where, sizeof(tmp->where));
    ALK_TRY(unless_mistake(alk_auth_builder_add_identity(b, &spec, tmp->where)));

    const struct alk_conf *keys = alk_conf_get(peer, "keys");
    for (size_t i = 0; i < alk_conf_count(keys); i++) {
        const struct alk_conf *key = alk_conf_at(keys, i);
        alk_conf_where(key, tmp->where, sizeof(tmp->where));
        ALK_TRY(
            unless_mistake(alk_auth_builder_add_key(b, spec.id, alk_conf_span(key), tmp->where)));
    }
    return ALK_OK;
}

static alk_err add_token(struct alk_auth_builder *b, const struct alk_conf *conf,
                         struct scratch *tmp)
{
    const struct alk_conf *scopes = alk_conf_get(conf, "scopes");
    const struct alk_conf *expires = alk_conf_get(conf, "expires_at");
    struct alk_auth_token token = {
        .id = alk_conf_span(alk_conf_get(conf, "id")),
        .is_narrowed = scopes != NULL,
        .scopes = tmp->scopes,
        .scope_count = read_list(scopes, tmp->scopes, ALK_SCOPES_MAX + 1),
    };
    /* The rows' checks have refused what is malformed; should a table lack them, a
     * hash of zeros and the epoch let nobody in. */
    (void)alk_span_cstr(alk_conf_span(alk_conf_get(conf, "prefix")), token.prefix,
                        sizeof(token.prefix));
    if (alk_token_hash_parse(alk_conf_span(alk_conf_get(conf, "hash")), token.hash) != ALK_OK) {
        memset(token.hash, 0, sizeof(token.hash));
    }
    if (expires != NULL && alk_date_parse(alk_conf_span(expires), &token.expires_at) != ALK_OK) {
        token.expires_at = 1;
    }
    alk_conf_where(conf, tmp->where, sizeof(tmp->where));
    return unless_mistake(alk_auth_builder_add_token(b, &token, false, tmp->where));
}

static alk_err add_all(struct alk_auth_builder *b, const struct alk_conf *auth, struct scratch *tmp)
{
    const struct alk_conf *peers = alk_conf_get(auth, "peers");
    for (size_t i = 0; i < alk_conf_count(peers); i++) {
        ALK_TRY(add_peer(b, alk_conf_at(peers, i), tmp));
    }
    const struct alk_conf *tokens = alk_conf_get(auth, "tokens");
    for (size_t i = 0; i < alk_conf_count(tokens); i++) {
        ALK_TRY(add_token(b, alk_conf_at(tokens, i), tmp));
    }
    return ALK_OK;
}

alk_err alk_auth_builder_add_conf(struct alk_auth_builder *b, const struct alk_conf *auth)
{
    const struct alk_mem *mem = alk_auth_builder_mem(b);
    struct scratch *tmp = ALK_NEW(mem, struct scratch);
    if (tmp == NULL) {
        return ALK_E_NOMEM;
    }
    alk_err err = add_all(b, auth, tmp);
    alk_free(mem, tmp);
    return err;
}
