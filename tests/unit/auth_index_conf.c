/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The configuration's `auth` section, read with the node's own tables, as an
 * index. */
#include "core/auth/conf.h"
#include "core/auth/index.h"

#include "core/config/node.h"
#include "support/oom.h"

#define KEY_A "ed25519:21dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b99"
#define TOKEN "alk_Ab3dEf9h_0123456789abcdefghijAB"
/* printf %s TOKEN | sha256sum */
#define HASH  "sha256:f53aedb16e5b2367fd96ccddae79896045704bed0db20183f3aa3dc7f483c679"

static struct alk_prng g_seed;

static struct alk_rand source(void)
{
    alk_prng_init(&g_seed, 5);
    return alk_prng_rand(&g_seed);
}

static const struct alk_dynamic_config *load(const char *text)
{
    const struct alk_static_config *fixed = NULL;
    const struct alk_dynamic_config *config = NULL;
    struct alk_conf_errors errors = {0};
    struct alk_config_options o = {
        .text = alk_span_str(text), .name = "node.yaml", .default_data_dir = "/var/lib/alknet"};
    alk_err err = alk_config_load(&o, &errors, &fixed, &config);
    if (err != ALK_OK) {
        print_error("%s\n", errors.text == NULL ? "?" : errors.text);
    }
    check_err(err, ALK_OK);
    alk_conf_errors_fini(&errors);
    alk_static_config_unref(fixed);
    return config;
}

static alk_err build(const struct alk_mem *mem, const struct alk_conf *auth,
                     const struct alk_auth_index **ret)
{
    struct alk_auth_builder *b = NULL;
    struct alk_rand rand = source();
    ALK_TRY(alk_auth_builder_new(mem, &rand, &b));
    alk_err err = alk_auth_builder_add_conf(b, auth);
    if (err == ALK_OK) {
        err = alk_auth_builder_finish(b, 3, ret);
    }
    alk_auth_builder_free(b);
    return err;
}

static const char DOCUMENT[] =
    "auth:\n"
    "  peers:\n"
    "    - id: laptop\n"
    "      keys:\n"
    "        - " KEY_A "\n"
    "        - SHA256:z8qt9Ojp/ZY75IlamH950NYJ4Nc91JflQ2Yid/2E/6M\n"
    "      scopes: [fs:*, git:read]\n"
    "      resources:\n"
    "        repo:\n"
    "          - team/*\n"
    "          - {name: mine/**, actions: [read, write], refs: [refs/heads/dev/*]}\n"
    "        topic: alerts\n"
    "    - id: old\n"
    "      enabled: false\n"
    "      keys: yg4gxe7z1r7mr6orids9fh95y7gxhdsxjqi6nngsxxtakqaxr5no\n"
    "  tokens:\n"
    "    - {id: laptop, prefix: Ab3dEf9h, hash: \"" HASH "\",\n"
    "       scopes: [fs:read], expires_at: 2027-01-01}\n"
    "    - {id: laptop, prefix: Zz3dEf9h, hash: \"" HASH "\"}\n"
    "    - {id: laptop, prefix: None3Ef9, hash: \"" HASH "\", scopes: []}\n";

static bool may(const struct alk_identity *identity, const char *type, const char *name,
                const char *action, const char *ref)
{
    return alk_identity_may(identity, alk_span_str(type), alk_span_str(name), alk_span_str(action),
                            alk_span_str(ref));
}

static void peers_and_tokens_of_a_document(void **state)
{
    (void)state;
    const struct alk_dynamic_config *config = load(DOCUMENT);
    const struct alk_auth_index *index = NULL;
    const struct alk_identity *by_token = NULL;
    check_err(build(NULL, config->auth, &index), ALK_OK);
    alk_dynamic_config_unref(config); /* the index keeps nothing of it */

    const struct alk_identity *laptop = alk_auth_index_find(index, ALK_LIT("laptop"));
    assert_int_equal(alk_auth_index_count(index), 2);
    assert_true(alk_identity_has_scope(laptop, ALK_LIT("fs:write")));
    assert_false(alk_identity_has_scope(laptop, ALK_LIT("git:write")));
    assert_true(may(laptop, "repo", "team/a", "read", ""));
    assert_false(may(laptop, "repo", "team/a", "write", ""));
    assert_true(may(laptop, "repo", "mine/a/b", "write", "refs/heads/dev/x"));
    assert_false(may(laptop, "repo", "mine/a/b", "write", "refs/heads/main"));
    assert_true(may(laptop, "topic", "alerts", "read", ""));
    assert_string_equal(alk_auth_index_where(index, ALK_LIT("laptop")), "node.yaml:3:7");
    check_text(alk_auth_index_key_owner(
                   index, ALK_LIT("SHA256:z8qt9Ojp/ZY75IlamH950NYJ4Nc91JflQ2Yid/2E/6M")),
               "laptop");
    assert_true(alk_identity_is_disabled(alk_auth_index_find(index, ALK_LIT("old"))));

    check_err(alk_auth_index_by_token(index, ALK_LIT(TOKEN), 1798761599, &by_token), ALK_OK);
    assert_true(alk_identity_has_scope(by_token, ALK_LIT("fs:read")));
    assert_false(alk_identity_has_scope(by_token, ALK_LIT("fs:write")));
    check_err(alk_auth_index_by_token(index, ALK_LIT(TOKEN), 1798761600, &by_token), ALK_E_EXPIRED);
    alk_auth_index_unref(index);
}

static void absent_scopes_are_all_and_empty_ones_none(void **state)
{
    (void)state;
    /* The hashes above are of TOKEN: give these two their own. */
    static const char text[] =
        "auth:\n"
        "  peers: [{id: a, scopes: [fs:read]}]\n"
        "  tokens:\n"
        "    - {id: a, prefix: Zz3dEf9h, hash: \"sha256:79d791d12b5229664f262068f0458f"
        "132ece35904804e7f309b93de5cbe4b6cf\"}\n"
        "    - {id: a, prefix: None3Ef9, hash: \"sha256:0dbe54dc3faa2cf438f9bd34f24479"
        "82a03bc17d0a641c92716a6a842b963e72\", scopes: []}\n";
    const struct alk_dynamic_config *config = load(text);
    const struct alk_auth_index *index = NULL;
    const struct alk_identity *identity = NULL;
    check_err(build(NULL, config->auth, &index), ALK_OK);
    alk_dynamic_config_unref(config);
    check_err(alk_auth_index_by_token(index, ALK_LIT("alk_Zz3dEf9h_0123456789abcdefghijAB"), 0,
                                      &identity),
              ALK_OK);
    assert_true(alk_identity_has_scope(identity, ALK_LIT("fs:read")));
    check_err(alk_auth_index_by_token(index, ALK_LIT("alk_None3Ef9_0123456789abcdefghijAB"), 0,
                                      &identity),
              ALK_OK);
    assert_false(alk_identity_has_scope(identity, ALK_LIT("fs:read")));
    alk_auth_index_unref(index);
}

static void a_document_without_peers_knows_nobody(void **state)
{
    (void)state;
    const struct alk_dynamic_config *config = load("");
    const struct alk_auth_index *index = NULL;
    check_err(build(NULL, config->auth, &index), ALK_OK);
    assert_int_equal(alk_auth_index_count(index), 0);
    alk_auth_index_unref(index);
    alk_dynamic_config_unref(config);

    check_err(build(NULL, NULL, &index), ALK_OK);
    assert_int_equal(alk_auth_index_count(index), 0);
    alk_auth_index_unref(index);
}

/* The sentence that a wrong value of the section is answered with. */
static void values_are_checked_where_they_stand(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"an id", "auth: {peers: [{id: Laptop}]}", "node.yaml:1:21: error: an id is"},
        {"a key", "auth: {peers: [{id: a, keys: [nonsense]}]}", "node.yaml:1:31: error: not a key"},
        {"a scope", "auth: {peers: [{id: a, scopes: ['a b']}]}",
         "node.yaml:1:33: error: a scope is"},
        {"a prefix", "auth: {tokens: [{id: a, prefix: abc-defg, hash: 'sha256:00'}]}",
         "node.yaml:1:33: error: a token's prefix"},
        {"a hash", "auth: {tokens: [{id: a, prefix: abcdefgh, hash: 'sha256:00'}]}",
         "node.yaml:1:49: error: hash is not valid"},
        {"a date",
         "auth: {tokens: [{id: a, prefix: abcdefgh, expires_at: 2027-02-30, hash: \"" HASH "\"}]}",
         "node.yaml:1:55: error: a date"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct alk_static_config *fixed = NULL;
        const struct alk_dynamic_config *config = NULL;
        struct alk_conf_errors errors = {0};
        struct alk_config_options o = {.text = alk_span_str(cases[i].text),
                                       .name = "node.yaml",
                                       .default_data_dir = "/var/lib/alknet"};
        print_message("%s\n", cases[i].name);
        check_err(alk_config_load(&o, &errors, &fixed, &config), ALK_E_CONFIG);
        if (strstr(errors.text, cases[i].want) == NULL) {
            print_error("%s\n", errors.text);
        }
        assert_non_null(strstr(errors.text, cases[i].want));
        alk_conf_errors_fini(&errors);
    }
}

static alk_err body(const struct alk_mem *mem, void *ctx)
{
    const struct alk_auth_index *index = NULL;
    alk_err err = build(mem, ctx, &index);
    alk_auth_index_unref(index);
    return err;
}

static void without_memory(void **state)
{
    (void)state;
    const struct alk_dynamic_config *config = load(DOCUMENT);
    union {
        const struct alk_conf *in;
        void *out;
    } auth = {config->auth};
    oom_sweep(body, auth.out);
    alk_dynamic_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_and_tokens_of_a_document),
        cmocka_unit_test(absent_scopes_are_all_and_empty_ones_none),
        cmocka_unit_test(a_document_without_peers_knows_nobody),
        cmocka_unit_test(values_are_checked_where_they_stand),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
