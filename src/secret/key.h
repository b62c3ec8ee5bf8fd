/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/key.h - a private key with its chain code, and how one is derived. */
#ifndef ALKSEC_KEY_H
#define ALKSEC_KEY_H

#include "impl.h"

struct alksec_key {
    const struct alksec_mem *mem;
    enum alksec_curve curve;
    uint8_t private_key[32];
    uint8_t chain_code[32];
    uint8_t public_key[ALKSEC_PUBLIC_MAX];
};

/* Fills private_key, chain_code and public_key of a key whose curve is set. What
 * is in it after a failure is to be wiped. */
ALKSEC_NODISCARD alksec_err alksec_derive(struct alksec_key *key, struct alksec_bytes seed,
                                          const struct alksec_path *path);

/* The two curves [SLIP-0010], [BIP-0032]. */
ALKSEC_NODISCARD alksec_err alksec_derive_ed25519(struct alksec_key *key, struct alksec_bytes seed,
                                                  const struct alksec_path *path);
ALKSEC_NODISCARD alksec_err alksec_derive_secp256k1(struct alksec_key *key,
                                                    struct alksec_bytes seed,
                                                    const struct alksec_path *path);

#endif
