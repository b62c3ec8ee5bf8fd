/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sealed values: their JSON, and that only what was sealed opens. */
#include "alknet-secret/secret.h"
#include "base/err.h"
#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[ALKSEC_KEY] = {1, 2, 3};

static void open_input(struct alksec_span in)
{
    static uint8_t plain[ALKSEC_BLOB_MAX];
    uint32_t version = 0;
    size_t n = 0;

    alksec_err shape = alksec_blob_version(NULL, in, &version);
    ALK_ASSERT(shape != ALKSEC_OK || version >= 2);
    alksec_err err =
        alksec_blob_open(NULL, in, key, (struct alksec_span){NULL, 0}, plain, sizeof plain, &n);
    ALK_ASSERT(shape == ALKSEC_OK || err == shape);
    ALK_ASSERT(err != ALKSEC_OK || n < in.n);
}

static void count_up(void *ctx, uint8_t *p, size_t n)
{
    uint8_t *next = ctx;
    while (n-- > 0) {
        *p++ = (*next)++;
    }
}

/* The input as the value and, where it is text, as the context. */
static void seal_input(struct alksec_span in)
{
    static char text[8192];
    static uint8_t plain[2048];
    uint8_t next = 0;
    const struct alksec_random random = {count_up, &next};
    size_t n = in.n < 512 ? in.n : 512, text_n = 0, plain_n = 0;
    const struct alksec_span value = {in.p, n};
    struct alksec_span context = value;

    alksec_err err =
        alksec_blob_seal(NULL, &random, 2, key, value, context, text, sizeof text, &text_n);
    ALK_ASSERT(err == ALKSEC_OK || err == ALKSEC_E_TEXT);
    if (err == ALKSEC_E_TEXT) {
        context.n = 0;
        ALK_ASSERT(alksec_blob_seal(NULL, &random, 2, key, value, context, text, sizeof text,
                                    &text_n) == ALKSEC_OK);
    }
    const struct alksec_span blob = {text, text_n};
    ALK_ASSERT(alksec_blob_open(NULL, blob, key, context, plain, sizeof plain, &plain_n) ==
               ALKSEC_OK);
    ALK_ASSERT(alk_span_equal(alk_span(plain, plain_n), alk_span(in.p, n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct alksec_span in = {data, size};
    open_input(in);
    seal_input(in);
    return 0;
}
