/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names of refs, patterns of refs, ids, and the line that changes a ref. */
#include "git/proto/refname.h"

#include "support/check.h"

#define ZERO      "0000000000000000000000000000000000000000"
#define ONE       "30da7cecffd69d0690d02f4faec928468e7804c9"
#define TWO       "d2bb86298a4b958b509e1b0a80724b020cee4ac2"
#define LONG      "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321" /* 64 digits */
#define LONG_ZERO "0000000000000000000000000000000000000000000000000000000000000000"

/* valid: `git check-ref-format` takes it; any: with --allow-onelevel. */
static const struct {
    const char *name;
    bool valid, any;
} names[] = {
    {"refs/heads/main", true, true},
    {"refs/heads/a/b/c", true, true},
    {"heads/main", true, true},
    {"refs/heads/-x", true, true},
    {"refs/heads/@", true, true},
    {"@/x", true, true},
    {"refs/heads/a@b", true, true},
    {"refs/heads/a.b", true, true},
    {"refs/heads/a{b}", true, true},
    {"refs/heads/caf\xc3\xa9", true, true},
    {"refs/heads/\xff", true, true},
    {"refs/heads/a.lockx", true, true},
    {"refs/heads/lock", true, true},
    {"refs/heads/a|b;$(c)&'\"`<>", true, true},
    {"HEAD", false, true},
    {"x.y", false, true},
    {"", false, false},
    {"@", false, false},
    {"/", false, false},
    {"/refs/heads/x", false, false},
    {"refs/heads/x/", false, false},
    {"refs//heads", false, false},
    {"refs/heads/.x", false, false},
    {".refs/heads/x", false, false},
    {"refs/heads/x.lock", false, false},
    {"refs/x.lock/y", false, false},
    {"refs/heads/.lock", false, false},
    {"refs/heads/x.", false, false},
    {"refs/heads/.", false, false},
    {"refs/heads/..", false, false},
    {"refs/../heads", false, false},
    {"refs/heads/a..b", false, false},
    {"refs/heads/a b", false, false},
    {"refs/heads/a\tb", false, false},
    {"refs/heads/a\nb", false, false},
    {"refs/heads/a\x7f", false, false},
    {"refs/heads/a~b", false, false},
    {"refs/heads/a^b", false, false},
    {"refs/heads/a:b", false, false},
    {"refs/heads/a?b", false, false},
    {"refs/heads/a*b", false, false},
    {"refs/heads/a[b", false, false},
    {"refs/heads/a\\b", false, false},
    {"refs/heads/a@{b", false, false},
    {"refs/heads/@{", false, false},
};

static void names_are_judged_as_git_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct alk_span name = alk_span_str(names[i].name);
        if (alk_git_ref_is_valid(name) != names[i].valid ||
            alk_git_ref_is_valid_any(name) != names[i].any) {
            fail_msg("%s", names[i].name);
        }
    }
    assert_false(alk_git_ref_is_valid(ALK_LIT("refs/heads/a\0b")));
}

static void a_push_names_refs_alone(void **state)
{
    static const struct {
        const char *name;
        bool change, remove;
    } rows[] = {
        {"refs/heads/main", true, true},  {"refs/notes/x", true, true},
        {"refs/stash", false, true},      {"HEAD", false, false},
        {"heads/main", false, false},     {"refs/", false, false},
        {"refs/heads/a b", false, false}, {"xrefs/heads/a", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(alk_git_ref_is_pushable(alk_span_str(rows[i].name), false),
                         rows[i].change);
        assert_int_equal(alk_git_ref_is_pushable(alk_span_str(rows[i].name), true), rows[i].remove);
    }
}

static void a_star_is_one_level_and_two_are_all(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool want;
    } rows[] = {
        {"refs/heads/main", "refs/heads/main", true},
        {"refs/heads/main", "refs/heads/main2", false},
        {"refs/heads/main", "refs/heads/mai", false},
        {"refs/heads/main", "refs/heads/main/x", false},
        {"refs/heads/dev/*", "refs/heads/dev/a", true},
        {"refs/heads/dev/*", "refs/heads/dev/a/b", false},
        {"refs/heads/dev/*", "refs/heads/dev", false},
        {"refs/heads/dev/*", "refs/heads/dev/", true},
        {"refs/heads/dev/**", "refs/heads/dev/a/b", true},
        {"refs/heads/dev/**", "refs/heads/devs", false},
        {"refs/**", "refs/tags/v1", true},
        {"refs/**", "HEAD", false},
        {"refs/heads/*-rc", "refs/heads/1.0-rc", true},
        {"refs/*/main", "refs/heads/main", true},
        {"refs/*/main", "refs/heads/x/main", false},
        {"**", "refs/heads/main", true},
        {"*", "HEAD", true},
        {"*", "refs/heads", false},
        {"refs/heads/?", "refs/heads/a", false},
        {"refs/heads/[a]", "refs/heads/a", false},
        {"REFS/HEADS/MAIN", "refs/heads/main", false},
        {"", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (alk_git_ref_matches(alk_span_str(rows[i].pattern), alk_span_str(rows[i].name)) !=
            rows[i].want) {
            fail_msg("%s %s", rows[i].pattern, rows[i].name);
        }
    }
    const struct alk_span patterns[] = {ALK_LIT("refs/tags/*"), ALK_LIT("refs/heads/main")};
    assert_true(alk_git_ref_matches_any(patterns, 2, ALK_LIT("refs/heads/main")));
    assert_false(alk_git_ref_matches_any(patterns, 1, ALK_LIT("refs/heads/main")));
    assert_false(alk_git_ref_matches_any(NULL, 0, ALK_LIT("refs/heads/main")));
}

static void patterns_and_names_have_limits(void **state)
{
    uint8_t text[ALK_GIT_REF_MAX + 1];
    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "refs/heads/", 11);
    assert_true(alk_git_ref_is_valid(alk_span(text, ALK_GIT_REF_MAX)));
    assert_false(alk_git_ref_is_valid(alk_span(text, ALK_GIT_REF_MAX + 1)));
    assert_true(alk_git_ref_matches(ALK_LIT("**"), alk_span(text, ALK_GIT_REF_MAX)));
    assert_false(alk_git_ref_matches(ALK_LIT("**"), alk_span(text, ALK_GIT_REF_MAX + 1)));
    assert_true(alk_git_ref_pattern_is_valid(alk_span(text, ALK_GIT_REF_PATTERN_MAX)));
    assert_false(alk_git_ref_pattern_is_valid(alk_span(text, ALK_GIT_REF_PATTERN_MAX + 1)));
    assert_false(alk_git_ref_pattern_is_valid(ALK_LIT("")));
    assert_false(alk_git_ref_pattern_is_valid(ALK_LIT("a b")));
    assert_false(alk_git_ref_pattern_is_valid(ALK_LIT("a\x7f")));
    assert_false(alk_git_ref_pattern_is_valid(ALK_LIT("a\xff")));
    assert_true(alk_git_ref_pattern_is_valid(ALK_LIT("refs/heads/\xc3\xa9*")));
}

static void ids_are_forty_or_sixty_four_digits(void **state)
{
    (void)state;
    assert_true(alk_git_id_is_valid(ALK_LIT(ONE)));
    assert_true(alk_git_id_is_valid(ALK_LIT(LONG)));
    assert_true(alk_git_id_is_valid(ALK_LIT(ZERO)));
    assert_false(alk_git_id_is_valid(ALK_LIT("")));
    assert_false(alk_git_id_is_valid(ALK_LIT(ONE "0")));
    assert_false(alk_git_id_is_valid(ALK_LIT(LONG "0")));
    assert_false(alk_git_id_is_valid(ALK_LIT("30DA7cecffd69d0690d02f4faec928468e7804c9")));
    assert_false(alk_git_id_is_valid(ALK_LIT("30ga7cecffd69d0690d02f4faec928468e7804c9")));
    assert_true(alk_git_id_is_zero(ALK_LIT(ZERO)));
    assert_false(alk_git_id_is_zero(ALK_LIT(ONE)));
    assert_false(alk_git_id_is_zero(ALK_LIT("")));
}

static void commands_are_read_or_refused(void **state)
{
    static const struct {
        const char *in;
        alk_err want;
        bool is_create, is_delete;
    } rows[] = {
        {ZERO " " ONE " refs/heads/main", ALK_OK, true, false},
        {ONE " " TWO " refs/heads/main", ALK_OK, false, false},
        {ONE " " ZERO " refs/heads/main", ALK_OK, false, true},
        {ONE " " ZERO " refs/stash", ALK_OK, false, true},
        {LONG_ZERO " " LONG " refs/heads/main", ALK_OK, true, false},
        {ONE " " TWO " refs/stash", ALK_E_MALFORMED, false, false},
        {ZERO " " ZERO " refs/heads/main", ALK_E_MALFORMED, false, false},
        {ONE " " LONG " refs/heads/main", ALK_E_MALFORMED, false, false},
        {ONE " " TWO " HEAD", ALK_E_MALFORMED, false, false},
        {ONE " " TWO " refs/heads/a b", ALK_E_MALFORMED, false, false},
        {ONE " " TWO " refs/heads/main\n", ALK_E_MALFORMED, false, false},
        {ONE " " TWO "  refs/heads/main", ALK_E_MALFORMED, false, false},
        {ONE " " TWO " ", ALK_E_MALFORMED, false, false},
        {ONE " " TWO, ALK_E_MALFORMED, false, false},
        {ONE " ", ALK_E_MALFORMED, false, false},
        {ONE, ALK_E_MALFORMED, false, false},
        {" " ONE " " TWO " refs/heads/main", ALK_E_MALFORMED, false, false},
        {ONE "\t" TWO " refs/heads/main", ALK_E_MALFORMED, false, false},
        {"", ALK_E_MALFORMED, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_command c = {0};
        check_err(alk_git_command_parse(alk_span_str(rows[i].in), &c), rows[i].want);
        if (rows[i].want != ALK_OK) {
            assert_int_equal(c.ref.n, 0);
            continue;
        }
        assert_int_equal(alk_git_command_is_create(&c), rows[i].is_create);
        assert_int_equal(alk_git_command_is_delete(&c), rows[i].is_delete);
        assert_true(c.old_id.n == c.new_id.n && alk_git_id_is_valid(c.old_id));
        assert_true(alk_git_ref_is_valid(c.ref));
        /* nothing lost: the three parts and two spaces are the line */
        assert_int_equal(c.old_id.n + c.new_id.n + c.ref.n + 2, strlen(rows[i].in));
    }
}

static void a_command_with_a_long_ref_is_too_big(void **state)
{
    struct alk_buf b;
    struct alk_git_command c;
    (void)state;
    alk_buf_init(&b, NULL, 10000);
    check_err(alk_buf_put_str(&b, ONE " " TWO " refs/heads/"), ALK_OK);
    for (size_t i = 11; i < ALK_GIT_REF_MAX; i++) {
        check_err(alk_buf_put_u8(&b, 'x'), ALK_OK);
    }
    check_err(alk_git_command_parse(alk_buf_span(&b), &c), ALK_OK);
    assert_int_equal(c.ref.n, ALK_GIT_REF_MAX);
    check_err(alk_buf_put_u8(&b, 'x'), ALK_OK);
    check_err(alk_git_command_parse(alk_buf_span(&b), &c), ALK_E_TOO_BIG);
    alk_buf_fini(&b);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_git_command c;
    (void)ctx;
    if (alk_git_command_parse(in, &c) == ALK_OK) {
        assert_true(alk_git_ref_is_valid(c.ref));
    }
    (void)alk_git_ref_is_valid_any(in);
    (void)alk_git_ref_matches(in, ALK_LIT("refs/heads/main"));
    (void)alk_git_ref_matches(ALK_LIT("**a*/**b"), in);
    (void)alk_git_ref_is_hidden(in, ALK_LIT("refs/heads/main"));
}

static void mutations_never_crash(void **state)
{
    (void)state;
    check_mutations(ALK_LIT(ONE " " ZERO " refs/heads/main"), look, NULL);
    check_mutations(ALK_LIT("refs/*/ma**n"), look, NULL);
}

/* What git 2.39 does with the same transfer.hideRefs. */
static void the_last_rule_that_fits_hides_or_shows(void **state)
{
    static const struct {
        const char *rules[4];
        const char *ref;
        bool is_hidden;
    } rows[] = {
        {{NULL}, "refs/heads/main", false},
        {{"refs/heads"}, "refs/heads/main", true},
        {{"refs/heads/"}, "refs/heads/main", true},
        {{"refs/heads//"}, "refs/heads/main", true},
        {{"refs/heads/main"}, "refs/heads/main", true},
        {{"refs/heads/main"}, "refs/heads/main/x", true},
        {{"refs/heads/main"}, "refs/heads/mainly", false},
        {{"refs/head"}, "refs/heads/main", false},
        {{"heads"}, "refs/heads/main", false},
        {{"refs", "!refs/heads"}, "refs/heads/main", false},
        {{"refs", "!refs/heads"}, "refs/tags/v1", true},
        {{"!refs/heads", "refs"}, "refs/heads/main", true},
        {{"refs", "!refs/heads", "refs/heads/x"}, "refs/heads/x", true},
        {{"^refs/heads"}, "refs/heads/main", true},
        {{"refs", "!^refs/heads"}, "refs/heads/main", false},
        {{"^!refs/heads"}, "refs/heads/main", false},
        {{"HEAD"}, "HEAD", true},
        {{""}, "refs/heads/main", false},
        {{"!"}, "refs/heads/main", false},
        {{"REFS/heads"}, "refs/heads/main", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, 256);
        for (size_t j = 0; j < 4 && rows[i].rules[j] != NULL; j++) {
            check_err(alk_buf_put(&b, alk_span_str(rows[i].rules[j])), ALK_OK);
            check_err(alk_buf_put_u8(&b, 0), ALK_OK);
        }
        if (alk_git_ref_is_hidden(alk_buf_span(&b), alk_span_str(rows[i].ref)) !=
            rows[i].is_hidden) {
            fail_msg("row %zu: %s", i, rows[i].ref);
        }
        alk_buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_judged_as_git_does),
        cmocka_unit_test(a_push_names_refs_alone),
        cmocka_unit_test(a_star_is_one_level_and_two_are_all),
        cmocka_unit_test(patterns_and_names_have_limits),
        cmocka_unit_test(ids_are_forty_or_sixty_four_digits),
        cmocka_unit_test(commands_are_read_or_refused),
        cmocka_unit_test(a_command_with_a_long_ref_is_too_big),
        cmocka_unit_test(the_last_rule_that_fits_hides_or_shows),
        cmocka_unit_test(mutations_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
