/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/creds.h"

#include "core/auth/fingerprint.h"
#include "support/oom.h"
#include "support/tls_world.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#define NOW ((uint64_t)1800000000)
#define DAY ((uint64_t)86400)

static gnutls_x509_crt_t import(const struct alk_buf *pem)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_datum_t d = {.data = pem->p + pem->at, .size = (unsigned)alk_buf_len(pem)};
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_PEM), 0);
    return crt;
}

static void make(const char *const *names, uint64_t lifetime, struct alk_buf *chain,
                 struct alk_buf *key)
{
    alk_buf_init(chain, NULL, 1 << 16);
    alk_buf_init(key, NULL, 1 << 16);
    check_err(alk_tls_self_signed(names, NOW, lifetime, chain, key), ALK_OK);
}

static void a_self_signed_certificate_is_what_browsers_take(void **state)
{
    (void)state;
    static const char *const names[] = {"node.example", "*.wild.example", "192.0.2.7",
                                        "2001:db8::7", NULL};
    static const uint64_t lifetimes[] = {0, 3600, DAY, 13 * DAY, 14 * DAY, 400 * DAY, UINT64_MAX};
    for (size_t i = 0; i < sizeof lifetimes / sizeof lifetimes[0]; i++) {
        struct alk_buf chain, key;
        make(names, lifetimes[i], &chain, &key);
        gnutls_x509_crt_t crt = import(&chain);
        uint64_t from = (uint64_t)gnutls_x509_crt_get_activation_time(crt);
        uint64_t to = (uint64_t)gnutls_x509_crt_get_expiration_time(crt);
        assert_true(from <= NOW && to >= NOW);
        assert_true(to - from < 14 * DAY);
        unsigned bits = 0;
        assert_int_equal(gnutls_x509_crt_get_pk_algorithm(crt, &bits), GNUTLS_PK_ECDSA);
        assert_int_equal(bits, 256);
        assert_int_equal(gnutls_x509_crt_get_version(crt), 3);
        for (size_t k = 0; names[k] != NULL; k++) {
            const char *name = k == 1 ? "a.wild.example" : names[k];
            assert_int_not_equal(gnutls_x509_crt_check_hostname(crt, name), 0);
        }
        assert_int_equal(gnutls_x509_crt_check_hostname(crt, "other.example"), 0);
        assert_int_equal(gnutls_x509_crt_get_ca_status(crt, NULL), 0);
        gnutls_x509_crt_deinit(crt);
        alk_buf_fini(&chain);
        alk_buf_fini_secret(&key);
    }
}

static void serial_numbers_differ(void **state)
{
    (void)state;
    static const char *const names[] = {"a.example", NULL};
    uint8_t serials[2][32];
    size_t n[2] = {32, 32};
    for (size_t i = 0; i < 2; i++) {
        struct alk_buf chain, key;
        make(names, DAY, &chain, &key);
        gnutls_x509_crt_t crt = import(&chain);
        assert_int_equal(gnutls_x509_crt_get_serial(crt, serials[i], &n[i]), 0);
        assert_int_equal(n[i], 16);
        assert_int_equal(serials[i][0] & 0x80, 0);
        gnutls_x509_crt_deinit(crt);
        alk_buf_fini(&chain);
        alk_buf_fini_secret(&key);
    }
    assert_memory_not_equal(serials[0], serials[1], 16);
}

static void names_that_fit_no_certificate_are_refused(void **state)
{
    (void)state;
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *const bad[][2] = {{"", NULL}, {longer, NULL}};
    for (size_t i = 0; i < 2; i++) {
        struct alk_buf chain, key;
        alk_buf_init(&chain, NULL, 1 << 16);
        alk_buf_init(&key, NULL, 1 << 16);
        check_err(alk_tls_self_signed(bad[i], NOW, DAY, &chain, &key), ALK_E_INVALID);
        alk_buf_fini(&chain);
        alk_buf_fini(&key);
    }
}

static void credentials_describe_their_leaf(void **state)
{
    (void)state;
    static const char *const names[] = {"a.example", NULL};
    struct alk_buf chain, key;
    make(names, DAY, &chain, &key);
    struct alk_tls_creds *c = tw_creds_new(TW_BOTH, tw_server_seed, alk_buf_span(&chain),
                                           alk_buf_span(&key), alk_span(NULL, 0));
    uint8_t sha[32], want[32];
    uint64_t from, to;
    assert_true(alk_tls_creds_has_raw_key(c) && alk_tls_creds_has_x509(c));
    assert_true(alk_tls_creds_cert(c, sha, &from, &to));
    gnutls_x509_crt_t crt = import(&chain);
    size_t n = sizeof want;
    assert_int_equal(gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, want, &n), 0);
    assert_memory_equal(sha, want, 32);
    assert_int_equal(from, (uint64_t)gnutls_x509_crt_get_activation_time(crt));
    assert_int_equal(to, (uint64_t)gnutls_x509_crt_get_expiration_time(crt));
    gnutls_x509_crt_deinit(crt);
    assert_ptr_equal(alk_tls_creds_ref(c), c);
    alk_tls_creds_unref(c);
    alk_tls_creds_unref(c);
    alk_tls_creds_unref(NULL);
    c = tw_creds_new(TW_RAW, tw_server_seed, alk_span(NULL, 0), alk_span(NULL, 0),
                     alk_span(NULL, 0));
    assert_false(alk_tls_creds_cert(c, sha, &from, &to));
    assert_false(alk_tls_creds_has_x509(c));
    alk_tls_creds_unref(c);
    alk_buf_fini(&chain);
    alk_buf_fini(&key);
}

static void bad_credentials_say_what_is_wrong(void **state)
{
    (void)state;
    static const char *const names[] = {"a.example", NULL};
    struct alk_buf chain, key, chain2, key2;
    make(names, DAY, &chain, &key);
    make(names, DAY, &chain2, &key2);
    const struct {
        struct alk_span chain, key, ca;
        const char *want;
    } rows[] = {
        {alk_buf_span(&chain), alk_buf_span(&key2), {NULL, 0}, "belongs to another certificate"},
        {alk_buf_span(&chain), {NULL, 0}, {NULL, 0}, "private key is missing"},
        {ALK_LIT("nonsense"), alk_buf_span(&key), {NULL, 0}, "certificate cannot be used"},
        {alk_buf_span(&chain), ALK_LIT("nonsense"), {NULL, 0}, "certificate cannot be used"},
        {{NULL, 0}, {NULL, 0}, ALK_LIT("nonsense"), "CA file cannot be used"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_tls_creds_options o = {
            .chain_pem = rows[i].chain, .key_pem = rows[i].key, .ca_pem = rows[i].ca};
        struct alk_tls_creds *c = NULL;
        char why[160] = "";
        check_err(alk_tls_creds_new(&o, why, sizeof why, &c), ALK_E_CRYPTO);
        assert_null(c);
        assert_non_null(strstr(why, rows[i].want));
        check_err(alk_tls_creds_new(&o, NULL, 0, &c), ALK_E_CRYPTO);
    }
    struct alk_buf *all[] = {&chain, &key, &chain2, &key2};
    for (size_t i = 0; i < 4; i++) {
        alk_buf_fini(all[i]);
    }
}

static alk_err make_creds(const struct alk_mem *mem, void *ctx)
{
    struct alk_tls_creds *c = NULL;
    (void)ctx;
    struct alk_tls_creds_options o = {.mem = mem, .seed = tw_server_seed};
    ALK_TRY(alk_tls_creds_new(&o, NULL, 0, &c));
    alk_tls_creds_unref(c);
    return ALK_OK;
}

static void without_memory_there_are_none(void **state)
{
    (void)state;
    oom_sweep(make_creds, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_self_signed_certificate_is_what_browsers_take),
        cmocka_unit_test(serial_numbers_differ),
        cmocka_unit_test(names_that_fit_no_certificate_are_refused),
        cmocka_unit_test(credentials_describe_their_leaf),
        cmocka_unit_test(bad_credentials_say_what_is_wrong),
        cmocka_unit_test(without_memory_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
