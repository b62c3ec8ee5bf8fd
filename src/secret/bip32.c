/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* BIP-0032 over secp256k1, where libsecp256k1 is there. */
#include "key.h"

alksec_err alksec_derive_secp256k1(struct alksec_key *key, struct alksec_bytes seed,
                                   const struct alksec_path *path)
{
    (void)key;
    (void)seed;
    (void)path;
    return ALKSEC_E_UNSUPPORTED;
}
