/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Extended keys as text. */
#include "base/err.h"
#include "base/span.h"
#include "secret/xkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* There is one text of a key. */
static void check_text(const struct alksec_key *key, struct alk_span in)
{
    char text[ALKSEC_XKEY_SIZE];
    alksec_err err = alksec_key_private(key) == NULL ? alksec_key_print_xpub(key, text)
                                                     : alksec_key_print_xprv(key, text);
    ALK_ASSERT(err == ALKSEC_OK);
    ALK_ASSERT(alk_span_is(in, text));
}

static void descend(const struct alksec_key *key)
{
    const struct alksec_path step = {.index = {7}, .depth = 1};
    struct alksec_key *child = NULL;
    alksec_err err = alksec_key_child(NULL, key, &step, &child);
    ALK_ASSERT(err == ALKSEC_OK || err == ALKSEC_E_TOO_BIG || err == ALKSEC_E_CRYPTO);
    alksec_key_free(child);
}

static void whole(struct alk_span in)
{
    struct alksec_key *key = NULL;
    alksec_err err = alksec_key_parse(NULL, (const char *)in.p, in.n, &key);
    if (err == ALKSEC_OK) {
        check_text(key, in);
        descend(key);
    }
    ALK_ASSERT((err == ALKSEC_OK) == (key != NULL));
    alksec_key_free(key);
}

/* 78 bytes as they would stand behind a right checksum, which chance does not find:
 * printed as though they were a key, and read. */
static void payload(struct alk_span in)
{
    struct alksec_key key = {.curve = ALKSEC_SECP256K1};
    char text[ALKSEC_XKEY_SIZE];

    if (in.n < 75) {
        return;
    }
    key.is_public = (in.p[0] & 1) != 0;
    key.depth = in.p[1];
    memcpy(key.parent, in.p + 2, 4);
    key.index = (uint32_t)in.p[6] << 24 | in.p[7];
    memcpy(key.chain_code, in.p + 8, 32);
    memcpy(key.private_key, in.p + 40, 32);
    memcpy(key.public_key, in.p + 42, 33);
    alksec_err err =
        key.is_public ? alksec_key_print_xpub(&key, text) : alksec_key_print_xprv(&key, text);
    ALK_ASSERT(err == ALKSEC_OK);
    whole(alk_span_str(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    whole(alk_span(data, size));
    payload(alk_span(data, size));
    return 0;
}
