/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/secret.c - keys derived, and values of 64 bytes sealed and opened, per second; on
 * one thread.
 *
 *   secret derive ed25519|secp256k1 cached|fresh COUNT    through a vault: 32 paths in turn
 *   secret seal|open cached|fresh COUNT                   through a vault, JSON and all
 *   secret bare COUNT                                     AES-256-GCM alone, GnuTLS
 *   secret unlock COUNT                                   a phrase's seed
 *
 * fresh: a vault without a cache, so that each call derives. One line of JSON.
 */
#include "alknet-secret/secret.h"
#include "measure.h"

#include <gnutls/crypto.h>
#include <string.h>

#define PATHS  32
#define PLAIN  64
#define BLOB   1024
#define PHRASE "legal winner thank year wave sausage worth useful legal winner thank yellow"

static const char plain[PLAIN] = "a password of another service, or some other short secret";
static const struct alksec_span value = {plain, PLAIN}, context = {"services.x.token", 16};
static const struct alksec_span phrase = {PHRASE, sizeof PHRASE - 1};

static void must(alksec_err err)
{
    if (err != ALKSEC_OK) {
        (void)fprintf(stderr, "bench/secret: %s\n", alksec_err_text(err));
        exit(1);
    }
}

static struct alksec_vault *open_vault(const char *cache)
{
    const struct alksec_vault_options o = {.has_no_cache = strcmp(cache, "fresh") == 0};
    struct alksec_vault *v = NULL;
    must(alksec_vault_new(&o, &v));
    must(alksec_vault_unlock(v, phrase, (struct alksec_span){NULL, 0}));
    return v;
}

static void derive(const char *curve, const char *cache, uint64_t count)
{
    struct alksec_vault *v = open_vault(cache);
    enum alksec_curve c = strcmp(curve, "ed25519") == 0 ? ALKSEC_ED25519 : ALKSEC_SECP256K1;
    struct alksec_path paths[PATHS];
    struct measure m;

    for (uint32_t i = 0; i < PATHS; i++) {
        must(alksec_path_identity(i, &paths[i]));
    }
    measure_begin(&m);
    for (uint64_t i = 0; i < count; i++) {
        struct alksec_key *key = NULL;
        must(alksec_vault_derive(v, 0, c, &paths[i % PATHS], &key));
        alksec_key_free(key);
    }
    measure_report(&m, (double)count);
    alksec_vault_free(v);
}

static void seal(const char *cache, uint64_t count)
{
    struct alksec_vault *v = open_vault(cache);
    char text[BLOB];
    struct measure m;

    measure_begin(&m);
    for (uint64_t i = 0; i < count; i++) {
        must(alksec_vault_encrypt(v, 0, 2, value, context, text, sizeof text, NULL));
    }
    measure_report(&m, (double)count);
    alksec_vault_free(v);
}

static void open_again(const char *cache, uint64_t count)
{
    struct alksec_vault *v = open_vault(cache);
    uint8_t out[BLOB];
    char text[BLOB];
    size_t n = 0;
    struct measure m;

    must(alksec_vault_encrypt(v, 0, 2, value, context, text, sizeof text, &n));
    const struct alksec_span blob = {text, n};
    measure_begin(&m);
    for (uint64_t i = 0; i < count; i++) {
        must(alksec_vault_decrypt(v, 0, blob, context, out, sizeof out, &n));
    }
    measure_report(&m, (double)count);
    alksec_vault_free(v);
}

static void bare(uint64_t count)
{
    unsigned char key[32] = {1};
    uint8_t iv[12] = {2}, out[PLAIN + 16];
    const gnutls_datum_t datum = {key, sizeof key};
    struct measure m;

    measure_begin(&m);
    for (uint64_t i = 0; i < count; i++) {
        gnutls_aead_cipher_hd_t cipher;
        size_t n = sizeof out;
        if (gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_256_GCM, &datum) < 0 ||
            gnutls_aead_cipher_encrypt(cipher, iv, sizeof iv, context.p, context.n, 16, plain,
                                       PLAIN, out, &n) < 0) {
            exit(1);
        }
        gnutls_aead_cipher_deinit(cipher);
        iv[i % sizeof iv]++;
    }
    measure_report(&m, (double)count);
}

static void unlock(uint64_t count)
{
    uint8_t seed[ALKSEC_SEED];
    struct measure m;

    measure_begin(&m);
    for (uint64_t i = 0; i < count; i++) {
        must(alksec_phrase_seed(PHRASE, sizeof PHRASE - 1, NULL, 0, seed));
    }
    measure_report(&m, (double)count);
    alksec_wipe(seed, sizeof seed);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    uint64_t count = argc > 2 ? strtoull(argv[argc - 1], NULL, 10) : 0;

    if (count > 0 && argc == 5 && strcmp(what, "derive") == 0) {
        derive(argv[2], argv[3], count);
    } else if (count > 0 && argc == 4 && strcmp(what, "seal") == 0) {
        seal(argv[2], count);
    } else if (count > 0 && argc == 4 && strcmp(what, "open") == 0) {
        open_again(argv[2], count);
    } else if (count > 0 && argc == 3 && strcmp(what, "bare") == 0) {
        bare(count);
    } else if (count > 0 && argc == 3 && strcmp(what, "unlock") == 0) {
        unlock(count);
    } else {
        (void)fprintf(stderr, "usage: secret derive|seal|open|bare|unlock ... COUNT\n");
        return 2;
    }
    return 0;
}
