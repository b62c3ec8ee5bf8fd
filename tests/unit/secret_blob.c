/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "secret_test.h"

#include "secret/gcm.h"

static const uint8_t key[ALKSEC_KEY] = {1, 2, 3};
static const struct alksec_span none;

/* C2SP/wycheproof, testvectors_v1/aes_gcm_test.json */
static void aes_gcm_agrees_with_wycheproof(void **state)
{
    (void)state;
    yyjson_doc *doc = vectors(ALK_VECTORS_DIR "/10-crypto/wycheproof/aes_gcm_test.json");
    yyjson_val *groups = yyjson_obj_get(yyjson_doc_get_root(doc), "testGroups"), *group, *one;
    size_t i, n, j, m, count = 0, refused = 0;
    uint8_t k[32], iv[4096], aad[4096], msg[4096], ct[4200], out[4200];

    yyjson_arr_foreach(groups, i, n, group)
    {
        yyjson_arr_foreach(yyjson_obj_get(group, "tests"), j, m, one)
        {
            struct alksec_gcm g = {{k, unhex(text_of(one, "key"), k, sizeof k)},
                                   {iv, unhex(text_of(one, "iv"), iv, sizeof iv)},
                                   {aad, unhex(text_of(one, "aad"), aad, sizeof aad)}};
            size_t msg_n = unhex(text_of(one, "msg"), msg, sizeof msg);
            size_t ct_n = unhex(text_of(one, "ct"), ct, sizeof ct);
            ct_n += unhex(text_of(one, "tag"), ct + ct_n, sizeof ct - ct_n);
            bool is_valid = strcmp(text_of(one, "result"), "valid") == 0;
            alksec_err err = alksec_gcm_open(&g, (struct alksec_bytes){ct, ct_n}, out);
            if (g.iv.n != ALKSEC_GCM_IV) {
                check_sec(err, ALKSEC_E_INVALID); /* blobs have IVs of 12 bytes only */
                refused++;
                continue;
            }
            count++;
            check_sec(err, is_valid ? ALKSEC_OK : ALKSEC_E_OPEN);
            if (is_valid) {
                assert_memory_equal(out, msg, msg_n);
                check_sec(alksec_gcm_seal(&g, (struct alksec_bytes){msg, msg_n}, out), ALKSEC_OK);
                assert_memory_equal(out, ct, ct_n);
            }
        }
    }
    print_message("%zu cases, %zu with other IVs refused\n", count, refused);
    assert_int_equal(count + refused, 316);
    yyjson_doc_free(doc);
}

static size_t seal(struct alksec_span plain, struct alksec_span context, char *ret, size_t size)
{
    size_t n = 0;
    check_sec(alksec_blob_seal(NULL, NULL, 2, key, plain, context, ret, size, &n), ALKSEC_OK);
    assert_int_equal(strlen(ret), n);
    return n;
}

static alksec_err open_text(const char *text, struct alksec_span context)
{
    uint8_t out[4096];
    size_t n;
    return alksec_blob_open(NULL, (struct alksec_span){text, strlen(text)}, key, context, out,
                            sizeof out, &n);
}

static void a_value_comes_back(void **state)
{
    (void)state;
    static char text[4096];
    uint8_t plain[1024], out[1024];
    memset(plain, 'x', sizeof plain);
    for (size_t n = 0; n <= sizeof plain; n += 31) {
        size_t got = 99;
        size_t text_n = seal((struct alksec_span){plain, n}, none, text, sizeof text);
        const struct alksec_span blob = {text, text_n};
        check_sec(alksec_blob_open(NULL, blob, key, none, out, n, &got), ALKSEC_OK);
        assert_int_equal(got, n);
        assert_memory_equal(out, plain, n);
        if (n > 0) {
            check_sec(alksec_blob_open(NULL, blob, key, none, out, n - 1, &got), ALKSEC_E_TOO_BIG);
        }
        uint32_t version = 0;
        check_sec(alksec_blob_version(NULL, blob, &version), ALKSEC_OK);
        assert_int_equal(version, 2);
    }
}

/* Made by OpenSSL's AES-256-GCM: the bytes of the JSON are part of the contract. */
static void a_known_value_has_known_text(void **state)
{
    (void)state;
    uint8_t next = 0;
    const struct alksec_random random = {count_up, &next};
    char text[512];
    size_t n;
    check_sec(
        alksec_blob_seal(NULL, &random, 2, key, SPAN("secret"), SPAN("a.b"), text, sizeof text, &n),
        ALKSEC_OK);
    assert_string_equal(
        text,
        "{\"key_version\":2,\"salt\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka"
        "GxwdHh8=\",\"iv\":\"ICEiIyQlJicoKSor\",\"data\":\"yP3H9i7AayE7WY5OFajFi1qIHxQ7/w==\","
        "\"context\":\"a.b\"}");
}

static void a_blob_stays_where_it_belongs(void **state)
{
    (void)state;
    static char text[4096], moved[4096];
    seal(SPAN("v"), SPAN("services.http.token"), text, sizeof text);
    check_sec(open_text(text, SPAN("services.http.token")), ALKSEC_OK);
    check_sec(open_text(text, none), ALKSEC_OK);
    check_sec(open_text(text, SPAN("services.http.tokem")), ALKSEC_E_OPEN);
    /* Another place written into the blob, or none. */
    (void)snprintf(moved, sizeof moved, "%s", text);
    strstr(moved, "http.token")[0] = 'x';
    check_sec(open_text(moved, SPAN("services.xttp.token")), ALKSEC_E_OPEN);
    check_sec(open_text(moved, none), ALKSEC_E_OPEN);
    (void)snprintf(strstr(text, ",\"context\""), 2, "}");
    check_sec(open_text(text, none), ALKSEC_E_OPEN);
    seal(SPAN("v"), none, text, sizeof text);
    check_sec(open_text(text, SPAN("a")), ALKSEC_E_OPEN);
}

static void another_key_and_a_changed_blob_look_alike(void **state)
{
    (void)state;
    static char text[4096];
    uint8_t other[ALKSEC_KEY] = {1, 2, 4}, out[64];
    size_t got = 77, n = seal(SPAN("v"), none, text, sizeof text);
    memset(out, 'o', sizeof out);
    check_sec(
        alksec_blob_open(NULL, (struct alksec_span){text, n}, other, none, out, sizeof out, &got),
        ALKSEC_E_OPEN);
    assert_int_equal(out[0], 0);
    assert_int_equal(got, 77);
    static const char *const members[] = {"\"iv\":\"", "\"data\":\""};
    for (size_t i = 0; i < 2; i++) {
        char *at = strstr(text, members[i]) + strlen(members[i]);
        char old = *at;
        *at = old == 'A' ? 'B' : 'A';
        check_sec(open_text(text, none), ALKSEC_E_OPEN);
        *at = old;
    }
    check_sec(open_text(text, none), ALKSEC_OK);
}

static void what_is_no_blob_is_refused(void **state)
{
    (void)state;
#define SALT "\"salt\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\""
#define IV   "\"iv\":\"ICEiIyQlJicoKSor\""
#define DATA "\"data\":\"AAAA\""
    static const struct {
        const char *text;
        alksec_err err;
    } cases[] = {
        {"{\"key_version\":2," SALT "," IV "," DATA "}", ALKSEC_E_OPEN},
        {"{\"key_version\":1," SALT "," IV "," DATA "}", ALKSEC_E_VERSION},
        {"{\"key_version\":0," SALT "," IV "," DATA "}", ALKSEC_E_VERSION},
        {"{\"key_version\":-2," SALT "," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2.0," SALT "," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":4294967296," SALT "," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":4294967295," SALT "," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":\"2\"," SALT "," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{" SALT "," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2,\"salt\":\"AAAA\"," IV "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT ",\"iv\":\"AAAA\"," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV ",\"data\":\"A\"}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV ",\"data\":\"AA=A\"}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV ",\"data\":\"AA-_\"}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV ",\"data\":7}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV "," DATA "," DATA "}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV "," DATA ",\"x\":1}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV "," DATA ",\"context\":\"\"}", ALKSEC_E_FORMAT},
        {"{\"key_version\":2," SALT "," IV "," DATA ",\"context\":1}", ALKSEC_E_FORMAT},
        {"[]", ALKSEC_E_FORMAT},
        {"{", ALKSEC_E_FORMAT},
        {"", ALKSEC_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_sec(open_text(cases[i].text, none), cases[i].err);
    }
}

static void sizes_are_limited(void **state)
{
    (void)state;
    size_t size = alksec_blob_size(ALKSEC_PLAIN_MAX, ALKSEC_CONTEXT_MAX), n = 0, got = 0;
    uint8_t *plain = calloc(1, ALKSEC_PLAIN_MAX + 1), *out = malloc(ALKSEC_PLAIN_MAX);
    char *text = malloc(size), context[ALKSEC_CONTEXT_MAX + 1];
    struct alksec_span value = {plain, ALKSEC_PLAIN_MAX};
    struct alksec_span place = {context, ALKSEC_CONTEXT_MAX};

    memset(context, '\x1f', sizeof context); /* the worst that JSON makes of a byte */
    check_sec(alksec_blob_seal(NULL, NULL, 2, key, value, place, text, size, &n), ALKSEC_OK);
    assert_true(n < size && n <= ALKSEC_BLOB_MAX);
    check_sec(alksec_blob_open(NULL, (struct alksec_span){text, n}, key, place, out,
                               ALKSEC_PLAIN_MAX, &got),
              ALKSEC_OK);
    assert_int_equal(got, ALKSEC_PLAIN_MAX);
    check_sec(alksec_blob_seal(NULL, NULL, 2, key, value, place, text, size - 1, &n),
              ALKSEC_E_TOO_BIG);
    value.n++;
    check_sec(alksec_blob_seal(NULL, NULL, 2, key, value, place, text, size, &n), ALKSEC_E_TOO_BIG);
    value.n = 1;
    place.n++;
    check_sec(alksec_blob_seal(NULL, NULL, 2, key, value, place, text, size, &n), ALKSEC_E_TOO_BIG);
    check_sec(alksec_blob_seal(NULL, NULL, 2, key, value, SPAN("\xff"), text, size, &n),
              ALKSEC_E_TEXT);
    check_sec(alksec_blob_seal(NULL, NULL, 1, key, value, none, text, size, &n), ALKSEC_E_VERSION);
    free(plain);
    free(out);
    free(text);
}

static alksec_err seal_and_open(const struct alksec_mem *mem)
{
    char text[512];
    uint8_t out[64];
    size_t n = 0;
    alksec_err err =
        alksec_blob_seal(mem, NULL, 2, key, SPAN("secret"), SPAN("a.b"), text, sizeof text, &n);
    if (err == ALKSEC_OK) {
        err = alksec_blob_open(mem, (struct alksec_span){text, n}, key, SPAN("a.b"), out,
                               sizeof out, &n);
    }
    return err;
}

static void no_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    sec_sweep(seal_and_open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes_gcm_agrees_with_wycheproof),
        cmocka_unit_test(a_value_comes_back),
        cmocka_unit_test(a_known_value_has_known_text),
        cmocka_unit_test(a_blob_stays_where_it_belongs),
        cmocka_unit_test(another_key_and_a_changed_blob_look_alike),
        cmocka_unit_test(what_is_no_blob_is_refused),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(no_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
