/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/auth_db.h"

#include "base/mem.h"
#include "core/store/auth_db_impl.h"

/* One row and what belongs to it. SQLite's texts are gone with the next step, so
 * they are copied into `text`; an identity that fits its own limit fits here. */
struct reader {
    struct alk_span scopes[ALK_SCOPES_MAX + 1];
    struct alk_span keys[ALK_AUTH_DB_KEYS_MAX + 1];
    struct alk_grant grants[ALK_GRANTS_MAX + 1];
    struct alk_span words[ALK_GRANTS_MAX + 1][ALK_GRANT_ACTIONS_MAX + ALK_GRANT_REFS_MAX + 2];
    size_t used;
    bool is_full; /* rows that this program never wrote */
    uint8_t text[(size_t)64 << 10];
};

static struct alk_span keep(struct reader *r, struct alk_span s)
{
    if (s.n > sizeof(r->text) - r->used) {
        r->is_full = true;
        return (struct alk_span){NULL, 0};
    }
    uint8_t *at = r->text + r->used;
    if (s.n > 0) {
        memcpy(at, s.p, s.n);
    }
    r->used += s.n;
    return alk_span(at, s.n);
}

/* "a b c" as spans into it. */
static size_t split(struct reader *r, struct alk_span text, struct alk_span *ret, size_t max)
{
    size_t n = 0;
    while (text.n > 0) {
        if (n == max) {
            r->is_full = true;
            return n;
        }
        ret[n++] = alk_span_cut(&text, ' ');
    }
    return n;
}

/* Statements of a walk over peers, each bound to one id after the other. */
struct walk {
    struct alk_auth_db *db;
    struct reader *r; /* owns */
    struct sqlite3_stmt *peers, *keys, *scopes, *grants;
};

static alk_err walk_open(struct walk *w)
{
    struct alk_db *db = w->db->db;
    w->r = ALK_NEW(w->db->mem, struct reader);
    if (w->r == NULL) {
        return ALK_E_NOMEM;
    }
    ALK_TRY(alk_db_prepare(db, "SELECT id, enabled, created_at FROM peer WHERE id > ?1 ORDER BY id",
                           &w->peers));
    ALK_TRY(
        alk_db_prepare(db, "SELECT name FROM peer_key WHERE peer = ?1 ORDER BY rowid", &w->keys));
    ALK_TRY(alk_db_prepare(db, "SELECT scope FROM peer_scope WHERE peer = ?1 ORDER BY rowid",
                           &w->scopes));
    return alk_db_prepare(
        db, "SELECT type, name, actions, refs FROM peer_grant WHERE peer = ?1 ORDER BY rowid",
        &w->grants);
}

static void walk_close(struct walk *w)
{
    alk_db_done(w->peers);
    alk_db_done(w->keys);
    alk_db_done(w->scopes);
    alk_db_done(w->grants);
    alk_free(w->db->mem, w->r);
}

/* The first column of all rows. */
static alk_err read_texts(struct walk *w, struct sqlite3_stmt *stmt, struct alk_span id,
                          struct alk_span *ret, size_t max, size_t *ret_n)
{
    size_t n = 0;
    alk_db_reset(stmt);
    alk_db_bind_text(stmt, 1, id);
    alk_err err;
    while ((err = alk_db_step(w->db->db, stmt)) == ALK_OK) {
        if (n == max) {
            w->r->is_full = true;
            break;
        }
        ret[n++] = keep(w->r, alk_db_text(stmt, 0));
    }
    *ret_n = n;
    return err == ALK_END ? ALK_OK : err;
}

static alk_err read_grants(struct walk *w, struct alk_span id, size_t *ret_n)
{
    struct reader *r = w->r;
    size_t n = 0;
    alk_db_reset(w->grants);
    alk_db_bind_text(w->grants, 1, id);
    alk_err err;
    while ((err = alk_db_step(w->db->db, w->grants)) == ALK_OK) {
        if (n == ALK_GRANTS_MAX) {
            r->is_full = true;
            break;
        }
        struct alk_grant *g = &r->grants[n];
        struct alk_span *words = r->words[n++];
        g->type = keep(r, alk_db_text(w->grants, 0));
        g->name = keep(r, alk_db_text(w->grants, 1));
        g->actions = words;
        g->action_count =
            split(r, keep(r, alk_db_text(w->grants, 2)), words, ALK_GRANT_ACTIONS_MAX);
        g->refs = words + g->action_count;
        g->ref_count = split(r, keep(r, alk_db_text(w->grants, 3)), words + g->action_count,
                             ALK_GRANT_REFS_MAX);
    }
    *ret_n = n;
    return err == ALK_END ? ALK_OK : err;
}

static alk_err read_peer(struct walk *w, struct alk_auth_db_peer *ret)
{
    struct reader *r = w->r;
    r->used = 0;
    struct alk_span id = keep(r, alk_db_text(w->peers, 0));
    *ret = (struct alk_auth_db_peer){
        .spec = {.id = id,
                 .scopes = r->scopes,
                 .grants = r->grants,
                 .is_disabled = alk_db_u64(w->peers, 1) == 0},
        .keys = r->keys,
        .created_at = alk_db_u64(w->peers, 2),
    };
    ALK_TRY(read_texts(w, w->scopes, id, r->scopes, ALK_SCOPES_MAX, &ret->spec.scope_count));
    ALK_TRY(read_texts(w, w->keys, id, r->keys, ALK_AUTH_DB_KEYS_MAX, &ret->key_count));
    ALK_TRY(read_grants(w, id, &ret->spec.grant_count));
    if (r->is_full) {
        return alk_auth_db_say(w->db, ALK_E_DB, "the store's peer '" ALK_SPAN_FMT "' is too large",
                               ALK_SPAN_ARG(id));
    }
    return ALK_OK;
}

alk_err alk_auth_db_peer_list(struct alk_auth_db *db, struct alk_span after,
                              alk_auth_db_peer_fn *fn, void *ctx)
{
    struct walk w = {.db = db};
    db->message[0] = 0;
    alk_err err = walk_open(&w);
    if (err == ALK_OK) {
        alk_db_bind_text(w.peers, 1, after);
    }
    while (err == ALK_OK && (err = alk_db_step(db->db, w.peers)) == ALK_OK) {
        struct alk_auth_db_peer peer;
        err = read_peer(&w, &peer);
        if (err == ALK_OK) {
            err = fn(ctx, &peer);
        }
    }
    walk_close(&w);
    return err == ALK_END ? ALK_OK : err;
}

/* A purpose of a later version opens nothing here. */
static enum alk_token_purpose purpose_of(uint64_t stored)
{
    switch (stored) {
    case ALK_TOKEN_NORMAL:
        return ALK_TOKEN_NORMAL;
    case ALK_TOKEN_ADD_KEY:
        return ALK_TOKEN_ADD_KEY;
    default:
        return ALK_TOKEN_INVITATION;
    }
}

static alk_err read_token(struct alk_auth_db *db, struct sqlite3_stmt *stmt, struct reader *r,
                          struct alk_auth_token *ret)
{
    r->used = 0;
    *ret = (struct alk_auth_token){
        .id = keep(r, alk_db_text(stmt, 2)),
        .is_narrowed = alk_db_u64(stmt, 3) != 0,
        .scopes = r->scopes,
        .expires_at = alk_db_u64(stmt, 5),
        .purpose = purpose_of(alk_db_u64(stmt, 7)),
    };
    struct alk_span hash = alk_db_blob(stmt, 1);
    ret->scope_count = split(r, keep(r, alk_db_text(stmt, 4)), r->scopes, ALK_SCOPES_MAX);
    if (r->is_full || hash.n != sizeof(ret->hash) ||
        !alk_span_cstr(alk_db_text(stmt, 0), ret->prefix, sizeof(ret->prefix))) {
        return alk_auth_db_say(db, ALK_E_DB, "the store has a damaged token");
    }
    memcpy(ret->hash, hash.p, sizeof(ret->hash));
    return ALK_OK;
}

#define TOKEN_COLUMNS                                                                              \
    "SELECT prefix, hash, peer, is_narrowed, scopes, expires_at, created_at, purpose, rowid "      \
    "FROM token"

/* Each token that the statement gives, to fn. ALK_END: it gave none after the last. */
static alk_err walk_tokens(struct alk_auth_db *db, struct sqlite3_stmt *stmt,
                           alk_auth_db_token_fn *fn, void *ctx, size_t *ret_count)
{
    struct reader *r = ALK_NEW(db->mem, struct reader);
    alk_err err = r == NULL ? ALK_E_NOMEM : ALK_OK;
    while (err == ALK_OK && (err = alk_db_step(db->db, stmt)) == ALK_OK) {
        struct alk_auth_token token;
        err = read_token(db, stmt, r, &token);
        if (err == ALK_OK) {
            (*ret_count)++;
            const struct alk_auth_db_place place = {alk_db_u64(stmt, 6), alk_db_u64(stmt, 8)};
            err = fn(ctx, &token, &place);
        }
    }
    alk_db_done(stmt);
    alk_free(db->mem, r);
    return err;
}

alk_err alk_auth_db_token_list(struct alk_auth_db *db, uint64_t after_row, alk_auth_db_token_fn *fn,
                               void *ctx)
{
    struct sqlite3_stmt *stmt = NULL;
    size_t count = 0;
    db->message[0] = 0;
    ALK_TRY(alk_db_prepare(db->db, TOKEN_COLUMNS " WHERE rowid > ?1 ORDER BY rowid", &stmt));
    alk_db_bind_u64(stmt, 1, after_row < INT64_MAX ? after_row : INT64_MAX);
    alk_err err = walk_tokens(db, stmt, fn, ctx, &count);
    return err == ALK_END ? ALK_OK : err;
}

alk_err alk_auth_db_token_find(struct alk_auth_db *db, struct alk_span prefix,
                               alk_auth_db_token_fn *fn, void *ctx)
{
    struct sqlite3_stmt *stmt = NULL;
    size_t count = 0;
    db->message[0] = 0;
    ALK_TRY(alk_db_prepare(db->db, TOKEN_COLUMNS " WHERE prefix = ?1", &stmt));
    alk_db_bind_text(stmt, 1, prefix);
    alk_err err = walk_tokens(db, stmt, fn, ctx, &count);
    if (err == ALK_END) {
        err = count > 0 ? ALK_OK : ALK_E_NOENT;
    }
    return err;
}

/* Mistakes are in the builder's message; only what ends the work comes back. */
static alk_err unless_mistake(alk_err err)
{
    return err == ALK_E_CONFIG ? ALK_OK : err;
}

static alk_err load_peer(void *ctx, const struct alk_auth_db_peer *peer)
{
    struct alk_auth_builder *b = ctx;
    ALK_TRY(unless_mistake(alk_auth_builder_add_identity(b, &peer->spec, "store")));
    for (size_t i = 0; i < peer->key_count; i++) {
        ALK_TRY(unless_mistake(alk_auth_builder_add_key(b, peer->spec.id, peer->keys[i], "store")));
    }
    return ALK_OK;
}

static alk_err load_token(void *ctx, const struct alk_auth_token *token,
                          const struct alk_auth_db_place *place)
{
    (void)place;
    return unless_mistake(alk_auth_builder_add_token(ctx, token, true, "store"));
}

alk_err alk_auth_db_load(struct alk_auth_db *db, struct alk_auth_builder *b)
{
    /* One transaction: peers and tokens of the same moment. */
    ALK_TRY(alk_auth_db_begin(db));
    alk_err err = alk_auth_db_peer_list(db, alk_span(NULL, 0), load_peer, b);
    if (err == ALK_OK) {
        err = alk_auth_db_token_list(db, 0, load_token, b);
    }
    return alk_db_end(db->db, err);
}

static alk_err build(struct alk_auth_db *db, const struct alk_conf *auth,
                     struct alk_auth_builder *b, uint64_t generation,
                     const struct alk_auth_index **ret)
{
    ALK_TRY(alk_auth_builder_add_conf(b, auth));
    if (db != NULL) {
        ALK_TRY(alk_auth_db_load(db, b));
    }
    return alk_auth_builder_finish(b, generation, ret);
}

alk_err alk_auth_db_build(struct alk_auth_db *db, const struct alk_conf *auth,
                          const struct alk_mem *mem, const struct alk_rand *rand,
                          uint64_t generation, char **ret_message,
                          const struct alk_auth_index **ret)
{
    struct alk_auth_builder *b = NULL;
    ALK_TRY(alk_auth_builder_new(mem, rand, &b));
    alk_err err = build(db, auth, b, generation, ret);
    if (err == ALK_E_CONFIG && ret_message != NULL) {
        char *message = alk_strdup_span(mem, alk_span_str(alk_auth_builder_message(b)));
        if (message == NULL) {
            err = ALK_E_NOMEM;
        } else {
            *ret_message = message;
        }
    }
    alk_auth_builder_free(b);
    return err;
}
