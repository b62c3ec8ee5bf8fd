/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/key.h - a key with its chain code, and how one is derived. */
#ifndef ALKSEC_KEY_H
#define ALKSEC_KEY_H

#include "impl.h"

struct alksec_key {
    const struct alksec_mem *mem;
    enum alksec_curve curve;
    bool is_public; /* there is no private_key */
    /* Where it stands, for its text [BIP-0032]; on secp256k1 alone. */
    uint8_t depth, parent[4];
    uint32_t index;
    uint8_t private_key[32];
    uint8_t chain_code[32];
    uint8_t public_key[ALKSEC_PUBLIC_MAX];
};

/* Fills private_key, chain_code and public_key of a key whose curve is set. What
 * is in it after a failure is to be wiped. */
ALKSEC_NODISCARD alksec_err alksec_derive(struct alksec_key *key, struct alksec_bytes seed,
                                          const struct alksec_path *path);

/* The key at a path below the one that is there. */
ALKSEC_NODISCARD alksec_err alksec_derive_below(struct alksec_key *key,
                                                const struct alksec_path *path);

/* The two curves [SLIP-0010], [BIP-0032]: the master key of a seed, and what lies
 * below a key. */
ALKSEC_NODISCARD alksec_err alksec_master_ed25519(struct alksec_key *key, struct alksec_bytes seed);
ALKSEC_NODISCARD alksec_err alksec_below_ed25519(struct alksec_key *key,
                                                 const struct alksec_path *path);
ALKSEC_NODISCARD alksec_err alksec_master_secp256k1(struct alksec_key *key,
                                                    struct alksec_bytes seed);
ALKSEC_NODISCARD alksec_err alksec_below_secp256k1(struct alksec_key *key,
                                                   const struct alksec_path *path);
/* Whether what was read is a key: of a private one the public key is filled in.
 * ALKSEC_E_XKEY_VALUE, ALKSEC_E_UNSUPPORTED, ALKSEC_E_NOMEM. */
ALKSEC_NODISCARD alksec_err alksec_check_secp256k1(struct alksec_key *key);

#endif
