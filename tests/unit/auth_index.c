/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/index.h"

#include "core/auth/fingerprint.h"
#include "support/oom.h"

#include <pthread.h>

#define S(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

#define KEY_A      "ed25519:21dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b99"
#define KEY_A_SPKI "spki:ace3c789e145743a2f2e217a84fc216cd3f05213e21ea5b8e853b6680c653b99"
#define KEY_A_SSH  "SHA256:QXhdx+mqJeN0i74FK7FDWpMRShnAiKuCNNNm59SpXDo"
#define KEY_A_LINE                                                                                 \
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHdHrk2ZcsThRZy7777uFbrBIJ1OofPLJHCX1ZzVhuZ"
#define KEY_A_ADDRESS "r8qt7qjsczft8besqmz5767ak5iojyui8kdh6mrtajxich4sdqco"
#define KEY_B         "ed25519:01b467a3b7913ab27a04a8edf2f3fb074cfe0ecf4babe108d67be3853b0f26c5"
#define CERT_A        "cert:c058420e3d18327cbb8c1391fffa690f86ab7b60045cb90bb343bb32cff5db99"

#define TOKEN   "alk_Ab3dEf9h_0123456789abcdefghijAB"
#define TOKEN_2 "alk_Zz3dEf9h_0123456789abcdefghijAB"

static struct alk_prng g_seed;

static struct alk_rand source(void)
{
    alk_prng_init(&g_seed, 7);
    return alk_prng_rand(&g_seed);
}

static struct alk_auth_builder *builder(void)
{
    struct alk_auth_builder *b = NULL;
    struct alk_rand rand = source();
    check_err(alk_auth_builder_new(NULL, &rand, &b), ALK_OK);
    return b;
}

static alk_err add_peer(struct alk_auth_builder *b, const char *id, const char *where)
{
    static const struct alk_span scopes[] = {S("fs:*"), S("git:read")};
    struct alk_identity_spec spec = {.id = alk_span_str(id), .scopes = scopes, .scope_count = 2};
    return alk_auth_builder_add_identity(b, &spec, where);
}

static alk_err add_disabled(struct alk_auth_builder *b, const char *id, const char *where)
{
    struct alk_identity_spec spec = {.id = alk_span_str(id), .is_disabled = true};
    return alk_auth_builder_add_identity(b, &spec, where);
}

static alk_err add_key(struct alk_auth_builder *b, const char *id, const char *key,
                       const char *where)
{
    return alk_auth_builder_add_key(b, alk_span_str(id), alk_span_str(key), where);
}

static struct alk_auth_token token_of(const char *id, const char *text)
{
    struct alk_auth_token token = {.id = alk_span_str(id)};
    struct alk_span prefix;
    assert_true(alk_token_parse(alk_span_str(text), &prefix));
    assert_true(alk_span_cstr(prefix, token.prefix, sizeof(token.prefix)));
    alk_token_hash(alk_span_str(text), token.hash);
    return token;
}

static const struct alk_auth_index *finish(struct alk_auth_builder *b)
{
    const struct alk_auth_index *index = NULL;
    check_err(alk_auth_builder_finish(b, 42, &index), ALK_OK);
    assert_string_equal(alk_auth_builder_message(b), "");
    alk_auth_builder_free(b);
    return index;
}

/* By up to four names. */
static alk_err by_keys(const struct alk_auth_index *index, const char *const *names, size_t n,
                       const struct alk_identity **ret)
{
    char fingerprints[4][ALK_FINGERPRINT_MAX] = {""};
    for (size_t i = 0; i < n; i++) {
        assert_true(alk_span_cstr(alk_span_str(names[i]), fingerprints[i], ALK_FINGERPRINT_MAX));
    }
    struct alk_auth_query query = {
        .kind = ALK_CREDENTIAL_FINGERPRINTS,
        .fingerprints = (const char(*)[ALK_FINGERPRINT_MAX])fingerprints,
        .fingerprint_count = 4,
    };
    return alk_auth_resolve_sync(index, &query, 0, ret);
}

static alk_err by_token(const struct alk_auth_index *index, const char *text, uint64_t now,
                        const struct alk_identity **ret)
{
    struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN, .token = alk_span_str(text)};
    return alk_auth_resolve_sync(index, &query, now, ret);
}

static void a_key_resolves_by_any_name_it_was_given(void **state)
{
    static const char *const forms[] = {KEY_A,      KEY_A_SPKI,    KEY_A_SSH,
                                        KEY_A_LINE, KEY_A_ADDRESS, CERT_A};
    static const char *const seen[] = {KEY_A, KEY_A_SPKI, CERT_A, KEY_A_SSH};
    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct alk_auth_builder *b = builder();
        const struct alk_identity *identity = NULL;
        print_message("%s\n", forms[i]);
        check_err(add_peer(b, "laptop", "x"), ALK_OK);
        check_err(add_key(b, "laptop", forms[i], "x"), ALK_OK);
        const struct alk_auth_index *index = finish(b);
        check_err(by_keys(index, seen, 4, &identity), ALK_OK);
        check_text(alk_identity_id(identity), "laptop");
        alk_auth_index_unref(index);
    }
}

static void keys_that_do_not_resolve(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    const struct alk_identity *identity = NULL;
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    check_err(add_peer(b, "phone", "x"), ALK_OK);
    check_err(add_disabled(b, "old", "x"), ALK_OK);
    check_err(add_key(b, "laptop", KEY_A, "x"), ALK_OK);
    check_err(add_key(b, "phone", CERT_A, "x"), ALK_OK);
    check_err(add_key(b, "old", KEY_B, "x"), ALK_OK);
    const struct alk_auth_index *index = finish(b);

    static const char *const unknown[] = {
        "ed25519:0000000000000000000000000000000000000000000000000000000000000000"};
    check_err(by_keys(index, unknown, 1, &identity), ALK_E_AUTH);
    check_err(by_keys(index, NULL, 0, &identity), ALK_E_AUTH);
    check_err(by_keys(NULL, unknown, 1, &identity), ALK_E_AUTH);
    static const char *const revoked[] = {KEY_B};
    check_err(by_keys(index, revoked, 1, &identity), ALK_E_REVOKED);
    /* One connection, two peers: neither. */
    static const char *const both[] = {KEY_A, KEY_A_SPKI, CERT_A, KEY_A_SSH};
    check_err(by_keys(index, both, 4, &identity), ALK_E_AUTH);
    static const char *const good_and_revoked[] = {KEY_A, KEY_B};
    check_err(by_keys(index, good_and_revoked, 2, &identity), ALK_E_AUTH);
    static const char *const prefix_only[] = {"ed25519:21dd1eb93665cb13851672efbefbb856"};
    check_err(by_keys(index, prefix_only, 1, &identity), ALK_E_AUTH);
    assert_null(identity);
    alk_auth_index_unref(index);
}

static void a_token_resolves_until_it_expires(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    const struct alk_identity *identity = NULL;
    struct alk_auth_token token = token_of("laptop", TOKEN);
    token.expires_at = 1000;
    check_err(alk_auth_builder_add_token(b, &token, false, "x"), ALK_OK);
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    const struct alk_auth_index *index = finish(b);

    check_err(by_token(index, TOKEN, 999, &identity), ALK_OK);
    check_text(alk_identity_id(identity), "laptop");
    assert_true(alk_identity_has_scope(identity, ALK_LIT("fs:write")));
    identity = NULL;
    check_err(by_token(index, TOKEN, 1000, &identity), ALK_E_EXPIRED);
    check_err(by_token(index, TOKEN, UINT64_MAX, &identity), ALK_E_EXPIRED);
    assert_null(identity);
    alk_auth_index_unref(index);
}

static void tokens_that_do_not_resolve(void **state)
{
    static const struct {
        const char *name, *text;
        alk_err want;
    } cases[] = {
        {"another secret", "alk_Ab3dEf9h_0123456789abcdefghijAC", ALK_E_AUTH},
        {"an unknown prefix", "alk_Ab3dEf9i_0123456789abcdefghijAB", ALK_E_AUTH},
        {"no token at all", "Bearer", ALK_E_AUTH},
        {"nothing", "", ALK_E_AUTH},
        {"a space behind", TOKEN " ", ALK_E_AUTH},
        {"the right one", TOKEN, ALK_OK},
        {"of a disabled peer", "alk_Dis3bled_0123456789abcdefghijAB", ALK_E_REVOKED},
        {"of a disabled peer and expired", "alk_DisExpir_0123456789abcdefghijAB", ALK_E_REVOKED},
        {"wrong secret of a disabled peer", "alk_Dis3bled_0123456789abcdefghijAC", ALK_E_AUTH},
        {"wrong secret of an expired token", "alk_Exp1red1_0123456789abcdefghijAC", ALK_E_AUTH},
        {"expired", "alk_Exp1red1_0123456789abcdefghijAB", ALK_E_EXPIRED},
        {"an invitation", "alk_1nvite11_0123456789abcdefghijAB", ALK_E_AUTH},
        {"one whose peer is gone", "alk_Dangl1ng_0123456789abcdefghijAB", ALK_E_AUTH},
    };
    (void)state;
    struct alk_auth_builder *b = builder();
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    check_err(add_disabled(b, "old", "x"), ALK_OK);
    struct alk_auth_token t = token_of("laptop", TOKEN);
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    t = token_of("old", "alk_Dis3bled_0123456789abcdefghijAB");
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    t = token_of("old", "alk_DisExpir_0123456789abcdefghijAB");
    t.expires_at = 1;
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    t = token_of("laptop", "alk_Exp1red1_0123456789abcdefghijAB");
    t.expires_at = 1;
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    t = token_of("laptop", "alk_1nvite11_0123456789abcdefghijAB");
    t.purpose = ALK_TOKEN_INVITATION;
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    t = token_of("gone", "alk_Dangl1ng_0123456789abcdefghijAB");
    check_err(alk_auth_builder_add_token(b, &t, true, "x"), ALK_OK);
    const struct alk_auth_index *index = finish(b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct alk_identity *identity = NULL;
        print_message("%s\n", cases[i].name);
        check_err(by_token(index, cases[i].text, 1000, &identity), cases[i].want);
        assert_int_equal(identity != NULL, cases[i].want == ALK_OK);
        check_err(by_token(NULL, cases[i].text, 1000, &identity), ALK_E_AUTH);
    }
    alk_auth_index_unref(index);
}

static void a_hash_of_zeros_lets_nobody_in(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    const struct alk_identity *identity = NULL;
    struct alk_auth_token t = token_of("laptop", TOKEN);
    memset(t.hash, 0, sizeof(t.hash));
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    const struct alk_auth_index *index = finish(b);
    check_err(by_token(index, TOKEN, 0, &identity), ALK_E_AUTH);
    alk_auth_index_unref(index);
}

static void scopes_of_a_token_narrow_its_peer(void **state)
{
    static const struct alk_span wanted[] = {S("fs:read"), S("git:write"), S("admin")};
    (void)state;
    struct alk_auth_builder *b = builder();
    const struct alk_identity *narrow = NULL, *none = NULL;
    struct alk_auth_token t = token_of("laptop", TOKEN);
    t.is_narrowed = true;
    t.scopes = wanted;
    t.scope_count = 2;
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    t = token_of("laptop", TOKEN_2);
    t.is_narrowed = true; /* to no scope at all */
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    const struct alk_auth_index *index = finish(b);

    check_err(by_token(index, TOKEN, 0, &narrow), ALK_OK);
    check_text(alk_identity_id(narrow), "laptop");
    assert_true(alk_identity_has_scope(narrow, ALK_LIT("fs:read")));
    assert_false(alk_identity_has_scope(narrow, ALK_LIT("fs:write")));
    assert_false(alk_identity_has_scope(narrow, ALK_LIT("git:read")));
    assert_false(alk_identity_has_scope(narrow, ALK_LIT("git:write")));
    check_err(by_token(index, TOKEN_2, 0, &none), ALK_OK);
    assert_int_equal(alk_identity_scope_count(none), 0);
    alk_auth_index_unref(index);
}

static void admin_in_a_token_gives_no_more_than_the_peer_has(void **state)
{
    static const struct alk_span wanted[] = {S("admin")};
    (void)state;
    struct alk_auth_builder *b = builder();
    const struct alk_identity *narrow = NULL;
    struct alk_auth_token t = token_of("laptop", TOKEN);
    t.is_narrowed = true;
    t.scopes = wanted;
    t.scope_count = 1;
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    const struct alk_auth_index *index = finish(b);
    check_err(by_token(index, TOKEN, 0, &narrow), ALK_OK);
    assert_true(alk_identity_has_scope(narrow, ALK_LIT("fs:write")));
    assert_false(alk_identity_has_scope(narrow, ALK_LIT("admin")));
    alk_auth_index_unref(index);
}

static void refused(struct alk_auth_builder *b, const char *message)
{
    const struct alk_auth_index *index = NULL;
    check_err(alk_auth_builder_finish(b, 1, &index), ALK_E_CONFIG);
    assert_null(index);
    assert_string_equal(alk_auth_builder_message(b), message);
    alk_auth_builder_free(b);
}

static void what_is_there_twice_names_both_places(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    check_err(add_peer(b, "laptop", "alknet.yaml:12:7"), ALK_OK);
    check_err(add_peer(b, "laptop", "store"), ALK_E_CONFIG);
    refused(b, "store: the peer 'laptop' is defined in alknet.yaml:12:7 already\n");

    static const char *const again[] = {KEY_A, KEY_A_SPKI, KEY_A_SSH, KEY_A_LINE, KEY_A_ADDRESS};
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
        print_message("%s\n", again[i]);
        char name[ALK_FINGERPRINT_MAX], want[400];
        check_err(alk_key_parse(alk_span_str(again[i]), name, NULL, 0), ALK_OK);
        (void)snprintf(want, sizeof(want),
                       "b.yaml:2:2: the key %s belongs to 'laptop' in a.yaml:1:1 already\n", name);
        b = builder();
        check_err(add_peer(b, "laptop", "x"), ALK_OK);
        check_err(add_peer(b, "phone", "x"), ALK_OK);
        check_err(add_key(b, "laptop", KEY_A, "a.yaml:1:1"), ALK_OK);
        check_err(add_key(b, "phone", again[i], "b.yaml:2:2"), ALK_E_CONFIG);
        refused(b, want);
    }
    /* In the other order too: a name first, then the key that it is of. */
    b = builder();
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    check_err(add_key(b, "laptop", KEY_A_SSH, "a"), ALK_OK);
    check_err(add_key(b, "laptop", KEY_A, "b"), ALK_E_CONFIG);
    refused(b, "b: the key " KEY_A " belongs to 'laptop' in a already\n");

    b = builder();
    struct alk_auth_token t = token_of("laptop", TOKEN);
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    check_err(alk_auth_builder_add_token(b, &t, false, "a"), ALK_OK);
    check_err(alk_auth_builder_add_token(b, &t, true, "store"), ALK_E_CONFIG);
    refused(b, "store: the token Ab3dEf9h is defined in a already\n");
}

static void all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    struct alk_auth_token t = token_of("laptop", TOKEN);
    memcpy(t.prefix, "short", 6);
    check_err(add_peer(b, "Laptop", "a:1:1"), ALK_E_CONFIG);
    check_err(add_key(b, "laptop", "what", "a:2:1"), ALK_E_CONFIG);
    check_err(add_key(b, "", KEY_A, "a:3:1"), ALK_E_CONFIG);
    check_err(alk_auth_builder_add_token(b, &t, false, "a:4:1"), ALK_E_CONFIG);
    const char *message = alk_auth_builder_message(b);
    assert_non_null(strstr(message, "a:1:1: an id is"));
    assert_non_null(strstr(message, "a:2:1: not a key"));
    assert_non_null(strstr(message, "a:3:1: this key has no peer"));
    assert_non_null(strstr(message, "a:4:1: a token's prefix"));
    const struct alk_auth_index *index = NULL;
    check_err(alk_auth_builder_finish(b, 1, &index), ALK_E_CONFIG);
    alk_auth_builder_free(b);
}

static void keys_and_tokens_need_their_peer(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    struct alk_auth_token t = token_of("ghost", TOKEN);
    check_err(add_key(b, "nobody", KEY_A, "a:1:1"), ALK_OK);
    check_err(alk_auth_builder_add_token(b, &t, false, "a:2:1"), ALK_OK);
    refused(b, "a:1:1: there is no peer 'nobody'\na:2:1: there is no peer 'ghost'\n");
}

static void a_flood_of_mistakes_is_bounded(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    for (int i = 0; i < 5000; i++) {
        check_err(add_peer(b, "Not an id", "somewhere/in/a/file.yaml:1:1"), ALK_E_CONFIG);
    }
    size_t n = strlen(alk_auth_builder_message(b));
    assert_in_range(n, 60000, 65536);
    const struct alk_auth_index *index = NULL;
    check_err(alk_auth_builder_finish(b, 1, &index), ALK_E_CONFIG);
    alk_auth_builder_free(b);
}

static void an_index_shows_whom_it_knows(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    check_err(add_peer(b, "zoe", "a.yaml:1:1"), ALK_OK);
    check_err(add_disabled(b, "adam", "store"), ALK_OK);
    check_err(add_key(b, "zoe", KEY_A, "a.yaml:2:1"), ALK_OK);
    const struct alk_auth_index *index = finish(b);
    assert_int_equal(alk_auth_index_generation(index), 42);
    assert_int_equal(alk_auth_index_count(index), 2);
    check_text(alk_identity_id(alk_auth_index_at(index, 0)), "zoe");
    check_text(alk_identity_id(alk_auth_index_at(index, 1)), "adam");
    assert_true(alk_identity_is_disabled(alk_auth_index_find(index, ALK_LIT("adam"))));
    assert_null(alk_auth_index_find(index, ALK_LIT("eve")));
    assert_string_equal(alk_auth_index_where(index, ALK_LIT("zoe")), "a.yaml:1:1");
    assert_null(alk_auth_index_where(index, ALK_LIT("eve")));
    check_text(alk_auth_index_key_owner(index, ALK_LIT(KEY_A_SSH)), "zoe");
    assert_int_equal(alk_auth_index_key_owner(index, ALK_LIT(KEY_B)).n, 0);
    alk_auth_index_unref(index);

    assert_int_equal(alk_auth_index_count(NULL), 0);
    assert_int_equal(alk_auth_index_generation(NULL), 0);
    assert_null(alk_auth_index_find(NULL, ALK_LIT("zoe")));
    alk_auth_index_unref(NULL);
}

static void an_empty_index_knows_nobody(void **state)
{
    (void)state;
    const struct alk_identity *identity = NULL;
    const struct alk_auth_index *index = finish(builder());
    static const char *const key[] = {KEY_A};
    assert_int_equal(alk_auth_index_count(index), 0);
    check_err(by_keys(index, key, 1, &identity), ALK_E_AUTH);
    check_err(by_token(index, TOKEN, 0, &identity), ALK_E_AUTH);
    alk_auth_index_unref(index);
}

static void an_identity_outlives_its_index(void **state)
{
    (void)state;
    struct alk_auth_builder *b = builder();
    check_err(add_peer(b, "laptop", "x"), ALK_OK);
    const struct alk_auth_index *index = finish(b);
    const struct alk_identity *kept =
        alk_identity_ref(alk_auth_index_find(index, ALK_LIT("laptop")));
    alk_auth_index_unref(index);
    check_text(alk_identity_id(kept), "laptop");
    alk_identity_unref(kept);
}

/* One index with one peer, one key and one token. */
static const struct alk_auth_index *small(const char *id, const char *key, const char *token,
                                          const char *where)
{
    struct alk_auth_builder *b = builder();
    struct alk_auth_token t = token_of(id, token);
    check_err(add_peer(b, id, where), ALK_OK);
    check_err(add_key(b, id, key, where), ALK_OK);
    check_err(alk_auth_builder_add_token(b, &t, false, where), ALK_OK);
    return finish(b);
}

static void overlapping_indexes_are_told_apart(void **state)
{
    static const struct {
        const char *id, *key, *token, *why;
    } cases[] = {
        {"phone", KEY_B, TOKEN_2, NULL},
        {"laptop", KEY_B, TOKEN_2, "the peer 'laptop' is defined in a.yaml and in store"},
        {"phone", KEY_A, TOKEN_2,
         "the key " KEY_A " belongs to 'laptop' in a.yaml and to 'phone' in store"},
        {"phone", KEY_A_SSH, TOKEN_2,
         "the key " KEY_A_SSH " belongs to 'laptop' in a.yaml and to 'phone' in store"},
        {"phone", KEY_B, TOKEN, "the token Ab3dEf9h is defined in a.yaml and in store"},
    };
    (void)state;
    const struct alk_auth_index *a = small("laptop", KEY_A, TOKEN, "a.yaml");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char why[400] = "";
        const struct alk_auth_index *b = small(cases[i].id, cases[i].key, cases[i].token, "store");
        assert_int_equal(alk_auth_index_overlaps(a, b, why, sizeof(why)), cases[i].why != NULL);
        assert_string_equal(why, cases[i].why == NULL ? "" : cases[i].why);
        alk_auth_index_unref(b);
    }
    assert_false(alk_auth_index_overlaps(a, NULL, NULL, 0));
    assert_false(alk_auth_index_overlaps(NULL, a, NULL, 0));
    alk_auth_index_unref(a);
}

static alk_err fill(struct alk_auth_builder *b)
{
    static const struct alk_span scopes[] = {S("fs:read")};
    struct alk_auth_token t = token_of("p3", TOKEN), d = token_of("gone", TOKEN_2);
    t.is_narrowed = true;
    t.scopes = scopes;
    t.scope_count = 1;
    for (int i = 0; i < 9; i++) {
        char id[16], key[80], where[24];
        (void)snprintf(id, sizeof(id), "p%d", i);
        (void)snprintf(where, sizeof(where), "a:%d:1", i);
        (void)snprintf(key, sizeof(key), "ed25519:%064d", i);
        ALK_TRY(add_peer(b, id, where));
        ALK_TRY(add_key(b, id, key, where));
    }
    ALK_TRY(alk_auth_builder_add_token(b, &t, false, "x"));
    return alk_auth_builder_add_token(b, &d, true, "y");
}

static alk_err body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_auth_builder *b = NULL;
    const struct alk_auth_index *index = NULL;
    struct alk_rand rand = source();
    alk_err err = alk_auth_builder_new(mem, &rand, &b);
    if (err == ALK_OK) {
        err = fill(b);
    }
    if (err == ALK_OK) {
        err = alk_auth_builder_finish(b, 1, &index);
    }
    alk_auth_builder_free(b);
    alk_auth_index_unref(index);
    return err;
}

static alk_err body_of_mistakes(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_auth_builder *b = NULL;
    struct alk_rand rand = source();
    ALK_TRY(alk_auth_builder_new(mem, &rand, &b));
    alk_err err = ALK_E_CONFIG;
    for (int i = 0; i < 50 && err == ALK_E_CONFIG; i++) {
        err = add_peer(b, "Not an id", "a:1:1");
    }
    alk_auth_builder_free(b);
    return err == ALK_E_CONFIG ? ALK_OK : err;
}

static void without_memory(void **state)
{
    (void)state;
    oom_sweep(body, NULL);
    oom_sweep(body_of_mistakes, NULL);
}

/* Four loops look things up, each in its own reference, while the main thread
 * swaps generations: what ThreadSanitizer would see is a race on the counts. */
enum { LOOPS = 4, TURNS = 3000 };

struct shared {
    pthread_mutex_t mutex;
    const struct alk_auth_index *current; /* holds a reference */
    bool is_over;
};

static const struct alk_auth_index *take(struct shared *s, bool *ret_is_over)
{
    assert_int_equal(pthread_mutex_lock(&s->mutex), 0);
    const struct alk_auth_index *index = alk_auth_index_ref(s->current);
    *ret_is_over = s->is_over;
    assert_int_equal(pthread_mutex_unlock(&s->mutex), 0);
    return index;
}

static void swap(struct shared *s, const struct alk_auth_index *index)
{
    assert_int_equal(pthread_mutex_lock(&s->mutex), 0);
    const struct alk_auth_index *old = s->current;
    s->current = index;
    s->is_over = index == NULL;
    assert_int_equal(pthread_mutex_unlock(&s->mutex), 0);
    alk_auth_index_unref(old);
}

static void *loop(void *arg)
{
    struct shared *s = arg;
    bool is_over = false;
    const struct alk_identity *kept = NULL;
    size_t wrong = 0;
    while (!is_over) {
        const struct alk_auth_index *index = take(s, &is_over);
        const struct alk_identity *identity = NULL;
        static const char keys[1][ALK_FINGERPRINT_MAX] = {KEY_A_SSH};
        for (int i = 0; i < 20 && index != NULL; i++) {
            bool is_right =
                alk_auth_index_by_keys(index, keys, 1, &identity) == ALK_OK &&
                alk_auth_index_by_token(index, ALK_LIT(TOKEN), 0, &identity) == ALK_OK &&
                alk_identity_has_scope(identity, ALK_LIT("fs:read"));
            wrong += is_right ? 0 : 1;
        }
        alk_identity_unref(kept); /* from an index that may be gone */
        kept = alk_identity_ref(identity);
        alk_auth_index_unref(index);
    }
    alk_identity_unref(kept);
    return (void *)wrong;
}

static void generations_are_swapped_under_four_loops(void **state)
{
    (void)state;
    struct shared s = {.current = small("laptop", KEY_A, TOKEN, "x")};
    pthread_t threads[LOOPS];
    assert_int_equal(pthread_mutex_init(&s.mutex, NULL), 0);
    for (size_t i = 0; i < LOOPS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, loop, &s), 0);
    }
    for (int i = 0; i < TURNS; i++) {
        swap(&s, small("laptop", KEY_A, TOKEN, "x"));
    }
    swap(&s, NULL);
    for (size_t i = 0; i < LOOPS; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(pthread_mutex_destroy(&s.mutex), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_resolves_by_any_name_it_was_given),
        cmocka_unit_test(keys_that_do_not_resolve),
        cmocka_unit_test(a_token_resolves_until_it_expires),
        cmocka_unit_test(tokens_that_do_not_resolve),
        cmocka_unit_test(a_hash_of_zeros_lets_nobody_in),
        cmocka_unit_test(scopes_of_a_token_narrow_its_peer),
        cmocka_unit_test(admin_in_a_token_gives_no_more_than_the_peer_has),
        cmocka_unit_test(what_is_there_twice_names_both_places),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(keys_and_tokens_need_their_peer),
        cmocka_unit_test(a_flood_of_mistakes_is_bounded),
        cmocka_unit_test(an_index_shows_whom_it_knows),
        cmocka_unit_test(an_empty_index_knows_nobody),
        cmocka_unit_test(an_identity_outlives_its_index),
        cmocka_unit_test(overlapping_indexes_are_told_apart),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(generations_are_swapped_under_four_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
