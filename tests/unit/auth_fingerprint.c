/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/fingerprint.h"

#include "base/text.h"
#include "support/check.h"

/* Made with `openssl req -x509`; names by `openssl x509 -pubkey | openssl pkey
 * -outform DER | sha256sum`, `sha256sum`, and `ssh-keygen -lf`. */
static const char ED_CERT[] =
    "3082012e3081e1a00302010202141830d06b4622d689f5005f32ebd45167a2338cb5300506032b6570300c31"
    "0a300806035504030c01613020170d3236313132333032313731335a180f3231323631303330303231373133"
    "5a300c310a300806035504030c0161302a300506032b657003210021dd1eb93665cb13851672efbefbb856eb"
    "0482753a87cf2c91c25f5673561b99a3533051301d0603551d0e04160414589bf11a1b6185313ea4c399108c"
    "c57b07cbac57301f0603551d23041830168014589bf11a1b6185313ea4c399108cc57b07cbac57300f060355"
    "1d130101ff040530030101ff300506032b657003410002f5cab01a2772f2125495cb33e2f2a028e1cb56f789"
    "02b8e600124632914791f1201d100898958be69dbf64146eb24c3f999bd14638d5f926a15825f2a11a04";
static const char EC_CERT[] =
    "3082016f30820115a003020102021417bddbaeb2c05d40f982c6c3415377ec33779057300a06082a8648ce3d"
    "040302300c310a300806035504030c01623020170d3236313132333032313731335a180f3231323631303330"
    "3032313731335a300c310a300806035504030c01623059301306072a8648ce3d020106082a8648ce3d030107"
    "034200048c6f0fe90de2bc9caaeec25c7161fc8719b3c901cb65d476e9dbb048fa3cfbc8a68b8dea77be7833"
    "830c8795879e04e687f8c56e39cf0108156e31e2a92da1c1a3533051301d0603551d0e0416041461c644a784"
    "0317481853b692c174387ad61c0ea1301f0603551d2304183016801461c644a7840317481853b692c174387a"
    "d61c0ea1300f0603551d130101ff040530030101ff300a06082a8648ce3d040302034800304502207d2161cf"
    "d296dafe69c3221e957dc2d288eb2fbfee81fe9d16b57e11661d8e8c022100b40cec71c54319789cd8d18914"
    "697745799ae083f94d096eb1711eff494eb736";
static const char V1_CERT[] =
    "308201163081bd02145840000e8ef1cfe379347ab2b1175aa5072e208d300a06082a8648ce3d040302300d31"
    "0b300906035504030c0276313020170d3236313132333032313731335a180f32313236313033303032313731"
    "335a300d310b300906035504030c0276313059301306072a8648ce3d020106082a8648ce3d03010703420004"
    "8c6f0fe90de2bc9caaeec25c7161fc8719b3c901cb65d476e9dbb048fa3cfbc8a68b8dea77be7833830c8795"
    "879e04e687f8c56e39cf0108156e31e2a92da1c1300a06082a8648ce3d0403020348003045022059449d0344"
    "5ac1465f97d724d75465a1cd0c46d069825e9f07871d4804347bac0221008cf19047e45091422d6af148dfd8"
    "d71c7217d56e37b1d96efbd4f2c42e51342b";

#define ED_KEY       "21dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b99"
#define ED_SPKI      "302a300506032b6570032100" ED_KEY
#define ED_SPKI_NAME "spki:ace3c789e145743a2f2e217a84fc216cd3f05213e21ea5b8e853b6680c653b99"
#define ED_CERT_NAME "cert:c058420e3d18327cbb8c1391fffa690f86ab7b60045cb90bb343bb32cff5db99"
#define ED_SSH_NAME  "SHA256:QXhdx+mqJeN0i74FK7FDWpMRShnAiKuCNNNm59SpXDo"
#define ED_SSH_B64   "AAAAC3NzaC1lZDI1NTE5AAAAICHdHrk2ZcsThRZy7777uFbrBIJ1OofPLJHCX1ZzVhuZ"
#define ED_ADDRESS   "r8qt7qjsczft8besqmz5767ak5iojyui8kdh6mrtajxich4sdqco"
#define EC_SPKI_NAME "spki:9ad1a3a1eedf3a9a00a9cf27e9bc7be3be28aad883e6857ad8ccf14c4e41d866"
#define EC_CERT_NAME "cert:0219e040b940413bf19601fdd65aacaf54346249cecdc703b2d6a38bcf1485a6"
#define V1_CERT_NAME "cert:97e49f26f30c47e06c8f8bbe8078b6191fb0ae7040fd8164d8f95b9c5b5acbae"

struct bytes {
    uint8_t p[1024];
    size_t n;
};

static struct bytes unhex(const char *hex)
{
    struct bytes b;
    check_err(alk_unhex(alk_span_str(hex), b.p, sizeof(b.p), &b.n), ALK_OK);
    return b;
}

static struct alk_span span(const struct bytes *b)
{
    return alk_span(b->p, b->n);
}

static void what_tls_shows_has_all_its_names(void **state)
{
    static const struct {
        const char *name;
        enum alk_cert_kind kind;
        const char *der;
        const char *want[4];
    } cases[] = {
        {"an Ed25519 raw key",
         ALK_CERT_RAW_KEY,
         ED_SPKI,
         {"ed25519:" ED_KEY, ED_SPKI_NAME, ED_SSH_NAME, ""}},
        {"an Ed25519 certificate",
         ALK_CERT_X509,
         ED_CERT,
         {"ed25519:" ED_KEY, ED_SPKI_NAME, ED_CERT_NAME, ED_SSH_NAME}},
        {"a P-256 certificate", ALK_CERT_X509, EC_CERT, {EC_SPKI_NAME, EC_CERT_NAME, "", ""}},
        {"a version 1 certificate", ALK_CERT_X509, V1_CERT, {EC_SPKI_NAME, V1_CERT_NAME, "", ""}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes der = unhex(cases[i].der);
        struct alk_key_names names;
        print_message("%s\n", cases[i].name);
        check_err(alk_key_names_from_tls(cases[i].kind, span(&der), &names), ALK_OK);
        size_t count = 0;
        for (size_t k = 0; k < 4; k++) {
            assert_string_equal(names.name[k], cases[i].want[k]);
            count += cases[i].want[k][0] != 0;
        }
        assert_int_equal(names.count, count);
        assert_int_equal(names.is_ed25519, strncmp(names.name[0], "ed25519:", 8) == 0);
    }
}

static void a_key_is_the_same_key_wherever_it_was_found(void **state)
{
    (void)state;
    struct bytes spki = unhex(ED_SPKI), raw = unhex(ED_KEY), blob;
    struct alk_key_names a, b, c;
    check_err(alk_unbase64(alk_span_str(ED_SSH_B64), blob.p, sizeof(blob.p), &blob.n), ALK_OK);
    check_err(alk_key_names_from_tls(ALK_CERT_RAW_KEY, span(&spki), &a), ALK_OK);
    check_err(alk_key_names_from_ssh(span(&blob), &b), ALK_OK);
    alk_key_names_from_ed25519(raw.p, &c);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_equal(&a, &c, sizeof(a));

    uint8_t made[ALK_ED25519_SPKI_SIZE];
    alk_ed25519_spki(raw.p, made);
    assert_memory_equal(made, spki.p, sizeof(made));
}

static void der_that_is_not_strict_has_no_name(void **state)
{
    static const struct {
        const char *name, *der;
    } cases[] = {
        {"nothing", ""},
        {"a byte too many", ED_SPKI "00"},
        {"an indefinite length", "3080300506032b6570032100" ED_KEY "0000"},
        {"a length in two octets where one does", "30812a300506032b6570032100" ED_KEY},
        {"a length with a leading zero", "3082002a300506032b6570032100" ED_KEY},
        {"a length in four octets", "30840000002a300506032b6570032100" ED_KEY},
        {"a length beyond the end", "302b300506032b6570032100" ED_KEY},
        {"a length before the end", "3029300506032b6570032100" ED_KEY},
        {"a set instead of a sequence", "312a300506032b6570032100" ED_KEY},
        {"no object identifier", "302a300505032b6570032100" ED_KEY},
        {"an empty object identifier", "3006300206000302"},
        {"an octet string instead of a bit string", "302a300506032b6570042100" ED_KEY},
        {"an empty bit string", "3009300506032b65700300"},
        {"something after the bit string", "302c300506032b6570032100" ED_KEY "0500"},
        {"a certificate", ED_CERT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes der = unhex(cases[i].der);
        struct alk_key_names names, before;
        memset(&names, 0xa5, sizeof(names));
        before = names;
        print_message("%s\n", cases[i].name);
        check_err(alk_key_names_from_tls(ALK_CERT_RAW_KEY, span(&der), &names), ALK_E_MALFORMED);
        assert_memory_equal(&names, &before, sizeof(names));
    }
}

static void parameters_make_it_another_algorithm(void **state)
{
    (void)state;
    /* [RFC 8410 §3] the parameters are absent; with NULL it is no Ed25519 of ours. */
    struct bytes der = unhex("302c300706032b65700500032100" ED_KEY);
    struct alk_key_names names;
    check_err(alk_key_names_from_tls(ALK_CERT_RAW_KEY, span(&der), &names), ALK_OK);
    assert_false(names.is_ed25519);
    assert_int_equal(names.count, 1);
    assert_string_not_equal(names.name[0], ED_SPKI_NAME);
}

static void what_is_absent_or_too_large_is_refused(void **state)
{
    (void)state;
    static uint8_t large[ALK_KEY_DER_MAX + 1];
    struct alk_key_names names;
    check_err(alk_key_names_from_tls(ALK_CERT_NONE, alk_span(NULL, 0), &names), ALK_E_INVALID);
    check_err(alk_key_names_from_tls(ALK_CERT_X509, alk_span(large, sizeof(large)), &names),
              ALK_E_TOO_BIG);
    check_err(alk_key_names_from_ssh(alk_span(large, sizeof(large)), &names), ALK_E_TOO_BIG);
}

static void look_at_tls(struct alk_span in, void *ctx)
{
    struct alk_key_names names;
    (void)ctx;
    if (alk_key_names_from_tls(ALK_CERT_X509, in, &names) == ALK_OK) {
        /* Whatever was changed, the certificate's own name always tells. */
        assert_true(names.count >= 2);
    }
    assert_true(alk_key_names_from_tls(ALK_CERT_RAW_KEY, in, &names) <= ALK_OK);
    assert_true(alk_key_names_from_ssh(in, &names) <= ALK_OK);
}

static void mutations_of_certificates_never_crash(void **state)
{
    (void)state;
    struct bytes ed = unhex(ED_CERT), v1 = unhex(V1_CERT);
    check_mutations(span(&ed), look_at_tls, NULL);
    check_mutations(span(&v1), look_at_tls, NULL);
}

static void a_cut_certificate_has_no_name(void **state)
{
    (void)state;
    struct bytes der = unhex(EC_CERT);
    struct alk_key_names names;
    for (size_t n = 0; n < der.n; n++) {
        check_err(alk_key_names_from_tls(ALK_CERT_X509, alk_span_head(span(&der), n), &names),
                  ALK_E_MALFORMED);
    }
}

static void ssh_blobs(void **state)
{
    static const struct {
        const char *name, *blob;
        alk_err want;
        const char *first;
    } cases[] = {
        {"another kind has the name SHA256 alone", "000000077373682d72736100000001ff", ALK_OK,
         "SHA256:pd+uZAQEGIBc4w3ZOXFHK5j/SCJrXhJX1EoRLDrlpk0"},
        {"nothing", "", ALK_E_MALFORMED, NULL},
        {"no kind", "00000000000000", ALK_E_MALFORMED, NULL},
        {"a kind and no key", "000000077373682d727361", ALK_E_MALFORMED, NULL},
        {"a kind that is cut off", "000000ff7373682d727361", ALK_E_MALFORMED, NULL},
        {"ssh-ed25519 with 31 bytes of key",
         "0000000b7373682d656432353531390000001f"
         "21dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b",
         ALK_E_MALFORMED, NULL},
        {"ssh-ed25519 with a byte too many", "0000000b7373682d6564323535313900000020" ED_KEY "00",
         ALK_E_MALFORMED, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes blob = unhex(cases[i].blob);
        struct alk_key_names names;
        print_message("%s\n", cases[i].name);
        check_err(alk_key_names_from_ssh(span(&blob), &names), cases[i].want);
        if (cases[i].want == ALK_OK) {
            assert_int_equal(names.count, 1);
            assert_string_equal(names.name[0], cases[i].first);
        }
    }
}

static void every_form_of_a_key_is_read(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"ed25519:", "ed25519:" ED_KEY, "ed25519:" ED_KEY},
        {"upper case hex",
         "ed25519:21DD1EB93665CB13851672EFBEFBB856EB0482753A87CF2C91C25F5673561B99",
         "ed25519:" ED_KEY},
        {"spki:", ED_SPKI_NAME, ED_SPKI_NAME},
        {"cert:", ED_CERT_NAME, ED_CERT_NAME},
        {"SHA256:", ED_SSH_NAME, ED_SSH_NAME},
        {"SHA256: with padding", ED_SSH_NAME "=", ED_SSH_NAME},
        {"a line of an authorized_keys file", "ssh-ed25519 " ED_SSH_B64 " me@laptop",
         "ed25519:" ED_KEY},
        {"without comment", "ssh-ed25519 " ED_SSH_B64, "ed25519:" ED_KEY},
        {"with tabs and many spaces", " ssh-ed25519\t  " ED_SSH_B64 "\tme and more ",
         "ed25519:" ED_KEY},
        {"an address", ED_ADDRESS, "ed25519:" ED_KEY},
        {"spaces around", "  " ED_ADDRESS "\t", "ed25519:" ED_KEY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[ALK_FINGERPRINT_MAX], why[200] = "";
        print_message("%s\n", cases[i].name);
        check_err(alk_key_parse(alk_span_str(cases[i].text), name, why, sizeof(why)), ALK_OK);
        assert_string_equal(name, cases[i].want);
        assert_string_equal(why, "");
    }
}

static void what_is_no_key_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *name, *text, *why;
    } cases[] = {
        {"nothing", "", "not a key"},
        {"a word", "laptop", "not a key"},
        {"63 digits", "ed25519:21dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b9",
         "64 hexadecimal"},
        {"65 digits", "ed25519:" ED_KEY "0", "64 hexadecimal"},
        {"a letter that is no digit",
         "spki:g1dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b99", "64 hexadecimal"},
        {"the prefix in upper case", "ED25519:" ED_KEY, "not a key"},
        {"a space after the prefix", "ed25519: " ED_KEY, "64 hexadecimal"},
        {"42 characters", "SHA256:QXhdx+mqJeN0i74FK7FDWpMRShnAiKuCNNNm59SpXD", "43 base64"},
        {"spare bits that are set", "SHA256:QXhdx+mqJeN0i74FK7FDWpMRShnAiKuCNNNm59SpXDp",
         "43 base64"},
        {"MD5", "MD5:00:11:22", "not a key"},
        {"another SSH key", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCx", "only ssh-ed25519"},
        {"an ECDSA key", "ecdsa-sha2-nistp256 AAAA", "only ssh-ed25519"},
        {"a security key", "sk-ssh-ed25519@openssh.com AAAA", "only ssh-ed25519"},
        {"ssh-ed25519 without key", "ssh-ed25519 ", "only ssh-ed25519"},
        {"ssh-ed25519 with a cut key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHd", "base64"},
        {"an RSA blob behind ssh-ed25519", "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAABAQCx",
         "base64"},
        {"options before the key", "restrict ssh-ed25519 " ED_SSH_B64, "not a key"},
        {"an address of 51 characters", "r8qt7qjsczft8besqmz5767ak5iojyui8kdh6mrtajxich4sdqc",
         "not a key"},
        {"a letter that z-base-32 lacks", "l8qt7qjsczft8besqmz5767ak5iojyui8kdh6mrtajxich4sdqco",
         "not a key"},
        {"an address with spare bits", "r8qt7qjsczft8besqmz5767ak5iojyui8kdh6mrtajxich4sdqcb",
         "not a key"},
        {"two keys", "ed25519:" ED_KEY " ed25519:" ED_KEY, "64 hexadecimal"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[ALK_FINGERPRINT_MAX] = "untouched", why[200] = "";
        print_message("%s\n", cases[i].name);
        check_err(alk_key_parse(alk_span_str(cases[i].text), name, why, sizeof(why)),
                  ALK_E_INVALID);
        assert_string_equal(name, "untouched");
        assert_non_null(strstr(why, cases[i].why));
        check_err(alk_key_parse(alk_span_str(cases[i].text), name, NULL, 0), ALK_E_INVALID);
    }
    char name[ALK_FINGERPRINT_MAX];
    check_err(alk_key_parse(ALK_LIT("ed25519:" ED_KEY "\0"), name, NULL, 0), ALK_E_INVALID);
}

static void addresses_there_and_back(void **state)
{
    /* pkarr, src/types/keys.rs; iroh, endpoint_info.rs; and our own. */
    static const struct {
        const char *hex, *z32;
    } cases[] = {
        {"01b467a3b7913ab27a04a8edf2f3fb074cfe0ecf4babe108d67be3853b0f26c5",
         "yg4gxe7z1r7mr6orids9fh95y7gxhdsxjqi6nngsxxtakqaxr5no"},
        {"1992d53c02cdc04566e5c0edb1ce83305cd550297953a047a445ea3264b54b18",
         "dgjpkxyn3zyrk3zfads5duwdgbqpkwbjxfj4yt7rezidr3fijccy"},
        {ED_KEY, ED_ADDRESS},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes key = unhex(cases[i].hex);
        char address[ALK_Z32_ADDRESS_SIZE];
        uint8_t back[ALK_ED25519_SIZE];
        alk_key_address(key.p, address);
        assert_string_equal(address, cases[i].z32);
        check_err(alk_key_from_address(alk_span_str(address), back), ALK_OK);
        assert_memory_equal(back, key.p, sizeof(back));
    }
}

static void the_raw_key_of_a_name(void **state)
{
    (void)state;
    struct bytes key = unhex(ED_KEY);
    uint8_t got[ALK_ED25519_SIZE];
    assert_true(alk_key_name_ed25519("ed25519:" ED_KEY, got));
    assert_memory_equal(got, key.p, sizeof(got));
    assert_false(alk_key_name_ed25519(ED_SPKI_NAME, got));
    assert_false(alk_key_name_ed25519("ed25519:", got));
    assert_false(alk_key_name_ed25519("", got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_tls_shows_has_all_its_names),
        cmocka_unit_test(a_key_is_the_same_key_wherever_it_was_found),
        cmocka_unit_test(der_that_is_not_strict_has_no_name),
        cmocka_unit_test(parameters_make_it_another_algorithm),
        cmocka_unit_test(what_is_absent_or_too_large_is_refused),
        cmocka_unit_test(mutations_of_certificates_never_crash),
        cmocka_unit_test(a_cut_certificate_has_no_name),
        cmocka_unit_test(ssh_blobs),
        cmocka_unit_test(every_form_of_a_key_is_read),
        cmocka_unit_test(what_is_no_key_is_refused_with_a_reason),
        cmocka_unit_test(addresses_there_and_back),
        cmocka_unit_test(the_raw_key_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
