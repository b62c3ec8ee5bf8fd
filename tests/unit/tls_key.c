/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/key.h"

#include "base/text.h"
#include "support/oom.h"

/* Made for this test with ssh-keygen and openssl genpkey; used nowhere else. */
static const char OPENSSH[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACBJcQHXN6uWfHn8fkWc+fFaXUsZ8p7aMgDCw+1SMRtbQAAAAJjTGIPz0xiD\n"
    "8wAAAAtzc2gtZWQyNTUxOQAAACBJcQHXN6uWfHn8fkWc+fFaXUsZ8p7aMgDCw+1SMRtbQA\n"
    "AAAECUEmyqVkzDM/zDfn+Sf2rK/0K49T6wx5PxzEocn8uSEUlxAdc3q5Z8efx+RZz58Vpd\n"
    "SxnyntoyAMLD7VIxG1tAAAAAD3NvbWVvbmVAZXhhbXBsZQECAwQFBg==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
#define OPENSSH_SEED   "94126caa564cc333fcc37e7f927f6acaff42b8f53eb0c793f1cc4a1c9fcb9211"
#define OPENSSH_PUBLIC "497101d737ab967c79fc7e459cf9f15a5d4b19f29eda3200c2c3ed52311b5b40"

static const char OPENSSH_ENCRYPTED[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDIkUvusS\n"
    "1LrHhPcKNyh/XSAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIBtp8U5plp3NLw+g\n"
    "kxC4QMAVsarfZhWDD14Y0s116qtqAAAAkJ9GKU4kNac0qUL4G5hWJkvlwWO0iQu1rNRlP7\n"
    "lvTJYgSB2ebzja3MB9rA4X0fCrbplakhFl2zfeltuWS90QqAY8Xl5G59bgSxuj55GqtbMo\n"
    "dU2iNR+9gKIuJHH1qLCatXQYV12JR0oOOSjAB/j1L7A34LUPQlozGytUc1OuM8fKFtK/xM\n"
    "6Auy6Cw6hPkSuFHg==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

static const char PKCS8[] = "-----BEGIN PRIVATE KEY-----\n"
                            "MC4CAQAwBQYDK2VwBCIEINVSJLq2g+KUYl9HdYSlbyUNLiTv6VuiXlwapOaks4ta\n"
                            "-----END PRIVATE KEY-----\n";
#define PKCS8_SEED   "d55224bab683e294625f477584a56f250d2e24efe95ba25e5c1aa4e6a4b38b5a"
#define PKCS8_PUBLIC "03d3e1c8e589302d2be80ee9f8816940f6aaa7c3c969d132ff3e481e70f53374"

/* [RFC 8410 §10.3] with an attribute and the public key */
static const char PKCS8_V2[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                               "oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n"
                               "Z9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                               "-----END PRIVATE KEY-----\n";
#define PKCS8_V2_SEED   "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
#define PKCS8_V2_PUBLIC "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"

static const char PKCS8_ENCRYPTED[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgxWe/wpcWO7QICCAAw\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char EC_SEC1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                              "MHcCAQEEILVOUp7bdueSsw43FKt/x59DmmG447UIlGW93OzbBwI7oAoGCCqGSM49\n"
                              "-----END EC PRIVATE KEY-----\n";
static const char EC_PKCS8[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtU5Sntt255KzDjcU\n"
                               "q3/Hn0OaYbjjtQiUZb3c7NsHAjuhRANCAARwZoA195Q1UD+lCyLzabhRy0Yg9rT+\n"
                               "uwrTolyQeny65MLvFvQTlA1CM55ZpS6W35wc9WWIIRGHX5I0Hv2yawVJ\n"
                               "-----END PRIVATE KEY-----\n";

static void check_hex(const uint8_t p[static 32], const char *want)
{
    char hex[ALK_HEX_SIZE(32)];
    assert_true(alk_hex(alk_span(p, 32), hex, sizeof hex));
    assert_string_equal(hex, want);
}

static void key_files_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *seed, *public_key;
    } rows[] = {
        {OPENSSH, OPENSSH_SEED, OPENSSH_PUBLIC},
        {PKCS8, PKCS8_SEED, PKCS8_PUBLIC},
        {PKCS8_V2, PKCS8_V2_SEED, PKCS8_V2_PUBLIC},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t seed[32], public_key[32];
        check_err(alk_key_parse_seed(alk_span_str(rows[i].text), seed), ALK_OK);
        check_hex(seed, rows[i].seed);
        alk_key_public_of(seed, public_key);
        check_hex(public_key, rows[i].public_key);
    }
}

/* The text with \n made \r\n, spaces around, words before. */
static void files_from_other_systems_are_read(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 4096);
    check_err(alk_buf_put_str(&b, "Bag Attributes\r\n  name: x\r\n\r\n"), ALK_OK);
    struct alk_span text = alk_span_str(OPENSSH);
    while (text.n > 0) {
        struct alk_span line = alk_span_cut(&text, '\n');
        check_err(alk_buf_put_str(&b, "  "), ALK_OK);
        check_err(alk_buf_put(&b, line), ALK_OK);
        check_err(alk_buf_put_str(&b, " \r\n"), ALK_OK);
    }
    uint8_t seed[32];
    check_err(alk_key_parse_seed(alk_buf_span(&b), seed), ALK_OK);
    check_hex(seed, OPENSSH_SEED);
    alk_buf_fini(&b);
}

static void what_cannot_be_used_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        alk_err want;
        const char *hint;
    } rows[] = {
        {OPENSSH_ENCRYPTED, ALK_E_UNSUPPORTED, "encrypted"},
        {PKCS8_ENCRYPTED, ALK_E_UNSUPPORTED, "ssh-keygen -p"},
        {EC_SEC1, ALK_E_INVALID, "not Ed25519"},
        {EC_PKCS8, ALK_E_INVALID, "ssh-keygen -t ed25519"},
        {"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", ALK_E_INVALID,
         "not Ed25519"},
        {"", ALK_E_MALFORMED, "not a private key"},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIElxAdc3 someone", ALK_E_MALFORMED,
         "not a private key"},
        {"-----BEGIN PRIVATE KEY-----\n", ALK_E_MALFORMED, "not a private key"},
        {"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n", ALK_E_MALFORMED,
         "not a private key"},
        {"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", ALK_E_MALFORMED,
         "not a private key"},
    };
    uint8_t seed[32];
    memset(seed, 0xaa, sizeof seed);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        alk_err err = alk_key_parse_seed(alk_span_str(rows[i].text), seed);
        check_err(err, rows[i].want);
        assert_non_null(strstr(alk_key_parse_text(err), rows[i].hint));
        assert_int_equal(seed[0], 0xaa); /* untouched */
    }
}

static void a_file_that_is_too_big_is_not_read(void **state)
{
    (void)state;
    static char text[ALK_KEY_FILE_MAX + 1];
    memset(text, '\n', sizeof text);
    memcpy(text, PKCS8, sizeof PKCS8 - 1);
    uint8_t seed[32];
    check_err(alk_key_parse_seed(alk_span(text, sizeof text), seed), ALK_E_TOO_BIG);
    check_err(alk_key_parse_seed(alk_span(text, sizeof text - 1), seed), ALK_OK);
    /* A body longer than any key. */
    memset(text, 'A', sizeof text);
    memcpy(text, "-----BEGIN PRIVATE KEY-----\n", 28);
    check_err(alk_key_parse_seed(alk_span(text, sizeof text - 1), seed), ALK_E_TOO_BIG);
}

/* A PEM around these bytes. */
static alk_err parse_pem(const char *label, struct alk_span body, uint8_t seed[static 32])
{
    char b64[4096];
    struct alk_buf b;
    alk_buf_init(&b, NULL, 8192);
    assert_true(alk_base64(body, b64, sizeof b64));
    check_err(alk_buf_printf(&b, "-----BEGIN %s-----\n%s\n-----END %s-----\n", label, b64, label),
              ALK_OK);
    alk_err err = alk_key_parse_seed(alk_buf_span(&b), seed);
    alk_buf_fini(&b);
    return err;
}

static struct alk_span body_of(const char *pem, uint8_t *dst, size_t size)
{
    char b64[4096];
    size_t n = 0, at = 0;
    struct alk_span text = alk_span_str(pem);
    (void)alk_span_cut(&text, '\n');
    while (text.n > 0) {
        struct alk_span line = alk_span_cut(&text, '\n');
        if (line.n > 0 && line.p[0] != '-') {
            memcpy(b64 + at, line.p, line.n);
            at += line.n;
        }
    }
    check_err(alk_unbase64(alk_span(b64, at), dst, size, &n), ALK_OK);
    return alk_span(dst, n);
}

static void every_byte_of_a_pkcs8_key_counts(void **state)
{
    (void)state;
    uint8_t der[256], seed[32];
    struct alk_span whole = body_of(PKCS8_V2, der, sizeof der);
    for (size_t n = 0; n < whole.n; n++) {
        assert_int_not_equal(parse_pem("PRIVATE KEY", alk_span_head(whole, n), seed), ALK_OK);
    }
    der[whole.n] = 0; /* one byte more */
    check_err(parse_pem("PRIVATE KEY", alk_span(der, whole.n + 1), seed), ALK_E_MALFORMED);
    der[whole.n - 1] ^= 1; /* a public key of somebody else */
    check_err(parse_pem("PRIVATE KEY", whole, seed), ALK_E_MALFORMED);
}

static void every_byte_of_an_openssh_key_counts(void **state)
{
    (void)state;
    uint8_t body[512], seed[32];
    struct alk_span whole = body_of(OPENSSH, body, sizeof body);
    check_err(parse_pem("OPENSSH PRIVATE KEY", whole, seed), ALK_OK);
    for (size_t n = 0; n < whole.n; n++) {
        assert_int_not_equal(parse_pem("OPENSSH PRIVATE KEY", alk_span_head(whole, n), seed),
                             ALK_OK);
    }
    /* In turn: magic, the number of keys, a check number, the public key, the seed,
     * the public key again, padding. */
    static const size_t at[] = {3, 38, 98, 130, 170, 200, 246};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        body[at[i]] ^= 1;
        assert_int_not_equal(parse_pem("OPENSSH PRIVATE KEY", whole, seed), ALK_OK);
        body[at[i]] ^= 1;
    }
    memcpy(body + 110, "ssh-another", 11);
    check_err(parse_pem("OPENSSH PRIVATE KEY", whole, seed), ALK_E_INVALID);
}

static void look(struct alk_span in, void *ctx)
{
    uint8_t seed[32];
    (void)ctx;
    alk_err err = alk_key_parse_seed(in, seed);
    (void)err;
}

static void look_inside(struct alk_span in, void *ctx)
{
    uint8_t seed[32];
    const char *label = ctx;
    if (in.n < 2048) {
        alk_err err = parse_pem(label, in, seed);
        (void)err;
    }
}

static void no_file_crashes_the_reader(void **state)
{
    (void)state;
    uint8_t body[512];
    char openssh[] = "OPENSSH PRIVATE KEY";
    char pkcs8[] = "PRIVATE KEY";
    check_mutations(alk_span_str(OPENSSH), look, NULL);
    check_mutations(alk_span_str(PKCS8_V2), look, NULL);
    check_mutations(body_of(OPENSSH, body, sizeof body), look_inside, openssh);
    check_mutations(body_of(PKCS8_V2, body, sizeof body), look_inside, pkcs8);
}

static void what_is_printed_is_read_again(void **state)
{
    (void)state;
    uint8_t seed[32], back[32];
    struct alk_buf b;
    check_err(alk_key_parse_seed(alk_span_str(PKCS8), seed), ALK_OK);
    alk_buf_init(&b, NULL, 4096);
    check_err(alk_key_print_pem(seed, &b), ALK_OK);
    check_text(alk_buf_span(&b), PKCS8);
    check_err(alk_key_parse_seed(alk_buf_span(&b), back), ALK_OK);
    assert_memory_equal(seed, back, 32);
    alk_buf_fini_secret(&b);
    alk_buf_init(&b, NULL, 20);
    check_err(alk_key_print_pem(seed, &b), ALK_E_TOO_BIG);
    alk_buf_fini(&b);
}

static alk_err make_key(const struct alk_mem *mem, void *ctx)
{
    static const uint8_t seed[32] = {1};
    struct alk_key *key = NULL;
    (void)ctx;
    ALK_TRY(alk_key_new(mem, seed, &key));
    uint8_t public_key[32];
    alk_key_public_of(seed, public_key);
    assert_memory_equal(alk_key_public(key), public_key, 32);
    alk_key_free(key);
    alk_key_free(NULL);
    return ALK_OK;
}

static void a_key_knows_its_public_half(void **state)
{
    (void)state;
    oom_sweep(make_key, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_files_are_read),
        cmocka_unit_test(files_from_other_systems_are_read),
        cmocka_unit_test(what_cannot_be_used_says_so),
        cmocka_unit_test(a_file_that_is_too_big_is_not_read),
        cmocka_unit_test(every_byte_of_a_pkcs8_key_counts),
        cmocka_unit_test(every_byte_of_an_openssh_key_counts),
        cmocka_unit_test(no_file_crashes_the_reader),
        cmocka_unit_test(what_is_printed_is_read_again),
        cmocka_unit_test(a_key_knows_its_public_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
