/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/scope.h"

#include "support/check.h"

#define SEGMENT_60 "123456789012345678901234567890123456789012345678901234567890"

static void syntax(void **state)
{
    static const struct {
        const char *scope;
        bool is_valid;
    } cases[] = {
        {"a", true},
        {"admin", true},
        {"a:b:c:d", true},
        {"a:*", true},
        {"a:b:c:*", true},
        {"*", true},
        {"fs.read_all-2:x", true},
        {"", false},
        {":", false},
        {"a:", false},
        {":a", false},
        {"a::b", false},
        {"a:b:c:d:e", false},
        {"a:b:c:d:*", false},
        {"*:a", false},
        {"a:*:b", false},
        {"a*", false},
        {"a:b*", false},
        {"a:**", false},
        {"A", false},
        {"a b", false},
        {"a\n", false},
        {"\xc3\xa4", false},
        {"a/b", false},
        {SEGMENT_60 ":" SEGMENT_60 ":123456", true},   /* 128 bytes */
        {SEGMENT_60 ":" SEGMENT_60 ":1234567", false}, /* 129 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("'%s'\n", cases[i].scope);
        assert_int_equal(alk_scope_is_valid(alk_span_str(cases[i].scope)), cases[i].is_valid);
    }
    assert_false(alk_scope_is_valid(alk_span("a\0b", 3)));
}

static void who_holds_what(void **state)
{
    static const struct {
        const char *held, *wanted;
        bool is_covered;
    } cases[] = {
        {"a", "a", true},        {"a:b", "a:b", true},          {"admin", "a:b:c", true},
        {"admin", "a:*", true},  {"admin", "*", true},          {"*", "a:b", true},
        {"*", "admin", true},    {"a:*", "a:b", true},          {"a:*", "a:b:c", true},
        {"a:*", "a:*", true},    {"a:*", "a:b:*", true},        {"a:b:*", "a:b:c", true},
        {"a:*", "a", false},     {"a:*", "ab:c", false},        {"a:*", "b:a", false},
        {"a:*", "*", false},     {"a:*", "admin", false},       {"a:b:*", "a:*", false},
        {"a:b:*", "a:b", false}, {"a:b:*", "a:bc:d", false},    {"a", "a:b", false},
        {"a:b", "a", false},     {"a:b", "a:*", false},         {"a", "b", false},
        {"admin:x", "a", false}, {"administrator", "a", false}, {"admin", "", false},
        {"admin", "A", false},   {"admin", "a::b", false},      {"", "a", false},
        {"", "", false},         {"a:b*", "a:bc", false},       {"A", "A", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s holds %s\n", cases[i].held, cases[i].wanted);
        assert_int_equal(
            alk_scope_covers(alk_span_str(cases[i].held), alk_span_str(cases[i].wanted)),
            cases[i].is_covered);
        /* Of a valid one the shorter question has the same answer. */
        struct alk_span held = alk_span_str(cases[i].held);
        if (alk_scope_is_valid(held)) {
            assert_int_equal(alk_scopes_valid_hold(&held, 1, alk_span_str(cases[i].wanted)),
                             cases[i].is_covered);
        }
    }
}

static size_t split(const char *text, struct alk_span *ret)
{
    struct alk_span s = alk_span_str(text);
    size_t n = 0;
    while (s.n > 0) {
        ret[n++] = alk_span_cut(&s, ' ');
    }
    return n;
}

static void one_of_several_holds(void **state)
{
    static const struct {
        const char *held, *wanted;
        bool is_held;
    } cases[] = {
        {"a b:* c", "b:x", true},  {"a b:* c", "c", true},      {"a b:* c", "b", false},
        {"a b:* c", "", false},    {"a b:* c", "b:", false},    {"a b:* c", "b:X", false},
        {"admin a", "a", true},    {"a admin", "b:c", true},    {"a admin", "b::c", false},
        {"a admin", "a b", false}, {"* a", "a:b:c:d:e", false}, {"", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_span held[4], wanted = alk_span_str(cases[i].wanted);
        size_t n = split(cases[i].held, held);
        print_message("'%s' holds '%s'\n", cases[i].held, cases[i].wanted);
        assert_int_equal(alk_scopes_hold(held, n, wanted), cases[i].is_held);
        assert_int_equal(alk_scopes_valid_hold(held, n, wanted), cases[i].is_held);
    }
}

static void a_token_narrows(void **state)
{
    static const struct {
        const char *identity, *token, *want;
    } cases[] = {
        {"a b c", "b", "b"},
        {"a b c", "d", ""},
        {"a b", "", ""},
        {"", "a", ""},
        {"admin", "a:b", "a:b"},
        {"a:b", "admin", "a:b"},
        {"a:*", "a:b", "a:b"},
        {"a:b", "a:*", "a:b"},
        {"a:* b", "a:x b:y", "a:x"},
        {"a:*", "a", ""},
        {"a", "a:*", ""},
        {"admin", "admin", "admin"},
        {"a:* a:b", "a:b a:*", "a:*"},
        {"a:b:* c:d", "a:* c:*", "a:b:* c:d"},
        {"a a", "a a", "a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_span a[8], b[8], want[8], got[16];
        size_t a_n = split(cases[i].identity, a), b_n = split(cases[i].token, b);
        size_t want_n = split(cases[i].want, want);
        print_message("'%s' narrowed to '%s'\n", cases[i].identity, cases[i].token);
        size_t n = alk_scopes_intersect(a, a_n, b, b_n, got);
        assert_int_equal(n, want_n);
        for (size_t k = 0; k < n; k++) {
            assert_true(alk_span_equal(got[k], want[k]));
        }
        /* Nothing is held by the result that is not held by both. */
        for (size_t k = 0; k < n; k++) {
            assert_true(alk_scopes_hold(a, a_n, got[k]));
            assert_true(alk_scopes_hold(b, b_n, got[k]));
        }
    }
}

static void the_vocabulary_is_made_of_scopes(void **state)
{
    (void)state;
    const struct alk_scope_word *w = alk_scope_vocabulary();
    assert_string_equal(w->name, "admin");
    for (; w->name != NULL; w++) {
        /* A placeholder stands for one segment. */
        char name[ALK_SCOPE_MAX + 1];
        assert_true(alk_span_cstr(alk_span_str(w->name), name, sizeof(name)));
        for (char *p = name; *p != 0; p++) {
            *p = *p >= 'A' && *p <= 'Z' ? 'x' : *p;
        }
        assert_true(alk_scope_is_valid(alk_span_str(name)));
        assert_true(strlen(w->help) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax),
        cmocka_unit_test(who_holds_what),
        cmocka_unit_test(one_of_several_holds),
        cmocka_unit_test(a_token_narrows),
        cmocka_unit_test(the_vocabulary_is_made_of_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
