/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Settings on their way to a host: what the handler's table names, all of it, and
 * nothing else; read again they are equal. And the environment of programs. */
#include "core/host/settings.h"

#include "base/mem.h"
#include "core/auth/identity.h"
#include "core/host/exec_env.h"
#include "support/check.h"
#include "support/oom.h"

static const struct alk_conf_row word_row[] = {{.name = "word", .type = ALK_CONF_STRING, .max = 99},
                                               {.name = NULL}};
static const struct alk_conf_row inner_rows[] = {
    {.name = "deep", .type = ALK_CONF_LIST, .sub = word_row, .fallback = "[]"},
    {.name = "flag", .type = ALK_CONF_BOOL, .fallback = "false"},
    {.name = NULL}};
static const char *const kinds[] = {"red", "green", NULL};
#define OWN                                                                                        \
    {.name = "root", .type = ALK_CONF_STRING, .max = 200},                                         \
        {.name = "size", .type = ALK_CONF_SIZE, .fallback = "1MiB"},                               \
        {.name = "wait", .type = ALK_CONF_DURATION, .fallback = "1500ms"},                         \
        {.name = "kind", .type = ALK_CONF_ENUM, .values = kinds, .fallback = "red"},               \
        {.name = "list", .type = ALK_CONF_LIST, .sub = word_row, .fallback = "[]"},                \
        {.name = "map", .type = ALK_CONF_MAP, .sub = inner_rows, .fallback = "{}"},                \
        {.name = "dict", .type = ALK_CONF_DICT, .sub = word_row, .fallback = "{}"}
static const struct alk_conf_row own_rows[] = {OWN, {.name = NULL}};
/* As the node reads it: with members that are none of the handler's. */
static const struct alk_conf_row all_rows[] = {
    OWN, {.name = "isolation", .type = ALK_CONF_STRING, .max = 20},
    {.name = "alpn", .type = ALK_CONF_STRING, .max = 20}, {.name = NULL}};

static const struct alk_conf *parse(const struct alk_mem *mem, struct alk_span text,
                                    const struct alk_conf_row *rows)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    alk_err err = alk_conf_parse(mem, text, "test", rows, &errors, &conf);
    if (err != ALK_OK) {
        fail_msg("%s", errors.text == NULL ? alk_err_text(err) : errors.text);
    }
    return conf;
}

static void check_round(const char *yaml)
{
    char *text = NULL;
    size_t n = 0;
    const struct alk_conf *all = parse(NULL, alk_span_str(yaml), all_rows);
    check_err(alk_host_settings(NULL, all, own_rows, &text, &n), ALK_OK);
    const struct alk_conf *own = parse(NULL, alk_span(text, n), own_rows);
    for (const struct alk_conf_row *row = own_rows; row->name != NULL; row++) {
        assert_true(alk_conf_equal(alk_conf_get(all, row->name), alk_conf_get(own, row->name)));
    }
    alk_free(NULL, text);
    alk_conf_unref(all);
    alk_conf_unref(own);
}

static void settings_come_through_whole(void **state)
{
    (void)state;
    check_round("{}");
    check_round("isolation: process\nalpn: my/tool\n");
    check_round("root: /srv/files\nsize: 64KiB\nwait: 3s\nkind: green\nisolation: process\n");
    check_round("list: [a, 'b: c', \"d\\n# e\", '', ' x ']\nalpn: x\n");
    check_round("map: {deep: [x, '- y'], flag: true}\ndict: {A: b, 'C D': \"e\\tf\"}\n");
    check_round("root: \"quote \\\" and \\\\ and \\u20ac\"\n");
}

static void without_a_table_there_is_nothing(void **state)
{
    char *text = NULL;
    size_t n = 0;
    (void)state;
    check_err(alk_host_settings(NULL, NULL, NULL, &text, &n), ALK_OK);
    check_text(alk_span(text, n), "{}\n");
    alk_free(NULL, text);
}

/* --- the environment ------------------------------------------------------------ */

static bool has_word(const struct alk_exec_env *env, const char *word)
{
    for (size_t i = 0; env->words[i] != NULL; i++) {
        if (strcmp(env->words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_name(const struct alk_exec_env *env, const char *name)
{
    for (size_t i = 0; env->words[i] != NULL; i++) {
        if (alk_span_starts(alk_span_str(env->words[i]), alk_span_str(name))) {
            return true;
        }
    }
    return false;
}

static void the_identity_is_told(void **state)
{
    const struct alk_span scopes[] = {ALK_LIT("xmpp"), ALK_LIT("files:read")};
    const struct alk_identity_spec spec = {
        .id = ALK_LIT("laptop"), .scopes = scopes, .scope_count = 2};
    struct alk_auth_context auth = {.struct_size = sizeof auth};
    struct alk_exec_env env;
    (void)state;
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &auth.identity), ALK_OK);
    (void)snprintf(auth.alpn, sizeof auth.alpn, "my/tool");
    (void)snprintf(auth.remote, sizeof auth.remote, "[2001:db8::1]:5");
    (void)snprintf(auth.fingerprints[0], ALK_FINGERPRINT_MAX, "ed25519:00ff");
    check_err(alk_exec_env_init(&env, NULL, NULL, &auth), ALK_OK);
    assert_true(has_word(&env, "ALKNET_ALPN=my/tool"));
    assert_true(has_word(&env, "ALKNET_PEER_ID=laptop"));
    assert_true(has_word(&env, "ALKNET_PEER_SCOPES=xmpp files:read"));
    assert_true(has_word(&env, "ALKNET_PEER_FINGERPRINT=ed25519:00ff"));
    assert_true(has_word(&env, "ALKNET_REMOTE_ADDR=[2001:db8::1]:5"));
    alk_exec_env_fini(&env);
    alk_identity_unref(auth.identity);
}

static void what_is_unknown_is_unset(void **state)
{
    const struct alk_auth_context auth = {.struct_size = sizeof auth};
    struct alk_exec_env env;
    (void)state;
    check_err(alk_exec_env_init(&env, NULL, NULL, &auth), ALK_OK);
    assert_false(has_name(&env, "ALKNET_"));
    assert_true(has_word(&env, "PATH=" ALK_EXEC_PATH));
    assert_true(has_word(&env, "LANG=C.UTF-8"));
    alk_exec_env_fini(&env);
}

static void the_services_own_variables_win(void **state)
{
    const struct alk_auth_context auth = {.struct_size = sizeof auth};
    const struct alk_conf *conf =
        parse(NULL, ALK_LIT("dict: {PATH: /opt, EMPTY: '', A: \"x y\"}\n"), own_rows);
    struct alk_exec_env env;
    (void)state;
    check_err(alk_exec_env_init(&env, NULL, alk_conf_get(conf, "dict"), &auth), ALK_OK);
    assert_true(has_word(&env, "PATH=/opt"));
    assert_true(has_word(&env, "EMPTY="));
    assert_true(has_word(&env, "A=x y"));
    alk_exec_env_fini(&env);
    alk_conf_unref(conf);
}

/* --- without memory -------------------------------------------------------------- */

static alk_err print_settings(const struct alk_mem *mem, void *ctx)
{
    char *text = NULL;
    size_t n = 0;
    alk_err err = alk_host_settings(mem, ctx, own_rows, &text, &n);
    alk_free(mem, text);
    return err;
}

static void settings_without_memory_fail_cleanly(void **state)
{
    const struct alk_conf *conf =
        parse(NULL, ALK_LIT("root: /srv\nlist: [a, b]\nmap: {deep: [x]}\n"), all_rows);
    (void)state;
    oom_sweep(print_settings, (void *)(uintptr_t)conf);
    alk_conf_unref(conf);
}

static alk_err make_env(const struct alk_mem *mem, void *ctx)
{
    struct alk_exec_env env;
    alk_err err = alk_exec_env_init(&env, mem, NULL, ctx);
    alk_exec_env_fini(&env);
    return err;
}

static void an_environment_without_memory_fails_cleanly(void **state)
{
    const struct alk_span scopes[] = {ALK_LIT("xmpp")};
    const struct alk_identity_spec spec = {
        .id = ALK_LIT("laptop"), .scopes = scopes, .scope_count = 1};
    struct alk_auth_context auth = {.struct_size = sizeof auth};
    (void)state;
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &auth.identity), ALK_OK);
    oom_sweep(make_env, &auth);
    alk_identity_unref(auth.identity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_come_through_whole),
        cmocka_unit_test(without_a_table_there_is_nothing),
        cmocka_unit_test(the_identity_is_told),
        cmocka_unit_test(what_is_unknown_is_unset),
        cmocka_unit_test(the_services_own_variables_win),
        cmocka_unit_test(settings_without_memory_fail_cleanly),
        cmocka_unit_test(an_environment_without_memory_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
