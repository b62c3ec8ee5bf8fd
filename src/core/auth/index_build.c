/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/index.h"

#include "base/buf.h"
#include "base/mem.h"
#include "core/auth/index_impl.h"

#include <stdarg.h>

/* The message is for a person: what does not fit in here would not be read. */
enum { MESSAGE_MAX = 65536, LINE_MAX_SIZE = 1024, WHY_SIZE = 256 };

struct alk_auth_builder {
    const struct alk_mem *mem;
    struct alk_auth_index *index; /* owns until finish */
    struct alk_buf message;
    unsigned mistakes;
    alk_err fatal; /* sticky: ALK_E_NOMEM, ALK_E_LIMIT */
};

alk_err alk_auth_builder_new(const struct alk_mem *mem, const struct alk_rand *rand,
                             struct alk_auth_builder **ret)
{
    struct alk_auth_builder *b = ALK_NEW(mem, struct alk_auth_builder);
    struct alk_auth_index *index = ALK_NEW(mem, struct alk_auth_index);
    if (b == NULL || index == NULL) {
        alk_free(mem, b);
        alk_free(mem, index);
        return ALK_E_NOMEM;
    }
    uint8_t seed[16];
    alk_rand_fill(rand, seed, sizeof(seed));
    atomic_init(&index->refs, 1);
    index->mem = mem;
    alk_list_init(&index->places);
    alk_list_init(&index->peers);
    alk_list_init(&index->keys);
    alk_list_init(&index->tokens);
    alk_map_init(&index->peer_map, mem, ALK_AUTH_IDENTITIES_MAX, seed);
    alk_map_init(&index->key_map, mem, ALK_AUTH_KEYS_MAX, seed);
    alk_map_init(&index->token_map, mem, ALK_AUTH_TOKENS_MAX, seed);
    b->mem = mem;
    b->index = index;
    alk_buf_init(&b->message, mem, MESSAGE_MAX);
    *ret = b;
    return ALK_OK;
}

void alk_auth_builder_free(struct alk_auth_builder *b)
{
    if (b == NULL) {
        return;
    }
    if (b->index != NULL) {
        alk_index_destroy(b->index);
    }
    alk_buf_fini(&b->message);
    alk_free(b->mem, b);
}

const struct alk_mem *alk_auth_builder_mem(const struct alk_auth_builder *b)
{
    return b->mem;
}

static alk_err fatal(struct alk_auth_builder *b, alk_err err)
{
    b->fatal = err;
    return err;
}

/* Notes a mistake. Messages beyond the buffer are dropped; finish still refuses. */
static alk_err mistake(struct alk_auth_builder *b, const char *where, const char *fmt, ...)
    ALK_PRINTF(3, 4);
static alk_err mistake(struct alk_auth_builder *b, const char *where, const char *fmt, ...)
{
    char line[LINE_MAX_SIZE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    b->mistakes++;
    if (alk_buf_room(&b->message) < sizeof(line) + strlen(where) + 4) {
        return ALK_E_CONFIG;
    }
    if (alk_buf_printf(&b->message, "%s: %s\n", where, line) != ALK_OK) {
        return fatal(b, ALK_E_NOMEM);
    }
    return ALK_E_CONFIG;
}

const char *alk_auth_builder_message(struct alk_auth_builder *b)
{
    return alk_buf_cstr(&b->message);
}

/* The place as the index keeps it; NULL without memory. */
static const char *keep_where(struct alk_auth_builder *b, const char *where)
{
    struct alk_list *places = &b->index->places;
    if (!alk_list_is_empty(places)) {
        struct alk_index_where *last =
            ALK_CONTAINER(places->head.prev, struct alk_index_where, link);
        if (alk_span_is(alk_span_str(last->text), where)) {
            return last->text;
        }
    }
    size_t n = strlen(where) + 1;
    struct alk_index_where *w = alk_zalloc(b->mem, 1, sizeof(*w) + n);
    if (w == NULL) {
        return NULL;
    }
    memcpy(w->text, where, n);
    alk_list_append(places, &w->link);
    return w->text;
}

alk_err alk_auth_builder_add_identity(struct alk_auth_builder *b,
                                      const struct alk_identity_spec *spec, const char *where)
{
    char why[WHY_SIZE] = "";
    const struct alk_identity *identity = NULL;
    alk_err err = alk_identity_new(b->mem, spec, why, sizeof(why), &identity);
    if (err == ALK_E_INVALID) {
        return mistake(b, where, "%s", why);
    }
    const struct alk_index_peer *other = alk_map_get(&b->index->peer_map, spec->id);
    if (err == ALK_OK && other != NULL) {
        alk_identity_unref(identity);
        return mistake(b, where, "the peer '" ALK_SPAN_FMT "' is defined in %s already",
                       ALK_SPAN_ARG(spec->id), other->where);
    }
    struct alk_index_peer *peer = ALK_NEW(b->mem, struct alk_index_peer);
    const char *kept = keep_where(b, where);
    if (err == ALK_OK && (peer == NULL || kept == NULL)) {
        err = ALK_E_NOMEM;
    }
    if (err == ALK_OK) {
        err = alk_map_put(&b->index->peer_map, alk_identity_id(identity), peer);
    }
    if (err != ALK_OK) {
        alk_identity_unref(identity);
        alk_free(b->mem, peer);
        return fatal(b, err);
    }
    peer->identity = identity;
    peer->where = kept;
    alk_list_append(&b->index->peers, &peer->link);
    return ALK_OK;
}

/* Every name under which this key can be seen, as far as the text tells. */
static void names_of(const char *canonical, struct alk_index_key *key)
{
    uint8_t raw[ALK_ED25519_SIZE];
    if (!alk_key_name_ed25519(canonical, raw)) {
        memcpy(key->name[0], canonical, ALK_FINGERPRINT_MAX);
        key->name_count = 1;
        return;
    }
    struct alk_key_names names;
    alk_key_names_from_ed25519(raw, &names);
    memcpy(key->name, names.name, sizeof(key->name));
    key->name_count = names.count;
}

static const struct alk_index_key *key_taken(const struct alk_auth_index *index,
                                             const struct alk_index_key *key)
{
    for (size_t i = 0; i < key->name_count; i++) {
        const struct alk_index_key *other =
            alk_map_get(&index->key_map, alk_span_str(key->name[i]));
        if (other != NULL) {
            return other;
        }
    }
    return NULL;
}

/* All names or none. */
static alk_err put_key(struct alk_auth_index *index, struct alk_index_key *key)
{
    for (size_t i = 0; i < key->name_count; i++) {
        alk_err err = alk_map_put(&index->key_map, alk_span_str(key->name[i]), key);
        if (err != ALK_OK) {
            while (i > 0) {
                i--;
                (void)alk_map_remove(&index->key_map, alk_span_str(key->name[i]));
            }
            return err;
        }
    }
    alk_list_append(&index->keys, &key->link);
    return ALK_OK;
}

alk_err alk_auth_builder_add_key(struct alk_auth_builder *b, struct alk_span id,
                                 struct alk_span text, const char *where)
{
    char why[WHY_SIZE] = "", name[ALK_FINGERPRINT_MAX] = "";
    if (alk_key_parse(text, name, why, sizeof(why)) != ALK_OK) {
        return mistake(b, where, "%s", why);
    }
    if (!alk_identity_id_is_valid(id)) {
        return mistake(b, where, "this key has no peer");
    }
    struct alk_index_key *key = ALK_NEW(b->mem, struct alk_index_key);
    const char *kept = keep_where(b, where);
    if (key == NULL || kept == NULL) {
        alk_free(b->mem, key);
        return fatal(b, ALK_E_NOMEM);
    }
    names_of(name, key);
    (void)alk_span_cstr(id, key->id, sizeof(key->id));
    key->where = kept;
    const struct alk_index_key *other = key_taken(b->index, key);
    if (other != NULL) {
        alk_free(b->mem, key);
        return mistake(b, where, "the key %s belongs to '%s' in %s already", name, other->id,
                       other->where);
    }
    alk_err err = put_key(b->index, key);
    if (err != ALK_OK) {
        alk_free(b->mem, key);
        return fatal(b, err);
    }
    return ALK_OK;
}

/* Fills a node; the scopes of a narrowed token ride in an identity that has
 * nothing else. */
static alk_err token_fill(struct alk_auth_builder *b, const struct alk_auth_token *token,
                          struct alk_index_token *node, char *why, size_t why_size)
{
    struct alk_identity_spec spec = {.id = token->id};
    if (token->is_narrowed) {
        spec.scopes = token->scopes;
        spec.scope_count = token->scope_count;
    }
    ALK_TRY(alk_identity_new(b->mem, &spec, why, why_size, &node->identity));
    memcpy(node->prefix, token->prefix, sizeof(node->prefix));
    memcpy(node->hash, token->hash, sizeof(node->hash));
    (void)alk_span_cstr(token->id, node->id, sizeof(node->id));
    node->expires_at = token->expires_at;
    node->purpose = token->purpose;
    node->is_narrowed = token->is_narrowed;
    return ALK_OK;
}

static alk_err token_add(struct alk_auth_builder *b, const struct alk_auth_token *token,
                         struct alk_index_token *node, const char *where)
{
    char why[WHY_SIZE] = "";
    node->where = keep_where(b, where);
    alk_err err = node->where == NULL ? ALK_E_NOMEM : token_fill(b, token, node, why, sizeof(why));
    if (err == ALK_E_INVALID) {
        return mistake(b, where, "%s", why);
    }
    if (err == ALK_OK) {
        err = alk_map_put(&b->index->token_map, alk_span_str(node->prefix), node);
    }
    if (err != ALK_OK) {
        return fatal(b, err);
    }
    alk_list_append(&b->index->tokens, &node->link);
    return ALK_OK;
}

alk_err alk_auth_builder_add_token(struct alk_auth_builder *b, const struct alk_auth_token *token,
                                   bool may_dangle, const char *where)
{
    struct alk_span prefix = alk_span(token->prefix, ALK_TOKEN_PREFIX_LEN);
    if (!alk_token_prefix_is_valid(prefix) || token->prefix[ALK_TOKEN_PREFIX_LEN] != 0) {
        return mistake(b, where, "a token's prefix is its %d characters after 'alk_'",
                       ALK_TOKEN_PREFIX_LEN);
    }
    const struct alk_index_token *other = alk_map_get(&b->index->token_map, prefix);
    if (other != NULL) {
        return mistake(b, where, "the token %s is defined in %s already", other->prefix,
                       other->where);
    }
    struct alk_index_token *node = ALK_NEW(b->mem, struct alk_index_token);
    if (node == NULL) {
        return fatal(b, ALK_E_NOMEM);
    }
    node->may_dangle = may_dangle;
    alk_err err = token_add(b, token, node, where);
    if (err != ALK_OK) {
        alk_identity_unref(node->identity);
        alk_free(b->mem, node);
    }
    return err;
}

static alk_err own_keys(struct alk_auth_builder *b)
{
    struct alk_auth_index *index = b->index;
    struct alk_link *at = alk_list_first(&index->keys);
    for (; at != NULL; at = alk_list_next(&index->keys, at)) {
        struct alk_index_key *key = ALK_CONTAINER(at, struct alk_index_key, link);
        key->owner = alk_map_get(&index->peer_map, alk_span_str(key->id));
        if (key->owner == NULL &&
            mistake(b, key->where, "there is no peer '%s'", key->id) == ALK_E_NOMEM) {
            return ALK_E_NOMEM;
        }
    }
    return ALK_OK;
}

/* Whom the token stands for: the peer itself, or what its scopes leave of it. */
static alk_err token_own(struct alk_auth_index *index, struct alk_index_token *token,
                         const struct alk_identity *whose)
{
    const struct alk_identity *carrier = token->identity;
    struct alk_span scopes[ALK_SCOPES_MAX];
    size_t n = alk_identity_scope_count(carrier);
    for (size_t i = 0; i < n; i++) {
        scopes[i] = alk_identity_scope(carrier, i);
    }
    const struct alk_identity *own = NULL;
    if (token->is_narrowed) {
        ALK_TRY(alk_identity_narrow(index->mem, whose, scopes, n, &own));
    } else {
        own = alk_identity_ref(whose);
    }
    alk_identity_unref(carrier);
    token->identity = own;
    return ALK_OK;
}

static alk_err own_tokens(struct alk_auth_builder *b)
{
    struct alk_auth_index *index = b->index;
    struct alk_link *at = alk_list_first(&index->tokens);
    while (at != NULL) {
        struct alk_index_token *token = ALK_CONTAINER(at, struct alk_index_token, link);
        at = alk_list_next(&index->tokens, at);
        const struct alk_index_peer *peer = alk_map_get(&index->peer_map, alk_span_str(token->id));
        if (peer != NULL) {
            ALK_TRY(token_own(index, token, peer->identity));
        } else if (token->may_dangle) {
            (void)alk_map_remove(&index->token_map, alk_span_str(token->prefix));
            alk_list_remove(&token->link);
            alk_identity_unref(token->identity);
            alk_free(index->mem, token);
        } else if (mistake(b, token->where, "there is no peer '%s'", token->id) == ALK_E_NOMEM) {
            return ALK_E_NOMEM;
        }
    }
    return ALK_OK;
}

static alk_err order_peers(struct alk_auth_index *index)
{
    index->by_order = alk_zalloc(index->mem, index->peer_map.n, sizeof(*index->by_order));
    if (index->by_order == NULL) {
        return ALK_E_NOMEM;
    }
    size_t i = 0;
    struct alk_link *at = alk_list_first(&index->peers);
    for (; at != NULL; at = alk_list_next(&index->peers, at)) {
        index->by_order[i++] = ALK_CONTAINER(at, struct alk_index_peer, link);
    }
    return ALK_OK;
}

alk_err alk_auth_builder_finish(struct alk_auth_builder *b, uint64_t generation,
                                const struct alk_auth_index **ret)
{
    ALK_ASSERT(b->index != NULL);
    if (b->fatal != ALK_OK) {
        return b->fatal;
    }
    /* A mistake may have left a peer out, whose keys and tokens would then be told
     * as mistakes too. */
    if (b->mistakes == 0) {
        ALK_TRY(own_keys(b));
        ALK_TRY(own_tokens(b));
    }
    if (b->mistakes > 0) {
        return ALK_E_CONFIG;
    }
    ALK_TRY(order_peers(b->index));
    b->index->generation = generation;
    *ret = b->index;
    b->index = NULL;
    return ALK_OK;
}
