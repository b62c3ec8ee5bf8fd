/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Certificates, SubjectPublicKeyInfos and SSH blobs of peers. */
#include "core/auth/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Names are what they claim to be, whatever the bytes. */
static void check_names(const struct alk_key_names *names)
{
    ALK_ASSERT(names->count >= 1 && names->count <= ALK_KEY_NAMES_MAX);
    for (size_t i = 0; i < names->count; i++) {
        char again[ALK_FINGERPRINT_MAX];
        ALK_ASSERT(alk_key_parse(alk_span_str(names->name[i]), again, NULL, 0) == ALK_OK);
        ALK_ASSERT(alk_span_is(alk_span_str(again), names->name[i]));
    }
    uint8_t raw[ALK_ED25519_SIZE];
    ALK_ASSERT(alk_key_name_ed25519(names->name[0], raw) == names->is_ed25519);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    struct alk_key_names names;
    struct alk_span spki;
    if (alk_x509_spki(in, &spki) == ALK_OK) {
        ALK_ASSERT(spki.p > data && spki.p + spki.n < data + size);
        struct alk_key_names of_key;
        ALK_ASSERT(alk_key_names_from_tls(ALK_CERT_X509, in, &names) == ALK_OK);
        check_names(&names);
        /* The key inside has the same names as the key alone. */
        ALK_ASSERT(alk_key_names_from_tls(ALK_CERT_RAW_KEY, spki, &of_key) == ALK_OK);
        ALK_ASSERT(names.count == of_key.count + 1);
        ALK_ASSERT(alk_span_is(alk_span_str(names.name[0]), of_key.name[0]));
    }
    if (alk_key_names_from_tls(ALK_CERT_RAW_KEY, in, &names) == ALK_OK) {
        check_names(&names);
    }
    if (alk_key_names_from_ssh(in, &names) == ALK_OK) {
        check_names(&names);
    }
    return 0;
}
