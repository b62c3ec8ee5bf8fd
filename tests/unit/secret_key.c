/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "secret_test.h"

static alksec_err derive(enum alksec_curve curve, const char *seed_hex, const char *path_text,
                         struct alksec_key **ret)
{
    uint8_t seed[64];
    struct alksec_path path;
    size_t n = unhex(seed_hex, seed, sizeof seed);
    check_sec(alksec_path_parse(path_text, strlen(path_text), &path), ALKSEC_OK);
    return alksec_key_derive(NULL, curve, seed, n, &path, ret);
}

static void check_chain(enum alksec_curve curve, const char *seed, const char *path,
                        const char *chain_code, const char *private_key, const char *public_key)
{
    struct alksec_key *key;
    size_t n;
    check_sec(derive(curve, seed, path, &key), ALKSEC_OK);
    check_hex(alksec_key_chain_code(key), 32, chain_code);
    check_hex(alksec_key_private(key), 32, private_key);
    const uint8_t *public_bytes = alksec_key_public(key, &n);
    /* SLIP-0010 writes a zero byte before an Ed25519 key. */
    check_hex(public_bytes, n, public_key + (curve == ALKSEC_ED25519 ? 2 : 0));
    assert_int_equal(alksec_key_curve(key), curve);
    alksec_key_free(key);
}

/* satoshilabs/slips, slip-0010.md, test vector 1 for ed25519 */
static void published_paths_give_their_keys(void **state)
{
    (void)state;
    check_chain(ALKSEC_ED25519, "000102030405060708090a0b0c0d0e0f", "m/0'/1'/2'/2'/1000000000'",
                "68789923a0cac2cd5a29172a475fe9e0fb14cd6adb5ad98a3fa70333e7afa230",
                "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
                "003c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a");
}

static void all_vectors_pass(void **state)
{
    (void)state;
    yyjson_doc *doc = vectors(VECTORS "slip10-vectors.json");
    yyjson_val *set, *chain;
    size_t i, n, k, m, count = 0;

    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, set)
    {
        const char *curve = text_of(set, "curve");
        bool is_ed = strcmp(curve, "ed25519") == 0;
        if (!is_ed && strcmp(curve, "secp256k1") != 0) {
            continue;
        }
        yyjson_arr_foreach(yyjson_obj_get(set, "chains"), k, m, chain)
        {
            struct alksec_key *key;
            enum alksec_curve c = is_ed ? ALKSEC_ED25519 : ALKSEC_SECP256K1;
            if (derive(c, text_of(set, "seed"), "m", &key) == ALKSEC_E_UNSUPPORTED) {
                continue;
            }
            alksec_key_free(key);
            check_chain(c, text_of(set, "seed"), text_of(chain, "path"),
                        text_of(chain, "chain_code"), text_of(chain, "private"),
                        text_of(chain, "public"));
            count++;
        }
    }
    print_message("%zu chains\n", count);
    assert_true(count >= 12);
    yyjson_doc_free(doc);
}

static void an_open_index_is_refused_for_ed25519(void **state)
{
    (void)state;
    struct alksec_key *key = NULL;
    check_sec(derive(ALKSEC_ED25519, "000102030405060708090a0b0c0d0e0f", "m/0'/1", &key),
              ALKSEC_E_HARDENED);
    assert_non_null(strstr(alksec_err_text(ALKSEC_E_HARDENED), "hardened"));
    assert_null(key);
}

static void seeds_of_other_sizes_are_refused(void **state)
{
    (void)state;
    const uint8_t seed[65] = {0};
    const struct alksec_path master = {.depth = 0}, deep = {.depth = ALKSEC_PATH_MAX + 1};
    struct alksec_key *key = NULL;
    for (size_t n = 0; n <= 65; n++) {
        alksec_err err = alksec_key_derive(NULL, ALKSEC_ED25519, seed, n, &master, &key);
        check_sec(err, n >= 16 && n <= 64 ? ALKSEC_OK : ALKSEC_E_INVALID);
        if (err == ALKSEC_OK) {
            alksec_key_free(key);
        }
    }
    check_sec(alksec_key_derive(NULL, ALKSEC_ED25519, seed, 64, &deep, &key), ALKSEC_E_INVALID);
}

static alksec_err derive_both(const struct alksec_mem *mem)
{
    const uint8_t seed[64] = {1};
    struct alksec_path path;
    struct alksec_key *key = NULL;
    check_sec(alksec_path_identity(0, &path), ALKSEC_OK);
    alksec_err err = alksec_key_derive(mem, ALKSEC_ED25519, seed, sizeof seed, &path, &key);
    if (err == ALKSEC_OK) {
        alksec_key_free(key);
        err = alksec_key_derive(mem, ALKSEC_SECP256K1, seed, sizeof seed, &path, &key);
        if (err == ALKSEC_OK) {
            alksec_key_free(key);
        }
    }
    return err == ALKSEC_E_UNSUPPORTED ? ALKSEC_OK : err;
}

static void no_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    sec_sweep(derive_both);
}

/* --- paths -------------------------------------------------------------------------- */

static void paths_are_read_and_printed(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"m", "m"},
        {"m/0", "m/0"},
        {"m/74'/0'/0'/0'", "m/74'/0'/0'/0'"},
        {"m/44h/60h/0h/0/0", "m/44'/60'/0'/0/0"},
        {"m/2147483647'", "m/2147483647'"},
        {"m/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", "m/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"},
        {"m/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", NULL},
        {"m/2147483648", NULL},
        {"m/99999999999", NULL},
        {"m/18446744073709551616", NULL},
        {"m/01", NULL},
        {"m/00", NULL},
        {"m/", NULL},
        {"m/0'/", NULL},
        {"m//0", NULL},
        {"m/0''", NULL},
        {"m/0H", NULL},
        {"m/-1", NULL},
        {"m/ 1", NULL},
        {"M/0", NULL},
        {"/0", NULL},
        {"0", NULL},
        {"mm", NULL},
        {"", NULL},
    };
    char text[ALKSEC_PATH_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alksec_path path;
        alksec_err err = alksec_path_parse(cases[i].in, strlen(cases[i].in), &path);
        check_sec(err, cases[i].out == NULL ? ALKSEC_E_PATH : ALKSEC_OK);
        if (err == ALKSEC_OK) {
            alksec_path_print(&path, text);
            assert_string_equal(text, cases[i].out);
        }
    }
}

static void check_fixed(alksec_err err, const struct alksec_path *path, const char *want)
{
    char text[ALKSEC_PATH_SIZE];
    check_sec(err, ALKSEC_OK);
    alksec_path_print(path, text);
    assert_string_equal(text, want);
}

static void the_fixed_paths_are_where_they_are(void **state)
{
    (void)state;
    struct alksec_path p = {.depth = 0};
    check_fixed(alksec_path_identity(0, &p), &p, "m/74'/0'/0'/0'");
    check_fixed(alksec_path_identity(7, &p), &p, "m/74'/0'/0'/7'");
    check_fixed(alksec_path_host_key(3, &p), &p, "m/74'/0'/1'/3'");
    check_fixed(alksec_path_encryption(2, &p), &p, "m/74'/2'/0'/0'");
    check_fixed(alksec_path_encryption(9, &p), &p, "m/74'/2'/0'/7'");
    check_fixed(alksec_path_encryption(UINT32_C(0x80000001), &p), &p, "m/74'/2'/0'/2147483647'");
    alksec_path_ethereum(&p);
    check_fixed(ALKSEC_OK, &p, "m/44'/60'/0'/0/0");
    check_sec(alksec_path_identity(ALKSEC_HARDENED, &p), ALKSEC_E_INVALID);
    check_sec(alksec_path_host_key(UINT32_MAX, &p), ALKSEC_E_INVALID);
    check_sec(alksec_path_encryption(0, &p), ALKSEC_E_VERSION);
    check_sec(alksec_path_encryption(1, &p), ALKSEC_E_VERSION);
    check_sec(alksec_path_encryption(UINT32_C(0x80000002), &p), ALKSEC_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_paths_give_their_keys),
        cmocka_unit_test(all_vectors_pass),
        cmocka_unit_test(an_open_index_is_refused_for_ed25519),
        cmocka_unit_test(seeds_of_other_sizes_are_refused),
        cmocka_unit_test(no_memory_is_an_error_and_no_leak),
        cmocka_unit_test(paths_are_read_and_printed),
        cmocka_unit_test(the_fixed_paths_are_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
