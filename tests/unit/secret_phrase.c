/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "secret_test.h"

#include <sodium.h>

#define ABOUT                                                                                      \
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "     \
    "about"

static void the_word_list_is_the_published_one(void **state)
{
    (void)state;
    crypto_hash_sha256_state st;
    uint8_t hash[32];

    (void)crypto_hash_sha256_init(&st);
    for (size_t i = 0; i < 2048; i++) {
        const char *word = alksec_word(i);
        (void)crypto_hash_sha256_update(&st, (const uint8_t *)word, strlen(word));
        (void)crypto_hash_sha256_update(&st, (const uint8_t *)"\n", 1);
    }
    (void)crypto_hash_sha256_final(&st, hash);
    check_hex(hash, 32, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
    assert_null(alksec_word(2048));
}

static void check_vector(const char *entropy_hex, const char *phrase, const char *seed_hex)
{
    uint8_t entropy[32], back[32], seed[64];
    char text[ALKSEC_PHRASE_SIZE];
    size_t back_n = 0, n = unhex(entropy_hex, entropy, sizeof entropy);

    check_sec(alksec_phrase_from_entropy(entropy, n, text), ALKSEC_OK);
    assert_string_equal(text, phrase);
    check_sec(alksec_phrase_to_entropy(phrase, strlen(phrase), NULL, back, &back_n), ALKSEC_OK);
    check_hex(back, back_n, entropy_hex);
    check_sec(alksec_phrase_seed(phrase, strlen(phrase), "TREZOR", 6, seed), ALKSEC_OK);
    check_hex(seed, 64, seed_hex);
}

/* trezor/python-mnemonic, vectors.json */
static void published_phrases_give_their_seeds(void **state)
{
    (void)state;
    check_vector(
        "00000000000000000000000000000000", ABOUT,
        "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264"
        "c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04");
    check_vector(
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6fa457fe1296106559a3"
        "c80937a1c1069be3a3a5bd381ee6260e8d9739fce1f607");
}

static void all_english_vectors_pass(void **state)
{
    (void)state;
    yyjson_doc *doc = vectors(VECTORS "bip39-vectors.json");
    yyjson_val *sets = yyjson_obj_get(yyjson_doc_get_root(doc), "english"), *one;
    size_t i, n;

    assert_int_equal(yyjson_arr_size(sets), 24);
    yyjson_arr_foreach(sets, i, n, one)
    {
        check_vector(yyjson_get_str(yyjson_arr_get(one, 0)), yyjson_get_str(yyjson_arr_get(one, 1)),
                     yyjson_get_str(yyjson_arr_get(one, 2)));
    }
    yyjson_doc_free(doc);
}

static void every_length_of_phrase_can_be_made(void **state)
{
    (void)state;
    char text[ALKSEC_PHRASE_SIZE], other[ALKSEC_PHRASE_SIZE];

    for (unsigned words = 0; words < 30; words++) {
        bool is_right = words >= 12 && words <= 24 && words % 3 == 0;
        alksec_err err = alksec_phrase_new(words, NULL, text);
        check_sec(err, is_right ? ALKSEC_OK : ALKSEC_E_COUNT);
        if (is_right) {
            check_sec(alksec_phrase_check(text, strlen(text), NULL), ALKSEC_OK);
            check_sec(alksec_phrase_new(words, NULL, other), ALKSEC_OK);
            assert_string_not_equal(text, other);
        }
    }
}

static void white_space_and_capitals_do_not_matter(void **state)
{
    (void)state;
    static const char text[] = "\n  Legal winner THANK year\twave sausage worth useful legal\r\n"
                               "winner thank   yellow\n";
    uint8_t a[64], b[64];
    static const char plain[] =
        "legal winner thank year wave sausage worth useful legal winner thank yellow";
    check_sec(alksec_phrase_seed(text, sizeof text - 1, NULL, 0, a), ALKSEC_OK);
    check_sec(alksec_phrase_seed(plain, sizeof plain - 1, NULL, 0, b), ALKSEC_OK);
    assert_memory_equal(a, b, 64);
}

static void a_wrong_phrase_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        alksec_err err;
        unsigned count, word;
        const char *suggestion;
    } cases[] = {
        {"", ALKSEC_E_COUNT, 0, 0, NULL},
        {"abandon", ALKSEC_E_COUNT, 1, 0, NULL},
        {ABOUT " about", ALKSEC_E_COUNT, 13, 0, NULL},
        {ABOUT " " ABOUT " about about about", ALKSEC_E_COUNT, 27, 0, NULL},
        {"about " ABOUT, ALKSEC_E_COUNT, 13, 0, NULL},
        {"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "
         "abandon",
         ALKSEC_E_CHECKSUM, 12, 0, NULL},
        {"legal winnr thank year wave sausage worth useful legal winner thank yellow",
         ALKSEC_E_WORD, 12, 2, "winner"},
        {"legal winner thank year wave sausage worth useful legal winner thank yellowish",
         ALKSEC_E_WORD, 12, 12, "yellow"},
        {"xqxqxqxqxqxqxqxqxqxq", ALKSEC_E_WORD, 1, 1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alksec_phrase_error why = {0};
        check_sec(alksec_phrase_check(cases[i].text, strlen(cases[i].text), &why), cases[i].err);
        assert_int_equal(why.word_count, cases[i].count);
        assert_int_equal(why.word, cases[i].word);
        assert_true((why.suggestion == NULL) == (cases[i].suggestion == NULL));
        if (why.suggestion != NULL) {
            assert_string_equal(why.suggestion, cases[i].suggestion);
        }
    }
}

static void a_mistyped_word_is_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *meant;
    } cases[] = {{"zoro", "zero"},      {"yelow", "yellow"}, {"aobut", "about"},
                 {"abandn", "abandon"}, {"zo", NULL},        {"qqqqqq", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = alksec_word_suggest(cases[i].typed, strlen(cases[i].typed));
        assert_true((got == NULL) == (cases[i].meant == NULL));
        if (got != NULL) {
            assert_string_equal(got, cases[i].meant);
        }
    }
}

static void passphrases_are_normalised(void **state)
{
    (void)state;
    uint8_t a[64], b[64];
    /* U+00E9 and e + U+0301; U+FB01 and fi; U+AC00 and its parts. */
    static const char composed[] = "caf\xc3\xa9 \xef\xac\x81 \xea\xb0\x80";
    static const char apart[] = "cafe\xcc\x81 fi \xe1\x84\x80\xe1\x85\xa1";

    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, composed, sizeof composed - 1, a),
              ALKSEC_OK);
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, apart, sizeof apart - 1, b), ALKSEC_OK);
    assert_memory_equal(a, b, 64);
}

static void a_passphrase_has_limits(void **state)
{
    (void)state;
    char text[ALKSEC_PASSPHRASE_MAX + 1];
    uint8_t seed[64];

    memset(text, 'x', sizeof text);
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, text, sizeof text - 1, seed), ALKSEC_OK);
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, text, sizeof text, seed), ALKSEC_E_TEXT);
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, "\xff", 1, seed), ALKSEC_E_TEXT);
    for (size_t i = 0; i + 3 <= ALKSEC_PASSPHRASE_MAX; i += 3) {
        memcpy(text + i, "\xef\xb7\xba", 3); /* U+FDFA grows eleven times */
    }
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, text, 1023, seed), ALKSEC_E_TEXT);
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, text, 90, seed), ALKSEC_OK);
    for (size_t i = 0; i + 2 <= ALKSEC_PASSPHRASE_MAX; i += 2) {
        memcpy(text + i, "\xcc\x81", 2); /* combining marks */
    }
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, text, 60, seed), ALKSEC_OK);
    check_sec(alksec_phrase_seed(ABOUT, sizeof ABOUT - 1, text, 62, seed), ALKSEC_E_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_word_list_is_the_published_one),
        cmocka_unit_test(published_phrases_give_their_seeds),
        cmocka_unit_test(all_english_vectors_pass),
        cmocka_unit_test(every_length_of_phrase_can_be_made),
        cmocka_unit_test(white_space_and_capitals_do_not_matter),
        cmocka_unit_test(a_wrong_phrase_is_told_apart),
        cmocka_unit_test(a_mistyped_word_is_recognised),
        cmocka_unit_test(passphrases_are_normalised),
        cmocka_unit_test(a_passphrase_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
