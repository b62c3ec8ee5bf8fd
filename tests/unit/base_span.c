/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/span.h"

#include "base/rand.h"
#include "support/check.h"

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(alk_span_starts(ALK_LIT("alknet/ssh"), ALK_LIT("alknet/")));
    assert_true(alk_span_starts(ALK_LIT("a"), ALK_LIT("")));
    assert_true(alk_span_starts(ALK_LIT(""), (struct alk_span){NULL, 0}));
    assert_false(alk_span_starts(ALK_LIT("alk"), ALK_LIT("alknet")));
    assert_false(alk_span_starts(ALK_LIT("blk"), ALK_LIT("alk")));
    assert_true(alk_span_ends(ALK_LIT("repo.git"), ALK_LIT(".git")));
    assert_true(alk_span_ends(ALK_LIT(".git"), ALK_LIT(".git")));
    assert_true(alk_span_ends(ALK_LIT("x"), ALK_LIT("")));
    assert_false(alk_span_ends(ALK_LIT("git"), ALK_LIT(".git")));
    assert_false(alk_span_ends(ALK_LIT("repo.gix"), ALK_LIT(".git")));
}

static void case_is_ignored_for_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(alk_span_equal_nocase(ALK_LIT("Host: X"), ALK_LIT("hOST: x")));
    assert_false(alk_span_equal_nocase(ALK_LIT("["), ALK_LIT("{")));
    assert_false(alk_span_equal_nocase(ALK_LIT("@"), ALK_LIT("`")));
    assert_false(alk_span_equal_nocase(ALK_LIT("ab"), ALK_LIT("abc")));
    assert_false(alk_span_equal_nocase(ALK_LIT("\xc4"), ALK_LIT("\xe4")));
}

static void cut_takes_what_precedes_the_separator(void **state)
{
    (void)state;
    struct alk_span s = ALK_LIT("a:bc::d");
    check_text(alk_span_cut(&s, ':'), "a");
    check_text(alk_span_cut(&s, ':'), "bc");
    check_text(alk_span_cut(&s, ':'), "");
    check_text(s, "d");
    check_text(alk_span_cut(&s, ':'), "d");
    assert_int_equal(s.n, 0);
    check_text(alk_span_cut(&s, ':'), "");
    s = ALK_LIT("x:");
    check_text(alk_span_cut(&s, ':'), "x");
    assert_int_equal(s.n, 0);
}

static void find_head_tail_trim(void **state)
{
    (void)state;
    assert_int_equal(alk_span_find(ALK_LIT("abc"), 'c'), 2);
    assert_int_equal(alk_span_find(ALK_LIT("abc"), 'd'), 3);
    assert_int_equal(alk_span_find((struct alk_span){NULL, 0}, 'd'), 0);
    check_text(alk_span_head(ALK_LIT("abc"), 2), "ab");
    check_text(alk_span_head(ALK_LIT("abc"), 9), "abc");
    check_text(alk_span_tail(ALK_LIT("abc"), 2), "c");
    check_text(alk_span_tail(ALK_LIT("abc"), 3), "");
    check_text(alk_span_tail(ALK_LIT("abc"), 9), "");
    check_text(alk_span_trim(ALK_LIT(" \t a b\t ")), "a b");
    check_text(alk_span_trim(ALK_LIT(" \t ")), "");
    check_text(alk_span_trim(ALK_LIT("\na")), "\na");
}

static void numbers_are_digits_within_their_bound(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        uint64_t max;
        bool ok;
        uint64_t want;
    } rows[] = {
        {"0", 0, true, 0},
        {"007", 10, true, 7},
        {"65535", 65535, true, 65535},
        {"65536", 65535, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"", 10, false, 0},
        {"+1", 10, false, 0},
        {"-1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"0x1", 10, false, 0},
        {"1e1", 100, false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t v = 4242;
        assert_int_equal(alk_span_u64(alk_span_str(rows[i].in), rows[i].max, &v), rows[i].ok);
        assert_int_equal(v, rows[i].ok ? rows[i].want : 4242);
    }
}

static void cstr_copies_what_fits_and_has_no_zero_byte(void **state)
{
    (void)state;
    char dst[4] = "xxx";
    assert_true(alk_span_cstr(ALK_LIT("abc"), dst, sizeof(dst)));
    assert_string_equal(dst, "abc");
    assert_false(alk_span_cstr(ALK_LIT("abcd"), dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_false(alk_span_cstr(alk_span("a\0b", 3), dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_true(alk_span_cstr((struct alk_span){NULL, 0}, dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_false(alk_span_cstr(ALK_LIT(""), dst, 0));
}

/* [RFC 3629 §4] */
static void utf8_is_well_formed_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in;
        bool ok;
    } rows[] = {
        {"empty", "", true},
        {"ASCII", "abc\x7f", true},
        {"two bytes", "\xc2\x80\xdf\xbf", true},
        {"three bytes", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", true},
        {"four bytes", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true},
        {"overlong slash, two bytes", "\xc0\xaf", false},
        {"overlong, first byte c1", "\xc1\xbf", false},
        {"overlong slash, three bytes", "\xe0\x80\xaf", false},
        {"overlong slash, four bytes", "\xf0\x80\x80\xaf", false},
        {"surrogate", "\xed\xa0\x80", false},
        {"last surrogate", "\xed\xbf\xbf", false},
        {"above U+10FFFF", "\xf4\x90\x80\x80", false},
        {"first byte f5", "\xf5\x80\x80\x80", false},
        {"continuation alone", "\x80", false},
        {"cut in the middle", "\xe2\x82", false},
        {"bad third byte", "\xe2\x82\x41", false},
        {"bad fourth byte", "\xf0\x90\x80\x41", false},
        {"ff", "\xff", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (alk_span_is_utf8(alk_span_str(rows[i].in)) != rows[i].ok) {
            fail_msg("%s", rows[i].name);
        }
    }
}

static void every_code_point_and_nothing_else_is_utf8(void **state)
{
    (void)state;
    uint32_t good = 0;
    for (uint32_t v = 0; v < 0x1000000; v++) {
        /* All sequences of three bytes behind a first byte of three. */
        uint8_t s[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        good += s[0] >= 0xe0 && s[0] < 0xf0 && alk_span_utf8(alk_span(s, 3)) == 3;
    }
    assert_int_equal(good, 0x10000 - 0x800 - 0x800); /* less two-byte forms and surrogates */
}

/* The same by trying everything. */
static bool naive_glob(struct alk_span p, struct alk_span t)
{
    if (p.n == 0) {
        return t.n == 0;
    }
    if (p.p[0] != '*') {
        return t.n > 0 && p.p[0] == t.p[0] && naive_glob(alk_span_tail(p, 1), alk_span_tail(t, 1));
    }
    bool is_any = p.n > 1 && p.p[1] == '*';
    struct alk_span rest = alk_span_tail(p, is_any ? 2 : 1);
    for (size_t i = 0; i <= t.n; i++) {
        if (naive_glob(rest, alk_span_tail(t, i))) {
            return true;
        }
        if (i < t.n && !is_any && t.p[i] == '/') {
            return false;
        }
    }
    return false;
}

static void globs_match_within_and_across_slashes(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool want;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"team/*", "team/repo", true},
        {"team/*", "team/", true},
        {"team/*", "team/a/b", false},
        {"team/**", "team/a/b", true},
        {"**", "any/thing", true},
        {"*", "any/thing", false},
        {"*.git", "repo.git", true},
        {"*.git", "a/repo.git", false},
        {"**/x", "a/b/x", true},
        {"**/x", "x", false},
        {"refs/heads/dev/*", "refs/heads/dev/me", true},
        {"refs/heads/dev/*", "refs/heads/main", false},
        {"a*b*c", "axxbxxbc", true},
        {"a**b*/c", "a/b/bb/c", true},
        {"***", "a/b", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (alk_span_glob(alk_span_str(rows[i].pattern), alk_span_str(rows[i].text)) !=
            rows[i].want) {
            fail_msg("%s on %s", rows[i].pattern, rows[i].text);
        }
    }
}

static void globs_agree_with_the_naive_matcher(void **state)
{
    (void)state;
    static const char letters[] = "ab/*";
    struct alk_prng g;
    alk_prng_init(&g, 1);
    size_t matches = 0;
    for (int run = 0; run < 300000; run++) {
        char pattern[8];
        char text[10];
        struct alk_span p = alk_span(pattern, (size_t)(alk_prng_next(&g) % sizeof(pattern)));
        struct alk_span t = alk_span(text, (size_t)(alk_prng_next(&g) % sizeof(text)));
        for (size_t i = 0; i < p.n; i++) {
            pattern[i] = letters[alk_prng_next(&g) % 4];
        }
        for (size_t i = 0; i < t.n; i++) {
            text[i] = letters[alk_prng_next(&g) % 3];
        }
        bool got = alk_span_glob(p, t);
        matches += got;
        if (got != naive_glob(p, t)) {
            fail_msg("%.*s on %.*s: %d", (int)p.n, pattern, (int)t.n, text, got);
        }
    }
    assert_in_range(matches, 1000, 299000);
}

static void a_hostile_glob_ends_soon(void **state)
{
    (void)state;
    char pattern[200];
    char text[2000];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = i % 3 == 2 ? 'a' : '*';
    }
    pattern[sizeof(pattern) - 1] = 'b';
    assert_false(alk_span_glob(alk_span(pattern, sizeof(pattern)), alk_span(text, sizeof(text))));
}

static void digits_stand_at_the_end_of_their_room(void **state)
{
    (void)state;
    for (unsigned power = 0; power < 64; power++) {
        for (uint64_t near = 0; near < 3; near++) {
            uint64_t v = ((uint64_t)1 << power) - 1 + near;
            uint8_t room[ALK_DIGITS_MAX];
            char want[32];
            (void)snprintf(want, sizeof want, "%llu", (unsigned long long)v);
            size_t n = alk_digits(v, room);
            assert_true(alk_span_is(alk_span(room + sizeof room - n, n), want));
        }
    }
    uint8_t room[ALK_DIGITS_MAX];
    assert_int_equal(alk_digits(UINT64_MAX, room), ALK_DIGITS_MAX);
    assert_true(alk_span_is(alk_span(room, sizeof room), "18446744073709551615"));
    for (uint64_t v = 0; v < 2000; v++) {
        uint64_t back = 0;
        size_t n = alk_digits(v, room);
        assert_true(alk_span_u64(alk_span(room + sizeof room - n, n), v, &back));
        assert_int_equal(back, v);
        assert_true(n == 1 || room[sizeof room - n] != '0');
    }
}

static void white_space_and_control_bytes_are_known(void **state)
{
    (void)state;
    assert_true(alk_span_is(alk_span_strip(ALK_LIT(" \r\n\ta b\n\n")), "a b"));
    assert_true(alk_span_is(alk_span_strip(ALK_LIT("\va")), "\va"));
    assert_int_equal(alk_span_strip(ALK_LIT(" \n\t\r ")).n, 0);
    assert_int_equal(alk_span_strip((struct alk_span){0}).n, 0);
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t bytes[] = {'a', (uint8_t)c, 'b'};
        assert_int_equal(alk_span_has_control(alk_span(bytes, 3)), c < 0x20 || c == 0x7f);
    }
    assert_false(alk_span_has_control((struct alk_span){0}));
}

static void hex_digits_have_values_in_either_case(void **state)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const char *a = c == 0 ? NULL : strchr(lower, (int)c),
                   *b = c == 0 ? NULL : strchr(upper, (int)c);
        int want = a != NULL ? (int)(a - lower) : b != NULL ? (int)(b - upper) : -1;
        assert_int_equal(alk_hex_value((uint8_t)c), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_and_control_bytes_are_known),
        cmocka_unit_test(hex_digits_have_values_in_either_case),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(cut_takes_what_precedes_the_separator),
        cmocka_unit_test(find_head_tail_trim),
        cmocka_unit_test(numbers_are_digits_within_their_bound),
        cmocka_unit_test(cstr_copies_what_fits_and_has_no_zero_byte),
        cmocka_unit_test(utf8_is_well_formed_or_not),
        cmocka_unit_test(every_code_point_and_nothing_else_is_utf8),
        cmocka_unit_test(globs_match_within_and_across_slashes),
        cmocka_unit_test(globs_agree_with_the_naive_matcher),
        cmocka_unit_test(a_hostile_glob_ends_soon),
        cmocka_unit_test(digits_stand_at_the_end_of_their_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
