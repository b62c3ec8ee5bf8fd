/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/gcm.h - AES-GCM with a tag of 16 bytes behind the ciphertext. */
#ifndef ALKSEC_GCM_H
#define ALKSEC_GCM_H

#include "impl.h"

#define ALKSEC_GCM_IV  12
#define ALKSEC_GCM_TAG 16

struct alksec_gcm {
    struct alksec_bytes key; /* 16, 24 or 32 bytes */
    struct alksec_bytes iv;  /* 12 bytes */
    struct alksec_bytes aad;
};

/* in.n + ALKSEC_GCM_TAG bytes go to ret. ALKSEC_E_INVALID: a key or IV of another
 * size. ALKSEC_E_NOMEM, ALKSEC_E_CRYPTO. */
ALKSEC_NODISCARD alksec_err alksec_gcm_seal(const struct alksec_gcm *g, struct alksec_bytes in,
                                            uint8_t *ret);
/* in.n - ALKSEC_GCM_TAG bytes go to ret, zeroes after ALKSEC_E_OPEN: too short,
 * another key, another IV, changed. */
ALKSEC_NODISCARD alksec_err alksec_gcm_open(const struct alksec_gcm *g, struct alksec_bytes in,
                                            uint8_t *ret);

#endif
