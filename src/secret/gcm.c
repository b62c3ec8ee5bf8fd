/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gcm.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static gnutls_cipher_algorithm_t algorithm_of(size_t key_n)
{
    switch (key_n) {
    case 16:
        return GNUTLS_CIPHER_AES_128_GCM;
    case 24:
        return GNUTLS_CIPHER_AES_192_GCM;
    case 32:
        return GNUTLS_CIPHER_AES_256_GCM;
    default:
        return GNUTLS_CIPHER_UNKNOWN;
    }
}

static alksec_err start(const struct alksec_gcm *g, gnutls_aead_cipher_hd_t *ret)
{
    gnutls_cipher_algorithm_t algorithm = algorithm_of(g->key.n);
    /* The key is only read; the struct has no const. */
    const gnutls_datum_t key = {(unsigned char *)(uintptr_t)g->key.p, (unsigned)g->key.n};

    if (algorithm == GNUTLS_CIPHER_UNKNOWN || g->iv.n != ALKSEC_GCM_IV) {
        return ALKSEC_E_INVALID;
    }
    int rc = gnutls_aead_cipher_init(ret, algorithm, &key);
    if (rc == GNUTLS_E_MEMORY_ERROR) {
        return ALKSEC_E_NOMEM;
    }
    return rc < 0 ? ALKSEC_E_CRYPTO : ALKSEC_OK;
}

alksec_err alksec_gcm_seal(const struct alksec_gcm *g, struct alksec_bytes in, uint8_t *ret)
{
    gnutls_aead_cipher_hd_t cipher;
    size_t size = in.n + ALKSEC_GCM_TAG;

    alksec_err err = start(g, &cipher);
    if (err != ALKSEC_OK) {
        return err;
    }
    int rc = gnutls_aead_cipher_encrypt(cipher, g->iv.p, g->iv.n, g->aad.p, g->aad.n,
                                        ALKSEC_GCM_TAG, in.p, in.n, ret, &size);
    gnutls_aead_cipher_deinit(cipher);
    return rc < 0 || size != in.n + ALKSEC_GCM_TAG ? ALKSEC_E_CRYPTO : ALKSEC_OK;
}

alksec_err alksec_gcm_open(const struct alksec_gcm *g, struct alksec_bytes in, uint8_t *ret)
{
    gnutls_aead_cipher_hd_t cipher;

    if (in.n < ALKSEC_GCM_TAG) {
        return ALKSEC_E_OPEN;
    }
    size_t n = in.n - ALKSEC_GCM_TAG, size = n;
    alksec_err err = start(g, &cipher);
    if (err != ALKSEC_OK) {
        return err;
    }
    uint8_t none = 0; /* GnuTLS wants a pointer also for nothing */
    int rc = gnutls_aead_cipher_decrypt(cipher, g->iv.p, g->iv.n, g->aad.p, g->aad.n,
                                        ALKSEC_GCM_TAG, in.p, in.n, n == 0 ? &none : ret, &size);
    gnutls_aead_cipher_deinit(cipher);
    if (rc < 0 || size != n) {
        alksec_wipe(n == 0 ? NULL : ret, n);
        return ALKSEC_E_OPEN;
    }
    return ALKSEC_OK;
}
