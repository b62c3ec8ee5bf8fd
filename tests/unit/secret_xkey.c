/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "secret_test.h"

static alksec_err parse(const char *text, struct alksec_key **ret)
{
    return alksec_key_parse(NULL, text, strlen(text), ret);
}

static struct alksec_path path_of(const char *text)
{
    struct alksec_path path;
    check_sec(alksec_path_parse(text, strlen(text), &path), ALKSEC_OK);
    return path;
}

static alksec_err derive(const char *seed_hex, const char *path_text, struct alksec_key **ret)
{
    uint8_t seed[64];
    const struct alksec_path path = path_of(path_text);
    size_t n = unhex(seed_hex, seed, sizeof seed);
    return alksec_key_derive(NULL, ALKSEC_SECP256K1, seed, n, &path, ret);
}

static bool has_secp256k1(void)
{
    struct alksec_key *key;
    if (derive("000102030405060708090a0b0c0d0e0f", "m", &key) == ALKSEC_E_UNSUPPORTED) {
        return false;
    }
    alksec_key_free(key);
    return true;
}

static void check_texts(const struct alksec_key *key, const char *xprv, const char *xpub)
{
    char text[ALKSEC_XKEY_SIZE];
    if (xprv != NULL) {
        check_sec(alksec_key_print_xprv(key, text), ALKSEC_OK);
        assert_string_equal(text, xprv);
    } else {
        check_sec(alksec_key_print_xprv(key, text), ALKSEC_E_INVALID);
    }
    check_sec(alksec_key_print_xpub(key, text), ALKSEC_OK);
    assert_string_equal(text, xpub);
}

/* Derives, prints both texts, reads both and prints them again. */
static void check_chain(const char *seed, const char *path, const char *xprv, const char *xpub)
{
    struct alksec_key *key;
    check_sec(derive(seed, path, &key), ALKSEC_OK);
    check_texts(key, xprv, xpub);
    alksec_key_free(key);
    check_sec(parse(xprv, &key), ALKSEC_OK);
    check_texts(key, xprv, xpub);
    alksec_key_free(key);
    check_sec(parse(xpub, &key), ALKSEC_OK);
    check_texts(key, NULL, xpub);
    assert_null(alksec_key_private(key));
    alksec_key_free(key);
}

/* bitcoin/bips, bip-0032.mediawiki, test vector 1; test vector 3 keeps leading zeros. */
static void published_keys_have_their_text(void **state)
{
    (void)state;
    if (!has_secp256k1()) {
        skip();
    }
    check_chain(
        "000102030405060708090a0b0c0d0e0f", "m/0'/1",
        "xprv9wTYmMFdV23N2TdNG573QoEsfRrWKQgWeibmLntzniatZvR9BmLnvSxqu53Kw1UmYPxLgboyZQaXwTC"
        "g8MSY3H2EU4pWcQDnRnrVA1xe8fs",
        "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyY"
        "q527Hqck2AxYysAA7xmALppuCkwQ");
    check_chain(
        "4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4acba45d239319ac14f86"
        "3b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be",
        "m/0'",
        "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUd"
        "JCVVFceUvJFjaPdGZ2y9WACViL4L",
        "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9"
        "MYo6oDaPPLPxSb7gwQN3ih19Zm4Y");
}

static void all_vectors_pass(void **state)
{
    (void)state;
    yyjson_doc *doc = vectors(VECTORS "bip32-vectors.json");
    yyjson_val *set, *chain;
    size_t i, n, k, m, count = 0;

    if (!has_secp256k1()) {
        yyjson_doc_free(doc);
        skip();
    }
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "valid"), i, n, set)
    {
        yyjson_arr_foreach(yyjson_obj_get(set, "chains"), k, m, chain)
        {
            check_chain(text_of(set, "seed"), text_of(chain, "path"), text_of(chain, "xprv"),
                        text_of(chain, "xpub"));
            count++;
        }
    }
    print_message("%zu keys\n", count);
    assert_int_equal(count, 17);
    yyjson_doc_free(doc);
}

static alksec_err error_for(const char *reason)
{
    static const struct {
        const char *word;
        alksec_err err;
    } errors[] = {{"checksum", ALKSEC_E_XKEY_CHECKSUM},   {"unknown", ALKSEC_E_XKEY_VERSION},
                  {"zero depth", ALKSEC_E_XKEY_ROOT},     {"mismatch", ALKSEC_E_XKEY_VALUE},
                  {"prefix", ALKSEC_E_XKEY_VALUE},        {"not in 1..n-1", ALKSEC_E_XKEY_VALUE},
                  {"invalid pubkey", ALKSEC_E_XKEY_VALUE}};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strstr(reason, errors[i].word) != NULL) {
            return errors[i].err;
        }
    }
    fail_msg("no error for: %s", reason);
    return ALKSEC_OK;
}

static void all_invalid_vectors_are_refused_for_their_reason(void **state)
{
    (void)state;
    yyjson_doc *doc = vectors(VECTORS "bip32-vectors.json");
    yyjson_val *one;
    size_t i, n, count = 0;

    if (!has_secp256k1()) {
        yyjson_doc_free(doc);
        skip();
    }
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "invalid"), i, n, one)
    {
        struct alksec_key *key = NULL;
        check_sec(parse(text_of(one, "key"), &key), error_for(text_of(one, "reason")));
        assert_null(key);
        count++;
    }
    print_message("%zu keys refused\n", count);
    assert_int_equal(count, 16);
    yyjson_doc_free(doc);
}

static const char root[] =
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxW"
    "Utg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";

static void text_that_is_no_key_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "1",
                                        "x",
                                        "xprv",
                                        "xprv0",
                                        "0OIl",
                                        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy",
                                        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
                                        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
                                        "zzzzzzzzzzzzzzzzzzz"};
    struct alksec_key *key = NULL;
    char text[2 * ALKSEC_XKEY_SIZE];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_sec(parse(texts[i], &key), ALKSEC_E_XKEY);
    }
    (void)snprintf(text, sizeof text, "%s1", root);
    check_sec(parse(text, &key), ALKSEC_E_XKEY); /* 83 bytes */
    (void)snprintf(text, sizeof text, "1%s", root);
    check_sec(parse(text, &key), ALKSEC_E_XKEY); /* another text of the same number */
    (void)snprintf(text, sizeof text, "%s ", root);
    check_sec(parse(text, &key), ALKSEC_E_XKEY);
    check_sec(alksec_key_parse(NULL, "xprv\0", 5, &key), ALKSEC_E_XKEY);
    check_sec(alksec_key_parse(NULL, root, SIZE_MAX, &key), ALKSEC_E_XKEY);
    assert_null(key);
}

static void every_wrong_letter_is_noticed(void **state)
{
    (void)state;
    char text[sizeof root];
    struct alksec_key *key = NULL;
    for (size_t i = 0; i + 1 < sizeof root; i++) {
        memcpy(text, root, sizeof root);
        text[i] = text[i] == 'z' ? 'y' : 'z';
        alksec_err err = parse(text, &key);
        assert_true(err == ALKSEC_E_XKEY_CHECKSUM || err == ALKSEC_E_XKEY);
        check_sec(alksec_key_parse(NULL, root, i, &key), ALKSEC_E_XKEY);
    }
    assert_null(key);
}

/* A public key leads to the same children as its private one. */
static void children_of_both_kinds_agree(void **state)
{
    (void)state;
    const struct alksec_path open = path_of("m/7/2147483647"), hardened = path_of("m/7/0'");
    struct alksec_key *parent, *child, *public_parent, *public_child = NULL;
    char text[ALKSEC_XKEY_SIZE], public_text[ALKSEC_XKEY_SIZE];

    if (!has_secp256k1()) {
        skip();
    }
    check_sec(parse(root, &parent), ALKSEC_OK);
    check_sec(alksec_key_print_xpub(parent, text), ALKSEC_OK);
    check_sec(parse(text, &public_parent), ALKSEC_OK);
    check_sec(alksec_key_child(NULL, public_parent, &hardened, &public_child), ALKSEC_E_INVALID);
    assert_null(public_child);
    check_sec(alksec_key_child(NULL, public_parent, &open, &public_child), ALKSEC_OK);
    check_sec(alksec_key_child(NULL, parent, &open, &child), ALKSEC_OK);
    check_sec(alksec_key_print_xpub(child, text), ALKSEC_OK);
    check_sec(alksec_key_print_xpub(public_child, public_text), ALKSEC_OK);
    assert_string_equal(text, public_text);
    assert_null(alksec_key_private(public_child));
    alksec_key_free(child);
    alksec_key_free(public_child);
    alksec_key_free(parent);
    alksec_key_free(public_parent);
}

static void a_child_is_what_the_whole_path_gives(void **state)
{
    (void)state;
    const struct alksec_path tail = path_of("m/1/2'"), none = path_of("m");
    for (int i = 0; i < 2; i++) {
        enum alksec_curve curve = i == 0 ? ALKSEC_ED25519 : ALKSEC_SECP256K1;
        struct alksec_path head = path_of("m/0'"), rest = tail, whole = path_of("m/0'/1/2'");
        const uint8_t seed[32] = {9};
        struct alksec_key *want, *parent, *child, *same;
        if (curve == ALKSEC_SECP256K1 && !has_secp256k1()) {
            continue;
        }
        if (curve == ALKSEC_ED25519) {
            rest.index[0] |= ALKSEC_HARDENED;
            whole.index[1] |= ALKSEC_HARDENED;
        }
        check_sec(alksec_key_derive(NULL, curve, seed, sizeof seed, &whole, &want), ALKSEC_OK);
        check_sec(alksec_key_derive(NULL, curve, seed, sizeof seed, &head, &parent), ALKSEC_OK);
        check_sec(alksec_key_child(NULL, parent, &rest, &child), ALKSEC_OK);
        check_sec(alksec_key_child(NULL, child, &none, &same), ALKSEC_OK);
        assert_memory_equal(alksec_key_private(child), alksec_key_private(want), 32);
        assert_memory_equal(alksec_key_private(same), alksec_key_private(want), 32);
        assert_memory_equal(alksec_key_chain_code(child), alksec_key_chain_code(want), 32);
        alksec_key_free(want);
        alksec_key_free(parent);
        alksec_key_free(child);
        alksec_key_free(same);
    }
}

static void keys_are_at_most_255_steps_deep(void **state)
{
    (void)state;
    const struct alksec_path step = path_of("m/1");
    struct alksec_key *key, *next = NULL;

    if (!has_secp256k1()) {
        skip();
    }
    check_sec(parse(root, &key), ALKSEC_OK);
    for (int i = 0; i < 255; i++) {
        check_sec(alksec_key_child(NULL, key, &step, &next), ALKSEC_OK);
        alksec_key_free(key);
        key = next;
    }
    next = NULL;
    check_sec(alksec_key_child(NULL, key, &step, &next), ALKSEC_E_TOO_BIG);
    assert_null(next);
    alksec_key_free(key);
}

static void ed25519_keys_have_no_such_text(void **state)
{
    (void)state;
    const uint8_t seed[16] = {0};
    const struct alksec_path path = path_of("m/0'");
    struct alksec_key *key;
    char text[ALKSEC_XKEY_SIZE];
    check_sec(alksec_key_derive(NULL, ALKSEC_ED25519, seed, sizeof seed, &path, &key), ALKSEC_OK);
    check_sec(alksec_key_print_xprv(key, text), ALKSEC_E_INVALID);
    check_sec(alksec_key_print_xpub(key, text), ALKSEC_E_INVALID);
    alksec_key_free(key);
}

static alksec_err parse_and_descend(const struct alksec_mem *mem)
{
    const struct alksec_path path = path_of("m/0'/1");
    struct alksec_key *key = NULL, *child = NULL;
    alksec_err err = alksec_key_parse(mem, root, sizeof root - 1, &key);
    if (err == ALKSEC_OK) {
        err = alksec_key_child(mem, key, &path, &child);
        alksec_key_free(key);
    }
    if (err == ALKSEC_OK) {
        alksec_key_free(child);
    }
    return err;
}

static void no_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    if (!has_secp256k1()) {
        skip();
    }
    sec_sweep(parse_and_descend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_keys_have_their_text),
        cmocka_unit_test(all_vectors_pass),
        cmocka_unit_test(all_invalid_vectors_are_refused_for_their_reason),
        cmocka_unit_test(text_that_is_no_key_is_refused),
        cmocka_unit_test(every_wrong_letter_is_noticed),
        cmocka_unit_test(children_of_both_kinds_agree),
        cmocka_unit_test(a_child_is_what_the_whole_path_gives),
        cmocka_unit_test(keys_are_at_most_255_steps_deep),
        cmocka_unit_test(ed25519_keys_have_no_such_text),
        cmocka_unit_test(no_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
