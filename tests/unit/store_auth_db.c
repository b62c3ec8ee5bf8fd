/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/auth_db.h"

#include "support/oom.h"

#include <errno.h>
#include <ftw.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define S(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

#define KEY_A     "ed25519:21dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b99"
#define KEY_A_SSH "SHA256:QXhdx+mqJeN0i74FK7FDWpMRShnAiKuCNNNm59SpXDo"
#define KEY_B     "ed25519:01b467a3b7913ab27a04a8edf2f3fb074cfe0ecf4babe108d67be3853b0f26c5"

enum { NOW = 1798761600 };

struct fixture {
    char dir[64];
    char file[96];
    struct alk_prng prng;
    struct alk_rand rand;
    struct alk_auth_db *db;
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return 1;
    }
    (void)snprintf(f->dir, sizeof(f->dir), "%s", "/tmp/alknet-store-XXXXXX");
    if (mkdtemp(f->dir) == NULL) {
        free(f);
        return 1;
    }
    (void)snprintf(f->file, sizeof(f->file), "%s/%s", f->dir, ALK_AUTH_DB_FILE);
    alk_prng_init(&f->prng, 99);
    f->rand = alk_prng_rand(&f->prng);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    alk_auth_db_close(f->db);
    int failed = nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return failed;
}

static void open_db(struct fixture *f)
{
    char message[ALK_DB_MESSAGE_SIZE] = "";
    alk_err err = alk_auth_db_open(NULL, f->dir, message, &f->db);
    if (err != ALK_OK) {
        print_error("%s\n", message);
    }
    check_err(err, ALK_OK);
}

static void reopen(struct fixture *f)
{
    alk_auth_db_close(f->db);
    f->db = NULL;
    open_db(f);
}

static const struct alk_span SCOPES[] = {S("fs:*"), S("git:read")};
static const struct alk_span ACTIONS[] = {S("read"), S("write")};
static const struct alk_span REFS[] = {S("refs/heads/*"), S("refs/tags/**")};
static const struct alk_grant GRANTS[] = {
    {.type = S("repo"),
     .name = S("team/* and more"),
     .actions = ACTIONS,
     .action_count = 2,
     .refs = REFS,
     .ref_count = 2},
    {.type = S("repo"), .name = S("public/**")},
};

static alk_err add(struct fixture *f, const char *id, const char *key)
{
    struct alk_identity_spec spec = {.id = alk_span_str(id),
                                     .scopes = SCOPES,
                                     .scope_count = 2,
                                     .grants = GRANTS,
                                     .grant_count = 2};
    struct alk_span keys[] = {alk_span_str(key)};
    return alk_auth_db_peer_add(f->db, &spec, keys, key == NULL ? 0 : 1, NOW);
}

static const struct alk_auth_index *index_of(struct fixture *f)
{
    const struct alk_auth_index *index = NULL;
    char *message = NULL;
    alk_err err = alk_auth_db_build(f->db, NULL, NULL, &f->rand, 9, &message, &index);
    if (message != NULL) {
        print_error("%s", message);
    }
    check_err(err, ALK_OK);
    return index;
}

static alk_err by_key(const struct alk_auth_index *index, const char *key)
{
    char names[1][ALK_FINGERPRINT_MAX];
    const struct alk_identity *identity = NULL;
    assert_true(alk_span_cstr(alk_span_str(key), names[0], sizeof(names[0])));
    return alk_auth_index_by_keys(index, (const char(*)[ALK_FINGERPRINT_MAX])names, 1, &identity);
}

static alk_err collect_peer(void *ctx, const struct alk_auth_db_peer *peer)
{
    struct alk_buf *b = ctx;
    (void)alk_buf_printf(b, ALK_SPAN_FMT "%s", ALK_SPAN_ARG(peer->spec.id),
                         peer->spec.is_disabled ? "!" : "");
    for (size_t i = 0; i < peer->spec.scope_count; i++) {
        (void)alk_buf_printf(b, " " ALK_SPAN_FMT, ALK_SPAN_ARG(peer->spec.scopes[i]));
    }
    for (size_t i = 0; i < peer->key_count; i++) {
        (void)alk_buf_printf(b, " " ALK_SPAN_FMT, ALK_SPAN_ARG(peer->keys[i]));
    }
    for (size_t i = 0; i < peer->spec.grant_count; i++) {
        const struct alk_grant *g = &peer->spec.grants[i];
        (void)alk_buf_printf(b, " " ALK_SPAN_FMT "(" ALK_SPAN_FMT "):%zu:%zu",
                             ALK_SPAN_ARG(g->type), ALK_SPAN_ARG(g->name), g->action_count,
                             g->ref_count);
    }
    return alk_buf_printf(b, " %llu\n", (unsigned long long)peer->created_at);
}

static void check_peers(struct fixture *f, const char *want)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, 65536);
    check_err(alk_auth_db_peer_list(f->db, alk_span(NULL, 0), collect_peer, &b), ALK_OK);
    check_text(alk_buf_span(&b), want);
    alk_buf_fini(&b);
}

static alk_err count_token(void *ctx, const struct alk_auth_token *token,
                           const struct alk_auth_db_place *place)
{
    size_t *n = ctx;
    assert_int_equal(place->created_at, NOW);
    assert_true(place->row > 0);
    assert_int_equal(strlen(token->prefix), ALK_TOKEN_PREFIX_LEN);
    (*n)++;
    return ALK_OK;
}

static size_t tokens(struct fixture *f)
{
    size_t n = 0;
    check_err(alk_auth_db_token_list(f->db, 0, count_token, &n), ALK_OK);
    return n;
}

static void a_new_store_is_private_and_empty(void **state)
{
    struct fixture *f = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    open_db(f);
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s%s", f->file, suffixes[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    check_peers(f, "");
    assert_int_equal(tokens(f), 0);
    const struct alk_auth_index *index = index_of(f);
    assert_int_equal(alk_auth_index_count(index), 0);
    alk_auth_index_unref(index);
}

static void what_is_added_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    open_db(f);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    check_err(add(f, "bare", NULL), ALK_OK);
    reopen(f);
    check_peers(f, "bare fs:* git:read repo(team/* and more):2:2 repo(public/**):0:0 1798761600\n"
                   "laptop fs:* git:read " KEY_A
                   " repo(team/* and more):2:2 repo(public/**):0:0 1798761600\n");

    const struct alk_auth_index *index = index_of(f);
    const struct alk_identity *laptop = alk_auth_index_find(index, ALK_LIT("laptop"));
    assert_int_equal(alk_auth_index_generation(index), 9);
    assert_string_equal(alk_auth_index_where(index, ALK_LIT("laptop")), "store");
    assert_true(alk_identity_has_scope(laptop, ALK_LIT("fs:write")));
    assert_true(alk_identity_may(laptop, ALK_LIT("repo"), ALK_LIT("team/x and more"),
                                 ALK_LIT("write"), ALK_LIT("refs/tags/a/b")));
    assert_false(alk_identity_may(laptop, ALK_LIT("repo"), ALK_LIT("team/x and more"),
                                  ALK_LIT("write"), ALK_LIT("refs/notes/a")));
    assert_true(alk_identity_may(laptop, ALK_LIT("repo"), ALK_LIT("public/a/b"), ALK_LIT("read"),
                                 ALK_LIT("")));
    assert_false(alk_identity_may(laptop, ALK_LIT("repo"), ALK_LIT("public/a/b"), ALK_LIT("write"),
                                  ALK_LIT("")));
    check_err(by_key(index, KEY_A_SSH), ALK_OK);
    alk_auth_index_unref(index);
}

static void a_disabled_peer_is_revoked_and_can_come_back(void **state)
{
    struct fixture *f = *state;
    open_db(f);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    check_err(alk_auth_db_peer_enable(f->db, ALK_LIT("laptop"), false), ALK_OK);
    const struct alk_auth_index *index = index_of(f);
    check_err(by_key(index, KEY_A), ALK_E_REVOKED);
    alk_auth_index_unref(index);
    check_err(alk_auth_db_peer_enable(f->db, ALK_LIT("laptop"), true), ALK_OK);
    index = index_of(f);
    check_err(by_key(index, KEY_A), ALK_OK);
    alk_auth_index_unref(index);

    struct alk_identity_spec spec = {.id = ALK_LIT("born"), .is_disabled = true};
    check_err(alk_auth_db_peer_add(f->db, &spec, NULL, 0, NOW), ALK_OK);
    index = index_of(f);
    assert_true(alk_identity_is_disabled(alk_auth_index_find(index, ALK_LIT("born"))));
    alk_auth_index_unref(index);
}

static alk_err token_new(struct fixture *f, const char *id, uint64_t expires_at,
                         char ret[static ALK_TOKEN_SIZE])
{
    struct alk_auth_db_token_spec spec = {.id = alk_span_str(id), .expires_at = expires_at};
    return alk_auth_db_token_new(f->db, &f->rand, &spec, NOW, ret);
}

static void removing_a_peer_takes_its_keys_and_tokens(void **state)
{
    struct fixture *f = *state;
    char token[ALK_TOKEN_SIZE];
    const struct alk_identity *identity = NULL;
    open_db(f);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    check_err(add(f, "phone", KEY_B), ALK_OK);
    check_err(token_new(f, "laptop", 0, token), ALK_OK);
    check_err(alk_auth_db_peer_remove(f->db, ALK_LIT("laptop")), ALK_OK);
    const struct alk_auth_index *index = index_of(f);
    check_err(by_key(index, KEY_A), ALK_E_AUTH);
    check_err(by_key(index, KEY_B), ALK_OK);
    check_err(alk_auth_index_by_token(index, alk_span_str(token), NOW, &identity), ALK_E_AUTH);
    alk_auth_index_unref(index);
    assert_int_equal(tokens(f), 0);
    /* And nothing of it keeps the name or the key from being used again. */
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    check_peers(f, "laptop fs:* git:read " KEY_A
                   " repo(team/* and more):2:2 repo(public/**):0:0 1798761600\n"
                   "phone fs:* git:read " KEY_B
                   " repo(team/* and more):2:2 repo(public/**):0:0 1798761600\n");
}

static void what_is_wrong_changes_nothing(void **state)
{
    struct fixture *f = *state;
    open_db(f);
    check_err(add(f, "laptop", KEY_A), ALK_OK);

    check_err(add(f, "laptop", KEY_B), ALK_E_EXISTS);
    assert_string_equal(alk_auth_db_message(f->db), "the peer 'laptop' is in the store already");
    check_err(add(f, "phone", KEY_A), ALK_E_EXISTS);
    assert_string_equal(alk_auth_db_message(f->db),
                        "the key " KEY_A " belongs to the peer 'laptop'");
    check_err(add(f, "Phone", KEY_B), ALK_E_INVALID);
    assert_non_null(strstr(alk_auth_db_message(f->db), "an id is"));
    check_err(add(f, "phone", "nonsense"), ALK_E_INVALID);
    assert_non_null(strstr(alk_auth_db_message(f->db), "not a key"));
    struct alk_span twice[] = {ALK_LIT(KEY_B), ALK_LIT(KEY_B)};
    struct alk_identity_spec spec = {.id = ALK_LIT("phone")};
    check_err(alk_auth_db_peer_add(f->db, &spec, twice, 2, NOW), ALK_E_EXISTS);

    check_err(alk_auth_db_peer_enable(f->db, ALK_LIT("phone"), true), ALK_E_NOENT);
    assert_string_equal(alk_auth_db_message(f->db), "there is no peer 'phone' in the store");
    check_err(alk_auth_db_peer_remove(f->db, ALK_LIT("phone")), ALK_E_NOENT);
    check_err(alk_auth_db_key_add(f->db, ALK_LIT("phone"), ALK_LIT(KEY_B), NOW), ALK_E_NOENT);
    check_err(alk_auth_db_key_add(f->db, ALK_LIT("laptop"), ALK_LIT("x"), NOW), ALK_E_INVALID);
    check_err(alk_auth_db_key_add(f->db, ALK_LIT("laptop"), ALK_LIT(KEY_A), NOW), ALK_E_EXISTS);
    check_peers(f, "laptop fs:* git:read " KEY_A
                   " repo(team/* and more):2:2 repo(public/**):0:0 1798761600\n");
}

static void a_peer_can_have_several_keys_up_to_a_limit(void **state)
{
    struct fixture *f = *state;
    char key[80];
    open_db(f);
    check_err(add(f, "laptop", NULL), ALK_OK);
    for (int i = 0; i < 64; i++) {
        (void)snprintf(key, sizeof(key), "ed25519:%064d", i);
        check_err(alk_auth_db_key_add(f->db, ALK_LIT("laptop"), alk_span_str(key), NOW), ALK_OK);
    }
    check_err(alk_auth_db_key_add(f->db, ALK_LIT("laptop"), ALK_LIT(KEY_A), NOW), ALK_E_INVALID);
    assert_string_equal(alk_auth_db_message(f->db), "a peer has at most 64 keys");
    const struct alk_auth_index *index = index_of(f);
    check_err(by_key(index, key), ALK_OK);
    check_err(by_key(index, KEY_A), ALK_E_AUTH);
    alk_auth_index_unref(index);
}

static void a_token_is_shown_once_and_only_its_hash_is_kept(void **state)
{
    struct fixture *f = *state;
    char token[ALK_TOKEN_SIZE], other[ALK_TOKEN_SIZE];
    const struct alk_identity *identity = NULL;
    open_db(f);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    check_err(token_new(f, "laptop", NOW + 10, token), ALK_OK);
    check_err(token_new(f, "laptop", 0, other), ALK_OK);
    assert_string_not_equal(token, other);
    reopen(f);

    const struct alk_auth_index *index = index_of(f);
    check_err(alk_auth_index_by_token(index, alk_span_str(token), NOW + 9, &identity), ALK_OK);
    check_text(alk_identity_id(identity), "laptop");
    check_err(alk_auth_index_by_token(index, alk_span_str(token), NOW + 10, &identity),
              ALK_E_EXPIRED);
    check_err(alk_auth_index_by_token(index, alk_span_str(other), UINT64_MAX, &identity), ALK_OK);
    alk_auth_index_unref(index);

    /* The secret half is in none of the files. */
    static const char *const suffixes[] = {"", "-wal"};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s", f->file, suffixes[i]);
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            continue; /* the log is gone after an orderly end */
        }
        static char content[1 << 20];
        size_t n = fread(content, 1, sizeof(content), file);
        (void)fclose(file);
        assert_null(memmem(content, n, token + 13, ALK_TOKEN_SECRET_LEN));
        if (i == 0) {
            assert_non_null(memmem(content, n, token + 4, ALK_TOKEN_PREFIX_LEN));
        }
    }
}

static void scopes_of_a_token_are_kept(void **state)
{
    static const struct alk_span wanted[] = {S("fs:read"), S("admin")};
    struct fixture *f = *state;
    char token[ALK_TOKEN_SIZE];
    const struct alk_identity *identity = NULL;
    open_db(f);
    check_err(add(f, "laptop", NULL), ALK_OK);
    struct alk_auth_db_token_spec spec = {
        .id = ALK_LIT("laptop"), .is_narrowed = true, .scopes = wanted, .scope_count = 2};
    check_err(alk_auth_db_token_new(f->db, &f->rand, &spec, NOW, token), ALK_OK);
    const struct alk_auth_index *index = index_of(f);
    check_err(alk_auth_index_by_token(index, alk_span_str(token), NOW, &identity), ALK_OK);
    assert_true(alk_identity_has_scope(identity, ALK_LIT("fs:read")));
    assert_true(alk_identity_has_scope(identity, ALK_LIT("git:read")));
    assert_false(alk_identity_has_scope(identity, ALK_LIT("admin")));
    alk_auth_index_unref(index);

    spec.scope_count = 0; /* none at all */
    check_err(alk_auth_db_token_new(f->db, &f->rand, &spec, NOW, token), ALK_OK);
    index = index_of(f);
    check_err(alk_auth_index_by_token(index, alk_span_str(token), NOW, &identity), ALK_OK);
    assert_int_equal(alk_identity_scope_count(identity), 0);
    alk_auth_index_unref(index);
}

static void tokens_that_cannot_be_made(void **state)
{
    struct fixture *f = *state;
    char token[ALK_TOKEN_SIZE] = "untouched";
    open_db(f);
    check_err(token_new(f, "ghost", 0, token), ALK_E_NOENT);
    assert_string_equal(alk_auth_db_message(f->db), "there is no peer 'ghost' in the store");
    check_err(token_new(f, "Ghost", 0, token), ALK_E_INVALID);
    check_err(add(f, "laptop", NULL), ALK_OK);
    check_err(token_new(f, "laptop", NOW, token), ALK_E_INVALID);
    assert_string_equal(alk_auth_db_message(f->db), "the token would have expired already");
    check_err(token_new(f, "laptop", UINT64_MAX, token), ALK_E_INVALID);
    struct alk_span bad[] = {ALK_LIT("a b")};
    struct alk_auth_db_token_spec spec = {
        .id = ALK_LIT("laptop"), .is_narrowed = true, .scopes = bad, .scope_count = 1};
    check_err(alk_auth_db_token_new(f->db, &f->rand, &spec, NOW, token), ALK_E_INVALID);
    assert_string_equal(alk_auth_db_message(f->db), "'a b' is not a scope");
    assert_string_equal(token, "untouched");
    assert_int_equal(tokens(f), 0);

    /* A peer of the configuration: the token is kept, and dangles without it. */
    struct alk_auth_db_token_spec known = {.id = ALK_LIT("ghost"), .is_known = true};
    check_err(alk_auth_db_token_new(f->db, &f->rand, &known, NOW, token), ALK_OK);
    const struct alk_identity *identity = NULL;
    const struct alk_auth_index *index = index_of(f);
    check_err(alk_auth_index_by_token(index, alk_span_str(token), NOW, &identity), ALK_E_AUTH);
    alk_auth_index_unref(index);
    assert_int_equal(tokens(f), 1);
}

static void tokens_are_revoked_by_prefix(void **state)
{
    struct fixture *f = *state;
    char token[3][ALK_TOKEN_SIZE];
    open_db(f);
    check_err(add(f, "laptop", NULL), ALK_OK);
    for (int i = 0; i < 3; i++) {
        check_err(token_new(f, "laptop", 0, token[i]), ALK_OK);
    }
    check_err(alk_auth_db_token_revoke(f->db, alk_span(token[0] + 4, 8)), ALK_OK);
    check_err(alk_auth_db_token_revoke(f->db, alk_span(token[1], 12)), ALK_OK);
    check_err(alk_auth_db_token_revoke(f->db, alk_span_str(token[2])), ALK_OK);
    assert_int_equal(tokens(f), 0);
    check_err(alk_auth_db_token_revoke(f->db, alk_span_str(token[2])), ALK_E_NOENT);
    assert_non_null(strstr(alk_auth_db_message(f->db), "there is no token '"));
    assert_null(strstr(alk_auth_db_message(f->db), token[2] + 13));
    check_err(alk_auth_db_token_revoke(f->db, ALK_LIT("abc")), ALK_E_INVALID);
    check_err(alk_auth_db_token_revoke(f->db, ALK_LIT("")), ALK_E_INVALID);
    check_err(alk_auth_db_token_revoke(f->db, ALK_LIT("%%%%%%%%")), ALK_E_INVALID);
}

/* Bytes that are all the same: every token has the same prefix. */
static void constant(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    memset(p, 1, n);
}

static void a_prefix_that_is_taken_is_not_used_again(void **state)
{
    struct fixture *f = *state;
    char token[ALK_TOKEN_SIZE] = "";
    const struct alk_rand stuck = {constant, NULL};
    struct alk_auth_db_token_spec spec = {.id = ALK_LIT("laptop")};
    open_db(f);
    check_err(add(f, "laptop", NULL), ALK_OK);
    check_err(alk_auth_db_token_new(f->db, &stuck, &spec, NOW, token), ALK_OK);
    check_err(alk_auth_db_token_new(f->db, &stuck, &spec, NOW, token), ALK_E_EXISTS);
    assert_int_equal(tokens(f), 1);
}

static void changes_can_be_joined_and_taken_back(void **state)
{
    struct fixture *f = *state;
    open_db(f);
    check_err(alk_auth_db_begin(f->db), ALK_OK);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    const struct alk_auth_index *index = index_of(f);
    check_err(by_key(index, KEY_A), ALK_OK); /* seen from inside */
    alk_auth_index_unref(index);
    alk_auth_db_rollback(f->db);
    check_peers(f, "");

    check_err(alk_auth_db_begin(f->db), ALK_OK);
    check_err(add(f, "laptop", NULL), ALK_OK);
    check_err(add(f, "phone", NULL), ALK_OK);
    check_err(alk_auth_db_commit(f->db), ALK_OK);
    reopen(f);
    index = index_of(f);
    assert_int_equal(alk_auth_index_count(index), 2);
    alk_auth_index_unref(index);

    /* A part that failed takes the whole with it. */
    check_err(alk_auth_db_begin(f->db), ALK_OK);
    check_err(add(f, "tablet", NULL), ALK_OK);
    check_err(add(f, "phone", NULL), ALK_E_EXISTS);
    check_err(alk_auth_db_commit(f->db), ALK_E_STATE);
    assert_non_null(strstr(alk_auth_db_message(f->db), "rolled back"));
    alk_auth_db_rollback(f->db); /* it has been: no effect */
    index = index_of(f);
    assert_null(alk_auth_index_find(index, ALK_LIT("tablet")));
    alk_auth_index_unref(index);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    open_db(f);
    alk_auth_db_close(f->db);
    f->db = NULL;
    pid_t child = fork();
    if (child == 0) {
        struct alk_auth_db *db = NULL;
        if (alk_auth_db_open(NULL, f->dir, NULL, &db) != ALK_OK) {
            _exit(1);
        }
        f->db = db;
        struct alk_identity_spec spec = {.id = ALK_LIT("kept")}, lost = {.id = ALK_LIT("lost")};
        if (alk_auth_db_peer_add(db, &spec, NULL, 0, NOW) != ALK_OK ||
            alk_auth_db_begin(db) != ALK_OK ||
            alk_auth_db_peer_add(db, &lost, NULL, 0, NOW) != ALK_OK) {
            _exit(2);
        }
        (void)raise(SIGKILL); /* in the middle of a transaction */
        _exit(3);
    }
    assert_true(child > 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_db(f);
    check_peers(f, "kept 1798761600\n");
}

static void sql(const char *path, const char *text)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void refused(struct fixture *f, alk_err want, const char *message)
{
    char got[ALK_DB_MESSAGE_SIZE] = "";
    check_err(alk_auth_db_open(NULL, f->dir, got, &f->db), want);
    if (strstr(got, message) == NULL) {
        print_error("%s\n", got);
    }
    assert_non_null(strstr(got, message));
    assert_null(f->db);
}

static void a_newer_store_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    open_db(f);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    alk_auth_db_close(f->db);
    f->db = NULL;
    sql(f->file, "PRAGMA user_version=2");
    refused(f, ALK_E_UNSUPPORTED, "has version 2 and this alknet knows up to 1: run the newer");
    sql(f->file, "PRAGMA user_version=1");
    open_db(f);
    check_peers(f, "laptop fs:* git:read " KEY_A
                   " repo(team/* and more):2:2 repo(public/**):0:0 1798761600\n");
}

static void files_that_are_not_ours_are_refused(void **state)
{
    struct fixture *f = *state;
    sql(f->file, "CREATE TABLE a (b)");
    refused(f, ALK_E_UNSUPPORTED, "not one of alknet's");
    assert_int_equal(unlink(f->file), 0);

    FILE *file = fopen(f->file, "wb");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        assert_true(fputs("this is no database ", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    refused(f, ALK_E_DB, "not a database");
    assert_int_equal(unlink(f->file), 0);

    assert_int_equal(symlink("/dev/null", f->file), 0);
    refused(f, ALK_E_PERM, "not a regular file");
    assert_int_equal(unlink(f->file), 0);

    assert_int_equal(mkdir(f->file, 0700), 0);
    refused(f, ALK_E_PERM, "not a regular file");
    assert_int_equal(rmdir(f->file), 0);

    char message[ALK_DB_MESSAGE_SIZE] = "";
    check_err(alk_auth_db_open(NULL, "/nonexistent/dir", message, &f->db), ALK_E_NOENT);
    assert_non_null(strstr(message, "/nonexistent/dir/alknet.db: No such file"));
}

static void a_file_that_others_may_read_is_made_private(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    open_db(f);
    alk_auth_db_close(f->db);
    f->db = NULL;
    assert_int_equal(chmod(f->file, 0644), 0);
    open_db(f);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_store_of_another_version_is_migrated_in_order(void **state)
{
    struct fixture *f = *state;
    static const char *const steps[] = {
        "CREATE TABLE t (v INTEGER NOT NULL) STRICT; INSERT INTO t VALUES (1);",
        "UPDATE t SET v = v * 10;",
        "UPDATE t SET v = v + 2;",
    };
    static const char *const broken[] = {"", "", "",
                                         "UPDATE t SET v = 77; UPDATE nothing SET v = 1;"};
    struct alk_db_schema schema = {.application_id = 7, .migrations = steps, .count = 1};
    struct alk_db *db = NULL;
    char path[128], message[ALK_DB_MESSAGE_SIZE];
    (void)snprintf(path, sizeof(path), "%s/other.db", f->dir);
    check_err(alk_db_open(NULL, path, &schema, message, &db), ALK_OK);
    alk_db_close(db);
    schema.count = 3;
    check_err(alk_db_open(NULL, path, &schema, message, &db), ALK_OK);
    struct sqlite3_stmt *stmt = NULL;
    check_err(alk_db_prepare(db, "SELECT v FROM t", &stmt), ALK_OK);
    check_err(alk_db_step(db, stmt), ALK_OK);
    assert_int_equal(alk_db_u64(stmt, 0), 12);
    check_err(alk_db_step(db, stmt), ALK_END);
    alk_db_done(stmt);
    alk_db_close(db);

    /* A migration that fails leaves the old version whole. */
    schema.migrations = broken;
    schema.count = 4;
    check_err(alk_db_open(NULL, path, &schema, message, &db), ALK_E_DB);
    assert_non_null(strstr(message, "nothing"));
    schema.migrations = steps;
    schema.count = 3;
    check_err(alk_db_open(NULL, path, &schema, message, &db), ALK_OK);
    check_err(alk_db_prepare(db, "SELECT v FROM t", &stmt), ALK_OK);
    check_err(alk_db_step(db, stmt), ALK_OK);
    assert_int_equal(alk_db_u64(stmt, 0), 12);
    /* An open statement and an open transaction do not keep it from closing. */
    check_err(alk_db_begin(db), ALK_OK);
    alk_db_close(db);
    alk_db_close(NULL);
}

static void damaged_rows_are_told(void **state)
{
    struct fixture *f = *state;
    char token[ALK_TOKEN_SIZE];
    open_db(f);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
    check_err(token_new(f, "laptop", 0, token), ALK_OK);
    alk_auth_db_close(f->db);
    f->db = NULL;
    /* A scope that this program would never store. */
    sql(f->file, "UPDATE peer_scope SET scope = 'A B' WHERE scope = 'fs:*'");
    open_db(f);
    const struct alk_auth_index *index = NULL;
    char *message = NULL;
    check_err(alk_auth_db_build(f->db, NULL, NULL, &f->rand, 1, &message, &index), ALK_E_CONFIG);
    assert_non_null(strstr(message, "store: a scope is"));
    free(message);
    alk_auth_db_close(f->db);
    f->db = NULL;

    sql(f->file, "UPDATE peer_scope SET scope = 'fs:x' WHERE scope = 'A B';"
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)"
                 " INSERT INTO peer_scope SELECT 'laptop', 's' || i FROM n");
    open_db(f);
    check_err(alk_auth_db_build(f->db, NULL, NULL, &f->rand, 1, NULL, &index), ALK_E_DB);
    assert_string_equal(alk_auth_db_message(f->db), "the store's peer 'laptop' is too large");
}

static void a_store_that_is_locked_is_busy(void **state)
{
    struct fixture *f = *state;
    open_db(f);
    /* Somebody else holds the write lock; ours waits its time-out. To keep the test
     * short it is set to a moment. */
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(f->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    check_peers(f, ""); /* readers do not wait */
    struct alk_db_schema schema = {.count = 0, .busy_ms = 1};
    struct alk_db *db = NULL;
    char message[ALK_DB_MESSAGE_SIZE] = "";
    check_err(alk_db_open(NULL, f->file, &schema, message, &db), ALK_E_BUSY);
    assert_non_null(strstr(message, "locked"));
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    check_err(add(f, "laptop", KEY_A), ALK_OK);
}

static alk_err stop_early(void *ctx, const struct alk_auth_db_peer *peer)
{
    int *n = ctx;
    (void)peer;
    return ++*n == 2 ? ALK_E_LIMIT : ALK_OK;
}

static void a_walk_ends_when_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    int n = 0;
    open_db(f);
    check_err(add(f, "a", NULL), ALK_OK);
    check_err(add(f, "b", NULL), ALK_OK);
    check_err(add(f, "c", NULL), ALK_OK);
    check_err(alk_auth_db_peer_list(f->db, alk_span(NULL, 0), stop_early, &n), ALK_E_LIMIT);
    assert_int_equal(n, 2);
}

static alk_err body(const struct alk_mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct alk_auth_db *db = NULL;
    const struct alk_auth_index *index = NULL;
    char token[ALK_TOKEN_SIZE];
    struct alk_span keys[] = {ALK_LIT(KEY_A)};
    struct alk_identity_spec spec = {.id = ALK_LIT("laptop"),
                                     .scopes = SCOPES,
                                     .scope_count = 2,
                                     .grants = GRANTS,
                                     .grant_count = 2};
    struct alk_auth_db_token_spec t = {
        .id = ALK_LIT("laptop"), .is_narrowed = true, .scopes = SCOPES, .scope_count = 2};
    (void)unlink(f->file);
    ALK_TRY(alk_auth_db_open(mem, f->dir, NULL, &db));
    alk_err err = alk_auth_db_peer_add(db, &spec, keys, 1, NOW);
    if (err == ALK_OK) {
        err = alk_auth_db_token_new(db, &f->rand, &t, NOW, token);
    }
    if (err == ALK_OK) {
        err = alk_auth_db_build(db, NULL, mem, &f->rand, 1, NULL, &index);
    }
    alk_auth_index_unref(index);
    alk_auth_db_close(db);
    return err;
}

static void without_memory(void **state)
{
    oom_sweep(body, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_store_is_private_and_empty),
        TEST(what_is_added_is_there_after_a_restart),
        TEST(a_disabled_peer_is_revoked_and_can_come_back),
        TEST(removing_a_peer_takes_its_keys_and_tokens),
        TEST(what_is_wrong_changes_nothing),
        TEST(a_peer_can_have_several_keys_up_to_a_limit),
        TEST(a_token_is_shown_once_and_only_its_hash_is_kept),
        TEST(scopes_of_a_token_are_kept),
        TEST(tokens_that_cannot_be_made),
        TEST(tokens_are_revoked_by_prefix),
        TEST(a_prefix_that_is_taken_is_not_used_again),
        TEST(changes_can_be_joined_and_taken_back),
        TEST(what_was_acknowledged_survives_a_kill),
        TEST(a_newer_store_is_refused_and_left_alone),
        TEST(files_that_are_not_ours_are_refused),
        TEST(a_file_that_others_may_read_is_made_private),
        TEST(a_store_of_another_version_is_migrated_in_order),
        TEST(damaged_rows_are_told),
        TEST(a_store_that_is_locked_is_busy),
        TEST(a_walk_ends_when_it_is_told_to),
        TEST(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
