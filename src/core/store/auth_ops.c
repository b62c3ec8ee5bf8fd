/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/auth_ops.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/auth/date.h"
#include "core/auth/fingerprint.h"
#include "core/auth/scope.h"
#include "core/store/why.h"

#define KEYS_MAX 16

/* Of a page, below what frames and strict JSON allow. */
#define PAGE_ENTRIES 1000
#define PAGE_BYTES   ((size_t)900 << 10)
#define PAGE_VALUES  60000
/* Of an entry without its lists: names, dates, punctuation. */
#define ENTRY_BYTES  512
#define ENTRY_VALUES 16

/* What still goes into the answer: each page of a list fits into a frame. */
struct page {
    size_t entries, bytes, values;
    uint64_t row;            /* of the token that was listed last */
    char id[ALK_ID_MAX + 1]; /* likewise the peer's, of the store */
};

/* One operation under way. */
struct work {
    const struct alk_auth_ops *ops;
    struct yyjson_val *input;
    struct yyjson_mut_doc *doc;
    struct yyjson_mut_val *out;
    struct alk_why why;
    struct page page; /* of a list */
};

/* --- reading the input -------------------------------------------------------- */

static struct alk_span span_of(struct yyjson_val *v)
{
    return alk_span(yyjson_get_str(v), yyjson_get_len(v));
}

static alk_err get_text(struct work *w, const char *name, struct alk_span *ret)
{
    struct yyjson_val *v = yyjson_obj_get(w->input, name);
    if (!yyjson_is_str(v) || yyjson_get_len(v) == 0) {
        return alk_say(w->why, ALK_E_INVALID, "\"%s\" is missing", name);
    }
    *ret = span_of(v);
    return ALK_OK;
}

static alk_err get_list(struct work *w, const char *name, size_t max, struct alk_span *ret,
                        size_t *ret_n)
{
    struct yyjson_val *list = yyjson_obj_get(w->input, name);
    struct yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    struct yyjson_val *v;
    size_t n = 0;

    if (list != NULL && !yyjson_is_arr(list)) {
        return alk_say(w->why, ALK_E_INVALID, "\"%s\" must be a list", name);
    }
    while (list != NULL && (v = yyjson_arr_iter_next(&iter)) != NULL) {
        if (!yyjson_is_str(v)) {
            return alk_say(w->why, ALK_E_INVALID, "\"%s\" must be a list of strings", name);
        }
        if (n == max) {
            return alk_say(w->why, ALK_E_INVALID, "\"%s\" has more than %zu entries", name, max);
        }
        ret[n++] = span_of(v);
    }
    *ret_n = n;
    return ALK_OK;
}

static alk_err get_scopes(struct work *w, struct alk_span ret[static ALK_SCOPES_MAX], size_t *ret_n)
{
    ALK_TRY(get_list(w, "scopes", ALK_SCOPES_MAX, ret, ret_n));
    for (size_t i = 0; i < *ret_n; i++) {
        if (!alk_scope_is_valid(ret[i])) {
            return alk_say(w->why, ALK_E_INVALID,
                           "\"" ALK_SPAN_FMT "\" is not a scope: 1 to 4 parts of [a-z0-9_.-] with "
                           "colons between them, as in admin or repo:write",
                           ALK_SPAN_ARG(alk_span_head(ret[i], ALK_SCOPE_MAX)));
        }
    }
    return ALK_OK;
}

static alk_err get_id(struct work *w, struct alk_span *ret)
{
    ALK_TRY(get_text(w, "id", ret));
    if (!alk_identity_id_is_valid(*ret)) {
        return alk_say(w->why, ALK_E_INVALID,
                       "an id is 1 to 64 of the characters a-z 0-9 . _ -, and begins with a letter "
                       "or digit");
    }
    return ALK_OK;
}

/* --- the configuration's own peers -------------------------------------------- */

static const struct alk_conf *configured(const struct alk_auth_ops *ops, struct alk_span id)
{
    const struct alk_conf *peers = alk_conf_get(ops->auth, "peers");
    for (size_t i = 0; i < alk_conf_count(peers); i++) {
        const struct alk_conf *peer = alk_conf_at(peers, i);
        if (alk_span_is(id, alk_conf_get_str(peer, "id"))) {
            return peer;
        }
    }
    return NULL;
}

/* A peer that stands in the file is changed there, not here. */
static alk_err refuse_configured(struct work *w, struct alk_span id)
{
    const struct alk_conf *peer = configured(w->ops, id);
    char where[512];

    if (peer == NULL) {
        return ALK_OK;
    }
    alk_conf_where(peer, where, sizeof where);
    return alk_say(w->why, ALK_E_EXISTS, "%.*s stands in the configuration (%s): change it there",
                   (int)id.n, (const char *)id.p, where);
}

/* --- output ------------------------------------------------------------------- */

static bool put_text(struct work *w, struct yyjson_mut_val *object, const char *name,
                     struct alk_span text)
{
    return yyjson_mut_obj_add_strncpy(w->doc, object, name, (const char *)text.p, text.n);
}

static bool put_date(struct work *w, struct yyjson_mut_val *object, const char *name,
                     uint64_t unix_s)
{
    char text[ALK_DATE_SIZE];
    alk_date_format(unix_s, text);
    return yyjson_mut_obj_add_strcpy(w->doc, object, name, text);
}

static bool put_list(struct work *w, struct yyjson_mut_val *object, const char *name,
                     const struct alk_span *spans, size_t n)
{
    struct yyjson_mut_val *list = yyjson_mut_arr(w->doc);
    bool is_ok = true;
    for (size_t i = 0; i < n && is_ok; i++) {
        is_ok = yyjson_mut_arr_add_strncpy(w->doc, list, (const char *)spans[i].p, spans[i].n);
    }
    return is_ok && yyjson_mut_obj_add_val(w->doc, object, name, list);
}

/* --- changes ------------------------------------------------------------------ */

/* Inside the open transaction: what would the next start say? Then commit. */
static alk_err check_and_commit(struct work *w)
{
    const struct alk_auth_ops *ops = w->ops;
    const struct alk_auth_index *index = NULL;
    char *message = NULL;

    alk_err err = alk_auth_db_build(ops->db, ops->auth, ops->mem, ops->rand, ops->generation,
                                    &message, &index);
    if (err != ALK_OK) {
        (void)alk_say(w->why, err, "%s", message != NULL ? message : alk_err_text(err));
    } else {
        err = alk_auth_db_commit(ops->db);
        if (err != ALK_OK) {
            (void)alk_say(w->why, err, "%s", alk_auth_db_message(ops->db));
        }
    }
    if (err == ALK_OK && ops->adopt != NULL) {
        ops->adopt(ops->ctx, index);
    }
    alk_auth_index_unref(index);
    alk_free(ops->mem, message);
    return err;
}

typedef alk_err work_fn(struct work *w);

static alk_err change(struct work *w, work_fn *fn)
{
    alk_err err = alk_auth_db_begin(w->ops->db);
    if (err != ALK_OK) {
        return alk_say(w->why, err, "%s", alk_auth_db_message(w->ops->db));
    }
    err = fn(w);
    if (err == ALK_OK) {
        err = check_and_commit(w);
    }
    if (err != ALK_OK) {
        alk_auth_db_rollback(w->ops->db);
    }
    return err;
}

/* The store's own sentence. */
static alk_err stored(struct work *w, alk_err err)
{
    return err == ALK_OK ? ALK_OK : alk_say(w->why, err, "%s", alk_auth_db_message(w->ops->db));
}

/* --- pages --------------------------------------------------------------------- */

static alk_err refuse_cursor(struct work *w)
{
    return alk_say(w->why, ALK_E_INVALID, "\"cursor\" is not what a page before gave as \"next\"");
}

/* {cursor?, limit?}, and the list that is to be filled. */
static alk_err begin_page(struct work *w, const char *list, struct alk_span *ret_cursor)
{
    struct yyjson_val *cursor = yyjson_obj_get(w->input, "cursor");
    struct yyjson_val *limit = yyjson_obj_get(w->input, "limit");
    uint64_t n = limit == NULL ? PAGE_ENTRIES : yyjson_get_uint(limit); /* 0: no such number */

    if (n == 0 || n > PAGE_ENTRIES) {
        return alk_say(w->why, ALK_E_INVALID, "\"limit\" is a number from 1 to %d", PAGE_ENTRIES);
    }
    if (cursor != NULL && !yyjson_is_str(cursor)) {
        return refuse_cursor(w);
    }
    w->page = (struct page){.entries = (size_t)n, .bytes = PAGE_BYTES, .values = PAGE_VALUES};
    *ret_cursor = span_of(cursor);
    return yyjson_mut_obj_add_arr(w->doc, w->out, list) == NULL ? ALK_E_NOMEM : ALK_OK;
}

/* Bytes that names of the store take as a list: none needs an escape. */
static size_t texts_room(const struct alk_span *texts, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += texts[i].n + 3;
    }
    return sum;
}

/* ALK_FULL: the entry belongs to the next page. The first one of a page always has
 * room. */
static alk_err take_room(struct work *w, struct yyjson_mut_val *list, size_t bytes, size_t values)
{
    struct page *page = &w->page;

    if (page->entries == 0 ||
        ((bytes > page->bytes || values > page->values) && yyjson_mut_arr_size(list) > 0)) {
        return ALK_FULL;
    }
    page->entries--;
    page->bytes -= bytes < page->bytes ? bytes : page->bytes;
    page->values -= values < page->values ? values : page->values;
    return ALK_OK;
}

/* --- tokens ------------------------------------------------------------------- */

static alk_err token_new(struct work *w)
{
    struct alk_span scopes[ALK_SCOPES_MAX] = {{NULL, 0}};
    struct alk_auth_db_token_spec spec = {.scopes = scopes};
    struct yyjson_val *expires = yyjson_obj_get(w->input, "expires");
    char token[ALK_TOKEN_SIZE];
    struct alk_span prefix = {NULL, 0};

    ALK_TRY(get_id(w, &spec.id));
    ALK_TRY(get_scopes(w, scopes, &spec.scope_count));
    if (expires != NULL &&
        alk_date_parse_expiry(span_of(expires), w->ops->unix_s, &spec.expires_at) != ALK_OK) {
        return alk_say(w->why, ALK_E_INVALID,
                       "the time of expiry must lie ahead, as in 24h, 30d or 2027-01-01, or be "
                       "\"never\"");
    }
    spec.is_narrowed = yyjson_obj_get(w->input, "scopes") != NULL;
    spec.is_known = configured(w->ops, spec.id) != NULL;
    alk_err err = alk_auth_db_token_new(w->ops->db, w->ops->rand, &spec, w->ops->unix_s, token);
    if (err == ALK_E_NOENT) {
        return alk_say(
            w->why, err, "there is no peer \"%.*s\"; add one with: alknet peer add %.*s KEY",
            (int)spec.id.n, (const char *)spec.id.p, (int)spec.id.n, (const char *)spec.id.p);
    }
    ALK_TRY(stored(w, err));
    (void)alk_token_parse(alk_span_str(token), &prefix);
    bool is_ok = put_text(w, w->out, "token", alk_span_str(token)) &&
                 put_text(w, w->out, "prefix", prefix) && put_text(w, w->out, "id", spec.id) &&
                 (!spec.is_narrowed || put_list(w, w->out, "scopes", scopes, spec.scope_count)) &&
                 (spec.expires_at == 0 || put_date(w, w->out, "expires_at", spec.expires_at));
    alk_wipe(token, sizeof token);
    return is_ok ? ALK_OK : ALK_E_NOMEM;
}

static alk_err list_token(void *ctx, const struct alk_auth_token *token,
                          const struct alk_auth_db_place *place)
{
    struct work *w = (struct work *)ctx;
    struct yyjson_mut_val *list = yyjson_mut_obj_get(w->out, "tokens");

    ALK_TRY(take_room(w, list, ENTRY_BYTES + texts_room(token->scopes, token->scope_count),
                      ENTRY_VALUES + token->scope_count));
    w->page.row = place->row;
    struct yyjson_mut_val *o = yyjson_mut_arr_add_obj(w->doc, list);
    bool is_ok =
        o != NULL && put_text(w, o, "prefix", alk_span_str(token->prefix)) &&
        put_text(w, o, "id", token->id) &&
        (!token->is_narrowed || put_list(w, o, "scopes", token->scopes, token->scope_count)) &&
        put_date(w, o, "created_at", place->created_at) &&
        (token->expires_at == 0 || put_date(w, o, "expires_at", token->expires_at)) &&
        (token->expires_at == 0 ||
         yyjson_mut_obj_add_bool(w->doc, o, "expired", token->expires_at <= w->ops->unix_s)) &&
        yyjson_mut_obj_add_str(w->doc, o, "purpose",
                               token->purpose == ALK_TOKEN_NORMAL ? "normal" : "invitation");
    return is_ok ? ALK_OK : ALK_E_NOMEM;
}

static alk_err token_list(struct work *w)
{
    uint64_t after = 0;
    struct alk_span cursor = {NULL, 0};
    char next[24];

    ALK_TRY(begin_page(w, "tokens", &cursor));
    if (cursor.n > 0 && !alk_span_u64(cursor, INT64_MAX, &after)) {
        return refuse_cursor(w);
    }
    alk_err err = alk_auth_db_token_list(w->ops->db, after, list_token, w);
    if (err != ALK_FULL) {
        return stored(w, err);
    }
    (void)snprintf(next, sizeof next, "%llu", (unsigned long long)w->page.row);
    return put_text(w, w->out, "next", alk_span_str(next)) ? ALK_OK : ALK_E_NOMEM;
}

static alk_err token_revoke(struct work *w)
{
    struct alk_span prefix = {NULL, 0};
    ALK_TRY(get_text(w, "prefix", &prefix));
    alk_err err = alk_auth_db_token_revoke(w->ops->db, prefix);
    if (err == ALK_E_NOENT) {
        return alk_say(w->why, err, "there is no such token in the store");
    }
    ALK_TRY(stored(w, err));
    /* A whole token may have been given: do not send it back. */
    struct alk_span shown = prefix;
    (void)alk_token_parse(prefix, &shown);
    return put_text(w, w->out, "prefix", shown) ? ALK_OK : ALK_E_NOMEM;
}

/* --- peers -------------------------------------------------------------------- */

static alk_err add_keys(struct work *w, struct alk_span id, const struct alk_span *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ALK_TRY(stored(w, alk_auth_db_key_add(w->ops->db, id, keys[i], w->ops->unix_s)));
    }
    return ALK_OK;
}

static alk_err peer_add(struct work *w)
{
    struct alk_span scopes[ALK_SCOPES_MAX] = {{NULL, 0}};
    struct alk_span keys[KEYS_MAX] = {{NULL, 0}};
    struct alk_identity_spec spec = {.scopes = scopes};
    size_t key_count = 0;
    char name[ALK_FINGERPRINT_MAX], why[256] = "";

    ALK_TRY(get_id(w, &spec.id));
    ALK_TRY(refuse_configured(w, spec.id));
    ALK_TRY(get_scopes(w, scopes, &spec.scope_count));
    ALK_TRY(get_list(w, "keys", KEYS_MAX, keys, &key_count));
    for (size_t i = 0; i < key_count; i++) {
        if (alk_key_parse(keys[i], name, why, sizeof why) != ALK_OK) {
            return alk_say(w->why, ALK_E_INVALID, "%s", why);
        }
    }
    bool is_more = yyjson_get_bool(yyjson_obj_get(w->input, "add_key"));
    if (is_more) {
        if (key_count == 0) {
            return alk_say(w->why, ALK_E_INVALID, "say which key is to be added");
        }
        ALK_TRY(add_keys(w, spec.id, keys, key_count));
    } else {
        ALK_TRY(
            stored(w, alk_auth_db_peer_add(w->ops->db, &spec, keys, key_count, w->ops->unix_s)));
    }
    return put_text(w, w->out, "id", spec.id) ? ALK_OK : ALK_E_NOMEM;
}

static alk_err list_stored(void *ctx, const struct alk_auth_db_peer *peer)
{
    struct work *w = (struct work *)ctx;
    struct yyjson_mut_val *list = yyjson_mut_obj_get(w->out, "peers");
    size_t bytes = texts_room(peer->spec.scopes, peer->spec.scope_count) +
                   texts_room(peer->keys, peer->key_count);

    ALK_TRY(take_room(w, list, ENTRY_BYTES + bytes,
                      ENTRY_VALUES + peer->spec.scope_count + peer->key_count));
    (void)alk_span_cstr(peer->spec.id, w->page.id, sizeof w->page.id);
    struct yyjson_mut_val *o = yyjson_mut_arr_add_obj(w->doc, list);
    bool is_ok = o != NULL && put_text(w, o, "id", peer->spec.id) &&
                 put_list(w, o, "keys", peer->keys, peer->key_count) &&
                 put_list(w, o, "scopes", peer->spec.scopes, peer->spec.scope_count) &&
                 yyjson_mut_obj_add_bool(w->doc, o, "enabled", !peer->spec.is_disabled) &&
                 yyjson_mut_obj_add_str(w->doc, o, "from", "store") &&
                 put_date(w, o, "created_at", peer->created_at);
    return is_ok ? ALK_OK : ALK_E_NOMEM;
}

static bool put_conf_list(struct work *w, struct yyjson_mut_val *o, const char *name,
                          const struct alk_conf *list)
{
    struct yyjson_mut_val *out = yyjson_mut_arr(w->doc);
    bool is_ok = true;
    for (size_t i = 0; i < alk_conf_count(list) && is_ok; i++) {
        is_ok = yyjson_mut_arr_add_strcpy(w->doc, out, alk_conf_str(alk_conf_at(list, i)));
    }
    return is_ok && yyjson_mut_obj_add_val(w->doc, o, name, out);
}

/* The same for texts of the file, any byte of which may be escaped. */
static size_t conf_room(const struct alk_conf *list)
{
    size_t sum = 0;
    for (size_t i = 0; i < alk_conf_count(list); i++) {
        sum += 6 * strlen(alk_conf_str(alk_conf_at(list, i))) + 3;
    }
    return sum;
}

static alk_err list_configured(struct work *w, const struct alk_conf *peer)
{
    const struct alk_conf *enabled = alk_conf_get(peer, "enabled");
    const struct alk_conf *keys = alk_conf_get(peer, "keys");
    const struct alk_conf *scopes = alk_conf_get(peer, "scopes");
    struct yyjson_mut_val *list = yyjson_mut_obj_get(w->out, "peers");
    char where[512];

    alk_conf_where(peer, where, sizeof where);
    ALK_TRY(take_room(w, list,
                      ENTRY_BYTES + 6 * strlen(where) + conf_room(keys) + conf_room(scopes),
                      ENTRY_VALUES + alk_conf_count(keys) + alk_conf_count(scopes)));
    struct yyjson_mut_val *o = yyjson_mut_arr_add_obj(w->doc, list);
    bool is_ok =
        o != NULL && put_text(w, o, "id", alk_span_str(alk_conf_get_str(peer, "id"))) &&
        put_conf_list(w, o, "keys", keys) && put_conf_list(w, o, "scopes", scopes) &&
        yyjson_mut_obj_add_bool(w->doc, o, "enabled", enabled == NULL || alk_conf_bool(enabled)) &&
        put_text(w, o, "from", alk_span_str(where));
    return is_ok ? ALK_OK : ALK_E_NOMEM;
}

/* First those of the file, in its order, then those of the store, by id. Cursors are
 * "file:N", N of them were listed, and "store:ID". */
static alk_err peer_list(struct work *w)
{
    const struct alk_conf *peers = alk_conf_get(w->ops->auth, "peers");
    struct alk_span rest = {NULL, 0};
    char next[ALK_ID_MAX + 16];
    uint64_t at = 0;

    ALK_TRY(begin_page(w, "peers", &rest));
    struct alk_span where = alk_span_cut(&rest, ':');
    bool is_stored = alk_span_equal(where, ALK_LIT("store"));
    if (where.n > 0 && !is_stored &&
        (!alk_span_equal(where, ALK_LIT("file")) || !alk_span_u64(rest, SIZE_MAX, &at))) {
        return refuse_cursor(w);
    }
    alk_err err = ALK_OK;
    for (; err == ALK_OK && !is_stored && at < alk_conf_count(peers); at++) {
        err = list_configured(w, alk_conf_at(peers, (size_t)at));
    }
    if (err == ALK_FULL) {
        (void)snprintf(next, sizeof next, "file:%llu", (unsigned long long)at - 1);
    } else if (err == ALK_OK) {
        struct alk_span after = is_stored ? rest : alk_span(NULL, 0);
        err = alk_auth_db_peer_list(w->ops->db, after, list_stored, w);
        (void)snprintf(next, sizeof next, "store:%s", w->page.id);
    }
    if (err != ALK_FULL) {
        return stored(w, err);
    }
    return put_text(w, w->out, "next", alk_span_str(next)) ? ALK_OK : ALK_E_NOMEM;
}

static alk_err no_such_peer(struct work *w, struct alk_span id, alk_err err)
{
    return err == ALK_E_NOENT
               ? alk_say(w->why, err, "there is no peer \"%.*s\"", (int)id.n, (const char *)id.p)
               : stored(w, err);
}

static alk_err peer_enable(struct work *w, bool is_enabled)
{
    struct alk_span id = {NULL, 0};
    ALK_TRY(get_id(w, &id));
    ALK_TRY(refuse_configured(w, id));
    ALK_TRY(no_such_peer(w, id, alk_auth_db_peer_enable(w->ops->db, id, is_enabled)));
    return put_text(w, w->out, "id", id) ? ALK_OK : ALK_E_NOMEM;
}

static alk_err peer_on(struct work *w)
{
    return peer_enable(w, true);
}

static alk_err peer_off(struct work *w)
{
    return peer_enable(w, false);
}

static alk_err peer_remove(struct work *w)
{
    struct alk_span id = {NULL, 0};
    ALK_TRY(get_id(w, &id));
    ALK_TRY(refuse_configured(w, id));
    ALK_TRY(no_such_peer(w, id, alk_auth_db_peer_remove(w->ops->db, id)));
    return put_text(w, w->out, "id", id) ? ALK_OK : ALK_E_NOMEM;
}

/* --- invitations ---------------------------------------------------------------- */

#define INVITE_DEFAULT "24h"

struct seek {
    struct alk_span id;
    bool is_found;
};

static alk_err seek_peer(void *ctx, const struct alk_auth_db_peer *peer)
{
    struct seek *seek = (struct seek *)ctx;
    seek->is_found = seek->is_found || alk_span_equal(seek->id, peer->spec.id);
    return ALK_OK;
}

static bool is_stored(struct work *w, struct alk_span id)
{
    struct seek seek = {.id = id};
    return alk_auth_db_peer_list(w->ops->db, alk_span(NULL, 0), seek_peer, &seek) == ALK_OK &&
           seek.is_found;
}

static alk_err read_invite(struct work *w, struct alk_span *scopes,
                           struct alk_auth_db_token_spec *spec)
{
    struct yyjson_val *expires = yyjson_obj_get(w->input, "expires");
    struct alk_span time = expires == NULL ? ALK_LIT(INVITE_DEFAULT) : span_of(expires);
    bool is_more = yyjson_get_bool(yyjson_obj_get(w->input, "add_key"));

    ALK_TRY(get_id(w, &spec->id));
    ALK_TRY(refuse_configured(w, spec->id));
    ALK_TRY(get_scopes(w, scopes, &spec->scope_count));
    spec->is_narrowed = true;
    spec->purpose = is_more ? ALK_TOKEN_ADD_KEY : ALK_TOKEN_INVITATION;
    if (alk_date_parse_expiry(time, w->ops->unix_s, &spec->expires_at) != ALK_OK ||
        spec->expires_at == 0) {
        return alk_say(w->why, ALK_E_INVALID,
                       "an invitation ends some time: say 1h, 24h, 7d or 2027-01-01");
    }
    if (is_stored(w, spec->id) != is_more) {
        return is_more ? alk_say(w->why, ALK_E_NOENT, "there is no peer \"%.*s\" yet",
                                 (int)spec->id.n, (const char *)spec->id.p)
                       : alk_say(w->why, ALK_E_EXISTS,
                                 "there is a peer \"%.*s\" already; --add-key invites one more key "
                                 "of it",
                                 (int)spec->id.n, (const char *)spec->id.p);
    }
    if (is_more && spec->scope_count > 0) {
        return alk_say(w->why, ALK_E_INVALID, "one more key has the scopes that the peer has");
    }
    return ALK_OK;
}

static alk_err invite_new(struct work *w)
{
    struct alk_span scopes[ALK_SCOPES_MAX] = {{NULL, 0}};
    struct alk_auth_db_token_spec spec = {.scopes = scopes};
    struct alk_span prefix = {NULL, 0};
    char token[ALK_TOKEN_SIZE];

    ALK_TRY(read_invite(w, scopes, &spec));
    ALK_TRY(
        stored(w, alk_auth_db_token_new(w->ops->db, w->ops->rand, &spec, w->ops->unix_s, token)));
    (void)alk_token_parse(alk_span_str(token), &prefix);
    bool is_ok = put_text(w, w->out, "token", alk_span_str(token)) &&
                 put_text(w, w->out, "prefix", prefix) && put_text(w, w->out, "id", spec.id) &&
                 put_list(w, w->out, "scopes", scopes, spec.scope_count) &&
                 put_date(w, w->out, "expires_at", spec.expires_at);
    alk_wipe(token, sizeof token);
    return is_ok ? ALK_OK : ALK_E_NOMEM;
}

struct enrolment {
    struct work *w;
    struct alk_span token, key;
};

/* Within the transaction that also takes the token away: it is good once. */
static alk_err take_invite(void *ctx, const struct alk_auth_token *token,
                           const struct alk_auth_db_place *place)
{
    struct enrolment *e = (struct enrolment *)ctx;
    struct work *w = e->w;
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    const struct alk_identity_spec spec = {
        .id = token->id, .scopes = token->scopes, .scope_count = token->scope_count};
    (void)place;

    alk_token_hash(e->token, hash);
    if (!alk_equal_ct(hash, token->hash, sizeof hash) || token->purpose == ALK_TOKEN_NORMAL) {
        return ALK_E_AUTH;
    }
    if (token->expires_at <= w->ops->unix_s) {
        return ALK_E_EXPIRED;
    }
    bool is_more = token->purpose == ALK_TOKEN_ADD_KEY;
    alk_err err = is_more ? alk_auth_db_key_add(w->ops->db, token->id, e->key, w->ops->unix_s)
                          : alk_auth_db_peer_add(w->ops->db, &spec, &e->key, 1, w->ops->unix_s);
    ALK_TRY(stored(w, err));
    bool is_ok = put_text(w, w->out, "id", token->id) &&
                 put_list(w, w->out, "scopes", token->scopes, is_more ? 0 : token->scope_count);
    return is_ok ? ALK_OK : ALK_E_NOMEM;
}

static alk_err enroll(struct work *w)
{
    struct enrolment e = {.w = w};
    struct alk_span prefix = {NULL, 0};

    ALK_TRY(get_text(w, "token", &e.token));
    ALK_TRY(get_text(w, "key", &e.key));
    alk_err err = ALK_E_AUTH;
    if (alk_token_parse(e.token, &prefix)) {
        err = alk_auth_db_token_find(w->ops->db, prefix, take_invite, &e);
    }
    if (err == ALK_E_AUTH || err == ALK_E_NOENT || err == ALK_E_EXPIRED) {
        return alk_say(w->why, ALK_E_AUTH,
                       "the invitation is not valid: it was used, taken back, or its time is over");
    }
    ALK_TRY(err);
    return stored(w, alk_auth_db_token_revoke(w->ops->db, prefix));
}

/* --- the table ---------------------------------------------------------------- */

static const struct {
    const char *name;
    work_fn *fn;
    bool is_change;
} table[] = {
    {"auth/token/new", token_new, true},       {"auth/token/list", token_list, false},
    {"auth/token/revoke", token_revoke, true}, {"auth/peer/add", peer_add, true},
    {"auth/peer/list", peer_list, false},      {"auth/peer/disable", peer_off, true},
    {"auth/peer/enable", peer_on, true},       {"auth/peer/remove", peer_remove, true},
    {"auth/invite/new", invite_new, true},     {"auth/enroll", enroll, true},
};

static size_t find(const char *name)
{
    size_t i = 0;
    while (i < sizeof table / sizeof table[0] && strcmp(table[i].name, name) != 0) {
        i++;
    }
    return i;
}

bool alk_auth_ops_has(const char *name)
{
    return find(name) < sizeof table / sizeof table[0];
}

alk_err alk_auth_ops_run(const struct alk_auth_ops *ops, const char *name, struct yyjson_val *input,
                         struct yyjson_mut_doc *doc, char *why, size_t why_size,
                         struct yyjson_mut_val **ret)
{
    struct work w = {
        .ops = ops, .input = input, .doc = doc, .out = yyjson_mut_obj(doc), .why = {why, why_size}};
    size_t i = find(name);

    if (i == sizeof table / sizeof table[0]) {
        return alk_say(w.why, ALK_E_NOENT, "there is no operation \"%s\"", name);
    }
    if (w.out == NULL) {
        return alk_say(w.why, ALK_E_NOMEM, "out of memory");
    }
    if (why_size > 0) {
        why[0] = '\0';
    }
    alk_err err = table[i].is_change ? change(&w, table[i].fn) : table[i].fn(&w);
    if (err != ALK_OK) {
        if (why_size > 0 && why[0] == '\0') {
            (void)alk_say(w.why, err, "%s", alk_err_text(err));
        }
        return err;
    }
    *ret = w.out;
    return ALK_OK;
}
