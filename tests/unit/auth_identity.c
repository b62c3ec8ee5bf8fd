/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/identity.h"

#include "core/auth/scope.h"
#include "support/oom.h"

#define S(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct alk_span SCOPES[] = {S("fs:read"), S("git:*")};
static const struct alk_span READ_WRITE[] = {S("read"), S("write")};
static const struct alk_span DEV[] = {S("refs/heads/dev/*"), S("refs/tags/**")};
static const struct alk_grant GRANTS[] = {
    {.type = S("repo"),
     .name = S("team/*"),
     .actions = READ_WRITE,
     .action_count = 2,
     .refs = DEV,
     .ref_count = 2},
    {.type = S("repo"), .name = S("public/**")},
    {.type = S("topic"), .name = S("alerts"), .actions = READ_WRITE + 1, .action_count = 1},
};
static const struct alk_identity_spec SPEC = {
    .id = S("laptop"),
    .scopes = SCOPES,
    .scope_count = 2,
    .grants = GRANTS,
    .grant_count = 3,
};

static const struct alk_identity *make(void)
{
    const struct alk_identity *identity = NULL;
    check_err(alk_identity_new(NULL, &SPEC, NULL, 0, &identity), ALK_OK);
    return identity;
}

static void what_may_be_done(void **state)
{
    static const struct {
        const char *name, *type, *thing, *action, *ref;
        bool may;
    } cases[] = {
        {"granted by glob", "repo", "team/a", "write", "", true},
        {"a ref that matches", "repo", "team/a", "write", "refs/heads/dev/x", true},
        {"the second ref pattern", "repo", "team/a", "write", "refs/tags/v1/rc", true},
        {"a ref that does not match", "repo", "team/a", "write", "refs/heads/main", false},
        {"a ref deeper than one star", "repo", "team/a", "write", "refs/heads/dev/x/y", false},
        {"a name deeper than one star", "repo", "team/a/b", "read", "", false},
        {"two stars go deep", "repo", "public/a/b", "read", "", true},
        {"without actions it is read", "repo", "public/a", "write", "", false},
        {"without refs any ref will do", "repo", "public/a", "read", "refs/heads/main", true},
        {"an action that is not listed", "repo", "team/a", "delete", "", false},
        {"write does not mean read", "topic", "alerts", "read", "", false},
        {"write is write", "topic", "alerts", "write", "", true},
        {"another type", "file", "team/a", "read", "", false},
        {"the prefix alone", "repo", "team/", "nothing", "", false},
        {"no name", "repo", "", "read", "", false},
        {"no action", "repo", "team/a", "", "", false},
        {"no type", "", "team/a", "read", "", false},
        {"a pattern is no name", "topic", "alert*", "write", "", false},
    };
    (void)state;
    const struct alk_identity *identity = make();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].name);
        assert_int_equal(
            alk_identity_may(identity, alk_span_str(cases[i].type), alk_span_str(cases[i].thing),
                             alk_span_str(cases[i].action), alk_span_str(cases[i].ref)),
            cases[i].may);
    }
    uint8_t longest[ALK_GRANT_NAME_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "public/", 7);
    assert_true(alk_identity_may(identity, ALK_LIT("repo"), alk_span(longest, ALK_GRANT_NAME_MAX),
                                 ALK_LIT("read"), ALK_LIT("")));
    assert_false(alk_identity_may(identity, ALK_LIT("repo"), alk_span(longest, sizeof(longest)),
                                  ALK_LIT("read"), ALK_LIT("")));
    alk_identity_unref(identity);
}

static void nobody_holds_nothing(void **state)
{
    (void)state;
    assert_false(alk_identity_has_scope(NULL, ALK_LIT("a")));
    assert_false(
        alk_identity_may(NULL, ALK_LIT("repo"), ALK_LIT("a"), ALK_LIT("read"), ALK_LIT("")));
    assert_int_equal(alk_identity_id(NULL).n, 0);
    assert_int_equal(alk_identity_scope_count(NULL), 0);
    assert_int_equal(alk_identity_scope(NULL, 0).n, 0);
    assert_int_equal(alk_identity_grant_count(NULL), 0);
    assert_false(alk_identity_is_disabled(NULL));
    assert_null(alk_identity_ref(NULL));
    alk_identity_unref(NULL);
}

static void admin_is_not_granted_resources(void **state)
{
    static const struct alk_span admin[] = {S("admin")};
    static const struct alk_identity_spec spec = {
        .id = S("root"), .scopes = admin, .scope_count = 1};
    (void)state;
    const struct alk_identity *identity = NULL;
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &identity), ALK_OK);
    assert_true(alk_identity_has_scope(identity, ALK_LIT("git:write")));
    assert_false(alk_identity_may(identity, ALK_LIT("repo"), ALK_LIT("team/a"), ALK_LIT("read"),
                                  ALK_LIT("")));
    alk_identity_unref(identity);
}

static void it_shows_what_it_was_made_from(void **state)
{
    (void)state;
    const struct alk_identity *identity = make();
    check_text(alk_identity_id(identity), "laptop");
    assert_int_equal(alk_identity_scope_count(identity), 2);
    check_text(alk_identity_scope(identity, 0), "fs:read");
    check_text(alk_identity_scope(identity, 1), "git:*");
    assert_int_equal(alk_identity_scope(identity, 2).n, 0);
    assert_true(alk_identity_has_scope(identity, ALK_LIT("git:write")));
    assert_false(alk_identity_has_scope(identity, ALK_LIT("fs:write")));
    assert_false(alk_identity_has_scope(identity, ALK_LIT("admin")));
    assert_false(alk_identity_is_disabled(identity));
    assert_int_equal(alk_identity_grant_count(identity), 3);
    check_text(alk_identity_grant(identity, 0)->refs[1], "refs/tags/**");
    alk_identity_unref(identity);
}

static void ids(void **state)
{
    static const struct {
        const char *id;
        bool is_valid;
    } cases[] = {
        {"a", true},
        {"0", true},
        {"a.b-c_d", true},
        {"laptop.example.org", true},
        {"", false},
        {".a", false},
        {"-a", false},
        {"_a", false},
        {"A", false},
        {"a b", false},
        {"a/b", false},
        {"a:b", false},
        {"\xc3\xa4", false},
        {"a\n", false},
        {"0123456789012345678901234567890123456789012345678901234567890123", true},
        {"01234567890123456789012345678901234567890123456789012345678901234", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("'%s'\n", cases[i].id);
        assert_int_equal(alk_identity_id_is_valid(alk_span_str(cases[i].id)), cases[i].is_valid);
    }
}

/* One grant with one thing wrong. */
static void check_grant(const char *name, struct alk_grant grant, const char *want)
{
    char why[200] = "";
    const struct alk_identity *identity = NULL;
    struct alk_identity_spec spec = {.id = ALK_LIT("a"), .grants = &grant, .grant_count = 1};
    print_message("%s\n", name);
    check_err(alk_identity_new(NULL, &spec, why, sizeof(why), &identity), ALK_E_INVALID);
    assert_null(identity);
    assert_non_null(strstr(why, want));
}

static void what_is_wrong_is_refused_with_a_reason(void **state)
{
    (void)state;
    const struct alk_span name = ALK_LIT("a"), type = ALK_LIT("repo");
    const struct alk_span upper[] = {ALK_LIT("Read")}, spaced[] = {ALK_LIT("refs/a b")};
    struct alk_span many[ALK_GRANT_REFS_MAX + 1];
    uint8_t text[256];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        many[i] = ALK_LIT("read");
    }
    check_grant("no type", (struct alk_grant){.name = name}, "type");
    check_grant("a type in capitals", (struct alk_grant){.type = ALK_LIT("Repo"), .name = name},
                "type");
    check_grant("a type with a star", (struct alk_grant){.type = ALK_LIT("*"), .name = name},
                "type");
    check_grant("a long type", (struct alk_grant){.type = alk_span(text, 33), .name = name},
                "type");
    check_grant("no name", (struct alk_grant){.type = type}, "name");
    check_grant("a long name", (struct alk_grant){.type = type, .name = alk_span(text, 256)},
                "name");
    check_grant("a name with a line break",
                (struct alk_grant){.type = type, .name = ALK_LIT("a\nb")}, "name");
    check_grant("a name that is not UTF-8",
                (struct alk_grant){.type = type, .name = ALK_LIT("a\xff")}, "name");
    check_grant("an action in capitals",
                (struct alk_grant){.type = type, .name = name, .actions = upper, .action_count = 1},
                "action");
    check_grant("a ref with a space",
                (struct alk_grant){.type = type, .name = name, .refs = spaced, .ref_count = 1},
                "ref");
    check_grant(
        "too many actions",
        (struct alk_grant){
            .type = type, .name = name, .actions = many, .action_count = ALK_GRANT_ACTIONS_MAX + 1},
        "at most 16 actions");
    check_grant("too many refs",
                (struct alk_grant){
                    .type = type, .name = name, .refs = many, .ref_count = ALK_GRANT_REFS_MAX + 1},
                "32 refs");
}

static void limits_of_an_identity(void **state)
{
    (void)state;
    static struct alk_span scopes[ALK_SCOPES_MAX + 1];
    static struct alk_grant grants[ALK_GRANTS_MAX + 1];
    static uint8_t text[ALK_GRANT_NAME_MAX];
    const struct alk_identity *identity = NULL;
    char why[200] = "";
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i <= ALK_SCOPES_MAX; i++) {
        scopes[i] = ALK_LIT("a:b");
    }
    for (size_t i = 0; i <= ALK_GRANTS_MAX; i++) {
        grants[i] = (struct alk_grant){.type = ALK_LIT("t"), .name = ALK_LIT("n")};
    }
    struct alk_identity_spec spec = {.id = ALK_LIT("a"), .scopes = scopes, .grants = grants};

    spec.scope_count = ALK_SCOPES_MAX + 1;
    check_err(alk_identity_new(NULL, &spec, why, sizeof(why), &identity), ALK_E_INVALID);
    assert_string_equal(why, "an identity has at most 64 scopes");
    spec.scope_count = ALK_SCOPES_MAX;
    spec.grant_count = ALK_GRANTS_MAX + 1;
    check_err(alk_identity_new(NULL, &spec, why, sizeof(why), &identity), ALK_E_INVALID);
    assert_string_equal(why, "an identity has at most 256 resources");
    spec.grant_count = ALK_GRANTS_MAX;
    check_err(alk_identity_new(NULL, &spec, why, sizeof(why), &identity), ALK_OK);
    alk_identity_unref(identity);

    /* 256 names of 255 bytes are more than 40 KiB. */
    for (size_t i = 0; i < ALK_GRANTS_MAX; i++) {
        grants[i].name = alk_span(text, sizeof(text));
    }
    identity = NULL;
    check_err(alk_identity_new(NULL, &spec, why, sizeof(why), &identity), ALK_E_INVALID);
    assert_string_equal(why, "the scopes and resources of an identity are at most 40 KiB");
    assert_null(identity);
}

static void a_narrowed_identity_keeps_resources_and_outlives_its_base(void **state)
{
    static const struct alk_span wanted[] = {S("git:read"), S("fs:write"), S("admin")};
    (void)state;
    const struct alk_identity *base = make(), *narrow = NULL;
    check_err(alk_identity_narrow(NULL, base, wanted, 2, &narrow), ALK_OK);
    alk_identity_unref(base);
    check_text(alk_identity_id(narrow), "laptop");
    assert_int_equal(alk_identity_scope_count(narrow), 1);
    assert_true(alk_identity_has_scope(narrow, ALK_LIT("git:read")));
    assert_false(alk_identity_has_scope(narrow, ALK_LIT("git:write")));
    assert_false(alk_identity_has_scope(narrow, ALK_LIT("fs:write")));
    assert_true(alk_identity_may(narrow, ALK_LIT("repo"), ALK_LIT("team/a"), ALK_LIT("write"),
                                 ALK_LIT("")));
    alk_identity_unref(narrow);
}

static void a_scope_that_is_not_valid_covers_nothing(void **state)
{
    static const char *const wrong[] = {"A", "", "a::b", "a b", "a:*:b", "a*", "a:b:c:d:e"};
    static const struct alk_span all[] = {S("admin"), S("*")};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct alk_span scope = alk_span_str(wrong[i]);
        const struct alk_identity *identity = NULL, *narrow = NULL;
        char why[200] = "";
        print_message("'%s'\n", wrong[i]);
        /* Nobody has it... */
        struct alk_identity_spec spec = {.id = ALK_LIT("a"), .scopes = &scope, .scope_count = 1};
        check_err(alk_identity_new(NULL, &spec, why, sizeof(why), &identity), ALK_E_INVALID);
        assert_non_null(strstr(why, "a scope is 1 to 4 words"));
        /* ...not by a token either, and who holds everything does not hold it. */
        spec.scopes = all;
        spec.scope_count = 2;
        check_err(alk_identity_new(NULL, &spec, NULL, 0, &identity), ALK_OK);
        check_err(alk_identity_narrow(NULL, identity, &scope, 1, &narrow), ALK_OK);
        assert_int_equal(alk_identity_scope_count(narrow), 0);
        assert_false(alk_identity_has_scope(narrow, scope));
        assert_false(alk_identity_has_scope(identity, scope));
        alk_identity_unref(narrow);
        alk_identity_unref(identity);
    }
}

static alk_err get(struct alk_rd *r, void *ret)
{
    return alk_identity_get(NULL, r, ret);
}

static void there_and_back_over_the_wire(void **state)
{
    (void)state;
    uint8_t mem[1024];
    const struct alk_identity *identity = make(), *back = NULL;
    struct alk_wr w = alk_wr(mem, sizeof(mem));
    alk_identity_put(&w, identity);
    check_err(w.err, ALK_OK);
    struct alk_rd r = alk_rd(alk_wr_span(&w));
    check_err(alk_identity_get(NULL, &r, &back), ALK_OK);
    assert_int_equal(alk_rd_left(&r), 0);

    uint8_t again[1024];
    struct alk_wr w2 = alk_wr(again, sizeof(again));
    alk_identity_put(&w2, back);
    assert_true(alk_span_equal(alk_wr_span(&w), alk_wr_span(&w2)));
    check_text(alk_identity_id(back), "laptop");
    assert_true(alk_identity_may(back, ALK_LIT("repo"), ALK_LIT("team/a"), ALK_LIT("write"),
                                 ALK_LIT("refs/heads/dev/x")));
    alk_identity_unref(back);

    /* check_prefixes takes the bytes of the result only. */
    for (size_t n = 0; n < alk_wr_span(&w).n; n++) {
        struct alk_rd cut = alk_rd(alk_span_head(alk_wr_span(&w), n));
        back = NULL;
        check_err(get(&cut, &back), ALK_MORE);
        assert_null(back);
    }
    alk_identity_unref(identity);
}

static void look_at_wire(struct alk_span in, void *ctx)
{
    (void)ctx;
    const struct alk_identity *identity = NULL;
    struct alk_rd r = alk_rd(in);
    if (alk_identity_get(NULL, &r, &identity) == ALK_OK) {
        assert_true(alk_identity_id_is_valid(alk_identity_id(identity)));
        for (size_t i = 0; i < alk_identity_scope_count(identity); i++) {
            assert_true(alk_scope_is_valid(alk_identity_scope(identity, i)));
        }
        alk_identity_unref(identity);
    }
}

static void mutations_of_the_wire_never_crash(void **state)
{
    (void)state;
    uint8_t mem[1024];
    const struct alk_identity *identity = make();
    struct alk_wr w = alk_wr(mem, sizeof(mem));
    alk_identity_put(&w, identity);
    alk_identity_unref(identity);
    check_mutations(alk_wr_span(&w), look_at_wire, NULL);
}

static alk_err body(const struct alk_mem *mem, void *ctx)
{
    uint8_t wire[1024];
    const struct alk_identity *identity = NULL, *narrow = NULL, *back = NULL;
    (void)ctx;
    alk_err err = alk_identity_new(mem, &SPEC, NULL, 0, &identity);
    if (err == ALK_OK) {
        err = alk_identity_narrow(mem, identity, SCOPES, 1, &narrow);
    }
    if (err == ALK_OK) {
        struct alk_wr w = alk_wr(wire, sizeof(wire));
        alk_identity_put(&w, narrow);
        struct alk_rd r = alk_rd(alk_wr_span(&w));
        err = alk_identity_get(mem, &r, &back);
    }
    alk_identity_unref(back);
    alk_identity_unref(narrow);
    alk_identity_unref(identity);
    return err;
}

static void without_memory(void **state)
{
    (void)state;
    oom_sweep(body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_done),
        cmocka_unit_test(nobody_holds_nothing),
        cmocka_unit_test(admin_is_not_granted_resources),
        cmocka_unit_test(it_shows_what_it_was_made_from),
        cmocka_unit_test(ids),
        cmocka_unit_test(what_is_wrong_is_refused_with_a_reason),
        cmocka_unit_test(limits_of_an_identity),
        cmocka_unit_test(a_narrowed_identity_keeps_resources_and_outlives_its_base),
        cmocka_unit_test(a_scope_that_is_not_valid_covers_nothing),
        cmocka_unit_test(there_and_back_over_the_wire),
        cmocka_unit_test(mutations_of_the_wire_never_crash),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
