/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* services.git: what is a mistake, which rule a repository falls under, who may what. */
#include "git/service.h"

#include "core/auth/identity.h"
#include "support/check.h"

static const struct alk_conf *conf_of(const char *text, alk_err want)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    alk_err err = alk_conf_parse(NULL, alk_span_str(text), "t", alk_git_rows, &errors, &conf);
    if (err != want && errors.text != NULL) {
        print_error("%s", errors.text);
    }
    check_err(err, want);
    alk_conf_errors_fini(&errors);
    return conf;
}

static const struct alk_git_settings *settings_of(const char *text)
{
    const struct alk_git_settings *s = NULL;
    const struct alk_conf *conf = conf_of(text, ALK_OK);
    check_err(alk_git_settings_new(NULL, conf, &s), ALK_OK);
    alk_conf_unref(conf);
    return s;
}

static void mistakes_are_found_when_it_is_read(void **state)
{
    static const char *const bad[] = {
        "create_on_push: true",
        "root: srv",
        "{root: /srv, default_branch: -x}",
        "{root: /srv, default_branch: 'a b'}",
        "{root: /srv, signed_push: sometimes}",
        "{root: /srv, require_signed: ['refs/heads/a b']}",
        "{root: /srv, repositories: [{public: true}]}",
        "{root: /srv, repositories: [{match: 'a.git'}]}",
        "{root: /srv, git: git}",
        "{root: /srv, max_instances: 0}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)conf_of(bad[i], ALK_E_CONFIG);
    }
}

static void the_first_rule_that_matches_counts_and_the_section_fills_in(void **state)
{
    const struct alk_git_settings *s =
        settings_of("{root: /srv, signed_push: required, require_signed: 'refs/heads/main',\n"
                    "repositories: [{match: 'pub/*', public: true, signed_push: 'off'},\n"
                    "{match: '**', read_only: true, require_signed: []}]}");
    const struct alk_git_rule *r = alk_git_settings_rule(s, ALK_LIT("pub/a"));
    (void)state;
    assert_true(r->is_public && !r->is_read_only && r->signing == ALK_GIT_SIGNING_OFF);
    assert_int_equal(alk_conf_count(r->require_signed), 1);
    r = alk_git_settings_rule(s, ALK_LIT("pub/a/b"));
    assert_true(!r->is_public && r->is_read_only && r->signing == ALK_GIT_SIGNING_REQUIRED);
    assert_int_equal(alk_conf_count(r->require_signed), 0);
    alk_git_settings_unref(s);
}

static const struct alk_identity *dev(const struct alk_span *actions, size_t count,
                                      const struct alk_span *refs, size_t ref_count)
{
    const struct alk_grant grant = {.type = ALK_LIT("repo"),
                                    .name = ALK_LIT("team/*"),
                                    .actions = actions,
                                    .action_count = count,
                                    .refs = refs,
                                    .ref_count = ref_count};
    const struct alk_identity_spec spec = {
        .id = ALK_LIT("dev"), .grants = &grant, .grant_count = 1};
    const struct alk_identity *ret = NULL;
    char why[128];
    check_err(alk_identity_new(NULL, &spec, why, sizeof why, &ret), ALK_OK);
    return ret;
}

static void who_may_not_read_cannot_tell_missing_from_forbidden(void **state)
{
    const struct alk_git_rule closed = {.signing = ALK_GIT_SIGNING_ALLOWED};
    const struct alk_identity *reader = dev(NULL, 0, NULL, 0);
    struct alk_span mine = ALK_LIT("team/a"), other = ALK_LIT("other/a");
    (void)state;
    assert_int_equal(alk_git_access(&closed, reader, mine, ALK_GIT_UPLOAD_PACK), ALK_GIT_MAY);
    assert_int_equal(alk_git_access(&closed, reader, mine, ALK_GIT_UPLOAD_ARCHIVE), ALK_GIT_MAY);
    assert_int_equal(alk_git_access(&closed, reader, mine, ALK_GIT_RECEIVE_PACK),
                     ALK_GIT_FORBIDDEN);
    assert_int_equal(alk_git_access(&closed, reader, other, ALK_GIT_UPLOAD_PACK), ALK_GIT_HIDDEN);
    assert_int_equal(alk_git_access(&closed, reader, other, ALK_GIT_RECEIVE_PACK), ALK_GIT_HIDDEN);
    assert_int_equal(alk_git_access(&closed, NULL, mine, ALK_GIT_UPLOAD_PACK), ALK_GIT_HIDDEN);
    assert_int_equal(alk_git_access(&closed, NULL, mine, ALK_GIT_RECEIVE_PACK), ALK_GIT_HIDDEN);
    alk_identity_unref(reader);
}

static void a_public_repository_is_read_by_all_and_written_by_those_who_may(void **state)
{
    struct alk_git_rule open = {.is_public = true, .signing = ALK_GIT_SIGNING_OFF};
    static const struct alk_span write[] = {{(const uint8_t *)"write", 5}};
    const struct alk_identity *writer = dev(write, 1, NULL, 0);
    struct alk_span mine = ALK_LIT("team/a"), other = ALK_LIT("other/a");
    (void)state;
    assert_int_equal(alk_git_access(&open, NULL, other, ALK_GIT_UPLOAD_PACK), ALK_GIT_MAY);
    assert_int_equal(alk_git_access(&open, NULL, other, ALK_GIT_RECEIVE_PACK), ALK_GIT_FORBIDDEN);
    assert_int_equal(alk_git_access(&open, writer, other, ALK_GIT_RECEIVE_PACK), ALK_GIT_FORBIDDEN);
    assert_int_equal(alk_git_access(&open, writer, mine, ALK_GIT_RECEIVE_PACK), ALK_GIT_MAY);
    /* somebody unknown may come with a certificate where nobody comes without */
    open.signing = ALK_GIT_SIGNING_ALLOWED;
    assert_int_equal(alk_git_access(&open, NULL, other, ALK_GIT_RECEIVE_PACK), ALK_GIT_FORBIDDEN);
    open.signing = ALK_GIT_SIGNING_REQUIRED;
    assert_int_equal(alk_git_access(&open, NULL, other, ALK_GIT_RECEIVE_PACK), ALK_GIT_MAY);
    assert_int_equal(alk_git_access(&open, writer, other, ALK_GIT_RECEIVE_PACK), ALK_GIT_FORBIDDEN);
    open.is_read_only = true;
    assert_int_equal(alk_git_access(&open, writer, mine, ALK_GIT_RECEIVE_PACK), ALK_GIT_MIRROR);
    alk_identity_unref(writer);
}

static void a_grant_with_refs_is_about_each_of_them(void **state)
{
    static const struct alk_span write[] = {{(const uint8_t *)"write", 5}};
    static const struct alk_span refs[] = {{(const uint8_t *)"refs/heads/dev/*", 16}};
    const struct alk_identity *who = dev(write, 1, refs, 1);
    struct alk_span name = ALK_LIT("team/a");
    (void)state;
    assert_true(alk_git_may_push(who, name, ALK_LIT("refs/heads/dev/x")));
    assert_false(alk_git_may_push(who, name, ALK_LIT("refs/heads/dev/x/y")));
    assert_false(alk_git_may_push(who, name, ALK_LIT("refs/heads/main")));
    assert_false(alk_git_may_push(NULL, name, ALK_LIT("refs/heads/dev/x")));
    alk_identity_unref(who);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_found_when_it_is_read),
        cmocka_unit_test(the_first_rule_that_matches_counts_and_the_section_fills_in),
        cmocka_unit_test(who_may_not_read_cannot_tell_missing_from_forbidden),
        cmocka_unit_test(a_public_repository_is_read_by_all_and_written_by_those_who_may),
        cmocka_unit_test(a_grant_with_refs_is_about_each_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
