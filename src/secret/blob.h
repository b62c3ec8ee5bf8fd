/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/blob.h - a sealed value that has been read, not yet opened. */
#ifndef ALKSEC_BLOB_H
#define ALKSEC_BLOB_H

#include "gcm.h"

#define ALKSEC_BLOB_SALT 32

struct yyjson_doc;

/* What stands in a blob. data and context borrow from doc. */
struct alksec_blob {
    struct yyjson_doc *doc; /* owns */
    uint32_t version;
    uint8_t salt[ALKSEC_BLOB_SALT], iv[ALKSEC_GCM_IV];
    const char *data; /* base64 */
    size_t data_n;
    struct alksec_bytes context;
};

/* Freed with fini, also after a failure. */
ALKSEC_NODISCARD alksec_err alksec_blob_read(const struct alksec_mem *mem, struct alksec_span text,
                                             struct alksec_blob *ret);
void alksec_blob_fini(struct alksec_blob *blob);
/* As alksec_blob_open. */
ALKSEC_NODISCARD alksec_err alksec_blob_unseal(const struct alksec_mem *mem,
                                               const struct alksec_blob *blob,
                                               const uint8_t key[ALKSEC_KEY],
                                               struct alksec_span context, uint8_t *ret,
                                               size_t ret_size, size_t *ret_n);

#endif
