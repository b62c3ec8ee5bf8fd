/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/token.h"

#include "support/check.h"

/* Counts the bytes it gives: 0, 1, 2, ... */
static void counting(void *ctx, uint8_t *p, size_t n)
{
    uint8_t *next = ctx;
    for (size_t i = 0; i < n; i++) {
        p[i] = (*next)++;
    }
}

static void a_new_token_is_a_token(void **state)
{
    (void)state;
    struct alk_prng g;
    alk_prng_init(&g, 1);
    struct alk_rand rand = alk_prng_rand(&g);
    char first[ALK_TOKEN_SIZE], second[ALK_TOKEN_SIZE];
    struct alk_span prefix;
    alk_token_generate(&rand, first);
    alk_token_generate(&rand, second);
    assert_int_equal(strlen(first), ALK_TOKEN_LEN);
    assert_true(alk_token_parse(alk_span_str(first), &prefix));
    assert_memory_equal(prefix.p, first + 4, 8);
    assert_int_equal(prefix.n, 8);
    assert_string_not_equal(first, second);
    assert_memory_not_equal(first + 4, second + 4, 8);
    assert_memory_not_equal(first + 13, second + 13, 22);
}

static void it_uses_what_randomness_it_is_given(void **state)
{
    (void)state;
    uint8_t a = 0, b = 0, c = 1;
    const struct alk_rand ra = {counting, &a}, rb = {counting, &b}, rc = {counting, &c};
    char ta[ALK_TOKEN_SIZE], tb[ALK_TOKEN_SIZE], tc[ALK_TOKEN_SIZE];
    alk_token_generate(&ra, ta);
    alk_token_generate(&rb, tb);
    alk_token_generate(&rc, tc);
    assert_string_equal(ta, tb);
    assert_string_not_equal(ta, tc);
}

static void every_character_is_as_likely_as_the_next(void **state)
{
    (void)state;
    enum { TOKENS = 20000, CHARS = 30 };
    struct alk_prng g;
    alk_prng_init(&g, 20261122);
    struct alk_rand rand = alk_prng_rand(&g);
    unsigned seen[256] = {0};
    for (int i = 0; i < TOKENS; i++) {
        char token[ALK_TOKEN_SIZE];
        alk_token_generate(&rand, token);
        for (size_t k = 4; k < ALK_TOKEN_LEN; k++) {
            seen[(uint8_t)token[k]]++;
        }
    }
    assert_int_equal(seen['_'], TOKENS);
    seen['_'] = 0;
    /* 600 000 draws: each of 62 is expected 9 677 times, deviation 98. A modulo of
     * a byte would give the first eight 25 % more. */
    unsigned kinds = 0, total = 0;
    for (unsigned c = 0; c < 256; c++) {
        total += seen[c];
        if (seen[c] > 0) {
            kinds++;
            assert_in_range(seen[c], 9677 - 500, 9677 + 500);
        }
    }
    assert_int_equal(kinds, 62);
    assert_int_equal(total, TOKENS * CHARS);
}

static void what_is_no_token_is_refused(void **state)
{
    static const struct {
        const char *name, *text;
        bool is_token;
    } cases[] = {
        {"a token", "alk_Ab3dEf9h_0123456789abcdefghijAB", true},
        {"the ends of the alphabet", "alk_09AZazaz_09AZaz09AZaz09AZaz09AZ", true},
        {"nothing", "", false},
        {"a character less", "alk_Ab3dEf9h_0123456789abcdefghijA", false},
        {"a character more", "alk_Ab3dEf9h_0123456789abcdefghijABC", false},
        {"another head", "ALK_Ab3dEf9h_0123456789abcdefghijAB", false},
        {"another separator", "alk_Ab3dEf9h-0123456789abcdefghijAB", false},
        {"a separator too early", "alk_Ab3dEf9_h0123456789abcdefghijAB", false},
        {"a space before", " alk_Ab3dEf9h_0123456789abcdefghijA", false},
        {"a line break behind", "alk_Ab3dEf9h_0123456789abcdefghijA\n", false},
        {"the byte before 0", "alk_Ab3dEf9h_0123456789abcdefghijA/", false},
        {"the byte after 9", "alk_Ab3dEf9h_0123456789abcdefghijA:", false},
        {"the byte before A", "alk_@b3dEf9h_0123456789abcdefghijAB", false},
        {"the byte after Z", "alk_[b3dEf9h_0123456789abcdefghijAB", false},
        {"the byte before a", "alk_Ab3dEf9h_`123456789abcdefghijAB", false},
        {"the byte after z", "alk_Ab3dEf9h_{123456789abcdefghijAB", false},
        {"a byte over 127",
         "alk_Ab3dEf9h_\xb1"
         "123456789abcdefghijAB",
         false},
        {"a plus", "alk_Ab3dEf9h_+123456789abcdefghijAB", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_span prefix = {NULL, 0};
        print_message("%s\n", cases[i].name);
        assert_int_equal(alk_token_parse(alk_span_str(cases[i].text), &prefix), cases[i].is_token);
        assert_int_equal(prefix.n, cases[i].is_token ? 8 : 0);
    }
    struct alk_span prefix = {NULL, 0};
    assert_false(alk_token_parse(alk_span("alk_Ab3dEf9h_\0"
                                          "123456789abcdefghijAB",
                                          35),
                                 &prefix));
    /* Every byte value in the last place: exactly 62 of them make a token. */
    unsigned good = 0;
    char text[] = "alk_Ab3dEf9h_0123456789abcdefghijAB";
    for (unsigned c = 0; c < 256; c++) {
        text[34] = (char)c;
        good += alk_token_parse(alk_span(text, 35), &prefix) ? 1 : 0;
    }
    assert_int_equal(good, 62);
}

static void prefixes(void **state)
{
    (void)state;
    assert_true(alk_token_prefix_is_valid(ALK_LIT("Ab3dEf9h")));
    assert_false(alk_token_prefix_is_valid(ALK_LIT("Ab3dEf9")));
    assert_false(alk_token_prefix_is_valid(ALK_LIT("Ab3dEf9h_")));
    assert_false(alk_token_prefix_is_valid(ALK_LIT("Ab3dEf9%")));
    assert_false(alk_token_prefix_is_valid(ALK_LIT("")));
}

static void hashes(void **state)
{
    (void)state;
    uint8_t hash[ALK_TOKEN_HASH_SIZE], back[ALK_TOKEN_HASH_SIZE];
    char text[ALK_TOKEN_HASH_TEXT_SIZE];
    /* [FIPS 180-2 B.1] */
    alk_token_hash(ALK_LIT("abc"), hash);
    alk_token_hash_print(hash, text);
    assert_string_equal(text,
                        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_err(alk_token_hash_parse(alk_span_str(text), back), ALK_OK);
    assert_memory_equal(hash, back, sizeof(hash));

    static const char *const wrong[] = {
        "",
        "sha256:",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad00",
        "sha256:xa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha1:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad ",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        print_message("'%s'\n", wrong[i]);
        check_err(alk_token_hash_parse(alk_span_str(wrong[i]), back), ALK_E_INVALID);
        assert_memory_equal(hash, back, sizeof(hash));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_token_is_a_token),
        cmocka_unit_test(it_uses_what_randomness_it_is_given),
        cmocka_unit_test(every_character_is_as_likely_as_the_next),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
