/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/auth_db.h"

#include "base/buf.h"
#include "base/ct.h"
#include "base/mem.h"
#include "core/auth/fingerprint.h"
#include "core/auth/scope.h"
#include "core/store/auth_db_impl.h"

#include <stdarg.h>

/* "alkn", as SQLite's application_id. */
#define APPLICATION_ID 0x616c6b6eu

/* Lists of words (scopes of a token, actions, refs) are one text, separated by
 * spaces, which none of them can hold. token.peer is no foreign key: the peer may
 * stand in the configuration. */
static const char VERSION_1[] = "CREATE TABLE peer ("
                                "  id TEXT NOT NULL PRIMARY KEY,"
                                "  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),"
                                "  created_at INTEGER NOT NULL) STRICT;"
                                "CREATE TABLE peer_key ("
                                "  name TEXT NOT NULL PRIMARY KEY,"
                                "  peer TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,"
                                "  created_at INTEGER NOT NULL) STRICT;"
                                "CREATE INDEX peer_key_peer ON peer_key (peer);"
                                "CREATE TABLE peer_scope ("
                                "  peer TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,"
                                "  scope TEXT NOT NULL,"
                                "  UNIQUE (peer, scope)) STRICT;"
                                "CREATE TABLE peer_grant ("
                                "  peer TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,"
                                "  type TEXT NOT NULL,"
                                "  name TEXT NOT NULL,"
                                "  actions TEXT NOT NULL,"
                                "  refs TEXT NOT NULL) STRICT;"
                                "CREATE INDEX peer_grant_peer ON peer_grant (peer);"
                                "CREATE TABLE token ("
                                "  prefix TEXT NOT NULL PRIMARY KEY,"
                                "  hash BLOB NOT NULL CHECK (length(hash) = 32),"
                                "  peer TEXT NOT NULL,"
                                "  is_narrowed INTEGER NOT NULL CHECK (is_narrowed IN (0, 1)),"
                                "  scopes TEXT NOT NULL,"
                                "  expires_at INTEGER NOT NULL," /* 0: never */
                                "  created_at INTEGER NOT NULL,"
                                "  purpose INTEGER NOT NULL) STRICT;" /* enum alk_token_purpose */
                                "CREATE INDEX token_peer ON token (peer);";

static const char *const MIGRATIONS[] = {VERSION_1};
static const struct alk_db_schema SCHEMA = {
    .application_id = APPLICATION_ID,
    .migrations = MIGRATIONS,
    .count = sizeof(MIGRATIONS) / sizeof(MIGRATIONS[0]),
};

alk_err alk_auth_db_say(struct alk_auth_db *db, alk_err err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(db->message, sizeof(db->message), fmt, ap);
    va_end(ap);
    return err;
}

const char *alk_auth_db_message(const struct alk_auth_db *db)
{
    return db->message[0] != 0 ? db->message : alk_db_message(db->db);
}

alk_err alk_auth_db_open(const struct alk_mem *mem, const char *data_dir, char *message,
                         struct alk_auth_db **ret)
{
    struct alk_buf path;
    alk_buf_init(&path, mem, 4096);
    struct alk_auth_db *db = ALK_NEW(mem, struct alk_auth_db);
    alk_err err =
        db == NULL ? ALK_E_NOMEM : alk_buf_printf(&path, "%s/%s", data_dir, ALK_AUTH_DB_FILE);
    if (message != NULL) {
        (void)snprintf(message, ALK_DB_MESSAGE_SIZE, "%s", alk_err_text(err));
    }
    if (err == ALK_OK) {
        db->mem = mem;
        err = alk_db_open(mem, alk_buf_cstr(&path), &SCHEMA, message, &db->db);
    }
    alk_buf_fini(&path);
    if (err != ALK_OK) {
        alk_free(mem, db);
        return err;
    }
    *ret = db;
    return ALK_OK;
}

void alk_auth_db_close(struct alk_auth_db *db)
{
    if (db != NULL) {
        alk_db_close(db->db);
        alk_free(db->mem, db);
    }
}

alk_err alk_auth_db_begin(struct alk_auth_db *db)
{
    db->message[0] = 0;
    return alk_db_begin(db->db);
}

alk_err alk_auth_db_commit(struct alk_auth_db *db)
{
    db->message[0] = 0;
    return alk_db_commit(db->db);
}

void alk_auth_db_rollback(struct alk_auth_db *db)
{
    alk_db_rollback(db->db);
}

/* A statement with texts ?1 and ?2 and a number ?3; it need not use them all. */
static alk_err run(struct alk_auth_db *db, const char *sql, struct alk_span a, struct alk_span b,
                   uint64_t n)
{
    struct sqlite3_stmt *stmt = NULL;
    ALK_TRY(alk_db_prepare(db->db, sql, &stmt));
    alk_db_bind_text(stmt, 1, a);
    alk_db_bind_text(stmt, 2, b);
    alk_db_bind_u64(stmt, 3, n);
    return alk_db_run(db->db, stmt);
}

/* The id in the first column for one text, copied; ALK_END: no row. */
static alk_err find(struct alk_auth_db *db, const char *sql, struct alk_span key,
                    char ret[static ALK_ID_MAX + 1])
{
    struct sqlite3_stmt *stmt = NULL;
    ALK_TRY(alk_db_prepare(db->db, sql, &stmt));
    alk_db_bind_text(stmt, 1, key);
    alk_err err = alk_db_step(db->db, stmt);
    if (err == ALK_OK) {
        (void)alk_span_cstr(alk_db_text(stmt, 0), ret, ALK_ID_MAX + 1);
    }
    alk_db_done(stmt);
    return err;
}

static alk_err require_peer(struct alk_auth_db *db, struct alk_span id)
{
    char found[ALK_ID_MAX + 1];
    alk_err err = find(db, "SELECT id FROM peer WHERE id = ?1", id, found);
    return err == ALK_END ? alk_auth_db_say(db, ALK_E_NOENT,
                                            "there is no peer '" ALK_SPAN_FMT "' in the store",
                                            ALK_SPAN_ARG(alk_span_head(id, ALK_ID_MAX)))
                          : err;
}

/* Refuses a key that any peer has, under any name that we can know of it. */
static alk_err key_is_free(struct alk_auth_db *db, const char *name)
{
    struct alk_key_names names = {.count = 1};
    uint8_t raw[ALK_ED25519_SIZE];
    memcpy(names.name[0], name, ALK_FINGERPRINT_MAX);
    if (alk_key_name_ed25519(name, raw)) {
        alk_key_names_from_ed25519(raw, &names);
    }
    for (size_t i = 0; i < names.count; i++) {
        char owner[ALK_ID_MAX + 1];
        alk_err err = find(db, "SELECT peer FROM peer_key WHERE name = ?1",
                           alk_span_str(names.name[i]), owner);
        if (err == ALK_OK) {
            return alk_auth_db_say(db, ALK_E_EXISTS, "the key %s belongs to the peer '%s'",
                                   names.name[i], owner);
        }
        if (err != ALK_END) {
            return err;
        }
    }
    return ALK_OK;
}

static alk_err insert_key(struct alk_auth_db *db, struct alk_span id, struct alk_span text,
                          uint64_t now)
{
    char name[ALK_FINGERPRINT_MAX];
    char why[256] = "";
    if (alk_key_parse(text, name, why, sizeof(why)) != ALK_OK) {
        return alk_auth_db_say(db, ALK_E_INVALID, "%s", why);
    }
    ALK_TRY(key_is_free(db, name));
    return run(db, "INSERT INTO peer_key (name, peer, created_at) VALUES (?1, ?2, ?3)",
               alk_span_str(name), id, now);
}

/* Words with spaces between. */
static void join(struct alk_buf *b, const struct alk_span *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            (void)alk_buf_put_u8(b, ' ');
        }
        (void)alk_buf_put(b, words[i]);
    }
}

static alk_err insert_grant(struct alk_auth_db *db, struct alk_span id,
                            const struct alk_grant *grant)
{
    struct alk_buf actions, refs;
    alk_buf_init(&actions, db->mem, ALK_IDENTITY_SPEC_MAX);
    alk_buf_init(&refs, db->mem, ALK_IDENTITY_SPEC_MAX);
    join(&actions, grant->actions, grant->action_count);
    join(&refs, grant->refs, grant->ref_count);
    struct sqlite3_stmt *stmt = NULL;
    alk_err err = actions.err != ALK_OK ? actions.err : refs.err;
    if (err == ALK_OK) {
        err = alk_db_prepare(db->db,
                             "INSERT INTO peer_grant (peer, type, name, actions, refs)"
                             " VALUES (?1, ?2, ?3, ?4, ?5)",
                             &stmt);
    }
    if (err == ALK_OK) {
        alk_db_bind_text(stmt, 1, id);
        alk_db_bind_text(stmt, 2, grant->type);
        alk_db_bind_text(stmt, 3, grant->name);
        alk_db_bind_text(stmt, 4, alk_buf_span(&actions));
        alk_db_bind_text(stmt, 5, alk_buf_span(&refs));
        err = alk_db_run(db->db, stmt);
    }
    alk_buf_fini(&actions);
    alk_buf_fini(&refs);
    return err;
}

static alk_err set_enabled(struct alk_auth_db *db, struct alk_span id, bool is_enabled)
{
    ALK_TRY(require_peer(db, id));
    return run(db, "UPDATE peer SET enabled = ?3 WHERE id = ?1", id, ALK_LIT(""),
               is_enabled ? 1 : 0);
}

static alk_err insert_peer(struct alk_auth_db *db, const struct alk_identity_spec *spec,
                           const struct alk_span *keys, size_t key_count, uint64_t now)
{
    char found[ALK_ID_MAX + 1];
    alk_err err = find(db, "SELECT id FROM peer WHERE id = ?1", spec->id, found);
    if (err != ALK_END) {
        return err != ALK_OK ? err
                             : alk_auth_db_say(db, ALK_E_EXISTS,
                                               "the peer '%s' is in the store already", found);
    }
    ALK_TRY(run(db, "INSERT INTO peer (id, enabled, created_at) VALUES (?1, 1, ?3)", spec->id,
                ALK_LIT(""), now));
    if (spec->is_disabled) {
        ALK_TRY(set_enabled(db, spec->id, false));
    }
    for (size_t i = 0; i < key_count; i++) {
        ALK_TRY(insert_key(db, spec->id, keys[i], now));
    }
    for (size_t i = 0; i < spec->scope_count; i++) {
        ALK_TRY(run(db, "INSERT OR IGNORE INTO peer_scope (peer, scope) VALUES (?1, ?2)", spec->id,
                    spec->scopes[i], 0));
    }
    for (size_t i = 0; i < spec->grant_count; i++) {
        ALK_TRY(insert_grant(db, spec->id, &spec->grants[i]));
    }
    return ALK_OK;
}

alk_err alk_auth_db_peer_add(struct alk_auth_db *db, const struct alk_identity_spec *spec,
                             const struct alk_span *keys, size_t key_count, uint64_t now)
{
    char why[256] = "";
    const struct alk_identity *probe = NULL;
    alk_err err = alk_identity_new(db->mem, spec, why, sizeof(why), &probe);
    if (err != ALK_OK) {
        return alk_auth_db_say(db, err, "%s", err == ALK_E_INVALID ? why : alk_err_text(err));
    }
    alk_identity_unref(probe);
    if (key_count > ALK_AUTH_DB_KEYS_MAX) {
        return alk_auth_db_say(db, ALK_E_INVALID, "a peer has at most %d keys",
                               ALK_AUTH_DB_KEYS_MAX);
    }
    ALK_TRY(alk_auth_db_begin(db));
    return alk_db_end(db->db, insert_peer(db, spec, keys, key_count, now));
}

static alk_err add_key(struct alk_auth_db *db, struct alk_span id, struct alk_span key,
                       uint64_t now)
{
    ALK_TRY(require_peer(db, id));
    struct sqlite3_stmt *stmt = NULL;
    ALK_TRY(alk_db_prepare(db->db, "SELECT count(*) FROM peer_key WHERE peer = ?1", &stmt));
    alk_db_bind_text(stmt, 1, id);
    alk_err err = alk_db_step(db->db, stmt);
    uint64_t n = err == ALK_OK ? alk_db_u64(stmt, 0) : 0;
    alk_db_done(stmt);
    ALK_TRY(err);
    if (n >= ALK_AUTH_DB_KEYS_MAX) {
        return alk_auth_db_say(db, ALK_E_INVALID, "a peer has at most %d keys",
                               ALK_AUTH_DB_KEYS_MAX);
    }
    return insert_key(db, id, key, now);
}

alk_err alk_auth_db_key_add(struct alk_auth_db *db, struct alk_span id, struct alk_span key,
                            uint64_t now)
{
    ALK_TRY(alk_auth_db_begin(db));
    return alk_db_end(db->db, add_key(db, id, key, now));
}

alk_err alk_auth_db_peer_enable(struct alk_auth_db *db, struct alk_span id, bool is_enabled)
{
    ALK_TRY(alk_auth_db_begin(db));
    return alk_db_end(db->db, set_enabled(db, id, is_enabled));
}

static alk_err delete_by(struct alk_auth_db *db, const char *sql, struct alk_span key,
                         uint64_t *ret_changes)
{
    struct sqlite3_stmt *stmt = NULL;
    ALK_TRY(alk_db_prepare(db->db, sql, &stmt));
    alk_db_bind_text(stmt, 1, key);
    ALK_TRY(alk_db_run(db->db, stmt));
    *ret_changes = alk_db_changes(db->db);
    return ALK_OK;
}

static alk_err remove_peer(struct alk_auth_db *db, struct alk_span id)
{
    uint64_t n = 0;
    ALK_TRY(require_peer(db, id));
    ALK_TRY(delete_by(db, "DELETE FROM token WHERE peer = ?1", id, &n));
    return delete_by(db, "DELETE FROM peer WHERE id = ?1", id, &n);
}

alk_err alk_auth_db_peer_remove(struct alk_auth_db *db, struct alk_span id)
{
    ALK_TRY(alk_auth_db_begin(db));
    return alk_db_end(db->db, remove_peer(db, id));
}

static alk_err token_spec_check(struct alk_auth_db *db, const struct alk_auth_db_token_spec *spec,
                                uint64_t now)
{
    if (!alk_identity_id_is_valid(spec->id)) {
        return alk_auth_db_say(db, ALK_E_INVALID, "this is not the id of a peer");
    }
    if (spec->scope_count > ALK_SCOPES_MAX) {
        return alk_auth_db_say(db, ALK_E_INVALID, "a token has at most %d scopes", ALK_SCOPES_MAX);
    }
    for (size_t i = 0; i < spec->scope_count; i++) {
        if (!alk_scope_is_valid(spec->scopes[i])) {
            return alk_auth_db_say(db, ALK_E_INVALID, "'" ALK_SPAN_FMT "' is not a scope",
                                   ALK_SPAN_ARG(alk_span_head(spec->scopes[i], ALK_SCOPE_MAX)));
        }
    }
    if (spec->expires_at > INT64_MAX || (spec->expires_at != 0 && spec->expires_at <= now)) {
        return alk_auth_db_say(db, ALK_E_INVALID, "the token would have expired already");
    }
    return spec->is_known || spec->purpose != ALK_TOKEN_NORMAL ? ALK_OK
                                                               : require_peer(db, spec->id);
}

/* ALK_E_EXISTS: the prefix is taken. */
static alk_err insert_token(struct alk_auth_db *db, const struct alk_auth_db_token_spec *spec,
                            uint64_t now, struct alk_span text)
{
    struct alk_span prefix;
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    bool is_token = alk_token_parse(text, &prefix);
    ALK_ASSERT(is_token);
    alk_token_hash(text, hash);
    struct alk_buf scopes;
    alk_buf_init(&scopes, db->mem, ALK_IDENTITY_SPEC_MAX);
    join(&scopes, spec->scopes, spec->is_narrowed ? spec->scope_count : 0);
    struct sqlite3_stmt *stmt = NULL;
    alk_err err = scopes.err;
    if (err == ALK_OK) {
        err = alk_db_prepare(db->db,
                             "INSERT INTO token (prefix, hash, peer, is_narrowed, scopes,"
                             " expires_at, created_at, purpose)"
                             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                             &stmt);
    }
    if (err == ALK_OK) {
        alk_db_bind_text(stmt, 1, prefix);
        alk_db_bind_blob(stmt, 2, alk_span(hash, sizeof(hash)));
        alk_db_bind_text(stmt, 3, spec->id);
        alk_db_bind_u64(stmt, 4, spec->is_narrowed ? 1 : 0);
        alk_db_bind_text(stmt, 5, alk_buf_span(&scopes));
        alk_db_bind_u64(stmt, 6, spec->expires_at);
        alk_db_bind_u64(stmt, 7, now);
        alk_db_bind_u64(stmt, 8, spec->purpose);
        err = alk_db_run(db->db, stmt);
    }
    alk_buf_fini(&scopes);
    return err;
}

alk_err alk_auth_db_token_new(struct alk_auth_db *db, const struct alk_rand *rand,
                              const struct alk_auth_db_token_spec *spec, uint64_t now,
                              char ret[static ALK_TOKEN_SIZE])
{
    /* 62^8 prefixes: a second try is rare, a fourth means that something is wrong. */
    enum { TRIES = 4 };

    char token[ALK_TOKEN_SIZE] = "";
    ALK_TRY(alk_auth_db_begin(db));
    alk_err err = token_spec_check(db, spec, now);
    if (err == ALK_OK) {
        err = ALK_E_EXISTS;
        for (int i = 0; i < TRIES && err == ALK_E_EXISTS; i++) {
            alk_token_generate(rand, token);
            err = insert_token(db, spec, now, alk_span(token, ALK_TOKEN_LEN));
        }
    }
    err = alk_db_end(db->db, err);
    if (err == ALK_OK) {
        memcpy(ret, token, sizeof(token));
    }
    alk_wipe(token, sizeof(token));
    return err;
}

alk_err alk_auth_db_token_revoke(struct alk_auth_db *db, struct alk_span prefix)
{
    uint64_t n = 0;
    db->message[0] = 0;
    struct alk_span bare = prefix;
    if (!alk_token_parse(prefix, &bare) && alk_span_starts(prefix, ALK_LIT("alk_"))) {
        bare = alk_span_tail(prefix, 4);
    }
    if (!alk_token_prefix_is_valid(bare)) {
        return alk_auth_db_say(db, ALK_E_INVALID,
                               "a token is revoked by its %d characters after 'alk_'",
                               ALK_TOKEN_PREFIX_LEN);
    }
    ALK_TRY(delete_by(db, "DELETE FROM token WHERE prefix = ?1", bare, &n));
    return n > 0 ? ALK_OK
                 : alk_auth_db_say(db, ALK_E_NOENT,
                                   "there is no token '" ALK_SPAN_FMT "' in the store",
                                   ALK_SPAN_ARG(bare));
}
